/* test-dsn.c - delivery reports, xtext, SMTP replies
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/dsn.h"
#include "mail/mime.h"
#include "mail/reply.h"
#include <string.h>

/* ---- reports -------------------------------------------------------------------------------------------- */

static char *
report (EkDsn *dsn, const char *original, gsize chunk)
{
  EkBuf out = { 0 };
  gsize n = strlen (original);
  bool more = true;

  ek_dsn_begin (dsn, &out);
  for (gsize i = 0; i < n && more; i += chunk)
    more = ek_dsn_original (dsn, original + i, MIN (chunk, n - i), &out);
  ek_dsn_end (dsn, &out);
  char *made = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  return made;
}

/* Lines end with CRLF, none is longer than 998, all is ASCII unless utf8. */
static void
check_form (const char *text, bool utf8)
{
  gsize column = 0;

  for (const char *p = text; *p; p++) {
    g_assert_true (*p != '\n' || (p > text && p[-1] == '\r'));
    g_assert_true (utf8 || (guchar) *p < 0x80);
    column = *p == '\n' ? 0 : column + 1;
    g_assert_cmpuint (column, <=, 999);
  }
}

/* The body of part `number` of the report. */
static char *
part_text (const char *text, const char *number, const char *type)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkMime *mime = ek_mime_parse (pool, ek_str (text));
  EkSection s;

  g_assert_cmpint (ek_mime_section (mime, ek_str (number), &s), ==, EK_OK);
  g_autofree char *got = g_strdup_printf ("%.*s/%.*s", EK_STR_ARG (s.part->type.type), EK_STR_ARG (s.part->type.subtype));
  g_assert_cmpstr (got, ==, type);
  return g_strndup (text + s.offset, s.extent.bytes);
}

static const char original[] = "Subject: hello\nFrom: a@b\n\nthe body\n";

static void
test_failed (void)
{
  EkDsnRcpt rcpts[] = {
    { .address = EK_STR ("bob@example.com"), .orcpt = EK_STR ("rfc822;b+2Bob@example.com"), .action = EK_DSN_FAILED,
      .status = "5.1.1", .diagnostic = EK_STR ("550 5.1.1 no such user\nhere"), .diagnostic_type = "smtp",
      .remote_mta = "mx.example.com", .last_attempt = 1795335472 },
    { .address = EK_STR ("c@example.com"), .action = EK_DSN_FAILED, .status = "junk",
      .diagnostic = EK_STR ("too old") },
  };
  EkDsn dsn = { .hostname = "mail.example.org", .to = EK_STR ("al@example.org"), .queue_id = "Q1", .report_id = "R1",
                .envid = EK_STR ("env+2B1"), .arrival = 1795335000, .now = 1795335472, .full = true,
                .rcpts = rcpts, .n_rcpts = 2 };

  for (gsize chunk = 1; chunk < 50; chunk += 7) {
    dsn.boundary[0] = 0;
    g_autofree char *text = report (&dsn, original, chunk);
    check_form (text, false);
    g_assert_true (g_str_has_prefix (text, "Date: Sun, 22 Nov 2026 08:17:52 +0000\r\n"
                                           "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\r\n"
                                           "To: al@example.org\r\nSubject: Your mail could not be delivered\r\n"
                                           "Message-ID: <R1.dsn@mail.example.org>\r\nAuto-Submitted: auto-replied\r\n"));
    g_autofree char *human = part_text (text, "1", "text/plain");
    g_assert_nonnull (strstr (human, "  <bob@example.com>\r\n    The mail system mx.example.com said: 550 5.1.1 no such user here\r\n"));
    g_assert_nonnull (strstr (human, "  <c@example.com>\r\n    too old\r\n"));
    g_autofree char *status = part_text (text, "2", "message/delivery-status");
    g_assert_cmpstr (status, ==,
                     "Original-Envelope-Id: env+1\r\nReporting-MTA: dns; mail.example.org\r\nX-Ekiden-Queue-ID: Q1\r\n"
                     "Arrival-Date: Sun, 22 Nov 2026 08:10:00 +0000\r\n\r\n"
                     "Original-Recipient: rfc822; b+ob@example.com\r\nFinal-Recipient: rfc822; bob@example.com\r\n"
                     "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n"
                     "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"
                     "Last-Attempt-Date: Sun, 22 Nov 2026 08:17:52 +0000\r\n\r\n"
                     "Final-Recipient: rfc822; c@example.com\r\nAction: failed\r\nStatus: 5.0.0\r\n"
                     "Diagnostic-Code: x-ekiden; too old\r\n");
    g_autofree char *message = part_text (text, "3", "message/rfc822");
    g_assert_cmpstr (message, ==, "Subject: hello\r\nFrom: a@b\r\n\r\nthe body\r\n");
  }
}

