/* oldabi.c - a module of another interface
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>

extern const EkModule ek_module;
G_MODULE_EXPORT const EkModule ek_module = { .abi = 42, .build = EK_BUILD, .name = "oldabi" };
