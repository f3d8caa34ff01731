/* scheme.c - the registry of password schemes, and stored secrets taken apart
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme-builtin.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define CRYPT_SCHEME(name_, prefixes_, ...) \
  { .name = name_, .verify = ek_scheme_crypt_verify, .make = ek_scheme_crypt_make, .detail = prefixes_, __VA_ARGS__ }
#define DIGEST_SCHEME(name_, digest_, len_, ...)                                   \
  { .name = name_, .verify = ek_scheme_digest_verify, .make = ek_scheme_digest_make, \
    .detail = digest_, .digest_len = len_, __VA_ARGS__ }
#define PLAIN_SCHEME(name_) { .name = name_, .verify = ek_scheme_plain_verify, .make = ek_scheme_plain_make }

static const Scheme builtin[] = {
  PLAIN_SCHEME ("PLAIN"), PLAIN_SCHEME ("CLEARTEXT"), PLAIN_SCHEME ("CLEAR"),
  CRYPT_SCHEME ("SHA512-CRYPT", "$6$", .cost_min = 1000, .cost_max = 999999999),
  CRYPT_SCHEME ("SHA256-CRYPT", "$5$", .cost_min = 1000, .cost_max = 999999999),
  CRYPT_SCHEME ("BLF-CRYPT", "$2y$|$2a$|$2b$|$2x$", .cost_min = 4, .cost_max = 31, .cost = 10, .secret_max = 72),
  CRYPT_SCHEME ("MD5-CRYPT", "$1$"),
  CRYPT_SCHEME ("DES-CRYPT", "", .secret_max = 8),
  CRYPT_SCHEME ("CRYPT", NULL, .cost_min = 1, .cost_max = 11),
  { .name = "PBKDF2", .verify = ek_scheme_pbkdf2_verify, .make = ek_scheme_pbkdf2_make, .cost_min = 1000, .cost_max = 10000000,
    .cost = 200000 },
  DIGEST_SCHEME ("SHA", "SHA1", 20), DIGEST_SCHEME ("SHA1", "SHA1", 20),
  DIGEST_SCHEME ("SHA256", "SHA256", 32), DIGEST_SCHEME ("SHA512", "SHA512", 64),
  DIGEST_SCHEME ("SSHA", "SHA1", 20, .salted = true),
  DIGEST_SCHEME ("SSHA256", "SHA256", 32, .salted = true),
  DIGEST_SCHEME ("SSHA512", "SHA512", 64, .salted = true),
  DIGEST_SCHEME ("SMD5", "MD5", 16, .salted = true),
  DIGEST_SCHEME ("PLAIN-MD5", "MD5", 16, .hex = true),
  DIGEST_SCHEME ("LDAP-MD5", "MD5", 16),
};

#define N_MODULES 32                 /* modules with schemes: there is one today */
static _Atomic (const EkSchemeOps *) added[N_MODULES];
static atomic_uint_fast64_t dummies;

void
ek_scheme_register (const EkSchemeOps *ops)
{
  for (guint i = 0; i < N_MODULES; i++) {
    const EkSchemeOps *there = NULL;
    if (atomic_compare_exchange_strong (&added[i], &there, ops) || there == ops)
      return;
  }
  g_error ("more than %d modules offer password schemes", N_MODULES);
}

static const Scheme *
find_builtin (EkStr name)
{
  for (guint i = 0; i < G_N_ELEMENTS (builtin); i++)
    if (ek_str_ieq (ek_str (builtin[i].name), name))
      return &builtin[i];
  return NULL;
}

/* The ops that offer `name`, and their spelling of it in a copy. */
static const EkSchemeOps *
find_added (EkStr name, char **spelt)
{
  for (guint i = 0; i < N_MODULES; i++) {
    const EkSchemeOps *ops = atomic_load (&added[i]);
    if (ops == NULL)
      break;
    g_auto (GStrv) names = g_strsplit (ops->names, "|", -1);
    for (guint k = 0; names[k]; k++)
      if (ek_str_ieq (ek_str (names[k]), name)) {
        *spelt = g_strdup (names[k]);
        return ops;
      }
  }
  return NULL;
}

typedef enum { AS_IS, B64, HEX } Encoding;

/* Takes .b64, .base64 or .hex off a scheme's name. */
static EkStr
split_encoding (EkStr name, Encoding *encoding)
{
  static const struct { EkStr suffix; Encoding encoding; } known[] = {
    { { ".b64", 4 }, B64 }, { { ".base64", 7 }, B64 }, { { ".hex", 4 }, HEX },
  };

  *encoding = AS_IS;
  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    gsize n = known[i].suffix.n;
    if (name.n > n && ek_str_ieq ((EkStr) { name.p + name.n - n, n }, known[i].suffix)) {
      *encoding = known[i].encoding;
      return (EkStr) { name.p, name.n - n };
    }
  }
  return name;
}

