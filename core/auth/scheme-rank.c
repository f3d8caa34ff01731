/* scheme-rank.c - which of two ways to keep a password is the weaker one
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme-builtin.h"
#include <crypt.h>
#include <string.h>

#define YESCRYPT "$y$"               /* and what is made like it: gost-yescrypt, scrypt */

/* By what a guess costs who has the file.  Secrets that a mechanism needs (SCRAM-*, CRAM-MD5) are in no order. */
static const struct { const char *names; int rank; } ranks[] = {
  { "PLAIN|CLEARTEXT|CLEAR", 0 },
  { "PLAIN-MD5|LDAP-MD5|SHA|SHA1|SHA256|SHA512|DES-CRYPT", 1 },
  { "SMD5|SSHA|SSHA256|SSHA512|MD5-CRYPT", 2 },
  { "SHA256-CRYPT|SHA512-CRYPT|PBKDF2", 3 },
  { "BLF-CRYPT", 4 },
  { "ARGON2I|ARGON2ID|" YESCRYPT, 5 },
};

/* CRYPT, MD5 and ARGON2 are what their hashes begin with. */
static const struct { const char *prefix, *name; } prefixes[] = {
  { "$1$", "MD5-CRYPT" }, { "$5$", "SHA256-CRYPT" }, { "$6$", "SHA512-CRYPT" }, { "$2", "BLF-CRYPT" },
  { "$md5", "MD5-CRYPT" }, { "$sha1$", "MD5-CRYPT" },      /* of that rank, as is SunMD5 */
  { "$y$", YESCRYPT }, { "$gy$", YESCRYPT }, { "$7$", YESCRYPT }, { "$argon2i$", "ARGON2I" }, { "$argon2id$", "ARGON2ID" },
};

static int
rank_of (EkStr name)
{
  for (guint i = 0; i < G_N_ELEMENTS (ranks); i++) {
    g_auto (GStrv) words = g_strsplit (ranks[i].names, "|", -1);
    for (guint k = 0; words[k]; k++)
      if (ek_str_ieq (ek_str (words[k]), name))
        return ranks[i].rank;
  }
  return -1;
}

static EkStr
real_name (EkStr name, EkStr hash)
{
  bool md5 = ek_str_ieq (name, EK_STR ("MD5")), argon2 = ek_str_ieq (name, EK_STR ("ARGON2"));

  if (!ek_str_ieq (name, EK_STR ("CRYPT")) && !md5 && !argon2)
    return name;
  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (ek_str_starts (hash, ek_str (prefixes[i].prefix)))
      return ek_str (prefixes[i].name);
  return ek_str (md5 ? "PLAIN-MD5" : argon2 ? "ARGON2ID" : "DES-CRYPT");
}

/* What is made by that name, without an encoding behind it. */
static EkStr
made_name (const char *scheme)
{
  const char *likes = crypt_preferred_method ();         /* what CRYPT makes; NULL: the library cannot say */
  EkStr name = { scheme, strcspn (scheme, ".") };

  if (ek_str_ieq (name, EK_STR ("CRYPT")))
    return likes ? real_name (name, ek_str (likes)) : name;
  return real_name (name, EK_STR (""));
}

/* ---- what a hash costs ---- */

static guint64
number_at (EkStr hash, gsize at)
{
  g_autofree char *text = at < hash.n ? g_strndup (hash.p + at, MIN (hash.n - at, 12)) : NULL;

  return text ? g_ascii_strtoull (text, NULL, 10) : 0;
}

/* The number behind `word`; 0: there is none. */
static guint64
number_behind (EkStr hash, const char *word)
{
  const char *at = hash.n ? memmem (hash.p, hash.n, word, strlen (word)) : NULL;

  return at ? number_at (hash, (gsize) (at - hash.p) + strlen (word)) : 0;
}

/* A digit of crypt(5)'s own base 64; 64: it is none. */
static guint
digit_at (EkStr hash, gsize at)
{
  static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const char *found = at < hash.n && hash.p[at] ? strchr (digits, hash.p[at]) : NULL;

  return found ? (guint) (found - digits) : 64;
}

/* Thirty bits in five digits, the lowest in front; 0: they are none. */
static guint
five_digits_at (EkStr hash, gsize at)
{
  guint64 sum = 0;

  for (guint i = 0; i < 5; i++) {
    guint digit = digit_at (hash, at + i);
    if (digit == 64)
      return 0;
    sum += (guint64) digit << 6 * i;
  }
  return (guint) sum;
}

