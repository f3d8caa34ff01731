/* impl.h - what the files of the spool share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Four kinds of threads.  The loop thread owns messages, tables and the accounts of segments; what it
 * wants written it queues.  The sync thread (hot.c) owns the writing end of the hot log and does
 * nothing but group commit.  The keeper (keeper.c) prepares and recycles segments, writes the cold
 * log and the checkpoint and looks at the free room.  The workers (work.c) write, sync and read large
 * files and read back contents.  All of them hand what is finished to the loop with spool_post(); a
 * thing belongs to exactly one thread at a time and changes hands under a mutex.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include "format.h"

typedef struct Task    Task;
typedef struct Rec     Rec;
typedef struct Block   Block;
typedef struct Segment Segment;
typedef struct Message Message;

struct Task {                        /* something that changes hands */
  Task  *next;
  void (*run) (EkSpool *spool, Task *task);      /* on a worker; NULL for others */
  void (*done) (EkSpool *spool, Task *task);     /* on the loop */
};

typedef struct { Task *first, **last; } TaskList;

static inline void
tasks_init (TaskList *list)
{
  list->first = NULL;
  list->last = &list->first;
}

static inline void
tasks_add (TaskList *list, Task *task)
{
  task->next = NULL;
  *list->last = task;
  list->last = &task->next;
}

static inline Task *
tasks_pop (TaskList *list)
{
  Task *task = list->first;

  if (task && (list->first = task->next) == NULL)
    list->last = &list->first;
  return task;
}

static inline void
tasks_take (TaskList *to, TaskList *from)        /* moves all of `from` behind `to` */
{
  if (from->first) {
    *to->last = from->first;
    to->last = from->last;
    tasks_init (from);
  }
}

/* ---- memory that records and messages share; only the loop counts -------------------------------- */

struct Block {
  guint refs;
  guint64 n;
  char  bytes[];
};

Block *block_new (guint64 n);
static inline Block *block_ref (Block *block) { block->refs++; return block; }
void   block_unref (Block *block);               /* NULL is fine */

/* ---- segments ------------------------------------------------------------------------------------ */

struct Segment {
  Task     task;                     /* for its way to the loop and back to the keeper */
  char     name[24];                 /* below seg/ */
  int      fd;
  guint32  salt;
  SegKind  kind;
  guint64  size, seq;
  bool     reserve;                  /* of the reserve: no new mail in it */
  /* ---- the loop's ---- */
  Segment *next;                     /* in spool->hot or ->cold, by rising seq */
  guint64  end;                      /* of the records, once the next one was begun; 0: not known */
  guint64  used, live;               /* bytes of records; those that carry live messages */
  guint    n_live, readers;
  Message *first;                    /* messages that lie here */
  GArray  *dead;                     /* Dead: retired ones that lie here (cold) */
  bool     sealed, failed, victim;
  bool     stale;                    /* holds an old copy of something that lives elsewhere */
  gint64   opened;                   /* monotonic */
};

typedef struct {                     /* a retired message in a cold segment */
  guint64 id;
  guint64 tomb : 47;                 /* seq of the segment that says so; a hot one may be a later one */
  guint64 batch : 16;                /* of the record that is under way to say so again, or 0 */
  guint64 cold : 1;                  /* `tomb` is in the cold log */
} Dead;

/* ---- records ------------------------------------------------------------------------------------- */

struct Rec {
  Task      task;
  RecHead   head;
  Block    *meta, *body;
  EkCall   *call;
  Message **made;                    /* become live when it is durable */
  guint     n_made;
  Message  *one;
  bool      mail;                    /* a submission: fails with its group, never uses the reserve */
  bool      sync;                    /* somebody waits */
  EkStatus  status;
  int       error;                   /* errno beside another status than OK */
  Segment  *seg;                     /* where it went */
  guint64   off;
  Message  *moving;                  /* REC_SNAP, REC_STATES: holds a reference */
  guint16   batch;                   /* REC_TOMB */
  guint64   unlink;                  /* large file that goes when this is durable */
};

typedef struct {                     /* the writing end of a log; its thread's alone */
  SegKind  kind;
  Segment *seg;
  guint64  seq;                      /* of seg, or of the one that was written before */
  guint64  end, synced_end;          /* in seg */
  guint64  lsn, synced;              /* last written, last durable */
  TaskList unsynced;                 /* written since the last sync */
  GByteArray *iov;                   /* struct iovec, kept between batches */
  guint64  mark;                     /* highest queue-id mark written */
} Writer;

/* ---- messages ------------------------------------------------------------------------------------ */

