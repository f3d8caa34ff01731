/* store.h - the store role: mailboxes, sessions after login, local delivery
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "index/box.h"
#include "proc/role.h"

extern const EkRoleOps ek_store_role;

void ek_store_blocks_register (void);
/* storedeliver.c: EK_S_DELIVER. */
void ek_store_deliver (EkMsg *msg);
void ek_store_told (EkMsg *msg);      /* EK_S_RETIRED, EK_S_UNSURE */
void ek_store_deliver_start (EkIndexes *set);
void ek_store_deliver_end (void);
guint ek_store_delivering (void);
/* Any thread.  False: this user is another worker's, or landlock keeps us from his folder; error says what to do. */
bool ek_store_reaches (const EkUser *user, GError **error);
/* The mailbox instance of that name, or NULL.  *gen, unless gen is NULL: the generation it lives in, for the caller to unref. */
EkInstance *ek_store_format (const char *name, EkGeneration **gen);
void ek_store_maybe_done (void);      /* a session or delivery has ended */
