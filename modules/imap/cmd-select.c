/* cmd-select.c - SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2, RFC 7162)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct {
  const char *mailbox;
  bool        condstore;
} Select;

static bool
select_parse (ImapCommand *command, ImapScan *scan)
{
  Select *args = command->args;
  EkStr name;

  if (!imap_scan_space (scan) || !imap_scan_mailbox (scan, &args->mailbox))
    return false;
  if (scan->p == scan->end)
    return true;
  if (!imap_scan_space (scan) || scan->p == scan->end)
    return scan->p == scan->end;
  if (!imap_scan_char (scan, '('))
    return false;
  while (imap_scan_more (scan)) {
    if (!imap_scan_atom (scan, &name))
      return false;
    if (!ek_str_ieq (name, EK_STR ("CONDSTORE")))
      return imap_scan_fail (scan, "Unknown SELECT parameter");
    args->condstore = true;
  }
  return scan->error == NULL;
}

/* What RFC 3501 asks to be told of a mailbox that is selected. */
static EkStatus
tell_mailbox (ImapSession *session, EkBuf *out, GError **error)
{
  EkView *view = session->view;
  guint32 unseen;
  EkStatus status = ek_view_first_unseen (view, &unseen, error);

  if (status != EK_OK)
    return status;
  imap_print_mailbox_flags (out, session);
  session->recent = ek_view_recent (view);
  ek_buf_printf (out, "* %u EXISTS\r\n* %u RECENT\r\n", ek_view_count (view), session->recent);
  if (unseen > 0)
    ek_buf_printf (out, "* OK [UNSEEN %u] First unseen.\r\n", unseen);
  ek_buf_printf (out, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
                 ek_view_uidvalidity (view), ek_view_uidnext (view));
  ek_buf_printf (out, "* OK [HIGHESTMODSEQ %" G_GUINT64_FORMAT "] Highest\r\n", ek_view_modseq (view));
  return EK_OK;
}

static bool
open_mailbox (ImapCommand *command, EkBuf *out, EkViewMode mode)
{
  Select *args = command->args;
  ImapSession *session = command->session;
  GError *error = NULL;

  if (session->view) {
    ek_view_free (session->view);
    session->view = NULL;
    ek_buf_appends (out, "* OK [CLOSED] Previous mailbox closed.\r\n");
  }
  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  EkStatus status = ek_view_open (session->ix, args->mailbox, mode, &session->view, &error);
  if (status == EK_OK)
    status = tell_mailbox (session, out, &error);
  if (status != EK_OK) {
    ek_view_free (session->view);
    session->view = NULL;
    return imap_fail (command, status, error, args->mailbox);
  }
  session->condstore |= args->condstore;
  return mode == EK_VIEW_RW ? imap_ok (command, "[READ-WRITE] Select completed")
                            : imap_ok (command, "[READ-ONLY] Examine completed");
}

static bool
select_step (ImapCommand *command, EkBuf *out)
{
  return open_mailbox (command, out, EK_VIEW_RW);
}

static bool
examine_step (ImapCommand *command, EkBuf *out)
{
  return open_mailbox (command, out, EK_VIEW_RO);
}

const ImapCommandOps imap_select = {
  .name = "SELECT", .flags = IMAP_NO_SYNC, .args_size = sizeof (Select), .parse = select_parse, .step = select_step,
};

const ImapCommandOps imap_examine = {
  .name = "EXAMINE", .flags = IMAP_NO_SYNC, .args_size = sizeof (Select), .parse = select_parse, .step = examine_step,
};
