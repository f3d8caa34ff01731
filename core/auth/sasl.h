/* sasl.h - one SASL exchange (RFC 4422), without I/O: responses in, challenges out
 * SPDX-License-Identifier: Apache-2.0
 *
 *   sasl = ek_sasl_new (ek_sasl_find (EK_STR ("PLAIN")));
 *   step = ek_sasl_step (sasl, initial);                initial.p NULL: the client sent none
 *   while (step == EK_SASL_MORE) {
 *     ... send ek_sasl_text (sasl), get the response ...
 *     step = ek_sasl_step (sasl, response);
 *   }
 *   EK_SASL_VERIFY: ek_sasl_facts() says who and with which secret; ask the passdbs (auth/auth.h)
 *   EK_SASL_FAIL:   ek_sasl_why(), for the log; the client is told that its response was malformed
 *
 * Everything a client sends is bounded: a response of EK_SASL_RESPONSE_MAX bytes, names of 255, a
 * password of EK_PASSWORD_MAX, eight rounds.  What was kept is wiped when the exchange is freed.
 * One thread at a time, any thread.
 */
#pragma once
#include "auth/scheme.h"

#define EK_SASL_LINE_MAX     12288   /* RFC 4954 section 4: of base64 */
#define EK_SASL_RESPONSE_MAX (EK_SASL_LINE_MAX / 4 * 3)
#define EK_SASL_NAME_MAX     255     /* RFC 4616 section 2: room for every name that an address has */

typedef struct {                     /* borrowed from the exchange; a NUL stands behind each */
  EkStr authcid;                     /* who logs in */
  EkStr secret;
} EkSaslFacts;

/* ---- mechanisms: those of the modules that are loaded ---- */

/* Adds a module's mechanisms (EkModule.mechanisms); known names stay.  For ever, any thread. */
void ek_sasl_register (const EkMechanismOps *const *mechanisms);
/* The name in any case; NULL: not known. */
const EkMechanismOps *ek_sasl_find (EkStr name);

/* ---- an exchange ---- */

EkSasl            *ek_sasl_new (const EkMechanismOps *mechanism);
void               ek_sasl_free (EkSasl *sasl);            /* NULL is fine */
/* A decoded response.  After VERIFY, OK or FAIL there is no further step: FAIL. */
EkSaslStep         ek_sasl_step (EkSasl *sasl, EkStr response);
EkStr              ek_sasl_text (const EkSasl *sasl);      /* the challenge after MORE, not encoded */
const EkSaslFacts *ek_sasl_facts (const EkSasl *sasl);     /* after VERIFY, else NULL */
const char        *ek_sasl_why (const EkSasl *sasl);       /* after FAIL, else NULL; a static text */
const EkMechanismOps *ek_sasl_mechanism (const EkSasl *sasl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkSasl, ek_sasl_free)

/* ---- the wire: what protocols do with a line (RFC 4954 section 4, RFC 3501, RFC 5804) ---- */

typedef enum { EK_SASL_LINE_OK, EK_SASL_LINE_ABORT, EK_SASL_LINE_BAD } EkSaslLine;

/* Appends what a line (without its CRLF) says to `out`, which should be wiped (ek_buf_wipe).  ABORT: it
 * was "*".  With `initial`, "=" is the empty response that "" cannot say there. */
EkSaslLine ek_sasl_line (EkStr line, bool initial, EkBuf *out);
