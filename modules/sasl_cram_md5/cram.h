/* cram.h - what the files of sasl_cram_md5 share: HMAC-MD5 from its saved state
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>

#define CRAM_STATE_LEN  32           /* as Dovecot keeps it: MD5's state after the outer pad, then after the inner one */
#define CRAM_DIGEST_LEN 16

/* The state that a password makes.  It is enough to answer a challenge, so it is as good as the password there, and nowhere else. */
void cram_state (EkStr secret, guint8 state[CRAM_STATE_LEN]);
void cram_digest (const guint8 state[CRAM_STATE_LEN], EkStr text, guint8 digest[CRAM_DIGEST_LEN]);
