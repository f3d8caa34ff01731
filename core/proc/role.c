/* role.c - a worker process: its channel to master, its roles, their peers, its generation
 * SPDX-License-Identifier: Apache-2.0
 *
 * The life of a worker: HELLO (who it is; it becomes that user at once), the configuration in
 * pieces, GENERATION (modules are loaded and instances made, then the chroot), PEER and LISTENER as
 * many as there are, START.  Later GENERATION and ACTIVATE again for a reload, PEER when a
 * neighbour came back, STOP.  The worker ends when master is gone.
 */
#include "config.h"
#include "proc/role.h"
#include "proc/build.h"
#include "proc/confine.h"
#include "proc/logrole.h"
#include "proc/pairs.h"
#include "proc/priv.h"
#include "base/log.h"
#include "conf/serial.h"
#include "module/load.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define N_JOB_THREADS 8
#define CONFIG_MAX    (64u << 20)

typedef struct {
  EkRole     own, peer;
  guint      index;
  EkChannel *channel;
  bool       ready;                  /* it said so: its start succeeded */
} Peer;

static struct {
  const EkRoleOps *ops[EK_N_ROLES];  /* all that were registered */
  guint32       bits;                /* the roles that live here */
  guint         index, workers[EK_N_ROLES];
  char         *hostname;
  EkIdentity    who;
  GPtrArray    *reach;               /* of EkReach, until we are confined; NULL: not to be */
  bool          enclosed;
  EkLoop       *loop;
  EkJobPool    *jobs;
  EkChannel    *master;
  EkGeneration *generation, *pending;
  EkBuf         config;
  GPtrArray    *peers;               /* of Peer */
  guint         turn;                /* round-robin */
  guint32       unfinished;          /* roles that have not said done */
  bool          started, stopping;
  EkTimer       deadline;
} w;

void
ek_role_register (const EkRoleOps *ops)
{
  w.ops[ops->role] = ops;
}

EkLoop *
ek_role_loop (void)
{
  return w.loop;
}

EkJobPool *
ek_role_jobs (void)
{
  return w.jobs;
}

EkGeneration *
ek_role_generation (void)
{
  return w.generation;
}

EkChannel *
ek_role_master (void)
{
  return w.master;
}

guint
ek_role_workers (EkRole role)
{
  return w.workers[role];
}

guint
ek_role_index (void)
{
  return w.index;
}

const char *
ek_role_hostname (void)
{
  return w.hostname;
}

bool
ek_role_here (EkRole role)
{
  return (w.bits & EK_ROLE_BIT (role)) != 0;
}

bool
ek_role_stopping (void)
{
  return w.stopping;
}

/* ---- peers ---- */

EkChannel *
ek_role_peer (EkRole own, EkRole peer, guint index)
{
  for (guint i = 0; i < w.peers->len; i++) {
    Peer *p = w.peers->pdata[i];
    if (p->own == own && p->peer == peer && p->index == index)
      return p->channel;
  }
  return NULL;
}

EkChannel *
ek_role_any_of (EkRole own, EkRole peer, guint first, guint last)
{
  for (guint i = 0; i < w.peers->len; i++) {
    Peer *p = w.peers->pdata[(w.turn + i) % w.peers->len];
    if (p->own == own && p->peer == peer && p->index >= first && p->index < last) {
      w.turn = (w.turn + i + 1) % w.peers->len;
      return p->channel;
    }
  }
  return first > 0 || last <= EK_INDEX_MAX ? ek_role_any_of (own, peer, 0, EK_INDEX_MAX + 1) : NULL;
}

EkChannel *
ek_role_any (EkRole own, EkRole peer)
{
  return ek_role_any_of (own, peer, 0, EK_INDEX_MAX + 1);
}

guint
ek_role_peers (EkRole own, EkRole peer)
{
  guint n = 0;

  for (guint i = 0; i < w.peers->len; i++) {
    Peer *p = w.peers->pdata[i];
    n += p->own == own && p->peer == peer;
  }
  return n;
}

bool
ek_role_peer_ready (EkChannel *channel)
{
  return ((Peer *) ek_channel_data (channel))->ready;
}

