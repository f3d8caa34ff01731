/* cmd-expunge.c - EXPUNGE, and UID EXPUNGE (RFC 4315)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct { ImapSet set; } UidExpunge;

static bool
expunge (ImapCommand *command, const EkRange *uids, guint n)
{
  ImapSession *session = command->session;
  GError *error = NULL;

  if (ek_view_readonly (session->view))
    return imap_no (command, "[READ-ONLY] Mailbox is read-only");
  EkStatus status = ek_view_expunge (session->view, uids, n, false, &error);
  if (status != EK_OK)
    return imap_fail (command, status, error, ek_view_name (session->view));
  return imap_ok (command, "Expunge completed");
}

static bool
expunge_step (ImapCommand *command, EkBuf *out)
{
  return expunge (command, NULL, 0);
}

const ImapCommandOps imap_expunge = { .name = "EXPUNGE", .flags = IMAP_SELECTED, .step = expunge_step };

static bool
uid_expunge_parse (ImapCommand *command, ImapScan *scan)
{
  UidExpunge *args = command->args;

  return imap_scan_space (scan) && imap_scan_set (scan, &args->set);
}

static bool
uid_expunge_step (ImapCommand *command, EkBuf *out)
{
  UidExpunge *args = command->args;
  EkRange *uids;
  guint n;

  imap_set_uids (command, &args->set, &uids, &n);
  return n == 0 ? imap_ok (command, "Expunge completed") : expunge (command, uids, n);
}

const ImapCommandOps imap_uid_expunge = {
  .name = "EXPUNGE", .flags = IMAP_SELECTED | IMAP_UID_ONLY, .args_size = sizeof (UidExpunge),
  .parse = uid_expunge_parse, .step = uid_expunge_step,
};
