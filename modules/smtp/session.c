/* session.c - an SMTP session: lines in, commands run, replies out, limits kept
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include <string.h>

/* ---- replies ---- */

void
smtp_raw (Smtp *self, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  ek_buf_vprintf (&self->out, fmt, args);
  va_end (args);
}

/* Replies behind a recipient that is being checked wait for its own, and with them leave in one write. */
void
smtp_push (Smtp *self)
{
  if (self->checks.length > 0 || ek_buf_len (&self->out) == 0)
    return;
  if (!self->gone)
    ek_session_send (self->session, ek_buf_at (&self->out), ek_buf_len (&self->out));
  ek_buf_release (&self->out);
}

void
smtp_reply_as (Smtp *self, SmtpCommandId command, int code, const char *dsn, const char *text)
{
  if (self->gone || self->phase == SMTP_LEAVING)
    return;
  if (code >= 400) {
    self->bad[command]++;
    self->errors++;
  }
  else if (code < 300)
    self->good[command]++;
  if (dsn && *dsn)
    smtp_raw (self, "%d %s %s\r\n", code, dsn, text);
  else
    smtp_raw (self, "%d %s\r\n", code, text);
}

void
smtp_reply (Smtp *self, int code, const char *dsn, const char *fmt, ...)
{
  char text[512];
  va_list args;

  va_start (args, fmt);
  g_vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  smtp_reply_as (self, self->command, code, dsn, text);
}

void
smtp_log_reject (Smtp *self, const char *word, const char *stage, EkStr to, const EkReply *reply)
{
  const EkClient *c = ek_session_client (self->session);
  EkField fields[12] = {
    EK_FTEXT ("stage", stage), EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address), EK_FINT ("code", reply->code),
    EK_FTEXT ("dsn", reply->dsn), EK_FTEXT ("text", reply->text), EK_FTEXT ("proto", smtp_proto (self)),
  };
  guint n = 7;

  if (self->tx)
    fields[n++] = (EkField) EK_FSTR ("from", self->tx->sender);
  if (to.p)
    fields[n++] = (EkField) EK_FSTR ("to", to);
  if (self->helo)
    fields[n++] = (EkField) EK_FTEXT ("helo", self->helo);
  ek_event_emit ("smtpd", ek_session_event (self->session), word, fields);
}

void
smtp_reject (Smtp *self, EkStr to, int code, const char *dsn, const char *fmt, ...)
{
  EkReply reply = { .code = code };
  va_list args;

  g_strlcpy (reply.dsn, dsn, sizeof reply.dsn);
  va_start (args, fmt);
  g_vsnprintf (reply.text, sizeof reply.text, fmt, args);
  va_end (args);
  smtp_log_reject (self, "reject", smtp_stage (self), to, &reply);
  smtp_reply_as (self, self->command, code, dsn, reply.text);
}

const char *
smtp_stage (const Smtp *self)
{
  if (self->finished)
    return "END-OF-MESSAGE";
  return self->command < SMTP_UNKNOWN ? smtp_commands[self->command].name : self->helo ? "UNKNOWN" : "CONNECT";
}

const char *
smtp_proto (const Smtp *self)
{
  return self->esmtp ? "ESMTP" : "SMTP";
}

bool
smtp_is_stranger (const Smtp *self)
{
  return ek_session_login (self->session) == NULL && !ek_session_trusted (self->session);
}

/* ---- turns ---- */

void
smtp_leave (Smtp *self)
{
  if (self->gone || self->phase == SMTP_LEAVING)
    return;
  self->phase = SMTP_LEAVING;
  if (!self->gone && ek_buf_len (&self->out) > 0)
    ek_session_send (self->session, ek_buf_at (&self->out), ek_buf_len (&self->out));
  ek_buf_release (&self->out);
  ek_session_close (self->session);
}

/* The server stops. */
void
smtp_goodbye (Smtp *self)
{
  smtp_raw (self, "421 4.3.2 %s Service shutting down\r\n", ek_session_hostname (self->session));
  smtp_leave (self);
}

