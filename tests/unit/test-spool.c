/* test-spool.c - the write-ahead spool: records, replay, segments that come and go
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lib/spoolrig.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct { char *dir; Rig rig; SpoolOptions options; } Fix;

static void
start (Fix *fix)
{
  g_autoptr (GError) error = NULL;

  rig_open (&fix->rig, &fix->options, 1024 * 1024, &error);
  g_assert_no_error (error);
}

static void
again (Fix *fix)
{
  rig_close (&fix->rig);
  start (fix);
}

static void
set_up (Fix *fix, gconstpointer data)
{
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

static EkSpoolMessage *
find (Fix *fix, EkQueueId id)
{
  return spool_find (fix->rig.spool, id);
}

static void
assert_content (Fix *fix, EkSpoolMessage *message, const char *want)
{
  g_autofree char *text = rig_content (&fix->rig, message, NULL);

  g_assert_cmpstr (text, ==, want);
  g_assert_cmpuint (message->size, ==, strlen (want));
}

/* ---- one message through all its states ------------------------------------------------------------ */

static EkQueueId
submit_full (Fix *fix)
{
  EkBuf attrs = { 0 };
  EkSpoolTo to[] = {
    { .address = EK_STR ("a@example.com"), .orcpt = EK_STR ("rfc822;A@example.com"), .notify = EK_NOTIFY_NEVER },
    { .address = EK_STR ("b@example.com") },
    { .address = EK_STR ("c@example.com"), .notify = EK_NOTIFY_FAILURE | EK_NOTIFY_DELAY },
  };
  EkSpoolExtent extents[] = { { .bytes = EK_STR ("Received: here\r\n") }, { .bytes = EK_STR ("Subject: x\r\n\r\nbody\r\n") } };
  EkSpoolNew message = {
    .event = 77, .arrival = 123456789, .flags = EK_MSG_8BIT | EK_MSG_RET_HDRS, .sender = EK_STR ("s@example.org"),
    .envid = EK_STR ("env+41"), .to = to, .n_to = 3, .extents = extents, .n_extents = 2,
  };

  ek_spool_attr_add (&attrs, EK_ATTR_HELO, EK_STR ("client.example.org"));
  ek_spool_attr_add (&attrs, EK_ATTR_LOGIN, EK_STR (""));
  message.attrs = ek_buf_str (&attrs);
  g_assert_cmpint (rig_submit_new (&fix->rig, &message), ==, EK_OK);
  ek_buf_release (&attrs);
  return message.id;
}

static void
assert_envelope (const EkSpoolMessage *m)
{
  g_assert_nonnull (m);
  g_assert_cmpuint (m->event, ==, 77);
  g_assert_cmpint (m->arrival, ==, 123456789);
  g_assert_cmpuint (m->flags, ==, EK_MSG_8BIT | EK_MSG_RET_HDRS);
  g_assert_true (ek_str_eq (m->sender, EK_STR ("s@example.org")));
  g_assert_true (ek_str_eq (m->envid, EK_STR ("env+41")));
  g_assert_true (ek_str_eq (ek_spool_attr_find (m->attrs, EK_ATTR_HELO), EK_STR ("client.example.org")));
  g_assert_nonnull (ek_spool_attr_find (m->attrs, EK_ATTR_LOGIN).p);
  g_assert_null (ek_spool_attr_find (m->attrs, EK_ATTR_TLS).p);
  g_assert_cmpuint (m->n_rcpts, ==, 3);
  g_assert_true (ek_str_eq (m->rcpts[0].orcpt, EK_STR ("rfc822;A@example.com")));
  g_assert_cmpuint (m->rcpts[0].notify, ==, EK_NOTIFY_NEVER);
  g_assert_true (ek_str_eq (m->rcpts[2].address, EK_STR ("c@example.com")));
  g_assert_cmpuint (m->rcpts[2].notify, ==, EK_NOTIFY_FAILURE | EK_NOTIFY_DELAY);
}

