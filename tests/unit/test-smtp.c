/* test-smtp.c - SMTP sessions in memory: dialogues, whole and byte by byte, and what queue gets
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lib/memsession.h"
#include "lib/memsubmit.h"
#include "queue/spool.h"
#include "../../modules/smtp/smtp.h"
#include <string.h>

extern const EkModule ek_module_smtp;
static SmtpOptions *options;

static void
auth (EkSession *s, const char *mechanism, EkStr response, EkAuthAnswer *answer)
{
  if (strcmp (mechanism, "LOGIN") == 0 && response.p == NULL)
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_CHALLENGE, .challenge = EK_STR ("Username:") };
  else if (response.n > 4 && memcmp (response.p + response.n - 4, "good", 4) == 0)
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_OK, .user = "anna@example.test" };
  else if (response.n > 4 && memcmp (response.p + response.n - 4, "down", 4) == 0)
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_UNAVAILABLE, .text = "backend" };
}

static const char *const mechanisms[] = { "PLAIN", "LOGIN", NULL }, *const none[] = { NULL };

static void
begin (void)
{
  mem_mail_reset ();
  options = mem_options (ek_module_smtp.protocol);
  options->error_delay.us = 0;
  options->pipelining = "lax";
}

static void
end (void)
{
  g_clear_pointer (&options, g_free);
}

/* What the server says to `in`, given in pieces of `step` bytes. */
static char *
play (const char *in, gsize n, gsize step, const char *const *offered)
{
  MemConfig config = { .ops = ek_module_smtp.protocol, .options = options, .mechanisms = offered, .auth = auth };
  EkSession *s = mem_session_new (&config);

  mem_mail_run (s);
  for (gsize at = 0; at < n; at += step) {
    mem_feed (s, in + at, MIN (step, n - at));
    mem_mail_run (s);
  }
  EkStr out = mem_output (s);
  char *text = g_strndup (out.p, out.n);
  mem_session_free (s);
  return text;
}

/* The dialogue in whole, in threes and byte by byte always gives the same. */
static void
check (const char *in, const char *want, const char *const *offered)
{
  static const gsize steps[] = { 1 << 20, 3, 1 };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autofree char *got = play (in, strlen (in), steps[i], offered);
    g_autofree char *expected = g_strconcat ("220 server.example ESMTP Ekiden\r\n", want, NULL);
    g_assert_cmpstr (got, ==, expected);
  }
}

static MemMessage *
last (void)
{
  g_assert_cmpuint (mem_mail.messages->len, >, 0);
  return mem_mail.messages->pdata[mem_mail.messages->len - 1];
}

static void
content_is (const char *want)
{
  EkStr got = mem_message_content (last ());
  g_autofree char *text = g_strndup (got.p, got.n);

  g_assert_cmpstr (text, ==, want);
}

#define EHLO "EHLO c.test\r\n"
#define FEATURES "250-server.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n250-ETRN\r\n" \
                 "250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"
#define HELO "HELO c.test\r\n"
#define HELLO "250 server.example\r\n"
#define MAIL "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@example.test>\r\n"
#define MAILED "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define TAKEN "250 2.0.0 Ok: queued as 0000000000000001\r\n"
#define BYE "221 2.0.0 Bye\r\n"

static void
test_simple (void)
{
  begin ();
  check (EHLO MAIL "DATA\r\nSubject: x\r\nMessage-ID: <1@c>\r\n\r\n.. \r\n...a\r\nhello\r\n.\r\nQUIT\r\n",
         FEATURES MAILED GO TAKEN BYE, mechanisms);
  content_is ("Subject: x\r\nMessage-ID: <1@c>\r\n\r\n. \r\n..a\r\nhello\r\n");
  MemMessage *m = last ();
  g_assert_cmpstr (m->sender, ==, "a@b.test");
  g_assert_cmpstr (m->rcpts, ==, "u@example.test");
  g_assert_cmpstr (m->message_id, ==, "<1@c>");
  g_assert_cmpstr (m->protocol, ==, "ESMTP");
  g_autofree char *received = g_strndup (ek_buf_at (&m->bytes), m->content);
  g_assert_nonnull (strstr (received, "Received: from c.test (client.example [192.0.2.1])\r\n\tby server.example (Ekiden) with "
                                      "ESMTP id 0000000000000001\r\n\tfor <u@example.test>; "));
  end ();
}

