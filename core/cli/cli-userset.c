/* cli-userset.c - ekiden user show, ekiden user set: what is kept of a user beside his password
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "cli/user.h"
#include "conf/option.h"
#include "mail/address.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static char *file;
static gboolean json, with_password;

/* ---- whom ---- */

/* A domain's setting as one text; `dflt` when it has none. */
static EkStr
setting_of (const EkConfBlock *domain, const char *name, const char *dflt)
{
  const EkConfSetting *setting = ek_conf_find_setting (domain, name);

  return setting && setting->n_items == 1 ? setting->items[0].text : ek_str (dflt);
}

/* The key of what was typed, by the domain's own rules. */
static const char *
make_name (EkPool *pool, const EkConfBlock *domain, EkStr given, GError **error)
{
  bool fold = true;
  const char *why = NULL;
  EkAddressKey key;
  EkStr tags = setting_of (domain, "tag_delimiters", "+");

  (void) ek_parse_bool (setting_of (domain, "fold_case", "yes"), &fold, &why);
  why = ek_address_key (pool, given, fold ? EK_KEY_FOLD : 0, ek_pool_strndup (pool, tags.p, tags.n), &key);
  if (why == NULL && key.tag.p)
    why = "what is behind its delimiter is a tag and no part of the name";
  if (why) {
    ek_fail (error, EK_FAIL, EINVAL, "\"%.*s\" cannot be a user: %s", EK_STR_ARG (given), why);
    return NULL;
  }
  EkStr dflt;
  if (key.domain.n > 0 || ek_domain_key (pool, ek_str (domain->name), &dflt) != NULL)
    return key.key.p;
  return ek_pool_printf (pool, "%s@%s", key.key.p, dflt.p);
}

bool
ek_cli_user_open (EkCliUser *user, const char *conf, const char *given, GError **error)
{
  const char *at = strrchr (given, '@');
  EkStr domain_key = EK_STR ("");

  user->pool = ek_pool_new ();
  user->gen = ek_cli_generation (conf);
  if (user->gen == NULL)
    return false;
  const char *why = at ? ek_domain_key (user->pool, ek_str (at + 1), &domain_key) : NULL;
  user->domain = why ? NULL : ek_cli_domain_block (user->gen, user->pool, domain_key, error);
  if (user->domain == NULL && *error == NULL)
    ek_fail (error, EK_FAIL, ENOENT, "\"%s\" is in no domain of ours%s%s: add `domain \"%s\" { ... }` to the configuration",
             given, why ? ": " : "", why ? why : "", at ? at + 1 : "example.com");
  return user->domain && (user->name = make_name (user->pool, user->domain, ek_str (given), error)) != NULL;
}

void
ek_cli_user_clear (EkCliUser *user)
{
  ek_generation_unref (user->gen);
  ek_pool_free (user->pool);
}

/* The i-th instance that knows the domain's users: of `users`, or where there is none of `auth`. */
static EkInstance *
userdb_at (const EkCliUser *user, guint i)
{
  bool own = ek_conf_find_setting (user->domain, "users") != NULL;

  return ek_cli_bound (user->gen, user->domain, own ? "users" : "auth", own ? EK_TABLE_USERDB : EK_TABLE_PASSDB, i);
}

/* ---- set ---- */

typedef struct {
  const char *name, *field;
  EkStr       value;
} Change;

static EkStatus
run_change (EkInstance *self, EkCall *call, gpointer data)
{
  Change *c = data;

  return self->module->userdb->set (self, call, c->name, c->field, c->value);
}

static EkStatus
run_stored (EkInstance *self, EkCall *call, gpointer data)
{
  Change *c = data;

  return self->module->passdb->set (self, call, c->name, c->value);
}

static EkInstance *
find_userdb (const EkCliUser *user, GError **error)
{
  EkInstance *self, *found = NULL;

  for (guint i = 0; (self = userdb_at (user, i)); i++)
    if (self->module->userdb && self->module->userdb->set && ek_cli_prefers (self, found))
      found = self;
  if (found)
    return ek_instance_start (found, error) ? found : NULL;
  ek_fail (error, EK_FAIL, ENOTSUP, "%s:%u: none of the instances that know the users of domain \"%s\" can be written: change them where they "
           "are kept", user->domain->at.file, user->domain->at.line, user->domain->name);
  return NULL;
}

