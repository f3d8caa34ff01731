/* imap.c - IMAP clients: a script, APPEND, logins, sessions at work, idle connections
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

int
imap_wait (struct conn *c, const char *tag)
{
  size_t n, tl = strlen (tag);
  char *s;
  for (;;) {
    if (!(s = c_line (c, &n)))
      return -1;
    if (!strncmp (s, tag, tl) && s[tl] == ' ')
      return strncmp (s + tl + 1, "OK", 2) ? -2 : 0;
    while (n && s[n - 1] == '}') {
      char *b = memrchr (s, '{', n);
      if (!b || c_skip (c, strtoul (b + 1, NULL, 10)))
        return -1;
      if (!(s = c_line (c, &n)))
        return -1;
    }
  }
}

/* `number`: which of the users. */
static int
imap_login (struct conn *c, const char *user, int number)
{
  if (c_open (c))
    return -1;
  if (o.tls_direct && c_tls (c, number)) /* implicit TLS */
    return -1;
  if (!c_line (c, NULL))
    return -1;
  if (o.mech)
    return imap_auth (c, user, number);
  c_printf (c, "a LOGIN %s %s\r\n", user, o.pass);
  return imap_wait (c, "a");
}

void
imap_script (void)
{
  struct conn *c = malloc (sizeof *c);
  double t0 = now (), t = t0;
  char tag[16];
  if (imap_login (c, o.user, 0)) {
    printf ("{\"mode\":\"imap\",\"failed\":1,\"at\":\"login\"}\n");
    exit (1);
  }
  printf ("{\"mode\":\"imap\",\"failed\":0,\"login_s\":%.4f", now () - t);
  for (int i = 0; i < o.ncmd; i++) {
    unsigned long long b = c->bytes;
    sprintf (tag, "t%d", i);
    t = now ();
    c_printf (c, "%s %s\r\n", tag, o.cmd[i]);
    int rc = imap_wait (c, tag);
    printf (",\"c%d_s\":%.4f,\"c%d_bytes\":%llu", i, now () - t, i, c->bytes - b);
    if (rc)
      printf (",\"c%d_failed\":%d", i, rc);
  }
  printf (",\"seconds\":%.4f}\n", now () - t0);
  c_printf (c, "z LOGOUT\r\n");
  imap_wait (c, "z");
  c_close (c);
  free (c);
}

void *
append_thread (void *arg)
{
  struct conn *c = malloc (sizeof *c);
  char *msg = malloc (o.size + 2048), user[128];
  snprintf (user, sizeof user, o.user, (int)(long)arg + 1);
  int ok = !imap_login (c, user, (int)(long)arg);
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    size_t len = make_message (msg, o.size, i);
    memcpy (msg + len, "\r\n", 2);
    double t = now ();
    if (ok) {
      c_printf (c, "b APPEND %s {%zu}\r\n", o.box, len);
      char *s = c_line (c, NULL);
      if (!s || s[0] != '+' || c_write (c, msg, len + 2) || imap_wait (c, "b"))
        ok = 0;
    }
    if (ok)
      lat[i] = now () - t;
    else
      atomic_fetch_add (&failed, 1);
  }
  c_close (c);
  free (c);
  free (msg);
  return NULL;
}

/* -R RATE: not before its turn. */
static void
await_turn (double start, int i)
{
  double left = o.rate ? start + (double)i / o.rate - now () : 0;
  if (left > 0)
    usleep ((useconds_t)(left * 1e6));
}

void *
login_thread (void *arg)
{
  (void)arg;
  struct conn *c = malloc (sizeof *c);
  double start = now ();
  char user[128];
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    snprintf (user, sizeof user, o.user, i % o.users + 1);
    await_turn (start, i);
    double t = now ();
    int rc = imap_login (c, user, i % o.users);
    if (!rc) {
      lat[i] = now () - t;
      c_printf (c, "z LOGOUT\r\n");
      imap_wait (c, "z");
    }
    else
      atomic_fetch_add (&failed, 1);
    c_close (c);
  }
  free (c);
  return NULL;
}

/* A session with one message that asks and waits, asks and waits: what others' work does to it. */
void *
steady_thread (void *arg)
{
  struct conn *c = malloc (sizeof *c);
  char *msg = malloc (o.size + 2048), user[128];
  snprintf (user, sizeof user, o.user, (int)(long)arg % o.users + 1);
  int ok = !imap_login (c, user, (int)(long)arg % o.users);
  size_t len = make_message (msg, o.size, 0);
  memcpy (msg + len, "\r\n", 2);
  if (ok) {
    c_printf (c, "b APPEND %s {%zu}\r\n", o.box, len);
    char *s = c_line (c, NULL);
    ok = s && s[0] == '+' && !c_write (c, msg, len + 2) && !imap_wait (c, "b");
  }
  if (ok) {
    c_printf (c, "c SELECT %s\r\n", o.box);
    ok = !imap_wait (c, "c");
  }
  usleep ((useconds_t)(long)arg * 977 % (o.pause_ms * 1000 + 1));      /* not all at once */
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    double t = now ();
    if (ok) {
      c_printf (c, i % 2 ? "d FETCH 1 (UID FLAGS BODY.PEEK[])\r\n" : "d NOOP\r\n");
      ok = !imap_wait (c, "d");
    }
    if (ok)
      lat[i] = now () - t;
    else
      atomic_fetch_add (&failed, 1);
    usleep (o.pause_ms * 1000);
  }
  c_close (c);
  free (c);
  free (msg);
  return NULL;
}

static void *
idle_thread (void *arg)
{
  int *fds = arg;
  struct conn *c = malloc (sizeof *c);
  char user[128];
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    snprintf (user, sizeof user, o.user, i % o.users + 1);
    double t = now ();
    int rc = imap_login (c, user, i % o.users);
    if (!rc) {
      c_printf (c, "b SELECT %s\r\n", o.box);
      rc = imap_wait (c, "b");
    }
    if (!rc) {
      c_printf (c, "c IDLE\r\n");
      char *s;
      while ((s = c_line (c, NULL)) && s[0] == '*')
        ;
      if (!s || s[0] != '+')
        rc = -1;
    }
    if (rc) {
      atomic_fetch_add (&failed, 1);
      c_close (c);
    }
    else {
      lat[i] = now () - t;
      fds[i] = c->fd;
    }
  }
  free (c);
  return NULL;
}

void
idle (void)
{
  int *fds = calloc (o.n, sizeof *fds);
  pthread_t *t = calloc (o.sessions, sizeof *t);
  lat = calloc (o.n + 1, sizeof *lat);
  double a = now ();
  for (int i = 0; i < o.sessions; i++)
    pthread_create (&t[i], NULL, idle_thread, fds);
  for (int i = 0; i < o.sessions; i++)
    pthread_join (t[i], NULL);
  double secs = now () - a;
  char extra[4096] = "";
  if (o.exec) {
    /* the command prints JSON members such as "pss_kb":1234 */
    FILE *p = popen (o.exec, "r");
    char b[2048] = "";
    if (p && fgets (b, sizeof b, p)) {
      b[strcspn (b, "\n")] = 0;
      snprintf (extra, sizeof extra, ",%s", b);
    }
    if (p)
      pclose (p);
  }
  report ("idle", o.n, secs, extra);
  for (int i = 0; i < o.n; i++)
    if (fds[i])
      close (fds[i]);
}
