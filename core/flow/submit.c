/* submit.c - the edge's end of a message's way to queue
 * SPDX-License-Identifier: Apache-2.0
 *
 * EK_Q_SUBMIT: u stream (0: the bytes are in this message), u bytes on the stream, u event, s sender, s envid,
 * u flags, u n, n times (s address, u notify, s orcpt), s attrs, u hold, s received head, s received tail, s prepend,
 * s bytes.  Answer: u status, u id, t dsn, t text.
 */
#include "config.h"
#include "flow/sessionprivate.h"
#include "flow/submit.h"
#include "flow/edge.h"
#include "queue/spool.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG (4u << 20)           /* bytes on the channel above which MAIL is put off */
#define WINDOW  65536                /* bytes that wait for a stream before the client does */

#define TARGETS_MAX 1000             /* of one alias: directory's own bound */
#define PATIENCE (5 * G_USEC_PER_SEC)      /* for the queue's process to come (back) */

static bool accepting, heard;        /* heard: since the queue's process came */
static char *refusal;                /* why not */

struct EkSubmit {
  EkWatch      watch;                /* our end of the stream; fd -1: inline so far */
  EkSession   *session;
  EkBuf        bytes;                /* inline, or what the stream has not taken */
  guint64      size;
  guint64      stream;               /* its number; 0: inline */
  bool         broken, full;
  void       (*ready) (gpointer data);
  gpointer     ready_data;
  EkSubmitFunc func;                 /* after commit */
  gpointer     data;
  EkBuf        envelope;             /* waits for the stream to drain */
  bool         committed;
};

/* ---- recipients ---- */

typedef struct {
  void   (*func) (const EkRcptAnswer *answer, gpointer data);
  gpointer data;
} Question;

static void
rcpt_answer (EkMsg *msg, gpointer data)
{
  Question q = *(Question *) data;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkRcptAnswer a = { .status = EK_DEFER, .dsn = "4.3.0", .text = "Temporary lookup failure" };

  g_free (data);
  if (msg) {
    EkRcptAnswer got = { .status = (EkStatus) ek_unpack_max (&msg->in, EK_FAIL) };
    got.class = (EkRcptClass) ek_unpack_max (&msg->in, EK_RCPT_REMOTE);
    got.dsn = ek_unpack_text (&msg->in, pool);
    got.text = ek_unpack_text (&msg->in, pool);
    got.n_targets = (guint) ek_unpack_max (&msg->in, TARGETS_MAX);
    const char **targets = ek_pool_newv (pool, const char *, got.n_targets + 1);
    for (guint i = 0; i < got.n_targets; i++)
      targets[i] = ek_unpack_text (&msg->in, pool);
    got.targets = targets;
    if (ek_unpack_ok (&msg->in))
      a = got;
  }
  q.func (&a, q.data);
}

void
ek_rcpt_check (EkSession *s, EkStr address, void (*func) (const EkRcptAnswer *answer, gpointer data), gpointer data)
{
  EkChannel *directory = ek_role_any (EK_ROLE_EDGE, EK_ROLE_DIRECTORY);
  Question *q = g_new (Question, 1);

  *q = (Question) { func, data };
  if (directory == NULL) {
    rcpt_answer (NULL, q);
    return;
  }
  EkBuf *out = ek_channel_call (directory, EK_D_RCPT, rcpt_answer, q);
  ek_pack_str (out, address);
  ek_channel_end (directory);
}

/* ---- messages ---- */

typedef struct {                     /* who waits for the queue's word */
  EkTimer  timer;
  GList    link;
  void   (*func) (gpointer data);
  gpointer data;
} Awaiting;

static GQueue awaiting;

static void
awaited (EkTimer *timer)
{
  Awaiting a = *(Awaiting *) timer;

  g_queue_unlink (&awaiting, &((Awaiting *) timer)->link);
  ek_timer_cancel (ek_role_loop (), timer);
  g_free (timer);
  a.func (a.data);
}

void
ek_edge_await_no_more (void)
{
  while (awaiting.head)
    awaited (awaiting.head->data);
}

bool
ek_submit_await (void (*func) (gpointer data), gpointer data)
{
  if (heard || ek_role_stopping ())
    return false;
  Awaiting *a = g_new0 (Awaiting, 1);
  *a = (Awaiting) { .timer = { .func = awaited }, .link = { .data = a }, .func = func, .data = data };
  g_queue_push_tail_link (&awaiting, &a->link);
  ek_timer_set (ek_role_loop (), &a->timer, PATIENCE);
  return true;
}

static void
is_accepting (bool yes, const char *why)
{
  accepting = yes;
  g_free (refusal);
  refusal = g_strdup (why);
}

