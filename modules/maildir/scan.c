/* scan.c - what lies in new/ and cur/, and where a message went
 * SPDX-License-Identifier: Apache-2.0
 *
 * A directory is read again when its time or inode differs from the last scan's, or when it was
 * younger than two seconds then: a coarse clock can hide a second change within one tick.  new/ is
 * read before cur/, so that a message on its way from one to the other is seen at least once; one
 * that was not read is looked at again afterwards: a message that went from cur/ to new/ must not
 * seem a second one. */
#include "maildir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define YOUNG (2 * G_GINT64_CONSTANT (1000000000))

static const char *const subs[] = { "new", "cur" };

enum { W_TIME = 0, W_INODE = 2, W_DIRTY = 4 }; /* words of the stamp: two, two, and a bit each */

static gint64
ns (const struct timespec *t)
{
  return (gint64) t->tv_sec * 1000000000 + t->tv_nsec;
}

/* Folders made by hand or half restored lack one of the three. */
static bool
look (const EkFolder *folder, guint i, char *path, struct stat *st)
{
  char up[PATH_MAX];

  if (!maildir_path (folder, subs[i], 3, path)) {
    errno = ENAMETOOLONG;
    return false;
  }
  if (stat (path, st) == 0)
    return true;
  if (errno != ENOENT || !maildir_path (folder, NULL, 0, up) || access (up, W_OK) != 0)
    return false;
  if (mkdir (path, 0700) < 0 && errno != EEXIST)
    return false;
  return stat (path, st) == 0;
}

static EkStatus
read_dir (EkCall *call, const char *path, guint i, EkFoundFunc func, gpointer data)
{
  DIR *dir = opendir (path);
  char place[4 + NAME_MAX + 1];
  bool go_on = true;

  if (dir == NULL)
    return maildir_error (call, errno, "read", path);
  memcpy (place, subs[i], 3);
  place[3] = '/';
  for (struct dirent *e; errno = 0, go_on && (e = readdir (dir));) {
    if (e->d_name[0] == '.' || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN))
      continue;
    gsize n = strlen (e->d_name);
    memcpy (place + 4, e->d_name, n + 1);
    EkFound found = { .place = { place, n + 4 } };
    maildir_name_read ((EkStr) { place + 4, n }, &found);
    if (found.key.n > 0)
      go_on = func (&found, data);
  }
  int failed = go_on ? errno : 0;
  closedir (dir);
  return failed ? maildir_error (call, failed, "read", path) : EK_OK;
}

/* Bit i: directory i must be read.  new/ is small and what lies there is waited for: as long as it is
 * young it is read again each time. */
static guint
what_changed (const EkStamp *stamp, const struct stat st[2], gint64 now)
{
  guint changed = 0;

  for (guint i = 0; i < 2; i++) {
    gint64 t = ns (&st[i].st_mtim);
    bool dirty = stamp->word[W_DIRTY] >> i & 1;
    if (stamp->word[W_TIME + i] != t || stamp->word[W_INODE + i] != (gint64) st[i].st_ino ||
        (dirty && (i == 0 || now - t >= YOUNG)))
      changed |= 1u << i;
  }
  return changed;
}

EkStatus
maildir_scan (EkInstance *self, EkCall *call, const EkFolder *folder, EkStamp *stamp,
              EkFoundFunc func, gpointer data)
{
  char path[2][PATH_MAX];
  struct stat st[2];
  gint64 now = g_get_real_time () * 1000;

  for (guint i = 0; i < 2; i++)
    if (!look (folder, i, path[i], &st[i]))
      return maildir_error (call, errno, "look at", path[i]);
  guint changed = what_changed (stamp, st, now);
  for (guint i = 0; func && i < 2; i++) {
    EkStatus status = changed >> i & 1 ? read_dir (call, path[i], i, func, data) : EK_OK;
    if (status != EK_OK)
      return status;
  }
  for (guint i = 0; i < 2; i++) {
    gint64 t = ns (&st[i].st_mtim);
    if (!(changed >> i & 1))
      continue;
    stamp->word[W_TIME + i] = t;
    stamp->word[W_INODE + i] = (gint64) st[i].st_ino;
    stamp->word[W_DIRTY] &= ~(1 << i);
    if (func == NULL || now - t < YOUNG || t > now)  /* ours, but who knows what came between */
      stamp->word[W_DIRTY] |= 1 << i;
  }
  stamp->scanned = func ? changed : 0;
  stamp->dirty = stamp->word[W_DIRTY] != 0;
  return EK_OK;
}

/* ---- one message ---- */

typedef struct {
  EkStr   key;
  EkPool *pool;
  EkStr   place;
} Wanted;

static bool
is_wanted (const EkFound *found, gpointer data)
{
  Wanted *w = data;

  if (!ek_str_starts (found->key, w->key)
      || (found->key.n > w->key.n && found->key.p[w->key.n] != ','))
    return true;
  w->place = ek_pool_str (w->pool, found->place);
  return false;
}

EkStatus
maildir_find (EkCall *call, const EkFolder *folder, EkStr key, EkStr *place)
{
  static const guint order[] = { 1, 0, 1 }; /* cur again: it may have moved there meanwhile */
  Wanted w = { key, call->pool, { NULL, 0 } };
  char path[PATH_MAX];

  for (guint i = 0; i < G_N_ELEMENTS (order) && w.place.p == NULL; i++) {
    if (!maildir_path (folder, subs[order[i]], 3, path))
      return maildir_error (call, ENAMETOOLONG, "read", folder->disk);
    EkStatus status = read_dir (call, path, order[i], is_wanted, &w);
    if (status != EK_OK)
      return status;
  }
  if (w.place.p == NULL)
    return EK_NOTFOUND;
  *place = w.place;
  return EK_OK;
}

static bool
try_open (const char *path, int *fd, struct stat *st)
{
  if (fd == NULL)
    return lstat (path, st) == 0;
  *fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (*fd < 0)
    return false;
  if (fstat (*fd, st) == 0)
    return true;
  int code = errno;
  close (*fd);
  *fd = -1;
  errno = code;
  return false;
}

EkStatus
maildir_open (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
              int *fd, gint64 *offset, gint64 *length, gint64 *mtime)
{
  char path[PATH_MAX];
  struct stat st;
  bool good = false;

  errno = ENOENT;
  for (guint tries = 0; !good && tries < 3; tries++) {
    if (place->p == NULL || tries > 0) {
      EkStatus status = maildir_find (call, folder, key, place);
      if (status != EK_OK)
        return status;
    }
    if (!maildir_path (folder, place->p, place->n, path))
      return maildir_error (call, ENAMETOOLONG, "open", folder->disk);
    good = try_open (path, fd, &st);
    if (!good && errno != ENOENT)
      return maildir_error (call, errno, "open", path);
  }
  if (!good)
    return EK_NOTFOUND;
  if (!S_ISREG (st.st_mode)) {
    if (fd)
      close (*fd);
    return ek_fail (&call->error, EK_FAIL, EINVAL, "%s: is not a regular file", path);
  }
  *offset = 0;
  *length = st.st_size;
  if (mtime)
    *mtime = ns (&st.st_mtim) / 1000;
  return EK_OK;
}
