/* channel.c - typed messages between roles, with descriptors, over a socketpair or in memory
 * SPDX-License-Identifier: Apache-2.0
 *
 * Frame: length of the body (32 bits), id (32), type (16), flags (8), descriptors (8), all in host
 * order.  A message with descriptors starts a sendmsg() of its own; the kernel delivers them not
 * later than its first byte, so the receiver's queue of descriptors is in step with the frames.
 */
#include "proc/channel.h"
#include "proc/passing.h"
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)
#define BEHIND    (16u << 20)         /* who does not read our answers is not read either */
#define ANSWER    1

typedef struct {
  guint32 len, id;
  guint16 type;
  guint8  flags, n_fds;
} Frame;

typedef struct {                     /* descriptors that leave with the byte at `at` */
  guint64 at;
  guint   n;
  int     fds[EK_CHANNEL_FDS];
} Parcel;

typedef struct {
  EkAnswerFunc func;
  gpointer     data;
} Owed;

struct EkChannel {
  EkWatch     watch;                 /* fd -1: in memory, or gone */
  EkLoop     *loop;
  EkChannel  *other;                 /* in memory */
  char       *name;
  EkMsgFunc   func;
  EkGoneFunc  gone;
  gpointer    data;

  EkBuf       out, in;
  guint64     sent;                  /* stream position of out's first byte */
  gsize       frame_at;              /* of the message under way, from out.start */
  Parcel      parcel;                /* of the message under way */
  GQueue      parcels;
  GArray     *in_fds;
  GHashTable *owed;                  /* id -> Owed *; NULL: freed, the task's end frees the rest */
  guint32     last_id;
  EkTask      flush;
  bool        open, is_local, blocked, paused, building, dispatching, told, broken;
};

static __thread char *shared;        /* READ_SIZE bytes: what was just read, for all channels of the thread */
static __thread bool shared_taken;

static void flush_task (EkTask *task);
static void readable (EkWatch *watch, guint32 events);

static EkChannel *
channel_make (EkLoop *loop, int fd, const char *name)
{
  EkChannel *ch = g_new0 (EkChannel, 1);

  ch->loop = loop;
  ch->name = g_strdup (name);
  ch->watch = (EkWatch) { .fd = fd, .func = readable };
  ch->flush.func = flush_task;
  ch->in_fds = g_array_new (FALSE, FALSE, sizeof (int));
  ch->owed = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  ch->open = true;
  return ch;
}

EkChannel *
ek_channel_new (EkLoop *loop, int fd, const char *name)
{
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  return channel_make (loop, fd, name);
}

void
ek_channel_pair (EkLoop *loop, EkChannel **a, EkChannel **b, const char *name)
{
  *a = channel_make (loop, -1, name);
  *b = channel_make (loop, -1, name);
  (*a)->other = *b;
  (*b)->other = *a;
  (*a)->is_local = (*b)->is_local = true;
}

static void
flush_soon (EkChannel *ch)
{
  ek_loop_later (ch->loop, &ch->flush);
}

void
ek_channel_handle (EkChannel *ch, EkMsgFunc func, EkGoneFunc gone, gpointer data)
{
  ch->func = func;
  ch->gone = gone;
  ch->data = data;
  flush_soon (ch);
  if (ch->other)
    flush_soon (ch->other);          /* what it sent before there was a handler */
}

const char *
ek_channel_name (const EkChannel *ch)
{
  return ch->name;
}

gpointer
ek_channel_data (const EkChannel *ch)
{
  return ch->data;
}

gsize
ek_channel_backlog (const EkChannel *ch)
{
  return ek_buf_len (&ch->out);
}

static void
close_fds (const int *fds, guint n)
{
  for (guint i = 0; i < n; i++)
    if (fds[i] >= 0)
      close (fds[i]);
}

static void
drop_owed (EkChannel *ch)
{
  GHashTableIter iter;
  gpointer key, value;

  while (ch->owed && g_hash_table_size (ch->owed) > 0) {
    g_hash_table_iter_init (&iter, ch->owed);
    g_hash_table_iter_next (&iter, &key, &value);
    Owed owed = *(Owed *) value;
    g_hash_table_remove (ch->owed, key);
    owed.func (NULL, owed.data);
  }
}

/* Nothing goes in or out any more; `gone` is told at the end of the turn. */
static void
channel_shut (EkChannel *ch)
{
  if (!ch->open)
    return;
  ch->open = false;
  if (ch->watch.fd >= 0) {
    ek_watch_set (ch->loop, &ch->watch, 0);
    close (ch->watch.fd);
    ch->watch.fd = -1;
  }
  if (ch->other) {
    EkChannel *other = ch->other;
    ch->other = other->other = NULL;
    channel_shut (other);
  }
  flush_soon (ch);
}

