/* test-ldap.c - filters and names with parameters, attributes as columns, the block's checks, servers that do not answer
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "../../modules/ldap/template.h"
#include "module/call.h"
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- escaping ---- */

static void
assert_escaped (void (*escape) (EkBuf *, EkStr), EkStr value, const char *want)
{
  EkBuf out = { 0 };

  escape (&out, value);
  ek_buf_appendc (&out, '\0');
  g_assert_cmpstr (ek_buf_at (&out), ==, want);
  ek_buf_release (&out);
}

static void
test_escape (void)
{
  assert_escaped (ldapc_escape_filter, EK_STR ("anna@a.test"), "anna@a.test");
  assert_escaped (ldapc_escape_filter, EK_STR ("*)(uid=*\\"), "\\2a\\29\\28uid=\\2a\\5c");
  assert_escaped (ldapc_escape_filter, EK_STR ("a\0b"), "a\\00b");
  assert_escaped (ldapc_escape_filter, EK_STR ("K\303\244thi &|!"), "K\303\244thi &|!");
  assert_escaped (ldapc_escape_filter, EK_STR (""), "");
  assert_escaped (ldapc_escape_dn, EK_STR ("anna"), "anna");
  assert_escaped (ldapc_escape_dn, EK_STR ("a,b+c\"d\\e<f>g;h=i"), "a\\2cb\\2bc\\22d\\5ce\\3cf\\3eg\\3bh\\3di");
  assert_escaped (ldapc_escape_dn, EK_STR (" a b "), "\\20a b\\20");
  assert_escaped (ldapc_escape_dn, EK_STR ("#a#"), "\\23a#");
  assert_escaped (ldapc_escape_dn, EK_STR (" "), "\\20");
  assert_escaped (ldapc_escape_dn, EK_STR ("a\0b"), "a\\00b");
  assert_escaped (ldapc_escape_dn, EK_STR ("*()"), "*()");
}

/* ---- templates ---- */

static void
assert_parsed (LdapPlace place, const char *text, const char *params, const char *equalities)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) names = g_string_new (NULL), equal = g_string_new (NULL);
  LdapTemplate *t = ldapc_template_parse (pool, "filter", place, text, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < t->n_params; i++)
    g_string_append_printf (names, "%s%s", i ? " " : "", t->pieces[i].param);
  for (guint i = 0; i < t->n_equalities; i++)
    g_string_append_printf (equal, "%s%s=%s", i == 0 ? "" : t->equalities[i].group == t->equalities[i - 1].group ? "|" : " ",
                            t->equalities[i].attribute, t->equalities[i].param);
  g_assert_cmpuint (t->n_pieces, ==, t->n_params + 1);
  g_assert_null (t->pieces[t->n_params].param);
  g_assert_cmpstr (names->str, ==, params);
  g_assert_cmpstr (equal->str, ==, equalities);
}

static void
assert_wrong (const char *text, const char *says)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;

  g_assert_null (ldapc_template_parse (pool, "user_filter", LDAPC_FILTER, text, &error));
  g_assert_true (g_str_has_prefix (error->message, "user_filter: "));
  if (!strstr (error->message, says))
    g_error ("\"%s\" gave \"%s\"", text, error->message);
}

