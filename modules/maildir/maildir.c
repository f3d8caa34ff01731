/* maildir.c - mailbox format: Maildir++, one file a message, as Dovecot, Courier and Postfix do
 * SPDX-License-Identifier: Apache-2.0 */
#include "maildir.h"

static const EkOption options[] = {
  EK_OPTION (
      Maildir, path, "%h/Maildir",
      "Where a user's mail lies when the user record does not say (its field `mail`). %h is the "
      "home, "
      "%u the whole user name, %n its part before the @, %d its domain, %% a percent sign. The "
      "result must be an absolute path."),
  EK_OPTION (
      Maildir, line_end, "lf",
      "How lines of new messages end on disk. lf is what other programs that read Maildirs expect; "
      "crlf stores messages as they travel. Both are read, whatever is set here.",
      .allow = "lf|crlf"),
  EK_OPTIONS_END
};

static gboolean
maildir_init (EkInstance *self, GError **error)
{
  Maildir *m = (Maildir *) self;

  m->lf = g_strcmp0 (m->line_end, "crlf") != 0;
  if (m->path == NULL || (m->path[0] != '/' && !g_str_has_prefix (m->path, "%h"))) {
    g_set_error (error, EK_ERROR, 0,
                 "maildir \"%s\": path = \"%s\" is not absolute: begin it with / or %%h",
                 self->name, m->path ? m->path : "");
    return FALSE;
  }
  for (const char *p = m->path; (p = strchr (p, '%')); p += 2)
    if (p[1] == 0 || !strchr ("hund%", p[1])) {
      g_set_error (error, EK_ERROR, 0,
                   "maildir \"%s\": path = \"%s\": after %% one of h u n d %% is expected",
                   self->name, m->path);
      return FALSE;
    }
  return TRUE;
}

static const char *const watch[] = { "new", "cur", NULL };

static const EkMailboxOps mailbox = {
  .watch = watch,
  .keywords_max = 26,
  .locate = maildir_locate,
  .list = maildir_list,
  .disk_name = maildir_disk_name,
  .exists = maildir_exists,
  .create = maildir_create,
  .remove = maildir_remove,
  .rename = maildir_rename,
  .scan = maildir_scan,
  .open = maildir_open,
  .stage = maildir_stage,
  .commit = maildir_commit,
  .flags = maildir_flags,
  .copy = maildir_copy,
  .expunge = maildir_expunge,
  .settle = maildir_settle,
  .keywords = maildir_keywords,
  .import = maildir_import,
};

EK_MODULE (maildir,
  .summary = "mailbox format: Maildir++, one file a message",
  .instance_size = sizeof (Maildir),
  .options = options,
  .init = maildir_init,
  .mailbox = &mailbox);
