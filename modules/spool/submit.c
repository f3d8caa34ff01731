/* submit.c - new messages and records on live ones, on the loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a message are copied once, into the block that is written and then retained.
 */
#include "impl.h"
#include <errno.h>

static gsize
bytes_in (const EkSpoolExtent *extents, guint n)
{
  gsize sum = 0;

  for (guint i = 0; i < n; i++)
    sum += extents[i].bytes.p ? extents[i].bytes.n : 0;
  return sum;
}

static char *
copy_bytes (char *to, const EkSpoolExtent *extents, guint n)
{
  for (guint i = 0; i < n; i++)
    if (extents[i].bytes.p) {
      memcpy (to, extents[i].bytes.p, extents[i].bytes.n);
      to += extents[i].bytes.n;
    }
  return to;
}

static const char *
new_fault (EkSpool *spool, const EkSpoolNew *message)
{
  if (message->id == 0 || message_find (spool, message->id))
    return "the queue id is missing or in use";
  if (message->n_to == 0)
    return "no recipient";
  if (message->n_extents > SPOOL_EXTENTS_MAX)
    return "too many extents";
  if (bytes_in (message->extents, message->n_extents) > EK_SPOOL_INLINE_MAX)
    return "too many bytes for the log; use a file";
  for (guint i = 0; i < message->n_extents; i++) {
    const EkSpoolExtent *extent = &message->extents[i];
    if (extent->bytes.p)
      continue;
    if (message->file == NULL || extent->from > file_size (message->file)
        || extent->len > file_size (message->file) - extent->from)
      return "a range outside the file";
  }
  if (message->file && file_id (message->file) != message->id)
    return "the file was begun under another queue id";
  return NULL;
}

static const char *
size_fault (EkSpool *spool, gsize meta, gsize body)
{
  /* Half of a segment: with its states the record must fit again when it moves to the cold log. */
  if (meta > SPOOL_META_MAX || rec_size (meta, body) > (spool->opt.segment_size - 2 * SPOOL_FIRST) / 2)
    return "the envelope is too large for the log; fewer recipients";
  return NULL;
}

/* Writes one message into meta and body and makes it from what was written. */
static Message *
make (Wr *w, Block *meta, const EkSpoolNew *given, Block *body, guint64 *body_at, guint32 child)
{
  EkSpoolNew copy = *given;
  MsgMeta parsed;

  if (copy.arrival == 0)
    copy.arrival = ek_wall ();
  if (body)
    copy_bytes (body->bytes + *body_at, copy.extents, copy.n_extents);
  Rd r = { w->p, meta->bytes + meta->n, false };
  msg_meta_write (w, &copy, body_at);
  bool good = msg_meta_read (&r, &parsed, body ? body->n : 0);
  g_assert (good);
  Message *message = message_new (meta, &parsed, child);
  message->file = copy.file;
  return message;
}

static void
live (EkSpool *spool, Rec *rec, Message *message)
{
  message->rec_off = rec->off;
  message->body_off = rec->off + sizeof (RecHead) + rec->head.meta_len;
  message->body_len = rec->head.body_len;
  message->body_crc = rec->head.body_crc;
  message->as_of = MAX (message->as_of, rec->head.lsn);
  if (message->file) {
    file_committed (message->file);
    message->file = NULL;
  }
  segment_charge (rec->seg, message);
  message_insert (spool, message);
  if (rec->body)
    message_keep (spool, message, block_ref (rec->body));
  spool->st.submitted++;
}

static void
written (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  EkCall *call = rec->call;
  EkStatus status = rec->status;

  if (status == EK_OK) {
    spool->lsn_done = rec->head.lsn;
    rec->seg->used += rec_size (rec->head.meta_len, rec->head.body_len);
    if (rec->unlink)
      file_unlink (spool, rec->unlink);
  } else if (call)
    ek_fail (&call->error, status, rec->error, "%s: not durable: %s", spool->opt.path, g_strerror (rec->error));
  for (guint i = 0; i < rec->n_made; i++)
    if (status == EK_OK)
      live (spool, rec, rec->made[i]);
    else
      message_unref (rec->made[i]);
  rec_free (rec);
  if (call)
    ek_call_done (call, status);
}

