/* cli-map.c - ekiden map: maps asked, listed and made from the command line
 * SPDX-License-Identifier: Apache-2.0
 *
 * A map is named as the configuration names it, or as TYPE:/PATH, which needs no configuration.  It is started here alone, beside
 * the server that may be running, and asked as directory would.
 */
#include "base/json.h"
#include "cli/cli.h"
#include "cli/mapbuild.h"
#include "module/lookup.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE ((gint64) 60 * G_USEC_PER_SEC)

static char *file, **given_params;
static gboolean json;

#define CONFIG_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define JSON_ENTRY   { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }
#define END_ENTRY    { NULL, 0, 0, 0, NULL, NULL, NULL }
#define MAP_WORDS    "MAP is the name of a block that offers a map, MODULE:NAME when two blocks share a name, or MODULE:/PATH for a " \
                     "file that no block names.\n"

/* ---- which map ---- */

/* NULL when the configuration has errors, which are told. */
static EkGeneration *
make_generation (EkConf *conf, EkProblems *problems)
{
  EkGeneration *gen = ek_generation_new (conf, EK_ROLES_ALL, problems);
  EkBuf out = { 0 };

  ek_problems_print (problems, &out);
  ek_cli_write (STDERR_FILENO, &out);
  return gen;
}

static EkGeneration *
configured (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();

  return make_generation (ek_conf_load (file ? file : ek_conf_default_path (), 0, problems), problems);
}

/* TYPE:/PATH, as a configuration of this one map. */
static EkGeneration *
of_path (const char *word, const char *colon)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf text = { 0 };

  ek_buf_append (&text, word, (gsize) (colon - word));
  ek_buf_appends (&text, " \"it\" { path = ");
  ek_conf_text_write (ek_str (colon + 1), &text);
  ek_buf_appends (&text, " }\n");
  EkGeneration *gen = make_generation (ek_conf_load_text ("the command line", ek_buf_str (&text), 0, problems), problems);
  ek_buf_release (&text);
  return gen;
}

static bool
is_map (const EkInstance *self)
{
  return self->module && self->module->map && self->module->map->lookup;
}

static void
tell_unknown (const EkGeneration *gen, const char *word, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (guint i = 0; i < ek_generation_n_instances (gen); i++)
    if (is_map (ek_generation_instance_at (gen, i)))
      g_ptr_array_add (names, (gpointer) ek_generation_instance_at (gen, i)->name);
  const char *near = ek_nearest (word, (const char *const *) names->pdata, names->len);
  ek_fail (error, EK_FAIL, ENOENT, "no map, or more than one, is called \"%s\"%s%s%s: see `ekiden map list`", word,
           near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The map that is meant, started; NULL: it was told why not.  *gen is to be freed in any case. */
static EkInstance *
open_map (const char *word, EkGeneration **gen)
{
  g_autoptr (GError) error = NULL;
  const char *colon = strstr (word, ":/");

  *gen = colon ? of_path (word, colon) : configured ();
  if (*gen == NULL)
    return NULL;
  EkInstance *map = ek_generation_instance (*gen, colon ? "it" : word, 1u << EK_TABLE_MAP);
  if (map == NULL)
    tell_unknown (*gen, word, &error);
  else if (ek_instance_start (map, &error))
    return map;
  ek_cli_failed (error);
  return NULL;
}

static char *
label (const EkInstance *map)
{
  return g_strdup_printf ("%s:%s", map->module->name, map->name);
}

/* ---- get ---- */

typedef struct {
  const EkInstance *map;
  EkStr    key;
  bool     done;
  EkStatus status;
  char    *why;
  EkBuf    out;                      /* the answer as it is shown */
} Get;

static void
rows_as_text (const EkAnswer *a, EkBuf *out)
{
  for (guint r = 0; r < a->n_rows; r++)
    for (guint c = 0; c < a->n_columns; c++) {
      EkStr cell = a->cells[(gsize) r * a->n_columns + c];
      if (cell.p)
        ek_buf_append (out, cell.p, cell.n);
      ek_buf_appendc (out, c + 1 < a->n_columns ? '\t' : '\n');
    }
}

static void
rows_as_json (const EkAnswer *a, EkJson *j)
{
  ek_json_array (j, "rows");
  for (guint r = 0; r < a->n_rows; r++) {
    ek_json_object (j, NULL);
    for (guint c = 0; c < a->n_columns; c++) {
      EkStr cell = a->cells[(gsize) r * a->n_columns + c];
      const char *name = a->names ? a->names[c] : "value";
      if (cell.p)
        ek_json_str (j, name, cell);
      else
        ek_json_text (j, name, NULL);
    }
    ek_json_end_object (j);
  }
  ek_json_end_array (j);
}

static void
answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  static const EkAnswer none = { 0 };
  Get *get = user;
  EkJson j = { .out = &get->out };

  get->done = true;
  get->status = status;
  get->why = why ? g_strdup (why->message) : NULL;
  if (status != EK_OK)
    answer = &none;
  if (!json) {
    rows_as_text (answer, &get->out);
    return;
  }
  g_autofree char *name = label (get->map);
  ek_json_object (&j, NULL);
  ek_json_text (&j, "map", name);
  ek_json_str (&j, "key", get->key);
  ek_json_text (&j, "status", ek_status_name (status));
  rows_as_json (answer, &j);
  if (get->why)
    ek_json_text (&j, "error", get->why);
  ek_json_end_object (&j);
  ek_buf_appendc (&get->out, '\n');
}

/* NAME=VALUE each; NULL and *error. */
static EkParam *
parse_params (char **given, guint *n, GError **error)
{
  EkParam *params = g_new0 (EkParam, (given ? g_strv_length (given) : 0) + 1);

  for (*n = 0; given && given[*n]; ++*n) {
    char *equals = strchr (given[*n], '=');
    if (equals == NULL || equals == given[*n]) {
      ek_fail (error, EK_FAIL, EINVAL, "--param \"%s\" is not NAME=VALUE", given[*n]);
      g_free (params);
      return NULL;
    }
    *equals = '\0';
    params[*n] = (EkParam) { given[*n], ek_str (equals + 1) };
  }
  return params;
}

/* Blocking maps work on a thread, evented ones on the loop, as in directory. */
static bool
ask (EkInstance *map, const EkQuery *query, Get *get, EkGeneration *gen, GError **error)
{
  EkLoop *loop = ek_loop_new (error);

  if (loop == NULL) {
    ek_generation_unref (gen);
    return false;
  }
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "map");
  ek_op_use_jobs (jobs);
  ek_map_lookup (map, query, (EkTime) { PATIENCE }, answered, get);
  while (!get->done)
    ek_loop_turn (loop, true);
  ek_generation_unref (gen);                       /* while there are threads on which connections can be closed */
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  return true;
}

