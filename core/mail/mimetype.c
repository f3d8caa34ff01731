/* mimetype.c - Content-Type, Content-Disposition and their parameters (RFC 2045 5.1, 2183, 2231)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mail/header.h"
#include "mail/text.h"
#include <string.h>

#define SECTIONS_MAX 100             /* of one continued parameter */
#define COMMENTS_MAX 50              /* nested */

typedef struct {
  const char *p, *end;
  EkPool     *pool;
} Scan;

/* White space and comments. */
static void
skip_cfws (Scan *s)
{
  guint depth = 0;

  for (; s->p < s->end; s->p++) {
    char c = *s->p;
    if (depth > 0 && c == '\\' && s->p + 1 < s->end)
      s->p++;
    else if (c == '(' && depth < COMMENTS_MAX)
      depth++;
    else if (c == ')' && depth > 0)
      depth--;
    else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
      break;
  }
}

static bool
is_token (char c)
{
  return (guchar) c > ' ' && c != 127 && strchr ("()<>@,;:\\\"/[]?=", c) == NULL;
}

static EkStr
token (Scan *s)
{
  const char *from = s->p;

  while (s->p < s->end && is_token (*s->p))
    s->p++;
  return (EkStr) { from, (gsize) (s->p - from) };
}

/* A quoted string, without its quotes, escapes and line breaks. */
static EkStr
quoted (Scan *s)
{
  const char *close = ++s->p;
  gsize n = 0;

  while (close < s->end && *close != '"')
    close += *close == '\\' && close + 1 < s->end ? 2 : 1;
  char *copy = ek_pool_alloc (s->pool, (gsize) (close - s->p) + 1);

  for (; s->p < close; s->p++) {
    if (*s->p == '\\' && s->p + 1 < s->end)
      s->p++;
    else if (*s->p == '\r' || *s->p == '\n')
      continue;
    copy[n++] = *s->p;
  }
  if (s->p < s->end)
    s->p++;
  return (EkStr) { copy, n };
}

/* What mailers leave unquoted: everything to the semicolon or white space. */
static EkStr
bare_value (Scan *s)
{
  const char *from = s->p;

  while (s->p < s->end && *s->p != ';' && (guchar) *s->p > ' ')
    s->p++;
  return (EkStr) { from, (gsize) (s->p - from) };
}

/* ---- continuations ---------------------------------------------------------------------------- */

/* "name*3*" is {name, 3, encoded}; section -1: not a continuation. */
static bool
read_section (EkStr name, EkStr *base, int *section, bool *encoded)
{
  *encoded = name.n > 1 && name.p[name.n - 1] == '*';
  if (*encoded)
    name.n--;
  const char *star = name.n > 0 ? memchr (name.p, '*', name.n) : NULL;
  guint64 number;
  *base = name;
  *section = -1;
  if (star == NULL)
    return *encoded;
  EkStr digits = { star + 1, name.n - (gsize) (star + 1 - name.p) };
  if (star == name.p || !ek_str_u64 (digits, SECTIONS_MAX - 1, &number)
      || (digits.n > 1 && digits.p[0] == '0'))
    return false;
  *base = (EkStr) { name.p, (gsize) (star - name.p) };
  *section = (int) number;
  return true;
}

static void
append_percent (EkBuf *out, EkStr s)
{
  for (gsize i = 0; i < s.n; i++) {
    guchar c = (guchar) s.p[i];
    if (c > ' ' && c < 127 && c != '%' && c != '\'')
      ek_buf_appendc (out, (char) c);
    else
      ek_buf_printf (out, "%%%02X", c);
  }
}

/* Joins the sections of `base` into one parameter at its first place; takes the others out. */
static void
join (EkPool *pool, EkMimeType *type, EkStr base)
{
  EkMimeParam *found[SECTIONS_MAX] = { NULL };
  bool encoded[SECTIONS_MAX] = { false }, any = false;
  EkBuf out = { 0 };
  guint n;

  for (guint i = 0; i < type->n_params; i++) {
    EkStr b;
    int section;
    bool enc;
    if (read_section (type->params[i].name, &b, &section, &enc) && section >= 0 && ek_str_ieq (b, base)
        && found[section] == NULL) {
      found[section] = &type->params[i];
      encoded[section] = enc;
    }
  }
  if (found[0] == NULL)
    return;
  for (n = 0; n < SECTIONS_MAX && found[n]; n++)
    any |= encoded[n];
  for (guint i = 0; i < n; i++) {
    if (!any || encoded[i])
      ek_buf_append (&out, found[i]->value.p, found[i]->value.n);
    else {
      if (i == 0)
        ek_buf_appends (&out, "''");
      append_percent (&out, found[i]->value);
    }
    if (i > 0)
      found[i]->name.p = NULL;
  }
  found[0]->name = any ? ek_str (ek_pool_printf (pool, "%.*s*", EK_STR_ARG (base))) : base;
  found[0]->value = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
}

