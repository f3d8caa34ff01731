/* segment.h - the files of the event store: frames of records, and the index of a finished segment
 * SPDX-License-Identifier: Apache-2.0
 *
 * Little endian.  NNNNNNNNNNNNNNNN.ev (16 hexadecimal digits, counting up) is a segment:
 *
 *    0  "EKEVENTS"    8  u32 version, 1    12  u32 zero    16  u64 number    24  i64 made at
 *   32  frames, each
 *          0  u32 0x56654b45    4  u16 length of what follows the head    6  u8 length of the role
 *          7  u8 zero           8  u32 pid                               12  u32 CRC-32C of all else
 *         16  role, then the record of base/record.h
 *
 * NNNNNNNNNNNNNNNN.ix is its index, written when the segment is finished:
 *
 *    0  "EKEVINDX"    8  u32 version, 1    12  u32 bits    16  u64 number    24  u64 entries
 *   32  i64 first time      40  i64 last time      48  u64 octets of the segment    56  u64 zero
 *   64  u32 starts[2^bits + 1]: bucket b has the entries starts[b] up to starts[b + 1]
 *       entries: u32 low half of the hash, u32 offset of the frame.  The bucket is the hash's top bits.
 *
 * Whatever is read is checked: lengths, CRC, offsets.  An index that makes no sense is ignored and the
 * segment read instead; an index entry is only a hint, the record itself decides.
 */
#pragma once
#include "base/event.h"

enum {
  EK_SEGMENT_HEAD = 32,
  EK_FRAME_HEAD   = 16,
  EK_FRAME_MAX    = EK_FRAME_HEAD + EK_RECORD_NAME + EK_RECORD_MAX,
  EK_INDEX_HEAD   = 64,
};
#define EK_SEGMENT_MAX (64u * 1024 * 1024)       /* no segment is larger */

/* ---- keys ---- */

typedef enum { EK_TRACE_EVENT = 'E', EK_TRACE_QID = 'Q', EK_TRACE_MSGID = 'M', EK_TRACE_ADDRESS = 'A' } EkTraceKind;

/* Queue ids and addresses in any case, message ids with or without <>, give the same hash. */
guint64 ek_trace_hash (EkTraceKind kind, EkStr value);
guint64 ek_trace_hash_event (EkEventId id);
/* Which kind of key a field is; 0: none. */
EkTraceKind ek_trace_kind (const EkRecordField *field);
/* Whether two values are the same key. */
bool    ek_trace_same (EkTraceKind kind, EkStr a, EkStr b);

/* ---- the index in memory ---- */

typedef struct { guint64 hash; guint32 offset; } EkTraceEntry;

typedef struct {
  GArray *entries;                   /* EkTraceEntry */
  gint64  first, last;               /* times of the records */
} EkTraceIndex;

void ek_trace_index_init (EkTraceIndex *index);
void ek_trace_index_clear (EkTraceIndex *index);           /* frees */
void ek_trace_index_add (EkTraceIndex *index, const EkRecord *record, guint32 offset);
/* The whole .ix file.  The entries are left in any order. */
void ek_trace_index_write (const EkTraceIndex *index, guint64 number, guint64 segment_size, EkBuf *out);

/* ---- frames ---- */

void ek_segment_head (char out[EK_SEGMENT_HEAD], guint64 number, gint64 now);
/* Appends a frame to `out`. */
void ek_frame_append (EkBuf *out, const char *packed, gsize len, const char *role, gint64 pid);

typedef struct {
  EkRecord record;
  EkStr    role;
  gint64   pid;
} EkFrame;

/* Reads the frame at the front.  Its length; 0: more octets are needed; -1: this is no good frame. */
gssize ek_frame_read (const char *bytes, gsize len, EkFrame *frame);

/* Calls func for each good frame of an open segment, in order, passing over damage.  Gives the end of
 * the last good frame in *end.  False when this is no segment of ours at all.  `func` returns false to
 * stop. */
typedef bool (*EkFrameFunc) (const EkFrame *frame, guint32 offset, gpointer data);
bool ek_segment_scan (int fd, guint64 number, EkFrameFunc func, gpointer data, guint32 *end);

/* ---- names and folders ---- */

char *ek_segment_path (const char *folder, guint64 number, const char *ending);    /* "ev", "ix" */
/* The numbers of the segments in the folder, ascending (guint64); NULL with error. */
GArray *ek_segment_list (const char *folder, GError **error);