typedef struct {
  guint8  kind;                      /* EXT_BODY, EXT_FILE; EXT_RANGE: bytes of an edit */
  guint64 from, len;
  Block  *edit;                      /* EXT_RANGE */
} Extent;

struct Message {
  EkSpoolMessage pub;                /* first */
  Message *prev, *next;              /* all, by rising id */
  Message *seg_prev, *seg_next;      /* those in `seg` */
  Message *keep_prev, *keep_next;    /* those with a retained body, oldest first */
  Segment *seg;                      /* where the record lies; NULL until it is durable */
  guint64  rec_off, rec_bytes;       /* of that record, and what this message is charged for */
  guint64  body_off, body_len;       /* of the record's body in the segment */
  guint32  body_crc;
  Block   *meta;                     /* envelope strings point into it */
  Block   *body;                     /* the record's body while retained */
  Extent  *extents;
  guint    n_extents;
  Extent   extent1;
  Extent  *snap;                     /* while a copy is under way: the extents over there */
  guint    n_snap;
  guint32  child;                    /* which of the record's messages it is */
  guint64  base_lsn, cold_as_of;     /* replay: hot LSN of the content; of the states in the cold log */
  guint64  as_of;                    /* hot LSN of the newest record in effect */
  guint64  states_hot;               /* a hot segment at or before the first that holds a state not in
                                        the cold log; G_MAXUINT64: none */
  guint64  states_hot_next;          /* the same while a copy is under way */
  guint64  states_cold;              /* cold segment with its REC_STATES; 0: none */
  EkSpoolFile *file;                 /* until it is durable */
  gint64   moved_try;                /* when a move that failed may be tried again */
  guint    refs;                     /* operations under way that come back to it */
  bool     linked, moving, want_move, retired, damaged, kept;
  bool     edited, edited_next;      /* since the record was written; since the copy was made */
  bool     needed;                   /* the reclaim cycle waits for its move */
};

#define MESSAGE(pub_) ((Message *) (pub_))

/* ---- the spool ----------------------------------------------------------------------------------- */

typedef struct {
  char   *path;
  guint64 segment_size, retain;
  gint64  lazy_sync, cold_age, probe;  /* microseconds */
  guint   workers;
} SpoolOptions;

typedef enum { RECLAIM_IDLE, RECLAIM_MOVE, RECLAIM_SWEEP, RECLAIM_WAIT, RECLAIM_WRITE } ReclaimState;

struct EkSpool {
  SpoolOptions opt;
  EkSpoolHost  host;
  int          dir, seg_dir, large_dir, bad_dir, lock;
  bool         offline;              /* fsck, fuzzer: no threads */

  /* ---- the loop's ---- */
  GHashTable  *table;                /* of Message, by id */
  Message     *first, *last;
  Message     *keep_first, *keep_last;
  guint64      retained;
  EkSpoolCursor *cursors;
  Segment     *hot, *cold;           /* oldest first; the last is being written */
  Segment     *hot_last, *cold_last;
  guint64      lsn, lsn_done;        /* last one given, last one durable */
  guint64      cold_lsn;             /* the keeper's after start */
  guint64      id_last, id_mark;     /* milliseconds */
  guint        id_counter;
  EkSpoolStatus st;
  bool         closing;
  char        *why;
  GQueue       move_queue, move_again;   /* Message; those that could not be written */
  gint64       cold_probe;
  guint        moves;                /* under way */
  guint64      move_bytes;
  guint64      cold_issued, cold_finished;       /* records handed to the keeper, and back */
  struct {
    ReclaimState state;
    Message *at;                     /* next to be written */
    EkBuf    buf;
    guint64  lsn, cold_lsn, n;
    guint64  hot_max;                /* newest hot victim, or 0 */
    guint64  cold_target;            /* cold_finished must have come so far */
    guint    needed;                 /* moves that must have ended */
    bool     barrier, failed, check;
    gint64   retry;
  } reclaim;
  guint16      tomb_batch;
  guint64      ckpt_size;            /* of the last one */
  gint64       next_tick;
  bool         ckpt_lost;            /* none is valid: write one soon */

  /* ---- finished things, for the loop ---- */
  pthread_mutex_t done_lock;
  pthread_cond_t  done_cond;         /* for close() */
  TaskList     done;

  /* ---- hot.c ---- */
  pthread_mutex_t hot_lock;
  pthread_cond_t  hot_cond;
  TaskList     hot_queue;
  bool         hot_sync, hot_quit, hot_waiting;
  pthread_t    hot_thread;
  Writer       hot_writer;
  TaskList     stuck;                /* the sync thread's: records that no disk takes */
  gint64       unsynced_since;
  atomic_bool  hot_sick, cold_sick;
  atomic_int   sick_error;           /* errno that made it so */
  atomic_ullong n_syncs, n_cold_syncs, n_failed_syncs;

