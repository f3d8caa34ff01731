/* subs.c - the file of subscriptions: Dovecot's, so that losing the index loses none
 * SPDX-License-Identifier: Apache-2.0
 *
 * Version 2 begins with "V<TAB>2" and an empty line, and has levels separated by TAB; the old form
 * has plain names with dots.  Courier's file, names below "INBOX.", is read when there is no other.
 * Names are modified UTF-7. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (4 << 20)

/* The whole small file; NOTFOUND. */
static EkStatus
slurp (const char *path, EkBuf *out, GError **error)
{
  struct stat st;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

  if (fd < 0)
    return errno == ENOENT
               ? EK_NOTFOUND
               : ek_fail (error, EK_DEFER, errno, "%s: cannot open: %s", path, g_strerror (errno));
  gssize n = -1;
  if (fstat (fd, &st) == 0 && st.st_size > FILE_MAX_BYTES)
    errno = EFBIG;
  else
    while ((n = read (fd, ek_buf_room (out, 8192), 8192)) > 0 && ek_buf_len (out) <= FILE_MAX_BYTES)
      ek_buf_added (out, (gsize) n);
  int code = errno;
  close (fd);
  return n < 0 ? ek_fail (error, EK_DEFER, code, "%s: cannot read: %s", path, g_strerror (code))
               : EK_OK;
}

/* Dovecot's escapes of TAB, CR, LF, NUL and \001 itself. */
static void
unescape (char *s)
{
  char *to = s;

  for (; *s; s++)
    if (*s == 1 && s[1]) {
      s++;
      *to++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s == '1' ? '\001' : *s;
    } else
      *to++ = *s;
  *to = 0;
}

/* A line's internal name, or NULL for what is none. */
static char *
name_of (char *line, char separator, const char *prefix)
{
  gsize n = strlen (line);

  if (n > 0 && line[n - 1] == '\r')
    line[n - 1] = 0;
  if (prefix && g_str_has_prefix (line, prefix))
    line += strlen (prefix);
  unescape (line);
  char *name = ek_mutf7_decode (ek_str (line));
  if (name == NULL || *name == 0 || strchr (name, LEVEL)) {
    g_free (name);
    return NULL;
  }
  g_strdelimit (name, (char[]) { separator, 0 }, LEVEL);
  if (g_ascii_strcasecmp (name, "INBOX") == 0)
    strcpy (name, "INBOX");
  return name;
}

static void
parse (char *text, bool courier, GPtrArray *names)
{
  bool version2 = g_str_has_prefix (text, "V\t2\n");
  g_auto (GStrv) lines = g_strsplit (version2 ? text + 4 : text, "\n", -1);

  for (guint i = 0; lines[i]; i++) {
    char *name;
    if (version2) { /* TAB is not modified UTF-7: see to levels first */
      g_autofree char *dotted = g_strdelimit (g_strdup (lines[i]), "\t", '.');
      name = name_of (dotted, '.', NULL);
    }
    else
      name = name_of (lines[i], '.', courier ? "INBOX." : NULL);
    if (name)
      g_ptr_array_add (names, name);
  }
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

EkStatus
subs_read (EkIndex *ix, GPtrArray **out, GError **error)
{
  g_autofree char *path = g_build_filename (ix->root, "subscriptions", NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  EkBuf text = { 0 };
  bool courier = false;

  EkStatus status = slurp (path, &text, error);
  if (status == EK_NOTFOUND) {
    g_autofree char *other = g_build_filename (ix->root, "courierimapsubscribed", NULL);
    status = slurp (other, &text, error);
    courier = status == EK_OK;
  }
  if (status == EK_OK) {
    ek_buf_appendc (&text, 0);
    parse (ek_buf_at (&text), courier, names);
  }
  ek_buf_release (&text);
  if (status == EK_DEFER)
    return status;
  g_ptr_array_sort (names, compare);
  for (guint i = 1; i < names->len;)               /* once each */
    if (strcmp (names->pdata[i - 1], names->pdata[i]) == 0)
      g_ptr_array_remove_index (names, i);
    else
      i++;
  *out = g_steal_pointer (&names);
  return EK_OK;
}

EkStatus
subs_set (EkIndex *ix, const char *name, bool on, GError **error)
{
  g_autofree char *path = g_build_filename (ix->root, "subscriptions", NULL);
  g_autoptr (GPtrArray) names = NULL;
  EkBuf out = { 0 };
  bool had = false;

  EkStatus status = subs_read (ix, &names, error);
  if (status != EK_OK)
    return status;
  for (guint i = 0; i < names->len; i++)
    if (strcmp (names->pdata[i], name) == 0) {
      had = true;
      if (!on)
        g_ptr_array_remove_index (names, i);
      break;
    }
  if (had == on)
    return EK_OK;
  if (on)
    g_ptr_array_add (names, g_strdup (name));
  ek_buf_appends (&out, "V\t2\n\n");
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *tabbed = g_strdelimit (g_strdup (names->pdata[i]), "\n", '.');
    g_autofree char *mutf7 = ek_mutf7_encode (ek_str (tabbed));
    if (mutf7)
      ek_buf_printf (&out, "%s\n", g_strdelimit (mutf7, ".", '\t'));
  }
  if (ek_buf_len (&out) > FILE_MAX_BYTES)
    status = ek_fail (error, EK_FAIL, ENOSPC, "%s: too many subscriptions", path);
  else if (!file_replace (path, ek_buf_str (&out), error))
    status = EK_DEFER;
  ek_buf_release (&out);
  return status;
}
