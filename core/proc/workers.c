/* workers.c - master's worker processes: bringing one up, its neighbours, its end and restart
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/workers.h"
#include "base/log.h"
#include "conf/serial.h"
#include "proc/build.h"
#include "proc/confine.h"
#include "proc/messages.h"
#include "proc/noise.h"
#include "proc/pairs.h"
#include "proc/spawn.h"
#include "proc/userstores.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE       (512 * 1024)
#define KEY_LEN     80
#define KEYS        2
#define QUICK_DEATH (60 * G_USEC_PER_SEC)

static struct {
  EkLoop       *loop;
  EkWorkerHooks hooks;
  GPtrArray    *all;
  guint8        keys[KEYS][KEY_LEN];
  guint8        noise[EK_NOISE_LEN], proof[EK_PROOF_KEY_LEN];
  bool          have_noise;
  const EkPlan *plan;                /* of the start under way */
  guint64       generation;
  int           own_log;
} m = { .own_log = -1 };

void
ek_workers_init (EkLoop *loop, const EkWorkerHooks *hooks)
{
  m.loop = loop;
  m.hooks = *hooks;
  m.all = g_ptr_array_new_with_free_func (g_free);
  ek_random (m.keys, sizeof m.keys);
  ek_random (m.proof, sizeof m.proof);
}

void
ek_workers_set_log (int fd)
{
  m.own_log = fd;
}

GPtrArray *
ek_workers (void)
{
  return m.all;
}

EkWorker *
ek_workers_find (EkRole role, guint index)
{
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    if ((w->bits & EK_ROLE_BIT (role)) && w->index == index)
      return w;
  }
  return NULL;
}

static void restart_due (EkTimer *timer);

EkWorker *
ek_workers_add (guint32 bits, EkRole role, guint index)
{
  EkWorker *w = g_new0 (EkWorker, 1);

  *w = (EkWorker) { .role = role, .bits = bits, .index = index, .log = -1, .restart.func = restart_due };
  if (bits & (bits - 1))
    g_strlcpy (w->name, "all", sizeof w->name);
  else
    g_snprintf (w->name, sizeof w->name, "%s.%u", ek_role_name (role), index);
  g_ptr_array_add (m.all, w);
  return w;
}

