/* regexp.c - maps of POSIX regular expressions, in the format of Postfix's regexp_table(5)
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/pattern.h"
#include <errno.h>
#include <locale.h>
#include <regex.h>

enum { FLAG_I = 1, FLAG_M = 2, FLAG_X = 4 };       /* the places in engine.flags */

/* Bytes, whatever the locale of the process: the same answer from `ekiden map get` and from the server. */
static gpointer
compile (const EkPatternInstance *self, EkStr pattern, guint32 flags, guint *groups, GError **error)
{
  regex_t *code = g_new0 (regex_t, 1);
  locale_t plain = newlocale (LC_ALL_MASK, "C", (locale_t) 0);
  locale_t before = uselocale (plain);
  int err = regcomp (code, pattern.p, (flags & FLAG_I ? REG_ICASE : 0) | (flags & FLAG_M ? REG_NEWLINE : 0)
                     | (flags & FLAG_X ? REG_EXTENDED : 0));
  uselocale (before);
  freelocale (plain);
  *groups = (guint) code->re_nsub;
  if (err == 0)
    return code;
  char why[200];
  regerror (err, code, why, sizeof why);
  ek_fail (error, EK_DEFER, EINVAL, "%s", why);
  g_free (code);
  return NULL;
}

static void
free_code (gpointer code)
{
  regfree (code);
  g_free (code);
}

static gpointer
open_search (const EkPatternInstance *self, guint n)
{
  return g_new (regmatch_t, n);
}

static EkStatus
match (gpointer search, gconstpointer code, EkStr key, EkSpan *spans, guint n, GError **error)
{
  regmatch_t *at = search;

  at[0] = (regmatch_t) { .rm_so = 0, .rm_eo = (regoff_t) key.n };
  int err = regexec (code, key.p, n > 1 ? n : 0, at, REG_STARTEND);
  if (err == REG_NOMATCH)
    return EK_NOTFOUND;
  if (err != 0)
    return ek_fail (error, EK_DEFER, ENOMEM, "no memory to match this pattern");
  for (guint i = 1; i < n; i++)
    spans[i] = at[i].rm_so < 0 ? (EkSpan) { G_MAXSIZE, G_MAXSIZE } : (EkSpan) { (gsize) at[i].rm_so, (gsize) at[i].rm_eo };
  return EK_OK;
}

static const EkPatternEngine engine = {
  .flags = "imx", .flags_on = FLAG_I | FLAG_X, .compile = compile, .free = free_code, .open = open_search, .close = g_free,
  .match = match,
};

static const EkOption options[] = { EK_PATTERN_ROWS, EK_OPTIONS_END };

static gboolean
init (EkInstance *base, GError **error)
{
  EkPatternInstance *self = (EkPatternInstance *) base;

  self->engine = &engine;
  return ek_pattern_init (self, error);
}

EK_MODULE (regexp, .summary = "POSIX regular expressions and their values, in a text file", .flags = EK_WHOLE_KEYS, .options = options,
           .instance_size = sizeof (EkPatternInstance), .init = init, .start = ek_pattern_start, .stop = ek_pattern_stop,
           .map = &ek_pattern_map);
