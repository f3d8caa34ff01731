/* test-netmaps.c - modules redis, socketmap and tcp against servers that answer, babble, dawdle and die
 * SPDX-License-Identifier: Apache-2.0 */
#include "netmaps.h"
#include "../../modules/redis/redis.h"
#include "../../modules/socketmap/socketmap.h"
#include "../../modules/tcp/tcp.h"
#include "lookup/dial.h"
#include "lookup/params.h"
#include <glib/gstdio.h>
#include <net/if.h>
#include <netinet/in.h>

static EkInstance *
make (const char *module, const Peer *peer, const char *name, const char *settings)
{
  g_autofree char *at = peer->path ? g_strdup_printf ("unix:%s", peer->path) : g_strdup_printf ("inet:127.0.0.1:%u", peer->port);
  g_autofree char *all = g_strdup_printf ("server = \"%s%s\"\n%s", at, name, settings);

  return ek_test_instance (module, all);
}

/* ---- addresses ---- */

/* The interface of a link's own address is kept. */
static void
test_scope (void)
{
  EkHost host = { .text = "x", .name = "fe80::1%lo", .port = 25 };
  struct sockaddr_storage to[EK_DIAL_MAX];
  const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) to;

  g_assert_cmpuint (ek_dial_addresses (&host, g_get_monotonic_time () + 60 * G_USEC_PER_SEC, to, NULL), ==, 1);
  g_assert_cmpint (in6->sin6_family, ==, AF_INET6);
  g_assert_cmpuint (in6->sin6_port, ==, htons (25));
  g_assert_cmpuint (in6->sin6_scope_id, ==, if_nametoindex ("lo"));
}

/* ---- parameters ---- */

static void
assert_text (const char *text, EkStr key, const char *want, guint n_params)
{
  EkParam param = { "client", EK_STR ("192.0.2.1") };
  EkQuery query = { .key = key, .params = &param, .n_params = 1 };
  EkParamText *t = ek_param_text_new (pool, text);
  EkBuf out = { 0 };

  ek_param_text_append (t, &query, NULL, &out);
  ek_buf_appendc (&out, '\0');
  g_assert_cmpstr (ek_buf_at (&out), ==, want);
  g_assert_cmpuint (t->n_params, ==, n_params);
  ek_buf_release (&out);
}

static void
test_params (void)
{
  EkStr key = EK_STR ("anna@a.test");

  assert_text ("alias::address", key, "alias:anna@a.test", 1);
  assert_text ("mail:user::user", key, "mail:user:anna@a.test", 1);
  assert_text (":local at :domain", key, "anna at a.test", 2);
  assert_text ("{:domain}:users", key, "{a.test}:users", 1);
  assert_text ("/x/:user?from=:client&:none", key, "/x/anna@a.test?from=192.0.2.1&", 3);
  assert_text ("a:b :1 : ::", key, "a:b :1 : ::", 0);
  assert_text ("", key, "", 0);
  assert_text (":key", EK_STR (":user"), ":user", 1);          /* a value is a value */
  assert_text ("<:local|:domain>", EK_STR ("anna"), "<anna|>", 2);
}

/* ---- redis: answers ---- */

typedef struct { const char *bytes, *command, *want; } RespCase;

static void
assert_resp (const RespCase *c)
{
  EkStream *stream = ek_stream_of_bytes (ek_str (c->bytes));
  g_auto (GStrv) words = g_strsplit (c->command, " ", 0);
  g_autoptr (GError) error = NULL;
  g_autofree char *got = NULL;
  EkAnswer answer = { 0 };
  Resp value;

  EkStatus status = resp_read (stream, pool, &value, &error) ? resp_answer (&value, words, pool, &answer, &error) : EK_DEFER;
  got = status == EK_OK ? flat (&answer) : g_strdup_printf ("[%s] %s", ek_status_name (status), error ? error->message : "");
  if (status == EK_OK ? strcmp (got, c->want) != 0 : !strstr (got, c->want))
    g_error ("\"%s\" gave \"%s\", not \"%s\"", c->bytes, got, c->want);
  ek_stream_close (stream);
}

