/* parser.c - reads the statements of ekiden.conf into a tree, and goes on behind every error
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/parser.h"
#include <string.h>

EkConfPos
ek_parser_pos (const EkSource *source)
{
  return (EkConfPos) { source->file, source->token.line, source->token.column };
}

void
ek_parser_next (EkSource *source)
{
  source->last_end = source->token.end;
  for (;;) {
    ek_lexer_next (&source->lexer, &source->token);
    if (source->token.type == EK_TOKEN_BAD) {
      EkConfPos at = ek_parser_pos (source);
      ek_problems_add (source->parser->problems, &at, "%s", source->token.why);
    } else if (source->token.type != EK_TOKEN_COMMENT)
      return;
  }
}

static const char *
shown (const EkSource *source)
{
  return ek_token_show (&source->lexer, &source->token);
}

/* Leaves the line; a block that is opened on it is left too. */
static void
skip_statement (EkSource *source)
{
  guint open = 0;

  for (;;) {
    switch (source->token.type) {
    case EK_TOKEN_END:
      return;
    case EK_TOKEN_NEWLINE:
      if (open == 0)
        return;
      break;
    case EK_TOKEN_LBRACE:
      open++;
      break;
    case EK_TOKEN_RBRACE:
      if (open == 0)
        return;
      open--;
      break;
    default:
      break;
    }
    ek_parser_next (source);
  }
}

/* Behind a statement: the end of its line, or of its block. */
static void
end_statement (EkSource *source, const char *after)
{
  EkTokenType type = source->token.type;

  if (type == EK_TOKEN_NEWLINE || type == EK_TOKEN_END || type == EK_TOKEN_RBRACE)
    return;
  EkConfPos at = ek_parser_pos (source);
  ek_problems_add (source->parser->problems, &at, "expected the end of the line behind %s, found %s%s", after,
                   shown (source),
                   type == EK_TOKEN_WORD || type == EK_TOKEN_STRING
                     ? ": a value of several words needs \"quotes\", a list needs commas"
                   : type == EK_TOKEN_EQUALS ? ": a value with `=` in it needs \"quotes\""
                                             : "");
  skip_statement (source);
}

static bool
is_name (EkStr word)
{
  if (word.n == 0 || word.n > 64 || !(g_ascii_isalpha (word.p[0]) || word.p[0] == '_'))
    return false;
  for (gsize i = 0; i < word.n; i++)
    if (!g_ascii_isalnum (word.p[i]) && word.p[i] != '_')
      return false;
  return true;
}

/* True when `what` is new in the block; else tells where it stands already. */
static bool
is_new (EkSource *source, const EkConfBlock *block, const char *what, const EkConfPos *at)
{
  EkParser *parser = source->parser;
  char *key = g_strdup_printf ("%p %s", (const void *) block, what);
  const EkConfPos *first = g_hash_table_lookup (parser->seen, key);

  if (first == NULL) {
    g_hash_table_insert (parser->seen, key, g_memdup2 (at, sizeof *at));
    return true;
  }
  g_free (key);
  ek_problems_add (parser->problems, at, "%s is given twice: it stands in %s:%u already; remove one", what,
                   first->file, first->line);
  return false;
}

static void
parse_setting (EkSource *source, EkConfBlock *block, EkStr key, const EkConfPos *at)
{
  EkPool *pool = source->parser->conf->pool;
  EkConfSetting *setting = ek_pool_new0 (pool, EkConfSetting);

  setting->key = ek_pool_strndup (pool, key.p, key.n);
  setting->at = *at;
  if (!ek_parser_value (source, setting)) {
    setting->broken = true;                        /* it is set all the same: nobody shall miss it */
    skip_statement (source);
  } else
    end_statement (source, "the value");
  if (!is_name (key)) {
    ek_problems_add (source->parser->problems, at,
                     "`%s` cannot be the name of a setting: expected letters, digits and `_`", setting->key);
    return;
  }
  g_autofree char *what = g_strdup_printf ("the setting \"%s\"", setting->key);
  if (!is_new (source, block, what, at))
    return;
  EkConfSetting **link = block->settings ? &block->last_setting->next : &block->settings;
  *link = block->last_setting = setting;
}

static void
parse_variable (EkSource *source, EkConfBlock *block, EkStr word, const EkConfPos *at)
{
  EkParser *parser = source->parser;
  EkConfSetting *setting = ek_pool_new0 (parser->conf->pool, EkConfSetting);
  EkStr name = { word.p + 1, word.n - 1 };

  setting->key = ek_pool_strndup (parser->conf->pool, name.p, name.n);
  setting->at = *at;
  if (!ek_parser_value (source, setting)) {
    setting->broken = true;
    skip_statement (source);
  } else
    end_statement (source, "the value");
  if (!is_name (name))
    ek_problems_add (parser->problems, at,
                     "`$%s` cannot be a variable: expected letters, digits and `_` behind the `$`", setting->key);
  else if (block->parent)
    ek_problems_add (parser->problems, at, "`$%s` is set inside a block: variables are set at the top level",
                     setting->key);
  else {
    EkConfSetting *first = g_hash_table_lookup (parser->variables, setting->key);
    if (first)
      ek_problems_add (parser->problems, at, "the variable $%s is set twice: it stands in %s:%u already",
                       setting->key, first->at.file, first->at.line);
    else
      g_hash_table_insert (parser->variables, (gpointer) setting->key, setting);
  }
}

