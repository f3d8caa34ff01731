/* scan.c - what lies in a folder against the rows of the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * Other programs rename, add and delete at any time, and reading a directory while files are
 * renamed can miss one or show it twice.  So what seems lost or double is only believed when a
 * second look says the same; what the looks disagree about is left for the next scan. */
#include "base/log.h"
#include "index/index.h"
#include <string.h>

#define LOG_MAX 5000                 /* messages of one scan that are told of */

typedef struct {
  EkStr   key, place;
  guint32 flags;
  guint32 uid;                       /* of its row; 0: new */
  guint64 letters;
  gint64  psize, vsize, arrived, date;
} Entry;

typedef struct {                     /* one look at the files */
  EkPool  *pool;
  GArray  *entries;                  /* Entry */
  guint32 *slots;                    /* hash: entry number + 1 */
  gsize    mask;
  GArray  *doubles;                  /* Entry: keys that were there already */
  EkIndex *ix;
} Look;

typedef struct {
  guint32 uid, old_flags, flags;
  guint64 keywords;
  EkStr   place;                     /* packed */
  bool    fresh, flags_changed;
} Change;

typedef struct {                     /* what a look says about the rows */
  GArray *changes;                   /* Change */
  GArray *missing;                   /* guint32 UIDs, ascending */
  bool    unknown_letters;
} Verdict;

/* ---- looking ---- */

static guint32 *
slot_for (Look *look, EkStr key)
{
  gsize i = (gsize) ek_hash64 (key.p, key.n) & look->mask;

  while (look->slots[i]) {
    const Entry *e = &g_array_index (look->entries, Entry, look->slots[i] - 1);
    if (ek_str_eq (e->key, key))
      break;
    i = (i + 1) & look->mask;
  }
  return &look->slots[i];
}

static void
grow (Look *look)
{
  gsize n = look->mask ? (look->mask + 1) * 2 : 256;

  g_free (look->slots);
  look->slots = g_new0 (guint32, n);
  look->mask = n - 1;
  for (guint i = 0; i < look->entries->len; i++)
    *slot_for (look, g_array_index (look->entries, Entry, i).key) = i + 1;
}

static bool
found (const EkFound *f, gpointer data)
{
  Look *look = data;
  Entry e = { .flags = f->flags & EK_FLAGS_STORED,
              .letters = f->letters,
              .psize = f->psize,
              .vsize = f->vsize,
              .arrived = f->arrived };

  if (look->entries->len >= G_MAXINT32 / 2)
    return false;
  if (look->entries->len * 2 >= look->mask)
    grow (look);
  guint32 *slot = slot_for (look, f->key);
  e.place = ek_pool_str (look->pool, f->place);
  e.key = ek_pool_str (look->pool, f->key);
  if (*slot == 0) {
    g_array_append_val (look->entries, e);
    *slot = look->entries->len;
    return true;
  }
  Entry *had = &g_array_index (look->entries, Entry, *slot - 1);
  if (ek_str_eq (had->place, e.place))
    return true;
  if (place_fresh (look->ix, had->place)) {        /* it was on its way */
    Entry swap = *had;
    *had = e;
    e = swap;
  }
  g_array_append_val (look->doubles, e);
  return true;
}

static void
look_clear (Look *look)
{
  g_array_unref (look->entries);
  g_array_unref (look->doubles);
  g_free (look->slots);
  ek_pool_free (look->pool);
}

static EkStatus
look_at (Box *box, Look *look, EkStamp *stamp, GError **error)
{
  EkFolder folder = BOX_FOLDER (box);

  *look = (Look) { .pool = ek_pool_new (), .ix = box->ix };
  look->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  look->doubles = g_array_new (FALSE, FALSE, sizeof (Entry));
  grow (look);
  return OP (box->ix, look->pool, error, scan, &folder, stamp, found, look);
}

/* ---- comparing ---- */

