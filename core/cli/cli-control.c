/* cli-control.c - ekiden status, reload, stop, upgrade, reopen, rekey
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "base/json.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "proc/control.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static char *file;
static gboolean json, no_wait;
static gint patience;

#define FILE_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define JSON_ENTRY { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }
#define WAIT_ENTRY { "timeout", 't', 0, G_OPTION_ARG_INT, &patience, "How long to wait (90)", "SECONDS" }
#define NO_WAIT_ENTRY { "no-wait", 'n', 0, G_OPTION_ARG_NONE, &no_wait, "Only ask for it", NULL }
#define END_ENTRY { NULL, 0, 0, 0, NULL, NULL, NULL }

/* Options, no words, and where the server is.  False: *status is the exit status. */
static bool
begin (int argc, char **argv, const GOptionEntry *entries, const char *words, const char *summary, EkControlPlaces *places,
       int *status)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&file, g_free);
  json = no_wait = FALSE;
  patience = 90;
  if (!ek_cli_options (&argc, &argv, entries, words, summary, status))
    return false;
  *status = EK_EXIT_OK;
  if (argc > 1)
    *status = ek_cli_usage ("this command takes no words: name the configuration with -c FILE");
  else if (patience < 1)
    *status = ek_cli_usage ("--timeout takes a number of seconds above 0");
  else if (!ek_control_places (file, places, &error))
    *status = ek_cli_failed (error);
  return *status == EK_EXIT_OK;
}

static bool
ask (const EkControlPlaces *places, const char *verb, EkBuf *out, GError **error)
{
  return ek_control_ask (places, (const char *const[]) { verb, NULL }, out, error);
}

static int
done (const char *text)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "done", text);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
    ek_cli_write (STDOUT_FILENO, &out);
  }
  return EK_EXIT_OK;
}

/* Each line of the error with the program's name in front. */
static int
failed (const GError *error)
{
  g_auto (GStrv) lines = g_strsplit (error->message, "\n", -1);
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "error", error->message);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
    ek_cli_write (STDOUT_FILENO, &out);
    return EK_EXIT_FAILED;
  }
  for (guint i = 0; lines[i]; i++)
    if (*lines[i])
      ek_buf_printf (&out, "ekiden: %s\n", lines[i]);
  ek_cli_write (STDERR_FILENO, &out);
  return EK_EXIT_FAILED;
}

/* ---- status ---- */

static const char *
duration (gint64 seconds, char text[static 32])
{
  if (seconds >= 86400)
    g_snprintf (text, 32, "%" G_GINT64_FORMAT "d %02dh", seconds / 86400, (int) (seconds % 86400 / 3600));
  else if (seconds >= 3600)
    g_snprintf (text, 32, "%dh %02dm", (int) (seconds / 3600), (int) (seconds % 3600 / 60));
  else
    g_snprintf (text, 32, "%dm %02ds", (int) (seconds / 60), (int) (seconds % 60));
  return text;
}

static void
print_workers (const EkAnswerValue *master, EkBuf *out)
{
  const EkAnswerValue *workers = ek_answer_get (master, "workers");
  char text[32];

  ek_buf_printf (out, "The server is %s (pid %d, generation %d of the configuration).\n\n", ek_answer_text (master, "state"),
                 (int) ek_answer_int (master, "pid"), (int) ek_answer_int (master, "generation"));
  ek_buf_printf (out, "%-14s %8s  %-9s %12s %9s\n", "process", "pid", "state", "up", "restarts");
  for (const EkAnswerValue *w = workers ? workers->items : NULL; w; w = w->next) {
    const char *state = ek_answer_text (w, "state");
    bool down = strcmp (state, "down") == 0;
    char pid[16] = "-", name[48];
    g_snprintf (name, sizeof name, "%s", ek_answer_text (w, "name"));
    if (ek_answer_get (w, "uid"))    /* a store process of one system user */
      g_snprintf (name, sizeof name, "%s %" G_GINT64_FORMAT, ek_answer_text (w, "name"), ek_answer_int (w, "uid"));
    if (!down)
      g_snprintf (pid, sizeof pid, "%d", (int) ek_answer_int (w, "pid"));
    ek_buf_printf (out, "%-14s %8s  %-9s %12s %9" G_GINT64_FORMAT "\n", name, pid, state,
                   down ? "-" : duration (ek_answer_int (w, "uptime"), text), ek_answer_int (w, "restarts"));
  }
}

