/* folder.c - Maildir++ folders: ".Sub.Folder" beside the inbox's cur, new and tmp
 * SPDX-License-Identifier: Apache-2.0 */
#include "maildir.h"
#include "index/box.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRASH_PREFIX "..ekiden-gone-"             /* two dots: nobody lists it as a folder */

bool
maildir_path (const EkFolder *folder, const char *sub, gsize sub_len, char *path)
{
  int n = snprintf (path, PATH_MAX, "%s%s%s%s%.*s", folder->root, folder->disk[0] ? "/" : "",
                    folder->disk, sub_len ? "/" : "", (int) sub_len, sub ? sub : "");

  return n > 0 && n < PATH_MAX;
}

EkStatus
maildir_error (EkCall *call, int code, const char *what, const char *path)
{
  if (code == ENOENT || code == ENOTDIR)
    return EK_NOTFOUND;
  bool never
      = code == EACCES || code == EPERM || code == ENAMETOOLONG || code == EINVAL || code == EEXIST;
  return ek_fail (&call->error, never ? EK_FAIL : EK_DEFER, code, "%s: cannot %s: %s", path, what,
                  g_strerror (code));
}

/* ---- where a user's mail is ---- */

/* What stands for %u, %n and %d must not leave the folder it is put into. */
static bool
component_ok (EkStr s)
{
  if (s.n == 0 || s.n > 255 || s.p[0] == '.' || memchr (s.p, '/', s.n))
    return false;
  for (gsize i = 0; i < s.n; i++)
    if ((guchar) s.p[i] < 0x20 || s.p[i] == 0x7f)
      return false;
  return true;
}

static bool
path_ok (const char *path)
{
  if (path[0] != '/' || strlen (path) > PATH_MAX - 600)
    return false;
  for (const char *p = path; (p = strstr (p, "/..")); p += 3)
    if (p[3] == '/' || p[3] == 0)
      return false;
  return true;
}

static EkStatus
expand (Maildir *m, EkCall *call, const EkUser *user, GString *out)
{
  EkStr whole = ek_str (user->name);
  const char *at = memrchr (whole.p, '@', whole.n);
  EkStr local = at ? (EkStr) { whole.p, (gsize) (at - whole.p) } : whole;
  EkStr domain = at ? (EkStr) { at + 1, whole.n - local.n - 1 } : (EkStr) { NULL, 0 };

  for (const char *p = m->path; *p; p++) {
    if (*p != '%') {
      g_string_append_c (out, *p);
      continue;
    }
    EkStr value = *++p == 'u' ? whole : *p == 'n' ? local : *p == 'd' ? domain : EK_STR ("%");
    if (*p == 'h') {
      if (user->home == NULL || !path_ok (user->home))
        return ek_fail (
            &call->error, EK_FAIL, EINVAL,
            "maildir \"%s\": path uses %%h, but user \"%s\" has no "
            "home that is an absolute path without ..: fix the user's record, or set path",
            m->base.name, user->name);
      g_string_append (out, user->home);
      continue;
    }
    if (*p != '%' && !component_ok (value))
      return ek_fail (&call->error, EK_FAIL, EINVAL,
                      "maildir \"%s\": user name \"%s\" cannot be part of a path "
                      "(%%%c is empty, begins with a dot, holds / or a control character)",
                      m->base.name, user->name, *p);
    g_string_append_len (out, value.p, (gssize) value.n);
  }
  return EK_OK;
}

EkStatus
maildir_locate (EkInstance *self, EkCall *call, const EkUser *user, char **root)
{
  g_autoptr (GString) path = g_string_new (NULL);
  EkStatus status = EK_OK;

  if (user->mail && user->mail[0]) {
    const char *mail = g_str_has_prefix (user->mail, "maildir:") ? user->mail + 8 : user->mail;
    if (g_str_has_prefix (mail, "~/") && user->home)
      g_string_append_printf (path, "%s/%s", user->home, mail + 2);
    else
      g_string_append (path, mail);
  } else
    status = expand ((Maildir *) self, call, user, path);
  if (status != EK_OK)
    return status;
  while (path->len > 1 && path->str[path->len - 1] == '/')
    g_string_truncate (path, path->len - 1);
  if (!path_ok (path->str))
    return ek_fail (&call->error, EK_FAIL, EINVAL,
                    "maildir \"%s\": the mail of user \"%s\" would lie in \"%s\": "
                    "an absolute path without .. is needed",
                    self->name, user->name, path->str);
  *root = ek_pool_strdup (call->pool, path->str);
  return EK_OK;
}

