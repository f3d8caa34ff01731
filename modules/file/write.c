/* write.c - changes one user in a passwd-file: a new file beside it, renamed into its place
 * SPDX-License-Identifier: Apache-2.0
 *
 * Writers exclude each other by a lock on the file itself (an open file description lock, which
 * fcntl(2) locks of other programs respect).  As each writer renames a new file over the old one, the
 * lock counts only if the name still leads to the file that was locked.
 */
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_US (10 * G_USEC_PER_SEC)

typedef struct {                     /* what is to be done */
  EkStr       user;
  EkStr       stored;                /* the new password; p NULL: the line goes */
  const char *field;                 /* not NULL: this one becomes `value` instead */
  EkStr       value;
  EkStr       from, bare;            /* not NULL: only if the password is one of the two */
} Edit;

static EkStatus
errno_defer (GError **error, const char *what, const char *path)
{
  int err = errno;

  return ek_fail (error, EK_DEFER, err, "%s %s: %s", what, path, g_strerror (err));
}

static EkStatus
check_words (EkStr user, EkStr stored, GError **error)
{
  FileLine parsed;
  g_autofree char *why = NULL;

  if (memchr (user.p, ':', user.n) || memchr (user.p, '\n', user.n))
    return ek_fail (error, EK_FAIL, EINVAL, "a user name in a passwd-file cannot have a colon or a line end");
  if (file_line_check (user, &parsed, &why) != FILE_USER)
    return ek_fail (error, EK_FAIL, EINVAL, "\"%.*s\" cannot be a user name: %s", EK_STR_ARG (user),
                    why ? why : "it reads as a comment");
  for (gsize i = 0; i < stored.n; i++)
    if (stored.p[i] == ':' || (guchar) stored.p[i] < ' ' || stored.p[i] == 127)
      return ek_fail (error, EK_FAIL, EINVAL, "the stored password has a character that a passwd-file cannot hold "
                      "(a colon or a control character): take a scheme that hashes it, or {PLAIN.b64}");
  return EK_OK;
}

/* Opens the file and locks it; it may be a new, empty one when `create`.  -1, *status and *error. */
static int
open_locked (const char *path, bool create, EkStatus *status, GError **error)
{
  gint64 until = g_get_monotonic_time () + LOCK_WAIT_US;

  for (;;) {
    struct stat mine, named;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open (path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (create ? O_CREAT : 0), 0600);
    if (fd < 0) {
      *status = errno_defer (error, "cannot open", path);
      return -1;
    }
    if (fstat (fd, &mine) == 0 && !S_ISREG (mine.st_mode)) {
      *status = ek_fail (error, EK_DEFER, EINVAL, "%s is not a regular file", path);
      close (fd);
      return -1;
    }
    bool locked = fcntl (fd, F_OFD_SETLK, &lock) == 0;
    int err = errno;
    if (locked && stat (path, &named) == 0 && named.st_dev == mine.st_dev && named.st_ino == mine.st_ino)
      return fd;
    close (fd);
    if (!locked && err != EAGAIN && err != EACCES) {
      errno = err;
      *status = errno_defer (error, "cannot lock", path);
      return -1;
    }
    if (g_get_monotonic_time () > until) {
      *status = ek_fail (error, EK_DEFER, EBUSY, "%s has been locked by another program for 10 s", path);
      return -1;
    }
    g_usleep (20000);
  }
}

/* The start of the user's line and its end behind the line's end, in the whole text. */
static bool
find_line (EkStr text, EkStr user, gsize *start, gsize *end)
{
  for (gsize at = 0; at < text.n; at = *end) {
    const char *eol = memchr (text.p + at, '\n', text.n - at);
    FileLine line;
    *start = at;
    *end = eol ? (gsize) (eol - text.p) + 1 : text.n;
    gsize len = *end - at;
    while (len > 0 && (text.p[at + len - 1] == '\n' || text.p[at + len - 1] == '\r'))
      len--;
    if (file_line_split ((EkStr) { text.p + at, len }, &line) && ek_str_eq (line.user, user))
      return true;
  }
  return false;
}

/* Whether the user's password is the one that is to be replaced. */
static bool
is_old (EkStr line, const Edit *e)
{
  FileLine parsed;

  while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
    line.n--;
  return e->from.p == NULL || (file_line_split (line, &parsed)
                               && (ek_str_eq (parsed.pass, e->from) || (e->bare.n > 0 && ek_str_eq (parsed.pass, e->bare))));
}

/* A new line at the end. */
static void
append (EkStr text, const Edit *e, FILE *out)
{
  fwrite (text.p, 1, text.n, out);
  if (text.n > 0 && text.p[text.n - 1] != '\n')
    fputc ('\n', out);
  fprintf (out, "%.*s:%.*s\n", EK_STR_ARG (e->user), EK_STR_ARG (e->stored));
}

static void
put_password (EkStr line, const Edit *e, FILE *out)
{
  const char *p = line.p + e->user.n, *eol = line.p + line.n;        /* at the colon or the end */
  const char *rest = p < eol && *p == ':' ? p + 1 : p;

  while (rest < eol && *rest != ':' && *rest != '\n' && *rest != '\r')
    rest++;
  fprintf (out, "%.*s:%.*s", EK_STR_ARG (e->user), EK_STR_ARG (e->stored));
  fwrite (rest, 1, (gsize) (eol - rest), out);
}

