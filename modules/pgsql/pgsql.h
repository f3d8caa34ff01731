/* pgsql.h - a connection to a PostgreSQL server
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/sqlserver.h"
#include <libpq-fe.h>

typedef struct {
  EkSqlServer server;
  bool        prepare;
} Pgsql;

typedef struct {
  EkSqlLink   base;
  PGconn     *pg;
  GHashTable *prepared;              /* the EkSql that this connection has prepared; NULL: it prepares none */
} PgsqlLink;

/* EkSqlDriver's */
EkSqlLink *pgsql_open (EkSqlServer *self, const EkHost *host, bool writes, gint64 deadline, GError **error);
void       pgsql_close (EkSqlServer *self, EkSqlLink *link);

/* Waits until the server's socket can be read or (POLLOUT) written.  False: the deadline is over. */
bool       pgsql_wait (PGconn *pg, short events, gint64 deadline);
