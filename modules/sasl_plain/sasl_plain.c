/* sasl_plain.c - SASL mechanisms PLAIN (RFC 4616) and LOGIN (an old draft that clients still speak)
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include <string.h>

/* ---- PLAIN: [authzid] NUL authcid NUL passwd ---- */

static EkSaslStep
plain_step (EkSasl *sasl, gpointer state, EkStr response)
{
  if (response.p == NULL) {            /* no initial response: an empty challenge asks for it */
    ek_sasl_challenge (sasl, EK_STR (""));
    return EK_SASL_MORE;
  }
  const char *first = response.n > 0 ? memchr (response.p, '\0', response.n) : NULL;
  if (first == NULL)
    return EK_SASL_FAIL;
  EkStr authzid = { response.p, (gsize) (first - response.p) };
  EkStr rest = { first + 1, response.n - authzid.n - 1 };
  const char *second = rest.n > 0 ? memchr (rest.p, '\0', rest.n) : NULL;
  if (second == NULL)
    return EK_SASL_FAIL;
  EkStr authcid = { rest.p, (gsize) (second - rest.p) };
  ek_sasl_login (sasl, authzid, authcid, (EkStr) { second + 1, rest.n - authcid.n - 1 });
  return EK_SASL_VERIFY;
}

/* ---- LOGIN: a name, a password, asked for one after the other ---- */

typedef struct {
  bool  asked_name, have_name;
  char  name[256];
  gsize name_len;
} Login;

static EkSaslStep
login_step (EkSasl *sasl, gpointer data, EkStr response)
{
  Login *state = data;

  if (state->have_name) {
    ek_sasl_login (sasl, EK_STR (""), (EkStr) { state->name, state->name_len }, response);
    return EK_SASL_VERIFY;
  }
  if (response.p == NULL && !state->asked_name) {
    state->asked_name = true;
    ek_sasl_challenge (sasl, EK_STR ("Username:"));
    return EK_SASL_MORE;
  }
  if (response.n == 0 || response.n >= sizeof state->name)
    return EK_SASL_FAIL;
  memcpy (state->name, response.p, response.n);
  state->name_len = response.n;
  state->have_name = true;
  ek_sasl_challenge (sasl, EK_STR ("Password:"));
  return EK_SASL_MORE;
}

static const EkMechanismOps plain = { .name = "PLAIN", .plaintext = true, .step = plain_step };
static const EkMechanismOps login = {
  .name = "LOGIN", .plaintext = true, .state_size = sizeof (Login), .step = login_step,
};
static const EkMechanismOps *const mechanisms[] = { &plain, &login, NULL };

EK_MODULE (sasl_plain, .summary = "SASL mechanisms PLAIN and LOGIN", .mechanisms = mechanisms);
