/* set.c - one worker's users: who is open, who may be closed, and the numbers that outlive all of them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks: an EkIndex's lock is held from enter to leave, so one job at a time; set->lock is taken inside it
 * and only for moments.  The LRU closes an index whose lock it gets without waiting. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAMP "ekiden-uidvalidity"
#define STAMP_AHEAD 64

static void index_close (EkIndex *ix);

/* ---- the set ---- */

EkIndexes *
ek_indexes_new (const EkIndexConfig *config, GError **error)
{
  EkIndexes *set = g_new0 (EkIndexes, 1);

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
  pthread_cond_init (&set->retired, NULL);
  pthread_cond_init (&set->called, NULL);
  set->users = g_hash_table_new (g_str_hash, g_str_equal);
  set->guarded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
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
    ix->format = format;
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

/* The last one: the object stays findable until its files are closed, so that nobody opens them twice. */
void
ek_index_unref (EkIndex *ix)
{
  EkIndexes *set = ix ? ix->set : NULL;
  bool last;

  if (ix == NULL)
    return;
  pthread_mutex_lock (&set->lock);
  g_assert (ix->refs > 0);
  last = --ix->refs == 0 && !(set->config.linger && ix->linked);
  if (last)
    ix->refs++;                                    /* ours, while we close */
  pthread_mutex_unlock (&set->lock);
  if (!last)
    return;
  pthread_mutex_lock (&ix->lock);
  pthread_mutex_lock (&set->lock);
  bool alone = ix->refs == 1;
  pthread_mutex_unlock (&set->lock);
  if (alone)
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

/* ---- the stamp: the largest UIDVALIDITY, kept apart from the index ---- */

bool
file_replace (const char *path, EkStr bytes, GError **error)
{
  g_autofree char *tmp = g_strconcat (path, ".tmp", NULL);
  g_autofree char *up = g_path_get_dirname (path);
  int fd = open (tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  int dir = open (up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool good = fd >= 0 && dir >= 0;

  for (gsize at = 0; good && at < bytes.n;) {
    gssize n = write (fd, bytes.p + at, bytes.n - at);
    good = n > 0 || (n < 0 && errno == EINTR);
    at += n > 0 ? (gsize) n : 0;
  }
  good = good && fsync (fd) == 0 && rename (tmp, path) == 0 && fsync (dir) == 0;
  int code = errno;
  if (fd >= 0)
    close (fd);
  if (dir >= 0)
    close (dir);
  if (!good)
    ek_fail (error, EK_DEFER, code, "%s: cannot write: %s", path, g_strerror (code));
  return good;
}

/* NOTFOUND: Ekiden was never here. */
static EkStatus
stamp_read (EkIndex *ix, guint32 *value, GError **error)
{
  g_autofree char *path = g_build_filename (ix->root, STAMP, NULL);
  char text[32];
  guint64 n;

  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return EK_NOTFOUND;
  gssize got = fd < 0 ? -1 : read (fd, text, sizeof text);
  int code = errno;
  if (fd >= 0)
    close (fd);
  if (got < 0)
    return ek_fail (error, EK_DEFER, code, "%s: cannot read: %s", path, g_strerror (code));
  if (!ek_str_u64 (ek_str_trim ((EkStr) { text, (gsize) got }), G_MAXUINT32, &n))
    n = 0;                                         /* torn: the clock is larger */
  *value = (guint32) n;
  return EK_OK;
}

EkStatus
index_uidvalidity_taken (EkIndex *ix, guint32 value, GError **error)
{
  char text[32];
  guint32 ahead = value + MIN (STAMP_AHEAD, G_MAXUINT32 - value);

  if (value > ix->uidvalidity_stamp) {
    g_autofree char *path = g_build_filename (ix->root, STAMP, NULL);
    g_snprintf (text, sizeof text, "%u\n", ahead);
    if (!file_replace (path, ek_str (text), error))
      return EK_DEFER;
    ix->uidvalidity_stamp = ahead;
  }
  ix->uidvalidity = MAX (ix->uidvalidity, value);
  return EK_OK;
}

EkStatus
index_uidvalidity (EkIndex *ix, guint32 *value, GError **error)
{
  gint64 now = ek_wall () / G_USEC_PER_SEC;
  guint64 next = MAX ((guint64) CLAMP (now, 1, G_MAXUINT32 / 2), (guint64) ix->uidvalidity + 1);

  if (next >= G_MAXUINT32 - STAMP_AHEAD)
    return ek_fail (error, EK_FAIL, ENOSPC, "%s: the largest UIDVALIDITY was reached: remove %s and the index", ix->root,
                    STAMP);
  *value = (guint32) next;
  return index_uidvalidity_taken (ix, (guint32) next, error);
}

/* ---- opening and closing ---- */

static EkStatus
meta_get (EkIndex *ix, const char *key, guint64 *value, GError **error)
{
  sqlite3_stmt *st = db_bind (ix->db, ST_META_GET, "t", ek_str (key));
  EkStatus status = db_row (ix->db, st, error);

  if (status == EK_OK) {
    *value = (guint64) sqlite3_column_int64 (st, 0);
    sqlite3_reset (st);
  }
  return status;
}

static EkStatus
meta_set (EkIndex *ix, const char *key, guint64 value, GError **error)
{
  return db_run (ix->db, error, ST_META_SET, "ti", ek_str (key), (gint64) value);
}

static EkStatus
numbers_load (EkIndex *ix, GError **error)
{
  guint64 modseq = 1;
  EkStatus status = meta_get (ix, "modseq", &modseq, error);

  if (status != EK_OK && status != EK_NOTFOUND)
    return status;
  /* Either it was closed cleanly, then this is exact; or not, then it is the ceiling. */
  ix->modseq = ix->modseq_ceiling = modseq;
  return EK_OK;
}

static char *
index_path (EkIndex *ix)
{
  g_autofree char *name = NULL;

  if (ix->set->config.folder == NULL)
    return g_build_filename (ix->root, "ekiden.index", NULL);
  name = g_uri_escape_string (ix->root + 1, NULL, FALSE);       /* no slash in it, unique for a root */
  g_autofree char *up = g_build_filename (ix->set->config.folder, name, NULL);
  g_mkdir_with_parents (up, 0700);
  return g_build_filename (up, "ekiden.index", NULL);
}

/* Makes what a new user has. */
static EkStatus
specials_create (EkIndex *ix, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < ix->set->config.n_specials && status == EK_OK; i++) {
    const EkSpecial *s = &ix->set->config.specials[i];
    if (!s->create)
      continue;
    status = ek_index_create (ix, s->name, NULL, error);
    if (status == EK_FAIL && error && *error && (*error)->code == EEXIST) {
      g_clear_error (error);
      status = EK_OK;
    }
    if (status == EK_OK && s->subscribe)
      status = ek_index_subscribe (ix, s->name, true, error);
  }
  return status;
}

/* The first opening: all folders there are, each perhaps with the UIDs that another server gave. */
static EkStatus
index_fill (EkIndex *ix, bool import, GError **error)
{
  GHashTableIter iter;
  gpointer box;
  guint64 filled;

  EkStatus status = meta_get (ix, "filled", &filled, error);
  if (status != EK_NOTFOUND)
    return status;
  if (!import)
    ek_log (EK_INFO, "index", "%s: a new index for user %s: clients will fetch the mailboxes again", ix->root, ix->user);
  status = boxes_refresh (ix, error);
  if (status == EK_OK)
    status = index_begin (ix, NULL, 0, error);
  g_hash_table_iter_init (&iter, ix->boxes);
  while (status == EK_OK && g_hash_table_iter_next (&iter, NULL, &box)) {
    ((Box *) box)->import = import;
    status = box_save (box, error);
  }
  if (status == EK_OK)
    status = meta_set (ix, "filled", 1, error);
  if (status == EK_OK)
    status = index_commit (ix, error);
  else
    index_abort (ix);
  return status == EK_OK ? specials_create (ix, error) : status;
}

static EkStatus
index_open (EkIndex *ix, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder inbox = { ix->root, "" };
  guint32 stamp = 0;
  EkStatus status = EK_OK;

  if (access (ix->root, F_OK) < 0)
    status = OP (ix, pool, error, create, &inbox);
  if (status != EK_OK)
    return status == EK_NOTFOUND ? ek_fail (error, EK_DEFER, ENOENT, "%s: cannot be made", ix->root) : status;
  status = stamp_read (ix, &stamp, error);
  if (status == EK_DEFER)
    return status;
  bool import = status == EK_NOTFOUND;
  g_autofree char *path = index_path (ix);
  status = db_open (path, &ix->db, error);
  if (status != EK_OK)
    return status;
  ix->uidvalidity = ix->uidvalidity_stamp = stamp;     /* nobody knows which of them were given */
  status = numbers_load (ix, error);
  if (status == EK_OK)
    status = boxes_load (ix, error);
  if (status == EK_OK)
    status = index_fill (ix, import, error);
  if (status != EK_OK)
    index_close (ix);
  return status;
}

/* Numbers that were reserved and not given go back, so that an orderly stop leaves no gaps. */
static void
numbers_save (EkIndex *ix)
{
  GHashTableIter iter;
  gpointer p;
  g_autoptr (GError) error = NULL;
  bool any = ix->modseq_ceiling > ix->modseq;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (!any && g_hash_table_iter_next (&iter, NULL, &p))
    any = ((Box *) p)->uid_ceiling > ((Box *) p)->uidnext;
  if (!any || ix->db->corrupt)
    return;
  EkStatus status = db_begin (ix->db, false, &error);
  g_hash_table_iter_init (&iter, ix->boxes);
  while (status == EK_OK && g_hash_table_iter_next (&iter, NULL, &p)) {
    Box *box = p;
    if (box->uid_ceiling > box->uidnext) {
      box->uid_ceiling = box->uidnext;
      status = box_save (box, &error);
    }
  }
  if (status == EK_OK)
    status = meta_set (ix, "modseq", ix->modseq, &error);
  if (status == EK_OK)
    status = db_commit (ix->db, &error);
  else
    db_rollback (ix->db);
  if (error)
    ek_log (EK_WARN, "index", "%s", error->message);
}

static void
index_close (EkIndex *ix)
{
  EkIndexes *set = ix->set;

  if (ix->active)
    fetch_pause (ix->active);
  if (ix->db) {
    db_rollback (ix->db);
    numbers_save (ix);
    db_close (ix->db);
    ix->db = NULL;
  }
  g_hash_table_remove_all (ix->boxes);
  pthread_mutex_lock (&set->lock);
  if (ix->linked)
    g_queue_unlink (&set->lru, &ix->link);
  ix->linked = false;
  pthread_mutex_unlock (&set->lock);
}

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
  guint tries = 0;
  for (GList *l = set->lru.tail; set->lru.length > set->config.open_max && l && l->data != ix && tries < 8; tries++) {
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

/* ---- transactions ---- */

EkStatus
index_begin_cache (EkIndex *ix, GError **error)
{
  if (ix->active)                                  /* it may have a transaction of its own */
    fetch_pause (ix->active);
  return db_begin (ix->db, false, error);
}

EkStatus
index_begin (EkIndex *ix, Box *box, guint32 n_uids, GError **error)
{
  bool modseqs = ix->modseq + 1 > ix->modseq_ceiling;

  if (box && n_uids > UID_MAX - box->uidnext)
    return ek_fail (error, EK_FAIL, ENOSPC, "%s: the UIDs of mailbox %s are used up", ix->root, box->disk);
  if (ix->active)
    fetch_pause (ix->active);
  EkStatus status = db_begin (ix->db, n_uids > 0 || modseqs, error);
  if (status == EK_OK && modseqs) {
    status = meta_set (ix, "modseq", ix->modseq + RESERVE, error);
    if (status != EK_OK)
      db_rollback (ix->db);
    else
      ix->modseq_ceiling = ix->modseq + RESERVE;
  }
  if (status == EK_OK && box && box->uidnext + n_uids > box->uid_ceiling)
    box->uid_ceiling = box->uidnext + n_uids + MIN (RESERVE, UID_MAX - box->uidnext - n_uids);
  return status;
}

guint64
index_modseq (EkIndex *ix)
{
  g_assert (ix->modseq < ix->modseq_ceiling);
  return ++ix->modseq;
}

EkStatus
index_commit (EkIndex *ix, GError **error)
{
  EkStatus status = db_commit (ix->db, error);

  if (status != EK_OK)
    index_abort (ix);
  return status;
}

void
index_abort (EkIndex *ix)
{
  g_autoptr (GError) error = NULL;

  db_rollback (ix->db);
  guint64 used = ix->modseq;
  if (numbers_load (ix, &error) != EK_OK || boxes_load (ix, &error) != EK_OK)
    ek_log (EK_ERR, "index", "%s: %s", ix->root, error ? error->message : "cannot be read again");
  ix->modseq = MAX (ix->modseq, used);
}
