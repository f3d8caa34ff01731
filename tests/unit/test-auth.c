/* test-auth.c - logins and users: chains of passdbs and userdbs, outages, fields, delays
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/authrig.h"
#include <semaphore.h>

static void
test_chain (void)
{
  Got got = login ("one two", "one two", "anna@a.example", "geheim");

  assert_ok (got, "anna@a.example", "/one/a.example/anna");
  g_assert_cmpint (got.uid, ==, 1001);
  assert_ok (login ("one two", "one two", "ben@b.example", "zwei"), "ben@b.example", "/two/ben");
  assert_refused (login ("one two", "one two", "anna@a.example", "zwei"), "wrong password (one)");
  /* the same name in both: the first that knows it decides */
  assert_ok (login ("one two", "one two", "both@a.example", "eins"), "both@a.example", "/one/a.example/both");
  assert_refused (login ("one two", "one two", "both@a.example", "zwei"), "wrong password (one)");
  assert_ok (login ("two one", "two one", "both@a.example", "zwei"), "both@a.example", "/two/both");
  assert_refused (login ("one two", "one two", "nobody@a.example", "x"), "unknown user");
  assert_refused (login ("one two", "one two", "anna@a.example", ""), "empty password");
  assert_refused (login ("", "one", "anna@a.example", "geheim"), "unknown user");
  assert_unavailable (login ("one", "two", "anna@a.example", "geheim"), "no userdb does");
}

/* Three domains, three backends: the one whose backend is away defers, the others do not notice. */
static void
test_outage (void)
{
  for (guint i = 0; i < 3; i++) {
    assert_ok (login ("one", "one", "anna@a.example", "geheim"), "anna@a.example", "/one/a.example/anna");
    assert_unavailable (login ("down", "down", "user@c.example", "secret"), "deferred on request");
    assert_ok (login ("two", "two", "ben@b.example", "zwei"), "ben@b.example", "/two/ben");
  }
  assert_unavailable (login ("down one", "one", "anna@a.example", "geheim"), "deferred on request");
  assert_unavailable (login ("down one", "one", "anna@a.example", "wrong"), "deferred on request");
  assert_ok (login ("one down", "one", "anna@a.example", "geheim"), "anna@a.example", "/one/a.example/anna");
  assert_refused (login ("one down", "one", "anna@a.example", "wrong"), "wrong password (one)");
  assert_unavailable (login ("one down", "one", "nobody@a.example", "x"), "deferred on request");
  assert_unavailable (login ("one", "down", "anna@a.example", "geheim"), "deferred on request");
  assert_unavailable (login ("away", "away", "fail@c.example", "x"), "failed on request");      /* not "wrong password" */
  assert_unavailable (login ("missing", "one", "anna@a.example", "geheim"), "No such file");
  assert_unavailable (login ("one", "one", "odd@a.example", "x"), "NOSUCH");
  assert_unavailable (login ("one", "one", "broken@a.example", "x"), "is not base64");
}

static void
test_timeout (void)
{
  EkAuthConf was = conf;

  conf.timeout.us = 50000;
  assert_unavailable (login ("away", "away", "slow-300@c.example", "secret"), "no answer in time");
  assert_unavailable (login ("evented", "evented", "slow-300@c.example", "secret"), "no answer in time");
  conf = was;
  g_usleep (300000);                   /* let the job and the timer end: their answers go nowhere */
  for (guint i = 0; i < 10; i++)
    ek_loop_turn (loop, false);
}

