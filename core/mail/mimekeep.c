/* mimekeep.c - the compact form of a MIME tree for the index cache
 * SPDX-License-Identifier: Apache-2.0
 *
 * A version byte, flags, the totals, then the parts in preorder.  Numbers are varints (7 bits a byte, low
 * ones first), strings a varint length + 1 (0: missing) and their bytes.  `octets` are stored as
 * the difference to `bytes`, a part's offset as the difference to its predecessor's.
 */
#include "config.h"
#include "mail/mime.h"
#include <string.h>

#define FORM_VERSION 1

enum { HAS_ENVELOPE = 4, IS_DIGEST = 8 };            /* beside the kind, in a part's first byte */
enum { IS_LIMITED = 1, HAS_NUL = 2 };

/* ---- writing ------------------------------------------------------------------------------- */

static void
put_number (EkBuf *out, guint64 n)
{
  for (; n >= 0x80; n >>= 7)
    ek_buf_appendc (out, (char) (n | 0x80));
  ek_buf_appendc (out, (char) n);
}

static void
put_string (EkBuf *out, EkStr s)
{
  put_number (out, s.p ? s.n + 1 : 0);
  if (s.p)
    ek_buf_append (out, s.p, s.n);
}

static void
put_extent (EkBuf *out, EkExtent e)
{
  put_number (out, e.bytes);
  put_number (out, e.octets - e.bytes);
  put_number (out, e.lines);
}

static void
put_type (EkBuf *out, const EkMimeType *type)
{
  put_string (out, type->type);
  if (type->type.p == NULL)
    return;
  put_string (out, type->subtype);
  put_number (out, type->n_params);
  for (guint i = 0; i < type->n_params; i++) {
    put_string (out, type->params[i].name);
    put_string (out, type->params[i].value);
  }
}

static void
put_envelope (EkBuf *out, const EkMimeEnvelope *e)
{
  const EkStr all[] = { e->date, e->subject, e->from, e->sender, e->reply_to,
                        e->to, e->cc, e->bcc, e->in_reply_to, e->message_id };

  for (gsize i = 0; i < G_N_ELEMENTS (all); i++)
    put_string (out, all[i]);
}

static void
put_part (EkBuf *out, const EkPart *part, guint64 after)
{
  ek_buf_appendc (out, (char) ((guint) part->kind | (part->envelope ? HAS_ENVELOPE : 0)
                               | (part->digest ? IS_DIGEST : 0)));
  put_number (out, part->n_children);
  put_number (out, part->offset - after);
  put_number (out, part->octet_offset - part->offset);
  put_extent (out, part->header);
  put_extent (out, part->body);
  put_type (out, &part->type);
  put_type (out, &part->disposition);
  put_string (out, part->id);
  put_string (out, part->description);
  put_string (out, part->encoding);
  put_string (out, part->md5);
  put_string (out, part->location);
  put_number (out, part->n_languages);
  for (guint i = 0; i < part->n_languages; i++)
    put_string (out, part->languages[i]);
  if (part->envelope)
    put_envelope (out, part->envelope);
}

static const EkPart *
next_part (const EkPart *part)
{
  if (part->children)
    return part->children;
  while (part && part->next == NULL)
    part = part->parent;
  return part ? part->next : NULL;
}

