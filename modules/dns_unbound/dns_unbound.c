/* dns_unbound.c - the resolver: libunbound, which recurses or forwards, validates and caches
 * SPDX-License-Identifier: Apache-2.0
 *
 * libunbound works on a thread of its own and wakes the loop through a descriptor; answers are taken there.
 * (Its other way is to fork, which would copy the role's channels into a process that nobody watches.)
 * Files are read in init(), before the role loses sight of them, and remembered for reloads.
 */
#include <ekiden/ekiden.h>
#include "base/base.h"
#include "loop/loop.h"
#include "net/resolver.h"
#include <errno.h>
#include <string.h>
#include <unbound.h>

typedef struct {
  EkInstance  base;
  char      **servers;
  gint64      port, attempts;
  const char *trust_anchors;
  EkSize      cache_size;
  EkTime      ttl_max;
  /* its own */
  char       *anchors, *resolv_conf; /* contents of files */
  struct ub_ctx *ctx;
  struct Wake {
    EkWatch  watch;
    EkLoop  *loop;
    struct ub_ctx *ctx;
  } wake;
} Unbound;

static const EkOption options[] = {
  EK_OPTION (Unbound, servers, "[]", "Name servers to ask, as addresses, address@port for another port. Empty: those in "
             "/etc/resolv.conf; when there are none there, the root servers are asked directly."),
  EK_OPTION (Unbound, port, "53", "Port of the servers that name none.", .allow = "1..65535"),
  EK_OPTION (Unbound, attempts, "3", "How often a server is tried before it counts as dead for a question.", .allow = "1..32"),
  EK_OPTION (Unbound, trust_anchors, "", "A file of DS or DNSKEY records from which DNSSEC is validated; Debian has "
             "/usr/share/dns/root.key. Empty: answers are not validated and never count as secure."),
  EK_OPTION (Unbound, cache_size, "8M", "Memory for answers.", .allow = "64K..4G"),
  EK_OPTION (Unbound, ttl_max, "1d", "How long an answer is kept at most.", .allow = "1s..7d"),
  EK_OPTIONS_END
};

/* ---- files ---- */

/* A role in its empty root cannot read them again when the configuration is reloaded. */
static char *
read_file (const char *path, GError **error)
{
  static GHashTable *seen;
  g_autoptr (GError) why = NULL;
  char *text;

  if (seen == NULL)
    seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (g_file_get_contents (path, &text, NULL, &why)) {
    g_hash_table_replace (seen, g_strdup (path), g_strdup (text));
    return text;
  }
  if (g_hash_table_contains (seen, path))
    return g_strdup (g_hash_table_lookup (seen, path));
  ek_fail (error, EK_FAIL, 0, "%s: %s", path, why->message);
  return NULL;
}

static gboolean
init (EkInstance *base, GError **error)
{
  Unbound *self = (Unbound *) base;

  if (self->trust_anchors && (self->anchors = read_file (self->trust_anchors, error)) == NULL)
    return FALSE;
  if (self->servers[0] == NULL)
    self->resolv_conf = read_file ("/etc/resolv.conf", NULL);
  return TRUE;
}

/* ---- the context ---- */

static bool
failed (Unbound *self, int code, const char *what, GError **error)
{
  if (code == 0)
    return false;
  ek_fail (error, EK_FAIL, 0, "dns_unbound \"%s\": %s: %s", self->base.name, what, ub_strerror (code));
  return true;
}

static bool
set (Unbound *self, const char *option, const char *value, GError **error)
{
  return !failed (self, ub_ctx_set_option (self->ctx, option, value), option, error);
}

static bool
add_server (Unbound *self, const char *server, GError **error)
{
  g_autofree char *full = strchr (server, '@') ? g_strdup (server)
                                               : g_strdup_printf ("%s@%" G_GINT64_FORMAT, server, self->port);

  return !failed (self, ub_ctx_set_fwd (self->ctx, full), full, error);
}

