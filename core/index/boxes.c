/* boxes.c - the table of mailboxes, and how it follows the folders on disk
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <errno.h>
#include <string.h>

#define GONE_MAX 20000               /* rows of the expunge log kept for one mailbox */

void
box_free (gpointer p)
{
  Box *box = p;

  if (box->keywords)
    g_ptr_array_unref (box->keywords);
  g_free (box->name);
  g_free (box->disk);
  g_free (box->special);
  g_free (box);
}

static void
row_read (sqlite3_stmt *st, Box *box)
{
  EkStr stamp = db_blob (st, 15);

  g_free (box->name);
  g_free (box->disk);
  g_free (box->special);
  box->name = g_strdup ((const char *) sqlite3_column_text (st, 1));
  EkStr disk = db_blob (st, 2);
  box->disk = g_strndup (disk.p, disk.n);
  g_strlcpy (box->guid, (const char *) sqlite3_column_text (st, 3), sizeof box->guid);
  box->special = g_strdup ((const char *) sqlite3_column_text (st, 4));
  box->import = sqlite3_column_int (st, 5) != 0;
  box->uidvalidity = (guint32) sqlite3_column_int64 (st, 6);
  box->uidnext = box->uid_ceiling = MAX (1, (guint32) sqlite3_column_int64 (st, 7));
  box->recent = (guint32) sqlite3_column_int64 (st, 8);
  box->modseq = MAX ((guint64) sqlite3_column_int64 (st, 9), box->ix->modseq_floor);
  box->messages = (guint32) sqlite3_column_int64 (st, 10);
  box->unseen = (guint32) sqlite3_column_int64 (st, 11);
  box->deleted = (guint32) sqlite3_column_int64 (st, 12);
  box->size = (guint64) sqlite3_column_int64 (st, 13);
  box->unsized = (guint32) sqlite3_column_int64 (st, 14);
  memset (&box->stamp, 0, sizeof box->stamp);
  if (stamp.n == sizeof box->stamp)
    memcpy (&box->stamp, stamp.p, stamp.n);
  box->gone_floor = (guint64) sqlite3_column_int64 (st, 16);
  box->gone_modseq = (guint64) sqlite3_column_int64 (st, 17);
  g_clear_pointer (&box->keywords, g_ptr_array_unref);
}

/* With values that cannot be, a mailbox would be stuck for good: a UIDVALIDITY above the stamp, UIDs at their end, an
 * INBOX in another place than its own. */
static bool
row_sane (const EkIndex *ix, sqlite3_stmt *st)
{
  gint64 id = sqlite3_column_int64 (st, 0), uidvalidity = sqlite3_column_int64 (st, 6);
  gint64 uidnext = sqlite3_column_int64 (st, 7), modseq = sqlite3_column_int64 (st, 9);
  gint64 messages = sqlite3_column_int64 (st, 10);
  guint32 largest = ix->uidvalidity_stamp ? ix->uidvalidity_stamp : G_MAXUINT32;     /* 0: somebody removed it */

  const char *name = (const char *) sqlite3_column_text (st, 1);

  return name && (strcmp (name, "INBOX") == 0) == (db_blob (st, 2).n == 0) && sqlite3_column_text (st, 3) && id > 0 && id <= G_MAXINT32
         && uidvalidity >= 0 && uidvalidity <= largest && uidnext > 0 && uidnext <= UID_MAX
         && modseq >= 0 && (guint64) modseq <= ix->modseq_ceiling && messages >= 0 && messages < uidnext;
}

EkStatus
boxes_load (EkIndex *ix, GError **error)
{
  g_autoptr (GHashTable) there = g_hash_table_new (NULL, NULL);
  sqlite3_stmt *st = db_bind (ix->db, ST_BOX_ALL, "");
  EkStatus status;

  while ((status = db_row (ix->db, st, error)) == EK_OK) {
    gpointer id = GUINT_TO_POINTER ((guint) sqlite3_column_int64 (st, 0));
    Box *box = g_hash_table_lookup (ix->boxes, id);
    if (!row_sane (ix, st)) {
      sqlite3_reset (st);
      return db_damaged (ix->db, "a mailbox has values that cannot be", error);
    }
    if (box == NULL) {
      box = g_new0 (Box, 1);
      box->ix = ix;
      box->id = GPOINTER_TO_UINT (id);
      g_hash_table_insert (ix->boxes, id, box);
    }
    row_read (st, box);
    g_hash_table_add (there, id);
  }
  if (status != EK_NOTFOUND)
    return status;
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    if (!g_hash_table_contains (there, id))
      g_hash_table_iter_remove (&iter);
  return EK_OK;
}

