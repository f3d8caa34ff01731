/* cli.h - the commands of ekiden(1)
 * SPDX-License-Identifier: Apache-2.0
 *
 * A command gets its words, argv[0] being its own name ("ekiden config"), and returns the exit status: 0 all is
 * well, 1 it is not (said on standard error), 2 the words made no sense.  Each takes --help and --json.
 */
#pragma once
#include "conf/problem.h"

enum { EK_EXIT_OK, EK_EXIT_FAILED, EK_EXIT_USAGE };

typedef struct {
  const char *name;
  const char *summary;               /* one line for `ekiden --help` */
  int       (*run) (int argc, char **argv);
} EkCli;

/* Runs one of a table's commands (its end has no name) by argv[1]; `program` is what stands before it. */
int ek_cli_dispatch (const EkCli *table, const char *program, int argc, char **argv);

int ek_cli_status (int argc, char **argv);
int ek_cli_reload (int argc, char **argv);
int ek_cli_stop (int argc, char **argv);
int ek_cli_upgrade (int argc, char **argv);
int ek_cli_reopen (int argc, char **argv);
int ek_cli_rekey (int argc, char **argv);
int ek_cli_queue (int argc, char **argv);          /* list, show, flush, hold, release, delete, requeue, status */
int ek_cli_mailq (int argc, char **argv);
int ek_cli_sendmail (int argc, char **argv);       /* exits as sysexits.h says */
int ek_cli_doctor (int argc, char **argv);
int ek_cli_completion (int argc, char **argv);
/* A command that a module offers (cli/command.h); argv[1] is its name.  *found false: none that is installed. */
int ek_cli_offered (int argc, char **argv, bool *found);
/* Appends those of all modules that are installed to an array of EkCli, to be listed. */
void ek_cli_offers (GArray *table);
int ek_cli_config (int argc, char **argv);         /* check, show, set, reference, manual */
int ek_cli_module (int argc, char **argv);         /* list, show, doc */
int ek_cli_trace (int argc, char **argv);          /* the story of a message */

int ek_cli_domain (int argc, char **argv);         /* add, list, show, set, delete: those that maps know */
int ek_cli_alias (int argc, char **argv);          /* add, list, show, set, delete */
int ek_cli_sql (int argc, char **argv);            /* migrate, status: our own schema in a database */
int ek_cli_map (int argc, char **argv);            /* list, get, dump, build */
int ek_cli_user (int argc, char **argv);           /* add, passwd, list, show, set, delete */
int ek_cli_pw (int argc, char **argv);             /* a stored password */

/* ---- for commands ---- */

/* Takes the options off; the words that are left are *argv[1..].  False: *status is the exit status (help
 * was asked for, or an option is unknown). */
bool ek_cli_options (int *argc, char ***argv, const GOptionEntry *entries, const char *words, const char *summary,
                     int *status);
int  ek_cli_usage (const char *text);              /* says it on standard error; EK_EXIT_USAGE */
int  ek_cli_failed (const GError *error);          /* the same for a failure; EK_EXIT_FAILED */
void ek_cli_write (int fd, EkBuf *out);            /* all of it, and releases it */
