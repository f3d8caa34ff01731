/* outcome.c - what came of a delivery: recorded, logged, planned anew or returned, retired in the end
 * SPDX-License-Identifier: Apache-2.0
 *
 * A delivery's `done` is recorded lazily: the spool syncs it within 50 ms, and a crash before that finds
 * the delivered file again by its name.  Only when the record is surely durable is store told that the
 * message is the mailbox's alone.
 *
 * An attempt is counted in the record of its deferral: nothing is written before it begins (docs/architecture.md).
 */
#include "config.h"
#include "mail/dsn.h"
#include "queue/queue.h"
#include <string.h>

#define LOOK_AGAIN (100 * 1000)      /* us: a `done` that waits for its report is not recorded yet */
#define SICK       G_USEC_PER_SEC    /* the disk takes nothing now */
#define ASKED_MAX  1000000           /* a broken store fills no more */
#define NO_REPORT G_MAXUINT
#define WARNED 1                     /* type of the plan that says the sender was warned of a delay */

typedef struct {
  guint64 id;
  guint32 rcpt, store;
} Retired;

static GArray *retired, *asked;      /* delivered; those that the barrier under way stands behind */
static EkCall  barrier;
static EkTimer teller;

/* ---- telling store ---- */

static void
tell (const Retired *r)
{
  EkChannel *store = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, r->store);

  if (store == NULL)                 /* a new one guards nothing */
    return;
  EkBuf *out = ek_channel_send (store, EK_S_RETIRED);
  ek_pack_u64 (out, r->id);
  ek_pack_u64 (out, r->rcpt);
  ek_pack_u64 (out, 0);
  ek_channel_end (store);
}

static void
reached (EkCall *call, EkStatus status, gpointer user)
{
  g_clear_error (&call->error);
  if (asked == NULL)                 /* the role ends */
    return;
  for (guint i = 0; i < asked->len; i++)
    if (status == EK_OK)
      tell (&g_array_index (asked, Retired, i));
    else
      g_array_append_vals (retired, &g_array_index (asked, Retired, i), 1);
  g_array_set_size (asked, 0);
  if (retired->len > 0)
    ek_timer_set (ek_role_loop (), &teller, status == EK_OK ? 0 : SICK);
}

static bool
is_recorded (const Retired *r)
{
  const EkSpoolMessage *m = ek_queue_ops->find (ek_queue_spool, r->id);

  return m == NULL || r->rcpt >= m->n_rcpts || m->rcpts[r->rcpt].state >= EK_TO_DONE;
}

/* The records are written by now: the barrier goes behind them and comes back when they are durable. */
static void
ask (EkTimer *timer)
{
  guint kept = 0;

  if (asked->len > 0)
    return;
  for (guint i = 0; i < retired->len; i++) {
    Retired r = g_array_index (retired, Retired, i);
    if (is_recorded (&r))
      g_array_append_val (asked, r);
    else
      g_array_index (retired, Retired, kept++) = r;
  }
  g_array_set_size (retired, kept);
  if (asked->len == 0) {
    ek_timer_set (ek_role_loop (), timer, LOOK_AGAIN);
    return;
  }
  barrier = (EkCall) { .done = reached };
  EkStatus status = ek_queue_ops->barrier (ek_queue_spool, &barrier);
  if (status != EK_PENDING)
    reached (&barrier, status, NULL);
}

void
ek_outcome_delivered (guint64 id, guint32 rcpt, guint store)
{
  Retired r = { id, rcpt, store };

  g_array_append_val (retired, r);
  if (!ek_timer_armed (&teller))
    ek_timer_set (ek_role_loop (), &teller, 0);
}

static guint64
lowest (const GArray *which, guint64 id)
{
  for (guint i = 0; i < which->len; i++)
    id = MIN (id, g_array_index (which, Retired, i).id);
  return id;
}

void
ek_outcome_store_up (guint store)
{
  EkSpoolCursor *cursor = ek_queue_ops->cursor_new (ek_queue_spool, 0);
  const EkSpoolMessage *m = ek_queue_ops->cursor_next (cursor);     /* the oldest */
  guint64 first = lowest (retired, lowest (asked, m ? m->id : G_MAXUINT64));

  ek_queue_ops->cursor_free (cursor);
  EkBuf *out = ek_channel_send (ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, store), EK_S_UNSURE);
  ek_pack_u64 (out, first);
  ek_pack_u64 (out, first == G_MAXUINT64 ? 0 : ek_queue_ops->new_id (ek_queue_spool));
  ek_channel_end (ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, store));
}

