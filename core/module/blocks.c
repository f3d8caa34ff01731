/* blocks.c - the core's own blocks of a generation: values, protocol settings, unknown words, roles
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/private.h"
#include "module/load.h"
#include <string.h>

static bool
is_ours (const EkGeneration *gen, const EkConfBlock *block)
{
  return gen->roles == EK_ROLES_ALL || (block->roles & gen->roles) != 0;
}

/* ---- values ---- */

EkConfBlock *
ek_blocks_find (const EkGeneration *gen, const char *kind, const char *name)
{
  g_autofree char *key = g_strdup_printf ("%s\n%s", kind, name ? name : "");

  return g_hash_table_lookup (gen->blocks, key);
}

static void
index_values (EkGeneration *gen, EkBlockValues *v)
{
  GPtrArray *list = g_hash_table_lookup (gen->of_block, v->block);

  if (list == NULL) {
    list = g_ptr_array_new ();
    g_hash_table_insert (gen->of_block, (gpointer) v->block, list);
    if (v->type->parent == NULL)
      g_hash_table_insert (gen->blocks, g_strdup_printf ("%s\n%s", v->block->kind, v->block->name ? v->block->name : ""),
                           (gpointer) v->block);
  }
  g_ptr_array_add (list, v);
  g_ptr_array_add (gen->values, v);
}

static void
add_values (EkGeneration *gen, const EkBlockType *type, const EkConfBlock *block)
{
  EkBlockValues *v = ek_pool_new0 (gen->pool, EkBlockValues);
  gpointer target = ek_pool_alloc (gen->pool, MAX (type->size, 1));
  EkReferrer from = { gen, NULL };
  EkOptionContext context = { gen->pool, ek_instance_resolve, &from };
  EkLayer layer = { block };

  v->type = type;
  v->block = block;
  v->values = target;
  index_values (gen, v);
  v->faulty = !ek_options_apply (type->options, target, &layer, 1, ek_conf_block_label (block, gen->pool), &context,
                                 gen->problems);
}

static void
check_name (EkGeneration *gen, const EkBlockType *type, const EkConfBlock *block)
{
  if (type->flags & EK_BLOCK_SINGLE) {
    if (block->name)
      ek_problems_add (gen->problems, &block->at, "%s takes no name: expected `%s {`", block->kind, block->kind);
  } else if (block->name == NULL)
    ek_problems_add (gen->problems, &block->at, "%s needs a name: expected `%s \"NAME\" {`", block->kind, block->kind);
}

/* All blocks of a type below `parent`, which is of the kind that the type asks for. */
static void
set_below (EkGeneration *gen, const EkBlockType *type, const EkConfBlock *parent)
{
  bool found = false;

  for (const EkConfBlock *block = parent->blocks; block; block = block->next) {
    if (strcmp (block->kind, type->kind) != 0 || (parent->parent == NULL && !is_ours (gen, block)))
      continue;
    check_name (gen, type, block);
    add_values (gen, type, block);
    found = true;
  }
  if (found || !(type->flags & EK_BLOCK_SINGLE))
    return;
  EkConfBlock *block = parent->parent ? NULL : ek_blocks_find (gen, type->kind, NULL);
  if (block == NULL) {                             /* another type of the kind may have made it */
    block = ek_pool_new0 (gen->pool, EkConfBlock);
    block->kind = type->kind;
    block->parent = (EkConfBlock *) parent;
  }
  add_values (gen, type, block);
}

void
ek_blocks_set (EkGeneration *gen)
{
  const EkConfBlock *root = gen->conf->root;
  const EkBlockType *type;

  for (guint i = 0; (type = ek_block_type (i)); i++) {
    if (gen->roles != EK_ROLES_ALL && !(type->roles & gen->roles))
      continue;
    if (*type->kind == '\0')
      add_values (gen, type, root);
    else if (type->parent == NULL)
      set_below (gen, type, root);
    else
      for (const EkConfBlock *block = root->blocks; block; block = block->next)
        if (strcmp (block->kind, type->parent) == 0 && is_ours (gen, block))
          set_below (gen, type, block);
  }
}

