/* keys.c - SCRAM's keys: made from a password, read and written as they are kept
 * SPDX-License-Identifier: Apache-2.0 */
#include "scram.h"
#include "base/base.h"
#include <openssl/evp.h>
#include <string.h>
#include <stringprep.h>

const ScramHash scram_sha1 = { "SCRAM-SHA-1", "SHA1", 20 };
const ScramHash scram_sha256 = { "SCRAM-SHA-256", "SHA256", 32 };

bool
scram_hmac (const ScramHash *hash, const guint8 *key, EkStr text, guint8 out[SCRAM_HASH_MAX])
{
  size_t len = 0;

  return EVP_Q_mac (NULL, "HMAC", NULL, hash->digest, NULL, key, hash->len, (const guchar *) text.p, text.n, out, SCRAM_HASH_MAX, &len)
         && len == hash->len;
}

bool
scram_digest (const ScramHash *hash, EkStr text, guint8 out[SCRAM_HASH_MAX])
{
  guint8 whole[EVP_MAX_MD_SIZE];
  size_t len = 0;
  bool ok = EVP_Q_digest (NULL, hash->digest, NULL, text.p, text.n, whole, &len) == 1 && len == hash->len;

  if (ok)
    memcpy (out, whole, hash->len);
  ek_wipe (whole, sizeof whole);
  return ok;
}

/* SASLprep, for what was stored: code points that Unicode 3.2 did not know are an error (RFC 4013 section 2.5), and then, as
 * with what is no UTF-8, the bytes count as they are.  Wiped and freed by the caller. */
static char *
prepare (EkStr password, gsize *n)
{
  g_autofree char *text = g_strndup (password.p, password.n);
  char *made = NULL, *copy;
  bool plain = memchr (text, '\0', password.n) || !g_utf8_validate (text, (gssize) password.n, NULL);

  if (!plain && stringprep_profile (text, &made, "SASLprep", 0) == STRINGPREP_OK) {
    *n = strlen (made);
    copy = g_strndup (made, *n);
    ek_wipe (made, *n);
    free (made);
  }
  else {
    *n = password.n;
    copy = g_memdup2 (password.p, password.n);
  }
  ek_wipe (text, password.n);
  return copy;
}

bool
scram_keys_make (const ScramHash *hash, EkStr password, ScramKeys *keys)
{
  guint8 salted[SCRAM_HASH_MAX], client[SCRAM_HASH_MAX];
  EVP_MD *md = EVP_MD_fetch (NULL, hash->digest, NULL);
  gsize n;
  char *prepared = prepare (password, &n);
  bool ok = md && PKCS5_PBKDF2_HMAC (prepared ? prepared : "", (int) n, keys->salt, (int) keys->salt_len, (int) keys->iterations, md,
                                     (int) hash->len, salted) == 1
            && scram_hmac (hash, salted, EK_STR ("Client Key"), client)
            && scram_digest (hash, (EkStr) { (char *) client, hash->len }, keys->stored)
            && scram_hmac (hash, salted, EK_STR ("Server Key"), keys->server);

  if (prepared)
    ek_wipe (prepared, n);
  g_free (prepared);
  ek_wipe (salted, sizeof salted);
  ek_wipe (client, sizeof client);
  EVP_MD_free (md);
  return ok;
}

/* Takes what is before the next comma. */
static EkStr
field (EkStr *rest)
{
  const char *comma = rest->n > 0 ? memchr (rest->p, ',', rest->n) : NULL;
  EkStr word = { rest->p, comma ? (gsize) (comma - rest->p) : rest->n };
  gsize gone = word.n + (comma ? 1 : 0);

  *rest = (EkStr) { rest->p + gone, rest->n - gone };
  return word;
}

static bool
take_bytes (EkStr text, gsize max, guint8 *out, gsize *n)
{
  EkBuf bytes = { 0 };

  ek_buf_room (&bytes, text.n + 1);
  bool ok = ek_base64_decode (text, &bytes) && ek_buf_len (&bytes) > 0 && ek_buf_len (&bytes) <= max;
  if (ok) {
    *n = ek_buf_len (&bytes);
    memcpy (out, ek_buf_at (&bytes), *n);
  }
  ek_buf_wipe (&bytes);
  return ok;
}

bool
scram_keys_parse (const ScramHash *hash, EkStr text, ScramKeys *keys)
{
  guint64 iterations;
  gsize n = 0;

  *keys = (ScramKeys) { 0 };
  if (!ek_str_u64 (field (&text), SCRAM_ITERATIONS_MAX, &iterations) || iterations == 0)
    return false;
  keys->iterations = (guint) iterations;
  return take_bytes (field (&text), sizeof keys->salt, keys->salt, &keys->salt_len)
         && take_bytes (field (&text), sizeof keys->stored, keys->stored, &n) && n == hash->len
         && take_bytes (field (&text), sizeof keys->server, keys->server, &n) && n == hash->len && text.n == 0;
}

void
scram_keys_print (const ScramHash *hash, const ScramKeys *keys, EkBuf *out)
{
  ek_buf_printf (out, "%u,", keys->iterations);
  ek_base64_encode ((EkStr) { (const char *) keys->salt, keys->salt_len }, out);
  ek_buf_appendc (out, ',');
  ek_base64_encode ((EkStr) { (const char *) keys->stored, hash->len }, out);
  ek_buf_appendc (out, ',');
  ek_base64_encode ((EkStr) { (const char *) keys->server, hash->len }, out);
}
