/* directory.c - the directory role: who is who and where mail goes
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend that does not answer makes its own domains wait (DEFER); nothing here ever turns that into "no
 * such user".  Answers are remembered for a few seconds, so that one message does not ask twice.
 */
#include "config.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "flow/route.h"
#include "flow/submit.h"
#include "mail/address.h"
#include "module/call.h"
#include "proc/control.h"
#include <string.h>

#define CACHE_MAX 50000
#define ADDRESS_MAX 4096
#define ASKED_MAX 10000              /* questions of one edge under way: a broken one fills no more */

typedef struct {                     /* an answer that is remembered */
  EkPool  *pool;
  EkStatus status;
  EkUser   user;
  gint64   until;
} Cached;

static struct {
  EkGeneration        *generation;
  const EkRoutingConf *routing;
  char                *default_domain;
  GHashTable          *cache;        /* key -> Cached */
  EkTimer              sweep;
  GHashTable          *hunts;        /* set of Hunt */
  guint                asked[EK_INDEX_MAX + 1];      /* questions of each edge under way */
} dir;

/* ---- configuration ---- */

static void
first_domain (const EkBlockValues *v, gpointer data)
{
  char **name = data;

  if (*name == NULL && v->block->name)
    *name = g_ascii_strdown (v->block->name, -1);
}

static void
configure (void)
{
  ek_generation_unref (dir.generation);
  dir.generation = ek_generation_ref (ek_role_generation ());
  dir.routing = ek_generation_values (dir.generation, &ek_routing_block, NULL);
  g_free (dir.default_domain);
  dir.default_domain = g_strdup (dir.routing->default_domain);
  if (dir.default_domain == NULL)
    ek_generation_each (dir.generation, &ek_domain_block, first_domain, &dir.default_domain);
  g_hash_table_remove_all (dir.cache);
  ek_directory_auth_configure (dir.generation);
}

static void
cached_free (gpointer data)
{
  ek_pool_free (((Cached *) data)->pool);
}

static gboolean
is_old (gpointer key, gpointer value, gpointer data)
{
  return ((Cached *) value)->until < ek_now ();
}

static void
sweep (EkTimer *timer)
{
  g_hash_table_foreach_remove (dir.cache, is_old, NULL);
  ek_timer_set (ek_role_loop (), timer, 10 * G_USEC_PER_SEC);
}

static bool
start (GError **error)
{
  dir.cache = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, cached_free);
  dir.hunts = g_hash_table_new (NULL, NULL);
  dir.sweep.func = sweep;
  ek_timer_set (ek_role_loop (), &dir.sweep, 10 * G_USEC_PER_SEC);
  ek_op_use_jobs (ek_role_jobs ());
  ek_directory_auth_start ();
  ek_directory_map_start ();
  ek_directory_stores_start ();
  configure ();
  return true;
}

/* ---- users ---- */

typedef struct {                     /* one lookup under way; those that wait for a backend are in dir.hunts */
  EkPool             *pool;
  EkUserFunc          func;
  gpointer            data;
  const EkDomainConf *domain;
  const char         *domain_name, *key;
  EkGeneration       *generation;
  EkInstance        **dbs;
  EkAuthRun          *run;
} Hunt;

static void
remember (const char *key, EkStatus status, const EkUser *user)
{
  EkPool *pool;
  gint64 keep = status == EK_OK ? dir.routing->cache.us : MIN (dir.routing->cache.us, G_USEC_PER_SEC);

  if (keep == 0 || status == EK_DEFER || g_hash_table_size (dir.cache) >= CACHE_MAX)
    return;
  pool = ek_pool_new ();
  Cached *c = ek_pool_new0 (pool, Cached);
  *c = (Cached) { .pool = pool, .status = status, .until = ek_now () + keep };
  if (user)
    ek_user_copy (pool, &c->user, user);
  g_hash_table_replace (dir.cache, ek_pool_strdup (pool, key), c);
}

static void
hunt_free (Hunt *h)
{
  g_free (h->dbs);
  ek_generation_unref (h->generation);
  ek_pool_free (h->pool);
}

static void
hunt_end (Hunt *h, EkStatus status, const EkUser *user)
{
  EkUserFound found = { .status = status, .domain = h->domain, .domain_name = h->domain_name, .key = h->key, .user = user };

  if (h->generation == dir.generation && h->domain)
    remember (h->key, status, user);
  h->func (&found, h->data);
  if (h->run)
    g_hash_table_remove (dir.hunts, h);
  hunt_free (h);
}

