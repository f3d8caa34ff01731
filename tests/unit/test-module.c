/* test-module.c - loading modules, and generations of instances that refer to each other
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "module/load.h"
#include "module/show.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define MODS EK_BUILDDIR "/tests/unit/mods/.libs"

/* ---- the loader ---- */

static char *
refusal (const char *name, const char *path)
{
  g_autoptr (GError) error = NULL;
  EkConfPos at = { "x.conf", 7, 3 };

  g_setenv ("EKIDEN_MODULE_PATH", path, TRUE);
  g_assert_null (ek_module_load (name, NULL, &at, &error));
  g_unsetenv ("EKIDEN_MODULE_PATH");
  g_assert_nonnull (error);
  return g_strdup (error->message);
}

static void
assert_refused (const char *name, const char *path, const char *says, const char *says_too)
{
  g_autofree char *text = refusal (name, path);

  if (!strstr (text, says) || !strstr (text, says_too) || !g_str_has_prefix (text, "x.conf:7: "))
    g_error ("%s gave \"%s\", not \"%s\" and \"%s\"", name, text, says, says_too);
}

static void
test_refuse (void)
{
  assert_refused ("oldabi", MODS, "for module interface 42", "has " G_STRINGIFY (EK_ABI));
  assert_refused ("otherbuild", MODS, "built with Ekiden 0.0.1-pdp11", "this is " EK_BUILD);
  assert_refused ("nomodule", MODS, "has no symbol ek_module", "nomodule.so");
  assert_refused ("badrow", MODS, "is faulty", "the range 1..65535");
  assert_refused ("not_there", MODS, "not_there.so is not in " MODS, "package ekiden-not-there");
  assert_refused ("godo", MODS, "there is no module \"godo\"", "did you mean \"good\"?");
  assert_refused ("../good", MODS, "cannot be the name of a module", "small letters");
}

static void
test_writable (void)
{
  g_autofree char *folder = g_dir_make_tmp ("ekiden-mods-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "copied.so", NULL);
  g_autofree char *bytes = NULL;
  gsize n;

  g_assert_true (g_file_get_contents (MODS "/good.so", &bytes, &n, NULL));
  g_assert_true (g_file_set_contents (file, bytes, (gssize) n, NULL));
  g_assert_cmpint (g_chmod (file, 0666), ==, 0);
  assert_refused ("copied", folder, "may be written by others (mode 0666)", "chmod go-w ");
  g_assert_cmpint (g_chmod (file, 0755), ==, 0);
  g_assert_cmpint (g_chmod (folder, 0777), ==, 0);
  assert_refused ("copied", folder, "the folder of modules", "(mode 0777)");
  g_assert_cmpint (g_chmod (folder, 0755), ==, 0);
  assert_refused ("copied", folder, "holds the module \"good\", not \"copied\"", "renamed");
  g_unlink (file);
  g_rmdir (folder);
}

static void
test_load (void)
{
  g_autoptr (GError) error = NULL;

  g_setenv ("EKIDEN_MODULE_PATH", "/nonexistent:" MODS, TRUE);
  const EkModule *good = ek_module_load ("good", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (good->summary, ==, "Answers one value");
  g_assert_true (ek_module_load ("good", "/nonexistent", NULL, &error) == good);
  g_assert_cmphex (ek_module_tables (good), ==, 1u << EK_TABLE_MAP);
  g_assert_cmphex (ek_module_roles (good), ==, EK_ROLE_BIT (EK_ROLE_DIRECTORY));
  g_autoptr (GPtrArray) list = ek_module_list (NULL);
  bool found = false;
  for (guint i = 0; i < list->len; i++)
    found |= strcmp (((EkModuleFile *) list->pdata[i])->name, "good") == 0;
  g_assert_true (found);
}

/* ---- generations: modules and blocks of our own ---- */

typedef struct {
  EkInstance   base;
  const char  *path;
  EkSecret     password;
  EkInstance  *next;
  EkInstance **more;
  bool         running;
} Box;

static GString *life;                /* what happened, in order */

static gboolean
box_init (EkInstance *base, GError **error)
{
  Box *self = (Box *) base;

  g_string_append_printf (life, "init:%s ", base->name);
  if (g_strcmp0 (self->path, "/bad") == 0) {
    ek_fail (error, EK_FAIL, 0, "the path is bad");
    return FALSE;
  }
  return TRUE;
}

static gboolean
box_start (EkInstance *base, GError **error)
{
  g_string_append_printf (life, "start:%s ", base->name);
  return ((Box *) base)->running = TRUE;
}

static void
box_stop (EkInstance *base)
{
  g_string_append_printf (life, "stop:%s ", base->name);
}

static EkStatus
box_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  return EK_NOTFOUND;
}

static const EkOption box_options[] = {
  EK_OPTION (Box, path, NULL, "Where the box is."),
  EK_OPTION (Box, password, "", "What opens the box."),
  EK_OPTION (Box, next, "", "The next box.", .allow = "map"),
  EK_OPTION (Box, more, "", "More boxes.", .allow = "map|passdb"),
  EK_OPTIONS_END
};
static const EkMapOps box_map = { .lookup = box_lookup };
static const EkModule box = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "box", .instance_size = sizeof (Box), .options = box_options, .init = box_init,
  .start = box_start, .stop = box_stop, .map = &box_map,
};

