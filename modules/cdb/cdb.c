/* cdb.c - maps in constant databases, as postmap(1), cdb(1) and `ekiden map build` make them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lookups read the file: one that is cut short in its place must be an error, and would be a signal if it were mapped into memory.
 */
#include "lookup/dbfile.h"
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 2048                    /* 256 hash tables: where each is, how many slots it has */

typedef struct {
  int             fd;
  pthread_mutex_t lock;              /* for its position */
} Db;

/* ---- reading ---- */

/* The format has no magic number, so its tables must lie in the file. */
static bool
is_cdb (int fd)
{
  guchar head[HEAD];
  struct stat st;

  if (fstat (fd, &st) < 0 || pread (fd, head, sizeof head, 0) != sizeof head)
    return false;
  for (guint i = 0; i < HEAD; i += 8) {
    guint64 at = cdb_unpack (head + i), n = cdb_unpack (head + i + 4);
    if (at < HEAD || at + n * 8 > (guint64) st.st_size)
      return false;
  }
  return true;
}

static gpointer
open_db (int fd, const char *path, GError **error)
{
  int own = open (path, O_RDONLY | O_CLOEXEC);     /* with a position of its own */

  if (own < 0) {
    ek_fail (error, EK_DEFER, errno, "%s", g_strerror (errno));
    return NULL;
  }
  if (!is_cdb (own)) {
    ek_fail (error, EK_DEFER, EINVAL, "it is no constant database: make it by `ekiden map build`");
    close (own);
    return NULL;
  }
  Db *db = g_new0 (Db, 1);
  db->fd = own;
  pthread_mutex_init (&db->lock, NULL);
  return db;
}

static void
close_db (gpointer data)
{
  Db *db = data;

  close (db->fd);
  pthread_mutex_destroy (&db->lock);
  g_free (db);
}

static EkStatus
damaged (GError **error)
{
  return ek_fail (error, EK_DEFER, errno, "it is damaged, or was written over in its place: %s", g_strerror (errno));
}

static EkStatus
read_value (Db *db, EkPool *pool, EkStr key, EkStr *value, GError **error)
{
  unsigned n;
  int found = cdb_seek (db->fd, key.p, (unsigned) key.n, &n);

  if (found == 0)
    return EK_NOTFOUND;
  if (found < 0)
    return damaged (error);
  if (n > EK_DB_VALUE_MAX)
    return ek_fail (error, EK_DEFER, E2BIG, "the value has %u bytes", n);
  char *bytes = ek_pool_alloc (pool, n + 1);
  *value = (EkStr) { bytes, n };
  return n == 0 || cdb_bread (db->fd, bytes, (int) n) == 0 ? EK_OK : damaged (error);
}

static EkStatus
get (gpointer data, EkPool *pool, EkStr key, EkStr *value, GError **error)
{
  Db *db = data;

  pthread_mutex_lock (&db->lock);
  EkStatus status = read_value (db, pool, key, value, error);
  pthread_mutex_unlock (&db->lock);
  return status;
}

static EkStatus
each (gpointer data, void (*func) (EkStr, EkStr, gpointer), gpointer func_data, GError **error)
{
  Db *db = data;
  struct cdb cdb;
  unsigned at;
  int more;

  if (cdb_init (&cdb, db->fd) < 0)
    return damaged (error);
  cdb_seqinit (&at, &cdb);
  while ((more = cdb_seqnext (&at, &cdb)) > 0) {
    EkStr key = { cdb_getkey (&cdb), cdb_keylen (&cdb) }, value = { cdb_getdata (&cdb), cdb_datalen (&cdb) };
    if (key.p == NULL || value.p == NULL) {        /* they would lie outside the file */
      errno = EPROTO;
      more = -1;
      break;
    }
    func (key, value, func_data);
  }
  EkStatus status = more < 0 ? damaged (error) : EK_OK;
  cdb_free (&cdb);
  return status;
}

static const EkDbOps db_ops = { .open = open_db, .close = close_db, .get = get, .each = each };

/* ---- making ---- */

typedef struct {
  int             fd;
  struct cdb_make make;
} Build;

static gboolean
build_failed (GError **error)
{
  ek_fail (error, EK_DEFER, errno, "cannot write the database (which has 4 GB at most): %s", g_strerror (errno));
  return FALSE;
}

static gpointer
build_begin (const char *path, guint64 rows, guint64 bytes, GError **error)
{
  Build *b = g_new0 (Build, 1);

  b->fd = open (path, O_RDWR | O_CLOEXEC);
  if (b->fd >= 0 && cdb_make_start (&b->make, b->fd) == 0)
    return b;
  build_failed (error);
  if (b->fd >= 0)
    close (b->fd);
  g_free (b);
  return NULL;
}

static gboolean
build_add (gpointer data, EkStr key, EkStr value, GError **error)
{
  Build *b = data;

  return cdb_make_add (&b->make, key.p, (unsigned) key.n, value.p, (unsigned) value.n) == 0 || build_failed (error);
}

static gboolean
build_end (gpointer data, bool good, GError **error)
{
  Build *b = data;
  gboolean done = cdb_make_finish (&b->make) == 0 || build_failed (good ? error : NULL);     /* frees, too */

  close (b->fd);
  g_free (b);
  return done;
}

static const EkMapBuildOps build = { .suffix = ".cdb", .begin = build_begin, .add = build_add, .end = build_end };

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

EK_MODULE (cdb, .summary = "Maps in constant databases (cdb)", .options = options, .instance_size = sizeof (EkDbInstance),
           .init = init, .start = ek_db_start, .stop = ek_db_stop, .map = &map);
