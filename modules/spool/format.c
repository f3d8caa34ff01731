/* format.c - packing and unpacking what lies on the disk
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format.h"

void
seg_head_seal (SegHead *head)
{
  memcpy (head->magic, SPOOL_MAGIC, sizeof head->magic);
  head->order = SPOOL_ORDER;
  head->version = SPOOL_VERSION;
  head->crc = 0;
  head->crc = ek_crc32c (0, head, sizeof *head);
}

HeadState
seg_head_check (const SegHead *head)
{
  SegHead copy = *head;

  if (memcmp (head->magic, SPOOL_MAGIC, sizeof head->magic) != 0)
    return HEAD_BAD;
  if (head->order == GUINT32_SWAP_LE_BE (SPOOL_ORDER))
    return HEAD_ORDER;
  copy.crc = 0;
  if (head->order != SPOOL_ORDER || ek_crc32c (0, &copy, sizeof copy) != head->crc)
    return HEAD_BAD;
  if (head->version > SPOOL_VERSION)
    return HEAD_NEWER;
  if (head->version == 0 || head->kind > SEG_COLD || head->size < SPOOL_SIZE_MIN
      || head->size > SPOOL_SIZE_MAX || head->size % SPOOL_FIRST != 0)
    return HEAD_BAD;
  return HEAD_OK;
}

guint32
rec_crc (const RecHead *head, guint32 salt, const void *meta)
{
  gsize from = G_STRUCT_OFFSET (RecHead, lsn);
  guint32 crc = ek_crc32c (salt, (const char *) head + from, sizeof *head - from);

  return head->meta_len ? ek_crc32c (crc, meta, head->meta_len) : crc;
}

void
wr_bytes (Wr *w, const void *bytes, gsize n)
{
  g_assert ((gsize) (w->end - w->p) >= n);
  if (n)
    memcpy (w->p, bytes, n);
  w->p += n;
}

void
wr_str (Wr *w, EkStr s)
{
  wr_u32 (w, (guint32) s.n);
  wr_bytes (w, s.p, s.n);
}

void
wr_text (Wr *w, const char *text)
{
  if (text)
    wr_str (w, ek_str (text));
  else
    wr_u32 (w, SPOOL_NULL);
}

const char *
rd_bytes (Rd *r, gsize n)
{
  const char *p = r->p;

  if (r->bad || (gsize) (r->end - p) < n) {
    r->bad = true;
    return NULL;
  }
  r->p += n;
  return p;
}

EkStr
rd_str (Rd *r)
{
  guint32 n = rd_u32 (r);

  if (n == SPOOL_NULL)
    return (EkStr) { NULL, 0 };
  const char *p = rd_bytes (r, n);
  return (EkStr) { p, p ? n : 0 };
}

bool
rd_count (Rd *r, guint32 *count, gsize each)
{
  *count = rd_u32 (r);
  if (!r->bad && *count > (gsize) (r->end - r->p) / each)
    r->bad = true;
  return !r->bad;
}

/* ---- messages --------------------------------------------------------------------------------- */

#define EXTENT_SIZE 17u

gsize
msg_meta_size (const EkSpoolNew *message)
{
  gsize n = 8 + 8 + 8 + 4 + 4 + 4 + 3 * 4 + message->sender.n + message->envid.n + message->attrs.n
            + EXTENT_SIZE * (gsize) message->n_extents;

  for (guint i = 0; i < message->n_to; i++)
    n += 1 + 4 + 4 + message->to[i].address.n + message->to[i].orcpt.n;
  return n;
}

static void
extents_write (Wr *w, const EkSpoolExtent *extents, guint n, guint8 range_kind, guint64 *body_at)
{
  for (guint i = 0; i < n; i++) {
    bool bytes = extents[i].bytes.p != NULL;
    wr_u8 (w, bytes ? EXT_BODY : range_kind);
    wr_u64 (w, bytes ? *body_at : extents[i].from);
    wr_u64 (w, bytes ? extents[i].bytes.n : extents[i].len);
    if (bytes)
      *body_at += extents[i].bytes.n;
  }
}

void
msg_meta_write (Wr *w, const EkSpoolNew *message, guint64 *body_at)
{
  wr_u64 (w, message->id);
  wr_u64 (w, message->event);
  wr_i64 (w, message->arrival);
  wr_u32 (w, message->flags);
  wr_u32 (w, message->n_to);
  wr_u32 (w, message->n_extents);
  wr_str (w, message->sender);
  wr_str (w, message->envid);
  wr_str (w, message->attrs);
  for (guint i = 0; i < message->n_to; i++) {
    wr_u8 (w, message->to[i].notify);
    wr_str (w, message->to[i].address);
    wr_str (w, message->to[i].orcpt);
  }
  extents_write (w, message->extents, message->n_extents, EXT_FILE, body_at);
}

