/* test-result.c - what every map's block can make of questions and answers: result, only_domains, rows_max
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/search.h"
#include <string.h>

static EkLoop *loop;

typedef struct { guint n; EkStatus status; char value[128], why[128]; } Got;

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

/* The answer of inline "m" with these rows beside its pairs. */
static Got
ask (const char *rows, const char *key, const char *value)
{
  Got got = { 0 };
  g_autofree char *text = g_strdup_printf ("inline \"m\" { pairs = [\"%s = %s\"]\n%s }\n", key, value, rows);
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, NULL);

  g_assert_true (ek_generation_start (gen, NULL));
  ek_map_lookup (ek_generation_instance (gen, "m", 0), &(EkQuery) { .key = ek_str (key) }, (EkTime) { 0 }, done, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  ek_generation_unref (gen);
  return got;
}

static void
assert_value (const char *rows, const char *key, const char *value, const char *want)
{
  Got got = ask (rows, key, value);

  g_test_message ("%s: %s -> %s", rows, key, value);
  g_assert_cmpint (got.status, ==, want ? EK_OK : EK_NOTFOUND);
  g_assert_cmpstr (got.value, ==, want ? want : "");
}

static void
test_template (void)
{
  assert_value ("", "k", "v", "v");
  assert_value ("result = \"%s\"", "k", "v@x", "v@x");
  assert_value ("result = \"smtp:[%s]:25\"", "k", "host", "smtp:[host]:25");
  assert_value ("result = \"%u at %d, 100%%\"", "k", "anna@example.com", "anna at example.com, 100%");
  assert_value ("result = \"%u\"", "k", "plain", "plain");
  assert_value ("result = \"%d\"", "k", "plain", NULL);              /* lacks what is wanted: left out */
  assert_value ("result = \"%S|%U|%D\"", "ben@example.com", "v", "ben@example.com|ben|example.com");
  assert_value ("result = \"%D\"", "ben", "v", NULL);
  assert_value ("result = \"%1/%2/%3/%U\"", "ben@mail.example.com", "v", "com/example/mail/ben");
  assert_value ("result = \"%4\"", "ben@mail.example.com", "v", NULL);
  assert_value ("result = \"OK\"", "k", "whatever", "OK");
}

static void
test_domains (void)
{
  const char *rows = "only_domains = [example.com, Example.NET]";

  assert_value (rows, "ben@example.com", "v", "v");
  assert_value (rows, "ben@EXAMPLE.net", "v", "v");
  assert_value (rows, "ben@sub.example.com", "v", NULL);
  assert_value (rows, "ben", "v", NULL);
  assert_value (rows, "example.com", "v", NULL);
  assert_value (rows, "@example.com", "v", NULL);
}

static Got
both (const char *rows)
{
  Got got = { 0 };
  g_autofree char *text = g_strdup_printf ("inline \"a\" { pairs = [\"k = one\"] }\ninline \"b\" { pairs = [\"k = two@x\"] }\n"
                                           "chain \"c\" { maps = [a, b]\nhow = union\n%s }\n", rows);
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, NULL);

  g_assert_true (ek_generation_start (gen, NULL));
  ek_map_lookup (ek_generation_instance (gen, "c", 0), &(EkQuery) { .key = EK_STR ("k") }, (EkTime) { 0 }, done, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  ek_generation_unref (gen);
  return got;
}

static void
test_rows (void)
{
  g_assert_cmpstr (both ("rows_max = 2").value, ==, "one two@x");
  g_assert_cmpstr (both ("result = \"<%d>\"").value, ==, "<x>");
  Got got = both ("rows_max = 1");
  g_assert_cmpint (got.status, ==, EK_DEFER);
  g_assert_nonnull (strstr (got.why, "\"c\" has 2 rows for \"k\", more than its rows_max (1)"));
}

/* What a map never asks cannot put anything off, and what has failed is not remembered. */
static void
test_outage (void)
{
  Got got = { 0 };
  EkGeneration *gen = ek_test_generation ("test \"m\" { state = defer\nonly_domains = example.com }\n", EK_ROLES_ALL, NULL);
  EkInstance *map = ek_generation_instance (gen, "m", 0);

  g_assert_true (ek_generation_start (gen, NULL));
  ek_map_lookup (map, &(EkQuery) { .key = EK_STR ("ben@other.example") }, (EkTime) { 0 }, done, &got);
  g_assert_cmpuint (got.n, ==, 0);                   /* never before it has returned */
  while (got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpint (got.status, ==, EK_NOTFOUND);
  got.n = 0;
  ek_map_lookup (map, &(EkQuery) { .key = EK_STR ("ben@example.com") }, (EkTime) { 0 }, done, &got);
  while (got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpint (got.status, ==, EK_DEFER);
  ek_generation_unref (gen);
}

static void
test_wrong (void)
{
  g_autofree char *said = NULL;
  static const char *const wrong[] = { "%x", "100%", "%0", "%s %" };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    char letter;
    g_assert_false (ek_map_result_check (wrong[i], &letter));
  }
  g_assert_null (ek_test_generation ("inline \"m\" { pairs = [\"a = b\"]\n result = \"%x\" }\n", EK_ROLES_ALL, &said));
  g_assert_nonnull (strstr (said, ":2:"));
  g_assert_nonnull (strstr (said, "result has \"%x\", but one of %s %u %d"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "alert", TRUE);
  loop = ek_loop_new (NULL);
  EkJobPool *jobs = ek_job_pool_new (loop, 2, "test");
  ek_op_use_jobs (jobs);
  g_test_add_func ("/result/template", test_template);
  g_test_add_func ("/result/domains", test_domains);
  g_test_add_func ("/result/rows", test_rows);
  g_test_add_func ("/result/outage", test_outage);
  g_test_add_func ("/result/wrong", test_wrong);
  int code = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return code;
}
