/* map.c - self.maps.NAME:lookup(): the hook is suspended until the map has answered
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"

static void
go_on (PluginRun *run, EkStatus status, const EkAnswer *answer)
{
  run->status = status;
  run->answer = answer;
  int outcome = plugin_go_on (run, 0);
  run->answer = NULL;
  if (outcome != PLUGIN_PENDING)
    plugin_finish (run, outcome);
}

static void
answered (EkStatus status, const EkAnswer *answer, gpointer user)
{
  ((PluginRun *) user)->ask = NULL;
  go_on (user, status, answer);
}

static void
answered_here (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  ((PluginRun *) user)->lookup = NULL;
  go_on (user, status, answer);
}

static void
push_cell (lua_State *L, EkStr cell)
{
  if (cell.p)
    lua_pushlstring (L, cell.p, cell.n);
  else
    lua_pushnil (L);
}

/* Each row by number and, where columns have names, by name. */
static void
push_rows (lua_State *L, const EkAnswer *a)
{
  lua_createtable (L, (int) a->n_rows, 0);
  for (guint r = 0; r < a->n_rows; r++) {
    lua_createtable (L, (int) a->n_columns, a->names ? (int) a->n_columns : 1);
    for (guint c = 0; c < a->n_columns; c++) {
      EkStr cell = a->cells[r * a->n_columns + c];
      push_cell (L, cell);
      lua_rawseti (L, -2, (int) c + 1);
      push_cell (L, cell);
      lua_setfield (L, -2, a->names ? a->names[c] : "value");
    }
    lua_rawseti (L, -2, (int) r + 1);
  }
}

/* The hook goes on here.  status, first value, rows. */
static int
lookup_done (lua_State *L, int status, lua_KContext context)
{
  const PluginRun *run = (const PluginRun *) context;

  plugin_push_status (L, run->status);
  if (run->status != EK_OK)
    return 1;
  push_cell (L, ek_answer_column (run->answer, NULL));
  push_rows (L, run->answer);
  return 3;
}

/* The table at index 3: { name = value }, into the C array.  Values stay on the stack, borrowed. */
static guint
take_params (lua_State *L, EkParam params[static EK_MAP_PARAMS_MAX])
{
  guint n = 0;

  if (lua_isnoneornil (L, 3))
    return 0;
  luaL_checktype (L, 3, LUA_TTABLE);
  luaL_checkstack (L, 2 * EK_MAP_PARAMS_MAX + 4, "lookup");
  lua_pushnil (L);
  while (lua_next (L, 3)) {
    if (n == EK_MAP_PARAMS_MAX)
      luaL_error (L, "lookup: over %d parameters", EK_MAP_PARAMS_MAX);
    if (lua_type (L, -2) != LUA_TSTRING || (lua_type (L, -1) != LUA_TSTRING && lua_type (L, -1) != LUA_TNUMBER))
      luaL_error (L, "lookup: parameters are { name = text }");
    params[n].name = lua_tostring (L, -2);
    params[n].value.p = lua_tolstring (L, -1, &params[n].value.n);
    n++;
    lua_insert (L, -2);              /* the value stays, the key goes on */
  }
  return n;
}

static int
lookup (lua_State *L)
{
  PluginBudget *budget = *(PluginBudget **) lua_getextraspace (L);
  EkInstance *map = *(EkInstance **) luaL_checkudata (L, 1, "map");
  EkParam params[EK_MAP_PARAMS_MAX];
  EkQuery query = { .params = params };

  query.key.p = luaL_checklstring (L, 2, &query.key.n);
  query.n_params = take_params (L, params);
  if (!budget->waits || !lua_isyieldable (L))
    return luaL_error (L, "lookup: a hook cannot wait here (in the script itself, in table.sort, string.gsub or a metamethod)");
  PluginRun *run = (PluginRun *) budget;
  EkTime limit = { run->budget.vm->plugin->time_limit.us + G_USEC_PER_SEC };     /* the hook's own limit comes first */
  if (run->hook < EK_N_STAGES)
    run->ask = ek_map_ask (map, &query, limit, answered, run);
  else                               /* in directory, where maps are */
    run->lookup = ek_map_lookup (map, &query, limit, answered_here, run);
  return lua_yieldk (L, 0, (lua_KContext) run, lookup_done);
}

void
plugin_push_map (lua_State *L, EkInstance *map)
{
  *(EkInstance **) lua_newuserdatauv (L, sizeof map, 0) = map;
  if (luaL_newmetatable (L, "map")) {
    lua_newtable (L);
    lua_pushcfunction (L, lookup);
    lua_setfield (L, -2, "lookup");
    lua_setfield (L, -2, "__index");
    lua_pushboolean (L, false);
    lua_setfield (L, -2, "__metatable");
  }
  lua_setmetatable (L, -2);
}
