/* story.c - records that were found, sorted into stories
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "trace/story.h"
#include "base/base.h"
#include <string.h>

typedef struct {
  const EkTraceGraph *graph;
  GPtrArray  *stories;
  GHashTable *nodes;                 /* "Q..." or "M..." -> its number + 1 */
  GArray     *leader;                /* guint, by number: union-find */
  GHashTable *story_of;              /* leader + 1 -> EkTraceStory */
  GHashTable *by_event;              /* event id -> GPtrArray of EkTraceStory */
} Teller;

static EkStr
text_of (const EkRecord *record, const char *key)
{
  const EkRecordField *f = ek_record_find (record, key);

  return f && f->type == EK_F_STR ? f->str : (EkStr) { "", 0 };
}

static EkStr
qid_of (const EkRecord *record)
{
  EkStr qid = text_of (record, "qid");

  return ek_str_eq (qid, EK_STR ("NOQUEUE")) ? (EkStr) { "", 0 } : qid;
}

static EkStr
bare (EkStr s)
{
  return s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? (EkStr) { s.p + 1, s.n - 2 } : s;
}

/* ---- what hangs together ---------------------------------------------------------------------------- */

static guint
node_of (Teller *t, char kind, EkStr value)
{
  value = kind == 'M' ? bare (value) : value;
  char *name = ek_pool_printf (t->graph->pool, "%c%.*s", kind, EK_STR_ARG (value));
  if (kind == 'Q')
    for (char *p = name; *p; p++)
      *p = g_ascii_toupper (*p);
  guint found = GPOINTER_TO_UINT (g_hash_table_lookup (t->nodes, name));
  if (found == 0) {
    guint number = t->leader->len;
    g_array_append_val (t->leader, number);
    found = number + 1;
    g_hash_table_insert (t->nodes, name, GUINT_TO_POINTER (found));
  }
  return found - 1;
}

static guint
leader_of (Teller *t, guint node)
{
  guint *leader = &g_array_index (t->leader, guint, 0);

  while (leader[node] != node)
    node = leader[node] = leader[leader[node]];
  return node;
}

static void
join (Teller *t, guint a, guint b)
{
  a = leader_of (t, a);
  b = leader_of (t, b);
  g_array_index (t->leader, guint, MAX (a, b)) = MIN (a, b);
}

static void
link_event (Teller *t, const EkTraceEvent *event)
{
  EkRecord record;

  ek_trace_event_read (event, &record);
  EkStr qid = qid_of (&record), child = text_of (&record, "child_qid"), id = text_of (&record, "message_id");
  if (qid.n == 0)
    return;
  guint node = node_of (t, 'Q', qid);
  if (child.n > 0)
    join (t, node, node_of (t, 'Q', child));
  if (bare (id).n > 0)
    join (t, node, node_of (t, 'M', id));
}

/* ---- stories ------------------------------------------------------------------------------------------ */

static void
clear_message (gpointer data)
{
  EkTraceMessage *m = data;

  g_array_unref (m->rcpts);
  g_ptr_array_unref (m->parents);
}

static EkTraceStory *
new_story (Teller *t)
{
  EkTraceStory *story = g_new0 (EkTraceStory, 1);

  story->events = g_array_new (FALSE, FALSE, sizeof (EkTraceEvent));
  story->messages = g_array_new (FALSE, TRUE, sizeof (EkTraceMessage));
  g_array_set_clear_func (story->messages, clear_message);
  g_ptr_array_add (t->stories, story);
  return story;
}

static GPtrArray *
stories_of_event (Teller *t, EkEventId id)
{
  GPtrArray *list = g_hash_table_lookup (t->by_event, &id);

  if (list == NULL) {
    EkEventId *key = ek_pool_new0 (t->graph->pool, EkEventId);
    *key = id;
    list = g_ptr_array_new ();
    g_hash_table_insert (t->by_event, key, list);
  }
  return list;
}

static void
place_message_event (Teller *t, const EkTraceEvent *event, const EkRecord *record)
{
  guint leader = leader_of (t, node_of (t, 'Q', qid_of (record)));
  EkTraceStory *story = g_hash_table_lookup (t->story_of, GUINT_TO_POINTER (leader + 1));

  if (story == NULL) {
    story = new_story (t);
    g_hash_table_insert (t->story_of, GUINT_TO_POINTER (leader + 1), story);
  }
  g_array_append_vals (story->events, event, 1);
  GPtrArray *list = record->id ? stories_of_event (t, record->id) : NULL;
  if (list && !g_ptr_array_find (list, story, NULL))
    g_ptr_array_add (list, story);
}

static void
place_session_event (Teller *t, const EkTraceEvent *event, const EkRecord *record)
{
  GPtrArray *list = record->id ? stories_of_event (t, record->id) : NULL;

  if (list == NULL) {
    g_array_append_vals (new_story (t)->events, event, 1);
    return;
  }
  if (list->len == 0)
    g_ptr_array_add (list, new_story (t));
  for (guint i = 0; i < list->len; i++)
    g_array_append_vals (((EkTraceStory *) list->pdata[i])->events, event, 1);
}

