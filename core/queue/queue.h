/* queue.h - the queue role: accepts, schedules, delivers, bounces
 * SPDX-License-Identifier: Apache-2.0
 *
 * The way of one message through these files: accept.c takes it from an edge (or pickup.c from the drop
 * folder) and gives it to the spool; when it is durable sched.c routes each recipient (route.c asks
 * directory) and lines.c puts it behind its destination; send.c hands it to store or relay as soon as the
 * destination has room; outcome.c records what came of it, plans the next attempt, or has bounce.c write a
 * notification; the last outcome retires it.  admin.c is the administrator's view.
 */
#pragma once
#include "proc/role.h"
#include "queue/spool.h"

typedef struct {                     /* block queue { } */
  EkInstance *spool;
  EkSize      message_size_limit;
  EkTime      backoff_min, backoff_max, lifetime, bounce_lifetime, delay_warning;
  gint64      destination_concurrency, local_concurrency, remote_concurrency;
  gint64      hops_max, node;
  const char *drop_folder;
} EkQueueConf;

extern const EkBlockType ek_queue_block;
extern const EkRoleOps   ek_queue_role;

extern const EkQueueConf *ek_queue_conf;
extern EkSpool           *ek_queue_spool;
extern const EkSpoolOps  *ek_queue_ops;

/* ---- accept.c ---- */
void ek_accept_message (guint edge, EkMsg *msg);           /* EK_Q_SUBMIT, EK_Q_STREAM, EK_Q_STREAM_DROP */
void ek_accept_edge_up (EkChannel *edge);
void ek_accept_edge_gone (guint edge);
void ek_accept_check (void);         /* tells the edges when "accepting" changed */
void ek_accept_end (void);

/* ---- pickup.c ---- */
void ek_pickup_start (void);
bool ek_pickup_busy (void);           /* a file is on its way into the spool */
void ek_pickup_end (void);

/* ---- route.c ---- */
typedef struct {                     /* where a recipient's mail goes; borrowed until the callback returns */
  guint       kind;                  /* EkRouteKind */
  EkStr       user;                  /* packed user record, for store */
  const char *instance;              /* mailbox or transport */
  const char *next_hop, *folder;
  guint       store;
  const char *dsn, *text;            /* of the other kinds; NULL: directory did not answer, ask again */
} EkRoute;
typedef void (*EkRouteFunc) (const EkRoute *route, gpointer data);
/* func may run before this returns. */
void ek_route (EkStr address, EkStr sender, EkRouteFunc func, gpointer data);
void ek_route_flush (void);          /* forgets: the configuration changed */
void ek_route_end (void);

/* ---- expand.c ---- */
typedef void (*EkExpandFunc) (bool known, gpointer data);
/* Puts their aliases' targets into `to` (of EkSpoolTo) in place of recipients, each address once; the strings live in the pool.  func runs
 * once, perhaps before this returns; `known` false: directory cannot tell now, and `to` is as it was. */
void ek_expand (EkPool *pool, GArray *to, EkExpandFunc func, gpointer data);

/* ---- lines.c ---- */
typedef struct EkDestination EkDestination;
typedef struct EkParcel EkParcel;

struct EkParcel {                    /* recipients of one message that go to one destination together */
  EkSpoolMessage *message;
  EkDestination  *to;
  EkSpoolContent  content;
  EkCall          call;              /* of content() */
  EkPool         *pool;
  guint          *rcpts;             /* ordinals */
  guint           n_rcpts;
  EkStr           user;              /* local: packed user record */
  const char     *instance, *next_hop, *folder;
  gint64          queued, sent;      /* monotonic us: for delays=a/b/c/d */
  EkChannel      *worker;            /* who has it */
  bool            replay;
  bool            suspect;           /* tried with nothing beside it */
  bool            in_company;        /* a worker died over this and others */
  GList           link;              /* in the destination's waiting list or its list under way */
};

void ek_parcel_over (EkParcel *parcel);                    /* send.c: all its recipients have an outcome; frees it */
bool ek_parcel_ended (EkParcel *parcel);                   /* too late for an answer: it is freed */
guint ek_lines_under_way (void);
void ek_lines_worker_lost (guint store);                   /* its channel is no longer there */
void ek_lines_worker_gone (EkChannel *worker);             /* what it had under way is tried again, with care */
/* A next hop that cannot be reached: what waits for it is put off too. */
void ek_destination_dead (EkDestination *to, const char *dsn, const char *text);
void ek_destination_alive (EkDestination *to);
const char *ek_destination_name (const EkDestination *to);
bool ek_destination_local (const EkDestination *to);
guint ek_destination_store (const EkDestination *to);

