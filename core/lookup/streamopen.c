/* streamopen.c - where servers are, and connecting to the first one that answers
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/network.h"
#include "lookup/streamprivate.h"
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVERS_MAX 16

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

/* ---- connecting ---- */

static guint
addresses (const EkStream *s, struct sockaddr_storage *out, GError **error)
{
  const EkStreamServer *server = s->server;
  EkHost host = { .text = server->text, .name = server->path ? server->path : server->host, .port = server->port, .is_unix = server->path != NULL };
  g_autoptr (GError) why = NULL;
  EkNetwork a;

  host.is_address = server->host && ek_network_parse_address (ek_str (server->host), &a);
  guint n = ek_dial_addresses (&host, s->deadline, out, &why);
  if (n == 0)
    ek_stream_wrong (s, error, why->code, "%s", why->message);
  return n;
}

static bool
connect_to (EkStream *s, const struct sockaddr_storage *to, GError **error)
{
  s->fd = ek_dial (to, s->deadline, s->call);
  return s->fd >= 0 || ek_stream_failed (s, errno, error);
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
  struct sockaddr_storage to[EK_DIAL_MAX];
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