/* As crypt_gensalt(3) counts: n is for 2^(n-1) MB, which is 128 bytes times the blocks and their size.  0: it cannot be told. */
static guint64
memory_cost (guint log2_blocks, guint size, guint lanes)
{
  if (size == 0 || lanes == 0)
    return 0;
  gint log2_bytes = (gint) (log2_blocks + g_bit_storage (size) - 1 + g_bit_storage (lanes) - 1) + 7;
  return (guint64) MAX (log2_bytes - 19, 1);
}

/* Of yescrypt what libcrypt makes: "j", a digit for the blocks and one for their size, both up to 48, and nothing else. */
static guint64
yescrypt_cost (EkStr hash)
{
  if (ek_str_starts (hash, EK_STR ("$7$")))                /* scrypt: one digit, five, five */
    return digit_at (hash, 3) < 64 ? memory_cost (digit_at (hash, 3), five_digits_at (hash, 4), five_digits_at (hash, 9)) : 0;
  gsize at = ek_str_starts (hash, EK_STR ("$gy$")) ? 4 : 3;
  guint blocks = digit_at (hash, at + 1), size = digit_at (hash, at + 2);
  if (hash.n < at + 4 || hash.p[at] != 'j' || hash.p[at + 3] != '$' || blocks > 47 || size > 47)
    return 0;
  return memory_cost (blocks + 1, size + 1, 1);
}

/* In the scheme's own way of counting; 0: it cannot be told. */
static guint64
cost_of (EkStr name, EkStr hash)
{
  if (ek_str_ieq (name, EK_STR (YESCRYPT)))
    return yescrypt_cost (hash);
  if (ek_str_ieq (name, EK_STR ("BLF-CRYPT")))
    return number_at (hash, 4);        /* $2y$12$ */
  if (ek_str_ieq (name, EK_STR ("SHA256-CRYPT")) || ek_str_ieq (name, EK_STR ("SHA512-CRYPT")))
    return hash.n > 10 && memcmp (hash.p + 3, "rounds=", 7) == 0 ? number_at (hash, 10) : 5000;
  if (ek_str_ieq (name, EK_STR ("PBKDF2"))) {
    const char *salt_end = hash.n > 3 ? memchr (hash.p + 3, '$', hash.n - 3) : NULL;
    return salt_end ? number_at (hash, (gsize) (salt_end - hash.p) + 1) : 0;
  }
  return 0;
}

/* Argon2 has two costs, memory and passes, of which we choose the passes.  Less is what takes no more memory and has less of it to fill, in
 * all its passes: a hash with more of one and less of the other is nobody's to give up. */
static bool
argon2_is_cheaper (EkStr hash, guint64 kib, guint passes)
{
  guint64 m = number_behind (hash, "$m="), t = number_behind (hash, ",t=");

  return m > 0 && t > 0 && m <= kib && m * t < kib * passes;
}

static bool
is_cheaper (EkStr name, EkStr hash, guint cost)
{
  if (ek_str_ieq (name, EK_STR ("ARGON2I")))
    return argon2_is_cheaper (hash, EK_ARGON2I_KIB, cost);
  if (ek_str_ieq (name, EK_STR ("ARGON2ID")))
    return argon2_is_cheaper (hash, EK_ARGON2ID_KIB, cost);
  guint64 its = cost_of (name, hash);
  return its > 0 && its < cost;
}

/* ---- which is weaker ---- */

int
ek_scheme_rank (const char *scheme)
{
  return rank_of (made_name (scheme));
}

/* Of one rank only ARGON2I and ARGON2ID are in an order: the former can be guessed with less memory than it was made with. */
static bool
is_weaker (EkStr name, EkStr hash, const char *scheme, guint cost)
{
  EkStr made = made_name (scheme);
  int has = rank_of (name), wants = rank_of (made);

  if (has < 0 || wants < 0 || has != wants)
    return has >= 0 && has < wants;
  if (ek_str_ieq (name, EK_STR ("ARGON2I")) && ek_str_ieq (made, EK_STR ("ARGON2ID")))
    return number_behind (hash, "$m=") * number_behind (hash, ",t=") <= (guint64) EK_ARGON2ID_KIB * (cost ? cost : EK_ARGON2ID_PASSES);      /* else it costs a guess more */
  return cost > 0 && ek_str_ieq (name, made) && is_cheaper (name, hash, cost);
}

bool
ek_password_weaker (EkStr stored, const char *scheme, guint cost)
{
  EkBuf hash = { 0 };
  EkStr name;
  bool weaker = ek_scheme_decode (stored, "PLAIN", &name, &hash)
                && is_weaker (real_name (name, ek_buf_str (&hash)), ek_buf_str (&hash), scheme, cost);

  ek_buf_wipe (&hash);
  return weaker;
}
