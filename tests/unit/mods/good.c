/* good.c - a module as it should be: a map that answers with one value
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>

typedef struct {
  EkInstance  base;
  const char *value;
} Good;

static const EkOption options[] = {
  EK_OPTION (Good, value, "yes", "What every key gives."),
  EK_OPTIONS_END
};

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  ek_answer_value (answer, call->pool, ek_str (((Good *) base)->value));
  return EK_OK;
}

static const EkMapOps map = { .lookup = lookup };

EK_MODULE (good, .summary = "Answers one value", .options = options, .instance_size = sizeof (Good), .map = &map);
