/* logger.h - the log role: reads every process's pipe
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/role.h"

extern const EkRoleOps ek_log_role;
