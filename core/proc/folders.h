/* folders.h - the folders that roles find at their start, and master's pid file
 * SPDX-License-Identifier: Apache-2.0
 *
 * master alone, before the first worker.
 */
#pragma once
#include "proc/plan.h"

/* state_dir, run_dir, the empty root and what roles own below them: made where missing, given to their role while root's. */
bool ek_folders_make (const EkPlan *plan, GError **error);
/* Takes the lock that one server has on its run_dir, until this process ends. */
bool ek_folders_write_pid (const EkPlan *plan, GError **error);
