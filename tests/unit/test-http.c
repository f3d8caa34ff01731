/* test-http.c - module http against a server that answers, babbles, dawdles and dies
 * SPDX-License-Identifier: Apache-2.0 */
#include "netmaps.h"

#define CODE(line_) "HTTP/1.1 " line_ "\r\nContent-Length: 0\r\n\r\n"

/* 200 with this JSON; in the pool. */
static const char *
json (const char *text)
{
  return ek_pool_printf (pool, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen (text), text);
}

static EkInstance *
make_http (const Peer *peer, const char *settings)
{
  g_autofree char *url = g_strdup_printf ("http://127.0.0.1:%u", peer->port);
  g_auto (GStrv) parts = g_strsplit (settings, "URL", 0);
  g_autofree char *all = g_strjoinv (url, parts);

  return ek_test_instance ("http", all);
}

static void
assert_lines (Peer *peer, const char *first, const char *other)
{
  g_mutex_lock (&peer->lock);
  g_assert_true (g_str_has_prefix (peer->heard->str, first));
  if (!strstr (peer->heard->str, other))
    g_error ("\"%s\" lacks \"%s\"", peer->heard->str, other);
  g_string_truncate (peer->heard, 0);
  g_mutex_unlock (&peer->lock);
}

static void
test_http (void)
{
  const char *const answers[] = { json ("\"x\""), CODE ("404 Not Found"), json ("[{\"a\":1},{\"b\":null}]"), NULL };
  Peer peer;

  peer_start (&peer, answers, true, NULL);
  EkInstance *self = make_http (&peer, "url = \"URL/v1/:local/:domain?q=:key\"\ntoken = \"abc.DEF_1\"\n");
  g_assert_cmpstr (ask (self, "an/na &\xc3\xa9@b.test"), ==, "x");
  assert_lines (&peer, "GET /v1/an%2Fna%20%26%C3%A9/b.test?q=an%2Fna%20%26%C3%A9%40b.test HTTP/1.1\r\n",
                "\r\nAuthorization: Bearer abc.DEF_1\r\n");
  g_assert_cmpstr (ask (self, "nobody@b.test"), ==, "[notfound]");
  g_assert_cmpstr (ask (self, "nobody"), ==, "[notfound]");            /* without a domain it would be another resource */
  g_assert_cmpstr (ask (self, "..@b.test"), ==, "[notfound]");
  g_assert_cmpstr (ask (self, ""), ==, "[notfound]");
  g_assert_cmpstr (ask (self, "\xff@b.test"), ==, "[notfound]");
  g_assert_cmpstr (ask_for (self, EK_STR ("a\0@b.test"), 0), ==, "[notfound]");
  g_autofree char *huge = g_strnfill (65536, 'x'), *name = g_strconcat (huge, "@b.test", NULL);
  g_assert_cmpstr (ask (self, name), ==, "[notfound]");
  g_assert_cmpstr (ask (self, "c@b.test"), ==, "a=1,b=NULL|a=NULL,b=NULL");
  g_assert_cmpuint (peer_connections (&peer), ==, 2);   /* the first is the trial */
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_http_post (void)
{
  const char *const answers[] = { json ("\"x\""), NULL };
  Peer peer;

  peer_start (&peer, answers, true, NULL);
  EkInstance *self = make_http (&peer, "url = \"URL/ask\"\npost = user, domain\n");
  g_assert_cmpstr (ask (self, "a\"b@c.test"), ==, "x");
  assert_lines (&peer, "POST /ask HTTP/1.1\r\n", "\r\n\r\n{\"user\":\"a\\\"b@c.test\",\"domain\":\"c.test\"}");
  g_assert_cmpstr (ask (self, "\xff"), ==, "[notfound]");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
assert_http (const char *answer, const char *want, const char *says)
{
  const char *answers[] = { answer, NULL };
  Peer peer;

  peer_start (&peer, answers, true, NULL);
  EkInstance *self = make_http (&peer, "url = \"URL/:key\"\nanswer_max = 1K\ntimeout = 5s\n");
  const char *got = ask (self, "a");
  if (strcmp (got, want) != 0 || !strstr (why, says))
    g_error ("%s gave \"%s\" (%s), not \"%s\" (%s)", answer, got, why, want, says);
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_http_answers (void)
{
  assert_http (json ("5"), "5", "");
  assert_http (json ("true"), "true", "");
  assert_http (json ("1.5"), "1.5", "");
  assert_http (json ("false"), "[notfound]", "");
  assert_http (json ("null"), "[notfound]", "");
  assert_http (json ("[]"), "[notfound]", "");
  assert_http (json ("{}"), "[notfound]", "");
  assert_http (json ("[{}]"), "[notfound]", "");
  assert_http (json ("[\"a\", 2, \"\"]"), "a|2|", "");
  assert_http (json ("{\"to\":[\"a\",\"b\"],\"no\":false}"), "to=a,b,no=NULL", "");
  assert_http (CODE ("204 No Content"), "[notfound]", "");
  assert_http (json (""), "[defer]", "no JSON");
  assert_http (json ("<html>"), "[defer]", "no JSON");
  assert_http (json ("\"\\u0000\""), "[defer]", "no JSON");
  assert_http (json ("[[\"a\"],\"b\"]"), "[defer]", "nothing else");
  assert_http (json ("{\"a\":{\"b\":1}}"), "[defer]", "neither a text");
  assert_http (CODE ("500 Oops"), "[defer]", "answers 500");
  assert_http (CODE ("503 Busy"), "[defer]", "answers 503");
  assert_http (CODE ("401 Who?"), "[defer]", "is token right?");
  assert_http (CODE ("400 What?"), "[defer]", "not what it expects");
  assert_http ("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/x\r\nContent-Length: 0\r\n\r\n", "[defer]", "redirects are not followed");
  assert_http (HANG_UP, "[defer]", "127.0.0.1");
  assert_http ("\xff\xfe\r\n\r\n", "[defer]", "127.0.0.1");
  assert_http (ENDLESS "HTTP/1.1 200 OK\r\n\r\n", "[defer]", "answer_max");
  assert_http (ENDLESS "HTTP/1.1 200 OK\r\nX: ", "[defer]", "127.0.0.1");
}

static void
test_http_slow (void)
{
  static const char *const hold[] = { HOLD, NULL }, *const drips[] = { DRIP "HTTP/1.1 200 OK\r\n\r\n", NULL };
  Peer peer;

  for (guint i = 0; i < 2; i++) {
    peer_start (&peer, i ? drips : hold, true, NULL);
    EkInstance *self = make_http (&peer, "url = \"URL/:key\"\ntimeout = 300ms\nanswer_max = 16M\n");
    g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
    ek_test_instance_free (self);
    peer_stop (&peer);
  }
  EkInstance *self = make_http (&(Peer) { .port = peer.port }, "url = \"URL/:key\"\n");
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("cannot connect");
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("next try in");
  ek_test_instance_free (self);
}

/* How many questions it got. */
static guint
heard (Peer *peer)
{
  guint n = 0;

  g_mutex_lock (&peer->lock);
  for (const char *p = strstr (peer->heard->str, "GET /"); p; p = strstr (p + 1, "GET /"))
    n++;
  g_mutex_unlock (&peer->lock);
  return n;
}

/* A block with two servers; the one that is asked first changes from question to question. */
static EkInstance *
make_two (const Peer *a, const Peer *b)
{
  g_autofree char *rows = g_strdup_printf ("url = \"http://127.0.0.1:%u/:key\", \"http://127.0.0.1:%u/:key\"\ntimeout = 2s\n", a->port, b->port);

  return ek_test_instance ("http", rows);
}

static void
test_http_several (void)
{
  static const char *const bad[] = { CODE ("503 Busy"), HOLD, HANG_UP, NULL };
  const char *yes = json ("\"x\""), *const good[] = { yes, yes, yes, yes, yes, yes, yes, yes, NULL };
  Peer a, b;

  for (guint i = 0; bad[i]; i++) {               /* b answers, whatever a does, and while a is known for it it is not asked first */
    const char *const first[] = { bad[i], bad[i], NULL };
    peer_start (&a, first, true, NULL);
    peer_start (&b, good, true, NULL);
    EkInstance *self = make_two (&a, &b);
    for (guint k = 0; k < 5; k++)
      g_assert_cmpstr (ask (self, "k"), ==, "x");
    g_assert_cmpuint (heard (&a), ==, 1);
    ek_test_instance_free (self);
    peer_stop (&a);
    peer_stop (&b);
  }
  const char *const none[] = { CODE ("404 None"), NULL }, *const denied[] = { CODE ("403 No"), NULL };
  for (guint i = 0; i < 2; i++) {                /* what is no outage is an answer, and the other one is not asked */
    peer_start (&a, i ? denied : none, true, NULL);
    peer_start (&b, i ? denied : none, true, NULL);
    EkInstance *self = make_two (&a, &b);
    g_assert_cmpstr (ask (self, "k"), ==, i ? "[defer]" : "[notfound]");
    ek_test_instance_free (self);
    g_assert_cmpuint (heard (&a) + heard (&b), ==, 1);
    peer_stop (&a);
    peer_stop (&b);
  }
}

/* Nobody answers: all are named, and all of it takes no longer than `timeout`. */
static void
test_http_several_away (void)
{
  static const char *const hold[] = { HOLD, HOLD, NULL };
  gint64 begin;
  Peer a, b;

  peer_start (&a, hold, true, NULL);
  peer_start (&b, hold, true, NULL);
  EkInstance *self = make_two (&a, &b);
  begin = g_get_monotonic_time ();
  g_assert_cmpstr (ask (self, "k"), ==, "[defer]");
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 10 * G_USEC_PER_SEC);
  g_autofree char *one = g_strdup_printf ("http://127.0.0.1:%u: ", a.port), *two = g_strdup_printf ("http://127.0.0.1:%u: ", b.port);
  assert_why (one);
  assert_why (two);
  ek_test_instance_free (self);
  peer_stop (&a);
  peer_stop (&b);
  self = make_two (&a, &b);
  g_assert_cmpstr (ask (self, "k"), ==, "[defer]");
  assert_why ("cannot connect");
  assert_why (one);
  assert_why (two);
  ek_test_instance_free (self);
}

static EkStatus
run_late (EkInstance *self, EkCall *call, gpointer data)
{
  call->deadline = ek_now ();
  return ek_run_lookup (self, call, data);
}

/* A caller without time says nothing of the servers: nobody is asked, or down for it. */
static void
test_http_several_late (void)
{
  const char *yes = json ("\"x\""), *const good[] = { yes, yes, NULL };
  EkLookup lookup = { .query.key = EK_STR ("k") };
  g_autoptr (GError) error = NULL;
  Peer a, b;

  peer_start (&a, good, true, NULL);
  peer_start (&b, good, true, NULL);
  EkInstance *self = make_two (&a, &b);
  g_assert_cmpint (ek_op_call (self, pool, 0, run_late, &lookup, &error), ==, EK_DEFER);
  g_assert_nonnull (strstr (error->message, "no time was left to ask"));
  g_assert_cmpuint (heard (&a) + heard (&b), ==, 0);
  g_assert_cmpstr (ask (self, "k"), ==, "x");
  g_assert_cmpuint (heard (&a), ==, 1);
  g_assert_cmpuint (peer_connections (&a), ==, 2);         /* one to try, one to ask: the connection was kept */
  g_assert_cmpstr (ask (self, "k"), ==, "x");
  g_assert_cmpuint (heard (&b), ==, 1);
  ek_test_instance_free (self);
  peer_stop (&a);
  peer_stop (&b);
}

/* Nor one that such a caller left no time to. */
static void
test_http_several_hurry (void)
{
  const char *yes = json ("\"x\""), *const good[] = { yes, yes, yes, yes, NULL }, *const slow[] = { HOLD, yes, yes, yes, NULL };
  Peer a, b;

  peer_start (&a, good, true, NULL);
  peer_start (&b, slow, true, NULL);                       /* it is asked first: a has been tried */
  EkInstance *self = make_two (&a, &b);
  g_assert_cmpstr (ask_for (self, EK_STR ("k"), 800000), ==, "x");
  g_assert_cmpuint (heard (&b), ==, 1);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpstr (ask (self, "k"), ==, "x");
  g_assert_cmpuint (heard (&b), ==, 2);
  ek_test_instance_free (self);
  peer_stop (&a);
  peer_stop (&b);
}

/* Servers that let nobody in: all of them together have connect_timeout. */
static void
test_http_several_connect (void)
{
  static const char *const hold[] = { HOLD, HOLD, HOLD, HOLD, HOLD, HOLD, NULL };
  Peer peer;

  peer_start (&peer, hold, false, NULL);
  g_autofree char *rows = g_strdup_printf ("url = \"https://127.0.0.1:%1$u/:key\", \"https://127.0.0.1:%1$u/:key\", \"https://127.0.0.1:%1$u/:key\", "
                                           "\"https://127.0.0.1:%1$u/:key\", \"https://127.0.0.1:%1$u/:key\"\nconnect_timeout = 1s\n", peer.port);
  EkInstance *self = ek_test_instance ("http", rows);
  gint64 begin = g_get_monotonic_time ();
  g_assert_cmpstr (ask (self, "k"), ==, "[defer]");
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 4 * G_USEC_PER_SEC);
  assert_why ("cannot connect");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

/* Too long for one of the servers is too long, whichever is asked. */
static void
test_http_several_long (void)
{
  const char *yes = json ("\"x\""), *const good[] = { yes, yes, NULL };
  g_autofree char *key = g_strnfill (8100, 'x'), *path = g_strnfill (200, 'p');
  Peer peer;

  peer_start (&peer, good, true, NULL);
  g_autofree char *rows = g_strdup_printf ("url = \"http://127.0.0.1:%1$u/:key\", \"http://127.0.0.1:%1$u/%2$s/:key\"\n", peer.port, path);
  EkInstance *self = ek_test_instance ("http", rows);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpstr (ask (self, key), ==, "[notfound]");
  g_assert_cmpuint (heard (&peer), ==, 0);
  g_assert_cmpstr (ask (self, "k"), ==, "x");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static EkStatus
run_pass (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->passdb->lookup (self, call, "anna@a.test", data);
}

static EkStatus
run_login (EkInstance *self, EkCall *call, gpointer data)
{
  EkAccount account;

  call->login = data;
  return self->module->passdb->lookup (self, call, "anna@a.test", &account);
}

/* The status of a login's question, or of one that no login asks. */
static EkStatus
ask_login (EkInstance *self, const char *client)
{
  EkLogin login = { .service = "imap", .name = "anna@a.test", .given = "anna@a.test", .secret = EK_STR ("x"), .client = client };
  g_autoptr (GError) error = NULL;
  EkStatus status = ek_op_call (self, pool, 0, run_login, client ? &login : NULL, &error);

  g_free (why);
  why = g_strdup (error ? error->message : "");
  return status;
}

/* What only a login has, in the path, behind the ? and in JSON; escaped as all else. */
static void
test_http_login (void)
{
  const char *yes = json ("{\"password\":\"{PLAIN}x\"}"), *const answers[] = { yes, yes, yes, yes, yes, yes, NULL };
  Peer peer;

  peer_start (&peer, answers, true, NULL);
  EkInstance *self = make_http (&peer, "password_url = \"URL/:user?s=:service&c=:client\"\n");
  g_assert_cmpint (ask_login (self, "fe80::1%a/&x=y"), ==, EK_OK);
  assert_lines (&peer, "GET /anna%40a.test?s=imap&c=fe80%3A%3A1%25a%2F%26x%3Dy HTTP/1.1\r\n", "");
  g_assert_cmpint (ask_login (self, NULL), ==, EK_OK);
  assert_lines (&peer, "GET /anna%40a.test?s=&c= HTTP/1.1\r\n", "");
  ek_test_instance_free (self);
  self = make_http (&peer, "password_url = \"URL/:client/:user\"\nuser_url = \"URL/:user\"\n");
  g_assert_cmpint (ask_login (self, "192.0.2.1"), ==, EK_OK);
  assert_lines (&peer, "GET /192.0.2.1/anna%40a.test HTTP/1.1\r\n", "");
  g_assert_cmpint (ask_login (self, "../../x"), ==, EK_OK);
  assert_lines (&peer, "GET /..%2F..%2Fx/anna%40a.test HTTP/1.1\r\n", "");
  g_assert_cmpint (ask_login (self, ".."), ==, EK_NOTFOUND);
  g_assert_cmpint (ask_login (self, NULL), ==, EK_DEFER);            /* nobody is unknown because of it */
  assert_why ("nobody logs in, so there is no :client for its path");
  ek_test_instance_free (self);
  self = make_http (&peer, "password_url = \"URL/p\"\npost = user, service, client\n");
  g_assert_cmpint (ask_login (self, "a\"b"), ==, EK_OK);
  assert_lines (&peer, "POST /p HTTP/1.1\r\n", "{\"user\":\"anna@a.test\",\"service\":\"imap\",\"client\":\"a\\\"b\"}");
  g_assert_cmpint (ask_login (self, NULL), ==, EK_OK);
  assert_lines (&peer, "POST /p HTTP/1.1\r\n", "{\"user\":\"anna@a.test\",\"service\":\"\",\"client\":\"\"}");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_http_users (void)
{
  const char *const answers[] = {
    json ("{\"password\":\"{PLAIN}x\",\"nologin\":false}"), json ("{\"home\":null}"), CODE ("404 No"), json ("5 "), NULL
  };
  EkUserLookup user = { .name = "anna@a.test" };
  EkAccount account;
  Peer peer;

  peer_start (&peer, answers, true, NULL);
  EkInstance *self = make_http (&peer, "password_url = \"URL/p/:user\"\nuser_url = \"URL/u/:user\"\nhome = \"/m/%d/%n\"\nuid = 5000\n");
  g_assert_cmpint (ek_op_call (self, pool, 0, run_pass, &account, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (account.stored, EK_STR ("{PLAIN}x")));
  g_assert_cmpuint (account.n_fields, ==, 0);      /* "nologin": false lets in */
  g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_user, &user, NULL), ==, EK_OK);
  g_assert_cmpstr (user.user.home, ==, "/m/a.test/anna");
  g_assert_cmpint (user.user.uid, ==, 5000);
  g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_user, &user, NULL), ==, EK_NOTFOUND);
  g_assert_cmpstr (ask (self, "a"), ==, "[defer]");
  assert_why ("url is not set");
  ek_test_instance_free (self);
  peer_stop (&peer);
}

static void
test_settings (void)
{
  static const struct { const char *settings, *says; } cases[] = {
    { "http \"t\" { }", "set url" },
    { "http \"t\" { url = \"ftp://x/:key\" }", "begins with https://" },
    { "http \"t\" { url = \"https:///:key\" }", "no host" },
    { "http \"t\" { url = \"https://:domain/:key\" }", "no host" },
    { "http \"t\" { url = \"https://x.:domain/:key\" }", "more than a port" },
    { "http \"t\" { url = \"https://me:pw@x/:key\" }", "see token" },
    { "http \"t\" { url = \"https://x/all\" }", "it has no parameter" },
    { "http \"t\" { user_url = \"https://x/:usr\" }", "user_url: here is no parameter :usr" },
    { "http \"t\" { user_url = \"https://x/:user?:service\" }", "user_url: here is no parameter :service: there are :user, :local and :domain" },
    { "http \"t\" { password_url = \"https://x/:helo\" }", "password_url: here is no parameter :helo: there are :user, :local and :domain, and :service and :client" },
    { "http \"t\" { password_url = \"https://x/\"\npost = user, helo }", "post: here is no parameter :helo" },
    { "http \"t\" { password_url = \"https://x/\"\nuser_url = \"https://x/u\"\npost = user, service }", "post: here is no parameter :service" },
    { "http \"t\" { url = \"https://x/:key\", \"https://y/all\" }", "url: https://y/all: it has no parameter" },
    { "http \"t\" { user_url = \"https://x/:user\", \"https://y/:usr\" }", "user_url: here is no parameter :usr" },
    { "http \"t\" { url = \"https://x:70000/:key\" }", "url: hosts: \"x:70000\": the port" },
    { "http \"t\" { url = \"https://x/:key#a\" }", "has a #" },
    { "http \"t\" { url = \"http://api.example.com/:key\" }", "in the clear" },
    { "http \"t\" { url = \"https://x/:key\"\ntls_key = /x }", "set both or none" },
    { "http \"t\" { url = \"https://x/:key\"\ntoken = \"a b\" }", "token: " },
    { "http \"t\" { url = \"https://x/:key\"\nhome = \"/x/%q\" }", "home: " },
    { "http \"t\" { url = \"https://x/:key\"\nuid = \"no such account\" }", "uid: " },
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
  g_test_add_func ("/http/get", test_http);
  g_test_add_func ("/http/post", test_http_post);
  g_test_add_func ("/http/answers", test_http_answers);
  g_test_add_func ("/http/slow", test_http_slow);
  g_test_add_func ("/http/several", test_http_several);
  g_test_add_func ("/http/several/away", test_http_several_away);
  g_test_add_func ("/http/several/late", test_http_several_late);
  g_test_add_func ("/http/several/hurry", test_http_several_hurry);
  g_test_add_func ("/http/several/connect", test_http_several_connect);
  g_test_add_func ("/http/several/long", test_http_several_long);
  g_test_add_func ("/http/login", test_http_login);
  g_test_add_func ("/http/users", test_http_users);
  g_test_add_func ("/http/settings", test_settings);
  return run_tests ();
}