typedef struct { EkInstance base; const char *where; } Depot;
static const EkOption depot_options[] = {
  EK_OPTION (Depot, where, "/var/mail", "Where mail lies."),
  EK_OPTIONS_END
};
static const EkMailboxOps *const some_mailbox = (const EkMailboxOps *) &box_map;     /* only asked whether it is there */
static EkModule depot = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "depot", .instance_size = sizeof (Depot), .options = depot_options,
};

typedef struct { const char *banner; gint64 limit; } Talk;
static const EkOption talk_options[] = {
  EK_OPTION (Talk, banner, "hello", "What is said first."),
  EK_OPTION (Talk, limit, "10", "How much is said.", .allow = "1..100"),
  EK_OPTIONS_END
};
static const EkProtocolOps talk_protocol = { .name = "talk", .options = talk_options, .options_size = sizeof (Talk) };
static const EkModule talk = { .abi = EK_ABI, .build = EK_BUILD, .name = "talk", .protocol = &talk_protocol };

typedef struct { char **address; EkInstance *protocol; } Listener;
static const EkOption listener_options[] = {
  EK_OPTION (Listener, address, "", "Where it listens."),
  EK_OPTION (Listener, protocol, NULL, "What it speaks.", .allow = "protocol"),
  EK_OPTIONS_END
};
static void
listener_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  g_assert_nonnull (((const Listener *) values)->protocol);       /* required, so it is there when this is called */
}

static const EkBlockType listener = {
  .kind = "listener", .doc = "An address.", .options = listener_options, .size = sizeof (Listener), .flags = EK_BLOCK_SCOPE,
  .roles = EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_STORE) | EK_ROLE_BIT (EK_ROLE_MASTER),
  .check = listener_check,
};

typedef struct { EkInstance **users; EkInstance *mailbox; } Domain;
static const EkOption domain_options[] = {
  EK_OPTION (Domain, users, "", "Who is there.", .allow = "map"),
  EK_OPTION (Domain, mailbox, "depot", "Where mail goes.", .allow = "mailbox"),
  EK_OPTIONS_END
};
static const EkBlockType domain = {
  .kind = "domain", .doc = "A domain.", .options = domain_options, .size = sizeof (Domain), .flags = EK_BLOCK_SCOPE,
  .roles = EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_DIRECTORY) | EK_ROLE_BIT (EK_ROLE_STORE),
};

typedef struct { EkTime lifetime; } Queue;
static const EkOption queue_options[] = { EK_OPTION (Queue, lifetime, "5d", "How long mail waits."), EK_OPTIONS_END };

/* Another area's rows of the same block. */
typedef struct { bool hold; } Hold;
static const EkOption hold_options[] = { EK_OPTION (Hold, hold, "no", "Whether new mail is held."), EK_OPTIONS_END };
static const EkBlockType hold = {
  .kind = "queue", .doc = "More of the queue.", .options = hold_options, .size = sizeof (Hold), .flags = EK_BLOCK_SINGLE,
  .roles = EK_ROLE_BIT (EK_ROLE_QUEUE),
};

