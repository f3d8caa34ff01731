/* plan.h - what master reads off a checked configuration: processes, sockets, certificates
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/blocks.h"
#include "proc/priv.h"
#include <sys/socket.h>

typedef struct {
  char                   *listener;  /* name of its block */
  char                   *address;   /* "0.0.0.0:25": how it is told to the roles */
  struct sockaddr_storage at;
  int                     backlog;
  EkRole                  role;      /* who accepts: tls or edge */
  bool                    login;     /* its clients log in to a mailbox: which edges */
  int                     fd;        /* -1: not bound yet */
} EkPlanSocket;

typedef struct {
  const EkConfBlock *block;
  char  *name;
  char **names;                      /* SNI names; in the plan's pool */
  const char *chain_path, *key_path;
  char  *chain, *key;                /* PEM, read as root; the key is wiped on free */
} EkPlanCertificate;

typedef struct {
  EkPool     *pool;                  /* owns the values */
  EkConf     *conf;
  bool        only_check;            /* files that cannot be read are passed over */
  EkTopConf   top;
  EkRolesConf roles;
  EkLevel     log_level;
  EkTlsConf   tls;
  char       *hostname;
  GPtrArray  *sockets;               /* of EkPlanSocket */
  GPtrArray  *certificates;          /* of EkPlanCertificate */
  guint       workers[EK_N_ROLES];
  EkIdentity  who[EK_N_ROLES];
} EkPlan;

/* Reads, checks (in a child) and resolves.  NULL: the errors are in `problems`. */
EkPlan *ek_plan_new (const char *conf_path, EkProblems *problems);
/* What the workers of these roles may reach: of EkReach (proc/confine.h), g_ptr_array_unref. */
GPtrArray *ek_plan_reach (const EkPlan *plan, guint32 roles, bool look);
/* The certificates and what listeners want of them, by whoever asks: files that he may not read are not his to check. */
void    ek_plan_check_certificates (EkConf *conf, EkProblems *problems);
/* What a running server does not change (processes, their users, whether uids have their own) is in `next` as it is in `old`.  NULL:
 * nothing differed; else a line for each option that does, which the log has been told too: g_free. */
char   *ek_plan_keep (EkPlan *next, const EkPlan *old);
void    ek_plan_free (EkPlan *plan);             /* closes the sockets it still has */
