/* accept.c - messages from edges into the spool
 * SPDX-License-Identifier: Apache-2.0
 *
 * A small message comes whole in EK_Q_SUBMIT.  A large one comes over a socketpair (EK_Q_STREAM) into a file
 * of the spool while the client still sends; EK_Q_SUBMIT then says how many bytes there must be.  The edge
 * believes nothing but our answer, and we answer when the spool says it is durable.
 */
#include "config.h"
#include "queue/queue.h"
#include "mail/header.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RCPTS_MAX   100000
#define STREAMS_MAX 20000            /* of all edges; each may have its part */
#define PENDING_MAX (32u << 20)      /* bytes of one edge's small messages that wait for the disk */
#define CHUNK       65536
#define BEHIND      (1u << 20)       /* bytes of a file that wait for the disk before we stop reading */

typedef struct Submission Submission;

typedef struct {                     /* a large message on its way in */
  EkWatch      watch;
  guint        edge;
  guint64      number;
  gsize        serial;
  EkQueueId    id;
  EkSpoolFile *file;
  guint64      got;
  bool         paused, ended;
  Submission  *waiting;              /* its envelope is here, bytes are missing */
} Stream;

struct Submission {
  EkPool    *pool;
  EkCall     call;
  EkChannel *edge;                   /* compared with the live channel before it is answered */
  guint      index;
  guint32    answer;
  EkSpoolNew new;
  EkSpoolExtent extents[3];
  EkStr      message_id;
  guint64    total;                  /* bytes on the stream */
  gsize      bytes;                  /* counted in `edges` */
  bool       hold;
};

static GHashTable *streams;          /* "edge number" -> Stream */
static GHashTable *serials;          /* serial -> Stream: the spool's file outlives its stream and may still call */
static bool        accepting, looked;            /* what all edges were told */
static struct { guint streams; gsize bytes; bool paused; } edges[EK_INDEX_MAX + 1];      /* what each has under way */

/* ---- may mail come? ---- */

static void
tell (EkChannel *edge, bool yes, const char *why)
{
  EkBuf *out = ek_channel_send (edge, EK_Q_ACCEPTING);

  ek_pack_u64 (out, yes);
  ek_pack_text (out, yes ? NULL : why);
  ek_channel_end (edge);
}

void
ek_accept_check (void)
{
  const char *why = NULL;
  bool yes = ek_queue_ops->accepting (ek_queue_spool, &why);

  if (looked && yes == accepting)
    return;
  accepting = yes;
  if (yes && looked)
    ek_log (EK_INFO, "queue", "mail is accepted again");
  looked = true;
  if (!yes)
    ek_log (EK_ERR, "queue", "no mail is accepted: %s", why);
  for (guint i = 0; i < ek_role_workers (EK_ROLE_EDGE); i++) {
    EkChannel *edge = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_EDGE, i);
    if (edge)
      tell (edge, yes, why);
  }
}

void
ek_accept_edge_up (EkChannel *edge)
{
  const char *why = NULL;

  edges[ek_role_peer_index (edge)].paused = false;
  ek_accept_check ();                            /* a change is news for all edges, not for this one alone */
  bool yes = ek_queue_ops->accepting (ek_queue_spool, &why);
  tell (edge, yes, why);
  ek_accept_check ();                            /* should it have changed in between */
}

/* ---- the answer ---- */

static void
answer (Submission *s, EkStatus status, const char *dsn, const char *text)
{
  EkChannel *edge = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_EDGE, s->index);

  if (edge && edge == s->edge) {
    EkBuf *out = ek_channel_answer (edge, s->answer);
    ek_pack_u64 (out, status);
    ek_pack_u64 (out, s->new.id);
    ek_pack_text (out, dsn);
    ek_pack_text (out, text);
    ek_channel_end (edge);
  }
  edges[s->index].bytes -= s->bytes;
  if (edges[s->index].paused && edges[s->index].bytes < PENDING_MAX / 2 && edge) {
    edges[s->index].paused = false;
    ek_channel_pause (edge, false);
  }
  g_clear_error (&s->call.error);
  ek_pool_free (s->pool);            /* s with it */
}

