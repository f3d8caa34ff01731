/* test-address.c - paths, keys and lists of addresses
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "../lib/slow.h"
#include "mail/address.h"
#include <string.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

typedef struct {
  const char *text;
  guint       flags;
  const char *address;               /* NULL: refused */
  const char *local, *domain;
} PathCase;

static const PathCase paths[] = {
  { "<a@b.example>", 0, "a@b.example", "a", "b.example" },
  { "<a@localhost>", 0, "a@localhost", "a", "localhost" },
  { "<A.b+c@B.Example>", 0, "A.b+c@B.Example", "A.b+c", "B.Example" },
  { "<\"a b\"@c>", 0, "\"a b\"@c", "a b", "c" },
  { "<\"ab\"@c>", 0, "ab@c", "ab", "c" },
  { "<\"a\\\"\\\\b\"@c>", 0, "\"a\\\"\\\\b\"@c", "a\"\\b", "c" },
  { "<\"\"@c>", 0, "\"\"@c", "", "c" },
  { "<\"a@b\"@c>", 0, "\"a@b\"@c", "a@b", "c" },
  { "<@x.example,@y.example:a@b>", 0, "a@b", "a", "b" },
  { "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", "a", "[192.0.2.1]" },
  { "<a@[IPv6:2001:db8::1]>", 0, "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]" },
  { "<" A64 "@b>", 0, A64 "@b", A64, "b" },
  { "<>", EK_PATH_EMPTY, "", "", "" },
  { "<Postmaster>", EK_PATH_POSTMASTER, "Postmaster", "Postmaster", "" },
  { "<root>", EK_PATH_NODOMAIN, "root", "root", "" },
  { "<a..b@c>", EK_PATH_LAX, "\"a..b\"@c", "a..b", "c" },
  { "<a.@c>", EK_PATH_LAX, "\"a.\"@c", "a.", "c" },
  { "<a@b_c.example.>", EK_PATH_LAX, "a@b_c.example", "a", "b_c.example" },
  { "<\xc3\xa9@b>", EK_PATH_UTF8, "\xc3\xa9@b", "\xc3\xa9", "b" },
  { "<a@\xe4\xbe\x8b.jp>", EK_PATH_UTF8, "a@\xe4\xbe\x8b.jp", "a", "\xe4\xbe\x8b.jp" },
  { "a@b", EK_PATH_BARE, "a@b", "a", "b" },
  /* refused */
  { "<>", 0, NULL, NULL, NULL },
  { "a@b", 0, NULL, NULL, NULL },
  { "<a@b", 0, NULL, NULL, NULL },
  { "<a@b>x", 0, NULL, NULL, NULL },
  { "<a>", 0, NULL, NULL, NULL },
  { "<root>", EK_PATH_POSTMASTER, NULL, NULL, NULL },
  { "<@b>", 0, NULL, NULL, NULL },
  { "<a@>", 0, NULL, NULL, NULL },
  { "<a@@b>", 0, NULL, NULL, NULL },
  { "<a b@c>", 0, NULL, NULL, NULL },
  { "<a..b@c>", 0, NULL, NULL, NULL },
  { "<.a@c>", 0, NULL, NULL, NULL },
  { "<a.@c>", 0, NULL, NULL, NULL },
  { "<a@-b>", 0, NULL, NULL, NULL },
  { "<a@b->", 0, NULL, NULL, NULL },
  { "<a@b..c>", 0, NULL, NULL, NULL },
  { "<a@b.>", 0, NULL, NULL, NULL },
  { "<a@b_c>", 0, NULL, NULL, NULL },
  { "<a@.>", EK_PATH_LAX, NULL, NULL, NULL },
  { "<a@b..>", EK_PATH_LAX, NULL, NULL, NULL },
  { "<." A64 "@b>", EK_PATH_LAX, NULL, NULL, NULL },
  { "<a@[192.0.2]>", 0, NULL, NULL, NULL },
  { "<a@[2001:db8::1]>", 0, NULL, NULL, NULL },
  { "<a@[IPv6:192.0.2.1]>", 0, NULL, NULL, NULL },
  { "<a@[192.0.2.1>", 0, NULL, NULL, NULL },
  { "<a" A64 "@b>", 0, NULL, NULL, NULL },
  { "<a@" A64 "a>", 0, NULL, NULL, NULL },
  { "<\"a@b>", 0, NULL, NULL, NULL },
  { "<\"a\tb\"@c>", 0, NULL, NULL, NULL },
  { "<\"a\"b@c>", 0, NULL, NULL, NULL },
  { "<\"" A64 "\"@c>", 0, NULL, NULL, NULL },
  { "<@x.example a@b>", 0, NULL, NULL, NULL },
  { "<@x:>", 0, NULL, NULL, NULL },
  { "<\xc3\xa9@b>", 0, NULL, NULL, NULL },
  { "<\xc3@b>", EK_PATH_UTF8, NULL, NULL, NULL },
  { "<a@b\xff>", EK_PATH_UTF8, NULL, NULL, NULL },
  { "<a@b\r\nRCPT TO:<x@y>", 0, NULL, NULL, NULL },
  { "", EK_PATH_BARE, NULL, NULL, NULL },
};

