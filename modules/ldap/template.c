/* template.c - filters and names with parameters in them, and what attributes are called here
 * SPDX-License-Identifier: Apache-2.0 */
#include "template.h"
#include "lookup/params.h"
#include "lookup/template.h"
#include <errno.h>
#include <string.h>

#define ATTRIBUTE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.;"

/* ---- escaping ---- */

static void
put_escaped (EkBuf *out, char c)
{
  ek_buf_printf (out, "\\%02x", (guint) (guchar) c);
}

void
ldapc_escape_filter (EkBuf *out, EkStr value)
{
  for (gsize i = 0; i < value.n; i++)
    if (value.p[i] == '\0' || strchr ("*()\\", value.p[i]))
      put_escaped (out, value.p[i]);
    else
      ek_buf_appendc (out, value.p[i]);
}

void
ldapc_escape_dn (EkBuf *out, EkStr value)
{
  for (gsize i = 0; i < value.n; i++) {
    char c = value.p[i];
    bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.n && c == ' ');
    if (edge || c == '\0' || strchr ("\"+,;<>=\\", c))
      put_escaped (out, c);
    else
      ek_buf_appendc (out, c);
  }
}

/* ---- parsing ---- */

typedef struct {
  EkPool       *pool;
  LdapTemplate *t;
  EkBuf         text;                /* of the piece under way */
  guint         depth, not_above;    /* parentheses; those of the outermost (!...), 0: in none */
  guint         or_above, group;     /* those of the outermost (|...); of equalities */
} Parser;

static bool
is_word (char c)
{
  return g_ascii_isalnum (c) || c == '_';
}

/* Characters of the parameter's name behind the ':' at p; 0: there is none. */
static gsize
name_length (const char *p)
{
  gsize n = 0;

  if (*p != ':' || !(g_ascii_isalpha (p[1]) || p[1] == '_'))
    return 0;
  while (is_word (p[n + 1]))
    n++;
  return n;
}

static void
end_piece (Parser *s, const char *param)
{
  s->t->pieces[s->t->n_pieces++] = (LdapPiece) { ek_pool_strndup (s->pool, ek_buf_at (&s->text), ek_buf_len (&s->text)), param };
  ek_buf_clear (&s->text);
}

/* Takes the parameter at *p, if one is there.  False: it is one too many. */
static bool
take_param (Parser *s, const char **p)
{
  gsize n = name_length (*p);

  if (n == 0)
    return true;
  if (s->t->n_params == LDAPC_PARAMS_MAX)
    return false;
  s->t->n_params++;
  end_piece (s, ek_pool_strndup (s->pool, *p + 1, n));
  *p += n + 1;
  return true;
}

static const char too_many[] = "it has too many parameters";
static const char not_closed[] = "a ( is not closed";

/* What stands behind the = of a condition.  Gives its ')', or NULL and *wrong. */
static const char *
scan_value (Parser *s, const char *p, const char **wrong)
{
  while (*p && *p != ')') {
    const char *before = p;
    if (!take_param (s, &p)) {
      *wrong = too_many;
      return NULL;
    }
    if (p > before)
      continue;
    if (*p == '(')
      *wrong = "a ( in a value is written \\28";
    else if (*p == '\\' && !(g_ascii_isxdigit (p[1]) && g_ascii_isxdigit (p[2])))
      *wrong = "a \\ in a value is written \\5c";
    if (*wrong)
      return NULL;
    ek_buf_appendc (&s->text, *p++);
  }
  *wrong = *p ? NULL : not_closed;
  return *p ? p : NULL;
}

/* attribute=value, and also >= <= ~= and RFC 4515's matching rules, in which a colon begins no parameter. */
static const char *
scan_condition (Parser *s, const char *p, const char **wrong)
{
  gsize name = strspn (p, ATTRIBUTE), n = strspn (p, ATTRIBUTE ":<>~");

  bool simple = n == name || (n == name + 1 && p[name] != ':'), rule = n > name && p[name] == ':' && p[n - 1] == ':';
  if (n == 0 || p[n] != '=' || !(rule || (simple && name > 0))) {
    *wrong = "a condition is (attribute=value), and a parameter stands only in its value";
    return NULL;
  }
  const char *value = p + n + 1;
  gsize param = name_length (value);
  if (name == n && param > 0 && value[param + 1] == ')' && s->not_above == 0 && s->t->n_equalities < LDAPC_PARAMS_MAX) {
    s->group += s->or_above == 0;
    s->t->equalities[s->t->n_equalities++] = (LdapEquality) { ek_pool_strndup (s->pool, p, n), ek_pool_strndup (s->pool, value + 1, param),
                                                             s->group };
  }
  ek_buf_append (&s->text, p, n + 1);
  return scan_value (s, value, wrong);
}

