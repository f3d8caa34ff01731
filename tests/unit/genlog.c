/* genlog.c - a few hundred events of a mail server's day, through the real log role: for tests/system/log
 * SPDX-License-Identifier: Apache-2.0
 *
 * genlog FOLDER NAME   writes FOLDER/mail.log, mail.json and events/ under syslog_name NAME
 */
#include "events.h"

static guint n_events = 1;

static EkEventId
session_of (const char *host, const char *ip)
{
  EkEventId id = 0x1000 + n_events++;

  as ("edge", 100);
  ek_event ("smtpd", id, "connect", EK_FTEXT ("host", host), EK_FTEXT ("ip", ip));
  ek_event ("smtpd", id, "tls", EK_FTEXT ("host", host), EK_FTEXT ("ip", ip), EK_FTEXT ("tls_version", "TLSv1.3"),
            EK_FTEXT ("tls_cipher", "TLS_AES_256_GCM_SHA384"), EK_FINT ("tls_bits", 256), EK_FINT ("tls_algbits", 256));
  return id;
}

static void
hang_up (EkEventId id, const char *host, const char *ip, const char *commands)
{
  as ("edge", 100);
  ek_event ("smtpd", id, "disconnect", EK_FTEXT ("host", host), EK_FTEXT ("ip", ip), EK_FTEXT ("commands", commands));
}

static char *
accepted (EkEventId id, guint size, guint nrcpt, const char *login)
{
  char *qid = g_strdup_printf ("0A1B2C3D%08X", n_events++);
  g_autofree char *message_id = g_strdup_printf ("<%s@c.example>", qid);

  as ("edge", 100);
  ek_event ("smtpd", id, "client", EK_FTEXT ("qid", qid), EK_FTEXT ("host", "c.example"), EK_FTEXT ("ip", "192.0.2.7"),
            EK_FTEXT ("sasl_method", login ? "PLAIN" : NULL), EK_FTEXT ("sasl_username", login));
  ek_event ("cleanup", id, "message-id", EK_FTEXT ("qid", qid), EK_FTEXT ("message_id", message_id));
  as ("queue", 200);
  ek_event ("qmgr", id, "queued", EK_FTEXT ("qid", qid), EK_FTEXT ("from", "sender@c.example"), EK_FINT ("size", size), EK_FINT ("nrcpt", nrcpt));
  return qid;
}

static void
outcome (EkEventId id, const char *word, const char *qid, const char *to, const char *relay, const char *dsn, const char *text)
{
  bool here = strcmp (relay, "virtual") == 0;

  as (here ? "store" : "relay", here ? 300 : 400);
  ek_event (here ? "virtual" : "smtp", id, word, EK_FTEXT ("qid", qid), EK_FTEXT ("to", to), EK_FTEXT ("orig_to", here ? "alias@example.com" : NULL),
            EK_FTEXT ("relay", relay), EK_FTIME ("delay", 1260000), EK_FTIME ("delay_before", 50000), EK_FTIME ("delay_queue", 4000),
            EK_FTIME ("delay_connect", 200000), EK_FTIME ("delay_send", 1000000), EK_FTEXT ("dsn", dsn), EK_FTEXT ("text", text));
}

static void
removed (EkEventId id, const char *qid)
{
  as ("queue", 200);
  ek_event ("qmgr", id, "removed", EK_FTEXT ("qid", qid));
}

static void
refused (const char *word, const char *stage, const char *ip, int code, const char *dsn, const char *text)
{
  EkEventId id = session_of (NULL, ip);

  ek_event (g_str_has_prefix (word, "milter") ? "cleanup" : "smtpd", id, word, EK_FTEXT ("stage", stage), EK_FTEXT ("ip", ip), EK_FINT ("code", code), EK_FTEXT ("dsn", dsn),
            EK_FTEXT ("text", text), EK_FTEXT ("from", "spam@bad.example"), EK_FTEXT ("to", "x@far.example"),
            EK_FTEXT ("proto", "ESMTP"), EK_FTEXT ("helo", "bad"));
  hang_up (id, NULL, ip, "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4");
}

