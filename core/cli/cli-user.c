/* cli-user.c - ekiden user: the users of our domains, in whatever passdb their domain is bound to
 * SPDX-License-Identifier: Apache-2.0
 *
 * The configuration says which instances a domain's passwords are in; the first of them that can be
 * written gets the change.  It is started here alone, beside the server that may be running.
 */
#include "auth/scheme.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "cli/user.h"
#include "mail/address.h"
#include "module/call.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static char *file, *scheme, *stored_given;
static gint rounds;
static gboolean json;

#define CONFIG_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define END_ENTRY    { NULL, 0, 0, 0, NULL, NULL, NULL }

/* The first of the domain's passdbs that can be written. */
static bool
find_passdb (EkCliUser *target, GError **error)
{
  const EkConfBlock *domain = target->domain;
  EkInstance *passdb;

  target->passdb = NULL;
  for (guint i = 0; (passdb = ek_cli_bound (target->gen, domain, "auth", EK_TABLE_PASSDB, i)); i++)
    if (passdb->module->passdb && passdb->module->passdb->set && passdb->module->passdb->lookup
        && ek_cli_prefers (passdb, target->passdb))
      target->passdb = passdb;
  if (target->passdb)
    return ek_instance_start (target->passdb, error);
  ek_fail (error, EK_FAIL, ENOTSUP, "%s:%u: none of the instances in `auth` of domain \"%s\" can be written: change its users "
           "where they are kept", domain->at.file, domain->at.line, domain->name);
  return false;
}

/* False: the exit status is in *status. */
static bool
target_open (EkCliUser *target, const char *given, int *status)
{
  g_autoptr (GError) error = NULL;

  *status = EK_EXIT_FAILED;
  if (ek_cli_user_open (target, file, given, &error) && find_passdb (target, &error))
    return true;
  if (error)
    *status = ek_cli_failed (error);
  return false;
}

/* ---- calls ---- */

typedef struct {
  const char *name;
  EkStr       stored;
  EkAccount   account;
} Ask;

static EkStatus
run_lookup (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->passdb->lookup (self, call, ask->name, &ask->account);
}

static EkStatus
run_set (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->passdb->set (self, call, ask->name, ask->stored);
}

static EkStatus
run_remove (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->remove (self, call, ((Ask *) data)->name);
}

static EkStatus
call_passdb (const EkCliUser *target, EkOpRun run, EkStr stored, GError **error)
{
  Ask ask = { .name = target->name, .stored = stored };

  return ek_op_call (target->passdb, target->pool, 0, run, &ask, error);
}

static int
say (const EkCliUser *target, const char *done)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "user", target->name);
    ek_json_text (&j, "done", done);
    ek_json_text (&j, "instance", target->passdb->name);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else
    ek_buf_printf (&out, "%s: %s (%s \"%s\")\n", target->name, done, target->passdb->module->name, target->passdb->name);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

/* ---- add, passwd, delete ---- */

static const GOptionEntry set_entries[] = {
  CONFIG_ENTRY,
  { "scheme", 's', 0, G_OPTION_ARG_STRING, &scheme, "The password's scheme (" EK_SCHEME_DEFAULT ")", "SCHEME" },
  { "rounds", 'r', 0, G_OPTION_ARG_INT, &rounds, "What the hash shall cost", "ROUNDS" },
  { "hash", 0, 0, G_OPTION_ARG_STRING, &stored_given, "A stored password that `ekiden pw` made", "{SCHEME}HASH" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }, END_ENTRY
};

static int
set_password (int argc, char **argv, bool add)
{
  g_autoptr (GError) error = NULL;
  g_auto (EkCliUser) target = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, set_entries, add ? "USER [FIELD=VALUE...] - add a user" : "USER - set a user's password",
                       add ? "Asks for the password, or reads a line from standard input. `ekiden user set` tells of fields.\n\nExamples:\n"
                       "  ekiden user add anna@example.com\n  ekiden user add anna@example.com quota=2G\n"
                       "  ekiden user add anna@example.com --hash '{SHA512-CRYPT}$6$...'\n  pwgen 20 1 | ekiden user add anna@example.com"
                       : "Asks for the password, or reads a line from standard input.\n\nExample:\n  ekiden user passwd anna@example.com", &status))
    return status;
  if (argc < 2 || (argc > 2 && !add))
    return ek_cli_usage (add ? "user add takes the user's address, and perhaps fields" : "user passwd takes one word, the user's address");
  if (!target_open (&target, argv[1], &status))
    return status;
  if (!ek_cli_fields_check (argv + 2, &error))
    return ek_cli_failed (error);
  EkStatus there = call_passdb (&target, run_lookup, EK_STR (""), &error);
  if (there != EK_OK && there != EK_NOTFOUND && !(add && error && error->code == ENOENT))
    return ek_cli_failed (error);
  g_clear_error (&error);              /* that a new file is not there yet */
  if (add ? there == EK_OK : there != EK_OK)
    ek_fail (&error, EK_FAIL, EEXIST, add ? "%s is a user already: `ekiden user passwd` sets his password"
             : "there is no user %s: `ekiden user add` adds him", target.name);
  char *stored = error ? NULL : ek_cli_stored (scheme, rounds, stored_given, &error);
  if (stored && call_passdb (&target, run_set, ek_str (stored), &error) == EK_NOTFOUND)
    ek_fail (&error, EK_FAIL, ENOENT, "%s \"%s\" took no row for %s: the domain has to be in it, and to have room (mailboxes_max in our own "
             "schema)", target.passdb->module->name, target.passdb->name, target.name);
  ek_wipe_free (stored);
  if (error == NULL && argv[2])
    (void) ek_cli_user_change (&target, argv + 2, &error);
  return error ? ek_cli_failed (error) : say (&target, add ? "added" : "password set");
}

