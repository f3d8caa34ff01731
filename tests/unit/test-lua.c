/* test-lua.c - scripts that answer: what their hooks get and return, statuses, limits, what a block is and is not
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/lookup.h"
#include "unit/instance.h"

static EkLoop *loop;
static char *folder;

/* ---- blocks ---- */

static EkGeneration *
make (const char *script, const char *rest, char **said)
{
  g_autofree char *path = g_build_filename (folder, "site.lua", NULL);
  g_autofree char *text = g_strdup_printf ("inline \"colours\" { pairs = [\"sky = blue\", \"x = sky\"] }\n"
                                           "test \"away\" { state = defer }\n"
                                           "lua \"site\" { script = read(\"%s\")\ninstructions = 20000\nmemory = 512K\n%s }\n", path, rest);
  test_write (path, script, -1);
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, said);
  if (gen)
    g_assert_true (ek_generation_start (gen, NULL));
  return gen;
}

/* ---- questions ---- */

typedef struct { EkStatus status; bool done; GString *said; char *why; } Got;

static void
answered (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  Got *got = user;

  got->status = status;
  got->done = true;
  got->why = g_strdup (why ? why->message : "");
}

static const EkParam *the_params;
static guint n_the_params;

static EkStatus
run_map (EkInstance *self, EkCall *call, gpointer data)
{
  EkLookup *q = data;
  q->query.params = the_params;
  q->query.n_params = n_the_params;
  return ek_run_lookup (self, call, q);
}

static void
finish_map (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  const EkAnswer *a = &((EkLookup *) data)->answer;
  Got *got = user;

  for (guint r = 0; status == EK_OK && r < a->n_rows; r++)
    for (guint c = 0; c < a->n_columns; c++) {
      EkStr cell = a->cells[r * a->n_columns + c];
      g_string_append (got->said, c ? "," : r ? "|" : "");
      if (a->names)
        g_string_append_printf (got->said, "%s=", a->names[c]);
      g_string_append_len (got->said, cell.p ? cell.p : "NULL", cell.p ? (gssize) cell.n : 4);
    }
  answered (status, data, why, user);
}

/* What the map "site" says to the key; "[status] why" when that is not OK.  To be freed. */
static char *
ask (EkGeneration *gen, EkStr key)
{
  Got got = { .said = g_string_new (NULL) };
  EkOp *op = ek_op_new (ek_generation_instance (gen, "site", 0));
  EkLookup *q = ek_pool_new0 (ek_op_pool (op), EkLookup);

  q->query.key = key;
  ek_op_start (op, 0, (EkTime) { 20 * G_USEC_PER_SEC }, run_map, q, finish_map, &got);
  while (!got.done)
    ek_loop_turn (loop, true);
  if (got.status != EK_OK)
    g_string_printf (got.said, "[%s] %s", ek_status_name (got.status), got.why);
  g_free (got.why);
  return g_string_free (got.said, FALSE);
}

static void
assert_says (EkGeneration *gen, const char *key, const char *expected)
{
  g_autofree char *said = ask (gen, ek_str (key));

  if (!g_str_has_prefix (said, expected) || (*expected != '[' && strcmp (said, expected)))
    g_error ("%s gave \"%s\", expected \"%s\"", key, said, expected);
}

static void
assert_tells (EkGeneration *gen, const char *key, const char *status, const char *part)
{
  g_autofree char *said = ask (gen, ek_str (key));

  g_assert_true (g_str_has_prefix (said, status) || test_has (said, status));
  if (!strstr (said, part))
    g_error ("%s gave \"%s\", which lacks \"%s\"", key, said, part);
}

/* ---- maps ---- */

