/* private.h - what generation.c, instance.c, blocks.c and call.c share; others see generation.h
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "lookup/cache.h"
#include "module/fingerprint.h"

typedef enum { EK_NEW, EK_VISITING, EK_ORDERED } EkMark;

typedef struct {                     /* settings of a block that every module of its kind has */
  gint64 connections, cache_max, rows_max;
  const char *result;
  char **only_domains;
  EkTime cache, cache_negative, cache_stale;
} EkCommon;

typedef struct {                     /* a setting that refers to an instance whose module may say no: EkModule.lacks */
  EkInstance *to;
  guint32     tables;
  const char *option, *allow;
  EkConfPos   at;
} EkReference;

typedef struct {                     /* EkInstance.core */
  EkGeneration      *gen;
  const EkConfBlock *block;
  GPtrArray         *uses;           /* EkInstance that its options refer to */
  guint32            tables;         /* that others use it for; 0: nobody refers to it */
  EkMark             mark;           /* while the order of starting is found */
  bool               remote, inited, started;
  bool               faulty;         /* an error was told: init() is not called, nor that of its users */
  struct EkCalls    *calls;          /* call.c's: its connections; NULL: none yet */
  const EkOption    *own;            /* EkModule.own_options: rows of this block alone */
  EkCommon           common;
  struct EkCache    *answers;        /* lookup.c's; NULL: none yet */
  bool               printed;        /* print is known */
  EkFingerprint      print;
  struct { guint hash, more; gint64 at; } said[4];       /* callog.c's: errors that were logged last, and how often again since */
} EkInstanceCore;

struct EkGeneration {
  gint        refs;
  guint64     number;
  EkConf     *conf;
  guint32     roles;
  EkPool     *pool;
  GPtrArray  *instances;             /* in the order in which they were met */
  GPtrArray  *order;                 /* the same, what is used before its users */
  GPtrArray  *values;                /* EkBlockValues, in the order of types, then of files */
  GHashTable *blocks;                /* "kind\nname" -> EkConfBlock, of the core's top-level blocks */
  GHashTable *of_block;              /* EkConfBlock -> GPtrArray of its EkBlockValues, a type each */
  GHashTable *lost;                  /* names of blocks whose module did not load: told, so others need not */
  GArray     *references;            /* EkReference: to be looked at when all options are set; NULL: none */
  guint       n_set;                 /* of instances: whose options are set */
  EkProblems *problems;              /* while it is built */
};

static inline EkInstanceCore *
ek_instance_core (const EkInstance *self)
{
  return self->core;
}

static inline bool
ek_module_waits (const EkModule *module)
{
  return module && !(module->flags & EK_EVENTED) && (module->connect || (module->flags & EK_WAITS));
}

/* ---- instance.c ---- */
/* An instance for a module's block; NULL after adding to gen->problems. */
EkInstance *ek_instance_new (EkGeneration *gen, const EkConfBlock *block);
/* EkResolve: `data` is an EkReferrer. */
typedef struct {
  EkGeneration *gen;
  EkInstance   *user;                /* whose option it is; NULL: a core block's */
} EkReferrer;
EkInstance *ek_instance_resolve (gpointer data, const EkOption *row, EkStr text, const EkConfPos *at,
                                 EkProblems *problems);
/* Options of all, then their order, then each init(). */
void        ek_instances_set (EkGeneration *gen);
void        ek_instances_check_references (EkGeneration *gen);
void        ek_instances_order (EkGeneration *gen);
void        ek_instances_init (EkGeneration *gen);
void        ek_instances_stop (EkGeneration *gen);

/* ---- blocks.c ---- */
void ek_blocks_set (EkGeneration *gen);            /* structs of the core's own blocks */
void ek_blocks_set_protocols (EkGeneration *gen);  /* a listener's protocol settings */
void ek_blocks_check (EkGeneration *gen);          /* unknown settings and blocks; EkBlockType.check */
void ek_blocks_check_made (EkGeneration *gen);     /* EkBlockType.check_made */
void ek_blocks_check_mechanisms (EkGeneration *gen);       /* what listeners offer, somebody must answer */
void ek_blocks_check_asked (EkGeneration *gen);    /* maps that other roles ask for */
void ek_blocks_roles (EkGeneration *gen);          /* which roles get which block, and who may ask maps */
EkConfBlock *ek_blocks_find (const EkGeneration *gen, const char *kind, const char *name);
void ek_block_unknown (EkGeneration *gen, const EkConfBlock *block, const char *why);

/* ---- lookup.c ---- */
EkCacheConf ek_answers_conf (const EkInstanceCore *core);

/* ---- call.c ---- */
void ek_calls_init (EkInstance *self);
void ek_calls_end_threads (EkInstance *self);      /* loop thread, before the next */
void ek_calls_free (EkInstance *self);             /* closes its connections; may block */
bool ek_calls_open (const EkInstance *self);       /* are there any? */
/* Runs func (which may block) on a job thread when there are any, then done on the loop thread;
 * without job threads both at once. */
void ek_calls_offload (void (*func) (gpointer data), void (*done) (gpointer data), gpointer data);

/* Any thread.  An error of a call, when it is news: the same words are told every ten seconds at most, and then how often they came. */
void ek_call_log (EkInstance *self, EkStatus status, const GError *error);
