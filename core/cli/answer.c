/* answer.c - reads the JSON that the server's own answers are
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer.h"
#include <string.h>

#define LEVELS 32

typedef struct {
  EkPool     *pool;
  const char *at, *end;
  guint       depth;
} Reader;

static EkAnswerValue *value (Reader *r);

static void
blanks (Reader *r)
{
  while (r->at < r->end && strchr (" \t\r\n", *r->at) && *r->at)
    r->at++;
}

static bool
take (Reader *r, char c)
{
  blanks (r);
  if (r->at == r->end || *r->at != c)
    return false;
  r->at++;
  return true;
}

static bool
hex4 (Reader *r, gunichar *code)
{
  if (r->end - r->at < 4)
    return false;
  *code = 0;
  for (guint i = 0; i < 4; i++) {
    int digit = g_ascii_xdigit_value (*r->at++);
    if (digit < 0)
      return false;
    *code = *code << 4 | (gunichar) digit;
  }
  return true;
}

/* Behind "\u"; a pair of surrogates is one character.  Writes at most 6 bytes. */
static bool
unicode (Reader *r, char *out, gsize *n)
{
  gunichar code, low;

  if (!hex4 (r, &code))
    return false;
  if (code >= 0xd800 && code < 0xdc00) {
    if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
      return false;
    r->at += 2;
    if (!hex4 (r, &low) || low < 0xdc00 || low > 0xdfff)
      return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  *n += (gsize) g_unichar_to_utf8 (code, out + *n);
  return true;
}

static bool
string (Reader *r, EkStr *text)
{
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  gsize n = 0;

  if (!take (r, '"'))
    return false;
  const char *close = r->at;
  while (close < r->end && *close != '"')
    close += *close == '\\' && close + 1 < r->end ? 2 : 1;
  if (close >= r->end)
    return false;
  char *out = ek_pool_alloc (r->pool, (gsize) (close - r->at) + 8);   /* an escape is longer than what it stands for */
  while (*r->at != '"') {
    char c = *r->at++;
    if (c != '\\') {
      out[n++] = c;
      continue;
    }
    c = *r->at++;
    const char *known = memchr (from, c, sizeof from - 1);
    if (known)
      out[n++] = to[known - from];
    else if (c != 'u' || !unicode (r, out, &n))
      return false;
  }
  r->at++;
  *text = (EkStr) { out, n };
  return true;
}

static bool
items (Reader *r, EkAnswerValue *v, char close)
{
  EkAnswerValue **last = &v->items;

  if (take (r, close))
    return true;
  do {
    EkStr key = { 0 };
    if (close == '}' && (!string (r, &key) || !take (r, ':')))
      return false;
    EkAnswerValue *item = value (r);
    if (item == NULL)
      return false;
    item->key = key.p;
    *last = item;
    last = &item->next;
  } while (take (r, ','));
  return take (r, close);
}

static bool
word (Reader *r, const char *text)
{
  gsize n = strlen (text);

  if ((gsize) (r->end - r->at) < n || memcmp (r->at, text, n) != 0)
    return false;
  r->at += n;
  return true;
}

static bool
number (Reader *r, EkAnswerValue *v)
{
  bool minus = take (r, '-');
  const char *from = r->at;
  guint64 n;

  while (r->at < r->end && g_ascii_isdigit (*r->at))
    r->at++;
  if (!ek_str_u64 ((EkStr) { from, (gsize) (r->at - from) }, G_MAXINT64, &n))
    return false;
  v->kind = '0';
  v->number = minus ? -(gint64) n : (gint64) n;
  return true;
}

static EkAnswerValue *
value (Reader *r)
{
  EkAnswerValue *v = ek_pool_new0 (r->pool, EkAnswerValue);
  bool good;

  blanks (r);
  if (r->at == r->end || r->depth == LEVELS)
    return NULL;
  r->depth++;
  v->kind = *r->at;
  switch (v->kind) {
  case '{': r->at++; good = items (r, v, '}'); break;
  case '[': r->at++; good = items (r, v, ']'); break;
  case '"': good = string (r, &v->text); break;
  case 't': good = word (r, "true"); break;
  case 'f': good = word (r, "false"); break;
  case 'n': good = word (r, "null"); break;
  default: good = number (r, v);
  }
  r->depth--;
  return good ? v : NULL;
}

EkAnswerValue *
ek_answer_parse (EkPool *pool, EkStr text)
{
  Reader r = { .pool = pool, .at = text.p, .end = text.p + text.n };

  if (text.n == 0)
    return NULL;
  EkAnswerValue *v = value (&r);
  blanks (&r);
  return r.at == r.end ? v : NULL;
}

const EkAnswerValue *
ek_answer_get (const EkAnswerValue *of, const char *key)
{
  if (of == NULL || of->kind != '{')
    return NULL;
  for (const EkAnswerValue *v = of->items; v; v = v->next)
    if (v->key && strcmp (v->key, key) == 0)
      return v;
  return NULL;
}

const char *
ek_answer_text (const EkAnswerValue *of, const char *key)
{
  const EkAnswerValue *v = ek_answer_get (of, key);

  return v && v->kind == '"' ? v->text.p : "";
}

gint64
ek_answer_int (const EkAnswerValue *of, const char *key)
{
  const EkAnswerValue *v = ek_answer_get (of, key);

  return v ? v->number : 0;
}