static void
assert_states (const EkSpoolMessage *m, gint64 tried)
{
  assert_envelope (m);
  g_assert_cmpuint (m->rcpts[0].state, ==, EK_TO_DONE);
  g_assert_cmpstr (m->rcpts[0].status, ==, "delivered");
  g_assert_cmpuint (m->rcpts[1].state, ==, EK_TO_DEFERRED);
  g_assert_cmpint (m->rcpts[1].next_try, ==, 99000000);
  g_assert_cmpstr (m->rcpts[1].status, ==, "451 later");
  g_assert_cmpuint (m->rcpts[1].attempts, ==, 2);
  g_assert_cmpint (m->rcpts[1].tried, ==, tried);
  g_assert_cmpuint (m->rcpts[2].state, ==, EK_TO_TRYING);
  g_assert_cmpstr (m->rcpts[2].target, ==, "store");
  g_assert_cmpstr (m->rcpts[2].base, ==, "base.name");
  g_assert_cmpuint (m->rcpts[2].action, ==, 4);
  g_assert_true (m->rcpts[2].held);
  g_assert_cmpuint (m->crashes, ==, 1);
  g_assert_cmpuint (m->n_plans, ==, 1);
  g_assert_true (ek_str_eq (m->plans[0].bytes, EK_STR ("plan\0bytes")));
  g_assert_cmpuint (m->plans[0].n_steps, >, 9);
  g_assert_cmpuint (m->plans[0].steps[1], ==, 1 << 1);
}

static void
test_states (Fix *fix, gconstpointer data)
{
  EkQueueId id = submit_full (fix);
  EkSpoolMessage *m = find (fix, id);
  EkSpoolAct first[] = {
    { .type = EK_ACT_ATTEMPT, .rcpt = 0, .action = 1, .text = EK_STR ("relay"), .base = EK_STR ("x") },
    { .type = EK_ACT_DONE, .rcpt = 0, .text = EK_STR ("delivered") },
    { .type = EK_ACT_ATTEMPT, .rcpt = 1, .action = 2, .text = EK_STR ("relay"), .base = EK_STR ("y") },
    { .type = EK_ACT_ATTEMPT, .rcpt = 1, .action = 3, .text = EK_STR ("relay"), .base = EK_STR ("z") },
    { .type = EK_ACT_DEFER, .rcpt = 1, .text = EK_STR ("451 later"), .next_try = 99000000 },
    { .type = EK_ACT_PLAN, .rcpt = 2, .action = 5, .text = EK_STR ("old") },
    { .type = EK_ACT_PLAN, .rcpt = 2, .action = 5, .text = EK_STR ("plan\0bytes") },
    { .type = EK_ACT_STEP, .rcpt = 2, .action = 5, .step = 9 },
  };
  EkSpoolAct second[] = {
    { .type = EK_ACT_ATTEMPT, .rcpt = 2, .action = 4, .text = EK_STR ("store"), .base = EK_STR ("base.name") },
    { .type = EK_ACT_HOLD, .rcpt = 2, .text = EK_STR ("operator") },
    { .type = EK_ACT_CRASH, .rcpt = EK_TO_ALL },
  };
  RigCall call;

  assert_envelope (m);
  g_assert_cmpuint (m->rcpts[2].state, ==, EK_TO_WAITING);
  rig_call (&call);
  g_assert_cmpint (rig_wait (&fix->rig, &call, spool_record (fix->rig.spool, &call.call, m, first,
                                                            G_N_ELEMENTS (first), NULL, 0)), ==, EK_OK);
  g_assert_cmpint (spool_record (fix->rig.spool, NULL, m, second, G_N_ELEMENTS (second), NULL, 0), ==, EK_OK);
  gint64 tried = m->rcpts[1].tried;
  assert_states (m, tried);
  again (fix);                                   /* from the hot log and the cold one, whichever has it */
  g_assert_cmpuint (fix->rig.live->len, ==, 1);
  assert_states (m = find (fix, id), tried);
  assert_content (fix, m, "Received: here\r\nSubject: x\r\n\r\nbody\r\n");
  EkSpoolAct third[] = { { .type = EK_ACT_RELEASE, .rcpt = 2 }, { .type = EK_ACT_REQUEUE, .rcpt = EK_TO_ALL } };
  g_assert_cmpint (spool_record (fix->rig.spool, NULL, m, third, 2, NULL, 0), ==, EK_OK);
  again (fix);
  m = find (fix, id);
  g_assert_cmpuint (m->rcpts[0].state, ==, EK_TO_DONE);
  g_assert_cmpuint (m->rcpts[1].state, ==, EK_TO_WAITING);
  g_assert_cmpuint (m->rcpts[1].attempts, ==, 0);
  g_assert_false (m->rcpts[2].held);
  EkSpoolAct last = { .type = EK_ACT_RETIRE, .rcpt = EK_TO_ALL };
  g_assert_cmpint (rig_act (&fix->rig, m, &last, true), ==, EK_OK);
  g_assert_null (find (fix, id));
  again (fix);
  g_assert_cmpuint (fix->rig.live->len, ==, 0);
  g_assert_cmpuint (fix->rig.alarms, ==, 0);
}