static void
queue_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  if (((const Queue *) values)->lifetime.us == 0)
    ek_problems_add (problems, &block->at, "a lifetime of 0 bounces everything");
}

static const EkBlockType queue = {
  .kind = "queue", .doc = "The queue.", .options = queue_options, .size = sizeof (Queue), .flags = EK_BLOCK_SINGLE,
  .roles = EK_ROLE_BIT (EK_ROLE_QUEUE), .check = queue_check,
};

static const char *const good_text =
  "banner = global\n"
  "listener \"mx\" { protocol = talk\n address = 0.0.0.0:25\n limit = 20\n}\n"
  "listener \"lan\" { protocol = talk\n}\n"
  "domain \"example.com\" { users = staff, box:guests\n banner = unused\n}\n"
  "domain \"example.net\" { }\n"
  "box \"staff\" { path = /a\n next = guests\n password = s3cret\n}\n"
  "box \"guests\" { path = /b\n}\n"
  "talk { limit = 30\n}\n";

static void
test_generation (void)
{
  EkGeneration *gen = ek_test_generation (good_text, EK_ROLES_ALL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (ek_generation_start (gen, &error));
  g_assert_cmpstr (life->str, ==, "init:guests init:staff start:guests start:staff ");
  Box *staff = (Box *) ek_generation_instance (gen, "staff", 0);
  g_assert_cmpstr (staff->path, ==, "/a");
  g_assert_cmpstr (staff->password.text, ==, "s3cret");
  g_assert_true (staff->next == ek_generation_instance (gen, "box:guests", 1u << EK_TABLE_MAP));
  g_assert_null (ek_generation_instance (gen, "staff", 1u << EK_TABLE_MAILBOX));
  const Domain *com = ek_generation_values (gen, &domain, "example.com");
  g_assert_true (com->users[0] == &staff->base && com->users[1] == staff->next && com->users[2] == NULL);
  g_assert_cmpstr (com->mailbox->name, ==, "depot");
  g_assert_cmpstr (((Depot *) com->mailbox)->where, ==, "/var/mail");
  g_assert_true (((const Domain *) ek_generation_values (gen, &domain, "example.net"))->mailbox == com->mailbox);
  g_assert_cmpint (((const Queue *) ek_generation_values (gen, &queue, NULL))->lifetime.us, ==,
                   5 * 86400 * G_GINT64_CONSTANT (1000000));
  g_assert_false (((const Hold *) ek_generation_values (gen, &hold, NULL))->hold);
  g_assert_null (ek_generation_values (gen, &domain, "example.org"));
  g_assert_null (ek_generation_values (gen, &domain, NULL));
  ek_generation_ref (gen);
  ek_generation_unref (gen);
  g_string_truncate (life, 0);
  ek_generation_unref (gen);
  g_assert_cmpstr (life->str, ==, "stop:staff stop:guests ");
}

static void
see_listener (const EkBlockValues *v, gpointer data)
{
  const Talk *options = v->protocol_options;

  g_string_append_printf (data, "%s:%s:%d ", v->block->name, options->banner, (int) options->limit);
}

static void
test_scope (void)
{
  g_autoptr (EkGeneration) gen = ek_test_generation (good_text, EK_ROLES_ALL, NULL);
  g_autoptr (GString) seen = g_string_new (NULL);
  EkLayer layers[EK_LAYERS_MAX];
  guint n, layer;

  ek_generation_each (gen, &listener, see_listener, seen);
  g_assert_cmpstr (seen->str, ==, "mx:global:20 lan:global:30 ");
  n = ek_generation_layers (gen, "lan", "example.com", "talk", layers);
  g_assert_cmpuint (n, ==, 4);
  const EkConfSetting *s = ek_options_find (&talk_options[0], layers, n, &layer);
  g_assert_cmpstr (s->items[0].text.p, ==, "unused");
  g_assert_cmpuint (layer, ==, 1);
}

static void
test_roles (void)
{
  g_autoptr (EkGeneration) gen = ek_test_generation (good_text, EK_ROLES_ALL, NULL);
  const EkConf *conf = ek_generation_conf (gen);
  static const struct { EkRole role; const char *blocks; } want[] = {
    { EK_ROLE_EDGE, "mx lan example.com example.net talk " }, { EK_ROLE_DIRECTORY, "example.com example.net staff guests " },
    { EK_ROLE_STORE, "example.com example.net " }, { EK_ROLE_QUEUE, "" }, { EK_ROLE_MASTER, "mx lan " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
    g_autoptr (GPtrArray) blocks = ek_conf_blocks_for_role (conf, want[i].role);
    g_autoptr (GString) names = g_string_new (NULL);
    for (guint k = 0; k < blocks->len; k++) {
      const EkConfBlock *block = blocks->pdata[k];
      g_string_append_printf (names, "%s ", block->name ? block->name : block->kind);
    }
    g_assert_cmpstr (names->str, ==, want[i].blocks);
  }
}

/* An edge has the domain, and only the names of its users. */
static void
test_remote (void)
{
  g_autoptr (EkGeneration) all = ek_test_generation (good_text, EK_ROLES_ALL, NULL);
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkConf *conf = ek_conf_load_text ("test.conf", ek_str (good_text), 0, problems);
  guint n;
  g_autofree guint32 *roles = ek_conf_roles (ek_generation_conf (all), &n);

  g_assert_true (ek_conf_set_roles (conf, roles, n));
  g_assert_false (ek_conf_set_roles (conf, roles, n + 1));
  g_autoptr (EkGeneration) edge = ek_generation_new (conf, EK_ROLE_BIT (EK_ROLE_EDGE), problems);
  g_assert_nonnull (edge);
  const Domain *com = ek_generation_values (edge, &domain, "example.com");
  g_assert_true (ek_instance_is_remote (com->users[0]));
  g_assert_cmpstr (com->users[0]->name, ==, "staff");
  g_assert_cmpstr (com->users[1]->name, ==, "box:guests");
  g_assert_null (ek_generation_values (edge, &queue, NULL));
  g_assert_null (ek_generation_instance (edge, "staff", 0));
  g_assert_nonnull (ek_generation_instance (edge, "talk", 1u << EK_TABLE_PROTOCOL));
}

static const struct { const char *text, *says; } bad[] = {
  { "listner \"x\" { protocol = talk\n}\n", "test.conf:1:1: nothing is called \"listner\", no block of the core and no module that is "
    "installed; did you mean \"listener\"?" },
  { "ldap \"x\" { }\n", "test.conf:1:1: the module \"ldap\" is not installed: ldap.so is not in " },
  { "listener { protocol = talk\n}\n", "listener needs a name: expected `listener \"NAME\" {`" },
  { "queue \"x\" { }\n", "queue takes no name" },
  { "listener \"x\" { }\n", "listener \"x\" needs a setting \"protocol\" (reference): What it speaks." },
  { "listener \"x\" { protocol = talk\n baner = x\n}\n", "test.conf:2:2: listener \"x\" has no setting \"baner\"; did you mean "
    "\"banner\"?" },
  { "listener \"x\" { protocol = talk\n limit = 101\n}\n", "test.conf:2:10: limit: expected a number in the range 1..100" },
  { "listener \"x\" { protocol = tlkas\n}\n", "test.conf:1:27: protocol: the module \"tlkas\" is not installed" },
  { "talk { limit = 5\n}\nlistener \"x\" { protocol = tlak\n}\n", "test.conf:3:27: protocol: no protocol is called \"tlak\"; did "
    "you mean \"talk\"?" },
  { "domain \"d\" { users = people\n}\n", "users: no map is called \"people\": expected a block `MODULE \"people\" { ... }`" },
  { "ldap \"people\" {}\ndomain \"d\" { users = people, ldap:people\n}\n", "test.conf:1:1: the module \"ldap\" is not installed" },
  { "listener \"x\" { protocol = depot\n}\n", "protocol: the module \"depot\" offers no protocol" },
  { "box \"a\" { path = /a\n next = aa\n}\n", "test.conf:2:9: next: no map is called \"aa\"; did you mean \"a\"?" },
  { "box \"a\" { path = /a\n next = a\n}\n", "refer to each other in a circle: box:a -> box:a" },
  { "box \"a\" { path = /a\n next = b\n}\nbox \"b\" { path = /b\n more = c, a\n}\nbox \"c\" { path = /c\n}\n",
    "test.conf:1:1: instances refer to each other in a circle: box:a -> box:b -> box:a" },
  { "box \"a\" { path = /bad\n}\n", "test.conf:1:1: box \"a\" cannot be used: the path is bad" },
  { "box \"a\" { path = /a\n pth = 1\n}\n", "box \"a\" has no setting \"pth\"; did you mean \"path\"?" },
  { "box \"a\" { path = /a\n sub { x = 1\n}\n}\n", "box \"a\" holds no block \"sub\"" },
  { "domain \"d\" { queue { lifetime = 1d\n}\n}\n", "domain \"d\" holds no block \"queue\": it stands at the top level" },
  { "box { path = /a\n}\nbox \"box\" { path = /b\n}\n", "is the name of the block in test.conf:1 too" },
  { "depot \"x\" {}\ndomain \"d\" { users = x\n}\n", "users: expected a map, and depot \"x\" (test.conf:1) offers none" },
  { "queue { lifetime = 0\n}\n", "test.conf:1:1: a lifetime of 0 bounces everything" },
  { "lifetime = 1d\n", "the top level has no setting \"lifetime\"" },
};

static void
test_errors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *said = NULL;
    if (g_str_has_prefix (bad[i].text, "ldap") && ek_module_find ("ldap"))
      continue;                        /* it is built in */
    g_autoptr (EkGeneration) gen = ek_test_generation (bad[i].text, EK_ROLES_ALL, &said);
    g_assert_null (gen);
    if (!strstr (said, bad[i].says))
      g_error ("%s gave \"%s\", not \"%s\"", bad[i].text, said, bad[i].says);
    g_assert_true (strchr (said, '\n') == said + strlen (said) - 1);       /* one error each */
  }
}

