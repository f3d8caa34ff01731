/* sql.c - the map, passdb and userdb that every SQL module offers
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/sql.h"
#include "lookup/params.h"
#include "lookup/record.h"
#include "auth/scheme.h"
#include <errno.h>
#include <string.h>

#define ROWS_MAX  10000
#define BYTES_MAX (4 * 1024 * 1024)

struct EkSqlQueries {
  EkPool          *pool;             /* owns this struct */
  EkSqlStyle       style;
  EkSql           *query, *list_query, *show_query, *insert, *remove, *password_query, *user_query, *users_query, *password_update, *user_insert,
                  *user_delete;
  EkSql          **updates;          /* as the option's list */
  const char     **fields;           /* their names; NULL-terminated */
  EkRecordDefaults defaults;
};

/* ---- rows ---- */

struct EkSqlRows {
  EkPool   *pool;
  EkAnswer *answer;                  /* NULL: each row goes to func */
  guint     room;                    /* rows that cells has room for */
  gsize     bytes;
  guint64   changed;
  bool      too_many;
  bool    (*func) (EkPool *pool, const EkAnswer *row, gpointer data);
  gpointer  data;
};

static void
grow (EkSqlRows *rows)
{
  EkAnswer *a = rows->answer;
  guint room = rows->room ? rows->room * 2 : 4;
  EkStr *cells = ek_pool_newv (rows->pool, EkStr, (gsize) room * a->n_columns);

  if (a->n_rows)
    memcpy (cells, a->cells, sizeof *cells * a->n_rows * a->n_columns);
  a->cells = cells;
  rows->room = room;
}

static void
name_columns (EkSqlRows *rows, guint n_columns, const char *const *names)
{
  EkAnswer *a = rows->answer;

  a->n_columns = n_columns;
  a->names = ek_pool_newv (rows->pool, const char *, n_columns + 1);
  for (guint i = 0; i < n_columns; i++)
    a->names[i] = ek_pool_strdup (rows->pool, names[i]);
}

bool
ek_sql_row (EkSqlRows *rows, guint n_columns, const char *const *names, const EkStr *cells)
{
  EkAnswer *a = rows->answer;

  if (a == NULL)
    return rows->func (rows->pool, &(EkAnswer) { 1, n_columns, (const char **) names, (EkStr *) cells }, rows->data);
  if (a->names == NULL)
    name_columns (rows, n_columns, names);
  for (guint i = 0; i < n_columns; i++)
    rows->bytes += cells[i].n;
  if (a->n_rows == ROWS_MAX || rows->bytes > BYTES_MAX) {
    rows->too_many = true;
    return false;
  }
  if (a->n_rows == rows->room)
    grow (rows);
  for (guint i = 0; i < n_columns; i++)
    a->cells[(gsize) a->n_rows * n_columns + i] = cells[i].p ? ek_pool_str (rows->pool, cells[i]) : (EkStr) { NULL, 0 };
  a->n_rows++;
  return true;
}

EkStatus
ek_sql_rows_end (EkSqlRows *rows, GError **error)
{
  if (rows->too_many)
    return ek_fail (error, EK_DEFER, E2BIG, "the answer has more than %u rows or %u bytes: make the query give less", ROWS_MAX,
                    BYTES_MAX);
  return EK_OK;
}

void
ek_sql_rows_changed (EkSqlRows *rows, guint64 n)
{
  rows->changed = n;
}

/* ---- settings ---- */

/* ANY: a map's question, which may bring parameters of its own; LOGIN: a name, and where its login comes from. */
typedef enum { ABOUT_ANY, ABOUT_NAME, ABOUT_LOGIN, ABOUT_ALL } About;