bool
ek_cli_user_change (const EkCliUser *user, char **words, GError **error)
{
  EkInstance *self = *words ? find_userdb (user, error) : NULL;

  for (; self && *words; words++) {
    g_autoptr (GError) why = NULL;
    Change change = { .name = user->name };
    if (!ek_cli_field (user->pool, *words, &change.field, &change.value, error))
      return false;
    EkStatus status = ek_cli_call (self, user->pool, run_change, &change, &why);
    if (status == EK_NOTFOUND)
      ek_fail (error, EK_FAIL, ENOENT, "there is no user %s in %s \"%s\": `ekiden user add` adds him", user->name, self->module->name, self->name);
    else if (status != EK_OK)
      ek_fail (error, status, why ? why->code : 0, "%s \"%s\": %s", self->module->name, self->name, why ? why->message : "it failed");
    if (status != EK_OK)
      return false;
  }
  return *words == NULL;
}

/* Asks for his password and sets it, where he is; false and *error. */
static bool
change_password (EkCliUser *user, GError **error)
{
  EkInstance *self = NULL, *other;

  for (guint i = 0; (other = ek_cli_bound (user->gen, user->domain, "auth", EK_TABLE_PASSDB, i)); i++)
    if (other->module->passdb && other->module->passdb->set && ek_cli_prefers (other, self))
      self = other;
  if (self == NULL) {
    ek_fail (error, EK_FAIL, ENOTSUP, "no passdb of domain \"%s\" can be written: change passwords where they are kept", user->domain->name);
    return false;
  }
  char *stored = ek_instance_start (self, error) ? ek_cli_stored (NULL, 0, NULL, error) : NULL;
  if (stored == NULL)
    return false;
  Change change = { .name = user->name, .value = ek_str (stored) };
  EkStatus status = ek_cli_call (self, user->pool, run_stored, &change, error);
  ek_wipe_free (stored);
  if (status == EK_NOTFOUND)
    ek_fail (error, EK_FAIL, ENOENT, "%s \"%s\" took no password for %s", self->module->name, self->name, user->name);
  return status == EK_OK;
}

/* Is he there at all?  Else a password that is set would make him. */
static bool exists (const EkCliUser *user, GError **error);

int
ek_cli_user_set (int argc, char **argv)
{
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" },
    { "password", 'p', 0, G_OPTION_ARG_NONE, &with_password, "Ask for a new password, too", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autoptr (GError) error = NULL;
  g_auto (EkCliUser) user = { 0 };
  int status;

  g_clear_pointer (&file, g_free);
  json = with_password = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "USER FIELD=VALUE... - change what is kept of a user", "Which fields there are, his backend says: "
                       "mostly active, quota, home, uid, gid. A size may have K, M or G behind it; nothing behind the = takes a field away.\n\n"
                       "Examples:\n  ekiden user set anna@example.com quota=2G\n  ekiden user set anna@example.com active=no\n"
                       "  ekiden user set anna@example.com --password home=/srv/anna", &status))
    return status;
  if (argc < 2 || (argc == 2 && !with_password))
    return ek_cli_usage ("user set takes the user's address and what to change: quota=2G");
  if (!ek_cli_fields_check (argv + 2, &error))
    return ek_cli_failed (error);
  if (!ek_cli_user_open (&user, file, argv[1], &error))
    return error ? ek_cli_failed (error) : EK_EXIT_FAILED;
  if ((with_password && (!exists (&user, &error) || !change_password (&user, &error))) || !ek_cli_user_change (&user, argv + 2, &error))
    return ek_cli_failed (error);
  EkBuf out = { 0 };
  EkJson j = { .out = &out };
  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "user", user.name);
    ek_json_text (&j, "done", "set");
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else
    ek_buf_printf (&out, "%s: set\n", user.name);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

/* ---- show ---- */

typedef struct {
  const char *name;
  EkAccount   account;
  EkUser      user;
  EkAnswer    row;
} Found;

static EkStatus
run_account (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->lookup (self, call, ((Found *) data)->name, &((Found *) data)->account);
}

static EkStatus
run_user (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->lookup (self, call, ((Found *) data)->name, &((Found *) data)->user);
}

static EkStatus
run_row (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->show (self, call, ((Found *) data)->name, &((Found *) data)->row);
}

/* The passdb that knows him, NULL: none, or *error. */
static EkInstance *
ask_passdbs (const EkCliUser *user, Found *found, GError **error)
{
  EkInstance *self;

  for (guint i = 0; *error == NULL && (self = ek_cli_bound (user->gen, user->domain, "auth", EK_TABLE_PASSDB, i)); i++)
    if (self->module->passdb && self->module->passdb->lookup && ek_instance_start (self, error)
        && ek_cli_call (self, user->pool, run_account, found, error) == EK_OK)
      return self;
  return NULL;
}

