/* message.c - live messages in memory: the table, the list, what is retained, states on disk
 * SPDX-License-Identifier: Apache-2.0
 */
#include "impl.h"

struct EkSpoolCursor {
  EkSpool       *spool;
  EkSpoolCursor *next;
  Message       *at;
};

Block *
block_new (guint64 n)
{
  Block *block = g_malloc (sizeof (Block) + n);

  block->refs = 1;
  block->n = n;
  return block;
}

void
block_unref (Block *block)
{
  if (block && --block->refs == 0)
    g_free (block);
}

/* ---- making ------------------------------------------------------------------------------------ */

static void
read_extents (Message *message, const MsgMeta *parsed, guint64 *body_used)
{
  Rd r = { parsed->extents, message->meta->bytes + message->meta->n, false };

  message->extents = parsed->n_extents <= 1 ? &message->extent1 : g_new0 (Extent, parsed->n_extents);
  for (guint32 i = 0; i < parsed->n_extents; i++) {
    Extent *extent = &message->extents[message->n_extents];
    extent->kind = rd_u8 (&r);
    extent->from = rd_u64 (&r);
    extent->len = rd_u64 (&r);
    if (extent->len == 0)
      continue;
    message->n_extents++;
    message->pub.size += extent->len;
    if (extent->kind == EXT_FILE)
      message->pub.large = true;
    else
      *body_used += extent->len;
  }
}

/* `meta` is what msg_meta_read() has just read `parsed` from; takes a reference. */
Message *
message_new (Block *meta, const MsgMeta *parsed, guint32 child)
{
  Message *message = g_malloc0 (sizeof (Message) + sizeof (EkSpoolRcpt) * (gsize) parsed->n_to);
  EkSpoolMessage *pub = &message->pub;
  guint64 body_used = 0;

  message->meta = block_ref (meta);
  message->child = child;
  message->states_hot = message->states_hot_next = G_MAXUINT64;
  pub->id = parsed->id;
  pub->event = parsed->event;
  pub->arrival = parsed->arrival;
  pub->flags = parsed->flags;
  pub->sender = parsed->sender;
  pub->envid = parsed->envid;
  pub->attrs = parsed->attrs;
  pub->rcpts = (EkSpoolRcpt *) (message + 1);
  pub->n_rcpts = parsed->n_to;
  Rd r = { parsed->to, meta->bytes + meta->n, false };
  for (guint32 i = 0; i < parsed->n_to; i++) {
    pub->rcpts[i].notify = rd_u8 (&r);
    pub->rcpts[i].address = rd_str (&r);
    pub->rcpts[i].orcpt = rd_str (&r);
  }
  read_extents (message, parsed, &body_used);
  message->rec_bytes = body_used + (guint64) (parsed->extents - parsed->sender.p) + SPOOL_ALIGN;
  return message;
}

void
extents_free (Extent *extents, guint n, const Extent *within)
{
  for (guint i = 0; i < n; i++)
    block_unref (extents[i].edit);
  if (extents != within)
    g_free (extents);
}

static void
message_free (Message *message)
{
  for (guint i = 0; i < message->pub.n_rcpts; i++) {
    g_free ((char *) message->pub.rcpts[i].status);
    g_free ((char *) message->pub.rcpts[i].target);
    g_free ((char *) message->pub.rcpts[i].base);
  }
  for (guint i = 0; i < message->pub.n_plans; i++) {
    g_free ((char *) message->pub.plans[i].bytes.p);
    g_free (message->pub.plans[i].steps);
  }
  g_free (message->pub.plans);
  extents_free (message->extents, message->n_extents, &message->extent1);
  extents_free (message->snap, message->n_snap, NULL);
  file_free (message->file);
  block_unref (message->body);
  block_unref (message->meta);
  g_free (message);
}

void
message_ref (Message *message)
{
  message->refs++;
}

void
message_unref (Message *message)
{
  if (message->refs-- == 0)
    message_free (message);
}

/* ---- the table and the list --------------------------------------------------------------------- */

Message *
message_find (EkSpool *spool, guint64 id)
{
  return g_hash_table_lookup (spool->table, &id);
}

