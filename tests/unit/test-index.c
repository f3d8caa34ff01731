/* test-index.c - the mailbox index over Maildir: views, rows, changes, other programs, recovery
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include "mail/mime.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

/* ---- names ---- */

static void
test_mutf7 (void)
{
  static const struct { const char *utf8, *wire; } pairs[] = {
    { "INBOX", "INBOX" }, { "Entw\303\274rfe", "Entw&APw-rfe" }, { "a & b", "a &- b" }, { "&", "&-" },
    { "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236", "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
    { "\360\237\230\200x", "&2D3eAA-x" }, { "", "" } };
  static const char *const bad[] = { "&", "&A", "&AA-", "a&Jjo", "&AGE-", "&U,BTFw-&ZeVnLIqe-", "&2D0-", "&3gA-", "\303\274",
                                     "&APx-", "&*-", "x\x01" };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autofree char *wire = ek_mutf7_encode (ek_str (pairs[i].utf8));
    g_autofree char *back = ek_mutf7_decode (ek_str (pairs[i].wire));
    g_assert_cmpstr (wire, ==, pairs[i].wire);
    g_assert_cmpstr (back, ==, pairs[i].utf8);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (ek_mutf7_decode (ek_str (bad[i])));
  g_assert_null (ek_mutf7_encode (EK_STR ("\377")));
}

/* ---- views ---- */

/* UIDs 1 2 4 5 6 are left; more go. */
static void
view_numbers (Mail *m, EkView *a, EkView *b, EkView *ro)
{
  g_assert_cmpuint (ek_view_uid (a, 3), ==, 4);
  g_assert_cmpuint (ek_view_seq (a, 6), ==, 5);
  g_assert_cmpuint (ek_view_seq (a, 3), ==, 0);
  g_assert_cmpuint (ek_view_seq_from (a, 3), ==, 3);
  g_assert_cmpuint (ek_view_seq_from (a, 7), ==, 6);
  g_assert_cmpuint (ek_view_uid (a, 6), ==, 0);
  g_assert_cmpint (ek_view_expunge (b, (EkRange[]) { { 1, 1 }, { 5, 99 } }, 2, true, NULL), ==, EK_OK);
  assert_sync (a, 0, "-5 -4 -1 ");
  g_assert_cmpuint (ek_view_uid (a, 1), ==, 2);
  assert_sync (ro, 0, "-5 -3 -1 ");
  assert_fails (ek_view_expunge (ro, NULL, 0, true, &error), EK_FAIL, EPERM);
  g_autoptr (GArray) gone = g_array_new (FALSE, FALSE, sizeof (EkRange));
  bool all;
  g_assert_cmpint (ek_view_vanished (a, 1, gone, &all, NULL), ==, EK_OK);
  g_assert_true (all);
  g_assert_cmpuint (gone->len, ==, 3);             /* 1, 3, 5:6 */
  g_assert_cmpuint (g_array_index (gone, EkRange, 2).last, ==, 6);
  EkStatusCounts c = mail_status (m, "INBOX");
  g_assert_cmpuint (c.messages, ==, 2);
  g_assert_cmpuint (c.unseen, ==, 2);
  g_assert_cmpuint (c.deleted, ==, 0);
  g_assert_cmpuint (mail_files (m, "cur"), ==, 2);
}

static void
test_view (void)
{
  Mail m;
  guint32 seq;

  mail_new (&m);
  for (guint i = 1; i <= 5; i++)
    g_assert_cmpuint (mail_append (&m, "INBOX", i, i == 1 ? EK_FLAG_SEEN : 0, NULL), ==, i);
  EkStatusCounts c = mail_status (&m, "INBOX");
  g_assert_cmpuint (c.messages, ==, 5);
  g_assert_cmpuint (c.recent, ==, 5);
  g_assert_cmpuint (c.unseen, ==, 4);
  g_assert_cmpuint (c.uidnext, ==, 6);
  g_assert_cmpuint (c.size, ==, 5 * strlen ("From: bob@example.org\r\nSubject: number 1\r\n"
                                           "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nbody 1\r\n"));
  EkView *ro = mail_view (&m, "INBOX", EK_VIEW_RO), *a = mail_view (&m, "inbox", EK_VIEW_RW), *b = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (a), ==, 5);
  g_assert_cmpuint (ek_view_recent (ro), ==, 5);
  g_assert_cmpuint (ek_view_recent (a), ==, 5);
  g_assert_cmpuint (ek_view_recent (b), ==, 0);    /* the first to write took it */
  g_assert_cmpint (ek_view_first_unseen (a, &seq, NULL), ==, EK_OK);
  g_assert_cmpuint (seq, ==, 2);
  mail_store (a, 2, 3, EK_STORE_ADD, EK_FLAG_FLAGGED, NULL);
  assert_sync (a, 0, "");                          /* told by the store itself */
  assert_sync (b, 0, "f2=4 f3=4 ");
  assert_sync (ro, 0, "f2=36 f3=36 ");             /* with \Recent */
  mail_store (b, 3, 3, EK_STORE_REPLACE, EK_FLAG_DELETED, NULL);
  assert_sync (a, EK_SYNC_NO_EXPUNGE, "f3=40 ");
  g_assert_cmpint (ek_view_expunge (b, NULL, 0, false, NULL), ==, EK_OK);
  assert_sync (a, EK_SYNC_NO_EXPUNGE, "");
  g_assert_cmpuint (ek_view_count (a), ==, 5);     /* numbers stay until it may be told */
  g_assert_cmpuint (mail_append (&m, "INBOX", 6, 0, NULL), ==, 6);
  assert_sync (a, EK_SYNC_NO_EXPUNGE, "+6 ");
  assert_sync (a, 0, "-3 ");
  assert_sync (b, 0, "-3 +5 ");
  view_numbers (&m, a, b, ro);
  ek_view_free (a);
  ek_view_free (b);
  ek_view_free (ro);
  mail_free (&m);
}

