/* test-file.c - module file: passwd-files read, re-read under lookups, rewritten
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/instance.h"
#include "../../modules/file/file.h"
#include "lookup/template.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern const EkModule ek_module_file;

#define LOOK 60000                  /* longer than ek_table_file_patience here */

static char *folder, *path;
static TestInstance test;
static EkCall call;

static EkInstance *
begin (const char *text, const char *settings)
{
  g_autofree char *all = g_strdup_printf ("path = \"%s\"\n%s", path, settings);
  g_autoptr (GError) error = NULL;

  if (text)
    test_rename_in (path, text, -1);
  else
    g_unlink (path);
  EkInstance *self = test_instance_new (&test, &ek_module_file, "staff", all, &error);
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
pass (EkInstance *self, const char *name, EkAccount *account)
{
  *account = (EkAccount) { 0 };
  return ek_module_file.passdb->lookup (self, test_call (&call), name, account);
}

static EkStatus
user (EkInstance *self, const char *name, EkUser *found)
{
  *found = (EkUser) { 0 };
  return ek_module_file.userdb->lookup (self, test_call (&call), name, found);
}

static const char dovecot[] =
  "# short and long forms\r\n"
  "\n"
  "anna@example.com:{PLAIN}geheim\n"
  "ben@example.com:{SSHA256}AAAA:1001:1002:Ben B.:/home/ben:/bin/sh:userdb_mail=maildir:/srv/%d/%n allow_nets=127.0.0.0/8,::1 "
  "nologin userdb_quota_rule=*:storage=2G userdb_acl_groups=staff,admin\r\n"
  "carla:secret::::::userdb_home=/h/%Lu userdb_uid=77\n"
  "dora\n"
  "emil::5:6\n"
  "fritz:x:1:1::/home/fritz:/bin/sh::/var/mail/fritz\n"
  "gerd:{PLAIN}x:root:root";

static void
test_forms (void)
{
  EkInstance *self = begin (dovecot, "uid = 500\ngid = 501\nhome = \"/var/mail/%d/%n\"");
  EkAccount account;
  EkUser found;

  g_assert_cmpint (pass (self, "anna@example.com", &account), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}geheim")));
  g_assert_cmpuint (account.n_fields, ==, 0);
  g_assert_cmpint (user (self, "anna@example.com", &found), ==, EK_OK);
  g_assert_cmpstr (found.name, ==, "anna@example.com");
  g_assert_cmpstr (found.home, ==, "/var/mail/example.com/anna");
  g_assert_null (found.mail);
  g_assert_cmpint (found.uid, ==, 500);
  g_assert_cmpint (found.gid, ==, 501);

  g_assert_cmpint (pass (self, "ben@example.com", &account), ==, EK_OK);
  g_assert_nonnull (ek_param (account.fields, account.n_fields, "nologin").p);
  g_assert_cmpstr (ek_param (account.fields, account.n_fields, "allow_nets").p, ==, "127.0.0.0/8,::1");
  g_assert_cmpint (user (self, "ben@example.com", &found), ==, EK_OK);
  g_assert_cmpstr (found.home, ==, "/home/ben");
  g_assert_cmpstr (found.mail, ==, "maildir:/srv/example.com/ben");
  g_assert_cmpint (found.uid, ==, 1001);
  g_assert_cmpint (found.gid, ==, 1002);
  g_assert_cmpuint (found.quota_bytes, ==, (guint64) 2 << 30);
  g_assert_cmpstr (ek_param (found.fields, found.n_fields, "acl_groups").p, ==, "staff,admin");
  g_assert_null (ek_param (found.fields, found.n_fields, "nologin").p);

  g_assert_cmpint (pass (self, "carla", &account), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{CRYPT}secret")));
  g_assert_cmpint (user (self, "carla", &found), ==, EK_OK);
  g_assert_cmpstr (found.home, ==, "/h/carla");
  g_assert_cmpint (found.uid, ==, 77);
  g_assert_cmpint (found.gid, ==, 501);

  g_assert_cmpint (pass (self, "dora", &account), ==, EK_OK);
  g_assert_cmpuint (account.stored.n, ==, 0);
  g_assert_cmpint (user (self, "emil", &found), ==, EK_DEFER);        /* no domain for the home's %d */
  g_assert_true (test_has (call.error->message, "no safe folder"));
  g_assert_cmpint (user (self, "fritz", &found), ==, EK_OK);
  g_assert_cmpstr (found.mail, ==, "/var/mail/fritz");
  g_assert_cmpint (user (self, "gerd", &found), ==, EK_DEFER);
  g_assert_cmpint (pass (self, "nobody", &account), ==, EK_NOTFOUND);
  g_assert_cmpint (pass (self, "Anna@example.com", &account), ==, EK_NOTFOUND);
  g_assert_cmpint (pass (self, "# short and long forms", &account), ==, EK_NOTFOUND);
  g_assert_cmpint (pass (self, "", &account), ==, EK_NOTFOUND);
  end ();
}

static void
test_formats (void)
{
  EkAccount account;
  EkUser found;
  EkInstance *self = begin ("anna:{PLAIN}x\nBEN:y\n", "username_format = %Ln\nscheme = PLAIN\nhome = \"/m/%d/%n\"");

  g_assert_cmpint (pass (self, "Anna@example.com", &account), ==, EK_OK);
  g_assert_cmpint (pass (self, "ben@example.com", &account), ==, EK_NOTFOUND);
  g_assert_cmpint (user (self, "anna@example.com", &found), ==, EK_OK);
  g_assert_cmpstr (found.name, ==, "anna@example.com");
  g_assert_cmpstr (found.home, ==, "/m/example.com/anna");
  g_assert_cmpint (user (self, "anna@..", &found), ==, EK_DEFER);
  end ();
  self = begin ("example.com/anna@example.com:x\nBEN:y\n", "username_format = \"%{domain}/%{user}\"");
  g_assert_cmpint (pass (self, "anna@example.com", &account), ==, EK_OK);
  end ();
  self = begin ("BEN:y\n", "username_format = %Uu");
  g_assert_cmpint (pass (self, "ben", &account), ==, EK_OK);
  end ();
}

static void
test_options (void)
{
  static const struct { const char *settings, *said; } bad[] = {
    { "path = users", "not absolute" }, { "path = /x\nusername_format = %x", "not known" },
    { "path = /x\nhome = \"/m/%Q\"", "home: \"%Q\"" }, { "path = /x\nuid = no-such-user", "uid: \"no-such-user\"" },
    { "path = /x\ngid = 4294967295", "gid:" }, { "", "path" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (test_instance_new (&test, &ek_module_file, "staff", bad[i].settings, &error));
    g_assert_true (test_has (error->message, bad[i].said));
    test_instance_free (&test);
  }
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_assert_true (ek_options_selftest (ek_module_file.options, ek_module_file.instance_size, "file", problems));
}

static void
test_wrong_lines (void)
{
  static const struct { const char *line, *said; } wrong[] = {
    { ":x", ":2: the user name is missing" }, { " anna:x", ":2: the user name begins or ends with a space" },
    { "an\tna:x", "control character 0x09" }, { "anna:{PLAIN", "the password's { has no }" },
    { "anna:x:1x", "the uid \"1x\"" }, { "anna:x:1:nosuchgroup", "the gid \"nosuchgroup\"" },
    { "anna:x:4294967295", "the uid" }, { "anna:x:::::: =y", "no name before its =" },
    { "anna:x::::::userdb_uid=-5", "the uid \"-5\"" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree char *text = g_strdup_printf ("ok:x\n%s\nalso ok:x\n", wrong[i].line);
    EkInstance *self = begin (text, "");
    EkAccount account;
    g_assert_cmpint (pass (self, "ok", &account), ==, EK_DEFER);
    g_assert_true (test_has (call.error->message, wrong[i].said));
    end ();
  }
  test_rename_in (path, "a:x\nb\0b:x\n", 9);
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"", path);
  EkInstance *self = test_instance_new (&test, &ek_module_file, "staff", settings, NULL);
  EkAccount account;
  g_assert_cmpint (pass (self, "a", &account), ==, EK_DEFER);
  g_assert_true (test_has (call.error->message, ":2: the line has a NUL"));
  end ();
  GString *many = g_string_new (NULL);             /* all are counted, five are told */
  for (guint i = 0; i < 9; i++)
    g_string_append (many, ":x\n");
  self = begin (many->str, "");
  g_assert_cmpint (pass (self, "a", &account), ==, EK_DEFER);
  g_assert_true (test_has (call.error->message, ":5: the user"));
  g_assert_true (test_has (call.error->message, "and 4 more lines are wrong"));
  g_string_free (many, TRUE);
  end ();
}

/* The first of two lines counts, and the file works. */
static void
test_double (void)
{
  EkInstance *self = begin ("anna:{PLAIN}1\nben:x\nanna:{PLAIN}2\n", "");
  EkAccount account;

  g_assert_cmpint (pass (self, "anna", &account), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}1")));
  end ();
}

static EkStatus
pass_after (EkInstance *self, const char *name, gint64 us)
{
  EkAccount account;

  g_usleep ((gulong) us);
  return pass (self, name, &account);
}

/* Never a good table: DEFER.  Once there is one, nothing takes it away. */
static void
test_outage (void)
{
  EkInstance *self = begin (NULL, "");

  g_assert_cmpint (pass_after (self, "anna", 0), ==, EK_DEFER);
  g_assert_true (test_has (call.error->message, "No such file"));
  test_rename_in (path, "anna:x\n", -1);
  g_assert_cmpint (pass_after (self, "anna", LOOK), ==, EK_OK);
  test_rename_in (path, "ben:x\n:broken\n", -1);
  g_assert_cmpint (pass_after (self, "anna", LOOK), ==, EK_OK);
  g_assert_cmpint (pass_after (self, "ben", 0), ==, EK_NOTFOUND);
  g_unlink (path);
  g_assert_cmpint (pass_after (self, "anna", LOOK), ==, EK_OK);
  g_mkdir (path, 0700);
  g_assert_cmpint (pass_after (self, "anna", LOOK), ==, EK_OK);
  g_rmdir (path);
  test_rename_in (path, "ben:x\n", -1);
  g_assert_cmpint (pass_after (self, "ben", LOOK), ==, EK_OK);
  g_assert_cmpint (pass_after (self, "anna", 0), ==, EK_NOTFOUND);
  test_rename_in (path, "", 0);                    /* an empty file is a table without users */
  g_assert_cmpint (pass_after (self, "ben", LOOK), ==, EK_NOTFOUND);
  end ();
}

/* What is written in place is believed when it has stood still for one look. */
static void
test_in_place (void)
{
  EkInstance *self = begin ("anna:x\nben:x\n", "");

  g_assert_cmpint (pass_after (self, "ben", 0), ==, EK_OK);
  test_write (path, "anna:x\n", -1);
  g_assert_cmpint (pass_after (self, "ben", LOOK), ==, EK_OK);
  test_write (path, "anna:x\nben:y\ncarl:x\n", -1);
  g_assert_cmpint (pass_after (self, "ben", LOOK), ==, EK_OK);
  g_assert_cmpint (pass_after (self, "carl", LOOK), ==, EK_OK);
  end ();
}

/* ---- reload under lookups ---- */

static atomic_int stop_reading;
static atomic_uint lookups;

static gpointer
reader (gpointer data)
{
  EkInstance *self = data;
  EkCall mine = { 0 };

  while (!atomic_load (&stop_reading)) {
    EkAccount account = { 0 };
    g_assert_cmpint (ek_module_file.passdb->lookup (self, test_call (&mine), "user77", &account), ==, EK_OK);
    g_assert_true (ek_str_starts (account.stored, EK_STR ("{PLAIN}generation")));
    atomic_fetch_add (&lookups, 1);
  }
  test_call_clear (&mine);
  return NULL;
}

static gpointer
reloader (gpointer data)
{
  EkTableFile **file = data;

  while (!atomic_load (&stop_reading)) {
    ek_table_file_reload (*file);
    g_usleep (500);
  }
  return NULL;
}

static char *
generation (guint n)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < 200; i++)
    g_string_append_printf (text, "user%u:{PLAIN}generation%u\n", i, n);
  return g_string_free (text, FALSE);
}

static void
test_reload_under_lookups (void)
{
  g_autofree char *first = generation (0);
  EkInstance *self = begin (first, "");
  GThread *threads[4];

  atomic_store (&stop_reading, 0);
  for (guint i = 0; i < 3; i++)
    threads[i] = g_thread_new ("reader", reader, self);
  EkTableFile *file = ek_table_file_new ("second", path, &file_table_kind, NULL);
  threads[3] = g_thread_new ("reloader", reloader, &file);
  for (guint n = 1; n <= 40; n++) {
    g_autofree char *text = generation (n);
    test_rename_in (path, text, -1);
    /* set() reloads at once: every table that readers hold is swapped away under them */
    EkCall mine = { 0 };
    g_assert_cmpint (ek_module_file.passdb->set (self, test_call (&mine), "user1", EK_STR ("{PLAIN}set")), ==, EK_OK);
    test_call_clear (&mine);
    gconstpointer table = ek_table_file_hold (file, NULL);
    if (table)
      ek_table_file_release (file, table);
    g_usleep (5000);
  }
  atomic_store (&stop_reading, 1);
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  ek_table_file_free (file);
  g_assert_cmpuint (atomic_load (&lookups), >, 100);
  end ();
}

/* ---- writing ---- */

static EkStatus
set (EkInstance *self, const char *name, const char *stored)
{
  return ek_module_file.passdb->set (self, test_call (&call), name, ek_str (stored));
}

static void
assert_text (const char *expected)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, expected);
}

