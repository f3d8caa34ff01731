/* hook.c - one call of a hook: a coroutine with budgets, suspended while it waits, cancelled when nobody wants its answer
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include "base/base.h"
#include <string.h>

/* (light run): the coroutine, with function and arguments on its stack. */
static int
begin (lua_State *L)
{
  PluginRun *run = lua_touserdata (L, 1);
  PluginVm *vm = run->budget.vm;

  lua_State *co = lua_newthread (L);
  run->ref = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_rawgeti (L, LUA_REGISTRYINDEX, vm->hooks[run->hook]);
  lua_rawgeti (L, LUA_REGISTRYINDEX, vm->self);
  int n = run->kind->push (L, run) + 1;
  lua_xmove (L, co, n + 1);
  run->co = co;
  lua_pushinteger (L, n);
  return 1;
}

/* ---- the end of it ---- */

static void
run_free (PluginRun *run)
{
  ek_map_ask_cancel (run->ask);
  if (run->lookup)
    ek_map_lookup_cancel (run->lookup);
  if (ek_loop_mine ())
    ek_timer_cancel (ek_loop_mine (), &run->timer);
  luaL_unref (run->budget.vm->L, LUA_REGISTRYINDEX, run->ref);       /* the garbage collector takes the coroutine */
  g_free (run);
}

void
plugin_finish (PluginRun *run, int outcome)
{
  EkCall *call = run->call;
  const PluginKind *kind = run->kind;

  run_free (run);
  kind->done (call, outcome);
}

const char *
plugin_file (const PluginVm *vm)
{
  return vm->plugin->script.file ? vm->plugin->script.file : vm->label;
}

static int
fail_here (PluginRun *run, int status)
{
  g_autofree char *text = plugin_error (run->budget.vm, run->co ? run->co : run->budget.vm->L, status);

  return run->kind->failed (run, text);
}

int
plugin_go_on (PluginRun *run, int n_args)
{
  int n = 0;
  int status = lua_resume (run->co, run->budget.vm->L, n_args, &n);

  if (status == LUA_YIELD)
    return PLUGIN_PENDING;           /* lookup() has asked, and resumes it */
  return status == LUA_OK ? run->kind->judge (run, n) : fail_here (run, status);
}

/* ---- waiting ---- */

static void
timed_out (EkTimer *timer)
{
  PluginRun *run = (PluginRun *) ((char *) timer - G_STRUCT_OFFSET (PluginRun, timer));
  const Plugin *plugin = run->budget.vm->plugin;

  lua_pushlightuserdata (run->co, NULL);             /* stands for the error; lookup() left room for it */
  g_autofree char *where = plugin_error (run->budget.vm, run->co, LUA_OK);
  const char *trace = strstr (where, " (in ");
  g_autofree char *text = g_strdup_printf ("%s: it took over %d ms (time_limit)%s", plugin_file (run->budget.vm),
                                           (int) (plugin->time_limit.us / 1000), trace ? trace : "");
  plugin_finish (run, run->kind->failed (run, text));
}

static void
left (EkTask *task)
{
  PluginRun *run = (PluginRun *) ((char *) task - G_STRUCT_OFFSET (PluginRun, task));

  plugin_finish (run, run->kind->dropped);
}

/* The client is gone, or nobody wants the answer: the coroutine never goes on. */
static void
cancelled (EkCall *call, gpointer data)
{
  PluginRun *run = data;

  ek_map_ask_cancel (g_steal_pointer (&run->ask));
  if (run->lookup)
    ek_map_lookup_cancel (g_steal_pointer (&run->lookup));
  ek_timer_cancel (ek_loop_mine (), &run->timer);
  ek_loop_later (ek_loop_mine (), &run->task);
}

int
plugin_call (Plugin *plugin, guint hook, const PluginKind *kind, EkCall *call, gconstpointer question, gpointer result)
{
  PluginVm *vm = plugin->vm;

  PluginRun *run = g_new0 (PluginRun, 1);
  *run = (PluginRun) { .budget = { .vm = vm, .waits = true }, .kind = kind, .ref = LUA_NOREF, .hook = hook, .call = call,
                       .question = question, .result = result, .timer.func = timed_out, .task.func = left };
  lua_pushcfunction (vm->L, begin);
  lua_pushlightuserdata (vm->L, run);
  int status = lua_pcall (vm->L, 1, 1, 0);
  int outcome;
  if (status != LUA_OK)
    outcome = fail_here (run, status);
  else {
    int n = (int) lua_tointeger (vm->L, -1);
    lua_pop (vm->L, 1);
    plugin_budget (run->co, &run->budget);
    outcome = plugin_go_on (run, n);
  }
  if (outcome != PLUGIN_PENDING) {
    run_free (run);
    return outcome;
  }
  ek_timer_set (ek_loop_mine (), &run->timer, run->budget.deadline - ek_now ());
  call->cancel = cancelled;
  call->module_data = run;
  return PLUGIN_PENDING;
}
