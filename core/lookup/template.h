/* template.h - texts with a user's name in them: "/var/mail/%d/%n"
 * SPDX-License-Identifier: Apache-2.0
 *
 *   %u  %{user}      the whole name
 *   %n  %{username}  what is before the last @, or all of it
 *   %d  %{domain}    what is behind the last @, or nothing
 *   %%               a percent sign
 * L or U between % and the letter makes it lower or upper case (ASCII): %Lu.
 */
#pragma once
#include <ekiden/ekiden.h>

/* False and *error when the text has another % sequence.  `what` names the option in the message. */
bool  ek_template_check (const char *what, const char *text, GError **error);

/* The text for `user`, in the pool.  With `path`, NULL and *error (EK_DEFER's) when a part of the
 * name would leave its folder: one that is empty, begins with a dot or has a '/'. */
char *ek_template_expand (EkPool *pool, const char *text, const char *user, bool path, GError **error);
