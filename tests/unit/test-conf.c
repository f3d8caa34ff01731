/* test-conf.c - ekiden.conf: what it says becomes a tree, and every error is told with its place
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"
#include "conf/lexer.h"
#include "conf/serial.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static EkConf *
load (const char *text, EkProblems *problems)
{
  return ek_conf_load_text ("t.conf", ek_str (text), 0, problems);
}

static char *
said (EkProblems *problems)
{
  EkBuf out = { 0 };

  ek_problems_print (problems, &out);
  char *text = g_strndup (ek_buf_at (&out) ? ek_buf_at (&out) : "", ek_buf_len (&out));
  ek_buf_release (&out);
  return text;
}

static EkConf *
load_good (const char *text)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkConf *conf = load (text, problems);
  g_autofree char *errors = said (problems);

  g_assert_cmpstr (errors, ==, "");
  return conf;
}

/* A setting's items, joined with "|". */
static char *
value (const EkConfBlock *block, const char *key)
{
  EkConfSetting *s = ek_conf_find_setting (block, key);
  GString *out = g_string_new (NULL);

  g_assert_nonnull (s);
  for (guint i = 0; i < s->n_items; i++)
    g_string_append_printf (out, "%s%s", i ? "|" : "", s->items[i].text.p);
  return g_string_free (out, FALSE);
}

#define assert_value(block_, key_, text_) \
  do { g_autofree char *value_ = value ((block_), (key_)); g_assert_cmpstr (value_, ==, (text_)); } while (0)

static void
test_tree (void)
{
  g_autoptr (EkConf) conf = load_good (
    "\357\273\277$nets = 192.0.2.0/24, 198.51.100.0/24   # two\r\n"
    "$name=post\n"
    "hostname = ${name}.example.com\n"
    "listener \"mx\" { # a comment with \"quotes\" and { braces\n"
    "  address = 0.0.0.0:25, \"[::]:25\"\n"
    "  trusted = [ 127.0.0.1,   # here\n"
    "\n"
    "     $nets,\n"
    "  ]\n"
    "  empty =\n"
    "  none = []\n"
    "  greeting = \"ESMTP \\\"$name\\\" costs \\$5\\t\\x41 $ 5$\"\n"
    "  long = \"one \\\n"
    "          two\"\n"
    "  smtp { banner = x }\n"
    "}\n"
    "queue { lifetime = 5d }\n"
    "domain example.com {}\n");
  EkConfBlock *mx = ek_conf_find_block (conf->root, "listener", "mx");

  assert_value (conf->root, "hostname", "post.example.com");
  g_assert_nonnull (mx);
  assert_value (mx, "address", "0.0.0.0:25|[::]:25");
  assert_value (mx, "trusted", "127.0.0.1|192.0.2.0/24|198.51.100.0/24");
  assert_value (mx, "empty", "");
  assert_value (mx, "none", "");
  assert_value (mx, "greeting", "ESMTP \"post\" costs $5\tA $ 5$");
  assert_value (mx, "long", "one two");
  assert_value (ek_conf_find_block (mx, "smtp", NULL), "banner", "x");
  assert_value (ek_conf_find_block (conf->root, "queue", NULL), "lifetime", "5d");
  g_assert_nonnull (ek_conf_find_block (conf->root, "domain", "example.com"));
  g_assert_cmpuint (conf->n_blocks, ==, 3);
  g_assert_cmpuint (ek_conf_find_setting (mx, "trusted")->at.line, ==, 6);
  g_assert_cmpuint (ek_conf_find_setting (mx, "trusted")->items[0].at.column, ==, 15);
  g_assert_cmpuint (ek_conf_find_setting (mx, "trusted")->items[2].at.line, ==, 8);
  g_assert_cmpuint (ek_conf_find_block (conf->root, "queue", NULL)->at.line, ==, 17);
}

