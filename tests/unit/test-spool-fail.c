/* test-spool-fail.c - syncs and writes that fail, a disk that is full
 * SPDX-License-Identifier: Apache-2.0
 *
 * Starts itself again with tests/lib/faildisk.c preloaded.
 */
#include "lib/faildisk.h"
#include "lib/spoolrig.h"
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

static FailDisk *fail;

typedef struct { char *dir; Rig rig; SpoolOptions options; } Fix;

/* The keeper has made what it makes ahead: the next sync is the one that is meant to fail. */
static bool
settled (Rig *rig, gpointer data)
{
  EkSpoolStatus status;

  spool_status (rig->spool, &status);
  pthread_mutex_lock (&rig->spool->keep_lock);
  bool ready = rig->spool->next_hot != NULL;
  pthread_mutex_unlock (&rig->spool->keep_lock);
  return ready && status.spare_segments >= SPOOL_RESERVE;
}

static void
start (Fix *fix)
{
  g_autoptr (GError) error = NULL;

  rig_open (&fix->rig, &fix->options, 100 * 1000, &error);
  g_assert_no_error (error);
  g_assert_true (rig_until (&fix->rig, settled, NULL, 5000));
}

static void
set_up (Fix *fix, gconstpointer data)
{
  memset (&fail->sync, 0, sizeof fail->sync);
  memset (&fail->write, 0, sizeof fail->write);
  atomic_store (&fail->use_room, 0);
  fix->dir = g_dir_make_tmp ("ekspool-XXXXXX", NULL);
  fix->options = rig_options (fix->dir);
  start (fix);
}

static void
tear_down (Fix *fix, gconstpointer data)
{
  rig_close (&fix->rig);
  rig_rmtree (fix->dir);
  g_free (fix->dir);
}

static void
break_ (FailRule *rule, int error, int skip, int count)
{
  atomic_store (&rule->error, error);
  atomic_store (&rule->skip, skip);
  atomic_store (&rule->hits, 0);
  atomic_store (&rule->count, count);
}

static EkQueueId
submit (Fix *fix, const char *body)
{
  return rig_submit (&fix->rig, "s@example.org", "r@example.com", ek_str (body));
}

static bool
healthy (Rig *rig, gpointer data)
{
  return spool_accepting (rig->spool, NULL);
}

static bool
unhealthy (Rig *rig, gpointer data)
{
  return !spool_accepting (rig->spool, NULL);
}

static void
assert_live (Fix *fix, EkQueueId id, guint8 state, const char *body)
{
  EkSpoolMessage *message = spool_find (fix->rig.spool, id);

  g_assert_nonnull (message);
  g_assert_cmpuint (message->rcpts[0].state, ==, state);
  g_autofree char *text = rig_content (&fix->rig, message, NULL);
  g_assert_cmpstr (text, ==, body);
}

static bool
no_failed_segment (Rig *rig, gpointer data)
{
  for (int log = 0; log < 2; log++)
    for (Segment *seg = log ? rig->spool->cold : rig->spool->hot; seg; seg = seg->next)
      if (seg->failed)
        return false;
  return true;
}