EkSpoolMessage *
spool_find (EkSpool *spool, EkQueueId id)
{
  Message *message = message_find (spool, id);

  return message ? &message->pub : NULL;
}

void
message_insert (EkSpool *spool, Message *message)
{
  Message *after = spool->last;

  while (after && after->pub.id > message->pub.id)
    after = after->prev;
  message->prev = after;
  message->next = after ? after->next : spool->first;
  *(after ? &after->next : &spool->first) = message;
  *(message->next ? &message->next->prev : &spool->last) = message;
  message->linked = true;
  g_hash_table_insert (spool->table, &message->pub.id, message);
}

void
message_remove (EkSpool *spool, Message *message)
{
  if (!message->linked)
    return;
  for (EkSpoolCursor *cursor = spool->cursors; cursor; cursor = cursor->next)
    if (cursor->at == message)
      cursor->at = message->next;
  if (spool->reclaim.at == message)
    spool->reclaim.at = message->next;
  *(message->prev ? &message->prev->next : &spool->first) = message->next;
  *(message->next ? &message->next->prev : &spool->last) = message->prev;
  message->linked = false;
  g_hash_table_remove (spool->table, &message->pub.id);
}

EkSpoolCursor *
cursor_new (EkSpool *spool, EkQueueId from)
{
  EkSpoolCursor *cursor = g_new (EkSpoolCursor, 1);
  Message *at = from ? message_find (spool, from) : spool->first;

  if (at == NULL)
    for (at = spool->first; at && at->pub.id < from;)
      at = at->next;
  *cursor = (EkSpoolCursor) { .spool = spool, .next = spool->cursors, .at = at };
  spool->cursors = cursor;
  return cursor;
}

EkSpoolMessage *
cursor_next (EkSpoolCursor *cursor)
{
  Message *message = cursor->at;

  if (message)
    cursor->at = message->next;
  return message ? &message->pub : NULL;
}

void
cursor_free (EkSpoolCursor *cursor)
{
  if (cursor == NULL)
    return;
  for (EkSpoolCursor **p = &cursor->spool->cursors; *p; p = &(*p)->next)
    if (*p == cursor) {
      *p = cursor->next;
      break;
    }
  g_free (cursor);
}

/* ---- contents in memory ------------------------------------------------------------------------- */

void
message_drop_body (EkSpool *spool, Message *message)
{
  if (message->kept) {
    *(message->keep_prev ? &message->keep_prev->keep_next : &spool->keep_first) = message->keep_next;
    *(message->keep_next ? &message->keep_next->keep_prev : &spool->keep_last) = message->keep_prev;
    spool->retained -= message->body->n;
    message->kept = false;
  }
  g_clear_pointer (&message->body, block_unref);
}

/* Takes the reference.  What is over the budget goes, oldest first: it can be read again. */
void
message_keep (EkSpool *spool, Message *message, Block *body)
{
  message_drop_body (spool, message);
  message->body = body;
  message->keep_next = NULL;
  message->keep_prev = spool->keep_last;
  *(spool->keep_last ? &spool->keep_last->keep_next : &spool->keep_first) = message;
  spool->keep_last = message;
  spool->retained += body->n;
  message->kept = true;
  while (spool->retained > spool->opt.retain && spool->keep_first != message)
    message_drop_body (spool, spool->keep_first);
}

/* ---- states on disk ------------------------------------------------------------------------------ */

gsize
states_size (const Message *message)
{
  const EkSpoolMessage *pub = &message->pub;
  gsize n = 2 + 1 + 4 + 4;

  for (guint i = 0; i < pub->n_rcpts; i++)
    n += 1 + 1 + 2 + 4 + 8 + 8 + wr_text_size (pub->rcpts[i].status) + wr_text_size (pub->rcpts[i].target)
         + wr_text_size (pub->rcpts[i].base);
  for (guint i = 0; i < pub->n_plans; i++)
    n += 4 + 2 + 4 + pub->plans[i].bytes.n + 4 + (pub->plans[i].n_steps + 7) / 8;
  return n;
}

