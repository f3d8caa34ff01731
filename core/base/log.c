/* log.c - a process's own end of the log: pack, batch, write, never block
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/log.h"
#include "base/base.h"
#include "base/event.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 16 * 1024, CAPACITY = BATCH + EK_RECORD_MAX };

static struct {
  pthread_mutex_t lock;              /* guards all but the atomics */
  int         fd;                    /* -1: standard error */
  bool        is_socket;
  void      (*sink) (const char *, gsize, gpointer);
  gpointer    sink_data;
  const char *name;
  guint64     unreported;            /* dropped since the last report */
  gsize       start, end;            /* unsent bytes are data[start..end) */
  gsize       partial;               /* of which the first so many end a record that was sent in part */
  char        data[CAPACITY];
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .name = "ekiden" };

static atomic_int level_now = -1;                /* -1: nobody has set it */
static atomic_ullong dropped;
static atomic_bool pending;                      /* something waits for ek_log_flush() */
static atomic_bool has_target;                   /* a descriptor or sink is set */
static _Thread_local bool batching;

static const char *const level_names[] = { "error", "warning", "info", "debug" };

const char *
ek_log_level_name (EkLevel level)
{
  return (guint) level < G_N_ELEMENTS (level_names) ? level_names[level] : "info";
}

bool
ek_log_level_parse (const char *text, EkLevel *level)
{
  for (guint i = 0; text && i < G_N_ELEMENTS (level_names); i++)
    if (g_ascii_strcasecmp (text, level_names[i]) == 0) {
      *level = (EkLevel) i;
      return true;
    }
  return false;
}

void
ek_log_set_level (EkLevel level)
{
  atomic_store (&level_now, (int) level);
}

EkLevel
ek_log_level (void)
{
  int level = atomic_load_explicit (&level_now, memory_order_relaxed);
  EkLevel from_env;

  if (level >= 0)
    return (EkLevel) level;
  if (atomic_load_explicit (&has_target, memory_order_relaxed))
    return EK_INFO;
  return ek_log_level_parse (getenv ("EKIDEN_LOG_LEVEL"), &from_env) ? from_env : EK_WARN;
}

void
ek_log_set_name (const char *name)
{
  pthread_mutex_lock (&out.lock);
  out.name = name;
  pthread_mutex_unlock (&out.lock);
}

guint64
ek_log_dropped (void)
{
  return atomic_load (&dropped);
}

void
ek_log_set_batching (bool on)
{
  if (!on)
    ek_log_flush ();
  batching = on;
}

/* MSG_NOSIGNAL where it is possible: a log role that went away must not kill us. */
static ssize_t
write_some (const char *p, gsize n)
{
  ssize_t did;

  do
    did = out.is_socket ? send (out.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) : write (out.fd, p, n);
  while (did < 0 && errno == EINTR);
  return did;
}

static void
sent (gsize n)
{
  while (n > 0) {
    if (out.partial == 0)
      out.partial = (guchar) out.data[out.start + 2] | (gsize) (guchar) out.data[out.start + 3] << 8;
    gsize took = MIN (n, out.partial);
    out.start += took;
    out.partial -= took;
    n -= took;
  }
}

/* Writes what it can; what stays is moved to the front.  When the other end is gone the records
 * wait here for the descriptor that leads to the new log role. */
static void
drain (void)
{
  if (out.sink && out.end > out.start) {
    out.sink (out.data + out.start, out.end - out.start, out.sink_data);
    out.start = out.end;
    out.partial = 0;
  }
  while (out.fd >= 0 && out.end > out.start) {
    ssize_t n = write_some (out.data + out.start, out.end - out.start);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
      close (out.fd);
      out.fd = -1;
    }
    if (n <= 0)
      break;
    sent ((gsize) n);
  }
  if (out.start > 0) {
    memmove (out.data, out.data + out.start, out.end - out.start);
    out.end -= out.start;
    out.start = 0;
  }
}

static bool
has_room (gsize n)
{
  if (CAPACITY - out.end < n)
    drain ();
  return CAPACITY - out.end >= n;
}

static void
report_drops (void)
{
  char record[EK_RECORD_MAX];
  const EkField fields[] = { EK_FINT ("count", out.unreported), { .type = EK_F_END } };
  gsize n = ek_record_pack (record, ek_wall (), 0, EK_WARN, "", "log-dropped", fields);

  if (!has_room (n))
    return;
  memcpy (out.data + out.end, record, n);
  out.end += n;
  out.unreported = 0;
}

static void
push (const char *record, gsize n)
{
  pthread_mutex_lock (&out.lock);
  if (out.unreported > 0 && has_room (n + 128))
    report_drops ();
  if (out.unreported == 0 && has_room (n)) {
    memcpy (out.data + out.end, record, n);
    out.end += n;
  }
  else {
    out.unreported++;
    atomic_fetch_add_explicit (&dropped, 1, memory_order_relaxed);
  }
  if (!batching || out.end >= BATCH)
    drain ();
  atomic_store_explicit (&pending, out.end > 0 || out.unreported > 0, memory_order_relaxed);
  pthread_mutex_unlock (&out.lock);
}

