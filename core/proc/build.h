/* build.h - what tells one build of the program from another
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"

/* The stamp of the headers and the linker's build ids of this program and libekiden: differs as soon as
 * either was replaced on disk and started anew. */
const char *ek_build_id (void);
