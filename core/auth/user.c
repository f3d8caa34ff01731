/* user.c - a user's record: the userdbs in their order; whom they only assume, a passdb confirms
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/private.h"
#include <string.h>

typedef struct {                     /* one question; all of it in the operation's pool */
  const char *name;
  EkLogin    *login;                 /* without its secret; NULL: mail for him, or a command */
  EkUser      user;
  EkAccount   account;
} Ask;

static void ask_userdb (EkAuthRun *run);
static void userdbs_end (EkAuthRun *run);
static void no_userdb (EkAuthRun *run);
static void confirm (EkAuthRun *run);

/* Who is asked about the user: in a master's login, his own backends. */
static EkInstance *const *
passdbs_of (const EkAuthRun *run)
{
  return run->chain.as ? run->chain.as_passdbs : run->chain.passdbs;
}

static EkInstance *const *
userdbs_of (const EkAuthRun *run)
{
  return run->chain.as ? run->chain.as_userdbs : run->chain.userdbs;
}

static char *const *
results_of (const EkAuthRun *run)
{
  return run->chain.as ? run->chain.as_user_results : run->chain.user_results;
}

/* Has somebody proved that the user exists, as a login of his own does? */
static bool
is_proved (const EkAuthRun *run)
{
  return run->login_done && run->chain.as == NULL;
}

/* ---- the end ---- */

static void
end_user (EkAuthRun *run, EkStatus status, const char *why)
{
  if (run->login_done == NULL) {
    run->user_done (status, status == EK_OK ? &run->user : NULL, why, run->data);
    ek_auth_run_free (run);
  }
  else if (status == EK_OK)
    ek_auth_end_ok (run);
  else if (status == EK_NOTFOUND && run->chain.as)
    ek_auth_end_refused (run, ek_pool_printf (run->pool, "right password of a master, but %s: %s", run->name, why));
  else                                 /* also NOTFOUND: a passdb knows him, so it is not his fault */
    ek_auth_end_unavailable (run, why);
}

/* A userdb or passdb gave no clean answer. */
static void
end_failed (EkAuthRun *run, EkStatus status, const EkInstance *self, const GError *why)
{
  const char *text = ek_pool_printf (run->pool, "%s: %s", self->name, why ? why->message : "no answer");

  if (run->login_done && status == EK_DEFER)
    ek_auth_end_away (run, text);
  else
    end_user (run, EK_DEFER, text);
}

/* ---- a user made from an account: Dovecot's prefetch ---- */

static bool
set_number (EkStr value, gint64 *number)
{
  guint64 n;

  if (!ek_str_u64 (value, 4294967294u, &n))
    return false;
  *number = (gint64) n;
  return true;
}

/* Takes userdb_ fields of an account into run->user; false: a uid or gid is no number. */
static bool
prefetch (EkAuthRun *run, const EkAccount *account)
{
  EkParam *others = ek_pool_newv (run->pool, EkParam, account->n_fields + 1);
  bool good = true;

  run->user = (EkUser) { .name = run->name, .uid = -1, .gid = -1, .fields = others };
  for (guint i = 0; i < account->n_fields; i++) {
    EkStr value = account->fields[i].value;
    const char *key = account->fields[i].name;
    if (!g_str_has_prefix (key, "userdb_"))
      continue;
    key += strlen ("userdb_");
    if (strcmp (key, "home") == 0)
      run->user.home = ek_pool_strndup (run->pool, value.p, value.n);
    else if (strcmp (key, "mail") == 0)
      run->user.mail = ek_pool_strndup (run->pool, value.p, value.n);
    else if (strcmp (key, "uid") == 0)
      good &= set_number (value, &run->user.uid);
    else if (strcmp (key, "gid") == 0)
      good &= set_number (value, &run->user.gid);
    else
      others[run->user.n_fields++] = (EkParam) { ek_pool_strdup (run->pool, key), ek_pool_str (run->pool, value) };
  }
  return good;
}

