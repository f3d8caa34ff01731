/* test-index-files.c - the mailbox index when others change the files, or the index itself is harmed
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include <errno.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/wait.h>

/* Folders that others make, rename and remove; two that claim one name. */
static void
test_folders_behind (void)
{
  Mail m;

  mail_new (&m);
  g_autofree char *made = g_build_filename (m.root, ".Made.Here", "cur", NULL);
  g_autofree char *a = g_build_filename (m.root, ".Made.Here", NULL), *b = g_build_filename (m.root, ".Moved", NULL);
  g_mkdir_with_parents (made, 0700);
  assert_list (&m, "INBOX[sE] Made[C] Made/Here[sE] ");
  g_assert_cmpint (g_rename (a, b), ==, 0);
  assert_list (&m, "INBOX[sE] Moved[sE] ");
  g_free (mail_drop (&m, ".Moved/cur", "1.x.h:2,S", 1));
  g_assert_cmpuint (mail_status (&m, "Moved").messages, ==, 1);
  EkView *view = mail_view (&m, "Moved", EK_VIEW_RW);
  run_quiet ("rm", "-rf", b);
  assert_sync (view, 0, "notfound");
  assert_list (&m, "INBOX[sE] ");
  assert_sync (view, 0, "notfound");
  ek_view_free (view);
  mail_free (&m);
}

/* ---- others ---- */

static void
age (Mail *m)                                      /* so that one scan is believed */
{
  struct timespec old[2] = { { 0, UTIME_OMIT }, { ek_wall () / G_USEC_PER_SEC - 10, g_test_rand_int_range (0, 1000000) } };
  g_autofree char *new = g_build_filename (m->root, "new", NULL), *cur = g_build_filename (m->root, "cur", NULL);

  utimensat (AT_FDCWD, new, old, 0);
  utimensat (AT_FDCWD, cur, old, 0);
}

static void
test_behind (void)
{
  Mail m;
  const char *const *names;

  mail_new (&m);
  g_autofree char *a = mail_drop (&m, "cur", "100.a.h:2,", 1), *b = mail_drop (&m, "cur", "101.b.h:2,S", 2);
  g_autofree char *c = mail_drop (&m, "new", "99.c.h", 3);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);      /* in the order of arrival: c a b */
  g_assert_cmpuint (ek_view_recent (view), ==, 3);
  g_autofree char *a2 = g_strconcat (a, "FSb", NULL), *table = g_build_filename (m.root, "dovecot-keywords", NULL);
  test_write (table, "1 Blue\n", -1);
  g_assert_cmpint (g_rename (a, a2), ==, 0);
  g_unlink (b);
  g_free (mail_drop (&m, "new", "50.d.h", 4));     /* earlier, but it came later */
  assert_sync (view, 0, "k -3 f2=37 +3 ");
  g_assert_cmpuint (ek_view_uid (view, 3), ==, 4);
  g_assert_cmpuint (ek_view_keywords (view, &names), ==, 2);
  g_assert_cmpstr (names[1], ==, "Blue");
  age (&m);
  assert_sync (view, 0, "");
  /* two files with one name: the second becomes a message of its own */
  g_free (mail_drop (&m, "cur", "100.a.h:2,R", 5));
  assert_sync (view, 0, "");
  age (&m);
  g_autofree char *said = mail_sync (view, 0);
  g_assert_true (test_has (said, "+4 "));
  g_assert_cmpuint (mail_files (&m, "cur"), ==, 4);
  /* moved by another program to a folder that we know */
  g_assert_cmpint (ek_index_create (m.ix, "Dest", NULL, NULL), ==, EK_OK);
  g_autofree char *to = g_build_filename (m.root, ".Dest", "cur", "99.c.h:2,", NULL);
  g_autofree char *cc = g_build_filename (m.root, "cur", "99.c.h:2,", NULL);
  g_assert_cmpint (g_rename (cc, to), ==, 0);
  g_autofree char *gone = mail_sync (view, 0);
  g_assert_true (test_has (gone, "-1 "));
  g_assert_cmpuint (mail_status (&m, "Dest").messages, ==, 1);
  ek_view_free (view);
  mail_free (&m);
}

typedef struct { guint calls; EkView *view; } Woken;

static void
woken (EkView *view, gpointer data)
{
  Woken *w = data;

  g_assert_true (view == w->view);
  w->calls++;
}

