/* roles.h - all the roles of this program
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Registers the operations of every role and the configuration blocks they read.  Once, first thing in main(). */
void ek_roles_register (void);
