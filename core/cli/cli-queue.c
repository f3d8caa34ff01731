/* cli-queue.c - ekiden queue and ekiden mailq: what waits, and what the administrator does with it
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/queuelist.h"
#include <string.h>
#include <unistd.h>

#define FLUSH_AT 65536

static char *file;
static gboolean json, verbose;

#define FILE_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define JSON_ENTRY { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }
#define END_ENTRY { NULL, 0, 0, 0, NULL, NULL, NULL }

static const GOptionEntry common[] = { FILE_ENTRY, JSON_ENTRY, END_ENTRY };

static bool
begin (int *argc, char ***argv, const GOptionEntry *entries, const char *words, const char *summary, EkControlPlaces *places, int *status)
{
  g_autoptr (GError) error = NULL;

  if (!ek_cli_options (argc, argv, entries, words, summary, status))
    return false;
  if (ek_control_places (file, places, &error))
    return true;
  *status = ek_cli_failed (error);
  return false;
}

/* ---- list ---- */

typedef struct {
  EkMailq mailq;
  EkBuf   out;
} Listing;

static void
list_one (EkStr line, const EkAnswerValue *m, gpointer data)
{
  Listing *l = data;

  if (!json)
    ek_mailq_message (&l->mailq, m, &l->out);
  else if (ek_mailq_wants (&l->mailq, m)) {
    ek_buf_appends (&l->out, l->mailq.messages++ ? ",\n" : "[");
    ek_buf_append (&l->out, line.p, line.n);
  }
  if (ek_buf_len (&l->out) > FLUSH_AT)
    ek_cli_write (STDOUT_FILENO, &l->out);
}

static int
print_list (const EkControlPlaces *places, const char *only)
{
  g_autoptr (GError) error = NULL;
  Listing l = { .mailq.only = only };

  if (!ek_queue_pages (places, "queue-list", NULL, list_one, &l, &error)) {
    ek_cli_write (STDOUT_FILENO, &l.out);
    return ek_cli_failed (error);
  }
  if (json)
    ek_buf_appends (&l.out, l.mailq.messages ? "]\n" : "[]\n");
  else
    ek_mailq_end (&l.mailq, &l.out);
  ek_cli_write (STDOUT_FILENO, &l.out);
  return EK_EXIT_OK;
}

static int
list (int argc, char **argv)
{
  g_auto (EkControlPlaces) places = { 0 };
  int status;

  if (!begin (&argc, &argv, common, "[ID|active|hold|deferred|PATTERN] - list the queue", "As mailq(1): * is being delivered, ! is held; "
              "PATTERN (with * and ?) is compared with sender and recipients.\n\nExamples:\n  ekiden queue list\n"
              "  ekiden queue list '*@example.org'\n  ekiden queue list hold --json", &places, &status))
    return status;
  if (argc > 2)
    return ek_cli_usage ("queue list takes at most one word: put a pattern in quotes");
  return print_list (&places, argc == 2 ? argv[1] : NULL);
}

/* ---- status, show ---- */

static void
status_one (EkStr line, const EkAnswerValue *s, gpointer data)
{
  EkBuf *out = data;

  if (json) {
    ek_buf_append (out, line.p, line.n);
    ek_buf_appendc (out, '\n');
    return;
  }
  for (const EkAnswerValue *v = s->items; v; v = v->next)
    if (v->kind == '0')
      ek_buf_printf (out, "%-16s %" G_GINT64_FORMAT "\n", v->key, v->number);
    else if (v->kind == '"' && v->text.n > 0)
      ek_buf_printf (out, "%-16s %s\n", v->key, v->text.p);
}

