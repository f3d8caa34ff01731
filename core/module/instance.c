/* instance.c - one configured use of a module: made, referred to, initialised, started, stopped
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/private.h"
#include "lookup/cache.h"
#include "module/load.h"
#include "module/lookup.h"
#include <errno.h>
#include <string.h>

#define INSTANCES_MAX 10000

/* ---- what blocks have beside their module's own rows ---- */

#define CONNECTIONS                                                                                                           \
  EK_OPTION (EkCommon, connections, "4", "How many questions of this block are under way at once, each on a thread and a "     \
             "connection of its own. More wait in line; other blocks do not wait for this one.", .allow = "1..64")

#define MAP_ROWS                                                                                                              \
  EK_OPTION (EkCommon, result, "", "As a map: what is made of each value: %s is the value, %u and %d what is before and behind its @, " \
             "%S, %U and %D the same of the key, %1 to %9 labels of the key's domain, counted from its end, %% a percent sign. A value " \
             "that lacks one is left out. Empty: the value itself."),                                                        \
  EK_OPTION (EkCommon, only_domains, "[]", "As a map: it is only asked for addresses of these domains, and for no key without a local part. " \
             "Empty: for everything."),                                                                                      \
  EK_OPTION (EkCommon, rows_max, "0", "As a map: an answer of more rows is a mistake, and the question is put off. 0: no limit but " \
             "the module's own.", .allow = "0..1000000")

static const EkOption waiting_rows[] = { CONNECTIONS, EK_OPTIONS_END };
static const EkOption map_rows[] = { MAP_ROWS, EK_OPTIONS_END };
static const EkOption busy_map_rows[] = { CONNECTIONS, MAP_ROWS, EK_OPTIONS_END };

static const EkOption waiting_map_rows[] = {
  CONNECTIONS,
  MAP_ROWS,
  EK_OPTION (EkCommon, cache, "5s", "As a map: how long an answer is used again without asking.", .allow = "0..1d"),
  EK_OPTION (EkCommon, cache_negative, "1s", "As a map: how long a clean \"no such key\" is.", .allow = "0..1d"),
  EK_OPTION (EkCommon, cache_stale, "1h", "As a map: how much longer an answer counts while the server is away; a \"no such "
             "key\" does not. Else the question is put off.", .allow = "0..7d"),
  EK_OPTION (EkCommon, cache_max, "10000", "As a map: how many answers are remembered; the one that was used longest ago makes "
             "room. 0: none.", .allow = "0..10000000"),
  EK_OPTIONS_END
};

const EkOption *
ek_module_common (const EkModule *module)
{
  if (!ek_module_waits (module))
    return module->map ? map_rows : NULL;
  if (module->map == NULL)
    return waiting_rows;
  return module->connect ? waiting_map_rows : busy_map_rows;
}

static guint
count_rows (const EkOption *rows)
{
  guint n = 0;

  while (rows && rows[n].name)
    n++;
  return n;
}

EkOption *
ek_module_rows (const EkModule *module)
{
  const EkOption *common = ek_module_common (module);
  guint own = count_rows (module->options), more = count_rows (common);
  EkOption *rows = g_new0 (EkOption, own + more + 1);

  if (own)
    memcpy (rows, module->options, sizeof *rows * own);
  if (more)
    memcpy (rows + own, common, sizeof *rows * more);
  return rows;
}

/* ---- making ---- */

static EkInstance *
add (EkGeneration *gen, const EkModule *module, const char *name, const EkConfBlock *block)
{
  gsize size = module ? MAX (module->instance_size, sizeof (EkInstance)) : sizeof (EkInstance);
  EkInstance *self = ek_pool_alloc (gen->pool, size);
  EkInstanceCore *core = ek_pool_new0 (gen->pool, EkInstanceCore);

  core->gen = gen;
  core->block = block;
  core->uses = g_ptr_array_new ();
  core->remote = module == NULL;
  self->name = name;
  self->module = module;
  self->core = core;
  if (ek_module_waits (module))
    ek_calls_init (self);
  g_ptr_array_add (gen->instances, self);
  return self;
}

static EkInstance *
find_exact (const EkGeneration *gen, EkStr module, EkStr name)
{
  for (guint i = 0; i < gen->instances->len; i++) {
    EkInstance *self = gen->instances->pdata[i];
    if (self->module && ek_str_eq (ek_str (self->name), name) && ek_str_eq (ek_str (self->module->name), module))
      return self;
  }
  return NULL;
}

