/* work.c - the workers: large files and reading back, a few at a time, first come first served
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"

static void *
work_main (void *data)
{
  EkSpool *spool = data;

  pthread_mutex_lock (&spool->work_lock);
  for (;;) {
    Task *task = tasks_pop (&spool->work);
    if (task) {
      pthread_mutex_unlock (&spool->work_lock);
      task->run (spool, task);
      spool_post1 (spool, task);
      pthread_mutex_lock (&spool->work_lock);
    } else if (spool->work_quit)
      break;
    else
      pthread_cond_wait (&spool->work_cond, &spool->work_lock);
  }
  pthread_mutex_unlock (&spool->work_lock);
  return NULL;
}

void
work_queue (EkSpool *spool, Task *task)
{
  spool->out++;
  pthread_mutex_lock (&spool->work_lock);
  tasks_add (&spool->work, task);
  pthread_cond_signal (&spool->work_cond);
  pthread_mutex_unlock (&spool->work_lock);
}

void
work_start (EkSpool *spool)
{
  for (guint i = 0; i < MIN (spool->opt.workers, G_N_ELEMENTS (spool->work_threads)); i++) {
    spool_thread (&spool->work_threads[i], work_main, spool);
    spool->n_threads++;
  }
}

void
work_stop (EkSpool *spool)
{
  pthread_mutex_lock (&spool->work_lock);
  spool->work_quit = true;
  pthread_cond_broadcast (&spool->work_cond);
  pthread_mutex_unlock (&spool->work_lock);
  for (guint i = 0; i < spool->n_threads; i++)
    pthread_join (spool->work_threads[i], NULL);
  spool->n_threads = 0;
}
