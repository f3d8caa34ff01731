/* helper.c - ekiden-pam: answers directory's questions about passwords by PAM
 * SPDX-License-Identifier: Apache-2.0
 *
 * Started by master, with master's rights and the settings of its block as words; its descriptor 0 is the socket.  It trusts what
 * comes from there with nothing but a name and a password: the service is master's word.  Each conversation runs in a child of its own,
 * since PAM's modules block, leak and crash; this process reads no more than a question, waits, and ends its child when
 * the time is over or nobody waits any more.
 */
#include "pam.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *service, *config_dir;

typedef struct { char text[PAM_N_TEXTS][PAM_TEXT_MAX + 1]; } Login;

/* ---- in the child: the conversation ---- */

static void
drop (struct pam_response *all, int n)
{
  for (int i = 0; i < n; i++) {
    if (all[i].resp)
      explicit_bzero (all[i].resp, strlen (all[i].resp));
    free (all[i].resp);
  }
  free (all);
}

/* pam_conv(3): the name where the answer may be seen, the password where not. */
static int
converse (int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
  const Login *login = data;
  struct pam_response *all = n > 0 && n <= PAM_MAX_NUM_MSG ? calloc ((size_t) n, sizeof *all) : NULL;

  if (all == NULL)
    return PAM_CONV_ERR;
  for (int i = 0; i < n; i++) {
    int style = messages[i]->msg_style;
    if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG)
      continue;
    bool known = style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON;
    all[i].resp = known ? strdup (login->text[style == PAM_PROMPT_ECHO_OFF ? PAM_SECRET_TEXT : PAM_USER_TEXT]) : NULL;
    if (all[i].resp == NULL) {
      drop (all, n);
      return PAM_CONV_ERR;
    }
  }
  *responses = all;
  return PAM_SUCCESS;
}

static uint32_t
meaning (int code)
{
  switch (code) {
  case PAM_SUCCESS:
    return PAM_SAYS_YES;
  case PAM_USER_UNKNOWN:
    return PAM_SAYS_UNKNOWN;
  case PAM_AUTH_ERR:
  case PAM_ACCT_EXPIRED:
  case PAM_AUTHTOK_EXPIRED:
  case PAM_CRED_EXPIRED:
  case PAM_PERM_DENIED:
  case PAM_NEW_AUTHTOK_REQD:
  case PAM_MAXTRIES:
    return PAM_SAYS_NO;
  default:
    return PAM_SAYS_NOTHING;           /* an outage, or a service that is set up wrong */
  }
}

static void
write_answer (int fd, uint32_t says, const char *text)
{
  struct { PamAnswer head; char text[PAM_REASON_MAX]; } out = { .head = { .says = says } };

  size_t n = strlen (text);
  out.head.n = (uint32_t) (n < PAM_REASON_MAX ? n : PAM_REASON_MAX);
  memcpy (out.text, text, out.head.n);
  if (write (fd, &out, sizeof out.head + out.head.n) < 0)
    _exit (1);
}

