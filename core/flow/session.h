/* session.h - a protocol's session over a stream: what the roles that host sessions use
 * SPDX-License-Identifier: Apache-2.0
 *
 * Modules see the other half of this in ekiden.h.  An idle session holds its struct, a pool of a
 * kilobyte and the protocol's state; buffers exist only while there are bytes in them, and reading goes
 * through one buffer that all sessions of a process share.
 */
#pragma once
#include "flow/login.h"
#include "index/box.h"
#include "loop/job.h"
#include "module/generation.h"

typedef struct {                     /* all copied */
  const EkProtocolOps *ops;
  gconstpointer        options;      /* lives as long as the generation */
  EkGeneration        *generation;   /* the session takes a reference */
  const char          *listener, *hostname;
  const EkClient      *client;       /* strings copied */
  EkEventId            event;
  int                  fd;           /* taken; -1: a session in memory (tests, fuzzers) */
  bool                 tls_possible; /* STARTTLS may be offered */
} EkSessionStart;

typedef struct {                     /* who is told; any may be NULL */
  /* STARTTLS: `fd` is the client's socket, now the host's; nothing is unsent.  It later calls
   * ek_session_tls_done() with a stream, or -1. */
  void (*starttls) (EkSession *s, int fd);
  void (*closed) (EkSession *s);     /* after the protocol's closed() */
  void (*renew) (EkSession *s);      /* ek_session_renew() said so, and the session is between commands: ek_session_use() */
  /* Memory sessions: bytes for the client. */
  void (*output) (EkSession *s, const char *bytes, gsize n);
} EkSessionHost;

EkSession *ek_session_new (const EkSessionStart *start, const EkSessionHost *host);   /* one reference is the stream's */
void       ek_session_begin (EkSession *s, EkStr unread);  /* calls open(), then feeds what was read elsewhere */
void       ek_session_feed (EkSession *s, const char *bytes, gsize n);     /* memory sessions: client input */
void       ek_session_end (EkSession *s, EkCloseReason why);               /* at once */
void       ek_session_shutdown (EkSession *s);             /* the protocol says goodbye */
void       ek_session_tls_done (EkSession *s, int fd, const EkClient *facts);
/* Takes the stream out: the descriptor (still open), the unread bytes copied to *unread; the session ends
 * with EK_CLOSED_BY_US without touching the client. */
int        ek_session_detach (EkSession *s, EkBuf *unread);
void       ek_session_use (EkSession *s, EkGeneration *generation, gconstpointer options);   /* after a reload */
/* The configuration is another: host.renew() now, or as soon as the session is between commands. */
void       ek_session_renew (EkSession *s);
gpointer   ek_session_host_data (const EkSession *s);
void       ek_session_set_host_data (EkSession *s, gpointer data);
EkGeneration *ek_session_generation (const EkSession *s);
const EkProtocolOps *ek_session_protocol (const EkSession *s);
bool       ek_session_idle (const EkSession *s);           /* not waiting, no transaction, nothing unread or unsent */

/* Sessions of this process. */
guint      ek_sessions_count (void);
void       ek_sessions_each (void (*func) (EkSession *s, gpointer data), gpointer data);
/* A new event id: unique over all processes of this server's life. */
EkEventId  ek_event_new (void);

/* What store knows of a session's login; set before ek_session_begin(), in the session's pool. */
typedef struct {
  EkStr       tag;
  EkUser      user;
  EkIndex    *index;
  guint64     id, job_key;
} EkSessionLogin;
void                  ek_session_set_login (EkSession *s, const EkSessionLogin *login);
const EkSessionLogin *ek_session_get_login (const EkSession *s);

/* What the edge knows of a login. */
void ek_session_set_user (EkSession *s, const char *user, const char *mechanism, const char *master);   /* master may be NULL */
