/* role.h - what a worker process is made of: its roles, their peers, its generation
 * SPDX-License-Identifier: Apache-2.0
 *
 * A worker hosts one role, or several in the merged layout.  Each role is an EkRoleOps: the host
 * calls it as the worker comes up, as peers come and go, on reload and at the end.  All of it on the
 * loop thread.
 */
#pragma once
#include "loop/job.h"
#include "module/generation.h"
#include "proc/channel.h"
#include "proc/messages.h"

#define EK_INDEX_MAX 1023            /* a worker's index is at most this */

typedef struct {
  EkRole  role;
  /* The worker's rights are dropped and the generation is started. */
  bool  (*start) (GError **error);
  /* Sessions that begin from now on use `gen` (ek_role_generation() gives it already). */
  void  (*reload) (void);
  /* Messages of a peer; `index` is the peer's. */
  void  (*message) (EkRole peer, guint index, EkMsg *msg);
  /* Its channel is here.  It may still be starting, and may fail at that: peer_ready() tells that it works. */
  void  (*peer_up) (EkRole peer, guint index, EkChannel *channel);
  void  (*peer_ready) (EkRole peer, guint index);            /* after peer_up */
  void  (*peer_gone) (EkRole peer, guint index);             /* its channel is freed after this */
  /* Takes the descriptor.  login: its clients log in to a mailbox. */
  void  (*listener) (const char *listener, const char *address, bool login, int fd);
  void  (*unlisten) (const char *listener, const char *address);
  void  (*master) (EkMsg *msg);                  /* messages of master that the host does not know */
  /* Take no new work; call ek_role_done() when nothing is under way, at the latest at the deadline. */
  void  (*stop) (gint64 deadline_us);
  void  (*end) (void);                           /* last call: free everything */
} EkRoleOps;

void ek_role_register (const EkRoleOps *ops);    /* static; at start-up, before ek_worker_main() */

/* ---- for the roles ---- */

EkLoop       *ek_role_loop (void);
EkJobPool    *ek_role_jobs (void);               /* this worker's job threads */
EkGeneration *ek_role_generation (void);         /* the current one; NULL before start */
EkChannel    *ek_role_peer (EkRole own, EkRole peer, guint index);    /* NULL: not there (now) */
guint         ek_role_peer_index (EkChannel *channel);     /* of a peer's channel */
bool          ek_role_peer_ready (EkChannel *channel);     /* of a peer's channel: peer_ready() was called */
/* Any live worker of that role, spread round-robin; NULL: none. */
EkChannel    *ek_role_any (EkRole own, EkRole peer);
/* The same among those with first <= index < last; among all when none of them is there. */
EkChannel    *ek_role_any_of (EkRole own, EkRole peer, guint first, guint last);
guint         ek_role_peers (EkRole own, EkRole peer);     /* how many are there */
guint         ek_role_workers (EkRole role);     /* how many master runs, there or not (stores: for slots) */
guint         ek_role_index (void);              /* this worker's own */
const char   *ek_role_hostname (void);
bool          ek_role_here (EkRole role);        /* lives in this process */
bool          ek_role_stopping (void);
void          ek_role_done (EkRole role);        /* after stop() */
EkChannel    *ek_role_master (void);

/* ---- for main() ---- */

/* The process was re-executed by master: descriptor 3 is the channel to it, 4 the log pipe. */
int  ek_worker_main (const char *name);

/* For tests: all the roles of `bits` in this process, without master, listeners or dropped rights, on `loop`.
 * `conf` is the configuration's text.  False: problems on stderr. */
bool ek_worker_embed (EkLoop *loop, guint32 bits, const char *conf_text, GError **error);
void ek_worker_unembed (void);
