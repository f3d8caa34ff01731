/* act.c - what an act does to a message: the same code while running and in replay
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"

#define TEXT_MAX 4096u

static const char *
act_fault (const Message *message, const EkSpoolAct *act, bool last)
{
  if (act->type < EK_ACT_ATTEMPT || act->type > EK_ACT_RETIRE)
    return "unknown act";
  if (act->rcpt != EK_TO_ALL && act->rcpt >= message->pub.n_rcpts)
    return "no such recipient";
  if (act->type == EK_ACT_RETIRE && !last)
    return "an act after the retirement";
  if (act->type == EK_ACT_STEP && act->step >= SPOOL_STEPS_MAX)
    return "step too large";
  if (act->type == EK_ACT_PLAN ? act->text.n > SPOOL_META_MAX / 4 : act->text.n > TEXT_MAX)
    return "text too long";
  if (act->base.n > TEXT_MAX)
    return "base name too long";
  if (act->type != EK_ACT_EDIT)
    return act->n_extents ? "extents in an act that is no edit" : NULL;
  gsize bytes = 0;
  if (act->n_extents > SPOOL_EXTENTS_MAX)
    return "too many extents";
  for (guint i = 0; i < act->n_extents; i++) {
    const EkSpoolExtent *extent = &act->extents[i];
    if (extent->bytes.p)
      bytes += extent->bytes.n;
    else if (extent->from > message->pub.size || extent->len > message->pub.size - extent->from)
      return "a range outside the content";
  }
  return bytes > EK_SPOOL_INLINE_MAX ? "too many new bytes" : NULL;
}

const char *
acts_fault (const Message *message, const EkSpoolAct *acts, guint n)
{
  const char *fault = n == 0 ? "no act" : NULL;
  guint edits = 0;

  for (guint i = 0; i < n && fault == NULL; i++) {
    fault = act_fault (message, &acts[i], i + 1 == n);
    edits += acts[i].type == EK_ACT_EDIT;
  }
  return edits > 1 && fault == NULL ? "two edits in one record" : fault;
}

/* ---- edits -------------------------------------------------------------------------------------- */

/* Adds what the range [from, from + len) of the old extents consists of. */
static void
add_range (GArray *to, const Extent *old, guint n_old, guint64 from, guint64 len)
{
  guint64 at = 0;

  for (guint i = 0; i < n_old && len > 0; at += old[i].len, i++) {
    if (from >= at + old[i].len)
      continue;
    guint64 skip = from - at, n = MIN (old[i].len - skip, len);
    Extent extent = old[i];
    extent.from += skip;
    extent.len = n;
    if (extent.edit)
      block_ref (extent.edit);
    g_array_append_val (to, extent);
    from += n;
    len -= n;
  }
}

static void
extents_edit (Extent **extents, guint *n_extents, const Extent *within, const EkSpoolAct *act, Block *bytes)
{
  g_autoptr (GArray) to = g_array_new (FALSE, FALSE, sizeof (Extent));
  guint64 at = 0;

  for (guint i = 0; i < act->n_extents; i++) {
    const EkSpoolExtent *extent = &act->extents[i];
    if (extent->bytes.p == NULL)
      add_range (to, *extents, *n_extents, extent->from, extent->len);
    else if (extent->bytes.n > 0) {
      Extent new = { EXT_RANGE, at, extent->bytes.n, block_ref (bytes) };
      g_array_append_val (to, new);
      at += extent->bytes.n;
    }
  }
  extents_free (*extents, *n_extents, within);
  *n_extents = to->len;
  *extents = (Extent *) (void *) g_array_free (g_steal_pointer (&to), FALSE);
}

