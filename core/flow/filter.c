/* filter.c - asks a listener's filters in order, evented or not, and gives one verdict
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow/filter.h"
#include "module/generation.h"

struct EkFilterAsk {                 /* one filter's call; outlives the session if it must */
  EkCall      call;
  EkReply     reply;
  EkFilters  *filters;
  EkInstance *self;
  bool        returned;              /* from at(): an answer comes from outside now */
  bool        answered;              /* within at() already */
  EkVerdict   verdict;
};

static void next (EkFilters *self);

static bool
wants (const EkInstance *filter, EkStage stage)
{
  return filter->module && filter->module->filter && filter->module->filter->at[stage];
}

bool
ek_filters_want (EkInstance *const *list, EkStage stage)
{
  for (; list && *list; list++)
    if (wants (*list, stage))
      return true;
  return false;
}

static void
ask_free (struct EkFilterAsk *ask)
{
  g_clear_error (&ask->call.error);
  ek_pool_free (ask->call.pool);
  g_free (ask);
}

static void
end (EkFilters *self, EkVerdict verdict, const EkReply *reply, EkInstance *by)
{
  self->running = false;
  self->func (verdict, reply, by, self->data);
}

static void
decided (struct EkFilterAsk *ask)
{
  EkFilters *self = ask->filters;
  EkInstance *by = ask->self;
  guint64 bit = (guint64) 1 << (self->at % EK_FILTERS_MAX);

  self->ask = NULL;
  if (ask->call.error)
    ek_event (self->component, self->mail->event, "filter-failed", EK_FTEXT ("filter", by->name),
              EK_FTEXT ("reason", ask->call.error->message));
  if (ask->verdict == EK_ACCEPT && self->stage <= EK_AT_AUTH)
    self->accepted_all |= bit;
  else if (ask->verdict == EK_ACCEPT)
    self->accepted_message |= bit;
  else if (ask->verdict == EK_HOLD)
    self->hold = true;
  EkVerdict verdict = ask->call.cancelled ? EK_DISCARD : ask->verdict;     /* the others are not asked: nobody listens */
  EkReply reply = ask->reply;
  ask_free (ask);
  self->at++;
  if (verdict == EK_REJECT || verdict == EK_TEMPFAIL || verdict == EK_DISCARD)
    end (self, verdict, &reply, by);
  else
    next (self);
  ek_generation_unref (ek_instance_generation (by));
}

static void
done (EkCall *call, EkStatus status, gpointer user)
{
  struct EkFilterAsk *ask = user;

  ask->verdict = (EkVerdict) status;
  if (!ask->returned)
    ask->answered = true;
  else
    decided (ask);
}

/* Asks on until one must be waited for or the list ends.  One that answers at once does not deepen the stack
 * by more than itself: lists are short. */
static void
next (EkFilters *self)
{
  static const EkReply none;
  EkInstance *filter;

  for (; (filter = self->at < EK_FILTERS_MAX ? self->list[self->at] : NULL); self->at++)
    if (wants (filter, self->stage) && !((self->accepted_all | self->accepted_message) >> self->at & 1))
      break;
  if (filter == NULL) {
    end (self, EK_CONTINUE, &none, NULL);
    return;
  }
  struct EkFilterAsk *ask = g_new0 (struct EkFilterAsk, 1);
  ask->call = (EkCall) { .pool = ek_pool_new (), .done = done, .user = ask };
  ask->filters = self;
  ask->self = filter;
  ek_generation_ref (ek_instance_generation (filter));      /* the session may end before it has answered */
  self->ask = ask;
  EkVerdict verdict = filter->module->filter->at[self->stage] (filter, &ask->call, self->mail, &ask->reply);
  ask->returned = true;
  if (verdict != EK_VERDICT_PENDING || ask->answered) {
    ask->verdict = ask->answered ? ask->verdict : verdict;
    decided (ask);
  }
}

bool
ek_filters_run (EkFilters *self, EkInstance *const *list, EkStage stage, const EkMail *mail, const char *component,
                EkFilterFunc func, gpointer data)
{
  if (!ek_filters_want (list, stage))
    return false;
  g_assert (!self->running);
  self->list = list;
  self->stage = stage;
  self->mail = mail;
  self->component = component;
  self->func = func;
  self->data = data;
  self->at = 0;
  self->running = true;
  next (self);
  return true;
}

void
ek_filters_cancel (EkFilters *self)
{
  if (self->ask)
    ek_call_cancel (&self->ask->call);
}

void
ek_filters_next_message (EkFilters *self)
{
  self->accepted_message = 0;
  self->hold = false;
}
