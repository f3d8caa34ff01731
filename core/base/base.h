/* base.h - what the core's own files share and modules do not see
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "ekiden.h"

/* FNV-1a over n bytes: for tables in memory, never for anything an attacker gains by colliding. */
guint64 ek_hash64 (const void *bytes, gsize n);
/* CRC-32C (Castagnoli), continued from `crc`; start with 0.  Uses the CPU's instruction when it is there. */
guint32 ek_crc32c (guint32 crc, const void *bytes, gsize n);
/* Fills with bytes from the kernel's generator. */
void    ek_random (void *bytes, gsize n);
guint64 ek_random64 (void);

gint64 ek_now (void);                /* monotonic microseconds: for timers and durations */
gint64 ek_wall (void);               /* wall clock microseconds since 1970: only for what is written down */
gint64 ek_clock_base (void);         /* seconds that the wall clock would have shown at boot: moves only when it is set */

/* Strict: no blanks, padding as it must be, no stray bits; appended to `out`, on false nothing is. */
bool    ek_base64_decode (EkStr text, EkBuf *out);
void    ek_base64_encode (EkStr bytes, EkBuf *out);
bool    ek_hex_decode (EkStr text, EkBuf *out);           /* either case */
void    ek_hex_encode (EkStr bytes, EkBuf *out);          /* lower case */
/* The caller has lost interest in an evented operation: tells the module, if it wants to know. */
void    ek_call_cancel (EkCall *call);
/* Empties a queue that held a secret: its memory is wiped, then freed.  To leave no copies behind,
 * make room for all of it before the first byte. */
void    ek_buf_wipe (EkBuf *buf);

/* One behind the last byte; NULL for an empty string without bytes, to which C may not even add 0. */
#define EK_STR_END(s_) ((s_).p ? (s_).p + (s_).n : NULL)