static void
test_order (void)
{
  begin ();
  check ("MAIL FROM:<a@b.test>\r\n" HELO "RCPT TO:<u@example.test>\r\nDATA\r\nMAIL FROM:<>\r\nDATA\r\nMAIL FROM:<>\r\n"
         "RSET\r\nRSET x\r\nXYZZY\r\nEHLO\r\nDATA x\r\nNOOP a b\r\nHELP\r\n",
         "503 5.5.1 Error: send HELO/EHLO first\r\n" HELLO "503 5.5.1 Error: need MAIL command\r\n"
         "503 5.5.1 Error: need RCPT command\r\n250 2.1.0 Ok\r\n554 5.5.1 Error: no valid recipients\r\n"
         "503 5.5.1 Error: nested MAIL command\r\n250 2.0.0 Ok\r\n501 5.5.4 Syntax: RSET\r\n"
         "502 5.5.2 Error: command not recognized\r\n501 Syntax: EHLO hostname\r\n503 5.5.1 Error: need RCPT command\r\n250 2.0.0 Ok\r\n"
         "214 2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY ETRN QUIT HELP (RFC 5321)\r\n", none);
  end ();
}

static void
test_recipients (void)
{
  begin ();
  check (HELO "MAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<x@far.test>\r\nRCPT TO:<later@example.test>\r\n"
         "RCPT TO:<never@example.test>\r\nRCPT TO:<nobody@relay.test>\r\nRCPT TO:<u@example.test>\r\nRCPT TO:<Postmaster>\r\n"
         "RCPT TO:<u@example.test>\r\nRCPT TO:<a b@c>\r\nRCPT TO:<later@far.test>\r\n",
         HELLO "250 2.1.0 Ok\r\n"
         "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
         "554 5.7.1 <x@far.test>: Relay access denied\r\n"
         "451 4.3.5 <later@example.test>: Server configuration error\r\n"
         "550 5.2.1 <never@example.test>: Recipient address rejected: Mailbox disabled\r\n"
         "550 5.1.1 <nobody@relay.test>: Recipient address rejected: User unknown in relay recipient table\r\n"
         "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n"
         "451 4.3.5 <later@far.test>: Server configuration error\r\n", none);
  mem_mail.trusted = true;
  check (HELO "MAIL FROM:<>\r\nRCPT TO:<x@far.test>\r\n", HELLO "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n", none);
  end ();
}

/* Recipients that are sent at once are asked about at once, and a command behind them waits. */
static void
test_parallel (void)
{
  static const char in[] = HELO "MAIL FROM:<>\r\nRCPT TO:<a@example.test>\r\nRCPT TO:<b@example.test>\r\n"
                           "RCPT TO:<c@example.test>\r\nDATA\r\n";

  begin ();
  g_autofree char *got = play (in, strlen (in), 1 << 20, none);
  g_assert_cmpuint (mem_mail.checks_most, ==, 3);
  g_assert_nonnull (strstr (got, "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"));
  end ();
}

static void
test_params (void)
{
  begin ();
  check (EHLO "MAIL FROM:<a@b.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8 AUTH=<>\r\n"
         "RCPT TO:<u@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u+2Bx@example.test\r\n"
         "RCPT TO:<v@example.test> NOTIFY=NEVER\r\nRCPT TO:<v@example.test> NOTIFY=NEVER,DELAY\r\n"
         "RCPT TO:<v@example.test> ORCPT=u@example.test\r\nRCPT TO:<v@example.test> X=Y\r\nDATA\r\n\r\n.\r\n"
         "MAIL FROM:<> SIZE=99999999999\r\nMAIL FROM:<> SIZE=x\r\nMAIL FROM:<> BODY=9BIT\r\nMAIL FROM:<> RET=ALL\r\n"
         "MAIL FROM:<> ENVID=a=b\r\nMAIL FROM:<> FOO\r\nMAIL FROM:<\xc3\xa4@b.test>\r\nMAIL FROM:<\xc3\xa4@b.test> SMTPUTF8\r\n",
         FEATURES "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n501 5.5.4 Bad NOTIFY parameter syntax\r\n"
         "501 5.5.4 Bad ORCPT parameter syntax\r\n555 5.5.4 Unsupported option: X=Y\r\n" GO TAKEN
         "552 5.3.4 Message size exceeds fixed limit\r\n501 5.5.4 Bad message size syntax\r\n"
         "501 5.5.4 Unknown body type, expecting 7BIT or 8BITMIME\r\n501 5.5.4 Bad RET parameter syntax\r\n"
         "501 5.5.4 Bad ENVID parameter syntax\r\n555 5.5.4 Unsupported option: FOO\r\n"
         "553 5.6.7 Must declare SMTPUTF8 to send unicode address\r\n250 2.1.0 Ok\r\n", mechanisms);
  MemMessage *m = last ();
  g_assert_cmpstr (m->envid, ==, "a+2Bb");
  g_assert_cmpstr (m->rcpts, ==, "u@example.test[SUCCESS,DELAY,rfc822;u+2Bx@example.test] v@example.test[NEVER,]");
  g_assert_cmpuint (m->flags, ==, EK_MSG_8BIT | EK_MSG_UTF8 | EK_MSG_RET_HDRS);
  g_assert_cmpstr (m->protocol, ==, "UTF8SMTP");
  end ();
}