static bool
add_servers (Unbound *self, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (self->resolv_conf ? self->resolv_conf : "", "\n", -1);

  for (char **server = self->servers; *server; server++)
    if (!add_server (self, *server, error))
      return false;
  for (char **line = lines; *line; line++) {
    g_auto (GStrv) words = g_strsplit_set (g_strstrip (*line), " \t", 3);
    if (words[0] && words[1] && strcmp (words[0], "nameserver") == 0 && !add_server (self, words[1], error))
      return false;
  }
  return true;
}

static bool
add_anchors (Unbound *self, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (self->anchors ? self->anchors : "", "\n", -1);

  for (char **line = lines; *line; line++) {
    char *comment = strchr (*line, ';');
    if (comment)
      *comment = '\0';
    if (*g_strstrip (*line) && failed (self, ub_ctx_add_ta (self->ctx, *line), self->trust_anchors, error))
      return false;
  }
  return true;
}

static gboolean
start (EkInstance *base, GError **error)
{
  Unbound *self = (Unbound *) base;
  g_autofree char *size = g_strdup_printf ("%" G_GUINT64_FORMAT, self->cache_size.bytes / 2);
  g_autofree char *ttl = g_strdup_printf ("%" G_GINT64_FORMAT, self->ttl_max.us / G_USEC_PER_SEC);
  g_autofree char *retries = g_strdup_printf ("%" G_GINT64_FORMAT, self->attempts);

  self->ctx = ub_ctx_create ();
  if (self->ctx == NULL) {
    ek_fail (error, EK_FAIL, errno, "libunbound cannot start: %s", g_strerror (errno));
    return FALSE;
  }
  ub_ctx_debugout (self->ctx, NULL);
  if (!set (self, "msg-cache-size:", size, error) || !set (self, "rrset-cache-size:", size, error)
      || !set (self, "cache-max-ttl:", ttl, error) || !set (self, "outbound-msg-retry:", retries, error)
      || !set (self, "do-not-query-localhost:", "no", error) || !set (self, "unblock-lan-zones:", "yes", error)
      || !set (self, "use-syslog:", "no", error) || !add_servers (self, error) || !add_anchors (self, error)
      || failed (self, ub_ctx_async (self->ctx, 1), "asynchronous work", error))
    return FALSE;
  if (self->servers[0])              /* whoever names his servers is told what they say, of test. too */
    ub_ctx_zone_remove (self->ctx, "test.");
  return TRUE;
}

static void
stop (EkInstance *base)
{
  Unbound *self = (Unbound *) base;

  if (self->wake.loop)
    ek_watch_set (self->wake.loop, &self->wake.watch, 0);
  if (self->ctx)
    ub_ctx_delete (self->ctx);
  g_free (self->anchors);
  g_free (self->resolv_conf);
}

/* ---- answers ---- */

/* A name on the wire, uncompressed, as text; false when it is damaged. */
static bool
name_text (EkBuf *out, const guchar *p, gsize n)
{
  for (gsize at = 0; at < n && p[at] != 0; at += p[at] + 1u) {
    gsize len = p[at];
    if (len > 63 || at + len + 1 >= n)
      return false;
    if (at > 0)
      ek_buf_appendc (out, '.');
    for (gsize i = 1; i <= len; i++) {
      guchar c = p[at + i];
      if (g_ascii_isalnum (c) || c == '-' || c == '_')
        ek_buf_appendc (out, (char) c);
      else
        ek_buf_printf (out, "\\%03u", c);
    }
  }
  return n > 0;
}

/* TXT: all strings joined. */
static bool
joined (EkBuf *out, const guchar *p, gsize n)
{
  for (gsize at = 0; at < n; at += p[at] + 1u) {
    if (at + p[at] >= n)
      return false;
    ek_buf_append (out, p + at + 1, p[at]);
  }
  return true;
}

/* False: not what the type says; it is left out. */
static bool
take_record (EkPool *pool, EkDnsType type, const guchar *p, gsize n, EkDnsRecord *record)
{
  EkBuf out = { 0 };
  bool good = true;

  if (type == EK_DNS_MX) {
    good = n > 2 && name_text (&out, p + 2, n - 2);
    if (good)
      record->preference = (guint16) (p[0] << 8 | p[1]);
  }
  else if (type == EK_DNS_CNAME || type == EK_DNS_PTR)
    good = name_text (&out, p, n);
  else if (type == EK_DNS_TXT)
    good = joined (&out, p, n);
  else {
    good = type == EK_DNS_A ? n == 4 : type == EK_DNS_AAAA ? n == 16 : true;
    ek_buf_append (&out, p, n);
  }
  record->data = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
  return good;
}

