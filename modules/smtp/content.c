/* content.c - a message's content on its way out: CRLF line ends, dots stuffed, a window at a time
 * SPDX-License-Identifier: Apache-2.0
 *
 * Content of local programs may hold LF lines, and whatever a CR alone means to the next hop, it is not sent: it
 * becomes a space.  So nothing in a message can look like its end.
 *
 * A line that is longer than the next hop must take (RFC 5321 4.5.3.1.6) is broken with CRLF and a space, as Postfix
 * does: in a header that is folding, in a body it is the least damage, and better than a host that breaks it its own
 * way or sends it back.  Where that falls between the bytes of a UTF-8 character, the line is broken before it.
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
  conn->column = 0;
  conn->cr = conn->content_over = conn->broken = false;
}

static void
end_line (ClientConn *conn)
{
  ek_buf_append (&conn->out, "\r\n", 2);
  conn->at_line = true;
  conn->column = 0;
}

static void
break_line (ClientConn *conn)
{
  char id[EK_QUEUE_ID_LEN + 1];

  if (!conn->broken) {
    ek_queue_id_text (conn->trip->hop->id, id);
    ek_log (EK_INFO, client_is_lmtp (conn->client) ? "lmtp" : "smtp", "%s: breaking line > %d bytes with <CR><LF>SPACE", id,
            (int) conn->client->line_length_limit);
  }
  conn->broken = true;
  ek_buf_append (&conn->out, "\r\n ", 3);
  conn->column = 1;
}

/* How many of n bytes go before the break when at most `room` may: not into a character. */
static gsize
whole_characters (const char *p, gsize room)
{
  gsize n = room;

  while (n > 0 && room - n < 4 && ((guchar) p[n] & 0xc0) == 0x80)
    n--;
  return ((guchar) p[n] & 0xc0) == 0x80 || n == 0 ? room : n;
}

/* Bytes at the end that begin a character whose rest is in the next piece. */
static gsize
unfinished (const char *p, gsize n)
{
  for (gsize k = 1; k < 4 && k <= n; k++) {
    guchar c = (guchar) p[n - k];
    if ((c & 0xc0) != 0x80)
      return k < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : c >= 0xc0 ? 2u : 1u) ? k : 0;
  }
  return 0;
}

/* Bytes without a line end. */
static void
append_run (ClientConn *conn, const char *p, gsize n)
{
  gsize limit = (gsize) conn->client->line_length_limit;

  while (limit > 0 && conn->column + n > limit) {
    gsize fits = whole_characters (p, limit - conn->column);
    ek_buf_append (&conn->out, p, fits);
    p += fits;
    n -= fits;
    break_line (conn);
  }
  gsize rest = limit > 0 && conn->column + n > limit - 4 ? unfinished (p, n) : 0;
  if (rest > 0) {                    /* where the limit may fall into it */
    ek_buf_append (&conn->out, p, n - rest);
    p += n - rest;
    n = rest;
    break_line (conn);
  }
  ek_buf_append (&conn->out, p, n);
  conn->column += n;
  conn->at_line = conn->at_line && n == 0;
}

/* Appends with CRLF line ends and stuffed dots. */
static void
append_lines (ClientConn *conn, const char *p, gsize n)
{
  const char *end = p + n;

  while (p < end) {
    if (conn->cr) {                  /* the last piece ended with it */
      conn->cr = false;
      if (*p == '\n')
        end_line (conn), p++;
      else
        append_run (conn, " ", 1);
      continue;
    }
    if (conn->at_line && *p == '.')
      ek_buf_appendc (&conn->out, '.');          /* does not count */
    const char *lf = memchr (p, '\n', (gsize) (end - p));
    const char *stop = lf ? lf : end;
    const char *cr = memchr (p, '\r', (gsize) (stop - p));
    const char *upto = cr ? cr : stop;
    append_run (conn, p, (gsize) (upto - p));
    p = upto;
    if (cr)
      conn->cr = true, p++;
    else if (lf)
      end_line (conn), p++;
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
    append_run (conn, " ", 1);
  if (!conn->at_line)
    end_line (conn);
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
