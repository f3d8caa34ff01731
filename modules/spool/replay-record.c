/* replay-record.c - what each record means after a restart
 * SPDX-License-Identifier: Apache-2.0
 *
 * The cold log is read first, then the hot one, each from its oldest segment on.  A message is known
 * from the newest copy of it; states come from that copy, from the checkpoint or from REC_STATES,
 * whichever is true up to the highest LSN, and from the hot records after that.  Whatever says that a
 * message is retired wins over all copies of it.
 */
#include "impl.h"

typedef struct { guint64 id; Segment *seg; } Copy;

Dead *
replay_dead (Replay *r, guint64 id)
{
  return g_hash_table_lookup (r->dead, &id);
}

static void
bury (Replay *r, guint64 id, guint64 tomb, bool cold)
{
  Dead *dead = replay_dead (r, id);

  if (dead == NULL) {
    dead = g_new0 (Dead, 1);
    dead->id = id;
    guint64 *key = g_memdup2 (&id, sizeof id);
    g_hash_table_insert (r->dead, key, dead);
  }
  if (cold || !dead->cold) {
    dead->tomb = tomb;
    dead->cold = cold;
  }
  Message *message = message_find (r->spool, id);
  if (message) {
    g_hash_table_remove (r->spool->table, &id);
    message->seg = NULL;
    message_unref (message);
  }
}

/* The checkpoint knows all that was live up to its LSN. */
static CkptEntry *
entry_of (Replay *r, guint64 id, guint64 lsn, bool *retired)
{
  CkptEntry *entry = r->have ? g_hash_table_lookup (r->ckpt.entries, &id) : NULL;

  *retired = r->have && entry == NULL && lsn <= r->ckpt.lsn;
  if (entry)
    entry->found = true;
  return entry;
}

static Message *
revive (Replay *r, const ScanRec *rec, Block *meta, const MsgMeta *parsed, guint32 child, guint64 as_of)
{
  Message *message = message_new (meta, parsed, child);

  message->seg = r->seg;
  message->rec_off = rec->off;
  message->body_off = rec->off + sizeof (RecHead) + rec->head.meta_len;
  message->body_len = rec->head.body_len;
  message->body_crc = rec->head.body_crc;
  message->as_of = message->base_lsn = as_of;
  r->mark = MAX (r->mark, parsed->id >> 22);
  return message;
}

static void
take_states (Message *message, Rd states, guint64 as_of)
{
  if (as_of > message->as_of && states_read (&states, message))
    message->as_of = as_of;
}

static void
keep (Replay *r, Message *message)
{
  Message *old = message_find (r->spool, message->pub.id);

  if (old) {
    g_hash_table_remove (r->spool->table, &old->pub.id);
    message_unref (old);
  }
  g_hash_table_insert (r->spool->table, &message->pub.id, message);
}

/* ---- the cold log --------------------------------------------------------------------------------- */

static void
replay_snap (Replay *r, const ScanRec *rec, Block *meta)
{
  Rd in = { meta->bytes, meta->bytes + meta->n, false };
  guint64 as_of = rd_u64 (&in);
  MsgMeta parsed;
  bool retired;

  if (!msg_meta_read (&in, &parsed, rec->head.body_len))
    return;
  Copy copy = { parsed.id, r->seg };
  g_array_append_val (r->copies, copy);
  r->mark = MAX (r->mark, parsed.id >> 22);
  CkptEntry *entry = entry_of (r, parsed.id, as_of, &retired);
  if (retired && replay_dead (r, parsed.id) == NULL)
    bury (r, parsed.id, 0, false);
  Message *old = message_find (r->spool, parsed.id);
  if (replay_dead (r, parsed.id) || (old && old->base_lsn > as_of))
    return;
  Message *message = revive (r, rec, meta, &parsed, 0, as_of);
  message->cold_as_of = as_of;
  message->rec_bytes = rec_size (rec->head.meta_len, rec->head.body_len);
  states_read (&in, message);
  if (entry)
    take_states (message, entry->states, entry->as_of);
  keep (r, message);
}

static void
replay_states (Replay *r, const ScanRec *rec)
{
  Rd in = { rec->meta, rec->meta + rec->head.meta_len, false };
  guint64 as_of = rd_u64 (&in);
  Message *message = message_find (r->spool, rec->head.id);

  if (message == NULL || in.bad)
    return;
  message->states_cold = r->seg->seq;
  message->cold_as_of = MAX (message->cold_as_of, as_of);
  take_states (message, in, as_of);
}

/* ---- the hot log ---------------------------------------------------------------------------------- */