void
ek_workers_plan (const EkPlan *plan)
{
  static const EkRole order[] = {    /* the log first, who talks to clients last */
    EK_ROLE_LOG, EK_ROLE_DIRECTORY, EK_ROLE_QUEUE, EK_ROLE_STORE, EK_ROLE_RELAY, EK_ROLE_CONTROL,
    EK_ROLE_TLS, EK_ROLE_EDGE,
  };

  if (strcmp (plan->roles.layout, "merged") == 0) {
    ek_workers_add (EK_ROLES_ALL & ~EK_ROLE_BIT (EK_ROLE_MASTER), EK_ROLE_STORE, 0);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    for (guint k = 0; k < plan->workers[order[i]]; k++)
      ek_workers_add (EK_ROLE_BIT (order[i]), order[i], k);
}

/* ---- what a worker gets ---- */

void
ek_worker_configure (EkWorker *w, const EkPlan *plan, guint64 generation, EkAnswerFunc func, gpointer data)
{
  EkBuf conf = { 0 };

  w->configured = generation;
  ek_conf_serialise (plan->conf, w->bits, &conf);
  for (gsize at = 0; at < ek_buf_len (&conf); at += PIECE) {
    EkStr piece = { ek_buf_at (&conf) + at, MIN (PIECE, ek_buf_len (&conf) - at) };
    ek_pack_str (ek_channel_send (w->channel, EK_M_CONFIG), piece);
    ek_channel_end (w->channel);
  }
  ek_wipe (ek_buf_at (&conf), ek_buf_len (&conf));
  ek_buf_release (&conf);
  ek_pack_u64 (ek_channel_call (w->channel, EK_M_GENERATION, func, data), generation);
  ek_channel_end (w->channel);
}

bool
ek_worker_wants (const EkWorker *w, const EkPlanSocket *s)
{
  if (!(w->bits & EK_ROLE_BIT (s->role)))
    return false;
  if (s->role != EK_ROLE_EDGE || (w->bits & (w->bits - 1)))
    return true;
  return s->login == (w->index >= (guint) m.plan->roles.smtp_edges);
}

void
ek_worker_listeners (EkWorker *w, const EkPlan *plan)
{
  for (guint i = 0; i < plan->sockets->len; i++) {
    EkPlanSocket *s = plan->sockets->pdata[i];
    int fd = s->fd >= 0 && ek_worker_wants (w, s) ? fcntl (s->fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0)
      continue;
    EkBuf *out = ek_channel_send (w->channel, EK_M_LISTENER);
    ek_pack_u64 (out, s->role);
    ek_pack_text (out, s->listener);
    ek_pack_text (out, s->address);
    ek_pack_u64 (out, s->login);
    ek_channel_attach (w->channel, fd);
    ek_channel_end (w->channel);
  }
}

void
ek_worker_unlisten (EkWorker *w, const EkPlan *plan)
{
  for (guint i = 0; i < plan->sockets->len; i++) {
    const EkPlanSocket *s = plan->sockets->pdata[i];
    if (!ek_worker_wants (w, s))
      continue;
    EkBuf *out = ek_channel_send (w->channel, EK_M_UNLISTEN);
    ek_pack_u64 (out, s->role);
    ek_pack_text (out, s->listener);
    ek_pack_text (out, s->address);
    ek_channel_end (w->channel);
  }
}

static void
send_keys (EkWorker *w)
{
  ek_pack_str (ek_channel_send (w->channel, EK_M_TICKET_KEYS), (EkStr) { (char *) m.keys, sizeof m.keys });
  ek_channel_end (w->channel);
}

static void
send_noise (EkWorker *w, const EkPlan *plan)
{
  if (!m.have_noise)
    ek_noise_key (plan->top.state_dir, m.noise);
  m.have_noise = true;
  ek_pack_str (ek_channel_send (w->channel, EK_M_NOISE), (EkStr) { (char *) m.noise, sizeof m.noise });
  ek_channel_end (w->channel);
}

static void
send_proof_key (EkWorker *w)
{
  ek_pack_str (ek_channel_send (w->channel, EK_M_PROOF_KEY), (EkStr) { (char *) m.proof, sizeof m.proof });
  ek_channel_end (w->channel);
}

void
ek_worker_secrets (EkWorker *w, const EkPlan *plan)
{
  if (w->bits & (EK_ROLE_BIT (EK_ROLE_DIRECTORY) | EK_ROLE_BIT (EK_ROLE_TLS)))
    send_proof_key (w);
  if (w->bits & EK_ROLE_BIT (EK_ROLE_DIRECTORY))
    send_noise (w, plan);
  if (!(w->bits & EK_ROLE_BIT (EK_ROLE_TLS)))
    return;
  for (guint i = 0; i < plan->certificates->len; i++) {
    const EkPlanCertificate *c = plan->certificates->pdata[i];
    EkBuf *out = ek_channel_send (w->channel, EK_M_CERTIFICATE);
    ek_pack_u64 (out, i);
    ek_pack_u64 (out, plan->certificates->len - 1 - i);
    ek_pack_text (out, c->name);
    ek_pack_u64 (out, c->names ? g_strv_length (c->names) : 0);
    for (guint k = 0; c->names && c->names[k]; k++)
      ek_pack_text (out, c->names[k]);
    ek_pack_str (out, ek_str (c->chain));
    ek_pack_str (out, ek_str (c->key));
    ek_channel_end (w->channel);
  }
  send_keys (w);
}

void
ek_workers_rotate_tickets (void)
{
  memmove (m.keys[1], m.keys[0], sizeof m.keys - sizeof m.keys[0]);
  ek_random (m.keys[0], sizeof m.keys[0]);
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    if ((w->bits & EK_ROLE_BIT (EK_ROLE_TLS)) && w->state >= EK_WORKER_JOINED)
      send_keys (w);
  }
}

static void
log_source (const char *role, pid_t pid, int fd)
{
  EkWorker *log = ek_workers_find (EK_ROLE_LOG, 0);
  int copy = log && log->state >= EK_WORKER_JOINED ? fcntl (fd, F_DUPFD_CLOEXEC, 3) : -1;

  if (copy < 0)
    return;
  EkBuf *out = ek_channel_send (log->channel, EK_M_LOG_SOURCE);
  ek_pack_text (out, role);
  ek_pack_u64 (out, (guint64) pid);
  ek_channel_attach (log->channel, copy);
  ek_channel_end (log->channel);
}

