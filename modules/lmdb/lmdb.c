/* lmdb.c - maps in LMDB files, as postmap(1) and `ekiden map build` make them
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file is opened without LMDB's own lock file, as Postfix does.  Who rewrites one in its place (postmap) holds a flock(2) on it;
 * we hold a shared one while we read, if nobody writes.  While somebody does, we read what he has not committed over yet: his
 * pages are new ones, and those of the last commit are written over two commits later at the earliest.
 */
#include "lookup/dbfile.h"
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define KEY_MAX 511                  /* what LMDB is built for */
#define BATCH   10000                /* rows of a transaction while a file is made */

typedef struct {
  MDB_env        *env;
  MDB_dbi         dbi;
  mdb_filehandle_t fd;
  pthread_mutex_t lock;
  guint           readers;           /* under the lock */
  bool            locked;            /* by the first of them */
} Db;

static EkStatus
failed (int rc, GError **error)
{
  return ek_fail (error, EK_DEFER, rc == MDB_MAP_RESIZED ? ESTALE : rc > 0 ? rc : EINVAL, "%s", mdb_strerror (rc));
}

/* ---- reading ---- */

static void
close_db (gpointer data)
{
  Db *db = data;

  mdb_env_close (db->env);
  pthread_mutex_destroy (&db->lock);
  g_free (db);
}

/* The lock is one of the open file, so all readers share it. */
static void
read_begin (Db *db)
{
  pthread_mutex_lock (&db->lock);
  if (db->readers++ == 0)
    db->locked = flock (db->fd, LOCK_SH | LOCK_NB) == 0;
  pthread_mutex_unlock (&db->lock);
}

static void
read_end (Db *db)
{
  pthread_mutex_lock (&db->lock);
  if (--db->readers == 0 && db->locked)
    flock (db->fd, LOCK_UN);
  pthread_mutex_unlock (&db->lock);
}

static int
open_dbi (Db *db)
{
  MDB_txn *txn;
  int rc = mdb_txn_begin (db->env, NULL, MDB_RDONLY, &txn);

  if (rc != MDB_SUCCESS)
    return rc;
  rc = mdb_dbi_open (txn, NULL, 0, &db->dbi);
  if (rc != MDB_SUCCESS)
    mdb_txn_abort (txn);
  else
    rc = mdb_txn_commit (txn);         /* keeps the handle */
  return rc;
}

/* A file that is cut short would be a signal at the first look at what is missing. */
static bool
is_whole (const Db *db)
{
  MDB_envinfo info;
  MDB_stat about;
  struct stat st;

  return mdb_env_info (db->env, &info) == MDB_SUCCESS && mdb_env_stat (db->env, &about) == MDB_SUCCESS && fstat (db->fd, &st) == 0
         && ((guint64) info.me_last_pgno + 1) * about.ms_psize <= (guint64) st.st_size;
}

static gpointer
open_db (int fd, const char *path, GError **error)
{
  Db *db = g_new0 (Db, 1);
  int rc = mdb_env_create (&db->env);

  pthread_mutex_init (&db->lock, NULL);
  if (rc == MDB_SUCCESS)
    rc = mdb_env_open (db->env, path, MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0);
  if (rc == MDB_SUCCESS)
    rc = mdb_env_get_fd (db->env, &db->fd);
  if (rc == MDB_SUCCESS && !is_whole (db))
    rc = MDB_INVALID;
  if (rc == MDB_SUCCESS) {
    read_begin (db);
    rc = open_dbi (db);
    read_end (db);
  }
  if (rc == MDB_SUCCESS)
    return db;
  if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == EBADF)       /* it would write the head of an empty one */
    ek_fail (error, EK_DEFER, EINVAL, "it is no whole LMDB file that this library reads: make it by `ekiden map build`");
  else
    failed (rc, error);
  close_db (db);
  return NULL;
}

static EkStatus
get (gpointer data, EkPool *pool, EkStr key, EkStr *value, GError **error)
{
  Db *db = data;
  MDB_val k = { key.n, (gpointer) key.p }, v;
  MDB_txn *txn;

  if (key.n > KEY_MAX)
    return EK_NOTFOUND;
  read_begin (db);
  int rc = mdb_txn_begin (db->env, NULL, MDB_RDONLY, &txn);
  if (rc == MDB_SUCCESS) {
    rc = mdb_get (txn, db->dbi, &k, &v);
    if (rc == MDB_SUCCESS && v.mv_size <= EK_DB_VALUE_MAX)
      *value = ek_pool_str (pool, (EkStr) { v.mv_data, v.mv_size });
    mdb_txn_abort (txn);
  }
  read_end (db);
  if (rc == MDB_SUCCESS && v.mv_size > EK_DB_VALUE_MAX)
    return ek_fail (error, EK_DEFER, E2BIG, "the value has %" G_GSIZE_FORMAT " bytes", v.mv_size);
  return rc == MDB_SUCCESS ? EK_OK : rc == MDB_NOTFOUND || rc == MDB_BAD_VALSIZE ? EK_NOTFOUND : failed (rc, error);
}

