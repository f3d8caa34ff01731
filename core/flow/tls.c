/* tls.c - the tls role: a client's encrypted socket on one side, a plain stream on the other
 * SPDX-License-Identifier: Apache-2.0
 *
 * It parses nothing but TLS.  A connection has at most 16 KB waiting each way; a side that takes no more is
 * not read from on the other.
 */
#include "config.h"
#include "flow/tls.h"
#include "flow/facts.h"
#include "flow/tlscontext.h"
#include "net/listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK     16384
#define HANDSHAKE (30 * G_USEC_PER_SEC)

typedef struct {                     /* a listener block */
  char  *name, *protocol;
  char **certificates;
} Service;

typedef struct {
  EkWatch watch;
  char   *listener, *address;
  bool    login;
} Door;

typedef struct {
  EkWatch  client, stream;           /* stream fd -1: the handshake is under way */
  EkTimer  timer;                    /* of the handshake */
  SSL     *ssl;
  EkBuf    to_client, to_stream;
  bool     login, want_write, client_eof, stream_eof, closing;
  /* until the handshake is done: */
  EkChannel *edge;                   /* who asked; NULL: we accepted */
  guint32    call;
  guint      edge_index;
  char      *listener;
  EkClient  *facts;
  EkPool    *pool;
  GList      link;
} Conn;

static struct {
  GPtrArray    *doors;
  GHashTable   *services;
  GQueue        conns;
  const EkTlsConf *conf;
  GPtrArray    *old;                 /* generations whose certificate lists are still pointed to */
} t;

static char chunk[CHUNK];

static void pump (Conn *c);

/* ---- configuration ---- */

static void
service_free (gpointer data)
{
  Service *s = data;

  g_free (s->name);
  g_free (s->protocol);
  g_free (s);
}

static void
add_service (const EkBlockValues *v, gpointer data)
{
  const EkListenerConf *conf = v->values;
  Service *s = g_new0 (Service, 1);

  s->name = g_strdup (v->block->name ? v->block->name : "");
  s->protocol = g_strdup (conf->protocol ? g_intern_string (conf->protocol->name) : NULL);
  s->certificates = conf->certificates;
  g_hash_table_replace (t.services, s->name, s);
}

static void
configure (void)
{
  EkGeneration *gen = ek_role_generation ();

  if (t.services)
    g_hash_table_unref (t.services);
  t.services = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, service_free);
  ek_generation_each (gen, &ek_listener_block, add_service, NULL);
  t.conf = ek_generation_values (gen, &ek_tls_block, NULL);
  g_ptr_array_add (t.old, ek_generation_ref (gen));
}

static void
forget_generations (void)
{
  while (t.conns.length == 0 && t.old->len > 1)
    g_ptr_array_remove_index (t.old, 0);
}

static bool
start (GError **error)
{
  t.doors = g_ptr_array_new ();
  t.old = g_ptr_array_new_with_free_func ((GDestroyNotify) ek_generation_unref);
  configure ();
  return true;
}

static void
master (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  static const EkTlsConf defaults = { .min_version = "1.2", .tickets = true, .ticket_lifetime = { G_GINT64_CONSTANT (7200) * G_USEC_PER_SEC } };

  if (msg->type == EK_M_TICKET_KEYS)
    ek_tls_ticket_keys (ek_unpack_str (&msg->in));
  else if (msg->type == EK_M_CERTIFICATE) {
    const char *name = ek_unpack_text (&msg->in, pool);
    EkStr chain = ek_unpack_str (&msg->in), key = ek_unpack_str (&msg->in);
    const EkTlsConf *conf = t.conf ? t.conf : ek_role_generation () ? ek_generation_values (ek_role_generation (), &ek_tls_block, NULL)
                                                                    : &defaults;
    if (!ek_unpack_ok (&msg->in) || !ek_tls_certificate (name ? name : "", chain, key, conf, &error))
      ek_log (EK_ERR, "tls", "%s", error ? error->message : "a damaged certificate message");
  }
}

/* ---- connections ---- */

static void
conn_free (Conn *c)
{
  ek_watch_set (ek_role_loop (), &c->client, 0);
  close (c->client.fd);
  if (c->stream.fd >= 0) {
    ek_watch_set (ek_role_loop (), &c->stream, 0);
    close (c->stream.fd);
  }
  ek_timer_cancel (ek_role_loop (), &c->timer);
  SSL_free (c->ssl);
  ek_buf_release (&c->to_client);
  ek_buf_release (&c->to_stream);
  ek_pool_free (c->pool);
  g_queue_unlink (&t.conns, &c->link);
  g_free (c);
  ERR_clear_error ();
  forget_generations ();
  if (ek_role_stopping () && t.conns.length == 0)
    ek_role_done (EK_ROLE_TLS);
}

