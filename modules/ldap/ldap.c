/* ldap.c - maps, passwords and users in a directory: the block and its three tables
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/params.h"
#include <errno.h>
#include <string.h>

static const EkOption options[] = {
  EK_OPTION (Ldap, uris, NULL, "The servers: ldap://HOST, ldaps://HOST or ldapi://PATH (its slashes as %2F), with a port where it is another "
             "one. The first that answers is used, and kept as long as it does."),
  EK_OPTION (Ldap, tls, "auto", "auto: ldap:// begins in plain and goes on with TLS (StartTLS), but for addresses of this machine. starttls: "
             "for these too. on: ldaps:// alone is taken. off: ldap:// is plain. With ldaps:// there is always TLS, with ldapi:// never.",
             .allow = "auto|starttls|on|off"),
  EK_OPTION (Ldap, tls_verify, "yes", "A server whose certificate is not from an authority of ca_file, or for another name than the one in "
             "uris, is not talked to."),
  EK_OPTION (Ldap, ca_file, "/etc/ssl/certs/ca-certificates.crt", "The certificates of the authorities that are trusted (PEM)."),
  EK_OPTION (Ldap, bind_dn, "", "Whom searches are made as: \"cn=mail,ou=services,dc=example,dc=com\". Empty: nobody (anonymous)."),
  EK_OPTION (Ldap, bind_password, "", "The password of bind_dn, mostly file(\"...\")."),
  EK_OPTION (Ldap, base, "", "Below which entry to search: \"ou=people,dc=example,dc=com\". May hold parameters as filters do: "
             "\"ou=people,o=:domain,dc=example\"."),
  EK_OPTION (Ldap, scope, "sub", "sub: all below base. one: only right below. base: the entry itself.", .allow = "sub|one|base"),
  EK_OPTION (Ldap, filter, "", "As a map: which entries are the answer: \"(mailLocalAddress=:address)\". A parameter stands where a value does "
             "and is escaped: :key (also :user or :address), :local and :domain (what is before and behind its @), and others that a "
             "question brings, as :service or :client."),
  EK_OPTION (Ldap, attributes, "[]", "As a map: the attributes whose values are the answer: \"attribute\", \"attribute=column\", or "
             "\"=column=text\" for a fixed one. Each value is a row of its own."),
  EK_OPTION (Ldap, password_filter, "", "As a passdb: finds the entry of :user. Of a login there are :service (smtp, imap) and :client (its "
             "address), too: \"(&(mail=:user)(authorizedService=:service))\"; then user_filter finds users where nobody logs in. Empty: "
             "user_filter."),
  EK_OPTION (Ldap, password_attributes, "\"userPassword=password\"", "As a passdb: what of the entry a login obeys: the column password, and "
             "nologin, allow_nets, user, userdb_..."),
  EK_OPTION (Ldap, user_filter, "", "As a userdb: finds the entry of :user: \"(&(objectClass=posixAccount)(mail=:user))\". Empty: "
             "password_filter, if that is not for logins alone."),
  EK_OPTION (Ldap, user_attributes, "[]", "As a userdb: the attributes that give home, mail, uid, gid, quota_rule, or what else is to be known "
             "of a user: \"homeDirectory=home\", \"uidNumber=uid\", \"=quota_rule=1G\"."),
  EK_OPTION (Ldap, users_filter, "", "Finds the entries of all users: \"(objectClass=posixAccount)\"."),
  EK_OPTION (Ldap, users_attributes, "\"mail=user\"", "The attribute that gives the column user for each of them."),
  EK_OPTION (Ldap, auth_bind, "no", "As a passdb: the server itself checks passwords, by a bind as the user's entry, so that bind_dn need not "
             "read them."),
  EK_OPTION (Ldap, user_dn, "", "With auth_bind: the name of the user's entry, so that it is not searched for first: "
             "\"uid=:local,ou=people,dc=example,dc=com\". May hold :service and :client, too."),
  EK_OPTION (Ldap, writable, "no", "Entries may be changed, as bind_dn: their password by auth.rehash and `ekiden user passwd`, the attributes of "
             "user_attributes by `ekiden user set`. They are made and deleted with the directory's own tools."),
  EK_OPTION (Ldap, exact, "yes", "An entry whose attribute differs from the name that was asked for in more than the case of letters is none: "
             "directories take full-width letters and doubled blanks for the same."),
  EK_OPTION (Ldap, referrals, "no", "What a server says that another one holds is looked for there. Only servers of uris are told bind_dn and "
             "passwords. Without it such parts of an answer are left out."),
  EK_OPTION (Ldap, size_limit, "1000", "As a map: the most entries that an answer may have.", .allow = "1..10000"),
  EK_OPTION (Ldap, connect_timeout, "5s", "How long connecting to one server may take, with TLS and the bind.", .allow = "100ms..5m"),
  EK_OPTION (Ldap, timeout, "10s", "How long a server may take to answer.", .allow = "100ms..10m"),
  EK_OPTION (Ldap, scheme, "PLAIN", "The scheme of passwords that have no {SCHEME} in front."),
  EK_OPTION (Ldap, home, "", "The home folder of those whose entry gives none: /var/mail/%d/%n."),
  EK_OPTION (Ldap, mail, "", "The mailbox location of those whose entry gives none: maildir:~/Maildir."),
  EK_OPTION (Ldap, uid, "", "The system user of those whose entry gives none, as a number or a name."),
  EK_OPTION (Ldap, gid, "", "The system group of those whose entry gives none, as a number or a name."),
  EK_OPTIONS_END
};

static const char *
lacks (const EkInstance *base, const char *table)
{
  const Ldap *self = (const Ldap *) base;
  bool searches = self->user_filter || self->password_filter;
  bool logins = self->user_filter == NULL && ldapc_is_for_logins (self->password_filter);

  if (strcmp (table, "map") == 0)
    return self->filter ? NULL : "filter is not set";
  if (strcmp (table, "passdb") == 0)
    return searches || (self->auth_bind && self->user_dn) ? NULL : "neither password_filter nor user_filter is set, nor auth_bind and user_dn";
  if (strcmp (table, "change") == 0)
    return self->writable ? NULL : "writable is not set";
  if (logins && strcmp (table, "userdb") == 0)
    return "user_filter is not set, and password_filter is for logins alone: it has :service or :client";
  return searches || strcmp (table, "userdb") != 0 ? NULL : "neither user_filter nor password_filter is set";
}

static void
stop (EkInstance *base)
{
  Ldap *self = (Ldap *) base;

  SSL_CTX_free (self->context);
  self->context = NULL;
  pthread_mutex_destroy (&self->lock);
  g_clear_pointer (&self->pool, ek_pool_free);
}

static gboolean
init (EkInstance *base, GError **error)
{
  Ldap *self = (Ldap *) base;
  int version;

  ldap_get_option (NULL, LDAP_OPT_PROTOCOL_VERSION, &version);     /* the library sets itself up, before there are threads that use it */
  pthread_mutex_init (&self->lock, NULL);
  self->pool = ek_pool_new ();
  self->scope_number = self->scope[0] == 's' ? LDAP_SCOPE_SUBTREE : self->scope[0] == 'o' ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_BASE;
  if (ldapc_check (self, error))
    return TRUE;
  stop (base);
  return FALSE;
}

