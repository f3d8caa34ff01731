/* reader.h - looking keys up in the segments of an event store
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "trace/segment.h"

typedef struct {
  EkTraceKind kind;
  EkStr       value;                 /* not for EK_TRACE_EVENT */
  EkEventId   id;                    /* EK_TRACE_EVENT */
  guint64     hash;
  bool        direct;                /* it is what the user asked for */
} EkTraceKey;

typedef struct EkTraceReader EkTraceReader;

/* The segments that are there now. */
EkTraceReader *ek_trace_reader_open (const char *folder, GError **error);
void           ek_trace_reader_close (EkTraceReader *self);     /* NULL is fine */

/* Calls func for each record that has one of the keys: newest segment first, in each the keys in turn,
 * for each the newest record first.  `packed` is borrowed.  A record may come more than once. */
typedef void (*EkTraceHit) (const EkTraceKey *key, const EkFrame *frame, EkStr packed, guint64 segment,
                            guint32 offset, gpointer data);
void ek_trace_reader_look (EkTraceReader *self, const EkTraceKey *keys, guint n_keys, EkTraceHit func,
                           gpointer data);