static void
test_headers_only (void)
{
  EkDsnRcpt rcpt = { .address = EK_STR ("b@c"), .action = EK_DSN_DELAYED, .status = "4.4.1",
                     .diagnostic = EK_STR ("connection timed out"), .retry_until = 1795335472 };
  EkDsn dsn = { .hostname = "h", .to = EK_STR ("a@b"), .report_id = "R", .now = 1, .full = true, .rcpts = &rcpt,
                .n_rcpts = 1 };
  static const char *const originals[] = { original, "Subject: hello\r\nFrom: a@b\r\n\r\nx", "Subject: hello\r\nFrom: a@b" };

  for (gsize i = 0; i < G_N_ELEMENTS (originals); i++)
    for (gsize chunk = 1; chunk < 40; chunk++) {
      dsn.boundary[0] = 0;
      g_autofree char *text = report (&dsn, originals[i], chunk);
      check_form (text, false);
      g_autofree char *header = part_text (text, "3", "text/rfc822-headers");
      g_assert_cmpstr (g_strchomp (header), ==, "Subject: hello\r\nFrom: a@b");
      g_assert_nonnull (strstr (text, "Subject: Your mail is delayed\r\n"));
      g_assert_nonnull (strstr (text, "Action: delayed\r\nStatus: 4.4.1\r\n"));
      g_assert_nonnull (strstr (text, "Will-Retry-Until: Sun, 22 Nov 2026 08:17:52 +0000\r\n"));
    }
  rcpt.action = EK_DSN_FAILED;                       /* too large to return whole */
  dsn.original_max = 100;
  dsn.original_size = 101;
  g_autofree char *text = report (&dsn, original, 9);
  g_assert_null (strstr (text, "the body"));
}

static void
test_hostile (void)
{
  g_autofree char *word = g_strnfill (5000, 'x');
  EkDsnRcpt rcpt = { .address = EK_STR ("b\r\nBcc: x@c"), .orcpt = EK_STR ("rfc822;a+0D+0ABcc:x"), .action = EK_DSN_FAILED,
                     .status = "5.0.0", .diagnostic = ek_str (word), .remote_mta = "m\nBcc: y" };
  EkDsn dsn = { .hostname = "h", .to = EK_STR ("a@b\r\nBcc: z"), .report_id = "R", .now = 1, .rcpts = &rcpt, .n_rcpts = 1 };
  g_autofree char *text = report (&dsn, "A: b\n\n", 3);

  check_form (text, false);
  g_assert_null (strstr (text, "\nBcc"));
}

static void
test_utf8 (void)
{
  EkDsnRcpt rcpt = { .address = EK_STR ("\xe4\xbe\x8b@c"), .action = EK_DSN_DELIVERED, .status = "2.0.0" };
  EkDsn dsn = { .hostname = "h", .to = EK_STR ("\xc3\xa9@b"), .report_id = "R", .now = 1, .utf8 = true, .rcpts = &rcpt,
                .n_rcpts = 1 };
  g_autofree char *text = report (&dsn, "A: b\n\nx", 3);

  check_form (text, true);
  g_autofree char *status = part_text (text, "2", "message/global-delivery-status");
  g_assert_nonnull (strstr (status, "Final-Recipient: utf-8; \xe4\xbe\x8b@c\r\nAction: delivered\r\nStatus: 2.0.0\r\n"));
  g_autofree char *header = part_text (text, "3", "message/global-headers");
  g_assert_cmpstr (g_strchomp (header), ==, "A: b");
  g_assert_nonnull (strstr (text, "\r\nTo: \xc3\xa9@b\r\n"));
  dsn.utf8 = false;
  g_autofree char *ascii = report (&dsn, "A: b\n\nx", 3);
  check_form (ascii, false);
  g_assert_nonnull (strstr (ascii, "Final-Recipient: utf-8; \\x{4F8B}@c\r\n"));
}

static void
test_xtext (void)
{
  EkBuf out = { 0 }, back = { 0 };
  static const char *const bad[] = { "a=b", "a b", "+4", "+4G", "+0A", "\xc3\xa9", "+7F" };

  ek_xtext_encode (&out, EK_STR ("a+b=c d\xc3\xa9"));
  g_assert_true (ek_str_eq (ek_buf_str (&out), EK_STR ("a+2Bb+3Dc+20d+C3+A9")));
  g_assert_true (ek_xtext_decode (ek_buf_str (&out), &back));
  g_assert_true (ek_str_eq (ek_buf_str (&back), EK_STR ("a+b=c d\xc3\xa9")));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (ek_xtext_decode (ek_str (bad[i]), &back));
  ek_buf_release (&out);
  ek_buf_release (&back);
}

/* ---- SMTP replies ---------------------------------------------------------------------------------------- */

