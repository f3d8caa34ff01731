/* test-sqlhang.c - SQL servers that take connections and go no further: what is waited for, and what is left behind
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/call.h"
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_US ((gint64) 60 * G_USEC_PER_SEC)       /* only bounds a hang */

/* "two.test" has two addresses, and nothing answers at the first. */
int
getaddrinfo (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
  int (*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym (RTLD_NEXT, "getaddrinfo");

  if (g_strcmp0 (node, "two.test") != 0)
    return real (node, service, hints, list);
  g_assert_cmpint (real ("127.0.0.2", service, hints, list), ==, 0);
  return real ("127.0.0.1", service, hints, &(*list)->ai_next);
}

static int
listen_at (guint32 host, guint16 *port, int backlog)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (host), .sin_port = htons (*port) };
  socklen_t size = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, backlog), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &address, &size), ==, 0);
  *port = ntohs (address.sin_port);
  return fd;
}

static char *
ask (const char *module, guint16 port, const char *host, guint seconds)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *rows = g_strdup_printf ("hosts = %s\nport = %u\ndatabase = mail\nuser = u\npassword = p\ntls = off\nconnect_timeout = %us\n"
                                           "timeout = 1s\nquery = \"SELECT :key\"\n", host, port, seconds);
  EkInstance *self = ek_test_instance (module, rows);
  EkLookup lookup = { .query.key = EK_STR ("x") };

  g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_lookup, &lookup, &error), ==, EK_DEFER);
  ek_test_instance_free (self);
  return g_strdup (error->message);
}

/* ---- an address that drops everything ---- */

#define FILL 4

static gpointer
hang_up (gpointer data)
{
  int fd, listener = GPOINTER_TO_INT (data);

  while ((fd = accept (listener, NULL, NULL)) >= 0)
    close (fd);
  return NULL;
}

/* It leaves time for the one behind it, whose `words` are told. */
static void
test_addresses (const char *module, guint seconds, const char *words)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (0x7f000002) };
  guint16 port = 0;
  int good = listen_at (0x7f000001, &port, 16), full = listen_at (0x7f000002, &port, 0), filling[FILL];

  address.sin_port = htons (port);
  for (guint i = 0; i < FILL; i++) {
    filling[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void) connect (filling[i], (struct sockaddr *) &address, sizeof address);
  }
  GThread *thread = g_thread_new ("hang-up", hang_up, GINT_TO_POINTER (good));
  g_autofree char *said = ask (module, port, "two.test", seconds);
  if (!strstr (said, words))
    g_error ("%s", said);
  shutdown (good, SHUT_RDWR);
  g_thread_join (thread);
  close (good);
  close (full);
  for (guint i = 0; i < FILL; i++)
    close (filling[i]);
}

static void
test_pgsql_addresses (void)
{
  test_addresses ("pgsql", 1, "closed the connection");
}

/* Its library counts in seconds. */
static void
test_mysql_addresses (void)
{
  test_addresses ("mysql", 2, "Lost connection");
}

/* ---- a server that greets, and that is all ---- */

static gpointer
greet (gpointer data)
{
  static const char greeting[] = "\x4a\0\0\0" "\x0a" "8.0.36\0" "\1\0\0\0" "abcdefgh\0" "\xff\xf7" "\x21" "\2\0" "\xff\x81" "\x15"
                                 "\0\0\0\0\0\0\0\0\0\0" "ijklmnopqrst\0" "mysql_native_password";
  int fd = accept (GPOINTER_TO_INT (data), NULL, NULL);

  g_assert_cmpint (sizeof greeting - 4, ==, greeting[0]);
  g_assert_cmpint (send (fd, greeting, sizeof greeting, MSG_NOSIGNAL), ==, sizeof greeting);
  return GINT_TO_POINTER (fd);
}

static guint
count_threads (const char *name)
{
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *id;
  guint n = 0;

  while ((id = g_dir_read_name (dir))) {
    g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/comm", id), *comm = NULL;
    n += g_file_get_contents (path, &comm, NULL, NULL) && strcmp (g_strchomp (comm), name) == 0;
  }
  g_dir_close (dir);
  return n;
}

/* The thread that connects ends too, though the server never says another word: the library bounds its handshake. */
static void
test_mysql_handshake (void)
{
  gint64 until = g_get_monotonic_time () + WAIT_US;
  guint16 port = 0;
  int listener = listen_at (0x7f000001, &port, 16);
  GThread *thread = g_thread_new ("greet", greet, GINT_TO_POINTER (listener));
  g_autofree char *said = ask ("mysql", port, "127.0.0.1", 1);
  int fd = GPOINTER_TO_INT (g_thread_join (thread));

  g_test_message ("%s", said);
  while (count_threads ("aside") > 0) {
    if (g_get_monotonic_time () > until)
      g_error ("the thread that connects hangs");
    g_usleep (20000);
  }
  close (fd);
  close (listener);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  signal (SIGPIPE, SIG_IGN);
  g_test_add_func ("/sql/addresses/pgsql", test_pgsql_addresses);
  g_test_add_func ("/sql/addresses/mysql", test_mysql_addresses);
  g_test_add_func ("/sql/handshake", test_mysql_handshake);
  return g_test_run ();
}