static void
place (Teller *t, bool of_messages)
{
  EkRecord record;

  for (guint i = 0; i < t->graph->events->len; i++) {
    const EkTraceEvent *event = &g_array_index (t->graph->events, EkTraceEvent, i);
    ek_trace_event_read (event, &record);
    bool of_message = qid_of (&record).n > 0;
    if (of_message && of_messages)
      place_message_event (t, event, &record);
    if (!of_message && !of_messages)
      place_session_event (t, event, &record);
  }
}

/* ---- what is known of each message ---------------------------------------------------------------------- */

static EkTraceMessage *
message_of (EkTraceStory *story, EkStr qid)
{
  for (guint i = 0; i < story->messages->len; i++) {
    EkTraceMessage *m = &g_array_index (story->messages, EkTraceMessage, i);
    if (ek_str_ieq (m->qid, qid))
      return m;
  }
  EkTraceMessage fresh = {
    .qid = qid, .size = -1, .rcpts = g_array_new (FALSE, TRUE, sizeof (EkTraceRcpt)),
    .parents = g_ptr_array_new (),
  };
  g_array_append_val (story->messages, fresh);
  return &g_array_index (story->messages, EkTraceMessage, story->messages->len - 1);
}

static void
note_outcome (EkTraceMessage *m, const EkRecord *record)
{
  EkStr to = text_of (record, "to");
  EkTraceRcpt *rcpt = NULL;

  for (guint i = 0; i < m->rcpts->len && rcpt == NULL; i++)
    if (ek_str_ieq (g_array_index (m->rcpts, EkTraceRcpt, i).to, to))
      rcpt = &g_array_index (m->rcpts, EkTraceRcpt, i);
  if (rcpt == NULL) {
    g_array_set_size (m->rcpts, m->rcpts->len + 1);
    rcpt = &g_array_index (m->rcpts, EkTraceRcpt, m->rcpts->len - 1);
    rcpt->to = to;
  }
  rcpt->word = record->word;
  rcpt->dsn = text_of (record, "dsn");
  rcpt->text = text_of (record, "text");
  rcpt->attempts++;
}

static bool
word_is (const EkRecord *record, const char *word)
{
  return ek_str_eq (record->word, ek_str (word));
}

static void
note (Teller *t, EkTraceStory *story, const EkRecord *record)
{
  EkStr qid = qid_of (record), child = text_of (record, "child_qid"), id = text_of (record, "message_id");
  const EkRecordField *from = ek_record_find (record, "from"), *size = ek_record_find (record, "size");

  if (qid.n == 0)
    return;
  EkTraceMessage *m = message_of (story, qid);
  if (from && from->type == EK_F_STR)
    m->from = from->str;
  if (size && size->type == EK_F_INT && word_is (record, "queued"))
    m->size = size->num;
  if (id.n > 0)
    m->message_id = bare (id);
  if (word_is (record, "sent") || word_is (record, "deferred") || word_is (record, "bounced"))
    note_outcome (m, record);
  if (word_is (record, "removed") || word_is (record, "delete"))
    m->removed = true;
  if (child.n > 0 && !word_is (record, "requeue"))
    g_ptr_array_add (message_of (story, child)->parents, ek_pool_strndup (t->graph->pool, qid.p, qid.n));
}

static gint
by_time (gconstpointer a, gconstpointer b)
{
  const EkTraceEvent *x = a, *y = b;

  if (x->time != y->time)
    return x->time < y->time ? -1 : 1;
  if (x->segment != y->segment)
    return x->segment < y->segment ? -1 : 1;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static gint
by_first_event (gconstpointer a, gconstpointer b)
{
  const EkTraceStory *x = *(EkTraceStory *const *) a, *y = *(EkTraceStory *const *) b;

  return by_time (x->events->data, y->events->data);
}

void
ek_trace_tell (const EkTraceGraph *graph, GPtrArray *stories)
{
  Teller t = {
    .graph = graph, .stories = stories,
    .nodes = g_hash_table_new (g_str_hash, g_str_equal),
    .leader = g_array_new (FALSE, FALSE, sizeof (guint)),
    .story_of = g_hash_table_new (NULL, NULL),
    .by_event = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) g_ptr_array_unref),
  };
  EkRecord record;

  for (guint i = 0; i < graph->events->len; i++)
    link_event (&t, &g_array_index (graph->events, EkTraceEvent, i));
  place (&t, true);
  place (&t, false);
  for (guint i = 0; i < stories->len; i++) {
    EkTraceStory *story = stories->pdata[i];
    g_array_sort (story->events, by_time);
    for (guint k = 0; k < story->events->len; k++) {
      ek_trace_event_read (&g_array_index (story->events, EkTraceEvent, k), &record);
      note (&t, story, &record);
    }
  }
  g_ptr_array_sort (stories, by_first_event);
  g_hash_table_unref (t.nodes);
  g_hash_table_unref (t.story_of);
  g_hash_table_unref (t.by_event);
  g_array_unref (t.leader);
}