EkInstance *
ek_instance_new (EkGeneration *gen, const EkConfBlock *block)
{
  g_autoptr (GError) error = NULL;
  const EkModule *module = ek_module_load (block->kind, gen->conf->module_path, NULL, &error);
  const char *name = block->name ? block->name : block->kind;

  if (module == NULL) {
    ek_block_unknown (gen, block, error->message);
    g_hash_table_add (gen->lost, (gpointer) name);
    return NULL;
  }
  EkInstance *other = find_exact (gen, ek_str (module->name), ek_str (name));
  if (other == NULL)
    return add (gen, module, name, block);
  ek_problems_add (gen->problems, &block->at, "%s \"%s\" is the name of the block in %s:%u too: a block without a name is "
                   "called after its module", block->kind, name, ek_instance_block (other)->at.file,
                   ek_instance_block (other)->at.line);
  return NULL;
}

/* ---- references ---- */

/* "file:staff" or "staff". */
static void
split_name (EkStr text, EkStr *module, EkStr *name)
{
  const char *colon = memchr (text.p, ':', text.n);
  gsize n = colon ? (gsize) (colon - text.p) : 0;

  *module = (EkStr) { text.p, n };
  *name = colon ? (EkStr) { colon + 1, text.n - n - 1 } : text;
}

/* The instance of that name that offers one of the tables; *n says how many there are. */
static EkInstance *
find (const EkGeneration *gen, EkStr text, guint32 bits, guint *n, EkInstance **other)
{
  EkInstance *found = NULL;
  EkStr module, name;

  split_name (text, &module, &name);
  *n = 0;
  *other = NULL;
  for (guint i = 0; i < gen->instances->len; i++) {
    EkInstance *self = gen->instances->pdata[i];
    if (self->module == NULL || !ek_str_eq (ek_str (self->name), name)
        || (module.n && !ek_str_eq (ek_str (self->module->name), module)))
      continue;
    if (bits != 0 && (ek_module_tables (self->module) & bits) == 0) {
      *other = self;
      continue;
    }
    if (++*n > 1)
      *other = found;
    found = self;
  }
  return found;
}

EkInstance *
ek_generation_instance (const EkGeneration *gen, const char *name, guint32 bits)
{
  EkInstance *other;
  guint n;

  EkInstance *found = find (gen, ek_str (name), bits, &n, &other);
  return n == 1 ? found : NULL;
}

static EkConfBlock *
implied_block (EkGeneration *gen, const char *kind)
{
  EkConfBlock *block = ek_pool_new0 (gen->pool, EkConfBlock);

  block->kind = kind;
  block->parent = gen->conf->root;
  return block;
}

static EkInstance *
remote (EkGeneration *gen, EkStr text)
{
  for (guint i = 0; i < gen->instances->len; i++) {
    EkInstance *self = gen->instances->pdata[i];
    if (self->module == NULL && ek_str_eq (ek_str (self->name), text))
      return self;
  }
  const char *name = ek_pool_strndup (gen->pool, text.p, text.n);
  return add (gen, NULL, name, implied_block (gen, "remote"));
}

static const char *
nearest_instance (EkGeneration *gen, const char *word, guint32 bits)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (guint i = 0; i < gen->instances->len; i++) {
    const EkInstance *self = gen->instances->pdata[i];
    if (self->module && (ek_module_tables (self->module) & bits))
      g_ptr_array_add (names, (gpointer) self->name);
  }
  return ek_nearest (word, (const char *const *) names->pdata, names->len);
}

/* Neither a block nor a usable module has the name.  `why` is what loading said, or NULL. */
static void
tell_nothing (EkGeneration *gen, const EkOption *row, const char *word, guint32 bits, const EkConfPos *at, const GError *why)
{
  const char *near = nearest_instance (gen, word, bits);
  bool is_module = (bits & 1u << EK_TABLE_PROTOCOL) || g_strcmp0 (word, row->dflt) == 0;

  if (why && why->code != ENOENT)                  /* it is there, and broken */
    ek_problems_add (gen->problems, at, "%s: %s", row->name, why->message);
  else if (near)
    ek_problems_add (gen->problems, at, "%s: no %s is called \"%s\"; did you mean \"%s\"?", row->name, row->allow, word, near);
  else if (why && is_module)                       /* those mostly go by their module's name */
    ek_problems_add (gen->problems, at, "%s: %s", row->name, why->message);
  else
    ek_problems_add (gen->problems, at, "%s: no %s is called \"%s\": expected a block `MODULE \"%s\" { ... }`, or the name of "
                     "an installed module", row->name, row->allow, word, word);
}

