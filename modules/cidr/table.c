/* table.c - rules of a cidr table in their order, with if ... endif
 * SPDX-License-Identifier: Apache-2.0 */
#include "cidr.h"
#include "lookup/rules.h"

typedef struct {
  EkRule    rule;
  EkNetwork network;
} Rule;

struct CidrTable {
  GArray *rules;
};

static bool
parse_pattern (EkRuleParser *p, EkRule *rule, EkStr *rest)
{
  EkStr word = ek_table_word (rest);
  const char *why = ek_network_parse (word, &((Rule *) rule)->network);

  if (why)
    ek_table_wrong (&p->errors, p->text, p->line, "\"%.*s\" is no network: %s", (int) MIN (word.n, 60), word.p, why);
  return why == NULL;
}

static gpointer
table_parse (const EkTableText *text, gpointer user, GError **error)
{
  static const EkRuleKind kind = { .size = sizeof (Rule), .pattern = parse_pattern };
  GArray *rules = ek_rules_parse (text, &kind, NULL, error);

  if (rules == NULL)
    return NULL;
  CidrTable *table = g_new0 (CidrTable, 1);
  table->rules = rules;
  return table;
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

/* !pattern, like the pattern, says nothing of the other family. */
static EkStatus
matches (const EkRule *base, gpointer data)
{
  const Rule *rule = (const Rule *) base;
  const EkNetwork *address = data;
  bool yes = rule->network.len == address->len && ek_network_has (&rule->network, address) != base->negated;

  return yes ? EK_OK : EK_NOTFOUND;
}

bool
cidr_table_find (const CidrTable *table, const EkNetwork *address, EkStr *value)
{
  const EkRule *found;

  if (ek_rules_find (table->rules, matches, (gpointer) address, &found) != EK_OK)
    return false;
  *value = found->value;
  return true;
}