/* Every way to end a message other than CRLF.CRLF is none. */
static void
test_smuggling (void)
{
  static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\n.\r\n" };

  begin ();
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++) {
    g_autofree char *in = g_strconcat (HELO MAIL "DATA\r\na", ends[i], "MAIL FROM:<evil@b.test>\r\n.\r\nQUIT\r\n", NULL);
    g_autofree char *want = g_strdup_printf (HELLO MAILED GO "521 5.5.2 server.example Error: bare <%s> received\r\n",
                                             strchr (ends[i], '\n') == NULL || strstr (ends[i], "\r.") || g_str_has_suffix (ends[i], "\r")
                                             ? "CR" : "LF");
    check (in, want, none);
    g_assert_cmpuint (mem_mail.messages->len, ==, 0);
  }
  check ("HELO c\nMAIL FROM:<>\n", "521 5.5.2 server.example Error: bare <LF> received\r\n", none);
  end ();
}

static void
test_normalised (void)
{
  begin ();
  options->bare_newlines = "normalize";
  check ("HELO c.test\n" MAIL "DATA\r\na\n.\nb\r\n.\nc\n.\r\nd\re\r.\r\n\r\r\nf\n..g\r\n.\r\n", HELLO MAILED GO TAKEN, none);
  content_is ("a\r\n\r\nb\r\n\r\nc\r\n\r\nd e .\r\n \r\nf\r\n.g\r\n");
  options->bare_newlines = "strangers";
  mem_mail.trusted = true;
  check (HELO MAIL "DATA\r\na: b\n\nx\r\n.\r\n", HELLO MAILED GO TAKEN, none);
  content_is ("a: b\r\n\r\nx\r\n");
  end ();
}

static void
test_bdat (void)
{
  begin ();
  check (EHLO MAIL "BDAT 6\r\na: b\r\nBDAT 1\r\n\rBDAT 7 LAST\r\n\n.\r\nxyzNOOP\r\n",
         FEATURES MAILED "250 2.0.0 Ok: 6 bytes\r\n250 2.0.0 Ok: 1 bytes\r\n"
         "250 2.0.0 Ok: 16 bytes queued as 0000000000000001\r\n250 2.0.0 Ok\r\n", mechanisms);
  content_is ("a: b\r\n\r\n.\r\nxyz\r\n");
  check (EHLO MAIL "BDAT 0\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<u@example.test>\r\nBDAT 0 LAST\r\n",
         FEATURES MAILED "250 2.0.0 Ok: 0 bytes\r\n503 5.5.1 Error: DATA after BDAT\r\n503 5.5.1 Error: MAIL after BDAT\r\n"
         "503 5.5.1 Error: RCPT after BDAT\r\n250 2.0.0 Ok: 0 bytes queued as 0000000000000001\r\n", mechanisms);
  check (EHLO "BDAT 6\r\nQUIT\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nBDAT x\r\nQUIT\r\n",
         FEATURES "503 5.5.1 Error: need MAIL command\r\n250 2.1.0 Ok\r\n554 5.5.1 Error: no valid recipients\r\n"
         "501 5.5.4 Syntax: BDAT count [LAST]\r\n", mechanisms);
  check (EHLO MAIL "BDAT 3\r\na\nbBDAT 1 LAST\r\nx", FEATURES MAILED "521 5.5.2 server.example Error: bare <LF> received\r\n", mechanisms);
  end ();
}

