/* storeconf.h - what is configured of the store role
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/blocks.h"

typedef struct {                     /* block store { } */
  gint64      index_open_max;
  const char *separator, *index_folder;
  gint64      mailboxes_max, connections, connections_per_user;
} EkStoreConf;

typedef struct {                     /* block special "Sent" { } */
  const char *use;
  bool        create, subscribe;
} EkSpecialConf;

extern const EkBlockType ek_store_block, ek_special_block;