static void
asked (EkStatus status, const EkUser *user, const char *why, gpointer data)
{
  hunt_end (data, status, user);
}

/* Asks the domain's userdbs; whom they only assume, its passdbs have to know. */
static void
hunt (Hunt *h)
{
  EkAuthChain chain = { .passdbs = h->domain->auth, .userdbs = h->dbs = ek_domain_userdbs (h->domain) };

  g_hash_table_add (dir.hunts, h);
  h->run = ek_auth_user (ek_directory_auth_state (), ek_generation_values (h->generation, &ek_auth_block, NULL), &chain, h->key,
                         asked, h);
}

static void
hunt_cancel (gpointer data)
{
  Hunt *h = data;

  ek_auth_cancel (g_steal_pointer (&h->run));
  hunt_end (h, EK_DEFER, NULL);
}

/* What the cache knows, at once and without a copy. */
static bool
from_cache (const char *key, const EkDomainConf *domain, const char *domain_name, EkUserFunc func, gpointer data)
{
  Cached *c = g_hash_table_lookup (dir.cache, key);

  if (c == NULL || c->until < ek_now ())
    return false;
  EkUserFound found = { .status = c->status, .domain = domain, .domain_name = domain_name, .key = key,
                        .user = c->status == EK_OK ? &c->user : NULL };
  func (&found, data);
  return true;
}

bool
ek_directory_key (EkPool *pool, EkStr address, EkName *name)
{
  EkAddressKey key;
  const char *wrong = ek_address_key (pool, address, EK_KEY_FOLD, NULL, &key);

  *name = (EkName) { 0 };
  if (wrong == NULL && key.domain.n == 0 && dir.default_domain) {
    EkStr full = ek_str (ek_pool_printf (pool, "%.*s@%s", EK_STR_ARG (address), dir.default_domain));
    wrong = ek_address_key (pool, address = full, EK_KEY_FOLD, NULL, &key);
  }
  if (wrong)
    return false;
  name->domain_name = ek_pool_strndup (pool, key.domain.p, key.domain.n);
  name->domain = ek_domain_find (dir.generation, name->domain_name);
  if (name->domain)
    ek_address_key (pool, address, name->domain->fold_case ? EK_KEY_FOLD : 0, name->domain->tag_delimiters, &key);
  name->key = key.key.p;
  return true;
}

static void
find (EkStr address, EkUserFunc func, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  EkName name;

  if (!ek_directory_key (pool, address, &name)) {
    EkUserFound none = { .status = EK_NOTFOUND };
    func (&none, data);
    ek_pool_free (pool);
    return;
  }
  Hunt *h = ek_pool_new0 (pool, Hunt);
  *h = (Hunt) { .pool = pool, .func = func, .data = data, .domain = name.domain, .domain_name = name.domain_name, .key = name.key,
                .generation = ek_generation_ref (dir.generation) };
  if (name.domain == NULL || name.domain->transport)
    hunt_end (h, EK_OK, NULL);
  else if (from_cache (h->key, name.domain, name.domain_name, func, data)) {
    ek_generation_unref (h->generation);
    ek_pool_free (pool);
  }
  else
    hunt (h);
}

/* ---- postmaster (RFC 5321 4.5.1) ---- */

typedef struct {
  EkUserFunc func;
  gpointer   data;
  bool       bare;                   /* without a domain */
} Postmaster;

/* What his own name is; where nobody has it, the one that is configured gets his mail. */
static void
postmaster_found (const EkUserFound *f, gpointer data)
{
  g_autofree Postmaster *p = data;
  bool nobody = f->status == EK_NOTFOUND || (p->bare && f->status == EK_OK && f->domain == NULL);

  if (nobody && dir.routing->postmaster)
    find (ek_str (dir.routing->postmaster), p->func, p->data);
  else
    p->func (f, p->data);
}

void
ek_directory_user (EkStr address, EkUserFunc func, gpointer data)
{
  static const EkStr name = EK_STR ("postmaster");

  if (dir.routing->postmaster == NULL || !ek_str_istarts (address, name) || (address.n > name.n && address.p[name.n] != '@')) {
    find (address, func, data);
    return;
  }
  Postmaster *p = g_new (Postmaster, 1);
  *p = (Postmaster) { func, data, address.n == name.n };
  find (address, postmaster_found, p);
}

/* ---- questions of edges and queue ---- */

typedef struct {
  EkChannel *channel;
  EkRole     role;
  guint      index;
  guint32    id;
  bool       route;
  char       address[];
} Question;

