/* bounce.c - tells the sender: bounces and delay warnings (RFC 3464), recorded together with what they tell of
 * SPDX-License-Identifier: Apache-2.0
 *
 * The notification is a child message in the same spool record as the outcome: after a crash there are both or
 * none.  The original's header comes along (the whole of it with RET=FULL, up to 50 KB).
 */
#include "config.h"
#include "mail/dsn.h"
#include "queue/queue.h"
#include <string.h>
#include <unistd.h>

#define ORIGINAL_MAX (50 * 1024)

typedef struct {                     /* a notification under way */
  EkCall          read, write;
  EkPool         *pool;
  EkQueueId       id, child;
  EkSpoolContent  content;
  EkDsn           dsn;
  EkBuf           text;
  EkSpoolAct     *acts;
  guint           n_acts;
  EkEventId       event;
  bool            delayed;
} Report;

static void
report_free (Report *r)
{
  ek_queue_ops->content_release (ek_queue_spool, &r->content);
  ek_buf_release (&r->text);
  g_clear_error (&r->read.error);
  g_clear_error (&r->write.error);
  ek_pool_free (r->pool);
}

static bool
wanted (const EkSpoolMessage *m, guint rcpt, bool delayed)
{
  guint8 notify = m->rcpts[rcpt].notify;

  if (m->sender.n == 0 || (notify & EK_NOTIFY_NEVER))
    return false;
  return notify == 0 || (notify & (delayed ? EK_NOTIFY_DELAY : EK_NOTIFY_FAILURE));
}

static void
recorded (EkCall *call, EkStatus status, gpointer user)
{
  Report *r = user;
  char parent[EK_QUEUE_ID_LEN + 1], child[EK_QUEUE_ID_LEN + 1];
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, r->child);

  ek_queue_id_text (r->id, parent);
  ek_queue_id_text (r->child, child);
  if (status == EK_OK && m) {
    ek_event ("bounce", r->event, "notify", EK_FTEXT ("qid", parent), EK_FTEXT ("child_qid", child),
              EK_FTEXT ("kind", r->delayed ? "sender delay notification" : "sender non-delivery notification"));
    ek_sched_message (m);
  }
  else if (status != EK_OK)
    ek_log (EK_ERR, "bounce", "%s: the notification is not durable: %s", parent, call->error ? call->error->message : "the spool failed");
  report_free (r);
}

/* Feeds the original; false: enough. */
static bool
feed (Report *r, const EkSpoolPart *part)
{
  char chunk[16384];
  guint64 at = 0;

  if (part->bytes.p)
    return ek_dsn_original (&r->dsn, part->bytes.p, part->bytes.n, &r->text);
  while (at < part->len) {
    ssize_t n = pread (r->content.fd, chunk, MIN (sizeof chunk, part->len - at), (off_t) (part->from + at));
    if (n <= 0)
      return false;
    at += (guint64) n;
    if (ek_buf_len (&r->text) > EK_SPOOL_INLINE_MAX - 8192 || !ek_dsn_original (&r->dsn, chunk, (gsize) n, &r->text))
      return false;
  }
  return true;
}

static void
write_report (Report *r, EkSpoolMessage *m)
{
  ek_dsn_begin (&r->dsn, &r->text);
  for (guint i = 0; i < r->content.n_parts && feed (r, &r->content.parts[i]); i++)
    ;
  ek_dsn_end (&r->dsn, &r->text);
  if (ek_buf_len (&r->text) > EK_SPOOL_INLINE_MAX) {     /* a monstrous header: without the original */
    ek_buf_clear (&r->text);
    ek_dsn_begin (&r->dsn, &r->text);
    ek_dsn_end (&r->dsn, &r->text);
  }
  EkSpoolTo to = { .address = ek_pool_str (r->pool, m->sender), .notify = EK_NOTIFY_NEVER };
  EkSpoolExtent extent = { .bytes = ek_buf_str (&r->text) };
  char parent[EK_QUEUE_ID_LEN + 1];
  EkBuf attrs = { 0 };
  ek_queue_id_text (r->id, parent);
  ek_spool_attr_add (&attrs, EK_ATTR_PARENT, ek_str (parent));
  EkSpoolNew child = {
    .id = r->child, .event = r->event, .flags = EK_MSG_BOUNCE | EK_MSG_LOCAL | (m->flags & EK_MSG_UTF8), .attrs = ek_buf_str (&attrs),
    .to = &to, .n_to = 1, .extents = &extent, .n_extents = 1,
  };
  r->write = (EkCall) { .pool = r->pool, .done = recorded, .user = r };
  EkStatus status = ek_queue_ops->record (ek_queue_spool, &r->write, m, r->acts, r->n_acts, &child, 1);
  ek_buf_release (&attrs);
  if (status != EK_PENDING)
    recorded (&r->write, status, r);
}

