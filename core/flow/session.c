/* session.c - a protocol's session over a stream: its facts, time-outs, STARTTLS, the turn's end, its own end
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protocol is never called from within its own callbacks: what it asks for (resume, close,
 * STARTTLS) happens in a task at the end of the loop's turn, and all replies of a turn leave in one
 * write.  While a session waits its input is read no further than input_max, then not at all, so the
 * kernel's buffer fills and the client waits.
 *
 * A client that sends no more (it has shut down its half) gets the answers to all that it sent, then the end.
 * One that is gone (both halves) ends the session at once, whatever it waits for.
 */
#include "config.h"
#include "flow/facts.h"
#include "flow/sessionprivate.h"
#include "proc/role.h"
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER (2 * G_USEC_PER_SEC)

static GQueue all;

static void timed_out (EkTimer *timer);
static void task_run (EkTask *task);

EkEventId
ek_event_new (void)
{
  static guint64 base, count;

  if (base == 0)                     /* time, then 20 random bits for this process, then a counter */
    base = ((guint64) (ek_wall () / G_USEC_PER_SEC) << 32) ^ (ek_random64 () << 12);
  guint64 id = base + count++;
  return id ? id : 1;
}

EkSession *
ek_session_new (const EkSessionStart *start, const EkSessionHost *host)
{
  EkSession *s = g_malloc0 (sizeof *s + start->ops->state_size);

  s->loop = ek_loop_mine ();
  s->refs = 1;
  s->ops = start->ops;
  s->options = start->options;
  s->generation = start->generation ? ek_generation_ref (start->generation) : NULL;
  s->host = *host;
  s->pool = ek_pool_new ();
  s->event = start->event;
  s->tls_possible = start->tls_possible;
  s->listener = ek_pool_strdup (s->pool, start->listener);
  s->hostname = ek_pool_strdup (s->pool, start->hostname);
  ek_client_copy (s->pool, &s->client, start->client);
  s->watch = (EkWatch) { .fd = start->fd, .func = ek_session_readable };
  s->timer.func = timed_out;
  s->task.func = task_run;
  s->link.data = s;
  g_queue_push_tail_link (&all, &s->link);
  return s;
}

/* ---- what modules ask ---- */

const EkClient *ek_session_client (const EkSession *s) { return &s->client; }
EkEventId ek_session_event (const EkSession *s) { return s->event; }
EkPool *ek_session_pool (EkSession *s) { return s->pool; }
gpointer ek_session_state (EkSession *s) { return s->state; }
gconstpointer ek_session_options (const EkSession *s) { return s->options; }
const char *ek_session_hostname (const EkSession *s) { return s->hostname; }
const char *ek_session_listener (const EkSession *s) { return s->listener; }
gsize ek_session_unsent (const EkSession *s) { return ek_buf_len (&s->out); }
bool ek_session_is_closed (const EkSession *s) { return s->closed || s->closing; }
bool ek_session_tls_offered (const EkSession *s) { return s->tls_possible && !s->client.tls; }
const char *ek_session_login (const EkSession *s) { return s->user; }
const char *ek_session_login_mechanism (const EkSession *s) { return s->mechanism; }
const char *ek_session_login_master (const EkSession *s) { return s->master; }
EkStr ek_session_tag (const EkSession *s) { return s->login->tag; }
const EkUser *ek_session_user (const EkSession *s) { return &s->login->user; }
EkIndex *ek_session_index (EkSession *s) { return s->login->index; }
guint64 ek_session_login_id (const EkSession *s) { return s->login->id; }

gpointer ek_session_host_data (const EkSession *s) { return s->host_data; }
void ek_session_set_host_data (EkSession *s, gpointer data) { s->host_data = data; }
EkGeneration *ek_session_generation (const EkSession *s) { return s->generation; }
const EkProtocolOps *ek_session_protocol (const EkSession *s) { return s->ops; }
void ek_session_set_login (EkSession *s, const EkSessionLogin *login) { s->login = login; }
const EkSessionLogin *ek_session_get_login (const EkSession *s) { return s->login; }

void
ek_session_set_user (EkSession *s, const char *user, const char *mechanism, const char *master)
{
  s->user = ek_pool_strdup (s->pool, user);
  s->mechanism = ek_pool_strdup (s->pool, mechanism);
  s->master = ek_pool_strdup (s->pool, master);
}

bool
ek_session_idle (const EkSession *s)
{
  return !s->waiting && !s->transaction && ek_buf_len (&s->in) == 0 && ek_buf_len (&s->out) == 0;
}

void
ek_session_in_transaction (EkSession *s, bool yes)
{
  s->transaction = yes;
  if (s->stale && !yes && !s->closed)
    ek_session_soon (s);
}

void
ek_session_ref (EkSession *s)
{
  s->refs++;
}

