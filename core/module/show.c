/* show.c - lists the values of a generation with their origins
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/show.h"
#include "base/json.h"
#include "conf/dump.h"
#include "module/load.h"
#include "module/private.h"
#include <string.h>

typedef struct {
  const EkShow *show;
  EkBuf        *out;
  EkJson        json;
  guint         n;
  GHashTable   *seen;                /* paths already written */
} Lister;

/* ---- which ---- */

/* listener.mx, domain.example.com, queue; nested ones behind their parent. */
static void
write_path (const EkConfBlock *block, const char *name, EkBuf *out)
{
  if (block->parent && block->parent->parent)
    write_path (block->parent, block->parent->name, out);
  if (*block->kind)
    ek_buf_printf (out, "%s.", block->kind);
  if (name == NULL)
    return;
  EkBuf quoted = { 0 };
  ek_conf_text_write (ek_str (name), &quoted);
  ek_buf_append (out, ek_buf_at (&quoted), ek_buf_len (&quoted));
  ek_buf_appendc (out, '.');
  ek_buf_release (&quoted);
}

/* Is `path` (of a setting of the block) asked for? */
static bool
is_wanted (const Lister *l, const char *path, const char *instance)
{
  const char *name = l->show->name;
  gsize n = name ? strlen (name) : 0;

  if (name == NULL || (instance && strcmp (name, instance) == 0))
    return true;
  return strncmp (path, name, n) == 0 && (path[n] == '\0' || path[n] == '.');
}

/* ---- one setting ---- */

typedef struct {
  const EkOption      *row;
  const EkConfSetting *setting;      /* NULL: the default */
  const char          *path;
} Entry;

static bool
is_hidden (const Entry *e)
{
  bool secret = e->row->type == EK_SECRET && e->setting && e->setting->n_items > 0;

  for (guint i = 0; e->setting && i < e->setting->n_items; i++)
    secret |= e->setting->items[i].secret;
  return secret;
}

static void
write_json (Lister *l, const Entry *e)
{
  ek_json_object (&l->json, NULL);
  ek_json_text (&l->json, "path", e->path);
  ek_json_text (&l->json, "type", ek_type_name (e->row->type));
  if (is_hidden (e))
    ek_json_bool (&l->json, "hidden", true);
  else if (e->setting == NULL)
    ek_json_text (&l->json, "value", e->row->dflt);
  else if (e->row->type == EK_TEXT && e->setting->n_items > 0 && e->setting->items[0].file)
    ek_json_text (&l->json, "read", e->setting->items[0].file);
  else if (e->row->type == EK_LIST || e->row->type == EK_REFS) {
    ek_json_array (&l->json, "value");
    for (guint i = 0; i < e->setting->n_items; i++)
      ek_json_str (&l->json, NULL, e->setting->items[i].text);
    ek_json_end_array (&l->json);
  } else
    ek_json_str (&l->json, "value", e->setting->n_items ? e->setting->items[0].text : EK_STR (""));
  if (e->setting) {
    ek_json_text (&l->json, "file", e->setting->at.file);
    ek_json_int (&l->json, "line", e->setting->at.line);
  }
  ek_json_bool (&l->json, "default", e->setting == NULL);
  ek_json_end_object (&l->json);
}

static void
write_line (Lister *l, const Entry *e)
{
  gsize start = ek_buf_len (l->out);

  ek_buf_printf (l->out, "%s = ", e->path);
  if (is_hidden (e))
    ek_buf_appends (l->out, "(hidden)");
  else if (e->setting)
    ek_conf_value_write (e->setting, l->out);
  else
    ek_buf_appends (l->out, *e->row->dflt ? e->row->dflt : "\"\"");
  gsize width = ek_buf_len (l->out) - start;
  ek_buf_printf (l->out, "%*s", width < 40 ? (int) (40 - width) : 1, "");
  if (e->setting)
    ek_buf_printf (l->out, "# %s:%u\n", e->setting->at.file, e->setting->at.line);
  else
    ek_buf_appends (l->out, "# default\n");
}

/* The rows' settings under the block's path.  The first layer is the block itself. */
static void
list_rows (Lister *l, const EkConfBlock *block, const char *name, const EkOption *rows, const EkLayer *layers, guint n_layers,
           const char *instance)
{
  for (const EkOption *row = rows; row && row->name; row++) {
    EkBuf path = { 0 };
    guint layer = 0;
    Entry e = { .row = row, .setting = ek_options_find (row, layers, n_layers, &layer) };
    if (!l->show->all && (e.setting == NULL || (layer > 0 && l->show->name == NULL)))
      continue;
    write_path (block, name, &path);
    ek_buf_append (&path, row->name, strlen (row->name) + 1);
    e.path = ek_buf_at (&path);
    if (is_wanted (l, e.path, instance) && g_hash_table_add (l->seen, g_strdup (e.path))) {
      if (l->show->json)
        write_json (l, &e);
      else
        write_line (l, &e);
      l->n++;
    }
    ek_buf_release (&path);
  }
}

/* ---- all ---- */

static void
list_protocol (Lister *l, const EkBlockValues *v, const EkConfBlock *root)
{
  if (v->protocol == NULL || v->protocol->module == NULL)
    return;
  EkLayer layers[] = { { v->block }, { ek_instance_block (v->protocol) }, { root } };
  const EkModule *module = v->protocol->module;
  if (module->protocol)
    list_rows (l, v->block, v->block->name, module->protocol->options, layers, 3, NULL);
  if (module->after_login)
    list_rows (l, v->block, v->block->name, module->after_login->options, layers, 3, NULL);
}

