/* test-auth-rules.c - what a passdb's answers lead to by rule; logins that a mechanism decides; tokens
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/authrig.h"

/* ---- what answers lead to, where a rule says so ---- */

static Got
by_rule (const char *passdbs, const char *deny, const char *right, const char *wrong, const char *outage, const char *name, const char *secret)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances ("one two"), **d = instances (deny), **r = instances (right),
                        **w = instances (wrong), **o = instances (outage);
  EkAuthChain chain = { .passdbs = pass, .userdbs = user, .deny = d, .after_right = r, .after_wrong = w, .after_outage = o };
  EkLogin who = { .service = "imap", .name = name, .given = name, .secret = ek_str (secret), .client = "192.0.2.78" };

  start (&chain, &who, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
test_rules (void)
{
  const char *both = "both@a.example", *anna = "anna@a.example";

  assert_refused (by_rule ("one two", "", "", "", "", both, "zwei"), "wrong password (one)");
  assert_ok (by_rule ("one two", "", "", "one", "", both, "zwei"), both, "/one/a.example/both");
  assert_ok (by_rule ("one two", "", "", "one", "", both, "eins"), both, "/one/a.example/both");
  assert_refused (by_rule ("one two", "", "", "one", "", both, "drei"), "wrong password (two)");
  assert_refused (by_rule ("one two", "", "", "one two", "", both, "drei"), "wrong password (one)");
  assert_refused (by_rule ("one two", "", "", "one", "", "nobody@a.example", "x"), "unknown user");
  assert_refused (by_rule ("one two", "", "one", "", "", both, "eins"), "wrong password (two)");        /* both have to say right */
  assert_ok (by_rule ("one two", "", "one", "", "", anna, "geheim"), anna, "/one/a.example/anna");      /* the other does not know her */
  assert_ok (by_rule ("one one", "", "one", "", "", anna, "geheim"), anna, "/one/a.example/anna");
  assert_ok (by_rule ("down one", "", "", "", "down", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_rule ("down one", "", "", "", "down", anna, "wrong"), "deferred on request");  /* never refused */
  assert_unavailable (by_rule ("down one", "", "", "", "down", "nobody@a.example", "x"), "deferred on request");
  assert_unavailable (by_rule ("one down", "", "one", "", "down", anna, "geheim"), "deferred on request");
  assert_refused (by_rule ("one two", "two", "", "", "", both, "eins"), "denied (two)");
  assert_ok (by_rule ("one two", "two", "", "", "", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_rule ("one", "down", "", "", "", anna, "geheim"), "deferred on request");
  guint64 before = ek_password_n_dummies ();
  assert_refused (by_rule ("one", "two", "", "", "", both, "wrong"), "denied (two)");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);       /* and it costs what a wrong password does */
}

/* A login that a mechanism decides: its account, then what it says. */
static Got
decide (const char *passdbs, const char *userdbs, const char *name, const char *expected, bool accept)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances (userdbs);
  EkAuthChain chain = { pass, user };
  EkLogin who = { .service = "imap", .name = name, .given = name, .secret = EK_STR (""), .client = "192.0.2.1" };
  Start s = { .task.func = start_now, .chain = &chain, .login = &who, .lookup = true, .got = &got };

  ek_loop_post (loop, &s.task);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  if (got.status == EK_DEFER)
    return got;
  g_test_message ("%s: %s", name, got.home);
  if (expected)
    g_assert_true (test_has (got.home, expected));
  g_assert_cmpint (got.status, ==, expected ? EK_OK : EK_NOTFOUND);
  got = (Got) { 0 };
  if (accept)
    ek_auth_accept (s.run, login_done, &got);
  else
    ek_auth_refuse (s.run, login_done, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
test_account (void)
{
  assert_ok (decide ("one two", "one two", "anna@a.example", "{PLAIN}geheim", true), "anna@a.example", "/one/a.example/anna");
  assert_refused (decide ("one two", "one two", "anna@a.example", "{PLAIN}geheim", false), "wrong password (one)");
  assert_ok (decide ("binder two", "two", "ben@b.example", "{SSHA256}", true), "ben@b.example", "/two/ben");      /* who only verifies is passed over */
  assert_refused (decide ("one two", "one two", "nobody@a.example", NULL, false), "unknown user");
  assert_refused (decide ("one two", "one two", "nobody@a.example", NULL, true), "unknown user");
  assert_refused (decide ("binder", "", "bound@c.example", NULL, true), "unknown user");
  assert_refused (decide ("one", "one", "locked@a.example", "{PLAIN}x", true), "nologin");
  assert_refused (decide ("one", "one", "inside@a.example", "{PLAIN}x", true), "allow_nets");
  assert_ok (decide ("evented", "evented", "any@c.example", "secret", true), "any@c.example", "/h/any");
  g_assert_cmpint (decide ("down one", "one", "anna@a.example", NULL, true).status, ==, EK_DEFER);
  assert_unavailable (decide ("one", "down", "anna@a.example", "{PLAIN}geheim", true), "deferred on request");
}

static Got
bear (const char *secret, bool token)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances ("token one"), **user = instances ("one");
  EkAuthChain chain = { pass, user };
  EkLogin who = { .service = "imap", .name = "anna@a.example", .given = "anna", .secret = ek_str (secret), .client = "192.0.2.77", .token = token };

  start (&chain, &who, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
test_tokens (void)
{
  guint64 dummies = ek_password_n_dummies ();

  assert_ok (bear ("good", true), "anna@a.example", "/one/a.example/anna");
  assert_refused (bear ("geheim", true), "wrong password (token)");
  assert_ok (bear ("geheim", false), "anna@a.example", "/one/a.example/anna");
  assert_refused (bear ("good", false), "wrong password (one)");
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies);
}

/* A login that showed no secret leaves nothing in the memory of logins that lets another one in; a token that was good is no password. */
static void
test_not_remembered (void)
{
  EkAuthConf fresh = conf;

  fresh.cache = (EkTime) { 60 * G_USEC_PER_SEC };
  fresh.cache_max = 10;
  ek_auth_configure (auth, &fresh);
  assert_ok (decide ("two", "two", "ben@b.example", "{SSHA256}", true), "ben@b.example", "/two/ben");
  assert_refused (decide ("two", "two", "ben@b.example", "{SSHA256}", false), "wrong password (two)");
  assert_refused (login ("two", "two", "ben@b.example", ""), "empty password");
  assert_ok (bear ("good", true), "anna@a.example", "/one/a.example/anna");          /* and a token that was good is no password */
  assert_refused (bear ("good", false), "wrong password (one)");
  ek_auth_configure (auth, &conf);
}

int
main (int argc, char **argv)
{
  rig_begin (&argc, &argv);
  g_test_add_func ("/auth-rules/account", test_account);
  g_test_add_func ("/auth-rules/rules", test_rules);
  g_test_add_func ("/auth-rules/tokens", test_tokens);
  g_test_add_func ("/auth-rules/not-remembered", test_not_remembered);
  return rig_run ();
}
