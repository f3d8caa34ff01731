/* upgrade.c - the program on disk takes over: whether it could start is asked first, then it is run with the same sockets
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/upgrade.h"
#include "proc/sockets.h"
#include "proc/spawn.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (60 * G_USEC_PER_SEC)
#define SAID_MAX 4096

static struct {                      /* the question under way */
  EkLoop       *loop;
  EkUpgradeFunc func;
  pid_t         pid;                 /* 0: there is none */
  EkWatch       out;
  EkTimer       deadline;
  GString      *said;
  bool          late;
} u;

static void
clear (void)
{
  ek_watch_set (u.loop, &u.out, 0);
  ek_timer_cancel (u.loop, &u.deadline);
  close (u.out.fd);
  g_string_free (u.said, TRUE);
  u.said = NULL;
  u.pid = 0;
}

/* What there is; what is too much is read and forgotten. */
static void
listen_to (EkWatch *watch, guint32 events)
{
  char text[1024];
  ssize_t n;

  while ((n = read (watch->fd, text, sizeof text)) > 0)
    if (u.said->len < SAID_MAX)
      g_string_append_len (u.said, text, n);
  if (n == 0)                        /* its end is told by waitpid() */
    ek_watch_set (u.loop, watch, 0);
}

static void
too_late (EkTimer *timer)
{
  u.late = true;
  kill (u.pid, SIGKILL);
}

bool
ek_upgrade_ask (EkLoop *loop, const char *conf_path, EkUpgradeFunc func, GError **error)
{
  int out;
  pid_t pid = ek_spawn_check (conf_path, &out, error);

  if (pid < 0)
    return false;
  u.loop = loop;
  u.func = func;
  u.pid = pid;
  u.late = false;
  u.said = g_string_new (NULL);
  u.out = (EkWatch) { .fd = out, .func = listen_to };
  u.deadline.func = too_late;
  ek_watch_set (loop, &u.out, EPOLLIN);
  ek_timer_set (loop, &u.deadline, PATIENCE);
  return true;
}

bool
ek_upgrade_asking (void)
{
  return u.pid > 0;
}

bool
ek_upgrade_ended (pid_t pid, int status)
{
  if (u.pid == 0 || pid != u.pid)
    return false;
  listen_to (&u.out, EPOLLIN);
  bool good = WIFEXITED (status) && WEXITSTATUS (status) == 0;
  if (u.late)
    g_string_append_printf (u.said, "%s --check did not end within %d s", ek_spawn_program (), (int) (PATIENCE / G_USEC_PER_SEC));
  else if (!good && u.said->len == 0)
    g_string_append_printf (u.said, "%s --check ended with %s %d and without a word", ek_spawn_program (),
                            WIFSIGNALED (status) ? "signal" : "status", WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));
  g_autofree char *said = g_strdup (u.said->str);
  clear ();
  u.func (good ? NULL : said);
  return true;
}

void
ek_upgrade_end (void)
{
  if (u.pid == 0)
    return;
  kill (u.pid, SIGKILL);
  while (waitpid (u.pid, NULL, 0) < 0 && errno == EINTR)
    ;
  clear ();
}

void
ek_upgrade_run (const char *conf_path, const EkPlan *plan)
{
  g_auto (GStrv) base = ek_spawn_environment ();
  GPtrArray *env = g_ptr_array_new ();
  const char *argv[] = { "ekidend", "--foreground", "--config", conf_path, NULL };
  sigset_t none;

  for (guint i = 0; base[i]; i++)
    if (!g_str_has_prefix (base[i], "EKIDEN_SOCKETS="))
      g_ptr_array_add (env, base[i]);
  g_ptr_array_add (env, ek_sockets_pass (plan));
  if (g_getenv ("NOTIFY_SOCKET"))
    g_ptr_array_add (env, g_strconcat ("NOTIFY_SOCKET=", g_getenv ("NOTIFY_SOCKET"), NULL));
  g_ptr_array_add (env, NULL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  execve (ek_spawn_program (), (char **) argv, (char **) env->pdata);
  fprintf (stderr, "ekidend: cannot run %s: %s\n", ek_spawn_program (), g_strerror (errno));
}

/* ---- the new program's side ---- */

int
ek_upgrade_answer (const char *conf_path)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf text = { 0 };
  EkPlan *plan = ek_plan_new (conf_path, problems);

  if (plan == NULL)
    ek_problems_print (problems, &text);
  if (ek_buf_len (&text) > 0)
    fprintf (stderr, "%.*s", EK_STR_ARG (ek_buf_str (&text)));
  ek_buf_release (&text);
  bool good = plan != NULL;
  ek_plan_free (plan);
  return good ? 0 : 1;
}
