/* edge.c - the edge role: accepts clients, hosts their sessions, asks directory, hands over to store
 * SPDX-License-Identifier: Apache-2.0
 *
 * An edge has plain client streams and its channels, nothing else: no file, no key, no mailbox.  What it
 * tells others is taken as a stranger's word there.
 */
#include "config.h"
#include "flow/edge.h"
#include "flow/facts.h"
#include "flow/submit.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "proc/blocks.h"
#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

typedef struct {                     /* a listener block of the current generation */
  const EkListenerConf *conf;
  const EkProtocolOps  *ops;
  gconstpointer         options;
  const char          **mechanisms;
} Service;

typedef struct {                     /* a listening socket */
  EkWatch watch;
  char   *listener, *address;
} Door;

typedef struct {                     /* the edge's part of a session */
  EkAuthFunc  func;
  guint32     number;                /* tells directory which login this is */
  guint       directory;             /* index of the worker that has it */
  bool        authing, counted;
  char        net[INET6_ADDRSTRLEN]; /* key of the connection count */
  char       *mechanism;
  char       *token;                 /* after EK_AUTH_OK */
  gsize       token_len;
  guint       store;
} Guest;

static struct {
  GHashTable *services;              /* name -> Service *, of the generation */
  EkGeneration *generation;          /* the one they belong to */
  GPtrArray  *doors;                 /* of Door */
  GHashTable *counts;                /* net -> number of connections */
  EkNetworks *trusted;
  const EkTopConf *top;
  guint32     last;
  int         reserve;               /* a descriptor to give up for answering EMFILE */
} e;

static EkSessionHost host;

/* ---- configuration ---- */

static void
add_service (const EkBlockValues *v, gpointer data)
{
  Service *s = g_new0 (Service, 1);

  if (v->protocol == NULL || ek_instance_is_remote (v->protocol)) {
    g_free (s);
    return;
  }
  s->conf = v->values;
  s->ops = v->protocol->module->protocol;
  s->options = v->protocol_options;
  g_hash_table_replace (e.services, g_strdup (v->block->name ? v->block->name : ""), s);
}

static bool
configure (GError **error)
{
  EkGeneration *gen = ek_role_generation ();
  const EkTopConf *top = ek_generation_values (gen, &ek_top_block, NULL);
  EkNetworks *trusted = ek_networks_new (top->trusted, error);

  if (trusted == NULL)
    return false;
  ek_networks_free (e.trusted);
  e.trusted = trusted;
  e.top = top;
  if (e.services)
    g_hash_table_unref (e.services);
  e.services = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  ek_generation_each (gen, &ek_listener_block, add_service, NULL);
  ek_generation_unref (e.generation);
  e.generation = ek_generation_ref (gen);
  ek_dns_use_generation (gen);
  return true;
}

static bool
start (GError **error)
{
  e.doors = g_ptr_array_new ();
  e.counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  e.reserve = fcntl (3, F_DUPFD_CLOEXEC, 3);
  return configure (error);
}

static void
move_on (EkSession *s, gpointer data)
{
  Service *service = g_hash_table_lookup (e.services, ek_session_listener (s));

  /* Between commands only: another that is under way keeps the old generation until its next turn. */
  if (service && service->ops == ek_session_protocol (s) && ek_session_idle (s))
    ek_session_use (s, e.generation, service->options);
}

static void
reload (void)
{
  g_autoptr (GError) error = NULL;

  if (!configure (&error))
    ek_log (EK_ERR, "edge", "trusted: %s", error->message);
  ek_sessions_each (move_on, NULL);
}

bool
ek_session_trusted (EkSession *s)
{
  return ek_networks_have (e.trusted, ek_session_client (s)->address);
}

/* ---- clients come ---- */

static bool
count_client (Guest *g, const EkClient *c, const Service *service)
{
  struct in6_addr a;

  g_strlcpy (g->net, c->address, sizeof g->net);
  if (ek_networks_have (e.trusted, c->address))
    return true;
  if (inet_pton (AF_INET6, c->address, &a) == 1) {
    memset (a.s6_addr + 8, 0, 8);
    inet_ntop (AF_INET6, &a, g->net, sizeof g->net);
  }
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (e.counts, g->net));
  if (n >= (guint) service->conf->connections_per_client)
    return false;
  g_hash_table_replace (e.counts, g_strdup (g->net), GUINT_TO_POINTER (n + 1));
  g->counted = true;
  return true;
}

static void
uncount (Guest *g)
{
  guint n = g->counted ? GPOINTER_TO_UINT (g_hash_table_lookup (e.counts, g->net)) : 0;

  if (n > 1)
    g_hash_table_replace (e.counts, g_strdup (g->net), GUINT_TO_POINTER (n - 1));
  else if (n == 1)
    g_hash_table_remove (e.counts, g->net);
}

