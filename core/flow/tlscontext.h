/* tlscontext.h - certificates, SNI, tickets: OpenSSL contexts of the tls role
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/blocks.h"
#include <openssl/ssl.h>

#define EK_TICKET_KEY_LEN 80         /* 16 name, 32 AES-256, 32 HMAC-SHA256 */
#define EK_TICKET_KEYS    3

/* Adds or replaces; certificates keep the order in which they first came.  False: the old one stays. */
bool     ek_tls_certificate (const char *name, EkStr chain, EkStr key, const EkTlsConf *conf, GError **error);
void     ek_tls_ticket_keys (EkStr keys);
/* A new connection's state for a listener; `certificates` as in its block.  NULL: there is no certificate. */
SSL     *ek_tls_new (char *const *certificates, const char *alpn);
void     ek_tls_contexts_free (void);
guint    ek_tls_contexts (void);
