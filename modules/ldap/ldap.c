/* ldap.c - maps, passwords and users in a directory: the block, its checks, its three tables
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/params.h"
#include "lookup/tablefile.h"
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
  EK_OPTION (Ldap, password_filter, "", "As a passdb: finds the entry of :user. Empty: user_filter."),
  EK_OPTION (Ldap, password_attributes, "\"userPassword=password\"", "As a passdb: what of the entry a login obeys: the column password, and "
             "nologin, allow_nets, user, userdb_..."),
  EK_OPTION (Ldap, user_filter, "", "As a userdb: finds the entry of :user: \"(&(objectClass=posixAccount)(mail=:user))\". Empty: "
             "password_filter."),
  EK_OPTION (Ldap, user_attributes, "[]", "As a userdb: the attributes that give home, mail, uid, gid, quota_rule, or what else is to be known "
             "of a user: \"homeDirectory=home\", \"uidNumber=uid\", \"=quota_rule=1G\"."),
  EK_OPTION (Ldap, users_filter, "", "Finds the entries of all users: \"(objectClass=posixAccount)\"."),
  EK_OPTION (Ldap, users_attributes, "\"mail=user\"", "The attribute that gives the column user for each of them."),
  EK_OPTION (Ldap, auth_bind, "no", "As a passdb: the server itself checks passwords, by a bind as the user's entry, so that bind_dn need not "
             "read them."),
  EK_OPTION (Ldap, user_dn, "", "With auth_bind: the name of the user's entry, so that it is not searched for first: "
             "\"uid=:local,ou=people,dc=example,dc=com\"."),
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

/* ---- checks ---- */

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

/* Names that a map's question alone may have would find nobody at each login. */
static bool
check_params (const LdapTemplate *t, GError **error)
{
  for (guint i = 0; t && i < t->n_params; i++)
    if (!ek_param_is_known (t->option, t->pieces[i].param, NULL, error))
      return false;
  return true;
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
      || !check_params (self->password.filter, error) || !check_params (self->user.filter, error))
    return false;
  if (self->map.filter && self->map.columns->n_columns == 0)
    return wrong (error, "attributes is empty: name the attributes whose values are the answer to filter");
  if (self->users.filter && self->users.filter->n_params)
    return wrong (error, "users_filter: it is for all users, so it has no parameters");
  if (self->users.filter && self->users.columns->n_columns != 1)
    return wrong (error, "users_attributes: one column is wanted, as \"mail=user\"");
  return true;
}

static bool
read_names (Ldap *self, GError **error)
{
  bool searches = self->map.filter || self->password.filter || self->user.filter || self->users.filter;

  if (!read_template (self, &self->base_template, "base", LDAPC_DN, self->base ? self->base : "", error)
      || !read_template (self, &self->dn_template, "user_dn", LDAPC_DN, self->user_dn, error) || !check_params (self->dn_template, error))
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
  return !self->tls_verify || ek_path_check ("ca_file", self->ca_file, error);
}

static const char *
lacks (const EkInstance *base, const char *table)
{
  const Ldap *self = (const Ldap *) base;
  bool searches = self->user_filter || self->password_filter;

  if (strcmp (table, "map") == 0)
    return self->filter ? NULL : "filter is not set";
  if (strcmp (table, "passdb") == 0)
    return searches || (self->auth_bind && self->user_dn) ? NULL : "neither password_filter nor user_filter is set, nor auth_bind and user_dn";
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
  if (ldapc_servers_parse (self, error) && read_questions (self, error) && read_names (self, error)
      && ek_record_defaults (&self->defaults, self->scheme, self->home, self->mail, self->uid, self->gid, error) && check_rest (self, error))
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

  if (ask->self->exact && !ldapc_is_same (at->ld, entry, ask->question->filter, ask->query))
    return EK_NOTFOUND;
  char *dn = ldap_get_dn (at->ld, entry);
  ask->dn = ek_pool_strdup (ask->call->pool, dn ? dn : "");
  ldap_memfree (dn);
  ask->at = at->server;
  return ldapc_rows_add (&ask->rows, at->ld, entry, &ask->call->error);
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

static EkStatus
find_account (Ask *ask, const char *name, EkAccount *account)
{
  Ldap *self = ask->self;
  EkQuery query = { .key = ek_str (name) };
  EkAnswer answer;

  ask->question = &self->password;
  ask->query = &query;
  ask->rows.record = true;
  EkStatus status = ask_all (ask, 1, "password_filter", &answer);
  ask->query = NULL;
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
  Ask ask = { .self = (Ldap *) base, .call = call };

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
  EkQuery query = { .key = ek_str (login->name) };
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
  Ask ask = { .self = (Ldap *) base, .call = call };

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
  EkQuery query = { .key = ek_str (name) };
  Ask ask = { .self = self, .call = call, .question = &self->user, .query = &query, .rows.record = true };
  EkAnswer answer;
  EkStatus status = ask_all (&ask, 1, "user_filter", &answer);

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
  LdapRows rows = { .pool = e->pool, .columns = e->self->users.columns };
  EkAnswer names;
  EkStatus status = ldapc_rows_add (&rows, at->ld, entry, &e->call->error);

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

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = pass_lookup, .verify = pass_verify, .verifies = pass_verifies };
static const EkUserdbOps userdb = { .lookup = user_lookup, .each = user_each };

EK_MODULE (ldap, .summary = "Maps, passwords and users in a directory (LDAP)", .options = options, .instance_size = sizeof (Ldap), .lacks = lacks,
           .init = init, .stop = stop, .connect = open_conns, .disconnect = close_conns, .map = &map, .passdb = &passdb, .userdb = &userdb);
