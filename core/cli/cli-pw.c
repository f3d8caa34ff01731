/* cli-pw.c - ekiden pw: makes and verifies stored passwords, as `doveadm pw` does
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/password.h"
#include <string.h>
#include <unistd.h>

static char *scheme, *password, *hash;
static gint rounds;
static gboolean json, list;

static const GOptionEntry entries[] = {
  { "scheme", 's', 0, G_OPTION_ARG_STRING, &scheme, "The scheme (" EK_SCHEME_DEFAULT ")", "SCHEME" },
  { "password", 'p', 0, G_OPTION_ARG_STRING, &password, "The password; others on this machine can see it", "PASSWORD" },
  { "test", 't', 0, G_OPTION_ARG_STRING, &hash, "Tell whether the password fits this", "HASH" },
  { "rounds", 'r', 0, G_OPTION_ARG_INT, &rounds, "What the hash shall cost; each scheme counts in its own way", "ROUNDS" },
  { "list", 'l', 0, G_OPTION_ARG_NONE, &list, "List the schemes", NULL },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL }
};

static int
list_schemes (void)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  (void) ek_cli_scheme (EK_STR (""));
  g_auto (GStrv) names = ek_scheme_names ();
  if (json)
    ek_json_array (&j, NULL);
  for (guint i = 0; names[i]; i++) {
    if (json)
      ek_json_text (&j, NULL, names[i]);
    else
      ek_buf_printf (&out, "%s\n", names[i]);
  }
  if (json) {
    ek_json_end_array (&j);
    ek_buf_appendc (&out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

/* One line: the hash, and whether it fits when it was a test. */
static void
write_hash (const char *stored, const bool *fits)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "hash", stored);
    if (fits)
      ek_json_bool (&j, "verified", *fits);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else
    ek_buf_printf (&out, "%s%s\n", stored, fits ? *fits ? " (verified)" : " (wrong password)" : "");
  ek_cli_write (STDOUT_FILENO, &out);
}

static int
verify (EkStr secret, GError **error)
{
  EkStr name;

  ek_scheme_split (ek_str (hash), &name);
  (void) ek_cli_scheme (name.n > 0 ? name : ek_str (scheme));
  EkStatus status = ek_password_verify (secret, ek_str (hash), scheme ? scheme : EK_SCHEME_DEFAULT, error);
  bool fits = status == EK_OK;
  if (status != EK_DEFER)
    write_hash (hash, &fits);
  return fits ? EK_EXIT_OK : EK_EXIT_FAILED;
}

static int
make (EkStr secret, GError **error)
{
  const char *name = scheme ? scheme : EK_SCHEME_DEFAULT;

  if (rounds < 0)
    return ek_cli_usage ("rounds are not negative");
  (void) ek_cli_scheme (ek_str (name));
  char *stored = ek_password_make (name, secret, (guint) rounds, error);
  if (stored == NULL)
    return EK_EXIT_FAILED;
  write_hash (stored, NULL);
  ek_wipe_free (stored);
  return EK_EXIT_OK;
}

int
ek_cli_pw (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  EkBuf secret = { 0 };
  int status;

  g_clear_pointer (&scheme, g_free);
  g_clear_pointer (&password, g_free);
  g_clear_pointer (&hash, g_free);
  rounds = 0;
  json = list = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "- make a stored password", "Asks for a password (or reads a line from standard "
                       "input) and prints it as {SCHEME}hash, for users files and tables.\n\nExamples:\n  ekiden pw\n  ekiden pw -s SHA512-CRYPT -r 100000\n"
                       "  ekiden pw -t '{BLF-CRYPT}$2y$...'\n  ekiden pw --list", &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("pw takes no words: the password is asked for, or -p PASSWORD");
  if (list)
    return list_schemes ();
  if (password) {
    ek_buf_room (&secret, strlen (password) + 1);
    ek_buf_appends (&secret, password);
    ek_wipe (password, strlen (password));
  }
  else if (!ek_cli_password ("Password: ", hash == NULL, &secret, &error))
    return ek_cli_failed (error);
  status = hash ? verify (ek_buf_str (&secret), &error) : make (ek_buf_str (&secret), &error);
  ek_buf_wipe (&secret);
  return error ? ek_cli_failed (error) : status;
}
