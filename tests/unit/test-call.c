/* test-call.c - operations of blocking and evented modules: answers, time-outs, connections
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "base/log.h"
#include "module/call.h"
#include "module/load.h"
#include <stdatomic.h>
#include <string.h>

static EkLoop *loop;
static EkJobPool *jobs;

/* ---- a blocking module whose server can be broken ---- */

static atomic_int n_connects, n_open, n_runs, refuse, broken, let_go, together, stall, hold_nth;

static gpointer
db_connect (EkInstance *self, GError **error)
{
  bool held_up = n_connects++ + 1 == hold_nth;
  for (int i = 0; i < 10000 && held_up && hold_nth; i++)
    g_usleep (1000);
  for (int i = 0; i < 10000 && n_connects < together; i++)
    g_usleep (1000);
  for (int i = 0; i < 10000 && stall; i++)
    g_usleep (1000);
  if (refuse || held_up) {
    ek_fail (error, EK_DEFER, 0, "connection refused");
    return NULL;
  }
  n_open++;
  return g_strdup ("connection");
}

static void
db_disconnect (EkInstance *self, gpointer conn)
{
  n_open--;
  g_free (conn);
}

static EkStatus
db_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  n_runs++;
  g_assert_cmpstr (call->conn, ==, "connection");
  if (ek_str_eq (query->key, EK_STR ("slow")))
    for (int i = 0; i < 10000 && !let_go; i++)
      g_usleep (1000);
  if (ek_str_eq (query->key, EK_STR ("none")))
    return EK_NOTFOUND;
  if (ek_str_eq (query->key, EK_STR ("pending")))
    return EK_PENDING;
  if (atomic_exchange (&broken, 0))
    return ek_fail (&call->error, EK_DEFER, 0, "server has gone away");
  if (ek_str_eq (query->key, EK_STR ("down")))
    return ek_fail (&call->error, EK_DEFER, 0, "table is locked");
  ek_answer_value (answer, call->pool, query->key);
  return EK_OK;
}

static const EkMapOps db_map = { .lookup = db_lookup };
static const EkModule db = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "db", .map = &db_map, .connect = db_connect, .disconnect = db_disconnect,
};

/* ---- an evented one ---- */

static EkCall *held;

static EkStatus
net_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  if (ek_str_eq (query->key, EK_STR ("now"))) {
    ek_answer_value (answer, call->pool, EK_STR ("at once"));
    return EK_OK;
  }
  held = call;
  return EK_PENDING;
}

static const EkMapOps net_map = { .lookup = net_lookup };
static const EkModule net = { .abi = EK_ABI, .build = EK_BUILD, .name = "net", .flags = EK_EVENTED, .map = &net_map };

/* ---- asking ---- */

typedef struct {
  guint    n_done;
  EkStatus status;
  char     value[32], why[100];
} Got;

static void
done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  EkLookup *q = data;
  Got *got = user;

  got->n_done++;
  got->status = status;
  g_strlcpy (got->why, why ? why->message : "", sizeof got->why);
  if (status == EK_OK)
    g_snprintf (got->value, sizeof got->value, "%.*s", EK_STR_ARG (q->answer.cells[0]));
}

static EkOp *
ask (EkInstance *self, const char *key, EkTime timeout, Got *got)
{
  EkOp *op = ek_op_new (self);
  EkLookup *q = ek_pool_new0 (ek_op_pool (op), EkLookup);

  *got = (Got) { 0 };
  q->query.key = ek_pool_str (ek_op_pool (op), ek_str (key));
  ek_op_start (op, 0, timeout, ek_run_lookup, q, done, got);
  g_assert_cmpuint (got->n_done, ==, 0);           /* never before ek_op_start() has returned */
  return op;
}

