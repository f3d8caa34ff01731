/* peer.c - tests: a server in a thread that answers, babbles, dawdles or hangs up
 * SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"
#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
put (int fd, const char *bytes, gsize n)
{
  for (gsize at = 0; at < n;) {
    gssize sent = send (fd, bytes + at, n - at, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    at += (gsize) sent;
  }
  return true;
}

/* Has the client gone? */
static bool
is_gone (int fd, int ms)
{
  struct pollfd p = { .fd = fd, .events = POLLIN };
  char byte;

  return poll (&p, 1, ms) > 0 && recv (fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void
drip (int fd, const char *text)
{
  while (!is_gone (fd, 10) && put (fd, *text ? text : "x", 1))
    text += *text != '\0';
}

static void
flood (int fd, const char *text)
{
  char many[4096];

  memset (many, 'x', sizeof many);
  if (put (fd, text, strlen (text)))
    while (put (fd, many, sizeof many))
      ;
}

/* False: the connection is over. */
static bool
say (Peer *peer, int fd)
{
  const char *text = peer->answers[peer->next] ? peer->answers[peer->next++] : HANG_UP;

  switch (text[0]) {
  case '\001':
    while (!is_gone (fd, 1000))
      ;
    return false;
  case '\002':
    return false;
  case '\003':
    flood (fd, text + 1);
    return false;
  case '\004':
    drip (fd, text + 1);
    return false;
  default:
    return put (fd, text, strlen (text));
  }
}

static bool
is_whole (const Peer *peer, const char *request)
{
  const char *end = strstr (request, "\r\n\r\n"), *length = g_strstr_len (request, end ? end - request : 0, "Content-Length: ");

  return !peer->http || (end && (length == NULL || strlen (end + 4) >= g_ascii_strtoull (length + 16, NULL, 10)));
}

static void
serve (Peer *peer, int fd)
{
  g_autoptr (GString) request = g_string_new (NULL);
  char bytes[4096];
  gssize n;

  while ((n = recv (fd, bytes, sizeof bytes, 0)) > 0) {
    g_string_append_len (request, bytes, n);
    if (!is_whole (peer, request->str))
      continue;
    g_mutex_lock (&peer->lock);
    g_string_append_len (peer->heard, request->str, (gssize) request->len);
    g_mutex_unlock (&peer->lock);
    g_string_truncate (request, 0);
    if (!say (peer, fd))
      break;
  }
}

static gpointer
run_peer (gpointer data)
{
  Peer *peer = data;
  int fd;

  while ((fd = accept (peer->fd, NULL, NULL)) >= 0) {
    g_mutex_lock (&peer->lock);
    peer->connections++;
    g_mutex_unlock (&peer->lock);
    serve (peer, fd);
    close (fd);
  }
  return NULL;
}

void
peer_start (Peer *peer, const char *const *answers, bool http, const char *path)
{
  struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct sockaddr_un un = { .sun_family = AF_UNIX };
  socklen_t n = sizeof in;

  *peer = (Peer) { .answers = answers, .http = http, .heard = g_string_new (NULL), .path = g_strdup (path) };
  g_mutex_init (&peer->lock);
  peer->fd = socket (path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (path) {
    g_strlcpy (un.sun_path, path, sizeof un.sun_path);
    g_assert_cmpint (bind (peer->fd, (struct sockaddr *) &un, sizeof un), ==, 0);
  }
  else {
    g_assert_cmpint (bind (peer->fd, (struct sockaddr *) &in, sizeof in), ==, 0);
    g_assert_cmpint (getsockname (peer->fd, (struct sockaddr *) &in, &n), ==, 0);
    peer->port = ntohs (in.sin_port);
  }
  g_assert_cmpint (listen (peer->fd, 8), ==, 0);
  peer->thread = g_thread_new ("peer", run_peer, peer);
}

void
peer_stop (Peer *peer)
{
  shutdown (peer->fd, SHUT_RDWR);
  g_thread_join (peer->thread);
  close (peer->fd);
  if (peer->path)
    g_unlink (peer->path);
  g_free (peer->path);
  g_string_free (peer->heard, TRUE);
  g_mutex_clear (&peer->lock);
}

void
peer_assert_heard (Peer *peer, const char *want)
{
  g_mutex_lock (&peer->lock);
  g_assert_cmpstr (peer->heard->str, ==, want);
  g_mutex_unlock (&peer->lock);
}

guint
peer_connections (Peer *peer)
{
  g_mutex_lock (&peer->lock);
  guint n = peer->connections;
  g_mutex_unlock (&peer->lock);
  return n;
}
