/* arrival.c - clients between accept() and their session: their names are being asked for
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is read from them: what they say early waits in the kernel.
 */
#include "config.h"
#include "base/base.h"
#include "flow/arrival.h"
#include "flow/facts.h"
#include "net/peername.h"
#include <unistd.h>

typedef struct {
  EkPeerName   *asking;
  EkPool       *pool;
  const char   *listener;
  int           fd;
  EkClient      client;
  EkArrivedFunc func;
  gpointer      data;
  GList         link;
} Arrival;

static GQueue all;

static void
arrived (Arrival *a)
{
  g_queue_unlink (&all, &a->link);
  a->func (a->listener, a->fd, &a->client, a->data);
  ek_pool_free (a->pool);            /* a with it */
}

static void
named (const char *host, gpointer data)
{
  Arrival *a = data;

  if (host)
    a->client.host = ek_pool_strdup (a->pool, host);
  arrived (a);
}

void
ek_arrival (const char *listener, int fd, const EkClient *client, EkTime limit, EkArrivedFunc func, gpointer data)
{
  EkPool *p = ek_pool_new ();
  Arrival *a = ek_pool_new0 (p, Arrival);

  *a = (Arrival) { .pool = p, .listener = ek_pool_strdup (p, listener), .fd = fd, .func = func, .data = data };
  ek_client_copy (p, &a->client, client);
  a->link.data = a;
  g_queue_push_tail_link (&all, &a->link);
  a->asking = ek_peer_name (a->client.address, limit, named, a);
}

guint
ek_arrivals_count (void)
{
  return all.length;
}

void
ek_arrivals_end (void)
{
  while (all.head) {
    Arrival *a = all.head->data;
    ek_peer_name_cancel (a->asking);
    close (a->fd);
    a->fd = -1;
    arrived (a);
  }
}