/* Settings of protocols that stand at the top level, in a domain, or in the protocol's own block. */
static void
list_scope (Lister *l, const EkGeneration *gen, const EkConfBlock *block, const char *name, const EkModule *only)
{
  EkLayer layer = { block };

  for (guint i = 0; i < gen->instances->len; i++) {
    const EkModule *module = ((EkInstance *) gen->instances->pdata[i])->module;
    if (module == NULL || (only && module != only))
      continue;
    EkShow written = *l->show;
    const EkShow *before = l->show;
    written.all = only != NULL && before->all;     /* defaults only where the protocol itself is */
    l->show = &written;
    if (module->protocol)
      list_rows (l, block, name, module->protocol->options, &layer, 1, NULL);
    if (module->after_login)
      list_rows (l, block, name, module->after_login->options, &layer, 1, NULL);
    l->show = before;
  }
}

static void
list_values (Lister *l, const EkGeneration *gen)
{
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    EkLayer layer = { v->block };
    list_rows (l, v->block, v->block->name, v->type->options, &layer, 1, NULL);
    list_protocol (l, v, gen->conf->root);
    if ((v->type->flags & EK_BLOCK_SCOPE) && v->protocol == NULL)
      list_scope (l, gen, v->block, v->block->name, NULL);
  }
}

static void
list_instances (Lister *l, const EkGeneration *gen)
{
  for (guint i = 0; i < gen->instances->len; i++) {
    const EkInstance *self = gen->instances->pdata[i];
    if (self->module == NULL)
      continue;
    const EkConfBlock *block = ek_instance_block (self);
    EkLayer layer = { block };
    list_rows (l, block, block->name, self->module->options, &layer, 1, self->name);
    list_rows (l, block, block->name, ek_instance_core (self)->own, &layer, 1, self->name);
    list_rows (l, block, block->name, ek_module_common (self->module), &layer, 1, self->name);
    list_scope (l, gen, block, block->name, self->module);
  }
}

guint
ek_config_show (const EkGeneration *gen, const EkShow *show, EkBuf *out)
{
  Lister l = { .show = show, .out = out, .json = { .out = out } };

  l.seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (show->json)
    ek_json_array (&l.json, NULL);
  list_values (&l, gen);
  list_instances (&l, gen);
  if (show->json) {
    ek_json_end_array (&l.json);
    ek_buf_appendc (out, '\n');
  }
  g_hash_table_unref (l.seen);
  return l.n;
}

/* ---- documentation of everything ---- */

typedef void (*WriteSection) (const EkDocSection *section, EkBuf *out);

static void
write_types (WriteSection write, EkBuf *out)
{
  const EkBlockType *type;

  for (guint i = 0; (type = ek_block_type (i)); i++) {
    g_autofree char *kind = type->parent && *type->parent ? g_strdup_printf ("%s { %s", type->parent, type->kind) : NULL;
    bool named = *type->kind && !(type->flags & EK_BLOCK_SINGLE);
    write (&(EkDocSection) { kind ? kind : type->kind, named ? "NAME" : NULL, type->doc, type->options }, out);
  }
}

static void
write_module (const EkModule *module, WriteSection write, EkBuf *out)
{
  g_autofree char *doc = g_strdup_printf ("Module %s: %s.", module->name, module->summary ? module->summary : "no summary");
  g_autofree EkOption *rows = ek_module_rows (module);

  write (&(EkDocSection) { module->name, "NAME", doc, rows }, out);
  if (module->protocol && module->protocol->options)
    write (&(EkDocSection) { module->name, NULL, "Settings of this protocol, also in a listener, a domain or at the top level.",
                             module->protocol->options }, out);
  if (module->after_login && module->after_login->options)
    write (&(EkDocSection) { module->name, NULL, "Settings of this protocol after login, also in a listener, a domain or at the "
                             "top level.", module->after_login->options }, out);
}

static void
write_modules (const char *path, WriteSection write, EkBuf *out)
{
  g_autoptr (GPtrArray) files = ek_module_list (path);

  for (guint i = 0; i < files->len; i++) {
    const EkModuleFile *file = files->pdata[i];
    const EkModule *module = ek_module_load (file->name, path, NULL, NULL);
    if (module)
      write_module (module, write, out);
  }
}

void
ek_reference_write (const char *module_path, EkBuf *out)
{
  ek_buf_appends (out, "# reference.conf - every setting of Ekiden with its default; made by `ekiden config reference`\n"
                       "# SPDX-License-Identifier: Apache-2.0\n\n");
  write_types (ek_doc_reference, out);
  write_modules (module_path, ek_doc_reference, out);
}

void
ek_manual_write (const char *module_path, EkBuf *out)
{
  ek_buf_appends (out, ".SH SETTINGS\n");
  write_types (ek_doc_roff, out);
  write_modules (module_path, ek_doc_roff, out);
}

static void
section_json (const EkDocSection *section, EkBuf *out)
{
  EkJson j = { .out = out };

  if (ek_buf_len (out) > 1)
    ek_buf_appends (out, ",\n");
  ek_json_object (&j, NULL);
  ek_json_text (&j, "kind", section->kind);
  ek_json_bool (&j, "named", section->name != NULL);
  ek_json_text (&j, "doc", section->doc);
  ek_doc_json (section->rows, &j, "settings");
  ek_json_end_object (&j);
}

void
ek_settings_json (const char *module_path, EkBuf *out)
{
  ek_buf_appendc (out, '[');
  write_types (section_json, out);
  write_modules (module_path, section_json, out);
  ek_buf_appends (out, "]\n");
}
