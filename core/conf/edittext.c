/* edittext.c - one value changed in the text of a configuration, all else left as it is
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/editpath.h"
#include "conf/lexer.h"
#include <string.h>

/* ---- what is to be written ---- */

static bool
is_sign (const EkToken *token, EkTokenType type)
{
  return token->type == type;
}

/* A word, a string, file("...") or read("..."); the token behind it is next. */
static bool
skip_item (EkLexer *lexer, EkToken *token)
{
  bool word = token->type == EK_TOKEN_WORD;

  if (!word && token->type != EK_TOKEN_STRING)
    return false;
  EkStr text = ek_token_text (lexer, token);
  bool file = word && (ek_str_eq (text, EK_STR ("file")) || ek_str_eq (text, EK_STR ("read")));
  ek_lexer_next (lexer, token);
  if (!file || !is_sign (token, EK_TOKEN_LPAREN))
    return true;
  ek_lexer_next (lexer, token);
  if (!is_sign (token, EK_TOKEN_STRING))
    return false;
  ek_lexer_next (lexer, token);
  bool closed = is_sign (token, EK_TOKEN_RPAREN);
  ek_lexer_next (lexer, token);
  return closed;
}

/* Can it stand behind `=` as it is? */
static bool
is_value (const char *value)
{
  EkLexer lexer;
  EkToken token;

  if (!g_utf8_validate (value, -1, NULL) || strpbrk (value, "\r\n") || g_str_has_prefix (value, "\357\273\277"))
    return false;                                  /* the lexer would skip a byte order mark */
  ek_lexer_init (&lexer, ek_str (value));
  ek_lexer_next (&lexer, &token);
  bool brackets = is_sign (&token, EK_TOKEN_LBRACKET);
  if (brackets)
    ek_lexer_next (&lexer, &token);
  if (brackets && is_sign (&token, EK_TOKEN_RBRACKET)) {
    ek_lexer_next (&lexer, &token);
    return is_sign (&token, EK_TOKEN_END);
  }
  while (skip_item (&lexer, &token)) {
    if (brackets && is_sign (&token, EK_TOKEN_RBRACKET)) {
      ek_lexer_next (&lexer, &token);
      return is_sign (&token, EK_TOKEN_END);
    }
    if (!is_sign (&token, EK_TOKEN_COMMA))
      return !brackets && is_sign (&token, EK_TOKEN_END);
    ek_lexer_next (&lexer, &token);
  }
  return false;
}

static char *
typed_value (const char *value)
{
  EkBuf out = { 0 };

  if (is_value (value))
    return g_strstrip (g_strdup (value));
  ek_conf_text_write (ek_str (value), &out);
  char *text = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  return text;
}

/* ---- where it is written ---- */

typedef struct {
  EkStr text;                        /* the file now */
  gsize from, to;                    /* what goes */
  char *put;                         /* what comes */
  gsize skip;                        /* bytes of it before the setting's line */
} Change;

static gsize
line_start (EkStr text, gsize at)
{
  gsize bom = ek_str_starts (text, EK_STR ("\357\273\277")) ? 3 : 0;

  while (at > bom && text.p[at - 1] != '\n')
    at--;
  return at;
}

/* Behind the line's end, or the end of the text. */
static gsize
line_end (EkStr text, gsize at)
{
  const char *nl = at < text.n ? memchr (text.p + at, '\n', text.n - at) : NULL;

  return nl ? (gsize) (nl - text.p) + 1 : text.n;
}

/* The blanks that begin the line of `at`. */
static char *
indent_at (EkStr text, gsize at)
{
  gsize start = line_start (text, at), end = start;

  while (end < at && (text.p[end] == ' ' || text.p[end] == '\t'))
    end++;
  return g_strndup (text.p + start, end - start);
}

static bool
has_newline (EkStr text, gsize from, gsize to)
{
  return from < to && memchr (text.p + from, '\n', to - from) != NULL;
}

static void
replace_value (Change *change, const EkConfSetting *s, const char *value)
{
  bool tight = s->start > 0 && s->start == s->end && change->text.p[s->start - 1] == '=';

  change->from = s->start;
  change->to = s->end;
  change->put = g_strdup_printf ("%s%s", tight ? " " : "", value);
}

static const EkConfSetting *
last_setting_here (const EkConfBlock *block)
{
  const EkConfSetting *last = NULL;

  for (const EkConfSetting *s = block->settings; s; s = s->next)
    if (g_strcmp0 (s->at.file, block->at.file) == 0)
      last = s;
  return last;
}