static void
replay_message (Replay *r, const ScanRec *rec, Block *meta, const MsgMeta *parsed, guint32 child)
{
  bool retired;
  CkptEntry *entry = entry_of (r, parsed->id, rec->head.lsn, &retired);

  r->mark = MAX (r->mark, parsed->id >> 22);
  if (retired || replay_dead (r, parsed->id) || message_find (r->spool, parsed->id))
    return;
  Message *message = revive (r, rec, meta, parsed, child, rec->head.lsn);
  if (entry)
    take_states (message, entry->states, entry->as_of);
  keep (r, message);
}

static void
replay_submit (Replay *r, const ScanRec *rec, Block *meta)
{
  Rd in = { meta->bytes, meta->bytes + meta->n, false };
  MsgMeta parsed;

  if (msg_meta_read (&in, &parsed, rec->head.body_len))
    replay_message (r, rec, meta, &parsed, 0);
}

static void
redo (Replay *r, Message *message, const ScanRec *rec, const EkSpoolAct *acts, guint n)
{
  guint64 lsn = rec->head.lsn;

  for (guint i = 0; i < n; i++) {
    bool new = lsn > (acts[i].type == EK_ACT_EDIT ? message->base_lsn : message->as_of);
    if (new && acts_fault (message, &acts[i], 1) == NULL)
      act_apply (message, &acts[i], rec->head.wall);
  }
  if (lsn > message->cold_as_of)
    message->states_hot = MIN (message->states_hot, r->seg->seq);
  message->as_of = MAX (message->as_of, lsn);
}

static void
replay_acts (Replay *r, const ScanRec *rec, Block *meta)
{
  Rd in = { meta->bytes, meta->bytes + meta->n, false };
  guint32 n_acts, n_children;
  EkSpoolAct *acts = NULL;
  MsgMeta parsed;

  rd_count (&in, &n_acts, 29);
  n_children = rd_u32 (&in);
  if (!in.bad)
    acts = acts_read (&in, r->pool, n_acts, (EkStr) { rec->body, rec->head.body_len });
  if (acts == NULL || n_acts == 0)
    return;
  for (guint32 i = 0; i < n_children && msg_meta_read (&in, &parsed, rec->head.body_len); i++)
    replay_message (r, rec, meta, &parsed, i);
  Message *message = message_find (r->spool, rec->head.id);
  if (message)
    redo (r, message, rec, acts, n_acts);
  else if (!replay_dead (r, rec->head.id) && !(r->have && rec->head.lsn <= r->ckpt.lsn))
    g_hash_table_add (r->orphans, g_memdup2 (&rec->head.id, sizeof rec->head.id));
  if (acts[n_acts - 1].type == EK_ACT_RETIRE)
    bury (r, rec->head.id, r->seg->seq, false);
  ek_pool_clear (r->pool);
}

/* ---- all ------------------------------------------------------------------------------------------ */

static void
bury_list (Replay *r, const ScanRec *rec, bool cold)
{
  guint64 id;

  for (gsize at = 0; at + sizeof id <= rec->head.meta_len; at += sizeof id) {
    memcpy (&id, rec->meta + at, sizeof id);
    bury (r, id, r->seg->seq, cold);
  }
}

void
replay_record (Replay *r, const ScanRec *rec)
{
  bool cold = r->seg->kind == SEG_COLD;
  guint16 type = rec->head.type;
  guint64 mark;

  r->n_records++;
  r->seg->used += rec_size (rec->head.meta_len, rec->head.body_len);
  if (type == REC_MARK && rec->head.meta_len >= sizeof mark) {
    memcpy (&mark, rec->meta, sizeof mark);
    r->mark = MAX (r->mark, mark & (G_MAXUINT64 >> 22));
  } else if (type == REC_OPEN && rec->head.meta_len >= 40) {
    memcpy (&mark, rec->meta + 32, sizeof mark);
    r->mark = MAX (r->mark, mark & (G_MAXUINT64 >> 22));
  } else if ((type == REC_TOMB && cold) || (type == REC_ABORT && !cold))
    bury_list (r, rec, cold);
  else if (type == REC_STATES && cold)
    replay_states (r, rec);
  else if (cold ? type == REC_SNAP : type == REC_SUBMIT || type == REC_ACTS) {
    Block *meta = block_new (rec->head.meta_len);
    memcpy (meta->bytes, rec->meta, meta->n);
    if (cold)
      replay_snap (r, rec, meta);
    else if (type == REC_SUBMIT)
      replay_submit (r, rec, meta);
    else
      replay_acts (r, rec, meta);
    block_unref (meta);
  }
}