/* An extent as it lies on disk is checked against what it may point at: inline bytes must be in the
 * body; files are checked when they are opened. */
static void
extent_check (Rd *r, guint64 body_len, guint8 other_kind)
{
  guint8 kind = rd_u8 (r);
  guint64 from = rd_u64 (r), len = rd_u64 (r);

  if (kind == EXT_BODY ? from > body_len || len > body_len - from
                       : kind != other_kind || from > G_MAXINT64 || len > G_MAXINT64 - from)
    r->bad = true;
}

bool
msg_meta_read (Rd *r, MsgMeta *meta, guint64 body_len)
{
  meta->id = rd_u64 (r);
  meta->event = rd_u64 (r);
  meta->arrival = rd_i64 (r);
  meta->flags = rd_u32 (r);
  rd_count (r, &meta->n_to, 9);
  rd_count (r, &meta->n_extents, EXTENT_SIZE);
  meta->sender = rd_str (r);
  meta->envid = rd_str (r);
  meta->attrs = rd_str (r);
  meta->to = r->p;
  for (guint32 i = 0; i < meta->n_to && !r->bad; i++) {
    rd_u8 (r);
    rd_str (r);
    rd_str (r);
  }
  meta->extents = r->p;
  for (guint32 i = 0; i < meta->n_extents && !r->bad; i++)
    extent_check (r, body_len, EXT_FILE);
  return !r->bad && meta->id != 0 && meta->n_to > 0 && meta->n_extents <= SPOOL_EXTENTS_MAX;
}

/* ---- acts ------------------------------------------------------------------------------------- */

gsize
acts_size (const EkSpoolAct *acts, guint n_acts)
{
  gsize n = 0;

  for (guint i = 0; i < n_acts; i++)
    n += 1 + 4 + 2 + 2 + 8 + 4 + acts[i].text.n + 4 + acts[i].base.n + 4
         + EXTENT_SIZE * (gsize) acts[i].n_extents;
  return n;
}

void
acts_write (Wr *w, const EkSpoolAct *acts, guint n_acts, guint64 *body_at)
{
  for (guint i = 0; i < n_acts; i++) {
    const EkSpoolAct *act = &acts[i];
    wr_u8 (w, (guint8) act->type);
    wr_u32 (w, act->rcpt);
    wr_u16 (w, act->action);
    wr_u16 (w, act->step);
    wr_i64 (w, act->next_try);
    wr_str (w, act->text);
    wr_str (w, act->base);
    wr_u32 (w, act->n_extents);
    extents_write (w, act->extents, act->n_extents, EXT_RANGE, body_at);
  }
}

EkSpoolAct *
acts_read (Rd *r, EkPool *pool, guint32 n_acts, EkStr body)
{
  EkSpoolAct *acts = ek_pool_newv (pool, EkSpoolAct, MAX (n_acts, 1));

  for (guint32 i = 0; i < n_acts && !r->bad; i++) {
    EkSpoolAct *act = &acts[i];
    guint32 n;
    act->type = rd_u8 (r);
    act->rcpt = rd_u32 (r);
    act->action = rd_u16 (r);
    act->step = rd_u16 (r);
    act->next_try = rd_i64 (r);
    act->text = rd_str (r);
    act->base = rd_str (r);
    if (!rd_count (r, &n, EXTENT_SIZE) || n > SPOOL_EXTENTS_MAX)
      return NULL;
    EkSpoolExtent *extents = ek_pool_newv (pool, EkSpoolExtent, MAX (n, 1));
    for (guint32 k = 0; k < n && !r->bad; k++) {
      Rd ahead = *r;
      extent_check (r, body.n, EXT_RANGE);
      guint8 kind = rd_u8 (&ahead);
      guint64 from = rd_u64 (&ahead), len = rd_u64 (&ahead);
      if (r->bad)
        return NULL;
      if (kind == EXT_BODY)
        extents[k].bytes = len ? (EkStr) { body.p + from, len } : EK_STR ("");     /* there may be no body at all */
      else
        extents[k] = (EkSpoolExtent) { .from = from, .len = len };
    }
    act->extents = extents;
    act->n_extents = n;
  }
  return r->bad ? NULL : acts;
}