/* Behind the last setting of the block, on a line of its own, when each has one. */
static bool
insert_behind (Change *change, const EkConfBlock *block, const char *key, const char *value)
{
  const EkConfSetting *last = last_setting_here (block);

  if (last == NULL)
    return false;
  gsize end = line_end (change->text, last->end);
  bool open_line = end == change->text.n && (end == 0 || change->text.p[end - 1] != '\n');
  if (block->parent && end > block->close)
    return false;                                  /* b { a = 1 } */
  g_autofree char *indent = indent_at (change->text, last->start);
  change->from = change->to = end;
  change->put = g_strdup_printf ("%s%s%s = %s\n", open_line ? "\n" : "", indent, key, value);
  return true;
}

/* Before the block's `}`. */
static void
insert_before_close (Change *change, const EkConfBlock *block, const char *key, const char *value)
{
  EkStr text = change->text;
  gsize start = line_start (text, block->close);
  g_autofree char *indent = indent_at (text, block->body);
  EkStr before = ek_str_trim ((EkStr) { text.p + start, block->close - start });

  if (has_newline (text, block->body, block->close) && before.n == 0) {
    change->from = change->to = start;
    change->put = g_strdup_printf ("%s  %s = %s\n", indent, key, value);
    return;
  }
  change->to = change->from = block->close;
  while (change->from > block->body && strchr (" \t", text.p[change->from - 1]))
    change->from--;
  change->put = g_strdup_printf ("\n%s  %s = %s\n%s", indent, key, value, indent);
}

/* The top level has no setting yet: before its first block, or at the end. */
static void
insert_on_top (Change *change, const EkConfBlock *root, const char *key, const char *value)
{
  EkStr text = change->text;

  change->from = text.n;
  for (const EkConfBlock *b = root->blocks; b; b = b->next)
    if (g_strcmp0 (b->at.file, root->at.file) == 0) {
      change->from = line_start (text, b->body);
      break;
    }
  change->to = change->from;
  bool open_line = change->from > 0 && text.p[change->from - 1] != '\n';
  change->put = g_strdup_printf ("%s%s = %s\n", open_line ? "\n" : "", key, value);
}

static void
append_block (Change *change, const EkConfTarget *target, const char *value)
{
  EkStr text = change->text;
  EkBuf out = { 0 };

  if (text.n > 0)
    ek_buf_appends (&out, text.p[text.n - 1] == '\n' ? "\n" : "\n\n");
  ek_buf_appends (&out, target->kind);
  if (target->name)
    ek_buf_printf (&out, " \"%s\"", target->name);       /* has no quotes in it */
  ek_buf_appends (&out, " {\n");
  change->skip = ek_buf_len (&out);
  ek_buf_printf (&out, "  %s = %s\n}\n", target->key, value);
  change->from = change->to = text.n;
  change->put = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
}

static void
plan (Change *change, const EkConf *conf, const EkConfTarget *target, const char *value)
{
  if (target->setting)
    replace_value (change, target->setting, value);
  else if (target->block == NULL)
    append_block (change, target, value);
  else if (insert_behind (change, target->block, target->key, value))
    return;
  else if (target->block->parent)
    insert_before_close (change, target->block, target->key, value);
  else
    insert_on_top (change, conf->root, target->key, value);
}

static void
apply (const Change *change, EkBuf *out, guint *line)
{
  EkStr text = change->text;

  ek_buf_append (out, text.p, change->from);
  ek_buf_appends (out, change->put);
  ek_buf_append (out, text.p + change->to, text.n - change->to);
  *line = 1;
  gsize until = change->from + MAX (change->skip, strspn (change->put, "\n"));
  for (gsize i = 0; i < until; i++)
    *line += ek_buf_at (out)[i] == '\n';
}

bool
ek_conf_edit_text (const EkConf *conf, const EkConfTarget *target, EkStr text, const char *value, EkBuf *out, guint *line)
{
  g_autofree char *typed = typed_value (value);
  Change change = { .text = text };

  /* the text may be another one than the tree was made from: its places must still exist */
  if ((target->setting && target->setting->end > text.n) || (target->block && target->block->close > text.n))
    return false;
  plan (&change, conf, target, typed);
  bool fits = change.from <= change.to && change.to <= text.n;
  if (fits)
    apply (&change, out, line);
  g_free (change.put);
  return fits;
}
