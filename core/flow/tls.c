/* tls.c - the tls role: a client's encrypted socket on one side, a plain stream on the other
 * SPDX-License-Identifier: Apache-2.0
 *
 * It parses nothing but TLS.  A connection has at most 16 KB waiting each way; a side that takes no more is
 * not read from on the other.
 */
#include "config.h"
#include "flow/tls.h"
#include "flow/tlsproof.h"
#include "flow/facts.h"
#include "flow/tlscontext.h"
#include "net/doors.h"
#include "net/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK  16384
#define LINGER (60 * G_USEC_PER_SEC)      /* for a client that takes nothing of what is left for him */

typedef struct {                     /* a listener block */
  char        *name;
  const char  *alpn;
  const EkListenerConf *conf;
  EkTlsPeers  *peers;                /* NULL: clients show no certificates */
} Service;

typedef struct {
  EkWatch  client, stream;           /* stream fd -1: the handshake is under way */
  EkTimer  timer;                    /* of the handshake; later of the end */
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
  EkGeneration *generation;          /* whose list of certificates SSL points to */
  const EkListenerConf *conf;        /* of that generation */
  EkTlsPeers *peers;
  EkCounted  counted;
  GList      link;
} Conn;

static struct {
  EkDoors      *doors;
  EkCounts     *counts;              /* of handshakes under way */
  EkNetworks   *trusted;
  GHashTable   *services;
  GQueue        conns;
  const EkTlsConf *conf;
  EkGeneration *generation;          /* whose they are */
  bool          damaged;             /* a certificate of the set that is coming */
} t;

static char chunk[CHUNK];

static void pump (Conn *c);
static void knock (const char *name, bool login, int fd, const EkClient *client);

/* ---- configuration ---- */

static void
service_free (gpointer data)
{
  Service *s = data;

  ek_tls_peers_unref (s->peers);
  g_free (s->name);
  g_free (s);
}

static void
add_service (const EkBlockValues *v, gpointer data)
{
  const EkListenerConf *conf = v->values;
  Service *s = g_new0 (Service, 1);

  s->name = g_strdup (v->block->name ? v->block->name : "");
  s->alpn = conf->protocol ? g_intern_string (conf->protocol->name) : NULL;
  s->conf = conf;
  s->peers = ek_tls_peers_new (conf);
  g_hash_table_replace (t.services, s->name, s);
}

static void
configure (void)
{
  EkGeneration *gen = ek_role_generation ();
  const EkTopConf *top = ek_generation_values (gen, &ek_top_block, NULL);
  EkNetworks *trusted = ek_networks_new (top->trusted, NULL);

  if (trusted) {                     /* what is no network is the edge's to tell */
    ek_networks_free (t.trusted);
    t.trusted = trusted;
  }
  if (t.services)
    g_hash_table_unref (t.services);
  t.services = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, service_free);
  ek_generation_each (gen, &ek_listener_block, add_service, NULL);
  t.conf = ek_generation_values (gen, &ek_tls_block, NULL);
  ek_generation_unref (t.generation);
  t.generation = ek_generation_ref (gen);
}

static void
certificate (EkUnpack *in)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  guint64 index = ek_unpack_max (in, G_MAXUINT16), left = ek_unpack_max (in, G_MAXUINT16);
  const char *name = ek_unpack_text (in, pool);
  guint64 n = ek_unpack_max (in, G_MAXUINT16);

  while (n-- > 0 && !in->bad) {
    const char *text = ek_unpack_text (in, pool);
    g_strv_builder_add (names, text ? text : "");
  }
  EkStr chain = ek_unpack_str (in), key = ek_unpack_str (in);
  g_auto (GStrv) list = g_strv_builder_end (names);
  const EkTlsConf *conf = t.conf ? t.conf : ek_generation_values (ek_role_generation (), &ek_tls_block, NULL);
  if (index == 0)
    t.damaged = false;
  if (!ek_unpack_ok (in) || !ek_tls_certificate (name ? name : "", list, chain, key, conf, &error)) {
    ek_log (EK_ERR, "tls", "certificate \"%s\": %s; those before stay", name ? name : "", error ? error->message : "a damaged message");
    t.damaged = true;
  }
  if (left == 0)
    ek_tls_certificates_done (!t.damaged);
}