/* One sync fails: that group is refused, everything else goes on, nothing is lost or comes back. */
static void
test_one_sync (Fix *fix, gconstpointer data)
{
  EkQueueId before = submit (fix, "before");
  EkSpoolMessage *message = spool_find (fix->rig.spool, before);
  EkSpoolAct bounce = { .type = EK_ACT_BOUNCE, .rcpt = 0, .text = EK_STR ("no") };
  FailRule *rule = GPOINTER_TO_INT (data) ? &fail->write : &fail->sync;

  bool by_write = rule == &fail->write;
  if (by_write)                                  /* else it would meet the failure alone */
    g_assert_cmpint (rig_act (&fix->rig, message, &bounce, true), ==, EK_OK);
  break_ (rule, EIO, 0, 1);
  if (!by_write)                                 /* in the group that fails */
    g_assert_cmpint (rig_act (&fix->rig, message, &bounce, false), ==, EK_OK);
  g_assert_cmpuint (submit (fix, "refused"), ==, 0);
  g_assert_cmpint (atomic_load (&rule->hits), ==, 1);
  g_assert_true (spool_accepting (fix->rig.spool, NULL));
  EkQueueId after = submit (fix, "after");
  g_assert_cmpuint (after, !=, 0);
  g_assert_cmpuint (fix->rig.alarms, ==, 1);
  g_assert_nonnull (strstr (fix->rig.reports->str, "the segment is given up"));
  /* What lives in the failed segment is written elsewhere, and the segment goes. */
  g_assert_true (rig_until (&fix->rig, no_failed_segment, NULL, 5000));
  assert_live (fix, before, EK_TO_BOUNCED, "before");
  rig_close (&fix->rig);
  start (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 2);
  assert_live (fix, before, EK_TO_BOUNCED, "before");
  assert_live (fix, after, EK_TO_WAITING, "after");
  g_assert_cmpuint (fix->rig.alarms, ==, 0);
}

/* The same, and the process ends before anything could be written elsewhere. */
static void
test_one_sync_then_crash (Fix *fix, gconstpointer data)
{
  EkQueueId before = submit (fix, "before");

  break_ (&fail->sync, EIO, 0, 1);
  g_assert_cmpuint (submit (fix, "refused"), ==, 0);
  EkQueueId after = submit (fix, "after");
  rig_close (&fix->rig);                         /* without a turn of the loop: no cycle has begun */
  start (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 2);
  assert_live (fix, before, EK_TO_WAITING, "before");
  assert_live (fix, after, EK_TO_WAITING, "after");
}

/* A second failure stops acceptance; records wait in memory; it recovers by itself. */
static void
test_two_syncs (Fix *fix, gconstpointer data)
{
  EkQueueId id = submit (fix, "body");
  EkSpoolMessage *message = spool_find (fix->rig.spool, id);
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0, .text = EK_STR ("later"), .next_try = 5 };
  EkSpoolAct hold = { .type = EK_ACT_HOLD, .rcpt = 0, .text = EK_STR ("held") };
  const char *why;
  EkSpoolStatus status;

  break_ (&fail->sync, EIO, 0, -1);
  g_assert_cmpuint (submit (fix, "refused"), ==, 0);
  g_assert_true (rig_until (&fix->rig, unhealthy, NULL, 5000));
  g_assert_false (spool_accepting (fix->rig.spool, &why));
  g_assert_nonnull (strstr (why, "cannot be written"));
  spool_status (fix->rig.spool, &status);
  g_assert_cmpint (status.health, ==, EK_SPOOL_SICK);
  g_assert_cmpuint (submit (fix, "refused too"), ==, 0);
  g_assert_cmpint (rig_act (&fix->rig, message, &defer, true), ==, EK_DEFER);   /* in effect, not durable */
  g_assert_cmpint (rig_act (&fix->rig, message, &hold, false), ==, EK_OK);
  g_assert_cmpint (message->rcpts[0].next_try, ==, 5);
  RigCall call;
  rig_call (&call);
  g_assert_cmpint (rig_wait (&fix->rig, &call, spool_barrier (fix->rig.spool, &call.call)), ==, EK_DEFER);
  for (int i = 0; i < 25; i++)                   /* several probes fail */
    rig_turn (&fix->rig, 20);
  g_assert_false (spool_accepting (fix->rig.spool, NULL));
  break_ (&fail->sync, 0, 0, 0);
  g_assert_true (rig_until (&fix->rig, healthy, NULL, 5000));
  rig_call (&call);
  g_assert_cmpint (rig_wait (&fix->rig, &call, spool_barrier (fix->rig.spool, &call.call)), ==, EK_OK);
  EkQueueId after = submit (fix, "after");
  g_assert_cmpuint (after, !=, 0);
  g_assert_true (rig_until (&fix->rig, no_failed_segment, NULL, 5000));
  rig_close (&fix->rig);
  start (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 2);
  assert_live (fix, id, EK_TO_DEFERRED, "body");
  g_assert_true (spool_find (fix->rig.spool, id)->rcpts[0].held);
  assert_live (fix, after, EK_TO_WAITING, "after");
  g_assert_cmpuint (fix->rig.alarms, ==, 0);
}