static void
send_peer (EkWorker *to, EkRole own, EkRole peer, guint index, int fd)
{
  EkBuf *out = ek_channel_send (to->channel, EK_M_PEER);

  ek_pack_u64 (out, own);
  ek_pack_u64 (out, peer);
  ek_pack_u64 (out, index);
  ek_channel_attach (to->channel, fd);
  ek_channel_end (to->channel);
}

static void
introduce (EkWorker *a, EkWorker *b)
{
  for (EkRole ra = 0; ra < EK_N_ROLES; ra++)
    for (EkRole rb = 0; rb < EK_N_ROLES; rb++) {
      int fds[2];
      if (!(a->bits & EK_ROLE_BIT (ra)) || !(b->bits & EK_ROLE_BIT (rb)) || !ek_roles_talk (ra, rb))
        continue;
      if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        ek_log (EK_ERR, "master", "cannot join %s and %s: %s", a->name, b->name, g_strerror (errno));
        continue;
      }
      send_peer (a, ra, rb, b->index, fds[0]);
      send_peer (b, rb, ra, a->index, fds[1]);
    }
}

/* ---- a new plan ---- */

static void
activate (EkWorker *w, guint64 generation)
{
  if (generation > 0)
    w->active = generation;
  ek_pack_u64 (ek_channel_send (w->channel, EK_M_ACTIVATE), generation);
  ek_channel_end (w->channel);
}

static void
go_by_plan (EkWorker *w)
{
  activate (w, m.generation);
  ek_worker_listeners (w, m.plan);
  ek_worker_secrets (w, m.plan);
}

static void
caught_up (EkMsg *msg, gpointer data)
{
  EkWorker *w = data;
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (msg == NULL || w->configured != m.generation || w->active == m.generation)
    return;                          /* it died; or the next plan is on its way to it */
  bool ok = ek_unpack_max (&msg->in, EK_GENERATION_ELSEWHERE) == EK_GENERATION_GOOD;
  const char *text = ek_unpack_text (&msg->in, pool);
  if (ok) {
    go_by_plan (w);
    return;
  }
  ek_log (EK_ERR, "master", "%s is replaced: it cannot go on with the new configuration: %s", w->name, text ? text : "no reason given");
  w->replaced = true;
  ek_worker_stop (w, m.plan->roles.stop_timeout.us / 1000);
}

/* One that came up while a reload passed.  Apart from the others of the reload: nobody waits for a process that starts, or for one
 * of a system user, who may stop it for a while (SIGSTOP). */
static void
catch_up (EkWorker *w)
{
  if (w->active != m.generation)
    ek_worker_configure (w, m.plan, m.generation, caught_up, w);
}

void
ek_workers_use (const EkPlan *plan, guint64 generation, const EkPlan *old)
{
  m.plan = plan;
  m.generation = generation;
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    if (w->state != EK_WORKER_JOINED && w->state != EK_WORKER_READY)
      continue;
    ek_worker_unlisten (w, old);
    if (w->outdated || w->state != EK_WORKER_READY)
      continue;                      /* the one is replaced, the other catches up when it is ready */
    if (w->configured == generation)
      go_by_plan (w);
    else
      catch_up (w);
  }
}

void
ek_workers_reopen_log (void)
{
  EkWorker *log = ek_workers_find (EK_ROLE_LOG, 0);

  if (log && log->channel) {
    ek_channel_send (log->channel, EK_M_LOG_REOPEN);
    ek_channel_end (log->channel);
  }
}

guint
ek_workers_in_force (EkAnswerFunc func, gpointer data)
{
  guint n = 0;

  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    if (w->state != EK_WORKER_READY || w->place || w->outdated || w->active != m.generation)
      continue;
    w->owes = true;
    ek_channel_call (w->channel, EK_M_IN_FORCE, func, data);
    ek_channel_end (w->channel);
    n++;
  }
  return n;
}

