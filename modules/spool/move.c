/* move.c - copies of messages and states into the cold log
 * SPDX-License-Identifier: Apache-2.0
 *
 * What was deferred once or has grown old leaves the hot log, so that it pins no hot segment; what
 * lives in a cold segment that is to be freed moves on.  A copy is the whole message as it is: edits
 * are flattened, states are in it.  The hot log stays true for whatever happens while it is written.
 */
#include "impl.h"
#include <errno.h>

#define MOVES_MAX 64u
#define BYTES_MAX (4u * 1024 * 1024)

void
move_want (EkSpool *spool, Message *message)
{
  if (message->want_move || message->moving || message->retired || spool->closing
      || message->moved_try > ek_now () || (message->seg->kind == SEG_COLD && !message->seg->victim && !message->needed))
    return;
  message->want_move = true;
  message_ref (message);
  g_queue_push_tail (&spool->move_queue, message);
}

static void
needed_no_more (EkSpool *spool, Message *message, bool failed)
{
  if (!message->needed)
    return;
  message->needed = false;
  spool->reclaim.needed--;
  spool->reclaim.failed |= failed;
}

static void
again_later (EkSpool *spool, Message *message)
{
  if (message->retired || spool->closing)
    return;
  message->moved_try = ek_now () + spool->opt.probe;
  message_ref (message);
  g_queue_push_tail (&spool->move_again, message);
}

/* What could not be written is tried again; while the cold log is sick, an empty record tries it. */
void
move_tick (EkSpool *spool)
{
  g_autoptr (GArray) none = NULL;

  if (atomic_load (&spool->cold_sick) && ek_now () >= spool->cold_probe && !spool->closing) {
    spool->cold_probe = ek_now () + spool->opt.probe;
    none = g_array_new (FALSE, FALSE, sizeof (guint64));
    move_tombs (spool, none, 0);
  }
  if (atomic_load (&spool->cold_sick) && !spool->closing)
    return;
  for (Message *message; (message = g_queue_pop_head (&spool->move_again)) != NULL; message_unref (message)) {
    message->moved_try = 0;
    if (!message->retired)
      move_want (spool, message);
  }
}

/* ---- the copy ----------------------------------------------------------------------------------- */

static EkSpoolTo *
recipients (const EkSpoolMessage *pub)
{
  EkSpoolTo *to = g_new (EkSpoolTo, pub->n_rcpts);

  for (guint i = 0; i < pub->n_rcpts; i++)
    to[i] = (EkSpoolTo) { pub->rcpts[i].address, pub->rcpts[i].orcpt, pub->rcpts[i].notify };
  return to;
}

/* Leaves in message->snap how the copy's extents lie in the copy's body.  What of a damaged message
 * cannot be read is left out. */
static Rec *
snap_rec (Message *message, Block *body)
{
  EkSpoolMessage *pub = &message->pub;
  guint n = 0;
  g_autofree EkSpoolTo *to = recipients (pub);
  g_autofree EkSpoolExtent *extents = g_new0 (EkSpoolExtent, message->n_extents + 1);
  Extent *snap = g_new0 (Extent, message->n_extents + 1);
  guint64 at = 0;

  for (guint i = 0; i < message->n_extents; i++) {
    const Extent *extent = &message->extents[i];
    const Block *from = extent->kind == EXT_BODY ? body : extent->edit;
    if (from == NULL && extent->kind != EXT_FILE)
      continue;
    snap[n] = (Extent) { .kind = from ? EXT_BODY : EXT_FILE, .from = from ? at : extent->from,
                         .len = extent->len };
    extents[n] = (EkSpoolExtent) { .from = extent->from, .len = extent->len };
    if (from)
      extents[n].bytes = (EkStr) { from->bytes + extent->from, extent->len };
    at += from ? extent->len : 0;
    n++;
  }
  EkSpoolNew copy = { .id = pub->id, .event = pub->event, .arrival = pub->arrival, .flags = pub->flags,
                      .sender = pub->sender, .envid = pub->envid, .attrs = pub->attrs, .to = to,
                      .n_to = pub->n_rcpts, .extents = extents, .n_extents = n };
  Block *meta = block_new (8 + msg_meta_size (&copy) + states_size (message));
  Wr w = { meta->bytes, meta->bytes + meta->n };
  guint64 body_at = 0;
  wr_u64 (&w, message->as_of);
  msg_meta_write (&w, &copy, &body_at);
  states_write (&w, message);
  Block *bytes = at ? block_new (at) : NULL;
  char *p = bytes ? bytes->bytes : NULL;
  for (guint i = 0; i < n && p; i++)
    if (extents[i].bytes.p) {
      memcpy (p, extents[i].bytes.p, extents[i].bytes.n);
      p += extents[i].bytes.n;
    }
  message->snap = snap;
  message->n_snap = n;
  return rec_new (REC_SNAP, pub->id, meta, bytes);
}

static void
adopt (EkSpool *spool, Message *message, const Rec *rec)
{
  if (message->seg->kind == SEG_COLD && message->seg != rec->seg)
    message->seg->stale = true;                  /* an old copy is left: no tomb must ever be needed for it */
  segment_discharge (message, false, 0);
  message_drop_body (spool, message);
  extents_free (message->extents, message->n_extents, &message->extent1);
  message->extents = g_steal_pointer (&message->snap);
  message->n_extents = message->n_snap;
  message->n_snap = 0;
  message->child = 0;
  message->rec_off = rec->off;
  message->rec_bytes = rec_size (rec->head.meta_len, rec->head.body_len);
  message->body_off = rec->off + sizeof (RecHead) + rec->head.meta_len;
  message->body_len = rec->head.body_len;
  message->body_crc = rec->head.body_crc;
  message->states_hot = message->states_hot_next;
  message->states_cold = 0;
  message->edited = message->edited_next;
  segment_charge (rec->seg, message);
  spool->st.moved++;
}

