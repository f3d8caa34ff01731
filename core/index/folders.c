/* folders.c - LIST, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <errno.h>
#include <string.h>

/* ---- LIST ---- */

typedef struct { char *name; const char *special; guint flags; } Line;

static Line *
line_for (GHashTable *lines, EkPool *pool, const char *name, gsize n)
{
  char *copy = ek_pool_strndup (pool, name, n);
  Line *line = g_hash_table_lookup (lines, copy);

  if (line == NULL) {
    line = ek_pool_new0 (pool, Line);
    line->name = copy;
    g_hash_table_insert (lines, copy, line);
  }
  return line;
}

/* Marks every parent of `name`; makes those of a mailbox that exists. */
static void
parents (GHashTable *lines, EkPool *pool, const char *name, guint mark, bool make)
{
  for (const char *p = name; (p = strchr (p, LEVEL)); p++) {
    g_autofree char *parent = g_strndup (name, (gsize) (p - name));
    if (make || g_hash_table_contains (lines, parent))
      line_for (lines, pool, parent, strlen (parent))->flags |= mark;
  }
}

static const char *
special_of (EkIndex *ix, const Box *box)
{
  if (box->special)
    return box->special;
  g_autofree char *name = name_external (ix->set->config.separator, box->name);
  for (guint i = 0; i < ix->set->config.n_specials; i++)
    if (strcmp (ix->set->config.specials[i].name, name) == 0)
      return ix->set->config.specials[i].use;
  return NULL;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  return name_compare ((*(Line *const *) a)->name, (*(Line *const *) b)->name);
}

static GPtrArray *
collect (EkIndex *ix, EkPool *pool, GPtrArray *subs)
{
  g_autoptr (GHashTable) lines = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *sorted = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer p;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (g_hash_table_iter_next (&iter, NULL, &p)) {
    Box *box = p;
    Line *line = line_for (lines, pool, box->name, strlen (box->name));
    line->flags |= EK_BOX_EXISTS | EK_BOX_SELECTABLE;
    line->special = special_of (ix, box);
    parents (lines, pool, box->name, EK_BOX_CHILDREN, true);
  }
  for (guint i = 0; i < subs->len; i++)
    line_for (lines, pool, subs->pdata[i], strlen (subs->pdata[i]))->flags |= EK_BOX_SUBSCRIBED;
  for (guint i = 0; i < subs->len; i++)
    parents (lines, pool, subs->pdata[i], EK_BOX_SUB_BELOW, true);
  g_hash_table_iter_init (&iter, lines);
  while (g_hash_table_iter_next (&iter, NULL, &p))
    g_ptr_array_add (sorted, p);
  g_ptr_array_sort (sorted, compare_lines);
  return sorted;
}

EkStatus
ek_index_list (EkIndex *ix, EkMailboxFunc func, gpointer data, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GPtrArray) subs = NULL, lines = NULL;

  EkStatus status = boxes_refresh (ix, error);
  if (status == EK_OK)
    status = subs_read (ix, &subs, error);
  if (status != EK_OK)
    return status;
  lines = collect (ix, pool, subs);
  for (guint i = 0; i < lines->len; i++) {
    Line *line = lines->pdata[i];
    g_autofree char *name = name_external (ix->set->config.separator, line->name);
    func (&(EkMailbox) { .name = name, .special = line->special, .flags = line->flags }, data);
  }
  return EK_OK;
}

/* ---- STATUS ---- */

static EkStatus
count_recent (Box *box, guint32 *count, GError **error)
{
  sqlite3_stmt *st
      = db_bind (box->ix->db, ST_MSG_UIDS, "ii", row_id (box->id, box->recent), BOX_LAST (box));
  EkStatus status;

  for (*count = 0; (status = db_row (box->ix->db, st, error)) == EK_OK;)
    ++*count;
  return status == EK_NOTFOUND ? EK_OK : status;
}

/* Sizes that no name told are counted, and kept. */
static EkStatus
size_all (Box *box, GError **error)
{
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  sqlite3_stmt *st
      = db_bind (box->ix->db, ST_MSG_UNSIZED, "iii", BOX_FIRST (box), BOX_LAST (box), (gint64) -1);
  EkStatus status;

  while ((status = db_row (box->ix->db, st, error)) == EK_OK) {
    guint32 uid = row_uid (sqlite3_column_int64 (st, 0));
    g_array_append_val (uids, uid);
  }
  if (status != EK_NOTFOUND)
    return status;
  status = EK_OK;
  for (guint i = 0; i < uids->len && status == EK_OK; i++) {
    guint64 size;
    status = box_size_message (box, g_array_index (uids, guint32, i), &size, error);
    if (status == EK_NOTFOUND)                     /* gone meanwhile: the next scan tells */
      status = EK_OK;
  }
  return status;
}