/* ---- names ---- */

EkStatus
maildir_disk_name (EkInstance *self, EkCall *call, EkStr name, char **disk)
{
  if (ek_str_eq (name, EK_STR ("INBOX"))) {
    *disk = ek_pool_strdup (call->pool, "");
    return EK_OK;
  }
  if (name.n == 0 || memchr (name.p, '.', name.n) || memchr (name.p, '/', name.n))
    return ek_fail (&call->error, EK_FAIL, EINVAL,
                    "a Maildir folder's name cannot hold \".\" or \"/\" within a level");
  g_autofree char *utf8 = g_strndup (name.p, name.n);
  g_strdelimit (utf8, "\n", '.');
  g_autofree char *mutf7 = ek_mutf7_encode (ek_str (utf8));
  if (mutf7 == NULL)
    return ek_fail (&call->error, EK_FAIL, EINVAL, "a folder's name must be UTF-8");
  if (strlen (mutf7) > NAME_BYTES_MAX)
    return ek_fail (&call->error, EK_FAIL, ENAMETOOLONG,
                    "a Maildir folder's name has at most %d bytes", NAME_BYTES_MAX);
  *disk = ek_pool_printf (call->pool, ".%s", mutf7);
  return EK_OK;
}

/* A folder whose name is no modified UTF-7 is shown all the same: its mail must be reachable. */
static char *
shown_name (const char *mutf7)
{
  char *name = ek_mutf7_decode (ek_str (mutf7));

  if (name == NULL) {
    name = g_strdup (mutf7);
    for (char *p = name; *p; p++)
      if ((guchar) *p < 0x20 || (guchar) *p > 0x7e)
        *p = '?';
  }
  return name;
}

static bool
is_maildir (int root_fd, const char *name)
{
  char path[NAME_MAX + 16];

  g_snprintf (path, sizeof path, "%s/cur", name);
  return faccessat (root_fd, path, F_OK, 0) == 0;
}