void
smtp_resume (Smtp *self)
{
  if (self->gone)
    return;
  smtp_push (self);
  if (self->leaving && self->tx == NULL && self->phase == SMTP_COMMAND)
    smtp_goodbye (self);
  if (self->busy == 0 && !self->authing && !self->delayed && !self->stalled)
    ek_session_resume (self->session);
}

void
smtp_begin (Smtp *self)
{
  self->busy++;
  ek_session_ref (self->session);
}

void
smtp_release (Smtp *self)
{
  smtp_tx_end (self);
  ek_pool_free (g_steal_pointer (&self->pool));
  g_clear_pointer (&self->helo, g_free);
  g_clear_pointer (&self->mechanism, g_free);
  ek_buf_release (&self->out);
}

void
smtp_done (Smtp *self)
{
  EkSession *session = self->session;

  if (--self->busy == 0 && self->gone)
    smtp_release (self);
  else
    smtp_resume (self);
  ek_session_unref (session);
}

/* ---- limits ---- */

static void
pause_over (EkTimer *timer)
{
  Smtp *self = (Smtp *) ((char *) timer - G_STRUCT_OFFSET (Smtp, timer));

  self->delayed = false;
  smtp_resume (self);
}

bool
smtp_too_many_errors (Smtp *self)
{
  const EkClient *c = ek_session_client (self->session);

  if (self->gone || self->phase == SMTP_LEAVING || self->errors < (guint) self->options->hard_error_limit)
    return false;
  ek_event ("smtpd", ek_session_event (self->session), "too-many-errors", EK_FTEXT ("stage", smtp_stage (self)),
            EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address));
  smtp_raw (self, "421 4.7.0 %s Error: too many errors\r\n", ek_session_hostname (self->session));
  smtp_leave (self);
  return true;
}

/* A pause before the next command, when the client has erred too often. */
static void
slow_down (Smtp *self)
{
  EkLoop *loop = ek_loop_mine ();

  if (self->errors < (guint) self->options->soft_error_limit || self->options->error_delay.us == 0 || loop == NULL
      || self->phase == SMTP_LEAVING || self->delayed)
    return;
  self->delayed = true;
  self->timer.func = pause_over;
  ek_session_wait (self->session);
  ek_timer_set (loop, &self->timer, self->options->error_delay.us);
}

void
smtp_timed_out (Smtp *self)
{
  const EkClient *c = ek_session_client (self->session);

  if (self->phase == SMTP_LEAVING)
    return;
  ek_event ("smtpd", ek_session_event (self->session), "timeout", EK_FTEXT ("stage", smtp_stage (self)),
            EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address));
  smtp_raw (self, "421 4.4.2 %s Error: timeout exceeded\r\n", ek_session_hostname (self->session));
  smtp_leave (self);
}

/* Who sends a byte now and then keeps no connection for ever. */
static bool
too_slow (Smtp *self)
{
  gint64 rate = self->options->data_rate_min;

  if (self->since == 0) {
    self->since = ek_now ();
    self->bytes = 0;
  }
  gint64 allowed = self->options->idle_timeout.us + (rate ? (gint64) (self->bytes / (guint64) rate) * G_USEC_PER_SEC : 0);
  if (rate == 0 || ek_now () - self->since <= allowed)
    return false;
  smtp_timed_out (self);
  return true;
}

/* ---- lines ---- */

static void
bare_newline (Smtp *self)
{
  EkReply reply = { 0 };

  ek_reply (&reply, EK_REJECT, 521, "5.5.2", "%s Error: bare <LF> received", ek_session_hostname (self->session));
  smtp_log_reject (self, "bare-newline", smtp_stage (self), (EkStr) { NULL, 0 }, &reply);
  smtp_reply_as (self, self->command, reply.code, reply.dsn, reply.text);
  smtp_leave (self);
}

