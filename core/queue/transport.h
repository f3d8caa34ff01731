/* transport.h - the table of modules that carry messages out: the SMTP client and its like
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the relay role, on the loop (the table is evented).  queue chose the recipients of one message
 * that share a next hop; deliver() takes them there, reports each recipient by ek_hop_report(), then
 * completes the call.  Recipients that were not reported when it completes count as deferred with
 * the call's status and error.  Connections are kept and reused by the module.
 */
#pragma once
#include "queue/spool.h"

G_BEGIN_DECLS

typedef struct {                     /* one recipient under way */
  EkStr address, orcpt;
  guint8 notify;
} EkHopRcpt;

typedef struct {                     /* one delivery; lives until the call is done */
  EkQueueId       id;
  EkEventId       event;
  const char     *next_hop;          /* "example.com" (MX), "[192.0.2.1]:25", "[host]:587" (no MX) */
  EkStr           sender, envid;
  guint32         flags;             /* EK_MSG_8BIT ... */
  guint64         size;
  const EkHopRcpt *rcpts;
  guint           n_rcpts;
  const EkSpoolPart *parts;          /* the content: bytes in memory, or ranges of fd */
  guint           n_parts;
  int             fd;                /* -1: none */
  const char     *hostname;          /* what to say in EHLO */
  gpointer        core;
} EkHop;

typedef struct {                     /* what came of one recipient */
  EkStatus    status;                /* OK, DEFER, FAIL */
  const char *dsn;                   /* "2.0.0" */
  const char *reply;                 /* the remote's words: "250 2.0.0 Ok: queued as 1A" */
  const char *relay;                 /* "mx.example.com[192.0.2.1]:25" or "none" */
  gint64      connected, sent;       /* monotonic us: for delays=a/b/c/d; 0: not reached */
  bool        reports;               /* OK: the next hop was told NOTIFY=, so it tells the sender (RFC 3461 5.2.1) */
} EkHopResult;

/* Once for each recipient, by its index. */
void ek_hop_report (const EkHop *hop, guint rcpt, const EkHopResult *result);

struct EkTransportOps {
  EkStatus (*deliver) (EkInstance *self, EkCall *call, const EkHop *hop);
};

G_END_DECLS
