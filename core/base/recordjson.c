/* recordjson.c - records as JSON objects, one a line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/event.h"
#include "base/base.h"
#include <string.h>
#include <time.h>

static bool
is_plain (guchar c)
{
  return c >= ' ' && c != '"' && c != '\\' && c < 0x7f;
}

static void
escape (EkBuf *out, guchar c)
{
  static const char hex[] = "0123456789abcdef";
  char *p = ek_buf_room (out, 6);
  char shorthand = c == '"' ? '"' : c == '\\' ? '\\' : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 0;

  p[0] = '\\';
  if (shorthand) {
    p[1] = shorthand;
    ek_buf_added (out, 2);
    return;
  }
  memcpy (p + 1, "u00", 3);
  p[4] = hex[c >> 4];
  p[5] = hex[c & 15];
  ek_buf_added (out, 6);
}

/* The string with its quotes; what is not UTF-8 becomes U+FFFD. */
static void
put_string (EkBuf *out, EkStr s)
{
  const char *p = s.p, *end = s.p + s.n;

  ek_buf_appendc (out, '"');
  while (p < end) {
    const char *run = p;
    while (p < end && is_plain ((guchar) *p))
      p++;
    ek_buf_append (out, run, (gsize) (p - run));
    if (p == end)
      break;
    if ((guchar) *p < 0x80) {
      escape (out, (guchar) *p++);
      continue;
    }
    gunichar c = g_utf8_get_char_validated (p, end - p);
    gsize n = c < 0x110000 ? (gsize) g_utf8_skip[(guchar) *p] : 1;
    if (c < 0x110000)
      ek_buf_append (out, p, n);
    else
      ek_buf_appends (out, "\xef\xbf\xbd");
    p += n;
  }
  ek_buf_appendc (out, '"');
}

static void
put_number (EkBuf *out, gint64 v)
{
  char digits[24], *p = digits + sizeof digits;
  guint64 u = v < 0 ? 0 - (guint64) v : (guint64) v;

  do
    *--p = (char) ('0' + u % 10);
  while ((u /= 10) > 0);
  if (v < 0)
    *--p = '-';
  ek_buf_append (out, p, (gsize) (digits + sizeof digits - p));
}

/* Always six digits. */
static void
put_fraction (EkBuf *out, gint64 us)
{
  char *p = ek_buf_room (out, 7);

  p[0] = '.';
  for (int i = 6; i > 0; i--, us /= 10)
    p[i] = (char) ('0' + us % 10);
  ek_buf_added (out, 7);
}

static void
put_hex (EkBuf *out, guint64 v)
{
  char *p = ek_buf_room (out, 16);

  for (int i = 15; i >= 0; i--, v >>= 4)
    p[i] = "0123456789abcdef"[v & 15];
  ek_buf_added (out, 16);
}

/* The date is made once a second: records come in the order of time, nearly. */
static void
put_time (EkBuf *out, gint64 us)
{
  static _Thread_local gint64 second = -1;
  static _Thread_local char text[32];
  time_t secs = (time_t) (MAX (us, 0) / G_USEC_PER_SEC);
  struct tm tm;

  if (secs != second) {
    second = secs;
    if (gmtime_r (&secs, &tm) == NULL || strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
      g_strlcpy (text, "1970-01-01T00:00:00", sizeof text);
  }
  ek_buf_appendc (out, '"');
  ek_buf_appends (out, text);
  put_fraction (out, MAX (us, 0) % G_USEC_PER_SEC);
  ek_buf_appends (out, "Z\"");
}

static EkStr
bare_id (EkStr s)
{
  return s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? (EkStr) { s.p + 1, s.n - 2 } : s;
}

/* What the log role itself says of a record cannot be said by the record. */
static bool
is_reserved (EkStr key)
{
  static const char *const names[] = { "time", "level", "server", "process", "process_id", "component", "event", "event_id" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (ek_str_eq (key, ek_str (names[i])))
      return true;
  return false;
}

static void
put_json_field (EkBuf *out, const EkRecordField *f)
{
  const EkKeyInfo *key = ek_key_find (f->key);

  ek_buf_appends (out, is_reserved (f->key) ? ",\"_" : ",\"");
  ek_buf_append (out, f->key.p, f->key.n);       /* letters, digits, - and _ alone */
  ek_buf_appends (out, "\":");
  if (f->type == EK_F_INT)
    put_number (out, f->num);
  else if (f->type == EK_F_TIME) {
    ek_buf_appends (out, f->num < 0 ? "-" : "");
    put_number (out, ABS (f->num / G_USEC_PER_SEC));
    put_fraction (out, ABS (f->num % G_USEC_PER_SEC));
  }
  else
    put_string (out, key && key->type == EK_KEY_MSGID ? bare_id (f->str) : f->str);
  if (f->cut)
    ek_buf_printf (out, ",\"%.*s_cut\":true", EK_STR_ARG (f->key));
}

void
ek_record_json (const EkRecord *record, const char *role, gint64 pid, const char *host, EkBuf *out)
{
  static const char *const levels[] = { "error", "warning", "info", "debug" };

  ek_buf_appends (out, "{\"time\":");
  put_time (out, record->time);
  ek_buf_appends (out, ",\"level\":\"");
  ek_buf_appends (out, levels[record->level]);
  if (host) {
    ek_buf_appends (out, "\",\"server\":");
    put_string (out, ek_str (host));
    ek_buf_appends (out, ",\"process\":");
  }
  else
    ek_buf_appends (out, "\",\"process\":");
  put_string (out, ek_str (role));
  ek_buf_appends (out, ",\"process_id\":");
  put_number (out, pid);
  ek_buf_appends (out, ",\"component\":");
  put_string (out, record->component.n > 0 ? record->component : ek_str (role));
  ek_buf_appends (out, ",\"event\":");
  put_string (out, record->word);
  if (record->id) {
    ek_buf_appends (out, ",\"event_id\":\"");
    put_hex (out, record->id);
    ek_buf_appendc (out, '"');
  }
  for (guint i = 0; i < record->n_fields; i++)
    put_json_field (out, &record->fields[i]);
  ek_buf_appendc (out, '}');
}
