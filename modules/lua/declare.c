/* declare.c - what a script declares: its options become rows, its hooks are found; and what hooks get as `self`
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include "conf/option.h"
#include <string.h>

#define OPTIONS_MAX 100

static const char *const hooks[PLUGIN_N_HOOKS] = {
  [EK_AT_CONNECT] = "connect", [EK_AT_HELO] = "helo", [EK_AT_AUTH] = "auth", [EK_AT_MAIL] = "mail", [EK_AT_RCPT] = "rcpt",
  [EK_AT_DATA] = "data", [EK_AT_MESSAGE] = "message",
  [PLUGIN_LOOKUP] = "lookup", [PLUGIN_PASSDB_LOOKUP] = "passdb_lookup", [PLUGIN_PASSDB_VERIFY] = "passdb_verify",
  [PLUGIN_USERDB_LOOKUP] = "userdb_lookup", [PLUGIN_USERS] = "users",
};

static const struct { const char *word; EkType type; gsize size; const char *allow; } types[] = {
  { "bool", EK_BOOL, sizeof (bool), NULL },       { "int", EK_INT, sizeof (gint64), NULL },
  { "time", EK_TIME, sizeof (EkTime), NULL },     { "size", EK_SIZE, sizeof (EkSize), NULL },
  { "string", EK_STRING, sizeof (char *), NULL }, { "secret", EK_SECRET, sizeof (EkSecret), NULL },
  { "list", EK_LIST, sizeof (char **), NULL },    { "map", EK_REF, sizeof (EkInstance *), "map" },
};

const char *
plugin_hook_name (guint hook)
{
  return hooks[hook];
}

/* ---- errors with the line ---- */

/* The line where the script first has the word in quotes, or as a key; 1 when it has not. */
static int
line_of (const PluginVm *vm, const char *word)
{
  const EkText *script = &vm->plugin->script;
  gsize n = strlen (word);
  int line = 1;

  for (const char *p = script->text; n > 0 && p && *p; p++) {
    if (*p == '\n')
      line++;
    if (strncmp (p, word, n) == 0 && p > script->text && !g_ascii_isalnum (p[-1]) && p[-1] != '_' && !g_ascii_isalnum (p[n])
        && p[n] != '_')
      return line;
  }
  return 1;
}

static int G_GNUC_PRINTF (4, 5)
fault (lua_State *L, const PluginVm *vm, const char *word, const char *fmt, ...)
{
  char text[400];
  va_list args;

  va_start (args, fmt);
  g_vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  lua_pushfstring (L, "%s:%d: %s", vm->label, line_of (vm, word), text);
  return lua_error (L);
}

/* ---- options ---- */

/* Field `at` of the row on top as text in the pool; NULL when it is not there. */
static const char *
row_text (lua_State *L, PluginVm *vm, EkPool *pool, const char *option, int at)
{
  const char *text = NULL;
  int type = lua_rawgeti (L, -1, at);

  if (type == LUA_TBOOLEAN)
    text = lua_toboolean (L, -1) ? "yes" : "no";
  else if (type == LUA_TSTRING || type == LUA_TNUMBER)
    text = ek_pool_strdup (pool, lua_tostring (L, -1));
  else if (type != LUA_TNIL)
    fault (L, vm, option, "option \"%s\": its field %d is a %s, expected a text", option, at, luaL_typename (L, -1));
  lua_pop (L, 1);
  return text;
}

static void
check_row (lua_State *L, PluginVm *vm, const EkOption *row)
{
  const EkOption one[] = { *row, EK_OPTIONS_END };
  EkProblems *problems = ek_problems_new ();
  char text[300] = "";

  if (!ek_options_selftest (one, row->offset + sizeof (EkSecret), vm->label, problems))
    g_strlcpy (text, ek_problems_get (problems, 0)->text, sizeof text);
  ek_problems_free (problems);
  if (*text)
    fault (L, vm, row->name, "%s", text);
}

