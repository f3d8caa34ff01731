/* hot.c - the sync thread: group commit into the hot log
 * SPDX-License-Identifier: Apache-2.0
 *
 * The loop fills one list of records while this thread writes and syncs the other: everybody who
 * waits gets one write and one fdatasync.  Lazy records are written as soon as they come and synced
 * with the next group, at the latest after opt.lazy_sync.
 *
 * A sync (or write) that fails is final for its segment.  The submissions of that group fail; its
 * other records, which are already in effect in memory, go into a fresh segment at once, with an
 * ABORT record for the submissions, because a failed sync does not mean that nothing reached the
 * disk.  When that fails too, the log is sick: records pile up in `stuck`, nothing is accepted, and
 * every opt.probe a fresh segment is tried.
 */
#include "impl.h"
#include <errno.h>

typedef struct {                     /* a word for the loop */
  Task      task;
  Segment  *seg;
  int       error;
  bool      sick, well;
} Word;

static void
word_done (EkSpool *spool, Task *task)
{
  Word *word = (Word *) task;

  if (word->seg)
    word->seg->failed = true;
  if (word->well)
    spool_report (spool, EK_WARN, "%s: the log is written again; mail is accepted", spool->opt.path);
  else if (word->sick)
    spool_report (spool, EK_ERR, "%s: no segment can be written (%s): no mail is accepted until one can; "
                  "tried again every %d s", spool->opt.path, g_strerror (word->error),
                  (int) (spool->opt.probe / G_USEC_PER_SEC));
  else
    spool_report (spool, EK_ERR, "%s/seg/%s: write or sync failed (%s): the segment is given up, what lives "
                  "in it is written again elsewhere; check the disk", spool->opt.path,
                  word->seg->name, g_strerror (word->error));
  g_free (word);
}

static void
say (EkSpool *spool, Segment *seg, int error, bool sick, bool well)
{
  Word *word = g_new0 (Word, 1);

  *word = (Word) { .task.done = word_done, .seg = seg, .error = error, .sick = sick, .well = well };
  spool_post1 (spool, &word->task);
}

typedef struct { Task task; EkCall *call; int error; } Refusal;

static void
refusal_done (EkSpool *spool, Task *task)
{
  Refusal *refusal = (Refusal *) task;

  ek_fail (&refusal->call->error, EK_DEFER, refusal->error, "%s: not durable: %s", spool->opt.path,
           g_strerror (refusal->error));
  ek_call_done (refusal->call, EK_DEFER);
  g_free (refusal);
}

/* Takes what cannot be written now: mail is refused, the rest is kept in `keep` for later, but those
 * who wait for it are told.  Returns an ABORT record for the mail, or NULL, when `abort_it`. */
static Rec *
set_aside (EkSpool *spool, TaskList *list, TaskList *keep, int error, bool abort_it, bool tell)
{
  GByteArray *ids = g_byte_array_new ();
  TaskList out;

  tasks_init (&out);
  for (Rec *rec; (rec = (Rec *) tasks_pop (list)) != NULL;) {
    rec->status = EK_DEFER;
    rec->error = error;
    if (rec->mail) {
      g_byte_array_append (ids, (const guint8 *) &rec->head.id, sizeof rec->head.id);
      tasks_add (&out, &rec->task);
    } else if (rec->head.type == REC_OPEN)       /* of the segment that failed */
      rec_free (rec);
    else if (rec->head.type == REC_NONE)
      tasks_add (tell ? &out : keep, &rec->task);
    else {
      if (tell && rec->call) {
        Refusal *refusal = g_new0 (Refusal, 1);
        *refusal = (Refusal) { .task.done = refusal_done, .call = rec->call, .error = error };
        rec->call = NULL;
        tasks_add (&out, &refusal->task);
      }
      tasks_add (keep, &rec->task);
    }
  }
  Rec *aborts = NULL;
  if (abort_it && ids->len > 0) {
    Block *meta = block_new (ids->len);
    memcpy (meta->bytes, ids->data, ids->len);
    aborts = rec_new (REC_ABORT, 0, meta, NULL);
    aborts->head.wall = ek_wall ();
  }
  g_byte_array_unref (ids);
  spool_post (spool, &out);
  return aborts;
}

