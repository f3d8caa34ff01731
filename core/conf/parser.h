/* parser.h - what the files of the parser share; others see conf.h
 * SPDX-License-Identifier: Apache-2.0
 *
 * parser.c reads statements, value.c the values behind `=`, source.c the files.  One EkParser lives
 * for one pass; one EkSource is one open file, its parent the one that includes it.
 */
#pragma once
#include "conf/conf.h"
#include "conf/lexer.h"
#include <sys/types.h>

#define EK_CONF_FILE_MAX     (8u << 20)
#define EK_CONF_TOTAL_MAX    (32u << 20)     /* of files, and again of what variables become */
#define EK_CONF_FILES_MAX    1000u
#define EK_CONF_INCLUDE_MAX  10u
#define EK_CONF_NESTING_MAX  10u
#define EK_CONF_SECRET_MAX   (64u << 10)
#define EK_CONF_TEXT_MAX     (256u << 10)    /* of read("...") */

typedef struct EkParser EkParser;
typedef struct EkSource EkSource;

struct EkParser {
  EkConf     *conf;
  EkProblems *problems;
  guint       flags;
  GHashTable *variables;             /* name -> EkConfSetting */
  GHashTable *seen;                  /* "address of the block, key" -> what it named first */
  gsize       read, expanded;        /* bytes so far */
  guint       files;
  bool        too_big;               /* said once */
  const char *edited;                /* this file's bytes are edited_text */
  EkStr       edited_text;
};

struct EkSource {
  EkParser   *parser;
  EkSource   *parent;
  const char *file;                  /* in the pool */
  EkConfPos   asked;                 /* the include */
  char       *bytes;                 /* wiped when closed; NULL: borrowed text */
  EkStr       text;
  dev_t       dev;
  ino_t       ino;
  guint       depth;                 /* files around */
  guint       nesting;               /* blocks open in this file, */
  guint       nesting_above;         /* and around its include */
  EkLexer     lexer;
  EkToken     token;                 /* the next one; never a comment */
  gsize       last_end;              /* byte behind the token before it */
};

/* ---- parser.c ---- */
void      ek_parser_next (EkSource *source);       /* tells BAD tokens, and gives what follows */
EkConfPos ek_parser_pos (const EkSource *source);  /* of the token */
/* Statements until the end of the file or the block's `}` (left as the token). */
void      ek_parser_statements (EkSource *source, EkConfBlock *block);

/* ---- value.c ---- */
/* Reads what stands behind `=` into the setting.  False: the rest of the line makes no sense. */
bool      ek_parser_value (EkSource *source, EkConfSetting *setting);
/* The token (a word or a string) as text, for names and paths: variables resolved. */
bool      ek_parser_text (EkSource *source, EkConfItem *item);

/* ---- source.c ---- */
/* Reads and parses one file into the block; `parent` NULL: the main file. */
void      ek_source_parse (EkParser *parser, EkSource *parent, const char *path, const EkConfPos *asked,
                           EkConfBlock *block);
void      ek_source_parse_text (EkParser *parser, const char *name, EkStr text, EkConfBlock *block);
void      ek_source_include (EkSource *source, const char *pattern, const EkConfPos *at, EkConfBlock *block);
/* The content of a secret's file, without its last newline, in *text (in the pool). */
bool      ek_source_secret (EkSource *source, const char *path, const EkConfPos *at, EkStr *text);
/* What read("path") gives: item->text and item->file. */
bool      ek_source_text (EkSource *source, const char *path, EkConfItem *item);
