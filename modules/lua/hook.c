/* hook.c - one call of a hook: a coroutine with budgets, suspended while it waits, cancelled when the client leaves
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
  lua_rawgeti (L, LUA_REGISTRYINDEX, vm->hooks[run->stage]);
  lua_rawgeti (L, LUA_REGISTRYINDEX, vm->self);
  plugin_push_mail (L, run->stage, run->mail);
  lua_pushcfunction (L, plugin_reply);
  lua_xmove (L, co, 4);
  run->co = co;
  return 0;
}

/* ---- the end of it ---- */

static void
run_free (PluginRun *run)
{
  ek_map_ask_cancel (run->ask);
  if (ek_loop_mine ())
    ek_timer_cancel (ek_loop_mine (), &run->timer);
  luaL_unref (run->budget.vm->L, LUA_REGISTRYINDEX, run->ref);       /* the garbage collector takes the coroutine */
  g_free (run);
}

void
plugin_finish (PluginRun *run, EkVerdict verdict)
{
  EkCall *call = run->call;

  run_free (run);
  ek_filter_done (call, verdict);
}

/* The reason goes to the core, which logs it once. */
static EkVerdict
fail (PluginRun *run, const char *text)
{
  const PluginVm *vm = run->budget.vm;

  ek_fail (&run->call->error, EK_DEFER, 0, "%s: %s", plugin_stage_name (run->stage), text);
  if (vm->plugin->on_error[0] == 'c')
    return EK_CONTINUE;
  return ek_reply (run->reply, EK_TEMPFAIL, 451, "4.3.0", "Temporary policy failure");
}

static EkVerdict
fail_here (PluginRun *run, int status)
{
  g_autofree char *text = plugin_error (run->budget.vm, run->co ? run->co : run->budget.vm->L, status);

  return fail (run, text);
}

/* What the hook returned: the first of n values on top.  Nothing here allocates in Lua. */
static EkVerdict
judge (PluginRun *run, int n)
{
  lua_State *co = run->co;
  int at = n > 0 ? lua_gettop (co) - n + 1 : 0;
  EkVerdict verdict;

  if (n > 0 && lua_type (co, at) == LUA_TSTRING) {
    EkStr name;
    name.p = lua_tolstring (co, at, &name.n);
    if (plugin_verdict (name, &verdict))
      return verdict;
  }
  if (n > 0 && lua_type (co, at) == LUA_TUSERDATA && lua_getmetatable (co, at)) {
    lua_rawgeti (co, LUA_REGISTRYINDEX, run->budget.vm->reply);
    if (lua_rawequal (co, -1, -2)) {
      const PluginReply *made = lua_touserdata (co, at);
      *run->reply = made->reply;
      return made->verdict;
    }
  }
  g_autofree char *text = g_strdup_printf ("%s: the hook returned %s, expected a verdict such as ek.CONTINUE, or what reply() gives",
                                           run->budget.vm->plugin->script.file ? run->budget.vm->plugin->script.file
                                           : run->budget.vm->label, n > 0 ? lua_typename (co, lua_type (co, at)) : "nothing");
  return fail (run, text);
}

EkVerdict
plugin_go_on (PluginRun *run, int n_args)
{
  int n = 0;
  int status = lua_resume (run->co, run->budget.vm->L, n_args, &n);

  if (status == LUA_YIELD)
    return EK_VERDICT_PENDING;       /* lookup() has asked, and resumes it */
  return status == LUA_OK ? judge (run, n) : fail_here (run, status);
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
  g_autofree char *text = g_strdup_printf ("%s: it took over %d ms (time_limit)%s", plugin->script.file ? plugin->script.file
                                           : run->budget.vm->label, (int) (plugin->time_limit.us / 1000), trace ? trace : "");
  plugin_finish (run, fail (run, text));
}

static void
left (EkTask *task)
{
  PluginRun *run = (PluginRun *) ((char *) task - G_STRUCT_OFFSET (PluginRun, task));

  plugin_finish (run, EK_CONTINUE);
}

/* The client is gone: the coroutine never goes on. */
static void
cancelled (EkCall *call, gpointer data)
{
  PluginRun *run = data;

  ek_map_ask_cancel (g_steal_pointer (&run->ask));
  ek_timer_cancel (ek_loop_mine (), &run->timer);
  ek_loop_later (ek_loop_mine (), &run->task);
}

EkVerdict
plugin_hook (Plugin *plugin, EkStage stage, EkCall *call, const EkMail *mail, EkReply *reply)
{
  PluginVm *vm = plugin->vm;

  if (vm->hooks[stage] == LUA_NOREF)
    return EK_CONTINUE;
  PluginRun *run = g_new0 (PluginRun, 1);
  *run = (PluginRun) { .budget = { .vm = vm, .waits = true }, .ref = LUA_NOREF, .stage = stage, .call = call, .mail = mail,
                       .reply = reply, .timer.func = timed_out, .task.func = left };
  lua_pushcfunction (vm->L, begin);
  lua_pushlightuserdata (vm->L, run);
  int status = lua_pcall (vm->L, 1, 0, 0);
  EkVerdict verdict;
  if (status != LUA_OK)
    verdict = fail_here (run, status);
  else {
    plugin_budget (run->co, &run->budget);
    verdict = plugin_go_on (run, 3);
  }
  if (verdict != EK_VERDICT_PENDING) {
    run_free (run);
    return verdict;
  }
  ek_timer_set (ek_loop_mine (), &run->timer, run->budget.deadline - ek_now ());
  call->cancel = cancelled;
  call->module_data = run;
  return EK_VERDICT_PENDING;
}
