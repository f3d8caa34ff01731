/* store.c - flags change, messages go
 * SPDX-License-Identifier: Apache-2.0
 *
 * Files first, then the rows, in one transaction for all: after a crash in between the next scan
 * finds the new names and says so. */
#include "index/index.h"
#include <errno.h>
#include <string.h>

typedef struct {
  EkView        *view;
  Box           *box;
  const EkStore *store;
  guint64        keywords, modseq;   /* modseq 0: nothing was changed yet */
  EkChangeFunc   func;
  gpointer       data;
  GArray        *modified;
} Storing;

static guint32
new_flags (const Storing *s, guint32 old)
{
  guint32 f = s->store->flags & EK_FLAGS_STORED;

  return s->store->op == EK_STORE_ADD ? old | f : s->store->op == EK_STORE_REMOVE ? old & ~f : f;
}

static guint64
new_keywords (const Storing *s, guint64 old)
{
  guint64 k = s->keywords;

  return s->store->op == EK_STORE_ADD ? old | k : s->store->op == EK_STORE_REMOVE ? old & ~k : k;
}

static void
add_range (GArray *ranges, guint32 uid)
{
  EkRange *last = ranges->len ? &g_array_index (ranges, EkRange, ranges->len - 1) : NULL;
  EkRange r = { uid, uid };

  if (last && last->last + 1 == uid)
    last->last = uid;
  else
    g_array_append_val (ranges, r);
}

static void
report (Storing *s, const Msg *msg, bool same)
{
  EkChange c = { .kind = EK_CHANGE_FLAGS,
                 .seq = ek_view_seq (s->view, msg->uid),
                 .uid = msg->uid,
                 .flags = msg->flags,
                 .keywords = msg->keywords,
                 .modseq = msg->modseq,
                 .same = same };

  if (ek_view_is_recent (s->view, msg->uid))
    c.flags |= EK_FLAG_RECENT;
  if (s->func)
    s->func (&c, s->data);
}

static EkStatus
store_one (Storing *s, guint32 uid, EkPool *pool, GError **error)
{
  EkFolder folder = BOX_FOLDER (s->box);
  Box *box = s->box;
  EkStr packed;
  Msg msg;

  EkStatus status = msg_get (box, uid, pool, &msg, error);
  if (status != EK_OK)
    return status == EK_NOTFOUND ? EK_OK : status;
  if (msg.modseq > s->store->unchanged_since) {
    if (s->modified)
      add_range (s->modified, uid);
    return EK_OK;
  }
  guint32 flags = new_flags (s, msg.flags);
  guint64 keywords = new_keywords (s, msg.keywords);
  if (flags == msg.flags && keywords == msg.keywords) {
    report (s, &msg, true);
    return EK_OK;
  }
  if (flags != msg.flags || keywords_letters (box, keywords ^ msg.keywords))
    status = OP (box->ix, pool, error, flags, &folder, msg.key, &msg.place, flags,
                 keywords_letters (box, keywords));
  if (status != EK_OK)                             /* gone: the next scan says so */
    return status == EK_NOTFOUND ? EK_OK : status;
  if (s->modseq == 0)
    s->modseq = index_modseq (box->ix);
  box_recount (box, msg.flags, flags);
  msg.flags = flags;
  msg.keywords = keywords;
  msg.modseq = box->modseq = s->modseq;
  place_pack (pool, msg.key, msg.place, &packed);
  status = db_run (box->ix->db, error, ST_MSG_FLAGS, "iiiiib", row_id (box->id, uid),
                   (gint64) msg.modseq, (gint64) flags, (gint64) keywords,
                   (gint64) place_fresh (box->ix, msg.place), packed);
  if (status == EK_OK)
    report (s, &msg, false);
  return status;
}

