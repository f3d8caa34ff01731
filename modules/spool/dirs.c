/* dirs.c - the spool's folder, its lock, and writing all of something
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool
pwrite_all (int fd, const void *bytes, gsize n, guint64 off)
{
  const char *p = bytes;

  while (n > 0) {
    gssize got = pwrite (fd, p, n, (off_t) off);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      errno = got < 0 ? errno : ENOSPC;
      return false;
    }
    p += got;
    n -= (gsize) got;
    off += (guint64) got;
  }
  return true;
}

static int
folder_open (EkSpool *spool, const char *name, bool create, GError **error)
{
  if (create && mkdirat (spool->dir, name, 0700) < 0 && errno != EEXIST) {
    ek_fail (error, EK_DEFER, errno, "%s/%s: cannot make this folder: %s", spool->opt.path, name,
             g_strerror (errno));
    return -1;
  }
  int fd = openat (spool->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    ek_fail (error, EK_DEFER, errno, "%s/%s: %s", spool->opt.path, name, g_strerror (errno));
  return fd;
}

bool
dirs_open (EkSpool *spool, bool create, GError **error)
{
  spool->dir = spool->seg_dir = spool->large_dir = spool->bad_dir = spool->lock = -1;
  if (create && g_mkdir_with_parents (spool->opt.path, 0700) < 0) {
    ek_fail (error, EK_DEFER, errno, "%s: cannot make the spool's folder: %s", spool->opt.path,
             g_strerror (errno));
    return false;
  }
  spool->dir = open (spool->opt.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (spool->dir < 0) {
    ek_fail (error, EK_DEFER, errno, "%s: %s", spool->opt.path, g_strerror (errno));
    return false;
  }
  spool->lock = openat (spool->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (spool->lock < 0 || flock (spool->lock, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      ek_fail (error, EK_DEFER, errno, "%s: another process has this spool open; stop it first", spool->opt.path);
    else
      ek_fail (error, EK_DEFER, errno, "%s/lock: %s", spool->opt.path, g_strerror (errno));
    return false;
  }
  if ((spool->seg_dir = folder_open (spool, "seg", create, error)) < 0
      || (spool->large_dir = folder_open (spool, "large", create, error)) < 0
      || (spool->bad_dir = folder_open (spool, "quarantine", create, error)) < 0)
    return false;
  if (create && fsync (spool->dir) < 0) {
    ek_fail (error, EK_DEFER, errno, "%s: cannot sync the folder: %s", spool->opt.path, g_strerror (errno));
    return false;
  }
  return true;
}

void
dirs_close (EkSpool *spool)
{
  int *const fds[] = { &spool->seg_dir, &spool->large_dir, &spool->bad_dir, &spool->dir, &spool->lock };

  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++) {
    if (*fds[i] >= 0)
      close (*fds[i]);
    *fds[i] = -1;
  }
}
