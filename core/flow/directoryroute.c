/* directoryroute.c - where a recipient's mail goes: queue's question
 * SPDX-License-Identifier: Apache-2.0
 *
 * routing.transports is asked first, in the order of transport(5), and what it says counts for domains of ours too; then the domain of
 * the address, and in ours the user.
 */
#include "config.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "flow/route.h"
#include "flow/way.h"
#include "mail/address.h"
#include "module/search.h"

#define KEYS (EK_SEARCH_ADDRESS | EK_SEARCH_DOMAIN | EK_SEARCH_ANY)

typedef struct {                     /* one question; in its pool */
  EkPool       *pool;
  EkChannel    *channel;             /* whose it is: compared with the live one */
  guint         queue;
  guint32       id;
  EkStr         address;
  EkGeneration *generation;
  const EkRoutingConf *routing;
  EkName        name;
  EkNaming     *naming;
  EkSearch     *search;
  EkUser        user;                /* waits for a store worker */
  const char   *instance;
  GList         link;                /* in `all` */
} Route;

static GQueue all;

/* NULL: nobody waits for the answer any more. */
static EkChannel *
asker (const Route *r)
{
  EkChannel *now = ek_role_peer (EK_ROLE_DIRECTORY, EK_ROLE_QUEUE, r->queue);

  return now == r->channel ? now : NULL;
}

static void
route_free (Route *r)
{
  g_queue_unlink (&all, &r->link);
  ek_generation_unref (r->generation);
  ek_pool_free (r->pool);            /* r with it */
}

/* ---- answers ---- */

static void
answer_no (Route *r, EkRouteKind kind, const char *dsn, const char *text)
{
  EkChannel *queue = asker (r);

  if (queue) {
    EkBuf *out = ek_channel_answer (queue, r->id);
    ek_pack_u64 (out, kind);
    ek_pack_text (out, dsn);
    ek_pack_text (out, text);
    ek_channel_end (queue);
  }
  route_free (r);
}

static void
answer_remote (Route *r, const char *transport, const char *hop)
{
  EkChannel *queue = asker (r);

  if (queue) {
    EkBuf *out = ek_channel_answer (queue, r->id);
    ek_pack_u64 (out, EK_ROUTE_REMOTE);
    ek_pack_text (out, transport);
    ek_pack_text (out, hop);
    ek_channel_end (queue);
  }
  route_free (r);
}

static void
placed (EkStatus status, guint index, const char *why, gpointer data)
{
  Route *r = data;
  EkChannel *queue = status == EK_OK ? asker (r) : NULL;

  if (status != EK_OK) {
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", why);
    return;
  }
  if (queue) {
    EkBuf *out = ek_channel_answer (queue, r->id);
    ek_pack_u64 (out, EK_ROUTE_LOCAL);
    ek_pack_user (out, &r->user);
    ek_pack_text (out, r->instance);
    ek_pack_u64 (out, index);
    ek_pack_text (out, NULL);
    ek_channel_end (queue);
  }
  route_free (r);
}

/* ---- by its domain ---- */

static void
user_found (const EkUserFound *f, gpointer data)
{
  Route *r = data;

  if (f->status == EK_DEFER)
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", "user lookup failed temporarily");
  else if (f->status != EK_OK)
    answer_no (r, EK_ROUTE_NOTFOUND, "5.1.1", "User unknown in virtual mailbox table");
  else if (f->domain && f->domain->transport == NULL) {
    r->instance = ek_pool_strdup (r->pool, f->domain->mailboxes->name);      /* its generation may be a newer one than r's */
    ek_user_copy (r->pool, &r->user, f->user);
    ek_directory_store (&r->user, placed, r);
  }
  else if (f->domain)
    answer_remote (r, f->domain->transport->name, f->domain->next_hop ? f->domain->next_hop : f->domain_name);
  else if (r->routing->transport)
    answer_remote (r, r->routing->transport->name, r->routing->relayhost ? r->routing->relayhost : f->domain_name);
  else
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", "no transport for other domains is configured");
}

/* ---- by the maps of transports ---- */

/* To a transport that a map names, or to a next hop of the usual one. */
static void
send (Route *r, const EkWay *way)
{
  const EkDomainConf *domain = r->name.domain;
  EkInstance *usual = domain && domain->transport ? domain->transport : r->routing->transport;
  const char *hop = *way->hop ? way->hop : domain && domain->next_hop ? domain->next_hop : r->name.domain_name;

  if (*way->transport == '\0' && usual == NULL)
    answer_no (r, EK_ROUTE_DEFER, "4.3.5", "a map of transports names no transport, and routing.transport is not set");
  else
    answer_remote (r, *way->transport ? way->transport : usual->name, hop);
}