/* text, what must be said about it */
static const struct { const char *text, *says; } bad[] = {
  { "a b\n", "t.conf:1:3: expected `=` behind \"a\" for a setting, or `{` on this line for a block" },
  { "a\n", "t.conf:1:1: expected `=` and a value" },
  { "a = b c\n", "t.conf:1:7: expected the end of the line behind the value, found `c`: a value of several" },
  { "a = b = c\n", "a value with `=` in it needs \"quotes\"" },
  { "a = \"x\nb = y\n", "t.conf:1:5: the string that begins here is not closed" },
  { "a = 'x'\n", "t.conf:1:5: `'` does not quote here" },
  { "a = x;\n", "t.conf:1:6: `;` is not used here" },
  { "a = x,\n", "t.conf:1:6: the value ends with a comma" },
  { "a = [x\ny = 1\n", "expected `,` or `]` in the list of line 1, found `y`" },
  { "a = [x,\n", "t.conf:1:5: the list that begins here is never closed" },
  { "a = [::1]:25\n", "expected the end of the line" },
  { "a = x, [y]\n", "a `[` stands inside a value" },
  { "a = \"\\q\"\n", "begins no escape" },
  { "a = \"\\x00\"\n", "begins no escape" },
  { "a = $nosuch\n", "t.conf:1:5: the variable $nosuch is not set" },
  { "$nets = 1\na = $net\n", "t.conf:2:5: the variable $net is not set above; did you mean $nets?" },
  { "$l = 1, 2\na = x$l\n", "$l has 2 values" },
  { "$l = 1\n$l = 2\n", "t.conf:2:1: the variable $l is set twice: it stands in t.conf:1 already" },
  { "b { $l = 1\n}\n", "set inside a block" },
  { "a = 1\na = 2\n", "t.conf:2:1: the setting \"a\" is given twice: it stands in t.conf:1 already" },
  { "q {}\nq {}\n", "t.conf:2:1: the block q is given twice" },
  { "q x {}\nq \"x\" {}\n", "t.conf:2:1: q \"x\" is given twice" },
  { "q {\n a = 1\n", "t.conf:1:1: the block that begins here is never closed" },
  { "}\n", "t.conf:1:1: this `}` closes nothing" },
  { "= 1\n", "t.conf:1:1: expected a setting" },
  { "q \"\" {}\n", "a name is empty" },
  { "a.b = 1\n", "`a.b` cannot be the name of a setting" },
  { "a = file(\"x\"\n", "expected `)` behind the file's name" },
  { "a = file(\"/nonexistent/x\")\n", "t.conf:1:5: cannot read the secret in /nonexistent/x: No such file" },
  { "a = read(\"x\"\n", "expected `)` behind the file's name, as in read(\"script\")" },
  { "a = read(\"/nonexistent/x\")\n", "t.conf:1:5: cannot read /nonexistent/x: No such file" },
  { "include \"/nonexistent/x.conf\"\n", "t.conf:1:9: cannot read /nonexistent/x.conf: No such file" },
  { "$x = $y\na = $x\nb = \"$x\"\n", "t.conf:1:6: the variable $y is not set" },
  { "$x = [1\n= 2\na = $x\n", "t.conf:2:1: expected `,` or `]` in the list of line 1" },
  { "a = \xff\n", "t.conf:1:5: this byte (\\xff) is not UTF-8" },
  { "a = \"\xc3\xa4\" x\n", "t.conf:1:9: expected the end of the line" },
};

static void
test_errors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkProblems) problems = ek_problems_new ();
    g_autoptr (EkConf) conf = load (bad[i].text, problems);
    g_autofree char *errors = said (problems);
    if (!strstr (errors, bad[i].says))
      g_error ("%s gave \"%s\", not \"%s\"", bad[i].text, errors, bad[i].says);
    g_assert_cmpuint (ek_problems_count (problems), <=, 2);
  }
}

