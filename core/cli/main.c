/* main.c - ekiden(1): one program, many commands
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "flow/roles.h"
#include <locale.h>
#include <string.h>

static const EkCli commands[] = {
  { "status", "the processes of the running server, and its queue", ek_cli_status },
  { "reload", "take the configuration as it is now", ek_cli_reload },
  { "stop", "stop the server", ek_cli_stop },
  { "upgrade", "run the program that is installed now", ek_cli_upgrade },
  { "reopen", "open the log files anew, after a rotation", ek_cli_reopen },
  { "rekey", "make a new key for TLS session tickets", ek_cli_rekey },
  { "queue", "list, show, hold, delete ... what waits in the queue", ek_cli_queue },
  { "mailq", "list the queue as mailq(1) does", ek_cli_mailq },
  { "sendmail", "put a message into the queue, as sendmail(1)", ek_cli_sendmail },
  { "doctor", "look at what the server leans on, and say what to do", ek_cli_doctor },
  { "completion", "write the completion for a shell", ek_cli_completion },
  { "config", "check, show and change the configuration", ek_cli_config },
  { "module", "list and explain the modules", ek_cli_module },
  { "map", "ask maps, list and make them", ek_cli_map },
  { "trace", "tell the whole story of a message", ek_cli_trace },
  { "domain", "add, list, show, change and delete the domains that a map knows", ek_cli_domain },
  { "alias", "add, list, show, change and delete aliases", ek_cli_alias },
  { "user", "add, list, show, change and delete users", ek_cli_user },
  { "sql", "make and bring up to date the tables of a database", ek_cli_sql },
  { "pw", "make and test stored passwords", ek_cli_pw },
  { NULL, NULL, NULL },
};

static bool
is_built_in (const char *word)
{
  for (const EkCli *c = commands; c->name; c++)
    if (strcmp (c->name, word) == 0)
      return true;
  return *word == '-' || strcmp (word, "help") == 0;
}

/* Help names the commands of modules too. */
static int
help (int argc, char **argv)
{
  g_autoptr (GArray) table = g_array_new (TRUE, TRUE, sizeof (EkCli));

  g_array_append_vals (table, commands, G_N_ELEMENTS (commands) - 1);
  ek_cli_offers (table);
  return ek_cli_dispatch ((const EkCli *) (void *) table->data, "ekiden", argc, argv);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "");
  ek_roles_register ();                            /* the configuration's own blocks are known by their roles */
  if (argc < 2 || strcmp (argv[1], "help") == 0 || strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    return help (argc, argv);
  if (!is_built_in (argv[1])) {
    bool found;
    int status = ek_cli_offered (argc, argv, &found);
    if (found)
      return status;
  }
  return ek_cli_dispatch (commands, "ekiden", argc, argv);
}
