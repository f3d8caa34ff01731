/* test-dbm.c - modules lmdb and cdb: files of our own and of Postfix's postmap, replaced, cut short and read by many
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/instance.h"
#include "lookup/dbfile.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#ifdef WITH_LMDB
# include <lmdb.h>
#endif

#define LOOK 60000                   /* longer than ek_table_file_patience here */

extern const EkModule ek_module_lmdb, ek_module_cdb;
static const EkModule *const modules[] = {
#ifdef WITH_LMDB
  &ek_module_lmdb,
#endif
#ifdef WITH_CDB
  &ek_module_cdb,
#endif
};

static char *folder, *path;
static const EkModule *module;       /* the one under test */
static TestInstance test;
static EkCall call;

typedef struct { EkStr key, value; } Row;
#define ROW(key_, value_) { { "" key_ "", sizeof (key_) - 1 }, { "" value_ "", sizeof (value_) - 1 } }

/* A file of these rows (sorted), renamed into the place of `at`. */
static void
put_rows (const char *at, const Row *rows, guint n)
{
  const EkMapBuildOps *ops = module->map->build;
  g_autofree char *temp = g_strconcat (at, ".made", NULL);
  g_autoptr (GError) error = NULL;
  guint64 bytes = 0;

  for (guint i = 0; i < n; i++)
    bytes += rows[i].key.n + rows[i].value.n;
  test_write (temp, "", 0);
  gpointer build = ops->begin (temp, n, bytes, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < n; i++) {
    g_assert_true (ops->add (build, rows[i].key, rows[i].value, &error));
    g_assert_no_error (error);
  }
  g_assert_true (ops->end (build, true, &error));
  g_assert_cmpint (g_rename (temp, at), ==, 0);
}

static EkInstance *
begin (const char *at, const char *more)
{
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"\n%s", at, more);
  g_autoptr (GError) error = NULL;
  EkInstance *self = test_instance_new (&test, module, "it", settings, &error);

  g_assert_no_error (error);
  return self;
}

static void
end (void)
{
  test_instance_free (&test);
  test_call_clear (&call);
}

static EkStatus
lookup (EkInstance *self, EkStr key, EkStr *value)
{
  return test_lookup (self, &call, key, value);
}

static const char *
get (EkInstance *self, const char *key)
{
  return test_get (self, &call, key);
}

/* Each test for each module that was built. */
static void
for_each (gconstpointer func)
{
  for (guint i = 0; i < G_N_ELEMENTS (modules); i++) {
    module = modules[i];
    ((void (*) (void)) func) ();
  }
}

/* ---- lookups ---- */

static const Row plain[] = {
  ROW ("@example.com", "all"), ROW ("anna@example.com", "1"), ROW ("bin\xff", "\xfe"), ROW ("john smith@example.com", "3"), ROW ("zoe", "z \" z"),
};

static void
test_lookups (void)
{
  g_autofree char *longer = g_strnfill (600, 'a'), *longest = g_strnfill (5000, 'a');
  EkStr value;

  put_rows (path, plain, G_N_ELEMENTS (plain));
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "@example.com"), ==, "all");
  g_assert_cmpstr (get (self, "Anna@Example.com"), ==, "1");
  g_assert_cmpstr (get (self, "bin\xff"), ==, "\xfe");
  g_assert_cmpstr (get (self, "john smith@example.com"), ==, "3");
  g_assert_cmpstr (get (self, "\"John Smith\"@example.com"), ==, "3");
  g_assert_cmpstr (get (self, "zoe"), ==, "z \" z");
  g_assert_cmpstr (get (self, "\""), ==, "notfound");
  g_assert_cmpstr (get (self, "\"\""), ==, "notfound");
  g_assert_cmpstr (get (self, "zo"), ==, "notfound");
  g_assert_cmpstr (get (self, "zoee"), ==, "notfound");
  g_assert_cmpstr (get (self, ""), ==, "notfound");
  g_assert_cmpstr (get (self, longer), ==, "notfound");
  g_assert_cmpstr (get (self, longest), ==, "notfound");
  g_assert_cmpint (lookup (self, EK_STR ("zoe\0"), &value), ==, EK_NOTFOUND);
  g_assert_cmpint (lookup (self, EK_STR ("zoe\0x"), &value), ==, EK_NOTFOUND);
  g_assert_cmpint (lookup (self, (EkStr) { NULL, 0 }, &value), ==, EK_NOTFOUND);
  end ();
}

