/* session.c - a session after login: input to commands, commands to jobs, output in windows
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything here runs on the loop thread, but turn_run().
 */
#include "imap.h"
#include <string.h>

static void turn_start (ImapSession *self);

static const ImapOptions *
options_of (const ImapSession *self)
{
  return ek_session_options (self->net);     /* a reload changes them between commands */
}

/* ---- output --------------------------------------------------------------------------------- */

static void
send_buf (ImapSession *self, EkBuf *out)
{
  if (ek_buf_len (out) > 0)
    ek_session_send (self->net, ek_buf_at (out), ek_buf_len (out));
  self->bytes_out += ek_buf_len (out);
  ek_buf_clear (out);
}

static void
say_goodbye (ImapSession *self, const char *line)
{
  self->logout = true;
  ek_session_sends (self->net, line);
  ek_session_close (self->net);
}

/* ---- turns of the command that is under way ----------------------------------------------------- */

static void
set_timeout (ImapSession *self)
{
  const ImapOptions *options = options_of (self);

  ek_session_timeout (self->net, self->idle_tag ? options->idle_keepalive : options->idle_timeout);
}

static void
free_all (ImapSession *self)
{
  imap_command_free (self->command);
  self->command = NULL;
  ek_view_free (self->view);
  self->view = NULL;
  imap_reader_release (&self->reader);
  g_clear_pointer (&self->idle_tag, g_free);
}

static void
command_over (ImapSession *self)
{
  ImapCommand *command = self->command;
  bool idle = command->ops == &imap_idle && command->stepped;

  if (idle)
    self->idle_tag = g_strndup (command->tag.p, command->tag.n);
  imap_command_free (command);
  self->command = NULL;
  if (idle)
    set_timeout (self);
  if (self->reader.message)          /* APPEND failed before its message was over */
    imap_reader_drop_message (&self->reader);
  if (self->mailbox_gone)
    say_goodbye (self, "* BYE Selected mailbox was deleted, have to disconnect.\r\n");
  else if (self->logout || self->broken)
    ek_session_close (self->net);
  else if (self->changed && self->idle_tag)
    imap_session_changed (self->view, self);
}

/* After a turn: what it wrote goes out; on with the next turn, the client's bytes or the next command. */
static void
turn_over (ImapSession *self)
{
  ImapCommand *command = self->command;

  send_buf (self, &command->out);
  if (command->finished || self->broken) {
    command_over (self);
    if (self->command == NULL && !self->logout)
      ek_session_resume (self->net);
  }
  else if (command->wants_input) {
    if (command->ask)
      ek_session_sends (self->net, "+ OK\r\n");
    command->ask = false;
    ek_session_resume (self->net);
  }
  else if (ek_session_unsent (self->net) > IMAP_WINDOW) {
    ek_buf_release (&command->out);
    self->parked = true;
  }
  else
    turn_start (self);
}

static void
turn_run (EkJob *job, EkJobThread *thread)
{
  ImapCommand *command = (ImapCommand *) ((char *) job - G_STRUCT_OFFSET (ImapCommand, job));

  command->ran = true;
  command->finished = imap_command_turn (command, &command->out);
}

static void
turn_done (EkJob *job)
{
  ImapCommand *command = (ImapCommand *) ((char *) job - G_STRUCT_OFFSET (ImapCommand, job));
  ImapSession *self = command->session;

  command->running = false;
  if (self->gone)
    free_all (self);
  else if (!command->ran)            /* the worker is going down */
    say_goodbye (self, "* BYE Server is shutting down.\r\n");
  else
    turn_over (self);
}

static void
turn_start (ImapSession *self)
{
  ImapCommand *command = self->command;

  command->ran = false;
  command->running = true;
  command->job.run = turn_run;
  command->job.done = turn_done;
  ek_session_job (self->net, &command->job);
}

static void
command_start (ImapSession *self, ImapCommand *command)
{
  self->command = command;
  if (command->ops->flags & IMAP_ON_LOOP) {
    command->finished = imap_command_turn (command, &command->out);
    send_buf (self, &command->out);
    command_over (self);
    return;
  }
  ek_session_wait (self->net);
  turn_start (self);
}

void
imap_session_drained (ImapSession *self)
{
  if (!self->parked)
    return;
  self->parked = false;
  turn_start (self);
}

/* ---- IDLE (RFC 2177) ------------------------------------------------------------------------ */

