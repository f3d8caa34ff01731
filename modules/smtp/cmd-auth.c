/* cmd-auth.c - AUTH (RFC 4954): the exchange is directory's, this is its wrapping
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include <string.h>

static void
log_failure (Smtp *self, const char *reason)
{
  const EkClient *c = ek_session_client (self->session);

  ek_event ("smtpd", ek_session_event (self->session), "sasl-failed", EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address),
            EK_FTEXT ("sasl_method", self->mechanism), EK_FTEXT ("reason", reason));
}

static void
logged_in (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said)) {
    smtp_reply_as (self, SMTP_AUTHENTICATE, said.code, said.dsn, said.text);
    smtp_leave (self);               /* he is logged in: there is no way back */
    return;
  }
  ek_event ("smtpd", ek_session_event (self->session), "sasl-ok", EK_FTEXT ("sasl_method", self->mechanism),
            EK_FTEXT ("sasl_username", ek_session_login (self->session)), EK_FTEXT ("master", ek_session_login_master (self->session)));
  self->errors = 0;
  smtp_reply_as (self, SMTP_AUTHENTICATE, 235, "2.7.0", "Authentication successful");
}

static void
failed (Smtp *self, const EkAuthAnswer *answer)
{
  const char *why = answer->text && *answer->text ? answer->text : "(reason unavailable)";

  log_failure (self, why);
  self->command = SMTP_AUTHENTICATE;
  if (answer->outcome == EK_AUTH_UNAVAILABLE)
    smtp_reply (self, 454, "4.7.0", "Temporary authentication failure: %s", why);
  else if (answer->outcome == EK_AUTH_MALFORMED)
    smtp_reply (self, 501, "5.5.2", "Error: authentication failed: %s", why);
  else
    smtp_reply (self, 535, "5.7.8", "Error: authentication failed: %s", why);
  smtp_too_many_errors (self);
}

static void
answered (EkSession *s, gpointer state, const EkAuthAnswer *answer)
{
  Smtp *self = state;

  self->authing = false;
  self->phase = SMTP_COMMAND;
  if (answer->outcome == EK_AUTH_CHALLENGE) {
    ek_buf_appends (&self->out, "334 ");
    ek_base64_encode (answer->challenge, &self->out);
    ek_buf_appends (&self->out, "\r\n");
    self->phase = SMTP_AUTH;
  }
  else if (answer->outcome == EK_AUTH_OK)
    smtp_filter (self, EK_AT_AUTH, (EkStr) { NULL, 0 }, logged_in);
  else
    failed (self, answer);
  smtp_push (self);
}

static bool
is_offered (Smtp *self, EkStr mechanism)
{
  for (const char *const *name = ek_session_mechanisms (self->session); *name; name++)
    if (ek_str_ieq (mechanism, ek_str (*name)))
      return true;
  return false;
}

/* Why there can be no AUTH now; answered then. */
static bool
refused (Smtp *self, EkStr mechanism)
{
  bool plain = !ek_session_client (self->session)->tls && ek_session_tls_offered (self->session);

  if (self->helo == NULL || !self->esmtp)
    smtp_reply (self, 503, "5.5.1", "Error: send EHLO first");
  else if (ek_session_login (self->session))
    smtp_reply (self, 503, "5.5.1", "Error: already authenticated");
  else if (self->tx)
    smtp_reply (self, 503, "5.5.1", "Error: MAIL transaction in progress");
  else if (is_offered (self, mechanism))
    return false;
  else if (plain)
    smtp_reply (self, 538, "5.7.11", "Encryption required for requested authentication mechanism");
  else if (ek_session_mechanisms (self->session)[0] == NULL)
    smtp_reply (self, 503, "5.5.1", "Error: authentication not enabled");
  else
    smtp_reply (self, 504, "5.5.4", "Error: authentication mechanism not available");
  return true;
}

void
smtp_cmd_auth (Smtp *self, EkStr arg)
{
  EkStr mechanism, text;
  EkBuf initial = { 0 };

  if (!smtp_word (&arg, &mechanism)) {
    smtp_reply (self, 501, "5.5.4", "Syntax: AUTH mechanism");
    return;
  }
  if (refused (self, mechanism))
    return;
  bool given = smtp_word (&arg, &text);
  ek_buf_room (&initial, text.n + 1);
  g_free (self->mechanism);
  self->mechanism = g_ascii_strup (mechanism.p, (gssize) mechanism.n);
  if (arg.n > 0)
    smtp_reply (self, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
  else if (given && !ek_str_eq (text, EK_STR ("=")) && !ek_base64_decode (text, &initial))
    smtp_reply (self, 501, "5.5.2", "Error: cannot Base64-decode client response");
  else {
    self->authing = true;
    ek_session_auth (self->session, self->mechanism, given ? ek_buf_str (&initial) : (EkStr) { NULL, 0 }, answered);
  }
  ek_buf_wipe (&initial);
}

void
smtp_auth_line (Smtp *self, EkStr line)
{
  EkBuf response = { 0 };
  bool aborted = ek_str_eq (line, EK_STR ("*"));

  self->phase = SMTP_COMMAND;
  self->command = SMTP_AUTHENTICATE;
  ek_buf_room (&response, line.n + 1);
  if (aborted || !ek_base64_decode (line, &response)) {
    ek_session_auth_abort (self->session);
    log_failure (self, aborted ? "aborted by the client" : "malformed response");
    if (aborted)
      smtp_reply (self, 501, "5.7.0", "Authentication aborted");
    else
      smtp_reply (self, 501, "5.5.2", "Error: cannot Base64-decode client response");
  }
  else {
    self->authing = true;
    ek_session_auth_continue (self->session, ek_buf_str (&response), answered);
  }
  ek_buf_wipe (&response);
}