void
ek_edge_accepting (bool yes, const char *why)
{
  is_accepting (yes, why);
  heard = true;
  ek_edge_await_no_more ();
}

void
ek_edge_queue_gone (void)
{
  is_accepting (false, "the queue is being restarted");
  heard = false;
}

static EkChannel *
queue (void)
{
  return ek_role_peer (EK_ROLE_EDGE, EK_ROLE_QUEUE, 0);
}

bool
ek_submit_accepting (const char **why)
{
  EkChannel *q = queue ();

  if (q == NULL || !accepting)
    *why = refusal ? refusal : "the queue is not there (yet)";
  else if (ek_channel_backlog (q) > BACKLOG)
    *why = "the queue is behind";
  else
    return true;
  return false;
}

EkSubmit *
ek_submit_new (EkSession *s)
{
  EkSubmit *sub = g_new0 (EkSubmit, 1);

  ek_session_ref (s);
  s->idle_refs++;                    /* a message that is half there keeps nobody who sends no more */
  sub->session = s;
  sub->watch.fd = -1;
  return sub;
}

static void
close_stream (EkSubmit *sub)
{
  if (sub->watch.fd < 0)
    return;
  ek_watch_set (ek_role_loop (), &sub->watch, 0);
  close (sub->watch.fd);
  sub->watch.fd = -1;
}

static void
destroy (EkSubmit *sub)
{
  close_stream (sub);
  ek_buf_release (&sub->bytes);
  ek_buf_release (&sub->envelope);
  sub->session->idle_refs--;
  ek_session_unref (sub->session);
  g_free (sub);
}

void
ek_submit_free (EkSubmit *sub)
{
  if (sub == NULL)
    return;
  EkChannel *q = queue ();
  if (sub->stream && q) {
    ek_pack_u64 (ek_channel_send (q, EK_Q_STREAM_DROP), sub->stream);
    ek_channel_end (q);
  }
  destroy (sub);
}

/* ---- the stream of a large message ---- */

static void send_envelope (EkSubmit *sub);

