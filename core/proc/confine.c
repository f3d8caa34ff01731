/* confine.c - what the kernel refuses a role beyond its uid: system calls (seccomp), files and ports (landlock)
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both are spoken to directly: the filter is small, and the core has no optional library.
 */
#include "config.h"
#include "proc/confine.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- landlock: the kernel's numbers, whatever headers this was built with ---- */

#define LL_CREATE_RULESET 444
#define LL_ADD_RULE       445
#define LL_RESTRICT_SELF  446
#define LL_PATH_BENEATH   1
#define LL_NET_PORT       2

enum {
  EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5,
  MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9, MAKE_FIFO = 1 << 10, MAKE_SYM = 1 << 12,
  REFER = 1 << 13, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15,
  OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
};
enum { BIND_TCP = 1, CONNECT_TCP = 2 };
enum { SCOPE_ABSTRACT = 1, SCOPE_SIGNAL = 2 };

typedef struct { guint64 fs, net, scoped; } Ruleset;
typedef struct __attribute__ ((packed)) { guint64 allowed; gint32 fd; } PathRule;
typedef struct { guint64 allowed, port; } PortRule;

static struct {
  bool       confined;
  GPtrArray *writable;               /* of char *: read-only once set */
} self;

#define CONNECTS (EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_DIRECTORY) | EK_ROLE_BIT (EK_ROLE_RELAY))

int
ek_confine_landlock (void)
{
  long abi = syscall (LL_CREATE_RULESET, NULL, 0, 1L);

  return abi < 0 ? 0 : (int) abi;
}

static bool
failed (GError **error, const char *what)
{
  int err = errno;

  ek_fail (error, EK_FAIL, err, "cannot be confined: %s: %s (roles.confine = no does without)", what, g_strerror (err));
  return false;
}

static bool
add_path (int ruleset, guint64 handled, EkReach *r, GError **error)
{
  guint64 allowed = READ_FILE | READ_DIR;
  struct stat st;

  if (r->how & EK_REACH_WRITE)
    allowed |= WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE;
  if (r->how & EK_REACH_RUN)
    allowed |= EXECUTE;
  int fd = open (r->path, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    r->how = 0;                      /* it is not there, or its permissions keep us out anyway */
    return true;
  }
  if (fstat (fd, &st) == 0 && !S_ISDIR (st.st_mode))
    allowed &= OF_A_FILE;
  PathRule rule = { .allowed = allowed & handled, .fd = fd };
  bool ok = syscall (LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &rule, 0L) == 0 || failed (error, r->path);
  close (fd);
  return ok;
}

static bool
restrict_self (int ruleset, const Ruleset *set, guint32 roles, const GPtrArray *reach, GError **error)
{
  PortRule any = { .allowed = BIND_TCP, .port = 0 };

  for (guint i = 0; i < reach->len; i++)
    if (!add_path (ruleset, set->fs, reach->pdata[i], error))
      return false;
  /* who connects may also say from which address; listening is master's */
  if ((set->net & BIND_TCP) && (roles & CONNECTS) && syscall (LL_ADD_RULE, ruleset, LL_NET_PORT, &any, 0L) < 0)
    return failed (error, "landlock_add_rule");
  if (syscall (LL_RESTRICT_SELF, ruleset, 0L) < 0)
    return failed (error, "landlock_restrict_self");
  return true;
}

/* For the log: a record is at most 4 KB. */
static void
tell (const char *verb, EkBuf *paths, bool last)
{
  if (ek_buf_len (paths) > (last ? 0 : 1500)) {
    ek_log (EK_DEBUG, "worker", "landlock: %s %.*s", verb, EK_STR_ARG (ek_buf_str (paths)));
    ek_buf_clear (paths);
  }
}

