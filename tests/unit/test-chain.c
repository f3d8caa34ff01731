/* test-chain.c - several maps as one: first, union, pipe, outages, cancelling
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/search.h"
#include <glib/gstdio.h>
#include <string.h>

static EkLoop *loop;

#define MAPS \
  "inline \"a\" { pairs = [\"x = one\", \"both = from-a\", \"one = two\"] }\n" \
  "inline \"b\" { pairs = [\"y = other\", \"both = from-b\", \"two = three\"] }\n" \
  "test \"away\" { state = defer }\n" \
  "test_evented \"slow\" { state = \"slow:300\" }\n"

typedef struct { guint n; EkStatus status; char value[64], why[128]; } Got;

static void
done (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  Got *got = user;

  got->n++;
  got->status = status;
  g_strlcpy (got->why, why ? why->message : "", sizeof got->why);
  for (guint i = 0; status == EK_OK && i < answer->n_rows; i++) {
    gsize at = strlen (got->value);
    g_snprintf (got->value + at, sizeof got->value - at, "%s%.*s", i ? " " : "", EK_STR_ARG (answer->cells[i]));
  }
}

static EkGeneration *
make (const char *chain)
{
  g_autofree char *text = g_strconcat (MAPS, chain, NULL);
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, NULL);

  g_assert_true (ek_generation_start (gen, NULL));
  return gen;
}

static void
ask (EkGeneration *gen, const char *key, EkTime timeout, Got *got)
{
  *got = (Got) { 0 };
  ek_map_lookup (ek_generation_instance (gen, "c", 0), &(EkQuery) { .key = ek_str (key) }, timeout, done, got);
  while (got->n == 0)
    ek_loop_turn (loop, true);
}

static void
assert_answer (EkGeneration *gen, const char *key, EkStatus status, const char *value)
{
  Got got;

  ask (gen, key, (EkTime) { 5000000 }, &got);
  g_assert_cmpint (got.status, ==, status);
  g_assert_cmpstr (got.value, ==, value);
}

static void
test_first (void)
{
  EkGeneration *gen = make ("chain \"c\" { maps = [a, b, away] }\n");

  assert_answer (gen, "x", EK_OK, "one");
  assert_answer (gen, "y", EK_OK, "other");
  assert_answer (gen, "both", EK_OK, "from-a");
  assert_answer (gen, "z", EK_DEFER, "");          /* perhaps the third knows it */
  ek_generation_unref (gen);
  gen = make ("chain \"c\" { maps = [away, a] }\n");
  assert_answer (gen, "x", EK_DEFER, "");
  ek_generation_unref (gen);
  gen = make ("chain \"c\" { maps = [a, b] }\n");
  assert_answer (gen, "z", EK_NOTFOUND, "");
  ek_generation_unref (gen);
}

static void
test_union (void)
{
  EkGeneration *gen = make ("chain \"c\" { maps = [a, b, a]\nhow = union }\n");

  assert_answer (gen, "both", EK_OK, "from-a from-b");
  assert_answer (gen, "y", EK_OK, "other");
  assert_answer (gen, "z", EK_NOTFOUND, "");
  ek_generation_unref (gen);
  gen = make ("chain \"c\" { maps = [a, away]\nhow = union }\n");
  assert_answer (gen, "x", EK_DEFER, "");          /* half an answer is none */
  ek_generation_unref (gen);
}

static void
test_pipe (void)
{
  EkGeneration *gen = make ("chain \"c\" { maps = [a, a, b]\nhow = pipe }\n");

  assert_answer (gen, "x", EK_OK, "three");        /* x -> one -> two -> three */
  assert_answer (gen, "one", EK_NOTFOUND, "");
  assert_answer (gen, "z", EK_NOTFOUND, "");
  ek_generation_unref (gen);
}

/* A value that is NULL or empty is no key: the next map might know an empty one. */
static void
test_pipe_empty (void)
{
  static const char *const nothing[] = { "NULL", "''" };
  g_autofree char *dir = g_dir_make_tmp ("ekiden-chain-XXXXXX", NULL), *path = g_build_filename (dir, "empty.db", NULL);

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (nothing); i++) {
    g_autofree char *text = g_strdup_printf ("sqlite \"s\" { path = \"%s\"\nquery = \"SELECT %s WHERE :key = 'x'\" }\n"
                                             "sqlite \"any\" { path = \"%s\"\nquery = \"SELECT 'wrong' WHERE :key = :key\" }\n"
                                             "chain \"c\" { maps = [s, any]\nhow = pipe }\n", path, nothing[i], path);
    EkGeneration *gen = make (text);
    assert_answer (gen, "x", EK_NOTFOUND, "");
    ek_generation_unref (gen);
  }
  g_unlink (path);
  g_rmdir (dir);
}

