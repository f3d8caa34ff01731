/* directorymap.c - edges ask maps: those that a filter of theirs refers to, and no other
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whether an edge may ask a map stands in the roles of the map's block, which the check of the configuration sets: a
 * broken-into edge can name any map, and learns nothing of those that no filter asks.
 */
#include "config.h"
#include "flow/directory.h"
#include "flow/mapask.h"
#include "module/lookup.h"
#include <string.h>

#define PENDING_MAX 2000             /* questions of one edge that wait for a map: a broken one fills no more */

typedef struct {
  EkChannel *channel;                /* whose question it is: compared with the live one */
  guint      edge;
  guint32    id;
  EkMapLookup *lookup;
} Pending;

static GHashTable *pending;          /* set of Pending */
static guint       asked[EK_INDEX_MAX + 1];      /* how many of each edge */

static void
answer (const Pending *p, EkStatus status, const EkAnswer *answer)
{
  EkChannel *edge = ek_role_peer (EK_ROLE_DIRECTORY, EK_ROLE_EDGE, p->edge);

  if (edge == NULL || edge != p->channel)
    return;
  ek_pack_map_answer (ek_channel_answer (edge, p->id), status, answer);
  ek_channel_end (edge);
}

static void
looked_up (EkStatus status, const EkAnswer *found, const GError *why, gpointer user)
{
  Pending *p = user;

  if (status == EK_OK && !ek_map_answer_fits (found)) {
    ek_log (EK_WARN, "directory", "an answer of a map for a filter is over %u bytes or %u cells: the filter hears \"defer\"",
            EK_MAP_ANSWER_MAX, EK_MAP_CELLS_MAX);
    status = EK_DEFER;
  }
  answer (p, status, found);
  asked[p->edge]--;
  g_hash_table_remove (pending, p);
  g_free (p);
}

/* NULL: there is none, or it is none of the edges' business. */
static EkInstance *
find (EkGeneration *gen, const char *name)
{
  EkInstance *map = ek_generation_instance (gen, name, 1u << EK_TABLE_MAP);
  static gint64 said;

  if (map && (ek_instance_block (map)->roles & EK_ASKER_BIT (EK_ROLE_EDGE)))
    return map;
  if (ek_now () - said > G_USEC_PER_SEC)
    ek_log (EK_WARN, "directory", "an edge asks a map that no filter refers to (a reload may be under way)");
  said = ek_now ();
  return NULL;
}

void
ek_directory_map (EkMsg *msg, guint edge, EkGeneration *gen)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkMapQuestion question;
  Pending now = { .channel = msg->channel, .edge = edge, .id = msg->id };

  if (!ek_unpack_map_question (&msg->in, pool, &question)) {
    ek_channel_break (msg->channel, "a damaged question");
    return;
  }
  EkInstance *map = find (gen, question.map);
  if (map == NULL || asked[edge] >= PENDING_MAX) {
    answer (&now, EK_DEFER, NULL);
    return;
  }
  Pending *p = g_memdup2 (&now, sizeof now);
  asked[edge]++;
  g_hash_table_add (pending, p);
  p->lookup = ek_map_lookup (map, &question.query, (EkTime) { question.ms * G_GINT64_CONSTANT (1000) }, looked_up, p);
}

void
ek_directory_map_start (void)
{
  pending = g_hash_table_new (NULL, NULL);
}

void
ek_directory_map_end (void)
{
  GHashTableIter iter;
  gpointer p;

  g_hash_table_iter_init (&iter, pending);
  while (g_hash_table_iter_next (&iter, &p, NULL)) {
    ek_map_lookup_cancel (((Pending *) p)->lookup);
    g_free (p);
  }
  g_hash_table_unref (pending);
  memset (asked, 0, sizeof asked);
}
