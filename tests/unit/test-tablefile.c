/* test-tablefile.c - tables of files: when an old one ends
 * SPDX-License-Identifier: Apache-2.0 */
#include "instance.h"
#include "lookup/tablefile.h"
#include <unistd.h>

static guint n_freed;

static gpointer
copy_text (const EkTableText *text, gpointer user, GError **error)
{
  return g_strndup (text->text, text->len);
}

static void
count_free (gpointer table)
{
  n_freed++;
  g_free (table);
}

/* Who lets go of a table does not free it, for he may be the loop: who looks next does. */
static void
test_release (void)
{
  static const EkTableKind kind = { .parse = copy_text, .free = count_free };
  g_autofree char *folder = g_dir_make_tmp ("ek-XXXXXX", NULL), *path = g_build_filename (folder, "table", NULL);
  EkTableFile *file;

  test_rename_in (path, "one", -1);
  file = ek_table_file_new ("kept", path, &kind, NULL);
  gconstpointer one = ek_table_file_hold (file, NULL);
  g_assert_cmpstr (one, ==, "one");
  test_rename_in (path, "two", -1);
  ek_table_file_reload (file);
  g_assert_cmpuint (n_freed, ==, 0);
  gconstpointer two = ek_table_file_hold (file, NULL);
  g_assert_cmpstr (two, ==, "two");
  g_assert_cmpstr (one, ==, "one");
  ek_table_file_release (file, one);
  g_assert_cmpuint (n_freed, ==, 0);
  ek_table_file_reload (file);
  g_assert_cmpuint (n_freed, ==, 1);
  ek_table_file_release (file, two);
  ek_table_file_reload (file);
  g_assert_cmpuint (n_freed, ==, 1);               /* it is in use */
  ek_table_file_free (file);
  g_assert_cmpuint (n_freed, ==, 2);
  unlink (path);
  rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tablefile/release", test_release);
  return g_test_run ();
}
