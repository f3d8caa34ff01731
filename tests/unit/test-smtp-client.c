/* test-smtp-client.c - the SMTP client against scripted servers on loopback
 * SPDX-License-Identifier: Apache-2.0
 *
 * A script is what the server does: "S: text" says it, "C: text" wants exactly that line, "E" closes, "L N" listens
 * for the next connection, "D" reads on to the final dot and keeps the content.
 */
#include "unit/instance.h"
#include "loop/loop.h"
#include "queue/transport.h"
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

extern const EkModule ek_module_smtp;

/* ---- the server ---- */

typedef struct {
  const char *script;
  int         listener, port, fd;
  GString    *in, *content;
  char       *wrong;
  pthread_t   thread;
} Peer;

static bool
get_line (Peer *peer, GString *line)
{
  char buffer[4096];
  char *end;

  while ((end = memchr (peer->in->str, '\n', peer->in->len)) == NULL) {
    ssize_t n = recv (peer->fd, buffer, sizeof buffer, 0);
    if (n <= 0)
      return false;
    g_string_append_len (peer->in, buffer, n);
  }
  gsize n = (gsize) (end - peer->in->str) + 1;
  g_string_truncate (line, 0);
  g_string_append_len (line, peer->in->str, (gssize) n);
  g_string_erase (peer->in, 0, (gssize) n);
  return true;
}

static void
say (Peer *peer, const char *text)
{
  g_autofree char *line = g_strconcat (text, "\r\n", NULL);

  if (send (peer->fd, line, strlen (line), MSG_NOSIGNAL) < 0 && peer->wrong == NULL)
    peer->wrong = g_strdup_printf ("cannot say %s", text);
}

static void
hear (Peer *peer, const char *text)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_autofree char *want = g_strconcat (text, "\r\n", NULL);

  if (!get_line (peer, line) && peer->wrong == NULL)
    peer->wrong = g_strdup_printf ("the end instead of %s", text);
  else if (strcmp (line->str, want) != 0 && peer->wrong == NULL)
    peer->wrong = g_strdup_printf ("%s instead of %s", line->str, text);
}

static void
hear_content (Peer *peer)
{
  g_autoptr (GString) line = g_string_new (NULL);

  g_string_truncate (peer->content, 0);
  while (get_line (peer, line) && strcmp (line->str, ".\r\n") != 0)
    g_string_append_len (peer->content, line->str, (gssize) line->len);
}

static void
next_client (Peer *peer)
{
  if (peer->fd >= 0)
    close (peer->fd);
  g_string_truncate (peer->in, 0);
  peer->fd = accept (peer->listener, NULL, NULL);
}

static void *
serve (void *data)
{
  Peer *peer = data;
  g_auto (GStrv) steps = g_strsplit (peer->script, "\n", -1);

  next_client (peer);
  for (char **step = steps; *step && peer->wrong == NULL; step++)
    if (g_str_has_prefix (*step, "S: "))
      say (peer, *step + 3);
    else if (g_str_has_prefix (*step, "C: "))
      hear (peer, *step + 3);
    else if (strcmp (*step, "D") == 0)
      hear_content (peer);
    else if (strcmp (*step, "L") == 0)
      next_client (peer);
  close (peer->fd);
  return NULL;
}

static void
peer_start (Peer *peer, const char *script)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t n = sizeof a;

  *peer = (Peer) { .script = script, .fd = -1, .in = g_string_new (NULL), .content = g_string_new (NULL) };
  peer->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (peer->listener, (struct sockaddr *) &a, n), ==, 0);
  g_assert_cmpint (listen (peer->listener, 8), ==, 0);
  getsockname (peer->listener, (struct sockaddr *) &a, &n);
  peer->port = ntohs (a.sin_port);
  pthread_create (&peer->thread, NULL, serve, peer);
}

/* The content that came last. */
static char *
peer_end (Peer *peer)
{
  shutdown (peer->listener, SHUT_RDWR);
  pthread_join (peer->thread, NULL);
  close (peer->listener);
  g_assert_cmpstr (peer->wrong, ==, NULL);
  g_string_free (peer->in, TRUE);
  return g_string_free (peer->content, FALSE);
}

