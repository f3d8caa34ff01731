/* priv.h - every privileged call: who a worker becomes and what it gives up
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"

typedef struct {
  gint64      uid, gid;              /* -1: stay who we are (not root) */
  const char *chroot;                /* NULL: none */
} EkIdentity;

/* First: no supplementary groups, the uid and gid, no core dumps, umask 077, no new privileges.  Keeps
 * just the right to chroot when one is asked for.  Modules are loaded after this. */
bool ek_priv_become (const EkIdentity *who, GError **error);
/* Then: the chroot, and the last capability is gone.  Checks that root cannot be had back. */
bool ek_priv_enclose (const EkIdentity *who, GError **error);
/* The uid and gid of a user name; -1s and true when we are not root. */
bool ek_priv_lookup (const char *user, EkIdentity *who, GError **error);
bool ek_priv_am_root (void);
/* Closes everything from `first` up. */
void ek_priv_close_from (int first);
/* Raises the soft limit of descriptors to the hard one; returns it. */
guint ek_priv_descriptors (void);
/* After `fd`, the lowest that was free, this process may open fewer than `spare`; any thread. */
bool  ek_priv_few_left (int fd, guint spare);
