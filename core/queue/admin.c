/* admin.c - the administrator's view of the queue: list, show, flush, hold, release, delete, requeue
 * SPDX-License-Identifier: Apache-2.0
 *
 * Asked by `ekiden queue` through the control role.  Whatever may be long goes in pages: a page names the id from
 * which the next one starts, so neither loop nor channel is held up by a queue of a million.
 *
 *   queue-list FROM                 one JSON object a line; at last {"next":"ID"} when there is more
 *   queue-status                    one JSON object
 *   queue-show ID                   its JSON line, an empty line, then the content
 *   queue-VERB TARGET FROM          VERB on ID, ALL, hold, active, deferred, or PATTERN (glob on sender and recipients); answers
 *                                   {"count":n} with "next" when there is more; ids that were touched
 */
#include "config.h"
#include "base/json.h"
#include "proc/control.h"
#include "queue/queue.h"
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES (400 * 1024)
#define MESSAGE_BYTES (300 * 1024)   /* of one message's recipients; the rest is counted */
#define PAGE_WORK  500               /* messages changed in one request */
#define PAGE_LOOK  20000             /* messages looked at in one request */
#define SHOW_MAX   (600 * 1024)

static const char *
state_name (const EkSpoolRcpt *r)
{
  static const char *const names[] = { "waiting", "trying", "deferred", "done", "bounced" };

  return r->held ? "held" : names[MIN (r->state, EK_TO_BOUNCED)];
}

/* As Postfix's queues: hold; active (under way, or it has not been tried yet); deferred. */
static const char *
state_of (const EkSpoolMessage *m)
{
  bool fresh = false;

  for (guint i = 0; i < m->n_rcpts; i++) {
    const EkSpoolRcpt *r = &m->rcpts[i];
    if (r->held && r->state != EK_TO_DONE && r->state != EK_TO_BOUNCED)
      return "hold";
    fresh = fresh || r->state == EK_TO_WAITING || r->state == EK_TO_TRYING;
  }
  return fresh || ek_sched_busy (m) ? "active" : "deferred";
}

static void
describe (EkSpoolMessage *m, EkBuf *out)
{
  EkJson j = { .out = out };
  char id[EK_QUEUE_ID_LEN + 1];
  gsize full = ek_buf_len (out) + MESSAGE_BYTES;
  guint omitted = 0;

  ek_queue_id_text (m->id, id);
  ek_json_object (&j, NULL);
  ek_json_text (&j, "id", id);
  ek_json_text (&j, "state", state_of (m));
  ek_json_int (&j, "size", (gint64) m->size);
  ek_json_int (&j, "arrival", m->arrival / G_USEC_PER_SEC);
  ek_json_str (&j, "sender", m->sender);
  ek_json_array (&j, "recipients");
  for (guint i = 0; i < m->n_rcpts; i++) {
    const EkSpoolRcpt *r = &m->rcpts[i];
    if (r->state == EK_TO_DONE || r->state == EK_TO_BOUNCED)
      continue;
    if (ek_buf_len (out) > full) {
      omitted++;
      continue;
    }
    ek_json_object (&j, NULL);
    ek_json_str (&j, "address", r->address);
    ek_json_text (&j, "state", state_name (r));
    ek_json_int (&j, "attempts", r->attempts);
    if (r->status)
      ek_json_text (&j, "reason", r->status);
    if (r->state == EK_TO_DEFERRED)
      ek_json_int (&j, "next_try", r->next_try / G_USEC_PER_SEC);
    ek_json_end_object (&j);
  }
  ek_json_end_array (&j);
  if (omitted > 0)
    ek_json_int (&j, "omitted", omitted);
  ek_json_end_object (&j);
  ek_buf_appendc (out, '\n');
}

