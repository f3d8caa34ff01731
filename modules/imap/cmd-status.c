/* cmd-status.c - STATUS (RFC 3501 section 6.3.10), which LIST-STATUS prints too
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

enum { MESSAGES = 1, RECENT = 2, UIDNEXT = 4, UIDVALIDITY = 8, UNSEEN = 16, HIGHESTMODSEQ = 32 };

/* In the order of the answer. */
static const struct { const char *name; guint bit; } items[] = {
  { "MESSAGES", MESSAGES }, { "RECENT", RECENT }, { "UIDNEXT", UIDNEXT }, { "UIDVALIDITY", UIDVALIDITY },
  { "UNSEEN", UNSEEN }, { "HIGHESTMODSEQ", HIGHESTMODSEQ },
};

bool
imap_scan_status_items (ImapScan *scan, guint *bits)
{
  EkStr name;

  *bits = 0;
  if (!imap_scan_char (scan, '('))
    return false;
  while (imap_scan_more (scan)) {
    guint bit = 0;
    if (!imap_scan_atom (scan, &name))
      return false;
    for (guint i = 0; i < G_N_ELEMENTS (items); i++)
      if (ek_str_ieq (name, ek_str (items[i].name)))
        bit = items[i].bit;
    if (bit == 0)
      return imap_scan_fail (scan, "Invalid status item");
    *bits |= bit;
  }
  if (scan->error)
    return false;
  return *bits != 0 || imap_scan_fail (scan, "Empty status list");
}

static guint64
value_of (const EkStatusCounts *counts, guint bit)
{
  switch (bit) {
  case MESSAGES:
    return counts->messages;
  case RECENT:
    return counts->recent;
  case UIDNEXT:
    return counts->uidnext;
  case UIDVALIDITY:
    return counts->uidvalidity;
  case UNSEEN:
    return counts->unseen;
  default:
    return counts->highestmodseq;
  }
}

EkStatus
imap_print_status (ImapSession *session, const char *mailbox, guint bits, EkBuf *out, GError **error)
{
  EkStatusCounts counts = { 0 };
  EkStatus status = ek_index_status (session->ix, mailbox, 0, &counts, error);

  if (status != EK_OK)
    return status;
  if (bits & HIGHESTMODSEQ)
    imap_condstore (session, out);
  ek_buf_appends (out, "* STATUS ");
  imap_print_mailbox (out, mailbox);
  char before = '(';
  ek_buf_appendc (out, ' ');
  for (guint i = 0; i < G_N_ELEMENTS (items); i++)
    if (bits & items[i].bit) {
      ek_buf_printf (out, "%c%s %" G_GUINT64_FORMAT, before, items[i].name, value_of (&counts, items[i].bit));
      before = ' ';
    }
  ek_buf_appends (out, ")\r\n");
  return EK_OK;
}

typedef struct {
  const char *mailbox;
  guint       bits;
} Status;

static bool
status_parse (ImapCommand *command, ImapScan *scan)
{
  Status *args = command->args;

  return imap_scan_space (scan) && imap_scan_mailbox (scan, &args->mailbox)
         && imap_scan_space (scan) && imap_scan_status_items (scan, &args->bits);
}

static bool
status_step (ImapCommand *command, EkBuf *out)
{
  Status *args = command->args;
  ImapSession *session = command->session;
  GError *error = NULL;

  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  EkStatus status = imap_print_status (session, args->mailbox, args->bits, out, &error);
  if (status != EK_OK)
    return imap_fail (command, status, error, args->mailbox);
  if (session->view && g_str_equal (ek_view_name (session->view), args->mailbox))
    return imap_ok (command, "[CLIENTBUG] Status on selected mailbox completed");
  return imap_ok (command, "Status completed");
}

const ImapCommandOps imap_status = {
  .name = "STATUS", .args_size = sizeof (Status), .parse = status_parse, .step = status_step,
};
