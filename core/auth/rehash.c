/* rehash.c - passwords kept by weak schemes: after a login with one it is kept by a stronger
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only a right password that the core has compared itself; the login is answered first and never hears of it.  The new hash is made on
 * a job thread and written where the old one came from, if that one is still there: a password that was changed meanwhile stays. */
#include "auth/private.h"
#include <errno.h>
#include <string.h>

#define UNDER_WAY_MAX 4              /* hashes are dear, and each login is another chance */

typedef struct {
  EkJob       job;
  EkPool     *pool;                  /* owns this struct too */
  EkInstance *passdb;
  EkTime      timeout;
  const char *name, *scheme;
  guint       cost, configured;
  EkStr       secret, from, made;    /* wiped with the pool */
  GError     *why;
} Rehash;

typedef struct { const char *name; EkStr from, to; } Ask;

static guint under_way;              /* loop thread, as the next two */
static guint configured;             /* how often */
static GHashTable *read_only;        /* set of passdbs' names: told, since the last configuration, that no login may write there; NULL: none */

static bool
is_new_read_only (const EkInstance *passdb)
{
  if (read_only == NULL)
    read_only = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return g_hash_table_add (read_only, g_strdup (passdb->name));
}

void
ek_auth_rehash_forget (void)
{
  configured++;
  g_clear_pointer (&read_only, g_hash_table_unref);
}

/* ---- writing ---- */

static EkStatus
run_replace (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->passdb->replace (self, call, ask->name, ask->from, ask->to);
}

static void
finish (Rehash *r)
{
  EkGeneration *gen = ek_instance_generation (r->passdb);

  under_way--;
  g_clear_error (&r->why);
  ek_pool_free (r->pool);
  ek_generation_unref (gen);
}

/* What went wrong has been logged with the passdb's name. */
static void
replaced (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  Rehash *r = user;
  EkStr was;

  ek_scheme_split (r->from, &was);
  if (status == EK_OK)
    ek_log (EK_INFO, "auth", "%s: the password is kept by %s now, no longer by %.*s (%s)", r->name, r->scheme, EK_STR_ARG (was),
            r->passdb->name);
  else if (status == EK_FAIL && why && (why->code == EROFS || why->code == EACCES) && r->configured == configured)   /* no more hashes */
    (void) is_new_read_only (r->passdb);
  finish (r);
}

static void
made (EkJob *job)
{
  Rehash *r = (Rehash *) job;

  if (r->made.p == NULL) {
    if (r->why)
      ek_log (EK_WARN, "auth", "%s: the password is not kept by %s: %s", r->name, r->scheme, r->why->message);
    finish (r);                      /* else the server is stopping */
    return;
  }
  EkOp *op = ek_op_new (r->passdb);
  EkPool *pool = ek_op_pool (op);
  Ask *ask = ek_pool_new0 (pool, Ask);
  *ask = (Ask) { ek_pool_strdup (pool, r->name), ek_auth_copy_secret (pool, r->from), ek_auth_copy_secret (pool, r->made) };
  ek_op_start (op, 0, r->timeout, run_replace, ask, replaced, r);
}

/* ---- hashing ---- */

static void
make (EkJob *job, EkJobThread *thread)
{
  Rehash *r = (Rehash *) job;
  char *stored = ek_password_make (r->scheme, r->secret, r->cost, &r->why);

  if (stored == NULL)
    return;
  r->made = ek_auth_copy_secret (r->pool, ek_str (stored));
  ek_wipe_free (stored);
}

/* ---- is it worth it? ---- */

static bool
can_replace (EkAuthRun *run)
{
  const EkInstance *passdb = run->compared_by;

  if (passdb->module->passdb->replace)
    return read_only == NULL || !g_hash_table_contains (read_only, passdb->name);
  if (is_new_read_only (passdb))
    ek_log (EK_INFO, "auth", "%s \"%s\" cannot be written by a login: its passwords stay as they are (auth.rehash)", passdb->module->name,
            passdb->name);
  return false;
}

static bool
is_plain (EkStr stored)
{
  EkBuf out = { 0 };
  bool plain = ek_password_open (stored, "PLAIN", &out);

  ek_buf_wipe (&out);
  return plain;
}

void
ek_auth_rehash (EkAuthRun *run)
{
  EkStr stored = run->account.stored;

  if (run->rehash == NULL || run->compared_by == NULL || run->recalled || stored.n == 0 || run->login.secret.n == 0
      || !ek_password_weaker (stored, run->rehash, run->rehash_cost) || (run->auth->keep_plain && is_plain (stored))
      || !can_replace (run) || under_way >= UNDER_WAY_MAX)
    return;
  EkPool *pool = ek_pool_new ();
  Rehash *r = ek_pool_new0 (pool, Rehash);
  *r = (Rehash) { .job = { .run = make, .done = made }, .pool = pool, .passdb = run->compared_by, .timeout = run->timeout,
                  .name = ek_pool_strdup (pool, run->login.name), .scheme = ek_pool_strdup (pool, run->rehash), .cost = run->rehash_cost,
                  .configured = configured };
  r->secret = ek_auth_copy_secret (pool, run->login.secret);
  r->from = ek_auth_copy_secret (pool, stored);
  ek_generation_ref (ek_instance_generation (r->passdb));
  under_way++;
  ek_job_submit (run->auth->jobs, &r->job);
}