/* ---- connections of a thread ---- */

typedef struct {
  LdapConn *main;                    /* searches, as bind_dn */
  LdapConn *binder;                  /* binds of users, to the same server; NULL: none yet */
} Conn;

static void
close_conns (EkInstance *base, gpointer data)
{
  Conn *conn = data;

  ldapc_close (conn->binder);
  ldapc_close (conn->main);
  g_free (conn);
}

static gpointer
open_conns (EkInstance *base, GError **error)
{
  Ldap *self = (Ldap *) base;
  guint first = atomic_load (&self->first) % self->n_servers;
  EkBuf said = { 0 };
  LdapConn *made = NULL;

  for (guint i = 0; i < self->n_servers && made == NULL; i++) {
    guint at = (first + i) % self->n_servers;
    g_autoptr (GError) why = NULL;
    made = ldapc_open (self, &self->servers[at], g_get_monotonic_time () + self->connect_timeout.us, NULL, true, &why);
    if (made)
      atomic_store (&self->first, at);
    else
      ek_buf_printf (&said, "%s%s", i ? "; " : "", why->message);
  }
  if (made == NULL)
    ek_fail (error, EK_DEFER, 0, "%.*s", EK_STR_ARG (ek_buf_str (&said)));
  ek_buf_release (&said);
  if (made == NULL)
    return NULL;
  Conn *conn = g_new0 (Conn, 1);
  conn->main = made;
  return conn;
}

