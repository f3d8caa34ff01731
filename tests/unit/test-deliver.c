/* test-deliver.c - delivery, the syncer, replay after a crash, guards, threads
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include <errno.h>
#include <pthread.h>

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
replay_again (Mail *m, EkSyncer *syncer, EkDelivery *d, Answers *a, const char *path)
{
  guint n = a->good;
  struct stat before, after;

  /* its sync failed: what reads back now may be memory's alone */
  g_assert_cmpint (stat (path, &before), ==, 0);
  d->rewrite = true;
  g_assert_cmpint (deliver (m, syncer, d, a), ==, EK_OK);
  await (a, ++n);
  g_assert_cmpint (stat (path, &after), ==, 0);
  g_assert_cmpuint (before.st_ino, !=, after.st_ino);
  /* another recipient or action is another message */
  d->rewrite = false;
  d->action = 1;
  g_assert_cmpint (deliver (m, syncer, d, a), ==, EK_OK);
  await (a, ++n);
  g_assert_cmpuint (mail_files (m, "new"), ==, 1);
  /* gone (expunged and retired elsewhere): it is delivered again, that is what replay means */
  g_unlink (path);
  d->action = 0;
  g_assert_cmpint (deliver (m, syncer, d, a), ==, EK_OK);
  await (a, ++n);
  g_assert_cmpuint (mail_files (m, "new"), ==, 2);
}

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
  replay_again (&m, syncer, &d, &a, read_path);
  g_assert_cmpuint (a.bad, ==, 0);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* ---- syncs that fail ---- */

/* A large epoch is synced at once, and still tells one file from another; a sync of all that fails
   * falls back to each */
static void
large_epochs (Mail *m, const char *control)
{
  Answers good = ANSWERS, bad = ANSWERS;
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };
  EkSyncerCounts counts;

  for (guint pass = 0; pass < 2; pass++) {
    EkSyncer *syncer = ek_syncer_new (0);
    mail_overwrite (control, "/.Broken/");
    Answers first = ANSWERS;
    EkDelivery d = delivery (&piece, 1, 1000 + pass);
    d.folder = pass ? "Broken" : NULL;
    g_assert_cmpint (deliver (m, syncer, &d, &first), ==, EK_OK);        /* keeps the thread busy */
    for (guint i = 0; i < 200; i++) {
      d = delivery (&piece, 1, 2000 + pass * 1000 + i);
      d.folder = i % 2 ? "Broken" : NULL;
      g_assert_cmpint (deliver (m, syncer, &d, i % 2 ? &bad : &good), ==, EK_OK);
    }
    await (&first, 1);
    await (&good, 100 + 100 * pass);
    await (&bad, 100 + 100 * pass);
    g_assert_cmpuint (good.bad + bad.good, ==, 0);
    ek_syncer_counts (syncer, &counts);
    g_test_message ("%u files in %u epochs with %u syncs", (guint) counts.files, (guint) counts.epochs, (guint) counts.syncs);
    g_free (first.said);
    ek_syncer_free (syncer);
  }
  g_free (bad.said);
}

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
  g_assert_cmpuint (counts.epochs, >=, 5);
  ek_syncer_free (syncer);
  large_epochs (&m, control);
  syncer = ek_syncer_new (0);
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
  g_assert_cmpuint (c.messages, ==, 211);
  g_assert_cmpuint (mail_files (&m, "new") + mail_files (&m, "cur"), ==, 211);
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

static void
count_asked (guint64 queue_id, guint32 rcpt, gpointer data)
{
  g_assert_cmpuint (queue_id, ==, 5);
  g_assert_cmpuint (rcpt, ==, 1);
  ++*(guint *) data;
}

/* The process ends, the power takes a file that was not synced, and another process begins. */
static void
lose (Mail *m, guint *asked)
{
  g_autofree char *path = path_of (m, "cur");

  mail_close (m);
  g_assert_cmpint (g_unlink (path), ==, 0);
  mail_open (m);
  *asked = 0;
  ek_indexes_ask (m->set, count_asked, asked);
}

/* What the queue will deliver once more is not gone: it keeps its UID, until the queue has said that it will not come. */
static void
test_lost (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };
  EkDelivery d = delivery (&piece, 1, 5);
  guint asked;

  mail_new (&m);
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, 1);
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));        /* shown: UID 1, and moved to cur */
  lose (&m, &asked);
  for (guint i = 0; i < 3; i++) {
    EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
    g_assert_cmpuint (ek_view_count (view), ==, 1);
    ek_view_free (view);
  }
  g_assert_cmpuint (asked, ==, 1);
  ek_deliveries_unsure (m.set, 1, 9);                        /* another queue: it is asked too */
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));
  g_assert_cmpuint (asked, ==, 2);
  d.replay = true;
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, 2);
  ek_delivery_retired (m.set, 5, 1, 0);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (view), ==, 1);
  g_assert_cmpuint (ek_view_uid (view, 1), ==, 1);
  ek_view_free (view);

  lose (&m, &asked);
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));
  g_assert_cmpuint (asked, ==, 1);
  ek_delivery_retired (m.set, 5, 1, 0);                      /* the queue has it no more */
  view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (view), ==, 0);
  ek_view_free (view);
  ek_syncer_free (syncer);
  mail_free (&m);
}

