/* edge.c - IMAP before login: nothing here knows a mailbox
 * SPDX-License-Identifier: Apache-2.0
 */
#include "edge.h"
#include "imap.h"
#include "base/base.h"
#include <string.h>

static const ImapOptions *
options_of (EkSession *s)
{
  return ek_session_options (s);
}

static void
goodbye (EkSession *s, ImapEdge *self, const char *text)
{
  self->leaving = true;
  ek_session_sendf (s, "* BYE %s\r\n", text);
  ek_session_close (s);
}

static void
reply (EkSession *s, EkStr tag, const char *text)
{
  ek_session_sendf (s, "%.*s %s\r\n", EK_STR_ARG (tag), text);
}

static void
reply_bad (EkSession *s, ImapEdge *self, EkStr tag, const char *error)
{
  ek_session_sendf (s, "%.*s BAD Error in IMAP command received by server: %s.\r\n",
                    tag.n > 0 ? (int) tag.n : 1, tag.n > 0 ? tag.p : "*", error);
  if (++self->bad_commands >= options_of (s)->bad_commands_max)
    goodbye (s, self, "Too many invalid IMAP commands.");
}

/* ---- capabilities --------------------------------------------------------------------------------- */

static bool
may_say_password (EkSession *s)
{
  for (const char *const *name = ek_session_mechanisms (s); *name; name++)
    if (g_str_equal (*name, "PLAIN"))
      return true;
  return false;
}

static void
print_capabilities (EkSession *s, EkBuf *out)
{
  ek_buf_appends (out, IMAP_CAPABILITIES_LOGIN);
  if (ek_session_tls_offered (s))
    ek_buf_appends (out, " STARTTLS");
  if (!may_say_password (s))
    ek_buf_appends (out, " LOGINDISABLED");
  for (const char *const *name = ek_session_mechanisms (s); *name; name++)
    ek_buf_printf (out, " AUTH=%s", *name);
}