static void
test_parse (void)
{
  assert_parsed (LDAPC_FILTER, "(mail=:user)", "user", "mail=user");
  assert_parsed (LDAPC_FILTER, "(&(objectClass=posixAccount)(|(mail=:user)(uid=:local)))", "user local", "mail=user|uid=local");
  assert_parsed (LDAPC_FILTER, "(&(a=:user)(|(b=:user)(&(c=:user)(d=:user)))(e=:user))", "user user user user user", "a=user b=user|c=user|d=user e=user");
  assert_parsed (LDAPC_FILTER, "( & (a=:user)\n (!(b=:user)) (c=:user) )", "user user user", "a=user c=user");
  assert_parsed (LDAPC_FILTER, "(!(&(a=:user)(b=:user)))", "user user", "");
  assert_parsed (LDAPC_FILTER, "(mail=:local*)", "local", "");
  assert_parsed (LDAPC_FILTER, "(mail=*@:domain)", "domain", "");
  assert_parsed (LDAPC_FILTER, "(proxyAddresses=smtp::user)", "user", "");
  assert_parsed (LDAPC_FILTER, "(uidNumber>=:key)", "key", "");
  assert_parsed (LDAPC_FILTER, "(memberOf:1.2.840.113556.1.4.1941:=cn=x,dc=y)", "", "");
  assert_parsed (LDAPC_FILTER, "(cn:caseExactMatch:=:user)", "user", "");
  assert_parsed (LDAPC_FILTER, "(url=http\\3a//x)", "", "");
  assert_parsed (LDAPC_FILTER, "(a=12:30)", "", "");
  assert_parsed (LDAPC_FILTER, "(userCertificate;binary=:user)", "user", "userCertificate;binary=user");
  assert_parsed (LDAPC_FILTER, "(&)", "", "");
  assert_parsed (LDAPC_DN, "uid=:local,ou=people,dc=example", "local", "");
  assert_parsed (LDAPC_DN, ":user", "user", "");
  assert_parsed (LDAPC_DN, "", "", "");
  assert_wrong ("", "begins with no (");
  assert_wrong ("mail=:user", "begins with no (");
  assert_wrong ("(mail=:user", "not closed");
  assert_wrong ("(&(mail=:user)", "not closed");
  assert_wrong ("(mail=:user))", "behind the last )");
  assert_wrong ("(mail=:user)(uid=x)", "behind the last )");
  assert_wrong ("(&(mail=:user)x)", "between two conditions");
  assert_wrong ("(:user=x)", "stands only in its value");
  assert_wrong ("(mail)", "attribute=value");
  assert_wrong ("()", "attribute=value");
  assert_wrong ("(=x)", "attribute=value");
  assert_wrong ("(mail=a(b)", "\\28");
  assert_wrong ("(mail=a\\b)", "\\5c");
  assert_wrong ("(mail=a\\2)", "\\5c");
  g_autoptr (GString) many = g_string_new ("(|");
  for (guint i = 0; i <= LDAPC_PARAMS_MAX; i++)
    g_string_append (many, "(a=:user)");
  assert_wrong (g_string_append_c (many, ')')->str, "too many");
  g_autofree char *deep = g_strnfill (100000, '(');
  assert_wrong (deep, "attribute=value");
}

static void
assert_expanded (LdapPlace place, const char *text, EkStr key, EkStatus status, const char *want)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  EkParam param = { "service", EK_STR ("im)a,p") };
  char *made = NULL;
  LdapTemplate *t = ldapc_template_parse (pool, "filter", place, text, NULL);

  g_assert_cmpint (ldapc_template_expand (t, pool, &(EkQuery) { .key = key, .params = &param, .n_params = 1 }, &made, &error), ==, status);
  g_assert_cmpstr (made, ==, want);
  g_assert_true ((error != NULL) == (status == EK_DEFER));
}

static void
test_expand (void)
{
  assert_expanded (LDAPC_FILTER, "(&(a=:user)(b=:local)(c=:domain)(d=:service))", EK_STR ("x@y@z.test"), EK_OK,
                   "(&(a=x@y@z.test)(b=x@y)(c=z.test)(d=im\\29a,p))");
  assert_expanded (LDAPC_FILTER, "( & (a=:user) (b=c d) )", EK_STR ("x"), EK_OK, "(&(a=x)(b=c d))");
  assert_expanded (LDAPC_FILTER, "(mail=:user)", EK_STR ("*)(objectClass=*"), EK_OK, "(mail=\\2a\\29\\28objectClass=\\2a)");
  assert_expanded (LDAPC_DN, "uid=:local,ou=:domain", EK_STR ("a,ou=x@b+c"), EK_OK, "uid=a\\2cou\\3dx,ou=b\\2bc");
  assert_expanded (LDAPC_DN, "uid=:local,ou=:service", EK_STR ("a@b"), EK_OK, "uid=a,ou=im)a\\2cp");
  assert_expanded (LDAPC_FILTER, "(mail=:local*)", EK_STR ("@a.test"), EK_NOTFOUND, NULL);     /* not (mail=*) */
  assert_expanded (LDAPC_FILTER, "(c=:domain)", EK_STR ("anna"), EK_NOTFOUND, NULL);
  assert_expanded (LDAPC_FILTER, "(mail=:user)", EK_STR ("a\0b"), EK_NOTFOUND, NULL);
  assert_expanded (LDAPC_FILTER, "(mail=:user)", EK_STR ("\xff\xfe"), EK_NOTFOUND, NULL);
  assert_expanded (LDAPC_FILTER, "(mail=:usr)", EK_STR ("anna"), EK_DEFER, NULL);
  assert_expanded (LDAPC_DN, "dc=example", EK_STR (""), EK_OK, "dc=example");
  assert_expanded (LDAPC_DN, "cn=:user", EK_STR ("K\303\244thi M"), EK_OK, "cn=K\303\244thi M");
  static const char *const vague[] = { " anna", "anna ", "an  na", "\357\275\201nna", "an\302\255na", "an\342\200\213na", "anna\357\270\217" };
  for (guint i = 0; i < G_N_ELEMENTS (vague); i++)
    assert_expanded (LDAPC_DN, "cn=:user", ek_str (vague[i]), EK_NOTFOUND, NULL);
}

