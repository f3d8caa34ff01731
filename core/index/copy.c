/* copy.c - COPY and MOVE between mailboxes of one user
 * SPDX-License-Identifier: Apache-2.0
 *
 * A copy is a second link to the same file, a move a rename: no byte is copied.  The target folder
 * is synced and the rows are committed durably before the client is told the new UIDs. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define YOUNG_SECONDS 120            /* a file whose bytes may not be on disk yet */

typedef struct {
  EkView  *view;
  Box     *from, *to;
  bool     move;
  EkPool  *pool;
  GArray  *msgs;                     /* Msg, of the source */
  GArray  *made;                     /* Msg, key and place in the target */
} Copying;

static EkStatus
gather (Copying *c, const EkRange *uids, guint n, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < n; i++)
    for (guint32 seq = ek_view_seq_from (c->view, uids[i].first);
         seq <= c->view->n && c->view->uids[seq - 1] <= uids[i].last; seq++) {
      Msg msg;
      status = msg_get (c->from, c->view->uids[seq - 1], c->pool, &msg, error);
      if (status == EK_OK)
        g_array_append_val (c->msgs, msg);
      else if (status != EK_NOTFOUND)
        return status;
    }
  return EK_OK;
}

/* Another program may have written the file a moment ago without a sync. */
static EkStatus
sync_young (Copying *c, Msg *msg, GError **error)
{
  EkFolder folder = BOX_FOLDER (c->from);
  gint64 offset, length;
  int fd;

  if (msg->date + YOUNG_SECONDS < ek_wall () / G_USEC_PER_SEC)
    return EK_OK;
  EkStatus status = OP (c->from->ix, c->pool, error, open, &folder, msg->key, &msg->place, &fd,
                        &offset, &length, NULL);
  if (status != EK_OK)
    return status;
  if (fsync (fd) < 0)
    status = ek_fail (error, EK_DEFER, errno, "%s/%s: cannot sync a message: %s", folder.root,
                      folder.disk, g_strerror (errno));
  close (fd);
  return status;
}

/* One file.  NOTFOUND: it is gone, and left out. */
static EkStatus
copy_file (Copying *c, Msg *msg, GError **error)
{
  EkFolder from = BOX_FOLDER (c->from), to = BOX_FOLDER (c->to);
  EkFound found = { .psize = msg->psize, .vsize = msg->vsize };
  Msg made = *msg;

  EkStatus status = c->move ? delivery_wait (c->from->ix->set, msg->key, error) : EK_OK;
  if (status == EK_OK)
    status = keywords_translate (c->from, c->to, msg->keywords, &made.keywords, error);
  if (status == EK_OK)
    status = sync_young (c, msg, error);
  if (status == EK_OK)
    status = OP (c->from->ix, c->pool, error, copy, &from, msg->key, msg->place, &to, msg->flags,
                 keywords_letters (c->to, made.keywords), c->move, &found);
  if (status != EK_OK)
    return status;
  made.key = found.key;
  made.place = found.place;
  g_array_append_val (c->made, made);
  return EK_OK;
}

static EkStatus
sync_target (Copying *c, GError **error)
{
  EkFolder to = BOX_FOLDER (c->to);
  char *path = NULL;

  if (c->made->len == 0)
    return EK_OK;
  EkStatus status
      = OP (c->to->ix, c->pool, error, settle, &to, g_array_index (c->made, Msg, 0).place, &path);
  if (status != EK_OK)
    return status;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync (fd) < 0)
    status = ek_fail (error, EK_DEFER, errno, "%s: cannot sync: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return status;
}

