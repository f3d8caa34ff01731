/* test-sql.c - queries with named parameters, and the SQL modules as map, passdb and userdb
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "lookup/record.h"
#include "lookup/sql.h"
#include "module/call.h"
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

/* ---- queries ---- */

static void
assert_parsed (EkSqlStyle style, const char *text, const char *made, const char *params)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  EkSql *sql = ek_sql_parse (pool, "query", text, style, &error);
  g_autoptr (GString) names = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < sql->n_params; i++)
    g_string_append_printf (names, "%s%s", i ? " " : "", sql->params[i]);
  g_assert_cmpstr (sql->text, ==, made);
  g_assert_cmpstr (names->str, ==, params);
}

static void
assert_wrong (EkSqlStyle style, const char *text, const char *says)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;

  g_assert_null (ek_sql_parse (pool, "user_query", text, style, &error));
  g_assert_true (g_str_has_prefix (error->message, "user_query: "));
  if (!strstr (error->message, says))
    g_error ("\"%s\" gave \"%s\"", text, error->message);
}

static void
test_parse (void)
{
  assert_parsed (EK_SQL_QUESTION, "SELECT a FROM t WHERE b = :user AND c = :user", "SELECT a FROM t WHERE b = ? AND c = ?", "user user");
  assert_parsed (EK_SQL_DOLLAR, "SELECT :b,:user,:b", "SELECT $1,$2,$1", "b user");
  assert_parsed (EK_SQL_DOLLAR, "SELECT x::text, ':no', \":no\", $$ :no $$, $t$ $$ :no $t$ -- :no\n, /* :no */ :yes_1",
                 "SELECT x::text, ':no', \":no\", $$ :no $$, $t$ $$ :no $t$ -- :no\n, /* :no */ $1", "yes_1");
  assert_parsed (EK_SQL_QUESTION, "SELECT 'it''s :no', `:no` WHERE a=:key", "SELECT 'it''s :no', `:no` WHERE a=?", "key");
  assert_parsed (EK_SQL_QUESTION, "SELECT '?' || $1 : 5", "SELECT '?' || $1 : 5", "");
  assert_parsed (EK_SQL_DOLLAR, "SELECT b$:x LIMIT:x=:x", "SELECT b$ $1 LIMIT $1=$1", "x");
  assert_parsed (EK_SQL_DOLLAR, "", "", "");
  assert_wrong (EK_SQL_QUESTION, "SELECT 'x WHERE a = :user", "not closed");
  assert_wrong (EK_SQL_QUESTION, "SELECT /* x", "not closed");
  assert_wrong (EK_SQL_DOLLAR, "SELECT $a$ x $b$", "not closed");
  assert_wrong (EK_SQL_QUESTION, "SELECT a WHERE b = ?", "write :user, not ?");
  assert_wrong (EK_SQL_DOLLAR, "SELECT a WHERE b = $1", "write :user, not $1");
  g_autoptr (GString) many = g_string_new ("SELECT ");
  for (guint i = 0; i <= EK_SQL_PARAMS_MAX; i++)
    g_string_append_printf (many, ":p%u,", i);
  assert_wrong (EK_SQL_DOLLAR, many->str, "too many");
}

static void
assert_values (const char *text, EkStr key, const char *want)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkSql *sql = ek_sql_parse (pool, "query", text, EK_SQL_QUESTION, NULL);
  EkParam param = { "service", EK_STR ("imap") };
  const EkStr *values = ek_sql_values (pool, sql, &(EkQuery) { .key = key, .params = &param, .n_params = 1 });
  g_autoptr (GString) got = g_string_new (NULL);

  if (want == NULL) {
    g_assert_null (values);
    return;
  }
  for (guint i = 0; i < sql->n_params; i++)
    g_string_append_printf (got, "%s%.*s", i ? "|" : "", EK_STR_ARG (values[i]));
  g_assert_cmpstr (got->str, ==, want);
}

static void
test_values (void)
{
  assert_values ("SELECT :key :user :address :local :domain :service :other", EK_STR ("a@b@c.test"),
                 "a@b@c.test|a@b@c.test|a@b@c.test|a@b|c.test|imap|");
  assert_values ("SELECT :local :domain", EK_STR ("anna"), "anna|");
  assert_values ("SELECT :key", EK_STR (""), "");
  assert_values ("SELECT :key", EK_STR ("x' OR '1'='1"), "x' OR '1'='1");
  assert_values ("SELECT :key", EK_STR ("a\0b"), NULL);          /* no database can hold these */
  assert_values ("SELECT :key", EK_STR ("\xff\xfe"), NULL);
}

