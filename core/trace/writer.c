/* writer.c - the event store's writing end: one live segment, an index when it is finished
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "trace/trace.h"
#include "trace/segment.h"
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_DEFAULT (8u * 1024 * 1024)
#define PENDING_MAX     (1024u * 1024)

struct EkTraceWriter {
  char        *folder;
  guint64      size_max;             /* of all files together */
  guint32      segment_size;         /* a segment is finished when it has grown to this */
  int          lock_fd;
  int          fd;                   /* the live segment; -1: the next flush makes one */
  guint64      number;               /* of the live segment, or of the latest one */
  guint32      written;              /* octets of the live segment on disk */
  EkBuf        pending;              /* frames that follow them */
  EkTraceIndex index;                /* of the live segment, pending frames too */
};

static EkStatus
failed (EkTraceWriter *self, const char *what, GError **error)
{
  int code = errno;

  return ek_fail (error, EK_FAIL, code, "event store %s: %s: %s", self->folder, what, g_strerror (code));
}

/* ---- finishing a segment ---------------------------------------------------------------------- */

static bool
write_all (int fd, EkBuf *buf)
{
  while (ek_buf_len (buf) > 0) {
    ssize_t n = write (fd, ek_buf_at (buf), ek_buf_len (buf));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    ek_buf_consume (buf, (gsize) n);
  }
  return true;
}

/* The index is under its name only when it is whole.  When it cannot be written the segment goes
 * without: readers then read the segment. */
static void
write_index (const char *folder, guint64 number, const EkTraceIndex *index, guint32 segment_size)
{
  g_autofree char *temporary = ek_segment_path (folder, number, "ix.new");
  g_autofree char *path = ek_segment_path (folder, number, "ix");
  int fd = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  EkBuf buf = { 0 };

  if (fd < 0)
    return;
  ek_trace_index_write (index, number, segment_size, &buf);
  bool good = write_all (fd, &buf) && fdatasync (fd) == 0;
  ek_buf_release (&buf);
  if (close (fd) != 0 || !good || rename (temporary, path) != 0)
    unlink (temporary);
}

static guint64
size_of (const char *folder, guint64 number, const char *ending)
{
  g_autofree char *path = ek_segment_path (folder, number, ending);
  GStatBuf st;

  return g_stat (path, &st) == 0 ? (guint64) st.st_size : 0;
}

/* Removes the oldest segments until what stays, and a new segment with its index, fit. */
static void
make_room (EkTraceWriter *self)
{
  g_autoptr (GArray) numbers = ek_segment_list (self->folder, NULL);
  guint64 total = self->segment_size + self->segment_size / 2;

  for (guint i = numbers ? numbers->len : 0; i-- > 0;) {
    guint64 number = g_array_index (numbers, guint64, i);
    total += size_of (self->folder, number, "ev") + size_of (self->folder, number, "ix");
    if (total <= self->size_max)
      continue;
    g_autofree char *index = ek_segment_path (self->folder, number, "ix");
    g_autofree char *segment = ek_segment_path (self->folder, number, "ev");
    unlink (index);
    unlink (segment);
  }
}

static void
finish_segment (EkTraceWriter *self)
{
  if (self->fd < 0)
    return;
  close (self->fd);
  self->fd = -1;
  write_index (self->folder, self->number, &self->index, self->written);
  ek_trace_index_clear (&self->index);
  ek_trace_index_init (&self->index);
}

static EkStatus
begin_segment (EkTraceWriter *self, GError **error)
{
  char head[EK_SEGMENT_HEAD];

  make_room (self);
  g_autofree char *path = ek_segment_path (self->folder, self->number + 1, "ev");
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0)
    return failed (self, "new segment", error);
  self->number++;
  ek_segment_head (head, self->number, ek_wall ());
  if (write (fd, head, sizeof head) != (ssize_t) sizeof head) {
    failed (self, "new segment", error);
    close (fd);
    unlink (path);
    return EK_FAIL;
  }
  self->fd = fd;
  self->written = EK_SEGMENT_HEAD;
  return EK_OK;
}

/* ---- starting ---------------------------------------------------------------------------------- */

static bool
collect (const EkFrame *frame, guint32 offset, gpointer data)
{
  ek_trace_index_add (data, &frame->record, offset);
  return true;
}

/* Reads a segment that has no index.  The latest one goes on where its last good record ends, so a
 * torn tail is cut off; an older one gets its index. */