static void
logins (void)
{
  for (guint i = 0; i < 5; i++) {
    as ("edge", 101);
    ek_event ("imap-login", 0x9000 + i, "login", EK_FTEXT ("user", "anna@example.com"), EK_FTEXT ("method", "PLAIN"),
              EK_FTEXT ("ip", "192.0.2.50"), EK_FTEXT ("local_ip", "192.0.2.1"), EK_FINT ("mpid", 300), EK_FTEXT ("secured", "TLS"));
    as ("store", 300);
    ek_event ("imap", 0x9000 + i, "logout", EK_FTEXT ("user", "anna@example.com"), EK_FTEXT ("reason", "Logged out"), EK_FINT ("in", 50), EK_FINT ("out", 900));
  }
  for (guint i = 0; i < 4; i++) {
    as ("directory", 500);
    ek_event ("auth", 0x9100 + i, "auth-failed", EK_FTEXT ("passdb", "file"), EK_FTEXT ("user", "anna@example.com"), EK_FTEXT ("ip", "198.51.100.66"),
              EK_FTEXT ("session", "s1"), EK_FTEXT ("reason", i % 2 ? "Password mismatch" : "unknown user"));
    as ("edge", 101);
    ek_event ("imap-login", 0x9100 + i, "login-failed", EK_FTEXT ("reason", "Connection closed"), EK_FINT ("attempts", 1), EK_FINT ("secs", 2),
              EK_FTEXT ("user", "anna@example.com"), EK_FTEXT ("method", "PLAIN"), EK_FTEXT ("ip", "198.51.100.66"), EK_FTEXT ("local_ip", "192.0.2.1"),
              EK_FTEXT ("secured", "TLS"), EK_FTEXT ("session", "s1"));
    ek_event ("imap-login", 0x9200 + i, "login-aborted", EK_FTEXT ("reason", "Connection closed"), EK_FINT ("secs", 1), EK_FTEXT ("ip", "198.51.100.67"), EK_FTEXT ("local_ip", "192.0.2.1"));
  }
}

static void
attacks (void)
{
  for (guint i = 0; i < 6; i++) {
    EkEventId id = session_of (NULL, "203.0.113.5");
    ek_event ("smtpd", id, "sasl-failed", EK_FTEXT ("ip", "203.0.113.5"), EK_FTEXT ("sasl_method", "LOGIN"), EK_FTEXT ("reason", "authentication failure"),
              EK_FTEXT ("sasl_username", "root"));
    hang_up (id, NULL, "203.0.113.5", "ehlo=1 auth=0/1 commands=1/2");
  }
  for (guint i = 0; i < 7; i++)
    refused ("reject", "RCPT", "203.0.113.6", 554, "5.7.1", "<x@far.example>: Relay access denied");
  refused ("reject", "RCPT", "203.0.113.7", 550, "5.1.1", "<x@far.example>: Recipient address rejected: User unknown");
  refused ("milter-reject", "END-OF-MESSAGE", "203.0.113.8", 550, "5.7.1", "Spam message rejected");
  EkEventId id = session_of (NULL, "203.0.113.9");
  ek_event ("smtpd", id, "lost-connection", EK_FTEXT ("stage", "EHLO"), EK_FTEXT ("ip", "203.0.113.9"));
  ek_event ("smtpd", id, "improper-pipelining", EK_FTEXT ("stage", "DATA"), EK_FTEXT ("ip", "203.0.113.10"), EK_FTEXT ("text", "rubbish"));
  ek_event ("smtpd", id, "too-many-errors", EK_FTEXT ("stage", "RCPT"), EK_FTEXT ("ip", "203.0.113.11"));
  /* what an attacker says must not accuse another address */
  refused ("reject", "RCPT", "203.0.113.12", 554, "5.7.1", "<a from b[192.0.2.200]: 554 5.7.1 x>: Relay access denied");
}