static bool
readable (Mail *m, int ms)
{
  struct pollfd p = { ek_indexes_fd (m->set), POLLIN, 0 };

  return poll (&p, 1, ms) == 1;
}

static void
test_watch (void)
{
  Mail m;
  Woken w = { 0 }, v = { 0 };

  mail_new (&m);
  mail_append (&m, "INBOX", 1, 0, NULL);
  w.view = mail_view (&m, "INBOX", EK_VIEW_RW);
  v.view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpint (ek_view_watch (w.view, woken, &w, NULL), ==, EK_OK);
  g_assert_cmpint (ek_view_watch (v.view, woken, &v, NULL), ==, EK_OK);
  g_assert_false (readable (&m, 0));
  ek_index_leave (m.ix);                           /* idle: nothing is entered */
  g_free (mail_drop (&m, "new", "100.a.h", 2));
  g_assert_true (readable (&m, 2000));
  ek_indexes_dispatch (m.set);
  g_free (mail_drop (&m, "new", "101.a.h", 3));
  g_assert_true (readable (&m, 2000));
  ek_indexes_dispatch (m.set);
  g_assert_cmpuint (w.calls, ==, 1);               /* once, until it is answered */
  g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
  assert_sync (w.view, 0, "+3 ");
  assert_sync (v.view, 0, "+3 ");
  while (readable (&m, 50)) {                      /* what our own moves out of new/ said */
    ek_indexes_dispatch (m.set);
    assert_sync (w.view, EK_SYNC_CACHED, "");
    assert_sync (v.view, EK_SYNC_CACHED, "");
  }
  w.calls = v.calls = 0;
  mail_store (w.view, 1, 1, EK_STORE_ADD, EK_FLAG_SEEN, NULL);
  ek_view_watch (w.view, NULL, NULL, NULL);
  g_assert_true (readable (&m, 0));
  ek_indexes_dispatch (m.set);
  g_assert_cmpuint (w.calls, ==, 0);
  g_assert_cmpuint (v.calls, ==, 1);
  assert_sync (v.view, 0, "f1=1 ");
  /* a folder this young is looked at again, even when nothing else happens */
  v.calls = 0;
  while (readable (&m, 50))
    ek_indexes_dispatch (m.set);
  assert_sync (v.view, 0, "");
  v.calls = 0;
  g_assert_true (readable (&m, 4000));
  ek_indexes_dispatch (m.set);
  g_assert_cmpuint (v.calls, ==, 1);
  ek_view_free (v.view);
  ek_view_free (w.view);
  mail_free (&m);
}

/* A shell script renames, adds and deletes while two views follow: in the end all agree, and no UID ever
 * meant two messages. */
static void
test_script (void)
{
  Mail m;
  g_autofree char *script = g_build_filename (EK_SRCDIR, "tests", "unit", "maildir-behind.sh", NULL);
  const char *argv[] = { "/bin/sh", script, NULL, NULL };
  g_autoptr (GHashTable) meaning = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  GPid pid;
  int wstatus = 0;
  guint rounds = 0;

  mail_new (&m);
  argv[2] = m.root;
  EkView *a = mail_view (&m, "INBOX", EK_VIEW_RW), *b = mail_view (&m, "INBOX", EK_VIEW_RO);
  g_assert_true (g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL));
  for (bool running = true; running; rounds++) {
    running = waitpid (pid, &wstatus, WNOHANG) == 0;
    EkView *view = rounds % 2 ? a : b;
    g_autofree char *said = mail_sync (view, 0);
    EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, G_MAXUINT32 } }, 1, EK_ROW_KEY, 0);
    EkRow row;
    while (ek_fetch_next (f, &row, NULL) == EK_OK) {
      g_autofree char *key = g_strndup (row.key.p, row.key.n);
      const char *had = g_hash_table_lookup (meaning, GUINT_TO_POINTER (row.uid));
      if (had)
        g_assert_cmpstr (had, ==, key);
      else
        g_hash_table_insert (meaning, GUINT_TO_POINTER (row.uid), g_steal_pointer (&key));
    }
    ek_fetch_free (f);
  }
  g_assert_true (WIFEXITED (wstatus) && WEXITSTATUS (wstatus) == 0);
  age (&m);
  g_free (mail_sync (a, 0));
  g_free (mail_sync (b, 0));
  guint files = mail_files (&m, "cur") + mail_files (&m, "new");
  g_assert_cmpuint (files, >, 10);
  g_assert_cmpuint (ek_view_count (a), ==, files);
  g_assert_cmpuint (ek_view_count (b), ==, files);
  g_assert_cmpuint (mail_status (&m, "INBOX").messages, ==, files);
  g_assert_cmpuint (g_hash_table_size (meaning), <=, 150);         /* nor two UIDs one message */
  g_test_message ("%u rounds, %u messages seen, %u left", rounds, g_hash_table_size (meaning), files);
  ek_view_free (a);
  ek_view_free (b);
  mail_free (&m);
}

