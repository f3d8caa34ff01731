/* view.c - a session's picture of one mailbox, and how it is brought up to date
 * SPDX-License-Identifier: Apache-2.0
 *
 * A picture is an array of UIDs: the sequence number is the position.  What changed since is asked
 * of the index by mod-sequence, so that an idle session costs nothing until something happens. */
#include "index/index.h"
#include <errno.h>
#include <string.h>

/* ---- numbers ---- */

guint32
ek_view_count (const EkView *view)
{
  return view->n;
}

guint32
ek_view_uid (const EkView *view, guint32 seq)
{
  return seq >= 1 && seq <= view->n ? view->uids[seq - 1] : 0;
}

guint32
ek_view_seq_from (const EkView *view, guint32 uid)
{
  guint32 lo = 0, hi = view->n;

  while (lo < hi) {
    guint32 mid = lo + (hi - lo) / 2;
    if (view->uids[mid] < uid)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo + 1;
}

guint32
ek_view_seq (const EkView *view, guint32 uid)
{
  guint32 seq = ek_view_seq_from (view, uid);

  return seq <= view->n && view->uids[seq - 1] == uid ? seq : 0;
}

guint32
ek_view_uidvalidity (const EkView *view)
{
  return view->uidvalidity;
}

guint32
ek_view_uidnext (const EkView *view)
{
  return view->uidnext;
}

guint64
ek_view_modseq (const EkView *view)
{
  return view->modseq;
}

bool
ek_view_readonly (const EkView *view)
{
  return view->readonly;
}

const char *
ek_view_name (const EkView *view)
{
  return view->name;
}

const char *
ek_view_id (const EkView *view)
{
  return view->guid;
}

/* ---- \Recent ---- */

bool
ek_view_is_recent (const EkView *view, guint32 uid)
{
  for (guint i = 0; view->recent && i < view->recent->len; i++) {
    const EkRange *r = &g_array_index (view->recent, EkRange, i);
    if (uid >= r->first && uid <= r->last)
      return true;
  }
  return false;
}

guint32
ek_view_recent (const EkView *view)
{
  guint32 n = 0;

  for (guint i = 0; view->recent && i < view->recent->len; i++) {
    const EkRange *r = &g_array_index (view->recent, EkRange, i);
    n += ek_view_seq_from (view, r->last + 1) - ek_view_seq_from (view, r->first);
  }
  return n;
}

/* What no session has seen is this one's; one that may write takes it from the others. */
static EkStatus
take_recent (EkView *view, Box *box, GError **error)
{
  if (box->recent >= box->uidnext)
    return EK_OK;
  EkRange r = { MAX (box->recent, view->uidnext), box->uidnext - 1 };
  if (r.first <= r.last) {
    if (view->recent == NULL)
      view->recent = g_array_new (FALSE, FALSE, sizeof (EkRange));
    EkRange *last
        = view->recent->len ? &g_array_index (view->recent, EkRange, view->recent->len - 1) : NULL;
    if (last && last->last + 1 == r.first)
      last->last = r.last;
    else
      g_array_append_val (view->recent, r);
  }
  if (view->readonly)
    return EK_OK;
  box->recent = box->uidnext;
  EkStatus status = index_begin_cache (box->ix, error);
  if (status == EK_OK)
    status = box_save (box, error);
  if (status == EK_OK)
    return index_commit (box->ix, error);
  index_abort (box->ix);
  return status;
}

/* ---- opening ---- */

static EkStatus
look (Box *box, bool readonly, GError **error)
{
  EkStatus status = box_scan (box, error);

  if (status == EK_OK && !readonly)
    status = box_settle_fresh (box, error);
  return status;
}

EkStatus
ek_view_open (EkIndex *ix, const char *name, EkViewMode mode, EkView **out, GError **error)
{
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);
  Box *box;

  if (internal == NULL)
    return EK_FAIL;
  EkStatus status = box_lookup (ix, internal, &box, error);
  if (status == EK_OK)
    status = look (box, mode == EK_VIEW_RO, error);
  if (status == EK_OK)
    status = keywords_load (box, error);
  if (status != EK_OK)
    return status;
  EkView *view = g_new0 (EkView, 1);
  view->ix = ek_index_ref (ix);
  view->name = g_strdup (name);
  view->box = box->id;
  view->readonly = mode == EK_VIEW_RO;
  view->uidvalidity = box->uidvalidity;
  view->cap = box->messages + 1;
  view->uids = g_new (guint32, view->cap);
  g_strlcpy (view->guid, box->guid, sizeof view->guid);
  status = view_load_uids (view, box, error);
  if (status == EK_OK)
    status = take_recent (view, box, error);
  if (status != EK_OK) {             /* and what could not be written has left the box as it is on disk: without keywords */
    ek_view_free (view);
    return status;
  }
  view->uidnext = box->uidnext;
  view->modseq = view->gone_seen = box->modseq;
  view->n_keywords = (guint8) box->keywords->len;
  db_read_ahead (ix->db);
  *out = view;
  return EK_OK;
}

