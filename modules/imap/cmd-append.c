/* cmd-append.c - APPEND (RFC 3501 section 6.3.11): the message goes to disk as it comes
 * SPDX-License-Identifier: Apache-2.0
 *
 * Turns: the mailbox is found and a file begun; then, for each 64 KB of the client's message, one
 * write; at the end the file becomes a message.  Between turns the loop fills `data`.
 */
#include "imap.h"

#define CHUNK 65536

typedef struct {
  const char *mailbox;
  ImapFlags   flags;
  gint64      date;
  EkAppend   *append;
  EkBuf       data;
  bool        begun, ended;
  bool        junk;                  /* something stood behind the message */
} Append;

static bool
append_parse (ImapCommand *command, ImapScan *scan)
{
  Append *args = command->args;

  if (!command->session->reader.message)
    return imap_scan_fail (scan, "The message must be a literal");
  if (!imap_scan_space (scan) || !imap_scan_mailbox (scan, &args->mailbox))
    return false;
  if (imap_scan_peek (scan, ' ') && imap_scan_space (scan) && imap_scan_peek (scan, '(')
      && (!imap_scan_flags (scan, &args->flags) || !imap_scan_space (scan)))
    return false;
  if (imap_scan_peek (scan, '"') && (!imap_scan_date_time (scan, &args->date) || !imap_scan_space (scan)))
    return false;
  return scan->p[-1] == ' ' || imap_scan_fail (scan, "Invalid arguments");
}

static bool
append_failed (ImapCommand *command, EkStatus status, GError *error)
{
  Append *args = command->args;

  if (status == EK_NOTFOUND) {
    g_clear_error (&error);
    return imap_no (command, "[TRYCREATE] Mailbox doesn't exist: %s", args->mailbox);
  }
  return imap_fail (command, status, error, args->mailbox);
}

static bool
append_begin (ImapCommand *command)
{
  Append *args = command->args;
  ImapSession *session = command->session;
  const ImapOptions *options = ek_session_options (session->net);
  GError *error = NULL;

  if (session->reader.message_size > options->append_max.bytes)
    return imap_no (command, "[LIMIT] Message is larger than %" G_GUINT64_FORMAT " bytes",
                    options->append_max.bytes);
  if (args->mailbox == NULL)
    return imap_no (command, "Mailbox name is not valid mUTF-7");
  EkStatus status = ek_append_new (session->ix, args->mailbox, args->date, args->flags.system, args->flags.keywords,
                                   &args->append, &error);
  if (status != EK_OK)
    return append_failed (command, status, error);
  args->begun = true;
  command->ask = session->reader.message_sync;
  session->reader.message_sync = false;
  return true;
}

static bool
append_finish (ImapCommand *command)
{
  Append *args = command->args;
  guint32 uidvalidity, uid;
  GError *error = NULL;

  if (args->junk)
    return imap_bad (command, "Error in IMAP command APPEND: One message at a time");
  EkStatus status = ek_append_finish (g_steal_pointer (&args->append), &uidvalidity, &uid, &error);
  if (status != EK_OK)
    return append_failed (command, status, error);
  return imap_ok (command, "[APPENDUID %u %u] Append completed", uidvalidity, uid);
}

static bool
append_step (ImapCommand *command, EkBuf *out)
{
  Append *args = command->args;
  GError *error = NULL;

  if (!args->begun && !append_begin (command))
    return false;
  if (ek_buf_len (&args->data) > 0) {
    EkStatus status = ek_append_write (args->append, ek_buf_at (&args->data), ek_buf_len (&args->data), &error);
    if (status != EK_OK)
      return append_failed (command, status, error);
    ek_buf_clear (&args->data);
  }
  if (args->ended)
    return append_finish (command);
  command->wants_input = true;
  return true;
}

gsize
imap_append_input (ImapCommand *command, const char *bytes, gsize len)
{
  Append *args = command->args;
  ImapReader *reader = &command->session->reader;
  gsize room = CHUNK - ek_buf_len (&args->data), n = (gsize) MIN (MIN (len, room), reader->message_size);

  ek_buf_append (&args->data, bytes, n);
  reader->message_size -= n;
  if (ek_buf_len (&args->data) == CHUNK)
    command->wants_input = false;
  return n;
}

void
imap_append_line_end (ImapCommand *command, EkStr rest)
{
  Append *args = command->args;

  args->junk = rest.n > 0;
  args->ended = true;
  command->wants_input = false;
}

static void
append_clear (ImapCommand *command)
{
  Append *args = command->args;

  ek_append_free (args->append);
  ek_buf_release (&args->data);
}

const ImapCommandOps imap_append = {
  .name = "APPEND", .args_size = sizeof (Append), .parse = append_parse, .step = append_step, .clear = append_clear,
};
