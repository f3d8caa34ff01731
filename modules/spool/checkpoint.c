/* checkpoint.c - the checkpoint: what lives, where it lies and how far its recipients are
 * SPDX-License-Identifier: Apache-2.0
 *
 * It is made a slice at a time while mail goes on, so each entry tells up to which LSN it is true;
 * replay adds what came later.  It is believed as a whole or not at all.
 */
#include "impl.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CKPT_MAGIC "EKCHECK\n"
#define ENTRY_HEAD 40u

typedef struct {                     /* the start of the file */
  char    magic[8];
  guint32 order, version;
  guint32 crc;                       /* of the whole file with this field 0 */
  guint32 n_segments;                /* behind the entries: seq and end of those that are full */
  guint64 size, n, lsn, cold_lsn, mark;
  gint64  wall;
} Head;
G_STATIC_ASSERT (sizeof (Head) == 72);

void
ckpt_begin (EkBuf *buf)
{
  ek_buf_clear (buf);
  memset (ek_buf_room (buf, sizeof (Head)), 0, sizeof (Head));
  ek_buf_added (buf, sizeof (Head));
}

void
ckpt_entry (EkBuf *buf, const Message *message)
{
  gsize n = ENTRY_HEAD + states_size (message);
  Wr w = { ek_buf_room (buf, n), NULL };

  w.end = w.p + n;
  wr_u64 (&w, message->pub.id);
  wr_u64 (&w, message->seg->seq);
  wr_u64 (&w, message->rec_off);
  wr_u64 (&w, message->as_of);
  wr_u32 (&w, message->child);
  wr_u32 (&w, (guint32) (n - ENTRY_HEAD));
  states_write (&w, message);
  ek_buf_added (buf, n);
}

/* Where segments end is known from the ones that followed them, which may be freed first. */
static guint32
add_ends (EkBuf *buf, const Segment *seg)
{
  guint32 n = 0;

  for (; seg; seg = seg->next)
    if (seg->end && !seg->victim) {
      ek_buf_append (buf, &seg->seq, sizeof seg->seq);
      ek_buf_append (buf, &seg->end, sizeof seg->end);
      n++;
    }
  return n;
}

void
ckpt_finish (EkSpool *spool, EkBuf *buf, guint64 lsn, guint64 cold_lsn, guint64 n)
{
  Head head = { .order = SPOOL_ORDER, .version = SPOOL_VERSION, .n = n, .lsn = lsn, .cold_lsn = cold_lsn,
                .wall = ek_wall () };

  memcpy (head.magic, CKPT_MAGIC, sizeof head.magic);
  head.mark = MAX (spool->id_mark, spool->id_last);
  head.n_segments = add_ends (buf, spool->hot);
  head.n_segments += add_ends (buf, spool->cold);
  head.size = ek_buf_len (buf);
  memcpy (ek_buf_at (buf), &head, sizeof head);
  head.crc = ek_crc32c (0, ek_buf_at (buf), ek_buf_len (buf));
  memcpy (ek_buf_at (buf), &head, sizeof head);
}