void
ek_view_free (EkView *view)
{
  if (view == NULL)
    return;
  ek_view_watch (view, NULL, NULL, NULL);
  if (view->recent)
    g_array_unref (view->recent);
  ek_index_unref (view->ix);
  g_free (view->uids);
  g_free (view->name);
  g_free (view);
}

EkStatus
view_box (EkView *view, Box **box, GError **error)
{
  EkStatus status = box_by_id (view->ix, view->box, view->guid, box);

  return status == EK_OK && (*box)->uidvalidity != view->uidvalidity ? EK_NOTFOUND : status;
}

EkStatus
ek_view_first_unseen (EkView *view, guint32 *seq, GError **error)
{
  Box *box;

  *seq = 0;
  EkStatus status = view_box (view, &box, error);
  if (status != EK_OK || box->unseen == 0)
    return status;
  sqlite3_stmt *st = db_bind (box->ix->db, ST_MSG_UNSEEN, "ii", BOX_FIRST (box), BOX_LAST (box));
  status = db_row (box->ix->db, st, error);
  if (status == EK_OK) {
    *seq = ek_view_seq (view, row_uid (sqlite3_column_int64 (st, 0)));
    sqlite3_reset (st);
  }
  return status == EK_NOTFOUND ? EK_OK : status;
}

guint
ek_view_keywords (EkView *view, const char *const **names)
{
  Box *box;

  if (view_box (view, &box, NULL) != EK_OK || keywords_load (box, NULL) != EK_OK)
    return 0;
  *names = (const char *const *) box->keywords->pdata;
  return box->keywords->len;
}

/* ---- what changed ---- */

/* UID ranges that are gone, ascending.  The log may have been cut: then the rows themselves are
 * asked. */
static EkStatus
gone_ranges (EkView *view, Box *box, GArray *ranges, GError **error)
{
  bool logged = view->gone_seen >= box->gone_floor;
  sqlite3_stmt *st
      = logged ? db_bind (box->ix->db, ST_GONE_SINCE, "iii", BOX_FIRST (box), BOX_LAST (box),
                          (gint64) view->gone_seen)
               : db_bind (box->ix->db, ST_MSG_UIDS, "ii", BOX_FIRST (box), BOX_LAST (box));
  EkStatus status;
  guint32 next = 1;

  while ((status = db_row (box->ix->db, st, error)) == EK_OK) {
    guint32 uid = row_uid (sqlite3_column_int64 (st, 0));
    EkRange r = logged ? (EkRange) { uid, (guint32) sqlite3_column_int64 (st, 1) }
                       : (EkRange) { next, uid - 1 };
    next = uid + 1;
    if (r.first <= r.last)
      g_array_append_val (ranges, r);
  }
  if (status == EK_NOTFOUND && !logged && next < view->uidnext) {
    EkRange r = { next, view->uidnext - 1 };
    g_array_append_val (ranges, r);
  }
  return status == EK_NOTFOUND ? EK_OK : status;
}

static EkStatus
report_gone (EkView *view, Box *box, EkChangeFunc func, gpointer data, GError **error)
{
  g_autoptr (GArray) ranges = g_array_new (FALSE, FALSE, sizeof (EkRange));
  guint32 keep = 0;

  if (box->gone_modseq <= view->gone_seen)
    return EK_OK;
  EkStatus status = gone_ranges (view, box, ranges, error);
  if (status != EK_OK)
    return status;
  for (guint i = ranges->len;
       func && i-- > 0;) { /* from the end: numbers before stay what they are */
    const EkRange *r = &g_array_index (ranges, EkRange, i);
    guint32 stop = ek_view_seq_from (view, r->first);
    for (guint32 seq = ek_view_seq_from (view, r->last + 1); seq-- > stop;)
      func (&(EkChange) { .kind = EK_CHANGE_EXPUNGE, .seq = seq, .uid = view->uids[seq - 1] }, data);
  }
  for (guint32 i = 0, r = 0; i < view->n; i++) {
    while (r < ranges->len && g_array_index (ranges, EkRange, r).last < view->uids[i])
      r++;
    if (r == ranges->len || g_array_index (ranges, EkRange, r).first > view->uids[i])
      view->uids[keep++] = view->uids[i];
  }
  view->n = keep;
  return EK_OK;
}

