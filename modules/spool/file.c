/* file.c - large messages: files beside the log, written by the workers
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file lies under its final name, large/ID, from its first byte: what makes it a message is the
 * record in the log, which is written after file and folder are synced.  A file without one is
 * removed at the next start.
 */
#include "impl.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CHUNK    (128u * 1024)
#define LOW_MARK (256u * 1024)

typedef struct Chunk Chunk;
struct Chunk {
  Chunk *next;
  gsize  n;
  char   bytes[CHUNK];
};

struct EkSpoolFile {
  Task      task;                    /* a worker has it while `busy` */
  EkSpool  *spool;
  EkQueueId id, share;
  char      name[EK_QUEUE_ID_LEN + 1];
  /* ---- the loop's ---- */
  void    (*drained) (gpointer);
  gpointer  user;
  Chunk    *first, *last;            /* waiting for the disk */
  gsize     waiting;                 /* bytes, with those the worker has */
  guint64   size;
  bool      busy, want_sync, settled, freed, told_high;
  void    (*func) (EkSpoolFile *, gpointer);
  gpointer  data;
  /* ---- the worker's while busy, the loop's else ---- */
  Chunk    *run;
  bool      sync;
  int       fd, error;
  gsize     wrote;
};

static bool
begin (EkSpoolFile *file)
{
  EkSpool *spool = file->spool;
  char from[EK_QUEUE_ID_LEN + 1];

  if (file->share) {
    ek_queue_id_text (file->share, from);
    if (linkat (spool->large_dir, from, spool->large_dir, file->name, 0) < 0)
      return false;
    file->share = 0;
  } else if (file->fd < 0)
    file->fd = openat (spool->large_dir, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  else
    return true;
  return file->fd >= 0 || file->size > 0;
}

static bool
write_all (int fd, const char *p, gsize n)
{
  while (n > 0) {
    gssize got = write (fd, p, n);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    p += got;
    n -= (gsize) got;
  }
  return true;
}

static void
file_run (EkSpool *spool, Task *task)
{
  EkSpoolFile *file = (EkSpoolFile *) task;

  file->wrote = 0;
  if (file->error == 0 && (file->fd < 0 || file->share) && !begin (file))
    file->error = errno;
  while (file->run) {
    Chunk *chunk = file->run;
    file->run = chunk->next;
    if (file->error == 0 && !write_all (file->fd, chunk->bytes, chunk->n))
      file->error = errno;
    file->wrote += chunk->n;
    g_free (chunk);
  }
  if (!file->sync)
    return;
  if (file->error == 0 && ((file->fd >= 0 && fsync (file->fd) < 0) || fsync (spool->large_dir) < 0))
    file->error = errno;
  if (file->fd >= 0)
    close (file->fd);
  file->fd = -1;
}

typedef struct {
  Task      task;
  EkQueueId id;
  int       fd;
} Unlink;

static void
unlink_run (EkSpool *spool, Task *task)
{
  Unlink *unlink = (Unlink *) task;
  char name[EK_QUEUE_ID_LEN + 1];

  if (unlink->fd >= 0)
    close (unlink->fd);
  ek_queue_id_text (unlink->id, name);
  unlinkat (spool->large_dir, name, 0);
}

static void
unlink_done (EkSpool *spool, Task *task)
{
  g_free (task);
}

static void
unlink_later (EkSpool *spool, guint64 id, int fd)
{
  Unlink *unlink = g_new (Unlink, 1);

  *unlink = (Unlink) { .task = { .run = unlink_run, .done = unlink_done }, .id = id, .fd = fd };
  work_queue (spool, &unlink->task);
}

void
file_unlink (EkSpool *spool, guint64 id)
{
  unlink_later (spool, id, -1);
}

static void
give_up (EkSpoolFile *file)
{
  unlink_later (file->spool, file->id, file->fd);
  for (Chunk *chunk; (chunk = file->first) != NULL; g_free (chunk))
    file->first = chunk->next;
  g_free (file);
}

static void
kick (EkSpoolFile *file)
{
  if (file->busy)
    return;
  file->busy = true;
  file->run = file->first;
  file->first = file->last = NULL;
  file->sync = file->want_sync;
  work_queue (file->spool, &file->task);
}

static void
file_done (EkSpool *spool, Task *task)
{
  EkSpoolFile *file = (EkSpoolFile *) task;

  file->busy = false;
  file->waiting -= file->wrote;
  if (file->freed) {
    give_up (file);
    return;
  }
  if (file->first || file->want_sync != file->sync) {
    kick (file);
    return;
  }
  if (file->told_high && file->waiting < LOW_MARK) {
    file->told_high = false;
    if (file->drained)
      file->drained (file->user);
  }
  if (file->sync && !file->settled) {
    file->settled = true;
    if (file->func)
      file->func (file, file->data);             /* may free it */
  }
}

EkSpoolFile *
file_new (EkSpool *spool, EkQueueId id, void (*drained) (gpointer), gpointer user)
{
  EkSpoolFile *file = g_new0 (EkSpoolFile, 1);

  file->task.run = file_run;
  file->task.done = file_done;
  file->spool = spool;
  file->id = id;
  file->drained = drained;
  file->user = user;
  file->fd = -1;
  ek_queue_id_text (id, file->name);
  keeper_rouse (spool);
  return file;
}

EkSpoolFile *
file_share (EkSpool *spool, EkQueueId id, EkSpoolMessage *of)
{
  EkSpoolFile *file = file_new (spool, id, NULL, NULL);

  file->share = of->id;
  file->size = G_MAXINT64;                       /* what lies there was checked once */
  return file;
}

gsize
file_append (EkSpoolFile *file, const void *bytes, gsize len)
{
  const char *p = bytes;

  g_return_val_if_fail (!file->want_sync && file->share == 0, file->waiting);
  file->size += len;
  file->waiting += len;
  while (len > 0) {
    if (file->last == NULL || file->last->n == CHUNK) {
      Chunk *chunk = g_malloc (sizeof *chunk);
      chunk->next = NULL;
      chunk->n = 0;
      *(file->last ? &file->last->next : &file->first) = chunk;
      file->last = chunk;
    }
    gsize n = MIN (len, CHUNK - file->last->n);
    memcpy (file->last->bytes + file->last->n, p, n);
    file->last->n += n;
    p += n;
    len -= n;
  }
  if (file->waiting >= LOW_MARK)
    file->told_high = true;
  kick (file);
  return file->waiting;
}

void
file_then (EkSpoolFile *file, void (*func) (EkSpoolFile *, gpointer), gpointer data)
{
  if (file->settled) {
    func (file, data);
    return;
  }
  file->func = func;
  file->data = data;
  file->want_sync = true;
  kick (file);
}

static void
synced (EkSpoolFile *file, gpointer data)
{
  EkCall *call = data;

  if (file->error)
    ek_fail (&call->error, EK_DEFER, file->error, "%s/large/%s: %s", file->spool->opt.path, file->name,
             g_strerror (file->error));
  ek_call_done (call, file->error ? EK_DEFER : EK_OK);
}

EkStatus
file_sync (EkSpoolFile *file, EkCall *call)
{
  if (file->settled) {
    if (file->error == 0)
      return EK_OK;
    return ek_fail (&call->error, EK_DEFER, file->error, "%s/large/%s: %s", file->spool->opt.path,
                    file->name, g_strerror (file->error));
  }
  file_then (file, synced, call);
  return EK_PENDING;
}

bool
file_settled (const EkSpoolFile *file)
{
  return file->settled;
}

int
file_error (const EkSpoolFile *file)
{
  return file->error;
}

guint64
file_size (const EkSpoolFile *file)
{
  return file->size;
}

EkQueueId
file_id (const EkSpoolFile *file)
{
  return file->id;
}

void
file_free (EkSpoolFile *file)
{
  if (file == NULL)
    return;
  file->func = NULL;
  file->drained = NULL;
  if (file->busy)
    file->freed = true;
  else
    give_up (file);
}

void
file_committed (EkSpoolFile *file)
{
  g_free (file);                                 /* settled: closed, nothing waits */
}
