/* sql.h - what all SQL modules have in common: queries with named parameters, and their three tables
 * SPDX-License-Identifier: Apache-2.0
 *
 * An admin writes
 *
 *   pgsql "hosting" {
 *     query          = "SELECT goto FROM alias WHERE address = :address AND active"
 *     password_query = "SELECT password FROM mailbox WHERE username = :user"
 *     user_query     = "SELECT home, uid, gid FROM mailbox WHERE username = :user"
 *   }
 *
 * and a parameter is never text in the query: it is bound, as the driver's placeholder.  A driver is a connect(), a disconnect() and
 * one function that runs a query; modules/sqlite is the smallest.
 */
#pragma once
#include <ekiden/ekiden.h>

/* ---- queries ---- */

typedef enum {
  EK_SQL_QUESTION,                   /* ?, one for each use (SQLite, MariaDB) */
  EK_SQL_DOLLAR,                     /* $1: a parameter that is used twice has one number (PostgreSQL) */
} EkSqlStyle;

typedef struct {
  const char  *option;               /* the setting that it came from, for messages */
  char        *text;                 /* with the driver's placeholders */
  const char **params;               /* n_params names, in the order in which the driver counts them */
  guint        n_params;
  bool         changes;              /* it writes: not for a server that only copies another */
  bool         script;               /* one of a script, without parameters: it is run once, so never prepared, and given all the time */
} EkSql;

#define EK_SQL_PARAMS_MAX 32

/* Parameters are `:name`: key, user, address (all of them the whole name), local, domain, or whatever a question has beside its
 * key (service, client, ...).  Not in quotes, comments, $$ $$, nor in `::type`.  NULL and *error: too many, a quote that is not closed, a
 * placeholder of the driver's own. */
EkSql *ek_sql_parse (EkPool *pool, const char *option, const char *text, EkSqlStyle style, GError **error);

/* The next statement of a script, in the pool, and the line that it begins in; *at and *line (1 before the first) move behind it.  NULL:
 * there is none, or *error: a quote is not closed.  It ends at a semicolon; comments before it are not its. */
char *ek_sql_statement (EkPool *pool, const char **at, guint *line, guint *begins, EkSqlStyle style, GError **error);

/* The values of a question in the driver's order, in the pool; NULL: one of them can be in no database (a NUL, no UTF-8), so the
 * answer is NOTFOUND. */
const EkStr *ek_sql_values (EkPool *pool, const EkSql *sql, const EkQuery *query);

/* ---- rows ---- */

/* Where a driver puts its rows, one after the other. */
typedef struct EkSqlRows EkSqlRows;
/* Copies one row; NULL is a cell whose p is NULL.  False: no more are wanted (they are too many, or the caller has gone): the
 * driver drops the rest and returns what ek_sql_rows_end() gives. */
bool     ek_sql_row (EkSqlRows *rows, guint n_columns, const char *const *names, const EkStr *cells);
EkStatus ek_sql_rows_end (EkSqlRows *rows, GError **error);
/* How many rows a query changed that gives none. */
void     ek_sql_rows_changed (EkSqlRows *rows, guint64 n);

/* ---- instances ---- */

typedef struct EkSqlInstance EkSqlInstance;

/* Job thread.  Runs the query on call->conn with its values (sql->n_params; none holds a NUL, each has one behind it), hands over each
 * row and returns ek_sql_rows_end(); DEFER and *error when the database does not answer by call->deadline, or is at fault. */
typedef EkStatus (*EkSqlRun) (EkSqlInstance *self, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows);

/* What `ekiden sql` needs to know of a driver (lookup/migrate.h). */
typedef struct {
  const char *folder;                /* of sql/, where the schema for it is */
  EkSqlStyle  style;
  const char *has_table;             /* counts the tables that are called ekiden_schema */
  const char *lock;                  /* gives 1 when nobody else has it, and holds it until the connection ends; NULL: BEGIN IMMEDIATE does */
  bool        transactions;          /* a migration that fails leaves nothing behind */
  bool      (*make) (EkSqlInstance *self, GError **error);   /* makes an empty database where there is none; NULL: its server does */
} EkSqlSchema;

typedef struct EkSqlQueries EkSqlQueries;
struct EkSqlInstance {               /* a module's struct begins with it, and its rows are EK_SQL_ROWS and its own */
  EkInstance    base;
  const char   *query, *list_query, *show_query, *insert, *remove, *password_query, *user_query, *users_query, *password_update, *user_insert, *user_delete;
  const char   *scheme, *home, *mail, *uid, *gid;
  char        **updates;
  EkSqlRun      run;                 /* set before ek_sql_init(), and so is: */
  const EkSqlSchema *schema;
  bool          migrates;            /* `ekiden sql`: it writes, whatever its queries do; before start() */
  EkSqlQueries *queries;
};

