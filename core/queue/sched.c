/* sched.c - which recipients are tried when: routing, back-off, and what a restart finds
 * SPDX-License-Identifier: Apache-2.0
 *
 * A recipient that is due is routed and put into its destination's line (lines.c); what comes of it is outcome.c's.
 */
#include "config.h"
#include "flow/route.h"
#include "mail/dsn.h"
#include "queue/lines.h"
#include <string.h>

#define ASK_AGAIN (300 * 1000)
#define WAITING_LONG (30 * G_USEC_PER_SEC)        /* a line is full: look again then */
#define REPLAY_MAX   200             /* messages that are routed in one turn after a restart, */
#define ROUTING_MAX  2000            /* and questions to directory at once */

typedef struct {                     /* EkSpoolMessage.user */
  EkTimer         timer;             /* of the next deferred recipient */
  EkSpoolMessage *message;
  guint           busy;              /* recipients that are being routed, wait in a line or are under way */
  bool            replay;            /* from before a restart: a delivery may have been made already */
  bool            asked;             /* an administrator wants it tried, dead next hop or not */
  gint64          last_pause;        /* wall us: when what was put off last comes back */
  GPtrArray      *finals;            /* of EkFinal: not recorded yet; NULL: none */
} Mine;

enum { IDLE, ROUTING, LINED_UP, FINAL };       /* EkSpoolRcpt.user */

static EkTimer     starter;          /* after a replay: once the peers are there */
static GArray     *replayed;         /* of EkQueueId */
static guint       replayed_done, routing;
static bool        ending;

static Mine *mine_of (EkSpoolMessage *m);

bool
ek_sched_busy (const EkSpoolMessage *m)
{
  return m->user && ((Mine *) m->user)->busy > 0;
}

gint64 *
ek_sched_last_pause (EkSpoolMessage *m)
{
  return &mine_of (m)->last_pause;
}

/* FINAL stays: it has an outcome that is not recorded yet. */
void
ek_sched_idle (EkSpoolMessage *m, const guint *rcpts, guint n)
{
  for (guint i = 0; i < n; i++)
    if (m->rcpts[rcpts[i]].user != GINT_TO_POINTER (FINAL))
      m->rcpts[rcpts[i]].user = GINT_TO_POINTER (IDLE);
  ((Mine *) m->user)->busy -= n;
}

void
ek_sched_reported (EkSpoolMessage *m, guint rcpt)
{
  m->rcpts[rcpt].user = GINT_TO_POINTER (FINAL);
}

void
ek_sched_reporting (EkSpoolMessage *m, bool on)
{
  if (m->user)
    ((Mine *) m->user)->busy += on ? 1u : -1u;
}

/* ---- messages ---- */

static void
time_is_up (EkTimer *timer)
{
  ((Mine *) timer)->asked = false;
  ek_sched_message (((Mine *) timer)->message);
}

static Mine *
mine_of (EkSpoolMessage *m)
{
  if (m->user == NULL) {
    Mine *mine = g_new0 (Mine, 1);
    mine->timer.func = time_is_up;
    mine->message = m;
    m->user = mine;
  }
  return m->user;
}

void
ek_sched_at (EkSpoolMessage *m, gint64 us)
{
  ek_timer_set (ek_role_loop (), &mine_of (m)->timer, MAX (us, 1000));
}

typedef struct {
  EkQueueId id;
  guint     rcpt;
} Which;

/* What becomes of a recipient whose mail goes nowhere. */
static EkOutcome
unsent (const EkRoute *r)
{
  EkOutcome o = { .status = EK_FAIL, .component = "error", .dsn = r->dsn, .text = r->text, .relay = "none" };

  if (r->kind == EK_ROUTE_DISCARD) {
    o.status = EK_OK;
    o.component = "discard";
    o.action = EK_DSN_DELIVERED;     /* as discard(8) has it: who asked for a report is told so */
  }
  else if (r->kind != EK_ROUTE_NOTFOUND)
    o.status = EK_DEFER;
  if (r->kind == EK_ROUTE_DEFER)
    o.component = "qmgr";
  return o;
}

static void
routed (const EkRoute *r, gpointer data)
{
  Which w = *(Which *) data;
  EkSpoolMessage *m = ending ? NULL : ek_queue_ops->find (ek_queue_spool, w.id);

  g_free (data);
  routing--;
  if (m == NULL || m->user == NULL)
    return;
  if (r->kind == EK_ROUTE_DEFER && r->dsn == NULL) {     /* directory is being restarted: ask again soon */
    ek_sched_idle (m, &w.rcpt, 1);
    ek_sched_at (m, ASK_AGAIN);
    return;
  }
  if (r->kind == EK_ROUTE_LOCAL || r->kind == EK_ROUTE_REMOTE) {
    Mine *mine = m->user;
    m->rcpts[w.rcpt].user = GINT_TO_POINTER (LINED_UP);
    if (ek_lines_add (m, w.rcpt, r, mine->replay, mine->asked))
      return;
    ek_sched_idle (m, &w.rcpt, 1);
    ek_sched_at (m, WAITING_LONG);
    return;
  }
  EkOutcome o = unsent (r);
  ek_sched_idle (m, &w.rcpt, 1);
  ek_outcome (m, w.rcpt, &o);
  ek_outcome_settle (m);
}

