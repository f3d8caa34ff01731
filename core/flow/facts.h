/* facts.h - what several channel messages carry: a client's connection, a user's record
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "proc/pack.h"

void ek_client_copy (EkPool *pool, EkClient *to, const EkClient *from);       /* strings in the pool */
void ek_pack_client (EkBuf *buf, const EkClient *client);
void ek_unpack_client (EkUnpack *in, EkPool *pool, EkClient *client);      /* strings in the pool */
void ek_pack_user (EkBuf *buf, const EkUser *user);
void ek_unpack_user (EkUnpack *in, EkPool *pool, EkUser *user);            /* strings in the pool */
void ek_user_copy (EkPool *pool, EkUser *to, const EkUser *user);
EkStr ek_unpack_copy (EkUnpack *in, EkPool *pool);                         /* a string, copied */