/* As postmap writes them on most systems; keys that were not folded. */
static void
test_with_nul (void)
{
  static const Row rows[] = { ROW ("Anna\0", "upper\0"), ROW ("anna\0", "lower\0"), ROW ("empty\0", "\0"), ROW ("none", "") };

  put_rows (path, rows, G_N_ELEMENTS (rows));
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "ANNA"), ==, "lower");
  g_assert_cmpstr (get (self, "empty"), ==, "");
  g_assert_cmpstr (get (self, "none"), ==, "");
  end ();
  self = begin (path, "fold_case = no");
  g_assert_cmpstr (get (self, "Anna"), ==, "upper");
  g_assert_cmpstr (get (self, "ANNA"), ==, "notfound");
  end ();
}

static void
test_no_rows (void)
{
  put_rows (path, NULL, 0);
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "a"), ==, "notfound");
  end ();
}

static void
list_row (EkStr key, EkStr value, gpointer data)
{
  g_string_append_printf (data, "%.*s=%.*s;", EK_STR_ARG (key), EK_STR_ARG (value));
}

static void
test_each (void)
{
  static const Row rows[] = { ROW ("a\0", "1\0"), ROW ("b", "2"), ROW ("c", "3") };
  g_autoptr (GString) said = g_string_new (NULL);

  put_rows (path, rows, G_N_ELEMENTS (rows));
  EkInstance *self = begin (path, "");
  g_assert_cmpint (module->map->each (self, test_call (&call), list_row, said), ==, EK_OK);
  g_assert_cmpstr (said->str, ==, "a=1;b=2;c=3;");
  end ();
}

/* ---- other files ---- */

static void
test_replaced (void)
{
  static const Row first[] = { ROW ("k", "1") }, second[] = { ROW ("k", "2") }, third[] = { ROW ("k", "3") };

  unlink (path);
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "k"), ==, "defer");
  g_assert_true (test_has (call.error->message, path) && test_has (call.error->message, "No such file"));
  put_rows (path, first, 1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k"), ==, "1");
  put_rows (path, second, 1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k"), ==, "2");
  test_rename_in (path, "this is a text\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k"), ==, "2");      /* what was good stays in use */
  unlink (path);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k"), ==, "2");
  put_rows (path, third, 1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k"), ==, "3");
  end ();
}

static void
test_no_database (void)
{
  g_autofree char *zeros = g_malloc0 (8192), *ones = g_strnfill (8192, '\xff');
  const struct { const char *text; gssize n; } wrong[] = { { "", 0 }, { "text\n", 5 }, { ones, 8192 }, { zeros, 8192 } };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    test_rename_in (path, wrong[i].text, wrong[i].n);
    EkInstance *self = begin (path, "");
    g_assert_cmpstr (get (self, "a"), ==, "defer");
    g_assert_true (test_has (call.error->message, path) && test_has (call.error->message, "make it by `ekiden map build`"));
    end ();
  }
  /* a folder, and a path that is none */
  EkInstance *self = begin (folder, "");
  g_assert_cmpstr (get (self, "a"), ==, "defer");
  end ();
  g_autoptr (GError) error = NULL;
  g_assert_null (test_instance_new (&test, module, "it", "path = x", &error));
  g_assert_true (test_has (error->message, "not absolute"));
  end ();
}

/* A copy that was not finished is not opened; a cdb that is cut under our hands defers. */
static void
test_cut (void)
{
  enum { N = 2000 };
  g_autofree Row *rows = g_new0 (Row, N);
  g_autofree char *texts = g_malloc0 (N * 8);

  for (guint i = 0; i < N; i++) {
    g_snprintf (texts + i * 8, 8, "k%05u", i);
    rows[i] = (Row) { ek_str (texts + i * 8), EK_STR ("some value that takes room") };
  }
  put_rows (path, rows, N);
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "k01999"), ==, "some value that takes room");
  if (strcmp (module->name, "cdb") == 0) {
    g_assert_cmpint (truncate (path, 10000), ==, 0);
    g_assert_cmpstr (get (self, "k01999"), ==, "defer");
    g_assert_true (test_has (call.error->message, "damaged"));
  }
  end ();
  put_rows (path, rows, N);
  g_assert_cmpint (truncate (path, 20000), ==, 0);
  self = begin (path, "");
  g_assert_cmpstr (get (self, "k00000"), ==, "defer");
  end ();
}

/* ---- many at once, while the file is replaced ---- */

static atomic_int stop_reading;

