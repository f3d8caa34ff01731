/* route.c - asks directory where a recipient's mail goes, and remembers it for a moment
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/facts.h"
#include "flow/route.h"
#include "queue/queue.h"
#include <string.h>

#define KEEP      (5 * G_USEC_PER_SEC)
#define CACHE_MAX 20000              /* answers that are kept without asking how old they are */

typedef struct Waiter Waiter;
struct Waiter {
  Waiter     *next;
  EkRouteFunc func;
  gpointer    data;
};

typedef struct {
  EkPool  *pool;
  EkRoute  route;
  gint64   until;                    /* 0: the question is under way */
  Waiter  *waiters, **tail;          /* in the order they asked: mail for one user arrives in its order */
  guint    generation;               /* asked before a flush: not to be kept */
} Entry;

static GHashTable *entries;          /* address -> Entry */
static guint       flushes, sweep_at = CACHE_MAX;

static void
entry_free (gpointer data)
{
  ek_pool_free (((Entry *) data)->pool);
}

static gboolean
is_old (gpointer key, gpointer value, gpointer data)
{
  const Entry *e = value;

  return e->until != 0 && e->until < *(gint64 *) data;
}

void
ek_route_flush (void)
{
  gint64 for_ever = G_MAXINT64;

  flushes++;
  if (entries)
    g_hash_table_foreach_remove (entries, is_old, &for_ever);
}

static gboolean
is_answered (gpointer key, gpointer value, gpointer data)
{
  return ((Entry *) value)->until != 0;
}

/* Questions under way are freed with their answer, which comes as NULL when the channel is freed. */
void
ek_route_end (void)
{
  if (entries) {
    g_hash_table_foreach_remove (entries, is_answered, NULL);
    g_hash_table_steal_all (entries);
  }
  g_clear_pointer (&entries, g_hash_table_unref);
}

/* The store worker of a single uid ends when it is idle, and another one may get its number: no channel, no answer. */
static bool
is_stale (const Entry *e)
{
  return e->until != 0 && e->route.kind == EK_ROUTE_LOCAL && e->route.store >= ek_role_workers (EK_ROLE_STORE)
         && ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, e->route.store) == NULL;
}

static bool
take (Entry *e, EkMsg *msg)
{
  EkUnpack *in = &msg->in;
  EkRoute *r = &e->route;

  r->kind = (guint) ek_unpack_max (in, EK_ROUTE_DISCARD);
  if (r->kind == EK_ROUTE_LOCAL) {
    const char *start = in->p;
    EkUser user;
    ek_unpack_user (in, e->pool, &user);
    r->user = ek_pool_str (e->pool, (EkStr) { start, (gsize) (in->p - start) });
    r->instance = ek_unpack_text (in, e->pool);
    r->store = (guint) ek_unpack_max (in, 4096);
    r->folder = ek_unpack_text (in, e->pool);
  }
  else if (r->kind == EK_ROUTE_REMOTE) {
    r->instance = ek_unpack_text (in, e->pool);
    r->next_hop = ek_unpack_text (in, e->pool);
  }
  else {
    r->dsn = ek_unpack_text (in, e->pool);
    r->text = ek_unpack_text (in, e->pool);
  }
  return ek_unpack_ok (in);
}

static void
routed (EkMsg *msg, gpointer data)
{
  Entry *e = data;

  if (msg == NULL || !take (e, msg))
    e->route = (EkRoute) { .kind = EK_ROUTE_DEFER };       /* no dsn: nobody has answered */
  bool keep = e->route.kind == EK_ROUTE_LOCAL || e->route.kind == EK_ROUTE_REMOTE;
  Waiter *w = e->waiters;
  e->waiters = NULL;
  e->until = keep && e->generation == flushes ? ek_now () + KEEP : 1;
  for (Waiter *next; w; w = next) {
    next = w->next;
    w->func (&e->route, w->data);
    g_free (w);
  }
  if (entries == NULL)
    entry_free (e);
}

void
ek_route (EkStr address, EkStr sender, EkRouteFunc func, gpointer data)
{
  g_autofree char *key = g_strndup (address.p, address.n);
  gint64 now = ek_now ();

  if (entries == NULL)
    entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  Entry *e = g_hash_table_lookup (entries, key);
  if (e && e->until >= now && !is_stale (e)) {
    func (&e->route, data);
    return;
  }
  Waiter *w = g_new (Waiter, 1);
  *w = (Waiter) { .func = func, .data = data };
  if (e && e->until == 0) {
    *e->tail = w;
    e->tail = &w->next;
    return;
  }
  if (g_hash_table_size (entries) >= sweep_at) {
    g_hash_table_foreach_remove (entries, is_old, &now);
    sweep_at = MAX (CACHE_MAX, 2 * g_hash_table_size (entries));
  }
  EkPool *pool = ek_pool_new ();
  e = ek_pool_new0 (pool, Entry);
  e->pool = pool;
  e->waiters = w;
  e->tail = &w->next;
  e->generation = flushes;
  g_hash_table_replace (entries, ek_pool_strdup (pool, key), e);
  EkChannel *directory = ek_role_any (EK_ROLE_QUEUE, EK_ROLE_DIRECTORY);
  if (directory == NULL) {
    routed (NULL, e);
    return;
  }
  EkBuf *out = ek_channel_call (directory, EK_D_ROUTE, routed, e);
  ek_pack_str (out, address);
  ek_pack_str (out, sender);
  ek_channel_end (directory);
}