static void
test_store (void)
{
  Mail m;
  EkRange all = { 1, 99 };
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (GArray) refused = g_array_new (FALSE, FALSE, sizeof (EkRange));
  const char *const *names;

  mail_new (&m);
  for (guint i = 1; i <= 4; i++)
    mail_append (&m, "INBOX", i, 0, NULL);
  EkView *a = mail_view (&m, "INBOX", EK_VIEW_RW), *b = mail_view (&m, "INBOX", EK_VIEW_RW);
  guint64 before = ek_view_modseq (a);
  mail_store (b, 2, 3, EK_STORE_ADD, EK_FLAG_SEEN, "$Junk");
  EkStore s = { .op = EK_STORE_ADD, .flags = EK_FLAG_SEEN, .unchanged_since = before };
  g_assert_cmpint (ek_view_store (a, &all, 1, &s, mail_note, said, refused, NULL), ==, EK_OK);
  g_assert_cmpstr (said->str, ==, "k f1=33 f4=33 ");
  g_assert_cmpuint (refused->len, ==, 1);
  g_assert_cmpuint (g_array_index (refused, EkRange, 0).first, ==, 2);
  g_assert_cmpuint (g_array_index (refused, EkRange, 0).last, ==, 3);
  assert_sync (a, 0, "f2=33 f3=33 ");              /* others' changes, not our own again */
  assert_sync (b, 0, "k f1=1 f4=1 ");
  g_assert_cmpuint (ek_view_keywords (a, &names), ==, 1);
  g_assert_cmpstr (names[0], ==, "$Junk");
  mail_store (a, 2, 2, EK_STORE_REMOVE, 0, "$JUNK");    /* case does not count */
  mail_store (a, 2, 2, EK_STORE_REMOVE, 0, "Unknown");  /* and makes none */
  g_assert_cmpuint (ek_view_keywords (a, &names), ==, 1);
  for (guint i = 1; i < 64; i++) {
    g_autofree char *k = g_strdup_printf ("kw%u", i);
    mail_store (a, 1, 1, EK_STORE_ADD, 0, k);
  }
  const char *more[] = { "one-too-many", NULL };
  s = (EkStore) { .op = EK_STORE_ADD, .keywords = more, .unchanged_since = G_MAXUINT64 };
  assert_fails (ek_view_store (a, &all, 1, &s, NULL, NULL, NULL, &error), EK_FAIL, ENOSPC);
  ek_view_free (a);
  ek_view_free (b);
  mail_close (&m);                                 /* and everything is still so */
  mail_open (&m);
  a = mail_view (&m, "INBOX", EK_VIEW_RW);
  EkFetch *f = ek_fetch_new (a, &all, 1, EK_ROW_FLAGS, 0);
  EkRow row;
  static const guint64 keywords[] = { ~1ull, 0, 1, 0 };
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
    g_assert_cmpuint (row.flags, ==, EK_FLAG_SEEN);
    g_assert_cmphex (row.keywords, ==, keywords[i]);
  }
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_NOTFOUND);
  ek_fetch_free (f);
  g_assert_cmpuint (ek_view_keywords (a, &names), ==, 64);
  g_assert_cmpstr (names[63], ==, "kw63");
  ek_view_free (a);
  mail_free (&m);
}

