/* controller.h - the control role: the socket that `ekiden` asks
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/role.h"

extern const EkRoleOps ek_control_role;
void ek_control_blocks_register (void);