/* What ends with DEFER gives up its connection, and the next one is made to the same server: if that has gone, connecting finds another.
 * But one that takes connections and answers nothing would be taken again and again. */
static EkStatus
done (Ldap *self, const EkCall *call, EkStatus status)
{
  const Conn *conn = call->conn;
  guint at = (guint) (conn->main->server - self->servers);

  if (status == EK_DEFER && (conn->main->sick || (conn->binder && conn->binder->sick)))
    atomic_compare_exchange_strong (&self->first, &at, (at + 1) % self->n_servers);
  return status;
}

/* ---- asking ---- */

typedef struct {                     /* one question under way */
  Ldap               *self;
  EkCall             *call;
  const EkLogin      *login;         /* that it is for; NULL: none */
  const LdapQuestion *question;
  const EkQuery      *query;
  LdapRows            rows;
  char               *dn;            /* of the last entry, in the call's pool */
  const LdapServer   *at;            /* which holds it */
} Ask;

static EkStatus
take_entry (LdapConn *at, LDAPMessage *entry, gpointer data)
{
  Ask *ask = data;

  EkStatus same = ask->self->exact ? ldapc_is_same (at, ask->call, entry, ask->question->filter, ask->query) : EK_OK;
  if (same != EK_OK)
    return same;
  char *dn = ldap_get_dn (at->ld, entry);
  ask->dn = ek_pool_strdup (ask->call->pool, dn ? dn : "");
  ldap_memfree (dn);
  ask->at = at->server;
  return ldapc_rows_add (&ask->rows, at, entry);
}

/* All that the question finds; NOTFOUND: nothing. */
static EkStatus
ask_all (Ask *ask, guint limit, const char *option, EkAnswer *answer)
{
  Ldap *self = ask->self;
  EkPool *pool = ask->call->pool;
  char *base = NULL, *filter = NULL;

  if (ask->question->filter == NULL)
    return ek_fail (&ask->call->error, EK_DEFER, EINVAL, "%s is not set", option);
  EkStatus status = ldapc_template_expand (self->base_template, pool, ask->query, &base, &ask->call->error);
  if (status == EK_OK)
    status = ldapc_template_expand (ask->question->filter, pool, ask->query, &filter, &ask->call->error);
  if (status != EK_OK)
    return status;
  LdapSearch search = {
    .call = ask->call, .base = base, .filter = filter, .scope = self->scope_number, .attributes = ask->question->attributes,
    .limit = limit, .base_varies = self->base_template->n_params > 0, .entry = take_entry, .data = ask,
  };
  ask->rows.call = ask->call;
  ask->rows.pool = pool;
  ask->rows.columns = ask->question->columns;
  ask->rows.user = ek_pool_strndup (pool, ask->query->key.p, ask->query->key.n);
  status = ldapc_search (((Conn *) ask->call->conn)->main, &search);
  ldapc_rows_end (&ask->rows, answer);
  return status == EK_OK && answer->n_rows == 0 ? EK_NOTFOUND : status;
}

static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Ldap *self = (Ldap *) base;
  Ask ask = { .self = self, .call = call, .question = &self->map, .query = query };

  *answer = (EkAnswer) { 0 };
  return done (self, call, ask_all (&ask, (guint) self->size_limit, "filter", answer));
}

/* ---- passwords ---- */

/* With auth_bind the account has no password that could be compared. */
static EkStatus
bound_account (EkPool *pool, const EkAnswer *answer, const EkRecordDefaults *defaults, EkAccount *account, GError **error)
{
  EkAnswer with = { 1, answer->n_columns + 1, NULL, NULL };

  with.names = ek_pool_newv (pool, const char *, with.n_columns + 1);
  with.cells = ek_pool_newv (pool, EkStr, with.n_columns);
  with.names[0] = "password";
  for (guint i = 0; i < answer->n_columns; i++) {
    with.names[i + 1] = answer->names[i];
    with.cells[i + 1] = answer->cells[i];
  }
  EkStatus status = ek_record_account (pool, &with, defaults, account, error);
  account->stored = (EkStr) { NULL, 0 };
  return status;
}

