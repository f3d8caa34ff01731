/* tlsconf.c - an OpenSSL context from the block tls { } and a certificate with its key
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/tlsconf.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static bool
trouble (GError **error, const char *what, const char *why)
{
  unsigned long code = ERR_peek_last_error ();
  const char *reason = code ? ERR_reason_error_string (code) : NULL;

  ERR_clear_error ();
  ek_fail (error, EK_FAIL, 0, "%s: %s%s%s%s", what, why, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
  return false;
}

static int
no_passphrase (char *buf, int size, int writing, void *data)
{
  return 0;                          /* else OpenSSL asks on the terminal */
}

static bool
use_chain (SSL_CTX *ctx, const EkPem *chain, GError **error)
{
  BIO *bio = BIO_new_mem_buf (chain->pem.p, (int) chain->pem.n);
  X509 *x = PEM_read_bio_X509_AUX (bio, NULL, no_passphrase, NULL);
  const char *why = x ? NULL : "it holds no certificate in PEM form";

  if (x && SSL_CTX_use_certificate (ctx, x) != 1)
    why = "the certificate cannot be used";
  X509_free (x);
  ERR_clear_error ();
  while (why == NULL && (x = PEM_read_bio_X509 (bio, NULL, no_passphrase, NULL)))
    if (SSL_CTX_add0_chain_cert (ctx, x) != 1) {
      X509_free (x);
      why = "a certificate of the chain cannot be used";
    }
  BIO_free (bio);
  unsigned long code = ERR_peek_last_error ();       /* the end of the file is told as an error, too */
  if (why == NULL && code && ERR_GET_REASON (code) != PEM_R_NO_START_LINE)
    why = "a certificate behind the first is damaged";
  if (why)
    return trouble (error, chain->path, why);
  ERR_clear_error ();
  return true;
}

static bool
use_key (SSL_CTX *ctx, const EkPem *chain, const EkPem *key, GError **error)
{
  BIO *bio = BIO_new_mem_buf (key->pem.p, (int) key->pem.n);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey (bio, NULL, no_passphrase, NULL);
  g_autofree char *other = g_strdup_printf ("it is not the key of %s", chain->path);
  const char *why = pkey == NULL ? "it holds no private key in PEM form without a passphrase"
                    : SSL_CTX_use_PrivateKey (ctx, pkey) != 1 || SSL_CTX_check_private_key (ctx) != 1 ? other : NULL;

  BIO_free (bio);
  EVP_PKEY_free (pkey);
  return why == NULL || trouble (error, key->path, why);
}

SSL_CTX *
ek_tls_context_new (const EkTlsConf *conf, const EkPem *chain, const EkPem *key, GError **error)
{
  SSL_CTX *ctx = SSL_CTX_new (TLS_server_method ());
  bool ok = ctx != NULL;

  ERR_clear_error ();
  if (!ok)
    trouble (error, "tls", "no context");
  else {
    SSL_CTX_set_min_proto_version (ctx, g_strcmp0 (conf->min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (SSL_CTX_set_cipher_list (ctx, conf->ciphers ? conf->ciphers : "HIGH:!aNULL:!kRSA:!PSK:!SRP:!3DES") != 1)
      ok = trouble (error, "tls.ciphers", "it names no cipher that OpenSSL has");
    else if (conf->groups && SSL_CTX_set1_groups_list (ctx, conf->groups) != 1)
      ok = trouble (error, "tls.groups", "it names a group that OpenSSL does not have");
    else if (chain->pem.p)
      ok = use_chain (ctx, chain, error) && use_key (ctx, chain, key, error);
  }
  if (!ok)
    g_clear_pointer (&ctx, SSL_CTX_free);
  return ctx;
}

X509_STORE *
ek_tls_authorities (EkText pem, GError **error)
{
  BIO *bio = BIO_new_mem_buf (pem.text, (int) MIN (pem.len, (gsize) G_MAXINT));
  X509_STORE *store = X509_STORE_new ();
  const char *file = pem.file ? pem.file : "the text";
  guint n = 0;
  X509 *x;

  ERR_clear_error ();
  while ((x = PEM_read_bio_X509 (bio, NULL, no_passphrase, NULL))) {
    n += X509_STORE_add_cert (store, x) == 1;
    X509_free (x);
  }
  BIO_free (bio);
  unsigned long code = ERR_peek_last_error ();       /* the end of the text is told as an error, too */
  if (n > 0 && ERR_GET_REASON (code) == PEM_R_NO_START_LINE) {
    ERR_clear_error ();
    return store;
  }
  X509_STORE_free (store);
  trouble (error, "client_ca", n > 0 ? "a certificate is damaged" : "no certificate in PEM form is there");
  g_prefix_error (error, "%s: ", file);
  return NULL;
}
