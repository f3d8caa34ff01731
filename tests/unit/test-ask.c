/* test-ask.c - an edge's module asks maps in directory: answers, bounds, who may ask what; rows of one block alone
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "flow/mapask.h"
#include "module/load.h"
#include "proc/blocks.h"
#include "proc/role.h"
#include <string.h>

static EkLoop *loop;

/* ---- a map that echoes, and a filter whose block declares which maps it asks ---- */

static EkStatus
echo_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  static const char *names[] = { "key", "user", "none" };

  if (ek_str_eq (query->key, EK_STR ("long"))) {
    ek_answer_value (answer, call->pool, (EkStr) { ek_pool_alloc (call->pool, EK_MAP_ANSWER_MAX + 1), EK_MAP_ANSWER_MAX + 1 });
    return EK_OK;
  }
  if (ek_str_eq (query->key, EK_STR ("slow")))
    g_usleep (300000);
  if (ek_str_eq (query->key, EK_STR ("fail")))
    return ek_fail (&call->error, EK_FAIL, 0, "failed as asked");
  *answer = (EkAnswer) { .n_rows = 2, .n_columns = 3, .names = names, .cells = ek_pool_newv (call->pool, EkStr, 6) };
  answer->cells[0] = answer->cells[3] = query->key;
  answer->cells[1] = answer->cells[4] = ek_param (query->params, query->n_params, "user");
  return EK_OK;
}

static const EkMapOps echo_map = { .lookup = echo_lookup };
static const EkModule echo = { .abi = EK_ABI, .build = EK_BUILD, .name = "echo", .map = &echo_map };

typedef struct { EkInstance *who; gint64 count; } Own;
typedef struct { EkInstance base; EkText script; Own *own; } Asker;

static const EkOption asker_options[] = {
  EK_OPTION (Asker, script, "", "What says which rows there are."),
  EK_OPTIONS_END
};

static const EkOption *
asker_own (EkInstance *base, EkPool *pool, gpointer *target, GError **error)
{
  static const EkOption rows[] = {
    EK_OPTION (Own, who, "", "The map that is asked.", .allow = "map"),
    EK_OPTION (Own, count, "3", "How often it is asked.", .allow = "1..9"),
    EK_OPTIONS_END
  };
  Asker *self = (Asker *) base;

  if (self->script.text && strcmp (self->script.text, "bad") == 0) {
    ek_fail (error, EK_FAIL, 0, "script:1: it is bad");
    return NULL;
  }
  *target = self->own = ek_pool_new0 (pool, Own);
  return rows;
}

static EkVerdict
asker_rcpt (EkInstance *self, EkCall *call, const EkMail *mail, EkReply *reply)
{
  return EK_CONTINUE;
}

static const EkFilterOps asker_filter = { .at = { [EK_AT_RCPT] = asker_rcpt } };
static const EkModule asker = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "asker", .instance_size = sizeof (Asker), .options = asker_options,
  .own_options = asker_own, .filter = &asker_filter,
};

static const char text[] =
  "echo \"asked\" { }\n"
  "echo \"private\" { }\n"
  "asker \"one\" { who = asked\n count = 5\n}\n";

/* ---- asking ---- */

typedef struct {
  guint    n;
  EkStatus status;
  GString *cells;
} Got;

static void
got (EkStatus status, const EkAnswer *a, gpointer user)
{
  Got *g = user;

  g->n++;
  g->status = status;
  for (guint i = 0; i < a->n_rows * a->n_columns; i++)
    g_string_append_printf (g->cells, "%s=%.*s ", a->names ? a->names[i % a->n_columns] : "", a->cells[i].p ? (int) a->cells[i].n : 1,
                            a->cells[i].p ? a->cells[i].p : "-");
}

static EkMapAsk *
ask (const char *map, EkStr key, EkTime timeout, Got *g)
{
  static const EkParam params[] = { { "domain", { "d", 1 } }, { "user", { "u\0v", 3 } } };
  EkQuery query = { .key = key, .params = params, .n_params = 2 };
  EkInstance *self = ek_generation_instance (ek_role_generation (), map, 1u << EK_TABLE_MAP);

  *g = (Got) { .cells = g_string_new (NULL) };
  EkMapAsk *a = ek_map_ask (self, &query, timeout, got, g);
  g_assert_cmpuint (g->n, ==, 0);
  return a;
}

