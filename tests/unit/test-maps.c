/* test-maps.c - modules text, static, inline, cidr, passwd and test, and the parts they share
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/instance.h"
#include "../../modules/cidr/cidr.h"
#include "base/log.h"
#include "lookup/template.h"
#include <pwd.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define LOOK 60000                   /* longer than ek_table_file_patience here */

extern const EkModule ek_module_text, ek_module_static, ek_module_inline, ek_module_cidr, ek_module_passwd,
  ek_module_test, ek_module_test_evented;

static char *folder, *path;
static TestInstance test;
static EkCall call;

static EkInstance *
begin (const EkModule *module, const char *settings)
{
  g_autoptr (GError) error = NULL;
  EkInstance *self = test_instance_new (&test, module, "it", settings, &error);

  g_assert_no_error (error);
  return self;
}

static EkInstance *
begin_file (const EkModule *module, const char *text, const char *more)
{
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"\n%s", path, more);

  test_rename_in (path, text, -1);
  return begin (module, settings);
}

static void
end (void)
{
  test_instance_free (&test);
  test_call_clear (&call);
}

static EkStatus
lookup (EkInstance *self, EkStr key, const char **value)
{
  EkStr text;
  EkStatus status = test_lookup (self, &call, key, &text);

  *value = text.p;
  return status;
}

static const char *
get (EkInstance *self, const char *key)
{
  return test_get (self, &call, key);
}

static void
refuses (const EkModule *module, const char *settings, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (test_instance_new (&test, module, "it", settings, &error));
  g_assert_true (test_has (error->message, part));
  end ();
}

/* ---- text ---- */

static void
test_text (void)
{
  /* What postmap -q texthash: of Postfix 3.7 says of the same lines, but for the quotes (README). */
  EkInstance *self = begin_file (&ek_module_text, "# c\na 1\n\"b c\" 2\n\"d\\\"e\\\\f\"   3 \n# x\nk\n  v w\n# c\n   more\n\n"
                                 "Foo bar\r\n  \nlast\tx  y ", "");
  const char *value;

  g_assert_cmpstr (get (self, "a"), ==, "1");
  g_assert_cmpstr (get (self, "A"), ==, "1");
  g_assert_cmpstr (get (self, "\"b c\""), ==, "2");
  g_assert_cmpstr (get (self, "b c"), ==, "2");
  g_assert_cmpstr (get (self, "\"d\\\"e\\\\f\""), ==, "3");
  g_assert_cmpstr (get (self, "k"), ==, "v w   more");
  g_assert_cmpstr (get (self, "foo"), ==, "bar");
  g_assert_cmpstr (get (self, "last"), ==, "x  y");
  g_assert_cmpstr (get (self, "b"), ==, "notfound");
  g_assert_cmpstr (get (self, ""), ==, "notfound");
  g_assert_cmpstr (get (self, "1"), ==, "notfound");
  g_assert_cmpint (lookup (self, EK_STR ("a\0b"), &value), ==, EK_NOTFOUND);
  g_assert_cmpint (lookup (self, (EkStr) { NULL, 0 }, &value), ==, EK_NOTFOUND);
  g_autofree char *longer = g_strnfill (5000, 'a');
  g_assert_cmpstr (get (self, longer), ==, "notfound");
  end ();
  self = begin_file (&ek_module_text, "Foo bar\nfoo baz\n", "fold_case = no");
  g_assert_cmpstr (get (self, "Foo"), ==, "bar");
  g_assert_cmpstr (get (self, "foo"), ==, "baz");
  g_assert_cmpstr (get (self, "FOO"), ==, "notfound");
  end ();
  self = begin_file (&ek_module_text, "twice one\nTwice two\nother x\n", "");
  g_assert_cmpstr (get (self, "twice"), ==, "one");
  g_assert_cmpstr (get (self, "other"), ==, "x");
  end ();
  refuses (&ek_module_text, "path = aliases", "not absolute");
}

