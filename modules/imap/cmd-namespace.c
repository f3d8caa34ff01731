/* cmd-namespace.c - NAMESPACE (RFC 2342): one personal namespace
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static bool
namespace_step (ImapCommand *command, EkBuf *out)
{
  ek_buf_printf (out, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", command->session->separator);
  return imap_ok (command, "Namespace completed");
}

const ImapCommandOps imap_namespace = {
  .name = "NAMESPACE", .flags = IMAP_ON_LOOP | IMAP_NO_SYNC, .step = namespace_step,
};