/* ---- records ---- */

static EkAnswer
answer (guint n_rows, guint n_columns, const char **names, EkStr *cells)
{
  return (EkAnswer) { n_rows, n_columns, names, cells };
}

static void
test_record (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkRecordDefaults defaults = { .scheme = "SHA512-CRYPT", .home = "/var/mail/%d/%n", .uid = 5000, .gid = -1 };
  const char *names[] = { "password", "NoLogin", "empty", "home", "uid", "quota_rule" };
  EkStr cells[12] = { EK_STR ("$6$x"), EK_STR ("y"), { NULL, 0 }, EK_STR ("/h"), EK_STR ("0"), EK_STR ("*:bytes=77") };
  g_autoptr (GError) error = NULL;
  EkAccount account;
  EkUser user;

  EkAnswer one = answer (1, 6, names, cells), none = answer (0, 6, names, cells), two = answer (2, 6, names, cells);
  g_assert_cmpint (ek_record_account (pool, &one, &defaults, &account, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{SHA512-CRYPT}$6$x")));
  g_assert_true (ek_str_eq (ek_param (account.fields, account.n_fields, "nologin"), EK_STR ("y")));
  g_assert_null (ek_param (account.fields, account.n_fields, "empty").p);
  g_assert_null (ek_param (account.fields, account.n_fields, "password").p);
  g_assert_cmpint (ek_record_account (pool, &none, &defaults, &account, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_record_account (pool, &two, &defaults, &account, &error), ==, EK_DEFER);
  g_assert_nonnull (strstr (error->message, "2 rows for one name"));
  cells[0] = (EkStr) { NULL, 0 };                  /* a NULL lets nobody in */
  g_assert_cmpint (ek_record_account (pool, &one, &defaults, &account, NULL), ==, EK_OK);
  g_assert_nonnull (account.stored.p);
  g_assert_cmpint (account.stored.n, ==, 0);

  g_assert_cmpint (ek_record_user (pool, &one, &defaults, "anna@a.test", &user, NULL), ==, EK_OK);
  g_assert_cmpstr (user.home, ==, "/h");
  g_assert_cmpint (user.uid, ==, 0);               /* what the row says counts, root too: first_valid_uid is for others to look at */
  g_assert_cmpint (user.gid, ==, -1);
  g_assert_cmpuint (user.quota_bytes, ==, 77);
  cells[3] = cells[4] = (EkStr) { NULL, 0 };
  g_assert_cmpint (ek_record_user (pool, &one, &defaults, "anna@a.test", &user, NULL), ==, EK_OK);
  g_assert_cmpstr (user.home, ==, "/var/mail/a.test/anna");
  g_assert_cmpint (user.uid, ==, 5000);
  g_clear_error (&error);
  g_assert_cmpint (ek_record_user (pool, &one, &defaults, "../x@a.test", &user, &error), ==, EK_DEFER);
  g_clear_error (&error);
  cells[4] = EK_STR ("no such account");
  g_assert_cmpint (ek_record_user (pool, &one, &defaults, "anna@a.test", &user, &error), ==, EK_DEFER);
  g_assert_nonnull (strstr (error->message, "neither a number nor a user"));
}

/* ---- a database: sqlite's in a file, or the server that tests/system/backend-sql.py has started and filled ---- */

static char *folder, *file;
static const char *module = "sqlite", *server;       /* EKIDEN_SQL_MODULE, EKIDEN_SQL_SETTINGS: how to reach it */
static gint64 patience_us = 30000000;

static void
run_sql (const char *path, const char *text)
{
  sqlite3 *db;
  char *why = NULL;

  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  sqlite3_exec (db, text, NULL, NULL, &why);
  g_assert_cmpstr (why, ==, NULL);
  sqlite3_close (db);
}

#define SETTINGS \
  "query = \"SELECT goto FROM alias WHERE address = :key ORDER BY goto\"\n" \
  "password_query = \"SELECT password, home AS userdb_home FROM mailbox WHERE name = :user\"\n" \
  "user_query = \"SELECT home FROM mailbox WHERE name = :user\"\n" \
  "users_query = \"SELECT name AS user FROM mailbox ORDER BY 1\"\n" \
  "password_update = \"UPDATE mailbox SET password = :stored WHERE name = :user AND (:old = '' OR password = :old)\"\n" \
  "user_insert = \"INSERT INTO mailbox (name, password) VALUES (:user, :stored)\"\n" \
  "user_delete = \"DELETE FROM mailbox WHERE name = :user\"\n" \
  "uid = 5000\ngid = 5000\n"

/* With the settings of how to reach the database. */
static EkInstance *
make_with (const char *settings)
{
  g_autofree char *path = g_strdup_printf ("path = \"%s\"\n", file);
  g_autofree char *all = g_strconcat (server ? server : path, "\n", settings, NULL);

  return ek_test_instance (module, all);
}

/* Of our own: anna and o'neil, and the alias of both. */
static EkInstance *
make (void)
{
  if (server)
    return make_with (SETTINGS);
  g_unlink (file);
  run_sql (file, "CREATE TABLE mailbox (name TEXT PRIMARY KEY, password TEXT, home TEXT);"
                 "INSERT INTO mailbox VALUES ('anna@a.test', '{PLAIN}x', '/home/anna'), ('o''neil@a.test', '{PLAIN}y', NULL);"
                 "CREATE TABLE alias (address TEXT, goto TEXT);"
                 "INSERT INTO alias VALUES ('all@a.test', 'anna@a.test'), ('all@a.test', 'o''neil@a.test');");
  return make_with (SETTINGS);
}

static EkStatus
run_pass (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->lookup (self, call, "o'neil@a.test", data);
}

static EkStatus
run_set (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->set (self, call, data, EK_STR ("{PLAIN}new"));
}

typedef struct { const char *name, *from, *to; } Change;

static EkStatus
run_replace (EkInstance *self, EkCall *call, gpointer data)
{
  const Change *c = data;

  return self->module->passdb->replace (self, call, c->name, ek_str (c->from), ek_str (c->to));
}

static EkStatus
change (EkInstance *self, const char *name, const char *from, const char *to)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  Change c = { name, from, to };

  return ek_op_call (self, pool, 0, run_replace, &c, NULL);
}

static EkStatus
run_remove (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->remove (self, call, data);
}

static void
count_user (const EkUser *user, gpointer data)
{
  g_string_append_printf (data, "%s ", user->name);
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->each (self, call, count_user, data);
}

static EkStatus
look_up (EkInstance *self, EkPool *pool, EkStr key, EkAnswer *answer)
{
  EkLookup lookup = { .query.key = key };
  gint64 deadline = g_get_monotonic_time () + patience_us;
  EkStatus status = ek_op_call (self, pool, deadline, ek_run_lookup, &lookup, NULL);

  *answer = lookup.answer;
  return status;
}

static void
test_lookups (void)
{
  static const char *const nobody[] = { "", "nobody", "' OR 1=1 --", "all@a.test' UNION SELECT password FROM mailbox --", "%", "*" };
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *self = make ();
  EkAccount account;
  EkAnswer answer;
  EkUserLookup user = { .name = "o'neil@a.test" };

  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_OK);
  g_assert_cmpuint (answer.n_rows, ==, 2);
  g_assert_true (ek_str_eq (answer.cells[1], EK_STR ("o'neil@a.test")));
  g_assert_cmpstr (answer.names[0], ==, "goto");
  for (guint i = 0; i < G_N_ELEMENTS (nobody); i++)
    g_assert_cmpint (look_up (self, pool, ek_str (nobody[i]), &answer), ==, EK_NOTFOUND);
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test\0"), &answer), ==, EK_NOTFOUND);
  g_autofree char *long_key = g_strnfill (65536, 'x');
  g_assert_cmpint (look_up (self, pool, ek_str (long_key), &answer), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_pass, &account, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}y")));
  g_assert_cmpuint (account.n_fields, ==, 0);
  g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_user, &user, NULL), ==, EK_OK);
  g_assert_null (user.user.home);
  g_assert_cmpint (user.user.uid, ==, 5000);
  ek_test_instance_free (self);
}