static Question *
question_new (EkMsg *msg, EkRole role, guint index, bool route, EkStr address)
{
  Question *q = g_malloc0 (sizeof *q + address.n + 1);

  *q = (Question) { .channel = msg->channel, .role = role, .index = index, .id = msg->id, .route = route };
  memcpy (q->address, address.p, address.n);
  return q;
}

/* The channel it came from, if that is still the same. */
static EkChannel *
asker (const Question *q)
{
  EkChannel *now = ek_role_peer (EK_ROLE_DIRECTORY, q->role, q->index);

  return now == q->channel ? now : NULL;
}

static void
rcpt_found (const EkUserFound *f, gpointer data)
{
  Question *q = data;
  EkChannel *edge = asker (q);
  EkRcptClass class = f->domain == NULL ? EK_RCPT_REMOTE : f->domain->transport ? EK_RCPT_RELAY : EK_RCPT_LOCAL;
  EkStatus status = f->status;
  const char *dsn = NULL, *text = NULL;
  g_autofree char *wrong = status == EK_OK && f->user ? ek_directory_store_wrong (dir.generation, f->user) : NULL;

  if (wrong) {                       /* before it is in the queue, where it would wait for days */
    ek_log (EK_WARN, "directory", "%s gets no mail now: %s", f->user->name, wrong);
    status = EK_DEFER;
  }
  if (status == EK_DEFER) {
    dsn = "4.3.0";
    text = "Temporary lookup failure";
  }
  else if (status == EK_OK && class == EK_RCPT_REMOTE && dir.routing->transport == NULL) {
    dsn = "5.7.1";
    text = "this server sends no mail to other domains (routing.transport)";
    status = EK_FAIL;
  }
  if (edge) {
    EkBuf *out = ek_channel_answer (edge, q->id);
    ek_pack_u64 (out, status);
    ek_pack_u64 (out, class);
    ek_pack_text (out, dsn);
    ek_pack_text (out, text);
    ek_channel_end (edge);
  }
  dir.asked[q->index]--;
  g_free (q);
}

static void
pack_route (EkBuf *out, const EkUserFound *f)
{
  if (f->status == EK_DEFER || (f->status == EK_OK && f->domain == NULL && dir.routing->transport == NULL)) {
    ek_pack_u64 (out, EK_ROUTE_DEFER);
    ek_pack_text (out, "4.3.0");
    ek_pack_text (out, f->status == EK_DEFER ? "user lookup failed temporarily" : "no transport for other domains is configured");
  }
  else if (f->status != EK_OK) {
    ek_pack_u64 (out, EK_ROUTE_NOTFOUND);
    ek_pack_text (out, "5.1.1");
    ek_pack_text (out, "User unknown in virtual mailbox table");
  }
  else {
    const char *hop = f->domain ? f->domain->next_hop : dir.routing->relayhost;
    ek_pack_u64 (out, EK_ROUTE_REMOTE);
    ek_pack_text (out, f->domain ? f->domain->transport->name : dir.routing->transport->name);
    ek_pack_text (out, hop ? hop : f->domain_name);
  }
}

typedef struct {                     /* waits for a store worker */
  Question *question;
  EkPool   *pool;
  EkUser    user;
  char     *instance;
} Place;

static void
placed (EkStatus status, guint index, const char *why, gpointer data)
{
  Place *p = data;
  EkChannel *queue = asker (p->question);

  if (queue) {
    EkBuf *out = ek_channel_answer (queue, p->question->id);
    ek_pack_u64 (out, status == EK_OK ? EK_ROUTE_LOCAL : EK_ROUTE_DEFER);
    if (status == EK_OK) {
      ek_pack_user (out, &p->user);
      ek_pack_text (out, p->instance);
      ek_pack_u64 (out, index);
      ek_pack_text (out, NULL);
    }
    else {
      ek_pack_text (out, "4.3.0");
      ek_pack_text (out, why);
    }
    ek_channel_end (queue);
  }
  g_free (p->question);
  ek_pool_free (p->pool);            /* p with it */
}

static void
place (Question *q, const EkUserFound *f)
{
  EkPool *pool = ek_pool_new ();
  Place *p = ek_pool_new0 (pool, Place);

  *p = (Place) { .question = q, .pool = pool, .instance = ek_pool_strdup (pool, f->domain->mailboxes->name) };
  ek_user_copy (pool, &p->user, f->user);
  ek_directory_store (&p->user, placed, p);
}

