/* auth.h - who may log in: a domain's passdbs and userdbs asked in their order
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of one login, in the directory role.  The caller has a name (as ek_address_key() made it),
 * a secret and the chain of instances that the name's domain is bound to.
 *
 *   1. The passdbs are asked one after the other.  NOTFOUND goes on to the next; a right secret, a
 *      wrong one and an outage each end it, unless the chain says otherwise for that passdb; at the end an outage counts
 *      before a wrong secret.  What a passdb only looks up is compared on a job thread, a slow hash on one of `jobs`, after the
 *      passdb's connection is free for the next one.
 *   2. Nobody knows the name: the secret is hashed all the same, against what a user who exists would
 *      have had, so that the time does not tell names from passwords.
 *   3. The account's fields are obeyed: nologin, allow_nets, user.
 *   4. The userdbs are asked in the same way, and the user's record is complete.
 *
 * Where the mechanism lets the client prove that he knows the secret (SCRAM, CRAM-MD5) or who he is (EXTERNAL), 1 and 2 are
 * ek_auth_account(): what the first passdb that can be read keeps of him.  The mechanism decides, and ek_auth_accept() goes on
 * with 3, or ek_auth_refuse() ends it.  A passdb that only verifies knows nobody there.
 *
 * A master logs in as somebody else (EkAuthChain.as): 1 to 3 are about him, 4 about the other.
 *
 * A bearer token is shown to passdbs that judge tokens, and to no others; those are asked about nothing else.
 *
 * An outage anywhere is EK_LOGIN_UNAVAILABLE and never looks like a wrong password.  Wrong names and wrong
 * passwords look the same to the client, come back with the same delay, and are told apart only in
 * `why`, for the log.  The delay grows with the failures from one address (for IPv6: one /64).
 *
 * Loop thread.  `done` runs exactly once unless cancelled, never before the function has returned.
 */
#pragma once
#include "auth/scheme.h"
#include "loop/job.h"
#include "module/call.h"
#include "module/registry.h"

typedef struct EkAuth    EkAuth;
typedef struct EkAuthRun EkAuthRun;

typedef struct {                     /* auth { }: register it for the directory role */
  EkTime timeout;                    /* of each question to an instance */
  EkTime failure_delay, failure_delay_max;
  EkTime cache, cache_stale;         /* of logins that succeeded (remember.c) */
  gint64 cache_max;
  const char *rehash;                /* scheme; NULL: what is stored stays (rehash.c) */
  gint64 rehash_cost;                /* 0: the scheme's own */
  EkInstance **masters;              /* passdbs of those who may log in as others; flow/directoryauth.c's, as is what follows */
  const char  *master_separator;     /* between user and master in one name; NULL: none */
} EkAuthConf;
extern const EkBlockType ek_auth_block;

/* What a login is bound to; lists are NULL-terminated, borrowed until `done`.  Without userdbs, the user is made from
 * the account's userdb_ fields (Dovecot's prefetch).  The lists behind passdbs name some of them: after that answer of theirs
 * the next one is asked (docs/auth.md); `results` and `user_results` say the same in Dovecot's words, and more (result.h). */
typedef struct {
  EkInstance *const *passdbs;
  EkInstance *const *userdbs;
  EkInstance *const *deny;           /* whom one of these knows is refused; NULL: none, as below */
  EkInstance *const *after_right, *const *after_wrong, *const *after_outage;
  char *const       *results;        /* of passdbs; NULL: none, as for the next */
  char *const       *user_results;   /* of userdbs */
  bool               prefetch;       /* at a login: userdb_ fields of the account, where it has any, make the user, and no userdb is asked */
  /* A master's login: the lists above are about him, and when he is right, these give the record of the user whose mail he opens.
   * That user's password and nologin do not count; he has to exist, and neither of the two may be denied. */
  const char        *as;             /* the user's canonical name; NULL: a login as oneself */
  EkInstance *const *as_passdbs, *const *as_userdbs;
  char *const       *as_user_results;
} EkAuthChain;

/* `jobs`: where secrets are compared whose hash is slow, and those of users who do not exist.  It should have no other work, and a
 * thread for each core: then logins wait for hashes, and nothing else does. */
EkAuth *ek_auth_new (EkJobPool *jobs);
void    ek_auth_configure (EkAuth *auth, const EkAuthConf *conf);    /* before: no login is remembered */
/* Passwords that are kept in plain are not rehashed: a mechanism needs them. */
void    ek_auth_keep_plain (EkAuth *auth, bool yes);
void    ek_auth_free (EkAuth *auth);               /* nothing is under way; NULL is fine */

/* ---- a login ---- */

typedef enum {
  EK_LOGIN_OK,
  EK_LOGIN_REFUSED,                  /* no such user, wrong secret, or not allowed: do not tell which */
  EK_LOGIN_UNAVAILABLE,              /* nobody can say now */
} EkLoginOutcome;

typedef struct {                     /* borrowed until `done` returns */
  EkLoginOutcome outcome;
  const EkUser  *user;               /* OK only */
  const char    *why;                /* for the log: "unknown user", "wrong password (staff)"; NULL with OK */
  const EkAccount *account;          /* of the passdb that refused him, where one did; or NULL */
  EkTime         delay;              /* REFUSED: hold the answer for so long */
} EkLoginResult;

typedef void (*EkLoginDone) (const EkLoginResult *result, gpointer data);

/* `login` is copied; the copy of the secret is wiped. */
EkAuthRun *ek_auth_login (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const EkLogin *login,
                          EkLoginDone done, gpointer data);
/* The caller has lost interest: `done` will not run.  Not after `done`. */
void       ek_auth_cancel (EkAuthRun *run);

/* ---- a login that the mechanism decides ---- */

typedef struct {                     /* borrowed; the account lives with the run */
  EkStatus         status;           /* OK, NOTFOUND (nobody has that name, or what is kept of him cannot be read), DEFER */
  const EkAccount *account;          /* with OK */
  EkStr            like;             /* with NOTFOUND: what another user of that passdb has, or an empty string */
  const char      *why;              /* with DEFER: for the log */
} EkAccountFound;
typedef void (*EkAccountDone) (const EkAccountFound *found, gpointer data);

/* `login` has no secret.  The run goes on to live: end it with one of those below, or with ek_auth_cancel(); after DEFER it is
 * gone.  `done` as ever. */
EkAuthRun *ek_auth_account (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const EkLogin *login,
                            EkAccountDone done, gpointer data);
/* He has proved it, or not; then a login's `done`, here perhaps before the function returns. */
void       ek_auth_accept (EkAuthRun *run, EkLoginDone done, gpointer data);
void       ek_auth_refuse (EkAuthRun *run, EkLoginDone done, gpointer data);

/* ---- a user without a login: mail for him, the CLI ---- */

/* OK with *user, NOTFOUND, or DEFER; `why` is for the log: with OK, which userdb gave no answer, so that its part of the record is
 * missing (user_results), or NULL.  Whom a userdb assumes exists only if a
 * passdb knows him. */
typedef void (*EkUserDone) (EkStatus status, const EkUser *user, const char *why, gpointer data);

EkAuthRun *ek_auth_user (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, const char *name,
                         EkUserDone done, gpointer data);

/* ---- delays ---- */

/* Counts a failure from a client's address and returns the delay that it costs: failure_delay,
 * doubled with each further failure up to failure_delay_max; each half minute takes one failure back.  The table
 * has a fixed size: under a flood of addresses the least recent are forgotten. */
EkTime ek_auth_failed (EkAuth *auth, const EkAuthConf *conf, const char *client);
guint  ek_auth_failures (EkAuth *auth, const char *client);
