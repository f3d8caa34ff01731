/* relay.c - the relay role: gives queue's deliveries to transports, and their outcomes back to queue
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/facts.h"
#include "flow/relay.h"
#include "flow/way.h"
#include "net/resolve.h"
#include "queue/transport.h"
#include <string.h>
#include <unistd.h>

#define RCPTS_MAX 1000
#define PARTS_MAX 1024

typedef struct {                     /* one delivery */
  EkCall      call;
  EkPool     *pool;
  EkHop       hop;
  EkInstance *transport;
  EkGeneration *generation;
  EkChannel  *channel;
  guint       queue;
  guint32     id;
  EkBuf       results;
  guint       n_results, n_unreached;
  bool       *had;
  gint64      started;
  bool        lost;                  /* the descriptor: too many are open here */
} Trip;

static guint under_way;

static void
put_result (Trip *t, guint rcpt, EkStatus status, const char *dsn, const char *text, const char *relay, gint64 connect, gint64 send,
            bool reports)
{
  ek_pack_u64 (&t->results, rcpt);
  ek_pack_u64 (&t->results, status);
  ek_pack_text (&t->results, dsn);
  ek_pack_text (&t->results, text);
  ek_pack_text (&t->results, relay ? relay : "none");
  ek_pack_i64 (&t->results, connect);
  ek_pack_i64 (&t->results, send);
  ek_pack_u64 (&t->results, reports);
  t->n_results++;
}

void
ek_hop_report (const EkHop *hop, guint rcpt, const EkHopResult *r)
{
  Trip *t = hop->core;
  gint64 now = ek_now ();

  if (rcpt >= hop->n_rcpts || t->had[rcpt])
    return;
  t->had[rcpt] = true;
  t->n_unreached += r->status == EK_DEFER && r->connected == 0;
  put_result (t, rcpt, r->status, r->dsn, r->reply, r->relay, r->connected ? r->connected - t->started : 0,
              r->connected ? (r->sent ? r->sent : now) - r->connected : 0, r->reports);
}

static void
done (EkCall *call, EkStatus status, gpointer user)
{
  Trip *t = user;
  EkChannel *queue = ek_role_peer (EK_ROLE_RELAY, EK_ROLE_QUEUE, t->queue);
  const char *text = call->error ? call->error->message : "delivery temporarily suspended";

  for (guint i = 0; i < t->hop.n_rcpts; i++)
    if (!t->had[i]) {
      bool fail = status == EK_FAIL;
      t->n_unreached += !fail;
      put_result (t, i, fail ? EK_FAIL : EK_DEFER, fail ? "5.0.0" : "4.4.1", text, "none", 0, 0, false);
    }
  if (queue && queue == t->channel) {
    EkBuf *out = ek_channel_answer (queue, t->id);
    ek_pack_u64 (out, t->n_unreached == t->hop.n_rcpts);
    ek_pack_u64 (out, t->n_results);
    ek_buf_append (out, ek_buf_at (&t->results), ek_buf_len (&t->results));
    ek_channel_end (queue);
  }
  if (t->hop.fd >= 0)
    close (t->hop.fd);
  g_clear_error (&t->call.error);
  ek_buf_release (&t->results);
  ek_generation_unref (t->generation);
  ek_pool_free (t->pool);
  under_way--;
  if (ek_role_stopping () && under_way == 0)
    ek_role_done (EK_ROLE_RELAY);
}

/* A map of transports may name anything, and only here is it known which ones there are. */
static void
tell_unknown (Trip *t, const char *transport)
{
  g_autofree char *names = ek_way_names (t->generation);

  ek_log (EK_ERR, "relay", "no transport is called \"%s\", which a map of routing.transports names: mail waits for it. Have the map name "
          "one of %s, or add a block of that name", transport, names);
  ek_fail (&t->call.error, EK_DEFER, 0, "no transport is called \"%s\"", transport);
}

