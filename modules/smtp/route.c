/* route.c - from a next hop to addresses: MX in order, addresses of each host (RFC 5321 section 5)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client.h"
#include "mail/address.h"
#include <arpa/inet.h>
#include <string.h>

/* ---- the next hop's form ---- */

static bool
parse_port (ClientTrip *trip, EkStr text)
{
  guint64 port = 0;

  if (!ek_str_u64 (text, 65535, &port) || port == 0)
    return false;
  trip->port = (guint16) port;
  return true;
}

static void
add_address (ClientTrip *trip, int family, const void *bytes)
{
  struct sockaddr_storage a = { .ss_family = (sa_family_t) family };

  if (family == AF_INET) {
    struct sockaddr_in *in = (struct sockaddr_in *) &a;
    memcpy (&in->sin_addr, bytes, 4);
    in->sin_port = htons (trip->port);
  }
  else {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &a;
    memcpy (&in6->sin6_addr, bytes, 16);
    in6->sin6_port = htons (trip->port);
  }
  g_array_append_val (trip->addresses, a);
}

static void
add_host (ClientTrip *trip, const char *name, guint16 preference)
{
  ClientHost host = { ek_pool_strdup (trip->pool, name), preference, (guint32) ek_random64 () };

  g_array_append_val (trip->hosts, host);
}

/* "[192.0.2.1]:25", "[IPv6:2001:db8::1]", "[host]:587", "example.com", "example.com:2525". */
bool
client_route_parse (ClientTrip *trip)
{
  EkStr hop = ek_str (trip->hop->next_hop);
  const char *end, *name = hop.p;

  trip->hosts = g_array_new (FALSE, TRUE, sizeof (ClientHost));
  trip->addresses = g_array_new (FALSE, TRUE, sizeof (struct sockaddr_storage));
  trip->port = (guint16) trip->client->port;
  if (hop.n > 0 && *hop.p == '[') {
    name = hop.p + 1;
    if (g_ascii_strncasecmp (name, "IPv6:", 5) == 0)
      name += 5;
    end = memchr (hop.p, ']', hop.n);
    if (end == NULL || end < name)
      return false;
  }
  else {
    end = memrchr (hop.p, ':', hop.n);
    end = end ? end : hop.p + hop.n;
    trip->mx_wanted = true;
  }
  const char *rest = end + (*end == ']');
  if (*rest && (*rest != ':' || !parse_port (trip, ek_str (rest + 1))))
    return false;
  trip->domain = ek_pool_strndup (trip->pool, name, (gsize) (end - name));
  guchar bytes[16];
  int family = inet_pton (AF_INET, trip->domain, bytes) == 1 ? AF_INET : inet_pton (AF_INET6, trip->domain, bytes) == 1 ? AF_INET6 : 0;
  if (family && !trip->mx_wanted) {
    trip->literal = true;
    add_host (trip, trip->domain, 0);
    add_address (trip, family, bytes);
    trip->host = 1;
  }
  return trip->domain[0] != '\0' && strlen (trip->domain) <= EK_DOMAIN_MAX;
}

/* ---- MX ---- */

static int
by_preference (gconstpointer a, gconstpointer b)
{
  const ClientHost *x = a, *y = b;

  if (x->preference != y->preference)
    return x->preference < y->preference ? -1 : 1;
  return x->chance < y->chance ? -1 : x->chance > y->chance;
}

static bool
is_me (const ClientTrip *trip, const char *name)
{
  return g_ascii_strcasecmp (name, trip->hop->hostname) == 0
         || (trip->client->helo_name && g_ascii_strcasecmp (name, trip->client->helo_name) == 0);
}

/* RFC 5321 5.1: we are in the list ourselves, so only hosts that are better than we are may be tried. */
static void
cut_at_self (ClientTrip *trip)
{
  for (guint i = 0; i < trip->hosts->len; i++)
    if (is_me (trip, g_array_index (trip->hosts, ClientHost, i).name)) {
      guint16 own = g_array_index (trip->hosts, ClientHost, i).preference;
      guint keep = i;
      while (keep > 0 && g_array_index (trip->hosts, ClientHost, keep - 1).preference == own)
        keep--;
      g_array_set_size (trip->hosts, keep);
      trip->cut = true;
      return;
    }
}

static void
give_up (ClientTrip *trip, EkStatus status, const char *dsn, const char *text)
{
  client_report_rest (trip, status, dsn, text);
  client_trip_done (trip);
}

static void
not_found (ClientTrip *trip, const char *name, const char *type, bool later)
{
  give_up (trip, later ? EK_DEFER : EK_FAIL, later ? "4.4.3" : "5.4.4",
           ek_pool_printf (trip->pool, "Host or domain name not found. Name service error for name=%s type=%s: Host not found%s",
                           name, type, later ? ", try again" : ""));
}

