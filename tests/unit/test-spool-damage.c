/* test-spool-damage.c - flipped bits, torn tails, stale and foreign segments, fsck
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lib/spoolrig.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_MESSAGES 6u

typedef struct {
  char        *dir, *seg;            /* the one segment with records */
  SpoolOptions options;
  EkQueueId    ids[N_MESSAGES];
  char        *bytes;                /* of that segment, as it was */
  gsize        size;
  GArray      *recs;                 /* RecHead and offset of each record */
} Fix;

typedef struct { guint64 off; RecHead head; } At;

/* What a reader makes of the folder, without changing it. */
typedef struct {
  Replay   r;
  EkSpool *spool;
  GString *reports;
} Look;

static void
no_wake (gpointer user)
{
}

static void
report (gpointer user, EkLevel level, const char *text)
{
  g_string_append_printf (((Look *) user)->reports, "%d %s\n", level, text);
}

static bool
look (Fix *fix, Look *out)
{
  EkSpoolHost host = { .user = out, .wake = no_wake, .report = report };
  g_autoptr (GError) error = NULL;

  *out = (Look) { .reports = g_string_new (NULL) };
  out->spool = spool_new (&fix->options, &host);
  replay_begin (&out->r, out->spool);
  bool good = dirs_open (out->spool, false, &error) && replay_run (&out->r, &error);
  if (!good)
    g_string_append (out->reports, error->message);
  return good;
}

static void
look_end (Look *out)
{
  replay_end (&out->r);
  spool_free (out->spool);
  g_string_free (out->reports, TRUE);
}

static void
put (Fix *fix, guint64 off, const void *bytes, gsize n)
{
  int fd = open (fix->seg, O_WRONLY | O_CLOEXEC);

  g_assert_true (pwrite_all (fd, bytes, n, off));
  close (fd);
}

static void
find_records (Fix *fix)
{
  fix->recs = g_array_new (FALSE, FALSE, sizeof (At));
  SegHead *head = (SegHead *) (void *) fix->bytes;
  Scan scan = { .bytes = fix->bytes, .size = fix->size, .seq = head->seq, .salt = head->salt };
  ScanRec rec;

  for (guint64 off = SPOOL_FIRST; scan_record (&scan, off, &rec); off += rec_size (rec.head.meta_len, rec.head.body_len)) {
    At at = { off, rec.head };
    g_array_append_val (fix->recs, at);
  }
}

/* Submits, defers one, retires another; the segment is then read into memory. */
static void
set_up (Fix *fix, gconstpointer data)
{
  Rig rig = { 0 };
  g_autoptr (GError) error = NULL;
  char body[32];

  fix->dir = g_dir_make_tmp ("ekspool-XXXXXX", NULL);
  fix->options = rig_options (fix->dir);
  rig_open (&rig, &fix->options, 1000, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N_MESSAGES; i++) {
    g_snprintf (body, sizeof body, "body of %u", i);
    fix->ids[i] = rig_submit (&rig, "s@example.org", "r@example.com", ek_str (body));
  }
  EkSpoolAct held = { .type = EK_ACT_HOLD, .rcpt = 0, .text = EK_STR ("why") }, retire = { .type = EK_ACT_RETIRE };
  g_assert_cmpint (rig_act (&rig, spool_find (rig.spool, fix->ids[2]), &held, true), ==, EK_OK);
  g_assert_cmpint (rig_act (&rig, spool_find (rig.spool, fix->ids[4]), &retire, true), ==, EK_OK);
  fix->seg = g_build_filename (fix->dir, "seg", rig.spool->hot_last->name, NULL);
  rig_close (&rig);
  g_assert_true (g_file_get_contents (fix->seg, &fix->bytes, &fix->size, NULL));
  find_records (fix);
  g_assert_cmpuint (fix->recs->len, >=, N_MESSAGES + 4);
}

static void
tear_down (Fix *fix, gconstpointer data)
{
  rig_rmtree (fix->dir);
  g_free (fix->dir);
  g_free (fix->seg);
  g_free (fix->bytes);
  g_array_unref (fix->recs);
}

static guint64
rec_end (const At *at)
{
  return at->off + rec_size (at->head.meta_len, at->head.body_len);
}

/* Does anything after record i know that it was synced? */
static bool
witnessed (const Fix *fix, guint i)
{
  guint64 before = i ? g_array_index (fix->recs, At, i - 1).head.lsn : 0;

  for (guint k = i + 1; k < fix->recs->len; k++)
    if (g_array_index (fix->recs, At, k).head.synced > before)
      return true;
  return false;
}

