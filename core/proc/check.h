/* check.h - the configuration, checked by a child that has no rights
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "module/generation.h"

#define EK_CHECK_LOGIN (1u << 31)    /* in a listener block's mask: its protocol goes on in store */

/* What else is looked at in the child, where no rights are. */
typedef void (*EkCheckFunc) (gpointer data, EkProblems *problems);

/* Forks a child that becomes nobody, loads the modules that `conf` names and makes the instances.  True:
 * EkConfBlock.roles are set in `conf`, and *login has the names of listeners whose clients log in to
 * a mailbox.  False: its errors are in `problems`.  Blocks for as long as the modules take, 30 s at
 * most. */
bool ek_check_conf (EkConf *conf, GHashTable *login, EkCheckFunc more, gpointer data, EkProblems *problems);
