/* chain.c - several maps as one: the first that knows, all together, or one behind the other
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include "module/lookup.h"
#include <errno.h>
#include <string.h>

#define ROWS_MAX 10000

typedef struct {
  EkInstance   base;
  EkInstance **maps;
  const char  *how;
} Chain;

typedef struct {                     /* a question under way, in the call's pool */
  const Chain *chain;
  EkCall      *call;
  EkQuery      query;                /* the key changes from map to map in a pipe */
  EkAnswer    *answer;               /* the caller's */
  guint        at;
  EkMapLookup *lookup;
  EkTask       task;
  EkStr       *cells;                /* of a union: one column */
  guint        n_cells, room;
} Run;

static const EkOption options[] = {
  EK_OPTION (Chain, maps, NULL, "The maps, in the order in which they are asked.", .allow = "map"),
  EK_OPTION (Chain, how, "first", "first: the answer of the first map that knows the key. union: the values of all that do. pipe: the "
             "first map's value is the second one's key, and so on; a key that one of them does not know is unknown.",
             .allow = "first|union|pipe"),
  EK_OPTIONS_END
};

static void ask (Run *run);

static void
end (Run *run, EkStatus status)
{
  ek_call_done (run->call, status);
}

static void
fail (Run *run, EkStatus status, const GError *why)
{
  const EkInstance *map = run->chain->maps[run->at];

  ek_fail (&run->call->error, status, why ? why->code : 0, "%s: %s", map->name, why ? why->message : "no answer");
  end (run, status);
}

/* ---- union ---- */

/* The first column of each row, unless it is there already; false: too many. */
static bool
add_rows (Run *run, const EkAnswer *answer)
{
  for (guint i = 0; i < answer->n_rows; i++) {
    EkStr cell = answer->cells[(gsize) i * answer->n_columns];
    bool there = cell.p == NULL;
    for (guint k = 0; k < run->n_cells && !there; k++)
      there = ek_str_eq (run->cells[k], cell);
    if (there)
      continue;
    if (run->n_cells == ROWS_MAX)
      return false;
    if (run->n_cells == run->room) {
      run->room = MAX (run->room * 2, 8);
      EkStr *more = ek_pool_newv (run->call->pool, EkStr, run->room);
      if (run->n_cells)
        memcpy (more, run->cells, sizeof *more * run->n_cells);
      run->cells = more;
    }
    run->cells[run->n_cells++] = ek_pool_str (run->call->pool, cell);
  }
  return true;
}

static void
end_union (Run *run)
{
  *run->answer = (EkAnswer) { .n_rows = run->n_cells, .n_columns = 1, .cells = run->cells };
  end (run, run->n_cells ? EK_OK : EK_NOTFOUND);
}

/* ---- one map after the other ---- */

static void
found (Run *run, const EkAnswer *answer)
{
  bool last = run->chain->maps[run->at + 1] == NULL;
  EkStr value = ek_answer_column (answer, NULL);

  if (strcmp (run->chain->how, "union") == 0) {
    if (!add_rows (run, answer)) {
      ek_fail (&run->call->error, EK_DEFER, E2BIG, "more than %u values", ROWS_MAX);
      end (run, EK_DEFER);
    } else if (last)
      end_union (run);
    else {
      run->at++;
      ask (run);
    }
  } else if (strcmp (run->chain->how, "pipe") == 0 && !last && value.n == 0)
    end (run, EK_NOTFOUND);
  else if (strcmp (run->chain->how, "pipe") == 0 && !last) {
    run->query.key = ek_pool_str (run->call->pool, value);
    run->query.part = false;
    run->at++;
    ask (run);
  } else {
    ek_answer_copy (run->call->pool, run->answer, answer);
    end (run, EK_OK);
  }
}

static void
not_found (Run *run)
{
  bool last = run->chain->maps[run->at + 1] == NULL;

  if (strcmp (run->chain->how, "pipe") == 0 || (last && strcmp (run->chain->how, "first") == 0))
    end (run, EK_NOTFOUND);
  else if (last)
    end_union (run);
  else {
    run->at++;
    ask (run);
  }
}

/* A map that cannot answer now ends it: one behind it might say something else than it would have. */
static void
answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  Run *run = user;

  run->lookup = NULL;
  if (status == EK_OK)
    found (run, answer);
  else if (status == EK_NOTFOUND)
    not_found (run);
  else
    fail (run, status, why);
}

static void
ask (Run *run)
{
  gint64 left = run->call->deadline ? MAX (run->call->deadline - g_get_monotonic_time (), 1000) : 0;

  run->lookup = ek_map_lookup (run->chain->maps[run->at], &run->query, (EkTime) { left }, answered, run);
}

static void
end_cancelled (EkTask *task)
{
  end ((Run *) ((char *) task - G_STRUCT_OFFSET (Run, task)), EK_DEFER);
}

static void
cancel (EkCall *call, gpointer data)
{
  Run *run = data;

  if (run->lookup == NULL)
    return;                          /* it has ended */
  ek_map_lookup_cancel (g_steal_pointer (&run->lookup));
  ek_loop_later (ek_loop_mine (), &run->task);
}

static EkStatus
lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Chain *self = (Chain *) base;
  Run *run = ek_pool_new0 (call->pool, Run);

  if (self->maps[0] == NULL)
    return EK_NOTFOUND;
  *run = (Run) { .chain = self, .call = call, .answer = answer, .task.func = end_cancelled };
  ek_query_copy (call->pool, &run->query, query);
  call->cancel = cancel;
  call->module_data = run;
  ask (run);
  return EK_PENDING;
}

static gboolean
init (EkInstance *base, GError **error)
{
  if (((Chain *) base)->maps[0])
    return TRUE;
  ek_fail (error, EK_FAIL, EINVAL, "maps: name at least one map");
  return FALSE;
}

static const EkMapOps map = { .lookup = lookup };

EK_MODULE (chain, .summary = "Several maps as one", .flags = EK_EVENTED, .options = options, .instance_size = sizeof (Chain),
           .init = init, .map = &map);
