/* lines.h - between sched.c and lines.c: recipients that have a way join a line, and come back from it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread of queue.  What the other files of queue may call of both stands in queue.h.
 */
#pragma once
#include "queue/queue.h"

/* ---- lines.c ---- */

void ek_lines_start (void);
void ek_lines_end (void);            /* what is under way is freed by ek_parcel_ended() */
void ek_lines_wake (void);           /* a worker is there: all lines are looked at */
/* Puts a recipient behind the destination of its way, with others of its message where they can travel together.
 * `replay`: a delivery may have been made before a crash; `asked`: an administrator wants it tried, dead next hop or
 * not.  False: the line is full, it has to wait in the spool. */
bool ek_lines_add (EkSpoolMessage *message, guint rcpt, const EkRoute *route, bool replay, bool asked);

/* ---- sched.c ---- */

/* They are no longer in a line or under way. */
void ek_sched_idle (EkSpoolMessage *message, const guint *rcpts, guint n);
/* It was in a line and has another way now, which is not a store worker. */
void ek_sched_moved (EkSpoolMessage *message, guint rcpt, const EkRoute *route, bool replay);
