/* fetch.c - rows of a view, in windows
 * SPDX-License-Identifier: Apache-2.0
 *
 * One statement steps through the rows of a UID range while the view's array is walked beside it.
 * What a row's cache lacks is read from the message on the way and kept, some 200 rows a
 * transaction.  A paused fetch holds nothing: it starts again behind the last UID. */
#include "index/index.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILLS_A_TRANSACTION 200

struct EkFetch {
  EkView       *view;
  EkPool       *pool;                /* strings of a row that was filled */
  EkRange      *ranges;
  guint         n_ranges, at;
  guint         items, with;
  guint64       since;
  guint32       next_uid;            /* within ranges[at] */
  guint32       seq;                 /* of the view, the next one to meet */
  guint32       missing;
  guint         fills;               /* in the open transaction */
  bool          stepping, uncached;
  bool          rowless;             /* the view has UIDs that no row has */
  sqlite3_stmt *st;
};

EkFetch *
ek_fetch_new (EkView *view, const EkRange *ranges, guint n_ranges, guint items, guint64 since)
{
  EkFetch *f = g_new0 (EkFetch, 1);

  f->view = view;
  f->pool = ek_pool_new ();
  f->ranges = g_memdup2 (ranges, sizeof *ranges * n_ranges);
  f->n_ranges = n_ranges;
  f->items = items;
  f->since = since;
  f->with = (items & EK_ROW_ENVELOPE ? WITH_ENVELOPE : 0)
            | (items & EK_ROW_STRUCTURE ? WITH_STRUCTURE : 0)
            | (items & EK_ROW_HEADERS ? WITH_HEADERS : 0) | (since ? WITH_SINCE : 0);
  return f;
}

/* What was filled is committed; that it could not be is no reason to fail: it is read again. */
static void
fills_commit (EkFetch *f)
{
  EkIndex *ix = f->view->ix;
  g_autoptr (GError) error = NULL;
  Box *box;

  if (f->fills == 0)
    return;
  f->fills = 0;
  EkStatus status = view_box (f->view, &box, &error);
  if (status == EK_OK)
    status = box_save (box, &error);
  if (status == EK_OK)
    status = index_commit (ix, &error);
  else
    index_abort (ix);
  if (status != EK_OK) {
    f->uncached = true;
    ek_log (EK_WARN, "index", "%s", error ? error->message : "a cache could not be written");
  }
}

void
fetch_pause (EkFetch *f)
{
  if (f->st)
    sqlite3_reset (f->st);
  f->st = NULL;
  f->stepping = false;
  f->view->ix->active = NULL;
  fills_commit (f);
}

void
ek_fetch_pause (EkFetch *fetch)
{
  if (fetch->view->ix->active == fetch)
    fetch_pause (fetch);
}

guint32
ek_fetch_missing (const EkFetch *fetch)
{
  return fetch->missing;
}

bool
ek_view_doubtful (EkView *view)
{
  Box *box;

  return view_box (view, &box, NULL) == EK_OK && box->doubtful;
}

void
ek_fetch_free (EkFetch *fetch)
{
  if (fetch == NULL)
    return;
  if (fetch->st)                                   /* only within the job that stepped */
    fetch_pause (fetch);
  ek_pool_free (fetch->pool);
  g_free (fetch->ranges);
  g_free (fetch);
}

/* ---- stepping ---- */