static void
take_mx (ClientTrip *trip, const EkDnsAnswer *a)
{
  for (guint i = 0; i < a->n && i < 100; i++)
    if (a->records[i].data.n > 0)
      add_host (trip, a->records[i].data.p, a->records[i].preference);
  if (trip->hosts->len == 0) {       /* RFC 7505 */
    give_up (trip, EK_FAIL, "5.1.10", ek_pool_printf (trip->pool, "Domain %s does not accept mail (nullMX)", trip->domain));
    return;
  }
  g_array_sort (trip->hosts, by_preference);
  cut_at_self (trip);
  if (trip->hosts->len == 0)
    give_up (trip, EK_FAIL, "5.4.6", ek_pool_printf (trip->pool, "mail for %s loops back to myself", trip->domain));
  else
    client_trip_next (trip);
}

static void
mx_answered (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  ClientTrip *trip = data;

  trip->query[0] = NULL;
  if (status == EK_OK && a->n > 0)
    take_mx (trip, a);
  else if (status == EK_NOTFOUND && !a->nxdomain) {
    if (is_me (trip, trip->domain))
      give_up (trip, EK_FAIL, "5.4.6", ek_pool_printf (trip->pool, "mail for %s loops back to myself", trip->domain));
    else {
      add_host (trip, trip->domain, 0);
      client_trip_next (trip);
    }
  }
  else
    not_found (trip, trip->domain, "MX", status != EK_NOTFOUND);
}

void
client_route_begin (ClientTrip *trip)
{
  if (trip->mx_wanted && !client_is_lmtp (trip->client)) {
    trip->query[0] = ek_dns_query (trip->domain, EK_DNS_MX, mx_answered, trip);
    return;
  }
  if (!trip->literal)
    add_host (trip, trip->domain, 0);
  client_trip_next (trip);
}

/* ---- addresses ---- */

bool
client_route_more (const ClientTrip *trip)
{
  if (trip->tried >= (guint) trip->client->addresses_max || trip->sessions >= (guint) trip->client->hosts_max)
    return false;
  return trip->address < trip->addresses->len || trip->host < trip->hosts->len;
}

static void
both_answered (ClientTrip *trip)
{
  const char *name = g_array_index (trip->hosts, ClientHost, trip->host - 1).name;

  if (trip->addresses->len == 0) {
    bool last = trip->host >= trip->hosts->len;
    if (last && trip->trouble == NULL && !trip->defer) {
      not_found (trip, name, "A", false);
      return;
    }
    if (trip->trouble == NULL || trip->defer)
      client_trouble (trip, "4.4.3", "Host or domain name not found. Name service error for name=%s type=A: Host not found%s",
                      name, trip->defer ? ", try again" : "");
  }
  client_trip_next (trip);
}

static void
address_answered (ClientTrip *trip, guint which, EkStatus status, const EkDnsAnswer *a)
{
  trip->query[which] = NULL;
  trip->asked--;
  trip->defer |= status != EK_OK && status != EK_NOTFOUND;
  for (guint i = 0; i < a->n && i < 32; i++)
    if (a->records[i].data.n == (which == 0 ? 4 : 16))
      add_address (trip, which == 0 ? AF_INET : AF_INET6, a->records[i].data.p);
  if (trip->asked == 0)
    both_answered (trip);
}

static void
a_answered (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  address_answered (data, 0, status, a);
}

static void
aaaa_answered (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  address_answered (data, 1, status, a);
}

void
client_route_next_host (ClientTrip *trip)
{
  const char *name = g_array_index (trip->hosts, ClientHost, trip->host++).name;
  const char *family = trip->client->address_family;
  guchar bytes[16];

  g_array_set_size (trip->addresses, 0);
  trip->address = 0;
  trip->without_tls = false;
  trip->defer = false;
  if (inet_pton (AF_INET, name, bytes) == 1 || g_ascii_strcasecmp (name, "localhost") == 0) {
    static const guchar local[4] = { 127, 0, 0, 1 };
    add_address (trip, AF_INET, g_ascii_isdigit (*name) ? bytes : local);
    client_trip_next (trip);
    return;
  }
  trip->asked = (strcmp (family, "ipv6") != 0) + (strcmp (family, "ipv4") != 0);
  if (strcmp (family, "ipv4") != 0)
    trip->query[1] = ek_dns_query (name, EK_DNS_AAAA, aaaa_answered, trip);
  if (strcmp (family, "ipv6") != 0)
    trip->query[0] = ek_dns_query (name, EK_DNS_A, a_answered, trip);
}

void
client_route_cancel (ClientTrip *trip)
{
  ek_dns_cancel (trip->query[0]);
  ek_dns_cancel (trip->query[1]);
}
