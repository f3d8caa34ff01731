/* match.c - does a message meet a search program?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "match.h"
#include "mail/date.h"
#include "mail/mime.h"
#include "mail/text.h"
#include <string.h>

#define DAY 86400

struct ImapMatcher {
  EkView    *view;
  ImapKey   *root;
  guint      items;
  GPtrArray *needles;                /* of EkSearch, by ImapKey.needle */
  EkRange    all;
  const EkRange *ranges;
  guint      n_ranges;
  ImapSource source;
  EkPool    *scratch;                /* of one header field */
  const EkRow *row;
  GError   **error;
  EkStatus   status;                 /* of what a key needed */
};

/* ---- preparing ----------------------------------------------------------------------------------- */

static guint
cost_of (const ImapKey *key)
{
  guint most = 0;

  switch (key->type) {
  case IMAP_KEY_AND:
  case IMAP_KEY_OR:
    for (const ImapKey *child = key->child; child; child = child->next)
      most = MAX (most, cost_of (child));
    return most;
  case IMAP_KEY_HEADER:
    return imap_fields_cached (&key->name, 1) ? 2 : 3;
  case IMAP_KEY_SENTBEFORE:
  case IMAP_KEY_SENTON:
  case IMAP_KEY_SENTSINCE:
    return 2;
  case IMAP_KEY_BODY:
  case IMAP_KEY_TEXT:
    return 4;
  default:
    return 0;
  }
}

/* Cheap keys first; the order among equals stays. */
static ImapKey *
sort_keys (ImapKey *keys)
{
  ImapKey *sorted = NULL;

  while (keys) {
    ImapKey *key = keys, **at = &sorted;
    keys = key->next;
    while (*at && cost_of (*at) <= cost_of (key))
      at = &(*at)->next;
    key->next = *at;
    *at = key;
  }
  return sorted;
}

static guint64
keyword_bit (EkView *view, EkStr name)
{
  const char *const *names;
  guint n = ek_view_keywords (view, &names);

  for (guint i = 0; i < n && i < 64; i++)
    if (names[i] && ek_str_ieq (name, ek_str (names[i])))
      return G_GUINT64_CONSTANT (1) << i;
  return 0;
}

static guint
add_needle (ImapMatcher *self, EkStr text)
{
  g_ptr_array_add (self->needles, ek_search_new (text));
  return self->needles->len - 1;
}

static void
prepare (ImapMatcher *self, ImapKey *key)
{
  guint32 count = ek_view_count (self->view);

  switch (key->type) {
  case IMAP_KEY_AND:
  case IMAP_KEY_OR:
    for (ImapKey *child = key->child; child; child = child->next)
      prepare (self, child);
    key->child = sort_keys (key->child);
    break;
  case IMAP_KEY_SET:
    imap_set_resolve (&key->set, count);
    break;
  case IMAP_KEY_UID:
    imap_set_resolve (&key->set, count > 0 ? ek_view_uid (self->view, count) : 0);
    break;
  case IMAP_KEY_KEYWORD:
    key->number = keyword_bit (self->view, key->name);
    break;
  case IMAP_KEY_HEADER:
    self->items |= imap_fields_cached (&key->name, 1) ? EK_ROW_HEADERS : EK_ROW_STRUCTURE;
    key->flag = add_needle (self, key->text);
    break;
  case IMAP_KEY_SENTBEFORE:
  case IMAP_KEY_SENTON:
  case IMAP_KEY_SENTSINCE:
    self->items |= imap_fields_cached (&EK_STR ("date"), 1) ? EK_ROW_HEADERS : EK_ROW_STRUCTURE;
    break;
  case IMAP_KEY_BODY:
  case IMAP_KEY_TEXT:
    self->items |= EK_ROW_STRUCTURE;
    key->flag = add_needle (self, key->text);
    break;
  case IMAP_KEY_BEFORE:
  case IMAP_KEY_ON:
  case IMAP_KEY_SINCE:
    self->items |= EK_ROW_DATE;
    break;
  case IMAP_KEY_LARGER:
  case IMAP_KEY_SMALLER:
    self->items |= EK_ROW_SIZE;
    break;
  default:
    break;
  }
}

/* A UID set that every match must be in saves reading the other rows. */
static void
find_ranges (ImapMatcher *self)
{
  self->all = (EkRange) { 1, G_MAXUINT32 };
  self->ranges = &self->all;
  self->n_ranges = 1;
  for (const ImapKey *key = self->root->child; key; key = key->next)
    if (key->type == IMAP_KEY_UID && !key->not) {
      self->ranges = key->set.ranges;
      self->n_ranges = key->set.n;
      return;
    }
}

static void
free_needle (gpointer needle)
{
  if (needle)
    ek_search_free (needle);
}

