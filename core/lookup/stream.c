/* stream.c - reading and writing within a deadline and a bound
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/streamprivate.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 16384

bool
ek_stream_wrong (const EkStream *s, GError **error, int code, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  ek_fail (error, EK_DEFER, code, "%s: %s", s->server ? s->server->text : "server", text);
  return false;
}

const EkStreamServer *
ek_stream_server (const EkStream *s)
{
  return s->server;
}

EkStream *
ek_stream_of_bytes (EkStr bytes)
{
  EkStream *s = g_new0 (EkStream, 1);

  s->fd = -1;
  ek_buf_append (&s->in, bytes.p, bytes.n);
  return s;
}

void
ek_stream_close (EkStream *s)
{
  if (s == NULL)
    return;
  SSL_free (s->ssl);
  if (s->fd >= 0)
    close (s->fd);
  ek_buf_wipe (&s->in);              /* passwords may have come */
  g_free (s);
}

/* ---- moving bytes ---- */

bool
ek_stream_failed (const EkStream *s, int why, GError **error)
{
  return ek_stream_wrong (s, error, why, "%s", why == ETIMEDOUT ? "no answer in time" : why == ECANCELED ? "the question was given up" : g_strerror (why));
}

bool
ek_stream_wait (const EkStream *s, short events, GError **error)
{
  int why = ek_dial_wait (s->fd, events, s->deadline, s->call);

  return why == 0 || ek_stream_failed (s, why, error);
}

static EkMoved
move (EkStream *s, bool out, char *bytes, gsize n, gsize *moved, short *events)
{
  if (s->ssl)
    return ek_stream_tls_move (s, out, bytes, n, moved, events);
  gssize done = out ? send (s->fd, bytes, n, MSG_NOSIGNAL) : recv (s->fd, bytes, n, 0);
  *events = out ? POLLOUT : POLLIN;
  if (done > 0) {
    *moved = (gsize) done;
    return EK_MOVED;
  }
  if (done == 0)
    return EK_CLOSED;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? EK_BLOCKED : EK_BROKEN;
}

/* Moves at least one byte. */
static bool
move_some (EkStream *s, bool out, char *bytes, gsize n, gsize *moved, GError **error)
{
  short events = 0;

  for (;;) {
    switch (move (s, out, bytes, n, moved, &events)) {
    case EK_MOVED:
      return true;
    case EK_CLOSED:
      return ek_stream_wrong (s, error, ECONNRESET, "the server has closed the connection");
    case EK_BROKEN:
      return ek_stream_wrong (s, error, errno, "%s", s->ssl ? ek_stream_tls_reason () : g_strerror (errno));
    case EK_BLOCKED:
      if (!ek_stream_wait (s, events, error))
        return false;
    }
  }
}

static bool
fill (EkStream *s, GError **error)
{
  gsize n = MIN (s->budget, READ_SIZE), moved = 0;

  if (s->fd < 0)
    return ek_stream_wrong (s, error, ECONNRESET, "the server has closed the connection");
  if (n == 0)
    return ek_stream_wrong (s, error, E2BIG, "the answer is longer than is allowed");
  if (ek_now () >= s->deadline)      /* one who sends a byte now and then never makes us wait */
    return ek_stream_wrong (s, error, ETIMEDOUT, "no answer in time");
  if (!move_some (s, false, ek_buf_room (&s->in, n), n, &moved, error))
    return false;
  ek_buf_added (&s->in, moved);
  s->budget -= moved;
  return true;
}

/* ---- questions ---- */

static bool
is_quiet (EkStream *s)
{
  char byte;

  if (s->fd < 0)
    return true;
  if (ek_buf_len (&s->in) > s->taken)
    return false;
  if (s->ssl)
    return ek_stream_tls_is_quiet (s);
  return recv (s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool
ek_stream_begin (EkStream *s, const EkCall *call, EkTime timeout, gsize bytes_max, GError **error)
{
  s->call = call;
  s->deadline = ek_now () + timeout.us;
  if (call && call->deadline)
    s->deadline = MIN (s->deadline, call->deadline);
  s->budget = bytes_max;
  if (!is_quiet (s))
    return ek_stream_wrong (s, error, EPROTO, "the server has closed the connection, or said something that was not asked for");
  return true;
}

bool
ek_stream_write (EkStream *s, EkStr bytes, GError **error)
{
  gsize moved = 0;

  for (gsize at = 0; at < bytes.n && s->fd >= 0; at += moved)
    if (!move_some (s, true, (char *) bytes.p + at, bytes.n - at, &moved, error))
      return false;
  return true;
}

static void
drop_taken (EkStream *s)
{
  ek_buf_consume (&s->in, s->taken);
  s->taken = 0;
}

bool
ek_stream_bytes (EkStream *s, gsize n, EkStr *bytes, GError **error)
{
  drop_taken (s);
  if (n > ek_buf_len (&s->in) && n - ek_buf_len (&s->in) > s->budget && s->fd >= 0)
    return ek_stream_wrong (s, error, E2BIG, "the answer is longer than is allowed");
  while (ek_buf_len (&s->in) < n)
    if (!fill (s, error))
      return false;
  *bytes = (EkStr) { n ? ek_buf_at (&s->in) : "", n };
  s->taken = n;
  return true;
}

bool
ek_stream_line (EkStream *s, gsize max, EkStr *line, GError **error)
{
  const char *end = NULL;
  gsize seen = 0;

  drop_taken (s);
  for (;;) {
    gsize n = MIN (ek_buf_len (&s->in), max + 2);
    end = n > seen ? memchr (ek_buf_at (&s->in) + seen, '\n', n - seen) : NULL;
    if (end)
      break;
    if (n == max + 2)
      return ek_stream_wrong (s, error, E2BIG, "a line of the answer is longer than %" G_GSIZE_FORMAT " bytes", max);
    seen = n;
    if (!fill (s, error))
      return false;
  }
  *line = (EkStr) { ek_buf_at (&s->in), (gsize) (end - ek_buf_at (&s->in)) };
  s->taken = line->n + 1;
  if (line->n && line->p[line->n - 1] == '\r')
    line->n--;
  if (line->n > max)
    return ek_stream_wrong (s, error, E2BIG, "a line of the answer is longer than %" G_GSIZE_FORMAT " bytes", max);
  return true;
}
