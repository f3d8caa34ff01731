/* change.c - one field of a line of a passwd-file, changed
 * SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include <errno.h>
#include <string.h>

enum { UID = 2, GID = 3, HOME = 5, COLUMNS = 7 };

/* What can be set: a column, or the extra field of another name. */
static const struct {
  const char *field;
  int         column;                /* 0: none */
  const char *extra;
} fields[] = {
  { "home", HOME, "userdb_home" }, { "uid", UID, "userdb_uid" }, { "gid", GID, "userdb_gid" }, { "quota", 0, "userdb_quota_rule" },
  { "mail", 0, "userdb_mail" }, { "nologin", 0, "nologin" }, { "allow_nets", 0, "allow_nets" },
};

/* The extra fields but the one of that name. */
static void
copy_extras (EkStr extra, const char *but, EkBuf *out)
{
  EkStr key, value;

  while (file_extra_next (&extra, &key, &value))
    if (!ek_str_eq (key, ek_str (but)))
      ek_buf_printf (out, "%s%.*s%s%.*s", ek_buf_len (out) ? " " : "", EK_STR_ARG (key), value.n ? "=" : "", EK_STR_ARG (value));
}

static bool
fits (EkStr value, bool column)
{
  for (gsize i = 0; i < value.n; i++)
    if ((guchar) value.p[i] < ' ' || value.p[i] == 127 || (column ? value.p[i] == ':' : value.p[i] == ' '))
      return false;
  return true;
}

/* One that is taken away, or set; nothing else of the line. */
static void
put_extra (EkBuf *extras, const char *field, const char *name, EkStr value)
{
  const char *space = ek_buf_len (extras) ? " " : "";

  if (value.n == 0 || (strcmp (field, "nologin") == 0 && ek_str_eq (value, EK_STR ("0"))))
    return;
  if (strcmp (field, "nologin") == 0)
    ek_buf_printf (extras, "%s%s", space, name);
  else
    ek_buf_printf (extras, "%s%s=%s%.*s", space, name, strcmp (field, "quota") == 0 ? "*:bytes=" : "", EK_STR_ARG (value));
}

static char *
make_line (EkStr line, guint which, EkStr value, GError **error)
{
  g_autofree char *text = g_strndup (line.p, line.n), *why = NULL;
  g_auto (GStrv) columns = g_strsplit (text, ":", COLUMNS + 1);
  guint n = g_strv_length (columns);
  EkBuf extras = { 0 };
  FileLine parsed;

  (void) file_line_split (line, &parsed);
  copy_extras (parsed.extra, fields[which].extra, &extras);
  if (fields[which].column == 0)
    put_extra (&extras, fields[which].field, fields[which].extra, value);
  GString *out = g_string_new (NULL);
  for (guint i = 0; i < COLUMNS; i++) {
    if (i)
      g_string_append_c (out, ':');
    if (i > 0 && (int) i == fields[which].column)
      g_string_append_len (out, value.p, (gssize) value.n);
    else if (i < n)
      g_string_append (out, columns[i]);
  }
  if (parsed.mail.n)
    g_string_append_printf (out, "::%.*s", EK_STR_ARG (parsed.mail));
  else
    g_string_append_printf (out, ":%.*s", (int) ek_buf_len (&extras), ek_buf_len (&extras) ? ek_buf_at (&extras) : "");
  ek_buf_release (&extras);
  if (file_line_check ((EkStr) { out->str, out->len }, &parsed, &why) == FILE_USER)
    return g_string_free (out, FALSE);
  ek_fail (error, EK_FAIL, EINVAL, "%s: %s", fields[which].field, why);
  g_string_free (out, TRUE);
  return NULL;
}

char *
file_line_change (EkStr line, const char *field, EkStr value, GError **error)
{
  FileLine parsed;

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (strcmp (fields[i].field, field) == 0) {
      if (!fits (value, fields[i].column != 0))
        ek_fail (error, EK_FAIL, EINVAL, "%s: a passwd-file cannot hold such a value (%s)", field, fields[i].column ? "a colon or a control character"
                 : "a blank or a control character");
      else if (fields[i].column == 0 && file_line_split (line, &parsed) && parsed.mail.n)
        ek_fail (error, EK_FAIL, EINVAL, "the line has its mailbox behind the shell in the old form: write userdb_mail=%.*s there first",
                 EK_STR_ARG (parsed.mail));
      else
        return make_line (line, i, value, error);
      return NULL;
    }
  ek_fail (error, EK_FAIL, EINVAL, "a passwd-file has no field \"%s\": those that can be set are home, uid, gid, quota, mail, nologin, allow_nets", field);
  return NULL;
}
