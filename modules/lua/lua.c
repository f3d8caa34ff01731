/* lua.c - site policy in Lua: a script's hooks as a filter
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"

const EkOption plugin_options[] = {
  EK_OPTION (Plugin, script, NULL, "The plugin: read(\"FILE\"), relative to the file that says so. What it declares in its "
             "options table is set in this block too."),
  EK_OPTION (Plugin, on_error, "tempfail", "What a hook that fails, or uses up a budget, counts as: tempfail (the client is "
             "asked to come back) or continue (as if it were not there).", .allow = "tempfail|continue"),
  EK_OPTION (Plugin, instructions, "1000000", "Most instructions of the Lua machine for one call of a hook, and for the script "
             "itself when it is loaded.", .allow = "1000..1000000000"),
  EK_OPTION (Plugin, memory, "16M", "Most memory of the script and all its hooks under way, in each process.",
             .allow = "256K..4G"),
  EK_OPTION (Plugin, time_limit, "10s", "Longest time for one call of a hook, with what it waits for.", .allow = "10ms..10m"),
  EK_OPTIONS_END
};

static const EkOption *
own_options (EkInstance *base, EkPool *pool, gpointer *target, GError **error)
{
  Plugin *self = (Plugin *) base;

  self->vm = plugin_vm_new (self, pool, error);
  if (self->vm == NULL)
    return NULL;
  *target = self->vm->values;
  return self->vm->rows;
}

static gboolean
init (EkInstance *base, GError **error)
{
  Plugin *self = (Plugin *) base;
  lua_State *L = self->vm->L;

  lua_pushcfunction (L, plugin_fill_self);
  lua_pushlightuserdata (L, self->vm);
  int status = lua_pcall (L, 1, 0, 0);
  if (status == LUA_OK)
    return TRUE;
  g_autofree char *text = plugin_error (self->vm, L, status);
  ek_fail (error, EK_FAIL, 0, "%s", text);
  return FALSE;
}

#define AT(stage_, name_)                                                                          \
  static EkVerdict                                                                                 \
  name_ (EkInstance *self, EkCall *call, const EkMail *mail, EkReply *reply)                       \
  {                                                                                                \
    return plugin_hook ((Plugin *) self, (stage_), call, mail, reply);                             \
  }

AT (EK_AT_CONNECT, at_connect)
AT (EK_AT_HELO, at_helo)
AT (EK_AT_AUTH, at_auth)
AT (EK_AT_MAIL, at_mail)
AT (EK_AT_RCPT, at_rcpt)
AT (EK_AT_DATA, at_data)
AT (EK_AT_MESSAGE, at_message)

static const EkFilterOps filter = { .at = {
  [EK_AT_CONNECT] = at_connect, [EK_AT_HELO] = at_helo, [EK_AT_AUTH] = at_auth, [EK_AT_MAIL] = at_mail, [EK_AT_RCPT] = at_rcpt,
  [EK_AT_DATA] = at_data, [EK_AT_MESSAGE] = at_message,
} };

EK_MODULE (lua, .summary = "Site policy in Lua", .flags = EK_EVENTED, .instance_size = sizeof (Plugin),
           .options = plugin_options, .own_options = own_options, .init = init, .filter = &filter);
