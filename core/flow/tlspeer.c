/* tlspeer.c - what the tls role tells of a connection: the session, what mechanisms bind to, the client's certificate
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/tlspeer.h"
#include "base/base.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NAME_MAX_LEN 255

struct EkTlsPeers {
  guint       refs;
  X509_STORE *store;
  STACK_OF (X509_NAME) *names;         /* told to clients, who choose a certificate by them */
  bool        required, by_email;
  guint8      id[32];                  /* a ticket of another listener, with other authorities, vouches for nobody here */
};

/* ---- certificates of clients ---- */

EkTlsPeers *
ek_tls_peers_new (const EkListenerConf *conf)
{
  g_autoptr (GError) error = NULL;
  X509_STORE *store = conf->client_ca.text ? ek_tls_authorities (conf->client_ca, &error) : NULL;
  size_t len = 0;

  if (error)
    ek_log (EK_ERR, "tls", "%s", error->message);
  if (store == NULL)
    return NULL;
  EkTlsPeers *peers = g_new0 (EkTlsPeers, 1);
  *peers = (EkTlsPeers) { .refs = 1, .store = store, .names = sk_X509_NAME_new_null (), .required = conf->client_certificate_required,
                          .by_email = strcmp (conf->client_name, "email") == 0 };
  STACK_OF (X509) *all = X509_STORE_get1_all_certs (store);
  for (int i = 0; i < sk_X509_num (all); i++)
    sk_X509_NAME_push (peers->names, X509_NAME_dup (X509_get_subject_name (sk_X509_value (all, i))));
  sk_X509_pop_free (all, X509_free);
  EVP_Q_digest (NULL, "SHA256", NULL, conf->client_ca.text, conf->client_ca.len, peers->id, &len);
  return peers;
}

EkTlsPeers *
ek_tls_peers_ref (EkTlsPeers *peers)
{
  if (peers)
    peers->refs++;
  return peers;
}

void
ek_tls_peers_unref (EkTlsPeers *peers)
{
  if (peers == NULL || --peers->refs > 0)
    return;
  X509_STORE_free (peers->store);
  sk_X509_NAME_pop_free (peers->names, X509_NAME_free);
  g_free (peers);
}

/* Where none is required, one that is not good counts as none. */
static int
any_will_do (int good, X509_STORE_CTX *context)
{
  return 1;
}

void
ek_tls_peers_ask (EkTlsPeers *peers, SSL *ssl)
{
  if (peers == NULL)
    return;
  SSL_set_verify (ssl, SSL_VERIFY_PEER | (peers->required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), peers->required ? NULL : any_will_do);
  SSL_set1_verify_cert_store (ssl, peers->store);
  SSL_set0_CA_list (ssl, SSL_dup_CA_list (peers->names));
  SSL_set_session_id_context (ssl, peers->id, sizeof peers->id);
}

/* A name that is text, without a NUL that would hide what is behind it. */
static const char *
take_name (EkPool *pool, ASN1_STRING *string)
{
  unsigned char *text = NULL;
  int n = ASN1_STRING_to_UTF8 (&text, string);
  bool good = n > 0 && n <= NAME_MAX_LEN && memchr (text, '\0', (size_t) n) == NULL && g_utf8_validate ((char *) text, n, NULL);
  const char *name = good ? ek_pool_strndup (pool, (char *) text, (gsize) n) : NULL;

  OPENSSL_free (text);
  return name;
}

