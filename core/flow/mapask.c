/* mapask.c - an edge's filter asks a map: the question goes to directory, the answer comes back
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/mapask.h"
#include "proc/role.h"
#include <string.h>

struct EkMapAsk {
  EkTask  task;
  EkTimer timer;
  void  (*func) (EkStatus status, const EkAnswer *answer, gpointer user);      /* NULL: nobody listens any more */
  gpointer user;
  EkStatus status;                   /* what the task tells */
  bool    away;                      /* directory owes an answer: the struct lives until that came */
};

/* ---- the messages ---- */

void
ek_pack_map_question (EkBuf *out, const EkMapQuestion *q)
{
  ek_pack_text (out, q->map);
  ek_pack_str (out, q->query.key);
  ek_pack_u64 (out, q->ms);
  ek_pack_u64 (out, q->query.n_params);
  for (guint i = 0; i < q->query.n_params; i++) {
    ek_pack_text (out, q->query.params[i].name);
    ek_pack_str (out, q->query.params[i].value);
  }
}

bool
ek_unpack_map_question (EkUnpack *in, EkPool *pool, EkMapQuestion *q)
{
  *q = (EkMapQuestion) { .map = ek_unpack_text (in, pool) };
  q->query.key = ek_pool_str (pool, ek_unpack_str (in));
  q->ms = (guint) ek_unpack_max (in, EK_MAP_TIMEOUT_MAX);
  q->query.n_params = (guint) ek_unpack_max (in, EK_MAP_PARAMS_MAX);
  if (in->bad || q->map == NULL || q->query.key.n > EK_MAP_KEY_MAX)
    return false;
  EkParam *params = ek_pool_newv (pool, EkParam, q->query.n_params + 1);
  q->query.params = params;
  for (guint i = 0; i < q->query.n_params; i++) {
    params[i].name = ek_unpack_text (in, pool);
    params[i].value = ek_pool_str (pool, ek_unpack_str (in));
    if (in->bad || params[i].name == NULL || params[i].value.n > EK_MAP_KEY_MAX)
      return false;
  }
  return ek_unpack_ok (in);
}

bool
ek_map_answer_fits (const EkAnswer *a)
{
  gsize all = 0;

  if (a->n_columns > EK_MAP_CELLS_MAX || a->n_rows > EK_MAP_CELLS_MAX || (guint64) a->n_rows * a->n_columns > EK_MAP_CELLS_MAX)
    return false;
  for (guint i = 0; i < a->n_rows * a->n_columns && all <= EK_MAP_ANSWER_MAX; i++)
    all += a->cells[i].n;
  for (guint i = 0; a->names && i < a->n_columns; i++)
    all += strlen (a->names[i]);
  return all <= EK_MAP_ANSWER_MAX;
}

void
ek_pack_map_answer (EkBuf *out, EkStatus status, const EkAnswer *a)
{
  static const EkAnswer none;

  if (status != EK_OK)
    a = &none;
  ek_pack_u64 (out, status);
  ek_pack_u64 (out, a->n_rows);
  ek_pack_u64 (out, a->n_columns);
  ek_pack_u64 (out, a->names != NULL);
  for (guint i = 0; a->names && i < a->n_columns; i++)
    ek_pack_text (out, a->names[i]);
  for (guint i = 0; i < a->n_rows * a->n_columns; i++) {
    ek_pack_u64 (out, a->cells[i].p != NULL);
    ek_pack_str (out, a->cells[i]);
  }
}

bool
ek_unpack_map_answer (EkUnpack *in, EkPool *pool, EkStatus *status, EkAnswer *a)
{
  *status = (EkStatus) ek_unpack_max (in, EK_FAIL);
  *a = (EkAnswer) { 0 };
  a->n_rows = (guint) ek_unpack_max (in, EK_MAP_CELLS_MAX);
  a->n_columns = (guint) ek_unpack_max (in, EK_MAP_CELLS_MAX);
  bool named = ek_unpack_max (in, 1) == 1;
  guint64 n = (guint64) a->n_rows * a->n_columns;
  if (in->bad || n > EK_MAP_CELLS_MAX)
    return false;
  a->names = named ? ek_pool_newv (pool, const char *, a->n_columns + 1) : NULL;
  for (guint i = 0; named && i < a->n_columns; i++)
    if ((a->names[i] = ek_unpack_text (in, pool)) == NULL)
      return false;
  a->cells = ek_pool_newv (pool, EkStr, n + 1);
  for (guint i = 0; i < n; i++) {
    bool there = ek_unpack_max (in, 1) == 1;
    EkStr cell = ek_unpack_str (in);
    a->cells[i] = there ? (EkStr) { cell.p ? cell.p : "", cell.n } : (EkStr) { NULL, 0 };
  }
  return ek_unpack_ok (in);
}

