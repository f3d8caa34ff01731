/* migrate.c - runs the numbered migrations of a schema
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/migrate.h"
#include <errno.h>
#include <string.h>

#define LOCK_WAIT_US (30 * G_USEC_PER_SEC)
#define FILE_MAX     (4 * 1024 * 1024)

typedef struct { char *text; guint line; } Statement;

/* ---- files ---- */

static gint
by_version (gconstpointer a, gconstpointer b)
{
  const EkMigration *x = *(EkMigration *const *) a, *y = *(EkMigration *const *) b;

  return x->version < y->version ? -1 : x->version > y->version;
}

/* "012-name.sql"; NULL: another file. */
static EkMigration *
take_name (EkPool *pool, const char *folder, const char *name)
{
  gsize digits = strspn (name, "0123456789");

  if (digits == 0 || digits > 6 || name[digits] != '-' || !g_str_has_suffix (name, ".sql"))
    return NULL;
  EkMigration *m = ek_pool_new0 (pool, EkMigration);
  m->version = (guint) g_ascii_strtoull (name, NULL, 10);
  m->name = ek_pool_strdup (pool, name);
  m->path = ek_pool_printf (pool, "%s/%s", folder, name);
  return m;
}

GPtrArray *
ek_migrations_read (EkPool *pool, const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  const char *name;

  if (dir == NULL)
    return NULL;
  while ((name = g_dir_read_name (dir))) {
    EkMigration *m = take_name (pool, folder, name);
    if (m)
      g_ptr_array_add (found, m);
  }
  g_ptr_array_sort (found, by_version);
  for (guint i = 0; i < found->len; i++) {
    const EkMigration *m = found->pdata[i];
    if (m->version == i + 1)
      continue;
    ek_fail (error, EK_FAIL, EINVAL, "%s: number %u was expected here: the numbers go up from 001, each once", m->path, i + 1);
    return NULL;
  }
  if (found->len == 0) {
    ek_fail (error, EK_FAIL, ENOENT, "%s has no migrations: files like 001-first.sql", folder);
    return NULL;
  }
  return g_steal_pointer (&found);
}

static bool
is_word (const Statement *s, const char *word)
{
  gsize n = strlen (word);

  return g_ascii_strncasecmp (s->text, word, n) == 0 && !g_ascii_isalnum (s->text[n]);
}

/* The statements of a file; NULL and *error. */
static GArray *
read_file (EkPool *pool, const EkSqlSchema *schema, const EkMigration *m, GError **error)
{
  g_autoptr (GArray) list = g_array_new (FALSE, FALSE, sizeof (Statement));
  g_autoptr (GError) why = NULL;
  g_autofree char *text = NULL;
  gsize len;

  if (!g_file_get_contents (m->path, &text, &len, error))
    return NULL;
  if (len > FILE_MAX || memchr (text, '\0', len)) {
    ek_fail (error, EK_FAIL, EINVAL, "%s: %s", m->path, len > FILE_MAX ? "it is longer than 4 MB" : "it has a NUL in it");
    return NULL;
  }
  const char *at = text;
  Statement s;
  guint line = 1;
  while ((s.text = ek_sql_statement (pool, &at, &line, &s.line, schema->style, &why)))
    g_array_append_val (list, s);
  if (why) {
    ek_fail (error, EK_FAIL, EINVAL, "%s: %s", m->path, why->message);
    return NULL;
  }
  const Statement *first = (const Statement *) (void *) list->data;
  if (schema->transactions && (list->len < 3 || !is_word (first, "BEGIN") || !is_word (first + list->len - 1, "COMMIT"))) {
    ek_fail (error, EK_FAIL, EINVAL, "%s: it has to begin with BEGIN and to end with COMMIT, so that all of it is done or nothing", m->path);
    return NULL;
  }
  return g_steal_pointer (&list);
}

/* ---- the database ---- */

/* The one number that a statement gives. */
static EkStatus
ask_number (EkSqlInstance *self, EkCall *call, const char *label, const char *text, guint *number)
{
  EkAnswer answer;
  guint64 value = 0;
  EkStatus status = ek_sql_script (self, call, label, text, &answer);

  if (status == EK_OK && answer.n_rows > 0)
    ek_str_u64 (answer.cells[0], G_MAXUINT, &value);
  *number = (guint) value;
  return status;
}

