/* dsn.c - delivery status notifications (RFC 3462, 3464, 6533)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/dsn.h"
#include "mail/date.h"
#include "mail/reply.h"
#include <stdio.h>
#include <string.h>
#include <unistr.h>

#define COLUMNS      76
#define WORD_MAX     900             /* a longer word is cut: no line may pass 998 octets */
#define VALUE_MAX    4096            /* of any text that came from elsewhere */
#define HEADER_MAX   (256 * 1024)    /* of the original's header, when only that is returned */

enum { NOTHING, RETURNS_ALL, RETURNS_HEADER, RETURNED };       /* EkDsn.state */

static const char *const action_names[] = { "failed", "delayed", "delivered", "relayed", "expanded" };

/* ---- text that came from elsewhere --------------------------------------------------------- */

/* One line of printable text: ASCII, or UTF-8 where the report may have it. */
static void
append_safe (EkBuf *out, EkStr s, bool utf8)
{
  s.n = MIN (s.n, VALUE_MAX);
  if (utf8 && s.n > 0 && u8_check ((const uint8_t *) s.p, s.n) != NULL)
    utf8 = false;
  for (gsize i = 0; i < s.n; i++) {
    guchar c = (guchar) s.p[i];
    bool blank = c == '\n' || c == '\t' || c == '\r';
    ek_buf_appendc (out, blank ? ' ' : c < ' ' || c == 127 || (c >= 0x80 && !utf8) ? '?' : (char) c);
  }
}

/* Appends `s` in lines of COLUMNS, each but the first with `indent` in front; `column` is where it begins. */
static void
append_filled (EkBuf *out, EkStr s, gsize column, const char *indent)
{
  bool first = true;

  while (s.n > 0) {
    const char *space = memchr (s.p, ' ', s.n);
    gsize len = MIN (space ? (gsize) (space - s.p) : s.n, WORD_MAX);
    if (!first && column + 1 + len > COLUMNS) {
      ek_buf_printf (out, "\r\n%s", indent);
      column = strlen (indent);
    }
    else if (!first) {
      ek_buf_appendc (out, ' ');
      column++;
    }
    ek_buf_append (out, s.p, len);
    column += len;
    first = false;
    s.p += len;
    s.n -= len;
    while (s.n > 0 && s.p[0] == ' ')
      s.p++, s.n--;
  }
}

/* "Name: type; value", folded. */
static void
append_field (EkBuf *out, const char *name, const char *type, EkStr value, bool utf8)
{
  EkBuf line = { 0 };
  gsize start = ek_buf_len (out);

  ek_buf_printf (out, "%s: %s%s", name, type, type[0] ? "; " : "");
  append_safe (&line, value, utf8);
  append_filled (out, ek_str_trim (ek_buf_str (&line)), ek_buf_len (out) - start, "    ");
  ek_buf_appends (out, "\r\n");
  ek_buf_release (&line);
}

static void
append_date (EkBuf *out, const char *name, gint64 seconds)
{
  char date[EK_DATE_SIZE];

  if (seconds > 0)
    ek_buf_printf (out, "%s: %s\r\n", name, ek_date_format (date, seconds, ek_date_zone (seconds)));
}

static bool
is_ascii (EkStr s)
{
  for (gsize i = 0; i < s.n; i++)
    if ((guchar) s.p[i] >= 0x80)
      return false;
  return true;
}

/* ---- xtext --------------------------------------------------------------------------------- */

bool
ek_xtext_decode (EkStr xtext, EkBuf *out)
{
  for (gsize i = 0; i < xtext.n; i++) {
    guchar c = (guchar) xtext.p[i];
    if (c == '+') {
      int hi = i + 2 < xtext.n ? g_ascii_xdigit_value (xtext.p[i + 1]) : -1;
      int lo = i + 2 < xtext.n ? g_ascii_xdigit_value (xtext.p[i + 2]) : -1;
      if (hi < 0 || lo < 0)
        return false;
      c = (guchar) (hi << 4 | lo);
      i += 2;
      if (c < ' ' || c == 127)
        return false;
    }
    else if (c <= ' ' || c >= 127 || c == '=')
      return false;
    ek_buf_appendc (out, (char) c);
  }
  return true;
}