static void
wait_for (Got *got)
{
  while (got->n_done == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (got->n_done, ==, 1);
}

static void
ask_and_wait (EkInstance *self, const char *key, Got *got)
{
  ask (self, key, (EkTime) { 5000000 }, got);
  wait_for (got);
}

/* Connections are closed by the threads that made them. */
static void
wait_closed (void)
{
  for (int i = 0; i < 10000 && n_open > 0; i++) {
    ek_loop_turn (loop, false);
    g_usleep (1000);
  }
  g_assert_cmpint (n_open, ==, 0);
}

static void
turn_for (gint64 us)
{
  gint64 end = ek_now () + us;

  while (ek_now () < end) {
    ek_loop_turn (loop, false);
    g_usleep (1000);
  }
}

static void
test_blocking (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 1");
  Got got;

  ask_and_wait (self, "a", &got);
  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpstr (got.value, ==, "a");
  ask_and_wait (self, "none", &got);
  g_assert_cmpint (got.status, ==, EK_NOTFOUND);
  g_assert_cmpint (n_connects, ==, 1);             /* kept */
  ask_and_wait (self, "pending", &got);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  ek_test_instance_free (self);
  wait_closed ();
}

/* An old connection that broke is replaced without the caller noticing; a fresh one is not retried. */
static void
test_broken (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 1");
  Got got;

  ask_and_wait (self, "a", &got);
  n_connects = n_runs = 0;
  broken = 1;
  ask_and_wait (self, "b", &got);
  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpint (n_connects, ==, 1);
  g_assert_cmpint (n_runs, ==, 2);
  ask_and_wait (self, "down", &got);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_cmpstr (got.why, ==, "table is locked");
  g_assert_cmpint (n_runs, ==, 4);                 /* once on the old connection, once on a new one */
  ek_test_instance_free (self);
  wait_closed ();
}

/* A server that refuses is asked again only after a pause. */
static void
test_backoff (void)
{
  EkInstance *self = ek_test_instance ("db", "");
  Got got;

  n_connects = 0;
  refuse = 1;
  for (guint i = 0; i < 20; i++) {
    ask_and_wait (self, "a", &got);
    g_assert_cmpint (got.status, ==, EK_DEFER);
    g_assert_nonnull (strstr (got.why, "connection refused"));
  }
  g_assert_cmpint (n_connects, ==, 1);
  g_assert_nonnull (strstr (got.why, "next try in"));
  refuse = 0;
  turn_for (1400000);
  ask_and_wait (self, "a", &got);
  g_assert_cmpint (got.status, ==, EK_OK);
  ek_test_instance_free (self);
  turn_for (50000);
}

/* Several threads that are refused at the same time are one failure: the pause does not grow. */
static void
test_backoff_together (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 4");
  Got got[4];

  n_connects = 0;
  together = 4;
  refuse = 1;
  for (guint i = 0; i < 4; i++)
    ask (self, "a", (EkTime) { 0 }, &got[i]);
  for (guint i = 0; i < 4; i++) {
    wait_for (&got[i]);
    g_assert_cmpint (got[i].status, ==, EK_DEFER);
  }
  g_assert_cmpint (n_connects, ==, 4);
  together = refuse = 0;
  turn_for (1400000);
  ask_and_wait (self, "a", &got[0]);
  g_assert_cmpint (got[0].status, ==, EK_OK);
  ek_test_instance_free (self);
  turn_for (50000);
}

/* A server that is away is tried by one thread; nobody else waits for what comes of it, even where there is one thread. */
static void
test_probe (void)
{
  static const char *const settings[] = { "connections = 4", "connections = 1" };

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++) {
    EkInstance *self = ek_test_instance ("db", settings[i]);
    Got probe, got;

    refuse = 1;
    ask_and_wait (self, "a", &got);
    g_assert_cmpstr (got.why, ==, "cannot connect: connection refused");
    turn_for (800000);
    n_connects = 0;
    stall = 1;
    ask (self, "a", (EkTime) { 0 }, &probe);
    while (n_connects == 0)
      turn_for (1000);
    for (guint k = 0; k < 8; k++) {
      ask_and_wait (self, "a", &got);
      g_assert_cmpint (got.status, ==, EK_DEFER);
      g_assert_nonnull (strstr (got.why, "it is being tried"));
    }
    g_assert_cmpuint (probe.n_done, ==, 0);
    stall = refuse = 0;
    wait_for (&probe);
    g_assert_cmpint (probe.status, ==, EK_OK);
    ask_and_wait (self, "a", &got);
    g_assert_cmpint (got.status, ==, EK_OK);
    ek_test_instance_free (self);
    turn_for (50000);
  }
}

