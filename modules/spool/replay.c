/* replay.c - from the folder to the live messages: at start, and in fsck
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {                     /* what the first record of a segment says */
  Segment *seg;
  bool     opened;                   /* there is one */
  guint64  prev, prev_end;
  bool     tried;                    /* a failed attempt: another one took its place */
} Found;

void
replay_begin (Replay *r, EkSpool *spool)
{
  r->spool = spool;
  r->dead = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
  r->copies = g_array_new (FALSE, FALSE, sizeof (struct { guint64 id; Segment *seg; }));
  r->orphans = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  r->pool = ek_pool_new ();
}

void
replay_end (Replay *r)
{
  g_clear_pointer (&r->dead, g_hash_table_unref);
  g_clear_pointer (&r->copies, g_array_unref);
  g_clear_pointer (&r->orphans, g_hash_table_unref);
  g_clear_pointer (&r->pool, ek_pool_free);
  ckpt_clear (&r->ckpt);
}

/* ---- segments ------------------------------------------------------------------------------------ */

static bool
load (EkSpool *spool, const Segment *seg, char *bytes)
{
  bool whole = true;

  for (guint64 at = 0; at < seg->size;) {
    gsize n = MIN (seg->size - at, 1024 * 1024);
    gssize got = pread (seg->fd, bytes + at, n, (off_t) at);
    if (got > 0) {
      at += (guint64) got;
      continue;
    }
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && whole)
      spool_report (spool, EK_ERR, "%s/seg/%s: cannot be read at %" G_GUINT64_FORMAT ": %s", spool->opt.path,
                    seg->name, at, g_strerror (errno));
    whole = false;
    if (got == 0)
      break;
    n = MIN (n, SPOOL_FIRST);                    /* steps over what the disk does not give */
    memset (bytes + at, 0, n);
    at += n;
  }
  return whole;
}

/* OK, EMPTY (it was being made), BAD (no header to be believed), or refused with `error` set. */
static HeadState
read_head (EkSpool *spool, Segment *seg, GError **error)
{
  SegHead head, zeros = { .kind = 0 };
  struct stat st;
  HeadState state = HEAD_BAD;
  bool empty = true;

  if (fstat (seg->fd, &st) < 0)
    return HEAD_BAD;
  /* The header is synced before the first record is written: without both there is nothing here. */
  for (int copy = 0; copy < 3 && state == HEAD_BAD; copy++) {
    off_t at = copy == 0 ? 0 : copy == 1 ? MAX (st.st_size - (off_t) SPOOL_FIRST, 0) : (off_t) SPOOL_FIRST;
    memset (&head, 0, sizeof head);
    if (pread (seg->fd, &head, sizeof head, at) == sizeof head)
      state = seg_head_check (&head);
    empty &= memcmp (&head, &zeros, sizeof head) == 0;
  }
  if (state == HEAD_BAD && empty)
    return HEAD_EMPTY;
  if (state == HEAD_NEWER)
    ek_fail (error, EK_FAIL, 0, "%s/seg/%s was written by a newer Ekiden (format %u, this one knows %u): install "
             "that version again, or let it deliver what is queued first", spool->opt.path, seg->name,
             head.version, SPOOL_VERSION);
  else if (state == HEAD_ORDER)
    ek_fail (error, EK_FAIL, 0, "%s/seg/%s was written on a machine of the other byte order: deliver what is "
             "queued there", spool->opt.path, seg->name);
  else if (state == HEAD_OK) {
    seg->kind = head.kind;
    seg->seq = head.seq;
    seg->salt = head.salt;
    seg->size = head.size;
  }
  return state;
}

static void
bad_segment (Replay *r, Segment *seg)
{
  EkSpool *spool = r->spool;

  r->n_bad_segments++;
  spool->st.quarantined++;
  spool_report (spool, EK_ERR, "%s/seg/%s has no readable header: %s", spool->opt.path, seg->name,
                r->mend ? "moved to quarantine" : "fsck would move it to quarantine");
  if (r->mend && renameat (spool->seg_dir, seg->name, spool->bad_dir, seg->name) < 0)
    spool_report (spool, EK_ERR, "%s/seg/%s: cannot be moved: %s", spool->opt.path, seg->name, g_strerror (errno));
}

