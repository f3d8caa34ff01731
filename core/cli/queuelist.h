/* queuelist.h - reads the running server's queue page by page, and prints it as mailq(1) does
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "cli/answer.h"
#include "cli/control.h"

/* Gets each message: its JSON line (without LF) and the same parsed; both live until it returns. */
typedef void (*EkQueueEach) (EkStr line, const EkAnswerValue *message, gpointer data);

/* Asks VERB [TARGET] until the server names no next page, and calls `func` for each line but those that name it.
 * False and *error. */
bool ek_queue_pages (const EkControlPlaces *places, const char *verb, const char *target, EkQueueEach func, gpointer data,
                     GError **error);

/* What mailq prints: Postfix's columns for long queue ids. */
typedef struct {
  guint64     messages, bytes;
  const char *only;                  /* NULL, or an id, a state (active, hold, deferred), or a pattern for addresses */
} EkMailq;
void ek_mailq_message (EkMailq *self, const EkAnswerValue *message, EkBuf *out);
void ek_mailq_end (const EkMailq *self, EkBuf *out);
bool ek_mailq_wants (const EkMailq *self, const EkAnswerValue *message);
