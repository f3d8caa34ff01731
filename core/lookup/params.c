/* params.c - texts with named parameters in them
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/params.h"
#include <errno.h>
#include <string.h>

static bool
is_word (char c)
{
  return g_ascii_isalnum (c) || c == '_';
}

EkStr
ek_query_value (const EkQuery *query, const char *name)
{
  if (query->by_client && strcmp (name, "client") == 0)
    *query->by_client = true;
  EkStr key = query->key, value = ek_param (query->params, query->n_params, name);
  const char *at = key.n ? memrchr (key.p, '@', key.n) : NULL;
  gsize before = at ? (gsize) (at - key.p) : key.n;

  if (value.p)
    return value;
  if (strcmp (name, "key") == 0 || strcmp (name, "user") == 0 || strcmp (name, "address") == 0)
    return key;
  if (strcmp (name, "local") == 0)
    return (EkStr) { key.p, before };
  if (strcmp (name, "domain") == 0)
    return at ? (EkStr) { at + 1, key.n - before - 1 } : EK_STR ("");
  return (EkStr) { NULL, 0 };
}

/* Whatever is asked for has a name. */
static bool
is_of_key (const char *name)
{
  static const char *const known[] = { "key", "user", "address", "local", "domain", NULL };

  return g_strv_contains (known, name);
}

EkStatus
ek_query_needs (const EkQuery *query, const char *option, const char *name, GError **error)
{
  if (is_of_key (name) || ek_param (query->params, query->n_params, name).p)
    return EK_OK;
  return ek_fail (error, EK_DEFER, EINVAL, "%s: the question has no :%s", option, name);
}

bool
ek_param_is_known (const char *option, const char *name, const char *more, GError **error)
{
  g_auto (GStrv) words = g_strsplit (more ? more : "", " and :", -1);

  if (is_of_key (name) || g_strv_contains ((const char *const *) words, name))
    return true;
  ek_fail (error, EK_FAIL, EINVAL, "%s: here is no parameter :%s: there are :user, :local and :domain%s%s", option, name, more ? ", and :" : "",
           more ? more : "");
  return false;
}

guint
ek_login_params (const EkLogin *login, EkParam params[EK_LOGIN_PARAMS])
{
  params[0] = (EkParam) { "service", ek_str (login ? login->service : "") };
  params[1] = (EkParam) { "client", ek_str (login ? login->client : "") };
  return EK_LOGIN_PARAMS;
}

static bool
begins_param (const char *text, const char *p)
{
  return *p == ':' && (g_ascii_isalpha (p[1]) || p[1] == '_') && (p == text || !(is_word (p[-1]) || strchr ("}])", p[-1])));
}

EkParamText *
ek_param_text_new (EkPool *pool, const char *text)
{
  EkParamText *t = ek_pool_new0 (pool, EkParamText);
  const char *copy = ek_pool_strdup (pool, text), *from = copy;
  guint colons = 1;

  for (const char *p = copy; *p; p++)
    colons += *p == ':';
  t->parts = ek_pool_newv (pool, EkTextPart, colons);
  for (const char *p = copy;;) {
    bool param = begins_param (copy, p);
    if (*p && !param) {
      p++;
      continue;
    }
    EkTextPart *part = &t->parts[t->n_parts++];
    part->literal = (EkStr) { from, (gsize) (p - from) };
    if (!param)
      return t;
    for (from = p + 1; is_word (*from); from++)
      ;
    part->param = ek_pool_strndup (pool, p + 1, (gsize) (from - p) - 1);
    t->n_params++;
    p = from;
  }
}

void
ek_param_text_append (const EkParamText *text, const EkQuery *query, void (*escape) (EkBuf *out, EkStr value), EkBuf *out)
{
  for (guint i = 0; i < text->n_parts; i++) {
    const EkTextPart *part = &text->parts[i];
    EkStr value = part->param ? ek_query_value (query, part->param) : EK_STR ("");
    ek_buf_append (out, part->literal.p, part->literal.n);
    if (value.n && escape)
      escape (out, value);
    else if (value.n)
      ek_buf_append (out, value.p, value.n);
  }
}

EkStatus
ek_param_text_needs (const EkParamText *text, const EkQuery *query, const char *option, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < text->n_parts && status == EK_OK; i++)
    if (text->parts[i].param)
      status = ek_query_needs (query, option, text->parts[i].param, error);
  return status;
}

bool
ek_param_text_fits (const EkParamText *text, const EkQuery *query, bool utf8)
{
  for (guint i = 0; i < text->n_parts; i++) {
    EkStr value = text->parts[i].param ? ek_query_value (query, text->parts[i].param) : EK_STR ("");
    if (value.n && (memchr (value.p, '\0', value.n) || (utf8 && !g_utf8_validate (value.p, (gssize) value.n, NULL))))
      return false;
  }
  return true;
}