static EkStatus
answer (const char *map, EkStr key, EkTime timeout, const char *cells)
{
  Got g;

  ask (map, key, timeout, &g);
  while (g.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (g.n, ==, 1);
  if (cells)
    g_assert_cmpstr (g.cells->str, ==, cells);
  g_string_free (g.cells, TRUE);
  return g.status;
}

static void
test_answers (void)
{
  static char big[EK_MAP_KEY_MAX + 1];
  EkTime long_enough = { 20 * G_USEC_PER_SEC };

  memset (big, 'x', sizeof big);
  g_assert_cmpint (answer ("asked", EK_STR ("k"), long_enough, "key=k user=u none=- key=k user=u none=- "), ==, EK_OK);
  g_assert_cmpint (answer ("asked", EK_STR ("fail"), long_enough, ""), ==, EK_FAIL);
  g_assert_cmpint (answer ("asked", EK_STR ("long"), long_enough, ""), ==, EK_DEFER);
  g_assert_cmpint (answer ("asked", EK_STR ("slow"), (EkTime) { 20000 }, ""), ==, EK_DEFER);
  g_assert_cmpint (answer ("asked", (EkStr) { big, sizeof big }, long_enough, ""), ==, EK_FAIL);
  g_assert_cmpint (answer ("asked", (EkStr) { big, sizeof big - 1 }, long_enough, NULL), ==, EK_OK);
  /* nobody at the edge refers to it */
  g_assert_cmpint (answer ("private", EK_STR ("k"), long_enough, ""), ==, EK_DEFER);
}

static void
test_cancel (void)
{
  Got g, other;

  ek_map_ask_cancel (ask ("asked", EK_STR ("k"), (EkTime) { 0 }, &g));
  ask ("asked", EK_STR ("k"), (EkTime) { 0 }, &other);
  while (other.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (g.n, ==, 0);
  g_string_free (g.cells, TRUE);
  g_string_free (other.cells, TRUE);
  ek_map_ask_cancel (NULL);
}

/* ---- an edge that somebody else drives ---- */

static guint n_came;

static void
came (EkMsg *msg, gpointer data)
{
  n_came++;
  if (data == NULL) {
    g_assert_null (msg);             /* the channel was closed */
    return;
  }
  EkStatus status;
  EkAnswer a;
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_assert_true (ek_unpack_map_answer (&msg->in, pool, &status, &a));
  g_assert_cmpint (status, ==, GPOINTER_TO_INT (data));
  g_assert_cmpuint (a.n_rows, ==, 0);
}

static void
test_hostile (void)
{
  EkChannel *directory = ek_role_any (EK_ROLE_EDGE, EK_ROLE_DIRECTORY);
  static const char *const names[] = { "private", "echo:private", "nobody", "", "asker:one", "echo:", ":", "asked\n" };

  n_came = 0;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    EkMapQuestion q = { .map = names[i], .query.key = EK_STR ("k"), .ms = 1000 };
    ek_pack_map_question (ek_channel_call (directory, EK_D_MAP, came, GINT_TO_POINTER (EK_DEFER)), &q);
    ek_channel_end (directory);
  }
  while (n_came < G_N_ELEMENTS (names))
    ek_loop_turn (loop, true);
  ek_pack_text (ek_channel_call (directory, EK_D_MAP, came, NULL), "asked");      /* and nothing behind it */
  ek_channel_end (directory);
  while (n_came <= G_N_ELEMENTS (names))
    ek_loop_turn (loop, true);
}

/* Every cut of a message is noticed, and none reads beyond its end. */
static void
test_cuts (void)
{
  static const EkParam params[] = { { "user", { "u", 1 } } };
  static const char *names[] = { "a", "b" };
  EkStr cells[] = { EK_STR ("one"), { NULL, 0 } };
  EkMapQuestion q = { .map = "m", .query = { .key = EK_STR ("key"), .params = params, .n_params = 1 }, .ms = 500 };
  EkAnswer a = { .n_rows = 1, .n_columns = 2, .names = names, .cells = cells };
  EkBuf question = { 0 }, reply = { 0 };
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStatus status;

  ek_pack_map_question (&question, &q);
  ek_pack_map_answer (&reply, EK_OK, &a);
  for (gsize n = 0; n <= ek_buf_len (&question); n++) {
    g_autofree char *copy = g_memdup2 (ek_buf_at (&question), n);
    EkUnpack in = ek_unpack ((EkStr) { copy, n });
    EkMapQuestion back;
    g_assert_true (ek_unpack_map_question (&in, pool, &back) == (n == ek_buf_len (&question)));
  }
  for (gsize n = 0; n <= ek_buf_len (&reply); n++) {
    g_autofree char *copy = g_memdup2 (ek_buf_at (&reply), n);
    EkUnpack in = ek_unpack ((EkStr) { copy, n });
    EkAnswer back;
    g_assert_true (ek_unpack_map_answer (&in, pool, &status, &back) == (n == ek_buf_len (&reply)));
    if (n == ek_buf_len (&reply))
      g_assert_true (ek_str_eq (ek_answer_column (&back, "a"), EK_STR ("one")) && ek_answer_column (&back, "b").p == NULL);
  }
  ek_buf_release (&question);
  ek_buf_release (&reply);
}

/* ---- rows that only a block can tell ---- */

static void
test_own_options (void)
{
  static const struct { const char *text, *says; } bad[] = {
    { "asker \"a\" { script = bad\n wht = 1\n}\n", "test.conf:1:1: asker \"a\" cannot be used: script:1: it is bad\n" },
    { "asker \"a\" { cuont = 1\n}\n", "test.conf:1:13: asker \"a\" has no setting \"cuont\"; did you mean \"count\"?\n" },
    { "asker \"a\" { count = 10\n}\n", "test.conf:1:21: count: expected a number in the range 1..9, found \"10\"\n" },
    { "asker \"a\" { who = echo\n}\n", "test.conf:1:1: asker \"a\" asks the map echo, which works in another process: expected a block "
      "`echo \"echo\" { ... }` for it\n" },
  };
  const Asker *self = (const Asker *) ek_generation_instance (ek_role_generation (), "one", 0);

  g_assert_cmpint (self->own->count, ==, 5);
  g_assert_cmpstr (self->own->who->name, ==, "asked");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *said = NULL;
    g_assert_null (ek_test_generation (bad[i].text, EK_ROLES_ALL, &said));
    g_assert_cmpstr (said, ==, bad[i].says);
  }
}

