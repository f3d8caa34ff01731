/* resolve.c - asks the resolver instance, once for equal questions, and remembers answers for a while
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread.  A question is an operation of the instance; all who ask the same while it is under way wait for
 * it.  Answers (also "there is none") are kept for their time to live, an hour at most, CACHE_MAX of them: the
 * resolver has a cache of its own, this one spares the way there.
 */
#include "config.h"
#include "net/resolve.h"
#include "base/base.h"
#include "loop/loop.h"
#include "module/call.h"
#include <string.h>

#define CACHE_MAX 2048
#define TTL_MAX   3600
#define TIMEOUT   ((EkTime) { 30 * G_USEC_PER_SEC })

typedef struct {                     /* an answer, shared by the cache and those who are being told */
  guint       refs;
  EkPool     *pool;
  char       *key;
  EkStatus    status;
  EkDnsAnswer answer;
  gint64      expires;               /* monotonic us */
  GList       link;                  /* in `kept`, oldest first */
} Known;

typedef struct {                     /* under way */
  EkOp   *op;
  char   *key;
  GQueue  waiting;                   /* of EkDnsQuery */
} Question;

typedef struct {                     /* what run() reads and writes, in the operation's pool */
  const char *name;
  EkDnsType   type;
  EkDnsAnswer answer;
} Ask;

struct EkDnsQuery {
  EkTask    task;                    /* tells a known answer, or that there is no resolver */
  EkDnsFunc func;
  gpointer  data;
  Question *question;                /* NULL: the answer is there */
  Known    *known;                   /* NULL: no resolver */
  bool      cancelled;
};

static EkInstance *resolver;
static GHashTable *questions, *cache;
static GQueue kept;

/* ---- the cache ---- */

static void
known_unref (Known *known)
{
  if (known == NULL || --known->refs > 0)
    return;
  g_free (known->key);
  ek_pool_free (known->pool);
  g_free (known);
}

static void
forget (Known *known)
{
  g_hash_table_remove (cache, known->key);
  g_queue_unlink (&kept, &known->link);
  known_unref (known);
}

void
ek_dns_forget (void)
{
  while (kept.head)
    forget (kept.head->data);
}

guint
ek_dns_cached (void)
{
  return kept.length;
}

static Known *
find_known (const char *key)
{
  Known *known = cache ? g_hash_table_lookup (cache, key) : NULL;

  if (known && known->expires <= ek_now ()) {
    forget (known);
    return NULL;
  }
  return known;
}

static Known *
known_new (const char *key, EkStatus status, const EkDnsAnswer *a)
{
  Known *known = g_new0 (Known, 1);

  known->refs = 1;
  known->pool = ek_pool_new ();
  known->key = g_strdup (key);
  known->status = status;
  known->answer = *a;
  EkDnsRecord *records = ek_pool_newv (known->pool, EkDnsRecord, a->n + 1);
  for (guint i = 0; i < a->n; i++) {
    records[i].preference = a->records[i].preference;
    records[i].data = ek_pool_str (known->pool, a->records[i].data);
  }
  known->answer.records = records;
  known->expires = ek_now () + (gint64) MIN (a->ttl, TTL_MAX) * G_USEC_PER_SEC;
  known->link.data = known;
  return known;
}

static void
remember (const char *key, EkStatus status, const EkDnsAnswer *a)
{
  if ((status != EK_OK && status != EK_NOTFOUND) || a->ttl == 0 || find_known (key))
    return;
  while (kept.length >= CACHE_MAX)
    forget (kept.head->data);
  Known *known = known_new (key, status, a);
  g_hash_table_insert (cache, known->key, known);
  g_queue_push_tail_link (&kept, &known->link);
}

/* ---- questions ---- */

static EkStatus
run (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  if (self->module->resolver == NULL)
    return ek_fail (&call->error, EK_DEFER, 0, "%s \"%s\" is no resolver", self->module->name, self->name);
  return self->module->resolver->query (self, call, ask->name, ask->type, &ask->answer);
}

