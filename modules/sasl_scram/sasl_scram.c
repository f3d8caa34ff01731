/* sasl_scram.c - SASL mechanisms SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, 7677), each with channel binding too, and their schemes
 * SPDX-License-Identifier: Apache-2.0
 *
 * client: n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL
 * server: r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096       (the account was looked up)
 * client: c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=
 * server: v=rmF9pqV8S7suAoZWja4dJRkFsKQ=
 * client: (nothing)
 */
#include <ekiden/ekiden.h>
#include "base/base.h"
#include "scram.h"
#include <errno.h>
#include <string.h>

#define HEADER_MAX 1040                /* "p=tls-server-end-point,a=" and a name, each of whose characters may be written as three */
#define NONCE_MAX  256
#define NONCE_OURS 24
#define FIRST_MAX  (HEADER_MAX + 1024)

typedef struct {
  enum { FIRST, LOOKED_UP, PROOF, LAST } next;
  bool      usable;                    /* keys are an account's: else made up, and no proof counts */
  ScramKeys keys;
  char      header[HEADER_MAX], bare[FIRST_MAX], nonce[NONCE_MAX + 2 * NONCE_OURS + 1];
  gsize     header_len, bare_len;
  EkStr     binding;                   /* of the client's connection: lives with the exchange */
  char      server_first[NONCE_MAX + 256];
} Scram;

/* ---- attributes ---- */

/* The value of attribute `name` in front, taken off with its comma; a NULL p when another thing stands there. */
static EkStr
attribute (EkStr *rest, char name)
{
  if (rest->n < 2 || rest->p[0] != name || rest->p[1] != '=')
    return (EkStr) { NULL, 0 };
  const char *comma = memchr (rest->p, ',', rest->n);
  EkStr value = { rest->p + 2, (comma ? (gsize) (comma - rest->p) : rest->n) - 2 };
  gsize gone = value.n + 2 + (comma ? 1 : 0);
  *rest = (EkStr) { rest->p + gone, rest->n - gone };
  return value;
}

/* saslname: =2C is a comma, =3D an equal sign, and nothing else begins with one. */
static bool
read_name (EkStr text, char name[static 256], gsize *n)
{
  *n = 0;
  for (gsize i = 0; i < text.n; i++) {
    char c = text.p[i];
    if (c == '=') {
      EkStr code = { text.p + i, MIN ((gsize) 3, text.n - i) };
      if (!ek_str_eq (code, EK_STR ("=2C")) && !ek_str_eq (code, EK_STR ("=3D")))
        return false;
      c = code.p[2] == 'C' ? ',' : '=';
      i += 2;
    }
    if (c == '\0' || *n == 255)
      return false;
    name[(*n)++] = c;
  }
  return *n > 0;
}

static bool
is_nonce (EkStr nonce)
{
  for (gsize i = 0; i < nonce.n; i++)
    if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7e || nonce.p[i] == ',')
      return false;
  return nonce.n > 0 && nonce.n <= NONCE_MAX;
}

/* ---- the client's first message ---- */

/* What the client says of channel binding, against what there is.  RFC 5802 section 6. */
static bool
read_binding (EkSasl *sasl, Scram *state, EkStr *rest, bool plus)
{
  const EkClient *client = ek_sasl_client (sasl);
  bool can_bind = client->tls_exporter.n > 0 || client->tls_endpoint.n > 0;

  if (rest->n >= 2 && rest->p[1] == ',' && (rest->p[0] == 'n' || rest->p[0] == 'y')) {
    /* y: he could bind, and was made to believe that we cannot */
    bool cut = rest->p[0] == 'y' && can_bind;
    *rest = (EkStr) { rest->p + 2, rest->n - 2 };
    return !plus && !cut;
  }
  EkStr kind = attribute (rest, 'p');
  if (ek_str_eq (kind, EK_STR ("tls-exporter")))
    state->binding = client->tls_exporter;
  else if (ek_str_eq (kind, EK_STR ("tls-server-end-point")))
    state->binding = client->tls_endpoint;
  return plus && state->binding.n > 0;
}

