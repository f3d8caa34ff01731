/* fuzz-queries.c - what admins write with parameters in it (SQL, LDAP filters and names, templates), filled in with what strangers send
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/lookup/sqltext.c core/lookup/params.c core/lookup/template.c modules/ldap/template.c */
/* options: -max_len=2048 */
#include "fuzz.h"
#include "lookup/params.h"
#include "lookup/sql.h"
#include "lookup/template.h"
#ifdef WITH_LDAP
#include "../../modules/ldap/template.h"
#endif
#include <string.h>

static bool
is_clean (EkStr s)
{
  return s.p && memchr (s.p, '\0', s.n) == NULL && g_utf8_validate (s.p, (gssize) s.n, NULL);
}

/* Values are bound: the query's text is the same whatever they are, and what stands in their place is the driver's, so that our own output
 * is refused as a text of an admin. */
static void
as_sql (EkPool *pool, const char *text, const EkQuery *query, EkSqlStyle style)
{
  g_autoptr (GError) error = NULL;
  EkSql *sql = ek_sql_parse (pool, "query", text, style, &error);

  g_assert ((sql == NULL) == (error != NULL));
  if (sql == NULL)
    return;
  g_assert (sql->n_params <= EK_SQL_PARAMS_MAX && strlen (sql->text) <= 2 * strlen (text));
  const EkStr *values = ek_sql_values (pool, sql, query);
  for (guint i = 0; values && i < sql->n_params; i++)
    g_assert (is_clean (values[i]) && values[i].p[values[i].n] == '\0');
  g_assert (sql->n_params == 0 || ek_sql_parse (pool, "query", sql->text, style, NULL) == NULL);
  g_assert (sql->n_params > 0 || strcmp (sql->text, text) == 0);
}

#ifdef WITH_LDAP
/* What gives a filter (or a name) its form: the bytes that are no escape and mean something, in a value other ones than before its "=". */
static char *
form_of (const char *text, LdapPlace place)
{
  const char *outside = place == LDAPC_FILTER ? "()&|!=<>~:" : ",+=;", *within = place == LDAPC_FILTER ? "()*" : ",+;\"<>";
  GString *out = g_string_new (NULL);
  bool value = false;

  for (const char *p = text; *p; p++) {
    bool first = value && p[-1] == '=';
    if (*p == '\\' && p[1])
      p++;                             /* \2a: the second digit is nothing special */
    else if (strchr (value ? within : outside, *p) || (place == LDAPC_DN && first && (*p == '#' || *p == ' '))) {
      g_string_append_c (out, *p);
      value = value ? strchr (place == LDAPC_FILTER ? "()" : ",+;", *p) == NULL : *p == '=';
    }
  }
  return g_string_free (out, FALSE);
}

/* No value changes the form. */
static void
as_ldap (EkPool *pool, const char *text, const EkQuery *query, LdapPlace place)
{
  g_autoptr (GError) error = NULL;
  LdapTemplate *t = ldapc_template_parse (pool, "filter", place, text, &error);
  EkQuery plain = { .key = EK_STR ("x@y"), .params = (EkParam[]) { { "client", EK_STR ("z") } }, .n_params = 1 };
  char *made, *harmless;

  g_assert ((t == NULL) == (error != NULL));
  if (t == NULL)
    return;
  g_assert (t->n_params <= LDAPC_PARAMS_MAX);
  EkStatus status = ldapc_template_expand (t, pool, query, &made, &error);
  g_assert ((status == EK_DEFER) == (error != NULL));
  if (status != EK_OK || ldapc_template_expand (t, pool, &plain, &harmless, NULL) != EK_OK)
    return;
  g_autofree char *form = form_of (made, place), *expected = form_of (harmless, place);
  if (strcmp (form, expected))
    g_error ("\"%s\" is \"%s\"", harmless, made);
}

static void
as_columns (EkPool *pool, const char *text)
{
  g_auto (GStrv) items = g_strsplit (text, ";", 200);
  g_autoptr (GError) error = NULL;
  LdapColumns *c = ldapc_columns_parse (pool, "attributes", items, &error);

  g_assert ((c == NULL) == (error != NULL));
  g_assert (c == NULL || c->n_columns <= LDAPC_COLUMNS_MAX);
  for (guint i = 0; c && i < c->n_sources; i++)
    g_assert (c->sources[i].column < c->n_columns);
}

