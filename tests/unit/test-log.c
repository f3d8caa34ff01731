/* test-log.c - records, their lines and JSON, and a process's end of the log
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "base/event.h"
#include "base/log.h"
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static EkBuf caught;

static void
catch (const char *bytes, gsize len, gpointer data)
{
  ek_buf_append (&caught, bytes, len);
}

/* The line of the one record that was caught. */
static char *
line_of_caught (const char *role)
{
  EkRecord record;
  EkBuf out = { 0 };
  EkRecordTag tag = { .name = "postfix", .login_name = "dovecot", .role = role, .pid = 77 };

  g_assert_cmpint (ek_record_read (ek_buf_at (&caught), ek_buf_len (&caught), &record), ==, ek_buf_len (&caught));
  ek_record_tag (&record, &tag, &out);
  g_assert_true (ek_record_line (&record, &out));
  char *line = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  ek_buf_clear (&caught);
  return line;
}

#define ASSERT_LINE(role_, expected_)                          \
  do {                                                         \
    g_autofree char *line_ = line_of_caught (role_);           \
    g_assert_cmpstr (line_, ==, (expected_));                  \
  } while (0)

static void
test_lines (void)
{
  ek_log_set_sink (catch, NULL);
  ek_event ("smtpd", 5, "connect", EK_FTEXT ("host", "mx.example.com"), EK_FTEXT ("ip", "192.0.2.1"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: connect from mx.example.com[192.0.2.1]");
  ek_event ("smtpd", 5, "connect", EK_FTEXT ("ip", "192.0.2.1"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: connect from unknown[192.0.2.1]");
  ek_event ("smtpd", 5, "client", EK_FTEXT ("qid", "0123456789ABCDEF"), EK_FTEXT ("host", "a.example"),
            EK_FTEXT ("ip", "::1"), EK_FTEXT ("sasl_method", "PLAIN"), EK_FTEXT ("sasl_username", "u@example.com"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: 0123456789ABCDEF: client=a.example[::1], sasl_method=PLAIN, sasl_username=u@example.com");
  ek_event ("cleanup", 5, "message-id", EK_FTEXT ("qid", "0123456789ABCDEF"), EK_FTEXT ("message_id", "<a@b>"));
  ASSERT_LINE ("edge", "postfix/cleanup[77]: 0123456789ABCDEF: message-id=<a@b>");
  ek_event ("smtp", 5, "deferred", EK_FTEXT ("qid", "0123456789ABCDEF"), EK_FTEXT ("to", "x@y.example"),
            EK_FTEXT ("relay", "mx.y.example[192.0.2.9]:25"), EK_FTIME ("delay", 12600000),
            EK_FTIME ("delay_before", 70000), EK_FTIME ("delay_connect", 1234567), EK_FTIME ("delay_send", 300000),
            EK_FTEXT ("dsn", "4.2.0"), EK_FTEXT ("text", "host said: 450 later"));
  ASSERT_LINE ("relay", "postfix/smtp[77]: 0123456789ABCDEF: to=<x@y.example>, relay=mx.y.example[192.0.2.9]:25, "
               "delay=13, delays=0.07/0/1.2/0.3, dsn=4.2.0, status=deferred (host said: 450 later)");
  ek_event ("smtpd", 5, "reject", EK_FTEXT ("stage", "RCPT"), EK_FTEXT ("ip", "192.0.2.1"), EK_FINT ("code", 554),
            EK_FTEXT ("dsn", "5.7.1"), EK_FTEXT ("text", "<x@y>: Relay access denied"), EK_FTEXT ("from", ""),
            EK_FTEXT ("to", "x@y"), EK_FTEXT ("proto", "ESMTP"), EK_FTEXT ("helo", "me"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <x@y>: "
               "Relay access denied; from=<> to=<x@y> proto=ESMTP helo=<me>");
  ek_event ("imap", 0xabcdef, "logout", EK_FTEXT ("user", "u@example.com"), EK_FTEXT ("reason", "Logged out"),
            EK_FINT ("in", 10), EK_FINT ("out", 200));
  ASSERT_LINE ("store", "dovecot: imap(u@example.com)<77><0000000000abcdef>: Disconnected: Logged out in=10 out=200");
  ek_event ("smtpd", 1, "sasl-failed", EK_FTEXT ("ip", "192.0.2.1"), EK_FTEXT ("sasl_method", "PLAIN"),
            EK_FTEXT ("reason", "wrong password"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: wrong password");
  ek_log (EK_ERR, "ldap", "cannot reach %s", "ldap.example.com");
  ASSERT_LINE ("directory", "postfix/ldap[77]: error: cannot reach ldap.example.com");
  ek_event ("", 1, "a-word-of-tomorrow", EK_FINT ("n", -3), EK_FTEXT ("s", "x y"));
  ASSERT_LINE ("edge", "postfix/edge[77]: a-word-of-tomorrow: n=-3, s=x?y");
  ek_log_set_sink (NULL, NULL);
}

/* What a client says can make neither a new line nor a new field. */
static void
test_forgery (void)
{
  ek_log_set_sink (catch, NULL);
  ek_event ("smtpd", 1, "reject", EK_FTEXT ("stage", "RCPT"), EK_FTEXT ("host", "a]: 250 ok [b"), EK_FTEXT ("ip", "192.0.2.1"),
            EK_FINT ("code", 554), EK_FTEXT ("dsn", "5.7.1"), EK_FTEXT ("text", "no\r\nNov 22 00:00:00"),
            EK_FTEXT ("from", "a> to=<root"), EK_FTEXT ("helo", "x>\x1b[2J\xff\xc2\x9b\xc3\xa9"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: NOQUEUE: reject: RCPT from a?:?250?ok??b[192.0.2.1]: 554 5.7.1 "
               "no??Nov 22 00:00:00; from=<a? to=?root> proto=SMTP helo=<x??[2J???\xc3\xa9>");
  ek_event ("smtpd", 1, "client", EK_FTEXT ("qid", "A1"), EK_FTEXT ("ip", "192.0.2.1"), EK_FTEXT ("sasl_username", "u, x=<y>"));
  ASSERT_LINE ("edge", "postfix/smtpd[77]: A1: client=unknown[192.0.2.1], sasl_username=u??x=?y?");
  ek_event ("sm tpd]:", 1, "log", EK_FTEXT ("text", "odd"));
  ASSERT_LINE ("edge", "postfix/sm_tpd__[77]: odd");
  ek_log_set_sink (NULL, NULL);
}

static void
test_json (void)
{
  EkRecord record;
  EkBuf out = { 0 };
  char packed[EK_RECORD_MAX];
  const EkField fields[] = {
    EK_FTEXT ("to", "\"q\\\"@x\n\x01\xff\xe2\x82\xac"), EK_FINT ("size", -7), EK_FTIME ("delay", 1500000),
    EK_FTEXT ("process", "forged"), { .type = EK_F_END },
  };

  gsize n = ek_record_pack (packed, G_GINT64_CONSTANT (1763798401123456), 0xff, EK_INFO, "smtp", "sent", fields);
  g_assert_cmpint (ek_record_read (packed, n, &record), ==, (gssize) n);
  ek_record_json (&record, "relay", 9, "mx", &out);
  ek_buf_appendc (&out, '\0');
  g_assert_cmpstr (ek_buf_at (&out), ==,
    "{\"time\":\"2025-11-22T08:00:01.123456Z\",\"level\":\"info\",\"server\":\"mx\",\"process\":\"relay\",\"process_id\":9,"
    "\"component\":\"smtp\",\"event\":\"sent\",\"event_id\":\"00000000000000ff\","
    "\"to\":\"\\\"q\\\\\\\"@x\\n\\u0001\xef\xbf\xbd\xe2\x82\xac\",\"size\":-7,\"delay\":1.500000,\"_process\":\"forged\"}");
  ek_buf_release (&out);
}

static void
test_truncation (void)
{
  g_autofree char *huge = g_malloc (100000);
  EkField fields[EK_RECORD_FIELDS + 6] = { 0 };
  char packed[EK_RECORD_MAX];
  EkRecord record;

  memset (huge, 'x', 100000);
  for (guint i = 0; i < EK_RECORD_FIELDS + 5; i++)
    fields[i] = (EkField) { .key = "a_key_of_thirty-one_octets_here", .type = EK_F_STR, .str = { huge, 100000 } };
  gsize n = ek_record_pack (packed, 1, 2, EK_WARN, "smtpd", "reject", fields);
  g_assert_cmpuint (n, <=, EK_RECORD_MAX);
  g_assert_cmpint (ek_record_read (packed, n, &record), ==, (gssize) n);
  g_assert_cmpuint (record.n_fields, ==, EK_RECORD_FIELDS);
  for (guint i = 0; i < record.n_fields; i++)
    g_assert_true (record.fields[i].cut && record.fields[i].str.n >= 32);

  /* one long value does not shorten the others, and is cut between characters */
  for (gsize i = 0; i + 3 <= 9999; i += 3)
    memcpy (huge + i, "\xe2\x82\xac", 3);
  const EkField two[] = { EK_FTEXT ("from", "someone@example.com"), EK_FSTR ("text", ((EkStr) { huge, 9999 })), { .type = EK_F_END } };
  n = ek_record_pack (packed, 1, 2, EK_WARN, "smtpd", "reject", two);
  g_assert_cmpint (ek_record_read (packed, n, &record), ==, (gssize) n);
  g_assert_false (record.fields[0].cut);
  g_assert_true (record.fields[1].cut);
  g_assert_true (g_utf8_validate (record.fields[1].str.p, (gssize) record.fields[1].str.n, NULL));
  g_assert_cmpuint (record.fields[1].str.n, >, 2000);
}

/* No prefix and no flipped byte of a record makes the reader read astray. */
static void
test_hostile (void)
{
  char packed[EK_RECORD_MAX];
  EkRecord record;
  const EkField fields[] = {
    EK_FTEXT ("host", "h"), EK_FINT ("size", G_MININT64), EK_FINT ("in", G_MAXINT64), EK_FTIME ("delay", -1), { .type = EK_F_END },
  };
  gsize n = ek_record_pack (packed, -5, G_MAXUINT64, EK_DEBUG, "smtpd", "connect", fields);

  g_assert_cmpint (ek_record_read (packed, n, &record), ==, (gssize) n);
  g_assert_cmpint (record.fields[1].num, ==, G_MININT64);
  g_assert_cmpint (record.fields[2].num, ==, G_MAXINT64);
  g_assert_cmpint (record.fields[3].num, ==, -1);
  g_assert_cmpint (record.time, ==, -5);
  for (gsize len = 0; len < n; len++) {
    g_autofree char *part = g_memdup2 (packed, MAX (len, 1));
    g_assert_cmpint (ek_record_read (part, len, &record), ==, 0);
  }
  for (gsize i = 0; i < n * 256; i++) {
    g_autofree char *bad = g_memdup2 (packed, n);
    EkBuf out = { 0 };
    bad[i / 256] = (char) i;
    if (ek_record_read (bad, n, &record) > 0) {
      ek_record_line (&record, &out);
      ek_record_json (&record, "edge", 1, NULL, &out);
    }
    ek_buf_release (&out);
  }
}

/* Reads records from fd until none is left; returns how many, adds up what was reported dropped. */
static guint
read_records (int fd, EkBuf *buf, guint64 *reported)
{
  guint n = 0;
  ssize_t got;
  EkRecord record;

  while ((got = read (fd, ek_buf_room (buf, 65536), 65536)) > 0)
    ek_buf_added (buf, (gsize) got);
  for (gssize len; (len = ek_record_read (ek_buf_at (buf), ek_buf_len (buf), &record)) != 0;
       ek_buf_consume (buf, (gsize) len)) {
    g_assert_cmpint (len, >, 0);
    if (ek_str_eq (record.word, EK_STR ("log-dropped")))
      *reported += (guint64) ek_record_find (&record, "count")->num;
    else
      n++;
  }
  return n;
}

static void
flood (int reader, int writer)
{
  EkBuf buf = { 0 };
  guint64 before = ek_log_dropped (), reported = 0;
  guint total = 20000, n;

  g_assert_cmpint (fcntl (reader, F_SETFL, O_NONBLOCK), ==, 0);
  ek_log_set_fd (writer);
  for (guint i = 0; i < total; i++)
    ek_event ("smtpd", i + 1, "connect", EK_FTEXT ("host", "a-host-with-a-name.example.com"), EK_FTEXT ("ip", "192.0.2.1"));
  g_assert_cmpuint (ek_log_dropped () - before, >, 0);
  n = read_records (reader, &buf, &reported);
  ek_log_flush ();                             /* what waited in the buffer, and the count */
  n += read_records (reader, &buf, &reported);
  ek_log_flush ();
  n += read_records (reader, &buf, &reported);
  g_assert_cmpuint (ek_buf_len (&buf), ==, 0);
  g_assert_cmpuint (reported, ==, ek_log_dropped () - before);
  g_assert_cmpuint (n + reported, ==, total);
  ek_log_set_fd (-1);
  close (reader);
  ek_buf_release (&buf);
}

static void
test_flood (void)
{
  int fds[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  flood (fds[0], fds[1]);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
  flood (fds[0], fds[1]);
}

/* The log role dies and comes back: no half record opens the new stream, nothing kills us. */
static void
reader_gone (bool by_pipe)
{
  int fds[2];
  EkBuf buf = { 0 };
  guint64 reported = 0;

  g_assert_cmpint (by_pipe ? pipe (fds) : socketpair (AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
  ek_log_set_fd (fds[1]);
  for (guint i = 0; i < 5000; i++)
    ek_log (EK_INFO, "smtpd", "a note with some text in it, number %u", i);
  close (fds[0]);
  ek_log (EK_INFO, "smtpd", "nobody listens");
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
  g_assert_cmpint (fcntl (fds[0], F_SETFL, O_NONBLOCK), ==, 0);
  ek_log_set_fd (fds[1]);
  ek_log_flush ();
  g_assert_cmpuint (read_records (fds[0], &buf, &reported), >, 0);
  g_assert_cmpuint (ek_buf_len (&buf), ==, 0);
  g_assert_cmpuint (reported, >, 0);
  ek_log_set_fd (-1);
  close (fds[0]);
  ek_buf_release (&buf);
}

static void
test_reader_gone (void)
{
  reader_gone (true);
  reader_gone (false);
}

static void
test_batching (void)
{
  ek_log_set_sink (catch, NULL);
  ek_log_set_batching (true);
  ek_log (EK_INFO, "smtpd", "one");
  ek_log (EK_INFO, "smtpd", "two");
  g_assert_cmpuint (ek_buf_len (&caught), ==, 0);
  ek_log_flush ();
  EkRecord record;
  gssize n = ek_record_read (ek_buf_at (&caught), ek_buf_len (&caught), &record);
  g_assert_cmpint (n, >, 0);
  g_assert_cmpint (ek_record_read (ek_buf_at (&caught) + n, ek_buf_len (&caught) - (gsize) n, &record), >, 0);
  ek_buf_clear (&caught);
  for (guint i = 0; i < 1000; i++)
    ek_log (EK_INFO, "smtpd", "many");
  g_assert_cmpuint (ek_buf_len (&caught), >, 0);       /* 16 KB came up */
  ek_log_set_batching (false);
  ek_log (EK_DEBUG, "smtpd", "not at this level");
  gsize before = ek_buf_len (&caught);
  ek_log_set_level (EK_DEBUG);
  ek_log (EK_DEBUG, "smtpd", "now it is");
  g_assert_cmpuint (ek_buf_len (&caught), >, before);
  ek_log_set_level (EK_INFO);
  ek_log_set_sink (NULL, NULL);
  ek_buf_clear (&caught);
}

static gpointer
shout (gpointer data)
{
  for (guint i = 0; i < 2000; i++)
    ek_event ("smtpd", i + 1, "connect", EK_FTEXT ("ip", "192.0.2.1"));
  return NULL;
}

static void
test_threads (void)
{
  pthread_t threads[4];
  guint n = 0;
  EkRecord record;

  ek_log_set_sink (catch, NULL);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, shout, NULL), ==, 0);
  for (guint i = 0; i < 4; i++)
    pthread_join (threads[i], NULL);
  ek_log_set_sink (NULL, NULL);
  for (; ek_buf_len (&caught) > 0; n++)
    ek_buf_consume (&caught, (gsize) ek_record_read (ek_buf_at (&caught), ek_buf_len (&caught), &record));
  g_assert_cmpuint (n, ==, 8000);
}

static void
test_claims (void)
{
  g_assert_true (ek_role_may_claim ("edge", EK_STR ("smtpd"), EK_STR ("reject")));
  g_assert_false (ek_role_may_claim ("edge", EK_STR ("virtual"), EK_STR ("sent")));
  g_assert_false (ek_role_may_claim ("edge", EK_STR ("smtpd"), EK_STR ("sent")));
  g_assert_false (ek_role_may_claim ("tls", EK_STR ("smtpd"), EK_STR ("connect")));
  g_assert_false (ek_role_may_claim ("edge", EK_STR ("master"), EK_STR ("log")));
  g_assert_true (ek_role_may_claim ("edge+queue", EK_STR ("qmgr"), EK_STR ("removed")));
  g_assert_true (ek_role_may_claim ("directory", EK_STR ("ldap"), EK_STR ("log")));
  g_assert_true (ek_role_may_claim ("master", EK_STR ("qmgr"), EK_STR ("removed")));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log/lines", test_lines);
  g_test_add_func ("/log/forgery", test_forgery);
  g_test_add_func ("/log/json", test_json);
  g_test_add_func ("/log/truncation", test_truncation);
  g_test_add_func ("/log/hostile", test_hostile);
  g_test_add_func ("/log/batching", test_batching);
  g_test_add_func ("/log/flood", test_flood);
  g_test_add_func ("/log/reader-gone", test_reader_gone);
  g_test_add_func ("/log/threads", test_threads);
  g_test_add_func ("/log/claims", test_claims);
  return g_test_run ();
}