void
ek_session_unref (EkSession *s)
{
  if (--s->refs > 0) {
    if (s->eof && !s->closed)
      ek_session_soon (s);           /* perhaps that was the last thing to be answered */
    return;
  }
  g_assert (s->closed);
  if (s->task.queued) {              /* the loop holds the task: it comes back here */
    s->refs = 1;
    return;
  }
  ek_generation_unref (s->generation);
  ek_pool_free (s->pool);
  g_free (s);
}

void
ek_session_wait (EkSession *s)
{
  s->waiting = true;
}

void
ek_session_resume (EkSession *s)
{
  if (!s->waiting)
    return;
  s->waiting = false;
  s->resumed = true;
  ek_session_soon (s);
}

/* ---- time ---- */

void
ek_session_timeout (EkSession *s, EkTime idle)
{
  s->idle = idle.us;
  if (s->loop == NULL)
    return;
  if (idle.us > 0)
    ek_session_restart_timer (s);
  else
    ek_timer_cancel (s->loop, &s->timer);
}

static void
timed_out (EkTimer *timer)
{
  EkSession *s = (EkSession *) ((char *) timer - G_STRUCT_OFFSET (EkSession, timer));

  if (s->waiting && ek_buf_len (&s->out) == 0) {     /* it is our turn, not the client's */
    ek_session_restart_timer (s);
    return;
  }
  if (s->lingering || s->closing || s->ops->timeout == NULL || ek_buf_len (&s->out) > 0) {
    ek_session_end (s, s->lingering || s->closing ? s->why : EK_CLOSED_TIMEOUT);
    return;
  }
  ek_session_ref (s);
  s->why = EK_CLOSED_TIMEOUT;
  ek_session_restart_timer (s);
  s->ops->timeout (s, s->state);
  ek_session_unref (s);
}

/* ---- the end ---- */

void
ek_session_close (EkSession *s)
{
  if (s->closed || s->closing)
    return;
  s->closing = true;
  if (s->why != EK_CLOSED_TIMEOUT && s->why != EK_CLOSED_SHUTDOWN)
    s->why = EK_CLOSED_BY_US;
  ek_session_soon (s);
}

void
ek_session_shutdown (EkSession *s)
{
  if (s->closed || s->closing)
    return;
  s->why = EK_CLOSED_SHUTDOWN;
  ek_session_ref (s);
  if (s->ops->shutdown)
    s->ops->shutdown (s, s->state);
  else
    ek_session_close (s);
  ek_session_unref (s);
}

void
ek_session_end (EkSession *s, EkCloseReason why)
{
  if (s->closed)
    return;
  s->closed = true;
  s->why = why;
  if (s->watch.fd >= 0) {
    ek_watch_set (s->loop, &s->watch, 0);
    close (s->watch.fd);
    s->watch.fd = -1;
  }
  if (s->loop)
    ek_timer_cancel (s->loop, &s->timer);
  ek_buf_release (&s->out);
  if (!s->in_input)
    ek_buf_release (&s->in);
  g_queue_unlink (&all, &s->link);
  if (s->ops->closed)
    s->ops->closed (s, s->state, why);
  if (s->host.closed)
    s->host.closed (s);
  ek_session_soon (s);                          /* the last reference goes when no callback is on the stack */
}

/* What was sent has left.  Bytes the client sent meanwhile would turn our close() into a reset that may
 * overtake the reply: then say "no more", and read on for a moment. */
static void
finish (EkSession *s)
{
  int unread = 0;

  if (s->watch.fd >= 0 && !s->eof && ioctl (s->watch.fd, FIONREAD, &unread) == 0
      && (unread > 0 || ek_buf_len (&s->in) > 0) && shutdown (s->watch.fd, SHUT_WR) == 0) {
    s->lingering = true;
    ek_buf_release (&s->in);
    ek_timer_set (s->loop, &s->timer, LINGER);
    ek_session_watch_for (s);
    return;
  }
  ek_session_end (s, s->why);
}

int
ek_session_detach (EkSession *s, EkBuf *unread)
{
  int fd = s->watch.fd;

  if (s->closed)
    return -1;
  if (!ek_session_flush (s) || ek_buf_len (&s->out) > 0) {      /* a client that does not even read a greeting */
    ek_session_end (s, EK_CLOSED_ERROR);
    return -1;
  }
  if (fd >= 0)
    ek_watch_set (s->loop, &s->watch, 0);
  s->watch.fd = -1;
  ek_buf_append (unread, ek_buf_at (&s->in), ek_buf_len (&s->in));
  ek_session_end (s, EK_CLOSED_BY_US);
  return fd;
}

/* ---- STARTTLS ---- */

void
ek_session_starttls (EkSession *s)
{
  s->starttls = true;
  ek_session_soon (s);
}

