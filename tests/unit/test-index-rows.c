/* test-index-rows.c - pictures and rows of the index where one has what the other lacks
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

/* Takes a part of the log of expunged messages away, as pruning does. */
static void
cut_log (Mail *m, gint32 part)
{
  g_autofree char *index = g_build_filename (m->root, "ekiden.index", NULL);
  g_autofree char *sql = g_strdup_printf ("DELETE FROM gone WHERE id %% 3 = %d", part);
  sqlite3 *h = NULL;

  mail_close (m);
  g_assert_cmpint (sqlite3_open (index, &h), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (h, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (h);
  mail_open (m);
}

/* A picture has the UIDs that are there, whatever was expunged, with the whole log of that and with parts of it. */
static void
test_uids (void)
{
  enum { MOST = 400 };
  bool there[MOST + 1] = { false };
  guint32 last = 0;
  Mail m;

  mail_new (&m);
  for (guint turn = 0; turn < 40; turn++) {
    for (gint32 n = g_test_rand_int_range (0, 20); n > 0 && last < MOST; n--) {
      last = mail_append (&m, "INBOX", last + 1, 0, NULL);
      there[last] = true;
    }
    EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
    EkRange r = { (guint32) g_test_rand_int_range (1, MOST), 0 };
    r.last = turn == 25 ? MOST : r.first + (guint32) g_test_rand_int_range (0, 8);
    r.first = turn == 25 ? 1 : r.first;                    /* all of them, once */
    g_assert_cmpint (ek_view_expunge (view, &r, 1, true, NULL), ==, EK_OK);
    for (guint32 uid = r.first; uid <= r.last && uid <= MOST; uid++)
      there[uid] = false;
    ek_view_free (view);
    if (turn > 15 && turn % 4 == 0)
      cut_log (&m, g_test_rand_int_range (0, 3));
    view = mail_view (&m, "INBOX", EK_VIEW_RO);
    guint32 seq = 0;
    for (guint32 uid = 1; uid <= last; uid++)
      if (there[uid])
        g_assert_cmpuint (ek_view_uid (view, ++seq), ==, uid);
    g_assert_cmpuint (ek_view_count (view), ==, seq);
    ek_view_free (view);
  }
  mail_free (&m);
}

/* A fetch that has met what another session expunged goes on, and ends when the mailbox is deleted; the index is not called damaged. */
static void
test_gone_meanwhile (void)
{
  Mail m;
  EkRow row;

  mail_new (&m);
  g_assert_cmpint (ek_index_create (m.ix, "Work", NULL, NULL), ==, EK_OK);
  for (guint n = 1; n <= 6; n++)
    mail_append (&m, "Work", n, 0, NULL);
  EkView *view = mail_view (&m, "Work", EK_VIEW_RW), *other = mail_view (&m, "Work", EK_VIEW_RW);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, 6 } }, 1, 0, 0);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  ek_fetch_pause (f);
  g_assert_cmpint (ek_view_expunge (other, (EkRange[]) { { 2, 3 } }, 1, true, NULL), ==, EK_OK);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  g_assert_cmpuint (row.uid, ==, 4);
  g_assert_cmpuint (ek_fetch_missing (f), ==, 2);
  ek_fetch_pause (f);
  ek_view_free (other);
  EkFetch *whole = ek_fetch_new (view, (EkRange[]) { { 1, 6 } }, 1, 0, 0);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (ek_fetch_next (whole, &row, NULL), ==, EK_OK);
  g_assert_cmpint (ek_fetch_next (whole, &row, NULL), ==, EK_NOTFOUND);
  ek_fetch_free (whole);
  g_assert_cmpint (ek_index_delete (m.ix, "Work", NULL), ==, EK_OK);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_NOTFOUND);
  ek_fetch_free (f);
  ek_view_free (view);
  mail_free (&m);
}

/* Rows are lost, and nothing makes us look at the folder: the picture, which needs no rows, has all messages still; to fetch them says
 * what is wrong, and the next try finds all. */
static void
test_rows_lost (void)
{
  g_autoptr (GError) error = NULL;
  EkRow row;
  EkStatus status;
  Mail m;

  mail_new (&m);
  for (guint n = 1; n <= 20; n++)
    mail_append (&m, "INBOX", n, 0, NULL);
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));
  mail_close (&m);
  g_autofree char *index = g_build_filename (m.root, "ekiden.index", NULL);
  sqlite3 *h = NULL;
  g_assert_cmpint (sqlite3_open (index, &h), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (h, "DELETE FROM msg WHERE (id & 255) BETWEEN 5 AND 9", NULL, NULL, NULL), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_total_changes (h), ==, 5);
  sqlite3_close (h);
  mail_open (&m);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RO);
  g_assert_cmpuint (ek_view_count (view), ==, 20);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, 20 } }, 1, 0, 0);
  while ((status = ek_fetch_next (f, &row, &error)) == EK_OK)
    ;
  g_assert_cmpint (status, ==, EK_DEFER);
  g_assert_nonnull (strstr (error->message, "messages have no row"));
  ek_fetch_free (f);
  ek_view_free (view);
  mail_close (&m);
  mail_open (&m);
  view = mail_view (&m, "INBOX", EK_VIEW_RO);
  f = ek_fetch_new (view, (EkRange[]) { { 1, 20 } }, 1, 0, 0);
  guint n = 0;
  while (ek_fetch_next (f, &row, NULL) == EK_OK)
    n++;
  g_assert_cmpuint (n, ==, 20);
  ek_fetch_free (f);
  ek_view_free (view);
  mail_free (&m);
}

