/* edge.c - the edge role: accepts clients, hosts their sessions, asks directory, hands over to store
 * SPDX-License-Identifier: Apache-2.0
 *
 * An edge has plain client streams and its channels, nothing else: no file, no key, no mailbox.  What it
 * tells others is taken as a stranger's word there.
 */
#include "config.h"
#include "flow/arrival.h"
#include "flow/edge.h"
#include "flow/facts.h"
#include "flow/submit.h"
#include "net/doors.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "proc/blocks.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct {                     /* a listener block of the current generation */
  const EkListenerConf *conf;
  const EkProtocolOps  *ops;
  gconstpointer         options;
  const char *const    *mechanisms;  /* offered when TLS allows it */
  guint32               flags;       /* EK_CONF_SEALED() of each */
} Service;

typedef struct {                     /* the edge's part of a session */
  EkAuthFunc  func;
  guint32     number;                /* tells directory which login this is */
  guint       directory;             /* index of the worker that has it */
  bool        authing;
  EkCounted   counted;
  char       *mechanism;
  char       *token;                 /* after EK_AUTH_OK */
  gsize       token_len;
  guint       store;
} Guest;

static struct {
  GHashTable *services;              /* name -> Service *, of the generation */
  EkGeneration *generation;          /* the one they belong to */
  EkDoors    *doors;
  EkCounts   *counts;
  EkNetworks *trusted;
  const EkTopConf *top;
  guint32     last;
  bool        certified;             /* there is a certificate, so TLS can be offered */
} e;

#define MECHANISMS_MAX 32            /* offered to one client */

static EkSessionHost host;
static const char *const no_mechanisms[] = { NULL };

static void knock (const char *name, bool login, int fd, const EkClient *client);

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
  s->mechanisms = v->block->roles & EK_CONF_NO_AUTH ? no_mechanisms : (const char *const *) s->conf->mechanisms;
  s->flags = v->block->roles;
  g_hash_table_replace (e.services, g_strdup (v->block->name ? v->block->name : ""), s);
}

static void
add_certificate (const EkBlockValues *v, gpointer data)
{
  e.certified = true;
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
  e.certified = false;
  ek_generation_each (gen, &ek_certificate_block, add_certificate, NULL);
  ek_generation_unref (e.generation);
  e.generation = ek_generation_ref (gen);
  ek_dns_use_generation (gen);
  return true;
}

static bool
start (GError **error)
{
  e.doors = ek_doors_new (ek_role_loop (), "edge", knock);
  e.counts = ek_counts_new ();
  return configure (error);
}

/* Between commands only. */
static void
renew (EkSession *s)
{
  Service *service = g_hash_table_lookup (e.services, ek_session_listener (s));

  if (service && service->ops == ek_session_protocol (s))
    ek_session_use (s, e.generation, service->options);
}

static void
move_on (EkSession *s, gpointer data)
{
  ek_session_renew (s);
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
  return ek_networks_have (e.trusted, c->address)
         || ek_counts_add (e.counts, c->address, (guint) service->conf->connections_per_client, &g->counted);
}

static void
maybe_done (void)
{
  if (ek_role_stopping () && ek_sessions_count () == 0 && ek_arrivals_count () == 0)
    ek_role_done (EK_ROLE_EDGE);
}

/* The client's name is known, or that it has none.  The configuration may be another by now. */
static void
welcome (const char *listener, int fd, const EkClient *client, gpointer data)
{
  Service *service = g_hash_table_lookup (e.services, listener);
  Guest *g = data;

  if (fd < 0 || service == NULL || ek_role_stopping ()) {
    if (fd >= 0)
      close (fd);
    ek_counts_remove (e.counts, &g->counted);
    g_free (g);
    maybe_done ();
    return;
  }
  const char *name = service->conf->hostname ? service->conf->hostname : ek_role_hostname ();
  EkSessionStart start = {
    .ops = service->ops, .options = service->options, .generation = e.generation, .listener = listener, .hostname = name,
    .client = client, .event = ek_event_new (), .fd = fd,
    .tls_possible = e.certified && (strcmp (service->conf->tls, "starttls") == 0 || strcmp (service->conf->tls, "required") == 0),
  };
  EkSession *s = ek_session_new (&start, &host);
  ek_session_set_host_data (s, g);
  ek_session_begin (s, EK_STR (""));
}

static bool
wants_name (const Service *service)
{
  return ek_dns_available () && strcmp (service->conf->reverse_names, "no") != 0
         && (service->ops->wants_name || strcmp (service->conf->reverse_names, "yes") == 0);
}

