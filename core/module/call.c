/* call.c - operations: jobs with kept connections, or direct calls, with one kind of answer
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/call.h"
#include "module/private.h"
#include <pthread.h>
#include <string.h>

#define BACKOFF_MIN ((gint64) 500000)
#define BACKOFF_MAX ((gint64) 2000000)             /* users wait for its return */

static EkJobPool *jobs;              /* of this process; loop thread */
static GPtrArray *waiting;           /* EkCalls that have threads of their own; NULL: none */

static void let_go (struct EkCalls *calls);

void
ek_op_use_jobs (EkJobPool *pool)
{
  while (pool == NULL && waiting)
    let_go (waiting->pdata[0]);
  jobs = pool;
}

/* ---- connections ---- */

typedef struct Conn Conn;
struct Conn {
  Conn     *next;
  pthread_t thread;                  /* who made it */
  gpointer  conn;
  bool      busy;                    /* an operation may call another one of the same instance */
};

struct EkCalls {
  pthread_mutex_t lock;              /* all below */
  Conn           *conns;
  gint64          next_try, backoff; /* monotonic us; backoff 0: connecting works */
  gint64          reached;           /* when that was last seen */
  gint64          probing;           /* it does not, and one of the threads is trying, since then; 0: none is */
  char           *why;               /* why it does not */

  EkJobPool      *jobs;              /* loop thread; made at the first question */
};

void
ek_calls_init (EkInstance *self)
{
  struct EkCalls *calls = g_new0 (struct EkCalls, 1);

  pthread_mutex_init (&calls->lock, NULL);
  ek_instance_core (self)->calls = calls;
}

bool
ek_calls_open (const EkInstance *self)
{
  const struct EkCalls *calls = ek_instance_core (self)->calls;

  return calls && calls->conns;
}

static void
disconnect (EkInstance *self, gpointer conn)
{
  if (conn && self->module->disconnect)
    self->module->disconnect (self, conn);
}

/* The threads that work for an instance: whoever waits for a server waits alone, the rest share the process's. */
static EkJobPool *
jobs_of (EkInstance *self)
{
  struct EkCalls *calls = ek_instance_core (self)->calls;

  if (calls == NULL)
    return jobs;
  if (calls->jobs == NULL) {
    calls->jobs = ek_job_pool_new (ek_job_pool_loop (jobs), (guint) ek_instance_core (self)->common.connections, self->name);
    if (waiting == NULL)
      waiting = g_ptr_array_new ();
    g_ptr_array_add (waiting, calls);
  }
  return calls->jobs;
}

/* Waits for what its threads are at. */
static void
let_go (struct EkCalls *calls)
{
  if (calls->jobs == NULL)
    return;
  g_ptr_array_remove_fast (waiting, calls);
  if (waiting->len == 0)
    g_clear_pointer (&waiting, g_ptr_array_unref);
  ek_job_pool_free (g_steal_pointer (&calls->jobs));
}

void
ek_calls_end_threads (EkInstance *self)
{
  if (ek_instance_core (self)->calls)
    let_go (ek_instance_core (self)->calls);
}

/* Nobody calls any more, so without the lock. */
void
ek_calls_free (EkInstance *self)
{
  struct EkCalls *calls = ek_instance_core (self)->calls;

  if (calls == NULL)
    return;
  while (calls->conns) {
    Conn *conn = calls->conns;
    calls->conns = conn->next;
    disconnect (self, conn->conn);
    g_free (conn);
  }
  pthread_mutex_destroy (&calls->lock);
  g_free (calls->why);
  g_free (calls);
  ek_instance_core (self)->calls = NULL;
}

/* This thread's connection that nothing uses; NULL: none. */
static Conn *
take_kept (struct EkCalls *calls)
{
  Conn *conn;

  pthread_mutex_lock (&calls->lock);
  for (conn = calls->conns; conn; conn = conn->next)
    if (!conn->busy && pthread_equal (conn->thread, pthread_self ())) {
      conn->busy = true;
      break;
    }
  pthread_mutex_unlock (&calls->lock);
  return conn;
}

/* A server that is away is tried by one thread at a time: what it holds up is one question, and all others are answered at once.  True,
 * with an error: it is another's turn, or too early.  With the lock. */