/* ---- UIDs of others, and what happens to the index ---- */

static void
test_import (void)
{
  Mail m;

  mail_new_with (&m, "");
  g_autofree char *cur = g_build_filename (m.root, "cur", NULL), *list_path = g_build_filename (m.root, "dovecot-uidlist", NULL);
  g_mkdir_with_parents (cur, 0700);
  g_autofree char *new = g_build_filename (m.root, "new", NULL);
  g_mkdir_with_parents (new, 0700);
  g_free (mail_drop (&m, "cur", "100.a.h:2,S", 1));
  g_free (mail_drop (&m, "cur", "101.b.h:2,", 2));
  g_free (mail_drop (&m, "cur", "99.c.h:2,", 3));
  g_free (mail_drop (&m, "new", "102.d.h", 4));
  test_write (list_path, "3 V1275660208 N50\n7 :101.b.h\n9 :99.c.h\n9 :102.d.h\n50 :100.a.h\n", -1);
  mail_open (&m);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_uidvalidity (view), ==, 1275660208);
  static const guint32 want[] = { 7, 9, 50, 51 };  /* b; c; then those without a good UID: a, d */
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (ek_view_uid (view, i + 1), ==, want[i]);
  g_assert_cmpuint (ek_view_uidnext (view), ==, 52);
  ek_view_free (view);
  mail_close (&m);
  g_autofree char *index = g_build_filename (m.root, "ekiden.index", NULL), *wal = g_strconcat (index, "-wal", NULL);
  g_unlink (index);                                /* lost: the stamp says that Ekiden was here */
  g_unlink (wal);
  mail_open (&m);
  view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_uidvalidity (view), >, 1275660208);
  g_assert_cmpuint (ek_view_count (view), ==, 4);
  g_assert_cmpuint (ek_view_uid (view, 1), ==, 1);
  guint32 second = ek_view_uidvalidity (view);
  ek_view_free (view);
  mail_close (&m);
  mail_overwrite (index, "this is no database, it is a text that is longer than a header of a hundred bytes, or so it should be ........");
  g_unlink (wal);
  mail_open (&m);                                  /* moved aside, begun anew */
  view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_uidvalidity (view), >, second);
  g_assert_cmpuint (ek_view_count (view), ==, 4);
  ek_view_free (view);
  g_autofree char *broken = g_strconcat (index, ".broken-*", NULL);
  g_autofree char *command = g_strdup_printf ("ls %s", broken);
  g_assert_cmpint (system (command), ==, 0);
  mail_free (&m);
}

/* What each UID means, as keys; only rows of the view. */
static GHashTable *
meanings (EkView *view)
{
  GHashTable *keys = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, G_MAXUINT32 } }, 1, EK_ROW_KEY | EK_ROW_ENVELOPE, 0);
  EkRow row;

  while (ek_fetch_next (f, &row, NULL) == EK_OK)
    g_hash_table_insert (keys, GUINT_TO_POINTER (row.uid), g_strndup (row.key.p, row.key.n));
  ek_fetch_free (f);
  return keys;
}

/* Opens the harmed index: DEFER at most twice, when the harm is found late; then all mail is there, and no UID
 * means another message than before under the same UIDVALIDITY. */
