/* streamopen.c - where servers are, and connecting to the first one that answers
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/hosts.h"
#include "lookup/network.h"
#include "lookup/streamprivate.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVERS_MAX   16
#define ADDRESSES_MAX 8              /* of one name that are tried */

/* ---- settings ---- */

/* "host:port", "[address]:port", "host". */
static const char *
parse_host (EkStreamServer *server, const char *text, guint16 default_port)
{
  const char *bracket = text[0] == '[' ? strchr (text, ']') : NULL;
  const char *colon = strrchr (bracket ? bracket : text, ':');
  EkStr host = { text, colon ? (gsize) (colon - text) : strlen (text) };
  guint64 port = default_port;

  if (text[0] == '[' && (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':')))
    return "an IPv6 address and its port are written [2001:db8::1]:PORT";
  if (colon && (!ek_str_u64 (ek_str (colon + 1), 65535, &port) || port == 0))
    return "the port behind the last colon is not a number from 1 to 65535";
  if (port == 0)
    return "the port is missing: HOST:PORT";
  if (bracket)
    host = (EkStr) { text + 1, (gsize) (bracket - text) - 1 };
  else if (memchr (host.p, ':', host.n))
    return "an IPv6 address and its port are written [2001:db8::1]:PORT";
  if (host.n == 0)
    return "the host is missing: HOST:PORT";
  server->host = g_strndup (host.p, host.n);
  server->port = (guint16) port;
  server->local = ek_network_is_loopback (host);
  return NULL;
}

static const char *
parse_server (EkStreamServer *server, const char *text, guint16 default_port, bool named)
{
  const char *colon = named ? strrchr (text, ':') : NULL;
  g_autofree char *place = colon ? g_strndup (text, (gsize) (colon - text)) : g_strdup (text);
  const char *path = g_str_has_prefix (place, "unix:") ? place + 5 : place;

  server->text = text;
  if (named && (colon == NULL || colon[1] == '\0' || strpbrk (colon + 1, " /")))
    return "the name of the map is missing: inet:HOST:PORT:NAME or unix:/PATH:NAME";
  server->name = colon ? g_strdup (colon + 1) : NULL;
  if (path != place || path[0] == '/') {
    if (path[0] != '/')
      return "the path of a unix socket begins with /";
    if (strlen (path) >= sizeof ((struct sockaddr_un *) 0)->sun_path)
      return "the path of a unix socket has at most 107 characters";
    server->path = g_strdup (path);
    server->local = true;
    return NULL;
  }
  return parse_host (server, g_str_has_prefix (place, "inet:") ? place + 5 : place, default_port);
}

static bool
wants_tls (const EkStreamInstance *self, const EkStreamServer *server)
{
  return strcmp (self->tls, "yes") == 0 || (strcmp (self->tls, "auto") == 0 && !server->local);
}

static const char *
check_tls (const EkStreamInstance *self)
{
  if ((self->tls_certificate == NULL) != (self->tls_key == NULL))
    return "tls_certificate and tls_key: set both or none";
  for (guint i = 0; i < self->n_servers; i++)
    if (wants_tls (self, &self->servers[i]) && self->tls_verify && self->servers[i].path && self->tls_name == NULL)
      return "tls_name: a unix socket has no name to find in the certificate: set it";
  return NULL;
}

gboolean
ek_stream_init (EkStreamInstance *self, guint16 default_port, bool named, GError **error)
{
  guint n = g_strv_length (self->server);
  const char *wrong = n == 0 || n > SERVERS_MAX ? "name one server, or up to 16" : NULL, *which = "";

  self->servers = g_new0 (EkStreamServer, SERVERS_MAX);
  self->n_servers = wrong ? 0 : n;
  for (guint i = 0; i < self->n_servers && wrong == NULL; i++) {
    which = self->server[i];
    wrong = parse_server (&self->servers[i], which, default_port, named);
  }
  if (wrong)
    ek_fail (error, EK_FAIL, EINVAL, "server: \"%s\": %s", which, wrong);
  else if ((wrong = check_tls (self)))
    ek_fail (error, EK_FAIL, EINVAL, "%s", wrong);
  if (wrong)
    ek_stream_stop (&self->base);
  return wrong == NULL;
}

void
ek_stream_stop (EkInstance *base)
{
  EkStreamInstance *self = (EkStreamInstance *) base;

  for (guint i = 0; i < self->n_servers; i++) {
    g_free (self->servers[i].path);
    g_free (self->servers[i].host);
    g_free (self->servers[i].name);
  }
  g_clear_pointer (&self->servers, g_free);
  self->n_servers = 0;
}

/* ---- addresses ---- */

