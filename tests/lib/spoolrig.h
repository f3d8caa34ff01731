/* spoolrig.h - a spool with a small loop around it, for tests and benchmarks
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "../../modules/spool/impl.h"

typedef struct {
  EkSpool   *spool;
  int        event;                  /* wake() makes it readable */
  GPtrArray *live;                   /* EkSpoolMessage, as open() told them */
  GString   *reports;                /* all lines, each with its level in front */
  guint      alarms;                 /* EK_ERR */
  bool       echo;                   /* print reports too */
} Rig;

typedef struct {                     /* a call that remembers its end */
  EkCall   call;
  bool     done;
  EkStatus status;
} RigCall;

#define RIG_SEGMENT (256u * 1024)

SpoolOptions rig_options (const char *dir);
bool     rig_open (Rig *rig, const SpoolOptions *options, guint64 size_limit, GError **error);
void     rig_close (Rig *rig);
void     rig_turn (Rig *rig, int ms);                      /* one turn of the loop, waits so long at most */
EkStatus rig_wait (Rig *rig, RigCall *call, EkStatus first);   /* until it is done; frees error; 10 s at most */
bool     rig_until (Rig *rig, bool (*test) (Rig *, gpointer), gpointer data, int ms);
void     rig_call (RigCall *call);                         /* prepares one */

/* Submits one message to one recipient and waits: its id, or 0. */
EkQueueId rig_submit (Rig *rig, const char *sender, const char *rcpt, EkStr body);
EkStatus rig_submit_new (Rig *rig, EkSpoolNew *message);   /* fills in id; waits */
EkStatus rig_act (Rig *rig, EkSpoolMessage *message, const EkSpoolAct *act, bool sync);
char    *rig_content (Rig *rig, EkSpoolMessage *message, gsize *n);   /* all of it, or NULL */
void     rig_rmtree (const char *dir);