/* ---- deliveries ---- */

typedef struct {
  EkCall   call;
  EkHop    hop;
  EkSpoolPart parts[2];
  GString *said;                     /* "rcpt status dsn text\n" */
  bool     done;
} Delivery;

static EkLoop *loop;
static TestInstance test;

void
ek_hop_report (const EkHop *hop, guint rcpt, const EkHopResult *r)
{
  Delivery *d = hop->core;

  g_string_append_printf (d->said, "%.*s %s %s %s\n", EK_STR_ARG (hop->rcpts[rcpt].address), ek_status_name (r->status), r->dsn, r->reply);
  g_assert_nonnull (r->relay);
  g_assert_true (r->status != EK_OK || (r->connected > 0 && r->sent >= r->connected));
}

static void
call_done (EkCall *call, EkStatus status, gpointer user)
{
  ((Delivery *) user)->done = true;
}

/* To `next_hop`, with one "%d" for the peer's port; returns what was said of the recipients. */
static char *
deliver (const char *next_hop, const EkHopRcpt *rcpts, guint n, const char *content, guint32 flags)
{
  Delivery *d = g_new0 (Delivery, 1);

  d->call = (EkCall) { .pool = ek_pool_new (), .done = call_done, .user = d };
  d->said = g_string_new (NULL);
  gsize half = strlen (content) / 2;   /* two parts, cut anywhere */
  d->parts[0].bytes = (EkStr) { content, half };
  d->parts[1].bytes = ek_str (content + half);
  d->hop = (EkHop) {
    .id = 1, .event = 1, .next_hop = next_hop, .sender = EK_STR ("a@b.test"), .flags = flags, .size = strlen (content),
    .rcpts = rcpts, .n_rcpts = n, .parts = d->parts, .n_parts = 2, .fd = -1, .hostname = "me.test", .core = d,
  };
  g_assert_cmpint (test.self->module->transport->deliver (test.self, &d->call, &d->hop), ==, EK_PENDING);
  while (!d->done)
    ek_loop_turn (loop, true);
  char *said = g_string_free (d->said, FALSE);
  ek_pool_free (d->call.pool);
  g_free (d);
  return said;
}

static const EkHopRcpt one[] = { { .address = { "u@c.test", 8 } } };
static const EkHopRcpt three[] = {
  { .address = { "u@c.test", 8 } }, { .address = { "v@c.test", 8 } }, { .address = { "w@c.test", 8 } } };

static void
begin (const char *settings)
{
  g_autoptr (GError) error = NULL;

  loop = ek_loop_new (&error);
  g_assert_no_error (error);
  g_assert_nonnull (test_instance_new (&test, &ek_module_smtp, "out", settings, &error));
}

static void
end (void)
{
  test_instance_free (&test);
  ek_loop_free (loop);
}

/* One delivery in one dialogue. */
static void
check (const char *settings, const char *script, const EkHopRcpt *rcpts, guint n, const char *content_sent, guint32 flags, const char *want,
       const char *want_content)
{
  Peer peer;

  begin (settings);
  peer_start (&peer, script);
  g_autofree char *hop = g_strdup_printf ("[127.0.0.1]:%d", peer.port);
  g_autofree char *said = deliver (hop, rcpts, n, content_sent, flags);
  end ();
  if (peer.wrong)
    g_test_message ("%s", said);
  g_autofree char *content_there = peer_end (&peer);
  g_assert_cmpstr (said, ==, want);
  if (want_content)
    g_assert_cmpstr (content_there, ==, want_content);
}

#define HELLO "S: 220 mx.test ESMTP\nC: EHLO me.test\nS: 250-mx.test\n"
#define PLAIN HELLO "S: 250 SIZE 1000\nC: MAIL FROM:<a@b.test> SIZE=15\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 250 ok\n"
#define HOST "host 127.0.0.1[127.0.0.1] said: "

