/* sqlite.c - maps, passwords and users in an SQLite file
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include "lookup/sql.h"
#include "lookup/tablefile.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 5000                 /* how long another writer may hold the file */
#define STEPS   2000                 /* of SQLite's machine between two looks at the clock */

typedef struct {
  EkSqlInstance sql;
  const char   *path;
} Sqlite;

typedef struct {                     /* a connection */
  sqlite3      *db;
  GHashTable   *prepared;            /* EkSql -> sqlite3_stmt */
  dev_t         dev;                 /* the file that it has open */
  ino_t         ino;
  const EkCall *call;                /* under way */
} Conn;

static const EkOption options[] = {
  EK_OPTION (Sqlite, path, NULL, "The file of the database. It is not made: `ekiden sql migrate` does that."),
  EK_SQL_ROWS,
  EK_OPTIONS_END
};

/* ---- connections ---- */

static int
look_at_clock (void *data)
{
  const EkCall *call = ((Conn *) data)->call;

  return call && (call->cancelled || (call->deadline && g_get_monotonic_time () > call->deadline));
}

static void
finalize (gpointer data)
{
  sqlite3_finalize (data);
}

static void
disconnect (EkInstance *base, gpointer data)
{
  Conn *conn = data;

  g_hash_table_unref (conn->prepared);
  sqlite3_close (conn->db);
  g_free (conn);
}

