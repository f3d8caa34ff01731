/* registry.c - which tables there are, where they work, and which blocks the core itself knows
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/registry.h"
#include <string.h>

/* ---- roles ---- */

static const char *const role_names[EK_N_ROLES] = {
  [EK_ROLE_MASTER] = "master", [EK_ROLE_TLS] = "tls", [EK_ROLE_EDGE] = "edge", [EK_ROLE_DIRECTORY] = "directory",
  [EK_ROLE_QUEUE] = "queue", [EK_ROLE_RELAY] = "relay", [EK_ROLE_STORE] = "store", [EK_ROLE_LOG] = "log",
  [EK_ROLE_CONTROL] = "control",
};

const char *
ek_role_name (EkRole role)
{
  return (guint) role < EK_N_ROLES ? role_names[role] : "unknown";
}

int
ek_role_by_name (const char *name)
{
  for (int i = 0; i < EK_N_ROLES; i++)
    if (strcmp (role_names[i], name) == 0)
      return i;
  return -1;
}

/* ---- tables ---- */

#define EDGE      EK_ROLE_BIT (EK_ROLE_EDGE)
#define DIRECTORY EK_ROLE_BIT (EK_ROLE_DIRECTORY)
#define QUEUE     EK_ROLE_BIT (EK_ROLE_QUEUE)
#define RELAY     EK_ROLE_BIT (EK_ROLE_RELAY)
#define STORE     EK_ROLE_BIT (EK_ROLE_STORE)

static const struct { const char *name; guint32 roles; gsize offset; } tables[EK_N_TABLES] = {
  [EK_TABLE_MAP] = { "map", DIRECTORY, G_STRUCT_OFFSET (EkModule, map) },
  [EK_TABLE_PASSDB] = { "passdb", DIRECTORY, G_STRUCT_OFFSET (EkModule, passdb) },
  [EK_TABLE_USERDB] = { "userdb", DIRECTORY, G_STRUCT_OFFSET (EkModule, userdb) },
  [EK_TABLE_SCHEME] = { "scheme", DIRECTORY, G_STRUCT_OFFSET (EkModule, scheme) },
  [EK_TABLE_MECHANISM] = { "mechanism", DIRECTORY, G_STRUCT_OFFSET (EkModule, mechanisms) },
  [EK_TABLE_PROTOCOL] = { "protocol", EDGE, G_STRUCT_OFFSET (EkModule, protocol) },
  [EK_TABLE_AFTER_LOGIN] = { "after_login", STORE, G_STRUCT_OFFSET (EkModule, after_login) },
  [EK_TABLE_FILTER] = { "filter", EDGE | STORE, G_STRUCT_OFFSET (EkModule, filter) },
  [EK_TABLE_MAILBOX] = { "mailbox", STORE, G_STRUCT_OFFSET (EkModule, mailbox) },
  [EK_TABLE_SPOOL] = { "spool", QUEUE, G_STRUCT_OFFSET (EkModule, spool) },
  [EK_TABLE_TRANSPORT] = { "transport", RELAY, G_STRUCT_OFFSET (EkModule, transport) },
  [EK_TABLE_RESOLVER] = { "resolver", EDGE | RELAY, G_STRUCT_OFFSET (EkModule, resolver) },
  [EK_TABLE_COMMAND] = { "command", 0, G_STRUCT_OFFSET (EkModule, command) },      /* the CLI loads it */
};

const char *
ek_table_name (EkTable table)
{
  return (guint) table < EK_N_TABLES ? tables[table].name : "unknown";
}

guint32
ek_module_tables (const EkModule *module)
{
  guint32 bits = 0;

  for (guint i = 0; i < EK_N_TABLES; i++)
    if (*(gconstpointer const *) ((const char *) module + tables[i].offset))
      bits |= 1u << i;
  return bits;
}

guint32
ek_tables_parse (const char *words)
{
  g_auto (GStrv) list = g_strsplit (words ? words : "", "|", -1);
  guint32 bits = 0;

  for (char **w = list; *w; w++) {
    guint i = 0;
    while (i < EK_N_TABLES && strcmp (tables[i].name, *w) != 0)
      i++;
    if (i == EK_N_TABLES)
      return 0;
    bits |= 1u << i;
  }
  return bits;
}

guint32
ek_tables_roles (guint32 bits)
{
  guint32 roles = 0;

  for (guint i = 0; i < EK_N_TABLES; i++)
    if (bits & 1u << i)
      roles |= tables[i].roles;
  return roles;
}

guint32
ek_module_roles (const EkModule *module)
{
  return ek_tables_roles (ek_module_tables (module))
         | (module->flags & (EK_ROOT_INIT | EK_HELPER) ? EK_ROLE_BIT (EK_ROLE_MASTER) : 0);
}

/* ---- blocks ---- */

typedef struct {
  char **module_path;
} Top;

static const EkOption top_options[] = {
  EK_OPTION (Top, module_path, "", "Folders in which modules are looked for, in this order; none: where Ekiden is "
             "installed. Neither they nor the modules in them may be written by others than root."),
  EK_OPTIONS_END
};

static const EkBlockType top = {
  .kind = "", .doc = "Settings of the whole server.", .options = top_options, .size = sizeof (Top),
  .flags = EK_BLOCK_SINGLE | EK_BLOCK_SCOPE, .roles = EK_ROLES_ALL,
};

static GPtrArray *types;

void
ek_block_register (const EkBlockType *type)
{
  if (types == NULL) {
    types = g_ptr_array_new ();
    g_ptr_array_add (types, (gpointer) &top);
  }
  if (type && !g_ptr_array_find (types, type, NULL))
    g_ptr_array_add (types, (gpointer) type);
}

const EkBlockType *
ek_block_type (guint i)
{
  ek_block_register (NULL);
  return i < types->len ? types->pdata[i] : NULL;
}

bool
ek_block_is_kind (const char *kind, const char *parent)
{
  const EkBlockType *type;

  for (guint i = 0; (type = ek_block_type (i)); i++)
    if (strcmp (type->kind, kind) == 0 && g_strcmp0 (type->parent, parent) == 0)
      return true;
  return false;
}
