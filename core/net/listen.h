/* listen.h - addresses to listen on, and the sockets
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"
#include <sys/socket.h>

/* "0.0.0.0:25", "[::]:25", "127.0.0.1:2525"; "*:25" gives both families.  Fills up to 2 addresses; returns how
 * many, 0 and *error when the text is none. */
guint ek_listen_parse (const char *text, struct sockaddr_storage found[2], GError **error);
/* "192.0.2.1" of a socket address; "unix" for others; *port may be NULL. */
void  ek_address_text (const struct sockaddr_storage *address, char *text, gsize n, guint16 *port);
/* A listening, non-blocking, close-on-exec socket; -1 and *error, which says what to do about it. */
int   ek_listen (const struct sockaddr_storage *address, int backlog, GError **error);

/* A list of networks: "127.0.0.0/8", "::1", "[2001:db8::]/32". */
typedef struct EkNetworks EkNetworks;
EkNetworks *ek_networks_new (char *const *texts, GError **error);     /* NULL at an error */
void        ek_networks_free (EkNetworks *nets);
bool        ek_networks_have (const EkNetworks *nets, const char *address);
