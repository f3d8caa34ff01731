/* test-header.c - splitting, decoding and writing header fields; Received
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "../lib/slow.h"
#include "mail/header.h"
#include "mail/received.h"
#include <string.h>

/* ---- splitting ------------------------------------------------------------------------------------- */

/* "name=value" of each field in brackets, '!' for one without colon; then size, lines, bare. */
static char *
split (EkStr text, gsize chunk, gsize field_max)
{
  EkHeaderLimits limits = { .field_max = field_max };
  g_autoptr (EkHeaders) h = ek_headers_new (&limits);
  GString *s = g_string_new ("");
  EkHeader f;
  gsize at = 0;

  while (at < text.n && !ek_headers_done (h)) {
    gsize used = ek_headers_feed (h, text.p + at, MIN (chunk, text.n - at));
    g_assert_true (used == MIN (chunk, text.n - at) || ek_headers_done (h));
    at += used;
  }
  g_assert_cmpuint (ek_headers_size (h), ==, at);
  ek_headers_end (h);
  guint64 offset = 0;
  for (guint i = 0; ek_headers_at (h, i, &f); i++) {
    g_assert_cmpuint (f.offset, ==, offset);
    g_assert_true (memcmp (text.p + f.offset, f.raw.p, f.raw.n) == 0);
    offset += f.size;
    g_string_append_printf (s, "[%.*s%s%.*s%s]", EK_STR_ARG (f.name), f.colon ? "=" : "!", EK_STR_ARG (f.value),
                            f.truncated ? "~" : "");
  }
  g_string_append_printf (s, " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, ek_headers_size (h), ek_headers_lines (h));
  return g_string_free (s, FALSE);
}

static const char *const splits[][2] = {
  { "", " 0 0" },
  { "\n", " 1 1" },
  { "\r\nbody", " 2 1" },
  { "A: b\nC: d\n\nbody: x\n", "[A= b][C= d] 11 3" },
  { "A: b\r\n c\r\n\td\r\nC :d\r\n\r\n", "[A= b\r\n c\r\n\td][C=d] 22 5" },
  { "A: b\n \n\nx", "[A= b\n ] 8 3" },
  { "no colon\nA: b", "[no colon!][A= b] 13 1" },
  { " first: x\nA:\n\n", "[ first= x][A=] 14 3" },
  { "From x:y\n\n", "[From x=y] 10 2" },
  { "A: b\r\r\nC: d\r\n\r\n", "[A= b\r][C= d] 15 3" },
  { "\r\r\nA: b\n\n", "[\r!][A= b] 9 3" },
  { "A\n b: c\n\n", "[A!] 9 3" },
  { ": x\n\n", "[= x] 5 2" },
};

static void
test_split (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (splits); i++)
    for (gsize chunk = 1; chunk < 30; chunk++) {
      g_autofree char *got = split (ek_str (splits[i][0]), chunk, 0);
      g_assert_cmpstr (got, ==, splits[i][1]);
    }
}

static void
test_split_limits (void)
{
  for (gsize chunk = 1; chunk < 20; chunk++) {
    g_autofree char *got = split (EK_STR ("A: 0123456789\n 0123456789\nB: x\n\n"), chunk, 8);
    g_assert_cmpstr (got, ==, "[A= 01234~][B= x] 32 4");
  }
  EkHeaderLimits limits = { .size_max = 20, .count_max = 2 };
  g_autoptr (EkHeaders) h = ek_headers_new (&limits);
  EkHeader f;
  g_assert_cmpuint (ek_headers_feed (h, "A: 1\nB: 2\nC: 3\n\nbody", 21), ==, 16);
  g_assert_true (ek_headers_done (h) && ek_headers_truncated (h));
  g_assert_cmpuint (ek_headers_count (h), ==, 2);
  g_assert_true (ek_headers_find (h, "b", NULL, &f));
  g_assert_false (ek_headers_find (h, "c", NULL, &f));
}