  /* ---- keeper.c ---- */
  pthread_mutex_t keep_lock;
  pthread_cond_t  keep_cond;         /* for the keeper */
  pthread_cond_t  hot_ready;         /* for the sync thread: a segment, or none to be had */
  TaskList     keep_queue;           /* Rec for the cold log, other tasks with run() */
  Segment     *next_hot;             /* prepared */
  bool         want_hot, no_hot, keep_quit;
  TaskList     spares;               /* Segment, SEG_FREE */
  guint        n_spares;
  guint64      next_seq, next_slot;
  pthread_t    keep_thread;
  Writer       cold_writer;
  bool         cold_broken;          /* the keeper's: the cold log needs a fresh segment */
  atomic_ullong usable;              /* bytes that new mail may take, as last seen */
  atomic_ullong hot_left;            /* in the segment being written */
  atomic_bool  busy;                 /* the keeper ticks each second, as it does while there is no room */

  /* ---- work.c ---- */
  pthread_mutex_t work_lock;
  pthread_cond_t  work_cond;
  TaskList     work;
  bool         work_quit;
  pthread_t    work_threads[8];
  guint        n_threads;
  guint        out;                  /* the loop's: tasks with workers or keeper that will come back */
};

#define SPOOL_RESERVE 2u             /* segments that new mail never gets */

/* spool.c */
void   spool_post (EkSpool *spool, TaskList *list);        /* any thread: to the loop; empties the list */
void   spool_post1 (EkSpool *spool, Task *task);
void   spool_report (EkSpool *spool, EkLevel level, const char *fmt, ...) G_GNUC_PRINTF (3, 4);
EkSpool *spool_new (const SpoolOptions *options, const EkSpoolHost *host);   /* without folder and threads */
void   spool_free (EkSpool *spool);
EkSpool *spool_open (const SpoolOptions *options, const EkSpoolHost *host, GError **error);
void   spool_close (EkSpool *spool);
void   spool_dispatch (EkSpool *spool);
void   spool_status (EkSpool *spool, EkSpoolStatus *status);
bool   spool_accepting (EkSpool *spool, const char **why);
guint64 spool_room (EkSpool *spool);                       /* any thread: bytes that new mail may take, as last seen */
guint64 spool_need (EkSpool *spool);                       /* any thread: as many it takes to accept mail */
void   spool_thread (pthread_t *thread, void *(*func) (void *), EkSpool *spool);

/* dirs.c: the folder and its lock */
bool   dirs_open (EkSpool *spool, bool create, GError **error);
void   dirs_close (EkSpool *spool);
bool   pwrite_all (int fd, const void *bytes, gsize n, guint64 off);   /* false: errno */

/* segment.c */
Segment *segment_create (EkSpool *spool, GError **error);  /* a new file of zeros, durable */
bool   segment_prepare (EkSpool *spool, Segment *seg, SegKind kind, guint64 seq, GError **error);
void   segment_free (Segment *seg);                        /* closes; NULL is fine */
void   segment_charge (Segment *seg, Message *message);    /* the loop: message lies in it now */
void   segment_discharge (Message *message, bool dead, guint64 tomb);   /* no more: retired, or moved on */
void   segments_add (EkSpool *spool, Segment *seg);        /* the loop: it is being written now */
void   segment_opened (EkSpool *spool, Task *task);        /* done() of Segment.task */

/* log.c: the writing end */
Rec   *rec_new (RecType type, guint64 id, Block *meta, Block *body);
void   rec_free (Rec *rec);
/* Writes from `list` what fits (that goes to w->unsynced, also when it fails).  0 or errno. */
int    log_write (Writer *w, TaskList *list);
int    log_sync (Writer *w);                               /* 0 or errno, which is final */
Rec   *log_turn (Writer *w, Segment *next, bool failed);   /* goes on in `next`; first to be written there */
void   log_post (EkSpool *spool, Writer *w);               /* all that was unsynced is durable: to the loop */
void   log_undo (Writer *w, TaskList *list);               /* as if these had never been written */
/* Writes `list` into a fresh segment and syncs it, as much as there is room for (the rest stays in
 * `list`).  False: nothing has changed, `list` has all. */
bool   log_start_over (EkSpool *spool, Writer *w, TaskList *list, int *error);