/* Tells who asked that it came to nothing. */
static void
conn_fail (Conn *c, const char *why)
{
  if (c->stream.fd < 0) {
    ek_log (EK_INFO, "tls", "TLS handshake failed with %s[%s]: %s", c->facts->host, c->facts->address, why);
    EkChannel *edge = c->edge ? ek_role_peer (EK_ROLE_TLS, EK_ROLE_EDGE, c->edge_index) : NULL;
    if (edge && edge == c->edge) {
      ek_pack_u64 (ek_channel_answer (edge, c->call), 0);
      ek_channel_end (edge);
    }
  }
  conn_free (c);
}

static const char *
ssl_why (void)
{
  static char text[160];
  unsigned long code = ERR_get_error ();

  if (code == 0)
    return "the client went away";
  const char *reason = ERR_reason_error_string (code);
  g_strlcpy (text, reason ? reason : "protocol error", sizeof text);
  return text;
}

/* Hands the plain end to an edge. */
static bool
conn_ready (Conn *c)
{
  int fds[2];
  guint8 exporter[32];
  static const char label[] = "EXPORTER-Channel-Binding";
  const unsigned char *alpn;
  unsigned int alpn_len;
  EkClient *f = c->facts;

  EkChannel *edge = c->edge;
  if (edge && ek_role_peer (EK_ROLE_TLS, EK_ROLE_EDGE, c->edge_index) != edge)
    return false;
  if (edge == NULL) {
    const EkRolesConf *r = ek_generation_values (ek_role_generation (), &ek_roles_block, NULL);
    guint smtp = (guint) r->smtp_edges;
    edge = c->login ? ek_role_any_of (EK_ROLE_TLS, EK_ROLE_EDGE, smtp, 4096) : ek_role_any_of (EK_ROLE_TLS, EK_ROLE_EDGE, 0, smtp);
  }
  if (edge == NULL || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    return false;
  f->tls = true;
  f->tls_version = SSL_get_version (c->ssl);
  f->tls_cipher = SSL_get_cipher_name (c->ssl);
  f->tls_bits = SSL_get_cipher_bits (c->ssl, NULL);
  f->tls_sni = SSL_get_servername (c->ssl, TLSEXT_NAMETYPE_host_name);
  SSL_get0_alpn_selected (c->ssl, &alpn, &alpn_len);
  f->tls_alpn = alpn_len ? ek_pool_strndup (c->pool, (const char *) alpn, alpn_len) : NULL;
  if (SSL_export_keying_material (c->ssl, exporter, sizeof exporter, label, strlen (label), NULL, 0, 0) == 1)
    f->tls_exporter = (EkStr) { (char *) exporter, sizeof exporter };
  EkBuf *out;
  if (c->edge) {
    out = ek_channel_answer (edge, c->call);
    ek_pack_u64 (out, 1);
  }
  else {
    out = ek_channel_send (edge, EK_T_STREAM);
    ek_pack_text (out, c->listener);
  }
  ek_pack_client (out, f);
  ek_channel_attach (edge, fds[1]);
  ek_channel_end (edge);
  c->stream.fd = fds[0];
  ek_timer_cancel (ek_role_loop (), &c->timer);
  g_clear_pointer (&c->pool, ek_pool_free);      /* facts and listener with it */
  c->facts = NULL;
  c->listener = NULL;
  return true;
}

/* False: the connection is gone. */
static bool
handshake (Conn *c)
{
  ERR_clear_error ();
  int rc = SSL_do_handshake (c->ssl);
  if (rc == 1) {
    if (conn_ready (c))
      return true;
    conn_fail (c, "no edge to hand it to");
    return false;
  }
  int what = SSL_get_error (c->ssl, rc);
  if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE) {
    conn_fail (c, ssl_why ());
    return false;
  }
  c->want_write = what == SSL_ERROR_WANT_WRITE;
  ek_watch_set (ek_role_loop (), &c->client, c->want_write ? EPOLLOUT : EPOLLIN);
  return false;
}