/* "local:" and "virtual:": there is no mailbox but those of domains of ours. */
static void
keep (Route *r, const EkWay *way)
{
  if (r->name.domain && r->name.domain->transport == NULL) {
    ek_directory_user (r->address, user_found, r);
    return;
  }
  ek_log (EK_ERR, "directory", "a map of routing.transports says \"%s:\" for %s, and %s has no mailboxes here: mail waits for it. Give the "
          "domain a block with mailboxes, or have the map name where its mail goes", way->transport, r->name.full, r->name.domain_name);
  answer_no (r, EK_ROUTE_DEFER, "4.3.5", "the domain has no mailboxes here, where its mail is to go");
}

static void
obey (Route *r, EkStr value)
{
  EkWay way;

  ek_way_read (r->pool, value, &way);
  switch (way.kind) {
  case EK_WAY_USUAL:
    ek_directory_user (r->address, user_found, r);
    break;
  case EK_WAY_SEND:
    send (r, &way);
    break;
  case EK_WAY_MAILBOX:
    keep (r, &way);
    break;
  case EK_WAY_BOUNCE:
    answer_no (r, EK_ROUTE_NOTFOUND, way.dsn, way.text);
    break;
  case EK_WAY_WAIT:
    answer_no (r, EK_ROUTE_RETRY, way.dsn, way.text);
    break;
  case EK_WAY_DISCARD:
    answer_no (r, EK_ROUTE_DISCARD, way.dsn, way.text);
    break;
  }
}

static void
searched (EkStatus status, const EkAnswer *answer, const char *key, gpointer data)
{
  Route *r = data;

  r->search = NULL;
  if (status == EK_OK)
    obey (r, ek_answer_column (answer, NULL));
  else if (status == EK_NOTFOUND)
    ek_directory_user (r->address, user_found, r);
  else
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", "transport lookup failed temporarily");
}

/* The key without its tag: other people's domains have no block that says where one begins. */
static const char *
untagged (Route *r)
{
  const char *full = r->name.full, *delimiters = r->routing->tag_delimiters, *at = strrchr (full, '@');

  if (r->name.domain || at == NULL || at == full || delimiters == NULL)
    return r->name.key;
  gsize local = (gsize) (at - full), n = 1;        /* a tag alone is a name */
  while (n < local && strchr (delimiters, full[n]) == NULL)
    n++;
  return n == local ? full : ek_pool_printf (r->pool, "%.*s%s", (int) n, full, at);
}

static void
named (EkStatus status, const EkName *name, gpointer data)
{
  Route *r = data;

  r->naming = NULL;
  r->name = *name;
  if (status == EK_DEFER)
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", "domain lookup failed temporarily");
  else if (status != EK_OK || *name->domain_name == '\0')      /* postmaster, where no domain is the default */
    ek_directory_user (r->address, user_found, r);
  else
    r->search = ek_search (r->routing->transports, ek_search_keys (r->pool, name->full, untagged (r), KEYS), name->full,
                           (EkTime) { 30 * G_USEC_PER_SEC }, searched, r);
}

/* ---- questions ---- */

void
ek_directory_route (EkMsg *msg, guint queue)
{
  EkStr address = ek_unpack_str (&msg->in);

  ek_unpack_str (&msg->in);          /* the sender */
  if (!ek_unpack_ok (&msg->in)) {
    ek_channel_break (msg->channel, "a damaged question");
    return;
  }
  EkPool *pool = ek_pool_new ();
  Route *r = ek_pool_new0 (pool, Route);
  *r = (Route) { .pool = pool, .channel = msg->channel, .queue = queue, .id = msg->id, .address = ek_pool_str (pool, address),
                 .generation = ek_generation_ref (ek_role_generation ()) };
  r->routing = ek_generation_values (r->generation, &ek_routing_block, NULL);
  r->link.data = r;
  g_queue_push_tail_link (&all, &r->link);
  if (r->routing->transports[0] == NULL)
    ek_directory_user (r->address, user_found, r);
  else {
    EkNaming *naming = ek_directory_name (pool, r->address, named, r);
    if (naming)                      /* else r may be gone */
      r->naming = naming;
  }
}

/* What waits for a user's store worker is ended by userstore.c. */
void
ek_directory_routes_end (void)
{
  GList *next;

  for (GList *link = all.head; link; link = next) {
    Route *r = link->data;
    next = link->next;
    if (r->naming == NULL && r->search == NULL)
      continue;
    ek_directory_name_cancel (g_steal_pointer (&r->naming));
    ek_search_cancel (g_steal_pointer (&r->search));
    answer_no (r, EK_ROUTE_DEFER, "4.3.0", "the server is stopping");
  }
}
