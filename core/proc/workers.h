/* workers.h - master's worker processes: bringing one up, its neighbours, its end and restart
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/channel.h"
#include "proc/messages.h"
#include "proc/plan.h"

typedef enum {
  EK_WORKER_DOWN, EK_WORKER_STARTING, EK_WORKER_JOINED, EK_WORKER_READY, EK_WORKER_STOPPING,
} EkWorkerState;

typedef struct {                     /* a store worker of one system user: whose, and what it may reach */
  EkIdentity who;
  char      *home, *mail;            /* of his record; NULL: none */
  bool       shared;                 /* others with other homes have this uid too: what store reaches */
} EkUserPlace;

typedef struct {
  EkRole        role;                /* of a merged worker: the lowest one */
  guint32       bits;
  guint         index;
  char          name[32];            /* "edge.0" */
  EkWorkerState state;
  pid_t         pid;
  EkChannel    *channel;
  int           log;                 /* reading end of its log pipe: survives the log role */
  gint64        started;             /* monotonic us */
  gint64        delay;               /* us before the next restart */
  guint         restarts;
  guint         generations;         /* how many live there */
  EkTimer       restart;
  GPtrArray    *reach;               /* of EkReach: what this process got; NULL: not confined */
  bool          outdated;            /* it cannot load what the next generation needs */
  bool          replaced;            /* stops so that a new process gets more files */
  const EkUserPlace *place;          /* NULL: one of the plan's; borrowed (userstores.c) */
  guint64       born;                /* the generation of its start, whose files it may reach */
  guint64       configured;          /* the one it was last sent */
  guint64       active;              /* the one it was last told to go by */
  bool          owes;                /* an answer to the reload under way */
} EkWorker;

typedef struct {                     /* what the supervisor does when something happened to a worker */
  void (*ready) (EkWorker *worker);
  /* Before the first READY of all: the server does not start.  Later: it will be tried again. */
  void (*refused) (EkWorker *worker, const char *problems);
  void (*other_build) (EkWorker *worker);
  void (*message) (EkWorker *worker, EkMsg *msg);
  void (*gone) (EkWorker *worker, int status);
} EkWorkerHooks;

void       ek_workers_init (EkLoop *loop, const EkWorkerHooks *hooks);
/* Makes (not starts) the workers that the plan wants. */
void       ek_workers_plan (const EkPlan *plan);
GPtrArray *ek_workers (void);        /* of EkWorker */
/* Another one, not started. */
EkWorker  *ek_workers_add (guint32 bits, EkRole role, guint index);
/* What it may reach by this plan, of EkReach: g_ptr_array_unref. */
GPtrArray *ek_worker_reach (const EkWorker *worker, const EkPlan *plan, bool look);
EkWorker  *ek_workers_find (EkRole role, guint index);     /* NULL: none such */
bool       ek_worker_start (EkWorker *worker, const EkPlan *plan, guint64 generation);
void       ek_worker_stop (EkWorker *worker, gint64 ms);
/* waitpid() said so. */
void       ek_worker_ended (EkWorker *worker, int status, const EkPlan *plan, bool restart);
/* Sends the configuration of its roles; `func` gets the answer of EK_M_GENERATION. */
void       ek_worker_configure (EkWorker *worker, const EkPlan *plan, guint64 generation, EkAnswerFunc func, gpointer data);
void       ek_worker_listeners (EkWorker *worker, const EkPlan *plan);
void       ek_worker_unlisten (EkWorker *worker, const EkPlan *plan);  /* all of them: it accepts nobody else */
void       ek_worker_secrets (EkWorker *worker, const EkPlan *plan);   /* certificates, ticket keys: tls alone; the key of noise: directory */
void       ek_workers_set_log (int fd);          /* reading end of master's own log pipe; taken */
/* From now on this plan counts, in place of `old`: workers that were sent it activate it; those that came up meanwhile are sent it
 * as soon as they are ready, and each gets its listeners and certificates then. */
void       ek_workers_use (const EkPlan *plan, guint64 generation, const EkPlan *old);
void       ek_workers_reopen_log (void);
/* Asks those that go by it now to say so; how many were asked.  `func` runs once for each of them, with a NULL message for one that died. */
guint      ek_workers_in_force (EkAnswerFunc func, gpointer data);
/* The plan of this number, which workers were sent, will not be used. */
void       ek_workers_forget (guint64 generation);
bool       ek_worker_wants (const EkWorker *worker, const EkPlanSocket *socket);
void       ek_workers_rotate_tickets (void);     /* a new key first, the one before it kept */
void       ek_workers_free (void);
