/* doctordns.c - ekiden doctor looks at the names: the resolver, our own name both ways, MX, and the way out to port 25
 * SPDX-License-Identifier: Apache-2.0
 *
 * It asks as the server does, through the configured resolver.
 */
#include "config.h"
#include "cli/doctor.h"
#include "flow/domain.h"
#include "mail/address.h"
#include "net/listen.h"
#include "net/resolve.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AREA      "dns"
#define WAY_OUT   "outbound"
#define PATIENCE  5000               /* ms for a connection, and for a greeting */
#define TRIES     3                  /* addresses, before port 25 counts as closed */
#define LONGEST   (EK_DOMAIN_MAX + 1)

typedef struct {
  EkDoctor *dr;
  EkLoop   *loop;
  GPtrArray *own;                    /* addresses of our hostname, as text */
} Names;

typedef struct {
  EkPool     *pool;
  bool        done;
  EkStatus    status;
  const char *why;
  guint       n;
  EkDnsRecord *records;
} Reply;

/* ---- asking ---- */

static void
answered (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  Reply *r = data;

  r->done = true;
  r->status = status;
  r->why = ek_pool_strdup (r->pool, error ? error->message : "no answer");
  r->n = a->n;
  r->records = ek_pool_newv (r->pool, EkDnsRecord, a->n + 1);
  for (guint i = 0; i < a->n; i++)
    r->records[i] = (EkDnsRecord) { a->records[i].preference, ek_pool_str (r->pool, a->records[i].data) };
}

static Reply
ask (Names *s, const char *name, EkDnsType type)
{
  Reply r = { .pool = s->dr->pool };

  ek_dns_query (name, type, answered, &r);
  while (!r.done)
    ek_loop_turn (s->loop, true);
  return r;
}

/* Appends the addresses of a name; false: no answer. */
static bool
ask_addresses (Names *s, const char *name, GPtrArray *found, const char **why)
{
  static const EkDnsType types[] = { EK_DNS_A, EK_DNS_AAAA };
  char text[INET6_ADDRSTRLEN];

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    Reply r = ask (s, name, types[i]);
    *why = r.why;
    if (r.status != EK_OK && r.status != EK_NOTFOUND)
      return false;
    for (guint k = 0; k < r.n; k++)
      if (inet_ntop (types[i] == EK_DNS_A ? AF_INET : AF_INET6, r.records[k].data.p, text, sizeof text))
        g_ptr_array_add (found, ek_pool_strdup (s->dr->pool, text));
  }
  return true;
}

/* ---- our own name ---- */

