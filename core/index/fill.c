/* fill.c - what a row caches, made from the message: envelope, structure, header fields, size
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only the header is read when nothing else is asked for. */
#include "index/index.h"
#include "mail/imapfmt.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (32 << 10)
#define HEADERS_MAX (64 << 10)       /* of the cached fields of one message */

static const char *const fields[]
    = { "bcc",        "cc",          "content-type", "date",          "from",
        "importance", "in-reply-to", "list-id",      "list-post",     "list-unsubscribe",
        "message-id", "references",  "reply-to",     "sender",        "subject",
        "to",         "x-priority",  "x-spam-flag",  "x-spam-status", NULL };

const char *const *
ek_cached_fields (void)
{
  return fields;
}

static bool
is_cached (EkStr name)
{
  for (guint i = 0; fields[i]; i++)
    if (strlen (fields[i]) == name.n && g_ascii_strncasecmp (fields[i], name.p, name.n) == 0)
      return true;
  return false;
}

/* The field as it stands, every line with CRLF. */
static void
append_crlf (EkBuf *out, EkStr raw)
{
  const char *end = raw.p + raw.n;

  for (const char *p = raw.p; p < end;) {
    const char *nl = memchr (p, '\n', (gsize) (end - p));
    const char *stop = nl ? nl : end;
    gsize n = (gsize) (stop - p);
    if (n > 0 && p[n - 1] == '\r')
      n--;
    ek_buf_append (out, p, n);
    ek_buf_append (out, "\r\n", 2);
    p = nl ? nl + 1 : end;
  }
}

static bool
field (const EkHeader *header, gpointer data)
{
  EkBuf *out = data;

  if (header->colon && !header->truncated && is_cached (header->name) &&
      ek_buf_len (out) + header->raw.n <= HEADERS_MAX)
    append_crlf (out, header->raw);
  return true;
}

typedef struct {
  guint          items;
  EkHeaderSplit  split;
  EkMimeParser  *mime;
  EkBuf          headers;
} Fill;

/* Returns false when nothing more is needed. */
static bool
feed (Fill *fill, const char *bytes, gsize n)
{
  bool body = fill->items & (EK_ROW_STRUCTURE | EK_ROW_SIZE);
  gsize head = n;

  if (!fill->split.done)
    head = ek_header_split_feed (&fill->split, bytes, n);
  ek_mime_parser_feed (fill->mime, bytes, body ? n : head);
  return body || !fill->split.done;
}

static EkStr
into_pool (EkPool *pool, EkBuf *buf)
{
  EkStr s
      = ek_pool_str (pool, (EkStr) { ek_buf_len (buf) ? ek_buf_at (buf) : "", ek_buf_len (buf) });

  ek_buf_release (buf);
  return s;
}

static void
results (Fill *fill, EkPool *pool, Filled *filled)
{
  EkMime *mime = ek_mime_parser_finish (fill->mime);
  EkBuf out = { 0 };

  if (fill->items & EK_ROW_ENVELOPE) {
    ek_imap_envelope (&out, mime->root->envelope);
    filled->envelope = into_pool (pool, &out);
  }
  if (fill->items & EK_ROW_STRUCTURE) {
    ek_mime_save (mime, &out);
    filled->structure = into_pool (pool, &out);
  }
  if (fill->items & (EK_ROW_STRUCTURE | EK_ROW_SIZE))
    filled->vsize = (gint64) mime->total.octets;
  if (fill->items & EK_ROW_HEADERS)
    filled->headers = into_pool (pool, &fill->headers);
}

EkStatus
fill_read (int fd, gint64 offset, gint64 length, guint items, EkPool *pool, Filled *filled,
           GError **error)
{
  g_autoptr (EkPool) scratch = ek_pool_new ();
  Fill fill = { .items = items & EK_ROW_STRUCTURE ? items | EK_ROW_ENVELOPE : items };
  char *chunk = ek_pool_alloc (scratch, CHUNK);
  gssize n = 0;

  fill.split = (EkHeaderSplit) { .func = field, .data = &fill.headers };
  fill.mime = ek_mime_parser_new (scratch, NULL);
  for (gint64 at = 0; at < length; at += n) {
    n = pread (fd, chunk, (gsize) MIN (CHUNK, length - at), offset + at);
    if (n <= 0 || !feed (&fill, chunk, (gsize) n))
      break;
  }
  int code = errno;
  if (n >= 0) {
    if (!fill.split.done)
      ek_header_split_end (&fill.split);
    results (&fill, pool, filled);
  }
  ek_header_split_clear (&fill.split);
  ek_buf_release (&fill.headers);
  return n < 0 ? ek_fail (error, EK_DEFER, code, "a message cannot be read: %s", g_strerror (code))
               : EK_OK;
}
