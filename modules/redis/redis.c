/* redis.c - a map that asks a Redis (or Valkey, KeyDB ...) server
 * SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "lookup/params.h"
#include <errno.h>
#include <string.h>

#define PORT      6379
#define HELLO_MAX 65536

typedef struct {
  EkStreamInstance net;
  char           **command;
  const char      *user;
  EkSecret         password;
  gint64           database;
  /* init()'s */
  EkPool          *pool;
  EkParamText    **words;            /* n_words */
  guint            n_words;
} Redis;

static const EkOption options[] = {
  EK_OPTION (EkStreamInstance, server, "localhost", "Where the server is: /path of a unix socket, HOST or HOST:PORT (6379). With several "
             "the next one is asked when one is away: replicas, in the order of preference."),
  EK_OPTION (Redis, command, NULL, "What is asked, word by word: GET, \"alias::address\". Parameters are :key (also :user or :address), "
             ":local and :domain (what is before and behind its @), and others that a question brings, as :client. A colon behind a "
             "letter, a digit, _ or a closing bracket is a colon: \"mail:user::user\" is mail:user: and the user. GET and the like give "
             "one value, SMEMBERS and LRANGE rows, HGETALL and HMGET a row whose columns are the fields; nil, nothing and the number 0 "
             "are \"not found\"."),
  EK_OPTION (Redis, user, "", "The user of the server's access list. Empty: the default one."),
  EK_OPTION (Redis, password, "", "His password: file(\"/etc/ekiden/redis.password\"). Empty: none is sent."),
  EK_OPTION (Redis, database, "0", "The number of the database.", .allow = "0..1000000"),
  EK_STREAM_ROWS ("auto"),
  EK_OPTIONS_END
};

/* ---- connections ---- */

/* OK: the answer is no error; FAIL: it is one, in answer->text; DEFER and *error. */
static EkStatus
say (EkStream *conn, EkPool *pool, const EkStr *words, guint n, Resp *answer, GError **error)
{
  gsize room = 64;
  EkBuf out = { 0 };

  for (guint i = 0; i < n; i++)
    room += words[i].n + 32;
  ek_buf_room (&out, room);          /* at once, so that no copies of a password are left behind */
  resp_command (&out, words, n);
  bool good = ek_stream_write (conn, ek_buf_str (&out), error);
  ek_wipe (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  if (!good || !resp_read (conn, pool, answer, error))
    return EK_DEFER;
  return answer->kind == RESP_ERROR ? EK_FAIL : EK_OK;
}

static EkStatus
refused (EkStream *conn, const char *what, EkStr text, GError **error)
{
  ek_stream_wrong (conn, error, EACCES, "%s: the server says: %.*s", what, (int) MIN (text.n, 200), text.p);
  return EK_DEFER;
}

/* RESP3 where the server knows it, since its answers say what they are; then the password, for servers of any age. */
static EkStatus
greet (const Redis *self, EkStream *conn, EkPool *pool, GError **error)
{
  EkStr password = { self->password.text, self->password.len }, user = ek_str (self->user ? self->user : "default");
  EkStr hello[] = { EK_STR ("HELLO"), EK_STR ("3"), EK_STR ("AUTH"), user, password };
  EkStr auth[] = { EK_STR ("AUTH"), user, password }, old[] = { EK_STR ("AUTH"), password };
  bool secret = password.n > 0;
  Resp answer;
  EkStatus status = say (conn, pool, hello, secret ? 5 : 2, &answer, error);

  if (status != EK_FAIL)
    return status;
  if (!ek_str_starts (answer.text, EK_STR ("ERR")) && !ek_str_starts (answer.text, EK_STR ("NOPROTO")))
    return refused (conn, "user, password", answer.text, error);
  if (!secret)
    return EK_OK;                    /* it knows no HELLO: RESP2 */
  status = self->user ? say (conn, pool, auth, 3, &answer, error) : say (conn, pool, old, 2, &answer, error);
  return status == EK_FAIL ? refused (conn, "user, password", answer.text, error) : status;
}

static EkStatus
prepare (const Redis *self, EkStream *conn, EkPool *pool, GError **error)
{
  Resp answer;

  if (!ek_stream_begin (conn, NULL, self->net.connect_timeout, HELLO_MAX, error))
    return EK_DEFER;
  EkStatus status = greet (self, conn, pool, error);
  if (status != EK_OK || self->database == 0)
    return status;
  EkStr words[] = { EK_STR ("SELECT"), ek_str (ek_pool_printf (pool, "%" G_GINT64_FORMAT, self->database)) };
  status = say (conn, pool, words, 2, &answer, error);
  return status == EK_FAIL ? refused (conn, "database", answer.text, error) : status;
}

static gpointer
connect (EkInstance *base, GError **error)
{
  const Redis *self = (Redis *) base;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStream *conn = ek_stream_open (&self->net, error);

  if (conn && prepare (self, conn, pool, error) != EK_OK) {
    ek_stream_close (conn);
    return NULL;
  }
  return conn;
}

/* ---- questions ---- */

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  const Redis *self = (Redis *) base;
  EkStr *words = ek_pool_newv (call->pool, EkStr, self->n_words);
  EkBuf word = { 0 };
  Resp said;

  for (guint i = 0; i < self->n_words; i++)
    if (ek_param_text_needs (self->words[i], query, "command", &call->error) != EK_OK)
      return EK_DEFER;
  for (guint i = 0; i < self->n_words; i++) {      /* any bytes are a key here, so nothing is escaped and nothing refused */
    ek_param_text_append (self->words[i], query, NULL, &word);
    words[i] = ek_pool_str (call->pool, ek_buf_str (&word));
    ek_buf_clear (&word);
  }
  ek_buf_release (&word);
  if (!ek_stream_begin (call->conn, call, self->net.timeout, RESP_ANSWER_MAX, &call->error)
      || say (call->conn, call->pool, words, self->n_words, &said, &call->error) == EK_DEFER)
    return EK_DEFER;
  return resp_answer (&said, self->command, call->pool, answer, &call->error);
}

static const EkMapOps map = { .lookup = lookup };

/* ---- life ---- */

static void
stop (EkInstance *base)
{
  Redis *self = (Redis *) base;

  ek_stream_stop (base);
  ek_pool_free (self->pool);
  self->pool = NULL;
}

static gboolean
init (EkInstance *base, GError **error)
{
  Redis *self = (Redis *) base;
  guint n_params = 0;

  self->n_words = g_strv_length (self->command);
  self->pool = ek_pool_new ();
  self->words = ek_pool_newv (self->pool, EkParamText *, self->n_words + 1);
  for (guint i = 0; i < self->n_words; i++) {
    self->words[i] = ek_param_text_new (self->pool, self->command[i]);
    n_params += self->words[i]->n_params;
  }
  if (self->n_words == 0 || self->words[0]->n_params > 0)
    ek_fail (error, EK_FAIL, EINVAL, "command: it begins with the command's name: GET, \"alias::address\"");
  else if (n_params == 0)
    ek_fail (error, EK_FAIL, EINVAL, "command: it has no parameter, so every question is the same: write GET, \"alias::address\"");
  else if (self->user && self->password.len == 0)
    ek_fail (error, EK_FAIL, EINVAL, "user: it needs a password");
  else if (ek_stream_init (&self->net, PORT, false, error))
    return TRUE;
  stop (base);
  return FALSE;
}

EK_MODULE (redis, .summary = "A map in a Redis server", .options = options, .instance_size = sizeof (Redis),
           .init = init, .stop = stop, .connect = connect, .disconnect = ek_stream_disconnect, .map = &map);
