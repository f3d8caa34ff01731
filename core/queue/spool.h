/* spool.h - the contract of a spool: where queue keeps what it has accepted
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of one message.  The edge asks for a transaction: queue takes an id (new_id), hands over
 * envelope and bytes (submit) and goes on with other work.  When they are durable the call completes
 * with EK_OK and only then may "250" be said: from now on the message survives power loss.  queue's
 * scheduler finds it (find), reads the bytes (content) and notes what came of it (record: attempt, done,
 * deferred, ...).  The last note retires it.  After a restart open()
 * tells of every message that is not retired, with the state of every recipient.
 *
 * Who calls, and where.  Everything here belongs to the queue role's loop thread and nothing blocks
 * there on a disk, but for open() and close(), which do.  A spool works on threads of its own; when it
 * has something for the loop it calls host->wake() from any thread, and the loop then calls
 * dispatch(), from which all completions run.  wake() may come more often than is needed, dispatch()
 * may be called at any time.
 *
 * What fails how.  An operation with an EkCall returns EK_PENDING and completes later, once; any other
 * answer is final and the call stays untouched.  EK_DEFER: the disk is full, sick or closing, 4xx to
 * the client.  EK_FAIL: never will (too large a record, nonsense from the caller).  call->error says
 * why.  A record() that ends with EK_DEFER is in effect in memory and still will be written when the
 * disk recovers, but is not durable: do not act on it.
 *
 * Order.  What one thread of control records becomes durable in that order: no record is durable
 * before an older one.  One record is atomic, with all its acts and child messages.
 */
#pragma once
#include "ekiden.h"

G_BEGIN_DECLS

/* ---- queue ids ------------------------------------------------------------------------------ */

/* 42 bits of milliseconds since 2020-01-01 UTC, 8 of node, 14 of counter.  0 is none.  Written as 16
 * upper-case hexadecimal digits.  A spool never gives one twice: its high-water mark is in the log. */
typedef guint64 EkQueueId;
#define EK_QUEUE_ID_LEN 16

void  ek_queue_id_text (EkQueueId id, char text[static EK_QUEUE_ID_LEN + 1]);
bool  ek_queue_id_parse (EkStr text, EkQueueId *id);   /* exactly 16 digits, either case; not 0 */
gint64 ek_queue_id_time (EkQueueId id);                /* wall microseconds since 1970 */

/* ---- envelopes ------------------------------------------------------------------------------ */

enum {                               /* EkSpoolMessage.flags */
  EK_MSG_8BIT     = 1 << 0,          /* BODY=8BITMIME */
  EK_MSG_BINARY   = 1 << 1,          /* BODY=BINARYMIME */
  EK_MSG_UTF8     = 1 << 2,          /* SMTPUTF8 */
  EK_MSG_RET_FULL = 1 << 3,          /* RFC 3461 RET= */
  EK_MSG_RET_HDRS = 1 << 4,
  EK_MSG_BOUNCE   = 1 << 5,          /* made here: a DSN */
  EK_MSG_LOCAL    = 1 << 6,          /* from sendmail(1) or made here, not from the net */
  EK_MSG_USER     = 1 << 16,         /* this and higher bits: the scheduler's */
};

enum {                               /* RFC 3461 NOTIFY=, 0: not given */
  EK_NOTIFY_NEVER = 1, EK_NOTIFY_SUCCESS = 2, EK_NOTIFY_FAILURE = 4, EK_NOTIFY_DELAY = 8,
};

/* What else is known of a message, by number; stored as opaque bytes, so a new one needs no new format. */
typedef enum {
  EK_ATTR_CLIENT_ADDRESS = 1, EK_ATTR_CLIENT_NAME, EK_ATTR_HELO, EK_ATTR_LOGIN, EK_ATTR_PROTOCOL,
  EK_ATTR_LISTENER, EK_ATTR_MESSAGE_ID, EK_ATTR_TLS, EK_ATTR_PARENT, EK_ATTR_USER = 128,
} EkSpoolAttr;

