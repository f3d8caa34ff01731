/* answer.c - hooks that answer questions: a map's, a passdb's, a userdb's
 * SPDX-License-Identifier: Apache-2.0
 *
 * What they return: nil, that there is no such thing; ek.DEFER, or an error, that nobody can tell now; anything else is the answer.  A
 * hook that returns nothing at all has forgotten to return: that must not look like "no such user".
 */
#include "plugin.h"
#include "lookup/params.h"
#include "lookup/record.h"

typedef struct {
  void   (*func) (const EkUser *user, gpointer data);
  gpointer data;
} Each;

/* Without {SCHEME}, a password is what crypt(3) made. */
static const EkRecordDefaults defaults = { .scheme = "CRYPT", .uid = -1, .gid = -1 };

/* ---- arguments ---- */

static void
set_str (lua_State *L, const char *key, EkStr text)
{
  lua_pushlstring (L, text.p ? text.p : "", text.n);
  lua_setfield (L, -2, key);
}

static void
push_params (lua_State *L, const EkQuery *query)
{
  static const char *const derived[] = { "address", "user", "local", "domain" };

  lua_newtable (L);
  for (guint i = 0; i < G_N_ELEMENTS (derived); i++)
    set_str (L, derived[i], ek_query_value (query, derived[i]));
  for (guint i = 0; i < query->n_params; i++)
    set_str (L, query->params[i].name, query->params[i].value);
}

static void
push_login (lua_State *L, const EkLogin *login)
{
  lua_newtable (L);
  set_str (L, "name", ek_str (login->name));
  set_str (L, "given", ek_str (login->given));
  set_str (L, "password", login->secret);
  set_str (L, "service", ek_str (login->service));
  set_str (L, "client", ek_str (login->client));
  lua_pushboolean (L, login->tls);
  lua_setfield (L, -2, "tls");
}

static int
push (lua_State *L, PluginRun *run)
{
  const EkQuery *query = run->question;

  switch (run->hook) {
  case PLUGIN_LOOKUP:
    lua_pushlstring (L, query->key.p ? query->key.p : "", query->key.n);
    push_params (L, query);
    return 2;
  case PLUGIN_PASSDB_VERIFY:
    push_login (L, run->question);
    return 1;
  case PLUGIN_USERS:
    return 0;
  default:
    lua_pushstring (L, run->question);
    return 1;
  }
}

/* ---- answers: in lua_pcall(), at index `at`; nil and statuses have been seen to ---- */

static int
unexpected (lua_State *L, int at, const char *expected)
{
  return luaL_error (L, "the hook returned %s, expected %s, nil, or ek.DEFER", plugin_type (L, at), expected);
}

static bool
is_text (lua_State *L, int at)
{
  return lua_type (L, at) == LUA_TSTRING || lua_type (L, at) == LUA_TNUMBER;
}

static void
take_lookup (lua_State *L, PluginRun *run, int at)
{
  EkAnswer *answer = run->result;

  if (lua_istable (L, at))
    plugin_take_rows (L, at, run->call->pool, answer);
  else if (is_text (L, at))
    plugin_take_value (L, at, run->call->pool, answer);
  else
    unexpected (L, at, "a text, a table of rows");
  run->status = answer->n_rows > 0 ? EK_OK : EK_NOTFOUND;
}

static void
take_account (lua_State *L, PluginRun *run, int at)
{
  EkPool *pool = run->call->pool;
  EkAnswer answer = { 0 };

  if (is_text (L, at)) {
    plugin_take_value (L, at, pool, &answer);
    answer.names = ek_pool_newv (pool, const char *, 1);
    answer.names[0] = "password";
  }
  else if (lua_istable (L, at))
    plugin_take_record (L, at, pool, &answer);
  else
    unexpected (L, at, "the stored password, a table with a field password");
  if (answer.names == NULL || ek_answer_column (&answer, "password").p == NULL)
    luaL_error (L, "the hook returned a table without a field password");
  run->status = ek_record_account (pool, &answer, &defaults, run->result, &run->call->error);
}

static void
take_verdict (lua_State *L, PluginRun *run, int at)
{
  EkAccount *account = run->result;

  run->status = EK_OK;
  if (lua_isboolean (L, at))
    run->status = lua_toboolean (L, at) ? EK_OK : EK_FAIL;
  else if (lua_istable (L, at)) {
    EkAnswer answer = { 0 };
    lua_pushliteral (L, "");         /* ek_record_account() looks for one */
    lua_setfield (L, at, "password");
    plugin_take_record (L, at, run->call->pool, &answer);
    run->status = ek_record_account (run->call->pool, &answer, &defaults, account, &run->call->error);
    account->stored = (EkStr) { NULL, 0 };
  }
  else
    unexpected (L, at, "true, false, a table of fields");
}

static void
take_user (lua_State *L, PluginRun *run, int at)
{
  EkAnswer answer = { .n_rows = 1 };

  if (lua_istable (L, at))
    plugin_take_record (L, at, run->call->pool, &answer);
  else if (!lua_isboolean (L, at) || !lua_toboolean (L, at))
    unexpected (L, at, "a table with home, uid, gid ..., true");
  run->status = ek_record_user (run->call->pool, &answer, &defaults, run->question, run->result, &run->call->error);
}

