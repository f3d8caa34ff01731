/* test-text.c - transfer encodings, charsets, search; dates
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/date.h"
#include "mail/text.h"
#include <string.h>

/* ---- transfer encodings ---------------------------------------------------------------------------- */

static char *
decode (EkCte kind, EkStr text, gsize chunk)
{
  EkDecoder d = { .kind = kind };
  EkBuf out = { 0 };

  for (gsize i = 0; i < text.n; i += chunk)
    ek_decode_feed (&d, text.p + i, MIN (chunk, text.n - i), &out);
  ek_decode_end (&d, &out);
  char *made = g_strndup (ek_buf_len (&out) ? ek_buf_at (&out) : "", ek_buf_len (&out));
  ek_buf_release (&out);
  return made;
}

static const struct {
  EkCte       kind;
  const char *text, *want;
} decodes[] = {
  { EK_CTE_BASE64, "Zm9v", "foo" },
  { EK_CTE_BASE64, "Zm9vYg==", "foob" },
  { EK_CTE_BASE64, "Zm9vYg==Zm9v", "foobfoo" },      /* padding in the middle */
  { EK_CTE_BASE64, "Z m9\r\nv!Y*mE", "fooba" },
  { EK_CTE_BASE64, "Zg", "f" },
  { EK_CTE_BASE64, "Z", "" },
  { EK_CTE_QP, "a=3Db=3d", "a=b=" },
  { EK_CTE_QP, "soft=\r\n break=  \n!", "soft break!" },
  { EK_CTE_QP, "trailing \t \r\nx  ", "trailing\r\nx" },
  { EK_CTE_QP, "a=\nb\nc", "ab\nc" },
  { EK_CTE_QP, "bad =zz =4 =", "bad =zz =4 " },
  { EK_CTE_QP, "=4", "=4" },
  { EK_CTE_QP, "a\rb", "a\rb" },
  { EK_CTE_IDENTITY, "a=41", "a=41" },
};

static void
test_decode (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (decodes); i++)
    for (gsize chunk = 1; chunk < 20; chunk++) {
      g_autofree char *got = decode (decodes[i].kind, ek_str (decodes[i].text), chunk);
      g_assert_cmpstr (got, ==, decodes[i].want);
    }
  g_assert_cmpint (ek_cte (EK_STR (" Base64 ")), ==, EK_CTE_BASE64);
  g_assert_cmpint (ek_cte (EK_STR ("x-uuencode")), ==, EK_CTE_IDENTITY);
}

static void
test_encode (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);

  for (int round = 0; round < 200; round++) {
    char raw[300];
    gsize n = (gsize) g_rand_int_range (rand, 0, sizeof raw);
    EkBuf b64 = { 0 }, qp = { 0 }, back = { 0 };
    EkDecoder d = { .kind = EK_CTE_BASE64 };
    for (gsize i = 0; i < n; i++)
      raw[i] = "ab =\t\xc3.\x01z"[g_rand_int_range (rand, 0, 9)];
    ek_base64_lines (&b64, (EkStr) { raw, n });
    ek_decode_feed (&d, ek_buf_at (&b64), ek_buf_len (&b64), &back);
    ek_decode_end (&d, &back);
    g_assert_true (ek_str_eq (ek_buf_str (&back), (EkStr) { raw, n }));
    ek_qp_encode (&qp, (EkStr) { raw, n });
    gsize column = 0;
    for (gsize i = 0; i < ek_buf_len (&qp); i++) {
      column = ek_buf_at (&qp)[i] == '\n' ? 0 : column + 1;
      g_assert_cmpuint (column, <=, 77);
    }
    d.kind = EK_CTE_QP;
    ek_buf_clear (&back);
    ek_decode_feed (&d, ek_buf_at (&qp), ek_buf_len (&qp), &back);
    ek_decode_end (&d, &back);
    g_assert_true (ek_str_eq (ek_buf_str (&back), (EkStr) { raw, n }));
    ek_buf_release (&b64);
    ek_buf_release (&qp);
    ek_buf_release (&back);
  }
}

