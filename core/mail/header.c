/* header.c - cuts a stream into header fields, and keeps them
 * SPDX-License-Identifier: Apache-2.0
 *
 * A field is over when the byte behind its line break is neither space nor tab, so each field is given
 * out one byte late.  A field that lies whole in one chunk is given out where it lies, without a copy.
 */
#include "mail/header.h"
#include <string.h>

#define FIELD_MAX (64 * 1024)
#define SIZE_MAX_ (256 * 1024)
#define COUNT_MAX 4000

/* ---- the splitter -------------------------------------------------------------------------- */

/* Splits `raw` at its colon.  The name ends with the first line: a colon in a folded line is text. */
static void
fill_header (EkHeader *h, EkStr raw)
{
  gsize end = raw.n;
  const char *nl = memchr (raw.p, '\n', raw.n);
  gsize line = nl ? (gsize) (nl - raw.p) : raw.n;

  if (nl && line > 0 && raw.p[line - 1] == '\r')
    line--;
  if (end > 0 && raw.p[end - 1] == '\n' && --end > 0 && raw.p[end - 1] == '\r')
    end--;
  const char *colon = memchr (raw.p, ':', line);
  gsize name = colon ? (gsize) (colon - raw.p) : line;
  h->raw = raw;
  h->colon = colon != NULL;
  h->value = colon ? (EkStr) { colon + 1, end - name - 1 } : (EkStr) { raw.p + end, 0 };
  while (colon && name > 0 && (raw.p[name - 1] == ' ' || raw.p[name - 1] == '\t'))
    name--;
  h->name = (EkStr) { raw.p, name };
}

static void
hold (EkHeaderSplit *split, const char *bytes, gsize n)
{
  gsize max = split->field_max ? split->field_max : FIELD_MAX;
  gsize have = ek_buf_len (&split->held);

  if (have < max)
    ek_buf_append (&split->held, bytes, MIN (n, max - have));
}

/* Gives out the field whose last bytes are `tail`; what came before them is held. */
static bool
emit (EkHeaderSplit *split, const char *tail, gsize n)
{
  gsize max = split->field_max ? split->field_max : FIELD_MAX;
  EkStr raw = { tail, MIN (n, max) };

  if (ek_buf_len (&split->held) > 0) {
    hold (split, tail, n);
    raw = ek_buf_str (&split->held);
  }
  EkHeader h = {
    .offset = split->size - split->field_size, .size = split->field_size, .lines = split->field_lines,
    .bare = split->field_bare, .truncated = raw.n < split->field_size,
  };
  fill_header (&h, raw);
  bool more = split->func == NULL || split->func (&h, split->data);
  ek_buf_clear (&split->held);
  split->field_size = 0;
  split->field_lines = split->field_bare = 0;
  return more;
}

/* Takes note of n bytes of the current line, the line break with them if `broken`. */
static void
note (EkHeaderSplit *split, const char *bytes, gsize n, bool broken)
{
  for (gsize i = 0; i < n && split->field_size + i < 2; i++)
    split->head[split->field_size + i] = bytes[i];
  if (broken) {
    char before = n > 1 ? bytes[n - 2] : split->line_size > 0 ? split->last : 0;
    split->lines++;
    split->field_lines++;
    if (before != '\r') {
      split->bare++;
      split->field_bare++;
    }
  }
  split->last = bytes[n - 1];
  split->size += n;
  split->field_size += n;
  split->line_size += n;
}

gsize
ek_header_split_feed (EkHeaderSplit *split, const char *bytes, gsize n)
{
  gsize pos = 0, from = 0;           /* the current field's bytes of this chunk begin at `from` */

  while (pos < n && !split->done) {
    if (split->line_size == 0 && split->field_size > 0) {
      bool alone = split->dashes && split->field_size >= 2 && split->head[0] == '-' && split->head[1] == '-';
      if (alone || (bytes[pos] != ' ' && bytes[pos] != '\t')) {
        split->done = !emit (split, bytes + from, pos - from);
        from = pos;
        continue;
      }
    }
    const char *nl = memchr (bytes + pos, '\n', n - pos);
    gsize len = nl ? (gsize) (nl - (bytes + pos)) + 1 : n - pos;
    bool crlf = nl && split->line_size + len == 2 && (len == 2 ? bytes[pos] : split->last) == '\r';
    bool empty = nl && split->field_size == split->line_size && (split->line_size + len == 1 || crlf);
    note (split, bytes + pos, len, nl != NULL);
    pos += len;
    if (nl)
      split->line_size = 0;
    if (empty) {
      split->done = split->complete = true;
      split->field_size = 0;
      ek_buf_clear (&split->held);
      return pos;
    }
  }
  if (!split->done && pos > from)
    hold (split, bytes + from, pos - from);
  return pos;
}

