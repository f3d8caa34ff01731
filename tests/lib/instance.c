/* instance.c - instances and generations from text, for unit tests
 * SPDX-License-Identifier: Apache-2.0 */
#include "instance.h"

EkGeneration *
ek_test_generation (const char *text, guint32 roles, char **said)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf out = { 0 };

  g_setenv ("EKIDEN_MODULE_PATH", EK_BUILDDIR "/modules", FALSE);
  EkConf *conf = ek_conf_load_text ("test.conf", ek_str (text), 0, problems);
  EkGeneration *gen = ek_generation_new (conf, roles, problems);
  ek_problems_print (problems, &out);
  ek_buf_appendc (&out, '\0');
  if (said)
    *said = g_strdup (ek_buf_at (&out));
  else if (gen == NULL)
    g_error ("%s", ek_buf_at (&out));
  ek_buf_release (&out);
  return gen;
}

EkInstance *
ek_test_instance (const char *module, const char *options)
{
  g_autofree char *text = g_strdup_printf ("%s \"test\" {\n%s\n}\n", module, options);
  g_autoptr (GError) error = NULL;
  EkGeneration *gen = ek_test_generation (text, EK_ROLES_ALL, NULL);

  if (!ek_generation_start (gen, &error))
    g_error ("%s", error->message);
  return ek_generation_instance (gen, "test", 0);
}

void
ek_test_instance_free (EkInstance *self)
{
  ek_generation_unref (ek_instance_generation (self));
}
