/* imapfmt.h - IMAP's text forms of strings, envelopes and body structures (RFC 3501 7.4.2)
 * SPDX-License-Identifier: Apache-2.0
 *
 * Output is what Dovecot 2.3 prints for the same message, so that clients see no difference.
 */
#pragma once
#include "mail/mime.h"

/* An nstring: NIL when p is NULL, quoted when it can be, else a literal. */
void ek_imap_nstring (EkBuf *out, EkStr s);
void ek_imap_string (EkBuf *out, EkStr s);           /* never NIL */
void ek_imap_astring (EkBuf *out, EkStr s);          /* an atom where it can be */
/* For text that people read: line breaks and runs of white space become one space, controls go, so it
 * stays a quoted string wherever possible. */
void ek_imap_text (EkBuf *out, EkStr s);

/* The parenthesised list behind "ENVELOPE "; NULL: all NIL. */
void ek_imap_envelope (EkBuf *out, const EkMimeEnvelope *envelope);
/* The list behind "BODY " or, extended, "BODYSTRUCTURE ". */
void ek_imap_body (EkBuf *out, const EkMime *mime, bool extended);
