/* keys.c - a set of keys (JWKS, RFC 7517) made ready for OpenSSL
 * SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"
#include "base/base.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#define KEYS_MAX 64

static void
key_free (gpointer data)
{
  OAuthKey *key = data;

  EVP_PKEY_free (key->pkey);
  if (key->secret)
    ek_wipe (key->secret, key->secret_len);
  g_free (key->secret);
  g_free (key->kid);
  g_free (key);
}

/* A member in base64url; false: it is missing, or no such text. */
static bool
member (const json_t *object, const char *name, EkBuf *out)
{
  const json_t *value = json_object_get (object, name);

  return json_is_string (value) && oauth_base64url ((EkStr) { json_string_value (value), json_string_length (value) }, out)
         && ek_buf_len (out) > 0;
}

static EVP_PKEY *
from_params (const char *type, OSSL_PARAM_BLD *builder)
{
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param (builder);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name (NULL, type, NULL);
  EVP_PKEY *pkey = NULL;

  if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init (ctx) != 1
      || EVP_PKEY_fromdata (ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
    pkey = NULL;
  EVP_PKEY_CTX_free (ctx);
  OSSL_PARAM_free (params);
  ERR_clear_error ();
  return pkey;
}

static const char *
read_rsa (const json_t *jwk, OAuthKey *key)
{
  EkBuf n = { 0 }, e = { 0 };
  const char *why = "n and e are not base64url";

  if (member (jwk, "n", &n) && member (jwk, "e", &e)) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new ();
    BIGNUM *bn = BN_bin2bn ((guchar *) ek_buf_at (&n), (int) ek_buf_len (&n), NULL);
    BIGNUM *be = BN_bin2bn ((guchar *) ek_buf_at (&e), (int) ek_buf_len (&e), NULL);
    OSSL_PARAM_BLD_push_BN (builder, OSSL_PKEY_PARAM_RSA_N, bn);
    OSSL_PARAM_BLD_push_BN (builder, OSSL_PKEY_PARAM_RSA_E, be);
    key->pkey = from_params ("RSA", builder);
    OSSL_PARAM_BLD_free (builder);
    BN_free (bn);
    BN_free (be);
    why = key->pkey == NULL ? "it is no RSA key" : EVP_PKEY_get_bits (key->pkey) < 2048 ? "an RSA key needs 2048 bits" : NULL;
  }
  ek_buf_release (&n);
  ek_buf_release (&e);
  return why;
}

static const char *
read_ec (const json_t *jwk, OAuthKey *key)
{
  const json_t *curve = json_object_get (jwk, "crv");
  EkBuf x = { 0 }, y = { 0 };
  const char *why = NULL;

  if (!json_is_string (curve) || strcmp (json_string_value (curve), "P-256") != 0)
    why = "only the curve P-256 is known here";
  else if (!member (jwk, "x", &x) || !member (jwk, "y", &y) || ek_buf_len (&x) != 32 || ek_buf_len (&y) != 32)
    why = "x and y are not 32 bytes of base64url each";
  else {
    guint8 point[65] = { 4 };
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new ();
    memcpy (point + 1, ek_buf_at (&x), 32);
    memcpy (point + 33, ek_buf_at (&y), 32);
    OSSL_PARAM_BLD_push_utf8_string (builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string (builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
    key->pkey = from_params ("EC", builder);
    key->ec = true;
    OSSL_PARAM_BLD_free (builder);
    why = key->pkey ? NULL : "it is no point of P-256";
  }
  ek_buf_release (&x);
  ek_buf_release (&y);
  return why;
}

static const char *
read_secret (const json_t *jwk, OAuthKey *key)
{
  EkBuf k = { 0 };
  bool ok = member (jwk, "k", &k);

  if (ok) {
    key->secret_len = ek_buf_len (&k);
    key->secret = g_memdup2 (ek_buf_at (&k), key->secret_len);
  }
  ek_buf_wipe (&k);
  if (!ok)
    return "k is not base64url";
  return key->secret_len < 32 ? "a key of HS256 needs 32 bytes (RFC 7518 section 3.2)" : NULL;
}

/* NULL, or what is wrong. */
static const char *
read_key (const json_t *jwk, OAuthKey *key)
{
  const json_t *type = json_object_get (jwk, "kty"), *kid = json_object_get (jwk, "kid");
  const char *kty = json_is_string (type) ? json_string_value (type) : "";

  key->kid = json_is_string (kid) ? g_strdup (json_string_value (kid)) : NULL;
  if (strcmp (kty, "RSA") == 0)
    return read_rsa (jwk, key);
  if (strcmp (kty, "EC") == 0)
    return read_ec (jwk, key);
  if (strcmp (kty, "oct") == 0)
    return read_secret (jwk, key);
  return "its kty is none of RSA, EC, oct";
}

GPtrArray *
oauth_keys_new (EkText text, GError **error)
{
  json_error_t at;
  json_t *set = json_loadb (text.text, text.len, JSON_REJECT_DUPLICATES, &at);
  const json_t *list = json_object_get (set, "keys");
  gsize n = json_is_array (list) ? json_array_size (list) : 0;
  const char *file = text.file ? text.file : "keys";
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (key_free);
  bool ok = n > 0 && n <= KEYS_MAX;

  if (set == NULL)
    ek_fail (error, EK_FAIL, 0, "keys: %s:%d: %s", file, at.line, at.text);
  else if (!ok)
    ek_fail (error, EK_FAIL, 0, "keys: %s: there is no list \"keys\" of 1 to %d keys (RFC 7517)", file, KEYS_MAX);
  for (gsize i = 0; ok && i < n; i++) {
    OAuthKey *key = g_new0 (OAuthKey, 1);
    g_ptr_array_add (keys, key);
    const char *why = read_key (json_array_get (list, i), key);
    if (why) {
      ek_fail (error, EK_FAIL, 0, "keys: %s: key %" G_GSIZE_FORMAT ": %s", file, i + 1, why);
      ok = false;
    }
  }
  json_decref (set);
  return ok ? g_steal_pointer (&keys) : NULL;
}
