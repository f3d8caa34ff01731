/* cache.c - answers of a backend, kept for a while
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/cache.h"
#include "base/base.h"
#include <string.h>

typedef struct {
  EkCached cached;                   /* first: what callers see */
  EkStr    key;                      /* in its pool, as this struct is */
  gint64   made;
  GList    link;                     /* of the order of use */
} Entry;

struct EkCache {
  EkCacheConf conf;
  GHashTable *entries;               /* EkStr * (of the entry) -> Entry */
  GQueue      used;                  /* the one that was used last is the first */
  gint64      aged;                  /* what was made before is not fresh */
};

static guint
key_hash (gconstpointer key)
{
  const EkStr *k = key;
  guint32 h = 2166136261u;

  for (gsize i = 0; i < k->n; i++)
    h = (h ^ (guchar) k->p[i]) * 16777619u;
  return h;
}

static gboolean
key_equal (gconstpointer a, gconstpointer b)
{
  return ek_str_eq (*(const EkStr *) a, *(const EkStr *) b);
}

EkCache *
ek_cache_new (const EkCacheConf *conf)
{
  EkCache *cache = g_new0 (EkCache, 1);

  cache->conf = *conf;
  cache->aged = G_MININT64;
  cache->entries = g_hash_table_new (key_hash, key_equal);
  g_queue_init (&cache->used);
  return cache;
}

static void
drop (EkCache *cache, Entry *e)
{
  g_hash_table_remove (cache->entries, &e->key);
  g_queue_unlink (&cache->used, &e->link);
  ek_pool_free (e->cached.pool);     /* e with it */
}

void
ek_cache_clear (EkCache *cache)
{
  while (cache->used.head)
    drop (cache, cache->used.head->data);
}

void
ek_cache_free (EkCache *cache)
{
  if (cache == NULL)
    return;
  ek_cache_clear (cache);
  g_hash_table_unref (cache->entries);
  g_free (cache);
}

EkCache *
ek_cache_renew (EkCache *cache, const EkCacheConf *conf)
{
  if (cache == NULL)
    return ek_cache_new (conf);
  cache->conf = *conf;
  cache->aged = ek_now ();
  while (ek_cache_n (cache) > conf->entries_max)
    drop (cache, cache->used.tail->data);
  return cache;
}

/* How long an answer is fresh, and how much longer it may bridge an outage: which is "later", never "no". */
static gint64
fresh_time (const EkCache *cache, EkStatus status)
{
  return status == EK_OK ? cache->conf.fresh.us : cache->conf.fresh_negative.us;
}

static gint64
stale_time (const EkCache *cache, EkStatus status)
{
  return status == EK_OK ? cache->conf.stale.us : 0;
}

guint
ek_cache_n (const EkCache *cache)
{
  return g_hash_table_size (cache->entries);
}

const EkCached *
ek_cache_find (EkCache *cache, EkStr key, gint64 now)
{
  Entry *e = g_hash_table_lookup (cache->entries, &key);

  if (e == NULL)
    return NULL;
  gint64 fresh = fresh_time (cache, e->cached.status), stale = stale_time (cache, e->cached.status);
  if (now >= e->made + fresh + stale) {
    drop (cache, e);
    return NULL;
  }
  e->cached.fresh = now < e->made + fresh && e->made > cache->aged;
  g_queue_unlink (&cache->used, &e->link);
  g_queue_push_head_link (&cache->used, &e->link);
  return &e->cached;
}

EkCached *
ek_cache_put (EkCache *cache, EkStr key, EkStatus status, gint64 now)
{
  EkPool *pool;

  ek_cache_remove (cache, key);
  if (fresh_time (cache, status) + stale_time (cache, status) <= 0 || cache->conf.entries_max == 0)
    return NULL;
  if (ek_cache_n (cache) >= cache->conf.entries_max)
    drop (cache, cache->used.tail->data);
  pool = ek_pool_new ();
  Entry *e = ek_pool_new0 (pool, Entry);
  *e = (Entry) { .cached = { .status = status, .pool = pool, .fresh = true }, .key = ek_pool_str (pool, key),
                 .made = now };
  e->link.data = e;
  g_hash_table_insert (cache->entries, &e->key, e);
  g_queue_push_head_link (&cache->used, &e->link);
  return &e->cached;
}

void
ek_cache_remove (EkCache *cache, EkStr key)
{
  Entry *e = g_hash_table_lookup (cache->entries, &key);

  if (e)
    drop (cache, e);
}
