/* directoryauth.c - logins asked for by edges: the mechanism, the passdbs, the token
 * SPDX-License-Identifier: Apache-2.0
 *
 * On success store hears {token, user record} from us, the edge only the token: it can hand over its client's
 * stream, but it can name no user.
 */
#include "config.h"
#include "auth/private.h"
#include "auth/sasl.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "flow/login.h"
#include "flow/tlsproof.h"
#include "mail/address.h"
#include "proc/blocks.h"
#include <string.h>

#define LOGINS_MAX 20000             /* of one edge: another one's are not disturbed */
#define FACTS_MAX  8192              /* bytes of what an edge tells about its client */
#define ASKED_MAX  (128 * 1024)
#define TOKEN_LEN  16

typedef struct Proof Proof;

typedef struct {                     /* one login under way */
  char        key[48];               /* "edge session" */
  guint       edge;
  EkChannel  *channel;               /* whose question it is: compared with the live one */
  guint32     answer;                /* 0: none is owed */
  EkSasl     *sasl;
  EkAuthRun  *run;
  Proof      *proof;                 /* a job has sasl */
  bool        looks;                 /* the mechanism decides, when it has seen the account */
  EkTimer     delay;
  EkPool     *pool;
  EkClient    client;
  const char *service, *listener, *mechanism, *name, *text;
  EkStr       target, master;        /* he who logs in does it as somebody else; a NULL p: as himself */
  bool        separated;             /* both were in one name: where no masters are bound, that is a user's */
  const char *master_key;            /* canonical, with OK */
  const EkDomainConf *domain;
  EkInstance **userdbs;
  EkGeneration *generation;
  EkAccount  *refusal;               /* of him who was refused; or NULL */
  EkUser      user;                  /* logged in, waits for a store worker */
  EkStoreAsk *ask;
  EkNaming   *naming;                /* under way */
} Login;

struct Proof {                       /* a mechanism looks at an account, which may cost a hash */
  EkJob       job;
  Login      *login;                 /* NULL: nobody waits for it any more */
  EkSasl     *sasl;
  EkPool     *pool;
  EkAccount   account;
  EkStr       like;
  const char *name;
  bool        known;
  EkSaslStep  step;
};

static GHashTable *logins;           /* key -> Login */
static guint       under_way[EK_INDEX_MAX + 1];        /* by edge */
static EkAuth     *auth;
static EkJobPool  *hashes;           /* threads for passwords alone: a flood of logins delays no question and no session */

static void
login_free (gpointer data)
{
  Login *l = data;

  under_way[l->edge]--;
  if (l->run)
    ek_auth_cancel (l->run);
  if (l->proof)
    l->proof->login = NULL;          /* it frees sasl */
  ek_directory_name_cancel (l->naming);
  ek_directory_store_cancel (l->ask);
  ek_timer_cancel (ek_role_loop (), &l->delay);
  ek_sasl_free (l->sasl);
  g_free (l->userdbs);
  ek_generation_unref (l->generation);
  ek_pool_free (l->pool);
  g_free (l);
}

static void
answer (Login *l, EkAuthOutcome outcome, EkStr challenge, const char *user, EkStr token, guint store)
{
  EkChannel *edge = ek_role_peer (EK_ROLE_DIRECTORY, EK_ROLE_EDGE, l->edge);

  if (l->answer && edge && edge == l->channel) {
    EkBuf *out = ek_channel_answer (edge, l->answer);
    ek_pack_u64 (out, outcome);
    ek_pack_str (out, challenge);
    ek_pack_text (out, user);
    ek_pack_text (out, user ? l->master_key : NULL);
    ek_pack_text (out, l->text);
    ek_pack_str (out, token);
    ek_pack_u64 (out, store);
    ek_channel_end (edge);
  }
  l->answer = 0;
}

static void
finish (Login *l, EkAuthOutcome outcome, const char *text)
{
  l->text = text;
  answer (l, outcome, EK_STR (""), NULL, EK_STR (""), 0);
  g_hash_table_remove (logins, l->key);
}

/* ---- the outcome ---- */

/* Who submits mail stays at the edge: no store worker is started for that. */
static bool
needs_store (const Login *l)
{
  return !(strcmp (l->service, "smtp") == 0 && ek_directory_own_store (&l->user));
}