static void
test_find (void)
{
  g_autoptr (EkHeaders) h = ek_headers_new (NULL);
  EkHeader f;
  guint index = 0, n = 0;

  ek_headers_feed (h, "To: a\ncc: b\nTO: c\nTo\nto: d\n\n", 30);
  while (ek_headers_find (h, "To", &index, &f)) {
    g_assert_cmpint (f.value.p[1], ==, "acd"[n]);
    n++;
  }
  g_assert_cmpuint (n, ==, 3);
}

static bool
stop_at_b (const EkHeader *h, gpointer data)
{
  ++*(guint *) data;
  return h->name.p[0] != 'B';
}

static void
test_split_stop (void)
{
  const char *text = "A: 1\nB: 2\nC: 3\n\n";

  for (gsize chunk = 1; chunk < 20; chunk++) {
    guint seen = 0;
    EkHeaderSplit s = { .func = stop_at_b, .data = &seen };
    for (gsize at = 0, n = strlen (text); at < n && !s.done; at += chunk)
      ek_header_split_feed (&s, text + at, MIN (chunk, n - at));
    g_assert_cmpuint (seen, ==, 2);
    g_assert_cmpuint (s.size, ==, 10);
    g_assert_true (s.done && !s.complete);
    ek_header_split_clear (&s);
  }
}

/* ---- values ------------------------------------------------------------------------------------------- */

static const char *const decodes[][2] = {
  { "plain", "plain" },
  { " \r\n folded\r\n\ttext ", "folded text" },
  { "=?utf-8?Q?caf=C3=A9?=", "caf\xc3\xa9" },
  { "=?UTF-8?b?Y2Fmw6k=?= x", "caf\xc3\xa9 x" },
  { "=?iso-8859-1?q?caf=E9_au?=  =?utf-8?q?_lait?=", "caf\xc3\xa9 au lait" },
  { "a =?utf-8?q?b?= c =?utf-8?q?d?= e", "a b c d e" },
  { "=?utf-8?B?ww==?= =?utf-8?B?qQ==?=", "\xc3\xa9" },                 /* one character in two words */
  { "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
  { "=?ISO-2022-JP?B?GyRCLSEbKEI=?=", "\xe2\x91\xa0" },               /* circled one: row 13 */
  { "=?shift_jis?B?k/qWew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
  { "=?utf-8*en?q?x?=", "x" },
  { "=?utf-8?q?a b?=", "a b" },
  { "=?utf-8?q?what?now?=", "what?now" },
  { "=?utf-8?x?y?=", "=?utf-8?x?y?=" },
  { "=?utf-8?q?open", "=?utf-8?q?open" },
  { "=??q?x?=", "=??q?x?=" },
  { "=?no-such-set?q?=FFx?=", "\xef\xbf\xbdx" },
  { "raw \xff", "raw \xef\xbf\xbd" },
  { "=?utf-8?q?=0D=0ABcc:_x?=", "  Bcc: x" },                        /* no new header field */
};

static void
test_decode (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (decodes); i++)
    g_assert_cmpstr (ek_header_decode (pool, ek_str (decodes[i][0])).p, ==, decodes[i][1]);
  EkBuf hostile = { 0 };
  while (ek_buf_len (&hostile) < 256 * 1024)
    ek_buf_appends (&hostile, "=?a?Q?x");
  gint64 start = test_worked ();
  ek_header_decode (pool, ek_buf_str (&hostile));
  g_assert_cmpint (test_worked () - start, <, G_USEC_PER_SEC);
  ek_buf_release (&hostile);
}

static const char *const encodes[] = {
  "short", "a longer subject that has to be folded because it does not fit into one line of seventy-six",
  "caf\xc3\xa9", "=?looks?like?one?=", "",
  ("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe4\xbb\xb6\xe5\x90\x8d\xe3\x81\xaf\xe9\x95\xb7\xe3\x81\x84\xe3\x81\xae"
  "\xe3\x81\xa7\xe4\xba\x8c\xe8\xa1\x8c\xe3\x81\xab\xe3\x81\xaa\xe3\x82\x8b\xe3\x81\xaf\xe3\x81\x9a\xe3\x81\xa0"),
  "noblankshereatallandyetmuchlongerthanalineofaheadermaybesothatnothingcanbedoneaboutit",
};

static void
test_encode (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (encodes); i++) {
    EkBuf out = { 0 };
    ek_header_encode (&out, ek_str (encodes[i]), 9);
    g_assert_cmpstr (ek_header_decode (pool, ek_buf_str (&out)).p, ==, encodes[i]);
    gsize column = 9;
    for (gsize k = 0; k < ek_buf_len (&out); k++) {
      g_assert_true ((guchar) ek_buf_at (&out)[k] < 0x80);
      column = ek_buf_at (&out)[k] == '\n' ? 0 : column + 1;
      g_assert_true (column <= 77 || i == 6);
    }
    ek_buf_release (&out);
  }
  EkBuf out = { 0 };
  ek_header_encode (&out, EK_STR ("a\r\nBcc: b"), 0);
  g_assert_true (ek_str_eq (ek_buf_str (&out), EK_STR ("a  Bcc: b")));
  ek_buf_release (&out);
}

