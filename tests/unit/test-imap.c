/* test-imap.c - IMAP sessions in memory, over a real Maildir: order, windows, APPEND, IDLE, limits, the edge
 * SPDX-License-Identifier: Apache-2.0
 */
#include "../lib/instance.h"
#include "../lib/memsession.h"
#include "index/box.h"
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

extern const EkModule ek_module_imap;

/* ---- a user with a Maildir -------------------------------------------------------------------- */

typedef struct {
  char       *root;
  EkInstance *maildir;
  EkIndexes  *set;
  EkIndex    *ix;
  gpointer    options;
} World;

static World
world_new (void)
{
  World w = { .root = g_dir_make_tmp ("ekiden-imap-XXXXXX", NULL) };
  g_autofree char *options = g_strdup_printf ("path = \"%s/Maildir\"", w.root);
  EkUser user = { .name = "ann", .home = w.root, .uid = -1, .gid = -1 };
  EkIndexConfig config = { 0 };

  w.maildir = ek_test_instance ("maildir", options);
  w.set = ek_indexes_new (&config, NULL);
  g_assert_cmpint (ek_index_new (w.set, w.maildir, &user, &w.ix, NULL), ==, EK_OK);
  w.options = mem_options (ek_module_imap.after_login);
  return w;
}

static void
world_free (World *w)
{
  g_autofree char *quoted = g_shell_quote (w->root), *command = g_strdup_printf ("rm -rf %s", quoted);

  ek_index_unref (w->ix);
  ek_indexes_free (w->set);
  ek_test_instance_free (w->maildir);
  g_free (w->options);
  g_assert_cmpint (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL), ==, TRUE);
  g_free (w->root);
}

static EkSession *
login_slow (World *w, gsize takes)
{
  MemConfig config = { .ops = ek_module_imap.after_login, .index = w->ix, .tag = "a0", .options = w->options,
                       .takes = takes };
  EkSession *s = mem_session_new (&config);

  mem_run (s);
  g_assert_true (g_str_has_prefix (mem_output (s).p, "a0 OK [CAPABILITY IMAP4rev1 "));
  mem_output_clear (s);
  return s;
}

static EkSession *
login (World *w)
{
  return login_slow (w, 0);
}

/* Feeds and runs; the answer with its "(0.001 secs)" taken out. */
static char *
say (EkSession *s, const char *text)
{
  static GRegex *timing;

  if (timing == NULL)
    timing = g_regex_new (" \\(\\d+\\.\\d+ secs\\)", 0, 0, NULL);
  mem_feed (s, text, strlen (text));
  mem_run (s);
  g_autofree char *raw = g_strndup (mem_output (s).p, mem_output (s).n);
  mem_output_clear (s);
  return g_regex_replace_literal (timing, raw, -1, 0, "", 0, NULL);
}

#define expect(s_, text_, expected_)                         \
  G_STMT_START {                                             \
    g_autofree char *got_ = say ((s_), (text_));             \
    g_assert_cmpstr (got_, ==, (expected_));                 \
  } G_STMT_END

static void
expect_part (EkSession *s, const char *text, const char *part)
{
  g_autofree char *got = say (s, text);

  if (strstr (got, part) == NULL)
    g_error ("\"%s\" is not in the answer to \"%s\": %s", part, text, got);
}

static void
append (EkSession *s, const char *mailbox, const char *message)
{
  g_autofree char *command = g_strdup_printf ("ap APPEND %s {%zu+}\r\n%s\r\n", mailbox, strlen (message), message);

  expect_part (s, command, "ap OK [APPENDUID ");
}

static void
drop_file (World *w, const char *name, const char *content)
{
  g_autofree char *path = g_build_filename (w->root, "Maildir", "new", name, NULL);

  g_assert_true (g_file_set_contents (path, content, -1, NULL));
}

/* ---- commands ------------------------------------------------------------------------------------ */

static void
test_pipeline (void)
{
  World w = world_new ();
  EkSession *s = login (&w);

  append (s, "INBOX", "Subject: one\r\n\r\nbody\r\n");
  g_autofree char *got = say (s, "a NOOP\r\nb EXAMINE INBOX\r\nc FETCH 1 RFC822.SIZE\r\nd FOO\r\ne SEARCH SUBJECT {3+}\r\none\r\n"
                                 "f CAPABILITY\r\ng UNSELECT\r\n");
  const char *at = got;
  const char *order[] = { "a OK", "b OK [READ-ONLY]", "* 1 FETCH (RFC822.SIZE 22)\r\nc OK", "d BAD", "* SEARCH 1\r\ne OK",
                          "* CAPABILITY IMAP4rev1", "f OK", "g OK" };
  for (guint i = 0; i < G_N_ELEMENTS (order); i++) {
    at = strstr (at, order[i]);
    g_assert_nonnull (at);
  }
  mem_session_free (s);
  world_free (&w);
}

