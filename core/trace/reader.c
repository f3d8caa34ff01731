/* reader.c - looking keys up in the segments of an event store
 * SPDX-License-Identifier: Apache-2.0
 *
 * The writer may finish, index or drop a segment at any moment: a segment that is gone has no hits,
 * one that has no index yet is read whole, once.
 */
#include "config.h"
#include "trace/reader.h"
#include "trace/le.h"
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HITS_MAX = 100000 };                      /* of one key in one segment */

typedef struct {
  guint64      number;
  bool         loaded;               /* index holds the segment's entries, sorted */
  EkTraceIndex index;
} Segment;

struct EkTraceReader {
  char   *folder;
  GArray *segments;                  /* Segment, ascending */
};

static void
clear_segment (gpointer data)
{
  ek_trace_index_clear (&((Segment *) data)->index);
}

EkTraceReader *
ek_trace_reader_open (const char *folder, GError **error)
{
  g_autoptr (GArray) numbers = ek_segment_list (folder, error);

  if (numbers == NULL)
    return NULL;
  EkTraceReader *self = g_new0 (EkTraceReader, 1);
  self->folder = g_strdup (folder);
  self->segments = g_array_new (FALSE, TRUE, sizeof (Segment));
  g_array_set_clear_func (self->segments, clear_segment);
  for (guint i = 0; i < numbers->len; i++) {
    Segment segment = { .number = g_array_index (numbers, guint64, i) };
    g_array_append_val (self->segments, segment);
  }
  return self;
}

void
ek_trace_reader_close (EkTraceReader *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->segments);
  g_free (self->folder);
  g_free (self);
}

/* ---- places of a key ---------------------------------------------------------------------------- */

static bool
read_at (int fd, char *p, gsize n, guint64 at)
{
  while (n > 0) {
    ssize_t got = pread (fd, p, n, (off_t) at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    p += got;
    n -= (gsize) got;
    at += (guint64) got;
  }
  return true;
}

/* The bits of an index that can be believed; 0: none. */
static guint
index_bits (int fd, guint64 number, guint64 *n_entries)
{
  char head[EK_INDEX_HEAD];
  struct stat st;

  if (fstat (fd, &st) != 0 || !read_at (fd, head, sizeof head, 0) || memcmp (head, "EKEVINDX", 8) != 0
      || le_get (head + 8, 4) != 1 || le_get (head + 16, 8) != number)
    return 0;
  guint64 bits = le_get (head + 12, 4);
  *n_entries = le_get (head + 24, 8);
  if (bits < 1 || bits > 24 || *n_entries > EK_SEGMENT_MAX
      || (guint64) st.st_size != EK_INDEX_HEAD + 4 * ((G_GUINT64_CONSTANT (1) << bits) + 1) + 8 * *n_entries)
    return 0;
  return (guint) bits;
}

/* Appends the offsets of a key's records, ascending. */
static void
places_from_file (int fd, guint bits, guint64 n_entries, guint64 hash, GArray *places)
{
  char pair[8], row[8 * 512];
  guint64 bucket = hash >> (64 - bits);

  if (!read_at (fd, pair, sizeof pair, EK_INDEX_HEAD + 4 * bucket))
    return;
  guint64 from = le_get (pair, 4), to = MIN (le_get (pair + 4, 4), n_entries);
  guint64 rows = EK_INDEX_HEAD + 4 * ((G_GUINT64_CONSTANT (1) << bits) + 1);
  while (from < to) {
    guint n = (guint) MIN (to - from, 512);
    if (!read_at (fd, row, 8u * n, rows + 8 * from))
      return;
    for (guint i = 0; i < n; i++)
      if (le_get (row + 8 * i, 4) == (guint32) hash && places->len < HITS_MAX) {
        guint32 offset = (guint32) le_get (row + 8 * i + 4, 4);
        g_array_append_val (places, offset);
      }
    from += n;
  }
}

static gint
by_hash (gconstpointer a, gconstpointer b)
{
  const EkTraceEntry *x = a, *y = b;

  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void
places_from_memory (const EkTraceIndex *index, guint64 hash, GArray *places)
{
  const EkTraceEntry *rows = (const EkTraceEntry *) (gpointer) index->entries->data;
  guint low = 0, high = index->entries->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (rows[middle].hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < index->entries->len && rows[low].hash == hash && places->len < HITS_MAX; low++)
    g_array_append_val (places, rows[low].offset);
}

static bool
collect (const EkFrame *frame, guint32 offset, gpointer data)
{
  ek_trace_index_add (data, &frame->record, offset);
  return true;
}

static void
load_segment (Segment *segment, int fd)
{
  guint32 end;

  if (segment->loaded)
    return;
  segment->loaded = true;
  ek_trace_index_init (&segment->index);
  ek_segment_scan (fd, segment->number, collect, &segment->index, &end);
  g_array_sort (segment->index.entries, by_hash);
}

/* ---- records -------------------------------------------------------------------------------------- */

static bool
has_key (const EkRecord *record, const EkTraceKey *key)
{
  if (key->kind == EK_TRACE_EVENT)
    return record->id == key->id;
  for (guint i = 0; i < record->n_fields; i++)
    if (ek_trace_kind (&record->fields[i]) == key->kind && ek_trace_same (key->kind, record->fields[i].str, key->value))
      return true;
  return false;
}

static void
hit (int fd, const Segment *segment, const EkTraceKey *key, guint32 offset, EkTraceHit func, gpointer data)
{
  char bytes[EK_FRAME_MAX];
  EkFrame frame;
  ssize_t got;

  do
    got = pread (fd, bytes, sizeof bytes, offset);
  while (got < 0 && errno == EINTR);
  if (got <= 0)
    return;
  gssize n = ek_frame_read (bytes, (gsize) got, &frame);
  if (n <= 0 || !has_key (&frame.record, key))
    return;
  gsize head = EK_FRAME_HEAD + frame.role.n;
  func (key, &frame, (EkStr) { bytes + head, (gsize) n - head }, segment->number, offset, data);
}

static void
look_in (Segment *segment, int fd, int index_fd, const EkTraceKey *keys, guint n_keys, EkTraceHit func,
         gpointer data)
{
  guint64 n_entries = 0;
  guint bits = index_fd >= 0 && !segment->loaded ? index_bits (index_fd, segment->number, &n_entries) : 0;
  g_autoptr (GArray) places = g_array_new (FALSE, FALSE, sizeof (guint32));

  if (bits == 0)
    load_segment (segment, fd);
  for (guint k = 0; k < n_keys; k++) {
    g_array_set_size (places, 0);
    if (bits)
      places_from_file (index_fd, bits, n_entries, keys[k].hash, places);
    else
      places_from_memory (&segment->index, keys[k].hash, places);
    for (guint i = places->len; i-- > 0;)
      hit (fd, segment, &keys[k], g_array_index (places, guint32, i), func, data);
  }
}

void
ek_trace_reader_look (EkTraceReader *self, const EkTraceKey *keys, guint n_keys, EkTraceHit func, gpointer data)
{
  for (guint i = self->segments->len; i-- > 0;) {
    Segment *segment = &g_array_index (self->segments, Segment, i);
    g_autofree char *path = ek_segment_path (self->folder, segment->number, "ev");
    g_autofree char *index_path = ek_segment_path (self->folder, segment->number, "ix");
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
      continue;
    int index_fd = open (index_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    look_in (segment, fd, index_fd, keys, n_keys, func, data);
    if (index_fd >= 0)
      close (index_fd);
    close (fd);
  }
}