static void
test_resp (void)
{
  static const RespCase cases[] = {
    { "$5\r\nhello\r\n", "GET k", "hello" },
    { "$0\r\n\r\n", "GET k", "" },
    { "+PONG\r\n", "PING", "PONG" },
    { ":5\r\n", "STRLEN k", "5" },
    { ":-5\r\n", "GET k", "-5" },
    { ":0\r\n", "SISMEMBER s k", "[notfound]" },
    { "#t\r\n", "SISMEMBER s k", "1" },
    { "#f\r\n", "SISMEMBER s k", "[notfound]" },
    { ",1.5\r\n", "GET k", "1.5" },
    { "(123456789012345678901234567890\r\n", "GET k", "123456789012345678901234567890" },
    { "=8\r\ntxt:text\r\n", "GET k", "text" },
    { "$-1\r\n", "GET k", "[notfound]" },
    { "*-1\r\n", "LRANGE k", "[notfound]" },
    { "_\r\n", "GET k", "[notfound]" },
    { "*0\r\n", "SMEMBERS k", "[notfound]" },
    { "*3\r\n$1\r\na\r\n$-1\r\n$1\r\nb\r\n", "MGET k l m", "a|b" },
    { "~2\r\n$1\r\na\r\n:7\r\n", "SMEMBERS k", "a|7" },
    { "%2\r\n$4\r\nhome\r\n$2\r\n/h\r\n$3\r\nuid\r\n:5\r\n", "HGETALL k", "home=/h,uid=5" },
    { "*4\r\n$4\r\nhome\r\n$2\r\n/h\r\n$3\r\nuid\r\n$1\r\n5\r\n", "hgetall k", "home=/h,uid=5" },
    { "*2\r\n$2\r\n/h\r\n$-1\r\n", "HMGET k home uid", "home=/h,uid=NULL" },
    { "*2\r\n$-1\r\n$-1\r\n", "HMGET k home uid", "[notfound]" },
    { "%0\r\n", "HGETALL k", "[notfound]" },
    { ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n", "GET k", "v" },
    { "-WRONGTYPE Operation against a key\r\n", "GET k", "[defer] the server says: WRONGTYPE" },
    { "!10\r\nERR \r\n weg\r\n", "GET k", "[defer] the server says: ERR" },
    { "-NOAUTH Authentication required.\r\n", "GET k", "set password" },
    { "-MOVED 3999 127.0.0.1:6381\r\n", "GET k", "cluster" },
    { "*3\r\n$1\r\na\r\n", "LRANGE k", "closed" },
    { "$5\r\nhel", "GET k", "closed" },
    { "", "GET k", "closed" },
    { "$5\r\nhelloxx", "GET k", "does not end" },
    { "$x\r\n", "GET k", "a length is no number" },
    { "$?\r\n", "GET k", "a length is no number" },
    { "$-2\r\n", "GET k", "a length is no number" },
    { "$99999999999999999999\r\n", "GET k", "a length is no number" },
    { "$4194305\r\n", "GET k", "longer than is allowed" },
    { "*20001\r\n", "SMEMBERS k", "longer than is allowed" },
    { "%10001\r\n", "HGETALL k", "longer than is allowed" },
    { "*2\r\n*9999\r\n", "SMEMBERS k", "closed" },
    { "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "X k", "too deep" },
    { "*1\r\n*1\r\n:1\r\n", "X k", "holds more than texts" },
    { "%1\r\n:1\r\n*0\r\n", "HGETALL k", "holds more than texts" },
    { "*3\r\n:1\r\n:2\r\n:3\r\n", "HGETALL k", "without a value" },
    { "*1\r\n:1\r\n", "HMGET k a b", "another number of fields" },
    { ":a\r\n", "GET k", "a number is none" },
    { "#x\r\n", "GET k", "neither t nor f" },
    { "HTTP/1.1 400 Bad Request\r\n", "GET k", "is this a Redis server?" },
    { "\r\n", "GET k", "an empty line" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_resp (&cases[i]);
}

/* ---- redis: dialogues ---- */

#define HELLO3     "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
#define NO_HELLO   "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"
#define SAID_HELLO "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
#define COMMAND    "command = GET, \"alias::address\"\n"

/* Left empty, a parameter that a question has not would find nobody. */
static void
test_redis_lacks (void)
{
  static const char *const answers[] = { HELLO3, "_\r\n", NULL };
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("redis", &peer, "", "command = GET, \"alias::adress\"\n");
  g_assert_cmpstr (ask (self, "a@b.test"), ==, "[defer]");
  assert_why ("command: the question has no :adress");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_redis (void)
{
  static const char *const answers[] = { HELLO3, "$1\r\nx\r\n", "_\r\n", "$2\r\nyy\r\n", NULL };
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("redis", &peer, "", COMMAND);
  g_assert_cmpstr (ask (self, "a@b.test"), ==, "x");
  g_assert_cmpstr (ask (self, "a\r\nb"), ==, "[notfound]");    /* one word, whatever is in it */
  g_assert_cmpstr (ask_for (self, EK_STR ("a\0b"), 5000000), ==, "yy");
  peer_assert_heard (&peer, SAID_HELLO "*2\r\n$3\r\nGET\r\n$14\r\nalias:a@b.test\r\n*2\r\n$3\r\nGET\r\n$10\r\nalias:a\r\nb\r\n"
                                  "*2\r\n$3\r\nGET\r\n$9\r\nalias:a");
  g_assert_cmpuint (peer_connections (&peer), ==, 1);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_redis_login (void)
{
  static const char *const new[] = { HELLO3, "+OK\r\n", "$1\r\nx\r\n", NULL };
  static const char *const old[] = { NO_HELLO, "+OK\r\n", "+OK\r\n", "$1\r\nx\r\n", NULL };
  static const char *const wrong[] = { "-WRONGPASS invalid username-password pair or user is disabled.\r\n", NULL };
  static const char *const none[] = { "-NOAUTH HELLO must be called with the client already authenticated\r\n", NULL };
  Peer peer;

  peer_start (&peer, new, false, NULL);
  EkInstance *self = make ("redis", &peer, "", COMMAND "user = mail\npassword = pw\ndatabase = 3\n");
  g_assert_cmpstr (ask (self, "a"), ==, "x");
  peer_assert_heard (&peer, "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$4\r\nmail\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
                       "*2\r\n$3\r\nGET\r\n$7\r\nalias:a\r\n");
  ek_test_instance_free (self);
  peer_stop (&peer);
  peer_start (&peer, old, false, NULL);
  self = make ("redis", &peer, "", COMMAND "password = pw\ndatabase = 3\n");
  g_assert_cmpstr (ask (self, "a"), ==, "x");
  peer_assert_heard (&peer, "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n"
                       "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$3\r\nGET\r\n$7\r\nalias:a\r\n");
  ek_test_instance_free (self);
  peer_stop (&peer);
  for (guint i = 0; i < 2; i++) {
    peer_start (&peer, i ? none : wrong, false, NULL);
    self = make ("redis", &peer, "", i ? COMMAND : COMMAND "password = pw\n");
    g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
    assert_why (i ? "NOAUTH" : "WRONGPASS");
    ek_test_instance_free (self);
    peer_stop (&peer);
  }
}

/* ---- socketmap ---- */

static void
assert_socketmap (const char *bytes, const char *want)
{
  EkStream *stream = ek_stream_of_bytes (ek_str (bytes));
  g_autoptr (GError) error = NULL;
  EkStr value = EK_STR ("");
  EkStatus status = socketmap_read (stream, &value, &error);
  g_autofree char *got = status == EK_OK ? g_strndup (value.p, value.n)
                                         : g_strdup_printf ("[%s] %s", ek_status_name (status), error ? error->message : "");

  if (status == EK_OK ? strcmp (got, want) != 0 : !strstr (got, want))
    g_error ("\"%s\" gave \"%s\", not \"%s\"", bytes, got, want);
  ek_stream_close (stream);
}

static void
test_socketmap_answers (void)
{
  assert_socketmap ("8:OK value,", "value");
  assert_socketmap ("3:OK ,", "");
  assert_socketmap ("11:OK one two ,", "one two ");
  assert_socketmap ("9:NOTFOUND ,", "[notfound]");
  assert_socketmap ("8:NOTFOUND,", "[notfound]");
  assert_socketmap ("9:TEMP busy,", "[defer] server: the server says: TEMP busy");
  assert_socketmap ("8:TIMEOUT ,", "[defer] server: the server says: TIMEOUT");
  assert_socketmap ("9:PERM what,", "[defer] server: the server says: PERM what");
  assert_socketmap ("5:MAYBE,", "no known kind");
  assert_socketmap ("0:,", "no known kind");
  assert_socketmap ("8:OK value;", "no comma");
  assert_socketmap ("8:OK val", "closed");
  assert_socketmap (":,", "no netstring");
  assert_socketmap ("OK value", "no netstring");
  assert_socketmap ("-1:,", "no netstring");
  assert_socketmap ("0000008:OK value,", "no netstring");
  assert_socketmap ("100001:", "longer than 100000");
  assert_socketmap ("", "closed");
}

static void
test_socketmap (void)
{
  static const char *const answers[] = { "8:OK value,", "9:NOTFOUND ,", "4:OK z,", NULL };
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("socketmap", &peer, ":virtual", "");
  g_assert_cmpstr (ask (self, "a@b.test"), ==, "value");
  g_assert_cmpstr (ask (self, "a b,"), ==, "[notfound]");
  g_assert_cmpstr (ask_for (self, EK_STR ("a\0b"), 0), ==, "[notfound]");      /* not sent */
  g_assert_cmpstr (ask (self, ""), ==, "[notfound]");
  g_autofree char *huge = g_strnfill (SOCKETMAP_MAX, 'x');
  g_assert_cmpstr (ask (self, huge), ==, "[notfound]");
  g_assert_cmpstr (ask (self, "c"), ==, "z");
  peer_assert_heard (&peer, "16:virtual a@b.test,12:virtual a b,,9:virtual c,");
  g_assert_cmpuint (peer_connections (&peer), ==, 1);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

/* ---- tcp ---- */

static void
assert_tcp (const char *bytes, const char *want)
{
  EkStream *stream = ek_stream_of_bytes (ek_str (bytes));
  g_autoptr (GError) error = NULL;
  EkStr value = EK_STR (""), text;
  EkStatus status = tcp_read (stream, pool, &value, &text, &error);
  g_autofree char *got = status == EK_OK ? g_strndup (value.p, value.n)
                                         : g_strdup_printf ("[%s] %s", ek_status_name (status), error ? error->message : "");

  if (status == EK_OK ? strcmp (got, want) != 0 : !strstr (got, want))
    g_error ("\"%s\" gave \"%s\", not \"%s\"", bytes, got, want);
  ek_stream_close (stream);
}

static void
test_tcp_answers (void)
{
  g_autofree char *many = g_strnfill (TCP_LINE_MAX, 'x'), *long_line = g_strdup_printf ("200 %s\n", many);

  assert_tcp ("200 value\n", "value");
  assert_tcp ("200 a%20b%25%0a\r\n", "a b%\n");
  assert_tcp ("200\n", "");
  assert_tcp ("200 \n", "");
  assert_tcp ("500 no such key\n", "[notfound]");
  assert_tcp ("500\n", "[notfound]");
  assert_tcp ("400 busy\n", "[defer] server: the server says: 400 busy");
  assert_tcp ("200 a%2\n", "hexadecimal");
  assert_tcp ("200 a%zz\n", "hexadecimal");
  assert_tcp ("2000 x\n", "no known kind");
  assert_tcp ("20\n", "no known kind");
  assert_tcp ("\n", "no known kind");
  assert_tcp ("300 x\n", "no known kind");
  assert_tcp ("200 value", "closed");
  assert_tcp (long_line, "longer than");
}

static EkStatus
run_put (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->add (self, call, EK_STR ("k%"), ek_str (data));
}

static void
test_tcp (void)
{
  static const char *const answers[] = { "200 v%20w\n", "500 none\n", "200 done\n", "500 read%20only\n", NULL };
  g_autoptr (GError) error = NULL;
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("tcp", &peer, "", "");
  g_assert_cmpstr (ask (self, "a@b.test"), ==, "v w");
  g_assert_cmpstr (ask (self, "a b\n\xff"), ==, "[notfound]");
  g_assert_cmpstr (ask_for (self, EK_STR ("a\0b"), 0), ==, "[notfound]");
  g_autofree char *huge = g_strnfill (65536, 'x');
  g_assert_cmpstr (ask (self, huge), ==, "[notfound]");
  g_assert_cmpint (ek_op_call (self, pool, 0, run_put, (gpointer) "v w", &error), ==, EK_OK);
  g_assert_no_error (error);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_put, (gpointer) "x", &error), ==, EK_FAIL);
  g_assert_nonnull (strstr (error->message, "refused"));
  peer_assert_heard (&peer, "get a@b.test\nget a%20b%0A%FF\nput k%25 v%20w\nput k%25 x\n");
  g_assert_cmpuint (peer_connections (&peer), ==, 1);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

/* ---- what goes wrong with any of them ---- */

typedef struct {
  const char *module, *name, *settings;
  const char *greeting;              /* what the server says first, to our greeting; NULL: there is none */
  const char *good, *half;           /* an answer, the beginning of one */
} Kind;

static const Kind kinds[] = {
  { "redis", "", COMMAND, HELLO3, "$1\r\nx\r\n", "$5\r\nhel" },
  { "socketmap", ":m", "", NULL, "4:OK x,", "9:OK " },
  { "tcp", "", "", NULL, "200 x\n", "200 " },
};

/* The first question to a fresh server that says this; `more`: settings. */
static void
assert_defer (const Kind *kind, const char *answer, const char *more, const char *says)
{
  const char *answers[] = { kind->greeting ? kind->greeting : answer, kind->greeting ? answer : NULL, NULL };
  g_autofree char *settings = g_strconcat (kind->settings, more, NULL);
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make (kind->module, &peer, kind->name, settings);
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why (says);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_trouble (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const Kind *kind = &kinds[i];
    g_autofree char *endless = g_strconcat (ENDLESS, kind->half, NULL), *drips = g_strconcat (DRIP, kind->half, NULL);
    assert_defer (kind, HANG_UP, "", "127.0.0.1");
    assert_defer (kind, "\xff\xfe\n\n", "", "127.0.0.1");
    assert_defer (kind, endless, "", "127.0.0.1");
    assert_defer (kind, HOLD, "timeout = 100ms\n", "no answer in time");
    assert_defer (kind, kind->half, "timeout = 100ms\n", "no answer in time");
    assert_defer (kind, drips, "timeout = 200ms\n", "127.0.0.1");
  }
}

/* Whoever asks sets the limit, too. */
static void
test_deadline (void)
{
  static const char *const answers[] = { HOLD, NULL };
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("tcp", &peer, "", "timeout = 5m");
  g_assert_cmpstr (ask_for (self, EK_STR ("a"), 100000), ==, "[defer]");
  assert_why ("no answer in time");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_cancelled (void)
{
  static const char *const answers[] = { HOLD, NULL };
  EkQuery query = { .key = EK_STR ("a") };
  g_autoptr (GError) error = NULL;
  EkAnswer answer;
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("tcp", &peer, "", "timeout = 5m");
  EkCall call = { .pool = pool, .cancelled = true, .conn = self->module->connect (self, &error) };
  g_assert_no_error (error);
  g_assert_cmpint (self->module->map->lookup (self, &call, &query, &answer), ==, EK_DEFER);
  g_assert_nonnull (strstr (call.error->message, "given up"));
  g_clear_error (&call.error);
  self->module->disconnect (self, call.conn);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

/* A kept connection that the server has closed, or on which it says what nobody asked for, gives way to a new one. */
static void
test_kept (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    for (guint babble = 0; babble < 2; babble++) {
      const Kind *k = &kinds[i];
      g_autofree char *twice = g_strconcat (k->good, k->good, NULL);
      const char *with[] = { k->greeting, babble ? twice : k->good, babble ? k->greeting : HANG_UP,
                             babble ? k->good : k->greeting, babble ? NULL : k->good, NULL };
      const char *without[] = { babble ? twice : k->good, babble ? k->good : HANG_UP, babble ? NULL : k->good, NULL };
      Peer peer;
      peer_start (&peer, k->greeting ? with : without, false, NULL);
      EkInstance *self = make (k->module, &peer, k->name, k->settings);
      g_assert_cmpstr (ask (self, "a"), ==, "x");
      g_assert_cmpstr (ask (self, "b"), ==, "x");
      g_assert_cmpuint (peer_connections (&peer), ==, 2);
      ek_test_instance_free (self);
      peer_stop (&peer);
    }
}

/* Several servers; names; unix sockets. */
static void
test_places (void)
{
  static const char *const answers[] = { "200 x\n", "200 y\n", "200 z\n", NULL };
  g_autofree char *folder = g_dir_make_tmp ("ekiden-netmaps-XXXXXX", NULL), *path = g_build_filename (folder, "socket", NULL);
  Peer peer, gone, un;

  peer_start (&gone, answers, false, NULL);
  peer_stop (&gone);
  peer_start (&peer, answers, false, NULL);
  g_autofree char *two = g_strdup_printf ("server = [\"127.0.0.1:%u\", \"/nonexistent/socket\", \"127.0.0.1:%u\"]", gone.port, peer.port);
  EkInstance *self = ek_test_instance ("tcp", two);
  g_assert_cmpstr (ask (self, "a"), ==, "x");
  ek_test_instance_free (self);
  g_autofree char *name = g_strdup_printf ("server = \"localhost:%u\"", peer.port);
  self = ek_test_instance ("tcp", name);
  g_assert_cmpstr (ask (self, "a"), ==, "y");
  ek_test_instance_free (self);
  peer_stop (&peer);
  peer_start (&un, answers, false, path);
  self = make ("tcp", &un, "", "");
  g_assert_cmpstr (ask (self, "a"), ==, "x");
  ek_test_instance_free (self);
  peer_stop (&un);
  g_autofree char *none = g_strdup_printf ("server = [\"127.0.0.1:%u\", \"%s\"]", gone.port, path);
  self = ek_test_instance ("tcp", none);
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("refused");
  assert_why (path);                               /* of each */
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("next try in");                      /* the core does not ask again at once */
  ek_test_instance_free (self);
  self = ek_test_instance ("tcp", "server = \"no-such-host.invalid:1\"\nconnect_timeout = 2s");
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("no-such-host.invalid:1: ");          /* "has no address", or "did not answer in time" where the resolver hangs */
  ek_test_instance_free (self);
  g_rmdir (folder);
}

/* Without TLS on the other side a connection that wants it is none. */
static void
test_no_tls (void)
{
  static const char *const answers[] = { "400 what\n", NULL };
  Peer peer;

  peer_start (&peer, answers, false, NULL);
  EkInstance *self = make ("tcp", &peer, "", "tls = yes");
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("tls = no");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_settings (void)
{
  static const struct { const char *settings, *says; } cases[] = {
    { "redis \"t\" { command = GET, k }", "it has no parameter" },
    { "redis \"t\" { command = \":key\" }", "begins with the command's name" },
    { "redis \"t\" { command = GET, \":key\"\nuser = x }", "user: it needs a password" },
    { "redis \"t\" { command = GET, \":key\"\nserver = \"host:0\" }", "not a number from 1 to 65535" },
    { "redis \"t\" { command = GET, \":key\"\nserver = \"2001:db8::1\" }", "[2001:db8::1]:PORT" },
    { "redis \"t\" { command = GET, \":key\"\nserver = [] }", "name one server" },
    { "redis \"t\" { command = GET, \":key\"\nserver = /x/socket\ntls = yes }", "tls_name" },
    { "redis \"t\" { command = GET, \":key\"\ntls_key = /x }", "set both or none" },
    { "redis \"t\" { server = /x/socket }", "command" },
    { "tcp \"t\" { server = host }", "the port is missing" },
    { "tcp \"t\" { server = \"unix:run/x\" }", "begins with /" },
    { "tcp \"t\" { server = \":25\" }", "the host is missing" },
    { "tcp \"t\" { }", "server" },
    { "socketmap \"t\" { server = \"inet:localhost:25\" }", "port is missing" },
    { "socketmap \"t\" { server = \"inet:localhost:25:\" }", "the name of the map is missing" },
    { "socketmap \"t\" { server = \"unix:/x/y\" }", "the name of the map is missing" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *said = NULL;
    EkGeneration *gen = ek_test_generation (cases[i].settings, EK_ROLES_ALL, &said);
    if (gen || !strstr (said, cases[i].says))
      g_error ("%s gave \"%s\"", cases[i].settings, said);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  signal (SIGPIPE, SIG_IGN);
  g_test_add_func ("/netmaps/scope", test_scope);
  g_test_add_func ("/netmaps/params", test_params);
  g_test_add_func ("/netmaps/redis/lacks", test_redis_lacks);
  g_test_add_func ("/netmaps/resp", test_resp);
  g_test_add_func ("/netmaps/redis", test_redis);
  g_test_add_func ("/netmaps/redis-login", test_redis_login);
  g_test_add_func ("/netmaps/socketmap-answers", test_socketmap_answers);
  g_test_add_func ("/netmaps/socketmap", test_socketmap);
  g_test_add_func ("/netmaps/tcp-answers", test_tcp_answers);
  g_test_add_func ("/netmaps/tcp", test_tcp);
  g_test_add_func ("/netmaps/trouble", test_trouble);
  g_test_add_func ("/netmaps/deadline", test_deadline);
  g_test_add_func ("/netmaps/cancelled", test_cancelled);
  g_test_add_func ("/netmaps/kept", test_kept);
  g_test_add_func ("/netmaps/places", test_places);
  g_test_add_func ("/netmaps/no-tls", test_no_tls);
  g_test_add_func ("/netmaps/settings", test_settings);
  return run_tests ();
}
