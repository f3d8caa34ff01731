/* test-loop.c - loop, timers, jobs, channels between processes and within one
 * SPDX-License-Identifier: Apache-2.0
 */
#include "../lib/slow.h"
#include "loop/job.h"
#include "proc/channel.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static EkLoop *loop;

#define TURN_UNTIL(cond_) \
  for (gint64 end_ = ek_now () + 5000000; !(cond_) && ek_now () < end_;) ek_loop_turn (loop, false)

/* ---- timers ---- */

typedef struct {
  EkTimer  timer;
  GString *order;
  char     name;
} Named;

static void
named (EkTimer *timer)
{
  Named *n = (Named *) timer;
  g_string_append_c (n->order, n->name);
}

static void
test_timer (void)
{
  g_autoptr (GString) order = g_string_new (NULL);
  Named t[6];
  const gint64 ms = 1000 * test_slowness ();

  for (int i = 0; i < 6; i++)
    t[i] = (Named) { .timer.func = named, .order = order, .name = (char) ('a' + i) };
  ek_timer_set (loop, &t[0].timer, 30 * ms);
  ek_timer_set (loop, &t[1].timer, 10 * ms);
  ek_timer_set (loop, &t[2].timer, 20 * ms);
  ek_timer_set (loop, &t[3].timer, 1 * ms);
  ek_timer_set (loop, &t[3].timer, 40 * ms);       /* later: moves when it comes up */
  ek_timer_set (loop, &t[4].timer, 50 * ms);
  ek_timer_set (loop, &t[4].timer, 5 * ms);        /* earlier: at once */
  ek_timer_set (loop, &t[5].timer, 15 * ms);
  ek_timer_cancel (loop, &t[5].timer);
  TURN_UNTIL (order->len == 5);
  g_assert_cmpstr (order->str, ==, "ebcad");
  g_assert_false (ek_timer_armed (&t[3].timer));
}

/* ---- jobs ---- */

typedef struct {
  EkJob job;
  int   n;
} Counted;

static int running, most, done_n, last_of_key[4];

static void
count_run (EkJob *job, EkJobThread *thread)
{
  Counted *c = (Counted *) job;
  int now = __atomic_add_fetch (&running, 1, __ATOMIC_SEQ_CST);
  int seen_most = __atomic_load_n (&most, __ATOMIC_SEQ_CST);
  while (now > seen_most
         && !__atomic_compare_exchange_n (&most, &seen_most, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    ;
  int *seen = ek_job_thread_get (thread, &running);
  if (seen == NULL) {
    seen = g_new0 (int, 1);
    ek_job_thread_set (thread, &running, seen, g_free);
  }
  ++*seen;
  if (job->key) {                    /* one at a time, in order */
    g_assert_cmpint (last_of_key[job->key], ==, c->n - 1);
    g_usleep (50);
    last_of_key[job->key] = c->n;
  }
  __atomic_sub_fetch (&running, 1, __ATOMIC_SEQ_CST);
}

static void
count_done (EkJob *job)
{
  g_assert_true (ek_loop_mine () == loop);
  done_n++;
  g_free (job);
}

static void
test_job (void)
{
  EkJobPool *pool = ek_job_pool_new (loop, 4, "test");
  int n = 0;

  for (int i = 1; i <= 200; i++)
    for (guint64 key = 0; key < 4; key++) {
      Counted *c = g_new0 (Counted, 1);
      *c = (Counted) { .job = { .key = key, .run = count_run, .done = count_done }, .n = i };
      ek_job_submit (pool, &c->job);
      n++;
    }
  TURN_UNTIL (done_n == n);
  g_assert_cmpint (done_n, ==, n);
  g_assert_cmpint (last_of_key[3], ==, 200);
  ek_job_pool_free (pool);
}

static void
test_job_end (void)
{
  EkJobPool *pool = ek_job_pool_new (loop, 2, "test");

  done_n = 0;
  memset (last_of_key, 0, sizeof last_of_key);
  for (int i = 1; i <= 50; i++) {
    Counted *c = g_new0 (Counted, 1);
    *c = (Counted) { .job = { .key = 1, .run = count_run, .done = count_done }, .n = i };
    ek_job_submit (pool, &c->job);
  }
  ek_job_pool_free (pool);
  g_assert_cmpint (done_n, ==, 50);              /* each is told, whether it ran or not */
}

/* ---- jobs that give way ---- */

typedef struct {
  EkJob job;
  int   nice;
  bool  done;
} Priority;

static void
read_priority (EkJob *job, EkJobThread *thread)
{
  ((Priority *) job)->nice = getpriority (PRIO_PROCESS, 0);        /* Linux: of this thread */
}

static void
priority_read (EkJob *job)
{
  ((Priority *) job)->done = true;
}

/* From now on the kernel refuses these calls to this process. */
static void
refuse (const int *calls, guint n)
{
  struct sock_filter code[16] = { BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)) };
  struct sock_fprog filter = { .filter = code };
  guint at = 1;

  for (guint i = 0; i < n; i++)
    code[at++] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint) calls[i], n - i, 0);
  code[at++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[at++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  filter.len = (gushort) at;
  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), ==, 0);
}