static EkStatus
report_flags (EkView *view, Box *box, EkChangeFunc func, gpointer data, GError **error)
{
  sqlite3_stmt *st;
  EkStatus status;

  if (func == NULL || box->modseq <= view->modseq)
    return EK_OK;
  st = db_bind (box->ix->db, ST_MSG_CHANGED, "iii", BOX_FIRST (box),
                row_id (box->id, view->uidnext - 1), (gint64) view->modseq);
  while ((status = db_row (box->ix->db, st, error)) == EK_OK) {
    EkChange c = { .kind = EK_CHANGE_FLAGS, .uid = row_uid (sqlite3_column_int64 (st, 0)),
                   .flags = (guint32) sqlite3_column_int64 (st, 1),
                   .keywords = (guint64) sqlite3_column_int64 (st, 2),
                   .modseq = (guint64) sqlite3_column_int64 (st, 3) };
    c.seq = ek_view_seq (view, c.uid);
    if (c.seq == 0 || c.modseq == view->own_modseq)
      continue;
    if (ek_view_is_recent (view, c.uid))
      c.flags |= EK_FLAG_RECENT;
    func (&c, data);
  }
  return status == EK_NOTFOUND ? EK_OK : status;
}

static EkStatus
report_new (EkView *view, Box *box, EkChangeFunc func, gpointer data, GError **error)
{
  guint32 before = view->n;
  EkStatus status = EK_OK;

  if (box->uidnext > view->uidnext) {
    status = view_read_uids (view, box, view->uidnext, error);
    if (status != EK_OK) {
      view->n = before;
      return status;
    }
    status = take_recent (view, box, error);
    view->uidnext = box->uidnext;
  }
  if (status == EK_OK && view->n > before && func)
    func (&(EkChange) { .kind = EK_CHANGE_EXISTS, .seq = view->n }, data);
  return status;
}

EkStatus
ek_view_sync (EkView *view, guint how, EkChangeFunc func, gpointer data, GError **error)
{
  EkIndexes *set = view->ix->set;
  Box *box;

  pthread_mutex_lock (&set->lock);                 /* what happens from here on calls again */
  view->pending = false;
  pthread_mutex_unlock (&set->lock);
  EkStatus status = view_box (view, &box, error);
  if (status == EK_OK && !(how & EK_SYNC_CACHED)) {
    status = look (box, view->readonly, error);
    if (status == EK_NOTFOUND)                     /* the folder is gone: so is its row */
      boxes_refresh (view->ix, NULL);
  }
  if (status == EK_OK)
    status = keywords_load (box, error);
  if (status != EK_OK)
    return status;
  if (box->stamp.dirty)
    watch_recheck (view);
  if (func && box->keywords->len != view->n_keywords)
    func (&(EkChange) { .kind = EK_CHANGE_KEYWORDS }, data);
  view->n_keywords = (guint8) box->keywords->len;
  if (!(how & EK_SYNC_NO_EXPUNGE)) {
    status = report_gone (view, box, func, data, error);
    if (status == EK_OK)
      view->gone_seen = box->modseq;
  }
  if (status == EK_OK)
    status = report_flags (view, box, func, data, error);
  if (status == EK_OK)
    status = report_new (view, box, func, data, error);
  if (status == EK_OK)
    view->modseq = box->modseq;
  return status;
}

EkStatus
ek_view_vanished (EkView *view, guint64 since, GArray *ranges, bool *all, GError **error)
{
  EkStatus status;
  Box *box;

  status = view_box (view, &box, error);
  if (status != EK_OK)
    return status;
  EkView past = { .ix = view->ix, .gone_seen = since, .uidnext = view->uidnext };
  *all = since >= box->gone_floor;
  return gone_ranges (&past, box, ranges, error);
}
