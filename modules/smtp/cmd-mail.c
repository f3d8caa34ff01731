/* cmd-mail.c - MAIL FROM with its parameters, and the end of a transaction
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include "queue/spool.h"
#include <string.h>

void
smtp_tx_end (Smtp *self)
{
  SmtpTx *tx = g_steal_pointer (&self->tx);

  if (tx == NULL)
    return;
  ek_session_in_transaction (self->session, false);
  ek_submit_free (tx->submit);
  self->stalled = false;
  ek_header_split_clear (&tx->split);
  g_array_unref (tx->rcpts);
  g_clear_pointer (&tx->named, g_hash_table_unref);
  ek_pool_clear (self->pool);
  ek_filters_next_message (&self->filters);
}

/* ---- parameters ---- */

typedef struct {                     /* what MAIL said, before there is a transaction */
  EkStr   envid;
  guint64 size;
  guint32 flags;
  bool    body, ret;
} Params;

/* RFC 1870: up to 20 digits, and so more than fits in here, which is too much for any limit. */
static const char *
param_size (Params *p, EkStr value)
{
  for (gsize i = 0; i < value.n; i++)
    if (!g_ascii_isdigit (value.p[i]))
      return "501 5.5.4 Bad message size syntax";
  if (value.n == 0 || value.n > 20)
    return "501 5.5.4 Bad message size syntax";
  if (!ek_str_u64 (value, G_MAXINT64, &p->size))
    p->size = G_MAXINT64;
  return NULL;
}

static const char *
param_body (Params *p, EkStr value)
{
  if (ek_str_ieq (value, EK_STR ("8BITMIME")))
    p->flags |= EK_MSG_8BIT;
  else if (!ek_str_ieq (value, EK_STR ("7BIT")))
    return "501 5.5.4 Unknown body type, expecting 7BIT or 8BITMIME";
  return NULL;
}

static const char *
param_ret (Params *p, EkStr value)
{
  if (p->flags & (EK_MSG_RET_FULL | EK_MSG_RET_HDRS))
    return "501 5.5.4 Bad RET parameter syntax";
  if (ek_str_ieq (value, EK_STR ("FULL")))
    p->flags |= EK_MSG_RET_FULL;
  else if (ek_str_ieq (value, EK_STR ("HDRS")))
    p->flags |= EK_MSG_RET_HDRS;
  else
    return "501 5.5.4 Bad RET parameter syntax";
  return NULL;
}

static const char *
param_envid (Params *p, EkStr value)
{
  if (p->envid.n > 0 || value.n == 0 || value.n > 100 || !smtp_is_xtext (value))
    return "501 5.5.4 Bad ENVID parameter syntax";
  p->envid = value;
  return NULL;
}

static const char *
param_utf8 (Params *p, EkStr value)
{
  if (value.n > 0)
    return "501 5.5.4 SMTPUTF8 takes no value";
  p->flags |= EK_MSG_UTF8;
  return NULL;
}

/* RFC 4954 section 5: who vouches for the sender.  We trust nobody's word and pass none on. */
static const char *
param_auth (Params *p, EkStr value)
{
  return value.n > 0 && smtp_is_xtext (value) ? NULL : "501 5.5.4 Bad AUTH parameter syntax";
}

static const struct {
  const char *name;
  const char *(*take) (Params *, EkStr value);
} params[] = {
  { "SIZE", param_size }, { "BODY", param_body }, { "RET", param_ret }, { "ENVID", param_envid },
  { "SMTPUTF8", param_utf8 }, { "AUTH", param_auth },
};

/* The whole reply, or NULL. */
static const char *
take_param (Params *p, EkStr word)
{
  const char *equals = memchr (word.p, '=', word.n);
  EkStr name = { word.p, equals ? (gsize) (equals - word.p) : word.n };
  EkStr value = equals ? (EkStr) { equals + 1, word.n - name.n - 1 } : (EkStr) { "", 0 };

  for (guint i = 0; i < G_N_ELEMENTS (params); i++)
    if (ek_str_ieq (name, ek_str (params[i].name)))
      return params[i].take (p, value);
  return "";
}

/* False when it has answered. */
static bool
parse_params (Smtp *self, EkStr rest, Params *p)
{
  EkStr word;

  while (smtp_word (&rest, &word)) {
    const char *error = take_param (p, word);
    if (error && *error)
      smtp_reply (self, 501, "5.5.4", "%s", error + strlen ("501 5.5.4 "));
    else if (error)
      smtp_reply (self, 555, "5.5.4", "Unsupported option: %s", smtp_show (self, word));
    if (error)
      return false;
  }
  return true;
}

/* SMTPUTF8 must be known before the path is read, and stands behind it. */
static bool
asks_utf8 (EkStr arg)
{
  EkStr word;

  while (smtp_word (&arg, &word))
    if (ek_str_ieq (word, EK_STR ("SMTPUTF8")))
      return true;
  return false;
}

/* ---- policy ---- */

