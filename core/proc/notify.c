/* notify.c - tells systemd how we are (sd_notify(3)), without libsystemd
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/notify.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
ek_notify (const char *state)
{
  const char *path = getenv ("NOTIFY_SOCKET");
  struct sockaddr_un a = { .sun_family = AF_UNIX };

  if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen (path) >= sizeof a.sun_path)
    return;
  memcpy (a.sun_path, path, strlen (path));
  if (a.sun_path[0] == '@')
    a.sun_path[0] = '\0';
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  socklen_t n = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + strlen (path));
  if (sendto (fd, state, strlen (state), MSG_NOSIGNAL, (struct sockaddr *) &a, n) < 0) {
    /* nobody listens: not our trouble */
  }
  close (fd);
}
