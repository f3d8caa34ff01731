/* content.c - a message's content on its way out: CRLF line ends, dots stuffed, a window at a time
 * SPDX-License-Identifier: Apache-2.0
 *
 * Content of local programs may hold LF lines, and whatever a CR alone means to the next hop, it is not sent: it
 * becomes a space.  So nothing in a message can look like its end.
 */
#include "client.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE 16384
#define SCAN_MAX (1 << 20)           /* of a large message that is looked through for 8-bit characters */

void
client_content_begin (ClientConn *conn)
{
  conn->part = 0;
  conn->part_at = 0;
  conn->at_line = true;
  conn->cr = conn->content_over = false;
}

/* Appends with CRLF line ends and stuffed dots. */
static void
append_lines (ClientConn *conn, const char *p, gsize n)
{
  EkBuf *out = &conn->out;
  const char *end = p + n;

  while (p < end) {
    if (conn->cr) {                  /* the last piece ended with it */
      conn->cr = false;
      ek_buf_append (out, *p == '\n' ? "\r\n" : " ", *p == '\n' ? 2 : 1);
      conn->at_line = *p == '\n';
      p += *p == '\n';
      continue;
    }
    if (conn->at_line && *p == '.')
      ek_buf_appendc (out, '.');
    const char *lf = memchr (p, '\n', (gsize) (end - p));
    const char *stop = lf ? lf : end;
    const char *cr = memchr (p, '\r', (gsize) (stop - p));
    const char *upto = cr ? cr : stop;
    ek_buf_append (out, p, (gsize) (upto - p));
    conn->at_line = false;
    p = upto;
    if (cr)
      conn->cr = true, p++;
    else if (lf) {
      ek_buf_append (out, "\r\n", 2);
      conn->at_line = true;
      p++;
    }
  }
}

/* The next piece of the content; n is 0 at the end, negative when it cannot be read. */
static ssize_t
next_piece (ClientConn *conn, char *buffer, const char **piece)
{
  const EkHop *hop = conn->trip->hop;

  while (conn->part < hop->n_parts) {
    const EkSpoolPart *part = &hop->parts[conn->part];
    guint64 len = part->bytes.p ? part->bytes.n : part->len;
    if (conn->part_at >= len) {
      conn->part++;
      conn->part_at = 0;
      continue;
    }
    gsize want = (gsize) MIN (len - conn->part_at, PIECE);
    ssize_t n = (ssize_t) want;
    *piece = buffer;
    if (part->bytes.p)
      *piece = part->bytes.p + conn->part_at;
    else if ((n = pread (hop->fd, buffer, want, (off_t) (part->from + conn->part_at))) <= 0)
      return n == 0 ? (errno = EIO, -1) : n;
    conn->part_at += (guint64) n;
    return n;
  }
  return 0;
}

static void
end_content (ClientConn *conn)
{
  if (conn->cr)
    ek_buf_append (&conn->out, " ", 1);
  if (!conn->at_line)
    ek_buf_append (&conn->out, "\r\n", 2);
  ek_buf_append (&conn->out, ".\r\n", 3);
  conn->content_over = conn->dot_sent = true;
}

bool
client_content_fill (ClientConn *conn)
{
  char buffer[PIECE];
  const char *piece;

  while (ek_buf_len (&conn->out) < CLIENT_WINDOW) {
    ssize_t n = next_piece (conn, buffer, &piece);
    if (n < 0) {
      ek_log (EK_ERR, "smtp", "a message's content cannot be read: %s", g_strerror (errno));
      client_conn_lost (conn, "the content cannot be read: %s", g_strerror (errno));
      return false;
    }
    if (n == 0) {
      end_content (conn);
      client_expect (conn, TALK_END);
      return true;
    }
    append_lines (conn, piece, (gsize) n);
  }
  return true;
}

/* ---- what is in it ---- */

static bool
has_8bit (const char *p, gsize n)
{
  guint64 word;

  for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
    memcpy (&word, p, sizeof word);
    if (word & G_GUINT64_CONSTANT (0x8080808080808080))
      return true;
  }
  for (; n > 0; p++, n--)
    if ((guchar) *p >= 0x80)
      return true;
  return false;
}

/* Where the header ends in these bytes; n when it does not. */
static gsize
header_end (const char *p, gsize n)
{
  for (const char *lf = p; (lf = memchr (lf, '\n', (gsize) (p + n - lf))); lf++)
    if ((lf + 1 < p + n && lf[1] == '\n') || (lf + 2 < p + n && lf[1] == '\r' && lf[2] == '\n'))
      return (gsize) (lf - p);
  return n;
}

bool
client_content_is_8bit (const EkHop *hop, bool header_only)
{
  char buffer[PIECE];
  guint64 seen = 0;

  for (guint i = 0; i < hop->n_parts; i++) {
    const EkSpoolPart *part = &hop->parts[i];
    guint64 len = part->bytes.p ? part->bytes.n : part->len;
    for (guint64 at = 0; at < len;) {
      const char *p = part->bytes.p ? part->bytes.p + at : buffer;
      ssize_t n = part->bytes.p ? (ssize_t) (len - at) : pread (hop->fd, buffer, (gsize) MIN (len - at, PIECE), (off_t) (part->from + at));
      if (n <= 0 || seen > SCAN_MAX)
        return true;                 /* not known: careful */
      gsize upto = header_only ? header_end (p, (gsize) n) : (gsize) n;
      if (has_8bit (p, upto))
        return true;
      if (upto < (gsize) n)
        return false;
      at += (guint64) n;
      seen += (guint64) n;
    }
  }
  return false;
}
