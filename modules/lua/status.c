/* status.c - ek.OK, ek.NOTFOUND, ek.DEFER, ek.FAIL as values of Lua
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"

static const char statuses[EK_FAIL + 1];           /* their addresses stand for them */

void
plugin_push_status (lua_State *L, EkStatus status)
{
  lua_pushlightuserdata (L, (gpointer) &statuses[MIN (status, EK_FAIL)]);
}

bool
plugin_status (lua_State *L, int at, EkStatus *status)
{
  const char *p = lua_islightuserdata (L, at) ? lua_touserdata (L, at) : NULL;

  for (EkStatus s = EK_OK; p && s <= EK_FAIL; s++)
    if (p == &statuses[s]) {
      *status = s;
      return true;
    }
  return false;
}

const char *
plugin_type (lua_State *L, int at)
{
  static const char *const names[] = { "status ok", "status notfound", "status defer", "status fail" };
  EkStatus status;

  return plugin_status (L, at, &status) ? names[status] : lua_typename (L, lua_type (L, at));
}

static int
status_text (lua_State *L)
{
  EkStatus status;

  lua_pushstring (L, plugin_status (L, 1, &status) ? ek_status_name (status) : "userdata");
  return 1;
}

static int
status_concat (lua_State *L)
{
  luaL_tolstring (L, 1, NULL);
  luaL_tolstring (L, 2, NULL);
  lua_concat (L, 2);
  return 1;
}

/* All light userdata share one metatable. */
void
plugin_open_statuses (lua_State *L)
{
  plugin_push_status (L, EK_OK);
  lua_createtable (L, 0, 4);
  lua_pushcfunction (L, status_text);
  lua_setfield (L, -2, "__tostring");
  lua_pushcfunction (L, status_concat);
  lua_setfield (L, -2, "__concat");
  lua_pushliteral (L, "status");
  lua_setfield (L, -2, "__name");
  lua_pushboolean (L, false);
  lua_setfield (L, -2, "__metatable");
  lua_setmetatable (L, -2);
  lua_pop (L, 1);
}
