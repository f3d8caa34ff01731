/* authrule.c - logins that are bound to other backends than their domain's: by listener, protocol, domain
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth/result.h"
#include "flow/domain.h"
#include "mail/address.h"
#include "proc/blocks.h"
#include <string.h>

static const EkOption rows[] = {
  EK_OPTION (EkAuthRuleConf, listeners, "[]", "Names of the listeners whose logins this rule is for. Empty: any."),
  EK_OPTION (EkAuthRuleConf, protocols, "[]", "The protocols. Empty: any.", .allow = "smtp|imap"),
  EK_OPTION (EkAuthRuleConf, domains, "[]", "The domains of those who log in. Empty: any."),
  EK_OPTION (EkAuthRuleConf, auth, "[]", "Instances that check passwords, in this order. Empty: those of the domain.", .allow = "passdb"),
  EK_OPTION (EkAuthRuleConf, users, "[]", "Instances that know the users, in this order. Empty: those of the domain.", .allow = "userdb"),
  EK_OPTION (EkAuthRuleConf, deny, "[]", "Instances whose users are refused, whatever their password. An outage of one puts logins off.",
             .allow = "passdb"),
  EK_OPTION (EkAuthRuleConf, after_right, "[]", "Instances behind which the next ones are asked although the password is right: those who know the "
             "user have to say so as well. Logins that show no password (SCRAM, CRAM-MD5, EXTERNAL) cannot be shown to several: who comes as far as "
             "one of these is refused.", .allow = "passdb"),
  EK_OPTION (EkAuthRuleConf, after_wrong, "[]", "Instances behind which the next ones are asked although the password is wrong.",
             .allow = "passdb"),
  EK_OPTION (EkAuthRuleConf, after_outage, "[]", "Instances behind which the next ones are asked while they give no answer. When none of those "
             "lets the user in, he is put off, never refused.", .allow = "passdb"),
  EK_OPTION (EkAuthRuleConf, results, "[]", "What an answer of one of auth leads to, in Dovecot's words, each as \"NAME ANSWER ACTION\". ANSWER: "
             "success, failure (wrong or unknown), wrong, unknown, internalfail. ACTION: return, return-ok, return-fail, continue, continue-ok, "
             "continue-fail. Who has shown his password to one that continues is not asked for it by the next. \"NAME skip authenticated\" or "
             "\"... unauthenticated\": it is asked only where nobody, or somebody, has let him in."),
  EK_OPTION (EkAuthRuleConf, user_results, "[]", "The same of users, whose fields go together where one continues. Empty: that of the domain."),
  EK_OPTION (EkAuthRuleConf, masters, "[]", "Passdbs of those who may log in as any of these users (USER*MASTER, or the authorization identity "
             "of PLAIN). Empty: those of auth { masters }.", .allow = "passdb"),
  EK_OPTIONS_END
};

static bool
is_among (EkInstance *const *list, const EkInstance *one)
{
  for (guint i = 0; list[i]; i++)
    if (list[i] == one)
      return true;
  return false;
}

static bool
has_name (EkInstance *const *list, EkStr name)
{
  for (guint i = 0; list[i]; i++)
    if (ek_str_eq (ek_str (list[i]->name), name))
      return true;
  return false;
}

/* Whether any domain binds it: a rule without a list of its own is about those. */
static bool
is_bound (const EkConfBlock *block, EkStr name)
{
  static const char *const keys[] = { "auth", "users" };

  for (const EkConfBlock *b = block->parent ? block->parent->blocks : NULL; b; b = b->next)
    for (guint k = 0; strcmp (b->kind, "domain") == 0 && k < G_N_ELEMENTS (keys); k++) {
      const EkConfSetting *s = ek_conf_find_setting (b, keys[k]);
      for (guint i = 0; s && i < s->n_items; i++) {
        EkStr text = s->items[i].text;
        const char *colon = text.n ? memchr (text.p, ':', text.n) : NULL;        /* file:staff */
        if (colon)
          text = (EkStr) { colon + 1, text.n - (gsize) (colon + 1 - text.p) };
        if (ek_str_eq (text, name))
          return true;
      }
    }
  return false;
}

void
ek_auth_results_check (char *const *results, EkInstance *const *list, const char *word, const EkConfBlock *block, EkProblems *problems)
{
  const EkConfSetting *setting = ek_conf_find_setting (block, word);
  const EkConfPos *at = setting ? &setting->at : &block->at;

  for (guint i = 0; results[i]; i++) {
    EkStr name;
    const char *why = ek_auth_result_check (results[i], &name);
    if (why)
      ek_problems_add (problems, at, "%s: \"%s\": %s", word, results[i], why);
    else if (list[0] ? !has_name (list, name) : !is_bound (block, name))
      ek_problems_add (problems, at, "%s: \"%s\": %.*s is none of those that are asked", word, results[i], EK_STR_ARG (name));
    for (guint k = 0; k < i && why == NULL; k++)
      if (ek_auth_result_hides (results[k], results[i]))
        ek_problems_add (problems, at, "%s: \"%s\" says nothing: \"%s\" before it counts", word, results[i], results[k]);
  }
}

