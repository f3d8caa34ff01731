/* log.c - the writing end of a log: places records in a segment, writes them with one call, syncs
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs on the thread that owns the Writer.  Nothing is written twice into a segment whose sync has
 * failed: the kernel may have dropped the dirty pages and marked them clean, so another sync would
 * say yes to bytes that no disk holds.
 */
#include "impl.h"
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#define IOV_BATCH 1024                           /* UIO_MAXIOV of Linux */

static const char zeros[SPOOL_ALIGN];

/* The loop learns where the segment before has ended. */
static void
open_done (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  Rd r = { rec->meta->bytes + 8, rec->meta->bytes + rec->meta->n, false };
  guint64 prev = rd_u64 (&r), end = rd_u64 (&r);

  for (int log = 0; log < 2; log++)
    for (Segment *seg = log ? spool->cold : spool->hot; seg; seg = seg->next)
      if (seg->seq == prev)
        seg->end = end;
  rec_free (rec);
}

static void
rec_done (EkSpool *spool, Task *task)
{
  rec_free ((Rec *) task);
}

Rec *
rec_new (RecType type, guint64 id, Block *meta, Block *body)
{
  Rec *rec = g_new0 (Rec, 1);

  rec->task.done = rec_done;
  rec->made = &rec->one;
  rec->head.type = (guint16) type;
  rec->head.id = id;
  rec->head.meta_len = meta ? (guint32) meta->n : 0;
  rec->head.body_len = body ? (guint32) body->n : 0;
  rec->meta = meta;
  rec->body = body;
  return rec;
}

void
rec_free (Rec *rec)
{
  block_unref (rec->meta);
  block_unref (rec->body);
  if (rec->made != &rec->one)
    g_free (rec->made);
  g_free (rec);
}

static void
add_iov (GByteArray *iov, const void *bytes, gsize n)
{
  struct iovec v = { .iov_base = (void *) (gsize) bytes, .iov_len = n };

  if (n > 0)
    g_byte_array_append (iov, (const guint8 *) &v, sizeof v);
}

/* Fills in what only the place decides: segment, synced LSN, CRCs. */
static void
place (Writer *w, Rec *rec)
{
  RecHead *head = &rec->head;

  head->magic = SPOOL_REC_MAGIC;
  if (head->lsn == 0)                            /* made on this thread */
    head->lsn = w->kind == SEG_COLD && head->type != REC_OPEN ? w->lsn + 1 : w->lsn;
  head->synced = w->synced;
  head->seq = w->seg->seq;
  head->body_crc = rec->body ? ek_crc32c (w->seg->salt, rec->body->bytes, rec->body->n) : 0;
  head->crc = rec_crc (head, w->seg->salt, rec->meta ? rec->meta->bytes : NULL);
  rec->seg = w->seg;
  rec->off = w->end;
  guint64 used = sizeof *head + head->meta_len + (guint64) head->body_len;
  guint64 size = rec_size (head->meta_len, head->body_len);
  add_iov (w->iov, head, sizeof *head);
  if (rec->meta)
    add_iov (w->iov, rec->meta->bytes, rec->meta->n);
  if (rec->body)
    add_iov (w->iov, rec->body->bytes, rec->body->n);
  add_iov (w->iov, zeros, size - used);
  w->end += size;
  w->lsn = MAX (w->lsn, head->lsn);
  if (head->type == REC_MARK)
    memcpy (&w->mark, rec->meta->bytes, sizeof w->mark);
}

static int
write_iov (int fd, struct iovec *v, gsize n, guint64 off)
{
  while (n > 0) {
    gssize got = pwritev (fd, v, (int) MIN (n, IOV_BATCH), (off_t) off);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return got < 0 ? errno : ENOSPC;
    off += (guint64) got;
    for (; n > 0 && (gsize) got >= v->iov_len; v++, n--)
      got -= (gssize) v->iov_len;
    if (got > 0) {
      v->iov_base = (char *) v->iov_base + got;
      v->iov_len -= (gsize) got;
    }
  }
  return 0;
}