static bool
has_user_fields (const EkAccount *account)
{
  for (guint i = 0; i < account->n_fields; i++)
    if (g_str_has_prefix (account->fields[i].name, "userdb_"))
      return true;
  return false;
}

static void
end_prefetched (EkAuthRun *run, const EkAccount *account)
{
  if (prefetch (run, account))
    end_user (run, EK_OK, NULL);
  else
    end_user (run, EK_DEFER, "userdb_uid or userdb_gid is not a number");
}

/* ---- does a passdb know him? ---- */

static bool
can_confirm (const EkInstance *self)
{
  return self->module && self->module->passdb && self->module->passdb->lookup;
}

static EkStatus
run_confirm (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  ask->account = (EkAccount) { 0 };
  return self->module->passdb->lookup (self, call, ask->name, &ask->account);
}

static void
confirm_done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  EkAuthRun *run = user;
  Ask *ask = data;

  run->op = NULL;
  if (status == EK_NOTFOUND) {
    run->at++;
    confirm (run);
  }
  else if (status != EK_OK)
    end_failed (run, status, passdbs_of (run)[run->at], why);
  else if (run->user.assumed)
    end_user (run, EK_OK, run->user_outage);
  else {
    EkAccount account = ek_auth_copy_account (run->pool, &ask->account);
    end_prefetched (run, &account);
  }
}

/* From run->at on. */
static void
confirm (EkAuthRun *run)
{
  EkInstance *const *passdbs = passdbs_of (run);
  bool any = false;

  for (guint i = 0; passdbs[i]; i++)
    any |= can_confirm (passdbs[i]);
  while (passdbs[run->at] && !can_confirm (passdbs[run->at]))
    run->at++;
  EkInstance *passdb = passdbs[run->at];
  if (passdb == NULL) {
    end_user (run, any ? EK_NOTFOUND : EK_DEFER, any ? "no passdb knows him" : "no passdb can tell whether he exists: bind a "
              "userdb that knows its users, or set all_users = yes");
    return;
  }
  run->op = ek_op_new (passdb);
  Ask *ask = ek_pool_new0 (ek_op_pool (run->op), Ask);
  ask->name = ek_pool_strdup (ek_op_pool (run->op), run->name);
  ek_op_reads (run->op);
  ek_op_start (run->op, 0, run->timeout, run_confirm, ask, confirm_done, run);
}

/* ---- the userdbs ---- */

static EkStatus
run_userdb (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  ask->user = (EkUser) { .uid = -1, .gid = -1 };
  call->login = ask->login;
  if (self->module->userdb == NULL)
    return ek_fail (&call->error, EK_DEFER, 0, "it is no userdb");
  return self->module->userdb->lookup (self, call, ask->name, &ask->user);
}

/* What several userdbs say of him counts together; of two that say something else, the later. */
static void
add_user (EkAuthRun *run, const EkUser *more)
{
  EkUser now = ek_auth_copy_user (run->pool, more), *user = &run->user;

  if (!run->any_user) {
    *user = now;
    user->name = now.name ? now.name : run->name;
    run->any_user = true;
    return;
  }
  user->home = now.home ? now.home : user->home;
  user->mail = now.mail ? now.mail : user->mail;
  user->uid = now.uid >= 0 ? now.uid : user->uid;
  user->gid = now.gid >= 0 ? now.gid : user->gid;
  user->quota_bytes = now.quota_bytes ? now.quota_bytes : user->quota_bytes;
  user->assumed &= now.assumed;
  user->fields = ek_auth_merge_fields (run->pool, user->fields, user->n_fields, now.fields, &now.n_fields);
  user->n_fields = now.n_fields;
}

static void
obey (EkAuthRun *run, EkChainAction action)
{
  run->found = ek_auth_state (action, run->found);
  if (ek_auth_continues (action)) {
    run->at++;
    ask_userdb (run);
  }
  else
    userdbs_end (run);
}

