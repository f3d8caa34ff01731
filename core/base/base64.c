/* base64.c - strict base64 and hexadecimal (RFC 4648 sections 4 and 8)
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
ek_base64_encode (EkStr bytes, EkBuf *out)
{
  const guchar *p = (const guchar *) bytes.p;
  char *to = ek_buf_room (out, (bytes.n + 2) / 3 * 4 + 1);
  gsize n = 0, left = bytes.n;

  for (; left > 0; p += 3, left -= MIN (left, 3)) {
    guint32 v = (guint32) p[0] << 16 | (left > 1 ? (guint32) p[1] << 8 : 0) | (left > 2 ? p[2] : 0);
    to[n++] = digits64[v >> 18];
    to[n++] = digits64[v >> 12 & 63];
    to[n++] = left > 1 ? digits64[v >> 6 & 63] : '=';
    to[n++] = left > 2 ? digits64[v & 63] : '=';
  }
  ek_buf_added (out, n);
}

static int
value64 (char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
ek_base64_decode (EkStr text, EkBuf *out)
{
  if (text.n % 4 != 0)
    return false;
  gsize pad = 0;
  while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
    pad++;
  char *to = ek_buf_room (out, text.n / 4 * 3 + 1);
  gsize n = 0;
  guint32 v = 0;
  for (gsize i = 0; i < text.n; i++) {
    int digit = i >= text.n - pad ? 0 : value64 (text.p[i]);
    if (digit < 0)
      return false;
    v = v << 6 | (guint32) digit;
    if (i % 4 == 3) {
      to[n++] = (char) (v >> 16);
      to[n++] = (char) (v >> 8);
      to[n++] = (char) v;
      if (i + 1 == text.n && (v & ((1u << 8 * pad) - 1)) != 0)
        return false;                  /* bits that no byte carries: not canonical */
      v = 0;
    }
  }
  ek_buf_added (out, n - pad);
  return true;
}

void
ek_hex_encode (EkStr bytes, EkBuf *out)
{
  char *to = ek_buf_room (out, bytes.n * 2 + 1);

  for (gsize i = 0; i < bytes.n; i++) {
    *to++ = "0123456789abcdef"[(guchar) bytes.p[i] >> 4];
    *to++ = "0123456789abcdef"[bytes.p[i] & 15];
  }
  ek_buf_added (out, bytes.n * 2);
}

bool
ek_hex_decode (EkStr text, EkBuf *out)
{
  if (text.n % 2 != 0)
    return false;
  char *to = ek_buf_room (out, text.n / 2 + 1);
  for (gsize i = 0; i < text.n; i += 2) {
    int high = g_ascii_xdigit_value (text.p[i]), low = g_ascii_xdigit_value (text.p[i + 1]);
    if (high < 0 || low < 0)
      return false;
    *to++ = (char) (high << 4 | low);
  }
  ek_buf_added (out, text.n / 2);
  return true;
}

void
ek_buf_wipe (EkBuf *buf)
{
  ek_wipe (buf->data, buf->cap);
  ek_buf_release (buf);
}
