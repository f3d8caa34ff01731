/* bounce.c - tells the sender: bounces and delay warnings (RFC 3464), recorded together with what they tell of
 * SPDX-License-Identifier: Apache-2.0
 *
 * The notification is a child message in the same spool record as the outcome: after a crash there are both or
 * none.  The original's header comes along (the whole of it with RET=FULL, up to 50 KB).  What a thousand recipients
 * have to say does not fit into one: each notification tells of as many as it holds and is recorded with their
 * outcomes, the last one with all the rest of the acts.
 *
 * A sender's address may be an alias, as any other: it is followed before the notification is written.  While directory cannot tell, the
 * outcome waits; after a stop it is found again.
 */
#include "config.h"
#include "mail/dsn.h"
#include "queue/queue.h"
#include <string.h>
#include <unistd.h>

#define ORIGINAL_MAX (50 * 1024)
#define AT_ONCE      100             /* recipients that one notification tells of at most */
#define ACTS_MAX     500             /* in one record */

typedef struct {                     /* notifications under way */
  EkCall          read;
  EkPool         *pool;
  EkQueueId       id;
  EkSpoolContent  content;
  EkDsn           dsn;               /* of all recipients; each notification has a part of them */
  guint          *ordinals;          /* of dsn.rcpts */
  EkBuf           text;
  EkSpoolAct     *acts;              /* not yet recorded, and room for one more */
  guint           n_acts;
  bool            retire;            /* the last record retires the message */
  EkEventId       event;
  guint           refs;              /* notifications that are not durable, and we */
  GArray         *to;                /* of EkSpoolTo: the sender, or whom his address leads to */
  EkPool         *to_pool;           /* what `to` points to; made anew with each question, of which there may be thousands */
  EkTimer         again;             /* to ask that */
  bool            asking, over;      /* directory owes an answer; the queue has ended meanwhile */
  GList           link;              /* in `waiting`, until it has answered */
} Report;

#define ASK_AGAIN (2 * G_USEC_PER_SEC)

static GQueue waiting;

typedef struct {
  EkCall    call;
  Report   *report;
  EkQueueId id;
} Child;

static void
report_unref (Report *r)
{
  if (--r->refs > 0)
    return;
  if (!r->over)
    ek_queue_ops->content_release (ek_queue_spool, &r->content);
  if (r->to)
    g_array_unref (r->to);
  ek_pool_free (r->to_pool);
  ek_buf_release (&r->text);
  g_clear_error (&r->read.error);
  ek_pool_free (r->pool);
}

/* RFC 3461 4.1: without NOTIFY= failures are told, and delays may be; success only to who asks. */
bool
ek_bounce_wanted (const EkSpoolMessage *m, guint rcpt, guint action)
{
  guint8 notify = m->rcpts[rcpt].notify;

  if (m->sender.n == 0 || (notify & EK_NOTIFY_NEVER))
    return false;
  if (action == EK_DSN_FAILED)
    return notify == 0 || (notify & EK_NOTIFY_FAILURE);
  if (action == EK_DSN_DELAYED)
    return notify == 0 || (notify & EK_NOTIFY_DELAY);
  return (notify & EK_NOTIFY_SUCCESS) != 0;
}

static const char *
kind (const EkDsn *dsn)
{
  bool failed = false, delayed = false;

  for (guint i = 0; i < dsn->n_rcpts; i++) {
    failed = failed || dsn->rcpts[i].action == EK_DSN_FAILED;
    delayed = delayed || dsn->rcpts[i].action == EK_DSN_DELAYED;
  }
  return failed ? "sender non-delivery notification" : delayed ? "sender delay notification" : "sender delivery status notification";
}

static void
recorded (EkCall *call, EkStatus status, gpointer user)
{
  Child *c = user;
  Report *r = c->report;
  char parent[EK_QUEUE_ID_LEN + 1], child[EK_QUEUE_ID_LEN + 1];
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, c->id);

  ek_queue_id_text (r->id, parent);
  ek_queue_id_text (c->id, child);
  if (status == EK_OK && m) {
    ek_event ("bounce", r->event, "notify", EK_FTEXT ("qid", parent), EK_FTEXT ("child_qid", child),
              EK_FTEXT ("kind", kind (&r->dsn)));
    ek_sched_message (m);
  }
  else if (status != EK_OK)
    ek_log (EK_ERR, "bounce", "%s: the notification is not durable: %s", parent, call->error ? call->error->message : "the spool failed");
  g_clear_error (&c->call.error);
  report_unref (r);
}

