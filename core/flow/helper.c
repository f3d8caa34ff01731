/* helper.c - a module of directory that wants its helper started: asked of master, from a job thread
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/directory.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 5                   /* seconds */

typedef struct {                     /* shared by the thread that waits and the loop: who leaves last frees it */
  EkTask          task;
  atomic_int      refs;
  pthread_mutex_t lock;              /* of what follows */
  pthread_cond_t  told;
  bool            done;
  int             fd;
  char           *why, *kind, *name;
} Ask;

static void
unref (Ask *a)
{
  if (atomic_fetch_sub (&a->refs, 1) > 1)
    return;
  if (a->fd >= 0)
    close (a->fd);
  pthread_mutex_destroy (&a->lock);
  pthread_cond_destroy (&a->told);
  g_free (a->why);
  g_free (a->kind);
  g_free (a->name);
  g_free (a);
}

/* On the loop. */
static void
tell (Ask *a, int fd, const char *why)
{
  pthread_mutex_lock (&a->lock);
  a->done = true;
  a->fd = fd;
  a->why = g_strdup (why);
  pthread_cond_signal (&a->told);
  pthread_mutex_unlock (&a->lock);
  unref (a);
}

static void
answered (EkMsg *msg, gpointer data)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  bool ok = msg && ek_unpack_max (&msg->in, 1) == 1;
  const char *why = msg ? ek_unpack_text (&msg->in, pool) : NULL;
  int fd = ok ? ek_msg_take_fd (msg, 0) : -1;

  tell (data, fd, why ? why : "master gave none");
}

static void
ask (EkTask *task)
{
  Ask *a = (Ask *) ((char *) task - G_STRUCT_OFFSET (Ask, task));
  EkChannel *master = ek_role_master ();

  if (master == NULL) {
    tell (a, -1, "there is no master");
    return;
  }
  EkBuf *out = ek_channel_call (master, EK_M_HELPER, answered, a);
  ek_pack_text (out, a->kind);
  ek_pack_text (out, a->name);
  ek_channel_end (master);
}

int
ek_helper_open (EkInstance *self, GError **error)
{
  Ask *a = g_new0 (Ask, 1);
  struct timespec until;
  pthread_condattr_t attr;

  *a = (Ask) { .task.func = ask, .refs = 2, .fd = -1, .kind = g_strdup (self->module->name), .name = g_strdup (self->name) };
  pthread_mutex_init (&a->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&a->told, &attr);
  pthread_condattr_destroy (&attr);
  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += PATIENCE;
  ek_loop_post (ek_role_loop (), &a->task);
  pthread_mutex_lock (&a->lock);
  while (!a->done && pthread_cond_timedwait (&a->told, &a->lock, &until) != ETIMEDOUT)
    ;
  int fd = a->fd;
  a->fd = -1;
  if (fd < 0)
    ek_fail (error, EK_DEFER, 0, "its helper cannot be started: %s", a->done ? a->why : "master does not answer");
  pthread_mutex_unlock (&a->lock);
  unref (a);
  return fd;
}
