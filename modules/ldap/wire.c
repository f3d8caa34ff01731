/* wire.c - the socket below the LDAP library: connecting, TLS, and waits that end
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/dial.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

/* ---- waiting ---- */

bool
ldapc_wire_is_late (const LdapWire *w)
{
  return (w->call && w->call->cancelled) || g_get_monotonic_time () >= w->deadline;
}

/* False, and errno: the time is over. */
static bool
await_socket (const LdapWire *w, short events)
{
  int why = ek_dial_wait (w->fd, events, w->deadline, w->call);

  errno = why == ECANCELED ? ETIMEDOUT : why;
  return why == 0;
}

/* ---- connecting ---- */

/* One address after the other; one that does not answer leaves time for the others. */
bool
ldapc_wire_connect (LdapWire *w, const LdapServer *server, GError **error)
{
  guchar bytes[16];
  EkHost host = { .text = server->uri, .name = server->host, .port = (guint16) server->port, .is_unix = server->port == 0,
                  .is_address = inet_pton (AF_INET, server->host, bytes) == 1 || inet_pton (AF_INET6, server->host, bytes) == 1 };
  struct sockaddr_storage to[EK_DIAL_MAX];
  g_autoptr (GError) why = NULL;
  guint n = ek_dial_addresses (&host, w->deadline, to, &why);

  for (guint i = 0; i < n && w->fd < 0; i++) {
    gint64 now = g_get_monotonic_time ();
    w->fd = ek_dial (&to[i], now + MAX (w->deadline - now, 0) / (n - i), w->call);
  }
  if (n == 0)
    ek_fail (error, EK_DEFER, why->code, "%s: %s", server->uri, why->message);
  else if (w->fd < 0)
    ek_fail (error, EK_DEFER, errno, "%s: %s", server->uri, g_strerror (errno));
  return w->fd >= 0;
}

void
ldapc_wire_close (LdapWire *w)
{
  SSL_free (w->ssl);
  w->ssl = NULL;
  if (w->fd >= 0)
    close (w->fd);
  w->fd = -1;
}

/* ---- TLS ---- */

static const char *
reason (void)
{
  unsigned long code = ERR_peek_last_error ();
  const char *text = code ? ERR_reason_error_string (code) : NULL;

  return text ? text : errno ? g_strerror (errno) : "the other side closed";
}

