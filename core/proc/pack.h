/* pack.h - the small packed encoding of channel messages
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends are the same binary, so there are no tags and no versions: numbers are variable-length
 * (7 bits a byte, low first), strings carry their length.  Reading is bounds-checked all the same,
 * since a broken-into role may send anything: a reader that runs out turns `bad` and gives zeros.
 */
#pragma once
#include "base/base.h"

void ek_pack_u64 (EkBuf *buf, guint64 value);
void ek_pack_i64 (EkBuf *buf, gint64 value);
void ek_pack_str (EkBuf *buf, EkStr value);
void ek_pack_text (EkBuf *buf, const char *value);       /* NULL is kept apart from "" */

typedef struct {
  const char *p;
  gsize       n;
  bool        bad;
} EkUnpack;

static inline EkUnpack ek_unpack (EkStr bytes) { return (EkUnpack) { bytes.p, bytes.n, false }; }
guint64     ek_unpack_u64 (EkUnpack *in);
guint64     ek_unpack_max (EkUnpack *in, guint64 max);   /* bad when above */
gint64      ek_unpack_i64 (EkUnpack *in);
EkStr       ek_unpack_str (EkUnpack *in);                /* borrowed from the message */
/* NUL-terminated copy; NULL as packed; bad with a NUL inside. */
const char *ek_unpack_text (EkUnpack *in, EkPool *pool);
/* All was read and nothing was missing. */
static inline bool ek_unpack_ok (const EkUnpack *in) { return !in->bad && in->n == 0; }
