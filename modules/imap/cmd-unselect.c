/* cmd-unselect.c - UNSELECT (RFC 3691): CLOSE that expunges nothing
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
unselect_step (ImapCommand *command, EkBuf *out)
{
  ek_view_free (command->session->view);
  command->session->view = NULL;
  return imap_ok (command, "Unselect completed");
}

const ImapCommandOps imap_unselect = {
  .name = "UNSELECT", .flags = IMAP_SELECTED | IMAP_NO_SYNC, .step = unselect_step,
};
