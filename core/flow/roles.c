/* roles.c - all the roles of this program
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow/roles.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "flow/edge.h"
#include "flow/controller.h"
#include "flow/logger.h"
#include "flow/relay.h"
#include "flow/store.h"
#include "flow/tls.h"
#include "proc/blocks.h"
#include "proc/logrole.h"
#include "proc/role.h"
#include "queue/queue.h"

void
ek_roles_register (void)
{
  ek_blocks_register ();
  ek_domain_blocks_register ();
  ek_store_blocks_register ();
  ek_block_register (&ek_log_block);
  ek_role_register (&ek_edge_role);
  ek_role_register (&ek_tls_role);
  ek_role_register (&ek_directory_role);
  ek_role_register (&ek_store_role);
  ek_block_register (&ek_queue_block);
  ek_block_register (&ek_auth_block);
  ek_control_blocks_register ();
  ek_role_register (&ek_queue_role);
  ek_role_register (&ek_relay_role);
  ek_role_register (&ek_control_role);
  ek_role_register (&ek_log_role);
}