/* The name under in-addr.arpa or ip6.arpa. */
static void
reverse_name (const char *address, EkBuf *out)
{
  guint8 bytes[16];

  if (inet_pton (AF_INET, address, bytes) == 1) {
    ek_buf_printf (out, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
    return;
  }
  if (inet_pton (AF_INET6, address, bytes) == 1)
    for (int i = 15; i >= 0; i--)
      ek_buf_printf (out, "%x.%x.", bytes[i] & 15, bytes[i] >> 4);
  ek_buf_appends (out, "ip6.arpa");
}

static void
check_reverse (Names *s, const char *address)
{
  EkDoctor *dr = s->dr;
  EkBuf name = { 0 };

  reverse_name (address, &name);
  ek_buf_appendc (&name, '\0');
  Reply r = ask (s, ek_buf_at (&name), EK_DNS_PTR);
  ek_buf_release (&name);
  if (r.status == EK_OK && r.n > 0) {
    for (guint i = 0; i < r.n; i++)
      if (ek_str_ieq (r.records[i].data, ek_str (dr->hostname))) {
        ek_doctor_say (dr, EK_DR_OK, AREA, "%s is %s, both ways", address, dr->hostname);
        return;
      }
    ek_doctor_say (dr, EK_DR_WARNING, AREA, "the PTR record of %s says %.*s, not %s: others may refuse mail from it\nask who gave you the address to "
                   "change it, or set `hostname`", address, EK_STR_ARG (r.records[0].data), dr->hostname);
  }
  else if (r.status == EK_OK || r.status == EK_NOTFOUND)
    ek_doctor_say (dr, EK_DR_WARNING, AREA, "%s has no PTR record: others refuse mail from it\nask who gave you the address for one that says %s", address,
                   dr->hostname);
  else
    ek_doctor_say (dr, EK_DR_WARNING, AREA, "the PTR record of %s: %s\ntry again; then look at who serves that zone", address, r.why);
}

/* False: the resolver does not answer, so there is no use in asking more. */
static bool
check_own_name (Names *s)
{
  EkDoctor *dr = s->dr;
  const char *why;

  if (strchr (dr->hostname, '.') == NULL)
    ek_doctor_say (dr, EK_DR_WARNING, AREA, "the hostname \"%s\" has no domain\nekiden config set hostname mail.example.com", dr->hostname);
  if (!ask_addresses (s, dr->hostname, s->own, &why)) {
    ek_doctor_say (dr, EK_DR_PROBLEM, AREA, "the resolver gives no answer about %s: %s\nsee that the servers of the resolver's block, or of /etc/resolv.conf, "
                   "answer", dr->hostname, why);
    return false;
  }
  ek_doctor_say (dr, EK_DR_OK, AREA, "the resolver answers");
  if (s->own->len == 0)
    ek_doctor_say (dr, EK_DR_WARNING, AREA, "%s has no address\nadd an A or AAAA record, or correct `hostname`", dr->hostname);
  for (guint i = 0; i < s->own->len; i++)
    check_reverse (s, s->own->pdata[i]);
  return true;
}

/* ---- MX of our domains ---- */

static bool
is_ours (Names *s, const char *host)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  const char *why;

  if (g_ascii_strcasecmp (host, s->dr->hostname) == 0)
    return true;
  ask_addresses (s, host, found, &why);
  for (guint i = 0; i < found->len; i++)
    if (g_ptr_array_find_with_equal_func (s->own, found->pdata[i], g_str_equal, NULL))
      return true;
  return false;
}

static void
check_records (Names *s, const char *domain, const Reply *r)
{
  EkDoctor *dr = s->dr;
  EkBuf others = { 0 };

  for (guint i = 0; i < r->n; i++) {
    if (r->records[i].data.n == 0) {
      ek_doctor_say (dr, EK_DR_WARNING, AREA, "the MX record of %s says that it takes no mail (null MX)\nlet it name %s", domain, dr->hostname);
      return;
    }
    if (is_ours (s, r->records[i].data.p)) {
      ek_doctor_say (dr, EK_DR_OK, AREA, "mail for %s comes here: MX %u %s", domain, r->records[i].preference, r->records[i].data.p);
      ek_buf_release (&others);
      return;
    }
    ek_buf_printf (&others, "%s%s", i ? ", " : "", r->records[i].data.p);
  }
  ek_doctor_say (dr, EK_DR_WARNING, AREA, "mail for %s does not come here: its MX is %.*s\nlet one of its MX records name %s, unless that host passes mail "
                 "on to this one", domain, EK_STR_ARG (ek_buf_str (&others)), dr->hostname);
  ek_buf_release (&others);
}

static void
check_mx (const EkBlockValues *values, gpointer data)
{
  Names *s = data;
  const EkDomainConf *conf = values->values;
  const char *domain = conf->names ? NULL : values->block->name;     /* a block for many has no domain's name */

  if (domain == NULL || strchr (domain, '.') == NULL)
    return;
  Reply r = ask (s, domain, EK_DNS_MX);
  if (r.status == EK_OK && r.n > 0)
    check_records (s, domain, &r);
  else if (r.status != EK_OK && r.status != EK_NOTFOUND)
    ek_doctor_say (s->dr, EK_DR_WARNING, AREA, "the MX of %s: %s\ntry again; then look at who serves that zone", domain, r.why);
  else if (is_ours (s, domain))
    ek_doctor_say (s->dr, EK_DR_OK, AREA, "mail for %s comes here, by its address: it has no MX record", domain);
  else
    ek_doctor_say (s->dr, EK_DR_WARNING, AREA, "%s has no MX record, so nobody can send mail to it\nadd: %s. MX 10 %s.", domain, domain, s->dr->hostname);
}

