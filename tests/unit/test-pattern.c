/* test-pattern.c - modules regexp and pcre: syntax, flags, if ... endif, captures, wrong lines, bounds, the warning about /i
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "unit/instance.h"
#include "base/log.h"
#include "lookup/pattern.h"

#define LOOK 60000                   /* longer than ek_table_file_patience here */

extern const EkModule ek_module_regexp, ek_module_pcre;
static const EkModule *const both[] = { &ek_module_regexp, &ek_module_pcre };

static char *folder, *path;
static TestInstance test;
static EkCall call;
static EkBuf caught;                 /* what was logged */

static void
catch_log (const char *bytes, gsize len, gpointer data)
{
  ek_buf_append (&caught, bytes, len);
}

static bool
logged (const char *part)
{
  EkStr all = ek_buf_str (&caught);

  return all.n > 0 && memmem (all.p, all.n, part, strlen (part));
}

static EkInstance *
begin (const EkModule *module, const char *text, const char *more)
{
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"\n%s", path, more);
  g_autoptr (GError) error = NULL;

  ek_buf_clear (&caught);
  test_rename_in (path, text, -1);
  EkInstance *self = test_instance_new (&test, module, "it", settings, &error);
  g_assert_no_error (error);
  return self;
}

static void
end (void)
{
  test_instance_free (&test);
  test_call_clear (&call);
}

static EkStatus
lookup (EkInstance *self, EkStr key, EkStr *value)
{
  return test_lookup (self, &call, key, value);
}

static const char *
get (EkInstance *self, const char *key)
{
  return test_get (self, &call, key);
}

static void
assert_pairs (const EkModule *module, const char *text, const char *const pairs[][2], guint n)
{
  EkInstance *self = begin (module, text, "");

  for (guint i = 0; i < n; i++) {
    const char *value = get (self, pairs[i][0]);
    if (strcmp (value, pairs[i][1]) != 0)
      g_error ("%s: %s gave \"%s\" (%s), not \"%s\"", module->name, pairs[i][0], value, call.error ? call.error->message : "", pairs[i][1]);
  }
  end ();
}

/* ---- what both take; answers as postmap -q regexp: of Postfix 3.7 gives them ---- */