void
ek_channel_break (EkChannel *ch, const char *why)
{
  if (ch->open)
    ek_log (EK_WARN, "channel", "%s: closed: %s", ch->name, why);
  ch->broken = ch->broken || ch->open;
  channel_shut (ch);
}

bool
ek_channel_is_broken (const EkChannel *ch)
{
  return ch->broken;
}

static void
channel_destroy (EkChannel *ch)
{
  Parcel *parcel;

  while ((parcel = g_queue_pop_head (&ch->parcels))) {
    close_fds (parcel->fds, parcel->n);
    g_free (parcel);
  }
  close_fds ((int *) (void *) ch->in_fds->data, ch->in_fds->len);
  g_array_free (ch->in_fds, TRUE);
  ek_buf_release (&ch->out);
  ek_buf_release (&ch->in);
  g_free (ch->name);
  g_free (ch);
}

void
ek_channel_free (EkChannel *ch)
{
  if (ch == NULL)
    return;
  g_assert (!ch->dispatching);
  ch->func = NULL;
  ch->gone = NULL;
  channel_shut (ch);
  drop_owed (ch);
  g_clear_pointer (&ch->owed, g_hash_table_unref);
  if (!ch->flush.queued)             /* else the task, which the loop still holds, does it */
    channel_destroy (ch);
}

/* ---- sending ---- */

static EkBuf *
begin (EkChannel *ch, guint16 type, guint32 id, guint8 flags)
{
  Frame frame = { .id = id, .type = type, .flags = flags };

  g_assert (!ch->building);
  ch->building = true;
  ch->frame_at = ek_buf_len (&ch->out);
  ch->parcel.n = 0;
  ek_buf_append (&ch->out, &frame, sizeof frame);
  return &ch->out;
}

EkBuf *
ek_channel_send (EkChannel *ch, guint16 type)
{
  return begin (ch, type, 0, 0);
}

EkBuf *
ek_channel_call (EkChannel *ch, guint16 type, EkAnswerFunc func, gpointer data)
{
  Owed *owed = g_new (Owed, 1);

  *owed = (Owed) { func, data };
  do
    ch->last_id++;
  while (ch->last_id == 0 || g_hash_table_contains (ch->owed, GUINT_TO_POINTER (ch->last_id)));
  g_hash_table_insert (ch->owed, GUINT_TO_POINTER (ch->last_id), owed);
  return begin (ch, type, ch->last_id, 0);
}

EkBuf *
ek_channel_answer (EkChannel *ch, guint32 id)
{
  g_assert (id != 0);
  return begin (ch, 0, id, ANSWER);
}

void
ek_channel_attach (EkChannel *ch, int fd)
{
  g_assert (ch->building && ch->parcel.n < EK_CHANNEL_FDS && fd >= 0);
  ch->parcel.fds[ch->parcel.n++] = fd;
}

void
ek_channel_end (EkChannel *ch)
{
  char *frame = ek_buf_at (&ch->out) + ch->frame_at;
  gsize len = ek_buf_len (&ch->out) - ch->frame_at - sizeof (Frame);
  guint32 len32 = (guint32) len;

  g_assert (ch->building && len <= EK_CHANNEL_BODY);
  ch->building = false;
  memcpy (frame + G_STRUCT_OFFSET (Frame, len), &len32, sizeof len32);
  frame[G_STRUCT_OFFSET (Frame, n_fds)] = (char) ch->parcel.n;
  if (!ch->open) {                   /* a call's NULL answer comes with the flush task */
    close_fds (ch->parcel.fds, ch->parcel.n);
    ek_buf_clear (&ch->out);
  }
  else if (ch->parcel.n > 0) {
    ch->parcel.at = ch->sent + ch->frame_at;
    g_queue_push_tail (&ch->parcels, g_memdup2 (&ch->parcel, sizeof (Parcel)));
  }
  if (!ch->blocked)
    flush_soon (ch);
}

