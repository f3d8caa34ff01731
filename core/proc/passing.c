/* passing.c - descriptors that come along with a channel's messages, also when hardly any more may be open here
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proc/passing.h"
#include "proc/channel.h"
#include "proc/priv.h"
#include "base/log.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEAR 16                      /* fewer left than that */

static __thread int  reserve = -1;
static __thread bool tight;

static void
lost (GArray *fds, const char *name)
{
  static __thread gint64 said;
  int gap = EK_FD_LOST;

  g_array_append_val (fds, gap);
  if (said > 0 && ek_now () - said < G_USEC_PER_SEC)
    return;
  said = ek_now ();
  ek_log (EK_ERR, "channel", "%s: a descriptor was lost, no more may be open here: raise LimitNOFILE", name);
}

gssize
ek_passing_read (int sock, void *bytes, gsize size, GArray *fds, const char *name)
{
  union {
    char           bytes[CMSG_SPACE (sizeof (int) * EK_CHANNEL_FDS)];
    struct cmsghdr align;
  } control;
  struct iovec iov = { bytes, size };
  struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
  guint before = fds->len;

  if (tight && reserve >= 0) {
    close (reserve);
    reserve = -1;
  }
  gssize n = recvmsg (sock, &msg, MSG_CMSG_CLOEXEC);
  if (n <= 0)
    return n;
  for (struct cmsghdr *c = CMSG_FIRSTHDR (&msg); c; c = CMSG_NXTHDR (&msg, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
      g_array_append_vals (fds, CMSG_DATA (c), (guint) ((c->cmsg_len - CMSG_LEN (0)) / sizeof (int)));
  if (fds->len > before)
    tight = ek_priv_few_left (g_array_index (fds, int, fds->len - 1), NEAR);
  if (msg.msg_flags & MSG_CTRUNC) {
    tight = true;
    lost (fds, name);
  }
  return n;
}

void
ek_passing_done (void)
{
  if (reserve < 0)
    reserve = eventfd (0, EFD_CLOEXEC);
}

/* ---- of one message ---- */

int
ek_msg_take_fd (EkMsg *msg, guint i)
{
  if (i >= msg->n_fds || msg->fds[i] < 0)
    return -1;
  int fd = msg->fds[i];
  msg->fds[i] = EK_FD_TAKEN;
  return fd;
}

int
ek_msg_take_stream (EkMsg *msg, guint i)
{
  int fd = ek_msg_take_fd (msg, i), type = 0;
  socklen_t n = sizeof type;

  if (fd >= 0 && (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_STREAM)) {
    close (fd);
    return -1;
  }
  return fd;
}

bool
ek_msg_lost_fd (const EkMsg *msg, guint i)
{
  return i < msg->n_fds && msg->fds[i] == EK_FD_LOST;
}
