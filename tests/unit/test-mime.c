/* test-mime.c - the tree of a message, IMAP's view of it, sections, the saved form, limits
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "../lib/mimecheck.h"
#include "../lib/slow.h"
#include <time.h>

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define TEXT_PLAIN "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
#define NILS " NIL NIL NIL NIL)"
#define MIXED_END " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
#define NO_ENVELOPE "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

/* Message, what BODYSTRUCTURE says.  All of it was compared with Dovecot 2.3.19. */
static const char *const structures[][2] = {
  { "", TEXT_PLAIN "0 0" NILS },
  { "\n\nx\n", TEXT_PLAIN "5 2" NILS },
  { "Subject: x\n\none\ntwo", TEXT_PLAIN "8 1" NILS },
  { "Content-Type: text\n\n", "(\"text\" \"\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" NILS },
  { "Content-Type: junk; a=b\n\n", "(\"\" \"\" NIL NIL NIL \"7bit\" 0" NILS },
  { "Content-Type: IMAGE/png (c); Name=\"a b\"; x=y/z\nContent-ID: <i@d>\nContent-Description: d\n"
    "Content-Transfer-Encoding: BASE64\nContent-MD5: m\nContent-Language: en, de\nContent-Location: l\n"
    "Content-Disposition: attachment; filename=\"a\\\"b\"\n\nAAAA\n",
    "(\"IMAGE\" \"png\" (\"Name\" \"a b\" \"x\" \"y\") \"<i@d>\" \"d\" \"BASE64\" 6 \"m\" "
    "(\"attachment\" (\"filename\" \"a\\\"b\")) (\"en\" \"de\") \"l\")" },
  { "Content-Type: text/plain; name*1=b; x=y; name*0*=utf-8''%41; charset=c\n\n",
    "(\"text\" \"plain\" (\"x\" \"y\" \"charset\" \"c\" \"name*\" \"utf-8''%41b\") NIL NIL \"7bit\" 0 0" NILS },
  { "Content-Type: a/b; x=\"1\\\n 2\"\nFrom: \"a\\\n b\" (\\\n c) d@e\n\n",          /* an escaped line break */
    "(\"a\" \"b\" (\"x\" \"1 2\") NIL NIL \"7bit\" 0" NILS },
  { MIXED "pre\n--b\n\none\n--b\n\ntwo\n--b--\nepi\n",
    "(" TEXT_PLAIN "3 0" NILS TEXT_PLAIN "3 0" NILS MIXED_END },
  { MIXED "--b\n\none\n\n--b\n\n--b--", "(" TEXT_PLAIN "5 1" NILS TEXT_PLAIN "0 0" NILS MIXED_END },
  { MIXED "no part\n", "(" TEXT_PLAIN "0 0" NILS MIXED_END },
  { "Content-Type: multipart/mixed\n\n--b\n\n", "(" TEXT_PLAIN "0 0" NILS " \"mixed\" NIL NIL NIL NIL)" },
  { MIXED "--b\nContent-Type: text/html\n--b\n\nx\n--b--\n",          /* a header without its empty line */
    "((\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" NILS TEXT_PLAIN "1 0" NILS MIXED_END },
  { MIXED "--bx\n\none\n--b y\n\ntwo\n--b--x\nepi\n--b\n\nfour\n",     /* the rest of the line does not matter */
    "(" TEXT_PLAIN "3 0" NILS TEXT_PLAIN "3 0" NILS MIXED_END },
  { MIXED "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\nepi\n--b\n\ntwo\n--b--\n",
    "((" TEXT_PLAIN "3 0" NILS " \"mixed\" (\"boundary\" \"bb\") NIL NIL NIL)" TEXT_PLAIN "3 0" NILS MIXED_END },
  { MIXED "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
    "((" TEXT_PLAIN "3 0" NILS MIXED_END TEXT_PLAIN "3 0" NILS MIXED_END },
  { MIXED "--b\nContent-Type: message/rfc822\n\nSubject: in\nFrom: a@b\n\nbody\n--b--\n",
    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 30 (NIL \"in\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
    "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) " TEXT_PLAIN "4 0" NILS " 3" NILS MIXED_END },
  { MIXED "--b\nContent-Type: message/rfc822\n--b--\n",
    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 " NO_ENVELOPE " " TEXT_PLAIN "0 0" NILS " 0" NILS MIXED_END },
  { "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nContent-Type: text/plain\n\nt\n--b--\n",
    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) " TEXT_PLAIN "3 0" NILS
    " 2" NILS TEXT_PLAIN "1 0" NILS " \"digest\" (\"boundary\" \"b\") NIL NIL NIL)" },
};

static void
test_structure (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (structures); i++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkStr message = ek_str (structures[i][0]);
    EkBuf out = { 0 };
    ek_imap_body (&out, ek_mime_parse (pool, message), true);
    ek_buf_appendc (&out, 0);
    g_assert_cmpstr (ek_buf_at (&out), ==, structures[i][1]);
    for (gsize chunk = 1; chunk < 40; chunk += chunk < 8 ? 1 : 7)
      mc_check (message, chunk);
    ek_buf_release (&out);
  }
}

