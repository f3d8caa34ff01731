/* socketmap.h - the protocol of socketmaps: one netstring there, one back
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sendmail's socket map and Postfix's socketmap_table(5).  The question is "NAME KEY", the answer one of "OK VALUE", "NOTFOUND ",
 * "TEMP REASON", "TIMEOUT REASON", "PERM REASON", of at most 100,000 bytes.
 */
#pragma once
#include "lookup/stream.h"

#define SOCKETMAP_MAX 100000

/* Reads an answer: OK and *value (borrowed until the next read), NOTFOUND, or DEFER and *error: the server's own reasons too, PERM
 * among them, since what is broken there must not turn mail away for good here. */
EkStatus socketmap_read (EkStream *stream, EkStr *value, GError **error);