static int
queue_status (int argc, char **argv)
{
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };
  int status;

  if (!begin (&argc, &argv, common, "- the queue's numbers", "Counters are since the queue process started.\n\nExample:\n"
              "  ekiden queue status --json", &places, &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("queue status takes no words");
  bool good = ek_queue_pages (&places, "queue-status", NULL, status_one, &out, &error);
  ek_cli_write (STDOUT_FILENO, &out);
  return good ? EK_EXIT_OK : ek_cli_failed (error);
}

static int
show (int argc, char **argv)
{
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf text = { 0 }, out = { 0 };
  int status;

  if (!begin (&argc, &argv, common, "ID - show a message: its envelope, then its content", "Very long messages are shown in part.\n\n"
              "Examples:\n  ekiden queue show 0032C5E1A0000001\n  ekiden queue show ID --json   (the envelope alone)", &places, &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("queue show takes the ID of one message: `ekiden queue list` has them");
  if (!ek_control_ask (&places, (const char *const[]) { "queue-show", argv[1], NULL }, &text, &error))
    return ek_cli_failed (error);
  char *nl = memchr (ek_buf_at (&text), '\n', ek_buf_len (&text));
  EkStr first = { ek_buf_at (&text), nl ? (gsize) (nl - ek_buf_at (&text)) : ek_buf_len (&text) };
  if (json) {
    ek_buf_append (&out, first.p, first.n);
    ek_buf_appendc (&out, '\n');
  }
  else {
    EkMailq one = { 0 };
    const EkAnswerValue *m = ek_answer_parse (pool, first);
    if (m)
      ek_mailq_message (&one, m, &out);
    ek_buf_consume (&text, MIN (first.n + 2, ek_buf_len (&text)));       /* and the empty line */
    ek_buf_append (&out, ek_buf_at (&text), ek_buf_len (&text));
  }
  ek_buf_release (&text);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

/* ---- changes ---- */

typedef struct {
  const char *verb, *past;
  guint64     count, busy;
  gint64      told;
  EkBuf       ids;
} Change;

static void
progress (Change *c, bool last)
{
  EkBuf out = { 0 };

  if (!isatty (STDERR_FILENO) || (!last && ek_now () - c->told < G_USEC_PER_SEC / 4))
    return;
  c->told = ek_now ();
  if (!last)
    ek_buf_printf (&out, "\r%" G_GUINT64_FORMAT " messages %s ...\033[K", c->count, c->past);
  else
    ek_buf_appends (&out, "\r\033[K");
  ek_cli_write (STDERR_FILENO, &out);
}

static void
changed (EkStr line, const EkAnswerValue *v, gpointer data)
{
  Change *c = data;
  const char *id = ek_answer_text (v, "id");

  c->count += (guint64) ek_answer_int (v, "count");
  c->busy += (guint64) ek_answer_int (v, "busy");
  if (ek_answer_get (v, "count"))
    progress (c, false);
  if (*id && json)
    ek_buf_printf (&c->ids, "%s\"%s\"", ek_buf_len (&c->ids) ? "," : "", id);
  else if (*id && verbose)
    ek_buf_printf (&c->ids, "%s: %s\n", id, c->past);
}

static int
change_report (Change *c, bool good)
{
  EkBuf out = { 0 };

  progress (c, true);
  if (json)
    ek_buf_printf (&out, "{\"verb\":\"%s\",\"count\":%" G_GUINT64_FORMAT ",\"unchanged\":%" G_GUINT64_FORMAT ",\"ids\":[%.*s]}\n",
                   c->verb, c->count, c->busy, EK_STR_ARG (ek_buf_str (&c->ids)));
  else {
    ek_buf_append (&out, ek_buf_at (&c->ids), ek_buf_len (&c->ids));
    ek_buf_printf (&out, "%" G_GUINT64_FORMAT " message%s %s\n", c->count, c->count == 1 ? "" : "s", c->past);
    if (c->busy > 0)
      ek_buf_printf (&out, "%" G_GUINT64_FORMAT " not: being delivered just now, or in that state already\n", c->busy);
  }
  ek_buf_release (&c->ids);
  ek_cli_write (STDOUT_FILENO, &out);
  return good ? EK_EXIT_OK : EK_EXIT_FAILED;
}

static int
change (int argc, char **argv, const char *verb, const char *past, const char *words, const char *summary, const char *dflt)
{
  static const GOptionEntry entries[] = {
    FILE_ENTRY, { "verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Name each message", NULL }, JSON_ENTRY, END_ENTRY
  };
  g_auto (EkControlPlaces) places = { 0 };
  g_autofree char *request = g_strconcat ("queue-", verb, NULL);
  g_autofree char *text = g_strconcat ("A target is an ID, ALL, deferred, hold, or a PATTERN (* and ?) for sender and recipients.\n", summary, NULL);
  Change c = { .verb = verb, .past = past };
  bool good = true;
  int status;

  if (!begin (&argc, &argv, entries, words, text, &places, &status))
    return status;
  if (argc < 2 && dflt == NULL)
    return ek_cli_usage ("name what is meant: an ID, ALL, deferred, hold, or a pattern in quotes");
  for (int i = 1; i < MAX (argc, 2); i++) {
    g_autoptr (GError) error = NULL;
    const char *target = argc < 2 ? dflt : argv[i];
    if (ek_queue_pages (&places, request, target, changed, &c, &error))
      continue;
    good = false;
    g_prefix_error (&error, "%s: ", target);
    ek_cli_failed (error);
    if (error->code != EK_CONTROL_SAID)
      break;
  }
  return change_report (&c, good);
}

static int
flush (int argc, char **argv)
{
  return change (argc, argv, "flush", "flushed", "[TARGET...] - try deferred messages now", "\nExamples:\n  ekiden queue flush\n"
                 "  ekiden queue flush '*@example.org'", "ALL");
}

static int
hold (int argc, char **argv)
{
  return change (argc, argv, "hold", "held", "TARGET... - try messages no more until they are released",
                 "\nExamples:\n  ekiden queue hold ID\n  ekiden queue hold '*@example.org'", NULL);
}

static int
release (int argc, char **argv)
{
  return change (argc, argv, "release", "released", "TARGET... - try held messages again", "\nExample:\n  ekiden queue release ALL", NULL);
}

static int
delete (int argc, char **argv)
{
  return change (argc, argv, "delete", "deleted", "TARGET... - delete messages; nobody is told",
                 "\nExamples:\n  ekiden queue delete ID\n  ekiden queue delete 'spammer@*'", NULL);
}

static int
requeue (int argc, char **argv)
{
  return change (argc, argv, "requeue", "requeued", "TARGET... - route messages anew, as if they had just arrived",
                 "\nExample:\n  ekiden queue requeue ALL   (after a change of the routing)", NULL);
}

int
ek_cli_queue (int argc, char **argv)
{
  static const EkCli table[] = {
    { "list", "list the queue, as mailq(1)", list },
    { "show", "show a message", show },
    { "status", "the queue's numbers", queue_status },
    { "flush", "try deferred messages now", flush },
    { "hold", "try messages no more until they are released", hold },
    { "release", "try held messages again", release },
    { "delete", "delete messages; nobody is told", delete },
    { "requeue", "route messages anew", requeue },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  json = verbose = FALSE;
  int status = ek_cli_dispatch (table, "ekiden queue", argc, argv);
  g_clear_pointer (&file, g_free);
  return status;
}

int
ek_cli_mailq (int argc, char **argv)
{
  g_auto (EkControlPlaces) places = { 0 };
  int status;

  g_clear_pointer (&file, g_free);
  json = FALSE;
  if (!begin (&argc, &argv, common, "- list the queue", "* is being delivered, ! is held; reasons are in parentheses.\n\nExamples:\n"
              "  mailq\n  mailq | tail -1", &places, &status))
    return status;
  return argc > 1 ? ek_cli_usage ("mailq takes no words: `ekiden queue list` takes patterns") : print_list (&places, NULL);
}
