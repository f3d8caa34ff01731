/* cli-trace.c - `ekiden trace`: the whole story of a message, from the event store
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads the store's files itself, so it works while the server is down, and asks nothing of it while
 * it runs.
 */
#include "config.h"
#include "cli/cli.h"
#include "base/event.h"
#include "base/json.h"
#include "conf/conf.h"
#include "conf/option.h"
#include "proc/logrole.h"
#include "trace/trace.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  char    *config, *store, *since, *until;
  int      limit;
  gboolean json;
} Wanted;

/* ---- where and what ------------------------------------------------------------------------------------- */

/* The folder that the configuration's log { trace } names. */
static char *
configured_store (const char *config, GError **error)
{
  const char *path = config ? config : ek_conf_default_path ();
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load (path, EK_CONF_NO_FILES, problems);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkLayer layer = { ek_conf_find_block (conf->root, "log", NULL) };
  EkLogOptions options = { 0 };
  EkOptionContext context = { .pool = pool };

  ek_options_apply (ek_log_options, &options, &layer, 1, "log", &context, problems);
  if (options.trace && *options.trace)
    return g_strdup (options.trace);
  if (ek_problems_count (problems) > 0)
    g_propagate_error (error, ek_problems_error (problems));
  else
    ek_fail (error, EK_FAIL, 0, "%s names no event store: set `trace = FOLDER` in its block `log`, or say --store FOLDER", path);
  return NULL;
}

/* "2h" is two hours ago; else a date as in ISO 8601, local time unless it names a zone. */
static bool
parse_moment (const char *text, gint64 *us)
{
  EkTime ago;
  const char *why;

  *us = 0;
  if (text == NULL)
    return true;
  if (ek_parse_time (ek_str (text), &ago, &why)) {
    *us = ek_wall () - ago.us;
    return true;
  }
  g_autofree char *whole = strchr (text, 'T') || strchr (text, ' ') ? g_strdup (text) : g_strconcat (text, "T00:00:00", NULL);
  g_autoptr (GTimeZone) local = g_time_zone_new_local ();
  g_autoptr (GDateTime) moment = g_date_time_new_from_iso8601 (g_strdelimit (whole, " ", 'T'), local);
  if (moment)
    *us = g_date_time_to_unix (moment) * G_USEC_PER_SEC;
  return moment != NULL;
}

/* ---- for people ------------------------------------------------------------------------------------------- */

static const char *
outcome (EkStr word)
{
  return ek_str_eq (word, EK_STR ("sent")) ? "delivered"
         : ek_str_eq (word, EK_STR ("bounced")) ? "failed for good" : "deferred";
}

static void
print_rcpt (const EkTraceRcpt *rcpt, EkBuf *out)
{
  ek_buf_appends (out, "  <");
  ek_event_clean (out, rcpt->to);
  ek_buf_printf (out, ">: %s", outcome (rcpt->word));
  if (rcpt->attempts > 1)
    ek_buf_printf (out, ", %u attempts", rcpt->attempts);
  if (!ek_str_eq (rcpt->word, EK_STR ("sent"))) {
    ek_buf_appends (out, ": ");
    ek_event_clean (out, rcpt->dsn);
    ek_buf_appendc (out, ' ');
    ek_event_clean (out, rcpt->text);
  }
  ek_buf_appendc (out, '\n');
}

static void
print_message (const EkTraceMessage *m, EkBuf *out)
{
  ek_buf_appends (out, "Message ");
  ek_event_clean (out, m->qid);
  ek_buf_appends (out, " from <");
  ek_event_clean (out, m->from);
  ek_buf_appends (out, ">");
  if (m->message_id.n > 0) {
    ek_buf_appends (out, ", Message-ID <");
    ek_event_clean (out, m->message_id);
    ek_buf_appends (out, ">");
  }
  if (m->size >= 0)
    ek_buf_printf (out, ", %" G_GINT64_FORMAT " bytes", m->size);
  for (guint i = 0; i < m->parents->len; i++) {
    ek_buf_appends (out, i ? ", " : ", made from ");
    ek_event_clean (out, ek_str (m->parents->pdata[i]));
  }
  ek_buf_appends (out, m->removed ? ": done\n" : ": in the queue\n");
  for (guint i = 0; i < m->rcpts->len; i++)
    print_rcpt (&g_array_index (m->rcpts, EkTraceRcpt, i), out);
}

