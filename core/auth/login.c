/* login.c - one login: the passdbs in their order, then the account's fields
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/private.h"
#include "lookup/network.h"
#include <string.h>

typedef struct {                     /* one question; all of it in the operation's pool */
  EkLogin   login;
  EkAccount account;
  bool      lookup;                  /* only what is kept of him */
  bool      proven;                  /* he has shown his password to another one: this one has to know him */
  bool      deny;                    /* only whether he is known, by whomever it takes */
  bool      wrong;                   /* compared, and wrong */
  bool      by_client;               /* what it says holds for this client alone */
  bool      right;                   /* compared, and right; neither: it is not compared yet, or is verified */
} Ask;

static void ask_passdb (EkAuthRun *run);
static void chain_end (EkAuthRun *run);

static const EkPassdbOps *
ops_of (const EkInstance *self)
{
  return self->module ? self->module->passdb : NULL;
}

/* Does this passdb ask somebody else whether the secret is right? */
static bool
verifies (const EkInstance *self)
{
  const EkPassdbOps *ops = ops_of (self);

  return ops && ops->verify && (ops->verifies == NULL || ops->verifies (self));
}

/* Does the core compare what this passdb looks up? */
static bool
compares (const EkInstance *self)
{
  return ops_of (self) && !verifies (self);
}

EkLogin
ek_auth_copy_login (EkPool *pool, const EkLogin *login)
{
  return (EkLogin) {
    .service = ek_pool_strdup (pool, login->service), .name = ek_pool_strdup (pool, login->name),
    .given = ek_pool_strdup (pool, login->given), .secret = ek_auth_copy_secret (pool, login->secret),
    .client = ek_pool_strdup (pool, login->client), .tls = login->tls, .token = login->token,
  };
}

/* ---- on a job thread ---- */

static EkStatus
compare (const EkLogin *login, const EkAccount *account, GError **error)
{
  g_autoptr (GError) why = NULL;

  if (account->stored.p == NULL)
    return ek_fail (error, EK_DEFER, 0, "user \"%s\": the passdb gives no secret to compare with", login->name);
  EkStatus status = ek_password_verify (login->secret, account->stored, "PLAIN", &why);
  return status == EK_DEFER ? ek_fail (error, EK_DEFER, why->code, "user \"%s\": %s", login->name, why->message) : status;
}

/* Has this passdb anything to say to such a question? */
static bool
is_asked (const EkInstance *self, const Ask *ask)
{
  const EkPassdbOps *ops = ops_of (self);

  if (ask->lookup || (ask->proven && !verifies (self)))
    return ops->lookup && !verifies (self) && !ops->tokens;
  return ops->tokens == ask->login.token;
}

static EkStatus
put_question (EkInstance *self, EkCall *call, Ask *ask)
{
  const EkPassdbOps *ops = ops_of (self);

  if (ask->deny)                       /* one that cannot tell must not look like one that knows him not */
    return ops && ops->lookup ? ops->lookup (self, call, ask->login.name, &ask->account)
                              : ek_fail (&call->error, EK_DEFER, 0, "it cannot tell whom it knows");
  if (ops && !is_asked (self, ask))
    return EK_NOTFOUND;
  if (verifies (self))
    return ops->verify (self, call, &ask->login, &ask->account);
  if (ops == NULL || ops->lookup == NULL)
    return ek_fail (&call->error, EK_DEFER, 0, "it is no passdb");
  EkStatus status = ops->lookup (self, call, ask->login.name, &ask->account);
  if (status != EK_OK || ask->lookup || ask->proven || (self->module->flags & EK_EVENTED) || ek_password_is_slow (ask->account.stored, "PLAIN"))
    return status;                     /* evented: we are on the loop, or the answer is yet to come */
  status = compare (&ask->login, &ask->account, &call->error);
  ask->wrong = status == EK_FAIL;
  ask->right = status == EK_OK;
  return status == EK_DEFER ? EK_FAIL : status;        /* what cannot be compared is a mistake, no outage */
}

