/* maria.h - a connection to a MariaDB or MySQL server
 * SPDX-License-Identifier: Apache-2.0
 *
 * libmariadb has calls that do not block, but not over TLS: there they wait like the others.  So this module makes the ones that
 * block, and a watch bounds them: it shuts the socket of whoever waits too long (watch.c); connecting, which has no socket yet,
 * happens aside (dial.c).
 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/sqlserver.h"
#include <mysql.h>

/* ---- watch.c ---- */

typedef struct MysqlWatch MysqlWatch;

/* One call under way; on the stack of who makes it. */
typedef struct MysqlGuard MysqlGuard;
struct MysqlGuard {
  MysqlGuard *next;
  int         fd;
  gint64      deadline;              /* monotonic us */
  _Atomic bool fired;                /* read without the lock */
};

MysqlWatch *mysql_watch_new (void);
void        mysql_watch_free (MysqlWatch *watch);            /* no call is under way any more; NULL is fine */
/* Until mysql_watch_end() the socket is shut when the deadline passes, which ends whatever waits for it. */
void        mysql_watch_begin (MysqlWatch *watch, MysqlGuard *guard, int fd, gint64 deadline);
void        mysql_watch_move (MysqlWatch *watch, MysqlGuard *guard, gint64 deadline);      /* the server has given a sign of life */
/* True: it was shut. */
bool        mysql_watch_end (MysqlWatch *watch, MysqlGuard *guard);

/* ---- connections ---- */

typedef struct {
  EkSqlServer server;
  MysqlWatch *watch;
} Mysql;

typedef struct {
  EkSqlLink   base;
  MYSQL      *db;
  GHashTable *prepared;              /* EkSql -> MYSQL_STMT */
  bool        clean;                 /* the last answer was read to its end */
} MysqlLink;

/* dial.c: EkSqlDriver's open(). */
EkSqlLink *mysql_dial (EkSqlServer *self, const EkHost *host, bool writes, gint64 deadline, GError **error);
