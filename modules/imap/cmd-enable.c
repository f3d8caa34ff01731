/* cmd-enable.c - ENABLE (RFC 5161): CONDSTORE is the one thing to enable
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct { bool condstore; } Enable;

static bool
enable_parse (ImapCommand *command, ImapScan *scan)
{
  Enable *args = command->args;
  EkStr name;

  do {
    if (!imap_scan_space (scan) || !imap_scan_atom (scan, &name))
      return false;
    args->condstore |= ek_str_ieq (name, EK_STR ("CONDSTORE"));
  } while (scan->p < scan->end);
  return true;
}

static bool
enable_step (ImapCommand *command, EkBuf *out)
{
  Enable *args = command->args;

  if (args->condstore) {
    imap_condstore (command->session, out);
    ek_buf_appends (out, "* ENABLED CONDSTORE\r\n");
  }
  return imap_ok (command, "Enabled");
}

const ImapCommandOps imap_enable = {
  .name = "ENABLE", .flags = IMAP_ON_LOOP | IMAP_NO_SYNC, .args_size = sizeof (Enable),
  .parse = enable_parse, .step = enable_step,
};
