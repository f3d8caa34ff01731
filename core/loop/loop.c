/* loop.c - one epoll source and one timer heap for all connections of a process
 * SPDX-License-Identifier: Apache-2.0
 *
 * Five thousand idle descriptors as GLib sources cost half a millisecond a wake-up; one epoll
 * descriptor costs two microseconds.  The same holds for time-outs, hence the heap.
 */
#include "loop/loop.h"
#include "base/log.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 128
#define ROUNDS 8                     /* epoll_wait calls in one turn before other sources get theirs */

struct EkLoop {
  GMainContext *context;
  GSource      *source;
  gpointer      tag;
  int           epoll, wake, context_wake;         /* the last: the context's own, once it is known */
  bool          quit, filled;        /* filled: poll_descriptors() has put the next batch there */

  struct epoll_event batch[BATCH];
  int           batch_n, batch_at;

  GPtrArray    *heap;                /* of EkTimer *, slot = index + 1 */
  EkTask       *later, **later_tail;
  _Atomic (EkTask *) posted;         /* newest first */
};

typedef struct {
  GSource base;
  EkLoop *loop;
} Source;

static __thread EkLoop *mine;

EkLoop *
ek_loop_mine (void)
{
  return mine;
}

/* ---- timers ---- */

static EkTimer *
heap_at (EkLoop *loop, guint i)
{
  return loop->heap->pdata[i];
}

static void
heap_put (EkLoop *loop, guint i, EkTimer *timer)
{
  loop->heap->pdata[i] = timer;
  timer->slot = i + 1;
}

static void
heap_up (EkLoop *loop, guint i)
{
  EkTimer *timer = heap_at (loop, i);

  for (; i > 0 && heap_at (loop, (i - 1) / 2)->key > timer->key; i = (i - 1) / 2)
    heap_put (loop, i, heap_at (loop, (i - 1) / 2));
  heap_put (loop, i, timer);
}

static void
heap_down (EkLoop *loop, guint i)
{
  EkTimer *timer = heap_at (loop, i);
  guint n = loop->heap->len;

  for (;;) {
    guint child = i * 2 + 1;
    if (child + 1 < n && heap_at (loop, child + 1)->key < heap_at (loop, child)->key)
      child++;
    if (child >= n || heap_at (loop, child)->key >= timer->key)
      break;
    heap_put (loop, i, heap_at (loop, child));
    i = child;
  }
  heap_put (loop, i, timer);
}

void
ek_timer_cancel (EkLoop *loop, EkTimer *timer)
{
  if (timer->slot == 0)
    return;
  guint i = timer->slot - 1;
  EkTimer *last = heap_at (loop, loop->heap->len - 1);
  g_ptr_array_set_size (loop->heap, (int) loop->heap->len - 1);
  if (last != timer) {
    heap_put (loop, i, last);
    heap_down (loop, i);
    heap_up (loop, last->slot - 1);
  }
  timer->slot = 0;
}

void
ek_timer_set (EkLoop *loop, EkTimer *timer, gint64 us)
{
  timer->due = ek_now () + MAX (us, 0);
  if (timer->slot != 0 && timer->due >= timer->key)
    return;                          /* it moves when it comes up */
  timer->key = timer->due;
  if (timer->slot == 0) {
    g_ptr_array_add (loop->heap, timer);
    timer->slot = loop->heap->len;
  }
  heap_up (loop, timer->slot - 1);
}

static void
run_timers (EkLoop *loop)
{
  if (loop->heap->len == 0)
    return;
  gint64 now = ek_now ();
  while (loop->heap->len > 0 && heap_at (loop, 0)->key <= now) {
    EkTimer *timer = heap_at (loop, 0);
    if (timer->due > now) {
      timer->key = timer->due;
      heap_down (loop, 0);
      continue;
    }
    ek_timer_cancel (loop, timer);
    timer->func (timer);
  }
}

/* ---- tasks ---- */

void
ek_loop_later (EkLoop *loop, EkTask *task)
{
  if (task->queued)
    return;
  task->queued = true;
  task->next = NULL;
  *loop->later_tail = task;
  loop->later_tail = &task->next;
}

