/* storedeliver.c - messages from queue into mailboxes: written by jobs, synced in epochs, answered when durable
 * SPDX-License-Identifier: Apache-2.0
 *
 * EK_S_DELIVER: u queue id, u recipient, u action, i time, u replay (1) or rewrite (2), u event, user record, t mailbox instance,
 * t folder, s header lines for the front, u parts, each u 0 and s bytes or u 1 and u from, u length of the
 * descriptor.  Answer: u status, t enhanced code, t text.
 *
 * All deliveries of one loop turn become one job, so that a thread is woken once for many.
 */
#include "config.h"
#include "flow/facts.h"
#include "flow/store.h"
#include "index/deliver.h"
#include "queue/spool.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PARTS_MAX 1024
#define BATCH     32

typedef struct Delivery Delivery;
struct Delivery {
  EkTask      task;                  /* back to the loop, from the syncer's thread */
  Delivery   *next;
  guint       queue;                 /* who asked: its channel may be another by the time of the answer */
  EkChannel  *channel;
  guint32     call;
  EkPool     *pool;
  EkUser      user;
  EkEventId   event;
  EkGeneration *generation;          /* format's */
  EkInstance *format;
  EkDelivery  what;
  EkIndex    *index;
  int         fd;
  bool        incomplete;            /* its file did not come along */
  EkStatus    status;
  GError     *error;
};

typedef struct {
  EkJob     job;
  Delivery *first;
} Batch;

static struct {
  EkIndexes *set;
  EkSyncer  *syncer;
  Delivery  *waiting, **last;
  guint      under_way;
  EkTask     turn;
  EkLoop    *loop;
} d;

static void turn_ended (EkTask *task);

typedef struct {                     /* a question to queue, from a job's thread */
  EkTask  task;
  guint64 id;
  guint32 rcpt;
} Question;

/* When queue is away the question is put again as soon as it is there. */
static void
ask_queue (EkTask *task)
{
  Question *q = (Question *) task;
  EkChannel *queue = ek_role_any (EK_ROLE_STORE, EK_ROLE_QUEUE);

  if (queue) {
    EkBuf *out = ek_channel_send (queue, EK_S_ASK);
    ek_pack_u64 (out, q->id);
    ek_pack_u64 (out, q->rcpt);
    ek_channel_end (queue);
  }
  g_free (q);
}

static void
ask (guint64 id, guint32 rcpt, gpointer data)
{
  Question *q = g_new (Question, 1);

  *q = (Question) { .task.func = ask_queue, .id = id, .rcpt = rcpt };
  ek_loop_post (d.loop, &q->task);
}

void
ek_store_told (EkMsg *msg)
{
  guint64 id = ek_unpack_u64 (&msg->in), last = ek_unpack_u64 (&msg->in);

  if (msg->type == EK_S_UNSURE) {
    if (ek_unpack_ok (&msg->in))
      ek_deliveries_unsure (d.set, id, last);
    return;
  }
  guint32 action = (guint32) ek_unpack_max (&msg->in, G_MAXUINT32);
  if (ek_unpack_ok (&msg->in))
    ek_delivery_retired (d.set, id, (guint32) last, action);
}

void
ek_store_deliver_start (EkIndexes *set)
{
  d.set = set;
  d.loop = ek_role_loop ();
  d.syncer = ek_syncer_new (0);
  d.last = &d.waiting;
  d.turn.func = turn_ended;
  ek_indexes_ask (set, ask, NULL);
}

void
ek_store_deliver_end (void)
{
  while (d.under_way > 0)
    ek_loop_turn (d.loop, true);
  ek_syncer_free (d.syncer);
  d.syncer = NULL;
}

guint
ek_store_delivering (void)
{
  return d.under_way;
}

/* ---- answers ---- */

/* The UID follows as `indexed` when the index gives one, which may be much later (index/scan.c). */
static void
log_stored (const Delivery *dl)
{
  char qid[EK_QUEUE_ID_LEN + 1], file[EK_DELIVERY_BASE_MAX];

  ek_queue_id_text (dl->what.queue_id, qid);
  ek_delivery_base (&dl->what, file, sizeof file);
  ek_event ("virtual", dl->event, "stored", EK_FTEXT ("qid", qid), EK_FINT ("rcpt_no", dl->what.rcpt), EK_FTEXT ("user", dl->user.name),
            EK_FTEXT ("mailbox", dl->what.folder ? dl->what.folder : "INBOX"), EK_FTEXT ("file", file));
}

static void
answer (Delivery *dl)
{
  EkChannel *queue = ek_role_peer (EK_ROLE_STORE, EK_ROLE_QUEUE, dl->queue);
  const char *dsn = dl->status == EK_OK ? "2.0.0" : dl->status == EK_DEFER ? "4.3.0" : "5.3.0";
  const char *text = dl->status == EK_OK ? "delivered to mailbox" : dl->error ? dl->error->message : "delivery failed";

  if (dl->status == EK_OK)
    log_stored (dl);
  if (queue && queue == dl->channel) {
    EkBuf *out = ek_channel_answer (queue, dl->call);
    ek_pack_u64 (out, dl->status);
    ek_pack_text (out, dsn);
    ek_pack_text (out, text);
    ek_channel_end (queue);
  }
  if (dl->index)
    ek_index_unref (dl->index);
  if (dl->fd >= 0)
    close (dl->fd);
  g_clear_error (&dl->error);
  ek_generation_unref (dl->generation);
  ek_pool_free (dl->pool);           /* dl with it */
  d.under_way--;
  ek_store_maybe_done ();
}

