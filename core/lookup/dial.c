/* dial.c - a socket to one address of a server after the other
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/dial.h"
#include "base/base.h"
#include "lookup/network.h"
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SLICE_US ((gint64) 100000)   /* between two looks whether anybody still waits */

int
ek_dial_wait (int fd, short events, gint64 deadline, const EkCall *call)
{
  for (;;) {
    gint64 left = deadline - ek_now ();
    struct pollfd p = { .fd = fd, .events = events };
    if (call && call->cancelled)
      return ECANCELED;
    if (left <= 0)
      return ETIMEDOUT;
    int n = poll (&p, 1, (int) ((MIN (left, SLICE_US) + 999) / 1000));
    if (n > 0)
      return 0;
    if (n < 0 && errno != EINTR)
      return errno;
  }
}

/* ---- addresses ---- */

static guint
unix_address (const EkHost *host, struct sockaddr_un *un, GError **error)
{
  un->sun_family = AF_UNIX;
  if (g_strlcpy (un->sun_path, host->name, sizeof un->sun_path) < sizeof un->sun_path)
    return 1;
  ek_fail (error, EK_DEFER, ENAMETOOLONG, "the path of a unix socket has at most %zu characters", sizeof un->sun_path - 1);
  return 0;
}

/* "fe80::1%eth0": the address alone, and the number of its interface; 0: it names none. */
static guint
split_scope (EkStr *text)
{
  const char *sign = memchr (text->p, '%', text->n);

  if (sign)
    text->n = (gsize) (sign - text->p);
  return sign ? if_nametoindex (sign + 1) : 0;
}

static void
fill (const EkNetwork *a, guint16 port, guint scope, struct sockaddr_storage *out)
{
  if (a->len == 4) {
    *(struct sockaddr_in *) out = (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons (port) };
    memcpy (&((struct sockaddr_in *) out)->sin_addr, a->bytes, 4);
  }
  else {
    *(struct sockaddr_in6 *) out = (struct sockaddr_in6) { .sin6_family = AF_INET6, .sin6_port = htons (port), .sin6_scope_id = scope };
    memcpy (&((struct sockaddr_in6 *) out)->sin6_addr, a->bytes, 16);
  }
}

guint
ek_dial_addresses (const EkHost *host, gint64 deadline, struct sockaddr_storage out[EK_DIAL_MAX], GError **error)
{
  guint n = 0;

  memset (out, 0, sizeof *out * EK_DIAL_MAX);
  if (host->is_unix)
    return unix_address (host, (struct sockaddr_un *) out, error);
  g_autofree char *text = ek_host_addresses (host, EK_DIAL_MAX, deadline, error);
  if (text == NULL)
    return 0;
  g_auto (GStrv) words = g_strsplit (text, ",", -1);
  for (guint i = 0; words[i] && n < EK_DIAL_MAX; i++) {
    EkStr word = ek_str (words[i]);
    guint scope = split_scope (&word);
    EkNetwork a;
    if (ek_network_parse_address (word, &a))
      fill (&a, host->port, scope, &out[n++]);
  }
  if (n == 0)
    ek_fail (error, EK_DEFER, ENOENT, "it has no address that can be reached");
  return n;
}

/* ---- connecting ---- */

static socklen_t
size_of (const struct sockaddr_storage *to)
{
  return to->ss_family == AF_UNIX ? sizeof (struct sockaddr_un) : to->ss_family == AF_INET ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6);
}

/* 0, or why not.  A unix socket whose server does not accept is EAGAIN at once. */
static int
await_connection (int fd, gint64 deadline, const EkCall *call)
{
  int why = ek_dial_wait (fd, POLLOUT, deadline, call);
  socklen_t size = sizeof why;

  return why == 0 && getsockopt (fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0 ? errno : why;
}

int
ek_dial (const struct sockaddr_storage *to, gint64 deadline, const EkCall *call)
{
  int fd = socket (to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, why = 0;

  if (fd < 0)
    return -1;
  if (to->ss_family != AF_UNIX) {
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (connect (fd, (const struct sockaddr *) to, size_of (to)) < 0)
    why = errno == EINPROGRESS ? await_connection (fd, deadline, call) : errno;
  if (why == 0)
    return fd;
  close (fd);
  errno = why;
  return -1;
}
