/* lines.c - destinations, the lines of parcels before them, and suspicion after a crash
 * SPDX-License-Identifier: Apache-2.0
 *
 * A destination is a next hop or a store worker.  Each has a line of parcels that wait and a limit of those
 * under way, so a slow or dead one keeps nobody else from being served.  A next hop that cannot be reached is
 * dead for a while, doubling up to an hour: what waits for it is deferred without an attempt.
 *
 * When a worker dies, what it had under way is tried again one by one, with nothing beside it: whatever it dies of
 * once more, alone, is the cause.  That counts as two workers, and the message (with it its user's mailbox) stays
 * apart from the others; at the third it is held.  Others wait for no longer than that takes.
 */
#include "config.h"
#include "flow/route.h"
#include "queue/lines.h"
#include <string.h>

#define DEAD_MIN  (30 * G_USEC_PER_SEC)
#define DEAD_MAX  (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)
#define CRASHES   3
#define GROUP_MAX 100                /* recipients of one message in one delivery to a next hop */
#define PUT_OFF_MAX 64               /* parcels of a dead next hop that are put off in one turn of the loop */
#define WAITING_MAX  20000           /* parcels in one line: more wait in the spool */
#define SWEEP_MIN 1000               /* destinations that are kept without asking whether anybody needs them */

struct EkDestination {
  char    *key;
  bool     local;
  guint    store;
  char    *instance, *next_hop;
  guint    under_way;
  GQueue   waiting, sent;            /* of EkParcel, by their links */
  GQueue   suspects;                 /* were under way when a worker died */
  bool     alone;                    /* one of them is under way: nothing else is started */
  gint64   dead_until, dead_for;
  bool     listed;                   /* in `lines` */
  bool     held_back;                /* in `held_back` */
  char    *dead_dsn, *dead_text;
};

static GHashTable *destinations;
static guint       sweep_at;         /* so many destinations: forget those that nobody needs */
static guint       under_way, remote_under_way;
static GQueue      held_back;        /* destinations that wait for remote_under_way to fall */
static bool        ending;

static GQueue      lines;            /* destinations with new parcels: pulled at the turn's end, so that
                                        recipients of one message travel together */
static EkTask      puller;
static EkTimer     pacer;            /* the next turn's share, so that the loop serves others between */
static bool        pulling;

static GQueue      moving;           /* parcels whose way is asked for again, by their links */

static void list (EkDestination *d);

const char *ek_destination_name (const EkDestination *d) { return d->key; }
bool ek_destination_local (const EkDestination *d) { return d->local; }
guint ek_destination_store (const EkDestination *d) { return d->store; }
guint ek_lines_under_way (void) { return under_way; }

/* ---- destinations ---- */

static void
destination_free (gpointer data)
{
  EkDestination *d = data;

  g_free (d->key);
  g_free (d->instance);
  g_free (d->next_hop);
  g_free (d->dead_dsn);
  g_free (d->dead_text);
  g_free (d);
}

/* Nobody waits for it or is under way to it, and that it is dead would be asked anew by now. */
static gboolean
unneeded (gpointer key, gpointer value, gpointer data)
{
  const EkDestination *d = value;

  return d->under_way == 0 && d->waiting.length == 0 && d->suspects.length == 0 && d->sent.length == 0 && !d->listed
         && !d->held_back && d->dead_until + d->dead_for <= *(gint64 *) data;
}

static void
sweep (void)
{
  gint64 now = ek_now ();

  if (g_hash_table_size (destinations) < sweep_at)
    return;
  g_hash_table_foreach_remove (destinations, unneeded, &now);
  sweep_at = MAX (SWEEP_MIN, 2 * g_hash_table_size (destinations));
}