/* An attribute that comes in parts is the one that was asked for, with an option that can be taken out again. */
static void
as_range (const char *text, EkStr name)
{
  g_autofree char *made = g_strdup_printf ("%s;RANGE=3-7", text), *last = g_strdup_printf ("%s;range=8-*", text);
  EkStr attribute = ek_str (text), mark = EK_STR (";range=");
  LdapRange range;
  LdapShown shown = ldapc_attribute_shown (name, attribute, &range);
  gsize at = 0;

  g_assert ((shown == LDAPC_WHOLE) == (ek_str_ieq (name, attribute) && strcasestr (text, mark.p) == NULL));
  if (shown == LDAPC_PART) {
    while (!ek_str_ieq ((EkStr) { name.p + at, mark.n }, mark))
      at++;
    const char *end = memchr (name.p + at + 1, ';', name.n - at - 1);
    gsize rest = end ? (gsize) (name.p + name.n - end) : 0;
    g_assert (range.first <= range.last && at + rest == attribute.n && g_ascii_strncasecmp (name.p, text, at) == 0);
    g_assert (rest == 0 || g_ascii_strncasecmp (end, text + at, rest) == 0);
  }
  if (text[0] == '\0' || strcasestr (text, mark.p))
    return;
  g_assert (ldapc_attribute_shown (ek_str (made), attribute, &range) == LDAPC_PART && range.first == 3 && range.last == 7);
  g_assert (ldapc_attribute_shown (ek_str (last), attribute, &range) == LDAPC_PART && range.first == 8 && range.last == LDAPC_LAST);
}
#endif

/* A path that a name is put into has no more folders than it had, and none that is hidden or leads up. */
static void
as_template (EkPool *pool, const char *text, EkStr key)
{
  g_autoptr (GError) error = NULL;
  const char *user = ek_pool_strndup (pool, key.p, key.n);
  g_autofree char *path = g_strconcat ("/mail/", text, NULL);

  if (!ek_template_check ("home", path, &error)) {
    g_assert (error);
    return;
  }
  char *any = ek_template_expand (pool, path, user, false, NULL), *made = ek_template_expand (pool, path, user, true, &error);
  g_assert (any && (made == NULL) == (error != NULL));
  char *harmless = ek_template_expand (pool, path, "u@d", true, NULL);
  if (made == NULL || harmless == NULL)
    return;
  g_auto (GStrv) parts = g_strsplit (made, "/", -1), expected = g_strsplit (harmless, "/", -1);
  g_assert_cmpuint (g_strv_length (parts), ==, g_strv_length (expected));
  for (guint i = 0; parts[i]; i++)
    g_assert (strcmp (parts[i], "..") != 0 || strstr (text, ".."));
}

static void
as_params (EkPool *pool, const char *text, const EkQuery *query)
{
  EkParamText *t = ek_param_text_new (pool, text);
  EkBuf out = { 0 };
  gsize n = 0;

  (void) ek_param_text_fits (t, query, true);
  ek_param_text_append (t, query, NULL, &out);
  for (guint i = 0; i < t->n_parts; i++)
    n += t->parts[i].literal.n + (t->parts[i].param ? ek_query_value (query, t->parts[i].param).n : 0);
  g_assert_cmpuint (n, ==, ek_buf_len (&out));
  ek_buf_release (&out);
}

/* A letter for the kind, a line as the admin writes it, and the key; of ranges the name that a server gives. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  EkPool *pool = ek_pool_new ();
  const char *bytes = (const char *) data, *eol = size > 1 ? memchr (bytes + 1, '\n', size - 1) : NULL;
  gsize n = size == 0 ? 0 : eol ? (gsize) (eol - bytes) - 1 : size - 1;
  const char *text = ek_pool_strndup (pool, size ? bytes + 1 : "", n);
  EkStr key = eol ? ek_pool_str (pool, (EkStr) { eol + 1, size - n - 2 }) : EK_STR ("");
  EkQuery query = { .key = key, .params = (EkParam[]) { { "client", key } }, .n_params = 1 };

  switch (size ? bytes[0] : 0) {
  case 'q':
    as_sql (pool, text, &query, EK_SQL_QUESTION);
    break;
  case 'd':
    as_sql (pool, text, &query, EK_SQL_DOLLAR);
    break;
  case 't':
    as_template (pool, text, key);
    break;
  case 'p':
    as_params (pool, text, &query);
    break;
#ifdef WITH_LDAP
  case 'f':
    as_ldap (pool, text, &query, LDAPC_FILTER);
    break;
  case 'n':
    as_ldap (pool, text, &query, LDAPC_DN);
    break;
  case 'c':
    as_columns (pool, text);
    break;
  case 'r':
    as_range (text, key);
    break;
#endif
  default:
    break;
  }
  ek_pool_free (pool);
  return 0;
}
