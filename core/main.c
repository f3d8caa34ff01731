/* main.c - ekidend: master, or one of its workers
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/roles.h"
#include "proc/master.h"
#include "proc/role.h"
#include "proc/upgrade.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
  "Usage: ekidend [--foreground] [--config FILE]\n"
  "\n"
  "Starts the mail server; returns when it is ready (or says why it is not).\n"
  "\n"
  "  -c, --config FILE   the configuration; default $EKIDEN_CONFIG, then " EK_SYSCONFDIR "/ekiden.conf\n"
  "      --check         only say what is wrong with the configuration, as this program would start with it\n"
  "  -f, --foreground    stay in the foreground (systemd, containers)\n"
  "  -V, --version       version and build\n"
  "  -h, --help          this text\n"
  "\n"
  "Signals: SIGHUP reads the configuration again, SIGTERM stops, SIGUSR1 reopens log files,\n"
  "SIGUSR2 runs the program that is on disk now.  `ekiden reload`, `ekiden stop` do the same.\n"
  "\n"
  "Example: ekidend --foreground --config ./ekiden.conf\n";

static int ready_fd = -1;

static void
say_ready (const char *error)
{
  if (ready_fd < 0) {
    if (error)
      fprintf (stderr, "ekidend: %s%s", error, g_str_has_suffix (error, "\n") ? "" : "\n");
    return;
  }
  const char *text = error ? error : "";
  if (write (ready_fd, text, strlen (text) + 1) < 0) {
    /* whoever started us is gone */
  }
  close (ready_fd);
  ready_fd = -1;
}

/* The parent waits for the child's word and exits with it. */
static int
to_background (void)
{
  int fds[2];
  char text[8192];
  gsize n = 0;
  ssize_t k;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return -1;
  pid_t pid = fork ();
  if (pid == 0) {
    int null = open ("/dev/null", O_RDWR);
    close (fds[0]);
    ready_fd = fds[1];
    setsid ();
    if (null < 0 || dup2 (null, 0) < 0 || dup2 (null, 1) < 0 || dup2 (null, 2) < 0)
      _exit (71);
    if (null > 2)
      close (null);
    return -1;
  }
  close (fds[1]);
  while (pid > 0 && n < sizeof text - 1 && (k = read (fds[0], text + n, sizeof text - 1 - n)) != 0)
    if (k > 0)
      n += (gsize) k;
    else if (errno != EINTR)
      break;
  text[n] = '\0';
  if (n == 1)
    return 0;
  fprintf (stderr, "ekidend: %s", n == 0 ? "ended without a word\n" : text);
  if (n > 1 && text[n - 2] != '\n')
    fputc ('\n', stderr);
  return 1;
}

int
main (int argc, char **argv)
{
  EkMasterOptions options = { .ready = say_ready };
  bool foreground = false, check = false;

  ek_roles_register ();
  if (argc == 3 && strcmp (argv[1], "--worker") == 0) {
    mallopt (M_ARENA_MAX, 2);        /* eight a core leave idle memory in pieces, and jobs mostly wait for the disk */
    return ek_worker_main (argv[2]);
  }
  ek_log_set_name ("ekidend");
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    if (strcmp (a, "-h") == 0 || strcmp (a, "--help") == 0) {
      fputs (help, stdout);
      return 0;
    }
    if (strcmp (a, "-V") == 0 || strcmp (a, "--version") == 0) {
      printf ("ekidend %s (%s)\n", PACKAGE_VERSION, EK_BUILD);
      return 0;
    }
    if (strcmp (a, "-f") == 0 || strcmp (a, "--foreground") == 0)
      foreground = true;
    else if (strcmp (a, "--check") == 0)
      check = true;
    else if ((strcmp (a, "-c") == 0 || strcmp (a, "--config") == 0) && i + 1 < argc)
      options.conf_path = argv[++i];
    else {
      fprintf (stderr, "ekidend: \"%s\" is no option: see ekidend --help\n", a);
      return 64;
    }
  }
  if (options.conf_path == NULL)
    options.conf_path = ek_conf_default_path ();
  g_autofree char *absolute = g_canonicalize_filename (options.conf_path, NULL);
  options.conf_path = absolute;
  if (check)
    return ek_upgrade_answer (absolute);
  if (!foreground) {
    int rc = to_background ();
    if (rc >= 0)
      return rc;
  }
  return ek_master_main (&options);
}
