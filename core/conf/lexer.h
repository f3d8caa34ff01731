/* lexer.h - the tokens of ekiden.conf, with their exact places; comments and line ends are tokens too
 * SPDX-License-Identifier: Apache-2.0
 *
 * The text is UTF-8 without NULs (checked before).  Nothing is allocated, and every byte of the text
 * is in a token or is a blank, so a file can be edited by the offsets of its tokens.
 */
#pragma once
#include "base/base.h"

typedef enum {
  EK_TOKEN_END, EK_TOKEN_NEWLINE, EK_TOKEN_COMMENT,
  EK_TOKEN_WORD,                     /* any characters but blanks and the signs below; ${...} in it */
  EK_TOKEN_STRING,                   /* with its quotes */
  EK_TOKEN_LBRACE, EK_TOKEN_RBRACE, EK_TOKEN_LBRACKET, EK_TOKEN_RBRACKET,
  EK_TOKEN_LPAREN, EK_TOKEN_RPAREN, EK_TOKEN_EQUALS, EK_TOKEN_COMMA,
  EK_TOKEN_BAD,                      /* why says what is wrong */
} EkTokenType;

typedef struct {
  EkTokenType type;
  gsize       start, end;            /* bytes of the text */
  guint       line, column;
  const char *why;                   /* static; BAD only */
} EkToken;

typedef struct {
  EkStr text;
  gsize at;                          /* the next byte to read */
  guint line;
  gsize mark;                        /* a byte of this line whose column is known */
  guint column;
} EkLexer;

void  ek_lexer_init (EkLexer *lexer, EkStr text);
void  ek_lexer_next (EkLexer *lexer, EkToken *token);
EkStr ek_token_text (const EkLexer *lexer, const EkToken *token);
/* "end of line", "`}`", "`word`": for messages; valid until the next call of this thread. */
const char *ek_token_show (const EkLexer *lexer, const EkToken *token);