/* The one entry of a user. */
static EkStatus
find_entry (Ask *ask, const LdapQuestion *question, const char *option, const char *name, EkAnswer *answer)
{
  EkParam params[EK_LOGIN_PARAMS];
  EkQuery query = { .key = ek_str (name), .params = params, .n_params = ek_login_params (ask->login, params),
                    .by_client = &ask->call->by_client };

  ask->question = question;
  ask->query = &query;
  ask->rows.record = true;
  EkStatus status = ask_all (ask, 1, option, answer);
  ask->query = NULL;
  return status;
}

static const char no_login[] = "nobody logs in, so there is no :service and no :client: set user_filter, which finds users without them";

static bool
needs_login (const Ldap *self)
{
  return self->password.filter && self->no_login.filter == NULL;
}

/* The entry that holds his password.  Nobody is unknown because a question could not be asked. */
static EkStatus
find_password_entry (Ask *ask, const char *name, EkAnswer *answer)
{
  const Ldap *self = ask->self;

  if (ask->login == NULL && needs_login (self))
    return ek_fail (&ask->call->error, EK_DEFER, EINVAL, "%s", no_login);
  return find_entry (ask, ask->login ? &self->password : &self->no_login, "password_filter", name, answer);
}

static EkStatus
find_account (Ask *ask, const char *name, EkAccount *account)
{
  Ldap *self = ask->self;
  EkAnswer answer;
  EkStatus status = find_password_entry (ask, name, &answer);

  if (status != EK_OK)
    return status;
  if (self->auth_bind)
    return bound_account (ask->call->pool, &answer, &self->defaults, account, &ask->call->error);
  status = ek_record_account (ask->call->pool, &answer, &self->defaults, account, &ask->call->error);
  if (status == EK_OK && ek_answer_column (&answer, "password").p == NULL)       /* rights that were lost look like this */
    return ek_fail (&ask->call->error, EK_DEFER, EACCES, "%.200s shows no password: let bind_dn read it, or set auth_bind = yes", ask->dn);
  return status;
}

static EkStatus
pass_lookup (EkInstance *base, EkCall *call, const char *name, EkAccount *account)
{
  Ask ask = { .self = (Ldap *) base, .call = call, .login = call->login };

  return done (ask.self, call, find_account (&ask, name, account));
}

static EkStatus
bind_on (LdapConn *conn, const char *dn, EkStr secret, bool templated, GError **error)
{
  g_autoptr (GError) why = NULL;
  int code = ldapc_bind (conn, dn, secret, &why);

  if (code == LDAP_SUCCESS)
    return EK_OK;
  if (code == LDAP_INVALID_CREDENTIALS)
    return EK_FAIL;
  if (code == LDAP_NO_SUCH_OBJECT && templated)
    return EK_NOTFOUND;
  return ek_fail (error, EK_DEFER, why->code, "%s", why->message);
}

/* A connection of its own for binds, so that searches stay bind_dn's. */
static EkStatus
bind_as (Ask *ask, const LdapServer *at, const char *dn, EkStr secret, bool templated)
{
  Ldap *self = ask->self;
  EkCall *call = ask->call;
  Conn *conn = call->conn;
  bool here = at == conn->main->server;
  LdapConn *binder = here ? conn->binder : NULL;

  if (!here && !ldapc_is_own (self, at))
    return ek_fail (&call->error, EK_DEFER, EPERM, "%.200s lies at %s, which is none of uris: no password is sent there", dn, at->uri);
  if (binder == NULL) {
    gint64 until = g_get_monotonic_time () + self->connect_timeout.us;
    binder = ldapc_open (self, at, call->deadline ? MIN (until, call->deadline) : until, call, false, &call->error);
    if (binder == NULL)
      return EK_DEFER;
  }
  ldapc_begin (binder, call);
  EkStatus status = bind_on (binder, dn, secret, templated, &call->error);
  ldapc_end (binder);
  if (here)
    conn->binder = binder;
  else
    ldapc_close (binder);
  return status;
}

static EkStatus
verify_by_bind (Ask *ask, const EkLogin *login, EkAccount *account)
{
  const LdapServer *at = ((Conn *) ask->call->conn)->main->server;
  EkParam params[EK_LOGIN_PARAMS];
  EkQuery query = { .key = ek_str (login->name), .params = params, .n_params = ek_login_params (login, params),
                    .by_client = &ask->call->by_client };
  bool templated = ask->self->dn_template != NULL;
  EkStatus status;

  if (login->secret.n == 0)          /* a bind without a password is nobody's, and succeeds (RFC 4513 section 5.1.2) */
    return EK_FAIL;
  if (templated)
    status = ldapc_template_expand (ask->self->dn_template, ask->call->pool, &query, &ask->dn, &ask->call->error);
  else {
    status = find_account (ask, login->name, account);
    at = ask->at;
  }
  return status == EK_OK ? bind_as (ask, at, ask->dn, login->secret, templated) : status;
}

