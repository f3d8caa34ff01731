/* value.c - the values of ekiden.conf: words, strings, lists, variables, secrets
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/parser.h"
#include <string.h>

/* Items while their number is not known. */
typedef struct {
  EkConfItem *items;
  guint       n, room;
  bool        broken;                /* one is missing, told */
} Items;

static void
problem (EkSource *source, const EkConfPos *at, const char *text)
{
  ek_problems_add (source->parser->problems, at, "%s", text);
}

/* Variables in variables grow without end unless somebody counts. */
static bool
spend (EkSource *source, gsize n, const EkConfPos *at)
{
  EkParser *parser = source->parser;

  parser->expanded += n;
  if (parser->expanded <= EK_CONF_TOTAL_MAX)
    return true;
  if (!parser->too_big)
    ek_problems_add (parser->problems, at, "the values become larger than %u MB: a variable holds itself many times",
                     EK_CONF_TOTAL_MAX >> 20);
  parser->too_big = true;
  return false;
}

static bool
add_item (EkSource *source, Items *items, const EkConfItem *item)
{
  if (!spend (source, sizeof *item, &item->at))
    return false;
  if (items->n == items->room) {
    items->room = MAX (4, items->room * 2);
    items->items = g_renew (EkConfItem, items->items, items->room);
  }
  items->items[items->n++] = *item;
  return true;
}

static EkConfSetting *
find_variable (EkSource *source, EkStr name, const EkConfPos *at)
{
  g_autofree char *key = g_strndup (name.p, name.n);
  EkConfSetting *found = g_hash_table_lookup (source->parser->variables, key);

  if (found)
    return found;
  guint n;
  g_autofree gpointer *keys = g_hash_table_get_keys_as_array (source->parser->variables, &n);
  const char *near = ek_nearest (key, (const char *const *) keys, n);
  if (near)
    ek_problems_add (source->parser->problems, at, "the variable $%s is not set above; did you mean $%s?", key, near);
  else
    ek_problems_add (source->parser->problems, at,
                     "the variable $%s is not set: expected `$%s = ...` at the top level, above this line "
                     "(`\\$` in a string is a plain dollar sign)", key, key);
  return NULL;
}

/* A variable's name at p: `$name` or `${name}`.  Gives the bytes it takes, 0: a plain `$`. */
static gsize
variable_at (EkStr text, gsize at, EkStr *name)
{
  bool braced = at + 1 < text.n && text.p[at + 1] == '{';
  gsize start = at + 1 + braced, i = start;

  while (i < text.n && (g_ascii_isalnum (text.p[i]) || text.p[i] == '_'))
    i++;
  *name = (EkStr) { text.p + start, i - start };
  if (i == start || g_ascii_isdigit (text.p[start]) || (braced && (i >= text.n || text.p[i] != '}')))
    return 0;
  return i + braced - at;
}

/* Puts in the one value of a variable. */
static bool
put_variable (EkSource *source, EkStr name, EkBuf *out, EkConfItem *item)
{
  EkConfSetting *variable = find_variable (source, name, &item->at);

  if (variable == NULL || variable->broken)
    return false;
  if (variable->n_items != 1) {
    ek_problems_add (source->parser->problems, &item->at,
                     "$%s has %u values, and only one can be put into a text: use it alone, as an item of a list",
                     variable->key, variable->n_items);
    return false;
  }
  if (variable->items[0].unread)
    item->unread = true;
  item->secret |= variable->items[0].secret;
  ek_buf_append (out, variable->items[0].text.p, variable->items[0].text.n);
  return spend (source, variable->items[0].text.n, &item->at);
}