EkStatus
ek_index_status (EkIndex *ix, const char *name, guint what, EkStatusCounts *counts, GError **error)
{
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);
  Box *box;

  if (internal == NULL)
    return EK_FAIL;
  EkStatus status = box_lookup (ix, internal, &box, error);
  if (status == EK_OK)
    status = box_scan (box, error);
  if (status == EK_OK && (what & EK_STATUS_SIZE) && box->unsized > 0)
    status = size_all (box, error);
  if (status != EK_OK)
    return status;
  *counts = (EkStatusCounts) { .messages = box->messages,
                              .unseen = box->unseen,
                              .deleted = box->deleted,
                              .uidnext = box->uidnext,
                              .uidvalidity = box->uidvalidity,
                              .highestmodseq = box->modseq,
                              .size = box->size };
  g_strlcpy (counts->id, box->guid, sizeof counts->id);
  return count_recent (box, &counts->recent, error);
}

/* ---- CREATE, DELETE ---- */

EkStatus
folder_create (EkIndex *ix, const char *name, const char *special, guint max, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);
  char *disk = NULL;
  Box *box;

  if (internal == NULL)
    return EK_FAIL;
  EkStatus status = box_lookup (ix, internal, &box, error);
  if (status == EK_OK)
    return ek_fail (error, EK_FAIL, EEXIST, "the mailbox \"%s\" exists", name);
  if (status == EK_NOTFOUND && max > 0 && g_hash_table_size (ix->boxes) >= max)
    return ek_fail (error, EK_FAIL, ENOSPC, "there are %u mailboxes already, and no more than %u may be made",
                    g_hash_table_size (ix->boxes), max);
  if (status == EK_NOTFOUND)
    status = OP (ix, pool, error, disk_name, ek_str (internal), &disk);
  if (status != EK_OK)
    return status;
  EkFolder folder = { ix->root, disk };
  status = OP (ix, pool, error, create, &folder);
  if (status == EK_OK)
    status = folder_sync (&folder, error);
  if (status != EK_OK)
    return status == EK_NOTFOUND
               ? ek_fail (error, EK_DEFER, ENOENT, "%s: cannot make the folder %s", ix->root, disk)
               : status;
  return box_add (ix, internal, disk, special, false, &box, error);
}

EkStatus
ek_index_create (EkIndex *ix, const char *name, const char *special, GError **error)
{
  return folder_create (ix, name, special, ix->set->config.mailboxes_max, error);
}

EkStatus
ek_index_delete (EkIndex *ix, const char *name, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);
  Box *box;

  if (internal == NULL)
    return EK_FAIL;
  if (strcmp (internal, "INBOX") == 0)
    return ek_fail (error, EK_FAIL, EPERM, "INBOX cannot be deleted");
  EkStatus status = box_lookup (ix, internal, &box, error);
  if (status == EK_OK)
    status = deliveries_wait_all (ix, error);
  if (status != EK_OK)
    return status;
  g_autofree char *disk = g_strdup (box->disk);
  EkFolder folder = { ix->root, disk };
  status = OP (ix, pool, error, remove, &folder);
  if (status != EK_OK && status != EK_NOTFOUND)
    return status;
  status = index_begin_cache (ix, error);
  if (status == EK_OK)
    status = box_drop (box, error);
  if (status == EK_OK)
    status = index_commit (ix, error);
  else
    index_abort (ix);
  watch_touch (ix, disk, NULL);
  return status;
}

/* ---- RENAME ---- */

typedef struct { Box *box; char *name, *disk; bool done; } Renaming;

/* INBOX stays and is emptied (RFC 3501 6.3.5). */
static EkStatus
rename_inbox (EkIndex *ix, const char *to, GError **error)
{
  EkView *view = NULL;
  guint32 uidvalidity;
  g_autoptr (GArray) from = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) made = g_array_new (FALSE, FALSE, sizeof (guint32));
  EkRange all = { 1, UID_MAX };

  EkStatus status = ek_index_create (ix, to, NULL, error);
  if (status == EK_OK)
    status = ek_view_open (ix, "INBOX", EK_VIEW_RO, &view, error);
  if (status == EK_OK)
    status = ek_view_copy (view, &all, 1, to, true, &uidvalidity, from, made, error);
  ek_view_free (view);
  return status;
}