/* Feeds the original; false: enough. */
static bool
feed (Report *r, EkDsn *dsn, const EkSpoolPart *part)
{
  char chunk[16384];
  guint64 at = 0;

  if (part->bytes.p)
    return ek_dsn_original (dsn, part->bytes.p, part->bytes.n, &r->text);
  while (at < part->len) {
    ssize_t n = pread (r->content.fd, chunk, MIN (sizeof chunk, part->len - at), (off_t) (part->from + at));
    if (n <= 0)
      return false;
    at += (guint64) n;
    if (ek_buf_len (&r->text) > EK_SPOOL_INLINE_MAX - 8192 || !ek_dsn_original (dsn, chunk, (gsize) n, &r->text))
      return false;
  }
  return true;
}

/* Records all but the last few: of a hundred thousand recipients they would not fit into one record. */
static guint
record_surplus (EkSpoolMessage *m, const EkSpoolAct *acts, guint n_acts)
{
  guint done = 0;

  for (; n_acts - done > ACTS_MAX; done += ACTS_MAX)
    ek_queue_ops->record (ek_queue_spool, NULL, m, acts + done, ACTS_MAX, NULL, 0);
  return done;
}

/* Writes the notification of `n` recipients from `first` on; false: it is too large for the spool. */
static bool
write_text (Report *r, EkQueueId child, guint first, guint n)
{
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (child, id);
  for (bool original = true;; original = false) {        /* a monstrous header: without the original */
    EkDsn dsn = r->dsn;
    dsn.rcpts += first;
    dsn.n_rcpts = n;
    dsn.report_id = id;
    ek_buf_clear (&r->text);
    ek_dsn_begin (&dsn, &r->text);
    for (guint i = 0; original && i < r->content.n_parts && feed (r, &dsn, &r->content.parts[i]); i++)
      ;
    ek_dsn_end (&dsn, &r->text);
    if (ek_buf_len (&r->text) <= EK_SPOOL_INLINE_MAX)
      return true;
    if (!original)
      return false;
  }
}

/* Moves the acts of these recipients to the end of the list: how many there are. */
static guint
choose_acts (Report *r, guint first, guint n)
{
  EkSpoolAct chosen[AT_ONCE + 1];
  guint keep = 0, n_chosen = 0;

  for (guint i = 0; i < r->n_acts; i++) {
    bool here = false;
    for (guint k = first; k < first + n && !here; k++)
      here = (r->acts[i].type == EK_ACT_BOUNCE || r->acts[i].type == EK_ACT_DONE) && r->acts[i].rcpt == r->ordinals[k];
    if (here && n_chosen < AT_ONCE)
      chosen[n_chosen++] = r->acts[i];
    else
      r->acts[keep++] = r->acts[i];
  }
  memcpy (r->acts + keep, chosen, n_chosen * sizeof *chosen);
  return n_chosen;
}

/* The last record has all acts that no notification tells of, but no more than fit. */
static guint
last_acts (Report *r, EkSpoolMessage *m, guint n_chosen)
{
  guint more = record_surplus (m, r->acts, r->n_acts - n_chosen);

  r->acts += more;
  r->n_acts -= more;
  if (r->retire)
    r->acts[r->n_acts++] = (EkSpoolAct) { .type = EK_ACT_RETIRE };
  return r->n_acts;
}

static void
record (Report *r, EkSpoolMessage *m, Child *c, guint n_acts)
{
  EkSpoolExtent extent = { .bytes = ek_buf_str (&r->text) };
  char parent[EK_QUEUE_ID_LEN + 1];
  EkBuf attrs = { 0 };