static void
test_set (void)
{
  EkInstance *self = begin ("# head\n\nanna:{PLAIN}a:1:2:A:/h:/s:x=y # no comment\r\n#ben:old\nben:old\ncarl", "");
  struct stat before, after;
  EkAccount account;

  g_assert_cmpint (chmod (path, 0640), ==, 0);
  g_assert_cmpint (stat (path, &before), ==, 0);
  g_assert_cmpint (set (self, "anna", "{SSHA}new"), ==, EK_OK);
  g_assert_cmpint (set (self, "ben", "{PLAIN}b b"), ==, EK_OK);
  g_assert_cmpint (set (self, "carl", "c"), ==, EK_OK);
  g_assert_cmpint (set (self, "dora@x", "d"), ==, EK_OK);
  assert_text ("# head\n\nanna:{SSHA}new:1:2:A:/h:/s:x=y # no comment\r\n#ben:old\nben:{PLAIN}b b\ncarl:c\ndora@x:d\n");
  g_assert_cmpint (stat (path, &after), ==, 0);
  g_assert_cmpuint (after.st_mode, ==, before.st_mode);
  g_assert_cmpuint (after.st_uid, ==, before.st_uid);
  g_assert_cmpint (pass (self, "dora@x", &account), ==, EK_OK);      /* seen at once */
  g_assert_cmpint (ek_module_file.passdb->remove (self, test_call (&call), "anna"), ==, EK_OK);
  g_assert_cmpint (ek_module_file.passdb->remove (self, test_call (&call), "anna"), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_module_file.passdb->remove (self, test_call (&call), "dora@x"), ==, EK_OK);
  assert_text ("# head\n\n#ben:old\nben:{PLAIN}b b\ncarl:c\n");
  static const char *const names[] = { "a:b", "a\nb", "#a", "", " a", "a\tb" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_cmpint (set (self, names[i], "x"), ==, EK_FAIL);
  g_assert_cmpint (set (self, "a", "{PLAIN}x:y"), ==, EK_FAIL);
  g_assert_true (test_has (call.error->message, "{PLAIN.b64}"));
  g_assert_cmpint (set (self, "a", "x\ny"), ==, EK_FAIL);
  assert_text ("# head\n\n#ben:old\nben:{PLAIN}b b\ncarl:c\n");
  end ();
}

static EkStatus
replace (EkInstance *self, const char *name, const char *from, const char *to)
{
  return ek_module_file.passdb->replace (self, test_call (&call), name, ek_str (from), ek_str (to));
}

/* Only what was compared is replaced. */
static void
test_replace (void)
{
  EkInstance *self = begin ("anna:{SHA}old:1:2::/h\r\nben:old\ncarl:", "scheme = DES-CRYPT");
  const char *after = "anna:{SSHA}new:1:2::/h\r\nben:{SSHA}bare\ncarl:";

  g_assert_cmpint (replace (self, "anna", "{SHA}old", "{SSHA}new"), ==, EK_OK);
  g_assert_cmpint (replace (self, "anna", "{SHA}old", "{SSHA}late"), ==, EK_NOTFOUND);
  g_assert_cmpint (replace (self, "ben", "{DES-CRYPT}old", "{SSHA}bare"), ==, EK_OK);        /* as lookup told it */
  g_assert_cmpint (replace (self, "ben", "{DES-CRYPT}old", "{SSHA}late"), ==, EK_NOTFOUND);
  g_assert_cmpint (replace (self, "carl", "{DES-CRYPT}", "{SSHA}late"), ==, EK_NOTFOUND);    /* he has none */
  g_assert_cmpint (replace (self, "dora", "{SHA}old", "{SSHA}late"), ==, EK_NOTFOUND);       /* nobody is made */
  assert_text (after);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (replace (self, "anna", "{SSHA}new", "{SSHA}late"), ==, EK_NOTFOUND);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  end ();
}

static void
test_set_new_file (void)
{
  EkInstance *self = begin (NULL, "");
  struct stat st;

  g_assert_cmpint (ek_module_file.passdb->remove (self, test_call (&call), "anna"), ==, EK_NOTFOUND);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_cmpint (set (self, "anna", "{PLAIN}a"), ==, EK_OK);
  assert_text ("anna:{PLAIN}a\n");
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0600);
  end ();
}

