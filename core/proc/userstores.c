/* userstores.c - store workers of system users: one a uid (and gid), started when directory asks for it, ended when idle
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/userstores.h"
#include "base/log.h"
#include "proc/role.h"
#include <string.h>
#include <sys/wait.h>

#define PATIENCE    (15 * G_USEC_PER_SEC)        /* for a worker to come up: then the mail or login is put off */
#define FAILED_MAX  5                            /* starts in a row without success, before it waits for the next question */
#define WAITERS_MAX 10000
#define ID_MAX      G_GINT64_CONSTANT (4294967294)

typedef enum {
  OFF,                               /* no process, and none is wanted */
  ON,
  ASKING,                            /* it is idle: every directory is told to forget it */
  LEAVING,                           /* they have: it was asked to end */
} State;

typedef struct {
  EkUserPlace place;                 /* first: an EkWorker points at it */
  EkWorker   *worker;
  State       state;
  guint       round, answers;        /* of ASKING: which, and how many directories still have to say */
  bool        wanted;                /* somebody asked meanwhile */
  guint       failed;
  gint64      ended;                 /* monotonic us: of OFF */
} Slot;

typedef struct {                     /* a question of directory */
  Slot      *slot;
  EkWorker  *asker;
  EkChannel *channel;
  gint64     started;                /* of that process: its successor may have a channel at the same address */
  guint32    id;
  gint64     since;
} Waiter;

static struct {
  EkLoop       *loop;
  const EkPlan *plan;
  guint64       generation;
  GPtrArray    *slots;
  GQueue        waiters;             /* of Waiter, the oldest first */
  EkTimer       patience;
  gint64        crowded;             /* when the others were told */
  bool          stopping;
} us;

/* ---- who may have one ---- */

char *
ek_user_store_wrong (const EkRolesConf *r, gint64 uid, gint64 gid)
{
  if (uid == 0)
    return g_strdup ("uid 0 is root's: mail is never handled as root (roles.first_valid_uid)");
  if (uid < r->first_valid_uid)
    return g_strdup_printf ("uid %" G_GINT64_FORMAT " is below roles.first_valid_uid (%" G_GINT64_FORMAT ")", uid, r->first_valid_uid);
  if (uid > r->last_valid_uid)
    return g_strdup_printf ("uid %" G_GINT64_FORMAT " is above roles.last_valid_uid (%" G_GINT64_FORMAT ")", uid, r->last_valid_uid);
  if (gid <= 0 || gid > ID_MAX)
    return g_strdup_printf ("uid %" G_GINT64_FORMAT " comes with %s: a record that names a uid names a gid above 0 too, or the backend's "
                            "row gid does (roles.first_valid_uid)", uid, gid < 0 ? "no gid" : gid == 0 ? "root's gid" : "a gid that is none");
  return NULL;
}

gint64
ek_user_stores_owner (const EkPlan *plan)
{
  return strcmp (plan->roles.layout, "merged") == 0 || plan->roles.user_stores == 0 ? -1 : plan->who[EK_ROLE_STORE].uid;
}

/* Our own users are no mailbox's, and the groups of the others open their files. */
static char *
wrong (gint64 uid, gint64 gid)
{
  char *why = ek_user_store_wrong (&us.plan->roles, uid, gid);

  for (EkRole r = 0; why == NULL && r < EK_N_ROLES; r++)
    if (us.plan->who[r].uid == uid || (r != EK_ROLE_STORE && r != EK_ROLE_MASTER && us.plan->who[r].gid == gid))
      why = g_strdup_printf ("uid %" G_GINT64_FORMAT " or gid %" G_GINT64_FORMAT " is the %s role's own (roles.user_%s): no user's mail is "
                             "handled under it", uid, gid, ek_role_name (r), ek_role_name (r));
  return why;
}

/* ---- slots ---- */

static Slot *
slot_of (const EkWorker *w)
{
  return (Slot *) w->place;
}

static Slot *
slot_find (gint64 uid, gint64 gid)
{
  for (guint i = 0; i < us.slots->len; i++) {
    Slot *s = us.slots->pdata[i];
    if (s->place.who.uid == uid && s->place.who.gid == gid)
      return s;
  }
  return NULL;
}

