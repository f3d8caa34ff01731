/* password.h - commands that ask for a password
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/base.h"

/* Reads a password into `out` (ek_buf_wipe() it): from the terminal without echo, twice when `twice`, or one
 * line from standard input when that is no terminal.  False and *error: none, too long, not the same. */
bool ek_cli_password (const char *prompt, bool twice, EkBuf *out, GError **error);

/* Makes a scheme known that a module offers, by loading the modules there are.  False: there is none. */
bool ek_cli_scheme (EkStr scheme);

/* "{SCHEME}hash" of a password that is asked for, or `given` when it is one; `scheme` NULL: the usual one.  To be wiped and g_free()d; NULL
 * and *error. */
char *ek_cli_stored (const char *scheme, gint rounds, const char *given, GError **error);