static void
test_plain (void)
{
  check ("", PLAIN "C: DATA\nS: 354 go\nD\nS: 250 2.0.0 Ok: queued as 1\nC: QUIT", one, 1, "Subject: x\r\n\r\ny", 0,
         "u@c.test ok 2.0.0 250 2.0.0 Ok: queued as 1\n", "Subject: x\r\n\r\ny\r\n");
  check ("", HELLO "S: 250 X\nC: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 ok", one, 1, ".a\n.\n\r.\rb\r\n..", 0, "u@c.test ok 2.0.0 250 ok\n",
         "..a\r\n..\r\n . b\r\n...\r\n");
}

static void
test_pipelining (void)
{
  check ("", HELLO "S: 250-PIPELINING\nS: 250-8BITMIME\nS: 250-DSN\nS: 250 SMTPUTF8\nC: MAIL FROM:<a@b.test> BODY=8BITMIME RET=HDRS\n"
         "C: RCPT TO:<u@c.test>\nC: RCPT TO:<v@c.test>\nC: RCPT TO:<w@c.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 550 5.1.1 no\nS: 452 4.2.2 full\n"
         "S: 354 go\nD\nS: 250-two\nS: 250 2.6.0 lines", three, 3, "x", EK_MSG_8BIT | EK_MSG_RET_HDRS,
         "v@c.test fail 5.1.1 " HOST "550 5.1.1 no (in reply to RCPT TO command)\n"
         "w@c.test defer 4.2.2 " HOST "452 4.2.2 full (in reply to RCPT TO command)\n"
         "u@c.test ok 2.6.0 250 two 2.6.0 lines\n", "x\r\n");
  /* nobody is left, but DATA went ahead */
  check ("", HELLO "S: 250 PIPELINING\nC: MAIL FROM:<a@b.test>\nC: RCPT TO:<u@c.test>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\n"
         "S: 554 no valid recipients\nC: QUIT", one, 1, "x", 0, "u@c.test fail 5.0.0 " HOST "550 no (in reply to RCPT TO command)\n", NULL);
  check ("", HELLO "S: 250 PIPELINING\nC: MAIL FROM:<a@b.test>\nC: RCPT TO:<u@c.test>\nC: DATA\nS: 451 4.7.1 later\nS: 503 no\nS: 503 no\nC: QUIT",
         one, 1, "x", 0, "u@c.test defer 4.7.1 " HOST "451 4.7.1 later (in reply to MAIL FROM command)\n", NULL);
}

static void
test_refusals (void)
{
  check ("", "S: 554 go away", one, 1, "x", 0, "u@c.test defer 4.0.0 host 127.0.0.1[127.0.0.1] refused to talk to me: 554 go away\n", NULL);
  check ("", HELLO "S: 250 SIZE 10", one, 1, "Subject: x\r\n\r\ny", 0,
         "u@c.test fail 5.3.4 message size 15 exceeds size limit 10 of server 127.0.0.1[127.0.0.1]\n", NULL);
  check ("", HELLO "S: 250 X", one, 1, "Subject: \xc3\xa4\r\n\r\ny", EK_MSG_UTF8,
         "u@c.test fail 5.6.7 SMTPUTF8 is required, but was not offered by host 127.0.0.1[127.0.0.1]\n", NULL);
  check ("", HELLO "S: 250 X", one, 1, "Subject: x\r\n\r\n\xe4", EK_MSG_8BIT,
         "u@c.test fail 5.6.3 8BITMIME is required, but was not offered by host 127.0.0.1[127.0.0.1]\n", NULL);
  check ("", HELLO "S: 250 X\nC: MAIL FROM:<a@b.test>\nS: 550 5.7.1 no\nC: QUIT", one, 1, "x", 0,
         "u@c.test fail 5.7.1 " HOST "550 5.7.1 no (in reply to MAIL FROM command)\n", NULL);
  check ("", PLAIN "C: DATA\nS: 554 5.6.0 no\nC: QUIT", one, 1, "Subject: x\r\n\r\ny", 0,
         "u@c.test fail 5.6.0 " HOST "554 5.6.0 no (in reply to DATA command)\n", NULL);
  check ("", PLAIN "C: DATA\nS: 354 go\nD\nS: 451 4.3.0 later", one, 1, "Subject: x\r\n\r\ny", 0,
         "u@c.test defer 4.3.0 " HOST "451 4.3.0 later (in reply to end of DATA command)\n", NULL);
  check ("", PLAIN "C: DATA\nS: 354 go\nD", one, 1, "Subject: x\r\n\r\ny", 0,
         "u@c.test defer 4.4.2 lost connection with 127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than once\n", NULL);
  check ("", "S: 220 x\nC: EHLO me.test", one, 1, "x", 0,
         "u@c.test defer 4.4.2 lost connection with 127.0.0.1[127.0.0.1] while performing the EHLO handshake\n", NULL);
  check ("", "S: HTTP/1.1 400 Bad Request", one, 1, "x", 0,
         "u@c.test defer 4.4.2 host 127.0.0.1[127.0.0.1]: the server's reply does not begin with three digits\n", NULL);
  check ("", "S: 220 x\nC: EHLO me.test\nS: 500 what\nC: HELO me.test\nS: 250 x\nC: MAIL FROM:<a@b.test>\nS: 421 4.3.2 bye", one, 1, "x", 0,
         "u@c.test defer 4.4.2 " HOST "421 4.3.2 bye (in reply to MAIL FROM command)\n", NULL);
  check ("greeting_timeout = 1s", "S: 220-wait", one, 1, "x", 0,
         "u@c.test defer 4.4.2 lost connection with 127.0.0.1[127.0.0.1] while receiving the initial server greeting\n", NULL);
}

