/* keeper.c - the keeper: segments ready before they are needed, the cold log, the free room
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything slow that the group commit must not wait for.  Room is given in this order: spare
 * segments above the reserve, new files, and last the reserve, in which hot segments take no mail:
 * what is left there is for outcomes and for the copies that let old segments go.
 */
#include "impl.h"
#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPARES_MAX (SPOOL_RESERVE + 6)
#define FS_MARGIN  (1024 * 1024)                 /* for the folders and the checkpoint */

static guint64
fs_free (EkSpool *spool)
{
  struct statvfs st;

  if (fstatvfs (spool->seg_dir, &st) < 0)
    return 0;
  guint64 room = (guint64) st.f_bavail * st.f_frsize;
  return room > FS_MARGIN ? room - FS_MARGIN : 0;
}

void
keeper_look (EkSpool *spool)
{
  guint64 size = spool->opt.segment_size, room = fs_free (spool);

  pthread_mutex_lock (&spool->keep_lock);
  guint spares = spool->n_spares;
  if (spool->next_hot && !spool->next_hot->reserve)
    room += size;
  pthread_mutex_unlock (&spool->keep_lock);
  room += spares > SPOOL_RESERVE ? (spares - SPOOL_RESERVE) * size : 0;
  guint64 missing = spares < SPOOL_RESERVE ? (SPOOL_RESERVE - spares) * size : 0;
  atomic_store (&spool->usable, room > missing ? room - missing : 0);
}

static Segment *
spare_take (EkSpool *spool, guint above)
{
  pthread_mutex_lock (&spool->keep_lock);
  Segment *seg = NULL;
  if (spool->n_spares > above) {
    seg = (Segment *) tasks_pop (&spool->spares);
    spool->n_spares--;
  }
  pthread_mutex_unlock (&spool->keep_lock);
  return seg;
}

static void
spare_add (EkSpool *spool, Segment *seg)
{
  pthread_mutex_lock (&spool->keep_lock);
  tasks_add (&spool->spares, &seg->task);
  spool->n_spares++;
  pthread_mutex_unlock (&spool->keep_lock);
}

static void
throw_away (EkSpool *spool, Segment *seg)
{
  unlinkat (spool->seg_dir, seg->name, 0);
  segment_free (seg);
}

bool
keeper_give_up_spare (EkSpool *spool)
{
  Segment *seg = spare_take (spool, 0);

  if (seg)
    throw_away (spool, seg);
  return seg != NULL;
}

/* A segment ready to be written, or NULL. */
static Segment *
supply (EkSpool *spool, SegKind kind)
{
  g_autoptr (GError) error = NULL;

  for (int tries = 0; tries < 3; tries++) {
    Segment *seg = spare_take (spool, SPOOL_RESERVE);
    bool reserve = false;
    if (seg == NULL && fs_free (spool) >= spool->opt.segment_size) {
      g_clear_error (&error);
      seg = segment_create (spool, &error);
    }
    if (seg == NULL) {
      seg = spare_take (spool, 0);
      reserve = true;
    }
    if (seg == NULL)
      return NULL;
    seg->reserve = reserve;
    seg->task.run = NULL;
    pthread_mutex_lock (&spool->keep_lock);
    guint64 seq = spool->next_seq++;
    pthread_mutex_unlock (&spool->keep_lock);
    if (segment_prepare (spool, seg, kind, seq, NULL))
      return seg;
    throw_away (spool, seg);
  }
  return NULL;
}

static void
supply_hot (EkSpool *spool)
{
  Segment *seg = supply (spool, SEG_HOT);

  pthread_mutex_lock (&spool->keep_lock);
  spool->next_hot = seg;
  spool->no_hot = seg == NULL;
  spool->want_hot = false;
  pthread_cond_broadcast (&spool->hot_ready);
  pthread_mutex_unlock (&spool->keep_lock);
}

Segment *
keeper_next_hot (EkSpool *spool)
{
  pthread_mutex_lock (&spool->keep_lock);
  spool->no_hot = false;
  while (spool->next_hot == NULL && !spool->no_hot) {
    spool->want_hot = true;
    pthread_cond_signal (&spool->keep_cond);
    pthread_cond_wait (&spool->hot_ready, &spool->keep_lock);
  }
  Segment *seg = spool->next_hot;
  spool->next_hot = NULL;
  spool->want_hot = seg != NULL;
  pthread_cond_signal (&spool->keep_cond);
  pthread_mutex_unlock (&spool->keep_lock);
  return seg;
}

