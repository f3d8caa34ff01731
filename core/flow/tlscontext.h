/* tlscontext.h - certificates, SNI, tickets: OpenSSL contexts of the tls role
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "flow/tlspeer.h"

#define EK_TICKET_KEY_LEN 80         /* 16 name, 32 AES-256, 32 HMAC-SHA256 */
#define EK_TICKET_KEYS    2

/* A certificate of a new set; `names` are what it answers to beside none: NULL or empty: what it names itself. */
bool     ek_tls_certificate (const char *name, char *const *names, EkStr chain, EkStr key, const EkTlsConf *conf, GError **error);
/* The set is complete: new connections see it from now on.  false: forget it, the old one stays. */
void     ek_tls_certificates_done (bool good);
void     ek_tls_ticket_keys (EkStr keys);
/* A new connection's state for a listener; `certificates` as in its block; `peers` (or NULL) has to live as long.  NULL: there is
 * no certificate. */
SSL     *ek_tls_new (char *const *certificates, const char *alpn, EkTlsPeers *peers);
void     ek_tls_contexts_free (void);
guint    ek_tls_contexts (void);
