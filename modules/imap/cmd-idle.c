/* cmd-idle.c - IDLE (RFC 2177): between its turns nothing is held but the view
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
idle_step (ImapCommand *command, EkBuf *out)
{
  ImapSession *session = command->session;
  GError *error = NULL;

  if (session->view
      && ek_view_watch (session->view, imap_session_changed, session, &error) != EK_OK) {
    ek_log (EK_WARN, "imap", "watching %s: %s", ek_view_name (session->view), error ? error->message : "?");
    g_clear_error (&error);
  }
  ek_buf_appends (out, "+ idling\r\n");
  return imap_ok (command, "Idling");
}

const ImapCommandOps imap_idle = { .name = "IDLE", .flags = IMAP_LATER, .step = idle_step };

static bool
idle_sync_step (ImapCommand *command, EkBuf *out)
{
  return imap_ok (command, "Told");
}

const ImapCommandOps imap_idle_sync = { .name = "IDLE", .step = idle_sync_step };

static bool
idle_done_step (ImapCommand *command, EkBuf *out)
{
  if (command->session->view)
    ek_view_watch (command->session->view, NULL, NULL, NULL);
  return false;                      /* the answer is set */
}

const ImapCommandOps imap_idle_done = { .name = "IDLE", .step = idle_done_step };
