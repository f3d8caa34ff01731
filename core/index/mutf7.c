/* mutf7.c - IMAP's modified UTF-7 for mailbox names (RFC 3501 5.1.3)
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decoding accepts only what encoding would produce: two spellings of one name would be two
 * mailboxes for one client and one for another. */
#include "index/box.h"
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

typedef struct {                     /* 16-bit units on their way into base64 */
  GString *out;
  guint32  bits;
  guint    n;
  bool     open;
} Shift;

static void
shift_put (Shift *s, guint16 unit)
{
  if (!s->open) {
    g_string_append_c (s->out, '&');
    s->open = true;
  }
  s->bits = s->bits << 16 | unit;
  for (s->n += 16; s->n >= 6; s->n -= 6)
    g_string_append_c (s->out, alphabet[s->bits >> (s->n - 6) & 63]);
}

static void
shift_end (Shift *s)
{
  if (!s->open)
    return;
  if (s->n > 0)
    g_string_append_c (s->out, alphabet[s->bits << (6 - s->n) & 63]);
  g_string_append_c (s->out, '-');
  s->open = false;
  s->n = s->bits = 0;
}

char *
ek_mutf7_encode (EkStr utf8)
{
  if (!g_utf8_validate_len (utf8.p ? utf8.p : "", utf8.n, NULL))
    return NULL;
  Shift s = { .out = g_string_sized_new (utf8.n + 8) };
  for (const char *p = utf8.p, *end = utf8.p + utf8.n; p < end; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    if (c >= 0x20 && c <= 0x7e) {
      shift_end (&s);
      g_string_append_c (s.out, (char) c);
      if (c == '&')
        g_string_append_c (s.out, '-');
    } else if (c >= 0x10000) {
      shift_put (&s, (guint16) (0xd800 + ((c - 0x10000) >> 10)));
      shift_put (&s, (guint16) (0xdc00 + (c & 0x3ff)));
    } else
      shift_put (&s, (guint16) c);
  }
  shift_end (&s);
  return g_string_free (s.out, FALSE);
}

/* Decodes the base64 run [p, end) and appends it to out. */
static bool
run_decode (const char *p, const char *end, GString *out)
{
  guint32 bits = 0, high = 0;
  guint n = 0;

  for (; p < end; p++) {
    const char *at = *p ? strchr (alphabet, *p) : NULL;
    if (at == NULL)
      return false;
    bits = bits << 6 | (guint32) (at - alphabet);
    n += 6;
    if (n < 16)
      continue;
    n -= 16;
    guint32 unit = bits >> n & 0xffff;
    if (high) {
      if (unit < 0xdc00 || unit > 0xdfff)
        return false;
      g_string_append_unichar (out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
      high = 0;
    } else if (unit >= 0xd800 && unit <= 0xdbff)
      high = unit;
    else if ((unit >= 0xdc00 && unit <= 0xdfff) || (unit >= 0x20 && unit <= 0x7e) || unit == 0)
      return false;
    else
      g_string_append_unichar (out, unit);
  }
  return high == 0 && n < 6 && (bits & ((1u << n) - 1)) == 0;
}

char *
ek_mutf7_decode (EkStr in)
{
  GString *out = g_string_sized_new (in.n);
  const char *p = in.p, *end = in.p + in.n;
  bool after_run = false, good = true;

  while (good && p < end) {
    if ((guchar) *p < 0x20 || (guchar) *p > 0x7e)
      good = false;
    else if (*p != '&') {
      g_string_append_c (out, *p++);
      after_run = false;
    } else {
      const char *stop = memchr (p, '-', (gsize) (end - p));
      if (stop == NULL)
        good = false;
      else if (stop == p + 1) {
        g_string_append_c (out, '&');
        after_run = false;
      } else {                                    /* two runs in a row would be one when encoded */
        good = !after_run && run_decode (p + 1, stop, out);
        after_run = true;
      }
      p = stop ? stop + 1 : end;
    }
  }
  if (good)
    return g_string_free (out, FALSE);
  g_string_free (out, TRUE);
  return NULL;
}