static void
remember (const GPtrArray *reach)
{
  EkBuf change = { 0 }, see = { 0 };

  self.confined = true;
  self.writable = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < reach->len; i++) {
    const EkReach *r = reach->pdata[i];
    if (r->how == 0)
      continue;
    EkBuf *to = r->how & EK_REACH_WRITE ? &change : &see;
    ek_buf_printf (to, "%s%s", ek_buf_len (to) > 0 ? ", " : "", r->path);
    if (r->how & EK_REACH_WRITE)
      g_ptr_array_add (self.writable, g_strdup (r->path));
    tell ("may change", &change, false);
    tell ("may read", &see, false);
  }
  tell ("may change", &change, true);
  tell ("may read", &see, true);
  ek_buf_release (&change);
  ek_buf_release (&see);
}

bool
ek_confine_files (guint32 roles, const GPtrArray *reach, GError **error)
{
  int abi = ek_confine_landlock ();
  Ruleset set = { .fs = abi >= 5 ? 0xffff : abi >= 3 ? 0x7fff : 0x3fff };

  if (abi < 2)                       /* without REFER no file could be moved between folders */
    return true;
  if (abi >= 4)
    set.net = roles & CONNECTS ? BIND_TCP : BIND_TCP | CONNECT_TCP;
  if (abi >= 6)
    set.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
  int ruleset = (int) syscall (LL_CREATE_RULESET, &set, sizeof set, 0L);
  if (ruleset < 0)
    return failed (error, "landlock_create_ruleset");
  bool ok = restrict_self (ruleset, &set, roles, reach, error);
  close (ruleset);
  if (ok)
    remember (reach);
  return ok;
}