static void
test_writing (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GString) users = g_string_new (NULL);
  EkInstance *self = make ();
  EkAccount account;

  g_assert_cmpint (ek_op_call (self, pool, 0, run_set, (gpointer) "o'neil@a.test", NULL), ==, EK_OK);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_pass, &account, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}new")));
  g_assert_cmpint (change (self, "o'neil@a.test", "{PLAIN}y", "{PLAIN}late"), ==, EK_NOTFOUND);          /* it was another one */
  g_assert_cmpint (change (self, "o'neil@a.test", "{PLAIN}new", "bare' OR 1=1"), ==, EK_OK);
  g_assert_cmpint (change (self, "o'neil@a.test", "{CRYPT}bare' OR 1=1", "{PLAIN}new"), ==, EK_OK);      /* as lookup told it */
  g_assert_cmpint (change (self, "nobody@a.test", "{PLAIN}new", "{PLAIN}late"), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_pass, &account, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}new")));
  g_assert_cmpint (ek_op_call (self, pool, 0, run_set, (gpointer) "bob@a.test", NULL), ==, EK_OK);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_remove, (gpointer) "anna@a.test", NULL), ==, EK_OK);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_remove, (gpointer) "anna@a.test", NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_each, users, NULL), ==, EK_OK);
  g_assert_cmpstr (users->str, ==, "bob@a.test o'neil@a.test ");
  ek_test_instance_free (self);
}

