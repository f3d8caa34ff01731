/* cmd-starttls.c - STARTTLS (RFC 3207)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

/* After the handshake open() is called again and everything said before is forgotten, unread input too. */
void
smtp_cmd_starttls (Smtp *self, EkStr arg)
{
  if (arg.n > 0)
    smtp_reply (self, 501, "5.5.4", "Syntax: STARTTLS");
  else if (ek_session_client (self->session)->tls)
    smtp_reply (self, 554, "5.5.1", "Error: TLS already active");
  else if (self->helo && !self->esmtp)
    smtp_reply (self, 503, "5.5.1", "Error: send EHLO first");
  else if (!ek_session_tls_offered (self->session))
    smtp_reply (self, 502, "5.5.1", "Error: command not implemented");
  else {
    smtp_reply (self, 220, "2.0.0", "Ready to start TLS");
    smtp_tx_end (self);
    smtp_push (self);
    ek_session_starttls (self->session);
  }
}