static void
answer_task (EkTask *task)
{
  answer ((Delivery *) task);
}

/* On the syncer's thread. */
static void
synced (EkStatus status, const GError *error, gpointer data)
{
  Delivery *dl = data;

  dl->status = status;
  if (error)
    dl->error = g_error_copy (error);
  dl->task.func = answer_task;
  ek_loop_post (d.loop, &dl->task);
}

/* ---- on a job thread ---- */

static void
deliver_one (Delivery *dl)
{
  GError *error = NULL;
  EkStatus status = !ek_store_reaches (&dl->user, &error) ? EK_DEFER
                                                          : ek_index_new (d.set, dl->format, &dl->user, &dl->index, &error);

  if (status == EK_OK)
    status = ek_deliver (dl->index, d.syncer, &dl->what, synced, dl, &error);
  if (status == EK_OK)
    return;                          /* synced() has it, and may have answered already: dl may be gone */
  dl->status = status == EK_NOTFOUND ? EK_FAIL : status;
  dl->error = error;
  dl->task.func = answer_task;
  ek_loop_post (d.loop, &dl->task);
}

static void
batch_run (EkJob *job, EkJobThread *thread)
{
  Delivery *dl = ((Batch *) job)->first;

  while (dl) {
    Delivery *next = dl->next;       /* dl may be answered and gone before we look again */
    deliver_one (dl);
    dl = next;
  }
}

static void
batch_done (EkJob *job)
{
  g_free (job);
}

static void
turn_ended (EkTask *task)
{
  while (d.waiting) {
    Batch *b = g_new0 (Batch, 1);
    Delivery **end = &d.waiting;
    for (int i = 0; i < BATCH && *end; i++)
      end = &(*end)->next;
    b->first = d.waiting;
    d.waiting = *end;
    *end = NULL;
    b->job = (EkJob) { .run = batch_run, .done = batch_done };
    ek_job_submit (ek_role_jobs (), &b->job);
  }
  d.last = &d.waiting;
}

/* ---- the question ---- */

static bool
unpack_pieces (EkUnpack *in, Delivery *dl, EkStr front)
{
  guint n = (guint) ek_unpack_max (in, PARTS_MAX);
  EkPiece *pieces = ek_pool_newv (dl->pool, EkPiece, n + 1);

  pieces[0] = (EkPiece) { .bytes = front, .fd = -1 };
  for (guint i = 1; i <= n; i++)
    if (ek_unpack_max (in, 1) == 0)
      pieces[i] = (EkPiece) { .bytes = ek_unpack_copy (in, dl->pool), .fd = -1 };
    else {
      pieces[i].fd = dl->fd;
      pieces[i].offset = ek_unpack_u64 (in);
      pieces[i].length = ek_unpack_u64 (in);
      dl->incomplete |= dl->fd < 0;
    }
  dl->what.pieces = pieces;
  dl->what.n_pieces = n + 1;
  return ek_unpack_ok (in);
}

void
ek_store_deliver (EkMsg *msg)
{
  EkPool *pool = ek_pool_new ();
  Delivery *dl = ek_pool_new0 (pool, Delivery);
  EkUnpack *in = &msg->in;

  dl->pool = pool;
  dl->channel = msg->channel;
  dl->queue = ek_role_peer_index (msg->channel);
  dl->call = msg->id;
  dl->fd = ek_msg_take_fd (msg, 0);
  dl->what.queue_id = ek_unpack_u64 (in);
  dl->what.rcpt = (guint32) ek_unpack_max (in, G_MAXUINT32);
  dl->what.action = (guint32) ek_unpack_max (in, G_MAXUINT32);
  dl->what.time = ek_unpack_i64 (in);
  guint64 again = ek_unpack_max (in, 2);
  dl->what.replay = again > 0;
  dl->what.rewrite = again == 2;
  dl->what.guarded = true;
  dl->what.create = true;
  dl->event = ek_unpack_u64 (in);
  ek_unpack_user (in, pool, &dl->user);
  const char *format = ek_unpack_text (in, pool);
  dl->what.folder = ek_unpack_text (in, pool);
  EkStr front = ek_unpack_copy (in, pool);
  d.under_way++;
  if (!unpack_pieces (in, dl, front) || dl->user.name == NULL) {
    ek_channel_break (msg->channel, "a damaged delivery");
    dl->status = EK_DEFER;
    answer (dl);
    return;
  }
  if (dl->incomplete) {
    dl->status = EK_DEFER;
    ek_fail (&dl->error, EK_DEFER, EMFILE, "the message's file could not be handed over: too many files are open (raise LimitNOFILE)");
    answer (dl);
    return;
  }
  dl->format = ek_store_format (format, &dl->generation);
  if (dl->format == NULL) {
    dl->status = EK_DEFER;
    ek_fail (&dl->error, EK_DEFER, 0, "no mailbox instance \"%s\" here (is the configuration being changed?)", format ? format : "");
    answer (dl);
    return;
  }
  *d.last = dl;
  d.last = &dl->next;
  ek_loop_later (d.loop, &d.turn);
}