/* The names of files say what is asked for: a user may have written them. */
void
ek_outcome_asked (guint store, EkMsg *msg)
{
  guint64 id = ek_unpack_u64 (&msg->in);
  guint32 rcpt = (guint32) ek_unpack_max (&msg->in, G_MAXUINT32);

  if (!ek_unpack_ok (&msg->in))
    ek_channel_break (msg->channel, "a damaged question");
  else if (retired->len < ASKED_MAX)
    ek_outcome_delivered (id, rcpt, store);
}

void
ek_outcome_start (void)
{
  retired = g_array_new (FALSE, FALSE, sizeof (Retired));
  asked = g_array_new (FALSE, FALSE, sizeof (Retired));
  teller.func = ask;
}

void
ek_outcome_end (void)
{
  ek_timer_cancel (ek_role_loop (), &teller);
  g_clear_pointer (&retired, g_array_unref);
  g_clear_pointer (&asked, g_array_unref);
}

/* ---- one recipient ---- */

/* Log readers know Postfix's names, not those that transports have in this configuration. */
static const char *
speaker (const char *component)
{
  static const char *const names[] = { "virtual", "local", "lmtp", "error", "discard", "pipe", "qmgr" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (component, names[i]) == 0)
      return names[i];
  return "smtp";
}

static void
log_it (const EkSpoolMessage *m, const EkSpoolRcpt *r, const EkOutcome *o, EkStatus status)
{
  char id[EK_QUEUE_ID_LEN + 1];
  const char *word = status == EK_OK ? "sent" : status == EK_DEFER ? "deferred" : "bounced";
  gint64 total = MAX (ek_wall () - m->arrival, 0);
  gint64 before = MAX (total - o->queued_us - o->connect_us - o->send_us, 0);

  ek_queue_id_text (m->id, id);
  ek_event (speaker (o->component), m->event, word, EK_FTEXT ("qid", id), EK_FSTR ("to", r->address),
            EK_FTEXT ("relay", o->relay ? o->relay : "none"), EK_FTIME ("delay", total), EK_FTIME ("delay_before", before),
            EK_FTIME ("delay_queue", o->queued_us), EK_FTIME ("delay_connect", o->connect_us), EK_FTIME ("delay_send", o->send_us),
            EK_FTEXT ("dsn", o->dsn ? o->dsn : "0.0.0"), EK_FTEXT ("text", o->text ? o->text : ""));
}

static gint64
lifetime (const EkSpoolMessage *m)
{
  return m->sender.n == 0 ? ek_queue_conf->bounce_lifetime.us : ek_queue_conf->lifetime.us;
}

/* Grows with the message's age, within the limits, give or take a tenth; recipients that are put off together come
 * back together. */
static gint64
next_try (EkSpoolMessage *m, gint64 now)
{
  gint64 *last = ek_sched_last_pause (m);
  gint64 pause = MIN (MAX (now - m->arrival, ek_queue_conf->backoff_min.us), ek_queue_conf->backoff_max.us);
  gint64 jitter = pause / 10;
  if (*last < now + pause - jitter || *last > now + pause + jitter)
    *last = now + pause - jitter + (gint64) (ek_random64 () % (guint64) (2 * jitter + 1));
  return *last;
}

/* Of a longer text the beginning is kept: a spool that refuses a record would leave the recipient as he is for ever. */
#define TEXT_MAX 2000

void
ek_outcome (EkSpoolMessage *m, guint rcpt, const EkOutcome *o)
{
  EkSpoolRcpt *r = &m->rcpts[rcpt];
  gint64 now = ek_wall ();
  EkStatus status = o->status;
  g_autofree char *text = g_strdup_printf ("%.20s %.*s", o->dsn ? o->dsn : "4.0.0", TEXT_MAX, o->text ? o->text : "");
  EkSpoolAct acts[2] = { { .type = EK_ACT_ATTEMPT, .rcpt = rcpt }, { .rcpt = rcpt, .text = ek_str (text) } }, *act = &acts[1];

  if (status == EK_DEFER && now - m->arrival > lifetime (m)) {
    char id[EK_QUEUE_ID_LEN + 1];
    ek_queue_id_text (m->id, id);
    ek_event ("qmgr", m->event, "expired", EK_FTEXT ("qid", id), EK_FSTR ("from", m->sender));
    status = EK_FAIL;
  }
  log_it (m, r, o, status);
  guint action = status == EK_FAIL ? EK_DSN_FAILED : status == EK_OK && o->action && ek_bounce_wanted (m, rcpt, o->action) ? o->action : NO_REPORT;
  if (status == EK_OK && m->n_rcpts > 1 && action != NO_REPORT) {
    EkBounceRcpt b = { rcpt, action, text, o->relay };     /* at once: the others may take long */
    act->type = EK_ACT_DONE;
    ek_sched_reported (m, rcpt);
    ek_bounce (m, &b, 1, act, 1);
    return;
  }
  if (status == EK_FAIL || (status == EK_OK && m->n_rcpts == 1)) {
    ek_sched_final (m, rcpt, status, action, text, o->relay);      /* settle() records it, with its notification */
    return;
  }
  act->type = status == EK_OK ? EK_ACT_DONE : EK_ACT_DEFER;
  if (status == EK_DEFER)
    act->next_try = next_try (m, now);
  guint from = status == EK_DEFER && o->tried ? 0 : 1;   /* who is done is not counted any more */
  ek_queue_ops->record (ek_queue_spool, NULL, m, acts + from, 2 - from, NULL, 0);
}