/* Appends one attribute (at most 65,535 bytes, cut there) to a list under construction. */
void  ek_spool_attr_add (EkBuf *attrs, EkSpoolAttr attr, EkStr value);
/* The value of the first such attribute; p is NULL when there is none.  Safe on any bytes. */
EkStr ek_spool_attr_find (EkStr attrs, EkSpoolAttr attr);

typedef struct EkSpool     EkSpool;
typedef struct EkSpoolFile EkSpoolFile;

typedef struct {                     /* a piece of a message under way to the spool */
  EkStr   bytes;                     /* p not NULL: these bytes */
  guint64 from, len;                 /* p NULL: this range of the large file (submit) or of the content
                                        as it is now (EK_ACT_EDIT) */
} EkSpoolExtent;

#define EK_SPOOL_INLINE_MAX (64 * 1024)   /* more bytes than this in one message belong in a file */

typedef struct {                     /* one recipient of a new message */
  EkStr  address;                    /* without <> */
  EkStr  orcpt;                      /* RFC 3461, as given; empty: none */
  guint8 notify;
} EkSpoolTo;

typedef struct {                     /* a new message; all of it borrowed, but for the file */
  EkQueueId            id;           /* from new_id() */
  EkEventId            event;
  gint64               arrival;      /* wall microseconds; 0: now */
  guint32              flags;
  EkStr                sender;       /* reverse-path; empty for <> */
  EkStr                envid;        /* RFC 3461; empty: none */
  EkStr                attrs;        /* of ek_spool_attr_add() */
  const EkSpoolTo     *to;
  guint                n_to;         /* at least 1 */
  const EkSpoolExtent *extents;      /* the content, in order; at most EK_SPOOL_INLINE_MAX of bytes */
  guint                n_extents;
  EkSpoolFile         *file;         /* what the file ranges mean, or NULL; taken, whatever is answered */
} EkSpoolNew;

/* ---- live messages -------------------------------------------------------------------------- */

typedef enum {
  EK_TO_WAITING,                     /* accepted, nothing was tried */
  EK_TO_TRYING,                      /* an attempt was cut short: what came of it is not known */
  EK_TO_DEFERRED,                    /* to be tried again at next_try */
  EK_TO_DONE,
  EK_TO_BOUNCED,                     /* given up; the bounce is durable */
} EkToState;

typedef struct {                     /* one recipient and what happened to it; read-only, strings live with it */
  EkStr       address, orcpt;
  guint8      notify;
  guint8      state;                 /* EkToState */
  bool        held;
  guint16     action;                /* of the last attempt */
  guint32     attempts;
  gint64      tried;                 /* wall microseconds written with the last attempt; 0: none; survives a requeue */
  gint64      next_try;              /* wall microseconds */
  const char *status;                /* text of the last deferral, bounce or hold, or NULL */
  const char *target;                /* of the last attempt, or NULL */
  const char *base;                  /* base name of the last attempt, or NULL */
  gpointer    user;                  /* the scheduler's; not stored */
} EkSpoolRcpt;

typedef struct {                     /* a plan: bytes that only the scheduler understands */
  guint32 rcpt;
  guint16 type;
  EkStr   bytes;
  guint8 *steps;                     /* bit i: step i is done */
  guint   n_steps;                   /* bits there */
} EkSpoolPlan;

typedef struct {                     /* one live message; the fields are read-only but for `user` */
  EkQueueId    id;
  EkEventId    event;
  gint64       arrival;              /* wall microseconds */
  guint64      size;                 /* bytes of the content as it is now */
  guint32      flags;
  guint16      crashes;              /* EK_ACT_CRASH so often */
  bool         large;                /* part of it lies in a file */
  EkStr        sender, envid, attrs;
  EkSpoolRcpt *rcpts;
  guint        n_rcpts;
  EkSpoolPlan *plans;
  guint        n_plans;
  gpointer     user;                 /* the scheduler's; not stored */
} EkSpoolMessage;

