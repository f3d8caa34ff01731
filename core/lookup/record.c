/* record.c - rows of a database as accounts and users
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/record.h"
#include "auth/scheme.h"
#include "lookup/template.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#define ID_MAX 4294967294u

/* ---- words ---- */

bool
ek_record_id (EkStr text, bool group, gint64 *id)
{
  guint64 number;
  char name[256], buf[8192];
  struct passwd pw, *user = NULL;
  struct group gr, *found = NULL;

  *id = -1;
  if (text.n == 0)
    return true;
  if (ek_str_u64 (text, ID_MAX, &number)) {
    *id = (gint64) number;
    return true;
  }
  if (text.n >= sizeof name || g_ascii_isdigit (text.p[0]))
    return false;
  memcpy (name, text.p, text.n);
  name[text.n] = '\0';
  if (group && getgrnam_r (name, &gr, buf, sizeof buf, &found) == 0 && found)
    *id = found->gr_gid;
  else if (!group && getpwnam_r (name, &pw, buf, sizeof buf, &user) == 0 && user)
    *id = user->pw_uid;
  return *id >= 0;
}

guint64
ek_record_quota (EkStr rule)
{
  static const char units[] = "BKMGT";
  guint64 number, unit = 1024;         /* storage= counts KB */

  if (ek_str_starts (rule, EK_STR ("*:")))
    rule = (EkStr) { rule.p + 2, rule.n - 2 };
  if (ek_str_starts (rule, EK_STR ("storage=")))
    rule = (EkStr) { rule.p + 8, rule.n - 8 };
  else if (ek_str_starts (rule, EK_STR ("bytes="))) {
    rule = (EkStr) { rule.p + 6, rule.n - 6 };
    unit = 1;
  }
  const char *letter = rule.n > 1 ? strchr (units, g_ascii_toupper (rule.p[rule.n - 1])) : NULL;
  if (letter && *letter) {
    unit = (guint64) 1 << 10 * (letter - units);
    rule.n--;
  }
  return ek_str_u64 (rule, G_MAXUINT64 / unit, &number) ? number * unit : 0;
}

static EkStatus
one_row (const EkAnswer *answer, GError **error)
{
  if (answer->n_rows == 0)
    return EK_NOTFOUND;
  if (answer->n_rows > 1)
    return ek_fail (error, EK_DEFER, EINVAL, "the query gives %u rows for one name: make it give one", answer->n_rows);
  return EK_OK;
}

static bool
is (const char *name, const char *word)
{
  return g_ascii_strcasecmp (name, word) == 0;
}

/* Columns as fields, in lower case, without what is NULL and the column `but`. */
static const EkParam *
fields_of (EkPool *pool, const EkAnswer *answer, const char *but, guint *n)
{
  EkParam *fields = ek_pool_newv (pool, EkParam, answer->n_columns + 1);

  *n = 0;
  for (guint i = 0; answer->names && i < answer->n_columns; i++) {
    if (answer->cells[i].p == NULL || is (answer->names[i], but))
      continue;
    char *name = ek_pool_strdup (pool, answer->names[i]);
    for (char *p = name; *p; p++)
      *p = g_ascii_tolower (*p);
    fields[(*n)++] = (EkParam) { name, answer->cells[i] };
  }
  return fields;
}

/* ---- accounts ---- */

EkStatus
ek_record_account (EkPool *pool, const EkAnswer *answer, const EkRecordDefaults *defaults, EkAccount *account, GError **error)
{
  EkStatus status = one_row (answer, error);
  guint at = 0;

  *account = (EkAccount) { 0 };
  if (status != EK_OK)
    return status;
  while (at < answer->n_columns && answer->names && !is (answer->names[at], "password"))
    at++;
  if (at == answer->n_columns)
    return ek_fail (error, EK_DEFER, EINVAL, "the query gives no column \"password\"");
  EkStr secret = answer->cells[at];
  if (secret.n == 0 || secret.p[0] == '{')
    account->stored = secret.p ? secret : EK_STR ("");
  else
    account->stored = ek_str (ek_pool_printf (pool, "{%s}%.*s", defaults->scheme, EK_STR_ARG (secret)));
  account->fields = fields_of (pool, answer, "password", &account->n_fields);
  return EK_OK;
}

