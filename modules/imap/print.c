/* print.c - numbers, dates and names, fast
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"
#include "mail/date.h"
#include <string.h>

void
imap_put (EkBuf *out, const char *text)
{
  ek_buf_append (out, text, strlen (text));
}

void
imap_put_number (EkBuf *out, guint64 number)
{
  char digits[20], *p = digits + sizeof digits;

  do
    *--p = (char) ('0' + number % 10);
  while ((number /= 10) > 0);
  ek_buf_append (out, p, (gsize) (digits + sizeof digits - p));
}

static char *
put2 (char *p, int value)
{
  *p++ = (char) ('0' + value / 10 % 10);
  *p++ = (char) ('0' + value % 10);
  return p;
}

void
imap_put_date (EkBuf *out, gint64 seconds)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int year, month, day, hour, minute, second, weekday;
  char text[28], *p = text;

  /* four digits are what the grammar has */
  ek_date_to_civil (CLAMP (seconds, G_GINT64_CONSTANT (-62135596800), G_GINT64_CONSTANT (253402300799)),
                    &year, &month, &day, &hour, &minute, &second, &weekday);
  *p++ = '"';
  p = put2 (p, day);
  *p++ = '-';
  memcpy (p, months + (month - 1) * 3, 3);
  p += 3;
  *p++ = '-';
  p = put2 (put2 (p, year / 100), year);
  *p++ = ' ';
  p = put2 (p, hour);
  *p++ = ':';
  p = put2 (p, minute);
  *p++ = ':';
  p = put2 (p, second);
  memcpy (p, " +0000\"", 7);
  ek_buf_append (out, text, sizeof text);
}

void
imap_print_mailbox (EkBuf *out, const char *name)
{
  g_autofree char *wire = ek_mutf7_encode (ek_str (name));

  ek_imap_astring (out, ek_str (wire ? wire : name));
}
