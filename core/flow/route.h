/* route.h - directory's answer to queue: where a recipient's mail goes (the body of EK_D_ROUTE's answer)
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"

typedef enum {
  EK_ROUTE_LOCAL,                    /* user record, t mailbox instance, u store worker, t folder (NULL: INBOX) */
  EK_ROUTE_REMOTE,                   /* t transport instance, t next hop */
  EK_ROUTE_NOTFOUND,                 /* t enhanced code, t text: bounce */
  EK_ROUTE_DEFER,                    /* the same: later */
  EK_ROUTE_RETRY,                    /* the same: later, because somebody wants it so */
  EK_ROUTE_DISCARD,                  /* the same: it counts as delivered */
} EkRouteKind;
