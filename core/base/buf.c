/* buf.c - byte queues: appended at the end, consumed at the front
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include <string.h>

char *
ek_buf_room (EkBuf *buf, gsize n)
{
  if (buf->cap - buf->end >= n && buf->data)
    return buf->data + buf->end;
  gsize len = ek_buf_len (buf);
  if (buf->data && buf->cap >= len + n && buf->start >= len) {      /* the moved part is the smaller one */
    memmove (buf->data, buf->data + buf->start, len);
  }
  else {
    gsize cap = MAX (buf->cap * 2, 256);
    while (cap < len + n)
      cap *= 2;
    char *data = g_malloc (cap);
    if (len > 0)
      memcpy (data, buf->data + buf->start, len);
    g_free (buf->data);
    buf->data = data;
    buf->cap = cap;
  }
  buf->start = 0;
  buf->end = len;
  return buf->data + len;
}

void
ek_buf_added (EkBuf *buf, gsize n)
{
  g_assert (n <= buf->cap - buf->end);
  buf->end += n;
}

void
ek_buf_append (EkBuf *buf, const void *bytes, gsize n)
{
  if (n == 0)
    return;
  memcpy (ek_buf_room (buf, n), bytes, n);
  buf->end += n;
}

void
ek_buf_appends (EkBuf *buf, const char *s)
{
  ek_buf_append (buf, s, strlen (s));
}

void
ek_buf_appendc (EkBuf *buf, char c)
{
  *ek_buf_room (buf, 1) = c;
  buf->end++;
}

void
ek_buf_vprintf (EkBuf *buf, const char *fmt, va_list args)
{
  va_list again;
  va_copy (again, args);
  gsize room = buf->cap - buf->end;
  int n = g_vsnprintf (buf->data ? buf->data + buf->end : NULL, room, fmt, args);
  if (n >= 0 && (gsize) n >= room)
    g_vsnprintf (ek_buf_room (buf, (gsize) n + 1), (gulong) n + 1, fmt, again);
  if (n > 0)
    buf->end += (gsize) n;
  va_end (again);
}

void
ek_buf_printf (EkBuf *buf, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  ek_buf_vprintf (buf, fmt, args);
  va_end (args);
}

void
ek_buf_consume (EkBuf *buf, gsize n)
{
  g_assert (n <= ek_buf_len (buf));
  buf->start += n;
  if (buf->start == buf->end)
    buf->start = buf->end = 0;
}

void
ek_buf_clear (EkBuf *buf)
{
  buf->start = buf->end = 0;
}

void
ek_buf_release (EkBuf *buf)
{
  g_free (buf->data);
  *buf = (EkBuf) { 0 };
}
