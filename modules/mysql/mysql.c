/* mysql.c - maps, passwords and users in a MariaDB or MySQL database
 * SPDX-License-Identifier: Apache-2.0 */
#include "maria.h"
#include <mysqld_error.h>
#include <string.h>
#include <sys/socket.h>

#define COLUMNS_MAX 64
#define CELL        512              /* what is longer is fetched by itself */
#define CELL_MAX    (4 * 1024 * 1024)

static const EkOption options[] = {
  EK_SQL_SERVER_ROWS ("/run/mysqld/mysqld.sock", "3306", "a unix socket's path"),
  EK_SQL_ROWS,
  EK_OPTIONS_END
};

typedef struct {                     /* a query under way */
  Mysql       *self;
  MysqlLink   *link;
  EkCall      *call;
  const EkSql *sql;
  const EkStr *values;
  EkSqlRows   *rows;
  MYSQL_STMT  *stmt;
  MysqlGuard   guard;
  bool         full;                 /* no more rows are wanted */
} Query;

typedef struct {                     /* a row */
  guint         n;
  const char   *names[COLUMNS_MAX];
  MYSQL_BIND    binds[COLUMNS_MAX];
  unsigned long lens[COLUMNS_MAX];
  my_bool       nulls[COLUMNS_MAX], cut[COLUMNS_MAX];
  char          cells[COLUMNS_MAX][CELL];
} Row;

/* ---- what goes wrong ---- */

static EkStatus
failed (const Query *q, const char *what)
{
  return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "%s", what);
}

static EkStatus
refused (Query *q, unsigned code, const char *text)
{
  bool own = (code >= 2000 && code <= 2999) || (code >= 5000 && code <= 5999);         /* the library's, not the server's */

  q->link->base.lost |= own || code == ER_SERVER_SHUTDOWN || code == ER_CONNECTION_KILLED;
  if (q->guard.fired)
    return failed (q, "no answer in time");
  return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "%s (%u)", text, code);
}

static EkStatus
statement_failed (Query *q)
{
  return refused (q, mysql_stmt_errno (q->stmt), mysql_stmt_error (q->stmt));
}

static void
sign_of_life (Query *q)
{
  mysql_watch_move (q->self->watch, &q->guard, ek_sql_server_patience (&q->self->server, q->call, q->sql));
}

/* ---- rows ---- */

/* The columns of the answer, bound to the row.  OK, or DEFER and the call's error. */
static EkStatus
bind_row (Query *q, Row *row, const MYSQL_RES *meta)
{
  const MYSQL_FIELD *fields = mysql_fetch_fields ((MYSQL_RES *) meta);

  row->n = mysql_num_fields ((MYSQL_RES *) meta);
  if (row->n > COLUMNS_MAX)
    return failed (q, "it gives more than 64 columns");
  for (guint i = 0; i < row->n; i++) {
    row->names[i] = fields[i].name;
    row->binds[i] = (MYSQL_BIND) { .buffer_type = MYSQL_TYPE_STRING, .buffer = row->cells[i], .buffer_length = CELL,
                                   .length = &row->lens[i], .is_null = &row->nulls[i], .error = &row->cut[i] };
  }
  return mysql_stmt_bind_result (q->stmt, row->binds) ? statement_failed (q) : EK_OK;
}

/* A cell that is longer than its place in the row; in the pool. */
static EkStatus
long_cell (Query *q, const Row *row, guint i, EkPool *pool, EkStr *cell)
{
  unsigned long len = row->lens[i];
  MYSQL_BIND whole = { .buffer_type = MYSQL_TYPE_STRING, .buffer_length = len, .length = &len };

  if (len > CELL_MAX)
    return failed (q, "a column is longer than 4 MB");
  whole.buffer = ek_pool_alloc (pool, len + 1);
  if (mysql_stmt_fetch_column (q->stmt, &whole, i, 0))
    return statement_failed (q);
  *cell = (EkStr) { whole.buffer, row->lens[i] };
  return EK_OK;
}