static EkStatus
run_passdb (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  ask->account = (EkAccount) { 0 };    /* an operation may run twice */
  ask->wrong = false;
  ask->right = ask->proven;
  call->login = &ask->login;
  EkStatus status = put_question (self, call, ask);
  ask->by_client |= call->by_client;
  return status;
}

static void
work_compare (EkAuthRun *run)
{
  g_autoptr (GError) error = NULL;
  EkStatus status = compare (&run->login, &run->account, &error);

  run->wrong = status == EK_FAIL;
  run->incomparable = NULL;
  if (status != EK_DEFER)
    return;
  ek_log (EK_ERR, "auth", "%s", error->message);
  run->incomparable = ek_pool_strdup (run->pool, error->message);
}

static void
work_dummy (EkAuthRun *run)
{
  ek_password_dummy (run->login.secret, run->account.stored, "PLAIN");
}

/* ---- on the loop ---- */

/* Why somebody is refused whom no passdb has judged. */
static const char *
why_unknown (EkAuthRun *run)
{
  if (run->halted_by)
    return ek_pool_printf (run->pool, "not by a mechanism without a password (after_right = %s)", run->halted_by);
  return run->denied_by ? ek_pool_printf (run->pool, "denied (%s)", run->denied_by) : "unknown user";
}

static void
refused_unknown (EkAuthRun *run)
{
  if (run->login.secret.n > 0 && !run->login.token)        /* else nobody was asked, or about the token alone */
    ek_auth_forget (run, true);
  ek_auth_end_refused (run, run->login.secret.n == 0 ? "empty password" : why_unknown (run));
}

static void
unknown (EkAuthRun *run)
{
  run->account_done (&(EkAccountFound) { .status = EK_NOTFOUND, .like = run->account.stored }, run->data);
}

/* The place of a name among the likes, not yet brought down to their number. */
static guint
place_of (const EkAuthRun *run)
{
  return run->login.name ? g_str_hash (run->login.name) : 0;
}

/* No passdb knows the name. */
static void
nobody (EkAuthRun *run)
{
  const EkInstance *like = NULL;

  run->known = false;
  for (guint i = 0; run->chain.passdbs[i] && like == NULL; i++)
    if (compares (run->chain.passdbs[i]))
      like = run->chain.passdbs[i];
  const EkAuthLikes *likes = like ? g_hash_table_lookup (run->auth->likes, like->name) : NULL;
  const char *stored = NULL;
  for (guint i = 0, at = place_of (run); likes && i < EK_AUTH_LIKES && stored == NULL; i++)
    stored = likes->stored[(at + i) % EK_AUTH_LIKES];
  run->account = (EkAccount) { .stored = ek_auth_copy_secret (run->pool, ek_str (stored)) };
  if (run->account_done) {
    ek_auth_run_later (run, unknown);
    return;
  }
  bool hash = like || run->chain.passdbs[0] == NULL;       /* no passdbs: a name of no domain of ours */
  if (hash && !run->login.token && run->login.secret.n > 0)
    ek_auth_run_job (run, work_dummy, refused_unknown);
  else
    ek_auth_run_later (run, refused_unknown);
}

/* Unknown users shall cost what this one does. */
static void
remember (EkAuthRun *run, const EkInstance *passdb, EkStr stored)
{
  guint user = place_of (run), at = user % EK_AUTH_LIKES;

  if (stored.n == 0 || !compares (passdb))
    return;
  EkAuthLikes *likes = g_hash_table_lookup (run->auth->likes, passdb->name);
  if (likes == NULL)
    g_hash_table_insert (run->auth->likes, g_strdup (passdb->name), likes = g_new0 (EkAuthLikes, 1));
  if (likes->stored[at] && (likes->user[at] != user || ek_str_eq (stored, ek_str (likes->stored[at]))))
    return;
  ek_wipe_free (likes->stored[at]);
  likes->stored[at] = g_strndup (stored.p, stored.n);
  likes->user[at] = user;
}

static bool
is_one_of (EkInstance *const *list, const EkInstance *passdb)
{
  for (guint i = 0; list && list[i]; i++)
    if (list[i] == passdb)
      return true;
  return false;
}

