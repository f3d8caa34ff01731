/* open.c - connecting to a PostgreSQL server without ever waiting longer than the deadline says
 * SPDX-License-Identifier: Apache-2.0 */
#include "pgsql.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

#define ADDRESSES_MAX 4              /* of one host's name */
#define NO_FILE       "/nonexistent" /* for files that libpq would else look for in somebody's home */
#define SETTINGS_MAX  24

typedef struct {
  const char *names[SETTINGS_MAX + 1], *values[SETTINGS_MAX + 1];
  guint       n;
} Settings;

bool
pgsql_wait (PGconn *pg, short events, gint64 deadline)
{
  struct pollfd fd = { .fd = PQsocket (pg), .events = events };
  int n;

  do {
    gint64 left = deadline - g_get_monotonic_time ();
    if (left <= 0)
      return false;
    n = poll (&fd, 1, (int) MIN ((left + 999) / 1000, G_MAXINT));
  } while (n == 0 || (n < 0 && errno == EINTR));
  return true;                       /* readable, writable, or broken: libpq finds out which */
}

static void
set (Settings *s, const char *name, const char *value)
{
  g_assert (s->n < SETTINGS_MAX);
  s->names[s->n] = name;
  s->values[s->n++] = value;
}

static void
set_tls (Settings *s, const EkSqlServer *self, const EkHost *host)
{
  EkSqlTls tls = ek_sql_server_tls (self, host);

  set (s, "sslmode", tls == EK_SQL_TLS_OFF ? "disable" : tls == EK_SQL_TLS_ON ? "require" : "verify-full");
  set (s, "sslrootcert", tls == EK_SQL_TLS_VERIFY ? ek_sql_server_ca (self) : NO_FILE);
  set (s, "sslcert", self->cert_file ? self->cert_file : NO_FILE);
  set (s, "sslkey", self->key_file ? self->key_file : NO_FILE);
  set (s, "gssencmode", "disable");                /* it would ask servers of its own, and wait for them */
}

/* NULL: out of memory. */
static PGconn *
start (const EkSqlServer *self, const EkHost *host, bool writes, const char *address)
{
  g_autofree char *port = g_strdup_printf ("%u", host->is_unix ? (guint) self->port : host->port);
  Settings s = { .n = 0 };

  set (&s, "host", host->name);      /* which the certificate is compared with */
  if (address)                       /* names are not libpq's business: it would wait for the name server */
    set (&s, "hostaddr", address);
  set (&s, "port", port);
  set (&s, "dbname", self->database);
  if (self->user)
    set (&s, "user", self->user);
  if (self->password.len)
    set (&s, "password", self->password.text);
  set (&s, "passfile", NO_FILE);
  set (&s, "client_encoding", "UTF8");
  set (&s, "application_name", "ekiden");
  if (writes)
    set (&s, "target_session_attrs", "read-write");
  set_tls (&s, self, host);
  return PQconnectStartParams (s.names, s.values, 0);
}

static void
ignore (void *arg, const PGresult *result)
{
}

/* True: connected; false and *error. */
static bool
finish (PGconn *pg, gint64 deadline, GError **error)
{
  PostgresPollingStatusType next = PQstatus (pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

  while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
    if (!pgsql_wait (pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      ek_fail (error, EK_DEFER, ETIMEDOUT, "it did not answer in time");
      return false;
    }
    next = PQconnectPoll (pg);
  }
  if (next == PGRES_POLLING_OK && PQsetnonblocking (pg, 1) == 0)
    return true;
  ek_fail (error, EK_DEFER, 0, "%s", PQerrorMessage (pg));
  return false;
}

/* address NULL: a unix socket. */
static EkSqlLink *
open_at (EkSqlServer *self, const EkHost *host, bool writes, const char *address, gint64 deadline, GError **error)
{
  PGconn *pg = start (self, host, writes, address);

  if (pg == NULL) {
    ek_fail (error, EK_DEFER, ENOMEM, "no memory for a connection");
    return NULL;
  }
  PQsetNoticeReceiver (pg, ignore, NULL);
  if (!finish (pg, deadline, error)) {
    PQfinish (pg);
    return NULL;
  }
  PgsqlLink *link = g_new0 (PgsqlLink, 1);
  link->pg = pg;
  if (((Pgsql *) self)->prepare)
    link->prepared = g_hash_table_new (NULL, NULL);
  return &link->base;
}

/* Its addresses one after the other; one that drops everything leaves time for the others, which libpq would not see to. */
EkSqlLink *
pgsql_open (EkSqlServer *self, const EkHost *host, bool writes, gint64 deadline, GError **error)
{
  EkSqlLink *link = NULL;

  if (host->is_unix)
    return open_at (self, host, writes, NULL, deadline, error);
  g_autofree char *text = ek_host_addresses (host, ADDRESSES_MAX, deadline, error);
  g_auto (GStrv) addresses = g_strsplit (text ? text : "", ",", -1);
  guint n = g_strv_length (addresses);
  for (guint i = 0; i < n && link == NULL; i++) {
    gint64 now = g_get_monotonic_time ();
    if (i > 0)
      g_clear_error (error);
    link = open_at (self, host, writes, addresses[i], now + MAX (deadline - now, 0) / (n - i), error);
  }
  return link;
}

void
pgsql_close (EkSqlServer *self, EkSqlLink *base)
{
  PgsqlLink *link = (PgsqlLink *) base;

  PQfinish (link->pg);
  g_clear_pointer (&link->prepared, g_hash_table_unref);
  g_free (link);
}