/* Takes the descriptor. */
static void
admit (const char *listener, int fd, const EkClient *client)
{
  Service *service = g_hash_table_lookup (e.services, listener);
  Guest *g = g_new0 (Guest, 1);

  if (service == NULL || ek_role_stopping () || ek_sessions_count () >= (guint) service->conf->connections
      || !count_client (g, client, service)) {
    static gint64 said;
    if (ek_now () - said > G_USEC_PER_SEC) {
      ek_log (EK_WARN, "edge", "%s: connection from %s refused: %s", listener, client->address,
              service == NULL ? "no such listener" : ek_role_stopping () ? "the server stops"
              : "too many connections (connections, connections_per_client)");
      said = ek_now ();
    }
    close (fd);
    g_free (g);
    return;
  }
  const char *name = service->conf->hostname ? service->conf->hostname : ek_role_hostname ();
  EkSessionStart start = {
    .ops = service->ops, .options = service->options, .generation = e.generation, .listener = listener, .hostname = name,
    .client = client, .event = ek_event_new (), .fd = fd,
    .tls_possible = strcmp (service->conf->tls, "starttls") == 0 || strcmp (service->conf->tls, "required") == 0,
  };
  EkSession *s = ek_session_new (&start, &host);
  ek_session_set_host_data (s, g);
  ek_session_begin (s, EK_STR (""));
}

static void
client_of (int fd, EkClient *c, char remote[INET6_ADDRSTRLEN], char local[INET6_ADDRSTRLEN])
{
  struct sockaddr_storage a = { 0 };
  socklen_t n = sizeof a;

  *c = (EkClient) { .address = remote, .local_address = local, .host = "unknown" };
  if (getpeername (fd, (struct sockaddr *) &a, &n) < 0)
    a.ss_family = AF_UNSPEC;
  ek_address_text (&a, remote, INET6_ADDRSTRLEN, &c->port);
  n = sizeof a;
  if (getsockname (fd, (struct sockaddr *) &a, &n) < 0)
    a.ss_family = AF_UNSPEC;
  ek_address_text (&a, local, INET6_ADDRSTRLEN, &c->local_port);
}

/* No descriptor is left: take the client with the reserved one and let him go, else the loop would spin. */
static void
turn_away (int door)
{
  close (e.reserve);
  int fd = accept4 (door, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0)
    close (fd);
  e.reserve = fcntl (3, F_DUPFD_CLOEXEC, 3);
  ek_log (EK_ERR, "edge", "no descriptors left: a client was turned away; raise LimitNOFILE");
}

