/* message.c - the end of a message: loops, missing fields, Received, and queue's word
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include "mail/date.h"
#include "mail/received.h"
#include "queue/spool.h"
#include <string.h>

/* ---- fields for the front ---- */

static bool
adds_missing (const Smtp *self)
{
  char how = self->options->add_missing_headers[0];

  return how == 'a' || (how == 'l' && (self->options->submission || !smtp_is_stranger (self)));
}

/* The queue id is not known yet: the time and chance name the message. */
static void
add_message_id (Smtp *self, EkBuf *out)
{
  int year, month, day, hour, minute, second, weekday;

  ek_date_to_civil (ek_wall () / G_USEC_PER_SEC, &year, &month, &day, &hour, &minute, &second, &weekday);
  self->tx->message_id = ek_str (ek_pool_printf (self->pool, "<%04d%02d%02d%02d%02d%02d.%016" G_GINT64_MODIFIER "X@%s>", year,
                                                 month, day, hour, minute, second, ek_random64 (),
                                                 ek_session_hostname (self->session)));
  ek_buf_printf (out, "Message-Id: %s\r\n", self->tx->message_id.p);
}

static void
add_missing (Smtp *self, EkBuf *out)
{
  SmtpTx *tx = self->tx;
  char date[EK_DATE_SIZE];
  gint64 now = ek_wall () / G_USEC_PER_SEC;

  if (!tx->has_message_id)
    add_message_id (self, out);
  if (!tx->has_date)
    ek_buf_printf (out, "Date: %s\r\n", ek_date_format (date, now, ek_date_zone (now)));
  if (!tx->has_from && tx->sender.n == 0)
    ek_buf_printf (out, "From: MAILER-DAEMON@%s (Mail Delivery System)\r\n", ek_session_hostname (self->session));
  else if (!tx->has_from)
    ek_buf_printf (out, "From: %.*s\r\n", EK_STR_ARG (tx->sender));
}

/* Rendered around a queue id that queue will put there. */
static void
add_received (Smtp *self, EkBuf *buf, EkEnvelope *e, EkReceived *r)
{
  static const char mark[] = "\001";
  SmtpTx *tx = self->tx;

  *r = (EkReceived) {
    .client = ek_session_client (self->session), .helo = ek_str (self->helo), .hostname = ek_session_hostname (self->session),
    .login = self->options->show_login ? ek_session_login (self->session) : NULL, .esmtp = self->esmtp,
    .auth = ek_session_login (self->session) != NULL, .utf8 = (tx->flags & EK_MSG_UTF8) != 0, .show_tls = true, .queue_id = mark,
    .rcpt = tx->rcpts->len == 1 ? g_array_index (tx->rcpts, EkRcpt, 0).address : (EkStr) { NULL, 0 },
    .seconds = ek_wall () / G_USEC_PER_SEC,
  };
  ek_received_write (buf, r);
  EkStr all = ek_buf_str (buf);
  const char *id = memchr (all.p, *mark, all.n);
  g_assert (id);                     /* nothing from outside puts a control character there */
  e->received_head = (EkStr) { all.p, (gsize) (id - all.p) };
  e->received_tail = (EkStr) { id + 1, all.n - e->received_head.n - 1 };
}

/* ---- the answer ---- */

static void
log_client (Smtp *self, const char *id)
{
  const EkClient *c = ek_session_client (self->session);

  ek_event ("smtpd", ek_session_event (self->session), "client", EK_FTEXT ("qid", id), EK_FTEXT ("host", c->host),
            EK_FTEXT ("ip", c->address), EK_FTEXT ("sasl_method", ek_session_login_mechanism (self->session)),
            EK_FTEXT ("sasl_username", ek_session_login (self->session)));
}

static SmtpCommandId
counted_as (const SmtpTx *tx)
{
  return tx->bdat ? SMTP_BDAT_CMD : SMTP_DATA_CMD;
}

