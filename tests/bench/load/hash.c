/* hash.c - how many hashes of a password libcrypt makes, on so many threads for so many seconds
 * SPDX-License-Identifier: Apache-2.0
 *
 *   hash SETTING [THREADS [SECONDS]]      SETTING as in shadow(5): '$6$saltsaltsalt$'
 */
#include <crypt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *setting;
static double end;
static atomic_int hashes;

static double
now (clockid_t clock)
{
  struct timespec t;
  clock_gettime (clock, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *
work (void *arg)
{
  struct crypt_data *data = calloc (1, sizeof *data);
  while (now (CLOCK_MONOTONIC) < end) {
    const char *out = crypt_r ("pass", setting, data);
    if (!out || out[0] == '*') {
      fprintf (stderr, "libcrypt refuses %s\n", setting);
      exit (1);
    }
    atomic_fetch_add (&hashes, 1);
  }
  free (data);
  return arg;
}

int
main (int argc, char **argv)
{
  int threads = argc > 2 ? atoi (argv[2]) : (int)sysconf (_SC_NPROCESSORS_ONLN);
  double seconds = argc > 3 ? atof (argv[3]) : 5, start = now (CLOCK_MONOTONIC);
  pthread_t t[256];
  if (argc < 2 || threads < 1 || threads > 256)
    return 2;
  setting = argv[1];
  end = start + seconds;
  for (int i = 0; i < threads; i++)
    pthread_create (&t[i], NULL, work, NULL);
  for (int i = 0; i < threads; i++)
    pthread_join (t[i], NULL);
  double wall = now (CLOCK_MONOTONIC) - start;
  printf ("{\"name\":\"libcrypt\",\"threads\":%d,\"n\":%d,\"per_second\":%.1f,\"cpu_ms_per_op\":%.3f}\n", threads, hashes, hashes / wall,
          now (CLOCK_PROCESS_CPUTIME_ID) * 1e3 / hashes);
  return 0;
}