void
ek_header_split_end (EkHeaderSplit *split)
{
  if (!split->done && split->field_size > 0)
    emit (split, "", 0);
  split->done = true;
}

void
ek_header_split_clear (EkHeaderSplit *split)
{
  ek_buf_release (&split->held);
  *split = (EkHeaderSplit) { .field_max = split->field_max, .dashes = split->dashes, .func = split->func,
                             .data = split->data };
}

/* ---- the kept header ----------------------------------------------------------------------- */

typedef struct {                     /* places in EkHeaders.bytes, which may move while it grows */
  gsize   at, name, value, value_len, raw;
  guint64 offset, size;
  guint   lines, bare;
  bool    colon, truncated;
} Kept;

struct EkHeaders {
  EkHeaderSplit  split;
  EkHeaderLimits limits;
  EkBuf          bytes;
  GArray        *fields;
  bool           truncated;
};

static bool
keep (const EkHeader *h, gpointer data)
{
  EkHeaders *self = data;

  if (self->fields->len >= self->limits.count_max
      || ek_buf_len (&self->bytes) + h->raw.n > self->limits.size_max) {
    self->truncated = true;
    return true;
  }
  Kept kept = {
    .at = ek_buf_len (&self->bytes), .name = h->name.n, .value = (gsize) (h->value.p - h->raw.p),
    .value_len = h->value.n, .raw = h->raw.n, .offset = h->offset, .size = h->size, .lines = h->lines,
    .bare = h->bare, .colon = h->colon, .truncated = h->truncated,
  };
  self->truncated |= h->truncated;
  ek_buf_append (&self->bytes, h->raw.p, h->raw.n);
  g_array_append_val (self->fields, kept);
  return true;
}

EkHeaders *
ek_headers_new (const EkHeaderLimits *limits)
{
  EkHeaders *self = g_new0 (EkHeaders, 1);

  if (limits)
    self->limits = *limits;
  if (self->limits.size_max == 0)
    self->limits.size_max = SIZE_MAX_;
  if (self->limits.count_max == 0)
    self->limits.count_max = COUNT_MAX;
  self->split = (EkHeaderSplit) { .field_max = self->limits.field_max, .func = keep, .data = self };
  self->fields = g_array_new (FALSE, FALSE, sizeof (Kept));
  return self;
}

gsize
ek_headers_feed (EkHeaders *self, const char *bytes, gsize n)
{
  return ek_header_split_feed (&self->split, bytes, n);
}

void
ek_headers_end (EkHeaders *self)
{
  ek_header_split_end (&self->split);
}

bool
ek_headers_done (const EkHeaders *self)
{
  return self->split.done;
}

bool
ek_headers_truncated (const EkHeaders *self)
{
  return self->truncated;
}

guint64
ek_headers_size (const EkHeaders *self)
{
  return self->split.size;
}

guint64
ek_headers_lines (const EkHeaders *self)
{
  return self->split.lines;
}

guint
ek_headers_count (const EkHeaders *self)
{
  return self->fields->len;
}

bool
ek_headers_at (const EkHeaders *self, guint index, EkHeader *header)
{
  if (index >= self->fields->len)
    return false;
  const Kept *k = &g_array_index (self->fields, Kept, index);
  const char *p = ek_buf_at (&self->bytes) + k->at;
  *header = (EkHeader) {
    .name = { p, k->name }, .value = { p + k->value, k->value_len }, .raw = { p, k->raw },
    .offset = k->offset, .size = k->size, .lines = k->lines, .bare = k->bare, .colon = k->colon,
    .truncated = k->truncated,
  };
  return true;
}

bool
ek_headers_find (const EkHeaders *self, const char *name, guint *index, EkHeader *header)
{
  EkStr want = ek_str (name);

  for (guint i = index ? *index : 0; ek_headers_at (self, i, header); i++)
    if (header->colon && ek_str_ieq (header->name, want)) {
      if (index)
        *index = i + 1;
      return true;
    }
  return false;
}

void
ek_headers_free (EkHeaders *self)
{
  if (self == NULL)
    return;
  ek_header_split_clear (&self->split);
  ek_buf_release (&self->bytes);
  g_array_free (self->fields, TRUE);
  g_free (self);
}
