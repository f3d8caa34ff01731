/* fuzz-smtp.c - SMTP sessions in memory: commands, content, logins, in pieces of any size
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/smtp/session.c modules/smtp/command.c modules/smtp/body.c modules/smtp/header.c modules/smtp/message.c modules/smtp/cmd-mail.c modules/smtp/cmd-rcpt.c modules/smtp/cmd-data.c modules/smtp/cmd-bdat.c modules/smtp/cmd-auth.c modules/smtp/cmd-helo.c modules/smtp/cmd-other.c */
/* options: -max_len=65536 */
#include "fuzz.h"
#include "lib/memsession.h"
#include "lib/memsubmit.h"
#include "../../modules/smtp/smtp.h"
#include <string.h>

extern const EkModule ek_module_smtp;

static void
auth (EkSession *s, const char *mechanism, EkStr response, EkAuthAnswer *answer)
{
  if (response.n == 0)
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_CHALLENGE, .challenge = EK_STR ("Username:") };
  else if (response.p[0] == 'g')
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_OK, .user = "anna@example.test" };
  else if (response.p[0] == 'd')
    *answer = (EkAuthAnswer) { .outcome = EK_AUTH_UNAVAILABLE };
}

/* Whatever came in: what queue gets has no bare CR or LF but those that BDAT or a dot cut off, and ends a line. */
static void
check_message (const MemMessage *m)
{
  EkStr c = mem_message_content (m);

  for (gsize i = 0; i < c.n; i++)
    g_assert (c.p[i] != '\n' ? c.p[i] != '\r' || (i + 1 < c.n && c.p[i + 1] == '\n') : i > 0 && c.p[i - 1] == '\r');
  g_assert (c.n == 0 || c.p[c.n - 1] == '\n');
  g_assert (m->content > 50 && memmem (ek_buf_at (&m->bytes), m->content, "\001", 1) == NULL);
}

/* The first byte chooses settings, the second the size of the pieces. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const mechanisms[] = { "PLAIN", "LOGIN", NULL };
  static const char *const newlines[] = { "normalize", "strangers", "reject", "normalize" };

  if (size < 2)
    return 0;
  mem_mail_reset ();
  mem_mail.trusted = data[0] & 1;
  mem_mail.window = data[0] & 2 ? 64 : 0;
  mem_mail.commit = data[0] & 4 ? EK_DEFER : EK_OK;
  SmtpOptions *options = mem_options (ek_module_smtp.protocol);
  options->bare_newlines = newlines[data[0] >> 3 & 3];
  options->submission = data[0] & 32;
  options->pipelining = data[0] & 64 ? "strict" : "lax";
  options->message_size_limit.bytes = data[0] & 128 ? 500 : 1 << 20;
  options->sender_login_match = data[1] & 128;
  MemConfig config = { .ops = ek_module_smtp.protocol, .options = options, .mechanisms = mechanisms, .auth = auth,
                       .tls_offered = data[1] & 64 };
  EkSession *s = mem_session_new (&config);
  gsize step = (data[1] & 63) == 0 ? size : data[1] & 63;
  for (gsize at = 2; at < size; at += step) {
    mem_feed (s, data + at, MIN (step, size - at));
    mem_mail_run (s);
  }
  mem_session_free (s);
  for (guint i = 0; i < mem_mail.messages->len; i++)
    check_message (mem_mail.messages->pdata[i]);
  g_free (options);
  return 0;
}
