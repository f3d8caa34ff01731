/* directoryuser.c - who gets an address's mail: its domain, then the userdbs, and what is remembered of them
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend that does not answer makes its own domains wait (DEFER); nothing here ever turns that into "no such user".  Answers are
 * remembered for a few seconds, so that one message does not ask twice, and much longer for the time that a backend is away.
 */
#include "config.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "lookup/cache.h"
#include "module/fingerprint.h"
#include <string.h>

#define CACHE_MAX 50000

static struct {
  EkGeneration        *generation;
  const EkRoutingConf *routing;
  EkCache             *cache;        /* Hunt.memory_key -> EkUser */
  GHashTable          *hunts;        /* set of Hunt: those that wait for a backend */
} u;

typedef struct {                     /* one lookup under way */
  EkPool             *pool;
  EkUserFunc          func;
  gpointer            data;
  EkName              name;
  EkGeneration       *generation;
  EkInstance        **dbs;
  EkStr               memory_key;    /* of the name, and of who is asked about it */
  EkNaming           *naming;
  EkAuthRun          *run;
} Hunt;

/* ---- configuration ---- */

void
ek_directory_users_configure (EkGeneration *gen)
{
  const EkRoutingConf *routing = ek_generation_values (gen, &ek_routing_block, NULL);

  ek_generation_unref (u.generation);
  u.generation = ek_generation_ref (gen);
  u.routing = routing;
  u.cache = ek_cache_renew (u.cache, &(EkCacheConf) { .fresh = routing->cache, .stale = routing->cache_stale, .entries_max = CACHE_MAX,
                                                      .fresh_negative = { MIN (routing->cache.us, G_USEC_PER_SEC) } });
}

void
ek_directory_users_start (void)
{
  u.hunts = g_hash_table_new (NULL, NULL);
}

/* ---- the hunt ---- */

/* A reload in the middle of an outage ends nothing of what bridges it, but where somebody else is asked from then on. */
static void
make_memory_key (Hunt *h)
{
  EkBuf out = { 0 };

  ek_buf_append (&out, h->name.key, strlen (h->name.key) + 1);
  ek_fingerprints_append (&out, h->dbs);
  ek_fingerprints_append (&out, h->name.domain->auth);
  for (guint i = 0; h->name.domain->user_results[i]; i++)
    ek_buf_append (&out, h->name.domain->user_results[i], strlen (h->name.domain->user_results[i]) + 1);
  h->memory_key = ek_pool_str (h->pool, ek_buf_str (&out));
  ek_buf_release (&out);
}

static void
remember (const Hunt *h, EkStatus status, const EkUser *user)
{
  EkCached *c = status != EK_DEFER ? ek_cache_put (u.cache, h->memory_key, status, ek_now ()) : NULL;

  if (c && status == EK_OK) {
    c->data = ek_pool_new0 (c->pool, EkUser);
    ek_user_copy (c->pool, c->data, user);
  }
}

static void
hunt_end (Hunt *h, EkStatus status, const EkUser *user)
{
  EkUserFound found = {
    .status = status, .domain = h->name.domain, .domain_name = h->name.domain_name, .key = h->name.key, .user = user,
    .generation = h->generation,
  };

  g_hash_table_remove (u.hunts, h);
  h->func (&found, h->data);
  g_free (h->dbs);
  ek_generation_unref (h->generation);
  ek_pool_free (h->pool);            /* h with it */
}

/* True: what is remembered was told. */
static bool
from_cache (Hunt *h, bool stale)
{
  const EkCached *c = ek_cache_find (u.cache, h->memory_key, ek_now ());

  if (c == NULL || !(c->fresh || stale))
    return false;
  EkUser user = { 0 };
  if (c->status == EK_OK)              /* the caller may look for somebody else, which may push this one out */
    ek_user_copy (h->pool, &user, c->data);
  hunt_end (h, c->status, c->status == EK_OK ? &user : NULL);
  return true;
}

static void
asked (EkStatus status, const EkUser *user, const char *why, gpointer data)
{
  Hunt *h = data;

  bool whole = status == EK_NOTFOUND || (status == EK_OK && why == NULL);      /* else somebody did not tell his part */

  h->run = NULL;
  if (!whole && from_cache (h, true))
    return;
  if (whole)
    remember (h, status, user);
  hunt_end (h, status, user);
}

/* Asks the domain's userdbs; whom they only assume, its passdbs have to know. */
static void
named (EkStatus status, const EkName *name, gpointer data)
{
  Hunt *h = data;

  h->naming = NULL;
  h->name = *name;
  if (status != EK_OK || name->domain == NULL || name->domain->transport) {
    hunt_end (h, status, NULL);
    return;
  }
  h->dbs = ek_domain_userdbs (name->domain);
  make_memory_key (h);
  if (!from_cache (h, false)) {
    EkAuthChain chain = { .passdbs = name->domain->auth, .userdbs = h->dbs, .user_results = name->domain->user_results };
    g_hash_table_add (u.hunts, h);
    h->run = ek_auth_user (ek_directory_auth_state (), ek_generation_values (h->generation, &ek_auth_block, NULL), &chain, name->key,
                           asked, h);
  }
}

static void
find (EkStr address, EkUserFunc func, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  Hunt *h = ek_pool_new0 (pool, Hunt);

  *h = (Hunt) { .pool = pool, .func = func, .data = data, .generation = ek_generation_ref (u.generation) };
  EkNaming *naming = ek_directory_name (pool, address, named, h);
  if (naming) {
    h->naming = naming;
    g_hash_table_add (u.hunts, h);
  }
}

static void
hunt_cancel (Hunt *h)
{
  ek_directory_name_cancel (g_steal_pointer (&h->naming));
  if (h->run)
    ek_auth_cancel (g_steal_pointer (&h->run));
  hunt_end (h, EK_DEFER, NULL);
}

void
ek_directory_users_end (void)
{
  while (g_hash_table_size (u.hunts) > 0) {
    GHashTableIter iter;
    gpointer h;
    g_hash_table_iter_init (&iter, u.hunts);
    g_hash_table_iter_next (&iter, &h, NULL);
    hunt_cancel (h);
  }
  g_hash_table_unref (u.hunts);
  ek_cache_free (u.cache);
  ek_generation_unref (u.generation);
  memset (&u, 0, sizeof u);
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

  if (nobody && u.routing->postmaster)
    find (ek_str (u.routing->postmaster), p->func, p->data);
  else
    p->func (f, p->data);
}

void
ek_directory_user (EkStr address, EkUserFunc func, gpointer data)
{
  static const EkStr name = EK_STR ("postmaster");

  if (u.routing->postmaster == NULL || !ek_str_istarts (address, name) || (address.n > name.n && address.p[name.n] != '@')) {
    find (address, func, data);
    return;
  }
  Postmaster *p = g_new (Postmaster, 1);
  *p = (Postmaster) { func, data, address.n == name.n };
  find (address, postmaster_found, p);
}
