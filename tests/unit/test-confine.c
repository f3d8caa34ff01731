/* test-confine.c - what a confined process may still do: tried, for each role, in a child that becomes it by the same functions
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir;
static EkConf *conf;

static char *
in_dir (const char *name)
{
  return g_build_filename (dir, name, NULL);
}

static void
make (const char *name)
{
  g_autofree char *path = in_dir (name), *file = g_build_filename (path, "file", NULL);

  g_assert_no_errno (g_mkdir_with_parents (path, 0755));
  g_assert_true (g_file_set_contents (file, "x", 1, NULL));
}

static void
set_up (void)
{
  static const char *const folders[] = { "spool", "state/maildrop", "state/events", "run/control", "log", "mail/a", "mail/b", "secrets", "other" };
  static const struct { const char *kind; EkRole role; } owners[] = {
    { "spool", EK_ROLE_QUEUE }, { "log", EK_ROLE_LOG }, { "file", EK_ROLE_DIRECTORY }, { "maildir", EK_ROLE_STORE },
  };
  g_autoptr (EkProblems) problems = ek_problems_new ();

  dir = g_dir_make_tmp ("confine-XXXXXX", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    make (folders[i]);
  g_autofree char *text = g_strdup_printf ("spool { \n path = \"%1$s/spool\"\n }\n log { \n file = \"%1$s/log/mail.log\"\n }\n"
                                           "file \"f\" {\n path = \"%1$s/secrets/file\"\n home = \"%1$s/mail/%%d/%%n\"\n }\n"
                                           "maildir \"m\" {\n path = \"%%h/Maildir\"\n }\n", dir);
  conf = ek_conf_load_text ("test.conf", ek_str (text), 0, problems);
  g_assert_cmpuint (ek_problems_count (problems), ==, 0);
  for (EkConfBlock *b = conf->root->blocks; b; b = b->next)
    for (guint i = 0; i < G_N_ELEMENTS (owners); i++)
      if (strcmp (b->kind, owners[i].kind) == 0)
        b->roles = EK_ROLE_BIT (owners[i].role);
}

static GPtrArray *
reach_of (EkRole role, char **extra)
{
  g_autofree char *state = in_dir ("state"), *run = in_dir ("run");

  return ek_reach_new (conf, EK_ROLE_BIT (role), state, run, extra, true);
}

/* ---- attempts: 0 or errno ---- */

static int
try_read (const char *name)
{
  g_autofree char *path = name[0] == '/' ? g_strdup (name) : in_dir (name);
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return errno;
  close (fd);
  return 0;
}

static int
try_write (const char *name)
{
  g_autofree char *path = name[0] == '/' ? g_strdup (name) : in_dir (name), *to = g_strconcat (path, ".new", NULL);
  int fd = open (to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  if (fd < 0)
    return errno;
  close (fd);
  if (rename (to, path) < 0 || ek_confine_reaches (path) == false)
    return errno ? errno : EINVAL;
  return 0;
}

static int
try_append (const char *name)
{
  g_autofree char *path = in_dir (name);
  int fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC);

  if (fd < 0)
    return errno;
  close (fd);
  return 0;
}

static int
try_move (const char *from, const char *to)
{
  g_autofree char *a = in_dir (from), *b = in_dir (to);

  return rename (a, b) == 0 && rename (b, a) == 0 ? 0 : errno;
}

static int
try_socket (int family, int type)
{
  int fd = socket (family, type | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return errno;
  close (fd);
  return 0;
}

static int
try_bind (int port)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons ((guint16) port), .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

  if (fd < 0 || bind (fd, (struct sockaddr *) &a, sizeof a) < 0)
    err = errno;
  if (fd >= 0)
    close (fd);
  return err;
}

static gpointer
thread (gpointer data)
{
  return GINT_TO_POINTER (unshare (CLONE_NEWNS) < 0 ? errno : 0);
}

static int
try_in_thread (void)
{
  pthread_t id;
  void *err = NULL;

  if (pthread_create (&id, NULL, thread, NULL) != 0)
    return -1;
  pthread_join (id, &err);
  return GPOINTER_TO_INT (err);
}

/* ---- roles ---- */

