/* queueid.c - queue ids as text, and the list of a message's attributes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "queue/spool.h"
#include <string.h>

#define EPOCH_MS G_GINT64_CONSTANT (1577836800000)   /* 2020-01-01 UTC */

void
ek_queue_id_text (EkQueueId id, char text[static EK_QUEUE_ID_LEN + 1])
{
  static const char digits[] = "0123456789ABCDEF";

  for (int i = EK_QUEUE_ID_LEN - 1; i >= 0; i--, id >>= 4)
    text[i] = digits[id & 15];
  text[EK_QUEUE_ID_LEN] = 0;
}

bool
ek_queue_id_parse (EkStr text, EkQueueId *id)
{
  EkQueueId value = 0;

  if (text.n != EK_QUEUE_ID_LEN)
    return false;
  for (gsize i = 0; i < text.n; i++) {
    int digit = g_ascii_xdigit_value (text.p[i]);
    if (digit < 0)
      return false;
    value = value << 4 | (guint) digit;
  }
  if (value == 0)
    return false;
  *id = value;
  return true;
}

gint64
ek_queue_id_time (EkQueueId id)
{
  return ((gint64) (id >> 22) + EPOCH_MS) * 1000;
}

/* One attribute is: number (1 byte), length (2 bytes, low one first), bytes. */
void
ek_spool_attr_add (EkBuf *attrs, EkSpoolAttr attr, EkStr value)
{
  gsize n = MIN (value.n, 0xffff);
  guint8 head[3] = { (guint8) attr, (guint8) n, (guint8) (n >> 8) };

  ek_buf_append (attrs, head, sizeof head);
  ek_buf_append (attrs, value.p, n);
}

EkStr
ek_spool_attr_find (EkStr attrs, EkSpoolAttr attr)
{
  const guint8 *p = (const guint8 *) attrs.p;

  for (gsize left = attrs.n; left >= 3;) {
    gsize n = p[1] | (gsize) p[2] << 8;
    if (n > left - 3)
      break;
    if (p[0] == (guint8) attr)
      return (EkStr) { (const char *) p + 3, n };
    p += 3 + n;
    left -= 3 + n;
  }
  return (EkStr) { NULL, 0 };
}
