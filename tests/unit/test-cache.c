/* test-cache.c - answers that are kept: fresh, stale, bounded; and maps that are asked through it
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "lookup/cache.h"
#include "module/fingerprint.h"
#include "module/load.h"
#include "module/lookup.h"
#include <string.h>

#define S(n_) ((EkTime) { (n_) * G_GINT64_CONSTANT (1000000) })
#define AT(n_) ((n_) * G_GINT64_CONSTANT (1000000))

static void
put (EkCache *cache, const char *key, const char *value, gint64 now)
{
  EkCached *c = ek_cache_put (cache, ek_str (key), value ? EK_OK : EK_NOTFOUND, now);

  if (c && value)
    c->data = ek_pool_strdup (c->pool, value);
}

/* "x" fresh, "(x)" stale, "-" a fresh no, "" nothing */
static void
assert_is (EkCache *cache, const char *key, gint64 now, const char *want)
{
  const EkCached *c = ek_cache_find (cache, ek_str (key), now);
  const char *value = c == NULL ? "" : c->status == EK_OK ? c->data : "-";
  g_autofree char *got = g_strdup_printf (c && !c->fresh ? "(%s)" : "%s", value);

  g_assert_cmpstr (got, ==, want);
}

static void
test_times (void)
{
  EkCache *cache = ek_cache_new (&(EkCacheConf) { .fresh = S (5), .fresh_negative = S (1), .stale = S (60), .entries_max = 10 });

  assert_is (cache, "a", 0, "");
  put (cache, "a", "1", 0);
  put (cache, "b", NULL, 0);
  assert_is (cache, "a", AT (4), "1");
  assert_is (cache, "a", AT (5), "(1)");
  assert_is (cache, "a", AT (64), "(1)");
  assert_is (cache, "b", 1, "-");
  assert_is (cache, "b", AT (1), "");              /* a "no" is not stale: it is asked again, or put off */
  assert_is (cache, "a", AT (65), "");
  g_assert_cmpuint (ek_cache_n (cache), ==, 0);
  put (cache, "a", "1", 0);
  put (cache, "a", NULL, AT (2));                  /* an answer replaces what was known */
  assert_is (cache, "a", AT (2), "-");
  put (cache, "a", "2", AT (2));
  ek_cache_remove (cache, EK_STR ("a"));
  assert_is (cache, "a", AT (2), "");
  ek_cache_free (cache);

  cache = ek_cache_new (&(EkCacheConf) { .stale = S (60), .entries_max = 10 });
  put (cache, "a", "1", 0);
  assert_is (cache, "a", 0, "(1)");                /* asked each time, and there for an outage */
  ek_cache_free (cache);
  cache = ek_cache_new (&(EkCacheConf) { .fresh_negative = S (1), .entries_max = 10 });
  put (cache, "a", "1", 0);
  assert_is (cache, "a", 0, "");
  ek_cache_free (cache);
  ek_cache_free (NULL);
}

static void
test_bound (void)
{
  EkCache *cache = ek_cache_new (&(EkCacheConf) { .fresh = S (5), .entries_max = 3 });

  put (cache, "a", "1", 0);
  put (cache, "b", "2", 0);
  put (cache, "c", "3", 0);
  assert_is (cache, "a", 1, "1");                  /* b was used longest ago */
  put (cache, "d", "4", 1);
  assert_is (cache, "b", 1, "");
  assert_is (cache, "a", 1, "1");
  g_assert_cmpuint (ek_cache_n (cache), ==, 3);
  put (cache, "a", "5", 1);                        /* again: nobody has to go */
  g_assert_cmpuint (ek_cache_n (cache), ==, 3);
  assert_is (cache, "c", 1, "3");
  ek_cache_clear (cache);
  g_assert_cmpuint (ek_cache_n (cache), ==, 0);
  ek_cache_free (cache);
}

static void
test_renew (void)
{
  EkCacheConf conf = { .fresh = S (3600), .fresh_negative = S (1), .stale = S (3600), .entries_max = 3 }, other = conf;
  EkCache *cache = ek_cache_renew (NULL, &conf);
  gint64 now = ek_now ();

  put (cache, "a", "1", now);
  put (cache, "b", NULL, now);
  assert_is (cache, "a", now, "1");
  cache = ek_cache_renew (cache, &conf);           /* all is kept, and asked for again */
  assert_is (cache, "a", now, "(1)");
  put (cache, "a", "2", ek_now () + 1);
  assert_is (cache, "a", ek_now () + 1, "2");
  put (cache, "c", "3", ek_now ());
  other.fresh = S (0);
  other.stale = S (7200);
  other.entries_max = 2;
  cache = ek_cache_renew (cache, &other);          /* the new times are for what is in it, too */
  g_assert_cmpuint (ek_cache_n (cache), ==, 2);
  assert_is (cache, "c", now + AT (7199), "(3)");
  assert_is (cache, "a", now + AT (7199), "(2)");
  other.stale = S (60);
  cache = ek_cache_renew (cache, &other);
  assert_is (cache, "c", now + AT (3600), "");
  other.entries_max = 0;
  cache = ek_cache_renew (cache, &other);
  g_assert_cmpuint (ek_cache_n (cache), ==, 0);
  ek_cache_free (cache);
}

