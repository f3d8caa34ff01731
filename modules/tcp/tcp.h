/* tcp.h - the protocol of Postfix's tcp_table(5): one line there, one back
 * SPDX-License-Identifier: Apache-2.0
 *
 * "get KEY" is answered by "200 VALUE", "400 REASON" (later) or "500 REASON" (no such key); "put KEY VALUE" by 200, 400 or 500 (refused).
 * What is no printable ASCII, a blank or "%" stands as %XX.  A line has at most 4,096 bytes with its end.
 */
#pragma once
#include "lookup/stream.h"

#define TCP_LINE_MAX 4096

/* Appends the bytes in that form. */
void tcp_encode (EkBuf *out, EkStr bytes);
/* Reads an answer: OK and *value in the pool (NULL: not wanted), NOTFOUND for 500, or DEFER and *error.  *text: what stands behind
 * the code, borrowed until the next read. */
EkStatus tcp_read (EkStream *stream, EkPool *pool, EkStr *value, EkStr *text, GError **error);