/* ---- sched.c ---- */
void ek_sched_start (void);
void ek_sched_message (EkSpoolMessage *message);           /* it is durable, or came from a replay */
void ek_sched_replayed (EkSpoolMessage *message);          /* told by open() */
typedef struct {                     /* an outcome that ek_outcome_settle() will record */
  guint    rcpt;
  EkStatus status;                   /* OK or FAIL */
  guint    action;                   /* EkDsnAction; G_MAXUINT: no report */
  char    *text;                     /* "5.1.1 User unknown" */
  char    *relay;
} EkFinal;
/* Adds one (text and relay copied), and takes all: NULL when there are none.  g_ptr_array_unref. */
void ek_sched_final (EkSpoolMessage *message, guint rcpt, EkStatus status, guint action, const char *text, const char *relay);
GPtrArray *ek_sched_take_finals (EkSpoolMessage *message);
void ek_sched_wake (EkSpoolMessage *message);              /* its recipients may be due: try them now */
void ek_sched_forget (EkSpoolMessage *message);            /* about to be retired */
void ek_sched_at (EkSpoolMessage *message, gint64 us);      /* look at it again then */
gint64 *ek_sched_last_pause (EkSpoolMessage *message);      /* wall us until when its last deferral puts it off */
bool ek_sched_busy (const EkSpoolMessage *message);        /* a recipient is under way, or a report on one */
void ek_sched_reported (EkSpoolMessage *message, guint rcpt);           /* its outcome goes with a report: not to be tried again */
void ek_sched_reporting (EkSpoolMessage *message, bool on);            /* a report is being written */
void ek_sched_worker_up (EkRole role);
void ek_sched_end (void);

/* ---- send.c ---- */
bool ek_send (EkParcel *parcel);     /* false: no such worker now */

/* ---- outcome.c ---- */
/* The `done` of a local delivery was recorded: store is told when it is surely durable. */
void ek_outcome_delivered (guint64 id, guint32 rcpt, guint store);
/* A store process is there: it learns which ids may be in its mailboxes without a durable `done`. */
void ek_outcome_store_up (guint store);
void ek_outcome_asked (guint store, EkMsg *msg);           /* EK_S_ASK */
typedef struct {
  EkStatus    status;                /* OK, DEFER, FAIL */
  const char *dsn, *text, *relay;
  const char *component;             /* "virtual", "smtp" */
  gint64      connect_us, send_us, queued_us;    /* parts of the delay */
  guint       action;                /* of OK: EkDsnAction, when the sender may want to know; 0: others tell him */
  bool        tried;                 /* a worker answered: counts as an attempt; else there was none */
} EkOutcome;
/* Records and logs it; DEFER becomes FAIL when the message is too old.  Afterwards call ek_outcome_settle(). */
void ek_outcome (EkSpoolMessage *message, guint rcpt, const EkOutcome *outcome);
/* Bounces what is to be bounced, retires the message when nothing is left, plans the next attempt. */
void ek_outcome_settle (EkSpoolMessage *message);
void ek_outcome_start (void);
void ek_outcome_end (void);

/* ---- bounce.c ---- */
typedef struct {
  guint       rcpt;
  guint       action;                /* EkDsnAction */
  const char *text;                  /* "5.1.1 reason" */
  const char *relay;                 /* who said so; NULL: we */
} EkBounceRcpt;
/* Writes the notification on some recipients (RFC 3464) and records it together with `acts`, as one record; with
 * EK_ACT_RETIRE as the last one the scheduler forgets the message, else it settles it once more.  When nobody wants
 * the notification (null sender, NOTIFY=) only the acts are recorded. */
void ek_bounce (EkSpoolMessage *message, const EkBounceRcpt *which, guint n, const EkSpoolAct *acts, guint n_acts);
void ek_bounce_end (void);
/* Whether the sender asked to be told of such an end of this recipient's delivery. */
bool ek_bounce_wanted (const EkSpoolMessage *message, guint rcpt, guint action);

/* ---- admin.c ---- */
void ek_admin_request (EkMsg *msg);
