/* cli-sql.c - ekiden sql: our own schema in a database, made and brought up to date by its numbered migrations
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "cli/cli.h"
#include "cli/target.h"
#include "lookup/migrate.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static char *file, *folder;
static gboolean json;

static const GOptionEntry entries[] = {
  { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" },
  { "from", 'f', 0, G_OPTION_ARG_FILENAME, &folder, "The folder of the migrations (that of the instance's kind in " EK_DATADIR "/sql)", "FOLDER" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL }
};

typedef struct {
  EkGeneration  *gen;
  EkPool        *pool;
  EkSqlInstance *sql;
  GPtrArray     *migrations;
  guint          version;
  GPtrArray     *ran;                /* their names */
} Job;

static void
job_clear (Job *job)
{
  ek_generation_unref (job->gen);
  g_clear_pointer (&job->migrations, g_ptr_array_unref);
  g_clear_pointer (&job->ran, g_ptr_array_unref);
  ek_pool_free (job->pool);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

/* The instance of that name; NULL and *error, which names those that there are. */
static EkSqlInstance *
find_instance (const Job *job, const char *name, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < ek_generation_n_instances (job->gen); i++) {
    EkInstance *one = ek_generation_instance_at (job->gen, i);
    EkSqlInstance *sql = ek_sql_instance (one);
    if (sql == NULL || sql->schema == NULL)
      continue;
    if (strcmp (one->name, name) == 0)
      return sql;
    g_string_append_printf (known, "%s%s", known->len ? ", " : "", one->name);
  }
  ek_fail (error, EK_FAIL, ENOENT, "\"%s\" is no database of the configuration: %s%s", name,
           known->len ? "there are " : "it has no block of an SQL module", known->str);
  return NULL;
}

/* False: the exit status is in *status. */
static bool
job_open (Job *job, const char *name, bool make, int *status)
{
  g_autoptr (GError) error = NULL;

  *status = EK_EXIT_FAILED;
  job->pool = ek_pool_new ();
  job->ran = g_ptr_array_new ();
  job->gen = ek_cli_generation (file);
  if (job->gen == NULL)
    return false;
  job->sql = find_instance (job, name, &error);
  if (job->sql) {
    const char *from = folder ? folder : ek_pool_printf (job->pool, "%s/sql/%s", EK_DATADIR, job->sql->schema->folder);
    job->migrations = ek_migrations_read (job->pool, from, &error);
    job->sql->migrates = make;
  }
  if (job->migrations && (!make || job->sql->schema->make == NULL || job->sql->schema->make (job->sql, &error))
      && ek_instance_start (&job->sql->base, &error))
    return true;
  *status = ek_cli_failed (error);
  return false;
}

static EkStatus
run_version (EkInstance *self, EkCall *call, gpointer data)
{
  return ek_migrate_version ((EkSqlInstance *) self, call, &((Job *) data)->version);
}

static void
one_ran (const EkMigration *m, gpointer data)
{
  Job *job = data;

  g_ptr_array_add (job->ran, (gpointer) m->name);
  job->version = m->version;
  if (!json) {                       /* at once: the next may take long */
    EkBuf out = { 0 };
    ek_buf_printf (&out, "%s: %s has run\n", job->sql->base.name, m->name);
    ek_cli_write (STDOUT_FILENO, &out);
  }
}

static EkStatus
run_migrate (EkInstance *self, EkCall *call, gpointer data)
{
  Job *job = data;

  return ek_migrate ((EkSqlInstance *) self, call, job->migrations, one_ran, job);
}

static void
put_names (EkJson *j, const char *key, const GPtrArray *names)
{
  ek_json_array (j, key);
  for (guint i = 0; i < names->len; i++)
    ek_json_text (j, NULL, names->pdata[i]);
  ek_json_end_array (j);
}

static void
say (const Job *job)
{
  g_autoptr (GPtrArray) pending = g_ptr_array_new ();
  EkBuf out = { 0 };
  EkJson j = { .out = &out };

  for (guint i = job->version; i < job->migrations->len; i++)
    g_ptr_array_add (pending, (gpointer) ((const EkMigration *) job->migrations->pdata[i])->name);
  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "instance", job->sql->base.name);
    ek_json_int (&j, "version", job->version);
    ek_json_int (&j, "latest", job->migrations->len);
    put_names (&j, "ran", job->ran);
    put_names (&j, "pending", pending);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else {
    ek_buf_printf (&out, "%s: version %u of %u\n", job->sql->base.name, job->version, job->migrations->len);
    for (guint i = 0; i < pending->len; i++)
      ek_buf_printf (&out, "  to be run: %s\n", (const char *) pending->pdata[i]);
  }
  ek_cli_write (STDOUT_FILENO, &out);
}

static int
run (int argc, char **argv, EkOpRun operation, const char *words, const char *help)
{
  g_autoptr (GError) error = NULL;
  g_auto (Job) job = { 0 };
  bool make = operation == run_migrate;
  int status;

  if (!ek_cli_options (&argc, &argv, entries, words, help, &status))
    return status;
  if (argc != 2)
    return ek_cli_usage (make ? "sql migrate takes one word, the name of an SQL module's block"
                              : "sql status takes one word, the name of an SQL module's block");
  if (!job_open (&job, argv[1], make, &status))
    return status;
  if (ek_op_call (&job.sql->base, job.pool, 0, operation, &job, &error) != EK_OK)
    return ek_cli_failed (error);
  if (make && job.ran->len == 0)     /* nothing was to do: the version is still to be asked */
    (void) ek_op_call (&job.sql->base, job.pool, 0, run_version, &job, &error);
  if (error)
    return ek_cli_failed (error);
  say (&job);
  return EK_EXIT_OK;
}

static int
sql_migrate (int argc, char **argv)
{
  return run (argc, argv, run_migrate, "INSTANCE - make the tables, or bring them up to date",
              "Runs the migrations that have not run yet, each as a whole or not at all where the database has transactions for that. The user of "
              "the block needs the right to make tables. Run it before the server of a new version starts; nothing is done twice.\n\n"
              "Examples:\n  ekiden sql migrate site_users\n  ekiden sql migrate site_users --from ./sql/postgresql");
}

static int
sql_status (int argc, char **argv)
{
  return run (argc, argv, run_version, "INSTANCE - tell which migrations have run", "Example:\n  ekiden sql status site_users");
}

int
ek_cli_sql (int argc, char **argv)
{
  static const EkCli verbs[] = {
    { "migrate", "make the tables, or bring them up to date", sql_migrate },
    { "status", "tell which migrations have run", sql_status },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  g_clear_pointer (&folder, g_free);
  json = FALSE;
  return ek_cli_dispatch (verbs, "ekiden sql", argc, argv);
}
