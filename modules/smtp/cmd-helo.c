/* cmd-helo.c - HELO, EHLO (RFC 5321 4.1.1.1)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

static void
print_auth (Smtp *self, const char *separator)
{
  const char *const *names = ek_session_mechanisms (self->session);

  if (*names == NULL)
    return;
  smtp_raw (self, "250-AUTH%s", separator);
  for (const char *const *name = names; *name; name++)
    smtp_raw (self, "%s%s", name == names ? "" : " ", *name);
  smtp_raw (self, "\r\n");
}

static void
print_features (Smtp *self)
{
  const SmtpOptions *o = self->options;

  smtp_raw (self, "250-%s\r\n250-PIPELINING\r\n250-SIZE", ek_session_hostname (self->session));
  if (o->message_size_limit.bytes > 0)
    smtp_raw (self, " %" G_GUINT64_FORMAT, o->message_size_limit.bytes);
  smtp_raw (self, "\r\n%s%s%s", o->vrfy ? "250-VRFY\r\n" : "", o->etrn ? "250-ETRN\r\n" : "",
            ek_session_tls_offered (self->session) ? "250-STARTTLS\r\n" : "");
  if (ek_session_login (self->session) == NULL) {
    print_auth (self, " ");
    if (o->broken_auth_clients)
      print_auth (self, "=");
  }
  smtp_raw (self, "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n");
}

static void
greeted (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said)) {
    g_clear_pointer (&self->helo, g_free);
    smtp_reply_as (self, self->command, said.code, said.dsn, said.text);
    return;
  }
  if (self->esmtp) {
    self->good[SMTP_EHLO]++;
    print_features (self);
  }
  else
    smtp_reply (self, 250, NULL, "%s", ek_session_hostname (self->session));
}

/* The name is kept whatever it is: programs without a name of their own say all sorts of things.  What is not a
 * name at all (Received would lie) is refused. */
static void
hello (Smtp *self, EkStr arg, bool esmtp)
{
  EkStr name;

  if (!smtp_word (&arg, &name) || name.n > EK_DOMAIN_MAX) {
    smtp_reply (self, 501, name.n ? "5.5.4" : NULL, "Syntax: %s hostname", esmtp ? "EHLO" : "HELO");
    return;
  }
  smtp_tx_end (self);
  g_free (self->helo);
  self->helo = g_strndup (name.p, name.n);
  self->esmtp = esmtp;
  smtp_filter (self, EK_AT_HELO, (EkStr) { NULL, 0 }, greeted);
}

void
smtp_cmd_helo (Smtp *self, EkStr arg)
{
  hello (self, arg, false);
}

void
smtp_cmd_ehlo (Smtp *self, EkStr arg)
{
  hello (self, arg, true);
}