ImapMatcher *
imap_matcher_new (EkView *view, ImapKey *root)
{
  ImapMatcher *self = g_new0 (ImapMatcher, 1);

  self->view = view;
  self->root = root;
  self->needles = g_ptr_array_new_with_free_func (free_needle);
  self->source.pool = ek_pool_new ();
  self->scratch = ek_pool_new ();
  prepare (self, root);
  find_ranges (self);
  return self;
}

void
imap_matcher_free (ImapMatcher *self)
{
  if (self == NULL)
    return;
  imap_source_clear (&self->source);
  ek_pool_free (self->source.pool);
  ek_pool_free (self->scratch);
  g_ptr_array_unref (self->needles);
  g_free (self);
}

guint
imap_matcher_items (const ImapMatcher *self)
{
  return self->items | EK_ROW_FLAGS;
}

const EkRange *
imap_matcher_ranges (const ImapMatcher *self, guint *n)
{
  *n = self->n_ranges;
  return self->ranges;
}

/* ---- header fields ------------------------------------------------------------------------------ */

typedef struct {
  EkPool   *pool;                    /* emptied for each field */
  EkStr     name;                    /* n is 0: all fields, and their names are part of the text */
  EkSearch *needle;
  bool      found;
  gint64    sent;                    /* with needle NULL: the date's own day, in seconds */
} FieldTest;

static bool
test_field (const EkHeader *header, gpointer data)
{
  FieldTest *test = data;

  if (test->name.n > 0 && !ek_str_ieq (test->name, header->name))
    return true;
  ek_pool_clear (test->pool);
  EkStr value = ek_header_decode (test->pool, header->value);
  if (test->needle == NULL) {
    int zone;
    test->found = ek_date_parse (value, &test->sent, &zone);
    test->sent += test->found ? zone * 60 : 0;
    return false;
  }
  if (test->name.n == 0)
    value = ek_str (ek_pool_printf (test->pool, "%.*s: %.*s", EK_STR_ARG (header->name), EK_STR_ARG (value)));
  ek_search_reset (test->needle);
  test->found = ek_search_find (test->needle, value);
  return !test->found;
}

/* Runs the test over the header at `offset` of the open message. */
static bool
test_header_at (ImapMatcher *self, guint64 offset, guint64 left, FieldTest *test)
{
  EkHeaderSplit split = { .func = test_field, .data = test };
  char chunk[8192];

  while (left > 0 && !split.done && !test->found) {
    gssize n = ek_message_read (self->source.message, offset, chunk, (gsize) MIN (left, sizeof chunk), self->error);
    if (n < 0)
      self->status = EK_DEFER;
    if (n <= 0)
      break;
    ek_header_split_feed (&split, chunk, (gsize) n);
    offset += (guint64) n;
    left -= (guint64) n;
  }
  if (!test->found)
    ek_header_split_end (&split);
  ek_header_split_clear (&split);
  return test->found;
}

static bool
need_message (ImapMatcher *self)
{
  if (self->status == EK_OK)
    self->status = imap_source_mime (&self->source, self->error);
  if (self->status == EK_OK)
    self->status = imap_source_open (&self->source, self->error);
  return self->status == EK_OK;
}

/* The field of the message's own header, from the cache where it is. */
static bool
test_message_field (ImapMatcher *self, FieldTest *test)
{
  test->pool = self->scratch;
  if (self->source.headers.p && imap_fields_cached (&test->name, 1)) {
    EkHeaderSplit split = { .func = test_field, .data = test };
    ek_header_split_feed (&split, self->source.headers.p, self->source.headers.n);
    if (!test->found)
      ek_header_split_end (&split);
    ek_header_split_clear (&split);
    return test->found;
  }
  if (!need_message (self))
    return false;
  return test_header_at (self, 0, self->source.mime->root->header.octets, test);
}

static bool
test_sent (ImapMatcher *self, const ImapKey *key)
{
  FieldTest test = { .name = EK_STR ("date") };

  if (!test_message_field (self, &test))
    return false;
  gint64 day = test.sent - ((test.sent % DAY) + DAY) % DAY;
  switch (key->type) {
  case IMAP_KEY_SENTBEFORE:
    return day < key->day;
  case IMAP_KEY_SENTON:
    return day == key->day;
  default:
    return day >= key->day;
  }
}

/* ---- bodies -------------------------------------------------------------------------------------- */

static bool
is_text (const EkPart *part)
{
  return part->type.type.p == NULL || ek_str_ieq (part->type.type, EK_STR ("text"))
         || ek_str_ieq (part->type.type, EK_STR ("message"));
}