static void
test_auth (void)
{
  begin ();
  check (EHLO "AUTH PLAIN Z29vZGdvb2Q=\r\nAUTH PLAIN =\r\n" MAIL, FEATURES "235 2.7.0 Authentication successful\r\n"
         "503 5.5.1 Error: already authenticated\r\n" MAILED, mechanisms);
  check (EHLO "AUTH LOGIN\r\n*\r\nAUTH LOGIN\r\n!\r\nAUTH login\r\nZ29vZGdvb2Q=\r\nEHLO x\r\n",
         FEATURES "334 VXNlcm5hbWU6\r\n501 5.7.0 Authentication aborted\r\n334 VXNlcm5hbWU6\r\n"
         "501 5.5.2 Error: cannot Base64-decode client response\r\n334 VXNlcm5hbWU6\r\n235 2.7.0 Authentication successful\r\n"
         "250-server.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n250-ETRN\r\n"
         "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n", mechanisms);
  check (EHLO "AUTH PLAIN YmFk\r\nAUTH PLAIN bm90IGRvd24=\r\nAUTH CRAM-MD5\r\nAUTH\r\nAUTH PLAIN A\r\nMAIL FROM:<>\r\nAUTH PLAIN\r\n",
         FEATURES "535 5.7.8 Error: authentication failed: Authentication failed.\r\n"
         "454 4.7.0 Temporary authentication failure: backend\r\n504 5.5.4 Error: authentication mechanism not available\r\n"
         "501 5.5.4 Syntax: AUTH mechanism\r\n501 5.5.2 Error: cannot Base64-decode client response\r\n250 2.1.0 Ok\r\n"
         "503 5.5.1 Error: MAIL transaction in progress\r\n", mechanisms);
  end ();
}

static void
test_submission (void)
{
  begin ();
  options->submission = options->sender_login_match = true;
  check (EHLO "MAIL FROM:<anna@example.test>\r\nAUTH PLAIN Z29vZGdvb2Q=\r\nMAIL FROM:<ben@example.test>\r\n"
         "MAIL FROM:<Anna@Example.test>\r\nRCPT TO:<x@far.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n",
         FEATURES "530 5.7.0 Authentication required\r\n235 2.7.0 Authentication successful\r\n"
         "553 5.7.1 <ben@example.test>: Sender address rejected: not owned by user anna@example.test\r\n" MAILED GO TAKEN, mechanisms);
  MemMessage *m = last ();
  g_autofree char *front = g_strndup (ek_buf_at (&m->bytes), m->content);
  g_assert_nonnull (strstr (front, "\r\nMessage-Id: <20"));
  g_assert_nonnull (strstr (front, "\r\nDate: "));
  g_assert_nonnull (strstr (front, "\r\nFrom: Anna@Example.test\r\n"));
  g_assert_cmpuint (strlen (m->message_id), >, 20);
  g_assert_cmpstr (m->protocol, ==, "ESMTPA");
  end ();
}

static void
test_limits (void)
{
  GString *in = g_string_new (HELO "MAIL FROM:<>\r\n"), *want = g_string_new (HELLO "250 2.1.0 Ok\r\n");

  begin ();
  options->recipients_max = 2;
  for (guint i = 0; i < 60; i++) {
    g_string_append_printf (in, "RCPT TO:<u%u@example.test>\r\n", i);
    g_string_append (want, i < 2 ? "250 2.1.5 Ok\r\n" : "452 4.5.3 Error: too many recipients\r\n");
  }
  check (in->str, want->str, none);
  g_string_assign (in, HELO);
  g_string_assign (want, HELLO);
  for (guint i = 0; i < 30; i++)
    g_string_append (in, "X\r\n");
  for (guint i = 0; i < 20; i++)
    g_string_append (want, "502 5.5.2 Error: command not recognized\r\n");
  g_string_append (want, "421 4.7.0 server.example Error: too many errors\r\n");
  check (in->str, want->str, none);
  g_string_assign (in, "NOOP ");
  for (guint i = 0; i < 300000; i++)
    g_string_append_c (in, 'x');
  g_string_append (in, "\r\nNOOP\r\nNO\001OP\r\n");
  g_autofree char *got = play (in->str, in->len, 1000, none);
  g_assert_cmpstr (got, ==, "220 server.example ESMTP Ekiden\r\n500 5.5.2 Error: line too long\r\n250 2.0.0 Ok\r\n"
                            "501 5.5.2 Error: control characters in command\r\n");
  g_string_free (in, TRUE);
  g_string_free (want, TRUE);
  end ();
}