static void
knock (EkWatch *watch, guint32 events)
{
  Door *door = (Door *) watch;
  char remote[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
  EkClient client;
  int one = 1;

  for (int i = 0; i < 16; i++) {     /* a flood of clients does not starve those who are in */
    int fd = accept4 (door->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
      turn_away (door->watch.fd);
    if (fd < 0)
      return;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    client_of (fd, &client, remote, local);
    admit (door->listener, fd, &client);
  }
}

static void
listener (const char *name, const char *address, bool login, int fd)
{
  Door *door = g_new0 (Door, 1);

  door->watch = (EkWatch) { .fd = fd, .func = knock };
  door->listener = g_strdup (name);
  door->address = g_strdup (address);
  g_ptr_array_add (e.doors, door);
  ek_watch_set (ek_role_loop (), &door->watch, EPOLLIN | (guint32) EPOLLEXCLUSIVE);
}

static void
close_door (Door *door)
{
  ek_watch_set (ek_role_loop (), &door->watch, 0);
  close (door->watch.fd);
  g_free (door->listener);
  g_free (door->address);
  g_free (door);
}

static void
unlisten (const char *name, const char *address)
{
  for (guint i = 0; i < e.doors->len; i++) {
    Door *door = e.doors->pdata[i];
    if (strcmp (door->listener, name) == 0 && strcmp (door->address, address) == 0) {
      g_ptr_array_remove_index (e.doors, i);
      close_door (door);
      return;
    }
  }
}

/* ---- login ---- */

const char *const *
ek_session_mechanisms (EkSession *s)
{
  static const char *const none[] = { NULL };
  Service *service = g_hash_table_lookup (e.services, ek_session_listener (s));

  if (service == NULL || (!ek_session_client (s)->tls && !service->conf->plaintext_auth))
    return none;                     /* PLAIN and LOGIN are all there is so far: both need TLS */
  return (const char *const *) service->conf->mechanisms;
}

static void
auth_end (EkSession *s, EkAuthOutcome outcome, const EkAuthAnswer *answer)
{
  Guest *g = ek_session_host_data (s);
  EkAuthAnswer own = { .outcome = outcome, .text = "Temporary authentication failure" };
  EkAuthFunc func = g->func;

  g->authing = outcome == EK_AUTH_CHALLENGE;
  g->func = NULL;
  if (ek_session_is_closed (s) || func == NULL)
    return;
  func (s, ek_session_state (s), answer ? answer : &own);
  ek_session_resume (s);
}

static void
auth_answer (EkMsg *msg, gpointer data)
{
  EkSession *s = data;
  Guest *g = ek_session_host_data (s);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkAuthAnswer a = { 0 };

  if (msg) {
    a.outcome = (EkAuthOutcome) ek_unpack_max (&msg->in, EK_AUTH_MALFORMED);
    a.challenge = ek_unpack_str (&msg->in);
    a.user = ek_unpack_text (&msg->in, pool);
    a.text = ek_unpack_text (&msg->in, pool);
    EkStr token = ek_unpack_str (&msg->in);
    g->store = (guint) ek_unpack_max (&msg->in, 4096);
    if (a.outcome == EK_AUTH_OK && !msg->in.bad && a.user) {
      g_free (g->token);
      g->token = g_memdup2 (token.p, token.n);
      g->token_len = token.n;
      ek_session_set_user (s, a.user, g->mechanism);
    }
  }
  if (msg && ek_unpack_ok (&msg->in))
    auth_end (s, a.outcome, &a);
  else
    auth_end (s, EK_AUTH_UNAVAILABLE, NULL);
  ek_session_unref (s);
}

void
ek_session_auth (EkSession *s, const char *mechanism, EkStr initial, EkAuthFunc func)
{
  Guest *g = ek_session_host_data (s);
  EkChannel *directory = ek_role_any (EK_ROLE_EDGE, EK_ROLE_DIRECTORY);

  ek_session_wait (s);
  ek_session_ref (s);
  g->func = func;
  g_free (g->mechanism);
  g->mechanism = g_ascii_strup (mechanism, -1);
  g->number = ++e.last;
  g->authing = true;
  if (directory == NULL) {
    auth_end (s, EK_AUTH_UNAVAILABLE, NULL);
    ek_session_unref (s);
    return;
  }
  g->directory = ek_role_peer_index (directory);
  EkBuf *out = ek_channel_call (directory, EK_D_AUTH, auth_answer, s);
  ek_pack_u64 (out, g->number);
  ek_pack_text (out, g->mechanism);
  ek_pack_u64 (out, initial.p != NULL);
  ek_pack_str (out, initial);
  ek_pack_text (out, ek_session_protocol (s)->name);
  ek_pack_text (out, ek_session_listener (s));
  ek_pack_client (out, ek_session_client (s));
  ek_channel_end (directory);
}

void
ek_session_auth_continue (EkSession *s, EkStr response, EkAuthFunc func)
{
  Guest *g = ek_session_host_data (s);
  EkChannel *directory = ek_role_peer (EK_ROLE_EDGE, EK_ROLE_DIRECTORY, g->directory);

  ek_session_wait (s);
  ek_session_ref (s);
  g->func = func;
  if (directory == NULL || !g->authing) {
    auth_end (s, EK_AUTH_UNAVAILABLE, NULL);
    ek_session_unref (s);
    return;
  }
  EkBuf *out = ek_channel_call (directory, EK_D_AUTH_MORE, auth_answer, s);
  ek_pack_u64 (out, g->number);
  ek_pack_str (out, response);
  ek_channel_end (directory);
}

void
ek_session_auth_abort (EkSession *s)
{
  Guest *g = ek_session_host_data (s);
  EkChannel *directory = ek_role_peer (EK_ROLE_EDGE, EK_ROLE_DIRECTORY, g->directory);

  if (!g->authing || directory == NULL)
    return;
  g->authing = false;
  ek_pack_u64 (ek_channel_send (directory, EK_D_AUTH_ABORT), g->number);
  ek_channel_end (directory);
}

void
ek_session_handoff (EkSession *s, EkStr tag)
{
  Guest *g = ek_session_host_data (s);
  EkChannel *store = ek_role_peer (EK_ROLE_EDGE, EK_ROLE_STORE, g->store);
  EkBuf unread = { 0 };

  if (store == NULL || g->token == NULL || tag.n > 255) {
    ek_session_end (s, EK_CLOSED_ERROR);
    return;
  }
  EkBuf *out = ek_channel_send (store, EK_S_HANDOFF);
  ek_pack_str (out, (EkStr) { g->token, g->token_len });
  ek_pack_str (out, tag);
  ek_pack_text (out, ek_session_protocol (s)->name);
  ek_pack_text (out, ek_session_listener (s));
  ek_pack_text (out, ek_session_hostname (s));
  ek_pack_u64 (out, ek_session_event (s));
  ek_pack_text (out, g->mechanism);
  ek_pack_client (out, ek_session_client (s));
  ek_session_ref (s);
  int fd = ek_session_detach (s, &unread);
  ek_pack_str (out, ek_buf_str (&unread));
  if (fd >= 0)
    ek_channel_attach (store, fd);   /* without one, store sees that the client is gone */
  ek_channel_end (store);
  ek_buf_release (&unread);
  ek_session_unref (s);
}

static void
guest_gone (EkSession *s)
{
  Guest *g = ek_session_host_data (s);

  if (g == NULL)
    return;
  if (g->authing)
    ek_session_auth_abort (s);
  uncount (g);
  g->func = NULL;
  g_free (g->mechanism);
  g->mechanism = NULL;
  if (g->token)
    ek_wipe (g->token, g->token_len);
  g_free (g->token);
  g->token = NULL;
  ek_pool_cleanup (ek_session_pool (s), g_free, g);       /* answers on their way still look at it */
  if (ek_role_stopping () && ek_sessions_count () == 0)
    ek_role_done (EK_ROLE_EDGE);
}

/* ---- TLS ---- */

static void
tls_started (EkMsg *msg, gpointer data)
{
  EkSession *s = data;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkClient facts = { 0 };
  int fd = -1;

  if (msg && ek_unpack_max (&msg->in, 1) == 1) {
    ek_unpack_client (&msg->in, pool, &facts);
    if (ek_unpack_ok (&msg->in))
      fd = ek_msg_take_fd (msg, 0);
  }
  if (fd >= 0)
    fcntl (fd, F_SETFL, O_NONBLOCK);
  ek_session_tls_done (s, fd, &facts);
  ek_session_unref (s);
}

static void
starttls (EkSession *s, int fd)
{
  EkChannel *tls = ek_role_any (EK_ROLE_EDGE, EK_ROLE_TLS);

  ek_session_ref (s);
  if (tls == NULL) {
    close (fd);
    tls_started (NULL, s);
    return;
  }
  EkBuf *out = ek_channel_call (tls, EK_T_START, tls_started, s);
  ek_pack_text (out, ek_session_listener (s));
  ek_pack_client (out, ek_session_client (s));
  ek_channel_attach (tls, fd);
  ek_channel_end (tls);
}

static void
tls_stream (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkClient client;
  const char *name = ek_unpack_text (&msg->in, pool);

  ek_unpack_client (&msg->in, pool, &client);
  int fd = ek_msg_take_fd (msg, 0);
  if (!ek_unpack_ok (&msg->in) || name == NULL || fd < 0) {
    ek_channel_break (msg->channel, "a damaged stream message");
    if (fd >= 0)
      close (fd);
    return;
  }
  fcntl (fd, F_SETFL, O_NONBLOCK);
  admit (name, fd, &client);
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (peer == EK_ROLE_TLS && msg->type == EK_T_STREAM)
    tls_stream (msg);
  else if (peer == EK_ROLE_QUEUE && msg->type == EK_Q_ACCEPTING) {
    bool yes = ek_unpack_max (&msg->in, 1) == 1;
    const char *why = ek_unpack_text (&msg->in, pool);
    ek_edge_accepting (yes, why);
  }
  else
    ek_channel_break (msg->channel, "a message that no edge takes");
}

static void
peer_gone (EkRole peer, guint index)
{
  if (peer == EK_ROLE_QUEUE)
    ek_edge_accepting (false, "the queue is being restarted");
}

/* ---- the end ---- */

static void
say_goodbye (EkSession *s, gpointer data)
{
  ek_session_shutdown (s);
}

static void
stop (gint64 deadline)
{
  while (e.doors->len > 0) {
    close_door (e.doors->pdata[0]);
    g_ptr_array_remove_index (e.doors, 0);
  }
  ek_sessions_each (say_goodbye, NULL);
  if (ek_sessions_count () == 0)
    ek_role_done (EK_ROLE_EDGE);
}

static void
end_session (EkSession *s, gpointer data)
{
  ek_session_end (s, EK_CLOSED_SHUTDOWN);
}

static void
end (void)
{
  while (e.doors->len > 0) {
    close_door (e.doors->pdata[0]);
    g_ptr_array_remove_index (e.doors, 0);
  }
  ek_sessions_each (end_session, NULL);
  ek_loop_turn (ek_role_loop (), false);
  g_ptr_array_free (e.doors, TRUE);
  g_hash_table_unref (e.counts);
  g_hash_table_unref (e.services);
  ek_networks_free (e.trusted);
  ek_generation_unref (e.generation);
  close (e.reserve);
  memset (&e, 0, sizeof e);
}

static EkSessionHost host = { .starttls = starttls, .closed = guest_gone };

const EkRoleOps ek_edge_role = {
  .role = EK_ROLE_EDGE, .start = start, .reload = reload, .message = message, .peer_gone = peer_gone,
  .listener = listener, .unlisten = unlisten, .stop = stop, .end = end,
};
