/* conn.c - a connection to a next hop: bytes in and out, time-outs, the end
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include "client-module.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536
#define TURN_MAX  (1 << 20)          /* bytes written before others have their turn */

static void happened (EkWatch *watch, guint32 events);
static void timed_out (EkTimer *timer);

/* ---- life ---- */

static void
destroy (ClientConn *conn)
{
  ek_timer_cancel (conn->loop, &conn->timer);
  ek_watch_set (conn->loop, &conn->watch, 0);
  if (conn->ssl) {
    ERR_clear_error ();
    SSL_shutdown (conn->ssl);        /* says it, does not wait for the answer */
    SSL_free (conn->ssl);
  }
  close (conn->watch.fd);
  ek_buf_release (&conn->out);
  g_free (conn->next_hop);
  g_free (conn->host);
  g_free (conn->peer);
  g_free (conn->relay);
  g_free (conn);
}

void
client_conn_free (ClientConn *conn)
{
  conn->trip = NULL;
  if (conn->in_callback)
    conn->closing = true;
  else
    destroy (conn);
}

static ClientConn *
conn_new (ClientTrip *trip, int fd, const char *host, const char *ip)
{
  ClientConn *conn = g_new0 (ClientConn, 1);

  conn->loop = ek_loop_mine ();
  conn->client = trip->client;
  conn->trip = trip;
  conn->watch = (EkWatch) { .fd = fd, .func = happened };
  conn->timer.func = timed_out;
  conn->next_hop = g_strdup (trip->hop->next_hop);
  conn->host = g_strdup (host);
  conn->peer = g_strdup_printf ("%s[%s]", host, ip);
  conn->relay = g_strdup_printf ("%s[%s]:%u", host, ip, trip->port);
  conn->ip = strchr (conn->relay, '[');
  conn->port = trip->port;
  conn->born = ek_now ();
  trip->conn = conn;
  return conn;
}

/* ---- connecting ---- */

static void
connect_failed (ClientTrip *trip, const char *host, const char *ip, const char *why)
{
  ek_event (client_is_lmtp (trip->client) ? "lmtp" : "smtp", trip->hop->event, "connect-failed", EK_FTEXT ("host", host),
            EK_FTEXT ("ip", ip), EK_FINT ("port", trip->port), EK_FTEXT ("reason", why));
  client_trouble (trip, "4.4.1", "connect to %s[%s]:%u: %s", host, ip, trip->port, why);
}

static bool
bind_source (const Client *self, int fd, int family)
{
  struct sockaddr_in in = { .sin_family = AF_INET };
  struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

  if (self->source_address == NULL)
    return true;
  if (family == AF_INET && inet_pton (AF_INET, self->source_address, &in.sin_addr) == 1)
    return bind (fd, (struct sockaddr *) &in, sizeof in) == 0;
  if (family == AF_INET6 && inet_pton (AF_INET6, self->source_address, &in6.sin6_addr) == 1)
    return bind (fd, (struct sockaddr *) &in6, sizeof in6) == 0;
  return true;                       /* of the other family: the system chooses */
}

bool
client_connect (ClientTrip *trip, const struct sockaddr_storage *a, const char *host)
{
  char ip[INET6_ADDRSTRLEN] = "";
  const void *bytes = a->ss_family == AF_INET ? (const void *) &((const struct sockaddr_in *) a)->sin_addr
                                              : (const void *) &((const struct sockaddr_in6 *) a)->sin6_addr;
  socklen_t n = a->ss_family == AF_INET ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6);
  int fd = socket (a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  inet_ntop (a->ss_family, bytes, ip, sizeof ip);
  if (fd < 0 || !bind_source (trip->client, fd, a->ss_family)
      || (connect (fd, (const struct sockaddr *) a, n) < 0 && errno != EINPROGRESS)) {
    connect_failed (trip, host, ip, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return false;
  }
  int one = 1;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);     /* what belongs together goes in one write */
  ClientConn *conn = conn_new (trip, fd, host, ip);
  client_expect (conn, TALK_CONNECT);
  ek_watch_set (conn->loop, &conn->watch, EPOLLOUT);
  return true;
}

