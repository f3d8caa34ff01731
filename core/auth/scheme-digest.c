/* scheme-digest.c - the secret itself, and plain and salted digests of it
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme-builtin.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define SALT_LEN 8

/* digest (secret + salt); false: OpenSSL has no such digest (a FIPS provider has no MD5). */
static bool
digest (const char *name, EkStr secret, EkStr salt, guchar out[static EVP_MAX_MD_SIZE], GError **error)
{
  EVP_MD *md = EVP_MD_fetch (NULL, name, NULL);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  bool ok = md && ctx && EVP_DigestInit_ex2 (ctx, md, NULL) == 1
            && (secret.n == 0 || EVP_DigestUpdate (ctx, secret.p, secret.n) == 1)
            && (salt.n == 0 || EVP_DigestUpdate (ctx, salt.p, salt.n) == 1)
            && EVP_DigestFinal_ex (ctx, out, NULL) == 1;

  EVP_MD_CTX_free (ctx);
  EVP_MD_free (md);
  if (!ok)
    ek_fail (error, EK_DEFER, ENOTSUP, "OpenSSL offers no %s", name);
  return ok;
}

static EkStatus
compare (const Scheme *scheme, EkStr secret, EkStr bytes, GError **error)
{
  guchar got[EVP_MAX_MD_SIZE];

  if (scheme->salted ? bytes.n <= scheme->digest_len : bytes.n != scheme->digest_len)
    return ek_fail (error, EK_DEFER, EINVAL, "the stored secret has %" G_GSIZE_FORMAT " bytes where %s has "
                    "%u%s", bytes.n, scheme->name, scheme->digest_len, scheme->salted ? " and a salt" : "");
  EkStr salt = { bytes.p + scheme->digest_len, bytes.n - scheme->digest_len };
  if (!digest (scheme->detail, secret, salt, got, error))
    return EK_DEFER;
  bool same = ek_str_same_secret ((EkStr) { (char *) got, scheme->digest_len },
                                  (EkStr) { bytes.p, scheme->digest_len });
  ek_wipe (got, sizeof got);
  return same ? EK_OK : EK_FAIL;
}

EkStatus
ek_scheme_digest_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error)
{
  if (raw)
    return compare (scheme, secret, stored, error);
  EkBuf bytes = { 0 };
  bool hex = stored.n == scheme->digest_len * 2 && !scheme->salted;
  EkStatus status;
  if (hex ? ek_hex_decode (stored, &bytes) : ek_base64_decode (stored, &bytes))
    status = compare (scheme, secret, ek_buf_str (&bytes), error);
  else
    status = ek_fail (error, EK_DEFER, EINVAL, "the stored secret of scheme %s is not %s", scheme->name,
                      hex ? "hexadecimal" : "base64");
  ek_buf_wipe (&bytes);
  return status;
}

bool
ek_scheme_digest_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error)
{
  guchar got[EVP_MAX_MD_SIZE + SALT_LEN];
  char salt[SALT_LEN];
  gsize salt_len = scheme->salted ? SALT_LEN : 0;

  if (cost != 0) {
    ek_fail (error, EK_FAIL, EINVAL, "scheme %s has no rounds to choose", scheme->name);
    return false;
  }
  ek_random (salt, sizeof salt);
  if (!digest (scheme->detail, secret, (EkStr) { salt, salt_len }, got, error))
    return false;
  memcpy (got + scheme->digest_len, salt, salt_len);
  EkStr bytes = { (char *) got, scheme->digest_len + salt_len };
  if (scheme->hex)
    ek_hex_encode (bytes, out);
  else
    ek_base64_encode (bytes, out);
  ek_wipe (got, sizeof got);
  return true;
}

EkStatus
ek_scheme_plain_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error)
{
  guchar a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];

  /* Digests, so that not even the length shows in the time. */
  if (!digest ("SHA256", secret, EK_STR (""), a, error) || !digest ("SHA256", stored, EK_STR (""), b, error))
    return EK_DEFER;
  bool same = ek_str_same_secret ((EkStr) { (char *) a, 32 }, (EkStr) { (char *) b, 32 });
  ek_wipe (a, sizeof a);
  ek_wipe (b, sizeof b);
  return same ? EK_OK : EK_FAIL;
}

bool
ek_scheme_plain_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error)
{
  if (cost != 0) {
    ek_fail (error, EK_FAIL, EINVAL, "scheme %s has no rounds to choose", scheme->name);
    return false;
  }
  ek_buf_append (out, secret.p, secret.n);
  return true;
}
