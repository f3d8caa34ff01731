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
  return status == EK_OK ? imap_ok (command, "Delete completed")
                         : imap_fail (command, status, error, args->mailbox);
}

const ImapCommandOps imap_delete = {
  .name = "DELETE", .args_size = sizeof (Delete), .parse = delete_parse, .step = delete_step,
};