static void
connection_refused (ClientConn *conn, const char *why)
{
  ClientTrip *trip = conn->trip;
  const char *end = strchr (conn->ip, ']');
  g_autofree char *ip = g_strndup (conn->ip + 1, (gsize) (end - conn->ip - 1));

  trip->conn = NULL;
  connect_failed (trip, conn->host, ip, why);
  client_conn_free (conn);
  client_trip_next (trip);
}

static void
connected (ClientConn *conn)
{
  int error = 0;
  socklen_t n = sizeof error;

  if (getsockopt (conn->watch.fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
    error = errno;
  if (error)
    connection_refused (conn, g_strerror (error));
  else if (conn->port == 465 && !client_is_lmtp (conn->client)) {
    if (client_tls_begin (conn))
      client_expect (conn, TALK_HANDSHAKE);
    else
      client_conn_lost (conn, "TLS cannot be set up");
  }
  else
    client_expect (conn, TALK_GREETING);
}

/* ---- bytes out ---- */

void
client_send (ClientConn *conn, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  ek_buf_vprintf (&conn->out, fmt, args);
  va_end (args);
}

void
client_expect (ClientConn *conn, ClientTalk talk)
{
  conn->talk = talk;
  ek_timer_set (conn->loop, &conn->timer, client_stage_timeout (conn).us);
}

/* Bytes written; 0: it blocks; -1: it is broken. */
static ssize_t
write_some (ClientConn *conn)
{
  ssize_t n;

  if (conn->ssl == NULL) {
    n = send (conn->watch.fd, ek_buf_at (&conn->out), ek_buf_len (&conn->out), MSG_NOSIGNAL);
    return n >= 0 ? n : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
  }
  ERR_clear_error ();
  n = SSL_write (conn->ssl, ek_buf_at (&conn->out), (int) MIN (ek_buf_len (&conn->out), 1 << 20));
  if (n > 0)
    return n;
  int error = SSL_get_error (conn->ssl, (int) n);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static bool
sending_content (const ClientConn *conn)
{
  return conn->talk == TALK_END && !conn->content_over;
}

/* What the connection waits for. */
static void
watch_for (ClientConn *conn)
{
  bool write = ek_buf_len (&conn->out) > 0 || conn->tls_blocked_on_write || sending_content (conn);

  if (conn->talk == TALK_HANDSHAKE)
    write = conn->tls_blocked_on_write;
  ek_watch_set (conn->loop, &conn->watch, conn->talk == TALK_CONNECT ? EPOLLOUT : EPOLLIN | (write ? EPOLLOUT : 0));
}

void
client_flush (ClientConn *conn)
{
  gsize written = 0;

  if (conn->talk == TALK_CONNECT || conn->talk == TALK_HANDSHAKE || conn->closing)
    return;
  while (written < TURN_MAX) {
    if (sending_content (conn) && ek_buf_len (&conn->out) < CLIENT_WINDOW / 2 && !client_content_fill (conn))
      return;
    if (ek_buf_len (&conn->out) == 0)
      break;
    ssize_t n = write_some (conn);
    if (n < 0 && conn->trip == NULL) {
      ek_buf_clear (&conn->out);     /* a goodbye that nobody hears */
      return;
    }
    if (n < 0) {
      client_conn_lost (conn, "lost connection with %s while %s", conn->peer, client_stage (conn));
      return;
    }
    if (n == 0)
      break;
    ek_buf_consume (&conn->out, (gsize) n);
    written += (gsize) n;
    if (conn->talk == TALK_END)      /* the time-out of content is for each piece */
      client_expect (conn, TALK_END);
  }
  if (ek_buf_len (&conn->out) == 0)
    ek_buf_release (&conn->out);
  watch_for (conn);
}

/* ---- bytes in ---- */

/* -2: no more now; 0: the end; -1: broken. */
static ssize_t
read_some (ClientConn *conn, char *buffer, gsize size)
{
  ssize_t n;

  if (conn->ssl == NULL) {
    n = recv (conn->watch.fd, buffer, size, 0);
    return n >= 0 ? n : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -2 : -1;
  }
  ERR_clear_error ();
  n = SSL_read (conn->ssl, buffer, (int) size);
  if (n > 0)
    return n;
  int error = SSL_get_error (conn->ssl, (int) n);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return -2;
  return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static void
digest (ClientConn *conn, const char *bytes, gsize n)
{
  gsize used;

  while (n > 0 && !conn->closing) {
    if (conn->trip == NULL) {        /* an idle connection has nothing to say but goodbye */
      client_idle_gone (conn);
      return;
    }
    EkSmtpState state = ek_smtp_reply_feed (&conn->reply, bytes, n, &used);
    bytes += used;
    n -= used;
    if (state == EK_SMTP_MORE)
      return;
    if (state == EK_SMTP_BAD) {
      client_conn_lost (conn, "host %s: %s", conn->peer, conn->reply.text);
      return;
    }
    client_talk_reply (conn);
    ek_smtp_reply_clear (&conn->reply);
    if (conn->talk == TALK_HANDSHAKE)
      return;                        /* what came in the clear behind 220 is nobody's word */
  }
}

static void
receive (ClientConn *conn)
{
  static char *shared;
  ssize_t n;

  if (shared == NULL)
    shared = g_malloc (READ_SIZE);
  while (!conn->closing && conn->talk != TALK_HANDSHAKE && (n = read_some (conn, shared, READ_SIZE)) != -2) {
    if (n > 0)
      digest (conn, shared, (gsize) n);
    else if (conn->trip == NULL)
      client_idle_gone (conn);
    else
      client_conn_lost (conn, "lost connection with %s while %s", conn->peer, client_stage (conn));
  }
}

static void
shake_hands (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;
  int done = client_tls_handshake (conn);

  if (done > 0)
    client_after_tls (conn);
  else if (done < 0) {
    if (conn->client->tls_level[0] == 'm' && conn->port != 465) {
      trip->without_tls = trip->again = true;      /* RFC 7435: better in the clear than not at all */
      trip->tried--;
      trip->sessions -= conn->greeted;
    }
    trip->conn = NULL;
    SSL_free (g_steal_pointer (&conn->ssl));
    client_conn_free (conn);
    client_trip_next (trip);
  }
}

static void
happened (EkWatch *watch, guint32 events)
{
  ClientConn *conn = (ClientConn *) watch;

  conn->in_callback = true;
  if (conn->talk == TALK_CONNECT)
    connected (conn);
  if (!conn->closing && conn->talk == TALK_HANDSHAKE)
    shake_hands (conn);
  if (!conn->closing && conn->talk != TALK_CONNECT && conn->talk != TALK_HANDSHAKE)
    receive (conn);
  if (!conn->closing && conn->talk == TALK_HANDSHAKE)
    shake_hands (conn);              /* STARTTLS was just agreed */
  if (!conn->closing)
    client_flush (conn);
  conn->in_callback = false;
  if (conn->closing)
    destroy (conn);
  else
    watch_for (conn);
}

/* ---- the end ---- */

static void
timed_out (EkTimer *timer)
{
  ClientConn *conn = (ClientConn *) ((char *) timer - G_STRUCT_OFFSET (ClientConn, timer));

  if (conn->trip == NULL) {
    client_send (conn, "QUIT\r\n");
    client_flush (conn);
    client_idle_gone (conn);
  }
  else if (conn->talk == TALK_CONNECT)
    connection_refused (conn, g_strerror (ETIMEDOUT));
  else
    client_conn_lost (conn, "conversation with %s timed out while %s", conn->peer, client_stage (conn));
}

/* A kept connection that the host has ended meanwhile says nothing about the message: begin anew. */
static bool
was_stale (const ClientConn *conn)
{
  return !conn->fresh && conn->answered == 0 && (conn->talk == TALK_RSET || conn->talk == TALK_MAIL);
}

void
client_conn_lost (ClientConn *conn, const char *fmt, ...)
{
  ClientTrip *trip = conn->trip;
  va_list args;

  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  if (was_stale (conn)) {
    trip->conn = NULL;
    client_conn_free (conn);
    client_route_begin (trip);
    return;
  }
  client_trouble (trip, "4.4.2", "%s", text);
  for (guint i = 0; i < trip->hop->n_rcpts; i++) {
    if (trip->rcpts[i] != CLIENT_ACCEPTED)
      continue;
    if (conn->dot_sent)              /* RFC 1047: another host might make it twice for sure */
      client_report (trip, i, EK_DEFER, "4.4.2", ek_pool_printf (trip->pool, "%s -- message may be sent more than once", text));
    else
      trip->rcpts[i] = CLIENT_TODO;
  }
  trip->conn = NULL;
  client_conn_free (conn);
  client_trip_next (trip);
}
