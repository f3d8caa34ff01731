/* editpath.h - the way to a setting, KIND[.NAME][.KIND[.NAME]].KEY, and its change in the text
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "conf/conf.h"

typedef struct {
  const EkConfBlock   *block;        /* NULL: is not there yet, see kind and name */
  const EkConfSetting *setting;      /* NULL: is not set in the block */
  const char          *kind, *name;  /* of the block that is missing; name may be NULL */
  const char          *key;
} EkConfTarget;

/* False and *error when the path cannot be one.  Strings are in the pool. */
bool ek_conf_target (const EkConf *conf, const char *path, EkPool *pool, EkConfTarget *target, GError **error);

/* Appends `text`, the file that the target lies in (the main one for a block that is missing), with the value
 * changed; *line is where it stands then.  False: the text is not what the tree was made from. */
bool ek_conf_edit_text (const EkConf *conf, const EkConfTarget *target, EkStr text, const char *value, EkBuf *out,
                        guint *line);