/* hot.c */
void   hot_start (EkSpool *spool);
void   hot_stop (EkSpool *spool);
void   hot_queue (EkSpool *spool, Rec *rec);
void   hot_look (EkSpool *spool);                          /* room in the segment being written; its thread, or before it runs */

/* keeper.c */
void   keeper_start (EkSpool *spool);
void   keeper_stop (EkSpool *spool);
void   keeper_queue (EkSpool *spool, Task *task);
Segment *keeper_next_hot (EkSpool *spool);                 /* the sync thread; waits; NULL: none to be had */
Segment *keeper_next_cold (EkSpool *spool);                /* the keeper; NULL: none to be had */
void   keeper_dispose (EkSpool *spool, Segment *seg);      /* any thread: recycles, or unlinks a failed one */
bool   keeper_give_up_spare (EkSpool *spool);              /* the keeper: frees the room of one */
void   keeper_look (EkSpool *spool);                       /* free room */
void   keeper_rouse (EkSpool *spool);                      /* any thread: there is something to do: ticks each second */

/* work.c */
void   work_start (EkSpool *spool);
void   work_stop (EkSpool *spool);
void   work_queue (EkSpool *spool, Task *task);

/* message.c */
Message *message_new (Block *meta, const MsgMeta *parsed, guint32 child);
void   message_ref (Message *message);                     /* for an operation under way */
void   message_unref (Message *message);                   /* without any under way: frees */
void   message_insert (EkSpool *spool, Message *message);  /* becomes live */
void   message_remove (EkSpool *spool, Message *message);
Message *message_find (EkSpool *spool, guint64 id);
EkSpoolMessage *spool_find (EkSpool *spool, EkQueueId id);
void   message_keep (EkSpool *spool, Message *message, Block *body);
void   message_drop_body (EkSpool *spool, Message *message);
void   extents_free (Extent *extents, guint n, const Extent *within);
void   text_set (const char **text, EkStr value);
EkSpoolPlan *plan_find (Message *message, guint32 rcpt, guint16 type, bool make);
void   plan_set (EkSpoolPlan *plan, EkStr bytes, EkStr steps);
gsize  states_size (const Message *message);
void   states_write (Wr *w, const Message *message);
bool   states_read (Rd *r, Message *message);
EkSpoolCursor *cursor_new (EkSpool *spool, EkQueueId from);
EkSpoolMessage *cursor_next (EkSpoolCursor *cursor);
void   cursor_free (EkSpoolCursor *cursor);

/* act.c */
const char *acts_fault (const Message *message, const EkSpoolAct *acts, guint n);   /* NULL: none */
void   act_apply (Message *message, const EkSpoolAct *act, gint64 wall);

/* submit.c */
EkStatus spool_submit (EkSpool *spool, EkCall *call, const EkSpoolNew *message);
EkStatus spool_barrier (EkSpool *spool, EkCall *call);
EkStatus spool_record (EkSpool *spool, EkCall *call, EkSpoolMessage *message, const EkSpoolAct *acts,
                       guint n_acts, const EkSpoolNew *children, guint n_children);
void   spool_retired (EkSpool *spool, Message *message);   /* takes it out of memory */

/* id.c */
EkQueueId spool_new_id (EkSpool *spool);
void   spool_mark (EkSpool *spool);                        /* lazily */

/* file.c */
EkSpoolFile *file_new (EkSpool *spool, EkQueueId id, void (*drained) (gpointer), gpointer user);
EkSpoolFile *file_share (EkSpool *spool, EkQueueId id, EkSpoolMessage *of);
gsize  file_append (EkSpoolFile *file, const void *bytes, gsize len);
EkStatus file_sync (EkSpoolFile *file, EkCall *call);
void   file_free (EkSpoolFile *file);
void   file_then (EkSpoolFile *file, void (*func) (EkSpoolFile *, gpointer), gpointer data);
bool   file_settled (const EkSpoolFile *file);             /* written and synced, or failed */
int    file_error (const EkSpoolFile *file);               /* errno or 0 */
guint64 file_size (const EkSpoolFile *file);
EkQueueId file_id (const EkSpoolFile *file);
void   file_committed (EkSpoolFile *file);                 /* belongs to a message now; frees the handle */
void   file_unlink (EkSpool *spool, guint64 id);

/* content.c */
EkStatus spool_content (EkSpool *spool, EkCall *call, EkSpoolMessage *message, EkSpoolContent *content);
void   spool_content_release (EkSpool *spool, EkSpoolContent *content);
/* Has the message's body in memory, then calls back on the loop, perhaps at once: body is borrowed,
 * NULL beside an error (errno; EBADMSG: damaged). */