/* Takes the descriptor. */
static void
admit (const char *listener, int fd, const EkClient *client)
{
  Service *service = g_hash_table_lookup (e.services, listener);
  Guest *g = g_new0 (Guest, 1);

  if (service == NULL || ek_role_stopping () || ek_sessions_count () + ek_arrivals_count () >= (guint) service->conf->connections
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
  if (wants_name (service))
    ek_arrival (listener, fd, client, service->conf->reverse_timeout, welcome, g);
  else
    welcome (listener, fd, client, g);
}

static void
knock (const char *name, bool login, int fd, const EkClient *client)
{
  admit (name, fd, client);
}

static void
listener (const char *name, const char *address, bool login, int fd)
{
  ek_doors_open (e.doors, name, address, login, fd);
}

static void
unlisten (const char *name, const char *address)
{
  ek_doors_close (e.doors, name, address);
}

/* ---- login ---- */

/* What the mechanism needs shows in its place's flag, and in names that the standards have set aside: -PLUS binds to the channel
 * (RFC 5801 section 10), EXTERNAL to what TLS knows of the client (RFC 4422 appendix A). */
static bool
may_offer (const Service *service, guint i, const EkClient *client)
{
  bool sealed = i < EK_CONF_SEALED_MAX && (service->flags & EK_CONF_SEALED (i));

  if (g_str_has_suffix (service->mechanisms[i], "-PLUS"))
    return client->tls_exporter.n > 0 || client->tls_endpoint.n > 0;
  if (g_ascii_strcasecmp (service->mechanisms[i], "EXTERNAL") == 0)
    return client->tls_peer != NULL;
  return sealed || client->tls || service->conf->plaintext_auth;
}

const char *const *
ek_session_mechanisms (EkSession *s)
{
  static const char *offered[MECHANISMS_MAX + 1];
  Service *service = g_hash_table_lookup (e.services, ek_session_listener (s));

  guint n = 0;
  if (service == NULL)
    return no_mechanisms;
  for (guint i = 0; service->mechanisms[i] && n < MECHANISMS_MAX; i++)
    if (may_offer (service, i, ek_session_client (s)))
      offered[n++] = service->mechanisms[i];
  offered[n] = NULL;
  return offered;
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
    const char *master = ek_unpack_text (&msg->in, pool);
    a.text = ek_unpack_text (&msg->in, pool);
    EkStr token = ek_unpack_str (&msg->in);
    g->store = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
    if (g->store >= ek_role_workers (EK_ROLE_STORE) && ek_role_peer (EK_ROLE_EDGE, EK_ROLE_STORE, g->store) == NULL)
      a = (EkAuthAnswer) { .outcome = EK_AUTH_UNAVAILABLE, .text = "Temporary authentication failure" };         /* it has just ended */
    if (a.outcome == EK_AUTH_OK && !msg->in.bad && a.user) {
      g_free (g->token);
      g->token = g_memdup2 (token.p, token.n);
      g->token_len = token.n;
      ek_session_set_user (s, a.user, g->mechanism, master);
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
  ek_counts_remove (e.counts, &g->counted);
  g->func = NULL;
  g_free (g->mechanism);
  g->mechanism = NULL;
  if (g->token)
    ek_wipe (g->token, g->token_len);
  g_free (g->token);
  g->token = NULL;
  ek_pool_cleanup (ek_session_pool (s), g_free, g);       /* answers on their way still look at it */
  maybe_done ();
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
      fd = ek_msg_take_stream (msg, 0);
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
  int fd = ek_msg_take_stream (msg, 0);
  if (ek_msg_lost_fd (msg, 0))
    return;                          /* tls sees its end closed: the client is turned away */
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
    ek_edge_queue_gone ();
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
  ek_doors_close_all (e.doors);
  ek_arrivals_end ();
  ek_edge_await_no_more ();
  ek_sessions_each (say_goodbye, NULL);
  maybe_done ();
}

static void
end_session (EkSession *s, gpointer data)
{
  ek_session_end (s, EK_CLOSED_SHUTDOWN);
}

static void
end (void)
{
  ek_doors_close_all (e.doors);
  ek_arrivals_end ();
  ek_edge_await_no_more ();
  ek_sessions_each (end_session, NULL);
  ek_loop_turn (ek_role_loop (), false);
  ek_doors_free (e.doors);
  ek_counts_free (e.counts);
  g_hash_table_unref (e.services);
  ek_networks_free (e.trusted);
  ek_generation_unref (e.generation);
  memset (&e, 0, sizeof e);
}

static EkSessionHost host = { .starttls = starttls, .closed = guest_gone, .renew = renew };

const EkRoleOps ek_edge_role = {
  .role = EK_ROLE_EDGE, .start = start, .reload = reload, .message = message, .peer_gone = peer_gone,
  .listener = listener, .unlisten = unlisten, .stop = stop, .end = end,
};