static const char answers[] =
  "local values = {\n"
  "  text = 'one', number = 17, float = 1.5, word = 'defer', list = { 'a', 'b', 'c' }, rows = { { 'a', 1 }, { 'b' } },\n"
  "  record = { value = 'v', z = 'zz', a = true, none = false }, records = { { who = 'x', home = '/x' }, { who = 'y' } },\n"
  "  empty = {}, ok = { 'notfound' }, zero = '', nul = 'a\\0b',\n"
  "  mixed = { { 'a', 'x' }, 'b' }, deep = { { { 'a' } } }, func = function () end, truth = true,\n"
  "}\n"
  "return {\n"
  "  options = { { 'colours', 'map', nil, 'A map of colours.' }, { 'gone', 'map', '', 'Another map here.' } },\n"
  "  lookup = function (self, key, params)\n"
  "    if key == 'defer' then return ek.DEFER, 'the moon is full' end\n"
  "    if key == 'plain defer' then return ek.DEFER end\n"
  "    if key == 'fail' then return ek.FAIL end\n"
  "    if key == 'notfound' then return ek.NOTFOUND end\n"
  "    if key == 'forgot' then return end\n"
  "    if key == 'error' then error('broken here') end\n"
  "    if key == 'okword' then return ek.OK, 'notfound' end\n"
  "    if key == 'loop' then while true do end end\n"
  "    if key == 'hidden' then while true do pcall(function () while true do end end) end end\n"
  "    if key == 'memory' then local t = {} while true do t[#t + 1] = ('x'):rep(1000) end end\n"
  "    if key == 'many' then local t = {} for i = 1, 4000 do t[i] = 'x' end return t end\n"
  "    if key == 'passed' then return self.maps.colours:lookup('sky') end\n"
  "    if key == 'twice' then\n"
  "      local _, name = self.maps.colours:lookup('x')\n"
  "      local status, colour = self.maps.colours:lookup(name)\n"
  "      return tostring(status) .. ' ' .. colour\n"
  "    end\n"
  "    if key == 'away' then local status = self.maps.gone:lookup('x') return status end\n"
  "    if key:find('@') then return params.user .. '|' .. params.address .. '|' .. params['local'] .. '|' .. params.domain\n"
  "      .. '|' .. tostring(params.service) end\n"
  "    return values[key]\n"
  "  end,\n"
  "}\n";

static void
test_values (void)
{
  EkGeneration *gen = make (answers, "colours = colours\ngone = away", NULL);

  assert_says (gen, "text", "one");
  assert_says (gen, "number", "17");
  assert_says (gen, "float", "1.5");
  assert_says (gen, "word", "defer");              /* a text that looks like a status is none */
  assert_says (gen, "zero", "");
  assert_says (gen, "list", "a|b|c");
  assert_says (gen, "rows", "value=a,2=1|value=b,2=NULL");
  assert_says (gen, "record", "value=v,a=yes,none=NULL,z=zz");
  assert_says (gen, "records", "home=/x,who=x|home=NULL,who=y");
  assert_says (gen, "ok", "notfound");
  assert_says (gen, "okword", "notfound");
  assert_says (gen, "nobody", "[notfound] ");
  assert_says (gen, "notfound", "[notfound] ");
  assert_says (gen, "empty", "[notfound] ");
  g_autofree char *nul = ask (gen, EK_STR ("nul"));
  g_assert_cmpstr (nul, ==, "a");                  /* and two more bytes */
  assert_says (gen, "o'neil+x@a.example", "o'neil+x@a.example|o'neil+x@a.example|o'neil+x|a.example|nil");
  the_params = (EkParam[]) { { "service", EK_STR ("imap") }, { "user", EK_STR ("his own") } };
  n_the_params = 2;
  assert_says (gen, "x@b.example", "his own|x@b.example|x|b.example|imap");
  n_the_params = 0;
  ek_generation_unref (gen);
}

static void
test_maps_here (void)
{
  EkGeneration *gen = make (answers, "colours = colours\ngone = away", NULL);

  assert_says (gen, "passed", "blue");             /* all that a map says, handed on */
  assert_says (gen, "twice", "ok blue");           /* and a status in a text */
  assert_tells (gen, "away", "[defer]", "lookup: the script says ek.DEFER");
  ek_generation_unref (gen);
}