void
ek_sched_moved (EkSpoolMessage *m, guint rcpt, const EkRoute *r, bool replay)
{
  Which *w = g_new (Which, 1);

  *w = (Which) { m->id, rcpt };
  mine_of (m)->replay |= replay;
  routing++;
  routed (r, w);
}

static bool
due (const EkSpoolRcpt *r, gint64 now)
{
  return !r->held && r->user == GINT_TO_POINTER (IDLE)
         && (r->state == EK_TO_WAITING || r->state == EK_TO_TRYING || (r->state == EK_TO_DEFERRED && r->next_try <= now));
}

void
ek_sched_message (EkSpoolMessage *m)
{
  Mine *mine = mine_of (m);
  EkQueueId id = m->id;
  gint64 now = ek_wall ();
  char text[EK_QUEUE_ID_LEN + 1];
  bool any = false;

  if (ending || ek_role_stopping ())
    return;
  for (guint i = 0; i < m->n_rcpts; i++)
    any = any || due (&m->rcpts[i], now);
  if (any) {
    ek_queue_id_text (m->id, text);
    ek_event ("qmgr", m->event, "queued", EK_FTEXT ("qid", text), EK_FSTR ("from", m->sender), EK_FINT ("size", m->size),
              EK_FINT ("nrcpt", m->n_rcpts));
  }
  mine->busy++;                      /* routing may answer at once: the message must not retire under us */
  for (guint i = 0; i < m->n_rcpts; i++) {
    EkSpoolRcpt *r = &m->rcpts[i];
    if (due (r, now)) {
      Which *w = g_new (Which, 1);
      *w = (Which) { id, i };
      r->user = GINT_TO_POINTER (ROUTING);
      mine->busy++;
      routing++;
      ek_route (r->address, m->sender, routed, w);
    }
  }
  mine->busy--;
  ek_outcome_settle (m);             /* and plans the next time */
}

void
ek_sched_wake (EkSpoolMessage *m)
{
  Mine *mine = mine_of (m);

  for (guint i = 0; i < m->n_rcpts; i++)
    if (m->rcpts[i].state == EK_TO_DEFERRED && !m->rcpts[i].held)
      m->rcpts[i].next_try = 0;
  mine->asked = true;
  ek_timer_cancel (ek_role_loop (), &mine->timer);
  ek_sched_message (m);
}

static void
final_free (gpointer data)
{
  EkFinal *f = data;

  g_free (f->text);
  g_free (f->relay);
  g_free (f);
}

void
ek_sched_final (EkSpoolMessage *m, guint rcpt, EkStatus status, guint action, const char *text, const char *relay)
{
  Mine *mine = mine_of (m);
  EkFinal *f = g_new (EkFinal, 1);

  *f = (EkFinal) { rcpt, status, action, g_strdup (text), g_strdup (relay) };
  if (mine->finals == NULL)
    mine->finals = g_ptr_array_new_with_free_func (final_free);
  g_ptr_array_add (mine->finals, f);
  m->rcpts[rcpt].user = GINT_TO_POINTER (FINAL);
}

GPtrArray *
ek_sched_take_finals (EkSpoolMessage *m)
{
  return g_steal_pointer (&((Mine *) m->user)->finals);
}

void
ek_sched_forget (EkSpoolMessage *m)
{
  Mine *mine = g_steal_pointer (&m->user);

  if (mine == NULL)
    return;
  ek_timer_cancel (ek_role_loop (), &mine->timer);
  if (mine->finals)
    g_ptr_array_unref (mine->finals);
  g_free (mine);
}

/* ---- after a restart ---- */

/* A queue of a million is not routed in one turn. */
static void
go (EkTimer *timer)
{
  for (guint n = 0; replayed && replayed_done < replayed->len && n < REPLAY_MAX && routing < ROUTING_MAX; n++) {
    EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, g_array_index (replayed, EkQueueId, replayed_done++));
    if (m)
      ek_sched_message (m);
  }
  if (replayed && replayed_done < replayed->len)
    ek_timer_set (ek_role_loop (), timer, routing < ROUTING_MAX ? 0 : 5000);
  else
    g_clear_pointer (&replayed, g_array_unref);
}

void
ek_sched_replayed (EkSpoolMessage *m)
{
  mine_of (m)->replay = true;
  if (replayed == NULL)
    replayed = g_array_new (FALSE, FALSE, sizeof (EkQueueId));
  g_array_append_val (replayed, m->id);
}

void
ek_sched_start (void)
{
  starter.func = go;
  replayed_done = routing = 0;
  ending = false;
  ek_lines_start ();
}

void
ek_sched_worker_up (EkRole role)
{
  if (role == EK_ROLE_DIRECTORY && replayed)
    ek_timer_set (ek_role_loop (), &starter, 0);
  ek_lines_wake ();
}

/* ---- the end ---- */

void
ek_sched_end (void)
{
  ending = true;
  ek_timer_cancel (ek_role_loop (), &starter);
  ek_lines_end ();
  g_clear_pointer (&replayed, g_array_unref);
  if (ek_queue_spool == NULL)
    return;
  EkSpoolCursor *cursor = ek_queue_ops->cursor_new (ek_queue_spool, 0);
  EkSpoolMessage *m;
  while ((m = ek_queue_ops->cursor_next (cursor)))
    ek_sched_forget (m);
  ek_queue_ops->cursor_free (cursor);
}
