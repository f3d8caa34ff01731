/* authrig.h - a directory in small for tests of logins: passdbs that answer, hang, judge tokens; logins asked for and waited for
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "../lib/instance.h"
#include "auth/private.h"
#include "module/load.h"
#include "unit/instance.h"

static EkLoop *loop;
static EkJobPool *jobs;
static EkAuth *auth;
static char *folder;
static EkGeneration *gen;
static EkAuthConf conf = {
  .timeout = { 5 * G_USEC_PER_SEC }, .failure_delay = { 2 * G_USEC_PER_SEC }, .failure_delay_max = { 16 * G_USEC_PER_SEC },
};

/* ---- modules made here: one that verifies by itself, evented ones ---- */

static char bind_state[16] = "ok";   /* set while nothing is under way */
static guint n_binds;
static bool bind_by_client;          /* it looks at the client's address */

static inline EkStatus
bind_verify (EkInstance *self, EkCall *call, const EkLogin *login, EkAccount *account)
{
  n_binds++;
  call->by_client = bind_by_client;
  if (strcmp (bind_state, "down") == 0)
    return ek_fail (&call->error, EK_DEFER, 0, "server down");
  if (strcmp (bind_state, "broken") == 0)
    return ek_fail (&call->error, EK_FAIL, 0, "no such base");
  if (strcmp (login->name, "bound@c.example") != 0 || strcmp (bind_state, "gone") == 0)
    return EK_NOTFOUND;
  if (strcmp (bind_state, "changed") == 0)
    return ek_str_eq (login->secret, EK_STR ("newpass")) ? EK_OK : EK_FAIL;
  if (!ek_str_eq (login->secret, EK_STR ("bindpass")))
    return EK_FAIL;
  static const EkParam fields[] = { { "userdb_home", { "/bound", 6 } }, { "userdb_uid", { "7", 1 } }, { "x", { "y", 1 } } };
  *account = (EkAccount) { .fields = fields, .n_fields = 3 };
  return EK_OK;
}

static const EkPassdbOps bind_passdb = { .verify = bind_verify };
static const EkModule bind_module = { .abi = EK_ABI, .build = EK_BUILD, .name = "binder", .passdb = &bind_passdb };

static const char *either_stored = "{PLAIN}looked-up";

/* One that can do both: the block called "asks" verifies, any other one looks up. */
static bool either_told;             /* of which login the last question was */
static bool either_empty;            /* nobody is known there; set while nothing is under way */

static inline EkStatus
either_lookup (EkInstance *self, EkCall *call, const char *name, EkAccount *account)
{
  either_told = call->login != NULL;
  if (either_empty || strcmp (name, "anna@e.example") != 0)
    return EK_NOTFOUND;
  static const EkParam fields[] = { { "userdb_home", { "/either", 7 } } };
  *account = (EkAccount) { .stored = ek_str (either_stored), .fields = fields, .n_fields = 1 };
  return EK_OK;
}

static inline bool
either_verifies (const EkInstance *self)
{
  return strcmp (self->name, "asks") == 0;
}

static const EkPassdbOps either_passdb = { .lookup = either_lookup, .verify = bind_verify, .verifies = either_verifies };
static const EkModule either_module = { .abi = EK_ABI, .build = EK_BUILD, .name = "either", .passdb = &either_passdb };

/* ---- asking ---- */

typedef struct {
  guint          n_done;
  EkLoginOutcome outcome;
  EkStatus       status;
  gint64         delay;
  gint64         uid;
  guint64        quota;
  char           name[64], home[64], why[200];
} Got;

static inline void
keep_user (Got *got, const EkUser *user, const char *why)
{
  if (user) {
    g_strlcpy (got->name, user->name, sizeof got->name);
    g_strlcpy (got->home, user->home ? user->home : "-", sizeof got->home);
    got->uid = user->uid;
    got->quota = user->quota_bytes;
  }
  g_strlcpy (got->why, why ? why : "", sizeof got->why);
  got->n_done++;
}

static inline void
login_done (const EkLoginResult *result, gpointer data)
{
  Got *got = data;

  got->outcome = result->outcome;
  got->delay = result->delay.us;
  g_assert_true ((result->user != NULL) == (result->outcome == EK_LOGIN_OK));
  g_assert_true ((result->why == NULL) == (result->outcome == EK_LOGIN_OK));
  keep_user (got, result->user, result->why);
}

