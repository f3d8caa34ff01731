/* cli-tables.c - ekiden domain, ekiden alias: the maps of names and of aliases, in whatever backend they are
 * SPDX-License-Identifier: Apache-2.0
 *
 * A domain of its own block is changed in the configuration; here are those that a map knows.  The first map of a block that can be
 * written gets the change.
 */
#include "cli/cli.h"
#include "cli/fields.h"
#include "cli/target.h"
#include "mail/address.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static char *file, *block_name;
static gboolean json;

#define CONFIG_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define JSON_ENTRY   { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }
#define END_ENTRY    { NULL, 0, 0, 0, NULL, NULL, NULL }

static const GOptionEntry plain_entries[] = { CONFIG_ENTRY, JSON_ENTRY, END_ENTRY };
static const GOptionEntry domain_entries[] = {
  CONFIG_ENTRY, { "block", 'b', 0, G_OPTION_ARG_STRING, &block_name, "The domain block whose names it is added to", "NAME" },
  JSON_ENTRY, END_ENTRY
};

typedef struct {
  EkGeneration *gen;
  EkPool       *pool;
  EkInstance   *map;
  EkStr         key;
} Target;

static void
target_clear (Target *target)
{
  ek_generation_unref (target->gen);
  ek_pool_free (target->pool);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Target, target_clear)

static bool
target_open (Target *target)
{
  target->pool = ek_pool_new ();
  target->gen = ek_cli_generation (file);
  return target->gen != NULL;
}

/* The first map of a block's setting that has the operation at `offset` of its table; NULL and *error. */
static EkInstance *
find_map (const Target *target, const EkConfBlock *block, const char *setting, gsize offset, GError **error)
{
  EkInstance *map;

  for (guint i = 0; (map = ek_cli_bound (target->gen, block, setting, EK_TABLE_MAP, i)); i++)
    if (G_STRUCT_MEMBER (gpointer, map->module->map, offset))
      return ek_instance_start (map, error) ? map : NULL;
  ek_fail (error, EK_FAIL, ENOTSUP, "%s:%u: no map in `%s` of domain \"%s\" can do that: change it where it is kept", block->at.file,
           block->at.line, setting, block->name);
  return NULL;
}

/* ---- calls ---- */

typedef struct {
  EkStr        key, value;
  const char  *field;
  EkAnswer     row;
  EkBuf        out;
  EkJson       json;
  const char  *pattern;              /* or NULL */
} Ask;

static EkStatus
run_add (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->add (self, call, ((Ask *) data)->key, ((Ask *) data)->value);
}

static EkStatus
run_remove (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->remove (self, call, ((Ask *) data)->key, ((Ask *) data)->value);
}

static EkStatus
run_set (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->set (self, call, ((Ask *) data)->key, ((Ask *) data)->field, ((Ask *) data)->value);
}

static EkStatus
run_show (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;
  const EkMapOps *ops = self->module->map;

  if (ops->show)
    return ops->show (self, call, ask->key, &ask->row);
  return ops->lookup (self, call, &(EkQuery) { .key = ask->key }, &ask->row);
}

static void
list_one (EkStr key, EkStr value, gpointer data)
{
  Ask *ask = data;
  g_autofree char *name = g_strndup (key.p, key.n), *text = g_strndup (value.p, value.n);

  if (ask->pattern && !g_pattern_match_simple (ask->pattern, name))
    return;
  if (json) {
    ek_json_object (&ask->json, NULL);
    ek_json_text (&ask->json, "key", name);
    ek_json_text (&ask->json, "value", text);
    ek_json_end_object (&ask->json);
  } else
    ek_buf_printf (&ask->out, "%s%s%s\n", name, *text ? "  " : "", text);
  if (ek_buf_len (&ask->out) > 65536)
    ek_cli_write (STDOUT_FILENO, &ask->out);
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->each (self, call, list_one, data);
}

static int
say (const Target *target, const char *done, EkStr value)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "key", target->key.p);
    if (value.n)
      ek_json_text (&j, "value", value.p);
    ek_json_text (&j, "done", done);
    ek_json_text (&j, "instance", target->map->name);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else
    ek_buf_printf (&out, "%s%s%s: %s (%s \"%s\")\n", target->key.p, value.n ? " -> " : "", value.n ? value.p : "", done,
                   target->map->module->name, target->map->name);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

