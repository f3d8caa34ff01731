/* cmd-store.c - STORE (RFC 3501 section 6.4.6, RFC 7162 section 3.1.3)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

typedef struct {
  ImapSet     set;
  ImapFlags   flags;
  EkStoreOp   op;
  bool        silent, conditional;
  guint64     unchanged_since;
  GArray     *changes;               /* EkChange: what the store did */
  guint       n_told;
  GArray     *modified;              /* EkRange of UIDs that UNCHANGEDSINCE refused */
  bool        stored;
} Store;

static bool
scan_modifiers (ImapScan *scan, Store *args)
{
  EkStr name;

  scan->p++;
  while (imap_scan_more (scan)) {
    if (!imap_scan_atom (scan, &name))
      return false;
    if (!ek_str_ieq (name, EK_STR ("UNCHANGEDSINCE")))
      return imap_scan_fail (scan, "Unknown STORE modifier");
    if (!imap_scan_space (scan) || !imap_scan_number (scan, G_MAXINT64, &args->unchanged_since))
      return imap_scan_fail (scan, "Invalid UNCHANGEDSINCE modseq");
    args->conditional = true;
  }
  return scan->error == NULL && imap_scan_space (scan);
}

static bool
scan_item (ImapScan *scan, Store *args)
{
  EkStr name;

  args->op = EK_STORE_REPLACE;
  if (imap_scan_peek (scan, '+') || imap_scan_peek (scan, '-'))
    args->op = *scan->p++ == '+' ? EK_STORE_ADD : EK_STORE_REMOVE;
  if (!imap_scan_atom (scan, &name))
    return false;
  args->silent = ek_str_ieq (name, EK_STR ("FLAGS.SILENT"));
  return args->silent || ek_str_ieq (name, EK_STR ("FLAGS")) || imap_scan_fail (scan, "Invalid item");
}

static bool
store_parse (ImapCommand *command, ImapScan *scan)
{
  Store *args = command->args;

  args->unchanged_since = G_MAXUINT64;
  if (!imap_scan_space (scan) || !imap_scan_set (scan, &args->set) || !imap_scan_space (scan))
    return false;
  if (imap_scan_peek (scan, '(') && !scan_modifiers (scan, args))
    return false;
  return scan_item (scan, args) && imap_scan_space (scan) && imap_scan_store_flags (scan, &args->flags);
}

/* RFC 7162: with UNCHANGEDSINCE even a silent store tells the new mod-sequences. */
static void
tell_modseqs (ImapCommand *command, EkBuf *out)
{
  Store *args = command->args;

  for (; args->n_told < args->changes->len && ek_buf_len (out) < IMAP_WINDOW; args->n_told++) {
    const EkChange *change = &g_array_index (args->changes, EkChange, args->n_told);
    if (change->kind != EK_CHANGE_FLAGS)
      continue;
    ek_buf_printf (out, "* %u FETCH (", change->seq);
    if (command->uid)
      ek_buf_printf (out, "UID %u ", change->uid);
    ek_buf_printf (out, "MODSEQ (%" G_GUINT64_FORMAT "))\r\n", change->modseq);
  }
}

/* True while there is more to tell. */
static bool
tell (ImapCommand *command, EkBuf *out)
{
  Store *args = command->args;
  ImapSession *session = command->session;

  if (!args->silent)
    return !imap_tell_changes (session, args->changes, &args->n_told, command->uid, out);
  if (session->condstore) {
    tell_modseqs (command, out);
    return args->n_told < args->changes->len;
  }
  return false;
}

static int
compare_seq (gconstpointer a, gconstpointer b)
{
  const EkRange *x = a, *y = b;
  return x->first < y->first ? -1 : x->first > y->first;
}

/* MODIFIED lists sequence numbers, or UIDs after UID STORE. */
static bool
reply_modified (ImapCommand *command)
{
  Store *args = command->args;
  EkView *view = command->session->view;
  EkBuf text = { 0 };
  ImapSet set = { (EkRange *) (gpointer) args->modified->data, args->modified->len };

  if (!command->uid) {
    guint n = 0;
    for (guint i = 0; i < set.n; i++) {
      EkRange seqs = { ek_view_seq_from (view, set.ranges[i].first), 0 };
      seqs.last = ek_view_seq_from (view, set.ranges[i].last == G_MAXUINT32 ? G_MAXUINT32 : set.ranges[i].last + 1) - 1;
      if (seqs.first <= seqs.last)
        set.ranges[n++] = seqs;
    }
    set.n = n;
  }
  g_array_sort (args->modified, compare_seq);
  imap_set_resolve (&set, G_MAXUINT32 - 1);
  imap_set_print (&set, &text);
  imap_ok (command, "[MODIFIED %.*s] Conditional store failed", (int) ek_buf_len (&text), ek_buf_at (&text));
  ek_buf_release (&text);
  return false;
}

static bool
store_step (ImapCommand *command, EkBuf *out)
{
  Store *args = command->args;
  EkView *view = command->session->view;
  GError *error = NULL;
  EkRange *uids;
  guint n;

  if (!args->stored) {
    if (ek_view_readonly (view))
      return imap_no (command, "[READ-ONLY] Mailbox is read-only");
    if (!imap_set_uids (command, &args->set, &uids, &n))
      return false;
    if (args->conditional)
      imap_condstore (command->session, out);
    args->changes = g_array_new (FALSE, FALSE, sizeof (EkChange));
    args->modified = g_array_new (FALSE, FALSE, sizeof (EkRange));
    EkStore store = { .op = args->op, .flags = args->flags.system, .keywords = args->flags.keywords,
                      .unchanged_since = args->unchanged_since };
    EkStatus status = n == 0 ? EK_OK : ek_view_store (view, uids, n, &store, imap_collect_change, args->changes,
                                                      args->modified, &error);
    if (status != EK_OK)
      return imap_fail (command, status, error, ek_view_name (view));
    args->stored = true;
  }
  if (tell (command, out))
    return true;
  return args->modified->len > 0 ? reply_modified (command) : imap_ok (command, "Store completed");
}

static void
store_clear (ImapCommand *command)
{
  Store *args = command->args;

  g_clear_pointer (&args->changes, g_array_unref);
  g_clear_pointer (&args->modified, g_array_unref);
}

const ImapCommandOps imap_store = {
  .name = "STORE", .flags = IMAP_SELECTED | IMAP_UID | IMAP_NO_EXPUNGE, .args_size = sizeof (Store),
  .parse = store_parse, .step = store_step, .clear = store_clear,
};