/* The first mail address among its alternative names (RFC 5280 section 4.2.1.6). */
static const char *
email_of (X509 *x, EkPool *pool)
{
  GENERAL_NAMES *names = X509_get_ext_d2i (x, NID_subject_alt_name, NULL, NULL);
  const char *found = NULL;

  for (int i = 0; found == NULL && i < sk_GENERAL_NAME_num (names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value (names, i);
    if (name->type == GEN_EMAIL)
      found = take_name (pool, name->d.rfc822Name);
  }
  GENERAL_NAMES_free (names);
  return found;
}

static const char *
common_name_of (X509 *x, EkPool *pool)
{
  const X509_NAME *subject = X509_get_subject_name (x);
  int at = X509_NAME_get_index_by_NID (subject, NID_commonName, -1);
  const X509_NAME_ENTRY *entry = at < 0 ? NULL : X509_NAME_get_entry (subject, at);

  return entry ? take_name (pool, X509_NAME_ENTRY_get_data (entry)) : NULL;
}

/* ---- channel binding ---- */

static bool
binds (const EkListenerConf *conf)
{
  for (guint i = 0; conf->mechanisms && conf->mechanisms[i]; i++)
    if (g_str_has_suffix (conf->mechanisms[i], "-PLUS"))
      return true;
  return false;
}

/* RFC 9266 section 3: without renegotiation (which is off), and before TLS 1.3 only with an extended master secret. */
static EkStr
exporter (SSL *ssl, EkPool *pool)
{
  static const char label[] = "EXPORTER-Channel-Binding";
  guint8 bytes[32];

  if ((SSL_version (ssl) < TLS1_3_VERSION && SSL_get_extms_support (ssl) != 1)
      || SSL_export_keying_material (ssl, bytes, sizeof bytes, label, strlen (label), NULL, 0, 0) != 1)
    return (EkStr) { NULL, 0 };
  EkStr copy = ek_pool_str (pool, (EkStr) { (char *) bytes, sizeof bytes });
  ek_wipe (bytes, sizeof bytes);
  return copy;
}

/* RFC 5929 section 4.1: by the digest of the certificate's signature, MD5 and SHA-1 giving way to SHA-256.  A signature
 * without a digest of its own (Ed25519) has no binding. */
static EkStr
endpoint (SSL *ssl, EkPool *pool)
{
  X509 *x = SSL_get_certificate (ssl);
  int digest = NID_undef;
  guint8 bytes[EVP_MAX_MD_SIZE];
  unsigned int n = 0;

  if (x == NULL || X509_get_signature_info (x, &digest, NULL, NULL, NULL) != 1 || digest == NID_undef)
    return (EkStr) { NULL, 0 };
  const EVP_MD *md = digest == NID_md5 || digest == NID_sha1 ? EVP_sha256 () : EVP_get_digestbynid (digest);
  if (md == NULL || X509_digest (x, md, bytes, &n) != 1)
    return (EkStr) { NULL, 0 };
  return ek_pool_str (pool, (EkStr) { (char *) bytes, n });
}

/* ---- all of it ---- */

const char *
ek_tls_facts (SSL *ssl, const EkListenerConf *conf, EkTlsPeers *peers, EkPool *pool, EkClient *facts)
{
  const unsigned char *alpn;
  unsigned int alpn_len;

  facts->tls = true;
  facts->tls_version = SSL_get_version (ssl);
  facts->tls_cipher = SSL_get_cipher_name (ssl);
  facts->tls_bits = SSL_get_cipher_bits (ssl, NULL);
  facts->tls_sni = SSL_get_servername (ssl, TLSEXT_NAMETYPE_host_name);
  SSL_get0_alpn_selected (ssl, &alpn, &alpn_len);
  facts->tls_alpn = alpn_len ? ek_pool_strndup (pool, (const char *) alpn, alpn_len) : NULL;
  if (binds (conf)) {
    facts->tls_exporter = exporter (ssl, pool);
    facts->tls_endpoint = endpoint (ssl, pool);
  }
  X509 *x = peers ? SSL_get0_peer_certificate (ssl) : NULL;
  bool good = x && SSL_get_verify_result (ssl) == X509_V_OK;
  if (peers && peers->required && !good)         /* a ticket of times when it was not */
    return "no good certificate of the client";
  if (good)
    facts->tls_peer = peers->by_email ? email_of (x, pool) : common_name_of (x, pool);
  ERR_clear_error ();
  return NULL;
}