#define WANT(what_, want_) do { int got_ = (what_); \
  if (got_ != (want_)) { fprintf (stderr, "%s: %s: %s, not %s\n", ek_role_name (role), #what_, g_strerror (got_), g_strerror (want_)); bad++; } \
  } while (0)

static int
attempts (EkRole role)
{
  const bool connects = role == EK_ROLE_EDGE || role == EK_ROLE_DIRECTORY || role == EK_ROLE_RELAY;
  const bool reads_all = role == EK_ROLE_DIRECTORY;
  int bad = 0, abi = ek_confine_landlock ();
  char *const argv[] = { (char *) "true", NULL };

  if (abi >= 2) {
    const int no = EACCES;
    WANT (try_write ("spool/file"), role == EK_ROLE_QUEUE ? 0 : no);
    WANT (try_write ("state/maildrop/file"), role == EK_ROLE_QUEUE ? 0 : no);
    WANT (try_read ("spool/file"), role == EK_ROLE_QUEUE || reads_all ? 0 : no);
    WANT (try_write ("log/file"), role == EK_ROLE_LOG ? 0 : no);
    WANT (try_write ("state/events/file"), role == EK_ROLE_LOG ? 0 : no);
    WANT (try_write ("run/control/file"), role == EK_ROLE_CONTROL ? 0 : no);
    WANT (try_read ("secrets/file"), reads_all ? 0 : no);
    WANT (try_write ("secrets/file"), no);           /* not beside it either */
    WANT (try_append ("secrets/file"), role == EK_ROLE_DIRECTORY ? 0 : no);
    WANT (try_write ("mail/a/file"), role == EK_ROLE_STORE ? 0 : no);
    WANT (try_move ("mail/a/file", "mail/b/moved"), role == EK_ROLE_STORE ? 0 : no);
    WANT (try_read ("mail/a/file"), role == EK_ROLE_STORE || reads_all ? 0 : no);
    WANT (try_write ("other/file"), role == EK_ROLE_STORE ? 0 : no);       /* a home may lie anywhere */
    WANT (try_write ("/etc/ekiden-was-here"), no);
    WANT (try_read ("/etc/hosts"), 0);
  }
  if (abi >= 4 && connects) {
    WANT (try_bind (0), 0);
    WANT (try_bind (24999), EACCES);
  }
  if (abi >= 6)
    WANT (kill (getppid (), 0) < 0 ? errno : 0, EPERM);
  if (ek_confine_seccomp ()) {
    WANT (try_socket (AF_INET, SOCK_STREAM), connects ? 0 : EAFNOSUPPORT);
    WANT (try_socket (AF_INET6, SOCK_DGRAM), connects ? 0 : EAFNOSUPPORT);
    WANT (try_socket (AF_UNIX, SOCK_STREAM), role == EK_ROLE_TLS ? EAFNOSUPPORT : 0);
    WANT (try_socket (AF_PACKET, SOCK_RAW), EAFNOSUPPORT);
    WANT (mount ("none", "/mnt", "tmpfs", 0, NULL) < 0 ? errno : 0, EPERM);
    WANT (unshare (CLONE_NEWUSER) < 0 ? errno : 0, EPERM);
    WANT (try_in_thread (), EPERM);
    WANT (syscall (SYS_bpf, 0, NULL, 0) < 0 ? errno : 0, EPERM);
    WANT (syscall (SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0, EPERM);
    WANT (syscall (SYS_process_vm_readv, getppid (), NULL, 0, NULL, 0, 0) < 0 ? errno : 0, EPERM);
#ifndef EK_SANITIZED
    WANT (ptrace (PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0, EPERM);
    if (role != EK_ROLE_DIRECTORY)
      WANT (execv ("/bin/true", argv) < 0 ? errno : 0, EPERM);
#endif
  }
  (void) argv;
  return bad;
}

static void
test_role (gconstpointer data)
{
  EkRole role = (EkRole) GPOINTER_TO_INT (data);
  g_autoptr (GPtrArray) reach = reach_of (role, NULL);
  int status = 0;

  if (ek_confine_landlock () < 2 && !ek_confine_seccomp ()) {
    g_test_skip ("this kernel has neither landlock nor seccomp");
    return;
  }
  pid_t pid = fork ();
  if (pid == 0) {
    g_autoptr (GError) error = NULL;
    if (prctl (PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || !ek_confine_files (EK_ROLE_BIT (role), reach, &error)
        || !ek_confine_calls (EK_ROLE_BIT (role), &error)) {
      fprintf (stderr, "%s\n", error ? error->message : "no_new_privs");
      _exit (99);
    }
    _exit (attempts (role));
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static int
attempts_of_user (void)
{
  const EkRole role = EK_ROLE_STORE;
  g_autofree char *gone = in_dir ("mail/gone");
  int bad = 0;

  WANT (try_write ("mail/a/file"), 0);
  WANT (try_read ("mail/b/file"), EACCES);
  WANT (try_write ("mail/b/file"), EACCES);
  WANT (try_write ("other/file"), EACCES);
  WANT (try_read ("spool/file"), EACCES);
  WANT (try_read ("secrets/file"), EACCES);
  WANT (try_read ("/etc/hosts"), 0);
  WANT (ek_confine_reaches (gone), 0);           /* it was not there */
  return bad;
}

/* The store worker of one system user: his home alone, though others' lie beside it. */
static void
test_user (void)
{
  g_autofree char *home = in_dir ("mail/a"), *mail = in_dir ("mail/gone");
  g_autoptr (GPtrArray) reach = ek_reach_user (conf, home, mail);
  int status = 0;

  if (ek_confine_landlock () < 2) {
    g_test_skip ("this kernel has no landlock");
    return;
  }
  pid_t pid = fork ();
  if (pid == 0) {
    g_autoptr (GError) error = NULL;
    if (prctl (PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || !ek_confine_files (EK_ROLE_BIT (EK_ROLE_STORE), reach, &error)) {
      fprintf (stderr, "%s\n", error ? error->message : "no_new_privs");
      _exit (99);
    }
    _exit (attempts_of_user ());
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* A reload that names more files is noticed, and one that names none is not. */
static void
test_more (void)
{
  g_autofree char *path = g_strconcat ("queue:", dir, "/other", NULL), *below = g_strconcat ("queue:", dir, "/spool/x", NULL);
  char *more[] = { path, NULL }, *same[] = { below, NULL };
  g_autoptr (GPtrArray) plain = reach_of (EK_ROLE_QUEUE, NULL), grown = reach_of (EK_ROLE_QUEUE, more),
                        equal = reach_of (EK_ROLE_QUEUE, same), store = reach_of (EK_ROLE_STORE, more);
  EkRole role;
  const char *rest;

  make ("another");                  /* a folder that nobody named is no reason */
  g_autoptr (GPtrArray) before = reach_of (EK_ROLE_STORE, NULL);
  make ("new");
  g_autoptr (GPtrArray) after = reach_of (EK_ROLE_STORE, NULL);
  g_assert_cmpuint (after->len, ==, before->len + 1);
  g_assert_true (ek_reach_covers (before, after));

  g_assert_true (ek_reach_covers (plain, plain));
  g_assert_true (ek_reach_covers (plain, equal));
  g_assert_false (ek_reach_covers (plain, grown));
  g_assert_true (ek_reach_covers (grown, plain));
  g_assert_false (ek_reach_covers (plain, store));
  g_assert_true (ek_reach_parse ("store:/net", &role, &rest));
  g_assert_cmpint (role, ==, EK_ROLE_STORE);
  g_assert_cmpstr (rest, ==, "/net");
  g_assert_false (ek_reach_parse ("store", &role, &rest));
  g_assert_false (ek_reach_parse ("store:net", &role, &rest));
  g_assert_false (ek_reach_parse ("master:/net", &role, &rest));
  g_assert_false (ek_reach_parse ("/net", &role, &rest));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  set_up ();
  for (EkRole role = EK_ROLE_MASTER + 1; role < EK_N_ROLES; role++) {
    g_autofree char *name = g_strconcat ("/confine/", ek_role_name (role), NULL);
    g_test_add_data_func (name, GINT_TO_POINTER ((int) role), test_role);
  }
  g_test_add_func ("/confine/user", test_user);
  g_test_add_func ("/confine/more", test_more);
  int status = g_test_run ();
  ek_conf_free (conf);
  g_free (dir);                      /* the folder lies in the test's own, which the driver removes */
  return status;
}
