/* auth.c - runs of the directory's decisions: their life, copies, delays
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/private.h"
#include <string.h>

static const EkOption options[] = {
  EK_OPTION (EkAuthConf, timeout, "30s", "How long a passdb or userdb may take to answer, and how long a login waits for its turn "
             "to be hashed: then the login, or the mail, is deferred.", .allow = "100ms..10m"),
  EK_OPTION (EkAuthConf, failure_delay, "2s", "How long the answer to a wrong name or password is held back. It doubles with "
             "each further failure from the same address.", .allow = "0..1m"),
  EK_OPTION (EkAuthConf, failure_delay_max, "16s", "The longest such delay.", .allow = "0..5m"),
  EK_OPTION (EkAuthConf, cache, "0", "How long a login that succeeded counts again without asking: a password that was taken away is good "
             "for so long. A new password counts at once.", .allow = "0..1d"),
  EK_OPTION (EkAuthConf, cache_stale, "1h", "How much longer it counts while its backends are away. 0: then nobody can log in.",
             .allow = "0..7d"),
  EK_OPTION (EkAuthConf, cache_max, "10000", "How many logins are remembered; the one that was used longest ago makes room. 0: none.",
             .allow = "0..10000000"),
  EK_OPTION (EkAuthConf, rehash, "", "A scheme, as ARGON2ID or BLF-CRYPT. After a login with a right password that is kept by a weaker one, it is "
             "kept by this one, where the passdb can be written (file, SQL with password_update). Empty: what is kept stays."),
  EK_OPTION (EkAuthConf, rehash_cost, "0", "What that shall cost, as ekiden pw --rounds counts; what was made by the same scheme for less is "
             "made anew, too. 0: the scheme's own.", .allow = "0..1000000000"),
  EK_OPTION (EkAuthConf, masters, "[]", "Passdbs of those who may log in as any user whose login no auth_rule with masters of its own is for: "
             "by the name USER*MASTER, or by the authorization identity of PLAIN, and with their own password. Empty: nobody may.",
             .allow = "passdb"),
  EK_OPTION (EkAuthConf, master_separator, "\"*\"", "One character: what is between the user and the master in such a name. Where masters are "
             "bound, no user's own name can have it. Empty: only the authorization identity names the user."),
  EK_OPTIONS_END
};

static void
check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkAuthConf *c = values;

  if (c->master_separator && (strlen (c->master_separator) != 1 || g_ascii_isalnum (*c->master_separator) || *c->master_separator == '@'))
    ek_problems_add (problems, &block->at, "auth.master_separator = \"%s\": expected one character that is no letter, digit or @, as \"*\"",
                     c->master_separator);
  if (c->rehash && (!ek_scheme_known (ek_str (c->rehash)) || ek_scheme_rank (c->rehash) < 3))
    ek_problems_add (problems, &block->at, "auth.rehash = %s: expected a scheme made for passwords that is known here: BLF-CRYPT, SHA512-CRYPT, "
                     "PBKDF2, CRYPT (what crypt(3) prefers here), or ARGON2ID with the module argon2", c->rehash);
}

const EkBlockType ek_auth_block = {
  .kind = "auth", .doc = "How logins are checked.", .options = options, .size = sizeof (EkAuthConf),
  .flags = EK_BLOCK_SINGLE, .check = check, .roles = EK_ROLE_BIT (EK_ROLE_DIRECTORY),
};

static void
free_likes (gpointer data)
{
  EkAuthLikes *likes = data;

  for (guint i = 0; i < EK_AUTH_LIKES; i++)
    ek_wipe_free (likes->stored[i]);
  g_free (likes);
}

EkAuth *
ek_auth_new (EkJobPool *jobs)
{
  EkAuth *auth = g_new0 (EkAuth, 1);

  auth->jobs = jobs;
  auth->penalty = ek_penalty_new ();
  ek_random (auth->key, sizeof auth->key);
  auth->likes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_likes);
  return auth;
}

void
ek_auth_free (EkAuth *auth)
{
  if (auth == NULL)
    return;
  ek_penalty_free (auth->penalty);
  ek_cache_free (auth->logins);
  ek_wipe (auth->key, sizeof auth->key);
  g_hash_table_unref (auth->likes);
  ek_auth_rehash_forget ();
  g_free (auth);
}

void
ek_auth_keep_plain (EkAuth *auth, bool yes)
{
  auth->keep_plain = yes;
}

/* ---- copies: what lies in an operation's pool goes with it ---- */