guint
ek_role_peer_index (EkChannel *channel)
{
  return ((Peer *) ek_channel_data (channel))->index;
}

static void
peer_message (EkMsg *msg, gpointer data)
{
  Peer *p = data;
  const EkRoleOps *ops = w.ops[p->own];
  if (msg->type == EK_M_READY) {
    p->ready = true;
    if (w.started && ops->peer_ready)
      ops->peer_ready (p->peer, p->index);
  }
  else if (ops->message)
    ops->message (p->peer, p->index, msg);
}

static void
peer_gone (EkChannel *channel, gpointer data)
{
  Peer *p = data;
  const EkRoleOps *ops = w.ops[p->own];
  g_ptr_array_remove (w.peers, p);
  if (ek_channel_is_broken (channel) && w.master) {        /* master replaces it: else it would live on without this channel */
    EkBuf *out = ek_channel_send (w.master, EK_M_NONSENSE);
    ek_pack_u64 (out, p->own);
    ek_pack_u64 (out, p->peer);
    ek_pack_u64 (out, p->index);
    ek_channel_end (w.master);
  }
  if (ops->peer_gone)
    ops->peer_gone (p->peer, p->index);
  ek_channel_free (channel);
  g_free (p);
}

static void
peer_begin (Peer *p)
{
  ek_channel_send (p->channel, EK_M_READY);
  ek_channel_end (p->channel);
  if (w.ops[p->own]->peer_up)
    w.ops[p->own]->peer_up (p->peer, p->index, p->channel);
  if (p->ready && w.ops[p->own]->peer_ready)
    w.ops[p->own]->peer_ready (p->peer, p->index);
}

static void
peer_add (EkRole own, EkRole peer, guint index, EkChannel *channel)
{
  Peer *p = g_new (Peer, 1);
  EkChannel *old = ek_role_peer (own, peer, index);

  if (old)                           /* it was restarted and we have not noticed its end yet */
    peer_gone (old, ek_channel_data (old));
  *p = (Peer) { .own = own, .peer = peer, .index = index, .channel = channel };
  g_ptr_array_add (w.peers, p);
  ek_channel_handle (channel, peer_message, peer_gone, p);
  if (w.started)
    peer_begin (p);
}

static void
peers_within (void)
{
  for (EkRole a = 0; a < EK_N_ROLES; a++)
    for (EkRole b = a + 1; b < EK_N_ROLES; b++)
      if (ek_role_here (a) && ek_role_here (b) && ek_roles_talk (a, b) && w.ops[a] && w.ops[b]) {
        EkChannel *ca, *cb;
        g_autofree char *name = g_strdup_printf ("%s-%s", ek_role_name (a), ek_role_name (b));
        ek_channel_pair (w.loop, &ca, &cb, name);
        peer_add (a, b, w.index, ca);
        peer_add (b, a, w.index, cb);
      }
}

/* ---- what master says ---- */

static void G_GNUC_PRINTF (1, 2)
die (const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  ek_log (EK_ERR, "worker", "%s", text);
  ek_log_flush ();
  _exit (75);                        /* EX_TEMPFAIL: master tries again, with a growing pause */
}

static void
take_reach (EkUnpack *in, EkPool *pool)
{
  bool confine = ek_unpack_max (in, 1) == 1;
  guint n = (guint) ek_unpack_max (in, G_MAXUINT16);

  w.reach = confine ? g_ptr_array_new_with_free_func (g_free) : NULL;
  for (guint i = 0; i < n && !in->bad; i++) {
    const char *path = ek_unpack_text (in, pool);
    guint how = (guint) ek_unpack_max (in, EK_REACH_READ | EK_REACH_WRITE | EK_REACH_RUN);
    if (w.reach == NULL)
      continue;
    gsize len = path ? strlen (path) + 1 : 0;
    EkReach *r = g_malloc0 (sizeof *r + len);
    *r = (EkReach) { .path = (char *) (r + 1), .how = how };
    memcpy (r->path, path ? path : "", len);
    g_ptr_array_add (w.reach, r);
  }
}

