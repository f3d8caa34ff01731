/* trace.h - the event store: written by the log role, read by `ekiden trace`
 * SPDX-License-Identifier: Apache-2.0
 *
 * A folder of append-only segments, oldest dropped first, so it is bounded.  Each record lies in a
 * frame with the role and pid that the log role knows (core/trace/segment.h has the format).  A
 * finished segment gets an index beside it: hash of a queue id, message id, address or event id to
 * the places of the records that name it.  The live segment's index is in the writer's memory alone;
 * a reader, or a writer that starts again, makes it anew from the records.
 *
 * One writer (a lock file sees to it), any number of readers, in other processes, at any time.  Nothing
 * here is synced: after power loss the last seconds may be missing, and what is damaged is passed over.
 */
#pragma once
#include "base/event.h"

/* ---- writing: the log role's loop thread --------------------------------------------------- */

typedef struct EkTraceWriter EkTraceWriter;

/* Makes the folder when it is missing (0750).  `size` bounds all files together, at least 1 MB. */
EkTraceWriter *ek_trace_writer_open (const char *folder, guint64 size, GError **error);
/* `packed` is the record that `record` was read from.  Kept in memory until the next flush. */
void           ek_trace_writer_add (EkTraceWriter *self, const EkRecord *record, const char *packed,
                                    gsize len, const char *role, gint64 pid);
/* Once a turn.  False when the disk took not all: what it did not take is dropped, and the next
 * flush tries a new segment. */
bool           ek_trace_writer_flush (EkTraceWriter *self, GError **error);
/* Holds from the next segment on. */
void           ek_trace_writer_resize (EkTraceWriter *self, guint64 size);
void           ek_trace_writer_close (EkTraceWriter *self);       /* flushes; NULL is fine */

/* ---- reading: anybody, may block ------------------------------------------------------------- */

typedef struct {                     /* strings live with the EkTrace */
  EkStr       packed;                /* for ek_trace_event_read() */
  gint64      time;                  /* the record's */
  const char *role;
  gint64      pid;
  guint64     segment;               /* where it lies */
  guint32     offset;
} EkTraceEvent;

void ek_trace_event_read (const EkTraceEvent *event, EkRecord *record);

typedef struct {
  EkStr   to;
  EkStr   word;                      /* sent, deferred, bounced: the latest of this recipient */
  EkStr   dsn, text;
  guint   attempts;
} EkTraceRcpt;

/* All that is known of one message, or of a session that made none. */
typedef struct {
  EkStr        qid;                  /* empty: no message came of it */
  EkStr        from, message_id;
  gint64       size;                 /* -1: not known */
  bool         removed;              /* the queue is done with it */
  GArray      *rcpts;                /* EkTraceRcpt */
  GPtrArray   *parents;              /* char *: queue ids of the messages it was made from */
} EkTraceMessage;

typedef struct {
  GArray *messages;                  /* EkTraceMessage, in the order they came */
  GArray *events;                    /* EkTraceEvent, in the order they happened */
} EkTraceStory;

typedef struct {
  GPtrArray *stories;                /* EkTraceStory *: messages that hang together, oldest first */
  bool       more;                   /* a limit was reached: there is more than this */
  EkPool    *pool;
} EkTrace;

typedef struct {
  guint  messages;                   /* at most so many queue ids, newest first; 0: 100 */
  guint  events;                     /* at most so many records in all; 0: 20,000 */
  gint64 since, until;               /* wall clock microseconds; 0: no limit */
} EkTraceLimits;

/* `what` is a queue id, event id, message id (with or without <>) or address.  OK with a trace; NOTFOUND
 * when nothing is known; FAIL when the folder cannot be read. */
EkStatus ek_trace_query (const char *folder, EkStr what, const EkTraceLimits *limits, EkTrace **trace,
                         GError **error);
void     ek_trace_free (EkTrace *trace);                   /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkTrace, ek_trace_free)
