/* jwt.c - signed tokens (RFC 7515, 7518, 7519): RS256, ES256 and HS256, each only with keys of its kind
 * SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"
#include "base/base.h"
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <string.h>

typedef struct { EkStr header, claims, signature, signed_part; } Parts;

bool
oauth_base64url (EkStr text, EkBuf *out)
{
  static const char pad[] = "==";
  EkBuf plain = { 0 };

  for (gsize i = 0; i < text.n; i++) {
    char c = text.p[i];
    if (c == '+' || c == '/' || c == '=')
      return ek_buf_release (&plain), false;
    ek_buf_appendc (&plain, c == '-' ? '+' : c == '_' ? '/' : c);
  }
  if (text.n % 4 > 1)
    ek_buf_append (&plain, pad, 4 - text.n % 4);
  bool ok = text.n % 4 != 1 && ek_base64_decode (ek_buf_str (&plain), out);
  ek_buf_wipe (&plain);
  return ok;
}

static bool
split (EkStr token, Parts *parts)
{
  const char *first = token.n > 0 ? memchr (token.p, '.', token.n) : NULL;
  const char *second = first ? memchr (first + 1, '.', token.n - (gsize) (first + 1 - token.p)) : NULL;

  if (second == NULL)
    return false;
  parts->header = (EkStr) { token.p, (gsize) (first - token.p) };
  parts->claims = (EkStr) { first + 1, (gsize) (second - first) - 1 };
  parts->signed_part = (EkStr) { token.p, (gsize) (second - token.p) };
  parts->signature = (EkStr) { second + 1, token.n - parts->signed_part.n - 1 };
  return memchr (parts->signature.p, '.', parts->signature.n) == NULL;
}

bool
oauth_is_jwt (EkStr token)
{
  Parts parts;

  return split (token, &parts);
}

static json_t *
read_json (EkStr text)
{
  EkBuf bytes = { 0 };
  json_t *value = NULL;

  if (oauth_base64url (text, &bytes) && ek_buf_len (&bytes) > 0)
    value = json_loadb (ek_buf_at (&bytes), ek_buf_len (&bytes), JSON_REJECT_DUPLICATES, NULL);
  ek_buf_release (&bytes);
  if (json_is_object (value))
    return value;
  json_decref (value);
  return NULL;
}

bool
oauth_jwt_says_from (EkStr token, const char *issuer)
{
  Parts parts;
  json_t *claims = split (token, &parts) ? read_json (parts.claims) : NULL;
  const json_t *iss = json_object_get (claims, "iss");
  bool same = json_is_string (iss) && strcmp (json_string_value (iss), issuer) == 0;

  json_decref (claims);
  return same;
}

/* ES256 writes r and s as 32 bytes each (RFC 7518 section 3.4); OpenSSL wants DER. */
static guint8 *
to_der (EkStr signature, gsize *n)
{
  guint8 *der = NULL;
  ECDSA_SIG *sig = signature.n == 64 ? ECDSA_SIG_new () : NULL;

  if (sig == NULL)
    return NULL;
  BIGNUM *r = BN_bin2bn ((const guchar *) signature.p, 32, NULL), *s = BN_bin2bn ((const guchar *) signature.p + 32, 32, NULL);
  ECDSA_SIG_set0 (sig, r, s);
  int len = i2d_ECDSA_SIG (sig, &der);
  ECDSA_SIG_free (sig);
  *n = len > 0 ? (gsize) len : 0;
  return len > 0 ? der : NULL;
}

static bool
verify_public (EVP_PKEY *pkey, EkStr text, const guint8 *signature, gsize n)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  bool good = ctx && EVP_DigestVerifyInit_ex (ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1
              && EVP_DigestVerify (ctx, signature, n, (const guchar *) text.p, text.n) == 1;

  EVP_MD_CTX_free (ctx);
  ERR_clear_error ();
  return good;
}

static bool
verify_secret (const OAuthKey *key, EkStr text, EkStr signature)
{
  guint8 mac[EVP_MAX_MD_SIZE];
  size_t n = 0;

  return EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, key->secret, key->secret_len, (const guchar *) text.p, text.n, mac, sizeof mac, &n)
         && ek_str_same_secret ((EkStr) { (char *) mac, n }, signature);
}

/* The header's alg never chooses how a key is used: it has to be what the key is for. */
static bool
verify_with (const OAuthKey *key, const char *alg, EkStr text, EkStr signature)
{
  if (strcmp (alg, "HS256") == 0)
    return key->secret && verify_secret (key, text, signature);
  if (strcmp (alg, "RS256") == 0)
    return key->pkey && !key->ec && verify_public (key->pkey, text, (const guint8 *) signature.p, signature.n);
  if (strcmp (alg, "ES256") != 0 || key->pkey == NULL || !key->ec)
    return false;
  gsize n;
  guint8 *der = to_der (signature, &n);
  bool good = der && verify_public (key->pkey, text, der, n);
  OPENSSL_free (der);
  return good;
}

static bool
is_signed (const GPtrArray *keys, const json_t *header, EkStr text, EkStr signature)
{
  const json_t *alg = json_object_get (header, "alg"), *kid = json_object_get (header, "kid");

  for (guint i = 0; json_is_string (alg) && i < keys->len; i++) {
    const OAuthKey *key = keys->pdata[i];
    bool named = !json_is_string (kid) || key->kid == NULL || strcmp (key->kid, json_string_value (kid)) == 0;
    if (named && verify_with (key, json_string_value (alg), text, signature))
      return true;
  }
  return false;
}

json_t *
oauth_jwt_claims (const GPtrArray *keys, EkStr token, const char **why)
{
  Parts parts;
  EkBuf signature = { 0 };
  json_t *claims = NULL, *header = split (token, &parts) ? read_json (parts.header) : NULL;

  *why = "the token is no JWT";
  if (header && json_object_get (header, "crit"))
    *why = "the token names an extension (crit) that is not known here";       /* RFC 7515 section 4.1.11 */
  else if (header && oauth_base64url (parts.signature, &signature)) {
    *why = "no key of ours has signed the token";
    if (ek_buf_len (&signature) > 0 && is_signed (keys, header, parts.signed_part, ek_buf_str (&signature)))
      claims = read_json (parts.claims);
  }
  ek_buf_release (&signature);
  json_decref (header);
  return claims;
}