static void
a_day (void)
{
  for (guint i = 0; i < 20; i++) {               /* 20 messages of 1000 bytes, each to two: 40 delivered */
    EkEventId id = session_of ("c.example", "192.0.2.7");
    g_autofree char *qid = accepted (id, 1000, 2, i % 2 ? "sender@c.example" : NULL);
    hang_up (id, "c.example", "192.0.2.7", "ehlo=1 mail=1 rcpt=2 data=1 quit=1 commands=6");
    outcome (id, "sent", qid, "anna@example.com", "virtual", "2.0.0", "delivered to maildir");
    outcome (id, "sent", qid, "bob@far.example", "mx.far.example[198.51.100.1]:25", "2.0.0", "250 2.0.0 Ok: queued as 12345");
    removed (id, qid);
  }
  for (guint i = 0; i < 3; i++) {                /* 3 messages deferred twice, then bounced */
    EkEventId id = session_of ("c.example", "192.0.2.7");
    g_autofree char *qid = accepted (id, 500, 1, NULL);
    g_autofree char *child = g_strdup_printf ("0A1B2C3E%08X", i);
    hang_up (id, "c.example", "192.0.2.7", "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5");
    for (guint k = 0; k < 2; k++)
      outcome (id, "deferred", qid, "carl@slow.example", "none", "4.4.1", "connect to slow.example[198.51.100.9]:25: Connection timed out");
    outcome (id, "bounced", qid, "carl@slow.example", "none", "5.4.1", "no answer for five days");
    as ("queue", 200);
    ek_event ("bounce", id, "notify", EK_FTEXT ("qid", qid), EK_FTEXT ("child_qid", child));
    ek_event ("qmgr", id, "queued", EK_FTEXT ("qid", child), EK_FTEXT ("from", ""), EK_FINT ("size", 2000), EK_FINT ("nrcpt", 1));
    outcome (id, "sent", child, "sender@c.example", "virtual", "2.0.0", "delivered to maildir");
    removed (id, qid);
    removed (id, child);
  }
  for (guint i = 0; i < 2; i++) {                /* 2 from local programs */
    g_autofree char *qid = g_strdup_printf ("0A1B2C3F%08X", i);
    as ("queue", 200);
    ek_event ("pickup", 0x8000 + i, "pickup", EK_FTEXT ("qid", qid), EK_FINT ("uid", 1000), EK_FTEXT ("from", "root"));
    ek_event ("qmgr", 0x8000 + i, "queued", EK_FTEXT ("qid", qid), EK_FTEXT ("from", "root@mx.example"), EK_FINT ("size", 300), EK_FINT ("nrcpt", 1));
    outcome (0x8000 + i, "sent", qid, "anna@example.com", "virtual", "2.0.0", "delivered to maildir");
    removed (0x8000 + i, qid);
  }
  as ("master", 1);
  ek_event ("master", 0, "server-started", EK_FTEXT ("version", "0.1.0"), EK_FTEXT ("path", "/etc/ekiden/ekiden.conf"));
  as ("directory", 500);
  ek_log (EK_WARN, "ldap", "no answer");
}

int
main (int argc, char **argv)
{
  if (argc != 3)
    g_error ("genlog FOLDER NAME");
  g_autofree char *file = g_build_filename (argv[1], "mail.log", NULL), *json = g_build_filename (argv[1], "mail.json", NULL);
  g_autofree char *store = g_build_filename (argv[1], "events", NULL);
  events_open (&(EkLogOptions) { .file = file, .json = json, .trace = store, .trace_size = { 1 << 20 }, .syslog_name = argv[2] });
  a_day ();
  logins ();
  attacks ();
  events_close ();
  return 0;
}