/* No block has the name: the module of that name, with all defaults. */
static EkInstance *
implied (EkGeneration *gen, const EkOption *row, const char *word, guint32 bits, const EkConfPos *at)
{
  g_autoptr (GError) error = NULL;
  const char *colon = strchr (word, ':');
  const EkModule *module = NULL;

  if (g_hash_table_contains (gen->lost, colon ? colon + 1 : word))
    return NULL;                                   /* told where the block stands */
  if (colon == NULL)
    module = ek_module_load (word, gen->conf->module_path, NULL, &error);
  if (module && (ek_module_tables (module) & bits))
    return add (gen, module, module->name, implied_block (gen, module->name));
  if (module)
    ek_problems_add (gen->problems, at, "%s: the module \"%s\" offers no %s", row->name, word, row->allow);
  else
    tell_nothing (gen, row, word, bits, at, error);
  return NULL;
}

static EkInstance *
resolve (EkGeneration *gen, const EkOption *row, EkStr text, guint32 bits, const EkConfPos *at)
{
  guint32 works_in = bits & 1u << EK_TABLE_PROTOCOL ? bits | 1u << EK_TABLE_AFTER_LOGIN : bits;
  EkInstance *other;
  guint n;

  EkInstance *found = find (gen, text, bits, &n, &other);
  if (n == 1)
    return found;
  if (gen->roles != EK_ROLES_ALL && !(ek_tables_roles (works_in) & gen->roles))
    return remote (gen, text);
  if (n > 1) {
    ek_problems_add (gen->problems, at, "%s: \"%s\" may be %s:%s or %s:%s: write which one", row->name, found->name,
                     other->module->name, other->name, found->module->name, found->name);
    return NULL;
  }
  if (other) {
    const EkConfBlock *block = ek_instance_block (other);
    ek_problems_add (gen->problems, at, "%s: expected a %s, and %s \"%s\" (%s:%u) offers none", row->name, row->allow,
                     other->module->name, other->name, block->at.file ? block->at.file : "implied", block->at.line);
    return NULL;
  }
  return implied (gen, row, text.p, bits, at);
}

/* Only when its options are set can it say whether it is what the reference asks for. */
static void
keep_reference (EkGeneration *gen, EkInstance *to, guint32 tables, const EkOption *row, const EkConfPos *at)
{
  EkReference reference = { to, tables, row->name, row->allow, *at };

  if (gen->references == NULL)
    gen->references = g_array_new (FALSE, FALSE, sizeof reference);
  g_array_append_val (gen->references, reference);
}

EkInstance *
ek_instance_resolve (gpointer data, const EkOption *row, EkStr text, const EkConfPos *at, EkProblems *problems)
{
  const EkReferrer *from = data;
  EkGeneration *gen = from->gen;
  guint32 bits = ek_tables_parse (row->allow);

  if (bits == 0) {
    ek_problems_add (problems, at, "%s: the option's own row names no table: %s", row->name, row->allow);
    return NULL;
  }
  if (gen->instances->len > INSTANCES_MAX) {
    ek_problems_add (problems, at, "more than %u instances of modules", INSTANCES_MAX);
    return NULL;
  }
  EkInstance *found = resolve (gen, row, text, bits, at);
  if (found == NULL)
    return NULL;
  ek_instance_core (found)->tables |= bits;
  if (found->module && found->module->lacks)
    keep_reference (gen, found, bits, row, at);
  if (from->user)
    g_ptr_array_add (ek_instance_core (from->user)->uses, found);
  return found;
}

/* ---- life ---- */

/* A module that returns false without a reason still gets one. */
static void
explain (EkInstance *self, const char *what, const GError *why, GError **error)
{
  ek_fail (error, EK_FAIL, why ? why->code : 0, "%s \"%s\" %s: %s", self->module->name, self->name, what,
           why ? why->message : "the module gave no reason");
}

static void
tell (EkGeneration *gen, EkInstance *self, const GError *why)
{
  g_autoptr (GError) error = NULL;

  ek_instance_core (self)->faulty = true;
  explain (self, "cannot be used", why, &error);
  ek_problems_add (gen->problems, &ek_instance_core (self)->block->at, "%s", error->message);
}