/* ---- maps ---- */

static EkLoop *loop;
static gint runs, down;              /* atomic */

static EkStatus
db_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkStr service = ek_param (query->params, query->n_params, "service");

  g_atomic_int_inc (&runs);
  if (g_atomic_int_get (&down))
    return ek_fail (&call->error, EK_DEFER, 0, "the server is away");
  if (ek_str_eq (query->key, EK_STR ("none")))
    return EK_NOTFOUND;
  ek_answer_value (answer, call->pool, service.p ? service : query->key);
  return EK_OK;
}

static gpointer
db_connect (EkInstance *self, GError **error)
{
  return g_strdup ("connection");
}

static void
db_disconnect (EkInstance *self, gpointer conn)
{
  g_free (conn);
}

static const EkMapOps db_map = { .lookup = db_lookup };
static const EkModule db = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "db", .map = &db_map, .connect = db_connect, .disconnect = db_disconnect,
};

typedef struct { guint n; EkStatus status; char value[32]; } Got;

static void
done (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  Got *got = user;

  got->n++;
  got->status = status;
  if (status == EK_OK)
    g_snprintf (got->value, sizeof got->value, "%.*s", EK_STR_ARG (answer->cells[0]));
}

static EkStatus
ask (EkInstance *self, const char *key, const char *service, Got *got)
{
  EkParam param = { "service", ek_str (service) };
  EkQuery query = { .key = ek_str (key), .params = &param, .n_params = service ? 1 : 0 };

  *got = (Got) { 0 };
  ek_map_lookup (self, &query, (EkTime) { 5000000 }, done, got);
  g_assert_cmpuint (got->n, ==, 0);
  while (got->n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (got->n, ==, 1);
  return got->status;
}

static void
test_map (void)
{
  EkInstance *self = ek_test_instance ("db", "cache = 10ms\ncache_negative = 10ms\ncache_stale = 1h\n");
  Got got;

  g_assert_cmpint (ask (self, "a", NULL, &got), ==, EK_OK);
  g_assert_cmpstr (got.value, ==, "a");
  g_assert_cmpint (ask (self, "a", "imap", &got), ==, EK_OK);     /* another question */
  g_assert_cmpstr (got.value, ==, "imap");
  g_assert_cmpint (ask (self, "none", NULL, &got), ==, EK_NOTFOUND);
  g_usleep (20000);
  down = 1;
  runs = 0;
  g_assert_cmpint (ask (self, "a", NULL, &got), ==, EK_OK);
  g_assert_cmpstr (got.value, ==, "a");
  g_assert_cmpint (ask (self, "none", NULL, &got), ==, EK_DEFER);
  g_assert_cmpint (ask (self, "other", NULL, &got), ==, EK_DEFER);
  g_assert_cmpint (ask (self, "a", NULL, &got), ==, EK_OK);        /* an outage empties nothing */
  g_assert_cmpint (runs, >=, 4);                   /* each was asked: an old connection is replaced by a new one and asked again */
  down = 0;
  g_assert_cmpint (ask (self, "other", NULL, &got), ==, EK_OK);
  int before = g_atomic_int_get (&runs);
  EkMapLookup *lookup = ek_map_lookup (self, &(EkQuery) { .key = EK_STR ("z") }, (EkTime) { 0 }, done, &got);
  got.n = 0;
  ek_map_lookup_cancel (lookup);
  while (g_atomic_int_get (&runs) == before)       /* it is asked all the same, and nobody hears the answer */
    ek_loop_turn (loop, false);
  ek_test_instance_free (self);

  self = ek_test_instance ("db", "cache = 1h\n");
  runs = 0;
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (ask (self, "a", NULL, &got), ==, EK_OK);
  g_assert_cmpint (runs, ==, 1);
  lookup = ek_map_lookup (self, &(EkQuery) { .key = EK_STR ("a") }, (EkTime) { 0 }, done, &got);
  got.n = 0;
  ek_map_lookup_cancel (lookup);                   /* of what the cache knows */
  ek_loop_turn (loop, false);
  g_assert_cmpuint (got.n, ==, 0);
  ek_test_instance_free (self);

  self = ek_test_instance ("db", "cache_max = 0\n");
  runs = 0;
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (ask (self, "a", NULL, &got), ==, EK_OK);
  g_assert_cmpint (runs, ==, 5);
  ek_test_instance_free (self);
}

static EkGeneration *
generation (const char *text)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkGeneration *gen = ek_generation_new (ek_conf_load_text ("test.conf", ek_str (text), 0, problems), EK_ROLES_ALL, problems);

  g_assert_nonnull (gen);
  g_assert_true (ek_generation_start (gen, NULL));
  return gen;
}

