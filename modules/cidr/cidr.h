/* cidr.h - the table of the module, for its own files and the tests
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/network.h"
#include "lookup/tablefile.h"

typedef struct CidrTable CidrTable;
extern const EkTableKind cidr_table_kind;
guint cidr_table_n (const CidrTable *table);
/* The value of the first pattern that matches; the table's. */
bool  cidr_table_find (const CidrTable *table, const EkNetwork *address, EkStr *value);
