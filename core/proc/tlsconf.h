/* tlsconf.h - an OpenSSL context from the block tls { } and a certificate with its key
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/blocks.h"
#include <openssl/ssl.h>

typedef struct {
  const char *path;                  /* what an error calls it */
  EkStr       pem;                   /* p NULL: there is none */
} EkPem;

/* A server's context: versions, ciphers, groups, and the certificate when there is one.  The same function in the
 * child that checks a configuration and in the tls role, so what the one lets pass the other takes.  NULL: *error
 * names the option or the file, and the reason. */
SSL_CTX *ek_tls_context_new (const EkTlsConf *conf, const EkPem *chain, const EkPem *key, GError **error);
/* The authorities in a PEM text, for the certificates of clients.  NULL: *error says what is wrong with the text. */
X509_STORE *ek_tls_authorities (EkText pem, GError **error);