/* A link stays a link, and what it leads to is changed. */
static void
test_set_link (void)
{
  g_autofree char *target = g_build_filename (folder, "target", NULL);
  EkInstance *self = begin ("", "");

  test_rename_in (target, "anna:x\n", -1);
  g_unlink (path);
  g_assert_cmpint (symlink (target, path), ==, 0);
  g_assert_cmpint (set (self, "ben", "y"), ==, EK_OK);
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_SYMLINK));
  assert_text ("anna:x\nben:y\n");
  g_unlink (path);
  end ();
}

static gpointer
writer (gpointer data)
{
  guint n = GPOINTER_TO_UINT (data);

  for (guint i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf ("w%u-%u", n, i);
    g_autoptr (GError) error = NULL;
    g_assert_cmpint (file_rewrite (path, ek_str (name), EK_STR ("x"), &error), ==, EK_OK);
  }
  return NULL;
}

/* No writer loses what another wrote. */
static void
test_writers (void)
{
  GThread *threads[4];
  EkInstance *self = begin ("", "");
  guint lines = 0;
  g_autofree char *text = NULL;

  for (guint i = 0; i < 4; i++)
    threads[i] = g_thread_new ("writer", writer, GUINT_TO_POINTER (i));
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (char *p = text; (p = strchr (p, '\n')) != NULL; p++)
    lines++;
  g_assert_cmpuint (lines, ==, 80);
  (void) self;
  end ();
}