/* ---- children, edits, files ------------------------------------------------------------------------- */

/* A bounce and the retirement of what bounced are one record; a plan goes with what it sends. */
static void
test_children (Fix *fix, gconstpointer data)
{
  EkQueueId id = rig_submit (&fix->rig, "s@example.org", "r@example.com", EK_STR ("parent"));
  EkSpoolTo to = { .address = EK_STR ("s@example.org") };
  EkSpoolExtent one = { .bytes = EK_STR ("bounce") }, two = { .bytes = EK_STR ("copy") };
  EkSpoolNew children[] = {
    { .id = spool_new_id (fix->rig.spool), .flags = EK_MSG_BOUNCE, .to = &to, .n_to = 1, .extents = &one, .n_extents = 1 },
    { .id = spool_new_id (fix->rig.spool), .to = &to, .n_to = 1, .extents = &two, .n_extents = 1 },
  };
  EkSpoolAct acts[] = { { .type = EK_ACT_BOUNCE, .rcpt = 0, .text = EK_STR ("550 no") }, { .type = EK_ACT_RETIRE } };
  RigCall call;

  rig_call (&call);
  EkStatus status = spool_record (fix->rig.spool, &call.call, find (fix, id), acts, 2, children, 2);
  g_assert_null (find (fix, id));                /* in effect at once; children come when they are durable */
  g_assert_null (find (fix, children[0].id));
  g_assert_cmpint (rig_wait (&fix->rig, &call, status), ==, EK_OK);
  for (int i = 0; i < 2; i++) {
    assert_content (fix, find (fix, children[0].id), "bounce");
    assert_content (fix, find (fix, children[1].id), "copy");
    g_assert_cmpuint (find (fix, children[0].id)->flags, ==, EK_MSG_BOUNCE);
    g_assert_cmpuint (find (fix, children[0].id)->sender.n, ==, 0);
    again (fix);
    g_assert_null (find (fix, id));
    g_assert_cmpuint (fix->rig.live->len, ==, 2);
  }
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0 };   /* the second moves to the cold log alone */
  g_assert_cmpint (rig_act (&fix->rig, find (fix, children[1].id), &defer, true), ==, EK_OK);
  again (fix);
  assert_content (fix, find (fix, children[0].id), "bounce");
  assert_content (fix, find (fix, children[1].id), "copy");
}

static void
edit (Fix *fix, EkQueueId id, const EkSpoolExtent *extents, guint n, const char *want)
{
  EkSpoolAct act = { .type = EK_ACT_EDIT, .extents = extents, .n_extents = n };

  g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &act, true), ==, EK_OK);
  assert_content (fix, find (fix, id), want);
}

static void
test_edits (Fix *fix, gconstpointer data)
{
  EkQueueId id = rig_submit (&fix->rig, "s@example.org", "r@example.com", EK_STR ("A: 1\r\nB: 2\r\n\r\nbody"));
  EkSpoolExtent prepend[] = { { .bytes = EK_STR ("DKIM: x\r\n") }, { .len = 18 } };
  EkSpoolExtent replace[] = { { .len = 9 }, { .bytes = EK_STR ("A: one\r\n") }, { .from = 15, .len = 12 } };
  EkSpoolExtent remove[] = { { .from = 9, .len = 20 } };
  EkSpoolExtent outside[] = { { .from = 9, .len = 21 } };

  edit (fix, id, prepend, 2, "DKIM: x\r\nA: 1\r\nB: 2\r\n\r\nbody");
  edit (fix, id, replace, 3, "DKIM: x\r\nA: one\r\nB: 2\r\n\r\nbody");
  again (fix);
  assert_content (fix, find (fix, id), "DKIM: x\r\nA: one\r\nB: 2\r\n\r\nbody");
  edit (fix, id, remove, 1, "A: one\r\nB: 2\r\n\r\nbody");
  EkSpoolAct defer = { .type = EK_ACT_DEFER, .rcpt = 0 };
  g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &defer, false), ==, EK_OK);
  while (MESSAGE (find (fix, id))->seg->kind == SEG_HOT)
    rig_turn (&fix->rig, 20);
  assert_content (fix, find (fix, id), "A: one\r\nB: 2\r\n\r\nbody");
  again (fix);
  assert_content (fix, find (fix, id), "A: one\r\nB: 2\r\n\r\nbody");
  EkSpoolAct act = { .type = EK_ACT_EDIT, .extents = outside, .n_extents = 1 };
  g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &act, true), ==, EK_FAIL);
}

