/* cli.c - what the commands of ekiden(1) share: dispatch, options, output
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

void
ek_cli_write (int fd, EkBuf *out)
{
  while (ek_buf_len (out) > 0) {
    ssize_t n = write (fd, ek_buf_at (out), ek_buf_len (out));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)                                     /* nobody reads: there is no one to tell */
      break;
    ek_buf_consume (out, (gsize) n);
  }
  ek_buf_release (out);
}

int
ek_cli_usage (const char *text)
{
  EkBuf out = { 0 };

  ek_buf_printf (&out, "ekiden: %s\n", text);
  ek_cli_write (STDERR_FILENO, &out);
  return EK_EXIT_USAGE;
}

int
ek_cli_failed (const GError *error)
{
  EkBuf out = { 0 };

  ek_buf_printf (&out, "ekiden: %s\n", error->message);
  ek_cli_write (STDERR_FILENO, &out);
  return EK_EXIT_FAILED;
}

bool
ek_cli_options (int *argc, char ***argv, const GOptionEntry *entries, const char *words, const char *summary, int *status)
{
  g_autoptr (GOptionContext) context = g_option_context_new (words);
  g_autoptr (GError) error = NULL;
  gboolean help = FALSE;
  const GOptionEntry help_entry[] = {
    { "help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this", NULL }, { NULL, 0, 0, 0, NULL, NULL, NULL }
  };

  g_option_context_set_help_enabled (context, FALSE);      /* GLib's would exit, past our destructors */
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_main_entries (context, help_entry, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    *status = ek_cli_usage (error->message);
    return false;
  }
  if (!help) {                                     /* `--` has done its work */
    if (*argc > 1 && strcmp ((*argv)[1], "--") == 0) {
      (*argv)[1] = (*argv)[0];
      (*argv)++;
      (*argc)--;
    }
    return true;
  }
  EkBuf out = { 0 };
  g_autofree char *text = g_option_context_get_help (context, TRUE, NULL);
  ek_buf_appends (&out, text);
  ek_cli_write (STDOUT_FILENO, &out);
  *status = EK_EXIT_OK;
  return false;
}

static void
list (const EkCli *table, const char *program, int fd)
{
  EkBuf out = { 0 };

  ek_buf_printf (&out, "Usage: %s COMMAND ...\n\n", program);
  for (const EkCli *c = table; c->name; c++)
    ek_buf_printf (&out, "  %-10s %s\n", c->name, c->summary);
  ek_buf_printf (&out, "\n%s COMMAND --help says more.\n", program);
  ek_cli_write (fd, &out);
}

static int
unknown (const EkCli *table, const char *program, const char *word)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *text = NULL;

  for (const EkCli *c = table; c->name; c++)
    g_ptr_array_add (names, (gpointer) c->name);
  const char *near = ek_nearest (word, (const char *const *) names->pdata, names->len);
  text = near ? g_strdup_printf ("%s has no command \"%s\"; did you mean \"%s\"?", program, word, near)
              : g_strdup_printf ("%s has no command \"%s\": see %s --help", program, word, program);
  return ek_cli_usage (text);
}

int
ek_cli_dispatch (const EkCli *table, const char *program, int argc, char **argv)
{
  if (argc < 2) {
    list (table, program, STDERR_FILENO);
    return EK_EXIT_USAGE;
  }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0 || strcmp (argv[1], "help") == 0) {
    list (table, program, STDOUT_FILENO);
    return EK_EXIT_OK;
  }
  for (const EkCli *c = table; c->name; c++)
    if (strcmp (c->name, argv[1]) == 0) {
      static char full[80];                        /* what its help calls it */
      g_snprintf (full, sizeof full, "%s %s", program, c->name);
      argv[1] = full;
      return c->run (argc - 1, argv + 1);
    }
  return unknown (table, program, argv[1]);
}