/* ---- the rest ---- */

static void
collect (const EkUser *found, gpointer data)
{
  g_string_append_printf (data, "%s=%s ", found->name, found->home ? found->home : "-");
}

static void
test_each_and_map (void)
{
  EkInstance *self = begin (dovecot, "home = \"/m/%d/%n\"");
  GString *all = g_string_new (NULL);
  EkAnswer answer;
  EkQuery query = { .key = EK_STR ("ben@example.com") };

  g_assert_cmpint (ek_module_file.userdb->each (self, test_call (&call), collect, all), ==, EK_OK);
  g_assert_cmpstr (all->str, ==, "anna@example.com=/m/example.com/anna ben@example.com=/home/ben carla=/h/carla "
                   "dora=- emil=- fritz=/home/fritz gerd=- ");
  g_string_free (all, TRUE);
  g_assert_cmpint (ek_module_file.map->lookup (self, test_call (&call), &query, &answer), ==, EK_OK);
  g_assert_cmpstr (ek_answer_column (&answer, NULL).p, ==, "ben@example.com");
  g_assert_cmpstr (ek_answer_column (&answer, "uid").p, ==, "1001");
  g_assert_cmpstr (ek_answer_column (&answer, "acl_groups").p, ==, "staff,admin");
  for (guint i = 0; i < answer.n_columns; i++)
    g_assert_null (strstr (answer.cells[i].p ? answer.cells[i].p : "", "SSHA"));
  query.key = EK_STR ("carla\0x");
  g_assert_cmpint (ek_module_file.map->lookup (self, test_call (&call), &query, &answer), ==, EK_NOTFOUND);
  end ();
}

