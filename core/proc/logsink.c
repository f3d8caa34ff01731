/* logsink.c - log files and syslog
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/logsink.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  FILE_WAITING_MAX   = 4 * 1024 * 1024,          /* bytes that wait for a disk that is full */
  FILE_PIECE         = 64 * 1024,                /* of one write: a full disk is asked again and again, with all that waits behind it */
  SYSLOG_WAITING_MAX = 512 * 1024,
  FACILITY_MAIL      = 2 << 3,
};

/* ---- files ------------------------------------------------------------------------------------------ */

struct EkLogFile {
  char  *path;
  int    fd;
  EkBuf  lines;
};

static int
open_file (const char *path, GError **error)
{
  if (strcmp (path, "-") == 0)
    return fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  int fd = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0)
    ek_fail (error, EK_FAIL, errno, "log file %s: %s", path, g_strerror (errno));
  return fd;
}

EkLogFile *
ek_logfile_open (const char *path, GError **error)
{
  int fd = open_file (path, error);

  if (fd < 0)
    return NULL;
  EkLogFile *self = g_new0 (EkLogFile, 1);
  self->path = g_strdup (path);
  self->fd = fd;
  return self;
}

bool
ek_logfile_reopen (EkLogFile *self, GError **error)
{
  int fd = open_file (self->path, error);

  if (fd < 0)
    return false;
  close (self->fd);
  self->fd = fd;
  return true;
}

EkBuf *
ek_logfile_line (EkLogFile *self)
{
  return &self->lines;
}

static guint
count_lines (EkStr s)
{
  guint n = 0;

  for (gsize i = 0; i < s.n; i++)
    n += s.p[i] == '\n';
  return n;
}

/* Drops the newest lines beyond what may wait: the rest stays in order, and a line that lies on a full
 * disk by half gets its other half. */
static guint
shed (EkBuf *lines)
{
  EkStr s = ek_buf_str (lines);

  if (s.n <= FILE_WAITING_MAX)
    return 0;
  gsize keep = FILE_WAITING_MAX;
  while (keep > 0 && s.p[keep - 1] != '\n')
    keep--;
  guint lost = count_lines ((EkStr) { s.p + keep, s.n - keep });
  lines->end = lines->start + keep;
  return lost;
}

guint
ek_logfile_flush (EkLogFile *self, GError **error)
{
  while (ek_buf_len (&self->lines) > 0) {
    ssize_t n = write (self->fd, ek_buf_at (&self->lines), MIN (ek_buf_len (&self->lines), FILE_PIECE));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      ek_fail (error, EK_FAIL, errno, "log file %s: %s", self->path, g_strerror (errno));
      return shed (&self->lines);
    }
    ek_buf_consume (&self->lines, (gsize) n);
  }
  if (self->lines.cap > 256 * 1024)
    ek_buf_release (&self->lines);
  return 0;
}

void
ek_logfile_close (EkLogFile *self)
{
  if (self == NULL)
    return;
  ek_logfile_flush (self, NULL);
  close (self->fd);
  ek_buf_release (&self->lines);
  g_free (self->path);
  g_free (self);
}

/* ---- syslog ------------------------------------------------------------------------------------------- */

struct EkSyslog {
  struct sockaddr_un address;
  int    fd;                         /* -1: not connected */
  EkBuf  lines;                      /* each with a NUL behind it */
  guint  lost;
};

EkSyslog *
ek_syslog_open (const char *path)
{
  EkSyslog *self = g_new0 (EkSyslog, 1);

  self->fd = -1;
  self->address.sun_family = AF_UNIX;
  g_strlcpy (self->address.sun_path, path, sizeof self->address.sun_path);
  return self;
}

void
ek_syslog_line (EkSyslog *self, EkLevel level, EkStr time, EkStr text)
{
  static const int severity[] = { 3, 4, 6, 7 };

  if (ek_buf_len (&self->lines) > SYSLOG_WAITING_MAX) {
    self->lost++;
    return;
  }
  ek_buf_printf (&self->lines, "<%d>", FACILITY_MAIL | severity[level]);
  ek_buf_append (&self->lines, time.p, time.n);
  ek_buf_append (&self->lines, text.p, text.n);
  ek_buf_appendc (&self->lines, '\0');
}

static bool
connected (EkSyslog *self)
{
  if (self->fd >= 0)
    return true;
  self->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd >= 0 && connect (self->fd, (struct sockaddr *) &self->address, sizeof self->address) == 0)
    return true;
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  return false;
}

/* Once more after a restart of syslogd; when its queue is full the rest waits for the next turn. */
static bool
send_line (EkSyslog *self, const char *line, gsize n)
{
  for (int attempt = 0; attempt < 2 && connected (self); attempt++) {
    if (send (self->fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return true;
    if (errno == EAGAIN || errno == ENOBUFS)
      return false;
    if (errno == EMSGSIZE)
      return send (self->fd, line, MIN (n, 1024), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
    close (self->fd);
    self->fd = -1;
  }
  return false;
}

guint
ek_syslog_flush (EkSyslog *self)
{
  while (ek_buf_len (&self->lines) > 0) {
    const char *line = ek_buf_at (&self->lines);
    gsize n = strnlen (line, ek_buf_len (&self->lines));
    if (!send_line (self, line, n))
      break;
    ek_buf_consume (&self->lines, n + 1);
  }
  guint lost = self->lost;
  self->lost = 0;
  return lost;
}

gsize
ek_syslog_waiting (const EkSyslog *self)
{
  return ek_buf_len (&self->lines);
}

void
ek_syslog_close (EkSyslog *self)
{
  if (self == NULL)
    return;
  ek_syslog_flush (self);
  if (self->fd >= 0)
    close (self->fd);
  ek_buf_release (&self->lines);
  g_free (self);
}
