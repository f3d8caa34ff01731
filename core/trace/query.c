/* query.c - the whole story of a message: from one key to all that hangs together with it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rounds of look-ups.  A record of a wanted queue id makes its child messages, its message id and its
 * event id keys of the next round.  What has only the event id (connect, TLS, login) belongs to the
 * story; other messages of that session do not, unless the event id is what was asked for.
 */
#include "config.h"
#include "trace/story.h"
#include "base/base.h"
#include <string.h>

enum { ROUNDS_MAX = 16 };

typedef struct {
  EkTrace     *trace;
  EkTraceGraph graph;
  GArray      *keys;                 /* EkTraceKey, of all rounds */
  GHashTable  *known;                /* hash of a key -> itself: the keys there were */
  GHashTable  *places;               /* "segment:offset" as a number pair -> taken */
  EkTraceLimits limits;
  guint        n_qids;
} Query;

/* ---- keys ------------------------------------------------------------------------------------------ */

static guint
hash_u64 (gconstpointer p)
{
  return g_int64_hash (p);
}

static void
add_key (Query *q, EkTraceKind kind, EkStr value, EkEventId id, bool direct)
{
  EkTraceKey key = { .kind = kind, .id = id, .direct = direct };

  if (kind == EK_TRACE_EVENT ? id == 0 : value.n == 0)
    return;
  key.hash = kind == EK_TRACE_EVENT ? ek_trace_hash_event (id) : ek_trace_hash (kind, value);
  if (g_hash_table_contains (q->known, &key.hash))
    return;
  if (kind == EK_TRACE_QID && q->n_qids >= q->limits.messages) {
    q->trace->more = true;
    return;
  }
  q->n_qids += kind == EK_TRACE_QID;
  key.value = ek_pool_str (q->trace->pool, value);
  guint64 *hash = ek_pool_new0 (q->trace->pool, guint64);
  *hash = key.hash;
  g_hash_table_add (q->known, hash);
  g_array_append_val (q->keys, key);
}

static bool
is_wanted (Query *q, EkStr qid)
{
  guint64 hash = ek_trace_hash (EK_TRACE_QID, qid);

  return qid.n > 0 && g_hash_table_contains (q->known, &hash);
}

static EkStr
text_of (const EkRecord *record, const char *key)
{
  const EkRecordField *f = ek_record_find (record, key);

  return f && f->type == EK_F_STR ? f->str : (EkStr) { "", 0 };
}

/* ---- records --------------------------------------------------------------------------------------- */

static void
take (Query *q, const EkFrame *frame, EkStr packed, guint64 segment, guint32 offset)
{
  EkPool *pool = q->trace->pool;
  guint64 place = segment << 32 | offset;        /* 2^32 segments are 32 petabytes */

  if (g_hash_table_contains (q->places, &place))
    return;
  if (q->graph.events->len >= q->limits.events) {
    q->trace->more = true;
    return;
  }
  guint64 *kept = ek_pool_new0 (pool, guint64);
  *kept = place;
  g_hash_table_add (q->places, kept);
  EkTraceEvent event = {
    .packed = ek_pool_str (pool, packed), .time = frame->record.time,
    .role = ek_pool_strndup (pool, frame->role.p, frame->role.n), .pid = frame->pid,
    .segment = segment, .offset = offset,
  };
  g_array_append_val (q->graph.events, event);
}

static void
follow (Query *q, const EkRecord *record, EkStr qid, EkStr child)
{
  EkStr message_id = text_of (record, "message_id");

  add_key (q, EK_TRACE_QID, qid, 0, false);
  add_key (q, EK_TRACE_QID, child, 0, false);
  add_key (q, EK_TRACE_MSGID, message_id, 0, false);
  add_key (q, EK_TRACE_EVENT, (EkStr) { "", 0 }, record->id, false);
}

static bool
in_time (const Query *q, gint64 time)
{
  return (q->limits.since == 0 || time >= q->limits.since) && (q->limits.until == 0 || time <= q->limits.until);
}

