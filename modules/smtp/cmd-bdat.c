/* cmd-bdat.c - BDAT: the content in chunks of a told size (RFC 3030)
 * SPDX-License-Identifier: Apache-2.0
 *
 * A chunk follows its command whatever we think of it, so a refused one is still read to its end.  Only a size
 * that cannot be read ends the connection: what is behind it might be taken for commands.  So does one that is far
 * beyond what a message may have.
 */
#include "smtp.h"

static void
begin_chunk (Smtp *self)
{
  self->phase = SMTP_BDAT;
  self->since = 0;
  self->bytes = 0;
  if (self->tx->chunk_left == 0)
    smtp_bdat_chunk_end (self);
}

/* The reply comes behind the chunk. */
static void
fail (Smtp *self, int code, const char *dsn, const char *text)
{
  self->tx->bdat_failed = true;
  ek_reply (&self->tx->refusal, EK_REJECT, code, dsn, "%s", text);
}

static void
filtered (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said))
    fail (self, said.code, said.dsn, said.text);
  else {
    self->tx->discard |= verdict == EK_DISCARD;
    smtp_content_begin (self, false);
  }
  begin_chunk (self);
}

void
smtp_cmd_bdat (Smtp *self, EkStr arg)
{
  EkStr size, last;
  guint64 n = 0;

  bool sized = smtp_word (&arg, &size) && ek_str_u64 (size, G_MAXINT64, &n);
  bool is_last = smtp_word (&arg, &last);
  if (!sized || (is_last && !ek_str_ieq (last, EK_STR ("LAST"))) || arg.n > 0) {
    smtp_reply (self, 501, "5.5.4", "Syntax: BDAT count [LAST]");
    smtp_leave (self);
    return;
  }
  guint64 limit = self->options->message_size_limit.bytes;
  if (n > SMTP_SWALLOW_MAX && limit > 0 && n - SMTP_SWALLOW_MAX > limit) {     /* nobody reads that to be polite */
    smtp_reject (self, (EkStr) { NULL, 0 }, 552, "5.3.4", "Error: message file too big");
    smtp_leave (self);
    return;
  }
  if (self->tx == NULL) {            /* a transaction for the chunk's sake alone */
    self->tx = ek_pool_new0 (smtp_pool (self), SmtpTx);
    self->tx->rcpts = g_array_new (FALSE, TRUE, sizeof (EkRcpt));
    fail (self, 503, "5.5.1", "Error: need MAIL command");
    is_last = true;
  }
  SmtpTx *tx = self->tx;
  bool first = !tx->bdat;
  tx->bdat = true;
  tx->bdat_last = is_last;
  tx->chunk = tx->chunk_left = n;
  if (first && !tx->bdat_failed && tx->rcpts->len == 0)
    fail (self, 554, "5.5.1", "Error: no valid recipients");
  if (first && !tx->bdat_failed)
    smtp_filter (self, EK_AT_DATA, (EkStr) { NULL, 0 }, filtered);
  else
    begin_chunk (self);
}

void
smtp_bdat_chunk_end (Smtp *self)
{
  SmtpTx *tx = self->tx;

  self->phase = SMTP_COMMAND;
  self->since = 0;
  if (tx->refused && !tx->bdat_failed) {   /* the content was found wanting: no need to see more of it */
    tx->bdat_failed = true;
    smtp_log_reject (self, "reject", "BDAT", (EkStr) { NULL, 0 }, &tx->refusal);
  }
  if (tx->bdat_failed) {
    EkReply said = tx->refusal;
    if (tx->bdat_last)
      smtp_tx_end (self);
    smtp_reply_as (self, SMTP_BDAT_CMD, said.code, said.dsn, said.text);
  }
  else if (tx->bdat_last) {
    smtp_body_close (self);
    smtp_message_end (self);
  }
  else
    smtp_reply (self, 250, "2.0.0", "Ok: %" G_GUINT64_FORMAT " bytes", tx->chunk);
}
