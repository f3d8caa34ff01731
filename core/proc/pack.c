/* pack.c - the small packed encoding of channel messages
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proc/pack.h"
#include <string.h>

void
ek_pack_u64 (EkBuf *buf, guint64 value)
{
  guchar *p = (guchar *) ek_buf_room (buf, 10);
  gsize n = 0;

  for (; value >= 0x80; value >>= 7)
    p[n++] = (guchar) (value | 0x80);
  p[n++] = (guchar) value;
  ek_buf_added (buf, n);
}

void
ek_pack_i64 (EkBuf *buf, gint64 value)
{
  ek_pack_u64 (buf, ((guint64) value << 1) ^ (guint64) (value >> 63));
}

void
ek_pack_str (EkBuf *buf, EkStr value)
{
  ek_pack_u64 (buf, value.n);
  ek_buf_append (buf, value.p, value.n);
}

void
ek_pack_text (EkBuf *buf, const char *value)
{
  ek_pack_u64 (buf, value ? strlen (value) + 1 : 0);
  if (value)
    ek_buf_append (buf, value, strlen (value));
}

static void
spoil (EkUnpack *in)
{
  in->bad = true;
  in->n = 0;
}

guint64
ek_unpack_u64 (EkUnpack *in)
{
  guint64 value = 0;

  for (guint shift = 0; shift < 64 && in->n > 0; shift += 7) {
    guchar c = (guchar) *in->p++;
    in->n--;
    if (shift == 63 && c > 1)
      break;
    value |= (guint64) (c & 0x7f) << shift;
    if (c < 0x80)
      return value;
  }
  spoil (in);
  return 0;
}

guint64
ek_unpack_max (EkUnpack *in, guint64 max)
{
  guint64 value = ek_unpack_u64 (in);

  if (value <= max)
    return value;
  spoil (in);
  return 0;
}

gint64
ek_unpack_i64 (EkUnpack *in)
{
  guint64 v = ek_unpack_u64 (in);

  return (gint64) (v >> 1) ^ -(gint64) (v & 1);
}

static EkStr
take (EkUnpack *in, guint64 n)
{
  if (n > in->n) {
    spoil (in);
    return (EkStr) { "", 0 };
  }
  EkStr s = { in->p, (gsize) n };
  in->p += n;
  in->n -= (gsize) n;
  return s;
}

EkStr
ek_unpack_str (EkUnpack *in)
{
  return take (in, ek_unpack_u64 (in));
}

const char *
ek_unpack_text (EkUnpack *in, EkPool *pool)
{
  guint64 n = ek_unpack_u64 (in);

  if (n == 0)
    return in->bad ? "" : NULL;
  EkStr s = take (in, n - 1);
  if (s.n > 0 && memchr (s.p, 0, s.n)) {
    spoil (in);
    return "";
  }
  return ek_pool_strndup (pool, s.p, s.n);
}
