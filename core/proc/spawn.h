/* spawn.h - starts this program again as a worker
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"
#include <sys/types.h>

typedef struct {
  pid_t pid;
  int   channel;                     /* master's end */
  int   log;                         /* reading end of the worker's log pipe */
} EkSpawned;

/* Path of this program as it was started: the file that is there *now* is what runs next, also after an upgrade. */
bool ek_spawn_init (const char *argv0, GError **error);
const char *ek_spawn_program (void);
/* Forks and re-executes: descriptors 0-2 are /dev/null (2 stays with `keep_stderr`), 3 the channel, 4 the log pipe,
 * nothing else; the environment is empty but for what tests and debuggers need. */
bool ek_spawn (const char *name, bool keep_stderr, EkSpawned *made, GError **error);
/* Runs the program that is on disk now with --check, without waiting: *out is where what it says is read, which does not block, the
 * caller's.  -1: error. */
pid_t ek_spawn_check (const char *conf_path, int *out, GError **error);
/* The environment that passes on, for master's own re-execution too.  g_strfreev. */
char **ek_spawn_environment (void);