EkStatus
maildir_list (EkInstance *self, EkCall *call, const char *root, EkFolderFunc func, gpointer data)
{
  DIR *dir = opendir (root);

  if (dir == NULL)
    return maildir_error (call, errno, "list", root);
  if (is_maildir (dirfd (dir), "."))
    func ("", EK_STR ("INBOX"), true, data);
  for (struct dirent *e; errno = 0, (e = readdir (dir));) {
    if (e->d_name[0] != '.' || e->d_name[1] == 0 || e->d_name[1] == '.' || strstr (e->d_name, "..")
        || (e->d_type != DT_DIR && e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        || e->d_name[strlen (e->d_name) - 1] == '.' || !is_maildir (dirfd (dir), e->d_name))
      continue;
    g_autofree char *name = shown_name (e->d_name + 1);
    g_strdelimit (name, ".", '\n');
    func (e->d_name, ek_str (name), true, data);
  }
  int failed = errno;
  closedir (dir);
  return failed ? maildir_error (call, failed, "list", root) : EK_OK;
}

EkStatus
maildir_exists (EkInstance *self, EkCall *call, const EkFolder *folder)
{
  char path[PATH_MAX];

  if (!maildir_path (folder, "cur", 3, path))
    return EK_NOTFOUND;
  return access (path, F_OK) == 0 ? EK_OK : maildir_error (call, errno, "look at", path);
}

/* ---- making, removing, renaming ---- */

static bool
sync_dir (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool good = fd >= 0 && fsync (fd) == 0;
  int code = errno;

  if (fd >= 0)
    close (fd);
  errno = code;
  return good;
}

EkStatus
maildir_create (EkInstance *self, EkCall *call, const EkFolder *folder)
{
  static const char *const subs[] = { "tmp", "new", "cur" }; /* cur last: it makes it a folder */
  char path[PATH_MAX];

  if (!maildir_path (folder, NULL, 0, path))
    return maildir_error (call, ENAMETOOLONG, "make", folder->disk);
  if (folder->disk[0] == 0 && g_mkdir_with_parents (path, 0700) < 0)
    return ek_fail (&call->error, EK_DEFER, errno, "%s: cannot make the mail folder: %s", path,
                    g_strerror (errno));
  if (folder->disk[0] && mkdir (path, 0700) < 0 && errno != EEXIST)
    return maildir_error (call, errno, "make", path);
  if (folder->disk[0]) {                          /* the mark of Maildir++ for delivery agents */
    maildir_path (folder, "maildirfolder", 13, path);
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
      close (fd);
  }
  for (guint i = 0; i < G_N_ELEMENTS (subs); i++) {
    if (!maildir_path (folder, subs[i], 3, path))
      return maildir_error (call, ENAMETOOLONG, "make", folder->disk);
    if (mkdir (path, 0700) < 0 && errno != EEXIST)
      return maildir_error (call, errno, "make", path);
  }
  return EK_OK;
}

/* Removes what is below the open directory (closes it), at most 8 levels down. */
static void
remove_below (int fd, guint depth)
{
  DIR *dir = fdopendir (fd);

  if (dir == NULL) {
    close (fd);
    return;
  }
  for (struct dirent *e; (e = readdir (dir));) {
    if (strcmp (e->d_name, ".") == 0 || strcmp (e->d_name, "..") == 0)
      continue;
    if (unlinkat (dirfd (dir), e->d_name, 0) == 0 || errno == ENOENT)
      continue;
    int sub = depth < 8
                  ? openat (dirfd (dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                  : -1;
    if (sub >= 0)
      remove_below (sub, depth + 1);
    unlinkat (dirfd (dir), e->d_name, AT_REMOVEDIR);
  }
  closedir (dir);
}

/* What a crash left half removed. */
static void
sweep (const char *root)
{
  DIR *dir = opendir (root);

  if (dir == NULL)
    return;
  for (struct dirent *e; (e = readdir (dir));) {
    if (!g_str_has_prefix (e->d_name, TRASH_PREFIX))
      continue;
    int fd = openat (dirfd (dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
      remove_below (fd, 0);
    unlinkat (dirfd (dir), e->d_name, AT_REMOVEDIR);
  }
  closedir (dir);
}

EkStatus
maildir_remove (EkInstance *self, EkCall *call, const EkFolder *folder)
{
  char path[PATH_MAX], gone[PATH_MAX], unique[80];

  if (folder->disk[0] == 0)
    return ek_fail (&call->error, EK_FAIL, EPERM, "%s: the inbox cannot be removed", folder->root);
  maildir_name_new (unique, sizeof unique);
  if (!maildir_path (folder, NULL, 0, path)
      || snprintf (gone, sizeof gone, "%s/" TRASH_PREFIX "%s", folder->root, unique)
             >= (int) sizeof gone)
    return maildir_error (call, ENAMETOOLONG, "remove", folder->disk);
  if (rename (path, gone) < 0)                    /* one step: others see all of it or nothing */
    return maildir_error (call, errno, "remove", path);
  if (!sync_dir (folder->root))
    ek_log (EK_WARN, "maildir", "%s: cannot sync after removing %s: %s", folder->root, folder->disk,
            g_strerror (errno));
  sweep (folder->root);
  return EK_OK;
}

EkStatus
maildir_rename (EkInstance *self, EkCall *call, const EkFolder *folder, const char *to_disk)
{
  char from[PATH_MAX], to[PATH_MAX];
  EkFolder target = { folder->root, to_disk };

  if (folder->disk[0] == 0 || to_disk[0] == 0)
    return ek_fail (&call->error, EK_FAIL, EPERM, "%s: the inbox cannot be renamed", folder->root);
  if (!maildir_path (folder, NULL, 0, from) || !maildir_path (&target, NULL, 0, to))
    return maildir_error (call, ENAMETOOLONG, "rename", folder->disk);
  if (renameat2 (AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0) {
    if (errno != EINVAL && errno != ENOSYS)
      return maildir_error (call, errno, "rename", from);
    if (access (to, F_OK) == 0)                   /* a file system without that flag */
      return maildir_error (call, EEXIST, "rename", from);
    if (rename (from, to) < 0)
      return maildir_error (call, errno, "rename", from);
  }
  if (!sync_dir (folder->root))
    return ek_fail (&call->error, EK_DEFER, errno, "%s: cannot sync: %s", folder->root,
                    g_strerror (errno));
  return EK_OK;
}