static void
test_evented (void)
{
  assert_ok (login ("evented", "evented", "slow-20@c.example", "secret"), "slow-20@c.example", "/h/slow-20");
  assert_refused (login ("evented", "evented", "any@c.example", "wrong"), "wrong password (evented)");
  assert_refused (login ("evented", "evented", "slow-20@c.example", "wrong"), "wrong password (evented)");         /* answered later */
  assert_refused (login ("evented", "evented", "slow-20@c.example", "secre"), "wrong password (evented)");
  static const char *const names[] = { "any@c.example", "slow-20@c.example" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {                     /* who looks at the secret itself, at once and later */
    assert_ok (login ("judge", "evented", names[i], "secret"), names[i], i ? "/h/slow-20" : "/h/any");
    assert_refused (login ("judge", "evented", names[i], "wrong"), "wrong password (judge)");
  }
  assert_refused (login ("evented one", "evented", "notfound@c.example", "wrong"), "unknown user");
  assert_unavailable (login ("evented", "evented", "defer@c.example", "secret"), "deferred on request");
}

static void
test_verify (void)
{
  Got got = login ("binder", "", "bound@c.example", "bindpass");

  assert_ok (got, "bound@c.example", "/bound");    /* from userdb_ fields: there is no userdb */
  g_assert_cmpint (got.uid, ==, 7);
  assert_refused (login ("binder one", "", "bound@c.example", "wrong"), "wrong password (binder)");
  assert_ok (login ("binder one", "one", "anna@a.example", "geheim"), "anna@a.example", "/one/a.example/anna");
  guint before = n_binds;
  assert_refused (login ("binder", "", "bound@c.example", ""), "empty password");
  g_assert_cmpuint (n_binds, ==, before);          /* it never saw the empty one */
  strcpy (bind_state, "down");
  assert_unavailable (login ("binder", "", "bound@c.example", "wrong"), "server down");
  strcpy (bind_state, "broken");
  assert_unavailable (login ("binder", "", "bound@c.example", "wrong"), "no such base");
  strcpy (bind_state, "ok");
}

static void
test_either (void)
{
  guint binds = n_binds;
  guint64 dummies = ek_password_n_dummies ();

  assert_ok (login ("looks", "", "anna@e.example", "looked-up"), "anna@e.example", "/either");
  assert_refused (login ("looks", "", "anna@e.example", "no"), "wrong password (looks)");
  assert_refused (login ("looks", "", "nobody@e.example", "no"), "unknown user");
  g_assert_cmpuint (n_binds, ==, binds);
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies + 1);
  assert_ok (login ("asks", "", "bound@c.example", "bindpass"), "bound@c.example", "/bound");
  assert_refused (login ("asks", "", "bound@c.example", "no"), "wrong password (asks)");
  assert_refused (login ("asks", "", "nobody@e.example", "no"), "unknown user");
  g_assert_cmpuint (n_binds, ==, binds + 3);
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies + 1);
  g_assert_cmpint (find_user ("asks", "", "anna@e.example").status, ==, EK_OK);       /* that he exists, lookup tells */
}

static void
test_fields (void)
{
  assert_refused (login ("one", "one", "locked@a.example", "x"), "nologin");
  assert_refused (login ("one", "one", "locked@a.example", "y"), "wrong password");
  assert_ok (login_from ("one", "one", "inside@a.example", "x", "10.1.2.3"), "inside@a.example", "/one/a.example/inside");
  assert_ok (login_from ("one", "one", "inside@a.example", "x", "2001:db8::9"), "inside@a.example", "/one/a.example/inside");
  assert_refused (login_from ("one", "one", "inside@a.example", "x", "192.0.2.1"), "allow_nets");
  assert_refused (login_from ("one", "one", "inside@a.example", "y", "10.1.2.3"), "wrong password");
  assert_unavailable (login ("one", "one", "typo@a.example", "x"), "allow_nets is wrong");
  assert_ok (login ("one", "one", "alias@a.example", "x"), "anna@a.example", "/one/a.example/anna");
}

/* A user who does not exist costs one hash, like the one who does, and of the same kind. */
static void
test_dummy (void)
{
  guint64 before = ek_password_n_dummies ();

  login ("one two", "one", "nobody@a.example", "x");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);
  login ("one two", "one", "anna@a.example", "wrong");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);
  login ("one two", "one", "nobody@a.example", "");
  login ("binder", "", "nobody@a.example", "x");   /* the server's own time */
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);
  login ("", "", "nobody@elsewhere.example", "x"); /* a domain that is not ours costs one too */
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 2);

  gint64 start = ek_now ();
  login ("slowhash", "", "rounds@a.example", "wrong");
  gint64 real = ek_now () - start;
  start = ek_now ();
  login ("slowhash", "", "nobody@a.example", "wrong");
  gint64 dummy = ek_now () - start;
  g_test_message ("real %" G_GINT64_FORMAT " us, dummy %" G_GINT64_FORMAT " us", real, dummy);
  g_assert_cmpint (real, >, 20000);                /* 200,000 rounds */
  g_assert_cmpint (dummy, >, real / 8);
  g_assert_cmpint (dummy, <, real * 8);
}