/* Positions on the next range that the view has anything in; NOTFOUND: none is left. */
static EkStatus
start_range (EkFetch *f, Box *box, GError **error)
{
  EkIndex *ix = f->view->ix;

  if (ix->active && ix->active != f)
    fetch_pause (ix->active);
  for (; f->at < f->n_ranges; f->at++, f->next_uid = 0) {
    guint32 first = MAX (f->ranges[f->at].first, f->next_uid), last = f->ranges[f->at].last;
    f->seq = ek_view_seq_from (f->view, first);
    guint32 has = ek_view_uid (f->view, f->seq);
    if (first > last || has == 0 || has > last)
      continue;
    last = MIN (last, f->view->uids[f->view->n - 1]);
    f->st = db_fetch (ix->db, f->with);
    if (f->st == NULL)
      return db_error (ix->db, error);
    sqlite3_bind_int64 (f->st, 1, row_id (box->id, has));
    sqlite3_bind_int64 (f->st, 2, row_id (box->id, last));
    if (f->since)
      sqlite3_bind_int64 (f->st, 3, (gint64) f->since);
    ix->active = f;
    f->stepping = true;
    return EK_OK;
  }
  return EK_NOTFOUND;
}

/* The range is over: what the view still has of it is gone. */
static void
end_range (EkFetch *f)
{
  guint32 end = ek_view_seq_from (f->view, f->ranges[f->at].last);

  if (ek_view_uid (f->view, end) == f->ranges[f->at].last)
    end++;
  if (!f->since && end > f->seq) {
    f->missing += end - f->seq;
    f->rowless = true;
  }
  f->stepping = false;
  f->at++;
  f->next_uid = 0;
}

/* Walks the view up to uid; false: the view does not have it. */
static bool
meet (EkFetch *f, guint32 uid)
{
  EkView *view = f->view;

  while (f->seq <= view->n && view->uids[f->seq - 1] < uid) {
    f->missing += !f->since;
    f->rowless |= !f->since;
    f->seq++;
  }
  if (f->seq > view->n || view->uids[f->seq - 1] != uid)
    return false;
  f->seq++;
  return true;
}

static EkStr
column (EkFetch *f, int n)
{
  EkStr s = { sqlite3_column_blob (f->st, n), 0 };

  s.n = s.p ? (gsize) sqlite3_column_bytes (f->st, n) : 0;
  return s;
}

static void
read_row (EkFetch *f, guint32 uid, EkRow *row)
{
  *row = (EkRow) { .seq = f->seq - 1, .uid = uid,
                   .flags = (guint32) sqlite3_column_int64 (f->st, 1),
                   .keywords = (guint64) sqlite3_column_int64 (f->st, 2),
                   .modseq = (guint64) sqlite3_column_int64 (f->st, 3) };
  if (f->view->recent && ek_view_is_recent (f->view, uid))
    row->flags |= EK_FLAG_RECENT;
  row->date = sqlite3_column_int64 (f->st, 4);
  row->size = (guint64) sqlite3_column_int64 (f->st, 5);
  if (f->items & EK_ROW_KEY)
    row->key = column (f, 6);
  if (f->items & EK_ROW_ENVELOPE)
    row->envelope = column (f, 7);
  if (f->items & EK_ROW_STRUCTURE)
    row->structure = column (f, 8);
  if (f->items & EK_ROW_HEADERS)
    row->headers = column (f, 9);
}

/* ---- filling ---- */

static guint
lacking (EkFetch *f, const EkRow *row)
{
  guint lack = 0;

  if ((f->items & EK_ROW_ENVELOPE) && row->envelope.p == NULL)
    lack |= EK_ROW_ENVELOPE;
  if ((f->items & EK_ROW_STRUCTURE) && row->structure.p == NULL)
    lack |= EK_ROW_STRUCTURE;
  if ((f->items & EK_ROW_HEADERS) && row->headers.p == NULL)
    lack |= EK_ROW_HEADERS;
  if ((f->items & EK_ROW_SIZE) && sqlite3_column_type (f->st, 5) == SQLITE_NULL)
    lack |= EK_ROW_SIZE;
  return lack;
}