typedef struct {                     /* in the call's pool */
  EkCall      *call;
  EkDnsAnswer *answer;
  EkDnsType    type;
  const char  *name;
} Ask;

static void
take_records (const Ask *ask, const struct ub_result *r)
{
  guint n = 0;

  while (r->data[n])
    n++;
  EkDnsRecord *records = ek_pool_newv (ask->call->pool, EkDnsRecord, n + 1);
  for (guint i = 0; i < n; i++)
    if (r->len[i] >= 0 && take_record (ask->call->pool, ask->type, (const guchar *) r->data[i], (gsize) r->len[i],
                                       &records[ask->answer->n]))
      ask->answer->n++;
  ask->answer->records = records;
}

static EkStatus
judge (const Ask *ask, int code, const struct ub_result *r)
{
  static const char *const rcodes[] = { "no error", "format error", "server failure", "no such name", "not implemented",
                                        "refused" };
  GError **error = &ask->call->error;

  if (code == UB_SYNTAX) {           /* no such name can exist */
    ask->answer->nxdomain = true;
    return EK_NOTFOUND;
  }
  if (code != 0 || r == NULL)
    return ek_fail (error, EK_DEFER, 0, "DNS: %s: %s", ask->name, ub_strerror (code));
  ask->answer->ttl = (guint32) MAX (r->ttl, 0);
  ask->answer->secure = r->secure != 0;
  if (r->bogus)
    return ek_fail (error, EK_DEFER, 0, "DNS: %s: DNSSEC validation failed: %s", ask->name, r->why_bogus ? r->why_bogus : "bogus");
  if (r->nxdomain) {
    ask->answer->nxdomain = true;
    return EK_NOTFOUND;
  }
  if (r->rcode != 0)
    return ek_fail (error, EK_DEFER, 0, "DNS: %s: %s", ask->name,
                    (gsize) r->rcode < G_N_ELEMENTS (rcodes) ? rcodes[r->rcode] : "unexpected answer");
  if (!r->havedata)
    return EK_NOTFOUND;
  take_records (ask, r);
  if (ask->answer->n > 0)
    return EK_OK;
  return ek_fail (error, EK_DEFER, 0, "DNS: %s: all of the answer's records are damaged", ask->name);
}

static void
answered (void *data, int code, struct ub_result *r)
{
  const Ask *ask = data;
  EkStatus status = judge (ask, code, r);

  ub_resolve_free (r);
  ek_call_done (ask->call, status);
}

static void
readable (EkWatch *watch, guint32 events)
{
  ub_process (((struct Wake *) watch)->ctx);
}

static EkStatus
query (EkInstance *base, EkCall *call, const char *name, EkDnsType type, EkDnsAnswer *answer)
{
  Unbound *self = (Unbound *) base;
  Ask *ask = ek_pool_new0 (call->pool, Ask);

  *ask = (Ask) { call, answer, type, ek_pool_strdup (call->pool, name) };
  int code = ub_resolve_async (self->ctx, (char *) ask->name, (int) type, 1, ask, answered, NULL);
  if (code != 0)
    return ek_fail (&call->error, EK_DEFER, 0, "DNS: %s: %s", name, ub_strerror (code));
  if (self->wake.loop == NULL) {
    self->wake.loop = ek_loop_mine ();
    self->wake.ctx = self->ctx;
    self->wake.watch = (EkWatch) { .fd = ub_fd (self->ctx), .func = readable };
    ek_watch_set (self->wake.loop, &self->wake.watch, EPOLLIN);
  }
  return EK_PENDING;
}

EK_MODULE (dns_unbound,
  .summary = "DNS by libunbound: asynchronous, cached, validating",
  .flags = EK_EVENTED,
  .instance_size = sizeof (Unbound),
  .options = options,
  .init = init,
  .start = start,
  .stop = stop,
  .resolver = &(const EkResolverOps) { query });
