/* file.c - users in a text file: Dovecot's passwd-file as passdb, userdb and map
 * SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "lookup/template.h"
#include <errno.h>
#include <string.h>

typedef struct {
  EkInstance   base;
  const char  *path, *scheme, *username_format, *uid, *gid, *home, *mail;
  gint64       uid_default, gid_default;
  EkTableFile *file;
} File;

static const EkOption options[] = {
  EK_OPTION (File, path, NULL, "The file: one user a line, as user:{SCHEME}password:uid:gid:gecos:home:shell:extra. "
             "Fields at the end of a line may be left out.  It is read again when it has changed."),
  EK_OPTION (File, scheme, "CRYPT", "The scheme of passwords that have no {SCHEME} in front."),
  EK_OPTION (File, username_format, "%u", "What is looked for in the first field: %u is the whole name, %n what is "
             "before the @, %d what is behind it; %Lu is in lower case."),
  EK_OPTION (File, uid, "", "The system user of those whose uid field is empty, as a number or a name."),
  EK_OPTION (File, gid, "", "The system group of those whose gid field is empty, as a number or a name."),
  EK_OPTION (File, home, "", "The home folder of those whose home field is empty: /var/mail/%d/%n."),
  EK_OPTION (File, mail, "", "The mailbox location of those who have no userdb_mail: maildir:~/Maildir."),
  EK_OPTIONS_END
};

static gboolean
file_init (EkInstance *base, GError **error)
{
  File *self = (File *) base;

  if (!ek_path_check ("path", self->path, error))
    return FALSE;
  if (!ek_template_check ("username_format", self->username_format, error)
      || !ek_template_check ("home", self->home, error) || !ek_template_check ("mail", self->mail, error))
    return FALSE;
  if (!ek_record_id (ek_str (self->uid), false, &self->uid_default)) {
    ek_fail (error, EK_FAIL, EINVAL, "uid: \"%s\" is neither a number nor a user of this system", self->uid);
    return FALSE;
  }
  if (!ek_record_id (ek_str (self->gid), true, &self->gid_default)) {
    ek_fail (error, EK_FAIL, EINVAL, "gid: \"%s\" is neither a number nor a group of this system", self->gid);
    return FALSE;
  }
  return TRUE;
}

static gboolean
file_start (EkInstance *base, GError **error)
{
  File *self = (File *) base;

  self->file = ek_table_file_open (base, self->path, &file_table_kind, self);
  return TRUE;
}

static void
file_stop (EkInstance *base)
{
  ek_table_file_free (((File *) base)->file);
  ((File *) base)->file = NULL;
}

static bool
file_at_hand (const EkInstance *base)
{
  const File *self = (const File *) base;

  if (!ek_table_file_at_hand (self->file))
    return false;
  const FileTable *table = ek_table_file_hold (self->file, NULL);
  bool yes = table && !file_table_names_system (table);
  if (table)
    ek_table_file_release (self->file, table);
  return yes;
}

/* Finds the user's line.  OK: release *table when done with the line. */
static EkStatus
find (File *self, EkCall *call, const char *name, const FileTable **table, FileLine *line)
{
  const char *key = ek_template_expand (call->pool, self->username_format, name, false, NULL);

  *table = ek_table_file_hold (self->file, &call->error);
  if (*table == NULL)
    return EK_DEFER;
  if (file_table_find (*table, ek_str (key), line))
    return EK_OK;
  ek_table_file_release (self->file, *table);
  *table = NULL;
  return EK_NOTFOUND;
}

/* ---- passdb ---- */

/* All extra fields, with the name put in where %u and its like stand. */
static const EkParam *
make_fields (EkPool *pool, EkStr extra, const char *name, guint *n)
{
  EkStr rest = extra, key, value;
  guint count = 0;

  while (file_extra_next (&rest, &key, &value))
    count++;
  EkParam *fields = ek_pool_newv (pool, EkParam, count + 1);
  for (*n = 0; *n < count && file_extra_next (&extra, &key, &value); ++*n) {
    const char *text = ek_pool_strndup (pool, value.p, value.n);
    if (strchr (text, '%'))
      text = ek_template_expand (pool, text, name, false, NULL);
    fields[*n] = (EkParam) { ek_pool_strndup (pool, key.p, key.n), ek_str (text) };
  }
  return fields;
}