static void
test_msgid (void)
{
  static const char *const cases[][2] = {
    { "<a@b>", "<a@b>" },
    { "x <a@b>\r\n <c\r\n @d> (e)", "<a@b><c@d>" },
    { "<\"a>b\"@c> <d@e>", "<\"a>b\"@c><d@e>" },
    { "<a@b <c@d>", "<c@d>" },
    { "<\"open@b> <c@d>", "<c@d>" },
    { "<> <a@b>", "<a@b>" },
    { "none", "" },
    { "<", "" },
  };
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GString) all = g_string_new ("");
    EkStr rest = ek_str (cases[i][0]), id;
    while (ek_header_msgid (pool, &rest, &id))
      g_string_append_len (all, id.p, (gssize) id.n);
    g_assert_cmpstr (all->str, ==, cases[i][1]);
  }
}

static void
test_params (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkMimeType t;

  ek_mime_type_parse (pool, EK_STR ("text/plain; charset=\"utf-8\" (x); Name=\"a\\\"b\""), &t);
  g_assert_cmpstr (t.type.p, ==, "text");
  g_assert_cmpstr (t.subtype.p, ==, "plain");
  g_assert_cmpstr (ek_mime_param (pool, &t, "CHARSET").p, ==, "utf-8");
  g_assert_cmpstr (ek_mime_param (pool, &t, "name").p, ==, "a\"b");
  g_assert_null (ek_mime_param (pool, &t, "x").p);
  ek_mime_disposition_parse (pool, EK_STR ("attachment; filename*0*=utf-8'en'%E2%82%AC; filename*1=\" 100%\"; "
                                           "filename*2*=%20x"), &t);
  g_assert_cmpstr (ek_mime_param (pool, &t, "filename").p, ==, "\xe2\x82\xac 100% x");
  ek_mime_disposition_parse (pool, EK_STR ("attachment; filename=\"=?utf-8?q?=E2=82=AC?=\""), &t);
  g_assert_cmpstr (ek_mime_param (pool, &t, "filename").p, ==, "\xe2\x82\xac");
  ek_mime_type_parse (pool, EK_STR ("; x"), &t);
  g_assert_true (t.type.p && t.type.n == 0);
  EkBuf many = { 0 };
  ek_buf_appends (&many, "a/b");
  for (int i = 0; i < 50000; i++)
    ek_buf_printf (&many, ";a*%d=\"", i % 120);
  ek_mime_type_parse (pool, ek_buf_str (&many), &t);
  g_assert_cmpuint (t.n_params, <=, EK_MIME_PARAMS_MAX);
  ek_buf_release (&many);
}

/* ---- Received -------------------------------------------------------------------------------------------- */

