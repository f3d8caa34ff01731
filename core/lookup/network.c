/* network.c - IP addresses and networks as text
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/network.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

bool
ek_network_parse_address (EkStr text, EkNetwork *address)
{
  char copy[INET6_ADDRSTRLEN + 1];

  if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
    text = (EkStr) { text.p + 1, text.n - 2 };
  if (text.n == 0 || text.n >= sizeof copy || memchr (text.p, '\0', text.n))
    return false;
  memcpy (copy, text.p, text.n);
  copy[text.n] = '\0';
  *address = (EkNetwork) { .len = strchr (copy, ':') ? 16 : 4 };
  address->prefix = (guint8) (address->len * 8);
  return inet_pton (address->len == 16 ? AF_INET6 : AF_INET, copy, address->bytes) == 1;
}

bool
ek_network_is_loopback (EkStr host)
{
  static const guint8 one[16] = { [15] = 1 };
  EkNetwork a;

  if (!ek_network_parse_address (host, &a))
    return ek_str_ieq (host, EK_STR ("localhost"));
  return a.len == 4 ? a.bytes[0] == 127 : memcmp (a.bytes, one, sizeof one) == 0;
}

/* Are all bits from `prefix` on zero? */
static bool
is_clean (const EkNetwork *network)
{
  for (guint bit = network->prefix; bit < network->len * 8u; bit++)
    if (network->bytes[bit / 8] & 0x80 >> bit % 8)
      return false;
  return true;
}

const char *
ek_network_parse (EkStr text, EkNetwork *network)
{
  const char *slash = text.n > 0 ? memchr (text.p, '/', text.n) : NULL;
  EkStr address = { text.p, slash ? (gsize) (slash - text.p) : text.n };
  guint64 prefix;

  if (!ek_network_parse_address (address, network))
    return "it is neither an IPv4 nor an IPv6 address";
  if (slash == NULL)
    return NULL;
  if (!ek_str_u64 ((EkStr) { slash + 1, text.n - address.n - 1 }, network->len * 8u, &prefix))
    return network->len == 4 ? "the prefix behind the / is not a number from 0 to 32"
                             : "the prefix behind the / is not a number from 0 to 128";
  network->prefix = (guint8) prefix;
  return is_clean (network) ? NULL : "the address has bits set behind its prefix: make them 0, or the prefix longer";
}

bool
ek_network_has (const EkNetwork *network, const EkNetwork *address)
{
  guint whole = network->prefix / 8, bits = network->prefix % 8;

  return network->len == address->len && memcmp (network->bytes, address->bytes, whole) == 0
         && (bits == 0 || ((network->bytes[whole] ^ address->bytes[whole]) & 0xff << (8 - bits) & 0xff) == 0);
}

static bool
is_separator (char c)
{
  return c == ',' || c == ' ' || c == '\t';
}

EkStatus
ek_network_list_has (EkStr list, const char *text, GError **error)
{
  EkNetwork address, network;
  bool is_ip = ek_network_parse_address (ek_str (text), &address);
  EkStatus status = EK_NOTFOUND;

  for (gsize i = 0, n; i < list.n; i += n) {
    for (n = 0; i < list.n && is_separator (list.p[i]); )
      i++;
    while (i + n < list.n && !is_separator (list.p[i + n]))
      n++;
    EkStr entry = { list.p + i, n };
    if (n == 0)
      continue;
    const char *why = NULL;
    if (ek_str_eq (entry, EK_STR ("local")))
      status = text && strcmp (text, "unix") == 0 ? EK_OK : status;
    else if ((why = ek_network_parse (entry, &network)) != NULL)
      return ek_fail (error, EK_FAIL, EINVAL, "\"%.*s\" is no network: %s", EK_STR_ARG (entry), why);
    else if (is_ip && ek_network_has (&network, &address))
      status = EK_OK;
  }
  return status;
}
