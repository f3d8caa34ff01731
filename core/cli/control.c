/* control.c - asks the running server through its control socket
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/control.h"
#include "conf/conf.h"
#include "conf/option.h"
#include "proc/blocks.h"
#include "proc/control.h"
#include "queue/queue.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024 * 1024)
#define PATIENCE   70                /* seconds: the server itself gives up after 60 */
#define TRIES      30                /* a tenth of a second apart: a control role that is being restarted */

/* ---- where it is ---- */

bool
ek_control_places (const char *file, EkControlPlaces *places, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new (), ours = ek_problems_new ();
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *path = file ? file : ek_conf_default_path ();
  bool readable = access (path, R_OK) == 0;

  *places = (EkControlPlaces) { 0 };
  if (!readable && (file || errno != EACCES)) {
    ek_fail (error, EK_FAIL, errno, "cannot read %s: %s (-c FILE or $EKIDEN_CONFIG names another one)", path, g_strerror (errno));
    return false;
  }
  g_autoptr (EkConf) conf = readable ? ek_conf_load (path, EK_CONF_NO_FILES, problems) : ek_conf_new ();
  EkOptionContext context = { .pool = pool };
  EkTopConf top = { 0 };
  ek_options_apply (ek_top_block.options, &top, &(EkLayer) { conf->root }, 1, "", &context, ours);
  EkQueueConf q = { 0 };
  EkLayer layer = { ek_conf_find_block (conf->root, "queue", NULL) };
  /* a broken setting has its default here: what is wrong in the file the server tells, all of it */
  ek_options_apply (ek_queue_block.options, &q, &layer, 1, "queue", &context, problems);
  if (ek_problems_count (ours) > 0) {
    g_propagate_error (error, ek_problems_error (ours));
    return false;
  }
  places->run_dir = g_strdup (top.run_dir);
  places->state_dir = g_strdup (top.state_dir);
  places->drop_folder = q.drop_folder && *q.drop_folder ? g_strdup (q.drop_folder) : g_build_filename (top.state_dir, "maildrop", NULL);
  places->message_size_limit = q.message_size_limit.bytes;
  return true;
}

void
ek_control_places_clear (EkControlPlaces *places)
{
  g_free (places->run_dir);
  g_free (places->state_dir);
  g_free (places->drop_folder);
  *places = (EkControlPlaces) { 0 };
}

bool
ek_control_still (int pidfile)
{
  if (flock (pidfile, LOCK_SH | LOCK_NB) < 0)
    return errno == EWOULDBLOCK || errno == EINTR;
  flock (pidfile, LOCK_UN);
  return false;
}

int
ek_control_running (const EkControlPlaces *places, pid_t *pid)
{
  g_autofree char *path = g_build_filename (places->run_dir, EK_PID_FILE, NULL);
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  char text[24] = "";

  *pid = 0;
  if (fd < 0)
    return -1;
  if (!ek_control_still (fd)) {
    close (fd);
    return -1;
  }
  if (pread (fd, text, sizeof text - 1, 0) > 0)
    *pid = (pid_t) MAX (atoi (text), 0);
  return fd;
}

/* ---- asking ---- */

/* One try; -1 and errno. */
static int
knock (const char *path)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  struct timeval patience = { .tv_sec = PATIENCE };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return -1;
  if (g_strlcpy (a.sun_path, path, sizeof a.sun_path) >= sizeof a.sun_path)
    errno = ENAMETOOLONG;
  else if (connect (fd, (struct sockaddr *) &a, sizeof a) == 0) {
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
  }
  int err = errno;
  close (fd);
  errno = err;
  return -1;
}

static bool
not_there (int err)
{
  return err == ENOENT || err == ECONNREFUSED || err == EAGAIN;
}

