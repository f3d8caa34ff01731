/* cmd-id.c - ID (RFC 2971)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

void
imap_print_id (EkBuf *out)
{
  ek_buf_appends (out, "* ID (\"name\" \"Ekiden\")\r\n");
}

bool
imap_scan_id (ImapScan *scan)
{
  EkStr field, value;

  if (!imap_scan_space (scan))
    return false;
  if (!imap_scan_peek (scan, '('))
    return imap_scan_nstring (scan, &field) && (field.p == NULL || imap_scan_fail (scan, "Invalid ID parameters"));
  scan->p++;
  for (guint n = 0; imap_scan_more (scan); n++) {
    if (n == 30)
      return imap_scan_fail (scan, "Too many ID parameters");
    if (!imap_scan_string (scan, &field) || !imap_scan_space (scan) || !imap_scan_nstring (scan, &value))
      return imap_scan_fail (scan, "Invalid ID parameters");
  }
  return scan->error == NULL;
}

static bool
id_parse (ImapCommand *command, ImapScan *scan)
{
  return imap_scan_id (scan);
}

static bool
id_step (ImapCommand *command, EkBuf *out)
{
  imap_print_id (out);
  return imap_ok (command, "ID completed");
}

const ImapCommandOps imap_id = {
  .name = "ID", .flags = IMAP_ON_LOOP | IMAP_NO_SYNC, .parse = id_parse, .step = id_step,
};