static bool
is_away (const struct EkCalls *calls, GError **error)
{
  gint64 wait = calls->next_try - ek_now ();

  if (calls->backoff == 0 || (wait <= 0 && !calls->probing))
    return false;
  if (wait > 0)
    ek_fail (error, EK_DEFER, 0, "out of reach (%s), next try in %" G_GINT64_FORMAT " s", calls->why, (wait + 999999) / 1000000);
  else
    ek_fail (error, EK_DEFER, 0, "out of reach (%s), it is being tried", calls->why);
  return true;
}

/* No question to it need wait for a thread: all would be told the same there. */
static bool
none_can_ask (EkInstance *self, GError **error)
{
  struct EkCalls *calls = ek_instance_core (self)->calls;

  if (calls == NULL || self->module->connect == NULL)
    return false;
  pthread_mutex_lock (&calls->lock);
  bool away = calls->conns == NULL && is_away (calls, error);
  pthread_mutex_unlock (&calls->lock);
  return away;
}

static bool
may_connect (struct EkCalls *calls, gint64 now, GError **error)
{
  pthread_mutex_lock (&calls->lock);
  bool may = !is_away (calls, error);
  if (may && calls->backoff)
    calls->probing = now;
  pthread_mutex_unlock (&calls->lock);
  return may;
}

static void
put_off (struct EkCalls *calls, gint64 now)
{
  calls->backoff = CLAMP (calls->backoff * 2, BACKOFF_MIN, BACKOFF_MAX);
  calls->next_try = now + calls->backoff * 3 / 4 + (gint64) (ek_random64 () % (guint64) (calls->backoff / 2));
}

/* `since`: when it began.  Several threads that fail at the same time are one failure, and none at all where another has come through. */
static void
connect_failed (struct EkCalls *calls, gint64 since, GError *why, GError **error)
{
  const char *text = why ? why->message : "the module gave no reason";
  gint64 now = ek_now ();

  pthread_mutex_lock (&calls->lock);
  if (calls->probing == since)
    calls->probing = 0;
  if (calls->reached < since && now >= calls->next_try)
    put_off (calls, now);
  g_free (calls->why);
  calls->why = g_strdup (text);
  pthread_mutex_unlock (&calls->lock);
  ek_fail (error, EK_DEFER, why ? why->code : 0, "cannot connect: %s", text);
}

static Conn *
make (EkInstance *self, struct EkCalls *calls, GError **error)
{
  g_autoptr (GError) why = NULL;
  gint64 since = ek_now ();

  if (!may_connect (calls, since, error))
    return NULL;
  gpointer handle = self->module->connect (self, &why);
  if (handle == NULL) {
    connect_failed (calls, since, why, error);
    return NULL;
  }
  Conn *conn = g_new0 (Conn, 1);
  conn->thread = pthread_self ();
  conn->conn = handle;
  conn->busy = true;
  pthread_mutex_lock (&calls->lock);
  conn->next = calls->conns;
  calls->conns = conn;
  calls->next_try = calls->backoff = calls->probing = 0;
  calls->reached = ek_now ();
  pthread_mutex_unlock (&calls->lock);
  return conn;
}

static void
give_back (EkInstance *self, struct EkCalls *calls, Conn *conn, bool keep)
{
  pthread_mutex_lock (&calls->lock);
  conn->busy = false;
  if (keep && calls->backoff)        /* it has answered: it is worth a try soon */
    calls->next_try = MIN (calls->next_try, ek_now () + BACKOFF_MIN);
  if (!keep) {
    Conn **link = &calls->conns;
    while (*link != conn)
      link = &(*link)->next;
    *link = conn->next;
  }
  pthread_mutex_unlock (&calls->lock);
  if (keep)
    return;
  disconnect (self, conn->conn);
  g_free (conn);
}

static bool
is_late (const EkCall *call)
{
  return call->cancelled || (call->deadline && ek_now () >= call->deadline);
}

static EkStatus
run_connected (EkInstance *self, EkCall *call, EkOpRun run, gpointer data)
{
  struct EkCalls *calls = ek_instance_core (self)->calls;
  Conn *conn = take_kept (calls);
  bool kept = conn != NULL;

  for (;; kept = false) {
    if (conn == NULL && (conn = make (self, calls, &call->error)) == NULL)
      return EK_DEFER;
    call->conn = conn->conn;
    EkStatus status = run (self, call, data);
    call->conn = NULL;
    bool works = status != EK_DEFER || call->conn_works;
    give_back (self, calls, conn, works);
    conn = NULL;
    if (works || !kept || is_late (call))
      return status;
    g_clear_error (&call->error);                  /* an old connection, perhaps closed by the other side */
  }
}