static int
by_seq (gconstpointer a, gconstpointer b)
{
  const Found *x = a, *y = b;

  return x->seg->seq < y->seg->seq ? -1 : x->seg->seq > y->seg->seq;
}

/* Reads the record that each segment begins with. */
static void
read_open (EkSpool *spool, Found *found)
{
  char bytes[2 * SPOOL_FIRST] = { 0 };
  Segment *seg = found->seg;
  Scan scan = { .bytes = bytes, .size = sizeof bytes + SPOOL_FIRST, .seq = seg->seq, .salt = seg->salt };
  ScanRec rec;

  if (pread (seg->fd, bytes + SPOOL_FIRST, SPOOL_FIRST, SPOOL_FIRST) != (gssize) SPOOL_FIRST)
    return;
  if (!scan_record (&scan, SPOOL_FIRST, &rec) || rec.head.type != REC_OPEN || rec.head.meta_len < 40)
    return;
  Rd in = { rec.meta + 8, rec.meta + rec.head.meta_len, false };
  found->opened = true;
  found->prev = rd_u64 (&in);
  found->prev_end = rd_u64 (&in);
}

static bool
find_segments (Replay *r, GArray *all, GError **error)
{
  EkSpool *spool = r->spool;
  int fd = openat (spool->seg_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  HeadState state = HEAD_OK;

  if (dir == NULL) {
    ek_fail (error, EK_DEFER, errno, "%s/seg: %s", spool->opt.path, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return false;
  }
  for (struct dirent *entry; (entry = readdir (dir)) != NULL && state != HEAD_NEWER && state != HEAD_ORDER;) {
    guint64 slot;
    EkStr name = ek_str (entry->d_name);
    if (name.n < 5 || name.n >= sizeof ((Segment *) 0)->name || strcmp (name.p + name.n - 4, ".seg") != 0
        || !ek_str_u64 ((EkStr) { name.p, name.n - 4 }, G_MAXINT64, &slot))
      continue;
    r->max_slot = MAX (r->max_slot, slot);
    Segment *seg = g_new0 (Segment, 1);
    g_strlcpy (seg->name, entry->d_name, sizeof seg->name);
    seg->fd = openat (spool->seg_dir, seg->name, (r->mend ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    state = seg->fd < 0 ? HEAD_BAD : read_head (spool, seg, error);
    if (state == HEAD_BAD)
      bad_segment (r, seg);
    else if (state == HEAD_EMPTY && r->mend)
      unlinkat (spool->seg_dir, seg->name, 0);
    if (state != HEAD_OK) {
      segment_free (seg);
      continue;
    }
    Found found = { .seg = seg };
    g_array_append_val (all, found);
  }
  closedir (dir);
  g_array_sort (all, by_seq);
  return state != HEAD_NEWER && state != HEAD_ORDER;
}

/* ---- damage --------------------------------------------------------------------------------------- */

static void
quarantine (Replay *r, const Scan *scan, guint64 from, guint64 to)
{
  EkSpool *spool = r->spool;
  g_autofree char *name = g_strdup_printf ("%s-%" G_GUINT64_FORMAT ".rec", r->seg->name, from);
  int fd = openat (spool->bad_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool good = fd >= 0 && pwrite_all (fd, scan->bytes + from, to - from, 0) && fsync (fd) == 0
              && fsync (spool->bad_dir) == 0;

  if (fd >= 0)
    close (fd);
  if (!good)
    return;                                      /* leave it where it is: better found twice than lost */
  g_autofree char *zeros = g_malloc0 (to - from);
  RecHead head = { .magic = SPOOL_REC_MAGIC, .lsn = scan->lsn, .synced = scan->lsn, .type = REC_PAD,
                   .wall = ek_wall (), .seq = scan->seq, .meta_len = (guint32) (to - from - sizeof (RecHead)) };
  if (head.meta_len > SPOOL_META_MAX)
    return;
  head.crc = rec_crc (&head, scan->salt, zeros + sizeof head);
  memcpy (zeros, &head, sizeof head);
  if (!pwrite_all (r->seg->fd, zeros, to - from, from) || fdatasync (r->seg->fd) < 0)
    spool_report (spool, EK_ERR, "%s/seg/%s: cannot be mended: %s", spool->opt.path, r->seg->name, g_strerror (errno));
}

typedef struct { Replay *r; Scan scan; } Reading;

static void
on_record (gpointer user, const ScanRec *rec)
{
  Reading *reading = user;

  replay_record (reading->r, rec);
}

static void
on_damage (gpointer user, guint64 from, guint64 to)
{
  Reading *reading = user;
  Replay *r = reading->r;
  EkSpool *spool = r->spool;

  r->n_damaged++;
  spool->st.quarantined++;
  if (from == to)
    spool_report (spool, EK_ERR, "%s/seg/%s: records are missing from %" G_GUINT64_FORMAT " on, after LSN %"
                  G_GUINT64_FORMAT ", that had been synced", spool->opt.path, r->seg->name, from, reading->scan.lsn);
  else
    spool_report (spool, EK_ERR, "%s/seg/%s: damaged from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ", after LSN %"
                  G_GUINT64_FORMAT "; %s", spool->opt.path, r->seg->name, from, to, reading->scan.lsn,
                  r->mend ? "moved to quarantine" : "fsck would move it to quarantine");
  if (r->mend && to > from)
    quarantine (r, &reading->scan, from, to);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void
tell (Replay *r, const Segment *seg, const Scan *scan)
{
  static const char *const kinds[] = { "free", "hot", "cold" };

  if (r->tell == NULL)
    return;
  fprintf (r->tell, r->json ? "{\"segment\":\"%s\",\"kind\":\"%s\",\"seq\":%" G_GUINT64_FORMAT
           ",\"records\":%" G_GUINT64_FORMAT ",\"bytes\":%" G_GUINT64_FORMAT ",\"torn\":%" G_GUINT64_FORMAT
           ",\"damaged\":%" G_GUINT64_FORMAT "}\n"
           : "segment %s kind=%s seq=%" G_GUINT64_FORMAT " records=%" G_GUINT64_FORMAT " bytes=%" G_GUINT64_FORMAT
           " torn=%" G_GUINT64_FORMAT " damaged=%" G_GUINT64_FORMAT "\n",
           seg->name, kinds[seg->kind], seg->seq, scan ? scan->n_records : 0,
           scan && scan->end > SPOOL_FIRST ? scan->end - SPOOL_FIRST : 0, scan ? scan->torn : 0,
           scan ? scan->n_damaged : 0);
}

void
replay_image (Replay *r, Segment *seg, const char *bytes, guint64 limit, guint64 witness)
{
  Reading reading = { r, { .bytes = bytes, .size = seg->size, .seq = seg->seq, .salt = seg->salt, .limit = limit,
                           .witness = witness, .lsn = r->lsn[seg->kind], .user = &reading, .record = on_record,
                           .damage = on_damage } };
  Scan *scan = &reading.scan;

  r->seg = seg;
  scan_segment (scan);
  tell (r, seg, scan);
  r->lsn[seg->kind] = scan->lsn;
  r->torn += scan->torn;
  r->spool->st.torn_bytes += scan->torn;
  if (scan->n_records) {
    r->end[seg->kind] = scan->end;
    r->last_seq[seg->kind] = seg->seq;
  }
  if (scan->torn == 0)
    return;
  spool_report (r->spool, EK_WARN, "%s/seg/%s: %" G_GUINT64_FORMAT " bytes that were never synced are dropped "
                "(written when the power or the process went)", r->spool->opt.path, seg->name, scan->torn);
  if (r->mend && r->tell) {                      /* fsck: nothing is left to be found again */
    g_autofree char *zeros = g_malloc0 (scan->torn);
    if (!pwrite_all (seg->fd, zeros, scan->torn, scan->end) || fdatasync (seg->fd) < 0)
      spool_report (r->spool, EK_ERR, "%s/seg/%s: cannot be mended: %s", r->spool->opt.path, seg->name,
                    g_strerror (errno));
  }
}

/* Of segments that follow the same one, only the last was taken. */
static void
mark_tried (GArray *all)
{
  for (guint i = 0; i < all->len; i++) {
    Found *found = &g_array_index (all, Found, i);
    for (guint k = i + 1; k < all->len && found->opened; k++) {
      const Found *later = &g_array_index (all, Found, k);
      if (later->opened && later->seg->kind == found->seg->kind && later->prev == found->prev)
        found->tried = true;
    }
  }
}

static const Found *
follower (const GArray *all, guint at)
{
  const Found *found = &g_array_index (all, Found, at);

  for (guint i = at + 1; i < all->len; i++) {
    const Found *next = &g_array_index (all, Found, i);
    if (next->opened && !next->tried && next->seg->kind == found->seg->kind)
      return next;
  }
  return NULL;
}

static void
read_log (Replay *r, GArray *all, SegKind kind, char **bytes, gsize *room)
{
  for (guint i = 0; i < all->len; i++) {
    Found *found = &g_array_index (all, Found, i);
    Segment *seg = found->seg;
    if (seg->kind != kind || found->tried)
      continue;
    const Found *next = follower (all, i);
    guint64 limit = next && next->prev == seg->seq ? next->prev_end : r->have ? ckpt_end (&r->ckpt, seg->seq) : 0;
    guint64 witness = 0;
    if (next == NULL && found->opened && r->have)
      witness = kind == SEG_HOT ? r->ckpt.lsn : r->ckpt.cold_lsn;
    seg->end = limit;
    if (seg->size > *room) {
      g_free (*bytes);
      *bytes = g_malloc (*room = seg->size);
    }
    memset (*bytes, 0, seg->size);
    load (r->spool, seg, *bytes);
    replay_image (r, seg, *bytes, limit, witness);
    r->n_segments++;
  }
}

/* Segments with records stay in their log, all others are spare. */
static void
place (Replay *r, GArray *all)
{
  EkSpool *spool = r->spool;

  for (guint i = 0; i < all->len; i++) {
    Found *found = &g_array_index (all, Found, i);
    Segment *seg = found->seg;
    r->max_seq = MAX (r->max_seq, seg->seq);
    if (seg->kind != SEG_FREE && !found->tried && seg->used > 0) {
      segments_add (spool, seg);
      continue;
    }
    if (seg->kind == SEG_FREE || found->tried)   /* read_log() has told all others, those made ready for records too */
      tell (r, seg, NULL);
    seg->failed = found->tried;
    if (r->mend && !r->tell)
      keeper_dispose (spool, seg);
    else
      segment_free (seg);
  }
  if (spool->hot_last)
    spool->hot_last->sealed = true;              /* nothing is written behind what a crash left */
  if (spool->cold_last)
    spool->cold_last->sealed = true;
}

static int
by_id (gconstpointer a, gconstpointer b)
{
  const Message *x = *(Message *const *) a, *y = *(Message *const *) b;

  return x->pub.id < y->pub.id ? -1 : x->pub.id > y->pub.id;
}

void
replay_link (Replay *r)
{
  EkSpool *spool = r->spool;
  g_autoptr (GPtrArray) all = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, spool->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_ptr_array_add (all, value);
  g_ptr_array_sort (all, by_id);
  for (guint i = 0; i < all->len; i++) {
    Message *message = all->pdata[i];
    segment_charge (message->seg, message);
    message_insert (spool, message);
  }
  for (guint i = 0; i < r->copies->len; i++) {
    struct Copy { guint64 id; Segment *seg; } *copy = (struct Copy *) (void *) r->copies->data + i;
    Dead *dead = replay_dead (r, copy->id);
    Message *message = dead ? NULL : message_find (spool, copy->id);
    if (dead) {
      if (copy->seg->dead == NULL)
        copy->seg->dead = g_array_new (FALSE, FALSE, sizeof (Dead));
      g_array_append_val (copy->seg->dead, *dead);
    } else if (message && message->seg != copy->seg)
      copy->seg->stale = true;
  }
}

/* What the checkpoint says lives but no segment has. */
static void
report_lost (Replay *r)
{
  GHashTableIter iter;
  gpointer value;
  char id[EK_QUEUE_ID_LEN + 1];

  if (!r->have)
    return;
  g_hash_table_iter_init (&iter, r->ckpt.entries);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const CkptEntry *entry = value;
    if (entry->found || replay_dead (r, entry->id))
      continue;
    r->n_lost++;
    ek_queue_id_text (entry->id, id);
    spool_report (r->spool, EK_ERR, "%s: this message was accepted and is lost: its record (segment %" G_GUINT64_FORMAT
                  " at %" G_GUINT64_FORMAT ") cannot be read; see %s/quarantine", id, entry->seq, entry->off,
                  r->spool->opt.path);
  }
}

/* Acts on what nobody knows.  Those on a message that was retired later are what is left of it, and
 * without a checkpoint there are some of long gone messages. */
static void
report_orphans (Replay *r)
{
  GHashTableIter iter;
  gpointer id;
  guint n = 0;

  g_hash_table_iter_init (&iter, r->orphans);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    n += !g_hash_table_contains (r->dead, id);
  if (n && r->have)
    spool_report (r->spool, EK_WARN, "%s: there are records on %u messages that are not there", r->spool->opt.path, n);
}

/* Files without a message are from before their commit, unless something was damaged. */
static void
check_files (Replay *r)
{
  EkSpool *spool = r->spool;
  int fd = openat (spool->large_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  bool doubt = r->n_damaged || r->n_bad_segments || r->n_lost;
  EkQueueId id;

  for (struct dirent *entry; dir && (entry = readdir (dir)) != NULL;) {
    if (!ek_queue_id_parse (ek_str (entry->d_name), &id))
      continue;
    Message *message = message_find (spool, id);
    if ((message && message->pub.large) || !r->mend)
      continue;
    if (doubt)
      renameat (spool->large_dir, entry->d_name, spool->bad_dir, entry->d_name);
    else
      unlinkat (spool->large_dir, entry->d_name, 0);
  }
  if (dir)
    closedir (dir);
  for (Message *message = spool->first; message; message = message->next) {
    char name[EK_QUEUE_ID_LEN + 1];
    ek_queue_id_text (message->pub.id, name);
    if (!message->pub.large || faccessat (spool->large_dir, name, F_OK, 0) == 0)
      continue;
    message->damaged = true;
    r->n_damaged++;
    spool_report (spool, EK_ERR, "%s: the file of this message is gone: %s/large/%s", name, spool->opt.path, name);
  }
}

bool
replay_run (Replay *r, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Found));
  EkSpool *spool = r->spool;
  CkptResult result = ckpt_load (spool, &r->ckpt, error);
  char *bytes = NULL;
  gsize room = 0;

  r->have = result == CKPT_OK;
  spool->ckpt_lost = result == CKPT_BAD;
  if (result == CKPT_BAD && r->mend)
    renameat (spool->dir, "checkpoint", spool->bad_dir, "checkpoint");
  if (result == CKPT_REFUSED || !find_segments (r, all, error)) {
    for (guint i = 0; i < all->len; i++)
      segment_free (g_array_index (all, Found, i).seg);
    return false;
  }
  for (guint i = 0; i < all->len; i++)
    read_open (spool, &g_array_index (all, Found, i));
  mark_tried (all);
  read_log (r, all, SEG_COLD, &bytes, &room);
  read_log (r, all, SEG_HOT, &bytes, &room);
  g_free (bytes);
  if (r->have) {
    r->mark = MAX (r->mark, r->ckpt.mark);
    r->lsn[SEG_HOT] = MAX (r->lsn[SEG_HOT], r->ckpt.lsn);
    r->lsn[SEG_COLD] = MAX (r->lsn[SEG_COLD], r->ckpt.cold_lsn);
  }
  place (r, all);
  replay_link (r);
  report_lost (r);
  check_files (r);
  report_orphans (r);
  return true;
}
