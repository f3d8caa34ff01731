/* test-edit.c - `config set`: one value changed in the text, all else as it was
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/edit.h"
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder;

static char *
path_of (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static void
put (const char *name, const char *text)
{
  g_autofree char *path = path_of (name);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static char *
edited (const char *text, const char *path, const char *value, guint *line)
{
  g_autofree char *file = path_of ("main.conf");
  g_autoptr (GError) error = NULL;
  EkConfEdit edit;

  put ("main.conf", text);
  if (!ek_conf_edit (file, path, value, &edit, &error))
    return g_strdup (error->message);
  char *result = g_strndup (ek_buf_at (&edit.text), ek_buf_len (&edit.text));
  if (line)
    *line = edit.line;
  ek_conf_edit_clear (&edit);
  return result;
}

static const struct { const char *text, *path, *value, *gives; guint line; } cases[] = {
  { "a = 1 # one\nb = 2\n", "a", "5d", "a = 5d # one\nb = 2\n", 1 },
  { "a =\nb = 2\n", "a", "x", "a = x\nb = 2\n", 1 },
  { "a=1", "a", "x y", "a=\"x y\"", 1 },
  { "a = [ 1, # c\n  2 ] # d\n", "a", "[]", "a = [] # d\n", 1 },
  { "a = 1\n", "a", "2, \"3 4\"", "a = 2, \"3 4\"\n", 1 },
  { "a = 1\n", "a", "x # y", "a = \"x # y\"\n", 1 },
  { "a = 1\n", "a", "x;y", "a = \"x;y\"\n", 1 },
  { "a = 1\n", "a", "", "a = \"\"\n", 1 },
  { "a = 1\n", "a", "two\nlines", "a = \"two\\nlines\"\n", 1 },
  { "$v = 1\na = 1\n", "a", "$v", "$v = 1\na = $v\n", 2 },
  { "a = 1\n", "a", "file(\"pw\")", "a = file(\"pw\")\n", 1 },
  { "# head\na = 1\n\nq {\n}\n", "b", "2", "# head\na = 1\nb = 2\n\nq {\n}\n", 3 },
  { "# head\n$x = 1\nq {\n}\n", "b", "2", "# head\n$x = 1\nb = 2\nq {\n}\n", 3 },
  { "q {\n\ta = 1 # c\n\n\tb = [1,\n\t  2] # d\n}\n", "q.c", "3", "q {\n\ta = 1 # c\n\n\tb = [1,\n\t  2] # d\n\tc = 3\n}\n", 6 },
  { "q { a = 1 }\n", "q.c", "3", "q { a = 1\n  c = 3\n}\n", 2 },
  { "q {}\n", "q.c", "3", "q {\n  c = 3\n}\n", 2 },
  { "q {\n  # nothing\n}\n", "q.c", "3", "q {\n  # nothing\n  c = 3\n}\n", 3 },
  { "l \"mx\" {\n  s { x = 1 }\n}\n", "l.mx.s.x", "2", "l \"mx\" {\n  s { x = 2 }\n}\n", 2 },
  { "d \"a.b\" {\n k = 1\n}\nd a {\n k = 1\n}\n", "d.a.b.k", "2", "d \"a.b\" {\n k = 2\n}\nd a {\n k = 1\n}\n", 2 },
  { "d \"a.b\" {\n k = 1\n}\n", "d.\"a.b\".k", "2", "d \"a.b\" {\n k = 2\n}\n", 2 },
  { "a = 1", "q.c", "3", "a = 1\n\nq {\n  c = 3\n}\n", 4 },
  { "", "d.x.org.c", "3", "d \"x.org\" {\n  c = 3\n}\n", 2 },
  { "a = 1\n", "q.", "3", "\"q.\" is no way to a setting: expected KEY, KIND.KEY or KIND.NAME.KEY, as in hostname, queue.lifetime or "
    "listener.mx.address", 0 },
};

static void
test_text (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint line = 0;
    g_autofree char *text = edited (cases[i].text, cases[i].path, cases[i].value, &line);
    g_assert_cmpstr (text, ==, cases[i].gives);
    g_assert_cmpuint (line, ==, cases[i].line);
  }
}

/* The file that holds the setting is the one that changes; a link to it stays a link. */
static void
test_files (void)
{
  g_autofree char *file = path_of ("main.conf"), *part = path_of ("part.conf"), *link = path_of ("link.conf");
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  EkConfEdit edit;
  struct stat st;

  put ("main.conf", "a = 1\ninclude \"link.conf\"\n");
  put ("part.conf", "# part\nq {\n  b = 1   # here\n}\n");
  g_assert_cmpint (symlink ("part.conf", link), ==, 0);
  g_assert_cmpint (g_chmod (part, 0640), ==, 0);
  g_assert_true (ek_conf_edit (file, "q.b", "2", &edit, &error));
  g_assert_cmpstr (edit.file, ==, part);
  g_assert_cmpuint (edit.line, ==, 3);
  g_assert_true (ek_conf_edit_write (&edit, &error));
  g_assert_no_error (error);
  ek_conf_edit_clear (&edit);
  g_assert_true (g_file_get_contents (part, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "# part\nq {\n  b = 2   # here\n}\n");
  g_assert_cmpint (lstat (link, &st), ==, 0);
  g_assert_true (S_ISLNK (st.st_mode));
  g_assert_cmpint (stat (part, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0640);

  g_assert_true (ek_conf_edit (file, "q.b", "2", &edit, &error));
  g_assert_true (edit.same);
  ek_conf_edit_clear (&edit);

  g_assert_true (ek_conf_edit (file, "q.b", "3", &edit, &error));      /* somebody else is faster */
  put ("part.conf", "q {\n  b = 9\n}\n");
  g_assert_false (ek_conf_edit_write (&edit, &error));
  g_assert_nonnull (strstr (error->message, "was changed meanwhile"));
  ek_conf_edit_clear (&edit);
  GDir *dir = g_dir_open (folder, 0, NULL);        /* no temporary file is left */
  for (const char *name; (name = g_dir_read_name (dir));)
    g_assert_cmpint (name[0], !=, '.');
  g_dir_close (dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_autofree char *made = g_dir_make_tmp ("ekiden-edit-XXXXXX", NULL);
  folder = realpath (made, NULL);
  g_test_add_func ("/edit/text", test_text);
  g_test_add_func ("/edit/files", test_files);
  int failed = g_test_run ();
  const char *const names[] = { "main.conf", "part.conf", "link.conf" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = path_of (names[i]);
    g_unlink (path);
  }
  g_rmdir (folder);
  free (folder);
  return failed;
}