static bool
has_listener (const EkConfBlock *block, const char *name)
{
  for (const EkConfBlock *b = block->parent ? block->parent->blocks : NULL; b; b = b->next)
    if (strcmp (b->kind, "listener") == 0 && strcmp (b->name ? b->name : "", name) == 0)
      return true;
  return false;
}

/* A rule that can fit nobody would leave its logins, and its list of those who are denied, to the domain's. */
static void
check_scope (const EkAuthRuleConf *c, const EkConfBlock *block, EkProblems *problems)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *name = block->name ? block->name : "";
  EkStr key;

  for (guint i = 0; c->listeners[i]; i++)
    if (!has_listener (block, c->listeners[i]))
      ek_problems_add (problems, &block->at, "auth_rule \"%s\": no listener is called \"%s\"", name, c->listeners[i]);
  for (guint i = 0; c->domains[i]; i++) {
    const char *why = ek_domain_key (pool, ek_str (c->domains[i]), &key);
    if (why)
      ek_problems_add (problems, &block->at, "auth_rule \"%s\": domains = %s: %s", name, c->domains[i], why);
  }
}

static void
check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkAuthRuleConf *c = values;
  const char *name = block->name ? block->name : "";
  const struct { const char *word; EkInstance **list; } after[] = {
    { "after_right", c->after_right }, { "after_wrong", c->after_wrong }, { "after_outage", c->after_outage },
  };

  check_scope (c, block, problems);
  ek_auth_results_check (c->results, c->auth, "results", block, problems);
  ek_auth_results_check (c->user_results, c->users, "user_results", block, problems);
  for (guint i = 0; c->deny[i]; i++)
    if (c->deny[i]->module && c->deny[i]->module->passdb && c->deny[i]->module->passdb->lookup == NULL)
      ek_problems_add (problems, &block->at, "auth_rule \"%s\": deny = %s: it only checks passwords and cannot tell whom it knows", name,
                       c->deny[i]->name);
  for (guint k = 0; k < G_N_ELEMENTS (after); k++)
    for (guint i = 0; c->auth[0] && after[k].list[i]; i++)
      if (!is_among (c->auth, after[k].list[i]))
        ek_problems_add (problems, &block->at, "auth_rule \"%s\": %s = %s: it is none of auth", name, after[k].word, after[k].list[i]->name);
}

const EkBlockType ek_auth_rule_block = {
  .kind = "auth_rule", .doc = "Which backends decide some logins, in place of those of the domain. The first rule that fits counts.",
  .options = rows, .size = sizeof (EkAuthRuleConf), .check = check, .roles = EK_ROLE_BIT (EK_ROLE_DIRECTORY),
};

typedef struct {
  const char *listener, *protocol, *domain;
  const EkAuthRuleConf *found;
} Search;

static bool
names (char *const *list, const char *word)
{
  for (guint i = 0; list[i]; i++)
    if (word && strcmp (list[i], word) == 0)
      return true;
  return list[0] == NULL;
}

static bool
names_domain (char *const *list, const char *domain)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (guint i = 0; list[i]; i++) {
    EkStr key;
    if (domain && ek_domain_key (pool, ek_str (list[i]), &key) == NULL && ek_str_eq (key, ek_str (domain)))
      return true;
  }
  return list[0] == NULL;
}

static void
look (const EkBlockValues *v, gpointer data)
{
  Search *s = data;
  const EkAuthRuleConf *rule = v->values;

  if (s->found == NULL && names (rule->listeners, s->listener) && names (rule->protocols, s->protocol) && names_domain (rule->domains, s->domain))
    s->found = rule;
}

const EkAuthRuleConf *
ek_auth_rule_find (EkGeneration *gen, const char *listener, const char *protocol, const char *domain)
{
  Search s = { .listener = listener, .protocol = protocol, .domain = domain };

  ek_generation_each (gen, &ek_auth_rule_block, look, &s);
  return s.found;
}

static void
look_for_masters (const EkBlockValues *v, gpointer data)
{
  *(bool *) data |= ((const EkAuthRuleConf *) v->values)->masters[0] != NULL;
}

bool
ek_auth_rules_have_masters (EkGeneration *gen)
{
  bool found = false;

  ek_generation_each (gen, &ek_auth_rule_block, look_for_masters, &found);
  return found;
}

static void
look_for_proofs (const EkBlockValues *v, gpointer data)
{
  char *const *names = ((const EkListenerConf *) v->values)->mechanisms;

  for (guint i = 0; names[i]; i++)
    *(bool *) data |= g_ascii_strncasecmp (names[i], "SCRAM-", 6) == 0 || g_ascii_strcasecmp (names[i], "CRAM-MD5") == 0;
}

bool
ek_auth_offers_proofs (EkGeneration *gen)
{
  bool found = false;

  ek_generation_each (gen, &ek_listener_block, look_for_proofs, &found);
  return found;
}