/* The last rights go: files while they can still be named, then the chroot, then the calls. */
static void
enclose (void)
{
  g_autoptr (GError) error = NULL;

  if ((w.reach && !ek_confine_files (w.bits, w.reach, &error)) || !ek_priv_enclose (&w.who, &error)
      || (w.reach && !ek_confine_calls (w.bits, &error)))
    die ("%s", error->message);
  g_clear_pointer (&w.reach, g_ptr_array_unref);
  w.enclosed = true;
}

static void
on_hello (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GError) error = NULL;
  const char *build = ek_unpack_text (&msg->in, pool);

  if (g_strcmp0 (build, ek_build_id ()) != 0) {      /* the program was replaced on disk */
    ek_pack_text (ek_channel_answer (msg->channel, msg->id), ek_build_id ());
    ek_channel_end (msg->channel);
    ek_channel_flush (msg->channel);
    _exit (0);
  }
  w.bits = (guint32) ek_unpack_max (&msg->in, EK_ROLES_ALL);
  w.index = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
  w.who.uid = ek_unpack_i64 (&msg->in);
  w.who.gid = ek_unpack_i64 (&msg->in);
  w.who.chroot = g_strdup (ek_unpack_text (&msg->in, pool));
  w.hostname = g_strdup (ek_unpack_text (&msg->in, pool));
  ek_log_set_level ((EkLevel) ek_unpack_max (&msg->in, EK_DEBUG));
  guint n = (guint) ek_unpack_max (&msg->in, EK_N_ROLES);
  for (guint i = 0; i < n; i++)
    w.workers[i] = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
  take_reach (&msg->in, pool);
  if (!ek_unpack_ok (&msg->in))
    die ("the first message of master is damaged");
  if (!ek_priv_become (&w.who, &error))
    die ("%s", error->message);
  w.jobs = ek_job_pool_new (w.loop, N_JOB_THREADS, "ekiden-job");
  ek_pack_text (ek_channel_answer (msg->channel, msg->id), ek_build_id ());
  ek_channel_end (msg->channel);
}

static void
on_generation (EkMsg *msg)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EkProblems) problems = ek_problems_new ();
  EkBuf text = { 0 };
  guint late = ek_modules_refused ();
  EkConf *conf = ek_conf_unserialise (ek_buf_at (&w.config), ek_buf_len (&w.config), &error);

  ek_wipe (ek_buf_at (&w.config), ek_buf_len (&w.config));
  ek_buf_release (&w.config);
  g_clear_pointer (&w.pending, ek_generation_unref);
  if (conf)
    w.pending = ek_generation_new (conf, w.bits, problems);
  if (w.pending && !w.enclosed)
    enclose ();
  if (w.pending && !ek_generation_start (w.pending, &error))
    g_clear_pointer (&w.pending, ek_generation_unref);
  if (error)
    ek_buf_appends (&text, error->message);
  else
    ek_problems_print (problems, &text);
  ek_buf_appendc (&text, '\0');
  EkBuf *out = ek_channel_answer (msg->channel, msg->id);
  ek_pack_u64 (out, w.pending ? EK_GENERATION_GOOD : ek_modules_refused () > late ? EK_GENERATION_ELSEWHERE : EK_GENERATION_BAD);
  ek_pack_text (out, ek_buf_at (&text));
  ek_channel_end (msg->channel);
  ek_buf_release (&text);
}

static void
on_activate (guint64 number)
{
  if (number == 0 || w.pending == NULL) {
    g_clear_pointer (&w.pending, ek_generation_unref);
    return;
  }
  EkGeneration *old = w.generation;
  w.generation = g_steal_pointer (&w.pending);
  const EkLogOptions *log = ek_generation_values (w.generation, &ek_log_block, NULL);
  EkLevel level;
  if (log && ek_log_level_parse (log->level, &level))
    ek_log_set_level (level);
  if (w.started)
    for (EkRole r = 0; r < EK_N_ROLES; r++)
      if (ek_role_here (r) && w.ops[r] && w.ops[r]->reload)
        w.ops[r]->reload ();
  ek_generation_retire (old, w.generation);
}

