/* spawn.c - starts this program again as a worker
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/spawn.h"
#include "proc/priv.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *program;

bool
ek_spawn_init (const char *argv0, GError **error)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);

  program = self ? g_steal_pointer (&self) : g_find_program_in_path (argv0);
  if (program && g_str_has_suffix (program, " (deleted)"))
    program[strlen (program) - strlen (" (deleted)")] = '\0';
  if (program)
    return true;
  ek_fail (error, EK_FAIL, ENOENT, "cannot find the path of this program: is /proc mounted?");
  return false;
}

const char *
ek_spawn_program (void)
{
  return program;
}

static bool
passes (const char *var)
{
  static const char *const prefixes[] = {
    "EKIDEN_", "TZ=", "LD_LIBRARY_PATH=", "LD_PRELOAD=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
    "LSAN_OPTIONS=", "TSAN_OPTIONS=", "LLVM_PROFILE_FILE=", "GCOV_PREFIX", "G_SLICE=", "MALLOC_",
  };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (g_str_has_prefix (var, prefixes[i]))
      return true;
  return false;
}

char **
ek_spawn_environment (void)
{
  GPtrArray *env = g_ptr_array_new ();

  for (char **e = environ; *e; e++)
    if (passes (*e))
      g_ptr_array_add (env, g_strdup (*e));
  g_ptr_array_add (env, NULL);
  return (char **) g_ptr_array_free (env, FALSE);
}

/* Between fork and exec: only async-signal-safe calls. */
static void
child (char *const argv[], char *const env[], int channel, int log, int null, bool keep_stderr)
{
  sigset_t none;

  if (dup2 (null, 0) < 0 || dup2 (null, 1) < 0 || (!keep_stderr && dup2 (null, 2) < 0))
    _exit (71);
  /* above the places they go to first, so that none overwrites the other */
  channel = fcntl (channel, F_DUPFD, 10);
  log = fcntl (log, F_DUPFD, 10);
  if (channel < 0 || log < 0 || dup2 (channel, 3) < 0 || dup2 (log, 4) < 0)
    _exit (71);
  ek_priv_close_from (5);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  execve (program, argv, env);
  _exit (72);
}

bool
ek_spawn (const char *name, bool keep_stderr, EkSpawned *made, GError **error)
{
  int pair[2] = { -1, -1 }, log[2] = { -1, -1 };
  int null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  char *argv[] = { (char *) "ekidend", (char *) "--worker", (char *) name, NULL };
  g_auto (GStrv) env = ek_spawn_environment ();

  if (null >= 0 && socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0
      && pipe2 (log, O_CLOEXEC | O_NONBLOCK) == 0) {
    fcntl (log[1], F_SETPIPE_SZ, 1 << 20);
    made->pid = fork ();
    if (made->pid == 0)
      child (argv, env, pair[1], log[1], null, keep_stderr);
  }
  else
    made->pid = -1;
  int err = errno;
  if (null >= 0)
    close (null);
  if (pair[1] >= 0)
    close (pair[1]);
  if (log[1] >= 0)
    close (log[1]);
  made->channel = pair[0];
  made->log = log[0];
  if (made->pid > 0)
    return true;
  if (pair[0] >= 0)
    close (pair[0]);
  if (log[0] >= 0)
    close (log[0]);
  ek_fail (error, EK_DEFER, err, "cannot start %s: %s", name, g_strerror (err));
  return false;
}

/* Between fork and exec: only async-signal-safe calls. */
static void
check_child (char *const argv[], char *const env[], int out, int null)
{
  sigset_t none;

  if (dup2 (null, 0) < 0 || dup2 (out, 1) < 0 || dup2 (out, 2) < 0)
    _exit (71);
  ek_priv_close_from (3);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  execve (program, argv, env);
  _exit (72);
}

pid_t
ek_spawn_check (const char *conf_path, int *out, GError **error)
{
  const char *argv[] = { "ekidend", "--check", "--config", conf_path, NULL };
  g_auto (GStrv) env = ek_spawn_environment ();
  int null = open ("/dev/null", O_RDWR | O_CLOEXEC), fds[2] = { -1, -1 };
  pid_t pid = null >= 0 && pipe2 (fds, O_CLOEXEC) == 0 ? fork () : -1;

  if (pid == 0)
    check_child ((char **) argv, env, fds[1], null);
  if (pid < 0)
    ek_fail (error, EK_DEFER, errno, "cannot start %s: %s", program, g_strerror (errno));
  if (pid < 0 && fds[0] >= 0)
    close (fds[0]);
  if (pid > 0)
    fcntl (fds[0], F_SETFL, O_NONBLOCK);
  if (fds[1] >= 0)
    close (fds[1]);
  if (null >= 0)
    close (null);
  *out = fds[0];
  return pid;
}
