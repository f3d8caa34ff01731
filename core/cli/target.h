/* target.h - what commands that change users, domains and aliases need of the configuration
 * SPDX-License-Identifier: Apache-2.0
 *
 * They work beside the server that may be running: on instances of their own, of the configuration as it is in its file.
 */
#pragma once
#include "module/call.h"

/* NULL: its errors have been written to standard error.  `file` NULL: the default one. */
EkGeneration *ek_cli_generation (const char *file);

/* The block of a domain's key, or the one whose map of names knows it; `key` empty: the default domain's, else the first.  NULL without an
 * error: it is no domain of ours. */
const EkConfBlock *ek_cli_domain_block (EkGeneration *gen, EkPool *pool, EkStr key, GError **error);

/* ek_op_call() for any instance: one that works on the loop gets a loop of its own.  `pool` owns the answer. */
EkStatus ek_cli_call (EkInstance *self, EkPool *pool, EkOpRun run, gpointer data, GError **error);
/* What a map gives to the server: as its block's rows have it (module/lookup.h). */
EkStatus ek_cli_lookup (EkInstance *map, EkPool *pool, EkLookup *lookup, GError **error);

/* Of instances that a command could change, in their order: is `next` to be taken in place of `found` (NULL: none yet)?  The first whose block
 * can be changed counts, and where there is none the first, which says why when it is tried. */
bool ek_cli_prefers (const EkInstance *next, const EkInstance *found);

/* The i-th instance that one of a block's settings (`auth`, `aliases`, ...) names; NULL behind the last. */
EkInstance *ek_cli_bound (EkGeneration *gen, const EkConfBlock *block, const char *setting, EkTable table, guint i);