/* One pass tells them all, in order, and what is good is in the tree. */
static void
test_all_errors (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = load ("a = 'x'\nb c\nq { d\n  e = 1\n}\nf = $g\nok = 1\nh \"x\" y {\n z = 1\n}\nend = 2\n", problems);
  guint lines[] = { 1, 2, 3, 6, 8 };

  g_autofree char *errors = said (problems);
  g_assert_cmpuint (ek_problems_count (problems), >=, G_N_ELEMENTS (lines));
  for (guint i = 0, at = 0; i < G_N_ELEMENTS (lines); i++) {
    while (ek_problems_get (problems, at) && ek_problems_get (problems, at)->line < lines[i])
      at++;
    g_assert_cmpuint (ek_problems_get (problems, at)->line, ==, lines[i]);
  }
  assert_value (ek_conf_find_block (conf->root, "q", NULL), "e", "1");
  assert_value (conf->root, "ok", "1");
  assert_value (conf->root, "end", "2");
}

static void
test_bounds (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (GString) text = g_string_new ("$a0 = xxxxxxxxxxxxxxxx\n");

  for (guint i = 1; i < 40; i++)                   /* doubles with each line */
    g_string_append_printf (text, "$a%u = \"$a%u$a%u\"\n", i, i - 1, i - 1);
  g_autoptr (EkConf) conf = load (text->str, problems);
  g_autofree char *errors = said (problems);
  g_assert_nonnull (strstr (errors, "the values become larger than 32 MB"));

  g_autoptr (EkProblems) deep = ek_problems_new ();
  g_string_truncate (text, 0);
  for (guint i = 0; i < 100000; i++)
    g_string_append (text, "a {\n");
  g_autoptr (EkConf) conf2 = load (text->str, deep);
  g_autofree char *errors2 = said (deep);
  g_assert_nonnull (strstr (errors2, "more than 10 deep"));

  g_autoptr (EkProblems) many = ek_problems_new ();
  g_string_truncate (text, 0);
  for (guint i = 0; i < 1000; i++)
    g_string_append (text, "a b\n");
  g_autoptr (EkConf) conf3 = load (text->str, many);
  g_autofree char *errors3 = said (many);
  g_assert_cmpuint (ek_problems_count (many), ==, 1000);
  g_assert_true (g_str_has_suffix (errors3, "... and 900 more\n"));
}

static void
write_file (const char *folder, const char *name, const char *text, mode_t mode)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_cmpint (chmod (path, mode), ==, 0);
}

static char *
load_file (const char *folder, const char *name, EkConf **conf)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_autoptr (EkConf) loaded = ek_conf_load (path, 0, problems);
  if (conf)
    *conf = g_steal_pointer (&loaded);
  return said (problems);
}

