/* patternmap.c - a table of regular expressions as an instance: its file, its lookups
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/pattern.h"

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkPatternInstance *self = (EkPatternInstance *) base;
  const EkPatternTable *table = ek_table_file_hold (self->file, &call->error);
  EkStr value;

  if (table == NULL)
    return EK_DEFER;
  EkStatus status = ek_pattern_table_find (table, call, query->key, &value);
  ek_table_file_release (self->file, table);
  if (status == EK_OK)
    ek_answer_value (answer, call->pool, value);
  return status;
}

const EkMapOps ek_pattern_map = { .lookup = lookup };

gboolean
ek_pattern_init (EkPatternInstance *self, GError **error)
{
  return ek_path_check ("path", self->path, error);
}

gboolean
ek_pattern_start (EkInstance *base, GError **error)
{
  EkPatternInstance *self = (EkPatternInstance *) base;

  self->file = ek_table_file_open (base, self->path, &ek_pattern_kind, self);
  return TRUE;
}

void
ek_pattern_stop (EkInstance *base)
{
  EkPatternInstance *self = (EkPatternInstance *) base;

  ek_table_file_free (self->file);
  self->file = NULL;
}
