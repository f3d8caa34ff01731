/* str.c - strings with a length, hashes, random bytes, clocks
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "base/base.h"
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>
#include <errno.h>
#include <unistd.h>

EkStr
ek_str (const char *s)
{
  return s ? (EkStr) { s, strlen (s) } : (EkStr) { "", 0 };
}

bool
ek_str_eq (EkStr a, EkStr b)
{
  return a.n == b.n && (a.n == 0 || memcmp (a.p, b.p, a.n) == 0);
}

bool
ek_str_ieq (EkStr a, EkStr b)
{
  return a.n == b.n && (a.n == 0 || g_ascii_strncasecmp (a.p, b.p, a.n) == 0);
}

bool
ek_str_starts (EkStr s, EkStr prefix)
{
  return s.n >= prefix.n && ek_str_eq ((EkStr) { s.p, prefix.n }, prefix);
}

bool
ek_str_istarts (EkStr s, EkStr prefix)
{
  return s.n >= prefix.n && ek_str_ieq ((EkStr) { s.p, prefix.n }, prefix);
}

static bool
is_space (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

EkStr
ek_str_trim (EkStr s)
{
  while (s.n > 0 && is_space (s.p[0]))
    s.p++, s.n--;
  while (s.n > 0 && is_space (s.p[s.n - 1]))
    s.n--;
  return s;
}

bool
ek_str_u64 (EkStr s, guint64 max, guint64 *value)
{
  guint64 v = 0;

  if (s.n == 0 || s.n > 20)
    return false;
  for (gsize i = 0; i < s.n; i++) {
    guint digit = (guint) (guchar) s.p[i] - '0';
    if (digit > 9 || v > (G_MAXUINT64 - digit) / 10)
      return false;
    v = v * 10 + digit;
  }
  if (v > max)
    return false;
  *value = v;
  return true;
}

bool
ek_str_same_secret (EkStr a, EkStr b)
{
  return a.n == b.n && CRYPTO_memcmp (a.p, b.p, a.n) == 0;
}

void
ek_wipe (gpointer p, gsize n)
{
  if (p)
    OPENSSL_cleanse (p, n);
}

void
ek_wipe_free (char *text)
{
  if (text)
    ek_wipe (text, strlen (text));
  g_free (text);
}

guint64
ek_hash64 (const void *bytes, gsize n)
{
  const guchar *p = bytes;
  guint64 h = G_GUINT64_CONSTANT (0xcbf29ce484222325);

  while (n-- > 0)
    h = (h ^ *p++) * G_GUINT64_CONSTANT (0x100000001b3);
  return h;
}

static guint32 crc_table[8][256];

static void
crc_init (void)
{
  for (guint i = 0; i < 256; i++) {
    guint32 c = i;
    for (int k = 0; k < 8; k++)
      c = c & 1 ? (c >> 1) ^ 0x82f63b78 : c >> 1;
    crc_table[0][i] = c;
  }
  for (guint i = 0; i < 256; i++)
    for (int t = 1; t < 8; t++)
      crc_table[t][i] = crc_table[0][crc_table[t - 1][i] & 255] ^ (crc_table[t - 1][i] >> 8);
}

static guint32
crc_soft (guint32 crc, const guchar *p, gsize n)
{
  for (; n >= 8; p += 8, n -= 8) {
    guint32 lo = crc ^ ((guint32) p[0] | (guint32) p[1] << 8 | (guint32) p[2] << 16 | (guint32) p[3] << 24);
    crc = crc_table[7][lo & 255] ^ crc_table[6][lo >> 8 & 255] ^ crc_table[5][lo >> 16 & 255]
          ^ crc_table[4][lo >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]]
          ^ crc_table[0][p[7]];
  }
  while (n-- > 0)
    crc = crc_table[0][(crc ^ *p++) & 255] ^ (crc >> 8);
  return crc;
}

#if defined __x86_64__
__attribute__ ((target ("sse4.2"))) static guint32
crc_hard (guint32 crc, const guchar *p, gsize n)
{
  guint64 c = crc;
  for (; n >= 8; p += 8, n -= 8) {
    guint64 word;
    memcpy (&word, p, 8);
    c = __builtin_ia32_crc32di (c, word);
  }
  while (n-- > 0)
    c = __builtin_ia32_crc32qi ((guint32) c, *p++);
  return (guint32) c;
}
#endif

guint32
ek_crc32c (guint32 crc, const void *bytes, gsize n)
{
  static gsize once;

  if (g_once_init_enter (&once)) {
    crc_init ();
    g_once_init_leave (&once, 1);
  }
#if defined __x86_64__
  if (__builtin_cpu_supports ("sse4.2"))
    return ~crc_hard (~crc, bytes, n);
#endif
  return ~crc_soft (~crc, bytes, n);
}

void
ek_random (void *bytes, gsize n)
{
  char *p = bytes;

  while (n > 0) {
    ssize_t got = getrandom (p, MIN (n, 256), 0);
    if (got < 0 && errno != EINTR)
      g_error ("getrandom: %s", g_strerror (errno));     /* no safe way on: ends the process */
    if (got > 0)
      p += got, n -= (gsize) got;
  }
}

guint64
ek_random64 (void)
{
  guint64 v;

  ek_random (&v, sizeof v);
  return v;
}

gint64
ek_now (void)
{
  return g_get_monotonic_time ();
}

gint64
ek_wall (void)
{
  return g_get_real_time ();
}

gint64
ek_clock_base (void)
{
  struct timespec up;

  clock_gettime (CLOCK_BOOTTIME, &up);
  return ek_wall () / G_USEC_PER_SEC - up.tv_sec;
}
