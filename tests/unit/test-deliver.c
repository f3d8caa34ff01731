/* test-deliver.c - delivery, the syncer, replay after a crash, guards, threads
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

typedef struct {                     /* answers of the syncer */
  pthread_mutex_t lock;
  pthread_cond_t  more;
  guint           good, bad;
  char           *said;
} Answers;

#define ANSWERS { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER }

static void
answer (EkStatus status, const GError *error, gpointer data)
{
  Answers *a = data;

  pthread_mutex_lock (&a->lock);
  if (status == EK_OK)
    a->good++;
  else
    a->bad++;
  g_assert_true ((status == EK_OK) == (error == NULL));
  if (error) {
    g_free (a->said);
    a->said = g_strdup (error->message);
  }
  pthread_cond_broadcast (&a->more);
  pthread_mutex_unlock (&a->lock);
}

static void
await (Answers *a, guint n)
{
  pthread_mutex_lock (&a->lock);
  while (a->good + a->bad < n)
    pthread_cond_wait (&a->more, &a->lock);
  pthread_mutex_unlock (&a->lock);
}

static EkDelivery
delivery (const EkPiece *pieces, guint n, guint64 id)
{
  return (EkDelivery) { .queue_id = id, .rcpt = 1, .time = 1700000000000000 + (gint64) (id % 1000000), .pieces = pieces, .n_pieces = n };
}

static EkStatus
deliver (Mail *m, EkSyncer *syncer, const EkDelivery *d, Answers *a)
{
  g_autoptr (GError) error = NULL;
  EkStatus status = ek_deliver (m->ix, syncer, d, answer, a, &error);

  g_assert_true (status == EK_OK || status == EK_NOTFOUND || error);
  return status;
}

static char *
path_of (Mail *m, const char *sub)                 /* of the only file there */
{
  g_autofree char *folder = g_build_filename (m->root, sub, NULL);
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name = g_dir_read_name (dir);

  g_assert_nonnull (name);
  char *path = g_build_filename (folder, name, NULL);
  g_assert_null (g_dir_read_name (dir));
  g_dir_close (dir);
  return path;
}

static char *
slurp (const char *path)
{
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

/* ---- one ---- */

static void
test_deliver (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkSyncerCounts counts;
  const char *const keywords[] = { "$Junk", "x", NULL };

  mail_new (&m);
  g_autofree char *big = g_build_filename (m.folder, "big", NULL);
  test_write (big, "??Subject: big\r\n\r\nline\r\n??", -1);
  int fd = open (big, O_RDONLY);
  EkPiece pieces[] = { { .bytes = EK_STR ("Return-Path: <a@b>\r") }, { .bytes = EK_STR ("\nDelivered-To: c\r\n") },
                       { .fd = fd, .offset = 2, .length = 22 } };
  EkDelivery d = delivery (pieces, 3, 0x123456789abcdef0);
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, 1);
  g_autofree char *path = path_of (&m, "new"), *text = slurp (path), *name = g_path_get_basename (path);
  g_assert_cmpstr (text, ==, "Return-Path: <a@b>\nDelivered-To: c\nSubject: big\n\nline\n");
  g_autofree char *want = g_strdup_printf ("%d.M%06dQ123456789ABCDEF0R1A0.ekiden,S=%zu,W=%zu", (int) (d.time / 1000000),
                                           (int) (d.time % 1000000), strlen (text), strlen (text) + 5);
  g_assert_cmpstr (name, ==, want);
  struct stat st;
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mtim.tv_sec, ==, d.time / 1000000);
  d.queue_id++;
  d.folder = "Lists/Dev";
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_NOTFOUND);
  d.create = true;
  d.flags = EK_FLAG_SEEN | EK_FLAG_FLAGGED;
  d.keywords = keywords;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  d.queue_id++;
  d.folder = "a//b";
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_FAIL);
  d.folder = "Lists/x.y";
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_FAIL);
  pieces[2].length = 1000;                         /* more than there is */
  d.folder = NULL;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_DEFER);
  await (&a, 2);
  g_assert_cmpuint (a.good, ==, 2);
  ek_syncer_counts (syncer, &counts);
  g_assert_cmpuint (counts.files, ==, 2);
  EkView *view = mail_view (&m, "Lists/Dev", EK_VIEW_RW);
  EkFetch *f = ek_fetch_new (view, (EkRange[]) { { 1, 1 } }, 1, EK_ROW_DATE, 0);
  EkRow row;
  g_assert_cmpint (ek_fetch_next (f, &row, NULL), ==, EK_OK);
  g_assert_cmpuint (row.flags, ==, EK_FLAG_SEEN | EK_FLAG_FLAGGED | EK_FLAG_RECENT);
  g_assert_cmphex (row.keywords, ==, 3);
  g_assert_cmpint (row.date, ==, d.time / 1000000);
  ek_fetch_free (f);
  const char *const *names;
  g_assert_cmpuint (ek_view_keywords (view, &names), ==, 2);
  g_assert_cmpstr (names[0], ==, "$Junk");
  ek_view_free (view);
  close (fd);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- replay ---- */

