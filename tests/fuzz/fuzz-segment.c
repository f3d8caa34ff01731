/* fuzz-segment.c - any bytes as a checkpoint, a cold and a hot segment, through the whole replay
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/spool/scan.c modules/spool/replay-record.c modules/spool/format.c modules/spool/act.c */
/* options: -max_len=16384 */
#include "fuzz.h"
#include "../../modules/spool/impl.h"

/* The input: a byte of flags, the lengths of checkpoint and cold segment (two bytes each, low one
 * first), then these and the hot segment.  With SEAL the checksums are made right, as those of a
 * broken or hostile writer would be: what is behind them must not be trusted either. */
enum { SEAL = 1, LIMIT = 2, WITNESS = 4 };

#define SALT 0x5a17u

static void
no_wake (gpointer user)
{
}

/* Walks over the records as they claim to be and makes magic, sequence and checksums good. */
static void
seal (char *bytes, gsize size, guint64 seq)
{
  guint64 end = size - SPOOL_FIRST, lsn = 0;

  for (guint64 off = SPOOL_FIRST; off + sizeof (RecHead) <= end;) {
    RecHead head;
    memcpy (&head, bytes + off, sizeof head);
    guint64 room = end - off - sizeof head;
    head.magic = SPOOL_REC_MAGIC;
    head.seq = seq;
    head.meta_len = (guint32) MIN (head.meta_len, room);
    head.body_len = (guint32) MIN (head.body_len, room - head.meta_len);
    head.lsn = lsn += 1 + head.lsn % 4;
    head.type %= REC_N_TYPES;
    const char *meta = bytes + off + sizeof head;
    head.body_crc = head.body_len ? ek_crc32c (SALT, meta + head.meta_len, head.body_len) : 0;
    head.crc = rec_crc (&head, SALT, meta);
    memcpy (bytes + off, &head, sizeof head);
    off += rec_size (head.meta_len, head.body_len);
  }
}

/* The head of a segment: made right, it counts exactly when kind and size can be. */
static void
check_head (const uint8_t *data, gsize n)
{
  SegHead head;

  if (n < sizeof head)
    return;
  memcpy (&head, data, sizeof head);
  g_assert (seg_head_check (&head) <= HEAD_ORDER);
  seg_head_seal (&head);
  g_assert ((seg_head_check (&head) == HEAD_OK)
            == (head.kind <= SEG_COLD && head.size >= SPOOL_SIZE_MIN && head.size <= SPOOL_SIZE_MAX && head.size % SPOOL_FIRST == 0));
  head.kind %= SEG_COLD + 1;
  head.size = SPOOL_SIZE_MIN;
  seg_head_seal (&head);
  g_assert (seg_head_check (&head) == HEAD_OK);
  head.salt++;
  g_assert (seg_head_check (&head) == HEAD_BAD);
  seg_head_seal (&head);
  head.order = GUINT32_SWAP_LE_BE (head.order);
  g_assert (seg_head_check (&head) == HEAD_ORDER);
}

/* A list of acts that was understood is the same list after it was written again. */
static void
check_acts (const uint8_t *data, gsize n)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf out = { 0 };
  guint64 body_at = 0;
  guint32 count = n > 0 ? data[0] % 4 : 0;

  if (count == 0)
    return;
  Rd in = { (const char *) data + 1, (const char *) data + n, false };
  EkSpoolAct *acts = acts_read (&in, pool, count, (EkStr) { NULL, 0 });
  if (acts == NULL || in.bad)
    return;
  gsize size = acts_size (acts, count);
  g_assert (size == (gsize) (in.p - (const char *) data - 1));
  char *bytes = ek_buf_room (&out, size);
  Wr w = { bytes, bytes + size };
  acts_write (&w, acts, count, &body_at);
  Rd again = { ek_buf_at (&out), ek_buf_at (&out) + size, false };
  EkSpoolAct *same = acts_read (&again, pool, count, (EkStr) { NULL, 0 });
  for (guint i = 0; i < count; i++)
    g_assert (same && same[i].type == acts[i].type && same[i].rcpt == acts[i].rcpt && ek_str_eq (same[i].text, acts[i].text)
              && ek_str_eq (same[i].base, acts[i].base) && same[i].n_extents == acts[i].n_extents);
  ek_buf_release (&out);
}

static void
feed (Replay *r, SegKind kind, const uint8_t *data, gsize n, int flags)
{
  Segment *seg = g_new0 (Segment, 1);
  gsize size = (n + SPOOL_FIRST - 1) / SPOOL_FIRST * SPOOL_FIRST + 2 * SPOOL_FIRST;
  g_autofree char *bytes = g_malloc0 (size);

  *seg = (Segment) { .name = "fuzz.seg", .fd = -1, .size = size, .kind = kind, .seq = kind, .salt = SALT };
  if (n)
    memcpy (bytes + SPOOL_FIRST, data, n);
  if (flags & SEAL)
    seal (bytes, size, seg->seq);
  replay_image (r, seg, bytes, flags & LIMIT ? SPOOL_FIRST + n / 128 * 64 : 0, flags & WITNESS ? 3 : 0);
  segments_add (r->spool, seg);
}

