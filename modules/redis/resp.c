/* resp.c - Redis's answers: read from a stream, and turned into rows
 * SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include <errno.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

/* ---- commands ---- */

void
resp_command (EkBuf *out, const EkStr *words, guint n)
{
  ek_buf_printf (out, "*%u\r\n", n);
  for (guint i = 0; i < n; i++) {
    ek_buf_printf (out, "$%" G_GSIZE_FORMAT "\r\n", words[i].n);
    ek_buf_append (out, words[i].p, words[i].n);
    ek_buf_append (out, "\r\n", 2);
  }
}

/* ---- reading ---- */

typedef struct {
  EkStream *stream;
  EkPool   *pool;
  guint     items;                   /* left */
  GError  **error;
} Reader;

static bool read_value (Reader *r, Resp *value, guint depth);

static bool
wrong (Reader *r, const char *what)
{
  return ek_stream_wrong (r->stream, r->error, EPROTO, "%s: is this a Redis server?", what);
}

/* -1: nil, as RESP2 writes it. */
static bool
read_count (Reader *r, EkStr text, guint64 max, gint64 *n)
{
  guint64 count;

  *n = -1;
  if (ek_str_eq (text, EK_STR ("-1")))
    return true;
  if (!ek_str_u64 (text, G_MAXINT64, &count))
    return wrong (r, "a length is no number");
  if (count > max)
    return ek_stream_wrong (r->stream, r->error, E2BIG, "the answer is longer than is allowed");
  *n = (gint64) count;
  return true;
}

static bool
read_bulk (Reader *r, EkStr length, Resp *value, RespKind kind)
{
  EkStr bytes;
  gint64 n;

  if (!read_count (r, length, RESP_ANSWER_MAX, &n))
    return false;
  value->kind = n < 0 ? RESP_NIL : kind;
  if (n < 0)
    return true;
  if (!ek_stream_bytes (r->stream, (gsize) n + 2, &bytes, r->error))
    return false;
  if (memcmp (bytes.p + n, "\r\n", 2) != 0)
    return wrong (r, "a text does not end where it should");
  value->text = ek_pool_str (r->pool, (EkStr) { bytes.p, (gsize) n });
  return true;
}

static bool
read_items (Reader *r, EkStr length, Resp *value, RespKind kind, guint depth)
{
  guint each = kind == RESP_MAP ? 2 : 1;
  gint64 n;

  if (!read_count (r, length, r->items / each, &n))
    return false;
  value->kind = n < 0 ? RESP_NIL : kind;
  if (n < 0)
    return true;
  if (depth == RESP_DEPTH_MAX)
    return wrong (r, "an answer lies too deep in others");
  r->items -= (guint) n * each;
  value->n = (guint) n;
  value->items = ek_pool_newv (r->pool, Resp, (gsize) n * each + 1);
  for (guint i = 0; i < value->n * each; i++)
    if (!read_value (r, &value->items[i], depth + 1))
      return false;
  return true;
}

/* "txt:Some text": what it is made of is none of our business. */
static bool
read_verbatim (Reader *r, EkStr length, Resp *value)
{
  if (!read_bulk (r, length, value, RESP_TEXT))
    return false;
  if (value->kind == RESP_TEXT && value->text.n >= 4 && value->text.p[3] == ':')
    value->text = (EkStr) { value->text.p + 4, value->text.n - 4 };
  return true;
}

static bool
read_simple (Reader *r, EkStr text, Resp *value, RespKind kind)
{
  value->kind = kind;
  value->text = ek_pool_str (r->pool, text);
  return true;
}

static bool
read_number (Reader *r, EkStr text, Resp *value)
{
  EkStr digits = text.n > 0 && text.p[0] == '-' ? (EkStr) { text.p + 1, text.n - 1 } : text;
  guint64 number;

  return ek_str_u64 (digits, G_MAXUINT64, &number) ? read_simple (r, text, value, RESP_NUMBER) : wrong (r, "a number is none");
}

static bool
read_truth (Reader *r, EkStr text, Resp *value)
{
  if (text.n != 1 || (text.p[0] != 't' && text.p[0] != 'f'))
    return wrong (r, "a truth is neither t nor f");
  value->kind = RESP_NUMBER;
  value->text = text.p[0] == 't' ? EK_STR ("1") : EK_STR ("0");
  return true;
}

/* A push or an attribute: it goes, and the value is what follows. */
static bool
read_aside (Reader *r, EkStr length, RespKind kind, Resp *value, guint depth)
{
  Resp aside = { .kind = RESP_NIL };

  if (depth == RESP_DEPTH_MAX || r->items == 0)
    return wrong (r, "too much beside the answer");
  r->items--;
  return read_items (r, length, &aside, kind, depth) && read_value (r, value, depth + 1);
}

static bool
read_value (Reader *r, Resp *value, guint depth)
{
  EkStr line;

  if (!ek_stream_line (r->stream, LINE_MAX_BYTES, &line, r->error))
    return false;
  if (line.n == 0)
    return wrong (r, "an empty line");
  EkStr rest = { line.p + 1, line.n - 1 };
  switch (line.p[0]) {
  case '+':
  case ',':
  case '(':
    return read_simple (r, rest, value, RESP_TEXT);
  case ':':
    return read_number (r, rest, value);
  case '-':
    return read_simple (r, rest, value, RESP_ERROR);
  case '$':
    return read_bulk (r, rest, value, RESP_TEXT);
  case '!':
    return read_bulk (r, rest, value, RESP_ERROR);
  case '=':
    return read_verbatim (r, rest, value);
  case '*':
  case '~':
    return read_items (r, rest, value, RESP_LIST, depth);
  case '%':
    return read_items (r, rest, value, RESP_MAP, depth);
  case '#':
    return read_truth (r, rest, value);
  case '_':
    value->kind = RESP_NIL;
    return true;
  case '>':
    return read_aside (r, rest, RESP_LIST, value, depth);
  case '|':
    return read_aside (r, rest, RESP_MAP, value, depth);
  default:
    return wrong (r, "a line begins with no type that is known");
  }
}

