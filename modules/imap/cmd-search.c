/* cmd-search.c - SEARCH (RFC 3501 section 6.4.4, RFC 4731, RFC 7162 section 3.1.5)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "match.h"

typedef struct {
  ImapSearch   search;
  ImapMatcher *matcher;
  EkFetch     *rows;
  GArray      *found;                /* EkRange of UIDs or sequence numbers */
  guint        count;
  guint64      modseq_first, modseq_last, modseq_most;
  bool         begun, searched, telling;
  guint        told;                 /* ranges of `found` that were written */
  guint32      next;                 /* and numbers of the next one */
} Search;

static bool
search_parse (ImapCommand *command, ImapScan *scan)
{
  Search *args = command->args;

  return imap_scan_space (scan) && imap_scan_search (scan, &args->search);
}

static bool
search_begin (ImapCommand *command, EkBuf *out)
{
  Search *args = command->args;
  guint n;

  if (args->search.bad_charset)
    return imap_no (command, "[BADCHARSET] Unknown charset");
  if (args->search.modseq)
    imap_condstore (command->session, out);
  args->matcher = imap_matcher_new (command->session->view, args->search.root);
  const EkRange *ranges = imap_matcher_ranges (args->matcher, &n);
  args->rows = ek_fetch_new (command->session->view, ranges, n, imap_matcher_items (args->matcher), 0);
  args->found = g_array_new (FALSE, FALSE, sizeof (EkRange));
  args->begun = true;
  return true;
}

static void
add_found (ImapCommand *command, const EkRow *row)
{
  Search *args = command->args;
  guint32 number = command->uid ? row->uid : row->seq;
  EkRange *last = args->found->len ? &g_array_index (args->found, EkRange, args->found->len - 1) : NULL;

  if (last && last->last + 1 == number)
    last->last = number;
  else
    g_array_append_val (args->found, ((EkRange) { number, number }));
  if (args->count++ == 0)
    args->modseq_first = row->modseq;
  args->modseq_last = row->modseq;
  args->modseq_most = MAX (args->modseq_most, row->modseq);
}

/* RFC 7162 section 3.1.10: of the messages that are told. */
static guint64
told_modseq (const Search *args)
{
  switch (args->search.extended ? args->search.results : 0) {
  case IMAP_RETURN_MIN:
    return args->modseq_first;
  case IMAP_RETURN_MAX:
    return args->modseq_last;
  case IMAP_RETURN_MIN | IMAP_RETURN_MAX:
    return MAX (args->modseq_first, args->modseq_last);
  default:
    return args->modseq_most;
  }
}

static void
end_answer (const Search *args, EkBuf *out)
{
  if (args->search.modseq && args->count > 0)
    ek_buf_printf (out, args->search.extended ? " MODSEQ %" G_GUINT64_FORMAT : " (MODSEQ %" G_GUINT64_FORMAT ")",
                   told_modseq (args));
  imap_put (out, "\r\n");
}

/* "* SEARCH 1 2 3", in windows; true while there is more. */
static bool
tell_plain (Search *args, EkBuf *out)
{
  if (!args->telling)
    imap_put (out, "* SEARCH");
  args->telling = true;
  while (args->told < args->found->len) {
    const EkRange *range = &g_array_index (args->found, EkRange, args->told);
    for (guint32 number = range->first + args->next; number <= range->last; number++, args->next++) {
      if (ek_buf_len (out) >= IMAP_WINDOW)
        return true;
      ek_buf_appendc (out, ' ');
      imap_put_number (out, number);
    }
    args->told++;
    args->next = 0;
  }
  end_answer (args, out);
  return false;
}

static void
tell_extended (ImapCommand *command, EkBuf *out)
{
  Search *args = command->args;
  guint results = args->search.results;
  ImapSet set = { (EkRange *) (gpointer) args->found->data, args->found->len };

  imap_put (out, "* ESEARCH (TAG ");
  ek_imap_string (out, command->tag);
  imap_put (out, command->uid ? ") UID" : ")");
  if (args->count > 0) {
    if (results & IMAP_RETURN_MIN)
      ek_buf_printf (out, " MIN %u", set.ranges[0].first);
    if (results & IMAP_RETURN_MAX)
      ek_buf_printf (out, " MAX %u", set.ranges[set.n - 1].last);
    if (results & IMAP_RETURN_ALL) {
      imap_put (out, " ALL ");
      imap_set_print (&set, out);
    }
  }
  if (results & IMAP_RETURN_COUNT)
    ek_buf_printf (out, " COUNT %u", args->count);
  end_answer (args, out);
}

/* Tests rows until the turn is over (true) or there are no more. */
static bool
search_rows (ImapCommand *command, EkBuf *out, EkStatus *status, GError **error)
{
  Search *args = command->args;
  EkRow row;

  while ((*status = ek_fetch_next (args->rows, &row, error)) == EK_OK) {
    bool matches;
    *status = imap_matcher_test (args->matcher, &row, &matches, error);
    if (*status == EK_NOTFOUND)
      g_clear_error (error);
    else if (*status != EK_OK)
      return false;
    else if (matches)
      add_found (command, &row);
    if (imap_turn_over (command, out))
      return true;
  }
  args->searched = *status == EK_NOTFOUND;
  return false;
}

static bool
search_step (ImapCommand *command, EkBuf *out)
{
  Search *args = command->args;
  GError *error = NULL;
  EkStatus status;

  if (!args->begun && !search_begin (command, out))
    return false;
  if (!args->searched && search_rows (command, out, &status, &error))
    return true;
  if (!args->searched)
    return imap_fail (command, status, error, "SEARCH");
  if (args->search.extended)
    tell_extended (command, out);
  else if (tell_plain (args, out))
    return true;
  return imap_ok (command, "Search completed");
}

static void
search_park (ImapCommand *command)
{
  Search *args = command->args;

  if (args->rows)
    ek_fetch_pause (args->rows);
}

static void
search_clear (ImapCommand *command)
{
  Search *args = command->args;

  g_clear_pointer (&args->rows, ek_fetch_free);
  g_clear_pointer (&args->matcher, imap_matcher_free);
  g_clear_pointer (&args->found, g_array_unref);
}

const ImapCommandOps imap_search = {
  .name = "SEARCH", .flags = IMAP_SELECTED | IMAP_UID | IMAP_NO_EXPUNGE, .args_size = sizeof (Search),
  .parse = search_parse, .step = search_step, .park = search_park, .clear = search_clear,
};
