/* imap-stdio.c - an IMAP session after login on stdin and stdout, for tests and for debugging
 * SPDX-License-Identifier: Apache-2.0
 *
 *     imap-stdio MAILDIR [USER]
 *
 * The index lies in the Maildir.  The first line out is PREAUTH's; EOF ends the session.
 */
#include "memsession.h"
#include "index/box.h"
#include "instance.h"
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

extern const EkModule ek_module_imap;

static void
write_all (EkStr bytes)
{
  while (bytes.n > 0) {
    ssize_t n = write (STDOUT_FILENO, bytes.p, bytes.n);
    if (n <= 0)
      exit (1);
    bytes.p += n;
    bytes.n -= (gsize) n;
  }
}

static void
flush (EkSession *s)
{
  mem_run (s);
  write_all (mem_output (s));
  mem_output_clear (s);
}

static void
serve (EkSession *s, EkIndexes *set)
{
  char bytes[65536];
  struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 }, { ek_indexes_fd (set), POLLIN, 0 } };

  flush (s);
  while (!mem_closed (s)) {
    if (poll (fds, 2, -1) < 0)
      break;
    if (fds[1].revents)
      ek_indexes_dispatch (set);
    if (fds[0].revents) {
      ssize_t n = read (STDIN_FILENO, bytes, sizeof bytes);
      if (n <= 0)
        break;
      mem_feed (s, bytes, (gsize) n);
    }
    flush (s);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  static const EkSpecial specials[] = { { .name = "Drafts", .use = "\\Drafts" }, { .name = "Sent", .use = "\\Sent" } };
  EkIndexConfig config = { .specials = specials, .n_specials = G_N_ELEMENTS (specials) };

  if (argc < 2 || argv[1][0] != '/') {
    fprintf (stderr, "usage: imap-stdio /PATH/OF/MAILDIR [USER]\n");
    return 2;
  }
  g_autofree char *options = g_strdup_printf ("path = \"%s\"", argv[1]);
  EkInstance *maildir = ek_test_instance ("maildir", options);
  EkIndexes *set = ek_indexes_new (&config, &error);
  EkUser user = { .name = argc > 2 ? argv[2] : "user", .home = argv[1], .uid = -1, .gid = -1 };
  EkIndex *ix;
  if (set == NULL || ek_index_new (set, maildir, &user, &ix, &error) != EK_OK) {
    fprintf (stderr, "imap-stdio: %s\n", error->message);
    return 1;
  }
  MemConfig session = { .ops = ek_module_imap.after_login, .index = ix, .tag = "* PREAUTH",
                        .options = mem_options (ek_module_imap.after_login) };
  EkSession *s = mem_session_new (&session);
  serve (s, set);
  mem_session_free (s);
  ek_index_unref (ix);
  ek_indexes_free (set);
  ek_test_instance_free (maildir);
  g_free (session.options);
  return 0;
}