static void
take_users (lua_State *L, PluginRun *run, int at)
{
  const Each *each = run->result;

  if (!lua_istable (L, at))
    unexpected (L, at, "a list of names");
  for (guint i = 1; i <= lua_rawlen (L, at); i++) {
    if (lua_rawgeti (L, at, i) != LUA_TSTRING)
      luaL_error (L, "the hook returned a list whose element %d is %s, expected a name", (int) i, plugin_type (L, -1));
    each->func (&(EkUser) { .name = lua_tostring (L, -1), .uid = -1, .gid = -1 }, each->data);
    lua_pop (L, 1);
  }
  run->status = EK_OK;
}

/* ek.DEFER, "why": the log shall know. */
static void
take_status (lua_State *L, PluginRun *run, EkStatus status)
{
  const char *hook = plugin_hook_name (run->hook);

  run->status = status;
  if (status == EK_NOTFOUND || (status == EK_FAIL && run->hook == PLUGIN_PASSDB_VERIFY))
    return;
  if (run->hook != PLUGIN_LOOKUP)
    run->status = EK_DEFER;          /* nobody else has a word for "never" */
  if (lua_type (L, 3) == LUA_TSTRING)
    ek_fail (&run->call->error, run->status, 0, "%s: %.500s", hook, lua_tostring (L, 3));
  else
    ek_fail (&run->call->error, run->status, 0, "%s: the script says ek.%s", hook, status == EK_FAIL ? "FAIL" : "DEFER");
}

/* (light run, value ...), or (light run, ek.OK, value, rows) as lookup() gives them. */
static int
take (lua_State *L)
{
  static void (*const takers[]) (lua_State *L, PluginRun *run, int at) = {
    take_lookup, take_account, take_verdict, take_user, take_users,
  };
  PluginRun *run = lua_touserdata (L, 1);
  int n = lua_gettop (L), at = 2;
  EkStatus status;

  if (n < 2)
    return luaL_error (L, "the hook returned nothing: \"not found\" is return nil, or ek.NOTFOUND");
  if (plugin_status (L, 2, &status)) {
    if (status != EK_OK) {
      take_status (L, run, status);
      return 0;
    }
    if (n == 2)
      lua_pushboolean (L, true);
    at = n == 4 && lua_istable (L, 4) ? 4 : 3;
  }
  if (lua_isnil (L, at))
    run->status = EK_NOTFOUND;
  else
    takers[run->hook - PLUGIN_LOOKUP] (L, run, at);
  return 0;
}

static int
failed (PluginRun *run, const char *text)
{
  g_clear_error (&run->call->error);
  return ek_fail (&run->call->error, EK_DEFER, 0, "%s: %s", plugin_hook_name (run->hook), text);
}

/* What is taken out of Lua may need memory there. */
static int
judge (PluginRun *run, int n)
{
  lua_State *L = run->budget.vm->L;

  lua_pop (run->co, MAX (n - 3, 0));
  n = MIN (n, 3);
  lua_pushcfunction (L, take);
  lua_pushlightuserdata (L, run);
  lua_xmove (run->co, L, n);
  int status = lua_pcall (L, n + 1, 0, 0);
  if (status == LUA_OK)
    return run->status;
  g_autofree char *text = plugin_error (run->budget.vm, L, status);
  return failed (run, text);
}

static void
done (EkCall *call, int outcome)
{
  ek_call_done (call, (EkStatus) outcome);
}

static const PluginKind kind = { .push = push, .judge = judge, .failed = failed, .dropped = EK_DEFER, .done = done };

/* ---- the tables ---- */

static EkStatus
ask (EkInstance *self, guint hook, EkCall *call, gconstpointer question, gpointer result)
{
  Plugin *plugin = (Plugin *) self;

  if (plugin->vm->hooks[hook] == LUA_NOREF)
    return ek_fail (&call->error, EK_DEFER, 0, "%s declares no %s", plugin_file (plugin->vm), plugin_hook_name (hook));
  int outcome = plugin_call (plugin, hook, &kind, call, question, result);
  return outcome == PLUGIN_PENDING ? EK_PENDING : (EkStatus) outcome;
}

static EkStatus
map_lookup (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  return ask (self, PLUGIN_LOOKUP, call, query, answer);
}

static EkStatus
pass_lookup (EkInstance *self, EkCall *call, const char *name, EkAccount *account)
{
  return ask (self, PLUGIN_PASSDB_LOOKUP, call, name, account);
}

static EkStatus
pass_verify (EkInstance *self, EkCall *call, const EkLogin *login, EkAccount *account)
{
  call->by_client = true;            /* the script sees it */
  return ask (self, PLUGIN_PASSDB_VERIFY, call, login, account);
}

static bool
pass_verifies (const EkInstance *self)
{
  return ((const Plugin *) self)->vm->hooks[PLUGIN_PASSDB_VERIFY] != LUA_NOREF;
}

static EkStatus
user_lookup (EkInstance *self, EkCall *call, const char *name, EkUser *user)
{
  return ask (self, PLUGIN_USERDB_LOOKUP, call, name, user);
}

static EkStatus
user_each (EkInstance *self, EkCall *call, void (*func) (const EkUser *, gpointer), gpointer data)
{
  if (((Plugin *) self)->vm->hooks[PLUGIN_USERS] == LUA_NOREF)
    return EK_NOTFOUND;
  Each *each = ek_pool_new0 (call->pool, Each);
  *each = (Each) { func, data };
  return ask (self, PLUGIN_USERS, call, NULL, each);
}

const EkMapOps plugin_map = { .lookup = map_lookup };
const EkPassdbOps plugin_passdb = { .lookup = pass_lookup, .verify = pass_verify, .verifies = pass_verifies };
const EkUserdbOps plugin_userdb = { .lookup = user_lookup, .each = user_each };
