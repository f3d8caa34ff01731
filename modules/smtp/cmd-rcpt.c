/* cmd-rcpt.c - RCPT TO: who may send where, and does he exist
 * SPDX-License-Identifier: Apache-2.0
 *
 * directory is asked about several pipelined recipients at once; the replies keep the commands' order.
 */
#include "smtp.h"
#include "mail/dsn.h"
#include "queue/spool.h"
#include <string.h>

/* The answer is known. */
static void G_GNUC_PRINTF (4, 5)
settle (SmtpCheck *check, int code, const char *dsn, const char *fmt, ...)
{
  va_list args;
  char text[480];

  va_start (args, fmt);
  g_vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  for (char *p = text; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = ' ';
  check->answered = check->quiet = true;
  check->good = code < 300;
  check->code = code;
  g_strlcpy (check->dsn, dsn, sizeof check->dsn);
  check->text = ek_pool_strdup (check->smtp->pool, text);
}

/* ---- parameters (RFC 3461 4) ---- */

static bool
is_notify (EkStr value)
{
  static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
  guint seen = 0;

  if (ek_str_ieq (value, EK_STR ("NEVER")))
    return true;
  while (value.n > 0) {
    const char *comma = memchr (value.p, ',', value.n);
    EkStr word = { value.p, comma ? (gsize) (comma - value.p) : value.n };
    guint i;
    for (i = 0; i < G_N_ELEMENTS (words) && !ek_str_ieq (word, ek_str (words[i])); i++)
      ;
    if (i == G_N_ELEMENTS (words) || (seen & 1u << i))
      return false;
    seen |= 1u << i;
    if (comma && word.n + 1 == value.n)
      return false;
    value = (EkStr) { value.p + word.n + (comma ? 1 : 0), value.n - word.n - (comma ? 1 : 0) };
  }
  return seen != 0;
}

static bool
is_orcpt (EkStr value, bool utf8)
{
  const char *semi = memchr (value.p, ';', value.n);

  if (semi == NULL || semi == value.p || value.n > 500)
    return false;
  for (const char *p = value.p; p < semi; p++)
    if (!g_ascii_isalnum (*p) && *p != '-')
      return false;
  EkStr address = { semi + 1, value.n - (gsize) (semi + 1 - value.p) };
  if (address.n == 0)
    return false;
  if (utf8 && ek_str_ieq ((EkStr) { value.p, (gsize) (semi - value.p) }, EK_STR ("utf-8")))
    return g_utf8_validate_len (address.p, address.n, NULL);
  return smtp_is_xtext (address);
}

/* False when it has settled the matter. */
static bool
parse_params (Smtp *self, EkStr rest, SmtpCheck *check)
{
  EkRcpt *rcpt = &check->rcpt;
  EkStr word;

  while (smtp_word (&rest, &word)) {
    EkStr value = { word.p + MIN (word.n, 7), word.n - MIN (word.n, 7) };
    if (ek_str_istarts (word, EK_STR ("NOTIFY=")) && rcpt->notify == NULL && is_notify (value))
      rcpt->notify = ek_pool_strndup (self->pool, value.p, value.n);
    else if (ek_str_istarts (word, EK_STR ("NOTIFY=")))
      settle (check, 501, "5.5.4", "Bad NOTIFY parameter syntax");
    else if (!ek_str_istarts (word, EK_STR ("ORCPT=")))
      settle (check, 555, "5.5.4", "Unsupported option: %s", smtp_show (self, word));
    else if (value = (EkStr) { word.p + 6, word.n - 6 }, rcpt->orcpt || !is_orcpt (value, (self->tx->flags & EK_MSG_UTF8) != 0))
      settle (check, 501, "5.5.4", "Bad ORCPT parameter syntax");
    else
      rcpt->orcpt = ek_pool_strndup (self->pool, value.p, value.n);
    if (check->answered)
      return false;
  }
  return true;
}

/* ---- the answers, in order ---- */

/* Twice the same is once. */
static void
add_rcpt (Smtp *self, const EkRcpt *rcpt)
{
  SmtpTx *tx = self->tx;

  if (tx->named == NULL)
    tx->named = g_hash_table_new (g_str_hash, g_str_equal);
  if (g_hash_table_add (tx->named, ek_pool_strndup (self->pool, rcpt->address.p, rcpt->address.n)))
    g_array_append_vals (tx->rcpts, rcpt, 1);
}

/* An alias stands for those it leads to; reports name it as the original recipient (RFC 3461 4.2). */
static void
accept_rcpt (Smtp *self, const SmtpCheck *check)
{
  EkRcpt rcpt = check->rcpt;

  self->tx->taken++;
  if (check->n_targets == 0) {
    add_rcpt (self, &rcpt);
    return;
  }
  if (rcpt.orcpt == NULL) {
    EkBuf text = { 0 };
    ek_buf_appends (&text, "rfc822;");
    ek_xtext_encode (&text, rcpt.address);
    rcpt.orcpt = ek_pool_strndup (self->pool, ek_buf_at (&text), ek_buf_len (&text));
    ek_buf_release (&text);
  }
  for (guint i = 0; i < check->n_targets; i++) {
    rcpt.address = ek_str (check->targets[i]);
    add_rcpt (self, &rcpt);
  }
}

static void
answer (Smtp *self, SmtpCheck *check)
{
  SmtpCommandId command = self->command;

  self->command = SMTP_RCPT;
  if (check->good && self->tx->rcpts->len >= (guint) self->options->recipients_max)        /* aliases stand for many */
    settle (check, 452, "4.5.3", "Error: too many recipients");
  if (check->good)
    accept_rcpt (self, check);
  if (check->quiet && check->code == 452) {      /* too many: told, and not held against him at once */
    if (++self->overshoot <= SMTP_OVERSHOOT && self->errors > 0)
      self->errors--;
  }
  if (check->good || check->quiet)
    smtp_reply_as (self, SMTP_RCPT, check->code, check->dsn, check->text);
  else
    smtp_reject (self, check->rcpt.address, check->code, check->dsn, "%s", check->text);
  self->command = (guint8) command;
}

static void
filtered (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  SmtpCheck *check = self->filtered;
  EkReply said;

  self->command = SMTP_RCPT;
  if (smtp_filter_refused (self, verdict, reply, check->rcpt.address, &said))
    smtp_reply_as (self, SMTP_RCPT, said.code, said.dsn, said.text);
  else {
    self->tx->discard |= verdict == EK_DISCARD;
    answer (self, check);
  }
}

void
smtp_checks_flush (Smtp *self)
{
  SmtpCheck *check;

  while (!self->gone && self->tx && (check = g_queue_peek_head (&self->checks)) && check->answered) {
    g_queue_pop_head (&self->checks);
    if (check->good && ek_filters_want (self->options->filters, EK_AT_RCPT)) {
      self->filtered = check;
      smtp_filter (self, EK_AT_RCPT, check->rcpt.address, filtered);
    }
    else
      answer (self, check);
  }
  if (!self->gone && self->checks.length == 0) {
    smtp_push (self);
    smtp_too_many_errors (self);
  }
}

/* What directory said becomes the reply; who may send elsewhere is decided here. */
static void
judge (SmtpCheck *check, const EkRcptAnswer *a)
{
  Smtp *self = check->smtp;
  const char *shown = smtp_show (self, check->rcpt.address);

  if (a->status == EK_DEFER)
    settle (check, 451, a->dsn ? a->dsn : "4.3.0", "<%s>: %s", shown, a->text ? a->text : "Temporary lookup failure");
  else if (a->class == EK_RCPT_REMOTE && smtp_is_stranger (self))
    settle (check, 554, "5.7.1", "<%s>: Relay access denied", shown);
  else if (a->status == EK_NOTFOUND)
    settle (check, 550, "5.1.1", "<%s>: Recipient address rejected: User unknown in %s table", shown,
            a->class == EK_RCPT_RELAY ? "relay recipient" : "virtual mailbox");
  else if (a->status == EK_FAIL)
    settle (check, 550, a->dsn ? a->dsn : "5.7.1", "<%s>: Recipient address rejected: %s", shown,
            a->text ? a->text : "Access denied");
  else {
    check->targets = ek_pool_newv (self->pool, const char *, a->n_targets + 1);
    for (check->n_targets = 0; check->n_targets < a->n_targets; check->n_targets++)
      check->targets[check->n_targets] = ek_pool_strdup (self->pool, a->targets[check->n_targets]);
    settle (check, 250, "2.1.5", "Ok");
  }
}

static void
checked (const EkRcptAnswer *a, gpointer data)
{
  SmtpCheck *check = data;
  Smtp *self = check->smtp;

  if (!self->gone) {
    judge (check, a);
    check->quiet = false;
    smtp_checks_flush (self);
  }
  smtp_done (self);
}

/* ---- the command ---- */

static bool
may_add (Smtp *self)
{
  if (self->tx == NULL)
    smtp_reply (self, 503, "5.5.1", "Error: need MAIL command");
  else if (self->tx->bdat)
    smtp_reply (self, 503, "5.5.1", "Error: RCPT after BDAT");
  else
    return true;
  return false;
}

/* It takes its place in the queue of answers, behind those that directory is still asked about. */
static void
begin (Smtp *self, SmtpCheck *check)
{
  if (!check->answered && self->tx->taken + self->checks.length >= (guint) self->options->recipients_max)
    settle (check, 452, "4.5.3", "Error: too many recipients");
  g_queue_push_tail (&self->checks, check);
  if (check->answered) {
    smtp_checks_flush (self);
    return;
  }
  smtp_begin (self);
  ek_rcpt_check (self->session, check->rcpt.address, checked, check);
}

static void
parse (Smtp *self, EkStr arg, SmtpCheck *check)
{
  EkAddress address;
  gsize used = 0;

  if (!ek_str_istarts (arg, EK_STR ("TO:"))) {
    settle (check, 501, "5.5.4", "Syntax: RCPT TO:<address>");
    return;
  }
  EkStr rest = ek_str_trim ((EkStr) { arg.p + 3, arg.n - 3 });
  guint flags = EK_PATH_POSTMASTER | EK_PATH_LAX | EK_PATH_BARE | (self->tx->flags & EK_MSG_UTF8 ? EK_PATH_UTF8 : 0);
  const char *wrong = ek_address_path (self->pool, rest, flags, &address, &used);
  if (wrong == ek_address_needs_utf8)
    settle (check, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
  else if (wrong)
    settle (check, 501, "5.1.3", "Bad recipient address syntax");
  else if (used < rest.n && rest.p[used] != ' ')
    settle (check, 501, "5.5.4", "Syntax: RCPT TO:<address>");
  else {
    check->rcpt.address = address.address;
    parse_params (self, (EkStr) { rest.p + used, rest.n - used }, check);
  }
}

void
smtp_cmd_rcpt (Smtp *self, EkStr arg)
{
  if (!may_add (self))
    return;
  SmtpCheck *check = ek_pool_new0 (self->pool, SmtpCheck);
  check->smtp = self;
  parse (self, arg, check);
  begin (self, check);
}
