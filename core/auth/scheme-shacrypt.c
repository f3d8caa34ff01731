/* scheme-shacrypt.c - SHA256-CRYPT and SHA512-CRYPT ($5$, $6$) on OpenSSL's compression functions
 * SPDX-License-Identifier: Apache-2.0
 *
 * After "Unix crypt using SHA-256 and SHA-512" (Ulrich Drepper, 2007).  libcrypt makes the same hashes from plain C; OpenSSL uses what
 * the processor has, so that a login takes two thirds of the time, and a core serves half as many more.  Settings that are not
 * spelled in the one usual way are left to libcrypt.
 */
#define OPENSSL_SUPPRESS_DEPRECATED  /* EVP_Digest*() costs as much again as a block of 128 bytes */
#include "auth/scheme-builtin.h"
#include <openssl/opensslv.h>
#include <openssl/sha.h>
#include <string.h>

#if OPENSSL_VERSION_NUMBER >= 0x40000000L || defined OPENSSL_NO_DEPRECATED_3_0

bool
ek_scheme_sha_crypt (EkStr secret, EkStr setting, EkBuf *out)
{
  return false;                      /* these functions are gone */
}

#else

#define ROUNDS_MIN   1000
#define ROUNDS_MAX   999999999
#define ROUNDS       5000            /* when the setting does not say */
#define SALT_MAX     16
#define SECRET_MAX   511             /* as crypt(3) has it */
#define LEN_MAX      SHA512_DIGEST_LENGTH

typedef union {
  SHA256_CTX small;
  SHA512_CTX large;
} Sum;

typedef struct {                     /* one hash under way; wiped */
  bool   large;                      /* SHA-512 */
  guint  len;                        /* of its digests */
  Sum    sum, other;
  EkStr  secret, salt;
  guchar a[LEN_MAX], b[LEN_MAX];
  guchar secrets[SECRET_MAX], salts[SALT_MAX];     /* as long as the secret and the salt, made from their digests */
} Hash;

/* ---- a sum ---- */

static void
begin (const Hash *h, Sum *sum)
{
  if (h->large)
    SHA512_Init (&sum->large);
  else
    SHA256_Init (&sum->small);
}

static void
add (const Hash *h, Sum *sum, gconstpointer p, gsize n)
{
  if (h->large)
    SHA512_Update (&sum->large, p, n);
  else
    SHA256_Update (&sum->small, p, n);
}

static void
end (const Hash *h, Sum *sum, guchar *digest)
{
  if (h->large)
    SHA512_Final (digest, &sum->large);
  else
    SHA256_Final (digest, &sum->small);
}

/* ---- the hash ---- */

/* `n` bytes: the digest as often as it fits. */
static void
repeat (const Hash *h, const guchar *digest, guchar *out, gsize n)
{
  for (gsize at = 0; at < n; at += h->len)
    memcpy (out + at, digest, MIN (h->len, n - at));
}

/* Steps 1 to 12: what the rounds begin with, in a. */
static void
first_sum (Hash *h)
{
  begin (h, &h->other);
  add (h, &h->other, h->secret.p, h->secret.n);
  add (h, &h->other, h->salt.p, h->salt.n);
  add (h, &h->other, h->secret.p, h->secret.n);
  end (h, &h->other, h->b);

  begin (h, &h->sum);
  add (h, &h->sum, h->secret.p, h->secret.n);
  add (h, &h->sum, h->salt.p, h->salt.n);
  for (gsize left = h->secret.n; left > 0; left -= MIN (left, h->len))
    add (h, &h->sum, h->b, MIN (left, h->len));
  for (gsize bits = h->secret.n; bits > 0; bits >>= 1)
    if (bits & 1)
      add (h, &h->sum, h->b, h->len);
    else
      add (h, &h->sum, h->secret.p, h->secret.n);
  end (h, &h->sum, h->a);
}

/* Steps 13 to 20. */
static void
make_sequences (Hash *h)
{
  begin (h, &h->other);
  for (gsize i = 0; i < h->secret.n; i++)
    add (h, &h->other, h->secret.p, h->secret.n);
  end (h, &h->other, h->b);
  repeat (h, h->b, h->secrets, h->secret.n);

  begin (h, &h->other);
  for (guint i = 0; i < 16u + h->a[0]; i++)
    add (h, &h->other, h->salt.p, h->salt.n);
  end (h, &h->other, h->b);
  repeat (h, h->b, h->salts, h->salt.n);
}

