/* texttable.h - a Postfix text map in memory: keys and values in one block, and an index
 * SPDX-License-Identifier: Apache-2.0
 *
 *   key    value            blanks between; a key with blanks stands in double quotes
 *
 * Of two lines with one key the first counts, with a warning in the log.  What module text and `ekiden map build` read.
 */
#pragma once
#include "lookup/tablefile.h"

typedef struct EkTextTable EkTextTable;

typedef struct {
  bool  fold_case;                   /* keys: ASCII letters become small ones */
  gsize key_max;                     /* bytes of the longest key, a longer one is wrong; 0: any */
} EkTextRules;

extern const EkTableKind ek_text_kind;             /* `user` points to EkTextRules */
guint64 ek_text_table_n (const EkTextTable *table);
guint64 ek_text_table_doubles (const EkTextTable *table);  /* lines that do not count */
gsize   ek_text_table_size (const EkTextTable *table);     /* bytes of memory, with the text */
/* `key` as it was asked for: case and quotes do not matter.  The value is the table's. */
bool    ek_text_table_find (const EkTextTable *table, EkStr key, EkStr *value);
/* Each row in the order of the file; both have a NUL behind them, the key's right before the value. */
void    ek_text_table_each (const EkTextTable *table, void (*func) (EkStr key, EkStr value, gpointer data), gpointer data);

/* A key that was asked for, without its quotes and folded, as tables hold it: into `to`, which has key.n bytes.  Its length. */
gsize   ek_text_key (EkStr key, bool fold_case, char *to);