static guint
count_files (Fix *fix)
{
  g_autofree char *path = g_build_filename (fix->dir, "large", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

static void
count_up (gpointer user)
{
  ++*(guint *) user;
}

static bool
files_are (Rig *rig, gpointer data)
{
  return count_files (data) == 0;
}

static void
test_large (Fix *fix, gconstpointer data)
{
  gsize n = 3 * 1024 * 1024 + 17;
  g_autofree char *body = g_malloc (n + 1);
  EkSpoolTo to = { .address = EK_STR ("r@example.com") };
  EkSpoolExtent extents[] = { { .bytes = EK_STR ("Received: x\r\n") }, { .len = n } };
  EkSpoolNew message = { .id = spool_new_id (fix->rig.spool), .to = &to, .n_to = 1, .extents = extents, .n_extents = 2 };
  guint drained = 0;
  gsize m;

  for (gsize i = 0; i < n; i++)
    body[i] = (char) ('a' + i % 23);
  message.file = file_new (fix->rig.spool, message.id, count_up, &drained);
  for (gsize at = 0; at < n; at += 100000)
    g_assert_cmpuint (file_append (message.file, body + at, MIN (100000, n - at)), <=, n);
  g_assert_cmpint (rig_submit_new (&fix->rig, &message), ==, EK_OK);
  EkSpoolMessage *found = find (fix, message.id);
  g_assert_true (found->large);
  g_assert_cmpuint (found->size, ==, n + 13);
  again (fix);
  found = find (fix, message.id);
  g_autofree char *text = rig_content (&fix->rig, found, &m);
  g_assert_cmpuint (m, ==, n + 13);
  g_assert_cmpmem (text + 13, n, body, n);
  /* A child shares the file; each goes with its own message. */
  EkSpoolNew child = message;
  RigCall call;
  child.id = spool_new_id (fix->rig.spool);
  child.file = file_share (fix->rig.spool, child.id, found);
  rig_call (&call);
  g_assert_cmpint (rig_wait (&fix->rig, &call, file_sync (child.file, &call.call)), ==, EK_OK);
  EkSpoolAct retire = { .type = EK_ACT_RETIRE };
  rig_call (&call);
  g_assert_cmpint (rig_wait (&fix->rig, &call, spool_record (fix->rig.spool, &call.call, found, &retire, 1, &child, 1)),
                   ==, EK_OK);
  again (fix);
  g_assert_null (find (fix, message.id));
  g_assert_cmpuint (count_files (fix), ==, 1);
  g_free (g_steal_pointer (&text));
  text = rig_content (&fix->rig, find (fix, child.id), &m);
  g_assert_cmpmem (text + 13, m - 13, body, n);
  g_assert_cmpint (rig_act (&fix->rig, find (fix, child.id), &retire, true), ==, EK_OK);
  g_assert_true (rig_until (&fix->rig, files_are, fix, 5000));
  /* One that was never submitted leaves nothing, nor does one that a crash left behind. */
  EkSpoolFile *file = file_new (fix->rig.spool, spool_new_id (fix->rig.spool), NULL, NULL);
  file_append (file, "x", 1);
  file_free (file);
  g_autofree char *orphan = g_build_filename (fix->dir, "large", "0123456789ABCDEF", NULL);
  g_assert_true (g_file_set_contents (orphan, "x", 1, NULL));
  again (fix);
  g_assert_cmpuint (count_files (fix), ==, 0);
  g_assert_cmpuint (fix->rig.alarms, ==, 0);
}

/* ---- what is refused --------------------------------------------------------------------------------- */

static void
test_faults (Fix *fix, gconstpointer data)
{
  EkSpoolTo to = { .address = EK_STR ("r@example.com") };
  g_autofree char *bytes = g_malloc0 (EK_SPOOL_INLINE_MAX + 1);
  EkSpoolExtent big = { .bytes = { bytes, EK_SPOOL_INLINE_MAX + 1 } }, range = { .len = 1 };
  EkSpoolNew none = { .to = &to }, inline_ = { .to = &to, .n_to = 1, .extents = &big, .n_extents = 1 };
  EkSpoolNew nofile = { .to = &to, .n_to = 1, .extents = &range, .n_extents = 1 };
  g_autofree EkSpoolTo *many = g_new0 (EkSpoolTo, 20000);
  EkSpoolNew crowd = { .to = many, .n_to = 20000 };

  for (guint i = 0; i < 20000; i++)
    many[i].address = EK_STR ("somebody@example.com");
  g_assert_cmpint (rig_submit_new (&fix->rig, &none), ==, EK_FAIL);
  g_assert_cmpint (rig_submit_new (&fix->rig, &inline_), ==, EK_FAIL);
  g_assert_cmpint (rig_submit_new (&fix->rig, &nofile), ==, EK_FAIL);
  g_assert_cmpint (rig_submit_new (&fix->rig, &crowd), ==, EK_FAIL);   /* for a segment of this size */
  EkQueueId id = rig_submit (&fix->rig, "s", "r", EK_STR ("x"));
  EkSpoolNew twice = { .id = id, .to = &to, .n_to = 1 };
  g_assert_cmpint (rig_submit_new (&fix->rig, &twice), ==, EK_FAIL);
  EkSpoolAct bad[] = {
    { .type = EK_ACT_DONE, .rcpt = 1 }, { .type = 0 }, { .type = 99 }, { .type = EK_ACT_DEFER, .text = { bytes, 5000 } },
    { .type = EK_ACT_STEP, .step = 4096 }, { .type = EK_ACT_DONE, .extents = &range, .n_extents = 1 },
  };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &bad[i], true), ==, EK_FAIL);
  EkSpoolAct late[] = { { .type = EK_ACT_RETIRE }, { .type = EK_ACT_CRASH } };
  g_assert_cmpint (spool_record (fix->rig.spool, NULL, find (fix, id), late, 2, NULL, 0), ==, EK_FAIL);
  g_assert_cmpuint (find (fix, id)->crashes, ==, 0);
  g_assert_nonnull (strstr (fix->rig.reports->str, "an act after the retirement"));
}

