/* tlsproof.h - the tls role's word for a client's certificate, which an edge carries to directory and cannot make
 * SPDX-License-Identifier: Apache-2.0
 *
 * A login by certificate (EXTERNAL) rests on a name that tls has read and an edge tells.  So that a broken edge names nobody who was
 * not there, tls puts a MAC behind the name, by a key that master tells tls and directory alone, over listener, edge and time too.
 */
#pragma once
#include "base/base.h"

/* Of this process, before the first client; another length is ignored.  Without one no proof is good. */
void  ek_tls_proof_use_key (EkStr key);
/* `edge`: its index.  `now`: monotonic us, which is the same for all processes of a machine. */
EkStr ek_tls_proof_make (EkPool *pool, const char *name, const char *listener, guint edge, gint64 now);
/* Good for an hour: clients log in soon after they have come. */
bool  ek_tls_proof_good (EkStr proof, const char *name, const char *listener, guint edge, gint64 now);
