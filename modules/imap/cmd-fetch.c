/* cmd-fetch.c - FETCH (RFC 3501 section 6.4.5, RFC 7162 section 3.1.4)
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rows come from the index one by one.  A row's items are written at once, its BODY[...] sections
 * as the window allows.  When sections set \Seen the messages are handled in batches: a scout looks
 * at the flags of the next ones, those that are unseen are stored as seen together, and the rows of
 * the batch are fetched after that, so they show the new flags and mod-sequences.
 */
#include "section.h"
#include "mail/mime.h"

#define BATCH 64

typedef struct {
  ImapSet    set;
  ImapFetch  what;
  EkRange   *uids;
  guint      n_uids;
  bool       begun;
  bool       mark;                   /* sections set \Seen */
  bool       need_source;            /* sections need the structure or cached headers of the row */
  guint      row_items;
  EkFetch   *scout;                  /* with `mark`: the flags of what comes */
  EkFetch   *rows;                   /* with `mark`: of this batch */
  guint32    marked[BATCH];          /* UIDs of this batch that have become seen, ascending */
  guint      n_marked;
  guint      missing;
  bool       in_row;
  guint      section;                /* the one that is written, or is next */
  bool       in_section;
  bool       first;                  /* nothing of the row's list was written */
  ImapSource source;
  ImapBody   body;
} Fetch;

static bool
fetch_parse (ImapCommand *command, ImapScan *scan)
{
  Fetch *args = command->args;

  return imap_scan_space (scan) && imap_scan_set (scan, &args->set)
         && imap_scan_space (scan) && imap_scan_fetch (scan, &args->what);
}

/* ---- batches ---------------------------------------------------------------------------------- */

static void
end_rows (Fetch *args)
{
  if (args->rows)
    args->missing += ek_fetch_missing (args->rows);
  g_clear_pointer (&args->rows, ek_fetch_free);
}

static EkStatus
mark_seen (ImapCommand *command, GError **error)
{
  Fetch *args = command->args;
  EkRange uids[BATCH];
  EkStore store = { .op = EK_STORE_ADD, .flags = EK_FLAG_SEEN, .unchanged_since = G_MAXUINT64 };

  if (args->n_marked == 0)
    return EK_OK;
  for (guint i = 0; i < args->n_marked; i++)
    uids[i] = (EkRange) { args->marked[i], args->marked[i] };
  return ek_view_store (command->session->view, uids, args->n_marked, &store, NULL, NULL, NULL, error);
}

/* NOTFOUND: there are no more. */
static EkStatus
next_batch (ImapCommand *command, GError **error)
{
  Fetch *args = command->args;
  EkRange ranges[BATCH];
  guint n = 0;
  EkStatus status = EK_OK;
  EkRow row;

  end_rows (args);
  args->n_marked = 0;
  while (n < BATCH && (status = ek_fetch_next (args->scout, &row, error)) == EK_OK) {
    ranges[n++] = (EkRange) { row.uid, row.uid };
    if (!(row.flags & EK_FLAG_SEEN))
      args->marked[args->n_marked++] = row.uid;
  }
  if (n == 0 || (status != EK_OK && status != EK_NOTFOUND))
    return status;
  ek_fetch_pause (args->scout);
  status = mark_seen (command, error);
  if (status == EK_OK)
    args->rows = ek_fetch_new (command->session->view, ranges, n, args->row_items, 0);
  return status;
}

static EkStatus
next_row (ImapCommand *command, EkRow *row, GError **error)
{
  Fetch *args = command->args;
  EkStatus status;

  if (!args->mark)
    return ek_fetch_next (args->rows, row, error);
  while (args->rows == NULL || (status = ek_fetch_next (args->rows, row, error)) == EK_NOTFOUND)
    if ((status = next_batch (command, error)) != EK_OK)
      break;
  return status;
}

