/* reload.h - a new configuration: every worker looks at it, then it is in force for all, or for none
 * SPDX-License-Identifier: Apache-2.0
 *
 * First each worker is sent its part and says whether it can go by it.  When all can, the plan is master's, and each worker is told to
 * go by it and says when it does.  A worker that answers nothing for roles.reload_timeout ends the wait: in the first half the reload
 * fails, in the second the plan is in force without its word.
 */
#pragma once
#include "proc/workers.h"

typedef struct {
  /* The plan is master's now: makes it the one in force, tells the workers, and frees the one before. */
  void (*use) (EkPlan *plan);
  /* Every worker goes by it, or has not said so in time. */
  void (*settled) (void);
  /* SIGHUP came while a reload was under way: begins another, reading the files anew. */
  void (*again) (void);
} EkReloadHooks;

void ek_reload_init (EkLoop *loop, const EkReloadHooks *hooks);
bool ek_reload_under_way (void);
/* Begins: `plan` (taken) shall follow `now` (borrowed), whose number is `generation`. */
void ek_reload_begin (EkPlan *plan, const EkPlan *now, guint64 generation);
/* When this one has ended the files shall be read once more: it may have read them before they were what they are now. */
void ek_reload_once_more (void);
/* In its first half; else nothing happens: nothing changes, and whoever asked is told why. */
void ek_reload_fail (const char *who, const char *why);
/* The server stops. */
void ek_reload_end (void);
