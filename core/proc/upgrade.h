/* upgrade.h - the program on disk takes over: whether it could start is asked first, then it is run with the same sockets
 * SPDX-License-Identifier: Apache-2.0
 *
 * master alone.  Nothing here blocks but ek_upgrade_end(), which waits for the end of a process that it has killed.
 */
#pragma once
#include "loop/loop.h"
#include "proc/plan.h"
#include <sys/types.h>

typedef void (*EkUpgradeFunc) (const char *why);

/* Runs the program that is on disk now with --check, 60 s at most; `func` is called when it has ended: NULL, it can start; else what
 * it said, borrowed.  One at a time: not while ek_upgrade_asking().  false: it could not be run, and func is not called. */
bool ek_upgrade_ask (EkLoop *loop, const char *conf_path, EkUpgradeFunc func, GError **error);
bool ek_upgrade_asking (void);
/* waitpid() said so.  false: that process is not ours. */
bool ek_upgrade_ended (pid_t pid, int status);
void ek_upgrade_end (void);          /* a question that is under way is forgotten */
/* Runs it in place of this process, with the plan's sockets; returns only when that fails, which it says on stderr. */
void ek_upgrade_run (const char *conf_path, const EkPlan *plan);
/* ekidend --check: would this configuration start with this program?  Says on stderr what not; the exit status. */
int  ek_upgrade_answer (const char *conf_path);
