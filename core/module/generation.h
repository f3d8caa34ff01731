/* generation.h - one reading of the configuration, made live: instances, values, references
 * SPDX-License-Identifier: Apache-2.0
 *
 * ek_generation_new() loads the modules that the configuration names, makes an instance for each of
 * their blocks (`file "staff" { ... }`), fills the structs of the core's own blocks, resolves
 * references (forward ones too; a cycle is an error) and calls each init().  All errors are
 * collected, and any of them means no generation: the old one never noticed.  Later, in the role and
 * without privileges, ek_generation_start() calls each start(), references first.
 *
 * Names of instances: `file "staff" {}` is staff; `maildir {}` is maildir; a module that is named as a
 * reference and has no block is an instance of that name with all defaults.  Two instances of
 * different modules may share a name; a reference then says file:staff.
 *
 * In a role, a reference to a table that works elsewhere (an edge's domain names a passdb) gives a
 * *remote* instance: name set, module NULL.  Its name is what goes over the channel.
 *
 * Loop thread only, but for what it holds: instances and values are read-only and any job may read
 * them while its caller holds a reference.  A generation is freed when the last session lets go:
 * connections are closed on a job thread, then stop() runs on the loop, users before what they use.
 */
#pragma once
#include "module/registry.h"

typedef struct EkGeneration EkGeneration;

typedef struct {                     /* fingerprint.h */
  guchar bytes[16];
} EkFingerprint;

/* `conf` is taken, also on failure.  `roles`: bits of what this process does (EK_ROLES_ALL: a check
 * or the merged layout).  Returns NULL when `problems` got an error.  Sets EkConfBlock.roles. */
EkGeneration *ek_generation_new (EkConf *conf, guint32 roles, EkProblems *problems);
bool          ek_generation_start (EkGeneration *gen, GError **error);
/* One alone, with what it refers to, unless it has been: for commands. */
bool          ek_instance_start (EkInstance *self, GError **error);
EkGeneration *ek_generation_ref (EkGeneration *gen);
void          ek_generation_unref (EkGeneration *gen);     /* NULL is fine */
/* Lets go of `old` (NULL is fine) after a reload: what its maps have remembered goes over to those that are the same in `heir`. */
void          ek_generation_retire (EkGeneration *old, EkGeneration *heir);
const EkConf *ek_generation_conf (const EkGeneration *gen);
guint64       ek_generation_number (const EkGeneration *gen);      /* 1, 2, ... in this process */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkGeneration, ek_generation_unref)

/* Is told, on the loop, how many generations live in this process whenever that changes: a number that stays above
 * one tells of sessions that have not moved on.  NULL: nobody. */
void ek_generations_watch (void (*func) (guint live));

/* ---- values of the core's own blocks ---- */

/* The struct of a type's block `name` (NULL: the one without a name).  For "" and EK_BLOCK_SINGLE
 * never NULL in a role that gets such blocks: defaults stand in. */
gconstpointer ek_generation_values (const EkGeneration *gen, const EkBlockType *type, const char *name);

typedef struct {
  const EkBlockType *type;
  const EkConfBlock *block;          /* at.file NULL when it is not in the file; name in it */
  gconstpointer      values;
  /* When one of its rows is a reference to a protocol (listener): that protocol's settings, looked
   * for in this block, the protocol's own block, then the top level.  Else NULL. */
  EkInstance        *protocol;
  gconstpointer      protocol_options, after_login_options;
  bool               faulty;         /* while it is checked: an error was told, values may be missing */
  bool               printed;        /* fingerprint.c's: print is known */
  EkFingerprint      print;
} EkBlockValues;

/* The same, with its block. */
const EkBlockValues *ek_generation_block (const EkGeneration *gen, const EkBlockType *type, const char *name);

/* Calls func for each block of the type, in the order of the files. */
void ek_generation_each (const EkGeneration *gen, const EkBlockType *type,
                         void (*func) (const EkBlockValues *values, gpointer data), gpointer data);

/* Fills `layers` with where a setting is looked for: listener, domain, protocol, top level (NULL: left
 * out), and returns how many; for ek_options_apply() and ek_options_find(). */
guint ek_generation_layers (const EkGeneration *gen, const char *listener, const char *domain,
                            const char *protocol, EkLayer layers[static EK_LAYERS_MAX]);

/* ---- instances ---- */

/* `name` is staff or file:staff; `tables` bits that it must offer one of (0: any).  NULL: none, or
 * more than one.  In memory, no loading. */
EkInstance *ek_generation_instance (const EkGeneration *gen, const char *name, guint32 tables);
guint       ek_generation_n_instances (const EkGeneration *gen);
EkInstance *ek_generation_instance_at (const EkGeneration *gen, guint i);
bool        ek_instance_is_remote (const EkInstance *self);
EkGeneration *ek_instance_generation (const EkInstance *self);
const EkConfBlock *ek_instance_block (const EkInstance *self);    /* never NULL; at.file NULL: implicit */
guint32     ek_instance_roles (const EkInstance *self);
/* Whether it is such a table: its module offers it, and so does this block (EkModule.lacks).  Not before all options are set. */
bool        ek_instance_offers (const EkInstance *self, EkTable table);

/* ---- which blocks a role gets ---- */

/* The child that checks without rights reports one mask a top-level block (EkConfBlock.index) ... */
guint32 *ek_conf_roles (const EkConf *conf, guint *n);
/* ... and master sets them in its own tree of the same files.  False when the count differs. */
bool     ek_conf_set_roles (EkConf *conf, const guint32 *roles, guint n);
/* The blocks of one role, in the order of the files (borrowed, g_ptr_array_unref). */
GPtrArray *ek_conf_blocks_for_role (const EkConf *conf, EkRole role);