static void
vouch (EkStatus status, guint index, const char *why, gpointer data)
{
  Login *l = data;
  guint8 token[TOKEN_LEN];
  EkStr bytes = { (char *) token, sizeof token };
  EkChannel *store = needs_store (l) ? ek_role_peer (EK_ROLE_DIRECTORY, EK_ROLE_STORE, index) : NULL;

  l->ask = NULL;
  if (status != EK_OK) {
    finish (l, EK_AUTH_UNAVAILABLE, "Temporary authentication failure");
    return;
  }
  ek_random (token, sizeof token);
  if (store && l->domain && l->domain->mailboxes) {
    EkBuf *out = ek_channel_send (store, EK_S_VOUCH);
    ek_pack_str (out, bytes);
    ek_pack_u64 (out, l->edge);
    ek_pack_user (out, &l->user);
    ek_pack_text (out, l->domain->mailboxes->name);
    ek_channel_end (store);
  }
  answer (l, EK_AUTH_OK, EK_STR (""), l->user.name, bytes, index);
  ek_wipe (token, sizeof token);
  g_hash_table_remove (logins, l->key);
}

static void
place (Login *l, const EkUser *user)
{
  EkStoreAsk *ask = NULL;

  ek_user_copy (l->pool, &l->user, user);
  if (!needs_store (l))
    vouch (EK_OK, 0, NULL, l);       /* l is gone */
  else if ((ask = ek_directory_store (&l->user, vouch, l)))            /* NULL: so it is here */
    l->ask = ask;
}

static void
refuse (Login *l)
{
  finish (l, EK_AUTH_REFUSED, "Authentication failed");
}

static void
served (EkTimer *timer)
{
  Login *l = (Login *) ((char *) timer - G_STRUCT_OFFSET (Login, delay));

  if (ek_sasl_refused (l->sasl, l->refusal) == EK_SASL_MORE)
    answer (l, EK_AUTH_CHALLENGE, ek_sasl_text (l->sasl), NULL, EK_STR (""), 0);
  else
    refuse (l);
}

static void
logged_in (const EkLoginResult *r, gpointer data)
{
  Login *l = data;

  l->run = NULL;
  if (r->why)
    ek_log (EK_INFO, "auth", "%s: %s from %s, %s: %s", l->service, r->outcome == EK_LOGIN_UNAVAILABLE ? "cannot tell" : "refused",
            l->client.address, l->name, r->why);
  if (r->outcome == EK_LOGIN_OK)
    place (l, r->user);
  else if (r->outcome == EK_LOGIN_UNAVAILABLE)
    finish (l, EK_AUTH_UNAVAILABLE, "Temporary authentication failure");
  else {
    if (r->account) {
      l->refusal = ek_pool_new0 (l->pool, EkAccount);
      *l->refusal = ek_auth_copy_account (l->pool, r->account);
    }
    l->delay.func = served;
    ek_timer_set (ek_role_loop (), &l->delay, r->delay.us);
  }
}

/* A name of no domain of ours: costs and looks as any other unknown name. */
static const EkAuthChain nobody = { .passdbs = (EkInstance *const[]) { NULL }, .userdbs = (EkInstance *const[]) { NULL } };

static void step_done (Login *l, EkSaslStep step);

static void
proof_run (EkJob *job, EkJobThread *thread)
{
  Proof *p = (Proof *) job;

  p->step = ek_sasl_answer (p->sasl, p->known ? &p->account : NULL, p->like, p->name);
}

static void
proof_done (EkJob *job)
{
  Proof *p = (Proof *) job;
  Login *l = p->login;
  EkSaslStep step = p->step;

  if (l) {
    l->proof = NULL;
    l->sasl = p->sasl;
  }
  else
    ek_sasl_free (p->sasl);
  ek_pool_free (p->pool);
  g_free (p);
  if (l)
    step_done (l, step);
}

/* The account, or that there is none: the mechanism goes on, on a job thread. */
static void
looked_up (const EkAccountFound *found, gpointer data)
{
  Login *l = data;

  if (found->status == EK_DEFER) {
    l->run = NULL;
    ek_log (EK_INFO, "auth", "%s: cannot tell from %s, %s: %s", l->service, l->client.address, l->name, found->why);
    finish (l, EK_AUTH_UNAVAILABLE, "Temporary authentication failure");
    return;
  }
  Proof *p = g_new0 (Proof, 1);
  *p = (Proof) { .job = { .run = proof_run, .done = proof_done }, .login = l, .sasl = g_steal_pointer (&l->sasl),
                 .pool = ek_pool_new (), .known = found->account != NULL };
  if (found->account)
    p->account = ek_auth_copy_account (p->pool, found->account);
  p->like = ek_auth_copy_secret (p->pool, found->like.p ? found->like : EK_STR (""));
  p->name = ek_pool_strdup (p->pool, l->name);
  l->proof = p;
  ek_job_submit (hashes, &p->job);
}