/* What one statement says of the index, which is not open meanwhile. */
static gint64
ask_index (Mail *m, const char *sql)
{
  g_autofree char *index = g_build_filename (m->root, "ekiden.index", NULL);
  sqlite3 *h = NULL;
  sqlite3_stmt *st = NULL;

  mail_close (m);
  g_assert_cmpint (sqlite3_open (index, &h), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_prepare_v2 (h, sql, -1, &st, NULL), ==, SQLITE_OK);
  gint64 answer = sqlite3_step (st) == SQLITE_ROW ? sqlite3_column_int64 (st, 0) : sqlite3_changes (h);
  sqlite3_finalize (st);
  sqlite3_close (h);
  mail_open (m);
  return answer;
}

static void
expunge (Mail *m, guint32 first, guint32 last)
{
  EkView *view = mail_view (m, "INBOX", EK_VIEW_RW);

  g_assert_cmpint (ek_view_expunge (view, (EkRange[]) { { first, last } }, 1, true, NULL), ==, EK_OK);
  ek_view_free (view);
}

static void
assert_uids (Mail *m, EkViewMode mode)
{
  EkView *view = mail_view (m, "INBOX", mode);
  guint32 seq = 0;

  g_assert_cmpuint (ek_view_count (view), ==, 40 - 5 - 3 - 1);
  for (guint32 uid = 1; uid <= 40; uid++)
    if (!(uid >= 10 && uid <= 14) && !(uid >= 20 && uid <= 22) && uid != 30)
      g_assert_cmpuint (ek_view_uid (view, ++seq), ==, uid);
  ek_view_free (view);
}

/* UIDs that are missing and that no log tells of are noted when a session has had to read all rows: the next one need not.  No client
 * hears that they went. */
static void
test_gaps (void)
{
  static const char all[] = "SELECT count(*) FROM gone";
  Mail m;

  mail_new (&m);
  for (guint n = 1; n <= 40; n++)
    mail_append (&m, "INBOX", n, 0, NULL);
  expunge (&m, 10, 14);
  expunge (&m, 20, 22);
  expunge (&m, 30, 30);
  g_assert_cmpint (ask_index (&m, all), ==, 3);
  g_assert_cmpint (ask_index (&m, "DELETE FROM gone WHERE last <> 22"), ==, 2);
  assert_uids (&m, EK_VIEW_RO);                    /* who only reads notes nothing */
  g_assert_cmpint (ask_index (&m, all), ==, 1);
  assert_uids (&m, EK_VIEW_RW);
  g_assert_cmpint (ask_index (&m, all), ==, 3);
  g_assert_cmpint (ask_index (&m, "SELECT count(*) FROM gone WHERE modseq = 0 AND last IN (14, 30)"), ==, 2);
  assert_uids (&m, EK_VIEW_RW);
  g_assert_cmpint (ask_index (&m, all), ==, 3);
  g_assert_cmpint (ask_index (&m, "UPDATE gone SET last = 21 WHERE last = 22"), ==, 1);      /* a part of a gap */
  assert_uids (&m, EK_VIEW_RW);
  g_assert_cmpint (ask_index (&m, "SELECT count(*) FROM gone WHERE modseq = 0 AND last = 22"), ==, 1);
  /* and then the rows are not read: those that are lost are not missed */
  g_assert_cmpint (ask_index (&m, "DELETE FROM msg WHERE (id & 255) BETWEEN 5 AND 9"), ==, 5);
  assert_uids (&m, EK_VIEW_RO);
  mail_free (&m);
}

/* The disk is full: the mailbox opens all the same, and nothing is noted. */
static void
test_gaps_unwritten (void)
{
  struct rlimit before, none;
  Mail m;

  mail_new (&m);
  for (guint n = 1; n <= 40; n++)
    mail_append (&m, "INBOX", n, 0, NULL);
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));
  expunge (&m, 10, 14);
  expunge (&m, 20, 22);
  expunge (&m, 30, 30);
  g_assert_cmpint (ask_index (&m, "DELETE FROM gone"), ==, 3);
  getrlimit (RLIMIT_FSIZE, &before);
  none = before;
  none.rlim_cur = 1;
  signal (SIGXFSZ, SIG_IGN);
  setrlimit (RLIMIT_FSIZE, &none);
  assert_uids (&m, EK_VIEW_RW);
  setrlimit (RLIMIT_FSIZE, &before);
  g_assert_cmpint (ask_index (&m, "SELECT count(*) FROM gone"), ==, 0);
  assert_uids (&m, EK_VIEW_RW);
  g_assert_cmpint (ask_index (&m, "SELECT count(*) FROM gone"), ==, 3);
  mail_free (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/index-rows/uids", test_uids);
  g_test_add_func ("/index-rows/gone-meanwhile", test_gone_meanwhile);
  g_test_add_func ("/index-rows/lost", test_rows_lost);
  g_test_add_func ("/index-rows/gaps", test_gaps);
  g_test_add_func ("/index-rows/gaps-unwritten", test_gaps_unwritten);
  return g_test_run ();
}
