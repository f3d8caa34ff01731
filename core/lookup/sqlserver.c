/* sqlserver.c - which server a query goes to, and what happens when it does not answer
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/sqlserver.h"
#include "lookup/tablefile.h"
#include <errno.h>
#include <string.h>

typedef struct {                     /* a connection, as the core keeps it */
  EkSqlLink *reads, *writes;         /* perhaps the same; writes: NULL until something is to be written */
} Conn;

/* ---- settings ---- */

static bool
check_file (const char *option, const char *path, GError **error)
{
  return path == NULL || ek_path_check (option, path, error);
}

static bool
check_tls (const EkSqlServer *self, GError **error)
{
  if (!check_file ("ca_file", self->ca_file, error) || !check_file ("cert_file", self->cert_file, error)
      || !check_file ("key_file", self->key_file, error))
    return false;
  if ((self->cert_file == NULL) == (self->key_file == NULL))
    return true;
  ek_fail (error, EK_FAIL, EINVAL, "cert_file and key_file belong together: %s is not set", self->cert_file ? "key_file" : "cert_file");
  return false;
}

static EkStatus run (EkSqlInstance *base, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows);

gboolean
ek_sql_server_init (EkSqlServer *self, const EkSqlDriver *driver, GError **error)
{
  self->driver = driver;
  self->sql.run = run;
  if (!check_tls (self, error))
    return FALSE;
  if (self->password.len && memchr (self->password.text, '\0', self->password.len)) {
    ek_fail (error, EK_FAIL, EINVAL, "password: it has a NUL in it, which no server takes");
    return FALSE;
  }
  self->servers = ek_hosts_new (self->hosts, (guint16) self->port, error);
  if (self->servers && ek_sql_init (&self->sql, driver->style, error))
    return TRUE;
  ek_sql_server_stop (&self->sql.base);
  return FALSE;
}

void
ek_sql_server_stop (EkInstance *base)
{
  EkSqlServer *self = (EkSqlServer *) base;

  ek_sql_stop (&self->sql);
  g_clear_pointer (&self->servers, ek_hosts_free);
}

EkSqlTls
ek_sql_server_tls (const EkSqlServer *self, const EkHost *host)
{
  if (host->is_unix || strcmp (self->tls, "off") == 0)
    return EK_SQL_TLS_OFF;
  if (strcmp (self->tls, "on") == 0)
    return EK_SQL_TLS_ON;
  return strcmp (self->tls, "auto") == 0 && host->is_near ? EK_SQL_TLS_OFF : EK_SQL_TLS_VERIFY;
}

const char *
ek_sql_server_ca (const EkSqlServer *self)
{
  return self->ca_file ? self->ca_file : "/etc/ssl/certs/ca-certificates.crt";
}

/* Servers' and libraries' texts have several lines, and end in a newline. */
static void
one_line (char *text)
{
  g_strdelimit (g_strstrip (text), "\r\n\t", ' ');
}

/* ---- opening ---- */

static EkSqlLink *
open_one (EkSqlServer *self, guint i, bool writes, gint64 until, GString *why)
{
  const EkHost *host = ek_hosts_at (self->servers, i);
  gint64 deadline = g_get_monotonic_time () + self->connect_timeout.us;
  g_autoptr (GError) error = NULL;
  EkSqlLink *link = self->driver->open (self, host, writes, until ? MIN (deadline, until) : deadline, &error);

  /* a replica that takes no writes is up all the same */
  if (link || !writes)
    ek_hosts_mark (self->servers, i, link != NULL);
  if (link)
    link->host = i;
  else {
    g_autofree char *text = g_strdup (error ? error->message : "no reason given");
    one_line (text);
    g_string_append_printf (why, "%s%s: %s", why->len ? "; " : "", host->text, text);
  }
  return link;
}

/* until 0: as long as each server may take. */
static EkSqlLink *
open_any (EkSqlServer *self, bool writes, gint64 until, GError **error)
{
  guint order[EK_HOSTS_MAX], n = ek_hosts_count (self->servers);
  g_autoptr (GString) why = g_string_new (NULL);
  EkSqlLink *link = NULL;

  if (writes)
    for (guint i = 0; i < n; i++)
      order[i] = i;
  else
    ek_hosts_order (self->servers, order);
  if (writes && !self->driver->finds_primary)
    n = 1;
  for (guint i = 0; i < n && link == NULL && (until == 0 || g_get_monotonic_time () < until); i++)
    link = open_one (self, order[i], writes, until, why);
  if (link == NULL)
    ek_fail (error, EK_DEFER, 0, "%s", why->len ? why->str : "no time was left to connect");
  return link;
}

gpointer
ek_sql_server_connect (EkInstance *base, GError **error)
{
  EkSqlLink *link = open_any ((EkSqlServer *) base, false, 0, error);

  if (link == NULL)
    return NULL;
  Conn *conn = g_new (Conn, 1);
  *conn = (Conn) { .reads = link };
  return conn;
}

void
ek_sql_server_disconnect (EkInstance *base, gpointer data)
{
  EkSqlServer *self = (EkSqlServer *) base;
  Conn *conn = data;

  if (conn->writes && conn->writes != conn->reads)
    self->driver->close (self, conn->writes);
  self->driver->close (self, conn->reads);
  g_free (conn);
}

/* ---- queries ---- */

gint64
ek_sql_server_patience (const EkSqlServer *self, const EkCall *call, const EkSql *sql)
{
  gint64 until = g_get_monotonic_time () + (sql->script ? (gint64) 24 * 3600 * G_USEC_PER_SEC : self->timeout.us);

  return call->deadline ? MIN (until, call->deadline) : until;
}

EkStatus
ek_sql_server_failed (const EkSqlServer *self, const EkSqlLink *link, EkCall *call, const EkSql *sql, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  g_autofree char *what = g_strdup_vprintf (fmt, args);
  va_end (args);
  one_line (what);
  return ek_fail (&call->error, EK_DEFER, 0, "%s: %s: %s", ek_hosts_at (self->servers, link->host)->text, sql->option, what);
}

/* The connection that changes go to; NULL and the call's error. */
static EkSqlLink *
writer (EkSqlServer *self, Conn *conn, EkCall *call)
{
  bool same = ek_hosts_count (self->servers) == 1 || (!self->driver->finds_primary && conn->reads->host == 0);

  if (conn->writes == NULL)
    conn->writes = same ? conn->reads : open_any (self, true, call->deadline, &call->error);
  return conn->writes;
}

static EkStatus
run (EkSqlInstance *base, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows)
{
  EkSqlServer *self = (EkSqlServer *) base;
  Conn *conn = call->conn;
  EkSqlLink *link = sql->changes ? writer (self, conn, call) : conn->reads;

  if (link == NULL)
    return EK_DEFER;
  EkStatus status = self->driver->run (self, link, call, sql, values, rows);
  if (link->lost)
    ek_hosts_mark (self->servers, link->host, false);
  return status;
}
