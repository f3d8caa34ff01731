/* codec.c - base64 and quoted-printable, streaming
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mail/text.h"
#include <string.h>

enum { QP_TEXT, QP_EQUALS, QP_HEX, QP_SOFT };        /* EkDecoder.bits, for quoted-printable */

EkCte
ek_cte (EkStr name)
{
  name = ek_str_trim (name);
  if (ek_str_ieq (name, EK_STR ("base64")))
    return EK_CTE_BASE64;
  return ek_str_ieq (name, EK_STR ("quoted-printable")) ? EK_CTE_QP : EK_CTE_IDENTITY;
}

/* ---- base64 -------------------------------------------------------------------------------- */

static gint8
base64_value (guchar c)
{
  if (c >= 'A' && c <= 'Z')
    return (gint8) (c - 'A');
  if (c >= 'a' && c <= 'z')
    return (gint8) (c - 'a' + 26);
  if (c >= '0' && c <= '9')
    return (gint8) (c - '0' + 52);
  return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? -2 : -1;
}

/* Padding ends a group, not the stream: mailers concatenate encoded pieces. */
static void
base64_feed (EkDecoder *d, const char *p, gsize n, EkBuf *out)
{
  static gint8 table[256];
  static gsize once;

  if (g_once_init_enter (&once)) {
    for (int c = 0; c < 256; c++)
      table[c] = base64_value ((guchar) c);
    g_once_init_leave (&once, 1);
  }
  char *to = ek_buf_room (out, n / 4 * 3 + 3);
  gsize made = 0;
  for (gsize i = 0; i < n; i++) {
    gint8 v = table[(guchar) p[i]];
    if (v >= 0) {
      d->bits = d->bits << 6 | (guint32) v;
      d->n_bits += 6;
      if (d->n_bits >= 8) {
        d->n_bits -= 8;
        to[made++] = (char) (d->bits >> d->n_bits);
      }
    }
    else if (v == -2)
      d->n_bits = 0;
  }
  ek_buf_added (out, made);
}

/* ---- quoted-printable ---------------------------------------------------------------------- */

static void
qp_flush (EkDecoder *d, EkBuf *out)
{
  ek_buf_append (out, d->held, d->n_held);
  d->n_held = 0;
}

static void
qp_hold (EkDecoder *d, char c, EkBuf *out)
{
  if (d->n_held == sizeof d->held)                   /* that much white space is text */
    qp_flush (d, out);
  d->held[d->n_held++] = c;
}

/* One byte outside of an escape. */
static void
qp_text (EkDecoder *d, char c, EkBuf *out)
{
  if (c == '\n') {                                   /* white space before a line break goes (RFC 2045 6.7) */
    bool crlf = d->n_held > 0 && d->held[d->n_held - 1] == '\r';
    d->n_held = 0;
    ek_buf_append (out, crlf ? "\r\n" : "\n", crlf ? 2 : 1);
  }
  else if (c == ' ' || c == '\t' || c == '\r')
    qp_hold (d, c, out);
  else {
    qp_flush (d, out);
    if (c == '=') {
      d->bits = QP_EQUALS;
      qp_hold (d, c, out);
    }
    else
      ek_buf_appendc (out, c);
  }
}

static void
qp_byte (EkDecoder *d, char c, EkBuf *out)
{
  bool blank = c == ' ' || c == '\t' || c == '\r';

  if (d->bits == QP_EQUALS && g_ascii_isxdigit (c)) {
    d->bits = QP_HEX;
    qp_hold (d, c, out);
  }
  else if (d->bits == QP_HEX && g_ascii_isxdigit (c)) {
    char byte = (char) (g_ascii_xdigit_value (d->held[1]) << 4 | g_ascii_xdigit_value (c));
    d->n_held = 0;
    d->bits = QP_TEXT;
    ek_buf_appendc (out, byte);
  }
  else if ((d->bits == QP_EQUALS || d->bits == QP_SOFT) && blank && d->n_held < sizeof d->held) {
    d->bits = QP_SOFT;
    qp_hold (d, c, out);
  }
  else if ((d->bits == QP_EQUALS || d->bits == QP_SOFT) && c == '\n') {
    d->n_held = 0;
    d->bits = QP_TEXT;
  }
  else {                                             /* no escape after all: it stands as it came */
    if (d->bits != QP_TEXT)
      qp_flush (d, out);
    d->bits = QP_TEXT;
    qp_text (d, c, out);
  }
}

static void
qp_feed (EkDecoder *d, const char *p, gsize n, EkBuf *out)
{
  gsize i = 0;

  while (i < n) {
    gsize from = i;
    if (d->bits == QP_TEXT && d->n_held == 0) {
      while (i < n && (guchar) p[i] > ' ' && p[i] != '=')
        i++;
      ek_buf_append (out, p + from, i - from);
    }
    if (i < n)
      qp_byte (d, p[i++], out);
  }
}

void
ek_decode_feed (EkDecoder *decoder, const char *bytes, gsize n, EkBuf *out)
{
  switch (decoder->kind) {
    case EK_CTE_BASE64:
      base64_feed (decoder, bytes, n, out);
      break;
    case EK_CTE_QP:
      qp_feed (decoder, bytes, n, out);
      break;
    default:
      ek_buf_append (out, bytes, n);
  }
}

void
ek_decode_end (EkDecoder *decoder, EkBuf *out)
{
  if (decoder->kind == EK_CTE_QP && decoder->bits == QP_HEX)
    qp_flush (decoder, out);
  *decoder = (EkDecoder) { .kind = decoder->kind };
}

/* ---- encoding ------------------------------------------------------------------------------ */

void
ek_base64_lines (EkBuf *out, EkStr bytes)
{
  while (bytes.n > 0) {
    gsize n = MIN (bytes.n, 57);
    g_autofree char *line = g_base64_encode ((const guchar *) bytes.p, n);
    ek_buf_appends (out, line);
    ek_buf_appends (out, "\r\n");
    bytes.p += n;
    bytes.n -= n;
  }
}

void
ek_qp_encode (EkBuf *out, EkStr text)
{
  gsize column = 0;

  for (gsize i = 0; i < text.n; i++) {
    guchar c = (guchar) text.p[i];
    bool crlf = c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n';
    if (crlf || c == '\n') {
      ek_buf_appends (out, "\r\n");
      column = 0;
      i += crlf;
      continue;
    }
    bool last = i + 1 == text.n || text.p[i + 1] == '\n' || text.p[i + 1] == '\r';
    bool plain = (c > ' ' && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !last);
    if (column + (plain ? 1 : 3) > 75) {             /* 76 with the "=" of the soft break */
      ek_buf_appends (out, "=\r\n");
      column = 0;
    }
    if (plain)
      ek_buf_appendc (out, (char) c);
    else
      ek_buf_printf (out, "=%02X", c);
    column += plain ? 1 : 3;
  }
}