static void
original_read (EkCall *call, EkStatus status, gpointer user)
{
  Report *r = user;
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, r->id);

  if (m == NULL) {                   /* an administrator deleted it meanwhile */
    report_free (r);
    return;
  }
  if (status != EK_OK)
    r->content.n_parts = 0;
  write_report (r, m);
}

static void
fill_rcpts (Report *r, const EkSpoolMessage *m, const EkBounceRcpt *which, guint n)
{
  r->dsn.rcpts = ek_pool_newv (r->pool, EkDsnRcpt, n);
  for (guint i = 0; i < n; i++) {
    const EkSpoolRcpt *to = &m->rcpts[which[i].rcpt];
    if (!wanted (m, which[i].rcpt, r->delayed))
      continue;
    const char *text = ek_pool_strdup (r->pool, which[i].text), *space = strchr (text, ' ');
    bool remote = which[i].relay && strchr (which[i].relay, '[');
    r->dsn.rcpts[r->dsn.n_rcpts++] = (EkDsnRcpt) {
      .address = ek_pool_str (r->pool, to->address), .orcpt = ek_pool_str (r->pool, to->orcpt),
      .action = r->delayed ? EK_DSN_DELAYED : EK_DSN_FAILED,
      .status = space ? ek_pool_strndup (r->pool, text, (gsize) (space - text)) : NULL,
      .diagnostic = ek_str (space ? space + 1 : text), .diagnostic_type = remote ? "smtp" : NULL,
      .remote_mta = remote ? ek_pool_strdup (r->pool, which[i].relay) : NULL, .last_attempt = ek_wall () / G_USEC_PER_SEC,
      .retry_until = r->delayed ? (m->arrival + ek_queue_conf->lifetime.us) / G_USEC_PER_SEC : 0,
    };
  }
}

static void
copy_acts (Report *r, const EkSpoolAct *acts, guint n)
{
  r->acts = ek_pool_newv (r->pool, EkSpoolAct, n);
  r->n_acts = n;
  for (guint i = 0; i < n; i++) {
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
ek_bounce (EkSpoolMessage *m, const EkBounceRcpt *which, guint n, bool delayed, const EkSpoolAct *acts, guint n_acts)
{
  guint tell = 0;
  char id[EK_QUEUE_ID_LEN + 1], child[EK_QUEUE_ID_LEN + 1];

  for (guint i = 0; i < n; i++)
    tell += wanted (m, which[i].rcpt, delayed);
  if (tell == 0) {
    double_bounce (m, n);
    ek_queue_ops->record (ek_queue_spool, NULL, m, acts, n_acts, NULL, 0);
    return;
  }
  EkPool *pool = ek_pool_new ();
  Report *r = ek_pool_new0 (pool, Report);
  *r = (Report) { .pool = pool, .id = m->id, .child = ek_queue_ops->new_id (ek_queue_spool), .event = m->event, .delayed = delayed };
  r->content.fd = -1;
  ek_queue_id_text (m->id, id);
  ek_queue_id_text (r->child, child);
  r->dsn = (EkDsn) {
    .hostname = ek_role_hostname (), .to = ek_pool_str (pool, m->sender), .queue_id = ek_pool_strdup (pool, id),
    .report_id = ek_pool_strdup (pool, child), .envid = ek_pool_str (pool, m->envid), .arrival = m->arrival / G_USEC_PER_SEC,
    .now = ek_wall () / G_USEC_PER_SEC, .full = (m->flags & EK_MSG_RET_FULL) && !delayed, .utf8 = (m->flags & EK_MSG_UTF8) != 0,
    .original_max = ORIGINAL_MAX, .original_size = m->size,
  };
  copy_acts (r, acts, n_acts);
  fill_rcpts (r, m, which, n);
  r->read = (EkCall) { .pool = pool, .done = original_read, .user = r };
  EkStatus status = ek_queue_ops->content (ek_queue_spool, &r->read, m, &r->content);
  if (status != EK_PENDING)
    original_read (&r->read, status, r);
}