static void
test_path (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++) {
    const PathCase *c = &paths[i];
    EkAddress a;
    const char *why = ek_address_path (pool, ek_str (c->text), c->flags, &a, NULL);
    g_test_message ("%s: %s", c->text, why ? why : "fine");
    if (c->address == NULL) {
      g_assert_nonnull (why);
      continue;
    }
    g_assert_cmpstr (why, ==, NULL);
    g_assert_cmpstr (a.address.p, ==, c->address);
    g_assert_cmpstr (a.local.p, ==, c->local);
    g_assert_cmpstr (a.domain.p, ==, c->domain);
    if (a.domain.n > 0) {                            /* the canonical form is stable */
      EkAddress again;
      g_assert_null (ek_address_parse (pool, a.address, c->flags | EK_PATH_UTF8, &again));
      g_assert_true (ek_str_eq (again.address, a.address));
    }
  }
}

static void
test_path_used (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkAddress a;
  gsize used;

  g_assert_null (ek_address_path (pool, EK_STR ("<a@b> SIZE=1"), 0, &a, &used));
  g_assert_cmpuint (used, ==, 5);
  g_assert_null (ek_address_path (pool, EK_STR ("a@b SIZE=1"), EK_PATH_BARE, &a, &used));
  g_assert_cmpuint (used, ==, 3);
  const char *why = ek_address_path (pool, EK_STR ("<\xc3\xa9@b>"), 0, &a, &used);
  g_assert_true (why == ek_address_needs_utf8);
  why = ek_address_path (pool, EK_STR ("<a@\xc3\xa9.example> X"), 0, &a, &used);
  g_assert_true (why == ek_address_needs_utf8);
  g_assert_nonnull (ek_address_path (pool, (EkStr) { "<a\0b@c>", 7 }, 0, &a, NULL));
  g_assert_nonnull (ek_address_path (pool, (EkStr) { "<a@b\0c>", 7 }, 0, &a, NULL));
}

typedef struct {
  const char *text;
  guint       flags;
  const char *delimiters, *key, *tag, *full;
  bool        safe;
} KeyCase;