static void
consider (const EkTraceKey *key, const EkFrame *frame, EkStr packed, guint64 segment, guint32 offset, gpointer data)
{
  Query *q = data;
  const EkRecord *record = &frame->record;
  EkStr qid = text_of (record, "qid"), child = text_of (record, "child_qid");

  if (ek_str_eq (qid, EK_STR ("NOQUEUE")))
    qid = (EkStr) { "", 0 };
  if (key->direct && !in_time (q, record->time))
    return;
  if (qid.n == 0) {                              /* of a session, not of a message */
    take (q, frame, packed, segment, offset);
    return;
  }
  bool session_only = key->kind == EK_TRACE_EVENT && !key->direct;
  if (session_only && !is_wanted (q, qid) && !is_wanted (q, child))
    return;
  follow (q, record, qid, child);
  if (is_wanted (q, qid) || is_wanted (q, child))
    take (q, frame, packed, segment, offset);
}

/* ---- the question ------------------------------------------------------------------------------------ */

static void
add_question (Query *q, EkStr what)
{
  char text[17] = "";

  what = ek_str_trim (what);
  if (what.n == 16)
    memcpy (text, what.p, 16);
  if (strspn (text, "0123456789abcdefABCDEF") == 16) {
    add_key (q, EK_TRACE_EVENT, (EkStr) { "", 0 }, g_ascii_strtoull (text, NULL, 16), true);
    add_key (q, EK_TRACE_QID, what, 0, true);
    return;
  }
  add_key (q, EK_TRACE_MSGID, what, 0, true);
  if (memchr (what.p, '@', what.n))
    add_key (q, EK_TRACE_ADDRESS, what, 0, true);
  else
    add_key (q, EK_TRACE_QID, what, 0, true);
}

static void
run (Query *q, EkTraceReader *reader)
{
  guint from = 0;

  for (guint round = 0; from < q->keys->len; round++) {
    if (round == ROUNDS_MAX) {
      q->trace->more = true;
      return;
    }
    /* hits add keys, and the array may move: the round's own are copied */
    guint n = q->keys->len - from;
    g_autofree EkTraceKey *keys = g_memdup2 (&g_array_index (q->keys, EkTraceKey, from), n * sizeof *keys);
    from += n;
    ek_trace_reader_look (reader, keys, n, consider, q);
  }
}

static void
free_story (gpointer data)
{
  EkTraceStory *story = data;

  g_array_unref (story->messages);
  g_array_unref (story->events);
  g_free (story);
}

EkStatus
ek_trace_query (const char *folder, EkStr what, const EkTraceLimits *limits, EkTrace **trace, GError **error)
{
  EkTraceReader *reader = ek_trace_reader_open (folder, error);
  Query q = { .limits = limits ? *limits : (EkTraceLimits) { 0 } };

  *trace = NULL;
  if (reader == NULL) {
    g_prefix_error (error, "event store: ");
    return EK_FAIL;
  }
  q.limits.messages = q.limits.messages ? q.limits.messages : 100;
  q.limits.events = q.limits.events ? q.limits.events : 20000;
  q.trace = g_new0 (EkTrace, 1);
  q.trace->pool = ek_pool_new ();
  q.trace->stories = g_ptr_array_new_with_free_func (free_story);
  q.graph.events = g_array_new (FALSE, FALSE, sizeof (EkTraceEvent));
  q.graph.pool = q.trace->pool;
  q.keys = g_array_new (FALSE, FALSE, sizeof (EkTraceKey));
  q.known = g_hash_table_new (hash_u64, g_int64_equal);
  q.places = g_hash_table_new (hash_u64, g_int64_equal);
  add_question (&q, what);
  run (&q, reader);
  ek_trace_tell (&q.graph, q.trace->stories);
  ek_trace_reader_close (reader);
  g_array_unref (q.graph.events);
  g_array_unref (q.keys);
  g_hash_table_unref (q.known);
  g_hash_table_unref (q.places);
  *trace = q.trace;
  return q.trace->stories->len > 0 ? EK_OK : EK_NOTFOUND;
}

void
ek_trace_event_read (const EkTraceEvent *event, EkRecord *record)
{
  if (ek_record_read (event->packed.p, event->packed.n, record) <= 0)
    g_assert_not_reached ();                     /* it was read when it was taken */
}

void
ek_trace_free (EkTrace *trace)
{
  if (trace == NULL)
    return;
  g_ptr_array_unref (trace->stories);
  ek_pool_free (trace->pool);
  g_free (trace);
}