static int
change (const Target *target, EkOpRun run, EkStr value, const char *done)
{
  g_autoptr (GError) error = NULL;
  Ask ask = { .key = target->key, .value = value };
  EkStatus status = ek_op_call (target->map, target->pool, 0, run, &ask, &error);

  if (status == EK_NOTFOUND && run == run_add)
    ek_fail (&error, EK_FAIL, ENOENT, "%s \"%s\" took no row for %s: its domain has to be in it, and to have room (aliases_max in our own "
             "schema)", target->map->module->name, target->map->name, target->key.p);
  else if (status == EK_NOTFOUND)
    ek_fail (&error, EK_FAIL, ENOENT, "there is no %s%s%s", target->key.p, value.n ? " -> " : "", value.n ? value.p : "");
  return status != EK_OK ? ek_cli_failed (error) : say (target, done, value);
}

/* ---- lists ---- */

/* All maps of a setting, in all domain blocks; each map once. */
static int
list (int argc, char **argv, const char *setting, const char *words, const char *help)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_auto (Target) target = { 0 };
  EkInstance *map;
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, words, help, &status))
    return status;
  if (argc > 2)
    return ek_cli_usage ("list takes at most one word, a pattern");
  if (!target_open (&target))
    return EK_EXIT_FAILED;
  Ask ask = { .pattern = argc == 2 ? argv[1] : NULL };
  ask.json.out = &ask.out;
  if (json)
    ek_json_array (&ask.json, NULL);
  const EkConfBlock *block = ek_generation_conf (target.gen)->root->blocks;
  for (; block && error == NULL; block = block->next)
    for (guint i = 0; strcmp (block->kind, "domain") == 0 && error == NULL
                      && (map = ek_cli_bound (target.gen, block, setting, EK_TABLE_MAP, i)); i++)
      if (g_hash_table_add (seen, map) && map->module->map->each && ek_instance_start (map, &error))
        (void) ek_op_call (map, target.pool, 0, run_each, &ask, &error);
  if (json) {
    ek_json_end_array (&ask.json);
    ek_buf_appendc (&ask.out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &ask.out);
  return error ? ek_cli_failed (error) : EK_EXIT_OK;
}

static int
domain_list (int argc, char **argv)
{
  return list (argc, argv, "names", "[PATTERN] - list the domains that maps know", "PATTERN may have * and ?.\n\nExamples:\n  ekiden domain list\n"
               "  ekiden domain list '*.example' --json");
}

static int
alias_list (int argc, char **argv)
{
  return list (argc, argv, "aliases", "[PATTERN] - list the aliases", "PATTERN may have * and ?: '*@example.com'.\n\nExamples:\n  ekiden alias "
               "list\n  ekiden alias list '*@example.com' --json");
}

/* ---- domains ---- */

/* The block to add to: the one that was named, else the only one with names whose mail stays here. */
static const EkConfBlock *
mapped_block (const EkGeneration *gen, GError **error)
{
  const EkConfBlock *found = NULL;

  for (const EkConfBlock *b = ek_generation_conf (gen)->root->blocks; b; b = b->next) {
    if (strcmp (b->kind, "domain") || b->name == NULL || ek_conf_find_setting (b, "names") == NULL
        || (block_name ? strcmp (block_name, b->name) != 0 : ek_conf_find_setting (b, "transport") != NULL))
      continue;
    if (found) {
      ek_fail (error, EK_FAIL, EINVAL, "domains \"%s\" and \"%s\" both have names: say which one with --block", found->name, b->name);
      return NULL;
    }
    found = b;
  }
  if (found == NULL)
    ek_fail (error, EK_FAIL, ENOENT, block_name ? "there is no domain block \"%s\" with names" : "no domain block has names: add `domain "
             "\"example.com\" { ... }` to the configuration, or a block with names = MAP", block_name);
  return found;
}

