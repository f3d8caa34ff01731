/* hello.c - the dialogue with a next hop up to the envelope: greeting, EHLO, STARTTLS, AUTH
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include <string.h>

/* This host will not do for now. */
static void
give_way (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;

  trip->conn = NULL;
  conn->trip = NULL;
  client_send (conn, "QUIT\r\n");
  client_flush (conn);
  client_conn_free (conn);
  client_trip_next (trip);
}

static void
refused_to_talk (ClientConn *conn)
{
  char dsn[12];

  ek_smtp_reply_status (&conn->reply, dsn);
  dsn[0] = '4';                      /* another host, or another day, may be better */
  client_trouble (conn->trip, dsn, "host %s refused to talk to me: %s", conn->peer, client_reply_text (conn));
  give_way (conn);
}

static const char *
own_name (const ClientConn *conn)
{
  return conn->client->helo_name ? conn->client->helo_name : conn->trip->hop->hostname;
}

void
client_hello (ClientConn *conn)
{
  conn->offers = 0;
  conn->size_limit = 0;
  client_send (conn, "%s %s\r\n", client_is_lmtp (conn->client) ? "LHLO" : "EHLO", own_name (conn));
  client_expect (conn, TALK_EHLO);
}

static void
take_auth (ClientConn *conn, EkStr words)
{
  g_autofree char *text = g_strndup (words.p, words.n);
  g_auto (GStrv) names = g_strsplit_set (text, " =\t", -1);

  for (char **name = names; *name; name++)
    conn->offers |= g_ascii_strcasecmp (*name, "PLAIN") == 0 ? OFFERS_PLAIN : g_ascii_strcasecmp (*name, "LOGIN") == 0 ? OFFERS_LOGIN : 0;
}

static void
take_offer (ClientConn *conn, EkStr line)
{
  static const struct { const char *name; guint bit; } known[] = {
    { "PIPELINING", OFFERS_PIPELINING }, { "SIZE", OFFERS_SIZE }, { "8BITMIME", OFFERS_8BITMIME }, { "SMTPUTF8", OFFERS_SMTPUTF8 },
    { "DSN", OFFERS_DSN }, { "STARTTLS", OFFERS_STARTTLS },
  };
  gsize n = 0;

  line = ek_str_trim (line);
  while (n < line.n && line.p[n] != ' ' && line.p[n] != '=')
    n++;
  EkStr word = { line.p, n }, rest = ek_str_trim ((EkStr) { line.p + n, line.n - n });
  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (ek_str_ieq (word, ek_str (known[i].name)))
      conn->offers |= known[i].bit;
  if (ek_str_ieq (word, EK_STR ("SIZE")))
    ek_str_u64 (rest, G_MAXINT64, &conn->size_limit);
  else if (ek_str_ieq (word, EK_STR ("AUTH")))
    take_auth (conn, rest);
}

/* ---- STARTTLS, AUTH ---- */

static void
send_secret (ClientConn *conn, const char *before, EkStr secret)
{
  ek_buf_appends (&conn->out, before);
  ek_base64_encode (secret, &conn->out);
  ek_buf_appends (&conn->out, "\r\n");
}

static void
begin_auth (ClientConn *conn)
{
  const Client *c = conn->client;

  if (!conn->ssl && c->tls_level[0] != 'n') {
    client_trouble (conn->trip, "4.7.11", "host %s offers no TLS, and the password is not sent without (tls_level)", conn->peer);
    give_way (conn);
  }
  else if (conn->offers & OFFERS_PLAIN) {
    EkBuf secret = { 0 };
    ek_buf_room (&secret, strlen (c->user) + c->password.len + 2);
    ek_buf_appendc (&secret, '\0');
    ek_buf_appends (&secret, c->user);
    ek_buf_appendc (&secret, '\0');
    ek_buf_append (&secret, c->password.text, c->password.len);
    send_secret (conn, "AUTH PLAIN ", ek_buf_str (&secret));
    ek_buf_wipe (&secret);
    client_expect (conn, TALK_AUTH);
  }
  else if (conn->offers & OFFERS_LOGIN) {
    client_send (conn, "AUTH LOGIN\r\n");
    client_expect (conn, TALK_AUTH_USER);
  }
  else {
    client_trouble (conn->trip, "4.7.0", "SASL authentication failed: host %s offers neither PLAIN nor LOGIN", conn->peer);
    give_way (conn);
  }
}