static inline void
account_done (const EkAccountFound *found, gpointer data)
{
  Got *got = data;

  got->status = found->status;
  g_assert_true ((found->account != NULL) == (found->status == EK_OK));
  g_assert_true ((found->why != NULL) == (found->status == EK_DEFER));
  g_strlcpy (got->home, found->account && found->account->stored.p ? found->account->stored.p : "-", sizeof got->home);
  g_strlcpy (got->name, found->like.p ? found->like.p : "", sizeof got->name);
  g_strlcpy (got->why, found->why ? found->why : "", sizeof got->why);
  got->n_done++;
}

static inline void
user_done (EkStatus status, const EkUser *user, const char *why, gpointer data)
{
  Got *got = data;

  got->status = status;
  g_assert_true ((user != NULL) == (status == EK_OK));
  keep_user (got, user, why);
}

/* Starts things where they start in earnest: in a turn of the loop, whose context GLib timers find. */
typedef struct {
  EkTask             task;
  const EkAuthChain *chain;
  const EkLogin     *login;          /* or NULL: a user */
  bool               lookup;         /* the mechanism decides */
  const char        *name;
  Got               *got;
  EkAuthRun         *run;
} Start;

static inline void
start_now (EkTask *task)
{
  Start *s = (Start *) task;

  if (s->lookup)
    s->run = ek_auth_account (auth, &conf, s->chain, s->login, account_done, s->got);
  else
    s->run = s->login ? ek_auth_login (auth, &conf, s->chain, s->login, login_done, s->got)
                    : ek_auth_user (auth, &conf, s->chain, s->name, user_done, s->got);
  g_assert_cmpuint (s->got->n_done, ==, 0);        /* never before it has returned */
}

static inline EkAuthRun *
start (const EkAuthChain *chain, const EkLogin *who, const char *name, Got *got)
{
  Start s = { .task.func = start_now, .chain = chain, .login = who, .name = name, .got = got };

  ek_loop_post (loop, &s.task);
  while (s.run == NULL)
    ek_loop_turn (loop, true);
  return s.run;
}

/* "a b" as instances; free with g_free(). */
static inline EkInstance **
instances (const char *names)
{
  g_auto (GStrv) words = g_strsplit (names, " ", -1);
  EkInstance **all = g_new0 (EkInstance *, g_strv_length (words) + 1);

  for (guint i = 0; words[i] && *words[i]; i++) {
    all[i] = ek_generation_instance (gen, words[i], 0);
    g_assert_nonnull (all[i]);
  }
  return all;
}

static const char *service = "imap";

static inline Got
login_from (const char *passdbs, const char *userdbs, const char *name, const char *secret, const char *client)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances (userdbs);
  EkAuthChain chain = { pass, user };
  EkLogin login = { .service = service, .name = name, .given = name, .secret = ek_str (secret), .client = client };

  start (&chain, &login, NULL, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (got.n_done, ==, 1);
  return got;
}

static inline Got
login (const char *passdbs, const char *userdbs, const char *name, const char *secret)
{
  return login_from (passdbs, userdbs, name, secret, "192.0.2.1");
}

static inline Got
find_user (const char *passdbs, const char *userdbs, const char *name)
{
  Got got = { 0 };
  g_autofree EkInstance **pass = instances (passdbs), **user = instances (userdbs);
  EkAuthChain chain = { pass, user };

  start (&chain, NULL, name, &got);
  while (got.n_done == 0)
    ek_loop_turn (loop, true);
  return got;
}

static inline void
assert_refused (Got got, const char *why)
{
  g_assert_cmpint (got.outcome, ==, EK_LOGIN_REFUSED);
  g_assert_true (test_has (got.why, why));
}

static inline void
assert_unavailable (Got got, const char *why)
{
  g_assert_cmpint (got.outcome, ==, EK_LOGIN_UNAVAILABLE);
  g_assert_true (test_has (got.why, why));
  g_assert_cmpint (got.delay, ==, 0);
}

static inline void
assert_ok (Got got, const char *name, const char *home)
{
  g_assert_cmpstr (got.why, ==, "");
  g_assert_cmpint (got.outcome, ==, EK_LOGIN_OK);
  g_assert_cmpstr (got.name, ==, name);
  g_assert_cmpstr (got.home, ==, home);
}

