/* fakeclock.c - a library to preload: another wall clock, and whether it counts as synchronised
 * SPDX-License-Identifier: Apache-2.0
 *
 * $EK_FAKECLOCK is "SECONDS yes|no": what is added to the wall clock, and what adjtimex() says. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static long
shift (void)
{
  const char *text = getenv ("EK_FAKECLOCK");

  return text ? atol (text) : 0;
}

int
clock_gettime (clockid_t id, struct timespec *t)
{
  int status = (int) syscall (SYS_clock_gettime, id, t);

  if (status == 0 && id == CLOCK_REALTIME)
    t->tv_sec += shift ();
  return status;
}

int
gettimeofday (struct timeval *t, void *zone)
{
  int status = (int) syscall (SYS_gettimeofday, t, zone);

  t->tv_sec += shift ();
  return status;
}

time_t
time (time_t *out)
{
  struct timespec t;

  clock_gettime (CLOCK_REALTIME, &t);
  if (out)
    *out = t.tv_sec;
  return t.tv_sec;
}

int
adjtimex (struct timex *t)
{
  const char *text = getenv ("EK_FAKECLOCK");

  memset (t, 0, sizeof *t);
  t->status = text && strstr (text, "yes") ? STA_PLL : STA_UNSYNC;
  return text && strstr (text, "yes") ? TIME_OK : TIME_ERROR;
}