/* Sends up to the next parcel, or the parcel with its first bytes.  Returns false to stop. */
static bool
write_some (EkChannel *ch)
{
  Parcel *parcel = g_queue_peek_head (&ch->parcels);
  struct iovec iov = { ek_buf_at (&ch->out), ek_buf_len (&ch->out) };
  struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
  union {
    char           bytes[CMSG_SPACE (sizeof (int) * EK_CHANNEL_FDS)];
    struct cmsghdr align;
  } control;

  if (parcel && parcel->at > ch->sent)
    iov.iov_len = MIN (iov.iov_len, (gsize) (parcel->at - ch->sent));
  else if (parcel) {
    Parcel *next = ch->parcels.head->next ? ch->parcels.head->next->data : NULL;
    if (next)
      iov.iov_len = MIN (iov.iov_len, (gsize) (next->at - ch->sent));
    memset (&control, 0, sizeof control);
    msg.msg_control = &control;
    msg.msg_controllen = CMSG_SPACE (sizeof (int) * parcel->n);
    struct cmsghdr *c = CMSG_FIRSTHDR (&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN (sizeof (int) * parcel->n);
    memcpy (CMSG_DATA (c), parcel->fds, sizeof (int) * parcel->n);
  }
  ssize_t n = sendmsg (ch->watch.fd, &msg, MSG_NOSIGNAL);
  if (n < 0 && errno == EINTR)
    return true;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS)) {
    ch->blocked = true;              /* ETOOMANYREFS: too many descriptors in flight, the reader is behind */
    return false;
  }
  if (n < 0) {
    channel_shut (ch);
    return false;
  }
  if (msg.msg_control) {
    close_fds (parcel->fds, parcel->n);
    g_free (g_queue_pop_head (&ch->parcels));
  }
  ch->sent += (guint64) n;
  ek_buf_consume (&ch->out, (gsize) n);
  return true;
}

static void dispatch (EkChannel *ch);

static void
deliver_local (EkChannel *ch)
{
  EkChannel *other = ch->other;
  Parcel *parcel;

  if (other == NULL || other->func == NULL || other->paused || other->dispatching)
    return;
  while ((parcel = g_queue_pop_head (&ch->parcels))) {
    g_array_append_vals (other->in_fds, parcel->fds, parcel->n);
    g_free (parcel);
  }
  ch->sent += ek_buf_len (&ch->out);
  if (ek_buf_len (&other->in) == 0) {            /* swap: handlers may send on this very channel */
    EkBuf swap = other->in;
    other->in = ch->out;
    ch->out = swap;
    ek_buf_clear (&ch->out);
  }
  else {
    ek_buf_append (&other->in, ek_buf_at (&ch->out), ek_buf_len (&ch->out));
    ek_buf_clear (&ch->out);
  }
  dispatch (other);
}

static void
tell_gone (EkChannel *ch)
{
  drop_owed (ch);
  if (ch->told || ch->gone == NULL)
    return;
  ch->told = true;
  ch->gone (ch, ch->data);           /* may free ch */
}

static void
flush_task (EkTask *task)
{
  EkChannel *ch = (EkChannel *) ((char *) task - G_STRUCT_OFFSET (EkChannel, flush));

  if (ch->owed == NULL) {
    channel_destroy (ch);
    return;
  }
  if (ch->func && ek_buf_len (&ch->in) > 0 && !ch->dispatching)
    dispatch (ch);                   /* left from a pause */
  if (ch->open && ch->is_local)
    deliver_local (ch);
  while (ch->open && ch->watch.fd >= 0 && !ch->blocked && ek_buf_len (&ch->out) > 0)
    if (!write_some (ch))
      break;
  if (!ch->open) {
    tell_gone (ch);
    return;
  }
  if (ek_buf_len (&ch->out) == 0 && ch->out.cap > READ_SIZE)
    ek_buf_release (&ch->out);
  if (ch->watch.fd >= 0 && ch->func)
    ek_watch_set (ch->loop, &ch->watch, (ch->paused || (ch->blocked && ek_buf_len (&ch->out) > BEHIND) ? 0 : EPOLLIN)
                                        | (ch->blocked ? EPOLLOUT : 0));
}

void
ek_channel_flush (EkChannel *ch)
{
  if (ch->watch.fd < 0 || !ch->open)
    return;
  g_unix_set_fd_nonblocking (ch->watch.fd, FALSE, NULL);
  ch->blocked = false;
  while (ch->open && ek_buf_len (&ch->out) > 0)
    write_some (ch);
  if (ch->open)
    g_unix_set_fd_nonblocking (ch->watch.fd, TRUE, NULL);
}

void
ek_channel_pause (EkChannel *ch, bool pause)
{
  ch->paused = pause;
  flush_soon (ch);
  if (ch->other)
    flush_soon (ch->other);
}

/* ---- receiving ---- */