/* Everything is on disk: 250, and on its way. */
static void
accepted (Submission *s)
{
  EkQueueId id = s->new.id;

  answer (s, EK_OK, NULL, NULL);
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, id);
  if (m)
    ek_sched_message (m);
}

static void
held (EkCall *call, EkStatus status, gpointer user)
{
  Submission *s = user;
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (s->new.id, id);
  if (status != EK_OK)               /* it is held all the same, until a restart; the message itself is safe */
    ek_log (EK_ERR, "queue", "%s: the hold is not durable: %s", id, call->error ? call->error->message : "the spool failed");
  accepted (s);
}

/* Policy wants it looked at first: the client hears 250 when a crash can no longer set it free. */
static void
hold (Submission *s, EkSpoolMessage *m, const char *id)
{
  EkSpoolAct act = { .type = EK_ACT_HOLD, .rcpt = EK_TO_ALL, .text = EK_STR ("by policy") };

  ek_event ("cleanup", s->new.event, "hold", EK_FTEXT ("qid", id), EK_FTEXT ("reason", "by policy"));
  g_clear_error (&s->call.error);
  s->call = (EkCall) { .pool = s->pool, .done = held, .user = s };
  EkStatus status = ek_queue_ops->record (ek_queue_spool, &s->call, m, &act, 1, NULL, 0);
  if (status != EK_PENDING)
    held (&s->call, status, s);
}

static void
durable (EkCall *call, EkStatus status, gpointer user)
{
  Submission *s = user;
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (s->new.id, id);
  if (status != EK_OK) {
    ek_log (EK_ERR, "queue", "%s: not accepted: %s", id, call->error ? call->error->message : "the spool failed");
    bool full = call->error && (call->error->code == ENOSPC || call->error->code == EDQUOT);
    answer (s, status, status == EK_FAIL ? "5.3.4" : full ? "4.3.1" : "4.3.0",
            status == EK_FAIL ? "message cannot be queued" : full ? "Insufficient system storage" : "queue file write error");
    ek_accept_check ();
    return;
  }
  EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, s->new.id);
  ek_event ("cleanup", s->new.event, "message-id", EK_FTEXT ("qid", id), EK_FSTR ("message_id", s->message_id));
  if (m && s->hold)
    hold (s, m, id);
  else
    accepted (s);
}

static void
submit (Submission *s)
{
  const char *why = NULL;

  s->call.pool = s->pool;
  s->call.done = durable;
  s->call.user = s;
  if (!ek_queue_ops->accepting (ek_queue_spool, &why)) {
    if (s->new.file)
      ek_queue_ops->file_free (g_steal_pointer (&s->new.file));
    ek_accept_check ();
    answer (s, EK_DEFER, "4.3.1", "Insufficient system storage");
    return;
  }
  EkStatus status = ek_queue_ops->submit (ek_queue_spool, &s->call, &s->new);
  if (status != EK_PENDING)
    durable (&s->call, status, s);
}

/* ---- large messages ---- */

static char *
stream_key (guint edge, guint64 number)
{
  return g_strdup_printf ("%u %" G_GUINT64_FORMAT, edge, number);
}

static void
stream_free (gpointer data)
{
  Stream *st = data;

  if (st->watch.fd >= 0) {
    ek_watch_set (ek_role_loop (), &st->watch, 0);
    close (st->watch.fd);
  }
  edges[st->edge].streams--;
  g_hash_table_remove (serials, GSIZE_TO_POINTER (st->serial));
  ek_queue_ops->file_free (st->file);
  if (st->waiting)
    answer (st->waiting, EK_DEFER, "4.3.0", "the message did not arrive whole");
  g_free (st);
}

static void
stream_remove (Stream *st)
{
  g_autofree char *key = stream_key (st->edge, st->number);

  g_hash_table_remove (streams, key);
}

/* All bytes and the envelope are here, or it can no longer become whole. */
static void
stream_check (Stream *st)
{
  Submission *s = st->waiting;

  if (s == NULL || (st->got < s->total && !st->ended))
    return;
  if (st->got == s->total) {
    st->waiting = NULL;
    s->new.id = st->id;
    s->new.file = g_steal_pointer (&st->file);
    submit (s);
  }
  stream_remove (st);
}