/* One pass tells what is wrong in the text, in options, and what a module finds: but not of users of what is wrong. */
static void
test_all_errors (void)
{
  g_autofree char *said = NULL;

  g_assert_null (ek_test_generation ("box \"a\" { path = /bad\n}\nbox \"b\" { path = /b\n next = a\n}\n"
                                     "box \"c\" { pth = /c\n}\nx y\nqueue { hold = maybe\n lifetime = 2d\n}\n", EK_ROLES_ALL, &said));
  g_assert_cmpstr (said, ==,
                   "test.conf:1:1: box \"a\" cannot be used: the path is bad\n"
                   "test.conf:6:1: box \"c\" needs a setting \"path\" (string): Where the box is.\n"
                   "test.conf:6:11: box \"c\" has no setting \"pth\"; did you mean \"path\"?\n"
                   "test.conf:8:3: expected `=` behind \"x\" for a setting, or `{` on this line for a block\n"
                   "test.conf:9:16: hold: expected yes or no, found \"maybe\"\n");
  g_string_truncate (life, 0);
}

static void
test_ambiguous (void)
{
  static const EkModule crate = { .abi = EK_ABI, .build = EK_BUILD, .name = "crate", .map = &box_map };
  g_autofree char *said = NULL;

  ek_module_add (&crate);
  g_assert_null (ek_test_generation ("box \"a\" { path = /a\n}\ncrate \"a\" {}\ndomain \"d\" { users = a\n}\n", EK_ROLES_ALL, &said));
  g_assert_nonnull (strstr (said, "users: \"a\" may be box:a or crate:a: write which one"));
  g_autoptr (EkGeneration) gen =
    ek_test_generation ("box \"a\" { path = /a\n}\ncrate \"a\" {}\ndomain \"d\" { users = crate:a\n}\n", EK_ROLES_ALL, NULL);
  g_assert_true (((const Domain *) ek_generation_values (gen, &domain, "d"))->users[0]->module == &crate);
}