/* On a job thread. */
static EkStatus
run_blocking (EkInstance *self, EkCall *call, EkOpRun run, gpointer data)
{
  EkStatus status = EK_DEFER;

  if (is_late (call))
    ek_fail (&call->error, EK_DEFER, 0, "no job thread was free in time");
  else if (self->module->connect)
    status = run_connected (self, call, run, data);
  else
    status = run (self, call, data);
  if (status != EK_PENDING)
    return status;
  g_clear_error (&call->error);                    /* a module's mistake must not look like an answer */
  return ek_fail (&call->error, EK_DEFER, 0, "the module answered \"pending\", but is not evented");
}

EkStatus
ek_op_call (EkInstance *self, EkPool *pool, gint64 deadline, EkOpRun run, gpointer data, GError **error)
{
  EkCall call = { .pool = pool, .deadline = deadline };

  if (self->module == NULL)
    return ek_fail (error, EK_DEFER, 0, "\"%s\" lives in another role", self->name);
  if (self->module->flags & EK_EVENTED)
    return ek_fail (error, EK_FAIL, 0, "%s \"%s\" is evented and cannot be called from a job", self->module->name, self->name);
  EkStatus status = run_blocking (self, &call, run, data);
  ek_call_log (self, status, call.error);
  if (call.error)
    g_propagate_error (error, call.error);
  return status;
}

/* ---- operations ---- */

struct EkOp {
  EkCall      call;
  EkJob       job;
  EkTimer     timer;
  EkTask      task;                  /* answers in a later turn */
  EkLoop     *loop;
  EkPool     *pool;                  /* owns this struct too */
  EkInstance *self;
  EkOpRun     run;
  gpointer    data;
  EkOpDone    done;                  /* NULL: the caller has his answer, or wants none */
  gpointer    user;
  EkStatus    status;
  bool        started, ran;
  bool        reads;
  bool        in_call;               /* the module has not finished with it */
};

EkOp *
ek_op_new (EkInstance *self)
{
  EkPool *pool = ek_pool_new ();
  EkOp *op = ek_pool_new0 (pool, EkOp);

  op->pool = op->call.pool = pool;
  op->self = self;
  ek_generation_ref (ek_instance_generation (self));
  return op;
}

EkPool *
ek_op_pool (EkOp *op)
{
  return op->pool;
}

static void
op_free (EkOp *op)
{
  EkGeneration *gen = ek_instance_generation (op->self);

  g_clear_error (&op->call.error);
  ek_pool_free (op->pool);
  ek_generation_unref (gen);
}

/* Tells the caller, once. */
static void
answer (EkOp *op, EkStatus status, const GError *why)
{
  EkOpDone done = op->done;

  ek_timer_cancel (op->loop, &op->timer);
  op->done = NULL;
  if (done)
    done (status, op->data, why, op->user);
}

/* The module is through with it. */
static void
finish (EkOp *op)
{
  op->in_call = false;
  ek_call_log (op->self, op->status, op->call.error);
  answer (op, op->status, op->call.error);
  op_free (op);
}

static void
finish_later (EkTask *task)
{
  finish ((EkOp *) ((char *) task - G_STRUCT_OFFSET (EkOp, task)));
}

static void
run_job (EkJob *job, EkJobThread *thread)
{
  EkOp *op = (EkOp *) ((char *) job - G_STRUCT_OFFSET (EkOp, job));

  op->ran = true;
  op->status = run_blocking (op->self, &op->call, op->run, op->data);
}

static void
job_done (EkJob *job)
{
  EkOp *op = (EkOp *) ((char *) job - G_STRUCT_OFFSET (EkOp, job));

  if (!op->ran) {                                  /* the pool went first */
    op->status = EK_DEFER;
    ek_fail (&op->call.error, EK_DEFER, 0, "the server is stopping");
  }
  finish (op);
}

static void
evented_done (EkCall *call, EkStatus status, gpointer user)
{
  EkOp *op = user;

  op->status = status;
  ek_loop_later (op->loop, &op->task);             /* never out of the module's own stack */
}

static void
timed_out (EkTimer *timer)
{
  EkOp *op = (EkOp *) ((char *) timer - G_STRUCT_OFFSET (EkOp, timer));
  g_autoptr (GError) why = NULL;

  if (op->self->module->flags & EK_EVENTED)
    ek_call_cancel (&op->call);                    /* a job reads its deadline instead */
  ek_fail (&why, EK_DEFER, 0, "no answer in time");
  ek_call_log (op->self, EK_DEFER, why);
  answer (op, EK_DEFER, why);
}