static const KeyCase keys[] = {
  { "User@Example.COM", 0, NULL, "User@example.com", NULL, "User@example.com", true },
  { "User@Example.COM.", EK_KEY_FOLD, NULL, "user@example.com", NULL, "user@example.com", true },
  { "u+tag+x@e.x", 0, "+", "u@e.x", "tag+x", "u+tag+x@e.x", true },
  { "u-tag@e.x", 0, "+-", "u@e.x", "tag", "u-tag@e.x", true },
  { "u+@e.x", 0, "+", "u@e.x", "", "u+@e.x", true },
  { "+u@e.x", 0, "+", "+u@e.x", NULL, "+u@e.x", true },
  { "Bob", EK_KEY_FOLD, "+", "bob", NULL, "bob", true },
  { "\"a b\"@c", 0, NULL, "a b@c", NULL, "a b@c", true },
  { "\"a\\@b\"@c", 0, NULL, "a@b@c", NULL, "a@b@c", true },
  { "\"ab\"@c", 0, NULL, "ab@c", NULL, "ab@c", true },
  { "a/../b@c", 0, NULL, "a/../b@c", NULL, "a/../b@c", false },
  { "..@c", 0, NULL, "..@c", NULL, "..@c", false },
  { "u@B\xc3\xbc" "CHER.example", 0, NULL, "u@xn--bcher-kva.example", NULL, "u@xn--bcher-kva.example", true },
  { "u@bu\xcc\x88" "cher.example", 0, NULL, "u@xn--bcher-kva.example", NULL, "u@xn--bcher-kva.example", true },
  { "u@\xe4\xbe\x8b\xe3\x80\x82jp", 0, NULL, "u@xn--fsq.jp", NULL, "u@xn--fsq.jp", true },
  { "e\xcc\x81@c", 0, NULL, "\xc3\xa9@c", NULL, "\xc3\xa9@c", true },
  { "\xc3\x89@c", EK_KEY_FOLD, NULL, "\xc3\xa9@c", NULL, "\xc3\xa9@c", true },
  { "\xc3\x89@c", 0, NULL, "\xc3\x89@c", NULL, "\xc3\x89@c", true },
  { "a@[IPv6:2001:DB8::1]", 0, NULL, "a@[ipv6:2001:db8::1]", NULL, "a@[ipv6:2001:db8::1]", true },
  { "", 0, NULL, NULL, NULL, NULL, false },
  { "@c", 0, NULL, NULL, NULL, NULL, false },
  { "a@", 0, NULL, NULL, NULL, NULL, false },
  { "a\nb@c", 0, NULL, NULL, NULL, NULL, false },
  { "a\xc2\x85@c", 0, NULL, NULL, NULL, NULL, false },
  { "a\xff@c", 0, NULL, NULL, NULL, NULL, false },
  { "a@b/c", 0, NULL, NULL, NULL, NULL, false },
  { "a@b..c", 0, NULL, NULL, NULL, NULL, false },
  { "a@.b", 0, NULL, NULL, NULL, NULL, false },
  { "a@b\xe3\x80\x82\xe3\x80\x82", 0, NULL, NULL, NULL, NULL, false },
  { "a@\xe2\x84\x80.example", 0, NULL, NULL, NULL, NULL, false },      /* U+2100 maps to "a/c" */
  { "a@b\xef\xbc\xa0" "c", 0, NULL, NULL, NULL, NULL, false },         /* U+FF20 maps to "@" */
  { "a@\xff", 0, NULL, NULL, NULL, NULL, false },
  { "\"a@b", 0, NULL, NULL, NULL, NULL, false },
  { "\"a\"b@c", 0, NULL, NULL, NULL, NULL, false },
};

static void
test_key (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++) {
    const KeyCase *c = &keys[i];
    EkAddressKey key, again;
    const char *why = ek_address_key (pool, ek_str (c->text), c->flags, c->delimiters, &key);
    g_test_message ("%s: %s", c->text, why ? why : "fine");
    if (c->key == NULL) {
      g_assert_nonnull (why);
      continue;
    }
    g_assert_cmpstr (why, ==, NULL);
    g_assert_cmpstr (key.key.p, ==, c->key);
    g_assert_cmpstr (key.full.p, ==, c->full);
    g_assert_true (key.path_safe == c->safe);
    g_assert_cmpint (key.tag.p != NULL, ==, c->tag != NULL);
    if (c->tag)
      g_assert_true (ek_str_eq (key.tag, ek_str (c->tag)));
    if (c->text[0] != '"') {                         /* the key of a key is itself */
      g_assert_null (ek_address_key (pool, key.key, c->flags, NULL, &again));
      g_assert_true (ek_str_eq (again.key, key.key));
    }
  }
}

/* "name|adl|mailbox|host" for each entry, "-" for a missing piece. */
static char *
show_list (EkPool *pool, EkStr value)
{
  GString *s = g_string_new ("");

  for (EkListAddr *a = ek_address_list (pool, value, 0); a; a = a->next) {
    EkStr piece[4] = { a->name, a->adl, a->mailbox, a->host };
    for (int i = 0; i < 4; i++) {
      g_string_append (s, i > 0 ? "|" : s->len > 0 ? " # " : "");
      g_string_append_len (s, piece[i].p ? piece[i].p : "-", piece[i].p ? (gssize) piece[i].n : 1);
    }
  }
  return g_string_free (s, FALSE);
}