/* The escape behind a `\` at text.p[at]; gives the bytes it takes, 0: unknown. */
static gsize
put_escape (EkStr text, gsize at, EkBuf *out)
{
  char c = at + 1 < text.n ? text.p[at + 1] : 0;
  gsize skip = c == '\r' ? 3 : 2;                  /* `\`, CR, LF */

  switch (c) {
  case 'n': ek_buf_appendc (out, '\n'); return 2;
  case 't': ek_buf_appendc (out, '\t'); return 2;
  case 'r': ek_buf_appendc (out, '\r'); return 2;
  case '"': case '\\': case '$': ek_buf_appendc (out, c); return 2;
  case 'x': {
    int hi = at + 2 < text.n ? g_ascii_xdigit_value (text.p[at + 2]) : -1;
    int lo = at + 3 < text.n ? g_ascii_xdigit_value (text.p[at + 3]) : -1;
    if (hi < 0 || lo < 0 || hi + lo == 0)
      return 0;
    ek_buf_appendc (out, (char) (hi * 16 + lo));
    return 4;
  }
  case '\n': case '\r':
    while (at + skip < text.n && (text.p[at + skip] == ' ' || text.p[at + skip] == '\t'))
      skip++;
    return skip;
  default: return 0;
  }
}

/* Resolves escapes (in strings) and variables. */
static bool
expand (EkSource *source, EkStr raw, bool string, EkConfItem *item, EkBuf *out)
{
  for (gsize i = 0; i < raw.n;) {
    EkStr name;
    gsize used;
    if (string && raw.p[i] == '\\') {
      if ((used = put_escape (raw, i, out)) == 0) {
        problem (source, &item->at, "a string holds a `\\` that begins no escape: expected \\n \\t \\r \\\" \\\\ \\$ "
                 "or \\xHH (not \\x00); a plain backslash is \\\\");
        return false;
      }
      i += used;
    } else if (raw.p[i] == '$' && (used = variable_at (raw, i, &name)) > 0) {
      if (!put_variable (source, name, out, item))
        return false;
      i += used;
    } else
      ek_buf_appendc (out, raw.p[i++]);
  }
  return true;
}

bool
ek_parser_text (EkSource *source, EkConfItem *item)
{
  EkStr raw = ek_token_text (&source->lexer, &source->token);
  bool string = source->token.type == EK_TOKEN_STRING;
  EkBuf out = { 0 };

  *item = (EkConfItem) { .at = ek_parser_pos (source), .quoted = string };
  if (!string && source->token.type != EK_TOKEN_WORD) {
    ek_problems_add (source->parser->problems, &item->at, "expected a word or a \"string\", found %s",
                     ek_token_show (&source->lexer, &source->token));
    return false;
  }
  if (string)
    raw = (EkStr) { raw.p + 1, raw.n - 2 };
  bool ok = expand (source, raw, string, item, &out);
  if (ok)
    item->text = ek_conf_text (source->parser->conf, ek_buf_str (&out));
  ek_wipe (out.data, out.cap);
  ek_buf_release (&out);
  return ok;
}

/* file("path"), and read("path") for what is no secret: the token is the `(`. */
static bool
parse_file (EkSource *source, bool secret, const EkConfPos *at, Items *items)
{
  EkConfItem item;

  ek_parser_next (source);
  if (!ek_parser_text (source, &item))
    return false;
  ek_parser_next (source);
  if (source->token.type != EK_TOKEN_RPAREN) {
    EkConfPos here = ek_parser_pos (source);
    ek_problems_add (source->parser->problems, &here, "expected `)` behind the file's name, as in %s; found %s",
                     secret ? "file(\"secret\")" : "read(\"script\")", ek_token_show (&source->lexer, &source->token));
    return false;
  }
  ek_parser_next (source);
  item.at = *at;
  item.secret |= secret;
  if (!secret)
    items->broken |= !ek_source_text (source, item.text.p, &item);
  else if (source->parser->flags & EK_CONF_NO_FILES)
    item.unread = true;
  else if (!ek_source_secret (source, item.text.p, at, &item.text))
    items->broken = true;                          /* told; the line itself is in order */
  return add_item (source, items, &item);
}

static bool
splice_variable (EkSource *source, EkStr name, const EkConfPos *at, Items *items)
{
  EkConfSetting *variable = find_variable (source, name, at);

  items->broken |= variable == NULL || variable->broken;
  for (guint i = 0; variable && i < variable->n_items; i++) {
    EkConfItem item = variable->items[i];
    item.at = *at;
    if (!add_item (source, items, &item))
      return false;
  }
  return true;                                     /* an unknown one is told; go on */
}

