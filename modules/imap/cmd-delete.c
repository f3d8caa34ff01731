/* cmd-delete.c - DELETE
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct { const char *mailbox; } Delete;

static bool
delete_parse (ImapCommand *command, ImapScan *scan)
{
  Delete *args = command->args;

  return imap_scan_space (scan) && imap_scan_mailbox (scan, &args->mailbox);
}

static bool
delete_step (ImapCommand *command, EkBuf *out)
{
  Delete *args = command->args;
  ImapSession *session = command->session;
  GError *error = NULL;

  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  EkStatus status = ek_index_delete (session->ix, args->mailbox, &error);
  if (status != EK_OK)
    return imap_fail (command, status, error, args->mailbox);
  if (session->view && g_str_equal (ek_view_name (session->view), args->mailbox))
    g_clear_pointer (&session->view, ek_view_free);      /* our own doing: no reason to say goodbye */
  return imap_ok (command, "Delete completed");
}

const ImapCommandOps imap_delete = {
  .name = "DELETE", .args_size = sizeof (Delete), .parse = delete_parse, .step = delete_step,
};