/* ---- the way out ---- */

typedef struct {                     /* where mail for others goes first */
  char    host[LONGEST];
  bool    mx;                        /* ask for the MX of `host` */
  guint16 port;
} Hop;

/* "example.com", "example.com:2525", "[host]:587", "[IPv6:2001:db8::1]": as the transport reads it. */
static bool
parse_hop (const char *text, Hop *hop)
{
  bool bracket = *text == '[';
  const char *name = text + bracket, *end = bracket ? strchr (text, ']') : strrchr (text, ':');
  guint64 port;

  if (bracket && g_ascii_strncasecmp (name, "IPv6:", 5) == 0)
    name += 5;
  if (end == NULL && bracket)
    return false;
  end = end ? end : text + strlen (text);
  const char *rest = end + bracket;
  if (end < name || (gsize) (end - name) >= sizeof hop->host || (*rest && *rest != ':'))
    return false;
  memcpy (hop->host, name, (gsize) (end - name));
  hop->host[end - name] = '\0';
  hop->mx = !bracket;
  if (*rest == ':') {
    if (!ek_str_u64 (ek_str (rest + 1), 65535, &port))
      return false;
    hop->port = (guint16) port;
  }
  return true;
}

/* Connects and reads the greeting's first bytes; 0, or errno. */
static int
greet (const struct sockaddr_storage *at, char greeting[80])
{
  int fd = socket (at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
  socklen_t size = sizeof err;
  struct pollfd p = { .fd = fd, .events = POLLOUT };

  if (fd < 0)
    return errno;
  if (connect (fd, (const struct sockaddr *) at, sizeof *at) < 0 && errno != EINPROGRESS)
    err = errno;
  else if (poll (&p, 1, PATIENCE) <= 0)
    err = ETIMEDOUT;
  else if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &err, &size) == 0 && err == 0) {
    p.events = POLLIN;
    ssize_t n = poll (&p, 1, PATIENCE) > 0 ? read (fd, greeting, 79) : 0;
    greeting[MAX (n, 0)] = '\0';
    greeting[strcspn (greeting, "\r\n")] = '\0';
  }
  close (fd);
  return err;
}

static void
try_hosts (Names *s, const Hop *hop, const GPtrArray *addresses, bool relayhost)
{
  int err = 0;

  for (guint i = 0; i < MIN (addresses->len, TRIES); i++) {
    struct sockaddr_storage at[2];
    const char *text = addresses->pdata[i];
    g_autofree char *where = g_strdup_printf (strchr (text, ':') ? "[%s]:%u" : "%s:%u", text, hop->port);
    char greeting[80] = "";
    if (ek_listen_parse (where, at, NULL) != 1)
      continue;
    int its = greet (&at[0], greeting);
    if (its == 0 && g_str_has_prefix (greeting, "220")) {
      ek_doctor_say (s->dr, EK_DR_OK, WAY_OUT, "%s of %s answers", where, hop->host);
      return;
    }
    if (its == 0) {
      ek_doctor_say (s->dr, EK_DR_WARNING, WAY_OUT, "%s of %s takes the connection, but its greeting is \"%s\"\nsomething in between may answer in its "
                     "place: ask your provider, or set routing.relayhost to his mail server", where, hop->host, greeting);
      return;
    }
    err = its;
  }
  if (relayhost)
    ek_doctor_say (s->dr, EK_DR_PROBLEM, WAY_OUT, "%s, where all mail for others goes, cannot be reached at port %u: %s\ncorrect routing.relayhost, or "
                   "see why it does not answer", hop->host, hop->port, g_strerror (err));
  else
    ek_doctor_say (s->dr, EK_DR_PROBLEM, WAY_OUT, "port %u of other hosts is blocked: no mail server of %s can be reached (%s)\nask your provider to open "
                   "it, or set routing.relayhost to his mail server", hop->port, hop->host, g_strerror (err));
}

