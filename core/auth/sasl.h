/* sasl.h - one SASL exchange (RFC 4422), without I/O: responses in, challenges out
 * SPDX-License-Identifier: Apache-2.0
 *
 *   sasl = ek_sasl_new (ek_sasl_find (EK_STR ("PLAIN")));
 *   step = ek_sasl_step (sasl, initial);                initial.p NULL: the client sent none
 *   while (step == EK_SASL_MORE) {
 *     ... send ek_sasl_text (sasl), get the response ...
 *     step = ek_sasl_step (sasl, response);
 *   }
 *   EK_SASL_LOOKUP: ek_sasl_facts() says who; ask for his account (ek_auth_account()), then ek_sasl_answer(), on a job thread
 *   EK_SASL_VERIFY: ek_sasl_facts() says who and with which secret; ask the passdbs (ek_auth_login()); when that refuses him,
 *                   ek_sasl_refused() may have one more challenge
 *   EK_SASL_OK, EK_SASL_REFUSE: after LOOKUP, what came of it
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
  EkStr authzid;                     /* as whom; a NULL p: as himself.  Never after LOOKUP */
  EkStr secret;                      /* empty after LOOKUP */
} EkSaslFacts;

/* ---- mechanisms: those of the modules that are loaded ---- */

/* Adds a module's mechanisms (EkModule.mechanisms); known names stay.  For ever, any thread. */
void ek_sasl_register (const EkMechanismOps *const *mechanisms);
/* The name in any case; NULL: not known. */
const EkMechanismOps *ek_sasl_find (EkStr name);

/* ---- an exchange ---- */

/* What mechanisms may know of the client is copied.  NULL: nothing. */
EkSasl            *ek_sasl_new (const EkMechanismOps *mechanism, const EkClient *client);
void               ek_sasl_free (EkSasl *sasl);            /* NULL is fine */
/* A decoded response.  After LOOKUP, VERIFY, OK, REFUSE or FAIL there is no further step: FAIL. */
EkSaslStep         ek_sasl_step (EkSasl *sasl, EkStr response);
/* After LOOKUP: the account (NULL: nobody has that name), a stored secret of another user there (or an empty string), the
 * canonical name.  They are copied.  May take as long as a hash does. */
EkSaslStep         ek_sasl_answer (EkSasl *sasl, const EkAccount *account, EkStr like, const char *name);
/* After VERIFY, the passdbs have refused him: MORE with a last challenge, whose answer makes REFUSE; or REFUSE. */
EkSaslStep         ek_sasl_refused (EkSasl *sasl, const EkAccount *account);
/* What makes ek_sasl_noise() a secret of this installation: 32 bytes, the same in all its processes and at each start.  Before the
 * first exchange; without it, it is one of this process alone. */
#define EK_SASL_NOISE_LEN 32
void               ek_sasl_use_noise (EkStr key);
EkStr              ek_sasl_text (const EkSasl *sasl);      /* the challenge after MORE, not encoded */
const EkSaslFacts *ek_sasl_facts (const EkSasl *sasl);     /* after VERIFY and LOOKUP, else NULL */
const char        *ek_sasl_why (const EkSasl *sasl);       /* after FAIL, else NULL; a static text */
const EkMechanismOps *ek_sasl_mechanism (const EkSasl *sasl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkSasl, ek_sasl_free)

/* ---- the wire: what protocols do with a line (RFC 4954 section 4, RFC 3501, RFC 5804) ---- */

typedef enum { EK_SASL_LINE_OK, EK_SASL_LINE_ABORT, EK_SASL_LINE_BAD } EkSaslLine;

/* Appends what a line (without its CRLF) says to `out`, which should be wiped (ek_buf_wipe).  ABORT: it
 * was "*".  With `initial`, "=" is the empty response that "" cannot say there. */
EkSaslLine ek_sasl_line (EkStr line, bool initial, EkBuf *out);
