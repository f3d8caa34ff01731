/* content.c - reading messages back: from memory, from the page cache, else by a worker
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1                           /* preadv2 */
#endif
#include "impl.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct {
  Task      task;
  Message  *message;                 /* holds a reference */
  Segment  *seg;                     /* counted among its readers; NULL: the body is there */
  guint64   off, n;
  guint32   crc;
  guint64   file_id;                 /* 0: none to be opened */
  Block    *body;
  int       fd, error;
  BodyFunc  func;
  gpointer  data;
} Load;

/* In the page cache?  Then there is no need for a worker. */
static Block *
read_now (const Message *message)
{
  if (message->body_len > 2 * EK_SPOOL_INLINE_MAX)
    return NULL;
  Block *body = block_new (message->body_len);
  struct iovec v = { body->bytes, body->n };
  gssize got = preadv2 (message->seg->fd, &v, 1, (off_t) message->body_off, RWF_NOWAIT);
  if (got == (gssize) body->n && ek_crc32c (message->seg->salt, body->bytes, body->n) == message->body_crc)
    return body;
  block_unref (body);
  return NULL;
}

static void
quarantine (EkSpool *spool, const Load *load)
{
  g_autofree char *name = g_strdup_printf ("%s-%" G_GUINT64_FORMAT ".body", load->seg->name, load->off);
  int fd = openat (spool->bad_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return;
  if (!pwrite_all (fd, load->body->bytes, load->body->n, 0) || fsync (fd) < 0)
    unlinkat (spool->bad_dir, name, 0);
  close (fd);
}

static void
load_run (EkSpool *spool, Task *task)
{
  Load *load = (Load *) task;

  if (load->seg) {
    load->body = block_new (load->n);
    memset (load->body->bytes, 0, load->n);
    gssize got;
    for (guint64 at = 0; at < load->n && load->error == 0; at += got > 0 ? (guint64) got : 0) {
      got = pread (load->seg->fd, load->body->bytes + at, load->n - at, (off_t) (load->off + at));
      if (got == 0 || (got < 0 && errno != EINTR))
        load->error = got < 0 ? errno : EBADMSG;
    }
    if (ek_crc32c (load->seg->salt, load->body->bytes, load->n) != load->crc) {
      load->error = load->error ? load->error : EBADMSG;
      quarantine (spool, load);
    }
  }
  if (load->file_id && load->error == 0) {
    char name[EK_QUEUE_ID_LEN + 1];
    ek_queue_id_text (load->file_id, name);
    load->fd = openat (spool->large_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (load->fd < 0)
      load->error = errno;
  }
}

static void
damaged (EkSpool *spool, const Load *load)
{
  char id[EK_QUEUE_ID_LEN + 1];

  ek_queue_id_text (load->message->pub.id, id);
  if (load->message->retired || (load->error != EBADMSG && load->error != EIO && load->error != ENOENT))
    return;
  load->message->damaged = true;
  spool->st.quarantined++;
  if (load->file_id && load->error != EBADMSG)
    spool_report (spool, EK_ERR, "%s: the file of a message cannot be read: %s/large/%s: %s", id,
                  spool->opt.path, id, g_strerror (load->error));
  else
    spool_report (spool, EK_ERR, "%s: the bytes of this message are damaged: %s/seg/%s at %" G_GUINT64_FORMAT
                  ", %s; what could be read is in %s/quarantine", id, spool->opt.path, load->seg->name,
                  load->off, g_strerror (load->error), spool->opt.path);
}

static void
load_done (EkSpool *spool, Task *task)
{
  Load *load = (Load *) task;
  Message *message = load->message;

  if (load->error)
    damaged (spool, load);
  else if (load->seg && !message->retired && message->body == NULL && message->seg == load->seg)
    message_keep (spool, message, block_ref (load->body));
  if (load->seg)
    load->seg->readers--;
  load->func (spool, message, load->error ? NULL : load->body, load->fd, load->error, load->data);
  block_unref (load->body);
  message_unref (message);
  g_free (load);
}

static bool
uses_body (const Extent *extents, guint n)
{
  for (guint i = 0; i < n; i++)
    if (extents[i].kind == EXT_BODY)
      return true;
  return false;
}

void
body_want (EkSpool *spool, Message *message, bool want_fd, BodyFunc func, gpointer data)
{
  bool need = message->body == NULL && uses_body (message->extents, message->n_extents);

  if (need && !message->damaged) {
    Block *body = read_now (message);
    if (body)
      message_keep (spool, message, body);
    need = body == NULL;
  }
  if (message->damaged)
    func (spool, message, NULL, -1, EBADMSG, data);
  else if (!need && !(want_fd && message->pub.large))
    func (spool, message, message->body, -1, 0, data);
  else {
    Load *load = g_new0 (Load, 1);
    *load = (Load) { .task = { .run = load_run, .done = load_done }, .message = message, .fd = -1,
                     .func = func, .data = data };
    if (need) {
      load->seg = message->seg;
      load->seg->readers++;
      load->off = message->body_off;
      load->n = message->body_len;
      load->crc = message->body_crc;
    } else if (message->body)
      load->body = block_ref (message->body);    /* it may be dropped while the file is opened */
    load->file_id = want_fd && message->pub.large ? message->pub.id : 0;
    message_ref (message);
    work_queue (spool, &load->task);
  }
}

/* ---- what the scheduler asks for ---------------------------------------------------------------- */

typedef struct {                     /* behind EkSpoolContent.hold[0] */
  guint       n;
  EkSpoolPart parts[];
} Parts;

typedef struct {
  EkCall         *call;              /* NULL: answered on the spot */
  EkSpoolContent *content;
  Extent         *extents;           /* as they were when it was asked */
  guint           n_extents;
  EkStatus        status;
  GError         *error;
  bool            running;
} Ask;

static void
build (EkSpoolContent *content, const Extent *extents, guint n, Block *body, int fd)
{
  Parts *parts = g_malloc (sizeof (Parts) + n * sizeof (EkSpoolPart));
  GPtrArray *blocks = g_ptr_array_new_with_free_func ((GDestroyNotify) block_unref);

  parts->n = n;
  for (guint i = 0; i < n; i++) {
    const Extent *extent = &extents[i];
    Block *block = extent->kind == EXT_BODY ? body : extent->edit;
    parts->parts[i] = (EkSpoolPart) { .from = extent->from, .len = extent->len };
    if (block == NULL)
      continue;
    parts->parts[i].bytes = (EkStr) { block->bytes + extent->from, extent->len };
    g_ptr_array_add (blocks, block_ref (block));
  }
  *content = (EkSpoolContent) { .parts = parts->parts, .n_parts = n, .fd = fd, .hold = { parts, blocks } };
}

static void
asked (EkSpool *spool, Message *message, Block *body, int fd, int error, gpointer data)
{
  Ask *ask = data;
  char id[EK_QUEUE_ID_LEN + 1];

  ask->status = error == 0 ? EK_OK : message->damaged ? EK_FAIL : EK_DEFER;
  if (error == 0)
    build (ask->content, ask->extents, ask->n_extents, body, fd);
  else {
    ek_queue_id_text (message->pub.id, id);
    ek_fail (&ask->error, ask->status, error, "%s: cannot read the message: %s", id, g_strerror (error));
  }
  extents_free (ask->extents, ask->n_extents, NULL);
  if (ask->running) {                            /* still within spool_content() */
    ask->running = false;
    return;
  }
  EkCall *call = ask->call;
  EkStatus status = ask->status;
  if (ask->error)
    call->error = ask->error;
  g_free (ask);
  ek_call_done (call, status);
}

EkStatus
spool_content (EkSpool *spool, EkCall *call, EkSpoolMessage *pub, EkSpoolContent *content)
{
  Message *message = MESSAGE (pub);
  Ask *ask = g_new0 (Ask, 1);

  *ask = (Ask) { .call = call, .content = content, .n_extents = message->n_extents, .running = true };
  ask->extents = g_memdup2 (message->extents, sizeof (Extent) * (gsize) message->n_extents);
  for (guint i = 0; i < ask->n_extents; i++)
    if (ask->extents[i].edit)
      block_ref (ask->extents[i].edit);
  content->fd = -1;
  body_want (spool, message, true, asked, ask);
  if (ask->running) {
    ask->running = false;
    return EK_PENDING;
  }
  EkStatus status = ask->status;
  if (ask->error)
    call->error = ask->error;
  g_free (ask);
  return status;
}

void
spool_content_release (EkSpool *spool, EkSpoolContent *content)
{
  if (content->hold[1])
    g_ptr_array_unref (content->hold[1]);
  g_free (content->hold[0]);
  if (content->hold[0] && content->fd >= 0)
    close (content->fd);
  *content = (EkSpoolContent) { .fd = -1 };
}
