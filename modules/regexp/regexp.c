/* regexp.c - maps of POSIX regular expressions, in the format of Postfix's regexp_table(5)
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/pattern.h"
#include <errno.h>
#include <locale.h>
#include <regex.h>
#include <string.h>

#define DEPTH_MAX 100

enum { FLAG_I = 1, FLAG_M = 2, FLAG_X = 4 };       /* the places in engine.flags */

/* Behind the [ at p: its end, in which a backslash is one. */
static const char *
skip_set (const char *p)
{
  p += *p == '^';
  p += *p == ']';
  for (; *p && *p != ']'; p++)
    if (*p == '[' && p[1] && strchr (".:=", p[1])) {         /* [:alpha:] and its like */
      const char *close = p + 2;
      while (*close && !(close[0] == p[1] && close[1] == ']'))
        close++;
      if (*close == '\0')
        return close;
      p = close + 1;
    }
  return p;
}

/* \1 and so on: with these a search may take hours, where the others' time is bounded by the lengths of key and pattern. */
static bool
refers_back (const char *p)
{
  for (; *p; p++)
    if (*p == '\\') {
      if (p[1] >= '1' && p[1] <= '9')
        return true;
      p += p[1] != '\0';
    }
    else if (*p == '[' && *(p = skip_set (p + 1)) == '\0')
      return false;
  return false;
}

/* How deep groups lie in each other: regcomp() goes down a level of the stack for each.  What is written ( and \( counts alike. */
static guint
depth_of (const char *p)
{
  guint depth = 0, deepest = 0;

  for (; *p; p++) {
    if (*p == '\\' && p[1])
      p++;
    else if (*p == '[') {
      if (*(p = skip_set (p + 1)) == '\0')
        break;
      continue;
    }
    if (*p == '(')
      depth++;
    else if (*p == ')' && depth > 0)
      depth--;
    deepest = MAX (deepest, depth);
  }
  return deepest;
}

/* Bytes, whatever the locale of the process: the same answer from `ekiden map get` and from the server. */
static gpointer
compile (const EkPatternInstance *self, EkStr pattern, guint32 flags, guint *groups, GError **error)
{
  if (refers_back (pattern.p)) {
    ek_fail (error, EK_DEFER, EINVAL, "it refers back to a group (\\1), and nothing bounds how long a search for that takes: the module pcre takes "
             "such patterns, and bounds them");
    return NULL;
  }
  if (depth_of (pattern.p) > DEPTH_MAX) {
    ek_fail (error, EK_DEFER, EINVAL, "groups lie in each other more than %d deep", DEPTH_MAX);
    return NULL;
  }
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

  if (key.n > EK_MAP_KEY_MAX)        /* the time grows with its square */
    return ek_fail (error, EK_DEFER, E2BIG, "the key has %" G_GSIZE_FORMAT " bytes, and %d are the most", key.n, EK_MAP_KEY_MAX);
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