/* A query without the name, as one with another program's '%s' in it, would find nobody, or everybody, whoever was asked for. */
static bool
check_params (const EkSql *sql, About about, const char *more, const char *text, GError **error)
{
  if ((sql->n_params > 0) == (about == ABOUT_ALL)) {
    ek_fail (error, EK_FAIL, EINVAL, "%s: %s", sql->option, about == ABOUT_ALL ? "it is for all there are, so it has no parameters" :
             strchr (text, '%') ? "it has no parameter, so every question is the same: write :user without quotes, not %s or '%u'" :
             "it has no parameter, so every question is the same: write :user where the name stands");
    return false;
  }
  for (guint i = 0; (about == ABOUT_NAME || about == ABOUT_LOGIN) && i < sql->n_params; i++)
    if (!ek_param_is_known (sql->option, sql->params[i], about == ABOUT_LOGIN ? EK_LOGIN_HAS : more, error))
      return false;
  return true;
}

static bool
prepare (EkSqlQueries *q, EkSql **sql, const char *option, const char *text, About about, GError **error)
{
  if (text == NULL)
    return true;
  *sql = ek_sql_parse (q->pool, option, text, q->style, error);
  return *sql && check_params (*sql, about, NULL, text, error);
}

/* `more` is what it has beside a name. */
static bool
prepare_change (EkSqlQueries *q, EkSql **sql, const char *option, const char *text, const char *more, GError **error)
{
  if (text == NULL)
    return true;
  *sql = ek_sql_parse (q->pool, option, text, q->style, error);
  if (*sql)
    (*sql)->changes = true;
  return *sql && check_params (*sql, ABOUT_NAME, more, text, error);
}

/* "FIELD = query" each. */
static bool
prepare_updates (EkSqlInstance *self, EkSqlQueries *q, GError **error)
{
  guint n = self->updates ? g_strv_length (self->updates) : 0;

  q->updates = ek_pool_newv (q->pool, EkSql *, n + 1);
  q->fields = ek_pool_newv (q->pool, const char *, n + 1);
  for (guint i = 0; i < n; i++) {
    const char *text = self->updates[i], *equals = text + strspn (text, "abcdefghijklmnopqrstuvwxyz_0123456789");
    q->fields[i] = ek_pool_strndup (q->pool, text, (gsize) (equals - text));
    equals += strspn (equals, " ");
    if (*q->fields[i] == '\0' || *equals != '=') {
      ek_fail (error, EK_FAIL, EINVAL, "updates: \"%.40s\": write \"FIELD = UPDATE ...\", the field in small letters", text);
      return false;
    }
    if (!prepare_change (q, &q->updates[i], ek_pool_printf (q->pool, "updates %s", q->fields[i]), equals + 1, "value", error))
      return false;
  }
  return true;
}

static bool
prepare_all (EkSqlInstance *self, EkSqlQueries *q, GError **error)
{
  return prepare (q, &q->query, "query", self->query, ABOUT_ANY, error)
         && prepare (q, &q->list_query, "list_query", self->list_query, ABOUT_ALL, error)
         && prepare (q, &q->show_query, "show_query", self->show_query, ABOUT_NAME, error) && prepare_updates (self, q, error)
         && prepare_change (q, &q->insert, "insert", self->insert, "value", error)
         && prepare_change (q, &q->remove, "remove", self->remove, "value", error)
         && prepare (q, &q->password_query, "password_query", self->password_query, ABOUT_LOGIN, error)
         && prepare (q, &q->user_query, "user_query", self->user_query, ABOUT_NAME, error)
         && prepare (q, &q->users_query, "users_query", self->users_query, ABOUT_ALL, error)
         && prepare_change (q, &q->password_update, "password_update", self->password_update, "stored and :old", error)
         && prepare_change (q, &q->user_insert, "user_insert", self->user_insert, "stored", error)
         && prepare_change (q, &q->user_delete, "user_delete", self->user_delete, NULL, error);
}

gboolean
ek_sql_init (EkSqlInstance *self, EkSqlStyle style, GError **error)
{
  EkPool *pool = ek_pool_new ();
  EkSqlQueries *q = self->queries = ek_pool_new0 (pool, EkSqlQueries);

  q->pool = pool;
  q->style = style;
  if (ek_record_defaults (&q->defaults, self->scheme, self->home, self->mail, self->uid, self->gid, error) && prepare_all (self, q, error))
    return TRUE;
  ek_sql_stop (self);
  return FALSE;
}