static void
run_later (EkLoop *loop)
{
  while (loop->later) {
    EkTask *task = loop->later;
    loop->later = task->next;
    if (loop->later == NULL)
      loop->later_tail = &loop->later;
    task->queued = false;
    task->func (task);
  }
}

void
ek_loop_post (EkLoop *loop, EkTask *task)
{
  EkTask *head = atomic_load_explicit (&loop->posted, memory_order_relaxed);

  do
    task->next = head;
  while (!atomic_compare_exchange_weak_explicit (&loop->posted, &head, task,
                                                 memory_order_release, memory_order_relaxed));
  if (head == NULL) {
    guint64 one = 1;
    while (write (loop->wake, &one, sizeof one) < 0 && errno == EINTR)
      ;
  }
}

static void
run_posted (EkLoop *loop)
{
  guint64 n;
  EkTask *list = NULL;

  while (read (loop->wake, &n, sizeof n) < 0 && errno == EINTR)
    ;
  EkTask *head = atomic_exchange_explicit (&loop->posted, NULL, memory_order_acquire);
  while (head) {                     /* oldest first */
    EkTask *next = head->next;
    head->next = list;
    list = head;
    head = next;
  }
  while (list) {
    EkTask *task = list;
    list = task->next;
    task->func (task);
  }
}

/* ---- descriptors ---- */

void
ek_watch_set (EkLoop *loop, EkWatch *watch, guint32 events)
{
  struct epoll_event ev = { .events = events, .data.ptr = watch };

  if (events == watch->events)
    return;
  int op = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl (loop->epoll, op, watch->fd, &ev) < 0 && events != 0)
    g_error ("epoll_ctl on descriptor %d: %s", watch->fd, g_strerror (errno));   /* a bug or out of memory */
  watch->events = events;
  if (events == 0)
    for (int i = loop->batch_at; i < loop->batch_n; i++)
      if (loop->batch[i].data.ptr == watch)
        loop->batch[i].data.ptr = NULL;
}

/* The context's poll function: where our descriptor and the context's own are all there is, waits in
 * epoll itself, so that a turn costs one call and not three. */
static int
poll_descriptors (GPollFD *fds, guint n, int timeout)
{
  EkLoop *loop = mine;
  GPollFD *ours = NULL, *other = NULL;

  if (loop)
    loop->filled = false;
  for (guint i = 0; i < n && loop; i++)
    *(fds[i].fd == loop->epoll ? &ours : &other) = &fds[i];
  if (n != 2 || ours == NULL || (loop->context_wake >= 0 && loop->context_wake != other->fd))
    return g_poll (fds, n, timeout);
  if (loop->context_wake < 0) {
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &loop->context_wake };
    if (epoll_ctl (loop->epoll, EPOLL_CTL_ADD, other->fd, &ev) < 0)
      return g_poll (fds, n, timeout);
    loop->context_wake = other->fd;
  }
  int got = epoll_wait (loop->epoll, loop->batch, BATCH, timeout);
  ours->revents = got > 0 ? G_IO_IN : 0;
  other->revents = 0;
  for (int i = 0; i < got; i++)
    if (loop->batch[i].data.ptr == &loop->context_wake) {
      loop->batch[i].data.ptr = NULL;
      other->revents = G_IO_IN;
    }
  loop->batch_n = MAX (got, 0);
  loop->batch_at = 0;
  loop->filled = got > 0;
  return got < 0 ? got : (ours->revents != 0) + (other->revents != 0);
}

