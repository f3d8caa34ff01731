/* fuzz-text.c - transfer encodings, charsets and search over any bytes
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/mail/codec.c core/mail/charset.c core/mail/search.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "mail/text.h"
#include <string.h>
#include <unistr.h>

static void
decode (EkCte kind, EkStr text, gsize chunk, EkBuf *out)
{
  EkDecoder d = { .kind = kind };

  for (gsize i = 0; i < text.n; i += chunk)
    ek_decode_feed (&d, text.p + i, MIN (chunk, text.n - i), out);
  ek_decode_end (&d, out);
}

static void
convert (EkStr label, EkStr text, gsize chunk, EkBuf *out)
{
  g_autoptr (EkCharset) cs = ek_charset_new (label);

  for (gsize i = 0; i < text.n; i += chunk)
    ek_charset_feed (cs, text.p + i, MIN (chunk, text.n - i), out);
  ek_charset_end (cs, out);
}

static bool
found (EkSearch *search, EkStr text, gsize chunk)
{
  ek_search_reset (search);
  for (gsize i = 0; i < text.n; i += chunk)
    ek_search_feed (search, text.p + i, MIN (chunk, text.n - i));
  return ek_search_end (search);
}

/* What was encoded decodes to the same. */
static void
check_encode (EkStr text)
{
  EkBuf encoded = { 0 }, back = { 0 };

  ek_base64_lines (&encoded, text);
  decode (EK_CTE_BASE64, ek_buf_str (&encoded), 7, &back);
  g_assert (ek_str_eq (ek_buf_str (&back), text));
  ek_buf_clear (&encoded);
  ek_buf_clear (&back);
  ek_qp_encode (&encoded, text);
  decode (EK_CTE_QP, ek_buf_str (&encoded), 7, &back);
  if (text.n == 0 || memchr (text.p, '\n', text.n) == NULL)         /* those become CRLF */
    g_assert (ek_str_eq (ek_buf_str (&back), text));
  ek_buf_release (&encoded);
  ek_buf_release (&back);
}

/* The three steps in one give what they give one by one. */
static void
check_body (EkSearch *search, EkCte kind, EkStr label, EkStr text, gsize chunk, bool want)
{
  static const char *const names[] = { "8bit", "base64", "quoted-printable" };
  EkBodySearch body;

  ek_body_search_begin (&body, search, ek_str (names[kind]), label);
  for (gsize i = 0; i < text.n; i += chunk)
    ek_body_search_feed (&body, text.p + i, MIN (chunk, text.n - i));
  g_assert (ek_body_search_end (&body) == want);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const labels[] = { "utf-8", "iso-2022-jp", "shift_jis", "euc-jp", "gb18030", "big5", "euc-kr",
                                        "utf-16", "johab", "koi8-r", "windows-1252", "nothing" };
  EkBuf a = { 0 }, b = { 0 };

  if (size < 4)
    return 0;
  gsize chunk = data[0] % 50 + 1, n = MIN (data[1] % 16u, size - 4);
  EkStr label = ek_str (labels[data[2] % G_N_ELEMENTS (labels)]);
  EkStr needle = { (const char *) data + 4, n }, text = { (const char *) data + 4 + n, size - 4 - n };
  decode (data[3] % 3, text, MAX (text.n, 1), &a);
  decode (data[3] % 3, text, chunk, &b);
  g_assert (ek_str_eq (ek_buf_str (&a), ek_buf_str (&b)));
  EkStr raw = ek_buf_str (&a);
  EkBuf u = { 0 }, v = { 0 };
  check_encode (raw);
  convert (label, raw, MAX (raw.n, 1), &u);
  convert (label, raw, chunk, &v);
  g_assert (ek_str_eq (ek_buf_str (&u), ek_buf_str (&v)));
  g_assert (ek_buf_len (&u) == 0 || u8_check ((const uint8_t *) ek_buf_at (&u), ek_buf_len (&u)) == NULL);
  g_autoptr (EkSearch) search = ek_search_new (needle);
  if (search) {
    bool whole = ek_search_find (search, ek_buf_str (&u));
    g_assert (found (search, ek_buf_str (&u), chunk) == whole);
    check_body (search, data[3] % 3, label, text, chunk, whole);
    g_assert (ek_search_find (search, needle));
  }
  ek_buf_release (&a);
  ek_buf_release (&b);
  ek_buf_release (&u);
  ek_buf_release (&v);
  return 0;
}