bool
ek_sql_writes (const EkSqlInstance *self)
{
  return self->insert || self->remove || self->password_update || self->user_insert || self->user_delete || self->migrates
         || (self->updates && self->updates[0]);
}

const char *
ek_sql_lacks (const EkInstance *base, const char *table)
{
  const EkSqlInstance *self = (const EkSqlInstance *) base;

  if (strcmp (table, "map") == 0)
    return self->query ? NULL : "query is not set";
  if (strcmp (table, "passdb") == 0)
    return self->password_query ? NULL : "password_query is not set";
  if (strcmp (table, "change") == 0)
    return self->password_update || self->user_insert || self->updates[0] ? NULL : "password_update, user_insert and updates are not set";
  return self->user_query || strcmp (table, "userdb") != 0 ? NULL : "user_query is not set";
}

EkSqlInstance *
ek_sql_instance (EkInstance *instance)
{
  return instance->module && instance->module->map == &ek_sql_map ? (EkSqlInstance *) instance : NULL;
}

void
ek_sql_stop (EkSqlInstance *self)
{
  if (self->queries)
    ek_pool_free (self->queries->pool);
  self->queries = NULL;
}

/* ---- asking ---- */

static EkStatus
ask (EkSqlInstance *self, EkCall *call, const EkSql *sql, const EkQuery *query, EkSqlRows *rows)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < sql->n_params && status == EK_OK; i++)
    status = ek_query_needs (query, sql->option, sql->params[i], &call->error);
  if (status != EK_OK)
    return status;
  const EkStr *values = ek_sql_values (call->pool, sql, query);
  rows->pool = call->pool;
  return values ? self->run (self, call, sql, values, rows) : EK_NOTFOUND;
}

/* All rows; no row is NOTFOUND.  `option` names what has to be set for it. */
static EkStatus
select_rows (EkSqlInstance *self, EkCall *call, const EkSql *sql, const char *option, const EkQuery *query, EkAnswer *answer)
{
  EkSqlRows rows = { .answer = answer };

  *answer = (EkAnswer) { 0 };
  if (sql == NULL)
    return ek_fail (&call->error, EK_DEFER, EINVAL, "%s is not set", option);
  EkStatus status = ask (self, call, sql, query, &rows);
  if (status == EK_OK && answer->n_rows && answer->n_columns == 0)       /* PostgreSQL takes SELECT FROM */
    return ek_fail (&call->error, EK_DEFER, EINVAL, "%s gives rows without a column: name one", option);
  return status == EK_OK && answer->n_rows == 0 ? EK_NOTFOUND : status;
}

static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkSqlInstance *self = (EkSqlInstance *) base;

  return select_rows (self, call, self->queries->query, "query", query, answer);
}

static EkStatus
pass_lookup (EkInstance *base, EkCall *call, const char *name, EkAccount *account)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  EkParam params[EK_LOGIN_PARAMS];
  EkQuery query = { .key = ek_str (name), .params = params, .n_params = ek_login_params (call->login, params),
                    .by_client = &call->by_client };
  EkAnswer answer;
  EkStatus status = select_rows (self, call, self->queries->password_query, "password_query", &query, &answer);

  return status == EK_OK ? ek_record_account (call->pool, &answer, &self->queries->defaults, account, &call->error) : status;
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  EkAnswer answer;
  EkStatus status = select_rows (self, call, self->queries->user_query, "user_query", &(EkQuery) { .key = ek_str (name) }, &answer);

  return status == EK_OK ? ek_record_user (call->pool, &answer, &self->queries->defaults, name, user, &call->error) : status;
}

/* ---- writing ---- */

/* OK: a row was changed; NOTFOUND: none was.  `value` is the parameter of that name; `old`: what a stored password has to be, or empty. */
static EkStatus
change_old (EkSqlInstance *self, EkCall *call, const EkSql *sql, EkStr key, const char *name, EkStr value, EkStr old)
{
  EkParam params[] = { { name, value.p ? value : EK_STR ("") }, { "old", old } };
  EkSqlRows rows = { .answer = &(EkAnswer) { 0 } };
  EkQuery query = { .key = key, .params = params, .n_params = 2 };
  EkStatus status = ask (self, call, sql, &query, &rows);

  return status == EK_OK && rows.changed == 0 ? EK_NOTFOUND : status;
}