static const char *const lists[][2] = {
  { "a@b", "-|-|a|b" },
  { "a@b, c@d", "-|-|a|b # -|-|c|d" },
  { "Al Bo <c@d>", "Al Bo|-|c|d" },
  { "\"Bo, Al\" <c@d> ,e@f", "Bo, Al|-|c|d # -|-|e|f" },
  { "A. B. See <c@d>", "A. B. See|-|c|d" },
  { "\"a \\\"q\\\" b\" <c@d>", "a \"q\" b|-|c|d" },
  { "a@b (Al (x) Bo)", "Al (x) Bo|-|a|b" },
  { "(x) a@b", "-|-|a|b" },
  { "Al (x) <a@b> (y)", "Al|-|a|b" },
  { "<@x,@y:a@b>", "-|@x,@y|a|b" },
  { "friends: a@b, C <c@d>;, e@f", "-|-|friends|- # -|-|a|b # C|-|c|d # -|-|-|- # -|-|e|f" },
  { "undisclosed-recipients:;", "-|-|undisclosed-recipients|- # -|-|-|-" },
  { "g: a@b", "-|-|g|- # -|-|a|b # -|-|-|-" },
  { "\"a b\"@c", "-|-|a b|c" },
  { "a . b @ c . d", "-|-|a.b|c.d" },
  { "a..b@c", "-|-|a..b|c" },
  { "a@[192.0.2.1]", "-|-|a|[192.0.2.1]" },
  { "=?utf-8?q?x?= <a@b>", "=?utf-8?q?x?=|-|a|b" },
  { "\xe4\xbe\x8b <a@b>", "\xe4\xbe\x8b|-|a|b" },
  { "Al\r\n Bo <a@b>", "Al Bo|-|a|b" },
  { "a", "-|-|a|MISSING_DOMAIN" },
  { "a b", "a b|-|MISSING_MAILBOX|MISSING_DOMAIN" },
  { "<>", "-|-|MISSING_MAILBOX|MISSING_DOMAIN" },
  { "@b", "-|-|MISSING_MAILBOX|b" },
  { "a@b.", "-|-|a|MISSING_DOMAIN" },
  { "<a@b, c@d", "-|-|a|SYNTAX_ERROR # -|-|c|d" },
  { "a@b <x@y>, c@d", "-|-|a|b # -|-|c|d" },
  { "\"open <a@b>, c@d", "-|-|MISSING_MAILBOX|MISSING_DOMAIN" },
  { "(open a@b", "" },
  { "", "" },
};

static void
test_list (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (lists); i++) {
    g_autofree char *got = show_list (pool, ek_str (lists[i][0]));
    g_assert_cmpstr (got, ==, lists[i][1]);
  }
}

static void
test_list_hostile (void)
{
  static const char *const pieces[] = { "(", "()", "a@[", "\"", "<", "g:", ",", "a@b,", "\\", "<@a,", "." };

  for (gsize k = 0; k < G_N_ELEMENTS (pieces); k++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkBuf text = { 0 };
    while (ek_buf_len (&text) < 256 * 1024)
      ek_buf_appends (&text, pieces[k]);
    gint64 start = test_worked ();
    guint n = 0;
    for (EkListAddr *a = ek_address_list (pool, ek_buf_str (&text), 0); a; a = a->next)
      n++;
    g_assert_cmpuint (n, <=, 10002);
    g_assert_cmpuint (ek_pool_size (pool), <, 16 << 20);
    g_assert_cmpint (test_worked () - start, <, 5 * G_USEC_PER_SEC);
    ek_buf_release (&text);
  }
}

/* ---- Dominic Sayers' is_email vectors (shared/conformance/address) ------------------------------ */

