/* tlscontext.c - certificates, SNI, tickets: OpenSSL contexts of the tls role
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/tlscontext.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

typedef struct {
  char    *name, **names;
  SSL_CTX *ctx;
  X509    *leaf;                     /* borrowed from ctx */
} Certificate;

static GPtrArray *certificates, *coming;         /* of Certificate; coming: a set that is not complete */
static guint8 keys[EK_TICKET_KEYS][EK_TICKET_KEY_LEN];
static bool   have_keys;

/* Where an SSL keeps the ALPN name of its listener, and what it asks of clients. */
static int
slot_of (int *slot)
{
  if (*slot < 0)
    *slot = SSL_get_ex_new_index (0, NULL, NULL, NULL, NULL);
  return *slot;
}

static int
protocol_slot (void)
{
  static int slot = -1;

  return slot_of (&slot);
}

static int
peers_slot (void)
{
  static int slot = -1;

  return slot_of (&slot);
}

guint
ek_tls_contexts (void)
{
  return certificates ? certificates->len : 0;
}

static void
certificate_free (gpointer data)
{
  Certificate *c = data;

  SSL_CTX_free (c->ctx);
  g_strfreev (c->names);
  g_free (c->name);
  g_free (c);
}

void
ek_tls_contexts_free (void)
{
  g_clear_pointer (&certificates, g_ptr_array_unref);
  g_clear_pointer (&coming, g_ptr_array_unref);
  ek_wipe (keys, sizeof keys);
  have_keys = false;
}

/* ---- tickets: RFC 5077, 8446 4.6.1; keys are master's, the same in every worker ---- */

void
ek_tls_ticket_keys (EkStr bytes)
{
  if (bytes.n != sizeof keys)
    return;
  memcpy (keys, bytes.p, sizeof keys);
  have_keys = true;
}

static int
ticket_key (SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
            int encrypt)
{
  guint i = 0;

  if (!have_keys)
    return 0;
  if (encrypt) {
    memcpy (name, keys[0], 16);
    ek_random (iv, 16);
  }
  else {
    while (i < EK_TICKET_KEYS && memcmp (name, keys[i], 16) != 0)
      i++;
    if (i == EK_TICKET_KEYS)
      return 0;                      /* not ours (any more): a full handshake */
  }
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_octet_string (OSSL_MAC_PARAM_KEY, keys[i] + 48, 32),
    OSSL_PARAM_construct_utf8_string (OSSL_MAC_PARAM_DIGEST, (char *) "sha256", 0),
    OSSL_PARAM_construct_end (),
  };
  if (EVP_CipherInit_ex2 (cipher, EVP_aes_256_cbc (), keys[i] + 16, iv, encrypt, NULL) != 1
      || EVP_MAC_CTX_set_params (mac, params) != 1)
    return -1;
  return encrypt || i == 0 ? 1 : 2;  /* 2: good, and give a new one */
}

/* ---- names ---- */

static bool
allowed (char *const *list, const char *name)
{
  return list == NULL || list[0] == NULL || g_strv_contains ((const char *const *) list, name);
}

