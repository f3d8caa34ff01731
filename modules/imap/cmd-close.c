/* cmd-close.c - CLOSE: expunges without telling, then nothing is selected
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
close_step (ImapCommand *command, EkBuf *out)
{
  ImapSession *session = command->session;
  GError *error = NULL;
  EkStatus status = EK_OK;

  if (!ek_view_readonly (session->view))
    status = ek_view_expunge (session->view, NULL, 0, false, &error);
  if (status != EK_OK && status != EK_NOTFOUND) {
    ek_log (EK_ERR, "imap", "CLOSE: %s", error ? error->message : "?");
    g_clear_error (&error);
  }
  ek_view_free (session->view);
  session->view = NULL;
  return imap_ok (command, "Close completed");
}

const ImapCommandOps imap_close = { .name = "CLOSE", .flags = IMAP_SELECTED | IMAP_NO_SYNC, .step = close_step };