/* `line` with its end. */
static EkStatus
put_field (EkStr line, const Edit *e, FILE *out, GError **error)
{
  gsize n = line.n;

  while (n > 0 && (line.p[n - 1] == '\n' || line.p[n - 1] == '\r'))
    n--;
  g_autofree char *changed = file_line_change ((EkStr) { line.p, n }, e->field, e->value, error);
  if (changed == NULL)
    return EK_FAIL;
  fputs (changed, out);
  fwrite (line.p + n, 1, line.n - n, out);
  return EK_OK;
}

/* Writes `text` to `out` with the change.  OK; NOTFOUND: there was nothing to remove or to change; FAIL. */
static EkStatus
edit (EkStr text, const Edit *e, FILE *out, GError **error)
{
  EkStatus status = EK_OK;
  gsize start, end;

  if (!find_line (text, e->user, &start, &end)) {
    if (e->stored.p == NULL || e->from.p)
      return EK_NOTFOUND;
    append (text, e, out);
    return EK_OK;
  }
  EkStr line = { text.p + start, end - start };
  if (!is_old (line, e))
    return EK_NOTFOUND;
  fwrite (text.p, 1, start, out);
  if (e->field)
    status = put_field (line, e, out, error);
  else if (e->stored.p)
    put_password (line, e, out);
  fwrite (text.p + end, 1, text.n - end, out);
  return status;
}

/* Gives the new file the old one's owner and mode. */
static EkStatus
take_over (int fd, const struct stat *old, const char *path, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) != 0)
    return errno_defer (error, "cannot stat the new file beside", path);
  if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) && fchown (fd, old->st_uid, old->st_gid) != 0)
    return ek_fail (error, EK_DEFER, errno, "%s belongs to uid %u and gid %u, and a new file could not be given to "
                    "them (%s): run this as root or as that user", path, (guint) old->st_uid, (guint) old->st_gid,
                    g_strerror (errno));
  if (fchmod (fd, old->st_mode & 07777) != 0)
    return errno_defer (error, "cannot set the mode of the new file beside", path);
  return EK_OK;
}

static EkStatus
sync_folder (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync (fd) == 0;
  EkStatus status = ok ? EK_OK : errno_defer (error, "cannot sync", folder);

  if (fd >= 0)
    close (fd);
  return status;
}

/* Edits into `temp`, which is open as fd (taken), and renames it to `path`. */
static EkStatus
write_and_rename (const char *path, const char *temp, int fd, EkStr text, const struct stat *old, const Edit *e, GError **error)
{
  FILE *out = fdopen (fd, "w");

  if (out == NULL) {
    EkStatus status = errno_defer (error, "cannot write", temp);
    close (fd);
    return status;
  }
  EkStatus status = take_over (fd, old, path, error);
  if (status == EK_OK)
    status = edit (text, e, out, error);
  bool failed = ferror (out) || fflush (out) != 0 || (status == EK_OK && fsync (fd) != 0);
  int err = errno;
  if ((fclose (out) != 0 || failed) && status == EK_OK)
    status = ek_fail (error, EK_DEFER, err, "cannot write %s: %s", temp, g_strerror (err));
  if (status == EK_OK && rename (temp, path) != 0)
    status = errno_defer (error, "cannot replace", path);
  return status == EK_OK ? sync_folder (path, error) : status;
}

static EkStatus
rewrite_locked (const char *path, int fd, const Edit *e, GError **error)
{
  struct stat st;
  gsize len = 0;
  g_autofree char *text = NULL, *temp = g_strdup_printf ("%s.XXXXXX", path);

  if (fstat (fd, &st) != 0)
    return errno_defer (error, "cannot stat", path);
  if (!g_file_get_contents (path, &text, &len, error))
    return EK_DEFER;
  int out = g_mkstemp_full (temp, O_WRONLY | O_CLOEXEC, 0600);
  if (out < 0)
    return errno_defer (error, "cannot make a new file beside", path);
  EkStatus status = write_and_rename (path, temp, out, (EkStr) { text, len }, &st, e, error);
  if (status != EK_OK)
    unlink (temp);                     /* nothing there if it was only the folder's sync that failed */
  ek_wipe (text, len);
  return status;
}

static EkStatus
rewrite (const char *given, const Edit *e, GError **error)
{
  EkStatus status = check_words (e->user, e->stored, error);

  if (status != EK_OK)
    return status;
  g_autofree char *real = realpath (given, NULL);      /* the file itself is replaced, not a link to it */
  const char *path = real ? real : given;
  if (real == NULL && errno == ENOENT && (e->stored.p == NULL || e->from.p))
    return EK_NOTFOUND;
  int fd = open_locked (path, e->stored.p && e->from.p == NULL, &status, error);
  if (fd < 0)
    return status;
  status = rewrite_locked (path, fd, e, error);
  close (fd);
  return status;
}

EkStatus
file_rewrite (const char *path, EkStr user, EkStr stored, GError **error)
{
  return rewrite (path, &(Edit) { .user = user, .stored = stored }, error);
}

EkStatus
file_rehash (const char *path, EkStr user, EkStr from, EkStr bare, EkStr stored, GError **error)
{
  return rewrite (path, &(Edit) { .user = user, .stored = stored, .from = from, .bare = bare }, error);
}

EkStatus
file_change (const char *path, EkStr user, const char *field, EkStr value, GError **error)
{
  return rewrite (path, &(Edit) { .user = user, .field = field, .value = value }, error);
}
