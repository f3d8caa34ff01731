/* domain.c - domains and what each is bound to, and where other mail goes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow/domain.h"
#include "flow/way.h"
#include "mail/address.h"
#include <string.h>

/* They make the instances that a reference alone implies: transport = smtp, without a block of that name. */
#define WORKING (EK_ROLE_BIT (EK_ROLE_RELAY) | EK_ROLE_BIT (EK_ROLE_STORE))

static const EkOption domain_rows[] = {
  EK_OPTION (EkDomainConf, names, "", "A map that is asked whether a domain is ours: the block then stands for each domain which it knows, "
             "and its own name is only a name. Domains with a block of their own are not asked for. Of several such maps that know a "
             "domain the first in the order of the files counts, or the next one while that is away.", .allow = "map"),
  EK_OPTION (EkDomainConf, aliases, "[]", "Maps that say who gets an address's mail in its place: one address or several, here or "
             "elsewhere. Asked for the whole address, for the address without its tag, and, when nobody has that name, for "
             "\"@domain\". A mailbox that shall get a copy stands among its own aliases.", .allow = "map"),
  EK_OPTION (EkDomainConf, auth, "[]", "Instances that check this domain's passwords, asked in this order.", .allow = "passdb"),
  EK_OPTION (EkDomainConf, users, "[]", "Instances that know this domain's users, asked in this order. Empty: those of auth "
             "that know users.", .allow = "userdb"),
  EK_OPTION (EkDomainConf, user_results, "[]", "What an answer of one of users leads to, in Dovecot's words, each as \"NAME ANSWER ACTION\": "
             "\"system success continue-ok\" asks the next one too, whose fields go over those of system. auth_rule's results tells the words."),
  EK_OPTION (EkDomainConf, prefetch, "no", "At a login: where the password's backend gives userdb_ fields (userdb_home ...), they make the user, "
             "and users are asked only for mail."),
  EK_OPTION (EkDomainConf, mailboxes, "", "The instance that keeps this domain's mailboxes.",
             .allow = "mailbox"),
  EK_OPTION (EkDomainConf, transport, "", "Takes this domain's mail elsewhere: then it has no mailboxes here, and mail for it is "
             "accepted from anybody (a backup or front MX).", .allow = "transport"),
  EK_OPTION (EkDomainConf, next_hop, "", "Where transport takes it: \"[mx.internal]:25\", or a domain whose MX is asked. Empty: the "
             "domain itself."),
  EK_OPTION (EkDomainConf, tag_delimiters, "\"+\"", "Characters that separate a user from a tag: user+list@ goes to user@."),
  EK_OPTION (EkDomainConf, fold_case, "yes", "Whether User@ and user@ are the same."),
  EK_OPTIONS_END
};

static void
domain_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkDomainConf *c = values;

  ek_auth_results_check (c->user_results, c->users[0] ? c->users : c->auth, "user_results", block, problems);
  if (block->name == NULL)
    ek_problems_add (problems, &block->at, "a domain needs its name: domain \"example.com\" { ... }");
  if (c->transport && c->mailboxes)
    ek_problems_add (problems, &block->at, "domain \"%s\" has mailboxes and a transport: one of them is too many",
                     block->name ? block->name : "");
  if (c->transport == NULL && c->mailboxes == NULL)
    ek_problems_add (problems, &block->at, "domain \"%s\" has neither mailboxes nor a transport: add mailboxes = INSTANCE, where "
                     "INSTANCE is a block that keeps mailboxes", block->name ? block->name : "");
  else if (c->mailboxes && c->auth[0] == NULL && c->users[0] == NULL && c->aliases[0] == NULL)
    ek_problems_add (problems, &block->at, "domain \"%s\" has mailboxes but nobody knows its users: add auth = INSTANCE or users = "
                     "INSTANCE", block->name ? block->name : "");
}

const EkBlockType ek_domain_block = {
  .kind = "domain", .doc = "A domain whose mail we take, and what it is bound to.", .options = domain_rows,
  .size = sizeof (EkDomainConf), .flags = EK_BLOCK_SCOPE, .check = domain_check,
  .roles = EK_ROLE_BIT (EK_ROLE_DIRECTORY) | WORKING,
};

