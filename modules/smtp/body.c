/* body.c - the content of a message on its way to queue: dots, line ends, limits
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bytes are not looked at one by one: memchr finds the line ends, and runs between places where something must
 * be left out or put in go to queue as they lie.  At a run's end up to three bytes may stay unconsumed (CR, or a
 * dot that may end the message): they come again with what follows.
 *
 * SMTP smuggling: a message ends at CRLF.CRLF and nowhere else.  A bare LF or CR is refused, or made into what
 * every next hop reads in the same way.
 */
#include "smtp.h"
#include "queue/spool.h"
#include <string.h>

static void
ready (gpointer data)
{
  Smtp *self = data;

  self->stalled = false;
  smtp_resume (self);
}

bool
smtp_content_begin (Smtp *self, bool dots)
{
  SmtpTx *tx = self->tx;

  tx->body = (SmtpBody) { .line = SMTP_AT_LINE, .dots = dots };
  smtp_header_begin (tx);
  tx->submit = ek_submit_new (self->session);
  ek_submit_on_ready (tx->submit, ready, self);
  return true;
}

void
smtp_refuse_content (Smtp *self, int code, const char *dsn, const char *text)
{
  SmtpTx *tx = self->tx;

  if (tx->refused)
    return;
  tx->refused = true;
  ek_reply (&tx->refusal, EK_REJECT, code, dsn, "%s", text);
  ek_submit_free (g_steal_pointer (&tx->submit));
  if (self->stalled) {               /* nobody will say ready() */
    self->stalled = false;
    smtp_resume (self);
  }
}

static void
too_much (Smtp *self)
{
  EkReply *reply = &self->tx->refusal;

  smtp_log_reject (self, "reject", smtp_stage (self), (EkStr) { NULL, 0 }, reply);
  smtp_reply (self, reply->code, reply->dsn, "%s", reply->text);
  smtp_leave (self);
}

static bool
has_8bit (const char *p, gsize n)
{
  guint64 all = 0, word;

  for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
    memcpy (&word, p, sizeof word);
    all |= word;
  }
  for (; n > 0; p++, n--)
    all |= (guchar) *p;
  return all & G_GUINT64_CONSTANT (0x8080808080808080);
}

static void
put (Smtp *self, const char *bytes, gsize n)
{
  SmtpTx *tx = self->tx;
  guint64 limit = self->options->message_size_limit.bytes;

  if (n == 0)
    return;
  tx->size += n;
  if (!(tx->flags & EK_MSG_8BIT) && has_8bit (bytes, n))
    tx->flags |= EK_MSG_8BIT;        /* said or not, the next hop must know */
  if (!tx->split.done && !tx->refused)
    smtp_header_feed (self, bytes, n);
  if (limit > 0 && tx->size > limit)
    smtp_refuse_content (self, 552, "5.3.4", "Error: message file too big");
  if (tx->refused && tx->size > limit + SMTP_SWALLOW_MAX)
    too_much (self);
  if (!tx->refused && !ek_submit_write (tx->submit, bytes, n) && !self->stalled) {
    self->stalled = true;
    ek_session_wait (self->session);
  }
}

/* ---- bare line ends ---- */

/* True: refused, the session is at its end. */
static bool
refuse_bare (Smtp *self, const char *what)
{
  EkReply reply = { 0 };
  char policy = self->options->bare_newlines[0];

  if (policy == 'n' || (policy == 's' && !smtp_is_stranger (self)))
    return false;
  ek_reply (&reply, EK_REJECT, 521, "5.5.2", "%s Error: bare <%s> received", ek_session_hostname (self->session), what);
  smtp_log_reject (self, "bare-newline", smtp_stage (self), (EkStr) { NULL, 0 }, &reply);
  smtp_reply (self, reply.code, reply.dsn, "%s", reply.text);
  smtp_leave (self);
  return true;
}

/* ---- dots ---- */

typedef enum { DOT_NONE, DOT_UNKNOWN, DOT_STUFFED, DOT_END } Dot;