static EkStatus
plan (EkIndex *ix, EkPool *pool, const char *from, const char *to, GArray *todo, GError **error)
{
  g_autoptr (GHashTable) names = boxes_by_name (ix);
  GHashTableIter iter;
  gpointer p;
  EkStatus status = EK_OK;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (status == EK_OK && g_hash_table_iter_next (&iter, NULL, &p)) {
    Box *box = p;
    if (strcmp (box->name, from) != 0 && !name_below (box->name, from))
      continue;
    Renaming r
        = { .box = box, .name = ek_pool_printf (pool, "%s%s", to, box->name + strlen (from)) };
    if (g_hash_table_contains (names, r.name))
      return ek_fail (error, EK_FAIL, EEXIST, "a mailbox of the new name exists");
    if (!name_possible (r.name, error))            /* a child may come too deep, or be too long */
      return EK_FAIL;
    status = OP (ix, pool, error, disk_name, ek_str (r.name), &r.disk);
    g_array_append_val (todo, r);
  }
  return status == EK_OK && todo->len == 0 ? EK_NOTFOUND : status;
}

static EkStatus
rename_files (EkIndex *ix, EkPool *pool, GArray *todo, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < todo->len && status == EK_OK; i++) {
    Renaming *r = &g_array_index (todo, Renaming, i);
    EkFolder folder = BOX_FOLDER (r->box);
    status = OP (ix, pool, error, rename, &folder, r->disk);
    r->done = status == EK_OK;
  }
  for (guint i = 0; i < todo->len && status != EK_OK; i++) { /* all or nothing, as far as we can */
    Renaming *r = &g_array_index (todo, Renaming, i);
    EkFolder folder = { ix->root, r->disk };
    g_autoptr (GError) again = NULL;
    if (r->done && OP (ix, pool, &again, rename, &folder, r->box->disk) != EK_OK)
      ek_log (EK_WARN, "index", "%s: the folder %s stays renamed from %s: %s", ix->root, r->disk,
              r->box->disk, again ? again->message : "it is gone");
  }
  return status;
}

EkStatus
ek_index_rename (EkIndex *ix, const char *from, const char *to, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *a = name_internal (ix->set->config.separator, from, error);
  g_autofree char *b = a ? name_internal (ix->set->config.separator, to, error) : NULL;
  g_autoptr (GArray) todo = g_array_new (FALSE, TRUE, sizeof (Renaming));

  if (b == NULL)
    return EK_FAIL;
  EkStatus status = boxes_refresh (ix, error);
  if (status != EK_OK)
    return status;
  if (box_find (ix, b))
    return ek_fail (error, EK_FAIL, EEXIST, "the mailbox \"%s\" exists", to);
  if (strcmp (a, "INBOX") == 0)
    return rename_inbox (ix, to, error);
  if (name_below (b, a))
    return ek_fail (error, EK_FAIL, EINVAL, "a mailbox cannot be renamed to a name below itself");
  status = deliveries_wait_all (ix, error);
  if (status == EK_OK)
    status = plan (ix, pool, a, b, todo, error);
  if (status == EK_OK)
    status = rename_files (ix, pool, todo, error);
  if (status == EK_OK)
    status = index_begin_cache (ix, error);
  if (status != EK_OK)
    return status;
  for (guint i = 0; i < todo->len && status == EK_OK; i++) {
    Renaming *r = &g_array_index (todo, Renaming, i);
    status = db_run (ix->db, error, ST_BOX_NAME, "itb", (gint64) r->box->id, ek_str (r->name),
                     ek_str (r->disk));
    g_free (r->box->name);
    g_free (r->box->disk);
    r->box->name = g_strdup (r->name);
    r->box->disk = g_strdup (r->disk);
  }
  if (status == EK_OK)
    return index_commit (ix, error);
  index_abort (ix);
  return status;
}

EkStatus
ek_index_subscribe (EkIndex *ix, const char *name, bool on, GError **error)
{
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);

  return internal ? subs_set (ix, internal, on, error) : EK_FAIL;
}
