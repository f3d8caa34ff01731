/* watch.c - a thread that shuts the sockets of calls that have waited long enough
 * SPDX-License-Identifier: Apache-2.0 */
#include "maria.h"
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define NEVER G_MAXINT64

struct MysqlWatch {
  pthread_t       thread;
  pthread_mutex_t lock;              /* the rest */
  pthread_cond_t  changed;
  MysqlGuard     *guards;            /* those that may still fire, in no order: there are few */
  gint64          asleep_until;
  bool            stop;
};

/* Shuts what is late; when the next one is.  With the lock. */
static gint64
look (MysqlWatch *watch)
{
  gint64 now = g_get_monotonic_time (), next = NEVER;

  for (MysqlGuard *g = watch->guards; g; g = g->next)
    if (!g->fired && g->deadline <= now) {
      g->fired = true;
      shutdown (g->fd, SHUT_RDWR);
    }
    else if (!g->fired)
      next = MIN (next, g->deadline);
  return next;
}

static void *
watch_main (void *data)
{
  MysqlWatch *watch = data;

  pthread_setname_np (pthread_self (), "mysql-watch");
  pthread_mutex_lock (&watch->lock);
  while (!watch->stop) {
    gint64 next = watch->asleep_until = look (watch);
    struct timespec until = { .tv_sec = next / G_USEC_PER_SEC, .tv_nsec = next % G_USEC_PER_SEC * 1000 };
    if (next == NEVER)
      pthread_cond_wait (&watch->changed, &watch->lock);
    else
      pthread_cond_timedwait (&watch->changed, &watch->lock, &until);
  }
  pthread_mutex_unlock (&watch->lock);
  return NULL;
}

MysqlWatch *
mysql_watch_new (void)
{
  MysqlWatch *watch = g_new0 (MysqlWatch, 1);
  pthread_condattr_t attr;
  sigset_t all, old;

  pthread_mutex_init (&watch->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&watch->changed, &attr);
  pthread_condattr_destroy (&attr);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);       /* signals are the loop thread's */
  int err = pthread_create (&watch->thread, NULL, watch_main, watch);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (err)
    g_error ("cannot start a thread: %s", g_strerror (err));
  return watch;
}

void
mysql_watch_free (MysqlWatch *watch)
{
  if (watch == NULL)
    return;
  pthread_mutex_lock (&watch->lock);
  watch->stop = true;
  pthread_cond_signal (&watch->changed);
  pthread_mutex_unlock (&watch->lock);
  pthread_join (watch->thread, NULL);
  pthread_cond_destroy (&watch->changed);
  pthread_mutex_destroy (&watch->lock);
  g_free (watch);
}

void
mysql_watch_begin (MysqlWatch *watch, MysqlGuard *guard, int fd, gint64 deadline)
{
  pthread_mutex_lock (&watch->lock);
  *guard = (MysqlGuard) { .next = watch->guards, .fd = fd, .deadline = deadline };
  watch->guards = guard;
  if (deadline < watch->asleep_until)
    pthread_cond_signal (&watch->changed);
  pthread_mutex_unlock (&watch->lock);
}

void
mysql_watch_move (MysqlWatch *watch, MysqlGuard *guard, gint64 deadline)
{
  pthread_mutex_lock (&watch->lock);
  guard->deadline = deadline;        /* later than before: the thread finds out when it wakes */
  pthread_mutex_unlock (&watch->lock);
}

bool
mysql_watch_end (MysqlWatch *watch, MysqlGuard *guard)
{
  pthread_mutex_lock (&watch->lock);
  MysqlGuard **link = &watch->guards;
  while (*link != guard)
    link = &(*link)->next;
  *link = guard->next;
  bool fired = guard->fired;
  pthread_mutex_unlock (&watch->lock);
  return fired;
}
