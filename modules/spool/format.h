/* format.h - what lies on the disk: the words of docs/formats.md as C
 * SPDX-License-Identifier: Apache-2.0
 *
 * All numbers are in the byte order that the segment's header states; all of it is checked before it
 * is believed: the reader here is the fuzzer's door too.
 */
#pragma once
#include "base/base.h"
#include "queue/spool.h"

#define SPOOL_VERSION   1
#define SPOOL_ORDER     0x01020304u
#define SPOOL_ALIGN     64u
#define SPOOL_FIRST     4096u                    /* records lie in [SPOOL_FIRST, size - SPOOL_FIRST) */
#define SPOOL_SIZE_MIN  (192u * 1024)
#define SPOOL_SIZE_MAX  (1024u * 1024 * 1024)
#define SPOOL_MAGIC     "EKSPOOL\n"
#define SPOOL_REC_MAGIC 0x31524b45u              /* "EKR1" where low bytes come first */
#define SPOOL_META_MAX  (16u * 1024 * 1024)
#define SPOOL_STEPS_MAX 4096u
#define SPOOL_EXTENTS_MAX 4096u
#define SPOOL_NULL      0xffffffffu              /* the length of a string that is not there */

typedef enum { SEG_FREE, SEG_HOT, SEG_COLD } SegKind;

/* At the start of a segment and again in its last SPOOL_FIRST bytes.  Bytes 0..19 mean the same in all
 * versions. */
typedef struct {
  char    magic[8];
  guint32 order, version;
  guint32 crc;                       /* CRC-32C of these 64 bytes with this field 0 */
  guint32 kind;
  guint64 seq;                       /* rises with each use of any segment */
  guint64 size;
  guint32 salt;                      /* what the CRCs of this segment's records start from */
  guint32 pad;
  gint64  made;                      /* wall microseconds */
  guint64 pad2;
} SegHead;
G_STATIC_ASSERT (sizeof (SegHead) == 64);

typedef enum {
  REC_NONE,                          /* never on disk: a barrier in the queue of records */
  REC_OPEN,                          /* first of a segment: where the one before ends */
  REC_MARK,                          /* queue ids below it may have been given */
  REC_SUBMIT,                        /* a message */
  REC_ACTS,                          /* acts on a message, with child messages */
  REC_ABORT,                         /* these were not accepted, whatever lies in a failed segment */
  REC_SNAP,                          /* cold: a message with all its states */
  REC_STATES,                        /* cold: the states of a message that lies in the cold log */
  REC_TOMB,                          /* cold: these messages are retired */
  REC_PAD,                           /* covers damage that was quarantined */
  REC_N_TYPES
} RecType;

/* In front of each record, at a multiple of SPOOL_ALIGN; meta and body follow, then zeros. */
typedef struct {
  guint32 magic;
  guint32 crc;                       /* of the bytes from lsn on and of meta, from the salt */
  guint64 lsn;                       /* rises within a log; gaps are no error */
  guint64 id;                        /* the message, or 0 */
  guint64 synced;                    /* highest LSN of this log that was durable when this was written */
  gint64  wall;                      /* microseconds since 1970 */
  guint32 meta_len, body_len;
  guint32 body_crc;                  /* from the salt; 0 without a body */
  guint16 type;
  guint16 flags;                     /* 0 */
  guint64 seq;                       /* of the segment */
} RecHead;
G_STATIC_ASSERT (sizeof (RecHead) == 64);

static inline guint64
rec_size (guint64 meta_len, guint64 body_len)
{
  return (sizeof (RecHead) + meta_len + body_len + SPOOL_ALIGN - 1) & ~(guint64) (SPOOL_ALIGN - 1);
}

void    seg_head_seal (SegHead *head);                         /* magic, order, version, crc */
typedef enum { HEAD_OK, HEAD_EMPTY, HEAD_BAD, HEAD_NEWER, HEAD_ORDER } HeadState;
HeadState seg_head_check (const SegHead *head);

guint32 rec_crc (const RecHead *head, guint32 salt, const void *meta);

/* ---- writing and reading packed fields -------------------------------------------------------- */

typedef struct { char *p, *end; } Wr;            /* made large enough before; checked all the same */
typedef struct { const char *p, *end; bool bad; } Rd;   /* after the first fault all reads give 0 */

void   wr_bytes (Wr *w, const void *bytes, gsize n);
void   wr_str (Wr *w, EkStr s);                  /* 4 bytes of length, bytes */
void   wr_text (Wr *w, const char *text);        /* NULL is written as SPOOL_NULL */
static inline gsize wr_text_size (const char *text) { return 4 + (text ? strlen (text) : 0); }

const char *rd_bytes (Rd *r, gsize n);           /* NULL when there are fewer */
EkStr  rd_str (Rd *r);
bool   rd_count (Rd *r, guint32 *count, gsize each);   /* a count whose items, `each` bytes at least, can be there */

#define NUMBER_(type_, name_)                                                                    \
  static inline void wr_##name_ (Wr *w, type_ v) { wr_bytes (w, &v, sizeof v); }                 \
  static inline type_ rd_##name_ (Rd *r)                                                         \
  { type_ v = 0; const char *p = rd_bytes (r, sizeof v); if (p) memcpy (&v, p, sizeof v); return v; }
#include <string.h>
NUMBER_ (guint8, u8)
NUMBER_ (guint16, u16)
NUMBER_ (guint32, u32)
NUMBER_ (guint64, u64)
NUMBER_ (gint64, i64)
#undef NUMBER_

enum { EXT_BODY, EXT_FILE, EXT_RANGE };          /* kinds of extents on disk */

/* One reader for what describes a message, and one for a list of acts. */
typedef struct {
  guint64 id, event;
  gint64  arrival;
  guint32 flags, n_to, n_extents;
  EkStr   sender, envid, attrs;
  const char *to, *extents;          /* checked; read on with msg_to() and msg_extent() */
} MsgMeta;
gsize   msg_meta_size (const EkSpoolNew *message);
/* `body_at` is where the bytes of this message start in the record's body; moved on. */
void    msg_meta_write (Wr *w, const EkSpoolNew *message, guint64 *body_at);
bool    msg_meta_read (Rd *r, MsgMeta *meta, guint64 body_len);

gsize   acts_size (const EkSpoolAct *acts, guint n_acts);
void    acts_write (Wr *w, const EkSpoolAct *acts, guint n_acts, guint64 *body_at);
/* Reads n acts into the pool; extents with bytes point into `body`. */
EkSpoolAct *acts_read (Rd *r, EkPool *pool, guint32 n_acts, EkStr body);