static EkStatus
pass_verify (EkInstance *base, EkCall *call, const EkLogin *login, EkAccount *account)
{
  Ask ask = { .self = (Ldap *) base, .call = call, .login = login };

  return done (ask.self, call, verify_by_bind (&ask, login, account));
}

static bool
pass_verifies (const EkInstance *base)
{
  return ((const Ldap *) base)->auth_bind;
}

/* ---- users ---- */

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  Ldap *self = (Ldap *) base;
  Ask ask = { .self = self, .call = call };
  EkAnswer answer;
  EkStatus status = find_entry (&ask, &self->user, "user_filter", name, &answer);

  if (status == EK_OK)
    status = ek_record_user (call->pool, &answer, &self->defaults, name, user, &call->error);
  return done (self, call, status);
}

typedef struct {
  Ldap    *self;
  EkCall  *call;
  EkPool  *pool;
  void   (*func) (const EkUser *user, gpointer data);
  gpointer data;
} Each;

static EkStatus
tell_users (LdapConn *at, LDAPMessage *entry, gpointer data)
{
  Each *e = data;
  LdapRows rows = { .call = e->call, .pool = e->pool, .columns = e->self->users.columns };
  EkAnswer names;
  EkStatus status = ldapc_rows_add (&rows, at, entry);

  ldapc_rows_end (&rows, &names);
  for (guint i = 0; i < names.n_rows; i++)
    if (names.cells[i].n && strlen (names.cells[i].p) == names.cells[i].n)
      e->func (&(EkUser) { .name = names.cells[i].p, .uid = -1, .gid = -1 }, e->data);
  ek_pool_clear (e->pool);
  return e->call->cancelled ? ek_fail (&e->call->error, EK_DEFER, ECANCELED, "nobody waits for it any more") : status;
}

static EkStatus
user_each (EkInstance *base, EkCall *call, void (*func) (const EkUser *, gpointer), gpointer data)
{
  Ldap *self = (Ldap *) base;
  g_autoptr (EkPool) pool = ek_pool_new ();
  Each each = { self, call, pool, func, data };
  char *filter = NULL, *below = NULL;
  EkQuery nobody = { .key = EK_STR ("") };

  if (self->users.filter == NULL)
    return EK_NOTFOUND;                /* it cannot list */
  if (ldapc_template_expand (self->users.filter, call->pool, &nobody, &filter, &call->error) != EK_OK
      || ldapc_template_expand (self->base_template, call->pool, &nobody, &below, &call->error) != EK_OK)
    return EK_DEFER;
  LdapSearch search = {
    .call = call, .base = below, .filter = filter, .scope = self->scope_number, .attributes = self->users.attributes,
    .entry = tell_users, .data = &each,
  };
  return done (self, call, ldapc_search (((Conn *) call->conn)->main, &search));
}

/* ---- changes ---- */

/* The attribute that alone gives a column; NULL: there is none. */
static const char *
attribute_of (const LdapColumns *columns, const char *column)
{
  const char *found = NULL;

  for (guint i = 0; i < columns->n_sources; i++) {
    const LdapSource *source = &columns->sources[i];
    if (source->attribute == NULL || strcmp (columns->names[source->column], column) != 0)
      continue;
    if (found)
      return NULL;
    found = source->attribute;
  }
  return found;
}

/* A quota may be told in one of three ways. */
static const char *
column_of (const LdapColumns *columns, const char *field)
{
  static const char *const quotas[] = { "quota_bytes", "quota_storage_size", "quota_rule" };

  for (guint i = 0; i < G_N_ELEMENTS (quotas) && strcmp (field, "quota") == 0; i++)
    if (attribute_of (columns, quotas[i]))
      return quotas[i];
  return field;
}

static EkStatus
read_only (EkCall *call)
{
  return ek_fail (&call->error, EK_FAIL, EROFS, "it is read-only: set writable = yes, and give bind_dn the right to write");
}

