/* cmd-capability.c - CAPABILITY (RFC 3501 section 6.1.1)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
capability_step (ImapCommand *command, EkBuf *out)
{
  ek_buf_appends (out, "* CAPABILITY " IMAP_CAPABILITIES "\r\n");
  return imap_ok (command, "Capability completed");
}

const ImapCommandOps imap_capability = {
  .name = "CAPABILITY", .flags = IMAP_ON_LOOP | IMAP_NO_SYNC, .step = capability_step,
};