static void
feed_checkpoint (Replay *r, const uint8_t *data, gsize n, int flags)
{
  Block *block = block_new (n);
  guint32 crc = 0;
  guint64 size = n;

  if (n)
    memcpy (block->bytes, data, n);
  if (flags & SEAL && n >= 32) {
    memcpy (block->bytes, "EKCHECK\n\4\3\2\1\1\0\0", 16);
    memcpy (block->bytes + 24, &size, sizeof size);
    memset (block->bytes + 16, 0, sizeof crc);
    crc = ek_crc32c (0, block->bytes, n);
    memcpy (block->bytes + 16, &crc, sizeof crc);
  }
  r->ckpt.block = block;
  r->have = n > 0 && ckpt_parse (r->spool, &r->ckpt, NULL) == CKPT_OK;
}

/* A new message with this one's envelope can be read again. */
static void
check_envelope (const Message *message)
{
  const EkSpoolMessage *pub = &message->pub;
  g_autofree EkSpoolTo *to = g_new0 (EkSpoolTo, pub->n_rcpts);
  const EkSpoolExtent extent = { .from = 0, .len = 7 };
  EkBuf out = { 0 };
  guint64 body_at = 0;
  MsgMeta meta;

  for (guint i = 0; i < pub->n_rcpts; i++)
    to[i] = (EkSpoolTo) { pub->rcpts[i].address, pub->rcpts[i].orcpt, pub->rcpts[i].notify };
  const EkSpoolNew new = { .id = pub->id, .event = pub->event, .arrival = pub->arrival, .flags = pub->flags, .sender = pub->sender,
                           .envid = pub->envid, .attrs = pub->attrs, .to = to, .n_to = pub->n_rcpts, .extents = &extent, .n_extents = 1 };
  gsize size = msg_meta_size (&new);
  char *bytes = ek_buf_room (&out, size);
  Wr w = { bytes, bytes + size };
  msg_meta_write (&w, &new, &body_at);
  Rd in = { ek_buf_at (&out), ek_buf_at (&out) + size, false };
  g_assert (msg_meta_read (&in, &meta, 0) && in.p == in.end && meta.id == pub->id && meta.n_to == pub->n_rcpts
            && ek_str_eq (meta.sender, pub->sender) && ek_str_eq (meta.envid, pub->envid) && ek_str_eq (meta.attrs, pub->attrs));
  ek_buf_release (&out);
}

/* What came out must be usable: extents within their bodies, states that can be written again. */
static void
check (EkSpool *spool)
{
  EkBuf buf = { 0 };

  ckpt_begin (&buf);
  for (Message *message = spool->first; message; message = message->next) {
    guint64 size = 0;
    g_assert (message->pub.n_rcpts > 0 && message->seg != NULL);
    g_assert (message->prev == NULL || message->prev->pub.id < message->pub.id);
    for (guint i = 0; i < message->n_extents; i++) {
      const Extent *extent = &message->extents[i];
      guint64 room = extent->kind == EXT_BODY ? message->body_len : extent->edit ? extent->edit->n : G_MAXINT64;
      g_assert (extent->from <= room && extent->len <= room - extent->from);
      size += extent->len;
    }
    g_assert (size == message->pub.size);
    check_envelope (message);
    ek_spool_attr_find (message->pub.attrs, EK_ATTR_HELO);
    ckpt_entry (&buf, message);
  }
  ckpt_finish (spool, &buf, 1, 1, g_hash_table_size (spool->table));
  Ckpt back = { .block = block_new (ek_buf_len (&buf)) };
  memcpy (back.block->bytes, ek_buf_at (&buf), ek_buf_len (&buf));
  g_assert (ckpt_parse (spool, &back, NULL) == CKPT_OK);
  g_assert (g_hash_table_size (back.entries) == g_hash_table_size (spool->table));
  ckpt_clear (&back);
  ek_buf_release (&buf);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  SpoolOptions options = { .path = (char *) "fuzz", .segment_size = SPOOL_SIZE_MIN };
  EkSpoolHost host = { .wake = no_wake };
  Replay r = { 0 };

  if (size < 5)
    return 0;
  gsize ckpt = data[1] | (gsize) data[2] << 8, cold = data[3] | (gsize) data[4] << 8;
  int flags = data[0];
  data += 5;
  size -= 5;
  check_head (data, size);
  check_acts (data, size);
  ckpt = MIN (ckpt, size);
  cold = MIN (cold, size - ckpt);
  EkSpool *spool = spool_new (&options, &host);
  spool->offline = true;
  replay_begin (&r, spool);
  feed_checkpoint (&r, data, ckpt, flags);
  feed (&r, SEG_COLD, data + ckpt, cold, flags & SEAL);
  feed (&r, SEG_HOT, data + ckpt + cold, size - ckpt - cold, flags);
  replay_link (&r);
  check (spool);
  replay_end (&r);
  spool_free (spool);
  return 0;
}