static void
test_byte_by_byte (void)
{
  World w = world_new ();
  EkSession *s = login (&w);
  const char *text = "a APPEND INBOX (\\Seen) {14}\r\nSubject: x\r\n\r\n\r\nb SELECT {5}\r\nINBOX\r\nc UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n";

  for (const char *p = text; *p; p++) {
    mem_feed (s, p, 1);
    mem_run (s);
  }
  g_autofree char *got = say (s, "d LOGOUT\r\n");
  g_assert_nonnull (strstr (got, "+ OK\r\na OK [APPENDUID "));
  g_assert_nonnull (strstr (got, "+ OK\r\n* FLAGS ("));
  g_assert_nonnull (strstr (got, "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) BODY[] {14}\r\nSubject: x\r\n\r\n)\r\n"));
  g_assert_nonnull (strstr (got, "* BYE Logging out\r\nd OK"));
  g_assert_true (mem_closed (s));
  mem_session_free (s);
  world_free (&w);
}

/* A slow client costs two windows and not the message. */
static void
test_windows (void)
{
  World w = world_new ();
  EkSession *s = login_slow (&w, 1000);
  g_autoptr (GString) body = g_string_new ("Subject: big\r\n\r\n");

  while (body->len < 2000000)
    g_string_append (body, "0123456789abcdefghijklmnopqrstuvwxyz and so on\r\n");
  append (s, "INBOX", body->str);
  expect_part (s, "a SELECT INBOX\r\n", "* 1 EXISTS");
  const char *command = "b FETCH 1 (UID BODY.PEEK[] BODY.PEEK[TEXT]<10.20>)\r\n";
  mem_feed (s, command, strlen (command));
  g_autofree char *got = say (s, "");
  g_autofree char *start = g_strdup_printf ("* 1 FETCH (UID 1 BODY[] {%zu}\r\n", body->len);
  g_assert_true (g_str_has_prefix (got, start));
  g_assert_cmpint (memcmp (got + strlen (start), body->str, body->len), ==, 0);
  g_assert_cmpstr (got + strlen (start) + body->len, ==, " BODY[TEXT]<10> {20}\r\nabcdefghijklmnopqrst)\r\nb OK Fetch completed.\r\n");
  g_assert_cmpuint (mem_most_unsent (s), <, 4 * 65536);
  mem_session_free (s);
  world_free (&w);
}

static void
test_hang_up (void)
{
  World w = world_new ();
  g_autoptr (GString) body = g_string_new ("\r\n");

  while (body->len < 500000)
    g_string_append (body, "0123456789abcdefghijklmnopqrstuvwxyz and so on\r\n");
  EkSession *s = login (&w);
  append (s, "INBOX", body->str);
  mem_session_free (s);
  for (guint steps = 0; steps < 40; steps++) {                /* at each point of a long answer, and of an APPEND */
    s = login_slow (&w, 20000);
    const char *text = "a SELECT INBOX\r\nb FETCH 1 BODY[]\r\nc APPEND INBOX {30}\r\n0123456789";
    mem_feed (s, text, strlen (text));
    for (guint i = 0; i < steps; i++)
      mem_step (s);
    mem_hang_up (s);
    mem_session_free (s);
  }
  s = login (&w);
  expect_part (s, "a STATUS INBOX (MESSAGES)\r\n", "(MESSAGES 1)");
  mem_session_free (s);
  world_free (&w);
}