static void
fill (const EkNetwork *a, guint16 port, struct sockaddr_storage *out)
{
  if (a->len == 4) {
    *(struct sockaddr_in *) out = (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons (port) };
    memcpy (&((struct sockaddr_in *) out)->sin_addr, a->bytes, 4);
  }
  else {
    *(struct sockaddr_in6 *) out = (struct sockaddr_in6) { .sin6_family = AF_INET6, .sin6_port = htons (port) };
    memcpy (&((struct sockaddr_in6 *) out)->sin6_addr, a->bytes, 16);
  }
}

/* How many there are; 0 and *error: none. */
static guint
addresses (const EkStream *s, struct sockaddr_storage *out, GError **error)
{
  const EkStreamServer *server = s->server;
  struct sockaddr_un *un = (struct sockaddr_un *) out;
  EkNetwork a;
  guint n = 0;

  memset (out, 0, sizeof *out * ADDRESSES_MAX);
  if (server->path) {
    un->sun_family = AF_UNIX;
    g_strlcpy (un->sun_path, server->path, sizeof un->sun_path);
    return 1;
  }
  EkHost host = { .text = server->text, .name = server->host, .is_address = ek_network_parse_address (ek_str (server->host), &a) };
  g_autoptr (GError) why = NULL;
  g_autofree char *text = ek_host_addresses (&host, ADDRESSES_MAX, s->deadline, &why);
  g_auto (GStrv) words = g_strsplit (text ? text : "", ",", -1);
  for (guint i = 0; words[i] && n < ADDRESSES_MAX; i++)
    if (ek_network_parse_address (ek_str (words[i]), &a))
      fill (&a, server->port, &out[n++]);
  if (n == 0)
    ek_stream_wrong (s, error, why ? why->code : ENOENT, "%s", why ? why->message : "it has no address that can be reached");
  return n;
}

/* ---- connecting ---- */

static bool
connect_to (EkStream *s, const struct sockaddr_storage *to, GError **error)
{
  socklen_t n = to->ss_family == AF_UNIX ? sizeof (struct sockaddr_un) : to->ss_family == AF_INET ? sizeof (struct sockaddr_in)
                                                                                                 : sizeof (struct sockaddr_in6);
  int on = 1, why = 0;
  socklen_t size = sizeof why;

  s->fd = socket (to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (s->fd < 0)
    return ek_stream_wrong (s, error, errno, "%s", g_strerror (errno));
  if (to->ss_family != AF_UNIX) {
    setsockopt (s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt (s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (connect (s->fd, (const struct sockaddr *) to, n) == 0)
    return true;
  if (errno != EINPROGRESS)          /* a unix socket whose server does not accept is EAGAIN at once */
    return ek_stream_wrong (s, error, errno, "%s", g_strerror (errno));
  if (!ek_stream_wait (s, POLLOUT, error))
    return false;
  if (getsockopt (s->fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0 || why)
    return ek_stream_wrong (s, error, why ? why : errno, "%s", g_strerror (why ? why : errno));
  return true;
}

static void
hang_up (EkStream *s)
{
  SSL_free (s->ssl);
  s->ssl = NULL;
  if (s->fd >= 0)
    close (s->fd);
  s->fd = -1;
}

/* What is left of the time is shared by what is left to try, so that one address that drops everything does not use it up. */
static bool
try_server (EkStream *s, const EkStreamInstance *self, gint64 deadline, guint servers_left, GString *said)
{
  struct sockaddr_storage to[ADDRESSES_MAX];
  g_autoptr (GError) why = NULL;

  s->deadline = ek_now () + (deadline - ek_now ()) / servers_left;
  guint n = addresses (s, to, &why);
  for (guint i = 0; i < n; i++) {
    g_clear_error (&why);
    s->deadline = ek_now () + (deadline - ek_now ()) / (n - i + servers_left - 1);
    if (connect_to (s, &to[i], &why) && (!wants_tls (self, s->server) || ek_stream_tls_start (s, self, &why)))
      return true;
    hang_up (s);
  }
  g_string_append_printf (said, "%s%s", said->len ? "; " : "", why ? why->message : "no address");
  return false;
}

EkStream *
ek_stream_open (const EkStreamInstance *self, GError **error)
{
  gint64 deadline = ek_now () + self->connect_timeout.us;
  g_autoptr (GString) said = g_string_new (NULL);
  EkStream *s = g_new0 (EkStream, 1);

  s->fd = -1;
  for (guint i = 0; i < self->n_servers; i++) {
    s->server = &self->servers[i];
    if (try_server (s, self, deadline, self->n_servers - i, said))
      return s;
  }
  ek_stream_close (s);
  ek_fail (error, EK_DEFER, 0, "%s", said->str);
  return NULL;
}

gpointer
ek_stream_connect (EkInstance *base, GError **error)
{
  return ek_stream_open ((EkStreamInstance *) base, error);
}

void
ek_stream_disconnect (EkInstance *base, gpointer conn)
{
  ek_stream_close (conn);
}
