/* filter.c - hooks of stages as a filter: what they get, the verdict that they give
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"

static int
push (lua_State *L, PluginRun *run)
{
  plugin_push_mail (L, (EkStage) run->hook, run->question);
  lua_pushcfunction (L, plugin_reply);
  return 2;
}

/* The reason goes to the core, which logs it once. */
static int
failed (PluginRun *run, const char *text)
{
  const Plugin *plugin = run->budget.vm->plugin;

  ek_fail (&run->call->error, EK_DEFER, 0, "%s: %s", plugin_hook_name (run->hook), text);
  if (plugin->on_error[0] == 'c')
    return EK_CONTINUE;
  return ek_reply (run->result, EK_TEMPFAIL, 451, "4.3.0", "Temporary policy failure");
}

/* The first of the values.  Nothing here allocates in Lua. */
static int
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
      *(EkReply *) run->result = made->reply;
      return made->verdict;
    }
  }
  g_autofree char *text = g_strdup_printf ("%s: the hook returned %s, expected a verdict such as ek.CONTINUE, or what reply() gives",
                                           plugin_file (run->budget.vm), n > 0 ? plugin_type (co, at) : "nothing");
  return failed (run, text);
}

static void
done (EkCall *call, int outcome)
{
  ek_filter_done (call, (EkVerdict) outcome);
}

static const PluginKind kind = { .push = push, .judge = judge, .failed = failed, .dropped = EK_CONTINUE, .done = done };

static EkVerdict
run_hook (EkInstance *self, EkStage stage, EkCall *call, const EkMail *mail, EkReply *reply)
{
  Plugin *plugin = (Plugin *) self;

  if (plugin->vm->hooks[stage] == LUA_NOREF)
    return EK_CONTINUE;
  int outcome = plugin_call (plugin, stage, &kind, call, mail, reply);
  return outcome == PLUGIN_PENDING ? EK_VERDICT_PENDING : (EkVerdict) outcome;
}

#define AT(stage_, name_)                                                                          \
  static EkVerdict                                                                                 \
  name_ (EkInstance *self, EkCall *call, const EkMail *mail, EkReply *reply)                       \
  {                                                                                                \
    return run_hook (self, (stage_), call, mail, reply);                                           \
  }

AT (EK_AT_CONNECT, at_connect)
AT (EK_AT_HELO, at_helo)
AT (EK_AT_AUTH, at_auth)
AT (EK_AT_MAIL, at_mail)
AT (EK_AT_RCPT, at_rcpt)
AT (EK_AT_DATA, at_data)
AT (EK_AT_MESSAGE, at_message)

const EkFilterOps plugin_filter = { .at = {
  [EK_AT_CONNECT] = at_connect, [EK_AT_HELO] = at_helo, [EK_AT_AUTH] = at_auth, [EK_AT_MAIL] = at_mail, [EK_AT_RCPT] = at_rcpt,
  [EK_AT_DATA] = at_data, [EK_AT_MESSAGE] = at_message,
} };
