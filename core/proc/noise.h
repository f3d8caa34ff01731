/* noise.h - a secret of this installation that outlives restarts: what is made up for unknown users stays the same
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"

#define EK_NOISE_LEN 32

/* In master.  Reads state_dir/noise.key, or makes it.  Where that cannot be, the key is one of this run alone, and the log says so:
 * somebody who asks before and after a restart could then tell made-up salts from real ones. */
void ek_noise_key (const char *state_dir, guint8 key[EK_NOISE_LEN]);
