/* lua.c - scripts in Lua as a filter, a map, a passdb, a userdb
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"

const EkOption plugin_options[] = {
  EK_OPTION (Plugin, script, NULL, "The plugin: read(\"FILE\"), relative to the file that says so. What it declares in its "
             "options table is set in this block too."),
  EK_OPTION (Plugin, on_error, "tempfail", "What a hook of a stage that fails, or uses up a budget, counts as: tempfail (the "
             "client is asked to come back) or continue (as if it were not there). Hooks that answer then always say \"later\".", .allow = "tempfail|continue"),
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

EK_MODULE (lua, .summary = "Lua scripts: site policy, maps, passwords and users", .flags = EK_EVENTED, .instance_size = sizeof (Plugin),
           .options = plugin_options, .own_options = own_options, .lacks = plugin_lacks, .init = init, .filter = &plugin_filter,
           .map = &plugin_map, .passdb = &plugin_passdb, .userdb = &plugin_userdb);
