/* set.c - one worker's users: who is open, and who may be closed
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks: an EkIndex's lock is held from enter to leave, so one job at a time; set->lock is taken
 * inside it and only for moments.  The LRU closes an index whose lock it gets without waiting. */
#include "index/index.h"
#include <errno.h>
#include <sched.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the set ---- */

EkIndexes *
ek_indexes_new (const EkIndexConfig *config, GError **error)
{
  EkIndexes *set = g_new0 (EkIndexes, 1);
  pthread_condattr_t monotonic;

  set->pool = ek_pool_new ();
  set->config = *config;
  set->config.folder = ek_pool_strdup (set->pool, config->folder);
  EkSpecial *specials = ek_pool_newv (set->pool, EkSpecial, config->n_specials);
  for (guint i = 0; i < config->n_specials; i++) {
    specials[i] = config->specials[i];
    specials[i].name = ek_pool_strdup (set->pool, config->specials[i].name);
    specials[i].use = ek_pool_strdup (set->pool, config->specials[i].use);
  }
  set->config.specials = specials;
  if (set->config.open_max == 0)
    set->config.open_max = 64;
  if (set->config.separator == 0)
    set->config.separator = '.';
  pthread_mutex_init (&set->lock, NULL);
  pthread_condattr_init (&monotonic);
  pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init (&set->retired, &monotonic);
  pthread_condattr_destroy (&monotonic);
  pthread_cond_init (&set->called, NULL);
  set->users = g_hash_table_new (g_str_hash, g_str_equal);
  set->guarded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  set->missed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_queue_init (&set->lru);
  if (watch_init (set, error))
    return set;
  ek_indexes_free (set);
  return NULL;
}

static void
index_free (EkIndex *ix)
{
  pthread_mutex_destroy (&ix->lock);
  pthread_mutex_destroy (&ix->table_lock);
  g_hash_table_unref (ix->boxes);
  g_free ((char *) ix->format->name);
  g_free (ix->format);
  g_free (ix->key);
  g_free (ix->user);
  g_free (ix->root);
  g_free (ix);
}

void
ek_indexes_free (EkIndexes *set)
{
  GHashTableIter iter;
  gpointer ix;

  if (set == NULL)
    return;
  g_hash_table_iter_init (&iter, set->users);
  while (g_hash_table_iter_next (&iter, NULL, &ix)) {      /* those that lingered */
    g_assert (((EkIndex *) ix)->refs == 0);
    index_close (ix);
    index_free (ix);
  }
  watch_finish (set);
  g_hash_table_unref (set->users);
  g_hash_table_unref (set->guarded);
  g_hash_table_unref (set->missed);
  pthread_cond_destroy (&set->retired);
  pthread_cond_destroy (&set->called);
  pthread_mutex_destroy (&set->lock);
  ek_pool_free (set->pool);
  g_free (set);
}

char
ek_indexes_separator (const EkIndexes *set)
{
  return set->config.separator;
}

int
ek_indexes_fd (const EkIndexes *set)
{
  return set->epoll_fd;
}

/* ---- one user ---- */

/* A copy that lives as long as the user's index: the configuration it came from may be replaced and freed
 * while sessions go on. */
static EkInstance *
format_copy (const EkInstance *format)
{
  gsize size = format->module->instance_size;
  EkInstance *copy = g_memdup2 (format, size ? size : sizeof (EkInstance));

  copy->name = g_strdup (format->name);
  copy->core = NULL;
  return copy;
}

EkStatus
ek_index_new (EkIndexes *set, EkInstance *format, const EkUser *user, EkIndex **out, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const EkMailboxOps *ops = format->module->mailbox;
  EkCall call = { .pool = pool };
  char *root = NULL;

  EkStatus status = ops->locate (format, &call, user, &root);
  if (call.error)
    g_propagate_error (error, call.error);
  if (status != EK_OK)
    return status;
  pthread_mutex_lock (&set->lock);
  EkIndex *ix = g_hash_table_lookup (set->users, root);
  if (ix == NULL) {
    ix = g_new0 (EkIndex, 1);
    ix->set = set;
    ix->root = g_strdup (root);
    ix->key = g_strdup (root);
    ix->user = g_strdup (user->name);
    ix->format = format_copy (format);
    ix->ops = ops;
    ix->link.data = ix;
    ix->boxes = g_hash_table_new_full (NULL, NULL, NULL, box_free);
    pthread_mutex_init (&ix->lock, NULL);
    pthread_mutex_init (&ix->table_lock, NULL);
    g_hash_table_insert (set->users, ix->key, ix);
  }
  ix->refs++;
  pthread_mutex_unlock (&set->lock);
  *out = ix;
  return EK_OK;
}