static void
master (EkMsg *msg)
{
  if (msg->type == EK_M_TICKET_KEYS)
    ek_tls_ticket_keys (ek_unpack_str (&msg->in));
  else if (msg->type == EK_M_CERTIFICATE)
    certificate (&msg->in);
  else if (msg->type == EK_M_PROOF_KEY)
    ek_tls_proof_use_key (ek_unpack_str (&msg->in));
}

static bool
start (GError **error)
{
  t.doors = ek_doors_new (ek_role_loop (), "tls", knock);
  t.counts = ek_counts_new ();
  configure ();
  return true;
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
  ek_tls_peers_unref (c->peers);
  ek_buf_release (&c->to_client);
  ek_buf_release (&c->to_stream);
  ek_pool_free (c->pool);
  ek_counts_remove (t.counts, &c->counted);
  ek_generation_unref (c->generation);
  g_queue_unlink (&t.conns, &c->link);
  g_free (c);
  ERR_clear_error ();
  if (ek_role_stopping () && t.conns.length == 0)
    ek_role_done (EK_ROLE_TLS);
}

/* Tells who asked that it came to nothing. */
static void
conn_fail (Conn *c, const char *why)
{
  if (c->stream.fd < 0) {
    ek_event ("tlsproxy", 0, "tls-failed", EK_FTEXT ("host", c->facts->host), EK_FTEXT ("ip", c->facts->address),
              EK_FTEXT ("reason", why), EK_FTEXT ("listener", c->listener));
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

/* Hands the plain end to an edge.  NULL, or why not. */
static const char *
conn_ready (Conn *c)
{
  static const char no_edge[] = "no edge to hand it to";
  int fds[2];
  const char *why = ek_tls_facts (c->ssl, c->conf, c->peers, c->pool, c->facts);

  if (why)
    return why;
  EkChannel *edge = c->edge;
  if (edge && ek_role_peer (EK_ROLE_TLS, EK_ROLE_EDGE, c->edge_index) != edge)
    return no_edge;
  if (edge == NULL) {
    const EkRolesConf *r = ek_generation_values (ek_role_generation (), &ek_roles_block, NULL);
    guint smtp = (guint) r->smtp_edges;
    edge = c->login ? ek_role_any_of (EK_ROLE_TLS, EK_ROLE_EDGE, smtp, 4096) : ek_role_any_of (EK_ROLE_TLS, EK_ROLE_EDGE, 0, smtp);
  }
  if (edge == NULL || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    return no_edge;
  if (c->facts->tls_peer)
    c->facts->tls_peer_proof = ek_tls_proof_make (c->pool, c->facts->tls_peer, c->listener, ek_role_peer_index (edge), ek_now ());
  EkBuf *out;
  if (c->edge) {
    out = ek_channel_answer (edge, c->call);
    ek_pack_u64 (out, 1);
  }
  else {
    out = ek_channel_send (edge, EK_T_STREAM);
    ek_pack_text (out, c->listener);
  }
  ek_pack_client (out, c->facts);
  ek_channel_attach (edge, fds[1]);
  ek_channel_end (edge);
  c->stream.fd = fds[0];
  ek_timer_cancel (ek_role_loop (), &c->timer);
  ek_counts_remove (t.counts, &c->counted);
  SSL_set_app_data (c->ssl, NULL);
  g_clear_pointer (&c->generation, ek_generation_unref);
  g_clear_pointer (&c->pool, ek_pool_free);      /* facts and listener with it */
  c->conf = NULL;
  c->facts = NULL;
  c->listener = NULL;
  return NULL;
}

/* False: the connection is gone. */
static bool
handshake (Conn *c)
{
  ERR_clear_error ();
  int rc = SSL_do_handshake (c->ssl);
  if (rc == 1) {
    const char *why = conn_ready (c);
    if (why == NULL)
      return true;
    conn_fail (c, why);
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
      ek_timer_cancel (ek_role_loop (), &c->timer);
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
  if (c->stream_eof && !ek_timer_armed (&c->timer))
    ek_timer_set (ek_role_loop (), &c->timer, LINGER);
  bool read_client = !c->client_eof && ek_buf_len (&c->to_stream) == 0;
  bool read_stream = !c->stream_eof && ek_buf_len (&c->to_client) == 0;
  ek_watch_set (ek_role_loop (), &c->client, EPOLLHUP | EPOLLERR | (read_client ? EPOLLIN : 0) | (c->want_write ? EPOLLOUT : 0));
  ek_watch_set (ek_role_loop (), &c->stream, (read_stream ? EPOLLIN : 0) | (ek_buf_len (&c->to_stream) > 0 ? EPOLLOUT : 0));
}

static void
client_event (EkWatch *watch, guint32 events)
{
  Conn *c = (Conn *) ((char *) watch - G_STRUCT_OFFSET (Conn, client));

  if ((events & (EPOLLHUP | EPOLLERR)) && c->stream.fd >= 0 && !(watch->events & EPOLLIN)) {
    conn_free (c);                   /* he is gone: nothing can be sent any more, and nobody waits for what he sent */
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
  SSL *ssl = s ? ek_tls_new (s->conf->certificates, s->alpn, s->peers) : NULL;

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
  c->generation = ek_generation_ref (t.generation);
  c->conf = s->conf;
  c->peers = ek_tls_peers_ref (s->peers);
  c->link.data = c;
  g_queue_push_tail_link (&t.conns, &c->link);
  ek_timer_set (ek_role_loop (), &c->timer, t.conf->handshake_timeout.us);
  return c;
}

/* ---- where they come from ---- */

/* A handshake costs memory and time before anybody has said who he is: no address has many under way. */
static bool
may_come (const char *listener, const EkClient *client, EkCounted *counted)
{
  static gint64 said;
  Service *s = g_hash_table_lookup (t.services, listener);
  const char *why = s == NULL ? "no such listener" : t.conns.length >= (guint) s->conf->connections ? "connections" : NULL;

  if (why == NULL && !ek_networks_have (t.trusted, client->address)
      && !ek_counts_add (t.counts, client->address, (guint) s->conf->connections_per_client, counted))
    why = "connections_per_client";
  if (why && ek_now () - said > G_USEC_PER_SEC) {
    said = ek_now ();
    ek_log (EK_WARN, "tls", "%s: connection from %s refused: too many (%s)", listener, client->address, why);
  }
  return why == NULL;
}

static void
knock (const char *name, bool login, int fd, const EkClient *client)
{
  EkCounted counted = { 0 };

  if (!may_come (name, client, &counted)) {
    close (fd);
    return;
  }
  EkPool *pool = ek_pool_new ();
  EkClient *f = ek_pool_new0 (pool, EkClient);
  *f = *client;
  f->address = ek_pool_strdup (pool, client->address);
  f->local_address = ek_pool_strdup (pool, client->local_address);
  Conn *c = conn_new (fd, name, pool, f, NULL, 0);
  if (c == NULL) {
    ek_counts_remove (t.counts, &counted);
    return;
  }
  c->login = login;
  c->counted = counted;
  ek_watch_set (ek_role_loop (), &c->client, EPOLLIN);
}

static void
listener (const char *name, const char *address, bool login, int fd)
{
  ek_doors_open (t.doors, name, address, login, fd);
}

static void
unlisten (const char *name, const char *address)
{
  ek_doors_close (t.doors, name, address);
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  EkPool *pool = ek_pool_new ();
  EkClient *facts = ek_pool_new0 (pool, EkClient);
  const char *name = ek_unpack_text (&msg->in, pool);

  ek_unpack_client (&msg->in, pool, facts);
  int fd = ek_msg_take_stream (msg, 0);
  if (msg->type == EK_T_START && msg->id && ek_msg_lost_fd (msg, 0)) {
    ek_pack_u64 (ek_channel_answer (msg->channel, msg->id), 0);
    ek_channel_end (msg->channel);
    ek_pool_free (pool);
    return;
  }
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
  ek_doors_close_all (t.doors);
  if (t.conns.length == 0)
    ek_role_done (EK_ROLE_TLS);
}

static void
end (void)
{
  ek_doors_close_all (t.doors);
  while (t.conns.head)
    conn_free (t.conns.head->data);
  ek_doors_free (t.doors);
  ek_counts_free (t.counts);
  ek_networks_free (t.trusted);
  g_hash_table_unref (t.services);
  ek_generation_unref (t.generation);
  ek_tls_contexts_free ();
  memset (&t, 0, sizeof t);
}

const EkRoleOps ek_tls_role = {
  .role = EK_ROLE_TLS, .start = start, .reload = configure, .message = message, .master = master,
  .listener = listener, .unlisten = unlisten, .stop = stop, .end = end,
};
