/* text.h - the table of the module, for its own files and the tests
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/tablefile.h"

typedef struct TextTable TextTable;
extern const EkTableKind text_table_kind;      /* `user` points to a bool: keys fold case */
guint text_table_n (const TextTable *table);
/* `key` as it was asked for: case and quotes do not matter.  The value is the table's. */
bool  text_table_find (const TextTable *table, EkStr key, EkStr *value);
