/* bench-mailbox.c - delivery with the epoch syncer, cold opening, rows of a large mailbox, an idle view
 * SPDX-License-Identifier: Apache-2.0
 *
 *     bench-mailbox FOLDER [MESSAGES]      FOLDER on the disk to measure; it is emptied afterwards
 */
#include "unit/mailbox.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static guint synced;

static void
answer (EkStatus status, const GError *error, gpointer data)
{
  g_assert_cmpint (status, ==, EK_OK);
  pthread_mutex_lock (&lock);
  synced++;
  pthread_cond_signal (&more);
  pthread_mutex_unlock (&lock);
}

static double
cpu (void)
{
  struct rusage r;

  getrusage (RUSAGE_SELF, &r);
  return (double) (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double) (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static char *
text_of (guint n)
{
  GString *s = g_string_new (NULL);

  g_string_append_printf (s, "Return-Path: <bench@example.org>\r\nReceived: from client.example.org (client.example.org [192.0.2.1])\r\n"
                          "\tby mx.example.com with ESMTP id %016u;\r\n\tMon, 7 Feb 1994 21:52:25 -0800\r\n"
                          "From: \"Some Body\" <somebody%u@example.org>\r\nTo: Ann <ann@example.com>, Bob <bob@example.com>\r\n"
                          "Subject: a message of the benchmark, number %u\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
                          "Message-ID: <%u.bench@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
                          n, n, n, n);
  while (s->len < 4096)
    g_string_append (s, "The quick brown fox jumps over the lazy dog, and so on, until it is 4 KB.\r\n");
  return g_string_free (s, FALSE);
}

static void
wait_for (guint n)
{
  pthread_mutex_lock (&lock);
  while (synced < n)
    pthread_cond_wait (&more, &lock);
  pthread_mutex_unlock (&lock);
}

static void
deliver_all (Mail *m, guint n, guint users)
{
  EkSyncer *syncer = ek_syncer_new (0);
  EkSyncerCounts counts;
  g_autofree char *text = text_of (1);
  EkIndex **ix = g_new (EkIndex *, users);
  char name[32];

  synced = 0;
  for (guint i = 0; i < users; i++) {
    g_snprintf (name, sizeof name, "user%u", i);
    EkUser user = { .name = name, .home = m->folder };
    g_assert_cmpint (ek_index_new (m->set, m->format, &user, &ix[i], NULL), ==, EK_OK);
  }
  gint64 start = 0;
  double before = 0;
  for (guint i = 0; i < n + users; i++) {          /* the first to each user makes the Maildir */
    EkPiece piece = { .bytes = ek_str (text) };
    if (i == users) {
      wait_for (users);
      ek_syncer_free (syncer);
      syncer = ek_syncer_new (0);
      start = ek_now ();
      before = cpu ();
      synced = 0;
    }
    EkDelivery d = { .queue_id = i, .time = 1700000000000000 + i, .pieces = &piece, .n_pieces = 1 };
    g_assert_cmpint (ek_deliver (ix[i % users], syncer, &d, answer, NULL, NULL), ==, EK_OK);
  }
  wait_for (n);
  double us = (double) (ek_now () - start);
  ek_syncer_counts (syncer, &counts);
  printf ("deliver %6u messages to %5u users: %6.1f us a message, %5.1f us CPU, %.2f syncs a message, %.0f files an epoch\n",
          n, users, us / n, (cpu () - before) / n, (double) counts.syncs / n,
          (double) counts.files / (double) counts.epochs);
  for (guint i = 0; i < users; i++)
    ek_index_unref (ix[i]);
  g_free (ix);
  ek_syncer_free (syncer);
}

static double
fetch (EkView *view, guint items, guint *rows)
{
  gint64 start = ek_now ();
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, G_MAXUINT32 } }, 1, items, 0);
  EkBuf out = { 0 };
  EkRow row;

  *rows = 0;
  while (ek_fetch_next (f, &row, NULL) == EK_OK) {
    ek_buf_printf (&out, "* %u FETCH (UID %u RFC822.SIZE %" G_GUINT64_FORMAT " ENVELOPE ", row.seq, row.uid, row.size);
    ek_buf_append (&out, row.envelope.p, row.envelope.n);
    ek_buf_append (&out, ")\r\n", 3);
    if (ek_buf_len (&out) > 60000) {
      ek_fetch_pause (f);
      ek_buf_clear (&out);
    }
    ++*rows;
  }
  ek_fetch_free (f);
  ek_buf_release (&out);
  return (double) (ek_now () - start) / 1000;
}