static void
edit (Message *message, const EkSpoolAct *act)
{
  gsize n = 0;

  for (guint i = 0; i < act->n_extents; i++)
    n += act->extents[i].bytes.p ? act->extents[i].bytes.n : 0;
  Block *bytes = block_new (n);
  n = 0;
  for (guint i = 0; i < act->n_extents; i++)
    if (act->extents[i].bytes.p) {
      memcpy (bytes->bytes + n, act->extents[i].bytes.p, act->extents[i].bytes.n);
      n += act->extents[i].bytes.n;
    }
  extents_edit (&message->extents, &message->n_extents, &message->extent1, act, bytes);
  if (message->snap)                             /* a copy is under way: it is edited too */
    extents_edit (&message->snap, &message->n_snap, NULL, act, bytes);
  message->pub.size = 0;
  for (guint i = 0; i < message->n_extents; i++)
    message->pub.size += message->extents[i].len;
  message->edited = message->edited_next = true;
  block_unref (bytes);
}

/* ---- recipients --------------------------------------------------------------------------------- */

static void
rcpt_apply (EkSpoolRcpt *rcpt, const EkSpoolAct *act, gint64 wall)
{
  switch (act->type) {
  case EK_ACT_ATTEMPT:
    rcpt->state = EK_TO_TRYING;
    rcpt->attempts++;
    rcpt->action = act->action;
    rcpt->tried = wall;
    text_set (&rcpt->target, act->text);
    text_set (&rcpt->base, act->base);
    break;
  case EK_ACT_DONE:
    rcpt->state = EK_TO_DONE;
    text_set (&rcpt->status, act->text);
    break;
  case EK_ACT_DEFER:
    rcpt->state = EK_TO_DEFERRED;
    rcpt->next_try = act->next_try;
    text_set (&rcpt->status, act->text);
    break;
  case EK_ACT_BOUNCE:
    rcpt->state = EK_TO_BOUNCED;
    text_set (&rcpt->status, act->text);
    break;
  case EK_ACT_HOLD:
    rcpt->held = true;
    text_set (&rcpt->status, act->text);
    break;
  case EK_ACT_RELEASE:
    rcpt->held = false;
    break;
  case EK_ACT_REQUEUE:
    rcpt->state = EK_TO_WAITING;
    rcpt->attempts = 0;
    rcpt->next_try = 0;
    rcpt->held = false;
    text_set (&rcpt->status, (EkStr) { NULL, 0 });
    break;
  default:
    break;
  }
}

static void
step (Message *message, const EkSpoolAct *act)
{
  EkSpoolPlan *plan = plan_find (message, act->rcpt, act->action, false);

  if (plan == NULL)
    return;
  if (act->step >= plan->n_steps) {
    guint n = (act->step / 8u + 1) * 8;
    plan->steps = g_realloc (plan->steps, n / 8);
    memset (plan->steps + plan->n_steps / 8, 0, (n - plan->n_steps) / 8);
    plan->n_steps = n;
  }
  plan->steps[act->step / 8] |= (guint8) (1u << act->step % 8);
}

/* The act has passed acts_fault().  EK_ACT_RETIRE is the caller's. */
void
act_apply (Message *message, const EkSpoolAct *act, gint64 wall)
{
  EkSpoolMessage *pub = &message->pub;

  switch (act->type) {
  case EK_ACT_PLAN:
    plan_set (plan_find (message, act->rcpt, act->action, true), act->text, (EkStr) { NULL, 0 });
    break;
  case EK_ACT_STEP:
    step (message, act);
    break;
  case EK_ACT_CRASH:
    pub->crashes += pub->crashes < G_MAXUINT16;
    break;
  case EK_ACT_EDIT:
    edit (message, act);
    break;
  case EK_ACT_RETIRE:
    break;
  default:
    if (act->rcpt != EK_TO_ALL)
      rcpt_apply (&pub->rcpts[act->rcpt], act, wall);
    else
      for (guint i = 0; i < pub->n_rcpts; i++)
        if (pub->rcpts[i].state != EK_TO_DONE && pub->rcpts[i].state != EK_TO_BOUNCED)
          rcpt_apply (&pub->rcpts[i], act, wall);
  }
}
