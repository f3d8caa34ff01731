/* master.c - starts, watches and restarts the roles; parses nothing from the net
 * SPDX-License-Identifier: Apache-2.0
 *
 * Master reads the configuration as root, has it checked by a child without rights, binds the
 * ports and hands them out.  SIGHUP: read it again.  SIGTERM: stop in order.  SIGUSR2, or a worker that
 * turns out to be another build: stop in order, then run the new program with the same listening sockets, so
 * that clients wait a moment and nobody is refused.
 */
#include "config.h"
#include "proc/master.h"
#include "base/log.h"
#include "proc/confine.h"
#include "proc/build.h"
#include "proc/control.h"
#include "proc/folders.h"
#include "proc/helpers.h"
#include "proc/notify.h"
#include "proc/pairs.h"
#include "proc/reload.h"
#include "proc/sockets.h"
#include "proc/spawn.h"
#include "proc/upgrade.h"
#include "proc/userstores.h"
#include "proc/workers.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum { STARTING, RUNNING, STOPPING } State;

static struct {
  const EkMasterOptions *options;
  EkLoop  *loop;
  EkPlan  *plan;
  guint64  generation;
  State    state;
  EkWatch  signals;
  EkTimer  tickets, deadline;
  gint64   clock_base;               /* ek_clock_base() at the start */
  guint    phase;                    /* of the stop */
  bool     again;                    /* run the new program when all have stopped */
  const char *upgrade_log;           /* what the log says when it cannot; NULL: who asked is told */
  int      status;
} m;

static void go_on (void);
static void replace_confined (EkWorker *w);

static void
tell_starter (const char *error)
{
  if (m.options->ready)
    m.options->ready (error);
}

/* ---- starting ---- */

static void
all_ready (EkWorker *w)
{
  GPtrArray *all = ek_workers ();

  ek_event ("master", 0, "role-started", EK_FTEXT ("role", w->name), EK_FINT ("pid", w->pid));
  if (w->born != m.generation)       /* a reload has passed while it came up */
    replace_confined (w);
  if (w->place) {
    ek_user_stores_ready (w);
    return;
  }
  for (guint i = 0; i < all->len; i++) {
    const EkWorker *other = all->pdata[i];
    if (other->place == NULL && other->state != EK_WORKER_READY)
      return;
  }
  if (m.state == STARTING) {
    m.state = RUNNING;
    ek_event ("postfix-script", 0, "server-started");
    ek_notify ("READY=1\nSTATUS=running");
    tell_starter (NULL);
  }
}

static void
give_up (const char *text)
{
  ek_log (EK_ERR, "master", "%s", text);
  if (m.state == STARTING)
    tell_starter (text);
  m.status = 1;
  ek_master_stop (false);
}

static void
refused (EkWorker *w, const char *problems)
{
  g_autofree char *text = g_strdup_printf ("%s: %s", w->name, problems);

  if (m.state == STARTING && w->place == NULL) {
    give_up (text);
    return;
  }
  ek_log (EK_ERR, "master", "%s", text);
  if (w->pid > 0)
    kill (w->pid, SIGKILL);          /* tried again, with a growing pause */
}

/* ---- stopping ---- */

static const guint32 phases[] = {    /* who stops together; the order keeps the way of a message open to its end */
  EK_ROLE_BIT (EK_ROLE_EDGE), EK_ROLE_BIT (EK_ROLE_QUEUE) | EK_ROLE_BIT (EK_ROLE_CONTROL),
  EK_ROLE_BIT (EK_ROLE_STORE) | EK_ROLE_BIT (EK_ROLE_RELAY), EK_ROLE_BIT (EK_ROLE_TLS) | EK_ROLE_BIT (EK_ROLE_DIRECTORY),
  EK_ROLE_BIT (EK_ROLE_LOG),
};

