/* rules.h - tables of patterns that are tried in their order: `pattern value`, `!pattern value`, if ... endif
 * SPDX-License-Identifier: Apache-2.0
 *
 * What Postfix's cidr, regexp and pcre tables have in common:
 *
 *   pattern   value                 the first pattern that matches gives its value
 *   !pattern  value                 ... when it does not match
 *   if pattern                      the rules up to endif count only when it matches; also if !pattern.
 *   endif                           They may stand in one another.
 *
 * A line that begins with a blank continues the one before; empty lines and those whose first character is # do not count.
 * A table says how its pattern is read off a line and whether it matches a key; the rest is here.
 */
#pragma once
#include "lookup/tablefile.h"

typedef struct {                     /* first in a table's own rule */
  guint32 line;
  guint32 skip;                      /* if: where to go on when it does not match; 0: a rule with a value */
  bool    negated;
  EkStr   value;                     /* the text's */
} EkRule;

typedef struct EkRuleParser EkRuleParser;

typedef struct {
  gsize  size;                       /* of a table's own rule */
  /* Reads the pattern (what is behind any !) off the front of `rest` into the rule, which is zeroed but for the fields above.
   * What is wrong it tells by ek_table_wrong (&parser->errors, parser->text, parser->line, ...), and returns false. */
  bool (*pattern) (EkRuleParser *parser, EkRule *rule, EkStr *rest);
  /* Looks at rule->value, or NULL.  Tells what is wrong. */
  void (*value) (EkRuleParser *parser, EkRule *rule);
  void (*clear) (gpointer rule);     /* frees what is in it; or NULL */
} EkRuleKind;

#define EK_RULES_DEPTH_MAX 100

struct EkRuleParser {
  const EkRuleKind  *kind;
  gpointer           user;           /* ek_rules_parse()'s */
  const EkTableText *text;
  EkTableErrors      errors;
  guint              line;           /* of the rule that is read */
  GArray            *rules;
  guint              open[EK_RULES_DEPTH_MAX], depth;      /* the ifs around */
};

/* All rules of a text (g_array_unref frees them), or NULL and *error, which names every wrong line.  Lines are joined in the text. */
GArray  *ek_rules_parse (const EkTableText *text, const EkRuleKind *kind, gpointer user, GError **error);

/* Asks matches() rule by rule: OK, NOTFOUND (with `negated` counted already), or something else, which ends it.  OK and *found:
 * the first rule with a value that matches. */
EkStatus ek_rules_find (const GArray *rules, EkStatus (*matches) (const EkRule *rule, gpointer data), gpointer data,
                        const EkRule **found);