/* The copy of a message that was retired meanwhile: dead where it lies. */
static void
adopt_dead (Message *message, const Rec *rec)
{
  message->rec_bytes = 0;
  segment_charge (rec->seg, message);
  segment_discharge (message, true, message->states_hot);
}

static void
cold_account (EkSpool *spool, const Rec *rec)
{
  spool->cold_finished++;
  if (rec->error == EMSGSIZE)
    spool_report (spool, EK_ERR, "%s: %" G_GUINT64_FORMAT " bytes of a message with its states do not fit into a segment: "
                  "raise segment_size, or the hot log grows", spool->opt.path,
                  rec_size (rec->head.meta_len, rec->head.body_len));
  if (rec->status == EK_OK) {
    spool->cold_lsn = MAX (spool->cold_lsn, rec->head.lsn);
    rec->seg->used += rec_size (rec->head.meta_len, rec->head.body_len);
  }
}

static void
cold_queue (EkSpool *spool, Rec *rec, void (*done) (EkSpool *, Task *))
{
  rec->head.wall = ek_wall ();
  rec->task.done = done;
  spool->cold_issued++;
  keeper_queue (spool, &rec->task);
}

static void
moved (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  Message *message = rec->moving;
  bool good = rec->status == EK_OK;

  cold_account (spool, rec);
  spool->moves--;
  spool->move_bytes -= rec->head.body_len;
  message->moving = false;
  needed_no_more (spool, message, !good);
  if (!good)
    again_later (spool, message);
  else if (message->retired)
    adopt_dead (message, rec);
  else
    adopt (spool, message, rec);
  if (message->snap) {
    extents_free (message->snap, message->n_snap, NULL);
    message->snap = NULL;
    message->n_snap = 0;
  }
  message_unref (message);
  rec_free (rec);
}

static void
move_body (EkSpool *spool, Message *message, Block *body, int fd, int error, gpointer data)
{
  if ((error && !message->damaged) || message->retired || spool->closing) {
    spool->moves--;
    message->moving = false;
    needed_no_more (spool, message, error != 0);
    again_later (spool, message);
    message_unref (message);
    return;
  }
  Rec *rec = snap_rec (message, body);
  rec->moving = message;
  message->states_hot_next = G_MAXUINT64;
  message->edited_next = false;
  spool->move_bytes += rec->head.body_len;
  cold_queue (spool, rec, moved);
}

void
move_pump (EkSpool *spool)
{
  while (spool->moves < MOVES_MAX && spool->move_bytes < BYTES_MAX && !g_queue_is_empty (&spool->move_queue)) {
    Message *message = g_queue_pop_head (&spool->move_queue);
    message->want_move = false;
    if (message->retired || spool->closing) {
      needed_no_more (spool, message, false);
      message_unref (message);
      continue;
    }
    message->moving = true;                      /* goes on with the queue's reference */
    spool->moves++;
    body_want (spool, message, false, move_body, NULL);
  }
}

/* ---- states and tombs --------------------------------------------------------------------------- */

static void
states_moved (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  Message *message = rec->moving;

  cold_account (spool, rec);
  message->moving = false;
  if (rec->status != EK_OK)
    spool->reclaim.failed = true;
  else if (!message->retired) {
    message->states_hot = message->states_hot_next;
    message->states_cold = rec->seg->seq;
  }
  message_unref (message);
  rec_free (rec);
}

/* The states alone: the message itself stays where it lies in the cold log. */
void
move_states (EkSpool *spool, Message *message)
{
  Block *meta = block_new (8 + states_size (message));
  Wr w = { meta->bytes, meta->bytes + meta->n };
  Rec *rec = rec_new (REC_STATES, message->pub.id, meta, NULL);

  wr_u64 (&w, message->as_of);
  states_write (&w, message);
  rec->moving = message;
  message_ref (message);
  message->moving = true;
  message->states_hot_next = G_MAXUINT64;
  cold_queue (spool, rec, states_moved);
}

/* Now it is known in which segment the tombs lie. */
static void
tombs_done (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;
  bool good = rec->status == EK_OK;

  cold_account (spool, rec);
  spool->reclaim.failed |= !good;
  for (Segment *seg = spool->cold; seg; seg = seg->next)
    for (guint i = 0; seg->dead && i < seg->dead->len; i++) {
      Dead *dead = &g_array_index (seg->dead, Dead, i);
      if (dead->batch == rec->batch && rec->batch)
        *dead = (Dead) { .id = dead->id, .tomb = good ? rec->seg->seq : 0, .cold = good };
    }
  rec_free (rec);
}

/* Says in the cold log that these are retired; they bear the number `batch` until that is durable. */
void
move_tombs (EkSpool *spool, const GArray *ids, guint16 batch)
{
  Block *meta = block_new (ids->len * sizeof (guint64));

  if (meta->n)
    memcpy (meta->bytes, ids->data, meta->n);
  Rec *rec = rec_new (REC_TOMB, 0, meta, NULL);
  rec->batch = batch;
  cold_queue (spool, rec, tombs_done);
}