static void
test_rules (void)
{
  static const char text[] = "# c\n/^a+$/ first\n\n  \n/^c/\n  folded\n# c\n   twice\n!/@/ no-at\n"
    "~^/var/~ slash\n/a\\/b/ escaped\nif /^in@/\n/x$/ in-x\nif !/y/\n/z$/ in-z\nendif\n/^in@y/ in-y\nEndIf\n"
    "IF!/never/\n/^late@/ late\nendif\n/blank in it/ blank\n/@/ rest\n";
  static const char *const pairs[][2] = {
    { "aaa", "first" }, { "AAA", "first" }, { "c", "folded   twice" }, { "b@", "rest" }, { "plain", "no-at" },
    { "/VAR/@", "slash" }, { "x@a/b", "escaped" }, { "in@x", "in-x" }, { "in@z", "in-z" }, { "in@yz", "in-y" }, { "in@q", "rest" },
    { "late@x", "late" }, { "late@never", "rest" }, { "@blank in it", "blank" }, { "", "no-at" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (both); i++)
    assert_pairs (both[i], text, pairs, G_N_ELEMENTS (pairs));
}

/* What begins with a blank continues a line, even if it looks like a pattern. */
static void
test_folded (void)
{
  static const char *const pairs[][2] = { { "a", "first   /^b/   two  words" } };

  for (guint i = 0; i < G_N_ELEMENTS (both); i++)
    assert_pairs (both[i], "/^a+$/ first\n   /^b/   two  words \n", pairs, 1);
}

static void
test_captures (void)
{
  static const char text[] = "/^(.*)-out@(.*)$/ use ${1}@$(2), $1 $$1 $$ ${2}x\n/^(a)|(b)$/ <$1><$2>\n/^((q)(r))$/ $3$2$1\n"
    "/^n(o)ne$/ $$\n/^double$/ $$$$x\n!/^(z)/ negated\n/^(z)$/ $1\n";
  static const char *const pairs[][2] = {
    { "list-out@example.com", "use list@example.com, list $1 $ example.comx" }, { "a", "<a><>" }, { "b", "<><b>" },
    { "qr", "rqqr" }, { "none", "$" }, { "double", "$$x" }, { "other", "negated" }, { "z", "z" }, { "zz", "notfound" },
    { "List-Out@Example.COM", "use List@Example.COM, List $1 $ Example.COMx" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (both); i++)
    assert_pairs (both[i], text, pairs, G_N_ELEMENTS (pairs));
}

/* i toggles what is on; m and the engine's own. */
static void
test_flags (void)
{
  static const char *const shared[][2] = {
    { "abc", "sensitive" }, { "ABC", "notfound" }, { "DEF", "twice" }, { "x\nline", "line" }, { "x\nend\ny", "end" },
  };
  static const char *const regexp[][2] = { { "a(b", "basic" }, { "aXXb", "braces" }, { "ab\nc", "dot" } };
  static const char *const pcre[][2] = {
    { "one\ntwo", "dotall" }, { "three\nfour", "notfound" }, { "word", "extended" }, { "xanchor", "notfound" }, { "anchor!", "anchored" },
    { "end", "end-only" }, { "end\n", "notfound" }, { "loose\n", "loose" }, { "<p><q>", "<p>" }, { "q", "x" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (both); i++)
    assert_pairs (both[i], "/^abc$/i sensitive\n/^def$/ii twice\n/^line$/m line\n/^end$/m end\n", shared, G_N_ELEMENTS (shared));
  assert_pairs (&ek_module_regexp, "/^a(b$/x basic\n/^aX\\{2\\}b$/x braces\n/^ab.c$/ dot\n", regexp, G_N_ELEMENTS (regexp));
  assert_pairs (&ek_module_pcre, "/^one.two$/ dotall\n/^three.four$/s not\n/^wo rd # c$/x extended\n/anchor/A anchored\n/^end$/E end-only\n"
                "/^loose$/ loose\n/(<.*>)/U $1\n/^q$/X x\n", pcre, G_N_ELEMENTS (pcre));
}

static void
test_characters (void)
{
  EkInstance *self = begin (&ek_module_pcre, "/^caf\xc3\xa9$/ coffee\n/^\xc3\xa4.$/ two\n/^..$/ bytes\n/(*UTF)^.=$/ utf\n/x/ x\n", "");
  EkStr value;

  g_assert_cmpstr (get (self, "CAF\xc3\x89"), ==, "coffee");
  g_assert_cmpstr (get (self, "\xc3\xa4\xc3\xb6"), ==, "two");
  g_assert_cmpstr (get (self, "\xc3\xb6"), ==, "bytes");
  g_assert_cmpstr (get (self, "\xc3\xb6="), ==, "utf");
  g_assert_cmpstr (get (self, "\xff\xfe="), ==, "notfound");       /* no UTF-8: such patterns match nothing, and others go on */
  g_assert_cmpstr (get (self, "\xff\xfex"), ==, "x");
  g_assert_cmpint (lookup (self, EK_STR ("a\0x"), &value), ==, EK_OK);
  g_assert_cmpint (lookup (self, (EkStr) { NULL, 0 }, &value), ==, EK_NOTFOUND);
  end ();
  self = begin (&ek_module_regexp, "/^..$/ bytes\n/c$/ end\n", "");
  g_assert_cmpstr (get (self, "\xc3\xb6"), ==, "bytes");
  g_assert_cmpint (lookup (self, EK_STR ("a\0b\0c"), &value), ==, EK_OK);     /* the key does not end there */
  g_assert_cmpstr (value.p, ==, "end");
  g_assert_cmpint (lookup (self, (EkStr) { NULL, 0 }, &value), ==, EK_NOTFOUND);
  end ();
}

/* ---- wrong lines ---- */

/* regcomp() would run out of stack. */
static void
test_deep (void)
{
  g_autofree char *open = g_strnfill (20000, '('), *close = g_strnfill (20000, ')'), *deep = g_strdup_printf ("/%sa%s/ 1\n", open, close);
  EkInstance *self = begin (&ek_module_regexp, deep, "");
  g_assert_cmpstr (get (self, "a"), ==, "defer");
  g_assert_true (test_has (call.error->message, "more than 100 deep"));
  end ();
  g_autofree char *flat = g_strdup_printf ("/^%.100sa%.100s[((((]$/ 1\n", open, close);
  self = begin (&ek_module_regexp, flat, "");
  g_assert_cmpstr (get (self, "a("), ==, "1");
  end ();
}

static void
test_wrong (void)
{
  static const struct { const char *text, *said; } wrong[] = {
    { "/a/ 1\n\n/b/\n", ":3: expected pattern, blanks, value: the value is missing" },
    { "abc def\n", ":1: expected /pattern/flags: \"abc def\" does not begin with" },
    { "! \n", ":1: expected /pattern/flags" }, { "!!\\a\\ x\n", "does not begin with a /" },
    { "/a 1\n", ":1: the pattern is not closed: its / does" }, { "/a\\/ 1\n", "is not closed" }, { "/a\\\n", "is not closed" },
    { "/a/ 1\n/(b/ 1\n", ":2: the pattern \"(b\" is wrong: " }, { "/a/q 1\n", ":1: \"q\" behind the pattern are no flags: there are im" },
    { "/a/i!/b/ 1\n", ":1: a second pattern behind ! is no longer taken: write `if !" }, { "/a/I 1\n", "no flags" },
    { "/(a)/ $2\n", ":1: $2: the pattern has only 1 group" }, { "/(a)(b)/ $3\n", "only 2 groups" }, { "/a/ $0\n", ":1: $0 is no group" },
    { "/(a)/ $1st\n", ":1: $1st is no group" }, { "/(a)/ $name\n", "$name is no group" }, { "/(a)/ ${1\n", "\"${1\" is not closed" },
    { "/(a)/ $(1\n", "is not closed" }, { "/(a)/ ${}\n", "stands alone" }, { "/(a)/ 5 $\n", ":1: a $ stands alone: write $$" },
    { "/(a)/ $-\n", "stands alone" }, { "!/(a)/ $1\n", ":1: $1: a pattern behind ! counts when it does not match" },
    { "if !/x/\n/a/ 1\n", ":1: this if has no endif" }, { "/a/ 1\nendif\n", ":2: endif without an if" },
    { "if /a/ x\nendif\n", ":1: there is something behind the pattern of an if" }, { "if /a/\nendif x\n", ":2: there is something behind endif" },
    { "if\nendif\n", ":1: expected /pattern/flags" }, { " /a/ 1\n", ":1: the line begins with a blank" },
    { "if (a/\nendif\n", "is not closed" },
  };

  for (guint m = 0; m < G_N_ELEMENTS (both); m++)
    for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
      EkInstance *self = begin (both[m], wrong[i].text, "");
      g_assert_cmpstr (get (self, "a"), ==, "defer");
      if (!test_has (call.error->message, wrong[i].said))
        g_error ("%s: %s gave %s", both[m]->name, wrong[i].text, call.error->message);
      end ();
    }
  EkInstance *self = begin (&ek_module_pcre, "/[/ 1\n/\\y/ 2\n/(?<n/ 3\n", "");
  g_assert_cmpstr (get (self, "a"), ==, "defer");
  g_assert_true (test_has (call.error->message, ":1: ") && test_has (call.error->message, ":2: ") && test_has (call.error->message, ":3: "));
  end ();
  static const char *const back[] = { "/(.*)\\1(.*)\\2x/ 1\n", "/\\(a*\\)b\\1/x 1\n", "/[^]a](b)\\1/ 1\n", "/[[:alpha:]]([\\])\\1/ 1\n" };
  for (guint i = 0; i < G_N_ELEMENTS (back); i++) {            /* whose search nothing would bound */
    self = begin (&ek_module_regexp, back[i], "");
    g_assert_cmpstr (get (self, "a"), ==, "defer");
    g_assert_true (test_has (call.error->message, "refers back to a group"));
    end ();
  }
  self = begin (&ek_module_regexp, "/^a\\\\1[\\2[:digit:]]$/ 1\n", "");
  g_assert_cmpstr (get (self, "a\\12"), ==, "1");              /* backslashes that refer to nothing */
  end ();
  g_autofree char *most = g_strnfill (EK_MAP_KEY_MAX, 'a'), *more = g_strnfill (EK_MAP_KEY_MAX + 1, 'a');
  self = begin (&ek_module_regexp, "/(a|aa)$/ 1\n", "");
  g_assert_cmpstr (get (self, most), ==, "1");
  g_assert_cmpstr (get (self, more), ==, "defer");
  end ();
  self = begin (&ek_module_regexp, "/a/ 1\n", "");
  test_rename_in (path, "/(/ 2\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "1");      /* what was good stays in use */
  test_rename_in (path, "/a/ 3\n", -1);
  g_usleep (LOOK);
  g_assert_cmpstr (get (self, "a"), ==, "3");
  end ();
}

static void
test_settings (void)
{
  static const struct { const EkModule *module; const char *settings, *said; } wrong[] = {
    { &ek_module_regexp, "path = x", "not absolute" }, { &ek_module_pcre, "path = x", "not absolute" },
    { &ek_module_pcre, "path = /x\nmatch_limit = 1", "match_limit" }, { &ek_module_regexp, "path = /x\nmatch_limit = 1000", "match_limit" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (test_instance_new (&test, wrong[i].module, "it", wrong[i].settings, &error));
    g_assert_true (test_has (error->message, wrong[i].said));
    end ();
  }
  for (guint i = 0; i < G_N_ELEMENTS (both); i++) {
    g_autoptr (EkProblems) problems = ek_problems_new ();
    g_assert_true (ek_options_selftest (both[i]->options, both[i]->instance_size, both[i]->name, problems));
  }
}

/* ---- the trap ---- */

static void
test_case_warning (void)
{
  ek_log_set_sink (catch_log, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (both); i++) {
    g_autofree char *first = g_strdup_printf ("%s \"it\": %s:3: the flag i makes this pattern distinguish A and a", both[i]->name, path);
    begin (both[i], "/a/ 1\n\n/b/i 2\n/c/m 3\n", "");
    g_assert_true (logged (first) && logged ("i toggles that") && logged ("Take the i out") && !logged ("the same in line"));
    end ();
    begin (both[i], "if /a/i\n/b/i 2\nendif\n!/c/im 3\n/d/i 4\n/e/ii 5\n/f/i 6\n/g/i 7\n/h/i 8\n", "");
    g_assert_true (logged (":1: the flag i") && logged ("; the same in line 2, 4, 5, 7 and 2 more"));
    end ();
    begin (both[i], "/b/i 2\n", "case_warning = no");
    g_assert_false (logged ("flag i"));
    end ();
    begin (both[i], "/b/ 2\n/I/m i\n", "");
    g_assert_false (logged ("flag i"));
    end ();
  }
  ek_log_set_sink (NULL, NULL);
}

/* ---- bounds ---- */

static void
test_limits (void)
{
  g_autofree char *key = g_strnfill (4000, 'a'), *keyed = g_strconcat (key, "!", NULL);
  EkInstance *self = begin (&ek_module_pcre, "/^ok$/ fine\n/^(a+)+$/ slow\n/./ any\n", "");
  EkStr value;

  g_assert_cmpstr (get (self, "ok"), ==, "fine");
  g_assert_cmpstr (get (self, "aaa"), ==, "slow");
  g_assert_cmpint (lookup (self, ek_str (keyed), &value), ==, EK_DEFER);    /* never "no", nor the next rule's answer */
  g_assert_true (test_has (call.error->message, ":2: the pattern takes more than 1000000 steps (match_limit)"));
  g_assert_cmpstr (get (self, "ok"), ==, "fine");
  end ();
  self = begin (&ek_module_pcre, "/^(a+)+$/ slow\n", "match_limit = 1000");
  g_assert_cmpint (lookup (self, EK_STR ("aaaaaaaaaaaaaaaaaaaaaaaa!"), &value), ==, EK_DEFER);
  g_assert_true (test_has (call.error->message, ":1: the pattern takes more than 1000 steps"));
  end ();
  /* a result that grows */
  GString *text = g_string_new ("/^(.*)$/ ");
  for (guint i = 0; i < 20; i++)
    g_string_append (text, "$1 ");
  self = begin (&ek_module_regexp, text->str, "");
  g_assert_cmpint (lookup (self, ek_str (key), &value), ==, EK_DEFER);
  g_assert_true (test_has (call.error->message, ":1: the result would have 80019 bytes, and 65536 are the most"));
  g_assert_cmpint (lookup (self, EK_STR ("ab"), &value), ==, EK_OK);
  g_assert_cmpuint (value.n, ==, 59);
  end ();
  g_string_free (text, TRUE);
}

/* Many patterns keep the caller's deadline. */
static void
test_deadline (void)
{
  GString *text = g_string_new (NULL);
  EkQuery query = { .key = EK_STR ("key1999") };
  EkAnswer answer = { 0 };

  for (guint i = 0; i < 2000; i++)
    g_string_append_printf (text, "/^key%u$/ value%u\n", i, i);
  for (guint i = 0; i < G_N_ELEMENTS (both); i++) {
    EkInstance *self = begin (both[i], text->str, "");
    g_assert_cmpstr (get (self, "key1999"), ==, "value1999");
    test_call (&call)->deadline = g_get_monotonic_time () - 1;
    g_assert_cmpint (self->module->map->lookup (self, &call, &query, &answer), ==, EK_DEFER);
    g_assert_true (test_has (call.error->message, "no answer in time, after 64 patterns"));
    test_call (&call)->cancelled = true;
    g_assert_cmpint (self->module->map->lookup (self, &call, &query, &answer), ==, EK_DEFER);
    end ();
  }
  g_string_free (text, TRUE);
}

/* ---- many at once ---- */

static gpointer
asker (gpointer data)
{
  EkInstance *self = data;
  EkCall mine = { 0 };

  for (guint i = 0; i < 500; i++) {
    EkQuery query = { .key = EK_STR ("list-out@example.com") };
    EkAnswer answer = { 0 };
    g_assert_cmpint (self->module->map->lookup (self, test_call (&mine), &query, &answer), ==, EK_OK);
    g_assert_cmpstr (ek_answer_column (&answer, NULL).p, ==, "list at example.com");
  }
  test_call_clear (&mine);
  return NULL;
}

static void
test_threads (void)
{
  GThread *threads[3];

  for (guint m = 0; m < G_N_ELEMENTS (both); m++) {
    EkInstance *self = begin (both[m], "/^x/ x\n/^(.*)-out@(.*)$/ $1 at $2\n", "");
    for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
      threads[i] = g_thread_new ("asker", asker, self);
    for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
      g_thread_join (threads[i]);
    end ();
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_table_file_patience = 50000;
  folder = test_folder ();
  path = g_build_filename (folder, "table", NULL);
  g_test_add_func ("/pattern/rules", test_rules);
  g_test_add_func ("/pattern/folded", test_folded);
  g_test_add_func ("/pattern/captures", test_captures);
  g_test_add_func ("/pattern/flags", test_flags);
  g_test_add_func ("/pattern/characters", test_characters);
  g_test_add_func ("/pattern/wrong", test_wrong);
  g_test_add_func ("/pattern/deep", test_deep);
  g_test_add_func ("/pattern/settings", test_settings);
  g_test_add_func ("/pattern/case-warning", test_case_warning);
  g_test_add_func ("/pattern/limits", test_limits);
  g_test_add_func ("/pattern/deadline", test_deadline);
  g_test_add_func ("/pattern/threads", test_threads);
  int result = g_test_run ();
  test_remove_folder (folder);
  g_free (path);
  ek_buf_release (&caught);
  return result;
}
