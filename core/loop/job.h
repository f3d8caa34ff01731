/* job.h - blocking work on a few threads, its completions back on the loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * A job's run() may block; done() runs on the loop thread afterwards.  Jobs with the same non-zero
 * key run one at a time, in the order they were submitted: that is how one user's mailbox has one
 * owner at a time.  A job must not wait for a client: it returns, and is submitted again later.
 */
#pragma once
#include "loop/loop.h"

typedef struct EkJobPool   EkJobPool;
typedef struct EkJobThread EkJobThread;
typedef struct EkJob       EkJob;

struct EkJob {                                   /* embed it; the fields below `done` are the pool's */
  guint64 key;                                   /* 0: in no order */
  void  (*run) (EkJob *job, EkJobThread *thread);    /* job thread */
  void  (*done) (EkJob *job);                    /* loop thread; may free or submit the job again */

  EkTask     task;
  EkJob     *next;
  EkJobPool *pool;
};

/* At most `threads` threads, started when work waits for them.  `name` shows in ps(1). */
EkJobPool *ek_job_pool_new (EkLoop *loop, guint threads, const char *name);
/* Waits for the jobs that run, runs their done(); jobs not begun get done() without run(). */
void       ek_job_pool_free (EkJobPool *pool);
EkLoop    *ek_job_pool_loop (EkJobPool *pool);
/* Before the first job: its threads compute, and leave the cores to whoever else wants them (nice(2)). */
void       ek_job_pool_give_way (EkJobPool *pool);

void       ek_job_submit (EkJobPool *pool, EkJob *job);      /* loop thread */
guint      ek_job_waiting (EkJobPool *pool);     /* jobs that no thread has begun */

/* Values of a thread: connections of instances.  `free` runs on that thread when the pool ends. */
gpointer   ek_job_thread_get (EkJobThread *thread, gconstpointer key);
void       ek_job_thread_set (EkJobThread *thread, gconstpointer key, gpointer value, GDestroyNotify free);