/* False when it has answered. */
static bool
may_begin (Smtp *self)
{
  bool login = ek_session_login (self->session) != NULL;

  if (self->tx && self->tx->bdat)
    smtp_reply (self, 503, "5.5.1", "Error: MAIL after BDAT");
  else if (self->tx)
    smtp_reply (self, 503, "5.5.1", "Error: nested MAIL command");
  else if (self->helo == NULL && self->options->helo_required)
    smtp_reply (self, 503, "5.5.1", "Error: send HELO/EHLO first");
  else if (self->options->submission && !login && !ek_session_client (self->session)->tls
           && ek_session_tls_offered (self->session) && ek_session_mechanisms (self->session)[0] == NULL)
    smtp_reply (self, 530, "5.7.0", "Must issue a STARTTLS command first");
  else if (self->options->submission && !login)
    smtp_reject (self, (EkStr) { NULL, 0 }, 530, "5.7.0", "Authentication required");
  else
    return true;
  return false;
}

static bool
owns (Smtp *self, EkStr sender)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkAddressKey login, address;

  if (ek_address_key (pool, ek_str (ek_session_login (self->session)), EK_KEY_FOLD, "+", &login) != NULL
      || ek_address_key (pool, sender, EK_KEY_FOLD, "+", &address) != NULL)
    return false;
  return login.domain.n > 0 ? ek_str_eq (login.key, address.key) : ek_str_eq (login.local, address.local);
}

/* False when it has answered. */
static bool
small_enough (Smtp *self, const Params *p)
{
  guint64 limit = self->options->message_size_limit.bytes;

  if (limit == 0 || p->size <= limit)
    return true;
  smtp_reject (self, (EkStr) { NULL, 0 }, 552, "5.3.4", "Message size exceeds fixed limit");
  return false;
}

/* ---- the command ---- */

static void
filtered (Smtp *self, EkVerdict verdict, const EkReply *reply)
{
  EkReply said;

  if (smtp_filter_refused (self, verdict, reply, (EkStr) { NULL, 0 }, &said)) {
    smtp_tx_end (self);
    smtp_reply_as (self, SMTP_MAIL, said.code, said.dsn, said.text);
    return;
  }
  self->tx->discard = verdict == EK_DISCARD;
  smtp_reply_as (self, SMTP_MAIL, 250, "2.1.0", "Ok");
}

static void
queue_is_there (Smtp *self)
{
  static gint64 said;
  const char *why = NULL;

  if (ek_submit_accepting (&why)) {
    smtp_filter (self, EK_AT_MAIL, (EkStr) { NULL, 0 }, filtered);
    return;
  }
  if (ek_now () - said > G_USEC_PER_SEC) {
    ek_log (EK_WARN, "smtpd", "mail is put off: %s", why ? why : "the queue takes none");
    said = ek_now ();
  }
  smtp_tx_end (self);
  smtp_reply_as (self, SMTP_MAIL, 452, "4.3.1", "Insufficient system storage");
}

static void
queue_awaited (gpointer data)
{
  Smtp *self = data;

  if (!self->gone)
    queue_is_there (self);
  smtp_done (self);
}

static void
begin (Smtp *self, const EkAddress *sender, const Params *p)
{
  SmtpTx *tx = ek_pool_new0 (smtp_pool (self), SmtpTx);

  tx->sender = sender->address;
  tx->envid = ek_pool_str (self->pool, p->envid);
  tx->flags = p->flags;
  tx->declared = p->size;
  tx->rcpts = g_array_new (FALSE, TRUE, sizeof (EkRcpt));
  self->tx = tx;
  ek_session_in_transaction (self->session, true);
  self->overshoot = 0;
  if (!ek_submit_await (queue_awaited, self)) {
    queue_is_there (self);
    return;
  }
  smtp_begin (self);
  ek_session_wait (self->session);
}

void
smtp_cmd_mail (Smtp *self, EkStr arg)
{
  Params p = { 0 };
  EkAddress sender;
  gsize used = 0;

  if (!may_begin (self))
    return;
  if (!ek_str_istarts (arg, EK_STR ("FROM:"))) {
    smtp_reply (self, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
    return;
  }
  EkStr rest = ek_str_trim ((EkStr) { arg.p + 5, arg.n - 5 });
  guint flags = EK_PATH_EMPTY | EK_PATH_LAX | EK_PATH_BARE | (asks_utf8 (rest) ? EK_PATH_UTF8 : 0);
  if (!smtp_is_stranger (self))
    flags |= EK_PATH_NODOMAIN;
  const char *wrong = ek_address_path (smtp_pool (self), rest, flags, &sender, &used);
  if (wrong == ek_address_needs_utf8)
    smtp_reply (self, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
  else if (wrong)
    smtp_reply (self, 501, "5.1.7", "Bad sender address syntax");
  else if (used < rest.n && rest.p[used] != ' ')
    smtp_reply (self, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
  else if (parse_params (self, (EkStr) { rest.p + used, rest.n - used }, &p) && small_enough (self, &p)) {
    if (self->options->sender_login_match && ek_session_login (self->session) && sender.address.n > 0 && !owns (self, sender.address))
      smtp_reject (self, (EkStr) { NULL, 0 }, 553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s",
                   smtp_show (self, sender.address), ek_session_login (self->session));
    else
      begin (self, &sender, &p);
  }
  if (self->tx == NULL)
    ek_pool_clear (self->pool);
}