/* One item; the token behind it is next. */
static bool
parse_item (EkSource *source, Items *items)
{
  EkConfPos at = ek_parser_pos (source);
  EkStr name, word = ek_token_text (&source->lexer, &source->token);
  EkConfItem item;

  if (source->token.type == EK_TOKEN_LBRACKET) {
    problem (source, &at, "a `[` stands inside a value: lists hold no lists, and a text with brackets "
             "(an IPv6 address with a port) needs \"quotes\"");
    return false;
  }
  bool secret = ek_str_eq (word, EK_STR ("file"));
  if (source->token.type == EK_TOKEN_WORD && (secret || ek_str_eq (word, EK_STR ("read")))) {
    ek_parser_next (source);
    if (source->token.type == EK_TOKEN_LPAREN)
      return parse_file (source, secret, &at, items);
    item = (EkConfItem) { .text = secret ? EK_STR ("file") : EK_STR ("read"), .at = at };
    return add_item (source, items, &item);
  }
  if (source->token.type == EK_TOKEN_WORD && word.p[0] == '$' && variable_at (word, 0, &name) == word.n) {
    ek_parser_next (source);
    return splice_variable (source, name, &at, items);
  }
  if (!ek_parser_text (source, &item)) {
    if (source->token.type != EK_TOKEN_WORD && source->token.type != EK_TOKEN_STRING)
      return false;
    items->broken = true;
    ek_parser_next (source);                       /* a wrong escape or variable: the line goes on */
    return true;
  }
  ek_parser_next (source);
  return add_item (source, items, &item);
}

static void
skip_newlines (EkSource *source)
{
  while (source->token.type == EK_TOKEN_NEWLINE)
    ek_parser_next (source);
}

static bool
parse_brackets (EkSource *source, Items *items, gsize *end)
{
  EkConfPos open = ek_parser_pos (source);

  ek_parser_next (source);
  for (skip_newlines (source); source->token.type != EK_TOKEN_RBRACKET; skip_newlines (source)) {
    if (source->token.type == EK_TOKEN_END || source->token.type == EK_TOKEN_RBRACE
        || source->token.type == EK_TOKEN_EQUALS) {
      problem (source, &open, "the list that begins here is never closed: expected `]`");
      return false;
    }
    if (!parse_item (source, items))
      return false;
    skip_newlines (source);
    if (source->token.type == EK_TOKEN_COMMA)
      ek_parser_next (source);
    else if (source->token.type != EK_TOKEN_RBRACKET) {
      EkConfPos at = ek_parser_pos (source);
      ek_problems_add (source->parser->problems, &at, "expected `,` or `]` in the list of line %u, found %s", open.line,
                       ek_token_show (&source->lexer, &source->token));
      return false;
    }
  }
  *end = source->token.end;
  ek_parser_next (source);
  return true;
}

static bool
ends_value (EkTokenType type)
{
  return type == EK_TOKEN_NEWLINE || type == EK_TOKEN_END || type == EK_TOKEN_RBRACE;
}

/* Items with commas; *end is behind the last token. */
static bool
parse_commas (EkSource *source, Items *items, EkConfSetting *setting)
{
  while (!ends_value (source->token.type)) {
    if (!parse_item (source, items))
      return false;
    setting->end = source->last_end;
    if (source->token.type != EK_TOKEN_COMMA)
      break;
    EkConfPos comma = ek_parser_pos (source);
    setting->list = true;
    ek_parser_next (source);
    if (ends_value (source->token.type)) {
      problem (source, &comma, "the value ends with a comma: remove it, or put the list in [ ] to go on in the next line");
      return true;
    }
  }
  return true;
}

bool
ek_parser_value (EkSource *source, EkConfSetting *setting)
{
  Items items = { 0 };
  bool ok;

  setting->start = setting->end = source->token.end;       /* behind the `=` */
  ek_parser_next (source);
  if (!ends_value (source->token.type))
    setting->start = source->token.start;
  if (source->token.type == EK_TOKEN_LBRACKET) {
    setting->list = true;
    ok = parse_brackets (source, &items, &setting->end);
  } else
    ok = parse_commas (source, &items, setting);
  setting->items = ek_pool_newv (source->parser->conf->pool, EkConfItem, items.n);
  if (items.n > 0)
    memcpy (setting->items, items.items, items.n * sizeof *items.items);
  setting->n_items = items.n;
  setting->broken = items.broken;
  g_free (items.items);
  return ok;
}