/* ---- charsets ------------------------------------------------------------------------------------------ */

static const char *const charsets[][3] = {
  { "utf-8", "caf\xc3\xa9", "caf\xc3\xa9" },
  { "utf-8", "a\xff" "b\xe2\x82", "a\xef\xbf\xbd" "b\xef\xbf\xbd" },
  { "", "caf\xc3\xa9", "caf\xc3\xa9" },
  { "US-ASCII", "caf\xc3\xa9", "caf\xc3\xa9" },
  { "iso-8859-1", "caf\xe9 \x80", "caf\xc3\xa9 \xe2\x82\xac" },
  { " KOI8-R ", "\xc4\xc1", "\xd0\xb4\xd0\xb0" },
  { "shift_jis", "\x93\xfa\x96{", "\xe6\x97\xa5\xe6\x9c\xac" },
  { "shift_jis", "\x93", "\xef\xbf\xbd" },
  { "euc-jp", "\xc6\xfc\xcb\xdc", "\xe6\x97\xa5\xe6\x9c\xac" },
  { "iso-2022-jp", "a\x1b$BF|K\\\x1b(Bb", "a\xe6\x97\xa5\xe6\x9c\xac" "b" },
  { "iso-2022-jp", "\x1b$BF|\nK", "\xe6\x97\xa5\nK" },
  { "iso-2022-jp", "\x1b(I1\x1b(B", "\xef\xbd\xb1" },
  { "iso-2022-jp", "\x1b$BF", "\xef\xbf\xbd" },
  { "gb2312", "\xc4\xe3", "\xe4\xbd\xa0" },
  { "no-such-charset", "x\xe9", "x\xef\xbf\xbd" },
  { "../../etc/passwd", "x", "x" },
  { "utf-8//TRANSLIT", "x", "x" },
};

static void
test_charset (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (charsets); i++)
    for (gsize chunk = 1; chunk < 12; chunk++) {
      g_autoptr (EkCharset) cs = ek_charset_new (ek_str (charsets[i][0]));
      EkStr text = ek_str (charsets[i][1]);
      EkBuf out = { 0 };
      for (gsize at = 0; at < text.n; at += chunk)
        ek_charset_feed (cs, text.p + at, MIN (chunk, text.n - at), &out);
      ek_charset_end (cs, &out);
      ek_buf_appendc (&out, 0);
      g_assert_cmpstr (ek_buf_at (&out), ==, charsets[i][2]);
      ek_buf_release (&out);
    }
  g_assert_true (ek_charset_known (EK_STR ("Windows-1252")));
  g_assert_false (ek_charset_known (EK_STR ("WCHAR_T")));
}

/* ---- search ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *needle, *text;
  bool        found;
} searches[] = {
  { "world", "Hello WORLD", true },
  { "hello world", "hello  world", false },
  { "", "", true },
  { "x", "", false },
  { "stra\xc3\x9f" "e", "STRASSE", true },
  { "STRASSE", "stra\xc3\x9f" "e", true },
  { "\xc3\x89", "e\xcc\x81", true },                  /* composed finds decomposed */
  { "e\xcc\x81", "\xc3\x89", true },
  { "cafe", "CAF\xc3\x89", true },                     /* RFC 5051: decomposed, so the letter is there */
  { "\xef\xbd\xb1", "\xe3\x82\xa2", true },             /* half-width kana */
  { "abc", "\xef\xbc\xa1\xef\xbc\xa2\xef\xbc\xa3", true },   /* full-width letters */
  { "\xe6\x97\xa5\xe6\x9c\xac", "x\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", true },
  { "ab", "a\xff" "b", false },
  { "aab", "aaab", true },
};