/* Who may write the password, and where; NULL and an error. */
static const char *
password_attribute (const Ldap *self, EkCall *call)
{
  const char *attribute = attribute_of (self->password.columns, "password");

  if (self->writable && attribute && !needs_login (self))
    return attribute;
  if (!self->writable)
    (void) read_only (call);
  else if (attribute == NULL)
    ek_fail (&call->error, EK_FAIL, EROFS, "password_attributes names no one attribute for the password: add \"userPassword=password\"");
  else
    ek_fail (&call->error, EK_FAIL, EROFS, "%s", no_login);
  return NULL;
}

static EkStatus
change (Ask *ask, const char *attribute, EkStr from, EkStr to)
{
  LdapChange it = { .call = ask->call, .dn = ask->dn, .attribute = attribute, .from = from, .to = to };

  return ldapc_change (((Conn *) ask->call->conn)->main, ask->at, &it);
}

/* The entry, the attribute that holds its password, and what that is; FAIL and an error: it may not be written. */
static EkStatus
find_password (Ask *ask, const char *name, const char **attribute, EkStr *is)
{
  EkAnswer answer;

  *attribute = password_attribute (ask->self, ask->call);
  if (*attribute == NULL)
    return EK_FAIL;
  EkStatus status = find_password_entry (ask, name, &answer);
  *is = status == EK_OK ? ek_answer_column (&answer, "password") : (EkStr) { NULL, 0 };
  return status;
}

static EkStatus
pass_set (EkInstance *base, EkCall *call, const char *name, EkStr stored)
{
  Ask ask = { .self = (Ldap *) base, .call = call };
  const char *attribute;
  EkStr is;
  EkStatus status = find_password (&ask, name, &attribute, &is);

  if (status == EK_NOTFOUND)
    return ek_fail (&call->error, EK_FAIL, ENOENT, "no entry is found for \"%s\": make it with the directory's own tools", name);
  if (status == EK_OK)
    status = change (&ask, attribute, (EkStr) { NULL, 0 }, ldapc_stored (call->pool, stored));
  return done (ask.self, call, status);
}

static EkStatus
pass_replace (EkInstance *base, EkCall *call, const char *name, EkStr from, EkStr to)
{
  Ask ask = { .self = (Ldap *) base, .call = call };
  const char *attribute;
  EkStr is, bare = ek_record_without_scheme (&ask.self->defaults, from);
  EkStatus status = find_password (&ask, name, &attribute, &is);

  if (status == EK_OK && (is.n == 0 || (!ek_str_eq (is, from) && !ek_str_eq (is, bare))))
    status = EK_NOTFOUND;              /* somebody has changed it, or taken it away */
  if (status == EK_OK)
    status = change (&ask, attribute, is, ldapc_stored (call->pool, to));
  return done (ask.self, call, status);
}

static EkStatus
user_set (EkInstance *base, EkCall *call, const char *name, const char *field, EkStr value)
{
  Ldap *self = (Ldap *) base;
  Ask ask = { .self = self, .call = call };
  const LdapQuestion *from = self->user.filter ? &self->user : &self->password;
  const char *column = column_of (from->columns, field), *attribute = attribute_of (from->columns, column);
  EkAnswer answer;

  if (!self->writable)
    return read_only (call);
  if (attribute == NULL && (attribute = attribute_of (self->password.columns, column)))
    from = &self->no_login;
  if (attribute == NULL || strcmp (column, "password") == 0)
    return ek_fail (&call->error, EK_FAIL, EINVAL, "it has no field \"%s\": those that can be set are the columns of user_attributes and "
                    "password_attributes that one attribute gives", field);
  EkStatus status = find_entry (&ask, from, "user_filter", name, &answer);
  return done (self, call, status == EK_OK ? change (&ask, attribute, (EkStr) { NULL, 0 }, ldapc_field (call->pool, column, value)) : status);
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = pass_lookup, .verify = pass_verify, .verifies = pass_verifies, .set = pass_set, .replace = pass_replace };
static const EkUserdbOps userdb = { .lookup = user_lookup, .each = user_each, .set = user_set };

EK_MODULE (ldap, .summary = "Maps, passwords and users in a directory (LDAP)", .options = options, .instance_size = sizeof (Ldap), .lacks = lacks,
           .init = init, .stop = stop, .connect = open_conns, .disconnect = close_conns, .map = &map, .passdb = &passdb, .userdb = &userdb);
