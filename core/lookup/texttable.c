/* texttable.c - a Postfix text map in memory: keys and values in one block, and an index
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file's own text becomes the block: each entry is written back over it as key NUL value NUL,
 * which is never longer than its line.  A row costs its bytes and a slot of the index.
 */
#include "lookup/texttable.h"
#include <string.h>

struct EkTextTable {
  const char *rows;
  gsize       used, len;             /* bytes of rows; of the text that they were */
  EkKeyIndex  index;
  guint64     n, doubles;
  EkTextRules rules;
};

static EkStr
key_at (gconstpointer data, guint64 position)
{
  return ek_str (((const EkTextTable *) data)->rows + position);
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

/* A key and a value into the block. */
static void
add_row (EkTextTable *table, const EkTableText *text, guint line, gsize len, EkStr value, EkTableErrors *twice)
{
  char *row = text->text + table->used;
  guint64 position = table->used;

  row[len] = '\0';
  memmove (row + len + 1, value.p, value.n);
  row[len + 1 + value.n] = '\0';
  if (ek_key_index_add (&table->index, (EkStr) { row, len }, &position)) {
    table->used += len + value.n + 2;
    table->n++;
    return;
  }
  table->doubles++;
  ek_table_wrong (twice, text, line, "the key \"%.*s\" was there before, which counts: take this one out", (int) MIN (len, 80), row);
}

/* One logical line. */
static void
add_line (EkTextTable *table, const EkTableText *text, const EkTableLines *lines, EkStr line, EkTableErrors *errors, EkTableErrors *twice)
{
  EkStr value;
  gsize len;

  if (lines->orphan)
    ek_table_wrong (errors, text, lines->number, "the line begins with a blank, but there is none before that it "
                    "could continue: take the blank out");
  else if (memchr (line.p, '\0', line.n))
    ek_table_wrong (errors, text, lines->number, "the line has a NUL in it: is this a text file?");
  else if (!take_key (line, false, table->rules.fold_case, text->text + table->used, &len, &value))
    ek_table_wrong (errors, text, lines->number, "the key's quote is not closed: write \"key\" value");
  else if (value.n == 0 || len == 0)
    ek_table_wrong (errors, text, lines->number, "expected key, blanks, value: the %s is missing",
                    len == 0 ? "key" : "value");
  else if (table->rules.key_max && len > table->rules.key_max)
    ek_table_wrong (errors, text, lines->number, "the key has %" G_GSIZE_FORMAT " bytes, and %" G_GSIZE_FORMAT " are the most",
                    len, table->rules.key_max);
  else
    add_row (table, text, lines->number, len, value, twice);
}

static gpointer
table_parse (const EkTableText *source, gpointer user, GError **error)
{
  EkTableText text = *source;
  EkTextTable *table = g_new0 (EkTextTable, 1);
  EkTableErrors errors = { 0 }, twice = { 0 };
  EkTableLines lines = { 0 };
  g_autoptr (GError) doubles = NULL;
  EkStr line;

  *table = (EkTextTable) { .rows = text.text, .len = text.len, .rules = *(const EkTextRules *) user };
  ek_key_index_init (&table->index, count_lines (&text));
  table->index.key_at = key_at;
  table->index.table = table;
  while (ek_table_logical_line (&text, &lines, &line))
    add_line (table, &text, &lines, line, &errors, &twice);
  if (!ek_table_right (&twice, &doubles))
    ek_log (EK_WARN, "", "%s", doubles->message);
  if (ek_table_right (&errors, error))
    return table;
  ek_text_kind.free (table);
  return NULL;
}

static void
table_free (gpointer data)
{
  EkTextTable *table = data;

  ek_key_index_clear (&table->index);
  g_free (table);
}

const EkTableKind ek_text_kind = { .parse = table_parse, .free = table_free };

guint64
ek_text_table_n (const EkTextTable *table)
{
  return table->n;
}

guint64
ek_text_table_doubles (const EkTextTable *table)
{
  return table->doubles;
}

gsize
ek_text_table_size (const EkTextTable *table)
{
  return sizeof *table + table->len + (table->index.mask + 1) * sizeof *table->index.slots;
}

gsize
ek_text_key (EkStr key, bool fold_case, char *to)
{
  gsize len;
  EkStr rest;

  if (take_key (key, true, fold_case, to, &len, &rest))
    return len;
  for (gsize i = 0; i < key.n; i++)                /* no pair of quotes: as it is */
    to[i] = fold_case ? g_ascii_tolower (key.p[i]) : key.p[i];
  return key.n;
}

bool
ek_text_table_find (const EkTextTable *table, EkStr key, EkStr *value)
{
  char small[256], *copy = key.n < sizeof small ? small : g_malloc (key.n + 1);
  guint64 position;
  gsize len = 0;
  bool found = key.n > 0 && !memchr (key.p, '\0', key.n);

  if (found)
    len = ek_text_key (key, table->rules.fold_case, copy);
  found = found && ek_key_index_find (&table->index, (EkStr) { copy, len }, &position);
  if (found)
    *value = ek_str (table->rows + position + len + 1);
  if (copy != small)
    g_free (copy);
  return found;
}

void
ek_text_table_each (const EkTextTable *table, void (*func) (EkStr, EkStr, gpointer), gpointer data)
{
  for (gsize at = 0; at < table->used; ) {
    EkStr key = ek_str (table->rows + at), value = ek_str (key.p + key.n + 1);
    func (key, value, data);
    at += key.n + value.n + 2;
  }
}
