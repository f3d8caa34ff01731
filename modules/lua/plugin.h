/* plugin.h - a Lua plugin: its virtual machine, its budgets, one hook under way
 * SPDX-License-Identifier: Apache-2.0
 *
 * One PluginVm for each instance and process: the script is run once, when the configuration is checked or loaded
 * (vm.c), its declared options become rows (declare.c), and each call of a hook is a coroutine (hook.c) that may be
 * suspended while a map is asked (map.c).  All of it on one thread, the loop's.
 *
 * Lua raises errors by longjmp() and calls its panic function, which ends the process, when nobody catches them.  So
 * what may raise (anything that allocates) runs in lua_pcall() or in lua_resume(); what is called elsewhere is marked
 * "raises nothing".
 */
#pragma once
#include <ekiden/ekiden.h>
#include "loop/loop.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

typedef struct PluginVm PluginVm;

typedef struct {
  EkInstance  base;
  EkText      script;
  const char *on_error;
  gint64      instructions;
  EkSize      memory;
  EkTime      time_limit;
  PluginVm   *vm;
} Plugin;

extern const EkOption plugin_options[];

typedef struct {                     /* found from each lua_State by lua_getextraspace() */
  PluginVm *vm;
  gint64    left;                    /* instructions */
  int       step;                    /* that many between two looks */
  gint64    deadline;                /* monotonic us */
  bool      waits;                   /* belongs to a PluginRun: may be suspended */
} PluginBudget;

struct PluginVm {
  Plugin     *plugin;
  lua_State  *L;
  gsize       used, limit;           /* bytes */
  const char *label;                 /* how messages of Lua name the script: its file without the folder */
  int         script;                /* registry: what the script returned */
  int         self;                  /* registry: the table that hooks get; LUA_NOREF before init() */
  int         reply;                 /* registry: metatable of what reply() gives */
  int         hooks[EK_N_STAGES];    /* registry: functions, LUA_NOREF where there is none */
  EkOption   *rows;
  gpointer    values;
};

typedef struct {                     /* one call of a hook */
  PluginBudget budget;
  lua_State   *co;
  int          ref;                  /* of co in the registry */
  EkStage      stage;
  EkCall      *call;
  const EkMail *mail;                /* read by begin() alone */
  EkReply     *reply;
  EkMapAsk    *ask;
  EkStatus     status;               /* what the map said, while the hook goes on with it */
  const EkAnswer *answer;
  EkTimer      timer;
  EkTask       task;
} PluginRun;

typedef struct {                     /* what reply() gives to the script */
  EkVerdict verdict;
  EkReply   reply;
} PluginReply;

/* vm.c */
PluginVm *plugin_vm_new (Plugin *plugin, EkPool *pool, GError **error);     /* runs the script; freed with the pool */
void      plugin_budget (lua_State *L, PluginBudget *budget);               /* raises nothing */
/* Takes the error that lies on top of `L` (a coroutine's, or vm->L's): FILE:LINE: text, and the traceback when there is
 * one.  Raises nothing. */
char     *plugin_error (PluginVm *vm, lua_State *L, int status);
void      plugin_open_libraries (lua_State *L);                             /* sandbox.c; raises */

/* declare.c; plugin_declare() and plugin_fill_self() are called by lua_pcall() */
int         plugin_declare (lua_State *L);   /* (light vm, pool): rows, hooks of the script's table */
int         plugin_fill_self (lua_State *L); /* (light vm): the table that hooks get */
const char *plugin_stage_name (EkStage stage);

/* hook.c */
EkVerdict plugin_hook (Plugin *plugin, EkStage stage, EkCall *call, const EkMail *mail, EkReply *reply);
EkVerdict plugin_go_on (PluginRun *run, int n_args);         /* PENDING: it asks again; else the caller finishes it */
void      plugin_finish (PluginRun *run, EkVerdict verdict);

/* mail.c; raise */
void plugin_push_mail (lua_State *L, EkStage stage, const EkMail *mail);
int  plugin_reply (lua_State *L);            /* reply (verdict, code, dsn, text) */
bool plugin_verdict (EkStr name, EkVerdict *verdict);        /* raises nothing */
extern const char *const plugin_verdicts[];  /* by EkVerdict; NULL behind the last */

/* map.c; raises */
void plugin_push_map (lua_State *L, EkInstance *map);
