/* test-badnames.c - names that mean harm, asked for in files and of the system: never found, never put off, and who is there still is
 * SPDX-License-Identifier: Apache-2.0
 *
 * By itself with a few.  tests/system/hostile-names.py runs it with all of tests/lib/badnames.py: EKIDEN_BADNAMES is a file that has one in
 * hexadecimal on each line. */
#include "netmaps.h"
#include "base/base.h"
#include <glib/gstdio.h>
#include <pwd.h>

#define ANNA "anna@a.test"

static GPtrArray *names;             /* of EkBuf: whole keys */

/* ---- the names ---- */

static void
name_free (gpointer data)
{
  ek_buf_release (data);
  g_free (data);
}

static EkStr
name_at (guint i)
{
  const EkBuf *name = names->pdata[i];

  return (EkStr) { ek_buf_at (name), ek_buf_len (name) - 1 };
}

static void
add_name (EkStr name, const char *behind)
{
  EkBuf *copy = g_new0 (EkBuf, 1);

  ek_buf_append (copy, name.p, name.n);
  ek_buf_appends (copy, behind);
  ek_buf_appendc (copy, '\0');       /* AddressSanitizer's regexec() reads up to there */
  g_ptr_array_add (names, copy);
}

static void
add_line (const char *hex)
{
  EkBuf name = { 0 };

  g_assert_true (ek_hex_decode (ek_str (hex), &name));
  add_name (ek_buf_str (&name), "");
  add_name (ek_buf_str (&name), "@a.test");
  ek_buf_release (&name);
}

static void
read_names (void)
{
  static const EkStr few[] = { EK_STR ("a*"), EK_STR ("' OR '1'='1"), EK_STR ("anna\0@a.test"), EK_STR ("\xff\xfe@a.test"), EK_STR (ANNA " "),
                               EK_STR ("") };
  const char *file = g_getenv ("EKIDEN_BADNAMES");
  g_autofree char *text = NULL;

  names = g_ptr_array_new_with_free_func (name_free);
  for (guint i = 0; i < G_N_ELEMENTS (few); i++)
    add_name (few[i], "");
  if (file == NULL)
    return;
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++)
    if (**line)
      add_line (*line);
}

/* ---- files ---- */

typedef struct {
  const char *module, *key;
  const char *text;                  /* of its file; NULL: the module makes it */
} Table;

static const Table tables[] = {
  { "text", ANNA, ANNA " yes\n" },
  { "regexp", ANNA, "/^anna@a\\.test$/ yes\n" },
  { "pcre", ANNA, "/^anna@a\\.test$/ yes\n" },
  { "cidr", "192.0.2.1", "192.0.2.0/24 yes\n" },
  { "cdb", ANNA, NULL },
  { "lmdb", ANNA, NULL },
};

/* NULL: the module was not built. */
static EkInstance *
open_table (const char *module, const char *path)
{
  g_autofree char *text = g_strdup_printf ("%s \"test\" {\npath = \"%s\"\n}\n", module, path), *said = NULL;
  g_autoptr (GError) error = NULL;
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, &said);

  if (gen == NULL && strstr (said, "is not installed"))
    return NULL;
  if (gen == NULL || !ek_generation_start (gen, &error))
    g_error ("%s: %s", module, error ? error->message : said);
  return ek_generation_instance (gen, "test", 0);
}

static void
build (const EkInstance *self, const char *path)
{
  const EkMapBuildOps *ops = self->module->map->build;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  gpointer build = ops->begin (path, 1, 14, &error);
  g_assert_no_error (error);
  g_assert_true (ops->add (build, EK_STR (ANNA), EK_STR ("yes"), &error));
  g_assert_true (ops->end (build, true, &error));
}

static void
test_table (gconstpointer data)
{
  const Table *table = data;
  g_autofree char *folder = g_dir_make_tmp ("ekiden-badnames-XXXXXX", NULL), *path = g_build_filename (folder, "table", NULL);

  g_assert_true (g_file_set_contents (path, table->text ? table->text : "", -1, NULL));
  EkInstance *self = open_table (table->module, path);
  if (self && table->text == NULL) {
    build (self, path);
    ek_test_instance_free (self);
    self = open_table (table->module, path);
  }
  if (self == NULL)
    g_test_skip ("the module was not built");
  for (guint i = 0; self && i < names->len; i++) {
    EkStr name = name_at (i);
    const char *got = ask_for (self, name, 0);
    bool long_one = strcmp (table->module, "regexp") == 0 && name.n > EK_MAP_KEY_MAX;      /* whose time would grow with its square */
    if (strcmp (got, long_one ? "[defer]" : "[notfound]") != 0)
      g_error ("%s gave \"%s\" (%s) for the name %u: \"%.40s\"", table->module, got, why, i, name.p);
  }
  if (self) {
    g_assert_cmpstr (ask (self, table->key), ==, "yes");
    ek_test_instance_free (self);
  }
  g_unlink (path);
  g_rmdir (folder);
}

/* ---- the system's users ---- */

static EkStatus
find_user (EkInstance *self, const char *name)
{
  EkUserLookup user = { .name = name };
  g_autoptr (GError) error = NULL;
  EkStatus status = ek_op_call (self, pool, 0, ek_run_user, &user, &error);

  if (error)
    g_error ("%.40s: %s", name, error->message);
  return status;
}

/* The same names with an account of the system in anna's place.  Names of users are texts without a NUL. */
static void
test_passwd (void)
{
  const struct passwd *own = getpwuid (getuid ());
  g_autofree char *account = g_strdup (own ? own->pw_name : "root"), *good = g_strconcat (account, "@a.test", NULL);
  EkInstance *self = ek_test_instance ("passwd", "min_uid = 0\nmax_uid = 4294967294\n");

  for (guint i = 0; i < names->len; i++) {
    EkStr name = name_at (i);
    const char *at = strrchr (name.p, '@');
    if (strlen (name.p) != name.n || (at && strcmp (at, "@a.test") != 0))      /* another domain's: the account is what is before it */
      continue;
    g_auto (GStrv) parts = g_strsplit (name.p, "anna", -1);
    g_autofree char *mine = g_strjoinv (account, parts);
    if (find_user (self, mine) != EK_NOTFOUND)
      g_error ("the name %u is somebody: \"%.40s\"", i, mine);
  }
  g_assert_cmpint (find_user (self, good), ==, EK_OK);
  ek_test_instance_free (self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);
  read_names ();
  for (guint i = 0; i < G_N_ELEMENTS (tables); i++) {
    g_autofree char *path = g_strconcat ("/badnames/", tables[i].module, NULL);
    g_test_add_data_func (path, &tables[i], test_table);
  }
  g_test_add_func ("/badnames/passwd", test_passwd);
  int failed = run_tests ();
  g_ptr_array_unref (names);
  return failed;
}