static void
test_replay (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nthe body\r\n") };
  EkDelivery d = delivery (&piece, 1, 77);
  guint n = 0;
  struct stat before, after;

  mail_new (&m);
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_autofree char *path = path_of (&m, "new"), *base = g_path_get_basename (path);
  g_autofree char *text = slurp (path);
  /* the same again, not marked as a replay: found all the same */
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_assert_cmpuint (mail_files (&m, "new") + mail_files (&m, "cur"), ==, 1);
  /* read and renamed meanwhile: accepted as it is, the file untouched */
  g_autofree char *read_path = g_strdup_printf ("%s/cur/%s:2,RS", m.root, base);
  g_assert_cmpint (g_rename (path, read_path), ==, 0);
  g_assert_cmpint (stat (read_path, &before), ==, 0);
  d.replay = true;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_assert_cmpint (stat (read_path, &after), ==, 0);
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  g_assert_cmpuint (mail_files (&m, "new") + mail_files (&m, "cur"), ==, 1);
  /* empty, cut, or changed by one byte, as power loss leaves it: written again, name and flags kept */
  g_autofree char *changed = g_strdup (text);
  changed[14] ^= 1;
  const char *const damage[] = { "", "Subject", changed };
  for (guint i = 0; i < G_N_ELEMENTS (damage); i++) {
    mail_overwrite (read_path, damage[i]);
    g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
    await (&a, ++n);
    g_autofree char *now = slurp (read_path);
    g_assert_cmpstr (now, ==, text);
    g_assert_cmpuint (mail_files (&m, "new") + mail_files (&m, "cur") + mail_files (&m, "tmp"), ==, 1);
  }
  /* its sync failed: what reads back now may be memory's alone */
  g_assert_cmpint (stat (read_path, &before), ==, 0);
  d.rewrite = true;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_assert_cmpint (stat (read_path, &after), ==, 0);
  g_assert_cmpuint (before.st_ino, !=, after.st_ino);
  /* another recipient or action is another message */
  d.rewrite = false;
  d.action = 1;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_assert_cmpuint (mail_files (&m, "new"), ==, 1);
  /* gone (expunged and retired elsewhere): it is delivered again, that is what replay means */
  g_unlink (read_path);
  d.action = 0;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, ++n);
  g_assert_cmpuint (mail_files (&m, "new"), ==, 2);
  g_assert_cmpuint (a.bad, ==, 0);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- syncs that fail ---- */

static void
test_sync_fails (void)
{
  Mail m;
  Answers good = ANSWERS, bad = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (4);            /* smaller than the batch: adding waits */
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };
  EkSyncerCounts counts;

  mail_new (&m);
  g_autofree char *control = g_build_filename (m.folder, "fail", NULL);
  g_setenv ("EK_FAILSYNC", control, TRUE);
  g_assert_cmpint (ek_index_create (m.ix, "Broken", NULL, NULL), ==, EK_OK);
  mail_overwrite (control, "/.Broken/\n");
  for (guint i = 0; i < 20; i++) {
    EkDelivery d = delivery (&piece, 1, 100 + i);
    d.folder = i % 2 ? "Broken" : "INBOX";
    g_assert_cmpint (deliver (&m, syncer, &d, i % 2 ? &bad : &good), ==, EK_OK);
  }
  await (&good, 10);
  await (&bad, 10);
  g_assert_cmpuint (good.good, ==, 10);
  g_assert_cmpuint (bad.bad, ==, 10);
  g_assert_true (test_has (bad.said, ".Broken"));
  ek_syncer_counts (syncer, &counts);
  g_assert_cmpuint (counts.failures, ==, 10);
  g_assert_cmpuint (counts.files, ==, 20);
  g_assert_cmpuint (counts.epochs, <=, 20);
  /* APPEND and COPY say no, and leave nothing */
  EkAppend *ap;
  guint32 uid, uidvalidity;
  g_autoptr (GError) error = NULL;
  mail_overwrite (control, "Maildir");
  g_assert_cmpint (ek_append_new (m.ix, "INBOX", 0, 0, NULL, &ap, NULL), ==, EK_OK);
  g_assert_cmpint (ek_append_write (ap, "x", 1, NULL), ==, EK_OK);
  g_assert_cmpint (ek_append_finish (ap, &uidvalidity, &uid, &error), ==, EK_DEFER);
  g_assert_nonnull (error);
  g_unlink (control);
  EkStatusCounts c;
  g_assert_cmpint (ek_index_status (m.ix, "INBOX", 0, &c, NULL), ==, EK_OK);
  g_assert_cmpuint (c.messages, ==, 10);
  g_assert_cmpuint (mail_files (&m, "new") + mail_files (&m, "cur"), ==, 10);
  g_unsetenv ("EK_FAILSYNC");
  g_free (bad.said);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- guards ---- */

