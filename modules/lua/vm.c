/* vm.c - a plugin's virtual machine: memory and instructions are counted, the script is run once
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

#define STEP        1000             /* instructions between two looks at the clock */
#define MESSAGE_MAX 1000

static void *
allocate (void *data, void *p, size_t before, size_t n)
{
  PluginVm *vm = data;

  if (p == NULL)                     /* then it is a kind of object */
    before = 0;
  if (n == 0) {
    vm->used -= before;
    free (p);
    return NULL;
  }
  if (n > before && n - before > vm->limit - MIN (vm->used, vm->limit))
    return NULL;                     /* Lua collects garbage, tries again, and raises an error */
  void *q = realloc (p, n);
  if (q)
    vm->used = vm->used - before + n;
  return q;
}

/* Every so many instructions.  Once a budget is used up each further instruction raises the error again, so that
 * pcall() catches it in vain. */
static void
tick (lua_State *L, lua_Debug *ar)
{
  PluginBudget *b = *(PluginBudget **) lua_getextraspace (L);
  const Plugin *plugin = b->vm->plugin;

  b->left -= b->step;
  if (b->left > 0 && ek_now () < b->deadline)
    return;
  luaL_where (L, 0);
  if (b->left <= 0)
    lua_pushfstring (L, "it ran over %d instructions (instructions)", (int) plugin->instructions);
  else
    lua_pushfstring (L, "it took over %d ms (time_limit)", (int) (plugin->time_limit.us / 1000));
  b->step = 0;
  b->deadline = 0;
  lua_sethook (L, tick, LUA_MASKCOUNT, 1);
  lua_concat (L, 2);
  lua_error (L);
}

void
plugin_budget (lua_State *L, PluginBudget *budget)
{
  *(PluginBudget **) lua_getextraspace (L) = budget;
  if (budget == NULL) {
    lua_sethook (L, NULL, 0, 0);
    return;
  }
  budget->left = budget->vm->plugin->instructions;
  budget->step = (int) MIN (STEP, budget->left);
  budget->deadline = ek_now () + budget->vm->plugin->time_limit.us;
  lua_sethook (L, tick, LUA_MASKCOUNT, budget->step);
}

/* ---- errors ---- */

/* (error, light co or nil): the error as text, and where co is. */
static int
describe (lua_State *L)
{
  if (lua_type (L, 1) == LUA_TSTRING)
    lua_pushvalue (L, 1);
  else
    lua_pushfstring (L, "an error that is a %s, no text", luaL_typename (L, 1));
  if (lua_islightuserdata (L, 2))
    luaL_traceback (L, lua_touserdata (L, 2), NULL, 0);
  else
    lua_pushliteral (L, "");
  return 2;
}

/* "stack traceback:\n\tA\n\tB" as " (in A; B)". */
static void
add_traceback (GString *out, const char *trace)
{
  g_auto (GStrv) lines = g_strsplit (trace, "\n\t", -1);

  for (guint i = 1; lines[0] && lines[i]; i++)
    g_string_append_printf (out, "%s%s", i == 1 ? " (in " : "; ", lines[i]);
  if (lines[0] && lines[1])
    g_string_append_c (out, ')');
}

/* FILE:LINE: text; Lua's own messages begin with the label. */
static void
add_text (GString *out, const PluginVm *vm, const char *text)
{
  const char *file = vm->plugin->script.file ? vm->plugin->script.file : vm->label;
  gsize n = strlen (vm->label);

  if (strncmp (text, vm->label, n) == 0 && text[n] == ':')
    g_string_append_printf (out, "%s%s", file, text + n);
  else
    g_string_append_printf (out, "%s: %s", file, text);
}

char *
plugin_error (PluginVm *vm, lua_State *co, int status)
{
  lua_State *L = vm->L;
  GString *out = g_string_new (NULL);
  g_autofree char *memory = g_strdup_printf ("it needs more than %" G_GUINT64_FORMAT " KB (memory)",
                                             vm->plugin->memory.bytes >> 10);

  if (co != L)
    lua_xmove (co, L, 1);
  int top = lua_gettop (L) - 1;
  lua_pushcfunction (L, describe);
  lua_insert (L, -2);
  if (co != L)
    lua_pushlightuserdata (L, co);
  else
    lua_pushnil (L);
  bool described = lua_pcall (L, 2, 2, 0) == LUA_OK;
  add_text (out, vm, status == LUA_ERRMEM ? memory : described ? lua_tostring (L, -2) : "an error without a word");
  if (described)
    add_traceback (out, lua_tostring (L, -1));
  lua_settop (L, top);
  for (char *p = out->str; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = ' ';
  if (out->len > MESSAGE_MAX)
    g_string_truncate (out, MESSAGE_MAX);
  return g_string_free (out, FALSE);
}

/* ---- the script ---- */

/* (light vm, light pool) */
static int
load (lua_State *L)
{
  PluginVm *vm = lua_touserdata (L, 1);
  const EkText *script = &vm->plugin->script;

  plugin_open_libraries (L);
  const char *chunk = lua_pushfstring (L, "@%s", vm->label);
  if (luaL_loadbufferx (L, script->text ? script->text : "", script->len, chunk, "t") != LUA_OK)
    return lua_error (L);
  lua_call (L, 0, 1);
  if (!lua_istable (L, -1))
    return luaL_error (L, "%s:1: the script returns a %s, expected a table: return { at = { rcpt = function ... end } }",
                       vm->label, luaL_typename (L, -1));
  vm->script = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_pushcfunction (L, plugin_declare);
  lua_pushvalue (L, 1);
  lua_pushvalue (L, 2);
  lua_call (L, 2, 0);
  return 0;
}

static void
vm_free (gpointer data)
{
  PluginVm *vm = data;

  if (vm->L)
    lua_close (vm->L);
}

PluginVm *
plugin_vm_new (Plugin *plugin, EkPool *pool, GError **error)
{
  PluginVm *vm = ek_pool_new0 (pool, PluginVm);
  PluginBudget budget = { .vm = vm };

  *vm = (PluginVm) { .plugin = plugin, .pool = pool, .limit = plugin->memory.bytes, .script = LUA_NOREF, .self = LUA_NOREF, .reply = LUA_NOREF };
  for (guint i = 0; i < PLUGIN_N_HOOKS; i++)
    vm->hooks[i] = LUA_NOREF;
  g_autofree char *base = plugin->script.file ? g_path_get_basename (plugin->script.file) : g_strdup ("script");
  vm->label = ek_pool_strndup (pool, base, MIN (strlen (base), 50));      /* Lua cuts longer ones itself */
  vm->L = lua_newstate (allocate, vm);
  ek_pool_cleanup (pool, vm_free, vm);
  if (vm->L == NULL) {
    ek_fail (error, EK_FAIL, 0, "no memory for a Lua machine");
    return NULL;
  }
  plugin_budget (vm->L, &budget);
  lua_pushcfunction (vm->L, load);
  lua_pushlightuserdata (vm->L, vm);
  lua_pushlightuserdata (vm->L, pool);
  int status = lua_pcall (vm->L, 2, 0, 0);
  plugin_budget (vm->L, NULL);
  if (status == LUA_OK)
    return vm;
  g_autofree char *text = plugin_error (vm, vm->L, status);
  ek_fail (error, EK_FAIL, 0, "%s", text);
  return NULL;
}