static void
test_text_wrong (void)
{
  static const struct { const char *text, *said; } wrong[] = {
    { "a 1\nnovalue\n", ":2: expected key, blanks, value: the value is missing" },
    { " a 1\n", ":1: the line begins with a blank" },
    { "a 1\n\"b 2\n", ":2: the key's quote" },
    { "a 1\n\n# c\n\"\" x\n", ":4: expected key, blanks, value: the key is missing" },
    { "a 1\nb\n  2\nnovalue", ":4: expected" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    EkInstance *self = begin_file (&ek_module_text, wrong[i].text, "");
    g_assert_cmpstr (get (self, "a"), ==, "defer");
    g_assert_true (test_has (call.error->message, wrong[i].said));
    end ();
  }
}

static void
test_text_reload (void)
{
  EkInstance *self = begin_file (&ek_module_text, "a 1\n", "");

  g_assert_cmpstr (get (self, "a"), ==, "1");
  test_rename_in (path, "a 2\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "2");
  test_rename_in (path, "a 3\nwrong\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "2");
  unlink (path);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "2");
  test_rename_in (path, "a 4\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "4");
  end ();
}

static atomic_int stop_reading;

static gpointer
reader (gpointer data)
{
  EkInstance *self = data;
  EkCall mine = { 0 };

  while (!atomic_load (&stop_reading)) {
    EkQuery query = { .key = EK_STR ("key50") };
    EkAnswer answer = { 0 };
    g_assert_cmpint (self->module->map->lookup (self, test_call (&mine), &query, &answer), ==, EK_OK);
    g_assert_true (g_str_has_prefix (ek_answer_column (&answer, NULL).p, "value"));
  }
  test_call_clear (&mine);
  return NULL;
}

static void
test_text_reload_under_lookups (void)
{
  GString *text = g_string_new (NULL);
  GThread *threads[3];
  gint64 patience = ek_table_file_patience;

  ek_table_file_patience = 0;                      /* every lookup looks at the file */
  for (guint i = 0; i < 100; i++)
    g_string_append_printf (text, "key%u value%u\n", i, i);
  EkInstance *self = begin_file (&ek_module_text, text->str, "");
  atomic_store (&stop_reading, 0);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("reader", reader, self);
  for (guint i = 0; i < 60; i++) {
    g_string_append_printf (text, "more%u x\n", i);
    test_rename_in (path, text->str, (gssize) text->len);
    g_usleep (3000);
  }
  atomic_store (&stop_reading, 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  ek_table_file_patience = patience;
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "more59"), ==, "x");
  g_string_free (text, TRUE);
  end ();
}

static void
note_advice (const char *bytes, gsize len, gpointer data)
{
  *(bool *) data |= memmem (bytes, len, "ekiden map build", strlen ("ekiden map build")) != NULL;
}

/* From a size on the log says what is better. */
static void
test_text_advice (void)
{
  static const struct { const char *settings; bool advised; } cases[] = {
    { "", false }, { "size_advice = 100", true }, { "size_advice = 0", false },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    bool advised = false;
    ek_log_set_sink (note_advice, &advised);
    EkInstance *self = begin_file (&ek_module_text, "a 1\n", cases[i].settings);
    ek_log_set_sink (NULL, NULL);
    g_assert_cmpstr (get (self, "a"), ==, "1");
    g_assert_true (advised == cases[i].advised);
    end ();
  }
}

static void
test_text_large (void)
{
  guint n = g_test_slow () ? 5000000 : 200000;
  GString *text = g_string_sized_new ((gsize) n * 34);

  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "alias%u@example.com user%u\n", i, i);
  gint64 start = ek_now ();
  EkInstance *self = begin_file (&ek_module_text, text->str, "");
  gint64 took = ek_now () - start;
  for (guint i = 0; i < n; i += 1009) {
    g_autofree char *key = g_strdup_printf ("alias%u@example.com", i), *value = g_strdup_printf ("user%u", i);
    g_assert_cmpstr (get (self, key), ==, value);
  }
  g_test_message ("%u rows, %" G_GSIZE_FORMAT " MB: written and read in %" G_GINT64_FORMAT " ms", n, text->len >> 20,
                  took / 1000);
  g_string_free (text, TRUE);
  end ();
}

/* ---- static, inline ---- */

static EkStatus
user (EkInstance *self, const char *name, EkUser *found)
{
  *found = (EkUser) { 0 };
  return self->module->userdb->lookup (self, test_call (&call), name, found);
}

static void
test_static (void)
{
  EkInstance *self = begin (&ek_module_static, "value = \"OK yes\"\nhome = \"/var/mail/%d/%n\"\nuid = 5000\ngid = 5001\n"
                            "quota = 1G");
  EkUser found;

  g_assert_cmpstr (get (self, "anything"), ==, "OK yes");
  g_assert_cmpint (user (self, "anna@example.com", &found), ==, EK_OK);
  g_assert_cmpstr (found.home, ==, "/var/mail/example.com/anna");
  g_assert_cmpstr (found.name, ==, "anna@example.com");
  g_assert_cmpint (found.uid, ==, 5000);
  g_assert_cmpint (found.gid, ==, 5001);
  g_assert_cmpuint (found.quota_bytes, ==, 1 << 30);
  g_assert_true (found.assumed);
  static const char *const unsafe[] = { "..@example.com", "a/b@example.com", "@example.com", "anna@..", "anna", ".x@d" };
  for (guint i = 0; i < G_N_ELEMENTS (unsafe); i++) {
    g_assert_cmpint (user (self, unsafe[i], &found), ==, EK_DEFER);
    g_assert_true (test_has (call.error->message, "no safe folder"));
  }
  end ();
  self = begin (&ek_module_static, "all_users = yes");
  g_assert_cmpint (user (self, "anna", &found), ==, EK_OK);
  g_assert_false (found.assumed);
  g_assert_null (found.home);
  g_assert_cmpint (found.uid, ==, -1);
  g_assert_cmpstr (get (self, "x"), ==, "");
  end ();
  refuses (&ek_module_static, "home = \"/%z\"", "home: \"%z\"");
}

static void
test_inline (void)
{
  EkInstance *self = begin (&ek_module_inline, "pairs = [ \"Anna = a=b c\", \"x=\", \"b c=1\" ]");
  const char *value;

  g_assert_cmpstr (get (self, "anna"), ==, "a=b c");
  g_assert_cmpstr (get (self, "X"), ==, "");
  g_assert_cmpstr (get (self, "b c"), ==, "1");
  g_assert_cmpstr (get (self, "nobody"), ==, "notfound");
  g_assert_cmpint (lookup (self, EK_STR ("anna\0"), &value), ==, EK_NOTFOUND);
  end ();
  self = begin (&ek_module_inline, "fold_case = no\npairs = \"A = 1\", \"a = 2\"");
  g_assert_cmpstr (get (self, "A"), ==, "1");
  g_assert_cmpstr (get (self, "a"), ==, "2");
  end ();
  refuses (&ek_module_inline, "pairs = \"A = 1\", \"a = 2\"", "there twice");
  refuses (&ek_module_inline, "pairs = nothing", "is not \"key = value\"");
  refuses (&ek_module_inline, "pairs = \" = x\"", "is not \"key = value\"");
}

/* ---- cidr ---- */

static void
test_cidr (void)
{
  /* Answers as postmap -q cidr: of Postfix 3.7 gives them. */
  EkInstance *self = begin_file (&ek_module_cidr, "# c\n192.168.1.1   one\n192.168.1.0/24 net\nif 10.0.0.0/8\n"
    "10.1.0.0/16  ten-one\n!10.2.0.0/16  not-ten-two\nendif\nif !10.0.0.0/8\n::1  lo\n!172.16.0.0/12 rest\nendif\n"
    "0.0.0.0/0 all\n[2001:db8::]/32 doc\n2001:db9::/33\n   folded\nIF ::/0\nif fe80::/10\nfe80::1 link\nENDIF\nendif\n"
    "::ffff:0:0/96 mapped\n", "");
  static const char *const pairs[][2] = {
    { "192.168.1.1", "one" }, { "192.168.1.7", "net" }, { "10.1.2.3", "ten-one" }, { "10.2.2.3", "all" },
    { "10.3.3.3", "not-ten-two" }, { "172.16.1.1", "all" }, { "8.8.8.8", "rest" }, { "::1", "notfound" },
    { "2001:db8:ffff::5", "doc" }, { "[2001:db8::5]", "doc" }, { "2001:db9:0::1", "folded" },
    { "2001:db9:8000::1", "notfound" }, { "fe80::1", "link" }, { "fe80::2", "notfound" },
    { "::ffff:192.168.1.1", "mapped" }, { "foo", "notfound" }, { "", "notfound" }, { "10.1.2.3.4", "notfound" },
    { "10.1.2.3/8", "notfound" }, { "unknown", "notfound" }, { "fe80::1%eth0", "notfound" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_test_message ("%s", pairs[i][0]);
    g_assert_cmpstr (get (self, pairs[i][0]), ==, pairs[i][1]);
  }
  end ();
}

static void
test_cidr_wrong (void)
{
  static const struct { const char *text, *said; } wrong[] = {
    { "1.2.3.4/24 x\n", ":1: \"1.2.3.4/24\" is no network: the address has bits set" },
    { "1.2.3.0/33 x\n", "from 0 to 32" }, { "1.2.3.0/ x\n", "from 0 to 32" }, { "::/129 x\n", "from 0 to 128" },
    { "1.2.3 x\n", "neither an IPv4" }, { "01.2.3.4 x\n", "neither" }, { "1.2.3.4\n", "the value is missing" },
    { "\nif 1.2.3.4\n1.2.3.4 x\n", ":2: this if has no endif" }, { "endif\n", ":1: endif without" },
    { "if 1.2.3.4\nendif x\n", ":2: there is something behind" }, { " 1.2.3.4 x\n", "begins with a blank" },
    { "if\nendif\n", ":1: \"\" is no network" }, { "! x\n", "\"x\" is no network" },
    { "if 1.2.3.4 x\nendif\n", ":1: there is something behind the pattern of an if" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    EkInstance *self = begin_file (&ek_module_cidr, wrong[i].text, "");
    g_assert_cmpstr (get (self, "1.2.3.4"), ==, "defer");
    g_assert_true (test_has (call.error->message, wrong[i].said));
    end ();
  }
}

static void
test_networks (void)
{
  g_autoptr (GError) error = NULL;
  EkStr list = EK_STR ("192.0.2.0/24, 2001:db8::/32 127.0.0.1,local");

  g_assert_cmpint (ek_network_list_has (list, "192.0.2.9", &error), ==, EK_OK);
  g_assert_cmpint (ek_network_list_has (list, "2001:db8::1", &error), ==, EK_OK);
  g_assert_cmpint (ek_network_list_has (list, "127.0.0.1", &error), ==, EK_OK);
  g_assert_cmpint (ek_network_list_has (list, "127.0.0.2", &error), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_network_list_has (list, "unix", &error), ==, EK_OK);
  g_assert_cmpint (ek_network_list_has (EK_STR ("127.0.0.1"), "unix", &error), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_network_list_has (EK_STR (""), "127.0.0.1", &error), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_network_list_has (list, NULL, &error), ==, EK_NOTFOUND);
  g_assert_true (ek_network_is_loopback (EK_STR ("127.1.2.3")) && ek_network_is_loopback (EK_STR ("[::1]")));
  g_assert_true (ek_network_is_loopback (EK_STR ("Localhost")) && !ek_network_is_loopback (EK_STR ("128.0.0.1")));
  g_assert_false (ek_network_is_loopback (EK_STR ("::2")) || ek_network_is_loopback (EK_STR ("localhost.example.com")));
  g_assert_no_error (error);
  g_assert_cmpint (ek_network_list_has (EK_STR ("127.0.0.1 x/8"), "127.0.0.1", &error), ==, EK_FAIL);
  g_assert_true (test_has (error->message, "\"x/8\" is no network"));
}

/* ---- passwd ---- */

static void
count_users (const EkUser *found, gpointer data)
{
  g_assert_nonnull (found->home);
  ++*(guint *) data;
}

static void
test_passwd (void)
{
  EkInstance *self = begin (&ek_module_passwd, "min_uid = 0\nmax_uid = 4294967294");
  EkUser found;
  guint n = 0;

  g_assert_cmpint (user (self, "root@example.com", &found), ==, EK_OK);
  g_assert_cmpstr (found.name, ==, "root@example.com");
  g_assert_cmpint (found.uid, ==, 0);
  g_assert_cmpstr (found.home, ==, getpwuid (0)->pw_dir);
  g_assert_cmpint (user (self, "no such account", &found), ==, EK_NOTFOUND);
  g_assert_cmpint (user (self, "@example.com", &found), ==, EK_NOTFOUND);
  g_assert_cmpint (self->module->userdb->each (self, test_call (&call), count_users, &n), ==, EK_OK);
  g_assert_cmpuint (n, >, 1);
  end ();
  self = begin (&ek_module_passwd, "");
  g_assert_cmpint (user (self, "root", &found), ==, EK_NOTFOUND);      /* below min_uid */
  g_assert_cmpint (user (self, "nobody", &found), ==, EK_NOTFOUND);
  end ();
  self = begin (&ek_module_passwd, "min_uid = 0\nusername_format = %u\nhome = \"/srv/%n\"");
  g_assert_cmpint (user (self, "root", &found), ==, EK_OK);
  g_assert_cmpstr (found.home, ==, "/srv/root");
  g_assert_cmpint (user (self, "root@example.com", &found), ==, EK_NOTFOUND);
  end ();
  refuses (&ek_module_passwd, "min_uid = 10\nmax_uid = 9", "above max_uid");
}

/* ---- test ---- */

static void
test_test (void)
{
  g_autofree char *control = g_build_filename (folder, "control", NULL);
  g_autofree char *settings = g_strdup_printf ("control = \"%s\"\nvalue = v\nhome = \"/h/%%n\"", control);
  EkInstance *self = begin (&ek_module_test, settings);
  EkAccount account;
  EkUser found;
  EkReply reply;
  EkMail mail = { .rcpt = EK_STR ("defer@example.com"), .sender = EK_STR ("fail@example.com") };

  g_assert_cmpstr (get (self, "any"), ==, "v");
  g_assert_cmpstr (get (self, "defer"), ==, "defer");
  g_assert_nonnull (call.error);
  g_assert_cmpstr (get (self, "fail@example.com"), ==, "fail");
  g_assert_cmpstr (get (self, "notfound"), ==, "notfound");
  gint64 start = ek_now ();
  g_assert_cmpstr (get (self, "slow:30"), ==, "v");
  g_assert_cmpstr (get (self, "slow-30@example.com"), ==, "v");
  g_assert_cmpint (ek_now () - start, >=, 60000);
  g_assert_cmpint (self->module->passdb->lookup (self, test_call (&call), "anna", &account), ==, EK_OK);
  g_assert_cmpstr (account.stored.p, ==, "{PLAIN}secret");
  g_assert_cmpint (user (self, "anna@x", &found), ==, EK_OK);
  g_assert_cmpstr (found.home, ==, "/h/anna");
  g_assert_cmpint (self->module->filter->at[EK_AT_RCPT] (self, test_call (&call), &mail, &reply), ==, EK_TEMPFAIL);
  g_assert_cmpint (reply.code, ==, 451);
  g_assert_cmpint (self->module->filter->at[EK_AT_MAIL] (self, test_call (&call), &mail, &reply), ==, EK_REJECT);
  g_assert_cmpint (self->module->filter->at[EK_AT_DATA] (self, test_call (&call), &mail, &reply), ==, EK_CONTINUE);
  test_write (control, "defer\n", -1);             /* the backend goes away ... */
  g_assert_cmpstr (get (self, "any"), ==, "defer");
  g_assert_cmpstr (get (self, "notfound"), ==, "defer");
  g_assert_cmpint (self->module->filter->at[EK_AT_DATA] (self, test_call (&call), &mail, &reply), ==, EK_TEMPFAIL);
  unlink (control);                                /* ... and is back */
  g_assert_cmpstr (get (self, "any"), ==, "v");
  if (g_test_subprocess ())
    get (self, "crash");
  end ();
  refuses (&ek_module_test, "state = broken", "none of ok");
  refuses (&ek_module_test, "state = \"ok:5\"", "none of ok");
}

static void
test_crash (void)
{
  g_test_trap_subprocess ("/maps/test", 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_failed ();
}

static void
done (EkCall *finished, EkStatus status, gpointer data)
{
  *(EkStatus *) data = status;
}

static void
test_evented (void)
{
  EkInstance *self = begin (&ek_module_test_evented, "");
  EkQuery query = { .key = EK_STR ("slow:50") };
  EkMail mail = { .rcpt = EK_STR ("slow:20") };
  EkReply reply;
  EkAnswer answer = { 0 };
  EkStatus status = EK_PENDING;
  gint64 start = ek_now ();

  test_call (&call);
  call.done = done;
  call.user = &status;
  g_assert_cmpint (self->module->map->lookup (self, &call, &query, &answer), ==, EK_PENDING);
  g_assert_cmpint (status, ==, EK_PENDING);        /* answered by the loop, later */
  while (status == EK_PENDING)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (status, ==, EK_OK);
  g_assert_cmpint (ek_now () - start, >=, 49000);
  g_assert_cmpstr (ek_answer_column (&answer, NULL).p, ==, "ok");
  query.key = EK_STR ("defer");
  g_assert_cmpint (self->module->map->lookup (self, &call, &query, &answer), ==, EK_DEFER);
  test_call (&call);
  call.done = done;
  status = (EkStatus) EK_VERDICT_PENDING;
  call.user = &status;
  g_assert_cmpint (self->module->filter->at[EK_AT_RCPT] (self, &call, &mail, &reply), ==, EK_VERDICT_PENDING);
  while (status == (EkStatus) EK_VERDICT_PENDING)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint ((EkVerdict) status, ==, EK_CONTINUE);
  end ();
}

static void
test_options (void)
{
  static const EkModule *const modules[] = {
    &ek_module_text, &ek_module_static, &ek_module_inline, &ek_module_cidr, &ek_module_passwd, &ek_module_test,
    &ek_module_test_evented,
  };

  for (guint i = 0; i < G_N_ELEMENTS (modules); i++) {
    g_autoptr (EkProblems) problems = ek_problems_new ();
    EkBuf said = { 0 };
    bool good = ek_options_selftest (modules[i]->options, modules[i]->instance_size, modules[i]->name, problems);
    ek_problems_print (problems, &said);
    g_test_message ("%s: %.*s", modules[i]->name, EK_STR_ARG (ek_buf_str (&said)));
    g_assert_true (good);
    ek_buf_release (&said);
  }
}

static EkStr
key_of (gconstpointer table, guint64 position)
{
  return ek_str (((char **) table)[position]);
}

/* The index grows when more comes than was expected, and finds all. */
static void
test_index (void)
{
  enum { N = 5000 };
  char **keys = g_new0 (char *, N + 1);
  EkKeyIndex index;
  guint64 at;

  ek_key_index_init (&index, 3);
  index.key_at = key_of;
  index.table = keys;
  for (guint i = 0; i < N; i++) {
    keys[i] = g_strdup_printf ("%u", i * 7);
    at = i;
    g_assert_true (ek_key_index_add (&index, ek_str (keys[i]), &at));
  }
  for (guint i = 0; i < N; i++) {
    at = 0;
    g_assert_false (ek_key_index_add (&index, ek_str (keys[i]), &at));
    g_assert_cmpuint (at, ==, i);
    g_assert_true (ek_key_index_find (&index, ek_str (keys[i]), &at));
    g_assert_cmpuint (at, ==, i);
  }
  g_assert_false (ek_key_index_find (&index, EK_STR ("1"), &at));
  g_assert_false (ek_key_index_find (&index, EK_STR (""), &at));
  ek_key_index_clear (&index);
  g_strfreev (keys);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_table_file_patience = 50000;
  folder = test_folder ();
  path = g_build_filename (folder, "table", NULL);
  g_test_add_func ("/maps/text", test_text);
  g_test_add_func ("/maps/text-wrong", test_text_wrong);
  g_test_add_func ("/maps/text-reload", test_text_reload);
  g_test_add_func ("/maps/text-reload-under-lookups", test_text_reload_under_lookups);
  g_test_add_func ("/maps/text-advice", test_text_advice);
  g_test_add_func ("/maps/text-large", test_text_large);
  g_test_add_func ("/maps/static", test_static);
  g_test_add_func ("/maps/inline", test_inline);
  g_test_add_func ("/maps/cidr", test_cidr);
  g_test_add_func ("/maps/cidr-wrong", test_cidr_wrong);
  g_test_add_func ("/maps/networks", test_networks);
  g_test_add_func ("/maps/passwd", test_passwd);
  g_test_add_func ("/maps/test", test_test);
  g_test_add_func ("/maps/crash", test_crash);
  g_test_add_func ("/maps/evented", test_evented);
  g_test_add_func ("/maps/options", test_options);
  g_test_add_func ("/maps/index", test_index);
  int result = g_test_run ();
  test_remove_folder (folder);
  g_free (path);
  return result;
}