/* ---- what is recorded ----------------------------------------------------------------------- */

#define EK_TO_ALL G_MAXUINT32        /* for `rcpt`: every recipient that is neither done nor bounced */

typedef enum {
  EK_ACT_ATTEMPT = 1,                /* tried: text = target, base = base name, action; all may be left out.
                                        queue records it with what came of it, not before */
  EK_ACT_DONE,                       /* delivered: text = status */
  EK_ACT_DEFER,                      /* text = status, next_try */
  EK_ACT_BOUNCE,                     /* given up: text = status */
  EK_ACT_HOLD,                       /* text = reason */
  EK_ACT_RELEASE,                    /* no longer held */
  EK_ACT_REQUEUE,                    /* as if never tried; no outcome is forgotten that was final */
  EK_ACT_PLAN,                       /* text = bytes, action = type; replaces one of that rcpt and type */
  EK_ACT_STEP,                       /* step `step` of that plan (rcpt, action = type) is done */
  EK_ACT_CRASH,                      /* a worker died over this message */
  EK_ACT_EDIT,                       /* extents: the content from now on */
  EK_ACT_RETIRE,                     /* the message is wholly done; the last act of a record.
                                        An operator's delete is a retirement too: text = who */
} EkSpoolActType;

typedef struct {
  EkSpoolActType       type;
  guint32              rcpt;         /* ordinal in rcpts or EK_TO_ALL */
  guint16              action;       /* action number of a base name; type of a plan */
  guint16              step;         /* below 4096 */
  gint64               next_try;
  EkStr                text, base;
  const EkSpoolExtent *extents;      /* of EK_ACT_EDIT: ranges of the content as it is, and new bytes */
  guint                n_extents;
} EkSpoolAct;

/* Header edits are extents too: to prepend H to a content of n bytes: { H, range 0..n }; to take out
 * a..b: { range 0..a, range b..n }.  New bytes of one edit: at most EK_SPOOL_INLINE_MAX. */

/* ---- reading back --------------------------------------------------------------------------- */

typedef struct {                     /* a piece of a content */
  EkStr   bytes;                     /* p not NULL: here they are */
  guint64 from, len;                 /* p NULL: a range of `fd` */
} EkSpoolPart;

typedef struct {                     /* zero it before the call; stays valid until content_release() */
  EkSpoolPart *parts;
  guint        n_parts;
  int          fd;                   /* read-only, shared: use pread or pass it on; -1: no large file */
  gpointer     hold[2];              /* the spool's own */
} EkSpoolContent;

/* ---- state of the spool --------------------------------------------------------------------- */

typedef enum { EK_SPOOL_OK, EK_SPOOL_FULL, EK_SPOOL_SICK, EK_SPOOL_CLOSING } EkSpoolHealth;

typedef struct {                     /* counters since open(), and how it is now */
  EkSpoolHealth health;
  char          why[256];            /* of FULL and SICK, with the path */
  guint64       messages;            /* live */
  guint64       submitted, retired, records, syncs, cold_syncs, checkpoints, moved, failed_syncs;
  guint64       retained_bytes;      /* contents in memory */
  guint         hot_segments, cold_segments, spare_segments;
  guint64       free_bytes;          /* what new mail may still take */
  guint64       torn_bytes, quarantined;   /* found by open() and later */
} EkSpoolStatus;

typedef struct {                     /* what a spool asks of its owner; copied by open() */
  gpointer user;
  void   (*wake) (gpointer user);    /* any thread: have dispatch() called on the loop soon */
  /* Loop thread or within open(): one line for the log, already complete.  EK_ERR is an alarm. */
  void   (*report) (gpointer user, EkLevel level, const char *text);
  /* Within open(), once for each live message, by rising id. */
  void   (*live) (gpointer user, EkSpoolMessage *message);
  guint64  message_size_limit;       /* accepting() keeps room for 1.5 times this */
  guint    node;                     /* 0..255, for queue ids */
} EkSpoolHost;

