/* sandbox.c - the libraries that a plugin sees: no files, no programs, no code but its own, and the table `ek`
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include <string.h>

#define REP_MAX 1000000              /* string.rep() works in C, where no instruction is counted */

static int
bounded_rep (lua_State *L)
{
  if (luaL_checkinteger (L, 2) > REP_MAX)
    return luaL_error (L, "string.rep: more than %d times", REP_MAX);
  lua_pushvalue (L, lua_upvalueindex (1));
  lua_insert (L, 1);
  lua_call (L, lua_gettop (L) - 1, 1);
  return 1;
}

/* A finaliser would run outside of every budget. */
static int
checked_setmetatable (lua_State *L)
{
  if (lua_istable (L, 2)) {
    lua_pushliteral (L, "__gc");
    lua_rawget (L, 2);
    if (!lua_isnil (L, -1))
      return luaL_error (L, "setmetatable: __gc is not for plugins");
    lua_pop (L, 1);
  }
  lua_pushvalue (L, lua_upvalueindex (1));
  lua_insert (L, 1);
  lua_call (L, lua_gettop (L) - 1, 1);
  return 1;
}

/* Leaves on the stack a table with those functions of the library that opens with `open`. */
static void
push_some (lua_State *L, lua_CFunction open, const char *name, const char *const *keep)
{
  luaL_requiref (L, name, open, 0);
  lua_newtable (L);
  for (; *keep; keep++) {
    lua_getfield (L, -2, *keep);
    lua_setfield (L, -2, *keep);
  }
  lua_remove (L, -2);
}

/* Puts `func`, which calls what it replaces, in the place of field `name` of the table on top. */
static void
wrap (lua_State *L, const char *name, lua_CFunction func)
{
  lua_getfield (L, -1, name);
  lua_pushcclosure (L, func, 1);
  lua_setfield (L, -2, name);
}

static int
ek_now_ (lua_State *L)
{
  lua_pushinteger (L, g_get_real_time () / G_USEC_PER_SEC);
  return 1;
}

static int
ek_log_ (lua_State *L)
{
  PluginBudget *budget = *(PluginBudget **) lua_getextraspace (L);
  const char *text = luaL_checkstring (L, 1);

  ek_log (EK_INFO, "lua", "%s: %.500s", budget->vm->plugin->base.name, text);
  return 0;
}

static int
ek_unknown (lua_State *L)
{
  lua_pushvalue (L, 2);
  lua_rawget (L, lua_upvalueindex (1));
  if (lua_isnil (L, -1))
    return luaL_error (L, "ek has no \"%s\"", luaL_tolstring (L, 2, NULL));
  return 1;
}

static int
ek_constant (lua_State *L)
{
  return luaL_error (L, "ek is read-only");
}

/* "tempfail" becomes the field TEMPFAIL. */
static void
set_word (lua_State *L, const char *word)
{
  char name[16] = "";

  for (guint i = 0; word[i] && i < sizeof name - 1; i++)
    name[i] = g_ascii_toupper (word[i]);
  lua_pushstring (L, word);
  lua_setfield (L, -2, name);
}

/* An empty table whose metatable gives what is in ours, so that nothing can be overwritten and a misspelt word is an error. */
static void
push_ek (lua_State *L)
{
  static const char *const names[] = { "OK", "NOTFOUND", "DEFER", "FAIL" };

  plugin_open_statuses (L);
  lua_newtable (L);
  lua_newtable (L);
  lua_newtable (L);
  for (EkStatus s = EK_OK; s <= EK_FAIL; s++) {
    plugin_push_status (L, s);
    lua_setfield (L, -2, names[s]);
  }
  for (guint i = 0; plugin_verdicts[i]; i++)
    set_word (L, plugin_verdicts[i]);
  lua_pushcfunction (L, ek_now_);
  lua_setfield (L, -2, "now");
  lua_pushcfunction (L, ek_log_);
  lua_setfield (L, -2, "log");
  lua_pushcclosure (L, ek_unknown, 1);
  lua_setfield (L, -2, "__index");
  lua_pushcfunction (L, ek_constant);
  lua_setfield (L, -2, "__newindex");
  lua_pushboolean (L, false);
  lua_setfield (L, -2, "__metatable");
  lua_setmetatable (L, -2);
}

static void
push_string (lua_State *L)
{
  luaL_requiref (L, "string", luaopen_string, 0);    /* the very table that methods of strings are looked for in */
  lua_pushnil (L);
  lua_setfield (L, -2, "dump");
  wrap (L, "rep", bounded_rep);
  lua_pushliteral (L, "");
  lua_getmetatable (L, -1);
  lua_pushboolean (L, false);
  lua_setfield (L, -2, "__metatable");
  lua_pop (L, 2);
}

void
plugin_open_libraries (lua_State *L)
{
  static const char *const base[] = {
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select",
    "setmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION", NULL
  };
  static const char *const table[] = { "concat", "insert", "pack", "remove", "sort", "unpack", NULL };
  static const char *const os[] = { "clock", "date", "difftime", "time", NULL };

  push_some (L, luaopen_base, "_G", base);
  wrap (L, "setmetatable", checked_setmetatable);
  push_some (L, luaopen_table, "table", table);
  lua_setfield (L, -2, "table");
  push_some (L, luaopen_os, "os", os);
  lua_setfield (L, -2, "os");
  push_string (L);
  lua_setfield (L, -2, "string");
  luaL_requiref (L, "math", luaopen_math, 0);
  lua_setfield (L, -2, "math");
  luaL_requiref (L, "utf8", luaopen_utf8, 0);
  lua_setfield (L, -2, "utf8");
  push_ek (L);
  lua_setfield (L, -2, "ek");
  lua_pushvalue (L, -1);
  lua_setfield (L, -2, "_G");
  lua_rawseti (L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
