/* sasl_external.c - SASL mechanism EXTERNAL (RFC 4422 appendix A): who the client is, TLS knows
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>

typedef struct {
  bool asked, named;
} External;

static EkSaslStep
step (EkSasl *sasl, gpointer data, EkStr response)
{
  External *state = data;
  const char *name = ek_sasl_client (sasl)->tls_peer;

  if (name == NULL)
    return EK_SASL_FAIL;
  if (state->named)                    /* the certificate proves it: he only has to be somebody here */
    return ek_sasl_account (sasl) ? EK_SASL_OK : EK_SASL_REFUSE;
  if (response.p == NULL && !state->asked) {
    state->asked = true;
    ek_sasl_challenge (sasl, EK_STR (""));
    return EK_SASL_MORE;
  }
  state->named = true;
  ek_sasl_name (sasl, response, ek_str (name));
  return EK_SASL_LOOKUP;
}

static const EkMechanismOps external = {
  .name = "EXTERNAL", .certificate = true, .state_size = sizeof (External), .step = step,
};
static const EkMechanismOps *const mechanisms[] = { &external, NULL };

EK_MODULE (sasl_external, .summary = "SASL mechanism EXTERNAL, by a client's certificate", .mechanisms = mechanisms);
