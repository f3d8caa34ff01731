/* tls.h - the tls role: private keys and TLS state; feeds plain bytes to edges and store
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/role.h"

extern const EkRoleOps ek_tls_role;
