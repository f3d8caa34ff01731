/* fields.h - "quota=2G": what commands change of users and domains, and how they show it
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/json.h"

/* Takes "FIELD=VALUE" apart, the value as backends get it: sizes (quota...) in bytes, yes and no as 1 and 0 (active, nologin), and an empty
 * text for one that is taken away.  In the pool.  False and *error. */
bool ek_cli_field (EkPool *pool, const char *word, const char **field, EkStr *value, GError **error);
/* All words up to the NULL; false and *error: one of them cannot be read. */
bool ek_cli_fields_check (char **words, GError **error);

/* Writes one field, as JSON's member or as a line of its own. */
void ek_cli_put (EkBuf *out, EkJson *json, const char *name, EkStr value);
/* The first row of an answer; without what is NULL, and without passwords. */
void ek_cli_put_row (EkBuf *out, EkJson *json, const EkAnswer *answer);