static void
test_search (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (searches); i++) {
    g_autoptr (EkSearch) s = ek_search_new (ek_str (searches[i].needle));
    EkStr text = ek_str (searches[i].text);
    g_assert_true (ek_search_find (s, text) == searches[i].found);
    for (gsize chunk = 1; chunk < 20; chunk++) {
      ek_search_reset (s);
      for (gsize at = 0; at < text.n; at += chunk)
        ek_search_feed (s, text.p + at, MIN (chunk, text.n - at));
      g_assert_true (ek_search_end (s) == searches[i].found);
    }
  }
  g_assert_null (ek_search_new (EK_STR ("\xff")));
}

static void
test_search_long (void)
{
  EkBuf text = { 0 };
  g_autoptr (EkSearch) s = ek_search_new (EK_STR ("\xe6\x97\xa5" "needle"));

  for (int i = 0; i < 30000; i++)                     /* no ASCII for 90 KB, then the needle */
    ek_buf_appends (&text, "\xe6\x97\xa5");
  g_assert_false (ek_search_find (s, ek_buf_str (&text)));
  ek_buf_appends (&text, "NEEDLE");
  g_assert_true (ek_search_find (s, ek_buf_str (&text)));
  ek_search_reset (s);
  for (gsize at = 0; at < ek_buf_len (&text); at += 1000)
    ek_search_feed (s, ek_buf_at (&text) + at, MIN (1000, ek_buf_len (&text) - at));
  g_assert_true (ek_search_end (s));
  ek_buf_release (&text);
}

static void
test_body_search (void)
{
  static const char body[] = "k/qWew=\r\n=\r\n";      /* "Nihon" in Shift_JIS, base64 */
  g_autoptr (EkSearch) s = ek_search_new (EK_STR ("\xe6\x97\xa5\xe6\x9c\xac"));

  for (gsize chunk = 1; chunk < 14; chunk++) {
    EkBodySearch b;
    ek_body_search_begin (&b, s, EK_STR ("base64"), EK_STR ("Shift_JIS"));
    for (gsize at = 0; at < strlen (body); at += chunk)
      ek_body_search_feed (&b, body + at, MIN (chunk, strlen (body) - at));
    g_assert_true (ek_body_search_end (&b));
  }
}

/* ---- dates ------------------------------------------------------------------------------------------------ */

static const struct {
  const char *text;
  gint64      seconds;
  int         zone;
} dates[] = {
  { "Sun, 22 Nov 2026 08:17:52 +0000", 1795335472, 0 },
  { "Sun, 22 Nov 2026 17:17:52 +0900 (JST)", 1795335472, 540 },
  { "22 Nov 2026 08:17:52 GMT", 1795335472, 0 },
  { "Sun,22 Nov 26 03:17:52 EST", 1795335472, -300 },
  { "Sunday, 22-Nov-2026 08:17:52 -0000", 1795335472, 0 },
  { "(c) Sun, (d) 22 (e) Nov 2026 08 : 17 : 52 +0000", 1795335472, 0 },
  { "Sun Nov 22 08:17:52 2026", 1795335472, 0 },
  { "Sun Nov 22 03:17:52 EST 2026", 1795335472, -300 },
  { "22 Nov 2026 08:17 +0000", 1795335420, 0 },
  { "22 Nov 2026 08:17:60 +0000", 1795335479, 0 },
  { "1 Jan 70 00:00:00 Z", 0, 0 },
  { "29 Feb 2000 00:00:00 +0000", 951782400, 0 },
  { "31 Dec 1969 23:59:59 +0000", -1, 0 },
  { "1 Jan 1970 00:00:00 +09:00", -32400, 540 },
};

static const char *const no_dates[] = { "", "x", "29 Feb 2001 00:00:00 +0000", "0 Jan 2000 00:00:00", "1 Jan 2000",
                                        "1 Foo 2000 00:00:00", "1 Jan 2000 24:00:00", "1 Jan 99999 00:00:00",
                                        "32 Jan 2000 00:00:00", "Foo, 1 Jan 2000 00:00:00", "((((" };

