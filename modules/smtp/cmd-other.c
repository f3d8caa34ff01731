/* cmd-other.c - RSET, NOOP, VRFY, EXPN, ETRN, HELP, QUIT
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"

void
smtp_cmd_rset (Smtp *self, EkStr arg)
{
  if (arg.n > 0) {
    smtp_reply (self, 501, "5.5.4", "Syntax: RSET");
    return;
  }
  smtp_tx_end (self);
  smtp_reply (self, 250, "2.0.0", "Ok");
}

void
smtp_cmd_noop (Smtp *self, EkStr arg)
{
  smtp_reply (self, 250, "2.0.0", "Ok");
}

/* ---- VRFY ---- */

typedef struct {
  Smtp  *smtp;
  EkPool *pool;
  EkStr  address;
} Verify;

static void
verified (const EkRcptAnswer *a, gpointer data)
{
  Verify *v = data;
  Smtp *self = v->smtp;
  int n = (int) MIN (v->address.n, 200);

  if (!self->gone) {
    self->command = SMTP_VRFY;
    if (a->status == EK_DEFER)
      smtp_reply (self, 451, a->dsn ? a->dsn : "4.3.0", "<%.*s>: %s", n, v->address.p, a->text ? a->text : "Temporary lookup failure");
    else if (a->class == EK_RCPT_REMOTE && smtp_is_stranger (self))
      smtp_reject (self, v->address, 554, "5.7.1", "<%.*s>: Relay access denied", n, v->address.p);
    else if (a->status != EK_OK)
      smtp_reject (self, v->address, 550, "5.1.1", "<%.*s>: Recipient address rejected: User unknown in virtual mailbox table",
                   n, v->address.p);
    else
      smtp_reply (self, 252, "2.0.0", "%.*s", n, v->address.p);
  }
  ek_pool_free (v->pool);
  smtp_done (self);
}

/* RFC 6531 section 3.7.4.2: the one parameter that VRFY has.  True: it was there, and is taken off. */
static bool
take_utf8 (EkStr *arg)
{
  const EkStr word = EK_STR (" SMTPUTF8");

  if (arg->n <= word.n || !ek_str_ieq ((EkStr) { arg->p + arg->n - word.n, word.n }, word))
    return false;
  *arg = ek_str_trim ((EkStr) { arg->p, arg->n - word.n });
  return true;
}

void
smtp_cmd_vrfy (Smtp *self, EkStr arg)
{
  EkAddress address;
  guint utf8 = take_utf8 (&arg) ? EK_PATH_UTF8 : 0;

  if (!self->options->vrfy) {
    smtp_reply (self, 502, "5.5.1", "VRFY command is disabled");
    return;
  }
  if (arg.n == 0) {
    smtp_reply (self, 501, "5.5.4", "Syntax: VRFY address");
    return;
  }
  EkPool *pool = ek_pool_new ();
  guint flags = EK_PATH_POSTMASTER | EK_PATH_LAX | EK_PATH_BARE | utf8;
  if (ek_str_istarts (arg, EK_STR ("\"")) || ek_address_path (pool, arg, flags, &address, NULL) != NULL) {
    ek_pool_free (pool);
    smtp_reply (self, 501, "5.1.3", "Bad recipient address syntax");
    return;
  }
  Verify *v = ek_pool_new0 (pool, Verify);
  *v = (Verify) { self, pool, address.address };
  smtp_begin (self);
  ek_session_wait (self->session);
  ek_rcpt_check (self->session, address.address, verified, v);
}

void
smtp_cmd_expn (Smtp *self, EkStr arg)
{
  smtp_reply (self, 502, "5.5.1", "EXPN command is disabled");
}

void
smtp_cmd_etrn (Smtp *self, EkStr arg)
{
  if (!self->options->etrn)
    smtp_reply (self, 502, "5.5.1", "ETRN command is disabled");
  else if (self->helo == NULL)
    smtp_reply (self, 503, "5.5.1", "Error: send HELO/EHLO first");
  else if (self->tx)
    smtp_reply (self, 503, "5.5.1", "Error: MAIL transaction in progress");
  else if (arg.n > 0 && (*arg.p == '@' || *arg.p == '#'))
    arg = (EkStr) { arg.p + 1, arg.n - 1 };
  if (!self->options->etrn || self->helo == NULL || self->tx)
    return;
  if (!ek_address_is_domain (arg, EK_PATH_LAX) && !ek_address_is_literal (arg))
    smtp_reply (self, 501, "5.5.4", "Error: invalid parameter syntax");
  else
    smtp_reply (self, 459, "4.7.0", "<%.*s>: service unavailable", (int) MIN (arg.n, 255), arg.p);
}

void
smtp_cmd_help (Smtp *self, EkStr arg)
{
  smtp_reply (self, 214, "2.0.0", "HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY ETRN QUIT HELP (RFC 5321)");
}

void
smtp_cmd_quit (Smtp *self, EkStr arg)
{
  smtp_reply (self, 221, "2.0.0", "Bye");
  smtp_leave (self);
}