static void
answered (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  static const EkDnsAnswer none;
  Question *q = user;
  const EkDnsAnswer *a = status == EK_OK || status == EK_NOTFOUND ? &((Ask *) data)->answer : &none;
  EkDnsQuery *query;

  if (g_hash_table_lookup (questions, q->key) == q)      /* else it began with an instance that is no longer asked */
    g_hash_table_remove (questions, q->key);
  remember (q->key, status, a);
  while ((query = g_queue_pop_head (&q->waiting))) {
    query->func (status, a, why, query->data);
    g_free (query);
  }
  g_free (q->key);
  g_free (q);
}

static Question *
question_new (const char *name, EkDnsType type, const char *key)
{
  Question *q = g_new0 (Question, 1);

  q->key = g_strdup (key);
  g_hash_table_insert (questions, q->key, q);
  q->op = ek_op_new (resolver);
  Ask *ask = ek_pool_new0 (ek_op_pool (q->op), Ask);
  ask->name = ek_pool_strdup (ek_op_pool (q->op), name);
  ask->type = type;
  ek_op_start (q->op, 0, TIMEOUT, run, ask, answered, q);
  return q;
}

/* Tells at the end of the loop's turn what was known when it was asked. */
static void
tell (EkTask *task)
{
  static const EkDnsAnswer none;
  EkDnsQuery *query = (EkDnsQuery *) task;
  Known *known = query->known;

  if (query->cancelled)
    ;
  else if (known) {
    EkDnsAnswer a = known->answer;
    gint64 left = (known->expires - ek_now ()) / G_USEC_PER_SEC;
    a.ttl = (guint32) MAX (left, 0);
    query->func (known->status, &a, NULL, query->data);
  }
  else {
    g_autoptr (GError) error = NULL;
    ek_fail (&error, EK_DEFER, 0, "there is no resolver: add `dns_unbound { }` to the configuration");
    query->func (EK_DEFER, &none, error, query->data);
  }
  known_unref (known);
  g_free (query);
}

EkDnsQuery *
ek_dns_query (const char *name, EkDnsType type, EkDnsFunc func, gpointer data)
{
  EkDnsQuery *query = g_new0 (EkDnsQuery, 1);
  g_autofree char *lower = g_ascii_strdown (name, -1);
  g_autofree char *key = g_strdup_printf ("%u %s", (guint) type, lower);

  if (questions == NULL) {
    questions = g_hash_table_new (g_str_hash, g_str_equal);
    cache = g_hash_table_new (g_str_hash, g_str_equal);
  }
  *query = (EkDnsQuery) { .task.func = tell, .func = func, .data = data };
  Known *known = find_known (key);
  if (known || resolver == NULL) {
    if (known)
      known->refs++;
    query->known = known;
    ek_loop_later (ek_loop_mine (), &query->task);
    return query;
  }
  query->question = g_hash_table_lookup (questions, key);
  if (query->question == NULL)
    query->question = question_new (lower, type, key);
  g_queue_push_tail (&query->question->waiting, query);
  return query;
}

/* The question goes on: its answer is worth remembering. */
void
ek_dns_cancel (EkDnsQuery *query)
{
  if (query == NULL)
    return;
  if (query->question == NULL) {
    query->cancelled = true;
    return;
  }
  g_queue_remove (&query->question->waiting, query);
  g_free (query);
}

/* ---- who answers ---- */

void
ek_dns_use (EkInstance *instance)
{
  resolver = instance;
  ek_dns_forget ();
  if (questions)                     /* new askers do not join those of the old instance */
    g_hash_table_remove_all (questions);
}

bool
ek_dns_available (void)
{
  return resolver != NULL;
}

bool
ek_dns_use_generation (const EkGeneration *gen)
{
  EkInstance *found = NULL;

  for (guint i = 0; i < ek_generation_n_instances (gen) && found == NULL; i++) {
    EkInstance *instance = ek_generation_instance_at (gen, i);
    if (instance->module && instance->module->resolver)
      found = instance;
  }
  ek_dns_use (found);
  return found != NULL;
}
