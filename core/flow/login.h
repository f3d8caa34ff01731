/* login.h - what a protocol calls to log its client in, and what it finds after login
 * SPDX-License-Identifier: Apache-2.0
 *
 * The edge never decides.  directory runs the mechanism, asks the passdbs, and on success tells
 * *store* {token, user record} on its own channel, and the edge the token.  A protocol that goes on
 * in store (IMAP, POP3) then calls ek_session_handoff(): the core sends store the stream, the tag
 * and the unread input, and the session ends here (closed() with EK_CLOSED_BY_US) while the client
 * notices nothing.  A protocol that stays at the edge (submission) just goes on, now with a login.
 *
 * Loop thread, like all of a protocol.
 */
#pragma once
#include "ekiden.h"

G_BEGIN_DECLS

/* ---- at the edge ---- */

typedef enum {
  EK_AUTH_CHALLENGE,                 /* send it, then ek_session_auth_continue() */
  EK_AUTH_OK,
  EK_AUTH_REFUSED,                   /* wrong name or password, or not allowed here: the delay is served already */
  EK_AUTH_UNAVAILABLE,               /* a backend is down: try again later, never "wrong password" */
  EK_AUTH_MALFORMED,                 /* no such mechanism, not allowed without TLS, nonsense from the client */
} EkAuthOutcome;

typedef struct {                     /* borrowed until the callback returns */
  EkAuthOutcome outcome;
  EkStr         challenge;           /* decoded: write it in base64 */
  const char   *user;                /* the canonical name, with OK */
  const char   *text;                /* for the client, with all but OK and CHALLENGE */
} EkAuthAnswer;

/* Not called when the session was closed meanwhile. */
typedef void (*EkAuthFunc) (EkSession *s, gpointer state, const EkAuthAnswer *answer);

/* Names of the mechanisms that may be offered now, in the configuration's order (plaintext ones are
 * left out without TLS unless the listener allows it); NULL-terminated, never NULL.  Good until the next call. */
const char *const *ek_session_mechanisms (EkSession *s);
/* Begins; the session waits (no input()) until func was called.  `initial` is decoded; p NULL: none.
 * LOGIN user pass of IMAP is PLAIN with "\0user\0pass". */
void ek_session_auth (EkSession *s, const char *mechanism, EkStr initial, EkAuthFunc func);
void ek_session_auth_continue (EkSession *s, EkStr response, EkAuthFunc func);
void ek_session_auth_abort (EkSession *s);             /* the client sent "*" */
const char *ek_session_login (const EkSession *s);     /* NULL before EK_AUTH_OK */
const char *ek_session_login_mechanism (const EkSession *s);
const char *ek_session_login_master (const EkSession *s);  /* who logged in as that user; NULL: he himself */

/* After EK_AUTH_OK, for a protocol with an after_login table: `tag` (at most 255 bytes) is given to
 * it, which answers the client.  Bytes that input() has not consumed go along. */
void ek_session_handoff (EkSession *s, EkStr tag);

/* ---- in store ---- */

typedef struct EkIndex EkIndex;      /* index/box.h */
typedef struct EkJob   EkJob;        /* loop/job.h */

EkStr         ek_session_tag (const EkSession *s);         /* what handoff gave */
const EkUser *ek_session_user (const EkSession *s);
EkIndex      *ek_session_index (EkSession *s);             /* the user's mailboxes; lives with the session */
guint64       ek_session_login_id (const EkSession *s);    /* for "session=<...>" in logs */
/* Submits a job on the user's key: jobs of one user run one at a time, in order.  The session is kept
 * alive until done() has run. */
void          ek_session_job (EkSession *s, EkJob *job);

G_END_DECLS
