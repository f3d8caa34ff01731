/* cli-module.c - ekiden module: what is installed, what it offers, how it is configured
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "cli/cli.h"
#include "conf/dump.h"
#include "module/load.h"
#include "module/registry.h"
#include <string.h>
#include <unistd.h>

static char *file;
static gboolean json;

static const GOptionEntry entries[] = {
  { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration, for its module_path", "FILE" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
  { NULL, 0, 0, 0, NULL, NULL, NULL }
};

/* The folders that the configuration names; one that cannot be read is as good as none here. */
static char *
module_path (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load (file ? file : ek_conf_default_path (), EK_CONF_NO_FILES, problems);

  return ek_module_path (conf->module_path);
}

static char *
bits_text (guint32 bits, guint n, const char *(*name) (guint))
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    if (bits & 1u << i)
      g_string_append_printf (out, "%s%s", out->len ? ", " : "", name (i));
  return g_string_free (out, FALSE);
}

static const char *
table_name (guint i)
{
  return ek_table_name ((EkTable) i);
}

static const char *
role_name (guint i)
{
  return ek_role_name ((EkRole) i);
}

static void
bits_json (EkJson *j, const char *key, guint32 bits, guint n, const char *(*name) (guint))
{
  ek_json_array (j, key);
  for (guint i = 0; i < n; i++)
    if (bits & 1u << i)
      ek_json_text (j, NULL, name (i));
  ek_json_end_array (j);
}

static void
module_json (EkJson *j, const char *name, const char *where, const EkModule *module, const GError *error)
{
  ek_json_object (j, NULL);
  ek_json_text (j, "name", name);
  ek_json_text (j, "file", where);
  ek_json_bool (j, "builtin", module && where == NULL);
  if (module) {
    ek_json_text (j, "summary", module->summary);
    ek_json_text (j, "build", module->build);
    ek_json_bool (j, "evented", (module->flags & EK_EVENTED) != 0);
    bits_json (j, "tables", ek_module_tables (module), EK_N_TABLES, table_name);
    bits_json (j, "roles", ek_module_roles (module), EK_N_ROLES, role_name);
    g_autofree EkOption *rows = ek_module_rows (module);
    ek_doc_json (rows, j, "options");
    ek_doc_json (module->protocol ? module->protocol->options : NULL, j, "protocol_options");
    ek_doc_json (module->after_login ? module->after_login->options : NULL, j, "after_login_options");
  } else
    ek_json_text (j, "error", error->message);
  ek_json_end_object (j);
}

static int
list (int argc, char **argv)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "- list the modules that are installed", "Examples:\n  ekiden module list\n"
                       "  ekiden module list --json | jq -r '.[].name'", &status))
    return status;
  g_autofree char *path = module_path ();
  g_autoptr (GPtrArray) files = ek_module_list (path);
  if (json)
    ek_json_array (&j, NULL);
  for (guint i = 0; i < files->len; i++) {
    const EkModuleFile *f = files->pdata[i];
    g_autoptr (GError) error = NULL;
    const EkModule *module = ek_module_load (f->name, path, NULL, &error);
    if (json) {
      module_json (&j, f->name, f->file, module, error);
      continue;
    }
    g_autofree char *tables = module ? bits_text (ek_module_tables (module), EK_N_TABLES, table_name) : NULL;
    if (module)
      ek_buf_printf (&out, "%-16s %-32s %s\n", f->name, tables, module->summary ? module->summary : "");
    else
      ek_buf_printf (&out, "%-16s cannot be loaded: %s\n", f->name, error->message);
  }
  if (json) {
    ek_json_end_array (&j);
    ek_buf_appendc (&out, '\n');
  } else if (files->len == 0)
    ek_buf_printf (&out, "no modules in %s\n", path);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

static const char *
where_is (const char *name, const GPtrArray *files)
{
  for (guint i = 0; i < files->len; i++)
    if (strcmp (((EkModuleFile *) files->pdata[i])->name, name) == 0)
      return ((EkModuleFile *) files->pdata[i])->file;
  return NULL;
}