static int
map_get (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    CONFIG_ENTRY,
    { "param", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &given_params, "A further value of the question, as client=192.0.2.1", "NAME=VALUE" },
    JSON_ENTRY, END_ENTRY
  };
  g_autoptr (GError) error = NULL;
  EkGeneration *gen;
  guint n;
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "MAP KEY - ask a map", MAP_WORDS "It is asked for just this key; the exit status is 1 when it "
                       "has none, or cannot answer.\n\nExamples:\n  ekiden map get aliases info@example.com\n"
                       "  ekiden map get text:/etc/ekiden/relays example.com --json", &status))
    return status;
  if (argc != 3)
    return ek_cli_usage ("map get takes two words, a map and a key");
  g_autofree EkParam *params = parse_params (given_params, &n, &error);
  if (params == NULL)
    return ek_cli_usage (error->message);
  EkInstance *map = open_map (argv[1], &gen);
  if (map == NULL) {
    ek_generation_unref (gen);
    return EK_EXIT_FAILED;
  }
  Get get = { .map = map, .key = ek_str (argv[2]) };
  EkQuery query = { .key = get.key, .params = params, .n_params = n };
  g_autofree char *name = label (map);
  if (!ask (map, &query, &get, gen, &error))
    return ek_cli_failed (error);
  ek_cli_write (STDOUT_FILENO, &get.out);
  if (!json && (get.status == EK_DEFER || get.status == EK_FAIL)) {
    ek_fail (&error, get.status, 0, "%s cannot answer: %s", name, get.why ? get.why : ek_status_name (get.status));
    ek_cli_failed (error);
  }
  g_free (get.why);
  return get.status == EK_OK ? EK_EXIT_OK : EK_EXIT_FAILED;
}

/* ---- dump ---- */

typedef struct {
  EkBuf  out;
  EkJson json;
} Dump;

/* As a text map has it: quoted when it must be. */
static void
put_key (EkBuf *out, EkStr key)
{
  bool plain = key.n > 0 && key.p[0] != '#';

  for (gsize i = 0; plain && i < key.n; i++)
    plain = !strchr (" \t\"", key.p[i]) || key.p[i] == '\0';
  if (plain) {
    ek_buf_append (out, key.p, key.n);
    return;
  }
  ek_buf_appendc (out, '"');
  for (gsize i = 0; i < key.n; i++) {
    if (key.p[i] == '"' || key.p[i] == '\\')
      ek_buf_appendc (out, '\\');
    ek_buf_appendc (out, key.p[i]);
  }
  ek_buf_appendc (out, '"');
}

