/* filter.h - asks a listener's filters in order, evented or not, and gives one verdict
 * SPDX-License-Identifier: Apache-2.0
 *
 * One EkFilters for each connection.  ek_filters_run() asks each filter that has something to say at
 * the stage, first to last:
 *   CONTINUE   the next one is asked
 *   ACCEPT     this filter is not asked again: at connect, helo, auth for the whole connection, later for the message
 *   HOLD       remembered, the next one is asked
 *   DISCARD, REJECT, TEMPFAIL   end it
 * A filter that fails returns the verdict that it wants beside its error, which is logged here: failing open or
 * closed is an option of the filter, not of the core.
 *
 * Loop thread.  `mail` and what it points to must live until `func` has run, which it does exactly once
 * for each ek_filters_run() that returned true: when the client leaves meanwhile the caller says
 * ek_filters_cancel(), keeps things alive, and ignores the verdict.
 */
#pragma once
#include "base/base.h"

#define EK_FILTERS_MAX 64

typedef struct EkFilters EkFilters;

/* `by`: who ended it, NULL when nobody did.  reply->code 0: the filter named none. */
typedef void (*EkFilterFunc) (EkVerdict verdict, const EkReply *reply, EkInstance *by, gpointer data);

struct EkFilters {                   /* zero-initialise; read hold, leave the rest alone */
  bool         hold;                 /* a filter wants this message held; cleared by the caller */
  bool         running;
  EkInstance *const *list;           /* NULL-terminated */
  guint64      accepted_all, accepted_message;
  guint        at;
  EkStage      stage;
  const EkMail *mail;
  const char  *component;
  struct EkFilterAsk *ask;
  EkFilterFunc func;
  gpointer     data;
};

/* Is any filter interested in that stage? */
bool ek_filters_want (EkInstance *const *list, EkStage stage);
/* False: no filter is interested, func will not run.  True: func has run already, or will.
 * `component` speaks in the log. */
bool ek_filters_run (EkFilters *self, EkInstance *const *list, EkStage stage, const EkMail *mail, const char *component,
                     EkFilterFunc func, gpointer data);
void ek_filters_cancel (EkFilters *self);
/* A new message begins: what accepted the last one is asked again. */
void ek_filters_next_message (EkFilters *self);
