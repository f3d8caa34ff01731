/* sqltext.c - queries with named parameters, as drivers want them
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/sql.h"
#include "lookup/params.h"
#include <errno.h>
#include <string.h>

static bool
is_word (char c)
{
  return g_ascii_isalnum (c) || c == '_';
}

/* ---- what is no place for a parameter ---- */

/* The end of a quoted text, NULL: it is not closed.  A doubled quote is one within. */
static const char *
skip_quoted (const char *p)
{
  char quote = *p++;

  for (; *p; p++)
    if (*p == quote && *++p != quote)
      return p;
  return NULL;
}

/* $$ text $$ or $tag$ text $tag$; p itself when it is none, NULL when it is not closed. */
static const char *
skip_dollars (const char *p)
{
  const char *end = p + 1;

  while (is_word (*end) && !g_ascii_isdigit (p[1]))
    end++;
  if (*end != '$')
    return p;
  g_autofree char *tag = g_strndup (p, (gsize) (end + 1 - p));
  const char *close = strstr (end + 1, tag);
  return close ? close + strlen (tag) : NULL;
}

/* The end of a quoted text or comment that begins at p; p itself: none does; NULL: it does not end. */
static const char *
skip (const char *p, EkSqlStyle style)
{
  if (*p == '\'' || *p == '"' || *p == '`')
    return skip_quoted (p);
  if (*p == '$' && style == EK_SQL_DOLLAR)
    return skip_dollars (p);
  if (p[0] == '-' && p[1] == '-')
    return p + strcspn (p, "\n");
  if (p[0] == '/' && p[1] == '*') {
    const char *close = strstr (p + 2, "*/");
    return close ? close + 2 : NULL;
  }
  return p;
}

/* ---- parameters ---- */

typedef struct {
  EkPool     *pool;
  EkSql      *sql;
  EkSqlStyle  style;
  EkBuf       out;
} Parser;

/* PostgreSQL would read "LIMIT:x" as the name LIMIT$1, and "$:x" as the beginning of a quoted text. */
static bool
is_glued (const EkBuf *out)
{
  gsize n = ek_buf_len (out);
  guchar last = n ? (guchar) ek_buf_at (out)[n - 1] : ' ';

  return is_word ((char) last) || last == '$' || last >= 0x80;
}

/* False: too many. */
static bool
add_param (Parser *s, const char *name, gsize n)
{
  EkSql *sql = s->sql;
  guint at = sql->n_params;

  for (guint i = 0; s->style == EK_SQL_DOLLAR && i < sql->n_params; i++)
    if (strlen (sql->params[i]) == n && memcmp (sql->params[i], name, n) == 0)
      at = i;
  if (at == EK_SQL_PARAMS_MAX)
    return false;
  if (at == sql->n_params)
    sql->params[sql->n_params++] = ek_pool_strndup (s->pool, name, n);
  if (s->style == EK_SQL_DOLLAR)
    ek_buf_printf (&s->out, "%s$%u", is_glued (&s->out) ? " " : "", at + 1);
  else
    ek_buf_appendc (&s->out, '?');
  return true;
}

/* NULL, or what is wrong. */
static const char *
parse (Parser *s, const char *text)
{
  char own = s->style == EK_SQL_DOLLAR ? '$' : '?';

  for (const char *p = text; *p;) {
    const char *end = skip (p, s->style);
    if (end == NULL)
      return "a quote or comment is not closed";
    if (end == p && p[0] == ':' && p[1] == ':')
      end = p + 2;
    else if (end == p && p[0] == ':' && (g_ascii_isalpha (p[1]) || p[1] == '_')) {
      for (end = p + 1; is_word (*end); end++)
        ;
      if (!add_param (s, p + 1, (gsize) (end - p) - 1))
        return "it has too many parameters";
      p = end;
      continue;
    }
    else if (end == p && *p == own && (own == '?' || g_ascii_isdigit (p[1])))
      return own == '?' ? "parameters are named here: write :user, not ?" : "parameters are named here: write :user, not $1";
    end = MAX (end, p + 1);
    ek_buf_append (&s->out, p, (gsize) (end - p));
    p = end;
  }
  return NULL;
}

EkSql *
ek_sql_parse (EkPool *pool, const char *option, const char *text, EkSqlStyle style, GError **error)
{
  Parser s = { .pool = pool, .style = style, .sql = ek_pool_new0 (pool, EkSql) };

  s.sql->option = option;
  s.sql->params = ek_pool_newv (pool, const char *, EK_SQL_PARAMS_MAX);
  const char *wrong = parse (&s, text);
  if (wrong)
    ek_fail (error, EK_FAIL, EINVAL, "%s: %s", option, wrong);
  s.sql->text = ek_pool_strndup (pool, ek_buf_at (&s.out), ek_buf_len (&s.out));
  ek_buf_release (&s.out);
  return wrong ? NULL : s.sql;
}

/* ---- scripts ---- */

/* Behind blanks and comments. */
static const char *
skip_blank (const char *p, EkSqlStyle style)
{
  for (;;) {
    const char *end = p + strspn (p, " \t\r\n;");
    if ((end[0] == '-' && end[1] == '-') || (end[0] == '/' && end[1] == '*'))
      end = skip (end, style);
    if (end == NULL || end == p)
      return end;
    p = end;
  }
}

static guint
count_lines (const char *from, const char *to)
{
  guint n = 0;

  for (; from < to; from++)
    n += *from == '\n';
  return n;
}

char *
ek_sql_statement (EkPool *pool, const char **at, guint *line, guint *begins, EkSqlStyle style, GError **error)
{
  const char *start = skip_blank (*at, style), *p = start;

  *begins = *line + (start ? count_lines (*at, start) : 0);
  while (p && *p && *p != ';') {
    const char *end = skip (p, style);
    p = end == p ? p + 1 : end;
  }
  if (p == NULL) {
    ek_fail (error, EK_FAIL, EINVAL, "line %u: a quote or comment is not closed", *begins);
    return NULL;
  }
  *at = p;
  *line = *begins + count_lines (start, p);
  if (p == start)
    return NULL;
  return ek_pool_strndup (pool, start, (gsize) (p - start));
}

/* ---- values ---- */

const EkStr *
ek_sql_values (EkPool *pool, const EkSql *sql, const EkQuery *query)
{
  EkStr *values = ek_pool_newv (pool, EkStr, sql->n_params + 1);

  for (guint i = 0; i < sql->n_params; i++) {
    EkStr value = ek_query_value (query, sql->params[i]);
    if (value.n && !g_utf8_validate (value.p, (gssize) value.n, NULL))     /* nor with a NUL in it */
      return NULL;
    values[i] = ek_pool_str (pool, value);
  }
  return values;
}
