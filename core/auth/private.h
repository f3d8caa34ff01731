/* private.h - what the files of auth/auth.h share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "auth/auth.h"
#include "auth/result.h"
#include "lookup/cache.h"
#include <stdatomic.h>

typedef struct EkPenalty EkPenalty;
EkPenalty *ek_penalty_new (void);
void       ek_penalty_free (EkPenalty *penalty);
/* The failures of a client that still count at `now` (monotonic us), with this one if `add`. */
guint      ek_penalty_count (EkPenalty *penalty, const char *client, gint64 now, bool add);

#define EK_AUTH_LIKES 16u
/* Stored secrets of a passdb's users, so that a name that nobody has costs and shows what theirs do.  Each name has its place, and its
 * place its user until that one's secret changes: asked twice, an unknown name looks the same, be the users' secrets of many kinds
 * (but for the first logins of a process, while places are still empty). */
typedef struct {
  guint user[EK_AUTH_LIKES];         /* hash of the name */
  char *stored[EK_AUTH_LIKES];       /* NULL: none seen yet */
} EkAuthLikes;

struct EkAuth {
  EkCache    *logins;                /* remember.c's; NULL: none are kept */
  guchar      key[32];               /* of this process: secrets are kept as HMACs under it */
  EkJobPool  *jobs;                  /* for hashes alone */
  EkPenalty  *penalty;
  bool        keep_plain;
  GHashTable *likes;                 /* passdb's name -> EkAuthLikes, for dummies */
};

struct EkAuthRun {                   /* one login, or one user looked for; loop thread */
  EkAuth     *auth;
  EkPool     *pool;                  /* owns this struct too */
  EkTime      timeout, delay, delay_max;
  EkAuthChain chain;
  guint       at;                    /* in the passdbs or userdbs of the chain */
  EkOp       *op;                    /* under way, or NULL */
  bool        in_job;                /* a job of our own is under way */
  atomic_bool cancelled;             /* nobody wants its answer */

  EkLogin     login;                 /* of a login; its secret is wiped with the pool */
  EkAccount   account;
  EkLoginDone login_done;            /* NULL: not a login */
  EkAccountDone account_done;        /* not NULL: the mechanism decides, and has not yet */
  bool        known;                 /* account is a user's */
  bool        right;                 /* the chain's state: he is let in (result.h) */
  bool        all;                   /* after_right: each that knows him has to say right */
  bool        proven;                /* a passdb has found his password right, and the next only have to know him */
  EkAccount   good;                  /* of those who have said right, all together */
  guint64     right_by, no_by;       /* by place in the list: who says right; who says that it is wrong, or knows nobody of that name */
  EkInstance *compared_by;           /* the passdb whose secret the core found right; NULL: none, or others were asked */
  const char *rehash;
  guint       rehash_cost;
  const char *wrong_by, *outage;     /* a passdb's name; why one gave no answer: what counts at the chain's end */
  bool        broken;                /* with outage: one could not ask at all, which no remembered login bridges */
  const char *denied_by;             /* a passdb's name */
  const char *halted_by;             /* the same: a proof is not enough for it, it wants the secret */
  guint       deny_at;
  bool        deny_as;               /* who is looked for there: chain.as */
  bool        wrong;                 /* a compare said so */
  const char *incomparable;          /* or why it could not */
  bool        by_client;             /* a passdb's answer holds for this client's address alone, and so does what is remembered */
  bool        recalled;              /* account and user are remembered ones */
  EkStr       memory_key;            /* remember.c's: where he is remembered; a NULL p: not made yet */
  guchar      memory_hmac[32];       /* of the secret, with memory_key */

  const char *name;                  /* the user looked for in the userdbs */
  EkUser      user;                  /* of those userdbs that know him so far */
  bool        found, any_user;       /* their chain's state; whether there is any */
  const char *user_outage;           /* one gave no answer, and others were asked */
  EkUserDone  user_done;
  gpointer    data;
};

EkAuthRun *ek_auth_run_new (EkAuth *auth, const EkAuthConf *conf, const EkAuthChain *chain, gpointer data);
void       ek_auth_run_free (EkAuthRun *run);
/* Runs `work`, which hashes, on a job thread, then `after` on the loop unless cancelled.  A login whose turn has not come within its
 * timeout is put off: neither is called. */
void       ek_auth_run_job (EkAuthRun *run, void (*work) (EkAuthRun *run), void (*after) (EkAuthRun *run));
/* Runs `after` in a later turn of the loop unless cancelled. */
void       ek_auth_run_later (EkAuthRun *run, void (*after) (EkAuthRun *run));

/* The secret of run->account is right: its fields are obeyed, then the userdbs are asked, unless the user is remembered. */
void ek_auth_accepted (EkAuthRun *run);
/* Asks the userdbs for run->name, from the first on; then the end of the run. */
void ek_auth_run_users (EkAuthRun *run);
/* The ends of a login: they call `done` and free the run.  `why` is copied. */
void ek_auth_end_ok (EkAuthRun *run);
void ek_auth_end_refused (EkAuthRun *run, const char *why);
void ek_auth_end_unavailable (EkAuthRun *run, const char *why);
void ek_auth_end_away (EkAuthRun *run, const char *why);   /* a backend did not answer: what is remembered may count */

EkAccount ek_auth_copy_account (EkPool *pool, const EkAccount *account);
/* Those of `more` (*n of them, which becomes how many there are in all), and those of `old` under other names.  Texts are shared. */
const EkParam *ek_auth_merge_fields (EkPool *pool, const EkParam *old, guint n_old, const EkParam *more, guint *n);
EkUser    ek_auth_copy_user (EkPool *pool, const EkUser *user);
EkLogin   ek_auth_copy_login (EkPool *pool, const EkLogin *login);
EkStr     ek_auth_copy_secret (EkPool *pool, EkStr secret);      /* wiped with the pool */

/* ---- rehash.c ---- */
void ek_auth_rehash (EkAuthRun *run);              /* the login succeeded: keeps its password by a stronger scheme, if that is wanted */
/* Which passdbs cannot be written is found out anew. */
void       ek_auth_rehash_forget (void);

/* ---- remember.c ---- */
/* Takes account and user of the last login with this secret; `stale`: the backends are away. */
bool ek_auth_recall (EkAuthRun *run, bool stale);
void ek_auth_remember (EkAuthRun *run);            /* the login succeeded */
void ek_auth_forget (EkAuthRun *run, bool all);    /* the backends refuse this secret, or do not know the user any more */