/* A new one while there are any; then the one that nobody has used for longest. */
static Slot *
slot_take (gint64 uid, gint64 gid, const char *home, const char *mail)
{
  guint first = us.plan->workers[EK_ROLE_STORE];
  Slot *s = NULL;

  if (first + us.slots->len <= EK_INDEX_MAX) {
    s = g_new0 (Slot, 1);
    s->worker = ek_workers_add (EK_ROLE_BIT (EK_ROLE_STORE), EK_ROLE_STORE, first + us.slots->len);
    g_ptr_array_add (us.slots, s);
  }
  else
    for (guint i = 0; i < us.slots->len; i++) {
      Slot *other = us.slots->pdata[i];
      if (other->state == OFF && (s == NULL || other->ended < s->ended))
        s = other;
    }
  if (s == NULL)
    return NULL;
  g_free (s->place.home);
  g_free (s->place.mail);
  s->place = (EkUserPlace) { .who = { uid, gid, NULL }, .home = g_strdup (home), .mail = g_strdup (mail) };
  s->worker->place = &s->place;
  s->worker->delay = s->worker->restarts = s->failed = 0;
  return s;
}

static guint
slots_on (void)
{
  guint n = 0;

  for (guint i = 0; i < us.slots->len; i++)
    n += ((Slot *) us.slots->pdata[i])->state != OFF;
  return n;
}

/* ---- answers ---- */

static void
answer (EkChannel *channel, guint32 id, EkStatus status, guint index, const char *why)
{
  EkBuf *out = ek_channel_answer (channel, id);

  ek_pack_u64 (out, status);
  ek_pack_u64 (out, index);
  ek_pack_text (out, why);
  ek_channel_end (channel);
}

static void
waiter_end (Waiter *w, EkStatus status, const char *why)
{
  if (w->asker->channel == w->channel && w->asker->started == w->started)
    answer (w->channel, w->id, status, w->slot->worker->index, why);
  g_queue_remove (&us.waiters, w);
  g_free (w);
}

/* All that wait for this one. */
static void
tell (const Slot *s, EkStatus status, const char *why)
{
  for (GList *l = us.waiters.head, *next; l; l = next) {
    next = l->next;
    if (((Waiter *) l->data)->slot == s)
      waiter_end (l->data, status, why);
  }
}

static bool
has_waiters (const Slot *s)
{
  for (GList *l = us.waiters.head; l; l = l->next)
    if (((Waiter *) l->data)->slot == s)
      return true;
  return false;
}

static void
too_late (EkTimer *timer)
{
  Waiter *w;

  while ((w = g_queue_peek_head (&us.waiters)) && ek_now () - w->since >= PATIENCE)
    waiter_end (w, EK_DEFER, "the store process of this uid does not come up: see the log");
  if (w)
    ek_timer_set (us.loop, timer, w->since + PATIENCE - ek_now ());
}

/* ---- questions of directory ---- */

static void
start (Slot *s)
{
  s->state = ON;
  if (!ek_worker_start (s->worker, us.plan, us.generation)) {
    s->state = OFF;
    tell (s, EK_DEFER, "the store process of this uid cannot be started: see the log");
  }
}

static bool
same (const char *a, const char *b)
{
  return g_strcmp0 (a, b) == 0;
}

/* A second folder under one uid: it is no single user's, and a process never gets more files than it has.  A new one gets what
 * store gets. */
static void
widen (Slot *s, const char *home, const char *mail)
{
  if (s->place.shared || (same (s->place.home, home) && same (s->place.mail, mail)))
    return;
  if (s->state == OFF) {             /* he has moved, or the other one is not there: what counts is what one process sees */
    g_free (s->place.home);
    g_free (s->place.mail);
    s->place.home = g_strdup (home);
    s->place.mail = g_strdup (mail);
    return;
  }
  s->place.shared = true;
  if (s->worker->reach == NULL || s->worker->channel == NULL)
    return;
  ek_log (EK_WARN, "master", "%s is replaced: users with several homes share uid %" G_GINT64_FORMAT ", so it may reach more files now "
          "(roles.confine)", s->worker->name, s->place.who.uid);
  s->worker->replaced = true;
  ek_worker_stop (s->worker, us.plan->roles.stop_timeout.us / 1000);
}

