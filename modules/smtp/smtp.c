/* smtp.c - the module: SMTP as protocol (server) and as transport (client)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include "client-module.h"

/* ---- the beginning ---- */

static void
greet (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  self->phase = SMTP_COMMAND;
  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said)) {
    smtp_reply_as (self, SMTP_UNKNOWN, said.code, said.dsn, said.text);
    smtp_leave (self);
    return;
  }
  smtp_raw (self, "220 %s %s\r\n", ek_session_hostname (self->session), self->options->banner);
  ek_session_timeout (self->session, self->options->idle_timeout);
  smtp_push (self);
}

static void
log_tls (EkSession *s, const EkClient *c)
{
  if (c->tls)
    ek_event ("smtpd", ek_session_event (s), "tls", EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address),
              EK_FTEXT ("tls_version", c->tls_version), EK_FTEXT ("tls_cipher", c->tls_cipher), EK_FINT ("tls_bits", c->tls_bits),
              EK_FINT ("tls_algbits", c->tls_bits), EK_FTEXT ("tls_sni", c->tls_sni), EK_FTEXT ("tls_alpn", c->tls_alpn));
}

static void
open_session (EkSession *s, gpointer state)
{
  Smtp *self = state;
  const EkClient *c = ek_session_client (s);

  self->session = s;
  self->options = ek_session_options (s);
  if (self->greeted) {               /* STARTTLS is through: RFC 3207 section 4.2, everything is forgotten */
    log_tls (s, c);
    smtp_tx_end (self);
    g_clear_pointer (&self->helo, g_free);
    self->esmtp = false;
    self->phase = SMTP_COMMAND;
    self->since = 0;
    return;
  }
  self->greeted = true;
  self->command = SMTP_UNKNOWN;
  ek_event ("smtpd", ek_session_event (s), "connect", EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address),
            EK_FTEXT ("listener", ek_session_listener (s)));
  log_tls (s, c);
  self->phase = SMTP_WAIT_GREETING;
  if (self->options->greeting_delay.us > 0)
    ek_session_timeout (s, self->options->greeting_delay);
  else
    smtp_filter (self, EK_AT_CONNECT, (EkStr) { NULL, 0 }, greet);
}

/* ---- the end ---- */

static void
timeout (EkSession *s, gpointer state)
{
  Smtp *self = state;

  self->options = ek_session_options (s);
  if (self->phase == SMTP_WAIT_GREETING)
    smtp_filter (self, EK_AT_CONNECT, (EkStr) { NULL, 0 }, greet);
  else
    smtp_timed_out (self);
}

/* A message under way is still answered: it would come twice otherwise. */
static void
shut_down (EkSession *s, gpointer state)
{
  Smtp *self = state;

  self->options = ek_session_options (s);
  self->leaving = true;
  if (self->tx && (self->busy > 0 || self->phase == SMTP_DATA || self->phase == SMTP_BDAT))
    return;
  smtp_goodbye (self);
}

static void
ignore (EkVerdict verdict, const EkReply *reply, EkInstance *by, gpointer data)
{
  smtp_done (data);
}

/* The filters hear of it, and keep the session for as long as they need. */
static void
tell_filters (Smtp *self)
{
  if (self->filters.running) {
    ek_filters_cancel (&self->filters);
    return;
  }
  if (!ek_filters_want (self->options->filters, EK_AT_CLOSE))
    return;
  self->mail = (EkMail) { .session = self->session, .client = ek_session_client (self->session),
                          .event = ek_session_event (self->session), .helo = self->helo,
                          .login = ek_session_login (self->session) };
  smtp_begin (self);
  ek_filters_run (&self->filters, self->options->filters, EK_AT_CLOSE, &self->mail, "smtpd", ignore, self);
}

static void
closed (EkSession *s, gpointer state, EkCloseReason why)
{
  Smtp *self = state;
  EkLoop *loop = ek_loop_mine ();

  self->options = ek_session_options (s);
  smtp_log_end (self, why);
  self->gone = true;
  if (loop)
    ek_timer_cancel (loop, &self->timer);
  g_queue_clear (&self->checks);     /* they lie in the pool, and answers on their way find them there */
  self->busy++;                      /* not released under our feet */
  tell_filters (self);
  if (self->tx)                      /* content that nobody will finish */
    ek_submit_free (g_steal_pointer (&self->tx->submit));
  if (--self->busy == 0)
    smtp_release (self);
}

static const EkProtocolOps protocol = {
  .name = "smtp",
  .state_size = sizeof (Smtp),
  .input_max = 16384,                /* more than SMTP_AUTH_LINE_MAX */
  .options = smtp_server_options,
  .options_size = sizeof (SmtpOptions),
  .wants_name = true,
  .open = open_session,
  .input = smtp_input,
  .timeout = timeout,
  .shutdown = shut_down,
  .closed = closed,
};

EK_MODULE (smtp,
  .summary = "SMTP: takes mail in (server) and carries it out (client)",
  .flags = EK_EVENTED,
  .instance_size = sizeof (Client),
  .options = smtp_client_options,
  .init = smtp_client_init,
  .stop = smtp_client_stop,
  .protocol = &protocol,
  .transport = &smtp_client_transport);
