/* table.c - a passwd-file in memory: its text, and an index from user to line
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines stay as they are and are taken apart when they are asked for, so a million users cost their
 * file and sixteen megabytes.  Every line was checked when the table was made.
 */
#include "file.h"
#include <string.h>

struct FileTable {
  const char *text;
  gsize       len;
  EkKeyIndex  index;
  guint       n;
  bool        names_system;          /* some uid or gid is a name, for which the system has to be asked */
};

static bool
is_name (EkStr id)
{
  return id.n > 0 && !g_ascii_isdigit (id.p[0]);
}

static bool
names_system (const FileLine *line)
{
  EkStr extra = line->extra, key, value;
  bool yes = is_name (line->uid) || is_name (line->gid);

  while (!yes && file_extra_next (&extra, &key, &value))
    yes = (ek_str_eq (key, EK_STR ("userdb_uid")) || ek_str_eq (key, EK_STR ("userdb_gid"))) && is_name (value);
  return yes;
}

/* The line at a position, without its end. */
static EkStr
line_at (const FileTable *table, gsize at)
{
  const char *p = table->text + at, *end = memchr (p, '\n', table->len - at);
  EkStr line = { p, end ? (gsize) (end - p) : table->len - at };

  if (line.n > 0 && line.p[line.n - 1] == '\r')
    line.n--;
  return line;
}

static EkStr
user_at (gconstpointer data, guint64 position)
{
  EkStr line = line_at (data, position);
  const char *colon = line.n > 0 ? memchr (line.p, ':', line.n) : NULL;

  return (EkStr) { line.p, colon ? (gsize) (colon - line.p) : line.n };
}

static guint
line_number (const EkTableText *text, gsize at)
{
  guint n = 1;

  for (const char *p = text->text; (p = memchr (p, '\n', at - (gsize) (p - text->text))) != NULL; p++)
    n++;
  return n;
}

static gsize
count_lines (const EkTableText *text)
{
  gsize n = 1;

  for (const char *p = text->text, *end = p + text->len; (p = memchr (p, '\n', (gsize) (end - p))) != NULL; p++)
    n++;
  return n;
}

static gpointer
table_parse (const EkTableText *text, gpointer user, GError **error)
{
  FileTable *table = g_new0 (FileTable, 1);
  EkTableErrors errors = { 0 }, twice = { 0 };
  gsize at = 0, start = 0;
  guint number = 0;
  EkStr line;

  *table = (FileTable) { .text = text->text, .len = text->len };
  ek_key_index_init (&table->index, count_lines (text));
  table->index.key_at = user_at;
  table->index.table = table;
  for (; ek_table_line (text, &at, &number, &line); start = at) {
    FileLine parsed;
    g_autofree char *why = NULL;
    FileLineKind kind = file_line_check (line, &parsed, &why);
    guint64 position = start;
    if (kind == FILE_WRONG)
      ek_table_wrong (&errors, text, number, "%s", why);
    else if (kind == FILE_USER && ek_key_index_add (&table->index, parsed.user, &position)) {
      table->n++;
      table->names_system |= names_system (&parsed);
    }
    else if (kind == FILE_USER)
      ek_table_wrong (&twice, text, number, "user \"%.*s\" is in line %u already, which counts: take this one out",
                      EK_STR_ARG (parsed.user), line_number (text, position));
  }
  g_autoptr (GError) doubles = NULL;
  if (!ek_table_right (&twice, &doubles))
    ek_log (EK_WARN, "", "%s", doubles->message);
  if (ek_table_right (&errors, error))
    return table;
  file_table_kind.free (table);
  return NULL;
}

static void
table_free (gpointer data)
{
  FileTable *table = data;

  ek_key_index_clear (&table->index);
  g_free (table);
}

const EkTableKind file_table_kind = { .parse = table_parse, .free = table_free, .secret = true };

bool
file_table_names_system (const FileTable *table)
{
  return table->names_system;
}

bool
file_table_find (const FileTable *table, EkStr user, FileLine *line)
{
  guint64 position;

  return ek_key_index_find (&table->index, user, &position) && file_line_split (line_at (table, position), line);
}

bool
file_table_next (const FileTable *table, gsize *at, FileLine *line)
{
  while (*at < table->len) {
    const char *end = memchr (table->text + *at, '\n', table->len - *at);
    bool user = file_line_split (line_at (table, *at), line);
    *at = end ? (gsize) (end - table->text) + 1 : table->len;
    if (user)
      return true;
  }
  return false;
}

guint
file_table_n (const FileTable *table)
{
  return table->n;
}