/* Directory alone has neither filter nor script, and still knows what the edge may ask; the edge has no map. */
static void
test_roles (void)
{
  g_autoptr (EkGeneration) all = ek_test_generation (text, EK_ROLES_ALL, NULL);
  guint n;
  g_autofree guint32 *roles = ek_conf_roles (ek_generation_conf (all), &n);

  for (EkRole role = EK_ROLE_EDGE; role <= EK_ROLE_DIRECTORY; role++) {
    g_autoptr (EkProblems) problems = ek_problems_new ();
    EkConf *conf = ek_conf_load_text ("test.conf", ek_str (text), 0, problems);
    g_assert_true (ek_conf_set_roles (conf, roles, n));
    g_autoptr (EkGeneration) gen = ek_generation_new (conf, EK_ROLE_BIT (role), problems);
    EkInstance *one = ek_generation_instance (gen, "one", 0), *asked = ek_generation_instance (gen, "asked", 0);
    if (role == EK_ROLE_EDGE)
      g_assert_true (one && asked == NULL && ek_instance_is_remote (((Asker *) one)->own->who));
    else
      g_assert_true (one == NULL && (ek_instance_block (asked)->roles & EK_ASKER_BIT (EK_ROLE_EDGE))
                     && !(ek_instance_block (ek_generation_instance (gen, "private", 0))->roles & EK_ASKER_BIT (EK_ROLE_EDGE)));
  }
}

int
main (int argc, char **argv)
{
  static const EkRoleOps edge = { .role = EK_ROLE_EDGE };
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);
  loop = ek_loop_new (NULL);
  ek_module_add (&echo);
  ek_module_add (&asker);
  ek_blocks_register ();
  ek_domain_blocks_register ();
  ek_block_register (&ek_auth_block);
  ek_role_register (&edge);
  ek_role_register (&ek_directory_role);
  if (!ek_worker_embed (loop, EK_ROLES_ALL, text, &error))
    g_error ("%s", error->message);
  g_test_add_func ("/ask/answers", test_answers);
  g_test_add_func ("/ask/cancel", test_cancel);
  g_test_add_func ("/ask/cuts", test_cuts);
  g_test_add_func ("/ask/own-options", test_own_options);
  g_test_add_func ("/ask/roles", test_roles);
  g_test_add_func ("/ask/hostile", test_hostile);          /* the last: it breaks the channel */
  int failed = g_test_run ();
  ek_worker_unembed ();
  ek_loop_free (loop);
  return failed;
}
