/* fuzz.h - what every fuzz target defines
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/base.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