static void
queue (EkSpool *spool, Rec *rec)
{
  rec->head.lsn = ++spool->lsn;
  rec->task.done = written;
  spool->st.records++;
  hot_queue (spool, rec);
}

static void
file_ready (EkSpoolFile *file, gpointer data)
{
  Rec *rec = data;
  EkSpool *spool = rec->one->pub.user;

  rec->one->pub.user = NULL;
  rec->one->file = file;
  rec->error = file_error (file);
  if (rec->error == 0) {
    queue (spool, rec);
    return;
  }
  rec->status = EK_DEFER;
  written (spool, &rec->task);
}

static EkStatus
not_now (EkSpool *spool, EkCall *call, gsize bytes)
{
  const char *why = NULL;

  if (spool->closing)
    return ek_fail (&call->error, EK_DEFER, ESHUTDOWN, "%s: the spool closes", spool->opt.path);
  if (atomic_load (&spool->hot_sick) || atomic_load (&spool->cold_sick)) {
    spool_accepting (spool, &why);
    return ek_fail (&call->error, EK_DEFER, EIO, "%s", why);
  }
  if (atomic_load (&spool->usable) + atomic_load (&spool->hot_left) < bytes)
    return ek_fail (&call->error, EK_DEFER, ENOSPC, "%s: the disk is full but for the reserve", spool->opt.path);
  return EK_OK;
}

EkStatus
spool_submit (EkSpool *spool, EkCall *call, const EkSpoolNew *given)
{
  gsize n_meta = msg_meta_size (given), n_body = bytes_in (given->extents, given->n_extents);
  const char *fault = new_fault (spool, given);
  EkStatus status;

  if (fault == NULL)
    fault = size_fault (spool, n_meta, n_body);
  if (fault)
    status = ek_fail (&call->error, EK_FAIL, EINVAL, "%s: %s", spool->opt.path, fault);
  else
    status = not_now (spool, call, rec_size (n_meta, n_body));
  if (status != EK_OK) {
    file_free (given->file);
    return status;
  }
  Block *meta = block_new (n_meta), *body = n_body ? block_new (n_body) : NULL;
  Wr w = { meta->bytes, meta->bytes + n_meta };
  guint64 body_at = 0;
  Rec *rec = rec_new (REC_SUBMIT, given->id, meta, body);
  rec->one = make (&w, meta, given, body, &body_at, 0);
  rec->n_made = 1;
  rec->call = call;
  rec->mail = rec->sync = true;
  keeper_rouse (spool);
  if (given->file) {
    rec->one->file = NULL;                       /* while the workers have it */
    rec->one->pub.user = spool;
    file_then (given->file, file_ready, rec);
  } else
    queue (spool, rec);
  return EK_PENDING;
}

/* ---- records ------------------------------------------------------------------------------------ */

void
spool_retired (EkSpool *spool, Message *message)
{
  message->retired = true;
  message_remove (spool, message);
  segment_discharge (message, true, message->states_hot);
  message_drop_body (spool, message);
  spool->st.retired++;
  message_unref (message);
}

static const char *
record_fault (EkSpool *spool, const Message *message, const EkSpoolAct *acts, guint n_acts,
              const EkSpoolNew *children, guint n_children)
{
  const char *fault = message->retired ? "the message is retired" : acts_fault (message, acts, n_acts);

  for (guint i = 0; i < n_children && fault == NULL; i++) {
    fault = new_fault (spool, &children[i]);
    if (fault == NULL && children[i].file && (!file_settled (children[i].file) || file_error (children[i].file)))
      fault = "the file of a child message is not synced";
  }
  return fault;
}

