/* slow.h - tests: time that counts only a test's own work
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <glib.h>
#include <stdlib.h>
#include <time.h>

/* How many times slower than usual everything is here: $EKIDEN_SLOW, which those set who run tests under a tool. */
static inline gint64
test_slowness (void)
{
  const char *text = g_getenv ("EKIDEN_SLOW");

  return text ? MAX (strtoll (text, NULL, 10), 1) : 1;
}

/* Microseconds that this thread has worked so far, as if nothing were slow.  What else the machine does has no part in it. */
static inline gint64
test_worked (void)
{
  struct timespec t;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  return (t.tv_sec * G_USEC_PER_SEC + t.tv_nsec / 1000) / test_slowness ();
}