static int
domain_change (int argc, char **argv, bool add)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, domain_entries, add ? "DOMAIN - add a domain" : "DOMAIN - take a domain away",
                       add ? "Example:\n  ekiden domain add example.com" : "What the database keeps of it may go with it; mail stays where it "
                       "is.\n\nExample:\n  ekiden domain delete example.com", &status))
    return status;
  if (argc != 2)
    return ek_cli_usage (add ? "domain add takes one word, the domain" : "domain delete takes one word, the domain");
  if (!target_open (&target))
    return EK_EXIT_FAILED;
  const char *why = ek_domain_key (target.pool, ek_str (argv[1]), &target.key);
  const EkConfBlock *block = why ? NULL : mapped_block (target.gen, &error);
  if (why)
    ek_fail (&error, EK_FAIL, EINVAL, "\"%s\" cannot be a domain: %s", argv[1], why);
  gsize op = add ? G_STRUCT_OFFSET (EkMapOps, add) : G_STRUCT_OFFSET (EkMapOps, remove);
  target.map = block ? find_map (&target, block, "names", op, &error) : NULL;
  return target.map ? change (&target, add ? run_add : run_remove, EK_STR (""), add ? "added" : "deleted") : ek_cli_failed (error);
}

static int
domain_add (int argc, char **argv)
{
  return domain_change (argc, argv, true);
}

static int
domain_delete (int argc, char **argv)
{
  return domain_change (argc, argv, false);
}

/* The map that has a domain: asked with `show`, so that one that is not active is found, too.  NULL and *error; one with a block of
 * its own is told where that is. */
static EkInstance *
domain_map (Target *target, const char *given, gsize operation, Ask *ask, GError **error)
{
  const EkConfBlock *block = ek_generation_conf (target->gen)->root->blocks;
  const char *why = ek_domain_key (target->pool, ek_str (given), &target->key);
  g_autoptr (GError) trouble = NULL;
  EkInstance *map;

  if (why) {
    ek_fail (error, EK_FAIL, EINVAL, "\"%s\" cannot be a domain: %s", given, why);
    return NULL;
  }
  ask->key = target->key;
  for (; block; block = block->next) {
    EkStr its;
    if (strcmp (block->kind, "domain") || block->name == NULL)
      continue;
    if (ek_conf_find_setting (block, "names") == NULL && ek_domain_key (target->pool, ek_str (block->name), &its) == NULL
        && ek_str_eq (its, target->key)) {
      ek_fail (error, EK_FAIL, EEXIST, "%s has a block of its own at %s:%u: look at it and change it there (`ekiden config show domain`)",
               target->key.p, block->at.file, block->at.line);
      return NULL;
    }
    for (guint i = 0; (map = ek_cli_bound (target->gen, block, "names", EK_TABLE_MAP, i)); i++)
      if (G_STRUCT_MEMBER (gpointer, map->module->map, operation) && ek_instance_start (map, trouble ? NULL : &trouble)
          && ek_cli_call (map, target->pool, run_show, ask, trouble ? NULL : &trouble) == EK_OK)
        return map;
  }
  if (trouble)
    g_propagate_error (error, g_steal_pointer (&trouble));
  else
    ek_fail (error, EK_FAIL, ENOENT, "no map that can do that knows %s: `ekiden domain list` names those that there are", target->key.p);
  return NULL;
}

static int
domain_show (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  Ask ask = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "DOMAIN - show what is kept of a domain", "Example:\n  ekiden domain show example.com", &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("domain show takes one word, the domain");
  if (!target_open (&target))
    return EK_EXIT_FAILED;
  target.map = domain_map (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, lookup), &ask, &error);
  if (target.map == NULL)
    return ek_cli_failed (error);
  ask.json.out = &ask.out;
  if (json) {
    ek_json_object (&ask.json, NULL);
    ek_json_text (&ask.json, "domain", target.key.p);
    ek_json_text (&ask.json, "instance", target.map->name);
    ek_json_object (&ask.json, "kept");
  } else
    ek_buf_printf (&ask.out, "%s (%s \"%s\")\n", target.key.p, target.map->module->name, target.map->name);
  ek_cli_put_row (&ask.out, json ? &ask.json : NULL, &ask.row);
  if (json) {
    ek_json_end_object (&ask.json);
    ek_json_end_object (&ask.json);
    ek_buf_appendc (&ask.out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &ask.out);
  return EK_EXIT_OK;
}

