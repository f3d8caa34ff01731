/* test-hosts.c - lists of servers, which of them come first, and calls that are left alone when they are late
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/aside.h"
#include "lookup/hosts.h"
#include <stdatomic.h>
#include <string.h>

static EkHosts *
parse (const char *text, GError **error)
{
  g_auto (GStrv) texts = g_strsplit (text, " ", 0);

  return ek_hosts_new (texts, 5432, error);
}

static void
assert_host (const char *text, const char *name, guint port, bool is_unix, bool is_address, bool is_near)
{
  g_autoptr (GError) error = NULL;
  EkHosts *hosts = parse (text, &error);

  g_assert_no_error (error);
  const EkHost *host = ek_hosts_at (hosts, 0);
  g_assert_cmpstr (host->text, ==, text);
  g_assert_cmpstr (host->name, ==, name);
  g_assert_cmpuint (host->port, ==, port);
  g_assert_true (host->is_unix == is_unix && host->is_address == is_address && host->is_near == is_near);
  ek_hosts_free (hosts);
}

static void
test_parse (void)
{
  static const char *const wrong[] = { "db:0", "db:65536", "db:x", "db:", ":5432", "", "a/b", "[::1", "[::1]x", "db;drop", "a,b", "host=db" };

  assert_host ("/run/postgresql", "/run/postgresql", 0, true, false, true);
  assert_host ("db1.example.com", "db1.example.com", 5432, false, false, false);
  assert_host ("db1.example.com:6432", "db1.example.com", 6432, false, false, false);
  assert_host ("localhost", "localhost", 5432, false, false, true);
  assert_host ("LocalHost:1", "LocalHost", 1, false, false, true);
  assert_host ("127.3.2.1:1", "127.3.2.1", 1, false, true, true);
  assert_host ("192.0.2.1", "192.0.2.1", 5432, false, true, false);
  assert_host ("::1", "::1", 5432, false, true, true);
  assert_host ("[::1]:7", "::1", 7, false, true, true);
  assert_host ("[2001:db8::1]", "2001:db8::1", 5432, false, true, false);
  assert_host ("2001:db8::1", "2001:db8::1", 5432, false, true, false);
  assert_host ("localhost.example.com", "localhost.example.com", 5432, false, false, false);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    if (parse (wrong[i], &error))
      g_error ("\"%s\" was taken", wrong[i]);
    g_assert_true (g_str_has_prefix (error->message, "hosts: "));
  }
  g_autoptr (GError) error = NULL;
  g_assert_null (parse ("a b c d e f g h i j k l m n o p q", &error));
  g_assert_nonnull (strstr (error->message, "too many"));
}

static void
assert_order (EkHosts *hosts, guint a, guint b, guint c)
{
  guint order[EK_HOSTS_MAX];

  ek_hosts_order (hosts, order);
  if (order[0] != a || order[1] != b || order[2] != c)
    g_error ("%u %u %u instead of %u %u %u", order[0], order[1], order[2], a, b, c);
}

static void
test_order (void)
{
  EkHosts *hosts = parse ("a b c", NULL);

  g_assert_cmpuint (ek_hosts_count (hosts), ==, 3);
  assert_order (hosts, 0, 1, 2);
  assert_order (hosts, 1, 2, 0);
  assert_order (hosts, 2, 0, 1);
  ek_hosts_mark (hosts, 0, false);
  assert_order (hosts, 1, 2, 0);
  assert_order (hosts, 1, 2, 0);
  assert_order (hosts, 2, 1, 0);
  ek_hosts_mark (hosts, 0, true);
  assert_order (hosts, 0, 1, 2);
  for (guint i = 0; i < 3; i++)
    ek_hosts_mark (hosts, i, false);
  assert_order (hosts, 1, 2, 0);
  ek_hosts_free (hosts);
}

static void
test_addresses (void)
{
  gint64 deadline = g_get_monotonic_time () + 30 * G_USEC_PER_SEC;
  g_autoptr (GError) error = NULL;
  EkHosts *hosts = parse ("192.0.2.7:1 localhost", NULL);
  g_autofree char *own = ek_host_addresses (ek_hosts_at (hosts, 0), 4, deadline, &error);
  g_autofree char *local = ek_host_addresses (ek_hosts_at (hosts, 1), 4, deadline, &error);

  g_assert_cmpstr (own, ==, "192.0.2.7");
  g_assert_no_error (error);
  g_assert_true (strstr (local, "127.") || strstr (local, "::1"));
  ek_hosts_free (hosts);
}

/* ---- aside ---- */

typedef struct {
  atomic_bool go;
  int         got;
} Slow;

static atomic_int freed;

static void
slow_free (gpointer data)
{
  g_free (data);
  atomic_fetch_add (&freed, 1);
}

static void
run_slow (gpointer data)
{
  Slow *slow = data;

  while (!atomic_load (&slow->go))
    g_usleep (1000);
  slow->got = 7;
}

static Slow *
slow_new (bool go)
{
  Slow *slow = g_new0 (Slow, 1);

  atomic_store (&slow->go, go);
  return slow;
}

/* Waits for calls that were left to end. */
static void
wait_freed (int n)
{
  for (int i = 0; i < 60000 && atomic_load (&freed) < n; i++)
    g_usleep (1000);
  g_assert_cmpint (atomic_load (&freed), ==, n);
}

static void
test_aside (void)
{
  g_autoptr (GError) error = NULL;
  Slow *quick = slow_new (true), *late[EK_ASIDE_MAX];

  g_assert_true (ek_aside (run_slow, quick, slow_free, "it", g_get_monotonic_time () + 60 * G_USEC_PER_SEC, &error));
  g_assert_cmpint (quick->got, ==, 7);
  g_free (quick);
  g_assert_cmpint (atomic_load (&freed), ==, 0);   /* it stayed ours */
  for (guint i = 0; i < EK_ASIDE_MAX; i++) {
    late[i] = slow_new (false);
    g_clear_error (&error);
    g_assert_false (ek_aside (run_slow, late[i], slow_free, "the oracle", g_get_monotonic_time () + 1000, &error));
    g_assert_cmpstr (error->message, ==, "the oracle did not answer in time");
  }
  g_clear_error (&error);
  g_assert_false (ek_aside (run_slow, slow_new (true), slow_free, "it", g_get_monotonic_time () + 60 * G_USEC_PER_SEC, &error));
  g_assert_nonnull (strstr (error->message, "still hang"));
  g_assert_cmpint (atomic_load (&freed), ==, 1);
  for (guint i = 0; i < EK_ASIDE_MAX; i++)
    atomic_store (&late[i]->go, true);
  wait_freed (1 + EK_ASIDE_MAX);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hosts/parse", test_parse);
  g_test_add_func ("/hosts/order", test_order);
  g_test_add_func ("/hosts/addresses", test_addresses);
  g_test_add_func ("/aside/late", test_aside);
  return g_test_run ();
}
