/* writer.c - a message's bytes on their way to disk: line ends, both sizes, checksum
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_AT (64 << 10)

void
writer_begin (Writer *w, const EkStaged *staged)
{
  *w = (Writer) { .fd = staged->fd, .lf = staged->lf };
}

static bool
flush (Writer *w)
{
  while (ek_buf_len (&w->out) > 0) {
    gssize n = write (w->fd, ek_buf_at (&w->out), ek_buf_len (&w->out));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      errno = n == 0 ? ENOSPC : errno;
      return false;
    }
    w->crc = ek_crc32c (w->crc, ek_buf_at (&w->out), (gsize) n);
    ek_buf_consume (&w->out, (gsize) n);
  }
  ek_buf_clear (&w->out);
  return true;
}

static bool
emit (Writer *w, const char *p, gsize n)
{
  if (n == 0)
    return true;
  ek_buf_append (&w->out, p, n);
  w->psize += n;
  w->vsize += n;
  w->last = p[n - 1];
  return ek_buf_len (&w->out) < FLUSH_AT || flush (w);
}

/* One LF; on the way back it will be CRLF. */
static bool
emit_lf (Writer *w)
{
  w->vsize += w->last != '\r';
  return emit (w, "\n", 1);
}

bool
writer_put (Writer *w, const char *p, gsize n)
{
  const char *end = p + n;

  while (p < end) {
    if (w->held) {
      w->held = false;
      if (*p != '\n' && !emit (w, "\r", 1))
        return false;
    }
    const char *nl = memchr (p, '\n', (gsize) (end - p));
    gsize run = (gsize) ((nl ? nl : end) - p);
    bool cut = w->lf && run > 0 && p[run - 1] == '\r';
    if (!emit (w, p, run - cut))
      return false;
    if (nl == NULL) {
      w->held = cut;
      return true;
    }
    if (!emit_lf (w))
      return false;
    p = nl + 1;
  }
  return true;
}

bool
writer_end (Writer *w)
{
  bool good = (!w->held || emit (w, "\r", 1)) && flush (w);
  int code = errno;

  ek_buf_release (&w->out);
  errno = code;
  return good;
}
