/* file.h - what the files of the module share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/record.h"
#include "lookup/tablefile.h"

typedef struct {                     /* one line, borrowed from it; an empty field has n 0 */
  EkStr user, pass, uid, gid, home;
  EkStr mail;                        /* of the old form: ...:shell::MAIL */
  EkStr extra;                       /* "key=value key ..." */
} FileLine;

typedef enum { FILE_BLANK, FILE_USER, FILE_WRONG } FileLineKind;

/* Takes a line apart; false: it is empty or a comment. */
bool file_line_split (EkStr line, FileLine *parsed);
/* The same with all checks.  WRONG: *why says what and how to mend it (g_free). */
FileLineKind file_line_check (EkStr line, FileLine *parsed, char **why);
/* The line with one field changed, or taken away by an empty value, and all others as they were (g_free); NULL and *error: there is no such
 * field, or it cannot have the value. */
char *file_line_change (EkStr line, const char *field, EkStr value, GError **error);
/* The next extra field, taken off the front of *extra; false: none left. */
bool file_extra_next (EkStr *extra, EkStr *key, EkStr *value);

/* ---- the table ---- */

typedef struct FileTable FileTable;
extern const EkTableKind file_table_kind;
bool  file_table_find (const FileTable *table, EkStr user, FileLine *line);
/* The users, one after the other: *at is 0 before the first call. */
bool  file_table_next (const FileTable *table, gsize *at, FileLine *line);
guint file_table_n (const FileTable *table);
bool  file_table_names_system (const FileTable *table);    /* a lookup may have to ask the system for a user's or a group's number */

/* ---- writing ---- */

/* Rewrites the file with the user's password field set (and the user added at the end if there is
 * none), or, `stored`.p NULL, without the user's line.  Everything else stays as it is: order,
 * comments, mode, owner.  OK, NOTFOUND (nothing to remove), FAIL (no such name or secret can be
 * written), DEFER. */
EkStatus file_rewrite (const char *path, EkStr user, EkStr stored, GError **error);
/* The same, only if the password still is `from`, or `bare` (empty: none); else NOTFOUND. */
EkStatus file_rehash (const char *path, EkStr user, EkStr from, EkStr bare, EkStr stored, GError **error);
/* The same with another field of a user who is there (file_line_change()); NOTFOUND: he is not. */
EkStatus file_change (const char *path, EkStr user, const char *field, EkStr value, GError **error);
