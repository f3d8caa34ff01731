/* lookup.c - a question to a map, with what is remembered of earlier answers
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/lookup.h"
#include "module/private.h"
#include <string.h>

struct EkMapLookup {
  EkPool         *pool;              /* owns this struct too */
  EkInstance     *map;
  EkOp           *op;                /* under way, or NULL: the cache knew */
  EkTask          task;
  EkStr           key;               /* of the cache; empty: there is none */
  EkStatus        status;            /* with `answer`: of the cache */
  EkAnswer        answer;
  EkMapLookupDone done;
  gpointer        user;
};

/* ---- copies ---- */

void
ek_query_copy (EkPool *pool, EkQuery *to, const EkQuery *from)
{
  EkParam *params = ek_pool_newv (pool, EkParam, from->n_params + 1);

  for (guint i = 0; i < from->n_params; i++)
    params[i] = (EkParam) { ek_pool_strdup (pool, from->params[i].name), ek_pool_str (pool, from->params[i].value) };
  *to = (EkQuery) { .key = ek_pool_str (pool, from->key), .params = params, .n_params = from->n_params, .part = from->part };
}

void
ek_answer_copy (EkPool *pool, EkAnswer *to, const EkAnswer *from)
{
  gsize n = (gsize) from->n_rows * from->n_columns;

  *to = (EkAnswer) { .n_rows = from->n_rows, .n_columns = from->n_columns };
  if (from->names) {
    to->names = ek_pool_newv (pool, const char *, from->n_columns + 1);
    for (guint i = 0; i < from->n_columns; i++)
      to->names[i] = ek_pool_strdup (pool, from->names[i]);
  }
  to->cells = ek_pool_newv (pool, EkStr, n + 1);
  for (gsize i = 0; i < n; i++)
    to->cells[i] = from->cells[i].p ? ek_pool_str (pool, from->cells[i]) : (EkStr) { NULL, 0 };
}

/* ---- the cache ---- */

EkCacheConf
ek_answers_conf (const EkInstanceCore *core)
{
  const EkCommon *c = &core->common;

  return (EkCacheConf) { .fresh = c->cache, .fresh_negative = c->cache_negative, .stale = c->cache_stale, .entries_max = (guint) c->cache_max };
}

static EkCache *
cache_of (EkInstance *map)
{
  EkInstanceCore *core = ek_instance_core (map);

  if (core->answers == NULL && core->common.cache_max > 0) {
    EkCacheConf conf = ek_answers_conf (core);
    core->answers = ek_cache_new (&conf);
  }
  return core->answers;
}

static void
pack (EkBuf *out, EkStr s)
{
  guint32 n = (guint32) s.n;

  ek_buf_append (out, &n, sizeof n);
  ek_buf_append (out, s.p, s.n);
}

/* Everything that the answer may depend on. */
static EkStr
key_of (EkPool *pool, const EkQuery *query)
{
  EkBuf out = { 0 };

  pack (&out, query->key);
  for (guint i = 0; i < query->n_params; i++) {
    pack (&out, ek_str (query->params[i].name));
    pack (&out, query->params[i].value);
  }
  EkStr key = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
  return key;
}

/* Takes what the cache knows; `stale` too when asked for. */
static bool
from_cache (EkMapLookup *l, bool stale)
{
  EkCache *cache = cache_of (l->map);
  const EkCached *c = cache ? ek_cache_find (cache, l->key, ek_now ()) : NULL;

  if (c == NULL || !(c->fresh || stale))
    return false;
  l->status = c->status;
  if (c->status == EK_OK)
    ek_answer_copy (l->pool, &l->answer, c->data);
  return true;
}

static void
remember (EkMapLookup *l, EkStatus status, const EkAnswer *answer)
{
  EkCache *cache = cache_of (l->map);
  EkCached *c = cache && (status == EK_OK || status == EK_NOTFOUND) ? ek_cache_put (cache, l->key, status, ek_now ()) : NULL;

  if (c == NULL || status != EK_OK)
    return;
  c->data = ek_pool_new0 (c->pool, EkAnswer);
  ek_answer_copy (c->pool, c->data, answer);
}

/* ---- asking ---- */

static void
lookup_free (EkMapLookup *l)
{
  EkGeneration *gen = ek_instance_generation (l->map);

  ek_pool_free (l->pool);
  ek_generation_unref (gen);
}

static void
answer_cached (EkTask *task)
{
  EkMapLookup *l = (EkMapLookup *) ((char *) task - G_STRUCT_OFFSET (EkMapLookup, task));

  if (l->done)
    l->done (l->status, &l->answer, NULL, l->user);
  lookup_free (l);
}

static void
answered (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  EkMapLookup *l = user;
  EkLookup *q = data;

  g_autoptr (GError) wrong = NULL;

  l->op = NULL;
  if (status == EK_OK && (status = ek_map_result (l->map, l->pool, &q->query, &q->answer, &wrong)) == EK_DEFER) {
    ek_log (EK_ERR, "map", "%s", wrong->message);
    why = wrong;
  }
  else if (status != EK_DEFER)
    remember (l, status, &q->answer);
  else if (from_cache (l, true)) {
    status = l->status;
    q->answer = l->answer;
    why = NULL;
  }
  if (l->done)
    l->done (status, &q->answer, why, l->user);
  lookup_free (l);
}

EkMapLookup *
ek_map_lookup (EkInstance *map, const EkQuery *query, EkTime timeout, EkMapLookupDone done, gpointer user)
{
  EkPool *pool = ek_pool_new ();
  EkMapLookup *l = ek_pool_new0 (pool, EkMapLookup);

  *l = (EkMapLookup) { .pool = pool, .map = map, .task.func = answer_cached, .done = done, .user = user };
  ek_generation_ref (ek_instance_generation (map));
  bool unasked = !ek_map_asked (map, query);
  if (unasked)
    l->status = EK_NOTFOUND;
  else if (cache_of (map))
    l->key = key_of (pool, query);
  if (unasked || from_cache (l, false)) {
    ek_loop_later (ek_loop_mine (), &l->task);
    return l;
  }
  l->op = ek_op_new (map);
  EkLookup *q = ek_pool_new0 (ek_op_pool (l->op), EkLookup);
  ek_query_copy (ek_op_pool (l->op), &q->query, query);
  ek_op_reads (l->op);
  ek_op_start (l->op, 0, timeout, ek_run_lookup, q, answered, l);
  return l;
}

void
ek_map_lookup_cancel (EkMapLookup *l)
{
  l->done = NULL;
  if (l->op == NULL || cache_of (l->map))
    return;                          /* answer_cached() frees it; or what it hears is remembered, and answered() frees it */
  ek_op_cancel (l->op);
  lookup_free (l);
}