/* ---- asking ---- */

/* Tells, once, and lets go of what nobody needs any more. */
static void
tell (EkMapAsk *ask, EkStatus status, const EkAnswer *answer)
{
  static const EkAnswer none;
  void (*func) (EkStatus, const EkAnswer *, gpointer) = ask->func;

  ek_timer_cancel (ek_loop_mine (), &ask->timer);
  ask->func = NULL;
  if (func)
    func (status, answer ? answer : &none, ask->user);
  if (!ask->away && !ask->task.queued)
    g_free (ask);
}

static void
tell_later (EkTask *task)
{
  EkMapAsk *ask = (EkMapAsk *) ((char *) task - G_STRUCT_OFFSET (EkMapAsk, task));

  tell (ask, ask->status, NULL);
}

static void
timed_out (EkTimer *timer)
{
  tell ((EkMapAsk *) ((char *) timer - G_STRUCT_OFFSET (EkMapAsk, timer)), EK_DEFER, NULL);
}

static void
came (EkMsg *msg, gpointer data)
{
  EkMapAsk *ask = data;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStatus status = EK_DEFER;
  EkAnswer answer;

  ask->away = false;
  if (msg == NULL || !ek_unpack_map_answer (&msg->in, pool, &status, &answer))
    tell (ask, EK_DEFER, NULL);      /* directory is being restarted, or out of its mind */
  else
    tell (ask, status, &answer);
}

static bool
too_long (const EkQuery *query)
{
  bool over = query->key.n > EK_MAP_KEY_MAX || query->n_params > EK_MAP_PARAMS_MAX;

  for (guint i = 0; !over && i < query->n_params; i++)
    over = query->params[i].value.n > EK_MAP_KEY_MAX;
  return over;
}

EkMapAsk *
ek_map_ask (EkInstance *map, const EkQuery *query, EkTime timeout,
            void (*func) (EkStatus status, const EkAnswer *answer, gpointer user), gpointer user)
{
  EkChannel *directory = ek_role_here (EK_ROLE_EDGE) ? ek_role_any (EK_ROLE_EDGE, EK_ROLE_DIRECTORY) : NULL;
  EkMapAsk *ask = g_new0 (EkMapAsk, 1);
  gint64 us = timeout.us ? MIN (timeout.us, EK_MAP_TIMEOUT_MAX * G_GINT64_CONSTANT (1000)) : 60 * G_USEC_PER_SEC;

  *ask = (EkMapAsk) { .task.func = tell_later, .timer.func = timed_out, .func = func, .user = user };
  if (directory == NULL || too_long (query)) {
    ask->status = directory == NULL ? EK_DEFER : EK_FAIL;
    ek_loop_later (ek_loop_mine (), &ask->task);
    return ask;
  }
  g_autofree char *name = map->module ? g_strdup_printf ("%s:%s", map->module->name, map->name) : g_strdup (map->name);
  EkMapQuestion question = { .map = name, .query = *query, .ms = (guint) (us / 1000) };
  ask->away = true;
  ek_timer_set (ek_loop_mine (), &ask->timer, us);
  ek_pack_map_question (ek_channel_call (directory, EK_D_MAP, came, ask), &question);
  ek_channel_end (directory);
  return ask;
}

void
ek_map_ask_cancel (EkMapAsk *ask)
{
  if (ask == NULL)
    return;
  ask->func = NULL;
  ek_timer_cancel (ek_loop_mine (), &ask->timer);      /* the answer, or the task, frees it */
}