static bool
was_marked (const Fetch *args, guint32 uid)
{
  for (guint i = 0; i < args->n_marked; i++)
    if (args->marked[i] == uid)
      return true;
  return false;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void
begin_item (Fetch *args, EkBuf *out, const char *name)
{
  if (!args->first)
    ek_buf_appendc (out, ' ');
  args->first = false;
  imap_put (out, name);
}

static void
print_structure (Fetch *args, guint items, EkBuf *out)
{
  if (items & IMAP_ITEM_BODYSTRUCTURE) {
    begin_item (args, out, "BODYSTRUCTURE ");
    ek_imap_body (out, args->source.mime, true);
  }
  if (items & IMAP_ITEM_BODY) {
    begin_item (args, out, "BODY ");
    ek_imap_body (out, args->source.mime, false);
  }
}

static void
print_items (ImapCommand *command, const EkRow *row, EkBuf *out)
{
  Fetch *args = command->args;
  guint items = args->what.items;
  bool marked = args->mark && was_marked (args, row->uid);

  if (items & IMAP_ITEM_UID) {
    begin_item (args, out, "UID ");
    imap_put_number (out, row->uid);
  }
  if ((items & IMAP_ITEM_FLAGS) || marked) {
    begin_item (args, out, "FLAGS (");
    imap_print_flags (out, row->flags, row->keywords, command->session->view);
    ek_buf_appendc (out, ')');
  }
  if (items & IMAP_ITEM_INTERNALDATE) {
    begin_item (args, out, "INTERNALDATE ");
    imap_put_date (out, row->date);
  }
  if (items & IMAP_ITEM_SIZE) {
    begin_item (args, out, "RFC822.SIZE ");
    imap_put_number (out, row->size);
  }
  if ((items & IMAP_ITEM_MODSEQ) || (marked && command->session->condstore)) {
    begin_item (args, out, "MODSEQ (");
    imap_put_number (out, row->modseq);
    ek_buf_appendc (out, ')');
  }
  if (items & IMAP_ITEM_ENVELOPE) {
    begin_item (args, out, "ENVELOPE ");
    ek_buf_append (out, row->envelope.p, row->envelope.n);
  }
  print_structure (args, items, out);
}

/* The row's own memory: kept while its sections are written. */
static EkStatus
open_source (ImapCommand *command, const EkRow *row, GError **error)
{
  Fetch *args = command->args;
  ImapSource *source = &args->source;
  EkStatus status = EK_OK;

  imap_source_next (source, command->session->view, row->uid);
  if (row->structure.n > 0)
    source->structure = ek_pool_str (source->pool, row->structure);
  if ((args->row_items & EK_ROW_HEADERS) && row->headers.p)
    source->headers = ek_pool_str (source->pool, row->headers);
  if (args->what.items & (IMAP_ITEM_BODY | IMAP_ITEM_BODYSTRUCTURE))
    status = imap_source_mime (source, error);
  /* The first section tells whether the message is still there, before anything is written. */
  if (status == EK_OK && args->what.n_sections > 0) {
    status = imap_section_begin (source, &args->what.sections[0], &args->body, error);
    args->in_section = false;
  }
  return status;
}

static EkStatus
begin_row (ImapCommand *command, const EkRow *row, EkBuf *out, GError **error)
{
  Fetch *args = command->args;

  if (args->need_source) {
    EkStatus status = open_source (command, row, error);
    if (status != EK_OK)
      return status;
  }
  imap_put (out, "* ");
  imap_put_number (out, row->seq);
  imap_put (out, " FETCH (");
  args->first = true;
  args->in_row = true;
  args->section = 0;
  print_items (command, row, out);
  return EK_OK;
}

static EkStatus
begin_section (Fetch *args, EkBuf *out, GError **error)
{
  const ImapSection *section = &args->what.sections[args->section];
  EkStatus status = EK_OK;

  if (args->section > 0)
    status = imap_section_begin (&args->source, section, &args->body, error);
  if (status != EK_OK)
    return status;
  begin_item (args, out, section->label);
  if (section->partial)
    ek_buf_printf (out, "<%u>", section->offset);
  imap_put (out, " {");
  imap_put_number (out, args->body.left);
  imap_put (out, "}\r\n");
  args->in_section = true;
  return EK_OK;
}

/* Writes sections until the window is full; args->in_row is false when the row is over. */
static EkStatus
continue_row (ImapCommand *command, EkBuf *out, GError **error)
{
  Fetch *args = command->args;
  EkStatus status = EK_OK;

  while (args->section < args->what.n_sections) {
    if (!args->in_section && (status = begin_section (args, out, error)) != EK_OK)
      return status;
    while (args->body.left > 0) {
      gsize len = ek_buf_len (out);
      if (imap_turn_over (command, out))
        return EK_OK;
      status = imap_section_read (&args->source, &args->body, IMAP_WINDOW - len, out, error);
      if (status != EK_OK)
        return status;
    }
    args->in_section = false;
    args->section++;
  }
  imap_put (out, ")\r\n");
  imap_source_clear (&args->source);
  args->in_row = false;
  return EK_OK;
}

/* ---- the command --------------------------------------------------------------------------------- */

static guint
row_items (const ImapFetch *what)
{
  guint items = EK_ROW_FLAGS;

  if (what->items & IMAP_ITEM_INTERNALDATE)
    items |= EK_ROW_DATE;
  if (what->items & IMAP_ITEM_SIZE)
    items |= EK_ROW_SIZE;
  if (what->items & IMAP_ITEM_ENVELOPE)
    items |= EK_ROW_ENVELOPE;
  if (what->items & (IMAP_ITEM_BODY | IMAP_ITEM_BODYSTRUCTURE))
    items |= EK_ROW_STRUCTURE;
  for (guint i = 0; i < what->n_sections; i++)
    items |= imap_section_items (&what->sections[i]);
  return items;
}

static bool
fetch_begin (ImapCommand *command, EkBuf *out)
{
  Fetch *args = command->args;
  EkView *view = command->session->view;
  guint items;

  if (!imap_set_uids (command, &args->set, &args->uids, &args->n_uids))
    return false;
  if (command->uid)
    args->what.items |= IMAP_ITEM_UID;
  if (args->what.items & IMAP_ITEM_MODSEQ)
    imap_condstore (command->session, out);
  for (guint i = 0; i < args->what.n_sections && !ek_view_readonly (view); i++)
    args->mark |= !args->what.sections[i].peek;
  args->row_items = items = row_items (&args->what);
  args->need_source = args->what.n_sections > 0 || (items & EK_ROW_STRUCTURE);
  args->source.pool = ek_pool_new ();
  EkFetch *fetch = ek_fetch_new (view, args->uids, args->n_uids, args->mark ? EK_ROW_FLAGS : items,
                                 args->what.changed_since);
  *(args->mark ? &args->scout : &args->rows) = fetch;
  args->begun = true;
  return true;
}

static bool
fetch_failed (ImapCommand *command, EkStatus status, GError *error)
{
  Fetch *args = command->args;

  if (args->in_row) {                /* a literal was promised: nothing can be said any more */
    ek_log (EK_ERR, "imap", "FETCH: %s", error ? error->message : "the message is gone");
    g_clear_error (&error);
    command->session->broken = true;
    return imap_no (command, "Broken");
  }
  return imap_fail (command, status, error, "FETCH");
}

static bool
fetch_finish (ImapCommand *command)
{
  Fetch *args = command->args;

  end_rows (args);
  if (args->missing > 0 && ek_view_doubtful (command->session->view))
    return imap_no (command, "[UNAVAILABLE] Some of the requested messages cannot be read yet: try again");
  if (args->missing > 0)
    return imap_no (command, "[EXPUNGEISSUED] Some of the requested messages no longer exist");
  return imap_ok (command, "Fetch completed");
}

static bool
fetch_step (ImapCommand *command, EkBuf *out)
{
  Fetch *args = command->args;
  GError *error = NULL;
  EkStatus status = EK_OK;
  EkRow row;

  if (!args->begun && !fetch_begin (command, out))
    return false;
  for (;;) {
    if (args->in_row && (status = continue_row (command, out, &error)) != EK_OK)
      return fetch_failed (command, status, error);
    if (args->in_row || imap_turn_over (command, out))
      return true;
    status = next_row (command, &row, &error);
    if (status == EK_NOTFOUND)
      return fetch_finish (command);
    if (status == EK_OK)
      status = begin_row (command, &row, out, &error);
    if (status == EK_NOTFOUND) {
      g_clear_error (&error);
      args->missing++;
    }
    else if (status != EK_OK)
      return fetch_failed (command, status, error);
  }
}

static void
fetch_park (ImapCommand *command)
{
  Fetch *args = command->args;

  if (args->scout)
    ek_fetch_pause (args->scout);
  if (args->rows)
    ek_fetch_pause (args->rows);
}

static void
fetch_clear (ImapCommand *command)
{
  Fetch *args = command->args;

  g_clear_pointer (&args->scout, ek_fetch_free);
  g_clear_pointer (&args->rows, ek_fetch_free);
  imap_source_clear (&args->source);
  g_clear_pointer (&args->source.pool, ek_pool_free);
}

const ImapCommandOps imap_fetch = {
  .name = "FETCH", .flags = IMAP_SELECTED | IMAP_UID | IMAP_NO_EXPUNGE, .args_size = sizeof (Fetch),
  .parse = fetch_parse, .step = fetch_step, .park = fetch_park, .clear = fetch_clear,
};