/* Those that have nothing to do now make room for who comes next. */
static void
crowded (void)
{
  if (us.crowded > 0 && ek_now () - us.crowded < G_USEC_PER_SEC)
    return;
  us.crowded = ek_now ();
  for (guint i = 0; i < us.slots->len; i++) {
    Slot *s = us.slots->pdata[i];
    if (s->state == ON && s->worker->state == EK_WORKER_READY) {
      ek_channel_send (s->worker->channel, EK_M_CROWDED);
      ek_channel_end (s->worker->channel);
    }
  }
}

static void
wait_for_it (Slot *s, EkWorker *asker, EkMsg *msg)
{
  Waiter *w = g_new (Waiter, 1);

  *w = (Waiter) { .slot = s, .asker = asker, .channel = msg->channel, .started = asker->started, .id = msg->id, .since = ek_now () };
  g_queue_push_tail (&us.waiters, w);
  if (!ek_timer_armed (&us.patience))
    ek_timer_set (us.loop, &us.patience, PATIENCE);
  if (s->worker->pid == 0 && !ek_timer_armed (&s->worker->restart))
    start (s);
}

static void
asked (EkWorker *asker, EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  gint64 uid = ek_unpack_i64 (&msg->in), gid = ek_unpack_i64 (&msg->in);
  const char *home = ek_unpack_text (&msg->in, pool), *mail = ek_unpack_text (&msg->in, pool);
  g_autofree char *why = NULL;

  if (!ek_unpack_ok (&msg->in) || msg->id == 0) {
    ek_channel_break (msg->channel, "a damaged question for a store worker");
    return;
  }
  if (us.stopping)
    why = g_strdup ("the server is stopping");
  else if (ek_user_stores_owner (us.plan) < 0)
    why = g_strdup ("this server has no store processes for single users");
  else
    why = wrong (uid, gid);
  Slot *s = why ? NULL : slot_find (uid, gid);
  if (why == NULL && (s == NULL || s->state == OFF) && slots_on () >= (guint) us.plan->roles.user_stores) {
    crowded ();
    why = g_strdup_printf ("%u store processes of system users run already (roles.user_stores): one has to become idle first "
                           "(roles.user_store_idle)", slots_on ());
  }
  if (why == NULL && us.waiters.length >= WAITERS_MAX)
    why = g_strdup ("too many questions wait for store processes to come up");
  if (why == NULL && s == NULL && (s = slot_take (uid, gid, home, mail)) == NULL)
    why = g_strdup ("no index is free for another store process");
  if (why) {
    answer (msg->channel, msg->id, EK_DEFER, 0, why);
    return;
  }
  s->wanted = true;
  widen (s, home, mail);
  if (s->worker->state == EK_WORKER_READY && s->state != LEAVING)
    answer (msg->channel, msg->id, EK_OK, s->worker->index, NULL);
  else
    wait_for_it (s, asker, msg);
}

/* ---- the end of an idle one ---- */

typedef struct { Slot *slot; guint round; } Round;

static void
leave (Slot *s)
{
  s->state = LEAVING;
  ek_channel_send (s->worker->channel, EK_M_LEAVE);
  ek_channel_end (s->worker->channel);
}

static void
all_forgot (Slot *s)
{
  if (s->wanted || us.stopping || s->worker->state != EK_WORKER_READY) {
    s->state = ON;                   /* and says so again when it is still idle */
    return;
  }
  leave (s);
}

static void
forgot (EkMsg *msg, gpointer data)
{
  Round *r = data;
  Slot *s = r->slot;
  bool of_now = s->state == ASKING && s->round == r->round;

  g_free (r);
  if (!of_now)
    return;
  if (msg && ek_unpack_max (&msg->in, 1) == 0)         /* NULL: it died, and with it what it knew */
    s->wanted = true;
  if (--s->answers == 0)
    all_forgot (s);
}

