/* open.c - opening and closing one user's index, its numbers, its transactions
 * SPDX-License-Identifier: Apache-2.0
 *
 * UIDs and mod-sequences are reserved ahead: the table holds ceilings, and every transaction that
 * passes one raises it and is synced.  An orderly close writes the exact numbers back; after any other
 * end the ceilings are what is found, so nothing that a client saw is given again. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAMP "ekiden-uidvalidity"
#define STAMP_AHEAD 64

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

void
folder_parents (const EkFolder *folder, EkPool *pool, const char *into[FOLDERS_TO_SYNC + 1])
{
  guint n = 0;

  into[n++] = ek_pool_printf (pool, "%s/%s", folder->root, folder->disk);
  if (folder->disk[0])
    into[n++] = folder->root;
  for (const char *up = folder->root; n < FOLDERS_TO_SYNC && up[1]; n++) {
    g_autofree char *dir = g_path_get_dirname (up);
    into[n] = up = ek_pool_strdup (pool, dir);
  }
  into[n] = NULL;
}

EkStatus
folder_sync (const EkFolder *folder, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *paths[FOLDERS_TO_SYNC + 1];
  EkStatus status = EK_OK;

  folder_parents (folder, pool, paths);
  for (guint i = 0; paths[i] && status == EK_OK; i++) {
    int fd = open (paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((fd < 0 || fsync (fd) < 0) && errno != EACCES) /* what we may not read was not made by us */
      status
          = ek_fail (error, EK_DEFER, errno, "%s: cannot sync: %s", paths[i], g_strerror (errno));
    if (fd >= 0)
      close (fd);
  }
  return status;
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
    return ek_fail (error, EK_FAIL, ENOSPC,
                    "%s: the largest UIDVALIDITY was reached: remove %s and the index", ix->root,
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
  guint64 modseq = 1, floor = 0;
  EkStatus status = meta_get (ix, "modseq", &modseq, error);

  if (status == EK_OK)
    status = meta_get (ix, "floor", &floor, error);
  if (status != EK_OK && status != EK_NOTFOUND)
    return status;
  /* Either it was closed cleanly, then this is exact; or not, then it is the ceiling. */
  ix->modseq = ix->modseq_ceiling = modseq;
  ix->modseq_floor = MAX (ix->modseq_floor, MIN (floor, modseq));
  return EK_OK;
}

/* After an unclean end changes may be lost that clients were told of, with their mod-sequences: those numbers are not
 * taken back, for any mailbox (RFC 7162 3.1.1).  It was unclean when more was reserved than any mailbox has.  The floor
 * is written with the first number after it: from then on the rows alone would not tell any more. */
static void
modseq_find_floor (EkIndex *ix)
{
  GHashTableIter iter;
  gpointer box;
  guint64 most = 0;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &box))
    most = MAX (most, ((Box *) box)->modseq);
  if (ix->modseq <= most)
    return;
  ix->modseq_floor = ix->modseq;
  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &box))
    ((Box *) box)->modseq = ix->modseq_floor;
}

static char *
index_path (EkIndex *ix)
{
  g_autofree char *name = NULL;

  if (ix->set->config.folder == NULL)
    return g_build_filename (ix->root, "ekiden.index", NULL);
  name = g_uri_escape_string (ix->root + 1, NULL, FALSE); /* no slash in it, unique for a root */
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
    status = folder_create (ix, s->name, NULL, 0, error);
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
    ek_log (EK_INFO, "index", "%s: a new index for user %s: clients will fetch the mailboxes again",
            ix->root, ix->user);
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
open_once (EkIndex *ix, bool *damaged, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder inbox = { ix->root, "" };
  guint32 stamp = 0;
  EkStatus status = EK_OK;

  g_autofree char *path = index_path (ix);
  bool missing = access (ix->root, F_OK) < 0;
  if (missing && ix->set->config.folder && access (path, F_OK) == 0)
    return ek_fail (error, EK_DEFER, ENOENT, "%s: the mail of user %s is gone, but its index is there: is the disk "
                    "mounted? (If it was removed, remove %s too.)", ix->root, ix->user, path);
  if (missing)
    status = OP (ix, pool, error, create, &inbox);
  if (missing && status == EK_OK)
    status = folder_sync (&inbox, error);
  if (status != EK_OK)
    return status == EK_NOTFOUND ? ek_fail (error, EK_DEFER, ENOENT, "%s: cannot be made", ix->root)
                                 : status;
  status = stamp_read (ix, &stamp, error);
  if (status == EK_DEFER)
    return status;
  bool import = status == EK_NOTFOUND;
  status = db_open (path, &ix->db, error);
  if (status != EK_OK)
    return status;
  ix->uidvalidity = ix->uidvalidity_stamp = stamp;     /* nobody knows which of them were given */
  ix->modseq_floor = 0;
  status = numbers_load (ix, error);
  if (status == EK_OK)
    status = boxes_load (ix, error);
  if (status == EK_OK)
    modseq_find_floor (ix);
  if (status == EK_OK)
    status = index_fill (ix, import, error);
  if (status != EK_OK) {
    *damaged = ix->db->corrupt;
    index_close (ix);
  }
  return status;
}

EkStatus
index_open (EkIndex *ix, GError **error)
{
  bool damaged = false;
  EkStatus status = open_once (ix, &damaged, error);

  if (!damaged)
    return status;
  if (error)                                       /* it was moved aside */
    g_clear_error (error);
  return open_once (ix, &damaged, error);
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
  sqlite3_wal_autocheckpoint (ix->db->h, 0);       /* no sync: this may be the loop's thread */
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

void
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
    return ek_fail (error, EK_FAIL, ENOSPC, "%s: the UIDs of mailbox %s are used up", ix->root,
                    box->disk);
  if (ix->active)
    fetch_pause (ix->active);
  EkStatus status = db_begin (ix->db, n_uids > 0 || modseqs, error);
  if (status == EK_OK && modseqs) {
    status = meta_set (ix, "modseq", ix->modseq + RESERVE, error);
    if (status == EK_OK && ix->modseq_floor)
      status = meta_set (ix, "floor", ix->modseq_floor, error);
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
