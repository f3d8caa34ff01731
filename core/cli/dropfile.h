/* dropfile.h - writes one message durably into the drop folder; it may be setgid just for that
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file's form is in queue/drop.h.  A program that is setgid has its group's rights only while it touches the
 * folder: everything else happens with the caller's own.
 */
#pragma once
#include "base/base.h"
#include <stdio.h>

typedef struct EkDropFile EkDropFile;

/* Before anything else: the group's rights are put aside, and a set-id program forgets its environment. */
void ek_drop_begin (void);
/* Are we more than our caller? */
bool ek_drop_is_setid (void);
/* Gives the group's rights up for good: for mailq, which needs none. */
void ek_drop_forgo (void);

/* NULL and *error, whose code is an errno value. */
EkDropFile *ek_drop_new (const char *folder, GError **error);
bool        ek_drop_write (EkDropFile *self, const void *bytes, gsize n, GError **error);
/* Durable, under its last name; frees. */
bool        ek_drop_commit (EkDropFile *self, GError **error);
void        ek_drop_free (EkDropFile *self);     /* removes what was not committed; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkDropFile, ek_drop_free)