void
states_write (Wr *w, const Message *message)
{
  const EkSpoolMessage *pub = &message->pub;

  wr_u16 (w, pub->crashes);
  wr_u8 (w, message->damaged);
  wr_u32 (w, pub->n_rcpts);
  wr_u32 (w, pub->n_plans);
  for (guint i = 0; i < pub->n_rcpts; i++) {
    const EkSpoolRcpt *rcpt = &pub->rcpts[i];
    wr_u8 (w, rcpt->state);
    wr_u8 (w, rcpt->held);
    wr_u16 (w, rcpt->action);
    wr_u32 (w, rcpt->attempts);
    wr_i64 (w, rcpt->tried);
    wr_i64 (w, rcpt->next_try);
    wr_text (w, rcpt->status);
    wr_text (w, rcpt->target);
    wr_text (w, rcpt->base);
  }
  for (guint i = 0; i < pub->n_plans; i++) {
    const EkSpoolPlan *plan = &pub->plans[i];
    wr_u32 (w, plan->rcpt);
    wr_u16 (w, plan->type);
    wr_str (w, plan->bytes);
    wr_str (w, (EkStr) { (const char *) plan->steps, (plan->n_steps + 7) / 8 });
  }
}

void
text_set (const char **text, EkStr value)
{
  g_free ((char *) *text);
  *text = value.p ? g_strndup (value.p, value.n) : NULL;
}

EkSpoolPlan *
plan_find (Message *message, guint32 rcpt, guint16 type, bool make)
{
  EkSpoolMessage *pub = &message->pub;

  for (guint i = 0; i < pub->n_plans; i++)
    if (pub->plans[i].rcpt == rcpt && pub->plans[i].type == type)
      return &pub->plans[i];
  if (!make)
    return NULL;
  pub->plans = g_renew (EkSpoolPlan, pub->plans, pub->n_plans + 1);
  pub->plans[pub->n_plans] = (EkSpoolPlan) { .rcpt = rcpt, .type = type };
  return &pub->plans[pub->n_plans++];
}

void
plan_set (EkSpoolPlan *plan, EkStr bytes, EkStr steps)
{
  g_free ((char *) plan->bytes.p);
  g_free (plan->steps);
  plan->bytes = (EkStr) { g_memdup2 (bytes.p, bytes.n), bytes.n };
  plan->n_steps = (guint) MIN (steps.n, SPOOL_STEPS_MAX / 8) * 8;
  plan->steps = g_memdup2 (steps.p, plan->n_steps / 8);
}

/* Replaces all states; false when they do not fit this message, which then is as it was or has part
 * of them. */
bool
states_read (Rd *r, Message *message)
{
  EkSpoolMessage *pub = &message->pub;
  guint16 crashes = rd_u16 (r);
  bool damaged = rd_u8 (r) != 0;
  guint32 n_rcpts = rd_u32 (r), n_plans;

  if (n_rcpts != pub->n_rcpts || !rd_count (r, &n_plans, 14))
    return false;
  pub->crashes = crashes;
  message->damaged |= damaged;
  for (guint i = 0; i < n_rcpts; i++) {
    EkSpoolRcpt *rcpt = &pub->rcpts[i];
    guint8 state = rd_u8 (r);
    rcpt->state = MIN (state, EK_TO_BOUNCED);
    rcpt->held = rd_u8 (r) != 0;
    rcpt->action = rd_u16 (r);
    rcpt->attempts = rd_u32 (r);
    rcpt->tried = rd_i64 (r);
    rcpt->next_try = rd_i64 (r);
    text_set (&rcpt->status, rd_str (r));
    text_set (&rcpt->target, rd_str (r));
    text_set (&rcpt->base, rd_str (r));
  }
  for (guint i = 0; i < n_plans && !r->bad; i++) {
    guint32 rcpt = rd_u32 (r);
    guint16 type = rd_u16 (r);
    EkStr bytes = rd_str (r), steps = rd_str (r);
    if (!r->bad)
      plan_set (plan_find (message, rcpt, type, true), bytes, steps);
  }
  return !r->bad;
}
