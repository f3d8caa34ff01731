/* drop.c - reads what sendmail(1) has left, in pieces
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/base.h"
#include "mail/address.h"
#include "queue/drop.h"
#include <string.h>

#define FIELD_MAX 1024               /* what is looked at of a header line */

/* ---- the envelope ---- */

static const char *
notify_words (EkDrop *d, EkStr value)
{
  static const struct { const char *word; guint8 bit; } words[] = {
    { "never", EK_NOTIFY_NEVER }, { "success", EK_NOTIFY_SUCCESS }, { "failure", EK_NOTIFY_FAILURE }, { "delay", EK_NOTIFY_DELAY },
  };
  g_auto (GStrv) given = g_strsplit (value.p, ",", 8);

  for (guint i = 0; given[i]; i++)
    for (guint k = 0; k < G_N_ELEMENTS (words); k++)
      if (g_ascii_strcasecmp (given[i], words[k].word) == 0)
        d->notify |= words[k].bit;
  return d->notify == 0 || (d->notify & EK_NOTIFY_NEVER && d->notify != EK_NOTIFY_NEVER) ? "its notify words make no sense" : NULL;
}

static const char *
envelope_line (EkDrop *d, EkStr line)
{
  EkStr value = line.n > 2 ? ek_pool_str (d->pool, (EkStr) { line.p + 2, line.n - 2 }) : EK_STR ("");
  EkAddress a;
  const char *wrong;

  if (line.n < 2 || line.p[1] != ' ')
    return "a line of the envelope is malformed";
  else if (line.p[0] == 'S' && d->had_sender)
    return "it has two senders";
  else if (line.p[0] == 'S') {
    d->had_sender = true;
    wrong = value.n ? ek_address_parse (d->pool, value, EK_PATH_NODOMAIN | EK_PATH_UTF8 | EK_PATH_LAX, &a) : NULL;
    if (wrong)
      return wrong;
    d->sender = value.n ? a.address : value;
  }
  else if (line.p[0] == 'R') {
    wrong = ek_address_parse (d->pool, value, EK_PATH_NODOMAIN | EK_PATH_UTF8 | EK_PATH_LAX, &a);
    if (wrong)
      return wrong;
    EkSpoolTo to = { .address = a.address };
    if (a.domain.n == 0)
      to.address = ek_str (ek_pool_printf (d->pool, "%.*s@%s", EK_STR_ARG (a.address), d->hostname));
    g_array_append_val (d->to, to);
  }
  else if (line.p[0] == 'V' && value.n <= 100)
    d->envid = value;
  else if (line.p[0] == 'F')
    d->full_name = value;
  else if (line.p[0] == 'N')
    return notify_words (d, value);
  else if (line.p[0] == 'T')
    d->flags |= ek_str_ieq (value, EK_STR ("full")) ? EK_MSG_RET_FULL : EK_MSG_RET_HDRS;
  else
    return "a line of the envelope is of no known kind";
  return NULL;
}

/* An empty line: the message begins. */
static const char *
envelope_end (EkDrop *d)
{
  for (guint i = 0; i < d->to->len; i++)
    g_array_index (d->to, EkSpoolTo, i).notify = d->notify;
  if (d->to->len == 0)
    return "it has no recipient";
  if (d->sender.n > 0 && memchr (d->sender.p, '@', d->sender.n) == NULL)
    d->sender = ek_str (ek_pool_printf (d->pool, "%.*s@%s", EK_STR_ARG (d->sender), d->hostname));
  d->in_body = d->in_header = true;
  return NULL;
}

static const char *
whole_line (EkDrop *d)
{
  EkStr line = ek_buf_str (&d->line);
  const char *wrong = NULL;

  if (!d->begun)
    wrong = ek_str_eq (line, EK_STR (EK_DROP_MAGIC)) ? NULL : "it does not begin with " EK_DROP_MAGIC;
  else
    wrong = line.n == 0 ? envelope_end (d) : envelope_line (d, line);
  d->begun = true;
  ek_buf_clear (&d->line);
  return wrong;
}