static void
idle (Slot *s, bool useless)
{
  GPtrArray *all = ek_workers ();

  if (us.stopping || s->state != ON || s->worker->state != EK_WORKER_READY)
    return;
  if (useless) {                     /* who comes to it too late finds no channel and asks again */
    leave (s);
    return;
  }
  s->state = ASKING;
  s->round++;
  s->answers = 1;                    /* ours: the last one must not come before all were asked */
  s->wanted = false;
  for (guint i = 0; i < all->len; i++) {
    EkWorker *w = all->pdata[i];
    if (!(w->bits & EK_ROLE_BIT (EK_ROLE_DIRECTORY)) || w->channel == NULL || w->state < EK_WORKER_JOINED)
      continue;
    Round *r = g_new (Round, 1);
    *r = (Round) { s, s->round };
    s->answers++;
    ek_pack_u64 (ek_channel_call (w->channel, EK_M_FORGET_STORE, forgot, r), s->worker->index);
    ek_channel_end (w->channel);
  }
  if (--s->answers == 0)
    all_forgot (s);
}

bool
ek_user_stores_message (EkWorker *w, EkMsg *msg)
{
  if (msg->type == EK_M_USER_STORE && (w->bits & EK_ROLE_BIT (EK_ROLE_DIRECTORY)))
    asked (w, msg);
  else if (msg->type == EK_M_IDLE && w->place)
    idle (slot_of (w), ek_unpack_max (&msg->in, 1) == 1);
  else if (msg->type == EK_M_STAY && w->place) {
    Slot *s = slot_of (w);
    if (s->state == LEAVING) {
      s->state = ON;
      tell (s, EK_OK, NULL);
    }
  }
  else
    return false;
  return true;
}

/* ---- what happens to them ---- */

void
ek_user_stores_use (const EkPlan *plan, guint64 generation)
{
  us.plan = plan;
  us.generation = generation;
}

void
ek_user_stores_ready (EkWorker *w)
{
  Slot *s = slot_of (w);

  s->failed = 0;
  s->state = ON;
  tell (s, EK_OK, NULL);
}

bool
ek_user_stores_restart (const EkWorker *w, int status)
{
  Slot *s = slot_of (w);
  bool planned = s->state == LEAVING && WIFEXITED (status) && WEXITSTATUS (status) == 0;

  s->failed += w->state < EK_WORKER_READY;
  return !planned && (s->failed < FAILED_MAX || has_waiters (s));
}

bool
ek_user_stores_gone (EkWorker *w, int status)
{
  Slot *s = slot_of (w);
  bool planned = s->state == LEAVING && WIFEXITED (status) && WEXITSTATUS (status) == 0;

  if (ek_timer_armed (&w->restart)) {
    s->state = ON;
    if (s->failed > 0)
      tell (s, EK_DEFER, "the store process of this uid does not come up: see the log");
    return false;
  }
  s->state = OFF;
  s->ended = ek_now ();
  if (planned)
    w->delay = 0;
  if (has_waiters (s))
    start (s);
  return planned;
}

void
ek_user_stores_init (EkLoop *loop, const EkPlan *plan)
{
  us.loop = loop;
  us.plan = plan;
  us.generation = 1;
  us.slots = g_ptr_array_new_with_free_func (g_free);
  us.patience.func = too_late;
  if (plan->roles.user_stores > 0 && ek_user_stores_owner (plan) < 0)
    ek_log (EK_INFO, "master", "%s, so the mail of all users is handled under one uid, whatever uid their records name (roles.user_stores)",
            strcmp (plan->roles.layout, "merged") == 0 ? "all roles live in one process" : "the server was not started by root");
}

void
ek_user_stores_stop (void)
{
  us.stopping = true;
}

void
ek_user_stores_end (void)
{
  Waiter *w;

  ek_timer_cancel (us.loop, &us.patience);
  while ((w = g_queue_pop_head (&us.waiters)))
    g_free (w);
  for (guint i = 0; i < us.slots->len; i++) {
    Slot *s = us.slots->pdata[i];
    g_free (s->place.home);
    g_free (s->place.mail);
  }
  g_ptr_array_unref (us.slots);
}
