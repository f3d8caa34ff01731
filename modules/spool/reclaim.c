/* reclaim.c - old segments go: what lives is copied on, a checkpoint is written, then they are free
 * SPDX-License-Identifier: Apache-2.0
 *
 * One cycle: choose victims (the oldest hot segments that hold nothing live, cold ones below half
 * live, failed ones); copy on what lives in them; then one pass over all live messages, a slice at
 * each dispatch, that writes the checkpoint's entries and copies states that lie in victims to the
 * cold log, and with them the news of retirements whose messages still lie in some cold segment, so
 * that the log alone tells the truth too; wait until all that is durable; store the checkpoint; free
 * the victims.  Any failure ends the cycle, nothing is freed, and it is tried again later.
 */
#include "impl.h"
#include <errno.h>

#define SLICE 1000u                              /* messages at each dispatch */
#define TOMBS 1024u                              /* in one record */

typedef struct { Task task; EkBuf buf; GError *error; } Store;

static void
end_cycle (EkSpool *spool, bool good)
{
  for (int log = 0; log < 2; log++)
    for (Segment *seg = log ? spool->cold : spool->hot; seg && !good; seg = seg->next)
      seg->victim = false;
  spool->reclaim.state = RECLAIM_IDLE;
  spool->reclaim.at = NULL;
  spool->reclaim.check = good;
  spool->reclaim.retry = good ? 0 : ek_now () + spool->opt.probe;
}

/* ---- choosing ------------------------------------------------------------------------------------ */

static void
evacuate (EkSpool *spool, Segment *seg)
{
  for (Message *message = seg->first; message; message = message->seg_next)
    move_want (spool, message);
}

static guint64
choose_hot (EkSpool *spool)
{
  guint64 gain = 0, failed = 0;

  for (Segment *seg = spool->hot; seg && seg->sealed; seg = seg->next)
    if (seg->failed)
      failed = seg->seq;
  spool->reclaim.hot_max = 0;
  for (Segment *seg = spool->hot; seg && seg->sealed && (seg->n_live == 0 || seg->seq <= failed); seg = seg->next) {
    seg->victim = true;
    spool->reclaim.hot_max = seg->seq;
    gain += seg->size;
  }
  return gain;
}

static guint64
choose_cold (EkSpool *spool)
{
  guint64 gain = 0;

  for (Segment *seg = spool->cold; seg; seg = seg->next)
    if (seg->failed || (seg->sealed && (seg->stale || seg->n_live == 0 || seg->live * 2 < seg->used
                                        || seg->live * 4 < seg->size))) {
      seg->victim = true;
      gain += seg->size - MIN (seg->live, seg->size);
    }
  return gain;
}

static bool
any_failed (const Segment *seg)
{
  for (; seg; seg = seg->next)
    if (seg->failed && (seg->sealed || seg->kind == SEG_COLD))
      return true;
  return false;
}

static void
choose (EkSpool *spool)
{
  bool must = spool->ckpt_lost || any_failed (spool->hot) || any_failed (spool->cold);
  bool tight = atomic_load (&spool->usable) < 2 * spool->opt.segment_size;

  spool->reclaim.check = false;
  guint64 gain = choose_hot (spool);
  gain += choose_cold (spool);
  if (!must && (gain == 0 || (gain < spool->ckpt_size && !tight))) {
    end_cycle (spool, false);
    spool->reclaim.retry = 0;
    return;
  }
  spool->reclaim.state = RECLAIM_MOVE;
  spool->reclaim.failed = false;
  for (int log = 0; log < 2; log++)
    for (Segment *seg = log ? spool->cold : spool->hot; seg; seg = seg->next)
      if (seg->victim)
        evacuate (spool, seg);
}

static bool
victims_empty (const EkSpool *spool)
{
  for (int log = 0; log < 2; log++)
    for (const Segment *seg = log ? spool->cold : spool->hot; seg; seg = seg->next)
      if (seg->victim && (seg->n_live > 0 || seg->readers > 0))
        return false;
  return true;
}

/* ---- the pass over all messages ------------------------------------------------------------------ */

/* A segment that is not there any more counts as one. */
static bool
in_cold_victim (const EkSpool *spool, guint64 seq)
{
  for (const Segment *seg = spool->cold; seg; seg = seg->next)
    if (seg->seq == seq)
      return seg->victim;
  return true;
}

static void
sweep_message (EkSpool *spool, Message *message)
{
  if (message->seg->kind == SEG_COLD
      && (message->states_hot <= spool->reclaim.hot_max || (message->states_cold && in_cold_victim (spool, message->states_cold)))) {
    if (message->moving)                         /* a copy of an older cycle has not ended: not now */
      spool->reclaim.failed = true;
    else if (message->edited) {                  /* an edit is no state: the whole message moves on */
      message->needed = true;
      message->moved_try = 0;
      spool->reclaim.needed++;
      move_want (spool, message);
    } else
      move_states (spool, message);
  }
  ckpt_entry (&spool->reclaim.buf, message);
  spool->reclaim.n++;
}

static guint16
next_batch (EkSpool *spool)
{
  return spool->tomb_batch = spool->tomb_batch % G_MAXUINT16 + 1;
}

/* What is retired but still lies in a cold segment must stay known as retired. */
static void
sweep_dead (EkSpool *spool)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  guint16 batch = next_batch (spool);

  for (Segment *seg = spool->cold; seg; seg = seg->next)
    for (guint i = 0; seg->dead && !seg->victim && i < seg->dead->len; i++) {
      Dead *dead = &g_array_index (seg->dead, Dead, i);
      if (dead->cold ? !in_cold_victim (spool, dead->tomb) : dead->tomb > spool->reclaim.hot_max)
        continue;
      guint64 id = dead->id;
      g_array_append_val (ids, id);
      dead->batch = batch;
      if (ids->len == TOMBS) {
        move_tombs (spool, ids, batch);
        g_array_set_size (ids, 0);
        batch = next_batch (spool);
      }
    }
  if (ids->len)
    move_tombs (spool, ids, batch);
}