EkStatus
ek_view_store (EkView *view, const EkRange *uids, guint n, const EkStore *store, EkChangeFunc func,
               gpointer data, GArray *modified, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  Storing s = { .view = view, .store = store, .func = func, .data = data, .modified = modified };

  if (view->readonly)
    return ek_fail (error, EK_FAIL, EPERM, "the mailbox is open for reading only");
  EkStatus status = view_box (view, &s.box, error);
  if (status == EK_OK)
    status = keywords_load (s.box, error);
  if (status == EK_OK)
    status = index_begin (view->ix, s.box, 0, error);
  if (status != EK_OK)
    return status;
  bool current = view->modseq == s.box->modseq;
  status = keywords_bits (s.box, store->keywords, store->op != EK_STORE_REMOVE, &s.keywords, error);
  if (status == EK_OK && func && s.box->keywords->len != view->n_keywords) {
    func (&(EkChange) { .kind = EK_CHANGE_KEYWORDS }, data); /* before the rows that use them */
    view->n_keywords = (guint8) s.box->keywords->len;
  }
  for (guint i = 0; i < n && status == EK_OK; i++)
    for (guint32 seq = ek_view_seq_from (view, uids[i].first);
         status == EK_OK && seq <= view->n && view->uids[seq - 1] <= uids[i].last; seq++) {
      status = store_one (&s, view->uids[seq - 1], pool, error);
      ek_pool_clear (pool);
    }
  if (s.modseq)
    box_stamp (s.box);
  if (status == EK_OK)
    status = box_save (s.box, error);
  if (status != EK_OK) {
    index_abort (view->ix);
    return status;
  }
  status = index_commit (view->ix, error);
  if (status == EK_OK && s.modseq) {
    view->own_modseq = s.modseq;
    if (current)                                   /* nothing of others is between */
      view->modseq = s.modseq;
    watch_touch (view->ix, s.box->disk, view);
  }
  return status;
}

/* ---- expunge ---- */

static EkStatus
expunge_one (Box *box, guint32 uid, bool all, GArray *gone, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder folder = BOX_FOLDER (box);
  Msg msg;

  EkStatus status = msg_get (box, uid, pool, &msg, error);
  if (status != EK_OK || !(all || (msg.flags & EK_FLAG_DELETED)))
    return status == EK_NOTFOUND ? EK_OK : status;
  status = delivery_wait (box->ix->set, msg.key, error);
  if (status == EK_OK)
    status = OP (box->ix, pool, error, expunge, &folder, msg.key, msg.place);
  if (status != EK_OK && status != EK_NOTFOUND)
    return status;
  box_count (box, msg.flags, msg.vsize, -1);
  g_array_append_val (gone, uid);
  return EK_OK;
}

/* The UIDs of the view among the ranges. */
static GArray *
uids_of (const EkView *view, const EkRange *ranges, guint n)
{
  GArray *uids = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint i = 0; i < n; i++)
    for (guint32 seq = ek_view_seq_from (view, ranges[i].first); seq <= view->n && view->uids[seq - 1] <= ranges[i].last; seq++)
      g_array_append_val (uids, view->uids[seq - 1]);
  return uids;
}

EkStatus
ek_view_expunge (EkView *view, const EkRange *uids, guint n, bool all, GError **error)
{
  g_autoptr (GArray) gone = g_array_new (FALSE, FALSE, sizeof (guint32));
  EkRange every = { 1, UID_MAX };
  EkStatus went;
  Box *box;

  if (view->readonly)
    return ek_fail (error, EK_FAIL, EPERM, "the mailbox is open for reading only");
  EkStatus status = view_box (view, &box, error);
  if (uids == NULL) {
    uids = &every;
    n = 1;
  }
  if (status != EK_OK || (!all && box->deleted == 0))
    return status;
  g_autoptr (GArray) which = uids_of (view, uids, n);
  status = deliveries_wait (box, (const guint32 *) (gpointer) which->data, which->len, error);
  if (status == EK_OK)
    status = index_begin (view->ix, box, 0, error);
  if (status != EK_OK)
    return status;
  went = EK_OK;
  for (guint i = 0; i < which->len && went == EK_OK; i++)
    went = expunge_one (box, g_array_index (which, guint32, i), all, gone, error);
  if (gone->len > 0) /* what went is written down, whatever came then */
    status = box_expunged (box, gone, index_modseq (view->ix), went == EK_OK ? error : NULL);
  if (gone->len > 0)
    box_stamp (box);
  if (status == EK_OK)
    status = box_save (box, went == EK_OK ? error : NULL);
  if (status == EK_OK)
    status = index_commit (view->ix, went == EK_OK ? error : NULL);
  else
    index_abort (view->ix);
  if (gone->len > 0)
    watch_touch (view->ix, box->disk, view);
  return went != EK_OK ? went : status;
}