/* The row is on top: { name, type, default, doc, allow }. */
static gsize
take_row (lua_State *L, PluginVm *vm, EkPool *pool, guint i, gsize offset)
{
  EkOption *row = &vm->rows[i];
  const char *name = row_text (L, vm, pool, "options", 1), *type = name ? row_text (L, vm, pool, name, 2) : NULL;
  const char *words[G_N_ELEMENTS (types)];
  guint t;

  if (name == NULL || type == NULL)
    fault (L, vm, name ? name : "options", "options[%u] is not { \"name\", \"type\", \"default\", \"What it is.\" }", i + 1);
  for (t = 0; t < G_N_ELEMENTS (types) && strcmp (types[t].word, type) != 0; t++)
    words[t] = types[t].word;
  if (t == G_N_ELEMENTS (types)) {
    const char *near = ek_nearest (type, words, t);
    fault (L, vm, name, "option \"%s\": there is no type \"%s\"%s%s%s: expected bool, int, time, size, string, secret, list or map",
           name, type, near ? "; did you mean \"" : "", near ? near : "", near ? "\"" : "");
  }
  if (ek_options_row (plugin_options, name) || ek_options_row (vm->rows, name))
    fault (L, vm, name, "option \"%s\": %s", name, ek_options_row (vm->rows, name) ? "it is declared twice"
           : "each plugin has a setting of this name already");
  const char *allow = row_text (L, vm, pool, name, 5);
  *row = (EkOption) { .name = name, .type = types[t].type, .offset = offset, .dflt = row_text (L, vm, pool, name, 3),
                      .doc = row_text (L, vm, pool, name, 4), .allow = types[t].allow ? types[t].allow : allow };
  if (row->doc == NULL)
    fault (L, vm, name, "option \"%s\": it has no fourth field, the sentence that says what it is", name);
  check_row (L, vm, row);
  return offset + (types[t].size + 7) / 8 * 8;
}

static void
declare_options (lua_State *L, PluginVm *vm, EkPool *pool)
{
  gsize size = 0;
  guint n = 0;

  if (lua_getfield (L, -1, "options") == LUA_TTABLE)
    n = (guint) MIN (lua_rawlen (L, -1), OPTIONS_MAX + 1);
  else if (!lua_isnil (L, -1))
    fault (L, vm, "options", "options is a %s, expected a list", luaL_typename (L, -1));
  if (n > OPTIONS_MAX)
    fault (L, vm, "options", "over %d options", OPTIONS_MAX);
  vm->rows = ek_pool_newv (pool, EkOption, n + 1);
  for (guint i = 0; i < n; i++) {
    if (lua_rawgeti (L, -1, i + 1) != LUA_TTABLE)
      fault (L, vm, "options", "options[%u] is a %s, expected { \"name\", \"type\", \"default\", \"What it is.\" }", i + 1,
             luaL_typename (L, -1));
    size = take_row (L, vm, pool, i, size);
    lua_pop (L, 1);
  }
  vm->values = ek_pool_alloc (pool, size + sizeof (EkSecret));
  lua_pop (L, 1);
}

/* ---- hooks ---- */

/* A function on top, which is taken; `at` is what stands before its name. */
static void
keep_hook (lua_State *L, PluginVm *vm, guint hook, const char *at)
{
  if (!lua_isfunction (L, -1))
    fault (L, vm, hooks[hook], "%s%s is a %s, expected a function", at, hooks[hook], luaL_typename (L, -1));
  vm->hooks[hook] = luaL_ref (L, LUA_REGISTRYINDEX);
}