static void
survives (Mail *m, guint messages, guint32 before, GHashTable *meant)
{
  EkIndexConfig config = { .separator = '/' };
  bool good = false;

  m->set = ek_indexes_new (&config, NULL);
  g_assert_cmpint (ek_index_new (m->set, m->format, &m->user, &m->ix, NULL), ==, EK_OK);
  for (guint tries = 0; tries < 3 && !good; tries++) {
    g_autoptr (GError) error = NULL;
    EkView *view = NULL;
    if (ek_index_enter (m->ix, &error) != EK_OK) {
      g_test_message ("try %u: enter: %s", tries, error->message);
      continue;
    }
    if (ek_view_open (m->ix, "INBOX", EK_VIEW_RW, &view, &error) == EK_OK) {
      g_autoptr (GHashTable) now = meanings (view);
      GHashTableIter iter;
      gpointer uid, key;
      good = g_hash_table_size (now) == messages;
      if (!good)
        g_test_message ("try %u: %u messages of %u", tries, g_hash_table_size (now), messages);
      g_hash_table_iter_init (&iter, now);
      while (ek_view_uidvalidity (view) == before && g_hash_table_iter_next (&iter, &uid, &key)) {
        const char *had = g_hash_table_lookup (meant, uid);
        g_assert_true (had == NULL || strcmp (had, key) == 0);
        g_assert_true (had || GPOINTER_TO_UINT (uid) > messages);
      }
      g_assert_cmpuint (ek_view_uidvalidity (view), >=, before);
      ek_view_free (view);
    } else
      g_test_message ("try %u: open: %s", tries, error ? error->message : "no such mailbox");
    if (!good || tries == 2)
      ek_index_leave (m->ix);
  }
  g_assert_true (good);
}

/* Bytes of the index, or of its log, are overwritten or lost while it is closed. */
static void
test_corrupt (void)
{
  const guint messages = 150;                      /* past one reservation */
  Mail m;

  for (guint round = 0; round < 9; round++) {
    mail_new (&m);
    for (guint i = 1; i <= messages; i++)
      mail_append (&m, "INBOX", i, 0, NULL);
    EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
    g_autoptr (GHashTable) meant = meanings (view);
    guint32 before = ek_view_uidvalidity (view);
    ek_view_free (view);
    mail_close (&m);
    g_autofree char *wal = g_build_filename (m.root, "ekiden.index-wal", NULL);
    g_autofree char *index = g_build_filename (m.root, "ekiden.index", NULL);
    struct stat st;
    const char *victim = round % 2 && stat (index, &st) == 0 && st.st_size > 0 ? index : wal;
    if (round == 8)
      g_assert_cmpint (g_unlink (wal), ==, 0);     /* what a careless backup does */
    else if (stat (victim, &st) == 0 && st.st_size > 0) {
      int fd = open (victim, O_RDWR | O_CLOEXEC);
      char junk[700];
      for (guint i = 0; i < sizeof junk; i++)        /* the seed runs it again */
        junk[i] = (char) g_test_rand_int ();
      g_assert_cmpint (pwrite (fd, junk, sizeof junk, g_test_rand_int_range (0, (gint32) st.st_size)), ==, sizeof junk);
      close (fd);
    }
    age (&m);                                      /* a scan then finds junk among the rows */
    survives (&m, messages, before, meant);
    mail_free (&m);
  }
}

/* A mailbox whose row leads to no folder is found again by its name, without anybody asking for the list. */
static void
test_led_astray (void)
{
  static const char *const where[] = { "X'2e456c7365776865'", "X'ff01'", "X'2e2e'" };
  Mail m;

  mail_new (&m);
  g_assert_cmpint (ek_index_create (m.ix, "Work", NULL, NULL), ==, EK_OK);
  for (guint n = 1; n <= 3; n++)
    mail_append (&m, "Work", n, 0, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (where); i++) {
    mail_close (&m);
    g_autofree char *index = g_build_filename (m.root, "ekiden.index", NULL);
    g_autofree char *sql = g_strdup_printf ("UPDATE box SET disk = %s WHERE name = 'Work'", where[i]);
    sqlite3 *h = NULL;
    g_assert_cmpint (sqlite3_open (index, &h), ==, SQLITE_OK);
    g_assert_cmpint (sqlite3_exec (h, sql, NULL, NULL, NULL), ==, SQLITE_OK);
    g_assert_cmpint (sqlite3_changes (h), ==, 1);
    sqlite3_close (h);
    mail_open (&m);
    if (i == 0)                      /* the first to ask may also be APPEND, or STATUS */
      mail_append (&m, "Work", 4, 0, NULL);
    EkView *view = mail_view (&m, "Work", EK_VIEW_RW);
    g_assert_cmpuint (ek_view_count (view), ==, 4);
    ek_view_free (view);
  }
  assert_list (&m, "INBOX[sE] Work[sE] ");
  mail_free (&m);
}