static EkStatus
refuse (EkSpool *spool, EkCall *call, const char *fault, const EkSpoolNew *children, guint n_children)
{
  for (guint i = 0; i < n_children; i++)
    file_free (children[i].file);
  if (call)
    return ek_fail (&call->error, EK_FAIL, EINVAL, "%s: %s", spool->opt.path, fault);
  spool_report (spool, EK_ERR, "%s: a record was refused: %s", spool->opt.path, fault);
  return EK_FAIL;
}

static void
apply (EkSpool *spool, Message *message, Rec *rec, const EkSpoolAct *acts, guint n_acts)
{
  guint64 hot = spool->hot_last ? spool->hot_last->seq : 0;
  bool deferred = false, retired = false;

  message->as_of = rec->head.lsn;
  message->states_hot = MIN (message->states_hot, hot);
  message->states_hot_next = MIN (message->states_hot_next, hot);
  for (guint i = 0; i < n_acts; i++) {
    act_apply (message, &acts[i], rec->head.wall);
    deferred |= acts[i].type == EK_ACT_DEFER;
    retired |= acts[i].type == EK_ACT_RETIRE;
  }
  if (retired) {
    message->states_hot = hot;                   /* where the retirement is, or later */
    rec->unlink = message->pub.large ? message->pub.id : 0;
    spool_retired (spool, message);
  } else if (deferred)
    move_want (spool, message);
}

EkStatus
spool_record (EkSpool *spool, EkCall *call, EkSpoolMessage *pub, const EkSpoolAct *acts, guint n_acts,
              const EkSpoolNew *children, guint n_children)
{
  Message *message = MESSAGE (pub);
  const char *fault = record_fault (spool, message, acts, n_acts, children, n_children);
  gsize n_meta = 8 + (fault ? 0 : acts_size (acts, n_acts)), n_body = 0;

  if (fault)
    return refuse (spool, call, fault, children, n_children);
  for (guint i = 0; i < n_acts; i++)
    n_body += bytes_in (acts[i].extents, acts[i].n_extents);
  for (guint i = 0; i < n_children; i++) {
    n_meta += msg_meta_size (&children[i]);
    n_body += bytes_in (children[i].extents, children[i].n_extents);
  }
  if ((fault = size_fault (spool, n_meta, n_body)) != NULL)
    return refuse (spool, call, fault, children, n_children);
  Block *meta = block_new (n_meta), *body = n_body ? block_new (n_body) : NULL;
  Wr w = { meta->bytes, meta->bytes + n_meta };
  guint64 body_at = 0;
  char *to = body ? body->bytes : NULL;
  Rec *rec = rec_new (REC_ACTS, pub->id, meta, body);
  wr_u32 (&w, n_acts);
  wr_u32 (&w, n_children);
  acts_write (&w, acts, n_acts, &body_at);
  for (guint i = 0; i < n_acts && to; i++)
    to = copy_bytes (to, acts[i].extents, acts[i].n_extents);
  if (n_children > 1)
    rec->made = g_new (Message *, n_children);
  for (guint i = 0; i < n_children; i++)
    rec->made[rec->n_made++] = make (&w, meta, &children[i], body, &body_at, i);
  rec->call = call;
  rec->sync = call != NULL;
  rec->head.lsn = spool->lsn + 1;
  rec->head.wall = ek_wall ();
  keeper_rouse (spool);
  apply (spool, message, rec, acts, n_acts);
  queue (spool, rec);
  return call ? EK_PENDING : EK_OK;
}

/* ---- barriers ----------------------------------------------------------------------------------- */

static void
barrier_reached (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  EkCall *call = rec->call;
  EkStatus status = rec->status;

  if (status != EK_OK)
    ek_fail (&call->error, EK_DEFER, rec->error, "%s: not durable: %s", spool->opt.path, g_strerror (rec->error));
  rec_free (rec);
  ek_call_done (call, status);
}

EkStatus
spool_barrier (EkSpool *spool, EkCall *call)
{
  Rec *rec = rec_new (REC_NONE, 0, NULL, NULL);

  rec->call = call;
  rec->task.done = barrier_reached;
  keeper_rouse (spool);
  hot_queue (spool, rec);
  return EK_PENDING;
}