static gpointer
reader (gpointer data)
{
  EkInstance *self = data;
  EkCall mine = { 0 };
  guint n = 0;

  for (; !atomic_load (&stop_reading) || n == 0; n++) {
    EkQuery query = { .key = EK_STR ("k") };
    EkAnswer answer = { 0 };
    g_assert_cmpint (self->module->map->lookup (self, test_call (&mine), &query, &answer), ==, EK_OK);
    g_assert_true (g_str_has_prefix (ek_answer_column (&answer, NULL).p, "value"));
  }
  test_call_clear (&mine);
  return NULL;
}

static void
test_threads (void)
{
  gint64 patience = ek_table_file_patience;
  GThread *threads[3];
  char value[32];

  ek_table_file_patience = 0;                      /* every lookup looks at the file */
  put_rows (path, (Row[]) { ROW ("k", "value") }, 1);
  EkInstance *self = begin (path, "");
  atomic_store (&stop_reading, 0);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("reader", reader, self);
  for (guint i = 0; i < 40; i++) {
    g_snprintf (value, sizeof value, "value %u", i);
    Row row = { EK_STR ("k"), ek_str (value) };
    put_rows (path, &row, 1);
    g_usleep (2000);
  }
  atomic_store (&stop_reading, 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpstr (get (self, "k"), ==, "value 39");
  ek_table_file_patience = patience;
  end ();
}

/* ---- many rows, in the order of their keys ---- */

static void
test_large (void)
{
  guint n = g_test_slow () ? 2000000 : 60000;
  g_autofree Row *rows = g_new0 (Row, n);
  g_autofree char *texts = g_malloc0 ((gsize) n * 32);

  for (guint i = 0; i < n; i++) {
    char *text = texts + (gsize) i * 32;
    g_snprintf (text, 32, "user%08u@example.com", i);
    rows[i] = (Row) { ek_str (text), { text + 4, 8 } };
  }
  gint64 start = g_get_monotonic_time ();
  put_rows (path, rows, n);
  gint64 made = g_get_monotonic_time ();
  EkInstance *self = begin (path, "");
  for (guint i = 0; i < n; i += 7) {
    EkStr value;
    g_assert_cmpint (lookup (self, rows[i].key, &value), ==, EK_OK);
    g_assert_true (ek_str_eq (value, rows[i].value));
  }
  gint64 asked = g_get_monotonic_time ();
  g_test_message ("%s: %u rows made in %" G_GINT64_FORMAT " ms, %.1f us a lookup", module->name, n, (made - start) / 1000,
                  (double) (asked - made) / ((n + 6) / 7));
  end ();
}

#ifdef WITH_LMDB

/* ---- LMDB files that are written in their place ---- */

/* As postmap does, in a transaction under its flock(2); the map grows when it must. */
static void
write_in_place (guint rows, const char *value)
{
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  char key[16];

  g_assert_cmpint (mdb_env_create (&env), ==, 0);
  g_assert_cmpint (mdb_env_set_mapsize (env, (gsize) 256 << 20), ==, 0);
  g_assert_cmpint (mdb_env_open (env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), ==, 0);
  g_assert_cmpint (mdb_txn_begin (env, NULL, 0, &txn), ==, 0);
  g_assert_cmpint (mdb_dbi_open (txn, NULL, 0, &dbi), ==, 0);
  for (guint i = 0; i < rows; i++) {
    g_snprintf (key, sizeof key, "k%u", i);
    MDB_val k = { strlen (key) + 1, key }, v = { strlen (value) + 1, (gpointer) value };
    g_assert_cmpint (mdb_put (txn, dbi, &k, &v, 0), ==, 0);
  }
  g_assert_cmpint (mdb_txn_commit (txn), ==, 0);
  mdb_env_close (env);
}

static void
test_in_place (void)
{
  module = &ek_module_lmdb;
  put_rows (path, (Row[]) { ROW ("k0", "first") }, 1);
  EkInstance *self = begin (path, "");
  g_assert_cmpstr (get (self, "k0"), ==, "first");
  write_in_place (2, "second");
  g_assert_cmpstr (get (self, "k1"), ==, "second");        /* at once: it is one file */
  g_autofree char *large = g_strnfill (1000, 'x');
  write_in_place (20000, large);                   /* beyond what is mapped */
  g_assert_cmpstr (get (self, "k19999"), ==, large);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "k1"), ==, large);
  end ();
}
#endif

/* ---- Postfix's own ---- */

