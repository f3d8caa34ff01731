/* folders.c - the folders that roles find at their start, and master's pid file
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/folders.h"
#include "proc/control.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
make_folder (const char *path, gint64 uid, gint64 gid, mode_t mode, GError **error)
{
  if (g_mkdir_with_parents (path, 0755) < 0) {
    ek_fail (error, EK_FAIL, errno, "cannot make the folder %s: %s", path, g_strerror (errno));
    return false;
  }
  struct stat st;
  if (uid >= 0 && stat (path, &st) == 0 && st.st_uid == 0 && (chown (path, (uid_t) uid, (gid_t) gid) < 0 || chmod (path, mode) < 0)) {
    ek_fail (error, EK_FAIL, errno, "cannot hand the folder %s to its role: %s", path, g_strerror (errno));
    return false;
  }
  return true;
}

/* sendmail(1) is setgid to this group.  Where it does not exist, root and queue's own user alone may send so. */
static bool
give_to_group (const char *path, GError **error)
{
  const struct group *group = ek_priv_am_root () ? getgrnam ("ekiden-drop") : NULL;
  struct stat st;

  if (group == NULL || (stat (path, &st) == 0 && st.st_gid == group->gr_gid))
    return true;
  if (chown (path, (uid_t) -1, group->gr_gid) == 0 && chmod (path, 0730) == 0)
    return true;
  ek_fail (error, EK_FAIL, errno, "cannot hand the folder %s to the group ekiden-drop: %s", path, g_strerror (errno));
  return false;
}

bool
ek_folders_make (const EkPlan *p, GError **error)
{
  const struct { const char *base, *name; EkRole role; mode_t mode; } rows[] = {
    { p->top.state_dir, "spool", EK_ROLE_QUEUE, 0700 },
    { p->top.state_dir, "events", EK_ROLE_LOG, 0750 },
    { p->top.state_dir, "maildrop", EK_ROLE_QUEUE, 0730 },
    { p->top.run_dir, "control", EK_ROLE_CONTROL, 0755 },
  };

  if (!make_folder (p->top.state_dir, -1, -1, 0755, error) || !make_folder (p->top.run_dir, -1, -1, 0755, error)
      || !make_folder (p->roles.chroot, -1, -1, 0755, error))
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_build_filename (rows[i].base, rows[i].name, NULL);
    const EkIdentity *who = &p->who[rows[i].role];
    if (!make_folder (path, who->uid, who->gid, rows[i].mode, error))
      return false;
    if (strcmp (rows[i].name, "maildrop") == 0 && !give_to_group (path, error))
      return false;
  }
  return true;
}

bool
ek_folders_write_pid (const EkPlan *p, GError **error)
{
  g_autofree char *path = g_build_filename (p->top.run_dir, EK_PID_FILE, NULL);
  char text[24];
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

  if (fd < 0) {
    ek_fail (error, EK_FAIL, errno, "cannot write %s: %s", path, g_strerror (errno));
    return false;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    ek_fail (error, EK_FAIL, EBUSY, "ekidend is running already (%s is locked): ekiden stop, or another run_dir", path);
    return false;
  }
  int n = g_snprintf (text, sizeof text, "%d\n", (int) getpid ());
  if (ftruncate (fd, 0) < 0 || pwrite (fd, text, (gsize) n, 0) != n) {
    ek_fail (error, EK_FAIL, errno, "cannot write %s: %s", path, g_strerror (errno));
    return false;
  }
  return true;
}
