/* test-logrole.c - the log role: sinks, rotation, and what a broken role cannot do
 * SPDX-License-Identifier: Apache-2.0
 */
#include "events.h"
#include "base/record.h"
#include "conf/option.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char *folder;

static char *
in_folder (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static char *
contents (const char *name)
{
  g_autofree char *path = in_folder (name);
  g_autoptr (GError) error = NULL;
  char *text = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

static void
assert_has (const char *name, const char *part)
{
  g_autofree char *text = contents (name);

  if (strstr (text, part) == NULL)
    g_error ("no \"%s\" in %s:\n%s", part, name, text);
}

static void
assert_lacks (const char *name, const char *part)
{
  g_autofree char *text = contents (name);

  g_assert_null (strstr (text, part));
}

static void
test_files (void)
{
  g_autofree char *path = NULL, *json = NULL, *old = NULL;
  g_autoptr (GError) error = NULL;

  folder = events_folder ();
  path = in_folder ("mail.log");
  json = in_folder ("mail.json");
  old = in_folder ("mail.log.1");
  events_open (&(EkLogOptions) { .file = path, .json = json, .syslog_name = "postfix" });
  as ("edge", 123);
  ek_event ("smtpd", 9, "connect", EK_FTEXT ("ip", "192.0.2.1"), EK_FINT ("port", 4711));
  ek_event ("imap-login", 9, "login", EK_FTEXT ("user", "u@example.com"), EK_FTEXT ("method", "PLAIN"), EK_FTEXT ("ip", "192.0.2.1"),
            EK_FTEXT ("local_ip", "192.0.2.2"), EK_FINT ("mpid", 5), EK_FTEXT ("secured", "TLS"), EK_FTEXT ("session", "abc"));
  ek_event ("", 9, "backend-failed", EK_FTEXT ("instance", "dns_unbound/dns"), EK_FTEXT ("reason", "time-out"));
  ek_logrole_tick (events_role);
  g_autofree char *text = contents ("mail.log");
  g_assert_true (g_regex_match_simple ("^[A-Z][a-z]{2} [ 1-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} mx postfix/smtpd\\[123\\]: connect from unknown\\[192.0.2.1\\]\\n", text, 0, 0));
  assert_has ("mail.log", " mx dovecot: imap-login: Login: user=<u@example.com>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=5, TLS, session=<abc>\n");
  assert_has ("mail.log", " mx postfix/edge[123]: warning: dns_unbound/dns: time-out\n");
  assert_has ("mail.json", "\"server\":\"mx\",\"process\":\"edge\",\"process_id\":123,\"component\":\"smtpd\",\"event\":\"connect\",\"event_id\":\"0000000000000009\",\"ip\":\"192.0.2.1\",\"port\":4711}\n");

  g_assert_cmpint (rename (path, old), ==, 0);           /* logrotate */
  ek_event ("smtpd", 9, "disconnect", EK_FTEXT ("ip", "192.0.2.1"));
  g_assert_true (ek_logrole_reopen (events_role, &error));
  ek_event ("smtpd", 10, "connect", EK_FTEXT ("ip", "192.0.2.99"));
  ek_logrole_tick (events_role);
  assert_has ("mail.log.1", "disconnect from");
  assert_has ("mail.log", "192.0.2.99");
  assert_lacks ("mail.log", "disconnect from");
  events_close ();
  events_remove (folder);
}

static void
test_rfc3339 (void)
{
  folder = events_folder ();
  g_autofree char *path = in_folder ("mail.log");
  events_open (&(EkLogOptions) { .file = path, .timestamps = "rfc3339" });
  as ("edge", 1);
  ek_log (EK_INFO, "smtpd", "a note");
  ek_logrole_tick (events_role);
  g_autofree char *text = contents ("mail.log");
  g_assert_true (g_regex_match_simple ("^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}\\.[0-9]{6}[+-][0-9]{2}:[0-9]{2} mx ekiden/smtpd\\[1\\]: a note\\n$", text, 0, 0));
  events_close ();
  events_remove (folder);
}

/* A broken edge claims to be the store, lives in the future, sends nonsense: the lines say who spoke. */
static void
test_forgery (void)
{
  char packed[EK_RECORD_MAX];
  EkField none = { .type = EK_F_END };
  EkField text[] = { EK_FTEXT ("text", "from the future"), none };

  folder = events_folder ();
  g_autofree char *path = in_folder ("mail.log"), *json = in_folder ("mail.json");
  events_open (&(EkLogOptions) { .file = path, .json = json });
  as ("edge", 66);
  ek_event ("virtual", 9, "sent", EK_FTEXT ("qid", "A1"), EK_FTEXT ("to", "x@y"));
  ek_event ("smtpd", 9, "removed", EK_FTEXT ("qid", "A1"));
  ek_log (EK_INFO, "master", "all is well");
  gsize n = ek_record_pack (packed, ek_wall () + G_GINT64_CONSTANT (4000000000000000), 1, EK_INFO, "smtpd", "log", text);
  ek_logrole_input (events_role, "edge", 66, packed, n);
  ek_logrole_input (events_role, "edge", 66, "rubbish\xeb\x01", 9);
  ek_log (EK_INFO, "smtpd", "and on we go");
  ek_logrole_input (events_role, "edge", 66, packed, n / 2);
  ek_logrole_gone (events_role, 66);
  ek_logrole_tick (events_role);
  assert_has ("mail.log", "ekiden/log[");
  assert_has ("mail.log", "]: warning: edge pid 66 may not claim component virtual");
  assert_has ("mail.log", "ekiden/edge[66]: A1: to=<x@y>");
  assert_has ("mail.log", "ekiden/edge[66]: A1: removed");
  assert_has ("mail.log", "ekiden/edge[66]: all is well");
  assert_lacks ("mail.log", "virtual[");
  assert_lacks ("mail.log", "master[");
  assert_has ("mail.log", "from the future");
  assert_lacks ("mail.json", "\"time\":\"21");
  assert_has ("mail.log", "and on we go");
  assert_has ("mail.log", "bytes were no records");
  assert_has ("mail.json", "\"claimed\":\"virtual\"");
  events_close ();
  events_remove (folder);
}

/* Streams arrive in any portions, several at once. */
static void
test_portions (void)
{
  char packed[2][EK_RECORD_MAX];
  gsize n[2];

  folder = events_folder ();
  g_autofree char *path = in_folder ("mail.log");
  events_open (&(EkLogOptions) { .file = path });
  for (guint s = 0; s < 2; s++) {
    EkField text[] = { EK_FTEXT ("text", s ? "second stream" : "first stream"), { .type = EK_F_END } };
    n[s] = ek_record_pack (packed[s], ek_wall (), 1, EK_INFO, "", "log", text);
  }
  for (guint i = 0; i < MAX (n[0], n[1]); i++)
    for (guint s = 0; s < 2; s++)
      if (i < n[s])
        ek_logrole_input (events_role, s ? "queue" : "edge", 100 + s, packed[s] + i, 1);
  ek_logrole_tick (events_role);
  assert_has ("mail.log", "ekiden/edge[100]: first stream\n");
  assert_has ("mail.log", "ekiden/queue[101]: second stream\n");
  events_close ();
  events_remove (folder);
}

static void
test_syslog (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char line[4096];

  folder = events_folder ();
  g_autofree char *path = in_folder ("log.socket");
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  events_open (&(EkLogOptions) { .syslog = true, .syslog_socket = path });
  as ("edge", 7);
  ek_log (EK_WARN, "smtpd", "before syslogd is there");
  g_assert_true (ek_logrole_tick (events_role));
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_false (ek_logrole_tick (events_role));        /* it had only to wait */
  gssize n = recv (fd, line, sizeof line - 1, MSG_DONTWAIT);
  g_assert_cmpint (n, >, 0);
  line[n] = '\0';
  g_assert_true (g_regex_match_simple ("^<20>[A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} ekiden/smtpd\\[7\\]: warning: before syslogd is there$", line, 0, 0));
  for (guint i = 0; i < 20000; i++)                      /* nobody reads: it neither waits nor grows */
    ek_log (EK_INFO, "smtpd", "flood %u and some more text so that it counts", i);
  ek_logrole_tick (events_role);
  g_assert_cmpuint (ek_logrole_dropped (events_role), >, 0);
  close (fd);
  events_close ();
  events_remove (folder);
}

static void
test_full_disk (void)
{
  if (access ("/dev/full", W_OK) != 0) {
    g_test_skip ("no /dev/full");
    return;
  }
  folder = events_folder ();
  g_autofree char *json = in_folder ("mail.json");
  events_open (&(EkLogOptions) { .file = "/dev/full", .json = json });
  as ("edge", 7);
  for (guint i = 0; i < 60000; i++)
    ek_log (EK_INFO, "smtpd", "line %u of many that a full disk does not take, so that at last some must go", i);
  ek_logrole_tick (events_role);
  ek_logrole_tick (events_role);
  g_assert_cmpuint (ek_logrole_dropped (events_role), >, 1000);
  assert_has ("mail.json", "log file /dev/full: No space left on device");
  events_close ();
  events_remove (folder);
}

static void
test_configure (void)
{
  g_autoptr (GError) error = NULL;

  folder = events_folder ();
  g_autofree char *a = in_folder ("a.log"), *b = in_folder ("b.log"), *store = in_folder ("events"), *bad = in_folder ("no/such/folder");
  EkLogRole *role = events_open (&(EkLogOptions) { .file = a, .trace = store, .trace_size = { 1 << 20 } });
  as ("edge", 7);
  ek_log (EK_INFO, "smtpd", "to the first");
  g_assert_false (ek_logrole_configure (role, &(EkLogOptions) { .file = bad, .trace = store }, "mx", &error));
  g_assert_error (error, EK_ERROR, ENOENT);
  g_clear_error (&error);
  ek_log (EK_INFO, "smtpd", "to the first too");
  g_assert_true (ek_logrole_configure (role, &(EkLogOptions) { .file = b, .trace = store, .trace_size = { 2 << 20 } }, "mx2", &error));
  g_assert_no_error (error);
  ek_log (EK_INFO, "smtpd", "to the second");
  ek_logrole_tick (role);
  assert_has ("a.log", "to the first too");
  assert_lacks ("a.log", "to the second");
  assert_has ("b.log", " mx2 ekiden/smtpd[7]: to the second");
  g_assert_null (ek_logrole_open (&(EkLogOptions) { .file = bad }, "mx", &error));
  g_assert_nonnull (strstr (error->message, bad));
  events_close ();
  events_remove (folder);
}

static void
test_options (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkProblems *problems = ek_problems_new ();

  g_assert_true (ek_options_selftest (ek_log_options, sizeof (EkLogOptions), "log", problems));
  ek_problems_free (problems);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/logrole/files", test_files);
  g_test_add_func ("/logrole/rfc3339", test_rfc3339);
  g_test_add_func ("/logrole/forgery", test_forgery);
  g_test_add_func ("/logrole/portions", test_portions);
  g_test_add_func ("/logrole/syslog", test_syslog);
  g_test_add_func ("/logrole/full-disk", test_full_disk);
  g_test_add_func ("/logrole/configure", test_configure);
  g_test_add_func ("/logrole/options", test_options);
  return g_test_run ();
}