int
log_write (Writer *w, TaskList *list)
{
  guint64 start = w->end;

  if (w->iov == NULL)
    w->iov = g_byte_array_new ();
  g_byte_array_set_size (w->iov, 0);
  for (Rec *rec; (rec = (Rec *) list->first) != NULL;) {
    if (rec->head.type != REC_NONE) {
      if (w->end + rec_size (rec->head.meta_len, rec->head.body_len) > w->seg->size - SPOOL_FIRST)
        break;
      place (w, rec);
    }
    tasks_pop (list);
    tasks_add (&w->unsynced, &rec->task);
  }
  return write_iov (w->seg->fd, (struct iovec *) (void *) w->iov->data, w->iov->len / sizeof (struct iovec), start);
}

int
log_sync (Writer *w)
{
  if (fdatasync (w->seg->fd) < 0)
    return errno;
  w->synced = w->lsn;
  w->synced_end = w->end;
  return 0;
}

Rec *
log_turn (Writer *w, Segment *next, bool failed)
{
  Block *meta = block_new (4 + 4 + 4 * 8);
  Wr out = { meta->bytes, meta->bytes + meta->n };

  wr_u32 (&out, w->kind);
  wr_u32 (&out, failed);
  wr_u64 (&out, w->seq);
  wr_u64 (&out, failed ? w->synced_end : w->end);
  wr_u64 (&out, failed ? w->synced : w->lsn);
  wr_u64 (&out, w->mark);
  w->seg = next;
  w->seq = next->seq;
  w->end = w->synced_end = SPOOL_FIRST;
  Rec *rec = rec_new (REC_OPEN, 0, meta, NULL);
  rec->head.wall = ek_wall ();
  rec->task.done = open_done;
  return rec;
}

void
log_post (EkSpool *spool, Writer *w)
{
  for (Task *task = w->unsynced.first; task; task = task->next)
    ((Rec *) task)->status = EK_OK;
  spool_post (spool, &w->unsynced);
}

void
log_undo (Writer *w, TaskList *list)
{
  TaskList all;

  tasks_init (&all);
  for (Rec *rec; (rec = (Rec *) tasks_pop (list)) != NULL;) {
    if (rec->head.type == REC_OPEN) {
      rec_free (rec);
      continue;
    }
    if (w->kind == SEG_COLD || rec->head.type == REC_ABORT)
      rec->head.lsn = 0;
    tasks_add (&all, &rec->task);
  }
  tasks_take (list, &all);
}

bool
log_start_over (EkSpool *spool, Writer *w, TaskList *list, int *error)
{
  Segment *next = w->kind == SEG_HOT ? keeper_next_hot (spool) : keeper_next_cold (spool);
  TaskList all;

  if (next == NULL) {
    *error = ENOSPC;
    return false;
  }
  Writer trial = *w;
  tasks_init (&trial.unsynced);
  trial.lsn = trial.synced;
  Rec *open = log_turn (&trial, next, true);     /* says where the synced part of w->seg ends */
  tasks_init (&all);
  tasks_add (&all, &open->task);
  tasks_take (&all, list);
  *error = log_write (&trial, &all);
  if (*error == 0)
    *error = log_sync (&trial);
  w->iov = trial.iov;
  atomic_fetch_add (w->kind == SEG_HOT ? &spool->n_syncs : &spool->n_cold_syncs, 1);
  if (*error) {
    atomic_fetch_add (&spool->n_failed_syncs, 1);
    tasks_take (&trial.unsynced, &all);
    log_undo (w, &trial.unsynced);
    tasks_take (list, &trial.unsynced);
    next->failed = true;
    keeper_dispose (spool, next);
    return false;
  }
  TaskList written;
  tasks_init (&written);
  tasks_take (&written, &trial.unsynced);
  *w = trial;
  tasks_init (&w->unsynced);
  tasks_take (&w->unsynced, &written);
  next->task.done = segment_opened;
  spool_post1 (spool, &next->task);
  log_post (spool, w);
  tasks_take (list, &all);
  return true;
}
