/* argon2.c - password schemes ARGON2I and ARGON2ID, and ARGON2, which is either, with libsodium
 * SPDX-License-Identifier: Apache-2.0
 *
 * The stored form is the usual one, $argon2id$v=19$m=65536,t=3,p=1$salt$hash, which Dovecot and the
 * argon2 program write too (libsodium verifies any m and t, but only p=1).  The cost is t, the number
 * of passes; memory stays at libsodium's figures for interactive use, which the core knows (ek_password_weaker).
 */
#include <ekiden/ekiden.h>
#include "auth/scheme.h"
#include <errno.h>
#include <sodium.h>
#include <string.h>

static const struct {
  const char *name, *prefix;
  int         algorithm;
  guint       cost_min, cost;
  gsize       memory_kib;
} variants[] = {
  { "ARGON2I", "$argon2i$", crypto_pwhash_ALG_ARGON2I13, crypto_pwhash_argon2i_OPSLIMIT_MIN,
    crypto_pwhash_argon2i_OPSLIMIT_INTERACTIVE, EK_ARGON2I_KIB },
  { "ARGON2ID", "$argon2id$", crypto_pwhash_ALG_ARGON2ID13, crypto_pwhash_argon2id_OPSLIMIT_MIN,
    EK_ARGON2ID_PASSES, EK_ARGON2ID_KIB },
};

#define COST_MAX 1000                /* passes: each takes tens of milliseconds */

/* ARGON2 (OpenLDAP's) is what its hash begins with; a NULL p: it is still to be made. */
static guint
variant_of (const char *scheme, EkStr stored)
{
  bool either = strcmp (scheme, "ARGON2") == 0;

  return strcmp (scheme, variants[0].name) == 0 || (either && stored.p && ek_str_starts (stored, ek_str (variants[0].prefix))) ? 0 : 1;
}

static EkStatus
argon2_verify (const char *scheme, EkStr secret, EkStr stored, GError **error)
{
  guint v = variant_of (scheme, stored);
  char hash[crypto_pwhash_STRBYTES];

  if (stored.n >= sizeof hash || memchr (stored.p, '\0', stored.n)
      || !ek_str_starts (stored, ek_str (variants[v].prefix)))
    return ek_fail (error, EK_DEFER, EINVAL, "the stored secret is not a hash of scheme %s", scheme);
  if (sodium_init () < 0)
    return ek_fail (error, EK_DEFER, ENOTSUP, "libsodium cannot be initialised");
  memset (hash, 0, sizeof hash);       /* libsodium reads all of it */
  memcpy (hash, stored.p, stored.n);
  errno = 0;
  int wrong = crypto_pwhash_str_verify (hash, secret.p, secret.n);
  int err = errno;
  ek_wipe (hash, sizeof hash);
  if (wrong == 0)
    return EK_OK;
  if (err == EINVAL)                   /* libsodium's word for a mismatch */
    return EK_FAIL;
  if (err == ENOMEM)
    return ek_fail (error, EK_DEFER, ENOMEM, "no memory for a hash of scheme %s", scheme);
  return ek_fail (error, EK_DEFER, EINVAL, "the stored secret is not a hash of scheme %s that libsodium "
                  "can compute (p must be 1)", scheme);
}

static char *
argon2_make (const char *scheme, EkStr secret, guint cost, GError **error)
{
  guint v = variant_of (scheme, (EkStr) { NULL, 0 });
  char hash[crypto_pwhash_STRBYTES];

  if (cost != 0 && (cost < variants[v].cost_min || cost > COST_MAX)) {
    ek_fail (error, EK_FAIL, ERANGE, "scheme %s takes rounds from %u to %d, not %u", scheme,
             variants[v].cost_min, COST_MAX, cost);
    return NULL;
  }
  if (sodium_init () < 0
      || crypto_pwhash_str_alg (hash, secret.p, secret.n, cost ? cost : variants[v].cost,
                                variants[v].memory_kib * 1024, variants[v].algorithm) != 0) {
    ek_fail (error, EK_DEFER, ENOMEM, "no memory for a hash of scheme %s", scheme);
    return NULL;
  }
  char *made = g_strdup (hash);
  ek_wipe (hash, sizeof hash);
  return made;
}

static const EkSchemeOps scheme = {
  .names = "ARGON2I|ARGON2ID|ARGON2", .verify = argon2_verify, .make = argon2_make,
};

EK_MODULE (argon2, .summary = "Password schemes ARGON2I, ARGON2ID and ARGON2", .scheme = &scheme);
