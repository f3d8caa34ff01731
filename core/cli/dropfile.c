/* dropfile.c - writes one message durably into the drop folder; it may be setgid just for that
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/dropfile.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

struct EkDropFile {
  char  folder[4096];
  int   dir, fd;
  char  name[96];                    /* of the file while it is written */
  EkBuf out;
};

static struct {
  gid_t with;                        /* the group that we are set to */
  bool  setid;
  EkDropFile *open;                  /* what a signal removes */
} g;

bool
ek_drop_is_setid (void)
{
  return g.setid;
}

/* With or without the group's rights. */
static void
rights (bool with)
{
  if (g.setid && setegid (with ? g.with : getgid ()) < 0)
    abort ();                        /* going on with the wrong rights is worse */
}

void
ek_drop_begin (void)
{
  g.with = getegid ();
  g.setid = getauxval (AT_SECURE) != 0 || getuid () != geteuid () || getgid () != getegid ();
  if (geteuid () != getuid () && seteuid (getuid ()) < 0)        /* never needed: a wrong mode */
    abort ();
  rights (false);
  if (g.setid) {
    clearenv ();
    setenv ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  }
  umask (022);
}

void
ek_drop_forgo (void)
{
  gid_t own = getgid ();
  uid_t user = getuid ();

  if (setresgid (own, own, own) < 0 || setresuid (user, user, user) < 0)
    abort ();
  g.setid = false;
}

/* ---- the file ---- */

static void
on_signal (int number)
{
  if (g.open && g.open->name[0]) {
    (void) !setegid (g.with);
    unlinkat (g.open->dir, g.open->name, 0);
  }
  signal (number, SIG_DFL);
  raise (number);
}

static bool
failed (GError **error, const char *what, const EkDropFile *self)
{
  int err = errno;

  ek_fail (error, EK_DEFER, err, "cannot %s the drop folder %s: %s", what, self->folder, g_strerror (err));
  return false;
}

static void
make_name (EkDropFile *self)
{
  struct timespec now;
  guint64 random = ek_random64 ();

  clock_gettime (CLOCK_REALTIME, &now);
  g_snprintf (self->name, sizeof self->name, ".tmp-%010lld.%06ld.%u.%08x", (long long) now.tv_sec, now.tv_nsec / 1000,
              (guint) getpid (), (guint) random);
}

EkDropFile *
ek_drop_new (const char *folder, GError **error)
{
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
  EkDropFile *self = g_new0 (EkDropFile, 1);

  g_strlcpy (self->folder, folder, sizeof self->folder);
  make_name (self);
  rights (true);
  /* the group may enter and write, not read: so O_PATH, and a second descriptor that can be synced when allowed */
  self->dir = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  self->fd = self->dir < 0 ? -1 : openat (self->dir, self->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int err = errno;
  rights (false);
  errno = err;
  if (self->fd < 0) {
    self->name[0] = '\0';
    failed (error, "write to", self);
    ek_drop_free (self);
    return NULL;
  }
  g.open = self;
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    signal (signals[i], on_signal);
  return self;
}

static bool
flush (EkDropFile *self, gsize keep, GError **error)
{
  while (ek_buf_len (&self->out) > keep) {
    ssize_t n = write (self->fd, ek_buf_at (&self->out), ek_buf_len (&self->out));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return failed (error, "write to", self);
    ek_buf_consume (&self->out, (gsize) n);
  }
  return true;
}

bool
ek_drop_write (EkDropFile *self, const void *bytes, gsize n, GError **error)
{
  ek_buf_append (&self->out, bytes, n);
  return ek_buf_len (&self->out) < CHUNK || flush (self, 0, error);
}

/* The new name durable: by the folder, or, where the group may not open it for that, by the file system. */
static int
sync_name (const EkDropFile *self)
{
  int dir = openat (self->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int done;

  if (dir < 0)
    return syncfs (self->fd);
  done = fsync (dir);
  close (dir);
  return done;
}

bool
ek_drop_commit (EkDropFile *self, GError **error)
{
  g_autoptr (EkDropFile) own = self;
  const char *last = own->name + strlen (".tmp-");

  /* who may enter the folder is its group and queue, so that queue may read what belongs to anybody */
  if (!flush (own, 0, error))
    return false;
  if (fchmod (own->fd, 0644) < 0 || fsync (own->fd) < 0)
    return failed (error, "write to", own);
  rights (true);
  bool renamed = renameat (own->dir, own->name, own->dir, last) == 0;
  int err = errno;
  if (renamed)
    own->name[0] = '\0';
  bool synced = renamed && sync_name (own) == 0;
  err = renamed && !synced ? errno : err;
  rights (false);
  errno = err;
  return synced || failed (error, "write to", own);
}

void
ek_drop_free (EkDropFile *self)
{
  if (self == NULL)
    return;
  if (self->name[0]) {
    rights (true);
    unlinkat (self->dir, self->name, 0);
    rights (false);
  }
  g.open = NULL;
  if (self->fd >= 0)
    close (self->fd);
  if (self->dir >= 0)
    close (self->dir);
  ek_buf_release (&self->out);
  g_free (self);
}
