/* deliver.h - puts a message from the queue into a mailbox
 * SPDX-License-Identifier: Apache-2.0
 *
 * Needs no ownership of the mailbox and no open index: any job thread, several at once for one user.
 * The file is named after (queue id, recipient, action, time of the log record), so that a delivery
 * that is repeated after a crash finds what the first one left, under any flags, and accepts it only
 * if every byte is there; else it is written again under the same name. */
#pragma once
#include "index/box.h"
#include "index/syncer.h"

G_BEGIN_DECLS

typedef struct {                     /* a piece of the message, in order: memory, or part of a file */
  EkStr   bytes;                     /* p NULL: read fd instead */
  int     fd;
  guint64 offset, length;
} EkPiece;

typedef struct {
  guint64     queue_id;
  guint32     rcpt, action;          /* ordinals within the queue entry and its plan */
  gint64      time;                  /* wall clock us, as the log has it: never "now" */
  const EkPiece *pieces;             /* Return-Path and Delivered-To lines are the first, by the caller */
  guint       n_pieces;
  const char *folder;                /* NULL: INBOX */
  bool        create;                /* the folder, when it is missing (else NOTFOUND) */
  guint32     flags;                 /* EK_FLAGS_STORED (Sieve's imap4flags) */
  const char *const *keywords;       /* NULL-terminated or NULL */
  bool        replay;                /* an attempt was started before: look for its file first */
  bool        rewrite;               /* ... whose sync failed: never accept it, write it again */
  bool        guarded;               /* ek_delivery_retired() will follow: until then the message is
                                        neither expunged nor moved (that waits) */
} EkDelivery;

/* OK: written (or found complete), and func follows exactly once from the syncer's thread, perhaps before
 * this returns: it may free `delivery` and drop the last reference to ix.  NOTFOUND: no such folder.  DEFER, FAIL: nothing was
 * written, func is not called. */
EkStatus ek_deliver (EkIndex *ix, EkSyncer *syncer, const EkDelivery *delivery, EkSyncedFunc func,
                     gpointer data, GError **error);

/* The queue's `done` record is durable, or the queue gave up: the message is the mailbox's alone. */
void ek_delivery_retired (EkIndexes *set, guint64 queue_id, guint32 rcpt, guint32 action);

/* Asked from any thread, with a lock held: it may only post.  ek_delivery_retired() (action 0) is the answer, however late. */
typedef void (*EkAskFunc) (guint64 queue_id, guint32 rcpt, gpointer data);
/* From now on deliveries that this process did not make are in doubt: before one is expunged or moved `ask` is called
 * and the answer waited for.  Before any index is opened. */
void ek_indexes_ask (EkIndexes *set, EkAskFunc ask, gpointer data);
/* A queue is there (again): only messages with these ids are in doubt, none when first > last.  What is still without
 * an answer is asked again. */
void ek_deliveries_unsure (EkIndexes *set, guint64 first, guint64 last);

/* The base name of its file, as any program sees it up to ",S=" or ":2,". */
#define EK_DELIVERY_BASE_MAX 96
void ek_delivery_base (const EkDelivery *delivery, char *into, gsize n);

/* Whether a base name (without sizes and flags) is one of ours; *queue_id and *rcpt are the delivery's. */
bool ek_delivery_base_parse (EkStr base, guint64 *queue_id, guint32 *rcpt);

/* The base name's part that tells deliveries apart: "M123456Q0123456789ABCDEFR1A0"; into is >= 64 bytes. */
void ek_delivery_key (const EkDelivery *delivery, char *into, gsize n);

G_END_DECLS
