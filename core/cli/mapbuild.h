/* mapbuild.h - `ekiden map build`, and which modules can
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <glib.h>

int        ek_cli_map_build (int argc, char **argv);
/* The names of installed modules that can; with a free function. */
GPtrArray *ek_map_build_types (const char *module_path);