static void
assert_shown (const EkGeneration *gen, EkShow show, const char *want)
{
  EkBuf out = { 0 };

  ek_config_show (gen, &show, &out);
  ek_buf_appendc (&out, '\0');
  g_assert_cmpstr (ek_buf_at (&out), ==, want);
  ek_buf_release (&out);
}

static void
test_show (void)
{
  g_autoptr (EkGeneration) gen = ek_test_generation (good_text, EK_ROLES_ALL, NULL);

  assert_shown (gen, (EkShow) { .name = NULL },
                "banner = global                         # test.conf:1\n"
                "listener.mx.address = 0.0.0.0:25        # test.conf:3\n"
                "listener.mx.protocol = talk             # test.conf:2\n"
                "listener.mx.limit = 20                  # test.conf:4\n"
                "listener.lan.protocol = talk            # test.conf:6\n"
                "domain.example.com.users = staff, box:guests # test.conf:8\n"
                "domain.example.com.banner = unused      # test.conf:9\n"
                "box.staff.path = /a                     # test.conf:12\n"
                "box.staff.password = (hidden)           # test.conf:14\n"
                "box.staff.next = guests                 # test.conf:13\n"
                "box.guests.path = /b                    # test.conf:16\n"
                "talk.limit = 30                         # test.conf:18\n");
  assert_shown (gen, (EkShow) { .name = "listener.lan" },          /* with what it inherits */
                "listener.lan.protocol = talk            # test.conf:6\n"
                "listener.lan.banner = global            # test.conf:1\n"
                "listener.lan.limit = 30                 # test.conf:18\n");
  assert_shown (gen, (EkShow) { .name = "queue", .all = true },
                "queue.lifetime = 5d                     # default\n"
                "queue.hold = no                         # default\n");
  assert_shown (gen, (EkShow) { .name = "staff", .all = true },
                "box.staff.path = /a                     # test.conf:12\n"
                "box.staff.password = (hidden)           # test.conf:14\n"
                "box.staff.next = guests                 # test.conf:13\n"
                "box.staff.more = \"\"                     # default\n"
                "box.staff.result = \"\"                   # default\n"       /* every map's */
                "box.staff.only_domains = []             # default\n"
                "box.staff.rows_max = 0                  # default\n");
  assert_shown (gen, (EkShow) { .name = "box.staff.password", .json = true },
                "[{\"path\":\"box.staff.password\",\"type\":\"secret\",\"hidden\":true,\"file\":\"test.conf\",\"line\":14,"
                "\"default\":false}]\n");
}

