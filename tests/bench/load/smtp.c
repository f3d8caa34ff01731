/* smtp.c - SMTP and LMTP clients
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

int
smtp_reply (struct conn *c)
{
  for (;;) {
    size_t n;
    char *s = c_line (c, &n);
    if (!s || n < 3)
      return -1;
    if (n == 3 || s[3] != '-') {
      int code = atoi (s);
      if (code >= 400 && getenv ("MAILLOAD_DEBUG"))
        fprintf (stderr, "reply: %s\n", s);
      return code;
    }
  }
}

static int
smtp_hello (struct conn *c)
{
  if (c_open (c))
    return -1;
  if (smtp_reply (c) != 220)
    return -1;
  c_printf (c, "%s client.example.test\r\n", o.lmtp ? "LHLO" : "EHLO");
  return smtp_reply (c) == 250 ? 0 : -1;
}

static int
smtp_one (struct conn *c, unsigned i, char *msg, char *cmds)
{
  size_t len = make_message (msg, o.size, i), n = 0;
  memcpy (msg + len, ".\r\n", 3);
  len += 3;
  n += sprintf (cmds + n, "MAIL FROM:<%s>\r\n", o.from);
  if (!o.pipeline) {
    c_write (c, cmds, n);
    n = 0;
    if (smtp_reply (c) != 250)
      return -1;
  }
  for (int r = 0; r < o.rcpts; r++) {
    n += sprintf (cmds + n, "RCPT TO:<user%u@%s>\r\n", (i * (unsigned)o.rcpts + r) % o.users + 1,
                  o.domain);
    if (!o.pipeline) {
      c_write (c, cmds, n);
      n = 0;
      if (smtp_reply (c) / 10 != 25)
        return -1;
    }
  }
  n += sprintf (cmds + n, "DATA\r\n");
  c_write (c, cmds, n);
  if (o.pipeline)
    for (int r = 0; r < o.rcpts + 1; r++)
      if (smtp_reply (c) / 10 != 25)
        return -1;
  if (smtp_reply (c) != 354)
    return -1;
  if (c_write (c, msg, len))
    return -1;
  int bad = 0;
  for (int r = 0; r < (o.lmtp ? o.rcpts : 1); r++)
    if (smtp_reply (c) != 250)
      bad = -1;
  return bad;
}

void *
smtp_thread (void *arg)
{
  (void)arg;
  struct conn *c = malloc (sizeof *c);
  char *msg = malloc (o.size + 2048), *cmds = malloc (256 + 128 * (size_t)o.rcpts);
  int open = 0, sent = 0;
  for (;;) {
    int i = atomic_fetch_add (&next_op, 1);
    if (i >= o.n)
      break;
    double t = now ();
    if (!open) {
      if (smtp_hello (c)) {
        atomic_fetch_add (&failed, 1);
        c_close (c);
        continue;
      }
      open = 1;
      sent = 0;
    }
    if (smtp_one (c, i, msg, cmds)) {
      atomic_fetch_add (&failed, 1);
      c_close (c);
      open = 0;
      continue;
    }
    sent++;
    if (sent >= o.per_conn) {
      c_printf (c, "QUIT\r\n");
      smtp_reply (c);
      c_close (c);
      open = 0;
    }
    lat[i] = now () - t;
  }
  if (open) {
    c_printf (c, "QUIT\r\n");
    smtp_reply (c);
    c_close (c);
  }
  free (c);
  free (msg);
  free (cmds);
  return NULL;
}