static int
nice_of_a_job (void)
{
  EkJobPool *pool = ek_job_pool_new (loop, 1, "test");
  Priority p = { .job = { .run = read_priority, .done = priority_read }, .nice = -1 };

  ek_job_pool_give_way (pool);
  ek_job_submit (pool, &p.job);
  TURN_UNTIL (p.done);
  ek_job_pool_free (pool);
  return p.nice;
}

/* Where the kernel refuses the long time slice there is nice, and where it refuses that too the work is done all the same. */
static void
test_give_way_refused (void)
{
  static const int calls[] = { SYS_sched_setattr, SYS_setpriority };

  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed ();
    return;
  }
  g_assert_cmpint (nice_of_a_job (), ==, 10);
  refuse (calls, 1);
  g_assert_cmpint (nice_of_a_job (), ==, 10);
  refuse (calls, 2);
  g_assert_cmpint (nice_of_a_job (), ==, 0);
}

/* ---- channels ---- */

typedef struct {
  EkChannel *ch;
  int        got, answered, lost, gone;
  gsize      bytes;
} End;

static void
echo (EkMsg *msg, gpointer data)
{
  End *end = data;
  guint64 n = ek_unpack_u64 (&msg->in);
  EkStr s = ek_unpack_str (&msg->in);

  g_assert_true (ek_unpack_ok (&msg->in));
  g_assert_cmpuint (n, ==, (guint64) end->got);
  end->got++;
  end->bytes += s.n;
  if (msg->n_fds > 0) {
    char text[8] = "";
    int fd = ek_msg_take_fd (msg, 0);
    g_assert_cmpint (pread (fd, text, 4, 0), ==, 4);
    g_assert_cmpint (atoi (text), ==, (int) n);
    close (fd);
  }
  if (msg->id) {
    ek_pack_u64 (ek_channel_answer (msg->channel, msg->id), n * 2);
    ek_channel_end (msg->channel);
  }
}

static void
answered (EkMsg *msg, gpointer data)
{
  End *end = data;

  if (msg == NULL)
    end->lost++;
  else {
    g_assert_cmpuint (ek_unpack_u64 (&msg->in) % 2, ==, 0);
    end->answered++;
  }
}

static void
gone (EkChannel *ch, gpointer data)
{
  ((End *) data)->gone++;
}

static void
talk (EkChannel *a, EkChannel *b)
{
  End ea = { .ch = a }, eb = { .ch = b };
  g_autofree char *big = g_malloc0 (200000);
  int calls = 0;

  ek_channel_handle (a, echo, gone, &ea);
  ek_channel_handle (b, echo, gone, &eb);
  for (guint i = 0; i < 300; i++) {
    EkBuf *buf = i % 3 == 0 ? ek_channel_call (a, 7, answered, &ea) : ek_channel_send (a, 7);
    calls += i % 3 == 0;
    ek_pack_u64 (buf, i);
    ek_pack_str (buf, (EkStr) { big, i % 7 == 0 ? 200000 : i });
    if (i % 5 == 0) {
      g_autofree char *text = g_strdup_printf ("%04u", i);
      int fd = memfd_create ("t", MFD_CLOEXEC);
      g_assert_cmpint (write (fd, text, 4), ==, 4);
      ek_channel_attach (a, fd);
    }
    ek_channel_end (a);
    if (i == 100)
      ek_channel_pause (b, true);
    if (i % 10 == 0)
      ek_loop_turn (loop, false);
    if (i == 200)
      ek_channel_pause (b, false);
  }
  TURN_UNTIL (eb.got == 300 && ea.answered == calls);
  g_assert_cmpint (eb.got, ==, 300);
  g_assert_cmpint (ea.answered, ==, calls);
  ek_pack_u64 (ek_channel_call (a, 7, answered, &ea), 300);
  ek_channel_break (b, "test");
  ek_channel_end (a);
  TURN_UNTIL (ea.gone && eb.gone);
  g_assert_cmpint (ea.lost, ==, 1);
  g_assert_cmpint (ea.gone, ==, 1);
  ek_channel_free (a);
  ek_channel_free (b);
  ek_loop_turn (loop, false);
}

static void
test_channel_socket (void)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  talk (ek_channel_new (loop, fds[0], "a"), ek_channel_new (loop, fds[1], "b"));
}

static void
test_channel_memory (void)
{
  EkChannel *a, *b;

  ek_channel_pair (loop, &a, &b, "ab");
  talk (a, b);
}