/* Runs it in our folder; its output, or NULL when it fails. */
static char *
run (const char *program, ...)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autofree char *err = NULL;
  char *out = NULL;
  int status = -1;
  va_list args;

  g_ptr_array_add (argv, (gpointer) program);
  va_start (args, program);
  for (char *word; (word = va_arg (args, char *));)
    g_ptr_array_add (argv, word);
  va_end (args);
  g_ptr_array_add (argv, NULL);
  if (!g_spawn_sync (folder, (char **) argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, NULL) || status != 0) {
    g_test_message ("%s: status %d: %s", program, status, err ? err : "");
    g_clear_pointer (&out, g_free);
  }
  return out;
}

/* Its postmap makes what we read, and reads what we make. */
static void
compare_with_postmap (const char *type)
{
  g_autofree char *text = g_build_filename (folder, "table", NULL), *made = g_strdup_printf ("%s.%s", text, type);
  g_autofree char *main_cf = g_build_filename (folder, "main.cf", NULL), *spec = g_strdup_printf ("%s:%s", type, text);
  static const char *const forms[] = { "-r", "-N", "-n" };

  test_write (main_cf, "compatibility_level = 3.6\n", -1);
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
    test_write (text, "Anna@example.com one\nben@example.com  two words \n", -1);
    g_unlink (made);
    g_autofree char *first = run ("postmap", "-c", folder, forms[i], spec, NULL);
    g_assert_nonnull (first);
    EkInstance *self = begin (made, "");
    g_assert_cmpstr (get (self, "anna@example.com"), ==, "one");
    g_assert_cmpstr (get (self, "Ben@Example.com"), ==, "two words");
    g_assert_cmpstr (get (self, "carl@example.com"), ==, "notfound");
    test_write (text, "anna@example.com other\n", -1);
    g_autofree char *second = run ("postmap", "-c", folder, forms[i], spec, NULL);
    g_assert_nonnull (second);
    for (guint tries = 0; tries < 200 && strcmp (get (self, "anna@example.com"), "other") != 0; tries++)
      g_usleep (LOOK);
    g_assert_cmpstr (get (self, "anna@example.com"), ==, "other");
    g_assert_cmpstr (get (self, "ben@example.com"), ==, "notfound");
    end ();
  }
  put_rows (made, plain, G_N_ELEMENTS (plain));
  g_autofree char *answer = run ("postmap", "-c", folder, "-q", "anna@example.com", spec, NULL);
  g_assert_cmpstr (answer, ==, "1\n");
  g_unlink (text);
  g_unlink (made);
}

static void
test_postmap (void)
{
  g_autofree char *main_cf = g_build_filename (folder, "main.cf", NULL);

  test_write (main_cf, "compatibility_level = 3.6\n", -1);
  g_autofree char *postmap = g_find_program_in_path ("postmap"), *types = postmap ? run ("postconf", "-c", folder, "-m", NULL) : NULL;
  g_auto (GStrv) known = g_strsplit (types ? types : "", "\n", -1);
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (modules); i++) {
    module = modules[i];
    if (!g_strv_contains ((const char *const *) known, module->name))
      continue;
    compare_with_postmap (module->name);
    n++;
  }
  if (n < G_N_ELEMENTS (modules))
    g_test_skip ("needs postmap with both types (Debian: postfix, postfix-lmdb, postfix-cdb)");
}

static void
test_options (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (modules); i++) {
    g_autoptr (EkProblems) problems = ek_problems_new ();
    g_assert_true (ek_options_selftest (modules[i]->options, modules[i]->instance_size, modules[i]->name, problems));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_table_file_patience = 50000;
  folder = test_folder ();
  path = g_build_filename (folder, "map.db", NULL);
  g_test_add_data_func ("/dbm/lookups", test_lookups, for_each);
  g_test_add_data_func ("/dbm/with-nul", test_with_nul, for_each);
  g_test_add_data_func ("/dbm/no-rows", test_no_rows, for_each);
  g_test_add_data_func ("/dbm/each", test_each, for_each);
  g_test_add_data_func ("/dbm/replaced", test_replaced, for_each);
  g_test_add_data_func ("/dbm/no-database", test_no_database, for_each);
  g_test_add_data_func ("/dbm/cut", test_cut, for_each);
  g_test_add_data_func ("/dbm/threads", test_threads, for_each);
  g_test_add_data_func ("/dbm/large", test_large, for_each);
#ifdef WITH_LMDB
  g_test_add_func ("/dbm/in-place", test_in_place);
#endif
  g_test_add_func ("/dbm/postmap", test_postmap);
  g_test_add_func ("/dbm/options", test_options);
  int result = g_test_run ();
  test_remove_folder (folder);
  g_free (path);
  return result;
}