/* What the domain is bound to, or what a rule says in its place. */
static EkAuthChain
chain_of (Login *l, const EkName *name)
{
  const EkAuthRuleConf *rule = ek_auth_rule_find (l->generation, l->listener, l->service, name->domain_name);

  l->userdbs = ek_domain_userdbs (name->domain);
  EkAuthChain chain = { .passdbs = name->domain->auth, .userdbs = l->userdbs, .user_results = name->domain->user_results,
                        .prefetch = name->domain->prefetch };
  if (rule && rule->auth[0])
    chain.passdbs = rule->auth;
  if (rule && rule->users[0])
    chain.userdbs = rule->users;
  if (rule && rule->user_results[0])
    chain.user_results = rule->user_results;
  if (rule) {
    chain.results = rule->results;
    chain.deny = rule->deny;
    chain.after_right = rule->after_right;
    chain.after_wrong = rule->after_wrong;
    chain.after_outage = rule->after_outage;
  }
  return chain;
}

static void name_again (Login *l, EkStr text);

/* Who logs in as somebody else is looked for among the masters alone, with nothing of that one's domain in his name.  False: there are no
 * masters for such a login. */
static bool
make_master (Login *l, EkAuthChain *chain, const EkName *name)
{
  const EkAuthConf *conf = ek_generation_values (l->generation, &ek_auth_block, NULL);
  const EkAuthRuleConf *rule = ek_auth_rule_find (l->generation, l->listener, l->service, name->domain_name);
  EkInstance *const *masters = rule && rule->masters[0] ? rule->masters : conf->masters;
  EkAddressKey key;

  if (masters[0] == NULL)
    return false;
  bool wrong = ek_address_key (l->pool, l->master, EK_KEY_FOLD, NULL, &key) != NULL;
  l->master_key = wrong ? "(malformed name)" : key.key.p;
  *chain = (EkAuthChain) {
    .passdbs = wrong ? nobody.passdbs : masters, .userdbs = nobody.userdbs, .deny = chain->deny,
    .as = name->key, .as_passdbs = chain->passdbs, .as_userdbs = chain->userdbs, .as_user_results = chain->user_results,
  };
  return true;
}

static void
named (EkStatus status, const EkName *name, gpointer data)
{
  Login *l = data;
  const EkSaslFacts *facts = ek_sasl_facts (l->sasl);
  const EkAuthConf *conf = ek_generation_values (l->generation, &ek_auth_block, NULL);
  bool ours = status == EK_OK && name->domain && name->domain->transport == NULL;
  EkAuthChain chain = nobody;

  l->naming = NULL;
  if (status == EK_DEFER) {
    ek_log (EK_INFO, "auth", "%s: cannot tell from %s, %s: whether the domain is ours", l->service, l->client.address, name->key);
    finish (l, EK_AUTH_UNAVAILABLE, "Temporary authentication failure");
    return;
  }
  const char *key = l->name = status == EK_OK ? name->key : "(malformed name)";
  if (ours) {
    l->domain = name->domain;
    chain = chain_of (l, name);
  }
  if (l->master.p) {
    if ((!ours || !make_master (l, &chain, name)) && l->separated) {
      name_again (l, facts->authcid);
      return;
    }
    if (l->master_key == NULL) {
      chain = nobody;
      l->master_key = ek_pool_strndup (l->pool, l->master.p, l->master.n);
      ek_log (EK_INFO, "auth", "%s from %s: nobody may act as %s (masters)", l->service, l->client.address, key);
    }
    key = l->master_key;
    l->name = ek_pool_printf (l->pool, "%s (by the master %s)", l->name, key);
  }
  EkLogin login = {
    .service = l->service, .name = key, .given = l->master.p ? l->master.p : facts->authcid.p, .secret = facts->secret,
    .client = l->client.address, .tls = l->client.tls, .token = ek_sasl_mechanism (l->sasl)->token,
  };
  if (l->looks)
    l->run = ek_auth_account (auth, conf, &chain, &login, looked_up, l);
  else
    l->run = ek_auth_login (auth, conf, &chain, &login, logged_in, l);
}

