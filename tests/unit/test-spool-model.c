/* test-spool-model.c - thousands of random operations and restarts, compared with a model in memory
 * SPDX-License-Identifier: Apache-2.0
 *
 * Segments are small and messages grow cold after moments, so that everything moves all the time.
 * Some restarts find no checkpoint, or a damaged one: the log alone must tell the same.
 */
#include "lib/spoolrig.h"
#include <fcntl.h>
#include <unistd.h>

#define N_RCPTS 3

typedef struct {
  guint8  state;
  bool    held;
  guint32 attempts;
  gint64  next_try, tried;
  char   *status;
} Goal;

typedef struct {
  EkQueueId id;
  GString  *content;
  guint     n_goals, crashes;
  Goal      goals[N_RCPTS];
  char     *plan;
  guint     steps;                   /* bits */
} Model;

typedef struct {
  Rig          rig;
  SpoolOptions options;
  GRand       *rand;
  GPtrArray   *models;
  guint        moved, checkpoints, cold_max, hot_max;
} World;

static void
model_free (gpointer data)
{
  Model *model = data;

  for (guint i = 0; i < model->n_goals; i++)
    g_free (model->goals[i].status);
  g_string_free (model->content, TRUE);
  g_free (model->plan);
  g_free (model);
}

static guint
pick (World *world, guint n)
{
  return (guint) g_rand_int_range (world->rand, 0, (gint) n);
}

static char *
words (World *world, guint n)
{
  char *text = g_malloc (n + 1);

  for (guint i = 0; i < n; i++)
    text[i] = (char) ('a' + pick (world, 26));
  text[n] = 0;
  return text;
}

/* ---- operations ------------------------------------------------------------------------------------ */

static Model *
model_new (World *world)
{
  static const guint sizes[] = { 0, 10, 700, 4000, 20000, 65536 };
  Model *model = g_new0 (Model, 1);
  guint n = sizes[pick (world, G_N_ELEMENTS (sizes))];
  char *text = words (world, n);

  model->content = g_string_new_len (text, n);
  model->n_goals = 1 + pick (world, N_RCPTS);
  model->id = spool_new_id (world->rig.spool);
  g_free (text);
  g_ptr_array_add (world->models, model);
  return model;
}

static EkSpoolNew
fresh (const Model *model, EkSpoolExtent extent[2], guint cut)
{
  static const EkSpoolTo to[N_RCPTS] = {
    { .address = EK_STR ("one@example.com"), .orcpt = EK_STR ("rfc822;one@example.com") },
    { .address = EK_STR ("two@example.com"), .notify = EK_NOTIFY_NEVER }, { .address = EK_STR ("three@example.com") },
  };
  extent[0] = (EkSpoolExtent) { .bytes = { model->content->str, cut } };
  extent[1] = (EkSpoolExtent) { .bytes = { model->content->str + cut, model->content->len - cut } };
  return (EkSpoolNew) { .id = model->id, .sender = EK_STR ("sender@example.org"), .to = to, .n_to = model->n_goals,
                        .event = model->id ^ 1, .extents = extent, .n_extents = 2 };
}

static void
op_submit (World *world)
{
  Model *model = model_new (world);
  EkSpoolExtent extent[2];
  EkSpoolNew message = fresh (model, extent, pick (world, (guint) model->content->len + 1));

  if (pick (world, 10) == 0) {                   /* its second half lies in a file */
    message.file = file_new (world->rig.spool, model->id, NULL, NULL);
    file_append (message.file, extent[1].bytes.p, extent[1].bytes.n);
    extent[1] = (EkSpoolExtent) { .len = extent[1].bytes.n };
  }
  g_assert_cmpint (rig_submit_new (&world->rig, &message), ==, EK_OK);
}

static Model *
some (World *world, EkSpoolMessage **message)
{
  if (world->models->len == 0)
    return NULL;
  Model *model = world->models->pdata[pick (world, world->models->len)];
  *message = spool_find (world->rig.spool, model->id);
  g_assert_nonnull (*message);
  return model;
}

static EkStatus
record (World *world, EkSpoolMessage *message, const EkSpoolAct *acts, guint n, const EkSpoolNew *child)
{
  RigCall call;

  if (child == NULL && pick (world, 3))
    return spool_record (world->rig.spool, NULL, message, acts, n, NULL, 0);
  rig_call (&call);
  return rig_wait (&world->rig, &call, spool_record (world->rig.spool, &call.call, message, acts, n, child, child != NULL));
}

static void
set_status (Goal *goal, guint8 state, const char *text)
{
  goal->state = state;
  g_free (goal->status);
  goal->status = g_strdup (text);
}