static void
send_with_capabilities (EkSession *s, const char *before, const char *after)
{
  EkBuf out = { 0 };

  ek_buf_appends (&out, before);
  print_capabilities (s, &out);
  ek_buf_appends (&out, after);
  ek_session_send (s, ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
}

static void
cmd_capability (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  send_with_capabilities (s, "* CAPABILITY ", "\r\n");
  reply (s, tag, "OK Pre-login capabilities listed, post-login capabilities have more.");
}

/* ---- what needs no login ---------------------------------------------------------------------------- */

static void
cmd_noop (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  reply (s, tag, "OK NOOP completed.");
}

static void
cmd_logout (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  ek_session_sends (s, "* BYE Logging out\r\n");
  reply (s, tag, "OK Logout completed.");
  self->leaving = true;
  ek_session_close (s);
}

static void
cmd_id (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  EkBuf out = { 0 };

  if (!imap_scan_id (scan) || !imap_scan_end (scan)) {
    reply_bad (s, self, tag, scan->error);
    return;
  }
  imap_print_id (&out);
  ek_session_send (s, ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  reply (s, tag, "OK ID completed.");
}

static void
cmd_starttls (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  if (!ek_session_tls_offered (s)) {
    reply_bad (s, self, tag, ek_session_client (s)->tls ? "TLS is already active" : "TLS support isn't enabled");
    return;
  }
  reply (s, tag, "OK Begin TLS negotiation now.");
  self->starting_tls = true;
  ek_session_starttls (s);
}

/* ---- logging in ----------------------------------------------------------------------------------------- */

static void
login_event (EkSession *s, ImapEdge *self, const EkAuthAnswer *answer)
{
  const EkClient *client = ek_session_client (s);

  ek_event ("imap-login", ek_session_event (s), "login", EK_FTEXT ("user", answer->user), EK_FTEXT ("master", ek_session_login_master (s)),
            EK_FTEXT ("method", self->method), EK_FTEXT ("ip", client->address),
            EK_FTEXT ("local_ip", client->local_address), EK_FTEXT ("secured", client->tls ? "TLS" : NULL));
}

static void
login_failed (EkSession *s, ImapEdge *self, EkStr tag, const EkAuthAnswer *answer)
{
  switch (answer->outcome) {
  case EK_AUTH_REFUSED:
    ek_session_sendf (s, "%.*s NO [AUTHENTICATIONFAILED] %s\r\n", EK_STR_ARG (tag), answer->text);
    if (++self->failures >= options_of (s)->login_failures_max)
      goodbye (s, self, "Too many authentication failures.");
    break;
  case EK_AUTH_UNAVAILABLE:
    ek_session_sendf (s, "%.*s NO [UNAVAILABLE] %s\r\n", EK_STR_ARG (tag), answer->text);
    break;
  default:
    reply_bad (s, self, tag, answer->text);
    break;
  }
}

static void
auth_answered (EkSession *s, gpointer state, const EkAuthAnswer *answer)
{
  ImapEdge *self = state;

  if (answer->outcome == EK_AUTH_CHALLENGE) {
    EkBuf out = { 0 };
    ek_buf_appends (&out, "+ ");
    ek_base64_encode (answer->challenge, &out);
    ek_buf_appends (&out, "\r\n");
    ek_session_send (s, ek_buf_at (&out), ek_buf_len (&out));
    ek_buf_wipe (&out);
    self->challenged = true;
    return;
  }
  g_autofree char *tag = g_steal_pointer (&self->tag);
  if (answer->outcome != EK_AUTH_OK) {
    login_failed (s, self, ek_str (tag), answer);
    return;
  }
  login_event (s, self, answer);
  ek_session_handoff (s, ek_str (tag));
}

static void
begin_auth (EkSession *s, ImapEdge *self, EkStr tag, EkStr mechanism, EkStr initial)
{
  g_free (self->tag);
  g_free (self->method);
  self->tag = g_strndup (tag.p, tag.n);
  self->method = g_ascii_strup (mechanism.p, (gssize) mechanism.n);
  ek_session_auth (s, self->method, initial, auth_answered);
}

static bool
is_offered (EkSession *s, EkStr mechanism)
{
  for (const char *const *name = ek_session_mechanisms (s); *name; name++)
    if (ek_str_ieq (mechanism, ek_str (*name)))
      return true;
  return false;
}

static void
refuse_plaintext (EkSession *s, ImapEdge *self, EkStr tag)
{
  self->disallowed = true;
  reply (s, tag, "NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
}

static void
cmd_login (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  EkStr user, password;

  if (!imap_scan_space (scan) || !imap_scan_astring (scan, &user) || !imap_scan_space (scan)
      || !imap_scan_astring (scan, &password) || !imap_scan_end (scan)) {
    reply_bad (s, self, tag, scan->error);
    return;
  }
  g_free (self->user);
  self->user = g_strndup (user.p, user.n);
  if (!may_say_password (s)) {
    refuse_plaintext (s, self, tag);
    return;
  }
  gsize n = user.n + password.n + 2;         /* PLAIN: NUL user NUL password */
  char *plain = g_malloc0 (n);
  memcpy (plain + 1, user.p, user.n);
  memcpy (plain + 2 + user.n, password.p, password.n);
  begin_auth (s, self, tag, EK_STR ("PLAIN"), (EkStr) { plain, n });
  ek_wipe (plain, n);
  g_free (plain);
}

static void
cmd_authenticate (EkSession *s, ImapEdge *self, EkStr tag, ImapScan *scan)
{
  EkStr mechanism, text = { NULL, 0 };
  EkBuf initial = { 0 };

  if (!imap_scan_space (scan) || !imap_scan_atom (scan, &mechanism)
      || (scan->p < scan->end && (!imap_scan_space (scan) || (scan->p < scan->end && !imap_scan_atom (scan, &text))))
      || !imap_scan_end (scan)) {
    reply_bad (s, self, tag, scan->error);
    return;
  }
  if (!is_offered (s, mechanism)) {
    if (ek_str_ieq (mechanism, EK_STR ("PLAIN")) || ek_str_ieq (mechanism, EK_STR ("LOGIN")))
      refuse_plaintext (s, self, tag);
    else
      reply (s, tag, "NO Unsupported authentication mechanism.");
    return;
  }
  ek_buf_room (&initial, text.n + 1);
  if (text.n > 0 && !ek_str_eq (text, EK_STR ("=")) && !ek_base64_decode (text, &initial))
    reply_bad (s, self, tag, "Invalid base64 data");
  else
    begin_auth (s, self, tag, mechanism, text.n ? ek_buf_str (&initial) : (EkStr) { NULL, 0 });
  ek_buf_wipe (&initial);
}

static void
auth_abort (EkSession *s, ImapEdge *self, const char *why)
{
  g_autofree char *tag = g_steal_pointer (&self->tag);

  self->challenged = false;
  ek_session_auth_abort (s);
  reply_bad (s, self, ek_str (tag), why);
}

/* A line while a mechanism waits for an answer. */
static void
auth_continue (EkSession *s, ImapEdge *self, EkStr line)
{
  EkBuf response = { 0 };

  self->challenged = false;
  ek_buf_room (&response, line.n + 1);
  bool aborted = ek_str_eq (line, EK_STR ("*"));
  if (aborted || !ek_base64_decode (line, &response))
    auth_abort (s, self, aborted ? "Authentication aborted by client" : "Invalid base64 data");
  else
    ek_session_auth_continue (s, ek_buf_str (&response), auth_answered);
  ek_buf_wipe (&response);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  void (*func) (EkSession *, ImapEdge *, EkStr tag, ImapScan *);
  bool  arguments;
} commands[] = {
  { "AUTHENTICATE", cmd_authenticate, true }, { "CAPABILITY", cmd_capability, false }, { "ID", cmd_id, true },
  { "LOGIN", cmd_login, true }, { "LOGOUT", cmd_logout, false }, { "NOOP", cmd_noop, false },
  { "STARTTLS", cmd_starttls, false },
};

static void
run_command (EkSession *s, ImapEdge *self, EkStr text)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapScan scan = { .p = text.p, .end = text.p + text.n, .pool = pool };
  EkStr tag, name;

  if (!imap_scan_tag (&scan, &tag) || tag.n > IMAP_TAG_MAX) {
    reply_bad (s, self, (EkStr) { "", 0 }, "Invalid tag");
    return;
  }
  if (!imap_scan_space (&scan) || !imap_scan_atom (&scan, &name)) {
    reply_bad (s, self, tag, "Invalid command name");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (ek_str_ieq (name, ek_str (commands[i].name))) {
      if (commands[i].arguments || imap_scan_end (&scan))
        commands[i].func (s, self, tag, &scan);
      else
        reply_bad (s, self, tag, scan.error);
      return;
    }
  reply_bad (s, self, tag, imap_command_find (name, false) ? "Log in first" : "Unknown command");
}

static void
read_event (EkSession *s, ImapEdge *self, ImapRead event)
{
  ImapReader *reader = &self->reader;
  EkStr text = ek_buf_len (&reader->text) ? ek_buf_str (&reader->text) : EK_STR (""), tag;
  ImapScan scan = { .p = text.p, .end = text.p + text.n };

  switch (event) {
  case IMAP_READ_ASK:
    ek_session_sends (s, "+ OK\r\n");
    return;
  case IMAP_READ_REFUSED:
    if (self->challenged) {
      auth_abort (s, self, reader->refused);
      break;
    }
    if (!imap_scan_tag (&scan, &tag) || tag.n > IMAP_TAG_MAX)
      tag.n = 0;
    reply_bad (s, self, tag, reader->refused);
    break;
  case IMAP_READ_COMMAND:
    if (self->challenged)
      auth_continue (s, self, text);
    else
      run_command (s, self, text);
    break;
  default:
    return;
  }
  imap_reader_next (reader);
  ek_buf_wipe (&reader->text);       /* it may have held a password */
}

gsize
imap_edge_input (EkSession *s, gpointer state, const char *bytes, gsize len)
{
  ImapEdge *self = state;
  gsize used = 0, n;

  if (ek_now () - self->opened > options_of (s)->login_timeout.us) {
    imap_edge_timeout (s, state);
    return len;
  }
  /* A login in progress (self->tag) takes no input but the answer to a challenge.  What was sent behind
   * STARTTLS may be anybody's: it is dropped. */
  while (used < len && !self->leaving && !self->starting_tls && (self->tag == NULL || self->challenged)) {
    ImapRead event = imap_reader_feed (&self->reader, bytes + used, len - used, &n);
    used += n;
    read_event (s, self, event);
  }
  return self->leaving || self->starting_tls ? len : used;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void
log_tls (EkSession *s, const EkClient *c)
{
  if (c->tls)
    ek_event ("imap-login", ek_session_event (s), "tls", EK_FTEXT ("host", c->host), EK_FTEXT ("ip", c->address),
              EK_FTEXT ("tls_version", c->tls_version), EK_FTEXT ("tls_cipher", c->tls_cipher), EK_FINT ("tls_bits", c->tls_bits),
              EK_FINT ("tls_algbits", c->tls_bits), EK_FTEXT ("tls_sni", c->tls_sni), EK_FTEXT ("tls_alpn", c->tls_alpn));
}

void
imap_edge_open (EkSession *s, gpointer state)
{
  ImapEdge *self = state;

  imap_reader_next (&self->reader);
  self->reader.max = IMAP_EDGE_COMMAND_MAX;
  self->starting_tls = false;
  log_tls (s, ek_session_client (s));
  if (self->greeted)                 /* TLS has begun: RFC 3501 section 6.2.1 has no second greeting */
    return;
  self->greeted = true;
  self->opened = ek_now ();
  send_with_capabilities (s, "* OK [CAPABILITY ", "] Ekiden ready.\r\n");
  ek_session_timeout (s, options_of (s)->login_timeout);
}

void
imap_edge_timeout (EkSession *s, gpointer state)
{
  goodbye (s, state, "Disconnected for inactivity during authentication.");
}

void
imap_edge_shutdown (EkSession *s, gpointer state)
{
  goodbye (s, state, "Server is shutting down.");
}

static void
log_end (EkSession *s, ImapEdge *self, EkCloseReason why)
{
  static const char *const reasons[] = { "Connection closed", "Logged out", "Inactivity", "Connection error",
                                         "Shutting down" };
  const EkClient *client = ek_session_client (s);
  const char *reason = reasons[MIN ((guint) why, G_N_ELEMENTS (reasons) - 1)];
  const char *word = self->failures > 0 ? "login-failed" : self->disallowed ? "login-disallowed" : "login-aborted";

  if (ek_session_login (s))
    return;
  ek_event ("imap-login", ek_session_event (s), word, EK_FTEXT ("reason", reason),
            EK_FINT ("attempts", self->failures), EK_FINT ("secs", (ek_now () - self->opened) / G_USEC_PER_SEC),
            EK_FTEXT ("user", self->user), EK_FTEXT ("method", self->method), EK_FTEXT ("ip", client->address),
            EK_FTEXT ("local_ip", client->local_address), EK_FTEXT ("secured", client->tls ? "TLS" : NULL));
}

void
imap_edge_closed (EkSession *s, gpointer state, EkCloseReason why)
{
  ImapEdge *self = state;

  log_end (s, self, why);
  ek_buf_wipe (&self->reader.text);
  g_clear_pointer (&self->tag, g_free);
  g_clear_pointer (&self->user, g_free);
  g_clear_pointer (&self->method, g_free);
}
