/* client.c - the transport: deliveries, connections that are kept, the instance's life
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include "client-module.h"
#include <string.h>

#define LINE_LENGTH_MIN 78           /* RFC 5322 2.1.1: no message needs to be broken below */

#define ROW(field_, ...) EK_OPTION (Client, field_, __VA_ARGS__)

const EkOption smtp_client_options[] = {
  ROW (protocol, "smtp", "What is spoken to the next hop.", .allow = "smtp|lmtp"),
  ROW (tls_level, "may", "none: no TLS. may: when it is offered, whoever has the certificate. encrypt: not without. verify: not "
       "without, and the certificate must be good for the host's name.", .allow = "none|may|encrypt|verify"),
  ROW (ca_file, "", "PEM file of the authorities for verify. Empty: Debian's /etc/ssl/certs/ca-certificates.crt."),
  ROW (user, "", "Log in to the next hop with this name."),
  ROW (password, "", "... and this password; better file(\"...\")."),
  ROW (helo_name, "", "The name in EHLO. Empty: the server's hostname."),
  ROW (address_family, "any", "Which addresses to use, or both, IPv6 first.", .allow = "any|ipv4|ipv6"),
  ROW (source_address, "", "Our address of outgoing connections. Empty: the system chooses."),
  ROW (port, "25", "Port of next hops that name none. 465 means TLS from the first byte. LMTP: 24.", .allow = "1..65535"),
  ROW (pipelining, "yes", "Send the envelope in one go where it is offered."),
  ROW (line_length_limit, "998", "Longest line of a message that is sent, in octets without its end: a longer one is broken with CRLF "
       "and a space, which also breaks a DKIM signature over it. 0: lines are sent as they are.", .allow = "0..1000000"),
  ROW (deliveries_max, "100", "Messages that one connection carries at most.", .allow = "1..100000"),
  ROW (connection_idle, "2s", "How long a connection is kept for the next message.", .allow = "..5m"),
  ROW (connection_age, "5m", "How old a kept connection may become.", .allow = "1s..1h"),
  ROW (idle_max, "200", "Connections kept at most.", .allow = "0..10000"),
  ROW (hosts_max, "2", "Hosts that greet us and then fail, before a delivery is put off.", .allow = "1..20"),
  ROW (addresses_max, "5", "Addresses tried for one delivery.", .allow = "1..100"),
  ROW (connect_timeout, "30s", "For connecting.", .allow = "1s..1h"),
  ROW (greeting_timeout, "5m", "For the greeting, EHLO, STARTTLS and AUTH.", .allow = "1s..1h"),
  ROW (mail_timeout, "5m", "For the answer to MAIL.", .allow = "1s..1h"),
  ROW (rcpt_timeout, "5m", "For the answer to RCPT.", .allow = "1s..1h"),
  ROW (data_timeout, "2m", "For the answer to DATA.", .allow = "1s..1h"),
  ROW (content_timeout, "3m", "For each piece of content to be taken.", .allow = "1s..1h"),
  ROW (end_timeout, "10m", "For the answer to the end of the content; shorter makes doubles.", .allow = "1s..1h"),
  EK_OPTIONS_END
};

bool
client_is_lmtp (const Client *self)
{
  return self->protocol[0] == 'l';
}

/* ---- deliveries ---- */

static void
end (ClientTrip *trip)
{
  EkCall *call = trip->call;

  client_route_cancel (trip);
  g_array_unref (trip->hosts);
  g_array_unref (trip->addresses);
  g_free (trip->trouble);
  g_free (trip);
  ek_call_done (call, EK_OK);
}

static bool
all_reported (const ClientTrip *trip)
{
  for (guint i = 0; i < trip->hop->n_rcpts; i++)
    if (trip->rcpts[i] != CLIENT_DONE)
      return false;
  return true;
}

static void
run (EkTask *task)
{
  ClientTrip *trip = (ClientTrip *) ((char *) task - G_STRUCT_OFFSET (ClientTrip, task));

  if (trip->finished || all_reported (trip)) {
    end (trip);
    return;
  }
  if (trip->again)
    trip->address--;
  trip->again = false;
  if (trip->addresses && trip->address < trip->addresses->len && trip->tried < (guint) trip->client->addresses_max
      && trip->sessions < (guint) trip->client->hosts_max) {
    const struct sockaddr_storage *a = &g_array_index (trip->addresses, struct sockaddr_storage, trip->address++);
    trip->tried++;
    if (!client_connect (trip, a, g_array_index (trip->hosts, ClientHost, trip->host - 1).name))
      client_trip_next (trip);
  }
  else if (client_route_more (trip))
    client_route_next_host (trip);
  else {
    client_report_rest (trip, EK_DEFER, trip->trouble_dsn[0] ? trip->trouble_dsn : "4.4.1",
                        trip->trouble ? trip->trouble : "no host could be reached");
    client_trip_done (trip);
  }
}

