/* test-base.c - pools, byte queues, strings, checksums
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include <string.h>

static void
count_up (gpointer data)
{
  ++*(int *) data;
}

static void
test_pool (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  int runs = 0;

  for (gsize size = 0; size < 40000; size = size * 3 / 2 + 1) {
    char *p = ek_pool_alloc (pool, size);
    g_assert_cmpuint ((gsize) p % 16, ==, 0);
    for (gsize i = 0; i < size; i++)
      g_assert_cmpint (p[i], ==, 0);
    memset (p, 0x55, size);
  }
  ek_pool_cleanup (pool, count_up, &runs);
  ek_pool_cleanup (pool, count_up, &runs);
  g_assert_cmpstr (ek_pool_printf (pool, "%s-%d", "a", 7), ==, "a-7");
  gsize before = ek_pool_size (pool);
  ek_pool_clear (pool);
  g_assert_cmpint (runs, ==, 2);
  g_assert_cmpuint (ek_pool_size (pool), <, before);
  g_assert_cmpstr (ek_pool_strndup (pool, "abcdef", 3), ==, "abc");
}

static void
test_buf (void)
{
  EkBuf buf = { 0 };
  guint in = 0, out = 0;

  while (out < 20000) {                       /* bytes come out in the order they went in */
    for (guint i = 0; i < in % 97 + 1; i++)
      ek_buf_appendc (&buf, (char) (in++ % 251));
    gsize take = MIN (ek_buf_len (&buf), out % 89 + 1);
    for (gsize i = 0; i < take; i++)
      g_assert_cmpuint ((guchar) ek_buf_at (&buf)[i], ==, out++ % 251);
    ek_buf_consume (&buf, take);
  }
  ek_buf_clear (&buf);
  ek_buf_printf (&buf, "%0300d", 5);
  g_assert_cmpuint (ek_buf_len (&buf), ==, 300);
  ek_buf_release (&buf);
  g_assert_null (buf.data);
}

static void
test_str (void)
{
  guint64 v;

  g_assert_true (ek_str_ieq (EK_STR ("MaIl"), EK_STR ("mail")));
  g_assert_false (ek_str_ieq (EK_STR ("mai"), EK_STR ("mail")));
  g_assert_true (ek_str_eq (ek_str_trim (EK_STR (" \t x y\r\n")), EK_STR ("x y")));
  g_assert_true (ek_str_u64 (EK_STR ("18446744073709551615"), G_MAXUINT64, &v));
  g_assert_cmpuint (v, ==, G_MAXUINT64);
  g_assert_false (ek_str_u64 (EK_STR ("18446744073709551616"), G_MAXUINT64, &v));
  g_assert_false (ek_str_u64 (EK_STR (""), 9, &v));
  g_assert_false (ek_str_u64 (EK_STR ("1x"), 99, &v));
  g_assert_false (ek_str_u64 (EK_STR ("10"), 9, &v));
  g_assert_true (ek_str_same_secret (EK_STR ("abc"), EK_STR ("abc")));
  g_assert_false (ek_str_same_secret (EK_STR ("abc"), EK_STR ("abd")));
}

static void
test_crc (void)
{
  g_assert_cmphex (ek_crc32c (0, "123456789", 9), ==, 0xe3069283);      /* the published check value */
  g_assert_cmphex (ek_crc32c (ek_crc32c (0, "1234", 4), "56789", 5), ==, 0xe3069283);
}

static void
test_reply (void)
{
  EkReply r;

  g_assert_cmpint (ek_reply (&r, EK_REJECT, 550, "5.1.1", "no\r\n250 yes"), ==, EK_REJECT);
  g_assert_cmpstr (r.text, ==, "no  250 yes");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base/pool", test_pool);
  g_test_add_func ("/base/buf", test_buf);
  g_test_add_func ("/base/str", test_str);
  g_test_add_func ("/base/crc", test_crc);
  g_test_add_func ("/base/reply", test_reply);
  return g_test_run ();
}
