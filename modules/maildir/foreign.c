/* foreign.c - dovecot-keywords, dovecot-uidlist, courierimapuiddb
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keyword letters a-z of file names mean what dovecot-keywords says, "NUMBER NAME" a line.  Ekiden
 * keeps that file too, so that keywords survive the loss of its index and a way back to Dovecot
 * stays open. */
#include "maildir.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

/* What an IMAP keyword may look like: an atom (RFC 3501 9). */
static bool
keyword_ok (const char *s)
{
  gsize n = strlen (s);

  if (n == 0 || n > 100 || s[0] == '\\')
    return false;
  for (gsize i = 0; i < n; i++)
    if ((guchar) s[i] <= 0x20 || (guchar) s[i] >= 0x7f || strchr ("(){%*\"\\]", s[i]))
      return false;
  return true;
}

static FILE *
open_beside (const EkFolder *folder, const char *name, char *path)
{
  if (!maildir_path (folder, name, strlen (name), path)) {
    errno = ENAMETOOLONG;
    return NULL;
  }
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  return fd < 0 ? NULL : fdopen (fd, "r");
}

/* The next line without its end; false at the end of the file.  What is longer is cut. */
static bool
next_line (FILE *f, char line[LINE_MAX_BYTES])
{
  if (fgets (line, LINE_MAX_BYTES, f) == NULL)
    return false;
  gsize n = strlen (line);
  if (n > 0 && line[n - 1] == '\n')
    line[--n] = 0;
  else
    for (int c; (c = getc (f)) != EOF && c != '\n';)
      ;
  if (n > 0 && line[n - 1] == '\r')
    line[n - 1] = 0;
  return true;
}

static EkStatus
keywords_read (EkCall *call, const EkFolder *folder, GPtrArray *names)
{
  char path[PATH_MAX], line[LINE_MAX_BYTES];
  FILE *f = open_beside (folder, "dovecot-keywords", path);

  if (f == NULL)
    return errno == ENOENT ? EK_OK : maildir_error (call, errno, "read", path);
  while (next_line (f, line)) {
    char *end;
    guint64 n = g_ascii_strtoull (line, &end, 10);
    if (end == line || *end != ' ' || n >= 26 || !keyword_ok (end + 1))
      continue;
    if (names->len <= n)
      g_ptr_array_set_size (names, (int) n + 1);
    g_free (names->pdata[n]);
    names->pdata[n] = g_strdup (end + 1);
  }
  fclose (f);
  return EK_OK;
}

static EkStatus
keywords_write (EkCall *call, const EkFolder *folder, GPtrArray *names)
{
  char path[PATH_MAX], tmp[PATH_MAX];
  EkBuf out = { 0 };

  if (!maildir_path (folder, "dovecot-keywords", 16, path) ||
      !maildir_path (folder, "ekiden-keywords.tmp", 19, tmp))
    return maildir_error (call, ENAMETOOLONG, "write", folder->disk);
  for (guint i = 0; i < names->len && i < 26; i++)
    if (names->pdata[i])
      ek_buf_printf (&out, "%u %s\n", i, (char *) names->pdata[i]);
  int fd = open (tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool good = fd >= 0
              && (ek_buf_len (&out) == 0
                  || write (fd, ek_buf_at (&out), ek_buf_len (&out)) == (gssize) ek_buf_len (&out));
  good = good && fsync (fd) == 0 && rename (tmp, path) == 0;
  int code = errno;
  if (fd >= 0)
    close (fd);
  ek_buf_release (&out);
  return good ? EK_OK : maildir_error (call, code, "write", path);
}

EkStatus
maildir_keywords (EkInstance *self, EkCall *call, const EkFolder *folder, GPtrArray *names,
                  bool write)
{
  return write ? keywords_write (call, folder, names) : keywords_read (call, folder, names);
}

/* ---- UIDs that others gave ---- */

/* "3 V1275660208 N25022 G30..." or "1 1275660208 25022" */
static bool
read_head (const char *line, guint *version, guint32 *uidvalidity, guint32 *uidnext)
{
  g_auto (GStrv) word = g_strsplit (line, " ", 16);
  guint64 v = 0, n = 0;

  *uidvalidity = *uidnext = 0;
  if (word[0] == NULL || (strcmp (word[0], "1") != 0 && strcmp (word[0], "3") != 0))
    return false;
  *version = (guint) (word[0][0] - '0');
  for (guint i = 1; word[i]; i++) {
    bool marked = *version == 3;
    const char *digits = marked && word[i][0] ? word[i] + 1 : word[i];
    if ((marked ? word[i][0] == 'V' : i == 1) && ek_str_u64 (ek_str (digits), G_MAXUINT32, &v))
      *uidvalidity = (guint32) v;
    else if ((marked ? word[i][0] == 'N' : i == 2) && ek_str_u64 (ek_str (digits), G_MAXUINT32, &n))
      *uidnext = (guint32) n;
  }
  return *uidvalidity > 0 && *uidnext > 0;
}

/* "25006 W18 :NAME" (version 3) or "25006 NAME"; the name may carry flags, which are cut. */
static void
read_row (char *line, guint version, EkUidFunc func, gpointer data)
{
  char *end, *name;
  guint64 uid = g_ascii_strtoull (line, &end, 10);

  if (end == line || *end != ' ' || uid == 0 || uid >= G_MAXUINT32)
    return;
  name = version == 3 ? strchr (end, ':') : end;
  if (name == NULL || *++name == 0)
    return;
  gsize n = strcspn (name, ":");
  if (n > 0)
    func ((EkStr) { name, n }, (guint32) uid, data);
}

EkStatus
maildir_import (EkInstance *self, EkCall *call, const EkFolder *folder, guint32 *uidvalidity,
                guint32 *uidnext, EkUidFunc func, gpointer data)
{
  static const char *const names[] = { "dovecot-uidlist", "courierimapuiddb" };
  char path[PATH_MAX], line[LINE_MAX_BYTES];
  guint version;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    FILE *f = open_beside (folder, names[i], path);
    if (f == NULL && errno != ENOENT)
      return maildir_error (call, errno, "read", path);
    bool good = f && next_line (f, line) && read_head (line, &version, uidvalidity, uidnext);
    while (good && next_line (f, line))
      read_row (line, version, func, data);
    if (f && !good)
      ek_log (EK_WARN, "maildir", "%s: unknown first line: its UIDs are not taken over", path);
    if (f)
      fclose (f);
    if (good)
      return EK_OK;
  }
  return EK_NOTFOUND;
}
