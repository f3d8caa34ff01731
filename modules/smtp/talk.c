/* talk.c - the dialogue with a next hop: from the envelope to the answer at the content's end
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include <string.h>

/* ---- stages ---- */

const char *
client_stage (const ClientConn *conn)
{
  static const char *const names[] = {
    [TALK_CONNECT] = "connecting", [TALK_GREETING] = "receiving the initial server greeting",
    [TALK_EHLO] = "performing the EHLO handshake", [TALK_HELO] = "performing the HELO handshake",
    [TALK_STARTTLS] = "performing the STARTTLS handshake", [TALK_HANDSHAKE] = "performing the TLS handshake",
    [TALK_AUTH] = "performing SASL authentication", [TALK_AUTH_USER] = "performing SASL authentication",
    [TALK_AUTH_PASSWORD] = "performing SASL authentication", [TALK_RSET] = "sending RSET", [TALK_MAIL] = "sending MAIL FROM",
    [TALK_RCPT] = "sending RCPT TO", [TALK_DATA] = "sending DATA command", [TALK_END] = "sending message body",
    [TALK_IDLE] = "idle",
  };

  return conn->talk == TALK_END && conn->dot_sent ? "sending end of data" : names[conn->talk];
}

EkTime
client_stage_timeout (const ClientConn *conn)
{
  const Client *c = conn->client;

  switch (conn->talk) {
  case TALK_CONNECT: return c->connect_timeout;
  case TALK_RSET:
  case TALK_MAIL: return c->mail_timeout;
  case TALK_RCPT: return c->rcpt_timeout;
  case TALK_DATA: return c->data_timeout;
  case TALK_END: return conn->dot_sent ? c->end_timeout : c->content_timeout;
  case TALK_IDLE: return c->connection_idle;
  default: return c->greeting_timeout;
  }
}

/* ---- the envelope ---- */

static bool
is_utf8_needed (const EkHop *hop)
{
  bool needed = false;

  for (gsize k = 0; k < hop->sender.n && !needed; k++)
    needed = (guchar) hop->sender.p[k] >= 0x80;
  for (guint i = 0; i < hop->n_rcpts && !needed; i++)
    for (gsize k = 0; k < hop->rcpts[i].address.n && !needed; k++)
      needed = (guchar) hop->rcpts[i].address.p[k] >= 0x80;
  return needed || ((hop->flags & EK_MSG_UTF8) && client_content_is_8bit (hop, true));
}

/* What the host cannot take whoever it is for; NULL: nothing. */
static const char *
impossible (ClientConn *conn, const char **dsn)
{
  const EkHop *hop = conn->trip->hop;

  if (conn->size_limit > 0 && hop->size > conn->size_limit) {
    *dsn = "5.3.4";
    return ek_pool_printf (conn->trip->pool, "message size %" G_GUINT64_FORMAT " exceeds size limit %" G_GUINT64_FORMAT " of server %s",
                           hop->size, conn->size_limit, conn->peer);
  }
  if (!(conn->offers & OFFERS_SMTPUTF8) && is_utf8_needed (hop)) {
    *dsn = "5.6.7";
    return ek_pool_printf (conn->trip->pool, "SMTPUTF8 is required, but was not offered by host %s", conn->peer);
  }
  if (!(conn->offers & OFFERS_8BITMIME) && (hop->flags & EK_MSG_8BIT) && client_content_is_8bit (hop, false)) {
    *dsn = "5.6.3";
    return ek_pool_printf (conn->trip->pool, "8BITMIME is required, but was not offered by host %s", conn->peer);
  }
  return NULL;
}

static void
send_mail (ClientConn *conn)
{
  const EkHop *hop = conn->trip->hop;
  bool dsn = conn->offers & OFFERS_DSN;

  client_send (conn, "MAIL FROM:<%.*s>", EK_STR_ARG (hop->sender));
  if (conn->offers & OFFERS_SIZE)
    client_send (conn, " SIZE=%" G_GUINT64_FORMAT, hop->size);
  if ((conn->offers & OFFERS_8BITMIME) && (hop->flags & EK_MSG_8BIT))
    client_send (conn, " BODY=8BITMIME");
  if ((conn->offers & OFFERS_SMTPUTF8) && (hop->flags & EK_MSG_UTF8))
    client_send (conn, " SMTPUTF8");
  if (dsn && (hop->flags & (EK_MSG_RET_FULL | EK_MSG_RET_HDRS)))
    client_send (conn, " RET=%s", hop->flags & EK_MSG_RET_FULL ? "FULL" : "HDRS");
  if (dsn && hop->envid.n > 0)
    client_send (conn, " ENVID=%.*s", EK_STR_ARG (hop->envid));
  client_send (conn, "\r\n");
}

