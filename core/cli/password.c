/* password.c - asks for a password: on the terminal without echo, or a line of standard input
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/password.h"
#include "auth/scheme.h"
#include "module/load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line without its end; *len is -1 at the end of the input, on a signal or an error. */
static void
read_line (int fd, char line[static EK_PASSWORD_MAX + 2], gssize *len)
{
  gsize n = 0;
  char c = 0;
  ssize_t got;

  while ((got = read (fd, &c, 1)) == 1 && c != '\n')
    if (n < EK_PASSWORD_MAX + 1)
      line[n++] = c;
  if (n > 0 && line[n - 1] == '\r')
    n--;
  *len = got == 1 || (got == 0 && n > 0) ? (gssize) n : -1;
}

/* ---- the terminal ---- */

static volatile sig_atomic_t caught;

static void
on_signal (int number)
{
  caught = number;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

/* Without echo, which comes back whatever happens: a signal ends the reading and is raised again then. */
static gssize
read_hidden (int tty, const char *prompt, char line[static EK_PASSWORD_MAX + 2])
{
  struct sigaction catch = { .sa_handler = on_signal }, before[G_N_ELEMENTS (signals)];
  struct termios was, quiet;
  gssize len = -1;

  if (tcgetattr (tty, &was) != 0)
    return -1;
  caught = 0;
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &catch, &before[i]);
  quiet = was;
  quiet.c_lflag &= ~(tcflag_t) (ECHO | ECHONL);
  bool hidden = tcsetattr (tty, TCSAFLUSH, &quiet) == 0;
  if (hidden && write (tty, prompt, strlen (prompt)) >= 0)
    read_line (tty, line, &len);
  (void) !write (tty, "\n", 1);
  tcsetattr (tty, TCSAFLUSH, &was);
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &before[i], NULL);
  if (caught)
    raise (caught);
  return caught ? -1 : len;
}

static bool
take (const char *line, gssize len, EkBuf *out, GError **error)
{
  if (len <= 0 || len > EK_PASSWORD_MAX) {
    ek_fail (error, EK_FAIL, EINVAL, len > EK_PASSWORD_MAX ? "a password has at most %d bytes" : "no password was given",
             EK_PASSWORD_MAX);
    return false;
  }
  ek_buf_room (out, EK_PASSWORD_MAX + 1);
  ek_buf_append (out, line, (gsize) len);
  return true;
}

static bool
ask_terminal (int tty, const char *prompt, bool twice, EkBuf *out, GError **error)
{
  char line[EK_PASSWORD_MAX + 2], again[EK_PASSWORD_MAX + 2];
  gssize len = read_hidden (tty, prompt, line), same = len;

  if (twice && len > 0)
    same = read_hidden (tty, "Once more: ", again);
  bool good = true;
  if (twice && len > 0 && (same != len || memcmp (line, again, (gsize) len) != 0)) {
    ek_fail (error, EK_FAIL, EINVAL, "the two passwords are not the same");
    good = false;
  }
  good = good && take (line, len, out, error);
  ek_wipe (line, sizeof line);
  ek_wipe (again, sizeof again);
  return good;
}

bool
ek_cli_password (const char *prompt, bool twice, EkBuf *out, GError **error)
{
  if (isatty (STDIN_FILENO)) {
    int tty = open ("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    bool good = ask_terminal (tty >= 0 ? tty : STDIN_FILENO, prompt, twice, out, error);
    if (tty >= 0)
      close (tty);
    return good;
  }
  char line[EK_PASSWORD_MAX + 2];
  gssize len;
  read_line (STDIN_FILENO, line, &len);
  bool good = take (line, len, out, error);
  ek_wipe (line, sizeof line);
  return good;
}

bool
ek_cli_scheme (EkStr scheme)
{
  if (scheme.n > 0 && ek_scheme_known (scheme))
    return true;
  g_autofree char *path = ek_module_path (NULL);
  g_autoptr (GPtrArray) files = ek_module_list (path);
  for (guint i = 0; i < files->len; i++) {
    const EkModuleFile *file = files->pdata[i];
    const EkModule *module = ek_module_load (file->name, path, NULL, NULL);
    if (module && module->scheme)
      ek_scheme_register (module->scheme);
  }
  return ek_scheme_known (scheme);
}

char *
ek_cli_stored (const char *scheme, gint rounds, const char *given, GError **error)
{
  const char *with = scheme ? scheme : EK_SCHEME_DEFAULT;
  EkBuf secret = { 0 };
  EkStr name = EK_STR ("");
  char *stored = NULL;

  if (given) {
    ek_scheme_split (ek_str (given), &name);
    if (name.n > 0 && ek_cli_scheme (name))
      return g_strdup (given);
    ek_fail (error, EK_FAIL, EINVAL, "--hash begins with the {SCHEME} of a password: `ekiden pw -l` lists them");
    return NULL;
  }
  if (!ek_cli_scheme (ek_str (with)) || rounds < 0)
    ek_fail (error, EK_FAIL, EINVAL, rounds < 0 ? "rounds are not negative" : "password scheme %s is not known: `ekiden pw "
             "-l` lists them", with);
  else if (ek_cli_password ("Password: ", true, &secret, error))
    stored = ek_password_make (with, ek_buf_str (&secret), (guint) rounds, error);
  ek_buf_wipe (&secret);
  return stored;
}