void
ek_workers_forget (guint64 generation)
{
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    if (w->state != EK_WORKER_READY || w->configured != generation)
      continue;
    activate (w, 0);
    w->configured = 0;
    catch_up (w);                    /* it may have been about to, when this plan came in between */
  }
}

/* ---- coming up ---- */

static void
join (EkWorker *w)
{
  w->state = EK_WORKER_JOINED;
  activate (w, m.generation);
  ek_worker_secrets (w, m.plan);
  if (w->bits & EK_ROLE_BIT (EK_ROLE_DIRECTORY)) {
    ek_pack_i64 (ek_channel_send (w->channel, EK_M_STORE_OWNER), ek_user_stores_owner (m.plan));
    ek_channel_end (w->channel);
  }
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *other = m.all->pdata[i];
    if (other != w && other->state >= EK_WORKER_JOINED)
      introduce (w, other);
  }
  ek_channel_send (w->channel, EK_M_START);
  ek_channel_end (w->channel);
  ek_worker_listeners (w, m.plan);
  if ((w->bits & EK_ROLE_BIT (EK_ROLE_LOG)) && m.own_log >= 0)
    log_source ("master", getpid (), m.own_log);
  if (w->bits & EK_ROLE_BIT (EK_ROLE_LOG))
    for (guint i = 0; i < m.all->len; i++) {
      EkWorker *other = m.all->pdata[i];
      if (other->log >= 0)
        log_source (ek_role_name (other->role), other->pid, other->log);
    }
}

static void
configured (EkMsg *msg, gpointer data)
{
  EkWorker *w = data;
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (msg == NULL)
    return;                          /* it died: ek_worker_ended() follows */
  bool ok = ek_unpack_max (&msg->in, 1) == 1;
  const char *text = ek_unpack_text (&msg->in, pool);
  if (ok && ek_unpack_ok (&msg->in) && w->configured == m.generation)
    join (w);
  else if (ok && ek_unpack_ok (&msg->in))        /* a reload has passed meanwhile */
    ek_worker_configure (w, m.plan, m.generation, configured, w);
  else
    m.hooks.refused (w, text ? text : "no reason given");
}

static void
greeted (EkMsg *msg, gpointer data)
{
  EkWorker *w = data;
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (msg == NULL)
    return;
  if (g_strcmp0 (ek_unpack_text (&msg->in, pool), ek_build_id ()) != 0)
    m.hooks.other_build (w);
  else
    ek_worker_configure (w, m.plan, m.generation, configured, w);
}

static void
worker_message (EkMsg *msg, gpointer data)
{
  EkWorker *w = data;

  if (msg->type == EK_M_READY && w->state == EK_WORKER_JOINED) {
    w->state = EK_WORKER_READY;
    catch_up (w);
    m.hooks.ready (w);
  }
  else if (msg->type == EK_M_GENERATIONS)
    w->generations = (guint) ek_unpack_max (&msg->in, G_MAXUINT16);
  else if (msg->type != EK_M_READY)
    m.hooks.message (w, msg);
}

static void
worker_gone (EkChannel *channel, gpointer data)
{
  EkWorker *w = data;                /* its end is told by waitpid() */

  w->channel = NULL;
  ek_channel_free (channel);
  w->state = w->state < EK_WORKER_READY ? EK_WORKER_STARTING : EK_WORKER_STOPPING;     /* nothing can be said to it any more */
  ek_timer_set (m.loop, &w->restart, 30 * G_USEC_PER_SEC);
}

static void
pack_reach (EkBuf *out, const GPtrArray *reach)
{
  ek_pack_u64 (out, reach != NULL);
  ek_pack_u64 (out, reach ? reach->len : 0);
  for (guint i = 0; reach && i < reach->len; i++) {
    const EkReach *r = reach->pdata[i];
    ek_pack_text (out, r->path);
    ek_pack_u64 (out, r->how & (EK_REACH_READ | EK_REACH_WRITE | EK_REACH_RUN));
  }
}

GPtrArray *
ek_worker_reach (const EkWorker *w, const EkPlan *plan, bool look)
{
  if (w->place && !w->place->shared)
    return ek_reach_user (plan->conf, w->place->home, w->place->mail);
  return ek_plan_reach (plan, w->bits, look);
}