static void
test_quota (void)
{
  g_assert_cmpuint (ek_record_quota (EK_STR ("*:storage=1000")), ==, 1024000);
  g_assert_cmpuint (ek_record_quota (EK_STR ("*:storage=1G")), ==, 1 << 30);
  g_assert_cmpuint (ek_record_quota (EK_STR ("*:bytes=5M")), ==, 5 << 20);
  g_assert_cmpuint (ek_record_quota (EK_STR ("*:bytes=77")), ==, 77);
  g_assert_cmpuint (ek_record_quota (EK_STR ("1T")), ==, (guint64) 1 << 40);
  g_assert_cmpuint (ek_record_quota (EK_STR ("99999999999T")), ==, 0);
  g_assert_cmpuint (ek_record_quota (EK_STR ("Trash:storage=1G")), ==, 0);
  g_assert_cmpuint (ek_record_quota (EK_STR ("")), ==, 0);
}

/* A million users; how long that takes is told, tests/bench judges. */
static void
test_million (void)
{
  guint n = g_test_slow () ? 1000000 : 100000;
  GString *text = g_string_sized_new ((gsize) n * 100);

  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "user%u@example.com:{SHA256-CRYPT}$5$k/rO.finPAUXfpuj$TAy7i0lojCLlyEZRAhaagf4ZUbp/"
                            "4ESc5A7RhCDgI9A:5000:5000::/var/mail/%u\n", i, i);
  test_rename_in (path, text->str, (gssize) text->len);
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"", path);
  gint64 start = ek_now ();
  EkInstance *self = test_instance_new (&test, &ek_module_file, "staff", settings, NULL);
  gint64 took = ek_now () - start;
  EkAccount account;
  start = ek_now ();
  for (guint i = 0; i < n; i += 97) {
    g_autofree char *name = g_strdup_printf ("user%u@example.com", i);
    g_assert_cmpint (pass (self, name, &account), ==, EK_OK);
  }
  gint64 each = (ek_now () - start) * 97 / n;
  g_assert_cmpint (pass (self, "user1000000@example.com", &account), ==, EK_NOTFOUND);
  g_test_message ("%u users, %" G_GSIZE_FORMAT " MB: read in %" G_GINT64_FORMAT " ms, a lookup in %" G_GINT64_FORMAT
                  " us", n, text->len >> 20, took / 1000, each);
  g_string_free (text, TRUE);
  end ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_table_file_patience = 50000;
  folder = test_folder ();
  path = g_build_filename (folder, "users", NULL);
  g_test_add_func ("/file/forms", test_forms);
  g_test_add_func ("/file/formats", test_formats);
  g_test_add_func ("/file/options", test_options);
  g_test_add_func ("/file/wrong-lines", test_wrong_lines);
  g_test_add_func ("/file/double", test_double);
  g_test_add_func ("/file/outage", test_outage);
  g_test_add_func ("/file/in-place", test_in_place);
  g_test_add_func ("/file/reload-under-lookups", test_reload_under_lookups);
  g_test_add_func ("/file/set", test_set);
  g_test_add_func ("/file/set-new-file", test_set_new_file);
  g_test_add_func ("/file/replace", test_replace);
  g_test_add_func ("/file/set-link", test_set_link);
  g_test_add_func ("/file/writers", test_writers);
  g_test_add_func ("/file/each-and-map", test_each_and_map);
  g_test_add_func ("/file/quota", test_quota);
  g_test_add_func ("/file/million", test_million);
  int result = g_test_run ();
  test_remove_folder (folder);
  g_free (path);
  return result;
}