static void
test_documents (void)
{
  EkBuf out = { 0 };

  g_unsetenv ("EKIDEN_MODULE_PATH");
  ek_reference_write ("/nonexistent", &out);
  ek_buf_appendc (&out, '\0');
  g_assert_nonnull (strstr (ek_buf_at (&out), "# The queue.\n#queue {\n#  # How long mail waits. (time)\n#  lifetime = 5d\n#}\n"));
  g_assert_nonnull (strstr (ek_buf_at (&out), "#listener \"NAME\" {\n"));
  ek_buf_clear (&out);
  ek_manual_write ("/nonexistent", &out);
  ek_buf_appendc (&out, '\0');
  g_assert_nonnull (strstr (ek_buf_at (&out), ".TP\n.B lifetime\n(time; default: 5d)\nHow long mail waits.\n"));
  ek_buf_release (&out);
}

static void
test_instance (void)
{
  EkInstance *self = ek_test_instance ("box", "path = \"/x y\"");

  g_assert_cmpstr (((Box *) self)->path, ==, "/x y");
  g_assert_true (((Box *) self)->running);
  ek_test_instance_free (self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  life = g_string_new (NULL);
  depot.mailbox = some_mailbox;
  ek_module_add (&box);
  ek_module_add (&depot);
  ek_module_add (&talk);
  ek_block_register (&listener);
  ek_block_register (&domain);
  ek_block_register (&queue);
  ek_block_register (&hold);
  g_test_add_func ("/module/refuse", test_refuse);
  g_test_add_func ("/module/writable", test_writable);
  g_test_add_func ("/module/load", test_load);
  g_test_add_func ("/module/generation", test_generation);
  g_test_add_func ("/module/scope", test_scope);
  g_test_add_func ("/module/roles", test_roles);
  g_test_add_func ("/module/remote", test_remote);
  g_test_add_func ("/module/errors", test_errors);
  g_test_add_func ("/module/all-errors", test_all_errors);
  g_test_add_func ("/module/ambiguous", test_ambiguous);
  g_test_add_func ("/module/show", test_show);
  g_test_add_func ("/module/documents", test_documents);
  g_test_add_func ("/module/instance", test_instance);
  int failed = g_test_run ();
  g_string_free (life, TRUE);
  return failed;
}