/* ---- following the disk ---- */

typedef struct {
  EkIndex    *ix;
  EkPool     *pool;
  GHashTable *disks, *names;         /* disk → name, both in pool; the names seen */
} Listing;

static void
listed (const char *disk, EkStr name, bool selectable, gpointer data)
{
  Listing *l = data;
  char *copy = ek_pool_strndup (l->pool, name.p, name.n);

  if (!selectable)
    return;
  if (!g_hash_table_add (l->names, copy)) {
    g_autofree char *shown = name_external (l->ix->set->config.separator, copy);
    ek_log (EK_WARN, "index",
            "%s: the folder %s has the same name as another one (%s) and is not shown: rename it",
            l->ix->root, disk, shown);
    return;
  }
  g_hash_table_insert (l->disks, ek_pool_strdup (l->pool, disk), copy);
}

static EkStatus
list_disk (EkIndex *ix, EkPool *pool, GHashTable **disks, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  Listing l = { ix, pool, g_hash_table_new (g_str_hash, g_str_equal), names };

  *disks = l.disks;
  return OP (ix, pool, error, list, ix->root, listed, &l);
}

static EkStatus
drop_lost (EkIndex *ix, GHashTable *disks, GError **error)
{
  g_autoptr (GPtrArray) lost = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer box;
  EkStatus status = EK_OK;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &box))
    if (!g_hash_table_contains (disks, ((Box *) box)->disk))
      g_ptr_array_add (lost, box);
  if (lost->len == 0)
    return EK_OK;
  g_autoptr (EkPool) pool = ek_pool_new ();        /* only when a second look agrees */
  g_autoptr (GHashTable) again = NULL;
  status = list_disk (ix, pool, &again, error);
  for (guint i = 0; i < lost->len && status == EK_OK; i++)
    if (!g_hash_table_contains (again, ((Box *) lost->pdata[i])->disk)) {
      status = index_begin_cache (ix, error);
      if (status == EK_OK)
        status = box_drop (lost->pdata[i], error);
      if (status == EK_OK)
        status = index_commit (ix, error);
      else
        index_abort (ix);
    }
  return status;
}

EkStatus
boxes_refresh (EkIndex *ix, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GHashTable) disks = NULL, names = NULL, known = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer p, name;

  EkStatus status = list_disk (ix, pool, &disks, error);
  if (status == EK_NOTFOUND || (status == EK_OK && !g_hash_table_contains (disks, ""))) {
    EkFolder inbox = { ix->root, "" };
    status = OP (ix, pool, error, create, &inbox);
    g_hash_table_insert (disks, (gpointer) "", (gpointer) "INBOX");
  }
  if (status == EK_OK)
    status = drop_lost (ix, disks, error);
  if (status != EK_OK)
    return status;
  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &p))
    g_hash_table_add (known, ((Box *) p)->disk);
  names = boxes_by_name (ix);
  g_hash_table_iter_init (&iter, disks);
  while (status == EK_OK && g_hash_table_iter_next (&iter, &p, &name)) {
    Box *box;
    if (g_hash_table_contains (known, p) || g_hash_table_contains (names, name))
      continue;                                    /* or the name lay elsewhere on disk before */
    status = box_add (ix, name, p, NULL, false, &box, error);
  }
  return status;
}

/* ---- finding ---- */

Box *
box_find (EkIndex *ix, const char *name)
{
  GHashTableIter iter;
  gpointer box;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &box))
    if (strcmp (((Box *) box)->name, name) == 0)
      return box;
  return NULL;
}