static void
start_evented (EkOp *op)
{
  op->call.done = evented_done;
  op->call.user = op;
  op->in_call = true;
  EkStatus status = op->run (op->self, &op->call, op->data);
  if (status != EK_PENDING)
    evented_done (&op->call, status, op);
}

void
ek_op_reads (EkOp *op)
{
  op->reads = true;
}

static bool
is_at_hand (const EkOp *op)
{
  const EkModule *module = op->self->module;

  return op->reads && module && ((module->flags & EK_AT_HAND) || (module->at_hand && module->at_hand (op->self)));
}

void
ek_op_start (EkOp *op, guint64 key, EkTime timeout, EkOpRun run, gpointer data, EkOpDone done, gpointer user)
{
  const EkModule *module = op->self->module;

  g_assert (!op->started);
  op->started = true;
  op->loop = ek_loop_mine ();
  op->run = run;
  op->data = data;
  op->done = done;
  op->user = user;
  op->task.func = finish_later;
  op->timer.func = timed_out;
  op->call.deadline = timeout.us ? ek_now () + timeout.us : 0;
  bool evented = module && (module->flags & EK_EVENTED);
  if (module == NULL || (!evented && jobs == NULL)) {
    op->status = ek_fail (&op->call.error, EK_DEFER, 0, module ? "no job threads run" : "it lives in another role");
    ek_loop_later (op->loop, &op->task);
    return;
  }
  if (is_at_hand (op)) {
    op->status = run_blocking (op->self, &op->call, op->run, op->data);
    ek_loop_later (op->loop, &op->task);
    return;
  }
  if (timeout.us)
    ek_timer_set (op->loop, &op->timer, timeout.us);
  if (evented) {
    start_evented (op);
    return;
  }
  if (none_can_ask (op->self, &op->call.error)) {
    op->status = EK_DEFER;
    ek_loop_later (op->loop, &op->task);
    return;
  }
  op->job = (EkJob) { .key = key, .run = run_job, .done = job_done };
  ek_job_submit (jobs_of (op->self), &op->job);
}

void
ek_op_cancel (EkOp *op)
{
  if (!op->started) {
    op_free (op);
    return;
  }
  op->done = NULL;
  ek_timer_cancel (op->loop, &op->timer);
  if (op->in_call)
    ek_call_cancel (&op->call);
}

/* ---- the last goodbye ---- */

typedef struct {
  EkJob    job;
  void   (*func) (gpointer), (*done) (gpointer);
  gpointer data;
  bool     ran;
} Offload;

static void
offload_run (EkJob *job, EkJobThread *thread)
{
  Offload *off = (Offload *) job;

  off->ran = true;
  off->func (off->data);
}

static void
offload_done (EkJob *job)
{
  Offload *off = (Offload *) job;

  if (!off->ran)
    off->func (off->data);
  off->done (off->data);
  g_free (off);
}

void
ek_calls_offload (void (*func) (gpointer data), void (*done) (gpointer data), gpointer data)
{
  Offload *off = g_new0 (Offload, 1);

  *off = (Offload) { .job = { .run = offload_run, .done = offload_done }, .func = func, .done = done, .data = data };
  if (jobs)
    ek_job_submit (jobs, &off->job);
  else
    offload_done (&off->job);
}

/* ---- what is called most ---- */

static EkStatus
lacks (EkInstance *self, EkCall *call, const char *table)
{
  return ek_fail (&call->error, EK_DEFER, 0, "it offers no %s", table);
}

EkStatus
ek_run_lookup (EkInstance *self, EkCall *call, gpointer data)
{
  EkLookup *q = data;

  q->answer = (EkAnswer) { 0 };
  if (self->module->map == NULL || self->module->map->lookup == NULL)
    return lacks (self, call, "map");
  return self->module->map->lookup (self, call, &q->query, &q->answer);
}

EkStatus
ek_run_user (EkInstance *self, EkCall *call, gpointer data)
{
  EkUserLookup *q = data;

  q->user = (EkUser) { .uid = -1, .gid = -1 };
  if (self->module->userdb == NULL || self->module->userdb->lookup == NULL)
    return lacks (self, call, "userdb");
  return self->module->userdb->lookup (self, call, q->name, &q->user);
}