static const EkOption routing_rows[] = {
  EK_OPTION (EkRoutingConf, transport, "", "Takes mail for other people's domains out. Empty: such mail is refused.",
             .allow = "transport"),
  EK_OPTION (EkRoutingConf, transports, "[]", "Maps that say where mail goes, as \"smtp:[mx.internal]:25\": a transport and a next hop, each of "
             "which may be left out (\":\" changes nothing). \"relay\" is smtp where nothing is called relay. \"error:5.7.1 TEXT\" sends mail "
             "back, \"retry:4.7.1 TEXT\" lets it wait, \"discard:TEXT\" throws it away, \"local:\" and \"virtual:\" leave it in its mailbox here. "
             "Asked for the address, the address without its tag, its domain, \".parent\" domains, and \"*\".", .allow = "map"),
  EK_OPTION (EkRoutingConf, tag_delimiters, "\"+\"", "Characters that begin a tag in addresses of other people's domains, where transports "
             "are asked; nothing is cut off the address itself. In a domain of ours its own tag_delimiters count."),
  EK_OPTION (EkRoutingConf, relayhost, "", "Where all of it goes: \"[smtp.example.com]:587\". Empty: to each domain's MX."),
  EK_OPTION (EkRoutingConf, default_domain, "", "Added to logins and local addresses that have no domain. Empty: the first domain."),
  EK_OPTION (EkRoutingConf, postmaster, "", "A user of ours, with domain: gets mail for <postmaster> and for postmaster@ each domain with "
             "mailboxes here that has no such user. RFC 5321 4.5.1 wants that somebody reads it; ekiden doctor tells when nobody does."),
  EK_OPTION (EkRoutingConf, cache, "5s", "How long an answer about a user is remembered.", .allow = "0..1h"),
  EK_OPTION (EkRoutingConf, cache_stale, "1h", "How much longer it counts while the backend that gave it is away: mail for him is "
             "still taken. 0: it is put off.", .allow = "0..7d"),
  EK_OPTIONS_END
};

/* Whether a domain's mailboxes are here; true also where only a map of names could tell. */
static bool
has_mailboxes (const EkConfBlock *root, EkPool *pool, EkStr domain)
{
  bool mapped = false;

  for (const EkConfBlock *block = root->blocks; block; block = block->next) {
    EkStr its;
    if (strcmp (block->kind, "domain") || block->name == NULL)
      continue;
    if (ek_conf_find_setting (block, "names"))
      mapped |= ek_conf_find_setting (block, "transport") == NULL;
    else if (ek_domain_key (pool, ek_str (block->name), &its) == NULL && ek_str_eq (its, domain))
      return ek_conf_find_setting (block, "transport") == NULL;
  }
  return mapped;
}

/* Those in the configuration itself; what is in a file may change at any time, and stops no server. */
static void
routing_check_made (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  ek_ways_check (((const EkRoutingConf *) values)->transports, problems, false);
}

static void
routing_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkRoutingConf *c = values;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkAddressKey key;

  if (c->postmaster == NULL || block == NULL)
    return;
  const EkConfSetting *setting = ek_conf_find_setting (block, "postmaster");
  const char *wrong = ek_address_key (pool, ek_str (c->postmaster), EK_KEY_FOLD, NULL, &key);
  if (wrong == NULL && key.domain.n == 0)
    wrong = "it has no domain: write postmaster = USER@DOMAIN";
  if (wrong == NULL && (block->parent == NULL || !has_mailboxes (block->parent, pool, key.domain)))
    wrong = "no domain with mailboxes here is called like that: name a user of such a domain";
  if (wrong)
    ek_problems_add (problems, setting ? &setting->at : &block->at, "routing.postmaster = \"%s\": %s", c->postmaster, wrong);
}

const EkBlockType ek_routing_block = {
  .kind = "routing", .doc = "Where mail goes that is not for a domain of ours.", .options = routing_rows,
  .size = sizeof (EkRoutingConf), .flags = EK_BLOCK_SINGLE, .check = routing_check, .check_made = routing_check_made,
  .roles = EK_ROLE_BIT (EK_ROLE_DIRECTORY) | WORKING,
};

void
ek_domain_blocks_register (void)
{
  ek_block_register (&ek_domain_block);
  ek_block_register (&ek_routing_block);
  ek_block_register (&ek_auth_rule_block);
}

const EkDomainConf *
ek_domain_find (EkGeneration *gen, const char *domain)
{
  return ek_generation_values (gen, &ek_domain_block, domain);
}

EkInstance **
ek_domain_userdbs (const EkDomainConf *domain)
{
  GPtrArray *found = g_ptr_array_new ();
  EkInstance **from = domain->users[0] ? domain->users : domain->auth;

  for (guint i = 0; from[i]; i++)
    if (ek_instance_offers (from[i], EK_TABLE_USERDB))
      g_ptr_array_add (found, from[i]);
  g_ptr_array_add (found, NULL);
  return (EkInstance **) g_ptr_array_free (found, FALSE);
}
