/* call.h - how the core calls an operation of an instance, evented or blocking, in one way
 * SPDX-License-Identifier: Apache-2.0
 *
 *   EkOp *op = ek_op_new (instance);
 *   EkLookup *q = ek_pool_new0 (ek_op_pool (op), EkLookup);      // what run() reads and writes
 *   q->query.key = ek_pool_str (ek_op_pool (op), key);
 *   ek_op_start (op, 0, timeout, ek_run_lookup, q, looked_up, session);
 *
 * Loop thread.  A blocking module's operation becomes a job: on a job thread, with a connection that
 * connect() made there.  An instance that waits for a server has threads of its own, as many as its block's
 * `connections` says, and so hangs alone; all others share the process's.  Connections are kept for each thread and
 * instance.  An operation that answers DEFER gives up its connection; when that was an old one, it is tried once more with a
 * new one (the server may have closed it).  After a failed connect() calls answer DEFER at once, for half a
 * second, then a second, then two; when that is over one of them tries again, and until it has come through all others
 * still do.  So a dead database holds up no more than one question at a time and is soon back.  An evented operation is called
 * directly, and so is a mere lookup in a table that is in memory (EK_AT_HAND).  Either way `done` runs exactly once, on the loop
 * thread, never before ek_op_start() has returned.  An operation holds its instance's generation.
 */
#pragma once
#include "loop/job.h"
#include "module/generation.h"

typedef struct EkOp EkOp;

/* Calls the operation: `return self->module->map->lookup (self, call, &q->query, &q->answer);`.  It may
 * still run when `done` has told of a time-out or the caller has cancelled, so `data` and all that it
 * points to lie in the operation's pool. */
typedef EkStatus (*EkOpRun) (EkInstance *self, EkCall *call, gpointer data);
/* The answer.  `data` and the pool live until this returns (after a time-out: are not to be read).
 * `why` is the module's reason or NULL; it has been logged. */
typedef void (*EkOpDone) (EkStatus status, gpointer data, const GError *why, gpointer user);

/* The threads of this process; once, before the first call, and NULL before they go. */
void    ek_op_use_jobs (EkJobPool *jobs);

EkOp   *ek_op_new (EkInstance *self);
EkPool *ek_op_pool (EkOp *op);
/* Starts, and from then owns, the operation.  Jobs with the same `key` (not 0) run one after the other, in
 * order, on the threads that they share: ek_hash64() of a user's name.  `timeout` 0: none; when it runs out `done` gets DEFER.  A
 * remote instance gives DEFER. */
void    ek_op_start (EkOp *op, guint64 key, EkTime timeout, EkOpRun run, gpointer data, EkOpDone done, gpointer user);
/* Before the start: it changes nothing, so where the answer is at hand (EK_AT_HAND) it runs on the loop. */
void    ek_op_reads (EkOp *op);
/* The caller has lost interest: `done` will not run.  Not after `done`. */
void    ek_op_cancel (EkOp *op);

/* On a job thread: the same at once, blocking, with this thread's connection.  Not for evented modules
 * (FAIL: they work on the loop).  `pool` owns the answer; deadline 0: none. */
EkStatus ek_op_call (EkInstance *self, EkPool *pool, gint64 deadline, EkOpRun run, gpointer data, GError **error);

/* ---- what is called most; DEFER when the instance lacks the table ---- */

typedef struct { EkQuery query; EkAnswer answer; } EkLookup;                /* map */
typedef struct { const char *name; EkUser user; } EkUserLookup;            /* userdb */

EkStatus ek_run_lookup (EkInstance *self, EkCall *call, gpointer lookup);
EkStatus ek_run_user (EkInstance *self, EkCall *call, gpointer user_lookup);