static void
ask_pam (const Login *login, int out)
{
  struct pam_conv conv = { converse, (void *) login };
  const char *user = login->text[PAM_USER_TEXT];
  pam_handle_t *pam = NULL;
  int code = pam_start_confdir (service, user, &conv, config_dir, &pam);

  if (code == PAM_SUCCESS)
    code = pam_set_item (pam, PAM_RHOST, login->text[PAM_CLIENT_TEXT]);
  if (code == PAM_SUCCESS)
    code = pam_set_item (pam, PAM_TTY, "ekiden");
  if (code == PAM_SUCCESS)
    code = pam_authenticate (pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
  if (code == PAM_SUCCESS)
    code = pam_acct_mgmt (pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
  write_answer (out, meaning (code), pam ? pam_strerror (pam, code) : "PAM cannot be started");
  if (pam)
    pam_end (pam, code);
}

/* ---- in the helper ---- */

static bool
read_all (void *bytes, size_t n)
{
  char *p = bytes;

  while (n > 0) {
    ssize_t k = read (0, p, n);
    if (k == 0 || (k < 0 && errno != EINTR))
      return false;
    if (k > 0)
      p += k, n -= (size_t) k;
  }
  return true;
}

/* False: the other end is gone, or speaks another language. */
static bool
read_question (PamQuestion *q, Login *login)
{
  memset (login, 0, sizeof *login);
  if (!read_all (q, sizeof *q))
    return false;
  for (int i = 0; i < PAM_N_TEXTS; i++)
    if (q->n[i] > PAM_TEXT_MAX || !read_all (login->text[i], q->n[i]) || memchr (login->text[i], '\0', q->n[i]))
      return false;
  return true;
}

static int64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for what the child says, no longer than somebody waits for us.  False: nobody does any more. */
static bool
wait_for (int child, int64_t end, char *answer, size_t max, ssize_t *n)
{
  for (;;) {
    struct pollfd p[2] = { { .fd = child, .events = POLLIN }, { .fd = 0, .events = POLLRDHUP } };
    int64_t left = end - now_ms ();
    *n = 0;
    if (left <= 0)
      return true;
    if (poll (p, 2, (int) left) < 0 && errno != EINTR)
      return false;
    if (p[0].revents) {
      *n = read (child, answer, max);
      return true;
    }
    if (p[1].revents)
      return false;
  }
}

static bool
pass_on (const char *answer, size_t n)
{
  while (n > 0) {
    ssize_t k = send (0, answer, n, MSG_NOSIGNAL);
    if (k < 0 && errno != EINTR)
      return false;
    if (k > 0)
      answer += k, n -= (size_t) k;
  }
  return true;
}

static bool
explain (const char *text)
{
  int fds[2];
  char answer[sizeof (PamAnswer) + PAM_REASON_MAX];

  if (pipe (fds) < 0)
    return false;
  write_answer (fds[1], PAM_SAYS_NOTHING, text);
  ssize_t n = read (fds[0], answer, sizeof answer);
  close (fds[0]);
  close (fds[1]);
  return n > 0 && pass_on (answer, (size_t) n);
}

/* The child is gone, or is ended now with all that it has started. */
static int
end_child (pid_t pid)
{
  int status = 0;

  kill (-pid, SIGKILL);
  kill (pid, SIGKILL);
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  return status;
}

static bool
serve (const PamQuestion *q, Login *login)
{
  int fds[2];
  char answer[sizeof (PamAnswer) + PAM_REASON_MAX];
  ssize_t n;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return explain ("no pipe");
  pid_t pid = fork ();
  if (pid == 0) {
    int null = open ("/dev/null", O_RDWR);
    setpgid (0, 0);
    dup2 (null, 0);                    /* not even a module that lives on may speak to directory */
    ask_pam (login, fds[1]);
    _exit (0);
  }
  explicit_bzero (login, sizeof *login);
  close (fds[1]);
  if (pid < 0) {
    close (fds[0]);
    return explain ("no process");
  }
  setpgid (pid, pid);
  int64_t end = now_ms () + q->ms;
  bool wanted = wait_for (fds[0], end, answer, sizeof answer, &n);
  close (fds[0]);
  if (n >= (ssize_t) sizeof (PamAnswer)) {
    end_child (pid);
    return wanted && pass_on (answer, (size_t) n);
  }
  bool late = now_ms () >= end;
  int status = end_child (pid);
  char text[100] = "no answer in time";
  if (!late && WIFSIGNALED (status))
    snprintf (text, sizeof text, "a PAM module ended by signal %d", WTERMSIG (status));
  else if (!late)
    snprintf (text, sizeof text, "a PAM module ended its process (status %d)", WEXITSTATUS (status));
  return wanted && explain (text);
}

int
main (int argc, char **argv)
{
  PamQuestion q;
  Login login;
  struct rlimit none = { 0, 0 };

  for (int i = 1; i < argc; i++) {
    if (strncmp (argv[i], "service=", 8) == 0)
      service = argv[i] + 8;
    if (strncmp (argv[i], "config_dir=", 11) == 0 && argv[i][11])
      config_dir = argv[i] + 11;
  }
  setrlimit (RLIMIT_CORE, &none);      /* passwords pass through here */
  prctl (PR_SET_DUMPABLE, 0);
  umask (077);
  signal (SIGPIPE, SIG_IGN);
  if (service == NULL || *service == '\0' || strchr (service, '/'))
    return explain ("the block names no service") ? 0 : 1;
  while (read_question (&q, &login) && serve (&q, &login))
    ;
  explicit_bzero (&login, sizeof login);
  return 0;
}