static void
test_later (void)
{
  EkGeneration *gen = make (answers, "colours = colours", NULL);

  assert_tells (gen, "defer", "[defer]", "lookup: the moon is full");
  assert_tells (gen, "plain defer", "[defer]", "ek.DEFER");
  assert_tells (gen, "fail", "[fail]", "ek.FAIL");
  assert_tells (gen, "forgot", "[defer]", "the hook returned nothing");
  assert_tells (gen, "error", "[defer]", "site.lua:15: broken here");
  assert_tells (gen, "func", "[defer]", "the hook returned function");
  assert_tells (gen, "truth", "[defer]", "the hook returned boolean");
  assert_tells (gen, "mixed", "[defer]", "some are tables and some are none");
  assert_tells (gen, "deep", "[defer]", "a column that is a table");
  assert_tells (gen, "loop", "[defer]", "it ran over 20000 instructions");
  assert_tells (gen, "hidden", "[defer]", "it ran over 20000 instructions");
  assert_tells (gen, "memory", "[defer]", "it needs more than 512 KB (memory)");
  for (guint i = 0; i < 50; i++)                   /* nothing is left behind */
    assert_tells (gen, "memory", "[defer]", "memory");
  g_autofree char *many = ask (gen, EK_STR ("many"));
  g_assert_true (strlen (many) == 7999 || test_has (many, "instructions"));
  ek_generation_unref (gen);
}

static void
test_hostile (void)
{
  EkGeneration *gen = make ("return { lookup = function (self, key, params) return #key .. ' ' .. #params.domain end }", "", NULL);
  EkStr long_key = { g_malloc (65536), 65536 };

  memset ((char *) long_key.p, '\'', long_key.n);
  g_autofree char *one = ask (gen, long_key), *two = ask (gen, (EkStr) { "a\0b@\xff\0", 6 }), *three = ask (gen, EK_STR (""));
  g_assert_cmpstr (one, ==, "65536 0");
  g_assert_cmpstr (two, ==, "6 2");
  g_assert_cmpstr (three, ==, "0 0");
  g_free ((char *) long_key.p);
  ek_generation_unref (gen);
}

/* ---- passwords and users ---- */

static const char directory[] =
  "return {\n"
  "  passdb_lookup = function (self, name)\n"
  "    if name == 'anna' then return '{PLAIN}secret' end\n"
  "    if name == 'ben' then return { password = 'xyz', nologin = true, allow_nets = '127.0.0.1', userdb_home = '/b', x = false } end\n"
  "    if name == 'bare' then return { home = '/x' } end\n"
  "    if name == 'fail' then return ek.FAIL end\n"
  "    return nil\n"
  "  end,\n"
  "  userdb_lookup = function (self, name)\n"
  "    if name == 'anna' then return { home = '/a', uid = 1000, gid = 'root', quota_rule = '1M', colour = 'red' } end\n"
  "    if name == 'ben' then return true end\n"
  "    if name == 'wrong' then return { uid = 'nobody of that name' } end\n"
  "    if name == 'text' then return '/home' end\n"
  "    return nil\n"
  "  end,\n"
  "  users = function (self) return { 'anna', 'ben' } end,\n"
  "}\n";

typedef struct { const char *name; EkAccount account; EkUser user; EkLogin login; GString *listed; } Person;

static EkStatus
run_account (EkInstance *self, EkCall *call, gpointer data)
{
  Person *p = data;
  return self->module->passdb->lookup (self, call, p->name, &p->account);
}

static EkStatus
run_verify (EkInstance *self, EkCall *call, gpointer data)
{
  Person *p = data;
  return self->module->passdb->verify (self, call, &p->login, &p->account);
}

static EkStatus
run_user (EkInstance *self, EkCall *call, gpointer data)
{
  Person *p = data;
  return self->module->userdb->lookup (self, call, p->name, &p->user);
}

static void
list_user (const EkUser *user, gpointer data)
{
  g_string_append_printf (data, "%s ", user->name);
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->userdb->each (self, call, list_user, ((Person *) data)->listed);
}