static void
test_content_limits (void)
{
  GString *in = g_string_new (HELO MAIL "DATA\r\n");

  begin ();
  options->message_size_limit.bytes = 100;
  check (HELO MAIL "DATA\r\n\r\n0123456789012345678901234567890123456789\r\n0123456789012345678901234567890123456789\r\n"
         "0123456789012345678901234567890123456789\r\n.\r\n" MAIL,
         HELLO MAILED GO "552 5.3.4 Error: message file too big\r\n" MAILED, none);
  options->message_size_limit.bytes = 1 << 20;
  for (guint i = 0; i < 50; i++)
    g_string_append (in, "Received: x\r\n");
  g_string_append (in, "\r\n.\r\n");
  check (in->str, HELLO MAILED GO "554 5.4.6 Error: too many hops\r\n", none);
  options->headers_max = 20;
  check (in->str, HELLO MAILED GO "552 5.3.4 Error: message header too big\r\n", none);
  g_assert_cmpuint (mem_mail.messages->len, ==, 0);
  mem_mail.full = true;
  check (HELO "MAIL FROM:<>\r\n", HELLO "452 4.3.1 Insufficient system storage\r\n", none);
  mem_mail.full = false;
  mem_mail.commit = EK_DEFER;
  check (HELO MAIL "DATA\r\n.\r\n", HELLO MAILED GO "451 4.3.0 Error: queue file write error\r\n", none);
  g_string_free (in, TRUE);
  end ();
}

static void
test_back_pressure (void)
{
  GString *in = g_string_new (HELO MAIL "DATA\r\n\r\n");

  begin ();
  mem_mail.window = 100;
  for (guint i = 0; i < 5000; i++)
    g_string_append_printf (in, ".line %u\r\n", i);
  g_string_append (in, ".\r\nQUIT\r\n");
  g_autofree char *got = play (in->str, in->len, 1 << 20, none);
  g_assert_nonnull (strstr (got, TAKEN BYE));
  g_assert_cmpuint (mem_message_content (last ()).n, ==, in->len - strlen (HELO MAIL "DATA\r\n" ".\r\nQUIT\r\n") - 5000);
  g_string_free (in, TRUE);
  end ();
}

static void
test_pipelining (void)
{
  begin ();
  options->pipelining = "strict";
  g_autofree char *got = play (HELO MAIL "DATA\r\nx\r\n.\r\n", strlen (HELO MAIL "DATA\r\nx\r\n.\r\n"), 1 << 20, none);
  g_assert_true (g_str_has_suffix (got, HELLO MAILED "554 5.5.0 Error: SMTP protocol synchronization\r\n")
                 || g_str_has_suffix (got, "Ekiden\r\n554 5.5.0 Error: SMTP protocol synchronization\r\n"));
  end ();
}

/* The client leaves in the middle of each kind of wait. */
static void
test_hang_up (void)
{
  static const char all[] = EHLO "AUTH PLAIN YmFk\r\n" MAIL "DATA\r\nSubject: x\r\n\r\nabc\r\n.\r\n" MAIL "BDAT 5\r\nab\r\nc";

  begin ();
  for (gsize n = 0; n <= strlen (all); n++) {
    MemConfig config = { .ops = ek_module_smtp.protocol, .options = options, .mechanisms = mechanisms, .auth = auth };
    EkSession *s = mem_session_new (&config);
    mem_feed (s, all, n);
    mem_run (s);
    mem_hang_up (s);
    mem_mail_run (s);
    mem_session_free (s);
  }
  end ();
}