static void
compare_row (Box *box, Look *look, Verdict *v, sqlite3_stmt *st, guint scanned)
{
  guint32 uid = row_uid (sqlite3_column_int64 (st, 0));
  guint32 flags = (guint32) sqlite3_column_int64 (st, 1);
  guint64 keywords = (guint64) sqlite3_column_int64 (st, 2);
  EkStr key = db_blob (st, 3), packed = db_blob (st, 4);
  guint32 slot = *slot_for (look, key);
  Entry *e = slot ? &g_array_index (look->entries, Entry, slot - 1) : NULL;

  if (e == NULL || e->uid != 0) {                  /* nowhere, or another row has it */
    guint at
        = packed.n > 1 && place_fresh (box->ix, place_unpack (look->pool, key, packed)) ? 1 : 2;
    if (e || box->ix->ops->watch[1] == NULL || (scanned & at))
      g_array_append_val (v->missing, uid);
    return;
  }
  e->uid = uid;
  guint64 now
      = (keywords & ~keywords_letters (box, G_MAXUINT64)) | keywords_letters (box, e->letters);
  Change c = { .uid = uid,
               .old_flags = flags,
               .flags = e->flags,
               .keywords = now,
               .fresh = place_fresh (box->ix, e->place),
               .flags_changed = e->flags != flags || now != keywords };
  place_pack (look->pool, key, e->place, &c.place);
  if (c.flags_changed || !ek_str_eq (c.place, packed))
    g_array_append_val (v->changes, c);
}

/* A key that is new in the first directory may be known from the other: perhaps it was moved there in the
 * same tick of the clock that the folder's time shows. */
static EkStatus
compare_known (Box *box, Look *look, Verdict *v, guint scanned, GError **error)
{
  EkStatus status = EK_NOTFOUND;

  for (guint i = 0; i < look->entries->len && status == EK_NOTFOUND; i++) {
    const Entry *e = &g_array_index (look->entries, Entry, i);
    if (e->uid)
      continue;
    sqlite3_stmt *st = db_bind (box->ix->db, ST_MSG_BY_KEY, "iii", BOX_FIRST (box), BOX_LAST (box),
                                key_hash (e->key));
    while ((status = db_row (box->ix->db, st, error)) == EK_OK)
      if (e->uid == 0 && ek_str_eq (db_blob (st, 3), e->key))
        compare_row (box, look, v, st, scanned);
  }
  return status;
}

static EkStatus
compare (Box *box, Look *look, guint scanned, Verdict *v, GError **error)
{
  bool only_fresh = scanned == 1 && box->ix->ops->watch[1];
  sqlite3_stmt *st = db_bind (box->ix->db, only_fresh ? ST_MSG_FRESH : ST_MSG_ALL, "ii",
                              BOX_FIRST (box), BOX_LAST (box));
  EkStatus status;

  v->changes = g_array_new (FALSE, FALSE, sizeof (Change));
  v->missing = g_array_new (FALSE, FALSE, sizeof (guint32));
  guint32 rows = 0;
  for (; (status = db_row (box->ix->db, st, error)) == EK_OK; rows++)
    compare_row (box, look, v, st, scanned);
  if (status == EK_NOTFOUND && !only_fresh && rows != box->messages)
    return db_damaged (box->ix->db, "messages are missing among its rows", error);
  if (status == EK_NOTFOUND && only_fresh)
    status = compare_known (box, look, v, scanned, error);
  return status == EK_NOTFOUND ? EK_OK : status;
}

static void
verdict_clear (Verdict *v)
{
  g_clear_pointer (&v->changes, g_array_unref);
  g_clear_pointer (&v->missing, g_array_unref);
}

/* What both looks miss.  Returns whether they disagree about anything. */
static bool
intersect (GArray *a, GArray *b, GArray *both)
{
  guint i = 0, j = 0;

  while (i < a->len && j < b->len) {
    guint32 x = g_array_index (a, guint32, i), y = g_array_index (b, guint32, j);
    if (x == y)
      g_array_append_val (both, x);
    i += x <= y;
    j += y <= x;
  }
  return both->len != a->len || both->len != b->len;
}

/* One key, two files: the second becomes a message of its own.  Only what both looks saw so. */
static void
part_doubles (Box *box, Look *first, Look *second)
{
  EkFolder folder = BOX_FOLDER (box);

  for (guint i = 0; i < second->doubles->len; i++) {
    const Entry *e = &g_array_index (second->doubles, Entry, i);
    bool twice = false;
    for (guint j = 0; j < first->doubles->len; j++)
      twice |= ek_str_eq (g_array_index (first->doubles, Entry, j).place, e->place);
    EkFound made = { .psize = -1, .vsize = -1 };
    g_autoptr (GError) error = NULL;
    if (twice
        && OP (box->ix, second->pool, &error, copy, &folder, e->key, e->place, &folder, e->flags,
               e->letters, true, &made)
               != EK_OK)
      ek_log (EK_WARN, "index", "%s/%s: two messages have one name (%.*s): %s", box->ix->root,
              box->disk, EK_STR_ARG (e->key), error ? error->message : "they are gone again");
  }
}

