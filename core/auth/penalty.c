/* penalty.c - failures by client address, in a table of fixed size
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/private.h"
#include "lookup/network.h"
#include <string.h>

#define BUCKETS    4096
#define WAYS       4
#define FORGET_US  (30 * G_USEC_PER_SEC)   /* takes one failure back */
#define COUNT_MAX  100                     /* so that a long attack ends within the hour */

typedef struct {
  guint64 key;                       /* of an address or network; 0: free */
  gint64  last;                      /* monotonic: when `count` was right */
  guint   count;
} Entry;

struct EkPenalty {
  guint64 seed;                      /* so that nobody outside can aim at a bucket */
  Entry   table[BUCKETS][WAYS];
};

EkPenalty *
ek_penalty_new (void)
{
  EkPenalty *penalty = g_new0 (EkPenalty, 1);

  penalty->seed = ek_random64 ();
  return penalty;
}

void
ek_penalty_free (EkPenalty *penalty)
{
  g_free (penalty);
}

/* An IPv4 address, or the /64 that an IPv6 client may choose his address from. */
static guint64
key_of (const EkPenalty *penalty, const char *client)
{
  struct { guint64 seed; guint8 bytes[16]; } mix = { .seed = penalty->seed };
  EkNetwork address;

  if (client && ek_network_parse_address (ek_str (client), &address))
    memcpy (mix.bytes, address.bytes, address.len == 4 ? 4 : 8);
  else if (client)
    memcpy (mix.bytes, client, MIN (strlen (client), sizeof mix.bytes));
  guint64 key = ek_hash64 (&mix, sizeof mix);
  return key ? key : 1;
}

static guint
left_of (const Entry *entry, gint64 now)
{
  gint64 back = (now - entry->last) / FORGET_US;

  return back >= entry->count ? 0 : entry->count - (guint) back;
}

guint
ek_penalty_count (EkPenalty *penalty, const char *client, gint64 now, bool add)
{
  guint64 key = key_of (penalty, client);
  Entry *bucket = penalty->table[(key >> 20) % BUCKETS], *found = NULL, *oldest = bucket;

  for (guint i = 0; i < WAYS; i++) {
    if (bucket[i].key == key)
      found = &bucket[i];
    if (bucket[i].last < oldest->last)
      oldest = &bucket[i];
  }
  guint count = found ? left_of (found, now) : 0;
  if (add) {
    count = MIN (count + 1, COUNT_MAX);
    *(found ? found : oldest) = (Entry) { .key = key, .last = now, .count = count };
  }
  return count;
}