static bool
below (const char *path, const char *folder)
{
  gsize n = strlen (folder);

  while (n > 0 && folder[n - 1] == '/')
    n--;
  return strncmp (path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool
ek_confine_reaches (const char *path)
{
  if (!self.confined)
    return true;
  for (guint i = 0; i < self.writable->len; i++)
    if (below (path, self.writable->pdata[i]))
      return true;
  return false;
}

bool
ek_reach_covers (const GPtrArray *have, const GPtrArray *more)
{
  for (guint i = 0; i < more->len; i++) {
    const EkReach *m = more->pdata[i];
    bool found = (m->how & EK_REACH_FOUND) != 0;
    for (guint k = 0; k < have->len && !found; k++) {
      const EkReach *h = have->pdata[k];
      found = below (m->path, h->path) && (m->how & ~h->how) == 0;
    }
    if (!found)
      return false;
  }
  return true;
}

/* ---- seccomp ---- */

#if defined __x86_64__
# define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
# define ARCH AUDIT_ARCH_AARCH64
#endif

#define RULES_MAX 400

static const int never[] = {         /* no role does these */
  SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
  SYS_swapon, SYS_swapoff, SYS_reboot, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module,
  SYS_bpf, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_userfaultfd, SYS_perf_event_open, SYS_io_uring_setup, SYS_unshare,
  SYS_setns, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_quotactl, SYS_acct, SYS_settimeofday, SYS_clock_settime,
  SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname, SYS_fanotify_init, SYS_syslog, SYS_vhangup, SYS_move_pages,
  SYS_migrate_pages, SYS_mknodat, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#ifdef SYS_kexec_file_load
  SYS_kexec_file_load,
#endif
#ifdef SYS_mount_setattr
  SYS_mount_setattr,
#endif
#ifdef SYS_mknod
  SYS_mknod,
#endif
#ifdef SYS_iopl
  SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
#ifndef EK_SANITIZED                 /* the leak checker looks at its own process so, reports run a symbolizer */
  SYS_ptrace,
#endif
};

typedef struct {
  struct sock_filter rule[RULES_MAX];
  guint n;
} Filter;

static void
put (Filter *f, guint16 code, guint32 k, guint8 yes, guint8 no)
{
  g_assert (f->n < RULES_MAX);
  f->rule[f->n++] = (struct sock_filter) { code, yes, no, k };
}

#define LOAD(f_, field_) put (f_, BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, field_), 0, 0)
#define ANSWER(f_, what_) put (f_, BPF_RET | BPF_K, what_, 0, 0)
#define ERR(e_) (SECCOMP_RET_ERRNO | (e_))
#define LOW (G_BYTE_ORDER == G_LITTLE_ENDIAN ? 0 : 4)
#define LOAD_ARG(f_, i_) put (f_, BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args) + 8 * (i_) + LOW, 0, 0)

static void
deny (Filter *f, int call, int err)
{
  put (f, BPF_JMP | BPF_JEQ | BPF_K, (guint32) call, 0, 1);
  ANSWER (f, ERR (err));
}

/* socket(): the families that one of the roles uses. */
static void
families (Filter *f, guint32 roles)
{
  static const struct { int family; guint32 roles; } rows[] = {
    { AF_UNIX, EK_ROLES_ALL & ~EK_ROLE_BIT (EK_ROLE_TLS) },      /* the system's log, name services, milters, databases */
    { AF_INET, CONNECTS }, { AF_INET6, CONNECTS }, { AF_NETLINK, CONNECTS },     /* NETLINK: getaddrinfo() */
  };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    n += (rows[i].roles & roles) != 0;
  put (f, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (guint8) (n * 2 + 2));
  LOAD_ARG (f, 0);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (rows[i].roles & roles) {
      put (f, BPF_JMP | BPF_JEQ | BPF_K, (guint32) rows[i].family, 0, 1);
      ANSWER (f, SECCOMP_RET_ALLOW);
    }
  ANSWER (f, ERR (EAFNOSUPPORT));
}

/* A call that is denied when its argument has one of the bits, or is the value. */
static void
deny_argument (Filter *f, int call, guint arg, guint16 test, guint32 k, int err)
{
  put (f, BPF_JMP | BPF_JEQ | BPF_K, (guint32) call, 0, 4);
  LOAD_ARG (f, arg);
  put (f, BPF_JMP | test | BPF_K, k, 0, 1);
  ANSWER (f, ERR (err));
  ANSWER (f, SECCOMP_RET_ALLOW);
}

bool
ek_confine_seccomp (void)
{
#ifdef ARCH
  guint32 action = SECCOMP_RET_ERRNO;

  return syscall (SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
#else
  return false;
#endif
}

bool
ek_confine_calls (guint32 roles, GError **error)
{
#ifdef ARCH
  Filter f = { .n = 0 };

  if (!ek_confine_seccomp ())
    return true;
  LOAD (&f, arch);
  put (&f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
  ANSWER (&f, SECCOMP_RET_KILL_PROCESS);           /* calls of a foreign kind would pass by their other numbers */
  LOAD (&f, nr);
# ifdef __x86_64__
  put (&f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
  ANSWER (&f, ERR (EPERM));
# endif
  for (guint i = 0; i < G_N_ELEMENTS (never); i++)
    deny (&f, never[i], EPERM);
  deny (&f, SYS_clone3, ENOSYS);     /* its flags lie in memory, where a filter cannot look: libc takes clone() then */
# ifndef EK_SANITIZED
  if (!(roles & EK_ROLE_BIT (EK_ROLE_DIRECTORY))) {            /* helpers that check passwords are its children */
    deny (&f, SYS_execve, EPERM);
    deny (&f, SYS_execveat, EPERM);
  }
# endif
  families (&f, roles);
  LOAD (&f, nr);
  deny_argument (&f, SYS_clone, 0, BPF_JSET, CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
                 | CLONE_NEWCGROUP, EPERM);
  deny_argument (&f, SYS_ioctl, 1, BPF_JEQ, TIOCSTI, EPERM);
  ANSWER (&f, SECCOMP_RET_ALLOW);
  struct sock_fprog program = { .len = (unsigned short) f.n, .filter = f.rule };
  guint flags = SECCOMP_FILTER_FLAG_TSYNC | (ek_log_level () >= EK_DEBUG ? SECCOMP_FILTER_FLAG_LOG : 0);
  if (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
    return failed (error, "seccomp");
#endif
  return true;
}