static void
op_act (World *world)
{
  EkSpoolMessage *message;
  Model *model = some (world, &message);

  if (model == NULL)
    return;
  guint32 which = pick (world, model->n_goals);
  Goal *goal = &model->goals[which];
  g_autofree char *text = words (world, pick (world, 80));
  EkSpoolAct act = { .rcpt = which, .text = ek_str (text), .next_try = g_rand_int (world->rand) };
  bool tried = false;
  switch (pick (world, 7)) {
  case 0:
    act.type = EK_ACT_ATTEMPT;
    goal->state = EK_TO_TRYING;
    goal->attempts++;
    tried = true;
    break;
  case 1:
    act.type = EK_ACT_DONE;
    set_status (goal, EK_TO_DONE, text);
    break;
  case 2:
    act.type = EK_ACT_BOUNCE;
    set_status (goal, EK_TO_BOUNCED, text);
    break;
  case 3:
    act.type = EK_ACT_CRASH;
    model->crashes++;
    break;
  case 4:
    act.type = EK_ACT_HOLD;
    goal->held = true;
    set_status (goal, goal->state, text);
    break;
  default:
    act.type = EK_ACT_DEFER;
    goal->next_try = act.next_try;
    set_status (goal, EK_TO_DEFERRED, text);
  }
  g_assert_cmpint (record (world, message, &act, 1, NULL), ==, EK_OK);
  if (tried)
    goal->tried = message->rcpts[which].tried;
}

static void
op_plan (World *world)
{
  EkSpoolMessage *message;
  Model *model = some (world, &message);

  if (model == NULL)
    return;
  char *plan = words (world, pick (world, 300));
  guint step = pick (world, 32);
  EkSpoolAct acts[] = { { .type = EK_ACT_PLAN, .action = 9, .text = ek_str (plan) },
                        { .type = EK_ACT_STEP, .action = 9, .step = (guint16) step } };
  g_free (model->plan);
  model->plan = plan;
  model->steps = 1u << step;
  g_assert_cmpint (record (world, message, acts, 2, NULL), ==, EK_OK);
}

/* Puts something in front and takes something out. */
static void
op_edit (World *world)
{
  EkSpoolMessage *message;
  Model *model = some (world, &message);

  if (model == NULL || model->content->len > 100000)
    return;
  gsize size = model->content->len, a = pick (world, (guint) size + 1), b = a + pick (world, (guint) (size - a) + 1);
  g_autofree char *head = words (world, pick (world, 200));
  EkSpoolExtent extents[] = { { .bytes = ek_str (head) }, { .from = 0, .len = a }, { .from = b, .len = size - b } };
  EkSpoolAct act = { .type = EK_ACT_EDIT, .extents = extents, .n_extents = 3 };
  g_string_erase (model->content, (gssize) a, (gssize) (b - a));
  g_string_prepend (model->content, head);
  g_assert_cmpint (record (world, message, &act, 1, NULL), ==, EK_OK);
}