static void
route_found (const EkUserFound *f, gpointer data)
{
  Question *q = data;
  EkChannel *queue = asker (q);

  if (queue && f->status == EK_OK && f->domain && f->domain->transport == NULL) {
    place (q, f);
    return;
  }
  if (queue) {
    pack_route (ek_channel_answer (queue, q->id), f);
    ek_channel_end (queue);
  }
  g_free (q);
}

static void
tell_control (const EkUserFound *f, gpointer data)
{
  Question *q = data;
  EkChannel *control = asker (q);

  if (control) {
    EkBuf *out = ek_channel_answer (control, q->id);
    ek_pack_u64 (out, EK_OK);
    ek_pack_str (out, f->status == EK_OK      ? f->user ? EK_STR ("{\"found\":\"user\"}\n") : EK_STR ("{\"found\":\"elsewhere\"}\n")
                      : f->status == EK_DEFER ? EK_STR ("{\"found\":\"unknown\"}\n")
                                              : EK_STR ("{\"found\":\"nobody\"}\n"));
    ek_channel_end (control);
  }
  g_free (q);
}

/* directory-address ADDRESS: who gets its mail */
static void
control (EkMsg *msg, guint index)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *verb = ek_unpack_text (&msg->in, pool);

  ek_unpack_u64 (&msg->in);          /* the caller's uid */
  guint n = (guint) ek_unpack_max (&msg->in, G_MAXUINT32);
  EkStr address = ek_str (n == 1 ? ek_unpack_text (&msg->in, pool) : NULL);
  if (!ek_unpack_ok (&msg->in) || verb == NULL || strcmp (verb, "directory-address") != 0 || address.n == 0 || address.n > ADDRESS_MAX)
    ek_control_answer (msg, EK_FAIL, EK_STR ("directory knows no such verb"));
  else
    ek_directory_user (address, tell_control, question_new (msg, EK_ROLE_CONTROL, index, false, address));
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  if (peer == EK_ROLE_EDGE && msg->type == EK_D_RCPT && msg->id) {
    EkStr address = ek_unpack_str (&msg->in);
    Question *q = question_new (msg, peer, index, false, address);
    if (!ek_unpack_ok (&msg->in) || address.n > ADDRESS_MAX) {
      ek_channel_break (msg->channel, "a damaged question");
      g_free (q);
    }
    else if (++dir.asked[index] > ASKED_MAX)
      rcpt_found (&(EkUserFound) { .status = EK_DEFER }, q);
    else
      ek_directory_user (address, rcpt_found, q);
  }
  else if (peer == EK_ROLE_EDGE && msg->type == EK_D_MAP && msg->id)
    ek_directory_map (msg, index, dir.generation);
  else if (peer == EK_ROLE_QUEUE && msg->type == EK_D_ROUTE && msg->id) {
    EkStr address = ek_unpack_str (&msg->in);
    ek_unpack_str (&msg->in);
    if (ek_unpack_ok (&msg->in))
      ek_directory_user (address, route_found, question_new (msg, peer, index, true, address));
    else
      ek_channel_break (msg->channel, "a damaged question");
  }
  else if (peer == EK_ROLE_EDGE)
    ek_directory_auth (msg, index);
  else if (peer == EK_ROLE_CONTROL && msg->type == EK_C_REQUEST)
    control (msg, index);
  else
    ek_channel_break (msg->channel, "a message that directory does not take");
}

static void
peer_gone (EkRole peer, guint index)
{
  if (peer == EK_ROLE_EDGE)
    ek_directory_auth_gone (index);
}

static void
stop (gint64 deadline)
{
  ek_role_done (EK_ROLE_DIRECTORY);
}

static void
end (void)
{
  GHashTableIter iter;
  gpointer h;

  g_hash_table_iter_init (&iter, dir.hunts);
  while (g_hash_table_iter_next (&iter, &h, NULL))
    hunt_cancel (h);
  g_hash_table_unref (dir.hunts);
  ek_directory_auth_end ();
  ek_directory_map_end ();
  ek_directory_stores_end ();
  ek_op_use_jobs (NULL);
  ek_timer_cancel (ek_role_loop (), &dir.sweep);
  g_hash_table_unref (dir.cache);
  ek_generation_unref (dir.generation);
  g_free (dir.default_domain);
  memset (&dir, 0, sizeof dir);
}

const EkRoleOps ek_directory_role = {
  .role = EK_ROLE_DIRECTORY, .start = start, .reload = configure, .message = message, .peer_gone = peer_gone,
  .master = ek_directory_master, .stop = stop, .end = end,
};