static guint
expected (const Fix *fix, guint from, guint hit, bool torn, EkQueueId id, bool *held)
{
  bool live = false;

  *held = false;
  for (guint i = from; i < fix->recs->len; i++) {
    const RecHead *head = &g_array_index (fix->recs, At, i).head;
    if (i == hit && torn)
      break;
    if (i == hit || head->id != id)
      continue;
    if (head->type == REC_SUBMIT)
      live = true;
    else if (head->type == REC_ACTS && id == fix->ids[4])
      live = false;
    else if (head->type == REC_ACTS)
      *held = live;
  }
  return live;
}

static void
flip (Fix *fix, guint hit, guint64 off, int bit)
{
  char c = (char) (fix->bytes[off] ^ 1 << bit);
  bool torn = !witnessed (fix, hit), held;
  Look out;

  put (fix, off, &c, 1);
  g_assert_true (look (fix, &out));
  if (torn) {
    g_assert_cmpuint (out.r.n_damaged, ==, 0);
  } else {
    g_assert_cmpuint (out.r.n_damaged, ==, 1);
    g_assert_nonnull (strstr (out.reports->str, "damaged from"));
  }
  for (guint i = 0; i < N_MESSAGES; i++) {
    EkSpoolMessage *message = spool_find (out.spool, fix->ids[i]);
    g_assert_cmpint (message != NULL, ==, expected (fix, 0, hit, torn, fix->ids[i], &held));
    if (message)
      g_assert_cmpint (message->rcpts[0].held, ==, held);
  }
  look_end (&out);
  put (fix, off, fix->bytes + off, 1);
}

/* Each byte of each header, and the edges of what follows it. */
static void
test_flips (Fix *fix, gconstpointer data)
{
  for (guint i = 0; i < fix->recs->len; i++) {
    const At *at = &g_array_index (fix->recs, At, i);
    guint64 meta = at->off + sizeof (RecHead), body = meta + at->head.meta_len, end = body + at->head.body_len;
    for (guint64 off = at->off; off < meta; off++)
      flip (fix, i, off, (int) (off % 8));
    if (at->head.meta_len) {
      flip (fix, i, meta, 7);
      flip (fix, i, body - 1, 0);
      flip (fix, i, meta + at->head.meta_len / 2, 3);
    }
    if (at->head.body_len) {
      flip (fix, i, body, 1);
      flip (fix, i, end - 1, 6);
    }
  }
  /* Bytes that nobody reads change nothing: padding, and the free part behind the last record. */
  const At *last = &g_array_index (fix->recs, At, fix->recs->len - 1);
  char c = 0x55;
  Look out;
  put (fix, rec_end (last) + 200, &c, 1);
  g_assert_true (look (fix, &out));
  g_assert_cmpuint (g_hash_table_size (out.spool->table), ==, N_MESSAGES - 1);
  g_assert_cmpuint (out.r.torn, ==, 0);
  look_end (&out);
}

/* The tail is missing from each possible place on: what is left is a prefix, and no alarm but for
 * what is known to have been synced. */
static void
test_torn (Fix *fix, gconstpointer data)
{
  const At *last = &g_array_index (fix->recs, At, fix->recs->len - 1);
  g_autofree char *zeros = g_malloc0 (fix->size);
  Look out;
  bool held;

  for (guint64 off = rec_end (last) - SPOOL_ALIGN; off > SPOOL_FIRST; off -= SPOOL_ALIGN) {
    guint first = 0;
    while (rec_end (&g_array_index (fix->recs, At, first)) <= off)
      first++;
    put (fix, off, zeros, rec_end (last) - off);
    g_assert_true (look (fix, &out));
    g_assert_cmpuint (out.r.n_damaged, ==, 0);
    for (guint i = 0; i < N_MESSAGES; i++)
      g_assert_cmpint (spool_find (out.spool, fix->ids[i]) != NULL, ==,
                       expected (fix, 0, first, true, fix->ids[i], &held));
    look_end (&out);
  }
}

/* What lies behind the end is not believed: an older record of this segment again, one of another use. */
static void
test_stale (Fix *fix, gconstpointer data)
{
  const At *first = &g_array_index (fix->recs, At, 2), *last = &g_array_index (fix->recs, At, fix->recs->len - 1);
  gsize n = rec_end (first) - first->off;
  g_autofree char *copy = g_memdup2 (fix->bytes + first->off, n);
  RecHead *head = (RecHead *) (void *) copy;
  Look out;

  put (fix, rec_end (last), copy, n);
  g_assert_true (look (fix, &out));
  g_assert_cmpuint (g_hash_table_size (out.spool->table), ==, N_MESSAGES - 1);
  g_assert_cmpuint (out.r.n_damaged, ==, 0);
  look_end (&out);
  head->lsn = last->head.lsn + 1;                /* a good place in the order, but of another life: another salt */
  head->id ^= 0x100;
  memcpy (copy + sizeof *head, &head->id, sizeof head->id);
  head->crc = rec_crc (head, ((SegHead *) (void *) fix->bytes)->salt + 1, copy + sizeof *head);
  put (fix, rec_end (last), copy, n);
  g_assert_true (look (fix, &out));
  g_assert_cmpuint (g_hash_table_size (out.spool->table), ==, N_MESSAGES - 1);
  g_assert_cmpuint (out.r.n_damaged, ==, 0);
  look_end (&out);
}