/* The userdb that knows him, by `run`: run_user, or run_row of those that have it. */
static EkInstance *
ask_userdbs (const EkCliUser *user, Found *found, EkOpRun run, GError **error)
{
  EkInstance *self;

  for (guint i = 0; *error == NULL && (self = userdb_at (user, i)); i++)
    if (ek_instance_offers (self, EK_TABLE_USERDB) && (run == run_user || self->module->userdb->show) && ek_instance_start (self, error)
        && ek_cli_call (self, user->pool, run, found, error) == EK_OK)
      return self;
  return NULL;
}

static bool
exists (const EkCliUser *user, GError **error)
{
  Found found = { .name = user->name };
  bool there = ask_userdbs (user, &found, run_row, error) || (*error == NULL && ask_passdbs (user, &found, error));

  if (!there && *error == NULL)
    ek_fail (error, EK_FAIL, ENOENT, "there is no user %s: `ekiden user add` adds him", user->name);
  return there;
}

static void
put_fields (EkBuf *out, EkJson *j, const EkParam *fields, guint n)
{
  for (guint i = 0; i < n; i++)
    ek_cli_put (out, j, fields[i].name, fields[i].value);
}

static void
put_number (EkBuf *out, EkJson *j, const char *name, gint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, number);

  if (j)
    ek_json_int (j, name, number);
  else
    ek_cli_put (out, NULL, name, ek_str (text));
}

static void
put_user (EkBuf *out, EkJson *j, const EkUser *user)
{
  if (user->home)
    ek_cli_put (out, j, "home", ek_str (user->home));
  if (user->mail)
    ek_cli_put (out, j, "mail", ek_str (user->mail));
  if (user->uid >= 0)
    put_number (out, j, "uid", user->uid);
  if (user->gid >= 0)
    put_number (out, j, "gid", user->gid);
  if (user->quota_bytes)
    put_number (out, j, "quota_bytes", (gint64) user->quota_bytes);
  put_fields (out, j, user->fields, user->n_fields);
}

/* The begin and end of what one instance says. */
static void
part (EkBuf *out, EkJson *j, const char *title, const EkInstance *self)
{
  if (j) {
    ek_json_object (j, title);
    ek_json_text (j, "instance", self->name);
  } else
    ek_buf_printf (out, "%s (%s \"%s\")\n", title, self->module->name, self->name);
}

static void
part_end (EkJson *j)
{
  if (j)
    ek_json_end_object (j);
}

static void
put_account (EkBuf *out, EkJson *j, const Found *found, const EkInstance *self)
{
  EkStr scheme = EK_STR ("");

  part (out, j, "login", self);
  if (found->account.stored.n > 0)
    ek_scheme_split (found->account.stored, &scheme);
  ek_cli_put (out, j, "password", found->account.stored.p == NULL ? EK_STR ("(not told)") : found->account.stored.n == 0 ? EK_STR ("(none)")
              : scheme.n ? scheme : EK_STR ("PLAIN"));
  put_fields (out, j, found->account.fields, found->account.n_fields);
  part_end (j);
}

int
ek_cli_user_show (int argc, char **argv)
{
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autoptr (GError) error = NULL;
  g_auto (EkCliUser) user = { 0 };
  int status;

  g_clear_pointer (&file, g_free);
  json = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "USER - show what is kept of a user", "What counts for his logins and his mail, and all that the "
                       "backend keeps; of his password, the scheme.\n\nExamples:\n  ekiden user show anna@example.com\n"
                       "  ekiden user show anna@example.com --json", &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("user show takes one word, the user's address");
  if (!ek_cli_user_open (&user, file, argv[1], &error))
    return error ? ek_cli_failed (error) : EK_EXIT_FAILED;
  Found found = { .name = user.name };
  EkInstance *passdb = ask_passdbs (&user, &found, &error);
  EkInstance *userdb = error ? NULL : ask_userdbs (&user, &found, run_user, &error);
  EkInstance *rows = error ? NULL : ask_userdbs (&user, &found, run_row, &error);
  if (error == NULL && passdb == NULL && rows == NULL && (userdb == NULL || found.user.assumed))
    ek_fail (&error, EK_FAIL, ENOENT, "there is no user %s", user.name);
  if (error)
    return ek_cli_failed (error);
  EkBuf out = { 0 };
  EkJson writer = { .out = &out }, *j = json ? &writer : NULL;
  if (j)
    ek_json_object (j, NULL);
  if (j)
    ek_json_text (j, "user", user.name);
  else
    ek_buf_printf (&out, "%s\n", user.name);
  if (passdb)
    put_account (&out, j, &found, passdb);
  if (userdb) {
    part (&out, j, "mail", userdb);
    put_user (&out, j, &found.user);
    part_end (j);
  }
  if (rows) {
    part (&out, j, "kept", rows);
    ek_cli_put_row (&out, j, &found.row);
    part_end (j);
  }
  if (j) {
    ek_json_end_object (j);
    ek_buf_appendc (&out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}