static EkStatus
change (EkSqlInstance *self, EkCall *call, const EkSql *sql, EkStr key, const char *name, EkStr value)
{
  return change_old (self, call, sql, key, name, value, EK_STR (""));
}

static EkStatus
read_only (EkCall *call, const char *option)
{
  return ek_fail (&call->error, EK_FAIL, EROFS, "it cannot be changed: %s is not set", option);
}

static EkStatus
map_add (EkInstance *base, EkCall *call, EkStr key, EkStr value)
{
  EkSqlInstance *self = (EkSqlInstance *) base;

  return self->queries->insert ? change (self, call, self->queries->insert, key, "value", value) : read_only (call, "insert");
}

static EkStatus
map_remove (EkInstance *base, EkCall *call, EkStr key, EkStr value)
{
  EkSqlInstance *self = (EkSqlInstance *) base;

  return self->queries->remove ? change (self, call, self->queries->remove, key, "value", value) : read_only (call, "remove");
}

static EkStatus
pass_set (EkInstance *base, EkCall *call, const char *name, EkStr stored)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  const EkSqlQueries *q = self->queries;

  if (q->password_update == NULL && q->user_insert == NULL)
    return ek_fail (&call->error, EK_FAIL, EROFS, "it is read-only: set password_update, and user_insert for new users");
  EkStatus status = q->password_update ? change (self, call, q->password_update, ek_str (name), "stored", stored) : EK_NOTFOUND;
  if (status != EK_NOTFOUND)
    return status;
  if (q->user_insert == NULL)
    return ek_fail (&call->error, EK_FAIL, EROFS, "\"%s\" is not there, and user_insert is not set", name);
  return change (self, call, q->user_insert, ek_str (name), "stored", stored);
}

static EkStatus
pass_replace (EkInstance *base, EkCall *call, const char *name, EkStr from, EkStr to)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  const EkSql *sql = self->queries->password_update;
  bool careful = false;

  for (guint i = 0; sql && i < sql->n_params; i++)
    careful |= strcmp (sql->params[i], "old") == 0;
  if (!careful)                        /* it would overwrite a password that was changed just now */
    return ek_fail (&call->error, EK_FAIL, EROFS, "passwords are not rehashed: password_update %s", sql ? "does not look at the old "
                    "one: add AND (:old = '' OR password = :old)" : "is not set");
  EkStatus status = change_old (self, call, sql, ek_str (name), "stored", to, from);
  EkStr bare = ek_record_without_scheme (&self->queries->defaults, from);
  return status == EK_NOTFOUND && bare.n > 0 ? change_old (self, call, sql, ek_str (name), "stored", to, bare) : status;
}

static EkStatus
pass_remove (EkInstance *base, EkCall *call, const char *name)
{
  EkSqlInstance *self = (EkSqlInstance *) base;

  if (self->queries->user_delete == NULL)
    return read_only (call, "user_delete");
  return change (self, call, self->queries->user_delete, ek_str (name), "stored", EK_STR (""));
}

static EkStatus
set_field (EkSqlInstance *self, EkCall *call, EkStr key, const char *field, EkStr value)
{
  const EkSqlQueries *q = self->queries;
  g_autofree char *known = g_strjoinv (", ", (char **) q->fields);

  for (guint i = 0; q->fields[i]; i++)
    if (strcmp (q->fields[i], field) == 0)
      return change (self, call, q->updates[i], key, "value", value);
  if (*known == '\0')
    return read_only (call, "updates");
  return ek_fail (&call->error, EK_FAIL, EINVAL, "it has no field \"%s\": those that can be set are %s", field, known);
}

static EkStatus
map_set (EkInstance *base, EkCall *call, EkStr key, const char *field, EkStr value)
{
  return set_field ((EkSqlInstance *) base, call, key, field, value);
}

