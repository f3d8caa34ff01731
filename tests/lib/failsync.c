/* failsync.c - a library to preload, or to link into a test: syncs fail on request
 * SPDX-License-Identifier: Apache-2.0
 *
 * $EK_FAILSYNC names a file.  While it exists, fsync(), fdatasync(), syncfs() and sync_file_range() fail with
 * EIO on every descriptor whose path contains the file's first line.  Everything else is passed on. */
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync (int fd);
int fdatasync (int fd);

static int
shall_fail (int fd)
{
  char link[64], path[4096], pattern[256];
  const char *file = getenv ("EK_FAILSYNC");
  int control = file ? open (file, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t n;

  if (control < 0)
    return 0;
  n = read (control, pattern, sizeof pattern - 1);
  close (control);
  pattern[n > 0 ? n : 0] = 0;
  pattern[strcspn (pattern, "\n")] = 0;
  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  if (strstr (path, pattern) == NULL)
    return 0;
  errno = EIO;
  return 1;
}

int
fsync (int fd)
{
  return shall_fail (fd) ? -1 : (int) syscall (SYS_fsync, fd);
}

int
fdatasync (int fd)
{
  return shall_fail (fd) ? -1 : (int) syscall (SYS_fdatasync, fd);
}

int
syncfs (int fd)
{
  return shall_fail (fd) ? -1 : (int) syscall (SYS_syncfs, fd);
}

int
sync_file_range (int fd, off64_t offset, off64_t n, unsigned flags)
{
  return shall_fail (fd) ? -1 : (int) syscall (SYS_sync_file_range, fd, offset, n, flags);
}
