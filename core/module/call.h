/* call.h - how the core calls an operation of an instance, evented or blocking, in one way
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread.  A blocking module's operation becomes a job: on a job thread, with the connection that
 * connect() made for that thread and instance (kept; made again after it broke, with back-off between
 * 1 s and 1 min, in which time calls answer DEFER at once).  An evented one is called directly.  Either
 * way `done` runs exactly once, on the loop thread, never before ek_op_start() has returned.
 */
#pragma once
#include "module/generation.h"

typedef struct EkOp EkOp;

/* Calls the operation: `return self->module->map->lookup (self, call, &q->query, &q->answer);` */
typedef EkStatus (*EkOpRun) (EkInstance *self, EkCall *call, gpointer data);
/* The answer.  `call` and its pool live until this returns, unless ek_op_hold().  call->error says
 * why (borrowed); it has been logged. */
typedef void (*EkOpDone) (EkStatus status, EkCall *call, gpointer data);

/* `key`: calls with the same key run one after the other, in order (a user's name); NULL: in parallel.
 * `timeout` 0: none; when it runs out `done` gets DEFER.  A remote instance (or one that lacks the
 * table: `run` is told by the helpers below) gives DEFER with an error. */
EkOp *ek_op_start (EkInstance *self, const char *key, EkTime timeout, EkOpRun run, EkOpDone done, gpointer data);
/* The caller has lost interest: `done` will not run.  `data` must outlive the operation all the same, so
 * give it to the operation's pool (ek_op_pool) or a clean-up of it. */
void    ek_op_cancel (EkOp *op);
EkPool *ek_op_pool (EkOp *op);

/* On a job thread: the same without a job of its own, blocking, with this thread's connection.  Not for
 * evented modules (FAIL).  `pool` owns the answer; *error is the caller's. */
EkStatus ek_op_call (EkInstance *self, EkPool *pool, gint64 deadline, EkOpRun run, gpointer data, GError **error);