static EkStatus
user_set (EkInstance *base, EkCall *call, const char *name, const char *field, EkStr value)
{
  return set_field ((EkSqlInstance *) base, call, ek_str (name), field, value);
}

static EkStatus
map_show (EkInstance *base, EkCall *call, EkStr key, EkAnswer *answer)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  bool own = self->queries->show_query != NULL;

  return select_rows (self, call, own ? self->queries->show_query : self->queries->query, "query", &(EkQuery) { .key = key }, answer);
}

static EkStatus
user_show (EkInstance *base, EkCall *call, const char *name, EkAnswer *answer)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  bool own = self->queries->show_query != NULL;

  return select_rows (self, call, own ? self->queries->show_query : self->queries->user_query, "user_query",
                      &(EkQuery) { .key = ek_str (name) }, answer);
}

EkStatus
ek_sql_script (EkSqlInstance *self, EkCall *call, const char *label, const char *text, EkAnswer *answer)
{
  EkSql sql = { .option = label, .text = (char *) text, .changes = true, .script = true };
  EkSqlRows rows = { .answer = answer, .pool = call->pool };

  *answer = (EkAnswer) { 0 };
  return self->run (self, call, &sql, NULL, &rows);
}

/* ---- all of them ---- */

typedef struct {
  EkCall  *call;
  void   (*func) (EkStr key, EkStr value, gpointer data);
  gpointer data;
} EachPair;

static bool
one_pair (EkPool *pool, const EkAnswer *row, gpointer data)
{
  EachPair *e = data;
  EkStr key = ek_answer_column (row, "key"), value = ek_answer_column (row, "value");

  if (key.p)
    e->func (key, value.p ? value : EK_STR (""), e->data);
  return !e->call->cancelled;
}

static EkStatus
map_each (EkInstance *base, EkCall *call, void (*func) (EkStr, EkStr, gpointer), gpointer data)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  EachPair each = { call, func, data };
  EkSqlRows rows = { .func = one_pair, .data = &each };

  if (self->queries->list_query == NULL)
    return EK_NOTFOUND;
  return ask (self, call, self->queries->list_query, &(EkQuery) { .key = EK_STR ("") }, &rows);
}

typedef struct {
  EkSqlInstance *self;
  EkCall        *call;
  EkPool        *pool;
  void         (*func) (const EkUser *user, gpointer data);
  gpointer       data;
} Each;

static bool
one_user (EkPool *pool, const EkAnswer *row, gpointer data)
{
  Each *e = data;
  EkStr name = ek_answer_column (row, "user");
  g_autoptr (GError) ignored = NULL;           /* a user whose home cannot be told is a user too */
  EkUser user = { .uid = -1, .gid = -1 };

  if (name.p == NULL)
    name = ek_answer_column (row, NULL);
  if (name.n == 0)
    return true;
  (void) ek_record_user (e->pool, row, &e->self->queries->defaults, ek_pool_strndup (e->pool, name.p, name.n), &user, &ignored);
  e->func (&user, e->data);
  ek_pool_clear (e->pool);
  return !e->call->cancelled;
}

static EkStatus
user_each (EkInstance *base, EkCall *call, void (*func) (const EkUser *, gpointer), gpointer data)
{
  EkSqlInstance *self = (EkSqlInstance *) base;
  g_autoptr (EkPool) pool = ek_pool_new ();
  Each each = { self, call, pool, func, data };
  EkSqlRows rows = { .func = one_user, .data = &each };

  if (self->queries->users_query == NULL)
    return EK_NOTFOUND;
  return ask (self, call, self->queries->users_query, &(EkQuery) { .key = EK_STR ("") }, &rows);
}

const EkMapOps ek_sql_map = { .lookup = map_lookup, .add = map_add, .remove = map_remove, .each = map_each, .set = map_set, .show = map_show };
const EkPassdbOps ek_sql_passdb = { .lookup = pass_lookup, .set = pass_set, .replace = pass_replace, .remove = pass_remove };
const EkUserdbOps ek_sql_userdb = { .lookup = user_lookup, .each = user_each, .set = user_set, .show = user_show };
