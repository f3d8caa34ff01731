/* cmd-rename.c - RENAME
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct { const char *from, *to; } Rename;

static bool
rename_parse (ImapCommand *command, ImapScan *scan)
{
  Rename *args = command->args;

  return imap_scan_space (scan) && imap_scan_mailbox (scan, &args->from)
         && imap_scan_space (scan) && imap_scan_mailbox (scan, &args->to);
}

static bool
rename_step (ImapCommand *command, EkBuf *out)
{
  Rename *args = command->args;
  GError *error = NULL;

  if (args->from == NULL || args->to == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  EkStatus status = ek_index_rename (command->session->ix, args->from, args->to, &error);
  return status == EK_OK ? imap_ok (command, "Rename completed")
                         : imap_fail (command, status, error, args->from);
}

const ImapCommandOps imap_rename = {
  .name = "RENAME", .args_size = sizeof (Rename), .parse = rename_parse, .step = rename_step,
};