static const struct {
  const char *bytes;
  EkSmtpState state;
  int         code;
  const char *dsn, *text, *rest;
} replies[] = {
  { "250 Ok\r\n", EK_SMTP_DONE, 250, "", "Ok", "" },
  { "250 2.1.0 Ok\r\n354 x", EK_SMTP_DONE, 250, "2.1.0", "2.1.0 Ok", "354 x" },
  { "250-a\r\n250-b c\r\n250 d\r\n", EK_SMTP_DONE, 250, "", "a\nb c\nd", "" },
  { "550-5.7.1 no\n550 5.7.1 never\n", EK_SMTP_DONE, 550, "5.7.1", "5.7.1 no\n5.7.1 never", "" },
  { "550 4.7.1 odd\r\n", EK_SMTP_DONE, 550, "", "4.7.1 odd", "" },
  { "250\r\n", EK_SMTP_DONE, 250, "", "", "" },
  { "250-\r\n250\r\n", EK_SMTP_DONE, 250, "", "\n", "" },
  { "250 a\rb\x01\r\n", EK_SMTP_DONE, 250, "", "a?b?", "" },
  { "421 bye", EK_SMTP_MORE, 0, "", "bye", "" },
  { "250-a\r\n550 b\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "SSH-2.0-x\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "25\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "2500\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "199 x\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
  { "600 x\r\n", EK_SMTP_BAD, 0, NULL, NULL, NULL },
};

static void
test_reply (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (replies); i++)
    for (gsize chunk = 1; chunk < 30; chunk++) {
      EkSmtpReply r = { 0 };
      gsize n = strlen (replies[i].bytes), at = 0, used;
      EkSmtpState state = EK_SMTP_MORE;
      while (at < n && state == EK_SMTP_MORE) {
        state = ek_smtp_reply_feed (&r, replies[i].bytes + at, MIN (chunk, n - at), &used);
        at += used;
      }
      g_assert_cmpint (state, ==, replies[i].state);
      g_assert_cmpint (r.code, ==, replies[i].code);
      if (state == EK_SMTP_BAD)
        continue;
      g_assert_cmpstr (r.dsn, ==, replies[i].dsn);
      g_assert_cmpstr (r.text, ==, replies[i].text);
      g_assert_cmpstr (replies[i].bytes + at, ==, replies[i].rest);
    }
}

static void
test_reply_bounds (void)
{
  EkSmtpReply r = { 0 };
  g_autofree char *line = g_strnfill (6000, 'x');
  EkStr text;
  char status[12];
  gsize used;

  memcpy (line, "250 ", 4);
  g_assert_cmpint (ek_smtp_reply_feed (&r, line, 6000, &used), ==, EK_SMTP_MORE);
  g_assert_cmpint (ek_smtp_reply_feed (&r, "\r\n", 2, &used), ==, EK_SMTP_DONE);
  g_assert_true (r.truncated && r.text_len == EK_SMTP_REPLY_TEXT - 1);
  EkSmtpState state = EK_SMTP_MORE;
  for (int i = 0; i < 1000 && state == EK_SMTP_MORE; i++)         /* begins a new reply by itself */
    state = ek_smtp_reply_feed (&r, "250-x\r\n", 7, &used);
  g_assert_cmpint (state, ==, EK_SMTP_BAD);
  ek_smtp_reply_clear (&r);
  g_assert_cmpint (ek_smtp_reply_feed (&r, "250-PIPELINING\r\n250 SIZE 10\r\n", 29, &used), ==, EK_SMTP_DONE);
  g_assert_true (ek_smtp_reply_line (&r, 1, &text) && ek_str_eq (text, EK_STR ("SIZE 10")));
  g_assert_true (ek_smtp_reply_line (&r, 0, &text) && ek_str_eq (text, EK_STR ("PIPELINING")));
  g_assert_false (ek_smtp_reply_line (&r, 2, &text));
  ek_smtp_reply_status (&r, status);
  g_assert_cmpstr (status, ==, "2.0.0");
  g_assert_cmpuint (ek_smtp_dsn_len (EK_STR ("5.7.26 x")), ==, 6);
  g_assert_cmpuint (ek_smtp_dsn_len (EK_STR ("5.7.1")), ==, 5);
  g_assert_cmpuint (ek_smtp_dsn_len (EK_STR ("3.7.1 ")), ==, 0);
  g_assert_cmpuint (ek_smtp_dsn_len (EK_STR ("5.7.1234 ")), ==, 0);
  g_assert_cmpuint (ek_smtp_dsn_len (EK_STR ("5.7.1x")), ==, 0);
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dsn/failed", test_failed);
  g_test_add_func ("/dsn/headers-only", test_headers_only);
  g_test_add_func ("/dsn/hostile", test_hostile);
  g_test_add_func ("/dsn/utf8", test_utf8);
  g_test_add_func ("/dsn/xtext", test_xtext);
  g_test_add_func ("/reply/parse", test_reply);
  g_test_add_func ("/reply/bounds", test_reply_bounds);
  return g_test_run ();
}