static bool
moved (Rig *rig, gpointer data)
{
  EkSpoolStatus status;

  spool_status (rig->spool, &status);
  return status.moved >= GPOINTER_TO_UINT (data);
}

/* Cold syncs fail once: written again elsewhere; always: acceptance stops until they do not. */
static void
test_cold (Fix *fix, gconstpointer data)
{
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0, .text = EK_STR ("later"), .next_try = 5 };
  EkQueueId a = submit (fix, "first"), b = submit (fix, "second");

  g_assert_cmpint (rig_act (&fix->rig, spool_find (fix->rig.spool, a), &defer, true), ==, EK_OK);
  g_assert_true (rig_until (&fix->rig, moved, GUINT_TO_POINTER (1), 5000));
  g_assert_cmpint (rig_act (&fix->rig, spool_find (fix->rig.spool, b), &defer, false), ==, EK_OK);
  g_usleep (120 * 1000);                         /* the state is durable; the copy starts with the loop's next turn */
  break_ (&fail->sync, EIO, 0, GPOINTER_TO_INT (data));
  if (GPOINTER_TO_INT (data) < 0) {
    g_assert_true (rig_until (&fix->rig, unhealthy, NULL, 5000));
    for (int i = 0; i < 25; i++)
      rig_turn (&fix->rig, 20);
    g_assert_false (spool_accepting (fix->rig.spool, NULL));
    break_ (&fail->sync, 0, 0, 0);
    g_assert_true (rig_until (&fix->rig, healthy, NULL, 5000));
  }
  g_assert_true (rig_until (&fix->rig, moved, GUINT_TO_POINTER (2), 5000));
  g_assert_true (rig_until (&fix->rig, no_failed_segment, NULL, 5000));
  g_assert_cmpuint (fix->rig.alarms, >, 0);
  rig_close (&fix->rig);
  start (fix);
  assert_live (fix, a, EK_TO_DEFERRED, "first");
  assert_live (fix, b, EK_TO_DEFERRED, "second");
  g_assert_cmpuint (fix->rig.alarms, ==, 0);
}

/* A large file whose write or sync fails is refused and leaves nothing behind. */
static void
test_file (Fix *fix, gconstpointer data)
{
  EkSpoolTo to = { .address = EK_STR ("r@example.com") };
  EkSpoolExtent extent = { .len = 300000 };
  g_autofree char *bytes = g_malloc0 (300000);
  FailRule *rule = GPOINTER_TO_INT (data) ? &fail->write : &fail->sync;

  g_strlcpy (fail->match, "/large", sizeof fail->match);
  break_ (rule, GPOINTER_TO_INT (data) ? ENOSPC : EIO, 0, 1);
  EkSpoolNew message = { .id = spool_new_id (fix->rig.spool), .to = &to, .n_to = 1, .extents = &extent, .n_extents = 1 };
  message.file = file_new (fix->rig.spool, message.id, NULL, NULL);
  file_append (message.file, bytes, 300000);
  g_assert_cmpint (rig_submit_new (&fix->rig, &message), ==, EK_DEFER);
  g_assert_null (spool_find (fix->rig.spool, message.id));
  g_strlcpy (fail->match, "/seg/", sizeof fail->match);
  rig_close (&fix->rig);
  g_autofree char *large = g_build_filename (fix->dir, "large", NULL);
  g_autoptr (GDir) dir = g_dir_open (large, 0, NULL);
  g_assert_null (g_dir_read_name (dir));
  start (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 0);
}

static bool
room_is (Rig *rig, gpointer data)
{
  return (atomic_load (&rig->spool->usable) == 0) == (data == NULL);
}