#define EK_SQL_ROWS                                                                                                             \
  EK_OPTION (EkSqlInstance, query, "", "As a map: the query whose rows are the answer: \"SELECT goto FROM alias WHERE address = "   \
             ":key\". Parameters are bound, never put into the text: :key (also :user or :address), :local and :domain (what is " \
             "before and behind its @), and others that a question brings, as :service or :client."),                            \
  EK_OPTION (EkSqlInstance, list_query, "", "Gives the columns key and value for all there are, for `ekiden alias list` and its like: "  \
             "\"SELECT address AS key, goto AS value FROM alias\"."),                                                            \
  EK_OPTION (EkSqlInstance, show_query, "", "Gives all that is kept of a domain or a user, as columns of any names, for `ekiden domain show` " \
             "and `ekiden user show`; those that are not active, too. Empty: what query or user_query gives is all."),          \
  EK_OPTION (EkSqlInstance, updates, "[]", "What `ekiden domain set` and `ekiden user set` can change: a list of \"FIELD = query\", as "    \
             "\"quota = UPDATE mailbox SET quota = :value WHERE username = :user\". Numbers come as digits (sizes in bytes), yes and no " \
             "as 1 and 0, and what is taken away as an empty text."),                                                           \
  EK_OPTION (EkSqlInstance, insert, "", "Adds a pair: \"INSERT INTO alias (address, goto) VALUES (:key, :value)\". Empty: no command " \
             "can."),                                                                                                           \
  EK_OPTION (EkSqlInstance, remove, "", "Takes a pair away, or all of a key's when :value is empty: \"DELETE FROM alias WHERE "   \
             "address = :key AND (:value = '' OR goto = :value)\"."),                                                            \
  EK_OPTION (EkSqlInstance, password_query, "", "As a passdb: gives the column password, and others that the login obeys "       \
             "(nologin, allow_nets, user, userdb_...): \"SELECT password FROM mailbox WHERE username = :user\". Of a login there are :service " \
             "(smtp, imap) and :client (its address), too; both are empty when a user is only looked for."),                      \
  EK_OPTION (EkSqlInstance, user_query, "", "As a userdb: gives home, mail, uid, gid, quota_rule and whatever else is known of a " \
             "user: \"SELECT home, uid, gid FROM mailbox WHERE username = :user\"."),                                            \
  EK_OPTION (EkSqlInstance, users_query, "", "Gives the column user for each user there is: \"SELECT username AS user FROM "     \
             "mailbox\"."),                                                                                                      \
  EK_OPTION (EkSqlInstance, password_update, "", "Sets a password: \"UPDATE mailbox SET password = :stored WHERE username = "    \
             ":user AND (:old = '' OR password = :old)\". :old is for auth.rehash: what a login has just compared. Empty: `ekiden user passwd` cannot change any here."),                                                    \
  EK_OPTION (EkSqlInstance, user_insert, "", "Makes a user: \"INSERT INTO mailbox (username, password) VALUES (:user, "          \
             ":stored)\". Empty: `ekiden user add` makes none here."),                                                           \
  EK_OPTION (EkSqlInstance, user_delete, "", "Takes a user away: \"DELETE FROM mailbox WHERE username = :user\"."),              \
  EK_OPTION (EkSqlInstance, scheme, "CRYPT", "The scheme of passwords that have no {SCHEME} in front."),                         \
  EK_OPTION (EkSqlInstance, home, "", "The home folder of those for whom the query gives none: /var/mail/%d/%n."),               \
  EK_OPTION (EkSqlInstance, mail, "", "The mailbox location of those for whom the query gives none."),                          \
  EK_OPTION (EkSqlInstance, uid, "", "The system user of those for whom the query gives none, as a number or a name."),          \
  EK_OPTION (EkSqlInstance, gid, "", "The system group of those for whom the query gives none, as a number or a name.")

/* Checks the settings and prepares the queries; behind the module's own checks.  ek_sql_stop() frees. */
gboolean ek_sql_init (EkSqlInstance *self, EkSqlStyle style, GError **error);
void     ek_sql_stop (EkSqlInstance *self);
/* EkModule.lacks: a block is a map, passdb or userdb by the query that it has. */
const char *ek_sql_lacks (const EkInstance *base, const char *table);
bool     ek_sql_writes (const EkSqlInstance *self);        /* whether one of its queries changes something */
EkSqlInstance *ek_sql_instance (EkInstance *instance);     /* NULL: it is no such module's */

/* Job thread.  Runs one statement of a script; `label` ("001-first.sql:12") is what errors call it, and `answer` gets its rows. */
EkStatus ek_sql_script (EkSqlInstance *self, EkCall *call, const char *label, const char *text, EkAnswer *answer);

extern const EkMapOps    ek_sql_map;
extern const EkPassdbOps ek_sql_passdb;
extern const EkUserdbOps ek_sql_userdb;
