/* test-option.c - option rows: text to typed fields, constraints, defaults, layers
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/option.h"
#include <string.h>

typedef struct {
  bool         flag;
  gint64       port;
  EkTime       wait;
  EkSize       limit;
  const char  *mode, *text, *must;
  EkSecret     password;
  char       **hosts;
  EkInstance  *users;
  EkInstance **maps;
} All;

static const EkOption rows[] = {
  EK_OPTION (All, flag, "yes", "Whether it is."),
  EK_OPTION (All, port, "25", "The port to use.", .allow = "1..65535"),
  EK_OPTION (All, wait, "1m30s", "How long to wait.", .allow = "1s.."),
  EK_OPTION (All, limit, "50M", "The largest size.", .allow = "..1G"),
  EK_OPTION (All, mode, "fast", "How to run.", .allow = "fast|slow|safe"),
  EK_OPTION (All, text, "", "Some free text."),
  EK_OPTION (All, must, NULL, "Has to be given. This part is for the manual."),
  EK_OPTION (All, password, "", "The password to use."),
  EK_OPTION (All, hosts, "a, \"b c\"", "The hosts to ask."),
  EK_OPTION (All, users, "", "Where users are.", .allow = "userdb"),
  EK_OPTION (All, maps, "", "Where to look.", .allow = "map"),
  EK_OPTIONS_END
};

static EkInstance staff = { .name = "staff" }, guests = { .name = "guests" };

static EkInstance *
resolve (gpointer data, const EkOption *row, EkStr text, const EkConfPos *at, EkProblems *problems)
{
  if (ek_str_eq (text, EK_STR ("staff")))
    return &staff;
  if (ek_str_eq (text, EK_STR ("guests")))
    return &guests;
  ek_problems_add (problems, at, "%s: no instance %s", row->name, text.p);
  return NULL;
}

static bool
apply (const char *text, const char *second, EkPool *pool, All *all, char **said)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load_text ("t.conf", ek_str (text), 0, problems);
  g_autoptr (EkConf) below = second ? ek_conf_load_text ("below.conf", ek_str (second), 0, problems) : NULL;
  EkLayer layers[] = { { conf->root }, { below ? below->root : NULL } };
  EkOptionContext context = { pool, resolve, NULL };
  const EkOption *const sets[] = { rows };
  EkBuf out = { 0 };

  bool ok = ek_options_apply (rows, all, layers, 2, "the test", &context, problems);
  ek_options_unknown (conf->root, sets, 1, problems);
  ek_problems_print (problems, &out);
  ek_buf_appendc (&out, '\0');
  *said = g_strdup (ek_buf_at (&out));
  ek_buf_release (&out);
  return ok;
}

static void
test_defaults (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *said = NULL;
  All all = { 0 };

  g_assert_true (apply ("must = x\n", NULL, pool, &all, &said));
  g_assert_cmpstr (said, ==, "");
  g_assert_true (all.flag);
  g_assert_cmpint (all.port, ==, 25);
  g_assert_cmpint (all.wait.us, ==, 90000000);
  g_assert_cmpuint (all.limit.bytes, ==, 50 << 20);
  g_assert_cmpstr (all.mode, ==, "fast");
  g_assert_null (all.text);
  g_assert_cmpstr (all.must, ==, "x");
  g_assert_null (all.password.text);
  g_assert_cmpuint (g_strv_length (all.hosts), ==, 2);
  g_assert_cmpstr (all.hosts[1], ==, "b c");
  g_assert_null (all.users);
  g_assert_nonnull (all.maps);
  g_assert_null (all.maps[0]);
}

static void
test_values (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *said = NULL;
  All all = { 0 };

  g_assert_true (apply ("flag = Off\nport = 65535\nwait = 2w\nlimit = 1GiB\nmode = safe\ntext = \"a, b\"\nmust = x\n"
                        "password = \"s$ \"\nhosts = []\nusers = staff\nmaps = guests, staff\n",
                        NULL, pool, &all, &said));
  g_assert_cmpstr (said, ==, "");
  g_assert_false (all.flag);
  g_assert_cmpint (all.port, ==, 65535);
  g_assert_cmpint (all.wait.us, ==, 14 * 86400 * G_GINT64_CONSTANT (1000000));
  g_assert_cmpuint (all.limit.bytes, ==, 1 << 30);
  g_assert_cmpstr (all.text, ==, "a, b");
  g_assert_cmpstr (all.password.text, ==, "s$ ");
  g_assert_cmpuint (all.password.len, ==, 3);
  g_assert_null (all.hosts[0]);
  g_assert_true (all.users == &staff);
  g_assert_true (all.maps[0] == &guests && all.maps[1] == &staff && all.maps[2] == NULL);
}

static const struct { const char *text, *says; } bad[] = {
  { "flag = maybe", "t.conf:1:8: flag: expected yes or no, found \"maybe\"" },
  { "port = 70000", "port: expected a number in the range 1..65535, found \"70000\"" },
  { "port = 0", "in the range 1..65535" },
  { "port = 9999999999999999999999", "expected a whole number" },
  { "wait = 5", "wait: expected a time: a number with a unit" },
  { "wait = 5x", "expected a time" },
  { "wait = 30m1h", "expected a time" },
  { "wait = 999999999w", "expected a time" },
  { "wait = 10ms", "in the range 1s.." },
  { "limit = 50Q", "limit: expected a size" },
  { "limit = 2G", "in the range ..1G" },
  { "limit = 99999999999T", "expected a size" },
  { "mode = sfae", "mode: expected one of fast, slow, safe (did you mean safe?), found \"sfae\"" },
  { "text = a, b", "text: expected one value (string), found 2" },
  { "users = stff", "t.conf:1:9: users: no instance stff" },
  { "maps = staff, nobody", "maps: no instance nobody" },
  { "prt = 1", "t.conf:1:1: the top level has no setting \"prt\"; did you mean \"port\"?" },
  { "zzzzzz = 1", "has no setting \"zzzzzz\"" },
  { "", "t.conf:1:1: the test needs a setting \"must\" (string): Has to be given.\n" },
};

static void
test_errors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    g_autofree char *said = NULL;
    g_autofree char *text = g_strdup_printf ("%s\n%s", bad[i].text, *bad[i].text ? "must = x\n" : "");
    All all = { 0 };
    apply (text, NULL, pool, &all, &said);
    if (!strstr (said, bad[i].says))
      g_error ("%s gave \"%s\", not \"%s\"", bad[i].text, said, bad[i].says);
    g_assert_true (strchr (said, '\n') == said + strlen (said) - 1);       /* one error each */
  }
}