static bool
unpack (EkUnpack *in, Trip *t, const char **transport)
{
  EkHop *h = &t->hop;

  h->id = ek_unpack_u64 (in);
  h->event = ek_unpack_u64 (in);
  *transport = ek_unpack_text (in, t->pool);
  h->next_hop = ek_unpack_text (in, t->pool);
  h->sender = ek_unpack_copy (in, t->pool);
  h->envid = ek_unpack_copy (in, t->pool);
  h->flags = (guint32) ek_unpack_max (in, G_MAXUINT32);
  h->size = ek_unpack_u64 (in);
  h->n_rcpts = (guint) ek_unpack_max (in, RCPTS_MAX);
  EkHopRcpt *rcpts = ek_pool_newv (t->pool, EkHopRcpt, h->n_rcpts + 1);
  for (guint i = 0; i < h->n_rcpts; i++) {
    rcpts[i].address = ek_unpack_copy (in, t->pool);
    rcpts[i].notify = (guint8) ek_unpack_max (in, 255);
    rcpts[i].orcpt = ek_unpack_copy (in, t->pool);
  }
  h->rcpts = rcpts;
  h->n_parts = (guint) ek_unpack_max (in, PARTS_MAX);
  EkSpoolPart *parts = ek_pool_newv (t->pool, EkSpoolPart, h->n_parts + 1);
  for (guint i = 0; i < h->n_parts; i++)
    if (ek_unpack_max (in, 1) == 0)
      parts[i].bytes = ek_unpack_copy (in, t->pool);
    else {
      parts[i].from = ek_unpack_u64 (in);
      parts[i].len = ek_unpack_u64 (in);
      if (h->fd < 0 && !t->lost)
        in->bad = true;
    }
  h->parts = parts;
  return ek_unpack_ok (in) && h->n_rcpts > 0 && h->next_hop && *transport;
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  EkPool *pool = ek_pool_new ();
  Trip *t = ek_pool_new0 (pool, Trip);
  const char *transport = NULL;

  t->pool = pool;
  t->channel = msg->channel;
  t->queue = index;
  t->id = msg->id;
  t->started = ek_now ();
  t->generation = ek_generation_ref (ek_role_generation ());
  t->hop.fd = ek_msg_take_fd (msg, 0);
  t->lost = ek_msg_lost_fd (msg, 0);
  t->hop.hostname = ek_pool_strdup (pool, ek_role_hostname ());
  t->hop.core = t;
  t->call = (EkCall) { .pool = pool, .done = done, .user = t };
  under_way++;
  if (msg->type != EK_R_DELIVER || msg->id == 0 || !unpack (&msg->in, t, &transport)) {
    ek_channel_break (msg->channel, "a message that relay does not take");
    t->channel = NULL;
    t->hop.n_rcpts = 0;
    done (&t->call, EK_DEFER, t);
    return;
  }
  t->had = ek_pool_newv (pool, bool, t->hop.n_rcpts);
  if (t->lost) {
    ek_fail (&t->call.error, EK_DEFER, EMFILE, "the message's file could not be handed over: too many files are open (raise LimitNOFILE)");
    done (&t->call, EK_DEFER, t);
    return;
  }
  t->transport = ek_way_transport (t->generation, transport);
  if (t->transport == NULL) {
    tell_unknown (t, transport);
    done (&t->call, EK_DEFER, t);
    return;
  }
  EkStatus status = t->transport->module->transport->deliver (t->transport, &t->call, &t->hop);
  if (status != EK_PENDING)
    done (&t->call, status, t);
}

static bool
start (GError **error)
{
  ek_dns_use_generation (ek_role_generation ());
  return true;
}

static void
reload (void)
{
  ek_dns_use_generation (ek_role_generation ());
}

static void
stop (gint64 deadline)
{
  if (under_way == 0)
    ek_role_done (EK_ROLE_RELAY);
}

const EkRoleOps ek_relay_role = {
  .role = EK_ROLE_RELAY, .start = start, .reload = reload, .message = message, .stop = stop,
};