static void
start_roles (void)
{
  g_autoptr (GError) error = NULL;

  for (EkRole r = 0; r < EK_N_ROLES; r++)
    if (ek_role_here (r) && w.ops[r] && w.ops[r]->start && !w.ops[r]->start (&error))
      die ("%s: %s", ek_role_name (r), error ? error->message : "cannot start");
  w.started = true;
  for (guint i = 0; i < w.peers->len; i++)
    peer_begin (w.peers->pdata[i]);
}

static void
on_peer (EkMsg *msg)
{
  EkRole own = (EkRole) ek_unpack_max (&msg->in, EK_N_ROLES - 1);
  EkRole peer = (EkRole) ek_unpack_max (&msg->in, EK_N_ROLES - 1);
  guint index = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
  int fd = ek_msg_take_fd (msg, 0);

  if (!ek_unpack_ok (&msg->in) || fd < 0 || !ek_role_here (own) || w.ops[own] == NULL)
    die ("a peer's channel came damaged");
  g_autofree char *name = g_strdup_printf ("%s-%s.%u", ek_role_name (own), ek_role_name (peer), index);
  peer_add (own, peer, index, ek_channel_new (w.loop, fd, name));
}

static void
on_listener (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkRole role = (EkRole) ek_unpack_max (&msg->in, EK_N_ROLES - 1);
  const char *listener = ek_unpack_text (&msg->in, pool), *address = ek_unpack_text (&msg->in, pool);
  bool login = msg->type == EK_M_LISTENER && ek_unpack_max (&msg->in, 1) == 1;
  int fd = msg->type == EK_M_LISTENER ? ek_msg_take_fd (msg, 0) : -1;
  const EkRoleOps *ops = w.ops[role];

  if (!ek_unpack_ok (&msg->in) || ops == NULL || listener == NULL || address == NULL)
    die ("a listener came damaged");
  if (msg->type == EK_M_LISTENER && ops->listener)
    ops->listener (listener, address, login, fd);
  else if (msg->type == EK_M_UNLISTEN && ops->unlisten)
    ops->unlisten (listener, address);
}

void
ek_role_done (EkRole role)
{
  w.unfinished &= ~EK_ROLE_BIT (role);
  if (w.stopping && w.unfinished == 0)
    ek_loop_quit (w.loop);
}

static void
deadline (EkTimer *timer)
{
  ek_loop_quit (w.loop);
}

static void
on_stop (guint64 ms)
{
  if (w.stopping)
    return;
  w.stopping = true;
  w.unfinished = w.bits;
  w.deadline.func = deadline;
  ek_timer_set (w.loop, &w.deadline, (gint64) ms * 1000);
  for (EkRole r = 0; r < EK_N_ROLES; r++)
    if (ek_role_here (r)) {
      if (w.ops[r] && w.ops[r]->stop && w.started)
        w.ops[r]->stop ((gint64) ms * 1000);
      else
        ek_role_done (r);
    }
}

static void
master_message (EkMsg *msg, gpointer data)
{
  switch (msg->type) {
  case EK_M_HELLO:
    on_hello (msg);
    break;
  case EK_M_CONFIG: {
    EkStr piece = ek_unpack_str (&msg->in);
    if (ek_buf_len (&w.config) + piece.n > CONFIG_MAX)
      die ("the configuration is over %u bytes", CONFIG_MAX);
    ek_buf_append (&w.config, piece.p, piece.n);
    break;
  }
  case EK_M_GENERATION:
    on_generation (msg);
    break;
  case EK_M_ACTIVATE:
    on_activate (ek_unpack_u64 (&msg->in));
    break;
  case EK_M_IN_FORCE:
    ek_channel_answer (msg->channel, msg->id);
    ek_channel_end (msg->channel);
    break;
  case EK_M_PEER:
    on_peer (msg);
    break;
  case EK_M_LISTENER:
  case EK_M_UNLISTEN:
    on_listener (msg);
    break;
  case EK_M_START:
    peers_within ();
    start_roles ();
    ek_channel_send (msg->channel, EK_M_READY);
    ek_channel_end (msg->channel);
    break;
  case EK_M_STOP:
    on_stop (ek_unpack_u64 (&msg->in));
    break;
  default:
    for (EkRole r = 0; r < EK_N_ROLES; r++)
      if (ek_role_here (r) && w.ops[r] && w.ops[r]->master) {
        EkUnpack whole = msg->in;
        w.ops[r]->master (msg);
        msg->in = whole;
      }
  }
}