static int
domain_set (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  Ask ask = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "DOMAIN FIELD=VALUE... - change what is kept of a domain", "Which fields there are, its backend "
                       "says: mostly active, transport, next_hop, mailboxes_max, aliases_max, quota_default. Nothing behind the = takes one "
                       "away.\n\nExamples:\n  ekiden domain set example.com active=no\n  ekiden domain set example.com mailboxes_max=50 "
                       "quota_default=2G", &status))
    return status;
  if (argc < 3)
    return ek_cli_usage ("domain set takes the domain and what to change: active=no");
  if (!ek_cli_fields_check (argv + 2, &error))
    return ek_cli_failed (error);
  if (!target_open (&target))
    return EK_EXIT_FAILED;
  target.map = domain_map (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, set), &ask, &error);
  for (int i = 2; target.map && error == NULL && i < argc; i++) {
    g_autoptr (GError) why = NULL;
    if (ek_cli_field (target.pool, argv[i], &ask.field, &ask.value, &error)
        && (ek_op_call (target.map, target.pool, 0, run_set, &ask, &why) != EK_OK))
      ek_fail (&error, EK_FAIL, 0, "%s \"%s\": %s", target.map->module->name, target.map->name, why ? why->message : "the domain is not there any more");
  }
  return error ? ek_cli_failed (error) : say (&target, "set", EK_STR (""));
}

/* ---- aliases ---- */

/* The key of an address, "@domain" too, and its domain's block. */
static const EkConfBlock *
alias_block (Target *target, const char *given, GError **error)
{
  const char *at = strrchr (given, '@'), *why = NULL;
  EkAddressKey key = { 0 };
  EkStr domain = EK_STR ("");

  if (at == given) {                 /* the catch-all */
    why = ek_domain_key (target->pool, ek_str (at + 1), &domain);
    target->key = ek_str (ek_pool_printf (target->pool, "@%.*s", EK_STR_ARG (domain)));
  } else {
    why = at ? ek_address_key (target->pool, ek_str (given), EK_KEY_FOLD, NULL, &key) : "it has no domain";
    domain = key.domain;
    target->key = key.key;
  }
  if (why) {
    ek_fail (error, EK_FAIL, EINVAL, "\"%s\" cannot be an alias: %s", given, why);
    return NULL;
  }
  const EkConfBlock *block = ek_cli_domain_block (target->gen, target->pool, domain, error);
  if (block == NULL && *error == NULL)
    ek_fail (error, EK_FAIL, ENOENT, "\"%s\" is in no domain of ours: `ekiden domain add %s` adds it", given, at + 1);
  return block;
}

static bool
alias_open (Target *target, const char *given, gsize operation, GError **error)
{
  if (!target_open (target)) {
    ek_fail (error, EK_FAIL, EINVAL, "the configuration has errors");
    return false;
  }
  const EkConfBlock *block = alias_block (target, given, error);
  target->map = block ? find_map (target, block, "aliases", operation, error) : NULL;
  return target->map != NULL;
}

/* All words up to the NULL. */
static bool
check_targets (char **words, GError **error)
{
  for (; *words; words++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkAddress address;
    const char *why = ek_address_parse (pool, ek_str (*words), EK_PATH_UTF8 | EK_PATH_LAX, &address);
    if (why) {
      ek_fail (error, EK_FAIL, EINVAL, "\"%s\" cannot be a target: %s", *words, why);
      return false;
    }
  }
  return true;
}

static int
alias_add (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "ADDRESS TARGET... - let others get an address's mail", "ADDRESS may be @DOMAIN: who is "
                       "nobody else's. A mailbox that shall keep its mail is a target of its own.\n\nExamples:\n  ekiden alias add "
                       "info@example.com anna@example.com ben@example.com\n  ekiden alias add @example.com anna@example.com", &status))
    return status;
  if (argc < 3)
    return ek_cli_usage ("alias add takes an address and at least one target");
  if (!check_targets (argv + 2, &error))
    return ek_cli_failed (error);
  if (!alias_open (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, add), &error))
    return ek_cli_failed (error);
  status = EK_EXIT_OK;
  for (int i = 2; i < argc && status == EK_EXIT_OK; i++)
    status = change (&target, run_add, ek_str (argv[i]), "added");
  return status;
}

/* The new targets come before the old ones go, so that there are some at any time. */
static bool
replace_targets (const Target *target, const EkAnswer *old, char **words, GError **error)
{
  for (char **word = words; *word; word++) {
    bool there = false;
    for (guint i = 0; i < old->n_rows; i++)
      there |= ek_str_eq (old->cells[(gsize) i * old->n_columns], ek_str (*word));
    Ask ask = { .key = target->key, .value = ek_str (*word) };
    if (!there && ek_op_call (target->map, target->pool, 0, run_add, &ask, error) != EK_OK)
      return false;
  }
  for (guint i = 0; i < old->n_rows; i++) {
    Ask ask = { .key = target->key, .value = old->cells[(gsize) i * old->n_columns] };
    if (!g_strv_contains ((const char *const *) words, ask.value.p) && ek_op_call (target->map, target->pool, 0, run_remove, &ask, error) == EK_DEFER)
      return false;
  }
  return true;
}

