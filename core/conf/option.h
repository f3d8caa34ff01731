/* option.h - EkOption rows at work: typed values from text, with every error told
 * SPDX-License-Identifier: Apache-2.0
 *
 * The text of a value becomes a C field by its row.  How each type is typed:
 *   bool     yes no true false on off
 *   integer  42, -1
 *   time     500ms 30s 5m 1h30m 5d 2w; 0.  A number without a unit is an error.
 *   size     512 (bytes) 64K 50M 1G 2T, also KB and KiB, always by 1024
 *   string   one word or "quoted text"; "" is NULL
 *   secret   as string, mostly file("..."); wiped on free
 *   text     mostly read("FILE"): what the file holds, and its name
 *   list     items with commas; nothing or [] is the empty list, never NULL
 *   reference, references   names of instances: staff, or file:staff where staff alone is ambiguous
 * Constraint (EkOption.allow): "1..65535", "1s..", "..10M" for numbers; "a|b|c" for strings and
 * list items; for references the tables that the instance must offer one of: "map", "passdb|userdb".
 */
#pragma once
#include "conf/conf.h"

/* A setting is looked for in these blocks, first to last.  NULL blocks are skipped. */
typedef struct {
  const EkConfBlock *block;
} EkLayer;
#define EK_LAYERS_MAX 6

/* Gives the instance that `text` names, or NULL after adding to `problems`.  `tables` is the row's
 * allow.  Called for EK_REF and EK_REFS; a NULL resolver leaves those fields NULL. */
typedef EkInstance *(*EkResolve) (gpointer data, const EkOption *row, EkStr text, const EkConfPos *at,
                                  EkProblems *problems);

typedef struct {
  EkPool    *pool;                   /* owns strings and lists of the struct; secrets in it are wiped */
  EkResolve  resolve;
  gpointer   data;
} EkOptionContext;

/* Fills every row's field of `target` from the first layer that sets it, else from the default.
 * A field that has an error gets its default (or zeros) and the pass goes on.  `owner` is what a
 * message names when a required option is missing; its position is that of the first layer.
 * Returns false when it added to `problems`.  Keys that no row knows are not its business. */
bool ek_options_apply (const EkOption *rows, gpointer target, const EkLayer *layers, guint n_layers,
                       const char *owner, const EkOptionContext *context, EkProblems *problems);

/* Where an option's value comes from: the setting, and the layer in *layer; NULL: the default. */
const EkConfSetting *ek_options_find (const EkOption *row, const EkLayer *layers, guint n_layers,
                                      guint *layer);

/* Adds an error for each setting of `block` that none of the row sets knows, with the nearest word. */
void ek_options_unknown (const EkConfBlock *block, const EkOption *const *sets, guint n_sets,
                         EkProblems *problems);

/* One value by one row, from text as it would be typed: what the selftest and `config set` ask.
 * `field` may be NULL: only checked. */
bool ek_option_convert (const EkOption *row, const EkConfSetting *setting, gpointer field,
                        const EkOptionContext *context, EkProblems *problems);

/* Checks the rows themselves: names, docs, constraints, and that each default converts and keeps
 * its constraint.  `size` is the struct's.  Unit tests call it on every row set; so does the loader. */
bool ek_options_selftest (const EkOption *rows, gsize size, const char *owner, EkProblems *problems);

const EkOption *ek_options_row (const EkOption *rows, const char *name);   /* NULL: none */
const char     *ek_type_name (EkType type);        /* "time", "list", "reference" ... */

/* The parsers by themselves.  false: *why is a static text that says what was expected. */
bool ek_parse_bool (EkStr text, bool *value, const char **why);
bool ek_parse_int (EkStr text, gint64 *value, const char **why);
bool ek_parse_time (EkStr text, EkTime *value, const char **why);
bool ek_parse_size (EkStr text, EkSize *value, const char **why);