static void
adopt (EkTraceWriter *self, guint64 number, bool latest)
{
  g_autofree char *path = ek_segment_path (self->folder, number, "ev");
  int fd = open (path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  EkTraceIndex index;
  guint32 end;

  if (fd < 0)
    return;
  ek_trace_index_init (&index);
  bool ours = ek_segment_scan (fd, number, collect, &index, &end);
  if (latest && ours && end < self->segment_size && ftruncate (fd, end) == 0) {
    ek_trace_index_clear (&self->index);
    self->index = index;
    self->fd = fd;
    self->written = end;
    return;
  }
  if (ours)
    write_index (self->folder, number, &index, end);
  ek_trace_index_clear (&index);
  close (fd);
}

static EkStatus
take_lock (EkTraceWriter *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->folder, "lock", NULL);

  self->lock_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (self->lock_fd < 0)
    return failed (self, "lock", error);
  if (flock (self->lock_fd, LOCK_EX | LOCK_NB) != 0)
    return ek_fail (error, EK_FAIL, errno, "event store %s: another process writes to it", self->folder);
  return EK_OK;
}

void
ek_trace_writer_resize (EkTraceWriter *self, guint64 size)
{
  self->size_max = MAX (size, 1024u * 1024);
  self->segment_size = (guint32) MIN (SEGMENT_DEFAULT, self->size_max / 8);
}

EkTraceWriter *
ek_trace_writer_open (const char *folder, guint64 size, GError **error)
{
  EkTraceWriter *self = g_new0 (EkTraceWriter, 1);

  self->folder = g_strdup (folder);
  ek_trace_writer_resize (self, size);
  self->lock_fd = self->fd = -1;
  ek_trace_index_init (&self->index);
  if (g_mkdir_with_parents (folder, 0750) != 0) {
    failed (self, "folder", error);
    ek_trace_writer_close (self);
    return NULL;
  }
  g_autoptr (GArray) numbers = NULL;
  if (take_lock (self, error) != EK_OK || (numbers = ek_segment_list (folder, error)) == NULL) {
    ek_trace_writer_close (self);
    return NULL;
  }
  for (guint i = 0; i < numbers->len; i++) {
    self->number = g_array_index (numbers, guint64, i);
    if (size_of (folder, self->number, "ix") == 0)
      adopt (self, self->number, i + 1 == numbers->len);
  }
  return self;
}

/* ---- running ------------------------------------------------------------------------------------ */

void
ek_trace_writer_add (EkTraceWriter *self, const EkRecord *record, const char *packed, gsize len,
                     const char *role, gint64 pid)
{
  if (self->fd >= 0 && self->written + ek_buf_len (&self->pending) >= self->segment_size) {
    ek_trace_writer_flush (self, NULL);
    finish_segment (self);
  }
  if (ek_buf_len (&self->pending) >= MIN (PENDING_MAX, self->segment_size))
    ek_trace_writer_flush (self, NULL);
  guint32 base = self->fd >= 0 ? self->written : EK_SEGMENT_HEAD;
  ek_trace_index_add (&self->index, record, base + (guint32) ek_buf_len (&self->pending));
  ek_frame_append (&self->pending, packed, len, role, pid);
}

/* What was written in part is a torn tail: cut off, so that offsets stay true. */
static void
give_up_pending (EkTraceWriter *self)
{
  if (self->fd >= 0 && ftruncate (self->fd, self->written) != 0)
    self->written = self->segment_size;
  ek_buf_clear (&self->pending);
  finish_segment (self);
}

bool
ek_trace_writer_flush (EkTraceWriter *self, GError **error)
{
  gsize len = ek_buf_len (&self->pending);

  if (len == 0)
    return true;
  if (self->fd < 0 && begin_segment (self, error) != EK_OK) {
    ek_buf_clear (&self->pending);
    ek_trace_index_clear (&self->index);
    ek_trace_index_init (&self->index);
    return false;
  }
  if (!write_all (self->fd, &self->pending)) {
    failed (self, "write", error);
    give_up_pending (self);
    return false;
  }
  self->written += (guint32) len;
  ek_buf_clear (&self->pending);
  return true;
}

void
ek_trace_writer_close (EkTraceWriter *self)
{
  if (self == NULL)
    return;
  ek_trace_writer_flush (self, NULL);
  if (self->fd >= 0)
    close (self->fd);
  if (self->lock_fd >= 0)
    close (self->lock_fd);
  ek_trace_index_clear (&self->index);
  ek_buf_release (&self->pending);
  g_free (self->folder);
  g_free (self);
}
