/* command.c - the table of commands, a command's turns and its tagged answer
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"
#include <errno.h>

static const ImapCommandOps *const commands[] = {
#define ROW(name_) &imap_##name_,
  IMAP_COMMANDS (ROW)
#undef ROW
};

const ImapCommandOps *
imap_command_find (EkStr name, bool uid)
{
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++) {
    guint flags = commands[i]->flags;
    bool fits = uid ? (flags & (IMAP_UID | IMAP_UID_ONLY)) != 0 : (flags & IMAP_UID_ONLY) == 0;
    if (fits && ek_str_ieq (name, ek_str (commands[i]->name)))
      return commands[i];
  }
  return NULL;
}

ImapCommand *
imap_command_new (ImapSession *session, EkPool *pool, const ImapCommandOps *ops, EkStr tag, bool uid)
{
  ImapCommand *command = ek_pool_new0 (pool, ImapCommand);

  *command = (ImapCommand) { .ops = ops, .session = session, .pool = pool, .uid = uid, .started = ek_now () };
  command->tag = ek_pool_str (pool, tag);
  if (ops->args_size > 0)
    command->args = ek_pool_alloc (pool, ops->args_size);
  return command;
}

void
imap_command_free (ImapCommand *command)
{
  if (command == NULL)
    return;
  if (command->ops->clear)
    command->ops->clear (command);
  if (command->changes)
    g_array_unref (command->changes);
  ek_buf_release (&command->out);
  ek_pool_free (command->pool);
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool G_GNUC_PRINTF (3, 0)
answer (ImapCommand *command, const char *status, const char *fmt, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (fmt, args);

  command->status = status;
  command->text = ek_pool_strdup (command->pool, text);
  return false;
}

bool
imap_ok (ImapCommand *command, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  answer (command, "OK", fmt, args);
  va_end (args);
  return false;
}

bool
imap_no (ImapCommand *command, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  answer (command, "NO", fmt, args);
  va_end (args);
  return false;
}

bool
imap_bad (ImapCommand *command, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  answer (command, "BAD", fmt, args);
  va_end (args);
  return false;
}

/* RFC 5530's response code for a refusal. */
static const char *
refusal_code (int code)
{
  switch (code) {
  case EEXIST:
    return "[ALREADYEXISTS]";
  case ENOSPC:
    return "[LIMIT]";
  case EDQUOT:
    return "[OVERQUOTA]";
  case EACCES:
    return "[NOPERM]";
  default:
    return "[CANNOT]";
  }
}

bool
imap_fail (ImapCommand *command, EkStatus status, GError *error, const char *what)
{
  const char *text = error ? error->message : what;

  switch (status) {
  case EK_NOTFOUND:
    imap_no (command, "[NONEXISTENT] Mailbox doesn't exist: %s", what);
    break;
  case EK_FAIL:
    imap_no (command, "%s %s", refusal_code (error ? error->code : 0), text);
    break;
  default:
    ek_log (EK_ERR, "imap", "%s: %s", what, text);
    imap_no (command, "[UNAVAILABLE] Temporary failure, try again later.");
    break;
  }
  g_clear_error (&error);
  return false;
}

/* The text goes into a line of ASCII: what a client wrote into it must not end that line. */
static void
print_text (EkBuf *out, const char *text)
{
  for (; *text; text++)
    ek_buf_appendc (out, (guchar) *text < 32 || (guchar) *text > 126 ? '?' : *text);
}

static void
print_tagged (ImapCommand *command, EkBuf *out)
{
  gint64 us = ek_now () - command->started;

  if (command->tag.n == 0)
    return;
  ek_buf_append (out, command->tag.p, command->tag.n);
  ek_buf_printf (out, " %s ", command->status);
  print_text (out, command->text);
  ek_buf_printf (out, " (%" G_GINT64_FORMAT ".%03d secs).\r\n", us / 1000000, (int) (us / 1000 % 1000));
}

/* ---- turns ---------------------------------------------------------------------------------- */

bool
imap_turn_over (const ImapCommand *command, const EkBuf *out)
{
  return ek_buf_len (out) >= IMAP_WINDOW || ek_now () >= command->turn_end;
}

/* What other sessions and programs did, once step() is through. */
static void
sync_view (ImapCommand *command)
{
  ImapSession *session = command->session;
  guint how = (command->ops->flags & IMAP_NO_EXPUNGE) && !command->uid ? EK_SYNC_NO_EXPUNGE : 0;
  GError *error = NULL;

  command->synced = true;
  if (session->view == NULL || (command->ops->flags & IMAP_NO_SYNC))
    return;
  if (command->changes == NULL)
    command->changes = g_array_new (FALSE, FALSE, sizeof (EkChange));
  EkStatus status = ek_view_sync (session->view, how, imap_collect_change, command->changes, &error);
  if (status == EK_NOTFOUND)
    session->mailbox_gone = true;
  else if (status != EK_OK)
    ek_log (EK_ERR, "imap", "synchronising %s: %s", ek_view_name (session->view), error ? error->message : "?");
  g_clear_error (&error);
}

static bool
turn (ImapCommand *command, EkBuf *out)
{
  if (!command->stepped) {
    bool more = command->ops->step (command, out);
    if (command->ops->park)
      command->ops->park (command);
    if (more)
      return false;
    command->stepped = true;
  }
  if (!command->synced)
    sync_view (command);
  if (command->changes
      && !imap_tell_changes (command->session, command->changes, &command->n_told, command->uid, out))
    return false;
  if (!(command->ops->flags & IMAP_LATER))
    print_tagged (command, out);
  return true;
}

bool
imap_command_turn (ImapCommand *command, EkBuf *out)
{
  GError *error = NULL;
  bool on_loop = (command->ops->flags & IMAP_ON_LOOP) != 0;

  command->turn_end = ek_now () + IMAP_TURN_US;
  if (!on_loop) {
    EkStatus status = ek_index_enter (command->session->ix, &error);
    if (status != EK_OK) {
      imap_fail (command, EK_DEFER, error, "opening the index");
      print_tagged (command, out);
      return true;
    }
  }
  bool finished = turn (command, out);
  if (!on_loop)
    ek_index_leave (command->session->ix);
  return finished;
}
