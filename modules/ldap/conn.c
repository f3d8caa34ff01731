/* conn.c - servers and connections: TLS, binds, and answers that are waited for
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/network.h"
#include <errno.h>
#include <string.h>

#define SLICE_US 100000              /* between two looks at whether anybody still waits */

/* ---- servers ---- */

/* NULL, or what is wrong. */
static const char *
read_url (const Ldap *self, EkPool *pool, const LDAPURLDesc *url, const char *typed, LdapServer *server)
{
  bool secure = strcmp (url->lud_scheme, "ldaps") == 0, path = strcmp (url->lud_scheme, "ldapi") == 0;
  const char *host = url->lud_host ? url->lud_host : "";

  if (!secure && !path && strcmp (url->lud_scheme, "ldap") != 0)
    return "expected ldap://, ldaps:// or ldapi://";
  if (path && host[0] != '/')
    return "it names no socket: write ldapi://%2Frun%2Fslapd%2Fldapi";
  if (host[0] == '\0')
    return "it names no host";
  *server = (LdapServer) { .uri = ek_pool_strdup (pool, typed), .host = ek_pool_strdup (pool, host), .tls = LDAPC_PLAIN };
  if (path)
    return NULL;
  server->port = url->lud_port > 0 ? (guint) url->lud_port : secure ? LDAPS_PORT : LDAP_PORT;
  server->uri = ek_pool_printf (pool, strchr (host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", url->lud_scheme, host, server->port);
  if (secure)
    server->tls = LDAPC_TLS;
  else if (strcmp (self->tls, "on") == 0)
    return "tls = on takes ldaps:// alone";
  else if (strcmp (self->tls, "starttls") == 0 || (strcmp (self->tls, "auto") == 0 && !ek_network_is_loopback (ek_str (host))))
    server->tls = LDAPC_STARTTLS;
  return NULL;
}

bool
ldapc_servers_parse (Ldap *self, GError **error)
{
  self->servers = ek_pool_newv (self->pool, LdapServer, g_strv_length (self->uris) + 1);
  for (guint i = 0; self->uris[i]; i++) {
    LDAPURLDesc *url = NULL;
    const char *wrong = "it is no URI: expected ldap://HOST, ldap://HOST:PORT, ldaps://HOST or ldapi://PATH";
    if (ldap_url_parse (self->uris[i], &url) == LDAP_URL_SUCCESS) {
      wrong = url->lud_dn && url->lud_dn[0] ? "it holds the name of an entry: that is what base is for"
                                            : read_url (self, self->pool, url, self->uris[i], &self->servers[i]);
      ldap_free_urldesc (url);
    }
    if (wrong) {
      ek_fail (error, EK_FAIL, EINVAL, "uris: \"%s\": %s", self->uris[i], wrong);
      return false;
    }
    self->n_servers++;
  }
  if (self->n_servers == 0)
    ek_fail (error, EK_FAIL, EINVAL, "uris is empty: write uris = ldap://ldap.example.com");
  return self->n_servers > 0;
}

bool
ldapc_is_own (const Ldap *self, const LdapServer *server)
{
  return server >= self->servers && server < self->servers + self->n_servers;
}

const LdapServer *
ldapc_server_of (const Ldap *self, EkPool *pool, const LDAPURLDesc *url, GError **error)
{
  LdapServer *server = ek_pool_new0 (pool, LdapServer);
  const char *wrong = strcmp (url->lud_scheme, "ldapi") == 0 ? "a socket of another machine" : read_url (self, pool, url, "", server);

  if (wrong) {
    ek_fail (error, EK_DEFER, EINVAL, "the referral to %s://%s is not followed: %s", url->lud_scheme, url->lud_host ? url->lud_host : "", wrong);
    return NULL;
  }
  for (guint i = 0; i < self->n_servers; i++) {
    const LdapServer *own = &self->servers[i];
    if (own->port == server->port && own->tls == server->tls && g_ascii_strcasecmp (own->host, server->host) == 0)
      return own;
  }
  return server;
}

/* ---- answers ---- */

void
ldapc_begin (LdapConn *conn, const EkCall *call)
{
  conn->wire.deadline = g_get_monotonic_time () + conn->self->timeout.us;
  if (call && call->deadline)
    conn->wire.deadline = MIN (conn->wire.deadline, call->deadline);
  conn->wire.call = call;
}

void
ldapc_end (LdapConn *conn)
{
  conn->wire.deadline = 0;
  conn->wire.call = NULL;
}

EkStatus
ldapc_failed (LdapConn *conn, const char *what, int code, GError **error)
{
  char *said = NULL;

  ldap_get_option (conn->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
  bool more = said && *said && !LDAP_API_ERROR (code);     /* what is not the server's word has none of it */
  conn->sick |= code == LDAP_BUSY || code == LDAP_UNAVAILABLE;
  ek_fail (error, EK_DEFER, 0, "%s: %s: %s%s%.200s%s", conn->server->uri, what, ldap_err2string (code), more ? " (" : "", more ? said : "",
           more ? ")" : "");
  ldap_memfree (said);
  return EK_DEFER;
}

LDAPMessage *
ldapc_await (LdapConn *conn, int msgid, GError **error)
{
  for (;;) {
    gint64 left = conn->wire.deadline - g_get_monotonic_time ();
    struct timeval slice = { .tv_usec = (suseconds_t) CLAMP (left, 1, SLICE_US) };
    LDAPMessage *message = NULL;
    int code = LDAP_OTHER, type = ldap_result (conn->ld, msgid, LDAP_MSG_ONE, &slice, &message);
    if (type > 0)
      return message;
    if (type < 0) {
      ldap_get_option (conn->ld, LDAP_OPT_RESULT_CODE, &code);
      ldapc_failed (conn, "no answer", code, error);
      return NULL;
    }
    if (ldapc_wire_is_late (&conn->wire)) {
      conn->sick |= left <= 0;
      ldap_abandon_ext (conn->ld, msgid, NULL, NULL);
      ek_fail (error, EK_DEFER, ETIMEDOUT, "%s: no answer in time", conn->server->uri);
      return NULL;
    }
  }
}

/* The result code of the answer to `msgid`; -1 and *error: there is none. */
static int
result_of (LdapConn *conn, const char *what, int msgid, GError **error)
{
  int code = LDAP_OTHER;
  LDAPMessage *answer = ldapc_await (conn, msgid, error);

  if (answer == NULL)
    return -1;
  int rc = ldap_parse_result (conn->ld, answer, &code, NULL, NULL, NULL, NULL, 1);
  if (rc != LDAP_SUCCESS || code != LDAP_SUCCESS)
    ldapc_failed (conn, what, rc != LDAP_SUCCESS ? rc : code, error);
  return rc == LDAP_SUCCESS ? code : -1;
}

int
ldapc_bind (LdapConn *conn, const char *dn, EkStr password, GError **error)
{
  struct berval secret = { password.n, (char *) password.p };
  g_autofree char *what = g_strdup_printf ("bind as %.200s", dn);
  int msgid;

  if (dn[0] == '\0' || password.n == 0) {           /* RFC 4513 sections 5.1.1 and 5.1.2: either would succeed as nobody */
    ek_fail (error, EK_DEFER, EINVAL, "%s: %s: the %s is empty", conn->server->uri, what, dn[0] ? "password" : "name");
    return -1;
  }
  int rc = ldap_sasl_bind (conn->ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, &msgid);
  if (rc == LDAP_SUCCESS)
    return result_of (conn, what, msgid, error);
  ldapc_failed (conn, what, rc, error);
  return -1;
}

/* ---- opening ---- */

static SSL_CTX *
context_of (Ldap *self, GError **error)
{
  pthread_mutex_lock (&self->lock);
  if (self->context == NULL)
    self->context = ldapc_wire_context (self->tls_verify ? self->ca_file : NULL, error);
  pthread_mutex_unlock (&self->lock);
  return self->context;
}

static bool
start_tls (LdapConn *conn, GError **error)
{
  g_autoptr (GError) why = NULL;
  SSL_CTX *context = context_of (conn->self, &why);

  if (context && ldapc_wire_tls (&conn->wire, context, conn->server->host, &why))
    return true;
  ek_fail (error, EK_DEFER, why->code, "%s: %s", conn->server->uri, why->message);
  return false;
}

static bool
ask_for_tls (LdapConn *conn, GError **error)
{
  int msgid, rc = ldap_extended_operation (conn->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &msgid);

  if (rc == LDAP_SUCCESS)
    return result_of (conn, "StartTLS", msgid, error) == LDAP_SUCCESS;
  ldapc_failed (conn, "StartTLS", rc, error);
  return false;
}

/* What ldap.conf(5) of the system says does not count here. */
static bool
make_handle (LdapConn *conn, GError **error)
{
  const int version = LDAP_VERSION3, aliases = LDAP_DEREF_NEVER, none = 0;
  int rc = ldap_init_fd (conn->wire.fd, LDAP_PROTO_EXT, conn->server->uri, &conn->ld);

  if (rc == LDAP_SUCCESS && ldapc_wire_attach (&conn->wire, conn->ld)) {
    ldap_set_option (conn->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option (conn->ld, LDAP_OPT_DEREF, &aliases);
    ldap_set_option (conn->ld, LDAP_OPT_SIZELIMIT, &none);
    ldap_set_option (conn->ld, LDAP_OPT_TIMELIMIT, &none);
    ldap_set_option (conn->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);    /* they are followed by search.c, or not at all */
    ldap_set_option (conn->ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    return true;
  }
  ek_fail (error, EK_DEFER, 0, "%s: %s", conn->server->uri, ldap_err2string (rc));
  return false;
}

static bool
open_wire (LdapConn *conn, GError **error)
{
  LdapTls tls = conn->server->tls;

  return ldapc_wire_connect (&conn->wire, conn->server, error) && (tls != LDAPC_TLS || start_tls (conn, error)) && make_handle (conn, error)
         && (tls != LDAPC_STARTTLS || (ask_for_tls (conn, error) && start_tls (conn, error)));
}

static bool
bind_service (LdapConn *conn, GError **error)
{
  const Ldap *self = conn->self;
  g_autoptr (GError) why = NULL;

  if (self->bind_dn == NULL || ldapc_bind (conn, self->bind_dn, (EkStr) { self->bind_password.text, self->bind_password.len }, &why) == LDAP_SUCCESS)
    return true;
  ek_fail (error, EK_DEFER, why->code, "%s (look at bind_dn and bind_password)", why->message);
  return false;
}

LdapConn *
ldapc_open (Ldap *self, const LdapServer *server, gint64 deadline, const EkCall *call, bool bind, GError **error)
{
  LdapConn *conn = g_new0 (LdapConn, 1);

  conn->self = self;
  conn->server = server;
  conn->wire = (LdapWire) { .fd = -1, .deadline = deadline, .call = call };
  if (!open_wire (conn, error) || (bind && !bind_service (conn, error))) {
    ldapc_close (conn);
    return NULL;
  }
  ldapc_end (conn);
  return conn;
}

void
ldapc_close (LdapConn *conn)
{
  if (conn == NULL)
    return;
  ldapc_end (conn);                  /* nothing waits any more */
  if (conn->ld)
    ldap_unbind_ext (conn->ld, NULL, NULL);
  ldapc_wire_close (&conn->wire);
  g_free (conn);
}