/* ---- rows ---- */

/* Only what changed; and what is gone but still numbered. */
static void
fetch_since (Mail *m, EkView *view)
{
  EkRow row;
  guint64 since = ek_view_modseq (view);
  EkView *other = mail_view (m, "INBOX", EK_VIEW_RW);
  mail_store (other, 5, 6, EK_STORE_ADD, EK_FLAG_SEEN, NULL);
  g_assert_cmpint (ek_view_expunge (other, (EkRange[]) { { 2, 3 }, { 8, 8 } }, 2, true, NULL), ==, EK_OK);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, 99 } }, 1, 0, since);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  g_assert_cmpuint (row.uid, ==, 5);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  g_assert_cmpuint (row.uid, ==, 6);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_NOTFOUND);
  ek_fetch_free (f);
  f = ek_fetch_new (view, (EkRange[]) { { 1, 99 } }, 1, 0, 0);
  guint n = 0;
  while (ek_fetch_next (f, &row, NULL) == EK_OK)
    n++;
  g_assert_cmpuint (n, ==, 5);
  g_assert_cmpuint (ek_fetch_missing (f), ==, 3);  /* the view still numbers them */
  ek_fetch_free (f);
  ek_view_free (other);
}

static void
test_fetch (void)
{
  Mail m;
  EkRow row;
  EkRange ranges[] = { { 1, 2 }, { 4, 4 }, { 6, G_MAXUINT32 } };
  guint items = EK_ROW_DATE | EK_ROW_SIZE | EK_ROW_ENVELOPE | EK_ROW_STRUCTURE | EK_ROW_HEADERS | EK_ROW_KEY;
  static const guint32 want[] = { 1, 2, 4, 6, 7, 8 };

  mail_new (&m);
  for (guint i = 1; i <= 8; i++)
    g_free (mail_drop (&m, i % 2 ? "new" : "cur", (char[]) { '1', '0', (char) ('0' + i), '.', 'x', '.', 'h', 0 }, i));
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (mail_files (&m, "new"), ==, 0);
  for (guint pass = 0; pass < 3; pass++) {         /* filled; cached; cached, in windows of one */
    EkFetch *f = ek_fetch_new (view, ranges, 3, items, 0);
    for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
      g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
      g_assert_cmpuint (row.uid, ==, want[i]);
      g_assert_cmpuint (row.seq, ==, want[i]);
      g_autofree char *subject = g_strdup_printf ("\"number %u\"", want[i]);
      g_autofree char *head = g_strdup_printf ("From: bob@example.org\r\nSubject: number %u\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n", want[i]);
      g_assert_nonnull (g_strstr_len (row.envelope.p, (gssize) row.envelope.n, subject));
      g_assert_true (ek_str_eq (row.headers, ek_str (head)));
      g_assert_cmpuint (row.size, ==, strlen (head) + 2 + strlen ("body 1\r\n"));
      g_assert_true (ek_str_starts (row.key, EK_STR ("10")));
      g_autoptr (EkPool) pool = ek_pool_new ();
      EkMime *mime = ek_mime_load (pool, row.structure);
      g_assert_nonnull (mime);
      g_assert_cmpuint (mime->root->body.octets, ==, strlen ("body 1\r\n"));
      if (pass == 2)
        ek_fetch_pause (f);
      if (pass == 2 && i == 2) {                   /* another fetch in between, and leaving */
        EkFetch *g = ek_fetch_new (view, ranges, 1, EK_ROW_SIZE, 0);
        g_assert_cmpint (ek_fetch_next (g, &row, NULL), ==, EK_OK);
        g_assert_cmpuint (row.uid, ==, 1);
        ek_index_leave (m.ix);
        g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
        ek_fetch_free (g);
      }
    }
    g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_NOTFOUND);
    g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_NOTFOUND);
    g_assert_cmpuint (ek_fetch_missing (f), ==, 0);
    ek_fetch_free (f);
  }
  fetch_since (&m, view);
  ek_view_free (view);
  mail_free (&m);
}