static void
print_queue (const EkAnswerValue *queue, const char *why, EkBuf *out)
{
  if (queue == NULL) {
    ek_buf_printf (out, "\nqueue: no numbers: %s\n", why);
    return;
  }
  g_autofree char *kept = g_format_size_full ((guint64) ek_answer_int (queue, "retained_bytes"), G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *left = g_format_size_full ((guint64) ek_answer_int (queue, "free_bytes"), G_FORMAT_SIZE_IEC_UNITS);
  ek_buf_printf (out, "\nqueue: %" G_GINT64_FORMAT " messages, %" G_GINT64_FORMAT " deliveries under way; accepted %" G_GINT64_FORMAT
                 ", finished %" G_GINT64_FORMAT " since the start\n", ek_answer_int (queue, "messages"),
                 ek_answer_int (queue, "under_way"), ek_answer_int (queue, "submitted"), ek_answer_int (queue, "retired"));
  ek_buf_printf (out, "spool: %s%s%s; holds %s, the disk has %s left\n", ek_answer_text (queue, "health"),
                 *ek_answer_text (queue, "why") ? ": " : "", ek_answer_text (queue, "why"), kept, left);
  if (ek_answer_int (queue, "quarantined") > 0)
    ek_buf_printf (out, "spool: %" G_GINT64_FORMAT " damaged pieces are set aside: see the log, then `ekiden fsck`\n",
                   ek_answer_int (queue, "quarantined"));
}

/* Is every process as it should be? */
static bool
is_healthy (const EkAnswerValue *master, const EkAnswerValue *queue)
{
  const EkAnswerValue *workers = ek_answer_get (master, "workers");

  for (const EkAnswerValue *w = workers ? workers->items : NULL; w; w = w->next)
    if (strcmp (ek_answer_text (w, "state"), "ready") != 0
        && !(ek_answer_get (w, "uid") && strcmp (ek_answer_text (w, "state"), "starting") == 0))       /* somebody has just asked for it */
      return false;
  return queue != NULL && strcmp (ek_answer_text (queue, "health"), "ok") == 0;
}

static void
status_json (bool running, EkBuf *master, EkBuf *queue, const char *why, EkBuf *out)
{
  ek_buf_printf (out, "{\"running\":%s,\"master\":", running ? "true" : "false");
  if (ek_buf_len (master) > 0)
    ek_buf_append (out, ek_buf_at (master), ek_buf_len (master) - 1);          /* without its LF */
  else
    ek_buf_appends (out, "null");
  ek_buf_appends (out, ",\"queue\":");
  if (ek_buf_len (queue) > 0)
    ek_buf_append (out, ek_buf_at (queue), ek_buf_len (queue) - 1);
  else
    ek_buf_appends (out, "null");
  if (why) {
    ek_buf_appends (out, ",\"error\":");
    ek_json_quote (out, ek_str (why));
  }
  ek_buf_appends (out, "}\n");
}

int
ek_cli_status (int argc, char **argv)
{
  static const GOptionEntry entries[] = { FILE_ENTRY, JSON_ENTRY, END_ENTRY };
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL, queue_error = NULL;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf text = { 0 }, queue_text = { 0 }, out = { 0 };
  int status;

  if (!begin (argc, argv, entries, "- the processes of the running server, and its queue", "Exit status: 0 all is well, 1 the server "
              "does not run or a part of it is not well.\n\nExamples:\n  ekiden status\n  ekiden status --json", &places, &status))
    return status;
  bool master_ok = ask (&places, "status", &text, &error);
  if (master_ok)
    ask (&places, "queue-status", &queue_text, &queue_error);
  EkAnswerValue *master = ek_answer_parse (pool, ek_buf_str (&text)), *queue = ek_answer_parse (pool, ek_buf_str (&queue_text));
  bool well = master_ok && is_healthy (master, queue);
  const char *why = error ? error->message : queue_error ? queue_error->message : NULL;
  if (json)
    status_json (master_ok || error->code != EK_CONTROL_DOWN, &text, &queue_text, why, &out);
  else if (master_ok) {
    print_workers (master, &out);
    print_queue (queue, why ? why : "the answer cannot be understood", &out);
  }
  ek_cli_write (STDOUT_FILENO, &out);
  ek_buf_release (&text);
  ek_buf_release (&queue_text);
  if (!master_ok && !json)
    return failed (error);
  return well ? EK_EXIT_OK : EK_EXIT_FAILED;
}

/* ---- reload, reopen, rekey ---- */

/* One request, and nothing to tell but that it was done. */
static int
simple (int argc, char **argv, const char *verb, const char *what, const char *help)
{
  static const GOptionEntry entries[] = { FILE_ENTRY, JSON_ENTRY, END_ENTRY };
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };
  int status;

  if (!begin (argc, argv, entries, what, help, &places, &status))
    return status;
  bool good = ask (&places, verb, &out, &error);
  if (good && ek_buf_len (&out) > 0)
    ek_cli_write (STDERR_FILENO, &out);          /* done, but there is something to know */
  ek_buf_release (&out);
  return good ? done (verb) : failed (error);
}

int
ek_cli_reload (int argc, char **argv)
{
  return simple (argc, argv, "reload", "- take the configuration as it is now", "Nobody is disconnected, and when the command ends the configuration\n"
                 "is in force.  When it has errors all of them are told, nothing changes\nand the exit status is 1.  `ekiden config check` looks without reloading.\n\n"
                 "Example:\n  ekiden config set queue.lifetime 3d && ekiden reload");
}