static EkStatus
each (gpointer data, void (*func) (EkStr, EkStr, gpointer), gpointer func_data, GError **error)
{
  Db *db = data;
  MDB_val k, v;
  MDB_txn *txn = NULL;
  MDB_cursor *cursor = NULL;

  read_begin (db);
  int rc = mdb_txn_begin (db->env, NULL, MDB_RDONLY, &txn);
  if (rc == MDB_SUCCESS)
    rc = mdb_cursor_open (txn, db->dbi, &cursor);
  while (rc == MDB_SUCCESS && (rc = mdb_cursor_get (cursor, &k, &v, MDB_NEXT)) == MDB_SUCCESS)
    func ((EkStr) { k.mv_data, k.mv_size }, (EkStr) { v.mv_data, v.mv_size }, func_data);
  if (cursor)
    mdb_cursor_close (cursor);
  if (txn)
    mdb_txn_abort (txn);
  read_end (db);
  return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? EK_OK : failed (rc, error);
}

static const EkDbOps db_ops = { .open = open_db, .close = close_db, .get = get, .each = each };

/* ---- making ---- */

typedef struct {
  MDB_env *env;
  MDB_txn *txn;                      /* NULL: none is under way */
  MDB_dbi  dbi;
  guint    rows;                     /* in it */
} Build;

static int
next_txn (Build *b)
{
  int rc = b->txn ? mdb_txn_commit (b->txn) : MDB_SUCCESS;

  b->txn = NULL;
  b->rows = 0;
  if (rc == MDB_SUCCESS)
    rc = mdb_txn_begin (b->env, NULL, 0, &b->txn);
  return rc == MDB_SUCCESS ? mdb_dbi_open (b->txn, NULL, 0, &b->dbi) : rc;
}

static gboolean
build_end (gpointer data, bool good, GError **error)
{
  Build *b = data;
  int rc = MDB_SUCCESS;

  if (b->txn && good)
    rc = mdb_txn_commit (b->txn);
  else if (b->txn)
    mdb_txn_abort (b->txn);
  mdb_env_close (b->env);
  g_free (b);
  if (rc != MDB_SUCCESS)
    failed (rc, error);
  return rc == MDB_SUCCESS;
}

/* Rows that come in order fill their pages, so half of what is allowed for is the most that is used; a file is no longer than that. */
static gpointer
build_begin (const char *path, guint64 rows, guint64 bytes, GError **error)
{
  Build *b = g_new0 (Build, 1);
  int rc = mdb_env_create (&b->env);

  if (rc == MDB_SUCCESS)
    rc = mdb_env_set_mapsize (b->env, ((bytes + 24 * rows) * 5 / 2 + 2 * 1024 * 1024) / 65536 * 65536);
  if (rc == MDB_SUCCESS)
    rc = mdb_env_open (b->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
  if (rc == MDB_SUCCESS)
    rc = next_txn (b);
  if (rc == MDB_SUCCESS)
    return b;
  failed (rc, error);
  build_end (b, false, NULL);
  return NULL;
}

static gboolean
build_add (gpointer data, EkStr key, EkStr value, GError **error)
{
  Build *b = data;
  MDB_val k = { key.n, (gpointer) key.p }, v = { value.n, (gpointer) value.p };
  int rc = b->rows++ == BATCH ? next_txn (b) : MDB_SUCCESS;

  if (rc == MDB_SUCCESS)
    rc = mdb_put (b->txn, b->dbi, &k, &v, MDB_APPEND);
  if (rc != MDB_SUCCESS)
    failed (rc, error);
  return rc == MDB_SUCCESS;
}

static const EkMapBuildOps build = {
  .suffix = ".lmdb", .key_max = KEY_MAX, .begin = build_begin, .add = build_add, .end = build_end,
};

/* ---- the module ---- */

static const EkOption options[] = { EK_DB_ROWS, EK_OPTIONS_END };

static gboolean
init (EkInstance *base, GError **error)
{
  EkDbInstance *self = (EkDbInstance *) base;

  self->ops = &db_ops;
  return ek_db_init (self, error);
}

static const EkMapOps map = { .lookup = ek_db_lookup, .each = ek_db_each, .build = &build };

EK_MODULE (lmdb, .summary = "Maps in LMDB files", .options = options, .instance_size = sizeof (EkDbInstance),
           .init = init, .start = ek_db_start, .stop = ek_db_stop, .map = &map);