/* What is asked comes back as it was, whatever it holds. */
static void
test_echo (void)
{
  g_autofree char *longest = g_strnfill (65536, 'x'), *edge = g_strnfill (512, 'y'), *behind = g_strnfill (513, 'z');
  const char *const texts[] = { "", " ", "x", "'", "''", "\"", "\\", "\\'", "%_", "$1 ?", ":key", "a;b--c/*d", "\n\t\r", "\xc3\xa4\xe9\xa7\x85",
                                "\xf0\x9f\x93\xae", edge, behind, longest };
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *self = make_with ("query = \"SELECT :key AS a, NULL AS b, :domain AS c, 17 AS d\"\n");
  EkAnswer answer;

  for (guint round = 0; round < 2; round++)        /* prepared before, too */
    for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
      g_assert_cmpint (look_up (self, pool, ek_str (texts[i]), &answer), ==, EK_OK);
      g_assert_cmpuint (answer.n_rows, ==, 1);
      g_assert_cmpuint (answer.n_columns, ==, 4);
      if (!ek_str_eq (answer.cells[0], ek_str (texts[i])))
        g_error ("\"%.80s\" came back as \"%.*s\"", texts[i], (int) MIN (answer.cells[0].n, 80), answer.cells[0].p);
      g_assert_null (answer.cells[1].p);
      g_assert_nonnull (answer.cells[2].p);
      g_assert_cmpuint (answer.cells[2].n, ==, 0);
      g_assert_true (ek_str_eq (answer.cells[3], EK_STR ("17")));
      ek_pool_clear (pool);
    }
  ek_test_instance_free (self);
}

/* An answer without end is "later", and the connection is good for the next question. */
static void
test_bounds (void)
{
#define MANY "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) SELECT a.i FROM n a, n b WHERE :key = :key"
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *self = make_with ("query = \"" MANY " LIMIT 10001\"\n"), *fits = make_with ("query = \"" MANY " LIMIT 10000\"\n");
  EkAnswer answer;

  g_assert_cmpint (look_up (self, pool, EK_STR ("x"), &answer), ==, EK_DEFER);
  g_assert_cmpint (look_up (self, pool, EK_STR ("x"), &answer), ==, EK_DEFER);
  g_assert_cmpint (look_up (fits, pool, EK_STR ("x"), &answer), ==, EK_OK);
  g_assert_cmpuint (answer.n_rows, ==, 10000);
  ek_test_instance_free (self);
  ek_test_instance_free (fits);
}

/* Mistakes of whoever wrote the query are "later" as well, and say which setting is wrong. */
static void
test_mistakes (void)
{
  static const char *const queries[] = { "SELECT a FROM nowhere WHERE b = :key", "SELEKT :key", "SELECT goto FROM alias WHERE address = :key AND goto = :usr",
                                         "SELECT nothing FROM mailbox WHERE name = :key" };
  g_autoptr (EkPool) pool = ek_pool_new ();

  ek_test_instance_free (make ());                 /* the tables are there */
  for (guint i = 0; i < G_N_ELEMENTS (queries); i++) {
    g_autofree char *settings = g_strdup_printf ("query = \"%s\"\n", queries[i]);
    EkInstance *self = make_with (settings);
    EkLookup lookup = { .query.key = EK_STR ("anna@a.test") };
    for (guint round = 0; round < 2; round++) {
      g_autoptr (GError) error = NULL;
      g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_lookup, &lookup, &error), ==, EK_DEFER);
      if (!strstr (error->message, "query: "))
        g_error ("%s: %s", queries[i], error->message);
    }
    ek_test_instance_free (self);
  }
}

/* SQLite knows $name and @name too, which nobody would bind: NULL, they would find nobody. */
static void
test_own_params (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *self;
  EkAnswer answer;

  if (server)
    return;
  ek_test_instance_free (make ());
  self = make_with ("query = \"SELECT goto FROM alias WHERE address = :key AND goto <> @goto\"\n");
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_DEFER);
  ek_test_instance_free (self);
}

