/* test-trace.c - the event store: whole stories, rotation, restarts, damage
 * SPDX-License-Identifier: Apache-2.0
 */
#include "events.h"
#include "trace/trace.h"
#include "trace/segment.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define QID   "0A1B2C3D4E5F6071"
#define OTHER "0A1B2C3D4E5F6072"
#define CHILD "0A1B2C3D4E5F6073"

static char *folder;

static void
begin (void)
{
  folder = events_folder ();
  events_open (&(EkLogOptions) { .trace = folder, .trace_size = { 1024 * 1024 } });
}

static void
restart (void)
{
  events_close ();
  events_open (&(EkLogOptions) { .trace = folder, .trace_size = { 1024 * 1024 } });
}

static void
end (void)
{
  events_close ();
  events_remove (folder);
}

static EkTrace *
ask (const char *what, EkStatus expected)
{
  EkTrace *trace = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (ek_trace_query (folder, ek_str (what), NULL, &trace, &error), ==, expected);
  g_assert_no_error (error);
  return trace;
}

/* The words of a story with the recipient behind those that have one: "connect client ... sent:a" */
static char *
words_of (const EkTraceStory *story)
{
  GString *out = g_string_new (NULL);
  EkRecord record;

  for (guint i = 0; i < story->events->len; i++) {
    ek_trace_event_read (&g_array_index (story->events, EkTraceEvent, i), &record);
    const EkRecordField *to = ek_record_find (&record, "to");
    g_string_append_printf (out, "%s%.*s", i ? " " : "", EK_STR_ARG (record.word));
    if (to)
      g_string_append_printf (out, ":%c", to->str.p[0]);
  }
  return g_string_free (out, FALSE);
}

/* One session brings two messages; the first has three recipients: one mailbox, one far host, one that is
 * deferred and bounces in the end, with a notification to the sender. */
static void
tell_the_tale (void)
{
  as ("edge", 10);
  ek_event ("smtpd", 0x77, "connect", EK_FTEXT ("host", "c.example"), EK_FTEXT ("ip", "192.0.2.7"));
  ek_event ("smtpd", 0x77, "client", EK_FTEXT ("qid", QID), EK_FTEXT ("host", "c.example"), EK_FTEXT ("ip", "192.0.2.7"));
  ek_event ("cleanup", 0x77, "message-id", EK_FTEXT ("qid", QID), EK_FTEXT ("message_id", "<m1@c.example>"));
  as ("queue", 20);
  ek_event ("qmgr", 0x77, "queued", EK_FTEXT ("qid", QID), EK_FTEXT ("from", "Sender@c.example"), EK_FINT ("size", 1234), EK_FINT ("nrcpt", 3));
  as ("edge", 10);
  ek_event ("smtpd", 0x77, "client", EK_FTEXT ("qid", OTHER), EK_FTEXT ("host", "c.example"), EK_FTEXT ("ip", "192.0.2.7"));
  ek_event ("smtpd", 0x77, "disconnect", EK_FTEXT ("host", "c.example"), EK_FTEXT ("ip", "192.0.2.7"));
  as ("store", 30);
  ek_event ("virtual", 0x77, "sent", EK_FTEXT ("qid", QID), EK_FTEXT ("to", "anna@example.com"), EK_FTEXT ("relay", "virtual"),
            EK_FTEXT ("dsn", "2.0.0"), EK_FTEXT ("text", "delivered to maildir"), EK_FTEXT ("user", "anna@example.com"),
            EK_FTEXT ("mailbox", "INBOX"), EK_FTEXT ("file", "1763798401." QID ".0.0"));
  as ("relay", 40);
  ek_event ("smtp", 0x77, "sent", EK_FTEXT ("qid", QID), EK_FTEXT ("to", "bob@far.example"), EK_FTEXT ("relay", "mx.far.example[198.51.100.1]:25"),
            EK_FTEXT ("dsn", "2.0.0"), EK_FTEXT ("text", "250 ok"));
  ek_event ("smtp", 0x77, "deferred", EK_FTEXT ("qid", QID), EK_FTEXT ("to", "carl@slow.example"), EK_FTEXT ("dsn", "4.4.1"), EK_FTEXT ("text", "timed out"));
}

static void
tell_the_end (void)
{
  as ("store", 31);
  ek_event ("imap", 0, "indexed", EK_FTEXT ("qid", QID), EK_FTEXT ("user", "anna@example.com"), EK_FTEXT ("mailbox", "INBOX"), EK_FINT ("uid", 17));
  as ("relay", 41);
  ek_event ("smtp", 0x77, "bounced", EK_FTEXT ("qid", QID), EK_FTEXT ("to", "carl@slow.example"), EK_FTEXT ("dsn", "4.4.1"), EK_FTEXT ("text", "timed out"));
  as ("queue", 21);
  ek_event ("bounce", 0x77, "notify", EK_FTEXT ("qid", QID), EK_FTEXT ("child_qid", CHILD));
  ek_event ("qmgr", 0x78, "queued", EK_FTEXT ("qid", CHILD), EK_FTEXT ("from", ""), EK_FINT ("size", 3000), EK_FINT ("nrcpt", 1));
  ek_event ("qmgr", 0x77, "removed", EK_FTEXT ("qid", QID));
  ek_event ("qmgr", 0x78, "removed", EK_FTEXT ("qid", CHILD));
  ek_logrole_tick (events_role);
}

