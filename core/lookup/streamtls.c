/* streamtls.c - TLS towards a server that is asked
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/network.h"
#include "lookup/streamprivate.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>

const char *
ek_stream_tls_reason (void)
{
  unsigned long code = ERR_peek_last_error ();
  const char *text = code ? ERR_reason_error_string (code) : NULL;

  return text ? text : "the connection broke";
}

EkMoved
ek_stream_tls_move (EkStream *s, bool out, char *bytes, gsize n, gsize *moved, short *events)
{
  ERR_clear_error ();
  int ok = out ? SSL_write_ex (s->ssl, bytes, n, moved) : SSL_read_ex (s->ssl, bytes, n, moved);
  int why = ok ? SSL_ERROR_NONE : SSL_get_error (s->ssl, ok);

  *events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
  if (ok)
    return EK_MOVED;
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
    return EK_BLOCKED;
  errno = ECONNRESET;
  return why == SSL_ERROR_ZERO_RETURN ? EK_CLOSED : EK_BROKEN;
}

bool
ek_stream_tls_is_quiet (EkStream *s)
{
  char byte;
  gsize n;

  ERR_clear_error ();                /* what TLS itself sends in between, as tickets, is taken in */
  int ok = SSL_peek_ex (s->ssl, &byte, 1, &n);
  return !ok && SSL_get_error (s->ssl, ok) == SSL_ERROR_WANT_READ;
}

/* ---- settings ---- */

/* A key with a password cannot be used: else the terminal would be asked for it, and waited for. */
static int
no_password (char *out, int size, int writes, void *user)
{
  return -1;
}

static bool
load (EkStream *s, const EkStreamInstance *self, SSL_CTX *ctx, GError **error)
{
  if (self->tls_ca_file && !SSL_CTX_load_verify_file (ctx, self->tls_ca_file))
    return ek_stream_wrong (s, error, EINVAL, "tls_ca_file: %s: %s", self->tls_ca_file, ek_stream_tls_reason ());
  if (self->tls_ca_file == NULL && self->tls_verify && !SSL_CTX_set_default_verify_paths (ctx))
    return ek_stream_wrong (s, error, EINVAL, "the system's authorities: %s", ek_stream_tls_reason ());
  if (self->tls_certificate && SSL_CTX_use_certificate_chain_file (ctx, self->tls_certificate) != 1)
    return ek_stream_wrong (s, error, EINVAL, "tls_certificate: %s: %s", self->tls_certificate, ek_stream_tls_reason ());
  if (self->tls_key && SSL_CTX_use_PrivateKey_file (ctx, self->tls_key, SSL_FILETYPE_PEM) != 1)
    return ek_stream_wrong (s, error, EINVAL, "tls_key: %s: %s", self->tls_key, ek_stream_tls_reason ());
  return true;
}

/* Who the server says that it is must be this one. */
static void
expect (EkStream *s, const EkStreamInstance *self)
{
  const char *name = self->tls_name ? self->tls_name : s->server->host;
  EkNetwork address;

  if (name && ek_network_parse_address (ek_str (name), &address))
    X509_VERIFY_PARAM_set1_ip (SSL_get0_param (s->ssl), address.bytes, address.len);
  else if (name) {
    SSL_set_tlsext_host_name (s->ssl, name);
    SSL_set1_host (s->ssl, name);
    SSL_set_hostflags (s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  }
  SSL_set_verify (s->ssl, self->tls_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

static bool
handshake (EkStream *s, GError **error)
{
  for (;;) {
    ERR_clear_error ();
    int n = SSL_connect (s->ssl);
    int why = n == 1 ? SSL_ERROR_NONE : SSL_get_error (s->ssl, n);
    if (n == 1)
      return true;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      if (!ek_stream_wait (s, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, error))
        return false;
      continue;
    }
    long verdict = SSL_get_verify_result (s->ssl);
    if (verdict != X509_V_OK)
      return ek_stream_wrong (s, error, EACCES, "its certificate is not good: %s (see tls_ca_file, tls_name)",
                              X509_verify_cert_error_string (verdict));
    return ek_stream_wrong (s, error, EPROTO, "no TLS: %s (a server without it wants tls = no)", ek_stream_tls_reason ());
  }
}

/* The context is made anew for each connection: so files that were replaced count, and nothing is shared between threads. */
bool
ek_stream_tls_start (EkStream *s, const EkStreamInstance *self, GError **error)
{
  ERR_clear_error ();
  SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
  if (ctx == NULL)
    return ek_stream_wrong (s, error, ENOMEM, "TLS: %s", ek_stream_tls_reason ());
  SSL_CTX_set_min_proto_version (ctx, TLS1_2_VERSION);
  SSL_CTX_set_mode (ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb (ctx, no_password);
  bool good = load (s, self, ctx, error);
  s->ssl = good ? SSL_new (ctx) : NULL;
  SSL_CTX_free (ctx);                /* the connection holds it */
  if (!good)
    return false;
  if (s->ssl == NULL || !SSL_set_fd (s->ssl, s->fd))
    return ek_stream_wrong (s, error, ENOMEM, "TLS: %s", ek_stream_tls_reason ());
  expect (s, self);
  return handshake (s, error);
}
