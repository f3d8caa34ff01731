/* write.c - new messages, and the renames that flags, moves and expunges are
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message appears in one step, complete: it is written without a name (O_TMPFILE) and linked, or
 * written in tmp/ and moved, where the file system knows no nameless files. */
#include "maildir.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
stage_named (const EkFolder *folder, EkStaged *staged)
{
  char path[PATH_MAX], unique[80];

  maildir_name_new (unique, sizeof unique);
  g_autofree char *sub = g_strconcat ("tmp/", unique, NULL);
  if (!maildir_path (folder, sub, strlen (sub), path)) {
    errno = ENAMETOOLONG;
    return false;
  }
  staged->fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (staged->fd < 0 && errno == ENOENT) {        /* no tmp/: made by hand, or there is no folder */
    char tmp[PATH_MAX];
    maildir_path (folder, "tmp", 3, tmp);
    if (mkdir (tmp, 0700) < 0)
      return false;
    staged->fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  }
  if (staged->fd >= 0)
    staged->tmp = g_strdup (path);
  return staged->fd >= 0;
}

EkStatus
maildir_stage (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged)
{
  char path[PATH_MAX];

  *staged = (EkStaged) { .fd = -1, .lf = ((Maildir *) self)->lf };
  if (!maildir_path (folder, "cur", 3, path))
    return maildir_error (call, ENAMETOOLONG, "write into", folder->disk);
  staged->fd = open (path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  if (staged->fd >= 0)
    return EK_OK;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return maildir_error (call, errno, "write into", path);
  return stage_named (folder, staged) ? EK_OK : maildir_error (call, errno, "write into", path);
}

/* A nameless file gets a name by its descriptor, which who opened it may do since Linux 6.10, or by way of
 * /proc, which makes the kernel build an inode there first. */
static bool
link_nameless (int fd, const char *to)
{
  static _Atomic bool by_proc;
  char self[40];

  if (!atomic_load_explicit (&by_proc, memory_order_relaxed)) {
    if (linkat (fd, "", AT_FDCWD, to, AT_EMPTY_PATH) == 0)
      return true;
    if (errno != ENOENT)             /* ENOENT: no folder, or no right */
      return false;
  }
  g_snprintf (self, sizeof self, "/proc/self/fd/%d", fd);
  if (linkat (AT_FDCWD, self, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0)
    return false;
  atomic_store_explicit (&by_proc, true, memory_order_relaxed);
  return true;
}

/* Gives the staged file the name `to`, which must not be there; errno. */
static bool
give_name (EkStaged *staged, const char *to)
{
  if (staged->tmp == NULL)
    return link_nameless (staged->fd, to);
  if (renameat2 (AT_FDCWD, staged->tmp, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
    g_clear_pointer (&staged->tmp, g_free);
    return true;
  }
  if (errno != EINVAL && errno != ENOSYS)
    return false;
  if (link (staged->tmp, to) < 0)
    return false;
  unlink (staged->tmp);
  g_clear_pointer (&staged->tmp, g_free);
  return true;
}

/* Puts the staged file in the place of another one, in one step.  ENOENT: the other went elsewhere meanwhile (a session
 * moved it from new/ to cur/): look again, or there would be two. */
static bool
replace (const EkFolder *folder, EkStaged *staged, const char *to)
{
  char path[PATH_MAX], unique[80];

  if (staged->tmp == NULL) {
    maildir_name_new (unique, sizeof unique);
    g_autofree char *sub = g_strconcat ("tmp/", unique, NULL);
    if (!maildir_path (folder, sub, strlen (sub), path)) {
      errno = ENAMETOOLONG;
      return false;
    }
    if (!give_name (staged, path))
      return false;
    staged->tmp = g_strdup (path);
  }
  if (renameat2 (AT_FDCWD, staged->tmp, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
    unlink (staged->tmp);
  else if ((errno != EINVAL && errno != ENOSYS) || access (to, F_OK) < 0 || rename (staged->tmp, to) < 0)
    return false;
  g_clear_pointer (&staged->tmp, g_free);
  return true;
}

static void
drop_tmp (EkStaged *staged)
{
  if (staged->tmp)
    unlink (staged->tmp);
  g_clear_pointer (&staged->tmp, g_free);
}

/* "cur/BASE:2,S", or "new/BASE" for a delivery without flags */
static char *
place_for (EkPool *pool, const char *base, guint32 flags, guint64 letters, bool recent)
{
  char info[80];

  if (recent && flags == 0 && letters == 0)
    return ek_pool_printf (pool, "new/%s", base);
  maildir_name_info ((EkStr) { NULL, 0 }, flags, letters, info, sizeof info);
  return ek_pool_printf (pool, "cur/%s%s", base, info);
}

EkStatus
maildir_commit (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged,
                const EkCommit *how, EkFound *made)
{
  char base[NAME_MAX + 1], unique[80], path[PATH_MAX];
  EkStr key, place;

  if (how == NULL) {
    drop_tmp (staged);
    return EK_OK;
  }
  if (how->key.n > NAME_BYTES_MAX - 60)
    return ek_fail (&call->error, EK_FAIL, ENAMETOOLONG,
                    "maildir: a base name of %zu bytes is too long", how->key.n);
  key = how->key;
  if (key.p == NULL) {
    maildir_name_new (unique, sizeof unique);
    key = ek_str (unique);
  }
  maildir_name_sizes (key, how->psize, how->vsize, base, sizeof base);
  place = how->replace.p
              ? how->replace
              : ek_str (place_for (call->pool, base, how->flags, how->letters, how->recent));
  if (!maildir_path (folder, place.p, place.n, path))
    return maildir_error (call, ENAMETOOLONG, "write into", folder->disk);
  if (how->date) {
    struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
                             { how->date / G_USEC_PER_SEC, how->date % G_USEC_PER_SEC * 1000 } };
    if (futimens (staged->fd, t) < 0)
      return maildir_error (call, errno, "set the date of", path);
  }
  if (!(how->replace.p ? replace (folder, staged, path) : give_name (staged, path))) {
    int code = errno;
    if (code != ENOENT || how->replace.p == NULL)
      drop_tmp (staged);                         /* else the caller looks where it went, and tries again */
    return code == ENOENT ? EK_NOTFOUND : maildir_error (call, code, "write", path);
  }
  place = ek_pool_str (call->pool, place);
  maildir_name_read ((EkStr) { place.p + 4, place.n - 4 }, made);
  made->place = place;
  made->psize = how->psize;
  made->vsize = how->vsize;
  return EK_OK;
}

/* ---- renames ---- */

/* Runs `act` on the message's path; when the file went elsewhere looks for it and tries again. */
typedef bool (*Act) (const char *path, gpointer data);

static EkStatus
act_on (EkCall *call, const EkFolder *folder, EkStr key, EkStr *place, Act act, gpointer data)
{
  char path[PATH_MAX];

  for (guint tries = 0; tries < 4; tries++) {
    if (tries > 0 || place->p == NULL) {
      EkStatus status = maildir_find (call, folder, key, place);
      if (status != EK_OK)
        return status;
    }
    if (!maildir_path (folder, place->p, place->n, path))
      return maildir_error (call, ENAMETOOLONG, "change", folder->disk);
    if (act (path, data))
      return EK_OK;
    if (errno != ENOENT)
      return maildir_error (call, errno, "change", path);
  }
  return EK_NOTFOUND;
}

static bool
act_rename (const char *path, gpointer to)
{
  return rename (path, to) == 0;
}

static bool
act_unlink (const char *path, gpointer unused)
{
  return unlink (path) == 0;
}

static bool
act_link (const char *path, gpointer to)
{
  return link (path, to) == 0;
}

EkStatus
maildir_flags (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
               guint32 flags, guint64 letters)
{
  char info[80], to[PATH_MAX];

  for (guint tries = 0; tries < 4; tries++) {      /* the target keeps letters of the name found */
    if (tries > 0) {
      EkStatus status = maildir_find (call, folder, key, place);
      if (status != EK_OK)
        return status;
    }
    maildir_name_info (*place, flags, letters, info, sizeof info);
    EkStr want = ek_str (ek_pool_printf (call->pool, "cur/%.*s%s", EK_STR_ARG (key), info));
    char path[PATH_MAX];
    if (!maildir_path (folder, place->p, place->n, path)
        || !maildir_path (folder, want.p, want.n, to))
      return maildir_error (call, ENAMETOOLONG, "change", folder->disk);
    if (rename (path, to) == 0) {
      *place = want;
      return EK_OK;
    }
    if (errno != ENOENT)
      return maildir_error (call, errno, "change the flags of", path);
  }
  return EK_NOTFOUND;
}

EkStatus
maildir_expunge (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place)
{
  return act_on (call, folder, key, &place, act_unlink, NULL);
}

/* Another file system below one root (a mounted folder), or too many links. */
static EkStatus
copy_bytes (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
            const EkFolder *to, const EkCommit *how, EkFound *made)
{
  gint64 offset, length, mtime;
  EkStaged staged;
  EkCommit dated = *how;
  int fd;

  EkStatus status = maildir_open (self, call, folder, key, place, &fd, &offset, &length, &mtime);
  if (status != EK_OK)
    return status;
  status = maildir_stage (self, call, to, &staged);
  if (status == EK_OK) {
    gssize n;
    while ((n = sendfile (staged.fd, fd, NULL, 1 << 20)) > 0)
      ;
    if (n < 0 || fsync (staged.fd) < 0)
      status = ek_fail (&call->error, EK_DEFER, errno, "%s/%s: cannot copy a message: %s", to->root,
                        to->disk, g_strerror (errno));
    dated.date = mtime;
    if (status == EK_OK)
      status = maildir_commit (self, call, to, &staged, &dated, made);
    else
      drop_tmp (&staged);
    close (staged.fd);
  }
  close (fd);
  return status;
}

EkStatus
maildir_copy (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place,
              const EkFolder *to, guint32 flags, guint64 letters, bool move, EkFound *made)
{
  char unique[80], base[NAME_MAX + 1], path[PATH_MAX];
  EkCommit how = { .flags = flags, .letters = letters, .psize = made->psize, .vsize = made->vsize };

  maildir_name_new (unique, sizeof unique);
  maildir_name_sizes (ek_str (unique), how.psize, how.vsize, base, sizeof base);
  EkStr target = ek_str (place_for (call->pool, base, flags, letters, false));
  if (!maildir_path (to, target.p, target.n, path))
    return maildir_error (call, ENAMETOOLONG, "copy into", to->disk);
  EkStatus status = act_on (call, folder, key, &place, move ? act_rename : act_link, path);
  if (status == EK_OK) {
    maildir_name_read ((EkStr) { target.p + 4, target.n - 4 }, made);
    made->place = target;
    made->psize = how.psize;
    made->vsize = how.vsize;
    return EK_OK;
  }
  if (!call->error
      || (call->error->code != EXDEV && call->error->code != EMLINK && call->error->code != EPERM))
    return status;
  g_clear_error (&call->error);
  how.key = ek_str (ek_pool_strdup (call->pool, unique));
  status = copy_bytes (self, call, folder, key, &place, to, &how, made);
  if (status == EK_OK && move)
    status = maildir_expunge (self, call, folder, key, place);
  return status;
}

EkStatus
maildir_settle (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr place, char **path)
{
  char buf[PATH_MAX];

  if (!maildir_path (folder, place.p, MIN (place.n, 3), buf))
    return maildir_error (call, ENAMETOOLONG, "sync", folder->disk);
  *path = ek_pool_strdup (call->pool, buf);
  return EK_OK;
}