/* The '(' at p and what it opens: & | ! or a condition. */
static const char *
scan_open (Parser *s, const char *p, const char **wrong)
{
  s->depth++;
  ek_buf_appendc (&s->text, *p++);
  p += strspn (p, " \t\r\n");
  if (*p != '&' && *p != '|' && *p != '!')
    return scan_condition (s, p, wrong);
  if (*p == '!' && s->not_above == 0)
    s->not_above = s->depth;
  if (*p == '|' && s->or_above == 0) {
    s->or_above = s->depth;
    s->group++;
  }
  ek_buf_appendc (&s->text, *p++);
  return p;
}

/* NULL, or what is wrong. */
static const char *
scan_filter (Parser *s, const char *p)
{
  const char *wrong = NULL;

  if (*p != '(')
    return "it begins with no (: write (mail=:user)";
  do {
    if (*p == '(') {
      if ((p = scan_open (s, p, &wrong)) == NULL)
        return wrong;
    }
    else if (*p == ')') {
      if (s->depth == s->not_above)
        s->not_above = 0;
      if (s->depth-- == s->or_above)
        s->or_above = 0;
      ek_buf_appendc (&s->text, *p++);
    }
    else if (g_ascii_isspace (*p))
      p++;
    else
      return *p ? "something stands between two conditions" : not_closed;
  } while (s->depth > 0);
  p += strspn (p, " \t\r\n");
  return *p ? "something stands behind the last )" : NULL;
}

static const char *
scan_dn (Parser *s, const char *p)
{
  while (*p) {
    const char *before = p;
    if (!take_param (s, &p))
      return too_many;
    if (p == before)
      ek_buf_appendc (&s->text, *p++);
  }
  return NULL;
}

LdapTemplate *
ldapc_template_parse (EkPool *pool, const char *option, LdapPlace place, const char *text, GError **error)
{
  Parser s = { .pool = pool, .t = ek_pool_new0 (pool, LdapTemplate) };

  s.t->option = option;
  s.t->place = place;
  s.t->pieces = ek_pool_newv (pool, LdapPiece, LDAPC_PARAMS_MAX + 1);
  s.t->equalities = ek_pool_newv (pool, LdapEquality, LDAPC_PARAMS_MAX);
  const char *wrong = place == LDAPC_FILTER ? scan_filter (&s, text) : scan_dn (&s, text);
  end_piece (&s, NULL);
  ek_buf_release (&s.text);
  if (wrong == NULL)
    return s.t;
  ek_fail (error, EK_FAIL, EINVAL, "%s: \"%.200s\": %s", option, text, wrong);
  return NULL;
}

/* ---- values ---- */

/* Servers compare names of entries loosely (RFC 4518): widths and blanks fold, what has no width vanishes.  Such a name is nobody's, as with
 * LdapEquality in a filter. */
static bool
is_vague (EkStr value)
{
  g_autofree char *nfkc = g_utf8_normalize (value.p, (gssize) value.n, G_NORMALIZE_NFKC);
  g_autofree char *nfc = g_utf8_normalize (value.p, (gssize) value.n, G_NORMALIZE_NFC);
  bool vague = strcmp (nfkc, nfc) != 0 || value.p[0] == ' ' || value.p[value.n - 1] == ' ' || memmem (value.p, value.n, "  ", 2);

  for (const char *p = value.p; p < value.p + value.n && !vague; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    GUnicodeType type = g_unichar_type (c);
    vague = type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_UNASSIGNED || c == 0x34f || c == 0xfffc
            || (c >= 0x180b && c <= 0x180d) || (c >= 0xfe00 && c <= 0xfe0f);
  }
  return vague;
}

static EkStatus
put_value (const LdapTemplate *t, EkBuf *out, const EkQuery *query, const char *param, GError **error)
{
  EkStr value = ek_query_value (query, param);

  if (ek_query_needs (query, t->option, param, error) != EK_OK)
    return EK_DEFER;
  if (value.n == 0 || !g_utf8_validate (value.p, (gssize) value.n, NULL))          /* nor with a NUL in it */
    return EK_NOTFOUND;
  if (t->place == LDAPC_FILTER)
    ldapc_escape_filter (out, value);
  else if (is_vague (value))
    return EK_NOTFOUND;
  else
    ldapc_escape_dn (out, value);
  return EK_OK;
}

EkStatus
ldapc_template_expand (const LdapTemplate *t, EkPool *pool, const EkQuery *query, char **text, GError **error)
{
  EkBuf out = { 0 };
  EkStatus status = EK_OK;

  for (guint i = 0; i < t->n_pieces && status == EK_OK; i++) {
    ek_buf_appends (&out, t->pieces[i].text);
    if (t->pieces[i].param)
      status = put_value (t, &out, query, t->pieces[i].param, error);
  }
  *text = status == EK_OK ? ek_pool_strndup (pool, ek_buf_at (&out), ek_buf_len (&out)) : NULL;
  ek_buf_release (&out);
  return status;
}

/* ---- columns ---- */

static guint
column_of (LdapColumns *columns, EkPool *pool, const char *name)
{
  char *low = ek_pool_strdup (pool, name);

  for (char *p = low; *p; p++)
    *p = g_ascii_tolower (*p);
  for (guint i = 0; i < columns->n_columns; i++)
    if (strcmp (columns->names[i], low) == 0)
      return i;
  columns->names[columns->n_columns] = low;
  return columns->n_columns++;
}

