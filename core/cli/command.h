/* command.h - what a module that offers a command of ekiden(1) fills in
 * SPDX-License-Identifier: Apache-2.0
 *
 * `ekiden WORD ...` with a word that is not built in looks for a configured instance whose module offers WORD, and runs
 * it on each: as the caller, in the command's own process, with options set and init() called, without start().
 */
#pragma once
#include "ekiden.h"

G_BEGIN_DECLS

struct EkCommandOps {
  const char *name, *summary;
  /* argv[0] is "ekiden WORD"; -c FILE has been taken off.  The exit status. */
  int       (*run) (EkInstance *self, int argc, char **argv);
};

G_END_DECLS
