/* migrate.h - the numbered migrations of a schema, and how they are run
 * SPDX-License-Identifier: Apache-2.0
 *
 * A folder holds files NNN-name.sql, from 001 on without a gap.  The table ekiden_schema tells the last one that ran: each file ends with
 * writing its own number there.  Where the server has transactions for what makes tables, a file is one: it begins with BEGIN and ends
 * with COMMIT.  In the others nothing but the number at its end says that it ran, so such a file can be run again after it failed.
 */
#pragma once
#include "lookup/sql.h"

typedef struct {
  guint       version;
  const char *name, *path;           /* "001-first.sql", and where it is */
} EkMigration;

/* Sorted; EkMigration in the pool.  NULL and *error: there are none, or the numbers have a gap. */
GPtrArray *ek_migrations_read (EkPool *pool, const char *folder, GError **error);

/* Job thread.  The version that the database is at; 0: it has no such table. */
EkStatus ek_migrate_version (EkSqlInstance *self, EkCall *call, guint *version);
/* Job thread, a fresh connection.  Runs those that have not run; `ran` is called behind each.  One at a time: whoever else is at it is waited
 * for, half a minute.  What went wrong is in call->error, with the file and line of the statement. */
EkStatus ek_migrate (EkSqlInstance *self, EkCall *call, const GPtrArray *migrations, void (*ran) (const EkMigration *m, gpointer data),
                     gpointer data);