void
ek_log_flush (void)
{
  if (!atomic_load_explicit (&pending, memory_order_relaxed))
    return;
  pthread_mutex_lock (&out.lock);
  drain ();
  if (out.unreported > 0 && out.end == 0) {
    report_drops ();
    drain ();
  }
  atomic_store_explicit (&pending, out.end > 0 || out.unreported > 0, memory_order_relaxed);
  pthread_mutex_unlock (&out.lock);
}

bool
ek_log_wait (int ms)
{
  struct pollfd fd = { .events = POLLOUT };

  ek_log_flush ();
  pthread_mutex_lock (&out.lock);
  bool full = out.end > CAPACITY / 2;
  fd.fd = out.fd;
  pthread_mutex_unlock (&out.lock);
  return !full || poll (&fd, 1, ms) > 0;
}

void
ek_log_set_fd (int fd)
{
  int type;
  socklen_t size = sizeof type;
  struct sigaction old;

  pthread_mutex_lock (&out.lock);
  drain ();
  if (out.fd >= 0)
    close (out.fd);
  out.fd = fd;
  if (out.partial > 0) {                         /* half a record must not open the new stream */
    out.start += out.partial;
    out.partial = 0;
    out.unreported++;
  }
  if (fd >= 0) {
    fcntl (fd, F_SETFD, FD_CLOEXEC);
    fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
    out.is_socket = getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    if (!out.is_socket && sigaction (SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
      signal (SIGPIPE, SIG_IGN);                 /* a pipe has no MSG_NOSIGNAL */
    drain ();
  }
  atomic_store (&has_target, fd >= 0 || out.sink);
  pthread_mutex_unlock (&out.lock);
}

void
ek_log_set_sink (void (*sink) (const char *, gsize, gpointer), gpointer data)
{
  pthread_mutex_lock (&out.lock);
  drain ();
  out.sink = sink;
  out.sink_data = data;
  atomic_store (&has_target, out.fd >= 0 || sink);
  pthread_mutex_unlock (&out.lock);
}

static void
to_stderr (const char *packed, gsize n)
{
  EkRecord record;
  EkBuf line = { 0 };

  if (ek_record_read (packed, n, &record) <= 0)
    return;
  pthread_mutex_lock (&out.lock);
  ek_buf_appends (&line, out.name);
  pthread_mutex_unlock (&out.lock);
  if (record.component.n > 0)
    ek_buf_printf (&line, "/%.*s", EK_STR_ARG (record.component));
  ek_buf_appends (&line, ": ");
  if (ek_record_line (&record, &line)) {
    ek_buf_appendc (&line, '\n');
    ssize_t ignored = write (STDERR_FILENO, ek_buf_at (&line), ek_buf_len (&line));
    (void) ignored;
  }
  ek_buf_release (&line);
}

static void
emit (EkLevel level, const char *component, EkEventId id, const char *word, const EkField *fields)
{
  char record[EK_RECORD_MAX];
  gsize n = ek_record_pack (record, ek_wall (), id, level, component, word, fields);

  if (atomic_load_explicit (&has_target, memory_order_acquire))
    push (record, n);
  else
    to_stderr (record, n);
}

void
ek_event_emit (const char *component, EkEventId id, const char *word, const EkField *fields)
{
  const EkWordInfo *info = ek_word_find (ek_str (word));
  EkLevel level = info ? info->level : EK_INFO;

  if (ek_log_enabled (level))
    emit (level, component, id, word, fields);
}

void
ek_log (EkLevel level, const char *component, const char *fmt, ...)
{
  char text[2048];
  va_list args;

  if (!ek_log_enabled (level))
    return;
  va_start (args, fmt);
  int n = g_vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  EkStr said = { text, CLAMP (n, 0, (int) sizeof text - 1) };
  const EkField fields[] = { EK_FSTR ("text", said), { .type = EK_F_END } };
  emit (level, component, 0, "log", fields);
}

static GLogWriterOutput
glib_writer (GLogLevelFlags flags, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *message = NULL, *domain = "glib";
  EkLevel level = flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ? EK_ERR
                  : flags & G_LOG_LEVEL_WARNING ? EK_WARN : flags & G_LOG_LEVEL_DEBUG ? EK_DEBUG : EK_INFO;

  for (gsize i = 0; i < n_fields; i++) {
    if (strcmp (fields[i].key, "MESSAGE") == 0 && fields[i].length < 0)
      message = fields[i].value;
    if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0 && fields[i].length < 0)
      domain = fields[i].value;
  }
  ek_log (level, "", "%s: %s", domain, message ? message : "no message");
  if (flags & G_LOG_FLAG_FATAL)
    ek_log_flush ();
  return G_LOG_WRITER_HANDLED;
}

void
ek_log_capture_glib (void)
{
  g_log_set_writer_func (glib_writer, NULL, NULL);
}