/* Header, what ENVELOPE says. */
static const char *const envelopes[][2] = {
  { "", NO_ENVELOPE },
  { "Date: d\nSubject: s\nFrom: A B <a@b>\nTo: c@d\nTo: e@f\nCc: g: h@i;\nBcc: j@k\nMessage-ID: <m>\nIn-Reply-To: <r>\n",
    "(\"d\" \"s\" ((\"A B\" NIL \"a\" \"b\")) ((\"A B\" NIL \"a\" \"b\")) ((\"A B\" NIL \"a\" \"b\")) "
    "((NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")) ((NIL NIL \"g\" NIL)(NIL NIL \"h\" \"i\")(NIL NIL NIL NIL)) "
    "((NIL NIL \"j\" \"k\")) \"<r>\" \"<m>\")" },
  { "From: a@b\nSender: c@d\nReply-To:\n",
    "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)" },
  { "Subject: one\nSubject: two\n", "(NIL \"two\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
  { "Subject:\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
  { "Subject: say \"hi\"\n", "(NIL {8}\r\nsay \"hi\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
  { "Subject: a \t b  \n", "(NIL {3}\r\na b NIL NIL NIL NIL NIL NIL NIL NIL)" },
  { "Subject: caf\xc3\xa9\n", "(NIL {5}\r\ncaf\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL)" },
  { "Message-ID: a\"b\\\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL \"a\\\"b\\\\\")" },
  { "Message-ID: \"\"\"\"\"\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL {5}\r\n\"\"\"\"\")" },
  { "In-Reply-To: (x) <a@b>\n\t<c@d>\n", "(NIL NIL NIL NIL NIL NIL NIL NIL \"(x) <a@b>\t<c@d>\" NIL)" },
};

static void
test_envelope (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (envelopes); i++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkBuf out = { 0 };
    ek_imap_envelope (&out, ek_mime_parse (pool, ek_str (envelopes[i][0]))->root->envelope);
    ek_buf_appendc (&out, 0);
    g_assert_cmpstr (ek_buf_at (&out), ==, envelopes[i][1]);
    mc_check (ek_str (envelopes[i][0]), 3);
    ek_buf_release (&out);
  }
}

static void
test_nul (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStr message = { "Message-ID: a\0b\n\nx\0y\n", 21 };
  EkMime *mime = ek_mime_parse (pool, message);
  EkBuf out = { 0 };

  g_assert_true (mime->has_nul);
  ek_imap_envelope (&out, mime->root->envelope);
  g_assert_nonnull (g_strstr_len (ek_buf_at (&out), (gssize) ek_buf_len (&out), " {5}\r\na\xef\xbf\xbd" "b)"));
  mc_check (message, 4);
  ek_buf_release (&out);
}

static const char sections_message[] =
  "Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\n"
  "--b\nX: 1\n\none\n"
  "--b\nContent-Type: message/rfc822\n\n"
  "Subject: inner\nContent-Type: multipart/mixed; boundary=c\n\n--c\nX: 21\n\ntwo-one\n--c\n\ntwo-two\n--c--\n"
  "--b\nContent-Type: message/rfc822\n\nSubject: plain\n\nthree\n"
  "--b--\n";

/* Section, its bytes; NULL: NOTFOUND, "!": FAIL. */
static const char *const sections[][2] = {
  { "HEADER", "Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\n" },
  { "1", "one" },
  { "1.mime", "X: 1\n\n" },
  { "1.HEADER", NULL },
  { "1.1", NULL },
  { "2.HEADER", "Subject: inner\nContent-Type: multipart/mixed; boundary=c\n\n" },
  { "2.TEXT", "--c\nX: 21\n\ntwo-one\n--c\n\ntwo-two\n--c--" },
  { "2.MIME", "Content-Type: message/rfc822\n\n" },
  { "2.1", "two-one" },
  { "2.1.MIME", "X: 21\n\n" },
  { "2.2", "two-two" },
  { "2.2.MIME", "\n" },
  { "2.3", NULL },
  { "3", "Subject: plain\n\nthree" },
  { "3.1", "three" },
  { "3.1.MIME", "Subject: plain\n\n" },
  { "3.1.1", NULL },
  { "3.2", NULL },
  { "3.TEXT", "three" },
  { "4", NULL },
  { "1000000", NULL },
  { "0", "!" },
  { "01", "!" },
  { "1.", "!" },
  { ".1", "!" },
  { "MIME", "!" },
  { "HEADERS", "!" },
  { "1..2", "!" },
  { "99999999999999999999", "!" },
  { "1.TEXT.2", "!" },
};

static void
check_section (const EkMime *mime, EkStr message, const char *spec, const char *want)
{
  EkSection s;
  EkStatus status = ek_mime_section (mime, ek_str (spec), &s);

  g_test_message ("%s", spec);
  if (want == NULL || want[0] == '!') {
    g_assert_cmpint (status, ==, want ? EK_FAIL : EK_NOTFOUND);
    return;
  }
  g_assert_cmpint (status, ==, EK_OK);
  g_assert_true (ek_str_eq ((EkStr) { message.p + s.offset, s.extent.bytes }, ek_str (want)));
}

static void
test_section (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStr message = ek_str (sections_message), leaf = EK_STR ("Subject: s\n\nbody\n");
  EkMime *mime = ek_mime_parse (pool, message), *simple = ek_mime_parse (pool, leaf);

  mc_check (message, 5);
  for (gsize i = 0; i < G_N_ELEMENTS (sections); i++)
    check_section (mime, message, sections[i][0], sections[i][1]);
  check_section (mime, message, "", sections_message);
  check_section (simple, leaf, "1", "body\n");
  check_section (simple, leaf, "TEXT", "body\n");
  check_section (simple, leaf, "1.1", NULL);
  check_section (simple, leaf, "1.HEADER", NULL);
  check_section (simple, leaf, "2", NULL);
  g_assert_true (ek_mime_part (mime, EK_STR ("")) == mime->root);
  g_assert_true (ek_mime_part (mime, EK_STR ("2.1"))->parent->parent == ek_mime_part (mime, EK_STR ("2")));
  g_assert_null (ek_mime_part (mime, EK_STR ("2.TEXT")));
}

/* Saved forms that are cut or changed anywhere are refused or give a sound tree. */
static void
test_load_broken (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf saved = { 0 };

  ek_mime_save (ek_mime_parse (pool, ek_str (sections_message)), &saved);
  gsize n = ek_buf_len (&saved);
  for (gsize i = 0; i < n; i++) {
    g_autofree char *copy = g_memdup2 (ek_buf_at (&saved), n);
    g_assert_null (ek_mime_load (pool, (EkStr) { copy, i }));
    for (guint bit = 0; bit < 8; bit++) {
      copy[i] ^= (char) (1 << bit);
      EkMime *mime = ek_mime_load (pool, (EkStr) { copy, n });
      if (mime) {
        EkBuf out = { 0 };
        ek_imap_body (&out, mime, true);
        g_assert_cmpuint (ek_buf_len (&out), >, 0);
        ek_buf_release (&out);
      }
      copy[i] ^= (char) (1 << bit);
    }
    ek_pool_clear (pool);
  }
  ek_buf_appendc (&saved, 0);
  g_assert_null (ek_mime_load (pool, ek_buf_str (&saved)));
  ek_buf_release (&saved);
}

/* 1,000 levels, 100,000 parts, endless fields: bounded in depth, memory and time. */
static void
test_limits (void)
{
  EkBuf deep = { 0 }, wide = { 0 }, field = { 0 }, digest = { 0 };

  for (int i = 0; i < 1000; i++)
    ek_buf_printf (&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
  ek_buf_appends (&wide, "Content-Type: multipart/mixed; boundary=b\n\n");
  for (int i = 0; i < 100000; i++)
    ek_buf_appends (&wide, "--b\n\n");
  ek_buf_appends (&field, "Content-Type: text/plain");
  for (int i = 0; i < 100000; i++)
    ek_buf_appends (&field, "; a=\"b\"");
  ek_buf_appends (&field, "\nFrom: ");
  for (int i = 0; i < 100000; i++)
    ek_buf_appends (&field, "(a) b@c,\n ");
  ek_buf_appends (&field, "\n\n");
  for (int i = 0; i < 1000; i++)
    ek_buf_printf (&digest, "Content-Type: multipart/digest; boundary=b%d\n\n--b%d\n\n", i, i);
  EkBuf *all[] = { &deep, &wide, &field, &digest };
  for (gsize i = 0; i < G_N_ELEMENTS (all); i++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkBuf out = { 0 };
    gint64 start = test_worked ();
    EkMime *mime = mc_parse (pool, ek_buf_str (all[i]), 4096);
    ek_imap_envelope (&out, mime->root->envelope);
    mc_imap (&out);
    ek_buf_clear (&out);
    ek_imap_body (&out, mime, true);
    mc_imap (&out);
    g_assert_true (mime->limited);
    g_assert_cmpuint (mime->n_parts, <=, 10000);
    g_assert_cmpuint (ek_pool_size (pool), <, 16 << 20);
    g_assert_cmpint (test_worked () - start, <, 5 * G_USEC_PER_SEC);
    ek_buf_release (&out);
    ek_buf_release (all[i]);
  }
}

static void
test_conformance (void)
{
  g_autofree char *base = g_getenv ("EKIDEN_CONFORMANCE")
                          ? g_strdup (g_getenv ("EKIDEN_CONFORMANCE"))
                          : g_build_filename (EK_SRCDIR, "../shared/conformance", NULL);
  static const char *const folders[] = { "rfc", "malformed" };
  guint n = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *path = g_build_filename (base, "mime/resources/eml", folders[i], NULL);
    g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name (dir))) {
      g_autofree char *file = g_build_filename (path, name, NULL), *text = NULL;
      gsize len;
      if (!g_str_has_suffix (name, ".eml") || !g_file_get_contents (file, &text, &len, NULL))
        continue;
      g_test_message ("%s", file);
      mc_check ((EkStr) { text, len }, 1);
      mc_check ((EkStr) { text, len }, 77);
      n++;
    }
  }
  if (n == 0)
    g_test_skip ("conformance data is not there (EKIDEN_CONFORMANCE, ../shared/conformance)");
  else
    g_assert_cmpuint (n, >, 30);
}

