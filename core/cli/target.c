/* target.c - what commands that change users, domains and aliases need of the configuration
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"
#include "auth/scheme.h"
#include "cli/cli.h"
#include "mail/address.h"
#include "module/lookup.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

EkGeneration *
ek_cli_generation (const char *file)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkGeneration *gen = ek_generation_new (ek_conf_load (file ? file : ek_conf_default_path (), 0, problems), EK_ROLES_ALL,
                                         problems);
  EkBuf out = { 0 };

  if (gen)
    for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
      const EkModule *module = ek_generation_instance_at (gen, i)->module;
      if (module && module->scheme)
        ek_scheme_register (module->scheme);
    }
  ek_problems_print (problems, &out);
  ek_cli_write (STDERR_FILENO, &out);
  return gen;
}

EkInstance *
ek_cli_bound (EkGeneration *gen, const EkConfBlock *block, const char *name, EkTable table, guint i)
{
  const EkConfSetting *setting = ek_conf_find_setting (block, name);

  return setting && i < setting->n_items ? ek_generation_instance (gen, setting->items[i].text.p, 1u << table) : NULL;
}

/* ---- calls ---- */

typedef struct { EkStatus status; bool over; } Called;

static void
called (EkCall *call, EkStatus status, gpointer user)
{
  *(Called *) user = (Called) { status, true };
}

static EkStatus
call_evented (EkInstance *self, EkPool *pool, EkOpRun run, gpointer data, GError **error)
{
  Called end = { 0 };
  EkCall call = { .pool = pool, .done = called, .user = &end };
  EkLoop *loop = ek_loop_new (error);

  if (loop == NULL)
    return EK_DEFER;
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "call");       /* for what it may ask in its turn */
  ek_op_use_jobs (jobs);
  EkStatus status = run (self, &call, data);
  while (status == EK_PENDING && !end.over)
    ek_loop_turn (loop, true);
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  if (call.error)
    g_propagate_error (error, call.error);
  return end.over ? end.status : status;
}

EkStatus
ek_cli_call (EkInstance *self, EkPool *pool, EkOpRun run, gpointer data, GError **error)
{
  if (self->module && (self->module->flags & EK_EVENTED))
    return call_evented (self, pool, run, data, error);
  return ek_op_call (self, pool, 0, run, data, error);
}

EkStatus
ek_cli_lookup (EkInstance *map, EkPool *pool, EkLookup *lookup, GError **error)
{
  if (!ek_map_asked (map, &lookup->query))
    return EK_NOTFOUND;
  EkStatus status = ek_cli_call (map, pool, ek_run_lookup, lookup, error);
  return status == EK_OK ? ek_map_result (map, pool, &lookup->query, &lookup->answer, error) : status;
}

/* ---- domains ---- */

static bool
is_domain (const EkConfBlock *block)
{
  return strcmp (block->kind, "domain") == 0 && block->name;
}

/* Asks a block's map of names.  DEFER: it cannot tell. */
static EkStatus
knows (EkGeneration *gen, const EkConfBlock *block, EkPool *pool, EkStr key, GError **error)
{
  EkInstance *map = ek_cli_bound (gen, block, "names", EK_TABLE_MAP, 0);
  EkLookup lookup = { .query.key = key };

  if (map == NULL)
    return EK_NOTFOUND;
  if (!ek_instance_start (map, error))
    return EK_DEFER;
  return ek_cli_lookup (map, pool, &lookup, error);
}

static const EkConfBlock *
find_mapped (EkGeneration *gen, EkPool *pool, EkStr key, GError **error)
{
  g_autoptr (GError) why = NULL;

  for (const EkConfBlock *block = ek_generation_conf (gen)->root->blocks; block; block = block->next) {
    if (!is_domain (block) || ek_conf_find_setting (block, "names") == NULL)
      continue;
    EkStatus status = knows (gen, block, pool, key, why ? NULL : &why);
    if (status == EK_OK)
      return block;
  }
  if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  return NULL;
}

const EkConfBlock *
ek_cli_domain_block (EkGeneration *gen, EkPool *pool, EkStr key, GError **error)
{
  const EkConfBlock *root = ek_generation_conf (gen)->root;

  if (key.n == 0) {
    const EkConfBlock *routing = ek_conf_find_block (root, "routing", NULL);
    const EkConfSetting *dflt = routing ? ek_conf_find_setting (routing, "default_domain") : NULL;
    if (dflt && dflt->n_items == 1 && ek_domain_key (pool, dflt->items[0].text, &key) != NULL)
      return NULL;
  }
  for (const EkConfBlock *block = root->blocks; block; block = block->next) {
    EkStr its;
    if (is_domain (block) && ek_conf_find_setting (block, "names") == NULL && ek_domain_key (pool, ek_str (block->name), &its) == NULL
        && (key.n == 0 || ek_str_eq (its, key)))
      return block;
  }
  return key.n > 0 ? find_mapped (gen, pool, key, error) : NULL;
}

static bool
is_writable (const EkInstance *self)
{
  return self->module->lacks == NULL || self->module->lacks (self, "change") == NULL;
}

bool
ek_cli_prefers (const EkInstance *next, const EkInstance *found)
{
  return found == NULL || (is_writable (next) && !is_writable (found));
}