/* Tokens and passwords do not meet. */
static bool token_down;              /* set while nothing is under way */

static inline EkStatus
token_verify (EkInstance *self, EkCall *call, const EkLogin *login, EkAccount *account)
{
  g_assert_true (login->token);
  if (token_down)
    return ek_fail (&call->error, EK_DEFER, 0, "issuer down");
  return ek_str_eq (login->secret, EK_STR ("good")) ? EK_OK : EK_FAIL;
}

static const EkPassdbOps token_passdb = { .verify = token_verify, .tokens = true };
static const EkModule token_module = { .abi = EK_ABI, .build = EK_BUILD, .name = "token", .passdb = &token_passdb };

/* ---- life ---- */


static const char users_one[] =
  "anna@a.example:{PLAIN}geheim:1001:1001\nboth@a.example:{PLAIN}eins\nsplit@a.example:{PLAIN}x::::::allow_nets=10.0.0.0/8\nlocked@a.example:{PLAIN}x::::::nologin\n"
  "inside@a.example:{PLAIN}x::::::allow_nets=10.0.0.0/8,2001:db8::/32\ntypo@a.example:{PLAIN}x::::::allow_nets=10.0.0.0/33\n"
  "alias@a.example:{PLAIN}x::::::user=anna@a.example\nodd@a.example:{NOSUCH}x\nbroken@a.example:{SSHA}x\nempty@a.example:\n";

static inline void
write_files (void)
{
  g_autofree char *one = g_build_filename (folder, "one", NULL), *two = g_build_filename (folder, "two", NULL);
  g_autofree char *slow = g_build_filename (folder, "slow", NULL);
  g_autofree char *zwei = ek_password_make ("SSHA256", EK_STR ("zwei"), 0, NULL);
  g_autofree char *rounds = ek_password_make ("SHA512-CRYPT", EK_STR ("x"), 200000, NULL);
  g_autofree char *text_two = g_strdup_printf ("ben@b.example:%s\nboth@a.example:{PLAIN}zwei\nsplit@a.example:\n", zwei);
  g_autofree char *text_slow = g_strdup_printf ("rounds@a.example:%s\n", rounds);

  test_write (one, users_one, -1);
  test_write (two, text_two, -1);
  test_write (slow, text_slow, -1);
}

static inline void
open_generation (void)
{
  g_autofree char *text = g_strdup_printf (
    "file \"one\" { path = \"%s/one\"\n home = \"/one/%%d/%%n\" }\nfile \"two\" { path = \"%s/two\"\n home = \"/two/%%n\" }\n"
    "file \"missing\" { path = \"%s/missing\" }\nfile \"slowhash\" { path = \"%s/slow\" }\n"
    "test \"down\" { state = defer }\ntest \"away\" { home = \"/h/%%n\" }\ntest_evented \"evented\" { home = \"/h/%%n\" }\ntest_evented \"judge\" { home = \"/h/%%n\"\n verify = yes }\n"
    "static \"virtual\" { home = \"/v/%%d/%%n\"\n quota = 1M }\nstatic \"everybody\" { all_users = yes }\n"
    "binder { }\neither \"looks\" { }\neither \"asks\" { }\ntoken { }\n", folder, folder, folder, folder);
  g_autoptr (GError) error = NULL;

  gen = ek_test_generation (text, EK_ROLES_ALL, NULL);
  g_assert_true (ek_generation_start (gen, &error));
  g_assert_no_error (error);
}

static inline void
rig_begin (int *argc, char ***argv)
{
  g_test_init (argc, argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", FALSE);
  loop = ek_loop_new (NULL);
  jobs = ek_job_pool_new (loop, 2, "test");
  ek_op_use_jobs (jobs);
  ek_module_add (&bind_module);
  ek_module_add (&either_module);
  ek_module_add (&token_module);
  auth = ek_auth_new (jobs);
  folder = test_folder ();
  write_files ();
  open_generation ();
}

static inline int
rig_run (void)
{
  int result = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_auth_free (auth);
  ek_generation_unref (gen);
  ek_loop_free (loop);
  test_remove_folder (folder);
  return result;
}