static void
test_misc (void)
{
  begin ();
  check (HELO "VRFY u@example.test\r\nVRFY nobody@example.test\r\nVRFY x@far.test\r\nVRFY\r\nEXPN list\r\nETRN a.test\r\nETRN -\r\n",
         HELLO "252 2.0.0 u@example.test\r\n"
         "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
         "554 5.7.1 <x@far.test>: Relay access denied\r\n501 5.5.4 Syntax: VRFY address\r\n502 5.5.1 EXPN command is disabled\r\n"
         "459 4.7.0 <a.test>: service unavailable\r\n501 5.5.4 Error: invalid parameter syntax\r\n", none);
  options->tls = "required";
  check (EHLO "MAIL FROM:<>\r\nNOOP\r\nRSET\r\nQUIT\r\n", "250-server.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n250-ETRN\r\n"
         "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"
         "530 5.7.0 Must issue a STARTTLS command first\r\n250 2.0.0 Ok\r\n530 5.7.0 Must issue a STARTTLS command first\r\n" BYE, none);
  end ();
}

static void
test_early (void)
{
  begin ();
  options->greeting_delay.us = 1000;
  g_autofree char *got = play (HELO, strlen (HELO), 1 << 20, none);
  g_assert_cmpstr (got, ==, "550 5.5.1 Protocol error: talked before my greeting\r\n");
  MemConfig config = { .ops = ek_module_smtp.protocol, .options = options, .mechanisms = none };
  EkSession *s = mem_session_new (&config);
  mem_timeout (s);
  mem_mail_run (s);
  g_assert_cmpuint (mem_output (s).n, ==, strlen ("220 server.example ESMTP Ekiden\r\n"));
  mem_output_clear (s);
  mem_timeout (s);
  mem_mail_run (s);
  EkStr out = mem_output (s);
  g_assert_true (ek_str_eq (out, EK_STR ("421 4.4.2 server.example Error: timeout exceeded\r\n")));
  mem_session_free (s);
  end ();
}

/* Parsing and carrying a message of 4 KB: told, not judged. */
static void
test_speed (void)
{
  GString *in = g_string_new ("MAIL FROM:<a@b.test>\r\nRCPT TO:<u@example.test>\r\n"), *body = g_string_new ("DATA\r\n");
  MemConfig config = { .ops = ek_module_smtp.protocol, .mechanisms = none };

  begin ();
  config.options = options;
  for (guint i = 0; i < 10; i++)
    g_string_append_printf (body, "X-Header-%u: some value of a usual length, here\r\n", i);
  g_string_append (body, "\r\n");
  while (body->len < 4096)
    g_string_append (body, "The quick brown fox jumps over the lazy dog and feels fine about it.\r\n");
  g_string_append (body, ".\r\n");
  EkSession *s = mem_session_new (&config);
  mem_feed (s, HELO, strlen (HELO));
  gint64 before = ek_now ();
  const guint rounds = 2000;
  for (guint i = 0; i < rounds; i++) {
    mem_feed (s, in->str, in->len);
    mem_mail_run (s);
    mem_feed (s, body->str, body->len);
    mem_mail_run (s);
    mem_output_clear (s);
  }
  g_test_message ("%.1f us a message of 4 KB, with this harness", (double) (ek_now () - before) / rounds);
  g_assert_cmpuint (mem_mail.messages->len, ==, rounds);
  mem_session_free (s);
  g_string_free (in, TRUE);
  g_string_free (body, TRUE);
  end ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/smtp/simple", test_simple);
  g_test_add_func ("/smtp/order", test_order);
  g_test_add_func ("/smtp/recipients", test_recipients);
  g_test_add_func ("/smtp/parallel", test_parallel);
  g_test_add_func ("/smtp/params", test_params);
  g_test_add_func ("/smtp/smuggling", test_smuggling);
  g_test_add_func ("/smtp/normalised", test_normalised);
  g_test_add_func ("/smtp/bdat", test_bdat);
  g_test_add_func ("/smtp/auth", test_auth);
  g_test_add_func ("/smtp/submission", test_submission);
  g_test_add_func ("/smtp/limits", test_limits);
  g_test_add_func ("/smtp/content-limits", test_content_limits);
  g_test_add_func ("/smtp/back-pressure", test_back_pressure);
  g_test_add_func ("/smtp/pipelining", test_pipelining);
  g_test_add_func ("/smtp/hang-up", test_hang_up);
  g_test_add_func ("/smtp/misc", test_misc);
  g_test_add_func ("/smtp/early", test_early);
  g_test_add_func ("/smtp/speed", test_speed);
  return g_test_run ();
}