/* Stops the next phase when the last one is down. */
static void
go_on (void)
{
  GPtrArray *all = ek_workers ();

  while (m.phase < G_N_ELEMENTS (phases)) {
    bool busy = false;
    for (guint i = 0; i < all->len; i++) {
      EkWorker *w = all->pdata[i];
      if (w->pid == 0 || !(w->bits & phases[m.phase]))
        continue;
      busy = true;
      if (w->state < EK_WORKER_READY)
        kill (w->pid, SIGKILL);      /* it has nothing under way */
      else
        ek_worker_stop (w, m.plan->roles.stop_timeout.us / 1000);
    }
    if (busy)
      return;
    m.phase++;
  }
  ek_loop_quit (m.loop);
}

static void
too_late (EkTimer *timer)
{
  GPtrArray *all = ek_workers ();

  for (guint i = 0; i < all->len; i++) {
    EkWorker *w = all->pdata[i];
    if (w->pid > 0 && w->state == EK_WORKER_STOPPING) {
      ek_log (EK_WARN, "master", "%s did not stop in time: killed", w->name);
      kill (w->pid, SIGKILL);
    }
  }
  ek_timer_set (m.loop, &m.deadline, G_USEC_PER_SEC);
}

void
ek_master_stop (bool again)
{
  GPtrArray *all = ek_workers ();

  if (m.state == STOPPING)
    return;
  m.state = STOPPING;
  m.again = again;
  ek_event ("postfix-script", 0, "server-stopping");
  ek_reload_end ();
  ek_user_stores_stop ();
  ek_notify ("STOPPING=1");
  for (guint i = 0; i < all->len; i++) {
    EkWorker *w = all->pdata[i];
    ek_timer_cancel (m.loop, &w->restart);
    if ((w->bits & EK_ROLE_BIT (EK_ROLE_TLS)) && w->state == EK_WORKER_READY)
      ek_worker_unlisten (w, m.plan);            /* edges go first: who came now would find none */
  }
  m.deadline.func = too_late;
  ek_timer_set (m.loop, &m.deadline, m.plan->roles.stop_timeout.us + G_USEC_PER_SEC);
  go_on ();
}

static void
may_upgrade (const char *why)
{
  if (why == NULL && m.state != RUNNING)
    why = "the server is stopping";
  if (why && m.upgrade_log)
    ek_log (EK_ERR, "master", "%s: %s", m.upgrade_log, why);
  ek_control_upgraded (why);
  if (why)
    return;
  ek_log (EK_WARN, "master", "the program on disk takes over");
  ek_master_stop (true);
}

/* The new program looks at the configuration and its modules first: what cannot start does not get the chance. */
char *
ek_master_upgrade (const char *log)
{
  g_autoptr (GError) error = NULL;

  if (m.state != RUNNING)
    return g_strdup ("the server is starting or stopping");
  if (ek_upgrade_asking ())
    return NULL;                     /* one answer is for all */
  m.upgrade_log = log;
  if (ek_upgrade_ask (m.loop, m.options->conf_path, may_upgrade, &error))
    return NULL;
  if (log)
    ek_log (EK_ERR, "master", "%s: %s", log, error->message);
  return g_strdup (error->message);
}

static void
other_build (EkWorker *w)
{
  if (m.state == STARTING)
    give_up ("a worker is another build than this program: is the installation complete?");
  else
    g_free (ek_master_upgrade ("the program on disk was replaced by one that cannot take over (is it being installed?)"));
}

static void
gone (EkWorker *w, int status)
{
  w->owes = false;
  if (m.state == STOPPING) {
    go_on ();
    return;
  }
  if (w->place && ek_user_stores_gone (w, status))
    return;
  if (w->replaced && WIFEXITED (status) && WEXITSTATUS (status) == 0) {
    w->replaced = false;
    return;
  }
  g_autofree char *how = WIFSIGNALED (status) ? g_strdup_printf ("signal %d", WTERMSIG (status))
                                              : g_strdup_printf ("exit status %d", WEXITSTATUS (status));
  ek_event ("master", 0, "role-died", EK_FTEXT ("role", w->name), EK_FTEXT ("reason", how));
  if (m.state == STARTING && w->restarts >= 3 && w->place == NULL) {
    g_autofree char *text = g_strdup_printf ("%s ends again and again (%s): see the log", w->name, how);
    give_up (text);
  }
  if (w->place == NULL)
    ek_reload_fail (w->name, "ended meanwhile");
}

