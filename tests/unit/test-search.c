/* test-search.c - which keys maps are asked for an address, in which order; and what is made of the values of aliases
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "auth/auth.h"
#include "base/log.h"
#include "flow/directory.h"
#include "index/mailbox.h"
#include "module/load.h"
#include "module/search.h"
#include "proc/blocks.h"
#include <string.h>

static EkLoop  *loop;
static GString *asked;               /* "MAP:KEY" of each question, with blanks between */
static const char *known, *value;    /* the one key that is known, and what it gives */

/* ---- a map that keeps a record of what it is asked ---- */

static EkStatus
map_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  g_string_append_printf (asked, "%s%s:%.*s", asked->len ? " " : "", self->name, EK_STR_ARG (query->key));
  if (known == NULL || !ek_str_eq (query->key, ek_str (known)))
    return EK_NOTFOUND;
  ek_answer_value (answer, call->pool, ek_str (value));
  return EK_OK;
}

static EkStatus
user_lookup (EkInstance *self, EkCall *call, const char *name, EkUser *user)
{
  return EK_NOTFOUND;
}

static EkStatus
account_lookup (EkInstance *self, EkCall *call, const char *name, EkAccount *account)
{
  return EK_NOTFOUND;
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = account_lookup };
static const EkUserdbOps userdb = { .lookup = user_lookup };
static const EkMailboxOps mailbox;   /* no store works here */
static const EkModule record = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "record", .flags = EK_EVENTED, .map = &map, .passdb = &passdb, .userdb = &userdb,
  .mailbox = &mailbox,
};
static const EkModule patterns = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "patterns", .flags = EK_EVENTED | EK_WHOLE_KEYS, .map = &map,
};

static const char conf[] =
  "record \"a\" { }\nrecord \"b\" { }\npatterns \"p\" { }\n"
  "domain \"example.com\" { aliases = a\n auth = a\n users = a\n mailboxes = a }\n"
  "domain \"other.example\" { aliases = a\n auth = a\n users = a\n mailboxes = a\n tag_delimiters = \"+-\" }\n"
  "routing { transports = [a, b, p]\n default_domain = example.com\n cache = 0\n cache_stale = 0 }\n";

/* ---- the search alone ---- */

typedef struct { guint n; EkStatus status; char *key; } Got;

static void
searched (EkStatus status, const EkAnswer *answer, const char *key, gpointer user)
{
  *(Got *) user = (Got) { ((Got *) user)->n + 1, status, g_strdup (key) };
}

/* Asks a, b and the patterns, and compares the record. */
static void
assert_keys (const char *full, const char *key, guint what, const char *found, const char *want)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const EkRoutingConf *routing = ek_generation_values (ek_role_generation (), &ek_routing_block, NULL);
  Got got = { 0 };

  known = found;
  value = "x";
  g_string_truncate (asked, 0);
  ek_search (routing->transports, ek_search_keys (pool, full, key, what), full, (EkTime) { 5000000 }, searched, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpstr (asked->str, ==, want);
  g_assert_cmpint (got.status, ==, found ? EK_OK : EK_NOTFOUND);
  g_assert_cmpstr (got.key, ==, found);
  g_free (got.key);
}

/* transport(5): each key is asked of all maps before the next one is; patterns see the address and nothing else, "*" least of all. */
static void
test_transports (void)
{
  const guint what = EK_SEARCH_ADDRESS | EK_SEARCH_DOMAIN | EK_SEARCH_ANY;

  assert_keys ("u+t@a.b.test", "u@a.b.test", what, NULL,
               "a:u+t@a.b.test b:u+t@a.b.test p:u+t@a.b.test a:u@a.b.test b:u@a.b.test a:a.b.test b:a.b.test "
               "a:.b.test b:.b.test a:.test b:.test a:* b:*");
  assert_keys ("u@test", "u@test", what, NULL, "a:u@test b:u@test p:u@test a:test b:test a:* b:*");
  assert_keys ("u+t@a.test", "u@a.test", what, "u@a.test", "a:u+t@a.test b:u+t@a.test p:u+t@a.test a:u@a.test");
  assert_keys ("u@a.test", "u@a.test", what, "*", "a:u@a.test b:u@a.test p:u@a.test a:a.test b:a.test a:.test b:.test a:*");
  assert_keys ("postmaster", "postmaster", what, NULL, "a:postmaster b:postmaster p:postmaster");
}

/* However many labels a domain has, "*" is asked in the end. */
static void
test_labels (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GString) address = g_string_new ("u+t@x");
  guint n = 0;

  for (guint i = 0; i < 100; i++)
    g_string_append (address, ".x");
  const char **keys = ek_search_keys (pool, address->str, address->str, EK_SEARCH_ADDRESS | EK_SEARCH_LOCAL | EK_SEARCH_CATCH_ALL
                                      | EK_SEARCH_DOMAIN | EK_SEARCH_ANY);
  while (keys[n])
    n++;
  g_assert_cmpuint (n, <, 40);
  g_assert_cmpstr (keys[n - 1], ==, "*");
}

/* ---- aliases ---- */

static void
found (const EkRcptFound *f, gpointer data)
{
  GString *out = data;

  g_string_append_printf (out, "%d", f->status);
  for (guint i = 0; i < f->n_targets; i++)
    g_string_append_printf (out, " %s", f->targets[i]);
}