static EkDestination *
destination (const EkRoute *r)
{
  char key[600];

  if (r->kind == EK_ROUTE_LOCAL)
    g_snprintf (key, sizeof key, "store.%u", r->store);
  else
    g_snprintf (key, sizeof key, "%s:%s", r->instance, r->next_hop);
  EkDestination *d = g_hash_table_lookup (destinations, key);
  if (d)
    return d;
  sweep ();
  d = g_new0 (EkDestination, 1);
  d->key = g_strdup (key);
  d->local = r->kind == EK_ROUTE_LOCAL;
  d->store = r->store;
  d->instance = g_strdup (r->instance);
  d->next_hop = g_strdup (r->next_hop);
  g_hash_table_insert (destinations, d->key, d);
  return d;
}

void
ek_destination_dead (EkDestination *d, const char *dsn, const char *text)
{
  if (d->dead_until <= ek_now ()) {  /* else others that were under way with this one have said so already */
    d->dead_for = d->dead_for ? MIN (d->dead_for * 2, MIN (DEAD_MAX, ek_queue_conf->backoff_max.us))
                              : MIN (DEAD_MIN, ek_queue_conf->backoff_min.us);
    d->dead_until = ek_now () + d->dead_for;
  }
  g_free (d->dead_dsn);
  g_free (d->dead_text);
  d->dead_dsn = g_strdup (dsn);
  d->dead_text = g_strdup (text);
}

void
ek_destination_alive (EkDestination *d)
{
  d->dead_until = d->dead_for = 0;
}

/* ---- parcels ---- */

static void
parcel_free (EkParcel *p)
{
  ek_queue_ops->content_release (ek_queue_spool, &p->content);
  g_clear_error (&p->call.error);
  ek_pool_free (p->pool);            /* p with it */
}

static EkParcel *
parcel_new (EkSpoolMessage *m, EkDestination *d, const EkRoute *r, bool replay)
{
  EkPool *pool = ek_pool_new ();
  EkParcel *p = ek_pool_new0 (pool, EkParcel);

  *p = (EkParcel) { .message = m, .to = d, .pool = pool, .queued = ek_now (), .replay = replay,
                    .instance = d->instance, .next_hop = d->next_hop, .content.fd = -1 };
  p->user = ek_pool_str (pool, r->user);
  p->instance = ek_pool_strdup (pool, r->instance);
  p->folder = ek_pool_strdup (pool, r->folder);
  p->rcpts = ek_pool_newv (pool, guint, d->local ? 1 : MIN (m->n_rcpts, GROUP_MAX));
  p->link.data = p;
  return p;
}

bool
ek_lines_add (EkSpoolMessage *m, guint rcpt, const EkRoute *r, bool replay, bool asked)
{
  EkDestination *d = destination (r);
  EkParcel *last = g_queue_peek_tail (&d->waiting);

  if (d->waiting.length >= WAITING_MAX)
    return false;
  if (asked)
    d->dead_until = 0;
  list (d);
  if (!d->local && last && last->message == m && last->n_rcpts < MIN (m->n_rcpts, GROUP_MAX)) {
    last->rcpts[last->n_rcpts++] = rcpt;
    return true;
  }
  EkParcel *p = parcel_new (m, d, r, replay);
  p->rcpts[p->n_rcpts++] = rcpt;
  g_queue_push_tail_link (m->crashes > 0 ? &d->suspects : &d->waiting, &p->link);
  return true;
}

/* Gives each recipient of a parcel the same outcome. */
static void
all_get (EkParcel *p, const EkOutcome *o)
{
  for (guint i = 0; i < p->n_rcpts; i++)
    ek_outcome (p->message, p->rcpts[i], o);
  ek_parcel_over (p);
}

/* A worker that is being restarted is waited for: what it will take is not put off for minutes. */
static bool
worker_there (const EkDestination *d)
{
  if (!d->local)
    return ek_role_peers (EK_ROLE_QUEUE, EK_ROLE_RELAY) > 0;
  EkChannel *store = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, d->store);
  return store && ek_role_peer_ready (store);
}