static void
committed (const EkSubmitAnswer *a, gpointer data)
{
  Smtp *self = data;

  if (a->status == EK_OK)
    log_client (self, a->queue_id);
  if (!self->gone) {
    SmtpCommandId command = counted_as (self->tx);
    guint64 size = self->tx->size;
    char text[512];
    smtp_tx_end (self);
    self->command = (guint8) command;
    if (a->status == EK_OK) {
      self->errors = self->junk = 0;
      if (command == SMTP_BDAT_CMD)
        g_snprintf (text, sizeof text, "Ok: %" G_GUINT64_FORMAT " bytes queued as %s", size, a->queue_id);
      else
        g_snprintf (text, sizeof text, "Ok: queued as %s", a->queue_id);
      smtp_reply_as (self, command, 250, "2.0.0", text);
    }
    else {
      g_snprintf (text, sizeof text, "Error: %s", a->text ? a->text : "queue file write error");
      smtp_reply_as (self, command, a->status == EK_FAIL ? 554 : a->dsn && strcmp (a->dsn, "4.3.1") == 0 ? 452 : 451,
                     a->dsn ? a->dsn : a->status == EK_FAIL ? "5.3.0" : "4.3.0", text);
    }
  }
  smtp_done (self);
}

static void
commit (Smtp *self)
{
  SmtpTx *tx = self->tx;
  EkBuf received = { 0 }, prepend = { 0 };
  EkReceived r;
  EkEnvelope e = {
    .sender = tx->sender, .envid = tx->envid, .flags = tx->flags, .n_rcpts = tx->rcpts->len,
    .rcpts = (const EkRcpt *) (gpointer) tx->rcpts->data, .helo = self->helo, .login = ek_session_login (self->session),
    .hold = tx->hold,
  };

  add_received (self, &received, &e, &r);
  if (adds_missing (self))
    add_missing (self, &prepend);
  e.protocol = ek_received_with (&r);
  e.message_id = tx->message_id;
  e.prepend = ek_buf_str (&prepend);
  smtp_begin (self);
  ek_session_wait (self->session);
  self->stalled = false;             /* what was written goes before the envelope, and ready() comes no more */
  ek_submit_commit (g_steal_pointer (&tx->submit), &e, committed, self);
  ek_buf_release (&received);
  ek_buf_release (&prepend);
}

/* ---- the end ---- */

static void
finish (Smtp *self, int code, const char *dsn, const char *text)
{
  SmtpCommandId command = counted_as (self->tx);

  smtp_tx_end (self);
  smtp_reply_as (self, command, code, dsn, text);
  smtp_too_many_errors (self);
}

static void
filtered (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said))
    finish (self, said.code, said.dsn, said.text);
  else if (self->tx->discard || verdict == EK_DISCARD) {
    EkReply why = { .text = "a filter's verdict" };
    smtp_log_reject (self, "milter-discard", smtp_stage (self), (EkStr) { NULL, 0 }, &why);
    finish (self, 250, "2.0.0", "Ok: discarded");
  }
  else {
    self->tx->hold = self->filters.hold;
    commit (self);
  }
}

void
smtp_message_end (Smtp *self)
{
  SmtpTx *tx = self->tx;

  self->phase = SMTP_COMMAND;
  self->since = 0;
  self->finished = true;
  ek_header_split_end (&tx->split);
  if (!tx->refused && tx->received >= (guint) self->options->hops_max)
    smtp_refuse_content (self, 554, "5.4.6", "Error: too many hops");
  if (tx->refused) {
    EkReply said = tx->refusal;
    smtp_log_reject (self, "reject", smtp_stage (self), (EkStr) { NULL, 0 }, &said);
    finish (self, said.code, said.dsn, said.text);
  }
  else
    smtp_filter (self, EK_AT_MESSAGE, (EkStr) { NULL, 0 }, filtered);
}
