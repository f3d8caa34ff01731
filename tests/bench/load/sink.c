/* sink.c - an SMTP server that counts
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

static double first_msg, last_msg;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;

/* reads one message up to its dot; with -v it must be one that mailload made */
static int
take_body (struct conn *c)
{
  size_t n, len = 0, room = o.check ? (size_t)o.size + 65536 : 0;
  unsigned i;
  char *s, *text = o.check ? malloc (room) : NULL;
  while ((s = c_line (c, &n)) && !(n == 1 && s[0] == '.'))
    if (o.check && len + n + 1 < room) {
      memcpy (text + len, s, n);
      text[len + n] = '\n';
      len += n + 1;
    }
  if (s && o.check && !message_is_whole (text, len, &i))
    atomic_fetch_add (&failed, 1);
  free (text);
  return s ? 0 : -1;
}

static void *
sink_conn (void *arg)
{
  struct conn *c = arg;
  char *s;
  size_t n;
  c_printf (c, "220 sink ESMTP\r\n");
  while ((s = c_line (c, &n))) {
    if (!strncasecmp (s, "EHLO", 4) || !strncasecmp (s, "LHLO", 4))
      c_printf (c, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n");
    else if (!strncasecmp (s, "DATA", 4)) {
      c_printf (c, "354 go\r\n");
      if (take_body (c))
        break;
      pthread_mutex_lock (&sink_lock);
      double t = now ();
      if (!first_msg)
        first_msg = t;
      last_msg = t;
      pthread_mutex_unlock (&sink_lock);
      atomic_fetch_add (&done_ops, 1);
      c_printf (c, "250 ok\r\n");
    }
    else if (!strncasecmp (s, "QUIT", 4)) {
      c_printf (c, "221 bye\r\n");
      break;
    }
    else
      c_printf (c, "250 ok\r\n");
  }
  c_close (c);
  free (c);
  return NULL;
}

static void *
sink_accept (void *arg)
{
  int l = (int)(long)arg;
  for (;;) {
    int fd = accept4 (l, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
      continue;
    int one = 1;
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = malloc (sizeof *c);
    c->fd = fd;
    c->ssl = NULL;
    c->r = c->w = 0;
    c->bytes = 0;
    pthread_t t;
    pthread_attr_t at;
    pthread_attr_init (&at);
    pthread_attr_setstacksize (&at, 131072);
    pthread_attr_setdetachstate (&at, PTHREAD_CREATE_DETACHED);
    if (pthread_create (&t, &at, sink_conn, c)) {
      close (fd);
      free (c);
    }
  }
  return NULL;
}

void
sink (void)
{
  int l = listen_on (o.port);
  pthread_t t;
  pthread_create (&t, NULL, sink_accept, (void *)(long)l);
  double start = now (), moved = start;
  int seen = 0;
  while (atomic_load (&done_ops) < o.n && now () - moved < o.idle_s) {
    usleep (5000);
    if (atomic_load (&done_ops) != seen) {
      seen = atomic_load (&done_ops);
      moved = now ();
    }
  }
  printf ("{\"mode\":\"sink\",\"n\":%d,\"seconds\":%.3f,\"since_start\":%.3f,\"wrong\":%d}\n",
          atomic_load (&done_ops), last_msg - first_msg, last_msg - start, atomic_load (&failed));
}
