/* cli-config.c - ekiden config: check, show, set, and the files made from the option rows
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "cli/cli.h"
#include "conf/edit.h"
#include "flow/domain.h"
#include "flow/way.h"
#include "module/show.h"
#include "proc/plan.h"
#include <unistd.h>

static char *file;
static gboolean json, no_files, all, dry_run;

#define FILE_ENTRY { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" }
#define JSON_ENTRY { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }
#define NO_FILES_ENTRY \
  { "no-files", 0, 0, G_OPTION_ARG_NONE, &no_files, "Do not read the secrets behind file(\"...\")", NULL }
#define END_ENTRY { NULL, 0, 0, 0, NULL, NULL, NULL }

static const char *
path (void)
{
  return file ? file : ek_conf_default_path ();
}

static guint
flags (void)
{
  return no_files ? EK_CONF_NO_FILES : 0;
}

/* ---- check ---- */

static int
check (int argc, char **argv)
{
  static const GOptionEntry entries[] = { FILE_ENTRY, NO_FILES_ENTRY, JSON_ENTRY, END_ENTRY };
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf out = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "- find every error", "Reads the configuration with its includes, loads the "
                       "modules that it names and lets them check their options, looks at certificates and keys that you may read.\nSilent when all is well; exit status 1 otherwise.\n\n"
                       "Examples:\n  ekiden config check\n  ekiden config check -c new.conf --json", &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("config check takes no words: name a file with -c FILE");
  EkConf *conf = ek_conf_load (path (), flags (), problems);
  if (!no_files)
    ek_plan_check_certificates (conf, problems);
  g_autoptr (EkGeneration) gen = ek_generation_new (conf, EK_ROLES_ALL, problems);
  if (gen && !no_files)
    ek_ways_check (((const EkRoutingConf *) ek_generation_values (gen, &ek_routing_block, NULL))->transports, problems, true);
  bool good = ek_problems_count (problems) == 0;
  if (json) {
    ek_buf_printf (&out, "{\"ok\":%s,\"count\":%u,\"problems\":", good ? "true" : "false", ek_problems_count (problems));
    ek_problems_json (problems, &out);
    ek_buf_appends (&out, "}\n");
  } else
    ek_problems_print (problems, &out);
  ek_cli_write (json ? STDOUT_FILENO : STDERR_FILENO, &out);
  return good ? EK_EXIT_OK : EK_EXIT_FAILED;
}

/* ---- show ---- */

static int
show (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    FILE_ENTRY, { "all", 'a', 0, G_OPTION_ARG_NONE, &all, "Also what is at its default", NULL }, NO_FILES_ENTRY, JSON_ENTRY,
    END_ENTRY
  };
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf out = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "[NAME] - show settings and where each comes from",
                       "NAME is a setting (listener.mx.address), a block (listener.mx, queue), a kind (listener) or an instance.\n\n"
                       "Examples:\n  ekiden config show\n  ekiden config show --all queue\n  ekiden config show hostname --json", &status))
    return status;
  if (argc > 2)
    return ek_cli_usage ("config show takes one NAME");
  g_autoptr (EkGeneration) gen = ek_generation_new (ek_conf_load (path (), flags (), problems), EK_ROLES_ALL, problems);
  if (gen == NULL) {
    ek_problems_print (problems, &out);
    ek_cli_write (STDERR_FILENO, &out);
    return EK_EXIT_FAILED;
  }
  EkShow want = { .all = all, .name = argc > 1 ? argv[1] : NULL, .json = json };
  guint n = ek_config_show (gen, &want, &out);
  ek_cli_write (STDOUT_FILENO, &out);
  if (n > 0 || want.name == NULL)
    return EK_EXIT_OK;
  want.all = true;                                 /* nothing there is set, or nothing is called so */
  want.json = false;
  n = ek_config_show (gen, &want, &out);
  ek_buf_release (&out);
  if (n > 0)
    return EK_EXIT_OK;
  g_autofree char *text = g_strdup_printf ("nothing is called \"%s\": `ekiden config show --all` lists everything", want.name);
  ek_cli_usage (text);
  return EK_EXIT_FAILED;
}

/* ---- set ---- */

