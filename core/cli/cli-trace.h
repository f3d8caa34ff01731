/* cli-trace.h - `ekiden trace`
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* argv[0] is "trace".  Exit status: 0 told, 1 nothing is known, 2 trouble (said on standard error). */
int ek_cli_trace (int argc, char **argv);