static bool
has_control (EkStr line)
{
  for (gsize i = 0; i < line.n; i++)
    if (((guchar) line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 127)
      return true;
  return false;
}

/* What may be said before TLS where TLS is required. */
static bool
allowed (Smtp *self, guint flags)
{
  if (flags & SMTP_PLAIN)
    return true;
  if (self->options->tls[0] == 'r' && !ek_session_client (self->session)->tls) {
    smtp_reply (self, 530, "5.7.0", "Must issue a STARTTLS command first");
    return false;
  }
  return true;
}

static bool
synchronised (Smtp *self, const SmtpCommand *command, bool more)
{
  const EkClient *c = ek_session_client (self->session);

  if (!more || !(command->flags & SMTP_LAST))
    return true;
  ek_event ("smtpd", ek_session_event (self->session), "improper-pipelining", EK_FTEXT ("stage", command->name),
            EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address));
  /* Behind STARTTLS it is never let through: what was sent in the clear must not count inside TLS. */
  if (self->options->pipelining[0] != 's' && command->run != smtp_cmd_starttls)
    return true;
  smtp_reply (self, 554, "5.5.0", "Error: SMTP protocol synchronization");
  smtp_leave (self);
  return false;
}

static void
run (Smtp *self, EkStr line, bool more)
{
  const char *space = memchr (line.p, ' ', line.n);
  EkStr verb = { line.p, space ? (gsize) (space - line.p) : line.n };

  self->command = (guint8) smtp_command_find (verb);
  const SmtpCommand *command = &smtp_commands[self->command];
  EkStr arg = ek_str_trim ((EkStr) { line.p + verb.n, line.n - verb.n });
  self->finished = false;
  if (has_control (line))
    smtp_reply (self, 501, "5.5.2", "Error: control characters in command");
  else if (command->run == NULL)
    smtp_reply (self, 502, "5.5.2", "Error: command not recognized");
  else if (synchronised (self, command, more) && allowed (self, command->flags)) {
    if ((command->flags & SMTP_JUNK) && ++self->junk > (guint) self->options->junk_command_limit)
      self->errors++;
    command->run (self, arg);
  }
}

static void
take_line (Smtp *self, EkStr line, bool more)
{
  if (self->phase == SMTP_AUTH)
    smtp_auth_line (self, line);
  else
    run (self, line, more);
  if (!smtp_too_many_errors (self))
    slow_down (self);
}

/* Recipients under way let only further ones run beside them. */
static bool
must_wait (const Smtp *self, EkStr line)
{
  if (self->checks.length == 0)
    return false;
  return line.n < 5 || !ek_str_istarts (line, EK_STR ("RCPT ")) || self->checks.length >= SMTP_CHECKS_MAX
         || ek_filters_want (self->options->filters, EK_AT_RCPT);
}

static gsize
line_max (const Smtp *self, const char *bytes, gsize n)
{
  bool auth = self->phase == SMTP_AUTH || ek_str_istarts ((EkStr) { bytes, n }, EK_STR ("AUTH "));

  return auth ? SMTP_AUTH_LINE_MAX : (gsize) self->options->command_length_max;
}

static void
line_too_long (Smtp *self)
{
  if (self->phase == SMTP_AUTH) {                /* RFC 4954 section 6 */
    ek_session_auth_abort (self->session);
    self->phase = SMTP_COMMAND;
    self->command = SMTP_AUTHENTICATE;
    smtp_reply (self, 500, "5.5.6", "Error: authentication exchange line is too long");
    return;
  }
  self->command = SMTP_UNKNOWN;
  smtp_reply (self, 500, "5.5.2", "Error: line too long");
}

/* One line out of `bytes`, or what there is of an overlong one; 0: it is not whole. */
static gsize
input_line (Smtp *self, const char *bytes, gsize n)
{
  const char *lf = memchr (bytes, '\n', n);
  gsize used = lf ? (gsize) (lf - bytes) + 1 : n;

  if (lf == NULL && !self->overlong && n <= line_max (self, bytes, n))
    return 0;
  if (lf == NULL) {
    self->overlong = true;
    return n;
  }
  EkStr line = { bytes, used - 1 };
  bool crlf = line.n > 0 && line.p[line.n - 1] == '\r';
  if (crlf)
    line.n--;
  if (!self->overlong && must_wait (self, line)) {
    ek_session_wait (self->session);
    return 0;
  }
  self->since = 0;
  if (self->overlong || line.n > line_max (self, bytes, n)) {
    self->overlong = false;
    line_too_long (self);
    if (!smtp_too_many_errors (self))
      slow_down (self);
    return used;
  }
  if (!crlf && (self->options->bare_newlines[0] == 'r'
                || (self->options->bare_newlines[0] == 's' && smtp_is_stranger (self)))) {
    bare_newline (self);
    return used;
  }
  take_line (self, line, used < n);
  return used;
}