  ek_queue_id_text (r->id, parent);
  ek_spool_attr_add (&attrs, EK_ATTR_PARENT, ek_str (parent));
  EkSpoolNew child = {
    .id = c->id, .event = r->event, .flags = EK_MSG_BOUNCE | EK_MSG_LOCAL | (m->flags & EK_MSG_UTF8), .attrs = ek_buf_str (&attrs),
    .to = (EkSpoolTo *) r->to->data, .n_to = r->to->len, .extents = &extent, .n_extents = 1,
  };
  r->n_acts -= n_acts;
  r->refs++;
  c->call = (EkCall) { .pool = r->pool, .done = recorded, .user = c };
  EkStatus status = ek_queue_ops->record (ek_queue_spool, &c->call, m, r->acts + r->n_acts, n_acts, &child, 1);
  ek_buf_release (&attrs);
  if (status == EK_FAIL)             /* it fits nowhere: what happened is kept all the same */
    ek_queue_ops->record (ek_queue_spool, NULL, m, r->acts + r->n_acts, n_acts, NULL, 0);
  if (status != EK_PENDING)
    recorded (&c->call, status, c);
}

static void
write_reports (Report *r, EkSpoolMessage *m)
{
  guint all = r->dsn.n_rcpts;

  ek_sched_reporting (m, false);
  if (r->retire)
    ek_sched_forget (m);
  for (guint first = 0, n; first < all; first += n) {
    Child *c = ek_pool_new0 (r->pool, Child);
    c->report = r;
    c->id = ek_queue_ops->new_id (ek_queue_spool);
    n = MIN (all - first, AT_ONCE);
    while (!write_text (r, c->id, first, n) && n > 1)
      n /= 2;
    guint n_acts = choose_acts (r, first, n);
    record (r, m, c, first + n < all ? n_acts : last_acts (r, m, n_acts));
  }
  if (!r->retire)
    ek_outcome_settle (m);
}

/* ---- to whom ---- */

static void ask (Report *r);

static void
ask_again (EkTimer *timer)
{
  ask ((Report *) ((char *) timer - G_STRUCT_OFFSET (Report, again)));
}

static void
asked (bool told, gpointer data)
{
  Report *r = data;
  EkSpoolMessage *m = r->over ? NULL : ek_queue_ops->find (ek_queue_spool, r->id);

  r->asking = false;
  if (m && !told) {
    ek_timer_set (ek_role_loop (), &r->again, ASK_AGAIN);
    return;
  }
  if (!r->over)
    g_queue_unlink (&waiting, &r->link);
  if (m)
    write_reports (r, m);
  report_unref (r);
}

static void
ask (Report *r)
{
  EkSpoolTo sender = { .address = r->dsn.to, .notify = EK_NOTIFY_NEVER };

  if (r->to)
    g_array_unref (r->to);
  ek_pool_free (r->to_pool);
  r->to_pool = ek_pool_new ();
  r->to = g_array_new (FALSE, FALSE, sizeof (EkSpoolTo));
  g_array_append_val (r->to, sender);
  r->asking = true;
  ek_expand (r->to_pool, r->to, asked, r);
}

/* The outcomes are not recorded, and so will be there again. */
void
ek_bounce_end (void)
{
  while (waiting.head) {
    Report *r = waiting.head->data;
    g_queue_unlink (&waiting, &r->link);
    ek_timer_cancel (ek_role_loop (), &r->again);
    ek_queue_ops->content_release (ek_queue_spool, &r->content);
    r->over = true;
    if (!r->asking)                    /* else its answer comes when the channel goes */
      report_unref (r);
  }
}

static void
original_read (EkCall *call, EkStatus status, gpointer user)
{
  Report *r = user;

  if (ek_queue_ops->find (ek_queue_spool, r->id) == NULL) {
    report_unref (r);
    return;
  }
  if (status != EK_OK)
    r->content.n_parts = 0;
  r->link.data = r;
  r->again.func = ask_again;
  g_queue_push_tail_link (&waiting, &r->link);
  ask (r);
}

