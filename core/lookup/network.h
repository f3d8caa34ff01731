/* network.h - IP addresses and networks as text: "192.0.2.0/24", "2001:db8::/32", "[::1]"
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>

typedef struct {
  guint8 bytes[16];                  /* 4 or 16 of them */
  guint8 len;                        /* 4: IPv4, 16: IPv6 */
  guint8 prefix;                     /* bits that count */
} EkNetwork;

/* An address, in brackets or not; prefix becomes all bits.  No zone ("%eth0"), no leading zeros. */
bool ek_network_parse_address (EkStr text, EkNetwork *address);
/* "localhost", 127.0.0.0/8 or ::1: what is said there does not leave the machine. */
bool ek_network_is_loopback (EkStr host);
/* An address or address/prefix.  Returns NULL, or what is wrong (a static sentence): bits behind the
 * prefix must be zero. */
const char *ek_network_parse (EkStr text, EkNetwork *network);
bool ek_network_has (const EkNetwork *network, const EkNetwork *address);
/* Is the address in one of the networks of a list ("," or blanks between them)?  EK_OK, EK_NOTFOUND;
 * EK_FAIL and *error when an entry is no network ("local" is one too: it means the address "unix"). */
EkStatus ek_network_list_has (EkStr list, const char *address, GError **error);