void
ek_mime_save (const EkMime *mime, EkBuf *out)
{
  guint64 after = 0;

  ek_buf_appendc (out, FORM_VERSION);
  ek_buf_appendc (out, (char) ((mime->limited ? IS_LIMITED : 0) | (mime->has_nul ? HAS_NUL : 0)));
  put_number (out, mime->n_parts);
  put_extent (out, mime->total);
  for (const EkPart *part = mime->root; part; part = next_part (part)) {
    put_part (out, part, after);
    after = part->offset;
  }
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct {
  const char *p, *end;
  EkPool     *pool;
  bool        bad;
} Reader;

static guint64
get_number (Reader *r)
{
  guint64 n = 0;

  for (guint shift = 0; shift < 63 && r->p < r->end; shift += 7) {
    guchar c = (guchar) *r->p++;
    n |= (guint64) (c & 0x7f) << shift;
    if (c < 0x80)
      return n;
  }
  r->bad = true;
  return 0;
}

/* A count of things that take at least `least` bytes each. */
static guint
get_count (Reader *r, gsize least)
{
  guint64 n = get_number (r);

  if (n > (gsize) (r->end - r->p) / least) {
    r->bad = true;
    return 0;
  }
  return (guint) n;
}

static EkStr
get_string (Reader *r)
{
  guint64 n = get_number (r);

  if (r->bad || n == 0)
    return (EkStr) { NULL, 0 };
  if (n - 1 > (gsize) (r->end - r->p)) {
    r->bad = true;
    return (EkStr) { NULL, 0 };
  }
  EkStr s = { r->p, (gsize) n - 1 };
  r->p += s.n;
  return s;
}

static EkExtent
get_extent (Reader *r)
{
  EkExtent e;

  e.bytes = get_number (r);
  e.octets = e.bytes + get_number (r);
  e.lines = get_number (r);
  r->bad |= e.octets > 2 * e.bytes || e.lines > e.bytes;
  return e;
}

static void
get_type (Reader *r, EkMimeType *type)
{
  type->type = get_string (r);
  if (type->type.p == NULL)
    return;
  type->subtype = get_string (r);
  type->n_params = get_count (r, 2);
  r->bad |= type->n_params > EK_MIME_PARAMS_MAX || type->subtype.p == NULL;
  if (r->bad || type->n_params == 0)
    return;
  type->params = ek_pool_newv (r->pool, EkMimeParam, type->n_params);
  for (guint i = 0; i < type->n_params && !r->bad; i++) {
    type->params[i].name = get_string (r);
    type->params[i].value = get_string (r);
    r->bad |= type->params[i].name.p == NULL || type->params[i].value.p == NULL;
  }
}

static EkMimeEnvelope *
get_envelope (Reader *r)
{
  EkMimeEnvelope *e = ek_pool_new0 (r->pool, EkMimeEnvelope);
  EkStr *const all[] = { &e->date, &e->subject, &e->from, &e->sender, &e->reply_to,
                         &e->to, &e->cc, &e->bcc, &e->in_reply_to, &e->message_id };

  for (gsize i = 0; i < G_N_ELEMENTS (all); i++)
    *all[i] = get_string (r);
  return e;
}

static EkPart *
get_part (Reader *r, guint64 after)
{
  EkPart *part = ek_pool_new0 (r->pool, EkPart);
  guint flags = r->p < r->end ? (guchar) *r->p++ : 255;

  r->bad |= flags > 15 || (flags & 3) > EK_PART_MESSAGE;
  part->kind = (EkPartKind) (flags & 3);
  part->digest = flags & IS_DIGEST;
  part->n_children = get_count (r, 18);
  part->offset = after + get_number (r);
  part->octet_offset = part->offset + get_number (r);
  part->header = get_extent (r);
  part->body = get_extent (r);
  get_type (r, &part->type);
  get_type (r, &part->disposition);
  part->id = get_string (r);
  part->description = get_string (r);
  part->encoding = get_string (r);
  part->md5 = get_string (r);
  part->location = get_string (r);
  part->n_languages = get_count (r, 1);
  if (part->n_languages > 0)
    part->languages = ek_pool_newv (r->pool, EkStr, part->n_languages);
  for (guint i = 0; i < part->n_languages && !r->bad; i++) {
    part->languages[i] = get_string (r);
    r->bad |= part->languages[i].p == NULL;
  }
  if (flags & HAS_ENVELOPE)
    part->envelope = get_envelope (r);
  return part;
}

/* Does it fit into what holds it, and are its children as many as its kind may have? */
static bool
plausible (const EkMime *mime, const EkPart *part)
{
  const EkPart *up = part->parent;
  guint64 total = mime->total.bytes;

  if (part->header.bytes > total || part->body.bytes > total - part->header.bytes
      || part->offset > total - part->header.bytes - part->body.bytes
      || part->octet_offset > 2 * part->offset)
    return false;
  if ((part->kind == EK_PART_LEAF && part->n_children > 0)
      || (part->kind == EK_PART_MESSAGE && part->n_children != 1))
    return false;
  return up == NULL ? part->offset == 0 && part->envelope
                    : (up->kind == EK_PART_MESSAGE) == (part->envelope != NULL);
}

/* Reads the parts in preorder; a stack of what each open part still waits for takes recursion's place. */
static bool
get_tree (Reader *r, EkMime *mime)
{
  struct {
    EkPart  *part;
    EkPart **tail;
    guint    missing;
  } open[EK_MIME_DEPTH_MAX + 1];
  guint n_open = 0;
  guint64 after = 0;

  for (guint i = 0; i < mime->n_parts; i++) {
    EkPart *part = get_part (r, after);
    if (r->bad || (i > 0 && n_open == 0))
      return false;
    after = part->offset;
    if (n_open > 0) {
      part->parent = open[n_open - 1].part;
      *open[n_open - 1].tail = part;
      open[n_open - 1].tail = &part->next;
      open[n_open - 1].missing--;
    }
    else
      mime->root = part;
    if (!plausible (mime, part))
      return false;
    while (n_open > 0 && open[n_open - 1].missing == 0)
      n_open--;
    if (part->n_children > 0) {
      if (n_open == G_N_ELEMENTS (open))
        return false;
      open[n_open].part = part;
      open[n_open].tail = &part->children;
      open[n_open++].missing = part->n_children;
    }
  }
  return n_open == 0 && mime->root && r->p == r->end;
}

EkMime *
ek_mime_load (EkPool *pool, EkStr blob)
{
  Reader r = { blob.p, EK_STR_END (blob), pool, false };
  EkMime *mime = ek_pool_new0 (pool, EkMime);

  if (blob.n < 3 || *r.p++ != FORM_VERSION || (guchar) *r.p > 3)
    return NULL;
  mime->limited = *r.p & IS_LIMITED;
  mime->has_nul = *r.p++ & HAS_NUL;
  mime->n_parts = get_count (&r, 18);
  mime->total = get_extent (&r);
  return !r.bad && get_tree (&r, mime) ? mime : NULL;
}
