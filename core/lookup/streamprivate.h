/* streamprivate.h - what the stream's files share; others see stream.h
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/base.h"
#include "lookup/dial.h"
#include "lookup/stream.h"
#include <openssl/ssl.h>

struct EkStream {
  int           fd;                  /* -1: bytes in memory */
  SSL          *ssl;                 /* NULL: none */
  const EkStreamServer *server;
  EkBuf         in;
  gsize         taken;               /* of `in`: given by the last read, dropped by the next */
  gsize         budget;              /* bytes that this question may still read */
  gint64        deadline;            /* monotonic us */
  const EkCall *call;                /* the question's, or NULL */
};

typedef enum { EK_MOVED, EK_BLOCKED, EK_CLOSED, EK_BROKEN } EkMoved;

/* Says why (an errno value, or one of ek_dial_wait()'s), and is false. */
bool ek_stream_failed (const EkStream *s, int why, GError **error);
/* Waits for one of the events; false at the deadline. */
bool ek_stream_wait (const EkStream *s, short events, GError **error);

/* ---- streamtls.c ---- */

/* The handshake, with verification as the settings say. */
bool    ek_stream_tls_start (EkStream *s, const EkStreamInstance *self, GError **error);
EkMoved ek_stream_tls_move (EkStream *s, bool out, char *bytes, gsize n, gsize *moved, short *events);
/* Is nothing there to be read, and the connection open? */
bool    ek_stream_tls_is_quiet (EkStream *s);
const char *ek_stream_tls_reason (void);           /* of the last failure */