static void
test_received (void)
{
  EkClient client = { .address = "192.0.2.1", .host = "mail.example.org", .tls = true, .tls_version = "TLSv1.3",
                      .tls_cipher = "TLS_AES_256_GCM_SHA384", .tls_bits = 256 };
  EkReceived r = { .client = &client, .helo = EK_STR ("mail.example.org"), .login = "joe", .hostname = "mx.example.com",
                   .esmtp = true, .auth = true, .show_tls = true, .queue_id = "0123456789ABCDEF",
                   .rcpt = EK_STR ("bob@example.com"), .seconds = 1795335472 };
  EkBuf out = { 0 };

  ek_received_write (&out, &r);
  ek_buf_appendc (&out, 0);
  g_assert_cmpstr (ek_buf_at (&out), ==,
                   "Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n"
                   "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
                   "\t(Authenticated sender: joe)\r\n"
                   "\tby mx.example.com (Ekiden) with ESMTPSA id 0123456789ABCDEF\r\n"
                   "\tfor <bob@example.com>; Sun, 22 Nov 2026 08:17:52 +0000 (UTC)\r\n");
  ek_buf_clear (&out);
  client = (EkClient) { .address = "2001:db8::1", .host = "unknown" };
  r = (EkReceived) { .client = &client, .helo = EK_STR ("x) (y\r\nBcc: z"), .hostname = "h", .queue_id = "Q",
                     .login = "a\nb", .seconds = 1795335472 };
  ek_received_write (&out, &r);
  ek_buf_appendc (&out, 0);
  g_assert_cmpstr (ek_buf_at (&out), ==,
                   "Received: from x???y??Bcc:?z (unknown [IPv6:2001:db8::1])\r\n\t(Authenticated sender: a?b)\r\n"
                   "\tby h (Ekiden) with SMTP id Q; Sun, 22 Nov 2026 08:17:52 +0000 (UTC)\r\n");
  ek_buf_clear (&out);
  r = (EkReceived) { .uid = 1000, .hostname = "h", .queue_id = "Q", .seconds = 1795335472 };
  ek_received_write (&out, &r);
  ek_buf_appendc (&out, 0);
  g_assert_cmpstr (ek_buf_at (&out), ==,
                   "Received: by h (Ekiden, from userid 1000)\r\n\tid Q; Sun, 22 Nov 2026 08:17:52 +0000 (UTC)\r\n");
  ek_buf_release (&out);
  r = (EkReceived) { .client = &client, .lmtp = true };
  g_assert_cmpstr (ek_received_with (&r), ==, "LMTP");
  r = (EkReceived) { .client = &client, .esmtp = true, .utf8 = true };
  g_assert_cmpstr (ek_received_with (&r), ==, "UTF8SMTP");
}

static void
test_hops (void)
{
  static const char text[] = "Received: a\r\n b\r\nDelivered-To: x@y\r\nreceived: c\r\nDelivered-To:  z@Y \r\n\r\nReceived: d\r\n";

  for (gsize chunk = 1; chunk < 90; chunk++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkHops hops = { .pool = pool };
    for (gsize i = 0; i < strlen (text); i += chunk)
      ek_hops_feed (&hops, text + i, MIN (chunk, strlen (text) - i));
    g_assert_true (hops.done);
    ek_hops_end (&hops);
    g_assert_cmpuint (hops.received, ==, 2);
    g_assert_cmpuint (hops.delivered_to, ==, 2);
    g_assert_true (ek_hops_delivered_to (&hops, EK_STR ("X@y")) && ek_hops_delivered_to (&hops, EK_STR ("z@y")));
    g_assert_false (ek_hops_delivered_to (&hops, EK_STR ("w@y")));
  }
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/header/split", test_split);
  g_test_add_func ("/header/split-limits", test_split_limits);
  g_test_add_func ("/header/split-stop", test_split_stop);
  g_test_add_func ("/header/find", test_find);
  g_test_add_func ("/header/decode", test_decode);
  g_test_add_func ("/header/encode", test_encode);
  g_test_add_func ("/header/msgid", test_msgid);
  g_test_add_func ("/header/params", test_params);
  g_test_add_func ("/header/received", test_received);
  g_test_add_func ("/header/hops", test_hops);
  return g_test_run ();
}