static void
test_append (void)
{
  World w = world_new ();
  EkSession *s = login (&w);

  expect (s, "a APPEND Nope {10}\r\n", "a NO [TRYCREATE] Mailbox doesn't exist: Nope.\r\n");
  expect (s, "b APPEND Nope {10+}\r\n0123456789\r\nc NOOP\r\n",
          "b NO [TRYCREATE] Mailbox doesn't exist: Nope.\r\nc OK NOOP completed.\r\n");
  expect (s, "d APPEND INBOX (\\Foo) {10+}\r\nx LOGOUT\r\n\r\ne NOOP\r\n",
          "d BAD Error in IMAP command APPEND: Invalid system flag.\r\ne OK NOOP completed.\r\n");
  expect_part (s, "f APPEND INBOX {99999999999}\r\n", "f NO [LIMIT] ");
  expect_part (s, "g APPEND INBOX {10+}\r\n0123456789 {3+}\r\nabc\r\n", "g BAD ");
  expect_part (s, "g APPEND INBOX {3+}\r\nabcg APPEND INBOX {3+}\r\nabc\r\n", "g BAD ");
  expect (s, "h APPEND INBOX\r\n", "h BAD Error in IMAP command APPEND: The message must be a literal.\r\n");
  expect (s, "i APPEND INBOX {10}\r\n", "+ OK\r\n");
  expect (s, "0123", "");
  expect_part (s, "456789\r\n", "i OK [APPENDUID ");
  expect_part (s, "j APPEND INBOX {0}\r\n", "+ OK\r\n");
  expect_part (s, "\r\n", "j OK [APPENDUID ");
  expect_part (s, "k STATUS INBOX (MESSAGES UIDNEXT)\r\n", "(MESSAGES 2 UIDNEXT 3)");
  mem_session_free (s);
  world_free (&w);
}

static void
test_two_sessions (void)
{
  World w = world_new ();
  EkSession *a = login (&w), *b = login (&w);

  append (a, "INBOX", "Subject: 1\r\n\r\n");
  append (a, "INBOX", "Subject: 2\r\n\r\n");
  append (a, "INBOX", "Subject: 3\r\n\r\n");
  expect_part (a, "1 SELECT INBOX\r\n", "* 3 RECENT");
  expect_part (b, "1 SELECT INBOX\r\n", "* 0 RECENT");
  expect (b, "2 STORE 1 +FLAGS (\\Deleted kw)\r\n",
          "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw)\r\n"
          "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw \\*)] Flags permitted.\r\n"
          "* 1 FETCH (FLAGS (\\Deleted kw))\r\n2 OK Store completed.\r\n");
  expect (a, "2 NOOP\r\n",
          "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw)\r\n"
          "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft kw \\*)] Flags permitted.\r\n"
          "* 1 FETCH (FLAGS (\\Deleted \\Recent kw))\r\n2 OK NOOP completed.\r\n");
  expect (b, "3 EXPUNGE\r\n", "* 1 EXPUNGE\r\n3 OK Expunge completed.\r\n");
  /* RFC 3501 7.4.1: no EXPUNGE during FETCH, STORE and SEARCH, so that numbers mean what they did */
  expect (a, "3 SEARCH ALL\r\n", "* SEARCH 2 3\r\n3 OK Search completed.\r\n");
  expect_part (a, "4 FETCH 1 (UID BODY.PEEK[])\r\n", "4 NO [EXPUNGEISSUED] ");
  expect (a, "5 FETCH 2:3 UID\r\n", "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n5 OK Fetch completed.\r\n");
  expect (a, "6 UID SEARCH UID 1:*\r\n", "* SEARCH 2 3\r\n* 1 EXPUNGE\r\n* 2 RECENT\r\n6 OK Search completed.\r\n");
  mem_session_free (a);
  mem_session_free (b);
  world_free (&w);
}

static void
notice (World *w, EkSession *s)
{
  for (guint i = 0; i < 300 && mem_output (s).n == 0; i++) {     /* the watch needs a moment of the kernel */
    ek_indexes_dispatch (w->set);
    mem_run (s);
    if (mem_output (s).n == 0)
      g_usleep (10000);
  }
}