/* ---- columns ---- */

static void
test_columns (void)
{
  static const struct { const char *item, *says; } bad[] = {
    { "", "expected attribute" }, { "a b", "expected attribute" }, { "a=", "no column" }, { "=x", "=column=text" }, { "==x", "=column=text" },
    { "=home=/x/%q", "%q" },
  };
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *items[] = { "Mail", "homeDirectory=home", "maildrop=mail", "=quota_rule=*:storage=1G", "=x=", NULL };
  LdapColumns *c = ldapc_columns_parse (pool, "attributes", (char **) items, NULL);

  g_assert_cmpuint (c->n_columns, ==, 4);
  g_assert_cmpuint (c->n_sources, ==, 5);
  g_assert_cmpstr (c->names[0], ==, "mail");
  g_assert_cmpstr (c->names[1], ==, "home");
  g_assert_cmpuint (c->sources[2].column, ==, 0);
  g_assert_null (c->sources[3].attribute);
  g_assert_cmpstr (c->sources[3].literal, ==, "*:storage=1G");
  g_assert_cmpstr (c->sources[4].literal, ==, "");
  LdapTemplate *filter = ldapc_template_parse (pool, "filter", LDAPC_FILTER, "(|(uid=:user)(mail=:user)(!(cn=:user)))", NULL);
  char **attributes = ldapc_attributes (pool, c, filter);
  g_autofree char *all = g_strjoinv (" ", attributes);
  g_assert_cmpstr (all, ==, "Mail homeDirectory maildrop uid");
  char *none[] = { NULL };
  filter = ldapc_template_parse (pool, "filter", LDAPC_FILTER, "(mail=*)", NULL);
  attributes = ldapc_attributes (pool, ldapc_columns_parse (pool, "attributes", none, NULL), filter);
  g_assert_cmpstr (attributes[0], ==, "1.1");
  g_assert_null (attributes[1]);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    char *one[] = { (char *) bad[i].item, NULL };
    g_assert_null (ldapc_columns_parse (pool, "attributes", one, &error));
    if (!strstr (error->message, bad[i].says))
      g_error ("\"%s\" gave \"%s\"", bad[i].item, error->message);
  }
}

/* ---- the block ---- */

