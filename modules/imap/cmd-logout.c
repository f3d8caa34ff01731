/* cmd-logout.c - LOGOUT
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
logout_step (ImapCommand *command, EkBuf *out)
{
  ek_buf_appends (out, "* BYE Logging out\r\n");
  command->session->logout = true;
  return imap_ok (command, "Logout completed");
}

const ImapCommandOps imap_logout = {
  .name = "LOGOUT", .flags = IMAP_ON_LOOP | IMAP_NO_SYNC, .step = logout_step,
};