static EkStatus
ask_named (EkGeneration *gen, const char *name, Got *got)
{
  return ask (ek_generation_instance (gen, name, 1u << EK_TABLE_MAP), "a", NULL, got);
}

/* A reload in the middle of an outage: what a map has remembered goes over to the one that asks the same. */
static void
test_inherit (void)
{
  static const char before[] = "db \"one\" { cache = 1h }\ndb \"two\" { cache = 1h }\nchain \"both\" { maps = one }\n",
                    after[] = "db \"three\" { }\ndb \"two\" { cache = 1h\n  rows_max = 2 }\ndb \"one\" { cache = 1h\n  connections = 2\n  cache_stale = 2h }\n";
  EkGeneration *old = generation (before), *gen = NULL;
  Got got;

  down = 0;
  g_assert_cmpint (ask_named (old, "one", &got), ==, EK_OK);
  g_assert_cmpint (ask_named (old, "two", &got), ==, EK_OK);
  runs = 0;
  g_assert_cmpint (ask_named (old, "one", &got), ==, EK_OK);
  g_assert_cmpint (runs, ==, 0);
  gen = generation (after);
  ek_generation_ref (old);                         /* a session lives on in it */
  ek_generation_retire (old, gen);
  g_assert_cmpint (ask_named (gen, "one", &got), ==, EK_OK);
  g_assert_cmpint (runs, ==, 1);                   /* none of it is fresh */
  ek_generation_unref (old);
  old = gen;
  gen = generation (after);
  ek_generation_retire (old, gen);
  down = 1;
  g_assert_cmpint (ask_named (gen, "one", &got), ==, EK_OK);
  g_assert_cmpstr (got.value, ==, "a");
  g_assert_cmpint (ask_named (gen, "two", &got), ==, EK_DEFER);    /* it is another one now */
  g_assert_cmpint (ask_named (gen, "three", &got), ==, EK_DEFER);
  ek_generation_unref (gen);
  down = 0;
}

/* What makes an instance another one: its settings, its name, and all that of what it refers to. */
static void
test_fingerprint (void)
{
  static const char *const texts[] = {
    "db \"a\" { cache = 1h }\nchain \"it\" { maps = a }\n", "db \"a\" { cache = 1h\n result = x }\nchain \"it\" { maps = a }\n",
    "db \"b\" { cache = 1h }\nchain \"it\" { maps = b }\n", "db \"a\" { cache = 1h }\nchain \"it\" { maps = a, a }\n",
    "db \"a\" { cache = 1h\n only_domains = a.test }\nchain \"it\" { maps = a }\n",
  };
  EkFingerprint prints[G_N_ELEMENTS (texts)];

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (EkGeneration) gen = generation (texts[i]), again = generation (texts[i]);
    g_autofree char *moved = g_strdup_printf ("# moved\n\n%s\ndb \"more\" { }\n", texts[i]);
    g_autoptr (EkGeneration) elsewhere = generation (moved);
    prints[i] = ek_instance_fingerprint (ek_generation_instance (gen, "it", 0));
    g_assert_true (ek_fingerprint_eq (prints[i], ek_instance_fingerprint (ek_generation_instance (again, "it", 0))));
    g_assert_true (ek_fingerprint_eq (prints[i], ek_instance_fingerprint (ek_generation_instance (elsewhere, "it", 0))));
    for (guint k = 0; k < i; k++)
      g_assert_false (ek_fingerprint_eq (prints[i], prints[k]));
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
  ek_module_add (&db);
  g_test_add_func ("/cache/times", test_times);
  g_test_add_func ("/cache/bound", test_bound);
  g_test_add_func ("/cache/renew", test_renew);
  g_test_add_func ("/cache/map", test_map);
  g_test_add_func ("/cache/inherit", test_inherit);
  g_test_add_func ("/cache/fingerprint", test_fingerprint);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return failed;
}