/* ---- protocols ---- */

/* The instance that a row with the table "protocol" refers to. */
static EkInstance *
protocol_of (const EkBlockValues *v)
{
  for (const EkOption *row = v->type->options; row && row->name; row++)
    if (row->type == EK_REF && (ek_tables_parse (row->allow) & 1u << EK_TABLE_PROTOCOL))
      return *(EkInstance *const *) ((const char *) v->values + row->offset);
  return NULL;
}

static gconstpointer
protocol_values (EkGeneration *gen, const EkBlockValues *v, const EkProtocolOps *ops)
{
  EkLayer layers[] = { { v->block }, { ek_instance_block (v->protocol) }, { gen->conf->root } };
  EkReferrer from = { gen, NULL };
  EkOptionContext context = { gen->pool, ek_instance_resolve, &from };

  if (ops == NULL || ops->options == NULL)
    return NULL;
  gpointer target = ek_pool_alloc (gen->pool, ops->options_size);
  ek_options_apply (ops->options, target, layers, G_N_ELEMENTS (layers), ek_conf_block_label (v->block, gen->pool),
                    &context, gen->problems);
  return target;
}

void
ek_blocks_set_protocols (EkGeneration *gen)
{
  for (guint i = 0; i < gen->values->len; i++) {
    EkBlockValues *v = gen->values->pdata[i];
    v->protocol = protocol_of (v);
    if (v->protocol == NULL || v->protocol->module == NULL)
      continue;
    v->protocol_options = protocol_values (gen, v, v->protocol->module->protocol);
    v->after_login_options = protocol_values (gen, v, v->protocol->module->after_login);
  }
}

/* ---- unknown words ---- */

void
ek_block_unknown (EkGeneration *gen, const EkConfBlock *block, const char *why)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  g_autoptr (GPtrArray) files = ek_module_list (gen->conf->module_path);
  const EkBlockType *type;

  for (guint i = 0; (type = ek_block_type (i)); i++)
    if (type->parent == NULL)
      g_ptr_array_add (words, (gpointer) type->kind);
  for (guint i = 0; i < files->len; i++)
    g_ptr_array_add (words, ((EkModuleFile *) files->pdata[i])->name);
  if (g_ptr_array_find_with_equal_func (words, block->kind, g_str_equal, NULL)) {
    ek_problems_add (gen->problems, &block->at, "%s", why);
    return;
  }
  const char *near = ek_nearest (block->kind, (const char *const *) words->pdata, words->len);
  if (near)
    ek_problems_add (gen->problems, &block->at, "nothing is called \"%s\", no block of the core and no module that is installed; "
                     "did you mean \"%s\"?", block->kind, near);
  else
    ek_problems_add (gen->problems, &block->at, "%s", why);
}

static void
add_protocol_rows (GPtrArray *sets, const EkInstance *protocol)
{
  if (protocol == NULL || protocol->module == NULL)
    return;
  if (protocol->module->protocol)
    g_ptr_array_add (sets, (gpointer) protocol->module->protocol->options);
  if (protocol->module->after_login)
    g_ptr_array_add (sets, (gpointer) protocol->module->after_login->options);
}

/* The rows that may stand in a block of the core: those of all types of its kind, and of protocols. */
static void
collect_rows (EkGeneration *gen, const EkConfBlock *block, GPtrArray *sets)
{
  bool scope = false, own = false;

  const GPtrArray *list = g_hash_table_lookup (gen->of_block, block);
  for (guint i = 0; list && i < list->len; i++) {
    const EkBlockValues *v = list->pdata[i];
    g_ptr_array_add (sets, (gpointer) v->type->options);
    scope |= (v->type->flags & EK_BLOCK_SCOPE) != 0;
    own |= v->protocol != NULL;
    add_protocol_rows (sets, v->protocol);
  }
  for (guint i = 0; scope && !own && i < gen->instances->len; i++)
    add_protocol_rows (sets, gen->instances->pdata[i]);
}