static void
test_idle (void)
{
  World w = world_new ();
  EkSession *a = login (&w), *b = login (&w);

  append (b, "INBOX", "Subject: 1\r\n\r\n");
  expect_part (a, "1 SELECT INBOX\r\n", "* 1 EXISTS");
  expect (a, "2 IDLE\r\n", "+ idling\r\n");
  append (b, "INBOX", "Subject: 2\r\n\r\n");
  notice (&w, a);
  expect (a, "", "* 2 EXISTS\r\n* 2 RECENT\r\n");
  drop_file (&w, "1700000000.M1P1.other", "Subject: 3\n\nfrom another program\n");
  notice (&w, a);
  expect (a, "", "* 3 EXISTS\r\n* 3 RECENT\r\n");
  expect_part (b, "3 SELECT INBOX\r\n", "* 3 EXISTS");
  expect_part (b, "4 STORE 2 +FLAGS.SILENT (\\Deleted)\r\n5 EXPUNGE\r\n", "* 2 EXPUNGE");
  notice (&w, a);
  expect_part (a, "", "* 2 EXPUNGE\r\n");
  g_assert_cmpint (mem_timeout_us (a), ==, 29 * 60 * G_USEC_PER_SEC);
  mem_timeout (a);
  expect (a, "", "* OK Still here\r\n");
  expect (a, "DONE\r\n", "2 OK Idle completed.\r\n");
  g_assert_cmpint (mem_timeout_us (a), ==, 30 * 60 * G_USEC_PER_SEC);
  expect (a, "6 IDLE\r\nNONSENSE\r\n7 NOOP\r\n", "+ idling\r\n6 BAD Expected DONE.\r\n7 OK NOOP completed.\r\n");
  expect (b, "8 UNSELECT\r\n9 IDLE\r\nDONE\r\n", "8 OK Unselect completed.\r\n+ idling\r\n9 OK Idle completed.\r\n");
  mem_timeout (b);
  expect (b, "", "* BYE Disconnected for inactivity.\r\n");
  g_assert_true (mem_closed (b));
  mem_session_free (a);
  mem_session_free (b);
  world_free (&w);
}

static void
test_deleted_mailbox (void)
{
  World w = world_new ();
  EkSession *a = login (&w), *b = login (&w);

  expect_part (a, "1 CREATE box\r\n2 SELECT box\r\n", "2 OK [READ-WRITE]");
  expect (b, "1 DELETE box\r\n", "1 OK Delete completed.\r\n");
  expect_part (a, "3 NOOP\r\n", "* BYE Selected mailbox was deleted");
  g_assert_true (mem_closed (a));
  expect_part (b, "2 CREATE own\r\n3 SELECT own\r\n", "3 OK [READ-WRITE]");
  expect (b, "4 DELETE own\r\n5 CHECK\r\n",
          "4 OK Delete completed.\r\n5 BAD Error in IMAP command CHECK: No mailbox selected.\r\n");
  mem_session_free (a);
  mem_session_free (b);
  world_free (&w);
}

static void
test_limits (void)
{
  World w = world_new ();
  EkSession *s = login (&w);
  g_autofree char *line = g_strnfill (70000, 'x'), *long_command = g_strdup_printf ("a NOOP %s\r\nb NOOP\r\n", line);

  expect (s, long_command, "a BAD Error in IMAP command: Too long argument.\r\nb OK NOOP completed.\r\n");
  expect (s, "a SELECT {99999999}\r\nb NOOP\r\n", "a BAD Error in IMAP command: Literal size too large.\r\nb OK NOOP completed.\r\n");
  expect (s, "+ x\r\n\r\n", "* BAD Error in IMAP command received by server: Invalid tag.\r\n"
                            "* BAD Error in IMAP command received by server: Invalid tag.\r\n");
  for (guint i = 0; i < 17; i++)
    expect (s, "a FOO\r\n", "a BAD Error in IMAP command: Unknown command.\r\n");
  expect (s, "a FOO\r\nb NOOP\r\n", "a BAD Error in IMAP command: Unknown command.\r\n* BYE Too many invalid IMAP commands.\r\n");
  g_assert_true (mem_closed (s));
  mem_session_free (s);
  world_free (&w);
}

/* ---- before login ------------------------------------------------------------------------------- */

static void
decide (EkSession *s, const char *mechanism, EkStr response, EkAuthAnswer *answer)
{
  static const char good[] = "\0ann\0secret";

  if (response.p == NULL)
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_CHALLENGE, .challenge = EK_STR ("hi") };
  else if (ek_str_eq (response, (EkStr) { good, sizeof good - 1 }))
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_OK, .user = "ann" };
  else if (ek_str_eq (response, EK_STR ("down")))
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_UNAVAILABLE, .text = "Later." };
  else
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_REFUSED, .text = "Authentication failed." };
}

static EkSession *
connect_edge (gpointer options, const char *const *mechanisms)
{
  MemConfig config = { .ops = ek_module_imap.protocol, .options = options, .mechanisms = mechanisms, .auth = decide,
                       .tls_offered = true };

  return mem_session_new (&config);
}

