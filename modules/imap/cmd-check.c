/* cmd-check.c - CHECK: only an occasion to tell what changed
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
check_step (ImapCommand *command, EkBuf *out)
{
  return imap_ok (command, "Check completed");
}

const ImapCommandOps imap_check = { .name = "CHECK", .step = check_step, .flags = IMAP_SELECTED };