int
ek_cli_reopen (int argc, char **argv)
{
  return simple (argc, argv, "reopen", "- open the log files anew", "For after a rotation.\n\nExample:\n  mv mail.log mail.log.1 && ekiden reopen");
}

int
ek_cli_rekey (int argc, char **argv)
{
  return simple (argc, argv, "rekey", "- make a new key for TLS session tickets", "The key before it counts on for tls.ticket_lifetime; done "
                 "twice, no ticket that was given before is taken any more.\nConnections that are open do not notice.\n\n"
                 "Example:\n  ekiden rekey && ekiden rekey");
}

/* ---- stop, upgrade ---- */

static void
progress (const char *what, gint64 since)
{
  EkBuf out = { 0 };

  if (!isatty (STDERR_FILENO))
    return;
  if (what)
    ek_buf_printf (&out, "\r%s ... %" G_GINT64_FORMAT " s\033[K", what, (ek_now () - since) / G_USEC_PER_SEC);
  else
    ek_buf_appends (&out, "\r\033[K");
  ek_cli_write (STDERR_FILENO, &out);
}

static bool
wait_gone (int pidfile, GError **error)
{
  gint64 since = ek_now (), told = since;
  bool gone;

  while ((gone = !ek_control_still (pidfile)) == false && ek_now () - since < patience * G_USEC_PER_SEC) {
    g_usleep (20000);
    if (ek_now () - told >= G_USEC_PER_SEC) {
      told = ek_now ();
      progress ("the server finishes what is under way", since);
    }
  }
  progress (NULL, since);
  if (!gone)
    ek_fail (error, EK_FAIL, ETIMEDOUT, "the server was asked to stop and still runs after %d s: wait longer with --timeout, or look "
             "at the log; roles.stop_timeout bounds how long work under way may take", patience);
  return gone;
}

/* The ordinary way; past a control role that is down, a signal. */
static bool
ask_stop (const EkControlPlaces *places, pid_t pid, GError **error)
{
  g_autoptr (GError) why = NULL;
  EkBuf out = { 0 };
  bool good = ask (places, "stop", &out, &why);

  ek_buf_release (&out);
  if (good || (why->code == EK_CONTROL_BUSY && pid > 1 && kill (pid, SIGTERM) == 0) || why->code == EK_CONTROL_DOWN)
    return true;
  g_propagate_error (error, g_steal_pointer (&why));
  return false;
}

int
ek_cli_stop (int argc, char **argv)
{
  static const GOptionEntry entries[] = { FILE_ENTRY, WAIT_ENTRY, NO_WAIT_ENTRY, JSON_ENTRY, END_ENTRY };
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  pid_t pid;
  int status;

  if (!begin (argc, argv, entries, "- stop the server", "Waits until it is gone: connections are closed, deliveries under way end first.  "
              "What is accepted stays in the queue.\n\nExamples:\n  ekiden stop\n  ekiden stop --timeout 20", &places, &status))
    return status;
  int pidfile = ek_control_running (&places, &pid);
  if (pidfile < 0) {
    ek_fail (&error, EK_FAIL, EK_CONTROL_DOWN, "the server does not run (no process holds %s/" EK_PID_FILE ")", places.run_dir);
    return failed (error);
  }
  bool good = ask_stop (&places, pid, &error) && (no_wait || wait_gone (pidfile, &error));
  close (pidfile);
  return good ? done ("stop") : failed (error);
}

static bool
wait_running (const EkControlPlaces *places, gint64 since, GError **error)
{
  for (;;) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    g_autoptr (GError) why = NULL;
    EkBuf text = { 0 };
    bool up = ask (places, "status", &text, &why)
              && strcmp (ek_answer_text (ek_answer_parse (pool, ek_buf_str (&text)), "state"), "running") == 0;
    ek_buf_release (&text);
    if (up || ek_now () - since > patience * G_USEC_PER_SEC) {
      progress (NULL, since);
      if (!up)
        ek_fail (error, EK_FAIL, ETIMEDOUT, "the new program does not answer after %d s: see the log", patience);
      return up;
    }
    progress ("the new program starts", since);
    g_usleep (100000);
  }
}

int
ek_cli_upgrade (int argc, char **argv)
{
  static const GOptionEntry entries[] = { FILE_ENTRY, WAIT_ENTRY, NO_WAIT_ENTRY, JSON_ENTRY, END_ENTRY };
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };
  int status;

  if (!begin (argc, argv, entries, "- run the program that is installed now", "The listening sockets are handed on: clients that connect "
              "meanwhile wait a moment and nobody is refused.\n\nExample:\n  make install && ekiden upgrade", &places, &status))
    return status;
  bool good = ask (&places, "upgrade", &out, &error) && (no_wait || wait_running (&places, ek_now (), &error));
  ek_buf_release (&out);
  return good ? done ("upgrade") : failed (error);
}
