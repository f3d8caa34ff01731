/* cmd-subscribe.c - SUBSCRIBE and UNSUBSCRIBE
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct {
  const char *mailbox;
  bool        exists;
} Subscribe;

static bool
subscribe_parse (ImapCommand *command, ImapScan *scan)
{
  Subscribe *args = command->args;

  return imap_scan_space (scan) && imap_scan_mailbox (scan, &args->mailbox);
}

static void
look_for_mailbox (const EkMailbox *mailbox, gpointer data)
{
  Subscribe *args = data;
  bool inbox = g_ascii_strcasecmp (args->mailbox, "INBOX") == 0;

  if ((mailbox->flags & EK_BOX_EXISTS) && g_str_equal (mailbox->name, inbox ? "INBOX" : args->mailbox))
    args->exists = true;
}

static bool
change (ImapCommand *command, bool on)
{
  Subscribe *args = command->args;
  EkIndex *ix = command->session->ix;
  GError *error = NULL;
  EkStatus status = EK_OK;

  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  if (on)                            /* RFC 3501 section 6.3.6 lets us look first */
    status = ek_index_list (ix, look_for_mailbox, args, &error);
  if (status == EK_OK)
    status = on && !args->exists ? EK_NOTFOUND : ek_index_subscribe (ix, args->mailbox, on, &error);
  if (status != EK_OK)
    return imap_fail (command, status, error, args->mailbox);
  return imap_ok (command, on ? "Subscribe completed" : "Unsubscribe completed");
}

static bool
subscribe_step (ImapCommand *command, EkBuf *out)
{
  return change (command, true);
}

static bool
unsubscribe_step (ImapCommand *command, EkBuf *out)
{
  return change (command, false);
}

const ImapCommandOps imap_subscribe = {
  .name = "SUBSCRIBE", .args_size = sizeof (Subscribe), .parse = subscribe_parse, .step = subscribe_step,
};

const ImapCommandOps imap_unsubscribe = {
  .name = "UNSUBSCRIBE", .args_size = sizeof (Subscribe), .parse = subscribe_parse, .step = unsubscribe_step,
};
