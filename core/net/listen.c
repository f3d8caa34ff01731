/* listen.c - addresses to listen on, and the sockets
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static bool
put_v4 (const char *host, guint16 port, struct sockaddr_storage *ss)
{
  struct sockaddr_in *a = (struct sockaddr_in *) (void *) ss;

  memset (ss, 0, sizeof *ss);
  a->sin_family = AF_INET;
  a->sin_port = htons (port);
  return inet_pton (AF_INET, host, &a->sin_addr) == 1;
}

static bool
put_v6 (const char *host, guint16 port, struct sockaddr_storage *ss)
{
  struct sockaddr_in6 *a = (struct sockaddr_in6 *) (void *) ss;

  memset (ss, 0, sizeof *ss);
  a->sin6_family = AF_INET6;
  a->sin6_port = htons (port);
  return inet_pton (AF_INET6, host, &a->sin6_addr) == 1;
}

guint
ek_listen_parse (const char *text, struct sockaddr_storage found[2], GError **error)
{
  const char *colon = strrchr (text, ':');
  guint64 port;

  if (colon && ek_str_u64 (ek_str (colon + 1), 65535, &port)) {
    g_autofree char *host = g_strndup (text, (gsize) (colon - text));
    gsize n = strlen (host);
    if (strcmp (host, "*") == 0) {
      put_v4 ("0.0.0.0", (guint16) port, &found[0]);
      put_v6 ("::", (guint16) port, &found[1]);
      return 2;
    }
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
      host[n - 1] = '\0';
      if (put_v6 (host + 1, (guint16) port, &found[0]))
        return 1;
    }
    else if (put_v4 (host, (guint16) port, &found[0]))
      return 1;
  }
  ek_fail (error, EK_FAIL, EINVAL, "\"%s\" is no address to listen on: write 0.0.0.0:25, \"[::]:25\" or *:25", text);
  return 0;
}

void
ek_address_text (const struct sockaddr_storage *address, char *text, gsize n, guint16 *port)
{
  guint16 p = 0;

  g_strlcpy (text, "unix", n);
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *a = (const struct sockaddr_in *) (const void *) address;
    inet_ntop (AF_INET, &a->sin_addr, text, (socklen_t) n);
    p = ntohs (a->sin_port);
  }
  else if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *) (const void *) address;
    p = ntohs (a->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED (&a->sin6_addr))
      inet_ntop (AF_INET, a->sin6_addr.s6_addr + 12, text, (socklen_t) n);
    else
      inet_ntop (AF_INET6, &a->sin6_addr, text, (socklen_t) n);
  }
  if (port)
    *port = p;
}

int
ek_listen (const struct sockaddr_storage *address, int backlog, GError **error)
{
  char text[INET6_ADDRSTRLEN];
  guint16 port;
  int one = 1;
  int fd = socket (address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  ek_address_text (address, text, sizeof text, &port);
  if (fd < 0) {
    ek_fail (error, EK_DEFER, errno, "cannot make a socket for %s: %s", text, g_strerror (errno));
    return -1;
  }
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (address->ss_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (bind (fd, (const struct sockaddr *) address, sizeof *address) == 0 && listen (fd, backlog) == 0)
    return fd;
  int err = errno;
  const char *hint = err == EADDRINUSE ? " (another server listens there: see ss -tlnp)"
                     : err == EACCES ? " (ports below 1024 need root)"
                     : err == EADDRNOTAVAIL ? " (no interface has this address)" : "";
  ek_fail (error, EK_DEFER, err, "cannot listen on %s port %u: %s%s", text, port, g_strerror (err), hint);
  close (fd);
  return -1;
}

/* ---- networks ---- */

typedef struct {
  guint8 bytes[16];
  guint  bits;                       /* of the 128; IPv4 is mapped */
} Net;

struct EkNetworks {
  guint n;
  Net   nets[];
};

static bool
map_address (const char *text, guint8 bytes[16], bool *v4)
{
  static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };

  *v4 = inet_pton (AF_INET, text, bytes + 12) == 1;
  if (*v4)
    memcpy (bytes, mapped, 12);
  return *v4 || inet_pton (AF_INET6, text, bytes) == 1;
}

static bool
net_parse (const char *text, Net *net)
{
  g_autofree char *host = g_strdup (text);
  char *slash = strchr (host, '/');
  bool v4;
  guint64 bits = 0;

  if (slash)
    *slash++ = '\0';
  gsize n = strlen (host);
  char *bare = host;
  if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
    host[n - 1] = '\0';
    bare++;
  }
  if (!map_address (bare, net->bytes, &v4))
    return false;
  if (slash && !ek_str_u64 (ek_str (slash), v4 ? 32 : 128, &bits))
    return false;
  net->bits = slash ? (guint) bits + (v4 ? 96 : 0) : 128;
  return true;
}

EkNetworks *
ek_networks_new (char *const *texts, GError **error)
{
  guint n = g_strv_length ((char **) texts);
  EkNetworks *nets = g_malloc0 (sizeof *nets + n * sizeof (Net));

  for (; nets->n < n; nets->n++)
    if (!net_parse (texts[nets->n], &nets->nets[nets->n])) {
      ek_fail (error, EK_FAIL, EINVAL, "\"%s\" is no network: write 192.0.2.0/24 or 2001:db8::/32", texts[nets->n]);
      g_free (nets);
      return NULL;
    }
  return nets;
}

void
ek_networks_free (EkNetworks *nets)
{
  g_free (nets);
}

static bool
net_has (const Net *net, const guint8 address[16])
{
  guint whole = net->bits / 8, rest = net->bits % 8;

  if (memcmp (net->bytes, address, whole) != 0)
    return false;
  return rest == 0 || ((net->bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool
ek_networks_have (const EkNetworks *nets, const char *address)
{
  guint8 bytes[16];
  bool v4;

  if (nets == NULL || !map_address (address, bytes, &v4))
    return false;
  for (guint i = 0; i < nets->n; i++)
    if (net_has (&nets->nets[i], bytes))
      return true;
  return false;
}
