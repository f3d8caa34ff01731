/* conn.c - connections, threads and the line that reports
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

struct options o = { .host = "127.0.0.1",
                     .user = "user%d",
                     .pass = "pass",
                     .domain = "bench.test",
                     .box = "INBOX",
                     .tls = "smtp",
                     .out = ".",
                     .from = "sender@example.test",
                     .sessions = 1,
                     .n = 1,
                     .size = 4096,
                     .rcpts = 1,
                     .users = 100,
                     .per_conn = 1000000,
                     .idle_s = 30,
                     .pause_ms = 20 };

atomic_int next_op, failed, done_ops;
double *lat;
SSL_CTX *tctx;

static SSL_CTX **named; /* -C: of each user */

double
now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int
cmpd (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

void
report (const char *mode, int n, double secs, const char *extra)
{
  int bad = atomic_load (&failed), ok = 0;
  for (int i = 0; i < n; i++)
    if (lat[i] > 0)
      lat[ok++] = lat[i];
  qsort (lat, ok, sizeof *lat, cmpd);
  printf ("{\"mode\":\"%s\",\"n\":%d,\"failed\":%d,\"seconds\":%.3f,\"per_second\":%.1f", mode, ok,
          bad, secs, secs > 0 ? ok / secs : 0);
  if (ok)
    printf (",\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f", lat[ok / 2] * 1e3,
            lat[(int)(ok * 0.99)] * 1e3, lat[ok - 1] * 1e3);
  struct rusage used;
  getrusage (RUSAGE_SELF, &used);
  printf (",\"load_cpu_s\":%.3f", used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6);
  printf ("%s}\n", extra ? extra : "");
  fflush (stdout);
}

int
c_open (struct conn *c)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons (o.port) };
  inet_pton (AF_INET, o.host, &a.sin_addr);
  c->r = c->w = 0;
  c->bytes = 0;
  c->ssl = NULL;
  c->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0)
    return -1;
  int one = 1;
  setsockopt (c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct timeval tv = { .tv_sec = 90 };
  setsockopt (c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
  if (connect (c->fd, (struct sockaddr *)&a, sizeof a)) {
    close (c->fd);
    c->fd = -1;
    return -1;
  }
  return 0;
}

static SSL_CTX *
client_context (void)
{
  SSL_CTX *made = SSL_CTX_new (TLS_client_method ());
  SSL_CTX_set_verify (made, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_session_cache_mode (made, SSL_SESS_CACHE_OFF);
  return made;
}

/* All that a handshake needs but itself, so that it is done before anything is measured. */
void
tls_begin (void)
{
  char path[4096];
  tctx = client_context ();
  if (!o.certificates)
    return;
  named = calloc (o.users, sizeof *named);
  for (int i = 0; i < o.users; i++) {
    snprintf (path, sizeof path, o.certificates, i + 1);
    named[i] = client_context ();
    if (SSL_CTX_use_certificate_chain_file (named[i], path) != 1 || SSL_CTX_use_PrivateKey_file (named[i], path, SSL_FILETYPE_PEM) != 1) {
      fprintf (stderr, "mailload: %s has no certificate and key\n", path);
      exit (2);
    }
  }
}

/* The handshake, with the certificate of user `number` where there are any. */
int
c_tls (struct conn *c, int number)
{
  c->ssl = SSL_new (named ? named[number % o.users] : tctx);
  SSL_set_fd (c->ssl, c->fd);
  return SSL_connect (c->ssl) == 1 ? 0 : -1;
}

void
c_close (struct conn *c)
{
  if (c->ssl) {
    SSL_free (c->ssl);
    c->ssl = NULL;
  }
  if (c->fd >= 0)
    close (c->fd);
  c->fd = -1;
}

int
c_fill (struct conn *c)
{
  if (c->r == c->w)
    c->r = c->w = 0;
  else if (c->w == sizeof c->buf) {
    memmove (c->buf, c->buf + c->r, c->w - c->r);
    c->w -= c->r;
    c->r = 0;
  }
  if (c->w == sizeof c->buf)
    return -1;
  ssize_t k = c->ssl ? SSL_read (c->ssl, c->buf + c->w, sizeof c->buf - c->w)
                     : read (c->fd, c->buf + c->w, sizeof c->buf - c->w);
  if (k <= 0)
    return -1;
  c->w += k;
  c->bytes += k;
  return 0;
}

/* one line without its CRLF; NULL at an error; valid until the next call */
char *
c_line (struct conn *c, size_t *len)
{
  size_t from = 0;
  for (;;) {
    char *nl = memchr (c->buf + c->r + from, '\n', c->w - c->r - from);
    if (nl) {
      char *s = c->buf + c->r;
      size_t n = nl - s;
      c->r = nl - c->buf + 1;
      if (n && s[n - 1] == '\r')
        n--;
      s[n] = 0;
      if (len)
        *len = n;
      return s;
    }
    from = c->w - c->r;
    if (c_fill (c))
      return NULL;
  }
}

int
c_skip (struct conn *c, size_t n)
{
  while (n) {
    size_t have = c->w - c->r;
    if (!have) {
      if (c_fill (c))
        return -1;
      continue;
    }
    if (have > n)
      have = n;
    c->r += have;
    n -= have;
  }
  return 0;
}

int
c_write (struct conn *c, const char *p, size_t n)
{
  while (n) {
    ssize_t k = c->ssl ? SSL_write (c->ssl, p, n) : write (c->fd, p, n);
    if (k <= 0)
      return -1;
    p += k;
    n -= k;
  }
  return 0;
}

int
c_printf (struct conn *c, const char *f, ...)
{
  char b[4096];
  va_list ap;
  va_start (ap, f);
  int n = vsnprintf (b, sizeof b, f, ap);
  va_end (ap);
  return c_write (c, b, n);
}

double
run_threads (void *(*f) (void *))
{
  pthread_t *t = calloc (o.sessions, sizeof *t);
  lat = calloc (o.n + 1, sizeof *lat);
  double a = now ();
  for (int i = 0; i < o.sessions; i++)
    pthread_create (&t[i], NULL, f, (void *)(long)i);
  for (int i = 0; i < o.sessions; i++)
    pthread_join (t[i], NULL);
  free (t);
  return now () - a;
}

int
listen_on (int port)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons (port) };
  inet_pton (AF_INET, o.host, &a.sin_addr);
  int l = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt (l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (l, (struct sockaddr *)&a, sizeof a) || listen (l, 1024)) {
    perror ("listen");
    exit (1);
  }
  return l;
}
