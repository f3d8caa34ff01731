/* segment.c - segment files, and the loop's account of what lies in them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
fill (int fd, guint64 size)
{
  g_autofree char *zeros = g_malloc0 (256 * 1024);

  for (guint64 at = 0; at < size;) {
    gsize n = MIN (size - at, 256 * 1024);
    if (!pwrite_all (fd, zeros, n, at))
      return false;
    at += n;
  }
  return fsync (fd) == 0;
}

Segment *
segment_create (EkSpool *spool, GError **error)
{
  Segment *seg = g_new0 (Segment, 1);

  g_snprintf (seg->name, sizeof seg->name, "%08" G_GINT64_MODIFIER "u.seg", spool->next_slot++);
  seg->size = spool->opt.segment_size;
  seg->fd = openat (spool->seg_dir, seg->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (seg->fd >= 0 && fill (seg->fd, seg->size) && fsync (spool->seg_dir) == 0)
    return seg;
  int code = errno;
  ek_fail (error, EK_DEFER, code, "%s/seg/%s: cannot make a segment of %" G_GUINT64_FORMAT " bytes: %s",
           spool->opt.path, seg->name, seg->size, g_strerror (code));
  if (seg->fd >= 0)
    unlinkat (spool->seg_dir, seg->name, 0);
  segment_free (seg);
  return NULL;
}

bool
segment_prepare (EkSpool *spool, Segment *seg, SegKind kind, guint64 seq, GError **error)
{
  SegHead head = { .kind = kind, .seq = seq, .size = seg->size, .made = ek_wall () };
  guint32 old = seg->salt;

  do
    ek_random (&head.salt, sizeof head.salt);
  while (head.salt == old || head.salt == 0);
  seg_head_seal (&head);
  seg->kind = kind;
  seg->seq = seq;
  seg->salt = head.salt;
  if (pwrite_all (seg->fd, &head, sizeof head, 0)
      && pwrite_all (seg->fd, &head, sizeof head, seg->size - SPOOL_FIRST)
      && fdatasync (seg->fd) == 0)
    return true;
  ek_fail (error, EK_DEFER, errno, "%s/seg/%s: cannot write the header: %s", spool->opt.path, seg->name,
           g_strerror (errno));
  return false;
}

void
segment_free (Segment *seg)
{
  if (seg == NULL)
    return;
  if (seg->fd >= 0)
    close (seg->fd);
  g_clear_pointer (&seg->dead, g_array_unref);
  g_free (seg);
}

/* ---- the loop's account ----------------------------------------------------------------------- */

void
segment_charge (Segment *seg, Message *message)
{
  message->seg = seg;
  message->seg_prev = NULL;
  message->seg_next = seg->first;
  if (seg->first)
    seg->first->seg_prev = message;
  seg->first = message;
  seg->n_live++;
  seg->live += message->rec_bytes;
}

void
segment_discharge (Message *message, bool dead, guint64 tomb)
{
  Segment *seg = message->seg;

  if (seg == NULL)
    return;
  if (message->seg_prev)
    message->seg_prev->seg_next = message->seg_next;
  else
    seg->first = message->seg_next;
  if (message->seg_next)
    message->seg_next->seg_prev = message->seg_prev;
  seg->n_live--;
  seg->live -= message->rec_bytes;
  message->seg = NULL;
  if (dead && seg->kind == SEG_COLD) {
    if (seg->dead == NULL)
      seg->dead = g_array_new (FALSE, FALSE, sizeof (Dead));
    Dead entry = { .id = message->pub.id, .tomb = tomb };
    g_array_append_val (seg->dead, entry);
  }
}

void
segments_add (EkSpool *spool, Segment *seg)
{
  Segment **first = seg->kind == SEG_HOT ? &spool->hot : &spool->cold;
  Segment **last = seg->kind == SEG_HOT ? &spool->hot_last : &spool->cold_last;

  seg->next = NULL;
  seg->opened = ek_now ();
  if (*last) {
    (*last)->sealed = true;
    (*last)->next = seg;
  } else
    *first = seg;
  *last = seg;
}

/* In the order of things finished this comes after all that went into the segment before. */
void
segment_opened (EkSpool *spool, Task *task)
{
  Segment *seg = (Segment *) ((char *) task - G_STRUCT_OFFSET (Segment, task));

  segments_add (spool, seg);
  spool->reclaim.check = true;
}
