/* bench-maps.c - one map asked as directory asks it: through ek_map_lookup(), on the loop, with its job threads
 * SPDX-License-Identifier: Apache-2.0
 *
 *     bench-maps CONFIG MAP KEY RANGE COUNT [AT-ONCE]
 *
 * KEY is a text with %u, in whose place stands a number below RANGE, in no order.  COUNT questions, AT-ONCE (16) of them under way; one
 * question for each key of the range comes first, at most WARM_MAX, so that connections are there and caches filled.  Prints a line of
 * JSON: what starting the map cost (a text file is read then), its memory (PSS, before and after), and what a question costs, with the
 * CPU of all threads of this process.
 */
#include "base/log.h"
#include "module/lookup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WARM_MAX      20000
#define N_JOB_THREADS 8              /* as in proc/role.c */

typedef struct {
  EkInstance *map;
  const char *format;
  guint       range;
  guint64     wanted, begun, ended, found, missed, later;
  char       *why;                   /* the first "later" has it */
} Run;

static double
cpu (void)
{
  struct rusage r;

  getrusage (RUSAGE_SELF, &r);
  return (double) (r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double) (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static guint64
pss_kb (void)
{
  g_autofree char *text = NULL;
  const char *at;

  if (!g_file_get_contents ("/proc/self/smaps_rollup", &text, NULL, NULL) || (at = strstr (text, "\nPss:")) == NULL)
    return 0;
  return g_ascii_strtoull (at + 5, NULL, 10);
}

static void answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user);

static void
ask (Run *run)
{
  char key[256];
  guint number = (guint) (run->begun * 2654435761u % run->range);

  const char *at = strstr (run->format, "%u");
  int n = g_snprintf (key, sizeof key, "%.*s%u%s", (int) (at - run->format), run->format, number, at + 2);
  run->begun++;
  ek_map_lookup (run->map, &(EkQuery) { .key = { key, (gsize) n } }, (EkTime) { 30 * G_USEC_PER_SEC }, answered, run);
}

static void
answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  Run *run = user;

  run->ended++;
  if (status == EK_OK)
    run->found += answer->n_rows > 0;
  else if (status == EK_NOTFOUND)
    run->missed++;
  else if (run->later++ == 0)
    run->why = g_strdup (why ? why->message : ek_status_name (status));
  if (run->begun < run->wanted)
    ask (run);
}

static void
ask_all (Run *run, guint64 count, guint at_once)
{
  run->wanted = count;
  run->begun = run->ended = run->found = run->missed = run->later = 0;
  for (guint i = 0; i < at_once && run->begun < count; i++)
    ask (run);
  while (run->ended < count)
    ek_loop_turn (ek_loop_mine (), true);
}

static EkGeneration *
read_conf (const char *path)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf out = { 0 };
  EkGeneration *gen = ek_generation_new (ek_conf_load (path, 0, problems), EK_ROLES_ALL, problems);

  ek_problems_print (problems, &out);
  fwrite (ek_buf_at (&out), 1, ek_buf_len (&out), stderr);
  ek_buf_release (&out);
  return gen;
}

static bool
start (EkGeneration *gen, const char *name, Run *run)
{
  g_autoptr (GError) error = NULL;

  run->map = ek_generation_instance (gen, name, 1u << EK_TABLE_MAP);
  if (run->map && ek_instance_start (run->map, &error))
    return true;
  fprintf (stderr, "%s: %s\n", name, error ? error->message : "no such map");
  return false;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  guint64 count = argc > 5 ? g_ascii_strtoull (argv[5], NULL, 10) : 0;
  guint at_once = argc > 6 ? (guint) atoi (argv[6]) : 16;
  Run run = { .format = argc > 3 ? argv[3] : "", .range = argc > 4 ? (guint) atoi (argv[4]) : 0 };

  if (count == 0 || run.range == 0 || at_once == 0 || strstr (run.format, "%u") == NULL) {
    fprintf (stderr, "bench-maps CONFIG MAP KEY-WITH-%%u RANGE COUNT [AT-ONCE]\n");
    return 2;
  }
  signal (SIGPIPE, SIG_IGN);
  ek_log_set_level (EK_ERR);
  EkLoop *loop = ek_loop_new (&error);
  EkJobPool *jobs = ek_job_pool_new (loop, N_JOB_THREADS, "map");
  EkGeneration *gen = read_conf (argv[1]);
  guint64 before = pss_kb ();
  gint64 from = g_get_monotonic_time ();
  double used = cpu ();
  if (gen == NULL || !start (gen, argv[2], &run))
    return 1;
  gint64 started = g_get_monotonic_time () - from;
  double start_cpu = cpu () - used;
  guint64 after = pss_kb ();
  ek_op_use_jobs (jobs);
  ask_all (&run, MIN (run.range, WARM_MAX), at_once);
  from = g_get_monotonic_time ();
  used = cpu ();
  ask_all (&run, count, at_once);
  double seconds = (double) (g_get_monotonic_time () - from) * 1e-6;
  printf ("{\"name\":\"map\",\"map\":\"%s\",\"start_s\":%.3f,\"start_cpu_s\":%.3f,\"pss_before_kb\":%" G_GUINT64_FORMAT ",\"pss_kb\":%" G_GUINT64_FORMAT
          ",\"n\":%" G_GUINT64_FORMAT ",\"found\":%" G_GUINT64_FORMAT ",\"missed\":%" G_GUINT64_FORMAT ",\"later\":%" G_GUINT64_FORMAT
          ",\"per_second\":%.0f,\"cpu_us_per_op\":%.2f}\n",
          argv[2], (double) started * 1e-6, start_cpu, before, after, count, run.found, run.missed, run.later, (double) count / seconds,
          (cpu () - used) * 1e6 / (double) count);
  if (run.why)
    fprintf (stderr, "%s: %s\n", argv[2], run.why);
  ek_generation_unref (gen);
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return run.later ? 1 : 0;
}