static void
reap (void)
{
  GPtrArray *all = ek_workers ();
  int status;
  pid_t pid;

  while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
    for (guint i = 0; !ek_upgrade_ended (pid, status) && !ek_helpers_ended (pid) && i < all->len; i++) {
      EkWorker *w = all->pdata[i];
      if (w->pid == pid)
        ek_worker_ended (w, status, m.plan, m.state != STOPPING && (w->place == NULL || ek_user_stores_restart (w, status)));
    }
}

/* ---- reloading ---- */

/* A process that was confined cannot be let out again: where the new configuration names more files or modules, a new process
 * takes over. */
static void
replace_confined (EkWorker *w)
{
  g_autoptr (GPtrArray) reach = w->state == EK_WORKER_READY && w->reach ? ek_worker_reach (w, m.plan, false) : NULL;

  if (!w->outdated && (reach == NULL || ek_reach_covers (w->reach, reach)))
    return;
  ek_log (EK_WARN, "master", "%s is replaced: %s", w->name,
          w->outdated ? "it needs another module now" : "it may reach more files now (roles.confine)");
  w->replaced = true;
  w->outdated = false;
  ek_worker_stop (w, m.plan->roles.stop_timeout.us / 1000);
}

static void
use_plan (EkPlan *plan)
{
  EkPlan *old = m.plan;

  m.plan = plan;
  if (m.plan->tls.ticket_lifetime.us != old->tls.ticket_lifetime.us)
    ek_timer_set (m.loop, &m.tickets, m.plan->tls.ticket_lifetime.us);
  ek_workers_use (m.plan, ++m.generation, old);
  ek_user_stores_use (m.plan, m.generation);
  ek_plan_free (old);
  ek_log_set_level (m.plan->log_level);
}

static void
settled (void)
{
  for (guint i = 0; i < ek_workers ()->len; i++)
    replace_confined (ek_workers ()->pdata[i]);
}

char *
ek_master_reload (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf text = { 0 };
  g_autoptr (GString) errors = g_string_new (NULL);

  if (m.state != RUNNING || ek_reload_under_way ())
    return g_strdup (m.state == RUNNING ? "a reload is under way" : "the server is starting or stopping");
  EkPlan *plan = ek_plan_new (m.options->conf_path, problems);
  if (plan == NULL)
    ek_problems_print (problems, &text);
  else if (!ek_sockets_bind (plan, m.plan, errors))
    ek_buf_appends (&text, errors->str);
  if (ek_buf_len (&text) > 0) {
    char *why = g_strndup (ek_buf_at (&text), ek_buf_len (&text));
    ek_buf_release (&text);
    ek_plan_free (plan);
    ek_event ("master", 0, "reload-failed", EK_FTEXT ("role", "master"), EK_FTEXT ("reason", why));
    return why;
  }
  ek_reload_begin (plan, m.plan, m.generation);
  return NULL;
}

static void
reload_again (void)
{
  g_free (ek_master_reload ());
}

/* ---- running ---- */

static void
on_signal (EkWatch *watch, guint32 events)
{
  struct signalfd_siginfo info;

  while (read (watch->fd, &info, sizeof info) == sizeof info)
    switch (info.ssi_signo) {
    case SIGCHLD:
      reap ();
      break;
    case SIGHUP:
      if (ek_reload_under_way ())
        ek_reload_once_more ();
      else
        reload_again ();
      break;
    case SIGUSR1:
      ek_workers_reopen_log ();
      break;
    case SIGUSR2:
      g_free (ek_master_upgrade ("the program on disk cannot take over"));
      break;
    default:
      ek_master_stop (false);
    }
}

