/* phys.c - the physical limits of a machine for a mail store and queue
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: phys DIR [SECONDS]   (DIR on the disk to be measured)
 * Each test runs SECONDS (2) and prints one line of JSON with operations per second:
 *   file_fsync      create a 4 KB file, write, fsync, close           (1 and 20 threads)
 *   maildir         tmp file, write, fsync, rename to new, fsync of the folder
 *   file_nosync     the same without any fsync
 *   log_fdatasync   append 4 KB to one log, fdatasync after each      (1 thread)
 *   log_group       20 threads append 4 KB to one log, one fdatasync for all that wait
 *   log_prealloc    as log_group into a preallocated, already written log
 * Build: cc -O2 -o phys phys.c -lpthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static double secs = 2;
static atomic_long ops, syncs;
static atomic_int stop;
static char block[4096];
static int mode, logfd, dirfd_new;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static long written, synced;
static int syncing;
static off_t at, limit;

static double
now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void
file_op (long id, long n)
{
  char a[4096], b[4096];
  snprintf (a, sizeof a, "%s/tmp/%ld.%ld", dir, id, n);
  int fd = open (a, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || write (fd, block, sizeof block) != sizeof block) {
    perror (a);
    exit (1);
  }
  if (mode != 2)
    fsync (fd), atomic_fetch_add (&syncs, 1);
  close (fd);
  if (mode >= 1) {
    snprintf (b, sizeof b, "%s/new/%ld.%ld", dir, id, n);
    rename (a, b);
    if (mode == 1)
      fsync (dirfd_new), atomic_fetch_add (&syncs, 1);
  }
}

static void
log_op (void)
{
  if (mode == 3) {
    if (write (logfd, block, sizeof block) < 0)
      exit (1);
    fdatasync (logfd);
    atomic_fetch_add (&syncs, 1);
    return;
  }
  pthread_mutex_lock (&mu);
  if (mode == 5) {
    if (at + (off_t)sizeof block > limit)
      at = 0;
    if (pwrite (logfd, block, sizeof block, at) < 0)
      exit (1);
    at += sizeof block;
  }
  else if (write (logfd, block, sizeof block) < 0)
    exit (1);
  long mine = ++written;
  while (synced < mine) {
    if (syncing) {
      pthread_cond_wait (&cv, &mu);
      continue;
    }
    syncing = 1;
    long upto = written;
    pthread_mutex_unlock (&mu);
    fdatasync (logfd);
    atomic_fetch_add (&syncs, 1);
    pthread_mutex_lock (&mu);
    synced = upto;
    syncing = 0;
    pthread_cond_broadcast (&cv);
  }
  pthread_mutex_unlock (&mu);
}

static void *
work (void *arg)
{
  for (long n = 0; !atomic_load (&stop); n++) {
    if (mode <= 2)
      file_op ((long)arg, n);
    else
      log_op ();
    atomic_fetch_add (&ops, 1);
  }
  return NULL;
}

static void
test (const char *name, int m, int threads)
{
  char p[4096];
  mode = m;
  ops = syncs = 0;
  written = synced = 0;
  stop = 0;
  snprintf (p, sizeof p, "%s/log", dir);
  logfd = open (p, O_CREAT | O_RDWR | O_TRUNC | (m == 5 ? 0 : O_APPEND), 0600);
  limit = 64 << 20;
  at = 0;
  if (m == 5) {
    for (off_t k = 0; k < limit; k += sizeof block)
      if (write (logfd, block, sizeof block) < 0)
        exit (1);
    fsync (logfd);
  }
  struct rusage r0, r1;
  getrusage (RUSAGE_SELF, &r0);
  pthread_t t[64];
  double a = now ();
  for (long i = 0; i < threads; i++)
    pthread_create (&t[i], NULL, work, (void *)i);
  usleep (secs * 1e6);
  stop = 1;
  for (int i = 0; i < threads; i++)
    pthread_join (t[i], NULL);
  double s = now () - a;
  getrusage (RUSAGE_SELF, &r1);
  double cpu
      = (r1.ru_utime.tv_sec - r0.ru_utime.tv_sec) + (r1.ru_stime.tv_sec - r0.ru_stime.tv_sec)
        + (r1.ru_utime.tv_usec - r0.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_stime.tv_usec)
              * 1e-6;
  printf ("{\"test\":\"%s\",\"threads\":%d,\"ops_per_s\":%.0f,\"syncs_per_s\":%.0f,\"cpu_us_per_"
          "op\":%.1f}\n",
          name, threads, ops / s, syncs / s, cpu * 1e6 / ops);
  fflush (stdout);
  close (logfd);
  snprintf (p, sizeof p, "find '%s/tmp' '%s/new' -type f -delete", dir, dir);
  if (system (p)) {
  }
}

int
main (int argc, char **argv)
{
  char p[4096];
  if (argc < 2)
    return 2;
  dir = argv[1];
  if (argc > 2)
    secs = atof (argv[2]);
  memset (block, 'x', sizeof block);
  snprintf (p, sizeof p, "%s/tmp", dir), mkdir (p, 0700);
  snprintf (p, sizeof p, "%s/new", dir), mkdir (p, 0700);
  dirfd_new = open (p, O_RDONLY | O_DIRECTORY);
  test ("file_fsync", 0, 1);
  test ("file_fsync", 0, 20);
  test ("maildir", 1, 1);
  test ("maildir", 1, 20);
  test ("file_nosync", 2, 1);
  test ("log_fdatasync", 3, 1);
  test ("log_group", 4, 20);
  test ("log_prealloc", 5, 20);
  test ("log_prealloc", 5, 1);
  return 0;
}
