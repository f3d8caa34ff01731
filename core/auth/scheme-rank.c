/* scheme-rank.c - which of two ways to keep a password is the weaker one
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme.h"
#include <string.h>

/* By what a guess costs who has the file.  Secrets that a mechanism needs (SCRAM-*, CRAM-MD5) are in no order. */
static const struct { const char *names; int rank; } ranks[] = {
  { "PLAIN|CLEARTEXT|CLEAR", 0 },
  { "PLAIN-MD5|LDAP-MD5|SHA|SHA1|SHA256|SHA512|DES-CRYPT", 1 },
  { "SMD5|SSHA|SSHA256|SSHA512|MD5-CRYPT", 2 },
  { "SHA256-CRYPT|SHA512-CRYPT|PBKDF2", 3 },
  { "BLF-CRYPT", 4 },
  { "ARGON2I|ARGON2ID|ARGON2", 5 },
};

/* CRYPT, and MD5, are what their hashes begin with. */
static const struct { const char *prefix, *name; } prefixes[] = {
  { "$1$", "MD5-CRYPT" }, { "$5$", "SHA256-CRYPT" }, { "$6$", "SHA512-CRYPT" }, { "$2", "BLF-CRYPT" },
  { "$y$", "ARGON2ID" }, { "$gy$", "ARGON2ID" }, { "$7$", "ARGON2ID" },        /* yescrypt, scrypt: of that rank */
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

/* The scheme without an encoding behind it. */
static EkStr
real_name (EkStr name, EkStr hash)
{
  const char *dot = name.n ? memchr (name.p, '.', name.n) : NULL;

  if (dot)
    name.n = (gsize) (dot - name.p);
  if (!ek_str_ieq (name, EK_STR ("CRYPT")) && !ek_str_ieq (name, EK_STR ("MD5")))
    return name;
  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (ek_str_starts (hash, ek_str (prefixes[i].prefix)))
      return ek_str (prefixes[i].name);
  return ek_str_ieq (name, EK_STR ("MD5")) ? EK_STR ("PLAIN-MD5") : EK_STR ("DES-CRYPT");
}

static guint64
number_at (EkStr hash, gsize at)
{
  g_autofree char *text = at < hash.n ? g_strndup (hash.p + at, MIN (hash.n - at, 12)) : NULL;

  return text ? g_ascii_strtoull (text, NULL, 10) : 0;
}

/* In the scheme's own way of counting; 0: it cannot be told. */
static guint64
cost_of (EkStr name, EkStr hash)
{
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

int
ek_scheme_rank (const char *scheme)
{
  EkStr name = ek_str (scheme);

  return ek_str_ieq (name, EK_STR ("CRYPT")) ? -1 : rank_of (real_name (name, EK_STR ("")));
}

bool
ek_password_weaker (EkStr stored, const char *scheme, guint cost)
{
  EkStr name, hash = ek_scheme_split (stored, &name);

  name = name.n > 0 ? real_name (name, hash) : EK_STR ("PLAIN");
  int has = rank_of (name), wants = ek_scheme_rank (scheme);
  if (has < 0 || wants < 0 || has != wants)
    return has >= 0 && has < wants;
  guint64 its = cost_of (name, hash);
  return cost > 0 && its > 0 && its < cost && ek_str_ieq (name, real_name (ek_str (scheme), EK_STR ("")));
}