/* Who gives up when another has come through makes nobody wait. */
static void
test_late_failure (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 4");
  Got late, got[4];

  n_connects = 0;
  hold_nth = 1;
  ask (self, "a", (EkTime) { 0 }, &late);
  while (n_connects == 0)
    turn_for (1000);
  ask_and_wait (self, "a", &got[0]);
  g_assert_cmpint (got[0].status, ==, EK_OK);
  hold_nth = 0;
  wait_for (&late);
  g_assert_cmpint (late.status, ==, EK_DEFER);
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)           /* more than there are connections */
    ask (self, "b", (EkTime) { 0 }, &got[i]);
  for (guint i = 0; i < G_N_ELEMENTS (got); i++) {
    while (got[i].n_done == 0)
      ek_loop_turn (loop, true);
    g_assert_cmpint (got[i].status, ==, EK_OK);
  }
  ek_test_instance_free (self);
  wait_closed ();
}

static void
test_timeout (void)
{
  EkInstance *self = ek_test_instance ("db", "");
  Got got, cancelled;

  let_go = 0;
  ask (self, "slow", (EkTime) { 20000 }, &got);
  wait_for (&got);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_cmpstr (got.why, ==, "no answer in time");    /* told while the lookup goes on */
  EkOp *op = ask (self, "slow", (EkTime) { 0 }, &cancelled);
  ek_op_cancel (op);
  let_go = 1;
  turn_for (500000);
  g_assert_cmpuint (cancelled.n_done, ==, 0);
  ek_op_cancel (ek_op_new (self));                 /* never started */
  ek_test_instance_free (self);
  wait_closed ();
}

/* A connection outlives the question for which it is made: who asked is told in his own time, and the next one finds it made. */
static void
test_connect_timeout (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 1");
  Got got;

  n_connects = 0;
  stall = 1;
  ask (self, "a", (EkTime) { 20000 }, &got);
  wait_for (&got);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_cmpint (n_open, ==, 0);                 /* it is still being made */
  stall = 0;
  ask_and_wait (self, "b", &got);
  g_assert_cmpint (got.status, ==, EK_OK);
  g_assert_cmpint (n_connects, ==, 1);
  ek_test_instance_free (self);
  wait_closed ();
}

/* One server that hangs holds its own threads, as many as its block says, and nobody else's. */
static void
test_apart (void)
{
  EkInstance *hung = ek_test_instance ("db", "connections = 2"), *fine = ek_test_instance ("db", "");
  Got stuck[2], behind, got;

  let_go = 0;
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    ask (hung, "slow", (EkTime) { 0 }, &stuck[i]);
  ask (hung, "a", (EkTime) { 0 }, &behind);
  for (guint i = 0; i < 20; i++) {
    ask_and_wait (fine, "b", &got);
    g_assert_cmpint (got.status, ==, EK_OK);
  }
  g_assert_cmpuint (behind.n_done, ==, 0);
  let_go = 1;
  wait_for (&behind);
  g_assert_cmpint (behind.status, ==, EK_OK);
  for (guint i = 0; i < G_N_ELEMENTS (stuck); i++)
    while (stuck[i].n_done == 0)
      ek_loop_turn (loop, true);
  ek_test_instance_free (hung);
  ek_test_instance_free (fine);
  wait_closed ();
}

static void
test_evented (void)
{
  EkInstance *self = ek_test_instance ("net", "");
  Got got, late;

  ask_and_wait (self, "now", &got);
  g_assert_cmpstr (got.value, ==, "at once");
  ask (self, "later", (EkTime) { 5000000 }, &got);
  g_assert_nonnull (held);
  g_assert_false (held->cancelled);
  ek_call_done (held, EK_NOTFOUND);
  g_assert_cmpuint (got.n_done, ==, 0);            /* not out of the module's stack */
  wait_for (&got);
  g_assert_cmpint (got.status, ==, EK_NOTFOUND);
  ask (self, "never", (EkTime) { 10000 }, &late);
  wait_for (&late);
  g_assert_cmpint (late.status, ==, EK_DEFER);
  g_assert_true (held->cancelled);
  ek_call_done (held, EK_OK);                      /* too late: dropped */
  turn_for (20000);
  g_assert_cmpuint (late.n_done, ==, 1);
  ek_test_instance_free (self);
}

