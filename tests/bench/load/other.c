/* other.c - POP3, TLS handshakes, loopback round trips
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

static int
pop_ok (struct conn *c, int multi)
{
  size_t n;
  char *s = c_line (c, &n);
  if (!s || s[0] != '+')
    return -1;
  while (multi && (s = c_line (c, &n)))
    if (n == 1 && s[0] == '.')
      return 0;
  return s ? 0 : -1;
}

void
pop3 (void)
{
  struct conn *c = malloc (sizeof *c);
  double t0 = now (), tl, tr;
  int bad = 0, i;
  if (c_open (c) || pop_ok (c, 0))
    bad = 1;
  c_printf (c, "USER %s\r\n", o.user);
  bad |= pop_ok (c, 0);
  c_printf (c, "PASS %s\r\n", o.pass);
  bad |= pop_ok (c, 0);
  tl = now ();
  c_printf (c, "LIST\r\n");
  bad |= pop_ok (c, 1);
  tr = now ();
  for (i = 0; i < o.n && !bad; i++) {
    c_printf (c, "RETR %d\r\n", i + 1);
    bad |= pop_ok (c, 1);
  }
  double te = now ();
  c_printf (c, "QUIT\r\n");
  bad |= pop_ok (c, 0);
  printf (
      "{\"mode\":\"pop3\",\"n\":%d,\"failed\":%d,\"login_s\":%.4f,\"list_s\":%.4f,\"retr_s\":%.4f,"
      "\"quit_s\":%.4f,\"per_second\":%.1f,\"bytes\":%llu,\"seconds\":%.4f}\n",
      i, !!bad, tl - t0, tr - tl, te - tr, now () - te, i / (te - tr), c->bytes, now () - t0);
}

void *
tls_thread (void *arg)
{
  (void)arg;
  struct conn *c = malloc (sizeof *c);
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    double t = now ();
    int bad = c_open (c);
    if (!bad && !strcmp (o.tls, "smtp")) {
      bad |= smtp_reply (c) != 220;
      c_printf (c, "EHLO client.example.test\r\n");
      bad |= smtp_reply (c) != 250;
      c_printf (c, "STARTTLS\r\n");
      bad |= smtp_reply (c) != 220;
    }
    else if (!bad && !strcmp (o.tls, "imap")) {
      c_line (c, NULL);
      c_printf (c, "a STARTTLS\r\n");
      bad |= imap_wait (c, "a");
    }
    else if (!bad && !strcmp (o.tls, "pop3")) {
      bad |= pop_ok (c, 0);
      c_printf (c, "STLS\r\n");
      bad |= pop_ok (c, 0);
    }
    if (!bad) {
      c->ssl = SSL_new (tctx);
      SSL_set_fd (c->ssl, c->fd);
      bad |= SSL_connect (c->ssl) != 1;
      if (!bad && !strcmp (o.tls, "smtp")) {
        c_printf (c, "QUIT\r\n");
        smtp_reply (c);
      }
    }
    if (bad)
      atomic_fetch_add (&failed, 1);
    else
      lat[i] = now () - t;
    c_close (c);
  }
  free (c);
  return NULL;
}

static void *
echo_srv (void *arg)
{
  int fd = accept4 ((int)(long)arg, NULL, NULL, 0), one = 1;
  char b[64];
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ssize_t k;
  while ((k = read (fd, b, sizeof b)) > 0)
    if (write (fd, b, k) != k)
      break;
  close (fd);
  return NULL;
}

void
echo (void)
{
  int l = listen_on (o.port);
  pthread_t t;
  pthread_create (&t, NULL, echo_srv, (void *)(long)l);
  struct conn *c = malloc (sizeof *c);
  if (c_open (c))
    exit (1);
  lat = calloc (o.n + 1, sizeof *lat);
  char b[64] = "0123456789012345678901234567890";
  double a = now ();
  for (int i = 0; i < o.n; i++) {
    double t1 = now ();
    if (write (c->fd, b, 32) != 32 || read (c->fd, b, 64) <= 0)
      exit (1);
    lat[i] = now () - t1;
  }
  double s = now () - a;
  close (c->fd);
  pthread_join (t, NULL);
  report ("echo", o.n, s, NULL);
}