static void
master_gone (EkChannel *channel, gpointer data)
{
  ek_loop_quit (w.loop);             /* without master there is nobody to restart what fails: end with it */
}

static void
finish (void)
{
  ek_generations_watch (NULL);
  for (EkRole r = 0; r < EK_N_ROLES; r++)
    if (ek_role_here (r) && w.ops[r] && w.ops[r]->end && w.started)
      w.ops[r]->end ();
  while (w.peers->len > 0) {
    Peer *p = g_ptr_array_steal_index (w.peers, w.peers->len - 1);
    ek_channel_free (p->channel);
    g_free (p);
  }
  ek_job_pool_free (w.jobs);
  ek_generation_unref (w.generation);
  ek_generation_unref (w.pending);
  ek_timer_cancel (w.loop, &w.deadline);
  ek_channel_free (w.master);
  ek_loop_turn (w.loop, false);
  ek_buf_release (&w.config);
  g_ptr_array_free (w.peers, TRUE);
  g_free (w.hostname);
  g_clear_pointer (&w.reach, g_ptr_array_unref);
  g_free ((char *) w.who.chroot);
}

static void
tell_generations (guint live)
{
  ek_pack_u64 (ek_channel_send (w.master, EK_M_GENERATIONS), live);
  ek_channel_end (w.master);
}

int
ek_worker_main (const char *name)
{
  g_autoptr (GError) error = NULL;

  signal (SIGPIPE, SIG_IGN);
  signal (SIGINT, SIG_IGN);          /* of the terminal: master decides */
  signal (SIGHUP, SIG_IGN);
  ek_priv_descriptors ();
  ek_log_set_fd (4);
  ek_log_capture_glib ();
  w.loop = ek_loop_new (&error);
  if (w.loop == NULL)
    die ("%s", error->message);
  ek_log_set_batching (true);
  w.peers = g_ptr_array_new ();
  w.master = ek_channel_new (w.loop, 3, "master");
  ek_channel_handle (w.master, master_message, master_gone, NULL);
  ek_generations_watch (tell_generations);
  ek_loop_run (w.loop);
  finish ();
  ek_log_set_batching (false);
  EkLoop *loop = g_steal_pointer (&w.loop);
  ek_loop_free (loop);
  return 0;
}

/* ---- in tests ---- */

bool
ek_worker_embed (EkLoop *loop, guint32 bits, const char *conf_text, GError **error)
{
  EkProblems *problems = ek_problems_new ();
  EkConf *conf = ek_conf_load_text ("test.conf", ek_str (conf_text), 0, problems);

  w.loop = loop;
  w.bits = bits;
  w.hostname = g_strdup ("mail.test");
  w.peers = g_ptr_array_new ();
  w.jobs = ek_job_pool_new (loop, 2, "test-job");
  for (guint i = 0; i < EK_N_ROLES; i++)
    w.workers[i] = 1;
  EkGeneration *gen = conf ? ek_generation_new (conf, bits, problems) : NULL;
  if (gen == NULL) {
    EkBuf text = { 0 };
    ek_problems_print (problems, &text);
    ek_fail (error, EK_FAIL, 0, "%.*s", EK_STR_ARG (ek_buf_str (&text)));
    ek_buf_release (&text);
  }
  ek_problems_free (problems);
  if (gen == NULL || !ek_generation_start (gen, error))
    return false;
  w.generation = gen;
  peers_within ();
  start_roles ();
  return true;
}

void
ek_worker_unembed (void)
{
  finish ();
  memset (&w.bits, 0, sizeof w - G_STRUCT_OFFSET (typeof (w), bits));
}