static void
dispose_run (EkSpool *spool, Task *task)
{
  Segment *seg = (Segment *) ((char *) task - G_STRUCT_OFFSET (Segment, task));

  if (seg->failed || seg->size != spool->opt.segment_size || spool->n_spares >= SPARES_MAX
      || !segment_prepare (spool, seg, SEG_FREE, 0, NULL))
    throw_away (spool, seg);
  else
    spare_add (spool, seg);
}

void
keeper_dispose (EkSpool *spool, Segment *seg)
{
  seg->task.run = dispose_run;
  seg->task.done = NULL;
  seg->reserve = false;
  keeper_queue (spool, &seg->task);
}

/* ---- the cold log ----------------------------------------------------------------------------- */

typedef struct { Task task; Segment *seg; int error; } ColdWord;   /* a word for the loop */

static void
cold_word_done (EkSpool *spool, Task *task)
{
  ColdWord *word = (ColdWord *) task;

  if (word->seg)
    word->seg->failed = true;
  spool_report (spool, EK_ERR, "%s: cold log: write or sync failed (%s)%s", spool->opt.path,
                g_strerror (word->error), word->seg ? "; the segment is given up"
                : ": no mail is accepted until one can be written");
  g_free (word);
}

static void
cold_say (EkSpool *spool, Segment *seg, int error)
{
  ColdWord *word = g_new0 (ColdWord, 1);

  *word = (ColdWord) { .task.done = cold_word_done, .seg = seg, .error = error };
  spool_post1 (spool, &word->task);
}

Segment *
keeper_next_cold (EkSpool *spool)
{
  return supply (spool, SEG_COLD);
}

static void
cold_fail (EkSpool *spool, TaskList *list, int error)
{
  for (Task *task = list->first; task; task = task->next) {
    ((Rec *) task)->status = EK_DEFER;
    ((Rec *) task)->error = error;
  }
  spool_post (spool, list);
  atomic_store (&spool->sick_error, error);
  if (!atomic_exchange (&spool->cold_sick, true))
    cold_say (spool, NULL, error);
}

static int
cold_sync (EkSpool *spool)
{
  Writer *w = &spool->cold_writer;

  atomic_fetch_add (&spool->n_cold_syncs, 1);
  int error = log_sync (w);
  if (error == 0)
    log_post (spool, w);
  return error;
}

/* The segment is full and synced: goes on in the next.  False: there is none. */
static bool
cold_turn (EkSpool *spool, TaskList *list)
{
  Segment *next = supply (spool, SEG_COLD);
  TaskList all;

  if (next == NULL)
    return false;
  Rec *open = log_turn (&spool->cold_writer, next, false);
  tasks_init (&all);
  tasks_add (&all, &open->task);
  tasks_take (&all, list);
  tasks_take (list, &all);
  next->task.done = segment_opened;
  spool_post1 (spool, &next->task);
  return true;
}

/* Writes and syncs all of `list`.  A failure is final for its segment and is tried once more in a
 * fresh one; what cannot be written then comes back to the loop as EK_DEFER. */
static void
cold_batch (EkSpool *spool, TaskList *list)
{
  Writer *w = &spool->cold_writer;

  while (list->first || w->unsynced.first) {
    int error = 0;
    if (w->seg == NULL || spool->cold_broken) {
      if (!log_start_over (spool, w, list, &error)) {
        cold_fail (spool, list, error);
        return;
      }
      spool->cold_broken = false;
      continue;
    }
    error = log_write (w, list);
    if (error == 0)
      error = cold_sync (spool);
    if (error) {
      atomic_fetch_add (&spool->n_failed_syncs, 1);
      cold_say (spool, w->seg, error);
      TaskList all;
      tasks_init (&all);
      tasks_take (&all, &w->unsynced);
      tasks_take (&all, list);
      log_undo (w, &all);
      tasks_take (list, &all);
      spool->cold_broken = true;
    } else if (list->first && !cold_turn (spool, list)) {
      cold_fail (spool, list, ENOSPC);
      return;
    }
  }
  atomic_store (&spool->cold_sick, false);
}

/* ---- the thread ------------------------------------------------------------------------------- */

void
keeper_queue (EkSpool *spool, Task *task)
{
  pthread_mutex_lock (&spool->keep_lock);
  tasks_add (&spool->keep_queue, task);
  pthread_cond_signal (&spool->keep_cond);
  pthread_mutex_unlock (&spool->keep_lock);
}