/* ---- new messages ---- */

static gint
by_arrival (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;

  if (x->arrived != y->arrived)
    return x->arrived < y->arrived ? -1 : 1;
  int c = memcmp (x->key.p, y->key.p, MIN (x->key.n, y->key.n));
  return c ? c : (x->key.n < y->key.n ? -1 : x->key.n > y->key.n);
}

/* The only stat a message ever gets: its date, and the size when the name does not tell. */
static EkStatus
new_entries (Box *box, Look *look, GArray *fresh, bool *vanished, GError **error)
{
  EkFolder folder = BOX_FOLDER (box);

  for (guint i = 0; i < look->entries->len; i++) {
    Entry e = g_array_index (look->entries, Entry, i);
    gint64 offset, length, mtime;
    if (e.uid)
      continue;
    EkStatus status = OP (box->ix, look->pool, error, open, &folder, e.key, &e.place, NULL, &offset,
                          &length, &mtime);
    if (status == EK_NOTFOUND || status == EK_FAIL) {      /* gone, or nothing we may read */
      if (error)
        g_clear_error (error);
      *vanished |= status == EK_NOTFOUND;
      continue;
    }
    if (status != EK_OK)
      return status;
    if (e.psize != length)                         /* a hint that lies: S= is wrong, so is W= */
      e.vsize = -1;
    e.psize = length;
    e.date = mtime / G_USEC_PER_SEC;
    if (e.arrived == 0)
      e.arrived = mtime;
    g_array_append_val (fresh, e);
  }
  g_array_sort (fresh, by_arrival);
  return EK_OK;
}

/* ---- UIDs of another server ---- */

typedef struct { GHashTable *uids; EkPool *pool; } Import;

static void
imported (EkStr key, guint32 uid, gpointer data)
{
  Import *im = data;

  g_hash_table_insert (im->uids, ek_pool_strndup (im->pool, key.p, key.n), GUINT_TO_POINTER (uid));
}

/* Gives entries the UIDs they had; *uidvalidity 0: there are none to take over. */
static EkStatus
import_uids (Box *box, EkPool *pool, GArray *fresh, guint32 *uidvalidity, guint32 *uidnext,
             GError **error)
{
  g_autoptr (GHashTable) uids = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) given = g_hash_table_new (NULL, NULL);
  Import im = { uids, pool };
  EkFolder folder = BOX_FOLDER (box);

  *uidvalidity = 0;
  if (!box->import || box->ix->ops->import == NULL)
    return EK_OK;
  EkStatus status = OP (box->ix, pool, error, import, &folder, uidvalidity, uidnext, imported, &im);
  if (status != EK_OK) {
    *uidvalidity = 0;
    return status == EK_NOTFOUND ? EK_OK : status;
  }
  for (guint i = 0; i < fresh->len; i++) {
    Entry *e = &g_array_index (fresh, Entry, i);
    g_autofree char *key = g_strndup (e->key.p, e->key.n);
    gpointer uid = g_hash_table_lookup (uids, key);
    if (uid == NULL || GPOINTER_TO_UINT (uid) >= *uidnext || !g_hash_table_add (given, uid))
      continue;
    e->uid = GPOINTER_TO_UINT (uid);
  }
  return EK_OK;
}

