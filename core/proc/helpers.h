/* helpers.h - programs that do for directory what needs rights (PAM): started by master when it asks
 * SPDX-License-Identifier: Apache-2.0
 *
 * A helper belongs to a block of the configuration, and gets that block's settings from master, never from directory: who has broken
 * into directory can have the helpers that the configuration names, and tell them what he likes over their sockets, no more.
 */
#pragma once
#include "proc/workers.h"

/* A message that is for us; false when it is not. */
bool ek_helpers_message (EkWorker *worker, EkMsg *msg, const EkPlan *plan);
/* A child that ended: was it one? */
bool ek_helpers_ended (pid_t pid);
