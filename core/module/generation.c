/* generation.c - builds a generation from a configuration, and lets go of it
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/private.h"
#include <string.h>

static guint live;
static void (*watcher) (guint live);

void
ek_generations_watch (void (*func) (guint live))
{
  watcher = func;
}

static void
count (int change)
{
  live += (guint) change;
  if (watcher)
    watcher (live);
}

static void
add_instances (EkGeneration *gen)
{
  for (const EkConfBlock *block = gen->conf->root->blocks; block; block = block->next)
    if (!ek_block_is_kind (block->kind, NULL)
        && (gen->roles == EK_ROLES_ALL || (block->roles & gen->roles) != 0))
      ek_instance_new (gen, block);
}

static void
close_all (gpointer data)
{
  EkGeneration *gen = data;

  for (guint i = gen->order->len; i-- > 0;)
    ek_calls_free (gen->order->pdata[i]);
}

static void
generation_free (gpointer data)
{
  EkGeneration *gen = data;

  ek_instances_stop (gen);
  g_ptr_array_unref (gen->order);
  g_ptr_array_unref (gen->instances);
  g_ptr_array_unref (gen->values);
  g_hash_table_unref (gen->blocks);
  g_hash_table_unref (gen->of_block);
  g_hash_table_unref (gen->lost);
  ek_pool_free (gen->pool);
  ek_conf_free (gen->conf);
  g_free (gen);
  count (-1);
}

EkGeneration *
ek_generation_new (EkConf *conf, guint32 roles, EkProblems *problems)
{
  static guint64 last_number;
  EkGeneration *gen = g_new0 (EkGeneration, 1);

  *gen = (EkGeneration) { .refs = 1, .number = ++last_number, .conf = conf, .roles = roles, .problems = problems };
  count (1);
  gen->pool = ek_pool_new ();
  gen->instances = g_ptr_array_new ();
  gen->order = g_ptr_array_new ();
  gen->values = g_ptr_array_new ();
  gen->blocks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gen->lost = g_hash_table_new (g_str_hash, g_str_equal);
  gen->of_block = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
  add_instances (gen);
  ek_blocks_set (gen);
  ek_instances_set (gen);                          /* behind the blocks: these imply instances too */
  ek_blocks_set_protocols (gen);
  ek_instances_set (gen);
  ek_instances_check_references (gen);
  ek_instances_order (gen);
  ek_blocks_check (gen);
  ek_blocks_check_asked (gen);
  ek_blocks_check_mechanisms (gen);
  ek_instances_init (gen);
  if (roles == EK_ROLES_ALL && ek_problems_count (problems) == 0)
    ek_blocks_check_made (gen);
  if (ek_problems_count (problems) > 0) {
    generation_free (gen);
    return NULL;
  }
  if (roles == EK_ROLES_ALL)
    ek_blocks_roles (gen);
  gen->problems = NULL;
  return gen;
}

EkGeneration *
ek_generation_ref (EkGeneration *gen)
{
  g_atomic_int_inc (&gen->refs);
  return gen;
}

void
ek_generation_unref (EkGeneration *gen)
{
  bool open = false;

  if (gen == NULL || !g_atomic_int_dec_and_test (&gen->refs))
    return;
  for (guint i = 0; i < gen->order->len; i++) {
    ek_calls_end_threads (gen->order->pdata[i]);
    open |= ek_calls_open (gen->order->pdata[i]);
  }
  if (open)                                        /* saying goodbye to a database may take its time */
    ek_calls_offload (close_all, generation_free, gen);
  else
    generation_free (gen);
}

void
ek_generation_retire (EkGeneration *old, EkGeneration *heir)
{
  if (old)
    ek_answers_inherit (heir, old);
  ek_generation_unref (old);
}

const EkConf *
ek_generation_conf (const EkGeneration *gen)
{
  return gen->conf;
}

guint64
ek_generation_number (const EkGeneration *gen)
{
  return gen->number;
}

guint
ek_generation_n_instances (const EkGeneration *gen)
{
  return gen->instances->len;
}

EkInstance *
ek_generation_instance_at (const EkGeneration *gen, guint i)
{
  return i < gen->instances->len ? gen->instances->pdata[i] : NULL;
}

/* ---- values ---- */

const EkBlockValues *
ek_generation_block (const EkGeneration *gen, const EkBlockType *type, const char *name)
{
  const GPtrArray *list = gen->values;

  if (type->parent == NULL) {                      /* thousands of domains are looked up by name */
    const EkConfBlock *block = ek_blocks_find (gen, type->kind, name);
    list = block ? g_hash_table_lookup (gen->of_block, block) : NULL;
  }
  for (guint i = 0; list && i < list->len; i++) {
    const EkBlockValues *v = list->pdata[i];
    if (v->type == type && g_strcmp0 (v->block->name, name) == 0)
      return v;
  }
  return NULL;
}

gconstpointer
ek_generation_values (const EkGeneration *gen, const EkBlockType *type, const char *name)
{
  const EkBlockValues *v = ek_generation_block (gen, type, name);

  return v ? v->values : NULL;
}

void
ek_generation_each (const EkGeneration *gen, const EkBlockType *type,
                    void (*func) (const EkBlockValues *values, gpointer data), gpointer data)
{
  for (guint i = 0; i < gen->values->len; i++) {
    const EkBlockValues *v = gen->values->pdata[i];
    if (v->type == type)
      func (v, data);
  }
}

guint
ek_generation_layers (const EkGeneration *gen, const char *listener, const char *domain, const char *protocol,
                      EkLayer layers[static EK_LAYERS_MAX])
{
  const EkConfBlock *root = gen->conf->root;
  const EkInstance *instance = protocol ? ek_generation_instance (gen, protocol, 1u << EK_TABLE_PROTOCOL
                                                                                   | 1u << EK_TABLE_AFTER_LOGIN) : NULL;
  guint n = 0;

  if (listener && (layers[n].block = ek_blocks_find (gen, "listener", listener)))
    n++;
  if (domain && (layers[n].block = ek_blocks_find (gen, "domain", domain)))
    n++;
  if (instance)
    layers[n++].block = ek_instance_block (instance);
  layers[n++].block = root;
  return n;
}

/* ---- which role gets what ---- */

guint32 *
ek_conf_roles (const EkConf *conf, guint *n)
{
  guint32 *roles = g_new0 (guint32, conf->n_blocks + 1);

  *n = conf->n_blocks;
  for (const EkConfBlock *block = conf->root->blocks; block; block = block->next)
    roles[block->index] = block->roles;
  return roles;
}

bool
ek_conf_set_roles (EkConf *conf, const guint32 *roles, guint n)
{
  if (n != conf->n_blocks)
    return false;
  for (EkConfBlock *block = conf->root->blocks; block; block = block->next)
    block->roles = roles[block->index];
  return true;
}

GPtrArray *
ek_conf_blocks_for_role (const EkConf *conf, EkRole role)
{
  GPtrArray *list = g_ptr_array_new ();

  for (EkConfBlock *block = conf->root->blocks; block; block = block->next)
    if (block->roles & EK_ROLE_BIT (role))
      g_ptr_array_add (list, block);
  return list;
}
