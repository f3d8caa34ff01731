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
    s->p += *s->p == '\\' && s->p + 1 < s->end;
    if (*s->p != '\r' && *s->p != '\n')
      copy[n++] = *s->p;
  }
  if (s->p < s->end)
    s->p++;
  return (EkStr) { copy, n };
}

/* ---- continuations ------------------------------------------------------------------------- */

typedef struct {                     /* "name*3*=value" is {param, "name", 3, true} */
  EkMimeParam param;
  EkStr       base;
  int         section;               /* -1: "name*" alone */
  bool        encoded;
} Piece;

/* False when the name is none of RFC 2231. */
static bool
read_piece (EkMimeParam param, Piece *piece)
{
  EkStr name = param.name;
  guint64 number;

  *piece = (Piece) { .param = param, .section = -1 };
  piece->encoded = name.n > 1 && name.p[name.n - 1] == '*';
  if (piece->encoded)
    name.n--;
  const char *star = name.n > 0 ? memchr (name.p, '*', name.n) : NULL;
  piece->base = name;
  if (star == NULL)
    return piece->encoded;
  gsize at = (gsize) (star - name.p);
  if (at == 0 || !ek_str_u64 ((EkStr) { star + 1, name.n - at - 1 }, SECTIONS_MAX - 1, &number))
    return false;
  piece->base.n = at;
  piece->section = (int) number;
  return true;
}

static int
compare_pieces (gconstpointer a, gconstpointer b)
{
  const Piece *x = a, *y = b;
  gsize n = MIN (x->base.n, y->base.n);
  int c = n > 0 ? g_ascii_strncasecmp (x->base.p, y->base.p, n) : 0;

  if (c == 0)
    c = x->base.n < y->base.n ? -1 : x->base.n > y->base.n;
  return c ? c : x->section - y->section;
}

/* The value of n pieces as one: when any is percent-encoded, all are. */
static EkMimeParam
join (EkPool *pool, const Piece *pieces, guint n)
{
  EkBuf out = { 0 };
  bool any = false;

  for (guint i = 0; i < n; i++)
    any |= pieces[i].encoded;
  if (any && !pieces[0].encoded)
    ek_buf_appends (&out, "''");
  for (guint i = 0; i < n; i++)
    for (gsize k = 0; k < pieces[i].param.value.n; k++) {
      char c = pieces[i].param.value.p[k];
      if (any && !pieces[i].encoded && c == '%')
        ek_buf_appends (&out, "%25");
      else
        ek_buf_appendc (&out, c);
    }
  char *name = ek_pool_printf (pool, "%.*s%s", EK_STR_ARG (pieces[0].base), any ? "*" : "");
  EkMimeParam made = { ek_str (name), ek_pool_str (pool, ek_buf_str (&out)) };
  ek_buf_release (&out);
  return made;
}

/* Orders the pieces and puts them behind the n ordinary parameters of `list`; a series without gap becomes
 * one.  Returns how many parameters there are. */
static guint
add_pieces (EkPool *pool, EkMimeParam *list, guint n, Piece *pieces, guint n_pieces)
{
  qsort (pieces, n_pieces, sizeof (Piece), compare_pieces);
  for (guint i = 0; i < n_pieces;) {
    guint last = i;
    while (last < n_pieces && ek_str_ieq (pieces[last].base, pieces[i].base))
      last++;
    guint from = i, run = 0;
    if (pieces[from].section == -1)
      list[n++] = pieces[from++].param;
    while (from + run < last && pieces[from + run].section == (int) run)
      run++;
    if (run > 0 && from + run == last)
      list[n++] = join (pool, pieces + from, run);
    else
      for (; from < last; from++)
        list[n++] = pieces[from].param;
    i = last;
  }
  return n;
}

/* ---- parsing ------------------------------------------------------------------------------- */

static void
to_semicolon (Scan *s)
{
  while (s->p < s->end && *s->p != ';')
    s->p++;
}

static void
read_params (Scan *s, EkMimeType *type)
{
  EkMimeParam list[EK_MIME_PARAMS_MAX];
  Piece pieces[EK_MIME_PARAMS_MAX];
  guint n = 0, n_pieces = 0;

  for (to_semicolon (s); s->p < s->end && n + n_pieces < EK_MIME_PARAMS_MAX; to_semicolon (s)) {
    s->p++;
    skip_cfws (s);
    EkStr name = token (s);
    skip_cfws (s);
    if (s->p >= s->end || *s->p != '=')              /* junk: on to the next semicolon */
      continue;
    s->p++;
    skip_cfws (s);
    EkStr value = s->p < s->end && *s->p == '"' ? quoted (s) : token (s);
    EkMimeParam param = { ek_pool_str (s->pool, name), ek_pool_str (s->pool, value) };
    if (memchr (name.p, '*', name.n) && read_piece (param, &pieces[n_pieces]))
      n_pieces++;
    else
      list[n++] = param;
  }
  n = add_pieces (s->pool, list, n, pieces, n_pieces);
  if (n == 0)
    return;
  type->params = ek_pool_newv (s->pool, EkMimeParam, n);
  memcpy (type->params, list, sizeof (EkMimeParam) * n);
  type->n_params = n;
}

/* The main word and, with `slash`, the other one.  False when the value makes no sense. */
static bool
read_words (Scan *s, EkMimeType *type, bool slash)
{
  skip_cfws (s);
  type->type = ek_pool_str (s->pool, token (s));
  skip_cfws (s);
  if (!slash)
    return true;
  if (s->p >= s->end)
    return type->type.n > 0;
  if (*s->p != '/' || type->type.n == 0)
    return false;
  s->p++;
  skip_cfws (s);
  type->subtype = ek_pool_str (s->pool, token (s));
  skip_cfws (s);
  return type->subtype.n > 0 && (s->p >= s->end || *s->p == ';');
}

static void
parse (EkPool *pool, EkStr value, EkMimeType *type, bool slash)
{
  Scan s = { value.p, EK_STR_END (value), pool };

  *type = (EkMimeType) { .subtype = EK_STR ("") };
  if (read_words (&s, type, slash))
    read_params (&s, type);
  else
    type->type = type->subtype = EK_STR ("");
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
