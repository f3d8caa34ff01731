/* sasl_cram_md5.c - SASL mechanism CRAM-MD5 (RFC 2195) and the password scheme that serves it
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include "base/base.h"
#include "cram.h"
#include <errno.h>
#include <string.h>

typedef struct {
  bool   asked, answered;
  char   challenge[160];
  guint8 digest[CRAM_DIGEST_LEN];      /* the client's */
} Cram;

/* ---- the mechanism ---- */

static EkSaslStep
ask (EkSasl *sasl, Cram *state)
{
  guint8 noise[16];
  char digits[2 * sizeof noise + 1];
  EkBuf hex = { 0 };

  ek_random (noise, sizeof noise);     /* RFC 2195 section 2: never the same twice */
  ek_hex_encode ((EkStr) { (char *) noise, sizeof noise }, &hex);
  g_snprintf (digits, sizeof digits, "%.*s", EK_STR_ARG (ek_buf_str (&hex)));
  ek_buf_release (&hex);
  g_snprintf (state->challenge, sizeof state->challenge, "<%s.%" G_GINT64_FORMAT "@%.64s>", digits, g_get_real_time () / G_USEC_PER_SEC,
              g_get_host_name ());
  state->asked = true;
  ek_sasl_challenge (sasl, ek_str (state->challenge));
  return EK_SASL_MORE;
}

/* name SP digest: the name may have spaces, the digest has none. */
static EkSaslStep
take_answer (EkSasl *sasl, Cram *state, EkStr response)
{
  EkBuf digest = { 0 };
  gsize at = response.n;

  while (at > 0 && response.p[at - 1] != ' ')
    at--;
  if (at == 0)
    return EK_SASL_FAIL;
  bool good = ek_hex_decode ((EkStr) { response.p + at, response.n - at }, &digest) && ek_buf_len (&digest) == sizeof state->digest;
  if (good)
    memcpy (state->digest, ek_buf_at (&digest), sizeof state->digest);
  ek_buf_release (&digest);
  if (!good)
    return EK_SASL_FAIL;
  state->answered = true;
  ek_sasl_name (sasl, EK_STR (""), (EkStr) { response.p, at - 1 });
  return EK_SASL_LOOKUP;
}

/* What the account's secret makes, or for others something that no answer fits. */
static void
find_state (EkSasl *sasl, guint8 state[CRAM_STATE_LEN])
{
  EkStr kept = ek_sasl_stored (sasl, "CRAM-MD5"), plain = ek_sasl_stored (sasl, "PLAIN");
  EkBuf bytes = { 0 };

  ek_random (state, CRAM_STATE_LEN);
  ek_buf_room (&bytes, CRAM_STATE_LEN);
  if (kept.p && ek_hex_decode (kept, &bytes) && ek_buf_len (&bytes) == CRAM_STATE_LEN)
    memcpy (state, ek_buf_at (&bytes), CRAM_STATE_LEN);
  else if (plain.p)
    cram_state (plain, state);
  else if (ek_sasl_account (sasl))
    ek_log (EK_INFO, "auth", "a user's password is not kept in a form that CRAM-MD5 can use: {CRAM-MD5} or {PLAIN}");
  ek_buf_wipe (&bytes);
}

static EkSaslStep
step (EkSasl *sasl, gpointer data, EkStr response)
{
  Cram *state = data;
  guint8 saved[CRAM_STATE_LEN], digest[CRAM_DIGEST_LEN];

  if (!state->asked)                   /* the server speaks first: an initial response is out of place */
    return response.n > 0 ? EK_SASL_FAIL : ask (sasl, state);
  if (!state->answered)
    return take_answer (sasl, state, response);
  find_state (sasl, saved);
  cram_digest (saved, ek_str (state->challenge), digest);
  bool same = ek_str_same_secret ((EkStr) { (char *) digest, sizeof digest }, (EkStr) { (char *) state->digest, sizeof digest });
  ek_wipe (saved, sizeof saved);
  ek_wipe (digest, sizeof digest);
  return same ? EK_SASL_OK : EK_SASL_REFUSE;
}

/* ---- the scheme: hexadecimal of the two halves of the state, as Dovecot keeps it ---- */

static EkStatus
verify (const char *scheme, EkStr secret, EkStr stored, GError **error)
{
  guint8 state[CRAM_STATE_LEN];
  EkBuf bytes = { 0 };
  EkStatus status = EK_FAIL;

  ek_buf_room (&bytes, CRAM_STATE_LEN);
  if (!ek_hex_decode (stored, &bytes) || ek_buf_len (&bytes) != sizeof state)
    status = ek_fail (error, EK_DEFER, EINVAL, "the stored secret of scheme %s is not 64 hexadecimal digits", scheme);
  else {
    cram_state (secret, state);
    if (ek_str_same_secret ((EkStr) { (char *) state, sizeof state }, ek_buf_str (&bytes)))
      status = EK_OK;
    ek_wipe (state, sizeof state);
  }
  ek_buf_wipe (&bytes);
  return status;
}

static char *
make (const char *scheme, EkStr secret, guint cost, GError **error)
{
  guint8 state[CRAM_STATE_LEN];
  EkBuf hex = { 0 };

  if (cost != 0) {
    ek_fail (error, EK_FAIL, EINVAL, "scheme %s has no rounds to choose", scheme);
    return NULL;
  }
  ek_buf_room (&hex, 2 * sizeof state + 1);
  cram_state (secret, state);
  ek_hex_encode ((EkStr) { (char *) state, sizeof state }, &hex);
  ek_wipe (state, sizeof state);
  char *made = g_strndup (ek_buf_at (&hex), ek_buf_len (&hex));
  ek_buf_wipe (&hex);
  return made;
}

static const EkSchemeOps scheme = { .names = "CRAM-MD5|HMAC-MD5", .verify = verify, .make = make };
static const EkMechanismOps cram = { .name = "CRAM-MD5", .state_size = sizeof (Cram), .step = step };
static const EkMechanismOps *const mechanisms[] = { &cram, NULL };

EK_MODULE (sasl_cram_md5, .summary = "SASL mechanism CRAM-MD5, and the password scheme of that name", .mechanisms = mechanisms,
           .scheme = &scheme);
