/* syncer.h - makes many delivered files durable at the price of few syncs
 * SPDX-License-Identifier: Apache-2.0
 *
 * A delivery writes its file without a sync and hands descriptor and folder to the syncer.  What was
 * handed over while one epoch was being synced makes the next: writeback is started on all its files,
 * then each is synced, then each folder once; then every delivery of the epoch gets its own answer.
 * A large epoch waits for the bytes of each file (whose errors are told for each) and then syncs the
 * file system once, which costs a third: one journal commit and one flush instead of one for each file
 * and folder.  One thread for each file system, started when it is first needed. */
#pragma once
#include <ekiden/ekiden.h>

G_BEGIN_DECLS

typedef struct EkSyncer EkSyncer;

/* On the syncer's thread: hand it to your loop, do not work here.  OK: survives power loss.  DEFER: the
 * sync of this file or of its folder failed and the file must be written again (as a new file: what
 * the kernel says about the old one later is worth nothing). */
typedef void (*EkSyncedFunc) (EkStatus status, const GError *error, gpointer data);

EkSyncer *ek_syncer_new (guint pending_max);              /* files waiting on one file system; 0: 1024 */
void      ek_syncer_free (EkSyncer *syncer);              /* finishes what it has; NULL is fine */

/* Any thread.  Takes fd (closes it).  `folders` are the paths to sync after the file, NULL-terminated and
 * copied, on the same file system.  func is called exactly once if and only if this returns OK.  Waits
 * while pending_max files are waiting. */
EkStatus ek_syncer_add (EkSyncer *syncer, int fd, const char *const *folders, EkSyncedFunc func, gpointer data,
                        GError **error);

typedef struct { guint64 epochs, files, syncs, failures; } EkSyncerCounts;     /* syncs: calls of the kernel */
void ek_syncer_counts (EkSyncer *syncer, EkSyncerCounts *counts);   /* any thread */

G_END_DECLS