static void
fill_rcpts (Report *r, const EkSpoolMessage *m, const EkBounceRcpt *which, guint n)
{
  r->dsn.rcpts = ek_pool_newv (r->pool, EkDsnRcpt, n);
  r->ordinals = ek_pool_newv (r->pool, guint, n);
  for (guint i = 0; i < n; i++) {
    const EkSpoolRcpt *to = &m->rcpts[which[i].rcpt];
    if (!ek_bounce_wanted (m, which[i].rcpt, which[i].action))
      continue;
    const char *text = ek_pool_strdup (r->pool, which[i].text), *space = strchr (text, ' ');
    bool remote = which[i].relay && strchr (which[i].relay, '[');
    r->ordinals[r->dsn.n_rcpts] = which[i].rcpt;
    r->dsn.rcpts[r->dsn.n_rcpts++] = (EkDsnRcpt) {
      .address = ek_pool_str (r->pool, to->address), .orcpt = ek_pool_str (r->pool, to->orcpt),
      .action = which[i].action,
      .status = space ? ek_pool_strndup (r->pool, text, (gsize) (space - text)) : NULL,
      .diagnostic = ek_str (space ? space + 1 : text), .diagnostic_type = remote ? "smtp" : NULL,
      .remote_mta = remote ? ek_pool_strdup (r->pool, which[i].relay) : NULL, .last_attempt = ek_wall () / G_USEC_PER_SEC,
      .retry_until = which[i].action == EK_DSN_DELAYED ? (m->arrival + ek_queue_conf->lifetime.us) / G_USEC_PER_SEC : 0,
    };
  }
}

static void
copy_acts (Report *r, const EkSpoolAct *acts, guint n)
{
  r->acts = ek_pool_newv (r->pool, EkSpoolAct, n + 1);
  r->retire = n > 0 && acts[n - 1].type == EK_ACT_RETIRE;
  r->n_acts = n - r->retire;
  for (guint i = 0; i < r->n_acts; i++) {
    r->acts[i] = acts[i];
    r->acts[i].text = ek_pool_str (r->pool, acts[i].text);
  }
}

static void
double_bounce (const EkSpoolMessage *m, guint n)
{
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (m->id, id);
  if (n > 0 && m->sender.n == 0)
    ek_log (EK_WARN, "bounce", "%s: a bounce could not be delivered and is dropped", id);
}

void
ek_bounce (EkSpoolMessage *m, const EkBounceRcpt *which, guint n, const EkSpoolAct *acts, guint n_acts)
{
  bool retire = n_acts > 0 && acts[n_acts - 1].type == EK_ACT_RETIRE;
  guint tell = 0;
  char id[EK_QUEUE_ID_LEN + 1];

  for (guint i = 0; i < n; i++)
    tell += ek_bounce_wanted (m, which[i].rcpt, which[i].action);
  if (tell == 0) {
    double_bounce (m, n);
    if (retire)
      ek_sched_forget (m);
    guint done = record_surplus (m, acts, n_acts);
    ek_queue_ops->record (ek_queue_spool, NULL, m, acts + done, n_acts - done, NULL, 0);
    if (!retire)
      ek_outcome_settle (m);
    return;
  }
  EkPool *pool = ek_pool_new ();
  Report *r = ek_pool_new0 (pool, Report);
  *r = (Report) { .pool = pool, .id = m->id, .event = m->event, .refs = 1 };
  r->content.fd = -1;
  ek_queue_id_text (m->id, id);
  r->dsn = (EkDsn) {
    .hostname = ek_role_hostname (), .to = ek_pool_str (pool, m->sender), .queue_id = ek_pool_strdup (pool, id),
    .envid = ek_pool_str (pool, m->envid), .arrival = m->arrival / G_USEC_PER_SEC,
    .now = ek_wall () / G_USEC_PER_SEC, .full = (m->flags & EK_MSG_RET_FULL) != 0, .utf8 = (m->flags & EK_MSG_UTF8) != 0,
    .original_max = ORIGINAL_MAX, .original_size = m->size,
  };
  copy_acts (r, acts, n_acts);
  fill_rcpts (r, m, which, n);
  ek_sched_reporting (m, true);
  r->read = (EkCall) { .pool = pool, .done = original_read, .user = r };
  EkStatus status = ek_queue_ops->content (ek_queue_spool, &r->read, m, &r->content);
  if (status != EK_PENDING)
    original_read (&r->read, status, r);
}