/* The disk fills: mail is refused, outcomes are still written, and when mail goes it is accepted again. */
static void
test_full (Fix *fix, gconstpointer data)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (EkQueueId));
  g_autofree char *body = g_strnfill (20000, 'b');
  const char *why = NULL;

  atomic_store (&fail->room, 0);
  atomic_store (&fail->use_room, 1);
  break_ (&fail->write, ENOSPC, 0, 0);
  guint refused = 0;
  for (int i = 0; i < 200 && refused < 3; i++) {
    EkQueueId id = submit (fix, body);
    if (id)
      g_array_append_val (ids, id);
    refused += id == 0;
  }
  g_assert_cmpuint (refused, ==, 3);
  g_assert_cmpuint (ids->len, >, 5);
  g_assert_true (rig_until (&fix->rig, room_is, NULL, 3000));
  g_assert_false (spool_accepting (fix->rig.spool, &why));
  g_assert_nonnull (strstr (why, "1.5 x message_size_limit"));
  /* Room for the outcomes of all that was accepted, many times over. */
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0, .text = EK_STR ("4.0.0 the next hop is down") };
  for (guint turn = 0; turn < 5; turn++)
    for (guint i = 0; i < ids->len; i++)
      g_assert_cmpint (rig_act (&fix->rig, spool_find (fix->rig.spool, g_array_index (ids, EkQueueId, i)), &defer, true),
                       ==, EK_OK);
  EkSpoolAct retire = { .type = EK_ACT_RETIRE, .rcpt = EK_TO_ALL };
  for (guint i = 0; i < ids->len; i++)
    g_assert_cmpint (rig_act (&fix->rig, spool_find (fix->rig.spool, g_array_index (ids, EkQueueId, i)), &retire, true),
                     ==, EK_OK);
  atomic_store (&fail->room, 1024 * 1024 * 1024);
  g_assert_true (rig_until (&fix->rig, healthy, NULL, 5000));
  g_assert_cmpuint (submit (fix, "again"), !=, 0);
  rig_close (&fix->rig);
  start (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 1);
}

static void
start_again (char **argv)
{
  const char *asan = g_getenv ("ASAN_OPTIONS");
  g_autofree char *options = g_strconcat (asan ? asan : "", asan ? ":" : "", "verify_asan_link_order=0", NULL);

  g_setenv ("ASAN_OPTIONS", options, TRUE);
  g_setenv ("LD_PRELOAD", EK_BUILDDIR "/tests/lib/.libs/libfaildisk.so", TRUE);
  execv ("/proc/self/exe", argv);
}

int
main (int argc, char **argv)
{
  FailDisk **found = dlsym (RTLD_DEFAULT, "faildisk");

  if (found == NULL) {
    if (g_getenv ("LD_PRELOAD") == NULL)
      start_again (argv);
    g_printerr ("tests/lib/libfaildisk.so cannot be preloaded\n");
    return 1;
  }
  fail = *found;
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/spool/fail/sync", Fix, GINT_TO_POINTER (0), set_up, test_one_sync, tear_down);
  g_test_add ("/spool/fail/write", Fix, GINT_TO_POINTER (1), set_up, test_one_sync, tear_down);
  g_test_add ("/spool/fail/crash", Fix, NULL, set_up, test_one_sync_then_crash, tear_down);
  g_test_add ("/spool/fail/twice", Fix, NULL, set_up, test_two_syncs, tear_down);
  g_test_add ("/spool/fail/cold-once", Fix, GINT_TO_POINTER (1), set_up, test_cold, tear_down);
  g_test_add ("/spool/fail/cold-always", Fix, GINT_TO_POINTER (-1), set_up, test_cold, tear_down);
  g_test_add ("/spool/fail/file-sync", Fix, GINT_TO_POINTER (0), set_up, test_file, tear_down);
  g_test_add ("/spool/fail/file-write", Fix, GINT_TO_POINTER (1), set_up, test_file, tear_down);
  g_test_add ("/spool/fail/full", Fix, NULL, set_up, test_full, tear_down);
  return g_test_run ();
}