GHashTable *
boxes_by_name (EkIndex *ix)
{
  GHashTable *names = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer box;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &box))
    g_hash_table_insert (names, ((Box *) box)->name, box);
  return names;
}

EkStatus
box_lookup (EkIndex *ix, const char *name, Box **box, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) ignored = NULL;
  char *disk = NULL;

  *box = box_find (ix, name);
  if (*box)
    disk = (*box)->disk;
  else if (strcmp (name, "INBOX") != 0 && OP (ix, pool, &ignored, disk_name, ek_str (name), &disk) != EK_OK)
    disk = NULL;                                   /* a folder with a broken name may be shown so */
  g_clear_error (&ignored);
  EkFolder folder = { ix->root, disk };
  EkStatus there = disk ? OP (ix, pool, &ignored, exists, &folder) : EK_DEFER;
  if (there == (*box ? EK_OK : EK_NOTFOUND))
    return there;
  EkStatus status = boxes_refresh (ix, error);     /* somebody else made it, or took it away; or the row is damaged */
  if (status != EK_OK)
    return status;
  *box = box_find (ix, name);
  return *box ? EK_OK : EK_NOTFOUND;
}

EkStatus
box_by_id (EkIndex *ix, guint32 id, const char *guid, Box **box)
{
  *box = g_hash_table_lookup (ix->boxes, GUINT_TO_POINTER (id));
  return *box && strcmp ((*box)->guid, guid) == 0 ? EK_OK : EK_NOTFOUND;
}

/* ---- rows ---- */

EkStatus
box_add (EkIndex *ix, const char *name, const char *disk, const char *special, bool import,
         Box **out, GError **error)
{
  char guid[33];
  guint64 random[2];

  ek_random (random, sizeof random);
  g_snprintf (guid, sizeof guid, "%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", random[0],
              random[1]);
  EkStatus status = index_begin (ix, NULL, 0, error);
  if (status != EK_OK)
    return status;
  guint64 modseq = index_modseq (ix);
  status = db_run (ix->db, error, ST_BOX_ADD, "tbttiii", ek_str (name), ek_str (disk),
                   ek_str (guid), special ? ek_str (special) : (EkStr) { NULL, 0 }, (gint64) import,
                   (gint64) 0, (gint64) modseq);
  gint64 id = sqlite3_last_insert_rowid (ix->db->h);
  if (status == EK_OK && (id <= 0 || id > G_MAXINT32))
    status = ek_fail (error, EK_FAIL, ENOSPC, "%s: too many mailboxes were made", ix->root);
  if (status != EK_OK) {
    index_abort (ix);
    return status;
  }
  status = index_commit (ix, error);
  if (status != EK_OK)
    return status;
  Box *box = g_new0 (Box, 1);
  box->ix = ix;
  box->id = (guint32) id;
  box->name = g_strdup (name);
  box->disk = g_strdup (disk);
  box->special = g_strdup (special);
  g_strlcpy (box->guid, guid, sizeof box->guid);
  box->import = import;
  box->uidnext = box->uid_ceiling = box->recent = 1;
  box->modseq = modseq;
  g_hash_table_insert (ix->boxes, GUINT_TO_POINTER (box->id), box);
  *out = box;
  return EK_OK;
}

EkStatus
box_save (Box *box, GError **error)
{
  EkStr stamp = { (const char *) &box->stamp, sizeof box->stamp };

  return db_run (box->ix->db, error, ST_BOX_SAVE, "iiiiiiiiibiiii", (gint64) box->id,
                 (gint64) box->uid_ceiling, (gint64) box->recent, (gint64) box->modseq,
                 (gint64) box->messages, (gint64) box->unseen, (gint64) box->deleted,
                 (gint64) box->size, (gint64) box->unsized, stamp, (gint64) box->gone_floor,
                 (gint64) box->gone_modseq, (gint64) box->import, (gint64) box->uidvalidity);
}

