/* lookup.h - a question to a map, with what is remembered of earlier answers
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread.  Every map may be asked so, whatever it is: a file in memory, a database, an evented one.  Blocks that wait for a server
 * have the rows cache, cache_negative, cache_stale and cache_max (lookup/cache.h); while their server is away a stale answer counts.
 */
#pragma once
#include "lookup/cache.h"
#include "module/call.h"

typedef struct EkMapLookup EkMapLookup;

/* OK with an answer, NOTFOUND, DEFER or FAIL; `answer` and `why` (the module's reason or NULL, logged already) live until it returns. */
typedef void (*EkMapLookupDone) (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user);

/* `query` is copied.  `timeout` 0: none.  `done` runs exactly once unless cancelled, never before this has returned. */
EkMapLookup *ek_map_lookup (EkInstance *map, const EkQuery *query, EkTime timeout, EkMapLookupDone done, gpointer user);
/* `done` will not run.  Not after it has. */
void         ek_map_lookup_cancel (EkMapLookup *lookup);

/* Copies into the pool. */
void ek_query_copy (EkPool *pool, EkQuery *to, const EkQuery *from);
void ek_answer_copy (EkPool *pool, EkAnswer *to, const EkAnswer *from);