/* A name's domain is one of the generation at the time of the question, which may be another one than when the client began: what
 * follows, up to the end of the login, is of that. */
static void
hold (Login *l)
{
  ek_generation_unref (l->generation);
  l->generation = ek_generation_ref (ek_role_generation ());
}

static void
ask_name (Login *l, EkStr text)
{
  hold (l);
  EkNaming *naming = ek_directory_name (l->pool, text, named, l);

  if (naming)                        /* else l may be gone */
    l->naming = naming;
}

/* What looked like a user and a master is a user: nobody is a master here. */
static void
name_again (Login *l, EkStr text)
{
  l->master = l->target = (EkStr) { NULL, 0 };
  l->separated = false;
  l->domain = NULL;
  g_clear_pointer (&l->userdbs, g_free);
  ask_name (l, text);
}

/* Does he log in as somebody else?  By the authorization identity (RFC 4616), or by a name of two. */
static void
find_master (Login *l, const EkSaslFacts *facts)
{
  const EkAuthConf *conf = ek_generation_values (l->generation, &ek_auth_block, NULL);
  const char *separator = conf->master_separator;

  if (facts->authzid.p) {
    l->target = ek_pool_str (l->pool, facts->authzid);
    l->master = ek_pool_str (l->pool, facts->authcid);
    return;
  }
  const char *at = separator ? memrchr (facts->authcid.p, *separator, facts->authcid.n) : NULL;
  if (at == NULL || (conf->masters[0] == NULL && !ek_auth_rules_have_masters (l->generation)))
    return;
  gsize n = (gsize) (at - facts->authcid.p);
  l->target = ek_pool_str (l->pool, (EkStr) { facts->authcid.p, n });
  l->master = ek_pool_str (l->pool, (EkStr) { at + 1, facts->authcid.n - n - 1 });
  l->separated = true;
}

static void
verify (Login *l)
{
  const EkSaslFacts *facts = ek_sasl_facts (l->sasl);

  hold (l);
  if (!l->looks && !ek_sasl_mechanism (l->sasl)->token)
    find_master (l, facts);
  ask_name (l, l->target.p ? l->target : facts->authcid);
}

static void
step_done (Login *l, EkSaslStep step)
{
  switch (step) {
  case EK_SASL_MORE:
    answer (l, EK_AUTH_CHALLENGE, ek_sasl_text (l->sasl), NULL, EK_STR (""), 0);
    break;
  case EK_SASL_LOOKUP:
  case EK_SASL_VERIFY:
    l->looks = step == EK_SASL_LOOKUP;
    verify (l);
    break;
  case EK_SASL_OK:
    ek_auth_accept (l->run, logged_in, l);         /* l may be gone */
    break;
  case EK_SASL_REFUSE:
    if (l->run)
      ek_auth_refuse (l->run, logged_in, l);
    else
      refuse (l);                    /* his delay is served already */
    break;
  default:
    finish (l, EK_AUTH_MALFORMED, ek_sasl_why (l->sasl) ? ek_sasl_why (l->sasl) : "Invalid authentication exchange");
  }
}

static void
step (Login *l, EkStr response)
{
  step_done (l, ek_sasl_step (l->sasl, response));
}

/* ---- questions ---- */

/* Of a client's certificate directory believes tls, never an edge. */
static void
check_peer (Login *l)
{
  EkClient *client = &l->client;

  if (client->tls_peer == NULL || ek_tls_proof_good (client->tls_peer_proof, client->tls_peer, l->listener, l->edge, ek_now ()))
    return;
  ek_log (EK_WARN, "auth", "%s: \"%s\" of a client's certificate (%s) counts for nothing: tls has not said so, or too long ago", l->service,
          client->tls_peer, client->address);
  client->tls_peer = NULL;
}

static bool
mechanism_allowed (const Login *l, const EkMechanismOps *ops)
{
  const EkListenerConf *conf = l->listener ? ek_generation_values (l->generation, &ek_listener_block, l->listener) : NULL;

  if (ops == NULL || conf == NULL || (ops->plaintext && !l->client.tls && !conf->plaintext_auth)
      || (ops->certificate && l->client.tls_peer == NULL))
    return false;
  for (guint i = 0; conf->mechanisms[i]; i++)
    if (g_ascii_strcasecmp (conf->mechanisms[i], ops->name) == 0)
      return true;
  return false;
}