/* One of which the queue is sure is gone at once. */
static void
test_gone (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };
  EkDelivery d = delivery (&piece, 1, 5);
  guint asked;

  mail_new (&m);
  g_assert_cmpint (deliver (&m, syncer, &d, &a), ==, EK_OK);
  await (&a, 1);
  ek_view_free (mail_view (&m, "INBOX", EK_VIEW_RW));
  lose (&m, &asked);
  ek_deliveries_unsure (m.set, 6, 9);
  EkView *view = mail_view (&m, "INBOX", EK_VIEW_RW);
  g_assert_cmpuint (ek_view_count (view), ==, 0);
  g_assert_cmpuint (asked, ==, 0);
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

typedef struct { EkIndex *ix; EkDelivery *d; Answers *a; } Owned;

static void
answer_and_free (EkStatus status, const GError *error, gpointer data)
{
  Owned *o = data;

  answer (status, error, o->a);
  ek_index_unref (o->ix);
  g_free (o->d);
  g_free (o);
}

/* The answer may come first, and takes everything with it. */
static void
test_owned (void)
{
  Mail m;
  Answers a = ANSWERS;
  EkSyncer *syncer = ek_syncer_new (0);
  EkPiece piece = { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") };

  mail_new (&m);
  ek_index_leave (m.ix);
  ek_index_unref (m.ix);
  for (guint i = 0; i < 200; i++) {
    Owned *o = g_new0 (Owned, 1);
    EkDelivery d = delivery (&piece, 1, i);
    o->d = g_memdup2 (&d, sizeof d);
    o->d->flags = i % 2 ? EK_FLAG_SEEN : 0;
    o->a = &a;
    g_assert_cmpint (ek_index_new (m.set, m.format, &m.user, &o->ix, NULL), ==, EK_OK);
    g_assert_cmpint (ek_deliver (o->ix, syncer, o->d, answer_and_free, o, NULL), ==, EK_OK);
  }
  await (&a, 200);
  ek_syncer_free (syncer);
  ek_indexes_free (m.set);
  mail_open (&m);
  g_assert_cmpuint (mail_status (&m, "INBOX").messages, ==, 200);
  mail_free (&m);
}

/* Names of other programs, and of messages that were moved, are nobody's delivery. */
static void
test_base (void)
{
  static const char *const others[] = {
    "", "1763798401.M7P123.host", "1763798401.M000007Q0A1B2C3D4E5F6071R2A0.other", "1763798401.M000007Q0A1B2C3D4E5F607R2A0.ekiden",
    "1763798401.M000007Q0a1b2c3d4e5f6071R2A0.ekiden", "1763798401.M000007Q0A1B2C3D4E5F6071R2A0.ekidenx", "x.M000007Q0A1B2C3D4E5F6071R2A0.ekiden",
    "1763798401.M000007Q0A1B2C3D4E5F6071R2.ekiden", "11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
  };
  EkDelivery d = { .queue_id = 0x0a1b2c3d4e5f6071, .rcpt = 99999, .action = 3, .time = 1763798401000007 };
  char base[EK_DELIVERY_BASE_MAX];
  guint64 id = 0;
  guint32 rcpt = 0;

  ek_delivery_base (&d, base, sizeof base);
  g_assert_cmpstr (base, ==, "1763798401.M000007Q0A1B2C3D4E5F6071R99999A3.ekiden");
  g_assert_true (ek_delivery_base_parse (ek_str (base), &id, &rcpt));
  g_assert_cmpuint (id, ==, d.queue_id);
  g_assert_cmpuint (rcpt, ==, 99999);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_false (ek_delivery_base_parse (ek_str (others[i]), &id, &rcpt));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/deliver/one", test_deliver);
  g_test_add_func ("/deliver/base", test_base);
  g_test_add_func ("/deliver/replay", test_replay);
  g_test_add_func ("/deliver/sync-fails", test_sync_fails);
  g_test_add_func ("/deliver/guard", test_guard);
  g_test_add_func ("/deliver/lost", test_lost);
  g_test_add_func ("/deliver/gone", test_gone);
  g_test_add_func ("/deliver/owned", test_owned);
  g_test_add_func ("/deliver/threads", test_threads);
  return g_test_run ();
}
