/* cmd-lsub.c - LSUB (RFC 3501 section 6.3.9)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "list.h"
#include <string.h>

typedef struct {
  GPtrArray  *patterns;
  ImapBoxes   boxes;
  GHashTable *told;                  /* parents that were told */
  guint       next;
  bool        begun;
} Lsub;

static bool
lsub_parse (ImapCommand *command, ImapScan *scan)
{
  Lsub *args = command->args;
  EkStr reference;

  args->patterns = g_ptr_array_new_with_free_func (g_free);
  return imap_scan_space (scan) && imap_scan_astring (scan, &reference)
         && imap_scan_space (scan) && imap_list_pattern (scan, reference, args->patterns);
}

static void
tell (ImapCommand *command, const char *name, bool subscribed, EkBuf *out)
{
  ek_buf_printf (out, "* LSUB (%s) \"%c\" ", subscribed ? "" : "\\Noselect", command->session->separator);
  imap_print_mailbox (out, name);
  ek_buf_appends (out, "\r\n");
}

static bool
is_subscribed (const Lsub *args, const char *name)
{
  for (guint i = 0; i < args->boxes.n; i++)
    if ((args->boxes.rows[i].flags & EK_BOX_SUBSCRIBED) && g_str_equal (args->boxes.rows[i].name, name))
      return true;
  return false;
}

/* The name is hidden behind a %: those of its parents that match are told as \Noselect, once. */
static void
tell_parents (ImapCommand *command, const char *name, EkBuf *out)
{
  Lsub *args = command->args;
  char separator = command->session->separator;

  for (const char *at = strchr (name, separator); at; at = strchr (at + 1, separator)) {
    char *parent = ek_pool_strndup (command->pool, name, (gsize) (at - name));
    if (imap_list_match_any (args->patterns, parent, separator) && g_hash_table_add (args->told, parent)
        && !is_subscribed (args, parent))
      tell (command, parent, false, out);
  }
}

static bool
lsub_step (ImapCommand *command, EkBuf *out)
{
  Lsub *args = command->args;
  GError *error = NULL;

  if (!args->begun) {
    EkStatus status = imap_list_boxes (command, &args->boxes, &error);
    if (status != EK_OK)
      return imap_fail (command, status, error, "LSUB");
    args->told = g_hash_table_new (g_str_hash, g_str_equal);
    args->begun = true;
  }
  while (args->next < args->boxes.n) {
    if (imap_turn_over (command, out))
      return true;
    const EkMailbox *box = &args->boxes.rows[args->next++];
    if (!(box->flags & EK_BOX_SUBSCRIBED))
      continue;
    if (imap_list_match_any (args->patterns, box->name, command->session->separator))
      tell (command, box->name, true, out);
    else
      tell_parents (command, box->name, out);
  }
  return imap_ok (command, "Lsub completed");
}

static void
lsub_clear (ImapCommand *command)
{
  Lsub *args = command->args;

  g_clear_pointer (&args->patterns, g_ptr_array_unref);
  g_clear_pointer (&args->told, g_hash_table_unref);
}

const ImapCommandOps imap_lsub = {
  .name = "LSUB", .args_size = sizeof (Lsub), .parse = lsub_parse, .step = lsub_step, .clear = lsub_clear,
};