static void *
retire_soon (void *data)
{
  g_usleep (100000);
  ek_delivery_retired (data, 5, 1, 0);
  return NULL;
}

static void
test_guard (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };
  EkDelivery d = delivery (&piece, 1, 5);
  pthread_t thread;

  mail_new (&m);
  d.guarded = true;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, 1);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (view), ==, 1);  /* it may be read */
  gint64 start = ek_now ();
  pthread_create (&thread, NULL, retire_soon, m.set);
  g_assert_cmpint (ek_view_expunge (view, NULL, 0, true, NULL), ==, EK_OK);
  g_assert_cmpint (ek_now () - start, >=, 90000);  /* but goes only when the queue has let go */
  pthread_join (thread, NULL);
  assert_sync (view, 0, "-1 ");
  ek_view_free (view);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- many at once ---- */

typedef struct { Mail *m; EkSyncer *syncer; Answers *answers; guint first; } Worker;

static void *
deliver_many (void *data)
{
  Worker *w = data;
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };

  for (guint i = 0; i < 50; i++) {
    EkDelivery d = delivery (&piece, 1, w->first + i);
    d.folder = i % 3 ? NULL : "Other";
    d.create = true;
    g_assert_cmpint (deliver (w->m, w->syncer, &d, w->answers), ==, EK_OK);
  }
  return NULL;
}

static void
nothing (EkView *view, gpointer data)
{
  ++*(guint *) data;
}

static void *
dispatch (void *data)
{
  Mail *m = data;

  for (guint i = 0; i < 200; i++) {
    ek_indexes_dispatch (m->set);
    g_usleep (500);
  }
  return NULL;
}

/* Deliveries from four threads, the loop thread's wake-ups and a session, all for one user. */
static void
test_threads (void)
{
  Mail m;
  Answers a = ANSWERS;
  pthread_t threads[5];
  Worker w[4];
  guint calls = 0;
  EkSyncer *syncer = ek_syncer_new (16);

  mail_new (&m);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  ek_index_leave (m.ix);
  for (guint i = 0; i < 4; i++) {
    w[i] = (Worker) { &m, syncer, &a, 1000 + i * 100 };
    pthread_create (&threads[i], NULL, deliver_many, &w[i]);
  }
  pthread_create (&threads[4], NULL, dispatch, &m);
  for (guint i = 0; i < 50; i++) {
    g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
    ek_view_watch (view, i % 10 == 9 ? NULL : nothing, &calls, NULL);
    g_free (mail_sync (view, 0));
    ek_index_leave (m.ix);
    g_usleep (1000);
  }
  for (guint i = 0; i < 5; i++)
    pthread_join (threads[i], NULL);
  await (&a, 200);
  g_assert_cmpuint (a.bad, ==, 0);
  g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
  g_free (mail_sync (view, 0));
  EkView *other = mail_view (&m, "Other", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (view) + ek_view_count (other), ==, 200);
  ek_view_free (other);
  ek_view_free (view);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- kill -9 ---- */

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
    if (n % 7 == 0 && ek_view_count (view) > 5) {
      guint32 uid = ek_view_uid (view, 2);
      tell (fd, 'X', uid, 0);
      ek_view_expunge (view, (EkRange[]) { { uid, uid } }, 1, true, NULL);
    }
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
    g_usleep ((gulong) g_test_rand_int_range (20000, 250000));
    kill (pid, SIGKILL);
    guint before = lines;
    lines += learn (&k, fds[0]);
    waitpid (pid, NULL, 0);
    verify (&m, &k);
    g_test_message ("round %u: %u lines", round, lines - before);
  }
  g_assert_cmpuint (lines, >, 100);
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
  g_test_add_func ("/deliver/one", test_deliver);
  g_test_add_func ("/deliver/replay", test_replay);
  g_test_add_func ("/deliver/sync-fails", test_sync_fails);
  g_test_add_func ("/deliver/guard", test_guard);
  g_test_add_func ("/deliver/kill", test_kill);
  g_test_add_func ("/deliver/threads", test_threads);
  return g_test_run ();
}