void
ek_xtext_encode (EkBuf *out, EkStr bytes)
{
  for (gsize i = 0; i < bytes.n; i++) {
    guchar c = (guchar) bytes.p[i];
    if (c <= ' ' || c >= 127 || c == '+' || c == '=')
      ek_buf_printf (out, "+%02X", c);
    else
      ek_buf_appendc (out, (char) c);
  }
}

/* ---- the fields for programs --------------------------------------------------------------- */

/* An address where only ASCII may stand: \x{HEX} for the rest (RFC 6533 3, utf-8-addr-xtext). */
static void
append_addr_xtext (EkBuf *out, EkStr address)
{
  for (gsize i = 0; i < address.n;) {
    ucs4_t uc;
    int n = u8_mbtouc (&uc, (const uint8_t *) address.p + i, address.n - i);
    if (uc < 0x80)
      ek_buf_appendc (out, (char) uc);
    else
      ek_buf_printf (out, "\\x{%X}", (guint) uc);
    i += (gsize) n;
  }
}

static void
append_final (const EkDsn *dsn, EkBuf *out, EkStr address)
{
  EkBuf text = { 0 };
  bool ascii = is_ascii (address);

  if (ascii || dsn->utf8)
    ek_buf_append (&text, address.p, address.n);
  else
    append_addr_xtext (&text, address);
  append_field (out, "Final-Recipient", ascii ? "rfc822" : "utf-8", ek_buf_str (&text), dsn->utf8);
  ek_buf_release (&text);
}

/* ORCPT came as "type;xtext"; the field has the address decoded (RFC 3464 2.3.1). */
static void
append_original (const EkDsn *dsn, EkBuf *out, EkStr orcpt)
{
  const char *semicolon = orcpt.n > 0 ? memchr (orcpt.p, ';', orcpt.n) : NULL;
  EkBuf text = { 0 }, type = { 0 };

  if (semicolon) {
    gsize n = (gsize) (semicolon - orcpt.p);
    EkStr xtext = { semicolon + 1, orcpt.n - n - 1 };
    append_safe (&type, (EkStr) { orcpt.p, n }, false);
    ek_buf_appendc (&type, 0);
    if (!ek_xtext_decode (xtext, &text) || (!dsn->utf8 && !is_ascii (ek_buf_str (&text)))) {
      ek_buf_clear (&text);
      ek_buf_append (&text, xtext.p, xtext.n);
    }
    append_field (out, "Original-Recipient", ek_buf_at (&type), ek_buf_str (&text), dsn->utf8);
  }
  ek_buf_release (&text);
  ek_buf_release (&type);
}

/* A status that agrees with the action (RFC 3463: 5 failed, 4 delayed, 2 all others). */
static void
append_status (EkBuf *out, const EkDsnRcpt *r)
{
  char class = r->action == EK_DSN_FAILED ? '5' : r->action == EK_DSN_DELAYED ? '4' : '2';
  EkStr status = ek_str (r->status);
  bool good = status.n > 0 && ek_smtp_dsn_len (status) == status.n;

  /* a temporary failure that went on for too long is bounced with its own 4.x.x */
  if (good && (status.p[0] == class || (class == '5' && status.p[0] == '4')))
    ek_buf_printf (out, "Status: %s\r\n", r->status);
  else
    ek_buf_printf (out, "Status: %c.0.0\r\n", class);
}

static void
append_rcpt_fields (const EkDsn *dsn, EkBuf *out, const EkDsnRcpt *r)
{
  ek_buf_appends (out, "\r\n");
  append_original (dsn, out, r->orcpt);
  append_final (dsn, out, r->address);
  ek_buf_printf (out, "Action: %s\r\n", action_names[MIN ((guint) r->action, EK_DSN_EXPANDED)]);
  append_status (out, r);
  if (r->remote_mta)
    append_field (out, "Remote-MTA", "dns", ek_str (r->remote_mta), dsn->utf8);
  if (r->diagnostic.n > 0)
    append_field (out, "Diagnostic-Code", r->diagnostic_type ? r->diagnostic_type : "x-ekiden", r->diagnostic,
                  dsn->utf8);
  append_date (out, "Last-Attempt-Date", r->last_attempt);
  if (r->action == EK_DSN_DELAYED)
    append_date (out, "Will-Retry-Until", r->retry_until);
}

