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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/spool/states", Fix, NULL, set_up, test_states, tear_down);
  return g_test_run ();
}
