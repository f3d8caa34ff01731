/* tableparts.c - lines, errors and the hash index of tables that are files
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/tablefile.h"
#include "base/base.h"
#include <errno.h>
#include <string.h>

#define ERRORS_TOLD 5

bool
ek_table_line (const EkTableText *text, gsize *at, guint *number, EkStr *line)
{
  if (*at >= text->len)
    return false;
  const char *start = text->text + *at;
  const char *end = memchr (start, '\n', text->len - *at);
  gsize len = end ? (gsize) (end - start) : text->len - *at;
  *number = *at == 0 ? 1 : *number + 1;
  *at += len + (end ? 1 : 0);
  if (len > 0 && start[len - 1] == '\r')
    len--;
  *line = (EkStr) { start, len };
  return true;
}

static bool
is_comment (EkStr line)
{
  line = ek_str_trim (line);
  return line.n == 0 || line.p[0] == '#';
}

static bool
begins_blank (EkStr line)
{
  return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

bool
ek_table_logical_line (EkTableText *text, EkTableLines *lines, EkStr *line)
{
  EkStr next;

  do
    if (!ek_table_line (text, &lines->at, &lines->read, line))
      return false;
  while (is_comment (*line));
  lines->number = lines->read;
  lines->orphan = begins_blank (*line);
  char *start = text->text + (line->p - text->text);
  for (;;) {
    gsize at = lines->at;
    guint read = lines->read;
    if (!ek_table_line (text, &at, &read, &next))
      break;
    if (!is_comment (next)) {
      if (!begins_blank (next))
        break;                         /* the next call's */
      memmove (start + line->n, next.p, next.n);
      line->n += next.n;
    }
    lines->at = at;
    lines->read = read;
  }
  *line = ek_str_trim (*line);
  return true;
}

EkStr
ek_table_word (EkStr *line)
{
  gsize n = 0;

  while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
    n++;
  EkStr word = { line->p, n };
  *line = ek_str_trim ((EkStr) { line->p + n, line->n - n });
  return word;
}

void
ek_table_wrong (EkTableErrors *errors, const EkTableText *text, guint line, const char *fmt, ...)
{
  if (++errors->n > ERRORS_TOLD)
    return;
  if (errors->said == NULL)
    errors->said = g_string_new (NULL);
  else
    g_string_append (errors->said, "; ");
  g_string_append_printf (errors->said, "%s:%u: ", text->path, line);
  va_list args;
  va_start (args, fmt);
  g_string_append_vprintf (errors->said, fmt, args);
  va_end (args);
}

bool
ek_table_right (EkTableErrors *errors, GError **error)
{
  if (errors->n == 0)
    return true;
  if (errors->n > ERRORS_TOLD)
    g_string_append_printf (errors->said, "; and %u more lines are wrong", errors->n - ERRORS_TOLD);
  ek_fail (error, EK_DEFER, EINVAL, "%s", errors->said->str);
  g_string_free (errors->said, TRUE);
  *errors = (EkTableErrors) { 0 };
  return false;
}

/* ---- the index ----
 * A slot is 0 (empty) or 24 bits of the hash above 40 bits of position + 1. */

#define POSITION_BITS 40
#define POSITION_MASK (((guint64) 1 << POSITION_BITS) - 1)

static guint64
hash_key (EkStr key)
{
  guint64 h = ek_hash64 (key.p, key.n);

  return h ^ h >> 29;                  /* FNV leaves little in the low bits of short keys */
}

void
ek_key_index_init (EkKeyIndex *index, gsize expected)
{
  gsize n = 16;

  while (n < expected + expected / 2)
    n *= 2;
  *index = (EkKeyIndex) { .slots = g_new0 (guint64, n), .mask = n - 1 };
}

void
ek_key_index_clear (EkKeyIndex *index)
{
  g_free (index->slots);
  *index = (EkKeyIndex) { 0 };
}

/* The slot that holds the key, or the empty one where it belongs. */
static guint64 *
slot_of (const EkKeyIndex *index, EkStr key, guint64 hash)
{
  for (gsize i = hash & index->mask; ; i = (i + 1) & index->mask) {
    guint64 *slot = &index->slots[i];
    if (*slot == 0)
      return slot;
    if (*slot >> POSITION_BITS == hash >> POSITION_BITS
        && ek_str_eq (index->key_at (index->table, (*slot & POSITION_MASK) - 1), key))
      return slot;
  }
}

static void
grow (EkKeyIndex *index)
{
  EkKeyIndex bigger;

  ek_key_index_init (&bigger, (index->mask + 1) * 4 / 3);
  bigger.key_at = index->key_at;
  bigger.table = index->table;
  bigger.used = index->used;
  for (gsize i = 0; i <= index->mask; i++)
    if (index->slots[i]) {
      EkStr key = index->key_at (index->table, (index->slots[i] & POSITION_MASK) - 1);
      *slot_of (&bigger, key, hash_key (key)) = index->slots[i];
    }
  g_free (index->slots);
  *index = bigger;
}

bool
ek_key_index_add (EkKeyIndex *index, EkStr key, guint64 *position)
{
  guint64 hash = hash_key (key);
  guint64 *slot = slot_of (index, key, hash);

  if (*slot) {
    *position = (*slot & POSITION_MASK) - 1;
    return false;
  }
  g_assert (*position < POSITION_MASK);
  if ((index->used + 1) * 4 > (index->mask + 1) * 3) {
    grow (index);
    slot = slot_of (index, key, hash);
  }
  *slot = hash >> POSITION_BITS << POSITION_BITS | (*position + 1);
  index->used++;
  return true;
}

bool
ek_key_index_find (const EkKeyIndex *index, EkStr key, guint64 *position)
{
  guint64 *slot = slot_of (index, key, hash_key (key));

  if (*slot == 0)
    return false;
  *position = (*slot & POSITION_MASK) - 1;
  return true;
}
