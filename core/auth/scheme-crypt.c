/* scheme-crypt.c - the schemes of crypt(3)
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/scheme-builtin.h"
#include <crypt.h>
#include <errno.h>
#include <string.h>

/* Two characters of salt and eleven of hash: all that DES has. */
static bool
looks_like_des (EkStr stored)
{
  for (gsize i = 0; i < stored.n; i++)
    if (!g_ascii_isalnum (stored.p[i]) && stored.p[i] != '.' && stored.p[i] != '/')
      return false;
  return stored.n == 13;
}

/* Whether `stored` begins as a hash of the scheme does. */
static bool
looks_right (const Scheme *scheme, EkStr stored)
{
  if (scheme->detail == NULL)
    return stored.n > 0;
  if (scheme->detail[0] == '\0')
    return looks_like_des (stored);
  g_auto (GStrv) prefixes = g_strsplit (scheme->detail, "|", -1);
  for (guint i = 0; prefixes[i]; i++)
    if (ek_str_starts (stored, ek_str (prefixes[i])))
      return true;
  return false;
}

/* crypt(3) with its 32 KB of scratch on the heap, wiped.  NULL and errno. */
static char *
run_crypt (EkStr secret, const char *setting)
{
  EkBuf own = { 0 };

  if (ek_scheme_sha_crypt (secret, ek_str (setting), &own)) {
    char *made = g_strndup (ek_buf_at (&own), ek_buf_len (&own));
    ek_buf_wipe (&own);
    return made;
  }
  struct crypt_data *data = g_new0 (struct crypt_data, 1);
  g_autofree char *phrase = g_strndup (secret.p, secret.n);
  errno = 0;
  char *hash = g_strdup (crypt_rn (phrase, setting, data, sizeof *data));
  int err = errno;

  ek_wipe (phrase, secret.n);
  ek_wipe (data, sizeof *data);
  g_free (data);
  errno = err;
  return hash;
}

EkStatus
ek_scheme_crypt_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error)
{
  if (stored.n == 0 || stored.p[0] == '!' || stored.p[0] == '*')
    return EK_FAIL;                    /* locked, as in shadow(5) */
  if (!looks_right (scheme, stored) || memchr (stored.p, '\0', stored.n))
    return ek_fail (error, EK_DEFER, EINVAL, "the stored secret is not a hash of scheme %s", scheme->name);
  bool cut = memchr (secret.p ? secret.p : "", '\0', secret.n) != NULL || secret.n >= CRYPT_MAX_PASSPHRASE_SIZE;
  g_autofree char *setting = g_strndup (stored.p, stored.n);
  /* One that crypt() would cut still costs a hash, so that nothing shows. */
  g_autofree char *hash = run_crypt (cut ? EK_STR ("") : secret, setting);
  if (hash == NULL)
    return ek_fail (error, EK_DEFER, errno, "scheme %s: crypt(3) does not know such a hash: %s",
                    scheme->name, g_strerror (errno));
  bool same = ek_str_same_secret (ek_str (hash), stored);
  ek_wipe (hash, strlen (hash));
  return same && !cut ? EK_OK : EK_FAIL;
}

static bool
secret_fits (const Scheme *scheme, EkStr secret, GError **error)
{
  gsize max = scheme->secret_max ? scheme->secret_max : CRYPT_MAX_PASSPHRASE_SIZE - 1;

  if (memchr (secret.p, '\0', secret.n)) {
    ek_fail (error, EK_FAIL, EINVAL, "scheme %s cannot hold a password with a NUL in it", scheme->name);
    return false;
  }
  if (secret.n > max) {
    ek_fail (error, EK_FAIL, EINVAL, "scheme %s reads only the first %" G_GSIZE_FORMAT " bytes of a password: "
             "take a shorter one or another scheme", scheme->name, max);
    return false;
  }
  return true;
}

bool
ek_scheme_crypt_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error)
{
  char salt[64], setting[CRYPT_GENSALT_OUTPUT_SIZE];
  g_autofree char *prefix = NULL;

  if (!secret_fits (scheme, secret, error))
    return false;
  if (cost != 0 && (cost < scheme->cost_min || cost > scheme->cost_max)) {
    if (scheme->cost_max == 0)
      ek_fail (error, EK_FAIL, EINVAL, "scheme %s has no rounds to choose", scheme->name);
    else
      ek_fail (error, EK_FAIL, ERANGE, "scheme %s takes rounds from %u to %u, not %u", scheme->name,
               scheme->cost_min, scheme->cost_max, cost);
    return false;
  }
  if (scheme->detail)                  /* NULL: what libcrypt likes best */
    prefix = g_strndup (scheme->detail, strcspn (scheme->detail, "|"));
  ek_random (salt, sizeof salt);
  g_autofree char *hash = NULL;
  if (crypt_gensalt_rn (prefix, cost ? cost : scheme->cost, salt, sizeof salt, setting, sizeof setting))
    hash = run_crypt (secret, setting);
  if (hash == NULL) {
    ek_fail (error, EK_DEFER, errno, "scheme %s: crypt(3): %s", scheme->name, g_strerror (errno));
    return false;
  }
  ek_buf_appends (out, hash);
  ek_wipe (hash, strlen (hash));
  return true;
}