static void
check_children (EkGeneration *gen, const EkConfBlock *block)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  for (const EkConfBlock *child = block->blocks; child; child = child->next) {
    if (ek_block_is_kind (child->kind, block->kind)) {
      g_autoptr (GPtrArray) sets = g_ptr_array_new ();
      collect_rows (gen, child, sets);
      ek_options_unknown (child, (const EkOption *const *) sets->pdata, sets->len, gen->problems);
      check_children (gen, child);
    } else
      ek_problems_add (gen->problems, &child->at, "%s holds no block \"%s\"%s", ek_conf_block_label (block, pool),
                       child->kind, ek_block_is_kind (child->kind, NULL) ? ": it stands at the top level" : "");
  }
}

static void
check_block (EkGeneration *gen, const EkConfBlock *block)
{
  g_autoptr (GPtrArray) sets = g_ptr_array_new ();
  bool known = block->parent == NULL || ek_block_is_kind (block->kind, NULL);

  if (known)
    collect_rows (gen, block, sets);
  for (guint i = 0; !known && i < gen->instances->len; i++) {
    const EkInstance *self = gen->instances->pdata[i];
    if (ek_instance_block (self) != block)
      continue;
    known = true;
    if (self->module->own_options && ek_instance_core (self)->own == NULL)
      return;                                      /* what its script declares is not known: told */
    g_ptr_array_add (sets, (gpointer) self->module->options);
    g_ptr_array_add (sets, (gpointer) ek_instance_core (self)->own);
    g_ptr_array_add (sets, (gpointer) ek_module_common (self->module));
    add_protocol_rows (sets, self);
    break;
  }
  if (!known)                                      /* its module did not load: told */
    return;
  ek_options_unknown (block, (const EkOption *const *) sets->pdata, sets->len, gen->problems);
  if (block->parent)
    check_children (gen, block);
}

void
ek_blocks_check (EkGeneration *gen)
{
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    if (v->type->check && !v->faulty)
      v->type->check (v->values, v->block, gen->problems);
  }
  if (gen->roles != EK_ROLES_ALL)                  /* a role has not all that would make a word known */
    return;
  check_block (gen, gen->conf->root);
  for (const EkConfBlock *block = gen->conf->root->blocks; block; block = block->next)
    check_block (gen, block);
}

void
ek_blocks_check_made (EkGeneration *gen)
{
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    if (v->type->check_made)
      v->type->check_made (v->values, v->block, gen->problems);
  }
}

/* ---- mechanisms ---- */

static const EkMechanismOps *
find_mechanism (const EkGeneration *gen, const char *name)
{
  for (guint i = 0; i < gen->instances->len; i++) {
    const EkModule *module = ((const EkInstance *) gen->instances->pdata[i])->module;
    for (const EkMechanismOps *const *ops = module ? module->mechanisms : NULL; ops && *ops; ops++)
      if (g_ascii_strcasecmp ((*ops)->name, name) == 0)
        return *ops;
  }
  return NULL;
}

/* A list that was written is held to its word.  The default is not: mail may be taken where nobody logs in, and then
 * none is offered; but a protocol that is all about a login needs one. */
