/* mailload.c - a small load generator for mail servers, for loopback use
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads with blocking sockets and the wall clock; no retries, no hidden pacing.  Every mode
 * prints one line of JSON.
 *
 *   mailload smtp   -p PORT -s SESSIONS -n MESSAGES -z SIZE -r RCPTS -u USERS -k MSGS_PER_CONN
 *                   [-L (LMTP)] [-P (pipelining)] [-d DOMAIN]
 *   mailload sink   -p PORT -n EXPECTED [-t IDLE_SECONDS] [-v -z SIZE -d DOMAIN (check what comes)]
 *   mailload imap   -p PORT -U user -W pass -c CMD [-c CMD ...]
 *   mailload append -p PORT -U user -W pass -n N -z SIZE -s SESSIONS [-M box]
 *   mailload login  -p PORT -U 'user%d' -W pass -n N -s SESSIONS -u USERS
 *                   [-R LOGINS_A_SECOND] [-A MECHANISM (AUTHENTICATE instead of LOGIN) [-K FILE (bearer tokens, one a line)]]
 *   mailload steady -p PORT -U 'user%d' -W pass -n COMMANDS -s SESSIONS -w PAUSE_MS
 *                                    sessions that ask NOOP and FETCH in turns, with pauses: their latency
 *   mailload idle   -p PORT -U 'user%d' -W pass -n CONNS -u USERS -x 'COMMAND'
 *                   (imap, append, login and idle take -S: implicit TLS, and with it -C 'FILE%d': each user's certificate and key)
 *   mailload pop3   -p PORT -U user -W pass [-n N]
 *   mailload tls    -p PORT -T smtp|imap|pop3|none -n N -s SESSIONS
 *   mailload echo   -n N                            loopback TCP round trips, one pair of threads
 *   mailload gen    -n N -z SIZE -o DIR             N message files, for a ready Maildir
 *   mailload verify -n N -r RCPTS -z SIZE -d DOMAIN -o DIR
 *                                    the Maildirs below DIR hold messages 0 .. N-1, whole, RCPTS
 * times each
 */
#include "load.h"

static const struct {
  const char *name;
  void *(*thread) (void *);
  void (*run) (void);
} modes[] = {
  { "smtp", smtp_thread, NULL },   { "append", append_thread, NULL },
  { "login", login_thread, NULL }, { "tls", tls_thread, NULL },
  { "steady", steady_thread, NULL },
  { "sink", NULL, sink },          { "imap", NULL, imap_script },
  { "idle", NULL, idle },          { "pop3", NULL, pop3 },
  { "echo", NULL, echo },          { "gen", NULL, gen },
};

static void
read_options (int argc, char **argv)
{
  const struct {
    char letter;
    int *number;
    const char **text;
  } known[] = {
    { 'h', NULL, &o.host },   { 'p', &o.port, NULL },     { 's', &o.sessions, NULL },
    { 'n', &o.n, NULL },      { 'z', &o.size, NULL },     { 'r', &o.rcpts, NULL },
    { 'u', &o.users, NULL },  { 'k', &o.per_conn, NULL }, { 'd', NULL, &o.domain },
    { 'U', NULL, &o.user },   { 'W', NULL, &o.pass },     { 'M', NULL, &o.box },
    { 'x', NULL, &o.exec },   { 'T', NULL, &o.tls },      { 'o', NULL, &o.out },
    { 't', &o.idle_s, NULL }, { 'f', NULL, &o.from },
    { 'A', NULL, &o.mech },   { 'K', NULL, &o.token_file },
    { 'w', &o.pause_ms, NULL }, { 'R', &o.rate, NULL },
    { 'C', NULL, &o.certificates },
  };
  const struct {
    char letter;
    int *flag;
  } flags[] = {
    { 'L', &o.lmtp },
    { 'P', &o.pipeline },
    { 'S', &o.tls_direct },
    { 'v', &o.check },
  };
  int ch;
  optind = 2;
  while ((ch = getopt (argc, argv, "h:p:s:n:z:r:u:k:LPSvd:U:W:c:M:x:T:o:t:f:A:K:w:R:C:")) != -1) {
    if (ch == '?')
      exit (2);
    if (ch == 'c' && o.ncmd < 64)
      o.cmd[o.ncmd++] = optarg;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
      if (flags[i].letter == ch)
        *flags[i].flag = 1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
      if (known[i].letter != ch)
        continue;
      if (known[i].number)
        *known[i].number = atoi (optarg);
      else
        *known[i].text = optarg;
    }
  }
}

int
main (int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "";
  struct rlimit rl;
  signal (SIGPIPE, SIG_IGN);
  getrlimit (RLIMIT_NOFILE, &rl);
  rl.rlim_cur = rl.rlim_max;
  setrlimit (RLIMIT_NOFILE, &rl);
  read_options (argc, argv);
  if (strncmp (o.host, "127.", 4)) {
    fprintf (stderr, "mailload: loopback addresses only\n");
    return 2;
  }
  if (o.token_file)
    read_tokens (o.token_file);
  if (!strcmp (mode, "verify"))
    return verify ();
  tls_begin ();
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp (mode, modes[i].name))
      continue;
    if (modes[i].run)
      modes[i].run ();
    else
      report (o.lmtp ? "lmtp" : mode, o.n, run_threads (modes[i].thread), NULL);
    return atomic_load (&failed) ? 1 : 0;
  }
  fprintf (stderr, "modes: smtp sink imap append login steady idle pop3 tls echo gen verify\n");
  return 2;
}