static EkSaslStep
read_first (EkSasl *sasl, Scram *state, EkStr response, bool plus)
{
  char authzid[256], authcid[256];
  gsize authzid_len = 0, authcid_len = 0;
  EkStr rest = response;

  if (!read_binding (sasl, state, &rest, plus))
    return EK_SASL_FAIL;
  EkStr other = attribute (&rest, 'a');
  if (other.p == NULL && rest.n > 0 && rest.p[0] == ',')
    rest = (EkStr) { rest.p + 1, rest.n - 1 };
  else if (other.p == NULL || !read_name (other, authzid, &authzid_len))
    return EK_SASL_FAIL;
  state->header_len = response.n - rest.n;
  state->bare_len = rest.n;
  if (state->header_len > sizeof state->header || state->bare_len > sizeof state->bare)
    return EK_SASL_FAIL;
  memcpy (state->header, response.p, state->header_len);
  memcpy (state->bare, rest.p, rest.n);
  EkStr name = attribute (&rest, 'n'), nonce = attribute (&rest, 'r');     /* m= in front of them: an extension that we lack */
  if (name.p == NULL || nonce.p == NULL || !read_name (name, authcid, &authcid_len) || !is_nonce (nonce))
    return EK_SASL_FAIL;
  memcpy (state->nonce, nonce.p, nonce.n);
  state->next = LOOKED_UP;
  ek_sasl_name (sasl, (EkStr) { authzid, authzid_len }, (EkStr) { authcid, authcid_len });
  return EK_SASL_LOOKUP;
}

/* ---- what is kept of him, or made up ---- */

/* A password that is kept as it is has no salt: one that belongs to the name stands in, so that it is the same each time. */
static void
make_salt (const EkSasl *sasl, const ScramHash *hash, guint iterations, ScramKeys *keys)
{
  *keys = (ScramKeys) { .iterations = iterations, .salt_len = 16 };
  ek_sasl_noise (sasl, hash->name, keys->salt, keys->salt_len);
}

static bool
find_keys (EkSasl *sasl, const ScramHash *hash, ScramKeys *keys)
{
  EkStr kept = ek_sasl_stored (sasl, hash->name), plain = ek_sasl_stored (sasl, "PLAIN");

  if (kept.p && scram_keys_parse (hash, kept, keys))
    return true;
  if (plain.p == NULL) {
    if (ek_sasl_account (sasl))
      ek_log (EK_INFO, "auth", "a user's password is not kept in a form that %s can use: {%s} or {PLAIN}", hash->name, hash->name);
    return false;
  }
  make_salt (sasl, hash, SCRAM_ITERATIONS, keys);
  return scram_keys_make (hash, plain, keys);
}

/* For a name that nobody has: what others there have, as far as a client sees it, and at what it costs. */
static void
invent_keys (EkSasl *sasl, const ScramHash *hash, ScramKeys *keys)
{
  EkStr like = ek_sasl_like (sasl, hash->name), plain = ek_sasl_like (sasl, "PLAIN");
  ScramKeys other = { 0 };
  bool parsed = like.p && scram_keys_parse (hash, like, &other);

  make_salt (sasl, hash, parsed ? other.iterations : SCRAM_ITERATIONS, keys);
  if (parsed)
    keys->salt_len = MIN (other.salt_len, sizeof keys->salt);
  ek_sasl_noise (sasl, hash->name, keys->salt, keys->salt_len);
  if (plain.p)
    (void) scram_keys_make (hash, EK_STR ("nobody's"), keys);
  ek_random (keys->stored, sizeof keys->stored);
  ek_random (keys->server, sizeof keys->server);
}

static EkSaslStep
say_first (EkSasl *sasl, Scram *state, const ScramHash *hash)
{
  guint8 noise[NONCE_OURS];
  EkBuf out = { 0 };

  state->usable = find_keys (sasl, hash, &state->keys);
  if (!state->usable)
    invent_keys (sasl, hash, &state->keys);
  ek_random (noise, sizeof noise);
  ek_buf_printf (&out, "r=%s", state->nonce);
  ek_base64_encode ((EkStr) { (char *) noise, sizeof noise }, &out);
  memcpy (state->nonce, ek_buf_at (&out) + 2, ek_buf_len (&out) - 2);      /* zeros are behind it */
  ek_buf_appends (&out, ",s=");
  ek_base64_encode ((EkStr) { (char *) state->keys.salt, state->keys.salt_len }, &out);
  ek_buf_printf (&out, ",i=%u", state->keys.iterations);
  g_snprintf (state->server_first, sizeof state->server_first, "%.*s", EK_STR_ARG (ek_buf_str (&out)));
  ek_buf_release (&out);
  state->next = PROOF;
  ek_sasl_challenge (sasl, ek_str (state->server_first));
  return EK_SASL_MORE;
}