static void
join_all (EkPool *pool, EkMimeType *type)
{
  guint kept = 0;

  for (guint i = 0; i < type->n_params; i++) {
    EkStr base;
    int section;
    bool encoded;
    if (type->params[i].name.p && memchr (type->params[i].name.p, '*', type->params[i].name.n)
        && read_section (type->params[i].name, &base, &section, &encoded) && section == 0)
      join (pool, type, base);
  }
  for (guint i = 0; i < type->n_params; i++)
    if (type->params[i].name.p)
      type->params[kept++] = type->params[i];
  type->n_params = kept;
}

/* ---- parsing ----------------------------------------------------------------------------------- */

static void
read_params (Scan *s, EkMimeType *type)
{
  EkMimeParam list[EK_MIME_PARAMS_MAX];
  bool continued = false;

  while (type->n_params < EK_MIME_PARAMS_MAX) {
    skip_cfws (s);
    if (s->p >= s->end)
      break;
    if (*s->p == ';') {
      s->p++;
      continue;
    }
    EkStr name = token (s);
    skip_cfws (s);
    if (name.n == 0 || s->p >= s->end || *s->p != '=') {       /* junk: on to the next semicolon */
      while (s->p < s->end && *s->p != ';')
        s->p++;
      continue;
    }
    s->p++;
    skip_cfws (s);
    EkStr value = s->p < s->end && *s->p == '"' ? quoted (s) : bare_value (s);
    continued |= memchr (name.p, '*', name.n) != NULL;
    list[type->n_params++] = (EkMimeParam) { ek_pool_str (s->pool, name), ek_pool_str (s->pool, value) };
  }
  if (type->n_params == 0)
    return;
  type->params = ek_pool_newv (s->pool, EkMimeParam, type->n_params);
  memcpy (type->params, list, sizeof (EkMimeParam) * type->n_params);
  if (continued)
    join_all (s->pool, type);
}

static void
parse (EkPool *pool, EkStr value, EkMimeType *type, bool slash)
{
  Scan s = { value.p, value.p + value.n, pool };

  *type = (EkMimeType) { 0 };
  skip_cfws (&s);
  EkStr main = token (&s);
  skip_cfws (&s);
  if (main.n == 0)
    return;
  if (slash) {
    if (s.p >= s.end || *s.p != '/')
      return;
    s.p++;
    skip_cfws (&s);
    EkStr sub = token (&s);
    if (sub.n == 0)
      return;
    type->subtype = ek_pool_str (pool, sub);
  }
  type->type = ek_pool_str (pool, main);
  read_params (&s, type);
}

void
ek_mime_type_parse (EkPool *pool, EkStr value, EkMimeType *type)
{
  parse (pool, value, type, true);
}

void
ek_mime_disposition_parse (EkPool *pool, EkStr value, EkMimeType *type)
{
  parse (pool, value, type, false);
}

EkStr
ek_mime_param_raw (const EkMimeType *type, const char *name)
{
  EkStr want = ek_str (name);

  for (guint i = 0; i < type->n_params; i++)
    if (ek_str_ieq (type->params[i].name, want))
      return type->params[i].value;
  return (EkStr) { NULL, 0 };
}

/* "charset'language'percent-encoded" (RFC 2231 4) to UTF-8. */
static EkStr
decode_extended (EkPool *pool, EkStr value)
{
  EkBuf bytes = { 0 }, out = { 0 };
  const char *q1 = value.n > 0 ? memchr (value.p, '\'', value.n) : NULL;
  const char *q2 = q1 ? memchr (q1 + 1, '\'', value.n - (gsize) (q1 + 1 - value.p)) : NULL;
  EkStr charset = { value.p, q2 ? (gsize) (q1 - value.p) : 0 };
  gsize i = q2 ? (gsize) (q2 + 1 - value.p) : 0;

  for (; i < value.n; i++) {
    int hi, lo;
    if (value.p[i] == '%' && i + 2 < value.n && (hi = g_ascii_xdigit_value (value.p[i + 1])) >= 0
        && (lo = g_ascii_xdigit_value (value.p[i + 2])) >= 0) {
      ek_buf_appendc (&bytes, (char) (hi << 4 | lo));
      i += 2;
    }
    else
      ek_buf_appendc (&bytes, value.p[i]);
  }
  ek_charset_convert (charset, ek_buf_str (&bytes), &out);
  EkStr text = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&bytes);
  ek_buf_release (&out);
  return text;
}

EkStr
ek_mime_param (EkPool *pool, const EkMimeType *type, const char *name)
{
  g_autofree char *starred = g_strconcat (name, "*", NULL);
  EkStr extended = ek_mime_param_raw (type, starred);

  if (extended.p)
    return decode_extended (pool, extended);
  EkStr raw = ek_mime_param_raw (type, name);
  return raw.p ? ek_header_decode (pool, raw) : raw;
}