static void
append_status_part (const EkDsn *dsn, EkBuf *out)
{
  EkBuf envid = { 0 };

  ek_buf_printf (out, "--%s\r\nContent-Description: Delivery report\r\n"
                      "Content-Type: message/%sdelivery-status\r\n%s\r\n",
                 dsn->boundary, dsn->utf8 ? "global-" : "",
                 dsn->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
  if (dsn->envid.n > 0 && ek_xtext_decode (dsn->envid, &envid))
    append_field (out, "Original-Envelope-Id", "", ek_buf_str (&envid), dsn->utf8);
  append_field (out, "Reporting-MTA", "dns", ek_str (dsn->hostname), dsn->utf8);
  if (dsn->queue_id)
    append_field (out, "X-Ekiden-Queue-ID", "", ek_str (dsn->queue_id), false);
  append_date (out, "Arrival-Date", dsn->arrival);
  for (guint i = 0; i < dsn->n_rcpts; i++)
    append_rcpt_fields (dsn, out, &dsn->rcpts[i]);
  ek_buf_appends (out, "\r\n");
  ek_buf_release (&envid);
}

/* ---- the text for people ------------------------------------------------------------------- */

static guint
count_action (const EkDsn *dsn, EkDsnAction action)
{
  guint n = 0;

  for (guint i = 0; i < dsn->n_rcpts; i++)
    n += dsn->rcpts[i].action == action;
  return n;
}

static const char *
subject (const EkDsn *dsn)
{
  if (count_action (dsn, EK_DSN_FAILED) > 0)
    return "Your mail could not be delivered";
  if (count_action (dsn, EK_DSN_DELAYED) > 0)
    return "Your mail is delayed";
  return "Your mail was delivered";
}

/* Which recipients a paragraph is about, and what it says of them. */
static const struct {
  EkDsnAction action;
  const char *text;
} paragraphs[] = {
  { EK_DSN_FAILED,
    "Your message could not be delivered to the following recipients, and delivery will not be tried "
    "again. The reason stands behind each address." },
  { EK_DSN_DELAYED,
    "Your message could not be delivered yet to the following recipients. Delivery will be tried again; "
    "you need not send the message once more." },
  { EK_DSN_DELIVERED,
    "Your message was delivered to the mailboxes of the following recipients." },
  { EK_DSN_RELAYED,
    "Your message was handed to the mail system of the following recipients. That system sends no "
    "reports of its own, so you will hear no more of it." },
  { EK_DSN_EXPANDED,
    "Your message was delivered to the following addresses, which passed it on to others." },
};

static void
append_rcpt_text (const EkDsn *dsn, EkBuf *out, const EkDsnRcpt *r)
{
  EkBuf text = { 0 };
  char date[EK_DATE_SIZE];

  ek_buf_appends (out, "  <");
  append_safe (out, r->address, dsn->utf8);
  ek_buf_appends (out, ">\r\n");
  if (r->remote_mta && r->diagnostic.n > 0) {
    ek_buf_appends (&text, "The mail system ");
    append_safe (&text, ek_str (r->remote_mta), dsn->utf8);
    ek_buf_appends (&text, " said: ");
  }
  append_safe (&text, r->diagnostic, dsn->utf8);
  if (ek_buf_len (&text) > 0) {
    ek_buf_appends (out, "    ");
    append_filled (out, ek_str_trim (ek_buf_str (&text)), 4, "    ");
    ek_buf_appends (out, "\r\n");
  }
  if (r->action == EK_DSN_DELAYED && r->retry_until > 0)
    ek_buf_printf (out, "    It will be tried until %s.\r\n",
                   ek_date_format (date, r->retry_until, ek_date_zone (r->retry_until)));
  ek_buf_release (&text);
}

static void
append_text_part (const EkDsn *dsn, EkBuf *out)
{
  const char *charset = dsn->utf8 ? "utf-8\r\nContent-Transfer-Encoding: 8bit" : "us-ascii";

  ek_buf_printf (out, "--%s\r\nContent-Description: Notification\r\n"
                      "Content-Type: text/plain; charset=%s\r\n\r\n"
                      "This is the mail system at %s.\r\n", dsn->boundary, charset, dsn->hostname);
  for (gsize p = 0; p < G_N_ELEMENTS (paragraphs); p++) {
    if (count_action (dsn, paragraphs[p].action) == 0)
      continue;
    ek_buf_appends (out, "\r\n");
    append_filled (out, ek_str (paragraphs[p].text), 0, "");
    ek_buf_appends (out, "\r\n\r\n");
    for (guint i = 0; i < dsn->n_rcpts; i++)
      if (dsn->rcpts[i].action == paragraphs[p].action)
        append_rcpt_text (dsn, out, &dsn->rcpts[i]);
  }
  ek_buf_appends (out, "\r\n");
  append_filled (out, dsn->state == RETURNS_ALL ? EK_STR ("Your message is attached.")
                                                : EK_STR ("The header of your message is attached."), 0, "");
  if (count_action (dsn, EK_DSN_FAILED) > 0) {
    ek_buf_appends (out, "\r\n");
    append_filled (out, EK_STR ("If you need help, show this report to the postmaster; it names the cause."),
                   0, "");
  }
  ek_buf_appends (out, "\r\n\r\n");
}

/* ---- the report ---------------------------------------------------------------------------- */

static void
append_head (const EkDsn *dsn, EkBuf *out)
{
  char date[EK_DATE_SIZE];

  ek_buf_printf (out, "Date: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: ",
                 ek_date_format (date, dsn->now, ek_date_zone (dsn->now)), dsn->hostname);
  append_safe (out, dsn->to, dsn->utf8);
  ek_buf_printf (out, "\r\nSubject: %s\r\nMessage-ID: <%s.dsn@%s>\r\nAuto-Submitted: auto-replied\r\n"
                      "MIME-Version: 1.0\r\n"
                      "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n"
                      "    boundary=\"%s\"\r\n",
                 subject (dsn), dsn->report_id, dsn->hostname, dsn->utf8 ? "global-" : "", dsn->boundary);
  ek_buf_printf (out, "Content-Transfer-Encoding: 8bit\r\n\r\n"
                      "This is a report in MIME format, made by %s.\r\n\r\n",
                 dsn->mail_name ? dsn->mail_name : "Ekiden");
}

void
ek_dsn_begin (EkDsn *dsn, EkBuf *out)
{
  bool fits = dsn->original_max == 0 || dsn->original_size <= dsn->original_max;
  bool all = dsn->full && fits && count_action (dsn, EK_DSN_FAILED) > 0;

  if (dsn->boundary[0] == 0)
    snprintf (dsn->boundary, sizeof dsn->boundary, "=_%.20s_%016" G_GINT64_MODIFIER "x", dsn->report_id,
              ek_random64 ());
  dsn->state = all ? RETURNS_ALL : RETURNS_HEADER;
  dsn->in_line = dsn->held_cr = false;
  dsn->returned = 0;
  append_head (dsn, out);
  append_text_part (dsn, out);
  append_status_part (dsn, out);
  ek_buf_printf (out, "--%s\r\nContent-Description: Your message%s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n", dsn->boundary, all ? "" : ", its header",
                 all ? dsn->utf8 ? "message/global" : "message/rfc822"
                     : dsn->utf8 ? "message/global-headers" : "text/rfc822-headers");
}

/* Copies with CRLF for every line break; an empty line ends what is wanted when only the header is. */
bool
ek_dsn_original (EkDsn *dsn, const char *bytes, gsize n, EkBuf *out)
{
  while (n > 0 && dsn->state != RETURNED) {
    const char *nl = memchr (bytes, '\n', n);
    gsize len = nl ? (gsize) (nl - bytes) : n;
    bool cr = len > 0 && bytes[len - 1] == '\r';     /* of a CRLF, perhaps: it waits for the next byte */
    if (dsn->held_cr && len > 0) {
      ek_buf_appendc (out, '\r');
      dsn->in_line = true;
    }
    ek_buf_append (out, bytes, len - cr);
    dsn->in_line |= len > cr;
    dsn->held_cr = nl ? false : len > 0 ? cr : dsn->held_cr;
    if (nl && !dsn->in_line && dsn->state == RETURNS_HEADER)
      dsn->state = RETURNED;
    else if (nl)
      ek_buf_append (out, "\r\n", 2);
    dsn->in_line &= nl == NULL;
    len += nl != NULL;
    dsn->returned += len;
    bytes += len;
    n -= len;
    if (dsn->state == RETURNS_HEADER && dsn->returned > HEADER_MAX)
      dsn->state = RETURNED;
  }
  return dsn->state != RETURNED;
}

void
ek_dsn_end (EkDsn *dsn, EkBuf *out)
{
  ek_buf_printf (out, "\r\n--%s--\r\n", dsn->boundary);
  dsn->state = RETURNED;
}