bool
resp_read (EkStream *stream, EkPool *pool, Resp *answer, GError **error)
{
  Reader r = { .stream = stream, .pool = pool, .items = RESP_ITEMS_MAX, .error = error };

  *answer = (Resp) { .kind = RESP_NIL };
  return read_value (&r, answer, 0);
}

/* ---- rows ---- */

static EkStatus
strange (GError **error, const char *what)
{
  return ek_fail (error, EK_DEFER, EPROTO, "command: %s: no row can be made of it", what);
}

static bool
is_text (const Resp *r)
{
  return r->kind == RESP_TEXT || r->kind == RESP_NUMBER;
}

static EkStatus
rows_of (const Resp *list, EkPool *pool, EkAnswer *answer, GError **error)
{
  *answer = (EkAnswer) { .n_columns = 1, .cells = ek_pool_newv (pool, EkStr, list->n + 1) };
  for (guint i = 0; i < list->n; i++) {
    if (is_text (&list->items[i]))
      answer->cells[answer->n_rows++] = list->items[i].text;
    else if (list->items[i].kind != RESP_NIL)
      return strange (error, "the answer is a list that holds more than texts");
  }
  return answer->n_rows ? EK_OK : EK_NOTFOUND;
}

/* n columns: name i is at names[i * step], cell i at cells[i * step]. */
static EkStatus
row_of (const Resp *names, const Resp *cells, guint step, guint n, EkPool *pool, EkAnswer *answer, GError **error)
{
  bool some = false;

  *answer = (EkAnswer) { .n_rows = 1, .n_columns = n };
  answer->names = ek_pool_newv (pool, const char *, n + 1);
  answer->cells = ek_pool_newv (pool, EkStr, n + 1);
  for (guint i = 0; i < n; i++) {
    const Resp *name = &names[i * step], *cell = &cells[i * step];
    if (!is_text (name) || !(is_text (cell) || cell->kind == RESP_NIL))
      return strange (error, "the answer is a map that holds more than texts");
    if (memchr (name->text.p, '\0', name->text.n))
      return strange (error, "the answer has a field with a NUL in its name");
    answer->names[i] = ek_pool_strndup (pool, name->text.p, name->text.n);
    answer->cells[i] = cell->kind == RESP_NIL ? (EkStr) { NULL, 0 } : cell->text;
    some |= answer->cells[i].p != NULL;
  }
  return some ? EK_OK : EK_NOTFOUND;
}

/* HMGET key field...: the fields' names are in the command alone. */
static EkStatus
row_of_fields (const Resp *list, char *const *words, EkPool *pool, EkAnswer *answer, GError **error)
{
  guint n = g_strv_length ((char **) words) - 2;
  Resp *names = ek_pool_newv (pool, Resp, n + 1);

  if (list->n != n)
    return strange (error, "HMGET gave another number of fields than was asked for");
  for (guint i = 0; i < n; i++)
    names[i] = (Resp) { .kind = RESP_TEXT, .text = ek_str (words[i + 2]) };
  return row_of (names, list->items, 1, n, pool, answer, error);
}

static EkStatus
row_of_pairs (const Resp *list, EkPool *pool, EkAnswer *answer, GError **error)
{
  if (list->n % 2)
    return strange (error, "HGETALL gave a field without a value");
  return row_of (list->items, list->items + 1, 2, list->n / 2, pool, answer, error);
}

static EkStatus
tell_error (EkStr text, GError **error)
{
  const char *help = ek_str_starts (text, EK_STR ("NOAUTH")) ? " (set password)"
                     : ek_str_starts (text, EK_STR ("MOVED"))
                       ? " (a cluster: put keys of a map into one slot, and name its node in server)"
                       : "";

  return ek_fail (error, EK_DEFER, EREMOTEIO, "the server says: %.*s%s", (int) MIN (text.n, 200), text.p, help);
}

EkStatus
resp_answer (const Resp *from, char *const *words, EkPool *pool, EkAnswer *answer, GError **error)
{
  bool fields = g_ascii_strcasecmp (words[0], "HMGET") == 0 && words[1] && words[2];

  switch (from->kind) {
  case RESP_NIL:
    return EK_NOTFOUND;
  case RESP_NUMBER:
    if (ek_str_eq (from->text, EK_STR ("0")))
      return EK_NOTFOUND;
    ek_answer_value (answer, pool, from->text);
    return EK_OK;
  case RESP_TEXT:
    ek_answer_value (answer, pool, from->text);
    return EK_OK;
  case RESP_ERROR:
    return tell_error (from->text, error);
  case RESP_MAP:
    return row_of (from->items, from->items + 1, 2, from->n, pool, answer, error);
  case RESP_LIST:
    if (fields)
      return row_of_fields (from, words, pool, answer, error);
    if (g_ascii_strcasecmp (words[0], "HGETALL") == 0)
      return row_of_pairs (from, pool, answer, error);
    return rows_of (from, pool, answer, error);
  }
  return strange (error, "the answer is of no kind");
}
