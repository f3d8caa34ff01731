/* spool.c - the write-ahead spool: opening, closing, what is finished comes back to the loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading order: format.h (what lies on the disk), impl.h (who owns what), submit.c and hot.c (the
 * way of a message to 250), message.c and act.c (what is known of it), move.c, reclaim.c and
 * checkpoint.c (how old segments go), scan.c, replay.c and replay-record.c (the way back).
 */
#include "cli/cli.h"
#include "cli/command.h"
#include "impl.h"
#include <errno.h>
#include <signal.h>

void
spool_thread (pthread_t *thread, void *(*func) (void *), EkSpool *spool)
{
  sigset_t all, old;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);     /* signals are the loop's */
  int error = pthread_create (thread, NULL, func, spool);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (error)
    g_error ("%s: cannot start a thread: %s", spool->opt.path, g_strerror (error));
}

void
spool_report (EkSpool *spool, EkLevel level, const char *fmt, ...)
{
  va_list args;

  if (spool->host.report == NULL)
    return;
  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  spool->host.report (spool->host.user, level, text);
}

/* ---- finished things ----------------------------------------------------------------------------- */

void
spool_post (EkSpool *spool, TaskList *list)
{
  if (list->first == NULL)
    return;
  pthread_mutex_lock (&spool->done_lock);
  bool first = spool->done.first == NULL;
  tasks_take (&spool->done, list);
  if (first)
    pthread_cond_signal (&spool->done_cond);
  pthread_mutex_unlock (&spool->done_lock);
  if (first)
    spool->host.wake (spool->host.user);
}

void
spool_post1 (EkSpool *spool, Task *task)
{
  TaskList list;

  tasks_init (&list);
  tasks_add (&list, task);
  spool_post (spool, &list);
}

static bool
run_finished (EkSpool *spool)
{
  TaskList list;

  tasks_init (&list);
  pthread_mutex_lock (&spool->done_lock);
  tasks_take (&list, &spool->done);
  pthread_mutex_unlock (&spool->done_lock);
  bool any = list.first != NULL;
  for (Task *task; (task = tasks_pop (&list)) != NULL;) {
    if (task->run)
      spool->out--;
    task->done (spool, task);
  }
  return any;
}

void
spool_dispatch (EkSpool *spool)
{
  gint64 now = ek_now ();

  run_finished (spool);
  if (now >= spool->next_tick) {
    spool->next_tick = now + CLAMP (MIN (spool->opt.cold_age, spool->opt.probe) / 2, G_USEC_PER_SEC / 50, G_USEC_PER_SEC * 9 / 10);
    reclaim_tick (spool);
  }
  reclaim_step (spool);
}

/* ---- how it is ----------------------------------------------------------------------------------- */

guint64
spool_need (EkSpool *spool)
{
  return spool->host.message_size_limit + spool->host.message_size_limit / 2;
}

guint64
spool_room (EkSpool *spool)
{
  return atomic_load (&spool->usable) + atomic_load (&spool->hot_left);
}

static const char *
trouble (EkSpool *spool, EkSpoolHealth *health)
{
  guint64 need = spool_need (spool), room = spool_room (spool);
  bool sick = atomic_load (&spool->hot_sick) || atomic_load (&spool->cold_sick);
  int error = atomic_load (&spool->sick_error);

  g_free (spool->why);
  spool->why = NULL;
  *health = EK_SPOOL_OK;
  if (spool->closing) {
    *health = EK_SPOOL_CLOSING;
    spool->why = g_strdup_printf ("%s: the spool closes", spool->opt.path);
  } else if (sick && (error == ENOSPC || error == EDQUOT)) {
    *health = EK_SPOOL_FULL;
    spool->why = g_strdup_printf ("%s: the disk is full to the last of the reserve: make room on this file system",
                                  spool->opt.path);
  } else if (sick) {
    *health = EK_SPOOL_SICK;
    spool->why = g_strdup_printf ("%s: the spool cannot be written: look for disk errors in the kernel's log; it is "
                                  "tried again every %d s", spool->opt.path, (int) (spool->opt.probe / G_USEC_PER_SEC));
  } else if (room < need) {
    *health = EK_SPOOL_FULL;
    spool->why = g_strdup_printf ("%s: %" G_GUINT64_FORMAT " bytes are left beside the reserve, %" G_GUINT64_FORMAT
                                  " are needed (1.5 x message_size_limit): make room on this file system",
                                  spool->opt.path, room, need);
  }
  return spool->why;
}