/* Returns whether there may be more. */
static bool
run_descriptors (EkLoop *loop)
{
  bool woken = false;

  if (!loop->filled) {
    do
      loop->batch_n = epoll_wait (loop->epoll, loop->batch, BATCH, 0);
    while (loop->batch_n < 0 && errno == EINTR);
    loop->batch_at = 0;
  }
  loop->filled = false;
  bool full = loop->batch_n == BATCH;
  while (loop->batch_at < loop->batch_n) {
    struct epoll_event *ev = &loop->batch[loop->batch_at++];
    EkWatch *watch = ev->data.ptr;
    if (ev->data.ptr == loop)
      woken = true;
    else if (watch && ev->data.ptr != &loop->context_wake)
      watch->func (watch, ev->events);
  }
  loop->batch_n = loop->batch_at = 0;
  if (woken)
    run_posted (loop);
  return full;
}

/* ---- the source ---- */

static gboolean
source_prepare (GSource *base, int *timeout)
{
  EkLoop *loop = ((Source *) base)->loop;

  *timeout = -1;
  if (loop->later)
    *timeout = 0;
  else if (loop->heap->len > 0) {
    gint64 us = heap_at (loop, 0)->key - ek_now ();
    *timeout = us <= 0 ? 0 : (int) MIN ((us + 999) / 1000, G_MAXINT);
  }
  return *timeout == 0;
}

static gboolean
source_check (GSource *base)
{
  EkLoop *loop = ((Source *) base)->loop;

  if (loop->tag && g_source_query_unix_fd (base, loop->tag))
    return TRUE;
  return loop->heap->len > 0 && heap_at (loop, 0)->key <= ek_now ();
}

static gboolean
source_dispatch (GSource *base, GSourceFunc func, gpointer data)
{
  EkLoop *loop = ((Source *) base)->loop;

  for (int i = 0; i < ROUNDS; i++) {
    bool more = run_descriptors (loop);
    run_timers (loop);
    run_later (loop);
    ek_log_flush ();
    if (!more || loop->quit)
      break;
  }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = source_prepare, .check = source_check, .dispatch = source_dispatch,
};

EkLoop *
ek_loop_new (GError **error)
{
  int ep = epoll_create1 (EPOLL_CLOEXEC), wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event ev = { .events = EPOLLIN };

  if (ep < 0 || wake < 0) {
    ek_fail (error, EK_FAIL, errno, "cannot make an event loop: %s", g_strerror (errno));
    if (ep >= 0)
      close (ep);
    if (wake >= 0)
      close (wake);
    return NULL;
  }
  EkLoop *loop = g_new0 (EkLoop, 1);
  loop->epoll = ep;
  loop->wake = wake;
  loop->context_wake = -1;
  loop->heap = g_ptr_array_new ();
  loop->later_tail = &loop->later;
  ev.data.ptr = loop;
  epoll_ctl (ep, EPOLL_CTL_ADD, wake, &ev);
  loop->context = g_main_context_new ();
  loop->source = g_source_new (&source_funcs, sizeof (Source));
  ((Source *) loop->source)->loop = loop;
  loop->tag = g_source_add_unix_fd (loop->source, ep, G_IO_IN);
  g_source_set_can_recurse (loop->source, TRUE);   /* else GLib takes its descriptor out and in again each turn */
  g_source_attach (loop->source, loop->context);
  g_main_context_set_poll_func (loop->context, poll_descriptors);
  mine = loop;
  return loop;
}

void
ek_loop_free (EkLoop *loop)
{
  if (loop == NULL)
    return;
  g_source_destroy (loop->source);
  g_source_unref (loop->source);
  g_main_context_unref (loop->context);
  g_ptr_array_free (loop->heap, TRUE);
  close (loop->epoll);
  close (loop->wake);
  if (mine == loop)
    mine = NULL;
  g_free (loop);
}

void
ek_loop_turn (EkLoop *loop, bool may_block)
{
  mine = loop;
  g_main_context_push_thread_default (loop->context);
  g_main_context_iteration (loop->context, may_block);
  g_main_context_pop_thread_default (loop->context);
}

void
ek_loop_run (EkLoop *loop)
{
  mine = loop;
  g_main_context_push_thread_default (loop->context);
  while (!loop->quit)
    g_main_context_iteration (loop->context, TRUE);
  g_main_context_pop_thread_default (loop->context);
}

void
ek_loop_quit (EkLoop *loop)
{
  loop->quit = true;
}