static EkConfBlock *
new_block (EkSource *source, EkConfBlock *parent, EkStr kind, const char *name, const EkConfPos *at)
{
  EkConf *conf = source->parser->conf;
  EkConfBlock *block = ek_pool_new0 (conf->pool, EkConfBlock);

  block->kind = ek_pool_strndup (conf->pool, kind.p, kind.n);
  block->name = name;
  block->parent = parent;
  block->at = *at;
  g_autofree char *what = name ? g_strdup_printf ("%s \"%s\"", block->kind, name)
                               : g_strdup_printf ("the block %s", block->kind);
  if (!is_name (kind))
    ek_problems_add (source->parser->problems, at,
                     "`%s` cannot be the kind of a block: expected letters, digits and `_`", block->kind);
  else if (is_new (source, parent, what, at)) {
    EkConfBlock **link = parent->blocks ? &parent->last_block->next : &parent->blocks;
    *link = parent->last_block = block;
    if (parent->parent == NULL)
      block->index = conf->n_blocks++;
  }
  return block;                                    /* a second one is read for its errors, and dropped */
}

static void
parse_block (EkSource *source, EkConfBlock *parent, EkStr kind, const char *name, const EkConfPos *at)
{
  EkProblems *problems = source->parser->problems;

  if (source->nesting + source->nesting_above >= EK_CONF_NESTING_MAX) {
    ek_problems_add (problems, at, "blocks stand in blocks more than %u deep", EK_CONF_NESTING_MAX);
    skip_statement (source);
    return;
  }
  EkConfBlock *block = new_block (source, parent, kind, name, at);
  block->body = source->token.end;
  source->nesting++;
  ek_parser_next (source);
  ek_parser_statements (source, block);
  source->nesting--;
  block->close = source->token.start;
  if (source->token.type != EK_TOKEN_RBRACE) {
    ek_problems_add (problems, at, "the block that begins here is never closed: expected `}` before the end of %s",
                     source->file);
    return;
  }
  ek_parser_next (source);
  end_statement (source, "`}`");
}

static void
parse_include (EkSource *source, EkConfBlock *block)
{
  EkConfItem item;
  EkConfPos at = ek_parser_pos (source);

  if (!ek_parser_text (source, &item)) {
    skip_statement (source);
    return;
  }
  ek_parser_next (source);
  end_statement (source, "the file's name");
  ek_source_include (source, item.text.p, &at, block);
}

/* `kind name {`: the token is the name. */
static void
parse_named (EkSource *source, EkConfBlock *block, EkStr kind, const EkConfPos *at)
{
  EkProblems *problems = source->parser->problems;
  EkConfItem item;

  if (!ek_parser_text (source, &item)) {
    skip_statement (source);
    return;
  }
  ek_parser_next (source);
  EkConfPos here = ek_parser_pos (source);
  if (source->token.type == EK_TOKEN_LBRACE) {
    if (item.text.n == 0)
      ek_problems_add (problems, &item.at, "a name is empty: write `%.*s {` for a block without one",
                       EK_STR_ARG (kind));
    parse_block (source, block, kind, item.text.n ? item.text.p : NULL, at);
    return;
  }
  if (source->token.type == EK_TOKEN_NEWLINE || source->token.type == EK_TOKEN_END)
    ek_problems_add (problems, &item.at, "expected `=` behind \"%.*s\" for a setting, or `{` on this line for a block",
                     EK_STR_ARG (kind));
  else
    ek_problems_add (problems, &here, "expected `{` to open %.*s \"%.100s\", or `=` behind \"%.*s\"; found %s",
                     EK_STR_ARG (kind), item.secret ? "" : item.text.p, EK_STR_ARG (kind), shown (source));
  skip_statement (source);
}

/* A statement that begins with a word. */
static void
parse_word (EkSource *source, EkConfBlock *block)
{
  EkConfPos at = ek_parser_pos (source);
  EkStr word = ek_token_text (&source->lexer, &source->token);

  ek_parser_next (source);
  switch (source->token.type) {
  case EK_TOKEN_EQUALS:
    if (word.p[0] == '$')
      parse_variable (source, block, word, &at);
    else
      parse_setting (source, block, word, &at);
    return;
  case EK_TOKEN_LBRACE:
    parse_block (source, block, word, NULL, &at);
    return;
  case EK_TOKEN_WORD:
  case EK_TOKEN_STRING:
    if (ek_str_eq (word, EK_STR ("include")))
      parse_include (source, block);
    else
      parse_named (source, block, word, &at);
    return;
  default:
    ek_problems_add (source->parser->problems, &at,
                     "expected `=` and a value, or a block's name and `{`, behind `%.*s`; found %s",
                     (int) MIN (word.n, 64), word.p, shown (source));
    skip_statement (source);
  }
}

void
ek_parser_statements (EkSource *source, EkConfBlock *block)
{
  for (;;) {
    EkConfPos at = ek_parser_pos (source);
    switch (source->token.type) {
    case EK_TOKEN_END:
      return;
    case EK_TOKEN_NEWLINE:
      ek_parser_next (source);
      break;
    case EK_TOKEN_RBRACE:
      if (source->nesting > 0)
        return;
      ek_problems_add (source->parser->problems, &at, "this `}` closes nothing: no block is open in %s",
                       source->file);
      ek_parser_next (source);
      break;
    case EK_TOKEN_WORD:
      parse_word (source, block);
      break;
    default:
      ek_problems_add (source->parser->problems, &at,
                       "expected a setting (`key = value`), a block (`kind \"name\" {`) or `}`; found %s",
                       shown (source));
      ek_parser_next (source);
      skip_statement (source);
    }
  }
}
