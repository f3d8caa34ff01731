/* test-rehearse.c - the modules test and test_evented: each state, for each kind of provider that they are, as the core hears of it
 * SPDX-License-Identifier: Apache-2.0 */
#include "../lib/instance.h"
#include "base/base.h"
#include "module/call.h"
#include <glib/gstdio.h>
#include <string.h>

#define SLOW_US    30000
#define TIMEOUT_US 200000          /* more than a busy machine needs for what answers at once */

static EkLoop *loop;
static char *control;

/* ---- a question of each kind ---- */

typedef struct {
  const char *name, *secret;
  EkAnswer    answer;
  EkAccount   account;
  EkUser      user;
} Ask;

static EkStatus
run_map (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->map->lookup (self, call, &(EkQuery) { .key = ek_str (ask->name) }, &ask->answer);
}

static EkStatus
run_passdb (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->passdb->lookup (self, call, ask->name, &ask->account);
}

static EkStatus
run_verify (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;
  EkLogin login = { .name = ask->name, .given = ask->name, .service = "imap", .secret = ek_str (ask->secret) };

  return self->module->passdb->verify (self, call, &login, &ask->account);
}

static EkStatus
run_userdb (EkInstance *self, EkCall *call, gpointer data)
{
  Ask *ask = data;

  return self->module->userdb->lookup (self, call, ask->name, &ask->user);
}

static const struct { const char *kind; EkOpRun run; } kinds[] = {
  { "map", run_map }, { "passdb", run_passdb }, { "passdb that verifies", run_verify }, { "userdb", run_userdb },
};

typedef struct { guint n; EkStatus status; bool why; char said[64]; } Got;

static void
done (EkStatus status, gpointer data, const GError *why, gpointer user)
{
  Got *got = user;
  const Ask *ask = data;

  got->n++;
  got->status = status;
  got->why = why != NULL;
  if (status == EK_OK) {
    EkStr said = ask->answer.n_rows ? ask->answer.cells[0] : ask->account.stored;
    g_snprintf (got->said, sizeof got->said, "%.*s%s", EK_STR_ARG (said), ask->user.home ? ask->user.home : "");
  }
}

typedef struct { EkTask task; EkOp *op; EkOpRun run; Ask *ask; Got *got; bool begun; } Start;

/* In a turn of the loop, whose context GLib timers find. */
static void
start (EkTask *task)
{
  Start *s = (Start *) task;

  ek_op_start (s->op, 0, (EkTime) { TIMEOUT_US }, s->run, s->ask, done, s->got);
  s->begun = true;
}

