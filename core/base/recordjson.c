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
put_time (EkBuf *out, gint64 us)
{
  time_t secs = (time_t) (us / G_USEC_PER_SEC);
  struct tm tm;
  char text[32];

  if (us < 0 || gmtime_r (&secs, &tm) == NULL || strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
    g_strlcpy (text, "1970-01-01T00:00:00", sizeof text);
  ek_buf_printf (out, "\"%s.%06dZ\"", text, (int) (us < 0 ? 0 : us % G_USEC_PER_SEC));
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

  ek_buf_printf (out, ",\"%s%.*s\":", is_reserved (f->key) ? "_" : "", EK_STR_ARG (f->key));
  if (f->type == EK_F_INT)
    ek_buf_printf (out, "%" G_GINT64_FORMAT, f->num);
  else if (f->type == EK_F_TIME)
    ek_buf_printf (out, "%s%" G_GINT64_FORMAT ".%06d", f->num < 0 ? "-" : "",
                   ABS (f->num / G_USEC_PER_SEC), (int) ABS (f->num % G_USEC_PER_SEC));
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
  ek_buf_printf (out, "%" G_GINT64_FORMAT, pid);
  ek_buf_appends (out, ",\"component\":");
  put_string (out, record->component.n > 0 ? record->component : ek_str (role));
  ek_buf_appends (out, ",\"event\":");
  put_string (out, record->word);
  if (record->id)
    ek_buf_printf (out, ",\"event_id\":\"%016" G_GINT64_MODIFIER "x\"", record->id);
  for (guint i = 0; i < record->n_fields; i++)
    put_json_field (out, &record->fields[i]);
  ek_buf_appendc (out, '}');
}
