/* imap.c - the module: options, and what the core calls before and after login
 * SPDX-License-Identifier: Apache-2.0
 */
#include "imap.h"
#include "edge.h"

const EkOption imap_options[] = {
  EK_OPTION (ImapOptions, login_timeout, "3m", "How long a client may take to log in.",
             .allow = "1s.."),
  EK_OPTION (ImapOptions, login_failures_max, "10", "Failed logins after which the connection is closed.",
             .allow = "1..1000"),
  EK_OPTION (ImapOptions, bad_commands_max, "20", "Commands that cannot be understood, one after the other, after "
             "which the connection is closed.", .allow = "1..255"),
  EK_OPTION (ImapOptions, command_max, "64K", "The longest command, with its literals; APPEND's message "
             "does not count.", .allow = "8K..16M"),
  EK_OPTION (ImapOptions, append_max, "50M", "The largest message that APPEND takes."),
  EK_OPTION (ImapOptions, idle_timeout, "30m", "How long a client may stay silent when it is logged in and not in IDLE. "
             "RFC 3501 asks for 30 minutes at least.", .allow = "1s.."),
  EK_OPTION (ImapOptions, idle_keepalive, "29m", "How often a client in IDLE hears `* OK Still here`, so that dead "
             "connections are noticed and middleboxes keep living ones; 0: never."),
  EK_OPTIONS_END
};

static void
after_open (EkSession *s, gpointer state)
{
  imap_session_open (state, s, ek_session_index (s));
}

static gsize
after_input (EkSession *s, gpointer state, const char *bytes, gsize len)
{
  return imap_session_input (state, bytes, len);
}

static void
after_drained (EkSession *s, gpointer state)
{
  imap_session_drained (state);
}

static void
after_timeout (EkSession *s, gpointer state)
{
  imap_session_timeout (state);
}

static void
after_shutdown (EkSession *s, gpointer state)
{
  imap_session_shutdown (state);
}

static void
after_closed (EkSession *s, gpointer state, EkCloseReason why)
{
  imap_session_closed (state, why);
}

/* RFC 5530; the BYE first, since the tagged answer is the last thing that a client reads of a login. */
static void
after_refused (EkStr tag, EkRefusal why, EkBuf *out)
{
  const char *text = why == EK_REFUSED_LIMIT ? "[LIMIT] Too many connections" : "[UNAVAILABLE] Your mailboxes cannot be opened now";

  ek_buf_printf (out, "* BYE %s\r\n%.*s NO %s, please try again later.\r\n", strchr (text, ' ') + 1, EK_STR_ARG (tag), text);
}

static const EkProtocolOps before_login = {
  .name = "imap", .alpn = "imap", .state_size = sizeof (ImapEdge), .input_max = IMAP_EDGE_COMMAND_MAX,
  .options = imap_options, .options_size = sizeof (ImapOptions),
  .open = imap_edge_open, .input = imap_edge_input, .timeout = imap_edge_timeout,
  .shutdown = imap_edge_shutdown, .closed = imap_edge_closed,
};

static const EkProtocolOps after_login = {
  .name = "imap", .state_size = sizeof (ImapSession), .input_max = 65536,
  .options = imap_options, .options_size = sizeof (ImapOptions),
  .open = after_open, .input = after_input, .drained = after_drained, .timeout = after_timeout,
  .shutdown = after_shutdown, .closed = after_closed, .refused = after_refused,
};

EK_MODULE (imap, .summary = "IMAP server", .protocol = &before_login, .after_login = &after_login);
