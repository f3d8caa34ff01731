/* fuzz-conf.c - the configuration's text, as ek_conf_load() reads it; what was understood survives the channel
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/conf/lexer.c core/conf/parse.c core/conf/parser.c core/conf/value.c */
/* options: -max_len=16384 */
#include "fuzz.h"
#include "conf/option.h"
#include "conf/serial.h"

static void
try_values (const EkConfBlock *block)
{
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    for (guint i = 0; i < s->n_items; i++) {
      EkTime time;
      EkSize size;
      gint64 number;
      bool flag;
      const char *why;
      ek_parse_time (s->items[i].text, &time, &why);
      ek_parse_size (s->items[i].text, &size, &why);
      ek_parse_int (s->items[i].text, &number, &why);
      ek_parse_bool (s->items[i].text, &flag, &why);
    }
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    try_values (b);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkStr text = { (const char *) data, size };
  EkConf *conf = ek_conf_load_text ("fuzz.conf", text, EK_CONF_NO_FILES | EK_CONF_NO_INCLUDE, problems);
  EkBuf out = { 0 };
  ek_problems_print (problems, &out);
  ek_buf_clear (&out);
  try_values (conf->root);
  if (ek_problems_count (problems) == 0) {
    g_autoptr (GError) error = NULL;
    ek_conf_serialise (conf, G_MAXUINT32, &out);
    EkConf *again = ek_conf_unserialise (ek_buf_at (&out), ek_buf_len (&out), &error);
    g_assert_no_error (error);
    g_assert_cmpuint (again->n_blocks, ==, conf->n_blocks);
    ek_conf_free (again);
  }
  ek_buf_release (&out);
  ek_conf_free (conf);
  return 0;
}
