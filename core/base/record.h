/* record.h - one log record: packed by the process that logs, read by the log role and `ekiden trace`
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record names its component, word and keys as text, so that a record of another build, in a pipe
 * or in the event store, can always be read.  Little endian:
 *
 *    0  u8   0xEB                 1  u8   version, 1
 *    2  u16  length of the whole record, at most EK_RECORD_MAX
 *    4  i64  microseconds since 1970
 *   12  u64  event id, 0: none
 *   20  u8   level               21  u8   number of fields
 *   22  u8   length of component 23  u8   length of word
 *   24  component, word, then each field:
 *         u8   type << 5 | length of the key, then the key
 *         EK_F_STR   u16 length, top bit: the value was cut; then the bytes
 *         EK_F_INT, EK_F_TIME   zigzag LEB128
 */
#pragma once
#include "ekiden.h"

enum {
  EK_RECORD_MAX    = 4096,           /* octets of a packed record */
  EK_RECORD_HEAD   = 24,
  EK_RECORD_FIELDS = 40,             /* more are left out */
  EK_RECORD_NAME   = 31,             /* octets of a component, word or key */
};

typedef struct {
  EkStr  key;
  int    type;                       /* EK_F_STR, EK_F_INT, EK_F_TIME */
  bool   cut;                        /* the value was longer */
  EkStr  str;
  gint64 num;
} EkRecordField;

typedef struct {                     /* strings are borrowed from the packed bytes */
  gint64        time;                /* wall clock microseconds */
  EkEventId     id;
  EkLevel       level;
  EkStr         component;           /* empty: the role's own name */
  EkStr         word;
  guint         n_fields;
  EkRecordField fields[EK_RECORD_FIELDS];
} EkRecord;

/* Packs into `out`, which has EK_RECORD_MAX octets; returns the length.  Never fails: long values
 * are cut (at a UTF-8 boundary) until all fields fit. */
gsize ek_record_pack (char *out, gint64 time, EkEventId id, EkLevel level, const char *component,
                      const char *word, const EkField *fields);

/* Reads one record at the front of `bytes`.  Returns its length; 0: more bytes are needed; -1: this
 * is no record.  Believes nothing. */
gssize ek_record_read (const char *bytes, gsize len, EkRecord *record);

/* Changes the time of a packed record. */
void ek_record_set_time (char *packed, gint64 time);

/* The field or NULL. */
const EkRecordField *ek_record_find (const EkRecord *record, const char *key);
