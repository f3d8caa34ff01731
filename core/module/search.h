/* search.h - an address looked for in maps, in Postfix's order
 * SPDX-License-Identifier: Apache-2.0
 *
 * THE one place for it: user+tag@example.com is looked for whole, without its tag, by its local part with the tag and without, by
 * "@example.com"; a domain by its name, then by ".com" for what lies below; anything by "*".  The first key that one of the maps knows
 * gives the answer: a key is asked of all maps before the next one is (virtual(5), transport(5), access(5)).  Maps of patterns
 * (EK_WHOLE_KEYS) are asked for the whole address alone, as regexp_table(5), pcre_table(5), cidr_table(5) and tcp_table(5) say.
 */
#pragma once
#include "module/lookup.h"

enum {
  EK_SEARCH_ADDRESS   = 1,           /* the whole address, then without its tag */
  EK_SEARCH_LOCAL     = 2,           /* "user+tag", "user" */
  EK_SEARCH_CATCH_ALL = 4,           /* "@example.com" */
  EK_SEARCH_DOMAIN    = 8,           /* "example.com", ".com" */
  EK_SEARCH_ANY       = 16,          /* "*", for an address with a domain */
};

/* The keys, in their order, NULL-terminated; all in the pool.  `full` and `key` are a canonical address with and without its tag. */
const char **ek_search_keys (EkPool *pool, const char *full, const char *key, guint what);

typedef struct EkSearch EkSearch;
/* As EkMapLookupDone; `key` is the one that was found, or NULL.  A map that cannot answer ends the search: DEFER. */
typedef void (*EkSearchDone) (EkStatus status, const EkAnswer *answer, const char *key, gpointer user);

/* `maps` and `keys` are NULL-terminated and stay until `done`, as does `whole`: the key that is no part of another.  `done` runs exactly
 * once unless cancelled, and never before this has returned.  `timeout`: of each question. */
EkSearch *ek_search (EkInstance *const *maps, const char *const *keys, const char *whole, EkTime timeout, EkSearchDone done, gpointer user);
void      ek_search_cancel (EkSearch *search);     /* `done` will not run; NULL: nothing */
