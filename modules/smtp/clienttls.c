/* clienttls.c - TLS towards the next hop
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static const char *
reason (void)
{
  unsigned long code = ERR_peek_last_error ();
  const char *text = code ? ERR_reason_error_string (code) : NULL;

  return text ? text : "the connection broke";
}

static SSL_CTX *
context_new (void)
{
  SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());

  SSL_CTX_set_min_proto_version (ctx, TLS1_2_VERSION);
  SSL_CTX_set_mode (ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify (ctx, SSL_VERIFY_NONE, NULL);         /* looked at after the handshake, so that may can go on */
  return ctx;
}

/* The store is kept for the process's life: after a reload the files are out of the role's sight. */
static X509_STORE *
authorities (const char *path, GError **error)
{
  static GHashTable *seen;
  X509_STORE *store = seen ? g_hash_table_lookup (seen, path) : NULL;

  if (store)
    return store;
  store = X509_STORE_new ();
  ERR_clear_error ();
  if (!X509_STORE_load_file (store, path)) {
    ek_fail (error, EK_FAIL, 0, "ca_file: %s: %s", path, reason ());
    X509_STORE_free (store);
    return NULL;
  }
  if (seen == NULL)
    seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (seen, g_strdup (path), store);
  return store;
}

bool
client_tls_load (Client *self, GError **error)
{
  const char *path = self->ca_file ? self->ca_file : "/etc/ssl/certs/ca-certificates.crt";

  if (self->ca_file == NULL && strcmp (self->tls_level, "verify") != 0)
    return true;
  X509_STORE *store = authorities (path, error);
  if (store == NULL)
    return false;
  self->tls = context_new ();
  SSL_CTX_set1_verify_cert_store (self->tls, store);
  return true;
}

void
client_tls_free (Client *self)
{
  SSL_CTX_free (self->tls);
  self->tls = NULL;
}

/* ---- a handshake ---- */

static bool
is_address (const char *host)
{
  guchar bytes[16];

  return inet_pton (AF_INET, host, bytes) == 1 || inet_pton (AF_INET6, host, bytes) == 1;
}

bool
client_tls_begin (ClientConn *conn)
{
  Client *self = conn->client;

  if (self->tls == NULL)
    self->tls = context_new ();
  conn->ssl = SSL_new (self->tls);
  if (conn->ssl == NULL || !SSL_set_fd (conn->ssl, conn->watch.fd))
    return false;
  SSL_set_connect_state (conn->ssl);
  if (is_address (conn->host))
    X509_VERIFY_PARAM_set1_ip_asc (SSL_get0_param (conn->ssl), conn->host);
  else {
    SSL_set_tlsext_host_name (conn->ssl, conn->host);
    SSL_set1_host (conn->ssl, conn->host);
  }
  return true;
}

static void
log_tls (ClientConn *conn, bool verified)
{
  const SSL_CIPHER *cipher = SSL_get_current_cipher (conn->ssl);
  int bits = 0, algorithm = 0;

  bits = SSL_CIPHER_get_bits (cipher, &algorithm);
  ek_event (client_is_lmtp (conn->client) ? "lmtp" : "smtp", conn->trip->hop->event, "tls-out", EK_FTEXT ("relay", conn->relay),
            EK_FTEXT ("tls_trust", verified ? "Verified" : "Untrusted"), EK_FTEXT ("tls_version", SSL_get_version (conn->ssl)),
            EK_FTEXT ("tls_cipher", SSL_CIPHER_get_name (cipher)), EK_FINT ("tls_bits", bits), EK_FINT ("tls_algbits", algorithm));
}

static int
failed (ClientConn *conn, const char *why)
{
  ek_event (client_is_lmtp (conn->client) ? "lmtp" : "smtp", conn->trip->hop->event, "tls-out-failed", EK_FTEXT ("relay", conn->relay),
            EK_FTEXT ("reason", why));
  return -1;
}

int
client_tls_handshake (ClientConn *conn)
{
  ERR_clear_error ();
  int n = SSL_do_handshake (conn->ssl);
  int error = n == 1 ? 0 : SSL_get_error (conn->ssl, n);

  conn->tls_blocked_on_write = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return 0;
  if (n != 1) {
    client_trouble (conn->trip, "4.7.5", "Cannot start TLS: handshake failure");
    return failed (conn, reason ());
  }
  bool verified = SSL_get_verify_result (conn->ssl) == X509_V_OK && SSL_get0_peer_certificate (conn->ssl);
  log_tls (conn, verified);
  if (!verified && conn->client->tls_level[0] == 'v') {
    const char *why = X509_verify_cert_error_string (SSL_get_verify_result (conn->ssl));
    client_trouble (conn->trip, "4.7.5", "Server certificate not verified: %s", why);
    return failed (conn, why);
  }
  return 1;
}
