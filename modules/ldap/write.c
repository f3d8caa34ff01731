/* write.c - changes: one attribute of an entry, in one request that the server carries out whole or not at all
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 4511 section 4.6.  An old value that has to go goes by its own words, so a change that somebody else has made meanwhile stays.  A server
 * that holds a copy to be read refers to those that may be written, and the change is made at the first that is one of `uris` and answers.
 */
#include "ldap.h"
#include "auth/scheme.h"
#include <errno.h>
#include <string.h>

/* Of the server to a change that it will never take as it is. */
static const int refusals[] = {
  LDAP_INSUFFICIENT_ACCESS, LDAP_CONSTRAINT_VIOLATION, LDAP_TYPE_OR_VALUE_EXISTS, LDAP_INVALID_SYNTAX, LDAP_UNDEFINED_TYPE,
  LDAP_INAPPROPRIATE_MATCHING, LDAP_NOT_ALLOWED_ON_RDN, LDAP_OBJECT_CLASS_VIOLATION, LDAP_STRONG_AUTH_REQUIRED,
  LDAP_CONFIDENTIALITY_REQUIRED, LDAP_UNWILLING_TO_PERFORM,
};

static EkStatus change_at (LdapConn *conn, const LdapChange *c, bool referred);

/* ---- one request ---- */

static int
send_change (LdapConn *conn, const LdapChange *c, int *msgid)
{
  struct berval was = { c->from.n, (char *) c->from.p }, is = { c->to.n, (char *) c->to.p };
  struct berval *olds[] = { &was, NULL }, *news[] = { &is, NULL };
  LDAPMod take = { .mod_op = LDAP_MOD_DELETE | LDAP_MOD_BVALUES, .mod_type = (char *) c->attribute, .mod_bvalues = olds };
  LDAPMod give = { .mod_op = LDAP_MOD_ADD | LDAP_MOD_BVALUES, .mod_type = (char *) c->attribute, .mod_bvalues = news };
  LDAPMod put = { .mod_op = LDAP_MOD_REPLACE | LDAP_MOD_BVALUES, .mod_type = (char *) c->attribute, .mod_bvalues = c->to.n ? news : NULL };
  LDAPMod *exchange[] = { &take, &give, NULL }, *set[] = { &put, NULL };

  return ldap_modify_ext (conn->ld, c->dn, c->from.p ? exchange : set, NULL, NULL, msgid);
}

/* The answer's code, or -1 and an error; *referrals is to be freed with ber_memvfree(). */
static int
await_code (LdapConn *conn, const LdapChange *c, int msgid, char ***referrals)
{
  int code = LDAP_OTHER;
  LDAPMessage *answer = ldapc_await (conn, msgid, &c->call->error);

  if (answer == NULL)
    return -1;
  int rc = ldap_parse_result (conn->ld, answer, &code, NULL, NULL, referrals, NULL, 1);
  if (rc == LDAP_SUCCESS)
    return code;
  ldapc_failed (conn, "change", rc, &c->call->error);
  return -1;
}

/* ---- what it says ---- */

/* On a connection of its own, to one of uris: no other server hears bind_dn's password. */
static EkStatus
change_elsewhere (LdapConn *from, const LdapChange *c, const LdapServer *server, bool referred)
{
  Ldap *self = from->self;
  GError **error = &c->call->error;

  if (!ldapc_is_own (self, server))
    return ek_fail (error, EK_FAIL, EROFS, "%.200s is to be changed at %s, which is none of uris", c->dn, server->uri);
  gint64 until = g_get_monotonic_time () + self->connect_timeout.us;
  LdapConn *conn = ldapc_open (self, server, c->call->deadline ? MIN (until, c->call->deadline) : until, c->call, true, error);
  if (conn == NULL)
    return EK_DEFER;
  ldapc_begin (conn, c->call);
  EkStatus status = change_at (conn, c, referred);
  ldapc_end (conn);
  ldapc_close (conn);
  return status;
}

/* The server that a referral names, and the entry there; NULL and *error: it is none that can be asked. */
static const LdapServer *
place_of (LdapConn *from, LdapChange *there, const char *referral, GError **error)
{
  LDAPURLDesc *url = NULL;
  const LdapServer *server = NULL;

  if (ldap_url_parse (referral, &url) != LDAP_URL_SUCCESS)
    ek_fail (error, EK_DEFER, EINVAL, "%s refers to \"%.200s\", which is no LDAP URI", from->server->uri, referral);
  else
    server = ldapc_server_of (from->self, there->call->pool, url, error);
  if (server && url->lud_dn && url->lud_dn[0])
    there->dn = ek_pool_strdup (there->call->pool, url->lud_dn);
  if (url)
    ldap_free_urldesc (url);
  return server;
}