/* Damage that SQLite does not see: rows that pages lost or misplaced, numbers that cannot be. */
static void
test_inconsistent (void)
{
  static const char *const harm[] = {
    "DELETE FROM msg WHERE id % 3 = 0",
    "UPDATE msg SET id = id + (1 << 40) WHERE id % 3 = 0",
    "UPDATE msg SET id = (id & ~0xffffffff) + 0xfffffff0 WHERE id % 100 = 7",
    "UPDATE box SET uidnext = 4294967295",
    "UPDATE box SET uidvalidity = 4294967295",
    "DELETE FROM meta WHERE k = 'modseq'",
    "UPDATE box SET disk = X'2e6e6f77686572' WHERE name = 'INBOX'",
    "UPDATE box SET name = 'OUTBOX' WHERE name = 'INBOX'",
  };
  const guint messages = 20;
  Mail m;

  for (guint i = 0; i < G_N_ELEMENTS (harm); i++) {
    mail_new (&m);
    for (guint n = 1; n <= messages; n++)
      mail_append (&m, "INBOX", n, 0, NULL);
    EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
    g_autoptr (GHashTable) meant = meanings (view);
    guint32 before = ek_view_uidvalidity (view);
    ek_view_free (view);
    mail_close (&m);
    g_autofree char *index = g_build_filename (m.root, "ekiden.index", NULL);
    sqlite3 *h = NULL;
    g_assert_cmpint (sqlite3_open (index, &h), ==, SQLITE_OK);
    g_test_message ("%s", harm[i]);
    g_assert_cmpint (sqlite3_exec (h, harm[i], NULL, NULL, NULL), ==, SQLITE_OK);
    g_assert_cmpint (sqlite3_total_changes (h), >, 0);
    sqlite3_close (h);
    age (&m);
    survives (&m, messages, before, meant);
    mail_free (&m);
  }
}

/* The index as it lies on disk now, without its orderly end, is put back after it. */
static void
end_unclean (Mail *m)
{
  static const char *const tails[] = { "", "-wal", ".lock" };
  char *bytes[3];
  gsize n[3];

  for (guint after = 0; after < 2; after++) {
    for (guint i = 0; i < G_N_ELEMENTS (tails); i++) {
      g_autofree char *path = g_strconcat (m->root, "/ekiden.index", tails[i], NULL);
      if (after == 0)
        g_assert_true (g_file_get_contents (path, &bytes[i], &n[i], NULL));
      else {
        g_assert_true (g_file_set_contents (path, bytes[i], (gssize) n[i], NULL));
        g_free (bytes[i]);
      }
    }
    if (after == 0)
      mail_close (m);
  }
}

/* What was shown after an unclean end is not taken back, when only another mailbox has changed since. */
static void
test_floor (void)
{
  Mail m;

  mail_new (&m);
  g_assert_cmpint (ek_index_create (m.ix, "Other", NULL, NULL), ==, EK_OK);
  mail_append (&m, "INBOX", 1, 0, NULL);
  mail_append (&m, "Other", 2, 0, NULL);
  guint64 before = mail_status (&m, "Other").highestmodseq;
  end_unclean (&m);
  mail_open (&m);
  guint64 shown = mail_status (&m, "Other").highestmodseq;
  g_assert_cmpuint (shown, >, before);             /* the ceiling */
  mail_append (&m, "INBOX", 3, 0, NULL);
  for (guint i = 0; i < 3; i++) {
    mail_close (&m);
    mail_open (&m);
    g_assert_cmpuint (mail_status (&m, "Other").highestmodseq, >=, shown);
  }
  end_unclean (&m);
  mail_open (&m);
  g_assert_cmpuint (mail_status (&m, "Other").highestmodseq, >=, shown);
  mail_free (&m);
}