/* The worker went away while the content was read. */
static void
put_back (EkParcel *p)
{
  EkDestination *d = p->to;

  d->under_way--;
  under_way--;
  remote_under_way -= !d->local;
  ek_queue_ops->content_release (ek_queue_spool, &p->content);
  p->content = (EkSpoolContent) { .fd = -1 };
  d->alone = d->alone && !p->suspect;
  g_queue_push_head_link (p->suspect ? &d->suspects : &d->waiting, &p->link);
  list (d);
}

static void
start (EkParcel *p)
{
  EkDestination *d = p->to;

  if (!worker_there (d)) {
    put_back (p);
    return;
  }
  g_queue_push_tail_link (&d->sent, &p->link);
  p->sent = ek_now ();
  if (ek_send (p))
    return;
  EkOutcome o = { .status = EK_DEFER, .dsn = "4.3.0", .relay = "none", .component = "qmgr",
                  .text = d->local ? "no store process is there" : "no relay process is there" };
  all_get (p, &o);
}

static void
got_content (EkCall *call, EkStatus status, gpointer user)
{
  EkParcel *p = user;

  if (ek_parcel_ended (p))
    return;
  if (status == EK_OK) {
    start (p);
    return;
  }
  g_queue_push_tail_link (&p->to->sent, &p->link);
  if (status == EK_FAIL) {
    EkSpoolAct act = { .type = EK_ACT_HOLD, .rcpt = EK_TO_ALL, .text = EK_STR ("its bytes are damaged on disk") };
    ek_queue_ops->record (ek_queue_spool, NULL, p->message, &act, 1, NULL, 0);
  }
  EkOutcome o = { .status = EK_DEFER, .dsn = "4.3.0", .relay = "none", .component = "qmgr",
                  .text = call->error ? call->error->message : "the message cannot be read" };
  all_get (p, &o);
}

static void
fetch (EkParcel *p)
{
  p->to->under_way++;
  under_way++;
  remote_under_way += !p->to->local;
  p->call = (EkCall) { .pool = p->pool, .done = got_content, .user = p };
  EkStatus status = ek_queue_ops->content (ek_queue_spool, &p->call, p->message, &p->content);
  if (status != EK_PENDING)
    got_content (&p->call, status, p);
}

static bool
all_held (const EkParcel *p)
{
  for (guint i = 0; i < p->n_rcpts; i++)
    if (!p->message->rcpts[p->rcpts[i]].held)
      return false;
  return true;
}

static void
put_off (EkDestination *d, EkParcel *p)
{
  g_autofree char *text = g_strdup_printf ("delivery temporarily suspended: %s", d->dead_text ? d->dead_text : "");
  EkOutcome o = { .status = EK_DEFER, .dsn = d->dead_dsn, .text = text, .relay = "none", .component = d->instance };

  d->under_way++;
  under_way++;
  remote_under_way += !d->local;
  g_queue_push_tail_link (&d->sent, &p->link);
  all_get (p, &o);
}

/* Has it pulled at the end of this turn: never from within, or a thousand parcels for a dead host would be a
 * thousand calls deep. */
static void
list (EkDestination *d)
{
  if (!d->listed)
    g_queue_push_tail (&lines, d);
  d->listed = true;
  if (!pulling)
    ek_loop_later (ek_role_loop (), &puller);
}

/* ---- store workers that come and go with their user (proc/userstores.h) ---- */

static bool
has_ended (const EkDestination *d)
{
  return d->local && d->store >= ek_role_workers (EK_ROLE_STORE) && ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, d->store) == NULL;
}

static void
moved (const EkRoute *r, gpointer data)
{
  EkParcel *p = data;

  if (ending)
    return;                          /* it is freed */
  g_queue_unlink (&moving, &p->link);
  if (r->kind == EK_ROUTE_LOCAL) {   /* as it is: what is suspected of it stays */
    p->to = destination (r);
    p->user = ek_pool_str (p->pool, r->user);
    p->instance = ek_pool_strdup (p->pool, r->instance);
    p->folder = ek_pool_strdup (p->pool, r->folder);
    g_queue_push_tail_link (p->suspect ? &p->to->suspects : &p->to->waiting, &p->link);
    list (p->to);
    return;
  }
  EkSpoolMessage *m = p->message;
  guint rcpt = p->rcpts[0];
  bool replay = p->replay;
  parcel_free (p);
  ek_sched_moved (m, rcpt, r, replay);
}

