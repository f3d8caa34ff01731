/* sasl.c - runs mechanisms: bounds, order, what is kept and wiped
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/sasl.h"
#include <stdatomic.h>
#include <string.h>
#include <unistr.h>

#define ROUNDS_MAX     8
#define MECHANISMS_MAX 32

struct EkSasl {
  const EkMechanismOps *mechanism;
  gpointer    state;
  guint       rounds;
  bool        over;
  bool        named;                 /* ek_sasl_login() was called and its words were good */
  const char *why;
  EkBuf       challenge;
  EkSaslFacts facts;
  char       *kept;                  /* holds the facts */
  gsize       kept_len;
};

static _Atomic (const EkMechanismOps *) known[MECHANISMS_MAX];

void
ek_sasl_register (const EkMechanismOps *const *mechanisms)
{
  for (; *mechanisms; mechanisms++)
    for (guint i = 0; ; i++) {
      const EkMechanismOps *there = NULL;
      if (i == MECHANISMS_MAX)
        g_error ("more than %d SASL mechanisms", MECHANISMS_MAX);
      if (atomic_compare_exchange_strong (&known[i], &there, *mechanisms)
          || strcmp (there->name, (*mechanisms)->name) == 0)
        break;
    }
}

const EkMechanismOps *
ek_sasl_find (EkStr name)
{
  for (guint i = 0; i < MECHANISMS_MAX && atomic_load (&known[i]); i++)
    if (ek_str_ieq (name, ek_str (atomic_load (&known[i])->name)))
      return atomic_load (&known[i]);
  return NULL;
}

EkSasl *
ek_sasl_new (const EkMechanismOps *mechanism)
{
  EkSasl *sasl = g_new0 (EkSasl, 1);

  sasl->mechanism = mechanism;
  sasl->state = g_malloc0 (MAX (mechanism->state_size, 1));
  return sasl;
}

static void
forget (EkSasl *sasl)
{
  ek_wipe (sasl->kept, sasl->kept_len);
  g_clear_pointer (&sasl->kept, g_free);
  sasl->facts = (EkSaslFacts) { 0 };
  sasl->named = false;
}

void
ek_sasl_free (EkSasl *sasl)
{
  if (sasl == NULL)
    return;
  forget (sasl);
  ek_buf_wipe (&sasl->challenge);
  ek_wipe (sasl->state, sasl->mechanism->state_size);
  g_free (sasl->state);
  g_free (sasl);
}

static EkSaslStep
fail (EkSasl *sasl, const char *why)
{
  forget (sasl);
  sasl->over = true;
  if (sasl->why == NULL)
    sasl->why = why;
  return EK_SASL_FAIL;
}

EkSaslStep
ek_sasl_step (EkSasl *sasl, EkStr response)
{
  if (sasl->over)
    return fail (sasl, "the exchange is over");
  if (response.n > EK_SASL_RESPONSE_MAX)
    return fail (sasl, "the response is too long");
  if (++sasl->rounds > ROUNDS_MAX)
    return fail (sasl, "too many rounds");
  ek_buf_clear (&sasl->challenge);
  EkSaslStep step = sasl->mechanism->step (sasl, sasl->state, response);
  if (step == EK_SASL_FAIL || sasl->why)
    return fail (sasl, "the response is malformed");
  if (step == EK_SASL_VERIFY && !sasl->named)
    return fail (sasl, "the mechanism named nobody");
  sasl->over = step != EK_SASL_MORE;
  return step;
}

void
ek_sasl_challenge (EkSasl *sasl, EkStr bytes)
{
  ek_buf_clear (&sasl->challenge);
  ek_buf_append (&sasl->challenge, bytes.p, bytes.n);
}

static bool
is_name (EkStr name)
{
  return name.n > 0 && name.n <= EK_SASL_NAME_MAX && !memchr (name.p, '\0', name.n)
         && u8_check ((const uint8_t *) name.p, name.n) == NULL;
}

void
ek_sasl_login (EkSasl *sasl, EkStr authzid, EkStr authcid, EkStr secret)
{
  forget (sasl);
  if (!is_name (authcid))
    sasl->why = "the name is empty, longer than 255 bytes or not UTF-8";
  else if (authzid.n > 0 && !ek_str_ieq (authzid, authcid))
    sasl->why = "nobody may act as another here (authorization identity)";
  else if (secret.n == 0 || secret.n > EK_PASSWORD_MAX || memchr (secret.p, '\0', secret.n))
    sasl->why = "the password is empty, too long or has a NUL";
  if (sasl->why)
    return;
  sasl->kept_len = authcid.n + secret.n + 2;
  sasl->kept = g_malloc0 (sasl->kept_len);
  memcpy (sasl->kept, authcid.p, authcid.n);
  memcpy (sasl->kept + authcid.n + 1, secret.p, secret.n);
  sasl->facts = (EkSaslFacts) {
    .authcid = { sasl->kept, authcid.n }, .secret = { sasl->kept + authcid.n + 1, secret.n },
  };
  sasl->named = true;
}

EkStr
ek_sasl_text (const EkSasl *sasl)
{
  return ek_buf_str (&sasl->challenge);
}

const EkSaslFacts *
ek_sasl_facts (const EkSasl *sasl)
{
  return sasl->named && sasl->over ? &sasl->facts : NULL;
}

const char *
ek_sasl_why (const EkSasl *sasl)
{
  return sasl->why;
}

const EkMechanismOps *
ek_sasl_mechanism (const EkSasl *sasl)
{
  return sasl->mechanism;
}

EkSaslLine
ek_sasl_line (EkStr line, bool initial, EkBuf *out)
{
  if (ek_str_eq (line, EK_STR ("*")))
    return EK_SASL_LINE_ABORT;
  if (line.n > EK_SASL_LINE_MAX)
    return EK_SASL_LINE_BAD;
  if (initial && ek_str_eq (line, EK_STR ("=")))
    return EK_SASL_LINE_OK;
  return ek_base64_decode (line, out) ? EK_SASL_LINE_OK : EK_SASL_LINE_BAD;
}