/* A heading when the day is another one than *day, then the time within it. */
static void
print_time (gint64 us, char *day, gsize day_size, EkBuf *out)
{
  time_t t = (time_t) (us / G_USEC_PER_SEC);
  struct tm tm = { 0 };
  char today[32], clock[16];

  localtime_r (&t, &tm);
  strftime (today, sizeof today, "%Y-%m-%d %z", &tm);
  strftime (clock, sizeof clock, "%H:%M:%S", &tm);
  if (strcmp (today, day) != 0) {
    ek_buf_printf (out, "%s\n", today);
    g_strlcpy (day, today, day_size);
  }
  ek_buf_printf (out, "%s.%03d  ", clock, (int) (us % G_USEC_PER_SEC / 1000));
}

static void
print_event (const EkTraceEvent *event, bool several, EkBuf *out)
{
  EkRecord record;

  ek_trace_event_read (event, &record);
  const EkRecordField *qid = ek_record_find (&record, "qid");
  EkStr component = record.component.n > 0 ? record.component : ek_str (event->role);
  gsize before = ek_buf_len (out);
  ek_event_clean (out, component);
  for (gsize n = ek_buf_len (out) - before; n < 12; n++)
    ek_buf_appendc (out, ' ');
  if (several && qid && qid->type == EK_F_STR && qid->str.n > 0) {
    ek_event_clean (out, qid->str);
    ek_buf_appends (out, ": ");
  }
  gsize from = ek_buf_len (out);
  ek_record_story (&record, out);
  /* words without a story of their own give their line, which begins with the queue id */
  if (qid && qid->type == EK_F_STR && qid->str.n > 0) {
    EkStr said = { ek_buf_at (out) + from, ek_buf_len (out) - from };
    if (ek_str_starts (said, qid->str) && said.n > qid->str.n + 2 && said.p[qid->str.n] == ':') {
      gsize cut = qid->str.n + 2;
      memmove (ek_buf_at (out) + from, said.p + cut, said.n - cut);
      out->end -= cut;
    }
  }
  ek_buf_appendc (out, '\n');
}

static void
print_story (const EkTraceStory *story, EkBuf *out)
{
  char day[32] = "";

  for (guint i = 0; i < story->messages->len; i++)
    print_message (&g_array_index (story->messages, EkTraceMessage, i), out);
  for (guint i = 0; i < story->events->len; i++) {
    const EkTraceEvent *event = &g_array_index (story->events, EkTraceEvent, i);
    print_time (event->time, day, sizeof day, out);
    print_event (event, story->messages->len > 1, out);
  }
}

static void
print_trace (const EkTrace *trace, EkBuf *out)
{
  for (guint i = 0; i < trace->stories->len; i++) {
    if (i > 0)
      ek_buf_appendc (out, '\n');
    print_story (trace->stories->pdata[i], out);
  }
  if (trace->more)
    ek_buf_appends (out, "\nThere is more: narrow it with --since and --until, or raise --limit.\n");
}

/* ---- for programs -------------------------------------------------------------------------------------------- */

static void
json_message (EkJson *json, const EkTraceMessage *m)
{
  ek_json_object (json, NULL);
  ek_json_str (json, "qid", m->qid);
  ek_json_str (json, "from", m->from);
  ek_json_str (json, "message_id", m->message_id);
  if (m->size >= 0)
    ek_json_int (json, "size", m->size);
  ek_json_bool (json, "removed", m->removed);
  ek_json_array (json, "made_from");
  for (guint i = 0; i < m->parents->len; i++)
    ek_json_text (json, NULL, m->parents->pdata[i]);
  ek_json_end_array (json);
  ek_json_array (json, "recipients");
  for (guint i = 0; i < m->rcpts->len; i++) {
    const EkTraceRcpt *rcpt = &g_array_index (m->rcpts, EkTraceRcpt, i);
    ek_json_object (json, NULL);
    ek_json_str (json, "to", rcpt->to);
    ek_json_str (json, "status", rcpt->word);
    ek_json_int (json, "attempts", rcpt->attempts);
    ek_json_str (json, "dsn", rcpt->dsn);
    ek_json_str (json, "text", rcpt->text);
    ek_json_end_object (json);
  }
  ek_json_end_array (json);
  ek_json_end_object (json);
}

