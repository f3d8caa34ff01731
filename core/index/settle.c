/* settle.c - what a session has seen leaves the directory for new mail
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index.h"
#include <string.h>

void
box_stamp (Box *box)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder folder = BOX_FOLDER (box);

  if (OP (box->ix, pool, NULL, scan, &folder, &box->stamp, NULL, NULL) != EK_OK)
    memset (&box->stamp, 0, sizeof box->stamp);
}

/* A session has it open for reading and writing: its mail is no longer new for other programs, and
 * the first directory stays small. */
EkStatus
box_settle_fresh (Box *box, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  EkFolder folder = BOX_FOLDER (box);
  Db *db = box->ix->db;
  EkStatus status;

  sqlite3_stmt *st = db_bind (db, ST_MSG_FRESH, "ii", BOX_FIRST (box), BOX_LAST (box));
  while ((status = db_row (db, st, error)) == EK_OK) {
    guint32 uid = row_uid (sqlite3_column_int64 (st, 0));
    g_array_append_val (uids, uid);
  }
  if (status != EK_NOTFOUND || uids->len == 0)
    return status == EK_NOTFOUND ? EK_OK : status;
  status = index_begin_cache (box->ix, error);
  for (guint i = 0; i < uids->len && status == EK_OK; i++) {
    Msg msg;
    EkStr packed;
    status = msg_get (box, g_array_index (uids, guint32, i), pool, &msg, error);
    if (status != EK_OK)
      break;
    EkStatus moved = OP (box->ix, pool, error, flags, &folder, msg.key, &msg.place, msg.flags,
                         keywords_letters (box, msg.keywords));
    if (moved == EK_NOTFOUND)
      continue;
    status = moved;
    place_pack (pool, msg.key, msg.place, &packed);
    if (status == EK_OK)
      status = db_run (db, error, ST_MSG_PLACE, "iib", row_id (box->id, msg.uid),
                       (gint64) place_fresh (box->ix, msg.place), packed);
  }
  box_stamp (box);
  if (status == EK_OK)
    status = box_save (box, error);
  if (status == EK_OK)
    return index_commit (box->ix, error);
  index_abort (box->ix);
  return status;
}
