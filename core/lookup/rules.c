/* rules.c - tables of patterns that are tried in their order
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/rules.h"
#include <string.h>

/* ---- reading ---- */

static EkRule *
rule_at (const GArray *rules, guint i)
{
  return (EkRule *) (gpointer) (rules->data + (gsize) i * g_array_get_element_size ((GArray *) rules));
}

/* Takes a keyword off the line; a pattern may stand right behind it. */
static bool
take_keyword (EkStr *line, const char *word)
{
  gsize n = strlen (word);

  if (line->n < n || g_ascii_strncasecmp (line->p, word, n) != 0 || (line->n > n && g_ascii_isalnum (line->p[n])))
    return false;
  *line = ek_str_trim ((EkStr) { line->p + n, line->n - n });
  return true;
}

/* A new rule at the end, its pattern read: ours until the next one.  NULL: it is wrong, which was told. */
static EkRule *
add_rule (EkRuleParser *p, EkStr *rest)
{
  guint i = p->rules->len;

  g_array_set_size (p->rules, i + 1);
  EkRule *rule = rule_at (p->rules, i);
  rule->line = p->line;
  for (; rest->n > 0 && rest->p[0] == '!'; *rest = ek_str_trim ((EkStr) { rest->p + 1, rest->n - 1 }))
    rule->negated = !rule->negated;
  return p->kind->pattern (p, rule, rest) ? rule : NULL;
}

static void
tell_rest (EkRuleParser *p, const char *behind, EkStr rest)
{
  if (rest.n > 0)
    ek_table_wrong (&p->errors, p->text, p->line, "there is something behind %s: \"%.*s\"", behind, (int) MIN (rest.n, 60), rest.p);
}

static void
parse_if (EkRuleParser *p, EkStr rest)
{
  if (p->depth == EK_RULES_DEPTH_MAX) {
    ek_table_wrong (&p->errors, p->text, p->line, "more than %d ifs in one another", EK_RULES_DEPTH_MAX);
    return;
  }
  p->open[p->depth++] = p->rules->len;
  EkRule *rule = add_rule (p, &rest);
  if (rule)
    tell_rest (p, "the pattern of an if, which has no value", rest);
  rule_at (p->rules, p->open[p->depth - 1])->skip = G_MAXUINT32;
}

static void
parse_endif (EkRuleParser *p, EkStr rest)
{
  if (p->depth == 0)
    ek_table_wrong (&p->errors, p->text, p->line, "endif without an if before it");
  else
    rule_at (p->rules, p->open[--p->depth])->skip = p->rules->len;
  tell_rest (p, "endif", rest);
}

static void
parse_line (EkRuleParser *p, bool orphan, EkStr rest)
{
  if (orphan || memchr (rest.p, '\0', rest.n)) {
    ek_table_wrong (&p->errors, p->text, p->line, "%s", orphan ? "the line begins with a blank, but there is none before "
                    "that it could continue: take the blank out" : "the line has a NUL in it: is this a text file?");
    return;
  }
  if (take_keyword (&rest, "if")) {
    parse_if (p, rest);
    return;
  }
  if (take_keyword (&rest, "endif")) {
    parse_endif (p, rest);
    return;
  }
  EkRule *rule = add_rule (p, &rest);
  if (rule == NULL)
    return;
  rule->value = rest;
  if (rest.n == 0)
    ek_table_wrong (&p->errors, p->text, p->line, "expected pattern, blanks, value: the value is missing");
  else if (p->kind->value)
    p->kind->value (p, rule);
}

GArray *
ek_rules_parse (const EkTableText *source, const EkRuleKind *kind, gpointer user, GError **error)
{
  EkTableText text = *source;
  EkRuleParser p = { .kind = kind, .user = user, .text = source };
  EkTableLines lines = { 0 };
  EkStr line;

  p.rules = g_array_new (FALSE, TRUE, (guint) kind->size);
  if (kind->clear)
    g_array_set_clear_func (p.rules, kind->clear);
  while (ek_table_logical_line (&text, &lines, &line)) {
    p.line = lines.number;
    parse_line (&p, lines.orphan, line);
  }
  while (p.depth > 0)
    ek_table_wrong (&p.errors, source, rule_at (p.rules, p.open[--p.depth])->line, "this if has no endif");
  if (ek_table_right (&p.errors, error))
    return p.rules;
  g_array_unref (p.rules);
  return NULL;
}

/* ---- asking ---- */

EkStatus
ek_rules_find (const GArray *rules, EkStatus (*matches) (const EkRule *, gpointer), gpointer data, const EkRule **found)
{
  for (guint i = 0; i < rules->len; ) {
    const EkRule *rule = rule_at (rules, i);
    EkStatus status = matches (rule, data);
    if (status != EK_OK && status != EK_NOTFOUND)
      return status;
    if (status == EK_OK && rule->skip == 0) {
      *found = rule;
      return EK_OK;
    }
    i = rule->skip == 0 || status == EK_OK ? i + 1 : rule->skip;
  }
  return EK_NOTFOUND;
}