static void
check_mechanisms (EkGeneration *gen, const EkBlockValues *v, char *const *names)
{
  static const char fix[] = "add a block of a module that does, as sasl_plain { } does for PLAIN and LOGIN, sasl_scram { } for SCRAM-SHA-256";
  const EkConfSetting *written = ek_conf_find_setting (v->block, "mechanisms");
  const char *label = ek_conf_block_label (v->block, gen->pool);

  for (guint i = 0; names && names[i]; i++) {
    const EkMechanismOps *ops = find_mechanism (gen, names[i]);
    if (ops && !ops->plaintext && i < EK_CONF_SEALED_MAX)
      ((EkConfBlock *) v->block)->roles |= EK_CONF_SEALED (i);
    if (ops)
      continue;
    if (written)
      ek_problems_add (gen->problems, i < written->n_items ? &written->items[i].at : &written->at,
                       "%s offers the mechanism %s, and nothing in this configuration answers it: %s, or take it out", label,
                       names[i], fix);
    else if (v->protocol->module->after_login) {
      ek_problems_add (gen->problems, &v->block->at, "nobody can log in at %s: it offers %s, and nothing in this configuration "
                       "answers it: %s", label, names[i], fix);
      return;
    }
    else
      ((EkConfBlock *) v->block)->roles |= EK_CONF_NO_AUTH;
  }
}

void
ek_blocks_check_mechanisms (EkGeneration *gen)
{
  if (gen->roles != EK_ROLES_ALL || g_hash_table_size (gen->lost) > 0)       /* a module that did not load may be the one: told */
    return;
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    if (v->protocol == NULL || v->protocol->module == NULL || v->faulty)
      continue;
    for (const EkOption *row = v->type->options; row->name; row++)
      if (strcmp (row->name, "mechanisms") == 0)
        check_mechanisms (gen, v, *(char *const *const *) ((const char *) v->values + row->offset));
  }
}

/* ---- roles ---- */

/* Calls func for each map that an option of the instance refers to and that works in a role where it does not:
 * it will be asked over a channel (ek_map_ask). */
static void
each_asked (EkGeneration *gen, const EkInstance *self,
            void (*func) (EkGeneration *gen, const EkInstance *self, const EkInstance *map, guint32 askers))
{
  guint32 homes = ek_tables_roles (1u << EK_TABLE_MAP), askers = ek_instance_roles (self) & ~homes;
  const GPtrArray *uses = ek_instance_core (self)->uses;

  for (guint i = 0; askers && i < uses->len; i++)
    if (ek_module_tables (((EkInstance *) uses->pdata[i])->module) & 1u << EK_TABLE_MAP)
      func (gen, self, uses->pdata[i], askers);
}

static void
mark_asked (EkGeneration *gen, const EkInstance *self, const EkInstance *map, guint32 askers)
{
  ((EkConfBlock *) ek_instance_block (map))->roles |= askers << EK_ASKERS_SHIFT;
}

/* Directory makes only what has a block. */
static void
want_block (EkGeneration *gen, const EkInstance *self, const EkInstance *map, guint32 askers)
{
  if (ek_instance_block (map)->at.file == NULL)
    ek_problems_add (gen->problems, &ek_instance_block (self)->at, "%s \"%s\" asks the map %s, which works in another process: "
                     "expected a block `%s \"%s\" { ... }` for it", self->module->name, self->name, map->name, map->module->name,
                     map->name);
}

void
ek_blocks_check_asked (EkGeneration *gen)
{
  for (guint i = 0; gen->roles == EK_ROLES_ALL && i < gen->instances->len; i++)
    each_asked (gen, gen->instances->pdata[i], want_block);
}

void
ek_blocks_roles (EkGeneration *gen)
{
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    EkConfBlock *block = (EkConfBlock *) v->block;         /* of our own tree, which nobody else sees yet */
    guint32 roles = v->type->roles;
    if (v->protocol && v->protocol->module && v->protocol->module->after_login == NULL)
      roles &= ~EK_ROLE_BIT (EK_ROLE_STORE);
    block->roles |= roles;
  }
  for (guint i = 0; i < gen->instances->len; i++) {
    const EkInstance *self = gen->instances->pdata[i];
    ((EkConfBlock *) ek_instance_block (self))->roles |= ek_instance_roles (self);
    each_asked (gen, self, mark_asked);
  }
}
