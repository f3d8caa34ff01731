/* rows.c - what a hook returns as rows of columns: texts, tables of them, tables with names
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX    10000
#define COLUMNS_MAX 200

typedef struct {
  const char *names[COLUMNS_MAX];
  guint       n;
  bool        named;                 /* else they are counted */
} Columns;

/* ---- cells ---- */

static EkStr
take_cell (lua_State *L, int at, EkPool *pool)
{
  EkStr cell = { NULL, 0 };

  switch (lua_type (L, at)) {
  case LUA_TNIL:
    break;
  case LUA_TBOOLEAN:                 /* false: the column is not there */
    if (lua_toboolean (L, at))
      cell = EK_STR ("yes");
    break;
  case LUA_TSTRING:
  case LUA_TNUMBER:
    lua_pushvalue (L, at);           /* a number becomes a text in its place */
    cell.p = lua_tolstring (L, -1, &cell.n);
    cell = ek_pool_str (pool, cell);
    lua_pop (L, 1);
    break;
  default:
    luaL_error (L, "the hook returned a column that is a %s, expected a text", plugin_type (L, at));
  }
  return cell;
}

/* ---- columns ---- */

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Which name stands first: "value", or the one that has what stands at 1, as in rows that lookup() gave. */
static void
choose_first (lua_State *L, int row, Columns *c)
{
  guint first = 0;

  while (first < c->n && strcmp (c->names[first], "value") != 0)
    first++;
  if (first == c->n) {
    lua_rawgeti (L, row, 1);
    for (first = 0; first < c->n && !lua_isnil (L, -1); first++) {
      lua_pushstring (L, c->names[first]);
      lua_rawget (L, row);
      bool same = lua_rawequal (L, -1, -2);
      lua_pop (L, 1);
      if (same)
        break;
    }
    lua_pop (L, 1);
  }
  if (first == 0 || first >= c->n)
    return;
  const char *name = c->names[first];
  memmove (&c->names[1], &c->names[0], sizeof *c->names * first);
  c->names[0] = name;
}

static void
read_columns (lua_State *L, int row, EkPool *pool, Columns *c)
{
  *c = (Columns) { .n = 0 };
  lua_pushnil (L);
  while (lua_next (L, row)) {
    if (lua_type (L, -2) == LUA_TSTRING) {
      if (c->n == COLUMNS_MAX)
        luaL_error (L, "the hook returned a row of over %d columns", COLUMNS_MAX);
      c->names[c->n++] = ek_pool_strdup (pool, lua_tostring (L, -2));
    }
    lua_pop (L, 1);
  }
  c->named = c->n > 0;
  if (c->named) {
    qsort (c->names, c->n, sizeof *c->names, by_name);
    choose_first (L, row, c);
    return;
  }
  c->n = (guint) MIN (lua_rawlen (L, row), COLUMNS_MAX);
  for (guint i = 0; i < c->n; i++)
    c->names[i] = i == 0 ? "value" : ek_pool_printf (pool, "%u", i + 1);
}

static void
begin_rows (EkPool *pool, EkAnswer *answer, const Columns *c, guint n_rows)
{
  *answer = (EkAnswer) { .n_columns = c->n, .cells = ek_pool_newv (pool, EkStr, (gsize) n_rows * c->n + 1) };
  if (c->n == 1 && strcmp (c->names[0], "value") == 0)
    return;
  answer->names = ek_pool_newv (pool, const char *, c->n + 1);
  memcpy (answer->names, c->names, sizeof *c->names * c->n);
}

static void
add_row (lua_State *L, int row, EkPool *pool, EkAnswer *answer, const Columns *c)
{
  for (guint i = 0; i < c->n; i++) {
    if (c->named) {
      lua_pushstring (L, c->names[i]);
      lua_rawget (L, row);
    }
    else
      lua_rawgeti (L, row, i + 1);
    answer->cells[(gsize) answer->n_rows * c->n + i] = take_cell (L, lua_gettop (L), pool);
    lua_pop (L, 1);
  }
  answer->n_rows++;
}

/* ---- tables ---- */

void
plugin_take_record (lua_State *L, int at, EkPool *pool, EkAnswer *answer)
{
  Columns c;

  read_columns (L, at, pool, &c);
  begin_rows (pool, answer, &c, 1);
  add_row (L, at, pool, answer, &c);
}

static bool
has_names (lua_State *L, int at)
{
  bool found = false;

  lua_pushnil (L);
  while (!found && lua_next (L, at)) {
    found = lua_type (L, -2) == LUA_TSTRING;
    lua_pop (L, 1);
  }
  if (found)
    lua_pop (L, 1);
  return found;
}

static void
take_list (lua_State *L, int at, EkPool *pool, EkAnswer *answer)
{
  guint n = (guint) MIN (lua_rawlen (L, at), ROWS_MAX + 1);
  Columns c = { .names = { "value" }, .n = 1 };

  if (n > ROWS_MAX)
    luaL_error (L, "the hook returned over %d rows", ROWS_MAX);
  for (guint i = 0; i < n; i++) {
    bool table = lua_rawgeti (L, at, i + 1) == LUA_TTABLE;
    int row = lua_gettop (L);
    if (i == 0) {
      if (table)
        read_columns (L, row, pool, &c);
      begin_rows (pool, answer, &c, n);
      answer->n_columns = c.n;
    }
    if (table)
      add_row (L, row, pool, answer, &c);
    else if (c.named || c.n != 1)
      luaL_error (L, "the hook returned rows of which some are tables and some are none");
    else
      answer->cells[answer->n_rows++] = take_cell (L, row, pool);
    lua_pop (L, 1);
  }
}

void
plugin_take_rows (lua_State *L, int at, EkPool *pool, EkAnswer *answer)
{
  if (has_names (L, at))
    plugin_take_record (L, at, pool, answer);
  else
    take_list (L, at, pool, answer);
}

void
plugin_take_value (lua_State *L, int at, EkPool *pool, EkAnswer *answer)
{
  ek_answer_value (answer, pool, take_cell (L, at, pool));
}