static char *
read_all (EkView *view, guint32 uid, gsize window, gsize *len)
{
  EkMessage *msg;
  GString *s = g_string_new (NULL);
  char buf[4096];
  gssize n;

  g_assert_cmpint (ek_message_open (view, uid, &msg, NULL), ==, EK_OK);
  *len = ek_message_size (msg);
  while ((n = ek_message_read (msg, s->len, buf, MIN (window, sizeof buf), NULL)) > 0)
    g_string_append_len (s, buf, n);
  g_assert_cmpint (n, ==, 0);
  g_assert_cmpuint (s->len, ==, *len);
  for (guint i = 0; i < 20 && s->len > 0; i++) {   /* anywhere, backwards too */
    gsize at = (gsize) g_test_rand_int_range (0, (gint32) s->len);
    n = ek_message_read (msg, at, buf, 5, NULL);
    g_assert_cmpint (n, >, 0);
    g_assert_cmpmem (buf, (gsize) n, s->str + at, (gsize) n);
  }
  ek_message_close (msg);
  return g_string_free (s, FALSE);
}

static void
test_bytes (void)
{
  static const struct { const char *disk, *wire; } rows[] = {
    { "a: b\n\nx\ny\n", "a: b\r\n\r\nx\r\ny\r\n" }, { "a: b\r\n\r\nx\r\n", "a: b\r\n\r\nx\r\n" },
    { "a: b\n\nx\r\ny\n\r\r\nz", "a: b\r\n\r\nx\r\ny\r\n\r\r\nz" }, { "", "" }, { "\n", "\r\n" }, { "x", "x" },
    { "\r", "\r" }, { "\r\n\n\n", "\r\n\r\n\r\n" } };
  Mail m;
  gsize len;
  EkMessage *msg;
  int fd;
  guint64 offset, length;

  mail_new (&m);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("%s/cur/10%u.x.h:2,", m.root, i);
    test_write (path, rows[i].disk, -1);
  }
  g_autofree char *big = g_strnfill (100000, 'x');  /* lines across every chunk's end */
  for (gsize i = 7; i < 100000; i += 7)
    big[i] = '\n';
  g_autofree char *path = g_build_filename (m.root, "cur", "200.x.h:2,", NULL);
  test_write (path, big, -1);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    for (gsize window = 1; window < 9; window++) {
      g_autofree char *got = read_all (view, i + 1, window, &len);
      g_assert_cmpstr (got, ==, rows[i].wire);
    }
  g_autofree char *got = read_all (view, 9, 4096, &len);
  g_auto (GStrv) lines = g_strsplit (big, "\n", -1);
  g_autofree char *want = g_strjoinv ("\r\n", lines);
  g_assert_cmpstr (got, ==, want);
  g_assert_cmpint (ek_message_open (view, 2, &msg, NULL), ==, EK_OK);
  g_assert_true (ek_message_raw (msg, &fd, &offset, &length));
  g_assert_cmpuint (length, ==, strlen (rows[1].disk));
  ek_message_close (msg);
  g_assert_cmpint (ek_message_open (view, 1, &msg, NULL), ==, EK_OK);
  g_assert_false (ek_message_raw (msg, &fd, &offset, &length));
  g_assert_cmpint (ek_view_expunge (view, NULL, 0, true, NULL), ==, EK_OK);
  char buf[4];
  g_assert_cmpint (ek_message_read (msg, 0, buf, 4, NULL), ==, 4);         /* open is open */
  ek_message_close (msg);
  g_assert_cmpint (ek_message_open (view, 1, &msg, NULL), ==, EK_NOTFOUND);
  ek_view_free (view);
  mail_free (&m);
}