/* ---- the proof ---- */

/* c= has to be the header that the client began with, and the channel that we see. */
static bool
is_bound (const Scram *state, EkStr text)
{
  EkBuf said = { 0 }, expected = { 0 };

  ek_buf_append (&expected, state->header, state->header_len);
  if (state->binding.n > 0)
    ek_buf_append (&expected, state->binding.p, state->binding.n);
  bool same = ek_base64_decode (text, &said) && ek_str_same_secret (ek_buf_str (&said), ek_buf_str (&expected));
  ek_buf_wipe (&said);
  ek_buf_wipe (&expected);
  return same;
}

/* Takes p=, the last attribute, off; false: there is none of the right length. */
static bool
take_proof (EkStr *message, const ScramHash *hash, guint8 proof[SCRAM_HASH_MAX])
{
  const char *at = message->n > 3 ? memrchr (message->p, ',', message->n) : NULL;
  EkBuf bytes = { 0 };

  if (at == NULL)
    return false;
  EkStr last = { at + 1, message->n - (gsize) (at - message->p) - 1 }, text = attribute (&last, 'p');
  bool ok = text.p && ek_base64_decode (text, &bytes) && ek_buf_len (&bytes) == hash->len;
  if (ok)
    memcpy (proof, ek_buf_at (&bytes), hash->len);
  ek_buf_release (&bytes);
  message->n = (gsize) (at - message->p);
  return ok;
}

/* RFC 5802 section 3: the proof is the client's key, hidden by a signature that who knows StoredKey can make. */
static bool
is_proved (const ScramHash *hash, const ScramKeys *keys, EkStr text, const guint8 *proof)
{
  guint8 key[SCRAM_HASH_MAX], digest[SCRAM_HASH_MAX];
  bool ok = scram_hmac (hash, keys->stored, text, key);

  for (gsize i = 0; ok && i < hash->len; i++)
    key[i] ^= proof[i];
  ok = ok && scram_digest (hash, (EkStr) { (char *) key, hash->len }, digest)
       && ek_str_same_secret ((EkStr) { (char *) digest, hash->len }, (EkStr) { (const char *) keys->stored, hash->len });
  ek_wipe (key, sizeof key);
  return ok;
}

static void
say_last (EkSasl *sasl, const ScramHash *hash, const ScramKeys *keys, EkStr text)
{
  guint8 signature[SCRAM_HASH_MAX];
  EkBuf out = { 0 };

  ek_buf_appends (&out, "v=");
  if (scram_hmac (hash, keys->server, text, signature))
    ek_base64_encode ((EkStr) { (char *) signature, hash->len }, &out);
  ek_sasl_challenge (sasl, ek_buf_str (&out));
  ek_buf_release (&out);
}

static EkSaslStep
read_proof (EkSasl *sasl, Scram *state, const ScramHash *hash, EkStr response)
{
  guint8 proof[SCRAM_HASH_MAX];
  EkBuf text = { 0 };
  EkStr message = response;

  if (!take_proof (&message, hash, proof))
    return EK_SASL_FAIL;
  EkStr rest = message, bound = attribute (&rest, 'c'), nonce = attribute (&rest, 'r');
  if (bound.p == NULL || !is_bound (state, bound) || !ek_str_eq (nonce, ek_str (state->nonce)))
    return EK_SASL_FAIL;
  ek_buf_append (&text, state->bare, state->bare_len);
  ek_buf_printf (&text, ",%s,", state->server_first);
  ek_buf_append (&text, message.p, message.n);
  bool proved = is_proved (hash, &state->keys, ek_buf_str (&text), proof) && state->usable;
  if (proved)
    say_last (sasl, hash, &state->keys, ek_buf_str (&text));
  ek_buf_release (&text);
  state->next = LAST;
  return proved ? EK_SASL_MORE : EK_SASL_REFUSE;
}

