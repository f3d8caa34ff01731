/* hosts.c - the servers that a block's `hosts` names, and which of them answered last
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/hosts.h"
#include "lookup/aside.h"
#include "lookup/network.h"
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#define DOWN_US ((gint64) 10 * G_USEC_PER_SEC)       /* how long a host that failed comes last */

struct EkHosts {
  EkPool              *pool;         /* owns this struct */
  guint                n;
  EkHost               hosts[EK_HOSTS_MAX];
  _Atomic gint64       down_until[EK_HOSTS_MAX];     /* monotonic us; 0: up */
  atomic_uint          turn;
};

/* ---- texts ---- */

/* Where the port's colon is; NULL: there is none. */
static const char *
colon_of (EkStr text)
{
  const char *close = text.p[0] == '[' ? memchr (text.p, ']', text.n) : NULL;
  const char *first = memchr (close ? close : text.p, ':', text.n - (gsize) (close ? close - text.p : 0));

  if (first && close == NULL && memchr (first + 1, ':', text.n - (gsize) (first + 1 - text.p)))
    return NULL;                     /* an IPv6 address without brackets */
  return first;
}

/* NULL, or what is wrong. */
static const char *
parse (EkPool *pool, EkStr text, guint16 port, EkHost *host)
{
  EkNetwork address;
  guint64 number = port;

  *host = (EkHost) { .text = ek_pool_strndup (pool, text.p, text.n), .port = port };
  if (text.n == 0)
    return "it is empty";
  if (text.p[0] == '/') {
    *host = (EkHost) { .text = host->text, .name = host->text, .is_unix = true, .is_near = true };
    return NULL;
  }
  const char *colon = colon_of (text);
  EkStr name = { text.p, colon ? (gsize) (colon - text.p) : text.n };
  if (colon && (!ek_str_u64 ((EkStr) { colon + 1, text.n - name.n - 1 }, 65535, &number) || number == 0))
    return "the port behind the colon is not a number from 1 to 65535";
  host->port = (guint16) number;
  host->is_address = ek_network_parse_address (name, &address);
  host->is_near = ek_network_is_loopback (name);
  if (name.n > 1 && name.p[0] == '[')
    name = (EkStr) { name.p + 1, name.n - 2 };
  for (gsize i = 0; i < name.n; i++)
    if (!g_ascii_isalnum (name.p[i]) && !strchr (host->is_address ? ".:" : ".-_", name.p[i]))
      return "it is neither a name, nor an address, nor a path that begins with /";
  host->name = ek_pool_strndup (pool, name.p, name.n);
  return name.n == 0 ? "it has no name" : NULL;
}

EkHosts *
ek_hosts_new (char **texts, guint16 port, GError **error)
{
  EkPool *pool = ek_pool_new ();
  EkHosts *hosts = ek_pool_new0 (pool, EkHosts);
  const char *wrong = texts && texts[0] ? NULL : "it names no server";

  hosts->pool = pool;
  for (guint i = 0; !wrong && texts[i]; i++) {
    wrong = i == EK_HOSTS_MAX ? "it names too many servers" : parse (pool, ek_str (texts[i]), port, &hosts->hosts[i]);
    if (wrong)
      ek_fail (error, EK_FAIL, EINVAL, "hosts: \"%s\": %s", texts[i], wrong);
    else
      hosts->n++;
  }
  if (wrong == NULL)
    return hosts;
  if (error && *error == NULL)
    ek_fail (error, EK_FAIL, EINVAL, "hosts: %s", wrong);
  ek_hosts_free (hosts);
  return NULL;
}

void
ek_hosts_free (EkHosts *hosts)
{
  if (hosts)
    ek_pool_free (hosts->pool);
}

guint
ek_hosts_count (const EkHosts *hosts)
{
  return hosts->n;
}

const EkHost *
ek_hosts_at (const EkHosts *hosts, guint i)
{
  return &hosts->hosts[i];
}

/* ---- which are up ---- */

void
ek_hosts_order (EkHosts *hosts, guint order[EK_HOSTS_MAX])
{
  guint turn = atomic_fetch_add (&hosts->turn, 1), at = 0;
  gint64 now = g_get_monotonic_time ();
  bool down[EK_HOSTS_MAX];

  for (guint i = 0; i < hosts->n; i++)             /* read once: another thread may mark one meanwhile */
    down[i] = atomic_load (&hosts->down_until[i]) > now;
  for (guint pass = 0; pass < 2; pass++)
    for (guint k = 0; k < hosts->n; k++)
      if (down[(turn + k) % hosts->n] == (pass == 1))
        order[at++] = (turn + k) % hosts->n;
}

void
ek_hosts_mark (EkHosts *hosts, guint i, bool up)
{
  atomic_store (&hosts->down_until[i], up ? 0 : g_get_monotonic_time () + DOWN_US);
}

/* ---- addresses ---- */

typedef struct {
  char  *name, *found;
  guint  max;
  int    err;                        /* of getaddrinfo() */
} Resolve;

static void
resolve_free (gpointer data)
{
  Resolve *r = data;

  g_free (r->name);
  g_free (r->found);
  g_free (r);
}

static void
resolve (gpointer data)
{
  Resolve *r = data;
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
  g_autoptr (GString) out = g_string_new (NULL);
  char text[NI_MAXHOST];
  guint n = 0;

  r->err = getaddrinfo (r->name, NULL, &hints, &list);
  for (struct addrinfo *a = r->err ? NULL : list; a && n < r->max; a = a->ai_next)
    if (getnameinfo (a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
      g_string_append_printf (out, "%s%s", n++ ? "," : "", text);
  if (list)
    freeaddrinfo (list);
  if (n > 0)
    r->found = g_strdup (out->str);
}

char *
ek_host_addresses (const EkHost *host, guint max, gint64 deadline, GError **error)
{
  if (host->is_address)
    return g_strdup (host->name);
  Resolve *r = g_new0 (Resolve, 1);
  r->name = g_strdup (host->name);
  r->max = max;
  if (!ek_aside (resolve, r, resolve_free, "the name server", deadline, error))
    return NULL;
  char *found = g_steal_pointer (&r->found);
  if (found == NULL)
    ek_fail (error, EK_DEFER, 0, "%s has no address: %s", host->name, r->err ? gai_strerror (r->err) : "none was found");
  resolve_free (r);
  return found;
}
