/* fingerprint.h - whether a block of the configuration is still what it was before a reload
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is remembered of a backend's answers may bridge an outage across a reload only where the backend is the same: with another
 * query, server or path of its own or of what it refers to, what the old one said counts no longer.
 *
 * A fingerprint is the beginning of a SHA-256; secrets go into it, so it is shown to nobody.  Made once for each instance and block.
 * Loop thread only.
 */
#pragma once
#include "module/generation.h"
#include <string.h>

/* Of its module, its name, the settings of its block as they read (but for time-outs, connections and what is remembered for how
 * long), and the same of all that it refers to.  A remote one is its name. */
EkFingerprint ek_instance_fingerprint (const EkInstance *self);
/* Of the block's settings and of all that they refer to. */
EkFingerprint ek_block_fingerprint (const EkBlockValues *values);
/* Appends those of a NULL-terminated list (NULL is fine), and an end: for keys of what is remembered. */
void          ek_fingerprints_append (EkBuf *out, EkInstance *const *list);

static inline bool
ek_fingerprint_eq (EkFingerprint a, EkFingerprint b)
{
  return memcmp (&a, &b, sizeof a) == 0;
}

/* Of a reload: what the maps of `gen` that were the same in `old` have remembered goes over to them, to bridge outages; none of it is
 * fresh any more. */
void ek_answers_inherit (EkGeneration *gen, EkGeneration *old);