static gint
by_uid (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;

  return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Begins the transaction.  Every new entry gets a UID; those of another server keep theirs, in
 * their order.  Where nothing but the stamp is new, no number is reserved and nothing synced. */
static EkStatus
number_entries (Box *box, EkPool *pool, GArray *fresh, bool changes, GError **error)
{
  guint32 uidvalidity = 0, uidnext = 1;
  EkStatus status = EK_OK;

  if (box->uidvalidity == 0) {
    status = import_uids (box, pool, fresh, &uidvalidity, &uidnext, error);
    if (status == EK_OK && uidvalidity)
      status = index_uidvalidity_taken (box->ix, uidvalidity, error);
    else if (status == EK_OK)
      status = index_uidvalidity (box->ix, &uidvalidity, error);
    if (status != EK_OK)
      return status;
    box->uidnext = MAX (box->uidnext, uidnext);
    box->import = false;
  } else
    uidvalidity = box->uidvalidity;
  status = changes || fresh->len > 0 ? index_begin (box->ix, box, fresh->len, error)
                                     : index_begin_cache (box->ix, error);
  if (status != EK_OK)
    return status;
  box->uidvalidity = uidvalidity;
  for (guint i = 0; i < fresh->len; i++) {
    Entry *e = &g_array_index (fresh, Entry, i);
    if (e->uid == 0)
      e->uid = box->uidnext++;
  }
  g_array_sort (fresh, by_uid);
  return EK_OK;
}

/* ---- writing it down ---- */

static EkStatus
write_changes (Box *box, GArray *changes, guint64 *modseq, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < changes->len && status == EK_OK; i++) {
    const Change *c = &g_array_index (changes, Change, i);
    gint64 id = row_id (box->id, c->uid);
    if (!c->flags_changed) {
      status = db_run (box->ix->db, error, ST_MSG_PLACE, "iib", id, (gint64) c->fresh, c->place);
      continue;
    }
    if (*modseq == 0)
      *modseq = index_modseq (box->ix);
    status = db_run (box->ix->db, error, ST_MSG_FLAGS, "iiiiib", id, (gint64) *modseq,
                     (gint64) c->flags, (gint64) c->keywords, (gint64) c->fresh, c->place);
    box_recount (box, c->old_flags, c->flags);
    box->modseq = *modseq;
  }
  return status;
}

/* The sizes of what goes are needed for the counts. */
static EkStatus
write_missing (Box *box, EkPool *pool, GArray *missing, guint64 *modseq, GError **error)
{
  EkStatus status = EK_OK;

  if (missing->len == 0)
    return EK_OK;
  if (*modseq == 0)
    *modseq = index_modseq (box->ix);
  for (guint i = 0; i < missing->len && status == EK_OK; i++) {
    Msg msg;
    status = msg_get (box, g_array_index (missing, guint32, i), pool, &msg, error);
    if (status == EK_OK)
      box_count (box, msg.flags, msg.vsize, -1);
    else if (status == EK_NOTFOUND)
      status = EK_OK;
  }
  return status == EK_OK ? box_expunged (box, missing, *modseq, error) : status;
}

static EkStatus
write_new (Box *box, GArray *fresh, guint64 *modseq, GError **error)
{
  EkStatus status = EK_OK;

  if (fresh->len > 0 && *modseq == 0)
    *modseq = index_modseq (box->ix);
  for (guint i = 0; i < fresh->len && status == EK_OK; i++) {
    const Entry *e = &g_array_index (fresh, Entry, i);
    Msg msg = { .uid = e->uid,
                .flags = e->flags,
                .keywords = keywords_letters (box, e->letters),
                .modseq = *modseq,
                .psize = e->psize,
                .vsize = e->vsize,
                .date = e->date,
                .key = e->key,
                .place = e->place };
    status = msg_add (box, &msg, error);
  }
  return status;
}

/* Whoever follows a message by its queue id learns the UID.  No flood: an index that is made anew tells of the
 * newest ones, and the log is given time. */
static void
log_new (Box *box, GArray *fresh)
{
  guint n = 0;

  for (guint i = fresh->len > LOG_MAX ? fresh->len - LOG_MAX : 0; i < fresh->len; i++) {
    const Entry *e = &g_array_index (fresh, Entry, i);
    if (delivery_log_indexed (box, e->key, e->uid) && ++n % 32 == 0 && !ek_log_wait (100))
      return;
  }
}

static EkStatus
write_down (Box *box, Look *look, Verdict *v, GArray *missing, const EkStamp *stamp, GError **error)
{
  g_autoptr (GArray) fresh = g_array_new (FALSE, FALSE, sizeof (Entry));
  bool vanished = false;
  guint64 modseq = 0, letters = 0;

  EkStatus status = new_entries (box, look, fresh, &vanished, error);
  if (status != EK_OK)
    return status;
  bool same = box->uidvalidity && !vanished && fresh->len + missing->len + v->changes->len == 0;
  if (same && memcmp (box->stamp.word, stamp->word, sizeof stamp->word) == 0) {
    box->stamp = *stamp;                           /* nothing that is worth a write */
    return EK_OK;
  }
  for (guint i = 0; i < look->entries->len; i++)
    letters |= g_array_index (look->entries, Entry, i).letters;
  if (letters && box->keywords)                    /* perhaps a new line in the folder's table */
    g_clear_pointer (&box->keywords, g_ptr_array_unref);
  status = number_entries (box, look->pool, fresh, v->changes->len + missing->len > 0, error);
  if (status != EK_OK)
    return status;
  status = write_changes (box, v->changes, &modseq, error);
  if (status == EK_OK)
    status = write_missing (box, look->pool, missing, &modseq, error);
  if (status == EK_OK)
    status = write_new (box, fresh, &modseq, error);
  box->stamp = *stamp;
  box->stamp.scanned = 0;
  if (vanished)
    memset (&box->stamp, 0, sizeof box->stamp);
  if (status == EK_OK)
    status = box_save (box, error);
  if (status == EK_OK)
    status = index_commit (box->ix, error);
  else
    index_abort (box->ix);
  if (status == EK_OK)
    log_new (box, fresh);
  return status;
}