static void
on_auth (EkMsg *msg, guint edge)
{
  Login *l = g_new0 (Login, 1);
  EkUnpack *in = &msg->in;
  gsize size = in->n;

  l->pool = ek_pool_new ();
  l->edge = edge;
  under_way[edge]++;
  l->channel = msg->channel;
  l->answer = msg->id;
  l->generation = ek_generation_ref (ek_role_generation ());
  g_snprintf (l->key, sizeof l->key, "%u %" G_GUINT64_FORMAT, edge, ek_unpack_u64 (in));
  l->mechanism = ek_unpack_text (in, l->pool);
  bool has = ek_unpack_max (in, 1) == 1;
  EkStr initial = ek_unpack_str (in);
  l->service = ek_unpack_text (in, l->pool);
  l->listener = ek_unpack_text (in, l->pool);
  ek_unpack_client (in, l->pool, &l->client);
  if (!ek_unpack_ok (in) || size > ASKED_MAX || size - initial.n > FACTS_MAX || l->mechanism == NULL || l->service == NULL || l->client.address == NULL) {
    ek_channel_break (msg->channel, "a damaged login");
    login_free (l);
    return;
  }
  g_hash_table_replace (logins, l->key, l);
  check_peer (l);
  const EkMechanismOps *ops = ek_sasl_find (ek_str (l->mechanism));
  if (under_way[edge] > LOGINS_MAX)
    finish (l, EK_AUTH_UNAVAILABLE, "Too many logins at once");
  else if (!mechanism_allowed (l, ops))
    finish (l, EK_AUTH_MALFORMED, "Unsupported authentication mechanism");
  else {
    l->sasl = ek_sasl_new (ops, &l->client);
    step (l, has ? initial : (EkStr) { NULL, 0 });
  }
}

static Login *
known (EkMsg *msg, guint edge)
{
  char key[48];

  g_snprintf (key, sizeof key, "%u %" G_GUINT64_FORMAT, edge, ek_unpack_u64 (&msg->in));
  return g_hash_table_lookup (logins, key);
}

static void
on_more (EkMsg *msg, guint edge)
{
  Login *l = known (msg, edge);
  EkStr response = ek_unpack_str (&msg->in);

  if (l == NULL || l->answer != 0 || !ek_unpack_ok (&msg->in)) {
    ek_channel_break (msg->channel, "an answer to no challenge");
    return;
  }
  l->answer = msg->id;
  step (l, response);
}

void
ek_directory_auth (EkMsg *msg, guint edge)
{
  if (msg->type == EK_D_AUTH && msg->id)
    on_auth (msg, edge);
  else if (msg->type == EK_D_AUTH_MORE && msg->id)
    on_more (msg, edge);
  else if (msg->type == EK_D_AUTH_ABORT) {
    Login *l = known (msg, edge);
    if (l)
      g_hash_table_remove (logins, l->key);
  }
  else
    ek_channel_break (msg->channel, "a message that directory does not take");
}

static gboolean
of_edge (gpointer key, gpointer value, gpointer data)
{
  return ((Login *) value)->edge == GPOINTER_TO_UINT (data);
}

void
ek_directory_auth_gone (guint edge)
{
  g_hash_table_foreach_remove (logins, of_edge, GUINT_TO_POINTER (edge));
}

void
ek_directory_auth_configure (EkGeneration *gen)
{
  ek_auth_keep_plain (auth, ek_auth_offers_proofs (gen));
  ek_auth_configure (auth, ek_generation_values (gen, &ek_auth_block, NULL));
  for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
    EkInstance *instance = ek_generation_instance_at (gen, i);
    if (ek_instance_is_remote (instance))
      continue;
    if (instance->module->mechanisms)
      ek_sasl_register (instance->module->mechanisms);
    if (instance->module->scheme)
      ek_scheme_register (instance->module->scheme);
  }
}

EkAuth *
ek_directory_auth_state (void)
{
  return auth;
}

void
ek_directory_auth_start (void)
{
  logins = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, login_free);
  hashes = ek_job_pool_new (ek_role_loop (), g_get_num_processors (), "ekiden-hash");
  ek_job_pool_give_way (hashes);
  auth = ek_auth_new (hashes);
}

void
ek_directory_auth_end (void)
{
  g_clear_pointer (&logins, g_hash_table_unref);
  g_clear_pointer (&hashes, ek_job_pool_free);
  g_clear_pointer (&auth, ek_auth_free);
}