static bool
test_leaf (ImapMatcher *self, const EkPart *part, EkSearch *needle)
{
  EkBodySearch search = { 0 };
  guint64 offset = part->octet_offset + part->header.octets, left = part->body.octets;
  char chunk[8192];
  bool found = false;

  ek_search_reset (needle);
  ek_body_search_begin (&search, needle, part->encoding, ek_mime_param_raw (&part->type, "charset"));
  while (left > 0 && !found) {
    gssize n = ek_message_read (self->source.message, offset, chunk, (gsize) MIN (left, sizeof chunk), self->error);
    if (n < 0)
      self->status = EK_DEFER;
    if (n <= 0)
      break;
    found = ek_body_search_feed (&search, chunk, (gsize) n);
    offset += (guint64) n;
    left -= (guint64) n;
  }
  return ek_body_search_end (&search) || found;
}

/* The part and all below it.  Depth is bounded by the MIME parser's own limit. */
static bool
test_part (ImapMatcher *self, const EkPart *part, EkSearch *needle, bool headers)
{
  if (headers) {
    FieldTest test = { .pool = self->scratch, .needle = needle };
    if (test_header_at (self, part->octet_offset, part->header.octets, &test))
      return true;
  }
  if (part->kind == EK_PART_LEAF)
    return is_text (part) && test_leaf (self, part, needle);
  for (const EkPart *child = part->children; child; child = child->next)
    if (self->status != EK_OK || test_part (self, child, needle, headers))
      return self->status == EK_OK;
  return false;
}

/* ---- keys ----------------------------------------------------------------------------------------- */

static bool test_key (ImapMatcher *self, const ImapKey *key);

static bool
test_text_key (ImapMatcher *self, const ImapKey *key)
{
  EkSearch *needle = g_ptr_array_index (self->needles, key->flag);

  if (needle == NULL)
    return false;
  if (key->type == IMAP_KEY_HEADER) {
    FieldTest test = { .name = key->name, .needle = needle };
    return test_message_field (self, &test);
  }
  if (key->text.n == 0)
    return true;
  return need_message (self) && test_part (self, self->source.mime->root, needle, key->type == IMAP_KEY_TEXT);
}

static bool
test_group (ImapMatcher *self, const ImapKey *key)
{
  bool any = key->type == IMAP_KEY_OR;

  for (const ImapKey *child = key->child; child && self->status == EK_OK; child = child->next)
    if (test_key (self, child) == any)
      return any;
  return !any;
}

static bool
test_plain_key (ImapMatcher *self, const ImapKey *key)
{
  const EkRow *row = self->row;
  gint64 day = row->date - ((row->date % DAY) + DAY) % DAY;

  switch (key->type) {
  case IMAP_KEY_ALL:
    return true;
  case IMAP_KEY_SET:
    return imap_set_has (&key->set, row->seq);
  case IMAP_KEY_UID:
    return imap_set_has (&key->set, row->uid);
  case IMAP_KEY_FLAG:
    return (row->flags & key->flag) != 0;
  case IMAP_KEY_KEYWORD:
    return (row->keywords & key->number) != 0;
  case IMAP_KEY_NEW:
    return (row->flags & (EK_FLAG_RECENT | EK_FLAG_SEEN)) == EK_FLAG_RECENT;
  case IMAP_KEY_BEFORE:
    return day < key->day;
  case IMAP_KEY_ON:
    return day == key->day;
  case IMAP_KEY_SINCE:
    return day >= key->day;
  case IMAP_KEY_LARGER:
    return row->size > key->number;
  case IMAP_KEY_SMALLER:
    return row->size < key->number;
  case IMAP_KEY_MODSEQ:
    return row->modseq >= key->number;
  default:
    g_assert_not_reached ();
  }
}

static bool
test_key (ImapMatcher *self, const ImapKey *key)
{
  bool matches;

  switch (key->type) {
  case IMAP_KEY_AND:
  case IMAP_KEY_OR:
    matches = test_group (self, key);
    break;
  case IMAP_KEY_HEADER:
  case IMAP_KEY_BODY:
  case IMAP_KEY_TEXT:
    matches = test_text_key (self, key);
    break;
  case IMAP_KEY_SENTBEFORE:
  case IMAP_KEY_SENTON:
  case IMAP_KEY_SENTSINCE:
    matches = test_sent (self, key);
    break;
  default:
    matches = test_plain_key (self, key);
    break;
  }
  return matches != key->not;
}

EkStatus
imap_matcher_test (ImapMatcher *self, const EkRow *row, bool *matches, GError **error)
{
  imap_source_next (&self->source, self->view, row->uid);
  if (self->items & EK_ROW_STRUCTURE)
    self->source.structure = row->structure;
  if (self->items & EK_ROW_HEADERS)
    self->source.headers = row->headers;
  self->row = row;
  self->error = error;
  self->status = EK_OK;
  *matches = test_key (self, self->root);
  imap_source_clear (&self->source);
  return self->status;
}
