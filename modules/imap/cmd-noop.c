/* cmd-noop.c - NOOP: only an occasion to tell what changed
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
noop_step (ImapCommand *command, EkBuf *out)
{
  return imap_ok (command, "NOOP completed");
}

const ImapCommandOps imap_noop = { .name = "NOOP", .step = noop_step };