static void
op_retire (World *world)
{
  EkSpoolMessage *message;
  Model *model = some (world, &message);

  if (model == NULL)
    return;
  EkSpoolAct acts[] = { { .type = EK_ACT_DONE, .rcpt = 0 }, { .type = EK_ACT_RETIRE, .rcpt = EK_TO_ALL } };
  if (pick (world, 4)) {
    g_assert_cmpint (record (world, message, acts, 2, NULL), ==, EK_OK);
  } else {                                       /* it becomes another message */
    EkSpoolExtent extent[2];
    Model *child = model_new (world);
    EkSpoolNew new = fresh (child, extent, 0);
    g_assert_cmpint (record (world, message, acts, 2, &new), ==, EK_OK);
    g_assert_nonnull (spool_find (world->rig.spool, child->id));
  }
  g_ptr_array_remove (world->models, model);
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static void
compare_one (World *world, const Model *model)
{
  EkSpoolMessage *message = spool_find (world->rig.spool, model->id);
  gsize n = 0;

  g_assert_nonnull (message);
  g_assert_cmpuint (message->event, ==, model->id ^ 1);
  g_assert_cmpuint (message->n_rcpts, ==, model->n_goals);
  g_assert_cmpuint (message->crashes, ==, model->crashes);
  for (guint i = 0; i < model->n_goals; i++) {
    const Goal *goal = &model->goals[i];
    const EkSpoolRcpt *rcpt = &message->rcpts[i];
    g_assert_cmpuint (rcpt->state, ==, goal->state);
    g_assert_cmpint (rcpt->held, ==, goal->held);
    g_assert_cmpuint (rcpt->attempts, ==, goal->attempts);
    g_assert_cmpint (rcpt->next_try, ==, goal->next_try);
    g_assert_cmpint (rcpt->tried, ==, goal->tried);
    g_assert_cmpstr (rcpt->status, ==, goal->status);
  }
  g_assert_cmpuint (message->n_plans, ==, model->plan != NULL);
  if (model->plan) {
    g_assert_cmpmem (message->plans[0].bytes.p, message->plans[0].bytes.n, model->plan, strlen (model->plan));
    for (guint i = 0; i < 32; i++)
      g_assert_cmpuint (i < message->plans[0].n_steps ? message->plans[0].steps[i / 8] >> i % 8 & 1 : 0, ==,
                        model->steps >> i & 1);
  }
  g_autofree char *content = rig_content (&world->rig, message, &n);
  g_assert_cmpmem (content, n, model->content->str, model->content->len);
}

static void
compare (World *world)
{
  EkSpoolCursor *cursor = cursor_new (world->rig.spool, 0);
  EkQueueId last = 0;
  guint n = 0;

  for (EkSpoolMessage *message; (message = cursor_next (cursor)) != NULL; last = message->id, n++)
    g_assert_cmpuint (message->id, >, last);
  cursor_free (cursor);
  g_assert_cmpuint (n, ==, world->models->len);
  for (guint i = 0; i < world->models->len; i++)
    compare_one (world, world->models->pdata[i]);
}

static void
note (World *world)
{
  EkSpoolStatus st;

  spool_status (world->rig.spool, &st);
  world->moved += (guint) st.moved;
  world->checkpoints += (guint) st.checkpoints;
  world->hot_max = MAX (world->hot_max, st.hot_segments);
  world->cold_max = MAX (world->cold_max, st.cold_segments);
  g_assert_cmpuint (st.failed_syncs, ==, 0);
  g_assert_cmpuint (st.quarantined, ==, 0);
}

static void
spoil_checkpoint (World *world)
{
  g_autofree char *path = g_build_filename (world->options.path, "checkpoint", NULL);
  int fd = open (path, O_RDWR | O_CLOEXEC);

  if (fd < 0)
    return;
  if (pick (world, 2))
    unlink (path);
  else
    g_assert_true (ftruncate (fd, lseek (fd, 0, SEEK_END) / 2) == 0);
  close (fd);
}

static void
restart (World *world)
{
  g_autoptr (GError) error = NULL;
  bool spoiled = pick (world, 2) == 0;
  char *text = NULL;
  size_t n;
  FILE *out = open_memstream (&text, &n);

  note (world);
  g_assert_cmpuint (world->rig.alarms, ==, 0);
  rig_close (&world->rig);
  int code = spool_fsck (world->options.path, false, out);
  fclose (out);
  if (code != 0)
    g_test_message ("%s", text);
  g_assert_cmpint (code, ==, 0);
  g_assert_nonnull (strstr (text, "result=clean"));
  free (text);
  if (spoiled)
    spoil_checkpoint (world);
  g_assert_true (rig_open (&world->rig, &world->options, 100000, &error));
  g_assert_cmpuint (world->rig.live->len, ==, world->models->len);
  g_assert_cmpuint (world->rig.alarms, <=, spoiled);
  world->rig.alarms = 0;
  compare (world);
}

/* ---- the test -------------------------------------------------------------------------------------- */

static void
test_model (gconstpointer data)
{
  World world = { .rand = g_rand_new_with_seed ((guint32) g_test_rand_int ()) };
  g_autofree char *dir = g_dir_make_tmp ("ekspool-XXXXXX", NULL);
  g_autoptr (GError) error = NULL;
  guint ops = g_test_thorough () ? 20000 : 3000;

  world.options = rig_options (dir);
  world.options.retain = 100 * 1000;
  world.options.cold_age = GPOINTER_TO_INT (data) * 1000;
  world.models = g_ptr_array_new_with_free_func (model_free);
  rig_open (&world.rig, &world.options, 100000, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < ops; i++) {
    guint what = pick (&world, 100);
    if (what < 30)
      op_submit (&world);
    else if (what < 60)
      op_act (&world);
    else if (what < 64)
      op_plan (&world);
    else if (what < 68)
      op_edit (&world);
    else if (world.models->len > pick (&world, 300))
      op_retire (&world);
    if (pick (&world, 10) == 0)
      rig_turn (&world.rig, 0);
    if (pick (&world, ops / 12) == 0)
      restart (&world);
  }
  compare (&world);
  restart (&world);
  g_test_message ("moved %u, checkpoints %u, hot segments at most %u, cold %u", world.moved, world.checkpoints,
                  world.hot_max, world.cold_max);
  g_assert_cmpuint (world.moved, >, 0);
  g_assert_cmpuint (world.checkpoints, >, 0);
  rig_close (&world.rig);
  g_ptr_array_unref (world.models);
  g_rand_free (world.rand);
  rig_rmtree (dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/spool/model/slow", GINT_TO_POINTER (600000), test_model);
  g_test_add_data_func ("/spool/model/fast", GINT_TO_POINTER (100), test_model);
  return g_test_run ();
}
