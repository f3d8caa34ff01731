/* le.h - little-endian numbers in bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include <glib.h>

static inline void
le_put (char *p, guint64 v, guint n)
{
  for (guint i = 0; i < n; i++)
    p[i] = (char) (v >> (8 * i));
}

static inline guint64
le_get (const char *p, guint n)
{
  guint64 v = 0;

  for (guint i = 0; i < n; i++)
    v |= (guint64) (guchar) p[i] << (8 * i);
  return v;
}