static EkStatus
person (EkGeneration *gen, EkOpRun run, Person *p, EkPool *pool, char **why)
{
  EkInstance *self = ek_generation_instance (gen, "site", 0);
  EkCall call = { .pool = pool };
  EkStatus status = run (self, &call, p);        /* none of them waits */

  g_assert_cmpint (status, !=, EK_PENDING);
  if (why)
    *why = ek_pool_strdup (pool, call.error ? call.error->message : "");
  g_clear_error (&call.error);
  return status;
}

static void
test_people (void)
{
  EkGeneration *gen = make (directory, "", NULL);
  g_autoptr (EkPool) pool = ek_pool_new ();
  char *why;
  Person p = { .name = "anna" };

  g_assert_cmpint (person (gen, run_account, &p, pool, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (p.account.stored, EK_STR ("{PLAIN}secret")));
  p.name = "ben";
  g_assert_cmpint (person (gen, run_account, &p, pool, NULL), ==, EK_OK);
  g_assert_true (ek_str_eq (p.account.stored, EK_STR ("{CRYPT}xyz")));
  g_assert_cmpuint (p.account.n_fields, ==, 3);
  g_assert_true (ek_str_eq (ek_param (p.account.fields, 3, "nologin"), EK_STR ("yes")));
  g_assert_true (ek_str_eq (ek_param (p.account.fields, 3, "userdb_home"), EK_STR ("/b")));
  g_assert_cmpint (person (gen, run_user, &p, pool, NULL), ==, EK_OK);
  g_assert_null (p.user.home);
  p.name = "anna";
  g_assert_cmpint (person (gen, run_user, &p, pool, NULL), ==, EK_OK);
  g_assert_cmpstr (p.user.home, ==, "/a");
  g_assert_cmpint (p.user.uid, ==, 1000);
  g_assert_cmpint (p.user.gid, ==, 0);
  g_assert_cmpuint (p.user.quota_bytes, ==, 1048576);
  p.name = "nobody";
  g_assert_cmpint (person (gen, run_account, &p, pool, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (person (gen, run_user, &p, pool, NULL), ==, EK_NOTFOUND);
  p.name = "bare";
  g_assert_cmpint (person (gen, run_account, &p, pool, &why), ==, EK_DEFER);
  g_assert_true (test_has (why, "without a field password"));
  p.name = "fail";                                 /* there is no such word for an account */
  g_assert_cmpint (person (gen, run_account, &p, pool, NULL), ==, EK_DEFER);
  p.name = "wrong";
  g_assert_cmpint (person (gen, run_user, &p, pool, &why), ==, EK_DEFER);
  g_assert_true (test_has (why, "neither a number nor a user"));
  p.name = "text";
  g_assert_cmpint (person (gen, run_user, &p, pool, &why), ==, EK_DEFER);
  g_assert_true (test_has (why, "the hook returned string"));
  p.listed = g_string_new (NULL);
  g_assert_cmpint (person (gen, run_each, &p, pool, NULL), ==, EK_OK);
  g_assert_cmpstr (p.listed->str, ==, "anna ben ");
  g_string_free (p.listed, TRUE);
  ek_generation_unref (gen);
}

static const char verify[] =
  "return {\n"
  "  passdb_verify = function (self, login)\n"
  "    if login.name == 'nobody' then return nil end\n"
  "    if login.name == 'later' then return ek.DEFER end\n"
  "    if login.name == 'text' then return 'yes' end\n"
  "    if login.password ~= 'pw:' .. login.service .. tostring(login.tls) then return false end\n"
  "    if login.name == 'ben' then return { nologin = true } end\n"
  "    return true\n"
  "  end,\n"
  "}\n";

static EkStatus
verified (EkGeneration *gen, const char *name, const char *secret, Person *p, EkPool *pool, char **why)
{
  *p = (Person) { .name = name, .login = { .service = "imap", .name = name, .given = name, .secret = ek_str (secret), .client = "unix",
                                           .tls = true } };
  return person (gen, run_verify, p, pool, why);
}

static void
test_verify (void)
{
  EkGeneration *gen = make (verify, "", NULL);
  EkInstance *self = ek_generation_instance (gen, "site", 0);
  g_autoptr (EkPool) pool = ek_pool_new ();
  char *why;
  Person p;

  g_assert_true (self->module->passdb->verifies (self));
  g_assert_cmpint (verified (gen, "anna", "pw:imaptrue", &p, pool, NULL), ==, EK_OK);
  g_assert_null (p.account.stored.p);
  g_assert_cmpint (verified (gen, "anna", "wrong", &p, pool, &why), ==, EK_FAIL);
  g_assert_cmpstr (why, ==, "");                   /* a wrong password is no error */
  g_assert_cmpint (verified (gen, "ben", "pw:imaptrue", &p, pool, NULL), ==, EK_OK);
  g_assert_cmpuint (p.account.n_fields, ==, 1);
  g_assert_null (p.account.stored.p);
  g_assert_cmpint (verified (gen, "nobody", "x", &p, pool, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (verified (gen, "later", "x", &p, pool, NULL), ==, EK_DEFER);
  g_assert_cmpint (verified (gen, "text", "x", &p, pool, &why), ==, EK_DEFER);
  g_assert_true (test_has (why, "expected true, false, a table of fields, nil, or ek.DEFER"));
  p.name = "anna";
  g_assert_cmpint (person (gen, run_account, &p, pool, &why), ==, EK_DEFER);
  g_assert_true (test_has (why, "declares no passdb_lookup"));
  ek_generation_unref (gen);
}

/* ---- what a block is not ---- */

static void
test_lacks (void)
{
  static const char map[] = "return { lookup = function () return nil end }";
  static const struct { const char *script, *rest, *said[3]; } cases[] = {
    { map, "}\nchain \"c\" { maps = [colours, site]", { NULL } },
    { verify, "}\nchain \"c\" {\nmaps = [colours, site]",
      { "maps: expected a map, and lua \"site\" (", "site.lua declares no lookup: add lookup = function", NULL } },
    { "return { users = function () return {} end }", "", { "site.lua:1: at is a nil, expected a table", NULL } },
    { "return { lookup = 1 }", "", { "site.lua:1: lookup is a number, expected a function", NULL } },
    { "return { lokup = function () end }", "", { "has no field \"lokup\"; did you mean \"lookup\"?", NULL } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *said = NULL;
    EkGeneration *gen = make (cases[i].script, cases[i].rest, &said);
    g_assert_true ((gen != NULL) == (cases[i].said[0] == NULL));
    for (guint k = 0; cases[i].said[k]; k++)
      if (!strstr (said, cases[i].said[k]))
        g_error ("case %u gave \"%s\", which lacks \"%s\"", i, said, cases[i].said[k]);
    ek_generation_unref (gen);
  }
  EkGeneration *gen = make (directory, "", NULL);
  EkInstance *self = ek_generation_instance (gen, "site", 0);
  g_assert_true (ek_instance_offers (self, EK_TABLE_PASSDB));
  g_assert_true (ek_instance_offers (self, EK_TABLE_USERDB));
  g_assert_false (ek_instance_offers (self, EK_TABLE_MAP));
  g_assert_false (ek_instance_offers (self, EK_TABLE_FILTER));
  ek_generation_unref (gen);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  loop = ek_loop_new (NULL);
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "test");
  ek_op_use_jobs (jobs);
  folder = test_folder ();
  g_test_add_func ("/lua/values", test_values);
  g_test_add_func ("/lua/maps-here", test_maps_here);
  g_test_add_func ("/lua/later", test_later);
  g_test_add_func ("/lua/hostile", test_hostile);
  g_test_add_func ("/lua/people", test_people);
  g_test_add_func ("/lua/verify", test_verify);
  g_test_add_func ("/lua/lacks", test_lacks);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  test_remove_folder (folder);
  return failed;
}