typedef void (*BodyFunc) (EkSpool *spool, Message *message, Block *body, int fd, int error, gpointer data);
void   body_want (EkSpool *spool, Message *message, bool want_fd, BodyFunc func, gpointer data);

/* move.c */
void   move_want (EkSpool *spool, Message *message);       /* into the cold log, when its turn comes */
void   move_pump (EkSpool *spool);
void   move_tick (EkSpool *spool);
void   move_states (EkSpool *spool, Message *message);
void   move_tombs (EkSpool *spool, const GArray *ids, guint16 batch);     /* of guint64 */

/* reclaim.c */
void   reclaim_step (EkSpool *spool);                      /* at each dispatch */
void   reclaim_tick (EkSpool *spool);                      /* once a second while there is something */

/* checkpoint.c */
void   ckpt_begin (EkBuf *buf);
void   ckpt_entry (EkBuf *buf, const Message *message);
void   ckpt_finish (EkSpool *spool, EkBuf *buf, guint64 lsn, guint64 cold_lsn, guint64 n);
bool   ckpt_store (EkSpool *spool, const EkBuf *buf, GError **error);
typedef struct {                     /* one as read */
  Block  *block;
  guint64 lsn, cold_lsn, mark, n;
  GHashTable *entries;               /* CkptEntry by id */
  const char *ends;                  /* seq and end of full segments */
  guint   n_ends;
} Ckpt;
typedef struct { guint64 id, seq, off, as_of; guint32 child; bool found; Rd states; } CkptEntry;
typedef enum { CKPT_OK, CKPT_NONE, CKPT_BAD, CKPT_REFUSED } CkptResult;
CkptResult ckpt_parse (EkSpool *spool, Ckpt *ckpt, GError **error);   /* ckpt->block */
CkptResult ckpt_load (EkSpool *spool, Ckpt *ckpt, GError **error);
guint64 ckpt_end (const Ckpt *ckpt, guint64 seq);          /* 0: not known */
void   ckpt_clear (Ckpt *ckpt);

/* scan.c */
typedef struct {
  guint64 off;
  RecHead head;
  const char *meta, *body;
} ScanRec;

typedef struct {
  const char *bytes;                 /* the whole segment */
  guint64  size, seq;
  guint32  salt;
  guint64  limit;                    /* where it is known to end; 0: not known */
  guint64  witness;                  /* this LSN is known to have been durable */
  gpointer user;
  void   (*record) (gpointer user, const ScanRec *rec);
  /* Not readable though it was durable: [from, to), empty when it is missing at the end. */
  void   (*damage) (gpointer user, guint64 from, guint64 to);
  guint64  lsn;                      /* in: the log's last one before; out: the last one here */
  /* results */
  guint64  end, torn, n_records, n_damaged;
  guint64  known, known_at;          /* scan.c's own */
} Scan;
void   scan_segment (Scan *scan);
bool   scan_record (const Scan *scan, guint64 off, ScanRec *rec);   /* is there a good one here? */

/* replay.c */
typedef struct {
  EkSpool    *spool;
  bool        mend;                  /* write to the disk what makes it whole */
  FILE       *tell;                  /* fsck: a line for each segment; or NULL */
  bool        json;
  Ckpt        ckpt;
  bool        have;                  /* the checkpoint is good */
  GHashTable *dead;                  /* Dead by id */
  GArray     *copies;                /* what lies in cold segments */
  GHashTable *orphans;               /* ids that acts name and no message has */
  Segment    *seg;                   /* being read */
  EkPool     *pool;
  guint64     lsn[3];                /* by SegKind: the last one */
  guint64     end[3], last_seq[3];   /* where the newest segment of the log ends */
  guint64     max_seq, max_slot, mark;
  guint64     n_segments, n_records, n_damaged, n_lost, n_bad_segments, torn;
} Replay;
bool   replay_run (Replay *r, GError **error);             /* the whole folder */
void   replay_image (Replay *r, Segment *seg, const char *bytes, guint64 limit, guint64 witness);
void   replay_begin (Replay *r, EkSpool *spool);
void   replay_link (Replay *r);                            /* the live ones into the list */
void   replay_end (Replay *r);

/* replay-record.c */
void   replay_record (Replay *r, const ScanRec *rec);
Dead  *replay_dead (Replay *r, guint64 id);

/* fsck.c: 0 clean, 1 mended, 4 damage is left, 8 could not be checked */
int    spool_fsck (const char *dir, bool mend, FILE *out);
int    spool_fsck_run (const char *dir, bool mend, bool json, FILE *out);
