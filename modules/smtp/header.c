/* header.c - what must be known of a message's header while it passes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

#define FIELD_MAX 4096               /* of a field that is looked at */

static bool
field (const EkHeader *h, gpointer data)
{
  Smtp *self = data;
  SmtpTx *tx = self->tx;
  EkStr rest = h->value;

  tx->fields++;
  if (!h->colon)
    return true;
  switch (h->name.n) {               /* most names are told from ours by their length */
  case 4:
    tx->has_date |= ek_str_ieq (h->name, EK_STR ("Date"));
    tx->has_from |= ek_str_ieq (h->name, EK_STR ("From"));
    break;
  case 8:
    tx->received += ek_str_ieq (h->name, EK_STR ("Received"));
    break;
  case 10:
    if (!ek_str_ieq (h->name, EK_STR ("Message-ID")) || tx->has_message_id)
      break;
    tx->has_message_id = true;
    if (!ek_header_msgid (self->pool, &rest, &tx->message_id))
      tx->message_id = ek_pool_str (self->pool, ek_str_trim (ek_header_unfold (self->pool, (EkStr) { h->value.p, MIN (h->value.n, 500) })));
    break;
  default:
    break;
  }
  return true;
}

void
smtp_header_begin (SmtpTx *tx)
{
  tx->split = (EkHeaderSplit) { .field_max = FIELD_MAX, .func = field };
}

void
smtp_header_feed (Smtp *self, const char *bytes, gsize n)
{
  SmtpTx *tx = self->tx;

  tx->split.data = self;
  ek_header_split_feed (&tx->split, bytes, n);
  if (tx->split.size > self->options->header_size_limit.bytes || tx->fields > (guint) self->options->headers_max)
    smtp_refuse_content (self, 552, "5.3.4", "Error: message header too big");
}
