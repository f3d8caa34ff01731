/* sqlserver.h - what the SQL modules that ask a server have in common: its rows, several hosts with fail-over, TLS
 * SPDX-License-Identifier: Apache-2.0
 *
 * A driver opens a connection to one host, runs a query on it and closes it.  Which host that is, and what happens when it does not
 * answer, is decided here: queries go to any host that is up, writes to the one that takes them.
 */
#pragma once
#include "lookup/hosts.h"
#include "lookup/sql.h"

/* A connection to one host; a driver's struct begins with it. */
typedef struct {
  guint host;
  bool  lost;                        /* run() sets it: the server is to blame, not the query */
} EkSqlLink;

typedef struct EkSqlServer EkSqlServer;

typedef struct {
  EkSqlStyle style;
  bool       finds_primary;          /* open() with `writes` refuses a server that takes none, so any of them may be the primary;
                                        else it is the first of `hosts` */
  /* Job thread.  NULL and *error: it cannot be had by `deadline` (monotonic us). */
  EkSqlLink *(*open) (EkSqlServer *self, const EkHost *host, bool writes, gint64 deadline, GError **error);
  void       (*close) (EkSqlServer *self, EkSqlLink *link);
  /* As EkSqlRun.  The server may keep us waiting for ek_sql_server_patience(). */
  EkStatus   (*run) (EkSqlServer *self, EkSqlLink *link, EkCall *call, const EkSql *sql, const EkStr *values, EkSqlRows *rows);
} EkSqlDriver;

struct EkSqlServer {                 /* a module's struct begins with it, its rows are EK_SQL_SERVER_ROWS, EK_SQL_ROWS and its own */
  EkSqlInstance      sql;
  char             **hosts;
  gint64             port;
  const char        *database, *user;
  EkSecret           password;
  const char        *tls, *ca_file, *cert_file, *key_file;
  EkTime             connect_timeout, timeout;
  const EkSqlDriver *driver;
  EkHosts           *servers;
};

#define EK_SQL_SERVER_ROWS(socket_, port_, unix_doc_)                                                                              \
  EK_OPTION (EkSqlServer, hosts, socket_, "The servers: names or addresses, with a port or not, or " unix_doc_ ". With several, "    \
             "queries go to any of them that answers (so they may be read replicas); what changes something goes to the primary."), \
  EK_OPTION (EkSqlServer, port, port_, "The port of those that name none.", .allow = "1..65535"),                                  \
  EK_OPTION (EkSqlServer, database, NULL, "The name of the database."),                                                            \
  EK_OPTION (EkSqlServer, user, "", "The user of the database. Empty: who the server takes the process for, over a unix socket."), \
  EK_OPTION (EkSqlServer, password, "", "... and his password; better file(\"...\")."),                                            \
  EK_OPTION (EkSqlServer, tls, "auto", "off: no TLS. on: not without, whoever answers. verify: not without, and the certificate must " \
             "be good for the host's name. auto: verify, but off for a unix socket and for this machine itself.",                  \
             .allow = "auto|off|on|verify"),                                                                                       \
  EK_OPTION (EkSqlServer, ca_file, "", "PEM file of the authorities for verify. Empty: Debian's "                                  \
             "/etc/ssl/certs/ca-certificates.crt."),                                                                               \
  EK_OPTION (EkSqlServer, cert_file, "", "PEM file of our own certificate, for servers that ask for one."),                        \
  EK_OPTION (EkSqlServer, key_file, "", "PEM file of its key; only the directory role needs to read it."),                         \
  EK_OPTION (EkSqlServer, connect_timeout, "5s", "How long one server may take until it is connected: then the next is tried.",    \
             .allow = "100ms..1h"),                                                                                                \
  EK_OPTION (EkSqlServer, timeout, "5s", "How long a server may keep us waiting for the answer to a query, or for its next row: then " \
             "the connection is given up and the next server is asked.", .allow = "100ms..1h")

/* As ek_sql_init() and ek_sql_stop(), and a module's connect() and disconnect(). */
gboolean ek_sql_server_init (EkSqlServer *self, const EkSqlDriver *driver, GError **error);
void     ek_sql_server_stop (EkInstance *base);
gpointer ek_sql_server_connect (EkInstance *base, GError **error);
void     ek_sql_server_disconnect (EkInstance *base, gpointer conn);

typedef enum { EK_SQL_TLS_OFF, EK_SQL_TLS_ON, EK_SQL_TLS_VERIFY } EkSqlTls;
EkSqlTls ek_sql_server_tls (const EkSqlServer *self, const EkHost *host);
const char *ek_sql_server_ca (const EkSqlServer *self);

/* Until when (monotonic us) a server may keep this call waiting, from now on; a statement of a script may take a day. */
gint64   ek_sql_server_patience (const EkSqlServer *self, const EkCall *call, const EkSql *sql);
/* DEFER and call->error: "db1:5432: password_query: WHAT". */
EkStatus ek_sql_server_failed (const EkSqlServer *self, const EkSqlLink *link, EkCall *call, const EkSql *sql, const char *fmt, ...)
  G_GNUC_PRINTF (5, 6);
