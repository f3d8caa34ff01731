/* cli-command.c - commands that modules offer
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/command.h"
#include "module/generation.h"
#include "module/load.h"
#include <string.h>
#include <unistd.h>

/* Takes -c FILE out of the words; the file or NULL. */
static const char *
take_config (int *argc, char **argv)
{
  const char *file = NULL;
  int n = 1;

  for (int i = 1; i < *argc; i++)
    if ((strcmp (argv[i], "-c") == 0 || strcmp (argv[i], "--config") == 0) && i + 1 < *argc)
      file = argv[++i];
    else if (g_str_has_prefix (argv[i], "--config="))
      file = argv[i] + strlen ("--config=");
    else
      argv[n++] = argv[i];
  argv[n] = NULL;
  *argc = n;
  return file;
}

static bool
offers (const EkModule *module, const char *word)
{
  return module && module->command && strcmp (module->command->name, word) == 0;
}

/* Is it the command of a module that is installed?  Then a broken configuration is worth telling. */
static bool
is_installed (const char *word)
{
  g_autofree char *path = ek_module_path (NULL);
  g_autoptr (GPtrArray) files = ek_module_list (path);

  for (guint i = 0; i < files->len; i++)
    if (offers (ek_module_load (((EkModuleFile *) files->pdata[i])->name, path, NULL, NULL), word))
      return true;
  return false;
}

void
ek_cli_offers (GArray *table)
{
  g_autofree char *path = ek_module_path (NULL);
  g_autoptr (GPtrArray) files = ek_module_list (path);

  for (guint i = 0; i < files->len; i++) {
    const EkModule *module = ek_module_load (((EkModuleFile *) files->pdata[i])->name, path, NULL, NULL);
    if (module && module->command) {
      EkCli one = { module->command->name, module->command->summary, NULL };
      g_array_append_val (table, one);
    }
  }
}

int
ek_cli_offered (int argc, char **argv, bool *found)
{
  g_autofree char *word = g_strdup (argv[1]), *full = g_strconcat ("ekiden ", argv[1], NULL);
  g_autoptr (EkProblems) problems = ek_problems_new ();
  const char *file = take_config (&argc, argv);
  int worst = EK_EXIT_OK;

  *found = is_installed (word);
  if (!*found)
    return EK_EXIT_USAGE;
  g_autoptr (EkGeneration) gen = ek_generation_new (ek_conf_load (file ? file : ek_conf_default_path (), EK_CONF_NO_FILES, problems),
                                                    EK_ROLES_ALL, problems);
  if (gen == NULL) {
    EkBuf out = { 0 };
    ek_problems_print (problems, &out);
    ek_cli_write (STDERR_FILENO, &out);
    return EK_EXIT_FAILED;
  }
  guint ran = 0;
  for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
    EkInstance *self = ek_generation_instance_at (gen, i);
    if (!offers (self->module, word))
      continue;
    g_autofree char **words = g_memdup2 (argv + 1, sizeof (char *) * (gsize) argc);    /* with the NULL behind */
    words[0] = full;
    int status = self->module->command->run (self, argc - 1, words);
    worst = MAX (worst, status);
    ran++;
  }
  return ran > 0 ? worst : ek_cli_usage ("the configuration uses no module that offers this command");
}