static void
userdb_done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  static const EkChainAction otherwise[] = {
    [EK_ANSWER_SUCCESS] = EK_ACTION_RETURN_OK, [EK_ANSWER_UNKNOWN] = EK_ACTION_CONTINUE, [EK_ANSWER_OUTAGE] = EK_ACTION_DEFAULT,
  };
  EkAuthRun *run = user;
  Ask *ask = data;
  const EkInstance *userdb = userdbs_of (run)[run->at];
  EkChainAnswer answer = status == EK_OK ? EK_ANSWER_SUCCESS : status == EK_NOTFOUND ? EK_ANSWER_UNKNOWN : EK_ANSWER_OUTAGE;
  EkChainAction then = ek_auth_action (results_of (run), userdb->name, answer);

  run->op = NULL;
  if (then == EK_ACTION_DEFAULT)
    then = otherwise[answer];
  if (then == EK_ACTION_DEFAULT) {
    end_failed (run, status, userdb, why);
    return;
  }
  if (answer == EK_ANSWER_SUCCESS)
    add_user (run, &ask->user);
  else if (answer == EK_ANSWER_OUTAGE)
    run->user_outage = ek_pool_printf (run->pool, "%s: %s", userdb->name, why ? why->message : "no answer");
  obey (run, then);
}

/* A record that lacks what a userdb gave no answer about: a whole one that is remembered is better. */
static void
end_found (EkAuthRun *run)
{
  if (run->login_done && run->user_outage && ek_auth_recall (run, true))
    ek_log (EK_INFO, "auth", "%s: %s: what was known of him at the last login counts", run->login.name, run->user_outage);
  end_user (run, EK_OK, run->user_outage);
}

/* No further userdb is asked. */
static void
userdbs_end (EkAuthRun *run)
{
  if (run->found && run->any_user && run->user.assumed && !is_proved (run)) {
    run->at = 0;
    confirm (run);
  }
  else if (run->found && run->any_user)
    end_found (run);
  else if (run->user_outage && run->login_done)
    ek_auth_end_away (run, run->user_outage);
  else if (run->user_outage)
    end_user (run, EK_DEFER, run->user_outage);
  else
    no_userdb (run);
}

/* No userdb knows him, or there is none. */
static void
no_userdb (EkAuthRun *run)
{
  if (userdbs_of (run)[0])
    end_user (run, EK_NOTFOUND, is_proved (run) ? "a passdb knows him, but no userdb does" : "no userdb knows him");
  else if (is_proved (run))
    end_prefetched (run, &run->account);
  else {
    run->at = 0;
    confirm (run);
  }
}

static void
ask_userdb (EkAuthRun *run)
{
  EkInstance *const *list = userdbs_of (run);

  while (list[run->at] && ek_auth_skips (results_of (run), list[run->at]->name, run->found))
    run->at++;
  EkInstance *userdb = list[run->at];
  if (userdb == NULL) {
    userdbs_end (run);
    return;
  }
  run->op = ek_op_new (userdb);
  EkPool *pool = ek_op_pool (run->op);
  Ask *ask = ek_pool_new0 (pool, Ask);
  ask->name = ek_pool_strdup (pool, run->name);
  if (run->login_done) {
    EkLogin bare = run->login;
    bare.secret = EK_STR ("");
    ask->login = ek_pool_new0 (pool, EkLogin);
    *ask->login = ek_auth_copy_login (pool, &bare);
  }
  ek_op_reads (run->op);
  ek_op_start (run->op, 0, run->timeout, run_userdb, ask, userdb_done, run);
}

void
ek_auth_run_users (EkAuthRun *run)
{
  run->at = 0;
  if (run->chain.prefetch && is_proved (run) && has_user_fields (&run->account))
    end_prefetched (run, &run->account);
  else
    ask_userdb (run);
}

EkAuthRun *
ek_auth_user (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const char *name, EkUserDone done, gpointer data)
{
  EkAuthRun *run = ek_auth_run_new (auth, conf, chain, data);

  run->name = ek_pool_strdup (run->pool, name);
  run->user_done = done;
  if (run->chain.userdbs[0])
    ek_auth_run_users (run);
  else
    ek_auth_run_later (run, ek_auth_run_users);      /* nothing may end before we have returned */
  return run;
}