SSL_CTX *
ldapc_wire_context (const char *ca_file, GError **error)
{
  SSL_CTX *context = SSL_CTX_new (TLS_client_method ());

  if (context == NULL) {
    ek_fail (error, EK_DEFER, 0, "no TLS: %s", reason ());
    return NULL;
  }
  SSL_CTX_set_min_proto_version (context, TLS1_2_VERSION);
  SSL_CTX_set_mode (context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify (context, ca_file ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  ERR_clear_error ();
  errno = 0;
  if (ca_file == NULL || SSL_CTX_load_verify_file (context, ca_file))
    return context;
  ek_fail (error, EK_DEFER, errno, "ca_file: cannot read certificates from %s: %s", ca_file, reason ());
  SSL_CTX_free (context);
  return NULL;
}

static void
expect_name (SSL *ssl, const char *host)
{
  guchar bytes[16];

  if (inet_pton (AF_INET, host, bytes) == 1 || inet_pton (AF_INET6, host, bytes) == 1)
    X509_VERIFY_PARAM_set1_ip_asc (SSL_get0_param (ssl), host);
  else {
    SSL_set_tlsext_host_name (ssl, host);
    SSL_set1_host (ssl, host);
  }
}

/* What SSL_get_error() told about the last call: 1: try again, 0: it cannot go on at once (errno is EWOULDBLOCK, or ETIMEDOUT where it
 * was to be waited for), -1: it is over. */
static int
after (LdapWire *w, int n, bool wait)
{
  int error = SSL_get_error (w->ssl, n);
  bool write = error == SSL_ERROR_WANT_WRITE;

  if (error != SSL_ERROR_WANT_READ && !write)
    return -1;
  if (wait || write)
    return await_socket (w, write ? POLLOUT : POLLIN) ? 1 : 0;
  errno = EWOULDBLOCK;
  return 0;
}

bool
ldapc_wire_tls (LdapWire *w, SSL_CTX *context, const char *host, GError **error)
{
  int n, next = 1;

  w->ssl = SSL_new (context);
  if (w->ssl == NULL || !SSL_set_fd (w->ssl, w->fd)) {
    ek_fail (error, EK_DEFER, 0, "no TLS: %s", reason ());
    return false;
  }
  expect_name (w->ssl, host);
  do {
    ERR_clear_error ();
    errno = 0;
    if ((n = SSL_connect (w->ssl)) != 1)
      next = after (w, n, true);
  } while (n != 1 && next > 0);
  if (n == 1)
    return true;
  long wrong = SSL_get_verify_result (w->ssl);
  if (next == 0)
    ek_fail (error, EK_DEFER, ETIMEDOUT, "no answer to the beginning of TLS in time");
  else if (wrong != X509_V_OK)
    ek_fail (error, EK_DEFER, 0, "the certificate of %s is not trusted: %s (ca_file says whom to trust)", host,
             X509_verify_cert_error_string (wrong));
  else
    ek_fail (error, EK_DEFER, 0, "TLS with %s fails: %s", host, reason ());
  return false;
}

/* ---- the library's side ---- */

static int
io_setup (Sockbuf_IO_Desc *desc, void *arg)
{
  desc->sbiod_pvt = arg;
  return 0;
}

static int
io_remove (Sockbuf_IO_Desc *desc)
{
  desc->sbiod_pvt = NULL;
  return 0;
}

static int
io_ctrl (Sockbuf_IO_Desc *desc, int option, void *arg)
{
  const LdapWire *w = desc->sbiod_pvt;

  return option == LBER_SB_OPT_DATA_READY && w->ssl && SSL_pending (w->ssl) > 0;
}

/* Never waits: the library does, for all that it has, by ldap_result(). */
static ber_slen_t
io_read (Sockbuf_IO_Desc *desc, void *bytes, ber_len_t len)
{
  LdapWire *w = desc->sbiod_pvt;
  int n, next;

  if (w->ssl == NULL)
    return recv (w->fd, bytes, len, 0);
  do {
    ERR_clear_error ();
    errno = 0;
    if ((n = SSL_read (w->ssl, bytes, (int) MIN (len, G_MAXINT))) > 0)
      return n;
    next = after (w, n, false);
  } while (next > 0);
  if (next < 0 && errno == 0)
    errno = ECONNRESET;
  return -1;
}

static ber_slen_t
io_write (Sockbuf_IO_Desc *desc, void *bytes, ber_len_t len)
{
  LdapWire *w = desc->sbiod_pvt;
  int next;

  do {
    ERR_clear_error ();
    errno = 0;
    int n = w->ssl ? SSL_write (w->ssl, bytes, (int) MIN (len, G_MAXINT)) : (int) send (w->fd, bytes, MIN (len, G_MAXINT), MSG_NOSIGNAL);
    if (n > 0)
      return n;
    if (w->ssl)
      next = after (w, n, true);
    else
      next = errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) && await_socket (w, POLLOUT));
  } while (next > 0);
  if (errno == 0 || errno == EAGAIN || errno == EWOULDBLOCK)         /* which the library would try again */
    errno = ECONNRESET;
  return -1;
}

static int
io_close (Sockbuf_IO_Desc *desc)
{
  return 0;                          /* the wire is its connection's, and closed with it */
}

bool
ldapc_wire_attach (LdapWire *w, LDAP *ld)
{
  static Sockbuf_IO io = {
    .sbi_setup = io_setup, .sbi_remove = io_remove, .sbi_ctrl = io_ctrl, .sbi_read = io_read, .sbi_write = io_write, .sbi_close = io_close,
  };
  ber_len_t most = 4 * 1024 * 1024;  /* of one message */
  Sockbuf *sb = NULL;

  if (ldap_get_option (ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS || ber_sockbuf_add_io (sb, &io, LBER_SBIOD_LEVEL_PROVIDER, w) < 0)
    return false;
  ber_sockbuf_ctrl (sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
  return true;
}
