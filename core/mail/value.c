/* value.c - header values: unfolding, RFC 2047 words both ways, message ids
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/header.h"
#include "mail/text.h"
#include <string.h>

#define LINE_MAX_   76
#define WORD_MAX    75               /* RFC 2047 2 */
#define CHARSET_MAX 64
#define WORD_FRAME  12               /* the charset, the encoding and the marks around a word */
#define MSGID_MAX   2000

static bool
is_wsp (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

EkStr
ek_header_unfold (EkPool *pool, EkStr value)
{
  value = ek_str_trim (value);
  if (value.n == 0 || memchr (value.p, '\n', value.n) == NULL)
    return value;
  char *copy = ek_pool_alloc (pool, value.n + 1);
  gsize n = 0;
  while (value.n > 0) {
    const char *nl = memchr (value.p, '\n', value.n);
    gsize len = nl ? (gsize) (nl - value.p) : value.n;
    gsize keep = nl && len > 0 && value.p[len - 1] == '\r' ? len - 1 : len;
    memcpy (copy + n, value.p, keep);
    n += keep;
    len += nl ? 1 : 0;
    value.p += len;
    value.n -= len;
  }
  return (EkStr) { copy, n };
}

/* ---- RFC 2047 to UTF-8 --------------------------------------------------------------------- */

typedef struct {
  EkStr charset, text;
  char  encoding;                    /* 'B' or 'Q' */
  gsize size;                        /* of the whole word */
} Word;

/* Reads an encoded word at the start of `s`.  Lenient where mailers are: any length, spaces and "?" in a
 * Q word.  *endless: there is no "?=" further on, so that hostile text is searched for it once. */
static bool
read_word (EkStr s, Word *word, bool *endless)
{
  if (s.n < 8 || s.p[0] != '=' || s.p[1] != '?')
    return false;
  const char *end = s.p + s.n;
  const char *charset = s.p + 2;
  const char *q1 = memchr (charset, '?', MIN ((gsize) (end - charset), CHARSET_MAX));
  if (q1 == NULL || q1 == charset || end - q1 < 5 || q1[2] != '?')
    return false;
  char encoding = g_ascii_toupper (q1[1]);
  if (encoding != 'B' && encoding != 'Q')
    return false;
  const char *text = q1 + 3;
  const char *q3;
  if (encoding == 'B')
    q3 = memchr (text, '?', (gsize) (end - text));
  else {
    q3 = *endless ? NULL : memmem (text, (gsize) (end - text), "?=", 2);
    *endless |= q3 == NULL;
  }
  if (q3 == NULL || q3 + 1 >= end || q3[1] != '=')
    return false;
  gsize cs = (gsize) (q1 - charset);
  for (gsize i = 0; i < cs; i++)
    if ((guchar) charset[i] <= ' ' || (guchar) charset[i] > 126)
      return false;
  const char *lang = memchr (charset, '*', cs);                       /* RFC 2231 5 */
  word->charset = (EkStr) { charset, lang ? (gsize) (lang - charset) : cs };
  word->encoding = encoding;
  word->text = (EkStr) { text, (gsize) (q3 - text) };
  word->size = (gsize) (q3 + 2 - s.p);
  return true;
}

static void
decode_q (EkStr s, EkBuf *out)
{
  for (gsize i = 0; i < s.n; i++) {
    int hi, lo;
    if (s.p[i] == '=' && i + 2 < s.n && (hi = g_ascii_xdigit_value (s.p[i + 1])) >= 0
        && (lo = g_ascii_xdigit_value (s.p[i + 2])) >= 0) {
      ek_buf_appendc (out, (char) (hi << 4 | lo));
      i += 2;
    }
    else
      ek_buf_appendc (out, s.p[i] == '_' ? ' ' : s.p[i]);
  }
}

static void
decode_word (const Word *word, EkBuf *out)
{
  if (word->encoding == 'Q') {
    decode_q (word->text, out);
    return;
  }
  EkDecoder decoder = { .kind = EK_CTE_BASE64 };
  ek_decode_feed (&decoder, word->text.p, word->text.n, out);
  ek_decode_end (&decoder, out);
}

/* The bytes of neighbouring words of one charset are converted together: some mailers cut characters. */
static void
flush_word (EkBuf *bytes, EkStr charset, EkBuf *out)
{
  if (ek_buf_len (bytes) > 0)
    ek_charset_convert (charset, ek_buf_str (bytes), out);
  ek_buf_clear (bytes);
}

static void
decode_all (EkStr s, EkBuf *out)
{
  EkBuf bytes = { 0 };
  EkStr charset = { NULL, 0 };
  gsize done = 0, scan = 0;          /* everything before `done` is out; no word between done and scan */
  bool after_word = false, endless = false;

  while (scan < s.n) {
    const char *p = memchr (s.p + scan, '=', s.n - scan);
    Word word;
    if (p == NULL)
      break;
    gsize at = (gsize) (p - s.p);
    if (!read_word ((EkStr) { p, s.n - at }, &word, &endless)) {
      scan = at + 1;
      continue;
    }
    EkStr between = { s.p + done, at - done };
    if (!after_word || ek_str_trim (between).n > 0) {                 /* white space between words goes */
      flush_word (&bytes, charset, out);
      ek_utf8_append (out, between);
    }
    else if (!ek_str_ieq (charset, word.charset))
      flush_word (&bytes, charset, out);
    charset = word.charset;
    decode_word (&word, &bytes);
    after_word = true;
    done = scan = at + word.size;
  }
  flush_word (&bytes, charset, out);
  if (done < s.n)
    ek_utf8_append (out, (EkStr) { s.p + done, s.n - done });
  ek_buf_release (&bytes);
}

EkStr
ek_header_decode (EkPool *pool, EkStr value)
{
  EkBuf out = { 0 };

  value = ek_header_unfold (pool, value);
  decode_all (value, &out);
  EkStr text = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
  for (char *p = (char *) text.p; p < text.p + text.n; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = ' ';
  return text;
}

/* ---- UTF-8 to a header --------------------------------------------------------------------- */

/* Folds at spaces; a word longer than a line is left whole. */
static void
encode_plain (EkBuf *out, EkStr s, gsize column)
{
  while (s.n > 0) {
    const char *space = s.n > 1 ? memchr (s.p + 1, ' ', s.n - 1) : NULL;
    gsize len = space ? (gsize) (space - s.p) : s.n;
    if (s.p[0] == ' ' && column + len > LINE_MAX_ && len > 1 && column > 1) {
      ek_buf_appends (out, "\r\n");
      column = 0;
    }
    ek_buf_append (out, s.p, len);
    column += len;
    s.p += len;
    s.n -= len;
  }
}

static gsize
char_len (EkStr s)
{
  gsize n = 1;

  while (n < s.n && ((guchar) s.p[n] & 0xc0) == 0x80)
    n++;
  return n;
}

/* How many whole characters of `s` fit into one B word that may take `room` columns. */
static gsize
fit (EkStr s, gsize room)
{
  gsize n = 0;

  while (n < s.n) {
    gsize next = n + char_len ((EkStr) { s.p + n, s.n - n });
    if ((next + 2) / 3 * 4 + WORD_FRAME > room)
      break;
    n = next;
  }
  return n;
}

void
ek_header_encode (EkBuf *out, EkStr utf8, gsize column)
{
  EkBuf clean = { 0 };
  bool plain = true;

  ek_utf8_append (&clean, utf8);
  EkStr s = ek_buf_str (&clean);
  for (gsize i = 0; i < s.n; i++) {
    char *c = ek_buf_at (&clean) + i;
    if ((guchar) *c < ' ' || *c == 127)
      *c = ' ';
    plain &= (guchar) *c < 0x80;
  }
  plain = plain && (s.n == 0 || g_strstr_len (s.p, (gssize) s.n, "=?") == NULL);
  if (plain)
    encode_plain (out, s, column);
  while (!plain && s.n > 0) {
    gsize n = fit (s, MIN (WORD_MAX, LINE_MAX_ > column ? LINE_MAX_ - column : 0));
    if (n > 0) {
      g_autofree char *b64 = g_base64_encode ((const guchar *) s.p, n);
      ek_buf_printf (out, "=?UTF-8?B?%s?=", b64);
      s.p += n;
      s.n -= n;
    }
    if (s.n > 0)
      ek_buf_appends (out, "\r\n ");
    column = 1;
  }
  ek_buf_release (&clean);
}

/* ---- message ids --------------------------------------------------------------------------- */

/* The length of the <id> at the start of `s`; 0 when it has no end (or another begins in it). */
static gsize
msgid_len (EkStr s)
{
  bool quoted = false;

  for (gsize i = 1; i < s.n && i < MSGID_MAX; i++) {
    if (s.p[i] == '"')
      quoted = !quoted;
    else if (quoted && s.p[i] == '\\')
      i++;
    else if (!quoted && s.p[i] == '<')
      return 0;
    else if (!quoted && s.p[i] == '>')
      return i + 1;
  }
  return 0;
}

bool
ek_header_msgid (EkPool *pool, EkStr *rest, EkStr *id)
{
  while (rest->n > 0) {
    const char *open = memchr (rest->p, '<', rest->n);
    if (open == NULL)
      break;
    rest->n -= (gsize) (open - rest->p);
    rest->p = open;
    gsize len = msgid_len (*rest), kept = 0;
    char *copy = len > 2 ? ek_pool_alloc (pool, len + 1) : NULL;
    for (gsize i = 0; i < len && copy; i++)
      if (!is_wsp (rest->p[i]))
        copy[kept++] = rest->p[i];
    rest->p += MAX (len, 1);
    rest->n -= MAX (len, 1);
    if (kept > 2) {
      *id = (EkStr) { copy, kept };
      return true;
    }
  }
  rest->n = 0;
  return false;
}
