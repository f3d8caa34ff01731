/* cache.h - answers of a backend, kept for a while: fresh ones save a question, stale ones bridge an outage
 * SPDX-License-Identifier: Apache-2.0
 *
 * An entry is fresh for a time, and stale for another one behind it: then the backend is asked, and only when that gives DEFER does the
 * entry count once more.  That nothing was found is never stale: in an outage it would turn "later" into "no".  A clean answer replaces
 * an entry, whatever it says; an outage never takes one out.  The number of entries is
 * bounded: the one that was looked for longest ago makes room.
 *
 * One thread, mostly the loop's.
 */
#pragma once
#include <ekiden/ekiden.h>

typedef struct EkCache EkCache;

typedef struct {
  EkTime fresh;                      /* of what was found; 0: it is asked each time */
  EkTime fresh_negative;             /* of NOTFOUND */
  EkTime stale;                      /* how much longer what was found may bridge an outage; 0: not at all */
  guint  entries_max;
} EkCacheConf;

typedef struct {                     /* borrowed until the next call for this cache */
  EkStatus status;                   /* OK or NOTFOUND */
  gpointer data;                     /* with OK: what the owner put there, in `pool` */
  EkPool  *pool;
  bool     fresh;                    /* at the time of ek_cache_find() */
} EkCached;

EkCache *ek_cache_new (const EkCacheConf *conf);
void     ek_cache_free (EkCache *cache);           /* NULL is fine */
void     ek_cache_clear (EkCache *cache);
/* For a reload: the same cache, in which nothing is fresh any more, and from now on with these times, which count for what is in it, too;
 * NULL: a new one. */
EkCache *ek_cache_renew (EkCache *cache, const EkCacheConf *conf);
guint    ek_cache_n (const EkCache *cache);

/* NULL: nothing is known, or what is known is older than stale. `now`: monotonic us. */
const EkCached *ek_cache_find (EkCache *cache, EkStr key, gint64 now);

/* A clean answer (OK or NOTFOUND), in place of what was known.  With OK fill `data` from `pool`, in which it lives.  NULL: such
 * answers are not kept. */
EkCached *ek_cache_put (EkCache *cache, EkStr key, EkStatus status, gint64 now);
void      ek_cache_remove (EkCache *cache, EkStr key);