/* `test-mime -m perf`: what one message of about 4 KB costs, in CPU time. */
static void
test_speed (void)
{
  enum { ROUNDS = 20000 };
  static const char header[] =
    "Return-Path: <al@example.org>\nDelivered-To: bo@example.com\n"
    "Received: from mail.example.org (mail.example.org [192.0.2.1])\n\t(using TLSv1.3 with cipher "
    "TLS_AES_256_GCM_SHA384 (256/256 bits))\n\tby mx.example.com (Ekiden) with ESMTPS id 0123456789ABCDEF\n"
    "\tfor <bo@example.com>; Sun, 22 Nov 2026 08:17:52 +0000 (UTC)\nDate: Sun, 22 Nov 2026 08:17:49 +0000\n"
    "From: \"Al Liddell\" <al@example.org>\nTo: Bo <bo@example.com>, Cy <cy@example.com>\nCc: di@example.net\n"
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and the minutes\nMessage-ID: <20261122081749.1234@example.org>\n"
    "In-Reply-To: <20261121.9@example.com>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b_12345\"\n\n"
    "--=_b_12345\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf message = { 0 }, out = { 0 };

  if (!g_test_perf ()) {
    g_test_skip ("a measurement: test-mime -m perf");
    return;
  }
  ek_buf_appends (&message, header);
  for (int i = 0; i < 20; i++)
    ek_buf_appends (&message, "A line of text that is about as long as lines in mail are, more or less.\n");
  ek_buf_appends (&message, "--=_b_12345\nContent-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: attachment; "
                            "filename=\"a.pdf\"\nContent-Transfer-Encoding: base64\n\n");
  while (ek_buf_len (&message) < 4096)
    ek_buf_appends (&message, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\n");
  ek_buf_appends (&message, "--=_b_12345--\n");
  clock_t start = clock ();
  for (int i = 0; i < ROUNDS; i++) {
    EkMime *mime = ek_mime_parse (pool, ek_buf_str (&message));
    ek_buf_clear (&out);
    ek_imap_envelope (&out, mime->root->envelope);
    ek_imap_body (&out, mime, true);
    ek_pool_clear (pool);
  }
  double us = (double) (clock () - start) / CLOCKS_PER_SEC * 1e6 / ROUNDS;
  g_test_minimized_result (us, "tree, envelope and body structure of %" G_GSIZE_FORMAT " bytes: %.2f us",
                           ek_buf_len (&message), us);
  ek_buf_release (&message);
  ek_buf_release (&out);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mime/structure", test_structure);
  g_test_add_func ("/mime/envelope", test_envelope);
  g_test_add_func ("/mime/nul", test_nul);
  g_test_add_func ("/mime/section", test_section);
  g_test_add_func ("/mime/load-broken", test_load_broken);
  g_test_add_func ("/mime/limits", test_limits);
  g_test_add_func ("/mime/conformance", test_conformance);
  g_test_add_func ("/mime/speed", test_speed);
  return g_test_run ();
}