/* Is `name` one that this certificate answers to?  What the block says counts, else what the certificate itself says. */
static bool
answers (const Certificate *c, const char *name, bool wild)
{
  const char *rest = strchr (name, '.');

  if (c->names == NULL || c->names[0] == NULL)
    return c->leaf && X509_check_host (c->leaf, name, 0, wild ? 0 : X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
  for (guint i = 0; c->names[i]; i++)
    if (g_ascii_strcasecmp (c->names[i], name) == 0
        || (wild && rest && c->names[i][0] == '*' && g_ascii_strcasecmp (c->names[i] + 1, rest) == 0))
      return true;
  return false;
}

/* SNI (RFC 6066): the listener's first certificate that names exactly this host, then the first whose wildcard covers
 * it; without either the default, which SSL has already. */
static int
server_name (SSL *ssl, int *alert, void *data)
{
  const char *name = SSL_get_servername (ssl, TLSEXT_NAMETYPE_host_name);
  char *const *list = SSL_get_app_data (ssl);

  for (guint wild = 0; name && wild < 2; wild++)
    for (guint i = 0; certificates && i < certificates->len; i++) {
      Certificate *c = certificates->pdata[i];
      if (allowed (list, c->name) && answers (c, name, wild)) {
        SSL_set_SSL_CTX (ssl, c->ctx);
        ek_tls_peers_ask (SSL_get_ex_data (ssl, peers_slot ()), ssl);      /* the other context knows nothing of it */
        return SSL_TLSEXT_ERR_OK;
      }
    }
  return SSL_TLSEXT_ERR_OK;
}

/* A client that names only other protocols talks to the wrong port, or is being made to: refuse (RFC 7301). */
static int
alpn (SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned int n, void *data)
{
  const char *ours = SSL_get_ex_data (ssl, protocol_slot ());

  (void) data;
  for (unsigned int i = 0; ours && i < n && i + 1u + in[i] <= n; i += in[i] + 1u)
    if (in[i] == strlen (ours) && memcmp (in + i + 1, ours, in[i]) == 0) {
      *out = in + i + 1;
      *outlen = in[i];
      return SSL_TLSEXT_ERR_OK;
    }
  return ours ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

/* ---- contexts ---- */

static void
set_up (SSL_CTX *ctx, const EkTlsConf *conf)
{
  SSL_CTX_set_options (ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE
                       | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF | (conf->tickets ? 0 : SSL_OP_NO_TICKET));
  SSL_CTX_set_mode (ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode (ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout (ctx, (long) (conf->ticket_lifetime.us / G_USEC_PER_SEC));
  SSL_CTX_set_num_tickets (ctx, conf->tickets ? 1 : 0);
  SSL_CTX_set_session_id_context (ctx, (const unsigned char *) "ekiden", 6);
  SSL_CTX_set_tlsext_ticket_key_evp_cb (ctx, ticket_key);
  SSL_CTX_set_tlsext_servername_callback (ctx, server_name);
  SSL_CTX_set_alpn_select_cb (ctx, alpn, NULL);
}

bool
ek_tls_certificate (const char *name, char *const *names, EkStr chain, EkStr key, const EkTlsConf *conf, GError **error)
{
  SSL_CTX *ctx = ek_tls_context_new (conf, &(EkPem) { "the chain", chain }, &(EkPem) { "the key", key }, error);

  if (ctx == NULL)
    return false;
  set_up (ctx, conf);
  if (coming == NULL)
    coming = g_ptr_array_new_with_free_func (certificate_free);
  Certificate *c = g_new0 (Certificate, 1);
  *c = (Certificate) { .name = g_strdup (name), .names = g_strdupv ((char **) names), .ctx = ctx,
                       .leaf = SSL_CTX_get0_certificate (ctx) };
  g_ptr_array_add (coming, c);
  return true;
}

void
ek_tls_certificates_done (bool good)
{
  if (good && coming) {              /* connections hold references of their own */
    g_clear_pointer (&certificates, g_ptr_array_unref);
    certificates = g_steal_pointer (&coming);
  }
  g_clear_pointer (&coming, g_ptr_array_unref);
}

SSL *
ek_tls_new (char *const *list, const char *protocol, EkTlsPeers *peers)
{
  for (guint i = 0; certificates && i < certificates->len; i++) {
    Certificate *c = certificates->pdata[i];
    if (!allowed (list, c->name))
      continue;
    SSL *ssl = SSL_new (c->ctx);
    if (ssl) {
      SSL_set_app_data (ssl, (void *) list);
      SSL_set_ex_data (ssl, protocol_slot (), (void *) protocol);
      SSL_set_ex_data (ssl, peers_slot (), peers);
      ek_tls_peers_ask (peers, ssl);
      SSL_set_accept_state (ssl);
    }
    return ssl;
  }
  return NULL;
}
