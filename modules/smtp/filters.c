/* filters.c - what the filters of a listener see and say
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

static void
came (EkVerdict verdict, const EkReply *reply, EkInstance *by, gpointer data)
{
  Smtp *self = data;

  if (!self->gone)
    self->after_filter (self, verdict, reply);
  smtp_done (self);
}

void
smtp_filter (Smtp *self, EkStage stage, EkStr rcpt, void (*after) (Smtp *self, EkVerdict verdict, const EkReply *reply))
{
  static const EkReply none;
  EkInstance *const *list = self->options->filters;

  if (!ek_filters_want (list, stage)) {
    after (self, EK_CONTINUE, &none);
    return;
  }
  self->mail = (EkMail) {
    .session = self->session, .client = ek_session_client (self->session), .event = ek_session_event (self->session),
    .helo = self->helo, .login = ek_session_login (self->session), .rcpt = rcpt,
  };
  if (self->tx) {
    self->mail.sender = self->tx->sender;
    self->mail.rcpts = (const EkRcpt *) (gpointer) self->tx->rcpts->data;
    self->mail.n_rcpts = self->tx->rcpts->len;
  }
  self->after_filter = after;
  smtp_begin (self);
  ek_session_wait (self->session);
  ek_filters_run (&self->filters, list, stage, &self->mail, "smtpd", came, self);
}

bool
smtp_filter_refused (Smtp *self, EkVerdict verdict, const EkReply *reply, EkStr to, EkReply *said)
{
  if (verdict != EK_REJECT && verdict != EK_TEMPFAIL)
    return false;
  if (reply->code >= 400 && reply->code < 600)
    *said = *reply;
  else if (verdict == EK_REJECT)
    ek_reply (said, verdict, 550, "5.7.1", "Command rejected");
  else
    ek_reply (said, verdict, 451, "4.7.1", "Service unavailable - try again later");
  smtp_log_reject (self, "milter-reject", smtp_stage (self), to, said);
  return true;
}