static void
put_heads (Fix *fix, SegHead head, bool seal)
{
  if (seal) {
    head.crc = 0;
    head.crc = ek_crc32c (0, &head, sizeof head);
  }
  put (fix, 0, &head, sizeof head);
  put (fix, fix->size - SPOOL_FIRST, &head, sizeof head);
}

static void
test_headers (Fix *fix, gconstpointer data)
{
  SegHead good, head;
  Look out;

  memcpy (&good, fix->bytes, sizeof good);
  memset (&head, 0, sizeof head);
  put (fix, 0, &head, sizeof head);              /* one copy is enough */
  g_assert_true (look (fix, &out));
  g_assert_cmpuint (g_hash_table_size (out.spool->table), ==, N_MESSAGES - 1);
  look_end (&out);
  head = good;
  head.version = SPOOL_VERSION + 1;
  put_heads (fix, head, true);
  g_assert_false (look (fix, &out));
  g_assert_nonnull (strstr (out.reports->str, "newer Ekiden (format 2, this one knows 1)"));
  look_end (&out);
  head = good;
  head.order = GUINT32_SWAP_LE_BE (head.order);
  put_heads (fix, head, false);
  g_assert_false (look (fix, &out));
  g_assert_nonnull (strstr (out.reports->str, "other byte order"));
  look_end (&out);
  head = good;
  head.salt ^= 1;                                /* unreadable: quarantined, and the spool still opens */
  put_heads (fix, head, false);
  Rig rig = { 0 };
  g_assert_true (rig_open (&rig, &fix->options, 1000, NULL));
  g_assert_cmpuint (rig.live->len, ==, 0);
  g_assert_cmpuint (rig.alarms, >=, 1);
  g_assert_nonnull (strstr (rig.reports->str, "no readable header: moved to quarantine"));
  g_assert_cmpuint (rig_submit (&rig, "a", "b", EK_STR ("c")), !=, 0);
  rig_close (&rig);
  g_autofree char *name = g_path_get_basename (fix->seg);
  g_autofree char *moved = g_build_filename (fix->dir, "quarantine", name, NULL);
  g_assert_true (g_file_test (moved, G_FILE_TEST_EXISTS));
}

static char *
fsck (Fix *fix, bool mend, bool json, int want)
{
  char *text = NULL;
  size_t n;
  FILE *out = open_memstream (&text, &n);
  int code = spool_fsck_run (fix->dir, mend, json, out);

  fclose (out);
  if (code != want)
    g_test_message ("%s", text);
  g_assert_cmpint (code, ==, want);
  return text;
}

/* fsck finds, mends, and finds nothing more; what was mended opens without a word. */
static void
test_fsck (Fix *fix, gconstpointer data)
{
  const At *hit = &g_array_index (fix->recs, At, 4), *last = &g_array_index (fix->recs, At, fix->recs->len - 1);
  char c = (char) ~fix->bytes[hit->off + 20];
  char *text;

  free (fsck (fix, false, false, 0));
  put (fix, hit->off + 20, &c, 1);
  RecHead torn = { .magic = SPOOL_REC_MAGIC, .seq = last->head.seq, .meta_len = 100 };
  put (fix, rec_end (last), &torn, sizeof torn);
  text = fsck (fix, false, false, 4);
  g_assert_nonnull (strstr (text, "result=damaged"));
  g_assert_nonnull (strstr (text, "torn_bytes=192"));
  free (text);
  text = fsck (fix, true, true, 1);
  g_assert_nonnull (strstr (text, "\"result\":\"mended\""));
  free (text);
  text = fsck (fix, false, false, 0);
  g_assert_nonnull (strstr (text, "checkpoint=good result=clean"));
  free (text);
  g_autofree char *name = g_path_get_basename (fix->seg);
  g_autofree char *kept = g_strdup_printf ("%s/quarantine/%s-%" G_GUINT64_FORMAT ".rec", fix->dir, name, hit->off);
  g_assert_true (g_file_test (kept, G_FILE_TEST_EXISTS));
  Rig rig = { 0 };
  g_assert_true (rig_open (&rig, &fix->options, 1000, NULL));
  g_assert_cmpuint (rig.alarms, ==, 0);
  g_assert_cmpuint (rig.live->len, ==, N_MESSAGES - 2);
  text = fsck (fix, false, false, 8);            /* in use */
  g_assert_nonnull (strstr (text, "another process has this spool open"));
  free (text);
  rig_close (&rig);
}

