/* peername.c - a client's name, believed only when it leads back to the client
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/base.h"
#include "loop/loop.h"
#include "net/peername.h"
#include "net/resolver.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 4                  /* of an address; who has more is a shared host, and its first ones will do */

struct EkPeerName {
  EkTimer        timer;
  EkDnsQuery    *query;
  EkPeerNameFunc func;
  gpointer       data;
  guchar         address[16];
  gsize          address_len;        /* 4 or 16 */
  char          *names[NAMES_MAX];
  guint          n_names, next;
};

bool
ek_peer_name_question (const char *address, char *into, gsize n)
{
  guchar b[16];

  if (inet_pton (AF_INET, address, b) == 1) {
    g_snprintf (into, n, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
    return true;
  }
  if (inet_pton (AF_INET6, address, b) != 1)
    return false;
  char *p = into;
  for (int i = 15; i >= 0 && (gsize) (p - into) + 14 < n; i--)
    p += sprintf (p, "%x.%x.", b[i] & 15, b[i] >> 4);
  g_strlcpy (p, "ip6.arpa", n - (gsize) (p - into));
  return true;
}

bool
ek_peer_name_valid (EkStr name)
{
  gsize label = 0;
  bool letter = false;

  if (name.n == 0 || name.n > 253)
    return false;
  for (gsize i = 0; i < name.n; i++) {
    char c = name.p[i];
    if (c == '.' ? label == 0 : !g_ascii_isalnum (c) && c != '_' && (c != '-' || label == 0))
      return false;
    label = c == '.' ? 0 : label + 1;
    letter = letter || (!g_ascii_isdigit (c) && c != '.');
    if (label > 63)
      return false;
  }
  return letter && label > 0;
}

static void
self_free (EkPeerName *self)
{
  ek_timer_cancel (ek_loop_mine (), &self->timer);
  ek_dns_cancel (self->query);
  for (guint i = 0; i < self->n_names; i++)
    g_free (self->names[i]);
  g_free (self);
}

void
ek_peer_name_cancel (EkPeerName *self)
{
  if (self)
    self_free (self);
}

static void
finish (EkPeerName *self, const char *host)
{
  EkPeerNameFunc func = self->func;
  gpointer data = self->data;
  g_autofree char *kept = g_strdup (host);

  self_free (self);
  func (kept, data);
}

static void
too_late (EkTimer *timer)
{
  finish ((EkPeerName *) timer, NULL);
}

static void try_next (EkPeerName *self);

static void
addresses (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  EkPeerName *self = data;

  self->query = NULL;
  for (guint i = 0; status == EK_OK && i < a->n; i++)
    if (a->records[i].data.n == self->address_len && memcmp (a->records[i].data.p, self->address, self->address_len) == 0) {
      finish (self, self->names[self->next - 1]);
      return;
    }
  try_next (self);
}

static void
try_next (EkPeerName *self)
{
  if (self->next == self->n_names)
    finish (self, NULL);
  else
    self->query = ek_dns_query (self->names[self->next++], self->address_len == 4 ? EK_DNS_A : EK_DNS_AAAA, addresses, self);
}

static gint
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Sorted, because answers come in no order and a client's name should not change from one connection to the next. */
static void
names (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  EkPeerName *self = data;
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);

  self->query = NULL;
  for (guint i = 0; status == EK_OK && i < a->n; i++)
    if (ek_peer_name_valid (a->records[i].data))
      g_ptr_array_add (found, g_ascii_strdown (a->records[i].data.p, (gssize) a->records[i].data.n));
  g_ptr_array_sort (found, by_name);
  for (guint i = 0; i < MIN (found->len, NAMES_MAX); i++)
    self->names[self->n_names++] = g_strdup (found->pdata[i]);
  try_next (self);
}

EkPeerName *
ek_peer_name (const char *address, EkTime limit, EkPeerNameFunc func, gpointer data)
{
  EkPeerName *self = g_new0 (EkPeerName, 1);
  char question[80];

  self->timer.func = too_late;
  self->func = func;
  self->data = data;
  self->address_len = inet_pton (AF_INET, address, self->address) == 1 ? 4 : inet_pton (AF_INET6, address, self->address) == 1 ? 16 : 0;
  bool asks = ek_peer_name_question (address, question, sizeof question);
  ek_timer_set (ek_loop_mine (), &self->timer, asks ? limit.us : 0);
  if (asks)
    self->query = ek_dns_query (question, EK_DNS_PTR, names, self);
  return self;
}
