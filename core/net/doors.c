/* doors.c - the listening sockets of a role: who knocks is let in, turned away when descriptors are used up, and counted
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "net/doors.h"
#include "base/log.h"
#include "net/listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_ONCE 16                   /* a flood of clients does not starve those who are in */
#define PAUSE   (100 * 1000)         /* us, when not even a client can be turned away */

typedef struct {
  EkWatch  watch;
  EkDoors *doors;
  char    *listener, *address;
  bool     login;
} Door;

struct EkDoors {
  EkLoop     *loop;
  const char *who;
  EkKnockFunc func;
  GPtrArray  *all;                   /* of Door */
  int         reserve;               /* a descriptor to give up for answering EMFILE */
  gint64      said;
  EkTimer     pause;
};

static void
watch_all (EkDoors *doors, guint32 events)
{
  for (guint i = 0; i < doors->all->len; i++)
    ek_watch_set (doors->loop, &((Door *) doors->all->pdata[i])->watch, events);
}

static void
pause_over (EkTimer *timer)
{
  EkDoors *doors = (EkDoors *) ((char *) timer - G_STRUCT_OFFSET (EkDoors, pause));

  watch_all (doors, EPOLLIN | (guint32) EPOLLEXCLUSIVE);
}

EkDoors *
ek_doors_new (EkLoop *loop, const char *who, EkKnockFunc func)
{
  EkDoors *doors = g_new0 (EkDoors, 1);

  *doors = (EkDoors) { .loop = loop, .who = who, .func = func, .all = g_ptr_array_new (), .pause.func = pause_over };
  doors->reserve = eventfd (0, EFD_CLOEXEC);
  return doors;
}

/* No descriptor is left: take the client with the reserved one and let him go, else the loop would spin.  Where even
 * that fails (the whole machine has none) the doors stay shut for a moment. */
static void
turn_away (Door *door)
{
  EkDoors *doors = door->doors;

  if (doors->reserve >= 0)
    close (doors->reserve);
  int fd = accept4 (door->watch.fd, NULL, NULL, SOCK_CLOEXEC);
  bool failed = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS);
  if (fd >= 0)
    close (fd);
  doors->reserve = eventfd (0, EFD_CLOEXEC);
  if (failed) {
    watch_all (doors, 0);
    ek_timer_set (doors->loop, &doors->pause, PAUSE);
  }
  if (ek_now () - doors->said > G_USEC_PER_SEC) {
    doors->said = ek_now ();
    ek_log (EK_ERR, doors->who, "no descriptors left: clients are turned away; raise LimitNOFILE, or lower "
            "the listeners' limit connections");
  }
}

static void
client_of (int fd, EkClient *c, char remote[static INET6_ADDRSTRLEN], char local[static INET6_ADDRSTRLEN])
{
  struct sockaddr_storage a = { 0 };
  socklen_t n = sizeof a;

  *c = (EkClient) { .address = remote, .local_address = local, .host = "unknown" };
  if (getpeername (fd, (struct sockaddr *) &a, &n) < 0)
    a.ss_family = AF_UNSPEC;
  ek_address_text (&a, remote, INET6_ADDRSTRLEN, &c->port);
  n = sizeof a;
  if (getsockname (fd, (struct sockaddr *) &a, &n) < 0)
    a.ss_family = AF_UNSPEC;
  ek_address_text (&a, local, INET6_ADDRSTRLEN, &c->local_port);
}

static void
knock (EkWatch *watch, guint32 events)
{
  Door *door = (Door *) watch;
  char remote[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
  EkClient client;
  int one = 1;

  for (int i = 0; i < AT_ONCE; i++) {
    int fd = accept4 (watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
      turn_away (door);
    if (fd < 0)
      return;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    client_of (fd, &client, remote, local);
    door->doors->func (door->listener, door->login, fd, &client);
  }
}

void
ek_doors_open (EkDoors *doors, const char *listener, const char *address, bool login, int fd)
{
  Door *door = g_new0 (Door, 1);

  *door = (Door) { .watch = { .fd = fd, .func = knock }, .doors = doors, .listener = g_strdup (listener),
                   .address = g_strdup (address), .login = login };
  g_ptr_array_add (doors->all, door);
  ek_watch_set (doors->loop, &door->watch, EPOLLIN | (guint32) EPOLLEXCLUSIVE);
}

static void
close_door (EkDoors *doors, guint i)
{
  Door *door = doors->all->pdata[i];

  ek_watch_set (doors->loop, &door->watch, 0);
  close (door->watch.fd);
  g_free (door->listener);
  g_free (door->address);
  g_free (door);
  g_ptr_array_remove_index (doors->all, i);
}

void
ek_doors_close (EkDoors *doors, const char *listener, const char *address)
{
  for (guint i = 0; i < doors->all->len; i++) {
    Door *door = doors->all->pdata[i];
    if (strcmp (door->listener, listener) == 0 && strcmp (door->address, address) == 0) {
      close_door (doors, i);
      return;
    }
  }
}

void
ek_doors_close_all (EkDoors *doors)
{
  ek_timer_cancel (doors->loop, &doors->pause);
  while (doors->all->len > 0)
    close_door (doors, 0);
}

void
ek_doors_free (EkDoors *doors)
{
  if (doors == NULL)
    return;
  ek_doors_close_all (doors);
  if (doors->reserve >= 0)
    close (doors->reserve);
  g_ptr_array_unref (doors->all);
  g_free (doors);
}

/* ---- how many are here from one address ---- */

struct EkCounts {
  GHashTable *nets;                  /* net -> number */
};

EkCounts *
ek_counts_new (void)
{
  EkCounts *counts = g_new (EkCounts, 1);

  counts->nets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return counts;
}

bool
ek_counts_add (EkCounts *counts, const char *address, guint max, EkCounted *counted)
{
  char net[INET6_ADDRSTRLEN];
  struct in6_addr a;

  counted->net[0] = '\0';
  g_strlcpy (net, address, sizeof net);
  if (inet_pton (AF_INET6, address, &a) == 1) {
    memset (a.s6_addr + 8, 0, 8);
    inet_ntop (AF_INET6, &a, net, sizeof net);
  }
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (counts->nets, net));
  if (n >= max)
    return false;
  g_hash_table_replace (counts->nets, g_strdup (net), GUINT_TO_POINTER (n + 1));
  g_strlcpy (counted->net, net, sizeof counted->net);
  return true;
}

void
ek_counts_remove (EkCounts *counts, EkCounted *counted)
{
  guint n = counted->net[0] ? GPOINTER_TO_UINT (g_hash_table_lookup (counts->nets, counted->net)) : 0;

  if (n > 1)
    g_hash_table_replace (counts->nets, g_strdup (counted->net), GUINT_TO_POINTER (n - 1));
  else if (n == 1)
    g_hash_table_remove (counts->nets, counted->net);
  counted->net[0] = '\0';
}

void
ek_counts_free (EkCounts *counts)
{
  if (counts)
    g_hash_table_unref (counts->nets);
  g_free (counts);
}
