/* directory.h - the directory role: who is who, where mail goes, whose password is right
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "flow/domain.h"
#include "proc/role.h"

extern const EkRoleOps ek_directory_role;

typedef struct {                     /* what became of a user lookup; borrowed until the callback returns */
  EkStatus            status;        /* OK, NOTFOUND (our domain, nobody of that name), DEFER */
  const EkDomainConf *domain;        /* NULL: not our domain (status OK) */
  const char         *domain_name;
  const char         *key;           /* canonical name */
  const EkUser       *user;          /* with OK and a local domain */
  EkGeneration       *generation;    /* whose domain it is: who keeps that holds it */
} EkUserFound;

typedef void (*EkUserFunc) (const EkUserFound *found, gpointer data);

/* Finds the domain of an address or login and asks its userdbs, with the cache.  func may run before this returns. */
void  ek_directory_user (EkStr address, EkUserFunc func, gpointer data);

/* directoryalias.c: what RCPT wants to know of an address, its aliases followed. */
typedef struct {                     /* borrowed until the callback returns */
  EkStatus            status;        /* OK, NOTFOUND (our domain, nobody of that name), DEFER */
  const EkDomainConf *domain;        /* NULL: not our domain (status OK) */
  const char         *domain_name;
  const char         *wrong;         /* why its user's mail cannot be delivered now; NULL: it can */
  guint               n_targets;     /* who gets the mail in its place; 0: itself */
  const char *const  *targets;
} EkRcptFound;
typedef void (*EkRcptFunc) (const EkRcptFound *found, gpointer data);
/* func may run before this returns.  `aliases_only`: in a domain without aliases nobody is looked for, status is OK. */
void  ek_directory_rcpt (EkStr address, bool aliases_only, EkRcptFunc func, gpointer data);
void  ek_directory_rcpts_configure (EkGeneration *gen);
void  ek_directory_rcpts_end (void);

/* directoryroute.c: EK_D_ROUTE */
void  ek_directory_route (EkMsg *msg, guint queue);
void  ek_directory_routes_end (void);

/* userstore.c: the store worker that owns a user's mailboxes. */
typedef struct EkStoreAsk EkStoreAsk;
/* OK, and its index; or DEFER and why, which is in the log already.  Borrowed until it returns. */
typedef void (*EkStoreFunc) (EkStatus status, guint index, const char *why, gpointer data);
/* NULL: func ran already.  Else master has to bring one up. */
EkStoreAsk *ek_directory_store (const EkUser *user, EkStoreFunc func, gpointer data);
void  ek_directory_store_cancel (EkStoreAsk *ask);         /* func will not run; NULL: nothing */
bool  ek_directory_own_store (const EkUser *user);         /* whether it is one of his own uid */
/* Why he can have none: g_free.  NULL: nothing is wrong, or he needs none. */
char *ek_directory_store_wrong (EkGeneration *gen, const EkUser *user);
void  ek_directory_master (EkMsg *msg);
void  ek_directory_stores_start (void);
void  ek_directory_stores_end (void);

void  ek_directory_users_start (void);
void  ek_directory_users_configure (EkGeneration *gen);
void  ek_directory_users_end (void);

/* directoryname.c: a name's canonical form and its domain */
typedef struct {
  const char         *key;           /* without the tag */
  const char         *full;          /* with it */
  const char         *domain_name;
  const EkDomainConf *domain;        /* NULL: not ours */
} EkName;
typedef struct EkNaming EkNaming;
/* OK; NOTFOUND: no name at all; DEFER: nobody can tell now whether the domain is ours.  The domain is one of the generation that
 * ek_role_generation() was at the question: who keeps it has to hold that. */
typedef void (*EkNamed) (EkStatus status, const EkName *name, gpointer data);
/* NULL: func ran already.  Strings live in the pool. */
EkNaming *ek_directory_name (EkPool *pool, EkStr address, EkNamed func, gpointer data);
void  ek_directory_name_cancel (EkNaming *naming);         /* func will not run; NULL: nothing */
const char *ek_directory_default_domain (void);            /* NULL: there is none */
bool  ek_directory_is_default (const char *domain);        /* the one that names without a domain are in */
/* The block that it is of; NULL: of an earlier generation. */
const EkBlockValues *ek_directory_block (const EkDomainConf *domain);
void  ek_directory_names_configure (EkGeneration *gen);
void  ek_directory_names_end (void);

/* directorymap.c: EK_D_MAP of an edge */
void  ek_directory_map_start (void);
void  ek_directory_map (EkMsg *msg, guint edge, EkGeneration *gen);
void  ek_directory_map_end (void);
/* directoryauth.c */
struct EkAuth *ek_directory_auth_state (void);
void  ek_directory_auth_start (void);
void  ek_directory_auth_configure (EkGeneration *gen);
void  ek_directory_auth (EkMsg *msg, guint edge);
void  ek_directory_auth_gone (guint edge);
void  ek_directory_auth_end (void);