/* ---- the mechanisms ---- */

static EkSaslStep
step (EkSasl *sasl, Scram *state, EkStr response, const ScramHash *hash, bool plus)
{
  switch (state->next) {
  case FIRST:
    if (response.p)
      return read_first (sasl, state, response, plus);
    ek_sasl_challenge (sasl, EK_STR (""));
    return EK_SASL_MORE;
  case LOOKED_UP:
    return say_first (sasl, state, hash);
  case PROOF:
    return read_proof (sasl, state, hash, response);
  default:
    return response.n == 0 ? EK_SASL_OK : EK_SASL_FAIL;
  }
}

#define SCRAM(ident_, hash_, plus_, name_)                                                          \
  static EkSaslStep ident_##_step (EkSasl *sasl, gpointer state, EkStr response)                    \
  {                                                                                                 \
    return step (sasl, state, response, &hash_, plus_);                                             \
  }                                                                                                 \
  static const EkMechanismOps ident_ = { .name = name_, .state_size = sizeof (Scram), .step = ident_##_step }

SCRAM (sha1, scram_sha1, false, "SCRAM-SHA-1");
SCRAM (sha1_plus, scram_sha1, true, "SCRAM-SHA-1-PLUS");
SCRAM (sha256, scram_sha256, false, "SCRAM-SHA-256");
SCRAM (sha256_plus, scram_sha256, true, "SCRAM-SHA-256-PLUS");
static const EkMechanismOps *const mechanisms[] = { &sha256_plus, &sha256, &sha1_plus, &sha1, NULL };

/* ---- the schemes ---- */

static const ScramHash *
hash_of (const char *scheme)
{
  return strcmp (scheme, scram_sha1.name) == 0 ? &scram_sha1 : &scram_sha256;
}

static EkStatus
verify (const char *scheme, EkStr secret, EkStr stored, GError **error)
{
  const ScramHash *hash = hash_of (scheme);
  ScramKeys kept, keys;

  if (!scram_keys_parse (hash, stored, &kept))
    return ek_fail (error, EK_DEFER, EINVAL, "the stored secret of scheme %s is not \"iterations,salt,key,key\" in base64, with at most %d "
                    "iterations", scheme, SCRAM_ITERATIONS_MAX);
  keys = kept;
  bool made = scram_keys_make (hash, secret, &keys);
  bool same = made && ek_str_same_secret ((EkStr) { (char *) keys.stored, hash->len }, (EkStr) { (char *) kept.stored, hash->len });
  ek_wipe (&keys, sizeof keys);
  ek_wipe (&kept, sizeof kept);
  if (!made)
    return ek_fail (error, EK_DEFER, ENOTSUP, "OpenSSL offers no %s", hash->digest);
  return same ? EK_OK : EK_FAIL;
}

static char *
make (const char *scheme, EkStr secret, guint cost, GError **error)
{
  const ScramHash *hash = hash_of (scheme);
  ScramKeys keys = { .iterations = cost ? cost : SCRAM_ITERATIONS, .salt_len = 16 };
  EkBuf out = { 0 };

  if (keys.iterations < 4096 || keys.iterations > SCRAM_ITERATIONS_MAX) {
    ek_fail (error, EK_FAIL, ERANGE, "scheme %s takes rounds from 4096 to %d, not %u", scheme, SCRAM_ITERATIONS_MAX, cost);
    return NULL;
  }
  ek_random (keys.salt, keys.salt_len);
  if (!scram_keys_make (hash, secret, &keys)) {
    ek_fail (error, EK_DEFER, ENOTSUP, "OpenSSL offers no %s", hash->digest);
    return NULL;
  }
  ek_buf_room (&out, 256);
  scram_keys_print (hash, &keys, &out);
  ek_wipe (&keys, sizeof keys);
  char *made = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_wipe (&out);
  return made;
}

static const EkSchemeOps scheme = { .names = "SCRAM-SHA-1|SCRAM-SHA-256", .verify = verify, .make = make };

EK_MODULE (sasl_scram, .summary = "SASL mechanisms SCRAM-SHA-1 and SCRAM-SHA-256, with channel binding, and their password schemes",
           .mechanisms = mechanisms, .scheme = &scheme);
