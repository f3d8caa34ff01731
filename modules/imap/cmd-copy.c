/* cmd-copy.c - COPY, and MOVE (RFC 6851)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct {
  ImapSet     set;
  const char *mailbox;
} Copy;

static bool
copy_parse (ImapCommand *command, ImapScan *scan)
{
  Copy *args = command->args;

  return imap_scan_space (scan) && imap_scan_set (scan, &args->set)
         && imap_scan_space (scan) && imap_scan_mailbox (scan, &args->mailbox);
}

/* "1:3,7" of UIDs in the order given: COPYUID's two sets run in parallel, so nothing is sorted. */
static void
print_uids (EkBuf *out, const GArray *uids)
{
  for (guint i = 0, last; i < uids->len; i = last + 1) {
    for (last = i; last + 1 < uids->len; last++)
      if (g_array_index (uids, guint32, last + 1) != g_array_index (uids, guint32, last) + 1)
        break;
    ek_buf_printf (out, i == last ? "%s%u" : "%s%u:%u", i > 0 ? "," : "", g_array_index (uids, guint32, i),
                   g_array_index (uids, guint32, last));
  }
}

static char *
copyuid (guint32 uidvalidity, const GArray *from, const GArray *made)
{
  EkBuf text = { 0 };

  ek_buf_printf (&text, "[COPYUID %u ", uidvalidity);
  print_uids (&text, from);
  ek_buf_appendc (&text, ' ');
  print_uids (&text, made);
  ek_buf_append (&text, "]", 2);
  return ek_buf_at (&text);
}

static bool
copy_failed (ImapCommand *command, EkStatus status, GError *error)
{
  Copy *args = command->args;

  if (status == EK_NOTFOUND) {
    g_clear_error (&error);
    return imap_no (command, "[TRYCREATE] Mailbox doesn't exist: %s", args->mailbox);
  }
  return imap_fail (command, status, error, args->mailbox);
}

static bool
copy_or_move (ImapCommand *command, EkBuf *out, bool move)
{
  Copy *args = command->args;
  EkView *view = command->session->view;
  g_autoptr (GArray) from = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) made = g_array_new (FALSE, FALSE, sizeof (guint32));
  GError *error = NULL;
  guint32 uidvalidity;
  EkRange *uids;
  guint n;

  if (!imap_set_uids (command, &args->set, &uids, &n))
    return false;
  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  if (move && ek_view_readonly (view))
    return imap_no (command, "[READ-ONLY] Mailbox is read-only");
  if (imap_uids_count (view, uids, n) == 0)
    return imap_ok (command, "No messages found");
  EkStatus status = ek_view_copy (view, uids, n, args->mailbox, move, &uidvalidity, from, made, &error);
  if (status != EK_OK)
    return copy_failed (command, status, error);
  if (from->len == 0)
    return imap_no (command, "[EXPUNGEISSUED] The requested messages no longer exist");
  g_autofree char *code = copyuid (uidvalidity, from, made);
  if (!move)
    return imap_ok (command, "%s Copy completed", code);
  ek_buf_printf (out, "* OK %s Moved UIDs.\r\n", code);
  return imap_ok (command, "Move completed");
}

static bool
copy_step (ImapCommand *command, EkBuf *out)
{
  return copy_or_move (command, out, false);
}

static bool
move_step (ImapCommand *command, EkBuf *out)
{
  return copy_or_move (command, out, true);
}

const ImapCommandOps imap_copy = {
  .name = "COPY", .flags = IMAP_SELECTED | IMAP_UID, .args_size = sizeof (Copy), .parse = copy_parse, .step = copy_step,
};

const ImapCommandOps imap_move = {
  .name = "MOVE", .flags = IMAP_SELECTED | IMAP_UID, .args_size = sizeof (Copy), .parse = copy_parse, .step = move_step,
};
