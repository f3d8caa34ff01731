/* answer.h - reads the JSON that the server's own answers are
 * SPDX-License-Identifier: Apache-2.0
 *
 * For commands only: the core writes JSON and reads none from the net.  Whole numbers, 32 levels; anything else that
 * RFC 8259 allows gives NULL or 0, never a crash.
 */
#pragma once
#include "base/base.h"

typedef struct EkAnswerValue EkAnswerValue;
struct EkAnswerValue {
  char           kind;               /* '{' '[' '"' '0' 't' 'f' 'n' */
  const char    *key;                /* of a member; else NULL */
  EkStr          text;               /* of a string, a NUL behind it */
  gint64         number;
  EkAnswerValue *items, *next;       /* members and elements, in order */
};

/* All of `text` is one value.  NULL: malformed.  In the pool. */
EkAnswerValue *ek_answer_parse (EkPool *pool, EkStr text);
/* A member by name; NULL when `of` is NULL, no object, or has none. */
const EkAnswerValue *ek_answer_get (const EkAnswerValue *of, const char *key);
/* "" and 0 when there is none of that kind. */
const char *ek_answer_text (const EkAnswerValue *of, const char *key);
gint64      ek_answer_int (const EkAnswerValue *of, const char *key);