static void
json_trace (const EkTrace *trace, EkBuf *out)
{
  EkJson json = { .out = out };
  EkRecord record;

  ek_json_object (&json, NULL);
  ek_json_bool (&json, "more", trace->more);
  ek_json_array (&json, "stories");
  for (guint i = 0; i < trace->stories->len; i++) {
    const EkTraceStory *story = trace->stories->pdata[i];
    ek_json_object (&json, NULL);
    ek_json_array (&json, "messages");
    for (guint k = 0; k < story->messages->len; k++)
      json_message (&json, &g_array_index (story->messages, EkTraceMessage, k));
    ek_json_end_array (&json);
    ek_json_array (&json, "events");
    for (guint k = 0; k < story->events->len; k++) {
      const EkTraceEvent *event = &g_array_index (story->events, EkTraceEvent, k);
      ek_trace_event_read (event, &record);
      ek_buf_appends (out, k > 0 ? ",\n" : "\n");
      ek_record_json (&record, event->role, event->pid, NULL, out);
    }
    ek_json_end_array (&json);
    ek_json_end_object (&json);
  }
  ek_json_end_array (&json);
  ek_json_end_object (&json);
  ek_buf_appendc (out, '\n');
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static int
run (const Wanted *wanted, const char *what)
{
  EkTraceLimits limits = { .messages = (guint) CLAMP (wanted->limit, 0, 100000) };
  g_autoptr (EkTrace) trace = NULL;
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };

  if (!parse_moment (wanted->since, &limits.since) || !parse_moment (wanted->until, &limits.until))
    return ek_cli_usage ("--since and --until take a time ago (2h, 3d) or a moment (2026-11-22, \"2026-11-22 08:00:00\")");
  g_autofree char *store = wanted->store ? g_strdup (wanted->store) : configured_store (wanted->config, &error);
  if (store == NULL)
    return ek_cli_failed (error);
  EkStatus status = ek_trace_query (store, ek_str (what), &limits, &trace, &error);
  if (status == EK_FAIL)
    return ek_cli_failed (error);
  if (wanted->json)
    json_trace (trace, &out);
  else
    print_trace (trace, &out);
  ek_cli_write (STDOUT_FILENO, &out);
  if (status == EK_NOTFOUND && !wanted->json)
    fprintf (stderr, "ekiden: nothing is known of %s\n", what);
  return status == EK_OK ? EK_EXIT_OK : EK_EXIT_FAILED;
}

int
ek_cli_trace (int argc, char **argv)
{
  Wanted wanted = { 0 };
  const GOptionEntry entries[] = {
    { "since", 's', 0, G_OPTION_ARG_STRING, &wanted.since, "Nothing before: 2h (ago), 2026-11-22", "TIME" },
    { "until", 'u', 0, G_OPTION_ARG_STRING, &wanted.until, "Nothing after", "TIME" },
    { "limit", 'n', 0, G_OPTION_ARG_INT, &wanted.limit, "At most N messages, the newest (100)", "N" },
    { "store", 0, 0, G_OPTION_ARG_FILENAME, &wanted.store, "The event store's folder, instead of the configuration's", "FOLDER" },
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &wanted.config, "The configuration", "FILE" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &wanted.json, "Write JSON", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  int status;

  if (ek_cli_options (&argc, &argv, entries, "QUEUE-ID|MESSAGE-ID|ADDRESS|EVENT-ID",
                      "Tells all that happened to a message, in order, from the event store.\n\nExamples:\n  ekiden trace 0032C5E1A0000001\n"
                      "  ekiden trace anna@example.com --since 2h\n  ekiden trace '<abc@example.org>' --json", &status))
    status = argc == 2 && *argv[1] ? run (&wanted, argv[1])
                                   : ek_cli_usage ("one queue id, message id, address or event id is wanted: see ekiden trace --help");
  g_free (wanted.config);
  g_free (wanted.store);
  g_free (wanted.since);
  g_free (wanted.until);
  return status;
}