/* Whether anything changed since the stamp was taken. */
static bool
disturbed (Box *box, EkPool *pool, const EkStamp *stamp)
{
  EkFolder folder = BOX_FOLDER (box);
  EkStamp now = *stamp;

  return OP (box->ix, pool, NULL, scan, &folder, &now, NULL, NULL) != EK_OK ||
         memcmp (now.word, stamp->word, sizeof now.word) != 0;
}

static bool
is_doubtful (Box *box, EkPool *pool, guint32 uid, bool *asked)
{
  Msg msg;

  return msg_get (box, uid, pool, &msg, NULL) == EK_OK && delivery_may_come (box->ix, msg.key, asked);
}

/* Takes out of `missing` what the queue may deliver once more; true: there is such. */
static bool
keep_doubtful (Box *box, EkPool *pool, GArray *missing)
{
  bool asked = false;
  guint kept = 0;

  for (guint i = 0; i < missing->len; i++)
    (void) is_doubtful (box, pool, g_array_index (missing, guint32, i), &asked);
  if (asked)
    deliveries_await_answers (box->ix->set);
  for (guint i = 0; i < missing->len; i++) {
    guint32 uid = g_array_index (missing, guint32, i);
    if (is_doubtful (box, pool, uid, &asked))
      kept++;
    else
      g_array_index (missing, guint32, i - kept) = uid;
  }
  g_array_set_size (missing, missing->len - kept);
  return kept > 0;
}

/* A second, full look: what the first one missed must be missed again, while nobody changes
 * anything. */
static EkStatus
second_look (Box *box, Look *first, Verdict *was, GError **error)
{
  g_autoptr (GArray) missing = g_array_new (FALSE, FALSE, sizeof (guint32));
  EkStamp stamp = { 0 };
  Verdict v = { 0 };
  Look look;

  EkStatus status = look_at (box, &look, &stamp, error);
  if (status == EK_OK)
    status = compare (box, &look, stamp.scanned, &v, error);
  if (status == EK_OK) {
    bool again = intersect (was->missing, v.missing, missing) || look.doubles->len > 0;
    if (missing->len + look.doubles->len > 0 && disturbed (box, look.pool, &stamp)) {
      g_array_set_size (missing, 0);
      again = true;
    } else
      part_doubles (box, first, &look);
    box->doubtful = keep_doubtful (box, look.pool, missing);
    if (again || box->doubtful)
      memset (&stamp, 0, sizeof stamp);
    stamp.dirty |= box->doubtful;                  /* views look again soon */
    status = write_down (box, &look, &v, missing, &stamp, error);
  }
  verdict_clear (&v);
  look_clear (&look);
  return status;
}

EkStatus
box_scan (Box *box, GError **error)
{
  EkIndexes *set = box->ix->set;
  EkStamp stamp = box->stamp;
  Verdict v = { 0 };
  Look look;

  pthread_mutex_lock (&set->lock);
  if (box->touched != box->ix->touched)
    memset (&stamp, 0, sizeof stamp);
  box->touched = box->ix->touched;
  pthread_mutex_unlock (&set->lock);
  EkStatus status = look_at (box, &look, &stamp, error);
  if (status == EK_OK && (stamp.scanned || box->uidvalidity == 0)) {
    status = compare (box, &look, stamp.scanned, &v, error);
    box->doubtful = false;
    if (status == EK_OK && (v.missing->len > 0 || look.doubles->len > 0))
      status = second_look (box, &look, &v, error);
    else if (status == EK_OK)
      status = write_down (box, &look, &v, v.missing, &stamp, error);
    verdict_clear (&v);
  }
  look_clear (&look);
  return status;
}
