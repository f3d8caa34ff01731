/* edit.c - `config set`: finds the file that holds a value, and replaces it whole
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/edit.h"
#include "conf/editpath.h"
#include "conf/parser.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
edit_file (EkConfEdit *edit, const EkConf *conf, const EkConfTarget *target, const char *value, GError **error)
{
  const char *file = target->setting ? target->setting->at.file
                     : target->block ? target->block->at.file : conf->root->at.file;
  g_autofree char *bytes = NULL;
  struct stat st;
  gsize n;

  char *real = realpath (file, NULL);
  edit->file = g_strdup (real ? real : file);
  free (real);
  if (stat (edit->file, &st) < 0 || !g_file_get_contents (edit->file, &bytes, &n, NULL) || n > EK_CONF_FILE_MAX) {
    ek_fail (error, EK_FAIL, errno, "cannot read %s: %s", edit->file, g_strerror (errno));
    return false;
  }
  edit->ino = (guint64) st.st_ino;
  edit->mtime_ns = (gint64) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  bool fits = ek_conf_edit_text (conf, target, (EkStr) { bytes, n }, value, &edit->text, &edit->line);
  edit->same = ek_str_eq (ek_buf_str (&edit->text), (EkStr) { bytes, n });
  ek_wipe (bytes, n);
  if (!fits)
    ek_fail (error, EK_FAIL, EAGAIN, "%s was changed meanwhile: try again", edit->file);
  return fits;
}

bool
ek_conf_edit (const char *main_file, const char *path, const char *value, EkConfEdit *edit, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load (main_file, EK_CONF_NO_FILES, problems);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkConfTarget target;

  *edit = (EkConfEdit) { 0 };
  if (conf->root->at.file == NULL) {               /* could not be read at all */
    GError *why = ek_problems_error (problems);
    g_propagate_error (error, why);
    return false;
  }
  if (!ek_conf_target (conf, path, pool, &target, error))
    return false;
  if (!edit_file (edit, conf, &target, value, error)) {
    ek_conf_edit_clear (edit);
    return false;
  }
  return true;
}

/* ---- writing ---- */

static bool
write_all (int fd, EkStr text)
{
  while (text.n > 0) {
    ssize_t n = write (fd, text.p, text.n);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    text.p += n;
    text.n -= (gsize) n;
  }
  return true;
}

static bool
is_unchanged (const EkConfEdit *edit, struct stat *st)
{
  return stat (edit->file, st) == 0 && (guint64) st->st_ino == edit->ino
         && (gint64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == edit->mtime_ns;
}

/* The new file, complete and synced, under its temporary name; errno says why not. */
static bool
write_beside (const EkConfEdit *edit, const struct stat *st, char *temp)
{
  int fd = mkostemp (temp, O_CLOEXEC);

  if (fd < 0)
    return false;
  /* as root the file stays its owner's; another user who may not give files away must own it already */
  bool owned = fchown (fd, st->st_uid, st->st_gid) == 0 || (st->st_uid == geteuid () && fchown (fd, (uid_t) -1, st->st_gid) == 0);
  bool ok = owned && fchmod (fd, st->st_mode & 07777) == 0 && write_all (fd, ek_buf_str (&edit->text)) && fsync (fd) == 0;
  int err = errno;
  if (close (fd) < 0 && ok) {
    ok = false;
    err = errno;
  }
  if (!ok)
    unlink (temp);
  errno = err;
  return ok;
}

static bool
sync_folder (const char *folder)
{
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync (fd) == 0;

  if (fd >= 0)
    close (fd);
  return ok;
}

bool
ek_conf_edit_write (EkConfEdit *edit, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (edit->file);
  g_autofree char *base = g_path_get_basename (edit->file);
  g_autofree char *temp = g_strdup_printf ("%s/.%s.XXXXXX", folder, base);       /* no include takes a dot file */
  struct stat st;

  if (!is_unchanged (edit, &st)) {
    ek_fail (error, EK_FAIL, EAGAIN, "%s was changed meanwhile: try again", edit->file);
    return false;
  }
  if (!write_beside (edit, &st, temp)) {
    ek_fail (error, EK_FAIL, errno, "cannot write %s: %s", temp, g_strerror (errno));
    return false;
  }
  if (rename (temp, edit->file) < 0) {
    int err = errno;
    unlink (temp);
    ek_fail (error, EK_FAIL, err, "cannot replace %s: %s", edit->file, g_strerror (err));
    return false;
  }
  if (!sync_folder (folder)) {
    ek_fail (error, EK_FAIL, errno, "%s is changed, but its folder could not be synced: %s", edit->file, g_strerror (errno));
    return false;
  }
  return true;
}

void
ek_conf_edit_clear (EkConfEdit *edit)
{
  g_free (edit->file);
  ek_wipe (edit->text.data, edit->text.cap);
  ek_buf_release (&edit->text);
  *edit = (EkConfEdit) { 0 };
}
