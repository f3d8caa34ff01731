/* otherbuild.c - a module that another build of Ekiden was meant to load
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>

extern const EkModule ek_module;
G_MODULE_EXPORT const EkModule ek_module = { .abi = EK_ABI, .build = "0.0.1-pdp11", .name = "otherbuild" };
