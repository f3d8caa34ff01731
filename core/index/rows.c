/* rows.c - one message's row: adding, reading, and the short form of its place
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <string.h>

/* ---- places ---- */

gint64
key_hash (EkStr key)
{
  return (gint64) (ek_hash64 (key.p, key.n) & G_MAXUINT32);
}

/* Most of a place is the key again: one byte says where it stands. */
char *
place_pack (EkPool *pool, EkStr key, EkStr place, EkStr *packed)
{
  const char *at = key.n ? memmem (place.p, place.n, key.p, key.n) : NULL;
  gsize before = at ? (gsize) (at - place.p) : 255;
  char *out = ek_pool_alloc (pool, place.n + 2);

  if (before >= 255) {
    out[0] = (char) 255;
    memcpy (out + 1, place.p, place.n);
    *packed = (EkStr) { out, place.n + 1 };
  } else {
    out[0] = (char) before;
    memcpy (out + 1, place.p, before);
    memcpy (out + 1 + before, at + key.n, place.n - before - key.n);
    *packed = (EkStr) { out, place.n - key.n + 1 };
  }
  return out;
}

EkStr
place_unpack (EkPool *pool, EkStr key, EkStr packed)
{
  gsize before = packed.n ? (guchar) packed.p[0] : 255, n = packed.n ? packed.n - 1 : 0;

  if (before == 255 || before > n)
    return ek_pool_str (pool, (EkStr) { packed.p + (packed.n ? 1 : 0), n });
  char *out = ek_pool_alloc (pool, n + key.n + 1);
  memcpy (out, packed.p + 1, before);
  memcpy (out + before, key.p, key.n);
  memcpy (out + before + key.n, packed.p + 1 + before, n - before);
  return (EkStr) { out, n + key.n };
}

bool
place_fresh (EkIndex *ix, EkStr place)
{
  const char *first = ix->ops->watch[0];
  gsize n = first ? strlen (first) : 0;

  return n > 0 && ix->ops->watch[1] && place.n > n && memcmp (place.p, first, n) == 0
         && place.p[n] == '/';
}

/* ---- rows ---- */

EkStatus
msg_add (Box *box, const Msg *msg, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  Db *db = box->ix->db;
  EkStr packed;

  place_pack (pool, msg->key, msg->place, &packed);
  sqlite3_stmt *st = db_bind (db, ST_MSG_ADD, "iiiiiiiibbi", row_id (box->id, msg->uid),
                              (gint64) msg->modseq, (gint64) msg->flags, (gint64) msg->keywords,
                              (gint64) place_fresh (box->ix, msg->place), msg->psize, msg->vsize,
                              msg->date, msg->key, packed, key_hash (msg->key));
  if (st && msg->vsize < 0)
    sqlite3_bind_null (st, 7);
  EkStatus status = db_row (db, st, error);
  if (status != EK_NOTFOUND)
    return status == EK_OK ? ek_fail (error, EK_DEFER, 0, "%s: an insert gave a row", db->path)
                           : status;
  box_count (box, msg->flags, msg->vsize, 1);
  box->modseq = msg->modseq;
  return EK_OK;
}

EkStatus
msg_get (Box *box, guint32 uid, EkPool *pool, Msg *msg, GError **error)
{
  sqlite3_stmt *st = db_bind (box->ix->db, ST_MSG_GET, "i", row_id (box->id, uid));
  EkStatus status = db_row (box->ix->db, st, error);

  if (status != EK_OK)
    return status;
  msg->uid = uid;
  msg->flags = (guint32) sqlite3_column_int64 (st, 1);
  msg->keywords = (guint64) sqlite3_column_int64 (st, 2);
  msg->key = ek_pool_str (pool, db_blob (st, 3));
  msg->place = place_unpack (pool, msg->key, db_blob (st, 4));
  msg->modseq = (guint64) sqlite3_column_int64 (st, 5);
  msg->psize = sqlite3_column_int64 (st, 6);
  msg->vsize = sqlite3_column_type (st, 7) == SQLITE_NULL ? -1 : sqlite3_column_int64 (st, 7);
  msg->date = sqlite3_column_int64 (st, 8);
  sqlite3_reset (st);
  return EK_OK;
}
