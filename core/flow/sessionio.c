/* sessionio.c - a session's bytes: what the client sends, as much as is wanted; the replies of a turn, at once
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/sessionprivate.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE 65536
#define INPUT_MAX 65536              /* when the protocol names none */

static char *shared;                 /* READ_SIZE bytes, for all sessions */

void
ek_session_soon (EkSession *s)
{
  if (s->loop)
    ek_loop_later (s->loop, &s->task);
}

/* ---- output ---- */

static void
wrote (EkSession *s)
{
  if (ek_buf_len (&s->out) > EK_SESSION_LOW_WATER)   /* drained() is due, even if the kernel takes all at once */
    s->above = true;
  if (!s->blocked)
    ek_session_soon (s);
}

void
ek_session_send (EkSession *s, const void *bytes, gsize len)
{
  if (s->closed || s->lingering || len == 0)
    return;
  ek_buf_append (&s->out, bytes, len);
  wrote (s);
}

void
ek_session_sends (EkSession *s, const char *text)
{
  ek_session_send (s, text, strlen (text));
}

void
ek_session_sendf (EkSession *s, const char *fmt, ...)
{
  va_list args;

  if (s->closed || s->lingering)
    return;
  va_start (args, fmt);
  ek_buf_vprintf (&s->out, fmt, args);
  va_end (args);
  wrote (s);
}

void
ek_session_watch_for (EkSession *s)
{
  bool read = !s->eof && !s->starttls && (s->lingering || !s->closing)
              && !(s->waiting && ek_buf_len (&s->in) >= (s->ops->input_max ? s->ops->input_max : INPUT_MAX));

  if (s->watch.fd >= 0)              /* that he is gone is told even while nothing else is wanted of him */
    ek_watch_set (s->loop, &s->watch, EPOLLHUP | EPOLLERR | (read ? EPOLLIN : 0) | (s->blocked ? EPOLLOUT : 0));
}

bool
ek_session_flush (EkSession *s)
{
  if (s->watch.fd < 0) {
    if (s->host.output && ek_buf_len (&s->out) > 0)
      s->host.output (s, ek_buf_at (&s->out), ek_buf_len (&s->out));
    ek_buf_clear (&s->out);
  }
  while (ek_buf_len (&s->out) > 0) {
    ssize_t n = send (s->watch.fd, ek_buf_at (&s->out), ek_buf_len (&s->out), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      s->blocked = true;
      break;
    }
    if (n < 0) {
      ek_session_end (s, EK_CLOSED_BY_CLIENT);
      return false;
    }
    ek_buf_consume (&s->out, (gsize) n);
    s->blocked = false;
  }
  if (ek_buf_len (&s->out) == 0) {
    s->blocked = false;
    ek_buf_release (&s->out);
  }
  return true;
}

/* ---- input ---- */

bool
ek_session_may_read (const EkSession *s)
{
  return !s->waiting && !s->closing && !s->closed && !s->starttls;
}

/* Gives the protocol what is there until it wants no more; returns the bytes consumed. */
static gsize
offer (EkSession *s, const char *bytes, gsize n)
{
  gsize at = 0;

  s->in_input = true;
  while (at < n && ek_session_may_read (s)) {
    gsize took = s->ops->input (s, s->state, bytes + at, n - at);
    g_assert (took <= n - at);
    at += took;
    if (took == 0)
      break;
  }
  s->in_input = false;
  return at;
}

void
ek_session_digest (EkSession *s, const char *bytes, gsize n)
{
  gsize max = s->ops->input_max ? s->ops->input_max : INPUT_MAX;

  if (ek_buf_len (&s->in) > 0) {
    ek_buf_append (&s->in, bytes, n);
    gsize took = offer (s, ek_buf_at (&s->in), ek_buf_len (&s->in));
    ek_buf_consume (&s->in, took);
  }
  else {
    gsize took = offer (s, bytes, n);
    if (took < n)
      ek_buf_append (&s->in, bytes + took, n - took);
  }
  if (ek_buf_len (&s->in) == 0)
    ek_buf_release (&s->in);
  else if (ek_session_may_read (s) && ek_buf_len (&s->in) > max)
    ek_session_end (s, EK_CLOSED_ERROR);
}

static void
linger (EkSession *s)
{
  ssize_t n;

  while ((n = recv (s->watch.fd, shared, READ_SIZE, MSG_DONTWAIT)) > 0)
    ;
  if (n == 0 || (errno != EAGAIN && errno != EINTR))
    ek_session_end (s, s->why);
}

void
ek_session_restart_timer (EkSession *s)
{
  if (s->idle > 0)
    ek_timer_set (s->loop, &s->timer, s->idle);
}

void
ek_session_readable (EkWatch *watch, guint32 events)
{
  EkSession *s = (EkSession *) ((char *) watch - G_STRUCT_OFFSET (EkSession, watch));

  if (shared == NULL)
    shared = g_malloc (READ_SIZE);
  if (s->lingering) {
    linger (s);
    return;
  }
  ek_session_ref (s);
  if (events & EPOLLOUT) {           /* he took something of a long answer: he is not silent */
    ek_session_restart_timer (s);
    s->blocked = false;
    ek_session_soon (s);
  }
  if ((events & (EPOLLHUP | EPOLLERR)) && !(watch->events & EPOLLIN))
    ek_session_end (s, s->closing ? s->why : EK_CLOSED_BY_CLIENT);
  else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t n = recv (s->watch.fd, shared, READ_SIZE, MSG_DONTWAIT);
    if (n > 0) {
      ek_session_restart_timer (s);
      ek_session_digest (s, shared, (gsize) n);
    }
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      s->eof = true;
      if (n < 0 || (events & (EPOLLHUP | EPOLLERR)))         /* else he only sends no more, and may still read */
        ek_session_end (s, EK_CLOSED_BY_CLIENT);
    }
    if (!s->closed)
      ek_session_soon (s);
  }
  ek_session_unref (s);
}

void
ek_session_feed (EkSession *s, const char *bytes, gsize n)
{
  ek_session_ref (s);
  if (!s->closed && !s->closing)
    ek_session_digest (s, bytes, n);
  if (!s->closed)
    ek_session_soon (s);
  ek_session_unref (s);
}