static void
test_settings (void)
{
  static const struct { const char *rows, *says; } cases[] = {
    { "user_filter = \"(mail=:user)\"", "needs a setting \"uris\"" },
    { "uris = []\nuser_filter = \"(mail=:user)\"", "uris is empty" },
    { "uris = ldap.example.com\nuser_filter = \"(mail=:user)\"", "it is no URI" },
    { "uris = http://x\nuser_filter = \"(mail=:user)\"", "it is no URI" },
    { "uris = ldapi://\nuser_filter = \"(mail=:user)\"", "names no socket" },
    { "uris = \"ldap://x/dc=x\"\nuser_filter = \"(mail=:user)\"", "that is what base is for" },
    { "uris = ldap://x\ntls = on\nuser_filter = \"(mail=:user)\"", "ldaps:// alone" },
    { "uris = ldap://x\ntls = maybe\nuser_filter = \"(mail=:user)\"", "one of auto" },
    { "uris = ldap://x\nca_file = ca.pem\nuser_filter = \"(mail=:user)\"", "ca_file: \"ca.pem\" is not absolute" },
    { "uris = ldap://x\nbind_dn = \"cn=x\"\nuser_filter = \"(mail=:user)\"", "go together" },
    { "uris = ldap://x\nbind_password = x\nuser_filter = \"(mail=:user)\"", "go together" },
    { "uris = ldap://x", "answers no question" },
    { "uris = ldap://x\nuser_filter = \"(mail=:user\"", "user_filter: " },
    { "uris = ldap://x\nuser_filter = \"(mail=:usr)\"", "no parameter :usr" },
    { "uris = ldap://x\nuser_filter = \"(&(mail=:user)(host=:client))\"", "user_filter: here is no parameter :client: there are :user, :local and :domain" },
    { "uris = ldap://x\npassword_filter = \"(mail=:user)\"\nuser_filter = \"(a=:service)\"", "user_filter: here is no parameter :service" },
    { "uris = ldap://x\npassword_filter = \"(a=:usr)\"",
      "password_filter: here is no parameter :usr: there are :user, :local and :domain, and :service and :client" },
    { "uris = ldap://x\npassword_filter = \"(a=:user)\"\nbase = \"ou=:service\"", "base: here is no parameter :service" },
    { "uris = ldap://x\nauth_bind = yes\nuser_dn = \"uid=:usr\"", "user_dn: here is no parameter :usr" },
    { "uris = ldap://x\nfilter = \"(mail=:user)\"", "attributes is empty" },
    { "uris = ldap://x\nuser_dn = \"uid=:user\"", "auth_bind = yes" },
    { "uris = ldap://x\nauth_bind = yes\nuser_dn = \"uid=x\"", "one entry for all" },
    { "uris = ldap://x\nusers_filter = \"(mail=:user)\"", "no parameters" },
    { "uris = ldap://x\nbase = \"o=:domain\"\nusers_filter = \"(mail=*)\"", "base has parameters" },
    { "uris = ldap://x\nuser_filter = \"(mail=:user)\"\nhome = \"/x/%q\"", "home: " },
    { "uris = ldap://x\nuser_filter = \"(mail=:user)\"\nuid = \"no such account\"", "uid: " },
    { "uris = ldap://x\nuser_filter = \"(mail=:user)\"\nuser_attributes = \"a b\"", "user_attributes: " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = g_strdup_printf ("ldap \"test\" {\n%s\n}\n", cases[i].rows), *said = NULL;
    EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, &said);
    if (gen || !strstr (said, cases[i].says))
      g_error ("%s gave \"%s\"", cases[i].rows, said);
  }
}

static void
test_presets (void)
{
  static const char *const names[] = { "ldap-posix", "ldap-ad" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *rows = g_strdup_printf ("uris = ldap://ldap.example.com\nbase = \"dc=x\"\ninclude \"%s/etc/presets/%s.conf\"", EK_SRCDIR, names[i]);
    ek_test_instance_free (ek_test_instance ("ldap", rows));
  }
}

/* ---- attributes as an entry shows them ---- */

static void
assert_shown (EkStr name, const char *attribute, LdapShown shown, guint first, guint last)
{
  LdapRange range;

  g_assert_cmpint (ldapc_attribute_shown (name, ek_str (attribute), &range), ==, shown);
  if (shown == LDAPC_PART || shown == LDAPC_WHOLE) {
    g_assert_cmpuint (range.first, ==, first);
    g_assert_cmpuint (range.last, ==, last);
  }
}