static const char whole[] =
  "connect client message-id queued disconnect sent:a sent:b deferred:c indexed bounced:c notify queued removed removed";

static void
assert_whole_story (const char *what)
{
  g_autoptr (EkTrace) trace = ask (what, EK_OK);

  g_assert_cmpuint (trace->stories->len, ==, 1);
  EkTraceStory *story = trace->stories->pdata[0];
  g_autofree char *words = words_of (story);
  g_assert_cmpstr (words, ==, whole);
  g_assert_cmpuint (story->messages->len, ==, 2);
  const EkTraceMessage *m = &g_array_index (story->messages, EkTraceMessage, 0);
  g_assert_true (ek_str_eq (m->qid, EK_STR (QID)));
  g_assert_true (ek_str_eq (m->from, EK_STR ("Sender@c.example")));
  g_assert_true (ek_str_eq (m->message_id, EK_STR ("m1@c.example")));
  g_assert_cmpint (m->size, ==, 1234);
  g_assert_true (m->removed);
  g_assert_cmpuint (m->rcpts->len, ==, 3);
  const EkTraceRcpt *carl = &g_array_index (m->rcpts, EkTraceRcpt, 2);
  g_assert_true (ek_str_eq (carl->word, EK_STR ("bounced")));
  g_assert_cmpuint (carl->attempts, ==, 2);
  const EkTraceMessage *child = &g_array_index (story->messages, EkTraceMessage, 1);
  g_assert_cmpstr (child->parents->pdata[0], ==, QID);
}

static void
test_story (void)
{
  begin ();
  tell_the_tale ();
  restart ();
  tell_the_end ();
  assert_whole_story (QID);
  assert_whole_story ("0a1b2c3d4e5f6071");
  assert_whole_story ("<m1@c.example>");
  assert_whole_story ("m1@c.example");
  assert_whole_story ("ANNA@example.com");
  assert_whole_story ("carl@slow.example");
  assert_whole_story (CHILD);
  g_autoptr (EkTrace) session = ask ("0000000000000077", EK_OK);      /* both messages of the session */
  g_assert_cmpuint (session->stories->len, ==, 2);
  g_autoptr (EkTrace) nothing = ask ("nobody@example.com", EK_NOTFOUND);
  g_assert_cmpuint (nothing->stories->len, ==, 0);
  g_autoptr (EkTrace) other = ask (OTHER, EK_OK);
  g_autofree char *words = words_of (other->stories->pdata[0]);
  g_assert_cmpstr (words, ==, "connect client disconnect");
  end ();
}

/* A refusal has no queue id and is found by its addresses. */
static void
test_refusal (void)
{
  begin ();
  as ("edge", 1);
  ek_event ("smtpd", 0x5, "reject", EK_FTEXT ("stage", "RCPT"), EK_FINT ("code", 554), EK_FTEXT ("text", "no"), EK_FTEXT ("from", "x@y.example"), EK_FTEXT ("to", "z@far.example"));
  ek_event ("smtpd", 0x6, "reject", EK_FTEXT ("qid", "NOQUEUE"), EK_FTEXT ("stage", "RCPT"), EK_FINT ("code", 554), EK_FTEXT ("text", "no"), EK_FTEXT ("to", "z@far.example"));
  ek_logrole_tick (events_role);
  g_autoptr (EkTrace) a = ask ("x@y.example", EK_OK);
  g_autoptr (EkTrace) b = ask ("z@far.example", EK_OK);
  g_assert_cmpuint (a->stories->len, ==, 1);
  g_assert_cmpuint (b->stories->len, ==, 2);
  end ();
}

static guint64
size_of_folder (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint64 sum = 0;
  GStatBuf st;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (g_stat (path, &st) == 0)
      sum += (guint64) st.st_size;
  }
  return sum;
}

static void
send_numbered (guint from, guint to)
{
  as ("queue", 20);
  for (guint i = from; i < to; i++) {
    g_autofree char *qid = g_strdup_printf ("%016X", i + 1);
    g_autofree char *sender = g_strdup_printf ("s%u@c.example", i);
    ek_event ("qmgr", 0x100000 + i, "queued", EK_FTEXT ("qid", qid), EK_FTEXT ("from", sender), EK_FINT ("size", i), EK_FINT ("nrcpt", 1));
    ek_event ("virtual", 0x100000 + i, "sent", EK_FTEXT ("qid", qid), EK_FTEXT ("to", "anna@example.com"), EK_FTEXT ("text", "delivered to maildir"));
    ek_event ("qmgr", 0x100000 + i, "removed", EK_FTEXT ("qid", qid));
    if (i % 50 == 0)
      ek_logrole_tick (events_role);
    if (i % 3000 == 2999)
      restart ();
  }
  ek_logrole_tick (events_role);
}