static void
test_date (void)
{
  char buf[EK_DATE_SIZE];
  gint64 seconds;
  int zone;

  for (gsize i = 0; i < G_N_ELEMENTS (dates); i++) {
    g_assert_true (ek_date_parse (ek_str (dates[i].text), &seconds, &zone));
    g_assert_cmpint (seconds, ==, dates[i].seconds);
    g_assert_cmpint (zone, ==, dates[i].zone);
    g_assert_true (ek_date_parse (ek_str (ek_date_format (buf, seconds, zone)), &seconds, &zone));
    g_assert_cmpint (seconds, ==, dates[i].seconds);
    g_assert_true (ek_date_imap_parse (ek_str (ek_date_imap_format (buf, seconds, zone)), &seconds, NULL));
    g_assert_cmpint (seconds, ==, dates[i].seconds);
  }
  for (gsize i = 0; i < G_N_ELEMENTS (no_dates); i++)
    g_assert_false (ek_date_parse (ek_str (no_dates[i]), &seconds, NULL));
  g_assert_cmpstr (ek_date_format (buf, 1795335472, -330), ==, "Sun, 22 Nov 2026 02:47:52 -0530");
  g_assert_cmpstr (ek_date_format (buf, G_MAXINT64, 9999), !=, NULL);
  g_assert_cmpstr (ek_date_format (buf, G_MININT64, -9999), !=, NULL);
  g_assert_cmpstr (ek_date_imap_format (buf, 1793606400, 0), ==, " 2-Nov-2026 08:00:00 +0000");
  g_assert_cmpstr (ek_date_log_format (buf, 1793606400), ==, "Nov  2 08:00:00");
  g_assert_cmpstr (ek_date_queue_format (buf, 1793606400), ==, "Mon Nov  2 08:00:00");
}

static void
test_date_imap (void)
{
  gint64 seconds;
  int zone;

  g_assert_true (ek_date_imap_parse (EK_STR (" 2-Nov-2026 08:00:00 +0130"), &seconds, &zone));
  g_assert_cmpint (seconds, ==, 1793606400 - 5400);
  g_assert_cmpint (zone, ==, 90);
  g_assert_false (ek_date_imap_parse (EK_STR ("2-Nov-2026 08:00:00"), &seconds, &zone));
  g_assert_false (ek_date_imap_parse (EK_STR ("32-Nov-2026 08:00:00 +0000"), &seconds, &zone));
  g_assert_false (ek_date_imap_parse (EK_STR ("02-Nov-2026 08:00:00 +0000 "), &seconds, &zone));
  g_assert_false (ek_date_imap_parse (EK_STR ("02-Nov-2026 08:00:00 +00000"), &seconds, &zone));
  g_assert_true (ek_date_imap_day (EK_STR ("1-jan-1970"), &seconds));
  g_assert_cmpint (seconds, ==, 0);
  g_assert_true (ek_date_imap_day (EK_STR ("02-Jan-1970"), &seconds));
  g_assert_false (ek_date_imap_day (EK_STR ("1-Jan-70"), &seconds));
  g_assert_false (ek_date_imap_day (EK_STR ("1-Jan-1970x"), &seconds));
  g_assert_false (ek_date_imap_day (EK_STR ("1-Ja"), &seconds));
  for (gint64 day = -25000; day < 200000; day += 13) {     /* there and back */
    int y, mo, d, h, mi, s, wd;
    ek_date_to_civil (day * 86400 + 3661, &y, &mo, &d, &h, &mi, &s, &wd);
    g_assert_cmpint (ek_date_from_civil (y, mo, d, h, mi, s), ==, day * 86400 + 3661);
    g_assert_cmpint (wd, ==, ((day + 4) % 7 + 7) % 7);
  }
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/text/decode", test_decode);
  g_test_add_func ("/text/encode", test_encode);
  g_test_add_func ("/text/charset", test_charset);
  g_test_add_func ("/text/search", test_search);
  g_test_add_func ("/text/search-long", test_search_long);
  g_test_add_func ("/text/body-search", test_body_search);
  g_test_add_func ("/date/rfc5322", test_date);
  g_test_add_func ("/date/imap", test_date_imap);
  return g_test_run ();
}
