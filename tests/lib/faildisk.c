/* faildisk.c - a preload library that makes syncs and writes fail on request, and disks full
 * SPDX-License-Identifier: Apache-2.0
 *
 * The program finds `faildisk` with dlsym() and sets its fields; another process does so through the file
 * named by EKIDEN_FAILDISK, which is mapped in its place (tests/lib/faults.py knows the struct's layout).  Only
 * descriptors of files whose path contains `match` are touched.  And a process dies of bytes on request.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include "faildisk.h"

static FailDisk own = { .match = "/seg/" };
FailDisk *faildisk = &own;

__attribute__ ((constructor)) static void
start (void)
{
  const char *path = getenv ("EKIDEN_FAILDISK");
  int fd = path ? open (path, O_RDWR | O_CLOEXEC) : -1;

  if (fd < 0 || ftruncate (fd, sizeof own) < 0)
    return;
  FailDisk *map = mmap (NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close (fd);
  if (map == MAP_FAILED)
    return;
  if (map->match[0] == 0)
    strcpy (map->match, own.match);
  faildisk = map;
}

static int
ours (int fd)
{
  char link[64], path[PATH_MAX];
  int saved = errno;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink (link, path, sizeof path - 1);
  errno = saved;
  if (n <= 0)
    return 0;
  path[n] = 0;
  return strstr (path, faildisk->match) != NULL;
}

/* One call of a kind: `skip` good ones first, then `count` bad ones (-1: all). */
static int
fails (FailRule *rule, int fd)
{
  if (atomic_load (&rule->count) == 0 || !ours (fd))
    return 0;
  if (atomic_load (&rule->skip) > 0) {
    atomic_fetch_sub (&rule->skip, 1);
    return 0;
  }
  if (atomic_load (&rule->count) > 0)
    atomic_fetch_sub (&rule->count, 1);
  atomic_fetch_add (&rule->hits, 1);
  errno = rule->error;
  return 1;
}

#define NEXT(name_) static __typeof__ (&name_) next; if (!next) next = (__typeof__ (next)) dlsym (RTLD_NEXT, #name_)

int
fsync (int fd)
{
  NEXT (fsync);
  return fails (&faildisk->sync, fd) ? -1 : next (fd);
}

int
fdatasync (int fd)
{
  NEXT (fdatasync);
  return fails (&faildisk->sync, fd) ? -1 : next (fd);
}

ssize_t
pwritev (int fd, const struct iovec *v, int n, off_t off)
{
  NEXT (pwritev);
  return fails (&faildisk->write, fd) ? -1 : next (fd, v, n, off);
}

ssize_t
pwrite (int fd, const void *bytes, size_t n, off_t off)
{
  NEXT (pwrite);
  return fails (&faildisk->write, fd) ? -1 : next (fd, bytes, n, off);
}

int
syncfs (int fd)
{
  NEXT (syncfs);
  return fails (&faildisk->sync, fd) ? -1 : next (fd);
}

int
sync_file_range (int fd, off64_t off, off64_t n, unsigned flags)
{
  NEXT (sync_file_range);
  return fails (&faildisk->sync, fd) ? -1 : next (fd, off, n, flags);
}

ssize_t
write (int fd, const void *bytes, size_t n)
{
  NEXT (write);
  if (faildisk->crash[0] && ours (fd) && memmem (bytes, n, faildisk->crash, strnlen (faildisk->crash, sizeof faildisk->crash))) {
    atomic_fetch_add (&faildisk->crashes, 1);
    kill (getpid (), SIGKILL);
  }
  return atomic_load (&faildisk->write.count) && fails (&faildisk->write, fd) ? -1 : next (fd, bytes, n);
}

int
fstatvfs (int fd, struct statvfs *st)
{
  NEXT (fstatvfs);
  int code = next (fd, st);
  long long room = atomic_load (&faildisk->room);
  if (code == 0 && room >= 0 && atomic_load (&faildisk->use_room))
    st->f_bavail = (fsblkcnt_t) room / st->f_frsize;
  return code;
}
