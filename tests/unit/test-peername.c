/* test-peername.c - what is asked for a client's name, and which names may be believed
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "net/peername.h"
#include <string.h>

static void
test_question (void)
{
  char text[80];

  g_assert_true (ek_peer_name_question ("192.0.2.17", text, sizeof text));
  g_assert_cmpstr (text, ==, "17.2.0.192.in-addr.arpa");
  g_assert_true (ek_peer_name_question ("2001:db8::567:89ab", text, sizeof text));
  g_assert_cmpstr (text, ==, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  for (const char *const *bad = (const char *const[]) { "", "unix", "192.0.2", "192.0.2.256", "::g", "1.2.3.4.5", NULL }; *bad; bad++)
    g_assert_false (ek_peer_name_question (*bad, text, sizeof text));
}

static void
test_valid (void)
{
  static const char *const good[] = { "mail.example.com", "a", "x_y.example", "1.example", "a-b.c", "xn--bcher-kva.example" };
  static const char *const bad[] = { "", ".", "a..b", ".a", "a.", "192.0.2.1", "1", "-a.example", "a b.example", "a\nb", "a]b", "<a>", "b\303\274cher",
                                     "a\\001.example", "a,b" };
  char longest[256];

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (ek_peer_name_valid (ek_str (good[i])));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (ek_peer_name_valid (ek_str (bad[i])));
  g_assert_false (ek_peer_name_valid ((EkStr) { "a\0b", 3 }));
  memset (longest, 'a', sizeof longest);
  g_assert_true (ek_peer_name_valid ((EkStr) { longest, 63 }));
  g_assert_false (ek_peer_name_valid ((EkStr) { longest, 64 }));
  for (guint i = 50; i < sizeof longest; i += 50)
    longest[i] = '.';
  g_assert_true (ek_peer_name_valid ((EkStr) { longest, 253 }));
  g_assert_false (ek_peer_name_valid ((EkStr) { longest, 254 }));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peername/question", test_question);
  g_test_add_func ("/peername/valid", test_valid);
  return g_test_run ();
}