static void
test_shown (void)
{
  static const EkStr other[] = {
    EK_STR (""), EK_STR ("membe"), EK_STR ("members"), EK_STR ("member;"), EK_STR ("member;lang-en"), EK_STR ("memberOf;range=0-9"),
    EK_STR ("memb;range=0-9"), EK_STR (";range=0-9"), EK_STR ("member;ranges=0-9"), EK_STR ("member;lang-en;range=0-9"), EK_STR ("member\0"),
  };
  static const EkStr nonsense[] = {
    EK_STR ("member;range="), EK_STR ("member;range=-"), EK_STR ("member;range=5"), EK_STR ("member;range=5-"), EK_STR ("member;range=-5"),
    EK_STR ("member;range=*"), EK_STR ("member;range=*-5"), EK_STR ("member;range=9-5"), EK_STR ("member;range=0-9x"), EK_STR ("member;range= 0-9"),
    EK_STR ("member;range=0-9-12"), EK_STR ("member;range=+0-9"), EK_STR ("member;range=0x0-9"), EK_STR ("member;range=0-**"),
    EK_STR ("member;range=0-4294967295"), EK_STR ("member;range=4294967295-*"), EK_STR ("member;range=0-18446744073709551617"),
    EK_STR ("member;range=0-9;range=10-19"), EK_STR ("member;range=0-9;range=0-9"), EK_STR ("member;range=x;range=0-9"), EK_STR ("member;range=0-9\0"),
  };

  assert_shown (EK_STR ("member"), "member", LDAPC_WHOLE, 0, LDAPC_LAST);
  assert_shown (EK_STR ("MEMBER"), "member", LDAPC_WHOLE, 0, LDAPC_LAST);
  assert_shown (EK_STR ("cn;lang-en"), "cn;Lang-EN", LDAPC_WHOLE, 0, LDAPC_LAST);
  assert_shown (EK_STR ("member;range=0-1499"), "member", LDAPC_PART, 0, 1499);
  assert_shown (EK_STR ("Member;Range=1500-*"), "mEMBER", LDAPC_PART, 1500, LDAPC_LAST);
  assert_shown (EK_STR ("member;range=0-0"), "member", LDAPC_PART, 0, 0);
  assert_shown (EK_STR ("member;range=4294967294-4294967294"), "member", LDAPC_PART, 4294967294, 4294967294);
  assert_shown (EK_STR ("cn;lang-en;range=0-9"), "cn;lang-en", LDAPC_PART, 0, 9);
  assert_shown (EK_STR ("cn;range=0-9;lang-en"), "cn;lang-en", LDAPC_PART, 0, 9);
  for (guint i = 0; i < G_N_ELEMENTS (other); i++)
    assert_shown (other[i], "member", LDAPC_OTHER, 0, 0);
  for (guint i = 0; i < G_N_ELEMENTS (nonsense); i++)
    assert_shown (nonsense[i], "member", LDAPC_NONSENSE, 0, 0);
}

/* ---- servers that do not answer ---- */

static int
listen_on (guint32 host, guint16 *port, int backlog)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (host), .sin_port = htons (*port) };
  socklen_t size = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, backlog), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &address, &size), ==, 0);
  *port = ntohs (address.sin_port);
  return fd;
}

static int
listen_at (guint16 *port)
{
  *port = 0;
  return listen_on (INADDR_LOOPBACK, port, 16);
}

static EkStatus
run_verify (EkInstance *self, EkCall *call, gpointer data)
{
  EkLogin login = { .service = "imap", .name = "anna@a.test", .given = "anna@a.test", .secret = EK_STR ("x"), .client = "unix" };
  EkAccount account;

  return self->module->passdb->verify (self, call, &login, &account);
}

/* The map, and where the block binds a login too, are deferred, and say why. */
static void
assert_deferred (const char *rows, const char *says)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *all = g_strdup_printf ("connect_timeout = 300ms\ntimeout = 300ms\nfilter = \"(mail=:user)\"\nattributes = mail\n%s", rows);
  EkInstance *self = ek_test_instance ("ldap", all);
  EkLookup lookup = { .query.key = EK_STR ("anna@a.test") };

  g_assert_cmpint (ek_op_call (self, pool, 0, ek_run_lookup, &lookup, &error), ==, EK_DEFER);
  if (!strstr (error->message, says))
    g_error ("%s gave \"%s\"", rows, error->message);
  if (strstr (rows, "auth_bind"))
    g_assert_cmpint (ek_op_call (self, pool, 0, run_verify, NULL, NULL), ==, EK_DEFER);
  ek_test_instance_free (self);
}