void
imap_session_changed (EkView *view, gpointer data)
{
  ImapSession *self = data;

  self->changed = true;
  if (self->command || self->idle_tag == NULL || self->logout)
    return;
  self->changed = false;
  command_start (self, imap_command_new (self, ek_pool_new (), &imap_idle_sync, EK_STR (""), false));
}

/* The client ends it, with DONE or with nonsense. */
static void
idle_ended (ImapSession *self, EkStr line)
{
  bool good = ek_str_ieq (ek_str_trim (line), EK_STR ("DONE"));
  g_autofree char *tag = g_steal_pointer (&self->idle_tag);
  ImapCommand *command = imap_command_new (self, ek_pool_new (), &imap_idle_done, ek_str (tag), false);

  if (good)
    imap_ok (command, "Idle completed");
  else
    imap_bad (command, "Expected DONE");
  self->changed = false;
  set_timeout (self);
  command_start (self, command);
}

/* ---- input to commands ---------------------------------------------------------------------------------- */

static void
bad_command (ImapSession *self, EkStr tag, const char *name, const char *error)
{
  EkBuf out = { 0 };

  if (tag.n > 0)
    ek_buf_printf (&out, "%.*s BAD Error in IMAP command%s%s: %s.\r\n", EK_STR_ARG (tag), *name ? " " : "",
                   name, error);
  else
    ek_buf_printf (&out, "* BAD Error in IMAP command received by server: %s.\r\n", error);
  send_buf (self, &out);
  ek_buf_release (&out);
  if (++self->bad_commands >= options_of (self)->bad_commands_max)
    say_goodbye (self, IMAP_BAD_LIMIT_TEXT);
}

/* "UID FETCH", "FETCH": the row and whether UID stood before it; NULL when there is none.  `name` is what to
 * call it in an error. */
static const ImapCommandOps *
scan_command_name (ImapScan *scan, bool *uid, char name[static 24])
{
  EkStr word;

  *name = '\0';
  if (!imap_scan_char (scan, ' ') || !imap_scan_atom (scan, &word)) {
    scan->error = "Invalid command name";
    return NULL;
  }
  *uid = ek_str_ieq (word, EK_STR ("UID"));
  if (*uid && (!imap_scan_space (scan) || !imap_scan_atom (scan, &word)))
    return NULL;
  const ImapCommandOps *ops = imap_command_find (word, *uid);
  if (ops)
    g_snprintf (name, 24, "%s%s", *uid ? "UID " : "", ops->name);
  else
    scan->error = "Unknown command";
  return ops;
}

/* Parses one command's text and starts it. */
static void
begin_command (ImapSession *self, EkStr text)
{
  char name[24];
  bool uid;
  EkStr tag;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStr copy = ek_pool_str (pool, text);
  ImapScan scan = { .p = copy.p, .end = copy.p + copy.n, .pool = pool };

  if (!imap_scan_tag (&scan, &tag) || tag.n > IMAP_TAG_MAX) {
    bad_command (self, (EkStr) { "", 0 }, "", "Invalid tag");
    return;
  }
  const ImapCommandOps *ops = scan_command_name (&scan, &uid, name);
  if (ops == NULL) {
    bad_command (self, tag, name, scan.error);
    return;
  }
  if ((ops->flags & IMAP_SELECTED) && self->view == NULL) {
    bad_command (self, tag, name, "No mailbox selected");
    return;
  }
  ImapCommand *command = imap_command_new (self, g_steal_pointer (&pool), ops, tag, uid);
  if (!(ops->parse == NULL || ops->parse (command, &scan)) || !imap_scan_end (&scan)) {
    bad_command (self, tag, name, scan.error ? scan.error : "Invalid arguments");
    imap_command_free (command);
    return;
  }
  self->bad_commands = 0;
  command_start (self, command);
}

/* A command that was too long: its tag is at the beginning of what was kept. */
static void
refuse_command (ImapSession *self)
{
  ImapScan scan = { .p = ek_buf_at (&self->reader.text) };
  EkStr tag;

  scan.end = scan.p + ek_buf_len (&self->reader.text);
  if (!imap_scan_tag (&scan, &tag) || tag.n > IMAP_TAG_MAX)
    tag.n = 0;
  bad_command (self, tag, "", self->reader.refused);
}