/* The first layer that sets it wins; the origin is told. */
static void
test_layers (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *said = NULL;
  All all = { 0 };
  guint layer = 9;

  g_assert_true (apply ("port = 26\n", "port = 27\nmust = below\n", pool, &all, &said));
  g_assert_cmpint (all.port, ==, 26);
  g_assert_cmpstr (all.must, ==, "below");
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load_text ("t", EK_STR ("must = x\n"), 0, problems);
  EkLayer layers[] = { { NULL }, { conf->root } };
  g_assert_nonnull (ek_options_find (ek_options_row (rows, "must"), layers, 2, &layer));
  g_assert_cmpuint (layer, ==, 1);
  g_assert_null (ek_options_find (ek_options_row (rows, "port"), layers, 2, &layer));
}

static void
test_selftest (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  static const EkOption wrong[] = {
    EK_OPTION (All, port, "x", "The port to use."),
    EK_OPTION (All, limit, "5M", "No sentence"),
    EK_OPTION (All, mode, "quick", "How to run.", .allow = "fast|slow"),
    EK_OPTION (All, wait, "1s", "How long to wait.", .allow = "5..x"),
    EK_OPTION (All, users, "", "Where users are."),
    EK_OPTION (All, port, "1", "The port to use."),
    EK_OPTIONS_END
  };

  g_assert_true (ek_options_selftest (rows, sizeof (All), "good", problems));
  g_assert_cmpuint (ek_problems_count (problems), ==, 0);
  g_assert_false (ek_options_selftest (wrong, sizeof (All), "wrong", problems));
  g_assert_cmpuint (ek_problems_count (problems), >=, 6);
  g_assert_false (ek_options_selftest (rows, 8, "small", problems));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/option/defaults", test_defaults);
  g_test_add_func ("/option/values", test_values);
  g_test_add_func ("/option/errors", test_errors);
  g_test_add_func ("/option/layers", test_layers);
  g_test_add_func ("/option/selftest", test_selftest);
  return g_test_run ();
}