bool
ek_worker_start (EkWorker *w, const EkPlan *plan, guint64 generation)
{
  g_autoptr (GError) error = NULL;
  EkSpawned made;
  const EkIdentity *who = w->place ? &w->place->who : &plan->who[w->role];

  m.plan = plan;
  m.generation = generation;
  if (!ek_spawn (w->name, g_getenv ("EKIDEN_KEEP_STDERR") != NULL, &made, &error)) {
    ek_log (EK_ERR, "master", "%s", error->message);
    return false;
  }
  w->pid = made.pid;
  w->log = made.log;
  w->state = EK_WORKER_STARTING;
  w->born = generation;
  w->configured = w->active = 0;
  w->started = ek_now ();
  w->channel = ek_channel_new (m.loop, made.channel, w->name);
  ek_channel_handle (w->channel, worker_message, worker_gone, w);
  log_source (ek_role_name (w->role), w->pid, w->log);
  EkBuf *out = ek_channel_call (w->channel, EK_M_HELLO, greeted, w);
  ek_pack_text (out, ek_build_id ());
  ek_pack_u64 (out, w->bits);
  ek_pack_u64 (out, w->index);
  ek_pack_i64 (out, who->uid);
  ek_pack_i64 (out, who->gid);
  ek_pack_text (out, who->chroot);
  ek_pack_text (out, plan->hostname);
  ek_pack_u64 (out, plan->log_level);
  ek_pack_u64 (out, EK_N_ROLES);
  for (EkRole i = 0; i < EK_N_ROLES; i++)
    ek_pack_u64 (out, plan->workers[i]);
  g_clear_pointer (&w->reach, g_ptr_array_unref);
  if (plan->roles.confine)
    w->reach = ek_worker_reach (w, plan, true);
  pack_reach (out, w->reach);
  ek_channel_end (w->channel);
  return true;
}

/* ---- going down ---- */

void
ek_worker_stop (EkWorker *w, gint64 ms)
{
  if (w->channel == NULL || w->state == EK_WORKER_STOPPING)
    return;
  w->state = EK_WORKER_STOPPING;
  ek_pack_u64 (ek_channel_send (w->channel, EK_M_STOP), (guint64) ms);
  ek_channel_end (w->channel);
}

static void
restart_due (EkTimer *timer)
{
  EkWorker *w = (EkWorker *) ((char *) timer - G_STRUCT_OFFSET (EkWorker, restart));

  if (w->pid > 0) {                  /* it lives on without the channel to master: broken, or broken into */
    ek_log (EK_WARN, "master", "%s has closed its channel and does not end: killed", w->name);
    kill (w->pid, SIGKILL);
    return;
  }
  w->restarts++;
  if (!ek_worker_start (w, m.plan, m.generation))
    ek_timer_set (m.loop, &w->restart, w->delay);
}

void
ek_worker_ended (EkWorker *w, int status, const EkPlan *plan, bool restart)
{
  bool quick = ek_now () - w->started < QUICK_DEATH;

  ek_timer_cancel (m.loop, &w->restart);
  w->pid = 0;
  w->outdated = false;
  w->generations = 0;
  w->state = EK_WORKER_DOWN;
  g_clear_pointer (&w->channel, ek_channel_free);
  if (w->log >= 0)
    close (w->log);                  /* the log role has its own end and reads it empty */
  w->log = -1;
  m.plan = plan;
  if (restart) {
    w->delay = quick && w->delay > 0 ? MIN (w->delay * 2, plan->roles.restart_delay_max.us)
                                     : plan->roles.restart_delay.us;
    ek_timer_set (m.loop, &w->restart, w->delay);
  }
  m.hooks.gone (w, status);
}

void
ek_workers_free (void)
{
  for (guint i = 0; i < m.all->len; i++) {
    EkWorker *w = m.all->pdata[i];
    ek_timer_cancel (m.loop, &w->restart);
    if (w->channel)
      ek_channel_free (w->channel);
    if (w->log >= 0)
      close (w->log);
    g_clear_pointer (&w->reach, g_ptr_array_unref);
  }
  g_ptr_array_unref (m.all);
  if (m.own_log >= 0)
    close (m.own_log);
  ek_wipe (m.keys, sizeof m.keys);
  ek_wipe (m.noise, sizeof m.noise);
  ek_wipe (m.proof, sizeof m.proof);
}