/* Client to stream: returns false when the connection is broken. */
static bool
inward (Conn *c)
{
  while (!c->client_eof || ek_buf_len (&c->to_stream) > 0) {
    if (ek_buf_len (&c->to_stream) > 0) {
      ssize_t n = send (c->stream.fd, ek_buf_at (&c->to_stream), ek_buf_len (&c->to_stream), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK;
      ek_buf_consume (&c->to_stream, (gsize) n);
      continue;
    }
    ERR_clear_error ();
    int n = SSL_read (c->ssl, chunk, sizeof chunk);
    if (n > 0) {
      ssize_t did = send (c->stream.fd, chunk, (gsize) n, MSG_NOSIGNAL);
      if (did < n)
        ek_buf_append (&c->to_stream, chunk + MAX (did, 0), (gsize) (n - MAX (did, 0)));
      if (did < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return false;
      continue;
    }
    int what = SSL_get_error (c->ssl, n);
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE)
      break;
    c->client_eof = true;
    if (what != SSL_ERROR_ZERO_RETURN)
      return false;
  }
  if (c->client_eof && ek_buf_len (&c->to_stream) == 0)
    shutdown (c->stream.fd, SHUT_WR);
  if (ek_buf_len (&c->to_stream) == 0)
    ek_buf_release (&c->to_stream);
  return true;
}

/* Stream to client. */
static bool
outward (Conn *c)
{
  c->want_write = false;
  for (int rounds = 0; rounds < 16; rounds++) {
    if (ek_buf_len (&c->to_client) == 0 && !c->stream_eof) {
      ssize_t n = recv (c->stream.fd, ek_buf_room (&c->to_client, CHUNK), CHUNK, 0);
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        break;
      if (n <= 0)
        c->stream_eof = true;
      else
        ek_buf_added (&c->to_client, (gsize) n);
    }
    if (ek_buf_len (&c->to_client) == 0)
      break;
    ERR_clear_error ();
    int n = SSL_write (c->ssl, ek_buf_at (&c->to_client), (int) ek_buf_len (&c->to_client));
    if (n > 0) {
      ek_buf_consume (&c->to_client, (gsize) n);
      continue;
    }
    int what = SSL_get_error (c->ssl, n);
    if (what == SSL_ERROR_WANT_WRITE || what == SSL_ERROR_WANT_READ) {
      c->want_write = what == SSL_ERROR_WANT_WRITE;
      break;
    }
    return false;
  }
  if (ek_buf_len (&c->to_client) == 0)
    ek_buf_release (&c->to_client);
  return true;
}

static void
pump (Conn *c)
{
  if (c->stream.fd < 0 && !handshake (c))
    return;
  if (!outward (c) || !inward (c)) {
    conn_free (c);
    return;
  }
  if (c->stream_eof && ek_buf_len (&c->to_client) == 0) {
    ERR_clear_error ();
    SSL_shutdown (c->ssl);           /* close_notify; we do not wait for theirs */
    conn_free (c);
    return;
  }
  bool read_client = !c->client_eof && ek_buf_len (&c->to_stream) == 0;
  bool read_stream = !c->stream_eof && ek_buf_len (&c->to_client) == 0;
  ek_watch_set (ek_role_loop (), &c->client, (read_client ? EPOLLIN : 0) | (c->want_write ? EPOLLOUT : 0));
  ek_watch_set (ek_role_loop (), &c->stream, (read_stream ? EPOLLIN : 0) | (ek_buf_len (&c->to_stream) > 0 ? EPOLLOUT : 0));
}

static void
client_event (EkWatch *watch, guint32 events)
{
  Conn *c = (Conn *) ((char *) watch - G_STRUCT_OFFSET (Conn, client));

  if ((events & (EPOLLHUP | EPOLLERR)) && c->client_eof) {
    conn_free (c);                   /* nothing can be sent any more */
    return;
  }
  pump (c);
}

static void
stream_event (EkWatch *watch, guint32 events)
{
  Conn *c = (Conn *) ((char *) watch - G_STRUCT_OFFSET (Conn, stream));

  if ((events & EPOLLHUP) && c->stream_eof) {
    conn_free (c);
    return;
  }
  pump (c);
}

static void
too_slow (EkTimer *timer)
{
  conn_fail ((Conn *) ((char *) timer - G_STRUCT_OFFSET (Conn, timer)), "it took too long");
}

/* Takes fd and pool. */
static Conn *
conn_new (int fd, const char *listener, EkPool *pool, EkClient *facts, EkChannel *edge, guint32 call)
{
  Service *s = g_hash_table_lookup (t.services, listener);
  SSL *ssl = s ? ek_tls_new (s->certificates, g_intern_string (s->protocol)) : NULL;

  if (ssl == NULL) {
    ek_log (EK_ERR, "tls", "listener \"%s\" has no certificate: add a block certificate \"name\" { chain = ... key = ... }", listener);
    close (fd);
    ek_pool_free (pool);
    if (edge) {
      ek_pack_u64 (ek_channel_answer (edge, call), 0);
      ek_channel_end (edge);
    }
    return NULL;
  }
  Conn *c = g_new0 (Conn, 1);
  fcntl (fd, F_SETFL, O_NONBLOCK);
  SSL_set_fd (ssl, fd);
  *c = (Conn) { .client = { .fd = fd, .func = client_event }, .stream = { .fd = -1, .func = stream_event },
                .timer.func = too_slow, .ssl = ssl, .edge = edge, .call = call, .facts = facts, .pool = pool };
  c->edge_index = edge ? ek_role_peer_index (edge) : 0;
  c->listener = ek_pool_strdup (pool, listener);
  c->link.data = c;
  g_queue_push_tail_link (&t.conns, &c->link);
  ek_timer_set (ek_role_loop (), &c->timer, HANDSHAKE);
  return c;
}

/* ---- where they come from ---- */

static void
knock (EkWatch *watch, guint32 events)
{
  Door *door = (Door *) watch;

  for (int i = 0; i < 16; i++) {
    struct sockaddr_storage a = { 0 };
    socklen_t n = sizeof a;
    char text[INET6_ADDRSTRLEN];
    int one = 1;
    int fd = accept4 (door->watch.fd, (struct sockaddr *) &a, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
      return;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    EkPool *pool = ek_pool_new ();
    EkClient *f = ek_pool_new0 (pool, EkClient);
    ek_address_text (&a, text, sizeof text, &f->port);
    f->address = ek_pool_strdup (pool, text);
    n = sizeof a;
    if (getsockname (fd, (struct sockaddr *) &a, &n) < 0)
      a.ss_family = AF_UNSPEC;
    ek_address_text (&a, text, sizeof text, &f->local_port);
    f->local_address = ek_pool_strdup (pool, text);
    f->host = "unknown";
    Conn *c = conn_new (fd, door->listener, pool, f, NULL, 0);
    if (c) {
      c->login = door->login;
      ek_watch_set (ek_role_loop (), &c->client, EPOLLIN);
    }
  }
}

static void
listener (const char *name, const char *address, bool login, int fd)
{
  Door *door = g_new0 (Door, 1);

  *door = (Door) { .watch = { .fd = fd, .func = knock }, .listener = g_strdup (name), .address = g_strdup (address), .login = login };
  g_ptr_array_add (t.doors, door);
  ek_watch_set (ek_role_loop (), &door->watch, EPOLLIN | (guint32) EPOLLEXCLUSIVE);
}

static void
close_door (guint i)
{
  Door *door = t.doors->pdata[i];

  ek_watch_set (ek_role_loop (), &door->watch, 0);
  close (door->watch.fd);
  g_free (door->listener);
  g_free (door->address);
  g_free (door);
  g_ptr_array_remove_index (t.doors, i);
}

static void
unlisten (const char *name, const char *address)
{
  for (guint i = 0; i < t.doors->len; i++) {
    Door *door = t.doors->pdata[i];
    if (strcmp (door->listener, name) == 0 && strcmp (door->address, address) == 0) {
      close_door (i);
      return;
    }
  }
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  EkPool *pool = ek_pool_new ();
  EkClient *facts = ek_pool_new0 (pool, EkClient);
  const char *name = ek_unpack_text (&msg->in, pool);

  ek_unpack_client (&msg->in, pool, facts);
  int fd = ek_msg_take_fd (msg, 0);
  if (msg->type != EK_T_START || msg->id == 0 || !ek_unpack_ok (&msg->in) || name == NULL || fd < 0) {
    ek_channel_break (msg->channel, "a message that tls does not take");
    if (fd >= 0)
      close (fd);
    ek_pool_free (pool);
    return;
  }
  if (facts->host == NULL || facts->address == NULL)
    facts->host = facts->address = "unknown";
  Conn *c = conn_new (fd, name, pool, facts, msg->channel, msg->id);
  if (c)
    ek_watch_set (ek_role_loop (), &c->client, EPOLLIN);
}

static void
stop (gint64 deadline)
{
  while (t.doors->len > 0)
    close_door (0);
  if (t.conns.length == 0)
    ek_role_done (EK_ROLE_TLS);
}

static void
end (void)
{
  while (t.doors->len > 0)
    close_door (0);
  while (t.conns.head)
    conn_free (t.conns.head->data);
  g_ptr_array_free (t.doors, TRUE);
  g_hash_table_unref (t.services);
  g_ptr_array_unref (t.old);
  ek_tls_contexts_free ();
  memset (&t, 0, sizeof t);
}

const EkRoleOps ek_tls_role = {
  .role = EK_ROLE_TLS, .start = start, .reload = configure, .message = message, .master = master,
  .listener = listener, .unlisten = unlisten, .stop = stop, .end = end,
};