EkStr
ek_scheme_split (EkStr stored, EkStr *scheme)
{
  const char *close = stored.n > 0 && stored.p[0] == '{' ? memchr (stored.p, '}', stored.n) : NULL;

  if (close == NULL || close == stored.p + 1) {
    *scheme = EK_STR ("");
    return stored;
  }
  *scheme = (EkStr) { stored.p + 1, (gsize) (close - stored.p) - 1 };
  return (EkStr) { close + 1, stored.n - scheme->n - 2 };
}

/* MD5 is what its hash looks like: Dovecot's old name for two things. */
static EkStr
resolve_md5 (EkStr name, EkStr stored)
{
  if (!ek_str_ieq (name, EK_STR ("MD5")))
    return name;
  return ek_str_starts (stored, EK_STR ("$1$")) ? EK_STR ("MD5-CRYPT") : EK_STR ("PLAIN-MD5");
}

bool
ek_scheme_known (EkStr name)
{
  Encoding encoding;
  g_autofree char *spelt = NULL;

  name = resolve_md5 (split_encoding (name, &encoding), EK_STR (""));
  return find_builtin (name) || find_added (name, &spelt);
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char **
ek_scheme_names (void)
{
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < G_N_ELEMENTS (builtin); i++)
    g_ptr_array_add (names, g_strdup (builtin[i].name));
  g_ptr_array_add (names, g_strdup ("MD5"));
  for (guint i = 0; i < N_MODULES && atomic_load (&added[i]); i++) {
    char **more = g_strsplit (atomic_load (&added[i])->names, "|", -1);
    for (guint k = 0; more[k]; k++)
      g_ptr_array_add (names, more[k]);
    g_free (more);                     /* the words moved into the array */
  }
  g_ptr_array_sort (names, by_name);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

static EkStatus
verify_decoded (EkStr name, EkStr secret, EkStr stored, bool raw, GError **error)
{
  name = resolve_md5 (name, stored);
  const Scheme *scheme = find_builtin (name);
  if (scheme)
    return scheme->verify (scheme, secret, stored, raw, error);
  g_autofree char *spelt = NULL;
  const EkSchemeOps *ops = find_added (name, &spelt);
  if (ops)
    return ops->verify (spelt, secret, stored, error);
  return ek_fail (error, EK_DEFER, ENOTSUP, "password scheme %.*s is neither built in nor offered by a "
                  "module that the configuration names", EK_STR_ARG (name));
}

EkStatus
ek_password_verify (EkStr secret, EkStr stored, const char *dflt, GError **error)
{
  EkStr name, rest = ek_scheme_split (stored, &name);
  Encoding encoding;

  if (secret.n > EK_PASSWORD_MAX || rest.n == 0)
    return EK_FAIL;                    /* `user::...` has no password: nothing matches it */
  if (secret.p == NULL)
    secret = EK_STR ("");
  if (name.n == 0)
    name = ek_str (dflt);
  name = split_encoding (name, &encoding);
  if (encoding == AS_IS)
    return verify_decoded (name, secret, rest, false, error);
  EkBuf bytes = { 0 };
  EkStatus status;
  if (encoding == B64 ? ek_base64_decode (rest, &bytes) : ek_hex_decode (rest, &bytes))
    status = verify_decoded (name, secret, ek_buf_str (&bytes), true, error);
  else
    status = ek_fail (error, EK_DEFER, EINVAL, "the stored secret of scheme %.*s is not %s", EK_STR_ARG (name),
                      encoding == B64 ? "base64" : "hexadecimal");
  ek_buf_wipe (&bytes);
  return status;
}

bool
ek_password_is_slow (EkStr stored, const char *dflt)
{
  EkStr name, rest = ek_scheme_split (stored, &name);
  Encoding encoding;

  name = resolve_md5 (split_encoding (name.n > 0 ? name : ek_str (dflt), &encoding), rest);
  const Scheme *scheme = find_builtin (name);
  return rest.n > 0 && !(scheme && (scheme->verify == ek_scheme_plain_verify || scheme->verify == ek_scheme_digest_verify));
}

static bool
decode (EkStr text, Encoding encoding, EkBuf *out)
{
  if (encoding == B64)
    return ek_base64_decode (text, out);
  if (encoding == HEX)
    return ek_hex_decode (text, out);
  ek_buf_append (out, text.p, text.n);
  return true;
}

bool
ek_scheme_decode (EkStr stored, const char *dflt, EkStr *name, EkBuf *out)
{
  EkStr rest = ek_scheme_split (stored, name);
  Encoding encoding;

  *name = split_encoding (name->n > 0 ? *name : ek_str (dflt), &encoding);
  return decode (rest, encoding, out);
}

bool
ek_password_open (EkStr stored, const char *scheme, EkBuf *out)
{
  EkStr name, rest = ek_scheme_split (stored, &name);
  Encoding encoding;

  name = split_encoding (name.n > 0 ? name : EK_STR ("PLAIN"), &encoding);
  if (ek_str_ieq (name, EK_STR ("CLEARTEXT")) || ek_str_ieq (name, EK_STR ("CLEAR")))
    name = EK_STR ("PLAIN");
  else if (ek_str_ieq (name, EK_STR ("HMAC-MD5")))         /* Dovecot's other word for it */
    name = EK_STR ("CRAM-MD5");
  return rest.n > 0 && ek_str_ieq (name, ek_str (scheme)) && decode (rest, encoding, out);
}

/* The hash alone, in `out`. */
static bool
make_hash (EkStr name, EkStr secret, guint cost, EkBuf *out, GError **error)
{
  name = resolve_md5 (name, EK_STR ("$1$"));
  const Scheme *scheme = find_builtin (name);
  if (scheme)
    return scheme->make (scheme, secret, cost, out, error);
  g_autofree char *spelt = NULL;
  const EkSchemeOps *ops = find_added (name, &spelt);
  if (ops == NULL) {
    ek_fail (error, EK_FAIL, ENOTSUP, "password scheme %.*s is not known", EK_STR_ARG (name));
    return false;
  }
  g_autofree char *hash = ops->make (spelt, secret, cost, error);
  if (hash)
    ek_buf_appends (out, hash);
  return hash != NULL;
}

/* What stands behind {SCHEME.b64}: digests as bytes, everything else as its text. */
static bool
encode (EkStr name, EkStr hash, Encoding encoding, EkBuf *out)
{
  const Scheme *scheme = find_builtin (name);
  EkBuf bytes = { 0 };
  bool ok = true;

  if (encoding == AS_IS) {
    ek_buf_append (out, hash.p, hash.n);
    return true;
  }
  if (scheme && scheme->verify == ek_scheme_digest_verify) {
    ok = scheme->hex ? ek_hex_decode (hash, &bytes) : ek_base64_decode (hash, &bytes);
    hash = ek_buf_str (&bytes);
  }
  if (ok && encoding == B64)
    ek_base64_encode (hash, out);
  else if (ok)
    ek_hex_encode (hash, out);
  ek_buf_wipe (&bytes);
  return ok;
}

char *
ek_password_make (const char *scheme, EkStr secret, guint cost, GError **error)
{
  Encoding encoding;
  EkStr name = split_encoding (ek_str (scheme), &encoding);
  EkBuf hash = { 0 }, out = { 0 };

  if (secret.p == NULL)
    secret = EK_STR ("");
  if (secret.n > EK_PASSWORD_MAX) {
    ek_fail (error, EK_FAIL, EINVAL, "a password has at most %d bytes", EK_PASSWORD_MAX);
    return NULL;
  }
  ek_buf_room (&hash, 2 * EK_PASSWORD_MAX);
  ek_buf_room (&out, 4 * EK_PASSWORD_MAX);
  if (!make_hash (name, secret, cost, &hash, error)) {
    ek_buf_wipe (&hash);
    ek_buf_wipe (&out);
    return NULL;
  }
  g_autofree char *upper = g_ascii_strup (scheme, (gssize) name.n);
  ek_buf_printf (&out, "{%s%s}", upper, encoding == B64 ? ".b64" : encoding == HEX ? ".hex" : "");
  char *stored = NULL;
  if (encode (name, ek_buf_str (&hash), encoding, &out))
    stored = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_wipe (&hash);
  ek_buf_wipe (&out);
  return stored;
}

/* A hash of the default scheme that no password fits, made once. */
static EkStr stand_in;

static void
make_stand_in (void)
{
  char noise[33];
  EkBuf hex = { 0 };

  ek_random (noise, 16);
  ek_hex_encode ((EkStr) { noise, 16 }, &hex);
  char *made = ek_password_make (EK_SCHEME_DEFAULT, ek_buf_str (&hex), 0, NULL);
  stand_in = ek_str (made);
  ek_buf_wipe (&hex);
}

void
ek_password_dummy (EkStr secret, EkStr like, const char *dflt)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  g_autoptr (GError) ignored = NULL;

  if (like.n == 0) {
    pthread_once (&once, make_stand_in);
    like = stand_in;
  }
  (void) ek_password_verify (secret, like, dflt, &ignored);
  atomic_fetch_add (&dummies, 1);
}

guint64
ek_password_n_dummies (void)
{
  return atomic_load (&dummies);
}