static void
declare_stage (lua_State *L, PluginVm *vm)
{
  const char *name = lua_type (L, -2) == LUA_TSTRING ? lua_tostring (L, -2) : "?";
  guint stage;

  for (stage = 0; stage < EK_N_STAGES && g_strcmp0 (hooks[stage], name) != 0; stage++)
    ;
  if (stage == EK_N_STAGES) {
    const char *near = ek_nearest (name, hooks, EK_N_STAGES);
    fault (L, vm, name, "at.%s: there is no such stage%s%s%s: expected connect, helo, auth, mail, rcpt, data or message", name,
           near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
  }
  keep_hook (L, vm, stage, "at.");
}

static void
declare_hooks (lua_State *L, PluginVm *vm)
{
  bool any = false;

  for (guint hook = EK_N_STAGES; hook < PLUGIN_N_HOOKS; hook++)
    if (lua_getfield (L, -1, hooks[hook]) == LUA_TNIL)
      lua_pop (L, 1);
    else {
      keep_hook (L, vm, hook, "");
      any |= hook != PLUGIN_USERS;
    }
  if (lua_getfield (L, -1, "at") == LUA_TNIL && any) {
    lua_pop (L, 1);
    return;
  }
  if (!lua_istable (L, -1))
    fault (L, vm, "at", "at is a %s, expected a table with a function for each stage, as at = { rcpt = function (self, mail, reply) "
           "... end }, or one of the functions lookup, passdb_lookup, passdb_verify and userdb_lookup beside it", luaL_typename (L, -1));
  lua_pushnil (L);
  while (lua_next (L, -2))
    declare_stage (L, vm);           /* takes the value */
  lua_pop (L, 1);
}

/* What the script would have to declare. */
static const struct { const char *table, *lacks, *add; guint first, last; } wants[PLUGIN_N_TABLES] = {
  { "map", "no lookup", "lookup = function (self, key, params) ... end", PLUGIN_LOOKUP, PLUGIN_LOOKUP },
  { "passdb", "neither passdb_lookup nor passdb_verify", "passdb_lookup = function (self, name) ... end", PLUGIN_PASSDB_LOOKUP,
    PLUGIN_PASSDB_VERIFY },
  { "userdb", "no userdb_lookup", "userdb_lookup = function (self, name) ... end", PLUGIN_USERDB_LOOKUP, PLUGIN_USERDB_LOOKUP },
  { "filter", "no hook of a stage", "at = { rcpt = function (self, mail, reply) ... end }", 0, EK_N_STAGES - 1 },
};

static void
find_lacks (PluginVm *vm)
{
  for (guint i = 0; i < PLUGIN_N_TABLES; i++) {
    bool has = false;
    for (guint hook = wants[i].first; hook <= wants[i].last; hook++)
      has |= vm->hooks[hook] != LUA_NOREF;
    vm->lacks[i] = has ? NULL : ek_pool_printf (vm->pool, "%s declares %s: add %s to the table that it returns", plugin_file (vm),
                                                wants[i].lacks, wants[i].add);
  }
}

const char *
plugin_lacks (const EkInstance *self, const char *table)
{
  const PluginVm *vm = ((const Plugin *) self)->vm;

  for (guint i = 0; vm && i < PLUGIN_N_TABLES; i++)
    if (strcmp (wants[i].table, table) == 0)
      return vm->lacks[i];
  return NULL;
}

/* A misspelt `option` would be a plugin without options. */
static void
check_fields (lua_State *L, PluginVm *vm)
{
  static const char *const known[] = { "name", "summary", "options", "at", "lookup", "passdb_lookup", "passdb_verify", "userdb_lookup",
                                       "users" };

  lua_pushnil (L);
  while (lua_next (L, -2)) {
    const char *key = lua_type (L, -2) == LUA_TSTRING ? lua_tostring (L, -2) : "?";
    guint i;
    for (i = 0; i < G_N_ELEMENTS (known) && strcmp (known[i], key) != 0; i++)
      ;
    if (i == G_N_ELEMENTS (known)) {
      const char *near = ek_nearest (key, known, G_N_ELEMENTS (known));
      fault (L, vm, key, "a plugin has no field \"%s\"%s%s%s: expected name, summary, options, at, lookup, passdb_lookup, passdb_verify, "
             "userdb_lookup and users", key, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    lua_pop (L, 1);
  }
}

int
plugin_declare (lua_State *L)
{
  PluginVm *vm = lua_touserdata (L, 1);
  EkPool *pool = lua_touserdata (L, 2);

  lua_rawgeti (L, LUA_REGISTRYINDEX, vm->script);
  check_fields (L, vm);
  declare_options (L, vm, pool);
  declare_hooks (L, vm);
  find_lacks (vm);
  return 0;
}

/* ---- self ---- */

static void
push_seconds (lua_State *L, gint64 us)
{
  if (us % G_USEC_PER_SEC == 0)
    lua_pushinteger (L, us / G_USEC_PER_SEC);
  else
    lua_pushnumber (L, (double) us / G_USEC_PER_SEC);
}

static void
push_list (lua_State *L, char *const *list)
{
  lua_newtable (L);
  for (int i = 0; list && list[i]; i++) {
    lua_pushstring (L, list[i]);
    lua_rawseti (L, -2, i + 1);
  }
}

static void
push_value (lua_State *L, const EkOption *row, gconstpointer field)
{
  switch (row->type) {
  case EK_BOOL: lua_pushboolean (L, *(const bool *) field); break;
  case EK_INT: lua_pushinteger (L, *(const gint64 *) field); break;
  case EK_TIME: push_seconds (L, ((const EkTime *) field)->us); break;
  case EK_SIZE: lua_pushinteger (L, (lua_Integer) ((const EkSize *) field)->bytes); break;
  case EK_SECRET: lua_pushlstring (L, ((const EkSecret *) field)->text ? ((const EkSecret *) field)->text : "",
                                   ((const EkSecret *) field)->len); break;
  case EK_LIST: push_list (L, *(char *const *const *) field); break;
  default: lua_pushstring (L, *(const char *const *) field); break;          /* NULL gives nil */
  }
}

static int
no_such_map (lua_State *L)
{
  PluginVm *vm = lua_touserdata (L, lua_upvalueindex (1));
  const EkOption *row = lua_type (L, 2) == LUA_TSTRING ? ek_options_row (vm->rows, lua_tostring (L, 2)) : NULL;

  if (row && row->type == EK_REF)
    return 0;                        /* declared, and not set: nil */
  return luaL_error (L, "no option of type map is called \"%s\"", luaL_tolstring (L, 2, NULL));
}

/* self.maps: one field for each map that is set. */
static void
push_maps (lua_State *L, PluginVm *vm)
{
  lua_newtable (L);
  for (const EkOption *row = vm->rows; row->name; row++) {
    EkInstance *map = row->type == EK_REF ? *(EkInstance *const *) ((const char *) vm->values + row->offset) : NULL;
    if (map == NULL)
      continue;
    plugin_push_map (L, map);
    lua_setfield (L, -2, row->name);
  }
  lua_newtable (L);
  lua_pushlightuserdata (L, vm);
  lua_pushcclosure (L, no_such_map, 1);
  lua_setfield (L, -2, "__index");
  lua_setmetatable (L, -2);
}

int
plugin_fill_self (lua_State *L)
{
  PluginVm *vm = lua_touserdata (L, 1);

  lua_newtable (L);                  /* reply()'s metatable has nothing in it: it is only known again */
  vm->reply = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_newtable (L);
  lua_pushstring (L, vm->plugin->base.name);
  lua_setfield (L, -2, "name");
  push_maps (L, vm);
  lua_setfield (L, -2, "maps");
  for (const EkOption *row = vm->rows; row->name; row++) {
    if (row->type == EK_REF)
      continue;
    push_value (L, row, (const char *) vm->values + row->offset);
    lua_setfield (L, -2, row->name);
  }
  vm->self = luaL_ref (L, LUA_REGISTRYINDEX);
  return 0;
}
