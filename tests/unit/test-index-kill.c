/* test-index-kill.c - kill -9 of a process that appends, delivers, shows and expunges
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/slow.h"
#include "unit/mailbox.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static void
tell (int fd, char what, guint32 uid, guint n)
{
  char line[64];
  int len = g_snprintf (line, sizeof line, "%c %u %u\n", what, uid, n);

  g_assert_cmpint (write (fd, line, (gsize) len), ==, len);
}

static void
shown (const EkRow *row, int fd)                   /* the subject tells which message it is */
{
  char *at = g_strstr_len (row->envelope.p, (gssize) row->envelope.n, "number ");

  g_assert_nonnull (at);
  tell (fd, 'S', row->uid, (guint) g_ascii_strtoull (at + 7, NULL, 10));
}

typedef struct { int fd; guint n; } Told;

static void
delivered (EkStatus status, const GError *error, gpointer data)
{
  Told *t = data;

  if (status == EK_OK)
    tell (t->fd, 'D', 0, t->n);
}

/* Tells which message goes, then expunges it. */
static void
lose (EkView *view, guint32 uid, int fd)
{
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { uid, uid } }, 1, EK_ROW_ENVELOPE, 0);
  EkRow row;

  if (ek_fetch_next (f, &row, NULL) == EK_OK)
    shown (&row, fd);
  ek_fetch_free (f);
  tell (fd, 'X', uid, 0);
  ek_view_expunge (view, (EkRange[]) { { uid, uid } }, 1, true, NULL);
}

/* Appends, delivers, shows and expunges until it is killed; tells what a client or the queue would know. */
static void
busy (Mail *m, int fd, guint first)
{
  mail_open (m);
  EkSyncer *syncer = ek_syncer_new (8);
  EkView *view = mail_view (m, "INBOX", EK_VIEW_RW);

  for (guint n = first;; n++) {
    if (n % 3 == 0) {
      tell (fd, 'U', mail_append (m, "INBOX", n, 0, NULL), n);
    } else {
      EkPiece piece = { .bytes = ek_str (mail_text (n, "\r\n")) };
      EkDelivery d = delivery (&piece, 1, n);
      Told *told = g_new (Told, 1);
      *told = (Told) { fd, n };
      tell (fd, 'T', 0, n);
      g_assert_cmpint (ek_deliver (m->ix, syncer, &d, delivered, told, NULL), ==, EK_OK);
    }
    if (n % 5 == 0) {
      EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, G_MAXUINT32 } }, 1, EK_ROW_ENVELOPE, 0);
      EkRow row;
      g_free (mail_sync (view, 0));
      while (ek_fetch_next (f, &row, NULL) == EK_OK)
        shown (&row, fd);
      ek_fetch_free (f);
    }
    if (n % 7 == 0 && ek_view_count (view) > 5)
      lose (view, ek_view_uid (view, 2), fd);
    if (n % 50 == 49) {                            /* an orderly stop in between */
      ek_view_free (view);
      mail_close (m);
      mail_open (m);
      view = mail_view (m, "INBOX", EK_VIEW_RW);
    }
  }
}

typedef struct {
  GHashTable *uids;                  /* UID → message number, as told to a client */
  GHashTable *must;                  /* message numbers that were promised */
  GHashTable *tried;                 /* deliveries begun */
  GHashTable *gone;                  /* UIDs that were to be expunged */
} Known;

static guint
learn (Known *k, int fd)
{
  FILE *f = fdopen (fd, "r");
  char what;
  guint uid, n, lines = 0;

  while (fscanf (f, "%c %u %u\n", &what, &uid, &n) == 3) {
    gpointer u = GUINT_TO_POINTER (uid), v = GUINT_TO_POINTER (n);
    if (what == 'U' || what == 'S') {
      gpointer had = g_hash_table_lookup (k->uids, u);
      g_assert_true (had == NULL || had == v);     /* a UID never means two messages */
      g_hash_table_insert (k->uids, u, v);
    }
    if (what == 'U' || what == 'D' || what == 'S')
      g_hash_table_add (k->must, v);
    if (what == 'T')
      g_hash_table_add (k->tried, v);
    if (what == 'X')
      g_hash_table_add (k->gone, u);
    lines++;
  }
  fclose (f);
  return lines;
}

static void
verify (Mail *m, Known *k)
{
  g_autoptr (GHashTable) there = g_hash_table_new (NULL, NULL);
  GHashTableIter iter;
  gpointer p, uid;
  EkRow row;

  mail_open (m);
  EkView *view = mail_view (m, "INBOX", EK_VIEW_RW);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, G_MAXUINT32 } }, 1, EK_ROW_ENVELOPE, 0);
  while (ek_fetch_next (f, &row, NULL) == EK_OK) {
    guint n = (guint) g_ascii_strtoull (g_strstr_len (row.envelope.p, (gssize) row.envelope.n, "number ") + 7, NULL, 10);
    gpointer known = g_hash_table_lookup (k->uids, GUINT_TO_POINTER (row.uid));
    g_assert_true (known == NULL || known == GUINT_TO_POINTER (n));
    g_assert_true (g_hash_table_add (there, GUINT_TO_POINTER (n)));      /* exactly once */
    g_hash_table_insert (k->uids, GUINT_TO_POINTER (row.uid), GUINT_TO_POINTER (n));
  }
  ek_fetch_free (f);
  g_hash_table_iter_init (&iter, k->uids);
  while (g_hash_table_iter_next (&iter, &uid, &p)) {       /* what was shown is there, under its UID */
    if (g_hash_table_contains (k->gone, uid))
      g_hash_table_remove (k->must, p);
    else
      g_assert_cmpuint (ek_view_seq (view, GPOINTER_TO_UINT (uid)), >, 0);
  }
  g_hash_table_iter_init (&iter, k->must);
  while (g_hash_table_iter_next (&iter, &p, NULL))
    g_assert_true (g_hash_table_contains (there, p));
  ek_view_free (view);
  mail_close (m);
}

static void
test_kill (void)
{
  Mail m;
  Known k = { g_hash_table_new (NULL, NULL), g_hash_table_new (NULL, NULL), g_hash_table_new (NULL, NULL),
              g_hash_table_new (NULL, NULL) };
  guint lines = 0;

  mail_new_with (&m, "");
  for (guint round = 0; round < (g_test_slow () ? 100 : 6); round++) {
    int fds[2];
    g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
    fcntl (fds[1], F_SETPIPE_SZ, 1 << 20);
    pid_t pid = fork ();
    if (pid == 0)
      busy (&m, fds[1], 1 + round * 100000);
    close (fds[1]);
    struct pollfd first = { .fd = fds[0], .events = POLLIN };
    g_assert_cmpint (poll (&first, 1, 60000), ==, 1);      /* it has begun: now at any instant */
    g_usleep ((gulong) (test_slowness () * g_test_rand_int_range (20000, 250000)));
    kill (pid, SIGKILL);
    guint before = lines;
    lines += learn (&k, fds[0]);
    waitpid (pid, NULL, 0);
    verify (&m, &k);
    g_test_message ("round %u: %u lines", round, lines - before);
  }
  g_assert_cmpuint (lines, >, 20);
  g_hash_table_unref (k.uids);
  g_hash_table_unref (k.must);
  g_hash_table_unref (k.tried);
  g_hash_table_unref (k.gone);
  mail_free (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/index/kill", test_kill);
  return g_test_run ();
}