void
keeper_rouse (EkSpool *spool)
{
  if (atomic_exchange (&spool->busy, true))
    return;
  pthread_mutex_lock (&spool->keep_lock);        /* it may be about to sleep for long */
  pthread_cond_signal (&spool->keep_cond);
  pthread_mutex_unlock (&spool->keep_lock);
}

/* Records for the cold log go together; tasks run after them. */
static void
work_off (EkSpool *spool, TaskList *list)
{
  TaskList recs, tasks;

  tasks_init (&recs);
  tasks_init (&tasks);
  for (Task *task; (task = tasks_pop (list)) != NULL;) {
    Rec *rec = task->run ? NULL : (Rec *) task;
    if (rec && rec_size (rec->head.meta_len, rec->head.body_len) > spool->opt.segment_size - 2 * SPOOL_FIRST - 256) {
      rec->status = EK_FAIL;                     /* no segment would ever hold it */
      rec->error = EMSGSIZE;
      spool_post1 (spool, task);
    } else
      tasks_add (rec ? &recs : &tasks, task);
  }
  if (recs.first)
    cold_batch (spool, &recs);
  for (Task *task; (task = tasks_pop (&tasks)) != NULL;) {
    bool back = task->done != NULL;
    task->run (spool, task);
    if (back)
      spool_post1 (spool, task);
  }
}

/* Makes one spare for the reserve when there is room; says whether to try again soon. */
static bool
refill (EkSpool *spool)
{
  pthread_mutex_lock (&spool->keep_lock);
  bool enough = spool->n_spares >= SPOOL_RESERVE;
  pthread_mutex_unlock (&spool->keep_lock);
  if (enough || fs_free (spool) < spool->opt.segment_size)
    return false;
  Segment *seg = segment_create (spool, NULL);
  if (seg == NULL)
    return false;
  if (segment_prepare (spool, seg, SEG_FREE, 0, NULL))
    spare_add (spool, seg);
  else
    throw_away (spool, seg);
  return true;
}

/* The cold log failed, and perhaps nothing waits for it any more: a segment that can be written is as good a sign. */
static void
probe_cold (EkSpool *spool)
{
  Segment *seg = atomic_load (&spool->cold_sick) ? spare_take (spool, 0) : NULL;

  if (seg == NULL && atomic_load (&spool->cold_sick) && fs_free (spool) >= spool->opt.segment_size)
    seg = segment_create (spool, NULL);
  if (seg == NULL)
    return;
  if (segment_prepare (spool, seg, SEG_FREE, 0, NULL)) {
    spare_add (spool, seg);
    atomic_store (&spool->cold_sick, false);
  } else
    throw_away (spool, seg);
}

static void *
keep_main (void *data)
{
  EkSpool *spool = data;
  bool again = false;

  pthread_mutex_lock (&spool->keep_lock);
  while (!spool->keep_quit || spool->keep_queue.first) {
    bool hot = spool->want_hot && spool->next_hot == NULL;
    if (!hot && !again && spool->keep_queue.first == NULL) {
      bool soon = atomic_load (&spool->busy) || spool_room (spool) < spool_need (spool);
      gint64 at = ek_now () + (soon ? 1 : 600) * G_USEC_PER_SEC;
      struct timespec t = { at / G_USEC_PER_SEC, at % G_USEC_PER_SEC * 1000 };
      if (pthread_cond_timedwait (&spool->keep_cond, &spool->keep_lock, &t) == ETIMEDOUT) {
        pthread_mutex_unlock (&spool->keep_lock);
        probe_cold (spool);
        keeper_look (spool);
        spool->host.wake (spool->host.user);
        again = refill (spool);
        pthread_mutex_lock (&spool->keep_lock);
      }
      continue;
    }
    TaskList list;
    tasks_init (&list);
    tasks_take (&list, &spool->keep_queue);
    pthread_mutex_unlock (&spool->keep_lock);
    if (hot)
      supply_hot (spool);
    work_off (spool, &list);
    again = refill (spool);
    keeper_look (spool);
    pthread_mutex_lock (&spool->keep_lock);
  }
  pthread_mutex_unlock (&spool->keep_lock);
  return NULL;
}

void
keeper_start (EkSpool *spool)
{
  spool->want_hot = true;
  spool_thread (&spool->keep_thread, keep_main, spool);
}

void
keeper_stop (EkSpool *spool)
{
  pthread_mutex_lock (&spool->keep_lock);
  spool->keep_quit = true;
  pthread_cond_signal (&spool->keep_cond);
  pthread_mutex_unlock (&spool->keep_lock);
  pthread_join (spool->keep_thread, NULL);
}
