/* noise.c - the key behind ek_sasl_noise(), kept in a file that only master reads
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/noise.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or errno; EINVAL: it is not such a file. */
static int
read_key (const char *path, guint8 key[EK_NOISE_LEN])
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

  if (fd < 0)
    return errno;
  ssize_t n = read (fd, key, EK_NOISE_LEN);
  int err = n < 0 ? errno : n == EK_NOISE_LEN ? 0 : EINVAL;
  close (fd);
  return err;
}

/* Under another name first: a crash leaves no half of it. */
static int
write_key (const char *path, const guint8 key[EK_NOISE_LEN])
{
  g_autofree char *fresh = g_strconcat (path, ".new", NULL);

  if (unlink (fresh) < 0 && errno != ENOENT)
    return errno;
  int fd = open (fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return errno;
  errno = 0;                           /* a short write sets none */
  int err = write (fd, key, EK_NOISE_LEN) == EK_NOISE_LEN && fsync (fd) == 0 ? 0 : errno ? errno : ENOSPC;
  close (fd);
  if (err == 0 && rename (fresh, path) < 0)
    err = errno;
  if (err)
    unlink (fresh);
  return err;
}

void
ek_noise_key (const char *state_dir, guint8 key[EK_NOISE_LEN])
{
  g_autofree char *path = g_build_filename (state_dir, "noise.key", NULL);
  int err = read_key (path, key);

  if (err == 0)
    return;
  ek_random (key, EK_NOISE_LEN);
  if (err == ENOENT || err == EINVAL)
    err = write_key (path, key);
  if (err)
    ek_log (EK_WARN, "master", "%s: cannot keep it: %s; what unknown users are shown (SCRAM) changes with each start", path,
            g_strerror (err));
}
