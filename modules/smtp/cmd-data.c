/* cmd-data.c - DATA: the content follows, up to a line with a dot
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

static void
filtered (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said)) {
    smtp_tx_end (self);
    smtp_reply_as (self, SMTP_DATA_CMD, said.code, said.dsn, said.text);
    return;
  }
  self->tx->discard |= verdict == EK_DISCARD;
  smtp_content_begin (self, true);
  self->phase = SMTP_DATA;
  self->since = 0;
  self->bytes = 0;
  smtp_raw (self, "354 End data with <CR><LF>.<CR><LF>\r\n");
}

void
smtp_cmd_data (Smtp *self, EkStr arg)
{
  if (self->tx == NULL)
    smtp_reply (self, 503, "5.5.1", "Error: need RCPT command");
  else if (self->tx->bdat)
    smtp_reply (self, 503, "5.5.1", "Error: DATA after BDAT");
  else if (arg.n > 0)
    smtp_reply (self, 501, "5.5.4", "Syntax: DATA");
  else if (self->tx->rcpts->len == 0)
    smtp_reply (self, 554, "5.5.1", "Error: no valid recipients");
  else
    smtp_filter (self, EK_AT_DATA, (EkStr) { NULL, 0 }, filtered);
}