static void
send_rcpt (ClientConn *conn, const EkHopRcpt *rcpt)
{
  static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
  bool dsn = conn->offers & OFFERS_DSN;
  const char *separator = " NOTIFY=";

  client_send (conn, "RCPT TO:<%.*s>", EK_STR_ARG (rcpt->address));
  for (guint i = 0; dsn && i < G_N_ELEMENTS (words); i++)
    if (rcpt->notify & 1u << i) {
      client_send (conn, "%s%s", separator, words[i]);
      separator = ",";
    }
  if (dsn && rcpt->orcpt.n > 0)
    client_send (conn, " ORCPT=%.*s", EK_STR_ARG (rcpt->orcpt));
  client_send (conn, "\r\n");
}

/* The command after `at`, those left out that need no mail any more. */
static guint
next (const ClientTrip *trip, guint at)
{
  for (at++; at <= trip->hop->n_rcpts && trip->rcpts[at - 1] == CLIENT_DONE; at++)
    ;
  return at;
}

static void
expect_answer (ClientConn *conn)
{
  guint last = conn->trip->hop->n_rcpts + 1;

  client_expect (conn, conn->answered == 0 ? TALK_MAIL : conn->answered < last ? TALK_RCPT : TALK_DATA);
}

static void
send_commands (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;
  guint last = trip->hop->n_rcpts + 1;
  bool ahead = conn->client->pipelining && (conn->offers & OFFERS_PIPELINING);

  while (conn->sent <= last && (ahead || conn->sent == conn->answered)) {
    if (conn->sent == 0)
      send_mail (conn);
    else if (conn->sent < last)
      send_rcpt (conn, &trip->hop->rcpts[conn->sent - 1]);
    else if (ahead || conn->accepted > 0)
      client_send (conn, "DATA\r\n");
    conn->sent = next (trip, conn->sent);
  }
  expect_answer (conn);
}

void
client_ready (ClientConn *conn)
{
  conn->ready = ek_now ();
  client_talk_begin (conn);
}

/* ---- the end of a transaction ---- */

static void
finish (ClientConn *conn, bool clean)
{
  ClientTrip *trip = conn->trip;
  bool more = false;

  conn->dirty = !clean;
  for (guint i = 0; i < trip->hop->n_rcpts; i++)
    more |= trip->rcpts[i] != CLIENT_DONE;
  if (more && trip->conn == conn)
    trip->trouble_relay = ek_pool_strdup (trip->pool, conn->relay);
  trip->conn = NULL;
  client_keep (conn);
  if (more)
    client_trip_next (trip);
  else
    client_trip_done (trip);
}

/* What `code` means for one recipient. */
static void
verdict (ClientConn *conn, guint rcpt, int code, const char *dsn, const char *text)
{
  ClientTrip *trip = conn->trip;

  if (code / 100 == 2 || code / 100 == 5)
    client_report (trip, rcpt, code / 100 == 2 ? EK_OK : EK_FAIL, dsn, text);
  else if (client_route_more (trip)) {
    char id[EK_QUEUE_ID_LEN + 1];
    ek_queue_id_text (trip->hop->id, id);
    ek_event (client_is_lmtp (conn->client) ? "lmtp" : "smtp", trip->hop->event, "host-said", EK_FTEXT ("qid", id),
              EK_FTEXT ("relay", conn->peer), EK_FTEXT ("text", client_reply_text (conn)));
    trip->rcpts[rcpt] = CLIENT_LATER;
    trip->why[rcpt] = text;
    trip->why_dsn[rcpt] = ek_pool_strdup (trip->pool, dsn);
  }
  else
    client_report (trip, rcpt, EK_DEFER, dsn, text);
}

static void
verdict_for_accepted (ClientConn *conn, const char *command)
{
  ClientTrip *trip = conn->trip;
  bool good = conn->reply.code / 100 == 2;
  const char *text = good ? client_reply_text (conn) : client_said (conn, command);
  char dsn[12];

  ek_smtp_reply_status (&conn->reply, dsn);
  for (guint i = 0; i < trip->hop->n_rcpts; i++)
    if (trip->rcpts[i] == CLIENT_ACCEPTED)
      verdict (conn, i, conn->reply.code, dsn, text);
}

static void
report_mail_refused (ClientConn *conn)
{
  for (guint i = 0; i < conn->trip->hop->n_rcpts; i++)
    if (conn->trip->rcpts[i] != CLIENT_DONE)
      verdict (conn, i, conn->mail_code, conn->mail_dsn, conn->mail_text);
}

/* ---- answers ---- */

static void
mail_answered (ClientConn *conn)
{
  if (conn->reply.code / 100 == 2)
    return;
  conn->mail_refused = true;
  conn->mail_code = conn->reply.code;
  conn->mail_text = client_said (conn, "MAIL FROM");
  ek_smtp_reply_status (&conn->reply, conn->mail_dsn);
}

static void
rcpt_answered (ClientConn *conn, guint rcpt)
{
  char dsn[12];

  if (conn->mail_refused)
    return;
  if (conn->reply.code / 100 == 2) {
    conn->trip->rcpts[rcpt] = CLIENT_ACCEPTED;
    conn->accepted++;
    return;
  }
  ek_smtp_reply_status (&conn->reply, dsn);
  verdict (conn, rcpt, conn->reply.code, dsn, client_said (conn, "RCPT TO"));
}