typedef struct { EkJob job; EkInstance *self, *evented; EkStatus status, refused; bool done; } Direct;

static void
direct_run (EkJob *job, EkJobThread *thread)
{
  Direct *d = (Direct *) job;
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  EkLookup q = { .query.key = EK_STR ("x") };

  d->status = ek_op_call (d->self, pool, 0, ek_run_lookup, &q, NULL);
  d->refused = ek_op_call (d->evented, pool, 0, ek_run_lookup, &q, &error);
  g_assert_nonnull (error);
}

static void
direct_done (EkJob *job)
{
  ((Direct *) job)->done = true;
}

static void
test_direct (void)
{
  Direct d = { .job = { .run = direct_run, .done = direct_done } };

  d.self = ek_test_instance ("db", "");
  d.evented = ek_test_instance ("net", "");
  ek_job_submit (jobs, &d.job);
  while (!d.done)
    ek_loop_turn (loop, true);
  g_assert_cmpint (d.status, ==, EK_OK);
  g_assert_cmpint (d.refused, ==, EK_FAIL);
  ek_test_instance_free (d.self);
  ek_test_instance_free (d.evented);
  wait_closed ();
}

static void
count_lines (const char *bytes, gsize len, gpointer data)
{
  guint *n = data;

  n[0] += memmem (bytes, len, "table is locked", strlen ("table is locked")) != NULL;
  n[1] += memmem (bytes, len, "\"pending\"", strlen ("\"pending\"")) != NULL;
}

/* The log tells an outage, not each question that falls into it. */
static void
test_log (void)
{
  EkInstance *self = ek_test_instance ("db", "connections = 1"), *other = ek_test_instance ("db", "");
  guint n[2] = { 0, 0 };
  Got got;

  ek_log_set_level (EK_WARN);
  ek_log_set_sink (count_lines, n);
  for (int i = 0; i < 20; i++) {
    ask_and_wait (self, "down", &got);
    g_assert_cmpint (got.status, ==, EK_DEFER);
    g_assert_cmpstr (got.why, ==, "table is locked");      /* who asked hears it each time */
  }
  g_assert_cmpuint (n[0], ==, 1);
  ask_and_wait (self, "pending", &got);                    /* another mistake */
  ask_and_wait (self, "down", &got);
  g_assert_cmpuint (n[0], ==, 1);
  g_assert_cmpuint (n[1], ==, 1);
  ask_and_wait (other, "down", &got);                      /* another block */
  g_assert_cmpuint (n[0], ==, 2);
  ek_log_set_sink (NULL, NULL);
  ek_log_set_level (EK_ERR);
  ek_test_instance_free (self);
  ek_test_instance_free (other);
  wait_closed ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  loop = ek_loop_new (NULL);
  jobs = ek_job_pool_new (loop, 1, "test");
  ek_op_use_jobs (jobs);
  ek_module_add (&db);
  ek_module_add (&net);
  g_test_add_func ("/call/blocking", test_blocking);
  g_test_add_func ("/call/broken", test_broken);
  g_test_add_func ("/call/backoff", test_backoff);
  g_test_add_func ("/call/backoff-together", test_backoff_together);
  g_test_add_func ("/call/probe", test_probe);
  g_test_add_func ("/call/late-failure", test_late_failure);
  g_test_add_func ("/call/timeout", test_timeout);
  g_test_add_func ("/call/connect-timeout", test_connect_timeout);
  g_test_add_func ("/call/apart", test_apart);
  g_test_add_func ("/call/evented", test_evented);
  g_test_add_func ("/call/direct", test_direct);
  g_test_add_func ("/call/log", test_log);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return failed;
}
