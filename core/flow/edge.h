/* edge.h - the edge role: clients until they are logged in
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "flow/session.h"
#include "proc/role.h"

extern const EkRoleOps ek_edge_role;

/* For ek_submit_*: queue's word on whether it takes mail; its process is gone; nobody shall wait for it any more. */
void ek_edge_accepting (bool accepting, const char *why);
void ek_edge_queue_gone (void);
void ek_edge_await_no_more (void);
/* Whether the client's address is in `trusted`. */
bool ek_session_trusted (EkSession *s);
