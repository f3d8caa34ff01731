/* fuzz-pattern.c - tables of regular expressions: lines, patterns, flags, results, and a search in them
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/lookup/pattern.c core/lookup/rules.c modules/pcre/pcre.c */
/* options: -max_len=2048 */
#include "fuzz.h"
#include "base/log.h"
#include "lookup/pattern.h"
#include <string.h>

extern const EkModule ek_module_pcre;

/* An instance as the core makes it, but for its file. */
static EkPatternInstance *
instance (void)
{
  static EkPatternInstance *self;

  if (self)
    return self;
  self = g_malloc0 (ek_module_pcre.instance_size);
  self->base = (EkInstance) { .name = "fuzz", .module = &ek_module_pcre };
  self->path = "/fuzz";
  self->case_warning = true;
  for (const EkOption *row = ek_module_pcre.options; row->name; row++)
    if (strcmp (row->name, "match_limit") == 0)
      *(gint64 *) (gpointer) ((char *) self + row->offset) = 1000;
  g_assert (ek_module_pcre.init (&self->base, NULL));
  return self;
}

/* An answer is made of the result and of the key. */
static void
ask (const EkPatternTable *table, EkStr key)
{
  EkCall call = { .pool = ek_pool_new () };
  EkStr value = { 0 };
  EkStatus status = ek_pattern_table_find (table, &call, key, &value);

  g_assert (status == EK_OK || status == EK_NOTFOUND || status == EK_DEFER);
  g_assert ((status == EK_DEFER) == (call.error != NULL));
  g_assert (status != EK_OK || (value.p && value.p[value.n] == '\0' && value.n <= EK_MAP_ANSWER_MAX));
  g_clear_error (&call.error);
  ek_pool_free (call.pool);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *copy = g_strndup ((const char *) data, size);
  EkTableText text = { .path = "table", .text = copy, .len = size };
  g_autoptr (GError) error = NULL;

  ek_log_set_level (EK_ERR);           /* no line for each flag i */
  EkPatternTable *table = ek_pattern_kind.parse (&text, instance (), &error);
  g_assert ((table == NULL) == (error != NULL));
  if (table) {
    ask (table, (EkStr) { (const char *) data, MIN (size, 64) });
    ask (table, EK_STR ("list-out@example.com"));
    ask (table, EK_STR (""));
    ek_pattern_kind.free (table);
  }
  g_free (copy);
  return 0;
}