void
ek_session_tls_done (EkSession *s, int fd, const EkClient *facts)
{
  if (s->closed || fd < 0) {
    if (fd >= 0)
      close (fd);
    if (!s->closed)
      ek_session_end (s, EK_CLOSED_ERROR);
    return;
  }
  EkClient client = s->client;
  client.tls = true;
  client.tls_version = facts->tls_version;
  client.tls_cipher = facts->tls_cipher;
  client.tls_sni = facts->tls_sni;
  client.tls_alpn = facts->tls_alpn;
  client.tls_bits = facts->tls_bits;
  client.tls_exporter = facts->tls_exporter;
  client.tls_endpoint = facts->tls_endpoint;
  client.tls_peer = facts->tls_peer;
  client.tls_peer_proof = facts->tls_peer_proof;
  ek_client_copy (s->pool, &s->client, &client);
  s->watch.fd = fd;
  s->starttls = false;
  ek_buf_release (&s->in);           /* plain text sent before the handshake never counts */
  s->ops->open (s, s->state);
  if (!s->closed)
    ek_session_soon (s);
}

static void
begin_tls (EkSession *s)
{
  int fd = s->watch.fd;

  if (fd < 0 || s->host.starttls == NULL) {
    ek_session_end (s, EK_CLOSED_ERROR);
    return;
  }
  ek_watch_set (s->loop, &s->watch, 0);
  s->watch.fd = -1;
  ek_buf_release (&s->in);
  s->host.starttls (s, fd);
}

/* ---- the turn's end ---- */

static void
task_run (EkTask *task)
{
  EkSession *s = (EkSession *) ((char *) task - G_STRUCT_OFFSET (EkSession, task));

  if (s->closed) {
    ek_buf_release (&s->in);
    ek_session_unref (s);            /* the stream's reference */
    return;
  }
  s->refs++;
  if (s->resumed) {
    s->resumed = false;
    if (ek_session_may_read (s) && ek_buf_len (&s->in) > 0)
      ek_session_digest (s, "", 0);
  }
  if (!s->closed && ek_session_flush (s) && !s->closed) {
    bool empty = ek_buf_len (&s->out) == 0;
    if (s->above && ek_buf_len (&s->out) <= EK_SESSION_LOW_WATER) {
      s->above = false;
      if (s->ops->drained && !s->closing)
        s->ops->drained (s, s->state);
    }
    if (empty && s->closing && !s->lingering)
      finish (s);
    else if (empty && s->starttls && s->watch.fd >= 0)
      begin_tls (s);
    else if (s->eof && s->refs == 2 + s->idle_refs && !s->closing && !s->waiting && !s->starttls && !s->above && ek_buf_len (&s->out) == 0)
      ek_session_end (s, EK_CLOSED_BY_CLIENT);
    else
      ek_session_watch_for (s);
    if (s->stale && !s->closed && !s->closing && ek_session_idle (s)) {
      s->stale = false;
      s->host.renew (s);
    }
  }
  s->refs--;                         /* the stream's is still there */
}

void
ek_session_begin (EkSession *s, EkStr unread)
{
  ek_session_ref (s);
  s->ops->open (s, s->state);
  if (!s->closed && unread.n > 0)
    ek_session_digest (s, unread.p, unread.n);
  if (!s->closed)
    ek_session_soon (s);
  ek_session_unref (s);
}

void
ek_session_use (EkSession *s, EkGeneration *generation, gconstpointer options)
{
  EkGeneration *old = s->generation;

  s->generation = ek_generation_ref (generation);
  s->options = options;
  ek_generation_unref (old);
}

void
ek_session_renew (EkSession *s)
{
  s->stale = s->host.renew != NULL && !ek_session_idle (s);
  if (s->host.renew && !s->stale)
    s->host.renew (s);
}

/* ---- all of them ---- */

guint
ek_sessions_count (void)
{
  return all.length;
}

void
ek_sessions_each (void (*func) (EkSession *s, gpointer data), gpointer data)
{
  for (GList *l = all.head, *next; l; l = next) {
    next = l->next;
    func (l->data, data);
  }
}

/* ---- jobs of a session in store ---- */

typedef struct {
  EkJob      job;
  EkJob     *users;
  EkSession *session;
} Wrapped;

static void
wrapped_run (EkJob *job, EkJobThread *thread)
{
  EkJob *users = ((Wrapped *) job)->users;

  users->run (users, thread);
}

static void
wrapped_done (EkJob *job)
{
  Wrapped w = *(Wrapped *) job;

  g_free (job);
  w.users->done (w.users);
  ek_session_unref (w.session);
}

void
ek_session_job (EkSession *s, EkJob *job)
{
  Wrapped *w = g_new0 (Wrapped, 1);

  ek_session_ref (s);
  *w = (Wrapped) { .job = { .key = s->login->job_key, .run = wrapped_run, .done = wrapped_done },
                   .users = job, .session = s };
  ek_job_submit (ek_role_jobs (), &w->job);
}
