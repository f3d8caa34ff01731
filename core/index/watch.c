/* watch.c - tells views that something may have changed
 * SPDX-License-Identifier: Apache-2.0
 *
 * One inotify descriptor a worker, one watch for each directory of a folder that somebody looks at,
 * shared by all its views.  Without inotify (a limit) our own changes still arrive, and others are
 * seen at the next command.  A folder that changed a moment ago is looked at again after two
 * seconds, when its time stamp can be trusted. */
#include "index/index.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define WDS 4
#define RECHECK_US (2200 * G_GINT64_CONSTANT (1000))
#define EVENTS                                                                                     \
  (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct Watch {
  char      *path;                   /* of the folder */
  GPtrArray *views;
  int        wd[WDS];
  guint      n_wd;
  gint64     recheck_at;             /* 0: not needed */
  bool       due;                    /* in set->due */
};

static bool
add_fd (EkIndexes *set, int fd)
{
  struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

  return fd >= 0 && epoll_ctl (set->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

bool
watch_init (EkIndexes *set, GError **error)
{
  set->watches = g_hash_table_new (g_str_hash, g_str_equal);
  set->by_wd = g_hash_table_new (NULL, NULL);
  set->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  set->event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  set->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  set->inotify_fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  if (set->epoll_fd < 0 || !add_fd (set, set->event_fd) || !add_fd (set, set->timer_fd)) {
    ek_fail (error, EK_DEFER, errno, "cannot make the descriptors that watch mailboxes: %s",
             g_strerror (errno));
    return false;
  }
  if (set->inotify_fd < 0 || !add_fd (set, set->inotify_fd))
    ek_log (
        EK_WARN, "index",
        "inotify is not available (%s): changes by other programs are seen at the next command; "
        "raise fs.inotify.max_user_instances",
        g_strerror (errno));
  return true;
}

void
watch_finish (EkIndexes *set)
{
  const int fds[] = { set->epoll_fd, set->event_fd, set->timer_fd, set->inotify_fd };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    if (fds[i] > 0)
      close (fds[i]);
  g_clear_pointer (&set->watches, g_hash_table_unref);
  g_clear_pointer (&set->by_wd, g_hash_table_unref);
}

static char *
folder_path (const EkIndex *ix, const char *disk)
{
  return disk[0] ? g_strconcat (ix->root, "/", disk, NULL) : g_strdup (ix->root);
}

/* ---- registering (set->lock is held) ---- */

static void
watch_start (EkIndexes *set, Watch *w, const char *const *subs)
{
  static bool told;

  for (guint i = 0; set->inotify_fd >= 0 && subs[i] && w->n_wd < WDS; i++) {
    g_autofree char *path = g_build_filename (w->path, subs[i], NULL);
    int wd = inotify_add_watch (set->inotify_fd, path, EVENTS);
    if (wd >= 0) {
      g_hash_table_insert (set->by_wd, GINT_TO_POINTER (wd), w);
      w->wd[w->n_wd++] = wd;
    } else if (errno == ENOSPC && !told) {
      told = true;
      ek_log (EK_WARN, "index",
              "no more inotify watches: changes by other programs are seen at the next command; "
              "raise fs.inotify.max_user_watches");
    }
  }
}

static void
watch_stop (EkIndexes *set, Watch *w)
{
  if (w->due)
    g_queue_remove (&set->due, w);
  for (guint i = 0; i < w->n_wd; i++)
    if (g_hash_table_lookup (set->by_wd, GINT_TO_POINTER (w->wd[i])) == w) {
      inotify_rm_watch (set->inotify_fd, w->wd[i]);
      g_hash_table_remove (set->by_wd, GINT_TO_POINTER (w->wd[i]));
    }
  g_hash_table_remove (set->watches, w->path);
  g_ptr_array_unref (w->views);
  g_free (w->path);
  g_free (w);
}

static void
unwatch (EkIndexes *set, EkView *view)
{
  Watch *w = view->watch;

  view->watch = NULL;
  view->func = NULL;
  if (w && g_ptr_array_remove_fast (w->views, view) && w->views->len == 0)
    watch_stop (set, w);
}

EkStatus
ek_view_watch (EkView *view, EkWatchFunc func, gpointer data, GError **error)
{
  EkIndexes *set = view->ix->set;
  g_autofree char *path = NULL;
  Box *box;

  if (func) {
    EkStatus status = view_box (view, &box, error);
    if (status != EK_OK)
      return status;
    path = folder_path (view->ix, box->disk);
  }
  pthread_mutex_lock (&set->lock);
  while (set->calling == view && !pthread_equal (set->caller, pthread_self ()))
    pthread_cond_wait (&set->called, &set->lock);  /* its callback is running on the loop thread */
  unwatch (set, view);
  if (func) {
    Watch *w = g_hash_table_lookup (set->watches, path);
    if (w == NULL) {
      w = g_new0 (Watch, 1);
      w->path = g_steal_pointer (&path);
      w->views = g_ptr_array_new ();
      g_hash_table_insert (set->watches, w->path, w);
      watch_start (set, w, view->ix->ops->watch);
    }
    g_ptr_array_add (w->views, view);
    view->watch = w;
    view->func = func;
    view->data = data;
    view->pending = view->called = false;
  }
  pthread_mutex_unlock (&set->lock);
  return EK_OK;
}

/* ---- waking ---- */

static void
timer_set (EkIndexes *set, gint64 at)
{
  gint64 us = MAX (at - ek_now (), 1);
  struct itimerspec t = { .it_value = { us / G_USEC_PER_SEC, us % G_USEC_PER_SEC * 1000 } };

  if (set->timer_at && set->timer_at <= at)
    return;
  set->timer_at = at;
  timerfd_settime (set->timer_fd, 0, &t, NULL);
}

static void
wake (EkIndexes *set)
{
  guint64 one = 1;
  gssize n = write (set->event_fd, &one, sizeof one);

  (void) n;                                        /* full: it is readable already */
}

/* Its views are to be called.  One whose call is not yet answered by a sync needs no second one. */
static bool
mark (EkIndexes *set, Watch *w, EkView *except)
{
  bool any = false;

  for (guint i = 0; i < w->views->len; i++) {
    EkView *view = w->views->pdata[i];
    if (view == except || view->pending)
      continue;
    view->pending = any = true;
    view->called = false;
  }
  if (any && !w->due)
    g_queue_push_tail (&set->due, w);
  w->due |= any;
  return any;
}

void
watch_touch (EkIndex *ix, const char *disk, EkView *except)
{
  EkIndexes *set = ix->set;
  g_autofree char *path = folder_path (ix, disk);

  pthread_mutex_lock (&set->lock);
  Watch *w = g_hash_table_lookup (set->watches, path);
  if (w && mark (set, w, except))
    wake (set);
  pthread_mutex_unlock (&set->lock);
}

void
watch_recheck (EkView *view)
{
  EkIndexes *set = view->ix->set;

  pthread_mutex_lock (&set->lock);
  if (view->watch && view->watch->recheck_at == 0) {
    view->watch->recheck_at = ek_now () + RECHECK_US;
    timer_set (set, view->watch->recheck_at);
  }
  pthread_mutex_unlock (&set->lock);
}

/* ---- on the loop thread ---- */

static void
read_inotify (EkIndexes *set)
{
  union { struct inotify_event e; char bytes[16 << 10]; } buf;
  gssize n;

  while (set->inotify_fd >= 0 && (n = read (set->inotify_fd, &buf, sizeof buf)) > 0)
    for (char *p = buf.bytes; p < buf.bytes + n;) {
      struct inotify_event e;
      memcpy (&e, p, sizeof e);
      p += sizeof e + e.len;
      GHashTableIter iter;
      gpointer w = g_hash_table_lookup (set->by_wd, GINT_TO_POINTER (e.wd));
      if (w)
        mark (set, w, NULL);
      if (e.mask & IN_IGNORED)
        g_hash_table_remove (set->by_wd, GINT_TO_POINTER (e.wd));
      if (!(e.mask & IN_Q_OVERFLOW))
        continue;
      g_hash_table_iter_init (&iter, set->watches);        /* events were lost: all of them */
      while (g_hash_table_iter_next (&iter, NULL, &w))
        mark (set, w, NULL);
    }
}

static void
read_timer (EkIndexes *set)
{
  guint64 count;
  GHashTableIter iter;
  gpointer p;
  gint64 now = ek_now (), next = 0;

  if (read (set->timer_fd, &count, sizeof count) <= 0)
    return;
  set->timer_at = 0;
  g_hash_table_iter_init (&iter, set->watches);
  while (g_hash_table_iter_next (&iter, NULL, &p)) {
    Watch *w = p;
    if (w->recheck_at && w->recheck_at <= now) {
      w->recheck_at = 0;
      mark (set, w, NULL);
    } else if (w->recheck_at && (next == 0 || w->recheck_at < next))
      next = w->recheck_at;
  }
  if (next)
    timer_set (set, next);
}

/* The next view whose call is due, taken under the lock; callbacks run without it. */
static EkView *
next_due (EkIndexes *set)
{
  Watch *w;

  for (; (w = g_queue_peek_head (&set->due)); w->due = false, g_queue_pop_head (&set->due))
    for (guint i = 0; i < w->views->len; i++) {
      EkView *view = w->views->pdata[i];
      if (view->pending && !view->called) {
        view->called = true;
        return view;
      }
    }
  return NULL;
}

void
ek_indexes_dispatch (EkIndexes *set)
{
  guint64 count;
  EkView *view;

  pthread_mutex_lock (&set->lock);
  gssize n = read (set->event_fd, &count, sizeof count);
  (void) n;
  read_inotify (set);
  read_timer (set);
  set->caller = pthread_self ();
  while ((view = next_due (set))) {
    EkWatchFunc func = view->func;
    gpointer data = view->data;
    set->calling = view;
    pthread_mutex_unlock (&set->lock);
    func (view, data);
    pthread_mutex_lock (&set->lock);
    set->calling = NULL;
    pthread_cond_broadcast (&set->called);
  }
  pthread_mutex_unlock (&set->lock);
}