static void
after_hello (ClientConn *conn)
{
  char level = conn->client->tls_level[0];

  if (conn->ssl == NULL && level != 'n' && (conn->offers & OFFERS_STARTTLS) && !conn->trip->without_tls) {
    client_send (conn, "STARTTLS\r\n");
    client_expect (conn, TALK_STARTTLS);
  }
  else if (conn->ssl == NULL && (level == 'e' || level == 'v')) {
    client_trouble (conn->trip, "4.7.4", "TLS is required, but was not offered by host %s", conn->peer);
    give_way (conn);
  }
  else if (conn->client->user && !conn->authed)
    begin_auth (conn);
  else
    client_ready (conn);
}

void
client_after_tls (ClientConn *conn)
{
  if (!conn->greeted)                /* TLS came first */
    client_expect (conn, TALK_GREETING);
  else
    client_hello (conn);
}

static void
starttls_answered (ClientConn *conn)
{
  if (conn->reply.code == 220 && client_tls_begin (conn)) {
    client_expect (conn, TALK_HANDSHAKE);
    return;
  }
  if (conn->client->tls_level[0] == 'm') {
    conn->trip->without_tls = true;
    after_hello (conn);
    return;
  }
  client_trouble (conn->trip, "4.7.5", "TLS is required, but host %s refused to start TLS: %s", conn->peer, client_reply_text (conn));
  give_way (conn);
}

static void
auth_answered (ClientConn *conn)
{
  const Client *c = conn->client;
  int code = conn->reply.code;

  if (conn->talk == TALK_AUTH_USER && code == 334) {
    send_secret (conn, "", ek_str (c->user));
    client_expect (conn, TALK_AUTH_PASSWORD);
  }
  else if (conn->talk == TALK_AUTH_PASSWORD && code == 334) {
    send_secret (conn, "", (EkStr) { c->password.text, c->password.len });
    client_expect (conn, TALK_AUTH);
  }
  else if (code == 235) {
    conn->authed = true;
    client_ready (conn);
  }
  else {
    char dsn[12];
    ek_smtp_reply_status (&conn->reply, dsn);
    dsn[0] = '4';
    client_trouble (conn->trip, dsn, "SASL authentication failed; server %s said: %s", conn->peer, client_reply_text (conn));
    give_way (conn);
  }
}

static void
ehlo_answered (ClientConn *conn)
{
  EkStr line;

  if (conn->reply.code / 100 == 5 && conn->talk == TALK_EHLO && !client_is_lmtp (conn->client) && conn->client->user == NULL
      && conn->client->tls_level[0] != 'e' && conn->client->tls_level[0] != 'v') {
    client_send (conn, "HELO %s\r\n", own_name (conn));
    client_expect (conn, TALK_HELO);
    return;
  }
  if (conn->reply.code / 100 != 2) {
    refused_to_talk (conn);
    return;
  }
  for (guint i = 1; conn->talk == TALK_EHLO && ek_smtp_reply_line (&conn->reply, i, &line); i++)
    take_offer (conn, line);
  if (conn->trip->mx_wanted && ek_smtp_reply_line (&conn->reply, 0, &line)) {
    const char *space = memchr (line.p, ' ', line.n);
    EkStr name = { line.p, space ? (gsize) (space - line.p) : line.n };
    if (ek_str_ieq (name, ek_str (own_name (conn)))) {
      client_report_rest (conn->trip, EK_FAIL, "5.4.6", ek_pool_printf (conn->trip->pool, "mail for %s loops back to myself",
                                                                        conn->trip->domain));
      give_way (conn);
      return;
    }
  }
  after_hello (conn);
}

/* The answers up to the envelope. */
void
client_hello_answered (ClientConn *conn)
{
  switch (conn->talk) {
  case TALK_GREETING:
    if (conn->reply.code != 220) {
      refused_to_talk (conn);
      return;
    }
    conn->greeted = true;
    conn->trip->sessions++;
    client_hello (conn);
    break;
  case TALK_STARTTLS:
    starttls_answered (conn);
    break;
  case TALK_EHLO:
  case TALK_HELO:
    ehlo_answered (conn);
    break;
  default:
    auth_answered (conn);
  }
}