/* Waits for a control role that is being restarted, but for no server that is not there. */
static int
reach (const EkControlPlaces *places, GError **error)
{
  g_autofree char *path = g_build_filename (places->run_dir, "control", "socket", NULL);
  int fd = -1, err = 0;
  pid_t pid = 0;

  for (guint i = 0; i < TRIES; i++) {
    fd = knock (path);
    if (fd >= 0)
      return fd;
    err = errno;
    if (!not_there (err))
      break;
    int lock = ek_control_running (places, &pid);
    if (lock < 0) {
      ek_fail (error, EK_FAIL, EK_CONTROL_DOWN, "the server does not run (nobody listens at %s): start it with ekidend, or name its "
               "configuration with -c FILE", path);
      return -1;
    }
    close (lock);
    g_usleep (G_USEC_PER_SEC / 10);
  }
  if (not_there (err))
    ek_fail (error, EK_FAIL, EK_CONTROL_BUSY, "the server runs (pid %d), but its control process does not answer at %s: see the log",
             (int) pid, path);
  else
    ek_fail (error, EK_FAIL, err, "cannot ask the server at %s: %s", path, g_strerror (err));
  return -1;
}

static bool
send_request (int fd, const char *const *words, GError **error)
{
  EkBuf line = { 0 };
  bool good = true;

  for (guint i = 0; words[i]; i++) {
    g_autofree char *safe = g_uri_escape_string (words[i], "@*?!#$&'()+,/:;=[]{}|^<>\"`\\", FALSE);
    ek_buf_printf (&line, "%s%s", i ? " " : "", safe);
  }
  ek_buf_appendc (&line, '\n');
  while (good && ek_buf_len (&line) > 0) {
    ssize_t n = send (fd, ek_buf_at (&line), ek_buf_len (&line), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    good = n > 0;
    if (good)
      ek_buf_consume (&line, (gsize) n);
    else
      ek_fail (error, EK_FAIL, errno, "cannot ask the server: %s", g_strerror (errno));
  }
  ek_buf_release (&line);
  return good;
}

/* All of it: the server closes when it has answered. */
static bool
read_answer (int fd, EkBuf *in, GError **error)
{
  for (;;) {
    ssize_t n = recv (fd, ek_buf_room (in, 65536), 65536, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n == 0)
      return true;
    if (n < 0 && ek_buf_len (in) > 0 && errno == ECONNRESET)
      return true;
    if (n < 0) {
      ek_fail (error, EK_FAIL, errno == EWOULDBLOCK ? EK_CONTROL_BUSY : errno, "the server does not answer: %s",
               errno == EWOULDBLOCK ? "time is over" : g_strerror (errno));
      return false;
    }
    ek_buf_added (in, (gsize) n);
    if (ek_buf_len (in) > ANSWER_MAX) {
      ek_fail (error, EK_FAIL, EMSGSIZE, "the server's answer has no end");
      return false;
    }
  }
}

/* ": text" goes to `out`; "= ok" is the end, "! text" what is wrong. */
static bool
sort_lines (EkStr in, EkBuf *out, GError **error)
{
  const char *at = in.p, *end = in.p + in.n;
  g_autoptr (GString) wrong = g_string_new (NULL);
  bool ok = false;

  while (at < end) {
    const char *nl = memchr (at, '\n', (gsize) (end - at));
    EkStr line = { at, (gsize) ((nl ? nl : end) - at) };
    at = nl ? nl + 1 : end;
    if (ek_str_starts (line, EK_STR (": "))) {
      ek_buf_append (out, line.p + 2, line.n - 2);
      ek_buf_appendc (out, '\n');
    }
    else if (ek_str_starts (line, EK_STR ("! ")))
      g_string_append_printf (wrong, "%s%.*s", wrong->len ? "\n" : "", (int) line.n - 2, line.p + 2);
    else if (ek_str_eq (line, EK_STR ("= ok")))
      ok = true;
  }
  if (wrong->len > 0)
    ek_fail (error, EK_FAIL, EK_CONTROL_SAID, "%s", wrong->str);
  else if (!ok)
    ek_fail (error, EK_FAIL, EK_CONTROL_BUSY, "the server's control process ended before it had answered: try again");
  return ok && wrong->len == 0;
}

bool
ek_control_ask (const EkControlPlaces *places, const char *const *words, EkBuf *out, GError **error)
{
  EkBuf in = { 0 };
  int fd = reach (places, error);

  if (fd < 0)
    return false;
  if (strcmp (words[0], "reload") == 0)            /* it ends by itself (roles.reload_timeout) */
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval) { 0 }, sizeof (struct timeval));
  bool good = send_request (fd, words, error) && read_answer (fd, &in, error);
  close (fd);
  good = good && sort_lines (ek_buf_str (&in), out, error);
  ek_buf_release (&in);
  return good;
}
