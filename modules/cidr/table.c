/* table.c - rules of a cidr table in their order, with if ... endif
 * SPDX-License-Identifier: Apache-2.0 */
#include "cidr.h"
#include <string.h>

typedef struct {
  EkNetwork network;
  bool      negated;                 /* !pattern.  Like the pattern, it says nothing of the other family */
  guint32   skip;                    /* if: where to go on when it does not match; 0: a rule with a value */
  EkStr     value;
} Rule;

struct CidrTable {
  GArray *rules;
};

#define DEPTH_MAX 100

typedef struct {
  CidrTable         *table;
  const EkTableText *text;
  EkTableErrors      errors;
  guint              open[DEPTH_MAX];        /* rules of the ifs around */
  guint              lines[DEPTH_MAX];
  guint              depth;
} Parser;

/* "!pattern" into the rule. */
static bool
parse_pattern (Parser *p, guint line, EkStr word, Rule *rule)
{
  *rule = (Rule) { .negated = word.n > 0 && word.p[0] == '!' };
  if (rule->negated)
    word = ek_str_trim ((EkStr) { word.p + 1, word.n - 1 });
  const char *why = ek_network_parse (word, &rule->network);
  if (why)
    ek_table_wrong (&p->errors, p->text, line, "\"%.*s\" is no network: %s", (int) MIN (word.n, 60), word.p, why);
  return why == NULL;
}

static void
parse_if (Parser *p, guint line, EkStr pattern)
{
  Rule rule;

  if (p->depth == DEPTH_MAX) {
    ek_table_wrong (&p->errors, p->text, line, "more than %d ifs in one another", DEPTH_MAX);
    return;
  }
  (void) parse_pattern (p, line, pattern, &rule);
  p->lines[p->depth] = line;
  p->open[p->depth++] = p->table->rules->len;
  rule.skip = G_MAXUINT32;
  g_array_append_val (p->table->rules, rule);
}

static void
parse_endif (Parser *p, guint line, EkStr rest)
{
  if (p->depth == 0)
    ek_table_wrong (&p->errors, p->text, line, "endif without an if before it");
  else
    g_array_index (p->table->rules, Rule, p->open[--p->depth]).skip = p->table->rules->len;
  if (rest.n > 0)
    ek_table_wrong (&p->errors, p->text, line, "there is something behind endif: \"%.*s\"", (int) MIN (rest.n, 60), rest.p);
}

static void
parse_line (Parser *p, guint line, bool orphan, EkStr rest)
{
  if (orphan || memchr (rest.p, '\0', rest.n)) {
    ek_table_wrong (&p->errors, p->text, line, "%s", orphan ? "the line begins with a blank, but there is none before "
                    "that it could continue: take the blank out" : "the line has a NUL in it: is this a text file?");
    return;
  }
  EkStr word = ek_table_word (&rest);
  Rule rule;
  if (ek_str_ieq (word, EK_STR ("if")))
    parse_if (p, line, rest);
  else if (ek_str_ieq (word, EK_STR ("endif")))
    parse_endif (p, line, rest);
  else if (rest.n == 0)
    ek_table_wrong (&p->errors, p->text, line, "expected network, blanks, value: the value is missing");
  else if (parse_pattern (p, line, word, &rule)) {
    rule.value = rest;
    g_array_append_val (p->table->rules, rule);
  }
}

static gpointer
table_parse (const EkTableText *source, gpointer user, GError **error)
{
  EkTableText text = *source;
  CidrTable *table = g_new0 (CidrTable, 1);
  Parser p = { .table = table, .text = source };
  EkTableLines lines = { 0 };
  EkStr line;

  table->rules = g_array_new (FALSE, FALSE, sizeof (Rule));
  while (ek_table_logical_line (&text, &lines, &line))
    parse_line (&p, lines.number, lines.orphan, line);
  while (p.depth > 0)
    ek_table_wrong (&p.errors, source, p.lines[--p.depth], "this if has no endif");
  if (ek_table_right (&p.errors, error))
    return table;
  cidr_table_kind.free (table);
  return NULL;
}

static void
table_free (gpointer data)
{
  g_array_unref (((CidrTable *) data)->rules);
  g_free (data);
}

const EkTableKind cidr_table_kind = { .parse = table_parse, .free = table_free };

guint
cidr_table_n (const CidrTable *table)
{
  return table->rules->len;
}

bool
cidr_table_find (const CidrTable *table, const EkNetwork *address, EkStr *value)
{
  const Rule *rules = (const Rule *) (gconstpointer) table->rules->data;

  for (guint i = 0; i < table->rules->len; ) {
    const Rule *rule = &rules[i];
    bool match = rule->network.len == address->len && ek_network_has (&rule->network, address) != rule->negated;
    if (match && rule->skip == 0) {
      *value = rule->value;
      return true;
    }
    i = rule->skip == 0 || match ? i + 1 : rule->skip;
  }
  return false;
}