typedef struct EkSpoolCursor EkSpoolCursor;

struct EkSpoolOps {
  /* Locks the spool, replays it (both block) and starts its threads.  NULL: it is locked by another
   * process, written by a newer version, not ours to write ...; damage is no reason: it is
   * quarantined and reported, and the rest goes on. */
  EkSpool       *(*open) (EkInstance *self, const EkSpoolHost *host, GError **error);
  /* Makes durable what was recorded, completes all calls (from within), frees all.  Blocks. */
  void           (*close) (EkSpool *spool);
  void           (*dispatch) (EkSpool *spool);

  EkQueueId      (*new_id) (EkSpool *spool);
  /* May MAIL be answered with 250?  If not, `why` (unless NULL) is a text to log; say 452 4.3.1. */
  bool           (*accepting) (EkSpool *spool, const char **why);
  void           (*status) (EkSpool *spool, EkSpoolStatus *status);

  /* OK: durable, find() has it. */
  EkStatus       (*submit) (EkSpool *spool, EkCall *call, const EkSpoolNew *message);
  /* One atomic record on one live message, with the messages that come of it.  It is in effect when
   * this returns; children are found (and may be acted on) once it is durable.  `call` NULL: lazy,
   * the record is handed to the kernel at once and synced within 50 ms; answers are then EK_OK and
   * EK_FAIL alone.  After EK_ACT_RETIRE `message` is gone. */
  EkStatus       (*record) (EkSpool *spool, EkCall *call, EkSpoolMessage *message,
                            const EkSpoolAct *acts, guint n_acts,
                            const EkSpoolNew *children, guint n_children);

  /* PENDING, then OK when all that was recorded before is durable; asks for no sync of its own, so within 50 ms.
   * DEFER: it is not yet. */
  EkStatus       (*barrier) (EkSpool *spool, EkCall *call);

  /* A large file under construction.  append() copies; it answers how many bytes wait for the disk
   * (stop reading from the edge above a megabyte; dispatch() runs `drained` when they fell below a
   * quarter of that).  A write that failed shows at submit.  free() throws it away (NULL is fine). */
  EkSpoolFile   *(*file_new) (EkSpool *spool, EkQueueId id, void (*drained) (gpointer), gpointer user);
  gsize          (*file_append) (EkSpoolFile *file, const void *bytes, gsize len);
  void           (*file_free) (EkSpoolFile *file);
  /* The large file of a live message under another id, without copying: for child messages. */
  EkSpoolFile   *(*file_share) (EkSpool *spool, EkQueueId id, EkSpoolMessage *of);
  /* PENDING, then OK when file and folder are synced.  submit() does that by itself; the files of
   * child messages must have come so far before record(). */
  EkStatus       (*file_sync) (EkSpoolFile *file, EkCall *call);

  /* The content as it is now: OK at once when it is in memory, else PENDING.  Valid even when the
   * message is retired meanwhile.  FAIL: the bytes are damaged (quarantined and reported): hold it. */
  EkStatus       (*content) (EkSpool *spool, EkCall *call, EkSpoolMessage *message, EkSpoolContent *content);
  void           (*content_release) (EkSpool *spool, EkSpoolContent *content);

  EkSpoolMessage *(*find) (EkSpool *spool, EkQueueId id);
  /* Walks over the live messages by rising id, a few at a time; messages may come and go between. */
  EkSpoolCursor *(*cursor_new) (EkSpool *spool, EkQueueId from);
  EkSpoolMessage *(*cursor_next) (EkSpoolCursor *cursor);      /* NULL: the end */
  void           (*cursor_free) (EkSpoolCursor *cursor);
};

G_END_DECLS