/* NULL, or what is wrong. */
static const char *
parse_item (LdapColumns *columns, EkPool *pool, const char *item)
{
  bool literal = item[0] == '=';
  const char *first = item + literal, *sign = strchr (first, '=');
  LdapSource *source = &columns->sources[columns->n_sources];

  if (columns->n_sources == LDAPC_COLUMNS_MAX)
    return "there are too many";
  if (literal && (sign == NULL || sign == first))
    return "a fixed value is written =column=text";
  const char *name = sign ? ek_pool_strndup (pool, first, (gsize) (sign - first)) : first;
  if (literal)
    *source = (LdapSource) { column_of (columns, pool, name), NULL, ek_pool_strdup (pool, sign + 1) };
  else if (*name == '\0' || strspn (name, ATTRIBUTE) != strlen (name))
    return "expected attribute, attribute=column or =column=text";
  else if (sign && sign[1] == '\0')
    return "no column is named behind the =";
  else
    *source = (LdapSource) { column_of (columns, pool, sign ? sign + 1 : name), ek_pool_strdup (pool, name), NULL };
  columns->n_sources++;
  return NULL;
}

LdapColumns *
ldapc_columns_parse (EkPool *pool, const char *option, char *const *items, GError **error)
{
  LdapColumns *columns = ek_pool_new0 (pool, LdapColumns);

  columns->names = ek_pool_newv (pool, const char *, LDAPC_COLUMNS_MAX + 1);
  columns->sources = ek_pool_newv (pool, LdapSource, LDAPC_COLUMNS_MAX + 1);
  for (guint i = 0; items[i]; i++) {
    const char *wrong = parse_item (columns, pool, items[i]);
    if (wrong) {
      ek_fail (error, EK_FAIL, EINVAL, "%s: \"%s\": %s", option, items[i], wrong);
      return NULL;
    }
    const LdapSource *source = &columns->sources[columns->n_sources - 1];
    if (source->literal && !ek_template_check (option, source->literal, error))
      return NULL;
  }
  return columns;
}

static void
add_attribute (char **list, guint *n, const char *attribute)
{
  for (guint i = 0; i < *n; i++)
    if (g_ascii_strcasecmp (list[i], attribute) == 0)
      return;
  list[(*n)++] = (char *) attribute;
}

char **
ldapc_attributes (EkPool *pool, const LdapColumns *columns, const LdapTemplate *filter)
{
  char **list = ek_pool_newv (pool, char *, columns->n_sources + filter->n_equalities + 2);
  guint n = 0;

  for (guint i = 0; i < columns->n_sources; i++)
    if (columns->sources[i].attribute)
      add_attribute (list, &n, columns->sources[i].attribute);
  for (guint i = 0; i < filter->n_equalities; i++)
    add_attribute (list, &n, filter->equalities[i].attribute);
  if (n == 0)
    list[n++] = (char *) "1.1";        /* none: RFC 4511 section 4.5.1.8 */
  return list;
}

/* ---- attributes that come in parts ---- */

/* FIRST-LAST or FIRST-*. */
static bool
parse_range (EkStr text, LdapRange *range)
{
  const char *sign = text.n ? memchr (text.p, '-', text.n) : NULL;
  gsize n = sign ? (gsize) (sign - text.p) : 0;
  guint64 first, last = LDAPC_LAST;

  if (sign == NULL || !ek_str_u64 ((EkStr) { text.p, n }, LDAPC_LAST - 1, &first))
    return false;
  EkStr rest = { sign + 1, text.n - n - 1 };
  if (!ek_str_eq (rest, EK_STR ("*")) && !ek_str_u64 (rest, LDAPC_LAST - 1, &last))
    return false;
  *range = (LdapRange) { (guint) first, (guint) last };
  return first <= last;
}

LdapShown
ldapc_attribute_shown (EkStr name, EkStr attribute, LdapRange *range)
{
  const EkStr mark = EK_STR (";range=");
  LdapShown shown = LDAPC_WHOLE;

  *range = (LdapRange) { 0, LDAPC_LAST };
  while (name.n > 0) {               /* piece by piece: the type, and each option with its semicolon */
    const char *next = memchr (name.p + 1, ';', name.n - 1);
    EkStr piece = { name.p, next ? (gsize) (next - name.p) : name.n };
    name = (EkStr) { name.p + piece.n, name.n - piece.n };
    if (piece.n >= mark.n && ek_str_ieq ((EkStr) { piece.p, mark.n }, mark))
      shown = shown == LDAPC_WHOLE && parse_range ((EkStr) { piece.p + mark.n, piece.n - mark.n }, range) ? LDAPC_PART : LDAPC_NONSENSE;
    else if (attribute.n >= piece.n && ek_str_ieq (piece, (EkStr) { attribute.p, piece.n }))
      attribute = (EkStr) { attribute.p + piece.n, attribute.n - piece.n };
    else
      return LDAPC_OTHER;
  }
  return attribute.n == 0 ? shown : LDAPC_OTHER;
}
