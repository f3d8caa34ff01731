/* sessionprivate.h - what the files of flow/session.h share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "flow/session.h"

#define EK_SESSION_LOW_WATER 16384   /* unsent bytes, below which drained() is due */

struct EkSession {
  EkWatch        watch;
  EkTimer        timer;
  EkTask         task;
  EkLoop        *loop;
  GList          link;               /* in the list of all */
  const EkProtocolOps *ops;
  gconstpointer  options;
  EkGeneration  *generation;
  EkSessionHost  host;
  gpointer       host_data;
  EkPool        *pool;
  EkClient       client;
  const char    *listener, *hostname;
  EkEventId      event;
  EkBuf          in, out;
  gint64         idle;               /* us; 0: none */
  guint          refs, idle_refs;    /* whoever works for it holds one; of them those that owe it no answer */
  EkCloseReason  why;
  bool waiting, in_input, closing, closed, eof, starttls, tls_possible, above, blocked, lingering, resumed, stale, transaction;
  const char    *user, *mechanism, *master;
  const EkSessionLogin *login;
  char           state[] __attribute__ ((aligned (16)));
};

/* sessionio.c */
void  ek_session_soon (EkSession *s);          /* what is owed is done at the end of the loop's turn */
void  ek_session_readable (EkWatch *watch, guint32 events);
void  ek_session_digest (EkSession *s, const char *bytes, gsize n);    /* may end the session */
bool  ek_session_flush (EkSession *s);         /* false: the stream is broken and the session ended */
bool  ek_session_may_read (const EkSession *s);          /* whether the protocol wants bytes now */
void  ek_session_watch_for (EkSession *s);     /* sets the watch to what is awaited of the client */
void  ek_session_restart_timer (EkSession *s);
