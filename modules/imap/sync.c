/* sync.c - untagged data about the selected mailbox: flags, arrivals, removals
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"

static const struct { guint32 bit; const char *name; } system_flags[] = {
  { EK_FLAG_ANSWERED, "\\Answered" }, { EK_FLAG_FLAGGED, "\\Flagged" }, { EK_FLAG_DELETED, "\\Deleted" },
  { EK_FLAG_SEEN, "\\Seen" }, { EK_FLAG_DRAFT, "\\Draft" }, { EK_FLAG_RECENT, "\\Recent" },
};

static void
print_word (EkBuf *out, gsize start, const char *word)
{
  if (ek_buf_len (out) > start)
    ek_buf_appendc (out, ' ');
  ek_buf_appends (out, word);
}

void
imap_print_flags (EkBuf *out, guint32 flags, guint64 keywords, EkView *view)
{
  gsize start = ek_buf_len (out);

  for (guint i = 0; flags != 0 && i < G_N_ELEMENTS (system_flags); i++)
    if (flags & system_flags[i].bit)
      print_word (out, start, system_flags[i].name);
  if (keywords == 0)
    return;
  const char *const *names;
  guint n = ek_view_keywords (view, &names);
  for (guint i = 0; i < n && i < 64; i++)
    if ((keywords >> i & 1) && names[i])
      print_word (out, start, names[i]);
}

static guint64
known_keywords (EkView *view)
{
  const char *const *names;
  guint n = ek_view_keywords (view, &names);
  guint64 bits = 0;

  for (guint i = 0; i < n && i < 64; i++)
    if (names[i])
      bits |= G_GUINT64_CONSTANT (1) << i;
  return bits;
}

void
imap_print_mailbox_flags (EkBuf *out, ImapSession *session)
{
  guint64 keywords = known_keywords (session->view);

  session->keywords = keywords;
  ek_buf_appends (out, "* FLAGS (");
  imap_print_flags (out, EK_FLAGS_STORED, keywords, session->view);
  ek_buf_appends (out, ")\r\n* OK [PERMANENTFLAGS (");
  if (ek_view_readonly (session->view)) {
    ek_buf_appends (out, ")] Read-only mailbox.\r\n");
    return;
  }
  imap_print_flags (out, EK_FLAGS_STORED, keywords, session->view);
  ek_buf_appends (out, " \\*)] Flags permitted.\r\n");
}

void
imap_collect_change (const EkChange *change, gpointer changes)
{
  g_array_append_val ((GArray *) changes, *change);
}

static void
tell_change (ImapSession *session, const EkChange *change, bool uid, EkBuf *out)
{
  switch (change->kind) {
  case EK_CHANGE_EXPUNGE:
    ek_buf_printf (out, "* %u EXPUNGE\r\n", change->seq);
    break;
  case EK_CHANGE_EXISTS:
    ek_buf_printf (out, "* %u EXISTS\r\n", change->seq);
    session->recent = G_MAXUINT32;   /* goes with it, changed or not */
    break;
  case EK_CHANGE_KEYWORDS:
    if (known_keywords (session->view) != session->keywords)
      imap_print_mailbox_flags (out, session);
    break;
  case EK_CHANGE_FLAGS:
    if (change->keywords & ~session->keywords)
      imap_print_mailbox_flags (out, session);
    ek_buf_printf (out, "* %u FETCH (", change->seq);
    if (uid)
      ek_buf_printf (out, "UID %u ", change->uid);
    if (session->condstore)
      ek_buf_printf (out, "MODSEQ (%" G_GUINT64_FORMAT ") ", change->modseq);
    ek_buf_appends (out, "FLAGS (");
    imap_print_flags (out, change->flags, change->keywords, session->view);
    ek_buf_appends (out, "))\r\n");
    break;
  }
}

bool
imap_tell_changes (ImapSession *session, const GArray *changes, guint *told, bool uid, EkBuf *out)
{
  while (*told < changes->len) {
    if (ek_buf_len (out) >= IMAP_WINDOW)
      return false;
    tell_change (session, &g_array_index (changes, EkChange, (*told)++), uid, out);
  }
  if (changes->len > 0 && ek_view_recent (session->view) != session->recent) {
    session->recent = ek_view_recent (session->view);
    ek_buf_printf (out, "* %u RECENT\r\n", session->recent);
  }
  return true;
}

void
imap_condstore (ImapSession *session, EkBuf *out)
{
  if (session->condstore)
    return;
  session->condstore = true;
  if (session->view)
    ek_buf_printf (out, "* OK [HIGHESTMODSEQ %" G_GUINT64_FORMAT "] Highest\r\n", ek_view_modseq (session->view));
}

/* ---- sets of messages -------------------------------------------------------------------------- */

bool
imap_set_uids (ImapCommand *command, ImapSet *set, EkRange **uids, guint *n)
{
  EkView *view = command->session->view;
  guint32 count = ek_view_count (view);

  *uids = set->ranges;
  if (command->uid) {
    imap_set_resolve (set, count > 0 ? ek_view_uid (view, count) : 0);
    *n = set->n;
    return true;
  }
  imap_set_resolve (set, count);
  *n = set->n;
  if (set->n == 0 || set->ranges[set->n - 1].last > count)
    return imap_bad (command, "Error in IMAP command %s: Invalid messageset", command->ops->name);
  for (guint i = 0; i < set->n; i++)
    set->ranges[i] = (EkRange) { ek_view_uid (view, set->ranges[i].first), ek_view_uid (view, set->ranges[i].last) };
  return true;
}

guint
imap_uids_count (EkView *view, const EkRange *uids, guint n)
{
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    guint32 first = ek_view_seq_from (view, uids[i].first);
    guint32 behind = uids[i].last == G_MAXUINT32 ? ek_view_count (view) + 1
                                                 : ek_view_seq_from (view, uids[i].last + 1);
    count += behind - first;
  }
  return count;
}