static EkStatus
give_row (Query *q, const Row *row)
{
  g_autoptr (EkPool) pool = NULL;
  EkStr cells[COLUMNS_MAX];

  for (guint i = 0; i < row->n; i++) {
    if (row->nulls[i])
      cells[i] = (EkStr) { NULL, 0 };
    else if (row->lens[i] <= CELL)
      cells[i] = (EkStr) { row->cells[i], row->lens[i] };
    else {
      if (pool == NULL)
        pool = ek_pool_new ();
      if (long_cell (q, row, i, pool, &cells[i]) != EK_OK)
        return EK_DEFER;
    }
  }
  if (!ek_sql_row (q->rows, row->n, row->names, cells))
    q->full = true;
  return EK_OK;
}

static EkStatus
fetch_rows (Query *q, Row *row)
{
  for (;;) {
    int got = mysql_stmt_fetch (q->stmt);
    if (got == MYSQL_NO_DATA)
      return EK_OK;
    if (got != 0 && got != MYSQL_DATA_TRUNCATED)
      return statement_failed (q);
    sign_of_life (q);
    if (q->call->cancelled)
      return failed (q, "nobody waits for the answer any more");
    if (!q->full && give_row (q, row) != EK_OK)
      return EK_DEFER;
    if (q->full && ek_sql_rows_end (q->rows, &q->call->error) != EK_OK)
      return EK_DEFER;               /* the rest need not be read: the connection is given up */
  }
}

static EkStatus
read_rows (Query *q)
{
  MYSQL_RES *meta = mysql_stmt_result_metadata (q->stmt);

  if (meta == NULL)
    return statement_failed (q);
  Row *row = g_new0 (Row, 1);
  EkStatus status = bind_row (q, row, meta);
  if (status == EK_OK)
    status = fetch_rows (q, row);
  mysql_free_result (meta);
  g_free (row);
  return status;
}

/* All answers of the statement: a procedure gives several.  The rows of the first that has any count. */
static EkStatus
read_answers (Query *q)
{
  EkStatus status = EK_OK;

  for (;;) {
    if (mysql_stmt_field_count (q->stmt) > 0) {
      status = read_rows (q);
      q->full = true;
    }
    else if (!q->full)
      ek_sql_rows_changed (q->rows, mysql_stmt_affected_rows (q->stmt));
    if (status != EK_OK)
      return status;
    if (!mysql_stmt_more_results (q->stmt))
      break;
    if (mysql_stmt_next_result (q->stmt) > 0)
      return statement_failed (q);
    sign_of_life (q);
  }
  return mysql_stmt_free_result (q->stmt) ? statement_failed (q) : EK_OK;
}

/* ---- queries ---- */

static EkStatus
prepare (Query *q)
{
  q->stmt = g_hash_table_lookup (q->link->prepared, q->sql);
  if (q->stmt)
    return EK_OK;
  q->stmt = mysql_stmt_init (q->link->db);
  if (q->stmt == NULL)
    return refused (q, mysql_errno (q->link->db), mysql_error (q->link->db));
  g_hash_table_insert (q->link->prepared, (gpointer) q->sql, q->stmt);
  if (mysql_stmt_prepare (q->stmt, q->sql->text, strlen (q->sql->text)))
    return statement_failed (q);
  if (mysql_stmt_param_count (q->stmt) == q->sql->n_params)
    return EK_OK;
  return failed (q, "the server counts other parameters than there are: is one of them in a quote or comment?");
}

static EkStatus
execute (Query *q)
{
  MYSQL_BIND binds[EK_SQL_PARAMS_MAX + 1];
  unsigned long lens[EK_SQL_PARAMS_MAX + 1];

  memset (binds, 0, sizeof binds);
  for (guint i = 0; i < q->sql->n_params; i++) {
    lens[i] = q->values[i].n;
    binds[i].buffer_type = MYSQL_TYPE_STRING;
    binds[i].buffer = (gpointer) q->values[i].p;
    binds[i].buffer_length = lens[i];
    binds[i].length = &lens[i];
  }
  if ((q->sql->n_params && mysql_stmt_bind_param (q->stmt, binds)) || mysql_stmt_execute (q->stmt))
    return statement_failed (q);
  return read_answers (q);
}

