/* fuzz-dbfile.c - database files: a cdb of any bytes, and what is built from rows comes back (cdb, lmdb)
 * SPDX-License-Identifier: Apache-2.0
 *
 * An LMDB file of any bytes is not tried: its library follows what a page says without a look, which modules/lmdb/README.md tells.
 */
/* covers: modules/cdb/cdb.c modules/lmdb/lmdb.c core/lookup/dbfile.c */
/* options: -max_len=8192 */
#include "fuzz.h"
#include "base/log.h"
#include "lookup/dbfile.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifdef WITH_CDB
extern const EkModule ek_module_cdb;
#endif
#ifdef WITH_LMDB
extern const EkModule ek_module_lmdb;
#endif

static char *path;                   /* in memory, this process's own */

static void
remove_file (void)
{
  unlink (path);
}

static void
make_file (const void *bytes, gsize n)
{
  if (path == NULL) {
    path = g_strdup_printf ("%s/ekiden-fuzz-%d", g_file_test ("/dev/shm", G_FILE_TEST_IS_DIR) ? "/dev/shm" : g_get_tmp_dir (), (int) getpid ());
    atexit (remove_file);
  }
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write (fd, bytes, n) != (ssize_t) n)
    g_error ("%s: %s", path, g_strerror (errno));
  close (fd);
}

/* ---- any bytes ---- */

static EkStatus
ask (EkDbInstance *self, EkPool *pool, EkStr key, EkStr *value)
{
  EkCall call = { .pool = pool };
  EkAnswer answer = { 0 };
  EkQuery query = { .key = key };
  EkStatus status = ek_db_lookup (&self->base, &call, &query, &answer);

  g_assert (status == EK_OK || status == EK_NOTFOUND || status == EK_DEFER);
  g_assert ((status == EK_DEFER) == (call.error != NULL));
  if (status == EK_OK)
    *value = answer.cells[0];
  g_clear_error (&call.error);
  return status;
}

static EkDbInstance *
open_instance (const EkModule *module)
{
  EkDbInstance *self = g_malloc0 (module->instance_size);

  self->base = (EkInstance) { .name = "fuzz", .module = module };
  self->path = path;
  self->fold_case = false;
  g_assert (module->init (&self->base, NULL) && module->start (&self->base, NULL));
  return self;
}

static void
close_instance (EkDbInstance *self)
{
  self->base.module->stop (&self->base);
  g_free (self);
}

typedef struct { EkPool *pool; EkDbInstance *self; guint n; volatile char sum; } Rows;

static void
one_row (EkStr key, EkStr value, gpointer data)
{
  Rows *rows = data;

  rows->n++;
  for (gsize i = 0; i < value.n; i++)
    rows->sum ^= value.p[i];
  for (gsize i = 0; i < key.n; i++)
    rows->sum ^= key.p[i];
}

#ifdef WITH_CDB
static void
as_cdb (const uint8_t *data, size_t size)
{
  EkPool *pool = ek_pool_new ();
  EkStr value;

  make_file (data, size);
  EkDbInstance *self = open_instance (&ek_module_cdb);
  Rows rows = { .pool = pool, .self = self };
  EkCall call = { .pool = pool };
  (void) ask (self, pool, EK_STR ("anna@example.com"), &value);
  (void) ask (self, pool, EK_STR ("k"), &value);
  if (size > 2048)
    (void) ask (self, pool, (EkStr) { (const char *) data + 2048, MIN (size - 2048, 16) }, &value);
  (void) ek_db_each (&self->base, &call, one_row, &rows);
  g_clear_error (&call.error);
  close_instance (self);
  ek_pool_free (pool);
}
#endif

/* ---- rows, built and asked for ---- */

typedef struct { EkStr key, value; } Row;

/* Lines of "key value", each key once, in their order. */
static guint
split (EkPool *pool, EkStr text, Row *rows, guint max)
{
  GHashTable *seen = g_hash_table_new (g_str_hash, g_str_equal);
  guint n = 0;

  while (text.n > 0 && n < max) {
    const char *eol = memchr (text.p, '\n', text.n), *blank;
    EkStr line = { text.p, eol ? (gsize) (eol - text.p) : text.n };
    text = (EkStr) { text.p + line.n + (eol ? 1 : 0), text.n - line.n - (eol ? 1 : 0) };
    blank = line.n ? memchr (line.p, ' ', line.n) : NULL;
    Row row = { { line.p, blank ? (gsize) (blank - line.p) : 0 }, { blank ? blank + 1 : NULL, blank ? line.n - (gsize) (blank - line.p) - 1 : 0 } };
    if (row.key.n == 0 || row.key.n > 500 || memchr (line.p, '\0', line.n)
        || !g_hash_table_add (seen, ek_pool_strndup (pool, row.key.p, row.key.n)))
      continue;
    rows[n++] = row;
  }
  g_hash_table_unref (seen);
  return n;
}

static int
by_key (const void *a, const void *b)
{
  const Row *x = a, *y = b;
  int order = memcmp (x->key.p, y->key.p, MIN (x->key.n, y->key.n));

  return order ? order : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static void
as_rows (const EkModule *module, EkStr text)
{
  EkPool *pool = ek_pool_new ();
  Row rows[256];
  guint n = split (pool, text, rows, G_N_ELEMENTS (rows));
  const EkMapBuildOps *build = module->map->build;
  guint64 bytes = 0;
  EkStr value;

  qsort (rows, n, sizeof *rows, by_key);           /* as `ekiden map build` hands them over */
  for (guint i = 0; i < n; i++)
    bytes += rows[i].key.n + rows[i].value.n;
  make_file ("", 0);
  gpointer made = build->begin (path, n, bytes, NULL);
  g_assert (made);
  for (guint i = 0; i < n; i++)
    g_assert (build->add (made, rows[i].key, rows[i].value, NULL));
  g_assert (build->end (made, true, NULL));
  EkDbInstance *self = open_instance (module);
  EkCall call = { .pool = pool };
  Rows all = { .pool = pool, .self = self };
  for (guint i = 0; i < n; i++)
    g_assert (ask (self, pool, rows[i].key, &value) == EK_OK && ek_str_eq (value, rows[i].value));
  g_assert (ask (self, pool, EK_STR ("no such\nkey"), &value) == EK_NOTFOUND);
  g_assert (ek_db_each (&self->base, &call, one_row, &all) == EK_OK && all.n == n);
  close_instance (self);
  ek_pool_free (pool);
}

/* No line for each damaged file. */
static void
swallow (const char *bytes, gsize len, gpointer data)
{
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  EkStr text = { size ? (const char *) data : "", size };

  ek_log_set_sink (swallow, NULL);
#ifdef WITH_CDB
  as_cdb (data, size);
  if (size < 4096)
    as_rows (&ek_module_cdb, text);
#endif
#ifdef WITH_LMDB
  if (size < 4096)
    as_rows (&ek_module_lmdb, text);
#endif
  return 0;
}
