/* pairs.h - which roles talk to each other
 * SPDX-License-Identifier: Apache-2.0
 *
 * The arrows of the picture in docs/architecture.md.  A pair that is not here has no channel, so what
 * a broken-into role can reach is read off this table.
 */
#pragma once
#include "module/registry.h"

static inline bool
ek_roles_talk (EkRole a, EkRole b)
{
  static const guint32 talk[EK_N_ROLES] = {
    [EK_ROLE_TLS] = EK_ROLE_BIT (EK_ROLE_EDGE),
    [EK_ROLE_EDGE] = EK_ROLE_BIT (EK_ROLE_TLS) | EK_ROLE_BIT (EK_ROLE_DIRECTORY)
                     | EK_ROLE_BIT (EK_ROLE_QUEUE) | EK_ROLE_BIT (EK_ROLE_STORE),
    [EK_ROLE_DIRECTORY] = EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_QUEUE)
                          | EK_ROLE_BIT (EK_ROLE_STORE) | EK_ROLE_BIT (EK_ROLE_CONTROL),
    [EK_ROLE_QUEUE] = EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_DIRECTORY)
                      | EK_ROLE_BIT (EK_ROLE_RELAY) | EK_ROLE_BIT (EK_ROLE_STORE)
                      | EK_ROLE_BIT (EK_ROLE_CONTROL),
    [EK_ROLE_RELAY] = EK_ROLE_BIT (EK_ROLE_QUEUE),
    [EK_ROLE_STORE] = EK_ROLE_BIT (EK_ROLE_EDGE) | EK_ROLE_BIT (EK_ROLE_DIRECTORY)
                      | EK_ROLE_BIT (EK_ROLE_QUEUE) | EK_ROLE_BIT (EK_ROLE_CONTROL),
    [EK_ROLE_CONTROL] = EK_ROLE_BIT (EK_ROLE_DIRECTORY) | EK_ROLE_BIT (EK_ROLE_QUEUE)
                        | EK_ROLE_BIT (EK_ROLE_STORE),
  };

  return (talk[a] & EK_ROLE_BIT (b)) != 0;
}
