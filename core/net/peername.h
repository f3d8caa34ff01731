/* peername.h - a client's name, believed only when it leads back to the client
 * SPDX-License-Identifier: Apache-2.0
 *
 * The PTR records of the address are asked for, then the addresses of the names found: the first name that has the
 * client's address is his (RFC 1912 2.1, RFC 8601 3: "iprev").  Whoever runs a network writes its PTR records, so
 * a name that does not lead back is worth nothing.  Loop thread.
 */
#pragma once
#include "ekiden.h"

typedef struct EkPeerName EkPeerName;
/* `host` is NULL when there is no such name, DNS does not answer, or the time is over. */
typedef void (*EkPeerNameFunc) (const char *host, gpointer data);

/* func runs exactly once, after this has returned, unless it is cancelled. */
EkPeerName *ek_peer_name (const char *address, EkTime limit, EkPeerNameFunc func, gpointer data);
void        ek_peer_name_cancel (EkPeerName *self);       /* NULL is fine */

/* "192.0.2.1" gives "1.2.0.192.in-addr.arpa"; false: no IP address.  `into` is >= 80 bytes. */
bool ek_peer_name_question (const char *address, char *into, gsize n);
/* Whether `name` may stand in a log line and a header as a host's name: letters, digits, - and _ in
 * labels, and no address in disguise. */
bool ek_peer_name_valid (EkStr name);