static void
test_lock (void)
{
  Mail m;
  EkIndexes *set;
  EkIndex *other;
  GError *error = NULL;
  EkIndexConfig config = { .separator = '/' };

  mail_new (&m);
  set = ek_indexes_new (&config, NULL);            /* as another worker would */
  g_assert_cmpint (ek_index_new (set, m.format, &m.user, &other, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (other, &error), ==, EK_DEFER);
  g_assert_cmpint (error->code, ==, EBUSY);
  g_autofree char *pid = g_strdup_printf ("process %d", (int) getpid ());
  g_assert_true (test_has (error->message, pid));
  g_clear_error (&error);
  ek_index_leave (m.ix);
  ek_index_unref (m.ix);                           /* the last one closes */
  g_assert_cmpint (ek_index_enter (other, &error), ==, EK_OK);
  ek_index_leave (other);
  ek_index_unref (other);
  ek_indexes_free (set);
  ek_indexes_free (m.set);
  m.set = NULL;
  mail_free (&m);
}

/* More users than may be open: views live on while their index is closed. */
static void
test_lru (void)
{
  Mail m;
  EkIndex *ix[12];
  EkView *view[12];
  char name[32];

  mail_new_with (&m, "path = \"%h/%u\"");
  mail_open (&m);
  for (guint i = 0; i < 12; i++) {
    g_snprintf (name, sizeof name, "user%u", i);
    EkUser user = { .name = name, .home = m.folder };
    g_assert_cmpint (ek_index_new (m.set, m.format, &user, &ix[i], NULL), ==, EK_OK);
    g_assert_cmpint (ek_index_enter (ix[i], NULL), ==, EK_OK);
    g_assert_cmpint (ek_view_open (ix[i], "INBOX", EK_VIEW_RW, &view[i], NULL), ==, EK_OK);
    ek_index_leave (ix[i]);
  }
  for (guint i = 0; i < 12; i++) {
    g_autofree char *path = g_strdup_printf ("%s/new/1.x.h", ek_index_root (ix[i])), *text = mail_text (i, "\n");
    test_write (path, text, -1);
    g_assert_cmpint (ek_index_enter (ix[i], NULL), ==, EK_OK);
    assert_sync (view[i], 0, "+1 ");
    ek_index_leave (ix[i]);
    ek_view_free (view[i]);
    ek_index_unref (ix[i]);
  }
  mail_free (&m);
}

/* A reload frees the instance that a session came with; and a folder of index files of its own. */
static void
test_reload (void)
{
  Mail m;
  TestInstance second;
  g_autoptr (GError) error = NULL;

  mail_new_with (&m, "");
  g_autofree char *folder = g_build_filename (m.folder, "index", NULL);
  EkIndexConfig config = { .folder = folder };
  m.set = ek_indexes_new (&config, NULL);
  EkInstance *other = test_instance_new (&second, &ek_module_maildir, "maildir", "line_end = crlf", &error);
  g_assert_no_error (error);
  EkIndex *ix;
  g_assert_cmpint (ek_index_new (m.set, m.format, &m.user, &m.ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_new (m.set, other, &m.user, &ix, NULL), ==, EK_OK);
  g_assert_true (ix == m.ix);
  ek_index_unref (ix);
  test_instance_free (&m.instance);
  g_assert_cmpint (ek_index_enter (m.ix, &error), ==, EK_OK);
  g_assert_cmpuint (mail_append (&m, "INBOX", 1, 0, NULL), ==, 1);
  ek_index_leave (m.ix);
  ek_index_unref (m.ix);
  g_autofree char *away = g_strconcat (m.root, ".away", NULL);
  g_assert_cmpint (g_rename (m.root, away), ==, 0);       /* as if its disk were not mounted */
  m.format = other;
  g_assert_cmpint (ek_index_new (m.set, m.format, &m.user, &m.ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (m.ix, &error), ==, EK_DEFER);
  g_assert_true (test_has (error->message, "mounted"));
  g_assert_false (g_file_test (m.root, G_FILE_TEST_EXISTS));
  g_assert_cmpint (g_rename (away, m.root), ==, 0);
  g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
  g_assert_cmpuint (mail_status (&m, "INBOX").messages, ==, 1);
  m.instance = second;
  mail_free (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/index-files/folders-behind", test_folders_behind);
  g_test_add_func ("/index-files/behind", test_behind);
  g_test_add_func ("/index-files/watch", test_watch);
  g_test_add_func ("/index-files/script", test_script);
  g_test_add_func ("/index-files/import", test_import);
  g_test_add_func ("/index-files/corrupt", test_corrupt);
  g_test_add_func ("/index-files/inconsistent", test_inconsistent);
  g_test_add_func ("/index-files/led-astray", test_led_astray);
  g_test_add_func ("/index-files/floor", test_floor);
  g_test_add_func ("/index-files/reload", test_reload);
  g_test_add_func ("/index-files/lock", test_lock);
  g_test_add_func ("/index-files/lru", test_lru);
  return g_test_run ();
}
