/* lexer.c - cuts ekiden.conf into tokens
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/lexer.h"
#include <string.h>

void
ek_lexer_init (EkLexer *lexer, EkStr text)
{
  *lexer = (EkLexer) { .text = text, .line = 1, .column = 1 };
  if (ek_str_starts (text, EK_STR ("\357\273\277")))      /* a byte order mark from another editor */
    lexer->at = lexer->mark = 3;
}

static bool
is_name_char (char c)
{
  return g_ascii_isalnum (c) || c == '_';
}

static bool
is_word_char (char c)
{
  return (guchar) c > ' ' && c != 127 && strchr ("\"'{}[](),;=#", c) == NULL;
}

/* Bytes of `${name}` at `at`, or 0. */
static gsize
braced_len (EkStr text, gsize at)
{
  gsize i = at + 2;

  if (at + 2 >= text.n || text.p[at] != '$' || text.p[at + 1] != '{')
    return 0;
  while (i < text.n && is_name_char (text.p[i]))
    i++;
  return i < text.n && text.p[i] == '}' ? i + 1 - at : 0;
}

static void
lex_word (EkLexer *lexer, EkToken *token)
{
  EkStr text = lexer->text;
  gsize i = token->start, braced;

  while (i < text.n) {
    if ((braced = braced_len (text, i)) > 0)
      i += braced;
    else if (is_word_char (text.p[i]))
      i++;
    else
      break;
  }
  token->type = EK_TOKEN_WORD;
  token->end = i;
}

/* A string may go on in the next line behind a `\`; then the lexer's line moves too. */
static void
lex_string (EkLexer *lexer, EkToken *token)
{
  EkStr text = lexer->text;
  gsize i = token->start + 1;

  token->type = EK_TOKEN_STRING;
  for (; i < text.n && text.p[i] != '\n'; i++) {
    if (text.p[i] == '"') {
      token->end = i + 1;
      return;
    }
    if (text.p[i] != '\\' || i + 1 >= text.n)
      continue;
    i++;
    if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
      i++;
    if (text.p[i] == '\n') {
      lexer->line++;
      lexer->mark = i + 1;
      lexer->column = 1;
    }
  }
  token->type = EK_TOKEN_BAD;
  token->why = "the string that begins here is not closed on its line: expected `\"` "
               "(a string goes on in the next line only behind a `\\` at its end)";
  token->end = i;
}

static void
lex_stray (EkToken *token, char c)
{
  token->type = EK_TOKEN_BAD;
  if (c == ';')
    token->why = "`;` is not used here: a setting ends with its line, and comments begin with `#`";
  else if (c == '\'')
    token->why = "`'` does not quote here: use \"double quotes\"";
  else
    token->why = "a control character stands here: remove it, or write it as \\xHH in a string";
}

static EkTokenType
sign_type (char c)
{
  switch (c) {
  case '{': return EK_TOKEN_LBRACE;
  case '}': return EK_TOKEN_RBRACE;
  case '[': return EK_TOKEN_LBRACKET;
  case ']': return EK_TOKEN_RBRACKET;
  case '(': return EK_TOKEN_LPAREN;
  case ')': return EK_TOKEN_RPAREN;
  case '=': return EK_TOKEN_EQUALS;
  case ',': return EK_TOKEN_COMMA;
  case '\n': return EK_TOKEN_NEWLINE;
  default: return EK_TOKEN_BAD;
  }
}

static guint
column_of (EkLexer *lexer, gsize at)
{
  for (; lexer->mark < at; lexer->mark++)
    if (((guchar) lexer->text.p[lexer->mark] & 0xc0) != 0x80)      /* not the inside of a character */
      lexer->column++;
  return lexer->column;
}

void
ek_lexer_next (EkLexer *lexer, EkToken *token)
{
  EkStr text = lexer->text;

  while (lexer->at < text.n && (text.p[lexer->at] == ' ' || text.p[lexer->at] == '\t'
                                || (text.p[lexer->at] == '\r' && lexer->at + 1 < text.n
                                    && text.p[lexer->at + 1] == '\n')))
    lexer->at++;
  *token = (EkToken) { .start = lexer->at, .line = lexer->line };
  token->column = column_of (lexer, lexer->at);
  if (lexer->at >= text.n) {
    token->type = EK_TOKEN_END;
    token->end = lexer->at;
    return;
  }
  char c = text.p[lexer->at];
  token->type = sign_type (c);
  token->end = lexer->at + 1;
  if (c == '#') {
    const char *nl = memchr (text.p + lexer->at, '\n', text.n - lexer->at);
    token->type = EK_TOKEN_COMMENT;
    token->end = nl ? (gsize) (nl - text.p) : text.n;
  } else if (c == '"')
    lex_string (lexer, token);
  else if (is_word_char (c))
    lex_word (lexer, token);
  else if (token->type == EK_TOKEN_BAD)
    lex_stray (token, c);
  lexer->at = token->end;
  if (token->type == EK_TOKEN_NEWLINE) {
    lexer->line++;
    lexer->mark = lexer->at;
    lexer->column = 1;
  }
}

EkStr
ek_token_text (const EkLexer *lexer, const EkToken *token)
{
  return (EkStr) { lexer->text.p + token->start, token->end - token->start };
}

const char *
ek_token_show (const EkLexer *lexer, const EkToken *token)
{
  static _Thread_local char shown[80];

  if (token->type == EK_TOKEN_END)
    return "the end of the file";
  if (token->type == EK_TOKEN_NEWLINE || token->type == EK_TOKEN_COMMENT)
    return "the end of the line";
  if (token->type == EK_TOKEN_STRING)              /* may be a secret */
    return "a string";
  EkStr text = ek_token_text (lexer, token);
  gsize n = MIN (text.n, 40);
  while (n > 0 && n < text.n && ((guchar) text.p[n] & 0xc0) == 0x80)
    n--;
  g_snprintf (shown, sizeof shown, "`%.*s%s`", (int) n, text.p, n < text.n ? "..." : "");
  return shown;
}