static gpointer
babble (gpointer data)
{
  int fd, listener = GPOINTER_TO_INT (data);

  while ((fd = accept (listener, NULL, NULL)) >= 0) {
    g_assert_cmpint (send (fd, "220 this is no LDAP\r\n", 21, MSG_NOSIGNAL), ==, 21);
    close (fd);
  }
  return NULL;
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->each (self, call, NULL, NULL);
}

/* Without users_filter it cannot list: no mistake that would end the list of all other backends. */
static void
assert_lists_nobody (guint16 port)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *rows = g_strdup_printf ("uris = ldap://127.0.0.1:%u\nuser_filter = \"(mail=:user)\"\n", port);
  EkInstance *self = ek_test_instance ("ldap", rows);

  g_assert_cmpint (ek_op_call (self, pool, 0, run_each, NULL, NULL), ==, EK_NOTFOUND);
  ek_test_instance_free (self);
}

static EkStatus
run_pass (EkInstance *self, EkCall *call, gpointer data)
{
  EkAccount account;

  return self->module->passdb->lookup (self, call, "anna@a.test", &account);
}

/* What a block says to a question about a password that no login asks; is it a userdb? */
static void
assert_no_login (guint16 port, const char *rows, bool users, const char *says)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *all = g_strdup_printf ("uris = ldap://127.0.0.1:%u\ntimeout = 300ms\n%s", port, rows);
  EkInstance *self = ek_test_instance ("ldap", all);

  g_assert_cmpint (ek_op_call (self, pool, 0, run_pass, NULL, &error), ==, EK_DEFER);
  g_assert_cmpint (self->module->lacks (self, "userdb") == NULL, ==, users);
  g_assert_null (self->module->lacks (self, "passdb"));
  if (!strstr (error->message, says))
    g_error ("%s gave \"%s\"", rows, error->message);
  ek_test_instance_free (self);
}

/* Nobody is unknown because :service has no value: that is put off, or user_filter is asked. */
static void
test_no_login (void)
{
  guint16 port;
  int silent = listen_at (&port);

  assert_no_login (port, "password_filter = \"(&(mail=:user)(a=:service))\"", false, "there is no :service and no :client: set user_filter");
  assert_no_login (port, "password_filter = \"(a=:client)\"\nuser_filter = \"(mail=:user)\"", true, "no answer in time");
  assert_no_login (port, "auth_bind = yes\npassword_filter = \"(a=:client)\"", false, "set user_filter");
  assert_no_login (port, "password_filter = \"(a=:user)\"", true, "no answer in time");
  close (silent);
}

static void
test_silence (void)
{
  guint16 port, gone;
  int silent = listen_at (&port);
  g_autofree char *plain = NULL, *bound = NULL, *secure = NULL, *starttls = NULL, *both = NULL, *closed = NULL;

  close (listen_at (&gone));
  plain = g_strdup_printf ("uris = ldap://127.0.0.1:%u\nauth_bind = yes\nuser_dn = \"uid=:user\"", port);
  bound = g_strdup_printf ("uris = ldap://127.0.0.1:%u\nbind_dn = \"cn=x\"\nbind_password = x", port);
  secure = g_strdup_printf ("uris = ldaps://127.0.0.1:%u\ntls_verify = no", port);
  starttls = g_strdup_printf ("uris = ldap://127.0.0.1:%u\ntls_verify = no\ntls = starttls", port);
  both = g_strdup_printf ("uris = ldap://127.0.0.1:%u, ldaps://127.0.0.1:%u\ntls_verify = no", gone, port);
  closed = g_strdup_printf ("uris = ldap://127.0.0.1:%u", gone);
  assert_deferred (plain, "no answer in time");
  assert_deferred (bound, "no answer in time");
  assert_deferred (secure, "no answer to the beginning of TLS");
  assert_deferred (starttls, "no answer in time");
  assert_deferred (closed, "refused");
  assert_deferred (both, "refused");
  assert_deferred (both, "no answer to the beginning of TLS");
  assert_deferred ("uris = ldapi://%2Fnonexistent%2Fldapi", "No such file");
  assert_lists_nobody (port);
  close (silent);
}