static void
test_ids (Fix *fix, gconstpointer data)
{
  char text[EK_QUEUE_ID_LEN + 1];
  EkQueueId last = 0, id = 0, back;

  for (int i = 0; i < 40000; i++, last = id) {   /* more than one millisecond's counter holds */
    id = spool_new_id (fix->rig.spool);
    g_assert_cmpuint (id, >, last);
    g_assert_cmpuint (id >> 14 & 255, ==, 7);
  }
  again (fix);
  g_assert_cmpuint (spool_new_id (fix->rig.spool), >, last);
  /* The clock is years back: what was given does not come again, with and without a checkpoint. */
  fix->rig.spool->id_last += G_GUINT64_CONSTANT (100) * 365 * 86400 * 1000 / 10;
  last = spool_new_id (fix->rig.spool);
  again (fix);
  g_assert_cmpuint (spool_new_id (fix->rig.spool), >, last);
  ek_queue_id_text (last, text);
  g_assert_true (ek_queue_id_parse (ek_str (text), &back));
  g_assert_cmpuint (back, ==, last);
  g_assert_false (ek_queue_id_parse (EK_STR ("0000000000000000"), &back));
  g_assert_false (ek_queue_id_parse (EK_STR ("012345678901234g"), &back));
  g_assert_false (ek_queue_id_parse (EK_STR ("12345"), &back));
  g_assert_cmpint (ek_queue_id_time (G_GUINT64_CONSTANT (1) << 22), ==, G_GINT64_CONSTANT (1577836800001000));
}

static void
test_cursor (Fix *fix, gconstpointer data)
{
  EkQueueId ids[10];
  EkSpoolAct retire = { .type = EK_ACT_RETIRE };

  for (int i = 0; i < 10; i++)
    ids[i] = rig_submit (&fix->rig, "s", "r", EK_STR ("x"));
  EkSpoolCursor *cursor = cursor_new (fix->rig.spool, ids[2]);
  g_assert_cmpuint (cursor_next (cursor)->id, ==, ids[2]);
  rig_act (&fix->rig, find (fix, ids[3]), &retire, false);   /* the one that would be next goes */
  g_assert_cmpuint (cursor_next (cursor)->id, ==, ids[4]);
  rig_act (&fix->rig, find (fix, ids[4]), &retire, false);
  for (int i = 5; i < 10; i++)
    g_assert_cmpuint (cursor_next (cursor)->id, ==, ids[i]);
  g_assert_null (cursor_next (cursor));
  cursor_free (cursor);
  cursor = cursor_new (fix->rig.spool, ids[3]);  /* gone: from the next one on */
  g_assert_cmpuint (cursor_next (cursor)->id, ==, ids[5]);
  cursor_free (cursor);
}