/* ---- addresses, in their order ---- */

static void
searched (EkStatus status, const EkAnswer *answer, const char *key, gpointer user)
{
  done (status, answer, NULL, user);
}

static void
assert_search (const char *maps, const char *what, EkStatus status, const char *value)
{
  g_autofree char *text = g_strdup_printf ("regexp \"p\" { path = \"%s\" }\n%s", what, maps);
  EkGeneration *gen = make (text);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkInstance *list[] = { ek_generation_instance (gen, "m", 0), NULL };
  Got got = { 0 };

  const char **keys = ek_search_keys (pool, "x+tag@example.com", "x@example.com",
                                      EK_SEARCH_ADDRESS | EK_SEARCH_LOCAL | EK_SEARCH_CATCH_ALL | EK_SEARCH_DOMAIN);
  ek_search (list, keys, "x+tag@example.com", (EkTime) { 5000000 }, searched, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpint (got.status, ==, status);
  g_assert_cmpstr (got.value, ==, value);
  ek_generation_unref (gen);
}

/* Patterns see the whole address or nothing (regexp_table(5)), also in chains. */
static void
test_whole (void)
{
  g_autofree char *dir = g_dir_make_tmp ("ekiden-chain-XXXXXX", NULL), *path = g_build_filename (dir, "p", NULL);

  g_assert_true (g_file_set_contents (path, "/^x@/ untagged\n/^@/ all\n/^x$/ local\n/^[^@]*$/ domain\n", -1, NULL));
  assert_search ("chain \"m\" { maps = p }\n", path, EK_NOTFOUND, "");
  assert_search ("chain \"m\" { maps = [p, a] }\n", path, EK_OK, "one");      /* "x", of the other map */
  assert_search ("chain \"m\" { maps = [a, p]\nhow = pipe }\n", path, EK_OK, "domain");      /* "one", which is whole */
  g_assert_true (g_file_set_contents (path, "/^one$/ piped\n", -1, NULL));
  assert_search ("chain \"m\" { maps = [a, p]\nhow = pipe }\n", path, EK_OK, "piped");
  g_assert_true (g_file_set_contents (path, "/^x\\+tag@example.com$/ whole\n", -1, NULL));
  assert_search ("chain \"m\" { maps = p }\n", path, EK_OK, "whole");
  g_unlink (path);
  g_rmdir (dir);
}

static void
test_late (void)
{
  EkGeneration *gen = make ("chain \"d\" { maps = [slow, a] }\nchain \"c\" { maps = [b, d] }\n");
  Got got;

  ask (gen, "x", (EkTime) { 20000 }, &got);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  assert_answer (gen, "y", EK_OK, "other");
  EkMapLookup *lookup = ek_map_lookup (ek_generation_instance (gen, "c", 0), &(EkQuery) { .key = EK_STR ("x") }, (EkTime) { 0 },
                                       done, &got);
  got.n = 0;
  ek_map_lookup_cancel (lookup);
  for (gint64 end = g_get_monotonic_time () + 700000; g_get_monotonic_time () < end; g_usleep (1000))
    ek_loop_turn (loop, false);                    /* the slow ones come to their end */
  g_assert_cmpuint (got.n, ==, 0);
  ek_generation_unref (gen);
}

static void
test_settings (void)
{
  static const char *const cases[][2] = {
    { "chain \"c\" { maps = [] }", "name at least one map" },
    { "chain \"c\" { maps = [a]\nhow = second }", "first" },
    { "chain \"c\" { maps = [c] }", "in a circle" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = g_strconcat (MAPS, cases[i][0], NULL), *said = NULL;
    EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, &said);
    if (gen || !strstr (said, cases[i][1]))
      g_error ("%s gave \"%s\"", cases[i][0], said);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  loop = ek_loop_new (NULL);
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "test");
  ek_op_use_jobs (jobs);
  g_test_add_func ("/chain/first", test_first);
  g_test_add_func ("/chain/union", test_union);
  g_test_add_func ("/chain/pipe", test_pipe);
  g_test_add_func ("/chain/pipe-empty", test_pipe_empty);
  g_test_add_func ("/search/whole", test_whole);
  g_test_add_func ("/chain/late", test_late);
  g_test_add_func ("/chain/settings", test_settings);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return failed;
}