static bool
store (EkSpool *spool, const EkBuf *buf)
{
  int fd = openat (spool->dir, "checkpoint.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return false;
  bool good = pwrite_all (fd, ek_buf_at (buf), ek_buf_len (buf), 0) && fsync (fd) == 0;
  int code = errno;
  close (fd);
  if (!good)
    unlinkat (spool->dir, "checkpoint.new", 0);
  errno = code;
  return good && renameat (spool->dir, "checkpoint.new", spool->dir, "checkpoint") == 0
         && fsync (spool->dir) == 0;
}

bool
ckpt_store (EkSpool *spool, const EkBuf *buf, GError **error)
{
  bool good = store (spool, buf);

  /* What frees room must not die of its lack: a spare segment is worth less. */
  while (!good && errno == ENOSPC && keeper_give_up_spare (spool))
    good = store (spool, buf);
  if (!good)
    ek_fail (error, EK_DEFER, errno, "%s/checkpoint: %s", spool->opt.path, g_strerror (errno));
  return good;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static Block *
slurp (EkSpool *spool, GError **error)
{
  struct stat st;
  int fd = openat (spool->dir, "checkpoint", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  Block *block = NULL;

  if (fd < 0 && errno == ENOENT)
    return NULL;
  if (fd >= 0 && fstat (fd, &st) == 0 && st.st_size >= 0) {
    block = block_new ((guint64) st.st_size);
    gsize at = 0;
    for (gssize got; at < block->n; at += (gsize) got)
      if ((got = pread (fd, block->bytes + at, block->n - at, (off_t) at)) <= 0)
        break;
    if (at < block->n)
      g_clear_pointer (&block, block_unref);
  }
  if (block == NULL)
    ek_fail (error, EK_DEFER, errno, "%s/checkpoint: %s", spool->opt.path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return block;
}

static bool
read_entries (Ckpt *ckpt, Rd *r)
{
  for (guint64 i = 0; i < ckpt->n && !r->bad; i++) {
    CkptEntry entry = { .id = rd_u64 (r) };
    entry.seq = rd_u64 (r);
    entry.off = rd_u64 (r);
    entry.as_of = rd_u64 (r);
    entry.child = rd_u32 (r);
    guint32 n = rd_u32 (r);
    const char *states = rd_bytes (r, n);
    if (states == NULL)
      return false;
    entry.states = (Rd) { states, states + n, false };
    CkptEntry *copy = g_memdup2 (&entry, sizeof entry);
    g_hash_table_replace (ckpt->entries, &copy->id, copy);
  }
  return !r->bad;
}

CkptResult
ckpt_parse (EkSpool *spool, Ckpt *ckpt, GError **error)
{
  Head head;
  Block *block = ckpt->block;

  if (block->n < sizeof head)
    return CKPT_BAD;
  memcpy (&head, block->bytes, sizeof head);
  if (memcmp (head.magic, CKPT_MAGIC, sizeof head.magic) != 0 || head.order != SPOOL_ORDER || head.size != block->n)
    return CKPT_BAD;
  guint32 crc = head.crc;
  memset (block->bytes + G_STRUCT_OFFSET (Head, crc), 0, sizeof crc);
  if (ek_crc32c (0, block->bytes, block->n) != crc)
    return CKPT_BAD;
  if (head.version > SPOOL_VERSION) {
    ek_fail (error, EK_FAIL, 0, "%s/checkpoint was written by a newer Ekiden (format %u, this one knows %u): "
             "install that version again", spool->opt.path, head.version, SPOOL_VERSION);
    return CKPT_REFUSED;
  }
  *ckpt = (Ckpt) { .block = block, .lsn = head.lsn, .cold_lsn = head.cold_lsn, .mark = head.mark, .n = head.n };
  ckpt->entries = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  if (head.n_segments > (block->n - sizeof head) / 16)
    return CKPT_BAD;
  ckpt->n_ends = head.n_segments;
  ckpt->ends = block->bytes + block->n - 16 * (gsize) head.n_segments;
  Rd r = { block->bytes + sizeof head, ckpt->ends, false };
  return read_entries (ckpt, &r) ? CKPT_OK : CKPT_BAD;
}

CkptResult
ckpt_load (EkSpool *spool, Ckpt *ckpt, GError **error)
{
  g_autoptr (GError) failure = NULL;

  *ckpt = (Ckpt) { .block = slurp (spool, &failure) };
  if (ckpt->block == NULL) {
    if (failure)
      spool_report (spool, EK_ERR, "%s", failure->message);
    return failure ? CKPT_BAD : CKPT_NONE;
  }
  CkptResult result = ckpt_parse (spool, ckpt, error);
  if (result == CKPT_OK)
    return result;
  if (result == CKPT_BAD)
    spool_report (spool, EK_ERR, "%s/checkpoint is damaged: the state is built from the log alone", spool->opt.path);
  ckpt_clear (ckpt);
  return result;
}

guint64
ckpt_end (const Ckpt *ckpt, guint64 seq)
{
  Rd r = { ckpt->ends, ckpt->ends + 16 * (gsize) ckpt->n_ends, false };

  for (guint i = 0; i < ckpt->n_ends; i++) {
    guint64 this = rd_u64 (&r), end = rd_u64 (&r);
    if (this == seq)
      return end;
  }
  return 0;
}

void
ckpt_clear (Ckpt *ckpt)
{
  block_unref (ckpt->block);
  g_clear_pointer (&ckpt->entries, g_hash_table_unref);
  *ckpt = (Ckpt) { 0 };
}
