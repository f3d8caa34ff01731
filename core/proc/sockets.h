/* sockets.h - master's listening sockets: bound, taken over from the plan before, or from the program before
 * SPDX-License-Identifier: Apache-2.0
 *
 * master alone.
 */
#pragma once
#include "proc/plan.h"

/* Gives each socket of the plan a descriptor: a copy of the one that `old` (may be NULL) has for the address, one that this
 * process inherited, or a new one.  false: what could not be bound is in `errors`, a line each. */
bool  ek_sockets_bind (EkPlan *plan, EkPlan *old, GString *errors);
/* Closes those that were inherited and not taken. */
void  ek_sockets_forget (void);
/* Before another program is run in place of this one: its descriptors stay open, and the environment variable that names
 * them to ek_sockets_bind() there is returned: g_free. */
char *ek_sockets_pass (const EkPlan *plan);
