/* dial.c - connecting to a MariaDB or MySQL server, aside: the library waits for names, greetings and handshakes as it likes
 * SPDX-License-Identifier: Apache-2.0 */
#include "maria.h"
#include "lookup/aside.h"
#include <string.h>

#define PACKET_MAX    ((gsize) 16 * 1024 * 1024)   /* of one row */
#define ADDRESSES_MAX 8              /* of one name that are counted */

typedef struct {                     /* copies of all that connecting needs */
  EkPool     *pool;                  /* owns this struct */
  const char *host, *socket, *user, *password, *database;
  const char *ca_file, *cert_file, *key_file;
  guint16     port;
  guint       seconds, write_seconds;
  EkSqlTls    tls;
  MYSQL      *db;                    /* NULL: it failed */
  char       *why;
} Attempt;

static void
attempt_free (gpointer data)
{
  Attempt *a = data;

  if (a->db)
    mysql_close (a->db);
  ek_wipe ((gpointer) a->password, strlen (a->password));
  ek_pool_free (a->pool);
}

/* For each address, in seconds, as the library counts: one that drops everything leaves time for the others where connect_timeout has a
 * second for each.  An only one has a second more than anybody waits, so that it is told in our words and not in the library's.  Never 0,
 * which is for ever. */
static guint
seconds (EkTime time, guint n_addresses)
{
  gint64 all = (time.us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC;

  return (guint) CLAMP (n_addresses == 1 ? all + 1 : all / n_addresses, 1, 3600);
}

/* How many the library will try; 0 and *error: none. */
static guint
count_addresses (const EkHost *host, gint64 deadline, GError **error)
{
  guint n = 1;

  if (host->is_unix || host->is_address)
    return 1;
  g_autofree char *list = ek_host_addresses (host, ADDRESSES_MAX, deadline, error);
  if (list == NULL)
    return 0;
  for (const char *p = list; *p; p++)
    n += *p == ',';
  return n;
}

static Attempt *
attempt_new (const EkSqlServer *self, const EkHost *host, guint n_addresses)
{
  EkPool *pool = ek_pool_new ();
  Attempt *a = ek_pool_new0 (pool, Attempt);

  a->pool = pool;
  a->host = host->is_unix ? NULL : ek_pool_strdup (pool, host->name);
  a->socket = host->is_unix ? ek_pool_strdup (pool, host->name) : NULL;
  a->port = host->port;
  a->user = ek_pool_strdup (pool, self->user ? self->user : "");
  a->password = ek_pool_strndup (pool, self->password.text ? self->password.text : "", self->password.len);
  a->database = ek_pool_strdup (pool, self->database);
  a->tls = ek_sql_server_tls (self, host);
  a->ca_file = a->tls == EK_SQL_TLS_VERIFY ? ek_pool_strdup (pool, ek_sql_server_ca (self)) : NULL;
  a->cert_file = ek_pool_strdup (pool, self->cert_file);
  a->key_file = ek_pool_strdup (pool, self->key_file);
  a->seconds = seconds (self->connect_timeout, n_addresses);
  a->write_seconds = seconds (self->connect_timeout, 1);
  return a;
}

static void
set_options (const Attempt *a)
{
  const guint protocol = a->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP, none = 0;
  const my_bool no = 0, yes = 1;
  const gsize packet = PACKET_MAX;

  mysql_options (a->db, MYSQL_OPT_CONNECT_TIMEOUT, &a->seconds);
  mysql_options (a->db, MYSQL_OPT_WRITE_TIMEOUT, &a->write_seconds);     /* for a goodbye to a server that takes none */
  mysql_options (a->db, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options (a->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options (a->db, MYSQL_OPT_RECONNECT, &no);                 /* the core makes new connections */
  mysql_options (a->db, MYSQL_OPT_LOCAL_INFILE, &none);            /* no server reads our files */
  mysql_options (a->db, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
  /* in a transaction that stays open nothing would be written, and old rows be read for ever */
  mysql_options (a->db, MYSQL_INIT_COMMAND, "SET autocommit = 1");
  if (a->tls != EK_SQL_TLS_OFF) {
    mysql_ssl_set (a->db, a->key_file, a->cert_file, a->ca_file, NULL, NULL);
    mysql_options (a->db, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
  }
  mysql_options (a->db, MYSQL_OPT_SSL_ENFORCE, a->tls == EK_SQL_TLS_OFF ? &no : &yes);
  mysql_options (a->db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, a->tls == EK_SQL_TLS_VERIFY ? &yes : &no);
}

static void
give_up (Attempt *a, const char *why)
{
  a->why = ek_pool_strdup (a->pool, why);
  mysql_close (a->db);
  a->db = NULL;
}

/* On a thread of its own. */
static void
dial (gpointer data)
{
  Attempt *a = data;

  a->db = mysql_init (NULL);
  if (a->db == NULL) {
    a->why = ek_pool_strdup (a->pool, "no memory for a connection");
    return;
  }
  set_options (a);
  /* FOUND_ROWS: a password that is set to what it was has been changed too */
  if (mysql_real_connect (a->db, a->host, a->user, a->password, a->database, a->port, a->socket, CLIENT_FOUND_ROWS) == NULL)
    give_up (a, mysql_error (a->db));
  else if (a->tls != EK_SQL_TLS_OFF && mysql_get_ssl_cipher (a->db) == NULL)
    give_up (a, "it offers no TLS: mend that, or set tls = off where nobody listens in between");
}

static void
finalize (gpointer data)
{
  mysql_stmt_close (data);
}

EkSqlLink *
mysql_dial (EkSqlServer *self, const EkHost *host, bool writes, gint64 deadline, GError **error)
{
  guint n = count_addresses (host, deadline, error);

  if (n == 0)
    return NULL;
  Attempt *a = attempt_new (self, host, n);
  if (!ek_aside (dial, a, attempt_free, "it", deadline, error))
    return NULL;
  MysqlLink *link = NULL;
  if (a->db) {
    link = g_new0 (MysqlLink, 1);
    link->db = g_steal_pointer (&a->db);
    link->prepared = g_hash_table_new_full (NULL, NULL, NULL, finalize);
    link->clean = true;
  }
  else
    ek_fail (error, EK_DEFER, 0, "%s", a->why);
  attempt_free (a);
  return link ? &link->base : NULL;
}