/* Step 21, which is what takes time. */
static void
run_rounds (Hash *h, guint rounds)
{
  for (guint i = 0; i < rounds; i++) {
    const guchar *first = i & 1 ? h->secrets : h->a, *last = i & 1 ? h->a : h->secrets;
    begin (h, &h->sum);
    add (h, &h->sum, first, i & 1 ? h->secret.n : h->len);
    if (i % 3)
      add (h, &h->sum, h->salts, h->salt.n);
    if (i % 7)
      add (h, &h->sum, h->secrets, h->secret.n);
    add (h, &h->sum, last, i & 1 ? h->len : h->secret.n);
    end (h, &h->sum, h->a);
  }
}

/* ---- text ---- */

/* Step 22: three bytes at a time, in an order of their own, six bits a letter, the lowest ones first. */
static void
put_digest (const Hash *h, EkBuf *out)
{
  static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  guint third = h->len / 3;

  for (guint i = 0; i < third; i++) {
    /* byte i of each third; which of the three comes first turns from one group to the next */
    guint turn = h->large ? i % 3 : (3 - i % 3) % 3;
    guint bits = 0;
    for (guint k = 0; k < 3; k++)
      bits = bits << 8 | h->a[i + third * ((turn + k) % 3)];
    for (guint k = 0; k < 4; k++, bits >>= 6)
      ek_buf_appendc (out, letters[bits & 63]);
  }
  guint left = h->len % 3, bits = left == 2 ? (guint) h->a[31] << 8 | h->a[30] : h->a[63];
  for (guint k = 0; k <= left; k++, bits >>= 6)
    ek_buf_appendc (out, letters[bits & 63]);
}

/* "$6$rounds=10000$salt$..." in the usual spelling; *rounds is 0 where it does not say.  False: another one. */
static bool
read_setting (EkStr setting, bool *large, guint *rounds, EkStr *salt)
{
  const EkStr word = EK_STR ("rounds=");
  guint64 number;

  if (setting.n < 4 || setting.p[0] != '$' || (setting.p[1] != '5' && setting.p[1] != '6') || setting.p[2] != '$')
    return false;
  *large = setting.p[1] == '6';
  *rounds = 0;
  setting = (EkStr) { setting.p + 3, setting.n - 3 };
  if (ek_str_starts (setting, word)) {
    const char *dollar = memchr (setting.p, '$', setting.n);
    EkStr digits = { setting.p + word.n, dollar ? (gsize) (dollar - setting.p) - word.n : 0 };
    if (digits.n == 0 || digits.p[0] == '0' || !ek_str_u64 (digits, ROUNDS_MAX, &number) || number < ROUNDS_MIN)
      return false;
    *rounds = (guint) number;
    setting = (EkStr) { dollar + 1, setting.n - word.n - digits.n - 1 };
  }
  for (gsize i = 0; i < setting.n; i++)          /* the hash behind the salt too: libcrypt refuses one that was damaged */
    if (!g_ascii_isalnum (setting.p[i]) && strchr ("./$", setting.p[i]) == NULL)
      return false;
  const char *dollar = memchr (setting.p, '$', setting.n);
  *salt = (EkStr) { setting.p, dollar ? (gsize) (dollar - setting.p) : setting.n };
  return salt->n > 0 && salt->n <= SALT_MAX;
}

bool
ek_scheme_sha_crypt (EkStr secret, EkStr setting, EkBuf *out)
{
  Hash h = { .secret = secret };
  guint rounds;

  if (secret.n > SECRET_MAX || memchr (secret.p ? secret.p : "", '\0', secret.n) || !read_setting (setting, &h.large, &rounds, &h.salt))
    return false;
  h.len = h.large ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
  first_sum (&h);
  make_sequences (&h);
  run_rounds (&h, rounds ? rounds : ROUNDS);
  ek_buf_appends (out, h.large ? "$6$" : "$5$");
  if (rounds)
    ek_buf_printf (out, "rounds=%u$", rounds);
  ek_buf_printf (out, "%.*s$", EK_STR_ARG (h.salt));
  put_digest (&h, out);
  ek_wipe (&h, sizeof h);
  return true;
}

#endif
