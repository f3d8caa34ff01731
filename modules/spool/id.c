/* id.c - queue ids that never come twice
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log holds a mark some seconds ahead of all ids that were given; after a start the first id lies
 * above it, whatever the clock says.  Ids of accepted messages lie in the log themselves.
 */
#include "impl.h"

#define EPOCH_MS G_GINT64_CONSTANT (1577836800000)
#define AHEAD_MS 10000u

void
spool_mark (EkSpool *spool)
{
  Block *meta = block_new (sizeof spool->id_mark);

  spool->id_mark = spool->id_last + AHEAD_MS;
  memcpy (meta->bytes, &spool->id_mark, sizeof spool->id_mark);
  Rec *rec = rec_new (REC_MARK, 0, meta, NULL);
  rec->head.lsn = ++spool->lsn;
  hot_queue (spool, rec);
}

EkQueueId
spool_new_id (EkSpool *spool)
{
  gint64 ms = ek_wall () / 1000 - EPOCH_MS;

  if (ms > 0 && (guint64) ms > spool->id_last) {
    spool->id_last = (guint64) ms;
    spool->id_counter = 0;
  } else if (++spool->id_counter == 1u << 14) {
    spool->id_last++;
    spool->id_counter = 0;
  }
  if (spool->id_last + AHEAD_MS / 2 > spool->id_mark && !spool->offline)
    spool_mark (spool);
  return spool->id_last << 22 | (guint64) (spool->host.node & 255) << 14 | spool->id_counter;
}
