/* job.c - blocking work on a few threads, its completions back on the loop
 * SPDX-License-Identifier: Apache-2.0
 */
#include "loop/job.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
  gpointer       value;
  GDestroyNotify free;
} Value;

#define GIVE_WAY 10                  /* nice(2): a tenth of the others' share where all want the same core */
#define SLICE_NS 100000000           /* the longest there is: whoever wakes up with a usual, shorter one runs at once (Linux 6.12) */

struct EkJobThread {
  EkJobPool  *pool;
  pthread_t   id;
  GHashTable *values;                /* key -> Value *, made at first use */
};

struct EkJobPool {
  EkLoop         *loop;
  char           *name;
  guint           max, n;
  EkJobThread    *threads;
  GHashTable     *keys;              /* key -> GQueue * of jobs that wait behind the one under way */
  guint           unfinished;        /* submitted, done() not yet called */
  bool            draining, gives_way;

  pthread_mutex_t lock;              /* the rest is shared with the threads */
  pthread_cond_t  work;
  EkJob          *first, **last;
  guint           waiting, idle;
  bool            stop;
};

gpointer
ek_job_thread_get (EkJobThread *thread, gconstpointer key)
{
  Value *v = thread->values ? g_hash_table_lookup (thread->values, key) : NULL;

  return v ? v->value : NULL;
}

static void
value_free (gpointer data)
{
  Value *v = data;

  if (v->free && v->value)
    v->free (v->value);
  g_free (v);
}

void
ek_job_thread_set (EkJobThread *thread, gconstpointer key, gpointer value, GDestroyNotify free)
{
  Value *v = g_new (Value, 1);

  *v = (Value) { value, free };
  if (thread->values == NULL)
    thread->values = g_hash_table_new_full (NULL, NULL, NULL, value_free);
  g_hash_table_replace (thread->values, (gpointer) key, v);
}

/* Of this thread alone.  Where it is refused, it competes. */
static void
give_way (void)
{
  struct {                           /* struct sched_attr of the kernel, its first version */
    guint32 size, policy;
    guint64 flags;
    gint32  nice;
    guint32 priority;
    guint64 runtime, deadline, period;
  } attr = { .size = sizeof attr, .nice = GIVE_WAY, .runtime = SLICE_NS };

  if (syscall (SYS_sched_setattr, 0, &attr, 0) != 0)
    (void) setpriority (PRIO_PROCESS, 0, GIVE_WAY);        /* Linux: 0 is this thread */
}

/* Blocks until there is a job; NULL when the pool ends. */
static EkJob *
take (EkJobPool *pool)
{
  pthread_mutex_lock (&pool->lock);
  pool->idle++;
  while (pool->first == NULL && !pool->stop)
    pthread_cond_wait (&pool->work, &pool->lock);
  pool->idle--;
  EkJob *job = pool->stop ? NULL : pool->first;
  if (job) {
    pool->first = job->next;
    if (pool->first == NULL)
      pool->last = &pool->first;
    pool->waiting--;
  }
  pthread_mutex_unlock (&pool->lock);
  return job;
}

static void *
thread_main (void *data)
{
  EkJobThread *self = data;
  EkJob *job;

  pthread_setname_np (pthread_self (), self->pool->name);
  if (self->pool->gives_way)
    give_way ();
  while ((job = take (self->pool))) {
    job->run (job, self);
    ek_loop_post (self->pool->loop, &job->task);
  }
  if (self->values)
    g_hash_table_destroy (self->values);
  return NULL;
}

EkJobPool *
ek_job_pool_new (EkLoop *loop, guint threads, const char *name)
{
  EkJobPool *pool = g_new0 (EkJobPool, 1);

  pool->loop = loop;
  pool->name = g_strndup (name, 15);
  pool->max = MAX (threads, 1);
  pool->threads = g_new0 (EkJobThread, pool->max);
  pool->keys = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free,
                                      (GDestroyNotify) g_queue_free);
  pool->last = &pool->first;
  pthread_mutex_init (&pool->lock, NULL);
  pthread_cond_init (&pool->work, NULL);
  return pool;
}

EkLoop *
ek_job_pool_loop (EkJobPool *pool)
{
  return pool->loop;
}

void
ek_job_pool_give_way (EkJobPool *pool)
{
  pool->gives_way = true;
}

static void
thread_start (EkJobPool *pool)
{
  EkJobThread *thread = &pool->threads[pool->n];
  sigset_t all, old;

  thread->pool = pool;
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);       /* signals are the loop thread's */
  int err = pthread_create (&thread->id, NULL, thread_main, thread);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (err == 0)
    pool->n++;
  else if (pool->n == 0)
    g_error ("cannot start a job thread: %s", g_strerror (err));
}

static void
hand_out (EkJobPool *pool, EkJob *job)
{
  if (pool->draining) {
    ek_loop_post (pool->loop, &job->task);
    return;
  }
  job->next = NULL;
  pthread_mutex_lock (&pool->lock);
  *pool->last = job;
  pool->last = &job->next;
  pool->waiting++;
  bool start = pool->waiting > pool->idle && pool->n < pool->max, wake = pool->idle > 0;
  pthread_mutex_unlock (&pool->lock);
  if (wake)                          /* without the lock, which the woken one wants first */
    pthread_cond_signal (&pool->work);
  if (start)
    thread_start (pool);
}

static void
completed (EkTask *task)
{
  EkJob *job = (EkJob *) ((char *) task - G_STRUCT_OFFSET (EkJob, task));
  EkJobPool *pool = job->pool;
  GQueue *behind = job->key ? g_hash_table_lookup (pool->keys, &job->key) : NULL;

  pool->unfinished--;
  if (behind) {
    EkJob *next = g_queue_pop_head (behind);
    if (next)
      hand_out (pool, next);
    else
      g_hash_table_remove (pool->keys, &job->key);
  }
  job->done (job);
}

void
ek_job_submit (EkJobPool *pool, EkJob *job)
{
  job->pool = pool;
  job->task = (EkTask) { .func = completed };
  pool->unfinished++;
  if (job->key) {
    GQueue *behind = g_hash_table_lookup (pool->keys, &job->key);
    if (behind) {
      g_queue_push_tail (behind, job);
      return;
    }
    g_hash_table_insert (pool->keys, g_memdup2 (&job->key, sizeof job->key), g_queue_new ());
  }
  hand_out (pool, job);
}

guint
ek_job_waiting (EkJobPool *pool)
{
  pthread_mutex_lock (&pool->lock);
  guint n = pool->waiting;
  pthread_mutex_unlock (&pool->lock);
  return n;
}

void
ek_job_pool_free (EkJobPool *pool)
{
  if (pool == NULL)
    return;
  pthread_mutex_lock (&pool->lock);
  EkJob *left = pool->first;
  pool->first = NULL;
  pool->last = &pool->first;
  pool->waiting = 0;
  pool->stop = true;
  pthread_cond_broadcast (&pool->work);
  pthread_mutex_unlock (&pool->lock);
  pool->draining = true;
  while (left) {
    EkJob *next = left->next;
    ek_loop_post (pool->loop, &left->task);
    left = next;
  }
  for (guint i = 0; i < pool->n; i++)
    pthread_join (pool->threads[i].id, NULL);
  while (pool->unfinished > 0)
    ek_loop_turn (pool->loop, false);
  g_hash_table_destroy (pool->keys);
  pthread_mutex_destroy (&pool->lock);
  pthread_cond_destroy (&pool->work);
  g_free (pool->threads);
  g_free (pool->name);
  g_free (pool);
}