static Got
ask (EkInstance *self, EkOpRun run, const char *name, const char *secret)
{
  Got got = { 0 };
  EkOp *op = ek_op_new (self);
  Ask *a = ek_pool_new0 (ek_op_pool (op), Ask);
  Start s = { .task.func = start, .op = op, .run = run, .ask = a, .got = &got };

  a->name = ek_pool_strdup (ek_op_pool (op), name);
  a->secret = secret;
  ek_loop_post (loop, &s.task);
  while (!s.begun || got.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (got.n, ==, 1);
  return got;
}

/* ---- what each state is to whoever asks ---- */

static const struct { const char *state; EkStatus status; bool why; } states[] = {
  { "ok", EK_OK, false },        { "notfound", EK_NOTFOUND, false }, { "defer", EK_DEFER, true },
  { "fail", EK_FAIL, true },     { "slow-30", EK_OK, false },        { "hang", EK_DEFER, true },
};

static void
assert_state (EkInstance *self, guint kind, guint state, const char *name)
{
  static const char *const said[] = { "v", "{PLAIN}pw", "", "/home/%s" };
  gint64 begun = ek_now ();
  Got got = ask (self, kinds[kind].run, name, "pw");
  g_autofree char *home = g_strdup_printf ("/home/%s", name);

  g_test_message ("%s: %s, %s: %s", self->module->name, kinds[kind].kind, states[state].state, ek_status_name (got.status));
  g_assert_cmpint (got.status, ==, states[state].status);
  g_assert_cmpint (got.why, ==, states[state].why);
  if (strcmp (states[state].state, "slow-30") == 0)
    g_assert_cmpint (ek_now () - begun, >=, SLOW_US - 1000);
  if (strcmp (states[state].state, "hang") == 0)
    g_assert_cmpint (ek_now () - begun, >=, TIMEOUT_US - 1000);
  if (got.status == EK_OK)
    g_assert_cmpstr (got.said, ==, kind == 3 ? home : said[kind]);
}

static void
rehearse (const char *module)
{
  g_autofree char *options = g_strdup_printf ("value = v\npassword = pw\nhome = \"/home/%%n\"\ncontrol = \"%s\"\n", control);

  for (guint kind = 0; kind < G_N_ELEMENTS (kinds); kind++)
    for (guint i = 0; i < G_N_ELEMENTS (states); i++) {
      EkInstance *self = ek_test_instance (module, options);
      assert_state (self, kind, i, states[i].state);       /* said by the name */
      assert_state (self, kind, 0, "anybody");
      g_assert_true (g_file_set_contents (control, states[i].state, -1, NULL));
      assert_state (self, kind, i, "anybody");              /* by the control file */
      assert_state (self, kind, i, "ok");
      unlink (control);
      assert_state (self, kind, 0, "anybody");              /* and it is back */
      ek_test_instance_free (self);
      g_autofree char *set = g_strdup_printf ("%sstate = \"%s\"\n", options, states[i].state);
      self = ek_test_instance (module, set);
      assert_state (self, kind, i, "anybody");              /* by the block */
      ek_test_instance_free (self);
    }
}

static void
test_blocking (void)
{
  rehearse ("test");
}

static void
test_evented (void)
{
  rehearse ("test_evented");
}

/* A wrong password is FAIL without an error, whatever kind of passdb says so. */
static void
test_wrong_password (void)
{
  EkInstance *self = ek_test_instance ("test", "password = pw\n"), *verifies = ek_test_instance ("test", "password = pw\nverify = yes\n");
  Got got = ask (self, run_verify, "anybody", "no");

  g_assert_cmpint (got.status, ==, EK_FAIL);
  g_assert_false (got.why);
  g_assert_cmpint (ask (self, run_verify, "notfound", "no").status, ==, EK_NOTFOUND);
  g_assert_cmpint (ask (self, run_verify, "defer", "no").status, ==, EK_DEFER);
  g_assert_false (self->module->passdb->verifies (self));
  g_assert_true (self->module->passdb->verifies (verifies));
  ek_test_instance_free (self);
  ek_test_instance_free (verifies);
}

/* ---- filters ---- */

typedef struct { EkTask task; EkInstance *self; EkCall *call; EkMail *mail; EkReply *reply; EkVerdict verdict; bool begun, cancel; } Filtered;

static void
filter (EkTask *task)
{
  Filtered *f = (Filtered *) task;

  f->verdict = f->self->module->filter->at[EK_AT_RCPT] (f->self, f->call, f->mail, f->reply);
  if (f->cancel)
    ek_call_cancel (f->call);
  f->begun = true;
}

static void
filtered (EkCall *call, EkStatus verdict, gpointer user)
{
  *(int *) user = (int) verdict;
}

static int
verdict_of (EkInstance *self, const char *word, int *code)
{
  int late = -1;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkCall call = { .pool = pool, .done = filtered, .user = &late };
  EkMail mail = { .rcpt = ek_str (word) };
  EkReply reply = { 0 };
  Filtered f = { .task.func = filter, .self = self, .call = &call, .mail = &mail, .reply = &reply, .cancel = strcmp (word, "hang") == 0 };

  ek_loop_post (loop, &f.task);
  while (!f.begun || (f.verdict == EK_VERDICT_PENDING && late == -1))
    ek_loop_turn (loop, true);
  *code = reply.code;
  return f.verdict == EK_VERDICT_PENDING ? late + 100 : (int) f.verdict;
}

static void
test_filter (void)
{
  static const struct { const char *word; int verdict, evented, code; } cases[] = {
    { "ok", EK_CONTINUE, EK_CONTINUE, 0 },
    { "notfound", EK_REJECT, EK_REJECT, 550 },
    { "defer", EK_TEMPFAIL, EK_TEMPFAIL, 451 },
    { "fail", EK_REJECT, EK_REJECT, 554 },
    { "slow-30", EK_CONTINUE, EK_CONTINUE + 100, 0 },      /* one that blocks must not wait: it runs on the loop */
    { "hang", EK_CONTINUE, EK_CONTINUE + 100, 0 },         /* until it is cancelled */
  };

  for (guint evented = 0; evented < 2; evented++) {
    EkInstance *self = ek_test_instance (evented ? "test_evented" : "test", "");
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
      int code = 0;
      g_assert_cmpint (verdict_of (self, cases[i].word, &code), ==, evented ? cases[i].evented : cases[i].verdict);
      g_assert_cmpint (code, ==, cases[i].code);
    }
    ek_test_instance_free (self);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("EKIDEN_LOG_LEVEL", "error", TRUE);    /* warnings are what is tested here */
  loop = ek_loop_new (NULL);
  EkJobPool *jobs = ek_job_pool_new (loop, 1, "test");
  ek_op_use_jobs (jobs);
  g_autofree char *folder = g_dir_make_tmp ("ekiden-rehearse-XXXXXX", NULL);
  control = g_build_filename (folder, "control", NULL);
  g_test_add_func ("/rehearse/blocking", test_blocking);
  g_test_add_func ("/rehearse/evented", test_evented);
  g_test_add_func ("/rehearse/wrong-password", test_wrong_password);
  g_test_add_func ("/rehearse/filter", test_filter);
  int failed = g_test_run ();
  ek_op_use_jobs (NULL);
  ek_job_pool_free (jobs);
  ek_loop_free (loop);
  g_rmdir (folder);
  g_free (control);
  return failed;
}
