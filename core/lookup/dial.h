/* dial.h - a socket to one address of a server after the other, and waiting for what happens on it, never longer than asked
 * SPDX-License-Identifier: Apache-2.0
 *
 * Job threads.  Times are monotonic, in microseconds.
 */
#pragma once
#include "lookup/hosts.h"
#include <sys/socket.h>

#define EK_DIAL_MAX 8                /* addresses of one name that are tried */

/* Waits for one of the events of poll(2).  0; ETIMEDOUT: the deadline passed; ECANCELED: `call` (NULL is fine) was given up meanwhile;
 * or what poll() says. */
int   ek_dial_wait (int fd, short events, gint64 deadline, const EkCall *call);

/* The addresses of a host, or of its unix socket, in the resolver's order: how many.  0 and *error: none, or none in time. */
guint ek_dial_addresses (const EkHost *host, gint64 deadline, struct sockaddr_storage out[EK_DIAL_MAX], GError **error);

/* A connected socket that does not block, the caller's to close; -1 and errno, which may be ek_dial_wait()'s. */
int   ek_dial (const struct sockaddr_storage *to, gint64 deadline, const EkCall *call);
