/* domain.h - domains and what each is bound to, and where other mail goes
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "module/generation.h"

typedef struct {                     /* domain "example.com" { } */
  EkInstance  *names;                /* a map: this block stands for each domain that it knows */
  EkInstance **aliases;              /* maps: who gets an address's mail in its place */
  EkInstance **auth;                 /* passdbs, asked in this order */
  EkInstance **users;                /* userdbs; empty: those of `auth` that are userdbs too */
  EkInstance  *mailboxes;            /* in directory a remote instance: its name counts */
  EkInstance  *transport;            /* not local: passed on */
  const char  *next_hop;
  const char  *tag_delimiters;
  bool         fold_case;
  char       **user_results;         /* auth/result.h */
  bool         prefetch;
} EkDomainConf;

typedef struct {                     /* routing { }: mail for other people's domains */
  EkInstance *transport;
  EkInstance **transports;           /* maps: where an address's or a domain's mail goes */
  const char *tag_delimiters;        /* of addresses in other people's domains, for transports alone */
  const char *relayhost;
  const char *default_domain;
  const char *postmaster;            /* who gets postmaster's mail where nobody has that name; NULL: nobody */
  EkTime      cache, cache_stale;
} EkRoutingConf;

extern const EkBlockType ek_domain_block, ek_routing_block;
void ek_domain_blocks_register (void);

/* The conf of a domain (its key form), NULL when it is not ours. */
const EkDomainConf *ek_domain_find (EkGeneration *gen, const char *domain);
typedef struct {                     /* auth_rule "name" { }: what other logins than the domain's usual ones are bound to */
  char      **listeners, **protocols, **domains;     /* which logins; empty: any */
  EkInstance **auth, **users;        /* empty: the domain's */
  EkInstance **deny, **after_right, **after_wrong, **after_outage;
  char      **results, **user_results;               /* auth/result.h */
  EkInstance **masters;              /* empty: those of auth { } */
} EkAuthRuleConf;

extern const EkBlockType ek_auth_rule_block;
/* The first rule for such a login; NULL: none. */
const EkAuthRuleConf *ek_auth_rule_find (EkGeneration *gen, const char *listener, const char *protocol, const char *domain);

/* Whether a listener offers a mechanism that needs the secret itself (SCRAM, CRAM-MD5). */
bool ek_auth_offers_proofs (EkGeneration *gen);
/* Tells what is wrong with each of `results` (auth/result.h) of a block, whose passdbs or userdbs are `list` (empty: another block's). */
void ek_auth_results_check (char *const *results, EkInstance *const *list, const char *word, const EkConfBlock *block, EkProblems *problems);
/* Whether any rule has masters. */
bool ek_auth_rules_have_masters (EkGeneration *gen);

/* The userdbs to ask, NULL-terminated; free it (not what it holds) with g_free. */
EkInstance **ek_domain_userdbs (const EkDomainConf *domain);
