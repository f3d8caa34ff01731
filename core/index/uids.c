/* uids.c - which UIDs a mailbox has, without a look at their rows where that can be told
 * SPDX-License-Identifier: Apache-2.0
 *
 * The rows lie all over the index.  From the first UID to the last all are there but for those that the log of expunged ones tells, and where
 * that gives as many as the mailbox counts, it gives the right ones.  What the log does not tell (it was cut; UIDs that were never given,
 * after an unclean end or in mail taken over from another server) makes it read the rows, once: then the gaps are noted in the log, as gone
 * since the beginning, so that no client hears of them.
 */
#include "index/index.h"
#include <string.h>

#define GAPS_MAX 1000                /* noted at once; a mailbox of more is read each time */

void
view_add_uid (EkView *view, guint32 uid)
{
  if (view->n == view->cap) {
    view->cap = view->cap ? view->cap + view->cap / 4 + 16 : 16;
    view->uids = g_renew (guint32, view->uids, view->cap);
  }
  view->uids[view->n++] = uid;
}

EkStatus
view_read_uids (EkView *view, Box *box, guint32 from, GError **error)
{
  sqlite3_stmt *st = db_bind (box->ix->db, ST_MSG_UIDS, "ii", row_id (box->id, from), BOX_LAST (box));
  EkStatus status;

  while ((status = db_row (box->ix->db, st, error)) == EK_OK)
    view_add_uid (view, row_uid (sqlite3_column_int64 (st, 0)));
  return status == EK_NOTFOUND ? EK_OK : status;
}

/* ---- from the log ---- */

static sqlite3_stmt *
whole_log (const Box *box)
{
  return db_bind (box->ix->db, ST_GONE_SINCE, "iii", BOX_FIRST (box), BOX_LAST (box), (gint64) -1);
}

static EkRange
logged_range (sqlite3_stmt *st)
{
  return (EkRange) { row_uid (sqlite3_column_int64 (st, 0)), (guint32) sqlite3_column_int64 (st, 1) };
}

/* Adds them from first to last; false: those would be more than the mailbox counts. */
static bool
add_uids (EkView *view, const Box *box, guint64 first, guint64 last)
{
  if (first > last)
    return true;
  if (last - first >= box->messages - view->n)
    return false;
  for (guint64 uid = first; uid <= last; uid++)
    view_add_uid (view, (guint32) uid);
  return true;
}

/* None where they cannot be told. */
static EkStatus
infer_uids (EkView *view, Box *box, GError **error)
{
  Db *db = box->ix->db;
  sqlite3_stmt *st = db_bind (db, ST_MSG_ENDS, "ii", BOX_FIRST (box), BOX_LAST (box));
  EkStatus status = db_row (db, st, error);

  if (status != EK_OK)
    return status;
  guint64 next = row_uid (sqlite3_column_int64 (st, 0)), last = row_uid (sqlite3_column_int64 (st, 1));
  sqlite3_reset (st);
  bool good = next > 0;
  st = whole_log (box);
  while ((status = good ? db_row (db, st, error) : EK_NOTFOUND) == EK_OK) {
    EkRange gone = logged_range (st);
    good = add_uids (view, box, next, MIN ((guint64) gone.first - 1, last));
    next = MAX (next, (guint64) gone.last + 1);
  }
  sqlite3_reset (st);
  if (!good || status != EK_NOTFOUND || !add_uids (view, box, next, last) || view->n != box->messages)
    view->n = 0;
  return status == EK_NOTFOUND ? EK_OK : status;
}

/* ---- gaps ---- */

/* The parts of first to last that the log does not tell.  *log goes forward over it. */
static void
add_gaps (GArray *gaps, const GArray *log, guint *at, guint64 first, guint64 last)
{
  while (*at < log->len && g_array_index (log, EkRange, *at).last < first)
    ++*at;
  while (first <= last) {
    const EkRange *next = *at < log->len ? &g_array_index (log, EkRange, *at) : NULL;
    if (next && next->first <= first) {
      first = MAX (first, (guint64) next->last + 1);
      ++*at;
      continue;
    }
    EkRange gap = { (guint32) first, next && next->first <= last ? next->first - 1 : (guint32) last };
    g_array_append_val (gaps, gap);
    first = (guint64) gap.last + 1;
  }
}

static GArray *
find_gaps (const EkView *view, const GArray *log)
{
  GArray *gaps = g_array_new (FALSE, FALSE, sizeof (EkRange));
  guint at = 0;

  for (guint32 i = 1; i < view->n && gaps->len <= GAPS_MAX; i++)
    if (view->uids[i] > view->uids[i - 1] + 1)
      add_gaps (gaps, log, &at, (guint64) view->uids[i - 1] + 1, view->uids[i] - 1);
  return gaps;
}

static EkStatus
read_log (const Box *box, GArray *log, GError **error)
{
  sqlite3_stmt *st = whole_log (box);
  EkStatus status;

  while ((status = db_row (box->ix->db, st, error)) == EK_OK) {
    EkRange r = logged_range (st);
    g_array_append_val (log, r);
  }
  return status == EK_NOTFOUND ? EK_OK : status;
}

/* A courtesy to the next who opens it: where it fails, he reads again, and what is known of the mailbox in memory is not read anew for
 * that, as index_abort() would: nothing of it was changed. */
static void
note_gaps (const EkView *view, Box *box)
{
  g_autoptr (GArray) log = g_array_new (FALSE, FALSE, sizeof (EkRange));
  EkStatus status = read_log (box, log, NULL);
  g_autoptr (GArray) gaps = find_gaps (view, log);

  if (status != EK_OK || gaps->len == 0 || gaps->len > GAPS_MAX || box->ix->active || db_begin (box->ix->db, false, NULL) != EK_OK)
    return;
  for (guint i = 0; i < gaps->len && status == EK_OK; i++) {
    const EkRange *gap = &g_array_index (gaps, EkRange, i);
    status = db_run (box->ix->db, NULL, ST_GONE_ADD, "iii", row_id (box->id, gap->first), (gint64) gap->last, (gint64) 0);
  }
  if (status != EK_OK || db_commit (box->ix->db, NULL) != EK_OK)
    db_rollback (box->ix->db);
}

/* ---- both ---- */

/* A whole picture has as many messages as the mailbox counts, in order: a page that holds junk shows here. */
static EkStatus
check_uids (const EkView *view, const Box *box, GError **error)
{
  bool good = view->n == box->messages;

  for (guint32 i = 0; i < view->n && good; i++)
    good = view->uids[i] > (i > 0 ? view->uids[i - 1] : 0) && view->uids[i] < box->uidnext;
  return good ? EK_OK : db_damaged (box->ix->db, "UIDs are missing or out of order", error);
}

EkStatus
view_load_uids (EkView *view, Box *box, GError **error)
{
  EkStatus status = box->messages > 0 ? infer_uids (view, box, error) : EK_OK;
  bool read = view->n == 0;

  if (status == EK_OK && read)
    status = view_read_uids (view, box, 0, error);
  if (status == EK_OK)
    status = check_uids (view, box, error);
  if (status == EK_OK && read && view->n > 0 && !view->readonly)
    note_gaps (view, box);
  return status;
}