static void
watch_signals (void)
{
  static const int ours[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
  sigset_t set;

  sigemptyset (&set);
  for (guint i = 0; i < G_N_ELEMENTS (ours); i++)
    sigaddset (&set, ours[i]);
  sigprocmask (SIG_BLOCK, &set, NULL);
  signal (SIGPIPE, SIG_IGN);
  m.signals = (EkWatch) { .fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .func = on_signal };
  ek_watch_set (m.loop, &m.signals, EPOLLIN);
}

void
ek_master_rekey (void)
{
  ek_workers_rotate_tickets ();
  ek_timer_set (m.loop, &m.tickets, m.plan->tls.ticket_lifetime.us);
}

static void
rotate (EkTimer *timer)
{
  ek_master_rekey ();
}

/* A worker closed its channel to a neighbour for what it sent: that one is broken into, or has a bug.  It goes on only as a
 * new process, with new channels.  Who is nearer to the net is not believed about who is further from it: else a broken-into edge
 * could have queue killed. */
static void
nonsense (EkWorker *w, EkMsg *msg)
{
  EkRole own = (EkRole) ek_unpack_max (&msg->in, EK_N_ROLES - 1), peer = (EkRole) ek_unpack_max (&msg->in, EK_N_ROLES - 1);
  static const guint8 trust[EK_N_ROLES] = { [EK_ROLE_DIRECTORY] = 2, [EK_ROLE_QUEUE] = 2, [EK_ROLE_STORE] = 1 };
  guint index = (guint) ek_unpack_max (&msg->in, G_MAXUINT16);
  EkWorker *other = ek_unpack_ok (&msg->in) && (w->bits & EK_ROLE_BIT (own)) && ek_roles_talk (own, peer)
                    ? ek_workers_find (peer, index) : NULL;

  if (other == NULL || other == w || other->pid <= 0 || w->place || m.state == STOPPING)
    return;
  if (trust[own] <= trust[peer]) {   /* it would live on without that channel, of no use to anybody */
    ek_log (EK_ERR, "master", "%s has closed its channel to %s: it is replaced", w->name, other->name);
    w->replaced = true;
    ek_worker_stop (w, m.plan->roles.stop_timeout.us / 1000);
    return;
  }
  ek_log (EK_ERR, "master", "%s sent %s what no process of ours sends: killed, a new one takes its place", other->name, w->name);
  kill (other->pid, SIGKILL);
}

static void
message (EkWorker *w, EkMsg *msg)
{
  if (msg->type == EK_M_NONSENSE) {
    nonsense (w, msg);
    return;
  }
  if (ek_user_stores_message (w, msg) || ek_helpers_message (w, msg, m.plan))
    return;
  if (msg->type == EK_C_REQUEST && (w->bits & EK_ROLE_BIT (EK_ROLE_CONTROL)))
    ek_control_master (msg);
  else
    ek_log (EK_WARN, "master", "%s said something that is not for master (type %u)", w->name, msg->type);
}

/* Everything up to the first worker; prints what is wrong. */
static bool
prepare (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (GError) error = NULL;
  GString *errors = g_string_new (NULL);
  EkBuf text = { 0 };

  m.clock_base = ek_clock_base ();
  m.plan = ek_plan_new (m.options->conf_path, problems);
  if (m.plan == NULL)
    ek_problems_print (problems, &text);
  else if (!ek_folders_make (m.plan, &error) || !ek_folders_write_pid (m.plan, &error))
    ek_buf_appends (&text, error->message);
  else if (!ek_sockets_bind (m.plan, NULL, errors))
    ek_buf_appends (&text, errors->str);
  ek_sockets_forget ();
  g_string_free (errors, TRUE);
  bool ok = ek_buf_len (&text) == 0;
  if (!ok) {
    ek_buf_appendc (&text, '\0');
    tell_starter (ek_buf_at (&text));
  }
  ek_buf_release (&text);
  return ok;
}

static void
open_own_log (void)
{
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC | O_NONBLOCK) < 0)
    return;
  ek_workers_set_log (fds[0]);
  ek_log_set_fd (fds[1]);
  ek_log_set_batching (true);
}

