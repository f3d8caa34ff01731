/* plugin.h - Lua in Ekiden: a script's virtual machine, its budgets, one hook under way
 * SPDX-License-Identifier: Apache-2.0
 *
 * One PluginVm for each instance and process: the script is run once, when the configuration is checked or loaded
 * (vm.c), its declared options become rows (declare.c), and each call of a hook is a coroutine (hook.c) that may be
 * suspended while a map is asked (map.c).  Hooks of stages make a filter (filter.c, mail.c), at an edge; those that answer questions
 * make a map, a passdb, a userdb (answer.c), in directory.  All of it on one thread, the loop's.
 *
 * Lua raises errors by longjmp() and calls its panic function, which ends the process, when nobody catches them.  So
 * what may raise (anything that allocates) runs in lua_pcall() or in lua_resume(); what is called elsewhere is marked
 * "raises nothing".
 */
#pragma once
#include <ekiden/ekiden.h>
#include "loop/loop.h"
#include "module/lookup.h"
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

#define PLUGIN_N_TABLES 4            /* map, passdb, userdb, filter */

/* Hooks are counted: those of stages (EkStage), then those that answer. */
enum {
  PLUGIN_LOOKUP = EK_N_STAGES, PLUGIN_PASSDB_LOOKUP, PLUGIN_PASSDB_VERIFY, PLUGIN_USERDB_LOOKUP, PLUGIN_USERS, PLUGIN_N_HOOKS
};

typedef struct {                     /* found from each lua_State by lua_getextraspace() */
  PluginVm *vm;
  gint64    left;                    /* instructions */
  int       step;                    /* that many between two looks */
  gint64    deadline;                /* monotonic us */
  bool      waits;                   /* belongs to a PluginRun: may be suspended */
} PluginBudget;

struct PluginVm {
  Plugin     *plugin;
  EkPool     *pool;                  /* the instance's */
  lua_State  *L;
  gsize       used, limit;           /* bytes */
  const char *label;                 /* how messages of Lua name the script: its file without the folder */
  int         script;                /* registry: what the script returned */
  int         self;                  /* registry: the table that hooks get; LUA_NOREF before init() */
  int         reply;                 /* registry: metatable of what reply() gives */
  int         hooks[PLUGIN_N_HOOKS]; /* registry: functions, LUA_NOREF where there is none */
  const char *lacks[PLUGIN_N_TABLES];      /* why it is none; NULL: it is one */
  EkOption   *rows;
  gpointer    values;
};

#define PLUGIN_PENDING (-1)          /* beside the verdicts and statuses that hooks end with */

typedef struct PluginRun PluginRun;
typedef struct {                     /* what hooks of a kind get and give */
  int  (*push) (lua_State *L, PluginRun *run);     /* the arguments behind self; how many; raises */
  int  (*judge) (PluginRun *run, int n);           /* the n values on top of run->co: a verdict or status; raises nothing */
  int  (*failed) (PluginRun *run, const char *text);       /* what it counts as that it was stopped */
  int    dropped;                                  /* and that nobody waits for it any more */
  void (*done) (EkCall *call, int outcome);
} PluginKind;

struct PluginRun {                   /* one call of a hook */
  PluginBudget budget;
  const PluginKind *kind;
  lua_State   *co;
  int          ref;                  /* of co in the registry */
  guint        hook;
  EkCall      *call;
  gconstpointer question;            /* read by push() alone, unless the kind says otherwise */
  gpointer     result;               /* the kind's */
  EkMapAsk    *ask;                  /* a map is asked: over a channel, */
  EkMapLookup *lookup;               /* or here */
  EkStatus     status;               /* what the map said, while the hook goes on with it */
  const EkAnswer *answer;
  EkTimer      timer;
  EkTask       task;
};

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
const char *plugin_hook_name (guint hook);
const char *plugin_lacks (const EkInstance *self, const char *table);      /* EkModule.lacks */

/* hook.c */
/* Calls a hook that the script has.  The outcome, or PENDING: kind->done() will be called. */
int  plugin_call (Plugin *plugin, guint hook, const PluginKind *kind, EkCall *call, gconstpointer question, gpointer result);
int  plugin_go_on (PluginRun *run, int n_args);    /* PENDING: it asks again; else the caller finishes it */
void plugin_finish (PluginRun *run, int outcome);
const char *plugin_file (const PluginVm *vm);      /* how messages name the script */

/* filter.c, answer.c */
extern const EkFilterOps plugin_filter;
extern const EkMapOps    plugin_map;
extern const EkPassdbOps plugin_passdb;
extern const EkUserdbOps plugin_userdb;

/* rows.c; raise: what lies at the index as an answer in the pool; of a record one row, of rows perhaps none */
void plugin_take_value (lua_State *L, int at, EkPool *pool, EkAnswer *answer);       /* a string or number */
void plugin_take_record (lua_State *L, int at, EkPool *pool, EkAnswer *answer);      /* a table with names */
void plugin_take_rows (lua_State *L, int at, EkPool *pool, EkAnswer *answer);        /* a table: of texts, of tables, or with names */

/* status.c: ek.OK ... are values of their own, no strings, so that no text that a map gives is ever taken for one */
void plugin_push_status (lua_State *L, EkStatus status);     /* raises nothing */
bool plugin_status (lua_State *L, int at, EkStatus *status); /* is that value one?  raises nothing */
void plugin_open_statuses (lua_State *L);                    /* raises */
/* What a message calls the value: "nothing", "status ok", "number"; raises nothing. */
const char *plugin_type (lua_State *L, int at);

/* mail.c; raise */
void plugin_push_mail (lua_State *L, EkStage stage, const EkMail *mail);
int  plugin_reply (lua_State *L);            /* reply (verdict, code, dsn, text) */
bool plugin_verdict (EkStr name, EkVerdict *verdict);        /* raises nothing */
extern const char *const plugin_verdicts[];  /* by EkVerdict; NULL behind the last */

/* map.c; raises */
void plugin_push_map (lua_State *L, EkInstance *map);
