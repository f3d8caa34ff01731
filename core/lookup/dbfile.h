/* dbfile.h - maps in database files that are only read: keys and values as postmap(1) and `ekiden map build` write them
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file is opened anew when another one has been put in its place, within a second; until that can be opened, the one before
 * stays in use.  Postfix may have written keys and values with a NUL behind them or without: both are found, and the value is
 * given without.
 *
 * A module is how such a file is opened, asked and made: modules/cdb is the smaller.
 */
#pragma once
#include "lookup/tablefile.h"

typedef struct {
  /* `fd` is the file at `path` and is closed by the caller some time after close().  NULL and *error, without the path. */
  gpointer (*open) (int fd, const char *path, GError **error);
  void     (*close) (gpointer db);
  /* Any thread, several at once.  The value of just these bytes (n > 0), in the pool: OK, NOTFOUND, or DEFER and *error; its code
   * ESTALE: the file has to be opened anew. */
  EkStatus (*get) (gpointer db, EkPool *pool, EkStr key, EkStr *value, GError **error);
  EkStatus (*each) (gpointer db, void (*func) (EkStr key, EkStr value, gpointer data), gpointer data, GError **error);
} EkDbOps;

typedef struct {                     /* a module's struct begins with it, and its rows are EK_DB_ROWS and its own */
  EkInstance     base;
  const char    *path;
  bool           fold_case;
  const EkDbOps *ops;                /* set before ek_db_init() */
  EkTableFile   *file;
} EkDbInstance;

#define EK_DB_VALUE_MAX (1024 * 1024)

#define EK_DB_ROWS                                                                                                             \
  EK_OPTION (EkDbInstance, path, NULL, "The file, which `ekiden map build` or postmap(1) made.  It is opened anew when another "  \
             "one has been renamed into its place."),                                                                          \
  EK_OPTION (EkDbInstance, fold_case, "yes", "Whether keys are looked up in small letters (ASCII), as the programs that make such " \
             "files write them.")

gboolean ek_db_init (EkDbInstance *self, GError **error);
gboolean ek_db_start (EkInstance *self, GError **error);           /* EkModule.start and stop */
void     ek_db_stop (EkInstance *self);
EkStatus ek_db_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer);      /* EkMapOps */
EkStatus ek_db_each (EkInstance *self, EkCall *call, void (*func) (EkStr key, EkStr value, gpointer data), gpointer data);
