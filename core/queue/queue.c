/* queue.c - the queue role: its spool, its peers, its end
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "queue/queue.h"
#include <string.h>

static const EkOption rows[] = {
  EK_OPTION (EkQueueConf, spool, "spool", "The instance that keeps what was accepted.", .allow = "spool"),
  EK_OPTION (EkQueueConf, message_size_limit, "50M", "Largest message.", .allow = "1K..10G"),
  EK_OPTION (EkQueueConf, backoff_min, "5m", "Pause before the second attempt; grows with the message's age.", .allow = "1s..1d"),
  EK_OPTION (EkQueueConf, backoff_max, "4000s", "Longest pause between two attempts.", .allow = "1s..7d"),
  EK_OPTION (EkQueueConf, lifetime, "5d", "How long a message is tried before it is returned to its sender.", .allow = "0s..100d"),
  EK_OPTION (EkQueueConf, bounce_lifetime, "5d", "The same for bounces, which are dropped then.", .allow = "0s..100d"),
  EK_OPTION (EkQueueConf, delay_warning, "4h", "The sender is told once when a message is still here after so long; 0: never.",
             .allow = "0s..30d"),
  EK_OPTION (EkQueueConf, destination_concurrency, "20", "Most deliveries at once to one next hop.", .allow = "1..10000"),
  EK_OPTION (EkQueueConf, local_concurrency, "512", "Most deliveries at once to one store process.", .allow = "1..100000"),
  EK_OPTION (EkQueueConf, remote_concurrency, "1000", "Most deliveries at once to all next hops together.", .allow = "1..100000"),
  EK_OPTION (EkQueueConf, hops_max, "50", "More Received: lines than this are a loop.", .allow = "1..1000"),
  EK_OPTION (EkQueueConf, node, "0", "Number of this machine in queue ids, when several share a site.", .allow = "0..255"),
  EK_OPTION (EkQueueConf, drop_folder, "", "Where sendmail(1) puts messages. Empty: state_dir/maildrop."),
  EK_OPTIONS_END
};

const EkBlockType ek_queue_block = {
  .kind = "queue", .doc = "The queue: how long and how often messages are tried.", .options = rows,
  .size = sizeof (EkQueueConf), .flags = EK_BLOCK_SINGLE,
  .roles = EK_ROLE_BIT (EK_ROLE_QUEUE) | EK_ROLE_BIT (EK_ROLE_EDGE),
};

const EkQueueConf *ek_queue_conf;
EkSpool           *ek_queue_spool;
const EkSpoolOps  *ek_queue_ops;

static EkGeneration *generation;
static EkTask        wake_task;
static bool          wake_posted;    /* atomic */
static EkTimer       health;

/* Any thread of the spool. */
static void
wake (gpointer user)
{
  if (!__atomic_exchange_n (&wake_posted, true, __ATOMIC_ACQ_REL))
    ek_loop_post (user, &wake_task);
}

static void
dispatch (EkTask *task)
{
  __atomic_store_n (&wake_posted, false, __ATOMIC_RELEASE);
  if (ek_queue_spool)
    ek_queue_ops->dispatch (ek_queue_spool);
}

static void
report (gpointer user, EkLevel level, const char *text)
{
  ek_log (level, "spool", "%s", text);
}

static void
live (gpointer user, EkSpoolMessage *message)
{
  ek_sched_replayed (message);
}

static void
health_check (EkTimer *timer)
{
  ek_accept_check ();
  ek_timer_set (ek_role_loop (), timer, G_USEC_PER_SEC);
}

static void
configure (void)
{
  ek_generation_unref (generation);
  generation = ek_generation_ref (ek_role_generation ());
  ek_queue_conf = ek_generation_values (generation, &ek_queue_block, NULL);
}

static bool
start (GError **error)
{
  configure ();
  if (ek_queue_conf->spool == NULL || ek_queue_conf->spool->module == NULL) {
    ek_fail (error, EK_FAIL, 0, "queue.spool names no instance");
    return false;
  }
  wake_task.func = dispatch;
  EkSpoolHost host = {
    .user = ek_role_loop (), .wake = wake, .report = report, .live = live,
    .message_size_limit = ek_queue_conf->message_size_limit.bytes, .node = (guint) ek_queue_conf->node,
  };
  ek_sched_start ();
  ek_outcome_start ();
  ek_queue_ops = ek_queue_conf->spool->module->spool;
  ek_queue_spool = ek_queue_ops->open (ek_queue_conf->spool, &host, error);
  if (ek_queue_spool == NULL)
    return false;
  health.func = health_check;
  ek_timer_set (ek_role_loop (), &health, G_USEC_PER_SEC);
  ek_pickup_start ();
  return true;
}

static void
reload (void)
{
  configure ();
  ek_route_flush ();
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  if (peer == EK_ROLE_EDGE)
    ek_accept_message (index, msg);
  else if (peer == EK_ROLE_CONTROL && msg->type == EK_C_REQUEST)
    ek_admin_request (msg);
  else if (peer == EK_ROLE_STORE && msg->type == EK_S_ASK)
    ek_outcome_asked (index, msg);
  else
    ek_channel_break (msg->channel, "a message that queue does not take");
}

static void
peer_up (EkRole peer, guint index, EkChannel *channel)
{
  if (peer == EK_ROLE_EDGE)
    ek_accept_edge_up (channel);
}

static void
peer_ready (EkRole peer, guint index)
{
  if (peer == EK_ROLE_STORE)
    ek_outcome_store_up (index);     /* before anything is delivered */
  if (peer != EK_ROLE_EDGE)
    ek_sched_worker_up (peer);
}

static void
peer_gone (EkRole peer, guint index)
{
  if (peer == EK_ROLE_EDGE)
    ek_accept_edge_gone (index);
  else if (peer == EK_ROLE_STORE)
    ek_lines_worker_lost (index);
}

static void
wait_for_end (EkTimer *timer)
{
  if (ek_lines_under_way () == 0 && !ek_pickup_busy ())
    ek_role_done (EK_ROLE_QUEUE);
  else
    ek_timer_set (ek_role_loop (), timer, 20000);
}

static EkTimer ending = { .func = wait_for_end };

static void
stop (gint64 deadline)
{
  wait_for_end (&ending);
}

static void
end (void)
{
  ek_timer_cancel (ek_role_loop (), &ending);
  ek_timer_cancel (ek_role_loop (), &health);
  ek_pickup_end ();
  ek_accept_end ();
  ek_sched_end ();
  ek_outcome_end ();
  ek_bounce_end ();
  ek_route_end ();
  if (ek_queue_spool) {
    EkSpool *spool = g_steal_pointer (&ek_queue_spool);
    ek_queue_ops->close (spool);
  }
  ek_generation_unref (generation);
  generation = NULL;
}

const EkRoleOps ek_queue_role = {
  .role = EK_ROLE_QUEUE, .start = start, .reload = reload, .message = message, .peer_up = peer_up, .peer_ready = peer_ready,
  .peer_gone = peer_gone,
  .stop = stop, .end = end,
};
