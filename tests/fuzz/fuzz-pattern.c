/* fuzz-pattern.c - tables of regular expressions: lines, patterns, flags, results, and a search in them
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/lookup/pattern.c core/lookup/rules.c modules/pcre/pcre.c modules/regexp/regexp.c */
/* options: -max_len=2048 */
#include "fuzz.h"
#include "base/log.h"
#include "lookup/pattern.h"
#include <string.h>

extern const EkModule ek_module_pcre, ek_module_regexp;

/* An instance as the core makes it, but for its file. */
static EkPatternInstance *
instance (const EkModule *module)
{
  EkPatternInstance *self = g_malloc0 (module->instance_size);

  self->base = (EkInstance) { .name = "fuzz", .module = module };
  self->path = "/fuzz";
  self->case_warning = true;
  for (const EkOption *row = module->options; row->name; row++)
    if (strcmp (row->name, "match_limit") == 0)
      *(gint64 *) (gpointer) ((char *) self + row->offset) = 1000;
  g_assert (module->init (&self->base, NULL));
  return self;
}

/* An answer is made of the result and of the key. */
static void
ask (const EkPatternTable *table, EkStr key)
{
  EkCall call = { .pool = ek_pool_new () };
  EkStr value = { 0 };
  /* a copy with a NUL behind it: AddressSanitizer's regexec() looks for one, the library's does not */
  EkStatus status = ek_pattern_table_find (table, &call, ek_pool_str (call.pool, key), &value);

  g_assert (status == EK_OK || status == EK_NOTFOUND || status == EK_DEFER);
  g_assert ((status == EK_DEFER) == (call.error != NULL));
  g_assert (status != EK_OK || (value.p && value.p[value.n] == '\0' && value.n <= EK_MAP_ANSWER_MAX));
  g_clear_error (&call.error);
  ek_pool_free (call.pool);
}

static void
as_table (EkPatternInstance *self, const uint8_t *data, size_t size)
{
  char *copy = g_strndup ((const char *) data, size);
  EkTableText text = { .path = "table", .text = copy, .len = size };
  g_autoptr (GError) error = NULL;

  EkPatternTable *table = ek_pattern_kind.parse (&text, self, &error);
  g_assert ((table == NULL) == (error != NULL));
  if (table) {
    ask (table, (EkStr) { (const char *) data, MIN (size, 64) });
    ask (table, EK_STR ("list-out@example.com"));
    ask (table, EK_STR (""));
    ek_pattern_kind.free (table);
  }
  g_free (copy);
}

/* The C library's own compiler of patterns has bounds on nothing: repeats of repeats take all memory, and so do many groups.  What
 * is meant here is what we make of a table, not that. */
static bool
is_tame (const uint8_t *data, size_t size)
{
  guint groups = 0;

  for (size_t i = 0; i < size; i++) {
    groups += data[i] == '(' || data[i] == '*' || data[i] == '+';
    if (data[i] == '{' && i + 1 < size && !g_ascii_isalpha (data[i + 1]) && (i == 0 || data[i - 1] != '$'))
      return false;
    if (data[i] == '\\' && i + 1 < size && (g_ascii_isdigit (data[i + 1]) || data[i + 1] == '{'))
      return false;
  }
  return size <= 512 && groups <= 16;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static EkPatternInstance *pcre, *regexp;

  ek_log_set_level (EK_ERR);           /* no line for each flag i */
  if (pcre == NULL) {
    pcre = instance (&ek_module_pcre);
    regexp = instance (&ek_module_regexp);
  }
  as_table (pcre, data, size);
  if (is_tame (data, size))
    as_table (regexp, data, size);
  return 0;
}