/* Each file of the folder is told once, spare ones and a log's newest that waits for its first record too. */
static void
test_fsck_once (Fix *fix, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (fix->dir, "seg", NULL), *newest = g_build_filename (folder, "99.seg", NULL);
  SegHead head = *(SegHead *) (void *) fix->bytes;
  const char *name;
  guint n = 0;

  g_autofree char *bytes = g_malloc0 (head.size);
  head.seq = 99;
  head.salt++;
  seg_head_seal (&head);
  memcpy (bytes, &head, sizeof head);
  g_assert_true (g_file_set_contents (newest, bytes, (gssize) head.size, NULL));
  char *text = fsck (fix, false, true, 0);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_assert_nonnull (dir);
  for (; (name = g_dir_read_name (dir)) != NULL; n++) {
    g_autofree char *key = g_strdup_printf ("\"segment\":\"%s\"", name);
    const char *first = strstr (text, key);
    g_test_message ("%s", name);
    g_assert_nonnull (first);
    g_assert_null (strstr (first + 1, key));
  }
  g_assert_cmpuint (n, >=, 2);
  free (text);
}

/* A message whose bytes go bad on the disk: FAIL, an alarm, the others are read. */
static void
test_body (Fix *fix, gconstpointer data)
{
  Rig rig = { 0 };

  fix->options.retain = 0;
  g_assert_true (rig_open (&rig, &fix->options, 1000, NULL));
  EkSpoolMessage *bad = spool_find (rig.spool, fix->ids[1]), *good = spool_find (rig.spool, fix->ids[2]);
  put (fix, MESSAGE (bad)->body_off + 2, "\xff", 1);
  g_assert_null (rig_content (&rig, bad, NULL));
  g_assert_cmpuint (rig.alarms, ==, 1);
  g_assert_nonnull (strstr (rig.reports->str, "bytes of this message are damaged"));
  g_autofree char *text = rig_content (&rig, good, NULL);
  g_assert_cmpstr (text, ==, "body of 2");
  /* It leaves the hot log with what is known of it, and stays known as damaged. */
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0, .text = EK_STR ("x") };
  g_assert_cmpint (rig_act (&rig, bad, &defer, true), ==, EK_OK);
  for (int i = 0; i < 200 && bad && MESSAGE (bad)->seg->kind == SEG_HOT; i++)
    rig_turn (&rig, 10);
  g_assert_cmpint (MESSAGE (bad)->seg->kind, ==, SEG_COLD);
  rig_close (&rig);
  g_assert_true (rig_open (&rig, &fix->options, 1000, NULL));
  bad = spool_find (rig.spool, fix->ids[1]);
  g_assert_nonnull (bad);
  g_assert_null (rig_content (&rig, bad, NULL));
  rig_close (&rig);
}

/* A message that the checkpoint knows and no segment has any more is named. */
static void
test_lost (Fix *fix, gconstpointer data)
{
  const At *hit = &g_array_index (fix->recs, At, 4);
  char c = (char) ~fix->bytes[hit->off + 20], id[EK_QUEUE_ID_LEN + 1];
  EkBuf buf = { 0 };
  Look out;

  g_assert_true (look (fix, &out));              /* a checkpoint of how it is */
  ckpt_begin (&buf);
  for (Message *message = out.spool->first; message; message = message->next)
    ckpt_entry (&buf, message);
  ckpt_finish (out.spool, &buf, out.r.lsn[SEG_HOT], 0, N_MESSAGES - 1);
  g_assert_true (ckpt_store (out.spool, &buf, NULL));
  ek_buf_release (&buf);
  look_end (&out);
  put (fix, hit->off + 20, &c, 1);
  g_assert_true (look (fix, &out));
  g_assert_cmpuint (out.r.n_lost, ==, 1);
  ek_queue_id_text (hit->head.id, id);
  g_assert_nonnull (strstr (out.reports->str, id));
  look_end (&out);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/spool/damage/flips", Fix, NULL, set_up, test_flips, tear_down);
  g_test_add ("/spool/damage/torn", Fix, NULL, set_up, test_torn, tear_down);
  g_test_add ("/spool/damage/stale", Fix, NULL, set_up, test_stale, tear_down);
  g_test_add ("/spool/damage/headers", Fix, NULL, set_up, test_headers, tear_down);
  g_test_add ("/spool/damage/fsck", Fix, NULL, set_up, test_fsck, tear_down);
  g_test_add ("/spool/damage/fsck-once", Fix, NULL, set_up, test_fsck_once, tear_down);
  g_test_add ("/spool/damage/body", Fix, NULL, set_up, test_body, tear_down);
  g_test_add ("/spool/damage/lost", Fix, NULL, set_up, test_lost, tear_down);
  return g_test_run ();
}
