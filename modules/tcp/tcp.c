/* tcp.c - a map that asks a server by the protocol of Postfix's tcp_table(5)
 * SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"
#include <errno.h>
#include <string.h>

static const EkOption options[] = {
  EK_OPTION (EkStreamInstance, server, NULL, "Where the server is: HOST:PORT, or /path of a unix socket. With several the next one is "
             "asked when one is away."),
  EK_STREAM_ROWS ("no"),
  EK_OPTIONS_END
};

/* ---- the form of keys and values ---- */

void
tcp_encode (EkBuf *out, EkStr bytes)
{
  for (gsize i = 0; i < bytes.n; i++)
    if (g_ascii_isgraph (bytes.p[i]) && bytes.p[i] != '%')
      ek_buf_appendc (out, bytes.p[i]);
    else
      ek_buf_printf (out, "%%%02X", (guchar) bytes.p[i]);
}

/* In the pool; false: a % without two digits behind it. */
static bool
decode (EkStr text, EkPool *pool, EkStr *value)
{
  char *out = ek_pool_alloc (pool, text.n + 1);
  gsize n = 0;

  for (gsize i = 0; i < text.n; i++) {
    if (text.p[i] != '%') {
      out[n++] = text.p[i];
      continue;
    }
    int high = i + 2 < text.n ? g_ascii_xdigit_value (text.p[i + 1]) : -1, low = high >= 0 ? g_ascii_xdigit_value (text.p[i + 2]) : -1;
    if (low < 0)
      return false;
    out[n++] = (char) (high << 4 | low);
    i += 2;
  }
  *value = (EkStr) { out, n };
  return true;
}

/* ---- answers ---- */

EkStatus
tcp_read (EkStream *stream, EkPool *pool, EkStr *value, EkStr *text, GError **error)
{
  EkStr line;

  if (!ek_stream_line (stream, TCP_LINE_MAX - 1, &line, error))
    return EK_DEFER;
  bool shaped = line.n >= 3 && (line.n == 3 || line.p[3] == ' ');
  EkStr code = { line.p, shaped ? 3 : 0 };
  *text = shaped && line.n > 4 ? ek_str_trim ((EkStr) { line.p + 4, line.n - 4 }) : EK_STR ("");
  if (ek_str_eq (code, EK_STR ("500")))
    return EK_NOTFOUND;
  if (ek_str_eq (code, EK_STR ("200"))) {
    if (value == NULL || decode (*text, pool, value))
      return EK_OK;
    ek_stream_wrong (stream, error, EPROTO, "the answer has a %% without two hexadecimal digits");
    return EK_DEFER;
  }
  bool later = ek_str_eq (code, EK_STR ("400"));
  ek_stream_wrong (stream, error, later ? EREMOTEIO : EPROTO, "%s: %.*s", later ? "the server says" : "an answer of no known kind",
                   (int) MIN (line.n, 200), line.p);
  return EK_DEFER;
}

/* ---- questions ---- */

/* "WORD KEY [VALUE]"; NOTFOUND: a line cannot hold that. */
static EkStatus
ask (EkInstance *base, EkCall *call, const char *word, EkStr key, const EkStr *value)
{
  EkStream *conn = call->conn;
  EkBuf out = { 0 };
  EkStatus status = EK_OK;

  if (key.n == 0 || key.n > TCP_LINE_MAX || memchr (key.p, '\0', key.n) || (value && value->n > TCP_LINE_MAX))
    return EK_NOTFOUND;              /* servers keep their keys without NULs: an answer would be another key's */
  ek_buf_printf (&out, "%s ", word);
  tcp_encode (&out, key);
  if (value) {
    ek_buf_appendc (&out, ' ');
    tcp_encode (&out, *value);
  }
  ek_buf_appendc (&out, '\n');
  if (ek_buf_len (&out) > TCP_LINE_MAX)
    status = EK_NOTFOUND;
  else if (!ek_stream_begin (conn, call, ((EkStreamInstance *) base)->timeout, TCP_LINE_MAX, &call->error)
           || !ek_stream_write (conn, ek_buf_str (&out), &call->error))
    status = EK_DEFER;
  ek_buf_release (&out);
  return status;
}

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkStr value, text;
  EkStatus status = ask (base, call, "get", query->key, NULL);

  if (status == EK_OK)
    status = tcp_read (call->conn, call->pool, &value, &text, &call->error);
  if (status == EK_OK)
    ek_answer_value (answer, call->pool, value);
  return status;
}

/* Its put: the key's one value. */
static EkStatus
add (EkInstance *base, EkCall *call, EkStr key, EkStr value)
{
  EkStr text = EK_STR ("the key or the value is too long for its protocol");
  EkStatus status = ask (base, call, "put", key, &value);

  if (status == EK_OK)
    status = tcp_read (call->conn, call->pool, NULL, &text, &call->error);
  if (status == EK_NOTFOUND)
    return ek_fail (&call->error, EK_FAIL, EACCES, "the value is refused: %.*s", (int) MIN (text.n, 200), text.p);
  return status;
}

static const EkMapOps map = { .lookup = lookup, .add = add };

/* ---- life ---- */

static gboolean
init (EkInstance *base, GError **error)
{
  return ek_stream_init ((EkStreamInstance *) base, 0, false, error);
}

EK_MODULE (tcp, .summary = "A map behind the protocol of Postfix's tcp_table(5)", .flags = EK_WHOLE_KEYS, .options = options,
           .instance_size = sizeof (EkStreamInstance), .init = init, .stop = ek_stream_stop, .connect = ek_stream_connect,
           .disconnect = ek_stream_disconnect, .map = &map);