static int
alias_set (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  EkLookup lookup = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "ADDRESS TARGET... - let these and nobody else get an alias's mail",
                       "Example:\n  ekiden alias set info@example.com anna@example.com carl@example.com", &status))
    return status;
  if (argc < 3)
    return ek_cli_usage ("alias set takes an alias and at least one target: `ekiden alias delete` takes it away");
  if (!check_targets (argv + 2, &error) || !alias_open (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, remove), &error))
    return ek_cli_failed (error);
  lookup.query.key = target.key;
  EkStatus found = ek_cli_call (target.map, target.pool, ek_run_lookup, &lookup, &error);
  if (found == EK_NOTFOUND)
    ek_fail (&error, EK_FAIL, ENOENT, "there is no alias %s: `ekiden alias add` adds it", target.key.p);
  if (found != EK_OK || !replace_targets (&target, &lookup.answer, argv + 2, &error))
    return error ? ek_cli_failed (error) : ek_cli_usage ("the map took not all of the targets");
  return say (&target, "set", EK_STR (""));
}

static int
alias_delete (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "ADDRESS [TARGET] - take an alias away, or one of its targets",
                       "Examples:\n  ekiden alias delete info@example.com\n  ekiden alias delete info@example.com ben@example.com", &status))
    return status;
  if (argc < 2 || argc > 3)
    return ek_cli_usage ("alias delete takes an address, and perhaps one of its targets");
  if (!alias_open (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, remove), &error))
    return ek_cli_failed (error);
  return change (&target, run_remove, ek_str (argc == 3 ? argv[2] : ""), "deleted");
}

static int
alias_show (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (Target) target = { 0 };
  EkLookup lookup = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, plain_entries, "ADDRESS - show who gets an address's mail", "Example:\n  ekiden alias show info@example.com",
                       &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("alias show takes one word, the address");
  if (!alias_open (&target, argv[1], G_STRUCT_OFFSET (EkMapOps, lookup), &error))
    return ek_cli_failed (error);
  lookup.query.key = target.key;
  EkStatus found = ek_cli_lookup (target.map, target.pool, &lookup, &error);
  if (found == EK_NOTFOUND)
    ek_fail (&error, EK_FAIL, ENOENT, "there is no alias %s", target.key.p);
  if (found != EK_OK)
    return ek_cli_failed (error);
  Ask ask = { 0 };
  ask.json.out = &ask.out;
  if (json)
    ek_json_array (&ask.json, NULL);
  for (guint i = 0; i < lookup.answer.n_rows; i++)
    list_one (target.key, lookup.answer.cells[(gsize) i * lookup.answer.n_columns], &ask);
  if (json) {
    ek_json_end_array (&ask.json);
    ek_buf_appendc (&ask.out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &ask.out);
  return EK_EXIT_OK;
}

/* ---- the commands ---- */

static void
reset (void)
{
  g_clear_pointer (&file, g_free);
  g_clear_pointer (&block_name, g_free);
  json = FALSE;
}

int
ek_cli_domain (int argc, char **argv)
{
  static const EkCli verbs[] = {
    { "add", "add a domain", domain_add },
    { "list", "list the domains that maps know", domain_list },
    { "show", "show what is kept of a domain", domain_show },
    { "set", "change a domain's fields: active, transport ...", domain_set },
    { "delete", "take a domain away; its mail stays", domain_delete },
    { NULL, NULL, NULL },
  };

  reset ();
  return ek_cli_dispatch (verbs, "ekiden domain", argc, argv);
}

int
ek_cli_alias (int argc, char **argv)
{
  static const EkCli verbs[] = {
    { "add", "let others get an address's mail", alias_add },
    { "list", "list the aliases", alias_list },
    { "show", "show who gets an address's mail", alias_show },
    { "set", "change who gets an alias's mail", alias_set },
    { "delete", "take an alias away", alias_delete },
    { NULL, NULL, NULL },
  };

  reset ();
  return ek_cli_dispatch (verbs, "ekiden alias", argc, argv);
}