/* Writes what the stream takes. */
static void
pour (EkSubmit *sub)
{
  while (!sub->broken && ek_buf_len (&sub->bytes) > 0) {
    ssize_t n = send (sub->watch.fd, ek_buf_at (&sub->bytes), ek_buf_len (&sub->bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
      ek_buf_consume (&sub->bytes, (gsize) n);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      break;
    else if (errno != EINTR)
      sub->broken = true;
  }
  if (sub->broken)
    ek_buf_clear (&sub->bytes);
  ek_watch_set (ek_role_loop (), &sub->watch, ek_buf_len (&sub->bytes) > 0 ? EPOLLOUT : 0);
}

static void
writable (EkWatch *watch, guint32 events)
{
  EkSubmit *sub = (EkSubmit *) watch;

  pour (sub);
  if (ek_buf_len (&sub->bytes) > 0)
    return;
  if (sub->committed)
    send_envelope (sub);
  else if (sub->full) {
    sub->full = false;
    if (sub->ready)
      sub->ready (sub->ready_data);
  }
}

static void
open_stream (EkSubmit *sub)
{
  static guint64 last;
  EkChannel *q = queue ();
  int fds[2];

  sub->stream = ++last;
  if (q == NULL || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
    sub->broken = true;
    ek_buf_clear (&sub->bytes);
    return;
  }
  ek_pack_u64 (ek_channel_send (q, EK_Q_STREAM), sub->stream);
  ek_channel_attach (q, fds[1]);
  ek_channel_end (q);
  sub->watch = (EkWatch) { .fd = fds[0], .func = writable };
}

bool
ek_submit_write (EkSubmit *sub, const void *bytes, gsize n)
{
  sub->size += n;
  if (sub->broken)
    return true;                     /* swallowed: commit will say so */
  ek_buf_append (&sub->bytes, bytes, n);
  if (sub->stream == 0 && ek_buf_len (&sub->bytes) <= EK_SPOOL_INLINE_MAX - 8192)
    return true;                     /* room for the headers that go in front */
  if (sub->stream == 0)
    open_stream (sub);
  if (!sub->broken)
    pour (sub);
  sub->full = ek_buf_len (&sub->bytes) > WINDOW;
  return !sub->full;
}

void
ek_submit_on_ready (EkSubmit *sub, void (*ready) (gpointer data), gpointer data)
{
  sub->ready = ready;
  sub->ready_data = data;
}

guint64
ek_submit_size (const EkSubmit *sub)
{
  return sub->size;
}

/* ---- the envelope ---- */

static guint64
notify_bits (const char *notify)
{
  guint64 bits = 0;
  g_auto (GStrv) words = notify ? g_strsplit (notify, ",", 5) : NULL;
  static const char *const names[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };

  for (guint i = 0; words && words[i]; i++)
    for (guint k = 0; k < G_N_ELEMENTS (names); k++)
      if (g_ascii_strcasecmp (words[i], names[k]) == 0)
        bits |= 1u << k;
  return bits;
}

static void
attr (EkBuf *attrs, EkSpoolAttr name, const char *value)
{
  if (value && *value)
    ek_spool_attr_add (attrs, name, ek_str (value));
}

static void
pack_attrs (EkSubmit *sub, const EkEnvelope *e, EkBuf *out)
{
  const EkClient *c = ek_session_client (sub->session);
  EkBuf attrs = { 0 };

  attr (&attrs, EK_ATTR_CLIENT_ADDRESS, c->address);
  attr (&attrs, EK_ATTR_CLIENT_NAME, c->host);
  attr (&attrs, EK_ATTR_HELO, e->helo);
  attr (&attrs, EK_ATTR_LOGIN, e->login);
  attr (&attrs, EK_ATTR_PROTOCOL, e->protocol);
  attr (&attrs, EK_ATTR_LISTENER, ek_session_listener (sub->session));
  attr (&attrs, EK_ATTR_TLS, c->tls_version);
  if (e->message_id.n > 0)
    ek_spool_attr_add (&attrs, EK_ATTR_MESSAGE_ID, e->message_id);
  ek_pack_str (out, ek_buf_str (&attrs));
  ek_buf_release (&attrs);
}

static void
pack_envelope (EkSubmit *sub, const EkEnvelope *e)
{
  EkBuf *out = &sub->envelope;

  ek_pack_u64 (out, ek_session_event (sub->session));
  ek_pack_str (out, e->sender);
  ek_pack_str (out, e->envid);
  ek_pack_u64 (out, e->flags);
  ek_pack_u64 (out, e->n_rcpts);
  for (guint i = 0; i < e->n_rcpts; i++) {
    ek_pack_str (out, e->rcpts[i].address);
    ek_pack_u64 (out, notify_bits (e->rcpts[i].notify));
    ek_pack_str (out, ek_str (e->rcpts[i].orcpt));
  }
  pack_attrs (sub, e, out);
  ek_pack_u64 (out, e->hold);
  ek_pack_str (out, e->received_head);
  ek_pack_str (out, e->received_tail);
  ek_pack_str (out, e->prepend);
}

static void
answered (EkMsg *msg, gpointer data)
{
  EkSubmit *sub = data;
  g_autoptr (EkPool) pool = ek_pool_new ();
  char id[EK_QUEUE_ID_LEN + 1];
  EkSubmitAnswer a = { .status = EK_DEFER, .dsn = "4.3.0", .text = "Error: queue file write error" };

  if (msg) {
    EkSubmitAnswer got = { .status = (EkStatus) ek_unpack_max (&msg->in, EK_FAIL) };
    ek_queue_id_text (ek_unpack_u64 (&msg->in), id);
    got.queue_id = id;
    got.dsn = ek_unpack_text (&msg->in, pool);
    got.text = ek_unpack_text (&msg->in, pool);
    if (ek_unpack_ok (&msg->in))
      a = got;
  }
  sub->func (&a, sub->data);
  destroy (sub);
}

static void
send_envelope (EkSubmit *sub)
{
  EkChannel *q = sub->broken ? NULL : queue ();

  close_stream (sub);
  if (q == NULL) {
    answered (NULL, sub);
    return;
  }
  EkBuf *out = ek_channel_call (q, EK_Q_SUBMIT, answered, sub);
  ek_pack_u64 (out, sub->stream);
  ek_pack_u64 (out, sub->stream ? sub->size : 0);
  ek_buf_append (out, ek_buf_at (&sub->envelope), ek_buf_len (&sub->envelope));
  ek_pack_str (out, sub->stream ? EK_STR ("") : ek_buf_str (&sub->bytes));
  ek_channel_end (q);
  ek_buf_release (&sub->bytes);
  ek_buf_release (&sub->envelope);
}

void
ek_submit_commit (EkSubmit *sub, const EkEnvelope *envelope, EkSubmitFunc func, gpointer data)
{
  sub->func = func;
  sub->data = data;
  sub->committed = true;
  pack_envelope (sub, envelope);
  if (sub->stream && !sub->broken && ek_buf_len (&sub->bytes) > 0)
    return;                          /* writable() goes on */
  send_envelope (sub);
}
