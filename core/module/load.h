/* load.h - finds a module by its name and loads it, once for the process and for ever
 * SPDX-License-Identifier: Apache-2.0
 *
 * A NAME is [a-z][a-z0-9_]*.  Looked for among the built-in ones (configure --enable-module-NAME=static),
 * then as FOLDER/NAME.so in the folders of the path: $EKIDEN_MODULE_PATH (not in a set-id program),
 * else the setting `module_path`, else the folder of `make install`.  A build tree's modules/ works
 * too: FOLDER/NAME/.libs/NAME.so.  A file or folder is refused when others than root and its owner may
 * write it, or when its owner is neither root, nor us, nor who owns the running program.
 * Any thread; loads are serialised.
 */
#pragma once
#include "conf/conf.h"

/* NULL and *error.  `path` is EkConf.module_path or NULL for the default; `asked` is where the
 * configuration named it, or NULL. */
const EkModule *ek_module_load (const char *name, const char *path, const EkConfPos *asked, GError **error);
/* From now on this process loads no module any more (its chroot has no files); those that were asked for since then are
 * counted, so that who asks for a generation can tell "too late" from "not there". */
void  ek_modules_seal (void);
guint ek_modules_refused (void);
const EkModule *ek_module_find (const char *name);         /* when it is loaded or built in, else NULL */
/* A module that is linked into a test program. */
void            ek_module_add (const EkModule *module);

/* The effective path: environment, `setting` (may be NULL), default. */
char *ek_module_path (const char *setting);

typedef struct {
  char *name, *file;                 /* file NULL: built in */
} EkModuleFile;

/* All that could be loaded, by name; EkModuleFile with a free function. */
GPtrArray *ek_module_list (const char *path);