/* The rows that the block's script declares. */
static void
set_own (EkGeneration *gen, EkInstance *self, const EkLayer *layer, const char *owner, const EkOptionContext *context)
{
  EkInstanceCore *core = ek_instance_core (self);
  g_autoptr (GError) why = NULL;
  gpointer target = NULL;

  core->own = self->module->own_options (self, gen->pool, &target, &why);
  for (const EkOption *row = core->own; row && row->name && why == NULL; row++)
    if (ek_module_common (self->module) && ek_options_row (ek_module_common (self->module), row->name))
      ek_fail (&why, EK_FAIL, 0, "the option %s that it declares is one that the core gives to every map: choose another name", row->name);
  if (core->own == NULL || why)
    tell (gen, self, why);
  else
    core->faulty = !ek_options_apply (core->own, target, layer, 1, owner, context, gen->problems);
}

bool
ek_instance_offers (const EkInstance *self, EkTable table)
{
  return self->module && (ek_module_tables (self->module) & 1u << table)
         && (self->module->lacks == NULL || self->module->lacks (self, ek_table_name (table)) == NULL);
}

/* One that offers none of the tables that the setting asks for. */
static void
check_reference (EkGeneration *gen, const EkReference *reference)
{
  const EkInstance *to = reference->to;
  const EkConfPos *block = &ek_instance_block (to)->at;
  const char *why = NULL;

  for (EkTable table = 0; table < EK_N_TABLES; table++)
    if (reference->tables & ek_module_tables (to->module) & 1u << table) {
      if ((why = to->module->lacks (to, ek_table_name (table))) == NULL)
        return;
    }
  if (why)
    ek_problems_add (gen->problems, &reference->at, "%s: expected a %s, and %s \"%s\" (%s:%u) is none: %s", reference->option,
                     reference->allow, to->module->name, to->name, block->file ? block->file : "implied", block->line, why);
}

void
ek_instances_check_references (EkGeneration *gen)
{
  for (guint i = 0; gen->references && i < gen->references->len; i++) {
    const EkReference *reference = &g_array_index (gen->references, EkReference, i);
    if (!ek_instance_core (reference->to)->faulty)
      check_reference (gen, reference);
  }
  g_clear_pointer (&gen->references, g_array_unref);
}

void
ek_instances_set (EkGeneration *gen)
{
  while (gen->n_set < gen->instances->len) {       /* grows under way: implied ones */
    EkInstance *self = gen->instances->pdata[gen->n_set++];
    EkInstanceCore *core = ek_instance_core (self);
    EkReferrer from = { gen, self };
    EkOptionContext context = { gen->pool, ek_instance_resolve, &from };
    EkLayer layer = { core->block };
    if (self->module == NULL)
      continue;
    g_autofree char *owner = g_strdup_printf ("%s \"%s\"", self->module->name, self->name);
    if (ek_module_common (self->module))
      core->faulty = !ek_options_apply (ek_module_common (self->module), &core->common, &layer, 1, owner, &context, gen->problems);
    char wrong = 0;
    if (!core->faulty && !ek_map_result_check (core->common.result, &wrong)) {
      const EkConfSetting *set = ek_conf_find_setting (core->block, "result");
      ek_problems_add (gen->problems, set ? &set->at : &core->block->at, "%s: result has \"%%%c\", but one of %%s %%u %%d %%S %%U %%D %%1 to "
                       "%%9 is expected, or %%%% for a percent sign", owner, wrong ? wrong : ' ');
      core->faulty = true;
    }
    if (self->module->options == NULL)
      continue;
    core->faulty |= !ek_options_apply (self->module->options, self, &layer, 1, owner, &context, gen->problems);
    if (!core->faulty && self->module->own_options)
      set_own (gen, self, &layer, owner, &context);
  }
}

static void
tell_circle (EkGeneration *gen, const GPtrArray *path, const EkInstance *again)
{
  g_autoptr (GString) chain = g_string_new (NULL);
  const EkConfBlock *first = ek_instance_block (again);
  guint i = 0;

  while (path->pdata[i] != again)
    i++;
  for (; i < path->len; i++) {
    const EkInstance *self = path->pdata[i];
    g_string_append_printf (chain, "%s:%s -> ", self->module->name, self->name);
    ek_instance_core (self)->faulty = true;
  }
  g_string_append_printf (chain, "%s:%s", again->module->name, again->name);
  ek_problems_add (gen->problems, &first->at, "instances refer to each other in a circle: %s", chain->str);
}

