/* pattern.h - maps of regular expressions in Postfix's format, whatever the kind of expression
 * SPDX-License-Identifier: Apache-2.0
 *
 *   /pattern/flags   result         the first pattern that matches the key gives the result
 *   !/pattern/flags  result         ... when it does not
 *   if /pattern/flags ... endif     as lookup/rules.h has it
 *
 * Any character but a letter, a digit or a blank may stand for the slashes.  Each flag toggles something: i is on where nothing is
 * said, so that /pattern/i *does* distinguish case; this surprises so many that the log explains it.  $1, ${1} and $(1) in a result
 * are what a group of the pattern matched (none behind a !), $$ is a dollar sign.
 *
 * A module is an engine and its rows: modules/regexp is the smaller.
 */
#pragma once
#include "lookup/tablefile.h"

typedef struct EkPatternInstance EkPatternInstance;

typedef struct { gsize start, end; } EkSpan;       /* of the key; start G_MAXSIZE: the group took no part */

typedef struct {
  const char *flags;                 /* the letters that are known, i the first */
  guint32     flags_on;              /* bits (1 << place in `flags`) that are on until they are toggled */
  /* NULL and *error.  *groups: how many the pattern has.  `pattern` is NUL-terminated too. */
  gpointer  (*compile) (const EkPatternInstance *self, EkStr pattern, guint32 flags, guint *groups, GError **error);
  void      (*free) (gpointer code);
  /* What one lookup needs, for spans of up to n groups (0 is all that matched) at once; freed by close(). */
  gpointer  (*open) (const EkPatternInstance *self, guint n);
  void      (*close) (gpointer search);
  /* Any thread.  OK with spans[0..n), NOTFOUND, or DEFER and *error: the bounds of a search are passed. */
  EkStatus  (*match) (gpointer search, gconstpointer code, EkStr key, EkSpan *spans, guint n, GError **error);
} EkPatternEngine;

struct EkPatternInstance {           /* a module's struct begins with it, and its rows are EK_PATTERN_ROWS and its own */
  EkInstance             base;
  const char            *path;
  bool                   case_warning;
  const EkPatternEngine *engine;     /* set before ek_pattern_init() */
  EkTableFile           *file;
};

#define EK_PATTERN_ROWS                                                                                                        \
  EK_OPTION (EkPatternInstance, path, NULL, "The file: /pattern/flags, blanks and the result on each line; the first that "    \
             "matches counts.  It is read again when it has changed."),                                                       \
  EK_OPTION (EkPatternInstance, case_warning, "yes", "Whether the log warns of patterns that distinguish case because of a flag i: " \
             "case does not matter by default, and i toggles that.  Say no when all of them are meant so.")

gboolean ek_pattern_init (EkPatternInstance *self, GError **error);
gboolean ek_pattern_start (EkInstance *self, GError **error);      /* EkModule.start, stop and map */
void     ek_pattern_stop (EkInstance *self);
extern const EkMapOps ek_pattern_map;

/* ---- the table, for tests ---- */

typedef struct EkPatternTable EkPatternTable;
extern const EkTableKind ek_pattern_kind;          /* `user` is the EkPatternInstance */
guint    ek_pattern_table_n (const EkPatternTable *table);
/* OK with *value in the call's pool, NOTFOUND, or DEFER and call->error. */
EkStatus ek_pattern_table_find (const EkPatternTable *table, EkCall *call, EkStr key, EkStr *value);