static void
test_security (void)
{
  check ("tls_level = encrypt", HELLO "S: 250 X\nC: QUIT", one, 1, "x", 0,
         "u@c.test defer 4.7.4 TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]\n", NULL);
  check ("tls_level = encrypt", HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 454 no\nC: QUIT", one, 1, "x", 0,
         "u@c.test defer 4.7.5 TLS is required, but host 127.0.0.1[127.0.0.1] refused to start TLS: 454 no\n", NULL);
  check ("", HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 454 no\nC: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 250 ok\nC: DATA\n"
         "S: 354 go\nD\nS: 250 ok", one, 1, "x", 0, "u@c.test ok 2.0.0 250 ok\n", "x\r\n");
  /* a handshake that fails: once more in the clear */
  check ("", HELLO "S: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: what?\nL\n" HELLO "S: 250 STARTTLS\nC: MAIL FROM:<a@b.test>\nS: 250 ok\n"
         "C: RCPT TO:<u@c.test>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 ok", one, 1, "x", 0, "u@c.test ok 2.0.0 250 ok\n", "x\r\n");
  check ("user = me\npassword = pw", HELLO "S: 250 AUTH PLAIN\nC: QUIT", one, 1, "x", 0,
         "u@c.test defer 4.7.11 host 127.0.0.1[127.0.0.1] offers no TLS, and the password is not sent without (tls_level)\n", NULL);
  check ("user = me\npassword = pw\ntls_level = none", HELLO "S: 250 AUTH X PLAIN\nC: AUTH PLAIN AG1lAHB3\nS: 535 5.7.8 no\nC: QUIT", one, 1,
         "x", 0, "u@c.test defer 4.7.8 SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 no\n", NULL);
  check ("user = me\npassword = pw\ntls_level = none", HELLO "S: 250 AUTH=LOGIN\nC: AUTH LOGIN\nS: 334 x\nC: bWU=\nS: 334 y\nC: cHc=\nS: 235 ok\n"
         "C: MAIL FROM:<a@b.test>\nS: 550 no\nC: QUIT", one, 1, "x", 0, "u@c.test fail 5.0.0 " HOST "550 no (in reply to MAIL FROM command)\n", NULL);
}