EkStatus
box_drop (Box *box, GError **error)
{
  static const StatementId clear[]
      = { ST_MSG_CLEAR, ST_ENVELOPE_DROP, ST_STRUCTURE_DROP, ST_HEADERS_DROP, ST_GONE_CLEAR };
  Db *db = box->ix->db;
  EkStatus status = EK_OK;

  for (guint i = 0; i < G_N_ELEMENTS (clear) && status == EK_OK; i++)
    status = db_run (db, error, clear[i], "ii", BOX_FIRST (box), BOX_LAST (box));
  if (status == EK_OK)
    status = db_run (db, error, ST_KEYWORD_DROP, "i", (gint64) box->id);
  if (status == EK_OK)
    status = db_run (db, error, ST_BOX_DROP, "i", (gint64) box->id);
  if (status == EK_OK)
    g_hash_table_remove (box->ix->boxes, GUINT_TO_POINTER (box->id));
  return status;
}

void
box_count (Box *box, guint32 flags, gint64 vsize, int by)
{
  box->messages += (guint32) by;
  if (!(flags & EK_FLAG_SEEN))
    box->unseen += (guint32) by;
  if (flags & EK_FLAG_DELETED)
    box->deleted += (guint32) by;
  if (vsize < 0)
    box->unsized += (guint32) by;
  else
    box->size += (guint64) ((gint64) by * vsize);
}

void
box_recount (Box *box, guint32 old_flags, guint32 flags)
{
  box->unseen += !(flags & EK_FLAG_SEEN);
  box->unseen -= !(old_flags & EK_FLAG_SEEN);
  box->deleted += !!(flags & EK_FLAG_DELETED);
  box->deleted -= !!(old_flags & EK_FLAG_DELETED);
}

/* The log is bounded: when it has twice its share the older half goes, and the floor says so. */
static EkStatus
gone_prune (Box *box, GError **error)
{
  Db *db = box->ix->db;

  if (box->modseq % 32 != 0)                       /* counting is not free */
    return EK_OK;
  sqlite3_stmt *st = db_bind (db, ST_GONE_COUNT, "ii", BOX_FIRST (box), BOX_LAST (box));
  EkStatus status = db_row (db, st, error);

  if (status != EK_OK)
    return status;
  gint64 count = sqlite3_column_int64 (st, 0);
  sqlite3_reset (st);
  if (count <= GONE_MAX)
    return EK_OK;
  st = db_bind (db, ST_GONE_CUT, "iii", BOX_FIRST (box), BOX_LAST (box), (gint64) GONE_MAX / 2);
  status = db_row (db, st, error);
  if (status != EK_OK)
    return status == EK_NOTFOUND ? EK_OK : status;
  box->gone_floor = (guint64) sqlite3_column_int64 (st, 0);
  sqlite3_reset (st);
  return db_run (db, error, ST_GONE_PRUNE, "iii", BOX_FIRST (box), BOX_LAST (box),
                 (gint64) box->gone_floor);
}

EkStatus
box_expunged (Box *box, GArray *uids, guint64 modseq, GError **error)
{
  static const StatementId drop[] = { ST_ENVELOPE_DROP, ST_STRUCTURE_DROP, ST_HEADERS_DROP };
  Db *db = box->ix->db;
  const guint32 *uid = (const guint32 *) (gpointer) uids->data;
  EkStatus status = EK_OK;

  for (guint i = 0; i < uids->len && status == EK_OK;) {
    guint j = i + 1;
    while (j < uids->len && uid[j] == uid[j - 1] + 1)
      j++;
    status = db_run (db, error, ST_GONE_ADD, "iii", row_id (box->id, uid[i]), (gint64) uid[j - 1],
                     (gint64) modseq);
    for (guint k = i; k < j && status == EK_OK; k++)
      status = db_run (db, error, ST_MSG_DROP, "i", row_id (box->id, uid[k]));
    for (guint k = 0; k < G_N_ELEMENTS (drop) && status == EK_OK; k++)
      status = db_run (db, error, drop[k], "ii", row_id (box->id, uid[i]),
                       row_id (box->id, uid[j - 1]));
    i = j;
  }
  if (uids->len > 0) {
    box->gone_modseq = box->modseq = modseq;
    if (status == EK_OK)
      status = gone_prune (box, error);
  }
  return status;
}
