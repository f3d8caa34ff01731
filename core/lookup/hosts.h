/* hosts.h - the servers that a block's `hosts` names, and which of them answered last
 * SPDX-License-Identifier: Apache-2.0
 *
 *   /run/postgresql            a unix socket, or the folder that it lies in
 *   db1.example.com            a name; the port is the block's
 *   db1.example.com:5433       192.0.2.1:5433       [2001:db8::1]:5433       2001:db8::1
 *
 * Any thread.
 */
#pragma once
#include <ekiden/ekiden.h>

#define EK_HOSTS_MAX 16

typedef struct {
  const char *text;                  /* as typed, for messages */
  const char *name;                  /* without port and brackets, or the path */
  guint16     port;                  /* 0: unix */
  bool        is_unix, is_address;
  bool        is_near;               /* unix, or loopback: nobody listens in between */
} EkHost;

typedef struct EkHosts EkHosts;

/* NULL and *error: there are none, too many, or one cannot be read. */
EkHosts      *ek_hosts_new (char **texts, guint16 port, GError **error);
void          ek_hosts_free (EkHosts *hosts);                /* NULL is fine */
guint         ek_hosts_count (const EkHosts *hosts);
const EkHost *ek_hosts_at (const EkHosts *hosts, guint i);

/* All of them, in the order in which to try: those that are up first, each time beginning at another one, so that they share the
 * work; then those that failed within the last ten seconds. */
void          ek_hosts_order (EkHosts *hosts, guint order[EK_HOSTS_MAX]);
void          ek_hosts_mark (EkHosts *hosts, guint i, bool up);

/* The addresses of a host as text, with commas between them, at most `max` of them.  An address is its own; a name is asked for aside
 * until `deadline`.  NULL and *error (EK_DEFER's): none.  g_free() it. */
char         *ek_host_addresses (const EkHost *host, guint max, gint64 deadline, GError **error);