bool
spool_accepting (EkSpool *spool, const char **why)
{
  EkSpoolHealth health;
  const char *text = trouble (spool, &health);

  if (why)
    *why = text;
  return text == NULL;
}

void
spool_status (EkSpool *spool, EkSpoolStatus *status)
{
  *status = spool->st;
  const char *why = trouble (spool, &status->health);
  g_strlcpy (status->why, why ? why : "", sizeof status->why);
  status->messages = g_hash_table_size (spool->table);
  status->syncs = atomic_load (&spool->n_syncs);
  status->cold_syncs = atomic_load (&spool->n_cold_syncs);
  status->failed_syncs = atomic_load (&spool->n_failed_syncs);
  status->retained_bytes = spool->retained;
  status->free_bytes = atomic_load (&spool->usable) + atomic_load (&spool->hot_left);
  for (Segment *seg = spool->hot; seg; seg = seg->next)
    status->hot_segments++;
  for (Segment *seg = spool->cold; seg; seg = seg->next)
    status->cold_segments++;
  pthread_mutex_lock (&spool->keep_lock);
  status->spare_segments = spool->n_spares;
  pthread_mutex_unlock (&spool->keep_lock);
}

/* ---- opening and closing --------------------------------------------------------------------------- */

static void
locks_init (EkSpool *spool)
{
  pthread_mutex_t *const locks[] = { &spool->done_lock, &spool->hot_lock, &spool->keep_lock, &spool->work_lock };
  pthread_cond_t *const conds[] = { &spool->done_cond, &spool->hot_cond, &spool->keep_cond, &spool->hot_ready,
                                    &spool->work_cond };
  pthread_condattr_t attr;

  for (gsize i = 0; i < G_N_ELEMENTS (locks); i++)
    pthread_mutex_init (locks[i], NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  for (gsize i = 0; i < G_N_ELEMENTS (conds); i++)
    pthread_cond_init (conds[i], &attr);
  pthread_condattr_destroy (&attr);
}

EkSpool *
spool_new (const SpoolOptions *options, const EkSpoolHost *host)
{
  EkSpool *spool = g_new0 (EkSpool, 1);

  spool->opt = *options;
  spool->opt.path = g_strdup (options->path);
  spool->opt.segment_size = CLAMP (options->segment_size, SPOOL_SIZE_MIN, SPOOL_SIZE_MAX) / SPOOL_FIRST * SPOOL_FIRST;
  spool->host = *host;
  spool->dir = spool->seg_dir = spool->large_dir = spool->bad_dir = spool->lock = -1;
  spool->table = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_queue_init (&spool->move_queue);
  g_queue_init (&spool->move_again);
  TaskList *const lists[] = { &spool->done, &spool->hot_queue, &spool->stuck, &spool->keep_queue, &spool->spares,
                              &spool->work, &spool->hot_writer.unsynced, &spool->cold_writer.unsynced };
  for (gsize i = 0; i < G_N_ELEMENTS (lists); i++)
    tasks_init (lists[i]);
  spool->hot_writer.kind = SEG_HOT;
  spool->cold_writer.kind = SEG_COLD;
  spool->next_seq = spool->next_slot = 1;
  locks_init (spool);
  return spool;
}

static void
free_segments (Segment *seg)
{
  while (seg) {
    Segment *next = seg->next;
    segment_free (seg);
    seg = next;
  }
}

void
spool_free (EkSpool *spool)
{
  for (Message *message; (message = spool->first) != NULL; message_unref (message)) {
    message_remove (spool, message);
    message_drop_body (spool, message);
  }
  free_segments (spool->hot);
  free_segments (spool->cold);
  segment_free (spool->next_hot);
  for (Task *task; (task = tasks_pop (&spool->spares)) != NULL;)
    segment_free ((Segment *) task);
  g_hash_table_unref (spool->table);
  g_clear_pointer (&spool->hot_writer.iov, g_byte_array_unref);
  if (spool->cold_writer.iov)
    g_byte_array_unref (spool->cold_writer.iov);
  ek_buf_release (&spool->reclaim.buf);
  dirs_close (spool);
  g_free (spool->why);
  g_free (spool->opt.path);
  g_free (spool);
}

static void
after_replay (EkSpool *spool, const Replay *r)
{
  Writer *const writers[] = { &spool->hot_writer, &spool->cold_writer };

  for (int i = 0; i < 2; i++) {
    SegKind kind = writers[i]->kind;
    writers[i]->lsn = writers[i]->synced = r->lsn[kind];
    writers[i]->seq = r->last_seq[kind];
    writers[i]->end = writers[i]->synced_end = r->end[kind];
  }
  spool->lsn = spool->lsn_done = r->lsn[SEG_HOT];
  spool->cold_lsn = r->lsn[SEG_COLD];
  spool->next_seq = r->max_seq + 1;
  spool->next_slot = r->max_slot + 1;
  spool->id_last = r->mark ? r->mark + 1 : 0;    /* ids of the mark's own millisecond may have been given */
  spool->hot_writer.mark = spool->id_mark = r->mark;
}

/* The first segment, with a mark above all ids of before: durable before the first id is given. */
static void
begin_log (EkSpool *spool)
{
  Block *meta = block_new (sizeof spool->id_mark);
  TaskList list;
  int error = 0;

  gint64 ms = ek_wall () / 1000 - G_GINT64_CONSTANT (1577836800000);
  spool->id_last = MAX (spool->id_last, (guint64) MAX (ms, 0));
  spool->id_mark = spool->id_last + 10000;
  memcpy (meta->bytes, &spool->id_mark, sizeof spool->id_mark);
  Rec *rec = rec_new (REC_MARK, 0, meta, NULL);
  rec->head.lsn = ++spool->lsn;
  rec->head.wall = ek_wall ();
  tasks_init (&list);
  tasks_add (&list, &rec->task);
  if (log_start_over (spool, &spool->hot_writer, &list, &error)) {
    hot_look (spool);
    return;
  }
  tasks_take (&spool->stuck, &list);
  atomic_store (&spool->hot_sick, true);
  spool_report (spool, EK_ERR, "%s: no segment can be written (%s): no mail is accepted until one can",
                spool->opt.path, g_strerror (error));
}

EkSpool *
spool_open (const SpoolOptions *options, const EkSpoolHost *host, GError **error)
{
  EkSpool *spool = spool_new (options, host);
  Replay r = { .mend = true };

  if (!dirs_open (spool, true, error)) {
    spool_free (spool);
    return NULL;
  }
  replay_begin (&r, spool);
  if (!replay_run (&r, error)) {
    replay_end (&r);
    spool_free (spool);
    return NULL;
  }
  after_replay (spool, &r);
  replay_end (&r);
  keeper_look (spool);
  keeper_start (spool);
  begin_log (spool);
  hot_start (spool);
  work_start (spool);
  keeper_rouse (spool);
  run_finished (spool);
  for (Message *message = spool->first; message; message = message->next)
    if (spool->host.live)
      spool->host.live (spool->host.user, &message->pub);
  spool->reclaim.check = true;
  return spool;
}

void
spool_close (EkSpool *spool)
{
  if (spool == NULL)
    return;
  spool->closing = true;
  move_tick (spool);                             /* both let go what waits to be moved */
  move_pump (spool);
  while (spool->out > 0) {                       /* files and contents under way still come back */
    pthread_mutex_lock (&spool->done_lock);
    while (spool->done.first == NULL)
      pthread_cond_wait (&spool->done_cond, &spool->done_lock);
    pthread_mutex_unlock (&spool->done_lock);
    run_finished (spool);
    move_pump (spool);
  }
  hot_stop (spool);
  run_finished (spool);
  keeper_stop (spool);
  run_finished (spool);
  work_stop (spool);                             /* after the large files of the last retirements */
  run_finished (spool);
  spool_free (spool);
}

/* ---- the module ------------------------------------------------------------------------------------ */

struct EkInstance_spool {
  EkInstance  base;
  const char *path;
  EkSize      segment_size, retain_memory;
  EkTime      sync_delay, cold_age, probe_interval;
  gint64      workers;
};
typedef struct EkInstance_spool Instance;

static EkSpool *
instance_open (EkInstance *self, const EkSpoolHost *host, GError **error)
{
  const Instance *my = (const Instance *) self;
  SpoolOptions options = {
    .path = (char *) my->path, .segment_size = my->segment_size.bytes, .retain = my->retain_memory.bytes,
    .lazy_sync = my->sync_delay.us, .cold_age = my->cold_age.us, .probe = my->probe_interval.us,
    .workers = (guint) my->workers,
  };

  return spool_open (&options, host, error);
}

static const EkSpoolOps spool_ops = {
  .open = instance_open, .close = spool_close, .dispatch = spool_dispatch, .new_id = spool_new_id,
  .accepting = spool_accepting, .status = spool_status, .submit = spool_submit, .record = spool_record,
  .barrier = spool_barrier,
  .file_new = file_new, .file_append = file_append, .file_free = file_free, .file_share = file_share,
  .file_sync = file_sync, .content = spool_content, .content_release = spool_content_release,
  .find = spool_find, .cursor_new = cursor_new, .cursor_next = cursor_next, .cursor_free = cursor_free,
};

static const EkOption options[] = {
  EK_OPTION (Instance, path, EK_LOCALSTATEDIR "/spool/ekiden",
             "The folder of the spool. Its file system must keep what it has synced; one of its own is best."),
  EK_OPTION (Instance, segment_size, "32M",
             "The size of one segment of the log. Two segments are reserved for states when the disk is full.",
             .allow = "1M..1G"),
  EK_OPTION (Instance, retain_memory, "32M",
             "How many bytes of messages that wait for their first delivery are kept in memory; the rest is read again.",
             .allow = "0..4G"),
  EK_OPTION (Instance, sync_delay, "50ms",
             "How long the note of a delivery may wait for its sync. After a power failure a remote host may get a "
             "message of that span twice.", .allow = "1ms..1s"),
  EK_OPTION (Instance, cold_age, "10m",
             "Messages older than this leave the hot log for the cold one.", .allow = "10s..1d"),
  EK_OPTION (Instance, probe_interval, "10s",
             "How often a disk that has failed is tried again.", .allow = "1s..1h"),
  EK_OPTION (Instance, workers, "2", "Threads that write large messages and read messages back.", .allow = "1..8"),
  EK_OPTIONS_END
};

static int
fsck (EkInstance *self, int argc, char **argv)
{
  static gboolean mend, json;
  static const GOptionEntry entries[] = {
    { "mend", 'm', 0, G_OPTION_ARG_NONE, &mend, "Set damaged pieces aside and write a new checkpoint", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON lines", NULL }, { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "- check the spool while the server is down", "Exit status: 0 clean, 1 mended, 4 damage is left, "
                       "8 it could not be checked.\n\nExamples:\n  ekiden fsck\n  ekiden stop && ekiden fsck --mend", &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("fsck takes no words: name the configuration with -c FILE");
  status = spool_fsck_run (((const Instance *) self)->path, mend, json, stdout);
  fflush (stdout);
  return status;
}

static const EkCommandOps command = { .name = "fsck", .summary = "check the spool while the server is down", .run = fsck };

EK_MODULE (spool, .summary = "the write-ahead spool: what was accepted survives power loss",
           .instance_size = sizeof (Instance), .options = options, .spool = &spool_ops, .command = &command);