/* The first of them that can be asked.  What one of uris says counts more than that others are none: if it is away, the change is only put off. */
static EkStatus
follow (LdapConn *conn, const LdapChange *c, char **referrals)
{
  GError **error = &c->call->error;
  EkStatus status = ek_fail (error, EK_DEFER, 0, "%s does not write, and says not who does", conn->server->uri);
  bool asked = false;

  for (guint i = 0; referrals && referrals[i] && (!asked || status == EK_DEFER); i++) {
    LdapChange there = *c;
    g_autoptr (GError) why = NULL;
    const LdapServer *server = place_of (conn, &there, referrals[i], &why);
    bool own = server && ldapc_is_own (conn->self, server);
    if (asked && !own)
      continue;
    g_clear_error (error);
    if (server)
      status = change_elsewhere (conn, &there, server, true);
    else
      status = ek_fail (error, EK_DEFER, why->code, "%s", why->message);
    asked |= own;
  }
  return status;
}

static EkStatus
judge (LdapConn *conn, const LdapChange *c, int code, char **referrals, bool referred)
{
  if (code == LDAP_SUCCESS)
    return EK_OK;
  if (code == LDAP_NO_SUCH_ATTRIBUTE || (code == LDAP_NO_SUCH_OBJECT && !referred))       /* a copy may be ahead of who it refers to */
    return EK_NOTFOUND;
  if (code == LDAP_REFERRAL && !referred)
    return follow (conn, c, referrals);
  g_autofree char *what = g_strdup_printf ("change of %s of %.200s", c->attribute, c->dn);
  ldapc_failed (conn, what, code, &c->call->error);
  c->call->error->code = code == LDAP_INSUFFICIENT_ACCESS ? EACCES : code == LDAP_UNWILLING_TO_PERFORM ? EROFS : 0;
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    if (code == refusals[i])
      return EK_FAIL;
  return EK_DEFER;
}

/* ---- the whole ---- */

static EkStatus
change_at (LdapConn *conn, const LdapChange *c, bool referred)
{
  char **referrals = NULL;
  int msgid, rc = send_change (conn, c, &msgid);

  if (rc != LDAP_SUCCESS)
    return ldapc_failed (conn, "change", rc, &c->call->error);
  int code = await_code (conn, c, msgid, &referrals);
  EkStatus status = code < 0 ? EK_DEFER : judge (conn, c, code, referrals, referred);
  ber_memvfree ((void **) referrals);
  return status;
}

EkStatus
ldapc_change (LdapConn *conn, const LdapServer *at, const LdapChange *change)
{
  if (at != conn->server)
    return change_elsewhere (conn, change, at, false);
  ldapc_begin (conn, change->call);
  EkStatus status = change_at (conn, change, false);
  ldapc_end (conn);
  return status;
}

/* ---- values as directories know them ---- */

static bool
ends_in (EkStr name, EkStr with)
{
  return name.n >= with.n && ek_str_ieq ((EkStr) { name.p + name.n - with.n, with.n }, with);
}

EkStr
ldapc_stored (EkPool *pool, EkStr stored)
{
  EkStr scheme, hash = ek_scheme_split (stored, &scheme);
  const char *name = NULL;

  if (ends_in (scheme, EK_STR ("-CRYPT")))
    name = "CRYPT";
  else if (ek_str_ieq (scheme, EK_STR ("ARGON2ID")) || ek_str_ieq (scheme, EK_STR ("ARGON2I")))
    name = "ARGON2";
  return name ? ek_str (ek_pool_printf (pool, "{%s}%.*s", name, EK_STR_ARG (hash))) : stored;
}

EkStr
ldapc_field (EkPool *pool, const char *column, EkStr value)
{
  if (value.n == 0 || (strcmp (column, "nologin") == 0 && ek_str_eq (value, EK_STR ("0"))))
    return EK_STR ("");
  if (strcmp (column, "quota_rule") == 0)
    return ek_str (ek_pool_printf (pool, "*:bytes=%.*s", EK_STR_ARG (value)));
  return strcmp (column, "quota_storage_size") == 0 ? ek_str (ek_pool_printf (pool, "%.*sB", EK_STR_ARG (value))) : value;
}
