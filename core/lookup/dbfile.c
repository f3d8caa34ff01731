/* dbfile.c - maps in database files that are only read
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/dbfile.h"
#include "lookup/texttable.h"
#include <errno.h>
#include <string.h>

typedef struct {                     /* an open file: the table of an EkTableFile */
  const EkDbOps *ops;
  gpointer       db;
} Db;

/* ---- the file ---- */

static gpointer
open_file (int fd, const char *path, gpointer user, GError **error)
{
  const EkDbInstance *self = user;
  gpointer db = self->ops->open (fd, path, error);

  if (db == NULL)
    return NULL;
  Db *made = g_new0 (Db, 1);
  *made = (Db) { self->ops, db };
  return made;
}

static void
close_file (gpointer data)
{
  Db *db = data;

  db->ops->close (db->db);
  g_free (db);
}

static const EkTableKind kind = { .open = open_file, .free = close_file };

gboolean
ek_db_init (EkDbInstance *self, GError **error)
{
  return ek_path_check ("path", self->path, error);
}

gboolean
ek_db_start (EkInstance *base, GError **error)
{
  EkDbInstance *self = (EkDbInstance *) base;

  self->file = ek_table_file_open (base, self->path, &kind, self);
  return TRUE;
}

void
ek_db_stop (EkInstance *base)
{
  EkDbInstance *self = (EkDbInstance *) base;

  ek_table_file_free (self->file);
  self->file = NULL;
}

/* ---- asking ---- */

/* `key` has room for one byte more. */
static EkStatus
get_either (const Db *db, EkPool *pool, char *key, gsize n, EkStr *value, GError **error)
{
  EkStatus status = EK_NOTFOUND;

  key[n] = '\0';
  for (gsize nul = 0; nul < 2 && status == EK_NOTFOUND && n > 0; nul++)
    status = db->ops->get (db->db, pool, (EkStr) { key, n + nul }, value, error);
  if (status == EK_OK && value->n > 0 && value->p[value->n - 1] == '\0')
    value->n--;
  return status;
}

/* The key as it was asked for; then, as with a text map, without its quotes. */
static EkStatus
get (const Db *db, EkPool *pool, EkStr key, bool fold_case, EkStr *value, GError **error)
{
  char *copy = ek_pool_alloc (pool, key.n + 1);

  for (gsize i = 0; i < key.n; i++)
    copy[i] = fold_case ? g_ascii_tolower (key.p[i]) : key.p[i];
  EkStatus status = get_either (db, pool, copy, key.n, value, error);
  if (status != EK_NOTFOUND || !memchr (key.p, '"', key.n))
    return status;
  return get_either (db, pool, copy, ek_text_key (key, fold_case, copy), value, error);
}

static EkStatus
try_lookup (EkDbInstance *self, EkCall *call, EkStr key, EkStr *value)
{
  const Db *db = ek_table_file_hold (self->file, &call->error);

  if (db == NULL)
    return EK_DEFER;
  EkStatus status = get (db, call->pool, key, self->fold_case, value, &call->error);
  ek_table_file_release (self->file, db);
  return status;
}

EkStatus
ek_db_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkDbInstance *self = (EkDbInstance *) base;
  EkStr value;

  if (query->key.n == 0 || query->key.n > EK_MAP_KEY_MAX || memchr (query->key.p, '\0', query->key.n))
    return EK_NOTFOUND;
  EkStatus status = try_lookup (self, call, query->key, &value);
  if (status == EK_DEFER && call->error && call->error->code == ESTALE) {
    g_clear_error (&call->error);
    ek_table_file_reload (self->file);
    status = try_lookup (self, call, query->key, &value);
  }
  if (status == EK_OK)
    ek_answer_value (answer, call->pool, value);
  return status;
}

typedef struct {
  void   (*func) (EkStr key, EkStr value, gpointer data);
  gpointer data;
} Each;

static EkStr
without_nul (EkStr s)
{
  return s.n > 0 && s.p[s.n - 1] == '\0' ? (EkStr) { s.p, s.n - 1 } : s;
}

static void
one_row (EkStr key, EkStr value, gpointer data)
{
  const Each *each = data;

  each->func (without_nul (key), without_nul (value), each->data);
}

EkStatus
ek_db_each (EkInstance *base, EkCall *call, void (*func) (EkStr, EkStr, gpointer), gpointer data)
{
  EkDbInstance *self = (EkDbInstance *) base;
  const Db *db = ek_table_file_hold (self->file, &call->error);
  Each each = { func, data };

  if (db == NULL)
    return EK_DEFER;
  EkStatus status = db->ops->each (db->db, one_row, &each, &call->error);
  ek_table_file_release (self->file, db);
  return status;
}
