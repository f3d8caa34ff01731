/* test-mailboxmap.c - users by a map: found, catch-all, not found, outages, values that lead elsewhere
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/call.h"
#include <string.h>

static EkLoop *loop;

#define PAIRS(...) "inline \"m\" { pairs = [" __VA_ARGS__ "] }\n"
#define VMAIL "mailboxmap \"u\" { map = m\nbase = /srv/vhosts\nuid = 5000\ngid = 5001\nquota = 1G }\n"

typedef struct { guint n; EkStatus status; char name[64], mail[128], home[64], why[256]; gint64 uid, gid; guint64 quota; } Got;

static void
done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  Got *got = user;

  got->n++;
  got->status = status;
  g_strlcpy (got->why, why ? why->message : "", sizeof got->why);
  if (status != EK_OK)
    return;
  const EkUser *found = &((EkUserLookup *) data)->user;
  g_strlcpy (got->name, found->name, sizeof got->name);
  g_strlcpy (got->mail, found->mail ? found->mail : "-", sizeof got->mail);
  g_strlcpy (got->home, found->home ? found->home : "-", sizeof got->home);
  got->uid = found->uid;
  got->gid = found->gid;
  got->quota = found->quota_bytes;
  g_assert_false (found->assumed);
}

static EkGeneration *
make (const char *text)
{
  g_autofree char *said = NULL;
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, &said);

  g_assert_cmpstr (said, ==, "");
  g_assert_true (ek_generation_start (gen, NULL));
  return gen;
}

static EkOp *
begin (EkGeneration *gen, const char *name, EkTime timeout, Got *got)
{
  EkOp *op = ek_op_new (ek_generation_instance (gen, "u", 0));
  EkUserLookup *ask = ek_pool_new0 (ek_op_pool (op), EkUserLookup);

  *got = (Got) { 0 };
  ask->name = ek_pool_strdup (ek_op_pool (op), name);
  ek_op_reads (op);
  ek_op_start (op, 0, timeout, ek_run_user, ask, done, got);
  return op;
}

static Got
ask (EkGeneration *gen, const char *name)
{
  Got got;

  begin (gen, name, (EkTime) { 5000000 }, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
assert_mail (EkGeneration *gen, const char *asked, const char *name, const char *mail)
{
  Got got = ask (gen, asked);

  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpstr (got.name, ==, name);
  g_assert_cmpstr (got.mail, ==, mail);
}

static void
test_found (void)
{
  EkGeneration *gen = make (PAIRS ("\"anna@a.test = a.test/anna/\", \"@a.test = all/\", \"ben@b.test = b//ben/\", \"root = root/\"") VMAIL);

  assert_mail (gen, "anna@a.test", "anna@a.test", "/srv/vhosts/a.test/anna/");
  assert_mail (gen, "carl@a.test", "@a.test", "/srv/vhosts/all/");
  assert_mail (gen, "ben@b.test", "ben@b.test", "/srv/vhosts/b//ben/");
  assert_mail (gen, "root", "root", "/srv/vhosts/root/");
  Got got = ask (gen, "anna@a.test");
  g_assert_cmpstr (got.home, ==, "-");
  g_assert_cmpint (got.uid, ==, 5000);
  g_assert_cmpint (got.gid, ==, 5001);
  g_assert_cmpuint (got.quota, ==, 1 << 30);
  g_assert_cmpint (ask (gen, "carl@b.test").status, ==, EK_NOTFOUND);
  g_assert_cmpint (ask (gen, "carl").status, ==, EK_NOTFOUND);
  g_assert_cmpint (ask (gen, "").status, ==, EK_NOTFOUND);
  ek_generation_unref (gen);
}

static void
test_settings (void)
{
  EkGeneration *gen = make (PAIRS ("\"anna@a.test = /far/anna/\"") "mailboxmap \"u\" { map = m }\n");
  Got got = ask (gen, "anna@a.test");

  g_assert_cmpstr (got.mail, ==, "/far/anna/");
  g_assert_cmpint (got.uid, ==, -1);
  ek_generation_unref (gen);
  gen = make (PAIRS ("\"anna@a.test = a/\", \"@a.test = all/\"") "mailboxmap \"u\" { map = m\nbase = \"/srv/\"\nhome = \"/home/%d/%n\" }\n");
  got = ask (gen, "anna@a.test");
  g_assert_cmpstr (got.home, ==, "/home/a.test/anna");
  g_assert_cmpstr (got.mail, ==, "/srv/a/");
  g_assert_cmpstr (ask (gen, "ben@a.test").home, ==, "-");
  ek_generation_unref (gen);
  gen = make (PAIRS ("\"anna@a.test = OK\", \"@a.test = ../x\"") "mailboxmap \"u\" { map = m\nvalue = any\nhome = \"/home/%d/%n\" }\n");
  assert_mail (gen, "anna@a.test", "anna@a.test", "-");
  assert_mail (gen, "ben@a.test", "ben@a.test", "-");
  g_assert_cmpstr (ask (gen, "ben@a.test").home, ==, "/home/a.test/ben");
  static const char *const unsafe[] = { "../ben@a.test", "anna/.Archive@a.test", ".hidden@a.test", "\"a/b\"@a.test" };
  for (guint i = 0; i < G_N_ELEMENTS (unsafe); i++)
    g_assert_cmpint (ask (gen, unsafe[i]).status, ==, EK_NOTFOUND);
  ek_generation_unref (gen);
  static const char *const wrong[][2] = {
    { "", "map" }, { "map = m\nbase = srv", "expected an absolute path" }, { "map = m\nhome = \"/%x\"", "home" }, { "map = m\nvalue = some", "path" },
    { "map = gone", "gone" }, { "map = people", "people" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree char *said = NULL;
    g_autofree char *text = g_strdup_printf (PAIRS ("\"a = b\"") "passwd \"people\" { }\nmailboxmap \"u\" { %s }\n", wrong[i][0]);
    gen = ek_test_generation (text, EK_ROLES_ALL, &said);
    if (gen || !strstr (said, wrong[i][1]))
      g_error ("%s: \"%s\"", wrong[i][0], said);
  }
}

/* What would lie elsewhere, or nowhere, is put off, and the reason names map and key. */
static void
test_hostile (void)
{
  static const char *const bad[][2] = {
    { "../anna/", "has . or .. in it" }, { "a/../../etc/", "has . or .. in it" }, { "a/..", "has . or .. in it" }, { "..", "has . or .. in it" },
    { "a/./b/", "has . or .. in it" }, { "./", "has . or .. in it" }, { "/etc/", "absolute" }, { "//etc/", "absolute" }, { "/", "absolute" },
    { "a/anna", "mbox" }, { "anna", "mbox" }, { "a/\\tb/", "control" }, { "", "is empty" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *text = g_strdup_printf (PAIRS ("\"anna@a.test = %s\"") VMAIL, bad[i][0]);
    EkGeneration *gen = make (text);
    Got got = ask (gen, "anna@a.test");
    g_test_message ("%s: %s", bad[i][0], got.why);
    g_assert_cmpint (got.status, ==, EK_DEFER);
    g_assert_nonnull (strstr (got.why, bad[i][1]));
    g_assert_nonnull (strstr (got.why, "map m: the value of anna@a.test"));
    ek_generation_unref (gen);
  }
  g_autofree char *longer = g_strnfill (1100, 'x'), *text = g_strdup_printf (PAIRS ("\"anna@a.test = %s/\"") VMAIL, longer);
  EkGeneration *gen = make (text);
  g_assert_nonnull (strstr (ask (gen, "anna@a.test").why, "is too long"));
  ek_generation_unref (gen);
  gen = make (PAIRS ("\"anna@a.test = a/\", \"@a.test = /\"") "mailboxmap \"u\" { map = m }\n");
  g_assert_nonnull (strstr (ask (gen, "anna@a.test").why, "is no absolute path"));
  Got got = ask (gen, "ben@a.test");
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_nonnull (strstr (got.why, "the value of @a.test, \"/\", names no folder"));
  ek_generation_unref (gen);
}

/* An outage is no answer: neither of the address, nor of the catch-all behind it. */
static void
test_outage (void)
{
  static const char *const away[] = { "test \"m\" { state = defer }\n", "test \"m\" { state = fail }\n", "test_evented \"m\" { state = defer }\n",
                                      "test \"x\" { state = defer }\ninline \"i\" { pairs = [\"@a.test = a/\"] }\nchain \"m\" { maps = [x, i] }\n" };

  for (guint i = 0; i < G_N_ELEMENTS (away); i++) {
    g_autofree char *text = g_strconcat (away[i], VMAIL, NULL);
    EkGeneration *gen = make (text);
    Got got = ask (gen, "anna@a.test");
    g_assert_cmpint (got.status, ==, EK_DEFER);
    g_assert_nonnull (strstr (got.why, "map m: no answer"));
    ek_generation_unref (gen);
  }
  EkGeneration *gen = make ("test \"m\" { state = notfound }\n" VMAIL);
  g_assert_cmpint (ask (gen, "anna@a.test").status, ==, EK_NOTFOUND);
  ek_generation_unref (gen);
}

static void
test_late (void)
{
  EkGeneration *gen = make ("test_evented \"m\" { state = \"slow:300\" }\n" VMAIL);
  Got got, never;

  begin (gen, "anna@a.test", (EkTime) { 20000 }, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  ek_op_cancel (begin (gen, "ben@a.test", (EkTime) { 0 }, &never));
  for (gint64 end = g_get_monotonic_time () + 700000; g_get_monotonic_time () < end; g_usleep (1000))
    ek_loop_turn (loop, false);                    /* the slow ones come to their end */
  g_assert_cmpuint (got.n, ==, 1);
  g_assert_cmpuint (never.n, ==, 0);
  ek_generation_unref (gen);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  loop = ek_loop_new (NULL);
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "test");
  ek_op_use_jobs (jobs);
  g_test_add_func ("/mailboxmap/found", test_found);
  g_test_add_func ("/mailboxmap/settings", test_settings);
  g_test_add_func ("/mailboxmap/hostile", test_hostile);
  g_test_add_func ("/mailboxmap/outage", test_outage);
  g_test_add_func ("/mailboxmap/late", test_late);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return failed;
}