static int
user_add (int argc, char **argv)
{
  return set_password (argc, argv, true);
}

static int
user_passwd (int argc, char **argv)
{
  return set_password (argc, argv, false);
}

static int
user_delete (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    CONFIG_ENTRY, { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }, END_ENTRY
  };
  g_autoptr (GError) error = NULL;
  g_auto (EkCliUser) target = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "USER - delete a user", "His mail stays where it is.\n\nExample:\n  ekiden user delete anna@example.com", &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("user delete takes one word, the user's address");
  if (!target_open (&target, argv[1], &status))
    return status;
  if (target.passdb->module->passdb->remove == NULL)
    ek_fail (&error, EK_FAIL, ENOTSUP, "%s \"%s\" cannot delete users", target.passdb->module->name, target.passdb->name);
  else if (call_passdb (&target, run_remove, EK_STR (""), &error) == EK_NOTFOUND)
    ek_fail (&error, EK_FAIL, ENOENT, "there is no user %s", target.name);
  return error ? ek_cli_failed (error) : say (&target, "deleted");
}

/* ---- list ---- */

typedef struct {
  EkBuf        out;
  EkJson       json;
  const char  *domain;               /* its key; NULL: the block stands for those that a map knows */
  const char  *pattern;              /* or NULL */
  GHashTable  *seen;                 /* names */
} Listing;

static void
list_user (const EkUser *user, gpointer data)
{
  Listing *l = data;
  const char *at = strrchr (user->name, '@');

  if (at ? l->domain && strcmp (at + 1, l->domain) != 0 : l->domain == NULL)
    return;                            /* of another domain that shares the instance, or of nobody knows which */
  g_autofree char *name = at ? g_strdup (user->name) : g_strdup_printf ("%s@%s", user->name, l->domain);
  if ((l->pattern && !g_pattern_match_simple (l->pattern, name)) || !g_hash_table_add (l->seen, g_strdup (name)))
    return;
  if (json)
    ek_json_text (&l->json, NULL, name);
  else
    ek_buf_printf (&l->out, "%s\n", name);
  if (ek_buf_len (&l->out) > 65536)
    ek_cli_write (STDOUT_FILENO, &l->out);
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->each (self, call, list_user, data);
}

/* The users of one domain that an instance of a list of its can name. */
static bool
list_bound (EkGeneration *gen, const EkConfBlock *domain, const char *list, Listing *listing, GError **error)
{
  const EkConfSetting *bound = ek_conf_find_setting (domain, list);
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (guint i = 0; bound && i < bound->n_items; i++) {
    EkInstance *self = ek_cli_bound (gen, domain, list, EK_TABLE_USERDB, i);
    if (self == NULL || !ek_instance_offers (self, EK_TABLE_USERDB) || self->module->userdb->each == NULL)
      continue;
    if (!ek_instance_start (self, error))
      return false;
    EkStatus status = ek_cli_call (self, pool, run_each, listing, error);
    if (status != EK_OK && status != EK_NOTFOUND)
      return false;
  }
  return true;
}

/* Of its userdbs and of its passdbs: a static userdb can name nobody, but the users file behind it can. */
static bool
list_domain (EkGeneration *gen, const EkConfBlock *domain, Listing *listing, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStr key;

  bool mapped = ek_conf_find_setting (domain, "names") != NULL;
  if (!mapped && ek_domain_key (pool, ek_str (domain->name), &key) != NULL)
    return true;
  listing->domain = mapped ? NULL : key.p;
  return list_bound (gen, domain, "users", listing, error) && list_bound (gen, domain, "auth", listing, error);
}

static int
user_list (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    CONFIG_ENTRY, { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }, END_ENTRY
  };
  g_autoptr (EkGeneration) gen = NULL;
  g_autoptr (GError) error = NULL;
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "[PATTERN] - list the users", "PATTERN may have * and ?: '*@example.com'.\nOnly "
                       "backends that can tell all their users are asked.\n\nExamples:\n  ekiden user list\n  ekiden user list '*@example.com' --json", &status))
    return status;
  if (argc > 2)
    return ek_cli_usage ("user list takes at most one word, a pattern");
  gen = ek_cli_generation (file);
  if (gen == NULL)
    return EK_EXIT_FAILED;
  Listing listing = { .pattern = argc == 2 ? argv[1] : NULL };
  listing.json.out = &listing.out;
  listing.seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (json)
    ek_json_array (&listing.json, NULL);
  const EkConfBlock *block = ek_generation_conf (gen)->root->blocks;
  for (; block && error == NULL; block = block->next)
    if (strcmp (block->kind, "domain") == 0 && block->name)
      (void) list_domain (gen, block, &listing, &error);
  if (json)
    ek_json_end_array (&listing.json);
  if (json)
    ek_buf_appendc (&listing.out, '\n');
  ek_cli_write (STDOUT_FILENO, &listing.out);
  g_hash_table_unref (listing.seen);
  return error ? ek_cli_failed (error) : EK_EXIT_OK;
}

int
ek_cli_user (int argc, char **argv)
{
  static const EkCli verbs[] = {
    { "add", "add a user", user_add },
    { "passwd", "set a user's password", user_passwd },
    { "list", "list the users", user_list },
    { "show", "show what is kept of a user", ek_cli_user_show },
    { "set", "change a user's fields: quota, home, active ...", ek_cli_user_set },
    { "delete", "delete a user; his mail stays", user_delete },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  g_clear_pointer (&scheme, g_free);
  g_clear_pointer (&stored_given, g_free);
  rounds = 0;
  json = FALSE;
  return ek_cli_dispatch (verbs, "ekiden user", argc, argv);
}