static void
test_lmtp (void)
{
  check ("protocol = lmtp", "S: 220 x\nC: LHLO me.test\nS: 250-x\nS: 250 PIPELINING\nC: MAIL FROM:<a@b.test>\nC: RCPT TO:<u@c.test>\n"
         "C: RCPT TO:<v@c.test>\nC: RCPT TO:<w@c.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\nD\nS: 250 2.0.0 one\n"
         "S: 452 4.2.2 full", three, 3, "x", 0,
         "v@c.test fail 5.0.0 " HOST "550 no (in reply to RCPT TO command)\n"
         "u@c.test ok 2.0.0 250 2.0.0 one\n"
         "w@c.test defer 4.2.2 " HOST "452 4.2.2 full (in reply to end of DATA command)\n", "x\r\n");
}

/* Two messages over one connection, a third after a refusal, a fourth when the host has closed meanwhile. */
static void
test_reuse (void)
{
  Peer peer;

  begin ("connection_idle = 10s");
  peer_start (&peer, HELLO "S: 250 X\nC: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 one\n"
              "C: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 550 no\nC: RSET\nS: 250 ok\nC: MAIL FROM:<a@b.test>\nL\n"
              HELLO "S: 250 X\nC: MAIL FROM:<a@b.test>\nS: 250 ok\nC: RCPT TO:<u@c.test>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 three\nC: QUIT");
  g_autofree char *hop = g_strdup_printf ("[127.0.0.1]:%d", peer.port);
  static const char *const want[] = { "u@c.test ok 2.0.0 250 one\n", "u@c.test fail 5.0.0 " HOST "550 no (in reply to RCPT TO command)\n",
                                      "u@c.test ok 2.0.0 250 three\n" };
  for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
    g_autofree char *said = deliver (hop, one, 1, "x", 0);
    g_assert_cmpstr (said, ==, want[i]);
  }
  end ();
  g_free (peer_end (&peer));
}

static void
test_unreachable (void)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (struct sockaddr *) &a, n), ==, 0);
  getsockname (fd, (struct sockaddr *) &a, &n);
  begin ("");
  g_autofree char *hop = g_strdup_printf ("[127.0.0.1]:%u", ntohs (a.sin_port));
  g_autofree char *said = deliver (hop, one, 1, "x", 0);
  g_autofree char *want = g_strdup_printf ("u@c.test defer 4.4.1 connect to 127.0.0.1[127.0.0.1]:%u: Connection refused\n", ntohs (a.sin_port));
  g_assert_cmpstr (said, ==, want);
  g_autofree char *bad = deliver ("[127.0.0.1]:99999", one, 1, "x", 0);
  g_assert_cmpstr (bad, ==, "u@c.test fail 5.4.4 bad next hop: [127.0.0.1]:99999\n");
  g_autofree char *nameless = deliver ("far.test", one, 1, "x", 0);
  g_assert_true (g_str_has_prefix (nameless, "u@c.test defer 4.4.3 Host or domain name not found. Name service error for name=far.test type=MX"));
  end ();
  close (fd);
}

/* Much more than a window, to a server that takes its time. */
static void
test_large (void)
{
  GString *content = g_string_new (NULL), *want = g_string_new (NULL);

  for (guint i = 0; content->len < 3 << 20; i++) {
    g_string_append_printf (content, "%s%u line\n", i % 7 ? "" : ".", i);
    g_string_append_printf (want, "%s%u line\r\n", i % 7 ? "" : "..", i);
  }
  check ("", HELLO "S: 250 PIPELINING\nC: MAIL FROM:<a@b.test>\nC: RCPT TO:<u@c.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD\nS: 250 ok", one, 1,
         content->str, 0, "u@c.test ok 2.0.0 250 ok\n", want->str);
  g_string_free (content, TRUE);
  g_string_free (want, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);         /* as every role has it: OpenSSL writes without MSG_NOSIGNAL */
  g_test_add_func ("/smtp-client/plain", test_plain);
  g_test_add_func ("/smtp-client/pipelining", test_pipelining);
  g_test_add_func ("/smtp-client/refusals", test_refusals);
  g_test_add_func ("/smtp-client/security", test_security);
  g_test_add_func ("/smtp-client/lmtp", test_lmtp);
  g_test_add_func ("/smtp-client/reuse", test_reuse);
  g_test_add_func ("/smtp-client/unreachable", test_unreachable);
  g_test_add_func ("/smtp-client/large", test_large);
  return g_test_run ();
}
