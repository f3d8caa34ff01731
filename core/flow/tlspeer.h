/* tlspeer.h - what the tls role tells of a connection: the session, what mechanisms bind to, the client's certificate
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/tlsconf.h"

/* A listener's authorities for certificates of clients.  Loop thread. */
typedef struct EkTlsPeers EkTlsPeers;
/* NULL: the listener asks for none (the check of the configuration has told what is wrong with its text). */
EkTlsPeers *ek_tls_peers_new (const EkListenerConf *conf);
EkTlsPeers *ek_tls_peers_ref (EkTlsPeers *peers);
void        ek_tls_peers_unref (EkTlsPeers *peers);        /* NULL is fine */
/* Makes a connection ask for one.  `peers` has to live as long as `ssl`; NULL: it asks for none. */
void        ek_tls_peers_ask (EkTlsPeers *peers, SSL *ssl);

/* After the handshake: fills the facts' TLS part; strings live in the pool or with `ssl`.  `conf` is the listener's.  NULL, or why the
 * client is turned away. */
const char *ek_tls_facts (SSL *ssl, const EkListenerConf *conf, EkTlsPeers *peers, EkPool *pool, EkClient *facts);
