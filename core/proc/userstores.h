/* userstores.h - store workers of system users: one a uid (and gid), started when directory asks for it, ended when idle
 * SPDX-License-Identifier: Apache-2.0
 *
 * A user whose record names a uid other than the mailbox owner's (roles.user_store) has his mail handled by a process of that
 * uid, which the kernel keeps to his own files.  directory asks for it; master makes it, under an index above those of the
 * configured store workers, joins it to its neighbours and answers the index once it is ready.  Whoever asks at the same time
 * waits with him.  An index stays its uid's while others are free, so an answer that is some seconds old is right in most cases;
 * where it is not, the neighbour finds no channel under it and asks again, and a worker refuses what is another uid's.
 *
 * The end of an idle one, so that nobody is sent to a process that ends: the worker tells master; master has every directory
 * forget the index, and one that gave it out a moment ago says no; then the worker is asked to end, and says no when something
 * has come meanwhile.
 *
 * All but ek_user_store_wrong() and the constants: master alone.
 */
#pragma once
#include "proc/workers.h"

/* Why a record's uid and gid can have no worker, naming the option: g_free.  NULL: nothing is wrong. */
char *ek_user_store_wrong (const EkRolesConf *roles, gint64 uid, gint64 gid);

/* The mailbox owner's uid; -1: there are no user stores (no root, one process, roles.user_stores = 0). */
gint64 ek_user_stores_owner (const EkPlan *plan);
/* One log line where the configuration wants them and they cannot be. */
void   ek_user_stores_init (EkLoop *loop, const EkPlan *plan);
/* From now on: the plan and generation that counts. */
void   ek_user_stores_use (const EkPlan *plan, guint64 generation);
/* A message of a worker that is for us: false when it is not. */
bool   ek_user_stores_message (EkWorker *worker, EkMsg *msg);
/* What happens to a worker with a place (workers.h). */
void   ek_user_stores_ready (EkWorker *worker);
bool   ek_user_stores_restart (const EkWorker *worker, int status);    /* whether one that ended is wanted again */
bool   ek_user_stores_gone (EkWorker *worker, int status);             /* after that; true: its end was no accident */
void   ek_user_stores_stop (void);   /* none is started or ended by us any more */
void   ek_user_stores_end (void);
