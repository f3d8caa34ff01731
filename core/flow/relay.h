/* relay.h - the relay role: mail to other hosts
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/role.h"

extern const EkRoleOps ek_relay_role;