static void
test_users (void)
{
  Got got = find_user ("one", "one", "anna@a.example");

  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpstr (got.home, ==, "/one/a.example/anna");
  g_assert_cmpint (find_user ("one", "one two", "ben@b.example").status, ==, EK_OK);
  g_assert_cmpint (find_user ("one", "one", "nobody@a.example").status, ==, EK_NOTFOUND);
  g_assert_cmpint (find_user ("one", "one down", "anna@a.example").status, ==, EK_OK);
  g_assert_cmpint (find_user ("one", "one down", "nobody@a.example").status, ==, EK_DEFER);
  g_assert_cmpint (find_user ("one", "missing", "anna@a.example").status, ==, EK_DEFER);
  /* a static userdb assumes: a passdb has to know him */
  got = find_user ("two one", "virtual", "anna@a.example");
  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpstr (got.home, ==, "/v/a.example/anna");
  g_assert_cmpuint (got.quota, ==, 1 << 20);
  g_assert_cmpint (find_user ("two one", "virtual", "nobody@a.example").status, ==, EK_NOTFOUND);
  g_assert_cmpint (find_user ("two down", "virtual", "anna@a.example").status, ==, EK_DEFER);
  g_assert_cmpint (find_user ("binder one", "virtual", "anna@a.example").status, ==, EK_OK);
  got = find_user ("binder", "virtual", "anna@a.example");
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_true (test_has (got.why, "all_users"));
  g_assert_cmpint (find_user ("", "everybody", "anna@a.example").status, ==, EK_OK);
  assert_ok (login ("one", "virtual", "anna@a.example", "geheim"), "anna@a.example", "/v/a.example/anna");
  /* no userdb: made from the account */
  got = find_user ("one", "", "anna@a.example");
  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpstr (got.home, ==, "-");
  g_assert_cmpint (find_user ("one", "", "nobody@a.example").status, ==, EK_NOTFOUND);
}

static EkLoginOutcome
bound (const char *secret)
{
  return login_from ("binder", "", "bound@c.example", secret, "192.0.2.9").outcome;
}

static void
remembering (void)
{
  EkAuthConf stale = conf;

  stale.cache_stale = (EkTime) { 60 * G_USEC_PER_SEC };
  stale.cache_max = 10;
  ek_auth_configure (auth, &stale);
}

static void
test_remember_services (void)
{
  remembering ();
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "down", sizeof bind_state);
  service = "smtp";                                                       /* where the backend may say otherwise */
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_UNAVAILABLE);
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "down", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  service = "imap";                                                       /* which is not forgotten for it */
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  service = "ima";
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_UNAVAILABLE);
  service = "imap";
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  ek_auth_configure (auth, &conf);
}

static void
test_remember_unusable (void)
{
  remembering ();
  g_assert_cmpint (login ("looks", "", "anna@e.example", "looked-up").outcome, ==, EK_LOGIN_OK);
  static const char *const unusable[] = { "{NOSUCH}locked", "{SHA512-CRYPT}locked" };       /* compared at once, and by a job */
  for (guint i = 0; i < G_N_ELEMENTS (unusable); i++) {
    either_stored = unusable[i];                                          /* another password than the remembered one, if a bad one */
    g_assert_cmpint (login ("looks", "", "anna@e.example", "looked-up").outcome, ==, EK_LOGIN_UNAVAILABLE);
  }
  either_stored = "{PLAIN}looked-up";
  ek_auth_configure (auth, &conf);
}

/* While the backend is away the last login with the same secret counts, and nothing else; a clean answer always does. */
static void
test_remember (void)
{
  EkAuthConf stale = conf, fresh = conf;

  stale.cache_stale = (EkTime) { 60 * G_USEC_PER_SEC };
  fresh.cache = stale.cache_stale;
  stale.cache_max = fresh.cache_max = 10;
  ek_auth_configure (auth, &stale);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "down", sizeof bind_state);
  Got got = login_from ("binder", "", "bound@c.example", "bindpass", "192.0.2.9");
  g_assert_cmpint (got.outcome, ==, EK_LOGIN_OK);
  g_assert_cmpstr (got.home, ==, "/bound");
  g_assert_cmpint (got.uid, ==, 7);
  g_assert_cmpint (bound ("bindpas"), ==, EK_LOGIN_UNAVAILABLE);          /* not "wrong password": who knows */
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_assert_cmpint (login_from ("binder", "", "other@c.example", "bindpass", "192.0.2.9").outcome, ==, EK_LOGIN_UNAVAILABLE);
  ek_auth_configure (auth, &stale);                                       /* a reload changes nothing */
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("wrong"), ==, EK_LOGIN_REFUSED);
  g_strlcpy (bind_state, "down", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "changed", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_REFUSED);             /* asked, though it is remembered: and forgotten */
  g_strlcpy (bind_state, "down", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_UNAVAILABLE);
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "gone", sizeof bind_state);
  g_assert_cmpint (bound ("other"), ==, EK_LOGIN_REFUSED);                /* nobody of that name: whatever he typed, forgotten */
  g_strlcpy (bind_state, "down", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_UNAVAILABLE);
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "broken", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_UNAVAILABLE);         /* a mistake is no outage */
  g_strlcpy (bind_state, "changed", sizeof bind_state);
  g_assert_cmpint (bound ("newpass"), ==, EK_LOGIN_OK);
  g_strlcpy (bind_state, "down", sizeof bind_state);
  g_assert_cmpint (bound ("newpass"), ==, EK_LOGIN_OK);

  ek_auth_configure (auth, &fresh);
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  n_binds = 0;
  g_assert_cmpint (bound ("bindpass"), ==, EK_LOGIN_OK);
  g_assert_cmpuint (n_binds, ==, 0);
  g_assert_cmpint (bound ("x"), ==, EK_LOGIN_REFUSED);
  g_assert_cmpuint (n_binds, ==, 1);
  ek_auth_configure (auth, &conf);
}

