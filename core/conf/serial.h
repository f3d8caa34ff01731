/* serial.h - a configuration tree as bytes, for the channel from master to a role
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends are the same binary (the channel compares build stamps first), so the form is not kept
 * stable; it is still read as hostile input.  Secrets are in it: send it over a socketpair only,
 * and wipe the buffer.
 */
#pragma once
#include "conf/conf.h"

/* Appends the top-level settings and those blocks whose `roles` has a bit of `roles`
 * (G_MAXUINT32: all of them). */
void    ek_conf_serialise (const EkConf *conf, guint32 roles, EkBuf *out);
/* NULL and *error when the bytes are not what ek_conf_serialise() makes.  Nothing in the tree
 * points into `bytes`. */
EkConf *ek_conf_unserialise (const void *bytes, gsize n, GError **error);