/* ---- the whole message ---- */

static bool
is_final (const EkSpoolRcpt *r, GPtrArray *finals, guint i)
{
  if (r->state == EK_TO_DONE || r->state == EK_TO_BOUNCED)
    return true;
  for (guint k = 0; finals && k < finals->len; k++)
    if (((EkFinal *) finals->pdata[k])->rcpt == i)
      return true;
  return false;
}

/* The acts that record the finals, and the retirement when nothing is left. */
static GArray *
final_acts (const EkSpoolMessage *m, GPtrArray *finals, GArray *bounces, bool *retire)
{
  GArray *acts = g_array_new (FALSE, TRUE, sizeof (EkSpoolAct));

  for (guint k = 0; finals && k < finals->len; k++) {
    const EkFinal *f = finals->pdata[k];
    EkSpoolAct act = { .type = f->status == EK_OK ? EK_ACT_DONE : EK_ACT_BOUNCE, .rcpt = f->rcpt, .text = ek_str (f->text) };
    EkBounceRcpt b = { f->rcpt, f->action, f->text, f->relay };
    g_array_append_val (acts, act);
    if (f->action != NO_REPORT)
      g_array_append_val (bounces, b);
  }
  *retire = true;
  for (guint i = 0; i < m->n_rcpts && *retire; i++)
    *retire = is_final (&m->rcpts[i], finals, i);
  if (*retire) {
    EkSpoolAct act = { .type = EK_ACT_RETIRE };
    g_array_append_val (acts, act);
  }
  return acts;
}

static bool
was_warned (const EkSpoolMessage *m)
{
  for (guint i = 0; i < m->n_plans; i++)
    if (m->plans[i].type == WARNED)
      return true;
  return false;
}

static void
maybe_warn (EkSpoolMessage *m)
{
  gint64 after = ek_queue_conf->delay_warning.us;

  if (after == 0 || m->sender.n == 0 || ek_wall () - m->arrival < after || was_warned (m))
    return;
  g_autoptr (GArray) which = g_array_new (FALSE, FALSE, sizeof (EkBounceRcpt));
  for (guint i = 0; i < m->n_rcpts; i++) {
    EkBounceRcpt b = { i, EK_DSN_DELAYED, m->rcpts[i].status ? m->rcpts[i].status : "4.0.0 delayed", NULL };
    if (m->rcpts[i].state == EK_TO_DEFERRED)
      g_array_append_val (which, b);
  }
  EkSpoolAct act = { .type = EK_ACT_PLAN, .rcpt = 0, .action = WARNED, .text = EK_STR ("warned") };
  if (which->len > 0)
    ek_bounce (m, (const EkBounceRcpt *) (void *) which->data, which->len, &act, 1);
}

/* The next deferred recipient's time. */
static void
plan_next (EkSpoolMessage *m)
{
  gint64 next = G_MAXINT64;

  for (guint i = 0; i < m->n_rcpts; i++)
    if (m->rcpts[i].state == EK_TO_DEFERRED && !m->rcpts[i].held)
      next = MIN (next, m->rcpts[i].next_try);
  if (next != G_MAXINT64)
    ek_sched_at (m, next - ek_wall ());
}

void
ek_outcome_settle (EkSpoolMessage *m)
{
  bool retire;
  char id[EK_QUEUE_ID_LEN + 1];

  if (m->user == NULL || ek_sched_busy (m))
    return;
  g_autoptr (GPtrArray) finals = ek_sched_take_finals (m);
  g_autoptr (GArray) bounces = g_array_new (FALSE, FALSE, sizeof (EkBounceRcpt));
  g_autoptr (GArray) acts = final_acts (m, finals, bounces, &retire);
  EkEventId event = m->event;

  if (!retire)
    plan_next (m);
  if (acts->len > 0) {               /* and comes back here unless it retires */
    ek_queue_id_text (m->id, id);
    ek_bounce (m, (const EkBounceRcpt *) (void *) bounces->data, bounces->len, (const EkSpoolAct *) (void *) acts->data, acts->len);
    if (retire)
      ek_event ("qmgr", event, "removed", EK_FTEXT ("qid", id));
  }
  else if (!retire)
    maybe_warn (m);
}