static void
test_cancel (void)
{
  static const char *const names[] = { "slow-50@c.example", "any@c.example" };
  Got got = { 0 };
  static const char *const chains[] = { "away", "evented", "slowhash" };

  for (guint i = 0; i < G_N_ELEMENTS (chains) * 2; i++) {
    g_autofree EkInstance **pass = instances (chains[i / 2]), **user = instances ("");
    EkAuthChain chain = { pass, user };
    EkLogin who = { .service = "imap", .name = names[i % 2], .given = "x", .secret = EK_STR ("y"), .client = "192.0.2.1" };
    EkAuthRun *run = start (&chain, &who, NULL, &got);
    for (guint k = 0; i % 2 && k < 50 && got.n_done == 0 && !run->in_job; k++)
      ek_loop_turn (loop, true);                   /* into the job that compares, where there is one */
    if (got.n_done == 0)
      ek_auth_cancel (run);
    got.n_done = 0;
  }
  g_usleep (100000);
  for (guint i = 0; i < 20; i++)
    ek_loop_turn (loop, false);
  g_assert_cmpuint (got.n_done, ==, 0);
}

/* ---- more hashes than there is time for ---- */

typedef struct {
  EkJob job;
  sem_t free;
} Holder;

static void
hold (EkJob *job, EkJobThread *thread)
{
  while (sem_wait (&((Holder *) job)->free) != 0)
    continue;
}

static gpointer
free_soon (gpointer data)
{
  g_usleep (300000);                   /* until the pool is being freed */
  sem_post (&((Holder *) data)->free);
  return NULL;
}

static void
let_go (EkJob *job)
{
}

/* A thread that is busy until it is told; logins wait for it. */
static void
test_flood (void)
{
  EkAuth *was = auth;
  EkAuthConf usual = conf;
  EkJobPool *one = ek_job_pool_new (loop, 1, "hash");
  Holder h = { .job = { .run = hold, .done = let_go } };
  g_autofree EkInstance **pass = instances ("slowhash"), **user = instances ("");
  EkAuthChain chain = { pass, user };
  Got known = { 0 }, unknown = { 0 }, gone = { 0 }, late = { 0 };
  EkLogin who = { .service = "imap", .name = "rounds@a.example", .given = "x", .secret = EK_STR ("x"), .client = "192.0.2.1" };
  EkLogin nobody = who;
  guint64 dummies = ek_password_n_dummies ();

  ek_job_pool_give_way (one);
  auth = ek_auth_new (one);
  conf.timeout.us = 2 * G_USEC_PER_SEC;
  nobody.name = "nobody@a.example";
  sem_init (&h.free, 0, 0);
  ek_job_submit (one, &h.job);
  start (&chain, &who, NULL, &known);
  start (&chain, &nobody, NULL, &unknown);
  EkAuthRun *run = start (&chain, &nobody, NULL, &gone);
  while (ek_job_waiting (one) < 3)
    ek_loop_turn (loop, true);
  ek_auth_cancel (run);
  /* what costs no hash does not wait for one */
  assert_refused (login ("one", "one", "anna@a.example", "falsch"), "wrong password (one)");
  g_usleep (2100000);
  sem_post (&h.free);
  while (known.n_done == 0 || unknown.n_done == 0)
    ek_loop_turn (loop, true);
  assert_unavailable (known, "too many passwords");
  assert_unavailable (unknown, "too many passwords");
  assert_ok (login ("slowhash one", "one", "anna@a.example", "geheim"), "anna@a.example", "/one/a.example/anna");
  /* the process ends: whose password nobody compared is not let in */
  who.secret = EK_STR ("wrong");
  ek_job_submit (one, &h.job);
  start (&chain, &who, NULL, &late);
  while (ek_job_waiting (one) < 1)
    ek_loop_turn (loop, true);
  GThread *helper = g_thread_new ("free", free_soon, &h);
  ek_job_pool_free (one);
  g_thread_join (helper);
  g_assert_cmpuint (late.n_done, ==, 1);
  g_assert_cmpint (late.outcome, !=, EK_LOGIN_OK);
  sem_destroy (&h.free);
  g_assert_cmpuint (gone.n_done, ==, 0);
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies);
  ek_auth_free (auth);
  auth = was;
  conf = usual;
}