static void
list_rows (const char *title, const EkOption *rows, EkBuf *out)
{
  if (rows && rows->name)
    ek_buf_printf (out, "%s\n", title);
  for (const EkOption *row = rows; row && row->name; row++)
    ek_buf_printf (out, "  %s = %s\n", row->name, row->dflt ? row->dflt : "(required)");
}

static void
show_text (const EkModule *module, const char *where, EkBuf *out)
{
  g_autofree char *tables = bits_text (ek_module_tables (module), EK_N_TABLES, table_name);
  g_autofree char *roles = bits_text (ek_module_roles (module), EK_N_ROLES, role_name);
  g_autofree EkOption *rows = ek_module_rows (module);

  ek_buf_printf (out, "%s: %s\n", module->name, module->summary ? module->summary : "");
  ek_buf_printf (out, "file      %s\n", where ? where : "(built in)");
  ek_buf_printf (out, "build     %s\n", module->build);
  ek_buf_printf (out, "offers    %s\n", *tables ? tables : "nothing");
  ek_buf_printf (out, "roles     %s\n", *roles ? roles : "none");
  ek_buf_printf (out, "runs      %s\n", module->flags & EK_EVENTED ? "on the loop (evented)" : "on job threads");
  list_rows ("options", rows, out);
  if (module->protocol)
    list_rows ("options of a listener", module->protocol->options, out);
  if (module->after_login)
    list_rows ("options of a listener, after login", module->after_login->options, out);
}

static void
doc_text (const EkModule *module, EkBuf *out)
{
  g_autofree EkOption *rows = ek_module_rows (module);

  ek_doc_text (&(EkDocSection) { module->name, "NAME", module->summary, rows }, out);
  if (module->protocol && module->protocol->options) {
    ek_buf_appends (out, "\nIn a listener, a domain, its own block or at the top level:\n");
    ek_doc_text (&(EkDocSection) { "", NULL, NULL, module->protocol->options }, out);
  }
  if (module->after_login && module->after_login->options) {
    ek_buf_appends (out, "\nThere too, for sessions that are logged in:\n");
    ek_doc_text (&(EkDocSection) { "", NULL, NULL, module->after_login->options }, out);
  }
}

/* One module, as `show` or `doc`. */
static int
one (int argc, char **argv, const char *words, const char *summary, bool doc)
{
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, words, summary, &status))
    return status;
  if (argc != 2)
    return ek_cli_usage ("expected the NAME of one module: `ekiden module list` has them all");
  g_autofree char *path = module_path ();
  const EkModule *module = ek_module_load (argv[1], path, NULL, &error);
  if (module == NULL)
    return ek_cli_failed (error);
  g_autoptr (GPtrArray) files = ek_module_list (path);
  const char *where = where_is (argv[1], files);
  if (json) {
    module_json (&(EkJson) { .out = &out }, argv[1], where, module, NULL);
    ek_buf_appendc (&out, '\n');
  } else if (doc)
    doc_text (module, &out);
  else
    show_text (module, where, &out);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

static int
show (int argc, char **argv)
{
  return one (argc, argv, "NAME - show what a module offers", "Examples:\n  ekiden module show smtp\n  ekiden module show smtp --json", false);
}

static int
doc (int argc, char **argv)
{
  return one (argc, argv, "NAME - show the manual of a module's options", "Examples:\n  ekiden module doc smtp\n  ekiden module doc file --json", true);
}

int
ek_cli_module (int argc, char **argv)
{
  static const EkCli table[] = {
    { "list", "list the modules that are installed", list },
    { "show", "show what a module offers", show },
    { "doc", "show the manual of a module's options", doc },
    { NULL, NULL, NULL },
  };

  g_clear_pointer (&file, g_free);
  json = FALSE;
  int status = ek_cli_dispatch (table, "ekiden module", argc, argv);
  g_clear_pointer (&file, g_free);
  return status;
}