EkStatus
ek_migrate_version (EkSqlInstance *self, EkCall *call, guint *version)
{
  guint tables;
  EkStatus status = ask_number (self, call, "ekiden_schema", self->schema->has_table, &tables);

  *version = 0;
  if (status != EK_OK || tables == 0)
    return status;
  return ask_number (self, call, "ekiden_schema", "SELECT COALESCE(MAX(version), 0) FROM ekiden_schema", version);
}

static EkStatus
take_lock (EkSqlInstance *self, EkCall *call)
{
  gint64 until = g_get_monotonic_time () + LOCK_WAIT_US;
  guint got = 1;

  for (;;) {
    EkStatus status = self->schema->lock ? ask_number (self, call, "the lock for migrations", self->schema->lock, &got) : EK_OK;
    if (status != EK_OK || got == 1)
      return status;
    if (g_get_monotonic_time () > until)
      return ek_fail (&call->error, EK_FAIL, EBUSY, "another `ekiden sql migrate` has been at work on this database for half a minute");
    g_usleep (100000);
  }
}

/* Its error becomes the call's, with what has become of the file's other statements. */
static EkStatus
stop_at (EkSqlInstance *self, EkCall *call, const EkMigration *m)
{
  g_autoptr (GError) why = g_steal_pointer (&call->error);
  const char *rest = "nothing of this file is done";
  EkAnswer ignored;

  if (self->schema->transactions)
    (void) ek_sql_script (self, call, "ROLLBACK", "ROLLBACK", &ignored);
  else
    rest = "what stands before it is done and stays, the file does not count as run: mend what is wrong and run it again";
  g_clear_error (&call->error);
  return ek_fail (&call->error, EK_FAIL, 0, "%s (%s; %s)", why ? why->message : "it failed", m->path, rest);
}

/* *ran: it has, and not somebody else's. */
static EkStatus
run_file (EkSqlInstance *self, EkCall *call, const EkMigration *m, const GArray *statements, bool *ran)
{
  EkAnswer ignored;
  guint version;

  *ran = true;
  for (guint i = 0; i < statements->len; i++) {
    const Statement *s = &g_array_index (statements, Statement, i);
    g_autofree char *label = g_strdup_printf ("%s:%u", m->name, s->line);
    EkStatus status = ek_sql_script (self, call, label, s->text, &ignored);
    if (status == EK_OK && i == 0 && self->schema->transactions) {
      status = ek_migrate_version (self, call, &version);
      if (status == EK_OK && version >= m->version) {       /* while we waited to begin */
        *ran = false;
        return ek_sql_script (self, call, "ROLLBACK", "ROLLBACK", &ignored);
      }
    }
    if (status != EK_OK)
      return stop_at (self, call, m);
  }
  EkStatus status = ek_migrate_version (self, call, &version);
  if (status == EK_OK && version != m->version)
    return ek_fail (&call->error, EK_FAIL, EINVAL, "%s: it did not write its number into ekiden_schema, which says %u", m->path, version);
  return status;
}

EkStatus
ek_migrate (EkSqlInstance *self, EkCall *call, const GPtrArray *migrations, void (*ran) (const EkMigration *m, gpointer data), gpointer data)
{
  guint version;
  EkStatus status = take_lock (self, call);

  if (status == EK_OK)
    status = ek_migrate_version (self, call, &version);
  if (status == EK_OK && version > migrations->len)
    return ek_fail (&call->error, EK_FAIL, EINVAL, "the database is at version %u and the migrations end at %u: it belongs to a newer Ekiden",
                    version, migrations->len);
  for (guint i = version; status == EK_OK && i < migrations->len; i++) {
    const EkMigration *m = migrations->pdata[i];
    g_autoptr (GArray) statements = read_file (call->pool, self->schema, m, &call->error);
    bool did;
    if (statements == NULL)
      return EK_FAIL;
    status = run_file (self, call, m, statements, &did);
    if (status == EK_OK && did)
      ran (m, data);
  }
  return status;
}
