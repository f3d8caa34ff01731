/* test-auth-rules.c - what a passdb's answers lead to by rule; logins that a mechanism decides; tokens
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/authrig.h"

/* ---- what answers lead to, where a rule says so ---- */

typedef struct { const char *passdbs, *users, *deny, *right, *wrong, *outage, *results, *user_results; bool prefetch; } Rule;

static Got
log_in (Rule rule, const char *name, const char *secret)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (rule.passdbs), **user = instances (rule.users ? rule.users : ""),
                        **d = instances (rule.deny ? rule.deny : ""), **r = instances (rule.right ? rule.right : ""),
                        **w = instances (rule.wrong ? rule.wrong : ""), **o = instances (rule.outage ? rule.outage : "");
  g_auto (GStrv) results = g_strsplit (rule.results ? rule.results : "", ",", -1),
                 user_results = g_strsplit (rule.user_results ? rule.user_results : "", ",", -1);
  EkAuthChain chain = { .passdbs = pass, .userdbs = user, .deny = d, .after_right = r, .after_wrong = w, .after_outage = o,
                        .results = results, .user_results = user_results, .prefetch = rule.prefetch };
  EkLogin who = { .service = "imap", .name = name, .given = name, .secret = ek_str (secret), .client = "192.0.2.78" };

  start (&chain, &who, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static Got
by_rule (const char *passdbs, const char *deny, const char *right, const char *wrong, const char *outage, const char *name, const char *secret)
{
  return log_in ((Rule) { passdbs, "one two", deny, right, wrong, outage }, name, secret);
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
  assert_refused (by_rule ("one two one", "", "one", "two", "", both, "eins"), "wrong password (two)");
  assert_ok (by_rule ("down one", "", "", "", "down", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_rule ("down one", "", "", "", "down", anna, "wrong"), "deferred on request");  /* never refused */
  assert_unavailable (by_rule ("down one", "", "", "", "down", "nobody@a.example", "x"), "deferred on request");
  assert_unavailable (by_rule ("one down", "", "one", "", "down", anna, "geheim"), "deferred on request");
  assert_refused (by_rule ("one two", "two", "", "", "", both, "eins"), "denied (two)");
  assert_ok (by_rule ("one two", "two", "", "", "", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_rule ("one", "down", "", "", "", anna, "geheim"), "deferred on request");
  assert_refused (by_rule ("looks", "asks", "", "", "", "anna@e.example", "looked-up"), "denied (asks)");        /* though it verifies otherwise */
  assert_unavailable (by_rule ("one", "binder", "", "", "", anna, "geheim"), "cannot tell whom it knows");
  guint64 before = ek_password_n_dummies ();
  assert_refused (by_rule ("one", "two", "", "", "", both, "wrong"), "denied (two)");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);       /* and it costs what a wrong password does */
}

static Got
by_results (const char *passdbs, const char *results, const char *name, const char *secret)
{
  return log_in ((Rule) { .passdbs = passdbs, .users = "one two", .results = results }, name, secret);
}

/* Dovecot's words.  both@ has another password in each; anna@ is in one alone, ben@b.example in two. */
static void
test_results (void)
{
  const char *both = "both@a.example", *anna = "anna@a.example", *unknown = "nobody@a.example";
  const char *home = "/one/a.example/both";

  /* the first one's password, and the second has to know him */
  assert_ok (by_results ("one two", "one success continue", both, "eins"), both, home);
  assert_refused (by_results ("one two", "one success continue", both, "zwei"), "wrong password (one)");
  assert_refused (by_results ("one two", "one success continue", anna, "geheim"), "no passdb lets him in");
  assert_ok (by_results ("one two", "one success continue-ok", anna, "geheim"), anna, "/one/a.example/anna");
  assert_refused (by_results ("one two", "one success continue-ok,two unknown return-fail", anna, "geheim"), "no passdb lets him in");
  assert_refused (by_results ("one two", "one success continue-ok,two unknown continue-fail", anna, "geheim"), "no passdb lets him in");
  assert_ok (by_results ("one two", "one success continue-ok,two unknown return", anna, "geheim"), anna, "/one/a.example/anna");
  assert_refused (by_results ("one two", "one success return-fail", anna, "geheim"), "no passdb lets him in");
  assert_refused (by_results ("one two", "one success return", anna, "geheim"), "no passdb lets him in");
  assert_refused (by_results ("one two", "one success continue-fail", anna, "geheim"), "no passdb lets him in");
  assert_ok (by_results ("one two", "one success continue-fail", both, "eins"), both, home);
  /* what is wrong, or unknown */
  assert_ok (by_results ("one two", "one failure continue", both, "zwei"), both, home);
  assert_ok (by_results ("one two", "one wrong continue-fail", both, "zwei"), both, home);
  assert_refused (by_results ("one two", "one failure continue", both, "drei"), "wrong password (two)");
  assert_refused (by_results ("one two", "one failure return-fail", "ben@b.example", "offen"), "unknown user");
  assert_refused (by_results ("one two", "one unknown return", "ben@b.example", "offen"), "unknown user");
  assert_refused (by_results ("one two", "one wrong continue", unknown, "x"), "unknown user");
  /* an outage is later, and never lets in */
  assert_ok (by_results ("down one", "down internalfail continue", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_results ("down one", "down internalfail continue", anna, "wrong"), "deferred on request");
  assert_unavailable (by_results ("down one", "down internalfail return-fail", anna, "geheim"), "deferred on request");
  assert_ok (by_results ("one down", "one success continue-ok,down internalfail continue", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_results ("one down", "one success continue,down internalfail return", anna, "geheim"), "deferred on request");
  assert_unavailable (by_results ("one down", "one success continue-ok", anna, "geheim"), "deferred on request");
  /* who is passed over */
  assert_ok (by_results ("one down", "one success continue-ok,down skip authenticated", anna, "geheim"), anna, "/one/a.example/anna");
  assert_unavailable (by_results ("one down", "one success continue,down skip authenticated", anna, "geheim"), "deferred on request");
  assert_refused (by_results ("one down", "one wrong continue,down skip unauthenticated", anna, "wrong"), "wrong password (one)");
  /* one that has to be shown the password is */
  assert_ok (log_in ((Rule) { .passdbs = "binder one", .results = "binder success continue-ok" }, "bound@c.example", "bindpass"), "bound@c.example",
             "/bound");
  assert_refused (by_results ("one binder", "one success continue", anna, "geheim"), "no passdb lets him in");
  assert_ok (by_results ("one evented", "one success continue", anna, "geheim"), anna, "/one/a.example/anna");
  /* what the first says of him counts beside what the next ones say; a record that is not asked for a password needs none */
  assert_refused (by_results ("one two", "one success continue", "split@a.example", "x"), "allow_nets");
  /* a right password costs what a wrong one does, wherever the chain ends */
  guint64 before = ek_password_n_dummies ();
  assert_refused (log_in ((Rule) { .passdbs = "one two", .users = "one", .right = "one", .results = "two unknown return-fail" }, anna, "geheim"),
                  "no passdb lets him in");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before);
  /* an empty password never */
  assert_refused (by_results ("one two", "one success continue", both, ""), "empty password");
}

/* What a fault of the words is told as; and that no word lets in whoever comes. */
static void
test_result_words (void)
{
  static const struct { const char *text, *why; } wrong[] = {
    { "", "three words" }, { "one", "three words" }, { "one success", "three words" }, { "one success continue now", "three words" },
    { "one right continue", "second word" }, { "one success go", "third word" }, { "one failure continue-ok", "whoever comes" },
    { "one unknown return-ok", "whoever comes" }, { "one internalfail return-ok", "whoever comes" }, { "one skip always", "skip" },
  };
  EkStr name;

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    const char *why = ek_auth_result_check (wrong[i].text, &name);
    if (why == NULL || strstr (why, wrong[i].why) == NULL)
      g_error ("\"%s\": %s", wrong[i].text, why ? why : "taken");
  }
  g_assert_null (ek_auth_result_check ("  one\tsuccess  continue-ok ", &name));
  g_assert_true (ek_str_eq (name, EK_STR ("one")));
  g_assert_null (ek_auth_result_check ("one skip unauthenticated", &name));
}

static Got
by_users (const char *users, const char *user_results, const char *name)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances ("one two"), **user = instances (users);
  g_auto (GStrv) results = g_strsplit (user_results, ",", -1);
  EkAuthChain chain = { .passdbs = pass, .userdbs = user, .user_results = results };

  start (&chain, NULL, name, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
assert_user (Got got, EkStatus status, const char *home)
{
  g_assert_cmpint (got.status, ==, status);
  if (status == EK_OK)
    g_assert_cmpstr (got.home, ==, home);
}

/* Userdbs: their fields go together, the later over the earlier; outages are never "no". */
static void
test_user_results (void)
{
  const char *both = "both@a.example", *anna = "anna@a.example";

  assert_user (by_users ("one two", "", both), EK_OK, "/one/a.example/both");
  assert_user (by_users ("one two", "one success continue-ok", both), EK_OK, "/two/both");
  assert_user (by_users ("one two", "one success continue-ok", anna), EK_OK, "/one/a.example/anna");
  assert_user (by_users ("one two", "one success continue", anna), EK_NOTFOUND, NULL);
  assert_user (by_users ("one two", "one unknown return-fail", "ben@b.example"), EK_NOTFOUND, NULL);
  assert_user (by_users ("down one", "", anna), EK_DEFER, NULL);
  assert_user (by_users ("down one", "down internalfail continue", anna), EK_OK, "/one/a.example/anna");
  assert_user (by_users ("down one", "down internalfail continue", "nobody@a.example"), EK_DEFER, NULL);
  assert_user (by_users ("one down", "one success continue-ok,down skip authenticated", anna), EK_OK, "/one/a.example/anna");
  /* half a record is served, and not remembered: a whole one that is remembered is better */
  Got got = by_users ("one down", "one success continue-ok,down internalfail continue", anna);
  assert_user (got, EK_OK, "/one/a.example/anna");
  g_assert_true (test_has (got.why, "deferred on request"));
  got = log_in ((Rule) { .passdbs = "looks", .users = "one two" }, "anna@e.example", "looked-up");
  assert_unavailable (got, "no userdb does");
  got = log_in ((Rule) { .passdbs = "looks", .users = "down one", .prefetch = true }, "anna@e.example", "looked-up");
  assert_ok (got, "anna@e.example", "/either");    /* no userdb is asked */
  got = log_in ((Rule) { .passdbs = "one", .users = "one two", .prefetch = true }, anna, "geheim");
  assert_ok (got, anna, "/one/a.example/anna");    /* nothing is prefetched: they are */
}

static const char *mechanism_results = "";

/* A passdb that looks at whence the client comes: what is remembered counts for one who comes from there.  One that denies is told
 * of the login, too. */
static void
test_by_client (void)
{
  EkAuthConf stale = conf;

  stale.cache_stale = (EkTime) { 60 * G_USEC_PER_SEC };
  stale.cache_max = 10;
  ek_auth_configure (auth, &stale);
  for (guint i = 0; i < 2; i++) {
    bind_by_client = i == 1;
    g_strlcpy (bind_state, "ok", sizeof bind_state);
    assert_ok (login_from ("binder", "", "bound@c.example", "bindpass", "192.0.2.1"), "bound@c.example", "/bound");
    g_strlcpy (bind_state, "down", sizeof bind_state);
    assert_ok (login_from ("binder", "", "bound@c.example", "bindpass", "192.0.2.1"), "bound@c.example", "/bound");
    Got other = login_from ("binder", "", "bound@c.example", "bindpass", "192.0.2.2");
    g_assert_cmpint (other.outcome, ==, i == 1 ? EK_LOGIN_UNAVAILABLE : EK_LOGIN_OK);
  }
  bind_by_client = false;
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  ek_auth_configure (auth, &conf);
  either_told = false;
  assert_ok (by_rule ("one", "looks", "", "", "", "anna@a.example", "geheim"), "anna@a.example", "/one/a.example/anna");
  g_assert_true (either_told);
}

/* A login that a mechanism decides: its account, then what it says. */
static Got
decide_by_rule (const char *passdbs, const char *userdbs, const char *right, const char *name, const char *expected, bool accept)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances (userdbs), **r = instances (right);
  g_auto (GStrv) results = g_strsplit (mechanism_results, ",", -1);
  EkAuthChain chain = { .passdbs = pass, .userdbs = user, .after_right = r, .results = results };
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

static Got
decide (const char *passdbs, const char *userdbs, const char *name, const char *expected, bool accept)
{
  return decide_by_rule (passdbs, userdbs, "", name, expected, accept);
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
  /* where several passdbs have to say right, one proof is not enough */
  assert_refused (decide_by_rule ("one two", "one", "one", "both@a.example", NULL, true), "after_right");
  assert_refused (decide_by_rule ("binder one", "one", "binder", "anna@a.example", NULL, true), "after_right");
  assert_ok (decide_by_rule ("one two", "one", "two", "both@a.example", "{PLAIN}eins", true), "both@a.example", "/one/a.example/both");
  assert_unavailable (decide ("one", "down", "anna@a.example", "{PLAIN}geheim", true), "deferred on request");
}

/* Where the first continues, the others only have to know whom the mechanism has let in. */
static void
test_account_results (void)
{
  const char *both = "both@a.example", *anna = "anna@a.example";

  mechanism_results = "one success continue";
  assert_ok (decide ("one two", "one", both, "{PLAIN}eins", true), both, "/one/a.example/both");
  assert_refused (decide ("one two", "one", both, "{PLAIN}eins", false), "wrong password (one)");
  assert_refused (decide ("one two", "one", anna, "{PLAIN}geheim", true), "no passdb lets him in");
  assert_refused (decide ("one binder", "one", anna, "{PLAIN}geheim", true), "binder has to be shown the password");
  assert_unavailable (decide ("one down", "one", anna, "{PLAIN}geheim", true), "deferred on request");
  mechanism_results = "one success continue-ok";
  assert_refused (decide ("one binder", "one", anna, "{PLAIN}geheim", true), "binder has to be shown the password");    /* it may know better */
  mechanism_results = "one success continue-ok,binder skip authenticated";
  assert_ok (decide ("one binder", "one", anna, "{PLAIN}geheim", true), anna, "/one/a.example/anna");
  mechanism_results = "one success continue-ok";
  assert_ok (decide ("one two", "one", anna, "{PLAIN}geheim", true), anna, "/one/a.example/anna");
  assert_ok (decide ("one token", "one", anna, "{PLAIN}geheim", true), anna, "/one/a.example/anna");      /* which is shown tokens alone */
  mechanism_results = "one wrong continue,one success return-fail";
  assert_refused (decide ("one two", "one", both, "{PLAIN}eins", false), "wrong password (one)");       /* its proof is for one secret */
  assert_refused (decide ("one two", "one", both, "{PLAIN}eins", true), "no passdb lets him in");
  mechanism_results = "";
}

static const char *token_results = "";

static Got
bear_to (const char *passdbs, const char *secret, bool token)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances ("one");
  g_auto (GStrv) results = g_strsplit (token_results, ",", -1);
  EkAuthChain chain = { .passdbs = pass, .userdbs = user, .results = results };
  EkLogin who = { .service = "imap", .name = "anna@a.example", .given = "anna", .secret = ek_str (secret), .client = "192.0.2.77", .token = token };

  start (&chain, &who, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static Got
bear (const char *secret, bool token)
{
  return bear_to ("token one", secret, token);
}

static void
test_tokens (void)
{
  guint64 dummies = ek_password_n_dummies ();

  assert_ok (bear ("good", true), "anna@a.example", "/one/a.example/anna");
  token_results = "token success continue";        /* who bears one has to be known by the next, or by another that judges tokens */
  assert_ok (bear_to ("token one", "good", true), "anna@a.example", "/one/a.example/anna");
  assert_refused (bear_to ("token token", "good", true), "no passdb lets him in");     /* the same one says so twice, and continues twice */
  assert_refused (bear_to ("token two", "good", true), "no passdb lets him in");
  assert_refused (bear_to ("token binder", "good", true), "binder has to be shown the password");
  token_results = "";
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

static void
remember_for (gint64 fresh, gint64 stale)
{
  EkAuthConf some = conf;

  some.cache = (EkTime) { fresh * G_USEC_PER_SEC };
  some.cache_stale = (EkTime) { stale * G_USEC_PER_SEC };
  some.cache_max = 10;
  ek_auth_configure (auth, &some);
}

/* What was remembered under one rule is nothing under another one; whom a list denies now is denied. */
static void
test_remembered_by_rule (void)
{
  const char *both = "both@a.example", *anna = "anna@e.example";

  remember_for (60, 0);
  assert_ok (by_rule ("one two", "", "", "one", "", both, "zwei"), both, "/one/a.example/both");
  assert_refused (by_rule ("one two", "", "", "", "", both, "zwei"), "wrong password (one)");
  assert_ok (by_rule ("down one", "", "", "", "down", both, "eins"), both, "/one/a.example/both");
  assert_unavailable (by_rule ("down one", "", "", "", "", both, "eins"), "deferred on request");
  either_empty = true;
  assert_ok (log_in ((Rule) { "evented", "virtual", .deny = "asks" }, anna, "secret"), anna, "/v/e.example/anna");
  either_empty = false;
  assert_refused (log_in ((Rule) { "evented", "virtual", .deny = "asks" }, anna, "secret"), "denied (asks)");
  ek_auth_configure (auth, &conf);
}

/* The passdb that let him in has another opinion now: that another one is away brings the old one not back. */
static void
test_stale_by_rule (void)
{
  const char *bound = "bound@c.example";
  Rule plain = { "binder down", "" }, moving = { "binder down", "", .wrong = "binder" };

  remember_for (0, 3600);
  assert_ok (log_in (plain, bound, "bindpass"), bound, "/bound");
  g_strlcpy (bind_state, "gone", sizeof bind_state);
  assert_unavailable (log_in (plain, bound, "bindpass"), "deferred on request");
  g_strlcpy (bind_state, "down", sizeof bind_state);       /* and it is forgotten */
  assert_unavailable (log_in (plain, bound, "bindpass"), "server down");
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  assert_ok (log_in (moving, bound, "bindpass"), bound, "/bound");
  g_strlcpy (bind_state, "down", sizeof bind_state);
  assert_ok (log_in (moving, bound, "bindpass"), bound, "/bound");
  g_strlcpy (bind_state, "changed", sizeof bind_state);
  assert_unavailable (log_in (moving, bound, "bindpass"), "deferred on request");
  g_strlcpy (bind_state, "down", sizeof bind_state);
  assert_unavailable (log_in (moving, bound, "bindpass"), "server down");
  g_strlcpy (bind_state, "ok", sizeof bind_state);
  ek_auth_configure (auth, &conf);
}

/* A token says itself how long it is good: an outage of those who judge it makes it no better. */
static void
test_tokens_not_remembered (void)
{
  remember_for (60, 3600);
  assert_ok (bear ("good", true), "anna@a.example", "/one/a.example/anna");
  token_down = true;
  assert_unavailable (bear ("good", true), "issuer down");
  token_down = false;
  ek_auth_configure (auth, &conf);
}

/* ---- masters ---- */

/* `master` logs in as `as`; `passdbs` and `userdbs` are of that one. */
static Got
log_in_as (const char *masters, const char *master, const char *secret, const char *as, const char *passdbs, const char *userdbs, const char *deny)
{
  Got got = { 0 };
  g_autofree EkInstance **own = instances (masters), **none = instances (""), **pass = instances (passdbs), **user = instances (userdbs),
                        **d = instances (deny);
  EkAuthChain chain = { .passdbs = own, .userdbs = none, .deny = d, .as = as, .as_passdbs = pass, .as_userdbs = user };
  EkLogin who = { .service = "imap", .name = master, .given = master, .secret = ek_str (secret), .client = "192.0.2.79" };

  start (&chain, &who, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static void
test_masters (void)
{
  const char *anna = "anna@a.example", *ben = "ben@b.example", *both = "both@a.example";

  assert_ok (log_in_as ("two", ben, "zwei", anna, "one", "one", ""), anna, "/one/a.example/anna");
  assert_refused (log_in_as ("two", ben, "geheim", anna, "one", "one", ""), "wrong password (two)");    /* hers, not his */
  assert_refused (log_in_as ("two", anna, "geheim", anna, "one", "one", ""), "unknown user");            /* she is no master */
  assert_refused (log_in_as ("two", ben, "", anna, "one", "one", ""), "empty password");
  assert_ok (log_in_as ("two", ben, "zwei", "locked@a.example", "one", "one", ""), "locked@a.example", "/one/a.example/locked");
  assert_refused (log_in_as ("two", ben, "zwei", "nobody@a.example", "one", "one", ""), "right password of a master, but nobody@a.example");
  assert_refused (log_in_as ("one", "locked@a.example", "x", anna, "one", "one", ""), "(nologin)");      /* a master's own counts */
  assert_refused (log_in_as ("one", "inside@a.example", "x", anna, "one", "one", ""), "(allow_nets)");
  assert_ok (log_in_as ("one", "alias@a.example", "x", both, "one", "one", ""), both, "/one/a.example/both");   /* his `user` is not who */

  /* whom a userdb only assumes, a passdb of his has to know; without a userdb, the same */
  assert_ok (log_in_as ("two", ben, "zwei", anna, "one", "virtual", ""), anna, "/v/a.example/anna");
  assert_refused (log_in_as ("two", ben, "zwei", "nobody@a.example", "one", "virtual", ""), "no passdb knows him");
  assert_refused (log_in_as ("two", ben, "zwei", "nobody@a.example", "one", "", ""), "no passdb knows him");

  /* neither of the two may be denied */
  assert_refused (log_in_as ("two", ben, "zwei", anna, "one", "one", "two"), "denied (two)");
  assert_refused (log_in_as ("two", ben, "zwei", anna, "one", "one", "one"), "denied (one)");
  assert_unavailable (log_in_as ("two", ben, "zwei", anna, "one", "one", "down"), "deferred on request");

  assert_unavailable (log_in_as ("down", ben, "zwei", anna, "one", "one", ""), "deferred on request");
  assert_unavailable (log_in_as ("two", ben, "zwei", anna, "one", "down", ""), "deferred on request");
  guint64 before = ek_password_n_dummies ();
  assert_refused (log_in_as ("two", "nobody", "x", anna, "one", "one", ""), "unknown user");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 1);
}

/* What is remembered of a master's login is of that pair alone. */
static void
test_masters_remembered (void)
{
  const char *anna = "anna@a.example", *ben = "ben@b.example", *both = "both@a.example";

  conf.cache = (EkTime) { (gint64) 3600 * G_USEC_PER_SEC };
  conf.cache_max = 100;
  ek_auth_configure (auth, &conf);
  for (guint i = 0; i < 2; i++) {
    assert_ok (log_in_as ("two", ben, "zwei", anna, "one", "one", ""), anna, "/one/a.example/anna");
    assert_ok (log_in_as ("two", ben, "zwei", both, "one", "one", ""), both, "/one/a.example/both");
    assert_ok (login ("two", "", ben, "zwei"), ben, "-");
    assert_ok (login ("two", "two", ben, "zwei"), ben, "/two/ben");
    assert_refused (login ("two", "two", anna, "zwei"), "unknown user");
    assert_refused (log_in_as ("two", ben, "zwei", anna, "one", "one", "two"), "denied (two)");          /* though it is remembered */
    assert_refused (log_in_as ("two", ben, "zwei", "nobody@a.example", "one", "one", ""), "no userdb knows him");
  }
  conf.cache = (EkTime) { 0 };
  conf.cache_max = 0;
  ek_auth_configure (auth, &conf);
}

int
main (int argc, char **argv)
{
  rig_begin (&argc, &argv);
  g_test_add_func ("/auth-rules/results", test_results);
  g_test_add_func ("/auth-rules/by-client", test_by_client);
  g_test_add_func ("/auth-rules/result-words", test_result_words);
  g_test_add_func ("/auth-rules/account-results", test_account_results);
  g_test_add_func ("/auth-rules/user-results", test_user_results);
  g_test_add_func ("/auth-rules/account", test_account);
  g_test_add_func ("/auth-rules/rules", test_rules);
  g_test_add_func ("/auth-rules/tokens", test_tokens);
  g_test_add_func ("/auth-rules/masters", test_masters);
  g_test_add_func ("/auth-rules/masters-remembered", test_masters_remembered);
  g_test_add_func ("/auth-rules/not-remembered", test_not_remembered);
  g_test_add_func ("/auth-rules/remembered", test_remembered_by_rule);
  g_test_add_func ("/auth-rules/stale", test_stale_by_rule);
  g_test_add_func ("/auth-rules/tokens-not-remembered", test_tokens_not_remembered);
  return rig_run ();
}