typedef struct { char *p; gsize n; } Secret;

static void
wipe_secret (gpointer data)
{
  Secret *secret = data;

  ek_wipe (secret->p, secret->n);
}

EkStr
ek_auth_copy_secret (EkPool *pool, EkStr from)
{
  Secret *secret = ek_pool_new0 (pool, Secret);

  *secret = (Secret) { ek_pool_strndup (pool, from.p, from.n), from.n };
  ek_pool_cleanup (pool, wipe_secret, secret);
  return (EkStr) { secret->p, secret->n };
}

static const EkParam *
copy_fields (EkPool *pool, const EkParam *fields, guint n)
{
  EkParam *copy = ek_pool_newv (pool, EkParam, n + 1);

  for (guint i = 0; i < n; i++)
    copy[i] = (EkParam) { ek_pool_strdup (pool, fields[i].name), ek_pool_str (pool, fields[i].value) };
  return copy;
}

EkAccount
ek_auth_copy_account (EkPool *pool, const EkAccount *account)
{
  EkAccount copy = { .n_fields = account->n_fields };

  if (account->stored.p)
    copy.stored = ek_auth_copy_secret (pool, account->stored);
  copy.fields = copy_fields (pool, account->fields, account->n_fields);
  return copy;
}

const EkParam *
ek_auth_merge_fields (EkPool *pool, const EkParam *old, guint n_old, const EkParam *more, guint *n)
{
  EkParam *all = ek_pool_newv (pool, EkParam, n_old + *n + 1);
  guint n_more = *n;

  for (guint i = 0; i < n_more; i++)
    all[i] = more[i];
  for (guint i = 0; i < n_old; i++)
    if (ek_param (more, n_more, old[i].name).p == NULL)
      all[(*n)++] = old[i];
  return all;
}

EkUser
ek_auth_copy_user (EkPool *pool, const EkUser *user)
{
  EkUser copy = *user;

  copy.name = ek_pool_strdup (pool, user->name);
  copy.home = ek_pool_strdup (pool, user->home);
  copy.mail = ek_pool_strdup (pool, user->mail);
  copy.fields = copy_fields (pool, user->fields, user->n_fields);
  return copy;
}

/* ---- runs ---- */

EkAuthRun *
ek_auth_run_new (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  EkAuthRun *run = ek_pool_new0 (pool, EkAuthRun);

  run->auth = auth;
  run->pool = pool;
  run->timeout = conf->timeout;
  run->delay = conf->failure_delay;
  run->delay_max = conf->failure_delay_max;
  run->chain = *chain;
  run->rehash = ek_pool_strdup (pool, conf->rehash);
  run->rehash_cost = (guint) conf->rehash_cost;
  run->data = data;
  return run;
}

void
ek_auth_run_free (EkAuthRun *run)
{
  ek_pool_free (run->pool);
}

void
ek_auth_cancel (EkAuthRun *run)
{
  atomic_store (&run->cancelled, true);
  if (run->op)
    ek_op_cancel (g_steal_pointer (&run->op));
  if (!run->in_job)
    ek_auth_run_free (run);
}

typedef struct {
  EkJob      job;                    /* or a task */
  EkTask     later;
  EkAuthRun *run;
  gint64     deadline;
  bool       ran;
  void     (*work) (EkAuthRun *run);
  void     (*after) (EkAuthRun *run);
} Work;