/* Who gets an address's mail when one key is known: "STATUS TARGET...". */
static GString *
targets (const char *address, const char *key, const char *gives)
{
  GString *out = g_string_new (NULL);

  known = key;
  value = gives;
  g_string_truncate (asked, 0);
  ek_directory_rcpt (ek_str (address), false, found, out);
  while (out->len == 0)
    ek_loop_turn (loop, true);
  return out;
}

static void
assert_targets (const char *address, const char *key, const char *gives, const char *want)
{
  g_autoptr (GString) got = targets (address, key, gives);

  g_assert_cmpstr (got->str, ==, want);
}

static void
assert_aliases (const char *address, const char *want)
{
  g_autoptr (GString) none = targets (address, NULL, NULL);

  g_assert_cmpint (none->str[0] - '0', ==, EK_NOTFOUND);
  g_assert_cmpstr (asked->str, ==, want);
}

/* virtual(5): user+tag@domain, user@domain, and in the default domain user+tag and user; then, for who has no mailbox, @domain. */
static void
test_aliases (void)
{
  assert_aliases ("Anna+List@Example.com", "a:anna+list@example.com a:anna@example.com a:anna+list a:anna a:@example.com");
  assert_aliases ("anna@example.com", "a:anna@example.com a:anna a:@example.com");
  assert_aliases ("anna+list", "a:anna+list@example.com a:anna@example.com a:anna+list a:anna a:@example.com");
  assert_aliases ("anna-list@other.example", "a:anna-list@other.example a:anna@other.example a:@other.example");
  assert_aliases ("\"a b+c\"@example.com", "a:a b+c@example.com a:a b@example.com a:a b+c a:a b a:@example.com");
}

/* The tag goes along where the entry was found without it, as Postfix propagates unmatched extensions of virtual(5). */
static void
test_tags (void)
{
  assert_targets ("anna+list@example.com", "anna@example.com", "x@far.test", "0 x+list@far.test");
  assert_targets ("anna+list@example.com", "anna", "x@far.test", "0 x+list@far.test");
  assert_targets ("anna+list@example.com", "anna+list@example.com", "x@far.test", "0 x@far.test");
  assert_targets ("anna+list@example.com", "anna+list", "x@far.test", "0 x@far.test");
  assert_targets ("anna+list@example.com", "@example.com", "x@far.test", "0 x@far.test");
  assert_targets ("anna+list@example.com", "@example.com", "@far.test", "0 anna+list@far.test");
  assert_targets ("anna+list@example.com", "anna@example.com", "x+own@far.test", "0 x+own@far.test");
  assert_targets ("anna-list@other.example", "anna@other.example", "x@far-away.test", "0 x-list@far-away.test");
  assert_targets ("anna+list@example.com", "anna@example.com", "\"john smith\"@far.test", "0 \"john smith+list\"@far.test");
  assert_targets ("\"anna+a list\"@example.com", "anna@example.com", "x@far.test", "0 \"x+a list\"@far.test");
  assert_targets ("\"a@b\"@example.com", "@example.com", "@far.test", "0 \"a@b\"@far.test");
}

/* Quoted strings are RFC 5322's: what separates addresses separates nothing in them. */
static void
test_values (void)
{
  static const char *const cases[][2] = {
    { "\"john smith\"@far.test", "0 \"john smith\"@far.test" },
    { "\"john, smith\"@far.test,\tx@far.test", "0 \"john, smith\"@far.test x@far.test" },
    { "\"a\\\" b\"@far.test \"c\\\\\"@far.test", "0 \"a\\\" b\"@far.test \"c\\\\\"@far.test" },
    { " x@far.test ,, y@far.test\n", "0 x@far.test y@far.test" },
    { "\"a@b\"@far.test", "0 \"a@b\"@far.test" },
    { "\"no end, x@far.test", "2" },                 /* nothing in it is an address: later */
    { "x@far.test, \"no end, y@far.test", "0 x@far.test" },
    { "x@far.test,\"\\", "0 x@far.test" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_targets ("anna@example.com", "anna@example.com", cases[i][0], cases[i][1]);
}

static void
swallow (const char *bytes, gsize len, gpointer data)
{
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  ek_log_set_sink (swallow, NULL);   /* what is wrong in an alias is told: it is tested here */
  g_setenv ("EKIDEN_MODULE_PATH", "/nonexistent", TRUE);
  asked = g_string_new (NULL);
  loop = ek_loop_new (NULL);
  ek_module_add (&record);
  ek_module_add (&patterns);
  ek_blocks_register ();
  ek_domain_blocks_register ();
  ek_block_register (&ek_auth_block);
  ek_role_register (&ek_directory_role);
  if (!ek_worker_embed (loop, EK_ROLES_ALL, conf, &error))
    g_error ("%s", error->message);
  g_test_add_func ("/search/transports", test_transports);
  g_test_add_func ("/search/labels", test_labels);
  g_test_add_func ("/search/aliases", test_aliases);
  g_test_add_func ("/search/tags", test_tags);
  g_test_add_func ("/search/values", test_values);
  int failed = g_test_run ();
  g_string_free (asked, TRUE);
  return failed;
}
