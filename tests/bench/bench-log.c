/* bench-log.c - what an event costs: the process that logs it, and the log role with each sink
 * SPDX-License-Identifier: Apache-2.0
 *
 * bench-log [MESSAGES]   five events a message, CPU time of one core; files in a temporary folder
 */
#include "base/base.h"
#include "base/log.h"
#include "proc/logrole.h"
#include "trace/trace.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { EVENTS = 5 };

static EkBuf caught;

static void
keep (const char *bytes, gsize len, gpointer data)
{
  ek_buf_append (&caught, bytes, len);
}

static void
forget (const char *bytes, gsize len, gpointer data)
{
}

static double
cpu_us (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void
message (guint i)
{
  char qid[20], message_id[40], to[40];

  g_snprintf (qid, sizeof qid, "0A1B2C3D%08X", i);
  g_snprintf (message_id, sizeof message_id, "<%08x.1234567@c.example>", i);
  g_snprintf (to, sizeof to, "user%u@bench.test", i % 1000);
  ek_event ("smtpd", i, "client", EK_FTEXT ("qid", qid), EK_FTEXT ("host", "mail.c.example"), EK_FTEXT ("ip", "192.0.2.7"),
            EK_FTEXT ("helo", "mail.c.example"), EK_FTEXT ("proto", "ESMTP"));
  ek_event ("cleanup", i, "message-id", EK_FTEXT ("qid", qid), EK_FTEXT ("message_id", message_id));
  ek_event ("qmgr", i, "queued", EK_FTEXT ("qid", qid), EK_FTEXT ("from", "sender@c.example"), EK_FINT ("size", 4096), EK_FINT ("nrcpt", 1));
  ek_event ("virtual", i, "sent", EK_FTEXT ("qid", qid), EK_FTEXT ("to", to), EK_FTEXT ("relay", "virtual"), EK_FTIME ("delay", 12000),
            EK_FTIME ("delay_before", 5000), EK_FTIME ("delay_queue", 1000), EK_FTIME ("delay_connect", 0), EK_FTIME ("delay_send", 6000),
            EK_FTEXT ("dsn", "2.0.0"), EK_FTEXT ("text", "delivered to maildir"), EK_FTEXT ("user", to), EK_FTEXT ("mailbox", "INBOX"),
            EK_FTEXT ("file", "0A1B2C3D00000001.0.0"));
  ek_event ("qmgr", i, "removed", EK_FTEXT ("qid", qid));
}

static void
measure (const char *what, const EkLogOptions *options, guint n)
{
  EkLogRole *role = ek_logrole_open (options, "mx", NULL);
  double begin = cpu_us ();

  for (gsize at = 0, take; at < ek_buf_len (&caught); at += take) {
    take = MIN (16384, ek_buf_len (&caught) - at);
    ek_logrole_input (role, "master", 9, ek_buf_at (&caught) + at, take);
    ek_logrole_tick (role);
  }
  printf ("log role, %-8s %6.2f us an event\n", what, (cpu_us () - begin) / n);
  ek_logrole_close (role);
}

static void
ask (const char *store, const char *what)
{
  g_autoptr (EkTrace) trace = NULL;
  gint64 begin = ek_now ();

  ek_trace_query (store, ek_str (what), NULL, &trace, NULL);
  printf ("trace %-20s %6.1f ms, %u stories\n", what, (double) (ek_now () - begin) / 1e3, trace ? trace->stories->len : 0);
}

int
main (int argc, char **argv)
{
  guint messages = argc > 1 ? (guint) atoi (argv[1]) : 40000, n = messages * EVENTS;
  g_autofree char *folder = g_dir_make_tmp ("ekiden-bench-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "log", NULL), *json = g_build_filename (folder, "json", NULL);
  g_autofree char *store = g_build_filename (folder, "events", NULL);
  EkSize size = { 256 << 20 };

  ek_log_set_sink (forget, NULL);
  ek_log_set_batching (true);
  double begin = cpu_us ();
  for (guint i = 0; i < messages; i++) {
    message (i);
    if (i % 4 == 3)
      ek_log_flush ();
  }
  printf ("ek_event()         %6.2f us an event\n", (cpu_us () - begin) / n);
  ek_log_set_sink (keep, NULL);
  for (guint i = 0; i < messages; i++)
    message (i);
  ek_log_set_batching (false);
  ek_log_set_sink (NULL, NULL);
  printf ("a record           %6.0f octets\n", (double) ek_buf_len (&caught) / n);
  measure ("no sink", &(EkLogOptions) { .file = NULL }, n);
  measure ("file", &(EkLogOptions) { .file = file }, n);
  measure ("json", &(EkLogOptions) { .json = json }, n);
  measure ("trace", &(EkLogOptions) { .trace = store, .trace_size = size }, n);
  ask (store, "0A1B2C3D00000100");
  ask (store, "user7@bench.test");
  printf ("files are in %s\n", folder);
  return 0;
}