/* The segment is lost for writing.  What of the group is not mail goes into a fresh one. */
static void
failed (EkSpool *spool, TaskList *rest, int error)
{
  Writer *w = &spool->hot_writer;
  TaskList keep;

  atomic_fetch_add (&spool->n_failed_syncs, 1);
  say (spool, w->seg, error, false, false);
  tasks_init (&keep);
  Rec *aborts = set_aside (spool, &w->unsynced, &keep, error, true, false);
  TaskList again;
  tasks_init (&again);
  if (aborts)
    tasks_add (&again, &aborts->task);
  tasks_take (&again, &keep);
  spool->unsynced_since = 0;
  if (log_start_over (spool, w, &again, &error)) {
    tasks_take (&again, rest);
    tasks_take (rest, &again);
    return;
  }
  atomic_store (&spool->sick_error, error);
  atomic_store (&spool->hot_sick, true);
  say (spool, NULL, error, true, false);
  set_aside (spool, &again, &spool->stuck, error, false, true);
  set_aside (spool, rest, &spool->stuck, error, false, true);
}

/* Syncs what was written; false when that failed, `rest` being what follows. */
static bool
flush (EkSpool *spool, TaskList *rest)
{
  Writer *w = &spool->hot_writer;

  if (w->unsynced.first == NULL)
    return true;
  atomic_fetch_add (&spool->n_syncs, 1);
  int error = log_sync (w);
  if (error) {
    failed (spool, rest, error);
    return false;
  }
  log_post (spool, w);
  spool->unsynced_since = 0;
  return true;
}

static void
refuse_mail (EkSpool *spool, TaskList *list)
{
  TaskList keep;

  tasks_init (&keep);
  set_aside (spool, list, &keep, ENOSPC, false, false);
  tasks_take (list, &keep);
}

/* The segment is full: sync it, go on in the next. */
static void
turn (EkSpool *spool, TaskList *rest)
{
  Writer *w = &spool->hot_writer;

  if (!flush (spool, rest))
    return;
  Segment *next = keeper_next_hot (spool);
  if (next == NULL) {
    atomic_store (&spool->hot_sick, true);
    say (spool, NULL, ENOSPC, true, false);
    set_aside (spool, rest, &spool->stuck, ENOSPC, false, true);
    return;
  }
  if (next->reserve)
    refuse_mail (spool, rest);
  Rec *open = log_turn (w, next, false);
  TaskList all;
  tasks_init (&all);
  tasks_add (&all, &open->task);
  tasks_take (&all, rest);
  tasks_take (rest, &all);
  next->task.done = segment_opened;
  spool_post1 (spool, &next->task);
}

static void
probe (EkSpool *spool, TaskList *list)
{
  Writer *w = &spool->hot_writer;
  TaskList again;
  int error = 0;

  tasks_init (&again);
  tasks_take (&again, &spool->stuck);
  if (log_start_over (spool, w, &again, &error)) {
    atomic_store (&spool->hot_sick, false);
    say (spool, NULL, 0, false, true);
    tasks_take (&again, list);
    tasks_take (list, &again);
  } else
    tasks_take (&spool->stuck, &again);
}

void
hot_look (EkSpool *spool)
{
  const Writer *w = &spool->hot_writer;
  guint64 size = w->seg ? w->seg->size - SPOOL_FIRST : 0;

  atomic_store (&spool->hot_left, w->seg && !w->seg->reserve && size > w->end ? size - w->end : 0);
}

