/* story.h - records that were found, sorted into stories
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "trace/trace.h"
#include "trace/reader.h"

typedef struct {
  GArray *events;                    /* EkTraceEvent, in any order */
  EkPool *pool;
} EkTraceGraph;

/* Messages that name each other, or share a Message-ID, become one story; what belongs to a session
 * goes to each story that has a message of that session, and to one of its own when there is none.
 * Appends to `stories`. */
void ek_trace_tell (const EkTraceGraph *graph, GPtrArray *stories);