static void
next_from (EkBuf *out, EkQueueId id)
{
  char text[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (id, text);
  ek_buf_printf (out, "{\"next\":\"%s\"}\n", text);
}

static EkQueueId
from_id (const char *text)
{
  EkQueueId id = 0;

  return text && ek_queue_id_parse (ek_str (text), &id) ? id : 0;
}

static void
list (EkMsg *msg, const char *from)
{
  EkSpoolCursor *cursor = ek_queue_ops->cursor_new (ek_queue_spool, from_id (from));
  EkSpoolMessage *m;
  EkBuf out = { 0 };

  while ((m = ek_queue_ops->cursor_next (cursor))) {
    if (ek_buf_len (&out) > PAGE_BYTES) {
      next_from (&out, m->id);
      break;
    }
    describe (m, &out);
  }
  ek_queue_ops->cursor_free (cursor);
  ek_control_answer (msg, EK_OK, ek_buf_str (&out));
  ek_buf_release (&out);
}

static void
queue_status (EkMsg *msg)
{
  static const char *const health[] = { "ok", "full", "sick", "closing" };
  EkSpoolStatus s;
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  ek_queue_ops->status (ek_queue_spool, &s);
  ek_json_object (&j, NULL);
  ek_json_text (&j, "health", health[MIN ((guint) s.health, 3)]);
  ek_json_text (&j, "why", s.why);
  ek_json_int (&j, "messages", (gint64) s.messages);
  ek_json_int (&j, "under_way", ek_lines_under_way ());
  ek_json_int (&j, "submitted", (gint64) s.submitted);
  ek_json_int (&j, "retired", (gint64) s.retired);
  ek_json_int (&j, "records", (gint64) s.records);
  ek_json_int (&j, "syncs", (gint64) (s.syncs + s.cold_syncs));
  ek_json_int (&j, "failed_syncs", (gint64) s.failed_syncs);
  ek_json_int (&j, "checkpoints", (gint64) s.checkpoints);
  ek_json_int (&j, "retained_bytes", (gint64) s.retained_bytes);
  ek_json_int (&j, "hot_segments", s.hot_segments);
  ek_json_int (&j, "cold_segments", s.cold_segments);
  ek_json_int (&j, "free_bytes", (gint64) s.free_bytes);
  ek_json_int (&j, "quarantined", (gint64) s.quarantined);
  ek_json_end_object (&j);
  ek_control_answer (msg, EK_OK, ek_buf_str (&out));
  ek_buf_release (&out);
}

/* ---- show ---- */

typedef struct {
  EkCall         call;
  EkPool        *pool;
  EkSpoolContent content;
  EkChannel     *channel;
  guint32        id;
  EkBuf          out;
} Show;

static void
show_part (Show *s, const EkSpoolPart *part)
{
  char chunk[16384];
  guint64 at = 0;

  if (part->bytes.p) {
    ek_buf_append (&s->out, part->bytes.p, MIN (part->bytes.n, SHOW_MAX));
    return;
  }
  while (at < part->len && ek_buf_len (&s->out) < SHOW_MAX) {
    ssize_t n = pread (s->content.fd, chunk, MIN (sizeof chunk, part->len - at), (off_t) (part->from + at));
    if (n <= 0)
      return;
    ek_buf_append (&s->out, chunk, (gsize) n);
    at += (guint64) n;
  }
}

static void
shown (EkCall *call, EkStatus status, gpointer user)
{
  Show *s = user;
  EkChannel *control = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_CONTROL, 0);

  for (guint i = 0; status == EK_OK && i < s->content.n_parts && ek_buf_len (&s->out) < SHOW_MAX; i++)
    show_part (s, &s->content.parts[i]);
  if (status != EK_OK)
    ek_buf_printf (&s->out, "(the content cannot be read: %s)\n", call->error ? call->error->message : "see the log");
  if (control && control == s->channel) {
    EkBuf *out = ek_channel_answer (control, s->id);
    ek_pack_u64 (out, EK_OK);
    ek_pack_str (out, ek_buf_str (&s->out));
    ek_channel_end (control);
  }
  ek_queue_ops->content_release (ek_queue_spool, &s->content);
  ek_buf_release (&s->out);
  g_clear_error (&s->call.error);
  ek_pool_free (s->pool);
}

static void
show (EkMsg *msg, const char *target)
{
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, from_id (target));

  if (m == NULL) {
    ek_control_answer (msg, EK_NOTFOUND, EK_STR ("no such message in the queue"));
    return;
  }
  EkPool *pool = ek_pool_new ();
  Show *s = ek_pool_new0 (pool, Show);
  *s = (Show) { .pool = pool, .channel = msg->channel, .id = msg->id, .content.fd = -1,
                .call = { .pool = pool, .done = shown, .user = s } };
  describe (m, &s->out);
  ek_buf_appendc (&s->out, '\n');
  EkStatus status = ek_queue_ops->content (ek_queue_spool, &s->call, m, &s->content);
  if (status != EK_PENDING)
    shown (&s->call, status, s);
}

/* ---- changes ---- */

typedef bool (*Change) (EkSpoolMessage *m, const char *who);

static void
act (EkSpoolMessage *m, EkSpoolActType type, const char *text)
{
  EkSpoolAct a = { .type = type, .rcpt = EK_TO_ALL, .text = ek_str (text) };

  ek_queue_ops->record (ek_queue_spool, NULL, m, &a, 1, NULL, 0);
}

static void
tell (const EkSpoolMessage *m, const char *word)
{
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (m->id, id);
  ek_event_emit ("postsuper", m->event, word, (const EkField[]) { EK_FTEXT ("qid", id), { .type = EK_F_END } });
}

static bool
any_held (const EkSpoolMessage *m)
{
  for (guint i = 0; i < m->n_rcpts; i++)
    if (m->rcpts[i].held)
      return true;
  return false;
}

static bool
do_hold (EkSpoolMessage *m, const char *who)
{
  if (any_held (m))
    return false;
  act (m, EK_ACT_HOLD, who);
  tell (m, "hold");
  return true;
}

static bool
do_release (EkSpoolMessage *m, const char *who)
{
  if (!any_held (m))
    return false;
  act (m, EK_ACT_RELEASE, who);
  tell (m, "release");
  ek_sched_wake (m);
  return true;
}

