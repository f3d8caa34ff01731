/* cmd-list.c - LIST (RFC 3501 section 6.3.8, RFC 5258, RFC 5819, RFC 6154)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "list.h"
#include <string.h>

enum { SUBSCRIBED = 1, REMOTE = 2, RECURSIVEMATCH = 4, SPECIAL_USE = 8, CHILDREN = 16 };

typedef struct {
  bool       extended;               /* RFC 5258's syntax was used: only what is asked for is told */
  guint      select, results;        /* selection and return options */
  guint      status;                 /* STATUS items to return; 0: none */
  EkStr      reference;
  bool       empty;                  /* the one pattern is "": the client asks for the separator */
  GPtrArray *patterns;
  ImapBoxes  boxes;
  guint      next;                   /* the box that is looked at next */
  bool       begun;
} List;

static bool
scan_options (ImapScan *scan, List *args, bool results, guint *bits)
{
  static const struct { const char *name; guint bit; bool select, result; } options[] = {
    { "SUBSCRIBED", SUBSCRIBED, true, true }, { "REMOTE", REMOTE, true, false },
    { "RECURSIVEMATCH", RECURSIVEMATCH, true, false }, { "SPECIAL-USE", SPECIAL_USE, true, true },
    { "CHILDREN", CHILDREN, false, true },
  };
  EkStr name;

  args->extended = true;
  if (!imap_scan_char (scan, '('))
    return false;
  while (imap_scan_more (scan)) {
    guint bit = 0;
    if (!imap_scan_atom (scan, &name))
      return false;
    if (results && ek_str_ieq (name, EK_STR ("STATUS"))) {
      if (!imap_scan_space (scan) || !imap_scan_status_items (scan, &args->status))
        return false;
      continue;
    }
    for (guint i = 0; i < G_N_ELEMENTS (options); i++)
      if ((results ? options[i].result : options[i].select) && ek_str_ieq (name, ek_str (options[i].name)))
        bit = options[i].bit;
    if (bit == 0)
      return imap_scan_fail (scan, results ? "Unknown return options" : "Unknown select options");
    *bits |= bit;
  }
  return scan->error == NULL;
}

static bool
scan_patterns (ImapScan *scan, List *args)
{
  if (!imap_scan_peek (scan, '(')) {
    const char *start = scan->p;
    if (!imap_list_pattern (scan, args->reference, args->patterns))
      return false;
    args->empty = scan->p == start + 2 && start[0] == '"';
    return true;
  }
  scan->p++;
  args->extended = true;
  while (imap_scan_more (scan))
    if (!imap_list_pattern (scan, args->reference, args->patterns))
      return false;
  return scan->error == NULL;
}

static bool
list_parse (ImapCommand *command, ImapScan *scan)
{
  List *args = command->args;
  EkStr word;

  args->patterns = g_ptr_array_new_with_free_func (g_free);
  if (!imap_scan_space (scan))
    return false;
  if (imap_scan_peek (scan, '(')
      && (!scan_options (scan, args, false, &args->select) || !imap_scan_space (scan)))
    return false;
  if ((args->select & RECURSIVEMATCH) && !(args->select & (SUBSCRIBED | SPECIAL_USE)))
    return imap_scan_fail (scan, "RECURSIVEMATCH must not be the only selection");
  if (!imap_scan_astring (scan, &args->reference) || !imap_scan_space (scan) || !scan_patterns (scan, args))
    return false;
  if (scan->p + 1 >= scan->end)
    return true;
  if (!imap_scan_space (scan) || !imap_scan_atom (scan, &word) || !ek_str_ieq (word, EK_STR ("RETURN"))
      || !imap_scan_space (scan))
    return imap_scan_fail (scan, "Invalid arguments");
  return scan_options (scan, args, true, &args->results);
}

/* LIST ref "": the separator, and the part of the reference that is its root. */
static bool
tell_root (ImapCommand *command, EkBuf *out)
{
  List *args = command->args;
  char separator = command->session->separator;
  const char *at = args->reference.n ? memchr (args->reference.p, separator, args->reference.n) : NULL;

  ek_buf_printf (out, "* LIST (\\Noselect) \"%c\" ", separator);
  ek_imap_astring (out, (EkStr) { args->reference.p, at ? (gsize) (at + 1 - args->reference.p) : 0 });
  ek_buf_appends (out, "\r\n");
  return imap_ok (command, "List completed");
}

