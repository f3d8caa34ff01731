/* socketmap.c - a map that asks a server by Sendmail's and Postfix's socketmap protocol
 * SPDX-License-Identifier: Apache-2.0 */
#include "socketmap.h"
#include <errno.h>
#include <string.h>

#define LENGTH_DIGITS 6              /* of 100000 */

static const EkOption options[] = {
  EK_OPTION (EkStreamInstance, server, NULL, "Where the server is, and which of its maps is asked: inet:HOST:PORT:NAME or "
             "unix:/PATH:NAME. With several the next one is asked when one is away."),
  EK_STREAM_ROWS ("no"),
  EK_OPTIONS_END
};

/* ---- answers ---- */

/* "5:hello," */
static bool
read_netstring (EkStream *stream, EkStr *bytes, GError **error)
{
  gsize n = 0;
  EkStr c;

  for (guint digits = 0;; digits++) {
    if (!ek_stream_bytes (stream, 1, &c, error))
      return false;
    if (c.p[0] == ':' && digits > 0)
      break;
    if (!g_ascii_isdigit (c.p[0]) || digits == LENGTH_DIGITS)
      return ek_stream_wrong (stream, error, EPROTO, "the answer is no netstring: is this a socketmap server?");
    n = n * 10 + (gsize) (c.p[0] - '0');
  }
  if (n > SOCKETMAP_MAX)
    return ek_stream_wrong (stream, error, E2BIG, "the answer is longer than %u bytes", SOCKETMAP_MAX);
  if (!ek_stream_bytes (stream, n + 1, bytes, error))
    return false;
  if (bytes->p[n] != ',')
    return ek_stream_wrong (stream, error, EPROTO, "the answer is no netstring: no comma at its end");
  bytes->n = n;
  return true;
}

EkStatus
socketmap_read (EkStream *stream, EkStr *value, GError **error)
{
  EkStr said;

  if (!read_netstring (stream, &said, error))
    return EK_DEFER;
  const char *blank = said.n ? memchr (said.p, ' ', said.n) : NULL;
  EkStr word = { said.p, blank ? (gsize) (blank - said.p) : said.n };
  *value = blank ? (EkStr) { blank + 1, said.n - word.n - 1 } : EK_STR ("");
  if (ek_str_eq (word, EK_STR ("OK")))
    return EK_OK;
  if (ek_str_eq (word, EK_STR ("NOTFOUND")))
    return EK_NOTFOUND;
  bool known = ek_str_eq (word, EK_STR ("TEMP")) || ek_str_eq (word, EK_STR ("TIMEOUT")) || ek_str_eq (word, EK_STR ("PERM"));
  ek_stream_wrong (stream, error, known ? EREMOTEIO : EPROTO, "%s: %.*s", known ? "the server says" : "an answer of no known kind",
                   (int) MIN (said.n, 200), said.n ? said.p : "");
  return EK_DEFER;
}

/* ---- questions ---- */

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkStream *conn = call->conn;
  const char *name = ek_stream_server (conn)->name;
  EkBuf out = { 0 };
  EkStr value;

  if (query->key.n == 0 || memchr (query->key.p, '\0', query->key.n) || strlen (name) + 1 + query->key.n > SOCKETMAP_MAX)
    return EK_NOTFOUND;              /* servers keep their keys without: an answer would be another key's */
  ek_buf_printf (&out, "%" G_GSIZE_FORMAT ":%s ", strlen (name) + 1 + query->key.n, name);
  ek_buf_append (&out, query->key.p, query->key.n);
  ek_buf_appendc (&out, ',');
  bool sent = ek_stream_begin (conn, call, ((EkStreamInstance *) base)->timeout, SOCKETMAP_MAX + 64, &call->error)
              && ek_stream_write (conn, ek_buf_str (&out), &call->error);
  ek_buf_release (&out);
  EkStatus status = sent ? socketmap_read (conn, &value, &call->error) : EK_DEFER;
  if (status == EK_OK)
    ek_answer_value (answer, call->pool, value);
  return status;
}

static const EkMapOps map = { .lookup = lookup };

/* ---- life ---- */

static gboolean
init (EkInstance *base, GError **error)
{
  return ek_stream_init ((EkStreamInstance *) base, 0, true, error);
}

EK_MODULE (socketmap, .summary = "A map behind Sendmail's and Postfix's socketmap protocol", .options = options,
           .instance_size = sizeof (EkStreamInstance), .init = init, .stop = ek_stream_stop, .connect = ek_stream_connect,
           .disconnect = ek_stream_disconnect, .map = &map);
