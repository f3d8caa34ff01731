/* command.c - the table of commands, and the words of a line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "smtp.h"
#include <string.h>

const SmtpCommand smtp_commands[SMTP_N_COMMANDS] = {
  [SMTP_HELO] = { "HELO", smtp_cmd_helo, SMTP_LAST | SMTP_PLAIN },
  [SMTP_EHLO] = { "EHLO", smtp_cmd_ehlo, SMTP_LAST | SMTP_PLAIN },
  [SMTP_STARTTLS] = { "STARTTLS", smtp_cmd_starttls, SMTP_LAST | SMTP_PLAIN },
  [SMTP_AUTHENTICATE] = { "AUTH", smtp_cmd_auth, SMTP_LAST },
  [SMTP_MAIL] = { "MAIL", smtp_cmd_mail, 0 },
  [SMTP_RCPT] = { "RCPT", smtp_cmd_rcpt, 0 },
  [SMTP_DATA_CMD] = { "DATA", smtp_cmd_data, SMTP_LAST },
  [SMTP_BDAT_CMD] = { "BDAT", smtp_cmd_bdat, 0 },
  [SMTP_RSET] = { "RSET", smtp_cmd_rset, SMTP_JUNK },
  [SMTP_NOOP] = { "NOOP", smtp_cmd_noop, SMTP_JUNK | SMTP_PLAIN },
  [SMTP_VRFY] = { "VRFY", smtp_cmd_vrfy, SMTP_JUNK },
  [SMTP_EXPN] = { "EXPN", smtp_cmd_expn, SMTP_JUNK },
  [SMTP_ETRN] = { "ETRN", smtp_cmd_etrn, SMTP_JUNK },
  [SMTP_HELP] = { "HELP", smtp_cmd_help, SMTP_JUNK },
  [SMTP_QUIT] = { "QUIT", smtp_cmd_quit, SMTP_PLAIN },
  [SMTP_UNKNOWN] = { "UNKNOWN", NULL, SMTP_PLAIN },
};

SmtpCommandId
smtp_command_find (EkStr verb)
{
  for (guint i = 0; i < SMTP_UNKNOWN; i++)
    if (ek_str_ieq (verb, ek_str (smtp_commands[i].name)))
      return (SmtpCommandId) i;
  return SMTP_UNKNOWN;
}

bool
smtp_word (EkStr *rest, EkStr *word)
{
  while (rest->n > 0 && (*rest->p == ' ' || *rest->p == '\t')) {
    rest->p++;
    rest->n--;
  }
  *word = (EkStr) { rest->p, 0 };
  while (rest->n > 0 && *rest->p != ' ' && *rest->p != '\t') {
    rest->p++;
    rest->n--;
    word->n++;
  }
  return word->n > 0;
}

EkPool *
smtp_pool (Smtp *self)
{
  if (self->pool == NULL)
    self->pool = ek_pool_new ();
  return self->pool;
}

const char *
smtp_show (Smtp *self, EkStr s)
{
  char *text = ek_pool_strndup (smtp_pool (self), s.p, MIN (s.n, 200));

  for (char *p = text; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = '?';
  return text;
}

/* RFC 3461 section 4: printable ASCII without + and =, and +XX. */
bool
smtp_is_xtext (EkStr s)
{
  for (gsize i = 0; i < s.n; i++) {
    guchar c = (guchar) s.p[i];
    if (c < '!' || c > '~' || c == '=')
      return false;
    if (c != '+')
      continue;
    if (i + 2 >= s.n || !g_ascii_isxdigit (s.p[i + 1]) || !g_ascii_isxdigit (s.p[i + 2])
        || g_ascii_islower (s.p[i + 1]) || g_ascii_islower (s.p[i + 2]))
      return false;
    i += 2;
  }
  return true;
}