static bool
do_requeue (EkSpoolMessage *m, const char *who)
{
  if (ek_sched_busy (m))
    return false;
  act (m, EK_ACT_REQUEUE, who);
  tell (m, "requeue");
  ek_route_flush ();
  ek_sched_wake (m);
  return true;
}

static bool
do_flush (EkSpoolMessage *m, const char *who)
{
  if (ek_sched_busy (m))
    return false;
  ek_sched_wake (m);
  return true;
}

/* Not one that is under way: its outcome would speak of a message that is gone. */
static bool
do_delete (EkSpoolMessage *m, const char *who)
{
  if (ek_sched_busy (m))
    return false;
  tell (m, "delete");
  ek_sched_forget (m);
  act (m, EK_ACT_RETIRE, who);
  return true;
}

static const struct {
  const char *verb;
  Change      change;
} changes[] = {
  { "queue-flush", do_flush }, { "queue-hold", do_hold }, { "queue-release", do_release }, { "queue-delete", do_delete },
  { "queue-requeue", do_requeue },
};

static bool
matches (const EkSpoolMessage *m, const char *target)
{
  g_autofree char *sender = g_strndup (m->sender.p, m->sender.n);

  if (strcmp (target, "ALL") == 0)
    return true;
  if (strcmp (target, "hold") == 0 || strcmp (target, "deferred") == 0 || strcmp (target, "active") == 0)
    return strcmp (target, state_of (m)) == 0;
  if (g_pattern_match_simple (target, sender))
    return true;
  for (guint i = 0; i < m->n_rcpts; i++) {
    g_autofree char *address = g_strndup (m->rcpts[i].address.p, m->rcpts[i].address.n);
    if (m->rcpts[i].state != EK_TO_DONE && g_pattern_match_simple (target, address))
      return true;
  }
  return false;
}

static void
change_many (EkMsg *msg, Change change, const char *target, const char *from, const char *who)
{
  EkSpoolCursor *cursor = ek_queue_ops->cursor_new (ek_queue_spool, from_id (from));
  EkSpoolMessage *m;
  EkBuf out = { 0 };
  guint done = 0, seen = 0, busy = 0;
  char id[EK_QUEUE_ID_LEN + 1];

  while ((m = ek_queue_ops->cursor_next (cursor))) {
    if (done >= PAGE_WORK || ++seen > PAGE_LOOK) {
      next_from (&out, m->id);
      break;
    }
    if (!matches (m, target))
      continue;
    ek_queue_id_text (m->id, id);
    if (change (m, who)) {
      done++;
      ek_buf_printf (&out, "{\"id\":\"%s\"}\n", id);
    }
    else
      busy++;
  }
  ek_queue_ops->cursor_free (cursor);
  ek_buf_printf (&out, "{\"count\":%u,\"busy\":%u}\n", done, busy);
  ek_control_answer (msg, EK_OK, ek_buf_str (&out));
  ek_buf_release (&out);
}

static void
change_one (EkMsg *msg, Change change, EkQueueId id, const char *who)
{
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, id);
  char text[EK_QUEUE_ID_LEN + 1];
  EkBuf out = { 0 };

  ek_queue_id_text (id, text);
  if (m == NULL)
    ek_control_answer (msg, EK_NOTFOUND, EK_STR ("no such message in the queue"));
  else if (!change (m, who))
    ek_control_answer (msg, EK_DEFER, EK_STR ("nothing to do: it is being delivered just now, or is in that state already"));
  else {
    ek_buf_printf (&out, "{\"id\":\"%s\"}\n{\"count\":1,\"busy\":0}\n", text);
    ek_control_answer (msg, EK_OK, ek_buf_str (&out));
  }
  ek_buf_release (&out);
}

void
ek_admin_request (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *verb = ek_unpack_text (&msg->in, pool);
  guint64 uid = ek_unpack_max (&msg->in, G_MAXUINT32);
  guint n = (guint) ek_unpack_max (&msg->in, 64);
  const char *words[2] = { NULL, NULL };
  EkQueueId id;

  for (guint i = 0; i < n; i++) {
    const char *word = ek_unpack_text (&msg->in, pool);
    if (i < G_N_ELEMENTS (words))
      words[i] = word;
  }
  if (!ek_unpack_ok (&msg->in) || verb == NULL || msg->id == 0) {
    ek_channel_break (msg->channel, "a damaged request");
    return;
  }
  const char *who = ek_pool_printf (pool, "uid %u", (guint) uid);
  Change change = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    if (strcmp (verb, changes[i].verb) == 0)
      change = changes[i].change;
  if (strcmp (verb, "queue-list") == 0)
    list (msg, words[0]);
  else if (strcmp (verb, "queue-status") == 0)
    queue_status (msg);
  else if (strcmp (verb, "queue-show") == 0)
    show (msg, words[0]);
  else if (change == NULL || words[0] == NULL)
    ek_control_answer (msg, EK_FAIL, EK_STR ("queue knows no such request"));
  else if (ek_queue_id_parse (ek_str (words[0]), &id))
    change_one (msg, change, id, who);
  else
    change_many (msg, change, words[0], words[1], who);
}