/* A resolver that hangs, in place of the system's: until it is let go. */
static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_cond = PTHREAD_COND_INITIALIZER;
static bool resolver_go, resolver_asked, resolver_over;

int
getaddrinfo (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
  int (*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym (RTLD_NEXT, "getaddrinfo");
  struct timespec patience;

  if (g_strcmp0 (node, "two.test") == 0) {         /* of which nothing answers at the first */
    g_assert_cmpint (real ("127.0.0.2", service, hints, list), ==, 0);
    return real ("127.0.0.1", service, hints, &(*list)->ai_next);
  }
  if (g_strcmp0 (node, "hangs.test") != 0)
    return real (node, service, hints, list);
  clock_gettime (CLOCK_REALTIME, &patience);
  patience.tv_sec += 60;
  pthread_mutex_lock (&resolver_lock);
  resolver_asked = true;
  while (!resolver_go && pthread_cond_timedwait (&resolver_cond, &resolver_lock, &patience) == 0)
    ;
  resolver_over = true;
  pthread_cond_broadcast (&resolver_cond);
  pthread_mutex_unlock (&resolver_lock);
  return EAI_AGAIN;
}

static void
test_resolver (void)
{
  assert_deferred ("uris = ldap://hangs.test", "the name server did not answer in time");
  pthread_mutex_lock (&resolver_lock);
  g_assert_true (resolver_asked);
  g_assert_false (resolver_over);                  /* nobody waited for it */
  resolver_go = true;
  pthread_cond_broadcast (&resolver_cond);
  while (!resolver_over)
    pthread_cond_wait (&resolver_cond, &resolver_lock);
  pthread_mutex_unlock (&resolver_lock);
}

/* A name's first address that drops all that comes leaves time for the second. */
static void
test_two (void)
{
  guint16 port;
  int silent = listen_at (&port), full = listen_on (INADDR_LOOPBACK + 1, &port, 0), fds[4];
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK + 1), .sin_port = htons (port) };
  g_autofree char *rows = g_strdup_printf ("uris = ldap://two.test:%u\ntls = off", port);

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++) {           /* its queue of connections is full from now on */
    fds[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void) connect (fds[i], (struct sockaddr *) &address, sizeof address);
  }
  assert_deferred (rows, "no answer in time");
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  close (full);
  close (silent);
}

static void
test_babble (void)
{
  guint16 port;
  int listener = listen_at (&port);
  GThread *thread = g_thread_new ("babble", babble, GINT_TO_POINTER (listener));
  g_autofree char *plain = g_strdup_printf ("uris = ldap://127.0.0.1:%u\nauth_bind = yes\nuser_dn = \"uid=:user\"", port);
  g_autofree char *secure = g_strdup_printf ("uris = ldaps://127.0.0.1:%u\ntls_verify = no", port);
  g_autofree char *missing = g_strdup_printf ("uris = ldaps://127.0.0.1:%u\nca_file = /nonexistent/ca.pem", port);

  assert_deferred (plain, "127.0.0.1");
  assert_deferred (secure, "TLS with 127.0.0.1 fails");
  assert_deferred (missing, "ca_file: cannot read");
  shutdown (listener, SHUT_RDWR);
  g_thread_join (thread);
  close (listener);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  signal (SIGPIPE, SIG_IGN);
  g_test_add_func ("/ldap/escape", test_escape);
  g_test_add_func ("/ldap/parse", test_parse);
  g_test_add_func ("/ldap/expand", test_expand);
  g_test_add_func ("/ldap/columns", test_columns);
  g_test_add_func ("/ldap/shown", test_shown);
  g_test_add_func ("/ldap/settings", test_settings);
  g_test_add_func ("/ldap/presets", test_presets);
  g_test_add_func ("/ldap/no_login", test_no_login);
  g_test_add_func ("/ldap/silence", test_silence);
  g_test_add_func ("/ldap/babble", test_babble);
  g_test_add_func ("/ldap/two", test_two);
  g_test_add_func ("/ldap/resolver", test_resolver);
  return g_test_run ();
}
