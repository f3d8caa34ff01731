/* scan.c - reads one segment's bytes, whatever they are
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where no good record begins, three things may have happened.  The log ends here: zeros, or what the
 * segment held in an earlier life.  Or the power went while this was written: no later record of the
 * log says that it was synced, so nobody was told of it and all from here on is dropped, even what is
 * whole.  Or the disk has lost what it had: a later record (or the next segment, or the checkpoint)
 * knows that it was synced; then the next good record is looked for and the gap is reported.
 */
#include "impl.h"

bool
scan_record (const Scan *scan, guint64 off, ScanRec *rec)
{
  guint64 room = scan->size - SPOOL_FIRST;

  if (off < SPOOL_FIRST || off > room || room - off < sizeof (RecHead))
    return false;
  memcpy (&rec->head, scan->bytes + off, sizeof rec->head);
  const RecHead *head = &rec->head;
  if (head->magic != SPOOL_REC_MAGIC || head->seq != scan->seq || head->type == REC_NONE
      || head->type >= REC_N_TYPES || head->meta_len > SPOOL_META_MAX
      || rec_size (head->meta_len, head->body_len) > room - off)
    return false;
  rec->off = off;
  rec->meta = scan->bytes + off + sizeof *head;
  rec->body = rec->meta + head->meta_len;
  if (rec_crc (head, scan->salt, rec->meta) != head->crc)
    return false;
  return head->body_len ? ek_crc32c (scan->salt, rec->body, head->body_len) == head->body_crc
                        : head->body_crc == 0;
}

/* What the writing thread itself puts between the loop's records has the LSN of the one before. */
static bool
in_order (const RecHead *head, guint64 last)
{
  bool own = head->type == REC_OPEN || head->type == REC_ABORT || head->type == REC_PAD;

  return own ? head->lsn >= last : head->lsn > last;
}

static bool
next_record (const Scan *scan, guint64 from, guint64 limit, ScanRec *rec)
{
  guint32 magic;

  for (guint64 off = from; off + sizeof (RecHead) <= limit; off += SPOOL_ALIGN) {
    memcpy (&magic, scan->bytes + off, sizeof magic);
    if (magic == SPOOL_REC_MAGIC && scan_record (scan, off, rec) && in_order (&rec->head, scan->lsn))
      return true;
  }
  return false;
}

/* The highest LSN that anything behind `from` knows to have been durable.  Kept until its place is
 * passed: a segment full of holes must not be read once for each. */
static guint64
known_synced (Scan *scan, guint64 from, guint64 limit)
{
  ScanRec rec;

  if (scan->known_at >= from)
    return MAX (scan->known, scan->witness);
  scan->known = 0;
  scan->known_at = limit;
  for (guint64 off = from; next_record (scan, off, limit, &rec);
       off = rec.off + rec_size (rec.head.meta_len, rec.head.body_len))
    if (rec.head.synced >= scan->known) {
      scan->known = rec.head.synced;
      scan->known_at = rec.off;
    }
  return MAX (scan->known, scan->witness);
}

/* How much was begun behind the end: nothing, when there are zeros or what an earlier use has left. */
static void
count_torn (Scan *scan, guint64 off, guint64 limit)
{
  ScanRec rec;
  guint64 end = off;
  RecHead head;

  memcpy (&head, scan->bytes + off, sizeof head);
  if (head.magic == SPOOL_REC_MAGIC && head.seq == scan->seq)
    end = off + MIN (rec_size (head.meta_len, head.body_len), limit - off);
  for (guint64 at = off; next_record (scan, at, limit, &rec); at = end)
    end = rec.off + rec_size (rec.head.meta_len, rec.head.body_len);
  scan->torn = end - off;
}

void
scan_segment (Scan *scan)
{
  guint64 room = scan->size - SPOOL_FIRST, off = SPOOL_FIRST;
  bool sealed = scan->limit >= SPOOL_FIRST && scan->limit <= room && scan->limit % SPOOL_ALIGN == 0;
  guint64 limit = sealed ? scan->limit : room;
  ScanRec rec;

  while (off < limit) {
    if (scan_record (scan, off, &rec) && in_order (&rec.head, scan->lsn)
        && rec_size (rec.head.meta_len, rec.head.body_len) <= limit - off) {
      scan->n_records++;
      scan->record (scan->user, &rec);
      scan->lsn = rec.head.lsn;
      off += rec_size (rec.head.meta_len, rec.head.body_len);
      continue;
    }
    bool more = next_record (scan, off + SPOOL_ALIGN, limit, &rec);
    if (!sealed && known_synced (scan, off + SPOOL_ALIGN, limit) <= scan->lsn) {
      count_torn (scan, off, limit);
      break;
    }
    guint64 to = more ? rec.off : sealed ? limit : off;
    scan->n_damaged++;
    scan->damage (scan->user, off, to);
    if (to == off)
      break;
    off = to;
  }
  scan->end = off;
}