/* Its worker has ended: directory is asked again, and has another one started. */
static void
move (EkDestination *d)
{
  GQueue *const from[] = { &d->suspects, &d->waiting };

  for (guint i = 0; i < G_N_ELEMENTS (from); i++)
    for (guint n = from[i]->length; n > 0; n--) {
      EkParcel *p = from[i]->head->data;
      g_queue_unlink (from[i], &p->link);
      p->suspect = i == 0;
      g_queue_push_tail_link (&moving, &p->link);
      ek_route (p->message->rcpts[p->rcpts[0]].address, p->message->sender, moved, p);
    }
}

void
ek_lines_worker_lost (guint store)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, destinations);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((EkDestination *) value)->local && ((EkDestination *) value)->store == store)
      list (value);
}

/* Starts what may start. */
static void
pull (EkDestination *d)
{
  guint put_offs = 0;

  if (has_ended (d) && !ending && !ek_role_stopping ())
    move (d);
  if (!worker_there (d))
    return;                          /* ek_sched_worker_up() comes back here */
  guint limit = (guint) (d->local ? ek_queue_conf->local_concurrency : ek_queue_conf->destination_concurrency);

  while (!ending && !ek_role_stopping () && !d->alone) {
    GList *link = d->suspects.length > 0 ? d->suspects.head : d->waiting.head;
    bool careful = d->suspects.length > 0;
    if (link == NULL || d->under_way >= (careful ? 1 : limit))
      return;
    if (!d->local && remote_under_way >= (guint) ek_queue_conf->remote_concurrency) {
      if (!d->held_back)
        g_queue_push_tail (&held_back, d);
      d->held_back = true;
      return;
    }
    EkParcel *p = link->data;
    g_queue_unlink (careful ? &d->suspects : &d->waiting, link);
    p->suspect = d->alone = careful;
    if (all_held (p)) {
      d->under_way++;
      under_way++;
      remote_under_way += !d->local;
      g_queue_push_tail_link (&d->sent, link);
      ek_parcel_over (p);
      put_offs++;
    }
    else if (d->dead_until > ek_now ()) {
      put_off (d, p);
      put_offs++;
    }
    else
      fetch (p);
    if (put_offs == PUT_OFF_MAX)
      return;                        /* the last one listed it again */
  }
}

void
ek_parcel_over (EkParcel *p)
{
  EkDestination *d = p->to;
  EkSpoolMessage *m = p->message;

  g_queue_unlink (&d->sent, &p->link);
  d->under_way--;
  under_way--;
  remote_under_way -= !d->local;
  if (p->suspect)
    d->alone = false;
  ek_sched_idle (m, p->rcpts, p->n_rcpts);
  parcel_free (p);
  list (d);                          /* first: what settling starts may sweep destinations */
  ek_outcome_settle (m);             /* m may be gone now */
  EkDestination *other = g_queue_pop_head (&held_back);
  if (other) {
    other->held_back = false;
    list (other);
  }
}

static void
pull_lines (EkTask *task)
{
  pulling = true;
  for (guint n = lines.length; n > 0; n--) {
    EkDestination *d = g_queue_pop_head (&lines);
    d->listed = false;
    pull (d);
  }
  pulling = false;
  if (lines.length > 0)
    ek_timer_set (ek_role_loop (), &pacer, 0);
}

static void
next_share (EkTimer *timer)
{
  pull_lines (&puller);
}

/* ---- workers come and go ---- */

void
ek_lines_wake (void)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, destinations);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    list (value);
}

/* It died with this under way; `alone`: with nothing else and not of its own start, so of this.  That it died of this
 * in company is only believed then. */
