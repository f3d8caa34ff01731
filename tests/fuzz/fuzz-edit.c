/* fuzz-edit.c - `config set` on any text: what reads back is the old configuration with the one value changed
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/conf/edittext.c core/conf/editpath.c core/conf/conf.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "conf/editpath.h"
#include <string.h>

static EkConf *
load (EkStr text, guint *n)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkConf *conf = ek_conf_load_text ("fuzz.conf", text, EK_CONF_NO_FILES | EK_CONF_NO_INCLUDE, problems);

  *n = ek_problems_count (problems);
  return conf;
}

static guint
count (const EkConfBlock *block)
{
  guint n = 0;

  for (const EkConfSetting *s = block->settings; s; s = s->next)
    n++;
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    n += count (b);
  return n;
}

static void
edit (const EkConf *conf, EkStr text, const char *path, const char *value)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkConfTarget target, again;
  EkBuf out = { 0 };
  guint line, n;

  if (!ek_conf_target (conf, path, pool, &target, NULL))
    return;
  g_assert (ek_conf_edit_text (conf, &target, text, value, &out, &line));
  g_autoptr (EkConf) after = load (ek_buf_str (&out), &n);
  /* a value that was typed with an unknown variable, a wrong escape or a text to read that is not there is its author's
   * error; all else is ours */
  if (!strpbrk (value, "$\\") && !strstr (value, "read")) {
    g_assert_cmpuint (n, ==, 0);
    g_assert (ek_conf_target (after, path, pool, &again, NULL));
    g_assert (again.setting != NULL);
    g_assert_cmpuint (again.setting->at.line, ==, line);
    g_assert_cmpuint (count (after->root), ==, count (conf->root) + (target.setting == NULL));
  }
  ek_buf_release (&out);
}

/* path, newline, value, newline, the text */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *p = (const char *) data, *end = p + size;
  const char *one = memchr (p, '\n', size), *two = one ? memchr (one + 1, '\n', (gsize) (end - one - 1)) : NULL;
  guint n;

  if (two == NULL)
    return 0;
  g_autofree char *path = g_strndup (p, (gsize) (one - p));
  g_autofree char *value = g_strndup (one + 1, (gsize) (two - one - 1));
  EkStr text = { two + 1, (gsize) (end - two - 1) };
  g_autoptr (EkConf) conf = load (text, &n);
  if (n == 0)
    edit (conf, text, path, value);
  return 0;
}
