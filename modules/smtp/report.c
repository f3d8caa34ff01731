/* report.c - what came of each recipient, in Postfix's words
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include <string.h>

void
client_report (ClientTrip *trip, guint rcpt, EkStatus status, const char *dsn, const char *text)
{
  const ClientConn *conn = trip->conn;
  char code[12];

  if (trip->rcpts[rcpt] == CLIENT_DONE)
    return;
  trip->rcpts[rcpt] = CLIENT_DONE;
  g_strlcpy (code, dsn, sizeof code);
  if (status != EK_OK)               /* the first digit and what we do agree, whatever the host wrote */
    code[0] = status == EK_FAIL ? '5' : '4';
  EkHopResult result = {
    .status = status, .dsn = code, .reply = text, .relay = conn ? conn->relay : trip->trouble_relay ? trip->trouble_relay : "none",
    .connected = conn ? conn->ready : 0, .sent = conn && conn->ready ? ek_now () : 0,
    .reports = conn && (conn->offers & OFFERS_DSN),
  };
  ek_hop_report (trip->hop, rcpt, &result);
}

void
client_report_rest (ClientTrip *trip, EkStatus status, const char *dsn, const char *text)
{
  for (guint i = 0; i < trip->hop->n_rcpts; i++)
    if (trip->rcpts[i] == CLIENT_LATER && trip->why[i])
      client_report (trip, i, EK_DEFER, trip->why_dsn[i], trip->why[i]);
    else
      client_report (trip, i, status, dsn, text);
}

/* All lines in one, as Postfix logs them. */
const char *
client_reply_text (ClientConn *conn)
{
  const EkSmtpReply *r = &conn->reply;
  char *text = ek_pool_printf (conn->trip->pool, "%d %.*s", r->code, (int) MIN (r->text_len, 1000), r->text);

  for (char *p = text; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = ' ';
  return text;
}

const char *
client_said (ClientConn *conn, const char *command)
{
  return ek_pool_printf (conn->trip->pool, "host %s said: %s (in reply to %s command)", conn->peer, client_reply_text (conn), command);
}

void
client_trouble (ClientTrip *trip, const char *dsn, const char *fmt, ...)
{
  va_list args;

  g_free (trip->trouble);
  va_start (args, fmt);
  trip->trouble = g_strdup_vprintf (fmt, args);
  va_end (args);
  g_strlcpy (trip->trouble_dsn, dsn, sizeof trip->trouble_dsn);
  if (trip->conn && trip->conn->ready)
    trip->trouble_relay = ek_pool_strdup (trip->pool, trip->conn->relay);
}