/* At the end of the turn, so that nobody's ground gives way under him. */
void
client_trip_next (ClientTrip *trip)
{
  ek_loop_later (ek_loop_mine (), &trip->task);
}

void
client_trip_done (ClientTrip *trip)
{
  trip->finished = true;
  ek_loop_later (ek_loop_mine (), &trip->task);
}

/* ---- connections that are kept ---- */

static void
take_out (ClientConn *conn)
{
  GQueue *queue = g_hash_table_lookup (conn->client->idle, conn->next_hop);

  g_queue_unlink (queue, &conn->link);
  conn->client->n_idle--;
  if (queue->length == 0)
    g_hash_table_remove (conn->client->idle, conn->next_hop);
}

void
client_idle_gone (ClientConn *conn)
{
  take_out (conn);
  client_conn_free (conn);
}

static ClientConn *
take_kept (ClientTrip *trip)
{
  Client *self = trip->client;
  GQueue *queue = self->idle ? g_hash_table_lookup (self->idle, trip->hop->next_hop) : NULL;
  ClientConn *conn = queue ? g_queue_peek_tail (queue) : NULL;       /* the warmest */

  if (conn)
    take_out (conn);
  return conn;
}

void
client_keep (ClientConn *conn)
{
  Client *self = conn->client;

  conn->trip = NULL;
  if (conn->uses >= (guint) self->deliveries_max || self->connection_idle.us == 0 || ek_now () - conn->born > self->connection_age.us
      || self->n_idle >= (guint) self->idle_max) {
    client_send (conn, "QUIT\r\n");
    client_flush (conn);
    client_conn_free (conn);
    return;
  }
  if (self->idle == NULL)
    self->idle = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GQueue *queue = g_hash_table_lookup (self->idle, conn->next_hop);
  if (queue == NULL) {
    queue = g_new0 (GQueue, 1);
    g_hash_table_insert (self->idle, g_strdup (conn->next_hop), queue);
  }
  conn->link.data = conn;
  g_queue_push_tail_link (queue, &conn->link);
  self->n_idle++;
  client_expect (conn, TALK_IDLE);
}

static EkStatus
deliver (EkInstance *base, EkCall *call, const EkHop *hop)
{
  ClientTrip *trip = g_new0 (ClientTrip, 1);

  trip->client = (Client *) base;
  trip->call = call;
  trip->hop = hop;
  trip->pool = call->pool;
  trip->task.func = run;
  trip->rcpts = ek_pool_newv (call->pool, ClientRcpt, hop->n_rcpts + 1);
  trip->why = ek_pool_newv (call->pool, const char *, hop->n_rcpts + 1);
  trip->why_dsn = ek_pool_newv (call->pool, const char *, hop->n_rcpts + 1);
  if (!client_route_parse (trip)) {
    client_report_rest (trip, EK_FAIL, "5.4.4", ek_pool_printf (call->pool, "bad next hop: %s", hop->next_hop));
    client_trip_done (trip);
    return EK_PENDING;
  }
  ClientConn *conn = take_kept (trip);
  if (conn) {
    conn->trip = trip;
    trip->conn = conn;
    client_talk_begin (conn);
  }
  else
    client_route_begin (trip);
  return EK_PENDING;
}

/* ---- life ---- */

gboolean
smtp_client_init (EkInstance *base, GError **error)
{
  Client *self = (Client *) base;

  if (self->user && self->password.len == 0) {
    ek_fail (error, EK_FAIL, 0, "smtp \"%s\": user is set but password is not", base->name);
    return FALSE;
  }
  if (self->line_length_limit > 0 && self->line_length_limit < LINE_LENGTH_MIN) {
    ek_fail (error, EK_FAIL, 0, "smtp \"%s\": line_length_limit is 0 or at least %d; RFC 5321 says 998", base->name, LINE_LENGTH_MIN);
    return FALSE;
  }
  if (client_is_lmtp (self) && self->port == 25)
    self->port = 24;
  return client_tls_load (self, error);
}

void
smtp_client_stop (EkInstance *base)
{
  Client *self = (Client *) base;
  GHashTableIter iter;
  gpointer queue;

  while (self->idle && g_hash_table_size (self->idle) > 0) {
    g_hash_table_iter_init (&iter, self->idle);
    g_hash_table_iter_next (&iter, NULL, &queue);
    ClientConn *conn = g_queue_peek_head (queue);
    client_send (conn, "QUIT\r\n");
    client_flush (conn);
    client_idle_gone (conn);
  }
  if (self->idle)
    g_hash_table_unref (self->idle);
  client_tls_free (self);
}

const EkTransportOps smtp_client_transport = { deliver };
