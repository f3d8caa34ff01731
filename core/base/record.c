/* record.c - log records, packed and read
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/record.h"
#include <string.h>

enum { RECORD_MAGIC = 0xEB, RECORD_VERSION = 1, CUT = 0x8000 };

static char *
put_le (char *p, guint64 v, guint n)
{
  for (guint i = 0; i < n; i++)
    p[i] = (char) (v >> (8 * i));
  return p + n;
}

static guint64
get_le (const char *p, guint n)
{
  guint64 v = 0;

  for (guint i = 0; i < n; i++)
    v |= (guint64) (guchar) p[i] << (8 * i);
  return v;
}

static char *
put_varint (char *p, gint64 num)
{
  guint64 v = ((guint64) num << 1) ^ (guint64) (num >> 63);

  for (; v >= 0x80; v >>= 7)
    *p++ = (char) (v | 0x80);
  *p++ = (char) v;
  return p;
}

/* Returns what follows, NULL when it is malformed: cut off, or more than 64 bits. */
static const char *
get_varint (const char *p, const char *end, gint64 *num)
{
  guint64 v = 0;

  for (guint shift = 0; p < end && shift < 64; shift += 7) {
    guchar c = (guchar) *p++;
    if (shift == 63 && c > 1)
      return NULL;
    v |= (guint64) (c & 0x7f) << shift;
    if (c < 0x80) {
      *num = (gint64) (v >> 1) ^ -(gint64) (v & 1);
      return p;
    }
  }
  return NULL;
}

/* Names are what events.def and module names are made of; a reader believes in no others. */
static bool
name_char (char c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '-';
}

static guint
name_len (const char *name)
{
  return name ? (guint) strnlen (name, EK_RECORD_NAME) : 0;
}

static char *
put_name (char *p, const char *name, guint n)
{
  for (guint i = 0; i < n; i++)
    *p++ = name_char (name[i]) ? name[i] : '_';
  return p;
}

/* The first n octets of s, less when that would split a character. */
static gsize
utf8_floor (EkStr s, gsize n)
{
  gsize at = n;

  for (int back = 0; back < 4 && at > 0 && ((guchar) s.p[at] & 0xc0) == 0x80; back++)
    at--;
  return ((guchar) s.p[at] & 0xc0) == 0x80 ? n : at;
}

static gsize
value_size (const EkField *f, gsize cap)
{
  return f->type == EK_F_STR ? 2 + MIN (f->str.n, cap) : 10;
}

/* The longest value that lets all fields fit.  With 40 fields 32 octets always do. */
static gsize
fitting_cap (const EkField *fields, guint n, gsize room)
{
  gsize cap = EK_RECORD_MAX;

  for (;; cap /= 2) {
    gsize sum = 0;
    for (guint i = 0; i < n; i++)
      sum += 2 + name_len (fields[i].key) + value_size (&fields[i], cap);
    if (sum <= room || cap <= 32)
      return cap;
  }
}

static char *
put_field (char *p, const EkField *f, gsize cap)
{
  const char *key = f->key && *f->key ? f->key : "_";
  guint n = name_len (key);

  *p++ = (char) (f->type << 5 | n);
  p = put_name (p, key, n);
  if (f->type != EK_F_STR)
    return put_varint (p, f->num);
  gsize len = f->str.n;
  bool cut = len > cap;
  if (cut)
    len = utf8_floor (f->str, cap);
  p = put_le (p, len | (cut ? CUT : 0), 2);
  if (len > 0)
    memcpy (p, f->str.p, len);
  return p + len;
}

gsize
ek_record_pack (char *out, gint64 time, EkEventId id, EkLevel level, const char *component,
                const char *word, const EkField *fields)
{
  guint n_component = name_len (component), n_word, n = 0;

  if (word == NULL || *word == '\0')
    word = "log";
  n_word = name_len (word);
  while (n < EK_RECORD_FIELDS && fields && fields[n].type != EK_F_END)
    n++;
  out[0] = (char) RECORD_MAGIC;
  out[1] = RECORD_VERSION;
  put_le (out + 4, (guint64) time, 8);
  put_le (out + 12, id, 8);
  out[20] = (char) level;
  out[21] = (char) n;
  out[22] = (char) n_component;
  out[23] = (char) n_word;
  char *p = put_name (out + EK_RECORD_HEAD, component, n_component);
  p = put_name (p, word, n_word);
  gsize cap = fitting_cap (fields, n, EK_RECORD_MAX - (gsize) (p - out));
  for (guint i = 0; i < n; i++)
    p = put_field (p, &fields[i], cap);
  gsize len = (gsize) (p - out);
  put_le (out + 2, len, 2);
  return len;
}

static bool
name_ok (const char *p, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (!name_char (p[i]))
      return false;
  return true;
}

static const char *
get_field (const char *p, const char *end, EkRecordField *f)
{
  if (p >= end)
    return NULL;
  gsize n = (guchar) *p & EK_RECORD_NAME;
  f->type = (guchar) *p++ >> 5;
  if (n == 0 || (gsize) (end - p) < n || !name_ok (p, n))
    return NULL;
  f->key = (EkStr) { p, n };
  f->str = (EkStr) { "", 0 };
  f->num = 0;
  f->cut = false;
  p += n;
  if (f->type == EK_F_INT || f->type == EK_F_TIME)
    return get_varint (p, end, &f->num);
  if (f->type != EK_F_STR || end - p < 2)
    return NULL;
  gsize len = (gsize) get_le (p, 2);
  p += 2;
  f->cut = (len & CUT) != 0;
  len &= CUT - 1;
  if ((gsize) (end - p) < len)
    return NULL;
  f->str = (EkStr) { p, len };
  return p + len;
}

gssize
ek_record_read (const char *bytes, gsize len, EkRecord *record)
{
  if (len > 0 && (guchar) bytes[0] != RECORD_MAGIC)
    return -1;
  if (len > 1 && bytes[1] != RECORD_VERSION)
    return -1;
  if (len < 4)
    return 0;
  gsize total = (gsize) get_le (bytes + 2, 2);
  if (total < EK_RECORD_HEAD || total > EK_RECORD_MAX)
    return -1;
  if (len < total)
    return 0;
  guint n_component = (guchar) bytes[22], n_word = (guchar) bytes[23];
  const char *p = bytes + EK_RECORD_HEAD, *end = bytes + total;
  record->time = (gint64) get_le (bytes + 4, 8);
  record->id = get_le (bytes + 12, 8);
  record->level = (guchar) bytes[20];
  record->n_fields = (guchar) bytes[21];
  if (record->level > EK_DEBUG || record->n_fields > EK_RECORD_FIELDS || n_component > EK_RECORD_NAME
      || n_word == 0 || n_word > EK_RECORD_NAME || (gsize) (end - p) < n_component + n_word
      || !name_ok (p, n_component + n_word))
    return -1;
  record->component = (EkStr) { p, n_component };
  record->word = (EkStr) { p + n_component, n_word };
  p += n_component + n_word;
  for (guint i = 0; i < record->n_fields; i++)
    if ((p = get_field (p, end, &record->fields[i])) == NULL)
      return -1;
  return p == end ? (gssize) total : -1;
}

void
ek_record_set_time (char *packed, gint64 time)
{
  put_le (packed + 4, (guint64) time, 8);
}

const EkRecordField *
ek_record_find (const EkRecord *record, const char *key)
{
  EkStr name = ek_str (key);

  for (guint i = 0; i < record->n_fields; i++)
    if (ek_str_eq (record->fields[i].key, name))
      return &record->fields[i];
  return NULL;
}