static void
barrier_done (EkSpool *spool, Task *task)
{
  Rec *rec = (Rec *) task;

  spool->reclaim.barrier = false;
  spool->reclaim.failed |= rec->status != EK_OK;
  rec_free (rec);
}

static void
sweep_end (EkSpool *spool)
{
  sweep_dead (spool);
  Rec *rec = rec_new (REC_NONE, 0, NULL, NULL);
  rec->sync = true;
  rec->task.done = barrier_done;
  spool->reclaim.barrier = true;
  hot_queue (spool, rec);
  spool->reclaim.cold_target = spool->cold_issued;
  spool->reclaim.state = RECLAIM_WAIT;
}

/* ---- the checkpoint goes out, the victims go ------------------------------------------------------ */

static void
store_run (EkSpool *spool, Task *task)
{
  Store *store = (Store *) task;

  ckpt_store (spool, &store->buf, &store->error);
}

static void
free_victims (EkSpool *spool, Segment **first, Segment **last)
{
  *last = NULL;
  for (Segment **p = first; *p;) {
    Segment *seg = *p;
    if (seg->victim) {
      *p = seg->next;
      seg->next = NULL;
      seg->used = seg->live = seg->end = 0;
      seg->sealed = seg->victim = seg->stale = false;
      g_clear_pointer (&seg->dead, g_array_unref);
      keeper_dispose (spool, seg);
      continue;
    }
    *last = seg;
    p = &seg->next;
  }
}

static void
store_done (EkSpool *spool, Task *task)
{
  Store *store = (Store *) task;

  if (store->error)
    spool_report (spool, EK_ERR, "%s; no segment is freed until it can be written", store->error->message);
  else {
    spool->st.checkpoints++;
    spool->ckpt_lost = false;
    spool->ckpt_size = ek_buf_len (&store->buf);
    /* Each before what says that it is dead. */
    free_victims (spool, &spool->cold, &spool->cold_last);
    free_victims (spool, &spool->hot, &spool->hot_last);
  }
  end_cycle (spool, store->error == NULL);
  ek_buf_release (&store->buf);
  g_clear_error (&store->error);
  g_free (store);
}

static void
await (EkSpool *spool)
{
  if (spool->reclaim.barrier || spool->reclaim.needed > 0 || spool->cold_finished < spool->reclaim.cold_target)
    return;
  if (spool->reclaim.failed) {
    end_cycle (spool, false);
    return;
  }
  Store *store = g_new0 (Store, 1);
  store->task.run = store_run;
  store->task.done = store_done;
  store->buf = spool->reclaim.buf;
  memset (&spool->reclaim.buf, 0, sizeof spool->reclaim.buf);
  ckpt_finish (spool, &store->buf, spool->reclaim.lsn, spool->reclaim.cold_lsn, spool->reclaim.n);
  spool->reclaim.state = RECLAIM_WRITE;
  spool->out++;
  keeper_queue (spool, &store->task);
}

/* ---- steps --------------------------------------------------------------------------------------- */

static void
slice (EkSpool *spool)
{
  for (guint i = 0; i < SLICE && spool->reclaim.at; i++) {
    Message *message = spool->reclaim.at;
    spool->reclaim.at = message->next;
    sweep_message (spool, message);
  }
  if (spool->reclaim.at == NULL)
    sweep_end (spool);
  else
    spool->host.wake (spool->host.user);
}

void
reclaim_step (EkSpool *spool)
{
  move_pump (spool);
  if (spool->reclaim.state == RECLAIM_IDLE && spool->reclaim.check && !spool->closing
      && ek_now () >= spool->reclaim.retry && !atomic_load (&spool->hot_sick))
    choose (spool);
  if (spool->reclaim.state == RECLAIM_MOVE && victims_empty (spool)) {
    /* From here on no LSN up to lsn_done is missing in memory, and none can come back. */
    spool->reclaim.lsn = spool->lsn_done;
    spool->reclaim.cold_lsn = spool->cold_lsn;
    spool->reclaim.n = 0;
    spool->reclaim.at = spool->first;
    ckpt_begin (&spool->reclaim.buf);
    spool->reclaim.state = RECLAIM_SWEEP;
  }
  if (spool->reclaim.state == RECLAIM_SWEEP)
    slice (spool);
  move_pump (spool);
  if (spool->reclaim.state == RECLAIM_WAIT)
    await (spool);
}

void
reclaim_tick (EkSpool *spool)
{
  bool tight = atomic_load (&spool->usable) < 2 * spool->opt.segment_size;
  gint64 now = ek_now ();

  spool->reclaim.check = true;
  move_tick (spool);
  for (Segment *seg = spool->hot; seg && seg->sealed && seg->next; seg = seg->next)
    if (seg->failed || tight || now - seg->next->opened > spool->opt.cold_age)
      evacuate (spool, seg);
  if (spool->reclaim.state == RECLAIM_MOVE)
    for (Segment *seg = spool->cold; seg; seg = seg->next)
      if (seg->victim)
        evacuate (spool, seg);
  if (spool->first != NULL || spool->out > 0 || spool->reclaim.state != RECLAIM_IDLE || atomic_load (&spool->hot_sick)
      || atomic_load (&spool->cold_sick))
    keeper_rouse (spool);
  else
    atomic_store (&spool->busy, false);
}