/* What is wrong with the whole configuration when the edited text takes its file's place. */
static EkProblems *
problems_with (const char *edited, EkStr text)
{
  EkProblems *problems = ek_problems_new ();
  EkGeneration *gen = ek_generation_new (ek_conf_load_edited (path (), edited, text, flags (), problems), EK_ROLES_ALL, problems);

  ek_generation_unref (gen);
  return problems;
}

/* A value that adds errors is refused; a configuration that was broken before may be mended step by step. */
static bool
is_acceptable (const EkConfEdit *edit)
{
  g_autoptr (EkProblems) before = problems_with (NULL, EK_STR (""));
  g_autoptr (EkProblems) after = problems_with (edit->file, ek_buf_str (&edit->text));
  bool ok = ek_problems_count (after) <= ek_problems_count (before);
  EkBuf out = { 0 };

  if (!ok)
    ek_buf_appends (&out, "ekiden: nothing is changed: with this value the configuration would have these errors:\n");
  else if (ek_problems_count (after) > 0)
    ek_buf_appends (&out, "ekiden: the configuration still has these errors:\n");
  ek_problems_print (after, &out);
  ek_cli_write (STDERR_FILENO, &out);
  return ok;
}

static int
set_value (EkConfEdit *edit)
{
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };

  if (!edit->same && !is_acceptable (edit))
    return EK_EXIT_FAILED;
  if (!edit->same && !dry_run && !ek_conf_edit_write (edit, &error))
    return ek_cli_failed (error);
  if (json) {
    EkJson j = { .out = &out };
    ek_json_object (&j, NULL);
    ek_json_text (&j, "file", edit->file);
    ek_json_int (&j, "line", edit->line);
    ek_json_bool (&j, "changed", !edit->same && !dry_run);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
    ek_cli_write (STDOUT_FILENO, &out);
  }
  return EK_EXIT_OK;
}

static int
set (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    FILE_ENTRY, { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run, "Check the new value, write nothing", NULL }, NO_FILES_ENTRY,
    JSON_ENTRY, END_ENTRY
  };
  g_autoptr (GError) error = NULL;
  EkConfEdit edit;
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "PATH VALUE - change one setting where it stands",
                       "PATH is KEY, KIND.KEY or KIND.NAME.KEY: hostname, queue.lifetime, listener.mx.address,\n"
                       "domain.example.com.mailbox.  VALUE is written as in the file; quotes are added where it needs them.\n"
                       "Comments and layout stay.  A value that would break the configuration is refused.\n"
                       "The running server takes it with `ekiden reload`.\n\nExamples:\n  ekiden config set queue.lifetime 3d\n"
                       "  ekiden config set --dry-run listener.mx.address '*:25'", &status))
    return status;
  if (argc != 3)
    return ek_cli_usage ("config set takes a PATH and a VALUE, as in: ekiden config set queue.lifetime 5d");
  if (!ek_conf_edit (path (), argv[1], argv[2], &edit, &error))
    return ek_cli_failed (error);
  status = set_value (&edit);
  ek_conf_edit_clear (&edit);
  return status;
}

/* ---- what the rows give ---- */

static int
write_rows (int argc, char **argv, void (*func) (const char *, EkBuf *), const char *words, const char *summary)
{
  static const GOptionEntry entries[] = { JSON_ENTRY, END_ENTRY };
  EkBuf out = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, words, summary, &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("this command takes no words");
  (json ? ek_settings_json : func) (NULL, &out);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

static int
reference (int argc, char **argv)
{
  return write_rows (argc, argv, ek_reference_write, "- write etc/reference.conf: every setting with its default",
                     "Examples:\n  ekiden config reference | less\n  ekiden config reference --json | jq '.[].kind'");
}

static int
manual (int argc, char **argv)
{
  return write_rows (argc, argv, ek_manual_write, "- write the settings' part of ekiden.conf(5)",
                     "Example:\n  ekiden config manual | man -l -");
}

int
ek_cli_config (int argc, char **argv)
{
  static const EkCli table[] = {
    { "check", "find every error; silent when all is well", check },
    { "show", "show settings and where each comes from", show },
    { "set", "change one setting in the file that holds it", set },
    { "reference", "write a file of all settings with their defaults", reference },
    { "manual", "write the manual page of all settings", manual },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  json = no_files = all = dry_run = FALSE;
  int status = ek_cli_dispatch (table, "ekiden config", argc, argv);
  g_clear_pointer (&file, g_free);
  return status;
}