/* What goes wrong is "later", and right again when it is mended. */
static void
test_outage (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *self = make ();
  EkAnswer answer;
  sqlite3 *other;

  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_OK);
  g_autofree char *next = g_strconcat (file, ".new", NULL);
  run_sql (next, "CREATE TABLE alias (address TEXT, goto TEXT); INSERT INTO alias VALUES ('all@a.test', 'z');"
                 "CREATE TABLE mailbox (name TEXT, password TEXT, home TEXT);");
  g_assert_cmpint (g_rename (next, file), ==, 0);
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_OK);
  g_assert_cmpuint (answer.n_rows, ==, 1);         /* of the new file */
  run_sql (file, "ALTER TABLE alias RENAME TO gone");
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_DEFER);
  run_sql (file, "ALTER TABLE gone RENAME TO alias");
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_OK);
  g_assert_cmpint (sqlite3_open (file, &other), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), ==, SQLITE_OK);
  patience_us = 100000;
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_DEFER);
  patience_us = 30000000;
  sqlite3_close (other);
  g_assert_cmpint (look_up (self, pool, EK_STR ("all@a.test"), &answer), ==, EK_OK);
  ek_test_instance_free (self);
}

static void
test_settings (void)
{
  static const struct { const char *settings, *says; } cases[] = {
    { "sqlite \"test\" { path = x.db }", "not absolute" },
    { "sqlite \"test\" { path = /x.db\nquery = \"SELECT 'a\" }", "query: a quote or comment is not closed" },
    { "sqlite \"test\" { path = /x.db\nquery = \"SELECT a FROM b WHERE c = '%s'\" }", "query: it has no parameter, so every question is the same: write :user without quotes" },
    { "sqlite \"test\" { path = /x.db\nuser_delete = \"DELETE FROM b\" }", "user_delete: it has no parameter" },
    { "sqlite \"test\" { path = /x.db\npassword_query = \"SELECT a FROM b WHERE c = :usr\" }", "password_query: here is no parameter :usr" },
    { "sqlite \"test\" { path = /x.db\nuser_query = \"SELECT a FROM b WHERE c = :user AND d = :service\" }", "user_query: here is no parameter :service" },
    { "sqlite \"test\" { path = /x.db\npassword_update = \"UPDATE b SET c = :stored WHERE d = :value\" }", "password_update: here is no parameter :value" },
    { "sqlite \"test\" { path = /x.db\nusers_query = \"SELECT a FROM b WHERE c = :domain\" }", "users_query: it is for all there are" },
    { "sqlite \"test\" { path = /x.db\nuid = \"no such account\" }", "uid: " },
    { "sqlite \"test\" { path = /x.db\nhome = \"/x/%q\" }", "home: " },
    { "sqlite \"test\" { path = /x.db\nconnections = 0 }", "connections" },
    { "sqlite \"test\" { path = /x.db\nqury = x }", "did you mean \"query\"?" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *said = NULL;
    EkGeneration *gen = ek_test_generation (cases[i].settings, EK_ROLES_ALL, &said);
    if (gen || !strstr (said, cases[i].says))
      g_error ("%s gave \"%s\"", cases[i].settings, said);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  if (g_getenv ("EKIDEN_SQL_MODULE")) {
    module = g_getenv ("EKIDEN_SQL_MODULE");
    server = g_getenv ("EKIDEN_SQL_SETTINGS");
  }
  folder = g_dir_make_tmp ("ekiden-sql-XXXXXX", NULL);
  file = g_build_filename (folder, "test.db", NULL);
  g_test_add_func ("/sql/parse", test_parse);
  g_test_add_func ("/sql/values", test_values);
  g_test_add_func ("/sql/record", test_record);
  g_test_add_func ("/sql/lookups", test_lookups);
  g_test_add_func ("/sql/writing", test_writing);
  g_test_add_func ("/sql/echo", test_echo);
  g_test_add_func ("/sql/bounds", test_bounds);
  g_test_add_func ("/sql/mistakes", test_mistakes);
  g_test_add_func ("/sql/own-params", test_own_params);
  g_test_add_func ("/sql/outage", test_outage);
  g_test_add_func ("/sql/settings", test_settings);
  int failed = g_test_run ();
  g_unlink (file);
  g_rmdir (folder);
  g_free (file);
  g_free (folder);
  return failed;
}
