/* submit.h - what a protocol calls to have recipients checked and a message accepted
 * SPDX-License-Identifier: Apache-2.0
 *
 * RCPT: ek_rcpt_check() asks directory what an address is.  Relay permission (who may send where) is
 * the caller's policy; existence is directory's word.
 *
 * DATA: ek_submit_new(), bytes by ek_submit_write() as the client sends them (dots removed, CRLF line
 * ends kept), ek_submit_commit() at the end; the answer comes when the message is durable, with its
 * queue id.  Up to 64 KB travel in one channel message; more is streamed to queue over a socketpair as
 * it comes, so nothing large is ever whole in the edge.
 *
 * Loop thread.
 */
#pragma once
#include "ekiden.h"

G_BEGIN_DECLS

/* ---- recipients ---- */

typedef enum {
  EK_RCPT_LOCAL,                     /* a mailbox or alias of ours */
  EK_RCPT_RELAY,                     /* a domain that we take mail for and pass on */
  EK_RCPT_REMOTE,                    /* somebody else's: only for those who may relay */
} EkRcptClass;

typedef struct {                     /* borrowed until the callback returns */
  EkStatus    status;                /* OK; NOTFOUND: our domain, no such user; DEFER; FAIL: refused */
  EkRcptClass class;                 /* also set with NOTFOUND */
  const char *dsn;                   /* enhanced code with DEFER and FAIL, else NULL */
  const char *text;                  /* reason with DEFER and FAIL, else NULL */
  guint       n_targets;             /* with OK: the addresses that get the mail in its place; 0: itself */
  const char *const *targets;
} EkRcptAnswer;

/* `address` is local@domain as parsed (no <>), or "postmaster".  The session is not made to wait: several
 * checks may be under way, answered in any order, told apart by `data`. */
void ek_rcpt_check (EkSession *s, EkStr address, void (*func) (const EkRcptAnswer *answer, gpointer data), gpointer data);

/* ---- messages ---- */

/* False: answer MAIL with 452 4.3.1 (disk) or 451 (queue down); *why is a text for the log. */
bool ek_submit_accepting (const char **why);
/* True: queue's process is being started, here or again, and has not said yet whether it takes mail; func runs once, as
 * soon as it has, or after some seconds: ask ek_submit_accepting() then.  False: it has said; func does not run. */
bool ek_submit_await (void (*func) (gpointer data), gpointer data);

typedef struct EkSubmit EkSubmit;

typedef struct {                     /* all borrowed: copied by ek_submit_commit() */
  EkStr         sender;              /* empty: <> */
  EkStr         envid;               /* RFC 3461; empty: none */
  guint32       flags;               /* EK_MSG_8BIT ... of queue/spool.h */
  const EkRcpt *rcpts;
  guint         n_rcpts;
  const char   *helo, *login;        /* or NULL */
  const char   *protocol;            /* "ESMTPSA" */
  EkStr         message_id;          /* as found in the header, with <>; empty: none */
  /* The Received: line is head + queue id + tail (mail/received.h renders it in two halves), put in
   * front of the message by queue, which makes the id. */
  EkStr         received_head, received_tail;
  EkStr         prepend;             /* further header lines for the front (behind Received), CRLF */
  bool          hold;                /* accepted, but not delivered until released */
} EkEnvelope;

typedef struct {
  EkStatus    status;                /* OK: durable; DEFER: 451/452; FAIL: 554 */
  const char *queue_id;              /* with OK */
  const char *dsn, *text;            /* with DEFER and FAIL */
} EkSubmitAnswer;

typedef void (*EkSubmitFunc) (const EkSubmitAnswer *answer, gpointer data);

/* Begins a message.  `event` joins it to its connection. */
EkSubmit *ek_submit_new (EkSession *s);
/* Copies.  Returns false when the writer should wait for `ready` (ek_submit_on_ready) before more. */
bool      ek_submit_write (EkSubmit *submit, const void *bytes, gsize n);
void      ek_submit_on_ready (EkSubmit *submit, void (*ready) (gpointer data), gpointer data);
guint64   ek_submit_size (const EkSubmit *submit);       /* bytes written so far */
/* The answer comes exactly once, also when queue dies meanwhile (DEFER: the client tries again; the
 * message may have been accepted, as with a lost connection after DATA, RFC 5321 4.5.4.2).  Eats it. */
void      ek_submit_commit (EkSubmit *submit, const EkEnvelope *envelope, EkSubmitFunc func, gpointer data);
void      ek_submit_free (EkSubmit *submit);             /* gives up; NULL is fine */

G_END_DECLS
