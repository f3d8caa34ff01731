/* aside.c - a call that nothing can bound, on a thread of its own
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/aside.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

typedef struct {
  void         (*run) (gpointer);
  gpointer       data;
  GDestroyNotify free;

  pthread_mutex_t lock;              /* what follows */
  pthread_cond_t  ended;
  bool            over;              /* run() has returned */
  bool            left;              /* nobody waits any more */
} Aside;

static atomic_int hanging;

static Aside *
aside_new (void (*run) (gpointer), gpointer data, GDestroyNotify free)
{
  Aside *a = g_new0 (Aside, 1);
  pthread_condattr_t attr;

  a->run = run;
  a->data = data;
  a->free = free;
  pthread_mutex_init (&a->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&a->ended, &attr);
  pthread_condattr_destroy (&attr);
  return a;
}

static void
aside_free (Aside *a)
{
  pthread_cond_destroy (&a->ended);
  pthread_mutex_destroy (&a->lock);
  g_free (a);
}

static void *
aside_main (void *data)
{
  Aside *a = data;

  pthread_setname_np (pthread_self (), "aside");
  a->run (a->data);
  pthread_mutex_lock (&a->lock);
  a->over = true;
  bool left = a->left;
  pthread_cond_signal (&a->ended);
  pthread_mutex_unlock (&a->lock);   /* unless it was left, `a` is gone from here on */
  if (left) {
    a->free (a->data);
    aside_free (a);
    atomic_fetch_sub (&hanging, 1);
  }
  return NULL;
}

static int
begin (Aside *a)
{
  pthread_attr_t attr;
  pthread_t id;
  sigset_t all, old;

  pthread_attr_init (&attr);
  pthread_attr_setdetachstate (&attr, PTHREAD_CREATE_DETACHED);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);       /* signals are the loop thread's */
  int err = pthread_create (&id, &attr, aside_main, a);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  pthread_attr_destroy (&attr);
  return err;
}

/* True: it is over; false: from now on nobody waits. */
static bool
wait_for (Aside *a, gint64 deadline)
{
  struct timespec until = { .tv_sec = deadline / G_USEC_PER_SEC, .tv_nsec = deadline % G_USEC_PER_SEC * 1000 };
  int err = 0;

  pthread_mutex_lock (&a->lock);
  while (!a->over && err == 0)
    err = pthread_cond_timedwait (&a->ended, &a->lock, &until);
  bool over = a->over;
  if (!over) {
    a->left = true;
    atomic_fetch_add (&hanging, 1);
  }
  pthread_mutex_unlock (&a->lock);
  return over;
}

bool
ek_aside (void (*run) (gpointer), gpointer data, GDestroyNotify free, const char *what, gint64 deadline, GError **error)
{
  Aside *a = aside_new (run, data, free);
  int err = atomic_load (&hanging) >= EK_ASIDE_MAX ? EAGAIN : begin (a);

  if (err) {
    ek_fail (error, EK_DEFER, err, "%s cannot be asked: %s", what,
             err == EAGAIN ? "too many earlier calls still hang, or there are too many threads" : g_strerror (err));
    free (data);
    aside_free (a);
    return false;
  }
  if (!wait_for (a, deadline)) {
    ek_fail (error, EK_DEFER, ETIMEDOUT, "%s did not answer in time", what);
    return false;
  }
  aside_free (a);
  return true;
}
