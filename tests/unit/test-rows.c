/* test-rows.c - every option row of the core and of each module built here: its default converts, its doc is a sentence
 * SPDX-License-Identifier: Apache-2.0 */
#include "flow/roles.h"
#include "module/load.h"
#include "module/registry.h"

static char *
told (EkProblems *problems)
{
  EkBuf out = { 0 };

  ek_problems_print (problems, &out);
  ek_buf_appendc (&out, '\0');
  char *text = g_strdup (ek_buf_at (&out));
  ek_buf_release (&out);
  return text;
}

static void
check_tables (const EkOption *rows, const char *owner, EkProblems *problems)
{
  for (const EkOption *row = rows; row && row->name; row++)
    if ((row->type == EK_REF || row->type == EK_REFS) && ek_tables_parse (row->allow) == 0)
      ek_problems_add (problems, NULL, "%s: %s refers to \"%s\", which is no table", owner, row->name, row->allow);
}

static void
test_core (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  const EkBlockType *type;
  guint n = 0;

  for (; (type = ek_block_type (n)); n++) {
    const char *owner = *type->kind ? type->kind : "top level";
    ek_options_selftest (type->options, type->size, owner, problems);
    check_tables (type->options, owner, problems);
    if (type->doc == NULL || *type->doc == '\0')
      ek_problems_add (problems, NULL, "%s: the block has no doc", owner);
    if (type->roles == 0)
      ek_problems_add (problems, NULL, "%s: no role gets the block", owner);
    if (type->parent && !ek_block_is_kind (type->parent, NULL))
      ek_problems_add (problems, NULL, "%s: stands in \"%s\", which is no block", owner, type->parent);
  }
  g_autofree char *text = told (problems);
  g_assert_cmpstr (text, ==, "");
  g_assert_cmpuint (n, >, 5);
}

/* Loading a module checks its rows; here the tables of its references too. */
static void
test_modules (void)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (GPtrArray) files = ek_module_list (NULL);

  for (guint i = 0; i < files->len; i++) {
    const EkModuleFile *file = files->pdata[i];
    g_autoptr (GError) error = NULL;
    const EkModule *module = ek_module_load (file->name, NULL, NULL, &error);
    if (module == NULL) {
      ek_problems_add (problems, NULL, "%s", error->message);
      continue;
    }
    check_tables (module->options, module->name, problems);
    check_tables (module->protocol ? module->protocol->options : NULL, module->name, problems);
    check_tables (module->after_login ? module->after_login->options : NULL, module->name, problems);
    if (module->summary == NULL)
      ek_problems_add (problems, NULL, "%s: the module has no summary", module->name);
    if (ek_block_is_kind (module->name, NULL))
      ek_problems_add (problems, NULL, "%s: a block of the core has that name too", module->name);
  }
  g_autofree char *text = told (problems);
  g_assert_cmpstr (text, ==, "");
#ifdef WITH_MODULES
  g_assert_cmpuint (files->len, >, 0);
#endif
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_MODULE_PATH", EK_BUILDDIR "/modules", TRUE);
  ek_roles_register ();
  g_test_add_func ("/rows/core", test_core);
  g_test_add_func ("/rows/modules", test_modules);
  return g_test_run ();
}
