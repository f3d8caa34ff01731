/* text.c - the messages: made, written as a Maildir, and checked
 * SPDX-License-Identifier: Apache-2.0 */
#include "load.h"
#include <ftw.h>

static const char *const words[]
    = { "time",   "mail",   "queue",  "server", "report",  "meeting", "invoice", "garden",
        "window", "river",  "market", "answer", "letter",  "people",  "yellow",  "travel",
        "summer", "number", "system", "change", "budget",  "coffee",  "planet",  "silver",
        "bridge", "music",  "paper",  "office", "morning", "project" };

/* message i of about size bytes, CRLF, no line starts with a dot;
 * the word "needle" is in each hundredth one */
size_t
make_message (char *out, size_t size, unsigned i)
{
  unsigned x = i * 2654435761u + 12345;
  size_t n = sprintf (out,
                      "From: Sender %u <sender%u@example.test>\r\nTo: user@%s\r\n"
                      "Subject: message number %u about the %s %s\r\n"
                      "Date: Sun, 22 Nov 2026 10:%02u:%02u +0000\r\n"
                      "Message-ID: <%u.%x@example.test>\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
                      i % 97, i % 97, o.domain, i, words[i % 30], words[i / 30 % 30], i / 60 % 60,
                      i % 60, i, x, i % 100 == 0 ? "here is the needle of it" : "hello");
  int col = 0;
  while (n + 12 < size) {
    x = x * 1664525 + 1013904223;
    const char *w = words[(x >> 16) % 30];
    size_t l = strlen (w);
    memcpy (out + n, w, l);
    n += l;
    col += l + 1;
    if (col > 66) {
      out[n++] = '\r';
      out[n++] = '\n';
      col = 0;
    }
    else
      out[n++] = ' ';
  }
  out[n++] = '\r';
  out[n++] = '\n';
  return n;
}

void
gen (void)
{
  char *msg = malloc (o.size + 2048), path[4096];
  for (int i = 0; i < o.n; i++) {
    size_t n = make_message (msg, o.size, i), w = 0;
    for (size_t k = 0; k < n; k++) /* stored with LF, as a Maildir has it */
      if (msg[k] != '\r')
        msg[w++] = msg[k];
    snprintf (path, sizeof path, "%s/%u.M%06dP1.bench:2,", o.out, 1790000000u + i, i);
    int fd = open (path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0 || write (fd, msg, w) != (ssize_t)w) {
      perror (path);
      exit (1);
    }
    close (fd);
  }
  printf ("{\"mode\":\"gen\",\"n\":%d}\n", o.n);
}

/* the generated text of message *i without CR, or NULL when there is no Message-ID of ours */
static char *
expected (const char *text, size_t len, unsigned *i, size_t *size)
{
  unsigned x;
  char *end = memmem (text, len, "\n\n", 2), *id;
  if (!end)
    end = memmem (text, len, "\r\n\r\n", 4);
  if (!end || !(id = memmem (text, end - text, "\nMessage-ID: <", 14)))
    return NULL;
  if (sscanf (id + 14, "%u.%x@", i, &x) != 2 || x != *i * 2654435761u + 12345)
    return NULL;
  char *want = malloc (o.size + 2048);
  size_t n = make_message (want, o.size, *i), w = 0;
  for (size_t k = 0; k < n; k++)
    if (want[k] != '\r')
      want[w++] = want[k];
  *size = w;
  return want;
}

int
message_is_whole (const char *text, size_t len, unsigned *i)
{
  size_t n;
  char *want = expected (text, len, i, &n);
  if (!want)
    return 0;
  /* from the end, CR before LF not counted: what stands in front are trace headers */
  size_t a = len, b = n;
  while (a && b && text[a - 1] == want[b - 1]) {
    a--;
    b--;
    if (a && want[b] == '\n' && text[a - 1] == '\r')
      a--;
  }
  free (want);
  return b == 0;
}

static int *seen, wrong;

static int
verify_file (const char *path, const struct stat *st, int type, struct FTW *at)
{
  unsigned i;
  (void)at;
  if (type != FTW_F || !(strstr (path, "/new/") || strstr (path, "/cur/")))
    return 0;
  char *text = malloc (st->st_size + 1);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read (fd, text, st->st_size);
  if (n == st->st_size && message_is_whole (text, n, &i) && i < (unsigned)o.n)
    seen[i]++;
  else if (wrong++ < 5)
    fprintf (stderr, "not as it was sent: %s\n", path);
  if (fd >= 0)
    close (fd);
  free (text);
  return 0;
}

int
verify (void)
{
  int missing = 0, more = 0;
  seen = calloc (o.n, sizeof *seen);
  nftw (o.out, verify_file, 32, FTW_PHYS);
  for (int i = 0; i < o.n; i++) {
    missing += seen[i] < o.rcpts ? o.rcpts - seen[i] : 0;
    more += seen[i] > o.rcpts ? seen[i] - o.rcpts : 0;
  }
  printf ("{\"mode\":\"verify\",\"missing\":%d,\"twice\":%d,\"wrong\":%d,\"verified\":%s}\n",
          missing, more, wrong, missing || more || wrong ? "false" : "true");
  return missing || more || wrong;
}