static EkStatus
keep (EkFetch *f, Box *box, guint32 uid, const Msg *msg, const Filled *filled, GError **error)
{
  const struct { StatementId id; EkStr data;
  } rows[] = { { ST_ENVELOPE_SET, filled->envelope },
               { ST_STRUCTURE_SET, filled->structure },
               { ST_HEADERS_SET, filled->headers } };
  Db *db = box->ix->db;
  EkStatus status = f->fills == 0 ? db_begin (db, false, error) : EK_OK;

  if (status != EK_OK)
    return status;
  f->fills++;
  for (guint i = 0; i < G_N_ELEMENTS (rows) && status == EK_OK; i++)
    if (rows[i].data.p)
      status = db_run (db, error, rows[i].id, "ib", row_id (box->id, uid), rows[i].data);
  if (status == EK_OK && filled->vsize >= 0 && filled->vsize != msg->vsize) {
    status = db_run (db, error, ST_MSG_VSIZE, "ii", row_id (box->id, uid), filled->vsize);
    if (msg->vsize < 0)
      box->unsized--;
    else
      box->size -= (guint64) msg->vsize;
    box->size += (guint64) filled->vsize;
  }
  if (status == EK_OK && f->fills >= FILLS_A_TRANSACTION)
    fills_commit (f);
  return status;
}

/* Reads the message; NOTFOUND: it is gone. */
static EkStatus
fill (EkFetch *f, Box *box, EkRow *row, guint lack, GError **error)
{
  EkFolder folder = BOX_FOLDER (box);
  gint64 offset, length;
  Filled filled = { .vsize = -1 };
  Msg msg;
  int fd;

  ek_pool_clear (f->pool);
  EkStatus status = msg_get (box, row->uid, f->pool, &msg, error);
  if (status == EK_OK)
    status = OP (box->ix, f->pool, error, open, &folder, msg.key, &msg.place, &fd, &offset, &length,
                 NULL);
  if (status == EK_NOTFOUND)
    memset (&box->stamp, 0, sizeof box->stamp);
  if (status != EK_OK)
    return status;
  status = fill_read (fd, offset, length, lack, f->pool, &filled, error);
  close (fd);
  if (status != EK_OK)
    return status;
  if (lack & EK_ROW_ENVELOPE)
    row->envelope = filled.envelope;
  if (lack & EK_ROW_STRUCTURE)
    row->structure = filled.structure;
  if (lack & EK_ROW_HEADERS)
    row->headers = filled.headers;
  if (filled.vsize >= 0)
    row->size = (guint64) filled.vsize;
  g_autoptr (GError) lost = NULL;
  if (!f->uncached && keep (f, box, row->uid, &msg, &filled, &lost) != EK_OK) {
    ek_log (EK_WARN, "index", "%s", lost ? lost->message : "a cache could not be written");
    f->uncached = true;
    f->fills = 0;
    db_rollback (box->ix->db);
  }
  return EK_OK;
}

/* The end.  A message without a row that nobody has expunged since the picture was taken: the index is damaged. */
static EkStatus
all_met (const EkFetch *f, const Box *box, GError **error)
{
  return f->rowless && box->gone_modseq <= f->view->gone_seen ? db_damaged (box->ix->db, "messages have no row", error) : EK_NOTFOUND;
}

EkStatus
ek_fetch_next (EkFetch *f, EkRow *row, GError **error)
{
  Box *box;
  EkStatus status = view_box (f->view, &box, error);

  while (status == EK_OK) {
    if (!f->stepping) {
      status = start_range (f, box, error);
      if (status == EK_NOTFOUND)
        status = all_met (f, box, error);
      continue;
    }
    status = db_row (f->view->ix->db, f->st, error);
    if (status == EK_NOTFOUND) {
      end_range (f);
      status = EK_OK;
      continue;
    }
    if (status != EK_OK)
      break;
    guint32 uid = row_uid (sqlite3_column_int64 (f->st, 0));
    f->next_uid = uid + 1;
    if (!meet (f, uid))
      continue;
    read_row (f, uid, row);
    guint lack = lacking (f, row);
    if (lack == 0)
      return EK_OK;
    status = fill (f, box, row, lack, error);
    if (status != EK_NOTFOUND)
      return status;
    f->missing++;
    status = EK_OK;
  }
  if (f->view->ix->active == f)
    fetch_pause (f);
  return status;
}
