/* cmd-create.c - CREATE
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"
#include <string.h>

typedef struct { const char *mailbox; } Create;

static bool
create_parse (ImapCommand *command, ImapScan *scan)
{
  Create *args = command->args;

  return imap_scan_space (scan) && imap_scan_mailbox (scan, &args->mailbox);
}

static bool
create_step (ImapCommand *command, EkBuf *out)
{
  Create *args = command->args;
  GError *error = NULL;

  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  /* A separator at the end only says that children will come (RFC 3501 section 6.3.3). */
  gsize len = strlen (args->mailbox);
  if (len > 1 && args->mailbox[len - 1] == command->session->separator)
    len--;
  EkStatus status = ek_index_create (command->session->ix, ek_pool_strndup (command->pool, args->mailbox, len),
                                     NULL, &error);
  return status == EK_OK ? imap_ok (command, "Create completed")
                         : imap_fail (command, status, error, args->mailbox);
}

const ImapCommandOps imap_create = {
  .name = "CREATE", .args_size = sizeof (Create), .parse = create_parse, .step = create_step,
};