static void
stream_drained (gpointer serial)
{
  Stream *st = serials ? g_hash_table_lookup (serials, serial) : NULL;

  if (st == NULL)
    return;
  st->paused = false;
  if (!st->ended)
    ek_watch_set (ek_role_loop (), &st->watch, EPOLLIN);
}

static void
stream_readable (EkWatch *watch, guint32 events)
{
  Stream *st = (Stream *) watch;
  static char chunk[CHUNK];

  ssize_t n = recv (st->watch.fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return;
  if (n <= 0) {
    ek_watch_set (ek_role_loop (), &st->watch, 0);
    st->ended = true;
  }
  else {
    st->got += (guint64) n;
    if (st->got > ek_queue_conf->message_size_limit.bytes + CHUNK) {
      ek_log (EK_WARN, "queue", "an edge sent more than queue.message_size_limit: dropped");
      stream_remove (st);
      return;
    }
    if (ek_queue_ops->file_append (st->file, chunk, (gsize) n) > BEHIND) {
      ek_watch_set (ek_role_loop (), &st->watch, 0);
      st->paused = true;
    }
  }
  stream_check (st);
}

static void
on_stream (guint edge, EkMsg *msg)
{
  guint64 number = ek_unpack_u64 (&msg->in);
  int fd = ek_msg_take_stream (msg, 0);

  if (ek_msg_lost_fd (msg, 0) && ek_unpack_ok (&msg->in))
    return;                          /* the edge sees its end closed, and its client hears "later" */
  if (!ek_unpack_ok (&msg->in) || fd < 0 || number == 0
      || edges[edge].streams >= STREAMS_MAX / MAX (ek_role_workers (EK_ROLE_EDGE), 1)) {
    ek_channel_break (msg->channel, "a damaged stream, or too many");
    if (fd >= 0)
      close (fd);
    return;
  }
  static gsize last;
  Stream *st = g_new0 (Stream, 1);
  *st = (Stream) { .watch = { .fd = fd, .func = stream_readable }, .edge = edge, .number = number, .serial = ++last };
  st->id = ek_queue_ops->new_id (ek_queue_spool);
  g_hash_table_insert (serials, GSIZE_TO_POINTER (st->serial), st);
  st->file = ek_queue_ops->file_new (ek_queue_spool, st->id, stream_drained, GSIZE_TO_POINTER (st->serial));
  edges[edge].streams++;
  g_hash_table_replace (streams, stream_key (edge, number), st);
  ek_watch_set (ek_role_loop (), &st->watch, EPOLLIN);
}

/* ---- the envelope ---- */

static bool
unpack_rcpts (EkUnpack *in, Submission *s)
{
  guint n = (guint) ek_unpack_max (in, RCPTS_MAX);
  if (n == 0 || n > in->n)           /* each takes more than a byte: no allocation beyond what was sent */
    return false;
  EkSpoolTo *to = ek_pool_newv (s->pool, EkSpoolTo, n);

  for (guint i = 0; i < n; i++) {
    to[i].address = ek_unpack_str (in);
    to[i].notify = (guint8) ek_unpack_max (in, 15);
    to[i].orcpt = ek_unpack_str (in);
  }
  s->new.to = to;
  s->new.n_to = n;
  return !in->bad;
}

/* The strings of `s->new` point into a copy of the message. */
static bool
unpack_submission (EkUnpack *in, Submission *s, guint64 *stream)
{
  char id[EK_QUEUE_ID_LEN + 1];

  *stream = ek_unpack_u64 (in);
  s->total = ek_unpack_u64 (in);
  s->new.event = ek_unpack_u64 (in);
  s->new.sender = ek_unpack_str (in);
  s->new.envid = ek_unpack_str (in);
  s->new.flags = (guint32) ek_unpack_max (in, EK_MSG_USER - 1) & ~(guint32) (EK_MSG_BOUNCE | EK_MSG_LOCAL);
  if (!unpack_rcpts (in, s))
    return false;
  s->new.attrs = ek_unpack_str (in);
  s->hold = ek_unpack_max (in, 1) == 1;
  EkStr head = ek_unpack_str (in), tail = ek_unpack_str (in), prepend = ek_unpack_str (in), bytes = ek_unpack_str (in);
  if (!ek_unpack_ok (in) || head.n > 4096 || tail.n > 4096 || prepend.n > 16384 || bytes.n > EK_SPOOL_INLINE_MAX)
    return false;
  s->message_id = ek_pool_str (s->pool, ek_spool_attr_find (s->new.attrs, EK_ATTR_MESSAGE_ID));
  s->new.extents = s->extents;
  s->new.n_extents = 2;
  ek_queue_id_text (s->new.id, id);
  EkBuf front = { 0 };
  ek_buf_append (&front, head.p, head.n);
  if (head.n > 0)
    ek_buf_append (&front, id, EK_QUEUE_ID_LEN);
  ek_buf_append (&front, tail.p, tail.n);
  ek_buf_append (&front, prepend.p, prepend.n);
  s->extents[0].bytes = ek_pool_str (s->pool, ek_buf_str (&front));
  ek_buf_release (&front);
  if (*stream)
    s->extents[1] = (EkSpoolExtent) { .from = 0, .len = s->total };
  else
    s->extents[1].bytes = bytes;
  return true;
}

static void
on_submit (guint edge, EkMsg *msg)
{
  EkPool *pool = ek_pool_new ();
  Submission *s = ek_pool_new0 (pool, Submission);
  EkUnpack peek = msg->in;
  guint64 number = ek_unpack_u64 (&peek);
  g_autofree char *key = stream_key (edge, number);
  Stream *st = number ? g_hash_table_lookup (streams, key) : NULL;
  guint64 same;

  s->pool = pool;
  s->edge = msg->channel;
  s->index = edge;
  s->answer = msg->id;
  s->bytes = msg->in.n;
  edges[edge].bytes += s->bytes;
  if (edges[edge].bytes > PENDING_MAX && !edges[edge].paused) {
    edges[edge].paused = true;
    ek_channel_pause (msg->channel, true);
  }
  s->new.id = st ? st->id : ek_queue_ops->new_id (ek_queue_spool);
  /* a stream's envelope outlives this message; an inline one is copied by submit() at once */
  EkUnpack in = st ? ek_unpack (ek_pool_str (pool, (EkStr) { msg->in.p, msg->in.n })) : msg->in;
  if (!unpack_submission (&in, s, &same)) {
    ek_channel_break (msg->channel, "a damaged submission");
    answer (s, EK_DEFER, "4.3.0", "damaged");
    return;
  }
  if (number == 0) {
    submit (s);
    return;
  }
  if (st == NULL || st->waiting) {
    answer (s, EK_DEFER, "4.3.0", "the message did not arrive whole");
    return;
  }
  st->waiting = s;
  stream_check (st);
}

void
ek_accept_message (guint edge, EkMsg *msg)
{
  if (streams == NULL) {
    streams = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, stream_free);
    serials = g_hash_table_new (NULL, NULL);
  }
  if (msg->type == EK_Q_SUBMIT && msg->id)
    on_submit (edge, msg);
  else if (msg->type == EK_Q_STREAM)
    on_stream (edge, msg);
  else if (msg->type == EK_Q_STREAM_DROP) {
    g_autofree char *key = stream_key (edge, ek_unpack_u64 (&msg->in));
    g_hash_table_remove (streams, key);
  }
  else
    ek_channel_break (msg->channel, "a message that queue does not take");
}

static gboolean
of_edge (gpointer key, gpointer value, gpointer data)
{
  return ((Stream *) value)->edge == GPOINTER_TO_UINT (data);
}

void
ek_accept_edge_gone (guint edge)
{
  if (streams)
    g_hash_table_foreach_remove (streams, of_edge, GUINT_TO_POINTER (edge));
}

void
ek_accept_end (void)
{
  g_clear_pointer (&streams, g_hash_table_unref);
  g_clear_pointer (&serials, g_hash_table_unref);
}