/* Which messages are recent cannot be written, all else could be read. */
static void
test_no_room (void)
{
  g_autoptr (GError) error = NULL;
  struct rlimit had, none;
  EkView *view = NULL;
  Mail m;

  mail_new (&m);
  g_free (mail_drop (&m, "cur", "100.x.h:2,", 1));
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RO));
  signal (SIGXFSZ, SIG_IGN);
  getrlimit (RLIMIT_FSIZE, &had);
  none = (struct rlimit) { .rlim_cur = 1, .rlim_max = had.rlim_max };
  setrlimit (RLIMIT_FSIZE, &none);
  EkStatus status = ek_view_open (m.ix, "INBOX", EK_VIEW_RW, &view, &error);
  setrlimit (RLIMIT_FSIZE, &had);
  g_assert_cmpint (status, ==, EK_DEFER);
  g_assert_nonnull (error);
  g_assert_null (view);
  view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_uid (view, 1), ==, 1);
  ek_view_free (view);
  mail_free (&m);
}

/* A name that lies about sizes must not break the count of a literal. */
static void
test_lies (void)
{
  Mail m;
  gsize len;

  mail_new (&m);
  g_free (mail_drop (&m, "cur", "100.x.h,S=9999,W=99999:2,", 1));
  g_autofree char *honest = mail_text (2, "\n"), *honest_crlf = mail_text (2, "\r\n");
  g_autofree char *name = g_strdup_printf ("101.x.h,S=%zu,W=%zu:2,", strlen (honest), strlen (honest_crlf) + 40);
  g_free (mail_drop (&m, "cur", name, 2));
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_autofree char *a = read_all (view, 1, 100, &len), *first = mail_text (1, "\r\n");
  g_assert_cmpstr (a, ==, first);                  /* S= was wrong, so W= was not believed */
  g_autofree char *b = read_all (view, 2, 100, &len);
  g_assert_cmpuint (len, ==, strlen (honest_crlf) + 40);
  g_assert_true (g_str_has_prefix (b, honest_crlf));
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 2, 2 } }, 1, EK_ROW_STRUCTURE | EK_ROW_SIZE, 0);
  EkRow row;
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  ek_fetch_free (f);
  g_assert_cmpuint (row.size, ==, strlen (honest_crlf));                 /* reading it told */
  g_assert_cmpuint (mail_status (&m, "INBOX").size, ==, strlen (first) + strlen (honest_crlf));
  ek_view_free (view);
  mail_free (&m);
}

/* ---- copy, move, append ---- */

static guint32
copy (EkView *view, guint32 first, guint32 last, const char *to, bool move, guint32 *made_first)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) from = g_array_new (FALSE, FALSE, sizeof (guint32)), made = g_array_new (FALSE, FALSE, sizeof (guint32));
  guint32 uidvalidity = 0;

  EkStatus s = ek_view_copy (view, (EkRange[]) { { first, last } }, 1, to, move, &uidvalidity, from, made, &error);
  g_assert_no_error (error);
  g_assert_cmpint (s, ==, EK_OK);
  g_assert_cmpuint (from->len, ==, made->len);
  *made_first = made->len ? g_array_index (made, guint32, 0) : 0;
  return made->len;
}

