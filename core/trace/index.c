/* index.c - the event store's keys, and the index of a segment
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "trace/segment.h"
#include "trace/le.h"
#include "base/base.h"
#include <string.h>

enum { INDEX_VERSION = 1, KEY_MAX = 512 };

EkTraceKind
ek_trace_kind (const EkRecordField *field)
{
  const EkKeyInfo *key = field->type == EK_F_STR ? ek_key_find (field->key) : NULL;

  if (key == NULL || field->str.n == 0)
    return 0;
  switch (key->type) {
  case EK_KEY_QID:   return EK_TRACE_QID;
  case EK_KEY_MSGID: return EK_TRACE_MSGID;
  case EK_KEY_ADDR: case EK_KEY_PATH: return EK_TRACE_ADDRESS;
  default:           return 0;
  }
}

static EkStr
bare (EkStr s)
{
  if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
    return (EkStr) { s.p + 1, s.n - 2 };
  return s;
}

/* FNV's top bits, which choose the bucket, are its weaker ones. */
static guint64
mix (guint64 h)
{
  h ^= h >> 32;
  h *= G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  return h ^ h >> 29;
}

/* Only the first 512 octets count: more of a key only makes more candidates, which are compared. */
guint64
ek_trace_hash (EkTraceKind kind, EkStr value)
{
  char folded[1 + KEY_MAX];
  EkStr key = bare (value);
  gsize n = MIN (key.n, KEY_MAX);

  folded[0] = (char) kind;
  for (gsize i = 0; i < n; i++)
    folded[1 + i] = kind == EK_TRACE_MSGID ? key.p[i] : g_ascii_tolower (key.p[i]);
  return mix (ek_hash64 (folded, 1 + n));
}

guint64
ek_trace_hash_event (EkEventId id)
{
  char bytes[9] = { EK_TRACE_EVENT };

  le_put (bytes + 1, id, 8);
  return mix (ek_hash64 (bytes, sizeof bytes));
}

bool
ek_trace_same (EkTraceKind kind, EkStr a, EkStr b)
{
  return kind == EK_TRACE_MSGID ? ek_str_eq (bare (a), bare (b)) : ek_str_ieq (bare (a), bare (b));
}

void
ek_trace_index_init (EkTraceIndex *index)
{
  *index = (EkTraceIndex) { .entries = g_array_new (FALSE, FALSE, sizeof (EkTraceEntry)) };
}

void
ek_trace_index_clear (EkTraceIndex *index)
{
  if (index->entries)
    g_array_free (index->entries, TRUE);
  *index = (EkTraceIndex) { 0 };
}

static void
add (EkTraceIndex *index, guint64 hash, guint32 offset)
{
  EkTraceEntry entry = { hash, offset };

  g_array_append_val (index->entries, entry);
}

void
ek_trace_index_add (EkTraceIndex *index, const EkRecord *record, guint32 offset)
{
  EkTraceKind kind;

  if (index->entries->len == 0 || record->time < index->first)
    index->first = record->time;
  if (index->entries->len == 0 || record->time > index->last)
    index->last = record->time;
  if (record->id != 0)
    add (index, ek_trace_hash_event (record->id), offset);
  for (guint i = 0; i < record->n_fields; i++)
    if ((kind = ek_trace_kind (&record->fields[i])) != 0)
      add (index, ek_trace_hash (kind, record->fields[i].str), offset);
}

static guint
bits_for (guint n)
{
  guint bits = 4;

  while (bits < 18 && (8u << bits) < n)
    bits++;
  return bits;
}

/* Buckets by counting: two passes over the entries, no comparison. */
void
ek_trace_index_write (const EkTraceIndex *index, guint64 number, guint64 segment_size, EkBuf *out)
{
  guint n = index->entries->len, bits = bits_for (n), buckets = 1u << bits;
  const EkTraceEntry *entries = (const EkTraceEntry *) (gpointer) index->entries->data;
  g_autofree guint32 *next = g_new0 (guint32, buckets + 1);
  gsize size = EK_INDEX_HEAD + 4u * (buckets + 1u) + 8u * (gsize) n;
  char *file = ek_buf_room (out, size), *starts = file + EK_INDEX_HEAD, *rows = starts + 4u * (buckets + 1u);

  memset (file, 0, EK_INDEX_HEAD);
  memcpy (file, "EKEVINDX", 8);
  le_put (file + 8, INDEX_VERSION, 4);
  le_put (file + 12, bits, 4);
  le_put (file + 16, number, 8);
  le_put (file + 24, n, 8);
  le_put (file + 32, (guint64) index->first, 8);
  le_put (file + 40, (guint64) index->last, 8);
  le_put (file + 48, segment_size, 8);
  for (guint i = 0; i < n; i++)
    next[(entries[i].hash >> (64 - bits)) + 1]++;
  for (guint b = 1; b <= buckets; b++)
    next[b] += next[b - 1];
  for (guint b = 0; b <= buckets; b++)
    le_put (starts + 4u * b, next[b], 4);
  for (guint i = 0; i < n; i++) {
    char *row = rows + 8u * (gsize) next[entries[i].hash >> (64 - bits)]++;
    le_put (row, (guint32) entries[i].hash, 4);
    le_put (row + 4, entries[i].offset, 4);
  }
  ek_buf_added (out, size);
}
