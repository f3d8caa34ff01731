/* conf.c - the tree of a configuration: loaded, searched, written out, wiped
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "conf/parser.h"
#include <stdlib.h>
#include <string.h>

static EkParser
parser_new (guint flags, EkProblems *problems)
{
  EkParser parser = { .problems = problems, .flags = flags };

  parser.conf = ek_conf_new ();
  parser.variables = g_hash_table_new (g_str_hash, g_str_equal);
  parser.seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return parser;
}

/* The folders where modules are looked for: a tool that runs the build tree sets the variable. */
static void
set_module_path (EkConf *conf)
{
  const char *path = secure_getenv ("EKIDEN_MODULE_PATH");
  EkConfSetting *setting = ek_conf_find_setting (conf->root, "module_path");

  if (path && *path) {
    conf->module_path = ek_pool_strdup (conf->pool, path);
    return;
  }
  for (guint i = 0; setting && i < setting->n_items; i++)
    conf->module_path = ek_pool_printf (conf->pool, "%s%s%s", conf->module_path ? conf->module_path : "",
                                        i ? ":" : "", setting->items[i].text.p);
}

static EkConf *
parser_end (EkParser *parser)
{
  g_hash_table_unref (parser->variables);
  g_hash_table_unref (parser->seen);
  set_module_path (parser->conf);
  return parser->conf;
}

EkConf *
ek_conf_load_edited (const char *path, const char *edited, EkStr text, guint flags, EkProblems *problems)
{
  EkParser parser = parser_new (flags, problems);

  parser.edited = edited;
  parser.edited_text = text;
  ek_source_parse (&parser, NULL, path, NULL, parser.conf->root);
  return parser_end (&parser);
}

EkConf *
ek_conf_load (const char *path, guint flags, EkProblems *problems)
{
  return ek_conf_load_edited (path, NULL, EK_STR (""), flags, problems);
}

EkConf *
ek_conf_load_text (const char *name, EkStr text, guint flags, EkProblems *problems)
{
  EkParser parser = parser_new (flags, problems);

  ek_source_parse_text (&parser, name, text, parser.conf->root);
  return parser_end (&parser);
}

const char *
ek_conf_default_path (void)
{
  const char *path = secure_getenv ("EKIDEN_CONFIG");

  return path && *path ? path : EK_SYSCONFDIR "/ekiden.conf";
}

EkConf *
ek_conf_new (void)
{
  EkPool *pool = ek_pool_new ();
  EkConf *conf = ek_pool_new0 (pool, EkConf);

  conf->pool = pool;
  conf->root = ek_pool_new0 (pool, EkConfBlock);
  conf->root->kind = "";
  return conf;
}

void
ek_conf_free (EkConf *conf)
{
  if (conf)
    ek_pool_free (conf->pool);
}

static void
wipe_text (gpointer data)
{
  EkStr *text = data;

  ek_wipe ((gpointer) text->p, text->n);
}

EkStr
ek_conf_text (EkConf *conf, EkStr text)
{
  EkStr *copy = ek_pool_new0 (conf->pool, EkStr);

  *copy = ek_pool_str (conf->pool, text);
  if (copy->n > 0)
    ek_pool_cleanup (conf->pool, wipe_text, copy);
  return *copy;
}

EkConfBlock *
ek_conf_find_block (const EkConfBlock *parent, const char *kind, const char *name)
{
  for (EkConfBlock *block = parent->blocks; block; block = block->next)
    if (strcmp (block->kind, kind) == 0 && g_strcmp0 (block->name, name) == 0)
      return block;
  return NULL;
}

EkConfSetting *
ek_conf_find_setting (const EkConfBlock *block, const char *key)
{
  for (EkConfSetting *setting = block->settings; setting; setting = setting->next)
    if (strcmp (setting->key, key) == 0)
      return setting;
  return NULL;
}

const char *
ek_conf_block_label (const EkConfBlock *block, EkPool *pool)
{
  if (block->parent == NULL && *block->kind == '\0')
    return "the top level";
  return block->name ? ek_pool_printf (pool, "%s \"%s\"", block->kind, block->name)
                     : ek_pool_strdup (pool, block->kind);
}

/* Could the lexer and the parser read it back as one plain word? */
static bool
is_plain (EkStr text)
{
  if (text.n == 0 || ek_str_eq (text, EK_STR ("file")) || ek_str_eq (text, EK_STR ("read")))
    return false;
  for (gsize i = 0; i < text.n; i++)
    if ((guchar) text.p[i] <= ' ' || text.p[i] == 127 || strchr ("\"'{}[](),;=#$\\", text.p[i]))
      return false;
  return g_utf8_validate (text.p, (gssize) text.n, NULL);
}

void
ek_conf_text_write (EkStr text, EkBuf *out)
{
  if (is_plain (text)) {
    ek_buf_append (out, text.p, text.n);
    return;
  }
  bool utf8 = g_utf8_validate (text.p, (gssize) text.n, NULL);
  ek_buf_appendc (out, '"');
  for (gsize i = 0; i < text.n; i++) {
    guchar c = (guchar) text.p[i];
    if (c == '"' || c == '\\' || c == '$')
      ek_buf_printf (out, "\\%c", c);
    else if (c == '\n')
      ek_buf_appends (out, "\\n");
    else if (c == '\t')
      ek_buf_appends (out, "\\t");
    else if (c < ' ' || c == 127 || (c > 127 && !utf8))
      ek_buf_printf (out, "\\x%02x", c);
    else
      ek_buf_appendc (out, (char) c);
  }
  ek_buf_appendc (out, '"');
}

void
ek_conf_item_write (const EkConfItem *item, EkBuf *out)
{
  if (item->secret)
    ek_buf_appends (out, "(hidden)");
  else if (item->file) {
    ek_buf_appends (out, "read(\"");
    ek_buf_appends (out, item->file);
    ek_buf_appends (out, "\")");
  }
  else
    ek_conf_text_write (item->text, out);
}

void
ek_conf_value_write (const EkConfSetting *setting, EkBuf *out)
{
  if (setting->n_items == 0)
    ek_buf_appends (out, "[]");
  for (guint i = 0; i < setting->n_items; i++) {
    if (i > 0)
      ek_buf_appends (out, ", ");
    ek_conf_item_write (&setting->items[i], out);
  }
}