static gpointer
connect (EkInstance *base, GError **error)
{
  const Sqlite *self = (Sqlite *) base;
  bool writes = ek_sql_writes (&self->sql);
  struct stat st;
  Conn *conn = g_new0 (Conn, 1);

  conn->prepared = g_hash_table_new_full (NULL, NULL, NULL, finalize);
  int rc = sqlite3_open_v2 (self->path, &conn->db, (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc == SQLITE_OK && stat (self->path, &st) == 0) {
    conn->dev = st.st_dev;
    conn->ino = st.st_ino;
    sqlite3_progress_handler (conn->db, STEPS, look_at_clock, conn);
    if (sqlite3_db_config (conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL) == SQLITE_OK)      /* as other databases do */
      return conn;
  }
  ek_fail (error, EK_DEFER, errno, "%s: %s", self->path, conn->db ? sqlite3_errmsg (conn->db) : sqlite3_errstr (rc));
  disconnect (base, conn);
  return NULL;
}

/* Another file may have been put in its place. */
static bool
is_current (const Sqlite *self, const Conn *conn)
{
  struct stat st;

  return stat (self->path, &st) == 0 && st.st_dev == conn->dev && st.st_ino == conn->ino;
}

/* How long a lock of another program is waited for. */
static int
patience (const EkCall *call)
{
  gint64 left = call->deadline ? (call->deadline - g_get_monotonic_time ()) / 1000 : BUSY_MS;

  return (int) CLAMP (left, 1, BUSY_MS);
}

/* ---- queries ---- */

static EkStatus
failed (const Sqlite *self, const Conn *conn, const EkSql *sql, GError **error)
{
  return ek_fail (error, EK_DEFER, 0, "%s: %s: %s", self->path, sql->option, sqlite3_errmsg (conn->db));
}

static sqlite3_stmt *
statement (Conn *conn, const EkSql *sql)
{
  sqlite3_stmt *stmt = sql->script ? NULL : g_hash_table_lookup (conn->prepared, sql);

  if (stmt == NULL && sqlite3_prepare_v3 (conn->db, sql->text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) == SQLITE_OK && stmt && !sql->script)
    g_hash_table_insert (conn->prepared, (gpointer) sql, stmt);
  return stmt;
}

static bool
give_row (sqlite3_stmt *stmt, EkSqlRows *rows)
{
  guint n = (guint) sqlite3_column_count (stmt);
  g_autofree const char **names = g_new (const char *, n);
  g_autofree EkStr *cells = g_new (EkStr, n);

  for (guint i = 0; i < n; i++) {
    names[i] = sqlite3_column_name (stmt, (int) i);
    const char *text = (const char *) sqlite3_column_text (stmt, (int) i);
    cells[i] = (EkStr) { text, text ? (gsize) sqlite3_column_bytes (stmt, (int) i) : 0 };
  }
  return ek_sql_row (rows, n, names, cells);
}

static EkStatus
run_statement (const Sqlite *self, Conn *conn, sqlite3_stmt *stmt, const EkSql *sql, const EkStr *values, EkSqlRows *rows, GError **error)
{
  int rc = SQLITE_OK;

  for (guint i = 0; i < sql->n_params && rc == SQLITE_OK; i++)
    rc = sqlite3_bind_text64 (stmt, (int) i + 1, values[i].p, values[i].n, SQLITE_STATIC, SQLITE_UTF8);
  while (rc == SQLITE_OK || rc == SQLITE_ROW)
    if ((rc = sqlite3_step (stmt)) == SQLITE_ROW && !give_row (stmt, rows))
      rc = SQLITE_DONE;
  if (rc != SQLITE_DONE)
    return failed (self, conn, sql, error);
  if (sqlite3_column_count (stmt) == 0)
    ek_sql_rows_changed (rows, (guint64) sqlite3_changes64 (conn->db));
  return ek_sql_rows_end (rows, error);
}

static EkStatus
run (EkSqlInstance *base, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows)
{
  const Sqlite *self = (Sqlite *) base;
  Conn *conn = call->conn;

  if (!is_current (self, conn))                    /* the core takes a new connection */
    return ek_fail (&call->error, EK_DEFER, 0, "%s: the file was replaced", self->path);
  sqlite3_busy_timeout (conn->db, patience (call));          /* preparing reads the file, too */
  sqlite3_stmt *stmt = statement (conn, sql);
  if (stmt == NULL)
    return failed (self, conn, sql, &call->error);
  if (!sql->script && (guint) sqlite3_bind_parameter_count (stmt) != sql->n_params)      /* NULL, it would find nobody */
    return ek_fail (&call->error, EK_DEFER, EINVAL, "%s: %s: $name and @name are no parameters here: write :name", self->path, sql->option);
  conn->call = call;
  EkStatus status = run_statement (self, conn, stmt, sql, values, rows, &call->error);
  conn->call = NULL;
  sqlite3_reset (stmt);
  sqlite3_clear_bindings (stmt);
  if (sql->script)
    sqlite3_finalize (stmt);
  return status;
}

/* ---- a new database ---- */

/* As one that the folder's owner had made, whoever runs the command. */
static bool
make (EkSqlInstance *base, GError **error)
{
  const char *path = ((Sqlite *) base)->path;
  g_autofree char *folder = g_path_get_dirname (path);
  struct stat st;

  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0 && errno == EEXIST)
    return true;
  bool made = fd >= 0 && stat (folder, &st) == 0 && (geteuid () != 0 || fchown (fd, st.st_uid, st.st_gid) == 0);
  int err = errno;
  if (fd >= 0)
    close (fd);
  if (!made)
    ek_fail (error, EK_FAIL, err, "%s cannot be made: %s", path, g_strerror (err));
  return made;
}

static const EkSqlSchema schema = {
  .folder = "sqlite", .style = EK_SQL_QUESTION, .transactions = true, .make = make,
  .has_table = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'ekiden_schema'",
};

/* ---- life ---- */

static gboolean
init (EkInstance *base, GError **error)
{
  Sqlite *self = (Sqlite *) base;

  if (!ek_path_check ("path", self->path, error))
    return FALSE;
  self->sql.run = run;
  self->sql.schema = &schema;
  return ek_sql_init (&self->sql, EK_SQL_QUESTION, error);
}

static void
stop (EkInstance *base)
{
  ek_sql_stop ((EkSqlInstance *) base);
}

EK_MODULE (sqlite, .summary = "Maps, passwords and users in an SQLite file", .options = options, .instance_size = sizeof (Sqlite), .lacks = ek_sql_lacks,
           .init = init, .stop = stop, .connect = connect, .disconnect = disconnect,
           .map = &ek_sql_map, .passdb = &ek_sql_passdb, .userdb = &ek_sql_userdb);