/* Takes the envelope's lines out of the bytes; *used of them. */
static const char *
envelope (EkDrop *d, const char *bytes, gsize n, gsize *used)
{
  const char *wrong = NULL;

  *used = 0;
  while (*used < n && !d->in_body && wrong == NULL) {
    const char *at = bytes + *used, *nl = memchr (at, '\n', n - *used);
    gsize len = nl ? (gsize) (nl - at) : n - *used;
    if (ek_buf_len (&d->line) + len > EK_DROP_LINE_MAX)
      return "a line of the envelope is too long";
    ek_buf_append (&d->line, at, len);
    *used += len + (nl != NULL);
    d->envelope += len + (nl != NULL);
    if (d->envelope > EK_DROP_ENVELOPE_MAX)
      return "the envelope is too large";
    if (nl)
      wrong = whole_line (d);
  }
  return wrong;
}

/* ---- the message ---- */

static void
header_line (EkDrop *d)
{
  EkStr line = ek_str_trim (ek_buf_str (&d->line)), whole = ek_buf_str (&d->line);

  if (line.n == 0)
    d->in_header = false;
  d->had_from = d->had_from || ek_str_istarts (whole, EK_STR ("from:"));
  d->had_date = d->had_date || ek_str_istarts (whole, EK_STR ("date:"));
  if (ek_str_istarts (whole, EK_STR ("message-id:"))) {
    d->had_id = true;
    d->message_id = ek_pool_str (d->pool, ek_str_trim ((EkStr) { line.p + 11, line.n - 11 }));
  }
  ek_buf_clear (&d->line);
}

static void
look_at_header (EkDrop *d, const char *bytes, gsize n)
{
  while (n > 0 && d->in_header) {
    const char *nl = memchr (bytes, '\n', n);
    gsize len = nl ? (gsize) (nl - bytes) : n, room = FIELD_MAX - MIN (FIELD_MAX, ek_buf_len (&d->line));
    ek_buf_append (&d->line, bytes, MIN (len, room));
    if (nl)
      header_line (d);
    len += nl != NULL;
    bytes += len;
    n -= len;
  }
}

/* Appends with CRLF line ends. */
static void
append_crlf (EkDrop *d, const char *bytes, gsize n, EkBuf *out)
{
  while (n > 0) {
    const char *nl = memchr (bytes, '\n', n);
    gsize len = nl ? (gsize) (nl - bytes) : n;
    ek_buf_append (out, bytes, len);
    if (len > 0)
      d->last = bytes[len - 1];
    if (nl == NULL)
      return;
    ek_buf_append (out, d->last == '\r' ? "\n" : "\r\n", d->last == '\r' ? 1 : 2);
    d->last = '\n';
    bytes = nl + 1;
    n -= len + 1;
  }
}

static bool
has_8bit (const char *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (bytes[i] & 0x80)
      return true;
  return false;
}

/* ---- all of it ---- */

void
ek_drop_start (EkDrop *d, EkPool *pool, const char *hostname)
{
  *d = (EkDrop) { .pool = pool, .hostname = hostname, .to = g_array_new (FALSE, FALSE, sizeof (EkSpoolTo)), .last = '\n' };
}

const char *
ek_drop_feed (EkDrop *d, const char *bytes, gsize n, EkBuf *out)
{
  gsize used = 0;
  const char *wrong = d->in_body ? NULL : envelope (d, bytes, n, &used);

  if (wrong || !d->in_body)
    return wrong;
  bytes += used;
  n -= used;
  look_at_header (d, bytes, n);
  if (!(d->flags & EK_MSG_8BIT) && has_8bit (bytes, n))
    d->flags |= EK_MSG_8BIT;
  append_crlf (d, bytes, n, out);
  return NULL;
}

const char *
ek_drop_finish (EkDrop *d, EkBuf *out)
{
  if (!d->in_body)
    return "the envelope does not end";
  if (d->in_header && ek_buf_len (&d->line) > 0)
    header_line (d);
  if (d->last != '\n')
    ek_buf_appends (out, "\r\n");
  return NULL;
}

void
ek_drop_clear (EkDrop *d)
{
  g_clear_pointer (&d->to, g_array_unref);
  ek_buf_release (&d->line);
}
