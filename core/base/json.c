/* json.c - writes JSON
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

static void
member (EkJson *json, const char *key)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << json->depth;

  if (json->comma & bit)
    ek_buf_appendc (json->out, ',');
  json->comma |= bit;
  if (key) {
    ek_json_quote (json->out, ek_str (key));
    ek_buf_appendc (json->out, ':');
  }
}

static void
begin (EkJson *json, const char *key, char c)
{
  member (json, key);
  ek_buf_appendc (json->out, c);
  json->depth++;
  g_assert (json->depth < 64);
  json->comma &= ~(G_GUINT64_CONSTANT (1) << json->depth);
}

static void
end (EkJson *json, char c)
{
  g_assert (json->depth > 0);
  json->depth--;
  ek_buf_appendc (json->out, c);
}

void
ek_json_object (EkJson *json, const char *key)
{
  begin (json, key, '{');
}

void
ek_json_array (EkJson *json, const char *key)
{
  begin (json, key, '[');
}

void
ek_json_end_object (EkJson *json)
{
  end (json, '}');
}

void
ek_json_end_array (EkJson *json)
{
  end (json, ']');
}

void
ek_json_str (EkJson *json, const char *key, EkStr value)
{
  member (json, key);
  ek_json_quote (json->out, value);
}

void
ek_json_text (EkJson *json, const char *key, const char *value)
{
  member (json, key);
  if (value)
    ek_json_quote (json->out, ek_str (value));
  else
    ek_buf_appends (json->out, "null");
}

void
ek_json_int (EkJson *json, const char *key, gint64 value)
{
  member (json, key);
  ek_buf_printf (json->out, "%" G_GINT64_FORMAT, value);
}

void
ek_json_bool (EkJson *json, const char *key, bool value)
{
  member (json, key);
  ek_buf_appends (json->out, value ? "true" : "false");
}

/* How many bytes of valid UTF-8 stand at p; 0: none. */
static gsize
utf8_len (const char *p, gsize n)
{
  gunichar c = g_utf8_get_char_validated (p, (gssize) n);

  return c == (gunichar) -1 || c == (gunichar) -2 ? 0 : (gsize) (g_utf8_next_char (p) - p);
}

void
ek_json_quote (EkBuf *out, EkStr value)
{
  ek_buf_appendc (out, '"');
  for (gsize i = 0; i < value.n;) {
    guchar c = (guchar) value.p[i];
    if (c == '"' || c == '\\')
      ek_buf_printf (out, "\\%c", c);
    else if (c == '\n')
      ek_buf_appends (out, "\\n");
    else if (c == '\t')
      ek_buf_appends (out, "\\t");
    else if (c < ' ' || c == 127)
      ek_buf_printf (out, "\\u%04x", c);
    else if (c < 128)
      ek_buf_appendc (out, (char) c);
    else {
      gsize len = utf8_len (value.p + i, value.n - i);
      if (len == 0)
        ek_buf_appends (out, "\357\277\275");      /* U+FFFD */
      else
        ek_buf_append (out, value.p + i, len);
      i += MAX (len, 1);
      continue;
    }
    i++;
  }
  ek_buf_appendc (out, '"');
}
