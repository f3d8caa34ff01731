/* fuzz-header.c - header fields, their values, dates, hops and SMTP replies of any bytes
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/mail/header.c core/mail/value.c core/mail/mimetype.c core/mail/date.c core/mail/reply.c */
/* options: -max_len=8192 */
#include "fuzz.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/received.h"
#include "mail/reply.h"
#include <string.h>
#include <unistr.h>

static EkHeaders *
split (EkStr text, gsize chunk, gsize field_max)
{
  EkHeaderLimits limits = { .field_max = field_max, .size_max = 4096, .count_max = 50 };
  EkHeaders *h = ek_headers_new (&limits);

  for (gsize at = 0; at < text.n && !ek_headers_done (h); at += chunk)
    ek_headers_feed (h, text.p + at, MIN (chunk, text.n - at));
  ek_headers_end (h);
  return h;
}

/* Chunks change nothing; every field stands in the input where it says. */
static void
check_split (EkStr text, gsize chunk, gsize field_max)
{
  g_autoptr (EkHeaders) whole = split (text, MAX (text.n, 1), field_max);
  g_autoptr (EkHeaders) parts = split (text, chunk, field_max);
  EkHeader a, b;

  g_assert (ek_headers_count (whole) == ek_headers_count (parts));
  g_assert (ek_headers_size (whole) == ek_headers_size (parts) && ek_headers_size (whole) <= text.n);
  g_assert (ek_headers_lines (whole) == ek_headers_lines (parts));
  g_assert (ek_headers_truncated (whole) == ek_headers_truncated (parts));
  for (guint i = 0; ek_headers_at (whole, i, &a); i++) {
    g_assert (ek_headers_at (parts, i, &b));
    g_assert (ek_str_eq (a.raw, b.raw) && ek_str_eq (a.name, b.name) && ek_str_eq (a.value, b.value));
    g_assert (a.offset == b.offset && a.size == b.size && a.lines == b.lines && a.bare == b.bare);
    g_assert (a.offset + a.size <= text.n && memcmp (text.p + a.offset, a.raw.p, a.raw.n) == 0);
    g_assert (a.truncated == (a.raw.n < a.size));
  }
}

static void
check_value (EkPool *pool, EkStr text)
{
  EkBuf encoded = { 0 };
  EkMimeType type;
  EkStr rest = text, id;
  EkStr decoded = ek_header_decode (pool, text);

  g_assert (u8_check ((const uint8_t *) decoded.p, decoded.n) == NULL);
  for (gsize i = 0; i < decoded.n; i++)
    g_assert ((guchar) decoded.p[i] >= ' ');
  ek_header_encode (&encoded, decoded, 10);          /* what was written reads back the same */
  EkStr again = ek_header_decode (pool, ek_buf_str (&encoded));
  g_assert (ek_str_eq (ek_str_trim (again), ek_str_trim (decoded)));
  ek_buf_release (&encoded);
  ek_mime_type_parse (pool, text, &type);
  g_assert (type.type.p && type.n_params <= EK_MIME_PARAMS_MAX);
  ek_mime_param (pool, &type, "name");
  ek_mime_disposition_parse (pool, text, &type);
  ek_mime_param (pool, &type, "filename");
  while (ek_header_msgid (pool, &rest, &id))
    g_assert (id.n > 2 && id.p[0] == '<' && id.p[id.n - 1] == '>');
}

static void
check_date (EkStr text)
{
  gint64 seconds, again;
  int zone;
  char buf[EK_DATE_SIZE];

  if (ek_date_parse (text, &seconds, &zone)) {
    g_assert (ek_date_parse (ek_str (ek_date_format (buf, seconds, zone)), &again, NULL));
    g_assert (again == seconds || seconds < -2208800000 || seconds > 253402100000);
  }
  if (ek_date_imap_parse (text, &seconds, &zone))
    ek_date_imap_format (buf, seconds, zone);
  ek_date_imap_day (text, &seconds);
}

static void
check_reply (EkStr text, gsize chunk)
{
  EkSmtpReply a = { 0 }, b = { 0 };
  EkSmtpState sa, sb = EK_SMTP_MORE;
  gsize used_a, used_b = 0, used;

  sa = ek_smtp_reply_feed (&a, text.p, text.n, &used_a);
  while (used_b < text.n && sb == EK_SMTP_MORE) {
    sb = ek_smtp_reply_feed (&b, text.p + used_b, MIN (chunk, text.n - used_b), &used);
    used_b += used;
  }
  g_assert (sa == sb && used_a == used_b && a.code == b.code && strcmp (a.text, b.text) == 0);
  g_assert (strcmp (a.dsn, b.dsn) == 0 && strlen (a.text) == a.text_len);
  g_assert (sa != EK_SMTP_DONE || (a.code >= 200 && a.code <= 599 && a.n_lines > 0));
  if (sa == EK_SMTP_DONE) {
    char status[12];
    EkStr line;
    guint n = 0;
    ek_smtp_reply_status (&a, status);
    g_assert (ek_smtp_dsn_len (ek_str (status)) == strlen (status) || a.code / 100 == 3);
    while (ek_smtp_reply_line (&a, n, &line)) {
      g_assert (line.n == 0 || memchr (line.p, '\n', line.n) == NULL);
      n++;
    }
    g_assert (n == a.n_lines || a.truncated);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (size < 2)
    return 0;
  gsize chunk = data[0] % 64 + 1, field_max = data[1] % 2 ? data[1] : 0;
  EkStr text = { (const char *) data + 2, size - 2 };
  EkHops hops = { .pool = pool };
  check_split (text, chunk, field_max);
  check_value (pool, text);
  check_date (text);
  check_reply (text, chunk);
  for (gsize at = 0; at < text.n; at += chunk)
    ek_hops_feed (&hops, text.p + at, MIN (chunk, text.n - at));
  ek_hops_end (&hops);
  g_assert (hops.delivered_to + hops.received <= size);
  return 0;
}