static gint
by_preference (gconstpointer a, gconstpointer b)
{
  return (gint) ((const EkDnsRecord *) a)->preference - (gint) ((const EkDnsRecord *) b)->preference;
}

static void
check_hop (Names *s, const Hop *hop, bool relayhost)
{
  g_autoptr (GPtrArray) addresses = g_ptr_array_new ();
  guint8 bytes[16];
  const char *why = "";
  Reply r = { 0 };

  if (inet_pton (AF_INET, hop->host, bytes) == 1 || inet_pton (AF_INET6, hop->host, bytes) == 1)
    g_ptr_array_add (addresses, (gpointer) hop->host);
  else if (hop->mx) {
    r = ask (s, hop->host, EK_DNS_MX);
    why = r.why;
    qsort (r.records, r.n, sizeof *r.records, by_preference);
  }
  for (guint i = 0; i < r.n && addresses->len < TRIES; i++)
    ask_addresses (s, r.records[i].data.p, addresses, &why);
  if (addresses->len == 0 && r.n == 0)
    ask_addresses (s, hop->host, addresses, &why);
  if (addresses->len > 0)
    try_hosts (s, hop, addresses, relayhost);
  else
    ek_doctor_say (s->dr, relayhost ? EK_DR_PROBLEM : EK_DR_WARNING, WAY_OUT, "%s has no address (%s), so the way out was not tried\n%s", hop->host, why,
                   relayhost ? "correct routing.relayhost" : "ekiden doctor --probe DOMAIN, with a domain that takes mail");
}

/* Mail for others goes out: can it? */
static void
check_way_out (Names *s)
{
  const EkRoutingConf *routing = ek_generation_values (s->dr->gen, &ek_routing_block, NULL);
  bool relayhost = routing && routing->relayhost && *routing->relayhost;
  Hop hop = { .port = 25 };

  if (routing == NULL || routing->transport == NULL)
    return;
  const gint64 *port = ek_doctor_option (routing->transport, "port", EK_INT);
  if (port)
    hop.port = (guint16) *port;
  if (!parse_hop (relayhost ? routing->relayhost : s->dr->probe, &hop))
    ek_doctor_say (s->dr, EK_DR_PROBLEM, WAY_OUT, "\"%s\" is no next hop\nwrite example.com, or [mail.example.com]:25", relayhost ? routing->relayhost
                   : s->dr->probe);
  else
    check_hop (s, &hop, relayhost);
}

/* ---- all of it ---- */

static EkInstance *
find_resolver (const EkGeneration *gen)
{
  for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
    EkInstance *self = ek_generation_instance_at (gen, i);
    if (self->module && self->module->resolver)
      return self;
  }
  return NULL;
}

void
ek_doctor_dns (EkDoctor *self)
{
  g_autoptr (GError) error = NULL;
  Names s = { .dr = self, .loop = self->loop };
  EkInstance *resolver = self->gen ? find_resolver (self->gen) : NULL;
  const EkRoutingConf *routing = self->gen ? ek_generation_values (self->gen, &ek_routing_block, NULL) : NULL;

  if (self->gen == NULL)
    return;                                        /* its errors are told */
  if (resolver == NULL) {
    if (routing && routing->transport)
      ek_doctor_say (self, EK_DR_WARNING, AREA, "no resolver is configured, so mail goes only to addresses in figures\nadd `dns_unbound { }` to the configuration");
    else
      ek_doctor_say (self, EK_DR_OK, AREA, "no resolver is configured: names are not looked at");
    return;
  }
  if (resolver->module->start && !resolver->module->start (resolver, &error)) {
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "the resolver does not start: %s\ncorrect the block of %s \"%s\"", error->message, resolver->module->name,
                   resolver->name);
    return;
  }
  s.own = g_ptr_array_new ();
  ek_dns_use (resolver);
  if (check_own_name (&s)) {
    ek_generation_each (self->gen, &ek_domain_block, check_mx, &s);
    check_way_out (&s);
  }
  ek_dns_use (NULL);
  ek_loop_turn (s.loop, false);
  g_ptr_array_unref (s.own);
}
