/* logrole.h - what the log role does: records of all processes become lines, JSON and trace
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each process has a stream of its own to the log role, so role and pid are known here and a broken
 * role can forge neither: what a record claims beyond its rights (ek_role_may_claim) is kept under the
 * role's own name, and its time is held to the clock's.  Nobody waits for the log: a sink that takes
 * no more loses records, which are counted and reported.
 *
 * Loop thread only.  Input is taken as it comes; ek_logrole_tick() at the end of each turn writes it
 * out.  Files are opened by ek_logrole_open() and again by ek_logrole_reopen(), with the rights of that
 * moment.
 */
#pragma once
#include "module/registry.h"

typedef struct EkLogRole EkLogRole;

typedef struct {                     /* the block `log { }` */
  const char *level;                 /* every process: what is logged at all */
  const char *syslog_name;           /* every process: "ekiden", "postfix" */
  const char *login_name;            /* NULL: "dovecot" when syslog_name is "postfix", else syslog_name */
  const char *file;                  /* text lines; NULL: none; "-": standard error */
  const char *json;                  /* JSON lines; NULL: none */
  bool        syslog;
  const char *syslog_socket;
  const char *timestamps;            /* "traditional", "rfc3339" */
  const char *trace;                 /* folder of the event store; NULL: none */
  EkSize      trace_size;
} EkLogOptions;

extern const EkOption    ek_log_options[];
extern const EkBlockType ek_log_block;           /* for ek_block_register() */

/* `hostname` is what lines name; copied, as all options are.  NULL when a file cannot be opened.
 * A syslog that does not answer is no error: it is tried again at each tick. */
EkLogRole *ek_logrole_open (const EkLogOptions *options, const char *hostname, GError **error);

/* Bytes of a process's stream, in any portions. */
void ek_logrole_input (EkLogRole *self, const char *role, gint64 pid, const char *bytes, gsize len);
/* The stream has ended. */
void ek_logrole_gone (EkLogRole *self, gint64 pid);

/* Writes out what came in.  Cheap when there is nothing.  True: a sink takes no more now (syslogd is
 * away, a disk is full) and lines wait, so call it again in a second even when no input comes. */
bool ek_logrole_tick (EkLogRole *self);

/* A new generation: takes the new options, or keeps all as it was when one of them cannot be had.
 * Streams go on undisturbed. */
bool ek_logrole_configure (EkLogRole *self, const EkLogOptions *options, const char *hostname, GError **error);

/* After rotation: opens the files by name anew.  One that cannot be opened is gone on with. */
bool ek_logrole_reopen (EkLogRole *self, GError **error);
void ek_logrole_close (EkLogRole *self);         /* writes out first; NULL is fine */

guint64 ek_logrole_dropped (const EkLogRole *self);      /* records that a sink did not take */