static double
ms (gint64 since)
{
  return (double) (ek_now () - since) / 1000;
}

static void
read_all (Mail *m)
{
  EkUser user = { .name = "user0", .home = m->folder };
  EkIndex *ix;
  EkView *view;
  guint rows;
  double t;

  g_assert_cmpint (ek_index_new (m->set, m->format, &user, &ix, NULL), ==, EK_OK);
  for (guint i = 0; i < 5; i++) {
    gint64 start = ek_now ();
    g_assert_cmpint (ek_index_enter (ix, NULL), ==, EK_OK);
    double opened = ms (start);
    start = ek_now ();
    g_assert_cmpint (ek_view_open (ix, "INBOX", EK_VIEW_RW, &view, NULL), ==, EK_OK);
    double selected = ms (start);
    t = fetch (view, EK_ROW_DATE | EK_ROW_SIZE | EK_ROW_ENVELOPE, &rows);
    printf ("%-6s open %6.2f ms, SELECT %7.2f ms, FETCH of %u rows %7.2f ms, flags alone %5.2f ms\n",
            i == 0 ? "first" : "warm", opened, selected, rows, t, fetch (view, EK_ROW_FLAGS, &rows));
    ek_view_free (view);
    ek_index_leave (ix);
    ek_index_unref (ix);
    if (i < 4)
      g_assert_cmpint (ek_index_new (m->set, m->format, &user, &ix, NULL), ==, EK_OK);
  }
}

static void
idle (Mail *m, guint n)
{
  EkView **views = g_new (EkView *, n);
  EkUser user = { .name = "user0", .home = m->folder };
  EkIndex *ix;

  g_assert_cmpint (ek_index_new (m->set, m->format, &user, &ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_create (ix, "Small", NULL, NULL), ==, EK_OK);
  g_assert_cmpint (ek_view_open (ix, "Small", EK_VIEW_RW, &views[0], NULL), ==, EK_OK);
  gsize before = mallinfo2 ().uordblks;
  for (guint i = 1; i < n; i++)
    g_assert_cmpint (ek_view_open (ix, "Small", EK_VIEW_RW, &views[i], NULL), ==, EK_OK);
  gsize after = mallinfo2 ().uordblks;
  printf ("an idle view of an empty mailbox: %zu bytes\n", (after - before) / (n - 1));
  ek_index_leave (ix);
  for (guint i = 0; i < n; i++)
    ek_view_free (views[i]);
  ek_index_unref (ix);
  g_free (views);
}

static void
cold (Mail *m, guint n)
{
  gint64 start;
  double first = 0, again = 0;

  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 1; i <= n; i++) {
      char name[32];
      EkIndex *ix;
      EkView *view;
      g_snprintf (name, sizeof name, "user%u", i);
      EkUser user = { .name = name, .home = m->folder };
      start = ek_now ();
      g_assert_cmpint (ek_index_new (m->set, m->format, &user, &ix, NULL), ==, EK_OK);
      g_assert_cmpint (ek_index_enter (ix, NULL), ==, EK_OK);
      g_assert_cmpint (ek_view_open (ix, "INBOX", EK_VIEW_RW, &view, NULL), ==, EK_OK);
      ek_view_free (view);
      ek_index_leave (ix);
      ek_index_unref (ix);
      *(pass ? &again : &first) += ms (start);
    }
  printf ("open, SELECT, close of %u small users: %.2f ms each the first time, %.2f ms later\n", n, first / n, again / n);
}

int
main (int argc, char **argv)
{
  Mail m = { 0 };
  g_autoptr (GError) error = NULL;
  EkIndexConfig config = { .separator = '/' };
  guint n = argc > 2 ? (guint) atoi (argv[2]) : 10000;

  if (argc < 2) {
    fprintf (stderr, "usage: bench-mailbox FOLDER [MESSAGES]\n");
    return 2;
  }
  m.folder = g_strdup_printf ("%s/mailbox-bench", argv[1]);
  m.format = test_instance_new (&m.instance, &ek_module_maildir, "maildir", "path = \"%h/%u\"", &error);
  m.set = ek_indexes_new (&config, &error);
  g_assert_no_error (error);
  deliver_all (&m, n, 1);
  deliver_all (&m, n / 5, n / 10);
  read_all (&m);
  cold (&m, MIN (n / 20, 500));
  idle (&m, 100);
  ek_indexes_free (m.set);
  run_quiet ("rm", "-rf", m.folder);
  return 0;
}
