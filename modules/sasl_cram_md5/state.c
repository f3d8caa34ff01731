/* state.c - HMAC-MD5 (RFC 1321, 2104) that can go on from a saved state, which OpenSSL's cannot
 * SPDX-License-Identifier: Apache-2.0 */
#include "cram.h"
#include <string.h>

#define BLOCK 64

static const guint32 table[64] = {     /* RFC 1321 section 3.4 */
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
static const guint8 shifts[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };

static void
md5_block (guint32 state[4], const guint8 block[BLOCK])
{
  guint32 words[16], a = state[0], b = state[1], c = state[2], d = state[3];

  memcpy (words, block, BLOCK);
  for (guint i = 0; i < 64; i++) {
    guint32 f;
    guint g, round = i / 16, s = shifts[round][i % 4];
    if (round == 0)
      f = (b & c) | (~b & d), g = i;
    else if (round == 1)
      f = (d & b) | (~d & c), g = (5 * i + 1) % 16;
    else if (round == 2)
      f = b ^ c ^ d, g = (3 * i + 5) % 16;
    else
      f = c ^ (b | ~d), g = (7 * i) % 16;
    f += a + table[i] + GUINT32_FROM_LE (words[g]);
    a = d;
    d = c;
    c = b;
    b += (f << s) | (f >> (32 - s));
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  ek_wipe (words, sizeof words);
}

static void
start (guint32 state[4])
{
  static const guint32 first[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };

  memcpy (state, first, sizeof first);
}

static void
put (const guint32 state[4], guint8 *out)
{
  for (guint i = 0; i < 4; i++) {
    guint32 word = GUINT32_TO_LE (state[i]);
    memcpy (out + 4 * i, &word, 4);
  }
}

static void
get (const guint8 *in, guint32 state[4])
{
  memcpy (state, in, 16);
  for (guint i = 0; i < 4; i++)
    state[i] = GUINT32_FROM_LE (state[i]);
}

/* Goes on from `state`, which has seen `before` bytes, to the end of the message. */
static void
finish (guint32 state[4], guint64 before, const guint8 *bytes, gsize n, guint8 *out)
{
  guint8 last[2 * BLOCK] = { 0 };
  guint64 bits = GUINT64_TO_LE ((before + n) * 8);

  for (; n >= BLOCK; bytes += BLOCK, n -= BLOCK)
    md5_block (state, bytes);
  if (n > 0)
    memcpy (last, bytes, n);
  last[n] = 0x80;
  gsize size = n < BLOCK - 8 ? BLOCK : 2 * BLOCK;
  memcpy (last + size - 8, &bits, 8);
  for (gsize at = 0; at < size; at += BLOCK)
    md5_block (state, last + at);
  put (state, out);
  ek_wipe (last, sizeof last);
}

void
cram_state (EkStr secret, guint8 out[CRAM_STATE_LEN])
{
  guint8 key[BLOCK] = { 0 }, pad[BLOCK];
  guint32 state[4];

  if (secret.n > BLOCK) {
    start (state);
    finish (state, 0, (const guint8 *) secret.p, secret.n, key);
  }
  else if (secret.n > 0)
    memcpy (key, secret.p, secret.n);
  for (guint half = 0; half < 2; half++) {
    for (guint i = 0; i < BLOCK; i++)
      pad[i] = key[i] ^ (half == 0 ? 0x5c : 0x36);
    start (state);
    md5_block (state, pad);
    put (state, out + 16 * half);
  }
  ek_wipe (key, sizeof key);
  ek_wipe (pad, sizeof pad);
  ek_wipe (state, sizeof state);
}

void
cram_digest (const guint8 saved[CRAM_STATE_LEN], EkStr text, guint8 digest[CRAM_DIGEST_LEN])
{
  guint32 state[4];
  guint8 inner[CRAM_DIGEST_LEN];

  get (saved + 16, state);
  finish (state, BLOCK, (const guint8 *) text.p, text.n, inner);
  get (saved, state);
  finish (state, BLOCK, inner, sizeof inner, digest);
}