static void
data_answered (ClientConn *conn)
{
  if (conn->reply.code == 354 && conn->accepted > 0 && !conn->mail_refused) {
    client_content_begin (conn);
    client_expect (conn, TALK_END);
    return;
  }
  if (conn->reply.code == 354) {     /* it was sent ahead, and nobody is left: RFC 2920 3.1 */
    client_send (conn, ".\r\n");
    conn->content_over = conn->dot_sent = true;
    client_expect (conn, TALK_END);
    return;
  }
  if (conn->mail_refused)
    report_mail_refused (conn);
  else if (conn->reply.code / 100 == 2)
    conn->reply.code = 451;          /* nonsense: it must be 354 */
  if (!conn->mail_refused)
    verdict_for_accepted (conn, "DATA");
  finish (conn, false);
}

/* The answer to one command of the envelope. */
static void
envelope_answered (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;
  guint at = conn->answered, last = trip->hop->n_rcpts + 1;

  conn->answered = next (trip, at);
  if (at == 0)
    mail_answered (conn);
  else if (at < last)
    rcpt_answered (conn, at - 1);
  else {
    data_answered (conn);
    return;
  }
  bool ahead = conn->sent > conn->answered || (conn->sent == last + 1 && conn->answered == last);
  if (!ahead && conn->mail_refused) {
    report_mail_refused (conn);
    finish (conn, false);
  }
  else if (!ahead && conn->answered == last && conn->accepted == 0)
    finish (conn, false);
  else
    send_commands (conn);
}

static void
content_answered (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;

  if (!conn->dot_sent) {             /* it will not hear the rest */
    if (conn->reply.code / 100 == 2)
      conn->reply.code = 451;
    verdict_for_accepted (conn, "DATA");
    client_conn_lost (conn, "%s", client_said (conn, "DATA"));
    return;
  }
  if (client_is_lmtp (conn->client) && conn->accepted > 0) {
    char dsn[12];
    ek_smtp_reply_status (&conn->reply, dsn);
    while (trip->rcpts[conn->end_rcpt] != CLIENT_ACCEPTED)
      conn->end_rcpt++;
    verdict (conn, conn->end_rcpt, conn->reply.code, dsn,
             conn->reply.code / 100 == 2 ? client_reply_text (conn) : client_said (conn, "end of DATA"));
    conn->end_rcpt++;
    if (--conn->accepted > 0) {
      client_expect (conn, TALK_END);
      return;
    }
  }
  else if (conn->mail_refused)
    report_mail_refused (conn);
  else
    verdict_for_accepted (conn, "end of DATA");
  finish (conn, conn->reply.code / 100 == 2);
}

/* ---- doors ---- */

void
client_talk_begin (ClientConn *conn)
{
  ClientTrip *trip = conn->trip;
  const char *dsn, *why;

  conn->fresh = conn->uses++ == 0;
  if (!conn->fresh)
    conn->ready = ek_now ();
  conn->sent = conn->answered = conn->accepted = conn->end_rcpt = 0;
  conn->mail_refused = conn->dot_sent = conn->content_over = false;
  for (guint i = 0; i < trip->hop->n_rcpts; i++)
    if (trip->rcpts[i] == CLIENT_LATER)
      trip->rcpts[i] = CLIENT_TODO;
  if ((why = impossible (conn, &dsn))) {
    client_report_rest (trip, EK_FAIL, dsn, why);
    finish (conn, !conn->dirty);
    return;
  }
  if (conn->dirty) {
    client_send (conn, "RSET\r\n");
    client_expect (conn, TALK_RSET);
  }
  else
    send_commands (conn);
  if (!conn->in_callback)
    client_flush (conn);
}

/* 421: the host is leaving, whatever we asked. */
static void
leaving (ClientConn *conn)
{
  static const char *const commands[] = { [TALK_MAIL] = "MAIL FROM", [TALK_RCPT] = "RCPT TO", [TALK_DATA] = "DATA",
                                          [TALK_END] = "end of DATA" };
  const char *text = client_said (conn, conn->talk >= TALK_MAIL && conn->talk <= TALK_END ? commands[conn->talk] : "RSET");

  conn->dot_sent = false;            /* it has answered: it did not take it */
  client_conn_lost (conn, "%s", text);
}

void
client_talk_reply (ClientConn *conn)
{
  if (conn->reply.code == 421 && conn->talk >= TALK_RSET) {
    leaving (conn);
    return;
  }
  switch (conn->talk) {
  case TALK_RSET:
    if (conn->reply.code / 100 != 2)
      client_conn_lost (conn, "%s", client_said (conn, "RSET"));
    else {
      conn->dirty = false;
      send_commands (conn);
    }
    break;
  case TALK_MAIL:
  case TALK_RCPT:
  case TALK_DATA:
    envelope_answered (conn);
    break;
  case TALK_END:
    content_answered (conn);
    break;
  default:
    client_hello_answered (conn);
  }
}
