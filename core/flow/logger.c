/* logger.c - the log role: reads every process's pipe, hands the bytes to the sinks
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/log.h"
#include "flow/logger.h"
#include "proc/logrole.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536
#define REST  (5 * G_USEC_PER_SEC / 1000)        /* a pipe holds a megabyte meanwhile: proc/spawn.c */
#define TAKE  16                     /* chunks of one process before the others have their turn */

typedef struct {
  EkWatch watch;
  char   *role;
  gint64  pid;
} Source;

static struct {
  EkLogRole *log;
  GPtrArray *sources;
  EkTask     turn;
  EkTimer    again;                  /* a sink took no more: a full disk, no syslogd */
  EkTimer    rest;                   /* until pipes that were just read are looked at again */
} g;

static char chunk[CHUNK];

static void
watch_all (guint32 events)
{
  for (guint i = 0; i < g.sources->len; i++)
    ek_watch_set (ek_role_loop (), &((Source *) g.sources->pdata[i])->watch, events);
}

/* Busy processes are read a few hundred times a second and not with each of their turns; all at the same
 * time, which keeps what several say of one message in order. */
static void
turn_ended (EkTask *task)
{
  if (ek_timer_armed (&g.rest))
    watch_all (0);
  if (ek_logrole_tick (g.log))
    ek_timer_set (ek_role_loop (), &g.again, G_USEC_PER_SEC);
}

static void
rested (EkTimer *timer)
{
  watch_all (EPOLLIN);
}

static void
try_again (EkTimer *timer)
{
  turn_ended (&g.turn);
}

static void
source_free (Source *s)
{
  ek_watch_set (ek_role_loop (), &s->watch, 0);
  close (s->watch.fd);
  g_free (s->role);
  g_free (s);
}

static void
readable (EkWatch *watch, guint32 events)
{
  Source *s = (Source *) watch;
  ssize_t n = 0;

  for (guint i = 0; i < TAKE; i++) { /* all that a burst has left there, or more of it would be lost */
    n = read (s->watch.fd, chunk, sizeof chunk);
    if (n > 0)
      ek_logrole_input (g.log, s->role, s->pid, chunk, (gsize) n);
    if (n < (ssize_t) sizeof chunk)
      break;
  }
  if (n > 0) {
    if (!ek_timer_armed (&g.rest))
      ek_timer_set (ek_role_loop (), &g.rest, REST);
  }
  else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    ek_logrole_gone (g.log, s->pid);
    g_ptr_array_remove_fast (g.sources, s);
    source_free (s);
  }
  ek_loop_later (ek_role_loop (), &g.turn);
}

static void
add_source (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *role = ek_unpack_text (&msg->in, pool);
  gint64 pid = (gint64) ek_unpack_max (&msg->in, G_MAXINT32);
  int fd = ek_msg_take_fd (msg, 0);

  if (!ek_unpack_ok (&msg->in) || fd < 0) {
    if (fd >= 0)
      close (fd);
    return;
  }
  Source *s = g_new0 (Source, 1);
  *s = (Source) { .watch = { .fd = fd, .func = readable }, .role = g_strdup (role ? role : "unknown"), .pid = pid };
  fcntl (fd, F_SETFL, O_NONBLOCK);
  g_ptr_array_add (g.sources, s);
  ek_watch_set (ek_role_loop (), &s->watch, EPOLLIN);
}

static bool
start (GError **error)
{
  const EkLogOptions *options = ek_generation_values (ek_role_generation (), &ek_log_block, NULL);

  g.sources = g_ptr_array_new ();
  g.turn.func = turn_ended;
  g.again.func = try_again;
  g.rest.func = rested;
  g.log = ek_logrole_open (options, ek_role_hostname (), error);
  return g.log != NULL;
}

static void
reload (void)
{
  g_autoptr (GError) error = NULL;
  const EkLogOptions *options = ek_generation_values (ek_role_generation (), &ek_log_block, NULL);

  if (!ek_logrole_configure (g.log, options, ek_role_hostname (), &error))
    ek_log (EK_ERR, "log", "%s: the old settings stay in use", error->message);
}

static void
master (EkMsg *msg)
{
  g_autoptr (GError) error = NULL;

  if (msg->type == EK_M_LOG_SOURCE)
    add_source (msg);
  else if (msg->type == EK_M_LOG_REOPEN && !ek_logrole_reopen (g.log, &error))
    ek_log (EK_ERR, "log", "%s", error->message);
}

static void
stop (gint64 deadline)
{
  ek_role_done (EK_ROLE_LOG);
}

/* The last words of those that ended before us are still in their pipes. */
static void
end (void)
{
  ek_timer_cancel (ek_role_loop (), &g.again);
  ek_timer_cancel (ek_role_loop (), &g.rest);
  ek_log_flush ();
  for (guint i = 0; i < g.sources->len; i++) {
    Source *s = g.sources->pdata[i];
    ssize_t n;
    while ((n = read (s->watch.fd, chunk, sizeof chunk)) > 0)
      ek_logrole_input (g.log, s->role, s->pid, chunk, (gsize) n);
    source_free (s);
  }
  ek_logrole_tick (g.log);
  ek_logrole_close (g.log);
  g_ptr_array_free (g.sources, TRUE);
  memset (&g, 0, sizeof g);
}

const EkRoleOps ek_log_role = {
  .role = EK_ROLE_LOG, .start = start, .reload = reload, .master = master, .stop = stop, .end = end,
};