/* The place of the passdb that is asked, as a bit; the last one stands for all behind it, too. */
static guint64
place (const EkAuthRun *run)
{
  return (guint64) 1 << MIN (run->at, 63u);
}

static void
go_on (EkAuthRun *run)
{
  run->at++;
  ask_passdb (run);
}

/* Of the passdb that was asked. */
static EkChainAction
action (const EkAuthRun *run, EkChainAnswer answer)
{
  return ek_auth_action (run->chain.results, run->chain.passdbs[run->at]->name, answer);
}

/* Sets the chain's state, and asks the next one or ends. */
static void
obey (EkAuthRun *run, EkChainAction action)
{
  run->right = ek_auth_state (action, run->right);
  if (ek_auth_continues (action))
    go_on (run);
  else
    chain_end (run);
}

/* A passdb that might have decided gave no answer. */
static void
end_outage (EkAuthRun *run)
{
  if (run->broken)
    ek_auth_end_unavailable (run, run->outage);
  else
    ek_auth_end_away (run, run->outage);
}

static void
wrong_password (EkAuthRun *run)
{
  const EkInstance *passdb = run->chain.passdbs[run->at];
  EkChainAction then = action (run, EK_ANSWER_WRONG);

  run->no_by |= place (run);
  if (then == EK_ACTION_DEFAULT)
    then = is_one_of (run->chain.after_wrong, passdb) ? EK_ACTION_CONTINUE : EK_ACTION_RETURN_FAIL;
  if (run->login.secret.n == 0)        /* a mechanism's proof, which can be shown to no other one */
    then = EK_ACTION_RETURN_FAIL;
  if (run->wrong_by == NULL || !ek_auth_continues (then))
    run->wrong_by = passdb->name;
  obey (run, then);
}

/* Nobody else is asked.  Where all have to say right (after_right) one that does not, or gives no answer, counts. */
static void
chain_end (EkAuthRun *run)
{
  if (run->right && !(run->all && (run->outage || run->wrong_by))) {
    run->account = run->good;
    run->known = true;
    ek_auth_accepted (run);
  }
  else if (run->outage)                /* one that gave no answer might have let him in */
    end_outage (run);
  else if (run->wrong_by)
    ek_auth_end_refused (run, ek_pool_printf (run->pool, "wrong password (%s)", run->wrong_by));
  else if (run->right_by)
    ek_auth_end_refused (run, "right password, but no passdb lets him in (results)");
  else
    nobody (run);
}

static void
no_answer (EkAuthRun *run, EkStatus status, const char *why)
{
  const EkInstance *passdb = run->chain.passdbs[run->at];
  EkChainAction then = action (run, EK_ANSWER_OUTAGE);

  run->broken |= status != EK_DEFER;
  run->outage = ek_pool_printf (run->pool, "%s: %s", passdb->name, why);
  if (then != EK_ACTION_DEFAULT)
    obey (run, then);
  else if (is_one_of (run->chain.after_outage, passdb))
    go_on (run);
  else
    end_outage (run);
}

/* What those say who say right counts together; of two that say something else under one name, the later. */
static void
add_account (EkAuthRun *run)
{
  EkAccount *good = &run->good;

  if (run->proven)                     /* what was compared, for whoever makes it stronger */
    run->account.stored = good->stored;
  if (good->fields)
    run->account.fields = ek_auth_merge_fields (run->pool, good->fields, good->n_fields, run->account.fields, &run->account.n_fields);
  *good = run->account;
}

/* One passdb says that it is right. */
static void
right_password (EkAuthRun *run)
{
  EkInstance *passdb = run->chain.passdbs[run->at];
  EkChainAction then = action (run, EK_ANSWER_SUCCESS);

  if (!run->proven)
    run->compared_by = compares (passdb) && run->login.secret.n > 0 ? passdb : NULL;
  run->right_by |= place (run);
  if (!run->all)
    run->wrong_by = NULL;              /* of those before it, which did not decide */
  add_account (run);
  if (is_one_of (run->chain.after_right, passdb)) {
    run->right = run->all = true;
    go_on (run);
    return;
  }
  run->proven |= then != EK_ACTION_DEFAULT;
  obey (run, then == EK_ACTION_DEFAULT ? EK_ACTION_RETURN_OK : then);
}