static EkStatus
pass_lookup (EkInstance *base, EkCall *call, const char *name, EkAccount *account)
{
  File *self = (File *) base;
  const FileTable *table;
  FileLine line;
  EkStatus status = find (self, call, name, &table, &line);

  if (status != EK_OK)
    return status;
  if (line.pass.n == 0 || line.pass.p[0] == '{')
    account->stored = ek_pool_str (call->pool, line.pass);
  else
    account->stored = ek_str (ek_pool_printf (call->pool, "{%s}%.*s", self->scheme, EK_STR_ARG (line.pass)));
  account->fields = make_fields (call->pool, line.extra, name, &account->n_fields);
  ek_table_file_release (self->file, table);
  return EK_OK;
}

static EkStatus
write_user (File *self, EkCall *call, const char *name, EkStr stored)
{
  const char *key = ek_template_expand (call->pool, self->username_format, name, false, NULL);
  EkStatus status = file_rewrite (self->path, ek_str (key), stored, &call->error);

  if (status == EK_OK)
    ek_table_file_reload (self->file);
  return status;
}

static EkStatus
pass_set (EkInstance *base, EkCall *call, const char *name, EkStr stored)
{
  return write_user ((File *) base, call, name, stored.p ? stored : EK_STR (""));
}

static EkStatus
pass_replace (EkInstance *base, EkCall *call, const char *name, EkStr from, EkStr to)
{
  File *self = (File *) base;
  g_autofree char *prefix = g_strdup_printf ("{%s}", self->scheme);
  gsize n = strlen (prefix);
  const char *key = ek_template_expand (call->pool, self->username_format, name, false, NULL);
  bool may_lack = ek_str_starts (from, ek_str (prefix));     /* it may be there without */
  EkStr bare = may_lack ? (EkStr) { from.p + n, from.n - n } : EK_STR ("");

  EkStatus status = file_rehash (self->path, ek_str (key), from, bare, to, &call->error);
  if (status == EK_OK)
    ek_table_file_reload (self->file);
  return status;
}

static EkStatus
pass_remove (EkInstance *base, EkCall *call, const char *name)
{
  return write_user ((File *) base, call, name, (EkStr) { NULL, 0 });
}

/* ---- userdb ---- */

/* One userdb_ field, its prefix gone.  False: it goes to the user's other fields. */
static bool
set_user_field (EkUser *user, EkPool *pool, const char *key, EkStr value, bool *bad)
{
  if (strcmp (key, "uid") == 0 || strcmp (key, "gid") == 0)
    *bad |= !ek_record_id (value, key[0] == 'g', key[0] == 'g' ? &user->gid : &user->uid);
  else if (strcmp (key, "home") == 0)
    user->home = ek_pool_strndup (pool, value.p, value.n);
  else if (strcmp (key, "mail") == 0)
    user->mail = ek_pool_strndup (pool, value.p, value.n);
  else {
    if (strcmp (key, "quota_rule") == 0 || strcmp (key, "quota_storage_size") == 0)
      user->quota_bytes = ek_record_quota (value);
    return false;
  }
  return true;
}

static bool
set_user_extras (EkUser *user, EkPool *pool, EkStr extra)
{
  guint n;
  bool bad = false;
  const EkParam *all = make_fields (pool, extra, user->name, &n);
  EkParam *others = ek_pool_newv (pool, EkParam, n + 1);

  for (guint i = 0; i < n; i++)
    if (g_str_has_prefix (all[i].name, "userdb_") && all[i].name[7]) {
      const char *key = all[i].name + 7;
      if (!set_user_field (user, pool, key, all[i].value, &bad))
        others[user->n_fields++] = (EkParam) { key, all[i].value };
    }
  user->fields = others;
  return !bad;
}

