/* append.c - APPEND: a message comes in pieces, is synced, and gets its UID
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct EkAppend {
  EkIndex  *ix;
  guint32   box;
  char      guid[33];
  char     *disk;
  gint64    date;
  guint32   flags;
  GStrv     keywords;
  EkStaged  staged;
  Writer    writer;
  bool      failed;
};

EkStatus
ek_append_new (EkIndex *ix, const char *name, gint64 date, guint32 flags,
               const char *const *keywords, EkAppend **out, GError **error)
{
  g_autofree char *internal = name_internal (ix->set->config.separator, name, error);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStaged staged;
  Box *box;

  if (internal == NULL)
    return EK_FAIL;
  EkStatus status = box_lookup (ix, internal, &box, error);
  if (status != EK_OK)
    return status;
  EkFolder folder = BOX_FOLDER (box);
  status = OP (ix, pool, error, stage, &folder, &staged);
  if (status != EK_OK)
    return status;
  EkAppend *a = g_new0 (EkAppend, 1);
  a->ix = ek_index_ref (ix);
  a->box = box->id;
  g_strlcpy (a->guid, box->guid, sizeof a->guid);
  a->disk = g_strdup (box->disk);
  a->date = date;
  a->flags = flags & EK_FLAGS_STORED;
  a->keywords = g_strdupv ((GStrv) keywords);
  a->staged = staged;
  writer_begin (&a->writer, &staged);
  *out = a;
  return EK_OK;
}

static EkStatus
write_failed (EkAppend *a, GError **error)
{
  int code = errno;

  a->failed = true;
  return ek_fail (error, EK_DEFER, code, "%s/%s: cannot write a message: %s", a->ix->root, a->disk,
                  g_strerror (code));
}

EkStatus
ek_append_write (EkAppend *a, const void *bytes, gsize n, GError **error)
{
  if (a->failed)
    return ek_fail (error, EK_DEFER, EIO, "%s/%s: the message could not be written", a->ix->root,
                    a->disk);
  return writer_put (&a->writer, bytes, n) ? EK_OK : write_failed (a, error);
}

/* The file gets its name, and the folder is synced: from here on the message exists. */
static EkStatus
commit_file (EkAppend *a, Box *box, guint64 keywords, EkPool *pool, EkFound *made, GError **error)
{
  EkFolder folder = BOX_FOLDER (box);
  EkCommit how = { .flags = a->flags,
                   .letters = keywords_letters (box, keywords),
                   .psize = (gint64) a->writer.psize,
                   .vsize = (gint64) a->writer.vsize,
                   .date = a->date * G_USEC_PER_SEC };
  char *path = NULL;

  EkStatus status = OP (a->ix, pool, error, commit, &folder, &a->staged, &how, made);
  if (status == EK_OK)
    status = OP (a->ix, pool, error, settle, &folder, made->place, &path);
  if (status != EK_OK)
    return status;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync (fd) < 0)
    status = ek_fail (error, EK_DEFER, errno, "%s: cannot sync: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  if (status != EK_OK)                             /* the client is told NO: it must not stay */
    OP (a->ix, pool, NULL, expunge, &folder, made->key, made->place);
  return status;
}

static EkStatus
finish (EkAppend *a, Box *box, guint32 *uid, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  guint64 keywords = 0;
  EkFound made = { 0 };
  bool there = false;

  EkStatus status = index_begin (a->ix, box, 1, error);
  if (status != EK_OK)
    return status;
  status = keywords_bits (box, (const char *const *) a->keywords, true, &keywords, error);
  if (status == EK_OK)
    status = commit_file (a, box, keywords, pool, &made, error);
  there = status == EK_OK;
  if (there) {
    Msg msg = { .uid = *uid = box->uidnext++,
                .flags = a->flags,
                .keywords = keywords,
                .modseq = index_modseq (a->ix),
                .psize = made.psize,
                .vsize = made.vsize,
                .date = a->date ? a->date : ek_wall () / G_USEC_PER_SEC,
                .key = made.key,
                .place = made.place };
    status = msg_add (box, &msg, error);
  }
  box_stamp (box);
  if (status == EK_OK)
    status = box_save (box, error);
  if (status == EK_OK)
    status = index_commit (a->ix, error);
  else
    index_abort (a->ix);
  if (status != EK_OK && there) {
    EkFolder folder = { a->ix->root, a->disk };
    OP (a->ix, pool, NULL, expunge, &folder, made.key, made.place);
  }
  return status;
}

EkStatus
ek_append_finish (EkAppend *a, guint32 *uidvalidity, guint32 *uid, GError **error)
{
  EkIndex *ix = a->ix;
  Box *box = NULL;

  EkStatus status = box_by_id (ix, a->box, a->guid, &box);
  if (status == EK_OK && (a->failed || !writer_end (&a->writer) || fdatasync (a->staged.fd) < 0))
    status = write_failed (a, error);
  if (status == EK_OK)
    status = box_scan (box, error);                /* what arrived before gets the smaller UIDs */
  if (status == EK_OK)
    status = finish (a, box, uid, error);
  if (status == EK_OK) {
    *uidvalidity = box->uidvalidity;
    watch_touch (ix, box->disk, NULL);
  }
  ek_append_free (a);
  return status;
}

void
ek_append_free (EkAppend *a)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (a == NULL)
    return;
  EkFolder folder = { a->ix->root, a->disk };
  OP (a->ix, pool, NULL, commit, &folder, &a->staged, NULL, NULL);
  close (a->staged.fd);
  ek_buf_release (&a->writer.out);
  g_strfreev (a->keywords);
  g_free (a->disk);
  ek_index_unref (a->ix);
  g_free (a);
}