static void
batch (EkSpool *spool, TaskList *list, bool sync)
{
  Writer *w = &spool->hot_writer;

  do {
    while (list->first && !atomic_load (&spool->hot_sick)) {
      if (w->seg->reserve && atomic_load (&spool->usable) == 0)
        refuse_mail (spool, list);
      int error = log_write (w, list);
      if (error)
        failed (spool, list, error);
      else if (list->first)
        turn (spool, list);
    }
    if (atomic_load (&spool->hot_sick)) {
      set_aside (spool, list, &spool->stuck, EIO, false, true);
      break;
    }
  } while (sync && !flush (spool, list));
  hot_look (spool);
  if (w->unsynced.first && spool->unsynced_since == 0)
    spool->unsynced_since = ek_now ();
}

/* Until when the thread may sleep; 0: there is something to do, -1: for ever. */
static gint64
until (EkSpool *spool, gint64 next_probe)
{
  if (spool->hot_queue.first || spool->hot_quit)
    return 0;
  gint64 at = -1;
  if (atomic_load (&spool->hot_sick))
    at = next_probe;
  else if (spool->unsynced_since)
    at = spool->unsynced_since + spool->opt.lazy_sync;
  return at >= 0 && at <= ek_now () ? 0 : at;
}

static void *
hot_main (void *data)
{
  EkSpool *spool = data;
  gint64 next_probe = 0;

  pthread_mutex_lock (&spool->hot_lock);
  for (bool quit = false; !quit;) {
    for (gint64 at; (at = until (spool, next_probe)) != 0;) {
      spool->hot_waiting = true;
      if (at < 0)
        pthread_cond_wait (&spool->hot_cond, &spool->hot_lock);
      else {
        struct timespec t = { at / G_USEC_PER_SEC, at % G_USEC_PER_SEC * 1000 };
        pthread_cond_timedwait (&spool->hot_cond, &spool->hot_lock, &t);
      }
      spool->hot_waiting = false;
    }
    TaskList list;
    tasks_init (&list);
    tasks_take (&list, &spool->hot_queue);
    quit = spool->hot_quit;
    bool sync = spool->hot_sync || quit;
    spool->hot_sync = false;
    pthread_mutex_unlock (&spool->hot_lock);
    bool was_sick = atomic_load (&spool->hot_sick);
    if (was_sick && (quit || ek_now () >= next_probe))
      probe (spool, &list);
    if (spool->unsynced_since && ek_now () >= spool->unsynced_since + spool->opt.lazy_sync)
      sync = true;
    batch (spool, &list, sync);
    if (atomic_load (&spool->hot_sick) && (!was_sick || ek_now () >= next_probe))
      next_probe = ek_now () + spool->opt.probe;
    pthread_mutex_lock (&spool->hot_lock);
  }
  pthread_mutex_unlock (&spool->hot_lock);
  return NULL;
}

void
hot_queue (EkSpool *spool, Rec *rec)
{
  if (rec->head.wall == 0)
    rec->head.wall = ek_wall ();
  pthread_mutex_lock (&spool->hot_lock);
  tasks_add (&spool->hot_queue, &rec->task);
  spool->hot_sync |= rec->sync;
  bool wake = spool->hot_waiting;
  spool->hot_waiting = false;
  pthread_mutex_unlock (&spool->hot_lock);
  if (wake)                          /* without the lock, which the thread wants first */
    pthread_cond_signal (&spool->hot_cond);
}

void
hot_start (EkSpool *spool)
{
  spool_thread (&spool->hot_thread, hot_main, spool);
}

/* What is stuck after the last try stays unwritten: the next start finds the state before it. */
void
hot_stop (EkSpool *spool)
{
  pthread_mutex_lock (&spool->hot_lock);
  spool->hot_quit = true;
  pthread_cond_signal (&spool->hot_cond);
  pthread_mutex_unlock (&spool->hot_lock);
  pthread_join (spool->hot_thread, NULL);
  for (Task *task; (task = tasks_pop (&spool->stuck)) != NULL;)
    spool_post1 (spool, task);
}