/* How many of what has come are the frame's, up to and with a gap; more than there are: its own have not come. */
static guint
fds_of (EkChannel *ch, const Frame *frame)
{
  for (guint i = 0; i < frame->n_fds; i++)
    if (i >= ch->in_fds->len || g_array_index (ch->in_fds, int, i) == EK_FD_LOST)
      return i + 1;
  return frame->n_fds;
}

static void
one_message (EkChannel *ch, const Frame *frame, const char *body)
{
  EkMsg msg = { .channel = ch, .type = frame->type, .id = frame->id,
                .in = { body, frame->len, false }, .n_fds = frame->n_fds };
  guint n = fds_of (ch, frame);

  for (guint i = 0; i < frame->n_fds; i++)
    msg.fds[i] = i < n ? g_array_index (ch->in_fds, int, i) : EK_FD_LOST;
  if (n > 0)
    g_array_remove_range (ch->in_fds, 0, n);
  if (frame->flags & ANSWER) {
    gpointer key = GUINT_TO_POINTER (frame->id);
    Owed *found = g_hash_table_lookup (ch->owed, key);
    if (found) {
      Owed owed = *found;
      g_hash_table_remove (ch->owed, key);
      owed.func (&msg, owed.data);
    }
    else
      ek_channel_break (ch, "an answer to no question");
  }
  else
    ch->func (&msg, ch->data);
  close_fds (msg.fds, msg.n_fds);
}

/* Hands out the whole messages in ch->in: also those that came just before the other end was gone. */
static void
dispatch (EkChannel *ch)
{
  Frame frame;
  const char *wrong = NULL;

  ch->dispatching = true;
  while (wrong == NULL && !ch->paused && ch->func && ek_buf_len (&ch->in) >= sizeof frame) {
    memcpy (&frame, ek_buf_at (&ch->in), sizeof frame);
    if (frame.len > EK_CHANNEL_BODY || frame.n_fds > EK_CHANNEL_FDS)
      wrong = "a frame out of bounds";
    else if (ek_buf_len (&ch->in) < sizeof frame + frame.len)
      break;
    else if (fds_of (ch, &frame) > ch->in_fds->len)
      wrong = "a frame without its descriptors";
    else {
      one_message (ch, &frame, ek_buf_at (&ch->in) + sizeof frame);
      ek_buf_consume (&ch->in, sizeof frame + frame.len);
    }
  }
  if (wrong == NULL && !ch->paused && ch->in_fds->len > 2 * EK_CHANNEL_FDS)
    wrong = "descriptors that belong to no frame";
  if (wrong) {
    ek_channel_break (ch, wrong);
    ek_buf_clear (&ch->in);
  }
  ch->dispatching = false;
}

/* Reads once, behind what is in ch->in; returns whether there may be more. */
static bool
read_some (EkChannel *ch)
{
  gssize n = ek_passing_read (ch->watch.fd, ek_buf_room (&ch->in, READ_SIZE), READ_SIZE, ch->in_fds, ch->name);

  if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
    return false;
  if (n <= 0) {
    channel_shut (ch);
    return false;
  }
  ek_buf_added (&ch->in, (gsize) n);
  return n == READ_SIZE;
}

/* Messages that came whole are handed out where they were read; the channel has a buffer of its own
 * only while the end of one is still to come. */
static void
read_and_dispatch (EkChannel *ch)
{
  bool borrow = ch->in.data == NULL && !shared_taken;

  if (borrow) {
    if (shared == NULL)
      shared = g_malloc (READ_SIZE);
    shared_taken = true;
    ch->in = (EkBuf) { .data = shared, .cap = READ_SIZE };
  }
  bool more = read_some (ch);
  dispatch (ch);
  ek_passing_done ();
  if (borrow) {
    EkBuf rest = { 0 };
    ek_buf_append (&rest, ek_buf_at (&ch->in), ek_buf_len (&ch->in));
    ch->in = rest;
    shared_taken = false;
  }
  else if (ek_buf_len (&ch->in) == 0 && !more)
    ek_buf_release (&ch->in);
}

static void
readable (EkWatch *watch, guint32 events)
{
  EkChannel *ch = (EkChannel *) ((char *) watch - G_STRUCT_OFFSET (EkChannel, watch));

  if (events & EPOLLOUT) {
    ch->blocked = false;
    flush_soon (ch);
  }
  if (!(events & ~(guint32) EPOLLOUT))
    return;
  read_and_dispatch (ch);
  if (ch->open && ch->blocked && ek_buf_len (&ch->out) > BEHIND)
    ek_watch_set (ch->loop, watch, EPOLLOUT);
}