/* What a dot at the start of a line is. */
static Dot
look_at_dot (const SmtpBody *body, const char *p, gsize n)
{
  if (!body->dots || body->line == SMTP_IN_LINE || *p != '.')
    return DOT_NONE;
  if (body->line == SMTP_AT_LF)      /* the line before did not end in CRLF */
    return DOT_STUFFED;
  if (n == 1 || (n == 2 && p[1] == '\r'))
    return DOT_UNKNOWN;
  return p[1] == '\r' && p[2] == '\n' ? DOT_END : DOT_STUFFED;
}

/* ---- lines ---- */

typedef struct {                     /* one call of smtp_body_feed() */
  Smtp       *self;
  const char *run;                   /* what lies before p from here on is not given away yet */
  const char *p, *end;
} Feed;

static void
give (Feed *f, const char *up_to, const char *go_on)
{
  put (f->self, f->run, (gsize) (up_to - f->run));
  f->run = f->p = go_on;
}

/* From f->p to the next line end or the end of the input.  False: stop here. */
static bool
line (Feed *f, SmtpBody *body, bool chunk_end)
{
  const char *lf = memchr (f->p, '\n', (gsize) (f->end - f->p));
  const char *stop = lf ? lf : f->end;
  const char *cr = memchr (f->p, '\r', (gsize) (stop - f->p));

  if (lf && cr == lf - 1) {
    f->p = lf + 1;
    body->line = SMTP_AT_LINE;
    return true;
  }
  if (cr && cr + 1 == f->end) {                    /* the LF may follow */
    if (cr > f->p)
      body->line = SMTP_IN_LINE;
    body->cr_held = chunk_end;
    f->p = cr;
    return false;
  }
  if (cr == NULL && lf == NULL) {
    f->p = f->end;
    body->line = SMTP_IN_LINE;
    return false;
  }
  if (refuse_bare (f->self, cr ? "CR" : "LF"))
    return false;
  give (f, cr ? cr : lf, cr ? cr + 1 : lf + 1);
  put (f->self, cr ? " " : "\r\n", cr ? 1 : 2);
  body->line = cr ? SMTP_IN_LINE : SMTP_AT_LF;
  return f->self->phase != SMTP_LEAVING;
}

/* The CR that the last chunk ended with. */
static void
held_cr (Feed *f, SmtpBody *body)
{
  body->cr_held = false;
  if (*f->p == '\n') {
    put (f->self, "\r\n", 2);
    f->run = ++f->p;
    body->line = SMTP_AT_LINE;
  }
  else if (!refuse_bare (f->self, "CR")) {
    put (f->self, " ", 1);
    body->line = SMTP_IN_LINE;
  }
}

gsize
smtp_body_feed (Smtp *self, const char *bytes, gsize n, bool chunk_end, bool *end)
{
  SmtpBody *body = &self->tx->body;
  Feed f = { self, bytes, bytes, bytes + n };

  if (n > 0 && body->cr_held)
    held_cr (&f, body);
  while (f.p < f.end && self->phase != SMTP_LEAVING) {
    Dot dot = look_at_dot (body, f.p, (gsize) (f.end - f.p));
    if (dot == DOT_UNKNOWN)
      break;
    if (dot == DOT_END) {
      give (&f, f.p, f.p + 3);
      *end = self->phase != SMTP_LEAVING;
      return (gsize) (f.p - bytes);
    }
    if (dot == DOT_STUFFED) {
      give (&f, f.p, f.p + 1);
      body->line = SMTP_IN_LINE;
    }
    else if (!line (&f, body, chunk_end))
      break;
  }
  if (self->phase == SMTP_LEAVING)
    return n;
  give (&f, f.p, f.p);
  return body->cr_held ? n : (gsize) (f.p - bytes);
}

void
smtp_body_close (Smtp *self)
{
  SmtpBody *body = &self->tx->body;

  if (body->cr_held && refuse_bare (self, "CR"))
    return;
  if (body->line == SMTP_IN_LINE || body->cr_held)
    put (self, "\r\n", 2);
  body->cr_held = false;
}
