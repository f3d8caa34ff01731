/* fuzz-sasl.c - SASL exchanges from a client's lines: base64, the runner, the mechanisms
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/auth/sasl.c core/base/base64.c modules/sasl_plain/sasl_plain.c modules/sasl_oauth/mechanism.c */
/* options: -max_len=16384 */
#include "fuzz.h"
#include "auth/sasl.h"
#include "base/base.h"
#include <string.h>

extern const EkModule ek_module_sasl_plain, ek_module_sasl_cram_md5, ek_module_sasl_external;
#ifdef WITH_SASL_SCRAM
extern const EkModule ek_module_sasl_scram;
#endif
#ifdef WITH_SASL_OAUTH
extern const EkModule ek_module_sasl_oauth;
#endif

#define KEPT "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void
register_all (void)
{
  ek_sasl_register (ek_module_sasl_plain.mechanisms);
  ek_sasl_register (ek_module_sasl_cram_md5.mechanisms);
  ek_sasl_register (ek_module_sasl_external.mechanisms);
#ifdef WITH_SASL_SCRAM
  ek_sasl_register (ek_module_sasl_scram.mechanisms);
#endif
#ifdef WITH_SASL_OAUTH
  ek_sasl_register (ek_module_sasl_oauth.mechanisms);
#endif
}

/* Every other name is known. */
static EkSaslStep
look_up (EkSasl *sasl)
{
  const EkSaslFacts *facts = ek_sasl_facts (sasl);
  EkAccount account = { .stored = EK_STR (KEPT) };

  g_assert (facts && facts->authcid.n > 0 && facts->authcid.n <= EK_SASL_NAME_MAX && facts->secret.n == 0
            && strlen (facts->authcid.p) == facts->authcid.n);
  bool known = facts->authcid.n % 2 == 0;
  EkSaslStep step = ek_sasl_answer (sasl, known ? &account : NULL, EK_STR (KEPT), facts->authcid.p);
  g_assert (step != EK_SASL_LOOKUP && step != EK_SASL_VERIFY && (known || step != EK_SASL_OK));
  return step;
}

/* What was understood is written again as it was, and as hexadecimal digits comes back. */
static void
check_codecs (EkStr line, EkStr decoded)
{
  EkBuf out = { 0 }, back = { 0 };

  if (!ek_str_eq (line, EK_STR ("="))) {             /* an empty initial response (RFC 4954) */
    ek_base64_encode (decoded, &out);
    g_assert (ek_str_eq (ek_buf_str (&out), line));
  }
  ek_buf_clear (&out);
  ek_hex_encode (decoded, &out);
  g_assert (ek_hex_decode (ek_buf_str (&out), &back) && ek_str_eq (ek_buf_str (&back), decoded));
  ek_buf_clear (&back);
  (void) ek_hex_decode (line, &back);
  ek_buf_wipe (&out);
  ek_buf_wipe (&back);
}

/* The first line is "MECHANISM[ initial]", each other one a response. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  EkStr rest = { (const char *) data, size };
  EkBuf response = { 0 };
  g_autoptr (EkSasl) sasl = NULL;
  EkSaslStep step = EK_SASL_MORE;
  EkClient client = { .address = "192.0.2.1", .tls = true, .tls_exporter = EK_STR ("0123456789abcdef0123456789abcdef"), .tls_peer = "tim@example.com" };

  register_all ();
  for (bool first = true; step == EK_SASL_MORE && rest.n > 0; first = false) {
    const char *eol = memchr (rest.p, '\n', rest.n);
    EkStr line = { rest.p, eol ? (gsize) (eol - rest.p) : rest.n };
    rest = (EkStr) { line.p + line.n + (eol ? 1 : 0), rest.n - line.n - (eol ? 1 : 0) };
    bool has_response = !first;
    if (first) {
      const char *space = memchr (line.p, ' ', line.n);
      const EkMechanismOps *ops = ek_sasl_find ((EkStr) { line.p, space ? (gsize) (space - line.p) : line.n });
      if (ops == NULL)
        break;
      sasl = ek_sasl_new (ops, &client);
      has_response = space != NULL;
      if (space)
        line = (EkStr) { space + 1, line.n - (gsize) (space - line.p) - 1 };
    }
    ek_buf_clear (&response);
    if (has_response && ek_sasl_line (line, first, &response) != EK_SASL_LINE_OK)
      break;
    EkStr decoded = has_response ? (EkStr) { ek_buf_len (&response) ? ek_buf_at (&response) : "", ek_buf_len (&response) }
                                 : (EkStr) { NULL, 0 };
    if (has_response)
      check_codecs (line, decoded);
    step = ek_sasl_step (sasl, decoded);
    if (step == EK_SASL_LOOKUP)
      step = look_up (sasl);
    g_assert (ek_sasl_mechanism (sasl) != NULL && ek_sasl_text (sasl).n <= EK_SASL_RESPONSE_MAX);
    g_assert (step != EK_SASL_VERIFY || ek_sasl_facts (sasl) != NULL);
    g_assert ((step == EK_SASL_FAIL) == (ek_sasl_why (sasl) != NULL));
  }
  if (step == EK_SASL_VERIFY) {
    const EkSaslFacts *facts = ek_sasl_facts (sasl);
    g_assert (facts->authcid.n > 0 && facts->authcid.n <= EK_SASL_NAME_MAX && facts->secret.n > 0
              && strlen (facts->authcid.p) == facts->authcid.n && strlen (facts->secret.p) == facts->secret.n);
  }
  ek_buf_wipe (&response);
  return 0;
}