EkIndex *
ek_index_ref (EkIndex *ix)
{
  pthread_mutex_lock (&ix->set->lock);
  ix->refs++;
  pthread_mutex_unlock (&ix->set->lock);
  return ix;
}

/* Drops a reference.  true: it was the last; then it is still held, and locked, to be closed. */
static bool
unref_last (EkIndex *ix)
{
  EkIndexes *set = ix->set;

  for (;;) {
    pthread_mutex_lock (&set->lock);
    g_assert (ix->refs > 0);
    bool more = ix->refs > 1 || (set->config.linger && ix->linked);
    if (more)
      ix->refs--;
    bool locked = !more && pthread_mutex_trylock (&ix->lock) == 0;
    pthread_mutex_unlock (&set->lock);
    if (more || locked)
      return locked;
    sched_yield ();                                /* it is just being left */
  }
}

/* The object stays findable until its files are closed, so that nobody opens them twice. */
void
ek_index_unref (EkIndex *ix)
{
  EkIndexes *set = ix ? ix->set : NULL;

  if (ix == NULL || !unref_last (ix))
    return;
  index_close (ix);
  pthread_mutex_unlock (&ix->lock);
  pthread_mutex_lock (&set->lock);
  bool gone = --ix->refs == 0 && !ix->linked;
  if (gone)
    g_hash_table_remove (set->users, ix->key);
  pthread_mutex_unlock (&set->lock);
  if (gone)
    index_free (ix);
}

char
ek_index_separator (const EkIndex *ix)
{
  return ix->set->config.separator;
}

const char *
ek_index_root (const EkIndex *ix)
{
  return ix->root;
}

/* ---- calling the format ---- */

OpCall
op_call (EkIndex *ix, EkPool *pool)
{
  return (OpCall) { .call = { .pool = pool }, .ix = ix };
}

EkStatus
op_done (OpCall *op, EkStatus status, GError **error)
{
  if (op->call.error)
    g_propagate_error (error, op->call.error);
  else if (status == EK_DEFER || status == EK_FAIL)
    ek_fail (error, status, 0, "%s: the mailbox format gave no reason", op->ix->root);
  return status;
}

/* ---- enter and leave ---- */

/* Puts it in front; returns one, locked and with a reference, that is to be closed, or NULL. */
static EkIndex *
lru_touch (EkIndex *ix)
{
  EkIndexes *set = ix->set;
  EkIndex *victim = NULL;

  pthread_mutex_lock (&set->lock);
  if (ix->linked)
    g_queue_unlink (&set->lru, &ix->link);
  g_queue_push_head_link (&set->lru, &ix->link);
  ix->linked = true;
  ix->used = ek_now ();
  guint tries = 0;
  for (GList *l = set->lru.tail;
       set->lru.length > set->config.open_max && l && l->data != ix && tries < 8; tries++) {
    EkIndex *old = l->data;
    l = l->prev;
    if (pthread_mutex_trylock (&old->lock) == 0) {
      old->refs++;
      victim = old;
      break;
    }
  }
  pthread_mutex_unlock (&set->lock);
  return victim;
}

/* One that was last used before that, locked and with a reference; NULL: there is none. */
static EkIndex *
unused (EkIndexes *set, gint64 before)
{
  EkIndex *found = NULL;

  pthread_mutex_lock (&set->lock);
  for (GList *l = set->lru.tail; l && !found && ((EkIndex *) l->data)->used < before; l = l->prev)
    if (pthread_mutex_trylock (&((EkIndex *) l->data)->lock) == 0) {
      found = l->data;
      found->refs++;
    }
  pthread_mutex_unlock (&set->lock);
  return found;
}

guint
ek_indexes_rest (EkIndexes *set, gint64 before)
{
  guint n = 0;

  for (EkIndex *ix; (ix = unused (set, before)); n++) {
    index_close (ix);
    pthread_mutex_unlock (&ix->lock);
    ek_index_unref (ix);
  }
  return n;
}

EkStatus
ek_index_enter (EkIndex *ix, GError **error)
{
  pthread_mutex_lock (&ix->lock);
  if (ix->db && ix->db->corrupt)
    index_close (ix);                              /* moves it aside; a new one begins */
  EkStatus status = ix->db ? EK_OK : index_open (ix, error);
  if (status != EK_OK) {
    pthread_mutex_unlock (&ix->lock);
    return status;
  }
  EkIndex *victim = lru_touch (ix);
  if (victim) {
    index_close (victim);
    pthread_mutex_unlock (&victim->lock);
    ek_index_unref (victim);
  }
  return EK_OK;
}

void
ek_index_leave (EkIndex *ix)
{
  if (ix->active)
    fetch_pause (ix->active);
  pthread_mutex_unlock (&ix->lock);
}
