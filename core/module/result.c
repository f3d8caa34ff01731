/* result.c - what the rows result, only_domains and rows_max of a map's block make of questions and answers
 * SPDX-License-Identifier: Apache-2.0
 *
 * The meaning is that of result_format, domain and expansion_limit in Postfix's ldap_table(5) and mysql_table(5), for maps of every kind.
 */
#include "module/lookup.h"
#include "module/private.h"
#include <errno.h>
#include <string.h>

/* The domain of an address with something before its @; else empty. */
static EkStr
domain_of (EkStr key)
{
  const char *at = key.n ? memrchr (key.p, '@', key.n) : NULL;

  return at && at > key.p ? (EkStr) { at + 1, (gsize) (key.p + key.n - at) - 1 } : EK_STR ("");
}

bool
ek_map_asked (EkInstance *map, const EkQuery *query)
{
  char **domains = ek_instance_core (map)->common.only_domains;

  if (query->part && map->module && (map->module->flags & EK_WHOLE_KEYS))
    return false;
  if (domains == NULL || domains[0] == NULL)
    return true;
  EkStr domain = domain_of (query->key);
  for (guint i = 0; domains[i]; i++)
    if (domain.n > 0 && ek_str_ieq (domain, ek_str (domains[i])))
      return true;
  return false;
}

/* The text that stands for a letter; a NULL p: there is none. */
static EkStr
value_of (char letter, EkStr text)
{
  const char *at = text.n ? memrchr (text.p, '@', text.n) : NULL;

  if (letter == 's')
    return text;
  if (letter == 'u')
    return at ? (EkStr) { text.p, (gsize) (at - text.p) } : text;
  return at ? (EkStr) { at + 1, (gsize) (text.p + text.n - at) - 1 } : (EkStr) { NULL, 0 };
}

/* The label of the key's domain with that number, counted from its end: %1 is "com" in example.com. */
static EkStr
label_of (guint number, EkStr key)
{
  EkStr domain = value_of ('d', key);
  const char *end = domain.p + domain.n;

  while (domain.n > 0 && --number > 0) {
    const char *dot = memrchr (domain.p, '.', (gsize) (end - domain.p));
    if (dot == NULL)
      return (EkStr) { NULL, 0 };
    end = dot;
  }
  if (domain.n == 0)
    return (EkStr) { NULL, 0 };
  const char *dot = memrchr (domain.p, '.', (gsize) (end - domain.p));
  const char *from = dot ? dot + 1 : domain.p;
  return (EkStr) { from, (gsize) (end - from) };
}

/* False: something that the template wants is not there. */
static bool
expand (const char *template, EkStr key, EkStr cell, EkBuf *out)
{
  for (const char *p = template; *p; p++) {
    if (*p != '%' || *++p == '%') {
      ek_buf_appendc (out, *p);
      continue;
    }
    EkStr value = g_ascii_isdigit (*p) ? label_of ((guint) (*p - '0'), key)
                                       : value_of ((char) g_ascii_tolower (*p), g_ascii_isupper (*p) ? key : cell);
    if (value.p == NULL)
      return false;
    ek_buf_append (out, value.p, value.n);
  }
  return true;
}

bool
ek_map_result_check (const char *template, char *wrong)
{
  for (const char *p = template; p && (p = strchr (p, '%')); p += 2)
    if (p[1] == '\0' || !strchr ("sudSUD123456789%", p[1])) {
      *wrong = p[1];
      return false;
    }
  return true;
}

/* A row goes on when each of its cells that is there could be made. */
static bool
expand_row (const char *template, EkPool *pool, EkStr key, const EkStr *from, EkStr *to, guint n)
{
  EkBuf out = { 0 };
  bool made = true;

  for (guint i = 0; i < n && made; i++) {
    ek_buf_clear (&out);
    to[i] = (EkStr) { NULL, 0 };
    if (from[i].p == NULL)
      continue;
    made = expand (template, key, from[i], &out);
    to[i] = ek_pool_str (pool, ek_buf_str (&out));
  }
  ek_buf_release (&out);
  return made;
}

EkStatus
ek_map_result (EkInstance *map, EkPool *pool, const EkQuery *query, EkAnswer *answer, GError **error)
{
  const EkCommon *common = &ek_instance_core (map)->common;
  gsize n = (gsize) answer->n_rows * answer->n_columns;

  if (common->rows_max > 0 && answer->n_rows > common->rows_max)
    return ek_fail (error, EK_DEFER, E2BIG, "\"%s\" has %u rows for \"%.*s\", more than its rows_max (%" G_GINT64_FORMAT ")", map->name,
                    answer->n_rows, EK_STR_ARG (query->key), common->rows_max);
  if (common->result == NULL || *common->result == '\0' || n == 0)
    return EK_OK;
  EkStr *cells = ek_pool_newv (pool, EkStr, n);
  guint n_rows = 0;
  for (guint i = 0; i < answer->n_rows; i++) {
    gsize at = (gsize) n_rows * answer->n_columns;
    n_rows += expand_row (common->result, pool, query->key, answer->cells + (gsize) i * answer->n_columns, cells + at, answer->n_columns);
  }
  answer->cells = cells;
  answer->n_rows = n_rows;
  return n_rows > 0 ? EK_OK : EK_NOTFOUND;
}
