/* pgsql.c - maps, passwords and users in a PostgreSQL database
 * SPDX-License-Identifier: Apache-2.0 */
#include "pgsql.h"
#include <poll.h>
#include <string.h>

#define COLUMNS_MAX  64
#define NAME_DIGITS  40              /* of a statement's name: the server keeps 63 bytes of it */

/* What the server says when a prepared statement is not, or is already, there (SQLSTATE). */
#define NO_SUCH_STATEMENT "26000"
#define STATEMENT_EXISTS  "42P05"
#define PLAN_CHANGED      "0A000"    /* its columns have other types by now */

static const EkOption options[] = {
  EK_SQL_SERVER_ROWS ("/run/postgresql", "5432", "the folder of a unix socket"),
  EK_OPTION (Pgsql, prepare, "yes", "Prepare each query once for each connection, so that the server plans it once. Behind a pooler of "
             "transactions (pgbouncer) no is faster; it works with yes, too."),
  EK_SQL_ROWS,
  EK_OPTIONS_END
};

typedef struct {                     /* a query under way */
  Pgsql       *self;
  PgsqlLink   *link;
  EkCall      *call;
  const EkSql *sql;
  const EkStr *values;
  EkSqlRows   *rows;                 /* NULL: answers have none (PREPARE) */
  bool         full;                 /* no more rows are wanted */
  char         sqlstate[6];          /* of what the server refused */
} Query;

/* ---- answers ---- */

static EkStatus
late (Query *q)
{
  q->link->base.lost = true;
  return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "no answer in time");
}

static EkStatus
refused (Query *q, const PGresult *result)
{
  const char *state = PQresultErrorField (result, PG_DIAG_SQLSTATE), *text = PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);

  g_strlcpy (q->sqlstate, state ? state : "", sizeof q->sqlstate);
  q->link->base.lost = PQstatus (q->link->pg) != CONNECTION_OK;
  return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "%s%s%s%s", text ? text : PQresultErrorMessage (result),
                               state ? " (" : "", state ? state : "", state ? ")" : "");
}

/* The next part of the answer; *result NULL: that was all.  DEFER and the call's error: the server is gone or silent. */
static EkStatus
next_result (Query *q, PGresult **result)
{
  gint64 deadline = ek_sql_server_patience (&q->self->server, q->call, q->sql);
  PGconn *pg = q->link->pg;
  int unsent;

  *result = NULL;
  while ((unsent = PQflush (pg)) > 0 || (unsent == 0 && PQisBusy (pg))) {
    if (q->call->cancelled || !pgsql_wait (pg, unsent ? POLLIN | POLLOUT : POLLIN, deadline))
      return late (q);
    if (!PQconsumeInput (pg))
      break;                         /* PQgetResult() tells why */
  }
  *result = PQgetResult (pg);
  return EK_OK;
}

static void
give_row (Query *q, const PGresult *result, int row)
{
  const char *names[COLUMNS_MAX];
  EkStr cells[COLUMNS_MAX];
  int n = PQnfields (result);

  for (int i = 0; i < n; i++) {
    names[i] = PQfname (result, i);
    cells[i] = PQgetisnull (result, row, i) ? (EkStr) { NULL, 0 }
                                            : (EkStr) { PQgetvalue (result, row, i), (gsize) PQgetlength (result, row, i) };
  }
  if (!ek_sql_row (q->rows, (guint) n, names, cells))
    q->full = true;
}

static EkStatus
take (Query *q, PGresult *result)
{
  ExecStatusType kind = PQresultStatus (result);

  if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH) {
    q->link->base.lost = true;       /* nothing else can be asked on it */
    return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "COPY gives no rows here: write a SELECT");
  }
  if (kind != PGRES_SINGLE_TUPLE && kind != PGRES_TUPLES_OK && kind != PGRES_COMMAND_OK && kind != PGRES_EMPTY_QUERY)
    return refused (q, result);
  if (q->rows == NULL)
    return EK_OK;
  if (PQnfields (result) > COLUMNS_MAX)
    return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "it gives more than %d columns", COLUMNS_MAX);
  for (int row = 0; row < PQntuples (result) && !q->full; row++)
    give_row (q, result, row);
  if (kind != PGRES_SINGLE_TUPLE)
    ek_sql_rows_changed (q->rows, g_ascii_strtoull (PQcmdTuples (result), NULL, 10));
  return EK_OK;
}

