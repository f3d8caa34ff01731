/* show.h - `ekiden config show`: the values of a generation, and where each comes from
 * SPDX-License-Identifier: Apache-2.0
 *
 *   listener.mx.address = 0.0.0.0:25        # /etc/ekiden/ekiden.conf:12
 *   queue.lifetime = 5d                     # default
 * The left sides are what `config set` takes.  Secrets show as (hidden).
 */
#pragma once
#include "module/generation.h"

typedef struct {
  bool        all;                   /* with defaults, and what a listener inherits for its protocol */
  const char *name;                  /* only what lies at or below this path, or an instance's name; NULL: all */
  bool        json;
} EkShow;

/* How many settings were written to `out`. */
guint ek_config_show (const EkGeneration *gen, const EkShow *show, EkBuf *out);

/* etc/reference.conf and the SETTINGS section of ekiden.conf(5): the core's blocks, then the modules of the
 * path (NULL: the default), which are loaded for it.  Modules that do not load are left out. */
void  ek_reference_write (const char *module_path, EkBuf *out);
void  ek_manual_write (const char *module_path, EkBuf *out);
/* The same rows as JSON: an array of blocks; `out` is empty. */
void  ek_settings_json (const char *module_path, EkBuf *out);