static void
test_files (void)
{
  g_autofree char *folder = g_dir_make_tmp ("ekiden-conf-XXXXXX", NULL);
  g_autofree char *sub = g_build_filename (folder, "conf.d", NULL);
  g_autoptr (EkConf) conf = NULL;

  g_assert_cmpint (g_mkdir (sub, 0755), ==, 0);
  write_file (folder, "main.conf", "$x = 1\ninclude \"conf.d/*.conf\"\nq {\n  include \"inner.conf\"\n}\n", 0644);
  write_file (folder, "inner.conf", "secret = file(\"pw\")\n", 0644);
  write_file (folder, "pw", "hunter2\n", 0640);
  write_file (sub, "10-a.conf", "a = $x\nwhere = 10\n", 0644);
  write_file (sub, "20-b.conf", "b = 2\n", 0644);
  write_file (sub, "20-b.conf.bak", "b = 3\n", 0644);
  g_autofree char *errors = load_file (folder, "main.conf", &conf);
  g_assert_cmpstr (errors, ==, "");
  assert_value (conf->root, "a", "1");
  assert_value (conf->root, "b", "2");
  EkConfBlock *q = ek_conf_find_block (conf->root, "q", NULL);
  assert_value (q, "secret", "hunter2");
  EkBuf out = { 0 };
  ek_conf_value_write (ek_conf_find_setting (q, "secret"), &out);
  g_assert_true (ek_str_eq (ek_buf_str (&out), EK_STR ("(hidden)")));
  ek_buf_release (&out);

  write_file (folder, "pw", "hunter2\n", 0644);
  g_autofree char *open = load_file (folder, "main.conf", NULL);
  g_assert_nonnull (strstr (open, "inner.conf:1:10: the secret in"));
  g_assert_nonnull (strstr (open, "is open to everybody (mode 0644): chmod o= "));
  g_assert_null (strstr (open, "hunter2"));
  write_file (folder, "pw", "", 0600);
  g_autofree char *nothing = load_file (folder, "main.conf", NULL);
  g_assert_nonnull (strstr (nothing, "is empty"));

  write_file (folder, "loop.conf", "# 1\ninclude loop2.conf\n", 0644);
  write_file (folder, "loop2.conf", "include loop.conf\n", 0644);
  g_autofree char *loop = load_file (folder, "loop.conf", NULL);
  g_assert_nonnull (strstr (loop, "files include each other in a loop: "));
  g_assert_nonnull (strstr (loop, "loop.conf:2 -> "));

  write_file (folder, "open.conf", "a = 1\n", 0666);
  g_autofree char *writable = load_file (folder, "open.conf", NULL);
  g_assert_nonnull (strstr (writable, "may be written by everybody (mode 0666)"));
  g_autofree char *is_folder = load_file (folder, "conf.d", NULL);
  g_assert_nonnull (strstr (is_folder, "it is a folder"));
  g_autofree char *rm = g_strdup_printf ("rm -r %s", folder);
  g_assert_cmpint (system (rm), ==, 0);
}

/* read("...") gives a file's text, whoever may read it; it goes to roles with the file's name. */
static void
test_texts (void)
{
  g_autofree char *folder = g_dir_make_tmp ("ekiden-conf-XXXXXX", NULL);
  g_autoptr (EkConf) conf = NULL;
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 }, bytes = { 0 };

  write_file (folder, "main.conf", "$s = read(\"a.lua\")\nq {\n  script = $s\n  word = read\n}\n", 0644);
  write_file (folder, "a.lua", "return {\n}\n", 0644);
  g_autofree char *errors = load_file (folder, "main.conf", &conf);
  g_assert_cmpstr (errors, ==, "");
  EkConfBlock *q = ek_conf_find_block (conf->root, "q", NULL);
  assert_value (q, "script", "return {\n}\n");
  assert_value (q, "word", "read");
  ek_conf_value_write (ek_conf_find_setting (q, "script"), &out);
  g_autofree char *shown = g_strdup_printf ("read(\"%s/a.lua\")", folder);
  g_assert_true (ek_str_eq (ek_buf_str (&out), ek_str (shown)));
  q->roles = 1;
  ek_conf_serialise (conf, 1, &bytes);
  g_autoptr (EkConf) back = ek_conf_unserialise (ek_buf_at (&bytes), ek_buf_len (&bytes), &error);
  g_assert_no_error (error);
  const EkConfItem *item = ek_conf_find_setting (ek_conf_find_block (back->root, "q", NULL), "script")->items;
  g_assert_true (ek_str_eq (item->text, EK_STR ("return {\n}\n")) && g_str_has_suffix (item->file, "/a.lua"));
  ek_buf_release (&out);
  ek_buf_release (&bytes);

  write_file (folder, "a.lua", "return {\n}\n", 0666);
  g_autofree char *writable = load_file (folder, "main.conf", NULL);
  g_assert_true (strstr (writable, "main.conf:1:6: ") && strstr (writable, "a.lua may be written by everybody (mode 0666)"));
  g_autofree char *rm = g_strdup_printf ("rm -r %s", folder);
  g_assert_cmpint (system (rm), ==, 0);
}

