/* mimepart.h - what a part keeps of its header (shared by mime.c and mimepart.c only)
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "mail/mime.h"

/* Is it a field that `part` keeps something of? */
bool ek_mime_wants (const EkPart *part, EkStr name);
/* Keeps it; copies into `pool`. */
void ek_mime_take (EkPool *pool, EkPart *part, const EkHeader *h);
