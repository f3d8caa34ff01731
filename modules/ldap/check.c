/* check.c - whether a block's rows make questions, and which
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/params.h"
#include "lookup/tablefile.h"
#include <errno.h>

static bool
wrong (GError **error, const char *text)
{
  ek_fail (error, EK_FAIL, EINVAL, "%s", text);
  return false;
}

static bool
read_template (Ldap *self, LdapTemplate **t, const char *option, LdapPlace place, const char *text, GError **error)
{
  if (text == NULL)
    return true;
  *t = ldapc_template_parse (self->pool, option, place, text, error);
  return *t != NULL;
}

/* Names that a map's question alone may have would find nobody.  `more` is what it has beside the user's name. */
static bool
check_params (const LdapTemplate *t, const char *more, GError **error)
{
  for (guint i = 0; t && i < t->n_params; i++)
    if (!ek_param_is_known (t->option, t->pieces[i].param, more, error))
      return false;
  return true;
}

/* Who is only looked for has no service and no client. */
static bool
is_for_logins (const LdapTemplate *t)
{
  return t && check_params (t, EK_LOGIN_HAS, NULL) && !check_params (t, NULL, NULL);
}

bool
ldapc_is_for_logins (const char *filter)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  return filter && is_for_logins (ldapc_template_parse (pool, "", LDAPC_FILTER, filter, NULL));
}

static bool
read_question (Ldap *self, LdapQuestion *q, const char *option, const char *filter, const char *columns_option, char *const *attributes,
               GError **error)
{
  LdapTemplate *t = NULL;

  if (!read_template (self, &t, option, LDAPC_FILTER, filter, error)
      || !(q->columns = ldapc_columns_parse (self->pool, columns_option, attributes, error)))
    return false;
  q->filter = t;
  if (t)
    q->attributes = ldapc_attributes (self->pool, q->columns, t);
  return true;
}

static bool
read_questions (Ldap *self, GError **error)
{
  const char *password = self->password_filter ? self->password_filter : self->user_filter;
  const char *user = self->user_filter ? self->user_filter : self->password_filter;
  const char *password_from = self->password_filter ? "password_filter" : "user_filter";
  const char *user_from = self->user_filter ? "user_filter" : "password_filter";

  if (!read_question (self, &self->map, "filter", self->filter, "attributes", self->attributes, error)
      || !read_question (self, &self->password, password_from, password, "password_attributes", self->password_attributes, error)
      || !read_question (self, &self->user, user_from, user, "user_attributes", self->user_attributes, error)
      || !read_question (self, &self->users, "users_filter", self->users_filter, "users_attributes", self->users_attributes, error)
      || !check_params (self->password.filter, self->password_filter ? EK_LOGIN_HAS : NULL, error)
      || !check_params (self->user.filter, self->user_filter ? NULL : EK_LOGIN_HAS, error))
    return false;
  if (self->map.filter && self->map.columns->n_columns == 0)
    return wrong (error, "attributes is empty: name the attributes whose values are the answer to filter");
  if (self->users.filter && self->users.filter->n_params)
    return wrong (error, "users_filter: it is for all users, so it has no parameters");
  if (self->users.filter && self->users.columns->n_columns != 1)
    return wrong (error, "users_attributes: one column is wanted, as \"mail=user\"");
  return true;
}

/* The entry of a password, where nobody logs in: mail, a command, a hash that is made anew. */
static bool
read_no_login (Ldap *self, GError **error)
{
  self->no_login = self->password;
  if (!is_for_logins (self->password.filter))
    return true;
  if (self->user_filter)
    return read_question (self, &self->no_login, "user_filter", self->user_filter, "password_attributes", self->password_attributes, error);
  self->no_login.filter = self->user.filter = NULL;
  return true;
}

static bool
read_names (Ldap *self, GError **error)
{
  bool searches = self->map.filter || self->password.filter || self->user.filter || self->users.filter;

  if (!read_template (self, &self->base_template, "base", LDAPC_DN, self->base ? self->base : "", error)
      || !read_template (self, &self->dn_template, "user_dn", LDAPC_DN, self->user_dn, error)
      || !check_params (self->dn_template, EK_LOGIN_HAS, error)
      || ((self->password.filter || self->user.filter) && !check_params (self->base_template, NULL, error)))      /* it is for users, too */
    return false;
  if (self->dn_template && !self->auth_bind)
    return wrong (error, "user_dn is for binds: set auth_bind = yes, or take it out");
  if (self->dn_template && self->dn_template->n_params == 0)
    return wrong (error, "user_dn names one entry for all users: write :user or :local where their name stands");
  if (self->users.filter && self->base_template->n_params)
    return wrong (error, "users_filter: base has parameters, so there is no place in which all users are");
  if (!searches && self->dn_template == NULL)
    return wrong (error, "it answers no question: set filter for a map, user_filter for users and passwords, or auth_bind and user_dn");
  return true;
}

static bool
check_rest (Ldap *self, GError **error)
{
  if ((self->bind_dn != NULL) != (self->bind_password.len > 0))
    return wrong (error, "bind_dn and bind_password go together: servers take a name without a password for nobody");
  if (self->writable && self->bind_dn == NULL)
    return wrong (error, "writable: entries are changed as bind_dn, which is not set");
  return !self->tls_verify || ek_path_check ("ca_file", self->ca_file, error);
}

bool
ldapc_check (Ldap *self, GError **error)
{
  return ldapc_servers_parse (self, error) && read_questions (self, error) && read_names (self, error) && read_no_login (self, error)
         && ek_record_defaults (&self->defaults, self->scheme, self->home, self->mail, self->uid, self->gid, error) && check_rest (self, error);
}