static EkStatus
copy_rows (Copying *c, GArray *from, GArray *made, GError **error)
{
  g_autoptr (GArray) gone = g_array_new (FALSE, FALSE, sizeof (guint32));
  static const StatementId caches[] = { ST_ENVELOPE_COPY, ST_STRUCTURE_COPY, ST_HEADERS_COPY };
  Db *db = c->from->ix->db;
  guint64 modseq = c->made->len ? index_modseq (c->from->ix) : 0;
  EkStatus status = EK_OK;

  for (guint i = 0; i < c->made->len && status == EK_OK; i++) {
    Msg msg = g_array_index (c->made, Msg, i);
    guint32 old = msg.uid;
    msg.uid = c->to->uidnext++;
    msg.modseq = modseq;
    status = msg_add (c->to, &msg, error);
    for (guint k = 0; k < G_N_ELEMENTS (caches) && status == EK_OK; k++)
      status = db_run (db, error, caches[k], "ii", row_id (c->from->id, old),
                       row_id (c->to->id, msg.uid));
    g_array_append_val (from, old);
    g_array_append_val (made, msg.uid);
    g_array_append_val (gone, old);
    if (c->move)
      box_count (c->from, msg.flags, msg.vsize, -1);
  }
  if (status == EK_OK && c->move && gone->len > 0)
    status = box_expunged (c->from, gone, modseq, error);
  box_stamp (c->to);
  if (c->move && c->from != c->to)
    box_stamp (c->from);
  if (status == EK_OK)
    status = box_save (c->to, error);
  if (status == EK_OK && c->move)
    status = box_save (c->from, error);
  return status;
}

/* A copy that failed leaves nothing behind. */
static void
undo (Copying *c)
{
  EkFolder to = BOX_FOLDER (c->to);

  for (guint i = 0; !c->move && i < c->made->len; i++) {
    Msg *m = &g_array_index (c->made, Msg, i);
    OP (c->to->ix, c->pool, NULL, expunge, &to, m->key, m->place);
  }
}

static EkStatus
copy_all (Copying *c, GArray *from, GArray *made, GError **error)
{
  EkStatus moved = EK_OK, status = EK_OK;

  for (guint i = 0; i < c->msgs->len && status == EK_OK; i++) {
    status = copy_file (c, &g_array_index (c->msgs, Msg, i), error);
    if (status == EK_NOTFOUND)
      status = EK_OK;
  }
  if (status != EK_OK && c->move) {                /* what was moved is written down */
    moved = status;
    status = EK_OK;
  }
  GError **why = moved == EK_OK ? error : NULL;
  if (status == EK_OK)
    status = sync_target (c, why);
  if (status == EK_OK)
    status = copy_rows (c, from, made, why);
  if (status == EK_OK)
    status = index_commit (c->view->ix, why);
  else
    index_abort (c->view->ix);
  if (status != EK_OK)
    undo (c);
  if (status != EK_OK) {
    g_array_set_size (from, 0);
    g_array_set_size (made, 0);
  }
  return moved != EK_OK ? moved : status;
}

static EkStatus
wait_for_queue (const Copying *c, GError **error)
{
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint i = 0; i < c->msgs->len; i++)
    g_array_append_val (uids, g_array_index (c->msgs, Msg, i).uid);
  return deliveries_wait (c->from, (const guint32 *) (gpointer) uids->data, uids->len, error);
}

EkStatus
ek_view_copy (EkView *view, const EkRange *uids, guint n, const char *name, bool move,
              guint32 *uidvalidity, GArray *from, GArray *made, GError **error)
{
  g_autofree char *internal = name_internal (view->ix->set->config.separator, name, error);
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GArray) msgs = g_array_new (FALSE, FALSE, sizeof (Msg));
  g_autoptr (GArray) files = g_array_new (FALSE, FALSE, sizeof (Msg));
  Copying c = { .view = view, .move = move, .pool = pool, .msgs = msgs, .made = files };

  if (internal == NULL)
    return EK_FAIL;
  EkStatus status = box_lookup (view->ix, internal, &c.to, error);
  if (status == EK_OK)
    status = view_box (view, &c.from, error);
  if (status == EK_OK)
    status = box_scan (c.to, error);               /* what arrived before gets the smaller UIDs */
  if (status == EK_OK)
    status = gather (&c, uids, n, error);
  if (status == EK_OK && move)
    status = wait_for_queue (&c, error);
  if (status == EK_OK)
    status = keywords_load (c.to, error);
  if (status == EK_OK)
    status = index_begin (view->ix, c.to, msgs->len, error);
  if (status != EK_OK)
    return status;
  status = copy_all (&c, from, made, error);
  *uidvalidity = c.to->uidvalidity;
  if (made->len > 0)
    watch_touch (view->ix, c.to->disk, NULL);
  if (made->len > 0 && move)
    watch_touch (view->ix, c.from->disk, view);
  return status;
}