int
ek_master_main (const EkMasterOptions *options)
{
  static const EkWorkerHooks hooks = {
    .ready = all_ready, .refused = refused, .other_build = other_build, .message = message, .gone = gone,
  };
  static const EkReloadHooks reload_hooks = { .use = use_plan, .settled = settled, .again = reload_again };
  g_autoptr (GError) error = NULL;

  m.options = options;
  umask (022);
  ek_priv_descriptors ();
  if (!ek_spawn_init ("ekidend", &error) || (m.loop = ek_loop_new (&error)) == NULL) {
    tell_starter (error->message);
    return 1;
  }
  ek_workers_init (m.loop, &hooks);
  ek_reload_init (m.loop, &reload_hooks);
  if (!prepare ()) {
    ek_workers_free ();
    ek_plan_free (m.plan);
    ek_loop_free (m.loop);
    return 1;
  }
  watch_signals ();
  open_own_log ();
  ek_log_set_level (m.plan->log_level);
  ek_user_stores_init (m.loop, m.plan);
  m.generation = 1;
  m.tickets.func = rotate;
  ek_timer_set (m.loop, &m.tickets, m.plan->tls.ticket_lifetime.us);
  ek_workers_plan (m.plan);
  for (guint i = 0; i < ek_workers ()->len; i++)
    if (!ek_worker_start (ek_workers ()->pdata[i], m.plan, m.generation))
      give_up ("cannot start the workers");
  ek_loop_run (m.loop);

  ek_log_set_batching (false);
  ek_log_set_fd (-1);
  ek_upgrade_end ();
  if (m.again)
    ek_upgrade_run (m.options->conf_path, m.plan);
  g_autofree char *pid = g_build_filename (m.plan->top.run_dir, EK_PID_FILE, NULL);
  unlink (pid);
  ek_timer_cancel (m.loop, &m.tickets);
  ek_timer_cancel (m.loop, &m.deadline);
  ek_workers_free ();
  ek_user_stores_end ();
  ek_plan_free (m.plan);
  ek_loop_free (m.loop);
  return m.status;
}

void
ek_master_describe (EkBuf *rows)
{
  GPtrArray *all = ek_workers ();

  ek_buf_printf (rows, "{\"state\":\"%s\",\"build\":\"%s\",\"pid\":%d,\"generation\":%" G_GUINT64_FORMAT ",\"clock_base\":%"
                 G_GINT64_FORMAT ",\"workers\":[",
                 m.state == RUNNING ? "running" : m.state == STARTING ? "starting" : "stopping", ek_build_id (), (int) getpid (),
                 m.generation, m.clock_base);
  for (guint i = 0, n = 0; i < all->len; i++) {
    static const char *const states[] = { "down", "starting", "starting", "ready", "stopping" };
    const EkWorker *w = all->pdata[i];
    if (w->place && w->pid == 0 && !ek_timer_armed (&w->restart))
      continue;                      /* nobody needs it now */
    ek_buf_printf (rows, "%s{\"name\":\"%s\",\"pid\":%d,\"state\":\"%s\",\"uptime\":%" G_GINT64_FORMAT
                   ",\"restarts\":%u,\"generations\":%u", n++ ? "," : "", w->name, (int) w->pid, states[w->state],
                   w->pid ? (ek_now () - w->started) / G_USEC_PER_SEC : 0, w->restarts, w->generations);
    if (w->place)
      ek_buf_printf (rows, ",\"uid\":%" G_GINT64_FORMAT, w->place->who.uid);
    ek_buf_appendc (rows, '}');
  }
  ek_buf_appends (rows, "]}");
}