void
ek_auth_accepted (EkAuthRun *run)
{
  const EkAccount *account = &run->account;
  EkStr nets = ek_param (account->fields, account->n_fields, "allow_nets");
  EkStr user = ek_param (account->fields, account->n_fields, "user");
  g_autoptr (GError) error = NULL;

  EkStatus allowed = nets.p ? ek_network_list_has (nets, run->login.client, &error) : EK_OK;
  if (allowed == EK_FAIL) {
    ek_log (EK_ERR, "auth", "user \"%s\": allow_nets: %s", run->login.name, error->message);
    ek_auth_end_unavailable (run, "allow_nets is wrong");
    return;
  }
  if (allowed != EK_OK || ek_param (account->fields, account->n_fields, "nologin").p) {
    ek_auth_end_refused (run, allowed != EK_OK ? "right password, but not from this address (allow_nets)"
                                               : "right password, but no login (nologin)");
    return;
  }
  run->name = run->chain.as ? run->chain.as : user.n > 0 ? ek_pool_strndup (run->pool, user.p, user.n) : run->login.name;
  if (run->recalled)
    ek_auth_end_ok (run);
  else
    ek_auth_run_users (run);
}

static void
after_compare (EkAuthRun *run)
{
  if (run->incomparable) {
    run->account = (EkAccount) { 0 };
    run->known = false;
    no_answer (run, EK_FAIL, run->incomparable);       /* as in run_passdb() */
    return;
  }
  remember (run, run->chain.passdbs[run->at], run->account.stored);
  if (run->wrong)
    wrong_password (run);
  else
    right_password (run);
}

static void
passdb_done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  EkAuthRun *run = user;
  Ask *ask = data;
  const EkInstance *passdb = run->chain.passdbs[run->at];

  run->op = NULL;
  run->by_client |= status == EK_DEFER || ask->by_client;  /* one that gave no answer may have looked at it, and may be at it still */
  if (status == EK_NOTFOUND) {
    EkChainAction then = action (run, EK_ANSWER_UNKNOWN);
    run->no_by |= place (run);
    obey (run, then == EK_ACTION_DEFAULT ? EK_ACTION_CONTINUE : then);
    return;
  }
  bool judged = verifies (passdb) && !ask->lookup;         /* it has looked at the secret itself */
  if (status != EK_OK && !(status == EK_FAIL && (judged ? why == NULL : ask->wrong))) {
    no_answer (run, status, why ? why->message : "no answer");
    return;
  }
  bool open = status == EK_OK && run->account_done == NULL && !judged && !ask->right;     /* nobody has said yet that it is right */
  if (!open)
    remember (run, passdb, ask->account.stored);
  run->account = ek_auth_copy_account (run->pool, &ask->account);
  run->known = true;
  if (status == EK_FAIL)
    wrong_password (run);
  else if (run->account_done)
    run->account_done (&(EkAccountFound) { .status = EK_OK, .account = &run->account }, run->data);
  else if (open)
    ek_auth_run_job (run, work_compare, after_compare);
  else
    right_password (run);
}