static void
test_copy (void)
{
  Mail m;
  EkRow row;
  const char *const junk[] = { "$Junk", NULL }, *const other[] = { "other", NULL };
  const char *const *names;
  guint32 first;

  mail_new (&m);
  for (guint i = 1; i <= 4; i++)
    mail_append (&m, "INBOX", i, i == 2 ? EK_FLAG_SEEN | EK_FLAG_FLAGGED : 0, junk);
  g_assert_cmpint (ek_index_create (m.ix, "Dest", NULL, NULL), ==, EK_OK);
  mail_append (&m, "Dest", 9, 0, other);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, 9 } }, 1, EK_ROW_ENVELOPE, 0);
  while (ek_fetch_next (f, &row, NULL) == EK_OK)
    ;
  ek_fetch_free (f);
  g_assert_cmpuint (copy (view, 2, 3, "Dest", false, &first), ==, 2);
  g_assert_cmpuint (first, ==, 2);
  assert_sync (view, 0, "");
  g_assert_cmpuint (copy (view, 1, 2, "Dest", true, &first), ==, 2);
  g_assert_cmpuint (first, ==, 4);
  assert_sync (view, 0, "-2 -1 ");
  g_assert_cmpuint (copy (view, 3, 3, "INBOX", false, &first), ==, 1);    /* onto itself */
  g_assert_cmpuint (first, ==, 5);
  assert_sync (view, 0, "+3 ");
  g_assert_cmpint (ek_view_copy (view, (EkRange[]) { { 1, 9 } }, 1, "None", true, &first, NULL, NULL, NULL), ==, EK_NOTFOUND);
  EkView *dest = mail_view (&m, "Dest", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (dest), ==, 5);
  g_assert_cmpuint (ek_view_keywords (dest, &names), ==, 2);
  f = ek_fetch_new (dest, (EkRange[]) { { 2, 2 } }, 1, EK_ROW_DATE | EK_ROW_ENVELOPE, 0);
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  g_assert_cmpuint (row.flags & EK_FLAGS_STORED, ==, EK_FLAG_SEEN | EK_FLAG_FLAGGED);
  g_assert_cmpuint (row.keywords, ==, 2);          /* $Junk is number 1 here */
  g_assert_cmpint (row.date, ==, 784445545);
  g_assert_nonnull (g_strstr_len (row.envelope.p, (gssize) row.envelope.n, "number 2"));
  ek_fetch_free (f);
  ek_view_free (dest);
  /* INBOX cannot go away: its mail moves */
  g_assert_cmpint (ek_index_rename (m.ix, "INBOX", "Old", NULL), ==, EK_OK);
  assert_sync (view, 0, "-3 -2 -1 ");
  g_assert_cmpuint (mail_status (&m, "Old").messages, ==, 3);
  g_assert_cmpuint (mail_status (&m, "INBOX").messages, ==, 0);
  ek_view_free (view);
  mail_close (&m);
  mail_open (&m);
  g_assert_cmpuint (mail_status (&m, "Dest").messages, ==, 5);
  g_assert_cmpuint (mail_status (&m, "Dest").uidnext, ==, 6);   /* an orderly stop leaves no gaps */
  mail_free (&m);
}

static void
test_append (void)
{
  Mail m;
  EkAppend *a;
  guint32 uid, uidvalidity;
  gsize len;

  mail_new_with (&m, "line_end = crlf");
  mail_open (&m);
  g_assert_cmpint (ek_append_new (m.ix, "None", 0, 0, NULL, &a, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_append_new (m.ix, "INBOX", 0, 0, NULL, &a, NULL), ==, EK_OK);
  g_assert_cmpint (ek_append_write (a, "x", 1, NULL), ==, EK_OK);
  ek_append_free (a);                              /* given up */
  g_assert_cmpuint (mail_files (&m, "cur") + mail_files (&m, "new") + mail_files (&m, "tmp"), ==, 0);
  g_assert_cmpint (ek_index_create (m.ix, "Going", NULL, NULL), ==, EK_OK);
  g_assert_cmpint (ek_append_new (m.ix, "Going", 0, 0, NULL, &a, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_delete (m.ix, "Going", NULL), ==, EK_OK);
  g_assert_cmpint (ek_append_finish (a, &uidvalidity, &uid, NULL), ==, EK_NOTFOUND);
  g_assert_cmpuint (mail_append (&m, "INBOX", 1, EK_FLAG_DRAFT, NULL), ==, 1);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_autofree char *got = read_all (view, 1, 10, &len), *want = mail_text (1, "\r\n");
  g_assert_cmpstr (got, ==, want);
  EkMessage *msg;
  int fd;
  guint64 offset, length;
  g_assert_cmpint (ek_message_open (view, 1, &msg, NULL), ==, EK_OK);
  g_assert_true (ek_message_raw (msg, &fd, &offset, &length));             /* stored as it travels */
  ek_message_close (msg);
  ek_view_free (view);
  mail_free (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/index/mutf7", test_mutf7);
  g_test_add_func ("/index/view", test_view);
  g_test_add_func ("/index/store", test_store);
  g_test_add_func ("/index/fetch", test_fetch);
  g_test_add_func ("/index/bytes", test_bytes);
  g_test_add_func ("/index/no-room", test_no_room);
  g_test_add_func ("/index/lies", test_lies);
  g_test_add_func ("/index/copy", test_copy);
  g_test_add_func ("/index/append", test_append);
  return g_test_run ();
}