/* Undoes XML: entities, and U+2400..U+241F for control characters. */
static EkStr
from_xml (EkPool *pool, EkStr s)
{
  EkBuf out = { 0 };

  for (gsize i = 0; i < s.n; i++) {
    EkStr rest = { s.p + i, s.n - i };
    const char *semi = s.p[i] == '&' ? memchr (rest.p, ';', MIN (rest.n, 10)) : NULL;
    guint64 code = 0;
    if (semi && rest.p[1] == '#') {
      code = rest.p[2] == 'x' ? g_ascii_strtoull (rest.p + 3, NULL, 16) : g_ascii_strtoull (rest.p + 2, NULL, 10);
      if (code >= 0x2400 && code < 0x2420)
        code -= 0x2400;
    }
    else if (semi)
      code = rest.p[1] == 'a' ? '&' : rest.p[1] == 'l' ? '<' : rest.p[1] == 'g' ? '>' : '"';
    if (semi) {
      char utf8[8];
      ek_buf_append (&out, utf8, (gsize) g_unichar_to_utf8 ((gunichar) code, utf8));
      i += (gsize) (semi - rest.p);
    }
    else
      ek_buf_appendc (&out, s.p[i]);
  }
  EkStr made = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
  return made;
}

static EkStr
element (EkStr s, const char *name)
{
  g_autofree char *open = g_strdup_printf ("<%s>", name), *close = g_strdup_printf ("</%s>", name);
  const char *from = g_strstr_len (s.p, (gssize) s.n, open);
  const char *to = from ? g_strstr_len (from, (gssize) (s.n - (gsize) (from - s.p)), close) : NULL;

  return to ? (EkStr) { from + strlen (open), (gsize) (to - from) - strlen (open) } : (EkStr) { "", 0 };
}

/* What RFC 5321 must take and must refuse, by the suite's diagnosis.  Categories about comments, folding and
 * obsolete forms (RFC 5322 only) are refused in SMTP. */
static void
check_is_email (EkPool *pool, EkStr test, guint *n)
{
  EkStr address = from_xml (pool, element (test, "address"));
  EkStr category = element (test, "category"), diagnosis = element (test, "diagnosis");
  EkAddress a;
  const char *why = ek_address_parse (pool, address, EK_PATH_UTF8, &a);
  bool valid = ek_str_eq (category, EK_STR ("ISEMAIL_VALID_CATEGORY"))
               || ek_str_eq (category, EK_STR ("ISEMAIL_DNSWARN")) || ek_str_eq (category, EK_STR ("ISEMAIL_RFC5321"));

  g_test_message ("%.*s [%.*s]: %s", EK_STR_ARG (address), EK_STR_ARG (diagnosis), why ? why : "fine");
  if (ek_str_eq (diagnosis, EK_STR ("ISEMAIL_RFC5321_IPV6DEPRECATED")))
    return;                                          /* "::" for one group: inet_pton() takes it, so we do */
  if (ek_str_eq (category, EK_STR ("ISEMAIL_ERR")) || ek_str_eq (category, EK_STR ("ISEMAIL_CFWS"))
      || ek_str_eq (category, EK_STR ("ISEMAIL_DEPREC")) || ek_str_eq (category, EK_STR ("ISEMAIL_RFC5322")))
    g_assert_nonnull (why);
  else if (valid)
    g_assert_cmpstr (why, ==, NULL);
  ++*n;
}

static void
test_is_email (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *dir = g_getenv ("EKIDEN_CONFORMANCE")
                         ? g_strdup (g_getenv ("EKIDEN_CONFORMANCE"))
                         : g_build_filename (EK_SRCDIR, "../shared/conformance", NULL);
  g_autofree char *path = g_build_filename (dir, "address/test/tests.xml", NULL);
  g_autofree char *text = NULL;
  guint n = 0;

  if (!g_file_get_contents (path, &text, NULL, NULL)) {
    g_autofree char *why = g_strdup_printf ("conformance data is not there: %s", path);
    g_test_skip (why);
    return;
  }
  for (char *p = text; (p = strstr (p, "<test id=")) != NULL; p++) {
    char *end = strstr (p, "</test>");
    g_assert_nonnull (end);
    check_is_email (pool, (EkStr) { p, (gsize) (end - p) }, &n);
  }
  g_assert_cmpuint (n, >, 150);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/address/path", test_path);
  g_test_add_func ("/address/path-used", test_path_used);
  g_test_add_func ("/address/key", test_key);
  g_test_add_func ("/address/list", test_list);
  g_test_add_func ("/address/list-hostile", test_list_hostile);
  g_test_add_func ("/address/is-email", test_is_email);
  return g_test_run ();
}
