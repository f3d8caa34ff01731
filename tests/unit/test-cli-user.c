/* test-cli-user.c - ekiden user and ekiden pw, as they are typed
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/scheme.h"
#include "cli/cli.h"
#include "module/registry.h"
#include "unit/instance.h"
#include <fcntl.h>

static char *folder, *conf, *users, *more;
static char said[65536], complained[65536];

/* The domain's rows that these commands look at. */
typedef struct { EkInstance **auth, **users; const char *tag_delimiters; bool fold_case; } Domain;
static const EkOption domain_rows[] = {
  EK_OPTION (Domain, auth, "[]", "Passdbs.", .allow = "passdb"), EK_OPTION (Domain, users, "[]", "Userdbs.", .allow = "userdb"),
  EK_OPTION (Domain, tag_delimiters, "\"+\"", "Tags."), EK_OPTION (Domain, fold_case, "yes", "Case."), EK_OPTIONS_END
};
static const EkBlockType domain_type = {
  .kind = "domain", .doc = "A domain.", .options = domain_rows, .size = sizeof (Domain),
  .roles = EK_ROLE_BIT (EK_ROLE_DIRECTORY),
};

static int
redirect (const char *name, int fd, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  int keep = dup (fd);

  test_write (path, text, -1);
  int file = open (path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (dup2 (file, fd), ==, fd);
  close (file);
  return keep;
}

static void
restore (const char *name, int fd, int keep, char *text, gsize size)
{
  g_autofree char *path = g_build_filename (folder, name, NULL), *got = NULL;

  dup2 (keep, fd);
  close (keep);
  g_assert_true (g_file_get_contents (path, &got, NULL, NULL));
  g_strlcpy (text, got, size);
}

/* Runs "user add x" with `input` on standard input; what it wrote is in said and complained. */
static int
run (const char *input, const char *words)
{
  g_auto (GStrv) argv = g_strsplit (words, " ", -1);
  int in = redirect ("in", 0, input), out = redirect ("out", 1, ""), err = redirect ("err", 2, "");
  char in_text[100];
  int argc = (int) g_strv_length (argv);
  g_autofree char **copy = g_memdup2 (argv, sizeof (char *) * ((gsize) argc + 1));
  int status = strcmp (argv[0], "pw") == 0 ? ek_cli_pw (argc, copy) : ek_cli_user (argc, copy);

  restore ("in", 0, in, in_text, sizeof in_text);
  restore ("out", 1, out, said, sizeof said);
  restore ("err", 2, err, complained, sizeof complained);
  g_test_message ("%s: %d [%s] [%s]", words, status, said, complained);
  return status;
}

static void
assert_password (const char *file, const char *user, const char *password)
{
  g_autofree char *text = NULL, *start = g_strdup_printf ("\n%s:", user);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_autofree char *all = g_strconcat ("\n", text, NULL);
  char *line = strstr (all, start);
  g_assert_nonnull (line);
  line += strlen (start);
  gsize n = strcspn (line, ":\n");
  g_assert_cmpint (ek_password_verify (ek_str (password), (EkStr) { line, n }, "PLAIN", &error), ==, EK_OK);
}

static void
test_user (void)
{
  g_assert_cmpint (run ("geheim\n", "user add -s SSHA256 Anna@Example.COM"), ==, 0);
  g_assert_true (test_has (said, "anna@example.com: added (file \"people\")"));
  assert_password (users, "anna@example.com", "geheim");
  g_assert_cmpint (run ("x\n", "user add anna@example.com"), ==, 1);
  g_assert_true (test_has (complained, "is a user already"));
  g_assert_cmpint (run ("", "user add ben@example.com"), ==, 1);
  g_assert_true (test_has (complained, "no password was given"));
  g_assert_cmpint (run ("pass word\r\n", "user add --rounds 4 ben"), ==, 0);       /* the first domain's */
  assert_password (users, "ben@example.com", "pass word");
  g_assert_cmpint (run ("neu", "user passwd --json -s PLAIN anna@example.com"), ==, 0);
  g_assert_cmpstr (said, ==, "{\"user\":\"anna@example.com\",\"done\":\"password set\",\"instance\":\"people\"}\n");
  assert_password (users, "anna@example.com", "neu");
  g_assert_cmpint (run ("x", "user passwd carl@example.com"), ==, 1);
  g_assert_true (test_has (complained, "there is no user carl@example.com"));
  g_assert_cmpint (run ("", "user add --hash {PLAIN}y dora@example.net"), ==, 0);
  assert_password (more, "dora", "y");                             /* username_format = %n */
  g_assert_cmpint (run ("", "user add --hash plain emil@example.net"), ==, 1);
  g_assert_cmpint (run ("x", "user add anna@elsewhere.example"), ==, 1);
  g_assert_true (test_has (complained, "is in no domain of ours"));
  g_assert_cmpint (run ("x", "user add anna+tag@example.com"), ==, 1);
  g_assert_true (test_has (complained, "is a tag"));
  g_assert_cmpint (run ("x", "user add anna@example.org"), ==, 1);
  g_assert_true (test_has (complained, "none of the instances"));
  g_assert_cmpint (run ("x", "user add -s NOSUCH gerd@example.com"), ==, 1);
  g_assert_true (test_has (complained, "NOSUCH is not known"));
  g_assert_cmpint (run ("x", "user add"), ==, 2);
  g_assert_cmpint (run ("x", "user add a:b@example.com"), !=, 0);

  g_assert_cmpint (run ("", "user list"), ==, 0);
  g_assert_cmpstr (said, ==, "anna@example.com\nben@example.com\ndora@example.net\n");
  g_assert_cmpint (run ("", "user list --json *@example.net"), ==, 0);
  g_assert_cmpstr (said, ==, "[\"dora@example.net\"]\n");
  g_assert_cmpint (run ("", "user delete ben@example.com"), ==, 0);
  g_assert_cmpint (run ("", "user delete ben@example.com"), ==, 1);
  g_assert_true (test_has (complained, "there is no user ben@example.com"));
  g_assert_cmpint (run ("", "user list"), ==, 0);
  g_assert_cmpstr (said, ==, "anna@example.com\ndora@example.net\n");
  g_assert_cmpint (run ("", "user"), ==, 2);
}

static void
test_broken (void)
{
  test_write (users, ":broken\n", -1);
  g_assert_cmpint (run ("x", "user add anna@example.com"), ==, 1);
  g_assert_true (test_has (complained, "the user name is missing"));
  g_unlink (users);
  test_write (conf, "domain \"example.com\" { auth = nobody\n}\n", -1);
  g_assert_cmpint (run ("x", "user add anna@example.com"), ==, 1);
  g_assert_true (test_has (complained, "nobody"));
}

static void
test_pw (void)
{
  g_assert_cmpint (run ("geheim\n", "pw -s SSHA512"), ==, 0);
  g_assert_true (g_str_has_prefix (said, "{SSHA512}"));
  g_autofree char *hash = g_strndup (said, strcspn (said, "\n")), *test_it = g_strdup_printf ("pw -t %s -p geheim", hash);
  g_assert_cmpint (run ("", test_it), ==, 0);
  g_assert_true (test_has (said, "(verified)"));
  g_autofree char *wrong = g_strdup_printf ("pw --json -t %s -p Geheim", hash);
  g_assert_cmpint (run ("", wrong), ==, 1);
  g_assert_true (test_has (said, "\"verified\":false"));
  g_assert_cmpint (run ("", "pw -p x -r 4"), ==, 0);
  g_assert_true (g_str_has_prefix (said, "{BLF-CRYPT}$2y$04$"));
  g_assert_cmpint (run ("", "pw -p x -r 3"), ==, 1);
  g_assert_true (test_has (complained, "from 4 to 31"));
  g_assert_cmpint (run ("", "pw -p x -s NOSUCH"), ==, 1);
  g_assert_cmpint (run ("", "pw -p x -r -1"), ==, 2);
  g_assert_cmpint (run ("", "pw -p x -t {NOSUCH}x"), ==, 1);
  g_assert_true (test_has (complained, "NOSUCH"));
  g_assert_cmpint (run ("", "pw"), ==, 1);
  g_assert_cmpint (run ("x", "pw word"), ==, 2);
  g_assert_cmpint (run ("", "pw -l"), ==, 0);
  g_assert_true (test_has (said, "SHA512-CRYPT\n"));
#ifdef WITH_ARGON2
  g_assert_true (test_has (said, "ARGON2ID\n"));
  g_assert_cmpint (run ("", "pw -s argon2id -p x -r 1"), ==, 0);
  g_assert_true (g_str_has_prefix (said, "{ARGON2ID}$argon2id$"));
#endif
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_MODULE_PATH", EK_BUILDDIR "/modules", FALSE);
  ek_block_register (&domain_type);
  folder = test_folder ();
  conf = g_build_filename (folder, "ekiden.conf", NULL);
  users = g_build_filename (folder, "users", NULL);
  more = g_build_filename (folder, "more", NULL);
  g_autofree char *text = g_strdup_printf (
    "file \"people\" { path = \"%s\" }\nfile \"more\" { path = \"%s\"\n username_format = %%n }\ntest \"away\" { }\nstatic \"all\" { }\n"
    "domain \"example.com\" { auth = away, people\n}\ndomain \"example.net\" { auth = more\n users = all\n}\n"
    "domain \"example.org\" { auth = away\n}\n", users, more);
  test_write (conf, text, -1);
  test_write (more, "", 0);
  g_setenv ("EKIDEN_CONFIG", conf, TRUE);
  g_test_add_func ("/cli/user", test_user);
  g_test_add_func ("/cli/broken", test_broken);
  g_test_add_func ("/cli/pw", test_pw);
  int result = g_test_run ();
  test_remove_folder (folder);
  g_free (conf);
  g_free (users);
  g_free (more);
  return result;
}
