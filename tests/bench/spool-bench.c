/* spool-bench.c - what the spool alone costs: messages a second, CPU and syncs for each
 * SPDX-License-Identifier: Apache-2.0
 *
 * spool-bench DIR [MESSAGES [SIZE [IN_FLIGHT]]]    (10000 of 4096 bytes, 20 in flight)
 *
 * DIR is made; put it on the disk in question (tests/bench/disk.sh).  Each message is submitted and
 * waited for, then noted as attempted, done and retired, lazily, as queue does.  Prints one line of
 * JSON; "loop_us" is the CPU of the loop thread for a message, "copy_us" what copying its bytes takes.
 */
#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1                           /* RUSAGE_THREAD */
#endif
#include "lib/spoolrig.h"
#include <stdlib.h>
#include <sys/resource.h>

#define COPIES 2000000

typedef struct Bench Bench;
typedef struct { EkCall call; Bench *bench; EkQueueId id; gint64 start; } Slot;
struct Bench {
  Rig      rig;
  guint    left, acked, failed;
  char    *body;
  gsize    size;
  gint64  *times;
};

static void begin (Bench *bench, Slot *slot);

static void
finish (EkSpool *spool, EkQueueId id)
{
  EkSpoolAct attempt = { .type = EK_ACT_ATTEMPT, .rcpt = 0, .action = 1, .text = EK_STR ("store"),
                         .base = EK_STR ("1700000000.0000000000000000.1.1.host") };
  EkSpoolAct end[] = { { .type = EK_ACT_DONE, .rcpt = 0, .text = EK_STR ("250 2.0.0 delivered") }, { .type = EK_ACT_RETIRE } };
  EkSpoolMessage *message = spool_find (spool, id);

  spool_record (spool, NULL, message, &attempt, 1, NULL, 0);
  spool_record (spool, NULL, message, end, 2, NULL, 0);
}

static void
done (EkCall *call, EkStatus status, gpointer user)
{
  Slot *slot = user;
  Bench *bench = slot->bench;

  bench->times[bench->acked++] = ek_now () - slot->start;
  if (status == EK_OK)
    finish (bench->rig.spool, slot->id);
  else
    bench->failed++;
  g_clear_error (&call->error);
  if (bench->left > 0)
    begin (bench, slot);
}

static void
begin (Bench *bench, Slot *slot)
{
  EkSpoolTo to = { .address = EK_STR ("user1@bench.test") };
  EkSpoolExtent extent = { .bytes = { bench->body, bench->size } };
  EkSpoolNew new = { .id = spool_new_id (bench->rig.spool), .sender = EK_STR ("sender@bench.test"), .to = &to, .n_to = 1,
                     .extents = &extent, .n_extents = 1 };

  bench->left--;
  *slot = (Slot) { .call = { .done = done, .user = slot }, .bench = bench, .id = new.id, .start = ek_now () };
  if (spool_submit (bench->rig.spool, &slot->call, &new) != EK_PENDING)
    g_error ("%s", slot->call.error->message);
}

static double
cpu (int who)
{
  struct rusage r;

  getrusage (who, &r);
  return (double) (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double) (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static double
copy_cost (const Bench *bench)
{
  g_autofree char *to = g_malloc (bench->size);
  double before = cpu (RUSAGE_THREAD);

  for (int i = 0; i < COPIES; i++) {
    memcpy (to, bench->body, bench->size);
    __asm__ volatile ("" : : "r" (to) : "memory");
  }
  return (cpu (RUSAGE_THREAD) - before) / COPIES;
}

static int
by_time (const void *a, const void *b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

int
main (int argc, char **argv)
{
  guint n = argc > 2 ? (guint) atoi (argv[2]) : 10000, flight = argc > 4 ? (guint) atoi (argv[4]) : 20;
  Bench bench = { .rig = { .echo = true }, .left = n, .size = argc > 3 ? (gsize) atoi (argv[3]) : 4096 };
  g_autoptr (GError) error = NULL;
  EkSpoolStatus before, st;

  if (argc < 2 || n == 0 || flight == 0 || flight > n || bench.size > EK_SPOOL_INLINE_MAX) {
    fprintf (stderr, "usage: spool-bench DIR [MESSAGES [SIZE [IN_FLIGHT]]]\n");
    return 2;
  }
  SpoolOptions options = rig_options (argv[1]);
  options.segment_size = 32 * 1024 * 1024;       /* as shipped */
  options.retain = 32 * 1024 * 1024;
  options.probe = 10 * G_USEC_PER_SEC;
  if (!rig_open (&bench.rig, &options, 50 * 1024 * 1024, &error))
    g_error ("%s", error->message);
  bench.body = g_strnfill (bench.size, 'x');
  bench.times = g_new (gint64, n);
  g_autofree Slot *slots = g_new0 (Slot, flight);
  for (int i = 0; i < 150; i++)                  /* the reserve is made meanwhile */
    rig_turn (&bench.rig, 10);
  spool_status (bench.rig.spool, &before);
  double all = cpu (RUSAGE_SELF), loop = cpu (RUSAGE_THREAD);
  gint64 start = ek_now ();
  for (guint i = 0; i < flight; i++)
    begin (&bench, &slots[i]);
  while (bench.acked < n)
    rig_turn (&bench.rig, 100);
  double seconds = (double) (ek_now () - start) / 1e6;
  all = cpu (RUSAGE_SELF) - all;
  loop = cpu (RUSAGE_THREAD) - loop;
  spool_status (bench.rig.spool, &st);
  qsort (bench.times, n, sizeof *bench.times, by_time);
  printf ("{\"name\":\"spool\",\"messages\":%u,\"size\":%" G_GSIZE_FORMAT ",\"in_flight\":%u,\"failed\":%u,\"per_second\":%.0f,"
          "\"cpu_us\":%.1f,\"loop_us\":%.2f,\"copy_us\":%.2f,\"syncs_per_message\":%.3f,\"cold_syncs\":%" G_GUINT64_FORMAT
          ",\"checkpoints\":%" G_GUINT64_FORMAT ",\"p50_us\":%" G_GINT64_FORMAT ",\"p99_us\":%" G_GINT64_FORMAT "}\n",
          n, bench.size, flight, bench.failed, n / seconds, all / n, loop / n, copy_cost (&bench),
          (double) (st.syncs - before.syncs) / n, st.cold_syncs, st.checkpoints, bench.times[n / 2], bench.times[n - 1 - n / 100]);
  rig_close (&bench.rig);
  g_free (bench.body);
  g_free (bench.times);
  return bench.failed > 0;
}