/* A statement of a script, which may be of a kind that cannot be prepared; its rows are few. */
static EkStatus
run_script (Query *q)
{
  MYSQL *db = q->link->db;

  if (mysql_real_query (db, q->sql->text, strlen (q->sql->text)))
    return refused (q, mysql_errno (db), mysql_error (db));
  MYSQL_RES *result = mysql_store_result (db);
  if (result == NULL && mysql_errno (db))
    return refused (q, mysql_errno (db), mysql_error (db));
  const guint n = result ? MIN (mysql_num_fields (result), COLUMNS_MAX) : 0;
  const char *names[COLUMNS_MAX];
  EkStr cells[COLUMNS_MAX];
  for (MYSQL_ROW row; n > 0 && (row = mysql_fetch_row (result));) {
    const unsigned long *lens = mysql_fetch_lengths (result);
    for (guint i = 0; i < n; i++) {
      names[i] = mysql_fetch_field_direct (result, i)->name;
      cells[i] = (EkStr) { row[i], row[i] ? lens[i] : 0 };
    }
    if (!ek_sql_row (q->rows, n, names, cells))
      break;
  }
  mysql_free_result (result);
  return EK_OK;
}

static EkStatus
run (EkSqlServer *self, EkSqlLink *base, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows)
{
  MysqlLink *link = (MysqlLink *) base;
  Query q = { .self = (Mysql *) self, .link = link, .call = call, .sql = sql, .values = values, .rows = rows };

  link->clean = false;
  mysql_watch_begin (q.self->watch, &q.guard, (int) mysql_get_socket (link->db), ek_sql_server_patience (self, call, sql));
  EkStatus status = sql->script ? run_script (&q) : prepare (&q);
  if (status == EK_OK && !sql->script)
    status = execute (&q);
  if (mysql_watch_end (q.self->watch, &q.guard))
    base->lost = true;
  link->clean = status == EK_OK && !base->lost;
  if (status == EK_OK)
    status = ek_sql_rows_end (rows, &call->error);
  return status;
}

static void
close_link (EkSqlServer *self, EkSqlLink *base)
{
  MysqlLink *link = (MysqlLink *) base;

  if (!link->clean)                  /* else the library would read the rest of the answer first */
    shutdown ((int) mysql_get_socket (link->db), SHUT_RDWR);
  g_hash_table_unref (link->prepared);
  mysql_close (link->db);
  g_free (link);
}

/* ---- life ---- */

static const EkSqlSchema schema = {
  .folder = "mysql", .style = EK_SQL_QUESTION,
  .has_table = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'ekiden_schema'",
  .lock = "SELECT GET_LOCK(CONCAT('ekiden_schema ', MD5(DATABASE())), 0)",
};

static const EkSqlDriver driver = { .style = EK_SQL_QUESTION, .open = mysql_dial, .close = close_link, .run = run };

static gboolean
init (EkInstance *self, GError **error)
{
  ((EkSqlInstance *) self)->schema = &schema;
  return ek_sql_server_init ((EkSqlServer *) self, &driver, error);
}

static gboolean
start (EkInstance *base, GError **error)
{
  Mysql *self = (Mysql *) base;

  if (mysql_library_init (0, NULL, NULL)) {        /* before its threads */
    ek_fail (error, EK_FAIL, 0, "libmariadb does not start");
    return FALSE;
  }
  if (self->watch == NULL)
    self->watch = mysql_watch_new ();
  return TRUE;
}

static void
stop (EkInstance *base)
{
  Mysql *self = (Mysql *) base;

  g_clear_pointer (&self->watch, mysql_watch_free);
  ek_sql_server_stop (base);
}

EK_MODULE (mysql, .summary = "Maps, passwords and users in a MariaDB or MySQL database", .options = options,
           .instance_size = sizeof (Mysql), .lacks = ek_sql_lacks, .init = init, .start = start, .stop = stop, .connect = ek_sql_server_connect,
           .disconnect = ek_sql_server_disconnect, .map = &ek_sql_map, .passdb = &ek_sql_passdb, .userdb = &ek_sql_userdb);