static void
test_delays (void)
{
  static const gint64 expected[] = { 2, 4, 8, 16, 16 };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    Got got = login_from ("one", "one", i % 2 ? "nobody@a.example" : "anna@a.example", "x", "198.51.100.7");
    g_assert_cmpint (got.delay, ==, expected[i] * G_USEC_PER_SEC);
  }
  g_assert_cmpuint (ek_auth_failures (auth, "198.51.100.7"), ==, 5);
  g_assert_cmpuint (ek_auth_failures (auth, "198.51.100.8"), ==, 0);
  g_assert_cmpint (login_from ("one", "one", "anna@a.example", "geheim", "198.51.100.7").delay, ==, 0);
  g_assert_cmpint (ek_auth_failed (auth, &conf, "2001:db8::1").us, ==, 2 * G_USEC_PER_SEC);
  g_assert_cmpint (ek_auth_failed (auth, &conf, "2001:db8::ffff:2").us, ==, 4 * G_USEC_PER_SEC);     /* the same /64 */
  g_assert_cmpint (ek_auth_failed (auth, &conf, "2001:db8:0:1::1").us, ==, 2 * G_USEC_PER_SEC);
  g_assert_cmpint (ek_auth_failed (auth, &conf, "unix").us, ==, 2 * G_USEC_PER_SEC);
  EkAuthConf none = { 0 };
  g_assert_cmpint (ek_auth_failed (auth, &none, "203.0.113.1").us, ==, 0);
}

static void
test_penalty (void)
{
  EkPenalty *penalty = ek_penalty_new ();
  gint64 now = 1000 * G_USEC_PER_SEC, half = 30 * G_USEC_PER_SEC;

  for (guint i = 1; i <= 4; i++)
    g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.1", now, true), ==, i);
  g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.1", now + half - 1, false), ==, 4);
  g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.1", now + 2 * half, false), ==, 2);
  g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.1", now + 2 * half, true), ==, 3);
  g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.1", now + 100 * half, false), ==, 0);
  g_assert_cmpuint (ek_penalty_count (penalty, NULL, now, true), ==, 1);
  for (guint i = 0; i < 1000; i++)
    ek_penalty_count (penalty, "192.0.2.2", now, true);
  g_assert_cmpuint (ek_penalty_count (penalty, "192.0.2.2", now, false), ==, 100);      /* bounded */
  /* a flood of addresses: the table keeps its size, and who failed last is still known */
  for (guint i = 0; i < 300000; i++) {
    char address[32];
    g_snprintf (address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
    ek_penalty_count (penalty, address, now + i, true);
  }
  g_assert_cmpuint (ek_penalty_count (penalty, "10.4.147.223", now + 300000, false), ==, 1);
  ek_penalty_free (penalty);
}

static void
test_options (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();

  g_assert_true (ek_options_selftest (ek_auth_block.options, ek_auth_block.size, "auth", problems));
}

int
main (int argc, char **argv)
{
  rig_begin (&argc, &argv);
  g_test_add_func ("/auth/chain", test_chain);
  g_test_add_func ("/auth/outage", test_outage);
  g_test_add_func ("/auth/timeout", test_timeout);
  g_test_add_func ("/auth/evented", test_evented);
  g_test_add_func ("/auth/verify", test_verify);
  g_test_add_func ("/auth/either", test_either);
  g_test_add_func ("/auth/fields", test_fields);
  g_test_add_func ("/auth/dummy", test_dummy);
  g_test_add_func ("/auth/users", test_users);
  g_test_add_func ("/auth/remember", test_remember);
  g_test_add_func ("/auth/remember/services", test_remember_services);
  g_test_add_func ("/auth/remember/unusable", test_remember_unusable);
  g_test_add_func ("/auth/flood", test_flood);     /* before one that leaves hashes behind, which are counted */
  g_test_add_func ("/auth/cancel", test_cancel);
  g_test_add_func ("/auth/delays", test_delays);
  g_test_add_func ("/auth/penalty", test_penalty);
  g_test_add_func ("/auth/options", test_options);
  return rig_run ();
}
