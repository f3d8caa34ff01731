/* maildir.h - what the files of this module share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include "index/mailbox.h"
#include <limits.h>

typedef struct {
  EkInstance  base;
  const char *path;                  /* option: template of a user's mail root */
  const char *line_end;              /* option: lf, crlf */
  bool        lf;
} Maildir;

#define NAME_BYTES_MAX 240           /* of a file's name: leaves room for flags below NAME_MAX */

/* ---- name.c: what a file name tells ---- */

/* Splits "BASE:2,FLAGS" and reads the hints "S=" and "W=".  key borrows from name; place is left alone. */
void maildir_name_read (EkStr name, EkFound *found);
/* The new ":2,..." with letters that we do not know kept from the old name. */
void maildir_name_info (EkStr old_name, guint32 flags, guint64 letters, char *into, gsize n);
/* A fresh base name without hints. */
void maildir_name_new (char *into, gsize n);
/* key, then ",S=..,W=.." as far as known. */
void maildir_name_sizes (EkStr key, gint64 psize, gint64 vsize, char *into, gsize n);

/* ---- folder.c: folders and their names ---- */

EkStatus maildir_locate (EkInstance *self, EkCall *call, const EkUser *user, char **root);
EkStatus maildir_list (EkInstance *self, EkCall *call, const char *root, EkFolderFunc func, gpointer data);
EkStatus maildir_disk_name (EkInstance *self, EkCall *call, EkStr name, char **disk);
EkStatus maildir_exists (EkInstance *self, EkCall *call, const EkFolder *folder);
EkStatus maildir_create (EkInstance *self, EkCall *call, const EkFolder *folder);
EkStatus maildir_remove (EkInstance *self, EkCall *call, const EkFolder *folder);
EkStatus maildir_rename (EkInstance *self, EkCall *call, const EkFolder *folder, const char *to_disk);

/* root/disk[/sub] into `path` (PATH_MAX bytes); false: too long */
bool maildir_path (const EkFolder *folder, const char *sub, gsize sub_len, char *path);
/* Sets call->error to "PATH: what: reason"; NOTFOUND for ENOENT, else DEFER or FAIL by `code`. */
EkStatus maildir_error (EkCall *call, int code, const char *what, const char *path);

/* ---- scan.c: what is there ---- */

EkStatus maildir_scan (EkInstance *self, EkCall *call, const EkFolder *folder, EkStamp *stamp,
                       EkFoundFunc func, gpointer data);
EkStatus maildir_open (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
                       int *fd, gint64 *offset, gint64 *length, gint64 *mtime);
/* Where the key is now, with any size hints behind it; NOTFOUND: nowhere. */
EkStatus maildir_find (EkCall *call, const EkFolder *folder, EkStr key, EkStr *place);

/* ---- write.c: new files, and changes of names ---- */

EkStatus maildir_stage (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged);
EkStatus maildir_commit (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged,
                         const EkCommit *how, EkFound *made);
EkStatus maildir_flags (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
                        guint32 flags, guint64 letters);
EkStatus maildir_copy (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place,
                       const EkFolder *to, guint32 flags, guint64 letters, bool move, EkFound *made);
EkStatus maildir_expunge (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place);
EkStatus maildir_settle (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr place, char **path);

/* ---- foreign.c: Dovecot's and Courier's files beside the mail ---- */

EkStatus maildir_keywords (EkInstance *self, EkCall *call, const EkFolder *folder, GPtrArray *names, bool write);
EkStatus maildir_import (EkInstance *self, EkCall *call, const EkFolder *folder, guint32 *uidvalidity,
                         guint32 *uidnext, EkUidFunc func, gpointer data);