/* No more descriptors: message 2 loses its own, and no other message gets a wrong one. */
static void
lossy (EkMsg *msg, gpointer data)
{
  static struct rlimit usual;
  End *end = data;
  guint64 n = ek_unpack_u64 (&msg->in);
  int fd = ek_msg_take_fd (msg, 0);
  char text[8] = "";

  g_assert_cmpuint (n, ==, (guint64) end->got++);
  g_assert_cmpint (fd >= 0, ==, n != 2);
  if (fd >= 0) {
    g_assert_cmpint (pread (fd, text, 4, 0), ==, 4);
    g_assert_cmpint (atoi (text), ==, (int) n);
    close (fd);
  }
  if (n == 1) {
    int free = dup (0);
    close (free);
    g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &usual), ==, 0);
    struct rlimit none = { (rlim_t) free, usual.rlim_max };
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  }
  else if (n == 2)
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &usual), ==, 0);
}

static void
test_channel_no_descriptors (void)
{
  const char *preload = g_getenv ("LD_PRELOAD");
  int fds[2];
  End end = { 0 };

  if (preload && strstr (preload, "vgpreload")) {
    g_test_skip ("memcheck keeps the limit to itself: the kernel goes on giving descriptors");
    return;
  }
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  EkChannel *a = ek_channel_new (loop, fds[0], "a"), *b = ek_channel_new (loop, fds[1], "b");
  ek_channel_handle (a, echo, gone, NULL);
  ek_channel_handle (b, lossy, gone, &end);
  for (guint64 n = 0; n < 6; n++) {
    char text[8];
    int fd = memfd_create ("t", MFD_CLOEXEC);
    g_snprintf (text, sizeof text, "%4d", (int) n);
    g_assert_cmpint (write (fd, text, 4), ==, 4);
    ek_pack_u64 (ek_channel_send (a, 1), n);
    ek_channel_attach (a, fd);
    ek_channel_end (a);
  }
  TURN_UNTIL (end.got == 6);
  g_assert_cmpint (end.got, ==, 6);
  g_assert_cmpint (end.gone, ==, 0);
  ek_channel_free (a);
  ek_channel_free (b);
  ek_loop_turn (loop, false);
}

static void
test_channel_hostile (void)
{
  static const guint8 bad[][12] = {
    { 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 7, 0, 0, 0 },      /* longer than any body */
    { 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 200 },                /* more descriptors than any message */
    { 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 2 },                  /* descriptors that never came */
    { 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0 },                  /* an answer to no question */
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    int fds[2];
    End end = { 0 };
    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    EkChannel *ch = ek_channel_new (loop, fds[0], "hostile");
    ek_channel_handle (ch, echo, gone, &end);
    g_assert_cmpint (write (fds[1], bad[i], 12), ==, 12);
    TURN_UNTIL (end.gone);
    g_assert_cmpint (end.gone, ==, 1);
    g_assert_cmpint (end.got, ==, 0);
    ek_channel_free (ch);
    close (fds[1]);
  }
}

static void
test_pack (void)
{
  static const guint64 nums[] = { 0, 1, 127, 128, 16383, 16384, G_MAXUINT32, G_MAXUINT64 };
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf buf = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (nums); i++)
    ek_pack_u64 (&buf, nums[i]);
  ek_pack_i64 (&buf, G_MININT64);
  ek_pack_i64 (&buf, -1);
  ek_pack_text (&buf, NULL);
  ek_pack_text (&buf, "");
  ek_pack_text (&buf, "word");
  for (gsize cut = 0; cut <= ek_buf_len (&buf); cut++) {     /* every cut-off is noticed */
    EkUnpack in = { ek_buf_at (&buf), cut, false };
    for (guint i = 0; i < G_N_ELEMENTS (nums); i++) {
      guint64 v = ek_unpack_u64 (&in);
      g_assert_true (v == nums[i] || in.bad);
    }
    gint64 low = ek_unpack_i64 (&in), minus = ek_unpack_i64 (&in);
    const char *none = ek_unpack_text (&in, pool), *empty = ek_unpack_text (&in, pool);
    const char *word = ek_unpack_text (&in, pool);
    g_assert_cmpint (ek_unpack_ok (&in), ==, cut == ek_buf_len (&buf));
    if (!in.bad) {
      g_assert_cmpint (low, ==, G_MININT64);
      g_assert_cmpint (minus, ==, -1);
      g_assert_null (none);
      g_assert_cmpstr (empty, ==, "");
      g_assert_cmpstr (word, ==, "word");
    }
  }
  EkUnpack nul = ek_unpack (EK_STR ("\003a\0"));
  ek_unpack_text (&nul, pool);
  g_assert_true (nul.bad);
  ek_buf_release (&buf);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  loop = ek_loop_new (NULL);
  g_test_add_func ("/loop/timer", test_timer);
  g_test_add_func ("/loop/job", test_job);
  g_test_add_func ("/loop/job-end", test_job_end);
  g_test_add_func ("/loop/give-way-refused", test_give_way_refused);
  g_test_add_func ("/channel/pack", test_pack);
  g_test_add_func ("/channel/socket", test_channel_socket);
  g_test_add_func ("/channel/memory", test_channel_memory);
  g_test_add_func ("/channel/no-descriptors", test_channel_no_descriptors);
  g_test_add_func ("/channel/hostile", test_channel_hostile);
  int rc = g_test_run ();
  ek_loop_free (loop);
  return rc;
}
