/* registry.h - tables, roles and the kinds of block that the core itself understands
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "conf/option.h"

/* ---- roles ---- */

typedef enum {
  EK_ROLE_MASTER, EK_ROLE_TLS, EK_ROLE_EDGE, EK_ROLE_DIRECTORY, EK_ROLE_QUEUE, EK_ROLE_RELAY,
  EK_ROLE_STORE, EK_ROLE_LOG, EK_ROLE_CONTROL, EK_N_ROLES
} EkRole;

#define EK_ROLE_BIT(role_) (1u << (role_))
#define EK_ROLES_ALL       ((1u << EK_N_ROLES) - 1)
/* EkConfBlock.roles also says, in the bits from here on, which roles may ask this block's map over a channel. */
#define EK_ASKERS_SHIFT    16
#define EK_ASKER_BIT(role_) (EK_ROLE_BIT (role_) << EK_ASKERS_SHIFT)
/* And of a listener without a setting `mechanisms`: no module answers those of the default, so none is offered there. */
#define EK_CONF_NO_AUTH    (1u << 30)
/* And of a listener: the mechanism at this place of its list does not show the secret on the wire, so it needs no TLS. */
#define EK_CONF_SEALED_MAX 14
#define EK_CONF_SEALED(i_) (1u << (EK_ASKERS_SHIFT + (i_)))

const char *ek_role_name (EkRole role);            /* "master", "tls", ... */
int         ek_role_by_name (const char *name);    /* -1: none */

/* ---- tables: what a module offers, by the words of EkOption.allow ---- */

typedef enum {
  EK_TABLE_MAP, EK_TABLE_PASSDB, EK_TABLE_USERDB, EK_TABLE_SCHEME, EK_TABLE_MECHANISM,
  EK_TABLE_PROTOCOL, EK_TABLE_AFTER_LOGIN, EK_TABLE_FILTER, EK_TABLE_MAILBOX, EK_TABLE_SPOOL,
  EK_TABLE_TRANSPORT, EK_TABLE_RESOLVER, EK_TABLE_COMMAND, EK_N_TABLES
} EkTable;

const char *ek_table_name (EkTable table);
guint32     ek_module_tables (const EkModule *module);              /* bits 1 << EkTable */
/* "passdb|userdb" as bits; 0 when a word is no table. */
guint32     ek_tables_parse (const char *words);
/* Rows that a module's blocks have beside its own; they fill the core's part of an instance.  NULL: none. */
const EkOption *ek_module_common (const EkModule *module);
/* Its own rows and those, as one array: g_free. */
EkOption   *ek_module_rows (const EkModule *module);
/* The roles in which those tables work. */
guint32     ek_tables_roles (guint32 tables);
/* All roles that a module may be needed in: edge: protocol filter resolver; directory: map passdb
 * userdb scheme mechanism; queue: spool; relay: transport resolver; store: mailbox after_login
 * filter. */
guint32     ek_module_roles (const EkModule *module);

/* ---- the core's own blocks ---- */

enum {
  EK_BLOCK_SINGLE = 1,               /* `queue { }`: no name, at most one; all defaults when absent */
  EK_BLOCK_SCOPE  = 2,               /* settings of protocols may stand in it too: listener, domain, "" */
};

/* A static description, registered once at start (main thread).  Several may share one kind (each
 * area its own rows of ""): a setting is known when one of them knows it. */
typedef struct {
  const char     *kind;              /* "queue"; "" is the top level */
  const char     *parent;            /* NULL: stands at the top level; else the kind it stands in */
  const char     *doc;               /* one paragraph */
  const EkOption *options;
  gsize           size;              /* of the struct that the rows fill */
  guint           flags;
  guint32         roles;             /* bits: who gets these blocks */
  /* NULL, or checks what rows cannot say; adds to problems.  Not called when a value has an error. */
  void          (*check) (gconstpointer values, const EkConfBlock *block, EkProblems *problems);
  /* NULL, or the same where all instances are there and none has an error: they may be asked what init() has made of them.  For all
   * of a configuration alone, not in a role of its own. */
  void          (*check_made) (gconstpointer values, const EkConfBlock *block, EkProblems *problems);
} EkBlockType;

void               ek_block_register (const EkBlockType *type);
const EkBlockType *ek_block_type (guint i);                /* in order of registration; NULL behind the last */
bool               ek_block_is_kind (const char *kind, const char *parent);   /* parent NULL: top level */