static void
suspect (EkDestination *d, EkParcel *p, bool alone)
{
  EkSpoolMessage *m = p->message;
  char text[EK_QUEUE_ID_LEN + 1];
  EkSpoolAct acts[GROUP_MAX + CRASHES + 1];
  guint n = 0;

  g_queue_unlink (&d->sent, &p->link);
  d->under_way--;
  under_way--;
  remote_under_way -= !d->local;
  if (p->suspect)
    d->alone = false;
  p->replay = true;
  p->worker = NULL;
  ek_queue_ops->content_release (ek_queue_spool, &p->content);
  memset (&p->content, 0, sizeof p->content);
  p->content.fd = -1;
  for (guint i = 0; i < p->n_rcpts; i++)
    acts[n++] = (EkSpoolAct) { .type = EK_ACT_ATTEMPT, .rcpt = p->rcpts[i] };
  if (alone) {
    guint count = m->crashes + 1u + (p->in_company && m->crashes == 0);
    for (guint i = m->crashes; i < count && i < m->crashes + (guint) CRASHES; i++)
      acts[n++] = (EkSpoolAct) { .type = EK_ACT_CRASH };
    if (count >= CRASHES)
      acts[n++] = (EkSpoolAct) { .type = EK_ACT_HOLD, .rcpt = EK_TO_ALL, .text = EK_STR ("it crashed its worker") };
    ek_queue_id_text (m->id, text);
    ek_event ("qmgr", m->event, "isolated", EK_FTEXT ("qid", text), EK_FINT ("count", count));
    if (count >= CRASHES)
      ek_event ("qmgr", m->event, "hold", EK_FTEXT ("qid", text), EK_FTEXT ("reason", "it crashed its worker"));
  }
  ek_queue_ops->record (ek_queue_spool, NULL, m, acts, n, NULL, 0);
  p->in_company = p->in_company || !alone;
  g_queue_push_tail_link (&d->suspects, &p->link);
}

void
ek_lines_worker_gone (EkChannel *worker)
{
  GHashTableIter iter;
  gpointer value;
  guint mine = 0;

  g_hash_table_iter_init (&iter, destinations);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    for (GList *l = ((EkDestination *) value)->sent.head; l; l = l->next)
      mine += ((EkParcel *) l->data)->worker == worker;
  g_hash_table_iter_init (&iter, destinations);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    EkDestination *d = value;
    for (GList *l = d->sent.head, *next; l; l = next) {
      next = l->next;
      if (((EkParcel *) l->data)->worker == worker)
        suspect (d, l->data, mine == 1 && ek_role_peer_ready (worker));
    }
  }
}

/* ---- the end ---- */

/* What was under way outlives the scheduler: whoever has it still answers. */
bool
ek_parcel_ended (EkParcel *p)
{
  if (ending)
    parcel_free (p);
  return ending;
}

static void
leave (GQueue *line)
{
  GList *link;

  while ((link = g_queue_pop_head_link (line))) {
    EkParcel *p = link->data;
    ek_queue_ops->content_release (ek_queue_spool, &p->content);
  }
}

static void
drop_line (GQueue *line)
{
  GList *link;

  while ((link = line->head)) {
    g_queue_unlink (line, link);
    parcel_free (link->data);
  }
}

void
ek_lines_start (void)
{
  destinations = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, destination_free);
  puller.func = pull_lines;
  pacer.func = next_share;
  sweep_at = SWEEP_MIN;
  ending = false;
}

void
ek_lines_end (void)
{
  GHashTableIter iter;
  gpointer value;

  ending = true;
  ek_timer_cancel (ek_role_loop (), &pacer);
  if (destinations == NULL)
    return;
  g_hash_table_iter_init (&iter, destinations);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    EkDestination *d = value;
    drop_line (&d->waiting);
    drop_line (&d->suspects);
    leave (&d->sent);
  }
  drop_line (&moving);
  g_queue_clear (&held_back);
  g_queue_clear (&lines);
  g_clear_pointer (&destinations, g_hash_table_unref);
}
