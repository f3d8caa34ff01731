/* tablefile.h - a file as an immutable table in memory, read again when it changes
 * SPDX-License-Identifier: Apache-2.0
 *
 * For modules whose table is a text file, or a database file that is only read.  The file is looked at (stat) at most once a second, by
 * whichever lookup comes first; that one reads the new file while all others go on with the old
 * table.  Any thread may call; a table lives as long as somebody holds it.
 *
 * What can go wrong never empties a table: a file that has vanished, cannot be read or has a wrong
 * line leaves the last good table in use, and says so in the log, once.  Only where there never was
 * one do lookups get EK_DEFER.  A file that is written in place is read when it has stood still
 * between two looks, so that half of it is not believed; one that was renamed into its place is read
 * at once.
 */
#pragma once
#include <ekiden/ekiden.h>

typedef struct EkTableFile EkTableFile;

typedef struct {
  const char *path;                  /* for messages: "PATH:LINE: ..." */
  char       *text;                  /* parse() may write into it, and it lives as long as the table */
  gsize       len;                   /* text[len] is NUL; other NULs may be in it */
} EkTableText;

typedef struct {
  /* Makes the table of a text, or returns NULL and *error.  `user` is what ek_table_file_new() got. */
  gpointer (*parse) (const EkTableText *text, gpointer user, GError **error);
  /* Or, for a file that is not read as a whole: opens it.  `fd` (read-only) is closed some time after free(), `path` may
   * name another file by now; then that one is opened soon.  NULL and *error, without the path. */
  gpointer (*open) (int fd, const char *path, gpointer user, GError **error);
  void     (*free) (gpointer table);
  bool       secret;                 /* the text is wiped when it is freed */
} EkTableKind;

/* For init(): is it absolute?  False and *error, with the option's name. */
bool         ek_path_check (const char *option, const char *path, GError **error);
/* For start(): the file of a block, read.  What is wrong with it is in the log, and lookups defer until it is mended. */
EkTableFile *ek_table_file_open (const EkInstance *of, const char *path, const EkTableKind *kind, gpointer user);
/* Reads nothing yet.  `label` names the instance in the log: "file staff".  `path` is absolute. */
EkTableFile *ek_table_file_new (const char *label, const char *path, const EkTableKind *kind, gpointer user);
void         ek_table_file_free (EkTableFile *file);       /* NULL is fine; nobody holds a table */

/* The newest good table, held until ek_table_file_release(); NULL and *error: there never was one
 * (the code is an errno value: ENOENT, EINVAL for a wrong line). */
gconstpointer ek_table_file_hold (EkTableFile *file, GError **error);
/* Never takes its time: an old table whose last holder this was is freed (a secret
 * one: wiped) by who looks at the file next, or with the file. */
void          ek_table_file_release (EkTableFile *file, gconstpointer table);
/* Looks at the file now, even when it has just been looked at, and reads it if it has changed. */
void          ek_table_file_reload (EkTableFile *file);

/* Would ek_table_file_hold() give a table without a look at the file?  That is so for the second after a look. */
bool          ek_table_file_at_hand (EkTableFile *file);

/* How long a file is not looked at again, in microseconds: a second.  Tests make it shorter. */
extern gint64 ek_table_file_patience;

/* ---- parts for parse() ---- */

/* The next line without its end ("\n" or "\r\n"), counting in *number from 1; false at the end.
 * *at is where the next one begins: 0 before the first call. */
bool ek_table_line (const EkTableText *text, gsize *at, guint *number, EkStr *line);

/* Postfix's logical lines: a line that begins with a blank continues the one before; empty lines and
 * those whose first character but blanks is # do not count, not even within one.  Joined in place, so
 * each part of the text is seen once. */
typedef struct {
  gsize at;                          /* zeros before the first call */
  guint read;                        /* physical lines so far */
  guint number;                      /* of the line that is returned: its first */
  bool  orphan;                      /* it begins with a blank: there is nothing that it continues */
} EkTableLines;
bool ek_table_logical_line (EkTableText *text, EkTableLines *lines, EkStr *line);
/* Cuts the first word off a trimmed line; what is left is trimmed too. */
EkStr ek_table_word (EkStr *line);

/* Errors of several lines as one GError: the first ones in full, the rest counted. */
typedef struct { GString *said; guint n; } EkTableErrors;
void ek_table_wrong (EkTableErrors *errors, const EkTableText *text, guint line, const char *fmt, ...)
  G_GNUC_PRINTF (4, 5);
/* Sets *error from them and frees them; true when there were none. */
bool ek_table_right (EkTableErrors *errors, GError **error);

/* A hash index from key to position: eight bytes a slot, a slot and a half to three a key.  The keys
 * themselves stay where they are: key_at() tells the one at a position (below 2^39). */
typedef struct {
  guint64 *slots;
  gsize    mask, used;
  EkStr  (*key_at) (gconstpointer table, guint64 position);
  gconstpointer table;
} EkKeyIndex;

void ek_key_index_init (EkKeyIndex *index, gsize expected);     /* then set key_at and table */
void ek_key_index_clear (EkKeyIndex *index);
/* False: the key is there already, and *position becomes where. */
bool ek_key_index_add (EkKeyIndex *index, EkStr key, guint64 *position);
bool ek_key_index_find (const EkKeyIndex *index, EkStr key, guint64 *position);