static void
work_run (EkJob *job, EkJobThread *thread)
{
  Work *work = (Work *) job;

  if (atomic_load (&work->run->cancelled) || ek_now () > work->deadline)
    return;                            /* under a flood nothing is hashed for clients that have gone */
  work->work (work->run);
  work->ran = true;
}

static void
go_on (Work *work, bool in_time)
{
  EkAuthRun *run = work->run;
  void (*after) (EkAuthRun *) = work->after;

  g_free (work);
  run->in_job = false;
  if (atomic_load (&run->cancelled))
    ek_auth_run_free (run);
  else if (in_time)
    after (run);
  else                                 /* of known and unknown users alike */
    ek_auth_end_unavailable (run, "too many passwords were to be checked before it (auth.timeout)");
}

static void
work_done (EkJob *job)
{
  go_on ((Work *) job, ((Work *) job)->ran);
}

static void
work_later (EkTask *task)
{
  go_on ((Work *) ((char *) task - G_STRUCT_OFFSET (Work, later)), true);
}

void
ek_auth_run_job (EkAuthRun *run, void (*work) (EkAuthRun *), void (*after) (EkAuthRun *))
{
  Work *w = g_new0 (Work, 1);

  *w = (Work) { .job = { .run = work_run, .done = work_done }, .run = run, .deadline = ek_now () + run->timeout.us, .work = work, .after = after };
  run->in_job = true;
  ek_job_submit (run->auth->jobs, &w->job);
}

void
ek_auth_run_later (EkAuthRun *run, void (*after) (EkAuthRun *))
{
  Work *w = g_new0 (Work, 1);

  *w = (Work) { .later.func = work_later, .run = run, .after = after };
  run->in_job = true;
  ek_loop_later (ek_loop_mine (), &w->later);
}

/* ---- delays ---- */

static EkTime
delay_of (guint failures, EkTime delay, EkTime max)
{
  for (guint i = 1; i < failures && delay.us < max.us; i++)
    delay.us *= 2;
  return (EkTime) { MIN (delay.us, max.us) };
}

EkTime
ek_auth_failed (EkAuth *auth, const EkAuthConf *conf, const char *client)
{
  guint n = ek_penalty_count (auth->penalty, client, ek_now (), true);

  return delay_of (n, conf->failure_delay, conf->failure_delay_max);
}

guint
ek_auth_failures (EkAuth *auth, const char *client)
{
  return ek_penalty_count (auth->penalty, client, ek_now (), false);
}

/* ---- the ends of a login ---- */

static void
end (EkAuthRun *run, const EkLoginResult *result)
{
  run->login_done (result, run->data);
  ek_auth_run_free (run);
}

void
ek_auth_end_ok (EkAuthRun *run)
{
  ek_auth_remember (run);
  ek_auth_rehash (run);
  end (run, &(EkLoginResult) { .outcome = EK_LOGIN_OK, .user = &run->user });
}

void
ek_auth_end_refused (EkAuthRun *run, const char *why)
{
  ek_auth_forget (run, false);
  guint n = ek_penalty_count (run->auth->penalty, run->login.client, ek_now (), true);

  end (run, &(EkLoginResult) { .outcome = EK_LOGIN_REFUSED, .why = why, .account = run->known ? &run->account : NULL,
                               .delay = delay_of (n, run->delay, run->delay_max) });
}

void
ek_auth_end_unavailable (EkAuthRun *run, const char *why)
{
  if (run->account_done) {
    run->account_done (&(EkAccountFound) { .status = EK_DEFER, .why = why }, run->data);
    ek_auth_run_free (run);
    return;
  }
  end (run, &(EkLoginResult) { .outcome = EK_LOGIN_UNAVAILABLE, .why = why });
}

void
ek_auth_end_away (EkAuthRun *run, const char *why)
{
  if (!ek_auth_recall (run, true)) {
    ek_auth_end_unavailable (run, why);
    return;
  }
  ek_log (EK_INFO, "auth", "%s: %s: the last login with this password counts", run->login.name, why);
  ek_auth_accepted (run);
}