EkStr
ek_record_without_scheme (const EkRecordDefaults *defaults, EkStr stored)
{
  EkStr scheme, rest = ek_scheme_split (stored, &scheme);

  return ek_str_eq (scheme, ek_str (defaults->scheme)) ? rest : (EkStr) { NULL, 0 };
}

/* ---- users ---- */

/* One column; false: it stays a field. */
static bool
take_column (EkPool *pool, EkUser *user, const char *name, EkStr value, GError **error, EkStatus *status)
{
  if (strcmp (name, "home") == 0)
    user->home = ek_pool_strndup (pool, value.p, value.n);
  else if (strcmp (name, "mail") == 0)
    user->mail = ek_pool_strndup (pool, value.p, value.n);
  else if (strcmp (name, "uid") == 0 || strcmp (name, "gid") == 0) {
    bool group = name[0] == 'g';
    if (!ek_record_id (value, group, group ? &user->gid : &user->uid))
      *status = ek_fail (error, EK_DEFER, ENOENT, "%s of \"%s\": \"%.*s\" is neither a number nor a %s of this system", name,
                         user->name, (int) MIN (value.n, 40), value.p, group ? "group" : "user");
  }
  else if (strcmp (name, "quota_bytes") == 0)
    ek_str_u64 (value, G_MAXUINT64, &user->quota_bytes);
  else {
    if (strcmp (name, "quota_rule") == 0 || strcmp (name, "quota_storage_size") == 0)
      user->quota_bytes = ek_record_quota (value);
    return false;
  }
  return true;
}

EkStatus
ek_record_user (EkPool *pool, const EkAnswer *answer, const EkRecordDefaults *defaults, const char *name, EkUser *user, GError **error)
{
  EkStatus status = one_row (answer, error);
  guint n;

  if (status != EK_OK)
    return status;
  *user = (EkUser) { .name = ek_pool_strdup (pool, name), .uid = -1, .gid = -1 };
  const EkParam *all = fields_of (pool, answer, "password", &n);
  EkParam *others = ek_pool_newv (pool, EkParam, n + 1);
  for (guint i = 0; i < n && status == EK_OK; i++)
    if (!take_column (pool, user, all[i].name, all[i].value, error, &status))
      others[user->n_fields++] = all[i];
  user->fields = others;
  if (user->uid < 0)
    user->uid = defaults->uid;
  if (user->gid < 0)
    user->gid = defaults->gid;
  if (status == EK_OK && user->home == NULL && defaults->home
      && !(user->home = ek_template_expand (pool, defaults->home, name, true, error)))
    status = EK_DEFER;
  if (status == EK_OK && user->mail == NULL && defaults->mail
      && !(user->mail = ek_template_expand (pool, defaults->mail, name, true, error)))
    status = EK_DEFER;
  return status;
}

static bool
read_id (const char *option, const char *text, bool group, gint64 *id, GError **error)
{
  if (ek_record_id (ek_str (text), group, id))
    return true;
  ek_fail (error, EK_FAIL, EINVAL, "%s: \"%s\" is neither a number nor a %s of this system", option, text, group ? "group" : "user");
  return false;
}

bool
ek_record_defaults (EkRecordDefaults *defaults, const char *scheme, const char *home, const char *mail, const char *uid, const char *gid,
                    GError **error)
{
  *defaults = (EkRecordDefaults) { .scheme = scheme, .home = home, .mail = mail };
  return ek_template_check ("home", home, error) && ek_template_check ("mail", mail, error)
         && read_id ("uid", uid, false, &defaults->uid, error) && read_id ("gid", gid, true, &defaults->gid, error);
}