/* Bounded, the newest kept, found by the index of finished segments and without one. */
static void
test_rotation (void)
{
  guint n = 10000, found = 0;

  begin ();
  send_numbered (0, n);
  g_assert_cmpuint (size_of_folder (), <, 1024 * 1024 + 200 * 1024);
  for (guint i = n; i-- > 0; found++) {
    g_autofree char *sender = g_strdup_printf ("s%u@c.example", i);
    g_autoptr (EkTrace) trace = NULL;
    EkStatus status = ek_trace_query (folder, ek_str (sender), NULL, &trace, NULL);
    if (status == EK_NOTFOUND)
      break;
    EkTraceStory *story = trace->stories->pdata[0];
    g_assert_true (story->events->len == 3 || found > 1000);
  }
  g_assert_cmpuint (found, >, 1000);
  g_assert_cmpuint (found, <, n);
  g_autoptr (EkTrace) many = ask ("anna@example.com", EK_OK);     /* newest 100, and says so */
  g_assert_cmpuint (many->stories->len, ==, 100);
  g_assert_true (many->more);
  end ();
}

static char *
latest_segment (void)
{
  g_autoptr (GArray) numbers = ek_segment_list (folder, NULL);

  return ek_segment_path (folder, g_array_index (numbers, guint64, numbers->len - 1), "ev");
}

/* The process died inside a write, and power loss left holes: the rest is there, and it goes on. */
static void
test_damage (void)
{
  begin ();
  tell_the_tale ();
  ek_logrole_tick (events_role);
  g_autofree char *path = latest_segment ();
  GStatBuf st;
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  int fd = open (path, O_RDWR);
  g_assert_cmpint (pwrite (fd, "garbage that is no frame, \x45\x4b\x65\x56 really", 37, st.st_size), ==, 37);
  restart ();
  tell_the_end ();
  assert_whole_story (QID);
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpint (ftruncate (fd, st.st_size - 20), ==, 0);      /* the last record is torn */
  g_assert_cmpint (pwrite (fd, "\0\0\0\0", 4, 200), ==, 4);       /* an early one has a hole */
  restart ();
  g_autoptr (EkTrace) trace = ask (QID, EK_OK);
  g_assert_cmpuint (((EkTraceStory *) trace->stories->pdata[0])->events->len, ==, 12);
  close (fd);
  end ();
}

/* Whatever stands in the files, nothing is believed and nothing crashes. */
static void
test_hostile_files (void)
{
  GRand *random = g_rand_new_with_seed (7);

  begin ();
  send_numbered (0, 2900);
  g_autoptr (GArray) numbers = ek_segment_list (folder, NULL);
  g_assert_cmpuint (numbers->len, >, 2);
  for (guint round = 0; round < 60; round++) {
    guint64 number = g_array_index (numbers, guint64, g_rand_int_range (random, 0, (gint32) numbers->len));
    g_autofree char *path = ek_segment_path (folder, number, round % 3 ? "ix" : "ev");
    GStatBuf st;
    int fd = open (path, O_RDWR);
    if (fd < 0 || fstat (fd, &st) != 0)
      continue;
    for (guint k = 0; k < 20; k++) {
      guint32 word = g_rand_int (random);
      off_t at = k < 10 ? g_rand_int_range (random, 0, 80) : g_rand_int_range (random, 0, (gint32) st.st_size);
      g_assert_cmpint (pwrite (fd, &word, 1 + k % 4, at), >, 0);
    }
    close (fd);
    for (guint i = 0; i < 2900; i += 500) {
      g_autofree char *qid = g_strdup_printf ("%016X", i + 1);
      g_autoptr (EkTrace) trace = NULL;
      ek_trace_query (folder, ek_str (qid), NULL, &trace, NULL);
    }
  }
  restart ();
  tell_the_tale ();
  tell_the_end ();
  assert_whole_story (QID);
  g_rand_free (random);
  end ();
}

static void
test_one_writer (void)
{
  g_autoptr (GError) error = NULL;

  begin ();
  g_assert_null (ek_trace_writer_open (folder, 1 << 20, &error));
  g_assert_nonnull (strstr (error->message, "another process"));
  end ();
  EkTrace *trace;
  g_clear_error (&error);
  g_assert_cmpint (ek_trace_query ("/nowhere/at/all", EK_STR ("x"), NULL, &trace, &error), ==, EK_FAIL);
  g_assert_nonnull (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trace/story", test_story);
  g_test_add_func ("/trace/refusal", test_refusal);
  g_test_add_func ("/trace/rotation", test_rotation);
  g_test_add_func ("/trace/damage", test_damage);
  g_test_add_func ("/trace/hostile-files", test_hostile_files);
  g_test_add_func ("/trace/one-writer", test_one_writer);
  return g_test_run ();
}
