/* reply.c - SMTP reply lines (RFC 5321 4.2, enhanced codes of RFC 2034 and 3463)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/reply.h"
#include <stdio.h>
#include <string.h>

enum { IN_CODE, IN_SEPARATOR, IN_TEXT, IS_OVER };    /* EkSmtpReply.state */

static EkSmtpState
bad (EkSmtpReply *r, const char *why)
{
  r->state = IS_OVER;
  r->code = 0;
  r->text_len = g_strlcpy (r->text, why, sizeof r->text);
  return EK_SMTP_BAD;
}

/* "class.subject.detail": 1, up to 3 and up to 3 digits (RFC 3463 2). */
gsize
ek_smtp_dsn_len (EkStr t)
{
  gsize i = 1;

  if (t.n < 5 || (t.p[0] != '2' && t.p[0] != '4' && t.p[0] != '5'))
    return 0;
  for (int part = 0; part < 2; part++) {
    gsize digits = 0;
    if (i >= t.n || t.p[i++] != '.')
      return 0;
    while (i < t.n && digits < 4 && g_ascii_isdigit (t.p[i]))
      i++, digits++;
    if (digits == 0 || digits > 3)
      return 0;
  }
  return i == t.n || t.p[i] == ' ' || t.p[i] == '\t' || t.p[i] == '\n' ? i : 0;
}

/* A line is over; its text begins at `from`. */
static EkSmtpState
end_line (EkSmtpReply *r, gsize from)
{
  EkStr line = { r->text + from, r->text_len - from };
  gsize n = ek_smtp_dsn_len (line);

  if (r->column > 0 && r->column < 3)
    return bad (r, "the server's reply does not begin with three digits");
  if (r->column == 0)
    return bad (r, "the server sent an empty line for a reply");
  if (r->line_code < 200 || r->line_code > 599)
    return bad (r, "the server's reply code is not between 200 and 599");
  if (r->n_lines > 0 && r->line_code != r->code)
    return bad (r, "the lines of the server's reply have different codes");
  r->code = r->line_code;
  if (n > 0 && line.p[0] - '0' == r->code / 100)
    snprintf (r->dsn, sizeof r->dsn, "%.*s", (int) n, line.p);
  if (++r->n_lines > EK_SMTP_REPLY_LINES)
    return bad (r, "the server's reply has too many lines");
  r->state = IN_CODE;
  r->column = 0;
  r->line_code = 0;
  if (!r->more) {
    r->state = IS_OVER;
    return EK_SMTP_DONE;
  }
  return EK_SMTP_MORE;
}

static gsize
line_start (const EkSmtpReply *r)
{
  const char *nl = r->text_len > 0 ? memrchr (r->text, '\n', r->text_len) : NULL;

  return nl ? (gsize) (nl + 1 - r->text) : 0;
}

static void
put (EkSmtpReply *r, char c)
{
  if (r->text_len + 1 >= sizeof r->text) {
    r->truncated = true;
    return;
  }
  r->text[r->text_len++] = c;
  r->text[r->text_len] = 0;
}

/* One byte that is not a line break. */
static EkSmtpState
byte (EkSmtpReply *r, char c)
{
  switch (r->state) {
    case IN_CODE:
      if (!g_ascii_isdigit (c))
        return bad (r, "the server's reply does not begin with three digits");
      if (r->column == 0 && r->n_lines > 0)
        put (r, '\n');
      r->line_code = r->line_code * 10 + (c - '0');
      r->more = false;
      if (++r->column == 3)
        r->state = IN_SEPARATOR;
      return EK_SMTP_MORE;
    case IN_SEPARATOR:
      if (c != ' ' && c != '-' && c != '\t')
        return bad (r, "neither a space nor a hyphen stands behind the server's reply code");
      r->more = c == '-';
      r->state = IN_TEXT;
      r->column++;
      return EK_SMTP_MORE;
    default:
      put (r, ((guchar) c < ' ' && c != '\t') || c == 127 ? '?' : c);
      return EK_SMTP_MORE;
  }
}

EkSmtpState
ek_smtp_reply_feed (EkSmtpReply *r, const char *bytes, gsize n, gsize *used)
{
  EkSmtpState state = EK_SMTP_MORE;
  gsize i = 0;

  if (r->state == IS_OVER)
    ek_smtp_reply_clear (r);
  while (i < n && state == EK_SMTP_MORE) {
    char c = bytes[i++];
    if (++r->bytes > EK_SMTP_REPLY_BYTES)
      state = bad (r, "the server's reply is too long");
    else if (c == '\n')
      state = end_line (r, line_start (r));
    else {
      if (r->cr && r->state == IN_TEXT)              /* a CR that ends no line */
        put (r, '?');
      state = c == '\r' ? EK_SMTP_MORE : byte (r, c);
    }
    r->cr = c == '\r';
  }
  *used = i;
  return state;
}

void
ek_smtp_reply_clear (EkSmtpReply *r)
{
  r->code = 0;
  r->dsn[0] = r->text[0] = 0;
  r->n_lines = 0;
  r->text_len = r->bytes = r->column = 0;
  r->truncated = r->more = r->cr = false;
  r->state = IN_CODE;
  r->line_code = 0;
}

bool
ek_smtp_reply_line (const EkSmtpReply *r, guint index, EkStr *line)
{
  const char *p = r->text, *end = r->text + r->text_len;

  if (index >= r->n_lines)
    return false;
  for (; index > 0; index--) {
    const char *nl = p < end ? memchr (p, '\n', (gsize) (end - p)) : NULL;
    if (nl == NULL)
      return false;                                  /* dropped: the text was truncated */
    p = nl + 1;
  }
  const char *nl = p < end ? memchr (p, '\n', (gsize) (end - p)) : NULL;
  *line = (EkStr) { p, (gsize) ((nl ? nl : end) - p) };
  return true;
}

void
ek_smtp_reply_status (const EkSmtpReply *r, char status[12])
{
  if (r->dsn[0])
    g_strlcpy (status, r->dsn, 12);
  else
    snprintf (status, 12, "%d.0.0", r->code / 100 == 2 || r->code / 100 == 4 ? r->code / 100 : 5);
}