static bool
is_below (const char *name, const char *parent, char separator)
{
  gsize n = strlen (parent);

  return strncmp (name, parent, n) == 0 && name[n] == separator;
}

/* RECURSIVEMATCH: does a box below `box` meet the selection, that no pattern shows by itself? */
static bool
selected_below (const List *args, const EkMailbox *box, char separator)
{
  for (guint i = 0; i < args->boxes.n; i++) {
    const EkMailbox *below = &args->boxes.rows[i];
    if ((below->flags & EK_BOX_SUBSCRIBED) && is_below (below->name, box->name, separator)
        && !imap_list_match_any (args->patterns, below->name, separator))
      return true;
  }
  return false;
}

static void
add_flag (EkBuf *out, gsize start, const char *flag)
{
  if (ek_buf_len (out) > start)
    ek_buf_appendc (out, ' ');
  ek_buf_appends (out, flag);
}

static void
tell_box (ImapCommand *command, const EkMailbox *box, bool child_info, EkBuf *out)
{
  List *args = command->args;
  guint asked = args->extended ? args->select | args->results : CHILDREN | SPECIAL_USE;

  ek_buf_appends (out, "* LIST (");
  gsize start = ek_buf_len (out);
  if ((asked & SUBSCRIBED) && (box->flags & EK_BOX_SUBSCRIBED))
    add_flag (out, start, "\\Subscribed");
  if (!(box->flags & EK_BOX_SELECTABLE))
    add_flag (out, start, args->extended && !(box->flags & EK_BOX_EXISTS) ? "\\NonExistent" : "\\Noselect");
  if (asked & CHILDREN)
    add_flag (out, start, box->flags & EK_BOX_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
  if ((asked & SPECIAL_USE) && box->special)
    add_flag (out, start, box->special);
  ek_buf_printf (out, ") \"%c\" ", command->session->separator);
  imap_print_mailbox (out, box->name);
  ek_buf_appends (out, child_info ? " (CHILDINFO (\"SUBSCRIBED\"))\r\n" : "\r\n");
}

static void
list_box (ImapCommand *command, const EkMailbox *box, EkBuf *out)
{
  List *args = command->args;
  char separator = command->session->separator;
  bool subscribed = (box->flags & EK_BOX_SUBSCRIBED) != 0, child_info = false;
  GError *error = NULL;

  if (!imap_list_match_any (args->patterns, box->name, separator))
    return;
  if ((args->select & SUBSCRIBED) && (args->select & RECURSIVEMATCH) && (box->flags & EK_BOX_SUB_BELOW))
    child_info = selected_below (args, box, separator);
  bool wanted = child_info || ((!(args->select & SUBSCRIBED) || subscribed)
                               && (!(args->select & SPECIAL_USE) || box->special));
  bool there = (box->flags & (EK_BOX_EXISTS | EK_BOX_CHILDREN)) != 0;
  if (!wanted || !(there || (args->select & SUBSCRIBED)))
    return;
  tell_box (command, box, child_info, out);
  if (args->status != 0 && (box->flags & EK_BOX_SELECTABLE)
      && imap_print_status (command->session, box->name, args->status, out, &error) != EK_OK) {
    ek_log (EK_WARN, "imap", "STATUS of %s: %s", box->name, error ? error->message : "gone");
    g_clear_error (&error);
  }
}

static bool
list_step (ImapCommand *command, EkBuf *out)
{
  List *args = command->args;
  GError *error = NULL;

  if (args->empty && !args->extended)
    return tell_root (command, out);
  if (!args->begun) {
    EkStatus status = imap_list_boxes (command, &args->boxes, &error);
    if (status != EK_OK)
      return imap_fail (command, status, error, "LIST");
    args->begun = true;
  }
  while (args->next < args->boxes.n) {
    if (imap_turn_over (command, out))
      return true;
    list_box (command, &args->boxes.rows[args->next++], out);
  }
  return imap_ok (command, "List completed");
}

static void
list_clear (ImapCommand *command)
{
  List *args = command->args;

  g_clear_pointer (&args->patterns, g_ptr_array_unref);
}

const ImapCommandOps imap_list = {
  .name = "LIST", .args_size = sizeof (List), .parse = list_parse, .step = list_step, .clear = list_clear,
};
