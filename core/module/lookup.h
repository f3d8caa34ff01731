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

/* ---- rows that every map's block has: result, only_domains, rows_max (result.c); ek_map_lookup() obeys them ---- */

/* False: a question that such a map is not asked, and the answer is NOTFOUND. */
bool         ek_map_asked (EkInstance *map, const EkQuery *query);
/* What the block makes of its module's answer; new cells are in the pool.  OK, NOTFOUND (nothing is left), DEFER and *error (too many rows). */
EkStatus     ek_map_result (EkInstance *map, EkPool *pool, const EkQuery *query, EkAnswer *answer, GError **error);
/* False: *wrong stands behind a "%" and means nothing there (NUL: the end). */
bool         ek_map_result_check (const char *template, char *wrong);

/* Copies into the pool. */
void ek_query_copy (EkPool *pool, EkQuery *to, const EkQuery *from);
void ek_answer_copy (EkPool *pool, EkAnswer *to, const EkAnswer *from);
