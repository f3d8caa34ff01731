/* arrival.h - clients between accept() and their session: their names are being asked for
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "ekiden.h"

/* Takes fd over; client->host is the verified name or what it was.  fd is -1: it was given up at the end. */
typedef void (*EkArrivedFunc) (const char *listener, int fd, const EkClient *client, gpointer data);

/* Copies all but data.  func runs exactly once, later, and `limit` bounds how much later.  Loop thread. */
void  ek_arrival (const char *listener, int fd, const EkClient *client, EkTime limit, EkArrivedFunc func, gpointer data);
guint ek_arrivals_count (void);
void  ek_arrivals_end (void);        /* closes all */
