/* table.c - a Postfix text map in memory: keys and values in one block, and an index
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file's own text becomes the block: each entry is written back over it as key NUL value NUL,
 * which is never longer than its line.  A row costs its bytes and a slot of the index.
 */
#include "text.h"
#include <string.h>

struct TextTable {
  const char *rows;
  EkKeyIndex  index;
  guint       n;
  bool        fold;
};

static EkStr
key_at (gconstpointer data, guint64 position)
{
  return ek_str (((const TextTable *) data)->rows + position);
}

/* Takes the key off the front of a line, without its quotes, folded, into `to` (which may be the line
 * itself).  Blanks in quotes belong to it.  Returns its length, and the rest in *rest; false: a quote
 * is not closed. */
static bool
take_key (EkStr line, bool whole, bool fold, char *to, gsize *len, EkStr *rest)
{
  bool quoted = false;
  gsize i = 0, n = 0;

  for (; i < line.n; i++) {
    char c = line.p[i];
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    if (!quoted && !whole && (c == ' ' || c == '\t'))
      break;
    if (quoted && c == '\\' && i + 1 < line.n)
      c = line.p[++i];
    to[n++] = fold ? g_ascii_tolower (c) : c;
  }
  *len = n;
  *rest = ek_str_trim ((EkStr) { line.p + i, line.n - i });
  return !quoted;
}

static guint
count_lines (const EkTableText *text)
{
  guint n = 1;

  for (const char *p = text->text, *end = p + text->len; (p = memchr (p, '\n', (gsize) (end - p))) != NULL; p++)
    n++;
  return n;
}

/* One logical line into the block at *used. */
static void
add_line (TextTable *table, EkTableText *text, const EkTableLines *lines, EkStr line, gsize *used,
          EkTableErrors *errors, EkTableErrors *twice)
{
  EkStr value;
  gsize len;
  char *row = text->text + *used;

  if (lines->orphan)
    ek_table_wrong (errors, text, lines->number, "the line begins with a blank, but there is none before that it "
                    "could continue: take the blank out");
  else if (memchr (line.p, '\0', line.n))
    ek_table_wrong (errors, text, lines->number, "the line has a NUL in it: is this a text file?");
  else if (!take_key (line, false, table->fold, row, &len, &value))
    ek_table_wrong (errors, text, lines->number, "the key's quote is not closed: write \"key\" value");
  else if (value.n == 0 || len == 0)
    ek_table_wrong (errors, text, lines->number, "expected key, blanks, value: the %s is missing",
                    len == 0 ? "key" : "value");
  else {
    guint64 position = *used;
    row[len] = '\0';
    memmove (row + len + 1, value.p, value.n);
    row[len + 1 + value.n] = '\0';
    if (ek_key_index_add (&table->index, (EkStr) { row, len }, &position)) {
      *used += len + value.n + 2;
      table->n++;
    }
    else
      ek_table_wrong (twice, text, lines->number, "the key \"%.*s\" was there before, which counts: take this one out",
                      (int) MIN (len, 80), row);
  }
}

static gpointer
table_parse (const EkTableText *source, gpointer user, GError **error)
{
  EkTableText text = *source;
  TextTable *table = g_new0 (TextTable, 1);
  EkTableErrors errors = { 0 }, twice = { 0 };
  EkTableLines lines = { 0 };
  g_autoptr (GError) doubles = NULL;
  gsize used = 0;
  EkStr line;

  *table = (TextTable) { .rows = text.text, .fold = *(bool *) user };
  ek_key_index_init (&table->index, count_lines (&text));
  table->index.key_at = key_at;
  table->index.table = table;
  while (ek_table_logical_line (&text, &lines, &line))
    add_line (table, &text, &lines, line, &used, &errors, &twice);
  if (!ek_table_right (&twice, &doubles))
    ek_log (EK_WARN, "", "%s", doubles->message);
  if (ek_table_right (&errors, error))
    return table;
  text_table_kind.free (table);
  return NULL;
}

static void
table_free (gpointer data)
{
  TextTable *table = data;

  ek_key_index_clear (&table->index);
  g_free (table);
}

const EkTableKind text_table_kind = { .parse = table_parse, .free = table_free };

guint
text_table_n (const TextTable *table)
{
  return table->n;
}

bool
text_table_find (const TextTable *table, EkStr key, EkStr *value)
{
  char small[256], *copy = key.n < sizeof small ? small : g_malloc (key.n + 1);
  guint64 position;
  gsize len;
  EkStr rest;
  bool found = key.n > 0 && !memchr (key.p, '\0', key.n);

  if (found && !take_key (key, true, table->fold, copy, &len, &rest)) {
    memcpy (copy, key.p, key.n);       /* no pair of quotes: as it is */
    len = key.n;
  }
  found = found && ek_key_index_find (&table->index, (EkStr) { copy, len }, &position);
  if (found)
    *value = ek_str (table->rows + position + len + 1);
  if (copy != small)
    g_free (copy);
  return found;
}
