/* fuzz-imap.c - IMAP sessions, before and after login, from the bytes that a client sends
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte: bit 7 chooses the edge, bit 6 a slow client, the rest how many bytes come at once.
 * Each input has a user of its own with two messages, so that the same input does the same. */
/* covers: modules/imap/reader.c modules/imap/scan.c modules/imap/parse-fetch.c modules/imap/parse-search.c */
/* covers: modules/imap/edge.c modules/imap/session.c modules/imap/command.c modules/imap/list.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "../lib/instance.h"
#include "../lib/memsession.h"
#include "index/box.h"
#include <glib/gstdio.h>
#include <string.h>

extern const EkModule ek_module_imap;

static const char *const messages[] = {
  "From: a@example.test\nSubject: one\nDate: Mon, 2 Mar 2020 10:00:00 +0100\n\nHello\n",
  "Subject: =?utf-8?q?zwei?=\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: message/rfc822\n\n"
  "Subject: inner\n\nx\n--b--\n",
};

static EkInstance *maildir;
static char *root;                   /* one folder for all inputs: it is emptied after each */
static gpointer edge_options, store_options;

static void
empty_folder (const char *path, bool remove)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    if (g_file_test (below, G_FILE_TEST_IS_DIR) && !g_file_test (below, G_FILE_TEST_IS_SYMLINK))
      empty_folder (below, true);
    else
      g_unlink (below);
  }
  if (dir)
    g_dir_close (dir);
  if (remove)
    g_rmdir (path);
}

static void
tidy_up (void)
{
  empty_folder (root, true);
}

static void
start (void)
{
  root = g_strdup ("/dev/shm/ekiden-fuzz-imap-XXXXXX");     /* in memory: syncs cost nothing there */
  if (g_mkdtemp (root) == NULL) {
    g_free (root);
    root = g_dir_make_tmp ("ekiden-fuzz-imap-XXXXXX", NULL);
  }
  atexit (tidy_up);
  g_autofree char *options = g_strdup_printf ("path = \"%s/Maildir\"", root);
  maildir = ek_test_instance ("maildir", options);
  edge_options = mem_options (ek_module_imap.protocol);
  store_options = mem_options (ek_module_imap.after_login);
}

static void
put_messages (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++) {
    g_autofree char *folder = g_build_filename (root, "Maildir", "new", NULL);
    g_autofree char *name = g_strdup_printf ("%s/158313960%u.M1P1.test", folder, i);
    g_mkdir_with_parents (folder, 0700);
    g_file_set_contents (name, messages[i], -1, NULL);
  }
}

static void
decide (EkSession *s, const char *mechanism, EkStr response, EkAuthAnswer *answer)
{
  static const EkAuthOutcome outcomes[] = { EK_AUTH_CHALLENGE, EK_AUTH_OK, EK_AUTH_REFUSED, EK_AUTH_UNAVAILABLE };

  *answer = (EkAuthAnswer) { .outcome = outcomes[response.n % 4], .challenge = EK_STR ("x"), .user = "u", .text = "No." };
}

static void
feed (EkSession *s, const uint8_t *data, size_t size, gsize step)
{
  for (size_t at = 0; at < size; at += step) {
    mem_feed (s, data + at, MIN (step, size - at));
    mem_run (s);
    mem_output_clear (s);
  }
  mem_session_free (s);
}

static void
run_store (const uint8_t *data, size_t size, gsize step, gsize takes)
{
  EkIndexConfig config = { 0 };
  EkUser user = { .name = "user", .home = root, .uid = -1, .gid = -1 };
  EkIndexes *set = ek_indexes_new (&config, NULL);
  EkIndex *ix;

  if (memmem (data, size, "INBOX", 5))
    put_messages ();
  g_assert (ek_index_new (set, maildir, &user, &ix, NULL) == EK_OK);
  MemConfig session = { .ops = ek_module_imap.after_login, .index = ix, .tag = "a", .options = store_options,
                        .takes = takes };
  feed (mem_session_new (&session), data, size, step);
  ek_index_unref (ix);
  ek_indexes_free (set);
  empty_folder (root, false);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  if (root == NULL)
    start ();
  guint how = data[0];
  gsize step = 1 + (how & 0x3f) * (how & 0x3f), takes = how & 0x40 ? 500 : 0;
  if (how & 0x80) {
    MemConfig session = { .ops = ek_module_imap.protocol, .options = edge_options, .auth = decide, .takes = takes,
                          .tls_offered = (how & 1) != 0 };
    feed (mem_session_new (&session), data + 1, size - 1, step);
  }
  else
    run_store (data + 1, size - 1, step, takes);
  return 0;
}
