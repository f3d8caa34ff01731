/* scheme-pbkdf2.c - PBKDF2 (RFC 8018 section 5.2) with HMAC-SHA1, as Dovecot writes it: $1$SALT$ROUNDS$HEX
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme-builtin.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define KEY_LEN  20
#define SALT_LEN 16                  /* of letters that are text themselves */

static bool
derive (EkStr secret, EkStr salt, guint rounds, guchar key[static KEY_LEN], GError **error)
{
  if (PKCS5_PBKDF2_HMAC (secret.n ? secret.p : "", (int) secret.n, (const guchar *) salt.p, (int) salt.n, (int) rounds, EVP_sha1 (), KEY_LEN,
                         key) == 1)
    return true;
  ek_fail (error, EK_DEFER, ENOTSUP, "OpenSSL offers no PBKDF2 with SHA1");
  return false;
}

/* "$1$SALT$ROUNDS$HEX" taken apart; `key` gets the bytes. */
static bool
parse (const Scheme *scheme, EkStr stored, EkStr *salt, guint *rounds, EkBuf *key)
{
  if (!ek_str_starts (stored, EK_STR ("$1$")))
    return false;
  const char *end = stored.p + stored.n, *from = stored.p + 3;
  const char *after_salt = memchr (from, '$', (gsize) (end - from));
  const char *after_rounds = after_salt ? memchr (after_salt + 1, '$', (gsize) (end - after_salt - 1)) : NULL;
  guint64 n;

  if (after_rounds == NULL)
    return false;
  g_autofree char *number = g_strndup (after_salt + 1, (gsize) (after_rounds - after_salt - 1));
  *salt = (EkStr) { from, (gsize) (after_salt - from) };
  if (!g_ascii_string_to_unsigned (number, 10, 1, scheme->cost_max, &n, NULL))
    return false;
  *rounds = (guint) n;
  return ek_hex_decode ((EkStr) { after_rounds + 1, (gsize) (end - after_rounds - 1) }, key) && ek_buf_len (key) == KEY_LEN;
}

EkStatus
ek_scheme_pbkdf2_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error)
{
  guchar got[KEY_LEN];
  EkBuf key = { 0 };
  EkStr salt;
  guint rounds;
  EkStatus status;

  if (!parse (scheme, stored, &salt, &rounds, &key))
    status = ek_fail (error, EK_DEFER, EINVAL, "the stored secret is not a hash of scheme %s ($1$SALT$ROUNDS$HEX, at most %u rounds)",
                      scheme->name, scheme->cost_max);
  else if (!derive (secret, salt, rounds, got, error))
    status = EK_DEFER;
  else
    status = ek_str_same_secret ((EkStr) { (char *) got, KEY_LEN }, ek_buf_str (&key)) ? EK_OK : EK_FAIL;
  ek_wipe (got, sizeof got);
  ek_buf_wipe (&key);
  return status;
}

bool
ek_scheme_pbkdf2_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error)
{
  static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  guchar key[KEY_LEN];
  char salt[SALT_LEN];

  if (cost != 0 && (cost < scheme->cost_min || cost > scheme->cost_max)) {
    ek_fail (error, EK_FAIL, ERANGE, "scheme %s takes rounds from %u to %u, not %u", scheme->name, scheme->cost_min, scheme->cost_max, cost);
    return false;
  }
  guint rounds = cost ? cost : scheme->cost;
  ek_random (salt, sizeof salt);
  for (guint i = 0; i < SALT_LEN; i++)
    salt[i] = letters[salt[i] & 63];
  if (!derive (secret, (EkStr) { salt, SALT_LEN }, rounds, key, error))
    return false;
  ek_buf_printf (out, "$1$%.*s$%u$", SALT_LEN, salt, rounds);
  ek_hex_encode ((EkStr) { (char *) key, KEY_LEN }, out);
  ek_wipe (key, sizeof key);
  return true;
}
