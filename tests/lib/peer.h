/* peer.h - tests: a server in a thread that answers, babbles, dawdles or hangs up, as it is told
 * SPDX-License-Identifier: Apache-2.0
 *
 * It serves one connection at a time; to each request it says the next of its answers.  A request is what arrives at once, or with
 * `http` a head and its Content-Length.
 */
#pragma once
#include <ekiden/ekiden.h>

#define HOLD    "\001"               /* says nothing until the client goes */
#define HANG_UP "\002"               /* closes */
#define ENDLESS "\003"               /* what follows, and then one x after the other, as fast as they are taken */
#define DRIP    "\004"               /* what follows, a byte at a time, and then one x after the other, slowly */

typedef struct {
  int                fd;
  guint16            port;
  char              *path;           /* a unix socket's; else NULL */
  GThread           *thread;
  const char *const *answers;        /* NULL-terminated; behind the last it hangs up */
  guint              next;
  bool               http;
  GMutex             lock;           /* the two below */
  GString           *heard;
  guint              connections;
} Peer;

/* On loopback, or with `path` at a unix socket. */
void  peer_start (Peer *peer, const char *const *answers, bool http, const char *path);
/* When its clients are gone. */
void  peer_stop (Peer *peer);
/* All requests so far, up to a NUL. */
void  peer_assert_heard (Peer *peer, const char *want);
guint peer_connections (Peer *peer);