static EkStatus
fill_user (File *self, EkPool *pool, const char *name, const FileLine *line, EkUser *user, GError **error)
{
  *user = (EkUser) { .name = ek_pool_strdup (pool, name), .uid = -1, .gid = -1 };
  bool known = ek_record_id (line->uid, false, &user->uid) && ek_record_id (line->gid, true, &user->gid);
  if (line->uid.n == 0)
    user->uid = self->uid_default;
  if (line->gid.n == 0)
    user->gid = self->gid_default;
  if (line->home.n > 0)
    user->home = ek_pool_strndup (pool, line->home.p, line->home.n);
  if (line->mail.n > 0)
    user->mail = ek_pool_strndup (pool, line->mail.p, line->mail.n);
  if (!set_user_extras (user, pool, line->extra) || !known)
    return ek_fail (error, EK_DEFER, ENOENT, "%s: the system user or group of \"%s\" is not known any more",
                    self->path, name);
  if (user->home == NULL && self->home && !(user->home = ek_template_expand (pool, self->home, name, true, error)))
    return EK_DEFER;
  if (user->mail == NULL && self->mail && !(user->mail = ek_template_expand (pool, self->mail, name, true, error)))
    return EK_DEFER;
  return EK_OK;
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  File *self = (File *) base;
  const FileTable *table;
  FileLine line;
  EkStatus status = find (self, call, name, &table, &line);

  if (status != EK_OK)
    return status;
  status = fill_user (self, call->pool, name, &line, user, &call->error);
  ek_table_file_release (self->file, table);
  return status;
}

static EkStatus
user_each (EkInstance *base, EkCall *call, void (*func) (const EkUser *, gpointer), gpointer data)
{
  File *self = (File *) base;
  const FileTable *table = ek_table_file_hold (self->file, &call->error);
  g_autoptr (EkPool) pool = ek_pool_new ();
  gsize at = 0;
  FileLine line;

  if (table == NULL)
    return EK_DEFER;
  while (!call->cancelled && file_table_next (table, &at, &line)) {
    EkUser user;
    g_autoptr (GError) ignored = NULL;           /* a user whose home cannot be told is a user too */
    (void) fill_user (self, pool, ek_pool_strndup (pool, line.user.p, line.user.n), &line, &user, &ignored);
    func (&user, data);
    ek_pool_clear (pool);
  }
  ek_table_file_release (self->file, table);
  return EK_OK;
}

static EkStatus
user_set (EkInstance *base, EkCall *call, const char *name, const char *field, EkStr value)
{
  File *self = (File *) base;
  const char *key = ek_template_expand (call->pool, self->username_format, name, false, NULL);
  EkStatus status = file_change (self->path, ek_str (key), field, value, &call->error);

  if (status == EK_OK)
    ek_table_file_reload (self->file);
  return status;
}

/* ---- map ---- */

/* The user's fields as columns, `user` first.  Never the password. */
static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  static const char *const fixed[] = { "user", "home", "mail", "uid", "gid" };
  EkUser user;
  if (query->key.n == 0 || memchr (query->key.p, '\0', query->key.n))
    return EK_NOTFOUND;
  EkStatus status = user_lookup (base, call, ek_pool_strndup (call->pool, query->key.p, query->key.n), &user);

  if (status != EK_OK)
    return status;
  guint n = G_N_ELEMENTS (fixed) + user.n_fields;
  const char **names = ek_pool_newv (call->pool, const char *, n);
  EkStr *cells = ek_pool_newv (call->pool, EkStr, n);
  memcpy (names, fixed, sizeof fixed);
  cells[0] = ek_str (user.name);
  cells[1] = ek_str (user.home);
  cells[2] = ek_str (user.mail);
  if (user.uid >= 0)
    cells[3] = ek_str (ek_pool_printf (call->pool, "%" G_GINT64_FORMAT, user.uid));
  if (user.gid >= 0)
    cells[4] = ek_str (ek_pool_printf (call->pool, "%" G_GINT64_FORMAT, user.gid));
  for (guint i = 0; i < user.n_fields; i++) {
    names[G_N_ELEMENTS (fixed) + i] = user.fields[i].name;
    cells[G_N_ELEMENTS (fixed) + i] = user.fields[i].value;
  }
  *answer = (EkAnswer) { .n_rows = 1, .n_columns = n, .names = names, .cells = cells };
  return EK_OK;
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = pass_lookup, .set = pass_set, .replace = pass_replace, .remove = pass_remove };
static const EkUserdbOps userdb = { .lookup = user_lookup, .each = user_each, .set = user_set };

EK_MODULE (file, .summary = "Users in a text file (Dovecot's passwd-file)", .options = options,
           .instance_size = sizeof (File), .init = file_init, .start = file_start, .stop = file_stop, .at_hand = file_at_hand,
           .map = &map, .passdb = &passdb, .userdb = &userdb);