static void
test_edge (void)
{
  g_autofree gpointer options = mem_options (ek_module_imap.protocol);
  EkSession *s = connect_edge (options, NULL);

  expect (s, "", "* OK [CAPABILITY IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN] Ekiden ready.\r\n");
  expect (s, "a NOOP\r\nb ID NIL\r\n", "a OK NOOP completed.\r\n* ID (\"name\" \"Ekiden\")\r\nb OK ID completed.\r\n");
  expect_part (s, "a SELECT INBOX\r\n", "a BAD ");
  expect_part (s, "a FOO\r\n", "a BAD ");
  expect (s, "a LOGIN ann wrong\r\nb LOGIN {3}\r\n", "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n+ OK\r\n");
  expect (s, "ann {6+}\r\nsecret\r\nc NOOP\r\n", "");
  g_assert_cmpstr (mem_handed_off (s), ==, "b");
  g_assert_true (mem_closed (s));
  mem_session_free (s);
}

static void
test_edge_sasl (void)
{
  g_autofree gpointer options = mem_options (ek_module_imap.protocol);
  EkSession *s = connect_edge (options, NULL);

  expect_part (s, "", "* OK ");
  expect (s, "a AUTHENTICATE PLAIN\r\n", "+ aGk=\r\n");
  expect (s, "*\r\n", "a BAD Error in IMAP command received by server: Authentication aborted by client.\r\n");
  expect (s, "b AUTHENTICATE PLAIN\r\nno base64\r\n",
          "+ aGk=\r\nb BAD Error in IMAP command received by server: Invalid base64 data.\r\n");
  expect (s, "c AUTHENTICATE plain ZG93bg==\r\n", "c NO [UNAVAILABLE] Later.\r\n");
  expect_part (s, "d AUTHENTICATE PLAIN !!\r\n", "d BAD ");
  expect_part (s, "e AUTHENTICATE NTLM\r\n", "e NO ");
  expect (s, "f AUTHENTICATE PLAIN =\r\n", "f NO [AUTHENTICATIONFAILED] Authentication failed.\r\n");
  expect (s, "g AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n", "");
  g_assert_cmpstr (mem_handed_off (s), ==, "g");
  mem_session_free (s);
}

static void
test_edge_refusals (void)
{
  static const char *const none[] = { NULL };
  g_autofree gpointer options = mem_options (ek_module_imap.protocol);
  EkSession *s = connect_edge (options, none);

  expect_part (s, "", " STARTTLS LOGINDISABLED] ");
  expect_part (s, "a LOGIN ann secret\r\n", "a NO [PRIVACYREQUIRED] ");
  expect_part (s, "b AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n", "b NO [PRIVACYREQUIRED] ");
  expect (s, "c STARTTLS\r\nd LOGIN ann secret\r\n", "c OK Begin TLS negotiation now.\r\n");
  g_assert_true (mem_starttls (s));
  g_assert_null (mem_handed_off (s));
  mem_session_free (s);

  s = connect_edge (options, NULL);
  expect_part (s, "", "* OK ");
  for (guint i = 0; i < 9; i++)
    expect_part (s, "a LOGIN ann wrong\r\n", "a NO ");
  expect_part (s, "a LOGIN ann wrong\r\n", "* BYE Too many authentication failures.");
  g_assert_true (mem_closed (s));
  mem_session_free (s);

  s = connect_edge (options, NULL);
  expect_part (s, "", "* OK ");
  g_autofree char *line = g_strnfill (10000, 'x'), *long_command = g_strdup_printf ("a LOGIN %s\r\nb NOOP\r\n", line);
  expect (s, long_command, "a BAD Error in IMAP command received by server: Too long argument.\r\nb OK NOOP completed.\r\n");
  expect_part (s, "a LOGIN {9000}\r\n", "a BAD ");
  expect_part (s, "b LOGOUT\r\n", "* BYE Logging out\r\nb OK ");
  g_assert_true (mem_closed (s));
  mem_session_free (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imap/pipeline", test_pipeline);
  g_test_add_func ("/imap/byte-by-byte", test_byte_by_byte);
  g_test_add_func ("/imap/windows", test_windows);
  g_test_add_func ("/imap/hang-up", test_hang_up);
  g_test_add_func ("/imap/append", test_append);
  g_test_add_func ("/imap/two-sessions", test_two_sessions);
  g_test_add_func ("/imap/idle", test_idle);
  g_test_add_func ("/imap/deleted-mailbox", test_deleted_mailbox);
  g_test_add_func ("/imap/limits", test_limits);
  g_test_add_func ("/imap/edge", test_edge);
  g_test_add_func ("/imap/edge/sasl", test_edge_sasl);
  g_test_add_func ("/imap/edge/refusals", test_edge_refusals);
  return g_test_run ();
}