/* ---- content ---- */

static gsize
input_data (Smtp *self, const char *bytes, gsize n)
{
  bool end = false;
  gsize used = smtp_body_feed (self, bytes, n, false, &end);

  if (end)
    smtp_message_end (self);
  return used;
}

static gsize
input_chunk (Smtp *self, const char *bytes, gsize n)
{
  SmtpTx *tx = self->tx;
  gsize take = (gsize) MIN (n, tx->chunk_left);
  gsize used = take;

  if (!tx->bdat_failed)
    used = smtp_body_feed (self, bytes, take, take == tx->chunk_left, NULL);
  if (self->phase != SMTP_BDAT)
    return used;
  tx->chunk_left -= used;
  if (tx->chunk_left == 0)
    smtp_bdat_chunk_end (self);
  return used;
}

static void
too_early (Smtp *self)
{
  self->command = SMTP_UNKNOWN;
  smtp_reject (self, (EkStr) { NULL, 0 }, 550, "5.5.1", "Protocol error: talked before my greeting");
  smtp_leave (self);
}

/* One line, or one run of content: the session calls again while there is more and nothing waits. */
gsize
smtp_input (EkSession *s, gpointer state, const char *bytes, gsize len)
{
  Smtp *self = state;
  gsize used;

  self->options = ek_session_options (s);
  if (self->phase == SMTP_WAIT_GREETING)
    too_early (self);
  if (self->phase == SMTP_LEAVING || too_slow (self))
    return len;
  used = self->phase == SMTP_DATA ? input_data (self, bytes, len) : self->phase == SMTP_BDAT ? input_chunk (self, bytes, len)
         : input_line (self, bytes, len);
  self->bytes += used;
  if (self->leaving && self->tx == NULL && self->phase == SMTP_COMMAND && self->busy == 0)
    smtp_goodbye (self);
  smtp_push (self);
  return self->phase == SMTP_LEAVING ? len : used;
}

/* ---- the log ---- */

static void
print_counts (const Smtp *self, EkBuf *out)
{
  guint good = 0, all = 0;

  for (guint i = 0; i < SMTP_N_COMMANDS; i++) {
    guint n = self->good[i] + self->bad[i];
    if (n == 0)
      continue;
    g_autofree char *name = g_ascii_strdown (smtp_commands[i].name, -1);
    if (self->bad[i] > 0)
      ek_buf_printf (out, "%s=%u/%u ", name, self->good[i], n);
    else
      ek_buf_printf (out, "%s=%u ", name, n);
    good += self->good[i];
    all += n;
  }
  if (good == all)
    ek_buf_printf (out, "commands=%u", all);
  else
    ek_buf_printf (out, "commands=%u/%u", good, all);
}

void
smtp_log_end (Smtp *self, EkCloseReason why)
{
  const EkClient *c = ek_session_client (self->session);
  EkEventId id = ek_session_event (self->session);
  EkBuf counts = { 0 };

  if (why == EK_CLOSED_BY_CLIENT || why == EK_CLOSED_ERROR)
    ek_event ("smtpd", id, "lost-connection", EK_FTEXT ("stage", smtp_stage (self)), EK_FTEXT ("host", c->host),
              EK_FTEXT ("ip", c->address));
  print_counts (self, &counts);
  ek_event ("smtpd", id, "disconnect", EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address),
            EK_FSTR ("commands", ek_buf_str (&counts)));
  ek_buf_release (&counts);
}
