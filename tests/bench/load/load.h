/* load.h - what the parts of mailload share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct options {
  const char *host, *user, *pass, *domain, *box, *exec, *tls, *out, *from, *mech, *token_file, *certificates;
  int port, sessions, n, size, rcpts, users, per_conn, lmtp, pipeline, idle_s, pause_ms, rate, tls_direct, check;
  char **tokens;
  int n_tokens;
  const char *cmd[64];
  int ncmd;
};
extern struct options o;
extern atomic_int next_op, failed, done_ops;
extern double *lat; /* seconds each operation took; 0: it failed */
extern SSL_CTX *tctx;

/* one blocking connection with a line buffer */
struct conn {
  int fd;
  SSL *ssl;
  size_t r, w;
  unsigned long long bytes;
  char buf[1 << 20];
};

double now (void);
int c_open (struct conn *c);
void tls_begin (void);
int c_tls (struct conn *c, int number);
void c_close (struct conn *c);
int c_fill (struct conn *c);
/* one line without its CRLF; NULL at an error; valid until the next call */
char *c_line (struct conn *c, size_t *len);
int c_skip (struct conn *c, size_t n);
int c_write (struct conn *c, const char *p, size_t n);
int c_printf (struct conn *c, const char *f, ...) __attribute__ ((format (printf, 2, 3)));
int listen_on (int port);

void report (const char *mode, int n, double secs, const char *extra);
double run_threads (void *(*f) (void *)); /* o.sessions threads; seconds until all ended */

/* message i of about size bytes, CRLF, no line starts with a dot; "needle" is in each hundredth */
size_t make_message (char *out, size_t size, unsigned i);
/* whether `text` (CRLF or LF) ends with message *i, which its Message-ID names */
int message_is_whole (const char *text, size_t len, unsigned *i);

int smtp_reply (struct conn *c);
int imap_wait (struct conn *c, const char *tag);
int imap_auth (struct conn *c, const char *user, int number);
void read_tokens (const char *path);

void *smtp_thread (void *arg);
void *append_thread (void *arg);
void *login_thread (void *arg);
void *steady_thread (void *arg);
void *tls_thread (void *arg);
void sink (void);
void imap_script (void);
void idle (void);
void pop3 (void);
void echo (void);
void gen (void);
int verify (void);