/* A line is whole: a command, the end of IDLE or of an APPEND. */
static void
read_line (ImapSession *self, EkStr text)
{
  if (self->command) {
    self->reader.message = false;
    imap_append_line_end (self->command, text);
  }
  else if (self->idle_tag)
    idle_ended (self, text);
  else
    begin_command (self, text);
}

static void
read_event (ImapSession *self, ImapRead event)
{
  EkStr text = ek_buf_len (&self->reader.text) ? ek_buf_str (&self->reader.text) : EK_STR ("");

  switch (event) {
  case IMAP_READ_MORE:
    return;
  case IMAP_READ_ASK:
    ek_session_sends (self->net, "+ OK\r\n");
    return;
  case IMAP_READ_REFUSED:
    if (self->command || self->idle_tag)
      read_line (self, EK_STR ("too long"));
    else
      refuse_command (self);
    break;
  case IMAP_READ_MESSAGE:
    self->reader.message = true;
    begin_command (self, text);
    if (self->command == NULL && self->reader.message) {
      imap_reader_drop_message (&self->reader);
      return;
    }
    break;
  case IMAP_READ_COMMAND:
    read_line (self, text);
    break;
  }
  imap_reader_next (&self->reader);
}

/* Bytes while APPEND waits for them: its message, then the end of its line. */
static gsize
append_input (ImapSession *self, const char *bytes, gsize len)
{
  ImapCommand *command = self->command;
  gsize used = imap_append_input (command, bytes, len);

  if (command->wants_input && used < len) {
    gsize n;
    self->reader.append = false;     /* no command begins here, whatever the words are */
    read_event (self, imap_reader_feed (&self->reader, bytes + used, len - used, &n));
    used += n;
  }
  if (!command->wants_input) {
    ek_session_wait (self->net);
    turn_start (self);
  }
  return used;
}

gsize
imap_session_input (ImapSession *self, const char *bytes, gsize len)
{
  gsize used = 0, n;

  while (used < len && !self->logout) {
    if (self->command && (self->command->running || !self->command->wants_input))
      break;
    if (self->command) {
      used += append_input (self, bytes + used, len - used);
      continue;
    }
    self->reader.append = self->idle_tag == NULL;
    ImapRead event = imap_reader_feed (&self->reader, bytes + used, len - used, &n);
    used += n;
    read_event (self, event);
  }
  if (ek_buf_len (&self->reader.text) == 0)
    imap_reader_release (&self->reader);
  self->bytes_in += self->logout ? len : used;
  return self->logout ? len : used;
}

/* ---- the life of a session ------------------------------------------------------------------------------ */

void
imap_session_open (ImapSession *self, EkSession *net, EkIndex *ix)
{
  self->net = net;
  self->ix = ix;
  self->separator = ek_index_separator (ix);
  self->reader.max = (gsize) options_of (self)->command_max.bytes;
  self->reader.append = true;
  EkStr tag = ek_session_tag (net);
  ek_session_sendf (net, "%.*s OK [CAPABILITY " IMAP_CAPABILITIES "] Logged in\r\n", EK_STR_ARG (tag));
  set_timeout (self);
}

void
imap_session_timeout (ImapSession *self)
{
  if (self->idle_tag) {
    ek_session_sends (self->net, "* OK Still here\r\n");
    set_timeout (self);
  }
  else
    say_goodbye (self, "* BYE Disconnected for inactivity.\r\n");
}

void
imap_session_shutdown (ImapSession *self)
{
  say_goodbye (self, "* BYE Server is shutting down.\r\n");
}

static void
log_end (ImapSession *self, EkCloseReason why)
{
  static const char *const reasons[] = { "Connection closed", "Logged out", "Inactivity", "Connection error",
                                         "Shutting down" };
  const EkUser *user = ek_session_user (self->net);

  ek_event ("imap", ek_session_event (self->net), "logout",
            EK_FTEXT ("reason", reasons[MIN ((guint) why, G_N_ELEMENTS (reasons) - 1)]),
            EK_FTEXT ("user", user ? user->name : NULL), EK_FINT ("in", self->bytes_in),
            EK_FINT ("out", self->bytes_out));
}

void
imap_session_closed (ImapSession *self, EkCloseReason why)
{
  log_end (self, why);
  self->gone = true;
  self->parked = false;
  if (self->command == NULL || !self->command->running)
    free_all (self);
}