/* The whole answer to what was sent.  Behind an error too all of it is read, so that the connection can be used again. */
static EkStatus
receive (Query *q)
{
  EkStatus status = EK_OK;
  PGresult *result;

  for (;;) {
    if (next_result (q, &result) != EK_OK)
      return EK_DEFER;
    if (result == NULL)
      break;
    if (status == EK_OK)
      status = take (q, result);
    PQclear (result);
    if (q->link->base.lost || (q->full && ek_sql_rows_end (q->rows, NULL) != EK_OK))
      break;                         /* the core closes it: the rest need not be read */
  }
  return status == EK_OK && q->rows ? ek_sql_rows_end (q->rows, &q->call->error) : status;
}

/* `sent`: what a PQsend...() gave. */
static EkStatus
answer (Query *q, int sent)
{
  if (sent)
    return receive (q);
  q->link->base.lost = true;
  return ek_sql_server_failed (&q->self->server, &q->link->base, q->call, q->sql, "%s", PQerrorMessage (q->link->pg));
}

/* ---- queries ---- */

/* A pooler gives one connection of the server to several clients in turn, so a name has to mean the same text to all of them. */
static char *
statement_name (const EkSql *sql)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, sql->text, -1);

  return g_strdup_printf ("ekiden_%.*s", NAME_DIGITS, sum);
}

static EkStatus
prepare (const Query *q, const char *name)
{
  Query p = { .self = q->self, .link = q->link, .call = q->call, .sql = q->sql };
  EkStatus status = answer (&p, PQsendPrepare (q->link->pg, name, q->sql->text, 0, NULL));

  if (status != EK_OK && strcmp (p.sqlstate, STATEMENT_EXISTS) == 0) {     /* by another client of the pooler: the same text */
    g_clear_error (&q->call->error);
    status = EK_OK;
  }
  if (status == EK_OK)
    g_hash_table_add (q->link->prepared, (gpointer) q->sql);
  return status;
}

static int
send_query (const Query *q, const char *name)
{
  const char *values[EK_SQL_PARAMS_MAX];
  PGconn *pg = q->link->pg;
  int n = (int) q->sql->n_params;
  int sent;

  for (int i = 0; i < n; i++)
    values[i] = q->values[i].p;
  if (name)
    sent = PQsendQueryPrepared (pg, name, n, values, NULL, NULL, 0);
  else
    sent = PQsendQueryParams (pg, q->sql->text, n, NULL, values, NULL, NULL, 0);
  if (sent)
    PQsetSingleRowMode (pg);
  return sent;
}

static EkStatus
run_prepared (Query *q)
{
  g_autofree char *name = statement_name (q->sql);

  if (!g_hash_table_contains (q->link->prepared, q->sql) && prepare (q, name) != EK_OK)
    return EK_DEFER;
  return answer (q, send_query (q, name));
}

static EkStatus
run (EkSqlServer *self, EkSqlLink *base, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows)
{
  PgsqlLink *link = (PgsqlLink *) base;
  Query q = { .self = (Pgsql *) self, .link = link, .call = call, .sql = sql, .values = values, .rows = rows };

  if (link->prepared && !sql->script) {
    EkStatus status = run_prepared (&q);
    if (status != EK_DEFER || base->lost || (strcmp (q.sqlstate, NO_SUCH_STATEMENT) != 0 && strcmp (q.sqlstate, PLAN_CHANGED) != 0))
      return status;
    /* a pooler, or somebody's DISCARD, has taken it away, or a pooler keeps one from before a table was altered; nothing was run */
    g_clear_error (&call->error);
    g_clear_pointer (&link->prepared, g_hash_table_unref);
  }
  return answer (&q, send_query (&q, NULL));
}

/* ---- life ---- */

/* The number is nobody else's: "ekiden" in bytes. */
static const EkSqlSchema schema = {
  .folder = "postgresql", .style = EK_SQL_DOLLAR, .transactions = true,
  .has_table = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'ekiden_schema'",
  .lock = "SELECT CASE WHEN pg_try_advisory_lock(111524969604462) THEN 1 ELSE 0 END",
};

static const EkSqlDriver driver = { .style = EK_SQL_DOLLAR, .finds_primary = true, .open = pgsql_open, .close = pgsql_close, .run = run };

static gboolean
init (EkInstance *self, GError **error)
{
  ((EkSqlInstance *) self)->schema = &schema;
  return ek_sql_server_init ((EkSqlServer *) self, &driver, error);
}

EK_MODULE (pgsql, .summary = "Maps, passwords and users in a PostgreSQL database", .options = options, .instance_size = sizeof (Pgsql), .lacks = ek_sql_lacks,
           .init = init, .stop = ek_sql_server_stop, .connect = ek_sql_server_connect, .disconnect = ek_sql_server_disconnect,
           .map = &ek_sql_map, .passdb = &ek_sql_passdb, .userdb = &ek_sql_userdb);