static void
visit (EkGeneration *gen, EkInstance *self, GPtrArray *path)
{
  EkInstanceCore *core = ek_instance_core (self);

  if (core->mark == EK_ORDERED || core->remote)
    return;
  if (core->mark == EK_VISITING) {
    tell_circle (gen, path, self);
    return;
  }
  core->mark = EK_VISITING;
  g_ptr_array_add (path, self);
  for (guint i = 0; i < core->uses->len; i++)
    visit (gen, core->uses->pdata[i], path);
  g_ptr_array_remove_index (path, path->len - 1);
  core->mark = EK_ORDERED;
  g_ptr_array_add (gen->order, self);
}

void
ek_instances_order (EkGeneration *gen)
{
  g_autoptr (GPtrArray) path = g_ptr_array_new ();

  for (guint i = 0; i < gen->instances->len; i++)
    visit (gen, gen->instances->pdata[i], path);
}

/* Its options and all that it uses are in order, so that init() may rely on them. */
static bool
is_sound (const EkInstance *self)
{
  const EkInstanceCore *core = ek_instance_core (self);

  for (guint i = 0; i < core->uses->len; i++)
    if (ek_instance_core (core->uses->pdata[i])->faulty)
      return false;
  return !core->faulty;
}

void
ek_instances_init (EkGeneration *gen)
{
  for (guint i = 0; i < gen->order->len; i++) {
    EkInstance *self = gen->order->pdata[i];
    EkInstanceCore *core = ek_instance_core (self);
    g_autoptr (GError) why = NULL;
    core->faulty = !is_sound (self);
    core->inited = !core->faulty && (self->module->init == NULL || self->module->init (self, &why));
    if (!core->inited && !core->faulty)
      tell (gen, self, why);
  }
}

bool
ek_instance_start (EkInstance *self, GError **error)
{
  EkInstanceCore *core = ek_instance_core (self);
  g_autoptr (GError) why = NULL;

  if (core->remote || core->started)
    return true;
  for (guint i = 0; i < core->uses->len; i++)
    if (!ek_instance_start (core->uses->pdata[i], error))
      return false;
  if (self->module->start && !self->module->start (self, &why)) {
    explain (self, "cannot start", why, error);
    return false;
  }
  core->started = true;
  return true;
}

bool
ek_generation_start (EkGeneration *gen, GError **error)
{
  for (guint i = 0; i < gen->order->len; i++)
    if (!ek_instance_start (gen->order->pdata[i], error))
      return false;
  return true;
}

void
ek_instances_stop (EkGeneration *gen)
{
  for (guint i = gen->order->len; i-- > 0;) {
    EkInstance *self = gen->order->pdata[i];
    EkInstanceCore *core = ek_instance_core (self);
    ek_calls_free (self);
    ek_cache_free (g_steal_pointer (&core->answers));
    if (core->inited && self->module->stop)
      self->module->stop (self);
    core->inited = core->started = false;
  }
  for (guint i = 0; i < gen->instances->len; i++)
    g_ptr_array_unref (ek_instance_core (gen->instances->pdata[i])->uses);
}

/* ---- what others may ask ---- */

bool
ek_instance_is_remote (const EkInstance *self)
{
  return ek_instance_core (self)->remote;
}

EkGeneration *
ek_instance_generation (const EkInstance *self)
{
  return ek_instance_core (self)->gen;
}

const EkConfBlock *
ek_instance_block (const EkInstance *self)
{
  return ek_instance_core (self)->block;
}

guint32
ek_instance_roles (const EkInstance *self)
{
  const EkInstanceCore *core = ek_instance_core (self);

  if (self->module == NULL)
    return 0;
  if (core->tables == 0)                           /* nobody refers to it: all that it can do */
    return ek_module_roles (self->module);
  guint32 used = core->tables;
  if (used & 1u << EK_TABLE_PROTOCOL)
    used |= 1u << EK_TABLE_AFTER_LOGIN;
  return ek_tables_roles (used & ek_module_tables (self->module))
         | (self->module->flags & (EK_ROOT_INIT | EK_HELPER) ? EK_ROLE_BIT (EK_ROLE_MASTER) : 0);
}