static bool
is_durable (Rig *rig, gpointer data)
{
  return rig->spool->lsn_done == rig->spool->lsn;
}

/* A lazy record is in the file at once (a killed process loses none) and synced within 50 ms. */
static void
test_lazy (Fix *fix, gconstpointer data)
{
  EkQueueId id = rig_submit (&fix->rig, "s", "r", EK_STR ("x"));
  EkSpoolAct crash = { .type = EK_ACT_CRASH };
  EkSpoolStatus before, after;

  spool_status (fix->rig.spool, &before);
  for (int i = 0; i < 100; i++)
    g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &crash, false), ==, EK_OK);
  g_usleep (150 * 1000);
  g_assert_true (rig_until (&fix->rig, is_durable, NULL, 10000));
  spool_status (fix->rig.spool, &after);
  g_assert_cmpuint (after.syncs - before.syncs, >=, 1);
  g_assert_cmpuint (after.syncs - before.syncs, <=, 5);
}

/* A barrier comes back when what was recorded before it is durable. */
static void
test_barrier (Fix *fix, gconstpointer data)
{
  EkQueueId id = rig_submit (&fix->rig, "s", "r", EK_STR ("x"));
  EkSpoolAct crash = { .type = EK_ACT_CRASH };
  RigCall call;

  for (int i = 0; i < 5; i++) {
    g_assert_cmpint (rig_act (&fix->rig, find (fix, id), &crash, false), ==, EK_OK);
    rig_call (&call);
    g_assert_cmpint (rig_wait (&fix->rig, &call, spool_barrier (fix->rig.spool, &call.call)), ==, EK_OK);
    g_assert_cmpuint (fix->rig.spool->lsn_done, ==, fix->rig.spool->lsn);
  }
}

typedef struct { RigCall call; EkSpoolTo to; EkSpoolExtent extent; EkSpoolNew message; } Slot;

/* Twenty at once share syncs; calls that are open when it closes all end. */
static void
test_group (Fix *fix, gconstpointer data)
{
  g_autofree Slot *slots = g_new0 (Slot, 400);
  EkSpoolStatus before, after;

  spool_status (fix->rig.spool, &before);
  for (guint i = 0; i < 400; i++) {
    Slot *slot = &slots[i];
    rig_call (&slot->call);
    slot->to.address = EK_STR ("r@example.com");
    slot->extent.bytes = EK_STR ("body");
    slot->message = (EkSpoolNew) { .id = spool_new_id (fix->rig.spool), .to = &slot->to, .n_to = 1,
                                   .extents = &slot->extent, .n_extents = 1 };
    g_assert_cmpint (spool_submit (fix->rig.spool, &slot->call.call, &slot->message), ==, EK_PENDING);
  }
  rig_wait (&fix->rig, &slots[199].call, EK_PENDING);
  spool_status (fix->rig.spool, &after);
  g_assert_cmpuint (after.syncs - before.syncs, <, 100);
  EkSpoolContent content = { 0 };
  g_assert_cmpint (spool_content (fix->rig.spool, NULL, find (fix, slots[0].message.id), &content), ==, EK_OK);
  spool_content_release (fix->rig.spool, &content);
  again (fix);
  for (guint i = 0; i < 400; i++) {
    g_assert_true (slots[i].call.done);
    g_assert_cmpint (slots[i].call.status, ==, EK_OK);
    g_assert_nonnull (find (fix, slots[i].message.id));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/spool/states", Fix, NULL, set_up, test_states, tear_down);
  g_test_add ("/spool/children", Fix, NULL, set_up, test_children, tear_down);
  g_test_add ("/spool/edits", Fix, NULL, set_up, test_edits, tear_down);
  g_test_add ("/spool/large", Fix, NULL, set_up, test_large, tear_down);
  g_test_add ("/spool/faults", Fix, NULL, set_up, test_faults, tear_down);
  g_test_add ("/spool/ids", Fix, NULL, set_up, test_ids, tear_down);
  g_test_add ("/spool/cursor", Fix, NULL, set_up, test_cursor, tear_down);
  g_test_add ("/spool/lazy", Fix, NULL, set_up, test_lazy, tear_down);
  g_test_add ("/spool/barrier", Fix, NULL, set_up, test_barrier, tear_down);
  g_test_add ("/spool/group", Fix, NULL, set_up, test_group, tear_down);
  return g_test_run ();
}
