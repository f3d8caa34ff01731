/* confine.h - what the kernel refuses a role beyond its uid: system calls (seccomp), files and ports (landlock)
 * SPDX-License-Identifier: Apache-2.0
 *
 * seccomp takes away what no mail server does (debugging others, mounting, kernel modules, namespaces, bpf, io_uring, running
 * programs ...) and the socket families that the role has no use for.  It lists what is denied, not what is allowed: a new libc or
 * a module's library must not turn into an outage.  A denied call fails with EPERM (EAFNOSUPPORT for sockets, ENOSYS for clone3).
 *
 * landlock leaves a role the files of its row in docs/architecture.md, which master reads off the configuration (reach.c).  A
 * process can never get back what it gave up, so a reload that needs more has master replace the worker.
 */
#pragma once
#include "conf/conf.h"
#include "module/registry.h"

typedef enum {
  EK_REACH_READ  = 1,
  EK_REACH_WRITE = 2,                /* make, change and remove too */
  EK_REACH_RUN   = 4,                /* and execute */
  EK_REACH_FOUND = 8,                /* not named by the configuration, but seen beside what is another role's */
} EkReachHow;

typedef struct {
  char *path;                        /* a folder with all below it, or a file */
  guint how;
} EkReach;

/* Whether this kernel has them. */
int  ek_confine_landlock (void);     /* its ABI; under 2: not usable here */
bool ek_confine_seccomp (void);

/* Gives up everything but `reach`.  For the whole life of the process, so before any other thread is started; no_new_privs is
 * set already.  Without a usable landlock: does nothing. */
bool ek_confine_files (guint32 roles, const GPtrArray *reach, GError **error);
/* The system calls.  The very last step. */
bool ek_confine_calls (guint32 roles, GError **error);

/* Any thread: whether this process may write below an absolute path as far as landlock is concerned.  True when not confined. */
bool ek_confine_reaches (const char *path);

/* ---- reach.c, in master ---- */

/* What the workers of these roles need, of EkReach.  `extra`: roles.paths, "ROLE:/path".  `look`: with what is found for store by
 * looking around; a comparison does without. */
GPtrArray *ek_reach_new (const EkConf *conf, guint32 roles, const char *state_dir, const char *run_dir, char **extra, bool look);
/* What the store worker of one system user needs: his home and mail location, and where the configuration has mailboxes
 * (his uid says which of those are his). */
GPtrArray *ek_reach_user (const EkConf *conf, const char *home, const char *mail);
/* Whether everything that the configuration names in `more` is covered by `have` already: folders that come and go are no reason
 * to replace a process. */
bool       ek_reach_covers (const GPtrArray *have, const GPtrArray *more);
bool       ek_reach_parse (const char *extra, EkRole *role, const char **path);    /* one item of roles.paths */