static void
test_nearest (void)
{
  const char *words[] = { "banner", "idle_timeout", "protocol", NULL };

  g_assert_cmpstr (ek_nearest ("baner", words, 4), ==, "banner");
  g_assert_cmpstr (ek_nearest ("bnaner", words, 4), ==, "banner");
  g_assert_cmpstr (ek_nearest ("idle_time_out", words, 4), ==, "idle_timeout");
  g_assert_cmpstr (ek_nearest ("Protocoll", words, 4), ==, "protocol");
  g_assert_null (ek_nearest ("hostname", words, 4));
  g_assert_null (ek_nearest ("ldap", (const char *[]) { "imap" }, 1));
  g_assert_null (ek_nearest ("", words, 4));
}

/* What is written out reads back as the same text. */
static void
test_write (void)
{
  const char *texts[] = { "plain", "a b", "", "$x", "file", "q\"\\", "tab\there", "\xc3\xa4", "\xff\x01", "#c", "x\ny", "[::1]:25" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    EkBuf out = { 0 };
    ek_buf_appends (&out, "k = ");
    ek_conf_text_write (ek_str (texts[i]), &out);
    g_autofree char *line = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
    g_autoptr (EkConf) conf = load_good (line);
    assert_value (conf->root, "k", texts[i]);
    ek_buf_release (&out);
  }
}

static void
test_serial (void)
{
  g_autoptr (EkConf) conf = load_good ("g = 1, 2\nlistener a { x = \"y z\"\n sub { k = v }\n }\nfile b { p = q }\n");
  g_autoptr (EkConf) all = NULL, some = NULL;
  EkBuf one = { 0 }, two = { 0 };

  conf->root->blocks->roles = 1;
  conf->root->blocks->next->roles = 6;
  ek_conf_serialise (conf, G_MAXUINT32, &one);
  all = ek_conf_unserialise (ek_buf_at (&one), ek_buf_len (&one), NULL);
  g_assert_nonnull (all);
  ek_conf_serialise (all, G_MAXUINT32, &two);
  g_assert_true (ek_str_eq (ek_buf_str (&one), ek_buf_str (&two)));
  EkConfBlock *a = ek_conf_find_block (all->root, "listener", "a");
  assert_value (a, "x", "y z");
  g_assert_cmpstr (ek_conf_find_setting (a, "x")->at.file, ==, "t.conf");
  g_assert_cmpuint (ek_conf_find_setting (a, "x")->at.line, ==, 2);
  assert_value (ek_conf_find_block (a, "sub", NULL), "k", "v");

  ek_buf_clear (&two);
  ek_conf_serialise (conf, 4, &two);
  some = ek_conf_unserialise (ek_buf_at (&two), ek_buf_len (&two), NULL);
  assert_value (some->root, "g", "1|2");
  g_assert_null (ek_conf_find_block (some->root, "listener", "a"));
  assert_value (ek_conf_find_block (some->root, "file", "b"), "p", "q");

  for (gsize n = 0; n < ek_buf_len (&one); n++) {  /* no prefix is a configuration */
    g_autoptr (GError) error = NULL;
    g_assert_null (ek_conf_unserialise (ek_buf_at (&one), n, &error));
    g_assert_nonnull (error);
  }
  ek_buf_release (&one);
  ek_buf_release (&two);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/conf/tree", test_tree);
  g_test_add_func ("/conf/errors", test_errors);
  g_test_add_func ("/conf/all-errors", test_all_errors);
  g_test_add_func ("/conf/bounds", test_bounds);
  g_test_add_func ("/conf/files", test_files);
  g_test_add_func ("/conf/texts", test_texts);
  g_test_add_func ("/conf/nearest", test_nearest);
  g_test_add_func ("/conf/write", test_write);
  g_test_add_func ("/conf/serial", test_serial);
  return g_test_run ();
}
