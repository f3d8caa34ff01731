/* doors.h - the listening sockets of a role: who knocks is let in, turned away when descriptors are used up, and counted
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread only.
 */
#pragma once
#include "loop/loop.h"

typedef struct EkDoors EkDoors;

/* A client, accepted: `fd` is the callee's, not blocking, TCP_NODELAY set.  `client` has addresses and ports, and lives for
 * the call. */
typedef void (*EkKnockFunc) (const char *listener, bool login, int fd, const EkClient *client);

/* `who` is the component that logs. */
EkDoors *ek_doors_new (EkLoop *loop, const char *who, EkKnockFunc func);
void     ek_doors_open (EkDoors *doors, const char *listener, const char *address, bool login, int fd);      /* takes fd */
void     ek_doors_close (EkDoors *doors, const char *listener, const char *address);
void     ek_doors_close_all (EkDoors *doors);    /* nobody else is let in */
void     ek_doors_free (EkDoors *doors);         /* NULL is fine */

/* ---- how many are here from one address ---- */

typedef struct EkCounts EkCounts;
typedef struct {
  char net[46];                      /* an IPv4 address or a /64 of IPv6; empty: not counted */
} EkCounted;

EkCounts *ek_counts_new (void);
/* false: there are `max` already. */
bool      ek_counts_add (EkCounts *counts, const char *address, guint max, EkCounted *counted);
void      ek_counts_remove (EkCounts *counts, EkCounted *counted);
void      ek_counts_free (EkCounts *counts);