static void
ask_passdb (EkAuthRun *run)
{
  EkInstance *const *list = run->chain.passdbs;

  while (list[run->at] && ek_auth_skips (run->chain.results, list[run->at]->name, run->right))
    run->at++;
  EkInstance *passdb = list[run->at];
  if (passdb == NULL) {
    chain_end (run);
    return;
  }
  if (run->account_done && is_one_of (run->chain.after_right, passdb)) {
    run->halted_by = passdb->name;     /* the next ones have to say right as well, and one proof is for one secret */
    nobody (run);
    return;
  }
  if (run->proven && verifies (passdb) && !ops_of (passdb)->tokens && (run->login.secret.n == 0 || run->login.token)) {
    ek_auth_end_refused (run, ek_pool_printf (run->pool, "right, but %s has to be shown the password, and this mechanism has none", passdb->name));
    return;
  }
  run->op = ek_op_new (passdb);
  EkPool *pool = ek_op_pool (run->op);
  Ask *ask = ek_pool_new0 (pool, Ask);
  ask->login = ek_auth_copy_login (pool, &run->login);
  ask->lookup = run->account_done != NULL;
  ask->proven = run->proven;
  ek_op_reads (run->op);
  ek_op_start (run->op, 0, run->timeout, run_passdb, ask, passdb_done, run);
}

/* ---- those who are denied ---- */

static void ask_deny (EkAuthRun *run);

static void
deny_done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  EkAuthRun *run = user;
  const EkInstance *passdb = run->chain.deny[run->deny_at];

  run->op = NULL;
  if (status == EK_NOTFOUND) {
    run->deny_at++;
    ask_deny (run);
  }
  else if (status == EK_OK) {          /* it shall look as if nobody had that name */
    run->denied_by = passdb->name;
    nobody (run);
  }
  else
    ek_auth_end_unavailable (run, ek_pool_printf (run->pool, "%s: %s", passdb->name, why ? why->message : "no answer"));
}

/* He is not denied. */
static void
not_denied (EkAuthRun *run)
{
  if (ek_auth_recall (run, false))
    ek_auth_run_later (run, ek_auth_accepted);
  else
    ask_passdb (run);
}

/* From run->deny_at on; then the passdbs. */
static void
ask_deny (EkAuthRun *run)
{
  EkInstance *passdb = run->chain.deny ? run->chain.deny[run->deny_at] : NULL;

  if (passdb == NULL && run->chain.as && !run->deny_as && run->chain.deny) {
    run->deny_as = true;
    run->deny_at = 0;
    passdb = run->chain.deny[0];
  }
  if (passdb == NULL) {
    not_denied (run);
    return;
  }
  run->op = ek_op_new (passdb);
  EkPool *pool = ek_op_pool (run->op);
  Ask *ask = ek_pool_new0 (pool, Ask);
  ask->login = ek_auth_copy_login (pool, &run->login);
  if (run->deny_as)
    ask->login.name = ek_pool_strdup (pool, run->chain.as);
  ask->deny = true;
  ek_op_reads (run->op);
  ek_op_start (run->op, 0, run->timeout, run_passdb, ask, deny_done, run);
}

EkAuthRun *
ek_auth_login (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const EkLogin *login, EkLoginDone done,
               gpointer data)
{
  EkAuthRun *run = ek_auth_run_new (auth, conf, chain, data);

  run->login = ek_auth_copy_login (run->pool, login);
  run->login_done = done;
  if (login->secret.n == 0)            /* an LDAP server would take it for an anonymous bind, and agree */
    ek_auth_run_later (run, refused_unknown);
  else
    ask_deny (run);
  return run;
}

EkAuthRun *
ek_auth_account (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const EkLogin *login, EkAccountDone done,
                 gpointer data)
{
  EkAuthRun *run = ek_auth_run_new (auth, conf, chain, data);

  run->login = ek_auth_copy_login (run->pool, login);
  run->account_done = done;
  ask_deny (run);
  return run;
}

static void
decided (EkAuthRun *run, EkLoginDone done, gpointer data)
{
  run->account_done = NULL;
  run->login_done = done;
  run->data = data;
}

void
ek_auth_accept (EkAuthRun *run, EkLoginDone done, gpointer data)
{
  decided (run, done, data);
  if (run->known)
    right_password (run);
  else                                 /* not even a mechanism can vouch for somebody whom nobody knows */
    ek_auth_end_refused (run, why_unknown (run));
}

void
ek_auth_refuse (EkAuthRun *run, EkLoginDone done, gpointer data)
{
  decided (run, done, data);
  if (run->known)
    wrong_password (run);
  else
    ek_auth_end_refused (run, why_unknown (run));
}
