/* priv.c - every privileged call: who a worker becomes and what it gives up
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "module/load.h"
#include "proc/priv.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool
ek_priv_am_root (void)
{
  return geteuid () == 0;
}

bool
ek_priv_lookup (const char *user, EkIdentity *who, GError **error)
{
  char text[16384];
  struct passwd pw, *found = NULL;

  who->uid = who->gid = -1;
  if (!ek_priv_am_root ())
    return true;
  int err = getpwnam_r (user, &pw, text, sizeof text, &found);
  if (found == NULL) {
    ek_fail (error, EK_FAIL, err, "user \"%s\" does not exist%s%s: run systemd-sysusers, or name another "
             "one in the block roles", user, err ? ": " : "", err ? g_strerror (err) : "");
    return false;
  }
  if (pw.pw_uid == 0) {
    ek_fail (error, EK_FAIL, 0, "user \"%s\" is root: a role never runs as root", user);
    return false;
  }
  who->uid = pw.pw_uid;
  who->gid = pw.pw_gid;
  return true;
}

static bool
failed (GError **error, const char *what)
{
  int err = errno;

  ek_fail (error, EK_FAIL, err, "cannot give up rights: %s: %s", what, g_strerror (err));
  return false;
}

/* Exactly these capabilities, effective and permitted. */
static int
capabilities (guint32 low)
{
  struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low } };

  return (int) syscall (SYS_capset, &head, data);
}

bool
ek_priv_become (const EkIdentity *who, GError **error)
{
  struct rlimit none = { 0, 0 };

  umask (077);
  if (setrlimit (RLIMIT_CORE, &none) < 0)
    return failed (error, "RLIMIT_CORE");
  if (who->uid >= 0) {
    if (who->chroot && prctl (PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0)
      return failed (error, "PR_SET_KEEPCAPS");
    if (setgroups (0, NULL) < 0)
      return failed (error, "setgroups");
    if (setresgid ((gid_t) who->gid, (gid_t) who->gid, (gid_t) who->gid) < 0)
      return failed (error, "setresgid");
    if (setresuid ((uid_t) who->uid, (uid_t) who->uid, (uid_t) who->uid) < 0)
      return failed (error, "setresuid");
    if (who->chroot && capabilities (1u << CAP_SYS_CHROOT) < 0)
      return failed (error, "capset");
  }
  if (prctl (PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
    return failed (error, "PR_SET_NO_NEW_PRIVS");
#ifdef EK_SANITIZED                  /* the leak checker traces its own process */
  const long dumpable = 1;
#else
  const long dumpable = 0;
#endif
  if (prctl (PR_SET_DUMPABLE, dumpable, 0L, 0L, 0L) < 0)
    return failed (error, "PR_SET_DUMPABLE");
  return true;
}

bool
ek_priv_enclose (const EkIdentity *who, GError **error)
{
  if (who->uid < 0)
    return true;
#ifndef EK_SANITIZED                 /* and needs /proc */
  if (who->chroot) {
    if (chroot (who->chroot) < 0 || chdir ("/") < 0)
      return failed (error, who->chroot);
  }
#endif
  if (who->chroot)
    ek_modules_seal ();
  if (capabilities (0) < 0)
    return failed (error, "capset");
  if (setuid (0) == 0 || seteuid (0) == 0 || chroot ("/") == 0) {
    ek_fail (error, EK_FAIL, 0, "cannot give up rights: root could be had back");
    return false;
  }
  return true;
}

void
ek_priv_close_from (int first)
{
  if (close_range ((guint) first, ~0u, 0) == 0)
    return;
  for (int fd = first; fd < (int) ek_priv_descriptors (); fd++)
    close (fd);
}

guint
ek_priv_descriptors (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur > 1 << 20 ? 1 << 20 : (guint) limit.rlim_cur;
}

bool
ek_priv_few_left (int fd, guint spare)
{
  struct rlimit limit;

  return getrlimit (RLIMIT_NOFILE, &limit) == 0 && (rlim_t) fd + 1 + spare > limit.rlim_cur;
}