static void
dump_row (EkStr key, EkStr value, gpointer data)
{
  Dump *d = data;

  if (json) {
    ek_json_object (&d->json, NULL);
    ek_json_str (&d->json, "key", key);
    ek_json_str (&d->json, "value", value);
    ek_json_end_object (&d->json);
  } else {
    put_key (&d->out, key);
    ek_buf_appendc (&d->out, '\t');
    ek_buf_append (&d->out, value.p, value.n);
    ek_buf_appendc (&d->out, '\n');
  }
  if (ek_buf_len (&d->out) > 65536)
    ek_cli_write (STDOUT_FILENO, &d->out);
}

static EkStatus
run_each (EkInstance *self, EkCall *call, gpointer data)
{
  return self->module->map->each (self, call, dump_row, data);
}

static int
cannot_list (const EkInstance *map)
{
  g_autoptr (GError) error = NULL;

  ek_fail (&error, EK_FAIL, ENOTSUP, "%s \"%s\" cannot list its rows: %s", map->module->name, map->name,
           map->module->map->each ? "its block does not say how (list_query)" : "it is asked for one key at a time");
  return ek_cli_failed (error);
}

static int
map_dump (int argc, char **argv)
{
  static const GOptionEntry entries[] = { CONFIG_ENTRY, JSON_ENTRY, END_ENTRY };
  g_autoptr (GError) error = NULL;
  g_autoptr (EkGeneration) gen = NULL;
  g_autoptr (EkPool) pool = ek_pool_new ();
  Dump d = { .json.out = &d.out };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "MAP - list the rows of a map", MAP_WORDS "Key, tab and value on each line: a text from which "
                       "`ekiden map build` makes the same map.\n\nExamples:\n  ekiden map dump aliases\n  ekiden map dump aliases --json", &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("map dump takes one word, a map");
  EkInstance *map = open_map (argv[1], &gen);
  if (map == NULL)
    return EK_EXIT_FAILED;
  if (map->module->map->each == NULL)
    return cannot_list (map);
  if (json)
    ek_json_array (&d.json, NULL);
  if (ek_op_call (map, pool, 0, run_each, &d, &error) == EK_NOTFOUND) {
    ek_buf_release (&d.out);
    return cannot_list (map);
  }
  if (json) {
    ek_json_end_array (&d.json);
    ek_buf_appendc (&d.out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &d.out);
  return error ? ek_cli_failed (error) : EK_EXIT_OK;
}

/* ---- list ---- */

static void
list_map (const EkInstance *map, EkJson *j, EkBuf *out)
{
  const EkConfBlock *block = ek_instance_block (map);

  if (!json) {
    ek_buf_printf (out, "%s\t%s\n", map->name, map->module->name);
    return;
  }
  ek_json_object (j, NULL);
  ek_json_text (j, "name", map->name);
  ek_json_text (j, "module", map->module->name);
  ek_json_text (j, "file", block->at.file);
  ek_json_int (j, "line", block->at.line);
  ek_json_bool (j, "lists_rows", map->module->map->each != NULL);
  ek_json_end_object (j);
}

static int
map_list (int argc, char **argv)
{
  static const GOptionEntry entries[] = { CONFIG_ENTRY, JSON_ENTRY, END_ENTRY };
  EkBuf out = { 0 };
  EkJson j = { .out = &out };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "- list the maps of the configuration", "The name of each, and its module.\n\nExamples:\n"
                       "  ekiden map list\n  ekiden map list --json", &status))
    return status;
  if (argc != 1)
    return ek_cli_usage ("map list takes no words");
  g_autoptr (EkGeneration) gen = configured ();
  if (gen == NULL)
    return EK_EXIT_FAILED;
  if (json)
    ek_json_array (&j, NULL);
  for (guint i = 0; i < ek_generation_n_instances (gen); i++)
    if (is_map (ek_generation_instance_at (gen, i)))
      list_map (ek_generation_instance_at (gen, i), &j, &out);
  if (json) {
    ek_json_end_array (&j);
    ek_buf_appendc (&out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

int
ek_cli_map (int argc, char **argv)
{
  static const EkCli verbs[] = {
    { "list", "list the maps of the configuration", map_list },
    { "get", "ask a map for a key", map_get },
    { "dump", "list the rows of a map", map_dump },
    { "build", "make a database file of a text map", ek_cli_map_build },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  g_clear_pointer (&given_params, g_strfreev);
  json = FALSE;
  return ek_cli_dispatch (verbs, "ekiden map", argc, argv);
}
